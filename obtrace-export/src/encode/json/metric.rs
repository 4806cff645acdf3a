//! Metrics and their data points.

use super::{
    FLAGS, push_attributes, push_decimal, push_decimal_u64, push_double, push_field, push_ids, push_items, push_list,
    push_small, push_text, push_time,
};
use crate::model::{
    Attribute, Buckets, Exemplar, ExponentialPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint,
    SummaryPoint, Temporality,
};

/// Appends one `Metric` message.
///
/// ```
/// use obtrace_export::{encode::json::push_metric, model::{Metric, MetricData, NumberPoint}};
///
/// let data = MetricData::Gauge(vec![NumberPoint::new(7, 5)]);
/// let metric = Metric::new("queue.length", "{job}", data, Default::default(), Default::default());
/// let mut line = Vec::new();
/// push_metric(&mut line, &metric);
/// let expected = r#"{"name":"queue.length","unit":"{job}","gauge":{"dataPoints":[{"timeUnixNano":"5","asInt":"7"}]}}"#;
/// assert_eq!(String::from_utf8(line).unwrap(), expected);
/// ```
pub fn push_metric(out: &mut Vec<u8>, metric: &Metric) {
    out.extend_from_slice(b"{\"name\":");
    push_text(out, &metric.name);
    push_field(out, b",\"description\":", &metric.description);
    push_field(out, b",\"unit\":", &metric.unit);
    match &metric.data {
        MetricData::None => {}
        MetricData::Gauge(points) => {
            push_points(out, b",\"gauge\":{\"dataPoints\":[", points, push_number_point);
            out.push(b'}');
        }
        MetricData::Sum { points, temporality, monotonic } => {
            push_points(out, b",\"sum\":{\"dataPoints\":[", points, push_number_point);
            push_temporality(out, *temporality);
            if *monotonic {
                out.extend_from_slice(b",\"isMonotonic\":true");
            }
            out.push(b'}');
        }
        MetricData::Histogram { points, temporality } => {
            push_points(out, b",\"histogram\":{\"dataPoints\":[", points, push_histogram_point);
            push_temporality(out, *temporality);
            out.push(b'}');
        }
        MetricData::ExponentialHistogram { points, temporality } => {
            push_points(out, b",\"exponentialHistogram\":{\"dataPoints\":[", points, push_exponential_point);
            push_temporality(out, *temporality);
            out.push(b'}');
        }
        MetricData::Summary(points) => {
            push_points(out, b",\"summary\":{\"dataPoints\":[", points, push_summary_point);
            out.push(b'}');
        }
    }
    push_attributes(out, b",\"metadata\":[", &metric.metadata);
    out.push(b'}');
}

/// The list is written even when it is empty: it says which kind of metric this is.
fn push_points<T>(out: &mut Vec<u8>, lead: &[u8], points: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    out.extend_from_slice(lead);
    push_items(out, points, push);
    out.push(b']');
}

fn push_temporality(out: &mut Vec<u8>, temporality: Temporality) {
    match temporality {
        Temporality::Unspecified => {}
        Temporality::Delta => out.extend_from_slice(b",\"aggregationTemporality\":1"),
        Temporality::Cumulative => out.extend_from_slice(b",\"aggregationTemporality\":2"),
    }
}

/// What all points have; opens the message.
fn push_head(out: &mut Vec<u8>, time: u64, start: u64, attributes: &[Attribute]) {
    // A leading field without a comma: the time is written even when it is zero.
    out.extend_from_slice(b"{\"timeUnixNano\":\"");
    push_decimal_u64(out, time);
    out.push(b'"');
    push_time(out, b",\"startTimeUnixNano\":\"", start);
    push_attributes(out, b",\"attributes\":[", attributes);
}

fn push_number_point(out: &mut Vec<u8>, point: &NumberPoint) {
    push_head(out, point.time_unix_nano, point.start_time_unix_nano, &point.attributes);
    push_value(out, point.value);
    push_exemplars(out, &point.exemplars);
    push_small(out, FLAGS, point.flags);
    out.push(b'}');
}

fn push_value(out: &mut Vec<u8>, value: Option<Number>) {
    match value {
        None => {}
        Some(Number::Int(value)) => {
            out.extend_from_slice(b",\"asInt\":\"");
            push_decimal(out, value);
            out.push(b'"');
        }
        Some(Number::Double(value)) => {
            out.extend_from_slice(b",\"asDouble\":");
            push_double(out, value);
        }
    }
}

fn push_exemplars(out: &mut Vec<u8>, exemplars: &[Exemplar]) {
    push_list(out, b",\"exemplars\":[", exemplars, |out, exemplar| {
        push_number(out, b"{\"timeUnixNano\":\"", exemplar.time_unix_nano);
        push_value(out, exemplar.value);
        push_ids(out, exemplar.trace_id, exemplar.span_id);
        push_attributes(out, b",\"filteredAttributes\":[", &exemplar.filtered_attributes);
        out.push(b'}');
    });
}

fn push_histogram_point(out: &mut Vec<u8>, point: &HistogramPoint) {
    push_head(out, point.time_unix_nano, point.start_time_unix_nano, &point.attributes);
    push_number(out, b",\"count\":\"", point.count);
    push_optional(out, b",\"sum\":", point.sum);
    push_counts(out, b",\"bucketCounts\":[", &point.bucket_counts);
    push_list(out, b",\"explicitBounds\":[", &point.explicit_bounds, |out, bound| push_double(out, *bound));
    push_exemplars(out, &point.exemplars);
    push_small(out, FLAGS, point.flags);
    push_optional(out, b",\"min\":", point.min);
    push_optional(out, b",\"max\":", point.max);
    out.push(b'}');
}

fn push_exponential_point(out: &mut Vec<u8>, point: &ExponentialPoint) {
    push_head(out, point.time_unix_nano, point.start_time_unix_nano, &point.attributes);
    push_number(out, b",\"count\":\"", point.count);
    push_optional(out, b",\"sum\":", point.sum);
    out.extend_from_slice(b",\"scale\":");
    push_decimal(out, point.scale.into());
    push_number(out, b",\"zeroCount\":\"", point.zero_count);
    push_optional(out, b",\"zeroThreshold\":", Some(point.zero_threshold));
    push_buckets(out, b",\"positive\":{\"offset\":", &point.positive);
    push_buckets(out, b",\"negative\":{\"offset\":", &point.negative);
    push_exemplars(out, &point.exemplars);
    push_small(out, FLAGS, point.flags);
    push_optional(out, b",\"min\":", point.min);
    push_optional(out, b",\"max\":", point.max);
    out.push(b'}');
}

fn push_buckets(out: &mut Vec<u8>, lead: &[u8], buckets: &Buckets) {
    out.extend_from_slice(lead);
    push_decimal(out, buckets.offset.into());
    push_counts(out, b",\"bucketCounts\":[", &buckets.counts);
    out.push(b'}');
}

fn push_summary_point(out: &mut Vec<u8>, point: &SummaryPoint) {
    push_head(out, point.time_unix_nano, point.start_time_unix_nano, &point.attributes);
    push_number(out, b",\"count\":\"", point.count);
    push_optional(out, b",\"sum\":", Some(point.sum));
    push_list(out, b",\"quantileValues\":[", &point.quantiles, |out, quantile| {
        push_optional(out, b"{\"quantile\":", Some(quantile.quantile));
        push_optional(out, b",\"value\":", Some(quantile.value));
        out.push(b'}');
    });
    push_small(out, FLAGS, point.flags);
    out.push(b'}');
}

fn push_number(out: &mut Vec<u8>, lead: &[u8], number: u64) {
    out.extend_from_slice(lead);
    push_decimal_u64(out, number);
    out.push(b'"');
}

fn push_optional(out: &mut Vec<u8>, lead: &[u8], number: Option<f64>) {
    if let Some(number) = number {
        out.extend_from_slice(lead);
        push_double(out, number);
    }
}

fn push_counts(out: &mut Vec<u8>, lead: &[u8], counts: &[u64]) {
    push_list(out, lead, counts, |out, count| push_number(out, b"\"", *count));
}
