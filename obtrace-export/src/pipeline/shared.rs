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
    encode::json::TraceEncoder,
    model::Span,
    stats::{DropReason, Stats},
    transport::Http,
};

/// A deadline's grace: how much longer a caller of shutdown waits for the worker to count what it drops.
const GRACE: Duration = Duration::from_millis(250);

/// How long the worker goes on when every exporter was dropped without a shutdown.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) http: Http,
    pub(super) config: Config,
    pub(super) log: Log,
    state: Mutex<State>,
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
pub(super) struct Handle(pub(super) Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close(DROP_DEADLINE);
    }
}

#[derive(Debug)]
struct State {
    batcher: Batcher<Span>,
    stats: Stats,
    closed: bool,
    done: bool,
    /// Deliveries that wait for their next attempt.
    retrying: usize,
}

/// What encoding a batch needs.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) encoder: TraceEncoder,
    pub(super) body: Vec<u8>,
}

impl Shared {
    pub(super) fn new(http: Http, config: Config) -> Self {
        let batcher = Batcher::new(config.limits);
        Self {
            http,
            config,
            log: Log::default(),
            state: Mutex::new(State { batcher, stats: Stats::default(), closed: false, done: false, retrying: 0 }),
            wake: Notify::new(),
            closing: watch::Sender::new(None),
            done: watch::Sender::new(false),
            done_blocking: Condvar::new(),
            spare: Mutex::default(),
        }
    }

    /// No code that can panic runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, span: Span) -> Result<(), DropReason> {
        let bytes = span.memory();
        let now = Instant::now();
        // A span that is not taken is freed after the lock is.
        let (reason, _span) = {
            let mut state = self.lock();
            state.stats.accepted += 1;
            let (reason, span) = if state.closed {
                (DropReason::Closed, span)
            } else {
                match state.batcher.push(span, bytes, now) {
                    Ok(pushed) => {
                        drop(state);
                        if pushed != Pushed::Queued {
                            self.wake.notify_one();
                        }
                        return Ok(());
                    }
                    Err(span) => (DropReason::QueueFull, span),
                }
            };
            state.stats.count_dropped(reason, 1);
            (reason, span)
        };
        self.log.dropped(reason, 1, "");
        Err(reason)
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        let mut stats = state.stats;
        stats.queued = count(state.batcher.len());
        stats
    }

    /// The next batch that may leave now; else when to ask again.
    pub(super) fn next_batch(self: &Arc<Self>) -> Result<InFlight, Option<Instant>> {
        let mut state = self.lock();
        // While the receiver fails, those that fail already find out when it is back.
        if state.retrying > 0 {
            return Err(None);
        }
        match state.batcher.poll_batch(Instant::now()) {
            Some(spans) => {
                state.stats.sending += count(spans.len());
                Ok(InFlight { shared: Arc::clone(self), spans })
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
    pub(super) fn retrying(&self) -> Retrying<'_> {
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
        let left = {
            let mut state = self.lock();
            state.closed = true;
            state.done = true;
            let mut left = Vec::new();
            state.batcher.flush();
            while let Some(spans) = state.batcher.poll_batch(Instant::now()) {
                state.stats.count_dropped(DropReason::Shutdown, count(spans.len()));
                left.push(spans);
            }
            left
        };
        let spans = left.iter().map(Vec::len).sum();
        if spans > 0 {
            self.log.dropped(DropReason::Shutdown, spans, "");
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

fn count(items: usize) -> u64 {
    items.try_into().unwrap_or(u64::MAX)
}

#[derive(Debug)]
pub(super) struct Retrying<'s>(&'s Shared);

impl Drop for Retrying<'_> {
    fn drop(&mut self) {
        self.0.lock().retrying -= 1;
    }
}

/// Spans that left the queue and are counted as sending until their fate is known. Spans whose delivery is cut off count as
/// dropped by the shutdown, so that no span is ever unaccounted for.
#[derive(Debug)]
pub(super) struct InFlight {
    shared: Arc<Shared>,
    pub(super) spans: Vec<Span>,
}

impl InFlight {
    /// The receiver took them but for some.
    pub(super) fn exported(mut self, rejected: u64) {
        self.settle(|stats, spans| {
            let rejected = rejected.min(spans);
            stats.exported += spans - rejected;
            stats.rejected += rejected;
        });
    }

    /// They were given up.
    pub(super) fn dropped(mut self, reason: DropReason) {
        self.settle(|stats, spans| stats.count_dropped(reason, spans));
    }

    /// Both halves; the first is empty if there is one span only.
    pub(super) fn split(mut self) -> (Self, Self) {
        let spans = self.spans.split_off(self.spans.len() / 2);
        let second = Self { shared: Arc::clone(&self.shared), spans };
        (self, second)
    }

    fn settle(&mut self, book: impl FnOnce(&mut Stats, u64)) {
        let spans = std::mem::take(&mut self.spans);
        let count = count(spans.len());
        let mut state = self.shared.lock();
        state.stats.sending -= count;
        book(&mut state.stats, count);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.spans.is_empty() {
            self.settle(|stats, spans| stats.count_dropped(DropReason::Shutdown, spans));
        }
    }
}
