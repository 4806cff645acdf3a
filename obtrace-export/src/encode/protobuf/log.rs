//! Log records.

use super::{
    scalar::{message, push_bytes, push_fixed32_field, push_fixed64_field, push_text, push_varint_field},
    value::{push_any_value, push_attributes},
};
use crate::model::{LogRecord, Value};

/// Appends the content of a `LogRecord` message.
///
/// ```
/// use obtrace_export::{encode::protobuf::push_log_record, model::LogRecord};
///
/// let record = LogRecord::new("up", Default::default(), Default::default()).with_severity(9, "");
/// let mut message = Vec::new();
/// push_log_record(&mut message, &record);
/// assert_eq!(message, b"\x10\x09\x2a\x04\x0a\x02up");
/// ```
pub fn push_log_record(out: &mut Vec<u8>, record: &LogRecord) {
    push_fixed64_field(out, 0x09, record.time_unix_nano);
    push_varint_field(out, 0x10, record.severity_number.into());
    push_text(out, 0x1a, &record.severity_text);
    if record.body != Value::Empty {
        message(out, 0x2a, 1, |out| push_any_value(out, &record.body, 0));
    }
    push_attributes(out, 0x32, &record.attributes);
    push_varint_field(out, 0x38, record.dropped_attributes_count.into());
    push_fixed32_field(out, 0x45, record.flags);
    if let Some(id) = record.trace_id.filter(|id| !id.is_zero()) {
        push_bytes(out, 0x4a, &id.to_bytes());
    }
    if let Some(id) = record.span_id.filter(|id| !id.is_zero()) {
        push_bytes(out, 0x52, &id.to_bytes());
    }
    push_fixed64_field(out, 0x59, record.observed_time_unix_nano);
    push_text(out, 0x62, &record.event_name);
}
