//! HTTP/2, and gRPC by the [conventions](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/) for it.

use std::borrow::Cow;

use obtrace_export::model::{Span, Text};
use obtrace_protocols::{
    Role,
    http::HttpDetails,
    http2::{GrpcDetails, Http2Details},
};

use super::{
    Input, Templates,
    http::{describe_version, split_host},
    push_count, push_text,
};

pub(super) fn describe(input: &Input<'_>, details: &Http2Details<'_>, names: &mut Templates, span: &mut Span) {
    let mut view = HttpDetails::default();
    view.method = borrow(&details.method).unwrap_or_default();
    view.path = borrow(&details.path).unwrap_or_default();
    view.query = borrow(&details.query);
    view.host = borrow(&details.authority);
    view.scheme = borrow(&details.scheme);
    view.status = details.status;
    view.user_agent = borrow(&details.user_agent);
    view.forwarded_for = borrow(&details.forwarded_for);
    view.request_body_size = details.request_body_size;
    view.response_body_size = details.response_body_size;
    view.payload = details.payload.as_deref().map(Cow::Borrowed);
    describe_version(input, &view, const { Text::constant("2") }, names, span);
}

fn borrow<'a>(text: &'a Option<Cow<'_, str>>) -> Option<Cow<'a, str>> {
    text.as_deref().map(Cow::Borrowed)
}

/// What the conventions have no attribute for is told under `grpc.`.
pub(super) fn grpc(input: &Input<'_>, details: &GrpcDetails<'_>, span: &mut Span) {
    span.name = details.method.as_deref().map_or("grpc".into(), Text::copied);
    span.push(key!("rpc.system.name"), "grpc");
    if let Some(method) = &details.method {
        push_text(span, key!("rpc.method"), method);
    }
    if let Some(status) = details.status {
        let name = status.name().map_or_else(|| status.to_string().into(), Text::from);
        span.push(key!("rpc.response.status_code"), name);
    }
    match details.authority.as_deref().map(split_host) {
        Some((Some(host), port)) => {
            push_text(span, key!("server.address"), host);
            if let Some(port) = port.or(input.server().port) {
                span.push(key!("server.port"), i64::from(port));
            }
        }
        _ => input.push_server(span),
    }
    client(input, details, span);
    push_text(span, key!("network.protocol.name"), "http");
    push_text(span, key!("network.protocol.version"), "2");
    if let Some(agent) = &details.user_agent {
        push_text(span, key!("user_agent.original"), agent);
    }
    if let Some(messages) = details.request_messages {
        push_count(span, key!("grpc.client.messages"), messages);
    }
    if let Some(messages) = details.response_messages {
        push_count(span, key!("grpc.server.messages"), messages);
    }
}

/// The client behind the proxies, else the peer.
fn client(input: &Input<'_>, details: &GrpcDetails<'_>, span: &mut Span) {
    let forwarded = details.forwarded_for.as_deref().and_then(|list| list.split(',').next()).map(str::trim);
    match forwarded.filter(|address| !address.is_empty() && input.exchange.role == Role::Server) {
        Some(address) => push_text(span, key!("client.address"), address),
        None => input.push_client(span),
    }
}
