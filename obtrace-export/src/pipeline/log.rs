//! What people are told. One line of a kind every ten seconds: a receiver that is away must not fill the disk with its
//! absence. The counters are exact, the lines are for eyes.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use crate::{
    model::Signal,
    spool::{Recovered, Spool},
    stats::DropReason,
    transport::Transport,
};

const INTERVAL: Duration = Duration::from_secs(10);
const KINDS: usize = DropReason::ALL.len() + 5;
const REJECTED: usize = DropReason::ALL.len();
const FAILING: usize = REJECTED + 1;
const SPOOL: usize = FAILING + 1;
const NOTED: usize = SPOOL + 1;
const SYNCED: usize = NOTED + 1;

#[derive(Debug)]
pub(super) struct Log {
    signal: Signal,
    throttle: Mutex<Throttle>,
}

#[derive(Debug, Default)]
struct Throttle {
    last: [Option<Instant>; KINDS],
    /// Items since the last line of a kind.
    items: [u64; KINDS],
    failing: bool,
    /// That the spool failed was said.
    spool_failed: bool,
}

impl Throttle {
    /// How many items the line that may be written now stands for.
    fn allow(&mut self, kind: usize, items: u64, now: Instant) -> Option<u64> {
        self.items[kind] = self.items[kind].saturating_add(items);
        if self.last[kind].is_some_and(|last| now < last + INTERVAL) {
            return None;
        }
        self.last[kind] = Some(now);
        Some(std::mem::take(&mut self.items[kind]))
    }

    /// Whether it may be said now that the spool failed: once, until it works again.
    fn allow_spool_failed(&mut self, now: Instant) -> bool {
        let allowed = !self.spool_failed && self.allow(SPOOL, 0, now).is_some();
        self.spool_failed |= allowed;
        allowed
    }
}

impl Log {
    pub(super) fn new(signal: Signal) -> Self {
        Self { signal, throttle: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn allow(&self, kind: usize, items: u64) -> Option<u64> {
        self.lock().allow(kind, items, Instant::now())
    }

    pub(super) fn dropped(&self, reason: DropReason, items: u64, said: &str) {
        if let Some(items) = self.allow(reason as usize, items) {
            warn!(signal = self.signal.name(), items, reason = reason.name(), said, "telemetry was dropped");
        }
    }

    pub(super) fn rejected(&self, rejected: u64, of: u64, said: &str) {
        if let Some(items) = self.allow(REJECTED, rejected) {
            warn!(signal = self.signal.name(), items, of, said, "the receiver took a request in part only");
        }
    }

    pub(super) fn failing(&self, transport: &Transport, said: &str, wait: Duration) {
        self.lock().failing = true;
        if self.allow(FAILING, 0).is_some() {
            warn!(
                signal = self.signal.name(),
                to = transport.target(),
                said,
                "sending failed, trying again in {wait:.1?}"
            );
        }
    }

    pub(super) fn delivered(&self, transport: &Transport) {
        let failing = std::mem::take(&mut self.lock().failing);
        if failing {
            info!(signal = self.signal.name(), to = transport.target(), "sending works again");
        }
    }

    pub(super) fn spool_opened(&self, spool: &Spool, recovered: &Recovered) {
        self.spool_works();
        if *recovered != Recovered::default() {
            let Recovered { items, lost, unreadable_bytes, .. } = *recovered;
            let (signal, folder) = (self.signal.name(), spool.folder().display());
            info!(signal, %folder, items, lost, unreadable_bytes, "an earlier run left telemetry in the spool");
        }
    }

    /// Said once, however long it lasts.
    pub(super) fn spool_failed(&self, error: &dyn fmt::Display) {
        let allowed = self.lock().allow_spool_failed(Instant::now());
        if allowed {
            warn!(signal = self.signal.name(), %error, "the spool cannot be used, delivery goes on from memory");
        }
    }

    pub(super) fn not_noted(&self, error: &dyn fmt::Display) {
        if self.allow(NOTED, 0).is_some() {
            warn!(signal = self.signal.name(), %error, "what was delivered is not noted, the next run may send it again");
        }
    }

    pub(super) fn not_synced(&self, error: &dyn fmt::Display) {
        if self.allow(SYNCED, 0).is_some() {
            warn!(signal = self.signal.name(), %error, "a power failure may take what waits in the spool");
        }
    }

    pub(super) fn spool_works(&self) {
        if std::mem::take(&mut self.lock().spool_failed) {
            info!(signal = self.signal.name(), "the spool works again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_an_interval_with_the_sum() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        assert_eq!(throttle.allow(0, 2, now), Some(2));
        assert_eq!(throttle.allow(0, 3, now + INTERVAL / 2), None);
        assert_eq!(throttle.allow(1, 1, now + INTERVAL / 2), Some(1));
        assert_eq!(throttle.allow(0, 4, now + INTERVAL), Some(7));
    }

    #[test]
    fn a_spool_that_fails_again_is_told_again() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        assert!(throttle.allow_spool_failed(now));
        assert!(!throttle.allow_spool_failed(now + 2 * INTERVAL), "it still fails");
        throttle.spool_failed = false;
        assert!(throttle.allow_spool_failed(now + 3 * INTERVAL));
        throttle.spool_failed = false;
        // A flap within the interval says nothing, but what lasts is told after it.
        assert!(!throttle.allow_spool_failed(now + 3 * INTERVAL + INTERVAL / 2));
        assert!(throttle.allow_spool_failed(now + 4 * INTERVAL));
    }
}
