//! What the handles and the worker have in common: the queue and the counters, under one lock, so that every reading of
//! them is consistent.

use std::{
    future,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, Semaphore, watch};

use super::{
    Config,
    disk::{Disk, Left},
    in_flight::InFlight,
    log::Log,
    suspects::Suspects,
};
use crate::{
    batch::{Batcher, Pushed, after},
    compress::Compressor,
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
    pub(super) disk: Disk,
    /// Whoever holds it finds out when a receiver that fails is back.
    pub(super) probe: Semaphore,
    /// One for each request that may be under way.
    pub(super) slots: Semaphore,
    state: Mutex<State<T>>,
    /// Wakes the worker: a batch began or is full.
    pub(super) wake: Notify,
    /// The deadline of the shutdown, once there is one.
    pub(super) closing: watch::Sender<Option<Instant>>,
    /// Whether the worker has ended.
    done: watch::Sender<bool>,
    /// Items were settled.
    settled: watch::Sender<()>,
    /// Either of both, for threads.
    changed: Condvar,
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
pub(super) struct State<T> {
    batcher: Batcher<T>,
    stats: Stats,
    closed: bool,
    done: bool,
    /// Deliveries that wait for their next attempt.
    pub(super) retrying: usize,
    /// Items that left the queue or the spool for good.
    ended: u64,
    /// Batches from the spool that were delivered.
    pub(super) delivered: u64,
    pub(super) suspects: Suspects,
    /// The receiver asked for no request before then.
    not_before: Option<Instant>,
}

/// What encoding a batch needs.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) encoder: Encoder,
    pub(super) body: Vec<u8>,
    pub(super) gzip: Option<Compressor>,
}

impl<T: Item> Shared<T> {
    pub(super) fn new(transport: Transport, mut config: Config) -> Self {
        // With none nothing would ever be sent.
        config.concurrency = config.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let batcher = Batcher::new(config.limits);
        let state = State {
            batcher,
            stats: Stats::default(),
            closed: false,
            done: false,
            retrying: 0,
            ended: 0,
            delivered: 0,
            suspects: Suspects::default(),
            not_before: None,
        };
        Self {
            transport,
            log: Log::new(T::SIGNAL),
            disk: Disk::new(config.spool.clone()),
            probe: Semaphore::new(1),
            slots: Semaphore::new(config.concurrency),
            config,
            state: Mutex::new(state),
            wake: Notify::new(),
            closing: watch::Sender::new(None),
            done: watch::Sender::new(false),
            settled: watch::Sender::new(()),
            changed: Condvar::new(),
            spare: Mutex::default(),
        }
    }

    /// No code that can panic runs under the lock, so a poisoned one is as good as any.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
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
        match state.batcher.poll_batch(Instant::now()) {
            Some(items) => {
                let count = count(&items);
                state.stats.queued -= count;
                state.stats.sending += count;
                Ok(InFlight::items(self, items, count))
            }
            None => Err(state.batcher.poll_timeout()),
        }
    }

    /// While the receiver fails nothing new is begun: those that fail already find out when it is back.
    pub(super) fn is_failing(&self) -> bool {
        let state = self.lock();
        state.retrying > 0 || state.suspects.are_too_many()
    }

    /// The receiver asks for no request before then, of this batch or of another.
    pub(super) fn hold_off(&self, until: Instant) {
        let not_before = &mut self.lock().not_before;
        *not_before = (*not_before).max(Some(until));
    }

    /// Until when there is to be no request, if that is still to come.
    pub(super) fn held_off(&self) -> Option<Instant> {
        self.lock().not_before.filter(|until| *until > Instant::now())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().batcher.is_empty()
    }

    pub(super) fn count_request(&self, again: bool) {
        let mut state = self.lock();
        state.stats.requests += 1;
        state.stats.retries += u64::from(again);
    }

    /// A batch from the spool was delivered.
    pub(super) fn delivered(&self) {
        self.lock().delivered += 1;
    }

    /// Starts the shutdown; gives the deadline.
    pub(super) fn close(&self, within: Duration) -> Instant {
        let asked = after(Instant::now(), within);
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

    /// The end of the worker, first part: what is left goes to the spool or is given up.
    pub(super) fn leave(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            state.closed = true;
            state.batcher.flush();
        }
        while let Ok(batch) = self.next_batch() {
            self.put_or_drop(batch);
        }
    }

    /// A batch for the spool that is dropped by the shutdown if it is not taken.
    pub(super) fn put_or_drop(&self, batch: InFlight<T>) {
        let Left { refused, too_large } = self.put(batch);
        for batch in [refused, too_large].into_iter().flatten() {
            self.log.dropped(DropReason::Shutdown, batch.count(), "");
        }
    }

    /// The worker has ended.
    pub(super) fn finish(self: &Arc<Self>) {
        self.leave();
        self.close_spool();
        self.lock().done = true;
        self.done.send_replace(true);
        self.changed.notify_all();
    }

    /// Changes the counters.
    pub(super) fn book(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.lock().stats);
    }

    /// The fate of items that were sending is known.
    pub(super) fn settle(&self, items: u64, book: impl FnOnce(&mut Stats, u64)) {
        self.end(items, |stats| {
            stats.sending -= items;
            book(stats, items);
        });
    }

    /// Items that were sending wait in the spool.
    pub(super) fn spooled(&self, items: u64) {
        self.book(|stats| {
            stats.sending -= items;
            stats.spooled += items;
        });
    }

    /// The spool gave items up.
    pub(super) fn lost(&self, items: u64, reason: DropReason, said: &str) {
        if items > 0 {
            self.end(items, |stats| {
                stats.spooled = stats.spooled.saturating_sub(items);
                stats.count_dropped(reason, items);
            });
            self.log.dropped(reason, items, said);
        }
    }

    fn end(&self, items: u64, book: impl FnOnce(&mut Stats)) {
        {
            let mut state = self.lock();
            book(&mut state.stats);
            state.ended += items;
        }
        self.settled.send_replace(());
        self.changed.notify_all();
    }

    /// Lets what waits leave at once; gives when that is done, for [`Shared::flushed`].
    pub(super) fn flush(&self) -> u64 {
        let until = {
            let mut state = self.lock();
            state.batcher.flush();
            let Stats { queued, sending, spooled, .. } = state.stats;
            state.ended + queued + sending + spooled
        };
        self.wake.notify_one();
        until
    }

    /// Resolves when so many items have ended, or the worker has.
    pub(super) async fn flushed(&self, until: u64) {
        let (mut settled, mut done) = (self.settled.subscribe(), self.done.subscribe());
        // The senders live as long as `self`.
        tokio::select! {
            _ = settled.wait_for(|()| self.lock().ended >= until) => {}
            _ = done.wait_for(|done| *done) => {}
        }
    }

    /// As [`Shared::flushed`], on a thread.
    pub(super) fn wait_flushed(&self, until: u64, deadline: Instant) {
        let state = self.lock();
        let left = deadline.saturating_duration_since(Instant::now());
        drop(self.changed.wait_timeout_while(state, left, |state| !state.done && state.ended < until));
    }

    pub(super) async fn finished(&self) {
        // The sender lives as long as `self`.
        let _ = self.done.subscribe().wait_for(|done| *done).await;
    }

    pub(super) fn wait_finished(&self, deadline: Instant) {
        let state = self.lock();
        let left = deadline.saturating_duration_since(Instant::now());
        drop(self.changed.wait_timeout_while(state, left, |state| !state.done));
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

pub(super) fn count<T: Item>(items: &[T]) -> u64 {
    items.iter().map(Item::count).sum()
}
