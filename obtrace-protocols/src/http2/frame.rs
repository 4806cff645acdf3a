//! Frames ([RFC 9113 §4 and §6](https://www.rfc-editor.org/rfc/rfc9113#section-4)): their heads, and which of them can
//! be.

use crate::parser::Side;

/// What a client sends first ([RFC 9113 §3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's head.
pub(super) const HEAD: usize = 9;

/// Largest payload until SETTINGS allow more
/// ([RFC 9113 §6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)).
pub(super) const DEFAULT_MAX_FRAME: u32 = 16_384;
/// Largest payload that SETTINGS can allow.
pub(super) const LARGEST_FRAME: u32 = 0xff_ffff;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// PRIORITY_UPDATE ([RFC 9218 §7](https://www.rfc-editor.org/rfc/rfc9218#section-7)).
    PriorityUpdate,
    /// To be ignored ([RFC 9113 §5.5](https://www.rfc-editor.org/rfc/rfc9113#section-5.5)).
    Unknown,
}

impl From<u8> for Kind {
    fn from(kind: u8) -> Self {
        match kind {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::RstStream,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            0x10 => Self::PriorityUpdate,
            _ => Self::Unknown,
        }
    }
}

/// `END_STREAM` of DATA and HEADERS.
const END_STREAM: u8 = 0x01;
/// `ACK` of SETTINGS and PING.
const ACK: u8 = 0x01;
/// `END_HEADERS` of HEADERS, PUSH_PROMISE and CONTINUATION.
const END_HEADERS: u8 = 0x04;
/// `PADDED` of DATA, HEADERS and PUSH_PROMISE.
const PADDED: u8 = 0x08;
/// `PRIORITY` of HEADERS.
const PRIORITY: u8 = 0x20;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of its payload.
    pub(super) length: u32,
    pub(super) kind: Kind,
    flags: u8,
    pub(super) stream: u32,
    /// The bit in front of the stream, which nobody sets.
    reserved: bool,
}

impl Head {
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, d, e, f, g] = bytes.first_chunk::<HEAD>()?;
        let stream = u32::from_be_bytes([d, e, f, g]);
        Some(Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind: kind.into(),
            flags,
            stream: stream & 0x7fff_ffff,
            reserved: stream >> 31 != 0,
        })
    }

    /// Whether bytes that are too few may be the beginning of a usual frame.
    pub(super) fn may_begin(bytes: &[u8]) -> bool {
        match *bytes {
            [a, b, c, kind, ..] => {
                let length = u32::from_be_bytes([0, a, b, c]);
                length <= DEFAULT_MAX_FRAME
                    && match kind.into() {
                        Kind::Priority => length == 5,
                        Kind::RstStream | Kind::WindowUpdate => length == 4,
                        Kind::Settings => length.is_multiple_of(6),
                        Kind::Ping => length == 8,
                        Kind::GoAway => length >= 8,
                        Kind::Unknown => false,
                        _ => true,
                    }
            }
            [first, ..] => first == 0,
            [] => true,
        }
    }

    /// Bytes of the frame, head included.
    pub(super) fn size(&self) -> u64 {
        u64::from(self.length).saturating_add(HEAD as u64)
    }

    pub(super) const fn ends_stream(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers) && self.flags & END_STREAM != 0
    }

    pub(super) const fn ends_headers(&self) -> bool {
        self.flags & END_HEADERS != 0
    }

    pub(super) const fn is_padded(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers | Kind::PushPromise) && self.flags & PADDED != 0
    }

    pub(super) const fn has_priority(&self) -> bool {
        matches!(self.kind, Kind::Headers) && self.flags & PRIORITY != 0
    }

    pub(super) const fn is_ack(&self) -> bool {
        matches!(self.kind, Kind::Settings | Kind::Ping) && self.flags & ACK != 0
    }

    /// Whether this side may send it. Flags without a meaning are ignored
    /// ([RFC 9113 §4.1](https://www.rfc-editor.org/rfc/rfc9113#section-4.1)).
    #[inline]
    pub(super) const fn is_allowed(&self, side: Side, max_frame: u32) -> bool {
        let on_stream = self.stream != 0;
        self.length <= max_frame
            && match self.kind {
                Kind::Data => on_stream,
                Kind::Headers => on_stream && (matches!(side, Side::Server) || self.stream & 1 == 1),
                Kind::Priority => on_stream && self.length == 5,
                Kind::RstStream => on_stream && self.length == 4,
                Kind::Settings => {
                    !on_stream && if self.is_ack() { self.length == 0 } else { self.length.is_multiple_of(6) }
                }
                Kind::PushPromise => on_stream && matches!(side, Side::Server) && self.length >= 4,
                Kind::Ping => !on_stream && self.length == 8,
                Kind::GoAway => !on_stream && self.length >= 8,
                Kind::WindowUpdate => self.length == 4,
                Kind::Continuation => on_stream,
                Kind::PriorityUpdate | Kind::Unknown => true,
            }
    }

    /// Whether bytes of which nobody knows that a frame begins there look like one: nothing unusual is in it.
    #[inline]
    pub(super) const fn is_likely(&self, side: Side) -> bool {
        let flags = match self.kind {
            Kind::Data => END_STREAM | PADDED,
            Kind::Headers => END_STREAM | END_HEADERS | PADDED | PRIORITY,
            Kind::Settings | Kind::Ping => ACK,
            Kind::PushPromise => END_HEADERS | PADDED,
            Kind::Continuation => END_HEADERS,
            Kind::Priority | Kind::RstStream | Kind::GoAway | Kind::WindowUpdate | Kind::PriorityUpdate => 0,
            Kind::Unknown => return false,
        };
        // Most streams are the client's.
        let stream = match self.kind {
            Kind::Data | Kind::Headers => matches!(side, Side::Server) || self.stream & 1 == 1,
            Kind::PriorityUpdate => self.stream == 0 && self.length >= 4 && matches!(side, Side::Client),
            _ => true,
        };
        stream && !self.reserved && self.flags & !flags == 0 && self.is_allowed(side, DEFAULT_MAX_FRAME)
    }
}

/// Takes padding and priority off a payload that is there whole: the header block fragment of a HEADERS frame, what is
/// behind the padding's length of others. `None` if they are longer than it is.
pub(super) fn fragment<'a>(head: &Head, payload: &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = payload;
    let mut padding = 0;
    if head.is_padded() {
        let (length, behind) = rest.split_first()?;
        (padding, rest) = (usize::from(*length), behind);
    }
    if head.has_priority() {
        rest = rest.get(5..)?;
    }
    rest.get(..rest.len().checked_sub(padding)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8; HEAD]) -> Head {
        Head::parse(bytes).unwrap()
    }

    #[test]
    fn heads() {
        let found = head(b"\x00\x01\x02\x01\x25\x80\x00\x00\x07");
        assert_eq!((found.length, found.kind, found.stream, found.size()), (0x102, Kind::Headers, 7, 0x10b));
        assert!(found.ends_stream() && found.ends_headers() && found.has_priority() && !found.is_padded());
        assert!(found.is_allowed(Side::Client, DEFAULT_MAX_FRAME), "the reserved bit is ignored");
        assert!(!found.is_likely(Side::Client), "and not usual");
        assert!(Head::parse(b"\0\0\0\0\0\0\0\0").is_none());
    }

    #[test]
    fn what_nobody_may_send() {
        for (bytes, side, allowed) in [
            (b"\0\0\0\0\0\0\0\0\0", Side::Client, false),
            (b"\0\0\0\0\0\0\0\0\x01", Side::Client, true),
            (b"\0\0\0\x01\x05\0\0\0\x02", Side::Client, false),
            (b"\0\0\0\x01\x05\0\0\0\x02", Side::Server, true),
            (b"\0\0\x05\x05\x04\0\0\0\x01", Side::Client, false),
            (b"\0\0\x05\x04\0\0\0\0\0", Side::Client, false),
            (b"\0\0\x06\x04\x01\0\0\0\0", Side::Client, false),
            (b"\0\0\x06\x04\0\0\0\0\0", Side::Client, true),
            (b"\0\0\x08\x06\0\0\0\0\x01", Side::Client, false),
            (b"\0\0\x04\x08\xff\0\0\0\0", Side::Client, true),
            (b"\0\x40\x01\0\0\0\0\0\x01", Side::Client, false),
            (b"\0\x40\0\x77\0\0\0\0\x01", Side::Client, true),
        ] {
            assert_eq!(head(bytes).is_allowed(side, DEFAULT_MAX_FRAME), allowed, "{bytes:?}");
        }
    }

    #[test]
    fn fragments() {
        let headers = |flags| Head::parse(&[0, 0, 9, 1, flags, 0, 0, 0, 1]).unwrap();
        assert_eq!(fragment(&headers(PADDED | PRIORITY), b"\x02ppppphh\0\0"), Some(&b"hh"[..]));
        assert_eq!(fragment(&headers(PADDED), b"\x03ppp"), Some(&b""[..]));
        assert_eq!(fragment(&headers(PADDED), b"\x04ppp"), None);
        assert_eq!(fragment(&headers(PRIORITY), b"pppp"), None);
        assert_eq!(fragment(&headers(PADDED), b""), None);
    }
}
