//! Spans.

use std::sync::Arc;

use super::{Attribute, Resource, Scope, SpanId, Text, TraceId, Value, memory_of};

/// Set in the flags of a span or a link if [`FLAG_IS_REMOTE`] says something: `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`.
pub const FLAG_HAS_IS_REMOTE: u32 = 0x100;
/// Set in the flags of a span if its parent, of a link if the other span, is of another process:
/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`.
pub const FLAG_IS_REMOTE: u32 = 0x200;

/// The kind of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanKind {
    /// Work inside a service.
    #[default]
    Internal,
    /// A request that was answered.
    Server,
    /// A request that was made.
    Client,
    /// A message that was sent.
    Producer,
    /// A message that was processed.
    Consumer,
}

/// Whether the operation of a span succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Not said: it did not fail.
    #[default]
    Unset,
    /// Said to have succeeded.
    Ok,
    /// Failed.
    Error {
        /// A description for people; may be empty.
        description: Text,
    },
}

/// Something that happened during a span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpanEvent {
    /// Nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// Its name.
    pub name: Text,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// How many attributes it had beyond these.
    pub dropped_attributes_count: u32,
}

impl SpanEvent {
    /// An event.
    #[must_use]
    pub fn new(time_unix_nano: u64, name: impl Into<Text>, attributes: Vec<Attribute>) -> Self {
        Self { time_unix_nano, name: name.into(), attributes, dropped_attributes_count: 0 }
    }
}

/// A reference from a span to another.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpanLink {
    /// The other's trace.
    pub trace_id: TraceId,
    /// The other.
    pub span_id: SpanId,
    /// W3C trace state of the other.
    pub trace_state: Text,
    /// As [`Span::flags`]; of the other, and whether it is remote.
    pub flags: u32,
    /// Attributes of the reference.
    pub attributes: Vec<Attribute>,
    /// How many attributes it had beyond these.
    pub dropped_attributes_count: u32,
}

impl SpanLink {
    /// A reference to that span.
    #[must_use]
    pub fn new(trace_id: TraceId, span_id: SpanId, attributes: Vec<Attribute>) -> Self {
        Self { trace_id, span_id, trace_state: Text::default(), flags: 0, attributes, dropped_attributes_count: 0 }
    }

    /// Sets the flags: W3C's, and [`FLAG_HAS_IS_REMOTE`] with its companion.
    #[must_use]
    pub const fn with_flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the trace state.
    #[must_use]
    pub fn with_trace_state(mut self, state: impl Into<Text>) -> Self {
        self.trace_state = state.into();
        self
    }
}

/// A span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// Its parent; `None` for the root of a trace.
    pub parent_span_id: Option<SpanId>,
    /// The low eight bits are W3C's trace flags, of which bit 0 is *sampled*; above them [`FLAG_HAS_IS_REMOTE`] and
    /// [`FLAG_IS_REMOTE`], about the parent.
    pub flags: u32,
    /// W3C trace state.
    pub trace_state: Text,
    /// Its name, of low cardinality.
    pub name: Text,
    /// Its kind.
    pub kind: SpanKind,
    /// Nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// Nanoseconds since the Unix epoch, not before the start.
    pub end_unix_nano: u64,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// How many attributes it had beyond these.
    pub dropped_attributes_count: u32,
    /// Its events.
    pub events: Vec<SpanEvent>,
    /// How many events it had beyond these.
    pub dropped_events_count: u32,
    /// Its links.
    pub links: Vec<SpanLink>,
    /// How many links it had beyond these.
    pub dropped_links_count: u32,
    /// Its status.
    pub status: Status,
    /// What it is about; shared by all spans of the same service instance.
    pub resource: Arc<Resource>,
    /// What made it.
    pub scope: Arc<Scope>,
}

impl Span {
    /// A sampled span without a parent, attributes, events and links.
    #[must_use]
    pub fn new(
        trace_id: TraceId,
        span_id: SpanId,
        name: impl Into<Text>,
        kind: SpanKind,
        resource: Arc<Resource>,
        scope: Arc<Scope>,
    ) -> Self {
        Self {
            trace_id,
            span_id,
            parent_span_id: None,
            flags: 1,
            trace_state: Text::default(),
            name: name.into(),
            kind,
            start_unix_nano: 0,
            end_unix_nano: 0,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: Vec::new(),
            dropped_events_count: 0,
            links: Vec::new(),
            dropped_links_count: 0,
            status: Status::Unset,
            resource,
            scope,
        }
    }

    /// Sets start and end, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn with_times(mut self, start: u64, end: u64) -> Self {
        self.start_unix_nano = start;
        self.end_unix_nano = end.max(start);
        self
    }

    /// Sets the parent.
    #[must_use]
    pub fn with_parent(mut self, parent: Option<SpanId>) -> Self {
        self.parent_span_id = parent;
        self
    }

    /// Adds an attribute.
    pub fn push(&mut self, key: impl Into<Text>, value: impl Into<Value>) {
        self.attributes.push(Attribute::new(key, value));
    }

    /// About how many bytes of memory it holds, itself included; not what it shares. Queues are bounded by it.
    #[must_use]
    pub fn memory(&self) -> usize {
        let events = self.events.iter().map(|event| event.name.heap() + memory_of(&event.attributes));
        let links = self.links.iter().map(|link| link.trace_state.heap() + memory_of(&link.attributes));
        let description = if let Status::Error { description } = &self.status { description.heap() } else { 0 };
        size_of::<Self>()
            + self.name.heap()
            + self.trace_state.heap()
            + description
            + memory_of(&self.attributes)
            + self.events.len() * size_of::<SpanEvent>()
            + events.sum::<usize>()
            + self.links.len() * size_of::<SpanLink>()
            + links.sum::<usize>()
    }
}
