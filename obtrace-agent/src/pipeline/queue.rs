//! A bounded queue between two nodes.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Many producers, one consumer. Producers wait while it is full, the consumer while it is empty.
#[derive(Debug)]
pub(super) struct Queue<T> {
    pub(super) capacity: usize,
    state: Mutex<State<T>>,
    /// The consumer waits here.
    filled: Condvar,
    /// Producers wait here.
    emptied: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    /// No more items come; those that are here are still handed out.
    closed: bool,
    /// Nobody takes items any more.
    abandoned: bool,
    counts: Counts,
}

/// What has gone through a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) stuck: u64,
    pub(super) refused: u64,
}

/// Why an item was not taken.
#[derive(Debug)]
pub(super) enum Refused<T> {
    /// The queue has been full for as long as the sender wanted to wait.
    Full(T),
    /// The consumer is gone.
    Abandoned,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let counts = Counts::default();
        let state = State { items: VecDeque::new(), closed: false, abandoned: false, counts };
        Self { capacity: capacity.max(1), state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new() }
    }

    /// No code of others runs under the lock, so that a panic elsewhere cannot leave the state half changed.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item in; waits at most `patience` for room. A wait that ends without room is counted as stuck.
    pub(super) fn push(&self, item: T, patience: Duration) -> Result<(), Refused<T>> {
        let mut state = self.lock();
        let mut since = None;
        while state.items.len() >= self.capacity && !state.abandoned {
            let waited = since.get_or_insert_with(Instant::now).elapsed();
            let left = patience.saturating_sub(waited);
            if left.is_zero() {
                state.counts.stuck += 1;
                return Err(Refused::Full(item));
            }
            state = self.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.abandoned {
            state.counts.refused += 1;
            return Err(Refused::Abandoned);
        }
        state.items.push_back(item);
        state.counts.sent += 1;
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// The next item; `None` once the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = self.take(&mut state) {
                return Some(item);
            }
            if state.closed || state.abandoned {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As [`Queue::pop`], and an empty answer when nothing came for `patience`.
    pub(super) fn pop_within(&self, patience: Duration) -> Popped<T> {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if let Some(item) = self.take(&mut state) {
                return Popped::Item(item);
            }
            if state.closed || state.abandoned {
                return Popped::Closed;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Popped::Nothing;
            }
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn take(&self, state: &mut State<T>) -> Option<T> {
        let item = state.items.pop_front()?;
        state.counts.received += 1;
        self.emptied.notify_one();
        Some(item)
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// The consumer is gone: what waits is dropped, producers are told. How many items were dropped.
    pub(super) fn abandon(&self) -> usize {
        let mut state = self.lock();
        state.abandoned = true;
        let left = std::mem::take(&mut state.items);
        state.counts.refused += left.len() as u64;
        drop(state);
        self.filled.notify_all();
        self.emptied.notify_all();
        left.len()
    }

    pub(super) fn depth(&self) -> usize {
        self.lock().items.len()
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }
}

/// Answer of [`Queue::pop_within`].
#[derive(Debug)]
pub(super) enum Popped<T> {
    Item(T),
    Nothing,
    Closed,
}
