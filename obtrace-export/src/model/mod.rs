//! The telemetry model: plain types after
//! [OTLP 1.x](https://github.com/open-telemetry/opentelemetry-proto), cheap to build.

mod item;
mod log;
mod metric;
mod point;
mod span;

use std::{borrow::Cow, fmt};

pub use self::{
    item::{Item, Signal},
    log::LogRecord,
    metric::{Metric, MetricData, Number, Temporality},
    point::{
        Buckets, Exemplar, ExponentialPoint, FLAG_NO_RECORDED_VALUE, HistogramPoint, NumberPoint, Quantile,
        SummaryPoint,
    },
    span::{FLAG_HAS_IS_REMOTE, FLAG_IS_REMOTE, Span, SpanEvent, SpanKind, SpanLink, Status},
};
pub use crate::text::Text;

/// 16 bytes that name a trace; all zero is not valid.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// 8 bytes that name a span; all zero is not valid.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

macro_rules! id {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; $bytes] {
                self.0
            }

            /// Whether it is all zero.
            #[must_use]
            pub fn is_zero(self) -> bool {
                self.0 == [0; $bytes]
            }
        }

        /// Lower-case hexadecimal, as in OTLP JSON and `traceparent`.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}
id!(TraceId, 16);
id!(SpanId, 8);

/// The value of an attribute. 24 bytes: what is rarely used is boxed, so that the usual text and numbers stay small.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value.
    #[default]
    Empty,
    /// Text.
    Str(Text),
    /// A truth value.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// Values in order.
    Array(Box<[Value]>),
    /// Named values.
    Map(Box<[Attribute]>),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Str(text)
    }
}

impl From<Cow<'static, str>> for Value {
    fn from(text: Cow<'static, str>) -> Self {
        Self::Str(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Int(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Self::Array(values.into())
    }
}

impl From<Vec<Attribute>> for Value {
    fn from(values: Vec<Attribute>) -> Self {
        Self::Map(values.into())
    }
}

/// A named value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Attribute {
    /// Its name, by the semantic conventions where they have one.
    pub key: Text,
    /// Its value.
    pub value: Value,
}

impl Attribute {
    /// A named value.
    #[must_use]
    pub fn new(key: impl Into<Text>, value: impl Into<Value>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// What telemetry is about: a service instance, its process, its container.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Resource {
    /// Its attributes; `service.name` should be among them.
    pub attributes: Vec<Attribute>,
    /// How many attributes it had beyond these.
    pub dropped_attributes_count: u32,
    /// Which entities the attributes describe; mostly none is named.
    pub entities: Vec<EntityRef>,
    /// The schema that their names follow.
    pub schema_url: Text,
}

impl Resource {
    /// A resource with these attributes.
    #[must_use]
    pub fn new(attributes: Vec<Attribute>) -> Self {
        Self { attributes, ..Self::default() }
    }

    /// Sets the schema URL.
    #[must_use]
    pub fn with_schema_url(mut self, url: impl Into<Text>) -> Self {
        self.schema_url = url.into();
        self
    }

    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
    }
}

/// An entity that attributes of a resource identify and describe, after OTLP's
/// [`EntityRef`](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/common/v1/common.proto)
/// (in development there).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct EntityRef {
    /// The schema that the names follow.
    pub schema_url: Text,
    /// Its type: `service`, `host`, …
    pub kind: Text,
    /// The keys of the attributes that identify it.
    pub id_keys: Vec<Text>,
    /// The keys of the attributes that describe it.
    pub description_keys: Vec<Text>,
}

impl EntityRef {
    /// An entity of a type, identified by the attributes with these keys.
    #[must_use]
    pub fn new(kind: impl Into<Text>, id_keys: Vec<Text>) -> Self {
        Self { kind: kind.into(), id_keys, ..Self::default() }
    }
}

/// What made the telemetry.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Scope {
    /// The name of the library or program.
    pub name: Text,
    /// Its version.
    pub version: Text,
    /// Its attributes, mostly none.
    pub attributes: Vec<Attribute>,
    /// How many attributes it had beyond these.
    pub dropped_attributes_count: u32,
    /// The schema that the names of its telemetry follow.
    pub schema_url: Text,
}

impl Scope {
    /// A scope.
    #[must_use]
    pub fn new(name: impl Into<Text>, version: impl Into<Text>) -> Self {
        Self { name: name.into(), version: version.into(), ..Self::default() }
    }

    /// Sets the attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Vec<Attribute>) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the schema URL.
    #[must_use]
    pub fn with_schema_url(mut self, url: impl Into<Text>) -> Self {
        self.schema_url = url.into();
        self
    }
}

fn memory_of(attributes: &[Attribute]) -> usize {
    attributes.iter().map(|Attribute { key, value }| size_of::<Attribute>() + key.heap() + value_memory(value)).sum()
}

fn value_memory(value: &Value) -> usize {
    match value {
        Value::Str(text) => text.heap(),
        Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(values) => values.iter().map(|value| size_of::<Value>() + value_memory(value)).sum(),
        Value::Map(entries) => memory_of(entries),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn attributes_stay_small() {
        assert_eq!(size_of::<Value>(), 24);
        assert_eq!(size_of::<Attribute>(), 48);
    }

    #[test]
    fn ids_print_as_lower_case_hex() {
        let mut bytes = [0; 16];
        bytes[0] = 0xab;
        bytes[15] = 1;
        assert_eq!(TraceId::from_bytes(bytes).to_string(), "ab000000000000000000000000000001");
        assert!(SpanId::default().is_zero());
    }

    #[test]
    fn an_end_before_the_start_is_moved_to_it() {
        let span = Span::new(
            TraceId::default(),
            SpanId::default(),
            "s",
            SpanKind::Client,
            Arc::new(Resource::default()),
            Arc::new(Scope::default()),
        )
        .with_times(5, 3);
        assert_eq!((span.start_unix_nano, span.end_unix_nano), (5, 5));
    }

    #[test]
    fn memory_counts_what_is_owned() {
        let mut span = Span::new(
            TraceId::default(),
            SpanId::default(),
            "static",
            SpanKind::Client,
            Arc::new(Resource::new(vec![Attribute::new("shared", "x".repeat(1000))])),
            Arc::new(Scope::default()),
        );
        let empty = span.memory();
        assert_eq!(empty, size_of::<Span>());
        span.push("key", "static");
        assert_eq!(span.memory(), empty + 48);
        span.push("key", vec![Value::from("x".repeat(100)), Value::from(1_i64)]);
        assert_eq!(span.memory(), empty + 96 + 48 + 100);
    }
}
