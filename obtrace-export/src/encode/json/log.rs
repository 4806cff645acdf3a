//! Log records.

use super::{
    DROPPED_ATTRIBUTES, FLAGS, push_any_value, push_attributes, push_decimal_u64, push_field, push_ids, push_small,
    push_time,
};
use crate::model::{LogRecord, Value};

/// Appends one `LogRecord` message.
///
/// ```
/// use obtrace_export::{encode::json::push_log_record, model::LogRecord};
///
/// let mut record = LogRecord::new("disk full", Default::default(), Default::default());
/// (record.time_unix_nano, record.severity_number) = (5, 17);
/// let mut line = Vec::new();
/// push_log_record(&mut line, &record);
/// assert_eq!(line, br#"{"timeUnixNano":"5","severityNumber":17,"body":{"stringValue":"disk full"}}"#);
/// ```
pub fn push_log_record(out: &mut Vec<u8>, record: &LogRecord) {
    // A leading field without a comma: the time is written even when it is zero, to keep the rest simple and valid.
    out.extend_from_slice(b"{\"timeUnixNano\":\"");
    push_decimal_u64(out, record.time_unix_nano);
    out.push(b'"');
    push_time(out, b",\"observedTimeUnixNano\":\"", record.observed_time_unix_nano);
    if record.severity_number != 0 {
        out.extend_from_slice(b",\"severityNumber\":");
        push_decimal_u64(out, record.severity_number.into());
    }
    push_field(out, b",\"severityText\":", &record.severity_text);
    if record.body != Value::Empty {
        out.extend_from_slice(b",\"body\":");
        push_any_value(out, &record.body, 0);
    }
    push_attributes(out, b",\"attributes\":[", &record.attributes);
    push_small(out, DROPPED_ATTRIBUTES, record.dropped_attributes_count);
    push_small(out, FLAGS, record.flags);
    push_ids(out, record.trace_id, record.span_id);
    push_field(out, b",\"eventName\":", &record.event_name);
    out.push(b'}');
}
