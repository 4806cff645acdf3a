//! Hashing of what outsiders choose: trace ids, paths.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

/// Makes hashers that mix with two random words. Nobody who does not know them and sees no hash can choose what collides;
/// it costs a multiplication for every eight bytes, a small part of what SipHash does.
#[derive(Clone, Debug)]
pub(super) struct KeyedState {
    start: u64,
    factor: u64,
}

impl Default for KeyedState {
    fn default() -> Self {
        // Keyed by the operating system's random numbers.
        let seed = RandomState::new();
        Self { start: seed.hash_one(0_u64), factor: seed.hash_one(1_u64) | 1 }
    }
}

impl BuildHasher for KeyedState {
    type Hasher = Keyed;

    fn build_hasher(&self) -> Keyed {
        Keyed { state: self.start, factor: self.factor }
    }
}

/// A hasher of a [`KeyedState`].
#[derive(Debug)]
pub(super) struct Keyed {
    state: u64,
    factor: u64,
}

impl Keyed {
    /// Both halves of the product: each bit of the result depends on every bit of the word.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product")]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        self.state = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for Keyed {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.mix(u64::from_le_bytes(last));
        }
        // What is shorter and ends in zeros is not the same.
        self.mix(bytes.len() as u64);
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_differs_a_little_has_hashes_that_differ_much() {
        let state = KeyedState::default();
        let ids: Vec<u128> = (0..128).map(|bit| 1 << bit).chain(0..1_000).collect();
        let hashes: Vec<u64> = ids.iter().map(|id| state.hash_one(id.to_be_bytes())).collect();
        for half in [0, 32] {
            let short: HashSet<u32> = hashes.iter().map(|hash| (hash >> half) as u32).collect();
            // Two ids are given twice.
            assert!(short.len() >= ids.len() - 16, "{} of {}", short.len(), ids.len());
        }
        let texts = ["", "\0", "\0\0", "a", "a\0", "aaaaaaaa", "aaaaaaaa\0", "aaaaaaaaa"];
        assert_eq!(texts.iter().map(|text| state.hash_one(text)).collect::<HashSet<_>>().len(), texts.len());
    }

    #[test]
    fn each_has_a_key_of_its_own() {
        let hashes: HashSet<u64> = (0..100).map(|_| KeyedState::default().hash_one(7_u64)).collect();
        assert_eq!(hashes.len(), 100);
    }
}
