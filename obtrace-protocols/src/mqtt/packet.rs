//! Control packets: the fixed header, and the fields behind it.

use crate::parser::Side;

/// The type of a control packet
/// ([§2.1.2](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901022)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Connect,
    Connack,
    Publish,
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
    Subscribe,
    Suback,
    Unsubscribe,
    Unsuback,
    Pingreq,
    Pingresp,
    Disconnect,
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

/// Takes fields off the front. Each is `None` if it is not there whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn number(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    /// Bytes behind their length: binary data and UTF-8 strings (§1.5.4, §1.5.6).
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }

    pub(super) fn variable(&mut self) -> Option<u32> {
        let (value, width) = variable(self.0)?;
        self.take(width)?;
        Some(value)
    }

    /// The properties behind their length (§2.2.2).
    pub(super) fn properties(&mut self) -> Option<Properties<'a>> {
        let length = self.variable()?;
        Some(Properties(Cursor(self.take(usize::try_from(length).ok()?)?)))
    }

    /// As [`Cursor::properties`], what is there of them.
    pub(super) fn some_properties(&mut self) -> Option<Properties<'a>> {
        let length = usize::try_from(self.variable()?).ok()?.min(self.0.len());
        Some(Properties(Cursor(self.take(length)?)))
    }
}

/// One property. Only those that are of interest have their value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Property<'a> {
    TopicAlias(u16),
    AssignedClientId(&'a [u8]),
    User(&'a [u8], &'a [u8]),
    Other,
    /// It is none, or not whole.
    Broken,
}

/// Ends behind the first that is broken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Properties<'a>(Cursor<'a>);

impl<'a> Iterator for Properties<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        if self.0.0.is_empty() {
            return None;
        }
        let found = self.property().unwrap_or(Property::Broken);
        if found == Property::Broken {
            self.0 = Cursor(&[]);
        }
        Some(found)
    }
}

impl<'a> Properties<'a> {
    fn property(&mut self) -> Option<Property<'a>> {
        let cursor = &mut self.0;
        match cursor.byte()? {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => cursor.take(1)?,
            0x13 | 0x21 | 0x22 => cursor.take(2)?,
            0x23 => return cursor.number().map(Property::TopicAlias),
            0x02 | 0x11 | 0x18 | 0x27 => cursor.take(4)?,
            0x0b => return cursor.variable().map(|_| Property::Other),
            0x12 => return cursor.string().map(Property::AssignedClientId),
            0x03 | 0x08 | 0x09 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => cursor.string()?,
            0x26 => return Some(Property::User(cursor.string()?, cursor.string()?)),
            _ => return None,
        };
        Some(Property::Other)
    }

    pub(super) fn are_valid(mut self) -> bool {
        self.all(|property| property != Property::Broken)
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
    fn properties_of_every_type() {
        let bytes = b"\x2b\x01\x01\x23\0\x05\x02\0\0\0\x09\x0b\x81\x01\x08\0\x01r\x09\0\x02\0\xff\x26\0\x01k\0\x01v\x12\0\x01c\x2a\x01\x13\0\x09\x1f\0\x02ok";
        assert_eq!(bytes.len() - 1, 0x2b);
        let found: alloc::vec::Vec<_> = Cursor(bytes).properties().unwrap().collect();
        let known = [Property::TopicAlias(5), Property::User(b"k", b"v"), Property::AssignedClientId(b"c")];
        assert_eq!((found.len(), found[1], found[6], found[7]), (11, known[0], known[1], known[2]));
        assert!(Cursor(bytes).properties().unwrap().are_valid());
        for broken in [&b"\x01\x7f"[..], b"\x02\x23\0", b"\x04\x26\0\x01k", b"\x03\x08\0\x09"] {
            assert!(!Cursor(broken).properties().unwrap().are_valid(), "{broken:?}");
        }
        assert!(Cursor(b"\x05\x01").properties().is_none());
        assert_eq!(Cursor(b"\x05\x01\x01").some_properties().unwrap().count(), 1);
    }
}
