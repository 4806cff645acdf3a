//! Trace and span ids.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

use obtrace_export::model::{SpanId, TraceId};

/// Makes ids: xoshiro256++, seeded from the operating system's random numbers. Ids have to be unique, not secret
/// ([Trace Context level 1 §3.2.2.3](https://www.w3.org/TR/trace-context-1/#trace-id)).
#[derive(Clone, Debug)]
pub(crate) struct IdGenerator {
    state: [u64; 4],
}

impl IdGenerator {
    /// A generator with a seed of its own.
    pub(crate) fn from_os() -> Self {
        // Each RandomState is keyed by the operating system's randomness; hashing different numbers with it gives
        // words that cannot be told without the key.
        let seed = RandomState::new();
        Self::from_seed([0_u64, 1, 2, 3].map(|word| seed.hash_one(word)))
    }

    pub(crate) fn from_seed(seed: [u64; 4]) -> Self {
        // The generator never leaves the all-zero state.
        Self { state: if seed == [0; 4] { [1, 2, 3, 4] } else { seed } }
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// 16 bytes, never all zero.
    pub(crate) fn trace_id(&mut self) -> TraceId {
        loop {
            let number = u128::from(self.next()) << 64 | u128::from(self.next());
            if number != 0 {
                return TraceId::from_bytes(number.to_be_bytes());
            }
        }
    }

    /// 8 bytes, never all zero.
    pub(crate) fn span_id(&mut self) -> SpanId {
        loop {
            let number = self.next();
            if number != 0 {
                return SpanId::from_bytes(number.to_be_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn generators_do_not_repeat_each_other_or_themselves() {
        let mut seen = HashSet::new();
        for _ in 0..4 {
            let mut ids = IdGenerator::from_os();
            for _ in 0..1_000 {
                assert!(seen.insert(ids.trace_id().to_bytes()[..8].to_vec()));
                assert!(seen.insert(ids.span_id().to_bytes().to_vec()));
            }
        }
    }

    #[test]
    fn the_all_zero_seed_is_not_a_trap() {
        let mut ids = IdGenerator::from_seed([0; 4]);
        assert!(!ids.trace_id().is_zero());
        assert_ne!(ids.span_id(), ids.span_id());
    }
}
