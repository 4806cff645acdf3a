//! How long is waited after a watch has failed.

use std::time::{Duration, Instant};

/// The first wait.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait: an API server that comes back, or a definition that is installed at last, is seen this soon.
const LONGEST: Duration = Duration::from_secs(5);
/// After so long without a failure the next one counts as the first again.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Doubles from half a second to five.
///
/// A watch reports that it begins before it asks the API server, which is no sign of health: what makes the waits short again is
/// time without a failure, not a success.
#[derive(Debug)]
pub(super) struct Steps {
    next: Duration,
    last: Option<Instant>,
}

impl Steps {
    pub(super) fn new() -> Self {
        Self { next: FIRST, last: None }
    }

    pub(super) fn step(&mut self, now: Instant) -> Duration {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) > FORGOTTEN) {
            self.next = FIRST;
        }
        self.last = Some(now);
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_are_short_again_after_a_quiet_minute() {
        let (mut steps, now) = (Steps::new(), Instant::now());
        let waits: Vec<_> = (0..6).map(|_| steps.step(now).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(steps.step(now + Duration::from_secs(59)), LONGEST);
        assert_eq!(steps.step(now + Duration::from_secs(120)), FIRST);
    }
}
