//! Walks over strings that nobody asked for: only their end is looked for, whatever escapes they have.

use super::scan::{HIGH, ONES, string_mark};

/// Where in an escape a string is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Escape {
    #[default]
    None,
    Backslash,
    /// So many digits are left.
    Unicode(u8, u16),
}

/// Bytes that are looked at together where strings are long.
const CALM: usize = 32;
/// Words that are looked at one by one: most strings end in their first ones; behind that, as many as [`CALM`] has.
const NEAR: usize = 2;
const FAR: usize = CALM / size_of::<u64>();

/// Walks over a string up to behind its end. Whether the end was there.
#[inline]
pub(super) fn walk_string(escape: &mut Escape, input: &mut &[u8]) -> bool {
    let bytes = *input;
    let mut words = Words { at: 0, escaped: 0, is_settled: true };
    // Digits of an escape are as good as any character.
    if core::mem::take(escape) != Escape::None {
        words.escaped = FIRST;
    }
    let end = words.find_end(bytes, NEAR).or_else(|| words.find_far_end(bytes));
    if let Some(end) = end {
        *input = bytes.get(end.wrapping_add(1)..).unwrap_or_default();
        return true;
    }
    let mut rest = bytes.get(words.at..).unwrap_or_default();
    if words.escaped != 0 {
        *escape = Escape::Backslash;
    }
    let over = walk_on(escape, &mut rest);
    *input = rest;
    over
}

/// How far a string was walked over, a word at a time.
struct Words {
    at: usize,
    /// The high bit of the next byte, if that is the second one of an escape.
    escaped: u64,
    /// The byte before, if it is a backslash, begins an escape.
    is_settled: bool,
}

impl Words {
    /// Where the string ends, if it does so in the next words, at most so many.
    #[inline(always)]
    fn find_end(&mut self, bytes: &[u8], most: usize) -> Option<usize> {
        for _ in 0..most {
            let word = u64::from_le_bytes(*bytes.get(self.at..)?.first_chunk()?);
            let slashes = marks(word, b'\\');
            let behind = slashes << 8 | self.escaped;
            let begun = if slashes & behind == 0 { slashes } else { begun(slashes & !self.escaped) };
            let ends = marks(word, b'"') & !(begun << 8 | self.escaped);
            if ends != 0 {
                return Some(self.at.wrapping_add((ends.trailing_zeros() >> 3) as usize));
            }
            self.escaped = begun >> 56;
            self.is_settled = (slashes ^ begun) & LAST == 0;
            self.at = self.at.wrapping_add(size_of::<u64>());
        }
        None
    }

    /// The same, in all the words that are there.
    #[inline(never)]
    fn find_far_end(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.at.wrapping_add(size_of::<u64>()) <= bytes.len() {
            if self.is_settled {
                self.pass_calm(bytes);
            }
            if let Some(end) = self.find_end(bytes, FAR) {
                return Some(end);
            }
        }
        None
    }

    /// Passes over blocks in which no string ends and no backslash follows another one: the byte before tells then
    /// whether one is escaped.
    #[inline(always)]
    fn pass_calm(&mut self, bytes: &[u8]) {
        let befores = bytes.get(self.at.wrapping_sub(1)..).unwrap_or_default().as_chunks::<CALM>().0;
        let blocks = bytes.get(self.at..).unwrap_or_default().as_chunks::<CALM>().0;
        let calm = blocks.iter().zip(befores).take_while(|(block, before)| is_calm(block, before)).count();
        if calm > 0 {
            self.at = self.at.wrapping_add(calm.wrapping_mul(CALM));
            let last = bytes.get(self.at.wrapping_sub(1));
            self.escaped = if last == Some(&b'\\') { FIRST } else { 0 };
        }
    }
}

/// Whether no byte is a quote that is not escaped, or a backslash that is: `before` is the block one byte before.
#[inline(always)]
fn is_calm(block: &[u8; CALM], before: &[u8; CALM]) -> bool {
    const OTHER: u8 = b'"' ^ b'\\';
    let disturbs = |byte: u8, before: u8| byte ^ b'"' == if before == b'\\' { OTHER } else { 0 };
    // No early end: this is what makes it a comparison of vectors.
    !block.iter().zip(before).fold(false, |found, (&byte, &before)| found | disturbs(byte, before))
}

/// Of backslashes in a word those that begin an escape, where some stand in a row.
#[inline]
fn begun(mut slashes: u64) -> u64 {
    let mut begun = 0;
    while slashes != 0 {
        let first = slashes & slashes.wrapping_neg();
        begun |= first;
        slashes &= !(first | first << 8);
    }
    begun
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

/// The high bit of the first byte of a word, and of its last one.
const FIRST: u64 = 0x80;
const LAST: u64 = FIRST << 56;

/// The high bit of the bytes of a word that are `byte`.
#[inline(always)]
const fn marks(word: u64, byte: u8) -> u64 {
    let differs = word ^ ONES.wrapping_mul(byte as u64);
    !((differs & !HIGH).wrapping_add(!HIGH) | differs | !HIGH)
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_end_where_a_plain_walk_ends_them(bytes in prop::collection::vec(
            prop_oneof![3 => Just(b'\\'), 1 => Just(b'"'), 8 => Just(b'a'), 2 => Just(b'#'), 2 => Just(0xdc)], 0..120,
        ), at in 0_usize..120) {
            ends_as_in_a_plain_walk(&bytes, at)?;
        }

        /// Long enough for blocks, with few escapes or with one behind the other.
        #[test]
        fn long_strings_do_so_too(parts in prop::collection::vec(prop_oneof![
            6 => "[a-z]{1,40}", 3 => Just(String::from("\\n")), 3 => Just("\\\"".into()), 1 => Just("\\\\".into()),
            1 => Just("\\u00e9".into()), 1 => Just("\"".into())
        ], 0..30), at in 0_usize..400) {
            ends_as_in_a_plain_walk(parts.concat().as_bytes(), at)?;
        }
    }

    /// Walks over a string that comes in two pieces.
    fn ends_as_in_a_plain_walk(bytes: &[u8], at: usize) -> Result<(), TestCaseError> {
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
        Ok(())
    }
}
