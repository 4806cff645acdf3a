//! What was seen but not captured, by reason.

use std::{fmt, io, sync::Arc};

use aya::maps::{MapData, PerCpuArray};

use crate::Error;

/// Why bytes or events were not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The ring buffer was full: the reader was too slow.
    Ring,
    /// The table of sockets was full.
    Sockets,
    /// User memory could not be read at that moment.
    Fault,
    /// Beyond what is captured of one call ([`Options::capture_limit`](crate::Options::capture_limit)).
    Budget,
    /// The bytes never were in user memory (`sendfile`, `splice`).
    Kernel,
    /// The ring buffer was full when a socket was closed, and too many others waited for their end to be told later:
    /// that of this one is not told.
    Closes,
}

impl Reason {
    /// All reasons, in the order of their numbers in the kernel.
    pub const ALL: [Self; 6] = [Self::Ring, Self::Sockets, Self::Fault, Self::Budget, Self::Kernel, Self::Closes];

    /// Its name, as it is used in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Sockets => "sockets",
            Self::Fault => "fault",
            Self::Budget => "budget",
            Self::Kernel => "kernel",
            Self::Closes => "closes",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much was lost for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// Events that were not written, or not whole.
    pub events: u64,
    /// Bytes of sockets that are in no event.
    pub bytes: u64,
}

/// The counters of all reasons since the probes were loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    pub(crate) counters: [Loss; Reason::ALL.len()],
}

impl Losses {
    /// The counter of one reason.
    #[must_use]
    pub fn get(&self, reason: Reason) -> Loss {
        self.counters.get(reason as usize).copied().unwrap_or_default()
    }

    /// Every reason with its counter.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, Loss)> + '_ {
        Reason::ALL.into_iter().map(|r| (r, self.get(r)))
    }
}

/// The kernel's counters, for whoever reads them again and again: see [`Probes::loss_counters`](crate::Probes::loss_counters). They outlive
/// the probes, and then stay as they were.
#[derive(Clone)]
pub struct LossCounters(pub(crate) Arc<PerCpuArray<MapData, [u64; 2]>>);

impl fmt::Debug for LossCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LossCounters").finish_non_exhaustive()
    }
}

impl LossCounters {
    /// What was not captured so far.
    ///
    /// # Errors
    ///
    /// The kernel refused to read the counters.
    pub fn read(&self) -> Result<Losses, Error> {
        let mut losses = Losses::default();
        for (index, counter) in (0_u32..).zip(losses.counters.iter_mut()) {
            let failed = |error| Error::system("reading the loss counters", io::Error::other(error));
            for [events, bytes] in self.0.get(&index, 0).map_err(failed)?.iter() {
                *counter = Loss { events: counter.events + events, bytes: counter.bytes + bytes };
            }
        }
        Ok(losses)
    }
}
