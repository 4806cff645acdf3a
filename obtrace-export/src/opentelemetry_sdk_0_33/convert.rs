//! Spans and log records of the SDK as the model's.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    Array, InstrumentationScope, Key, KeyValue, SpanId as SdkSpanId, TraceFlags, TraceId as SdkTraceId,
    Value as SdkValue,
    logs::AnyValue,
    trace::{Event, Link, SpanContext, SpanKind as SdkKind, Status as SdkStatus},
};
use opentelemetry_sdk::{Resource as SdkResource, logs::SdkLogRecord, trace::SpanData};

use crate::model::{
    Attribute, FLAG_HAS_IS_REMOTE, FLAG_IS_REMOTE, LogRecord, Resource, Scope, Span, SpanEvent, SpanId, SpanKind,
    SpanLink, Status, Text, TraceId, Value,
};

/// Values nested deeper than this become empty; see [`MAX_DEPTH`](crate::encode::json::MAX_DEPTH).
const MAX_DEPTH: usize = crate::encode::json::MAX_DEPTH;

/// Most scopes that are kept. Log records have one for each target, which is mostly a module.
const KEPT: usize = 256;

/// The scopes that were seen last, with the target if it took the name's place: what has the same in the SDK shares the
/// model's.
#[derive(Debug, Default)]
pub(super) struct Scopes(Vec<(Option<Cow<'static, str>>, InstrumentationScope, Arc<Scope>)>);

impl Scopes {
    pub(super) fn get(&mut self, scope: &InstrumentationScope) -> Arc<Scope> {
        self.of_target(scope, None)
    }

    /// Of a log record: a target takes the place of the scope's name, as in OpenTelemetry's own exporter. The name is that of
    /// the bridge from another library, the same for every record.
    pub(super) fn of_target(&mut self, scope: &InstrumentationScope, target: Option<&Cow<'static, str>>) -> Arc<Scope> {
        if let Some((.., known)) = self.0.iter().find(|(to, of, _)| to.as_ref() == target && of == scope) {
            return Arc::clone(known);
        }
        if self.0.len() == KEPT {
            self.0.clear();
        }
        let mut made = self::scope(scope);
        if let Some(target) = target {
            made.name = Text::copied(target);
        }
        let made = Arc::new(made);
        self.0.push((target.cloned(), scope.clone(), Arc::clone(&made)));
        made
    }
}

fn scope(scope: &InstrumentationScope) -> Scope {
    Scope::new(Text::copied(scope.name()), Text::copied(scope.version().unwrap_or_default()))
        .with_attributes(attributes(scope.attributes()))
        .with_schema_url(Text::copied(scope.schema_url().unwrap_or_default()))
}

/// In the order of the keys: the SDK has none.
pub(super) fn resource(resource: &SdkResource) -> Resource {
    let mut attributes: Vec<_> = resource.iter().map(|(key, value)| attribute(key, value)).collect();
    attributes.sort_by(|one, other| one.key.as_bytes().cmp(other.key.as_bytes()));
    Resource::new(attributes).with_schema_url(Text::copied(resource.schema_url().unwrap_or_default()))
}

pub(super) fn span(data: SpanData, resource: Arc<Resource>, scope: Arc<Scope>) -> Span {
    let context = &data.span_context;
    let mut span = Span::new(
        trace_id(context.trace_id()),
        span_id(context.span_id()),
        cow(data.name),
        kind(&data.span_kind),
        resource,
        scope,
    )
    .with_times(nanos(data.start_time), nanos(data.end_time))
    .with_parent(Some(span_id(data.parent_span_id)).filter(|id| !id.is_zero()));
    span.flags = flags(context.trace_flags(), data.parent_span_is_remote);
    span.trace_state = trace_state(context);
    span.attributes = attributes(&data.attributes);
    span.dropped_attributes_count = data.dropped_attributes_count;
    span.dropped_events_count = data.events.dropped_count;
    span.events = data.events.into_iter().map(event).collect();
    span.dropped_links_count = data.links.dropped_count;
    span.links = data.links.iter().map(link).collect();
    span.status = status(data.status);
    span
}

fn event(event: Event) -> SpanEvent {
    let mut made = SpanEvent::new(nanos(event.timestamp), cow(event.name), attributes(&event.attributes));
    made.dropped_attributes_count = event.dropped_attributes_count;
    made
}

fn link(link: &Link) -> SpanLink {
    let context = &link.span_context;
    let mut made =
        SpanLink::new(trace_id(context.trace_id()), span_id(context.span_id()), attributes(&link.attributes))
            .with_flags(flags(context.trace_flags(), context.is_remote()))
            .with_trace_state(trace_state(context));
    made.dropped_attributes_count = link.dropped_attributes_count;
    made
}

/// W3C's flags, and whether the context (of the parent, of the link) came from elsewhere: the SDK always knows.
fn flags(flags: TraceFlags, is_remote: bool) -> u32 {
    u32::from(flags.to_u8()) | FLAG_HAS_IS_REMOTE | if is_remote { FLAG_IS_REMOTE } else { 0 }
}

fn trace_state(context: &SpanContext) -> Text {
    context.trace_state().header().into()
}

const fn kind(kind: &SdkKind) -> SpanKind {
    match kind {
        SdkKind::Client => SpanKind::Client,
        SdkKind::Server => SpanKind::Server,
        SdkKind::Producer => SpanKind::Producer,
        SdkKind::Consumer => SpanKind::Consumer,
        SdkKind::Internal => SpanKind::Internal,
    }
}

fn status(status: SdkStatus) -> Status {
    match status {
        SdkStatus::Unset => Status::Unset,
        SdkStatus::Ok => Status::Ok,
        SdkStatus::Error { description } => Status::Error { description: cow(description) },
    }
}

pub(super) fn log_record(record: &SdkLogRecord, resource: Arc<Resource>, scope: Arc<Scope>) -> LogRecord {
    let body = record.body().map_or(Value::Empty, |body| any_value(body, 0));
    let mut made = LogRecord::new(body, resource, scope)
        .with_times(record.timestamp().map_or(0, nanos), record.observed_timestamp().map_or(0, nanos));
    // 1 to 24.
    made.severity_number = record.severity_number().map_or(0, |severity| severity as u8);
    made.severity_text = record.severity_text().map_or_else(Text::default, Text::constant);
    made.event_name = record.event_name().map_or_else(Text::default, Text::constant);
    let attributes = record.attributes_iter().map(|(key, value)| Attribute::new(self::key(key), any_value(value, 0)));
    made.attributes = attributes.collect();
    if let Some(context) = record.trace_context() {
        made.trace_id = Some(trace_id(context.trace_id)).filter(|id| !id.is_zero());
        made.span_id = Some(span_id(context.span_id)).filter(|id| !id.is_zero());
        made.flags = context.trace_flags.map_or(0, |flags| flags.to_u8().into());
    }
    made
}

fn any_value(value: &AnyValue, depth: usize) -> Value {
    match value {
        AnyValue::Int(number) => Value::Int(*number),
        AnyValue::Double(number) => Value::Double(*number),
        AnyValue::String(text) => Value::Str(Text::copied(text.as_str())),
        AnyValue::Boolean(truth) => Value::Bool(*truth),
        AnyValue::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
        AnyValue::ListAny(_) | AnyValue::Map(_) if depth >= MAX_DEPTH => Value::Empty,
        AnyValue::ListAny(values) => Value::Array(values.iter().map(|value| any_value(value, depth + 1)).collect()),
        AnyValue::Map(entries) => {
            let entries =
                entries.iter().map(|(key, value)| Attribute::new(self::key(key), any_value(value, depth + 1)));
            let mut entries: Vec<_> = entries.collect();
            entries.sort_by(|one, other| one.key.as_bytes().cmp(other.key.as_bytes()));
            entries.into()
        }
        _ => Value::Empty,
    }
}

pub(super) fn attributes<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> Vec<Attribute> {
    attributes.into_iter().map(|pair| attribute(&pair.key, &pair.value)).collect()
}

fn attribute(key: &Key, value: &SdkValue) -> Attribute {
    Attribute::new(self::key(key), self::value(value))
}

/// Keys that are not short are copied: the SDK does not tell which of its texts are constant.
fn key(key: &Key) -> Text {
    Text::copied(key.as_str())
}

fn value(value: &SdkValue) -> Value {
    match value {
        SdkValue::Bool(truth) => Value::Bool(*truth),
        SdkValue::I64(number) => Value::Int(*number),
        SdkValue::F64(number) => Value::Double(*number),
        SdkValue::String(text) => Value::Str(Text::copied(text.as_str())),
        SdkValue::Array(array) => array_value(array),
        _ => Value::Empty,
    }
}

fn array_value(array: &Array) -> Value {
    Value::Array(match array {
        Array::Bool(values) => values.iter().map(|value| Value::Bool(*value)).collect(),
        Array::I64(values) => values.iter().map(|value| Value::Int(*value)).collect(),
        Array::F64(values) => values.iter().map(|value| Value::Double(*value)).collect(),
        Array::String(values) => values.iter().map(|value| Value::Str(Text::copied(value.as_str()))).collect(),
        _ => Box::default(),
    })
}

fn cow(text: Cow<'static, str>) -> Text {
    text.into()
}

pub(super) fn trace_id(id: SdkTraceId) -> TraceId {
    TraceId::from_bytes(id.to_bytes())
}

pub(super) fn span_id(id: SdkSpanId) -> SpanId {
    SpanId::from_bytes(id.to_bytes())
}

/// Nanoseconds since the Unix epoch; 0 for what is before it.
pub(super) fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
