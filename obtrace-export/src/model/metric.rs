//! Metrics.

use std::sync::Arc;

use super::{Attribute, ExponentialPoint, HistogramPoint, NumberPoint, Resource, Scope, SummaryPoint, Text};

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
    /// What is said of the metric itself and does not tell it from others, mostly nothing.
    pub metadata: Vec<Attribute>,
    /// What it is about; shared by all of the same service instance.
    pub resource: Arc<Resource>,
    /// What made it.
    pub scope: Arc<Scope>,
}

impl Metric {
    /// A metric without a description.
    ///
    /// ```
    /// use obtrace_export::model::{Attribute, Metric, MetricData, NumberPoint, Temporality};
    ///
    /// let point = NumberPoint::new(7, 2_000_000_000)
    ///     .with_start_time(1_000_000_000)
    ///     .with_attributes(vec![Attribute::new("http.request.method", "GET")]);
    /// let data = MetricData::sum(vec![point], Temporality::Cumulative, true);
    /// let metric = Metric::new("requests", "{request}", data, Default::default(), Default::default())
    ///     .with_description("Requests that were answered");
    /// assert_eq!(metric.data.len(), 1);
    /// ```
    #[must_use]
    pub fn new(
        name: impl Into<Text>,
        unit: impl Into<Text>,
        data: MetricData,
        resource: Arc<Resource>,
        scope: Arc<Scope>,
    ) -> Self {
        Self {
            name: name.into(),
            description: Text::default(),
            unit: unit.into(),
            data,
            metadata: Vec::new(),
            resource,
            scope,
        }
    }

    /// Sets what it means.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<Text>) -> Self {
        self.description = description.into();
        self
    }

    /// Takes out the second half of the data points as a metric of its own, if there are two at least: OTLP allows a metric
    /// in several parts, each point tells by its attributes what it belongs to.
    #[cfg_attr(not(feature = "pipeline"), allow(dead_code, reason = "only what is sent can be too large"))]
    pub(crate) fn split_off(&mut self) -> Option<Self> {
        let data = self.data.split_off()?;
        Some(Self {
            name: self.name.clone(),
            description: self.description.clone(),
            unit: self.unit.clone(),
            data,
            metadata: self.metadata.clone(),
            resource: Arc::clone(&self.resource),
            scope: Arc::clone(&self.scope),
        })
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
    /// Sums; see [`MetricData::Sum`].
    #[must_use]
    pub const fn sum(points: Vec<NumberPoint>, temporality: Temporality, monotonic: bool) -> Self {
        Self::Sum { points, temporality, monotonic }
    }

    /// Distributions over buckets with explicit bounds.
    #[must_use]
    pub const fn histogram(points: Vec<HistogramPoint>, temporality: Temporality) -> Self {
        Self::Histogram { points, temporality }
    }

    /// Distributions over buckets whose bounds are powers of a base.
    #[must_use]
    pub const fn exponential_histogram(points: Vec<ExponentialPoint>, temporality: Temporality) -> Self {
        Self::ExponentialHistogram { points, temporality }
    }

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

    /// Takes out the second half of the data points, if there are two at least.
    fn split_off(&mut self) -> Option<Self> {
        fn half<P>(points: &mut Vec<P>) -> Vec<P> {
            points.split_off(points.len() / 2)
        }
        if self.len() < 2 {
            return None;
        }
        Some(match self {
            Self::None => return None,
            Self::Gauge(points) => Self::Gauge(half(points)),
            Self::Sum { points, temporality, monotonic } => {
                Self::Sum { points: half(points), temporality: *temporality, monotonic: *monotonic }
            }
            Self::Histogram { points, temporality } => {
                Self::Histogram { points: half(points), temporality: *temporality }
            }
            Self::ExponentialHistogram { points, temporality } => {
                Self::ExponentialHistogram { points: half(points), temporality: *temporality }
            }
            Self::Summary(points) => Self::Summary(half(points)),
        })
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

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<i32> for Number {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

/// OTLP has no larger integer than [`i64::MAX`]: what is larger becomes that.
impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
