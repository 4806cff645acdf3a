//! Metrics.

use std::sync::Arc;

use super::{Attribute, Resource, Scope, Text};

/// A metric with its data points, after OTLP's
/// [`Metric`](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/metrics/v1/metrics.proto).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: Text,
    /// What it means; may be empty.
    pub description: Text,
    /// The unit of its values, by [UCUM](https://ucum.org/ucum); may be empty.
    pub unit: Text,
    /// Its data points.
    pub data: MetricData,
    /// What it is about; shared by all of the same service instance.
    pub resource: Arc<Resource>,
    /// What made it.
    pub scope: Arc<Scope>,
}

impl Metric {
    /// A metric without a description.
    #[must_use]
    pub fn new(
        name: impl Into<Text>,
        unit: impl Into<Text>,
        data: MetricData,
        resource: Arc<Resource>,
        scope: Arc<Scope>,
    ) -> Self {
        Self { name: name.into(), description: Text::default(), unit: unit.into(), data, resource, scope }
    }
}

/// The data points of a metric, by its kind.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum MetricData {
    /// Nothing was said: a metric without data.
    #[default]
    None,
    /// Values as they were last.
    Gauge(Vec<NumberPoint>),
    /// Sums.
    Sum {
        /// One for each set of attributes and time.
        points: Vec<NumberPoint>,
        /// Since when they count.
        temporality: Temporality,
        /// They never fall but when counting starts again.
        monotonic: bool,
    },
    /// Distributions over buckets with explicit bounds.
    Histogram {
        /// One for each set of attributes and time.
        points: Vec<HistogramPoint>,
        /// Since when they count.
        temporality: Temporality,
    },
    /// Distributions over buckets whose bounds are powers of a base.
    ExponentialHistogram {
        /// One for each set of attributes and time.
        points: Vec<ExponentialPoint>,
        /// Since when they count.
        temporality: Temporality,
    },
    /// Quantiles that the source computed.
    Summary(Vec<SummaryPoint>),
}

impl MetricData {
    /// How many data points there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Gauge(points) | Self::Sum { points, .. } => points.len(),
            Self::Histogram { points, .. } => points.len(),
            Self::ExponentialHistogram { points, .. } => points.len(),
            Self::Summary(points) => points.len(),
        }
    }

    /// Whether there is no data point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Since when a sum or a distribution counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Temporality {
    /// Not said.
    #[default]
    Unspecified,
    /// Since the last time it was told.
    Delta,
    /// Since a fixed start.
    Cumulative,
}

/// A number as OTLP has it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Number {
    /// A 64-bit integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
}

/// A value at a time.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct NumberPoint {
    /// What tells it from the other points of the metric.
    pub attributes: Vec<Attribute>,
    /// Nanoseconds since the Unix epoch; 0 if that is not known.
    pub start_time_unix_nano: u64,
    /// Nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// `None`: there is none (any more).
    pub value: Option<Number>,
}

/// A distribution over buckets with explicit bounds.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HistogramPoint {
    /// What tells it from the other points of the metric.
    pub attributes: Vec<Attribute>,
    /// Nanoseconds since the Unix epoch; 0 if that is not known.
    pub start_time_unix_nano: u64,
    /// Nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// How many values there were.
    pub count: u64,
    /// Their sum; of values that may be negative there is none.
    pub sum: Option<f64>,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// How many values each bucket holds: one more than there are bounds, or none at all.
    pub bucket_counts: Vec<u64>,
    /// The inclusive upper bounds of all buckets but the last.
    pub explicit_bounds: Vec<f64>,
}

/// A distribution over buckets whose bounds are powers of 2^(2^-scale).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ExponentialPoint {
    /// What tells it from the other points of the metric.
    pub attributes: Vec<Attribute>,
    /// Nanoseconds since the Unix epoch; 0 if that is not known.
    pub start_time_unix_nano: u64,
    /// Nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// How many values there were.
    pub count: u64,
    /// Their sum; of values that may be negative there is none.
    pub sum: Option<f64>,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The resolution.
    pub scale: i32,
    /// How many values were within the zero threshold.
    pub zero_count: u64,
    /// What is not farther from zero than this counts as zero.
    pub zero_threshold: f64,
    /// Buckets of the positive values.
    pub positive: Buckets,
    /// Buckets of the negative values.
    pub negative: Buckets,
}

/// Consecutive buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buckets {
    /// The index of the first one.
    pub offset: i32,
    /// How many values each holds.
    pub counts: Vec<u64>,
}

/// Quantiles that the source computed.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SummaryPoint {
    /// What tells it from the other points of the metric.
    pub attributes: Vec<Attribute>,
    /// Nanoseconds since the Unix epoch; 0 if that is not known.
    pub start_time_unix_nano: u64,
    /// Nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The quantiles.
    pub quantiles: Vec<Quantile>,
}

/// A value that a share of all values does not exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Quantile {
    /// The share, 0 to 1.
    pub quantile: f64,
    /// The value.
    pub value: f64,
}
