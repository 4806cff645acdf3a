//! Metrics and their data points.

use super::{
    scalar::{
        message, push_bytes, push_double, push_double_field, push_fixed64, push_fixed64_field, push_optional_double,
        push_packed_fixed64, push_packed_varints, push_text, push_varint_field, push_zigzag_field,
    },
    value::push_attributes,
};
use crate::model::{
    Buckets, Exemplar, ExponentialPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint, SummaryPoint,
    Temporality,
};

/// Appends the content of a `Metric` message.
///
/// ```
/// use obtrace_export::{encode::protobuf::push_metric, model::{Metric, MetricData}};
///
/// let metric = Metric::new("up", "1", MetricData::Gauge(vec![]), Default::default(), Default::default());
/// let mut message = Vec::new();
/// push_metric(&mut message, &metric);
/// assert_eq!(message, b"\x0a\x02up\x1a\x011\x2a\0");
/// ```
pub fn push_metric(out: &mut Vec<u8>, metric: &Metric) {
    push_text(out, 0x0a, &metric.name);
    push_text(out, 0x12, &metric.description);
    push_text(out, 0x1a, &metric.unit);
    match &metric.data {
        MetricData::None => {}
        MetricData::Gauge(points) => message(out, 0x2a, 2, |out| push_points(out, points, push_number_point)),
        MetricData::Sum { points, temporality, monotonic } => message(out, 0x3a, 2, |out| {
            push_points(out, points, push_number_point);
            push_temporality(out, *temporality);
            push_varint_field(out, 0x18, u64::from(*monotonic));
        }),
        MetricData::Histogram { points, temporality } => message(out, 0x4a, 2, |out| {
            push_points(out, points, push_histogram_point);
            push_temporality(out, *temporality);
        }),
        MetricData::ExponentialHistogram { points, temporality } => message(out, 0x52, 2, |out| {
            push_points(out, points, push_exponential_point);
            push_temporality(out, *temporality);
        }),
        MetricData::Summary(points) => message(out, 0x5a, 2, |out| push_points(out, points, push_summary_point)),
    }
    push_attributes(out, 0x62, &metric.metadata);
}

fn push_points<T>(out: &mut Vec<u8>, points: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    for point in points {
        message(out, 0x0a, 2, |out| push(out, point));
    }
}

fn push_temporality(out: &mut Vec<u8>, temporality: Temporality) {
    let number = match temporality {
        Temporality::Unspecified => 0,
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    };
    push_varint_field(out, 0x10, number);
}

/// The times of a point, fields 2 and 3 of all kinds.
fn push_times(out: &mut Vec<u8>, start: u64, time: u64) {
    push_fixed64_field(out, 0x11, start);
    push_fixed64_field(out, 0x19, time);
}

fn push_number_point(out: &mut Vec<u8>, point: &NumberPoint) {
    push_times(out, point.start_time_unix_nano, point.time_unix_nano);
    if let Some(Number::Double(value)) = point.value {
        push_double(out, 0x21, value);
    }
    push_exemplars(out, 0x2a, &point.exemplars);
    if let Some(Number::Int(value)) = point.value {
        push_fixed64(out, 0x31, value.cast_unsigned());
    }
    push_attributes(out, 0x3a, &point.attributes);
    push_varint_field(out, 0x40, point.flags.into());
}

fn push_exemplars(out: &mut Vec<u8>, tag: u8, exemplars: &[Exemplar]) {
    for exemplar in exemplars {
        message(out, tag, 1, |out| push_exemplar(out, exemplar));
    }
}

fn push_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    push_fixed64_field(out, 0x11, exemplar.time_unix_nano);
    if let Some(Number::Double(value)) = exemplar.value {
        push_double(out, 0x19, value);
    }
    if let Some(id) = exemplar.span_id.filter(|id| !id.is_zero()) {
        push_bytes(out, 0x22, &id.to_bytes());
    }
    if let Some(id) = exemplar.trace_id.filter(|id| !id.is_zero()) {
        push_bytes(out, 0x2a, &id.to_bytes());
    }
    if let Some(Number::Int(value)) = exemplar.value {
        push_fixed64(out, 0x31, value.cast_unsigned());
    }
    push_attributes(out, 0x3a, &exemplar.filtered_attributes);
}

fn push_histogram_point(out: &mut Vec<u8>, point: &HistogramPoint) {
    push_times(out, point.start_time_unix_nano, point.time_unix_nano);
    push_fixed64_field(out, 0x21, point.count);
    push_optional_double(out, 0x29, point.sum);
    push_packed_fixed64(out, 0x32, point.bucket_counts.iter().copied());
    push_packed_fixed64(out, 0x3a, point.explicit_bounds.iter().map(|bound| bound.to_bits()));
    push_exemplars(out, 0x42, &point.exemplars);
    push_attributes(out, 0x4a, &point.attributes);
    push_varint_field(out, 0x50, point.flags.into());
    push_optional_double(out, 0x59, point.min);
    push_optional_double(out, 0x61, point.max);
}

fn push_exponential_point(out: &mut Vec<u8>, point: &ExponentialPoint) {
    push_attributes(out, 0x0a, &point.attributes);
    push_times(out, point.start_time_unix_nano, point.time_unix_nano);
    push_fixed64_field(out, 0x21, point.count);
    push_optional_double(out, 0x29, point.sum);
    push_zigzag_field(out, 0x30, point.scale);
    push_fixed64_field(out, 0x39, point.zero_count);
    push_buckets(out, 0x42, &point.positive);
    push_buckets(out, 0x4a, &point.negative);
    push_varint_field(out, 0x50, point.flags.into());
    push_exemplars(out, 0x5a, &point.exemplars);
    push_optional_double(out, 0x61, point.min);
    push_optional_double(out, 0x69, point.max);
    push_double_field(out, 0x71, point.zero_threshold);
}

fn push_buckets(out: &mut Vec<u8>, tag: u8, buckets: &Buckets) {
    if buckets.offset != 0 || !buckets.counts.is_empty() {
        message(out, tag, 1, |out| {
            push_zigzag_field(out, 0x08, buckets.offset);
            push_packed_varints(out, 0x12, &buckets.counts);
        });
    }
}

fn push_summary_point(out: &mut Vec<u8>, point: &SummaryPoint) {
    push_times(out, point.start_time_unix_nano, point.time_unix_nano);
    push_fixed64_field(out, 0x21, point.count);
    push_double_field(out, 0x29, point.sum);
    for quantile in &point.quantiles {
        message(out, 0x32, 1, |out| {
            push_double_field(out, 0x09, quantile.quantile);
            push_double_field(out, 0x11, quantile.value);
        });
    }
    push_attributes(out, 0x3a, &point.attributes);
    push_varint_field(out, 0x40, point.flags.into());
}
