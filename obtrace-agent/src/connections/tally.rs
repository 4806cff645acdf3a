//! What became of every byte.

use std::fmt;

use obtrace_probes::event::Missing;

/// Bytes of streams by what became of them. For a connection and for all of them together:
/// [`seen`](Tally::seen) = parsed + skipped + [`missing`](Tally::missing), exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Captured and given to the parsers.
    pub parsed: u64,
    /// Not wanted: the rest of a body, a connection that is not of a known protocol.
    pub skipped: u64,
    /// Not captured because the call moved more than is captured of one call.
    pub budget: u64,
    /// Not captured because the memory could not be read at that moment.
    pub fault: u64,
    /// Not captured because the bytes never were in user memory (`sendfile`, `splice`).
    pub kernel: u64,
    /// Events that told of them were lost: the ring buffer was full.
    pub lost: u64,
    /// Events that told of bytes: one for each call that moved up to 16 KiB, several for a call that moved more.
    pub records: u32,
    /// Calls, or the rests of calls, that no event told of. Known at the end of a connection.
    pub lost_records: u32,
}

impl Tally {
    /// Bytes that were wanted and are not there, for whatever reason.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.budget.saturating_add(self.fault).saturating_add(self.kernel).saturating_add(self.lost)
    }

    /// The missing bytes by their reason.
    #[must_use]
    pub const fn reasons(&self) -> [(&'static str, u64); 4] {
        [("budget", self.budget), ("fault", self.fault), ("kernel", self.kernel), ("lost", self.lost)]
    }

    /// All bytes that the streams moved while they were observed.
    #[must_use]
    pub const fn seen(&self) -> u64 {
        self.parsed.saturating_add(self.skipped).saturating_add(self.missing())
    }

    /// The counter of bytes that are missing for this reason; `None`: no event told of them.
    pub(super) const fn missing_mut(&mut self, missing: Option<Missing>) -> &mut u64 {
        match missing {
            None => &mut self.lost,
            Some(Missing::Fault) => &mut self.fault,
            Some(Missing::Kernel) => &mut self.kernel,
            Some(_) => &mut self.budget,
        }
    }

    /// So many bytes were counted and never moved.
    pub(super) fn take_back(&mut self, mut bytes: u64) {
        for count in [&mut self.parsed, &mut self.skipped, &mut self.budget, &mut self.kernel, &mut self.fault] {
            let taken = bytes.min(*count);
            *count -= taken;
            bytes -= taken;
        }
    }

    /// A part of this sum was `before` and is `after` now.
    pub(super) const fn replace(&mut self, before: &Self, after: &Self) {
        // Bytes that come late are taken back from `lost`: a part may shrink, the sum is never below its part.
        self.parsed = (self.parsed + after.parsed).saturating_sub(before.parsed);
        self.skipped = (self.skipped + after.skipped).saturating_sub(before.skipped);
        self.budget = (self.budget + after.budget).saturating_sub(before.budget);
        self.fault = (self.fault + after.fault).saturating_sub(before.fault);
        self.kernel = (self.kernel + after.kernel).saturating_sub(before.kernel);
        self.lost = (self.lost + after.lost).saturating_sub(before.lost);
        self.records = self.records.wrapping_add(after.records).wrapping_sub(before.records);
        self.lost_records = self.lost_records.wrapping_add(after.lost_records).wrapping_sub(before.lost_records);
    }
}

/// What became of the bytes of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Those that the observed end sent.
    pub sent: Tally,
    /// Those that it received.
    pub received: Tally,
}

/// `seen=… parsed=… skipped=… missing=…`, and the reasons that occurred.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seen, missing) = (self.seen(), self.missing());
        write!(f, "seen={seen} parsed={} skipped={} missing={missing}", self.parsed, self.skipped)?;
        for (reason, bytes) in self.reasons().into_iter().filter(|(_, bytes)| *bytes > 0) {
            write!(f, " {reason}={bytes}")?;
        }
        Ok(())
    }
}

/// What happened to connections; each only grows, but for [`Counters::open`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Bytes of all streams, open and closed.
    pub bytes: Tally,
    /// Sockets that are observed now.
    pub open: u64,
    /// Sockets that were observed, open ones included.
    pub opened: u64,
    /// Sockets that were not observed because [`Settings::max_connections`](super::Settings::max_connections) were.
    pub refused: u64,
    /// Sockets whose open event was lost; they are observed without their addresses.
    pub unannounced: u64,
    /// Sockets that were given up because they had been silent for long and the table was nearly full.
    pub evicted: u64,
    /// Connections whose protocol is none of ours.
    pub unknown_protocol: u64,
    /// Connections that are encrypted.
    pub tls: u64,
    /// Datagrams that were seen.
    pub datagrams: u64,
    /// Datagrams that were not parsed: longer than what is captured, or not of a known protocol.
    pub datagrams_skipped: u64,
    /// Peers of datagram sockets that were given up for newer ones.
    pub peers_evicted: u64,
    /// Captured bytes of messages that were let go because [`Settings::memory`](super::Settings::memory) was used up.
    pub given_up_bytes: u64,
}
