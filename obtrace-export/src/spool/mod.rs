//! Batches on disk until the receiver has them: a folder of append-only segments, read in order, each record acknowledged by
//! itself. Blocking `std::fs`, no runtime, no clock.
//!
//! A record is a batch as it goes out, compressed by gzip level 1, under a checksum; which of a segment's records arrived is
//! noted in a file beside it, and a segment of which all did is removed. What is in the folder survives the process however it
//! ends; another process that opens the folder goes on where it stopped. Lost is only what the bound or the disk takes, and
//! that is counted to the item: each record knows how many items came before it, so that also what lay in a missing or
//! garbled part is known as soon as anything after it is readable.
//!
//! # When the data is safe
//!
//! [`Spool::append`] ends in a `write`: from then on the batch survives the end of the process (`kill -9` too), not that of
//! the machine. A segment is handed out to be synchronised with the disk when it is full ([`Spool::unsynced`]), those that a
//! process left that was stopped are when it is opened, and [`Spool::close`] synchronises what is left: a power failure can
//! take what came after, a sixteenth of the bound or one larger batch at most, and what the receiver acknowledged since may be
//! sent again.

mod config;
mod cursor;
mod error;
mod open;
mod outcome;
mod record;
mod segment;
mod sys;

use std::{
    collections::VecDeque,
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::Write as _,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use self::{
    config::MIN_BYTES,
    cursor::{Cursor, Lying},
    record::{ACK, Ack, MAX_STORED, RECORD_HEAD, RecordHead, SEGMENT_HEAD, SegmentHead},
    segment::Segment,
};
pub use self::{
    config::{Config, WhenFull},
    error::{AppendError, FileError, OpenError},
    outcome::{Lost, Receipt, Record, Recovered, Unsynced},
};
use crate::{
    compress::{Compressor, Method},
    encode::Format,
    model::Signal,
};

/// Bytes of the largest body that a spool takes, before it is compressed. 32 MiB.
pub const MAX_BODY: usize = 32 * 1024 * 1024;

/// No segment is larger than this but by its last record, so that offsets have 32 bits.
const MAX_SEGMENT: u64 = 1 << 30;

/// A spool of one signal. One process at a time has it.
///
/// ```
/// use obtrace_export::{encode::Format, model::Signal, spool::{Config, Spool}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("spool-doc-{}", std::process::id()));
/// let (mut spool, recovered) = Spool::open(&Config::new(&folder), Signal::Traces)?;
/// assert_eq!(recovered.items, 0);
/// spool.append(Format::Json, 2.try_into()?, br#"{"resourceSpans":[]}"#)?;
/// let record = spool.take()?.ok_or("it is there")?;
/// assert_eq!((record.items.get(), record.plain()?), (2, br#"{"resourceSpans":[]}"#.to_vec()));
/// spool.acknowledge(record.receipt)?;
/// assert!(spool.take()?.is_none());
/// # spool.close()?; drop(spool); std::fs::remove_dir_all(folder)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// Held as long as it is open.
    _lock: File,
    signal: Signal,
    when_full: WhenFull,
    max_bytes: u64,
    segments: VecDeque<Segment>,
    /// The end of the last segment, while records are added to it.
    active: Option<File>,
    cursor: Option<Cursor>,
    next_item: u64,
    next_number: u64,
    lost: Lost,
    gzip: Compressor,
    /// The record that is being made.
    buffer: Vec<u8>,
}

impl Spool {
    /// Opens the spool of a signal, makes it if there is none, and looks at what an earlier run left. What is not readable
    /// of that is skipped and counted; it is no error.
    ///
    /// # Errors
    ///
    /// Another process has it, or the folder cannot be made, locked or read.
    pub fn open(config: &Config, signal: Signal) -> Result<(Self, Recovered), OpenError> {
        let folder = config.folder.join(signal.name());
        sys::create_folder(&folder).map_err(FileError::new("cannot make the spool's folder", &folder))?;
        let path = folder.join("lock");
        let lock = sys::lock(&path).map_err(|error| match error {
            sys::LockError::Held(pid) => OpenError::InUse { folder: folder.clone(), pid },
            sys::LockError::Io(error) => FileError::new("cannot lock the spool by", &path)(error).into(),
        })?;
        let found = open::read(&folder).map_err(FileError::new("cannot read the spool", &folder))?;
        let gzip = Compressor::new(Method::Gzip).map_err(FileError::new("cannot compress for", &folder))?;
        let mut spool = Self {
            folder,
            _lock: lock,
            signal,
            when_full: config.when_full,
            max_bytes: config.max_bytes.max(MIN_BYTES),
            segments: found.segments,
            active: None,
            cursor: None,
            next_item: found.next_item,
            next_number: found.next_number,
            lost: Lost::default(),
            gzip,
            buffer: Vec::new(),
        };
        if found.open_ended
            && let Some(last) = spool.segments.back()
        {
            spool.active = sys::append(&segment::path(&spool.folder, last.number), false).ok();
        }
        spool.retire();
        Ok((spool, found.recovered))
    }

    /// Adds a batch of some items as the last to be sent. When it returns, the end of the process takes nothing of it.
    ///
    /// # Errors
    ///
    /// There is no room, or the file system does not take it: nothing of it is there, and all else is as it was. Only where
    /// the oldest had to give way and the writing itself fails, what gave way stays given up.
    pub fn append(&mut self, format: Format, items: NonZeroU32, body: &[u8]) -> Result<(), AppendError> {
        let head_place = [0; RECORD_HEAD];
        self.buffer.clear();
        self.buffer.extend_from_slice(&head_place);
        if body.len() > MAX_BODY {
            return Err(AppendError::TooLarge);
        }
        self.gzip.compress(body, &mut self.buffer).map_err(FileError::new("cannot compress for", &self.folder))?;
        let written = self.seal_record(format, items).and_then(|size| self.write(size, items));
        // After a large batch the memory goes back.
        self.buffer.clear();
        self.buffer.shrink_to(1024 * 1024);
        written
    }

    /// Fills in the head of the record in the buffer; gives the record's size.
    fn seal_record(&mut self, format: Format, items: NonZeroU32) -> Result<u64, AppendError> {
        let size = self.buffer.len() as u64;
        if size + (SEGMENT_HEAD + ACK) as u64 > self.max_bytes {
            return Err(AppendError::TooLarge);
        }
        let need = size + ACK as u64;
        self.check_room(need)?;
        // Nothing gives way for a batch that has no place.
        let nonce = self.segment_for(size)?;
        self.make_room(need)?;
        let Some((place, body)) = self.buffer.split_first_chunk_mut() else { return Err(AppendError::TooLarge) };
        let head = RecordHead {
            length: u32::try_from(body.len())
                .ok()
                .filter(|&length| length <= MAX_STORED)
                .ok_or(AppendError::TooLarge)?,
            items,
            signal: self.signal,
            format,
            first: self.next_item,
            body_crc: record::crc(body),
        };
        *place = head.to_bytes(nonce);
        Ok(size)
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.bytes().saturating_add(bytes) <= self.max_bytes
    }

    /// Whether there is room for so many bytes and a segment's head, or can be made.
    fn check_room(&mut self, bytes: u64) -> Result<(), AppendError> {
        let need = bytes + SEGMENT_HEAD as u64;
        if !self.has_room(need) && self.segments.iter().all(Segment::is_done) {
            // Also the one that records are added to.
            self.active = None;
            self.retire();
        }
        if self.when_full == WhenFull::DropNewest && !self.has_room(need) { Err(AppendError::Full) } else { Ok(()) }
    }

    /// Gives up the oldest segments until there is room for so many bytes in the last one.
    fn make_room(&mut self, bytes: u64) -> Result<(), AppendError> {
        while !self.has_room(bytes) {
            let Some(front) = self.segments.front().filter(|_| self.segments.len() > 1) else {
                return Err(AppendError::TooLarge);
            };
            front.remove(&self.folder).map_err(FileError::new("cannot remove the oldest segment of", &self.folder))?;
            self.lost.full = self.lost.full.saturating_add(front.waiting.items).saturating_add(front.kept.items);
            self.forget_front();
        }
        Ok(())
    }

    /// The nonce of the last segment, which takes a record of this size; a new one if the last is full.
    fn segment_for(&mut self, size: u64) -> Result<u64, AppendError> {
        let full = (self.max_bytes / 16).min(MAX_SEGMENT);
        if let (Some(_), Some(last)) = (&self.active, self.segments.back())
            && (last.length <= SEGMENT_HEAD as u64 || last.length + size <= full)
        {
            return Ok(last.head.nonce);
        }
        self.active = None;
        let head = SegmentHead { nonce: RandomState::new().hash_one(self.next_number), first: self.next_item };
        let path = segment::path(&self.folder, self.next_number);
        let mut file = sys::create(&path).map_err(FileError::new("cannot make", &path))?;
        // Whether or not it can be written, the name is taken.
        let number = self.next_number;
        self.next_number += 1;
        if let Err(error) = file.write_all(&head.to_bytes()) {
            let _ = sys::remove(&path);
            return Err(FileError::new("cannot write", &path)(error).into());
        }
        self.segments.push_back(Segment::new(number, head, SEGMENT_HEAD as u64));
        self.active = Some(file);
        self.retire();
        Ok(head.nonce)
    }

    fn write(&mut self, size: u64, items: NonZeroU32) -> Result<(), AppendError> {
        let (Some(file), Some(last)) = (&mut self.active, self.segments.back_mut()) else {
            return Err(AppendError::TooLarge);
        };
        if let Err(error) = file.write_all(&self.buffer) {
            let path = segment::path(&self.folder, last.number);
            if file.set_len(last.length).is_err() {
                // A piece of it may be there; nothing may come after that.
                self.active = None;
            }
            return Err(FileError::new("cannot write", &path)(error).into());
        }
        last.length += size;
        last.ack_bytes += ACK as u64;
        last.waiting.add(items.get());
        self.next_item = self.next_item.saturating_add(items.get().into());
        Ok(())
    }

    /// The oldest batch that nobody took yet. What is not there any more, or not what was written, is skipped and counted
    /// ([`Spool::lost`]).
    ///
    /// # Errors
    ///
    /// It cannot be read now (no free file descriptor, a disk that fails): it still waits, at the same place. Try again later.
    pub fn take(&mut self) -> Result<Option<Record>, FileError> {
        while let Some(segment) = self.segments.iter_mut().find(|segment| segment.waiting.records > 0) {
            let next = Cursor::next(&mut self.cursor, &self.folder, segment);
            let number = segment.number;
            let path = segment::path(&self.folder, number);
            if let Some(Lying { offset, head, body }) = next.map_err(FileError::new("cannot read", &path))? {
                let items = head.items;
                segment.waiting.subtract(items.get());
                if let Some(gzip) = body.filter(|_| head.signal == self.signal) {
                    segment.taken += 1;
                    let receipt = Receipt { segment: number, offset, items: items.get() };
                    return Ok(Some(Record { signal: head.signal, format: head.format, items, gzip, receipt }));
                }
                // Noted, so that the next run does not count it again; if that fails, it does.
                let _ = segment.acknowledge(&self.folder, Ack { offset, items: items.get() });
                self.lost.corrupt = self.lost.corrupt.saturating_add(items.get().into());
            } else {
                self.give_up_rest(number);
            }
            self.retire();
        }
        Ok(None)
    }

    /// Less was there than there should be: what still waits in this segment cannot be had.
    fn give_up_rest(&mut self, number: u64) {
        self.cursor = None;
        // What is added goes where it can be found again.
        if self.segments.back().is_some_and(|last| last.number == number) {
            self.active = None;
        }
        let Some(segment) = self.segments.iter_mut().find(|segment| segment.number == number) else { return };
        let rest = std::mem::take(&mut segment.waiting);
        self.lost.corrupt = self.lost.corrupt.saturating_add(rest.items);
    }

    /// Notes that a batch needs to be sent no more.
    ///
    /// # Errors
    ///
    /// It could not be noted on disk: this run goes on as if it were, the next one may send the batch again.
    pub fn acknowledge(&mut self, receipt: Receipt) -> Result<(), FileError> {
        let Some(segment) = self.segments.iter_mut().find(|segment| segment.number == receipt.segment) else {
            return Ok(());
        };
        segment.taken = segment.taken.saturating_sub(1);
        let noted = segment.acknowledge(&self.folder, Ack { offset: receipt.offset, items: receipt.items });
        self.retire();
        noted.map_err(FileError::new("cannot note what was delivered in", &self.folder))
    }

    /// Leaves a batch that was taken to the next run. `false`: it is not there any more, it was given up to make room.
    #[must_use]
    pub fn release(&mut self, receipt: &Receipt) -> bool {
        let Some(segment) = self.segments.iter_mut().find(|segment| segment.number == receipt.segment) else {
            return false;
        };
        segment.taken = segment.taken.saturating_sub(1);
        segment.kept.add(receipt.items);
        true
    }

    /// Items that were given up since the last call.
    pub fn lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    /// Items that wait, those that were released among them.
    #[must_use]
    pub fn items(&self) -> u64 {
        let items = |segment: &Segment| segment.waiting.items.saturating_add(segment.kept.items);
        self.segments.iter().map(items).fold(0, u64::saturating_add)
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.iter().all(|segment| segment.waiting.records == 0)
    }

    /// Bytes of the files, with room for the acknowledgements that are to come.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(Segment::bytes).fold(0, u64::saturating_add)
    }

    /// The folder of this signal.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A segment that takes no more and should be synchronised with the disk, on a thread that may wait for it; each is given
    /// once. `None`: no other, or it cannot be opened now.
    pub fn unsynced(&mut self) -> Option<Unsynced> {
        let sealed = self.segments.len() - usize::from(self.active.is_some());
        for segment in self.segments.iter_mut().take(sealed).filter(|segment| !segment.is_sync_asked) {
            let unsynced = segment.unsynced(&self.folder).ok()?;
            segment.is_sync_asked = true;
            if unsynced.is_some() {
                return unsynced;
            }
        }
        None
    }

    /// Synchronises what is there with the disk, or removes it if nothing in it is needed. May be called again; a batch may
    /// still be added after it.
    ///
    /// # Errors
    ///
    /// What the disk said first; the other segments are synchronised all the same.
    pub fn close(&mut self) -> Result<(), FileError> {
        self.active = None;
        self.retire();
        let sync = |segment: &Segment| segment.unsynced(&self.folder)?.map_or(Ok(()), Unsynced::sync);
        self.segments.iter().map(sync).fold(Ok(()), Result::and)
    }

    /// Removes the oldest segments as far as nothing in them is needed. In order, so that no gap opens that looks like a loss.
    fn retire(&mut self) {
        while let Some(front) = self.segments.front() {
            let last = self.segments.len() == 1 && self.active.is_some();
            // One that cannot be removed is tried again at the next change.
            if last || !front.is_done() || front.remove(&self.folder).is_err() {
                break;
            }
            self.forget_front();
        }
    }

    fn forget_front(&mut self) {
        let Some(front) = self.segments.pop_front() else { return };
        if self.segments.is_empty() {
            self.active = None;
        }
        if self.cursor.as_ref().is_some_and(|cursor| cursor.number == front.number) {
            self.cursor = None;
        }
    }
}
