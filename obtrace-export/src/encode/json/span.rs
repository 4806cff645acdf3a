//! Spans.

use super::{
    DROPPED_ATTRIBUTES, FLAGS, push_attributes, push_decimal_u64, push_field, push_hex, push_list, push_small,
    push_time,
};
use crate::model::{Span, SpanEvent, SpanKind, SpanLink, Status};

/// Appends one `Span` message.
///
/// ```
/// # use std::sync::Arc;
/// # use obtrace_export::model::{Resource, Scope, Span, SpanId, SpanKind, TraceId};
/// let mut span = Span::new(
///     TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]), "GET /", SpanKind::Server,
///     Arc::new(Resource::default()), Arc::new(Scope::default()),
/// );
/// span.push("http.response.status_code", 200_i64);
/// let mut line = Vec::new();
/// obtrace_export::encode::json::push_span(&mut line, &span);
/// assert!(line.ends_with(br#""attributes":[{"key":"http.response.status_code","value":{"intValue":"200"}}]}"#));
/// ```
pub fn push_span(out: &mut Vec<u8>, span: &Span) {
    out.extend_from_slice(b"{\"traceId\":\"");
    push_hex(out, &span.trace_id.to_bytes());
    out.extend_from_slice(b"\",\"spanId\":\"");
    push_hex(out, &span.span_id.to_bytes());
    out.push(b'"');
    push_field(out, b",\"traceState\":", &span.trace_state);
    if let Some(parent) = span.parent_span_id.filter(|parent| !parent.is_zero()) {
        out.extend_from_slice(b",\"parentSpanId\":\"");
        push_hex(out, &parent.to_bytes());
        out.push(b'"');
    }
    push_small(out, FLAGS, span.flags);
    push_field(out, b",\"name\":", &span.name);
    out.extend_from_slice(match span.kind {
        SpanKind::Internal => b",\"kind\":1",
        SpanKind::Server => b",\"kind\":2",
        SpanKind::Client => b",\"kind\":3",
        SpanKind::Producer => b",\"kind\":4",
        SpanKind::Consumer => b",\"kind\":5",
    });
    push_time(out, b",\"startTimeUnixNano\":\"", span.start_unix_nano);
    push_time(out, b",\"endTimeUnixNano\":\"", span.end_unix_nano);
    push_attributes(out, b",\"attributes\":[", &span.attributes);
    push_small(out, DROPPED_ATTRIBUTES, span.dropped_attributes_count);
    push_list(out, b",\"events\":[", &span.events, push_event);
    push_small(out, b",\"droppedEventsCount\":", span.dropped_events_count);
    push_list(out, b",\"links\":[", &span.links, push_link);
    push_small(out, b",\"droppedLinksCount\":", span.dropped_links_count);
    match &span.status {
        Status::Unset => {}
        Status::Ok => out.extend_from_slice(b",\"status\":{\"code\":1}"),
        Status::Error { description } => {
            out.extend_from_slice(b",\"status\":{\"code\":2");
            push_field(out, b",\"message\":", description);
            out.push(b'}');
        }
    }
    out.push(b'}');
}

fn push_event(out: &mut Vec<u8>, event: &SpanEvent) {
    // A leading field without a comma: the time is written even when it is zero, to keep the rest simple and valid.
    out.extend_from_slice(b"{\"timeUnixNano\":\"");
    push_decimal_u64(out, event.time_unix_nano);
    out.push(b'"');
    push_field(out, b",\"name\":", &event.name);
    push_attributes(out, b",\"attributes\":[", &event.attributes);
    push_small(out, DROPPED_ATTRIBUTES, event.dropped_attributes_count);
    out.push(b'}');
}

fn push_link(out: &mut Vec<u8>, link: &SpanLink) {
    out.extend_from_slice(b"{\"traceId\":\"");
    push_hex(out, &link.trace_id.to_bytes());
    out.extend_from_slice(b"\",\"spanId\":\"");
    push_hex(out, &link.span_id.to_bytes());
    out.push(b'"');
    push_field(out, b",\"traceState\":", &link.trace_state);
    push_attributes(out, b",\"attributes\":[", &link.attributes);
    push_small(out, DROPPED_ATTRIBUTES, link.dropped_attributes_count);
    push_small(out, FLAGS, link.flags);
    out.push(b'}');
}
