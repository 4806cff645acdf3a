//! From the wire forms back to the [model](crate::model): for tests, for replaying what was kept, and for whoever receives
//! OTLP (the module `receive`, behind its feature, is built on it).
//!
//! A body is read field by field, without a tree in between, and taken whole or refused whole. It may be hostile: see
//! [`Limits`]. Unknown fields are passed over.

mod base64;
mod escape;
mod fields;
mod items;
mod json;
mod metrics;
mod protobuf;
mod source;

pub use self::{
    items::decode,
    source::{DecodeError, DecodeErrorKind},
};
use crate::model::{LogRecord, Metric, Span};

/// What a body may hold. What goes beyond is refused with [`DecodeErrorKind::TooLarge`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Spans, log records or data points: 20,000.
    pub items: usize,
    /// Messages, and numbers in lists: resources, attributes, values, events… 1,000,000. What is decoded takes about 100
    /// bytes each.
    pub elements: usize,
    /// How deep messages may be nested: 100, as in protobuf's own readers.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { items: 20_000, elements: 1_000_000, depth: 100 }
    }
}

impl Limits {
    /// Those that suit bodies of a few megabytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many spans, log records or data points there may be.
    #[must_use]
    pub const fn with_items(mut self, items: usize) -> Self {
        self.items = items;
        self
    }

    /// Sets how many messages, and numbers in lists, there may be.
    #[must_use]
    pub const fn with_elements(mut self, elements: usize) -> Self {
        self.elements = elements;
        self
    }

    /// Sets how deep messages may be nested.
    #[must_use]
    pub const fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
}

/// The items of a body, in their order. Those of one `ResourceSpans` (and so on) share their resource, those of one
/// `ScopeSpans` their scope.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Telemetry {
    /// Spans.
    Traces(Vec<Span>),
    /// Log records.
    Logs(Vec<LogRecord>),
    /// Metrics.
    Metrics(Vec<Metric>),
}

impl Telemetry {
    /// How many spans, log records or data points there are.
    #[must_use]
    pub fn items(&self) -> usize {
        match self {
            Self::Traces(spans) => spans.len(),
            Self::Logs(records) => records.len(),
            Self::Metrics(metrics) => metrics.iter().map(|metric| metric.data.len()).sum(),
        }
    }
}
