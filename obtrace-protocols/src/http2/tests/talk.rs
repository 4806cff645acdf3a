//! What tests say on a connection.

use alloc::vec::Vec;

use super::super::{Http2Details, frame::PREFACE};
use crate::{Config, Connection, Details, Direction, Exchange, Role, Shared, Tag, Timestamp};

pub(in super::super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of fields that are not put in the table.
pub(in super::super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    let field = |(name, value): &(&str, &str)| {
        [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
    };
    fields.iter().flat_map(field).collect()
}

pub(in super::super) fn request(stream: u32, path: &str, kind: &str) -> Vec<u8> {
    let fields =
        [(":method", "POST"), (":scheme", "https"), (":authority", "h:80"), (":path", path), ("content-type", kind)];
    frame(1, 4, stream, &block(&fields))
}

pub(in super::super) fn response(stream: u32, status: &str, kind: &str) -> Vec<u8> {
    frame(1, 4, stream, &block(&[(":status", status), ("content-type", kind)]))
}

/// A connection of a client, its preface and settings told, and what is said and lost on it; each time 1000 ns later.
pub(in super::super) struct Talk {
    pub(in super::super) connection: Connection,
    pub(in super::super) ends: [u64; 2],
    pub(in super::super) at: u64,
}

impl Talk {
    pub(in super::super) fn new(config: Config, shared: &Shared) -> Self {
        let connection = Connection::new(config.with_role(Some(Role::Client)), shared);
        let mut talk = Self { connection, ends: [0; 2], at: 0 };
        talk.say(Direction::Sent, &[PREFACE, &frame(4, 0, 0, b"")].concat());
        talk.say(Direction::Received, &frame(4, 0, 0, b""));
        talk
    }

    pub(in super::super) fn say(&mut self, direction: Direction, bytes: &[u8]) {
        let end = &mut self.ends[usize::from(direction == Direction::Received)];
        self.at = self.at.saturating_add(1000);
        self.connection.handle_data(direction, *end, bytes, Timestamp::from_nanos(self.at), Tag::default());
        *end = end.saturating_add(bytes.len() as u64);
        while self.connection.poll_opened().is_some() {}
    }

    pub(in super::super) fn lose(&mut self, direction: Direction, length: u64) {
        let end = &mut self.ends[usize::from(direction == Direction::Received)];
        self.at = self.at.saturating_add(1000);
        self.connection.handle_gap(direction, *end, length, Timestamp::from_nanos(self.at));
        *end = end.saturating_add(length);
    }

    pub(in super::super) fn exchanges(&mut self) -> Vec<Exchange<'static>> {
        let mut out = Vec::new();
        while let Some(exchange) = self.connection.poll_exchange() {
            out.push(exchange.into_owned());
        }
        out
    }
}

pub(in super::super) fn details_of<'e>(exchange: &'e Exchange<'_>) -> &'e Http2Details<'e> {
    let Details::Http2(details) = &exchange.details else { panic!("{exchange:?}") };
    details
}
