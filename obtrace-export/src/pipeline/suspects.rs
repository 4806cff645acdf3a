//! Which of those that fail is to blame, a batch or the receiver.

use std::{collections::VecDeque, time::Instant};

use super::shared::Shared;
use crate::model::Item;

/// So many batches that would not go are held aside; beyond that the oldest goes to the end of the spool.
const MOST_SUSPECTS: usize = 4;

/// So many are, one after the other, while there is no room at the end of the spool.
const MOST_STUCK: usize = 16;

/// So many attempts must fail while others are delivered.
const STRIKES: u32 = 2;

/// Batches that others have overtaken as they would not go.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Oldest first.
    aside: VecDeque<u64>,
    next: u64,
    /// So many more than [`MOST_SUSPECTS`] are held, as the spool did not take the oldest.
    stuck: usize,
    /// When those began that the worker does not know of yet.
    untold: Vec<Instant>,
}

impl Suspects {
    fn add(&mut self, began: Instant) -> u64 {
        let id = self.next;
        self.next += 1;
        self.aside.push_back(id);
        self.untold.push(began);
        id
    }

    /// Whether nothing new is to begin until one of them has left.
    pub(super) fn are_too_many(&self) -> bool {
        self.aside.len() > MOST_SUSPECTS + self.stuck
    }

    fn remove(&mut self, id: u64) {
        self.aside.retain(|other| *other != id);
        self.stuck = self.stuck.min(self.aside.len().saturating_sub(MOST_SUSPECTS));
    }
}

impl<T: Item> Shared<T> {
    /// Marks a delivery as waiting for its next attempt for as long as the value lives.
    pub(super) fn retrying(&self) -> Retrying<'_, T> {
        self.lock().retrying += 1;
        Retrying(self)
    }

    /// Lets others overtake a batch from the spool that began then, for as long as the value lives.
    pub(super) fn suspect(&self, began: Instant) -> Suspect<'_, T> {
        let (id, seen) = {
            let mut state = self.lock();
            (state.suspects.add(began), state.delivered)
        };
        self.wake.notify_one();
        Suspect { shared: self, id, seen, strikes: 0 }
    }

    /// When those batches began that are set aside since the last call.
    pub(super) fn take_set_aside(&self) -> Vec<Instant> {
        std::mem::take(&mut self.lock().suspects.untold)
    }
}

#[derive(Debug)]
pub(super) struct Retrying<'s, T: Item>(&'s Shared<T>);

impl<T: Item> Drop for Retrying<'_, T> {
    fn drop(&mut self) {
        self.0.lock().retrying -= 1;
    }
}

/// A batch from the spool that failed for long: because of what it is, or because the receiver is away.
#[derive(Debug)]
pub(super) struct Suspect<'s, T: Item> {
    shared: &'s Shared<T>,
    id: u64,
    /// How many others were delivered when it last failed.
    seen: u64,
    strikes: u32,
}

impl<T: Item> Suspect<'_, T> {
    /// Notes another failure; whether it is the batch and not the receiver.
    pub(super) fn failed(&mut self) -> bool {
        let delivered = self.shared.lock().delivered;
        if delivered > self.seen {
            self.seen = delivered;
            self.strikes += 1;
        }
        self.strikes >= STRIKES
    }

    /// Whether it is the oldest of too many.
    pub(super) fn is_surplus(&self) -> bool {
        let aside = &self.shared.lock().suspects.aside;
        aside.len() > MOST_SUSPECTS && aside.front() == Some(&self.id)
    }

    /// It is, and there is no room for it at the end of the spool: one more has its turn all the same, lest some that never
    /// go keep all others back.
    pub(super) fn stays(&self) {
        {
            let suspects = &mut self.shared.lock().suspects;
            suspects.stuck = suspects.aside.len().min(MOST_STUCK).saturating_sub(MOST_SUSPECTS);
        }
        self.shared.wake.notify_one();
    }
}

impl<T: Item> Drop for Suspect<'_, T> {
    fn drop(&mut self) {
        self.shared.lock().suspects.remove(self.id);
    }
}
