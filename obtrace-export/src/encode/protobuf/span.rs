//! Spans.

use super::{
    scalar::{message, push_bytes, push_fixed32_field, push_fixed64_field, push_text, push_varint_field},
    value::push_attributes,
};
use crate::model::{Span, SpanEvent, SpanId, SpanKind, SpanLink, Status, TraceId};

/// Appends the content of a `Span` message.
///
/// ```
/// use obtrace_export::{encode::protobuf::push_span, model::{Span, SpanId, SpanKind, TraceId}};
///
/// let (trace, id) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
/// let span = Span::new(trace, id, "GET /", SpanKind::Server, Default::default(), Default::default());
/// let mut message = Vec::new();
/// push_span(&mut message, &span);
/// assert_eq!(message[..2], [0x0a, 16]); // field 1, the trace's id, is 16 bytes long
/// assert!(message.ends_with(b"\x2a\x05GET /\x30\x02\x85\x01\x01\0\0\0"));
/// ```
pub fn push_span(out: &mut Vec<u8>, span: &Span) {
    push_ids(out, span.trace_id, span.span_id);
    push_text(out, 0x1a, &span.trace_state);
    if let Some(parent) = span.parent_span_id.filter(|parent| !parent.is_zero()) {
        push_bytes(out, 0x22, &parent.to_bytes());
    }
    push_text(out, 0x2a, &span.name);
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    out.extend_from_slice(&[0x30, kind]);
    push_fixed64_field(out, 0x39, span.start_unix_nano);
    push_fixed64_field(out, 0x41, span.end_unix_nano);
    push_attributes(out, 0x4a, &span.attributes);
    push_varint_field(out, 0x50, span.dropped_attributes_count.into());
    for event in &span.events {
        message(out, 0x5a, 1, |out| push_event(out, event));
    }
    push_varint_field(out, 0x60, span.dropped_events_count.into());
    for link in &span.links {
        message(out, 0x6a, 1, |out| push_link(out, link));
    }
    push_varint_field(out, 0x70, span.dropped_links_count.into());
    match &span.status {
        Status::Unset => {}
        Status::Ok => out.extend_from_slice(&[0x7a, 2, 0x18, 1]),
        Status::Error { description } => message(out, 0x7a, 1, |out| {
            push_text(out, 0x12, description);
            out.extend_from_slice(&[0x18, 2]);
        }),
    }
    if span.flags != 0 {
        let [a, b, c, d] = span.flags.to_le_bytes();
        // Field 16: its tag takes two bytes.
        out.extend_from_slice(&[0x85, 0x01, a, b, c, d]);
    }
}

/// The first two fields of a span and of a link, in one piece.
fn push_ids(out: &mut Vec<u8>, trace: TraceId, span: SpanId) {
    let mut fields = [0; 28];
    fields[..2].copy_from_slice(&[0x0a, 16]);
    fields[2..18].copy_from_slice(&trace.to_bytes());
    fields[18..20].copy_from_slice(&[0x12, 8]);
    fields[20..].copy_from_slice(&span.to_bytes());
    out.extend_from_slice(&fields);
}

fn push_event(out: &mut Vec<u8>, event: &SpanEvent) {
    push_fixed64_field(out, 0x09, event.time_unix_nano);
    push_text(out, 0x12, &event.name);
    push_attributes(out, 0x1a, &event.attributes);
    push_varint_field(out, 0x20, event.dropped_attributes_count.into());
}

fn push_link(out: &mut Vec<u8>, link: &SpanLink) {
    push_ids(out, link.trace_id, link.span_id);
    push_text(out, 0x1a, &link.trace_state);
    push_attributes(out, 0x22, &link.attributes);
    push_varint_field(out, 0x28, link.dropped_attributes_count.into());
    push_fixed32_field(out, 0x35, link.flags);
}
