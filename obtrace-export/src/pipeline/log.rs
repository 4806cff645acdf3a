//! What people are told. One line of a kind every ten seconds: a receiver that is away must not fill the disk with its
//! absence. The counters are exact, the lines are for eyes.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use crate::{stats::DropReason, transport::Http};

const INTERVAL: Duration = Duration::from_secs(10);
const KINDS: usize = DropReason::ALL.len() + 2;
const REJECTED: usize = DropReason::ALL.len();
const FAILING: usize = REJECTED + 1;

#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Throttle>);

#[derive(Debug, Default)]
struct Throttle {
    last: [Option<Instant>; KINDS],
    /// Spans since the last line of a kind.
    spans: [u64; KINDS],
    failing: bool,
}

impl Throttle {
    /// How many spans the line that may be written now stands for.
    fn allow(&mut self, kind: usize, spans: u64, now: Instant) -> Option<u64> {
        self.spans[kind] = self.spans[kind].saturating_add(spans);
        if self.last[kind].is_some_and(|last| now < last + INTERVAL) {
            return None;
        }
        self.last[kind] = Some(now);
        Some(std::mem::take(&mut self.spans[kind]))
    }
}

impl Log {
    fn allow(&self, kind: usize, spans: u64) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).allow(kind, spans, Instant::now())
    }

    pub(super) fn dropped(&self, reason: DropReason, spans: usize, said: &str) {
        if let Some(spans) = self.allow(reason as usize, spans.try_into().unwrap_or(u64::MAX)) {
            warn!(spans, reason = reason.name(), said, "spans were dropped");
        }
    }

    pub(super) fn rejected(&self, rejected: u64, of: usize, said: &str) {
        if let Some(spans) = self.allow(REJECTED, rejected) {
            warn!(spans, of, said, "the receiver took a request in part only");
        }
    }

    pub(super) fn failing(&self, http: &Http, said: &str, wait: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failing = true;
        if self.allow(FAILING, 0).is_some() {
            warn!(url = http.url(), said, "sending failed, trying again in {wait:.1?}");
        }
    }

    pub(super) fn delivered(&self, http: &Http) {
        let failing = std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).failing);
        if failing {
            info!(url = http.url(), "sending works again");
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
