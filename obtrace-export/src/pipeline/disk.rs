//! The exporter's spool: opened when it can be, left when it cannot, its losses counted.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    in_flight::{InFlight, Load},
    shared::{Scratch, Shared},
};
use crate::{
    compress::{Method, decompress},
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

/// What became of a batch that was to go to the spool.
pub(super) enum Put<T: Item> {
    /// It is there, or counted as given up.
    Done,
    /// It must be sent from memory.
    InMemory(InFlight<T>),
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

    /// Writes a batch to the spool, in halves as long as its body is larger than allowed.
    pub(super) fn put(&self, batch: InFlight<T>) -> Put<T> {
        let Scratch { mut encoder, mut body } = self.scratch();
        let mut parts = vec![batch];
        let mut back = None;
        while let Some(mut part) = parts.pop() {
            body.clear();
            encoder.encode(self.transport.format(), part.as_items(), &mut body);
            if body.len() <= self.config.max_body {
                match self.append(part, &body) {
                    Put::Done => {}
                    Put::InMemory(part) => {
                        back = Some(part);
                        break;
                    }
                }
            } else if part.as_items().len() > 1 {
                let (first, second) = part.split();
                parts.push(second);
                parts.push(first);
            } else {
                self.log.dropped(DropReason::TooLarge, part.count(), "");
                part.dropped(part.count(), DropReason::TooLarge);
            }
        }
        self.recycle(Scratch { encoder, body });
        let Some(mut back) = back else { return Put::Done };
        // What was split off goes the same way.
        for part in parts.into_iter().rev() {
            back.absorb(part);
        }
        Put::InMemory(back)
    }

    fn append(&self, mut batch: InFlight<T>, body: &[u8]) -> Put<T> {
        let mut state = self.disk.lock();
        let items = u32::try_from(batch.count()).ok().and_then(NonZeroU32::new);
        // A batch in which OTLP counts nothing has nothing to lose.
        let (Some(spool), Some(items)) = (&mut state.spool, items) else { return Put::InMemory(batch) };
        let appended = spool.append(self.transport.format(), items, body);
        let (lost, bytes) = (spool.lost(), spool.bytes());
        self.book(|stats| stats.spool_bytes = bytes);
        // What gave way for it is gone, whether or not it was written then.
        self.lost(lost.full, DropReason::SpoolFull, "the oldest, to make room");
        match appended {
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
            Err(AppendError::TooLarge) => Put::InMemory(batch),
            Err(AppendError::File(error)) => {
                self.log.spool_failed(&error);
                Put::InMemory(batch)
            }
        }
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
            self.log.spool_failed(&error);
        }
        let bytes = spool.bytes();
        self.book(|stats| stats.spool_bytes = bytes);
    }

    /// Leaves a batch to the next run; `false` if the spool gave it up.
    pub(super) fn release(&self, receipt: &Receipt) -> bool {
        // One that is closed has it on disk.
        self.disk.lock().spool.as_mut().is_none_or(|spool| spool.release(receipt))
    }

    pub(super) fn unsynced(&self) -> Option<Unsynced> {
        self.disk.lock().spool.as_mut().and_then(Spool::unsynced)
    }

    /// Synchronises the spool with the disk and gives it up for others to open.
    pub(super) fn close_spool(&self) {
        let Some(mut spool) = self.disk.lock().spool.take() else { return };
        if let Err(error) = spool.close() {
            self.log.spool_failed(&error);
        }
        let bytes = spool.bytes();
        self.book(|stats| stats.spool_bytes = bytes);
    }
}
