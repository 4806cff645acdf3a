//! Data points of metrics, and their exemplars.

use super::{Attribute, Number, SpanId, TraceId, memory_of};

/// Set in the flags of a data point that says: there is no value any more. `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
pub const FLAG_NO_RECORDED_VALUE: u32 = 1;

/// What the points have in common.
macro_rules! point {
    ($($name:ident),*) => {$(
        impl $name {
            /// Sets since when it counts, in nanoseconds since the Unix epoch.
            #[must_use]
            pub const fn with_start_time(mut self, nanos: u64) -> Self {
                self.start_time_unix_nano = nanos;
                self
            }

            /// Sets what tells it from the other points of the metric.
            #[must_use]
            pub fn with_attributes(mut self, attributes: Vec<Attribute>) -> Self {
                self.attributes = attributes;
                self
            }

            /// Sets the flags: [`FLAG_NO_RECORDED_VALUE`] or 0.
            #[must_use]
            pub const fn with_flags(mut self, flags: u32) -> Self {
                self.flags = flags;
                self
            }
        }
    )*};
}
point!(NumberPoint, HistogramPoint, ExponentialPoint, SummaryPoint);

/// What points that show single measurements have in common.
macro_rules! exemplars {
    ($($name:ident),*) => {$(
        impl $name {
            /// Sets the measurements that stand for the others.
            #[must_use]
            pub fn with_exemplars(mut self, exemplars: Vec<Exemplar>) -> Self {
                self.exemplars = exemplars;
                self
            }
        }
    )*};
}
exemplars!(NumberPoint, HistogramPoint, ExponentialPoint);

/// What distributions have in common.
macro_rules! distribution {
    ($($name:ident),*) => {$(
        impl $name {
            /// Sets the sum of the values.
            #[must_use]
            pub const fn with_sum(mut self, sum: f64) -> Self {
                self.sum = Some(sum);
                self
            }

            /// Sets the smallest and the largest of the values.
            #[must_use]
            pub const fn with_range(mut self, min: f64, max: f64) -> Self {
                self.min = Some(min);
                self.max = Some(max);
                self
            }
        }
    )*};
}
distribution!(HistogramPoint, ExponentialPoint);

/// One measurement that stands for others, mostly with the span in which it was made.
///
/// ```
/// use obtrace_export::model::{Attribute, Exemplar, HistogramPoint, SpanId, TraceId};
///
/// let exemplar = Exemplar::new(0.3, 2_000_000_000)
///     .with_span(TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]))
///     .with_attributes(vec![Attribute::new("url.path", "/cart/7")]);
/// let point = HistogramPoint::new(1, 2_000_000_000)
///     .with_sum(0.3)
///     .with_buckets(vec![0.1, 0.5], vec![0, 1, 0])
///     .with_exemplars(vec![exemplar]);
/// assert_eq!(point.exemplars[0].span_id, Some(SpanId::from_bytes([2; 8])));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Exemplar {
    /// What was measured along with it and is not among the attributes of the point.
    pub filtered_attributes: Vec<Attribute>,
    /// Nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// What was measured.
    pub value: Option<Number>,
    /// The trace in which it was measured.
    pub trace_id: Option<TraceId>,
    /// The span in which it was measured.
    pub span_id: Option<SpanId>,
}

impl Exemplar {
    /// A measurement and its time, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn new(value: impl Into<Number>, time_unix_nano: u64) -> Self {
        Self { value: Some(value.into()), time_unix_nano, ..Self::default() }
    }

    /// Sets the span in which it was measured.
    #[must_use]
    pub const fn with_span(mut self, trace: TraceId, span: SpanId) -> Self {
        self.trace_id = Some(trace);
        self.span_id = Some(span);
        self
    }

    /// Sets what was measured along with it and is not among the attributes of the point.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Vec<Attribute>) -> Self {
        self.filtered_attributes = attributes;
        self
    }

    /// Bytes that it holds, itself included.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + memory_of(&self.filtered_attributes)
    }
}

fn exemplars_memory(exemplars: &[Exemplar]) -> usize {
    exemplars.iter().map(Exemplar::memory).sum()
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
    /// Measurements that stand for the others.
    pub exemplars: Vec<Exemplar>,
    /// [`FLAG_NO_RECORDED_VALUE`] or 0.
    pub flags: u32,
}

impl NumberPoint {
    /// A value and its time, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn new(value: impl Into<Number>, time_unix_nano: u64) -> Self {
        Self { value: Some(value.into()), time_unix_nano, ..Self::default() }
    }

    /// Bytes that it holds, itself included.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + memory_of(&self.attributes) + exemplars_memory(&self.exemplars)
    }
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
    /// Measurements that stand for the others.
    pub exemplars: Vec<Exemplar>,
    /// [`FLAG_NO_RECORDED_VALUE`] or 0.
    pub flags: u32,
}

impl HistogramPoint {
    /// So many values until a time, in nanoseconds since the Unix epoch; without buckets.
    #[must_use]
    pub fn new(count: u64, time_unix_nano: u64) -> Self {
        Self { count, time_unix_nano, ..Self::default() }
    }

    /// Sets the buckets: the inclusive upper bounds of all but the last, and how many values each holds, one number more.
    #[must_use]
    pub fn with_buckets(mut self, bounds: Vec<f64>, counts: Vec<u64>) -> Self {
        self.explicit_bounds = bounds;
        self.bucket_counts = counts;
        self
    }

    /// Bytes that it holds, itself included.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + memory_of(&self.attributes)
            + exemplars_memory(&self.exemplars)
            + size_of_val(&*self.bucket_counts)
            + size_of_val(&*self.explicit_bounds)
    }
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
    /// Measurements that stand for the others.
    pub exemplars: Vec<Exemplar>,
    /// [`FLAG_NO_RECORDED_VALUE`] or 0.
    pub flags: u32,
}

impl ExponentialPoint {
    /// So many values until a time, in nanoseconds since the Unix epoch; without buckets.
    ///
    /// ```
    /// use obtrace_export::model::{Buckets, ExponentialPoint};
    ///
    /// // Scale 0: the bounds are powers of two. One value is in (2, 4], two are in (4, 8], one is zero.
    /// let point = ExponentialPoint::new(4, 0, 2_000_000_000).with_positive(Buckets::new(1, vec![1, 2])).with_zero(1, 0.0);
    /// assert_eq!((point.count, point.positive.offset), (4, 1));
    /// ```
    #[must_use]
    pub fn new(count: u64, scale: i32, time_unix_nano: u64) -> Self {
        Self { count, scale, time_unix_nano, ..Self::default() }
    }

    /// Sets the buckets of the positive values.
    #[must_use]
    pub fn with_positive(mut self, buckets: Buckets) -> Self {
        self.positive = buckets;
        self
    }

    /// Sets the buckets of the negative values.
    #[must_use]
    pub fn with_negative(mut self, buckets: Buckets) -> Self {
        self.negative = buckets;
        self
    }

    /// Sets how many values were not farther from zero than the threshold.
    #[must_use]
    pub const fn with_zero(mut self, count: u64, threshold: f64) -> Self {
        self.zero_count = count;
        self.zero_threshold = threshold;
        self
    }

    /// Bytes that it holds, itself included.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + memory_of(&self.attributes)
            + exemplars_memory(&self.exemplars)
            + size_of_val(&*self.positive.counts)
            + size_of_val(&*self.negative.counts)
    }
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

impl Buckets {
    /// Buckets from that index on.
    #[must_use]
    pub const fn new(offset: i32, counts: Vec<u64>) -> Self {
        Self { offset, counts }
    }
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
    /// [`FLAG_NO_RECORDED_VALUE`] or 0.
    pub flags: u32,
}

impl SummaryPoint {
    /// So many values until a time, in nanoseconds since the Unix epoch, and their sum.
    #[must_use]
    pub fn new(count: u64, sum: f64, time_unix_nano: u64) -> Self {
        Self { count, sum, time_unix_nano, ..Self::default() }
    }

    /// Sets the quantiles.
    #[must_use]
    pub fn with_quantiles(mut self, quantiles: Vec<Quantile>) -> Self {
        self.quantiles = quantiles;
        self
    }

    /// Bytes that it holds, itself included.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + memory_of(&self.attributes) + size_of_val(&*self.quantiles)
    }
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

impl Quantile {
    /// A share of the values, 0 to 1, and what it does not exceed.
    #[must_use]
    pub const fn new(quantile: f64, value: f64) -> Self {
        Self { quantile, value }
    }
}
