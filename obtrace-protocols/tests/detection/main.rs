//! No connection is taken for what it is not: each protocol's conversations before all the other protocols' matchers, texts
//! of one protocol inside the values of another, protocols that this crate does not know, and noise.
//!
//! What is asked of each connection is the same: whatever is seen of it, its state never names a protocol that it does not
//! speak, and no exchange of such a protocol comes out.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../conversation/mod.rs"]
mod conversation;
mod golden;
mod strangers;
mod values;

use obtrace_protocols::{Config, Connection, Direction, Protocol, Role, Shared, State, Tag, Timestamp};

/// What a port may suggest.
const HINTS: [Option<Protocol>; 13] = [
    None,
    Some(Protocol::Http2),
    Some(Protocol::Postgres),
    Some(Protocol::MongoDb),
    Some(Protocol::FastCgi),
    Some(Protocol::MySql),
    Some(Protocol::Http),
    Some(Protocol::Dns),
    Some(Protocol::Kafka),
    Some(Protocol::Mqtt),
    Some(Protocol::Redis),
    Some(Protocol::Grpc),
    Some(Protocol::WebSocket),
];

/// A connection of which it is known what it may be.
struct Judged<'a> {
    name: String,
    spoken: &'a [Protocol],
    is_server: bool,
    connection: Connection,
    offsets: [u64; 2],
    at: u64,
    exchanges: usize,
    /// What it was taken for, against better knowledge.
    wrong: Option<String>,
}

impl<'a> Judged<'a> {
    fn new(name: &str, spoken: &'a [Protocol], role: Option<Role>, hint: Option<Protocol>) -> Self {
        let config = Config::new().with_role(role).with_hint(hint);
        let connection = Connection::new(config, &Shared::default());
        let name = format!("{name}, {role:?}, hint {hint:?}");
        let is_server = role == Some(Role::Server);
        Self { name, spoken, is_server, connection, offsets: [0; 2], at: 0, exchanges: 0, wrong: None }
    }

    /// Where the streams are; at 0 if nobody says.
    fn starts(&mut self, offsets: [u64; 2]) {
        self.offsets = offsets;
    }

    /// The next bytes of the client or of the server. The observed socket is the server's if it has that role.
    fn say(&mut self, is_client: bool, bytes: &[u8]) {
        let direction = if is_client != self.is_server { Direction::Sent } else { Direction::Received };
        let offset = self.offsets[usize::from(is_client)];
        self.offsets[usize::from(is_client)] += bytes.len() as u64;
        self.at += 1000;
        self.connection.handle_data(direction, offset, bytes, Timestamp::from_nanos(self.at), Tag::new(1));
        self.judge();
    }

    fn skip(&mut self, is_client: bool, length: u64) {
        self.offsets[usize::from(is_client)] += length;
    }

    fn judge(&mut self) {
        let state = self.connection.state();
        let is_right = match state {
            State::Known(protocol) => self.spoken.contains(&protocol),
            State::Tls => self.spoken.is_empty(),
            _ => true,
        };
        if !is_right && self.wrong.is_none() {
            self.wrong = Some(format!("{state:?}"));
        }
        while self.connection.poll_opened().is_some() {}
        while let Some(exchange) = self.connection.poll_exchange() {
            self.exchanges += 1;
            if !self.spoken.contains(&exchange.protocol) && self.wrong.is_none() {
                self.wrong = Some(format!("{exchange:?}"));
            }
        }
    }

    /// What was wrong, if anything was.
    fn close(mut self) -> Result<usize, String> {
        self.at += 60_000_000_000;
        self.connection.handle_timeout(Timestamp::from_nanos(self.at));
        self.judge();
        self.connection.handle_close(Timestamp::from_nanos(self.at));
        self.judge();
        self.wrong.map_or(Ok(self.exchanges), |wrong| Err(format!("{}: {wrong}", self.name)))
    }
}

/// Numbers that are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}
