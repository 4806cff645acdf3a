//! The header of messages, and how they are told from other bytes.

use super::bson::{self, Kind};
use crate::{detect::Verdict, parser::Side};

/// Bytes of a header.
pub(super) const HEADER: usize = 16;
/// Bytes by which a message is found among others: those of the shortest `OP_MSG`.
pub(super) const SIGNATURE: usize = 26;
/// Longest message that is believed. Servers take 48,000,000 bytes.
pub(super) const MAX_MESSAGE: u32 = 64 << 20;

/// What a message is ([opcodes](https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/#opcodes)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Opcode {
    /// `OP_MSG`: everything, since version 3.6.
    #[default]
    Msg,
    /// `OP_QUERY`: a query or a command; of new drivers only the first `hello`.
    Query,
    /// `OP_REPLY`: the answer to it.
    Reply,
    /// `OP_UPDATE`, which has no answer.
    Update,
    /// `OP_INSERT`, which has no answer.
    Insert,
    /// `OP_GET_MORE`.
    GetMore,
    /// `OP_DELETE`, which has no answer.
    Delete,
    /// `OP_KILL_CURSORS`, which has no answer.
    KillCursors,
    /// `OP_COMPRESSED`, around one of the others.
    Compressed,
}

impl Opcode {
    pub(super) const fn of(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Reply,
            2001 => Self::Update,
            2002 => Self::Insert,
            2004 => Self::Query,
            2005 => Self::GetMore,
            2006 => Self::Delete,
            2007 => Self::KillCursors,
            2012 => Self::Compressed,
            2013 => Self::Msg,
            _ => return None,
        })
    }

    /// Whether this side sends it.
    pub(super) const fn is_of(self, side: Side) -> bool {
        match self {
            Self::Msg | Self::Compressed => true,
            Self::Reply => matches!(side, Side::Server),
            _ => matches!(side, Side::Client),
        }
    }

    /// Shortest body, in bytes.
    const fn least(self) -> u32 {
        match self {
            Self::Msg => 10,
            Self::Query => 18,
            Self::Reply => 20,
            Self::Update => 20,
            Self::Insert => 11,
            Self::GetMore => 18,
            Self::Delete => 15,
            Self::KillCursors => 8,
            Self::Compressed => 9,
        }
    }
}

/// What `OP_MSG` says of itself.
pub(super) mod flags {
    pub(in super::super) const CHECKSUM_PRESENT: u32 = 1;
    pub(in super::super) const MORE_TO_COME: u32 = 1 << 1;
    /// The client takes several answers.
    pub(in super::super) const EXHAUST_ALLOWED: u32 = 1 << 16;
    /// A receiver has to refuse a message with another one of these.
    pub(in super::super) const REQUIRED: u32 = 0xffff;
}

/// The standard header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the message, with the header.
    pub(super) length: u32,
    pub(super) request_id: i32,
    pub(super) response_to: i32,
    pub(super) opcode: Opcode,
}

impl Header {
    /// Reads a header. `None` if this side does not send such a one.
    #[inline]
    pub(super) fn read(bytes: &[u8; HEADER], side: Side) -> Option<Self> {
        let ([length, request_id, response_to, opcode], _) = bytes.as_chunks::<4>() else { return None };
        let length = u32::from_le_bytes(*length);
        let opcode = Opcode::of(i32::from_le_bytes(*opcode)).filter(|opcode| opcode.is_of(side))?;
        let least = opcode.least().saturating_add(HEADER as u32);
        (least..=MAX_MESSAGE).contains(&length).then_some(Self {
            length,
            request_id: i32::from_le_bytes(*request_id),
            response_to: i32::from_le_bytes(*response_to),
            opcode,
        })
    }
}

/// The head of a compressed message, behind the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) opcode: Opcode,
    pub(super) size: u32,
    pub(super) compressor: u8,
}

impl Packed {
    pub(super) const LENGTH: usize = 9;

    pub(super) fn read(bytes: &[u8; Self::LENGTH], side: Side) -> Option<Self> {
        let [o0, o1, o2, o3, s0, s1, s2, s3, compressor] = *bytes;
        let opcode = Opcode::of(i32::from_le_bytes([o0, o1, o2, o3]))?;
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        let is_right =
            opcode.is_of(side) && opcode != Opcode::Compressed && size >= opcode.least() && size <= MAX_MESSAGE;
        is_right.then_some(Self { opcode, size, compressor })
    }
}

/// Whether a message of this side begins here. Stricter than what a connection that is in step is held to: a request
/// answers nothing, an answer does, and what follows the header is what this kind of message begins with.
pub(super) fn begins(bytes: &[u8; SIGNATURE], side: Side) -> bool {
    let (Some(header), Some(body)) = (bytes.first_chunk::<HEADER>(), bytes.get(HEADER..)) else { return false };
    let Some(header) = Header::read(header, side) else { return false };
    if (header.response_to == 0) != (side == Side::Client) {
        return false;
    }
    let word = |at: usize| body.get(at..).and_then(bson::int32).unwrap_or_default();
    match header.opcode {
        Opcode::Msg => is_sections(header.length, body),
        Opcode::Compressed => {
            let packed = body.first_chunk().and_then(|body| Packed::read(body, side));
            packed.is_some_and(|packed| packed.compressor <= 3)
        }
        Opcode::Reply => word(0) & !0xf == 0,
        Opcode::Query => word(0) & !0xff == 0 && is_namespace(body),
        Opcode::Insert => word(0) & !1 == 0 && is_namespace(body),
        Opcode::Update | Opcode::Delete | Opcode::GetMore => word(0) == 0 && is_namespace(body),
        Opcode::KillCursors => word(0) == 0 && (0..=1 << 16).contains(&word(4)),
    }
}

/// Whether `OP_MSG` goes on like this: flags, a section, and the beginning of its first document or its name.
fn is_sections(length: u32, body: &[u8]) -> bool {
    let &[f0, f1, f2, f3, section, l0, l1, l2, l3, next, ..] = body else { return false };
    let flags = u32::from_le_bytes([f0, f1, f2, f3]);
    let known = flags::CHECKSUM_PRESENT | flags::MORE_TO_COME | flags::EXHAUST_ALLOWED;
    let size = u32::from_le_bytes([l0, l1, l2, l3]);
    let fits = size.saturating_add(21) <= length;
    let is_begun = match section {
        0 => (size == 5 && next == 0) || (size > 5 && (Kind::is_known(next))),
        1 => size >= 6 && next.is_ascii_alphabetic(),
        _ => false,
    };
    flags & !known == 0 && fits && is_begun
}

/// Whether a namespace begins behind the first word.
fn is_namespace(body: &[u8]) -> bool {
    body.get(4).is_some_and(|&byte| byte > b' ')
}

/// Looks at what the client and the server began with.
pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    match (look(client, Side::Client), look(server, Side::Server)) {
        (Verdict::Yes, _) | (_, Verdict::Yes) => Verdict::Yes,
        (Verdict::No, _) => Verdict::No,
        (_, Verdict::No) if !server.is_empty() => Verdict::No,
        _ if client.is_empty() && server.is_empty() => Verdict::No,
        _ => Verdict::Maybe,
    }
}

/// Whether one side begins with a message. What is too short for one is held to what is there.
fn look(bytes: &[u8], side: Side) -> Verdict {
    if let Some(front) = bytes.first_chunk::<SIGNATURE>() {
        let opcode = front.first_chunk().and_then(|header| Header::read(header, side)).map(|header| header.opcode);
        return match (begins(front, side), opcode) {
            (true, Some(Opcode::Reply)) => reply(bytes),
            (true, _) => Verdict::Yes,
            (false, _) => Verdict::No,
        };
    }
    let word =
        |at: usize| bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map(|bytes| u32::from_le_bytes(*bytes));
    let is_length = word(0).is_none_or(|length| (SIGNATURE as u32..=MAX_MESSAGE).contains(&length));
    let is_answer = word(8).is_none_or(|response_to| (response_to == 0) == (side == Side::Client));
    let opcode = word(12)
        .is_none_or(|opcode| i32::try_from(opcode).ok().and_then(Opcode::of).is_some_and(|opcode| opcode.is_of(side)));
    if is_length && is_answer && opcode { Verdict::Maybe } else { Verdict::No }
}

/// Whether `OP_REPLY` holds as many documents as it says, and ends with the last of them where it says: its opcode is 1
/// and says little, in the middle of a message of another protocol there is as much. Of what is not whole the next
/// request tells.
fn reply(bytes: &[u8]) -> Verdict {
    const FIXED: usize = HEADER + 20;
    let word = |at: usize| bytes.get(at..).and_then(bson::int32).and_then(|word| usize::try_from(word).ok());
    let length = word(0).unwrap_or_default();
    let Some(count) = bytes.get(32..FIXED) else { return Verdict::Maybe };
    let Some(count) = bson::int32(count).filter(|count| (0..=MAX_MESSAGE as i32 / 5).contains(count)) else {
        return Verdict::No;
    };
    let mut at = FIXED;
    for _ in 0..count {
        let end = at.saturating_add(4);
        if end > bytes.len() && end <= length {
            return Verdict::Maybe;
        }
        match word(at) {
            Some(size) if size >= 5 && size <= length.saturating_sub(at) => at = at.saturating_add(size),
            _ => return Verdict::No,
        }
    }
    match (at == length, bytes.len() >= length) {
        (true, true) => Verdict::Yes,
        (false, true) => Verdict::No,
        (_, false) => Verdict::Maybe,
    }
}

/// Whether these bytes, which may as well be the record of another protocol, begin with a message. `None`: there are
/// too few.
pub(crate) fn is_message(bytes: &[u8]) -> Option<bool> {
    let found = [Side::Client, Side::Server].map(|side| look(bytes, side));
    if found.contains(&Verdict::Yes) {
        return Some(true);
    }
    if found.contains(&Verdict::Maybe) { None } else { Some(false) }
}

/// The first place in `bytes` where a message of this side begins, or, if there is none, how many bytes from the front
/// none begins in.
pub(super) fn find(bytes: &[u8], side: Side) -> Result<usize, usize> {
    let mut at = 0_usize;
    for window in bytes.windows(SIGNATURE) {
        // All opcodes but one lie below 2,048 and have the same second byte.
        if let [_, _, _, 0..=4, _, _, _, _, _, _, _, _, _, 0 | 7, 0, 0, ..] = window
            && window.first_chunk().is_some_and(|window| begins(window, side))
        {
            return Ok(at);
        }
        at = at.saturating_add(1);
    }
    Err(at)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// `{ping: 1, $db: "admin"}`.
    const PING: &[u8] = b"\x1e\0\0\0\x10ping\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0";

    fn message(request_id: i32, response_to: i32, opcode: i32, body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(body.len() + HEADER).unwrap();
        let words = [length, request_id, response_to, opcode].map(i32::to_le_bytes).concat();
        [&words, body].concat()
    }

    fn ping(response_to: i32) -> Vec<u8> {
        message(0x0102_0304, response_to, 2013, &[&[0; 5], PING].concat())
    }

    #[test]
    fn messages_are_found_whole_and_in_any_prefix() {
        let (request, answer) = (ping(0), ping(7));
        assert_eq!(matches(&request, b""), Verdict::Yes);
        assert_eq!(matches(b"", &answer), Verdict::Yes);
        assert_eq!(matches(b"the rest of a value", &answer), Verdict::Yes);
        for end in 1..SIGNATURE {
            assert_eq!(matches(&request[..end], b""), Verdict::Maybe, "{end}");
            assert_eq!(matches(b"", &answer[..end]), Verdict::Maybe, "{end}");
        }
        assert_eq!(matches(&answer, b""), Verdict::No);
        assert_eq!(matches(b"", &request), Verdict::No);
    }

    #[test]
    fn an_old_answer_is_one_when_its_documents_fill_it() {
        let fixed = |count: u8| [&[8, 0, 0, 0][..], &[0; 12], &[count, 0, 0, 0]].concat();
        let document = b"\x05\0\0\0\0";
        for (count, documents, found) in
            [(0, 0, Verdict::Yes), (2, 2, Verdict::Yes), (1, 2, Verdict::No), (2, 1, Verdict::No), (1, 0, Verdict::No)]
        {
            let answer = message(1, 7, 1, &[fixed(count), document.repeat(documents)].concat());
            assert_eq!(matches(b"", &answer), found, "{count} of {documents}");
        }
        let answer = message(1, 7, 1, &[&fixed(1)[..], document].concat());
        for end in 1..answer.len() {
            assert_eq!(matches(b"", &answer[..end]), Verdict::Maybe, "{end}");
        }
    }

    #[test]
    fn what_is_no_message_is_none() {
        for client in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"*1\r\n$4\r\nPING\r\n",
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"\0\0\0\x10\0\x03\0\0user\0u\0\0",
            b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0",
            &message(1, 0, 2013, &[b"\x04\0\0\0\0", PING].concat()),
            &message(1, 0, 2013, &[b"\0\0\0\0\x02", PING].concat()),
            &message(1, 0, 2013, &[b"\0\0\0\0\0", &b"\x1f\0\0\0"[..], &PING[4..]].concat()),
            &message(1, 0, 2010, &[&[0; 5], PING].concat()),
        ] {
            assert_eq!(matches(client, b""), Verdict::No, "{}", client.escape_ascii());
        }
    }

    #[test]
    fn the_next_message_is_found_behind_others_bytes() {
        let bytes = [&b"the rest of a document\0"[..], &ping(7), &ping(0)].concat();
        assert_eq!(find(&bytes, Side::Client), Ok(23 + ping(7).len()));
        assert_eq!(find(&bytes, Side::Server), Ok(23));
        assert_eq!(find(&bytes[..23 + SIGNATURE - 1], Side::Server), Err(23));
        assert_eq!(find(&bytes[..10], Side::Server), Err(0));
    }
}
