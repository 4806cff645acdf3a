//! A connection: bytes of both directions in, exchanges out.

mod config;
mod detection;
mod feed;
mod shared;
mod switch;
mod topics;

use alloc::boxed::Box;

pub use config::Config;
pub use shared::Shared;
use switch::Retired;

use crate::{
    Direction, Exchange, Opened, Protocol, Role, Tag, Timestamp,
    announced::Announced,
    detect,
    parser::{Parser, Side},
    stream::{Assembler, Mark, Pushed},
};

/// What may be left out of what is captured from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Interest {
    /// Every byte.
    Full,
    /// Nothing before this stream offset (the rest of a body).
    Until(u64),
    /// Nothing at all: not a protocol of ours, or encrypted.
    Ignore,
}

/// What is known about the protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Not enough was seen.
    Detecting,
    /// This one.
    Known(Protocol),
    /// A TLS connection; its plaintext has to come from elsewhere.
    Tls,
    /// None that this crate knows.
    Unknown,
}

/// Both directions of one connection: detects the protocol, feeds its parser, hands out exchanges.
///
/// Push with the `handle_*` functions, then pull with [`poll_opened`](Connection::poll_opened) and
/// [`poll_exchange`](Connection::poll_exchange) until they give `None`.
///
/// ```
/// use obtrace_protocols::{Config, Connection, Direction, Role, Shared, Tag, Timestamp};
/// let shared = Shared::default();
/// let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &shared);
/// let at = Timestamp::from_nanos;
/// connection.handle_data(Direction::Sent, 0, b"GET /users/7?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", at(10), Tag::new(1));
/// connection.handle_data(Direction::Received, 0, b"HTTP/1.1 204 No Content\r\n\r\n", at(30), Tag::new(1));
/// let exchange = connection.poll_exchange().unwrap();
/// assert_eq!((&*exchange.operation, &*exchange.target), ("GET", "/users/7"));
/// assert_eq!(exchange.end().as_nanos() - exchange.request.start.as_nanos(), 20);
/// ```
#[derive(Debug)]
pub struct Connection {
    config: Config,
    shared: Shared,
    client: Stream,
    server: Stream,
    /// Of the client and of the server.
    beginnings: [Beginning; 2],
    parser: Option<ParserBox>,
    retired: Retired,
    opened: Announced,
    next_id: u64,
    held: usize,
    state: State,
    /// The direction that carries the requests, once it is known.
    requests: Option<Direction>,
    attempts: u16,
    joined: bool,
    /// The side of the newest chunk that was looked at, and whether the one before was of the same side.
    newest: Side,
    goes_on: bool,
    misframed: u8,
    framing_errors: u16,
    /// `next_id` at the newest framing error.
    misframed_at: u64,
}

#[derive(Debug)]
struct Stream {
    assembler: Assembler,
    need: u32,
    ignored: bool,
    /// The parser wants more of the other side first.
    blocked: bool,
    /// Bytes were lost before the protocol was known.
    torn: bool,
    /// A statement of SQL was seen in it before the protocol was known.
    stated: bool,
}

/// What a stream began with, which is looked at as long as the protocol is not known.
#[derive(Clone, Copy, Debug, Default)]
struct Beginning {
    /// It, or a part of it, is not kept any more.
    dropped: bool,
    /// Only HTTP/2 begins so.
    is_http2: bool,
}

struct ParserBox(Box<dyn Parser>);

impl core::fmt::Debug for ParserBox {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Parser")
    }
}

impl Stream {
    /// Drops what was no beginning.
    fn forget(&mut self) {
        self.assembler.reset();
        (self.need, self.ignored, self.blocked) = (1, false, false);
    }

    fn new(config: &Config) -> Self {
        let assembler = Assembler::new(config.max_buffered as usize);
        Self { assembler, need: 1, ignored: false, blocked: false, torn: false, stated: false }
    }
}

impl Connection {
    /// A connection of which nothing was seen yet.
    #[must_use]
    pub fn new(config: Config, shared: &Shared) -> Self {
        Self {
            client: Stream::new(&config),
            server: Stream::new(&config),
            beginnings: Default::default(),
            shared: shared.clone(),
            parser: None,
            retired: Retired::default(),
            opened: Announced::new(),
            next_id: 0,
            held: 0,
            state: State::Detecting,
            requests: config.role.map(requests_of),
            attempts: 0,
            joined: false,
            newest: Side::Client,
            goes_on: false,
            misframed: 0,
            framing_errors: 0,
            misframed_at: 0,
            config,
        }
    }

    /// What is known about its protocol.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The role of the observed socket, once it is known.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.requests.map(|direction| if direction == Direction::Sent { Role::Client } else { Role::Server })
    }

    /// Bytes held for messages that are not whole, both directions.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.client.assembler.buffered().saturating_add(self.server.assembler.buffered())
    }

    /// How many times bytes of a known protocol were no message of it, so that the next one had to be searched for; no
    /// more than 65,535 are counted. Behind such a place responses are paired as behind a loss.
    #[must_use]
    pub const fn framing_errors(&self) -> u16 {
        self.framing_errors
    }

    /// Says at which stream offset a direction begins (the byte after a SYN), so that bytes missing at the very start
    /// are noticed. Without it the first chunk begins the stream.
    pub fn expect(&mut self, direction: Direction, offset: u64) {
        self.stream_mut(self.side(direction)).assembler.begin(offset);
    }

    /// Says that the connection was there before the first bytes that will be seen, to be called before them: these may
    /// be the rest of a message, and answers may belong to requests that nobody saw. Exchanges are told once it is sure
    /// that nothing else was under way: the first ones a little later than they are otherwise.
    pub const fn join(&mut self) {
        self.joined = true;
    }

    /// Bytes of one direction, the first of them at `offset` of the stream; `at` is when they passed, `tag` what
    /// their exchange will carry. Chunks may overlap and come out of order.
    pub fn handle_data(&mut self, direction: Direction, offset: u64, bytes: &[u8], at: Timestamp, tag: Tag) {
        let side = self.side(direction);
        let mark = Mark::new(offset, at, tag);
        if self.stream(side).ignored {
            return;
        }
        if self.parser.is_some() {
            self.feed(side, bytes, mark);
            self.wake();
        } else if self.state == State::Detecting {
            self.collect(side, bytes, mark);
        }
        self.account();
    }

    /// One datagram. The two ends of a datagram "connection" are one pair of addresses: make one connection a peer.
    pub fn handle_datagram(&mut self, direction: Direction, bytes: &[u8], at: Timestamp, tag: Tag) {
        if self.state == State::Detecting {
            let detection = detect::detect_datagram(bytes, direction, self.role());
            self.settle(detection);
        }
        let side = self.side(direction);
        let mark = Mark::new(0, at, tag);
        self.with_parser(side, at, Some(mark), |parser, cx| parser.datagram(side, bytes, cx));
        self.account();
    }

    /// `length` bytes of one direction, the first at `offset`, passed and were not captured.
    pub fn handle_gap(&mut self, direction: Direction, offset: u64, length: u64, at: Timestamp) {
        let side = self.side(direction);
        if self.stream(side).ignored {
            return;
        }
        let mark = Mark::new(offset, at, Tag::default());
        while self.stream_mut(side).assembler.lose(length, mark) == Pushed::Full {
            // What waits leaves no room even to note the loss.
            if !self.give_up_hole(side, at) {
                let lost = self.stream_mut(side).assembler.lose_until(offset.saturating_add(length));
                self.gap(side, lost, at);
                self.run(side);
                break;
            }
        }
        self.go_on(side, at);
        self.wake();
        self.account();
    }

    /// The time that [`Connection::poll_timeout`] named has come: holes that are too old are given up, requests that
    /// wait for too long are finished.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        for side in [Side::Client, Side::Server] {
            let timeout = self.config.gap_timeout;
            let due = |since: Timestamp| since.saturating_add(timeout) <= now;
            while self.stream(side).assembler.waiting_since().is_some_and(due) {
                self.give_up_hole(side, now);
                self.wake();
            }
        }
        self.with_parser(Side::Client, now, None, |parser, cx| {
            if parser.poll_timeout().is_some_and(|due| due <= now) {
                parser.timeout(cx);
            }
        });
        self.account();
    }

    /// When [`Connection::handle_timeout`] wants to be called; `None`: not before more is pushed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let hole = |stream: &Stream| stream.assembler.waiting_since();
        let holes = [hole(&self.client), hole(&self.server)].into_iter().flatten();
        let parser = self.parser.as_ref().and_then(|parser| parser.0.poll_timeout());
        holes.map(|since| since.saturating_add(self.config.gap_timeout)).chain(parser).min()
    }

    /// The connection has ended. Exchanges that wait are finished as they are.
    pub fn handle_close(&mut self, at: Timestamp) {
        for side in [Side::Client, Side::Server] {
            while self.stream(side).assembler.waiting_since().is_some() {
                self.give_up_hole(side, at);
                self.wake();
            }
        }
        self.with_parser(Side::Client, at, None, |parser, cx| parser.close(cx));
        if self.state == State::Detecting {
            self.state = State::Unknown;
        }
        self.client.ignored = true;
        self.server.ignored = true;
        self.account();
    }

    /// The connection is not observed any more and may go on. Exchanges that wait are finished as they are; a response
    /// that only the end of its connection ends is [`Truncated`](crate::Completeness::Truncated).
    pub fn handle_leave(&mut self, at: Timestamp) {
        if let Some(parser) = self.parser.as_mut() {
            parser.0.leave();
        }
        self.handle_close(at);
    }

    /// The next request that has begun.
    pub fn poll_opened(&mut self) -> Option<Opened> {
        self.opened.pop()
    }

    /// The next exchange that is finished. Every one was announced by [`Connection::poll_opened`] before.
    #[inline]
    pub fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        if self.retired.has_exchange() {
            return self.retired.poll_exchange();
        }
        self.parser.as_mut()?.0.poll_exchange()
    }

    /// What the kernel may leave out of one direction from now on.
    #[must_use]
    pub fn interest(&self, direction: Direction) -> Interest {
        let stream = self.stream(self.side(direction));
        let skip_until = stream.assembler.skip_until();
        match self.state {
            State::Tls | State::Unknown => Interest::Ignore,
            _ if stream.ignored || skip_until == u64::MAX => Interest::Ignore,
            _ if skip_until > stream.assembler.position() => Interest::Until(skip_until),
            _ => Interest::Full,
        }
    }

    /// Gives back heap memory that is not in use now. For connections that have been idle for a while.
    pub fn shrink(&mut self) {
        self.client.assembler.shrink();
        self.server.assembler.shrink();
        self.opened.shrink();
        if let Some(parser) = self.parser.as_mut() {
            parser.0.shrink();
        }
        self.account();
    }

    /// Heap bytes held, in use or not.
    #[inline]
    #[must_use]
    pub fn memory(&self) -> usize {
        let parser = self.parser.as_ref().map_or(0, |parser| parser.0.memory());
        let opened = self.opened.memory();
        let streams = self.client.assembler.memory().saturating_add(self.server.assembler.memory());
        parser.saturating_add(self.retired.memory()).saturating_add(opened).saturating_add(streams)
    }

    fn side(&self, direction: Direction) -> Side {
        // Until it is known who sends the requests, the client's stream stands for what is sent.
        if direction == self.requests.unwrap_or(Direction::Sent) { Side::Client } else { Side::Server }
    }

    const fn stream(&self, side: Side) -> &Stream {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn stream_mut(&mut self, side: Side) -> &mut Stream {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

const fn requests_of(role: Role) -> Direction {
    match role {
        Role::Client => Direction::Sent,
        Role::Server => Direction::Received,
    }
}

/// The role that exchanges are told from.
fn told_role(config: &Config, requests: Option<Direction>) -> Role {
    config.perspective.or(requests.map(role_of)).unwrap_or(Role::Client)
}

fn role_of(requests: Direction) -> Role {
    if requests == Direction::Sent { Role::Client } else { Role::Server }
}
