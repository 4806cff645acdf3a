//! What waits for its acknowledgement, by packet identifier.

use alloc::{boxed::Box, vec::Vec};

use super::slot::Slot;
use crate::parser::Side;

/// Who chose the identifier, and which: the two ends count on their own
/// ([§2.2.1](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901026)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) sender: Side,
    pub(super) id: u16,
}

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Entry {
    key: Key,
    slot: Option<Box<Slot>>,
    /// The next one with the same hash, or the next free place.
    next: u32,
    /// The neighbours in age.
    older: u32,
    newer: u32,
}

/// Slots found by their key, and the oldest of them: each in constant time, whatever identifiers are chosen.
#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    buckets: Vec<u32>,
    free: u32,
    oldest: u32,
    newest: u32,
    len: usize,
    /// Heap bytes of the slots.
    held: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: Vec::new(), buckets: Vec::new(), free: NONE, oldest: NONE, newest: NONE, len: 0, held: 0 }
    }
}

impl Table {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    fn entry(&self, at: u32) -> Option<&Entry> {
        self.entries.get(at as usize)
    }

    fn entry_mut(&mut self, at: u32) -> Option<&mut Entry> {
        self.entries.get_mut(at as usize)
    }

    fn bucket(&self, key: Key) -> usize {
        let number = u32::from(key.id) << 1 | u32::from(key.sender == Side::Server);
        let mixed = number.wrapping_mul(0x9e37_79b1) >> 8;
        mixed as usize & self.buckets.len().saturating_sub(1)
    }

    fn find(&self, key: Key) -> u32 {
        let mut at = self.buckets.get(self.bucket(key)).copied().unwrap_or(NONE);
        while let Some(entry) = self.entry(at).filter(|entry| entry.key != key) {
            at = entry.next;
        }
        at
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Slot> {
        let at = self.find(key);
        self.entry_mut(at)?.slot.as_deref_mut()
    }

    /// Puts a slot in as the newest. There must be none with its key. Its text is not to change there.
    pub(super) fn insert(&mut self, key: Key, slot: Box<Slot>) {
        if self.len >= self.buckets.len() {
            self.grow();
        }
        self.held = self.held.saturating_add(slot.memory());
        let bucket = self.bucket(key);
        let next = self.buckets.get(bucket).copied().unwrap_or(NONE);
        let entry = Entry { key, slot: Some(slot), next, older: self.newest, newer: NONE };
        let at = match self.entry(self.free).map(|free| free.next) {
            Some(next_free) => {
                let at = core::mem::replace(&mut self.free, next_free);
                if let Some(place) = self.entry_mut(at) {
                    *place = entry;
                }
                at
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len().saturating_sub(1)).unwrap_or(NONE)
            }
        };
        if let Some(head) = self.buckets.get_mut(bucket) {
            *head = at;
        }
        let before = core::mem::replace(&mut self.newest, at);
        match self.entry_mut(before) {
            Some(before) => before.newer = at,
            None => self.oldest = at,
        }
        self.len = self.len.saturating_add(1);
    }

    fn grow(&mut self) {
        let size = self.buckets.len().saturating_mul(2).max(8);
        self.buckets.clear();
        self.buckets.resize(size, NONE);
        let mut at = self.oldest;
        while let Some((key, newer)) = self.entry(at).map(|entry| (entry.key, entry.newer)) {
            let bucket = self.bucket(key);
            let next = self.buckets.get_mut(bucket).map_or(NONE, |head| core::mem::replace(head, at));
            if let Some(entry) = self.entry_mut(at) {
                entry.next = next;
            }
            at = newer;
        }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Box<Slot>> {
        let at = self.find(key);
        let bucket = self.bucket(key);
        let free = self.free;
        let entry = self.entry_mut(at)?;
        let slot = entry.slot.take();
        let (next, older, newer) = (core::mem::replace(&mut entry.next, free), entry.older, entry.newer);
        self.free = at;
        // Out of its bucket.
        let mut before = self.buckets.get(bucket).copied().unwrap_or(NONE);
        if before == at {
            if let Some(head) = self.buckets.get_mut(bucket) {
                *head = next;
            }
        } else {
            while let Some(entry) = self.entry_mut(before) {
                if entry.next == at {
                    entry.next = next;
                    break;
                }
                before = entry.next;
            }
        }
        match self.entry_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.entry_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        self.len = self.len.saturating_sub(1);
        self.held = self.held.saturating_sub(slot.as_ref().map_or(0, |slot| slot.memory()));
        slot
    }

    pub(super) fn remove_oldest(&mut self) -> Option<Box<Slot>> {
        let key = self.entry(self.oldest)?.key;
        self.remove(key)
    }

    pub(super) fn memory(&self) -> usize {
        let entries = self.entries.capacity().saturating_mul(size_of::<Entry>());
        let buckets = self.buckets.capacity().saturating_mul(size_of::<u32>());
        entries.saturating_add(buckets).saturating_add(self.held)
    }

    pub(super) fn shrink(&mut self) {
        if self.len == 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_any_order() {
        let mut table = Table::default();
        let mut known = alloc::collections::VecDeque::new();
        let mut seed = 7_u32;
        for round in 0..20_000_u64 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let sender = if seed & 1 == 0 { Side::Client } else { Side::Server };
            // Some far apart, some that differ in the upper bits only.
            let key = Key { sender, id: (seed >> 16) as u16 & if round % 2 == 0 { 0x3f } else { 0xf800 } };
            let at = known.iter().position(|(other, _)| *other == key);
            assert_eq!(table.get_mut(key).map(|slot| slot.id), at.map(|at| known[at].1));
            if let Some(at) = at {
                let (_, id) = known.remove(at).unwrap();
                assert_eq!(table.remove(key).unwrap().id, id);
            } else {
                table.insert(key, Box::new(Slot { id: round, ..Slot::default() }));
                known.push_back((key, round));
            }
            if seed & 0x700 == 0 {
                assert_eq!(table.remove_oldest().map(|slot| slot.id), known.pop_front().map(|(_, id)| id));
            }
            assert_eq!(table.len(), known.len());
        }
        while let Some((_, id)) = known.pop_front() {
            assert_eq!(table.remove_oldest().unwrap().id, id);
        }
        assert!(table.remove_oldest().is_none());
        assert!(table.entries.len() < 200, "{}", table.entries.len());
    }
}
