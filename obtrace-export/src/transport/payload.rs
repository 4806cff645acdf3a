//! What one request carries.

use bytes::Bytes;

/// The body of an export request.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    /// The body, in the transport's [`Format`](crate::encode::Format).
    pub(crate) body: Bytes,
    /// It is compressed with gzip already.
    pub(crate) is_gzip: bool,
}

impl Payload {
    pub(crate) fn plain(body: Bytes) -> Self {
        Self { body, is_gzip: false }
    }

    /// A body that is gzip already.
    pub(crate) fn gzip(body: Bytes) -> Self {
        Self { body, is_gzip: true }
    }
}
