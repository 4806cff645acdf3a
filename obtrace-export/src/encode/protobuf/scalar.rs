//! Protobuf's scalars and frames, by its [encoding](https://protobuf.dev/programming-guides/encoding/). A `tag` is the
//! number of a field, shifted left by three, with the wire type in the low bits: 0 varint, 1 eight bytes, 2 with a length,
//! 5 four bytes.

use crate::{
    model::Text,
    text::{Form, INLINE},
};

/// Bytes of the longest varint.
const MOST: usize = 10;

/// How many bytes a varint takes.
pub(super) const fn varint_length(number: u64) -> usize {
    (70 - (number | 1).leading_zeros() as usize) / 7
}

/// A varint and its length; zeros behind it.
const fn varint(mut number: u64) -> ([u8; MOST], usize) {
    let mut bytes = [0; MOST];
    let mut at = 0;
    while number >= 0x80 {
        bytes[at] = (number & 0x7f) as u8 | 0x80;
        number >>= 7;
        at += 1;
    }
    bytes[at] = number as u8;
    (bytes, at + 1)
}

pub(super) fn push_varint(out: &mut Vec<u8>, number: u64) {
    if number < 0x80 {
        out.push(number as u8);
    } else if number < 0x4000 {
        out.extend_from_slice(&[(number & 0x7f) as u8 | 0x80, (number >> 7) as u8]);
    } else {
        let (bytes, length) = varint(number);
        let end = out.len() + length;
        out.extend_from_slice(&bytes);
        out.truncate(end);
    }
}

/// A field, unless it is zero.
pub(super) fn push_varint_field(out: &mut Vec<u8>, tag: u8, number: u64) {
    if number != 0 {
        out.push(tag);
        push_varint(out, number);
    }
}

/// A signed number in zigzag form, unless it is zero.
pub(super) fn push_zigzag_field(out: &mut Vec<u8>, tag: u8, number: i32) {
    push_varint_field(out, tag, ((number << 1) ^ (number >> 31)).cast_unsigned().into());
}

/// A number of four bytes, unless it is zero.
pub(super) fn push_fixed32_field(out: &mut Vec<u8>, tag: u8, number: u32) {
    if number != 0 {
        let [a, b, c, d] = number.to_le_bytes();
        out.extend_from_slice(&[tag, a, b, c, d]);
    }
}

/// A number of eight bytes, zero or not.
pub(super) fn push_fixed64(out: &mut Vec<u8>, tag: u8, number: u64) {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    out.extend_from_slice(&[tag, a, b, c, d, e, f, g, h]);
}

/// A number of eight bytes, unless it is zero.
pub(super) fn push_fixed64_field(out: &mut Vec<u8>, tag: u8, number: u64) {
    if number != 0 {
        push_fixed64(out, tag, number);
    }
}

/// A floating-point number, zero or not.
pub(super) fn push_double(out: &mut Vec<u8>, tag: u8, number: f64) {
    push_fixed64(out, tag, number.to_bits());
}

/// A floating-point number, if there is one.
pub(super) fn push_optional_double(out: &mut Vec<u8>, tag: u8, number: Option<f64>) {
    if let Some(number) = number {
        push_double(out, tag, number);
    }
}

/// A floating-point number, unless it is zero (negative zero is not).
pub(super) fn push_double_field(out: &mut Vec<u8>, tag: u8, number: f64) {
    push_fixed64_field(out, tag, number.to_bits());
}

/// Numbers of eight bytes one after the other, unless there are none.
pub(super) fn push_packed_fixed64(out: &mut Vec<u8>, tag: u8, numbers: impl ExactSizeIterator<Item = u64>) {
    if numbers.len() != 0 {
        out.push(tag);
        push_varint(out, 8 * numbers.len() as u64);
        for number in numbers {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

/// Varints one after the other, unless there are none.
pub(super) fn push_packed_varints(out: &mut Vec<u8>, tag: u8, numbers: &[u64]) {
    if !numbers.is_empty() {
        message(out, tag, 1, |out| numbers.iter().for_each(|number| push_varint(out, *number)));
    }
}

/// Bytes with their length.
pub(super) fn push_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Text with its length, unless it is empty.
pub(super) fn push_text(out: &mut Vec<u8>, tag: u8, text: &Text) {
    let length = text.as_bytes().len();
    if length != 0 {
        out.push(tag);
        push_varint(out, length as u64);
        push_content(out, text);
    }
}

/// Text alone.
pub(super) fn push_content(out: &mut Vec<u8>, text: &Text) {
    match text.form() {
        Form::Short(length, bytes) => {
            // All of it at once and the rest taken back: cheaper than a copy of a length that only shows now.
            let end = out.len() + usize::from(length).min(INLINE);
            out.extend_from_slice(bytes);
            out.truncate(end);
        }
        Form::Key(_) | Form::Plain(_) | Form::Any => out.extend_from_slice(text.as_bytes()),
    }
}

/// A message whose length is not known yet.
#[derive(Debug)]
#[must_use]
pub(super) struct Open {
    /// Where its length stands.
    at: usize,
    /// How many bytes were left for it.
    width: usize,
}

/// Begins a message, with room for a length of so many bytes. Right is best, wrong costs a move of the message.
pub(super) fn open(out: &mut Vec<u8>, tag: u8, width: usize) -> Open {
    out.push(tag);
    let at = out.len();
    out.resize(at + width, 0);
    Open { at, width }
}

/// Ends a message: sets its length.
pub(super) fn close(out: &mut Vec<u8>, Open { at, width }: Open) {
    let length = out.len() - at - width;
    let (bytes, needed) = varint(length as u64);
    if needed != width {
        widen(out, at, width, needed);
    }
    if let Some((room, bytes)) = out.get_mut(at..at + needed).zip(bytes.get(..needed)) {
        room.copy_from_slice(bytes);
    }
}

/// Makes the room for a length another one than it was.
#[cold]
fn widen(out: &mut Vec<u8>, at: usize, width: usize, needed: usize) {
    let end = out.len();
    out.resize(end.max(end - width + needed), 0);
    out.copy_within(at + width..end, at + needed);
    out.truncate(end - width + needed);
}

/// A message, with room for a length of so many bytes, as [`open`] has it.
pub(super) fn message(out: &mut Vec<u8>, tag: u8, width: usize, push: impl FnOnce(&mut Vec<u8>)) {
    let open = open(out, tag, width);
    push(out);
    close(out, open);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_by_the_vectors_of_the_manual() {
        for (number, bytes) in [(0_u64, &[0][..]), (1, &[1]), (127, &[127]), (128, &[0x80, 1]), (150, &[0x96, 1])] {
            let mut out = Vec::new();
            push_varint(&mut out, number);
            assert_eq!((&out[..], varint_length(number)), (bytes, bytes.len()), "{number}");
        }
        for bits in 0..64 {
            for number in [(1 << bits) - 1, 1_u64 << bits, u64::MAX >> bits] {
                let mut out = Vec::new();
                push_varint(&mut out, number);
                let (bytes, length) = varint(number);
                assert_eq!((&out[..], varint_length(number)), (&bytes[..length], length), "{number}");
                let read = out.iter().rev().fold(0, |all, byte| all << 7 | u64::from(byte & 0x7f));
                assert_eq!(read, number);
            }
        }
    }

    #[test]
    fn a_length_is_as_short_as_it_can_be_whatever_room_was_left_for_it() {
        for length in [0, 1, 127, 128, 300, 16_383, 16_384, 70_000] {
            for width in 1..4 {
                let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
                let mut out = b"kept".to_vec();
                message(&mut out, 0x0a, width, |out| out.extend_from_slice(&content));
                let mut expected = b"kept".to_vec();
                push_bytes(&mut expected, 0x0a, &content);
                assert!(out == expected, "{length} bytes, room of {width}");
            }
        }
    }

    #[test]
    fn zigzag_by_the_vectors_of_the_manual() {
        for (number, encoded) in [
            (-1, &[8, 1][..]),
            (1, &[8, 2]),
            (-2, &[8, 3]),
            (i32::MAX, &[8, 0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[8, 0xff, 0xff, 0xff, 0xff, 0x0f]),
            (0, &[]),
        ] {
            let mut out = Vec::new();
            push_zigzag_field(&mut out, 8, number);
            assert_eq!(out, encoded, "{number}");
        }
    }
}
