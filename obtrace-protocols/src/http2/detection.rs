//! Is it HTTP/2? The preface says so; on a connection that was there before, frames whose header fields only one side
//! sends.

use super::{
    frame::{DEFAULT_MAX_FRAME, HEAD, Head, Kind, PREFACE},
    resync::{Look, look},
};
use crate::{detect::Verdict, parser::Side};

/// Bytes that are waited for at most until a frame is whole.
const MOST: usize = 32 * 1024;
/// Frames that are looked at.
const FRAMES: usize = 64;

pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    if client.starts_with(PREFACE) {
        return Verdict::Yes;
    }
    if !client.is_empty() && PREFACE.starts_with(client) {
        return Verdict::Maybe;
    }
    match (frames(Side::Client, client), frames(Side::Server, server)) {
        (Verdict::Yes, _) | (_, Verdict::Yes) => Verdict::Yes,
        (Verdict::Maybe, _) if server.is_empty() => Verdict::Maybe,
        (_, Verdict::Maybe) if client.is_empty() => Verdict::Maybe,
        (Verdict::Maybe, Verdict::Maybe) => Verdict::Maybe,
        _ => Verdict::No,
    }
}

/// So much of the preface is like nothing else.
const SHOWN: usize = 3;
/// The settings that there are (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1), and gRPC's own.
const KNOWN_SETTINGS: core::ops::RangeInclusive<u16> = 1..=9;
const GRPC_SETTING: u16 = 0xfe03;

/// Whether the very first bytes of either side are of HTTP/2 and nothing else, however few of them there are: those of the
/// preface, or the SETTINGS that a server begins with.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    if bytes.len() >= SHOWN && (PREFACE.starts_with(bytes) || bytes.starts_with(PREFACE)) {
        return true;
    }
    Head::parse(bytes).is_some_and(|head| {
        head.kind == Kind::Settings
            && !head.is_ack()
            && head.is_allowed(Side::Server, DEFAULT_MAX_FRAME)
            && head.is_likely(Side::Server)
            && (head.length == 0 || first_setting(bytes).is_some_and(is_setting))
    })
}

/// A message of Kafka may have the same head.
fn is_setting(id: u16) -> bool {
    KNOWN_SETTINGS.contains(&id) || id == GRPC_SETTING
}

fn first_setting(bytes: &[u8]) -> Option<u16> {
    bytes.get(HEAD..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// `Yes`: frames, the last one looked at with header fields of this side.
fn frames(side: Side, bytes: &[u8]) -> Verdict {
    let mut rest = bytes;
    for _ in 0..FRAMES {
        match look(side, rest, MOST, |_| false) {
            Look::Headers(of) => return if of == side { Verdict::Yes } else { Verdict::No },
            Look::Short(_) => return Verdict::Maybe,
            Look::No | Look::Frame => {}
        }
        // Others say nothing, but for being what comes between those.
        let Some(head) = Head::parse(rest).filter(|head| head.is_likely(side)) else { return Verdict::No };
        let size = usize::try_from(head.size()).unwrap_or(usize::MAX);
        match rest.get(size..) {
            Some(behind) => rest = behind,
            None if size <= MOST => return Verdict::Maybe,
            None => return Verdict::No,
        }
    }
    Verdict::No
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
    const REQUEST: &[u8] = b"\0\0\x03\x01\x05\0\0\0\x07\x82\x86\x84";
    const RESPONSE: &[u8] = b"\0\0\x01\x01\x05\0\0\0\x07\x88";

    #[test]
    fn verdicts() {
        assert_eq!(matches(PREFACE, b""), Verdict::Yes);
        for length in 1..PREFACE.len() {
            assert_eq!(matches(&PREFACE[..length], b""), Verdict::Maybe, "{length}");
        }
        assert_eq!(matches(b"PRI * HTTP/2.0\r\n\r\nXX", b""), Verdict::No);
        assert_eq!(matches(b"", SETTINGS), Verdict::Maybe, "who asks is not known yet");
        assert_eq!(matches(REQUEST, b""), Verdict::Yes);
        assert_eq!(matches(b"", RESPONSE), Verdict::Yes);
        assert_eq!(matches(&[SETTINGS, REQUEST].concat(), b""), Verdict::Yes);
        assert_eq!(matches(b"", &[SETTINGS, RESPONSE].concat()), Verdict::Yes);
        assert_eq!(matches(RESPONSE, b""), Verdict::No);
        assert_eq!(matches(b"", REQUEST), Verdict::No);
        assert_eq!(matches(b"the rest of a body", RESPONSE), Verdict::Yes);
        assert_eq!(matches(&REQUEST[..11], b""), Verdict::Maybe);
    }

    #[test]
    fn how_only_http2_begins() {
        assert!(begins(b"PRI") && begins(b"PRI * HTTP/2.0\r\n") && begins(PREFACE) && begins(SETTINGS));
        assert!(begins(b"\0\0\0\x04\0\0\0\0\0"));
        for other in [
            &b"PR"[..],
            b"PRIVMSG #a :b\r\n",
            REQUEST,
            &SETTINGS[..8],
            b"\0\0\0\x04\x01\0\0\0\0",
            b"\0\0\x05\x04\0\0\0\0\0",
            b"\0\0\x06\x04\0\0\0\0\0",
            // Produce of Kafka in version 0.
            b"\0\0\x06\x04\0\0\0\0\0\0\0\x07\0\x03app\0\x01",
        ] {
            assert!(!begins(other), "{other:?}");
        }
    }

    #[test]
    fn what_else_begins_with_zeros() {
        for other in [
            &b"\0\0\0\x20\0\x03\0\0user\0bob\0database\0shop\0\0"[..], // PostgreSQL
            b"\0\0\0\x08\x04\xd2\x16\x2f",                             // its SSLRequest
            b"\0\0\0\x2a\0\x03\0\x0c\0\0\0\x01\0\x06client",           // Kafka
            b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x01a\x02de\0\0\x01\0\x01", // DNS over TCP
        ] {
            assert_eq!(matches(other, b""), Verdict::No, "{other:?}");
            assert_eq!(matches(b"", other), Verdict::No, "{other:?}");
        }
        for text in ["GET / HTTP/1.1\r\n\r\n", "*1\r\n$4\r\nPING\r\n", "PING\r\n"] {
            assert_eq!(matches(text.as_bytes(), b""), Verdict::No);
        }
    }
}
