//! What became of the telemetry: every item is counted exactly once.

mod report;

use std::fmt;

pub use self::report::Report;

/// Why an item was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The queue was full: the receiver is slower than the producer, or away.
    QueueFull,
    /// It came after the shutdown.
    Closed,
    /// The receiver refused its size, even in half a batch; or it alone is larger than our own limit of a body, or than the
    /// spool.
    TooLarge,
    /// The receiver refused it with a status that must not be retried.
    Refused,
    /// It was tried for as long as the retry policy allows.
    Expired,
    /// The shutdown's deadline passed before it could be delivered.
    Shutdown,
    /// The spool was full: the oldest or the newest gave way, as set.
    SpoolFull,
    /// What the spool held was missing or not what was written.
    SpoolCorrupt,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::QueueFull,
        Self::Closed,
        Self::TooLarge,
        Self::Refused,
        Self::Expired,
        Self::Shutdown,
        Self::SpoolFull,
        Self::SpoolCorrupt,
    ];

    /// The name used as a metric's label: `queue_full`, `closed`, `too_large`, `refused`, `expired`, `shutdown`,
    /// `spool_full`, `spool_corrupt`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Closed => "closed",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Shutdown => "shutdown",
            Self::SpoolFull => "spool_full",
            Self::SpoolCorrupt => "spool_corrupt",
        }
    }
}

impl std::error::Error for DropReason {}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A consistent reading of an exporter's counters. At any time
/// `accepted + recovered = exported + rejected + dropped (all reasons) + queued + sending + spooled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Items handed to the exporter.
    pub accepted: u64,
    /// Items that an earlier run left in the spool; and, at a shutdown, those that arrived but still lie there, as the rest of
    /// their batch could not be written anew: they will be sent again.
    pub recovered: u64,
    /// Items that the receiver took.
    pub exported: u64,
    /// Items that the receiver refused within a request that it took (OTLP's partial success).
    pub rejected: u64,
    /// Items that wait for their batch to leave.
    pub queued: u64,
    /// Items in requests that are under way or wait to be tried again.
    pub sending: u64,
    /// Items that wait in the spool. After the shutdown: left to the next run.
    pub spooled: u64,
    /// Bytes of the spool's files.
    pub spool_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// Requests made again after a failure; among `requests`.
    pub retries: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Stats {
    /// Items given up for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Items given up for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Items in memory whose fate is open.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.queued + self.sending
    }

    /// Whether the identity holds.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let settled = self.exported + self.rejected + self.dropped_total();
        self.accepted + self.recovered == settled + self.in_flight() + self.spooled
    }

    #[cfg(feature = "pipeline")]
    pub(crate) fn count_dropped(&mut self, reason: DropReason, items: u64) {
        self.dropped[reason as usize] += items;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_index_the_counters_in_order() {
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }

    #[test]
    fn the_identity_can_fail() {
        let mut stats = Stats { accepted: 3, exported: 1, queued: 1, ..Stats::default() };
        assert!(!stats.is_balanced());
        stats.dropped[DropReason::Refused as usize] = 1;
        assert!(stats.is_balanced());
        stats.recovered = 2;
        assert!(!stats.is_balanced());
        stats.spooled = 2;
        assert!(stats.is_balanced());
    }
}
