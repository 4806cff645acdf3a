//! Kafka, by the conventions for [messaging](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/) and
//! for [Kafka](https://opentelemetry.io/docs/specs/semconv/messaging/kafka/).

use obtrace_export::model::{Span, SpanKind, Text, Value};
use obtrace_protocols::{Role, kafka::KafkaDetails};

use super::{Input, push_count, push_text};

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const OFFSET_COMMIT: i16 = 8;
const TXN_OFFSET_COMMIT: i16 = 28;
const SHARE_FETCH: i16 = 78;
const SHARE_ACKNOWLEDGE: i16 = 79;

pub(super) fn describe(input: &Input<'_>, details: &KafkaDetails<'_>, span: &mut Span) {
    let (name, kind) = operation(input, details);
    let topic = details.topic.as_deref().unwrap_or_default();
    span.name = if topic.is_empty() { Text::copied(name) } else { Text::concat(&[name, " ", topic]) };
    if input.exchange.role == Role::Client {
        span.kind = span_kind(details);
    }
    span.push(key!("messaging.system"), "kafka");
    span.push(key!("messaging.operation.name"), Text::copied(name));
    if let Some(kind) = kind {
        span.push(key!("messaging.operation.type"), kind);
    }
    push_text(span, key!("messaging.destination.name"), topic);
    if let Some(partition) = details.partition {
        span.push(key!("messaging.destination.partition.id"), partition.to_string());
    }
    if let Some(offset) = details.offset {
        span.push(key!("messaging.kafka.offset"), Value::Int(offset));
    }
    if let Some(records) = details.records {
        push_count(span, key!("messaging.batch.message_count"), records);
    }
    push_text(span, key!("messaging.consumer.group.name"), details.group.as_deref().unwrap_or_default());
    push_text(span, key!("messaging.client.id"), details.client_id.as_deref().unwrap_or_default());
    input.push_server(span);
    input.push_client(span);
}

/// What the operation is called, and its type where the conventions have one.
fn operation<'a>(input: &Input<'a>, details: &KafkaDetails<'_>) -> (&'a str, Option<&'static str>) {
    match details.api_key {
        PRODUCE => ("send", Some("send")),
        FETCH | SHARE_FETCH => ("poll", Some("receive")),
        OFFSET_COMMIT | TXN_OFFSET_COMMIT => ("commit", Some("settle")),
        SHARE_ACKNOWLEDGE => ("ack", Some("settle")),
        _ => (&input.exchange.operation, None),
    }
}

/// Records that leave make a producer, records that come a consumer. A broker that fetches is none.
fn span_kind(details: &KafkaDetails<'_>) -> SpanKind {
    let came = details.records.map_or(details.batches > 0, |records| records > 0);
    match details.api_key {
        PRODUCE => SpanKind::Producer,
        FETCH | SHARE_FETCH if came && details.replica.is_none() => SpanKind::Consumer,
        _ => SpanKind::Client,
    }
}
