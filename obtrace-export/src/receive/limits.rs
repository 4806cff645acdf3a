//! What a sender may cause.

use std::time::Duration;

use crate::decode;

/// What one sender, and all of them together, may cost the receiver. What goes beyond is refused, whole requests at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// Bytes of a request's body as it is sent.
    pub body: usize,
    /// Bytes of a request's body when it is decompressed.
    pub decompressed: usize,
    /// Bytes of all bodies that are being received; beyond it requests are answered with 503.
    pub held: usize,
    /// What a request may hold. One is decoded at a time.
    pub decode: decode::Limits,
    /// How long the head of the next request may take, the time between requests included.
    pub head_time: Duration,
    /// How long the body of a request may take.
    pub body_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            body: 4 << 20,
            decompressed: 16 << 20,
            held: 32 << 20,
            decode: decode::Limits::default(),
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Those that suit a machine of one's own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
