//! From exchanges to spans: ids, parents, names and attributes.
//!
//! A [`Traces`] is told of every request that begins ([`Traces::opened`]) and of every exchange that ends
//! ([`Traces::exchange`]), in the order in which the kernel saw them, and gives one span for each exchange.
//!
//! **Server requests**: an incoming `traceparent` wins; else, if the same bytes were seen leaving a socket of this
//! machine, the span of that client is the parent; else a trace begins. A WebSocket session begins with the server's
//! answer, which the server sees first: its place is settled when its client is seen.
//!
//! **Client requests**: a `traceparent` that the application sends itself is used, never doubled. The parent is the
//! server exchange that is open on the same strand, if exactly one is; on a strand without any, the one open on a
//! strand that made this one, if it is the only one of its whole process. A process that moves requests between its
//! threads has to come as one strand ([`Strand::of_process`]). In doubt the request stays a root and is counted in
//! [`Counters::parent_ambiguous`]: wrong parents are worse than missing ones.
//!
//! **Sampling** goes by the parent: a `traceparent` decides by its sampled flag, a parent that was seen here as it was decided itself,
//! and of a trace that begins here the [`Sampler`]. What is not sampled has its place all the same, and no span.

mod headers;
mod identity;
mod keyed;
mod links;
mod open;
mod sampling;
mod settings;
mod span;
mod strands;

use std::{net::SocketAddr, sync::Arc};

use obtrace_export::model::{Attribute, Resource, Scope, Span, SpanId, TraceId};
use obtrace_protocols::{Completeness, Exchange, Opened, Role, Stage, TraceContext};

pub use sampling::Sampler;
pub use settings::{QueryText, Settings};
pub use strands::Strand;

use headers::{Header, Headers};
use identity::IdGenerator;
use links::{Expecting, Links};
use open::{Open, OpenTable};
use strands::{Parent, Strands};

/// The schema that the names of all telemetry follow.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

/// The transport of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// A Unix stream socket.
    Unix,
}

/// Where an exchange was seen.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Tells the connection from all others of the same source: the socket's id, the number of a stream.
    pub id: u64,
    /// The role of the observed end, once it is known: set it from
    /// [`Connection::role`](obtrace_protocols::Connection::role) before [`Traces::opened`].
    pub role: Option<Role>,
    /// The transport.
    pub transport: Transport,
    /// The address of the observed end.
    pub local: Option<SocketAddr>,
    /// The address of its peer.
    pub remote: Option<SocketAddr>,
    /// What the other end of a Unix connection knows as its `peer_key`; 0 elsewhere.
    pub own_key: u64,
    /// What the other end of a Unix connection knows as its `own_key`; 0 where it is not known.
    pub peer_key: u64,
}

impl ConnectionInfo {
    /// A connection of which only this is known.
    #[must_use]
    pub const fn new(id: u64, transport: Transport) -> Self {
        Self { id, role: None, transport, local: None, remote: None, own_key: 0, peer_key: 0 }
    }

    /// Sets the role of the observed end.
    #[must_use]
    pub const fn with_role(mut self, role: Option<Role>) -> Self {
        self.role = role;
        self
    }

    /// Sets the addresses of the observed end and of its peer.
    #[must_use]
    pub const fn with_addresses(mut self, local: Option<SocketAddr>, remote: Option<SocketAddr>) -> Self {
        self.local = local;
        self.remote = remote;
        self
    }

    /// Sets the keys that tell the two ends of a Unix connection.
    #[must_use]
    pub const fn with_keys(mut self, own: u64, peer: u64) -> Self {
        self.own_key = own;
        self.peer_key = peer;
        self
    }
}

/// A connection that could not be opened.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FailedConnect {
    /// When the connect was called, in the source's clock.
    pub start: u64,
    /// When it failed.
    pub end: u64,
    /// Who called.
    pub strand: Strand,
    /// The transport.
    pub transport: Transport,
    /// The address that was asked for.
    pub remote: Option<SocketAddr>,
    /// The error number, positive.
    pub errno: u32,
}

impl FailedConnect {
    /// A connect from `start` to `end` that ended in `errno`.
    #[must_use]
    pub const fn new(start: u64, end: u64, strand: Strand, transport: Transport, errno: u32) -> Self {
        Self { start, end, strand, transport, remote: None, errno }
    }

    /// Sets the address that was asked for.
    #[must_use]
    pub const fn with_remote(mut self, remote: Option<SocketAddr>) -> Self {
        self.remote = remote;
        self
    }
}

/// A span with what only we say of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpanRecord {
    /// The span.
    pub span: Span,
    /// The protocol it was spoken in, as in the output: `http`, `postgres`, …, `connect`.
    pub protocol: &'static str,
    /// How much of the exchange was seen.
    pub completeness: Completeness,
    /// Whether its trace is kept. One that is not is made for metrics alone ([`Settings::unsampled`]).
    pub sampled: bool,
}

impl SpanRecord {
    /// A span of a protocol, in a trace that is kept.
    #[must_use]
    pub const fn new(span: Span, protocol: &'static str, completeness: Completeness) -> Self {
        Self { span, protocol, completeness, sampled: true }
    }

    /// Sets [`SpanRecord::sampled`], and the flag of the span that says so.
    #[must_use]
    pub const fn with_sampled(mut self, sampled: bool) -> Self {
        self.sampled = sampled;
        self.span.flags = if sampled { self.span.flags | 1 } else { self.span.flags & !1 };
        self
    }
}

/// What happened to spans; each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Spans given out.
    pub spans: u64,
    /// Client exchanges that stayed roots because several server exchanges could have caused them.
    pub parent_ambiguous: u64,
    /// Requests whose `traceparent` was not used because it was used too often or for too long.
    pub stale_context: u64,
    /// Server exchanges recognised as asked for by a client of this machine.
    pub linked: u64,
    /// Exchanges that have no place in a trace, because too many were open when they began.
    pub open_overflow: u64,
    /// Exchanges without a span, or with one for metrics alone, because their trace is not sampled.
    pub unsampled: u64,
}

/// The place of a span in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanContext {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// Whether it is kept.
    pub(crate) sampled: bool,
}

impl From<&TraceContext> for SpanContext {
    fn from(header: &TraceContext) -> Self {
        Self {
            trace_id: TraceId::from_bytes(header.trace_id),
            span_id: SpanId::from_bytes(header.span_id),
            sampled: header.flags & 1 == 1,
        }
    }
}

/// A span's own context, what it hangs below, and how that was found.
#[derive(Clone, Copy, Debug)]
struct Place {
    context: SpanContext,
    parent: Option<SpanId>,
    /// Several server exchanges could be its parent.
    ambiguous: bool,
    /// Its parent is the client that sent it.
    linked: bool,
}

impl Place {
    const fn new(context: SpanContext, parent: Option<SpanId>) -> Self {
        Self { context, parent, ambiguous: false, linked: false }
    }
}

/// Gives exchanges their places in traces and makes spans of them.
#[derive(Debug)]
pub struct Traces {
    settings: Settings,
    ids: IdGenerator,
    open: OpenTable,
    strands: Strands,
    headers: Headers,
    links: Links,
    memory: span::Memory,
    scope: Arc<Scope>,
    clock_offset: u64,
    counters: Counters,
}

impl Traces {
    /// No exchange is open yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let scope = Scope::new("obtrace-agent", env!("CARGO_PKG_VERSION")).with_schema_url(SCHEMA_URL);
        Self {
            settings,
            ids: IdGenerator::from_os(),
            open: OpenTable::default(),
            strands: Strands::default(),
            headers: Headers::default(),
            links: Links::default(),
            memory: span::Memory::default(),
            scope: Arc::new(scope),
            clock_offset: 0,
            counters: Counters::default(),
        }
    }

    /// Sets what has to be added (modulo 2⁶⁴) to the source's clock to have nanoseconds since the Unix epoch. 0 at
    /// first, for a source whose clock is that already.
    pub fn set_clock_offset(&mut self, offset: u64) {
        self.clock_offset = offset;
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// How many exchanges are open.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open.len()
    }

    /// A strand made another: a thread began, a process forked.
    pub fn forked(&mut self, parent: Strand, child: Strand, time: u64) {
        self.strands.forked(parent, child, time, self.settings.max_strands);
    }

    /// A request began, or what had begun is or is not a request. Has to be told before anything that it causes.
    pub fn opened(&mut self, info: &ConnectionInfo, opened: &Opened) {
        match opened.stage {
            Stage::Confirmed => self.confirmed(info, opened.id),
            Stage::Withdrawn => self.withdrawn(info, opened),
            _ => self.begun(info, opened),
        }
    }

    fn begun(&mut self, info: &ConnectionInfo, opened: &Opened) {
        if self.open.len() >= self.settings.max_open {
            return;
        }
        let strand = Strand::from_tag(opened.tag);
        let start = opened.start.as_nanos();
        // What a server sends unasked is received by the client.
        let is_server = info.role == Some(opened.sender.peer());
        let place = if is_server {
            self.server_place(info, opened, start)
        } else {
            let place = self.client_place(strand, opened.trace_context, start);
            if let Some(server) = self.links.sent(info, opened.offset, start, place.context, &self.settings) {
                self.link(server, place.context);
            }
            place
        };
        if is_server && !place.linked && opened.stage == Stage::Tentative {
            self.links.expect(info, opened.offset, start, opened.id, &self.settings);
        }
        let mut open = Open { id: opened.id, place, strand, start, is_server, server: None };
        if opened.stage != Stage::Tentative {
            open.enter(&mut self.strands);
        }
        self.open.insert(info.id, open);
    }

    /// The client of a server's exchange was seen after it. What is in a trace that others may know of stays there.
    fn link(&mut self, (connection, id): Expecting, client: SpanContext) {
        let Some(open) = self.open.get_mut(connection, id).filter(|open| open.server.is_none()) else { return };
        let place = &mut open.place;
        place.linked = true;
        if place.parent.is_none() || place.context.trace_id == client.trace_id {
            place.context = SpanContext { span_id: place.context.span_id, ..client };
            place.parent = Some(client.span_id);
        }
    }

    fn confirmed(&mut self, info: &ConnectionInfo, id: u64) {
        if let Some(open) = self.open.get_mut(info.id, id).filter(|open| open.server.is_none()) {
            open.enter(&mut self.strands);
        }
    }

    fn withdrawn(&mut self, info: &ConnectionInfo, opened: &Opened) {
        if let Some(open) = self.open.remove(info.id, opened.id) {
            // Nobody is to have a parent that is never exported.
            self.links.withdrawn(info, opened.offset, open.place.context);
            self.leave(&open, opened.start.as_nanos());
        }
    }

    /// An exchange ended: gives its span to `sink`. `resource` is the process whose exchange it is.
    pub fn exchange(
        &mut self,
        info: &ConnectionInfo,
        resource: &Arc<Resource>,
        exchange: &Exchange<'_>,
        sink: &mut impl FnMut(SpanRecord),
    ) {
        let end = exchange.end().as_nanos();
        let place = match self.open.remove(info.id, exchange.id) {
            Some(open) => {
                self.leave(&open, end);
                open.place
            }
            None => {
                self.counters.open_overflow += 1;
                Place::new(self.new_context(), None)
            }
        };
        if !self.is_made(&place) {
            return;
        }
        let input = span::Input::new(info, exchange, &self.settings, &mut self.memory);
        let mut span = input.span(place.context, resource, &self.scope, &mut self.memory).with_parent(place.parent);
        span.start_unix_nano = exchange.request.start.as_nanos().wrapping_add(self.clock_offset);
        span.end_unix_nano = end.wrapping_add(self.clock_offset).max(span.start_unix_nano);
        let record = SpanRecord::new(span, exchange.protocol.name(), exchange.completeness);
        sink(record.with_sampled(place.context.sampled));
    }

    /// Counts what has that place. Whether a span is to be made of it.
    fn is_made(&mut self, place: &Place) -> bool {
        if !place.context.sampled {
            self.counters.unsampled += 1;
            return self.settings.unsampled;
        }
        self.counters.spans += 1;
        self.counters.linked += u64::from(place.linked);
        self.counters.parent_ambiguous += u64::from(place.ambiguous);
        true
    }

    /// Takes back the attributes of a span that is done with: the next one is made in their memory.
    pub fn give_back(&mut self, attributes: Vec<Attribute>) {
        self.memory.give_back(attributes);
    }

    /// A connection could not be opened: gives its span to `sink`.
    pub fn connect_failed(
        &mut self,
        failed: &FailedConnect,
        resource: &Arc<Resource>,
        sink: &mut impl FnMut(SpanRecord),
    ) {
        let place = self.client_place(failed.strand, None, failed.start);
        if !self.is_made(&place) {
            return;
        }
        let start = failed.start.wrapping_add(self.clock_offset);
        let end = failed.end.wrapping_add(self.clock_offset);
        let span = span::failed_connect(failed, place.context, resource, &self.scope).with_parent(place.parent);
        let record = SpanRecord::new(span.with_times(start, end), "connect", Completeness::Complete);
        sink(record.with_sampled(place.context.sampled));
    }

    /// A connection is gone at this time, and every exchange of it was told.
    pub fn closed(&mut self, info: &ConnectionInfo, time: u64) {
        for open in self.open.remove_all(info.id) {
            self.leave(&open, time);
        }
    }

    fn leave(&mut self, open: &Open, end: u64) {
        if let Some(server) = &open.server {
            self.strands.remove(open.strand, server, end);
        }
    }

    fn new_context(&mut self) -> SpanContext {
        let trace_id = self.ids.trace_id();
        SpanContext { trace_id, span_id: self.ids.span_id(), sampled: self.settings.sampler.keeps(trace_id) }
    }

    fn child_of(&mut self, parent: SpanContext) -> Place {
        Place::new(SpanContext { span_id: self.ids.span_id(), ..parent }, Some(parent.span_id))
    }

    /// Whether a header may be used now; a stale one is counted and is not.
    fn adopt(&mut self, context: Option<TraceContext>, now: u64) -> Option<(TraceContext, Header)> {
        let context = context?;
        match self.headers.adopt(&context, now, &self.settings) {
            Header::Stale => {
                self.counters.stale_context += 1;
                None
            }
            usable => Some((context, usable)),
        }
    }

    fn server_place(&mut self, info: &ConnectionInfo, opened: &Opened, start: u64) -> Place {
        let link = self.links.received(info, opened.offset, start, &self.settings);
        let place = match (self.adopt(opened.trace_context, start), link) {
            (Some((incoming, _)), Some(link)) if link.trace_id.to_bytes() == incoming.trace_id => self.child_of(link),
            (Some((incoming, _)), _) => self.child_of(SpanContext::from(&incoming)),
            (None, Some(link)) => self.child_of(link),
            (None, None) => Place::new(self.new_context(), None),
        };
        Place { linked: link.is_some(), ..place }
    }

    fn client_place(&mut self, strand: Strand, own: Option<TraceContext>, start: u64) -> Place {
        let on_strand = self.strands.parent_of(strand, start);
        let Some((own, header)) = self.adopt(own, start) else {
            return match on_strand {
                Parent::One(server) => self.child_of(server.context()),
                Parent::None => Place::new(self.new_context(), None),
                Parent::Ambiguous => Place { ambiguous: true, ..Place::new(self.new_context(), None) },
            };
        };
        // The application's own context says which trace this is, and often which of several requests.
        let context = SpanContext::from(&own);
        let trace_id = context.trace_id;
        let (parent, ambiguous) = match (on_strand, self.strands.of_trace(strand, trace_id, start)) {
            (Parent::One(server), _) if server.trace_id == trace_id => (Some(server.span_id), false),
            (_, Parent::One(server)) => (Some(server.span_id), false),
            (_, Parent::Ambiguous) => (None, true),
            (_, Parent::None) => (None, false),
        };
        // A header that was seen before is a forwarded copy or a repetition: its span id is taken.
        let span_id = if header == Header::New { context.span_id } else { self.ids.span_id() };
        Place { ambiguous, ..Place::new(SpanContext { span_id, ..context }, parent) }
    }
}

#[cfg(test)]
mod tests;
