//! How much may be done at once.

use std::time::{Duration, Instant};

/// A bucket of tokens: so many at once, and one more every so often.
#[derive(Debug)]
pub(super) struct Pace {
    tokens: u32,
    most: u32,
    every: Duration,
    last: Instant,
    refused: u64,
}

impl Pace {
    pub(super) fn new(most: u32, every: Duration, now: Instant) -> Self {
        Self { tokens: most, most, every, last: now, refused: 0 }
    }

    /// Whether one more may be done now; if not, that is counted.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let steps = now.saturating_duration_since(self.last).as_nanos() / self.every.as_nanos().max(1);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        if steps > 0 {
            self.tokens = self.tokens.saturating_add(steps).min(self.most);
            self.last = now;
        }
        let Some(left) = self.tokens.checked_sub(1) else {
            self.refused += 1;
            return false;
        };
        self.tokens = left;
        true
    }

    /// How many were refused since this was asked last.
    pub(super) fn refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_then_one_every_so_often() {
        let (every, now) = (Duration::from_millis(100), Instant::now());
        let mut pace = Pace::new(3, every, now);
        assert_eq!((0..5).map(|_| pace.take(now)).collect::<Vec<_>>(), [true, true, true, false, false]);
        assert_eq!((pace.refused(), pace.refused()), (2, 0));
        assert!(pace.take(now + every));
        assert!(!pace.take(now + every));
        let later = now + every * 1_000_000;
        assert_eq!((0..9).filter(|_| pace.take(later)).count(), 3);
    }
}
