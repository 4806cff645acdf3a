//! What the file system said, and what can be done about it.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A file operation that failed: what it was for, on what, and what the system said.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}: {source}{}", path.display(), hint(source))]
pub struct FileError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    pub(super) fn new(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { doing, path, source }
    }

    /// What the system said.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// What can be done about it.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space there, or set a smaller spool",
        io::ErrorKind::ReadOnlyFilesystem => "; set a folder on a writable volume",
        io::ErrorKind::PermissionDenied => "; let the user of this process write there, or set another folder",
        io::ErrorKind::NotADirectory => "; a folder is needed there",
        _ => "",
    }
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the spool {} is in use by {}; stop it, or set another folder for one of them", folder.display(), holder(*pid))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Which, if it said so.
        pid: Option<u32>,
    },
    /// The file system does not let us.
    #[error(transparent)]
    File(#[from] FileError),
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no room, and what came first stays ([`WhenFull::DropNewest`](super::WhenFull::DropNewest)).
    #[error("the spool is full")]
    Full,
    /// The batch alone is larger than the spool, or than [`MAX_BODY`](super::MAX_BODY).
    #[error("the batch is larger than the spool")]
    TooLarge,
    /// The file system did not take it. Nothing of it is left there.
    #[error(transparent)]
    File(#[from] FileError),
}
