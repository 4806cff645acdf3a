//! What the handles and the worker have in common: the queue and the counters, under one lock, so that every reading of
//! them is consistent.

use std::{
    future,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

use super::{Config, log::Log};
use crate::{
    batch::{Batcher, Pushed},
    encode::Encoder,
    model::Item,
    stats::{DropReason, Stats},
    transport::Transport,
};

/// A deadline's grace: how much longer a caller of shutdown waits for the worker to count what it drops.
const GRACE: Duration = Duration::from_millis(250);

/// How long the worker goes on when every exporter was dropped without a shutdown.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Shared<T> {
    pub(super) transport: Transport,
    pub(super) config: Config,
    pub(super) log: Log,
    state: Mutex<State<T>>,
    /// Wakes the worker: a batch began or is full.
    pub(super) wake: Notify,
    /// The deadline of the shutdown, once there is one.
    pub(super) closing: watch::Sender<Option<Instant>>,
    /// Whether the worker has ended.
    done: watch::Sender<bool>,
    done_blocking: Condvar,
    /// Encoders and body buffers between requests.
    spare: Mutex<Vec<Scratch>>,
}

/// What all clones of an exporter hold together: with the last of them the queue gets no more spans, so the worker ends.
#[derive(Debug)]
pub(super) struct Handle<T: Item>(pub(super) Arc<Shared<T>>);

impl<T: Item> Drop for Handle<T> {
    fn drop(&mut self) {
        self.0.close(DROP_DEADLINE);
    }
}

#[derive(Debug)]
struct State<T> {
    batcher: Batcher<T>,
    stats: Stats,
    closed: bool,
    done: bool,
    /// Deliveries that wait for their next attempt.
    retrying: usize,
}

/// What encoding a batch needs.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) encoder: Encoder,
    pub(super) body: Vec<u8>,
}

impl<T: Item> Shared<T> {
    pub(super) fn new(transport: Transport, config: Config) -> Self {
        let batcher = Batcher::new(config.limits);
        Self {
            transport,
            config,
            log: Log::new(T::SIGNAL),
            state: Mutex::new(State { batcher, stats: Stats::default(), closed: false, done: false, retrying: 0 }),
            wake: Notify::new(),
            closing: watch::Sender::new(None),
            done: watch::Sender::new(false),
            done_blocking: Condvar::new(),
            spare: Mutex::default(),
        }
    }

    /// No code that can panic runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, item: T) -> Result<(), DropReason> {
        let (bytes, items) = (item.memory(), item.count());
        let now = Instant::now();
        // An item that is not taken is freed after the lock is.
        let (reason, _item) = {
            let mut state = self.lock();
            state.stats.accepted += items;
            let (reason, item) = if state.closed {
                (DropReason::Closed, item)
            } else {
                match state.batcher.push(item, bytes, now) {
                    Ok(pushed) => {
                        state.stats.queued += items;
                        drop(state);
                        if pushed != Pushed::Queued {
                            self.wake.notify_one();
                        }
                        return Ok(());
                    }
                    Err(item) => (DropReason::QueueFull, item),
                }
            };
            state.stats.count_dropped(reason, items);
            (reason, item)
        };
        self.log.dropped(reason, items, "");
        Err(reason)
    }

    pub(super) fn stats(&self) -> Stats {
        self.lock().stats
    }

    /// The next batch that may leave now; else when to ask again.
    pub(super) fn next_batch(self: &Arc<Self>) -> Result<InFlight<T>, Option<Instant>> {
        let mut state = self.lock();
        // While the receiver fails, those that fail already find out when it is back.
        if state.retrying > 0 {
            return Err(None);
        }
        match state.batcher.poll_batch(Instant::now()) {
            Some(items) => {
                let items = InFlight { shared: Arc::clone(self), count: count(&items), items };
                state.stats.queued -= items.count;
                state.stats.sending += items.count;
                Ok(items)
            }
            None => Err(state.batcher.poll_timeout()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().batcher.is_empty()
    }

    pub(super) fn count_request(&self, again: bool) {
        let mut state = self.lock();
        state.stats.requests += 1;
        state.stats.retries += u64::from(again);
    }

    /// Marks a delivery as waiting for its next attempt for as long as the value lives.
    pub(super) fn retrying(&self) -> Retrying<'_, T> {
        self.lock().retrying += 1;
        Retrying(self)
    }

    /// Starts the shutdown; gives the deadline.
    pub(super) fn close(&self, within: Duration) -> Instant {
        let asked = Instant::now() + within;
        {
            let mut state = self.lock();
            state.closed = true;
            state.batcher.flush();
        }
        let mut deadline = asked;
        self.closing.send_modify(|closing| {
            deadline = closing.map_or(asked, |earlier| earlier.min(asked));
            *closing = Some(deadline);
        });
        deadline + GRACE
    }

    /// The worker has ended: what is left will not be sent.
    pub(super) fn finish(&self) {
        // What is left is freed after the lock is.
        let (left, _items) = {
            let mut state = self.lock();
            state.closed = true;
            state.done = true;
            let mut items = Vec::new();
            state.batcher.flush();
            while let Some(batch) = state.batcher.poll_batch(Instant::now()) {
                items.push(batch);
            }
            let queued = std::mem::take(&mut state.stats.queued);
            state.stats.count_dropped(DropReason::Shutdown, queued);
            (queued, items)
        };
        if left > 0 {
            self.log.dropped(DropReason::Shutdown, left, "");
        }
        self.done.send_replace(true);
        self.done_blocking.notify_all();
    }

    pub(super) async fn finished(&self) {
        // The sender lives as long as `self`.
        let _ = self.done.subscribe().wait_for(|done| *done).await;
    }

    pub(super) fn wait_finished(&self, deadline: Instant) {
        let state = self.lock();
        let left = deadline.saturating_duration_since(Instant::now());
        drop(self.done_blocking.wait_timeout_while(state, left, |state| !state.done));
    }

    /// Resolves when the shutdown begins, with its deadline.
    pub(super) async fn closed(&self) -> Instant {
        let deadline = self.closing.subscribe().wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline);
        match deadline {
            Some(deadline) => deadline,
            // The sender lives as long as `self`, so this is never reached.
            None => future::pending().await,
        }
    }

    pub(super) fn scratch(&self) -> Scratch {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes a buffer back for the next request. One of which little was used goes back to the system.
    pub(super) fn recycle(&self, mut scratch: Scratch) {
        if scratch.body.capacity() > 4 * scratch.body.len() {
            scratch.body = Vec::new();
        }
        scratch.body.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < self.config.concurrency {
            spare.push(scratch);
        }
    }
}

fn count<T: Item>(items: &[T]) -> u64 {
    items.iter().map(Item::count).sum()
}

#[derive(Debug)]
pub(super) struct Retrying<'s, T: Item>(&'s Shared<T>);

impl<T: Item> Drop for Retrying<'_, T> {
    fn drop(&mut self) {
        self.0.lock().retrying -= 1;
    }
}

/// Items that left the queue and are counted as sending until their fate is known. Items whose delivery is cut off count as
/// dropped by the shutdown, so that none is ever unaccounted for.
#[derive(Debug)]
pub(super) struct InFlight<T: Item> {
    shared: Arc<Shared<T>>,
    pub(super) items: Vec<T>,
    /// How many OTLP counts them for.
    pub(super) count: u64,
}

impl<T: Item> InFlight<T> {
    /// The receiver took them but for some.
    pub(super) fn exported(mut self, rejected: u64) {
        self.settle(|stats, items| {
            let rejected = rejected.min(items);
            stats.exported += items - rejected;
            stats.rejected += rejected;
        });
    }

    /// They were given up.
    pub(super) fn dropped(mut self, reason: DropReason) {
        self.settle(|stats, items| stats.count_dropped(reason, items));
    }

    /// Both halves; the first is empty if there is one item only.
    pub(super) fn split(mut self) -> (Self, Self) {
        let items = self.items.split_off(self.items.len() / 2);
        let second = Self { shared: Arc::clone(&self.shared), count: count(&items), items };
        self.count -= second.count;
        (self, second)
    }

    fn settle(&mut self, book: impl FnOnce(&mut Stats, u64)) {
        let _items = std::mem::take(&mut self.items);
        let count = std::mem::take(&mut self.count);
        let mut state = self.shared.lock();
        state.stats.sending -= count;
        book(&mut state.stats, count);
    }
}

impl<T: Item> Drop for InFlight<T> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.settle(|stats, items| stats.count_dropped(DropReason::Shutdown, items));
        }
    }
}
