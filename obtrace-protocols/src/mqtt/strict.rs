//! Whether bytes that may be anything are MQTT: what a packet has to be like to be taken for one. The standard's rules,
//! without the leniency that a packet in its place is read with.

use super::{
    fields::{Cursor, Properties, Property},
    packet::{Fixed, Kind, Read, variable},
    reason,
};
use crate::{detect::Verdict, parser::Side};

/// What the front of some bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// A packet of so many bytes, not all of which need be there.
    Packet(Kind, usize),
    /// It may be one, if there are so many bytes.
    More(usize),
    No,
}

/// What answers, and what ends a session, is not longer where it is looked for: little is waited for in vain.
const MAX_ANSWER: usize = 512;

/// So much of what answers is like few other bytes: an identifier and a reason, and how long the properties are.
const TOLD: usize = 4;

/// Looks at the packet at the front. One that cannot be judged within `limit` bytes is none.
pub(super) fn packet(bytes: &[u8], side: Side, limit: usize) -> Front {
    let fixed = match Fixed::read(bytes, side) {
        Read::Whole(fixed) => fixed,
        Read::Partial(needed) => return Front::More(needed),
        Read::Invalid => return Front::No,
    };
    let minimal = [0, 0, 0x80, 0x4000, 0x20_0000].get(fixed.size.saturating_sub(1));
    if minimal.is_none_or(|least| fixed.length < *least) {
        return Front::No;
    }
    let length = fixed.length as usize;
    let needed = match fixed.kind {
        Kind::Publish => {
            let Some(topic) = bytes.get(fixed.size..).and_then(|body| Cursor(body).number()) else {
                return Front::More(fixed.size.saturating_add(2));
            };
            let fields = usize::from(topic).saturating_add(if fixed.qos() > 0 { 4 } else { 2 });
            // Without a topic there is an alias among the properties.
            let rest = bytes.get(fixed.size.saturating_add(fields)..).unwrap_or_default();
            match variable(rest) {
                _ if topic > 0 => fields,
                Some((properties, width)) => fields.saturating_add(width).saturating_add(properties as usize),
                None if fields >= length || rest.len() > 3 => return Front::No,
                None => return Front::More(bytes.len().max(fixed.size.saturating_add(fields)).saturating_add(1)),
            }
        }
        // What is behind the name and the level matters to no one here.
        Kind::Connect => length.min(10),
        _ => length,
    };
    let whole = fixed.size.saturating_add(needed);
    let asks = matches!(fixed.kind, Kind::Connect | Kind::Publish | Kind::Subscribe | Kind::Unsubscribe);
    if needed > length || whole > limit || (!asks && length > MAX_ANSWER) {
        return Front::No;
    }
    let Some(body) = bytes.get(fixed.size..whole) else {
        // What is there already may show that it is none.
        let begun = bytes.get(fixed.size..).unwrap_or_default();
        if !may_begin(&fixed, begun) {
            return Front::No;
        }
        // No more than shows that it is none: bytes that are waited for in vain are not looked at.
        let told = if asks { needed } else { needed.min(TOLD) };
        let needed = if begun.len() < told { told } else { needed };
        return Front::More(fixed.size.saturating_add(needed));
    };
    if is_valid(&fixed, body) { Front::Packet(fixed.kind, fixed.size.saturating_add(length)) } else { Front::No }
}

/// Whether packets begin here: so many, each behind the one before.
pub(super) fn chain(bytes: &[u8], side: Side, count: usize, limit: usize) -> Front {
    let mut at = 0_usize;
    let mut first = Front::No;
    for number in 0..count {
        let rest = bytes.get(at..).unwrap_or_default();
        if number.saturating_add(1) < count && is_too_long(rest, side, limit.saturating_sub(at)) {
            return Front::No;
        }
        match packet(rest, side, limit.saturating_sub(at)) {
            Front::Packet(kind, size) => {
                at = at.saturating_add(size);
                if number == 0 {
                    first = Front::Packet(kind, size);
                }
            }
            Front::More(needed) => {
                let needed = at.saturating_add(needed);
                return if needed <= limit { Front::More(needed) } else { Front::No };
            }
            Front::No => return Front::No,
        }
    }
    first
}

/// Whether a packet of this kind has a name or an identifier. One that has none is two bytes that any message may end
/// with.
pub(super) fn shows_itself(bytes: &[u8], side: Side) -> bool {
    let Read::Whole(fixed) = Fixed::read(bytes, side) else { return true };
    !matches!(fixed.kind, Kind::Pingreq | Kind::Pingresp | Kind::Disconnect | Kind::Auth)
}

/// Whether nothing can be seen behind the packet in front, or its fields are many: text that looks like the front of a
/// packet every few bytes is not to be read as often.
fn is_too_long(bytes: &[u8], side: Side, limit: usize) -> bool {
    let Read::Whole(fixed) = Fixed::read(bytes, side) else { return false };
    let length = fixed.length as usize;
    let is_list = matches!(fixed.kind, Kind::Subscribe | Kind::Unsubscribe);
    length >= limit || is_list && length > MAX_ANSWER
}

/// The names and levels that CONNECT may have: MQTT 3.1.1, 5.0 and 3.1 (§3.1.2.1). A bridge between brokers sets the
/// upper bit.
const NAMES: [&[u8]; 5] =
    [b"\0\x04MQTT\x04", b"\0\x04MQTT\x05", b"\0\x06MQIsdp\x03", b"\0\x04MQTT\x84", b"\0\x06MQIsdp\x83"];

/// Whether what is there of a packet is like one.
fn may_begin(fixed: &Fixed, body: &[u8]) -> bool {
    let kind = fixed.kind;
    let id = body.first_chunk::<2>().is_none_or(|id| *id != [0; 2]);
    let code = |at: usize| body.get(at).is_none_or(|&code| reason::is_known(kind, code));
    // Properties fill the rest.
    let fits = |at: usize| {
        let rest = (fixed.length as usize).saturating_sub(at);
        let known = body.get(at..).and_then(variable);
        known.is_none_or(|(properties, width)| width.saturating_add(properties as usize) == rest)
    };
    match kind {
        Kind::Connect => NAMES.iter().any(|name| name.iter().zip(body).all(|(name, byte)| name == byte)),
        Kind::Publish => {
            let mut cursor = Cursor(body);
            let topic = usize::from(cursor.number().unwrap_or_default());
            cursor.0.iter().take(topic).all(|&byte| may_be_topic(byte))
        }
        Kind::Connack => body.first().is_none_or(|&flags| flags <= 1) && code(1),
        Kind::Puback | Kind::Pubrec | Kind::Pubrel | Kind::Pubcomp => id && code(2) && fits(3),
        Kind::Disconnect | Kind::Auth => code(0) && fits(1),
        Kind::Subscribe | Kind::Suback | Kind::Unsubscribe | Kind::Unsuback => id,
        Kind::Pingreq | Kind::Pingresp => true,
    }
}

/// No control characters, no wildcards.
const fn may_be_topic(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f && !matches!(byte, b'#' | b'+')
}

fn is_text(bytes: &[u8]) -> bool {
    // What is not UTF-8 shows soonest.
    core::str::from_utf8(bytes).is_ok() && !bytes.iter().any(|&byte| byte < b' ' || byte == 0x7f)
}

fn is_valid(fixed: &Fixed, body: &[u8]) -> bool {
    let mut cursor = Cursor(body);
    match fixed.kind {
        Kind::Connect => {
            let rest = NAMES.iter().find_map(|name| body.strip_prefix(*name));
            // The reserved flag, and QoS 3 of the will (§3.1.2.3).
            rest.is_some_and(|rest| rest.first().is_none_or(|flags| flags & 1 == 0 && flags & 0x18 != 0x18))
        }
        Kind::Publish => {
            let topic = cursor.string().unwrap_or_default();
            let topic_is_valid = is_text(topic) && topic.iter().all(|&byte| may_be_topic(byte));
            let id = fixed.qos() == 0 || cursor.number().is_some_and(|id| id != 0);
            topic_is_valid && id && (!topic.is_empty() || has_alias(cursor))
        }
        Kind::Connack => {
            let flags = cursor.byte().is_some_and(|flags| flags <= 1);
            let code = cursor.byte().is_some_and(|code| reason::is_known(fixed.kind, code));
            flags && code && (cursor.0.is_empty() || ends_with_properties(cursor))
        }
        Kind::Puback | Kind::Pubrec | Kind::Pubrel | Kind::Pubcomp => {
            cursor.number().is_some_and(|id| id != 0) && ends_with_reason(fixed.kind, cursor)
        }
        Kind::Disconnect | Kind::Auth => ends_with_reason(fixed.kind, cursor),
        Kind::Subscribe | Kind::Unsubscribe => {
            cursor.number().is_some_and(|id| id != 0) && version_of(fixed.kind, cursor).is_some()
        }
        Kind::Suback | Kind::Unsuback => {
            let codes = |codes: &[u8]| codes.iter().all(|&code| reason::is_known(fixed.kind, code));
            let id = cursor.number().is_some_and(|id| id != 0);
            let plain = codes(cursor.0);
            let newer = cursor.properties().is_some_and(Properties::are_valid);
            id && (plain || newer && !cursor.0.is_empty() && codes(cursor.0))
        }
        Kind::Pingreq | Kind::Pingresp => true,
    }
}

fn has_alias(mut cursor: Cursor<'_>) -> bool {
    let Some(properties) = cursor.properties() else { return false };
    properties.are_valid() && properties.into_iter().any(|property| matches!(property, Property::TopicAlias(1..)))
}

fn ends_with_properties(mut cursor: Cursor<'_>) -> bool {
    cursor.properties().is_some_and(Properties::are_valid) && cursor.0.is_empty()
}

/// Nothing, or a reason code, or one and properties.
fn ends_with_reason(kind: Kind, mut cursor: Cursor<'_>) -> bool {
    match cursor.byte() {
        None => true,
        Some(code) => reason::is_known(kind, code) && (cursor.0.is_empty() || ends_with_properties(cursor)),
    }
}

/// The only version in which this is the rest of SUBSCRIBE or UNSUBSCRIBE: properties come first in version 5, and no
/// filter is empty.
pub(super) fn version_of(kind: Kind, cursor: Cursor<'_>) -> Option<u8> {
    let filters = |mut cursor: Cursor<'_>| {
        while !cursor.0.is_empty() {
            let filter = cursor.string().filter(|filter| !filter.is_empty() && is_text(filter))?;
            if kind == Kind::Subscribe {
                cursor.byte().filter(|options| options & 0xc0 == 0 && options & 3 != 3)?;
            }
            let _ = filter;
        }
        Some(())
    };
    let mut newer = cursor;
    let is_newer = newer.properties().is_some_and(|properties| properties.are_valid() && !newer.0.is_empty());
    if is_newer && filters(newer).is_some() {
        return Some(5);
    }
    filters(cursor).map(|()| 4)
}

/// Is it MQTT? A CONNECT, which nothing else begins like; else packets, of which a short one alone shows nothing. Messages
/// and their acknowledgements may be of either end.
pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    let (from_client, from_server) = (weigh(client, Side::Client), weigh(server, Side::Server));
    if from_client == Weight::Connect {
        return Verdict::Yes;
    }
    match (from_client, from_server) {
        (Weight::No, _) | (_, Weight::No) => Verdict::No,
        (Weight::Points { sum: a, of_one: x }, Weight::Points { sum: b, of_one: y }) => {
            match (a.saturating_add(b) >= ENOUGH, x || y) {
                (false, _) => Verdict::Maybe,
                (true, true) => Verdict::Yes,
                (true, false) => Verdict::Either,
            }
        }
        _ => Verdict::Yes,
    }
}

/// As many points as two short packets have, or one that names a topic.
const ENOUGH: u32 = 2;
/// So many bytes of a message that is not whole are waited for.
const MAX_UNDECIDED: usize = 2048;

/// A topic of fewer bytes shows nothing before the packet's end is seen: a digit, another character, and the kind and
/// name of an element are like one in the documents of MongoDB.
const LEAST_TOPIC: u16 = 5;

fn has_short_topic(bytes: &[u8], side: Side) -> bool {
    let Read::Whole(fixed) = Fixed::read(bytes, side) else { return false };
    let topic = bytes.get(fixed.size..).and_then(|body| Cursor(body).number());
    fixed.kind == Kind::Publish && topic.is_some_and(|topic| topic < LEAST_TOPIC)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// A whole CONNECT up to its level.
    Connect,
    /// `of_one`: there is a packet that the other end cannot send.
    Points {
        sum: u32,
        of_one: bool,
    },
    No,
}

fn weigh(bytes: &[u8], side: Side) -> Weight {
    let (mut at, mut sum, mut of_one) = (0_usize, 0_u32, false);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match packet(rest, side, MAX_UNDECIDED) {
            Front::Packet(Kind::Connect, _) if at == 0 => return Weight::Connect,
            Front::Packet(kind, size) => {
                let names = matches!(kind, Kind::Publish | Kind::Subscribe | Kind::Unsubscribe)
                    && (size <= rest.len() || !has_short_topic(rest, side));
                sum = sum.saturating_add(if names { ENOUGH } else { 1 });
                of_one |= !kind.is_of(side.other());
                at = at.saturating_add(size);
            }
            Front::More(_) => break,
            Front::No => return Weight::No,
        }
    }
    Weight::Points { sum, of_one }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: &[u8] = b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04dev1";

    #[test]
    fn a_connect_is_enough() {
        assert_eq!(matches(CONNECT, b""), Verdict::Yes);
        assert_eq!(matches(&CONNECT[..12], b"anything"), Verdict::Yes);
        assert_eq!(matches(b"\x10\x12\0\x06MQIsdp\x03\x02\0\x3c\0\x04dev1", b""), Verdict::Yes);
        for end in 0..12 {
            assert_eq!(matches(&CONNECT[..end], b""), Verdict::Maybe, "{end}");
        }
        for no in
            [&b"\x10\x10\0\x04MQTX\x04\x02"[..], b"\x10\x10\0\x04MQTT\x07\x02", b"\x10\x10\0\x04MQTT\x04\x03\0\x3c"]
        {
            assert_eq!(matches(no, b""), Verdict::No, "{no:?}");
        }
    }

    #[test]
    fn in_the_middle_of_a_connection() {
        let publish = b"\x32\x0c\0\x05a/b/c\0\x07xyz";
        // Either end may have sent it.
        assert_eq!(matches(publish, b""), Verdict::Either);
        assert_eq!(matches(b"", b"\x30\x08\0\x05a/b/c!"), Verdict::Either);
        assert_eq!(matches(&publish[..8], b"\xd0\0"), Verdict::Maybe);
        assert_eq!(matches(publish, b"\xd0\0"), Verdict::Yes);
        assert_eq!(matches(b"\xd0\0", publish), Verdict::No);
        assert_eq!(matches(b"\xc0\0", b""), Verdict::Maybe);
        assert_eq!(matches(b"\xc0\0", b"\xd0\0"), Verdict::Yes);
        assert_eq!(matches(b"\x40\x02\0\x07", b""), Verdict::Maybe);
        assert_eq!(matches(b"\x40\x02\0\x07\x40\x02\0\x08", b""), Verdict::Either);
        assert_eq!(matches(b"\x30\xff\x7f\0\x05a/b/cxxxxx", b""), Verdict::Either);
        assert_eq!(matches(b"\x82\x08\0\x01\0\x03a/#\x01", b"\x90\x03\0\x01\x01"), Verdict::Yes);
        assert_eq!(matches(b"", b""), Verdict::Maybe);
        // "10", its end, and a string with the name "name".
        let document = b"10\0\x02name\0\x04\0\0\0Anna\0\x02town\0\x05\0\0\0Paris\0\x02street\0\x04\0\0\0Alba\0";
        assert_eq!(matches(&document[..30], b""), Verdict::Maybe);
        assert_eq!(matches(document, b""), Verdict::No);
        assert_eq!(matches(b"\x30\x05\0\x02na!", b""), Verdict::Either);
    }

    #[test]
    fn long_lists_are_found_only_just_behind_a_loss() {
        let filters = b"\0\x06\xe1\xa2\x82\x20ab".repeat(512);
        let list = [b"\xa2\x82\x20\0\x07", &filters[..], b"\xc0\0"].concat();
        let found = |count| chain(&list, Side::Client, count, 32 * 1024);
        assert_eq!(found(1), Front::Packet(Kind::Unsubscribe, list.len() - 2));
        // Each of the filters has what is like the front of such a list in it.
        assert_eq!(found(2), Front::No);
        let short = [b"\xa2\x0a\0\x07", filters.get(..8).unwrap_or_default(), b"\xc0\0"].concat();
        assert_eq!(chain(&short, Side::Client, 2, 32 * 1024), Front::Packet(Kind::Unsubscribe, 12));
        // Nothing can be seen behind it.
        let message = [&b"0\xff\xff\x01\0\x01a"[..], &[b'x'; 64]].concat();
        assert_eq!(chain(&message, Side::Client, 1, 16 * 1024), Front::Packet(Kind::Publish, 32_771));
        assert_eq!(chain(&message, Side::Client, 2, 16 * 1024), Front::No);
    }

    #[test]
    fn what_it_is_not() {
        for no in [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"POST /a HTTP/1.1\r\n\r\n",
            b"PUT /a HTTP/1.1\r\n\r\n",
            b"PATCH /a HTTP/1.1\r\n\r\n",
            b"PING\r\n",
            b"PUB subject 5\r\nhello\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b":12\r\n",
            b"0000",
            b"\x16\x03\x01\0\xc8\x01",
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"\x30\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0",
            b"\x40\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0",
            b"\x10\0\0\0\x03SELECT 1",
            b"\x30\x08\0\x05a/+/c!",
            b"\x30\x08\0\x05a\0/bc!",
            b"\x30\x07\0\0hello",
            b"\x32\x0c\0\x05a/b/c\0\0xyz",
        ] {
            assert_eq!(matches(no, b""), Verdict::No, "{no:?} of a client");
            assert_eq!(matches(b"", no), Verdict::No, "{no:?} of a server");
        }
    }
}
