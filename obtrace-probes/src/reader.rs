//! Reading the ring buffer.

use std::{os::fd::AsFd, sync::Arc, time::Duration};

use aya::maps::{HashMap, MapData};

use crate::{
    Error, Event, Malformed,
    probes::{Control, Order},
    record::{self, EndedEntry},
    sys::{self, RECORD_HEAD, Ring},
};

/// Reads the records that the probes write. There is one; it may be sent to the thread that reads.
pub struct Reader {
    /// The programs refer to its descriptor.
    map: MapData,
    ring: Ring,
    /// Sockets whose end found the ring buffer full.
    ended: HashMap<MapData, u64, EndedEntry>,
    control: Arc<Control>,
    /// Bytes read since they were looked for.
    read: u64,
    /// After how many that is done: a ring buffer that was full holds twice as many.
    look_after: u64,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    pub(crate) fn new(
        map: MapData,
        ring_bytes: u32,
        ended: HashMap<MapData, u64, EndedEntry>,
        control: Arc<Control>,
    ) -> Result<Self, Error> {
        let size = map.info().map_err(Error::object)?.max_entries();
        let ring = Ring::new(map.fd().as_fd(), size).map_err(|e| Error::system("mapping the ring buffer", e))?;
        Ok(Self { map, ring, ended, control, read: 0, look_after: u64::from(ring_bytes / 2) })
    }

    /// Hands every record that is there to `record`, oldest first, and gives their number. Where there is none, waits
    /// up to `timeout` for [`Options::wake_bytes`](crate::Options::wake_bytes) to gather, and hands out what came until
    /// then: the probes do not wake the reader for single records, so `timeout` is the delay of an event at low load.
    ///
    /// The bytes are borrowed from the ring buffer: its room is free again once `record` returns.
    ///
    /// # Errors
    ///
    /// Waiting failed, or asking the probes for the ends of sockets that they still had to tell.
    pub fn poll(&mut self, timeout: Duration, mut record: impl FnMut(&[u8])) -> Result<usize, Error> {
        let mut count = self.drain(&mut record);
        if count == 0 && !timeout.is_zero() {
            // Readability only says that something is there: it is what there was to wait for when a wake-up was sent.
            sys::wait_readable(self.map.fd().as_fd(), timeout)
                .map_err(|e| Error::system("poll of the ring buffer", e))?;
            count = self.drain(&mut record);
        }
        while self.read >= self.look_after {
            self.read = 0;
            self.tell_ended()?;
            count += self.drain(&mut record);
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

    fn drain(&mut self, take: &mut impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        while let Some(length) = self.ring.next(|bytes| {
            // Records are as long as their size class, events as long as they say.
            take(record::event(bytes));
            bytes.len()
        }) {
            self.read += (length + RECORD_HEAD) as u64;
            count += 1;
        }
        count
    }

    /// Has the probes tell now of the sockets whose end found the ring buffer full.
    fn tell_ended(&mut self) -> Result<(), Error> {
        let ids: Vec<u64> = self.ended.keys().filter_map(Result::ok).collect();
        for id in ids {
            if self.control.order(Order::Ended, &[id])? == NO_ROOM {
                break; // it is full again, and will be read first
            }
        }
        Ok(())
    }
}

/// An answer of the control program.
const NO_ROOM: u32 = 2;
