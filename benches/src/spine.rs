//! The whole way on one thread: records as the ring buffer holds them, events, connections, exchanges, spans, OTLP JSON.
//! 10,000 distinct exchanges of HTTP, PostgreSQL and Redis in equal parts, on 300 connections.

use std::{collections::HashMap, sync::Arc};

use obtrace_agent::{
    connections::{Account, Connections, Observer, Settings, Verdict},
    traces::{ConnectionInfo, Settings as TraceSettings, Traces},
};
use obtrace_export::{
    encode::json::TraceEncoder,
    model::{Attribute, Resource, Span, SpanKind, Status},
};
use obtrace_probes::{
    Event,
    event::{Open, Role, SocketId, Task, Transport},
};
use obtrace_protocols::{Exchange, Opened};

use crate::harness::{Goals, Group, Run};

const EXCHANGES: usize = 10_000;
const CONNECTIONS: usize = 300;
/// Spans of a request, and exchanges of one iteration: what takes about a millisecond now and then runs undisturbed on a
/// machine that does other things too, a whole pass never.
const BATCH: usize = 500;
/// When the first record was made, in nanoseconds, and how long after an exchange the next one begins.
const START: u64 = 1_700_000_000_000_000_000;
const STEP: u64 = 10_000;
/// Bytes of a data record before its payload, where its time and its sequence number are (`bpf/include/event.h`).
const HEAD: usize = 48;
const TIME: usize = 8;
const SEQUENCE: usize = 32;

/// A request with its response, and what the span must say.
struct Pair {
    request: Vec<u8>,
    response: Vec<u8>,
    protocol: &'static str,
    operation: &'static str,
    target: String,
}

fn pair(i: usize) -> Pair {
    match i % 3 {
        0 => Pair {
            request: format!(
                "GET /api/v1/orders/{i}?expand=items HTTP/1.1\r\nHost: shop.example.com:8080\r\nUser-Agent: Go-http-client/1.1\r\n\
                 Accept: application/json\r\nX-Request-Id: {i:032x}\r\n\r\n"
            )
            .into_bytes(),
            response: format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{{\"id\":{i}}}",
                7 + i.to_string().len() - 1
            )
            .into_bytes(),
            protocol: "http",
            operation: "GET",
            target: format!("/api/v1/orders/{i}"),
        },
        1 => {
            let sql = format!("SELECT id, total FROM orders_{} WHERE id = {i}", i % 100);
            let mut request = Vec::new();
            message(&mut request, b'Q', format!("{sql}\0").as_bytes());
            let mut response = Vec::new();
            message(&mut response, b'T', b"\0\x01id\0\0\0\0\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0");
            message(&mut response, b'D', format!("\0\x01\0\0\0\x06{i:06}").as_bytes());
            message(&mut response, b'C', b"SELECT 1\0");
            message(&mut response, b'Z', b"I");
            let target = format!("orders_{}", i % 100);
            Pair { request, response, protocol: "postgres", operation: "SELECT", target }
        }
        _ => {
            let key = format!("session:{i}");
            Pair {
                request: format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len()).into_bytes(),
                response: format!("$6\r\n{i:06}\r\n").into_bytes(),
                protocol: "redis",
                operation: "GET",
                target: String::new(),
            }
        }
    }
}

fn message(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(body.len() + 4).expect("a short body").to_be_bytes());
    out.extend_from_slice(body);
}

/// Records of all exchanges as one run of the ring buffer, the length of one pass on each connection and direction.
struct Ring {
    records: Vec<u8>,
    places: Vec<Place>,
}

/// Where a record stands, and how far the stream that it is a part of gets in one pass.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
    step: u32,
}

fn connection(i: usize) -> usize {
    // 300 connections, so that the protocols keep to their own.
    i % CONNECTIONS
}

fn ring() -> Ring {
    let mut ring = Ring { records: Vec::new(), places: Vec::new() };
    let mut lengths: HashMap<(usize, bool), u32> = HashMap::new();
    for i in 0..EXCHANGES {
        let pair = pair(i);
        for (bytes, received) in [(&pair.request, true), (&pair.response, false)] {
            let start = ring.records.len();
            let length = u32::try_from(bytes.len()).expect("a short message");
            let sequence = lengths.entry((connection(i), received)).or_default();
            let time = START + i as u64 * STEP + if received { 0 } else { STEP / 2 };
            let out = &mut ring.records;
            out.extend_from_slice(&[2, u8::from(received), 0, 0]);
            out.extend_from_slice(&(HEAD as u32 + length).to_ne_bytes());
            out.extend_from_slice(&time.to_ne_bytes());
            out.extend_from_slice(&(connection(i) as u64 + 1).to_ne_bytes());
            out.extend_from_slice(&[100, 0, 0, 0, 101, 0, 0, 0]);
            out.extend_from_slice(&sequence.to_ne_bytes());
            out.extend_from_slice(&length.to_ne_bytes());
            out.extend_from_slice(&0_u64.to_ne_bytes());
            out.extend_from_slice(bytes);
            *sequence += length;
            ring.places.push(Place { start, end: ring.records.len(), step: 0 });
        }
    }
    for (index, place) in ring.places.iter_mut().enumerate() {
        place.step = lengths[&(connection(index / 2), index % 2 == 0)];
    }
    ring
}

/// Where spans go.
struct Sink {
    traces: Traces,
    resource: Arc<Resource>,
    spans: Vec<Span>,
    protocols: Vec<&'static str>,
    /// Operations and targets of the exchanges, while answers are compared.
    seen: Option<Vec<(String, String)>>,
    encoder: TraceEncoder,
    body: Vec<u8>,
    written: usize,
}

impl Sink {
    fn flush(&mut self) {
        self.body.clear();
        self.encoder.encode(&self.spans, &mut self.body);
        self.written += self.body.len();
        self.spans.drain(..).for_each(|span| self.traces.give_back(span.attributes));
        self.protocols.clear();
    }
}

impl Observer for Sink {
    fn opened(&mut self, info: &ConnectionInfo, opened: &Opened) {
        self.traces.opened(info, opened);
    }

    fn exchange(&mut self, info: &ConnectionInfo, exchange: &Exchange<'_>) {
        if let Some(seen) = &mut self.seen {
            seen.push((exchange.operation.to_string(), exchange.target.to_string()));
        }
        let (spans, protocols) = (&mut self.spans, &mut self.protocols);
        self.traces.exchange(info, &self.resource, exchange, &mut |record| {
            spans.push(record.span);
            protocols.push(record.protocol);
        });
    }

    fn closed(&mut self, _: &ConnectionInfo, _: &Account, _: u64) {}

    fn verdict(&mut self, _: &ConnectionInfo, _: Verdict) {}
}

struct Spine {
    connections: Connections,
    sink: Sink,
    ring: Ring,
    /// Index of the record that comes next.
    next: usize,
}

impl Spine {
    fn new() -> Self {
        let resource = Resource::new(vec![
            Attribute::new("service.name", "checkout"),
            Attribute::new("process.pid", 100_i64),
            Attribute::new("telemetry.sdk.name", "obtrace"),
        ]);
        let sink = Sink {
            traces: Traces::new(TraceSettings::new()),
            resource: Arc::new(resource),
            spans: Vec::new(),
            protocols: Vec::new(),
            seen: None,
            encoder: TraceEncoder::new(),
            body: Vec::new(),
            written: 0,
        };
        let mut spine = Self { connections: Connections::new(Settings::default()), sink, ring: ring(), next: 0 };
        for i in 0..CONNECTIONS {
            let mut open = Open::new(1, SocketId::new(i as u64 + 1), Task::new(100, 101), Transport::Tcp);
            open.role = Some(Role::Server);
            open.local = "10.0.0.1:8080".parse().ok();
            open.remote = "10.0.0.2:40000".parse().ok();
            spine.connections.open(&open, &mut spine.sink);
        }
        spine
    }

    /// The next `count` records of the ring, around and around; `batch` spans make a request. Moves each record on to where
    /// its stream will be in the next pass, and when that is. Gives the bytes that were written.
    fn take(&mut self, count: usize, batch: usize) -> usize {
        self.sink.written = 0;
        for _ in 0..count {
            let Place { start, end, step } = self.ring.places[self.next];
            self.next = (self.next + 1) % self.ring.places.len();
            if let Ok(Event::Data(data)) = Event::parse(&self.ring.records[start..end]) {
                self.connections.data(&data, &mut self.sink);
            }
            if self.sink.spans.len() >= batch {
                self.sink.flush();
            }
            let field = &mut self.ring.records[start + SEQUENCE..start + SEQUENCE + 4];
            let sequence = u32::from_ne_bytes([field[0], field[1], field[2], field[3]]).wrapping_add(step);
            field.copy_from_slice(&sequence.to_ne_bytes());
            if let Some(time) = self.ring.records[start + TIME..].first_chunk_mut() {
                *time = (u64::from_ne_bytes(*time) + EXCHANGES as u64 * STEP).to_ne_bytes();
            }
        }
        self.sink.written
    }
}

/// Every exchange became one span that says the right things, on a second pass too.
fn compare() {
    let mut spine = Spine::new();
    for pass in 0..2 {
        spine.sink.seen = Some(Vec::new());
        spine.take(2 * EXCHANGES, usize::MAX);
        let spans = std::mem::take(&mut spine.sink.spans);
        let protocols = std::mem::take(&mut spine.sink.protocols);
        let seen = spine.sink.seen.take().unwrap_or_default();
        assert_eq!(spans.len(), EXCHANGES, "a span for each exchange");
        for (i, ((span, protocol), (operation, target))) in spans.iter().zip(protocols).zip(seen).enumerate() {
            let pair = pair(i);
            assert_eq!((protocol, operation, target), (pair.protocol, pair.operation.to_owned(), pair.target));
            let start = START + (pass * EXCHANGES + i) as u64 * STEP;
            assert_eq!((span.start_unix_nano, span.end_unix_nano), (start, start + STEP / 2), "{i}");
            assert_eq!((span.kind, &span.status), (SpanKind::Server, &Status::Unset), "{i}");
            assert!(span.name.starts_with(pair.operation), "{i}: {}", span.name);
        }
    }
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    compare();
    let mut spine = Spine::new();
    // Until the connections have the buffers that they keep.
    let bytes = (0..3).map(|_| spine.take(2 * EXCHANGES, BATCH)).max().unwrap_or_default();
    let parts = (0..EXCHANGES / BATCH).map(|_| spine.take(2 * BATCH, BATCH)).sum::<usize>();
    assert_eq!(parts, bytes, "each pass writes the same, however it is cut");
    let outcome = Group::new("Ring records to OTLP JSON, one thread", "event", 2 * BATCH)
        .add("obtrace", bytes * BATCH / EXCHANGES, || spine.take(2 * BATCH, BATCH))
        .run(run);
    while spine.next != 0 {
        spine.take(2 * BATCH, BATCH);
    }
    assert_eq!(spine.take(2 * EXCHANGES, BATCH), bytes, "the last pass writes what the first did");
    let events = 2.0 * BATCH as f64 / outcome.nanos[0] * 1_000.0;
    goals.rate("ring to OTLP JSON: million events a second", events, 1.0);
}
