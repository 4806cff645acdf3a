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
    /// How many attributes it had beyond these.
    pub dropped_attributes_count: u32,
    /// The low eight bits are W3C's trace flags, of which bit 0 is *sampled*; the others are reserved.
    pub flags: u32,
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

    /// Sets when it happened and when it was seen, in nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn with_times(mut self, time: u64, observed: u64) -> Self {
        self.time_unix_nano = time;
        self.observed_time_unix_nano = observed;
        self
    }

    /// Sets the severity: its number, 1 to 24, and what the source calls it.
    ///
    /// ```
    /// use obtrace_export::model::LogRecord;
    /// let record = LogRecord::new("disk full", Default::default(), Default::default()).with_severity(17, "");
    /// assert_eq!(record.severity(), "ERROR");
    /// ```
    #[must_use]
    pub fn with_severity(mut self, number: u8, text: impl Into<Text>) -> Self {
        self.severity_number = number;
        self.severity_text = text.into();
        self
    }

    /// Sets the span in which it was written.
    #[must_use]
    pub const fn with_span(mut self, trace: TraceId, span: SpanId) -> Self {
        self.trace_id = Some(trace);
        self.span_id = Some(span);
        self
    }

    /// Adds an attribute.
    pub fn push(&mut self, key: impl Into<Text>, value: impl Into<Value>) {
        self.attributes.push(Attribute::new(key, value));
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
