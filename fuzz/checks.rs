//! What every fuzz target asserts. The plain test of the kept regressions includes this file too.

use std::collections::BTreeSet;

use obtrace_protocols::{
    Completeness, Config, Connection, Detection, Direction, Exchange, Protocol, Role, Shared, Stage, State, Tag,
    Timestamp, detect,
    http2::hpack::Decoder,
    stream::{Assembler, Mark, Pushed},
};

const PROTOCOLS: [Protocol; 5] = [Protocol::Http, Protocol::Http2, Protocol::Postgres, Protocol::Redis, Protocol::Dns];

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

/// Runs the target of that name.
pub(crate) fn run(target: &str, data: &[u8]) {
    match target {
        "assembler" => assembler(data),
        "connection" => connection(data),
        "detect" => detection(data),
        "dns" => conversation(Protocol::Dns, data),
        "hpack" => hpack(data),
        "http" => conversation(Protocol::Http, data),
        "http2" => conversation(Protocol::Http2, data),
        "postgres" => conversation(Protocol::Postgres, data),
        "redis" => conversation(Protocol::Redis, data),
        other => panic!("no fuzz target is named {other:?}"),
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
    for hint in PROTOCOLS {
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
    let hint = PROTOCOLS.get(usize::from(flags >> 2 & 7)).copied();
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

/// An exchange with which a connection of this protocol begins, so that it is known.
fn preamble(protocol: Protocol) -> (&'static [u8], &'static [u8]) {
    match protocol {
        Protocol::Postgres => (
            b"\0\0\0\x10\0\x03\0\0user\0u\0\0Q\0\0\0\x0dselect 1\0",
            b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IC\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I",
        ),
        Protocol::Http2 => (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b"\0\0\0\x04\0\0\0\0\0"),
        Protocol::Redis => (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
        Protocol::Dns => (
            b"\0\x13\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01",
            b"\0\x13\0\x07\x81\x80\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01",
        ),
        _ => (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
    }
}

/// Turns: a byte (direction, length) and its bytes, after one exchange that says which protocol it is. Whole and byte
/// by byte must give the same exchanges, as long as both directions are messages of the protocol: behind what is none
/// the beginnings of chunks say what belongs together.
fn conversation(protocol: Protocol, data: &[u8]) {
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
        let (request, response) = preamble(protocol);
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
