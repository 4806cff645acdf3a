//! The fields of a protobuf message, as far as replies need them. Nothing is allocated, and nothing is trusted.

/// A field's value; fixed-width ones and groups are in no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Other,
}

/// Number and value of each field, up to the first that is broken.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).ok()?)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

/// The last bytes of this field, which is what counts by protobuf's rules.
pub(super) fn bytes(message: &[u8], number: u64) -> Option<&[u8]> {
    Fields(message)
        .filter_map(|(at, value)| if let Value::Bytes(bytes) = value { (at == number).then_some(bytes) } else { None })
        .last()
}

/// The last number of this field.
pub(super) fn varint(message: &[u8], number: u64) -> Option<u64> {
    Fields(message)
        .filter_map(|(at, value)| if let Value::Varint(it) = value { (at == number).then_some(it) } else { None })
        .last()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_of_every_width() {
        // 1: 150, 2: "ab", 3: fixed32, 4: fixed64, 1: 1
        let message = b"\x08\x96\x01\x12\x02ab\x1d\0\0\0\0\x21\0\0\0\0\0\0\0\0\x08\x01";
        assert_eq!(Fields(message).count(), 5);
        assert_eq!((varint(message, 1), bytes(message, 2), varint(message, 5)), (Some(1), Some(&b"ab"[..]), None));
    }

    #[test]
    fn what_is_broken_ends_it() {
        for message in [
            &b"\x12\x05ab"[..],
            b"\x08",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0b",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        ] {
            assert_eq!(Fields(message).count(), 0, "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_go_on_forever(message in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Fields(&message).count() <= message.len());
        }
    }
}
