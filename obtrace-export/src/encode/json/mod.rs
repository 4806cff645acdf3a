//! OTLP JSON ([OTLP 1.x, JSON Protobuf encoding](https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding)).
//!
//! The rules of the [ProtoJSON mapping](https://protobuf.dev/programming-guides/json/) with OTLP's exceptions: trace and
//! span ids are hexadecimal, enum values are numbers, 64-bit integers are decimal strings, bytes are base64, fields with
//! their default value are left out.

mod log;
mod metric;
mod span;

pub use self::{log::push_log_record, metric::push_metric, span::push_span};
pub use super::MAX_DEPTH;
use super::{
    group::Grouping,
    text::{push_base64, push_decimal, push_decimal_u64, push_double, push_hex, push_text},
};
use crate::model::{
    Attribute, EntityRef, Item, LogRecord, Metric, Resource, Scope, Span, SpanId, Text, TraceId, Value,
};

const DROPPED_ATTRIBUTES: &[u8] = b",\"droppedAttributesCount\":";
const FLAGS: &[u8] = b",\"flags\":";

/// Writes `ExportTraceServiceRequest`s. Keeps what it needs for grouping between calls: in steady state nothing is
/// allocated.
///
/// ```
/// use std::sync::Arc;
/// use obtrace_export::{encode::json::TraceEncoder, model::{Resource, Scope, Span, SpanId, SpanKind, TraceId}};
///
/// let span = Span::new(
///     TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]), "GET /", SpanKind::Server,
///     Arc::new(Resource::default()), Arc::new(Scope::default()),
/// ).with_times(10, 20);
/// let mut body = Vec::new();
/// TraceEncoder::new().encode(&[span], &mut body);
/// assert_eq!(
///     String::from_utf8(body).unwrap(),
///     r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"#.to_owned()
///         + r#""traceId":"01010101010101010101010101010101","spanId":"0202020202020202","flags":1,"#
///         + r#""name":"GET /","kind":2,"startTimeUnixNano":"10","endTimeUnixNano":"20"}]}]}]}"#,
/// );
/// ```
#[derive(Debug, Default)]
pub struct TraceEncoder {
    grouping: Grouping,
}

impl TraceEncoder {
    /// An encoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one request with these spans, grouped by resource and scope. No spans give `{}`.
    pub fn encode(&mut self, spans: &[Span], out: &mut Vec<u8>) {
        encode(&mut self.grouping, &SPANS, spans, out, push_span);
    }
}

/// Writes `ExportLogsServiceRequest`s, as [`TraceEncoder`] writes those of spans.
///
/// ```
/// use obtrace_export::{encode::json::LogEncoder, model::LogRecord};
///
/// let mut body = Vec::new();
/// LogEncoder::new().encode(&[LogRecord::new("up", Default::default(), Default::default())], &mut body);
/// let records = r#"[{"timeUnixNano":"0","body":{"stringValue":"up"}}]"#;
/// let expected = format!(r#"{{"resourceLogs":[{{"resource":{{}},"scopeLogs":[{{"scope":{{}},"logRecords":{records}}}]}}]}}"#);
/// assert_eq!(String::from_utf8(body).unwrap(), expected);
/// ```
#[derive(Debug, Default)]
pub struct LogEncoder {
    grouping: Grouping,
}

impl LogEncoder {
    /// An encoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one request with these records, grouped by resource and scope. No records give `{}`.
    pub fn encode(&mut self, records: &[LogRecord], out: &mut Vec<u8>) {
        encode(&mut self.grouping, &LOG_RECORDS, records, out, push_log_record);
    }
}

/// Writes `ExportMetricsServiceRequest`s, as [`TraceEncoder`] writes those of spans.
#[derive(Debug, Default)]
pub struct MetricEncoder {
    grouping: Grouping,
}

impl MetricEncoder {
    /// An encoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one request with these metrics, grouped by resource and scope. No metrics give `{}`.
    pub fn encode(&mut self, metrics: &[Metric], out: &mut Vec<u8>) {
        encode(&mut self.grouping, &METRICS, metrics, out, push_metric);
    }
}

/// What stands in front of the lists of a signal, with what ends the message before.
pub(super) struct Names {
    outer: &'static [u8],
    group: &'static [u8],
    items: &'static [u8],
}

pub(super) static SPANS: Names =
    Names { outer: b"{\"resourceSpans\":[", group: b"},\"scopeSpans\":[", items: b"},\"spans\":[" };
pub(super) static LOG_RECORDS: Names =
    Names { outer: b"{\"resourceLogs\":[", group: b"},\"scopeLogs\":[", items: b"},\"logRecords\":[" };
pub(super) static METRICS: Names =
    Names { outer: b"{\"resourceMetrics\":[", group: b"},\"scopeMetrics\":[", items: b"},\"metrics\":[" };

pub(super) fn encode<T: Item>(
    grouping: &mut Grouping,
    names: &Names,
    items: &[T],
    out: &mut Vec<u8>,
    push: impl Fn(&mut Vec<u8>, &T),
) {
    if items.is_empty() {
        return out.extend_from_slice(b"{}");
    }
    grouping.assign(items);
    out.extend_from_slice(names.outer);
    let mut groups = grouping.groups().iter().peekable();
    while let Some(&group) = groups.next() {
        let mut members = grouping.members(group, items);
        let Some(first) = members.next() else { continue };
        if group.opens_resource {
            out.extend_from_slice(b"{\"resource\":{");
            push_resource(out, first.resource());
            out.extend_from_slice(names.group);
        }
        out.extend_from_slice(b"{\"scope\":{");
        push_scope(out, first.scope());
        out.extend_from_slice(names.items);
        push(out, first);
        for member in members {
            out.push(b',');
            push(out, member);
        }
        out.push(b']');
        push_field(out, b",\"schemaUrl\":", &first.scope().schema_url);
        out.push(b'}');
        let next = groups.peek();
        if next.is_none_or(|next| next.opens_resource) {
            out.push(b']');
            push_field(out, b",\"schemaUrl\":", &first.resource().schema_url);
            out.push(b'}');
        }
        if next.is_some() {
            out.push(b',');
        }
    }
    out.extend_from_slice(b"]}");
}

fn push_resource(out: &mut Vec<u8>, resource: &Resource) {
    push_attributes(out, b"\"attributes\":[", &resource.attributes);
    let mut bare = resource.attributes.is_empty();
    push_small(out, sole(bare, DROPPED_ATTRIBUTES), resource.dropped_attributes_count);
    bare &= resource.dropped_attributes_count == 0;
    push_list(out, sole(bare, b",\"entityRefs\":["), &resource.entities, push_entity);
}

/// All fields, even those that are empty: the types that OpenTelemetry has for Rust need them.
fn push_entity(out: &mut Vec<u8>, entity: &EntityRef) {
    out.extend_from_slice(b"{\"schemaUrl\":");
    push_text(out, &entity.schema_url);
    out.extend_from_slice(b",\"type\":");
    push_text(out, &entity.kind);
    out.extend_from_slice(b",\"idKeys\":[");
    push_items(out, &entity.id_keys, push_text);
    out.extend_from_slice(b"],\"descriptionKeys\":[");
    push_items(out, &entity.description_keys, push_text);
    out.extend_from_slice(b"]}");
}

fn push_scope(out: &mut Vec<u8>, scope: &Scope) {
    push_field(out, b"\"name\":", &scope.name);
    let mut bare = scope.name.is_empty();
    push_field(out, sole(bare, b",\"version\":"), &scope.version);
    bare &= scope.version.is_empty();
    push_attributes(out, sole(bare, b",\"attributes\":["), &scope.attributes);
    bare &= scope.attributes.is_empty();
    push_small(out, sole(bare, DROPPED_ATTRIBUTES), scope.dropped_attributes_count);
}

/// The ids of a span that something belongs to, unless there is none.
fn push_ids(out: &mut Vec<u8>, trace: Option<TraceId>, span: Option<SpanId>) {
    if let Some(id) = trace.filter(|id| !id.is_zero()) {
        out.extend_from_slice(b",\"traceId\":\"");
        push_hex(out, &id.to_bytes());
        out.push(b'"');
    }
    if let Some(id) = span.filter(|id| !id.is_zero()) {
        out.extend_from_slice(b",\"spanId\":\"");
        push_hex(out, &id.to_bytes());
        out.push(b'"');
    }
}

/// A text field, unless it is empty.
fn push_field(out: &mut Vec<u8>, lead: &[u8], text: &Text) {
    if !text.as_bytes().is_empty() {
        out.extend_from_slice(lead);
        push_text(out, text);
    }
}

/// A time field, unless it is zero.
fn push_time(out: &mut Vec<u8>, lead: &[u8], nanos: u64) {
    if nanos != 0 {
        out.extend_from_slice(lead);
        push_decimal_u64(out, nanos);
        out.push(b'"');
    }
}

/// A number of 32 bits, unless it is zero.
fn push_small(out: &mut Vec<u8>, lead: &[u8], number: u32) {
    if number != 0 {
        out.extend_from_slice(lead);
        push_decimal_u64(out, number.into());
    }
}

/// What stands in front of a field, without its comma if nothing was written of the message before.
fn sole(bare: bool, lead: &'static [u8]) -> &'static [u8] {
    lead.get(usize::from(bare)..).unwrap_or_default()
}

/// A repeated field, unless it is empty. `lead` ends with the opening bracket.
fn push_list<T>(out: &mut Vec<u8>, lead: &[u8], items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    if !items.is_empty() {
        out.extend_from_slice(lead);
        push_items(out, items, push);
        out.push(b']');
    }
}

/// What stands between the brackets.
fn push_items<T>(out: &mut Vec<u8>, items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    let Some((first, rest)) = items.split_first() else { return };
    push(out, first);
    for item in rest {
        out.push(b',');
        push(out, item);
    }
}

fn push_attributes(out: &mut Vec<u8>, lead: &[u8], attributes: &[Attribute]) {
    push_list(out, lead, attributes, |out, attribute| push_attribute(out, attribute, 0));
}

fn push_attribute(out: &mut Vec<u8>, attribute: &Attribute, depth: usize) {
    out.extend_from_slice(b"{\"key\":");
    push_text(out, &attribute.key);
    match &attribute.value {
        // The usual ones in few pieces.
        Value::Str(text) => {
            out.extend_from_slice(b",\"value\":{\"stringValue\":");
            push_text(out, text);
            out.extend_from_slice(b"}}");
        }
        Value::Int(number) => {
            out.extend_from_slice(b",\"value\":{\"intValue\":\"");
            push_decimal(out, *number);
            out.extend_from_slice(b"\"}}");
        }
        value => {
            out.extend_from_slice(b",\"value\":");
            push_any_value(out, value, depth);
            out.push(b'}');
        }
    }
}

/// An `AnyValue` message.
fn push_any_value(out: &mut Vec<u8>, value: &Value, depth: usize) {
    match value {
        Value::Empty => out.extend_from_slice(b"{}"),
        Value::Str(text) => {
            out.extend_from_slice(b"{\"stringValue\":");
            push_text(out, text);
            out.push(b'}');
        }
        Value::Int(number) => {
            out.extend_from_slice(b"{\"intValue\":\"");
            push_decimal(out, *number);
            out.extend_from_slice(b"\"}");
        }
        Value::Bool(true) => out.extend_from_slice(b"{\"boolValue\":true}"),
        Value::Bool(false) => out.extend_from_slice(b"{\"boolValue\":false}"),
        Value::Double(number) => {
            out.extend_from_slice(b"{\"doubleValue\":");
            push_double(out, *number);
            out.push(b'}');
        }
        Value::Bytes(bytes) => {
            out.extend_from_slice(b"{\"bytesValue\":\"");
            push_base64(out, bytes);
            out.extend_from_slice(b"\"}");
        }
        Value::Array(_) | Value::Map(_) if depth >= MAX_DEPTH => out.extend_from_slice(b"{}"),
        // Even when it is empty: the types that OpenTelemetry has for Rust do not read a list without its `values`.
        Value::Array(values) => {
            out.extend_from_slice(b"{\"arrayValue\":{\"values\":[");
            push_items(out, values, |out, value| push_any_value(out, value, depth + 1));
            out.extend_from_slice(b"]}}");
        }
        Value::Map(entries) => {
            out.extend_from_slice(b"{\"kvlistValue\":{\"values\":[");
            push_items(out, entries, |out, entry| push_attribute(out, entry, depth + 1));
            out.extend_from_slice(b"]}}");
        }
    }
}
