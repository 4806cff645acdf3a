//! What an idle connection costs, what decoders hold, and that messages in steady state cost no allocation.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod conversations;
#[cfg(all(feature = "brotli", feature = "zstd"))]
mod decoders;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use conversations::{conversations, dns};
use obtrace_protocols::{Config, Connection, Direction, Protocol, Role, Shared, Tag, Timestamp};

/// Counts the allocations of the current thread, and the bytes that it holds.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system allocator as it came; the counters are thread-locals without a destructor.
#[expect(unsafe_code, reason = "a global allocator cannot be written otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        HELD.with(|held| held.set(held.get().wrapping_add(layout.size())));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.with(|held| held.set(held.get().wrapping_sub(layout.size())));
        // SAFETY: the pointer came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        HELD.with(|held| held.set(held.get().wrapping_add(size).wrapping_sub(layout.size())));
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
