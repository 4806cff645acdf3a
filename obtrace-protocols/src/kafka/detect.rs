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
/// Most bytes that are looked at of a request that is not whole.
const MAX_PROBED: usize = 512;
/// Most requests in a row that are looked at.
const MAX_FOLLOWING: usize = 8;
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

/// What is there of a request, and whether what follows it is one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// It contradicts itself, or what follows is none.
    Wrong,
    /// Too little of it to say.
    Short,
    /// Nothing of much of it contradicts.
    Fits,
    /// It ends where it says.
    Whole,
    /// So it does, and the next one, which has the next correlation id, does.
    Followed,
}

/// Looks behind the header: at the request, and at those that follow it.
fn body(client: &[u8], first: Header) -> Body {
    let (mut rest, mut header, mut found) = (client, first, Body::Short);
    for number in 0..MAX_FOLLOWING {
        let whole = usize::try_from(header.size).unwrap_or(usize::MAX).saturating_add(4);
        let body = rest.get(HEADER..).unwrap_or_default();
        let probed = if rest.len() < whole { body.get(..MAX_PROBED).unwrap_or(body) } else { body };
        let left = header.size.saturating_sub(MIN_REQUEST).into();
        let Some(has_records) = Walk::request(header.key, header.version, left).probe(probed) else {
            return Body::Wrong;
        };
        let Some(behind) = rest.get(whole..) else {
            let is_read = schema::is_read(header.key, header.version);
            let fits = has_records || (is_read && body.len() >= MAX_PROBED);
            return if number == 0 && fits { Body::Fits } else { found };
        };
        found = match found {
            Body::Followed => found,
            _ if number == 1 && header.correlation == first.correlation.wrapping_add(1) => Body::Followed,
            _ => Body::Whole,
        };
        // Behind a SaslHandshake of version 0 are bytes without a header.
        if behind.is_empty() || (header.key == schema::SASL_HANDSHAKE && header.version == 0) {
            return found;
        }
        (rest, header) = match request(behind) {
            Found::Request(header, _) => (behind, header),
            Found::Partial => return found,
            Found::Nothing => return Body::Wrong,
        };
    }
    found
}

/// Whether nothing of a request contradicts its header, to its end or as far as it is looked at. [`Verdict::Maybe`]: too
/// little is there.
pub(super) fn holds(client: &[u8], header: Header) -> Verdict {
    let whole = usize::try_from(header.size).unwrap_or(usize::MAX).saturating_add(4);
    let most = if schema::is_read(header.key, header.version) { HEADER.saturating_add(MAX_PROBED) } else { whole };
    match body(client.get(..most).unwrap_or(client), header) {
        Body::Wrong => Verdict::No,
        Body::Short if is_unread(header) => Verdict::No,
        Body::Short => Verdict::Maybe,
        Body::Fits | Body::Whole | Body::Followed => Verdict::Yes,
    }
}

/// Whether nothing behind the header of this request is read, and much is there.
fn is_unread(header: Header) -> bool {
    header.size as usize > MAX_PROBED && !schema::is_read(header.key, header.version)
}

/// Looks at the first message of the client, and at how the server answers it. In the middle of a message of another
/// protocol a few small numbers and a text look like a header: it is believed of a request that ends where it says, or of
/// which much is there, or the head of its records; of one without a client id, if what it is answered with or followed by goes on from it.
pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    let (header, name) = match request(client) {
        Found::Nothing => return Verdict::No,
        Found::Partial if client.is_empty() => return Verdict::No,
        Found::Partial => return Verdict::Maybe,
        Found::Request(header, name) => (header, name),
    };
    // A response may look like the header of a request: what it has behind that does not.
    let body = body(client, header);
    let mut reader = Reader::new(server);
    let answer = reader.u32_be().zip(reader.i32_be());
    let is_answered =
        answer.map(|(size, correlation)| is_response_size(size, false) && correlation == header.correlation);
    match (body, is_answered) {
        (Body::Wrong, _) => Verdict::No,
        // What is not whole may be zeros on both sides.
        (Body::Fits, _) if name.is_empty() => Verdict::Maybe,
        // A frame of HTTP/2 has its length and kind where the size is: more will tell.
        (Body::Fits, _) if http2::matches(client, b"") == Verdict::Maybe => Verdict::Maybe,
        (Body::Short, Some(false)) if name.is_empty() => Verdict::No,
        (Body::Short, _) if name.is_empty() && is_unread(header) => Verdict::No,
        (Body::Short, _) => Verdict::Maybe,
        (_, Some(true)) => Verdict::Yes,
        (Body::Followed, None) => Verdict::Yes,
        (_, None) if name.is_empty() => Verdict::Maybe,
        (_, None) => Verdict::Yes,
        // The server may be in the middle of an answer to a request before.
        (_, Some(false)) if name.is_empty() => Verdict::No,
        (_, Some(false)) => Verdict::Likely,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Metadata of version 1 for all topics.
    fn metadata(correlation: u8, client: &[u8]) -> Vec<u8> {
        let length = u16::try_from(client.len()).unwrap().to_be_bytes();
        let behind = [&[0, 3, 0, 1, 0, 0, 0, correlation][..], &length, client, &[0xff; 4]].concat();
        [&u32::try_from(behind.len()).unwrap().to_be_bytes()[..], &behind].concat()
    }

    #[test]
    fn a_request_with_a_name_is_one_when_it_is_whole() {
        let request = metadata(7, b"app");
        for end in 1..request.len() {
            assert_eq!(matches(&request[..end], b""), Verdict::Maybe, "{end}");
        }
        assert_eq!(matches(&request, b""), Verdict::Yes);
        assert_eq!(matches(&request, b"\0\0\0\x20\0\0\0\x06"), Verdict::Likely);
    }

    #[test]
    fn what_follows_a_request_is_one() {
        let request = metadata(7, b"app");
        assert_eq!(matches(&[&request[..], &metadata(8, b"app")].concat(), b""), Verdict::Yes);
        assert_eq!(matches(&[&request[..], b"\0\0"].concat(), b""), Verdict::Yes);
        assert_eq!(matches(&[&request[..], b"C\0\0\0\x0dSELECT 1\0"].concat(), b""), Verdict::No);
        // A trailer of gRPC-Web, a row and the end of a result of PostgreSQL, a document of MongoDB.
        for other in [
            &b"\0\0\x01\0\0\0\0\x01b\x80\0\0\0\x0dgrpc-status:0"[..],
            b"\0\x011D\0\0\0\x0b\0\x01\0\0\0\x012D\0\0\0\x0b\0\x01\0\0\0\x013C\0\0\0\x0cFETCH 3\0Z\0\0\0\x05T",
            b"\0\x01ok\0\0\0\0\0\0\0\0\0\x02errmsg\0\x07\0\0\0canary\0\x10code\0\x12\0\0\0\0",
        ] {
            assert!(matches!(matches(other, b""), Verdict::Maybe | Verdict::No), "{}", other.escape_ascii());
        }
    }

    #[test]
    fn a_request_without_a_name_is_one_when_it_goes_on() {
        let request = metadata(7, b"");
        assert_eq!(matches(&request, b""), Verdict::Maybe);
        assert_eq!(matches(&request, b"\0\0\0\x20\0\0\0\x07"), Verdict::Yes);
        assert_eq!(matches(&request, b"\0\0\0\x20\0\0\0\x06"), Verdict::No);
        assert_eq!(matches(&[&request[..], &metadata(8, b"")].concat(), b""), Verdict::Yes);
        assert_eq!(matches(&[&request[..], &metadata(9, b"")].concat(), b""), Verdict::Maybe);
    }
}
