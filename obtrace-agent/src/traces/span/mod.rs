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
        if !self.describe(&mut memory.names, &mut span) {
            span.name = Text::copied(&self.exchange.operation);
            self.push_server(&mut span);
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

    /// Name and attributes of what was asked and answered. `false`: the protocol is newer than this program.
    fn describe(&self, names: &mut Templates, span: &mut Span) -> bool {
        match &self.exchange.details {
            Details::Http(details) => http::describe(self, details, names, span),
            Details::MySql(details) => mysql::describe(self, details, span),
            Details::FastCgi(details) => fastcgi::describe(self, details, names, span),
            Details::MongoDb(details) => database::mongodb(self, details, span),
            Details::Http2(details) => http2::describe(self, details, names, span),
            Details::Grpc(details) => http2::grpc(self, details, span),
            Details::Postgres(details) => database::postgres(self, details, span),
            Details::Redis(details) => database::redis(self, details, span),
            Details::Dns(details) => dns::describe(self, details, span),
            Details::Kafka(details) => kafka::describe(self, details, span),
            Details::Mqtt(details) => mqtt::describe(self, details, names, span),
            Details::Sql(details) => sql::describe(self, details, span),
            Details::WebSocket(details) => websocket::describe(self, details, names, span),
            _ => return false,
        }
        true
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

#[cfg(test)]
mod tests {
    use obtrace_export::model::{SpanId, TraceId};
    use obtrace_protocols::Protocol;

    use super::*;

    #[test]
    fn every_protocol_is_described() {
        let (info, settings) = (ConnectionInfo::new(1, Transport::Tcp), Settings::default());
        for &protocol in Protocol::ALL {
            for (role, kind) in [(Role::Client, SpanKind::Client), (Role::Server, SpanKind::Server)] {
                let (mut memory, exchange) = (Memory::default(), Exchange::unknown(protocol, role));
                let mut span =
                    Span::new(TraceId::default(), SpanId::default(), "", kind, Arc::default(), Arc::default());
                let input = Input::new(&info, &exchange, &settings, &mut memory);
                assert!(input.describe(&mut memory.names, &mut span), "{protocol} is not described");
                assert!(!span.attributes.is_empty(), "{protocol}: {span:?}");
            }
        }
    }
}
