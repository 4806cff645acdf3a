//! Telemetry of every kind, whatever OTLP can say of it.

use std::sync::Arc;

use obtrace_export::model::{
    Attribute, Buckets, EntityRef, Exemplar, ExponentialPoint, HistogramPoint, LogRecord, Metric, MetricData, Number,
    NumberPoint, Quantile, Resource, Scope, Span, SpanEvent, SpanId, SpanKind, SpanLink, Status, SummaryPoint,
    Temporality, Text, TraceId, Value,
};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z._]{0,30}", 1 => any::<String>()]
}

/// Flags, or how many were dropped.
fn few() -> impl Strategy<Value = u32> {
    prop_oneof![2 => Just(0), 1 => 1..1_000_u32, 1 => any::<u32>()]
}

/// Not those that are equal and look different (-0.0), or the other way round (NaN).
fn double() -> impl Strategy<Value = f64> {
    let number = any::<f64>().prop_map(|number| if number.is_nan() { 0.5 } else { number + 0.0 });
    prop_oneof![4 => number, 1 => Just(f64::INFINITY), 1 => Just(f64::NEG_INFINITY)]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => Just(Value::Empty),
        1 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => double().prop_map(Value::from),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..4).prop_map(|entries| Value::from(
                entries.into_iter().map(|(k, v)| Attribute::new(k, v)).collect::<Vec<_>>()
            )),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    prop::collection::vec((text(), value()), 0..4)
        .prop_map(|entries| entries.into_iter().map(|(key, value)| Attribute::new(key, value)).collect())
}

fn entity() -> impl Strategy<Value = EntityRef> {
    let keys = || prop::collection::vec(text().prop_map(Text::from), 0..3);
    (text(), text(), keys(), keys()).prop_map(|(url, kind, keys, described_by)| {
        let mut entity = EntityRef::new(kind, keys);
        (entity.schema_url, entity.description_keys) = (url.into(), described_by);
        entity
    })
}

prop_compose! {
    fn origin()(attributes in attributes(), own in attributes(), texts in (text(), text(), text(), text()), dropped in (few(), few()), entities in prop::collection::vec(entity(), 0..2))
        -> (Arc<Resource>, Arc<Scope>) {
        let (name, version, resource_url, scope_url) = texts;
        let mut scope = Scope::new(name, version).with_attributes(own).with_schema_url(scope_url);
        let mut resource = Resource::new(attributes).with_schema_url(resource_url);
        resource.entities = entities;
        (resource.dropped_attributes_count, scope.dropped_attributes_count) = dropped;
        (Arc::new(resource), Arc::new(scope))
    }
}

fn event() -> impl Strategy<Value = SpanEvent> {
    (any::<u64>(), text(), attributes(), few()).prop_map(|(time, name, attributes, dropped)| {
        let mut event = SpanEvent::new(time, name, attributes);
        event.dropped_attributes_count = dropped;
        event
    })
}

fn link() -> impl Strategy<Value = SpanLink> {
    let ids = (any::<[u8; 16]>(), any::<[u8; 8]>());
    (ids, text(), few(), attributes(), few()).prop_map(|((trace, span), state, flags, attributes, dropped)| {
        let ids = (TraceId::from_bytes(trace), SpanId::from_bytes(span));
        let mut link = SpanLink::new(ids.0, ids.1, attributes).with_trace_state(state).with_flags(flags);
        link.dropped_attributes_count = dropped;
        link
    })
}

prop_compose! {
    pub(crate) fn span()(
        trace in any::<[u8; 16]>(), own in any::<[u8; 8]>(), parent in any::<Option<[u8; 8]>>(), flags in few(), kind in 0..5_usize,
        times in (any::<u64>(), any::<u64>()), texts in (text(), text(), text()), attributes in attributes(), status in 0..3,
        dropped in (few(), few(), few()), events in prop::collection::vec(event(), 0..3),
        links in prop::collection::vec(link(), 0..3), origin in origin(),
    ) -> Span {
        use SpanKind::{Client, Consumer, Internal, Producer, Server};
        let (name, state, description) = texts;
        let ids = (TraceId::from_bytes(trace.map(|byte| byte | 1)), SpanId::from_bytes(own.map(|byte| byte | 1)));
        let kind = [Internal, Server, Client, Producer, Consumer][kind];
        let mut span = Span::new(ids.0, ids.1, name, kind, origin.0, origin.1).with_times(times.0, times.1);
        span.parent_span_id = parent.map(SpanId::from_bytes).filter(|parent| !parent.is_zero());
        (span.flags, span.trace_state, span.attributes) = (flags, state.into(), attributes);
        span.status = [Status::Unset, Status::Ok, Status::Error { description: description.into() }][status as usize].clone();
        (span.events, span.links) = (events, links);
        (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count) = dropped;
        span
    }
}

prop_compose! {
    pub(crate) fn log()(
        times in (any::<u64>(), any::<u64>()), severity in 0..25_u8, texts in (text(), text()), body in value(),
        attributes in attributes(), flags in few(), dropped in few(), ids in any::<(Option<[u8; 16]>, Option<[u8; 8]>)>(), origin in origin(),
    ) -> LogRecord {
        let mut record = LogRecord::new(body, origin.0, origin.1);
        (record.time_unix_nano, record.observed_time_unix_nano) = times;
        (record.severity_number, record.severity_text, record.event_name) = (severity, texts.0.into(), texts.1.into());
        (record.attributes, record.flags, record.dropped_attributes_count) = (attributes, flags, dropped);
        record.trace_id = ids.0.map(TraceId::from_bytes).filter(|id| !id.is_zero());
        record.span_id = ids.1.map(SpanId::from_bytes).filter(|id| !id.is_zero());
        record
    }
}

fn number() -> impl Strategy<Value = Option<Number>> {
    prop_oneof![
        Just(None),
        any::<i64>().prop_map(|value| Some(Number::Int(value))),
        double().prop_map(|value| Some(Number::Double(value))),
    ]
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let ids = any::<(Option<[u8; 16]>, Option<[u8; 8]>)>();
    let exemplar = (attributes(), any::<u64>(), number(), ids).prop_map(|(attributes, time, value, (trace, span))| {
        let mut exemplar = Exemplar::default().with_attributes(attributes);
        (exemplar.time_unix_nano, exemplar.value) = (time, value);
        exemplar.trace_id = trace.map(TraceId::from_bytes).filter(|id| !id.is_zero());
        exemplar.span_id = span.map(SpanId::from_bytes).filter(|id| !id.is_zero());
        exemplar
    });
    prop::collection::vec(exemplar, 0..3)
}

fn number_point() -> impl Strategy<Value = NumberPoint> {
    let times = (any::<u64>(), any::<u64>());
    (attributes(), times, number(), exemplars(), few()).prop_map(
        |(attributes, (start, time), value, exemplars, flags)| {
            let mut point = NumberPoint::default().with_exemplars(exemplars).with_flags(flags);
            (point.start_time_unix_nano, point.time_unix_nano) = (start, time);
            (point.attributes, point.value) = (attributes, value);
            point
        },
    )
}

/// Attributes, start, time and count; sum, min and max.
type Head = ((Vec<Attribute>, u64, u64, u64), [Option<f64>; 3]);

fn head() -> impl Strategy<Value = Head> {
    let optional = || prop::option::of(double());
    ((attributes(), any::<u64>(), any::<u64>(), any::<u64>()), [optional(), optional(), optional()])
}

fn counts() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(any::<u64>(), 0..4)
}

fn histogram_point() -> impl Strategy<Value = HistogramPoint> {
    let bounds = prop::collection::vec(double(), 0..4);
    (head(), counts(), bounds, exemplars(), few()).prop_map(
        |((head, [sum, min, max]), counts, bounds, exemplars, flags)| {
            let mut point = HistogramPoint::default().with_exemplars(exemplars).with_flags(flags);
            (point.attributes, point.start_time_unix_nano, point.time_unix_nano, point.count) = head;
            (point.sum, point.min, point.max) = (sum, min, max);
            (point.bucket_counts, point.explicit_bounds) = (counts, bounds);
            point
        },
    )
}

fn buckets() -> impl Strategy<Value = Buckets> {
    (any::<i32>(), counts()).prop_map(|(offset, counts)| {
        let mut buckets = Buckets::default();
        (buckets.offset, buckets.counts) = (offset, counts);
        buckets
    })
}

fn exponential_point() -> impl Strategy<Value = ExponentialPoint> {
    (head(), any::<i32>(), any::<u64>(), double(), buckets(), buckets(), exemplars(), few()).prop_map(
        |((head, [sum, min, max]), scale, zeros, threshold, positive, negative, exemplars, flags)| {
            let mut point = ExponentialPoint::default().with_exemplars(exemplars).with_flags(flags);
            (point.attributes, point.start_time_unix_nano, point.time_unix_nano, point.count) = head;
            (point.sum, point.min, point.max) = (sum, min, max);
            (point.scale, point.zero_count, point.zero_threshold) = (scale, zeros, threshold);
            (point.positive, point.negative) = (positive, negative);
            point
        },
    )
}

fn summary_point() -> impl Strategy<Value = SummaryPoint> {
    let quantile = (double(), double()).prop_map(|(share, value)| Quantile::new(share, value));
    let quantiles = prop::collection::vec(quantile, 0..3);
    (attributes(), any::<u64>(), any::<u64>(), any::<u64>(), double(), quantiles, few()).prop_map(
        |(attributes, start, time, count, sum, quantiles, flags)| {
            let mut point = SummaryPoint::default().with_flags(flags);
            (point.attributes, point.start_time_unix_nano, point.time_unix_nano) = (attributes, start, time);
            (point.count, point.sum, point.quantiles) = (count, sum, quantiles);
            point
        },
    )
}

fn data() -> impl Strategy<Value = MetricData> {
    fn some<S: Strategy>(points: S) -> impl Strategy<Value = Vec<S::Value>> {
        prop::collection::vec(points, 0..3)
    }
    let temporality =
        || prop::sample::select(vec![Temporality::Unspecified, Temporality::Delta, Temporality::Cumulative]);
    prop_oneof![
        Just(MetricData::None),
        some(number_point()).prop_map(MetricData::Gauge),
        (some(number_point()), temporality(), any::<bool>())
            .prop_map(|(points, temporality, monotonic)| MetricData::Sum { points, temporality, monotonic }),
        (some(histogram_point()), temporality())
            .prop_map(|(points, temporality)| MetricData::Histogram { points, temporality }),
        (some(exponential_point()), temporality())
            .prop_map(|(points, temporality)| MetricData::ExponentialHistogram { points, temporality }),
        some(summary_point()).prop_map(MetricData::Summary),
    ]
}

prop_compose! {
    pub(crate) fn metric()(
        name in text(), unit in text(), description in text(), data in data(), metadata in attributes(), origin in origin(),
    ) -> Metric {
        let mut metric = Metric::new(name, unit, data, origin.0, origin.1).with_description(description);
        metric.metadata = metadata;
        metric
    }
}
