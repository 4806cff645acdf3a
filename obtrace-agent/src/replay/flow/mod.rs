//! Connections of a capture.

mod order;
mod table;
mod tcp;
mod udp;

use std::net::SocketAddr;

use obtrace_protocols::{Config, Connection, Direction, Protocol, Role, Shared, State, Tag, Timestamp};

use super::spans::Spans;
use crate::{
    ports::likely_role,
    traces::{ConnectionInfo, SpanRecord, Transport},
};

pub(super) use order::{End, Patience};
pub(super) use table::{EntryId, Pair, Table};
pub(super) use tcp::TcpFlow;
pub(super) use udp::UdpFlow;

use order::Delivery;

/// The two ends of a conversation with the parser between them.
#[derive(Debug)]
pub(super) struct Conversation {
    connection: Connection,
    info: ConnectionInfo,
    local: SocketAddr,
    remote: SocketAddr,
    perspective: Role,
    /// Whether a byte was seen.
    spoke: bool,
    /// The time of what was taken last.
    last: u64,
}

/// How far the times of packets of one connection may run backwards for it to be the fault of clocks: two processors
/// stamp the packets of the two ends.
const CLOCK_SKEW: u64 = 10_000_000;

/// What a conversation turned out to be, for the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Nothing,
    Known,
    Tls,
    Unknown,
}

impl Conversation {
    /// `client` is the end that opened the conversation, where that is known; else `one` is either end.
    pub(super) fn new(
        id: u64,
        transport: Transport,
        (one, other): (SocketAddr, SocketAddr),
        client: Option<SocketAddr>,
        parsers: &Config,
        shared: &Shared,
    ) -> Self {
        let perspective = parsers.perspective.unwrap_or(Role::Client);
        let one_is_client = client.is_none_or(|client| client == one);
        let one_is_local = one_is_client == (perspective == Role::Client);
        let (local, remote) = if one_is_local { (one, other) } else { (other, one) };
        let role = client.map(|_| perspective);
        let likely = client.is_none().then(|| likely_role(local.port(), remote.port())).flatten();
        let config = parsers.with_role(role).with_likely_role(likely);
        let config = config.with_hint(Protocol::usual_on(local.port()).or(Protocol::usual_on(remote.port())));
        Self {
            connection: Connection::new(config, shared),
            info: ConnectionInfo::new(id, transport).with_role(role).with_addresses(Some(local), Some(remote)),
            local,
            remote,
            perspective,
            spoke: false,
            last: 0,
        }
    }

    /// The end that has this address.
    fn end(&self, address: SocketAddr) -> End {
        if address == self.local { End::Local } else { End::Remote }
    }

    fn direction(from: End) -> Direction {
        match from {
            End::Local => Direction::Sent,
            End::Remote => Direction::Received,
        }
    }

    fn expect(&mut self, from: End, offset: u64) {
        self.connection.expect(Self::direction(from), offset);
    }

    /// The capture has not seen the connection begin.
    fn join(&mut self) {
        self.connection.join();
    }

    /// A time that is not before that of what came before in the order of cause and effect.
    fn not_before(&mut self, at: u64) -> Timestamp {
        let behind = self.last.saturating_sub(at);
        self.last = if behind <= CLOCK_SKEW { self.last.max(at) } else { at };
        Timestamp::from_nanos(self.last)
    }

    fn take(&mut self, delivery: Delivery<'_>, spans: &mut Spans<impl FnMut(&SpanRecord, u64)>) {
        match delivery {
            Delivery::Bytes { from, offset, bytes, at } => {
                self.spoke = true;
                let at = self.not_before(at);
                self.connection.handle_data(Self::direction(from), offset, bytes, at, Tag::default());
            }
            Delivery::Gap { from, offset, length, at } => {
                spans.summary.gaps += 1;
                spans.summary.gap_bytes += length;
                let at = self.not_before(at);
                self.connection.handle_gap(Self::direction(from), offset, length, at);
            }
        }
        self.drain(spans);
    }

    fn datagram(&mut self, from: End, bytes: &[u8], at: u64, spans: &mut Spans<impl FnMut(&SpanRecord, u64)>) {
        self.spoke |= !bytes.is_empty();
        self.connection.handle_datagram(Self::direction(from), bytes, Timestamp::from_nanos(at), Tag::default());
        self.drain(spans);
    }

    fn timeout(&self) -> Option<u64> {
        self.connection.poll_timeout().map(Timestamp::as_nanos)
    }

    fn handle_timeout(&mut self, now: u64, spans: &mut Spans<impl FnMut(&SpanRecord, u64)>) {
        if self.timeout().is_some_and(|due| due <= now) {
            self.connection.handle_timeout(Timestamp::from_nanos(now));
            self.drain(spans);
        }
    }

    /// Ends it. `is_over`: its end was seen, not only the end of what was captured of it.
    fn close(mut self, at: u64, is_over: bool, spans: &mut Spans<impl FnMut(&SpanRecord, u64)>) {
        let spoken = match self.connection.state() {
            _ if !self.spoke => Spoken::Nothing,
            State::Known(_) => Spoken::Known,
            State::Tls => Spoken::Tls,
            _ => Spoken::Unknown,
        };
        spans.summary.spoken(spoken);
        match Timestamp::from_nanos(at) {
            at if is_over => self.connection.handle_close(at),
            at => self.connection.handle_leave(at),
        }
        self.drain(spans);
        spans.closed(&self.info, at);
    }

    /// Hands on what has become of the bytes so far.
    fn drain(&mut self, spans: &mut Spans<impl FnMut(&SpanRecord, u64)>) {
        // Where no SYN was seen, only the protocol tells which end asks and which one answers.
        if let Some(role) = self.connection.role() {
            let (local, remote) =
                if role == self.perspective { (self.local, self.remote) } else { (self.remote, self.local) };
            self.info.role = Some(self.perspective);
            (self.info.local, self.info.remote) = (Some(local), Some(remote));
        }
        while let Some(opened) = self.connection.poll_opened() {
            spans.opened(&self.info, &opened);
        }
        while let Some(exchange) = self.connection.poll_exchange() {
            spans.exchange(&self.info, &exchange);
        }
    }
}
