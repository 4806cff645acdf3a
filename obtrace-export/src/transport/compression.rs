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

#[cfg(any(feature = "http", feature = "grpc"))]
impl Compression {
    pub(super) const fn method(self) -> Option<crate::compress::Method> {
        match self {
            Self::None => None,
            Self::Gzip => Some(crate::compress::Method::Gzip),
            #[cfg(feature = "zstd")]
            Self::Zstd => Some(crate::compress::Method::Zstd),
        }
    }
}
