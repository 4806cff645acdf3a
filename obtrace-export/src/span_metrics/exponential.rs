//! Exponential histograms, by the
//! [data model](https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram): bucket i at scale s holds
//! what is above 2^(i/2^s) and not above 2^((i+1)/2^s).

use crate::model::Buckets;

/// The finest scale, at which every distribution begins.
const MAX_SCALE: i32 = 20;
/// Most buckets.
const MAX_BUCKETS: i64 = 160;

/// Buckets of positive values, as fine as their number allows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exponential {
    scale: i32,
    offset: i32,
    counts: Vec<u64>,
}

impl Default for Exponential {
    fn default() -> Self {
        Self { scale: MAX_SCALE, offset: 0, counts: Vec::new() }
    }
}

impl Exponential {
    pub(super) const fn scale(&self) -> i32 {
        self.scale
    }

    pub(super) fn buckets(&self) -> Buckets {
        Buckets { offset: self.offset, counts: self.counts.clone() }
    }

    /// Counts a value above zero.
    pub(super) fn record(&mut self, value: f64) {
        let index = index(value) >> (MAX_SCALE - self.scale);
        let (first, last) = self.range().unwrap_or((index, index));
        let (low, high) = (first.min(index), last.max(index));
        let mut change = 0;
        // Two scales that span all numbers there are in 160 buckets are far above the end of this.
        while i64::from(high >> change) - i64::from(low >> change) >= MAX_BUCKETS {
            change += 1;
        }
        self.coarsen(change);
        self.cover(low >> change, high >> change);
        let at = usize::try_from((index >> change) - self.offset).unwrap_or_default();
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
    }

    /// The first and the last bucket.
    fn range(&self) -> Option<(i32, i32)> {
        let count = i32::try_from(self.counts.len()).ok().filter(|count| *count > 0)?;
        Some((self.offset, self.offset + count - 1))
    }

    /// Makes 2^change buckets one.
    fn coarsen(&mut self, change: i32) {
        if change == 0 {
            return;
        }
        let offset = self.offset >> change;
        let mut merged = 0;
        for at in 0..self.counts.len() {
            let index = self.offset.saturating_add(i32::try_from(at).unwrap_or(i32::MAX));
            let to = usize::try_from((index >> change) - offset).unwrap_or_default();
            let count = self.counts.get(at).copied().unwrap_or_default();
            if to < merged {
                if let Some(sum) = self.counts.get_mut(to) {
                    *sum += count;
                }
            } else if let Some(place) = self.counts.get_mut(to) {
                *place = count;
                merged = to + 1;
            }
        }
        self.counts.truncate(merged);
        self.offset = offset;
        self.scale -= change;
    }

    /// Makes room from one bucket to another, which are not more than there may be.
    fn cover(&mut self, low: i32, high: i32) {
        let Some((first, last)) = self.range() else {
            self.offset = low;
            self.counts.push(0);
            return;
        };
        let missing = |from: i32, to: i32| usize::try_from(i64::from(to) - i64::from(from)).unwrap_or_default();
        self.counts.resize(self.counts.len() + missing(last, high), 0);
        let before = missing(low, first);
        if before > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, before));
            self.offset = low;
        }
    }
}

/// The bucket of a value above zero at the finest scale. Those of coarser ones are its leading bits.
fn index(value: f64) -> i32 {
    const FRACTION: u64 = (1 << 52) - 1;
    // What is subnormal has few bits: times a power of two, none is lost.
    let (value, moved) = if value < f64::MIN_POSITIVE { (value * (1_u64 << 54) as f64, 54) } else { (value, 0) };
    let bits = value.to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or_default() - 1023 - moved;
    let first = exponent << MAX_SCALE;
    if bits & FRACTION == 0 {
        // A power of two is the inclusive upper bound of its bucket.
        return first - 1;
    }
    let significand = f64::from_bits(bits & FRACTION | 1.0_f64.to_bits());
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and 2^20")]
    let within = (significand.log2() * f64::from(1 << MAX_SCALE)).ceil() as i32 - 1;
    first + within.clamp(0, (1 << MAX_SCALE) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bounds of a bucket, computed from its definition.
    fn bounds(index: i32, scale: i32) -> (f64, f64) {
        let bound = |index: f64| 2_f64.powf(index * 2_f64.powi(-scale));
        (bound(f64::from(index)), bound(f64::from(index) + 1.0))
    }

    fn total(exponential: &Exponential) -> u64 {
        exponential.counts.iter().sum()
    }

    #[test]
    fn powers_of_two_are_upper_bounds_at_every_scale() {
        for exponent in -1074..1024 {
            let value = 2_f64.powi(exponent / 2) * 2_f64.powi(exponent - exponent / 2);
            for scale in -10..=MAX_SCALE {
                let expected = (i64::from(exponent) * (1 << (scale + 10)) - 1) >> 10;
                // At scales below zero, the bucket that the one before the bound at scale 0 is in.
                let expected = if scale < 0 { i64::from(exponent - 1) >> -scale } else { expected };
                assert_eq!(i64::from(index(value) >> (MAX_SCALE - scale)), expected, "2^{exponent} at {scale}");
            }
        }
    }

    #[test]
    fn the_smallest_and_the_largest_number_fit() {
        let mut exponential = Exponential::default();
        for value in [5e-324, f64::MAX, 1.0, f64::MIN_POSITIVE] {
            exponential.record(value);
        }
        assert!(exponential.counts.len() <= 160);
        assert_eq!((total(&exponential), exponential.scale), (4, -4));
    }

    #[test]
    fn one_value_is_told_apart_as_finely_as_can_be() {
        let mut exponential = Exponential::default();
        (0..3).for_each(|_| exponential.record(0.1));
        assert_eq!((exponential.scale, exponential.counts.as_slice()), (20, &[3][..]));
    }

    proptest! {
        #[test]
        fn a_value_is_within_the_bounds_of_its_bucket(value in 1e-9..1e9_f64, scale in -4..=12) {
            let (low, high) = bounds(index(value) >> (MAX_SCALE - scale), scale);
            prop_assert!(low * (1.0 - 1e-12) < value && value <= high * (1.0 + 1e-12), "{low} {value} {high}");
        }

        /// As if all values had been counted at the scale at which they ended.
        #[test]
        fn coarsening_loses_nothing(values in prop::collection::vec((-60.0..60.0_f64).prop_map(f64::exp2), 1..300)) {
            let mut exponential = Exponential::default();
            let mut scale = MAX_SCALE;
            for value in &values {
                exponential.record(*value);
                prop_assert!(exponential.scale <= scale && exponential.counts.len() <= 160);
                scale = exponential.scale;
            }
            prop_assert_eq!(total(&exponential), values.len() as u64);
            let mut expected = vec![0; exponential.counts.len()];
            for value in &values {
                expected[usize::try_from((index(*value) >> (MAX_SCALE - scale)) - exponential.offset).unwrap()] += 1;
            }
            prop_assert_eq!(&exponential.counts, &expected);
            // No finer scale would have done.
            if scale < MAX_SCALE {
                let finer: Vec<i32> = values.iter().map(|value| index(*value) >> (MAX_SCALE - scale - 1)).collect();
                let spread = i64::from(*finer.iter().max().unwrap()) - i64::from(*finer.iter().min().unwrap());
                prop_assert!(spread >= MAX_BUCKETS);
            }
        }
    }
}
