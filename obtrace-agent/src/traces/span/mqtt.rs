//! MQTT, by the conventions for [messaging](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/).
//! What they have no attribute for is told under `messaging.mqtt.`.
//!
//! What the broker delivers is a consumer's, as nobody asked for it, and is told as `receive`. By the conventions what is
//! pushed is told as `process`; but what is seen is that the message came, not how long its subscriber was busy with it.
//! As `process` it would fill `messaging.process.duration` with the time to an acknowledgement, 0 where there is none, and
//! it would not count among `messaging.client.consumed.messages`.

use obtrace_export::model::{Span, SpanKind, Text, Value};
use obtrace_protocols::{Role, mqtt::MqttDetails};

use super::{Input, Templates, push_count, push_text};

pub(super) fn describe(input: &Input<'_>, details: &MqttDetails<'_>, names: &mut Templates, span: &mut Span) {
    let exchange = input.exchange;
    let is_message = &*exchange.operation == "PUBLISH";
    if is_message {
        span.kind = kind(exchange.role, details.sender);
    }
    let receives = span.kind == SpanKind::Consumer;
    let operation = if receives { "receive" } else { name(&exchange.operation) };
    let template = destination(input, names, span);
    span.name = match &template {
        Some(template) => Text::concat(&[operation, " ", template]),
        None => Text::copied(operation),
    };
    span.push(key!("messaging.system"), "mqtt");
    span.push(key!("messaging.operation.name"), operation);
    if is_message {
        span.push(key!("messaging.operation.type"), if receives { "receive" } else { "send" });
    }
    push_text(span, key!("messaging.destination.name"), &exchange.target);
    if let Some(template) = template.filter(|template| *template != *exchange.target) {
        push_text(span, key!("messaging.destination.template"), &template);
    }
    if details.filter_count > 1 {
        let filters: Vec<Value> = details.filters.lines().map(|filter| Value::Str(Text::copied(filter))).collect();
        span.push(key!("messaging.mqtt.filters"), Value::Array(filters.into()));
    }
    if let Some(client) = &details.client_id {
        push_text(span, key!("messaging.client.id"), client);
    }
    if let Some(size) = details.payload_size {
        push_count(span, key!("messaging.message.body.size"), size);
    }
    if let Some(qos) = details.qos {
        span.push(key!("messaging.mqtt.qos"), i64::from(qos));
    }
    if let Some(id) = details.packet_id {
        span.push(key!("messaging.mqtt.packet.id"), i64::from(id));
    }
    for (key, is_so) in
        [(key!("messaging.mqtt.retained"), details.retain), (key!("messaging.mqtt.duplicate"), details.duplicate)]
    {
        if is_so {
            span.push(key, true);
        }
    }
    if let Some(reason) = details.reason {
        span.push(key!("messaging.mqtt.reason_code"), i64::from(reason));
    }
    push_text(span, key!("network.protocol.name"), "mqtt");
    let version = match details.version {
        Some(3) => "3.1",
        Some(4) => "3.1.1",
        Some(5) => "5.0",
        _ => "",
    };
    push_text(span, key!("network.protocol.version"), version);
    input.push_server(span);
    input.push_client(span);
}

/// Of a message: who publishes is a producer, whom the broker delivers to a consumer.
const fn kind(role: Role, sender: Role) -> SpanKind {
    match (role, sender) {
        (Role::Client, Role::Server) => SpanKind::Consumer,
        (Role::Server, Role::Client) => SpanKind::Server,
        _ => SpanKind::Producer,
    }
}

fn name(operation: &str) -> &'static str {
    match operation {
        "CONNECT" => "connect",
        "PUBLISH" => "publish",
        "SUBSCRIBE" => "subscribe",
        "UNSUBSCRIBE" => "unsubscribe",
        "PINGREQ" => "ping",
        "AUTH" => "auth",
        _ => "disconnect",
    }
}

/// The topic with placeholders for what looks like identifiers.
fn destination(input: &Input<'_>, names: &mut Templates, span: &Span) -> Option<String> {
    let service = match span.resource.get("service.name") {
        Some(Value::Str(name)) => name,
        _ => "",
    };
    let topic = Some(&*input.exchange.target).filter(|topic| !topic.is_empty())?;
    names.of(service, topic, input.settings.max_names).map(std::borrow::Cow::into_owned)
}
