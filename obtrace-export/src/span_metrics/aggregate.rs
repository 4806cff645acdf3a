//! What a series holds: a sum, or a distribution.

use std::sync::Arc;

use super::exponential::Exponential;
use crate::model::{SpanId, TraceId};

/// Exemplars of an exponential histogram.
const LATEST: usize = 8;

/// How values are aggregated.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Sum,
    /// With the inclusive upper bounds of all buckets but the last.
    Explicit(Arc<[f64]>),
    Exponential,
}

/// A value with the span that it is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Example {
    pub(super) value: f64,
    pub(super) time_unix_nano: u64,
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
}

/// What a series holds of one metric.
#[derive(Clone, Debug)]
pub(super) enum Aggregate {
    /// Nothing yet: the metric has not this series.
    Empty,
    Sum(u64),
    Distribution(Box<Distribution>),
}

/// Values that are not negative.
#[derive(Clone, Debug)]
pub(super) struct Distribution {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) shape: Shape,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Explicit { bounds: Arc<[f64]>, counts: Box<[u64]>, examples: Box<[Option<Example>]> },
    Exponential { zeros: u64, buckets: Exponential, examples: Vec<Example>, next: usize },
}

impl Aggregate {
    /// Adds a value that is finite and not negative, and of spans that are asked for as examples, that.
    pub(super) fn record(&mut self, kind: &Kind, value: f64, example: Option<Example>) {
        match (&mut *self, kind) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast stays within bounds")]
            (Self::Sum(sum), _) => *sum = sum.saturating_add(value as u64),
            (Self::Distribution(distribution), _) => distribution.record(value, example),
            (Self::Empty, kind) => {
                *self = match kind {
                    Kind::Sum => Self::Sum(0),
                    kind => Self::Distribution(Box::new(Distribution::new(kind))),
                };
                self.record(kind, value, example);
            }
        }
    }
}

impl Distribution {
    fn new(kind: &Kind) -> Self {
        let shape = match kind {
            Kind::Explicit(bounds) => Shape::Explicit {
                counts: vec![0; bounds.len() + 1].into(),
                bounds: Arc::clone(bounds),
                examples: Box::default(),
            },
            Kind::Exponential | Kind::Sum => {
                Shape::Exponential { zeros: 0, buckets: Exponential::default(), examples: Vec::new(), next: 0 }
            }
        };
        Self { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, shape }
    }

    fn record(&mut self, value: f64, example: Option<Example>) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        match &mut self.shape {
            Shape::Explicit { bounds, counts, examples } => {
                let bucket = bounds.partition_point(|bound| *bound < value);
                if let Some(count) = counts.get_mut(bucket) {
                    *count += 1;
                }
                if let Some(example) = example {
                    if examples.is_empty() {
                        *examples = vec![None; counts.len()].into();
                    }
                    if let Some(place) = examples.get_mut(bucket) {
                        *place = Some(example);
                    }
                }
            }
            Shape::Exponential { zeros, buckets, examples, next } => {
                if value > 0.0 {
                    buckets.record(value);
                } else {
                    *zeros += 1;
                }
                if let Some(example) = example {
                    if let Some(place) = examples.get_mut(*next) {
                        *place = example;
                    } else {
                        examples.push(example);
                    }
                    *next = (*next + 1) % LATEST;
                }
            }
        }
    }

    pub(super) fn examples(&self) -> impl Iterator<Item = &Example> {
        let (explicit, latest): (&[Option<Example>], &[Example]) = match &self.shape {
            Shape::Explicit { examples, .. } => (examples, &[]),
            Shape::Exponential { examples, .. } => (&[], examples),
        };
        explicit.iter().flatten().chain(latest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recorded(kind: &Kind, values: &[f64]) -> Distribution {
        let mut aggregate = Aggregate::Empty;
        values.iter().for_each(|value| aggregate.record(kind, *value, None));
        match aggregate {
            Aggregate::Distribution(distribution) => *distribution,
            other => panic!("{other:?}"),
        }
    }

    fn counts(distribution: &Distribution) -> Vec<u64> {
        match &distribution.shape {
            Shape::Explicit { counts, .. } => counts.to_vec(),
            Shape::Exponential { .. } => panic!("explicit"),
        }
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let kind = Kind::Explicit([0.0, 0.5, 1.0].into());
        let distribution = recorded(&kind, &[0.0, 0.5, 0.5_f64.next_up(), 1.0, 1.0_f64.next_up()]);
        assert_eq!(counts(&distribution), [1, 1, 2, 1]);
        assert_eq!((distribution.min, distribution.max), (0.0, 1.0_f64.next_up()));
    }

    #[test]
    fn zeros_of_an_exponential_histogram_have_their_own_count() {
        let distribution = recorded(&Kind::Exponential, &[0.0, 2.0, 0.0]);
        let Shape::Exponential { zeros, buckets, .. } = &distribution.shape else { panic!("exponential") };
        assert_eq!((*zeros, buckets.buckets().counts), (2, vec![1]));
        assert_eq!((distribution.count, distribution.sum, distribution.min), (3, 2.0, 0.0));
    }

    #[test]
    fn the_latest_example_of_a_bucket_is_kept() {
        let example = |value, nanos| Example {
            value,
            time_unix_nano: nanos,
            trace_id: TraceId::from_bytes([1; 16]),
            span_id: SpanId::from_bytes([2; 8]),
        };
        for (kind, expected) in [(Kind::Explicit([1.0].into()), vec![29, 28]), (Kind::Exponential, (22..30).collect())]
        {
            let mut aggregate = Aggregate::Empty;
            for nanos in 0..30 {
                let value = if nanos % 2 == 0 { 2.0 } else { 0.5 };
                aggregate.record(&kind, value, Some(example(value, nanos)));
            }
            let Aggregate::Distribution(distribution) = aggregate else { panic!("a distribution") };
            let mut times: Vec<u64> = distribution.examples().map(|example| example.time_unix_nano).collect();
            if matches!(kind, Kind::Exponential) {
                times.sort_unstable();
            }
            assert_eq!(times, expected);
        }
    }

    proptest! {
        #[test]
        fn buckets_hold_what_a_loop_counts(
            bounds in prop::collection::btree_set(0_u32..50, 0..12),
            values in prop::collection::vec(0_u32..60, 1..100),
        ) {
            let bounds: Vec<f64> = bounds.into_iter().map(|bound| f64::from(bound) / 4.0).collect();
            let values: Vec<f64> = values.into_iter().map(|value| f64::from(value) / 4.0).collect();
            let distribution = recorded(&Kind::Explicit(bounds.clone().into()), &values);
            let mut expected = vec![0; bounds.len() + 1];
            for value in &values {
                let mut bucket = 0;
                while bucket < bounds.len() && *value > bounds[bucket] {
                    bucket += 1;
                }
                expected[bucket] += 1;
            }
            prop_assert_eq!(counts(&distribution), expected);
            prop_assert_eq!(distribution.count, values.len() as u64);
        }
    }
}
