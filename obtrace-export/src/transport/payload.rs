//! What one request carries.

use bytes::Bytes;

/// The body of an export request.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    /// The body, in the transport's [`Format`](crate::encode::Format).
    pub(crate) body: Bytes,
}

impl Payload {
    pub(crate) fn plain(body: Bytes) -> Self {
        Self { body }
    }
}
