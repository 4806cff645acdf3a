//! MQTT's packets beside mqttrs, which reads them where they lie, and rumqttc, whose codec copies them: a connection of
//! version 3.1.1 that asks for two topics, publishes six messages and is given two.

use bytes::BytesMut;
use mqttrs::QosPid;
use obtrace_protocols::{
    Role,
    mqtt::packet::{Kind, Packets},
};
use rumqttc::mqttbytes::v4;

use crate::harness::{Goals, Group, Run};

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text").to_be_bytes();
    [&length, text.as_bytes()].concat()
}

fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let (low, high) = ((body.len() % 128) as u8, (body.len() / 128) as u8);
    let length = if high > 0 { vec![low | 0x80, high] } else { vec![low] };
    [&[first][..], &length, &body].concat()
}

fn message(qos: u8, id: u16) -> Vec<u8> {
    let payload = br#"{"temperature":21.4,"humidity":48,"at":1795402448}"#;
    let id = if qos > 0 { id.to_be_bytes().to_vec() } else { vec![] };
    packet(0x30 | qos << 1, &[&text("site/7/hall/sensors/climate"), &id, payload])
}

/// What each end sends.
fn conversation() -> [Vec<u8>; 2] {
    let connect = packet(0x10, &[&text("MQTT"), b"\x04\x02\0\x3c", &text("gateway-0042")]);
    let subscribe = packet(0x82, &[b"\0\x01", &text("site/7/+/commands"), b"\x01", &text("site/7/broadcast"), b"\0"]);
    let messages = [message(0, 0), message(1, 2), message(0, 0), message(1, 3), message(0, 0), message(2, 4)];
    let client = [connect, subscribe, messages.concat(), b"\x62\x02\0\x04\xc0\0".to_vec()].concat();
    let answers = b"\x20\x02\0\0\x90\x04\0\x01\x01\0\x40\x02\0\x02\x40\x02\0\x03\x50\x02\0\x04\x70\x02\0\x04\xd0\0";
    [client, [&answers[..], &message(0, 0), &message(1, 9)].concat()]
}

/// What all are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Answer {
    packets: u32,
    client_id: usize,
    keep_alive: u16,
    topics: usize,
    payloads: usize,
    ids: u32,
    filters: usize,
}

fn ours(conversation: &[Vec<u8>; 2]) -> Answer {
    let mut answer = Answer::default();
    for (bytes, sender) in conversation.iter().zip([Role::Client, Role::Server]) {
        for packet in Packets::new(bytes, sender) {
            answer.packets += 1;
            answer.ids += u32::from(packet.packet_id().unwrap_or(0));
            match packet.kind {
                Kind::Publish => {
                    let message = packet.publish(4).expect("a message");
                    answer.topics += message.topic.len();
                    answer.payloads += message.payload.len();
                    answer.ids += u32::from(message.packet_id.unwrap_or(0));
                }
                Kind::Connect => {
                    let connect = packet.connect().expect("a connection");
                    (answer.client_id, answer.keep_alive) = (connect.client_id.len(), connect.keep_alive);
                }
                Kind::Subscribe => answer.filters += packet.filters(4).map(<[u8]>::len).sum::<usize>(),
                _ => {}
            }
        }
    }
    answer
}

/// It tells no length of a packet: that is read here.
fn mqttrs_answer(conversation: &[Vec<u8>; 2]) -> Answer {
    use mqttrs::Packet;
    let mut answer = Answer::default();
    for mut bytes in conversation.iter().map(|bytes| &bytes[..]) {
        while let Some(packet) = mqttrs::decode_slice(bytes).expect("a packet") {
            answer.packets += 1;
            match packet {
                Packet::Publish(message) => {
                    answer.topics += message.topic_name.len();
                    answer.payloads += message.payload.len();
                    answer.ids += match message.qospid {
                        QosPid::AtMostOnce => 0,
                        QosPid::AtLeastOnce(id) | QosPid::ExactlyOnce(id) => u32::from(id.get()),
                    };
                }
                Packet::Connect(connect) => {
                    (answer.client_id, answer.keep_alive) = (connect.client_id.len(), connect.keep_alive);
                }
                Packet::Subscribe(subscribe) => {
                    answer.ids += u32::from(subscribe.pid.get());
                    answer.filters += subscribe.topics.iter().map(|topic| topic.topic_path.len()).sum::<usize>();
                }
                Packet::Suback(suback) => answer.ids += u32::from(suback.pid.get()),
                Packet::Puback(id) | Packet::Pubrec(id) | Packet::Pubrel(id) | Packet::Pubcomp(id) => {
                    answer.ids += u32::from(id.get());
                }
                _ => {}
            }
            let digits = 1 + bytes[1..].iter().take_while(|&&byte| byte >= 0x80).count();
            let length = bytes[1..=digits].iter().rev().fold(0, |sum, &byte| sum << 7 | usize::from(byte & 0x7f));
            bytes = &bytes[1 + digits + length..];
            if bytes.is_empty() {
                break;
            }
        }
    }
    answer
}

/// Into the same memory each time, as a connection has it.
fn rumqttc_answer(conversation: &[Vec<u8>; 2], stream: &mut BytesMut) -> Answer {
    use v4::Packet;
    let mut answer = Answer::default();
    for bytes in conversation {
        stream.clear();
        stream.extend_from_slice(bytes);
        while let Ok(packet) = v4::Packet::read(stream, 10_000) {
            answer.packets += 1;
            match packet {
                Packet::Publish(message) => {
                    answer.topics += message.topic.len();
                    answer.payloads += message.payload.len();
                    answer.ids += u32::from(message.pkid);
                }
                Packet::Connect(connect) => {
                    (answer.client_id, answer.keep_alive) = (connect.client_id.len(), connect.keep_alive);
                }
                Packet::Subscribe(subscribe) => {
                    answer.ids += u32::from(subscribe.pkid);
                    answer.filters += subscribe.filters.iter().map(|filter| filter.path.len()).sum::<usize>();
                }
                Packet::SubAck(suback) => answer.ids += u32::from(suback.pkid),
                Packet::PubAck(ack) => answer.ids += u32::from(ack.pkid),
                Packet::PubRec(ack) => answer.ids += u32::from(ack.pkid),
                Packet::PubRel(ack) => answer.ids += u32::from(ack.pkid),
                Packet::PubComp(ack) => answer.ids += u32::from(ack.pkid),
                _ => {}
            }
        }
    }
    answer
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let conversation = conversation();
    let bytes = conversation.iter().map(Vec::len).sum();
    let mut stream = BytesMut::new();
    let told = ours(&conversation);
    assert_eq!((told.packets, told.client_id, told.keep_alive), (19, 12, 60));
    assert_eq!(told, mqttrs_answer(&conversation));
    assert_eq!(told, rumqttc_answer(&conversation, &mut stream));
    let outcome = Group::new("MQTT packets", "packet", told.packets as usize)
        .add("obtrace-protocols", bytes, || ours(&conversation))
        .add("mqttrs", bytes, || mqttrs_answer(&conversation))
        .add("rumqttc", bytes, || rumqttc_answer(&conversation, &mut stream))
        .run(run);
    goals.ratio("MQTT packets: times mqttrs", outcome.nanos[1] / outcome.nanos[0], 1.0, 0.7);
    goals.ratio("MQTT packets: times rumqttc", outcome.nanos[2] / outcome.nanos[0], 1.0, 0.7);
    goals.no_allocations("MQTT packets", outcome.allocations[0]);
}
