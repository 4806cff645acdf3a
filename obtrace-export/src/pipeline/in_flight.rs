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

/// A batch that is counted as sending. However it goes out of scope, each of its items is counted once: those whose delivery
/// is cut off stay in the spool if they are there, else they count as dropped by the shutdown.
#[derive(Debug)]
pub(super) struct InFlight<T: Item> {
    shared: Arc<Shared<T>>,
    load: Load<T>,
    /// Items whose fate is open, as OTLP counts them.
    count: u64,
    /// Where they lie in the spool.
    receipt: Option<Receipt>,
}

impl<T: Item> InFlight<T> {
    /// Items that [`Shared`] counts as sending already.
    pub(super) fn items(shared: &Arc<Shared<T>>, items: Vec<T>, count: u64) -> Self {
        Self { shared: Arc::clone(shared), load: Load::Items(items), count, receipt: None }
    }

    /// A batch from the spool that [`Shared`] counts as sending already.
    pub(super) fn record(shared: &Arc<Shared<T>>, load: Load<T>, count: u64, receipt: Receipt) -> Self {
        Self { shared: Arc::clone(shared), load, count, receipt: Some(receipt) }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whether it outlives this process.
    pub(super) fn is_on_disk(&self) -> bool {
        self.receipt.is_some()
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

    /// Both halves of a batch in memory; the first is empty if there is one item only.
    pub(super) fn split(mut self) -> (Self, Self) {
        let mut items = match self.take_load() {
            Load::Items(items) => items,
            Load::Record { .. } => Vec::new(),
        };
        let rest = items.split_off(items.len() / 2);
        let of_rest = count(&rest);
        let second = Self::items(&self.shared, rest, of_rest);
        self.count -= of_rest;
        self.load = Load::Items(items);
        (self, second)
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
        match self.receipt.take() {
            Some(receipt) if left == 0 => self.shared.acknowledge(receipt),
            Some(receipt) if self.shared.release(&receipt) => self.spooled(),
            // Its place was given up to make room.
            Some(_) => self.dropped(left, DropReason::SpoolFull),
            None if left > 0 => self.dropped(left, DropReason::Shutdown),
            None => {}
        }
    }
}
