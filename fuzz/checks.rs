//! What every fuzz target asserts. The plain test of the kept regressions includes this file too.

use std::collections::BTreeSet;

use obtrace_protocols::{
    Completeness, Config, Connection, Details, Detection, Direction, Exchange, Protocol, Role, Shared, Stage, State,
    Tag, Timestamp, detect,
    http2::hpack::Decoder,
    payload::{Payload, Unread},
    sql::{Dialect, Digest, MAX_SUMMARY, sanitize, summary},
    stream::{Assembler, Mark, Pushed},
};

/// The hints of the target `connection`. A kept input names its hint by its place: none is moved.
const HINTS: [Protocol; 8] = [
    Protocol::Http,
    Protocol::Postgres,
    Protocol::Redis,
    Protocol::Dns,
    Protocol::Mqtt,
    Protocol::MySql,
    Protocol::MongoDb,
    Protocol::FastCgi,
];

/// Takes numbers off the front of the input; zeros when it is used up.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Runs the target of that name; that of a protocol has its name, and needs a [`preamble`] only.
pub(crate) fn run(target: &str, data: &[u8]) {
    match target {
        "assembler" => assembler(data),
        "connection" => connection(data),
        "detect" => detection(data),
        "hpack" => hpack(data),
        "mysql_compressed" => conversation_after(Protocol::MySql, COMPRESSED, data),
        "payload" => payload(data),
        "sql" => sql(data),
        name => match Protocol::ALL.iter().find(|protocol| protocol.name() == name) {
            Some(protocol) => conversation(*protocol, data),
            None => panic!("no fuzz target is named {name:?}"),
        },
    }
}

/// Every byte that can be read is the byte of its place; the bound holds; positions never go back.
fn assembler(data: &[u8]) {
    let mut input = Input(data);
    let limit = usize::from(input.byte()) * 16;
    let mut stream = Assembler::new(limit);
    let content = |offset: u64| (offset.wrapping_mul(0x9e37_79b9) >> 13) as u8;
    stream.begin(0);
    let mut position = 0;
    while !input.0.is_empty() {
        let (op, a, b) = (input.byte(), u64::from(input.byte()), u64::from(input.byte()));
        let offset = stream.end().saturating_sub(32) + a;
        let mark = Mark::new(offset, Timestamp::from_nanos(a), Tag::new(b));
        match op % 8 {
            0..=2 => {
                let bytes: Vec<u8> = (offset..offset + b).map(content).collect();
                if stream.push(&bytes, mark) == Pushed::Full && stream.force_gap().is_none() {
                    stream.drop_until(offset);
                }
            }
            3 => stream.consume(a as usize),
            4 => stream.skip(a),
            5 => {
                stream.lose(b, mark);
            }
            6 => {
                stream.force_gap();
            }
            _ => while stream.take_loss().is_some() {},
        }
        assert!(stream.buffered() <= limit, "{} bytes of {limit}", stream.buffered());
        assert!(stream.position() >= position, "went back to {} from {position}", stream.position());
        position = stream.position();
        for (byte, offset) in stream.readable().iter().zip(position..) {
            assert_eq!(*byte, content(offset), "byte at {offset}");
        }
    }
}

/// Detection says the same with the hint as an order only: what is certain without it stays certain.
fn detection(data: &[u8]) {
    let mut input = Input(data);
    let split = usize::from(input.byte());
    let sent = input.take(split);
    let received = input.0;
    let role = [None, Some(Role::Client), Some(Role::Server)][data.len() % 3];
    let plain = detect(sent, received, role, None);
    for &hint in Protocol::ALL {
        let hinted = detect(sent, received, role, Some(hint));
        let known = |found: &Detection| matches!(found, Detection::Match { .. });
        assert_eq!(known(&plain), known(&hinted), "{plain:?} without, {hinted:?} with {hint}");
    }
    let swapped = detect(received, sent, role.map(Role::peer), None);
    if let (Detection::Match { protocol: a, requests: b, .. }, Detection::Match { protocol: c, requests: d, .. }) =
        (plain, swapped)
    {
        assert!(role.is_none() || (a == c && b == d.opposite()), "{plain:?} from one end, {swapped:?} from the other");
    }
}

/// Header blocks, each a byte (its length, and whether a second decoder joins there) and its bytes. What the second one
/// knows the first one knows too; both hold what they may.
fn hpack(data: &[u8]) {
    let mut input = Input(data);
    let (mut whole, mut joined) = (Decoder::new(), Decoder::new());
    while !input.0.is_empty() {
        let first = input.byte();
        if first >= 0xf0 {
            joined.forget();
        }
        let block = input.take(usize::from(first & 0x7f));
        let (known, told) = (fields(&mut whole, block), fields(&mut joined, block));
        for (known, told) in known.iter().zip(&told) {
            assert!(told.0.is_none() || told.0 == known.0, "{told:?} is not {known:?}");
            assert!(told.1.is_none() || told.1 == known.1, "{told:?} is not {known:?}");
        }
        for decoder in [&whole, &joined] {
            assert!(decoder.memory() < 160 * 1024, "{} bytes", decoder.memory());
        }
        // What is no block leaves the first one without its table too.
        if whole.has_unknown() {
            (whole, joined) = (Decoder::new(), Decoder::new());
        }
    }
}

type Field = (Option<Vec<u8>>, Option<Vec<u8>>);

fn fields(decoder: &mut Decoder, block: &[u8]) -> Vec<Field> {
    let mut out = Vec::new();
    let mut fields = decoder.decode(block);
    while let Ok(Some(field)) = fields.next() {
        out.push((field.name.map(<[u8]>::to_vec), field.value.map(<[u8]>::to_vec)));
    }
    out
}

/// A connection that checks what it is given back.
struct Checked {
    connection: Connection,
    opened: BTreeSet<u64>,
    done: Vec<Exchange<'static>>,
    closed: BTreeSet<u64>,
    limit: usize,
}

impl Checked {
    fn new(config: Config) -> Self {
        let limit = config.max_buffered as usize;
        let connection = Connection::new(config, &Shared::default());
        Self { connection, opened: BTreeSet::new(), done: Vec::new(), closed: BTreeSet::new(), limit }
    }

    fn drain(&mut self) {
        while let Some(opened) = self.connection.poll_opened() {
            match opened.stage {
                Stage::Certain | Stage::Tentative => {
                    assert!(self.opened.insert(opened.id), "{opened:?} opened twice");
                }
                Stage::Withdrawn => assert!(self.opened.remove(&opened.id), "{opened:?} was not announced"),
                _ => assert!(self.opened.contains(&opened.id), "{opened:?} was not announced"),
            }
        }
        while let Some(exchange) = self.connection.poll_exchange() {
            assert!(self.opened.contains(&exchange.id), "not announced: {exchange:?}");
            assert!(self.closed.insert(exchange.id), "twice: {exchange:?}");
            assert!(!exchange.operation.is_empty(), "no operation: {exchange:?}");
            self.done.push(exchange.into_owned());
        }
        let buffered = self.connection.buffered();
        assert!(buffered <= 2 * self.limit, "{buffered} bytes of twice {}", self.limit);
        assert!(self.connection.memory() < 64 * self.limit + (1 << 20), "{} bytes", self.connection.memory());
    }
}

/// Operations on a connection of any configuration.
fn connection(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let role = [None, Some(Role::Client), Some(Role::Server), None][usize::from(flags & 3)];
    let hint = Some(HINTS[usize::from(flags >> 2 & 7)]);
    let config = Config::new().with_role(role).with_hint(hint).with_max_buffered(4096).with_max_pending(8);
    let config = config.with_max_text(u32::from(flags) * 4);
    let mut checked = Checked::new(config);
    let mut ends = [0_u64; 2];
    let mut now = 0;
    while !input.0.is_empty() {
        let op = input.byte();
        now += u64::from(op) << 20;
        let at = Timestamp::from_nanos(now);
        let (direction, end) = match op & 1 {
            0 => (Direction::Sent, &mut ends[0]),
            _ => (Direction::Received, &mut ends[1]),
        };
        match op >> 1 & 7 {
            0..=2 => {
                let length = usize::from(input.byte());
                let bytes = input.take(length);
                checked.connection.handle_data(direction, *end, bytes, at, Tag::new(now));
                *end += bytes.len() as u64;
            }
            3 => {
                let (back, length) = (u64::from(input.byte()), usize::from(input.byte()));
                let offset = (*end + 64).saturating_sub(back);
                let bytes = input.take(length);
                checked.connection.handle_data(direction, offset, bytes, at, Tag::new(now));
                *end = (*end).max(offset + bytes.len() as u64);
            }
            4 => {
                let length = u64::from(input.byte()) << (op >> 5);
                checked.connection.handle_gap(direction, *end, length, at);
                *end += length;
            }
            5 => {
                let length = usize::from(input.byte());
                checked.connection.handle_datagram(direction, input.take(length), at, Tag::new(now));
            }
            6 => checked.connection.handle_timeout(at),
            _ if op >> 4 == 15 => checked.connection.handle_close(at),
            _ => checked.connection.shrink(),
        }
        checked.drain();
        let _ = checked.connection.interest(direction);
    }
    checked.connection.handle_close(Timestamp::from_nanos(now));
    checked.drain();
    assert_eq!(checked.opened, checked.closed, "what was announced and did not come, or the other way round");
}

/// What is written of a statement is bounded, is UTF-8, and stays as it is when it is read again. Of a string nothing is
/// left.
fn sql(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let dialects = [Dialect::Postgres, Dialect::PostgresBackslash, Dialect::MySql, Dialect::MySqlNoBackslash];
    let dialect = dialects[usize::from(choice & 3)];
    let (mut digest, mut once, mut twice, mut summed) = (Digest::new(), String::new(), String::new(), String::new());
    digest.read(text, dialect);
    sanitize(text, dialect, &mut once);
    sanitize(once.as_bytes(), dialect, &mut twice);
    summary(text, dialect, &mut summed);
    assert_eq!(once, twice, "read again");
    assert_eq!((digest.text(), digest.summary()), (&*once, &*summed));
    // A replacement character is three bytes for one; one space may stand for a comment of none.
    assert!(once.len() <= 3 * text.len() + 1, "{} bytes of {}", once.len(), text.len());
    assert!(summed.len() <= MAX_SUMMARY, "{} bytes", summed.len());
    assert!(summed.contains(digest.operation()) && digest.statements() as usize <= text.len());
    sanitize(&sql_string(text, dialect), dialect, &mut once);
    assert!(matches!(&*once, "SET a = ?, b = c" | "SET a = ?"), "of a string is left: {once}");
}

/// A statement with a string in which this stands.
fn sql_string(text: &[u8], dialect: Dialect) -> Vec<u8> {
    let escapes = matches!(dialect, Dialect::PostgresBackslash | Dialect::MySql);
    let mut sql = b"SET a = '".to_vec();
    for &byte in text {
        match byte {
            b'\'' => sql.extend(b"''"),
            b'\\' if escapes => sql.extend(b"\\\\"),
            _ => sql.push(byte),
        }
    }
    sql.extend(b"', b = c");
    sql
}

/// The start of a session of MySQL that is compressed, and its first command.
const COMPRESSED: (&[u8], &[u8]) = (
    b"9\0\0\x01%\xa2\x08\0\0\0\0\x01-\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0u\0\0mysql_native_password\0",
    b"'\0\0\0\x0a8.0.36\0\x07\0\0\0saltsalt\0\xff\xff-\x02\0\xff\xff\x15\0\0\0\0\0\0\0\0\0\0\x07\0\0\x02\0\0\0\x02\0\0\0",
);

/// An exchange with which a connection of this protocol begins, so that it is known.
fn preamble(protocol: Protocol) -> (&'static [u8], &'static [u8]) {
    match protocol {
        Protocol::Postgres => (
            b"\0\0\0\x10\0\x03\0\0user\0u\0\0Q\0\0\0\x0dselect 1\0",
            b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IC\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I",
        ),
        Protocol::MySql => (b"\x09\0\0\0\x03select 1", b"\x07\0\0\x01\0\0\0\x02\0\0\0"),
        Protocol::FastCgi => (
            b"\x01\x01\0\x01\0\x08\0\0\0\x01\x01\0\0\0\0\0\x01\x04\0\x01\0\0\0\0\x01\x05\0\x01\0\0\0\0",
            b"\x01\x06\0\x01\0\x0d\0\0Status: 204\n\n\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0",
        ),
        Protocol::MongoDb => (
            b"\x33\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x1e\0\0\0\x10ping\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0",
            b"\x26\0\0\0\x02\0\0\0\x01\0\0\0\xdd\x07\0\0\0\0\0\0\0\x11\0\0\0\x01ok\0\0\0\0\0\0\0\xf0\x3f\0",
        ),
        Protocol::Http2 => (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b"\0\0\0\x04\0\0\0\0\0"),
        Protocol::Redis => (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
        Protocol::Dns => (
            b"\0\x13\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01",
            b"\0\x13\0\x07\x81\x80\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01",
        ),
        Protocol::Mqtt => (b"\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0\0", b"\x20\x03\0\0\0"),
        Protocol::WebSocket => (
            b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        Protocol::Kafka => {
            (b"\0\0\0\x0e\0\x12\0\0\0\0\0\0\0\x04shop", b"\0\0\0\x10\0\0\0\0\0\0\0\0\0\x01\0\x12\0\0\0\x04")
        }
        _ => (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
    }
}

/// Heads of calls: paths, then types and codings of what is answered.
const CALLS: [&str; 16] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages",
    "/v1beta/models/g:generateContent",
    "/v1beta/models/g:streamGenerateContent",
    "/api/v1/services/aigc/text-generation/generation",
    "/api/chat",
    "/api/generate",
    "/collections/c/points/query",
    "/query",
    "/v2/vectordb/entities/search",
    "/api/v2/tenants/t/databases/d/collections/c/query",
    "/v1/graphql",
    "/records/namespaces/n/search",
];
const TYPES: [&str; 4] = ["application/json", "text/event-stream", "application/x-ndjson", "text/plain"];
const CODINGS: [&str; 8] = ["identity", "gzip", "deflate", "br", "zstd", "identity", "identity", "other"];

/// A call whose bodies are the input: which one, what is kept, how long the request is (two bytes), both bodies. Whole,
/// byte by byte and in chunks the same is found; bounds hold; what is not asked for is not kept.
fn payload(data: &[u8]) {
    let mut input = Input(data);
    let (call, form, kept) = (input.byte(), input.byte(), input.byte());
    let length = usize::from(input.byte()) | usize::from(input.byte()) << 8;
    let asked = input.take(length.max(1));
    let answered = input.0;
    if asked.is_empty() {
        // Without a body there is nothing to read.
        return;
    }
    let contents = kept & 1 == 1;
    let limit = if kept & 2 == 2 { 64 } else { 1 << 20 };
    let play = |piece: usize, chunked: bool| {
        let config = Config::new().with_role(Some(Role::Client)).with_gen_ai_content(contents).with_max_body(limit);
        let mut checked = Checked::new(config.with_max_text(512));
        let framed = |body: &[u8]| {
            if !chunked {
                return [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
            }
            let mut out = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in body.chunks(7) {
                out.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                out.extend_from_slice(part);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0\r\n\r\n");
            out
        };
        let (path, coding) = (CALLS[usize::from(call & 15)], CODINGS[usize::from(form >> 2 & 7)]);
        let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n");
        let kind = TYPES[usize::from(form & 3)];
        let status = if form >> 5 & 1 == 1 { "429 No" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Encoding: {coding}\r\n");
        let turns = [[head.as_bytes(), &framed(asked)].concat(), [answer.as_bytes(), &framed(answered)].concat()];
        for (direction, bytes) in [Direction::Sent, Direction::Received].into_iter().zip(&turns) {
            let mut end = 0;
            for part in bytes.chunks(piece) {
                checked.connection.handle_data(direction, end, part, Timestamp::from_nanos(1), Tag::default());
                end += part.len() as u64;
            }
        }
        checked.drain();
        assert_eq!(checked.done.len(), 1, "one call is one exchange");
        let exchange = checked.done.remove(0);
        let Details::Http(details) = exchange.details else { panic!("no HTTP") };
        (exchange.error, exchange.completeness, details.payload)
    };
    let whole = play(usize::MAX, false);
    // Of a coded body that is broken, what comes out before that depends on the pieces that the library is given.
    let broken = whole.2.as_ref().is_some_and(|payload| payload.response_unread() == Some(Unread::Malformed));
    let coded = usize::from(form >> 2 & 7) != 0;
    for (piece, chunked) in [(1, false), (usize::MAX, true), (3, true)].into_iter().filter(|_| !(broken && coded)) {
        assert_eq!(whole, play(piece, chunked), "in pieces of {piece}, chunked: {chunked}");
    }
    if let Some(Payload::GenAi(call)) = whole.2.as_ref().map(|payload| &***payload) {
        let texts =
            [call.input_messages(), call.output_messages(), call.system_instructions(), call.tool_definitions()];
        for text in texts.into_iter().flatten() {
            assert!(contents && text.len() <= 1024, "{text}");
        }
    }
}

/// Turns: a byte (direction, length) and its bytes, after one exchange that says which protocol it is. Whole and byte
/// by byte must give the same exchanges, as long as both directions are messages of the protocol: behind what is none
/// the beginnings of chunks say what belongs together.
fn conversation(protocol: Protocol, data: &[u8]) {
    conversation_after(protocol, preamble(protocol), data);
}

fn conversation_after(protocol: Protocol, (request, response): (&[u8], &[u8]), data: &[u8]) {
    let play = |piece: usize| {
        let config = Config::new().with_role(Some(Role::Client)).with_hint(Some(protocol)).with_max_buffered(1 << 20);
        let mut checked = Checked::new(config);
        let (mut ends, mut now, mut steady) = ([0_u64; 2], 0, true);
        let mut say = |checked: &mut Checked, index: usize, bytes: &[u8]| {
            now += 1000;
            let direction = [Direction::Sent, Direction::Received][index];
            for part in bytes.chunks(piece) {
                checked.connection.handle_data(direction, ends[index], part, Timestamp::from_nanos(now), Tag::new(now));
                ends[index] += part.len() as u64;
                checked.drain();
            }
        };
        say(&mut checked, 0, request);
        say(&mut checked, 1, response);
        let begun = matches!(checked.connection.state(), State::Known(found) if found == protocol);
        assert!(begun, "{protocol} was not detected: {:?}", checked.connection.state());
        let mut input = Input(data);
        while !input.0.is_empty() {
            let (turn, length) = (input.byte(), usize::from(input.byte()));
            let bytes = input.take(length);
            say(&mut checked, usize::from(turn & 1), bytes);
            steady &= matches!(checked.connection.state(), State::Known(found) if found == protocol);
        }
        checked.connection.handle_close(Timestamp::from_nanos(u64::MAX));
        checked.drain();
        steady &= checked.connection.framing_errors() == 0;
        (steady && checked.done.iter().all(|it| it.completeness == Completeness::Complete), checked.done)
    };
    // Where bytes make no sense the protocol is given up, and detected again where a chunk begins.
    let ((whole_steady, whole), (split_steady, split)) = (play(usize::MAX), play(1));
    if whole_steady && split_steady {
        assert_eq!(whole, split, "whole and byte by byte differ");
    }
}
