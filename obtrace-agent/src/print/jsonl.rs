//! One object a line: the contract that programs read.

use std::sync::Arc;

use obtrace_export::{
    encode::text::{push_decimal, push_decimal_u64, push_double, push_hex, push_key, push_string, push_text},
    model::{Attribute, Resource, SpanKind, Status, Value},
};
use rustc_hash::FxHashMap;

use crate::traces::SpanRecord;

/// Most resources whose text is kept.
const KEPT: usize = 1_024;

/// Bytes of a usual line.
const USUAL: usize = 1_024;

/// Writes lines. The spans of a process share their resource, so its text is made once.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// By address; the resource is kept with it, so that no other can have that address.
    resources: FxHashMap<usize, (Arc<Resource>, Box<[u8]>)>,
}

impl Lines {
    pub(super) fn write(&mut self, out: &mut Vec<u8>, record: &SpanRecord) {
        let span = &record.span;
        out.reserve(USUAL);
        out.extend_from_slice(b"{\"protocol\":");
        push_string(out, record.protocol);
        out.extend_from_slice(b",\"kind\":\"");
        out.extend_from_slice(kind(span.kind).as_bytes());
        out.extend_from_slice(b"\",\"name\":");
        push_text(out, &span.name);
        out.extend_from_slice(b",\"start_unix_nano\":");
        push_decimal_u64(out, span.start_unix_nano);
        out.extend_from_slice(b",\"duration_ns\":");
        push_decimal_u64(out, span.end_unix_nano.saturating_sub(span.start_unix_nano));
        let status: &[u8] = match span.status {
            Status::Error { .. } => b",\"status\":\"error\",\"trace_id\":\"",
            _ => b",\"status\":\"ok\",\"trace_id\":\"",
        };
        out.extend_from_slice(status);
        push_hex(out, &span.trace_id.to_bytes());
        out.extend_from_slice(b"\",\"span_id\":\"");
        push_hex(out, &span.span_id.to_bytes());
        if let Some(parent) = span.parent_span_id {
            out.extend_from_slice(b"\",\"parent_span_id\":\"");
            push_hex(out, &parent.to_bytes());
        }
        out.extend_from_slice(b"\",\"attributes\":");
        push_object(out, &span.attributes);
        out.extend_from_slice(b",\"resource\":");
        self.push_resource(out, &span.resource);
        out.extend_from_slice(b",\"completeness\":\"");
        out.extend_from_slice(record.completeness.name().as_bytes());
        out.extend_from_slice(b"\"}\n");
    }

    fn push_resource(&mut self, out: &mut Vec<u8>, resource: &Arc<Resource>) {
        let address = Arc::as_ptr(resource).addr();
        if let Some((_, text)) = self.resources.get(&address) {
            return out.extend_from_slice(text);
        }
        let start = out.len();
        push_object(out, &resource.attributes);
        if self.resources.len() >= KEPT {
            self.resources.clear();
        }
        let text = out.get(start..).unwrap_or_default();
        self.resources.insert(address, (Arc::clone(resource), text.into()));
    }
}

/// The name of a kind in the output.
pub(super) const fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        _ => "internal",
    }
}

pub(super) fn push_object(out: &mut Vec<u8>, attributes: &[Attribute]) {
    let mut before = b'{';
    for attribute in attributes {
        out.push(before);
        push_key(out, &attribute.key);
        push_value(out, &attribute.value);
        before = b',';
    }
    if attributes.is_empty() {
        out.push(before);
    }
    out.push(b'}');
}

pub(super) fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Str(text) => push_text(out, text),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => push_decimal(out, *number),
        Value::Double(number) if number.is_finite() => push_double(out, *number),
        Value::Bytes(bytes) => {
            out.push(b'"');
            bytes.iter().for_each(|byte| push_hex(out, &[*byte]));
            out.push(b'"');
        }
        Value::Array(values) => {
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_value(out, value);
            }
            out.push(b']');
        }
        Value::Map(attributes) => push_object(out, attributes),
        _ => out.extend_from_slice(b"null"),
    }
}
