//! Reading the ring buffer.

use std::{os::fd::AsFd, time::Duration};

use aya::maps::{MapData, RingBuf};

use crate::{Error, Event, Malformed, sys};

/// Reads the records that the probes write. There is one; it may be sent to the thread that reads.
pub struct Reader {
    pub(crate) ring: RingBuf<MapData>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// Hands every record that is there to `record`, oldest first, and gives their number. Where there is none, waits
    /// up to `timeout` for [`Options::wake_bytes`](crate::Options::wake_bytes) to gather, and hands out what came until
    /// then: the probes do not wake the reader for single records, so `timeout` is the delay of an event at low load.
    ///
    /// The bytes are borrowed from the ring buffer: its room is free again once `record` returns.
    ///
    /// # Errors
    ///
    /// Waiting failed.
    pub fn poll(&mut self, timeout: Duration, mut record: impl FnMut(&[u8])) -> Result<usize, Error> {
        let mut count = self.drain(&mut record);
        if count == 0 && !timeout.is_zero() {
            // Readability only says that something is there: it is what there was to wait for when a wake-up was sent.
            sys::wait_readable(self.ring.as_fd(), timeout).map_err(|e| Error::system("poll of the ring buffer", e))?;
            count = self.drain(&mut record);
        }
        Ok(count)
    }

    /// As [`Reader::poll`], with events.
    ///
    /// # Errors
    ///
    /// Waiting failed.
    pub fn events(
        &mut self,
        timeout: Duration,
        mut event: impl FnMut(Result<Event<'_>, Malformed>),
    ) -> Result<usize, Error> {
        self.poll(timeout, |bytes| event(Event::parse(bytes)))
    }

    fn drain(&mut self, record: &mut impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        while let Some(item) = self.ring.next() {
            record(&item);
            count += 1;
        }
        count
    }
}
