//! The task that feeds requests from the queue.

use std::{
    future, io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinHandle, JoinSet, spawn_blocking, yield_now},
    time::{Instant as TokioInstant, sleep_until, timeout_at},
};

use super::{
    delivery::{self, Delivered},
    disk::Left,
    in_flight::InFlight,
    pace::Pace,
    shared::Shared,
};
use crate::model::{Item, Span};

/// How long until a batch that the spool did not take is offered to it again.
const PUT_AGAIN: Duration = Duration::from_millis(250);

/// How long until a spool that gave nothing although it holds something is asked again.
const TAKE_AGAIN: Duration = Duration::from_secs(1);

/// How long past the deadline the spool may take to be closed, until the worker ends without it.
const CLOSING: Duration = Duration::from_secs(5);

/// How many batches are written to the spool before requests have their turn.
const PUTS_IN_A_ROW: usize = 8;

/// Sends what its [`Exporter`](super::Exporter) takes, until that is shut down.
#[derive(Debug)]
#[must_use = "nothing is sent unless the worker runs"]
pub struct Worker<T: Item = Span> {
    ending: Ending<T>,
}

/// However the worker ends (shutdown, a dropped future, a panic), nobody waits for it in vain.
#[derive(Debug)]
struct Ending<T: Item>(Arc<Shared<T>>);

impl<T: Item> Drop for Ending<T> {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl<T: Item> Worker<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { ending: Ending(shared) }
    }

    /// Runs until the exporter is shut down; on any tokio runtime with time and IO. Dropping the future ends it at once: what
    /// was not delivered stays in the spool or counts as dropped by the shutdown.
    ///
    /// With a spool, files are written on this task, a batch at a time; the disk is waited for on the runtime's threads for
    /// blocking work, but at the end.
    pub async fn run(self) {
        let shared = &self.ending.0;
        let mut closing = shared.closing.subscribe();
        let mut sends = Sends {
            shared,
            tasks: JoinSet::new(),
            pace: Pace::default(),
            in_memory: None,
            too_large: None,
            syncing: None,
            resting: false,
        };
        // At once, so that it takes what a shutdown leaves that comes before anything else.
        shared.open_spool();
        let deadline = loop {
            let deadline = *closing.borrow_and_update();
            if let Some(deadline) = deadline.filter(|deadline| *deadline <= Instant::now()) {
                break deadline;
            }
            let next = sends.feed();
            if let Some(deadline) = deadline.filter(|_| sends.are_done()) {
                break deadline;
            }
            // Producers that never rest wake this task again and again: requests have their turn all the same.
            yield_now().await;
            tokio::select! {
                () = shared.wake.notified() => {}
                // The sender lives in `shared`.
                _ = closing.changed() => {}
                Some(ended) = sends.tasks.join_next(), if !sends.tasks.is_empty() => sends.ended(ended.ok()),
                () = next.come() => {}
                () = at(deadline) => {}
            }
        };
        // What is cut off here counts itself.
        sends.tasks.shutdown().await;
        drop(sends);
        shared.leave();
        // On another thread: the disk may take its time, and a caller of shutdown waits no longer than it said.
        let closed = spawn_blocking({
            let shared = Arc::clone(shared);
            move || shared.close_spool()
        });
        let until = deadline.max(Instant::now() + CLOSING);
        let _ = timeout_at(until.into(), closed).await;
    }

    /// Runs on a thread of its own, named `obtrace-export`; for several exporters see [`Workers`](super::Workers).
    ///
    /// # Errors
    ///
    /// The system gave no thread or no IO driver; what was sent so far counts as dropped.
    pub fn spawn_thread(self) -> io::Result<thread::JoinHandle<()>> {
        super::Workers::new().with(self).spawn_thread()
    }
}

/// When there may be more to do.
enum Next {
    /// At once.
    Now,
    /// Then; or only when something happens.
    At(Option<Instant>),
}

impl Next {
    async fn come(self) {
        match self {
            Self::Now => {}
            Self::At(time) => at(time).await,
        }
    }
}

/// A batch that the spool did not take, until it does or is sent.
struct Parked<T: Item> {
    batch: InFlight<T>,
    /// When it is offered again.
    again: Instant,
}

/// The requests that are under way, and what feeds them.
struct Sends<'s, T: Item> {
    shared: &'s Arc<Shared<T>>,
    /// Each gives when it began, and whether its batch was kept for the next run.
    tasks: JoinSet<Delivered>,
    pace: Pace,
    /// While it is there the spool takes no other, so that what waits is bounded by the queue.
    in_memory: Option<Parked<T>>,
    /// What is larger than the spool will ever take.
    too_large: Option<InFlight<T>>,
    /// Synchronises full segments with the disk.
    syncing: Option<JoinHandle<()>>,
    /// The receiver fails, or asks to wait, and the shutdown leaves no time for that.
    resting: bool,
}

impl<T: Item> Sends<'_, T> {
    /// Begins what may begin; gives when there may be more to begin.
    fn feed(&mut self) -> Next {
        let has_spool = self.shared.open_spool();
        let spooled = if has_spool { self.fill_spool() } else { Next::At(None) };
        self.sync();
        let sent_at = self.send(has_spool);
        match spooled {
            Next::Now => Next::Now,
            Next::At(spooled_at) => Next::At([spooled_at, sent_at].into_iter().flatten().min()),
        }
    }

    /// Writes batches that are full or due to the spool: what it did not take before, then a few.
    fn fill_spool(&mut self) -> Next {
        let now = Instant::now();
        if let Some(parked) = self.in_memory.take_if(|parked| parked.again <= now) {
            self.put(parked.batch);
        }
        for _ in 0..PUTS_IN_A_ROW {
            if let Some(parked) = &self.in_memory {
                return Next::At(Some(parked.again));
            }
            match self.shared.next_batch() {
                Ok(batch) => self.put(batch),
                Err(at) => return Next::At(at),
            }
        }
        Next::Now
    }

    fn put(&mut self, batch: InFlight<T>) {
        let Left { refused, too_large } = self.shared.put(batch);
        self.in_memory = refused.map(|batch| Parked { batch, again: Instant::now() + PUT_AGAIN });
        if let Some(batch) = too_large {
            match &mut self.too_large {
                // One waits for a receiver that takes it; there is no room for more.
                Some(_) => self.shared.too_large(batch),
                none => *none = Some(batch),
            }
        }
    }

    /// Has full segments synchronised, one after the other, on a thread that may wait for the disk.
    fn sync(&mut self) {
        if self.syncing.as_ref().is_some_and(|syncing| !syncing.is_finished()) {
            return;
        }
        let mut next = self.shared.unsynced();
        self.syncing = next.is_some().then(|| {
            let shared = Arc::clone(self.shared);
            spawn_blocking(move || {
                while let Some(unsynced) = next {
                    if let Err(error) = unsynced.sync() {
                        shared.log.not_synced(&error);
                    }
                    next = shared.unsynced();
                }
            })
        });
    }

    fn set_aside(&mut self) {
        for began in self.shared.take_set_aside() {
            self.pace.set_aside(began);
        }
    }

    fn send(&mut self, has_spool: bool) -> Option<Instant> {
        self.set_aside();
        let most = self.shared.config.concurrency;
        while !self.shared.is_failing() && !self.resting {
            if let Some(until) = self.shared.held_off() {
                self.resting = self.shared.closing.borrow().is_some_and(|deadline| until >= deadline);
                return Some(until);
            }
            // Without a spool there is nothing to repeat, and nothing speaks for few at a time.
            let room = if has_spool { self.pace.room(most, Instant::now()) } else { self.slot(most) };
            if let Err(at) = room {
                return at.filter(|_| !self.shared.spool_is_empty());
            }
            let batch = match self.too_large.take().or_else(|| self.in_memory.take().map(|parked| parked.batch)) {
                Some(batch) => batch,
                None if has_spool => match self.shared.take_spooled() {
                    Some(batch) => batch,
                    // What cannot be read now may be another time.
                    None => return (!self.shared.spool_is_empty()).then(|| Instant::now() + TAKE_AGAIN),
                },
                None => match self.shared.next_batch() {
                    Ok(batch) => batch,
                    Err(at) => return at,
                },
            };
            let now = Instant::now();
            self.pace.began(now);
            self.tasks.spawn(delivery::deliver(Arc::clone(self.shared), batch, now));
        }
        None
    }

    fn slot(&self, most: usize) -> Result<(), Option<Instant>> {
        if self.tasks.len() < most { Ok(()) } else { Err(None) }
    }

    fn ended(&mut self, delivered: Option<Delivered>) {
        self.set_aside();
        if !delivered.is_some_and(|delivered| delivered.aside) {
            self.pace.ended(delivered.map(|delivered| delivered.began), Instant::now());
        }
        self.resting |= delivered.is_some_and(|delivered| delivered.kept);
    }

    fn are_done(&self) -> bool {
        let left = self.in_memory.is_some()
            || self.too_large.is_some()
            || !self.shared.is_empty()
            || !self.shared.spool_is_empty();
        self.tasks.is_empty() && (self.resting || !left)
    }
}

impl<T: Item> Drop for Sends<'_, T> {
    /// The spool has the last word: the disk may have room by now.
    fn drop(&mut self) {
        for batch in self.in_memory.take().map(|parked| parked.batch).into_iter().chain(self.too_large.take()) {
            self.shared.put_or_drop(batch);
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(TokioInstant::from_std(time)).await,
        None => future::pending().await,
    }
}
