//! Names and attributes of spans, by the semantic conventions
//! ([HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/),
//! [databases](https://opentelemetry.io/docs/specs/semconv/db/database-spans/),
//! [DNS](https://opentelemetry.io/docs/specs/semconv/registry/attributes/dns/),
//! [messaging](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/)).

/// The name of an attribute, looked through when it is compiled for what JSON escapes.
macro_rules! key {
    ($name:literal) => {
        const { ::obtrace_export::model::Text::key(concat!("\"", $name, "\":")) }
    };
}

mod address;
mod connect;
mod database;
mod dns;
mod fastcgi;
mod http;
mod http2;
mod kafka;
mod mqtt;
mod mysql;
mod payload;
mod query;
mod sql;
mod template;
mod websocket;

use std::sync::Arc;

use obtrace_export::model::{Attribute, Resource, Scope, Span, SpanKind, Status, Text, Value};
use obtrace_protocols::{Details, Exchange, Role};

use super::{ConnectionInfo, FailedConnect, Settings, SpanContext, Transport};

use address::{Address, Writer};
pub(super) use connect::failed_connect;
use template::Templates;

/// What is kept from one span to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    names: Templates,
    local: Writer,
    remote: Writer,
    /// Emptied lists of attributes.
    spare: Vec<Vec<Attribute>>,
}

/// Attributes that a list has room for at first.
const USUAL: usize = 16;
/// Most lists that are kept; one that has room for much more than the usual is not.
const MAX_SPARE: usize = 512;

impl Memory {
    /// Keeps a list for the next span.
    pub(super) fn give_back(&mut self, mut attributes: Vec<Attribute>) {
        if self.spare.len() < MAX_SPARE && (1..=2 * USUAL).contains(&attributes.capacity()) {
            attributes.clear();
            self.spare.push(attributes);
        }
    }
}

/// What a span is made of.
pub(super) struct Input<'a> {
    info: &'a ConnectionInfo,
    exchange: &'a Exchange<'a>,
    settings: &'a Settings,
    local: Address,
    remote: Address,
}

impl<'a> Input<'a> {
    pub(super) fn new(
        info: &'a ConnectionInfo,
        exchange: &'a Exchange<'a>,
        settings: &'a Settings,
        memory: &mut Memory,
    ) -> Self {
        let (local, remote) = (memory.local.write(info.local), memory.remote.write(info.remote));
        Self { info, exchange, settings, local, remote }
    }

    pub(super) fn span(
        &self,
        context: SpanContext,
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
        memory: &mut Memory,
    ) -> Span {
        let kind = match self.exchange.role {
            Role::Client => SpanKind::Client,
            Role::Server => SpanKind::Server,
        };
        let mut span = Span::new(context.trace_id, context.span_id, "", kind, resource.clone(), scope.clone());
        span.attributes = memory.spare.pop().unwrap_or_else(|| Vec::with_capacity(USUAL));
        match &self.exchange.details {
            Details::Http(details) => http::describe(self, details, &mut memory.names, &mut span),
            Details::MySql(details) => mysql::describe(self, details, &mut span),
            Details::FastCgi(details) => fastcgi::describe(self, details, &mut memory.names, &mut span),
            Details::MongoDb(details) => database::mongodb(self, details, &mut span),
            Details::Http2(details) => http2::describe(self, details, &mut memory.names, &mut span),
            Details::Grpc(details) => http2::grpc(self, details, &mut span),
            Details::Postgres(details) => database::postgres(self, details, &mut span),
            Details::Redis(details) => database::redis(self, details, &mut span),
            Details::Dns(details) => dns::describe(self, details, &mut span),
            Details::Kafka(details) => kafka::describe(self, details, &mut span),
            Details::Mqtt(details) => mqtt::describe(self, details, &mut memory.names, &mut span),
            Details::Sql(details) => sql::describe(self, details, &mut span),
            Details::WebSocket(details) => websocket::describe(self, details, &mut memory.names, &mut span),
            _ => {
                span.name = Text::copied(&self.exchange.operation);
                self.push_server(&mut span);
            }
        }
        self.remote.push(&mut span, key!("network.peer.address"), key!("network.peer.port"));
        if self.info.transport == Transport::Unix {
            span.push(key!("network.transport"), "unix");
        }
        if let Some(error) = &self.exchange.error {
            span.push(key!("error.type"), Text::copied(error));
            span.status = Status::Error { description: Text::default() };
        }
        span
    }

    /// The address of the end that answers.
    const fn server(&self) -> &Address {
        match self.exchange.role {
            Role::Client => &self.remote,
            Role::Server => &self.local,
        }
    }

    fn push_server(&self, span: &mut Span) {
        self.server().push(span, key!("server.address"), key!("server.port"));
    }

    /// The end that asks, where the other one is observed.
    fn push_client(&self, span: &mut Span) {
        if self.exchange.role == Role::Server {
            self.remote.push(span, key!("client.address"), key!("client.port"));
        }
    }
}

fn push_text(span: &mut Span, key: Text, text: &str) {
    if !text.is_empty() {
        span.push(key, Text::copied(text));
    }
}

fn push_count(span: &mut Span, key: Text, count: u64) {
    span.push(key, Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
}
