//! How bodies are compressed on their way.

/// How bodies are compressed on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip at level 1. Every receiver takes it.
    Gzip,
    /// zstd at level 1. The OpenTelemetry Collector takes it, others may not.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Compression {
    /// What `Content-Encoding` and `grpc-encoding` call it; `None` where neither is sent.
    pub(super) const fn token(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            #[cfg(feature = "zstd")]
            Self::Zstd => Some("zstd"),
        }
    }
}
