//! The task that feeds requests from the queue.

use std::{future, io, sync::Arc, thread, time::Instant};

use tokio::{
    task::JoinSet,
    time::{Instant as TokioInstant, sleep_until},
};

use super::{delivery, shared::Shared};
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

    /// Runs until the exporter is shut down; on any tokio runtime with time and IO. Dropping the future ends it at once,
    /// and what was not delivered counts as dropped by the shutdown.
    pub async fn run(self) {
        let shared = &self.ending.0;
        let mut closing = shared.closing.subscribe();
        let mut sends = JoinSet::new();
        loop {
            let deadline = *closing.borrow_and_update();
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                break;
            }
            let mut due = None;
            while sends.len() < shared.config.concurrency {
                match shared.next_batch() {
                    Ok(batch) => _ = sends.spawn(delivery::deliver(Arc::clone(shared), batch)),
                    Err(at) => {
                        due = at;
                        break;
                    }
                }
            }
            if deadline.is_some() && sends.is_empty() && shared.is_empty() {
                break;
            }
            tokio::select! {
                () = shared.wake.notified() => {}
                // The sender lives in `shared`.
                _ = closing.changed() => {}
                Some(_) = sends.join_next(), if !sends.is_empty() => {}
                () = at(due) => {}
                () = at(deadline) => {}
            }
        }
        // What is cut off here counts itself as dropped.
        sends.shutdown().await;
    }

    /// Runs on a thread of its own, named `obtrace-export`.
    ///
    /// # Errors
    ///
    /// The system gave no thread or no IO driver; what was sent so far counts as dropped.
    pub fn spawn_thread(self) -> io::Result<thread::JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("obtrace-export".to_owned()).spawn(move || runtime.block_on(self.run()))
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(TokioInstant::from_std(time)).await,
        None => future::pending().await,
    }
}
