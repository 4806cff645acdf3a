//! One segment: a file of records and the file of what was acknowledged of them.

use std::{
    fs::File,
    io::{self, ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    FileError, Unsynced,
    record::{ACK, Ack, RECORD_HEAD, SEGMENT_HEAD, SegmentHead},
    sys,
};

/// What is known of a segment without reading it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) head: SegmentHead,
    /// Bytes of the file that count.
    pub(super) length: u64,
    /// Bytes of the ack file, when everything is acknowledged.
    pub(super) ack_bytes: u64,
    /// Records, and items in them, that nobody took yet.
    pub(super) waiting: Amount,
    /// Records that were taken and are not settled.
    pub(super) taken: u64,
    /// Records that stay for the next run.
    pub(super) kept: Amount,
    /// Up to where it was read.
    pub(super) read: u64,
    /// What was acknowledged when it was opened, by offset: the counts go by it.
    pub(super) acks: Vec<Ack>,
    /// It was given to be synchronised with the disk, and it was.
    pub(super) is_sync_asked: bool,
    pub(super) is_synced: Arc<AtomicBool>,
    ack: Option<File>,
}

/// Some records and their items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) records: u64,
    pub(super) items: u64,
}

impl Amount {
    pub(super) fn add(&mut self, items: u32) {
        self.records += 1;
        self.items = self.items.saturating_add(items.into());
    }

    pub(super) fn subtract(&mut self, items: u32) {
        self.records = self.records.saturating_sub(1);
        self.items = self.items.saturating_sub(items.into());
    }
}

impl Segment {
    pub(super) fn new(number: u64, head: SegmentHead, length: u64) -> Self {
        let none = Amount::default();
        Self {
            number,
            head,
            length,
            ack_bytes: 0,
            waiting: none,
            taken: 0,
            kept: none,
            read: SEGMENT_HEAD as u64,
            acks: Vec::new(),
            is_sync_asked: false,
            is_synced: Arc::default(),
            ack: None,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.length.saturating_add(self.ack_bytes)
    }

    /// Whether nothing in it is needed any more.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.records == 0 && self.taken == 0 && self.kept.records == 0
    }

    /// Notes on disk that a record needs to be sent no more.
    pub(super) fn acknowledge(&mut self, folder: &Path, ack: Ack) -> io::Result<()> {
        let file = match &mut self.ack {
            Some(file) => file,
            none => none.insert(sys::append(&ack_path(folder, self.number), true)?),
        };
        file.write_all(&ack.to_bytes(self.head.nonce))
    }

    /// For synchronising it with the disk, unless that was done, or nothing in it is needed, or it is gone.
    pub(super) fn unsynced(&self, folder: &Path) -> Result<Option<Unsynced>, FileError> {
        if self.is_done() || self.is_synced.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let path = path(folder, self.number);
        match sys::read(&path) {
            Ok(file) => Ok(Some(Unsynced { file, path, is_synced: Arc::clone(&self.is_synced) })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::new("cannot synchronise", &path)(error)),
        }
    }

    /// Removes both files, the records first: an ack file without records does nothing, records without their ack file would
    /// be sent again.
    pub(super) fn remove(&self, folder: &Path) -> io::Result<()> {
        sys::remove(&path(folder, self.number))?;
        sys::remove(&ack_path(folder, self.number))
    }
}

pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.segment"))
}

pub(super) fn ack_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.acks"))
}

/// The number in the name of a segment or an ack file.
pub(super) fn number_of(name: &str) -> Option<(u64, bool)> {
    let (number, is_segment) = match name.split_once('.')? {
        (number, "segment") => (number, true),
        (number, "acks") => (number, false),
        _ => return None,
    };
    let well_formed = number.len() == 16 && number.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let number = well_formed.then(|| u64::from_str_radix(number, 16).ok()).flatten()?;
    // There must be numbers left for what comes after it.
    (number < u64::MAX / 2).then_some((number, is_segment))
}

/// Where an ack file is written anew.
pub(super) fn new_acks_path(folder: &Path) -> PathBuf {
    folder.join("acks.new")
}

/// What was acknowledged of a segment, by offset, and whether the file holds nothing else. A file that cannot be read
/// acknowledges nothing: to send again what arrived is better than to lose what did not.
///
/// # Errors
///
/// It may be readable the next time.
pub(super) fn acks(folder: &Path, segment: &Segment) -> io::Result<(Vec<Ack>, bool)> {
    // No more than one for each record that can lie there, twice.
    let most = segment.length / RECORD_HEAD as u64 * ACK as u64 * 2;
    let mut bytes = Vec::new();
    let read = sys::read(&ack_path(folder, segment.number))
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
    if let Err(error) = read
        && sys::is_passing(&error)
    {
        return Err(error);
    }
    let (acks, is_clean) = Ack::read_all(&bytes, segment.head.nonce);
    Ok((acks, is_clean && bytes.len() as u64 <= most))
}

/// Writes the ack file anew, without what is no acknowledgement. If it fails the old one is as it was.
pub(super) fn rewrite_acks(folder: &Path, segment: &Segment, acks: &[Ack]) -> io::Result<()> {
    let entries: Vec<_> = acks.iter().flat_map(|ack| ack.to_bytes(segment.head.nonce)).collect();
    sys::replace(&ack_path(folder, segment.number), &new_acks_path(folder), &entries)
}
