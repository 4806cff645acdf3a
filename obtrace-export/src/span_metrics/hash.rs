//! Hashing of attributes' values, which outsiders choose: paths, hosts.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

use super::field::Field;

/// Mixes with two random words: nobody who does not know them can choose what collides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed {
    start: u64,
    factor: u64,
}

impl Keyed {
    pub(super) fn new() -> Self {
        // Keyed by the operating system's random numbers.
        let seed = RandomState::new();
        Self { start: seed.hash_one(0_u64), factor: seed.hash_one(1_u64) | 1 }
    }

    pub(super) fn of<'a>(self, fields: impl Iterator<Item = Field<'a>>) -> u64 {
        fields.fold(self.start, |state, field| match field {
            Field::None => self.mix(state, 1),
            Field::Str(text) => self.bytes(state, text.as_bytes()),
            Field::Int(number) => self.mix(self.mix(state, 2), number.cast_unsigned()),
            Field::Bool(truth) => self.mix(self.mix(state, 3), u64::from(truth)),
        })
    }

    fn bytes(self, state: u64, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks::<8>();
        let state = words.iter().fold(state, |state, word| self.mix(state, u64::from_le_bytes(*word)));
        let last = rest.iter().fold(0, |last, byte| last << 8 | u64::from(*byte));
        // The length, too: where one text ends and the next begins makes a difference.
        self.mix(self.mix(state, last), bytes.len() as u64)
    }

    /// Both halves of the product: each bit of the result depends on every bit of the word.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product")]
    fn mix(self, state: u64, word: u64) -> u64 {
        let product = u128::from(state ^ word) * u128::from(self.factor);
        (product as u64) ^ (product >> 64) as u64
    }
}

/// What is hashed already is not hashed again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        // Only numbers are given.
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
