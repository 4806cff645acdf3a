//! Log records.

use std::sync::Arc;

use super::{Attribute, Resource, Scope, SpanId, Text, TraceId, Value};

/// A log record, after OTLP's
/// [`LogRecord`](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/logs/v1/logs.proto).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LogRecord {
    /// When it happened, in nanoseconds since the Unix epoch; 0 if that is not known.
    pub time_unix_nano: u64,
    /// When it was seen by what collected it, in nanoseconds since the Unix epoch; 0 if that is not known.
    pub observed_time_unix_nano: u64,
    /// 1 to 24, four of each of TRACE, DEBUG, INFO, WARN, ERROR, FATAL; 0 if it was not said.
    pub severity_number: u8,
    /// The severity as the source calls it; may be empty.
    pub severity_text: Text,
    /// The message, mostly text; [`Value::Empty`] if there is none.
    pub body: Value,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// W3C trace flags; bit 0 is *sampled*.
    pub flags: u8,
    /// The trace in which it was written.
    pub trace_id: Option<TraceId>,
    /// The span in which it was written.
    pub span_id: Option<SpanId>,
    /// What kind of event it is; empty for what is no event.
    pub event_name: Text,
    /// What it is about; shared by all of the same service instance.
    pub resource: Arc<Resource>,
    /// What made it.
    pub scope: Arc<Scope>,
}

impl LogRecord {
    /// A record with this message.
    #[must_use]
    pub fn new(body: impl Into<Value>, resource: Arc<Resource>, scope: Arc<Scope>) -> Self {
        Self { body: body.into(), resource, scope, ..Self::default() }
    }

    /// The name of its severity: as the source calls it, else that of its number (`INFO`, `INFO2`); empty if neither is
    /// known.
    ///
    /// ```
    /// use obtrace_export::model::LogRecord;
    /// let mut record = LogRecord::default();
    /// record.severity_number = 18;
    /// assert_eq!(record.severity(), "ERROR2");
    /// record.severity_text = "CRITICAL".into();
    /// assert_eq!(record.severity(), "CRITICAL");
    /// ```
    #[must_use]
    pub fn severity(&self) -> &str {
        const NAMES: [&str; 25] = [
            "", "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4", "INFO", "INFO2", "INFO3",
            "INFO4", "WARN", "WARN2", "WARN3", "WARN4", "ERROR", "ERROR2", "ERROR3", "ERROR4", "FATAL", "FATAL2",
            "FATAL3", "FATAL4",
        ];
        if self.severity_text.is_empty() {
            NAMES.get(usize::from(self.severity_number)).copied().unwrap_or_default()
        } else {
            &self.severity_text
        }
    }
}
