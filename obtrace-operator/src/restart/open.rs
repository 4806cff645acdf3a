//! What a leader keeps of the restarts that are under way; all else is read anew.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::record::{Phase, Record};

/// So many Pods of a workload are listed as often as [`Options::poll`] says; of those with more, accordingly less often, …
const PODS_A_LOOK: usize = 100;
/// … but each so many times it.
const LONGEST_LOOK: usize = 15;

/// A restart that is under way.
#[derive(Debug)]
pub(super) struct Open {
    /// What this replica knows of the template that it wrote, which the record does not say.
    pub(super) written: Written,
    /// When it is looked at again.
    pub(super) next: Instant,
}

/// What is known of the template that a restart was begun with.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Written {
    /// The record says it.
    Recorded,
    /// It has this digest, since another's webhook changed more of it than we did, and the record does not say so yet.
    Made(String),
    /// Nothing: the answer to our request at that time was lost.
    Unanswered(Timestamp),
}

impl Open {
    pub(super) fn new(written: Written) -> Self {
        Self { written, next: Instant::now() }
    }

    /// Whether a template is as it was made by our own request.
    pub(super) fn wrote(&self, record: &Record, digest: &str) -> bool {
        match &self.written {
            Written::Recorded => false,
            Written::Made(made) => made == digest,
            Written::Unanswered(began) => record.phase == Phase::Restarting && record.started_at == *began,
        }
    }

    /// It has been looked at, and what it is is recorded.
    pub(super) fn looked(pods: usize, poll: Duration) -> Self {
        // Large ones change slowly, and cost the API server as much as they have Pods.
        let times = u32::try_from((pods / PODS_A_LOOK).clamp(1, LONGEST_LOOK)).unwrap_or(1);
        Self { written: Written::Recorded, next: Instant::now() + poll.saturating_mul(times) }
    }
}
