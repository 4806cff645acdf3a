//! The fields behind a fixed header.

use super::packet::variable;

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
