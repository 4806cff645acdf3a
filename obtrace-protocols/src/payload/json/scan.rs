//! Finds the ends of strings and what is around them.

use crate::scan::BLOCK;

/// Where in an escape a string is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Escape {
    #[default]
    None,
    Backslash,
    /// So many digits are left.
    Unicode(u8, u16),
}

/// Walks over a string up to behind its end. Whether the end was there.
#[inline]
pub(super) fn walk_string(escape: &mut Escape, input: &mut &[u8]) -> bool {
    loop {
        if *escape != Escape::None {
            let Some((_, rest)) = input.split_first() else { return false };
            // Digits of an escape are as good as any character.
            *escape = Escape::None;
            *input = rest;
        }
        let at = string_end(input);
        let end = input.get(at).copied();
        *input = input.get(at.saturating_add(1)..).unwrap_or_default();
        match end {
            Some(b'"') => return true,
            Some(_) => *escape = Escape::Backslash,
            None => return false,
        }
    }
}

/// Where the first quote or backslash is, or the length.
#[inline]
pub(super) fn string_end(bytes: &[u8]) -> usize {
    let marks = |word: u64| marks(word, b'"') | marks(word, b'\\');
    find(bytes, 0, |byte| (byte == b'"') | (byte == b'\\'), marks).unwrap_or(bytes.len())
}

/// Where from `at` on the first quote, brace or bracket is.
#[inline]
pub(super) fn structural(bytes: &[u8], at: usize) -> Option<usize> {
    // Braces and brackets differ in one bit.
    const CASE: u64 = ONES.wrapping_mul(0x20);
    let is = |byte: u8| (byte == b'"') | (byte | 0x20 == b'{') | (byte | 0x20 == b'}');
    find(bytes, at, is, |word| marks(word, b'"') | marks(word | CASE, b'{') | marks(word | CASE, b'}'))
}

/// Where the first line end is, or the length.
#[inline]
pub(in crate::payload) fn line_end(bytes: &[u8]) -> usize {
    let marks = |word: u64| marks(word, b'\n') | marks(word, b'\r');
    find(bytes, 0, |byte| (byte == b'\n') | (byte == b'\r'), marks).unwrap_or(bytes.len())
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of bytes of a word that are `byte`. The lowest is right; a borrow may mark some above it.
#[inline(always)]
const fn marks(word: u64, byte: u8) -> u64 {
    let differs = word ^ ONES.wrapping_mul(byte as u64);
    differs.wrapping_sub(ONES) & !differs & HIGH
}

/// Where the first byte of a kind is, from `at` on; `marks` marks such bytes of a word as [`marks`] does.
#[inline(always)]
fn find(bytes: &[u8], at: usize, is: impl Fn(u8) -> bool, marks: impl Fn(u64) -> u64) -> Option<usize> {
    let place = |word: &[u8; 8]| match marks(u64::from_le_bytes(*word)) {
        0 => None,
        found => Some((found.trailing_zeros() >> 3) as usize),
    };
    // Most are near.
    let mut at = at;
    for _ in 0..2 {
        let Some(word) = bytes.get(at..)?.first_chunk() else {
            return find_in_tail(bytes, at, is);
        };
        if let Some(within) = place(word) {
            return Some(at.wrapping_add(within));
        }
        at = at.wrapping_add(size_of::<u64>());
    }
    let (blocks, _) = bytes.get(at..)?.as_chunks::<BLOCK>();
    for block in blocks {
        // No early end: this is what makes it a comparison of vectors.
        if block.iter().fold(false, |found, &byte| found | is(byte)) {
            let (words, _) = block.as_chunks();
            let mut before = at;
            for word in words {
                if let Some(within) = place(word) {
                    return Some(before.wrapping_add(within));
                }
                before = before.wrapping_add(size_of::<u64>());
            }
        }
        at = at.wrapping_add(BLOCK);
    }
    find_in_tail(bytes, at, is)
}

#[inline]
fn find_in_tail(bytes: &[u8], at: usize, is: impl Fn(u8) -> bool) -> Option<usize> {
    bytes.get(at..)?.iter().position(|&byte| is(byte)).map(|within| at.wrapping_add(within))
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
