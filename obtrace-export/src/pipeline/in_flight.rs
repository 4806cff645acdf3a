//! What left the queue and is counted until its fate is known.

use std::sync::Arc;

use bytes::Bytes;

use super::shared::{Shared, count};
use crate::{
    encode::Format,
    model::Item,
    spool::Receipt,
    stats::{DropReason, Stats},
};

/// What there is to send.
#[derive(Debug)]
pub(super) enum Load<T> {
    /// Items, written anew for each attempt.
    Items(Vec<T>),
    /// A body from the spool, compressed with gzip.
    Record { format: Format, gzip: Bytes },
}

/// A batch, or half of one, as it is sent.
#[derive(Debug)]
pub(super) struct Part<T> {
    pub(super) load: Load<T>,
    pub(super) count: u64,
    /// The receiver found the whole too large.
    pub(super) is_half: bool,
}

/// Both halves of some items, or of what is within a single one.
pub(super) fn halves<T: Item>(mut items: Vec<T>) -> Result<[Vec<T>; 2], Vec<T>> {
    if items.len() > 1 {
        let rest = items.split_off(items.len() / 2);
        return Ok([items, rest]);
    }
    match items.first_mut().and_then(T::split_off) {
        Some(rest) => Ok([items, vec![rest]]),
        None => Err(items),
    }
}

/// A batch that is counted as sending. However it goes out of scope, each of its items is counted once: those whose delivery
/// is cut off stay in the spool if they are there, else they count as dropped by the shutdown.
#[derive(Debug)]
pub(super) struct InFlight<T: Item> {
    shared: Arc<Shared<T>>,
    load: Load<T>,
    /// What is under way of it, the next one last.
    parts: Vec<Part<T>>,
    /// Items whose fate is open, as OTLP counts them.
    count: u64,
    /// Items of the record in the spool.
    whole: u64,
    /// Where they lie in the spool.
    receipt: Option<Receipt>,
}

impl<T: Item> InFlight<T> {
    /// Items that [`Shared`] counts as sending already.
    pub(super) fn items(shared: &Arc<Shared<T>>, items: Vec<T>, count: u64) -> Self {
        Self { shared: Arc::clone(shared), load: Load::Items(items), parts: Vec::new(), count, whole: 0, receipt: None }
    }

    /// A batch from the spool that [`Shared`] counts as sending already.
    pub(super) fn record(shared: &Arc<Shared<T>>, load: Load<T>, count: u64, receipt: Receipt) -> Self {
        Self { shared: Arc::clone(shared), load, parts: Vec::new(), count, whole: count, receipt: Some(receipt) }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whether it outlives this process.
    pub(super) fn is_on_disk(&self) -> bool {
        self.receipt.is_some()
    }

    /// Makes the whole the part that is sent next.
    pub(super) fn begin(&mut self) {
        let whole = Part { load: self.take_load(), count: self.count, is_half: false };
        self.parts.push(whole);
    }

    /// What is sent next.
    pub(super) fn part(&mut self) -> Option<&mut Part<T>> {
        self.parts.last_mut()
    }

    pub(super) fn take_part(&mut self) -> Option<Part<T>> {
        self.parts.pop()
    }

    pub(super) fn add_parts(&mut self, [first, second]: [Part<T>; 2]) {
        self.parts.extend([second, first]);
    }

    /// Writes what is left of a batch from the spool anew as the last of the spool, part by part, the first of them first.
    /// `false`: some of it is not taken there, and is still to be sent.
    pub(super) fn put_last(&mut self) -> bool {
        while let Some(part) = self.parts.last() {
            if part.count > 0 && !self.shared.write_anew(part) {
                return false;
            }
            self.count -= part.count.min(self.count);
            self.parts.pop();
        }
        self.count == 0
    }

    /// Takes out what is to be sent.
    pub(super) fn take_load(&mut self) -> Load<T> {
        std::mem::replace(&mut self.load, Load::Items(Vec::new()))
    }

    /// The items of a batch that is in memory.
    pub(super) fn as_items(&self) -> &[T] {
        match &self.load {
            Load::Items(items) => items,
            Load::Record { .. } => &[],
        }
    }

    /// Both halves of a batch in memory, if it has any.
    pub(super) fn split(mut self) -> Result<(Self, Self), Self> {
        let items = match self.take_load() {
            Load::Items(items) => items,
            Load::Record { .. } => Vec::new(),
        };
        match halves(items) {
            Ok([items, rest]) => {
                let of_rest = count(&rest).min(self.count);
                let second = Self::items(&self.shared, rest, of_rest);
                self.count -= of_rest;
                self.load = Load::Items(items);
                Ok((self, second))
            }
            Err(items) => {
                self.load = Load::Items(items);
                Err(self)
            }
        }
    }

    /// Takes over the items of another batch in memory.
    pub(super) fn absorb(&mut self, mut other: Self) {
        if let (Load::Items(items), Load::Items(others)) = (&mut self.load, &mut other.load) {
            items.append(others);
            self.count += std::mem::take(&mut other.count);
        }
    }

    /// The receiver took so many of its items but for some.
    pub(super) fn exported(&mut self, items: u64, rejected: u64) {
        self.settle(items, |stats, items| {
            let rejected = rejected.min(items);
            stats.exported += items - rejected;
            stats.rejected += rejected;
        });
    }

    /// So many of its items were given up.
    pub(super) fn dropped(&mut self, items: u64, reason: DropReason) {
        self.settle(items, |stats, items| stats.count_dropped(reason, items));
    }

    /// All of them are in the spool now.
    pub(super) fn spooled(&mut self) {
        self.shared.spooled(std::mem::take(&mut self.count));
    }

    fn settle(&mut self, items: u64, book: impl FnOnce(&mut Stats, u64)) {
        let items = items.min(self.count);
        self.count -= items;
        self.shared.settle(items, book);
    }
}

impl<T: Item> Drop for InFlight<T> {
    fn drop(&mut self) {
        let left = self.count;
        if self.receipt.is_none() && left > 0 {
            self.dropped(left, DropReason::Shutdown);
        }
        // What arrived of it is not to come again.
        let is_done = left == 0 || left < self.whole && self.put_last();
        let Some(receipt) = self.receipt.take() else { return };
        if is_done {
            self.shared.acknowledge(receipt);
        } else {
            self.shared.keep(&receipt, self.whole, std::mem::take(&mut self.count));
        }
    }
}
