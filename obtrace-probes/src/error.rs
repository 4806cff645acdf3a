//! What can go wrong, split by who can mend it.

use std::io;

use thiserror::Error;

use crate::{capability, event::SocketId};

/// The probes could not be loaded, attached or asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller may not do this.
    #[error("{what}: {source}; {mend}")]
    Permission {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
        /// What would mend it; names exactly the capabilities that are missing.
        mend: String,
    },
    /// The kernel lacks something.
    #[error("{what}: this kernel lacks it ({said}); {mend}")]
    Unsupported {
        /// What was tried.
        what: String,
        /// What the kernel said.
        said: String,
        /// What would mend it.
        mend: &'static str,
    },
    /// The kernel's verifier refused a program.
    #[error("the kernel's verifier refused program {program}: {source}; the end of its log:\n{log}")]
    Verifier {
        /// The program.
        program: String,
        /// What the kernel said.
        source: io::Error,
        /// The last lines of the log.
        log: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A place in its stream was named of a socket of datagrams.
    #[error(
        "socket {0} has no stream: of datagrams everything or nothing is captured (Verdict::Full, Verdict::Ignore)"
    )]
    NoStream(SocketId),
    /// The compiled object and this library do not fit together: a bug of this crate.
    #[error("the compiled BPF object is not what the library expects: {0} (please report this)")]
    Object(String),
}

impl Error {
    pub(crate) fn system(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::permission(what, source),
            _ => Self::System { what, source },
        }
    }

    pub(crate) fn permission(what: String, source: io::Error) -> Self {
        Self::Permission { what, source, mend: capability::mend_permission() }
    }

    pub(crate) fn object(error: impl std::fmt::Display) -> Self {
        Self::Object(error.to_string())
    }

    /// Whether this machine cannot do it (a kernel feature or a capability), as opposed to a failure.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Permission { .. } | Self::Unsupported { .. } | Self::Verifier { .. })
    }
}

/// The last lines of a verifier log.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
