//! The exporter's spool: opened when it can be, left when it cannot, its losses counted.

use std::{
    io,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    in_flight::{InFlight, Load, Part},
    shared::{Scratch, Shared},
};
use crate::{
    compress::{Compressor, Method, decompress},
    decode::{Limits, decode},
    encode::Format,
    model::Item,
    spool::{AppendError, Config, MAX_BODY, Receipt, Spool, Unsynced},
    stats::DropReason,
};

/// How long until a spool that could not be opened is tried again: another process may have ended, a volume may be there.
const TRY_AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Disk {
    config: Option<Config>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spool: Option<Spool>,
    tried: Option<Instant>,
}

impl Disk {
    pub(super) fn new(config: Option<Config>) -> Self {
        Self { config, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left of a batch that was to go to the spool. The rest is there, or counted as given up.
pub(super) struct Left<T: Item> {
    /// The disk did not take it; it may another time.
    pub(super) refused: Option<InFlight<T>>,
    /// Single items that are larger than the spool takes, now and later.
    pub(super) too_large: Option<InFlight<T>>,
}

enum Put<T: Item> {
    Done,
    Refused(InFlight<T>),
    TooLarge(InFlight<T>),
}

impl<T: Item> Shared<T> {
    /// Opens the spool if there should be one and it is not open; whether it is open then.
    pub(super) fn open_spool(&self) -> bool {
        let Some(config) = &self.disk.config else { return false };
        let mut state = self.disk.lock();
        if state.spool.is_some() {
            return true;
        }
        let now = Instant::now();
        if state.tried.is_some_and(|tried| now < tried + TRY_AGAIN) {
            return false;
        }
        state.tried = Some(now);
        let (spool, recovered) = match Spool::open(config, T::SIGNAL) {
            Ok(opened) => opened,
            Err(error) => {
                self.log.spool_failed(&error);
                return false;
            }
        };
        self.log.spool_opened(&spool, &recovered);
        self.book(|stats| {
            stats.recovered += recovered.items.saturating_add(recovered.lost);
            stats.spooled += recovered.items;
            stats.spool_bytes = spool.bytes();
            stats.count_dropped(DropReason::SpoolCorrupt, recovered.lost);
        });
        if recovered.lost > 0 {
            self.log.dropped(DropReason::SpoolCorrupt, recovered.lost, "left by an earlier run");
        }
        state.spool = Some(spool);
        true
    }

    /// Writes a batch to the spool, in halves as long as its body is larger than allowed or than the spool takes.
    pub(super) fn put(&self, batch: InFlight<T>) -> Left<T> {
        let mut scratch = self.scratch();
        let Scratch { encoder, body, .. } = &mut scratch;
        let mut left = Left { refused: None, too_large: None };
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            body.clear();
            encoder.encode(self.transport.format(), part.as_items(), body);
            let is_allowed = body.len() <= self.config.max_body;
            let part = match if is_allowed { self.append(part, body) } else { Put::TooLarge(part) } {
                Put::Done => continue,
                Put::Refused(mut part) => {
                    // What was split off goes the same way.
                    parts.into_iter().rev().for_each(|rest| part.absorb(rest));
                    left.refused = Some(part);
                    break;
                }
                Put::TooLarge(part) => part,
            };
            match part.split() {
                Ok((first, second)) => parts.extend([second, first]),
                Err(part) if !is_allowed => self.too_large(part),
                Err(part) => match &mut left.too_large {
                    Some(others) => others.absorb(part),
                    none => *none = Some(part),
                },
            }
        }
        self.recycle(scratch);
        left
    }

    /// Gives a batch up for its size.
    pub(super) fn too_large(&self, mut batch: InFlight<T>) {
        self.log.dropped(DropReason::TooLarge, batch.count(), "");
        batch.dropped(batch.count(), DropReason::TooLarge);
    }

    fn append(&self, mut batch: InFlight<T>, body: &[u8]) -> Put<T> {
        if batch.count() == 0 {
            // In what OTLP counts nothing of there is nothing to lose.
            return Put::Done;
        }
        let mut state = self.disk.lock();
        let Some(spool) = &mut state.spool else { return Put::Refused(batch) };
        let Some(items) = u32::try_from(batch.count()).ok().and_then(NonZeroU32::new) else {
            return Put::TooLarge(batch);
        };
        match self.append_to(spool, items, self.transport.format(), body) {
            Ok(()) => {
                self.log.spool_works();
                batch.spooled();
                Put::Done
            }
            Err(AppendError::Full) => {
                self.log.dropped(DropReason::SpoolFull, batch.count(), "the newest, as there is no room");
                batch.dropped(batch.count(), DropReason::SpoolFull);
                Put::Done
            }
            Err(AppendError::TooLarge) => Put::TooLarge(batch),
            Err(AppendError::File(error)) => {
                self.log.spool_failed(&error);
                Put::Refused(batch)
            }
        }
    }

    fn append_to(&self, spool: &mut Spool, items: NonZeroU32, format: Format, body: &[u8]) -> Result<(), AppendError> {
        let appended = spool.append(format, items, body);
        let (lost, bytes) = (spool.lost(), spool.bytes());
        self.book(|stats| stats.spool_bytes = bytes);
        // What gave way for it is gone, whether or not it was written then.
        self.lost(lost.full, DropReason::SpoolFull, "the oldest, to make room");
        appended
    }

    /// The next batch of the spool.
    pub(super) fn take_spooled(self: &Arc<Self>) -> Option<InFlight<T>> {
        let mut state = self.disk.lock();
        let spool = state.spool.as_mut()?;
        let record = spool.take().unwrap_or_else(|error| {
            self.log.spool_failed(&error);
            None
        });
        let (lost, bytes) = (spool.lost().corrupt, spool.bytes());
        let items = record.as_ref().map_or(0, |record| u64::from(record.items.get()));
        self.book(|stats| {
            stats.spooled = stats.spooled.saturating_sub(items);
            stats.sending += items;
            stats.spool_bytes = bytes;
        });
        self.lost(lost, DropReason::SpoolCorrupt, "what the spool holds is not what was written");
        let record = record?;
        let load = Load::Record { format: record.format, gzip: record.gzip.into() };
        Some(InFlight::record(self, load, items, record.receipt))
    }

    /// The items of a batch from the spool. What cannot be read was written by something else.
    pub(super) fn reread(&self, format: Format, gzip: &[u8]) -> Option<Vec<T>> {
        let body = decompress(Method::Gzip, gzip, MAX_BODY).ok()?;
        // Each takes a byte at least.
        let limits = Limits::new().with_items(body.len()).with_elements(body.len());
        T::decoded(decode(T::SIGNAL, format, &body, &limits).ok()?)
    }

    /// Whether there is nothing to take.
    pub(super) fn spool_is_empty(&self) -> bool {
        self.disk.lock().spool.as_ref().is_none_or(Spool::is_empty)
    }

    pub(super) fn acknowledge(&self, receipt: Receipt) {
        let mut state = self.disk.lock();
        let Some(spool) = &mut state.spool else { return };
        if let Err(error) = spool.acknowledge(receipt) {
            self.log.not_noted(&error);
        }
        let bytes = spool.bytes();
        self.book(|stats| stats.spool_bytes = bytes);
    }

    /// Leaves a batch that is not taken any more to the next run: so many of its items lie there, and of so many the fate is
    /// open. The others arrived already, but will be sent again, as are those that an earlier run left.
    pub(super) fn keep(&self, receipt: &Receipt, lie: u64, left: u64) {
        // One that is closed has it on disk.
        if self.disk.lock().spool.as_mut().is_none_or(|spool| spool.release(receipt)) {
            self.book(|stats| {
                stats.sending -= left;
                stats.spooled += lie;
                stats.recovered += lie.saturating_sub(left);
            });
        } else {
            // Its place was given up to make room.
            self.settle(left, |stats, items| stats.count_dropped(DropReason::SpoolFull, items));
        }
    }

    /// Writes a part of a batch as a batch of its own, the last of the spool; whether it is there.
    pub(super) fn write_anew(&self, part: &Part<T>) -> bool {
        let mut scratch = self.scratch();
        let is_written = self.write_part(&mut scratch, part).is_some();
        self.recycle(scratch);
        is_written
    }

    fn write_part(&self, scratch: &mut Scratch, part: &Part<T>) -> Option<()> {
        scratch.body.clear();
        let format = match &part.load {
            Load::Items(items) => {
                scratch.encoder.encode(self.transport.format(), items, &mut scratch.body);
                self.transport.format()
            }
            Load::Record { format, gzip } => {
                scratch.body = decompress(Method::Gzip, gzip, MAX_BODY).ok()?;
                *format
            }
        };
        let items = NonZeroU32::new(u32::try_from(part.count).ok()?)?;
        let mut state = self.disk.lock();
        match self.append_to(state.spool.as_mut()?, items, format, &scratch.body) {
            Ok(()) => {
                self.spooled(part.count);
                Some(())
            }
            Err(AppendError::File(error)) => {
                self.log.spool_failed(&error);
                None
            }
            Err(AppendError::Full | AppendError::TooLarge) => None,
        }
    }

    /// The body of these items, compressed with gzip; `None`: it would be larger than our limit.
    pub(super) fn pack(&self, items: &[T]) -> Option<io::Result<Bytes>> {
        let mut scratch = self.scratch();
        let Scratch { encoder, body, gzip } = &mut scratch;
        encoder.encode(self.transport.format(), items, body);
        let packed = (body.len() <= self.config.max_body).then(|| {
            let gzip = match gzip {
                Some(gzip) => gzip,
                none => none.insert(Compressor::new(Method::Gzip)?),
            };
            let mut packed = Vec::new();
            gzip.compress(body, &mut packed)?;
            Ok(packed.into())
        });
        self.recycle(scratch);
        packed
    }

    pub(super) fn unsynced(&self) -> Option<Unsynced> {
        self.disk.lock().spool.as_mut().and_then(Spool::unsynced)
    }

    /// Synchronises the spool with the disk and gives it up for others to open.
    pub(super) fn close_spool(&self) {
        let Some(mut spool) = self.disk.lock().spool.take() else { return };
        if let Err(error) = spool.close() {
            self.log.not_synced(&error);
        }
        let bytes = spool.bytes();
        self.book(|stats| stats.spool_bytes = bytes);
    }
}
