//! Frame headers ([RFC 6455 §5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.2)).

use crate::{Role, parser::Side};

/// What a frame is ([§5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Opcode {
    /// A message goes on.
    Continuation,
    /// A text message begins.
    Text,
    /// A binary message begins.
    Binary,
    /// Nothing follows.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

/// What the handshake agreed upon, as far as headers show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {
    /// `permessage-deflate`: RSV1 marks the first frame of a compressed message.
    pub deflate: bool,
    /// One whose use of the reserved bits is not known.
    pub other: bool,
}

impl Extensions {
    /// Reads `Sec-WebSocket-Extensions` of the response (§9.1).
    #[must_use]
    pub fn of(field: &[u8]) -> Self {
        let mut found = Self::default();
        for extension in field.split(|&byte| byte == b',') {
            let name = extension.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
            let deflate = name.eq_ignore_ascii_case(b"permessage-deflate");
            found.deflate |= deflate;
            found.other |= !deflate && !name.is_empty();
        }
        found
    }
}

/// A header, with the beginning of a Close frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The last frame of a message.
    pub fin: bool,
    /// The message is compressed: told by its first frame.
    pub compressed: bool,
    /// What it is.
    pub opcode: Opcode,
    /// Bytes of the header.
    pub size: usize,
    /// Bytes of the payload, behind the header.
    pub length: u64,
    /// Of a Close frame; 1005 if it has none.
    pub code: u16,
}

/// What reading a header came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Read {
    /// A header.
    Whole(Header),
    /// So many bytes are needed.
    Partial(usize),
    /// No frame of this side begins like this.
    Invalid,
}

/// The longest payload of a control frame (§5.5).
const MAX_CONTROL: u64 = 125;
/// "No status code was present" (§7.4.1).
pub(super) const NO_STATUS: u16 = 1005;

impl Header {
    /// Reads the header at the front of what this end sent. What the standard forbids is invalid: only so can frames be
    /// told from other bytes.
    ///
    /// ```
    /// use obtrace_protocols::{Role, websocket::frame::{Extensions, Header, Opcode, Read}};
    /// let Read::Whole(header) = Header::parse(b"\x81\x05Hello", Role::Server, Extensions::default()) else { panic!() };
    /// assert_eq!((header.opcode, header.size, header.length), (Opcode::Text, 2, 5));
    /// ```
    #[must_use]
    #[inline]
    pub fn parse(bytes: &[u8], sender: Role, extensions: Extensions) -> Read {
        let side = if sender == Role::Client { Side::Client } else { Side::Server };
        Self::read(bytes, side, extensions)
    }

    #[inline]
    pub(super) fn read(bytes: &[u8], side: Side, extensions: Extensions) -> Read {
        let Some(&first) = bytes.first() else { return Read::Partial(2) };
        let (fin, rsv1) = (first & 0x80 != 0, first & 0x40 != 0);
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Read::Invalid,
        };
        let is_control = first & 0x08 != 0;
        let may_rsv1 = extensions.deflate && matches!(opcode, Opcode::Text | Opcode::Binary);
        if (is_control && !fin) || (!extensions.other && (first & 0x30 != 0 || (rsv1 && !may_rsv1))) {
            return Read::Invalid;
        }
        let Some(&second) = bytes.get(1) else { return Read::Partial(2) };
        if (second & 0x80 != 0) != (side == Side::Client) {
            return Read::Invalid;
        }
        let Some((length, masked_at)) = length(bytes, second & 0x7f) else {
            return Read::Partial(if second & 0x7f == 126 { 4 } else { 10 });
        };
        let least = [0, 0, 126, 0, 0, 0, 0, 0, 0x1_0000];
        let shortest = least.get(masked_at.saturating_sub(2)).copied().unwrap_or_default();
        if length < shortest || length >> 63 != 0 || (is_control && length > MAX_CONTROL) {
            return Read::Invalid;
        }
        let mask_size = if side == Side::Client { 4 } else { 0 };
        let size = masked_at.saturating_add(mask_size);
        let with_code = opcode == Opcode::Close && length > 0;
        let needed = if with_code { size.saturating_add(2) } else { size };
        let Some(header) = bytes.get(..needed) else { return Read::Partial(needed) };
        let mut code = NO_STATUS;
        if with_code {
            let Some(sent) = close_code(header, mask_size).filter(|_| length >= 2) else { return Read::Invalid };
            code = sent;
        }
        let compressed = rsv1 && may_rsv1;
        Read::Whole(Self { fin, compressed, opcode, size, length, code })
    }
}

/// The length of the payload, and where the header goes on behind it.
fn length(bytes: &[u8], short: u8) -> Option<(u64, usize)> {
    let rest = bytes.get(2..)?;
    match short {
        126 => rest.first_chunk().map(|length| (u64::from(u16::from_be_bytes(*length)), 4)),
        127 => rest.first_chunk().map(|length| (u64::from_be_bytes(*length), 10)),
        _ => Some((u64::from(short), 2)),
    }
}

/// The last two bytes, unmasked. A code that no endpoint may send is none (§7.4.2).
fn close_code(header: &[u8], mask_size: usize) -> Option<u16> {
    let (before, code) = header.split_last_chunk::<2>()?;
    let mask = if mask_size == 0 { [0; 2] } else { *before.last_chunk::<4>()?.first_chunk::<2>()? };
    let code = u16::from_be_bytes(*code) ^ u16::from_be_bytes(mask);
    matches!(code, 1000..=1004 | 1007..=1014 | 3000..=4999).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Extensions = Extensions { deflate: false, other: false };
    const DEFLATE: Extensions = Extensions { deflate: true, other: false };

    fn header(opcode: Opcode, size: usize, length: u64) -> Header {
        Header { fin: true, compressed: false, opcode, size, length, code: NO_STATUS }
    }

    #[test]
    fn extensions_of_a_response() {
        assert_eq!(Extensions::of(b""), NONE);
        assert_eq!(Extensions::of(b"permessage-deflate; server_max_window_bits=10"), DEFLATE);
        assert_eq!(Extensions::of(b"x-own , Permessage-Deflate"), Extensions { deflate: true, other: true });
    }

    #[test]
    fn lengths_of_all_widths() {
        let read = |bytes: &[u8]| Header::read(bytes, Side::Server, NONE);
        assert_eq!(read(&[0x81, 5]), Read::Whole(header(Opcode::Text, 2, 5)));
        assert_eq!(read(&[0x82, 126, 1, 0]), Read::Whole(header(Opcode::Binary, 4, 256)));
        assert_eq!(read(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Read::Whole(header(Opcode::Binary, 10, 0x1_0000)));
        let partial: [(&[u8], usize); 4] = [(&[], 2), (&[0x81], 2), (&[0x81, 126, 1], 4), (&[0x81, 127, 0, 0], 10)];
        for (bytes, needed) in partial {
            assert_eq!(read(bytes), Read::Partial(needed), "{bytes:?}");
        }
        // Longer than need be, or than can be.
        assert_eq!(read(&[0x82, 126, 0, 125]), Read::Invalid);
        assert_eq!(read(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), Read::Invalid);
        assert_eq!(read(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Read::Invalid);
    }

    #[test]
    fn clients_mask_and_servers_do_not() {
        let client = |bytes: &[u8]| Header::read(bytes, Side::Client, NONE);
        assert_eq!(client(&[0x89, 0x80, 1, 2, 3]), Read::Partial(6));
        assert_eq!(client(&[0x89, 0x80, 1, 2, 3, 4]), Read::Whole(header(Opcode::Ping, 6, 0)));
        assert_eq!(client(&[0x89, 0]), Read::Invalid);
        assert_eq!(Header::read(&[0x89, 0x80], Side::Server, NONE), Read::Invalid);
    }

    #[test]
    fn close_codes_are_unmasked() {
        let client = [0x88, 0x82, 0x11, 0x22, 0x33, 0x44, 0x03 ^ 0x11, 0xe8 ^ 0x22];
        let expected = Header { code: 1000, ..header(Opcode::Close, 6, 2) };
        assert_eq!(Header::read(&client, Side::Client, NONE), Read::Whole(expected));
        assert_eq!(Header::read(&client[..7], Side::Client, NONE), Read::Partial(8));
        let server = |bytes: &[u8]| Header::read(bytes, Side::Server, NONE);
        assert_eq!(server(&[0x88, 0]), Read::Whole(header(Opcode::Close, 2, 0)));
        assert_eq!(server(&[0x88, 4, 0x0f, 0xa1]), Read::Whole(Header { code: 4001, ..header(Opcode::Close, 2, 4) }));
        for bad in [&[0x88, 1, 3, 0xe8][..], &[0x88, 2, 3, 0xed], &[0x88, 2, 0, 0], &[0x88, 126, 0, 126]] {
            assert_eq!(server(bad), Read::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn reserved_bits_and_opcodes() {
        let with = |first, extensions| Header::read(&[first, 0], Side::Server, extensions);
        let compressed = Header { compressed: true, ..header(Opcode::Text, 2, 0) };
        assert_eq!(with(0xc1, DEFLATE), Read::Whole(compressed));
        for bad in [0xc1, 0xa1, 0x91, 0x83, 0x87, 0x8b, 0x8f, 0x08, 0x09] {
            assert_eq!(with(bad, NONE), Read::Invalid, "{bad:x}");
        }
        for bad in [0xc0, 0x40, 0xc9, 0xe1] {
            assert_eq!(with(bad, DEFLATE), Read::Invalid, "{bad:x}");
        }
        assert_eq!(with(0xf1, Extensions { deflate: false, other: true }), Read::Whole(header(Opcode::Text, 2, 0)));
    }
}
