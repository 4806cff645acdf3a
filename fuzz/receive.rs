//! What the fuzz target of obtrace-export asserts. The plain test of the kept regressions includes this file too.

use std::{fmt::Debug, io::Write};

use flate2::{Compression, write::GzEncoder};
use obtrace_export::{
    compress::{Method, decompress},
    decode::{Limits, Telemetry, decode},
    encode::{Encoder, Format, MAX_DEPTH},
    model::{Attribute, Exemplar, LogRecord, Metric, MetricData, Resource, Scope, Signal, Span, Status, Value},
};

/// The bits of the first byte, above the two that say which signal it is.
const PROTOBUF: u8 = 4;
/// What follows is compressed already.
const COMPRESSED: u8 = 8;
/// What follows is compressed here, and must come out as it was.
const TO_COMPRESS: u8 = 16;
/// Limits that small bodies cross.
const NARROW: u8 = 32;

/// Runs the target of that name.
pub(crate) fn run(target: &str, data: &[u8]) {
    match target {
        "receive" => receive(data),
        other => panic!("no fuzz target is named {other:?}"),
    }
}

/// A body that is taken is within the limits, is made of what was sent, and is the same when our encoders have written it.
fn receive(data: &[u8]) {
    let Some((&choice, sent)) = data.split_first() else { return };
    let signal = [Signal::Traces, Signal::Logs, Signal::Metrics][usize::from(choice & 3) % 3];
    let format = if choice & PROTOBUF == 0 { Format::Json } else { Format::Protobuf };
    let (limits, decompressed) = limits(choice & NARROW != 0);
    let Some(body) = body(choice, sent, decompressed) else { return };
    let telemetry = match decode(signal, format, &body, &limits) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            assert!(error.offset() <= body.len() && !error.to_string().is_empty(), "{error}");
            return;
        }
    };
    if format == Format::Json {
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(&body);
        assert!(json.is_ok(), "{json:?} of what was taken: {}", String::from_utf8_lossy(&body));
    }
    let size = Size::of(&telemetry);
    assert!(telemetry.items() <= limits.items && size.elements <= limits.elements, "{telemetry:?}");
    // A level of values is two messages; they begin below request, group, scope and item.
    assert!(2 * size.depth <= limits.depth, "{} levels", size.depth);
    // Group by group names and attributes are shared.
    assert!(size.own_bytes <= body.len(), "{} bytes of {}", size.own_bytes, body.len());

    let wide = Limits::new().with_elements(10_000_000).with_depth(200);
    for format in [Format::Json, Format::Protobuf] {
        let written = encoded(format, &telemetry);
        let again = decode(signal, format, &written, &wide)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&written)));
        if size.depth <= MAX_DEPTH {
            assert_eq!(content(&again), content(&telemetry), "read again");
        }
        let twice = encoded(format, &again);
        assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&written), "written again");
    }
}

/// What a body may hold, and how many bytes it may have.
fn limits(narrow: bool) -> (Limits, usize) {
    let (items, elements, depth, decompressed) = if narrow { (3, 40, 14, 600) } else { (1_000, 20_000, 80, 64 << 10) };
    (Limits::new().with_items(items).with_elements(elements).with_depth(depth), decompressed)
}

fn body(choice: u8, sent: &[u8], most: usize) -> Option<Vec<u8>> {
    if choice & COMPRESSED != 0 {
        let body = decompress(Method::Gzip, sent, most)
            .inspect_err(|error| assert!(error.offset() <= sent.len(), "{error}"))
            .ok()?;
        assert!(body.len() <= most);
        return Some(body);
    }
    if choice & TO_COMPRESS == 0 {
        return Some(sent.to_vec());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(sent).expect("memory takes it");
    let body = decompress(Method::Gzip, &encoder.finish().expect("memory takes it"), most);
    assert_eq!(body.is_ok(), sent.len() <= most);
    body.ok().inspect(|body| assert_eq!(body, sent))
}

fn encoded(format: Format, telemetry: &Telemetry) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(), Vec::new());
    match telemetry {
        Telemetry::Traces(spans) => encoder.encode(format, spans, &mut out),
        Telemetry::Logs(records) => encoder.encode(format, records, &mut out),
        Telemetry::Metrics(metrics) => encoder.encode(format, metrics, &mut out),
        other => panic!("no encoder for {other:?}"),
    }
    out
}

/// All items in an order of their own: what has the same resource comes together when it is written. Text, so that NaN is
/// what it is; resources that differ in the sign of a zero are one.
fn content(telemetry: &Telemetry) -> Vec<String> {
    fn sorted<T: Debug>(items: &[T]) -> Vec<String> {
        let mut items: Vec<_> = items.iter().map(|item| format!("{item:?}").replace("-0.0", "0.0")).collect();
        items.sort();
        items
    }
    match telemetry {
        Telemetry::Traces(spans) => sorted(spans),
        Telemetry::Logs(records) => sorted(records),
        Telemetry::Metrics(metrics) => sorted(metrics),
        other => panic!("nothing is known of {other:?}"),
    }
}

/// What telemetry takes, counted as the limits count: less where the body named something twice.
#[derive(Default)]
struct Size {
    /// Messages, and numbers in lists.
    elements: usize,
    /// How deep lists and maps are nested.
    depth: usize,
    /// Bytes of text and of values that belong to one item alone.
    own_bytes: usize,
}

impl Size {
    fn of(telemetry: &Telemetry) -> Self {
        let mut size = Self::default();
        match telemetry {
            Telemetry::Traces(spans) => spans.iter().for_each(|span| size.span(span)),
            Telemetry::Logs(records) => records.iter().for_each(|record| size.record(record)),
            Telemetry::Metrics(metrics) => metrics.iter().for_each(|metric| size.metric(metric)),
            other => panic!("nothing is known of {other:?}"),
        }
        size
    }

    fn span(&mut self, span: &Span) {
        self.message(&span.attributes);
        self.shared(&span.resource, &span.scope);
        self.own_bytes += span.name.len() + span.trace_state.len();
        if let Status::Error { description } = &span.status {
            self.own_bytes += description.len();
        }
        for event in &span.events {
            self.own_bytes += event.name.len();
            self.message(&event.attributes);
        }
        for link in &span.links {
            self.own_bytes += link.trace_state.len();
            self.message(&link.attributes);
        }
    }

    fn record(&mut self, record: &LogRecord) {
        self.message(&record.attributes);
        self.shared(&record.resource, &record.scope);
        self.own_bytes += record.severity_text.len() + record.event_name.len();
        self.value(&record.body, 0);
    }

    fn metric(&mut self, metric: &Metric) {
        self.message(&metric.metadata);
        self.shared(&metric.resource, &metric.scope);
        self.own_bytes += metric.name.len() + metric.description.len() + metric.unit.len();
        match &metric.data {
            MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
                for point in points {
                    self.message(&point.attributes);
                    self.exemplars(&point.exemplars);
                }
            }
            MetricData::Histogram { points, .. } => points.iter().for_each(|point| {
                self.message(&point.attributes);
                self.exemplars(&point.exemplars);
                self.elements += point.bucket_counts.len() + point.explicit_bounds.len();
            }),
            MetricData::ExponentialHistogram { points, .. } => points.iter().for_each(|point| {
                self.message(&point.attributes);
                self.exemplars(&point.exemplars);
                self.elements += point.positive.counts.len() + point.negative.counts.len();
            }),
            MetricData::Summary(points) => points.iter().for_each(|point| {
                self.message(&point.attributes);
                self.elements += point.quantiles.len();
            }),
            _ => {}
        }
    }

    fn exemplars(&mut self, exemplars: &[Exemplar]) {
        exemplars.iter().for_each(|exemplar| self.message(&exemplar.filtered_attributes));
    }

    /// What items share is counted for its depth only.
    fn shared(&mut self, resource: &Resource, scope: &Scope) {
        let mut shared = Self::default();
        shared.message(&resource.attributes);
        shared.message(&scope.attributes);
        self.depth = self.depth.max(shared.depth);
    }

    fn message(&mut self, attributes: &[Attribute]) {
        self.elements += 1;
        attributes.iter().for_each(|attribute| self.attribute(attribute, 0));
    }

    fn attribute(&mut self, attribute: &Attribute, depth: usize) {
        self.elements += 1;
        self.own_bytes += attribute.key.len();
        self.value(&attribute.value, depth);
    }

    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Empty => return,
            Value::Str(text) => self.own_bytes += text.len(),
            Value::Bytes(bytes) => self.own_bytes += bytes.len(),
            Value::Array(values) => {
                self.depth = self.depth.max(depth + 1);
                values.iter().for_each(|value| self.value(value, depth + 1));
            }
            Value::Map(entries) => {
                self.depth = self.depth.max(depth + 1);
                entries.iter().for_each(|entry| self.attribute(entry, depth + 1));
            }
            _ => {}
        }
        self.elements += 1;
    }
}
