//! The labels of the metrics: their values are from fixed sets, so that nobody outside can make series.

use prometheus_client::encoding::EncodeLabelSet;

/// Why a connection was closed or not taken.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RefusedConnection {
    /// The system could not hand it over: no descriptors left, or it was gone.
    Accept,
    /// It does not speak TLS.
    NotTls,
    /// TLS was not agreed on.
    Handshake,
    /// TLS was not agreed on in time.
    HandshakeTimeout,
    /// A request did not begin, or its head did not end, in time.
    HeaderTimeout,
    /// There were too many, and it was the one that had been idle longest.
    TooMany,
    /// Its client did not take its answers, for which others had no room.
    Untaken,
    /// It broke, or spoke something else than HTTP.
    Broken,
    /// It was still busy at the end of the time that a stop gives.
    Stopped,
}

impl RefusedConnection {
    /// Its name, for the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::NotTls => "not_tls",
            Self::Handshake => "handshake",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HeaderTimeout => "header_timeout",
            Self::TooMany => "too_many",
            Self::Untaken => "untaken",
            Self::Broken => "broken",
            Self::Stopped => "stopped",
        }
    }
}

/// Why a request got no verdict.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RefusedRequest {
    /// No such path.
    Path,
    /// Another method than POST.
    Method,
    /// Its content is not JSON by its own word.
    ContentType,
    /// Its body is larger than the bound.
    TooLarge,
    /// Its body did not come in time.
    Timeout,
    /// Its body broke off.
    Broken,
    /// Too much at once: there was no room for its body, or for its answer, in time.
    Overloaded,
    /// A fault of ours.
    Panic,
}

impl RefusedRequest {
    /// Its name, for the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Method => "method",
            Self::ContentType => "content_type",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Overloaded => "overloaded",
            Self::Panic => "panic",
        }
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Admission {
    pub(super) outcome: &'static str,
    pub(super) reason: &'static str,
    pub(super) dry_run: bool,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Reason {
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Language {
    pub(super) language: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Workloads {
    pub(super) language: &'static str,
    pub(super) state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Restart {
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Lookup {
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Kind {
    pub(super) kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Build {
    pub(super) version: &'static str,
}
