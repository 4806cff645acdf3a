//! What floods with the smallest of messages is told as if each had come by itself, and takes little memory until then.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use obtrace_protocols::{Config, Connection, Direction, Exchange, Opened, Protocol, Role, Shared, Tag, Timestamp};

/// What begins a connection, what is asked again and again, and its answers, if there are any.
struct Flood {
    protocol: Protocol,
    begin: &'static [(Direction, &'static [u8])],
    asked: &'static [u8],
    answered: &'static [u8],
    /// Most bytes a unit takes while it waits.
    most: usize,
}

const STARTUP: (Direction, &[u8]) = (Direction::Sent, b"\0\0\0\x12\0\x03\0\0user\0bob\0\0");
const READY: (Direction, &[u8]) = (Direction::Received, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
const EMPTY: &[u8] = b"Q\0\0\0\x05\0";
/// Two exchanges that are alike, and one that is not.
const SEVERAL: &[u8] = b"Q\0\0\0\x05\0Q\0\0\0\x05\0Q\0\0\0\x0dSELECT 1\0";
const SELECT: (Direction, &[u8]) = (Direction::Sent, b"\x09\0\0\0\x03SELECT 1");
const SELECTED: (Direction, &[u8]) = (Direction::Received, b"\x07\0\0\x01\0\0\0\x02\0\0\0");

const FLOODS: [Flood; 6] = [
    Flood { protocol: Protocol::Postgres, begin: &[STARTUP, READY], asked: EMPTY, answered: b"", most: 100 },
    Flood {
        protocol: Protocol::Postgres,
        begin: &[STARTUP, READY],
        asked: EMPTY,
        answered: b"I\0\0\0\x04Z\0\0\0\x05I",
        most: 60,
    },
    Flood { protocol: Protocol::Postgres, begin: &[STARTUP, READY], asked: SEVERAL, answered: b"", most: 2000 },
    Flood { protocol: Protocol::MySql, begin: &[SELECT, SELECTED], asked: b"\x01\0\0\0\x0e", answered: b"", most: 60 },
    Flood {
        protocol: Protocol::MySql,
        begin: &[SELECT, SELECTED],
        asked: b"\x01\0\0\0\x0e",
        answered: b"\x07\0\0\x01\0\0\0\x02\0\0\0",
        most: 40,
    },
    Flood {
        protocol: Protocol::MySql,
        begin: &[SELECT, SELECTED],
        asked: b"\x09\0\0\0\x03SELECT 1",
        answered: b"\x07\0\0\x01\0\0\0\x02\0\0\0",
        most: 110,
    },
];

struct Talk {
    connection: Connection,
    ends: [u64; 2],
    opened: Vec<Opened>,
    told: Vec<Exchange<'static>>,
}

impl Talk {
    fn begin(flood: &Flood, most: u32) -> Self {
        let config = Config::new().with_role(Some(Role::Client)).with_max_pending(most);
        let connection = Connection::new(config, &Shared::default());
        let mut talk = Self { connection, ends: [0; 2], opened: Vec::new(), told: Vec::new() };
        for (direction, bytes) in flood.begin {
            talk.say(*direction, bytes);
        }
        talk
    }

    /// All in one moment.
    fn say(&mut self, direction: Direction, bytes: &[u8]) {
        let end = &mut self.ends[usize::from(direction == Direction::Received)];
        self.connection.handle_data(direction, *end, bytes, Timestamp::from_nanos(7), Tag::new(9));
        *end += bytes.len() as u64;
    }

    fn poll(&mut self) {
        while let Some(opened) = self.connection.poll_opened() {
            self.opened.push(opened);
        }
        while let Some(exchange) = self.connection.poll_exchange() {
            self.told.push(exchange.into_owned());
        }
    }

    fn end(mut self) -> (Vec<Opened>, Vec<Exchange<'static>>) {
        self.connection.handle_close(Timestamp::from_nanos(7));
        self.poll();
        (self.opened, self.told)
    }
}

#[test]
fn a_flood_is_told_as_its_parts_are() {
    for flood in &FLOODS {
        for (count, most) in [(1, 1024), (3, 1024), (700, 1024), (700, 9)] {
            let mut at_once = Talk::begin(flood, most);
            at_once.say(Direction::Sent, &flood.asked.repeat(count));
            at_once.say(Direction::Received, &flood.answered.repeat(count));
            let mut polled = Talk::begin(flood, most);
            for part in flood.asked.repeat(count).chunks(7) {
                polled.say(Direction::Sent, part);
                polled.poll();
            }
            for part in flood.answered.repeat(count).chunks(5) {
                polled.say(Direction::Received, part);
                polled.poll();
            }
            let wanted = polled.end();
            assert!(wanted.1.len() >= count && wanted.1.iter().all(|one| one.protocol == flood.protocol));
            assert_eq!(at_once.end(), wanted, "{:?} {count} {most}", flood.protocol);
        }
    }
}

/// Polled in the middle, and goes on.
#[test]
fn a_flood_may_go_on_while_it_is_told() {
    for flood in &FLOODS {
        let (mut polled, mut at_once) = (Talk::begin(flood, 9), Talk::begin(flood, 9));
        for turn in 1..40 {
            for talk in [&mut polled, &mut at_once] {
                talk.say(Direction::Sent, &flood.asked.repeat(turn));
                talk.say(Direction::Received, &flood.answered.repeat(turn));
            }
            if let Some(exchange) = polled.connection.poll_exchange() {
                polled.told.push(exchange.into_owned());
            }
        }
        assert_eq!(polled.end(), at_once.end(), "{:?}", flood.protocol);
    }
}

#[test]
fn what_floods_takes_little_memory() {
    for flood in &FLOODS {
        let count = 60_000 / flood.asked.len();
        let mut talk = Talk::begin(flood, 1024);
        let before = talk.connection.memory();
        for _ in 0..count.div_ceil(1000) {
            talk.say(Direction::Sent, &flood.asked.repeat(1000));
            talk.say(Direction::Received, &flood.answered.repeat(1000));
        }
        let held = (talk.connection.memory() - before) / count;
        assert!(held < flood.most, "{:?}: {held} bytes a unit", flood.protocol);
    }
}
