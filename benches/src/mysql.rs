//! MySQL packets beside mysql_common: a query with an answer of ten rows, one that changes rows, and one that fails. Both frame all of
//! them, count rows without reading their values, and read what ends an answer. The peer's codec copies each payload.

use mysql_common::{
    constants::CapabilityFlags,
    io::ParseBuf,
    packets::{CommonOkPacket, ErrPacket, OkPacketDeserializer, ResultSetTerminator},
    proto::codec::PacketCodec,
};
use obtrace_protocols::mysql::packet;

use crate::harness::{Goals, Group, Run};

const FLAGS: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41.union(CapabilityFlags::CLIENT_DEPRECATE_EOF);

/// Packets, numbered from 0: a command and its answer.
fn exchange(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (sequence, body) in bodies.iter().enumerate() {
        out.extend_from_slice(&u32::try_from(body.len()).expect("a short body").to_le_bytes()[..3]);
        out.push(u8::try_from(sequence).expect("few packets"));
        out.extend_from_slice(body);
    }
    out
}

fn column(name: &str) -> Vec<u8> {
    let mut out = b"\x03def\x04shop\x05users\x05users".to_vec();
    for name in [name, name] {
        out.push(u8::try_from(name.len()).expect("a short name"));
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(b"\x0c\x2d\0\xff\0\0\0\xfd\0\0\0\0\0");
    out
}

fn row(i: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for value in [i.to_string(), format!("user{i}@example.com"), "2026-11-21 07:00:00".to_owned()] {
        out.push(u8::try_from(value.len()).expect("a short value"));
        out.extend_from_slice(value.as_bytes());
    }
    out
}

/// The three exchanges.
fn conversation() -> [Vec<u8>; 3] {
    let mut rows = vec![b"\x03SELECT id, email, created_at FROM users WHERE tenant = 42 LIMIT 10".to_vec(), vec![3]];
    rows.extend(["id", "email", "created_at"].map(column));
    rows.extend((0..10).map(row));
    rows.push(b"\xfe\0\0\x22\0\0\0".to_vec());
    let changes = [b"\x03UPDATE users SET email = NULL WHERE id < 7".to_vec(), b"\0\x07\0\x02\0\x01\0".to_vec()];
    let fails = [b"\x03SELECT nope".to_vec(), b"\xff\x1e\x04#42S22Unknown column 'nope' in 'SELECT'".to_vec()];
    [exchange(&rows), exchange(&changes), exchange(&fails)]
}

/// What both are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Answer {
    packets: u32,
    bytes: usize,
    rows: u32,
    affected: u64,
    warnings: u16,
    status: u16,
    code: u16,
    sqlstate: [u8; 5],
}

/// What a payload of an answer is, when its first packets are counted.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Other,
    Row,
    Ok,
    End,
    Error,
}

fn kind(sequence: u32, payload: &[u8]) -> Kind {
    match (sequence, payload.first()) {
        (0, _) | (_, None) => Kind::Other,
        (1, Some(0)) => Kind::Ok,
        (_, Some(0xff)) => Kind::Error,
        (_, Some(0xfe)) => Kind::End,
        (1..=4, _) => Kind::Other,
        _ => Kind::Row,
    }
}

fn ours(conversation: &[Vec<u8>]) -> Answer {
    let mut answer = Answer::default();
    for exchange in conversation {
        for packet in packet::Packets::new(exchange) {
            answer.packets += 1;
            answer.bytes += packet.payload.len();
            match kind(packet.sequence.into(), packet.payload) {
                Kind::Row => answer.rows += 1,
                Kind::Ok | Kind::End => {
                    let ok = packet::Ok::parse(packet.payload).expect("an OK");
                    answer.affected += ok.affected_rows;
                    (answer.warnings, answer.status) = (ok.warnings, ok.status);
                }
                Kind::Error => {
                    let error = packet::Error::parse(packet.payload).expect("an error");
                    (answer.code, answer.sqlstate) = (error.code, error.sqlstate.unwrap_or_default());
                }
                Kind::Other => {}
            }
        }
    }
    answer
}

/// Into the same memory each time, as a connection has it.
fn peers(conversation: &[Vec<u8>], stream: &mut bytes::BytesMut, payload: &mut Vec<u8>) -> Answer {
    let mut answer = Answer::default();
    for exchange in conversation {
        let mut codec = PacketCodec::default();
        stream.clear();
        stream.extend_from_slice(exchange);
        let mut sequence = 0;
        payload.clear();
        while codec.decode(stream, payload).expect("packets") {
            answer.packets += 1;
            answer.bytes += payload.len();
            let mut body = ParseBuf(payload);
            match kind(sequence, payload) {
                Kind::Row => answer.rows += 1,
                Kind::Ok => {
                    let ok = body.parse::<OkPacketDeserializer<'_, CommonOkPacket>>(FLAGS).expect("an OK").into_inner();
                    answer.affected += ok.affected_rows();
                    (answer.warnings, answer.status) = (ok.warnings(), ok.status_flags().bits());
                }
                Kind::End => {
                    let ok = body
                        .parse::<OkPacketDeserializer<'_, ResultSetTerminator>>(FLAGS)
                        .expect("an end")
                        .into_inner();
                    answer.affected += ok.affected_rows();
                    (answer.warnings, answer.status) = (ok.warnings(), ok.status_flags().bits());
                }
                Kind::Error => {
                    let ErrPacket::Error(error) = body.parse::<ErrPacket<'_>>(FLAGS).expect("an error") else {
                        panic!("no progress")
                    };
                    answer.code = error.error_code();
                    answer.sqlstate = error.sql_state_ref().map(|state| state.as_bytes()).unwrap_or_default();
                }
                Kind::Other => {}
            }
            sequence += 1;
            payload.clear();
        }
    }
    answer
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let conversation = conversation();
    let bytes = conversation.iter().map(Vec::len).sum();
    let (mut stream, mut payload) = (bytes::BytesMut::new(), Vec::new());
    let told = ours(&conversation);
    assert_eq!(told, peers(&conversation, &mut stream, &mut payload));
    assert_eq!((told.packets, told.rows, told.affected, told.code), (20, 10, 7, 1054));
    let outcome = Group::new("MySQL packets", "packet", told.packets as usize)
        .add("obtrace-protocols", bytes, || ours(&conversation))
        .add("mysql_common", bytes, || peers(&conversation, &mut stream, &mut payload))
        .run(run);
    goals.ratio("MySQL packets: times mysql_common", outcome.nanos[1] / outcome.nanos[0], 1.0, 0.7);
    goals.no_allocations("MySQL packets", outcome.allocations[0]);
}
