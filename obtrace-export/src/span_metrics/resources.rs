//! What spans are about, each with its own metrics.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasherDefault,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    family::{Family, Id},
    field::{Field, Key},
    hash::{Hashed, Keyed},
    table::Table,
};
use crate::model::{Attribute, Resource, Value};

/// A resource and its series.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) resource: Arc<Resource>,
    /// One of each family.
    pub(super) tables: Vec<Table>,
    /// The names of its spans that are told.
    names: HashSet<Box<str>>,
    hash: u64,
    /// The place that it was seen at last. While it is held, nothing else can be there.
    handle: Arc<Resource>,
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

    /// Forgets series that got no value for that long, and names that no series has; tells how many series that were.
    pub(super) fn expire(&mut self, families: &[Family], ttl: Duration, now: Instant) -> usize {
        let gone = families.iter().zip(&mut self.tables).map(|(_, table)| table.expire(ttl, now)).sum();
        let at = Id::Spans as usize;
        if let (1.., Some(family), Some(table)) = (gone, families.get(at), self.tables.get(at)) {
            let text = |value: &Value| if let Value::Str(text) = value { Some(text.as_str().into()) } else { None };
            let kept: HashSet<Box<str>> = table.values_of(family, Key::SpanName).filter_map(text).collect();
            self.names.retain(|name| kept.contains(name));
        }
        gone
    }
}

/// Resources, found by where they are, else by what they say.
#[derive(Debug)]
pub(super) struct Resources {
    entries: Vec<Entry>,
    by_place: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
    hasher: Keyed,
    families: usize,
}

impl Resources {
    pub(super) fn new(hasher: Keyed, families: usize) -> Self {
        Self { entries: Vec::new(), by_place: HashMap::default(), hasher, families }
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// The entry of a resource; none if it would be one too many.
    pub(super) fn of(&mut self, resource: &Arc<Resource>, limit: usize, now: Instant) -> Option<&mut Entry> {
        let place = self.place(resource);
        let known = self.by_place.get(&place).copied();
        let here = |at: &usize| self.entries.get(*at).is_some_and(|entry| Arc::ptr_eq(&entry.handle, resource));
        let at = match known.filter(here) {
            Some(at) => at,
            None => self.find_or_add(resource, place, limit, now)?,
        };
        let entry = self.entries.get_mut(at)?;
        entry.seen = entry.seen.max(now);
        Some(entry)
    }

    fn place(&self, resource: &Arc<Resource>) -> u64 {
        let address = Arc::as_ptr(resource).addr();
        self.hasher.of(std::iter::once(Field::Int(address.cast_signed() as i64)))
    }

    fn find_or_add(&mut self, resource: &Arc<Resource>, place: u64, limit: usize, now: Instant) -> Option<usize> {
        let hash = hash(self.hasher, resource);
        let found = self.entries.iter().position(|entry| entry.hash == hash && *entry.resource == **resource);
        let at = if let Some(at) = found {
            let before =
                self.entries.get_mut(at).map(|entry| std::mem::replace(&mut entry.handle, Arc::clone(resource)))?;
            let before = self.place(&before);
            self.by_place.remove(&before);
            at
        } else {
            if self.entries.len() >= limit {
                return None;
            }
            self.entries.push(Entry {
                resource: Arc::clone(resource),
                tables: (0..self.families).map(|_| Table::default()).collect(),
                names: HashSet::new(),
                hash,
                handle: Arc::clone(resource),
                seen: now,
            });
            self.entries.len() - 1
        };
        self.by_place.insert(place, at);
        Some(at)
    }

    /// Forgets those that were not seen for that long and have no series.
    pub(super) fn expire(&mut self, ttl: Duration, now: Instant) {
        let before = self.entries.len();
        self.entries.retain(|entry| {
            now.saturating_duration_since(entry.seen) < ttl || !entry.tables.iter().all(Table::is_empty)
        });
        if self.entries.len() < before {
            self.by_place =
                self.entries.iter().enumerate().map(|(at, entry)| (self.place(&entry.handle), at)).collect();
        }
    }
}

fn hash(hasher: Keyed, resource: &Resource) -> u64 {
    let pairs = resource.attributes.iter().flat_map(|Attribute { key, value }| {
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
