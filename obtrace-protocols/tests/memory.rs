//! What an idle connection costs, and that messages in steady state cost no allocation.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use obtrace_protocols::{Config, Connection, Direction, Protocol, Role, Shared, Tag, Timestamp};

/// Counts the allocations of the current thread.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system allocator as it came; the counter is a thread-local without a destructor.
#[expect(unsafe_code, reason = "a global allocator cannot be written otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Talk {
    connection: Connection,
    sent: u64,
    received: u64,
    at: u64,
    exchanges: u64,
}

impl Talk {
    fn new() -> Self {
        let config = Config::new().with_role(Some(Role::Client));
        Self { connection: Connection::new(config, &Shared::default()), sent: 0, received: 0, at: 0, exchanges: 0 }
    }

    fn say(&mut self, direction: Direction, bytes: &[u8], piece: usize) {
        for part in bytes.chunks(piece) {
            let offset = if direction == Direction::Sent { &mut self.sent } else { &mut self.received };
            let at = *offset;
            *offset += part.len() as u64;
            self.at += 1000;
            self.connection.handle_data(direction, at, part, Timestamp::from_nanos(self.at), Tag::new(7));
            while self.connection.poll_opened().is_some() {}
            while let Some(exchange) = self.connection.poll_exchange() {
                assert!(!exchange.operation.is_empty());
                self.exchanges += 1;
            }
        }
    }
}

/// One message of PostgreSQL.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// Packets of MySQL, numbered from the first.
fn packets(first: u8, bodies: &[&[u8]]) -> Vec<u8> {
    let packet = |(number, body): (usize, &&[u8])| {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [&length[..3], &[first + u8::try_from(number).unwrap()], body].concat()
    };
    bodies.iter().enumerate().flat_map(packet).collect()
}

/// A request of a web server and the answer of an application, in some records.
fn fastcgi() -> (Vec<u8>, Vec<u8>) {
    let record = |kind: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[1, kind, 0, 1, length[0], length[1], 0, 0], content].concat()
    };
    let params = b"\x0e\x04REQUEST_METHODPOST\x0b\x0aREQUEST_URI/users?a=b\x09\x04HTTP_HOSTshop";
    let request =
        [record(1, b"\0\x01\x01\0\0\0\0\0"), record(4, params), record(4, b""), record(5, b"body"), record(5, b"")];
    let output = b"Status: 404 Not Found\r\nContent-type: text/html\r\n\r\nnone";
    (request.concat(), [record(6, output), record(6, b""), record(3, &[0; 8])].concat())
}

/// A query of MongoDB and its answer, with two documents.
fn mongodb() -> (Vec<u8>, Vec<u8>) {
    let message = |id: i32, to: i32, document: &[u8]| {
        let length = i32::try_from(document.len() + 21).unwrap();
        [&[length, id, to, 2013].map(i32::to_le_bytes).concat()[..], &[0; 5], document].concat()
    };
    let find = b"\x3b\0\0\0\x02find\0\x06\0\0\0users\0\x03filter\0\x10\0\0\0\x02a\0\x04\0\0\0xyz\0\0\x02$db\0\x05\0\0\0shop\0\0";
    let found = b"\x47\0\0\0\x03cursor\0\x2e\0\0\0\x04firstBatch\0\x15\0\0\0\x030\0\x05\0\0\0\0\x031\0\x05\0\0\0\0\0\
        \x10id\0\0\0\0\0\0\x01ok\0\0\0\0\0\0\0\xf0\x3f\0";
    (message(7, 0, find), message(8, 7, found))
}

/// A query of DNS and its answer with an alias and an address.
fn dns() -> (Vec<u8>, Vec<u8>) {
    let question = b"\x03www\x07example\x03com\0\0\x01\0\x01";
    let query = [&b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0"[..], question].concat();
    let mut answer = [&b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0"[..], question].concat();
    answer.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x07\x04edge\xc0\x10");
    answer.extend_from_slice(b"\xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07");
    (query, answer)
}

/// As over TCP.
fn with_length(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// A request of version 0 and its response.
fn kafka_request(key: i16, body: &[u8]) -> Vec<u8> {
    let header = [&key.to_be_bytes()[..], b"\0\0\0\0\0\x07\0\x04shop"].concat();
    let size = u32::try_from(header.len() + body.len()).unwrap();
    [&size.to_be_bytes(), &header[..], body].concat()
}

fn kafka_response(body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(4 + body.len()).unwrap();
    [&size.to_be_bytes(), &b"\0\0\0\x07"[..], body].concat()
}

/// A message of the format 0 for a topic, and that it was written at offset 42.
fn kafka_produce() -> (Vec<u8>, Vec<u8>) {
    let message = b"\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\x05hello";
    let topic = b"\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\x02";
    let request = [&b"\0\x01\0\0\x03\xe8"[..], topic, b"\0\0\0\x1f", message].concat();
    (request, [&topic[..], b"\0\0\0\0\0\0\0\0\0\x2a"].concat())
}

/// A message with a body.
fn generative(start: &str, kind: &str, body: &str) -> Vec<u8> {
    format!("{start}\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A request and its response, as each protocol has them.
fn conversations() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let row = [
        message(b'T', b"\0\x01id\0\0\0\0\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"),
        message(b'D', b"\0\x01\0\0\0\x017"),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"I"),
    ]
    .concat();
    let extended = |statement: &str| {
        let sql = "SELECT id, 'x' FROM users u JOIN orders o ON u.id = o.user_id WHERE u.id = $1";
        [
            message(b'P', format!("{statement}\0{sql}\0\0\0").as_bytes()),
            message(b'B', format!("\0{statement}\0\0\0\0\x01\0\0\0\x017\0\0").as_bytes()),
            message(b'D', b"P\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ]
        .concat()
    };
    let extended_row = [message(b'1', b""), message(b'2', b""), row.clone()].concat();
    let failure = [
        message(b'E', b"SERROR\0VERROR\0C23505\0Mduplicate key value violates unique constraint\0\0"),
        message(b'Z', b"I"),
    ]
    .concat();
    let (query, answer) = dns();
    let column = b"\x03def\x04shop\x01t\x01t\x01a\x01a\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";
    let eof = b"\xfe\0\0\x02\0";
    let columns = packets(1, &[b"\x01", column, eof, b"\x017", b"\xfb", eof]);
    let ok = packets(1, &[b"\0\x01\0\x02\0\0\0"]);
    let prepared = packets(1, &[b"\0\x07\0\0\0\0\0\x01\0\0\0\0", column, eof]);
    let (asked, answered) = fastcgi();
    let (find, found) = mongodb();
    let produced = kafka_produce();
    vec![
        (
            "http",
            b"POST /users/7?x=1 HTTP/1.1\r\nHost: shop\r\nUser-Agent: ua\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
                .to_vec(),
        ),
        ("fastcgi", asked, answered),
        ("mongodb", find, found),
        (
            "generative AI",
            generative(
                "POST /v1/chat/completions HTTP/1.1",
                "application/json",
                r#"{"model":"m","stream":true,"n":2,"stop":["a"],"messages":[{"role":"user","content":"x"}]}"#,
            ),
            generative(
                "HTTP/1.1 200 OK",
                "text/event-stream",
                "data: {\"id\":\"i\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"delta\":{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\"}}]}}],\"usage\":{\"prompt_tokens\":7}}\n\ndata: [DONE]\n\n",
            ),
        ),
        ("redis", b"*2\r\n$3\r\nGET\r\n$6\r\nuser:7\r\n".to_vec(), b"$5\r\nhello\r\n".to_vec()),
        ("mysql, text", packets(0, &[b"\x03SELECT id FROM users WHERE name = 'x' AND id IN (1, 2)"]), columns),
        (
            "mysql, prepared",
            [
                packets(0, &[b"\x19\x07\0\0\0"]),
                packets(0, &[b"\x16INSERT INTO users (id) VALUES (?)"]),
                packets(0, &[b"\x17\x07\0\0\0\0\x01\0\0\0\0\x01\x08\0\x07\0\0\0\0\0\0\0"]),
            ]
            .concat(),
            [prepared, ok].concat(),
        ),
        ("postgres, simple", message(b'Q', b"SELECT id FROM users WHERE name = 'x' AND id IN (1, 2)\0"), row),
        ("postgres, extended", extended(""), extended_row.clone()),
        ("postgres, prepared by name", extended("s_17"), extended_row),
        ("postgres, failing", message(b'Q', b"INSERT INTO users (id) VALUES (7)\0"), failure),
        ("dns over TCP", with_length(&query), with_length(&answer)),
        ("mqtt", b"\x32\x16\0\x0dplant/7/level\0\x07value".to_vec(), b"\x40\x02\0\x07".to_vec()),
        ("kafka, group", kafka_request(12, b"\0\x02g1\0\0\0\x03\0\x02m1"), kafka_response(b"\0\x1b")),
        ("kafka, produce", kafka_request(0, &produced.0), kafka_response(&produced.1)),
    ]
}

#[test]
fn steady_state_allocates_nothing() {
    for (name, request, response) in conversations() {
        for piece in [usize::MAX, 7, 1] {
            let mut talk = Talk::new();
            let mut round = |count: u64| {
                for _ in 0..count {
                    talk.say(Direction::Sent, &request, piece);
                    talk.say(Direction::Received, &response, piece);
                }
                talk.exchanges
            };
            round(20);
            let before = COUNT.with(Cell::get);
            let exchanges = round(200);
            let allocations = COUNT.with(Cell::get) - before;
            assert_eq!(exchanges, 220, "{name}");
            assert_eq!(allocations, 0, "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn datagrams_allocate_nothing() {
    let (mut query, mut answer) = dns();
    let config = Config::new().with_role(Some(Role::Client)).with_hint(Some(Protocol::Dns));
    let mut connection = Connection::new(config, &Shared::default());
    let mut exchanges = 0;
    let mut before = 0;
    for round in 0..220_u16 {
        if round == 20 {
            before = COUNT.with(Cell::get);
        }
        query[..2].copy_from_slice(&round.to_be_bytes());
        answer[..2].copy_from_slice(&round.to_be_bytes());
        let at = Timestamp::from_nanos(u64::from(round) * 1000);
        connection.handle_datagram(Direction::Sent, &query, at, Tag::new(7));
        connection.handle_datagram(Direction::Received, &answer, at.saturating_add(500), Tag::new(7));
        while connection.poll_opened().is_some() {}
        while let Some(exchange) = connection.poll_exchange() {
            assert_eq!(exchange.target, "www.example.com");
            exchanges += 1;
        }
    }
    assert_eq!((exchanges, COUNT.with(Cell::get) - before), (220, 0));
}

/// The frames of a request on a stream and of its response; the fields are in HPACK's static table but for the host.
fn http2(stream: u32) -> (Vec<u8>, Vec<u8>) {
    let frame = |kind: u8, flags: u8, payload: &[u8]| {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let request = frame(1, 5, b"\x82\x86\x84\x01\x04shop");
    (request, [frame(1, 4, b"\x88"), frame(0, 1, b"hello")].concat())
}

#[test]
fn streams_allocate_nothing() {
    let mut talk = Talk::new();
    talk.say(Direction::Sent, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", usize::MAX);
    talk.say(Direction::Received, b"\0\0\0\x04\0\0\0\0\0", usize::MAX);
    let rounds: Vec<_> = (0..220).map(|number| http2(2 * number + 1)).collect();
    let mut before = 0;
    for (number, (request, response)) in rounds.iter().enumerate() {
        if number == 20 {
            before = COUNT.with(Cell::get);
        }
        talk.say(Direction::Sent, request, 7);
        talk.say(Direction::Received, response, 7);
    }
    assert_eq!((talk.exchanges, COUNT.with(Cell::get) - before), (220, 0));
    talk.connection.shrink();
    println!("http2: {} B of heap when idle", talk.connection.memory());
    assert!(talk.connection.memory() <= 1024, "{}", talk.connection.memory());
}

#[test]
fn frames_of_a_session_allocate_nothing() {
    let mut talk = Talk::new();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    talk.say(Direction::Sent, format!("GET / HTTP/1.1\r\n{upgrade}").as_bytes(), usize::MAX);
    talk.say(Direction::Received, format!("HTTP/1.1 101 Switching Protocols\r\n{upgrade}").as_bytes(), usize::MAX);
    let mut before = 0;
    for number in 0..220 {
        if number == 20 {
            before = COUNT.with(Cell::get);
        }
        talk.say(Direction::Sent, b"\x81\x85\x01\x02\x03\x04hello", 3);
        talk.say(Direction::Received, b"\x82\x05hello", 3);
    }
    // The upgrade; the session is told at its end.
    assert_eq!((talk.exchanges, COUNT.with(Cell::get) - before), (1, 0));
    talk.connection.shrink();
    println!("websocket: {} B of heap when idle", talk.connection.memory());
    assert!(talk.connection.memory() <= 512, "{}", talk.connection.memory());
}

#[test]
fn a_pipeline_allocates_nothing_either() {
    let (_, request, response) = conversations().remove(0);
    let mut talk = Talk::new();
    for round in 0..20 {
        let before = COUNT.with(Cell::get);
        talk.say(Direction::Sent, &request.repeat(16), usize::MAX);
        talk.say(Direction::Received, &response.repeat(16), usize::MAX);
        // The two repetitions above.
        assert!(round < 3 || COUNT.with(Cell::get) - before == 2, "round {round}");
    }
    assert_eq!(talk.exchanges, 320);
}

#[test]
fn an_idle_connection_is_small() {
    println!("Connection: {} B", size_of::<Connection>());
    assert!(size_of::<Connection>() <= 392, "{}", size_of::<Connection>());
    let most = [
        ("http", 120),
        ("redis", 120),
        ("mqtt", 640),
        ("mysql, text", 800),
        ("postgres, simple", 320),
        ("mongodb", 120),
        ("fastcgi", 120),
        ("dns over TCP", 120),
        ("kafka, group", 640),
    ];
    for (name, most) in most {
        let (_, request, response) = conversations().into_iter().find(|(other, ..)| *other == name).unwrap();
        let mut talk = Talk::new();
        talk.say(Direction::Sent, &request, 5);
        talk.say(Direction::Received, &response, 5);
        assert_eq!(talk.exchanges, 1);
        talk.connection.shrink();
        println!("{name}: {} B of heap when idle", talk.connection.memory());
        assert!(talk.connection.memory() <= most, "{name}: {}", talk.connection.memory());
        talk.say(Direction::Sent, &request, 5);
        talk.say(Direction::Received, &response, 5);
        assert_eq!(talk.exchanges, 2);
    }
}

/// HTTP/2: every request has a stream of its own. Header fields come by the table, a call of gRPC beside one of a model.
#[test]
fn streams_of_models_allocate_nothing() {
    const BOTH: [Direction; 2] = [Direction::Sent, Direction::Received];
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let indexed = b"\x83\x44\x14/v1/chat/completions\x41\x01h\x5f\x10application/json";
    let answer = b"data: {\"id\":\"i\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let asked = br#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
    for piece in [usize::MAX, 7, 1] {
        let mut talk = Talk::new();
        talk.say(Direction::Sent, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", piece);
        talk.say(Direction::Received, &frame(4, 0, 0, b""), piece);
        let rounds: Vec<_> = (1..881)
            .step_by(4)
            .map(|stream| {
                let call = b"\x83\x44\x04/a/B\x41\x01h\x5f\x10application/grpc";
                let sent = [
                    frame(1, 4, stream, indexed),
                    frame(1, 4, stream + 2, call),
                    frame(0, 1, stream, asked),
                    frame(0, 1, stream + 2, b"\0\0\0\0\x01a"),
                ];
                let received = [
                    frame(1, 4, stream, b"\x88\x5f\x11text/event-stream"),
                    frame(1, 4, stream + 2, b"\x88\x5f\x10application/grpc"),
                    frame(0, 1, stream, answer),
                    frame(0, 0, stream + 2, b"\0\0\0\0\x01a"),
                    frame(1, 5, stream + 2, b"\x40\x0bgrpc-status\x010"),
                ];
                [sent.concat(), received.concat()]
            })
            .collect();
        let mut before = 0;
        for (number, round) in rounds.iter().enumerate() {
            if number == 100 {
                before = COUNT.with(Cell::get);
            }
            BOTH.into_iter().zip(round).for_each(|(direction, bytes)| talk.say(direction, bytes, piece));
        }
        let allocations = COUNT.with(Cell::get) - before;
        assert_eq!((talk.exchanges, allocations), (440, 0), "in pieces of {piece}");
    }
}
