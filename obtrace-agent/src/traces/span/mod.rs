//! Names and attributes of spans, by the semantic conventions.

mod connect;
mod template;

use std::{net::SocketAddr, sync::Arc};

use obtrace_export::model::{Resource, Scope, Span, SpanKind, Status, Text};
use obtrace_protocols::{Exchange, Role};

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
        _names: &mut Templates,
    ) -> Span {
        let kind = match self.exchange.role {
            Role::Client => SpanKind::Client,
            Role::Server => SpanKind::Server,
        };
        let name = format!("{} {}", self.exchange.operation, self.exchange.target);
        let mut span = Span::new(context.trace_id, context.span_id, name, kind, resource.clone(), scope.clone());
        self.ends(&mut span);
        if let Some(error) = &self.exchange.error {
            span.push("error.type", error.clone().into_owned());
            span.status = Status::Error { description: Text::Borrowed("") };
        }
        span
    }

    /// The two ends of the connection.
    fn ends(&self, span: &mut Span) {
        let (server, client) = match self.exchange.role {
            Role::Client => (self.info.remote, None),
            Role::Server => (self.info.local, self.info.remote),
        };
        push_address(span, "server.address", "server.port", server);
        push_address(span, "client.address", "client.port", client);
        push_address(span, "network.peer.address", "network.peer.port", self.info.remote);
    }
}

fn push_address(span: &mut Span, address: &'static str, port: &'static str, of: Option<SocketAddr>) {
    if let Some(of) = of {
        span.push(address, of.ip().to_string());
        span.push(port, i64::from(of.port()));
    }
}
