//! Control packets ([§2](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901019)), where each ends
//! and what those say that are read most.

use super::fields::Cursor;
use crate::{Role, parser::Side};

/// The type of a control packet
/// ([§2.1.2](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901022)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The client asks for a connection.
    #[default]
    Connect,
    /// The server's answer to it.
    Connack,
    /// A message.
    Publish,
    /// Answers a message of QoS 1.
    Puback,
    /// A message of QoS 2 has come.
    Pubrec,
    /// It may be handed on.
    Pubrel,
    /// It was handed on.
    Pubcomp,
    /// The client asks for messages.
    Subscribe,
    /// The server's answer to it.
    Suback,
    /// The client wants no more of them.
    Unsubscribe,
    /// The server's answer to it.
    Unsuback,
    /// The client is there.
    Pingreq,
    /// The server is there.
    Pingresp,
    /// The connection ends.
    Disconnect,
    /// Authentication goes on.
    Auth,
}

impl Kind {
    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Connect,
            2 => Self::Connack,
            3 => Self::Publish,
            4 => Self::Puback,
            5 => Self::Pubrec,
            6 => Self::Pubrel,
            7 => Self::Pubcomp,
            8 => Self::Subscribe,
            9 => Self::Suback,
            10 => Self::Unsubscribe,
            11 => Self::Unsuback,
            12 => Self::Pingreq,
            13 => Self::Pingresp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// Whether this end may send it.
    pub(super) const fn is_of(self, side: Side) -> bool {
        match self {
            Self::Connect | Self::Subscribe | Self::Unsubscribe | Self::Pingreq => matches!(side, Side::Client),
            Self::Connack | Self::Suback | Self::Unsuback | Self::Pingresp => matches!(side, Side::Server),
            _ => true,
        }
    }

    /// The flags that it must have (§2.1.3); `None`: they mean something.
    const fn flags(self) -> Option<u8> {
        match self {
            Self::Publish => None,
            Self::Pubrel | Self::Subscribe | Self::Unsubscribe => Some(2),
            _ => Some(0),
        }
    }

    /// The fewest bytes behind the fixed header, and the most.
    const fn lengths(self) -> (u32, u32) {
        match self {
            Self::Connect => (12, MAX_LENGTH),
            Self::Publish => (2, MAX_LENGTH),
            Self::Subscribe => (6, MAX_LENGTH),
            Self::Unsubscribe => (5, MAX_LENGTH),
            Self::Suback => (3, MAX_LENGTH),
            Self::Pingreq | Self::Pingresp => (0, 0),
            Self::Disconnect | Self::Auth => (0, MAX_LENGTH),
            _ => (2, MAX_LENGTH),
        }
    }
}

/// The longest remaining length: four groups of seven bits.
const MAX_LENGTH: u32 = 0x0fff_ffff;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// Bytes of this header.
    pub(super) size: usize,
    /// Bytes behind it.
    pub(super) length: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Whole(Fixed),
    /// So many bytes are needed.
    Partial(usize),
    /// No packet of this side begins like this.
    Invalid,
}

impl Fixed {
    pub(super) fn read(bytes: &[u8], side: Side) -> Read {
        let Some(&first) = bytes.first() else { return Read::Partial(2) };
        let flags = first & 0x0f;
        let Some(kind) = Kind::of(first >> 4).filter(|kind| kind.is_of(side)) else { return Read::Invalid };
        let allowed = match kind.flags() {
            Some(fixed) => flags == fixed,
            // QoS 3 is none; what is sent at most once is not sent again.
            None => flags & 6 != 6 && (flags & 8 == 0 || flags & 6 != 0),
        };
        if !allowed {
            return Read::Invalid;
        }
        let rest = bytes.get(1..).unwrap_or_default();
        let Some((length, digits)) = variable(rest) else {
            return if rest.len() < 4 { Read::Partial(bytes.len().saturating_add(1).max(2)) } else { Read::Invalid };
        };
        let (least, most) = kind.lengths();
        let least = if kind == Kind::Publish && flags & 6 != 0 { 4 } else { least };
        if !(least..=most).contains(&length) {
            return Read::Invalid;
        }
        Read::Whole(Self { kind, flags, size: digits.saturating_add(1), length })
    }

    pub(super) const fn qos(&self) -> u8 {
        self.flags >> 1 & 3
    }
}

/// A variable byte integer (§1.5.5) and its width; `None` if it does not end within four bytes or the bytes given.
pub(super) fn variable(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0;
    for (number, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (number as u32).saturating_mul(7);
        if byte & 0x80 == 0 {
            return Some((value, number.saturating_add(1)));
        }
    }
    None
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet<'a> {
    /// Its type.
    pub kind: Kind,
    /// The lower half of its first byte.
    pub flags: u8,
    /// What is behind the fixed header.
    pub body: &'a [u8],
}

/// The whole packets at the front of what one end sent.
///
/// ```
/// use obtrace_protocols::{Role, mqtt::packet::{Kind, Packets}};
/// let mut packets = Packets::new(b"\x30\x05\0\x01tHi\x32", Role::Client);
/// let packet = packets.next().unwrap();
/// let message = packet.publish(4).unwrap();
/// assert_eq!((packet.kind, message.topic, message.payload), (Kind::Publish, &b"t"[..], &b"Hi"[..]));
/// assert_eq!((packets.next(), packets.rest()), (None, &b"\x32"[..]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    sender: Side,
}

impl<'a> Packets<'a> {
    /// Starts at the first of `bytes`, which has to be the first byte of a packet. `sender` sent them.
    #[must_use]
    pub const fn new(bytes: &'a [u8], sender: Role) -> Self {
        let sender = match sender {
            Role::Client => Side::Client,
            Role::Server => Side::Server,
        };
        Self { rest: bytes, sender }
    }

    /// What is not read yet: once the iterator has ended, a packet that is not whole or none of this end.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    #[inline]
    fn next(&mut self) -> Option<Packet<'a>> {
        let Read::Whole(fixed) = Fixed::read(self.rest, self.sender) else { return None };
        let (body, rest) = self.rest.get(fixed.size..)?.split_at_checked(fixed.length as usize)?;
        self.rest = rest;
        Some(Packet { kind: fixed.kind, flags: fixed.flags, body })
    }
}

/// What CONNECT says in front of what is secret
/// ([§3.1](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901033)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connect<'a> {
    /// The protocol level: 4 is version 3.1.1.
    pub version: u8,
    /// Asks for a new session.
    pub clean_start: bool,
    /// Seconds.
    pub keep_alive: u16,
    /// The client identifier.
    pub client_id: &'a [u8],
}

/// PUBLISH ([§3.3](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901100)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Publish<'a> {
    /// Empty if an alias stands for it.
    pub topic: &'a [u8],
    /// `None` of QoS 0.
    pub packet_id: Option<u16>,
    /// The message itself.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The quality of service of PUBLISH.
    #[must_use]
    pub const fn qos(&self) -> u8 {
        self.flags >> 1 & 3
    }

    /// The fields of CONNECT. `None` if it is not one or not whole.
    #[must_use]
    #[inline]
    pub fn connect(&self) -> Option<Connect<'a>> {
        let mut cursor = Cursor(self.body);
        (self.kind == Kind::Connect).then_some(())?;
        cursor.string()?;
        let version = cursor.byte()? & 0x7f;
        let (flags, keep_alive) = (cursor.byte()?, cursor.number()?);
        if version == 5 {
            cursor.properties()?;
        }
        Some(Connect { version, clean_start: flags & 2 != 0, keep_alive, client_id: cursor.string()? })
    }

    /// The fields of PUBLISH on a connection of this protocol level. `None` if it is not one or not whole.
    #[must_use]
    #[inline]
    pub fn publish(&self, version: u8) -> Option<Publish<'a>> {
        let mut cursor = Cursor(self.body);
        (self.kind == Kind::Publish).then_some(())?;
        let topic = cursor.string()?;
        let packet_id = if self.qos() > 0 { Some(cursor.number()?) } else { None };
        if version == 5 {
            cursor.properties()?;
        }
        Some(Publish { topic, packet_id, payload: cursor.0 })
    }

    /// The packet identifier, of all but PUBLISH, which has it behind its topic.
    #[must_use]
    #[inline]
    pub fn packet_id(&self) -> Option<u16> {
        match self.kind {
            Kind::Puback | Kind::Pubrec | Kind::Pubrel | Kind::Pubcomp => Cursor(self.body).number(),
            Kind::Subscribe | Kind::Suback | Kind::Unsubscribe | Kind::Unsuback => Cursor(self.body).number(),
            _ => None,
        }
    }

    /// The topic filters of SUBSCRIBE and UNSUBSCRIBE on a connection of this protocol level, as far as they are whole.
    pub fn filters(&self, version: u8) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (mut cursor, subscribes) = (Cursor(self.body), self.kind == Kind::Subscribe);
        let has_filters = subscribes || self.kind == Kind::Unsubscribe;
        let is_there = has_filters && cursor.number().is_some() && (version != 5 || cursor.properties().is_some());
        core::iter::from_fn(move || {
            let filter = if is_there { cursor.string()? } else { return None };
            if subscribes {
                // Its options.
                cursor.byte()?;
            }
            Some(filter)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_headers() {
        let read = |bytes: &[u8]| Fixed::read(bytes, Side::Client);
        let whole = |kind, flags, size, length| Read::Whole(Fixed { kind, flags, size, length });
        assert_eq!(read(&[0x10, 12]), whole(Kind::Connect, 0, 2, 12));
        assert_eq!(read(&[0x3b, 0xff, 0x7f]), whole(Kind::Publish, 11, 3, 16_383));
        assert_eq!(read(&[0x30, 0xff, 0xff, 0xff, 0x7f]), whole(Kind::Publish, 0, 5, MAX_LENGTH));
        for (bytes, needed) in [(&[][..], 2), (&[0x30], 2), (&[0x30, 0x80], 3), (&[0x30, 0x80, 0x80, 0x80], 5)] {
            assert_eq!(read(bytes), Read::Partial(needed), "{bytes:?}");
        }
        let bad: [&[u8]; 10] = [
            &[0, 0],
            &[0x20, 2],
            &[0x36, 9],
            &[0x38, 9],
            &[0x32, 3],
            &[0x80, 9],
            &[0xc0, 1],
            &[0x16, 3],
            &[0x30, 0x80, 0x80, 0x80, 0x80],
            &[0x40, 1],
        ];
        for bytes in bad {
            assert_eq!(read(bytes), Read::Invalid, "{bytes:?}");
        }
        assert_eq!(Fixed::read(&[0x82, 9], Side::Server), Read::Invalid);
    }

    #[test]
    fn packets_one_after_the_other() {
        let sent = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01c\x82\x0a\0\x07\0\x01a\0\0\x01b\x01\x32\x07\0\x01a\0\x09Hi\xc0\0\x20\x02";
        let mut packets = Packets::new(sent, Role::Client);
        let connect = Connect { version: 4, clean_start: true, keep_alive: 60, client_id: b"c" };
        assert_eq!(packets.next().and_then(|packet| packet.connect()), Some(connect));
        let subscribe = packets.next().unwrap();
        assert_eq!((subscribe.packet_id(), subscribe.publish(4)), (Some(7), None));
        assert_eq!(subscribe.filters(4).collect::<alloc::vec::Vec<_>>(), [b"a", b"b"]);
        let publish = packets.next().unwrap();
        let message = Publish { topic: b"a", packet_id: Some(9), payload: b"Hi" };
        assert_eq!((publish.qos(), publish.publish(4), publish.connect()), (1, Some(message), None));
        assert_eq!(publish.filters(4).count(), 0);
        assert_eq!(packets.next().map(|packet| (packet.kind, packet.body)), Some((Kind::Pingreq, &[][..])));
        // CONNACK is none of the client's.
        assert_eq!((packets.next(), packets.rest()), (None, &b"\x20\x02"[..]));
    }
}
