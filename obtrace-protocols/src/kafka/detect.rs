//! Is it Kafka? The header of a request, of a kind and version that there is.

use super::{schema, walk::Walk};
use crate::{detect::Verdict, http2, reader::Reader};

/// Size, API key, version, correlation id.
pub(super) const HEADER: usize = 12;
/// The smallest size a message may tell: a correlation id.
pub(super) const MIN_RESPONSE: u32 = 4;
pub(super) const MIN_REQUEST: u32 = 8;
/// Largest message, where it is known that one begins.
const MAX_SIZE: u32 = 1 << 30;
/// Largest message believed where that is not known: `socket.request.max.bytes` is 100 MiB by default.
const MAX_LIKELY: u32 = 128 << 20;
/// Largest request believed of those that hold no records.
const MAX_SMALL: u32 = 1 << 20;
/// Longest client id believed.
const MAX_CLIENT: usize = 255;
/// Most bytes of a request that are looked at.
const MAX_PROBED: usize = 512;
/// Bytes of a request without a client id that have to be there: most of its header are zeros, which much else has.
const MIN_NAMELESS: usize = 64;
/// How far newer a version may be than the ones that are known.
const NEWER: i16 = 16;
/// Kinds that may still come.
const MAX_KEY: i16 = 255;

/// The fixed part of a request's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Of the message behind its size.
    pub(super) size: u32,
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) correlation: i32,
}

impl Header {
    /// `None` if there are too few bytes.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let size = reader.u32_be()?;
        let key = reader.take_array().map(i16::from_be_bytes)?;
        let version = reader.take_array().map(i16::from_be_bytes)?;
        Some(Self { size, key, version, correlation: reader.i32_be()? })
    }

    /// Where it is known that a request begins, this may be one.
    pub(super) fn is_possible(&self) -> bool {
        let newest = schema::find(self.key).map_or(NEWER, |api| api.newest.saturating_add(NEWER));
        (MIN_REQUEST..=MAX_SIZE).contains(&self.size)
            && (0..=MAX_KEY).contains(&self.key)
            && (0..=newest).contains(&self.version)
    }

    /// Of a kind and version that there is, and of a likely size.
    pub(super) fn is_known(&self) -> bool {
        let most = if self.key == schema::PRODUCE { MAX_LIKELY } else { MAX_SMALL };
        (MIN_REQUEST..=most).contains(&self.size)
            && self.correlation >= 0
            && schema::find(self.key).is_some_and(|api| (0..=api.newest).contains(&self.version))
    }
}

/// Whether a response may be of this size.
pub(super) fn is_response_size(size: u32, is_sure: bool) -> bool {
    (MIN_RESPONSE..=if is_sure { MAX_SIZE } else { MAX_LIKELY }).contains(&size)
}

/// What may begin here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A request with this client id.
    Request(Header, &'a [u8]),
    /// A request, as far as it is there.
    Partial,
    Nothing,
}

/// Looks for a request at the first of these bytes.
pub(super) fn request(bytes: &[u8]) -> Found<'_> {
    let Some(header) = Header::read(bytes) else { return partial(bytes) };
    if !header.is_known() {
        return Found::Nothing;
    }
    if !schema::has_client_id(header.key, header.version) {
        return Found::Request(header, b"");
    }
    let mut reader = Reader::new(bytes.get(HEADER..).unwrap_or_default());
    let Some(length) = reader.take_array().map(i16::from_be_bytes) else { return Found::Partial };
    let length = match (length, usize::try_from(length)) {
        (-1, _) => 0,
        (_, Ok(length)) if length <= MAX_CLIENT => length,
        _ => return Found::Nothing,
    };
    let fixed = HEADER.saturating_sub(2);
    if length.saturating_add(fixed) > header.size as usize {
        return Found::Nothing;
    }
    let there = reader.rest().get(..length).unwrap_or(reader.rest());
    if !there.iter().all(|byte| *byte >= b' ' && *byte != 0x7f) {
        return Found::Nothing;
    }
    if there.len() < length {
        return Found::Partial;
    }
    if core::str::from_utf8(there).is_ok() { Found::Request(header, there) } else { Found::Nothing }
}

/// The beginning of a header.
fn partial(bytes: &[u8]) -> Found<'_> {
    let mut reader = Reader::new(bytes);
    let size = reader.u32_be();
    let key = reader.take_array().map(i16::from_be_bytes);
    let version = reader.take_array().map(i16::from_be_bytes);
    let high = bytes.first().is_none_or(|&byte| u32::from(byte) << 24 <= MAX_LIKELY);
    let is_size = size.is_none_or(|size| (MIN_REQUEST..=MAX_LIKELY).contains(&size));
    let api = key.map(schema::find);
    let is_version = match (api, version) {
        (Some(None), _) => false,
        (Some(Some(api)), Some(version)) => (0..=api.newest).contains(&version),
        _ => true,
    };
    if high && is_size && is_version { Found::Partial } else { Found::Nothing }
}

/// Looks at the first message of the client, and at how the server answers it.
pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    let (header, name) = match request(client) {
        Found::Nothing => return Verdict::No,
        Found::Partial if client.is_empty() => return Verdict::No,
        Found::Partial => return Verdict::Maybe,
        Found::Request(header, name) => (header, name),
    };
    // A response may look like the header of a request: what it has behind that does not.
    let body = client.get(HEADER..).unwrap_or_default();
    let left = header.size.saturating_sub(MIN_REQUEST).into();
    if !Walk::request(header.key, header.version, left).fits(body.get(..MAX_PROBED).unwrap_or(body)) {
        return Verdict::No;
    }
    // A frame of HTTP/2 has its length and kind where the size is: more will tell.
    let whole = usize::try_from(header.size).unwrap_or(usize::MAX).saturating_add(4);
    if client.len() < whole && http2::matches(client, b"") == Verdict::Maybe {
        return Verdict::Maybe;
    }
    let mut reader = Reader::new(server);
    let answer = reader.u32_be().zip(reader.i32_be());
    if name.is_empty() && client.len() < whole.min(MIN_NAMELESS) {
        return match answer {
            Some((_, correlation)) if correlation != header.correlation => Verdict::No,
            _ => Verdict::Maybe,
        };
    }
    match answer {
        Some((size, correlation)) if is_response_size(size, false) && correlation == header.correlation => Verdict::Yes,
        // The server may be in the middle of an answer to a request before.
        Some(_) if name.is_empty() => Verdict::No,
        None if name.is_empty() => Verdict::Maybe,
        Some(_) => Verdict::Likely,
        None => Verdict::Yes,
    }
}
