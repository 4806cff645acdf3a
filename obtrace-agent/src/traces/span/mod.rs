//! Names and attributes of spans, by the semantic conventions
//! ([HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/),
//! [databases](https://opentelemetry.io/docs/specs/semconv/db/database-spans/),
//! [DNS](https://opentelemetry.io/docs/specs/semconv/registry/attributes/dns/)).

mod connect;
mod database;
mod dns;
mod http;
mod query;
mod template;

use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use obtrace_export::model::{Resource, Scope, Span, SpanKind, Status, Value};
use obtrace_protocols::{Details, Exchange, Role};

use super::{ConnectionInfo, FailedConnect, Settings, SpanContext, Transport};

pub(super) use connect::failed_connect;
pub(super) use template::Templates;

/// What a span is made of.
pub(super) struct Input<'a> {
    pub(super) info: &'a ConnectionInfo,
    pub(super) exchange: &'a Exchange<'a>,
    pub(super) settings: &'a Settings,
}

impl Input<'_> {
    pub(super) fn span(
        &self,
        context: SpanContext,
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
        names: &mut Templates,
    ) -> Span {
        let kind = match self.exchange.role {
            Role::Client => SpanKind::Client,
            Role::Server => SpanKind::Server,
        };
        let mut span = Span::new(context.trace_id, context.span_id, "", kind, resource.clone(), scope.clone());
        span.attributes.reserve(16);
        match &self.exchange.details {
            Details::Http(details) => http::describe(self, details, names, &mut span),
            Details::Postgres(details) => database::postgres(self, details, &mut span),
            Details::Redis(details) => database::redis(self, details, &mut span),
            Details::Dns(details) => dns::describe(self, details, &mut span),
            _ => {
                span.name = self.exchange.operation.clone().into_owned().into();
                self.push_server(&mut span);
            }
        }
        push_address(&mut span, "network.peer.address", "network.peer.port", self.info.remote);
        if self.info.transport == Transport::Unix {
            span.push("network.transport", "unix");
        }
        if let Some(error) = &self.exchange.error {
            span.push("error.type", error.clone().into_owned());
            span.status = Status::Error { description: Cow::Borrowed("") };
        }
        span
    }

    /// The address of the end that answers.
    fn server(&self) -> Option<SocketAddr> {
        match self.exchange.role {
            Role::Client => self.info.remote,
            Role::Server => self.info.local,
        }
    }

    fn push_server(&self, span: &mut Span) {
        push_address(span, "server.address", "server.port", self.server());
    }

    /// The end that asks, where the other one is observed.
    fn push_client(&self, span: &mut Span) {
        if self.exchange.role == Role::Server {
            push_address(span, "client.address", "client.port", self.info.remote);
        }
    }
}

/// An address and its port. One that only says "any" is no address.
fn push_address(span: &mut Span, address: &'static str, port: &'static str, of: Option<SocketAddr>) {
    let Some(of) = of else { return };
    if !of.ip().is_unspecified() {
        span.push(address, of.ip().to_string());
    }
    if of.port() != 0 {
        span.push(port, i64::from(of.port()));
    }
}

fn push_text(span: &mut Span, key: &'static str, text: &str) {
    if !text.is_empty() {
        span.push(key, text.to_owned());
    }
}

fn push_count(span: &mut Span, key: &'static str, count: u64) {
    span.push(key, Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
}
