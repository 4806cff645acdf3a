//! Finding where a value ends.
//!
//! Long values are looked at in blocks of 64 bytes: comparisons become masks of 64 bits, and quotes, escapes and brackets
//! are then found by arithmetic on the masks, without a branch for each byte. The way is that of simdjson (Langdale and
//! Lemire, *Parsing Gigabytes of JSON per Second*, 2019, sections 3.1.1 and 3.1.2), in plain Rust that the compiler turns
//! into vector instructions.

use crate::error::What;

/// How deep values may nest: Go's bound.
const DEPTH: u64 = 10_000;

/// The bytes of a block.
const BLOCK: usize = 64;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const EVEN: u64 = 0x5555_5555_5555_5555;

/// How many words of eight bytes of a string are looked at before it counts as long.
const SHORT: usize = 8;

/// The end of a string whose inside begins at `start` (the place of its closing quote), and whether it has escapes.
#[inline]
pub(super) fn string(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut at = start;
    for _ in 0..SHORT {
        let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) else { break };
        let word = u64::from_le_bytes(*word);
        let found = lowest(word, b'"') | lowest(word, b'\\');
        if found != 0 {
            at += (found.trailing_zeros() / 8) as usize;
            if bytes.get(at) == Some(&b'"') {
                return Some((at, false));
            }
            break;
        }
        at += 8;
    }
    long_string(bytes, at)
}

/// Marks (with its high bit) the lowest byte of `word` that is `byte`; higher marks may be false.
#[inline]
fn lowest(word: u64, byte: u8) -> u64 {
    let zeros = word ^ (ONES * u64::from(byte));
    zeros.wrapping_sub(ONES) & !zeros & HIGHS
}

/// As [`string`], from a place in it that is not escaped and has no escape before it.
#[inline(never)]
fn long_string(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut at = start;
    let mut escapes = Escapes::default();
    let mut escaped = false;
    while at < bytes.len() {
        let block = Block::new(bytes, at);
        let quotes = block.mask(|byte| byte == b'"');
        let backslashes = block.backslashes();
        let quotes = quotes & !escapes.next(backslashes);
        if quotes != 0 {
            let end = quotes.trailing_zeros();
            escaped |= backslashes & !(u64::MAX << end) != 0;
            return Some((at + end as usize, escaped));
        }
        escaped |= backslashes != 0;
        at += BLOCK;
    }
    None
}

/// The end of an object or array that begins at `start`.
#[inline(never)]
pub(super) fn nested(bytes: &[u8], start: usize) -> Result<Option<usize>, What> {
    let mut at = start;
    let mut escapes = Escapes::default();
    // All ones while a string goes on from block to block.
    let mut inside = 0;
    let mut depth = 0;
    while at < bytes.len() {
        let block = Block::new(bytes, at);
        let quotes = block.mask(|byte| byte == b'"') & !escapes.next(block.backslashes());
        let strings = parity(quotes) ^ inside;
        inside = if strings >> 63 == 1 { u64::MAX } else { 0 };
        if strings != u64::MAX {
            // Brackets differ from braces in one bit.
            let opening = block.mask(|byte| byte | 0x20 == b'{') & !strings;
            let closing = block.mask(|byte| byte | 0x20 == b'}') & !strings;
            if let Some(end) = close(opening, closing, &mut depth) {
                return Ok(Some(at + end + 1));
            }
            if depth > DEPTH {
                return Err(What::Depth);
            }
        }
        at += BLOCK;
    }
    Ok(None)
}

/// Follows the depth through a block; gives the place where it comes to nothing.
fn close(opening: u64, closing: u64, depth: &mut u64) -> Option<usize> {
    let closed = u64::from(closing.count_ones());
    if closed < *depth {
        *depth = *depth + u64::from(opening.count_ones()) - closed;
        return None;
    }
    let mut brackets = opening | closing;
    while brackets != 0 {
        let lowest = brackets & brackets.wrapping_neg();
        if opening & lowest != 0 {
            *depth += 1;
        } else {
            *depth = depth.saturating_sub(1);
            if *depth == 0 {
                return Some(lowest.trailing_zeros() as usize);
            }
        }
        brackets ^= lowest;
    }
    None
}

/// For each bit whether the number of bits up to it, itself included, is odd: what is inside of quotes.
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// Which bytes are escaped, from block to block.
#[derive(Default)]
struct Escapes {
    /// The first byte of the next block is escaped.
    carry: u64,
}

impl Escapes {
    /// The escaped bytes of a block with these backslashes: those after runs of an odd number of them.
    #[inline]
    fn next(&mut self, backslashes: u64) -> u64 {
        if backslashes == 0 {
            return std::mem::take(&mut self.carry);
        }
        let starts = backslashes & !self.carry;
        let follows = (starts << 1) | self.carry;
        let odd_starts = starts & !EVEN & !follows;
        let (sequences, carry) = odd_starts.overflowing_add(starts);
        self.carry = u64::from(carry);
        (EVEN ^ (sequences << 1)) & follows
    }
}

/// The next bytes of the input, filled up with blanks.
struct Block<'a> {
    whole: Option<&'a [u8; BLOCK]>,
    filled: [u8; BLOCK],
}

impl<'a> Block<'a> {
    #[inline]
    fn new(bytes: &'a [u8], at: usize) -> Self {
        let rest = bytes.get(at..).unwrap_or_default();
        let whole = rest.first_chunk();
        let mut filled = [b' '; BLOCK];
        if whole.is_none() {
            for (to, from) in filled.iter_mut().zip(rest) {
                *to = *from;
            }
        }
        Self { whole, filled }
    }

    #[inline]
    fn bytes(&self) -> &[u8; BLOCK] {
        self.whole.unwrap_or(&self.filled)
    }

    /// A bit for each byte, the first lowest.
    #[inline]
    fn mask(&self, is: impl Fn(u8) -> bool) -> u64 {
        // Each byte becomes the bit that it has in its word of eight; a multiplication gathers them in the highest byte.
        let bytes = self.bytes();
        let bits: [u8; BLOCK] = std::array::from_fn(|index| if is(bytes[index]) { 1 << (index % 8) } else { 0 });
        let (words, _) = bits.as_chunks::<8>();
        let gathered = words.iter().map(|word| u64::from_le_bytes(*word).wrapping_mul(ONES) >> 56);
        gathered.enumerate().fold(0, |mask, (index, byte)| mask | byte << (8 * index))
    }

    /// The backslashes: most blocks have none, which is cheaper to see.
    #[inline]
    fn backslashes(&self) -> u64 {
        let any = self.bytes().iter().fold(0, |any, byte| any | u8::from(*byte == b'\\'));
        if any == 0 { 0 } else { self.mask(|byte| byte == b'\\') }
    }
}

/// The end of a number, `true`, `false` or `null` that begins at `at`.
pub(super) fn scalar(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let length = rest.iter().position(|byte| !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'+' | b'.' | b'E'));
    match length.unwrap_or(rest.len()) {
        0 => None,
        length => Some(at + length),
    }
}
