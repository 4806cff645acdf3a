//! Finds the ends of strings and what is around them.

use crate::scan::{BLOCK, lowest, matches};

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
    let marks = |block: [u8; BLOCK]| matches(block, b'"') | matches(block, b'\\');
    find(bytes, 0, |byte| (byte == b'"') | (byte == b'\\'), marks).unwrap_or(bytes.len())
}

/// Where from `at` on the first quote, brace or bracket is.
#[inline]
pub(super) fn structural(bytes: &[u8], at: usize) -> Option<usize> {
    // Braces and brackets differ in one bit.
    let is = |byte: u8| (byte == b'"') | (byte | 0x20 == b'{') | (byte | 0x20 == b'}');
    let marks = |block: [u8; BLOCK]| {
        let folded = block.map(|byte| byte | 0x20);
        matches(block, b'"') | matches(folded, b'{') | matches(folded, b'}')
    };
    find(bytes, at, is, marks)
}

/// Where the first line end is, or the length.
#[inline]
pub(in crate::payload) fn line_end(bytes: &[u8]) -> usize {
    let marks = |block: [u8; BLOCK]| matches(block, b'\n') | matches(block, b'\r');
    find(bytes, 0, |byte| (byte == b'\n') | (byte == b'\r'), marks).unwrap_or(bytes.len())
}

/// Where the first byte of a kind is, from `at` on; `marks` gives the high bit of each such byte of a block.
#[inline(always)]
fn find(bytes: &[u8], at: usize, is: impl Fn(u8) -> bool, marks: impl Fn([u8; BLOCK]) -> u128) -> Option<usize> {
    let (blocks, tail) = bytes.get(at..)?.as_chunks::<BLOCK>();
    let mut before = at;
    for block in blocks {
        // No early end: this is what makes it a comparison of vectors.
        if block.iter().fold(false, |found, &byte| found | is(byte)) {
            return Some(before.wrapping_add(lowest(marks(*block))));
        }
        before = before.wrapping_add(BLOCK);
    }
    tail.iter().position(|&byte| is(byte)).map(|within| before.wrapping_add(within))
}
