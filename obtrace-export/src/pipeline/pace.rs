//! How many requests may be under way, sans-IO.
//!
//! One, while requests are quick: a process that is killed then repeats one batch at most, those that were sent and not yet
//! acknowledged. As many as allowed when one takes longer than [`QUICK`], or when the last one did: then the way is what
//! limits, not the receiver, and up to so many batches may be repeated.

use std::time::{Duration, Instant};

/// A request that takes no longer is quick: one after the other, such requests carry 25,000 spans a second.
pub(super) const QUICK: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When those under way began, oldest first.
    under_way: Vec<Instant>,
    /// The last one that ended was not quick.
    is_slow: bool,
}

impl Pace {
    /// Whether another one may begin, of at most so many; else from when on, if nothing ends before.
    pub(super) fn room(&self, most: usize, now: Instant) -> Result<(), Option<Instant>> {
        let Some(&oldest) = self.under_way.first() else { return Ok(()) };
        if self.under_way.len() >= most {
            return Err(None);
        }
        let slow_from = oldest + QUICK;
        if self.is_slow || slow_from <= now { Ok(()) } else { Err(Some(slow_from)) }
    }

    pub(super) fn began(&mut self, now: Instant) {
        self.under_way.push(now);
    }

    /// One that began then is no longer one of those that are paced.
    pub(super) fn set_aside(&mut self, began: Instant) {
        if let Some(at) = self.under_way.iter().position(|&at| at == began) {
            self.under_way.remove(at);
        }
    }

    /// One that began then has ended; when is unknown of one that was cut off.
    pub(super) fn ended(&mut self, began: Option<Instant>, now: Instant) {
        let at = began.and_then(|began| self.under_way.iter().position(|&at| at == began)).unwrap_or(0);
        if at < self.under_way.len() {
            let began = self.under_way.remove(at);
            self.is_slow = now.saturating_duration_since(began) > QUICK;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn one_at_a_time_while_they_are_quick() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for i in 0..100 {
            let now = start + i * 16 * MILLI;
            assert_eq!(pace.room(4, now), Ok(()));
            pace.began(now);
            assert_eq!(pace.room(4, now + 10 * MILLI), Err(Some(now + QUICK)));
            pace.ended(Some(now), now + 15 * MILLI);
        }
    }

    #[test]
    fn as_many_as_allowed_once_one_is_slow() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.began(start);
        let mut now = start + QUICK;
        for _ in 1..4 {
            assert_eq!(pace.room(4, now), Ok(()));
            pace.began(now);
        }
        assert_eq!(pace.room(4, now + QUICK), Err(None));
        now += QUICK;
        pace.ended(Some(start), now);
        assert_eq!(pace.room(4, now), Ok(()), "at once, as the last was slow");
        pace.ended(None, start + QUICK + MILLI);
        assert_eq!(pace.room(4, start + QUICK + MILLI), Err(Some(start + 2 * QUICK)), "a quick one");
    }
}
