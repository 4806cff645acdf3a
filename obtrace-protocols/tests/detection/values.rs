//! Texts of one protocol inside the values of another.

use obtrace_protocols::{Protocol, Role};

use crate::{HINTS, Judged};

/// How messages of all protocols begin, and some words of their texts.
const TEXTS: [&[u8]; 20] = [
    b"SELECT * FROM users WHERE id = 7",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    b"+OK\r\n",
    b"-ERR unknown command\r\n",
    b"PING\r\n",
    b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03app",
    b"\x30\x08\0\x03a/bxyz\xc0\0",
    b"\x09\0\0\0\x03SELECT 1",
    b"J\0\0\0\x0a8.0.36\0",
    b"\0\0\0\x22\0\x03\0\0user\0bob\0database\0shop\0\0",
    b"Q\0\0\0\x0dSELECT 1\0",
    b"\x33\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x1e\0\0\0\x10ping\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0",
    b"\0\0\0\x15\0\x0c\0\0\0\0\0\x07\0\x04shop\0\x02g1\0\0\0\x03",
    b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0",
    b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01",
];

/// A turn of a conversation: what goes before the value, and what behind it.
struct Turn {
    is_client: bool,
    before: Vec<u8>,
    after: Vec<u8>,
}

fn client(before: impl Into<Vec<u8>>, after: impl Into<Vec<u8>>) -> Turn {
    Turn { is_client: true, before: before.into(), after: after.into() }
}

fn server(before: impl Into<Vec<u8>>, after: impl Into<Vec<u8>>) -> Turn {
    Turn { is_client: false, before: before.into(), after: after.into() }
}

type Carrier = (Protocol, fn(usize) -> Vec<Turn>);

const CARRIERS: [Carrier; 9] = [
    (Protocol::Redis, redis),
    (Protocol::Http, http),
    (Protocol::Http, chunked),
    (Protocol::WebSocket, websocket),
    (Protocol::Postgres, postgres),
    (Protocol::MySql, mysql),
    (Protocol::MongoDb, mongodb),
    (Protocol::Kafka, kafka),
    (Protocol::Mqtt, mqtt),
];

fn redis(length: usize) -> Vec<Turn> {
    vec![
        client(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${length}\r\n"), "\r\n"),
        server("+OK\r\n", ""),
        client("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", ""),
        server(format!("${length}\r\n"), "\r\n"),
    ]
}

fn http(length: usize) -> Vec<Turn> {
    vec![
        client(format!("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"), ""),
        server(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"), ""),
        client("GET /b HTTP/1.1\r\nHost: h\r\n\r\n", ""),
        server("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ]
}

fn chunked(length: usize) -> Vec<Turn> {
    let field = "Transfer-Encoding: chunked\r\n\r\n";
    vec![
        client(format!("POST /a HTTP/1.1\r\nHost: h\r\n{field}{length:x}\r\n"), "\r\n0\r\n\r\n"),
        server(format!("HTTP/1.1 200 OK\r\n{field}{length:x}\r\n"), "\r\n0\r\n\r\n"),
    ]
}

fn websocket(length: usize) -> Vec<Turn> {
    let length = length as u8;
    vec![
        client(
            "GET /w HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            "",
        ),
        server(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "",
        ),
        client([0x82, 0x80 | length, 0, 0, 0, 0], ""),
        server([0x81, length], ""),
        client(*b"\x88\x80\0\0\0\0", ""),
        server(*b"\x88\0", ""),
    ]
}

fn postgres(length: usize) -> Vec<Turn> {
    let message = |tag: u8, front: &[u8], length: usize| {
        let whole = u32::try_from(4 + front.len() + length).unwrap();
        [&[tag], &whole.to_be_bytes()[..], front].concat()
    };
    let cell = [&[0, 1][..], &u32::try_from(length).unwrap().to_be_bytes()].concat();
    let done = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
    vec![
        client(*b"\0\0\0\x22\0\x03\0\0user\0bob\0database\0shop\0\0", ""),
        server(*b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", ""),
        client(*b"Q\0\0\0\x14COPY t FROM STDIN\0", "").shorter(),
        server(*b"G\0\0\0\x09\0\0\x01\0\0", ""),
        client(message(b'd', &[], length), *b"c\0\0\0\x04"),
        server(*b"C\0\0\0\x0bCOPY 1\0Z\0\0\0\x05I", ""),
        client(*b"Q\0\0\0\x14SELECT a FROM t\0", ""),
        server(message(b'D', &cell, length), *done),
    ]
}

impl Turn {
    /// The length that a message of PostgreSQL has at its front, made right.
    fn shorter(mut self) -> Self {
        let length = u32::try_from(self.before.len() - 1).unwrap();
        self.before[1..5].copy_from_slice(&length.to_be_bytes());
        self
    }
}

fn mysql(length: usize) -> Vec<Turn> {
    let packet = |number: u8, front: &[u8], length: usize| {
        let whole = u32::try_from(front.len() + length).unwrap().to_le_bytes();
        [&whole[..3], &[number], front].concat()
    };
    let column = b"\x03def\x04shop\x01t\x01t\x01a\x01a\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";
    let eof = b"\xfe\0\0\x02\0";
    let head = [packet(1, b"\x01", 0), packet(2, column, 0), packet(3, eof, 0), packet(4, &[length as u8], length)];
    vec![
        client(packet(0, b"\x03SELECT a FROM t", 0), ""),
        server(head.concat(), packet(5, eof, 0)),
        client(packet(0, b"\x03INSERT INTO t VALUES ('", length + 2), "')"),
        server(packet(1, b"\0\x01\0\x02\0\0\0", 0), ""),
    ]
}

fn mongodb(length: usize) -> Vec<Turn> {
    let size = |bytes: usize| i32::try_from(bytes).unwrap().to_le_bytes();
    let text = |length: usize| [&b"\x05a\0"[..], &size(length), b"\0"].concat();
    let front = b"\x02insert\0\x02\0\0\0t\0\x02$db\0\x05\0\0\0shop\0";
    let whole = 4 + front.len() + 8 + length + 1;
    let head = [&size(21 + whole)[..], b"\x07\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0", &size(whole), front, &text(length)];
    let reply = b"\x26\0\0\0\x08\0\0\0\x07\0\0\0\xdd\x07\0\0\0\0\0\0\0\x11\0\0\0\x01ok\0\0\0\0\0\0\0\xf0\x3f\0";
    vec![client(head.concat(), *b"\0"), server(*reply, "")]
}

fn kafka(length: usize) -> Vec<Turn> {
    let size = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    let topic = b"\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\x02";
    let message = [&[0; 8][..], &size(14 + length), b"\0\0\0\0\0\0\xff\xff\xff\xff", &size(length)].concat();
    let header = b"\0\0\0\0\0\0\0\x07\0\x04shop\0\x01\0\0\x03\xe8";
    let whole = header.len() + topic.len() + 4 + message.len() + length;
    let head = [&size(whole)[..], header, topic, &size(message.len() + length), &message].concat();
    let answer = [&size(4 + topic.len() + 10)[..], b"\0\0\0\x07", topic, b"\0\0\0\0\0\0\0\0\0\x2a"].concat();
    vec![client(head, ""), server(answer, "")]
}

fn mqtt(length: usize) -> Vec<Turn> {
    let publish = [0x32, u8::try_from(7 + length).unwrap(), 0, 3, b'a', b'/', b'b', 0, 7];
    vec![
        client(*b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03app", ""),
        server(*b"\x20\x02\0\0", ""),
        client(publish, ""),
        server(*b"\x40\x02\0\x07", ""),
    ]
}

/// Whether a value goes between the two parts of a turn: where one of them says how long it is.
fn carries(protocol: Protocol, number: usize, turn: &Turn) -> bool {
    match protocol {
        Protocol::Redis => matches!(number, 0 | 3),
        Protocol::Http => number < 2,
        Protocol::WebSocket => matches!(number, 2 | 3),
        Protocol::Postgres => matches!(number, 4 | 7),
        Protocol::MySql => matches!(number, 1 | 2),
        Protocol::MongoDb | Protocol::Kafka => number == 0,
        _ => turn.is_client && number == 2,
    }
}

/// The value begins with a chunk of its own, as programs write it that do not copy, or lies in the middle of one.
#[test]
fn texts_in_values_flip_nothing() {
    let mut wrong = Vec::new();
    for (protocol, carrier) in CARRIERS {
        let spoken: &[Protocol] =
            if protocol == Protocol::WebSocket { &[Protocol::Http, Protocol::WebSocket] } else { &[protocol] };
        for (number, text) in TEXTS.iter().enumerate() {
            let text = &text[..text.len().min(100)];
            let turns = carrier(text.len());
            for hint in HINTS {
                for (role, pieces) in [(None, 3), (None, 1), (Some(Role::Client), 3), (Some(Role::Server), 3)] {
                    let mut judged =
                        Judged::new(&format!("{protocol}, text {number}, {pieces} pieces"), spoken, role, hint);
                    for _ in 0..2 {
                        for (number, turn) in turns.iter().enumerate() {
                            let value = if carries(protocol, number, turn) { text } else { b"" };
                            let parts = [&turn.before[..], value, &turn.after];
                            if pieces == 1 {
                                judged.say(turn.is_client, &parts.concat());
                            } else {
                                parts
                                    .iter()
                                    .filter(|part| !part.is_empty())
                                    .for_each(|part| judged.say(turn.is_client, part));
                            }
                        }
                        // What begins a session begins it once.
                        if matches!(protocol, Protocol::WebSocket | Protocol::Postgres | Protocol::Mqtt) {
                            break;
                        }
                    }
                    let name = judged.name.clone();
                    match judged.close() {
                        Ok(0) => wrong.push(format!("{name}: no exchange")),
                        Ok(_) => {}
                        Err(what) => wrong.push(what),
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them: {wrong:#?}", wrong.len());
}
