//! One object a line: the contract that programs read.

use obtrace_export::model::{Attribute, SpanKind, Status, Value};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

use crate::traces::SpanRecord;

pub(super) fn write(out: &mut Vec<u8>, record: &SpanRecord) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, &Line(record)).is_err() {
        // Writing to memory does not fail; half a line must not stay if it ever did.
        out.truncate(start);
        return;
    }
    out.push(b'\n');
}

struct Line<'a>(&'a SpanRecord);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let span = &self.0.span;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("protocol", self.0.protocol)?;
        map.serialize_entry("kind", kind(span.kind))?;
        map.serialize_entry("name", &span.name)?;
        map.serialize_entry("start_unix_nano", &span.start_unix_nano)?;
        map.serialize_entry("duration_ns", &span.end_unix_nano.saturating_sub(span.start_unix_nano))?;
        map.serialize_entry("status", if matches!(span.status, Status::Error { .. }) { "error" } else { "ok" })?;
        map.serialize_entry("trace_id", &format_args!("{}", span.trace_id))?;
        map.serialize_entry("span_id", &format_args!("{}", span.span_id))?;
        if let Some(parent) = span.parent_span_id {
            map.serialize_entry("parent_span_id", &format_args!("{parent}"))?;
        }
        map.serialize_entry("attributes", &Attributes(&span.attributes))?;
        map.serialize_entry("resource", &Attributes(&span.resource.attributes))?;
        map.serialize_entry("completeness", self.0.completeness.name())?;
        map.end()
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

struct Attributes<'a>(&'a [Attribute]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for attribute in self.0 {
            map.serialize_entry(&attribute.key, &Json(&attribute.value))?;
        }
        map.end()
    }
}

struct Json<'a>(&'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Str(text) => serializer.serialize_str(text),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Double(number) => serializer.serialize_f64(*number),
            Value::Bytes(bytes) => serializer.collect_str(&Hex(bytes)),
            Value::Array(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(&Json(value))?;
                }
                list.end()
            }
            Value::Map(attributes) => Attributes(attributes).serialize(serializer),
            _ => serializer.serialize_none(),
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
