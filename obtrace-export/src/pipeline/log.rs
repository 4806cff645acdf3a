//! What people are told. One line of a kind every ten seconds: a receiver that is away must not fill the disk with its
//! absence. The counters are exact, the lines are for eyes.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use crate::{model::Signal, stats::DropReason, transport::Transport};

const INTERVAL: Duration = Duration::from_secs(10);
const KINDS: usize = DropReason::ALL.len() + 2;
const REJECTED: usize = DropReason::ALL.len();
const FAILING: usize = REJECTED + 1;

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
}

impl Log {
    pub(super) fn new(signal: Signal) -> Self {
        Self { signal, throttle: Mutex::default() }
    }

    fn allow(&self, kind: usize, items: u64) -> Option<u64> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner).allow(kind, items, Instant::now())
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
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner).failing = true;
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
        let failing = std::mem::take(&mut self.throttle.lock().unwrap_or_else(PoisonError::into_inner).failing);
        if failing {
            info!(signal = self.signal.name(), to = transport.target(), "sending works again");
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
}
