//! What was in a capture.

use std::fmt;

use super::flow::Spoken;

/// Why a packet was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Skipped {
    /// A link type that is not read.
    LinkType,
    /// Not IP (ARP, …).
    NotIp,
    /// IP, but neither TCP nor UDP.
    OtherTransport,
    /// The snap length cut it inside its headers.
    Cut,
    /// Its headers contradict themselves.
    BadHeader,
    /// A segment without data of a connection that is not known.
    NoConnection,
}

impl Skipped {
    const ALL: [Self; 6] =
        [Self::LinkType, Self::NotIp, Self::OtherTransport, Self::Cut, Self::BadHeader, Self::NoConnection];

    /// The reason in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinkType => "link type not read",
            Self::NotIp => "not IP",
            Self::OtherTransport => "neither TCP nor UDP",
            Self::Cut => "headers cut by the snap length",
            Self::BadHeader => "bad header",
            Self::NoConnection => "no data, connection not known",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// Counts of a replay. Shown in words; the first line is `packets N, streams N, exchanges N, gaps N, unknown N`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Packets read.
    pub packets: u64,
    /// Packets that were left out, by [`Skipped`].
    skipped: [u64; Skipped::ALL.len()],
    /// TCP connections.
    pub tcp_streams: u64,
    /// Pairs of addresses that exchanged UDP datagrams.
    pub udp_streams: u64,
    /// Exchanges, which is spans without those of failed connects.
    pub exchanges: u64,
    /// Connects that were refused.
    pub failed_connects: u64,
    /// Holes in TCP streams.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// Streams that carried bytes of no protocol that is known.
    pub unknown: u64,
    /// Streams that carried TLS.
    pub tls: u64,
    /// Segments and datagrams that had been seen before: sent again, or captured twice.
    pub repeated: u64,
    /// Fragmented packets of which a part is missing.
    pub fragments_incomplete: u64,
    /// Streams given up before their end because there were too many at a time or they were silent for too long.
    pub evicted: u64,
}

impl Summary {
    /// TCP and UDP streams.
    #[must_use]
    pub const fn streams(&self) -> u64 {
        self.tcp_streams + self.udp_streams
    }

    /// How many packets were left out for this reason.
    #[must_use]
    pub fn skipped(&self, reason: Skipped) -> u64 {
        self.skipped.get(reason.index()).copied().unwrap_or_default()
    }

    pub(super) fn skip(&mut self, reason: Skipped) {
        if let Some(count) = self.skipped.get_mut(reason.index()) {
            *count += 1;
        }
    }

    pub(super) fn spoken(&mut self, spoken: Spoken) {
        match spoken {
            Spoken::Unknown => self.unknown += 1,
            Spoken::Tls => self.tls += 1,
            Spoken::Known | Spoken::Nothing => {}
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, exchanges, gaps, unknown, .. } = self;
        let streams = self.streams();
        write!(f, "packets {packets}, streams {streams}, exchanges {exchanges}, gaps {gaps}, unknown {unknown}")?;
        let others = [
            ("bytes in gaps", self.gap_bytes),
            ("streams of TLS", self.tls),
            ("refused connects", self.failed_connects),
            ("repeated packets", self.repeated),
            ("incomplete fragmented packets", self.fragments_incomplete),
            ("streams given up", self.evicted),
        ];
        for (what, count) in others.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "\n{what}: {count}")?;
        }
        for reason in Skipped::ALL.into_iter().filter(|reason| self.skipped(*reason) > 0) {
            write!(f, "\nskipped, {}: {}", reason.name(), self.skipped(reason))?;
        }
        Ok(())
    }
}
