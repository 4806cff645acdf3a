//! WebSocket sessions. The conventions have no attributes for them: what they count is told under `websocket.`.

use obtrace_export::model::{Span, Text, Value};
use obtrace_protocols::websocket::{Traffic, WebSocketDetails};

use super::{Input, Templates, http::split_host, push_count, push_text};

pub(super) fn describe(input: &Input<'_>, details: &WebSocketDetails<'_>, names: &mut Templates, span: &mut Span) {
    let service = match span.resource.get("service.name") {
        Some(Value::Str(name)) => name,
        _ => "",
    };
    let path = &*input.exchange.target;
    let template = names.of(service, path, input.settings.max_names).filter(|_| !path.is_empty());
    span.name = template.map_or("websocket".into(), |template| Text::concat(&["websocket ", &template]));
    push_text(span, key!("network.protocol.name"), "websocket");
    push_text(span, key!("url.path"), path);
    match details.host.as_deref().map(split_host) {
        Some((Some(host), port)) => {
            push_text(span, key!("server.address"), host);
            if let Some(port) = port.or(input.server().port) {
                span.push(key!("server.port"), i64::from(port));
            }
        }
        _ => input.push_server(span),
    }
    input.push_client(span);
    if let Some(subprotocol) = &details.subprotocol {
        push_text(span, key!("websocket.subprotocol"), subprotocol);
    }
    if let Some(code) = details.close_code {
        span.push(key!("websocket.close.code"), i64::from(code));
    }
    if let Some(end) = details.closed_by {
        let end = if end == obtrace_protocols::Role::Client { "client" } else { "server" };
        span.push(key!("websocket.close.initiator"), end);
    }
    let Traffic { frames, messages, payload_bytes, .. } = details.client;
    push_count(span, key!("websocket.client.frames"), frames);
    push_count(span, key!("websocket.client.messages"), messages);
    push_count(span, key!("websocket.client.payload.size"), payload_bytes);
    let Traffic { frames, messages, payload_bytes, .. } = details.server;
    push_count(span, key!("websocket.server.frames"), frames);
    push_count(span, key!("websocket.server.messages"), messages);
    push_count(span, key!("websocket.server.payload.size"), payload_bytes);
}
