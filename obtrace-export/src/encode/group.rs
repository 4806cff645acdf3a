//! Which items go into which envelope: OTLP names a resource and a scope once for all items that share them.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    mem::discriminant,
    sync::Arc,
};

use crate::model::{Attribute, Item, Resource, Scope, Value};

/// No further item in this group.
const END: u32 = u32::MAX;

/// Groups items by resource and scope in linear time. Keeps its memory between calls.
#[derive(Debug, Default)]
pub struct Grouping {
    resources: Distinct,
    scopes: Distinct,
    /// Groups in the order of their first item.
    groups: Vec<Group>,
    by_pair: HashMap<(u32, u32), u32>,
    /// For each item the next one of its group.
    next: Vec<u32>,
}

/// Items with an equal resource and an equal scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// Number of the resource; groups with the same number have equal resources.
    resource: u32,
    /// It is the first group of its resource.
    pub(super) opens_resource: bool,
    first: u32,
    last: u32,
}

impl Grouping {
    /// Finds the groups of these items (at most `u32::MAX - 1` of them); groups of one resource come one after the other.
    pub(super) fn assign<T: Item>(&mut self, items: &[T]) {
        self.resources.clear();
        self.scopes.clear();
        self.groups.clear();
        self.by_pair.clear();
        self.next.clear();
        let mut last: Option<(*const Resource, *const Scope, u32)> = None;
        for (index, item) in items.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(END);
            let (resource, scope) = (Arc::as_ptr(item.resource()), Arc::as_ptr(item.scope()));
            self.next.push(END);
            let group = match last {
                Some((r, s, group)) if r == resource && s == scope => group,
                _ => self.group_of(items, item, index),
            };
            last = Some((resource, scope, group));
            let Some(group) = self.groups.get_mut(group as usize) else { continue };
            let before = std::mem::replace(&mut group.last, index);
            if let Some(next) = self.next.get_mut(before as usize).filter(|_| before != index) {
                *next = index;
            }
        }
        self.groups.sort_by_key(|group| group.resource);
        let mut before = None;
        for group in &mut self.groups {
            group.opens_resource = before.replace(group.resource) != Some(group.resource);
        }
    }

    /// The groups found last.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The items of a group, in their order.
    pub(super) fn members<'s, T>(&'s self, group: Group, items: &'s [T]) -> impl Iterator<Item = &'s T> {
        let mut at = group.first;
        std::iter::from_fn(move || {
            let item = items.get(at as usize)?;
            at = self.next.get(at as usize).copied().unwrap_or(END);
            Some(item)
        })
    }

    fn group_of<T: Item>(&mut self, items: &[T], item: &T, index: u32) -> u32 {
        let (resource, scope) = (item.resource(), item.scope());
        let resource = self
            .resources
            .number(Arc::as_ptr(resource).addr(), index, resource, |other| items.get(other as usize).map(T::resource));
        let scope = self
            .scopes
            .number(Arc::as_ptr(scope).addr(), index, scope, |other| items.get(other as usize).map(T::scope));
        let groups = &mut self.groups;
        *self.by_pair.entry((resource, scope)).or_insert_with(|| {
            groups.push(Group { resource, opens_resource: false, first: index, last: index });
            u32::try_from(groups.len() - 1).unwrap_or(END)
        })
    }
}

/// Gives equal things the same number: by address where possible, else by content.
#[derive(Debug, Default)]
struct Distinct {
    by_address: HashMap<usize, u32>,
    /// From the hash of the content to the number and an item that has it.
    by_content: HashMap<u64, (u32, u32)>,
    count: u32,
}

impl Distinct {
    fn clear(&mut self) {
        self.by_address.clear();
        self.by_content.clear();
        self.count = 0;
    }

    fn number<'s, T: Content + 's>(
        &mut self,
        address: usize,
        index: u32,
        thing: &T,
        of_item: impl Fn(u32) -> Option<&'s T>,
    ) -> u32 {
        if let Some(&number) = self.by_address.get(&address) {
            return number;
        }
        let hash = thing.content_hash();
        // Two things with one hash that are not equal stay apart; merging is a saving, not a need.
        let known = self.by_content.get(&hash).filter(|(_, other)| of_item(*other).is_some_and(|other| other == thing));
        let number = match known {
            Some(&(number, _)) => number,
            None => {
                let number = self.count;
                self.count += 1;
                self.by_content.entry(hash).or_insert((number, index));
                number
            }
        };
        self.by_address.insert(address, number);
        number
    }
}

trait Content: PartialEq {
    fn content_hash(&self) -> u64;
}

impl<T: Content> Content for Arc<T> {
    fn content_hash(&self) -> u64 {
        T::content_hash(self)
    }
}

impl Content for Resource {
    fn content_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.schema_url.hash(&mut hasher);
        hash_attributes(&self.attributes, &mut hasher);
        hasher.finish()
    }
}

impl Content for Scope {
    fn content_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.name, &self.version, &self.schema_url).hash(&mut hasher);
        hash_attributes(&self.attributes, &mut hasher);
        hasher.finish()
    }
}

fn hash_attributes(attributes: &[Attribute], hasher: &mut DefaultHasher) {
    attributes.len().hash(hasher);
    for Attribute { key, value } in attributes {
        key.hash(hasher);
        hash_value(value, hasher);
    }
}

fn hash_value(value: &Value, hasher: &mut DefaultHasher) {
    discriminant(value).hash(hasher);
    match value {
        Value::Empty => {}
        Value::Str(text) => text.hash(hasher),
        Value::Bool(truth) => truth.hash(hasher),
        Value::Int(number) => number.hash(hasher),
        // 0.0 equals -0.0, so only the sign-free bits may count.
        Value::Double(number) => number.abs().to_bits().hash(hasher),
        Value::Bytes(bytes) => bytes.hash(hasher),
        Value::Array(values) => values.iter().for_each(|value| hash_value(value, hasher)),
        Value::Map(values) => hash_attributes(values, hasher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Span, SpanId, SpanKind, TraceId};

    fn span(resource: &Arc<Resource>, scope: &Arc<Scope>, name: &'static str) -> Span {
        Span::new(
            TraceId::default(),
            SpanId::default(),
            name,
            SpanKind::Internal,
            Arc::clone(resource),
            Arc::clone(scope),
        )
    }

    #[test]
    fn equal_resources_behind_different_pointers_are_one_group() {
        let make = |name: &str| Arc::new(Resource::new(vec![Attribute::new("service.name", name.to_owned())]));
        let (a, a2, b) = (make("a"), make("a"), make("b"));
        let (s, t) = (Arc::new(Scope::new("s", "1")), Arc::new(Scope::new("t", "1")));
        let spans = [
            span(&a, &s, "0"),
            span(&b, &s, "1"),
            span(&a2, &s, "2"),
            span(&a, &t, "3"),
            span(&a, &s, "4"),
            span(&b, &s, "5"),
        ];
        let mut grouping = Grouping::default();
        for _ in 0..2 {
            grouping.assign(&spans);
            let groups = grouping.groups().to_vec();
            let names: Vec<Vec<&str>> =
                groups.iter().map(|&g| grouping.members(g, &spans).map(|s| &*s.name).collect()).collect();
            assert_eq!(names, [vec!["0", "2", "4"], vec!["3"], vec!["1", "5"]]);
            assert_eq!(groups.iter().map(|g| g.opens_resource).collect::<Vec<_>>(), [true, false, true]);
        }
    }
}
