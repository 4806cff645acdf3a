//! Buckets as a page has them: each with all that is in those before it.

use crate::model::{ExponentialPoint, HistogramPoint};

/// An upper bound, and how many values are not above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) bound: f64,
    pub(super) count: u64,
}

/// The bounds of exponential histograms on a page: all powers of 2^(2^-scale) from one exponent to another. They are the same for
/// all series of a family, whatever their values are: else a sum over series by `le` would fall where one of them ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// There is a bound 0 before them.
    zero: bool,
    scale: u32,
    first: i32,
    last: i32,
}

impl Range {
    /// Those for values of a unit. Durations by √2 from 61 µs to 64 s, sizes by 2 from 64 B to 1 GiB, what is counted by 2 from 1 to
    /// 64 Mi; all else by 2 from a thousandth to 1 Gi.
    pub(super) fn of(unit: &str) -> Self {
        let (zero, scale, first, last) = match unit {
            "s" => (false, 1, -28, 12),
            "ms" => (false, 1, -8, 32),
            "By" => (true, 0, 6, 30),
            counted if counted.starts_with('{') => (true, 0, 0, 26),
            _ => (true, 0, -10, 30),
        };
        Self { zero, scale, first, last }
    }

    /// The bound with an exponent.
    fn bound(self, exponent: i32) -> f64 {
        2_f64.powf(f64::from(exponent) / f64::from(1_u32 << self.scale))
    }

    /// Whether all that is in a bucket of the data, given by the exponent of its upper bound at its own scale, is not above a bound.
    fn holds(self, exponent: i32, upper: i64, scale: i32) -> bool {
        let change = i64::from(scale) - i64::from(self.scale);
        let bound = i64::from(exponent);
        // A larger change makes no difference to exponents of 32 bits.
        if change >= 0 { upper <= bound << change.min(40) } else { upper << (-change).min(30) <= bound }
    }
}

/// The buckets of a histogram with explicit bounds; only that of all if it has no counts.
pub(super) fn explicit(point: &HistogramPoint) -> Vec<Bucket> {
    let (mut sum, mut buckets) = (0_u64, Vec::<Bucket>::new());
    for (bound, count) in point.explicit_bounds.iter().zip(&point.bucket_counts) {
        sum = sum.saturating_add(*count);
        // What others send may have bounds in no order.
        if bound.is_finite() && buckets.last().is_none_or(|last| last.bound < *bound) {
            buckets.push(Bucket { bound: *bound, count: sum.min(point.count) });
        }
    }
    buckets.push(Bucket { bound: f64::INFINITY, count: point.count });
    buckets
}

/// Those of an exponential one, with the bounds of a range. Where the data's own buckets are as fine as these or finer, the counts
/// are exact; else a value is told at the first bound that is not below its bucket.
pub(super) fn exponential(point: &ExponentialPoint, range: Range) -> Vec<Bucket> {
    let negative = point.negative.counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let until = |sum: u64, bound: f64| {
        let zeros = if point.zero_threshold <= bound { point.zero_count } else { 0 };
        sum.saturating_add(zeros).min(point.count)
    };
    let (mut sum, mut buckets) = (negative, Vec::new());
    if range.zero {
        buckets.push(Bucket { bound: 0.0, count: until(sum, 0.0) });
    }
    let mut data = (i64::from(point.positive.offset) + 1..).zip(&point.positive.counts).peekable();
    for exponent in range.first..=range.last {
        while let Some((_, count)) = data.next_if(|(upper, _)| range.holds(exponent, *upper, point.scale)) {
            sum = sum.saturating_add(*count);
        }
        let bound = range.bound(exponent);
        buckets.push(Bucket { bound, count: until(sum, bound) });
    }
    buckets.push(Bucket { bound: f64::INFINITY, count: point.count });
    buckets
}

/// Two distributions as one, with the bounds that both have.
#[expect(clippy::float_cmp, reason = "bounds are the same or they are not")]
pub(super) fn joined(one: &[Bucket], other: &[Bucket]) -> Vec<Bucket> {
    let mut others = other.iter().peekable();
    let both = one.iter().filter_map(|bucket| {
        while others.next_if(|other| other.bound < bucket.bound).is_some() {}
        let other = others.next_if(|other| other.bound == bucket.bound)?;
        Some(Bucket { bound: bucket.bound, count: bucket.count.saturating_add(other.count) })
    });
    both.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Buckets;

    const RANGES: [&str; 5] = ["s", "ms", "By", "{token}", ""];

    fn point(scale: i32, offset: i32, counts: Vec<u64>) -> ExponentialPoint {
        let count = counts.iter().fold(2_u64, |sum, count| sum.saturating_add(*count));
        ExponentialPoint {
            scale,
            count,
            zero_count: 2,
            positive: Buckets { offset, counts },
            ..ExponentialPoint::default()
        }
    }

    #[test]
    fn exponential_buckets_keep_their_counts_at_every_scale() {
        for scale in [1, 3, 5, 20] {
            for unit in RANGES {
                // One value in each of 64 buckets, the last of which ends at 2^(64/2^scale).
                let buckets = exponential(&point(scale, 0, vec![1; 64]), Range::of(unit));
                assert_eq!(buckets.last().map(|last| (last.bound, last.count)), Some((f64::INFINITY, 66)));
                for bucket in &buckets[..buckets.len() - 1] {
                    let below = (bucket.bound.log2() * 2_f64.powi(scale)).clamp(0.0, 64.0).round();
                    assert_eq!(bucket.count, 2 + below as u64, "{scale} {unit} {bucket:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_coarser_than_the_bounds_is_never_told_too_early() {
        // One value in (4^-9, 4^-8] and in each of those behind it, up to (4^8, 4^9].
        let buckets = exponential(&point(-1, -9, vec![1; 18]), Range::of("s"));
        for bucket in &buckets[..buckets.len() - 1] {
            let below = (bucket.bound.log2() / 2.0).floor() + 9.0;
            assert_eq!(bucket.count, 2 + below as u64, "{bucket:?}");
        }
    }

    #[test]
    fn bounds_are_the_same_whatever_the_values_are() {
        for unit in RANGES {
            let bounds = |point: &ExponentialPoint| {
                exponential(point, Range::of(unit)).iter().map(|bucket| bucket.bound).collect::<Vec<_>>()
            };
            let expected = bounds(&ExponentialPoint::default());
            assert!(expected.windows(2).all(|pair| pair[0] < pair[1]) && expected.len() < 45, "{expected:?}");
            for (scale, offset) in [(20, -7 << 20), (3, -100), (0, 900), (-4, -60)] {
                assert_eq!(bounds(&point(scale, offset, vec![1; 5])), expected);
            }
        }
    }

    #[test]
    fn what_both_have_is_joined() {
        let of =
            |bounds: &[f64]| bounds.iter().zip(1..).map(|(bound, count)| Bucket { bound: *bound, count }).collect();
        let (one, other): (Vec<_>, Vec<_>) = (of(&[1.0, 2.0, 3.0, f64::INFINITY]), of(&[0.5, 2.0, 4.0, f64::INFINITY]));
        let both = [Bucket { bound: 2.0, count: 4 }, Bucket { bound: f64::INFINITY, count: 8 }];
        assert_eq!(joined(&one, &other), both);
    }

    #[test]
    fn no_data_makes_it_panic() {
        for scale in [i32::MIN, -11, 0, 21, i32::MAX] {
            for offset in [i32::MIN, 0, i32::MAX] {
                for unit in RANGES {
                    let positive = Buckets { offset, counts: vec![u64::MAX; 3] };
                    let point =
                        ExponentialPoint { scale, positive, zero_count: u64::MAX, ..ExponentialPoint::default() };
                    let buckets = exponential(&point, Range::of(unit));
                    assert_eq!(buckets.last().map(|last| last.bound), Some(f64::INFINITY));
                }
            }
        }
    }
}
