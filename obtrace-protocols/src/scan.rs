//! Searches for one byte, sixteen bytes at a time and without unsafe code: whether a block holds the byte is a loop that
//! compilers make one vector comparison of, where it is comes out of the block as a number.

/// Bytes that are looked at together.
pub(crate) const BLOCK: usize = 16;

/// Every byte of a block the same.
const fn all(byte: u8) -> u128 {
    u128::from_ne_bytes([byte; BLOCK])
}

/// The high bit of each byte of the block that is `byte`, the block's first byte lowest. Exact: no carry leaves a byte.
#[inline]
pub(crate) const fn matches(block: [u8; BLOCK], byte: u8) -> u128 {
    const LOW: u128 = all(0x7f);
    let differs = u128::from_le_bytes(block) ^ all(byte);
    !((differs & LOW).wrapping_add(LOW) | differs | LOW)
}

/// The place in its block of the lowest byte that a mask of [`matches`] names.
#[inline]
pub(crate) const fn lowest(mask: u128) -> usize {
    (mask.trailing_zeros() >> 3) as usize
}

#[inline]
pub(crate) fn holds(block: &[u8; BLOCK], byte: u8) -> bool {
    // No early end: this is what makes it a comparison of vectors.
    block.iter().fold(false, |found, &one| found | (one == byte))
}

/// Where the first zero byte is. Made for short texts one after the other, where each has to be found before the next:
/// most end in their first eight bytes.
#[inline(always)]
pub(crate) fn find_zero(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < size_of::<u64>() {
        return bytes.iter().position(|&byte| byte == 0);
    }
    near_zero(bytes).or_else(|| find_long(bytes))
}

/// The same, if it is among the first eight bytes and all of them are there.
#[inline(always)]
pub(crate) fn near_zero(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let front = u64::from_le_bytes(*bytes.first_chunk()?);
    match front.wrapping_sub(ONES) & !front & HIGH {
        0 => None,
        // A borrow may mark bytes behind the first that fits, never one before it.
        zeros => Some((zeros.trailing_zeros() >> 3) as usize),
    }
}

fn find_long(bytes: &[u8]) -> Option<usize> {
    find_from(bytes, size_of::<u64>(), 0)
}

/// Where `byte` is first, from `at` on.
// Part of its callers' loops: a call costs as much as the search of a line or a name.
#[inline(always)]
pub(crate) fn find_from(bytes: &[u8], mut at: usize, byte: u8) -> Option<usize> {
    let (blocks, tail) = bytes.get(at..)?.as_chunks::<BLOCK>();
    for block in blocks {
        #[cfg(test)]
        looked::add(BLOCK);
        if holds(block, byte) {
            return Some(at.wrapping_add(first(u128::from_le_bytes(*block), byte)));
        }
        at = at.wrapping_add(BLOCK);
    }
    #[cfg(test)]
    looked::add(tail.len());
    find_in_tail(bytes, at, tail, byte)
}

/// Where `byte` is first in what is shorter than a block, the end of `bytes` from `at` on.
fn find_in_tail(bytes: &[u8], at: usize, tail: &[u8], byte: u8) -> Option<usize> {
    let block = match bytes.last_chunk::<BLOCK>() {
        // The block that ends where the bytes do, without those that were looked at before.
        Some(block) => {
            let seen = BLOCK.wrapping_sub(tail.len()) as u32;
            u128::from_le_bytes(*block).unbounded_shr(seen.wrapping_mul(8))
        }
        None => short(tail),
    };
    let within = first(block, byte);
    // Behind the tail there are zeros.
    (within < tail.len()).then(|| at.wrapping_add(within))
}

/// Less than a block as a number, the first byte lowest.
#[inline]
fn short(bytes: &[u8]) -> u128 {
    // Two words that overlap hold all; where they do, they agree.
    if let (Some(front), Some(back)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let shift = (bytes.len() as u32).wrapping_mul(8).wrapping_sub(u64::BITS);
        return u128::from(u64::from_le_bytes(*front)) | u128::from(u64::from_le_bytes(*back)).unbounded_shl(shift);
    }
    if let (Some(front), Some(back)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let shift = (bytes.len() as u32).wrapping_mul(8).wrapping_sub(u32::BITS);
        let front = u64::from(u32::from_le_bytes(*front));
        return u128::from(front | u64::from(u32::from_le_bytes(*back)).unbounded_shl(shift));
    }
    u128::from(bytes.iter().rev().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)))
}

/// The place of the first `byte` in a block, [`BLOCK`] if there is none.
#[inline]
const fn first(block: u128, byte: u8) -> usize {
    let differs = block ^ all(byte);
    // A borrow may mark bytes behind the first that fits, never one before it.
    lowest(differs.wrapping_sub(all(1)) & !differs & all(0x80))
}

/// Counts the bytes that searches of this thread looked at.
#[cfg(test)]
pub(crate) mod looked {
    use std::cell::Cell;

    std::thread_local! {
        static BYTES: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn add(bytes: usize) {
        BYTES.with(|sum| sum.set(sum.get().saturating_add(bytes)));
    }

    /// How many since the last time.
    pub(crate) fn take() -> usize {
        BYTES.with(|sum| sum.replace(0))
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a test stops at what it did not expect")]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            bytes in prop::collection::vec(prop_oneof![Just(0), Just(0x80), Just(1), Just(0xff), any::<u8>()], 0..100),
            byte in prop_oneof![Just(0), Just(0x80), Just(1), any::<u8>()],
        ) {
            prop_assert_eq!(find_zero(&bytes), bytes.iter().position(|&one| one == 0));
            for from in 0..=bytes.len() {
                let expected = bytes[from..].iter().position(|&one| one == byte).map(|at| from + at);
                prop_assert_eq!(find_from(&bytes, from, byte), expected);
            }
            for block in bytes.as_chunks::<BLOCK>().0 {
                let mut mask = matches(*block, byte);
                prop_assert_eq!(holds(block, byte), mask != 0);
                let mut found = Vec::new();
                while mask != 0 {
                    found.push(lowest(mask));
                    mask &= mask - 1;
                }
                let expected: Vec<usize> = (0..BLOCK).filter(|&at| block[at] == byte).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
