//! Kafka, by the conventions for [messaging](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/) and
//! for [Kafka](https://opentelemetry.io/docs/specs/semconv/messaging/kafka/).
//!
//! A fetch is what they call `receive`, and a client's: it asks the broker, and waits for as long as there is nothing.
//! As a consumer's it would stand among the incoming requests of its service, and lead from the broker to it in the
//! service graph, though the broker's own span of it leads the other way. What is done with the records is not seen.
//! What is sent is a producer's: whether its records carry a context of the application's is not looked at.

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

/// Of a request that a client made.
const fn span_kind(details: &KafkaDetails<'_>) -> SpanKind {
    match details.api_key {
        PRODUCE => SpanKind::Producer,
        _ => SpanKind::Client,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use obtrace_export::model::{SpanId, TraceId};
    use obtrace_protocols::{Details, Exchange, Protocol};

    use super::{
        super::{super::ConnectionInfo, Memory, Settings, Transport},
        *,
    };

    #[test]
    fn a_fetch_is_a_clients_whether_records_come_or_not() {
        let (info, settings) = (ConnectionInfo::new(1, Transport::Tcp), Settings::default());
        for (role, api_key, records, kind, kind_of) in [
            (Role::Client, FETCH, Some(3), SpanKind::Client, "receive"),
            (Role::Client, FETCH, None, SpanKind::Client, "receive"),
            (Role::Client, PRODUCE, Some(3), SpanKind::Producer, "send"),
            (Role::Server, PRODUCE, Some(3), SpanKind::Server, "send"),
            (Role::Server, FETCH, Some(3), SpanKind::Server, "receive"),
        ] {
            let mut details = KafkaDetails::default();
            (details.api_key, details.records, details.batches) = (api_key, records, 1);
            let mut exchange = Exchange::unknown(Protocol::Kafka, role);
            exchange.details = Details::Kafka(details);
            let mut memory = Memory::default();
            let input = Input::new(&info, &exchange, &settings, &mut memory);
            let own = if role == Role::Client { SpanKind::Client } else { SpanKind::Server };
            let mut span = Span::new(TraceId::default(), SpanId::default(), "", own, Arc::default(), Arc::default());
            assert!(input.describe(&mut memory.names, &mut span));
            let told = span.attributes.iter().find(|attribute| attribute.key == "messaging.operation.type");
            assert_eq!((span.kind, told.map(|told| &told.value)), (kind, Some(&Value::Str(kind_of.into()))));
        }
    }
}
