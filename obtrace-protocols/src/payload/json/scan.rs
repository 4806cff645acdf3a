//! Finds names, ends of strings, and what is around them.

use crate::scan::{BLOCK, holds};

/// A name without escapes and what is behind its colon; `None` if that is not there whole, or not so simple.
#[inline(always)]
pub(super) fn simple_name(bytes: &[u8]) -> Option<(Name<'_>, &[u8])> {
    let bytes = bytes.strip_prefix(b"\"")?;
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let (length, head) = match marks(word, b'"') | marks(word, b'\\') {
        0 => (far_end(bytes)?, word),
        found => {
            let bits = found.trailing_zeros() & !7;
            ((bits >> 3) as usize, word & !(u64::MAX << bits))
        }
    };
    let (text, behind) = bytes.split_at_checked(length)?;
    match behind {
        [b'"', b':', b' ', value @ ..] | [b'"', b':', value @ ..] => Some((Name { head, text }, value)),
        _ => None,
    }
}

/// A string without escapes whose quote was taken, and what is behind it; `None` if it is not there whole.
#[inline(always)]
pub(super) fn simple_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let near = bytes.first_chunk().map(|word| {
        let word = u64::from_le_bytes(*word);
        marks(word, b'"') | marks(word, b'\\')
    });
    let length = match near {
        Some(found) if found != 0 => (found.trailing_zeros() >> 3) as usize,
        Some(_) => far_end(bytes)?,
        None => string_mark(bytes, 0)?,
    };
    let (text, behind) = bytes.split_at_checked(length)?;
    Some((text, behind.strip_prefix(b"\"")?))
}

#[inline(never)]
fn far_end(bytes: &[u8]) -> Option<usize> {
    string_mark(bytes, size_of::<u64>())
}

/// A name, and its first eight bytes as a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'i> {
    pub(super) head: u64,
    pub(super) text: &'i [u8],
}

/// The first eight bytes of a name as a number, the first one lowest.
pub(super) const fn head(name: &str) -> u64 {
    let (mut word, mut bits, mut rest) = (0_u64, 0, name.as_bytes());
    while let [first, others @ ..] = rest
        && bits < u64::BITS
    {
        word |= (*first as u64).wrapping_shl(bits);
        bits = bits.wrapping_add(8);
        rest = others;
    }
    word
}

/// Where the first quote or backslash is, or the length.
#[inline]
pub(super) fn string_end(bytes: &[u8]) -> usize {
    string_mark(bytes, 0).unwrap_or(bytes.len())
}

/// Where from `at` on the first quote or backslash is.
#[inline]
pub(super) fn string_mark(bytes: &[u8], at: usize) -> Option<usize> {
    let marks = |word: u64| marks(word, b'"') | marks(word, b'\\');
    find(bytes, at, |block| holds(block, b'"') | holds(block, b'\\'), marks)
}

/// Where from `at` on the first quote, brace or bracket is.
#[inline]
pub(super) fn structural(bytes: &[u8], at: usize) -> Option<usize> {
    // Braces and brackets differ in one bit.
    const CASE: u64 = ONES.wrapping_mul(0x20);
    let has = |block: &[u8; BLOCK]| {
        let upper = block.map(|byte| byte | 0x20);
        holds(block, b'"') | holds(&upper, b'{') | holds(&upper, b'}')
    };
    find(bytes, at, has, |word| marks(word, b'"') | marks(word | CASE, b'{') | marks(word | CASE, b'}'))
}

/// Where the first line end is, or the length.
#[inline]
pub(in crate::payload) fn line_end(bytes: &[u8]) -> usize {
    let marks = |word: u64| marks(word, b'\n') | marks(word, b'\r');
    find(bytes, 0, |block| holds(block, b'\n') | holds(block, b'\r'), marks).unwrap_or(bytes.len())
}

pub(super) const ONES: u64 = 0x0101_0101_0101_0101;
pub(super) const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of bytes of a word that are `byte`. The lowest is right; a borrow may mark some above it.
#[inline(always)]
const fn marks(word: u64, byte: u8) -> u64 {
    let differs = word ^ ONES.wrapping_mul(byte as u64);
    differs.wrapping_sub(ONES) & !differs & HIGH
}

/// Where the first byte of a kind is, from `at` on: `has` tells whether a block holds one, `marks` marks those of a word
/// as [`marks`] does.
#[inline(always)]
fn find(bytes: &[u8], mut at: usize, has: impl Fn(&[u8; BLOCK]) -> bool, marks: impl Fn(u64) -> u64) -> Option<usize> {
    let place = |word: u64| match marks(word) {
        0 => None,
        found => Some((found.trailing_zeros() >> 3) as usize),
    };
    // Most are near.
    for _ in 0..2 {
        let Some(word) = bytes.get(at..)?.first_chunk() else { break };
        if let Some(within) = place(u64::from_le_bytes(*word)) {
            return Some(at.wrapping_add(within));
        }
        at = at.wrapping_add(size_of::<u64>());
    }
    let (blocks, _) = bytes.get(at..)?.as_chunks::<BLOCK>();
    let far = blocks.iter().position(&has).unwrap_or(blocks.len());
    at = at.wrapping_add(far.wrapping_mul(BLOCK));
    let (words, tail) = bytes.get(at..)?.as_chunks();
    for word in words {
        if let Some(within) = place(u64::from_le_bytes(*word)) {
            return Some(at.wrapping_add(within));
        }
        at = at.wrapping_add(size_of::<u64>());
    }
    let mut last = [0; size_of::<u64>()];
    last.iter_mut().zip(tail).for_each(|(to, byte)| *to = *byte);
    // None of the kinds is zero.
    place(u64::from_le_bytes(last)).map(|within| at.wrapping_add(within))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn finds_what_a_plain_search_finds() {
        for length in 0..60 {
            for first in 0..length {
                for (byte, other) in [
                    (b'"', b'!'),
                    (b'\\', b']'),
                    (b'\n', 0x0b),
                    (b'\r', 0x8d),
                    (b'{', b'z'),
                    (b'[', b'|'),
                    (b'}', b'~'),
                    (b']', b'^'),
                ] {
                    let mut bytes = vec![other; length];
                    bytes[first..].fill(byte);
                    let plain = |is: &dyn Fn(u8) -> bool| bytes.iter().position(|&byte| is(byte));
                    let quote = |byte: u8| matches!(byte, b'"' | b'\\');
                    assert_eq!(string_end(&bytes), plain(&quote).unwrap_or(length));
                    let line = |byte: u8| matches!(byte, b'\n' | b'\r');
                    assert_eq!(line_end(&bytes), plain(&line).unwrap_or(length));
                    let mark = |byte: u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
                    assert_eq!(structural(&bytes, 0), plain(&mark), "{byte} at {first} of {length}");
                    let at = first.min(3);
                    let behind = bytes[at..].iter().position(|&byte| mark(byte)).map(|within| at.wrapping_add(within));
                    assert_eq!(structural(&bytes, at), behind);
                }
            }
        }
    }
}
