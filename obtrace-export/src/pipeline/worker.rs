//! The task that feeds requests from the queue.

use std::{future, io, sync::Arc, thread, time::Instant};

use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant as TokioInstant, sleep_until},
};

use super::{
    delivery::{self, Delivered},
    disk::Put,
    in_flight::InFlight,
    pace::Pace,
    shared::Shared,
};
use crate::model::{Item, Span};

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
        let mut sends = Sends { shared, tasks: JoinSet::new(), pace: Pace::default(), in_memory: None, resting: false };
        loop {
            let deadline = *closing.borrow_and_update();
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                break;
            }
            let due = sends.feed();
            if deadline.is_some() && sends.are_done() {
                break;
            }
            tokio::select! {
                () = shared.wake.notified() => {}
                // The sender lives in `shared`.
                _ = closing.changed() => {}
                Some(ended) = sends.tasks.join_next(), if !sends.tasks.is_empty() => sends.ended(ended.ok()),
                () = at(due) => {}
                () = at(deadline) => {}
            }
        }
        // What is cut off here counts itself.
        sends.tasks.shutdown().await;
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

/// The requests that are under way, and what feeds them.
struct Sends<'s, T: Item> {
    shared: &'s Arc<Shared<T>>,
    /// Each gives when it began, and whether its batch was kept for the next run.
    tasks: JoinSet<Delivered>,
    pace: Pace,
    /// A batch that the spool did not take.
    in_memory: Option<InFlight<T>>,
    /// The receiver fails and the shutdown leaves no time to wait for it.
    resting: bool,
}

impl<T: Item> Sends<'_, T> {
    /// Begins what may begin; gives when there may be more to begin.
    fn feed(&mut self) -> Option<Instant> {
        let has_spool = self.shared.open_spool();
        let spooled_at = if has_spool { self.fill_spool() } else { None };
        let sent_at = self.send(has_spool);
        [spooled_at, sent_at].into_iter().flatten().min()
    }

    /// Writes every batch that is full or due to the spool.
    fn fill_spool(&mut self) -> Option<Instant> {
        while self.in_memory.is_none() {
            match self.shared.next_batch() {
                Ok(batch) => {
                    if let Put::InMemory(batch) = self.shared.put(batch) {
                        self.in_memory = Some(batch);
                    }
                }
                Err(at) => return at,
            }
        }
        while let Some(unsynced) = self.shared.unsynced() {
            let shared = Arc::clone(self.shared);
            drop(spawn_blocking(move || unsynced.sync().inspect_err(|error| shared.log.spool_failed(error))));
        }
        None
    }

    fn send(&mut self, has_spool: bool) -> Option<Instant> {
        let most = self.shared.config.concurrency;
        while !self.shared.is_failing() && !self.resting {
            // Without a spool there is nothing to repeat, and nothing speaks for few at a time.
            let room = if has_spool { self.pace.room(most, Instant::now()) } else { self.slot(most) };
            let batch = match (room, self.in_memory.take()) {
                (Err(at), in_memory) => {
                    self.in_memory = in_memory;
                    return at.filter(|_| !self.shared.spool_is_empty());
                }
                (Ok(()), Some(batch)) => batch,
                (Ok(()), None) if has_spool => self.shared.take_spooled()?,
                (Ok(()), None) => match self.shared.next_batch() {
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
        self.pace.ended(delivered.map(|delivered| delivered.began), Instant::now());
        self.resting |= delivered.is_some_and(|delivered| delivered.kept);
    }

    fn are_done(&self) -> bool {
        let left = self.in_memory.is_some() || !self.shared.is_empty() || !self.shared.spool_is_empty();
        self.tasks.is_empty() && (self.resting || !left)
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(TokioInstant::from_std(time)).await,
        None => future::pending().await,
    }
}
