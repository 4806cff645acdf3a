//! A payload as the body of a request.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};

use super::{Compression, Payload};

/// The body, compressed as asked for, and its encoding's name. What is gzip already stays as it is: every receiver takes it,
/// and to open it in order to close it otherwise is work for nothing.
pub(super) fn compressed(payload: Payload, compression: Compression) -> (Bytes, Option<&'static str>) {
    if payload.is_gzip {
        return (payload.body, Some("gzip"));
    }
    let packed = match compression {
        Compression::None => None,
        Compression::Gzip => gzip(&payload.body),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::bulk::compress(&payload.body, 1).ok(),
    };
    match packed {
        Some(packed) => (packed.into(), compression.token()),
        None => (payload.body, None),
    }
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Level::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}
