//! Connections by their addresses: bounded, and the one that was idle for longest goes first.

use std::{collections::HashMap, net::SocketAddr};

/// Two addresses, in the same order whoever sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::replay) struct Pair {
    low: SocketAddr,
    high: SocketAddr,
}

impl Pair {
    pub(in crate::replay) fn new(one: SocketAddr, other: SocketAddr) -> Self {
        if one <= other { Self { low: one, high: other } } else { Self { low: other, high: one } }
    }
}

/// Names an entry; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::replay) struct EntryId {
    index: usize,
    generation: u64,
}

/// A map with an order of use. Every operation but eviction takes constant time.
#[derive(Debug)]
pub(in crate::replay) struct Table<T> {
    by_pair: HashMap<Pair, usize>,
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
    /// Least recently used, and most.
    oldest: Option<usize>,
    newest: Option<usize>,
    generations: u64,
    limit: usize,
}

#[derive(Debug)]
struct Slot<T> {
    entry: Option<(Pair, T)>,
    generation: u64,
    used: u64,
    older: Option<usize>,
    newer: Option<usize>,
}

impl<T> Table<T> {
    pub(in crate::replay) fn new(limit: usize) -> Self {
        Self {
            by_pair: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: None,
            newest: None,
            generations: 0,
            limit: limit.max(1),
        }
    }

    pub(in crate::replay) fn is_full(&self) -> bool {
        self.by_pair.len() >= self.limit
    }

    pub(in crate::replay) fn id_of(&self, pair: Pair) -> Option<EntryId> {
        // Packets of a connection come one after the other: most are of the one that was used last.
        let is_newest = |index: &usize| {
            let slot = self.slots.get(*index);
            slot.and_then(|slot| slot.entry.as_ref()).is_some_and(|(other, _)| *other == pair)
        };
        let index = self.newest.filter(is_newest).or_else(|| self.by_pair.get(&pair).copied())?;
        Some(EntryId { index, generation: self.slots.get(index)?.generation })
    }

    pub(in crate::replay) fn get_mut(&mut self, id: EntryId) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.index).filter(|slot| slot.generation == id.generation)?;
        slot.entry.as_mut().map(|(_, value)| value)
    }

    /// Notes that an entry was used.
    pub(in crate::replay) fn touch(&mut self, id: EntryId, now: u64) {
        if self.newest != Some(id.index) && self.get_mut(id).is_some() {
            self.unlink(id.index);
            self.link(id.index);
        }
        if let Some(slot) = self.slots.get_mut(id.index).filter(|slot| slot.generation == id.generation) {
            slot.used = slot.used.max(now);
        }
    }

    /// Adds an entry; make room first.
    pub(in crate::replay) fn insert(&mut self, pair: Pair, value: T, now: u64) -> EntryId {
        self.generations += 1;
        let generation = self.generations;
        let slot = Slot { entry: Some((pair, value)), generation, used: now, older: None, newer: None };
        let index = match self.free.pop().and_then(|index| Some((index, self.slots.get_mut(index)?))) {
            Some((index, place)) => {
                *place = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.by_pair.insert(pair, index);
        self.link(index);
        EntryId { index, generation }
    }

    pub(in crate::replay) fn remove(&mut self, id: EntryId) -> Option<T> {
        self.get_mut(id)?;
        self.unlink(id.index);
        let slot = self.slots.get_mut(id.index)?;
        slot.generation = 0;
        let (pair, value) = slot.entry.take()?;
        self.free.push(id.index);
        // Another connection of the same pair may have taken its place.
        if self.by_pair.get(&pair) == Some(&id.index) {
            self.by_pair.remove(&pair);
        }
        Some(value)
    }

    /// The entry that was idle for longest, and since when.
    pub(in crate::replay) fn oldest(&self) -> Option<(EntryId, u64)> {
        let index = self.oldest?;
        let slot = self.slots.get(index)?;
        Some((EntryId { index, generation: slot.generation }, slot.used))
    }

    fn link(&mut self, index: usize) {
        let older = self.newest.replace(index);
        match older.and_then(|older| self.slots.get_mut(older)) {
            Some(slot) => slot.newer = Some(index),
            None => self.oldest = Some(index),
        }
        if let Some(slot) = self.slots.get_mut(index) {
            (slot.older, slot.newer) = (older, None);
        }
    }

    fn unlink(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let (older, newer) = (slot.older.take(), slot.newer.take());
        match older.and_then(|older| self.slots.get_mut(older)) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| self.slots.get_mut(newer)) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
    }
}
