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

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use obtrace_export::model::{Resource, Scope, Span, SpanKind, Status, Text, Value};
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
                span.name = Text::copied(&self.exchange.operation);
                self.push_server(&mut span);
            }
        }
        push_address(&mut span, "network.peer.address", "network.peer.port", self.info.remote);
        if self.info.transport == Transport::Unix {
            span.push("network.transport", "unix");
        }
        if let Some(error) = &self.exchange.error {
            span.push("error.type", Text::copied(error));
            span.status = Status::Error { description: Text::default() };
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
        span.push(address, address_text(of.ip()));
    }
    if of.port() != 0 {
        span.push(port, i64::from(of.port()));
    }
}

/// An address as the standard library writes it, without the cost of its formatting for the usual ones.
fn address_text(address: IpAddr) -> Text {
    let IpAddr::V4(address) = address else { return address.to_string().into() };
    let mut digits = [[0_u8; 3]; 4];
    let mut pieces = [""; 7];
    for (index, (number, digits)) in address.octets().into_iter().zip(&mut digits).enumerate() {
        *digits = [b'0' + number / 100, b'0' + number / 10 % 10, b'0' + number % 10];
        let from = usize::from(number < 100) + usize::from(number < 10);
        if index > 0 {
            pieces[2 * index - 1] = ".";
        }
        pieces[2 * index] = digits.get(from..).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default();
    }
    Text::concat(&pieces)
}

fn push_text(span: &mut Span, key: &'static str, text: &str) {
    if !text.is_empty() {
        span.push(key, Text::copied(text));
    }
}

fn push_count(span: &mut Span, key: &'static str, count: u64) {
    span.push(key, Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_the_standard_library_writes_them() {
        for number in 0..=u8::MAX {
            let address = IpAddr::from([number, 0, 255 - number, number / 2]);
            assert_eq!(address_text(address), address.to_string().as_str());
        }
        for text in ["::1", "2001:db8::7", "::ffff:1.2.3.4"] {
            assert_eq!(address_text(text.parse().unwrap()), text);
        }
    }
}
