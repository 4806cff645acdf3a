//! OTLP protobuf ([the wire format](https://protobuf.dev/programming-guides/encoding/)).

use super::{
    Limits,
    source::{Budget, DecodeError, DecodeErrorKind, Fields, Source},
};
use crate::model::Text;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED32: u8 = 5;

/// Reads a body without making a tree of it.
#[derive(Debug)]
pub(super) struct Protobuf<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the message at hand ends.
    end: usize,
    /// The wire type of the field at hand.
    wire: u8,
    /// The message at hand is the body itself, which has no length in front.
    outermost: bool,
    budget: Budget,
    field: &'static str,
}

impl<'a> Protobuf<'a> {
    pub(super) fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        let budget = Budget::new(limits);
        Self { bytes, at: 0, end: bytes.len(), wire: LENGTH, outermost: true, budget, field: "" }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.end);
        let Some(taken) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            return Err(self.wrong("the message ends too early"));
        };
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                return if shift == 63 && byte > 1 {
                    Err(self.wrong("a varint that is too large"))
                } else {
                    Ok(number)
                };
            }
        }
        Err(self.wrong("a varint without an end"))
    }

    /// The bytes of a field that has its length in front.
    fn delimited(&mut self) -> Result<&'a [u8], DecodeError> {
        if self.wire != LENGTH {
            return Err(self.wrong("a field of the wrong wire type"));
        }
        let length = self.varint()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn skip(&mut self) -> Result<(), DecodeError> {
        match self.wire {
            VARINT => self.varint().map(drop),
            FIXED64 => self.take(8).map(drop),
            LENGTH => self.delimited().map(drop),
            FIXED32 => self.take(4).map(drop),
            _ => Err(self.wrong("an unknown wire type")),
        }
    }

    /// The numbers of a repeated field: packed, or one of them alone.
    fn packed<T>(
        &mut self,
        wire: u8,
        out: &mut Vec<T>,
        read: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<(), DecodeError> {
        if self.wire != LENGTH {
            self.count_element()?;
            out.push(read(self)?);
            return Ok(());
        }
        let length = self.delimited()?.len();
        let outer = std::mem::replace(&mut self.end, self.at);
        self.at -= length;
        self.wire = wire;
        while self.at < self.end {
            self.count_element()?;
            out.push(read(self)?);
        }
        self.end = outer;
        Ok(())
    }
}

impl Source for Protobuf<'_> {
    fn message(
        &mut self,
        fields: Fields,
        mut each: impl FnMut(&mut Self, u32) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.enter()?;
        let outer = self.end;
        if !std::mem::take(&mut self.outermost) {
            let length = self.delimited()?.len();
            self.end = self.at;
            self.at -= length;
        }
        while self.at < self.end {
            let tag = self.varint()?;
            self.wire = (tag & 7) as u8;
            let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
            let Some(number) = number else { return Err(self.wrong("no field has this number")) };
            match fields.iter().find(|(_, known)| *known == number) {
                Some(&(name, number)) => {
                    self.field = name;
                    each(self, number)?;
                }
                None => self.skip()?,
            }
        }
        self.end = outer;
        self.leave();
        Ok(())
    }

    fn repeated(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
        each(self)
    }

    fn text(&mut self) -> Result<Text, DecodeError> {
        let bytes = self.delimited()?;
        str::from_utf8(bytes).map(Text::copied).map_err(|_| self.wrong("no valid UTF-8 in text"))
    }

    fn boolean(&mut self) -> Result<bool, DecodeError> {
        Ok(self.unsigned()? != 0)
    }

    fn unsigned(&mut self) -> Result<u64, DecodeError> {
        match self.wire {
            VARINT => self.varint(),
            FIXED64 => self.array().map(u64::from_le_bytes),
            FIXED32 => self.array().map(u32::from_le_bytes).map(u64::from),
            _ => Err(self.wrong("a field of the wrong wire type")),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "as protobuf's own readers do")]
    fn small(&mut self) -> Result<u32, DecodeError> {
        Ok(self.unsigned()? as u32)
    }

    fn signed(&mut self) -> Result<i64, DecodeError> {
        self.unsigned().map(u64::cast_signed)
    }

    #[expect(clippy::cast_possible_truncation, reason = "as protobuf's own readers do")]
    fn zigzag(&mut self) -> Result<i32, DecodeError> {
        let number = self.unsigned()? as u32;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    #[expect(clippy::cast_possible_truncation, reason = "as protobuf's own readers do")]
    fn enumeration(&mut self) -> Result<i32, DecodeError> {
        Ok((self.unsigned()? as u32).cast_signed())
    }

    fn double(&mut self) -> Result<f64, DecodeError> {
        if self.wire != FIXED64 {
            return Err(self.wrong("a field of the wrong wire type"));
        }
        self.array().map(f64::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, DecodeError> {
        self.delimited().map(<[u8]>::to_vec)
    }

    fn id<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.delimited()?;
        if bytes.is_empty() {
            return Ok([0; N]);
        }
        <[u8; N]>::try_from(bytes).map_err(|_| self.wrong("an id of the wrong length"))
    }

    fn doubles(&mut self, out: &mut Vec<f64>) -> Result<(), DecodeError> {
        self.packed(FIXED64, out, Self::double)
    }

    fn unsigneds(&mut self, fixed: bool, out: &mut Vec<u64>) -> Result<(), DecodeError> {
        self.packed(if fixed { FIXED64 } else { VARINT }, out, Self::unsigned)
    }

    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn wrong(&self, what: &'static str) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Malformed, what, self.field, self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], wire: u8) -> Protobuf<'_> {
        Protobuf { wire, ..Protobuf::new(bytes, &Limits::default()) }
    }

    #[test]
    fn numbers_by_the_vectors_of_the_manual() {
        assert_eq!(read(&[0x96, 0x01], VARINT).unsigned(), Ok(150));
        assert_eq!(read(&[0xff; 9], VARINT).unsigned().ok(), None);
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(read(&largest, VARINT).unsigned(), Ok(u64::MAX));
        assert_eq!(read(&largest, VARINT).signed(), Ok(-1));
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert!(read(&beyond, VARINT).unsigned().is_err());
        for (encoded, number) in [(0, 0), (1, -1), (2, 1), (3, -2), (0x7f, -64)] {
            assert_eq!(read(&[encoded], VARINT).zigzag(), Ok(number));
        }
        assert_eq!(read(&[3, 0, 0, 0], FIXED32).unsigned(), Ok(3));
        assert!(read(&[3, 0, 0], FIXED32).unsigned().is_err());
        assert!(read(&[3; 8], VARINT).double().is_err());
    }

    #[test]
    fn lists_are_packed_or_not() {
        let mut out = Vec::new();
        let mut packed = read(&[3, 1, 0x96, 0x01, 9], LENGTH);
        packed.unsigneds(false, &mut out).unwrap();
        assert_eq!((&out[..], packed.at, packed.end), (&[1, 150][..], 4, 5));
        read(&[7], VARINT).unsigneds(false, &mut out).unwrap();
        assert_eq!(out, [1, 150, 7]);
        assert!(read(&[9, 0, 0, 0, 0, 0, 0, 0, 0, 0], LENGTH).unsigneds(true, &mut out).is_err(), "no multiple of 8");
        assert!(read(&[2, 0x80, 0x80, 1], LENGTH).unsigneds(false, &mut out).is_err(), "runs over the end");
    }
}
