//! From a batch of the SDK's to what it is told.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::runtime::Handle;

use crate::{
    model::Item,
    pipeline::Exporter,
    stats::{DropReason, Stats},
};

/// Within the 5 s that the SDK's processors give a flush.
const WAIT: Duration = Duration::from_secs(4);

/// Hands over, waits, and tells what became of it.
#[derive(Debug)]
pub(super) struct Delivery<T: Item> {
    exporter: Exporter<T>,
    pub(super) wait: Duration,
    /// The last wait was in vain. Until the receiver has taken what waits since then, nothing is waited for: the processor's
    /// own queue is smaller than ours, and would be full.
    behind: AtomicBool,
}

impl<T: Item> Delivery<T> {
    pub(super) fn new(exporter: Exporter<T>) -> Self {
        Self { exporter, wait: WAIT, behind: AtomicBool::new(false) }
    }

    /// Hands a batch over and waits for its end, whatever executor runs this.
    pub(super) async fn deliver(&self, items: Vec<T>) -> OTelSdkResult {
        let before = self.exporter.stats();
        let mut is_closed = false;
        for item in items {
            // Every one is offered, so that every one is counted.
            is_closed |= self.exporter.try_send(item) == Err(DropReason::Closed);
        }
        if is_closed {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let waiting = before.in_flight();
        if self.wait.is_zero() {
            return told::<T>(&before, &self.exporter.stats(), true, self.wait);
        }
        if waiting > 0 && self.behind.load(Ordering::Relaxed) {
            return told::<T>(&before, &self.exporter.stats(), false, Duration::ZERO);
        }
        let until = end_of(&self.exporter.stats());
        let after = self.flushed().await;
        self.tell(&before, &after, until)
    }

    /// Waits for what was handed over so far, on this thread.
    pub(super) fn flush(&self) -> OTelSdkResult {
        let before = self.exporter.stats();
        let after = self.exporter.force_flush_blocking(self.wait.max(WAIT));
        self.tell(&before, &after, end_of(&before))
    }

    /// Delivers what is left and ends the worker.
    pub(super) fn shutdown(&self, within: Duration) -> OTelSdkResult {
        let before = self.exporter.stats();
        let after = self.exporter.shutdown_blocking(within);
        told::<T>(&before, &after, after.in_flight() == 0, within)
    }

    /// The timer of a runtime would stand still while the processor blocks its thread, so a thread waits: one of the
    /// runtime's for blocking work, else this one, which the processor blocks all the same.
    async fn flushed(&self) -> Stats {
        let Ok(runtime) = Handle::try_current() else { return self.exporter.force_flush_blocking(self.wait) };
        let (exporter, wait) = (self.exporter.clone(), self.wait);
        // It fails when the runtime ends; then nobody waits any more.
        runtime
            .spawn_blocking(move || exporter.force_flush_blocking(wait))
            .await
            .unwrap_or_else(|_| self.exporter.stats())
    }

    fn tell(&self, before: &Stats, after: &Stats, until: u64) -> OTelSdkResult {
        let is_done = ended(after) >= until;
        self.behind.store(!is_done, Ordering::Relaxed);
        told::<T>(before, after, is_done, self.wait)
    }
}

/// How many items have found their end.
fn ended(stats: &Stats) -> u64 {
    stats.exported + stats.rejected + stats.dropped_total()
}

/// How many will have when all that wait now have.
fn end_of(stats: &Stats) -> u64 {
    ended(stats) + stats.in_flight()
}

/// What happened between two readings, as the SDK has it told: what was lost before what is late.
fn told<T: Item>(before: &Stats, after: &Stats, is_done: bool, waited: Duration) -> OTelSdkResult {
    let mut lost = String::new();
    for reason in DropReason::ALL {
        let dropped = after.dropped(reason) - before.dropped(reason);
        if dropped > 0 {
            let _ = write!(lost, "{dropped} {} were dropped ({reason}); ", T::SIGNAL.items());
        }
    }
    let rejected = after.rejected - before.rejected;
    if rejected > 0 {
        let _ = write!(lost, "the receiver rejected {rejected} {}; ", T::SIGNAL.items());
    }
    match (lost.strip_suffix("; "), is_done) {
        (Some(lost), _) => Err(OTelSdkError::InternalFailure(lost.to_owned())),
        (None, true) => Ok(()),
        (None, false) if waited.is_zero() => Err(OTelSdkError::InternalFailure(format!(
            "{} {} wait for the receiver, and are sent when it takes them",
            after.in_flight(),
            T::SIGNAL.items()
        ))),
        (None, false) => Err(OTelSdkError::Timeout(waited)),
    }
}
