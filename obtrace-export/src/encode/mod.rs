//! Wire forms, written straight from the [model](crate::model) to bytes.

mod group;
pub mod json;
pub mod line;
pub mod protobuf;
pub mod terminal;
pub mod text;

use self::group::Grouping;
use crate::model::{Item, LogRecord, Metric, Span};

/// Values nested deeper than this are written as empty ones: a receiver refuses a whole request whose messages are nested
/// too deep (protobuf stops at 100 messages; each level of a map takes three).
pub const MAX_DEPTH: usize = 24;

/// The wire form of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `application/json`
    #[default]
    Json,
    /// `application/x-protobuf`
    Protobuf,
}

impl Format {
    /// Its content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }
}

/// Writes the export requests of any signal. Keeps what it needs for grouping between calls: in steady state nothing is
/// allocated.
///
/// ```
/// use obtrace_export::{encode::{Encoder, Format}, model::LogRecord};
///
/// let mut body = Vec::new();
/// let record = LogRecord::new("up", Default::default(), Default::default());
/// Encoder::new().encode(Format::Json, &[record], &mut body);
/// assert!(body.starts_with(br#"{"resourceLogs":["#));
/// ```
#[derive(Debug, Default)]
pub struct Encoder {
    grouping: Grouping,
}

impl Encoder {
    /// An encoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one request with these items, grouped by resource and scope. No items are `{}` in JSON, and no byte in protobuf.
    pub fn encode<T: Item>(&mut self, format: Format, items: &[T], out: &mut Vec<u8>) {
        match format {
            Format::Json => T::encode_json(&mut self.grouping, items, out),
            Format::Protobuf => T::encode_protobuf(&mut self.grouping, items, out),
        }
    }
}

/// What knows its wire forms: nothing outside of this crate.
pub trait Encodable: sealed::Sealed {}

mod sealed {
    use super::Grouping;
    use crate::decode::Telemetry;

    /// Seals [`Item`](crate::model::Item).
    pub trait Sealed: Sized {
        fn encode_json(grouping: &mut Grouping, items: &[Self], out: &mut Vec<u8>);
        fn encode_protobuf(grouping: &mut Grouping, items: &[Self], out: &mut Vec<u8>);
        /// Those that were read, if they are such items.
        fn decoded(telemetry: Telemetry) -> Option<Vec<Self>>;
        /// Takes half of what it says out as an item of its own, if it can be divided.
        fn split_off(&mut self) -> Option<Self>;
    }
}

/// What cannot be divided.
fn whole<T>(_: &mut T) -> Option<T> {
    None
}

macro_rules! encodable {
    ($($name:ty, $signal:ident, $names:ident, $json:path, $protobuf:path, $split_off:expr);*;) => {$(
        impl Encodable for $name {}

        impl sealed::Sealed for $name {
            fn encode_json(grouping: &mut Grouping, items: &[Self], out: &mut Vec<u8>) {
                json::encode(grouping, &json::$names, items, out, $json);
            }

            fn encode_protobuf(grouping: &mut Grouping, items: &[Self], out: &mut Vec<u8>) {
                protobuf::encode(grouping, items, out, $protobuf);
            }

            fn decoded(telemetry: crate::decode::Telemetry) -> Option<Vec<Self>> {
                match telemetry {
                    crate::decode::Telemetry::$signal(items) => Some(items),
                    _ => None,
                }
            }

            fn split_off(&mut self) -> Option<Self> {
                $split_off(self)
            }
        }
    )*};
}
encodable! {
    Span, Traces, SPANS, json::push_span, protobuf::push_span, whole;
    LogRecord, Logs, LOG_RECORDS, json::push_log_record, protobuf::push_log_record, whole;
    Metric, Metrics, METRICS, json::push_metric, protobuf::push_metric, Metric::split_off;
}
