//! Metrics of the SDK as the model's.

use std::{sync::Arc, time::SystemTime};

use opentelemetry_sdk::metrics::{
    Temporality as SdkTemporality,
    data::{
        AggregatedMetrics, Exemplar as SdkExemplar, ExponentialBucket, ExponentialHistogramDataPoint,
        HistogramDataPoint, Metric as SdkMetric, MetricData as SdkData, ResourceMetrics,
    },
};

use super::convert::{Scopes, attributes, nanos, resource};
use crate::model::{
    Buckets, Exemplar, ExponentialPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint, Resource, Scope,
    SpanId, Temporality, Text, TraceId,
};

/// A number of the SDK's.
trait Measured: Copy {
    fn number(self) -> Number;

    /// What a sum, a smallest and a largest value are in OTLP.
    fn double(self) -> f64;
}

impl Measured for f64 {
    fn number(self) -> Number {
        self.into()
    }

    fn double(self) -> f64 {
        self
    }
}

macro_rules! integer {
    ($($name:ty),*) => {$(
        impl Measured for $name {
            fn number(self) -> Number {
                self.into()
            }

            #[expect(clippy::cast_precision_loss, reason = "OTLP has doubles there")]
            fn double(self) -> f64 {
                self as f64
            }
        }
    )*};
}
integer!(u64, i64);

pub(super) fn metrics(all: &ResourceMetrics, scopes: &mut Scopes) -> Vec<Metric> {
    let resource = Arc::new(resource(all.resource()));
    let mut made = Vec::new();
    for group in all.scope_metrics() {
        let scope = scopes.get(group.scope());
        made.extend(group.metrics().map(|metric| self::metric(metric, Arc::clone(&resource), Arc::clone(&scope))));
    }
    made
}

fn metric(metric: &SdkMetric, resource: Arc<Resource>, scope: Arc<Scope>) -> Metric {
    let data = match metric.data() {
        AggregatedMetrics::F64(data) => self::data(data),
        AggregatedMetrics::U64(data) => self::data(data),
        AggregatedMetrics::I64(data) => self::data(data),
    };
    Metric::new(Text::copied(metric.name()), Text::copied(metric.unit()), data, resource, scope)
        .with_description(Text::copied(metric.description()))
}

fn data<T: Measured>(data: &SdkData<T>) -> MetricData {
    match data {
        SdkData::Gauge(gauge) => {
            let (start, time) = (gauge.start_time().map_or(0, nanos), nanos(gauge.time()));
            let points = gauge.data_points().map(|from| {
                NumberPoint::new(from.value().number(), time)
                    .with_start_time(start)
                    .with_attributes(attributes(from.attributes()))
                    .with_exemplars(exemplars(from.exemplars()))
            });
            MetricData::Gauge(points.collect())
        }
        SdkData::Sum(sum) => {
            let (start, time) = (nanos(sum.start_time()), nanos(sum.time()));
            let points = sum.data_points().map(|from| {
                NumberPoint::new(from.value().number(), time)
                    .with_start_time(start)
                    .with_attributes(attributes(from.attributes()))
                    .with_exemplars(exemplars(from.exemplars()))
            });
            MetricData::sum(points.collect(), temporality(sum.temporality()), sum.is_monotonic())
        }
        SdkData::Histogram(histogram) => {
            let times = (histogram.start_time(), histogram.time());
            let points = histogram.data_points().map(|from| histogram_point(from, times)).collect();
            MetricData::histogram(points, temporality(histogram.temporality()))
        }
        SdkData::ExponentialHistogram(histogram) => {
            let times = (histogram.start_time(), histogram.time());
            let points = histogram.data_points().map(|from| exponential_point(from, times)).collect();
            MetricData::exponential_histogram(points, temporality(histogram.temporality()))
        }
    }
}

fn histogram_point<T: Measured>(from: &HistogramDataPoint<T>, times: (SystemTime, SystemTime)) -> HistogramPoint {
    let mut point = HistogramPoint::new(from.count(), nanos(times.1))
        .with_start_time(nanos(times.0))
        .with_attributes(attributes(from.attributes()))
        .with_buckets(from.bounds().collect(), from.bucket_counts().collect())
        .with_sum(from.sum().double())
        .with_exemplars(exemplars(from.exemplars()));
    (point.min, point.max) = (from.min().map(T::double), from.max().map(T::double));
    point
}

fn exponential_point<T: Measured>(
    from: &ExponentialHistogramDataPoint<T>,
    times: (SystemTime, SystemTime),
) -> ExponentialPoint {
    let count = u64::try_from(from.count()).unwrap_or(u64::MAX);
    let mut point = ExponentialPoint::new(count, from.scale().into(), nanos(times.1))
        .with_start_time(nanos(times.0))
        .with_attributes(attributes(from.attributes()))
        .with_positive(buckets(from.positive_bucket()))
        .with_negative(buckets(from.negative_bucket()))
        .with_zero(from.zero_count(), from.zero_threshold())
        .with_sum(from.sum().double())
        .with_exemplars(exemplars(from.exemplars()));
    (point.min, point.max) = (from.min().map(T::double), from.max().map(T::double));
    point
}

fn buckets(buckets: &ExponentialBucket) -> Buckets {
    Buckets::new(buckets.offset(), buckets.counts().collect())
}

fn exemplars<'a, T: Measured + 'a>(exemplars: impl Iterator<Item = &'a SdkExemplar<T>>) -> Vec<Exemplar> {
    let exemplar = |from: &SdkExemplar<T>| {
        let mut made = Exemplar::new(from.value.number(), nanos(from.time()))
            .with_attributes(attributes(from.filtered_attributes()));
        made.trace_id = Some(TraceId::from_bytes(*from.trace_id())).filter(|id| !id.is_zero());
        made.span_id = Some(SpanId::from_bytes(*from.span_id())).filter(|id| !id.is_zero());
        made
    };
    exemplars.map(exemplar).collect()
}

/// An aggregation is cumulative or of the last interval; `LowMemory` is a preference of the exporter.
const fn temporality(temporality: SdkTemporality) -> Temporality {
    match temporality {
        SdkTemporality::Delta => Temporality::Delta,
        SdkTemporality::Cumulative => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    }
}
