//! Why a process could not be read.

use std::{fmt, io};

/// Why a process could not be read: what was tried, what the system said, and what to do.
#[derive(Debug)]
pub struct ProcessError {
    pid: u32,
    kind: ProcessErrorKind,
    /// The file below `/proc/PID`, empty for the folder itself.
    tried: &'static str,
    source: Option<io::Error>,
}

/// Kinds of [`ProcessError`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ProcessErrorKind {
    /// There is no process of this number.
    NotFound,
    /// The process ended, or became another program, while it was read.
    Vanished,
    /// The process has ended; its parent has not asked for its status yet.
    Zombie,
    /// It is a thread of the kernel.
    KernelThread,
    /// It belongs to somebody else, or may not be looked into.
    Forbidden,
    /// No `/proc` is mounted.
    NoProc,
    /// Something else, as the system says.
    Other,
}

impl ProcessError {
    pub(super) fn new(pid: u32, kind: ProcessErrorKind, tried: &'static str, source: Option<io::Error>) -> Self {
        Self { pid, kind, tried, source }
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ProcessErrorKind {
        self.kind
    }

    /// The process that was to be read.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.tried.is_empty() { "" } else { "/" };
        write!(f, "cannot read /proc/{}{slash}{}", self.pid, self.tried)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        f.write_str(match self.kind {
            ProcessErrorKind::NotFound => "; there is no process of this number in this PID namespace",
            ProcessErrorKind::Vanished => "; the process ended or started another program meanwhile: try again if it is still there",
            ProcessErrorKind::Zombie => "; the process has ended, and its parent has not asked for its status yet",
            ProcessErrorKind::KernelThread => "; it is a thread of the kernel and has no program",
            ProcessErrorKind::Forbidden => {
                "; the process belongs to another user or is protected: run this as its user, as root, or with CAP_SYS_PTRACE"
            }
            ProcessErrorKind::NoProc => "; /proc is not mounted: mount it, or name another mount of it",
            ProcessErrorKind::Other => "",
        })
    }
}

impl std::error::Error for ProcessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| -> &(dyn std::error::Error + 'static) { source })
    }
}
