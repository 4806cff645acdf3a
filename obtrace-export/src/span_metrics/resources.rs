//! What spans are about, each with its own metrics.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasherDefault,
    iter,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    family::{Family, Id},
    field::{Field, Key},
    hash::{Hashed, Keyed},
    table::{Age, Gone, Table},
};
use crate::model::{Attribute, EntityRef, Resource, Value};

/// Places that one resource is known at: those of the processes of one service instance, mostly.
const HANDLES: usize = 8;

/// The place of the resource of overflow.
const OVERFLOW: usize = usize::MAX;

/// A resource and its series.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) resource: Arc<Resource>,
    /// One of each family.
    pub(super) tables: Vec<Table>,
    /// The names of its spans that are told.
    names: HashSet<Box<str>>,
    hash: u64,
    /// The places that it was seen at last. While they are held, nothing else can be there.
    handles: Vec<Arc<Resource>>,
    /// The one that is replaced next.
    next: usize,
    seen: Instant,
}

impl Entry {
    /// Whether this name of a span is one that is told.
    pub(super) fn admit(&mut self, name: &str, limit: usize) -> bool {
        if self.names.contains(name) {
            return true;
        }
        let room = self.names.len() < limit;
        if room {
            self.names.insert(name.into());
        }
        room
    }

    /// Forgets series that are too old, and names that no series has.
    pub(super) fn expire(&mut self, families: &[Family], age: &Age) -> Gone {
        let mut gone = Gone::default();
        self.tables.iter_mut().for_each(|table| gone += table.expire(age));
        if gone.series > 0 && !self.names.is_empty() {
            let text = |value: &Value| if let Value::Str(text) = value { Some(text.as_str().into()) } else { None };
            let named = [Id::Spans, Id::TempoSpans].into_iter().filter_map(|id| {
                let table = self.tables.get(id as usize)?;
                Some(table.values_of(families.get(id as usize)?, Key::SpanName))
            });
            let kept: HashSet<Box<str>> = named.flatten().filter_map(text).collect();
            self.names.retain(|name| kept.contains(name));
        }
        gone
    }

    fn new(resource: Arc<Resource>, handle: Arc<Resource>, hash: u64, families: usize, now: Instant) -> Self {
        let tables = (0..families).map(|_| Table::default()).collect();
        Self { resource, tables, names: HashSet::new(), hash, handles: vec![handle], next: 0, seen: now }
    }

    fn all(&self) -> Gone {
        let mut all = Gone::default();
        self.tables.iter().for_each(|table| all += table.all());
        all
    }
}

/// The services that there are, by name and namespace, and by name alone.
#[derive(Debug)]
pub(super) struct Services {
    hashes: HashSet<u64, BuildHasherDefault<Hashed>>,
    hasher: Keyed,
}

impl Services {
    fn add(&mut self, resource: &Resource) {
        let of = |key| match resource.get(key) {
            Some(Value::Str(text)) => Field::text(text),
            _ => Field::None,
        };
        let (name, namespace) = (of("service.name"), of("service.namespace"));
        self.hashes.insert(self.hasher.of([name, namespace].into_iter()));
        self.hashes.insert(self.hasher.of(iter::once(name)));
    }

    /// Whether there is one with this name; in this namespace, if that is said.
    pub(super) fn has(&self, name: Field<'_>, namespace: Field<'_>) -> bool {
        let hash = if namespace.is_none() {
            self.hasher.of(iter::once(name))
        } else {
            self.hasher.of([name, namespace].into_iter())
        };
        self.hashes.contains(&hash)
    }
}

/// Resources, found by where they are, else by what they say.
#[derive(Debug)]
pub(super) struct Resources {
    entries: Vec<Entry>,
    overflow: Option<Box<Entry>>,
    by_place: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
    services: Services,
    hasher: Keyed,
    families: usize,
    /// Whether the processes of a service instance are told apart.
    processes: bool,
    /// Until when none of them can make room.
    full_until: Option<Instant>,
}

impl Resources {
    pub(super) fn new(hasher: Keyed, families: usize, processes: bool) -> Self {
        Self {
            entries: Vec::new(),
            overflow: None,
            by_place: HashMap::default(),
            services: Services { hashes: HashSet::default(), hasher },
            hasher,
            families,
            processes,
            full_until: None,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().chain(self.overflow.as_deref_mut())
    }

    /// The entry at a place, beside what services there are.
    pub(super) fn entry(&mut self, at: usize) -> Option<(&mut Entry, &Services)> {
        let entry = if at == OVERFLOW { self.overflow.as_deref_mut() } else { self.entries.get_mut(at) };
        Some((entry?, &self.services))
    }

    /// The place of the resource of overflow, by the name that
    /// [resources without one](https://opentelemetry.io/docs/specs/semconv/resource/service/) have.
    pub(super) fn overflow(&mut self, now: Instant) -> usize {
        let families = self.families;
        let entry = self.overflow.get_or_insert_with(|| {
            let name = Attribute::new("service.name", "unknown_service");
            let resource = Arc::new(Resource::new(vec![name, Attribute::new(Key::Overflow.text(), true)]));
            Box::new(Entry::new(Arc::clone(&resource), resource, 0, families, now))
        });
        entry.seen = entry.seen.max(now);
        OVERFLOW
    }

    /// Forgets the resource that was not seen for the longest time, if that is as long as the time that it has; tells what went
    /// with it.
    pub(super) fn evict(&mut self, ttl: Duration, now: Instant) -> Option<Gone> {
        if ttl.is_zero() || self.full_until.is_some_and(|until| now < until) {
            return None;
        }
        let (at, seen) = self.entries.iter().map(|entry| entry.seen).enumerate().min_by_key(|(_, seen)| *seen)?;
        if now.saturating_duration_since(seen) < ttl {
            // The others were seen later.
            self.full_until = seen.checked_add(ttl);
            return None;
        }
        let evicted = self.entries.swap_remove(at);
        self.index();
        Some(evicted.all())
    }

    /// The place of a resource; none if it would be one too many.
    pub(super) fn of(&mut self, resource: &Arc<Resource>, limit: usize, now: Instant) -> Option<usize> {
        let place = self.place(resource);
        let known = self.by_place.get(&place).copied();
        let is_one = |entry: &Entry| entry.handles.iter().any(|handle| Arc::ptr_eq(handle, resource));
        let here = |at: &usize| self.entries.get(*at).is_some_and(is_one);
        let at = match known.filter(here) {
            Some(at) => at,
            None => self.find_or_add(resource, place, limit, now)?,
        };
        let entry = self.entries.get_mut(at)?;
        entry.seen = entry.seen.max(now);
        Some(at)
    }

    fn place(&self, resource: &Arc<Resource>) -> u64 {
        let address = Arc::as_ptr(resource).addr();
        self.hasher.of(std::iter::once(Field::Int(address.cast_signed() as i64)))
    }

    fn find_or_add(&mut self, resource: &Arc<Resource>, place: u64, limit: usize, now: Instant) -> Option<usize> {
        let hash = hash(self.hasher, self.told(resource));
        let is_same = |entry: &&Entry| {
            let one = &entry.resource;
            one.schema_url == resource.schema_url
                && one.attributes.iter().eq(self.told(resource))
                && one.entities.iter().eq(self.entities(resource))
        };
        let found = self.entries.iter().position(|entry| entry.hash == hash && is_same(&entry));
        let at = if let Some(at) = found {
            let entry = self.entries.get_mut(at)?;
            if entry.handles.len() >= HANDLES {
                let handle = entry.handles.get_mut(entry.next)?;
                let before = std::mem::replace(handle, Arc::clone(resource));
                entry.next = (entry.next + 1) % HANDLES;
                let before = self.place(&before);
                self.by_place.remove(&before);
            } else {
                entry.handles.push(Arc::clone(resource));
            }
            at
        } else {
            if self.entries.len() >= limit {
                return None;
            }
            let told = if resource.attributes.len() == self.told(resource).count() {
                Arc::clone(resource)
            } else {
                let mut told = Resource::new(self.told(resource).cloned().collect());
                told.dropped_attributes_count = resource.dropped_attributes_count;
                told.entities = self.entities(resource).cloned().collect();
                told.schema_url = resource.schema_url.clone();
                Arc::new(told)
            };
            self.services.add(&told);
            self.entries.push(Entry::new(told, Arc::clone(resource), hash, self.families, now));
            self.entries.len() - 1
        };
        self.by_place.insert(place, at);
        Some(at)
    }

    /// What metrics say of a resource: not which process of it, nor which run of its container.
    fn told<'a>(&self, resource: &'a Resource) -> impl Iterator<Item = &'a Attribute> + use<'a> {
        let processes = self.processes;
        let in_pod = is_in_pod(resource);
        resource.attributes.iter().filter(move |attribute| processes || !is_of_one_run(&attribute.key, in_pod))
    }

    fn entities<'a>(&self, resource: &'a Resource) -> impl Iterator<Item = &'a EntityRef> + use<'a> {
        let processes = self.processes;
        let in_pod = is_in_pod(resource);
        let is_run = move |entity: &EntityRef| &*entity.kind == "process" || in_pod && &*entity.kind == "container";
        resource.entities.iter().filter(move |entity| processes || !is_run(entity))
    }

    /// Forgets those that were not seen for that long and have no series.
    pub(super) fn expire(&mut self, ttl: Duration, now: Instant) {
        let before = self.entries.len();
        let is_kept = |entry: &Entry| {
            now.saturating_duration_since(entry.seen) < ttl || !entry.tables.iter().all(Table::is_empty)
        };
        self.overflow = self.overflow.take().filter(|entry| is_kept(entry));
        self.entries.retain(is_kept);
        if self.entries.len() < before {
            self.index();
        }
    }

    /// Makes what finds them anew.
    fn index(&mut self) {
        self.full_until = None;
        let handles = self.entries.iter().enumerate();
        let handles = handles.flat_map(|(at, entry)| entry.handles.iter().map(move |handle| (handle, at)));
        self.by_place = handles.map(|(handle, at)| (self.place(handle), at)).collect();
        self.services.hashes.clear();
        self.entries.iter().for_each(|entry| self.services.add(&entry.resource));
    }
}

/// What differs between the processes of one service instance, which come and go: the worker processes of a server; and, where
/// the instance is a container of a Pod, between that container before a restart and after it.
fn is_of_one_run(key: &str, in_pod: bool) -> bool {
    let process = |rest: &str| !rest.starts_with("runtime.") && !rest.starts_with("executable.");
    key.strip_prefix("process.").is_some_and(process)
        || in_pod && matches!(key, "container.id" | "k8s.container.restart_count")
}

fn is_in_pod(resource: &Resource) -> bool {
    resource.get("k8s.container.name").is_some()
}

fn hash<'a>(hasher: Keyed, attributes: impl Iterator<Item = &'a Attribute>) -> u64 {
    let pairs = attributes.flat_map(|Attribute { key, value }| {
        let value = match value {
            Value::Str(text) => Field::Str(text),
            Value::Int(number) => Field::Int(*number),
            Value::Bool(truth) => Field::Bool(*truth),
            // They are compared.
            _ => Field::None,
        };
        [Field::Str(key), value]
    });
    hasher.of(pairs)
}
