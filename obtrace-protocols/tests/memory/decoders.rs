//! What compressed bodies on the streams of one connection hold together.

use std::cell::Cell;

use obtrace_protocols::{Completeness, Config, Connection, Direction, Role, Shared, Tag, Timestamp};

use super::HELD;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

struct Talk {
    connection: Connection,
    ends: [u64; 2],
    at: u64,
}

impl Talk {
    fn say(&mut self, direction: Direction, bytes: &[u8]) {
        let end = &mut self.ends[usize::from(direction == Direction::Received)];
        self.at += 1000;
        self.connection.handle_data(direction, *end, bytes, Timestamp::from_nanos(self.at), Tag::default());
        *end += bytes.len() as u64;
        while self.connection.poll_opened().is_some() {}
    }
}

/// What a connection may hold for them, and what it may hold besides.
const MOST: usize = (16 << 20) + (3 << 20);

/// 64 streams, both bodies of each under way at once in a coding, each as large as its window.
fn streams(coding: &str, body: &[u8]) {
    const STREAMS: u32 = 64;
    let numbers = || (1..STREAMS * 2).step_by(2);
    let config = Config::new().with_role(Some(Role::Client));
    let connection = Connection::new(config, &Shared::default());
    let mut talk = Talk { connection, ends: [0; 2], at: 0 };
    let before = HELD.with(Cell::get);
    let held = || HELD.with(Cell::get).wrapping_sub(before);
    talk.say(Direction::Sent, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, b"")[..]].concat());
    let about = [field("content-type", "application/json"), field("content-encoding", coding)].concat();
    let request = [b"\x83\x86", &field(":path", "/v1/chat/completions")[..], &about].concat();
    let response = [b"\x88", &about[..]].concat();
    let mut peak = 0;
    for stream in numbers() {
        for (direction, head) in [(Direction::Sent, &request), (Direction::Received, &response)] {
            talk.say(direction, &frame(1, 4, stream, head));
            for part in body.chunks(64) {
                talk.say(direction, &frame(0, 0, stream, part));
                peak = peak.max(held());
            }
        }
    }
    let told = talk.connection.memory();
    println!("{coding}: {} KiB, told {} KiB", peak >> 10, told >> 10);
    assert!(peak <= MOST, "{coding}: {} KiB are held", peak >> 10);
    // What is told is what is held, or a little more.
    assert!(held() <= told + 4096 && told <= held() + held() / 2, "{coding}: {} of {told} are held", held());
    for stream in numbers() {
        talk.say(Direction::Sent, &frame(3, 0, stream, &[0, 0, 0, 8]));
    }
    let (mut cut, mut all) = (0, 0);
    while let Some(exchange) = talk.connection.poll_exchange() {
        let unread = format!("{:?}", exchange.details).matches("Memory").count();
        let completeness = if unread > 0 { Completeness::Truncated } else { Completeness::Complete };
        assert_eq!(exchange.completeness, completeness, "{exchange:?}");
        (cut, all) = (cut + unread, all + 1);
    }
    assert!(all == STREAMS && cut > 100, "{coding}: {cut} of {all}");
    assert!(held() < 2 << 20, "{coding}: {} are kept", held());
    // There is room again.
    talk.say(Direction::Sent, &[frame(1, 4, 201, &request), frame(0, 0, 201, body)].concat());
    talk.say(Direction::Sent, &frame(3, 0, 201, &[0, 0, 0, 8]));
    assert_eq!(talk.connection.poll_exchange().unwrap().completeness, Completeness::Complete);
}

#[test]
fn windows_of_brotli() {
    // 4 MiB, and a block as it is of so many bytes, five of them here.
    streams("br", b"\xcb\xff\xff\x9f     ");
}

#[test]
fn windows_of_zstd() {
    // 8 MiB, and blocks of four bytes that stand for 128 KiB of spaces each.
    let blocks = [0x02, 0x00, 0x10, b' '].repeat(66);
    streams("zstd", &[&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68][..], &blocks].concat());
}
