//! Which traces are kept.

use obtrace_export::model::TraceId;

/// What of a trace's id decides: its last 56 bits, which are random in every trace of
/// [Trace Context level 2](https://www.w3.org/TR/trace-context-2/#random-trace-id-flag).
const BITS: u32 = 56;

/// Decides of a trace that begins here whether it is kept, by its id alone: whoever else decides by the same rule and ratio decides the
/// same, as the loaders do (`obtrace-loaders/CONTRACT.md`, section 5).
///
/// ```
/// use obtrace_agent::traces::Sampler;
/// use obtrace_export::model::TraceId;
///
/// let half = Sampler::parse("0.5").unwrap();
/// assert!(half.keeps(TraceId::from_bytes([0x7f; 16])));
/// assert!(!half.keeps(TraceId::from_bytes([0x80; 16])));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Kept are those below.
    bound: u64,
}

impl Sampler {
    /// Keeps all of them.
    pub const ALL: Self = Self { bound: 1 << BITS };

    /// Keeps that part of them; beyond 0 to 1 the nearer end counts, and what is no number is 1.
    #[must_use]
    pub fn new(ratio: f64) -> Self {
        if ratio.is_nan() {
            return Self::ALL;
        }
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let bound = (ratio.clamp(0.0, 1.0) * Self::ALL.bound as f64).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and between 0 and 2^56")]
        Self { bound: bound as u64 }
    }

    /// The part that a text says, `0.25`; `None` if it says none.
    #[must_use]
    pub fn parse(ratio: &str) -> Option<Self> {
        ratio.trim().parse().ok().filter(|ratio: &f64| !ratio.is_nan()).map(Self::new)
    }

    /// Whether a trace with this id is kept.
    #[must_use]
    pub fn keeps(self, id: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g] = id.to_bytes();
        u64::from_be_bytes([0, a, b, c, d, e, f, g]) < self.bound
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_decisions_are_those_of_the_loaders() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../obtrace-loaders/testdata/sampling.json");
        let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert!(cases.len() >= 19);
        for case in cases {
            let id = u128::from_str_radix(case["trace_id"].as_str().unwrap(), 16).unwrap();
            let sampler = Sampler::parse(case["ratio"].as_str().unwrap()).unwrap_or_default();
            assert_eq!(sampler.keeps(TraceId::from_bytes(id.to_be_bytes())), case["sampled"], "{case}");
        }
    }
}
