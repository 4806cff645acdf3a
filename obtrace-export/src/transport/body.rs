//! A payload as the body of a request.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::{Compression, Payload};
use crate::compress::{Compressor, Method};

/// As many compressors are kept as there are requests at once by default.
const KEPT: usize = 4;

/// Compresses bodies, and keeps the memory for it.
#[derive(Debug)]
pub(super) struct Packer {
    method: Option<Method>,
    idle: Mutex<Vec<Compressor>>,
}

impl Packer {
    pub(super) fn new(compression: Compression) -> Self {
        Self { method: compression.method(), idle: Mutex::default() }
    }

    /// The body, compressed as asked for, and its encoding's name. What is gzip already stays as it is: every receiver takes
    /// it, and to open it in order to close it otherwise is work for nothing.
    pub(super) fn pack(&self, payload: Payload) -> (Bytes, Option<&'static str>) {
        if payload.is_gzip {
            return (payload.body, Some(Method::Gzip.name()));
        }
        match self.method.and_then(|method| Some((self.compressed(method, &payload.body)?, method.name()))) {
            Some((body, name)) => (body, Some(name)),
            // Without memory for it a body goes as it is.
            None => (payload.body, None),
        }
    }

    fn compressed(&self, method: Method, body: &[u8]) -> Option<Bytes> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let mut compressor = kept.or_else(|| Compressor::new(method).ok())?;
        let mut packed = Vec::new();
        compressor.compress(body, &mut packed).ok()?;
        let mut idle = idle();
        if idle.len() < KEPT {
            idle.push(compressor);
        }
        Some(packed.into())
    }
}
