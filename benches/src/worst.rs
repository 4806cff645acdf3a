//! Inputs made to be slow: time must grow as the input does, and not be far below what honest input takes.

use obtrace_protocols::{
    Config, Connection, Direction, Interest, Protocol, Role, Shared, State, Tag, Timestamp,
    sql::{Dialect, Digest},
};

use crate::{
    harness::{Goals, Group, Run},
    random::Random,
};

const SMALL: usize = 8 * 1024;
const LARGE: usize = 64 * 1024;

/// What SQL text is made of, again and again: one statement of an application, then what has the shortest tokens, the
/// longest searches, the most to take back.
const SQL: [&str; 14] = [
    "SELECT o.id, o.total, u.email FROM orders o JOIN users u ON u.id = o.user_id WHERE o.status = 'paid' AND o.at > 7; ",
    "(",
    ")",
    "a,",
    "1,",
    "(1),",
    "? ",
    "+-",
    ";",
    "--\n",
    "$a",
    "'",
    "select ",
    "with a as (",
];

/// A stream from a client; of DNS from a server, whose answers are what is large, and of those who go again and again.
struct Case {
    name: &'static str,
    protocol: Protocol,
    make: fn(usize) -> Vec<u8>,
}

/// `head`, then `unit` again and again.
fn repeat(head: &[u8], unit: &[u8], size: usize) -> Vec<u8> {
    let mut out = head.to_vec();
    while out.len() < size {
        out.extend_from_slice(unit);
    }
    out.truncate(size);
    out
}

fn query(unit: &[u8], size: usize) -> Vec<u8> {
    let body = repeat(b"SELECT ", unit, size - 6);
    let mut out = vec![b'Q'];
    out.extend_from_slice(&u32::try_from(body.len() + 5).expect("a short query").to_be_bytes());
    out.extend_from_slice(&body);
    out.push(0);
    out
}

/// `unit` of the numbers from 1 on.
fn numbered(size: usize, unit: impl Fn(u16) -> Vec<u8>) -> Vec<u8> {
    let mut out = MQTT.to_vec();
    let mut number = 0_u16;
    while out.len() < size {
        number = number.checked_add(1).unwrap_or(1);
        out.extend(unit(number));
    }
    out.truncate(size);
    out
}

/// CONNECT.
const MQTT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01c";

/// `FCGI_BEGIN_REQUEST` of number 1.
const FASTCGI: &[u8] = b"\x01\x01\0\x01\0\x08\0\0\0\x01\x01\0\0\0\0\0";

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// ApiVersions of version 0.
const KAFKA: &[u8] = b"\0\0\0\x0b\0\x12\0\0\0\0\0\x07\0\x01a";
/// The beginnings of a Produce of version 0 and of a Fetch of version 7, without their sizes.
const PRODUCE: &[u8] = b"\0\0\0\0\0\0\0\x07\0\x01a\0\x01\0\0\0\x01\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0";
const FETCH: &[u8] =
    b"\0\x01\0\x07\0\0\0\x07\0\x01a\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\x01\0\0\0\x01\0\x01t";

/// One message behind a small one: what it begins with, how often the unit follows or how many bytes that is, the units,
/// what it ends with.
fn kafka(head: &[u8], unit: &[u8], end: &[u8], size: usize) -> Vec<u8> {
    let count = (size - KAFKA.len() - head.len() - end.len() - 8) / unit.len();
    let units = unit.repeat(count);
    let told = if head == PRODUCE { units.len() } else { count };
    let number = |value: usize| u32::try_from(value).expect("a short message").to_be_bytes();
    let message = [head, &number(told), &units, end].concat();
    [KAFKA, &number(message.len()), &message].concat()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Requests with this block of header fields.
fn headers(block: &[u8], size: usize) -> Vec<u8> {
    let mut out = PREFACE.to_vec();
    for stream in (1..).step_by(2).take_while(|stream| *stream < 200_000) {
        if out.len() >= size {
            break;
        }
        out.extend_from_slice(&frame(1, 5, stream, block));
    }
    out.truncate(size);
    out
}

/// What a server says that is about to go.
const GOAWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0";
/// Bytes of nearly as many requests as may wait.
const REQUESTS: usize = PREFACE.len() + 1_000 * 12;

/// Labels behind pointers: as many as a name may have bytes for.
const CHAIN: u16 = 124;
/// Records that point to the end of the chain.
const RECORDS: u16 = 35;
/// Bytes of an answer with both, behind its length.
const ANSWER: usize = 2 + 31 + CHAIN as usize * 4 + RECORDS as usize * 14;

/// A message of DNS behind its length: about the aliases of `a`.
fn dns(id: u16, flags: u16, answers: u16, records: &[u8]) -> Vec<u8> {
    let counts = [id, flags, 1, answers, 0, 0].into_iter().flat_map(u16::to_be_bytes);
    let message: Vec<u8> = counts.chain(*b"\x01a\0\0\x05\0\x01").chain(records.iter().copied()).collect();
    [&u16::try_from(message.len()).expect("a short message").to_be_bytes()[..], &message].concat()
}

/// Answers whose names are chains of pointers, as long as one may be, with a label at each.
fn pointers(size: usize) -> Vec<u8> {
    let pointer = |at: u16| (0xc000 | at).to_be_bytes();
    // The chain is the data of a record of no known type.
    let mut records = [&pointer(12)[..], b"\xff\0\0\x01\0\0\0\0", &(CHAIN * 4).to_be_bytes()].concat();
    let mut last = 12;
    for at in (31..).step_by(4).take(usize::from(CHAIN)) {
        records.extend([&b"\x01b"[..], &pointer(last)].concat());
        last = at;
    }
    let alias = [&pointer(last)[..], b"\0\x05\0\x01\0\0\0\0\0\x02", &pointer(last)].concat();
    records.extend(alias.repeat(usize::from(RECORDS)));
    let ids = 0..u16::try_from(size / ANSWER).expect("few answers");
    ids.flat_map(|id| dns(id, 0x8180, RECORDS + 1, &records)).collect()
}

/// A section of an `OP_MSG` with one thing again and again, as large as the input.
fn mongodb(kind: &[u8], name: &[u8], unit: &[u8], end: &[u8], size: usize) -> Vec<u8> {
    let inside = size - 16 - 4 - 1 - 4;
    let units = unit.repeat((inside - name.len() - end.len()) / unit.len());
    let section = [name, &units, end].concat();
    let length = |bytes: usize| u32::try_from(bytes).expect("a short message").to_le_bytes();
    let body = [&[0; 4], kind, &length(section.len() + 4), &section].concat();
    [&length(body.len() + 16), &b"\x01\0\0\0\0\0\0\0\xdd\x07\0\0"[..], &body].concat()
}

/// A call of a model whose body is `head`, then `unit` again and again.
fn chat(head: &[u8], unit: &[u8], size: usize) -> Vec<u8> {
    let start =
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n";
    repeat(&[start, head].concat(), unit, size)
}

const CASES: [Case; 47] = [
    Case {
        name: "HTTP/1: shortest fields",
        protocol: Protocol::Http,
        make: |n| repeat(b"GET / HTTP/1.1\r\n", b"a:\n", n),
    },
    Case {
        name: "HTTP/1: one endless field",
        protocol: Protocol::Http,
        make: |n| repeat(b"GET / HTTP/1.1\r\na: ", b"b", n),
    },
    Case {
        name: "HTTP/1: folded lines",
        protocol: Protocol::Http,
        make: |n| repeat(b"GET / HTTP/1.1\r\na: b\r\n", b" \n", n),
    },
    Case {
        name: "HTTP/1: content-length again and again",
        protocol: Protocol::Http,
        make: |n| repeat(b"GET / HTTP/1.1\r\n", b"content-length:1\n", n),
    },
    Case {
        name: "HTTP/1: chunks of one byte",
        protocol: Protocol::Http,
        make: |n| repeat(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", n),
    },
    Case {
        name: "HTTP/1: pipelined requests",
        protocol: Protocol::Http,
        make: |n| repeat(b"", b"GET / HTTP/1.1\r\n\r\n", n),
    },
    Case {
        name: "HTTP/2: empty DATA frames",
        protocol: Protocol::Http2,
        make: |n| repeat(PREFACE, b"\0\0\0\0\0\0\0\0\x01", n),
    },
    Case { name: "HTTP/2: requests", protocol: Protocol::Http2, make: |n| headers(b"\x82\x86\x84", n) },
    Case {
        name: "HTTP/2: entries of the table",
        protocol: Protocol::Http2,
        make: |n| headers(&repeat(b"\x82\x86\x84", b"\x40\x01a\x01b", 1_003), n),
    },
    Case {
        name: "HTTP/2: long codes",
        protocol: Protocol::Http2,
        // A path of 924 bytes: 231 codes of thirty bits.
        make: |n| headers(&[&b"\x82\x86\x04\xff\x9d\x06"[..], &b"\xff\xff\xfe\x3f".repeat(231)].concat(), n),
    },
    Case {
        name: "HTTP/2: what may be frames",
        protocol: Protocol::Http2,
        // Behind what is no frame: what may be one with fields that nobody begins with, as many as are looked at.
        make: |n| {
            let head = [PREFACE, &frame(1, 5, 1, b"\x82\x86\x84"), &frame(0, 0, 0, b"")].concat();
            repeat(&head, &frame(1, 4, 3, &[0xbe; 8]), n)
        },
    },
    Case { name: "HTTP/2: a server that is about to go", protocol: Protocol::Http2, make: |n| repeat(b"", GOAWAY, n) },
    Case {
        name: "MQTT: acknowledgements of nothing",
        protocol: Protocol::Mqtt,
        make: |n| numbered(n, |id| [b"\x40\x02", &id.to_be_bytes()[..]].concat()),
    },
    Case { name: "MQTT: pings", protocol: Protocol::Mqtt, make: |n| repeat(MQTT, b"\xc0\0", n) },
    Case {
        name: "MQTT: messages of no bytes",
        protocol: Protocol::Mqtt,
        make: |n| repeat(MQTT, b"\x30\x03\0\x01t", n),
    },
    Case {
        name: "MQTT: the same message again and again",
        protocol: Protocol::Mqtt,
        make: |n| repeat(MQTT, b"\x3a\x05\0\x01t\0\x01", n),
    },
    Case {
        name: "MySQL: packets of no bytes",
        protocol: Protocol::MySql,
        make: |n| repeat(b"\x09\0\0\0\x03SELECT 1", &[0; 4], n),
    },
    Case {
        name: "MySQL: PING in a pipeline",
        protocol: Protocol::MySql,
        make: |n| repeat(b"\x09\0\0\0\x03SELECT 1", b"\x01\0\0\0\x0e", n),
    },
    Case {
        name: "MySQL: statements that are closed",
        protocol: Protocol::MySql,
        make: |n| repeat(b"\x09\0\0\0\x03SELECT 1", b"\x05\0\0\0\x19\x07\0\0\0", n),
    },
    Case {
        name: "MySQL: statements that are prepared",
        protocol: Protocol::MySql,
        make: |n| repeat(b"\x09\0\0\0\x03SELECT 1", b"\x03\0\0\0\x16/*", n),
    },
    Case { name: "JSON: brackets", protocol: Protocol::Http, make: |n| chat(b"{\"model\":\"m\",\"x\":[", b"[],", n) },
    Case { name: "JSON: escapes", protocol: Protocol::Http, make: |n| chat(b"{\"model\":\"", b"\\n", n) },
    Case { name: "JSON: names of nothing", protocol: Protocol::Http, make: |n| chat(b"{", b"\"tempo\":1,", n) },
    Case { name: "JSON: numbers of interest", protocol: Protocol::Http, make: |n| chat(b"{", b"\"top_p\":1,", n) },
    Case { name: "JSON: documents", protocol: Protocol::Http, make: |n| chat(b"{}", b"{\"n\":1}\n", n) },
    Case { name: "PostgreSQL: quotes", protocol: Protocol::Postgres, make: |n| query(b"'", n) },
    Case { name: "PostgreSQL: comments that open", protocol: Protocol::Postgres, make: |n| query(b"/*", n) },
    Case { name: "PostgreSQL: brackets", protocol: Protocol::Postgres, make: |n| query(b"(", n) },
    Case {
        name: "PostgreSQL: Sync",
        protocol: Protocol::Postgres,
        make: |n| repeat(b"Q\0\0\0\x0dSELECT 1\0", b"S\0\0\0\x04", n),
    },
    Case {
        name: "PostgreSQL: empty queries",
        protocol: Protocol::Postgres,
        make: |n| repeat(b"Q\0\0\0\x0dSELECT 1\0", b"Q\0\0\0\x05\0", n),
    },
    Case {
        name: "Redis: PING in a pipeline",
        protocol: Protocol::Redis,
        make: |n| repeat(b"", b"*1\r\n$4\r\nPING\r\n", n),
    },
    Case {
        name: "Redis: PING as people type it",
        protocol: Protocol::Redis,
        make: |n| repeat(b"*1\r\n$4\r\nPING\r\n", b"PING\n", n),
    },
    Case {
        name: "Redis: empty arguments",
        protocol: Protocol::Redis,
        make: |n| repeat(b"*100000\r\n$4\r\nMGET\r\n", b"$0\r\n\r\n", n),
    },
    Case {
        name: "MongoDB: shortest commands",
        protocol: Protocol::MongoDb,
        make: |n| {
            repeat(b"", b"\x25\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x10\0\0\0\x10hello\0\x01\0\0\0\0", n)
        },
    },
    Case {
        name: "MongoDB: empty documents in a section",
        protocol: Protocol::MongoDb,
        make: |n| mongodb(b"\x01", b"documents\0", b"\x05\0\0\0\0", b"", n),
    },
    Case {
        name: "MongoDB: elements without a value",
        protocol: Protocol::MongoDb,
        make: |n| mongodb(b"\0", b"", b"\x0a\0", b"\0", n),
    },
    Case {
        name: "FastCGI: parameters without a value",
        protocol: Protocol::FastCgi,
        make: |n| {
            let record = [&b"\x01\x04\0\x01\x0f\xf0\0\0"[..], &b"\x01\0a".repeat(1360)].concat();
            repeat(FASTCGI, &record, n)
        },
    },
    Case {
        name: "FastCGI: input without a request",
        protocol: Protocol::FastCgi,
        make: |n| repeat(FASTCGI, b"\x01\x05\0\x02\0\0\0\0", n),
    },
    Case {
        name: "FastCGI: input of no bytes",
        protocol: Protocol::FastCgi,
        make: |n| repeat(FASTCGI, b"\x01\x05\0\x01\0\0\0\0", n),
    },
    Case {
        name: "FastCGI: questions",
        protocol: Protocol::FastCgi,
        make: |n| repeat(FASTCGI, b"\x01\x09\0\0\0\0\0\0", n),
    },
    Case { name: "Kafka: smallest requests", protocol: Protocol::Kafka, make: |n| repeat(KAFKA, KAFKA, n) },
    Case {
        name: "Kafka: topics without partitions",
        protocol: Protocol::Kafka,
        make: |n| kafka(b"\0\x09\0\x01\0\0\0\x07\0\x01a\0\0", b"\0\0\0\0\0\0", b"", n),
    },
    Case {
        name: "Kafka: messages without a key or a value",
        protocol: Protocol::Kafka,
        make: |n| kafka(PRODUCE, b"\0\0\0\0\0\0\0\0\0\0\0\x0e\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", b"", n),
    },
    Case {
        name: "Kafka: a fetch session of many partitions",
        protocol: Protocol::Kafka,
        // No topics are forgotten.
        make: |n| kafka(FETCH, &[0; 24], &[0; 4], n),
    },
    Case { name: "DNS: chains of pointers", protocol: Protocol::Dns, make: pointers },
    Case {
        name: "WebSocket: pings without a payload",
        protocol: Protocol::WebSocket,
        make: |n| repeat(b"", b"\x89\x80abcd", n),
    },
    Case {
        name: "WebSocket: messages of one byte",
        protocol: Protocol::WebSocket,
        make: |n| repeat(b"", b"\x81\x81abcdx", n),
    },
];

/// A new connection takes all of the input, in pieces of `piece` bytes. A case that is not read to its end measures
/// nothing: it ends the run.
fn feed(case: &Case, shared: &Shared, bytes: &[u8], piece: usize) -> usize {
    let config = Config::new().with_role(Some(Role::Server)).with_hint(Some(case.protocol));
    let mut connection = Connection::new(config, shared);
    let mut exchanges = 0;
    let (at, tag) = (Timestamp::from_nanos(1), Tag::new(1));
    let (mut offset, mut direction) = (0, Direction::Received);
    if case.protocol == Protocol::Dns {
        let ids = 0..u16::try_from(bytes.len() / ANSWER).expect("few answers");
        let questions: Vec<u8> = ids.flat_map(|id| dns(id, 0x0100, 0, b"")).collect();
        connection.handle_data(direction, 0, &questions, at, tag);
        direction = Direction::Sent;
    }
    if bytes.starts_with(GOAWAY) {
        connection.handle_data(direction, 0, &headers(b"\x82\x86\x84", REQUESTS), at, tag);
        direction = Direction::Sent;
    }
    if case.protocol == Protocol::WebSocket {
        connection.handle_data(Direction::Received, 0, UPGRADE, at, tag);
        connection.handle_data(Direction::Sent, 0, SWITCHED, at, tag);
        offset = UPGRADE.len() as u64;
    }
    for piece in bytes.chunks(piece) {
        connection.handle_data(direction, offset, piece, at, tag);
        offset += piece.len() as u64;
        while connection.poll_opened().is_some() {}
        while connection.poll_exchange().is_some() {
            exchanges += 1;
        }
    }
    assert_eq!(connection.state(), State::Known(case.protocol), "{}: given up", case.name);
    assert_ne!(connection.interest(direction), Interest::Ignore, "{}: not read", case.name);
    connection.handle_close(at);
    while connection.poll_exchange().is_some() {
        exchanges += 1;
    }
    exchanges
}

/// Bytes that are none of a protocol, or may be the beginning of a message as long as that is believed.
struct Unknown {
    name: &'static str,
    make: fn(usize) -> Vec<u8>,
}

fn noise(size: usize) -> Vec<u8> {
    let mut random = Random::new(7);
    (0..size).map(|_| random.byte()).collect()
}

const UNKNOWN: [Unknown; 7] = [
    Unknown { name: "noise", make: noise },
    Unknown { name: "zeros", make: |n| vec![0; n] },
    Unknown { name: "an endless request line", make: |n| repeat(b"GET /", b"a", n) },
    Unknown { name: "an endless argument", make: |n| repeat(b"*9\r\n$900000\r\n", b"a", n) },
    Unknown { name: "frames of no bytes", make: |n| repeat(b"", b"\0\0\0\0\0\0\0\0\x01", n) },
    Unknown { name: "a frame of many bytes", make: |n| repeat(b"\0\x3f\0\0\0\0\0\0\x01", b"\0", n) },
    Unknown { name: "a long packet", make: |n| repeat(b"\x32\xff\xff\x7f\0\x7f", b"a", n) },
];

/// Nobody knows what it is, nor who asks: every matcher looks at both ends as long as it may be.
fn detect(shared: &Shared, case: &Unknown, bytes: &[u8], piece: usize) -> State {
    let mut connection = Connection::new(Config::new(), shared);
    let (at, tag) = (Timestamp::from_nanos(1), Tag::new(1));
    let mut offset = 0;
    for piece in bytes.chunks(piece) {
        connection.handle_data(Direction::Received, offset, piece, at, tag);
        offset += piece.len() as u64;
        assert!(offset > 1024 || connection.state() == State::Detecting, "{}: decided at once", case.name);
    }
    connection.state()
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let shared = Shared::default();
    let run = Run { rounds: run.rounds.min(40) };
    for case in &CASES {
        let (small, large) = ((case.make)(SMALL), (case.make)(LARGE));
        let exchanges = feed(case, &shared, &large, LARGE);
        assert!(case.protocol != Protocol::Dns || exchanges == large.len() / ANSWER, "{}: not read", case.name);
        let title = format!("Worst case, {}: {exchanges} exchanges", case.name);
        let nanos = both(title, run, [&small, &large], |bytes, piece| feed(case, &shared, bytes, piece));
        goals.rate(format!("{}: MB/s", case.name), LARGE as f64 / nanos[1] * 1_000.0, 200.0);
        if exchanges > 1_000 {
            // Each is announced and handed out: that is what such an input costs.
            goals.time(format!("{}: ns an exchange, in pieces", case.name), nanos[3] / exchanges as f64, 300.0);
        }
        growth(case.name, &nanos, goals);
    }
    for case in &UNKNOWN {
        let (small, large) = ((case.make)(SMALL), (case.make)(LARGE));
        let title = format!("Worst case, detection: {}", case.name);
        let nanos = both(title, run, [&small, &large], |bytes, piece| detect(&shared, case, bytes, piece));
        let name = format!("Detection, {}", case.name);
        goals.rate(format!("{name}: MB/s"), LARGE as f64 / nanos[1] * 1_000.0, 200.0);
        growth(&name, &nanos, goals);
    }
    for unit in SQL {
        sql(unit, run, goals);
    }
}

/// Both sizes, whole and in pieces: nanoseconds.
fn both<T>(title: String, run: Run, sizes: [&[u8]; 2], read: impl Fn(&[u8], usize) -> T) -> Vec<f64> {
    let [small, large] = sizes;
    let group = Group::new(title, "input", 1)
        .add("8 KiB whole", SMALL, || read(small, SMALL))
        .add("64 KiB whole", LARGE, || read(large, LARGE))
        .add("8 KiB in pieces of 64 bytes", SMALL, || read(small, 64))
        .add("64 KiB in pieces of 64 bytes", LARGE, || read(large, 64));
    group.run(run).nanos
}

fn growth(name: &str, nanos: &[f64], goals: &mut Goals) {
    goals.growth(format!("{name}: times for eightfold input"), nanos[1] / nanos[0]);
    goals.growth(format!("{name}: the same in pieces"), nanos[3] / nanos[2]);
}

fn sql(unit: &str, run: Run, goals: &mut Goals) {
    let (small, large) = (repeat(b"", unit.as_bytes(), SMALL), repeat(b"", unit.as_bytes(), LARGE));
    let (mut digest, mut another) = (Digest::new(), Digest::new());
    let shown = unit.escape_default();
    let outcome = Group::new(format!("Worst case, SQL of `{shown}`"), "input", 1)
        .add("8 KiB", SMALL, || digest.read(&small, Dialect::Postgres))
        .add("64 KiB", LARGE, || another.read(&large, Dialect::Postgres))
        .run(run);
    let nanos = &outcome.nanos;
    goals.rate(format!("SQL of `{shown}`: MB/s"), LARGE as f64 / nanos[1] * 1_000.0, 200.0);
    goals.growth(format!("SQL of `{shown}`: times for eightfold input"), nanos[1] / nanos[0]);
    goals.no_allocations(format!("SQL of `{shown}`"), outcome.allocations[1]);
}
