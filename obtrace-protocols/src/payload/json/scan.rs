//! Finds the ends of strings and what is around them.

use crate::scan::{BLOCK, holds};

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
    let bytes = *input;
    // The high bit of the first byte, if that is the second one of an escape. Its digits are as good as any character.
    let mut escaped = if core::mem::take(escape) == Escape::None { 0 } else { FIRST };
    let mut at = 0_usize;
    let mut plain = false;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*word);
        let (quotes, slashes) = (exact_marks(word, b'"'), exact_marks(word, b'\\'));
        let behind = slashes << 8 | escaped;
        let ends = quotes & !behind;
        if ends != 0 && (slashes & behind == 0 || ends.trailing_zeros() < (slashes & behind).trailing_zeros()) {
            let end = at.wrapping_add((ends.trailing_zeros() >> 3) as usize);
            *input = bytes.get(end.wrapping_add(1)..).unwrap_or_default();
            return true;
        }
        if slashes & behind != 0 {
            // Backslashes in a row.
            break;
        }
        escaped = slashes >> 56;
        at = at.wrapping_add(size_of::<u64>());
        if slashes | quotes | escaped == 0 {
            if core::mem::replace(&mut plain, true) {
                at = at.wrapping_add(plain_blocks(bytes.get(at..).unwrap_or_default()));
            }
        } else {
            plain = false;
        }
    }
    let mut rest = bytes.get(at..).unwrap_or_default();
    if escaped != 0 {
        *escape = Escape::Backslash;
    }
    let over = walk_on(escape, &mut rest);
    *input = rest;
    over
}

/// Bytes of the blocks in front that hold no quote and no backslash.
fn plain_blocks(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let is_plain = |block: &&[u8; BLOCK]| !(holds(block, b'"') | holds(block, b'\\'));
    blocks.iter().take_while(is_plain).count().wrapping_mul(BLOCK)
}

/// As [`walk_string`], from one quote or backslash to the next.
fn walk_on(escape: &mut Escape, input: &mut &[u8]) -> bool {
    let bytes = *input;
    let mut at = usize::from(*escape != Escape::None);
    while let Some(found) = string_mark(bytes, at) {
        *escape = Escape::None;
        if bytes.get(found) == Some(&b'"') {
            *input = bytes.get(found.wrapping_add(1)..).unwrap_or_default();
            return true;
        }
        at = found.wrapping_add(2);
    }
    if at <= bytes.len() {
        *escape = Escape::None;
    } else if !bytes.is_empty() {
        *escape = Escape::Backslash;
    }
    *input = &[];
    false
}

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
fn string_mark(bytes: &[u8], at: usize) -> Option<usize> {
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

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of the first byte of a word.
const FIRST: u64 = 0x80;

/// The high bit of the bytes of a word that are `byte`.
#[inline(always)]
const fn exact_marks(word: u64, byte: u8) -> u64 {
    let differs = word ^ ONES.wrapping_mul(byte as u64);
    !((differs & !HIGH).wrapping_add(!HIGH) | differs | !HIGH)
}

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
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_end_where_a_plain_walk_ends_them(bytes in prop::collection::vec(
            prop_oneof![3 => Just(b'\\'), 1 => Just(b'"'), 8 => Just(b'a'), 2 => Just(b'#'), 2 => Just(0xdc)], 0..120,
        ), at in 0_usize..120) {
            let mut escaped = false;
            let end = bytes.iter().position(|&byte| {
                let is_end = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                is_end
            });
            let (front, back) = bytes.split_at(at.min(bytes.len()));
            let (mut escape, mut left) = (Escape::None, Vec::new());
            let mut over = false;
            for mut piece in [front, back] {
                if !over {
                    over = walk_string(&mut escape, &mut piece);
                }
                left.extend_from_slice(piece);
            }
            prop_assert_eq!(over, end.is_some());
            prop_assert_eq!(left.len(), end.map_or(0, |end| bytes.len().wrapping_sub(end).wrapping_sub(1)));
            prop_assert!(over || (escape == Escape::Backslash) == escaped);
        }
    }

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
