//! Why a task ended without success, and the exit code that says so.

use std::{io, path::PathBuf};

/// Why a task ended without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program could not be started at all.
    #[error("cannot run `{command}`: {source}; is it installed? `cargo xtask setup` installs what is needed")]
    Start {
        /// The command line.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("`{command}` failed: {status}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status, and what it printed where that was captured.
        status: String,
    },
    /// A file could not be read, written or made.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This machine, or this user, cannot do it.
    #[error("{0}")]
    Cannot(String),
    /// What was checked is wrong.
    #[error("{0}")]
    Wrong(String),
    /// Ctrl-C, or a request to terminate.
    #[error("interrupted; what was started has been ended")]
    Interrupted,
}

impl Error {
    /// 1: failed, 77: this machine or user cannot, 130: interrupted.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Cannot(_) => 77,
            Self::Interrupted => 130,
            Self::Start { .. } | Self::Failed { .. } | Self::File { .. } | Self::Wrong(_) => 1,
        }
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
