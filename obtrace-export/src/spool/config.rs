//! Where a spool lies and how large it may become.

use std::path::PathBuf;

/// Bytes of the smallest bound.
pub(super) const MIN_BYTES: u64 = 64 * 1024;

/// What is given up when the spool is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// What has waited longest, a segment at a time: what happens now matters more.
    #[default]
    DropOldest,
    /// What comes: how it began matters more.
    DropNewest,
}

/// Where a spool lies and how large it may become.
///
/// ```
/// use obtrace_export::spool::{Config, WhenFull};
/// let config = Config::new("/var/lib/my-agent/spool").with_max_bytes(1 << 30).with_when_full(WhenFull::DropNewest);
/// assert_eq!(Config::new("x").max_bytes, 64 << 20);
/// # assert_eq!(config.max_bytes, 1 << 30);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The folder. Each signal has one of its own within it, so that exporters of several signals can share it.
    pub folder: PathBuf,
    /// Most bytes of the files of a signal, 64 KiB at least. 64 MiB, which holds 0.6 to 1 million spans of 12 attributes.
    pub max_bytes: u64,
    /// What is given up beyond them. The oldest.
    pub when_full: WhenFull,
}

impl Config {
    /// A spool in this folder, made when it is first opened.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), max_bytes: 64 * 1024 * 1024, when_full: WhenFull::default() }
    }

    /// Sets [`Config::max_bytes`].
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes.max(MIN_BYTES);
        self
    }

    /// Sets [`Config::when_full`].
    #[must_use]
    pub fn with_when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }
}
