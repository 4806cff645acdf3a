//! Buckets as a page has them: each with all that is in those before it.

use crate::model::{ExponentialPoint, HistogramPoint};

/// An upper bound, and how many values are not above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) bound: f64,
    pub(super) count: u64,
}

/// The finest scale of exponential buckets on a page: bounds are powers of √2. Whatever the scale of the data becomes, these
/// bounds are among its own.
const SCALE: i32 = 1;

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

/// Those of an exponential one: of zero and below, of powers of √2 (or of what the data's scale is, if that is coarser), of
/// all.
pub(super) fn exponential(point: &ExponentialPoint) -> Vec<Bucket> {
    // At scale -11, one bucket holds all numbers above 1.
    let scale = point.scale.clamp(-11, SCALE);
    // Beyond 31, all that there is of one sign is one bucket.
    let shift = point.scale.saturating_sub(scale).clamp(0, 31);
    let negative = point.negative.counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let mut sum = negative.saturating_add(point.zero_count);
    let mut buckets = Vec::new();
    if sum > 0 {
        buckets.push(Bucket { bound: point.zero_threshold.max(0.0), count: sum.min(point.count) });
    }
    let bound = |index: i64| 2_f64.powf((index + 1) as f64 * 2_f64.powi(-scale));
    for (at, count) in (i64::from(point.positive.offset)..).zip(&point.positive.counts) {
        sum = sum.saturating_add(*count);
        let bound = bound(at >> shift);
        if !bound.is_finite() {
            break;
        }
        match buckets.last_mut() {
            Some(last) if last.bound >= bound => last.count = sum.min(point.count),
            // Nothing is told before the first value.
            _ if sum == 0 => {}
            _ => buckets.push(Bucket { bound, count: sum.min(point.count) }),
        }
    }
    buckets.push(Bucket { bound: f64::INFINITY, count: point.count });
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Buckets;

    #[test]
    fn exponential_buckets_keep_their_counts_at_every_scale() {
        for scale in [0, 1, 3, 20] {
            // One value in each of 64 buckets, the last of which ends at 2^(64/2^scale).
            let point = ExponentialPoint {
                scale,
                count: 66,
                zero_count: 2,
                positive: Buckets { offset: 0, counts: vec![1; 64] },
                ..ExponentialPoint::default()
            };
            let buckets = exponential(&point);
            assert_eq!((buckets[0].bound, buckets[0].count), (0.0, 2));
            assert_eq!(buckets.last().map(|last| (last.bound, last.count)), Some((f64::INFINITY, 66)));
            for pair in buckets.windows(2) {
                assert!(pair[0].bound < pair[1].bound && pair[0].count <= pair[1].count, "{buckets:?}");
            }
            for bucket in &buckets[1..buckets.len() - 1] {
                // Bounds are those of the data: what is below is counted exactly, but in the last, which reaches beyond.
                let below = (bucket.bound.log2() * 2_f64.powi(scale)).round().min(64.0);
                assert_eq!(bucket.count, 2 + below as u64, "{scale} {bucket:?}");
            }
        }
    }

    #[test]
    fn no_data_makes_it_panic() {
        for scale in [i32::MIN, -11, 0, 21, i32::MAX] {
            for offset in [i32::MIN, 0, i32::MAX] {
                let positive = Buckets { offset, counts: vec![u64::MAX; 3] };
                let point = ExponentialPoint { scale, positive, zero_count: u64::MAX, ..ExponentialPoint::default() };
                assert_eq!(exponential(&point).last().map(|last| last.bound), Some(f64::INFINITY));
            }
        }
    }
}
