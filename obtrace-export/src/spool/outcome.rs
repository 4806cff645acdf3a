//! What a spool gives: batches, and word of what it found, lost, and has yet to write to the disk itself.

use std::{
    fs::File,
    num::NonZeroU32,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{FileError, MAX_BODY};
use crate::{
    compress::{Method, decompress},
    decode::DecodeError,
    encode::Format,
    model::Signal,
};

/// What an earlier run left in the folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Items that wait and will be sent.
    pub items: u64,
    /// Items that lay in parts that are missing or not what was written, as far as can be known.
    pub lost: u64,
    /// Bytes of these parts that were there.
    pub unreadable_bytes: u64,
}

/// Items that a spool gave up since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// To make room.
    pub full: u64,
    /// Because what was read is not what was written, or not there any more.
    pub corrupt: u64,
}

/// Which record an acknowledgement is for.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a record that is neither acknowledged nor released keeps its segment on disk"]
pub struct Receipt {
    pub(super) segment: u64,
    pub(super) offset: u32,
    pub(super) items: u32,
}

/// A batch that was taken to be sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Record {
    /// What it holds.
    pub signal: Signal,
    /// How it is written.
    pub format: Format,
    /// Items in it.
    pub items: NonZeroU32,
    /// The body, compressed by gzip.
    pub gzip: Vec<u8>,
    /// For [`Spool::acknowledge`](super::Spool::acknowledge) or [`Spool::release`](super::Spool::release).
    pub receipt: Receipt,
}

impl Record {
    /// The body as it was given.
    ///
    /// # Errors
    ///
    /// It is not gzip, or has more than [`MAX_BODY`] bytes: no spool has written it.
    pub fn plain(&self) -> Result<Vec<u8>, DecodeError> {
        decompress(Method::Gzip, &self.gzip, MAX_BODY)
    }
}

/// A full segment, to be synchronised with the disk. One that is dropped instead [`Spool::close`](super::Spool::close) does.
#[derive(Debug)]
#[must_use = "a power failure can take it until it is synchronised"]
pub struct Unsynced {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// Where the spool sees that it was done.
    pub(super) is_synced: Arc<AtomicBool>,
}

impl Unsynced {
    /// Waits until the disk has it.
    ///
    /// # Errors
    ///
    /// What the disk said.
    pub fn sync(self) -> Result<(), FileError> {
        self.file.sync_data().map_err(FileError::new("cannot synchronise", &self.path))?;
        // The name, too.
        let Some(folder) = self.path.parent() else { return Ok(()) };
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(FileError::new("cannot synchronise", folder))?;
        self.is_synced.store(true, Ordering::Relaxed);
        Ok(())
    }
}
