//! A connection: bytes of both directions in, exchanges out.

use alloc::{boxed::Box, collections::VecDeque, sync::Arc};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    Direction, Exchange, Opened, Protocol, Role, Tag, Timestamp,
    detect::{self, Detection},
    parser::{Context, Parser, Side, Then},
    stream::{Assembler, Mark, Pushed},
};

/// What a connection is told and how much it may use. Cheap to copy; the same value serves many connections.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The role of the observed socket, where the kernel (or a SYN) told it. `None`: the protocol's detection finds
    /// out who sends the requests.
    pub role: Option<Role>,
    /// From whose side exchanges are told ([`Exchange::role`], and what counts as an error there). `None`: from that
    /// of the observed socket. A capture has no socket of its own: there the reader chooses.
    pub perspective: Option<Role>,
    /// A protocol to try first: the kernel's look at the first bytes, or the port. Only an order, never an answer.
    pub hint: Option<Protocol>,
    /// Most bytes held for one direction while a message is not whole. 64 KiB.
    pub max_buffered: u32,
    /// Most bytes kept of a text (an SQL statement, a path). What is longer is cut there. 4 KiB.
    pub max_text: u32,
    /// Keep statements as they are, with the data in them. By default literals are replaced before they are kept.
    pub raw_sql: bool,
    /// Keep the text of database errors, which may hold data. By default only their codes are kept.
    pub error_text: bool,
    /// Most requests that may wait for their response. The oldest is reported as missing its response beyond it. 1024.
    pub max_pending: u32,
    /// How long a hole in a stream is waited for before it counts as lost, in nanoseconds. 200 ms.
    pub gap_timeout: u64,
    /// How long a datagram request waits for its response, in nanoseconds. 5 s.
    pub datagram_timeout: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: None,
            perspective: None,
            hint: None,
            max_buffered: 64 * 1024,
            max_text: 4 * 1024,
            raw_sql: false,
            error_text: false,
            max_pending: 1024,
            gap_timeout: 200_000_000,
            datagram_timeout: 5_000_000_000,
        }
    }
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Config::role`].
    #[must_use]
    pub fn with_role(mut self, role: Option<Role>) -> Self {
        self.role = role;
        self
    }

    /// Sets [`Config::perspective`].
    #[must_use]
    pub fn with_perspective(mut self, perspective: Option<Role>) -> Self {
        self.perspective = perspective;
        self
    }

    /// Sets [`Config::hint`].
    #[must_use]
    pub fn with_hint(mut self, hint: Option<Protocol>) -> Self {
        self.hint = hint;
        self
    }

    /// Sets [`Config::max_buffered`], at least 4 KiB.
    #[must_use]
    pub fn with_max_buffered(mut self, bytes: u32) -> Self {
        self.max_buffered = bytes.max(4 * 1024);
        self
    }

    /// Sets [`Config::max_text`].
    #[must_use]
    pub fn with_max_text(mut self, bytes: u32) -> Self {
        self.max_text = bytes;
        self
    }

    /// Sets [`Config::raw_sql`].
    #[must_use]
    pub fn with_raw_sql(mut self, keep: bool) -> Self {
        self.raw_sql = keep;
        self
    }

    /// Sets [`Config::error_text`].
    #[must_use]
    pub fn with_error_text(mut self, keep: bool) -> Self {
        self.error_text = keep;
        self
    }

    /// Sets [`Config::max_pending`], at least 1.
    #[must_use]
    pub fn with_max_pending(mut self, requests: u32) -> Self {
        self.max_pending = requests.max(1);
        self
    }

    /// Sets [`Config::gap_timeout`].
    #[must_use]
    pub fn with_gap_timeout(mut self, nanos: u64) -> Self {
        self.gap_timeout = nanos;
        self
    }

    /// Sets [`Config::datagram_timeout`].
    #[must_use]
    pub fn with_datagram_timeout(mut self, nanos: u64) -> Self {
        self.datagram_timeout = nanos;
        self
    }
}

/// What connections have in common: the bytes that all of them together may hold.
#[derive(Clone, Debug)]
pub struct Shared(Arc<SharedInner>);

#[derive(Debug)]
struct SharedInner {
    held: AtomicUsize,
    given_up: AtomicUsize,
    max_held: usize,
}

impl Default for Shared {
    fn default() -> Self {
        Self::new(256 * 1024 * 1024)
    }
}

impl Shared {
    /// Connections made with this value hold at most `max_held` heap bytes together; beyond it a connection drops
    /// what it holds, which counts as a gap.
    #[must_use]
    pub fn new(max_held: usize) -> Self {
        Self(Arc::new(SharedInner { held: AtomicUsize::new(0), given_up: AtomicUsize::new(0), max_held }))
    }

    /// Heap bytes held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Bytes of messages that were let go so far because all connections together held too much.
    #[must_use]
    pub fn given_up(&self) -> usize {
        self.0.given_up.load(Ordering::Relaxed)
    }
}

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

/// A connection that matched nothing is looked at again, each time at the start of a chunk: it may have been joined in
/// the middle of a message, of a large one in many chunks that follow each other. So many chunks of the same side at most.
const MAX_ATTEMPTS: u16 = 1024;
/// As how many a chunk counts that the other side answers with: as many times at most do the sides take turns.
const TURN: u16 = MAX_ATTEMPTS / 32;
/// Framing errors forgiven before a protocol is given up.
const MAX_MISFRAMED: u8 = 3;
/// After so many requests the framing errors before them are forgotten.
const FORGIVEN_AFTER: u64 = 64;

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
    parser: Option<ParserBox>,
    /// A protocol that was given up and has exchanges left to hand out.
    retired: Option<ParserBox>,
    opened: VecDeque<Opened>,
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
}

struct ParserBox(Box<dyn Parser>);

impl core::fmt::Debug for ParserBox {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Parser")
    }
}

impl Stream {
    fn new(config: &Config) -> Self {
        let assembler = Assembler::new(config.max_buffered as usize);
        Self { assembler, need: 1, ignored: false, blocked: false, torn: false }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.0.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

impl Connection {
    /// A connection of which nothing was seen yet.
    #[must_use]
    pub fn new(config: Config, shared: &Shared) -> Self {
        Self {
            client: Stream::new(&config),
            server: Stream::new(&config),
            shared: shared.clone(),
            parser: None,
            retired: None,
            opened: VecDeque::new(),
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
        self.opened.pop_front()
    }

    /// The next exchange that is finished. Every one was announced by [`Connection::poll_opened`] before.
    pub fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        if self.retired.as_ref().is_some_and(|retired| retired.0.has_exchange()) {
            return self.retired.as_mut()?.0.poll_exchange();
        }
        self.retired = None;
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
        self.opened.shrink_to_fit();
        if let Some(parser) = self.parser.as_mut() {
            parser.0.shrink();
        }
        self.account();
    }

    /// Heap bytes held, in use or not.
    #[must_use]
    pub fn memory(&self) -> usize {
        let parsers = self.parser.iter().chain(&self.retired).map(|parser| parser.0.memory()).sum::<usize>();
        let opened = self.opened.capacity().saturating_mul(size_of::<Opened>());
        let streams = self.client.assembler.memory().saturating_add(self.server.assembler.memory());
        parsers.saturating_add(opened).saturating_add(streams)
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

impl Connection {
    /// Before the protocol is known: keeps the bytes and looks at both directions.
    fn collect(&mut self, side: Side, bytes: &[u8], mark: Mark) {
        self.goes_on = core::mem::replace(&mut self.newest, side) == side;
        let alone = self.stream(side).assembler.readable().is_empty();
        match self.stream_mut(side).assembler.push(bytes, mark) {
            Pushed::Ready => {}
            Pushed::Full => return self.settle(Detection::Unknown),
            _ => return,
        }
        self.look();
        // What waited was no beginning; this chunk may be one.
        let dropped = self.state == State::Detecting && self.stream(side).assembler.readable().is_empty();
        if !alone && dropped && self.stream_mut(side).assembler.push(bytes, mark) == Pushed::Ready {
            self.look();
        }
    }

    /// Looks at what both directions began with, or at what followed a hole.
    fn look(&mut self) {
        let (sent, received) = match self.requests {
            Some(Direction::Received) => (&self.server, &self.client),
            _ => (&self.client, &self.server),
        };
        let (sent, received) = (sent.assembler.readable(), received.assembler.readable());
        let detection = detect::detect(sent, received, self.role(), self.config.hint);
        self.settle(detection);
    }

    fn settle(&mut self, detection: Detection) {
        match detection {
            Detection::NeedMore => {}
            Detection::Tls => self.state = State::Tls,
            Detection::Unknown => {
                let weight = if core::mem::take(&mut self.goes_on) { 1 } else { TURN };
                self.attempts = self.attempts.saturating_add(weight);
                for stream in [&mut self.client, &mut self.server] {
                    stream.assembler.reset();
                    (stream.need, stream.ignored, stream.blocked) = (1, false, false);
                }
                if self.attempts >= MAX_ATTEMPTS {
                    self.state = State::Unknown;
                }
            }
            Detection::Match { protocol, requests, .. } => self.adopt(protocol, requests),
        }
    }

    fn adopt(&mut self, protocol: Protocol, requests: Direction) {
        if requests != self.requests.unwrap_or(Direction::Sent) {
            core::mem::swap(&mut self.client, &mut self.server);
        }
        self.requests = Some(requests);
        self.state = State::Known(protocol);
        self.parser = Some(ParserBox(detect::new_parser(protocol, &self.config)));
        if core::mem::take(&mut self.joined)
            && let Some(parser) = self.parser.as_mut()
        {
            parser.0.join();
        }
        // Of requests last: that something of the server was lost does not show that it answered them.
        for side in [Side::Server, Side::Client] {
            if core::mem::take(&mut self.stream_mut(side).torn) {
                let now = self.stream(side).assembler.newest().at;
                self.with_parser(side, now, None, |parser, cx| parser.gap(side, 0, cx));
            }
        }
        // What the client said comes first: a response is read knowing its request.
        for side in [Side::Client, Side::Server] {
            self.stream_mut(side).need = 1;
            self.run(side);
        }
        self.wake();
    }

    /// Takes a chunk while the protocol is known.
    fn feed(&mut self, side: Side, mut bytes: &[u8], mut mark: Mark) {
        // Each round takes bytes, gives up a hole or empties the buffer.
        while self.parser.is_some() && !self.stream(side).ignored {
            let stream = self.stream_mut(side);
            if !stream.blocked
                && let Some((fresh, mark)) = stream.assembler.direct(bytes, mark)
            {
                if !fresh.is_empty() {
                    self.run_direct(side, fresh, mark);
                }
                return self.go_on(side, mark.at);
            }
            match stream.assembler.push(bytes, mark) {
                Pushed::Ready => {
                    self.run(side);
                    return self.go_on(side, mark.at);
                }
                Pushed::Nothing | Pushed::Early => return self.go_on(side, mark.at),
                Pushed::Full => {}
            }
            if self.give_up_hole(side, mark.at) {
                continue;
            }
            // What does not fit behind the unread bytes follows when the parser has taken some of them.
            let assembler = &self.stream(side).assembler;
            let end = assembler.end();
            let room = (self.config.max_buffered as usize).saturating_sub(assembler.buffered());
            let old = usize::try_from(end.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
            let split = bytes.split_at_checked(old.saturating_add(room)).filter(|_| mark.offset <= end && room > 0);
            let Some((part, rest)) = split else {
                // The parser cannot take more, or the chunk is too large to wait behind a hole.
                let unread = assembler.readable().len() as u64;
                let missing = self.stream_mut(side).assembler.drop_until(mark.offset);
                self.gap(side, unread.saturating_add(missing), mark.at);
                continue;
            };
            if self.stream_mut(side).assembler.push(part, mark) == Pushed::Ready {
                self.run(side);
            }
            mark.offset = mark.offset.saturating_add(part.len() as u64);
            bytes = rest;
        }
    }

    /// Tells the parser of losses whose turn has come, and goes on behind them.
    fn go_on(&mut self, side: Side, now: Timestamp) {
        // A side that waits for the other one still wants what is in front of the loss.
        while !self.stream(side).blocked {
            let Some(lost) = self.stream_mut(side).assembler.take_loss() else { return };
            self.gap(side, lost, now);
            self.run(side);
        }
    }

    /// Shows a side that waited for the other one its bytes again, as long as that gets anywhere.
    fn wake(&mut self) {
        loop {
            let mut moved = false;
            for side in [Side::Client, Side::Server] {
                let stream = self.stream_mut(side);
                if core::mem::take(&mut stream.blocked) {
                    let before = stream.assembler.position();
                    self.run(side);
                    let now = self.stream(side).assembler.newest().at;
                    self.go_on(side, now);
                    moved |= self.stream(side).assembler.position() != before;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Goes on behind the first hole. Whether there was one.
    fn give_up_hole(&mut self, side: Side, now: Timestamp) -> bool {
        let Some(lost) = self.stream_mut(side).assembler.force_gap() else { return false };
        self.gap(side, lost, now);
        if side == Side::Server && core::mem::take(&mut self.client.blocked) {
            // What the client waits for may be among what was lost: requests before responses.
            self.run(Side::Client);
        }
        self.run(side);
        self.go_on(side, now);
        true
    }

    fn gap(&mut self, side: Side, length: u64, now: Timestamp) {
        let stream = self.stream_mut(side);
        stream.need = 1;
        stream.blocked = false;
        if self.parser.is_some() {
            self.with_parser(side, now, None, |parser, cx| parser.gap(side, length, cx));
        } else if self.state == State::Detecting {
            self.stream_mut(side).torn = true;
            if !self.stream(side).assembler.readable().is_empty() {
                // What is behind the gap may be the start of a message.
                self.look();
            }
        }
    }

    /// Calls the parser, if there is one.
    fn with_parser<T>(
        &mut self,
        side: Side,
        now: Timestamp,
        direct: Option<Mark>,
        call: impl FnOnce(&mut dyn Parser, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let (stream, other) = match side {
            Side::Client => (&self.client, &self.server),
            Side::Server => (&self.server, &self.client),
        };
        let role = told_role(&self.config, self.requests);
        let parser = self.parser.as_mut()?;
        let mut cx = Context {
            config: &self.config,
            role,
            now,
            offset: direct.map_or(stream.assembler.position(), |mark| mark.offset),
            assembler: &stream.assembler,
            direct,
            other_waits: other.assembler.waiting_since().is_some(),
            other: &other.assembler,
            opened: &mut self.opened,
            next_id: &mut self.next_id,
        };
        Some(call(&mut *parser.0, &mut cx))
    }

    /// Parses a chunk where it lies; what is left of it goes into the buffer.
    fn run_direct(&mut self, side: Side, mut bytes: &[u8], mut mark: Mark) {
        let mut stuck = false;
        while !bytes.is_empty() && bytes.len() >= self.stream(side).need as usize {
            let shown = bytes;
            let step = self.with_parser(side, mark.at, Some(mark), |parser, cx| parser.parse(side, shown, cx));
            let Some(step) = step else { return };
            let consumed = step.consumed.min(bytes.len());
            bytes = bytes.get(consumed..).unwrap_or_default();
            mark.offset = mark.offset.saturating_add(consumed as u64);
            self.stream_mut(side).assembler.advance(consumed);
            if let Then::Skip(n) = step.then {
                let here = usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
                bytes = bytes.get(here..).unwrap_or_default();
                mark.offset = mark.offset.saturating_add(here as u64);
                self.stream_mut(side).assembler.advance(here);
                self.stream_mut(side).assembler.skip(n.saturating_sub(here as u64));
            }
            if !self.after(side, step.then, bytes.len(), consumed, &mut stuck) {
                break;
            }
        }
        if bytes.is_empty() || self.parser.is_none() || self.stream(side).ignored {
            return;
        }
        if self.stream_mut(side).assembler.push(bytes, mark) == Pushed::Full {
            // More than a parser may ask for is left over: it cannot go on there.
            let length = bytes.len() as u64;
            self.stream_mut(side).assembler.lose_until(mark.offset.saturating_add(length));
            self.gap(side, length, mark.at);
        }
    }

    /// Parses what is in the buffer.
    fn run(&mut self, side: Side) {
        let mut stuck = false;
        loop {
            let Some(parser) = self.parser.as_mut() else { return };
            let (stream, other) = match side {
                Side::Client => (&mut self.client, &self.server),
                Side::Server => (&mut self.server, &self.client),
            };
            let bytes = stream.assembler.readable();
            if bytes.is_empty() || bytes.len() < stream.need as usize || stream.ignored || stream.blocked {
                return;
            }
            let mut cx = Context {
                config: &self.config,
                role: told_role(&self.config, self.requests),
                now: stream.assembler.newest().at,
                offset: stream.assembler.position(),
                assembler: &stream.assembler,
                direct: None,
                other_waits: other.assembler.waiting_since().is_some(),
                other: &other.assembler,
                opened: &mut self.opened,
                next_id: &mut self.next_id,
            };
            let step = parser.0.parse(side, bytes, &mut cx);
            stream.assembler.consume(step.consumed);
            if let Then::Skip(n) = step.then {
                stream.assembler.skip(n);
            }
            let left = stream.assembler.readable().len();
            if !self.after(side, step.then, left, step.consumed, &mut stuck) {
                return;
            }
        }
    }

    /// Notes what the parser waits for. Whether it may go on with what is left.
    fn after(&mut self, side: Side, then: Then, left: usize, consumed: usize, stuck: &mut bool) -> bool {
        let limit = self.config.max_buffered;
        match then {
            Then::Need(n) => {
                // A parser that asks for nothing new would be called for ever.
                let need = n.max(left.saturating_add(1));
                self.stream_mut(side).need = u32::try_from(need).unwrap_or(u32::MAX).min(limit);
                *stuck = false;
                false
            }
            Then::Wait => {
                self.stream_mut(side).need = 1;
                self.stream_mut(side).blocked = true;
                false
            }
            Then::Skip(n) => {
                self.stream_mut(side).need = 1;
                self.stream_mut(side).ignored |= n == u64::MAX;
                *stuck = false;
                left > 0
            }
            Then::Misframed => {
                self.stream_mut(side).need = 1;
                if self.next_id.saturating_sub(self.misframed_at) >= FORGIVEN_AFTER {
                    self.misframed = 0;
                }
                self.misframed_at = self.next_id;
                self.misframed = self.misframed.saturating_add(1);
                self.framing_errors = self.framing_errors.saturating_add(1);
                if self.misframed > MAX_MISFRAMED {
                    self.give_up(side);
                    return false;
                }
                let again = consumed > 0 || !*stuck;
                *stuck = consumed == 0;
                again && left > 0
            }
        }
    }

    /// The protocol was a mistake: detect again from the next chunk.
    fn give_up(&mut self, side: Side) {
        let now = self.stream(side).assembler.newest().at;
        self.with_parser(side, now, None, |parser, cx| parser.close(cx));
        self.retired = self.parser.take();
        self.misframed = 0;
        self.state = State::Detecting;
        self.requests = self.config.role.map(requests_of);
        self.settle(Detection::Unknown);
    }

    /// Keeps the count of what all connections hold; drops what this one holds if it is too much.
    fn account(&mut self) {
        let held = self.memory();
        if held == self.held {
            return;
        }
        let total = &self.shared.0.held;
        if held > self.held {
            let grown = held.saturating_sub(self.held);
            let before = total.fetch_add(grown, Ordering::Relaxed);
            if before.saturating_add(grown) > self.shared.0.max_held {
                self.held = held;
                return self.drop_buffers();
            }
        } else {
            total.fetch_sub(self.held.saturating_sub(held), Ordering::Relaxed);
        }
        self.held = held;
    }

    fn drop_buffers(&mut self) {
        for side in [Side::Client, Side::Server] {
            let stream = self.stream_mut(side);
            let (until, now) = (stream.assembler.end(), stream.assembler.newest().at);
            let unread = stream.assembler.buffered();
            if unread == 0 {
                continue;
            }
            stream.assembler.reset();
            stream.assembler.begin(until);
            self.shared.0.given_up.fetch_add(unread, Ordering::Relaxed);
            self.gap(side, unread as u64, now);
        }
        self.client.assembler.shrink();
        self.server.assembler.shrink();
        let held = self.memory();
        self.shared.0.held.fetch_sub(self.held.saturating_sub(held), Ordering::Relaxed);
        self.held = held;
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
