//! From an HTTP request to its body, within the limits.

use std::sync::Arc;

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Format, Limits, reply::Refusal};
use crate::{
    compress::{Method, decompress},
    decode::DecodeErrorKind,
};

/// The unit in which bodies that are being received are counted.
const UNIT: usize = 1 << 10;

/// How many bodies may be received at a time, by their size.
#[derive(Clone, Debug)]
pub(super) struct Held(Arc<Semaphore>);

impl Held {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Semaphore::new((limits.held / UNIT).clamp(1, Semaphore::MAX_PERMITS))))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        Arc::clone(&self.0)
            .try_acquire_many_owned(units)
            .map_err(|_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too much is being received at the moment"))
    }
}

/// A body as it was sent, and its share of what may be held.
#[derive(Debug)]
pub(super) struct Received {
    bytes: Vec<u8>,
    _share: Option<OwnedSemaphorePermit>,
}

/// The form of the body, if it is one of ours.
pub(super) fn format(headers: &HeaderMap) -> Option<Format> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    [Format::Json, Format::Protobuf].into_iter().find(|known| essence.eq_ignore_ascii_case(known.content_type()))
}

/// How the body is compressed, if it is; what is not read here is refused.
pub(super) fn compression(headers: &HeaderMap) -> Result<Option<Method>, Refusal> {
    #[cfg(not(feature = "zstd"))]
    const REFUSED: &str = "Content-Encoding must be gzip or identity";
    #[cfg(feature = "zstd")]
    const REFUSED: &str = "Content-Encoding must be gzip, zstd or identity";
    let refused = || Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, REFUSED);
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let value = value.to_str().map_err(|_| refused())?.trim();
    match value.to_ascii_lowercase().as_str() {
        _ if values.next().is_some() => Err(refused()),
        "gzip" | "x-gzip" => Ok(Some(Method::Gzip)),
        #[cfg(feature = "zstd")]
        "zstd" => Ok(Some(Method::Zstd)),
        "identity" | "" => Ok(None),
        _ => Err(refused()),
    }
}

/// Receives a body in time and within its bounds.
pub(super) async fn receive(body: Body, limits: &Limits, held: &Held) -> Result<Received, Refusal> {
    // What is announced to be too large is not waited for.
    if body.size_hint().lower() > limits.body as u64 {
        return Err(too_large(limits.body));
    }
    timeout(limits.body_time, collect(body, limits, held)).await.unwrap_or_else(|_| {
        let seconds = limits.body_time.as_secs_f64();
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, format!("the body did not come within {seconds} s")))
    })
}

async fn collect(mut body: Body, limits: &Limits, held: &Held) -> Result<Received, Refusal> {
    let mut received = Received { bytes: Vec::new(), _share: None };
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if received.bytes.len() + data.len() > limits.body {
            return Err(too_large(limits.body));
        }
        let share = held.take(data.len())?;
        match &mut received._share {
            Some(all) => all.merge(share),
            none => *none = Some(share),
        }
        received.bytes.extend_from_slice(&data);
    }
    Ok(received)
}

impl Received {
    /// The body as it was before it was compressed.
    pub(super) fn plain(self, compression: Option<Method>, limits: &Limits) -> Result<Vec<u8>, Refusal> {
        let Some(method) = compression else { return Ok(self.bytes) };
        decompress(method, &self.bytes, limits.decompressed).map_err(|error| match error.kind() {
            DecodeErrorKind::TooLarge => too_large(limits.decompressed),
            DecodeErrorKind::Malformed => Refusal::new(StatusCode::BAD_REQUEST, error.to_string()),
        })
    }
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
}
