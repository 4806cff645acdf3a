//! One observed socket.

use obtrace_probes::event::{self, Close, Data};
use obtrace_protocols::{Connection, Protocol, Role, Shared, Stage, State, Timestamp};

use super::{Account, Observer, Settings, datagrams::SocketPeers, protocol_direction, stream::Stream, tag};
use crate::{
    ports::likely_role,
    traces::{ConnectionInfo, Transport},
};

/// What is done with the bytes of a socket.
#[derive(Debug)]
pub(super) enum Use {
    /// Nothing came yet, or nothing is on its way: a parser is made when bytes come, this protocol tried first.
    Resting(Option<Protocol>),
    /// They are parsed.
    Parsed(Box<Connection>),
    /// They are counted.
    Ignored,
}

/// An observed socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) info: ConnectionInfo,
    pub(super) traffic: Use,
    /// When something of it was seen last.
    pub(super) last: u64,
    pub(super) peers: Option<Box<SocketPeers>>,
    sent: Stream,
    received: Stream,
    /// Requests that began and are not over.
    pending: u32,
    /// Something may have been said before the first bytes that its next parser is shown.
    joined: bool,
    /// Datagrams of no known protocol before the first that is of one.
    pub(super) strange: u8,
}

/// After so many datagrams of no known protocol a socket is ignored.
const MAX_STRANGE: u8 = 16;

impl Socket {
    pub(super) fn new(info: ConnectionInfo, time: u64) -> Self {
        Self {
            info,
            traffic: Use::Resting(None),
            last: time,
            peers: None,
            sent: Stream::default(),
            received: Stream::default(),
            pending: 0,
            joined: false,
            strange: 0,
        }
    }

    /// Whether a datagram socket does not speak what we know.
    pub(super) const fn is_hopeless(&self) -> bool {
        self.strange >= MAX_STRANGE && self.strange < u8::MAX
    }

    /// What became of its bytes.
    pub(super) const fn account(&self) -> Account {
        Account { sent: self.sent.bytes, received: self.received.bytes }
    }

    pub(super) const fn stream_mut(&mut self, direction: event::Direction) -> &mut Stream {
        match direction {
            event::Direction::Sent => &mut self.sent,
            event::Direction::Received => &mut self.received,
        }
    }

    /// It was connected before it was observed.
    pub(super) const fn join(&mut self) {
        self.joined = true;
    }

    /// Where both directions of a stream begin.
    pub(super) const fn begin(&mut self, start: [u32; 2]) {
        self.sent.begin(start[0]);
        self.received.begin(start[1]);
    }

    /// Counts what no event told of at the end of both directions.
    pub(super) fn close(&mut self, close: &Close) {
        let at = Timestamp::from_nanos(close.time);
        for (index, direction) in [event::Direction::Sent, event::Direction::Received].into_iter().enumerate() {
            let stream = self.stream_mut(direction);
            stream.bytes.lost_records = close.records[index];
            let missing = stream.close(close.end[index], close.skipped[index]);
            if let (Some((offset, length)), Use::Parsed(connection)) = (missing, &mut self.traffic) {
                connection.handle_gap(protocol_direction(direction), offset, length, at);
            }
        }
    }

    /// Takes the bytes of an event. Whether the socket is ignored.
    pub(super) fn data(&mut self, data: &Data<'_>, settings: &Settings, shared: &Shared) -> bool {
        self.last = data.time;
        let ignored = matches!(self.traffic, Use::Ignored);
        let placed = self.stream_mut(data.direction).place(data, ignored);
        if ignored {
            // It was on its way when the verdict was given.
            return true;
        }
        let (direction, at) = (protocol_direction(data.direction), Timestamp::from_nanos(data.time));
        let Some(connection) = self.connection(settings, shared) else { return true };
        if let Some((offset, length)) = placed.skipped {
            connection.handle_gap(direction, offset, length, at);
        }
        if !data.bytes.is_empty() {
            connection.handle_data(direction, placed.offset, data.bytes, at, tag(data.task));
        }
        if let Some((offset, length)) = placed.missing {
            connection.handle_gap(direction, offset, length, at);
        }
        false
    }

    /// The parser of the socket; made when it is needed.
    fn connection(&mut self, settings: &Settings, shared: &Shared) -> Option<&mut Connection> {
        if let Use::Resting(hint) = self.traffic {
            let config = settings.parsers().with_role(self.info.role).with_likely_role(self.likely_role());
            let config = config.with_hint(hint).with_gap_timeout(settings.gap_timeout);
            let mut connection = Connection::new(config, shared);
            if std::mem::take(&mut self.joined) {
                connection.join();
            }
            self.traffic = Use::Parsed(Box::new(connection));
        }
        match &mut self.traffic {
            Use::Parsed(connection) => Some(connection),
            _ => None,
        }
    }

    /// What its ports suggest where nobody saw who connected, and who listens was not known yet.
    fn likely_role(&self) -> Option<Role> {
        match (self.info.role, self.info.local, self.info.remote) {
            (None, Some(local), Some(remote)) => likely_role(local.port(), remote.port()),
            _ => None,
        }
    }

    /// Hands out what the parser has found.
    pub(super) fn drain(&mut self, observer: &mut impl Observer) {
        let Use::Parsed(connection) = &mut self.traffic else { return };
        drain(connection, &mut self.info, &mut self.pending, None, observer);
    }

    /// Does what is due. Whether there may be something due later.
    pub(super) fn tick(&mut self, now: u64, observer: &mut impl Observer) -> bool {
        let at = Timestamp::from_nanos(now);
        let mut again = false;
        if let Use::Parsed(connection) = &mut self.traffic {
            if connection.poll_timeout().is_some_and(|due| due <= at) {
                connection.handle_timeout(at);
                drain(connection, &mut self.info, &mut self.pending, None, observer);
            }
            again = connection.poll_timeout().is_some();
        }
        if let Some(peers) = self.peers.as_deref_mut() {
            again |= peers.tick(&mut self.info, at, observer);
        }
        again
    }

    /// Gives back memory: nothing was seen for a while. A connection that keeps nothing between two messages needs no
    /// parser until the next one.
    pub(super) fn rest(&mut self) {
        self.sent.shrink();
        self.received.shrink();
        let Use::Parsed(connection) = &mut self.traffic else { return };
        let hint = match connection.state() {
            State::Detecting => Some(None),
            State::Known(Protocol::Http) => Some(Some(Protocol::Http)),
            _ => None,
        };
        match hint {
            Some(hint) if self.pending == 0 && connection.buffered() == 0 && self.info.transport != Transport::Udp => {
                self.info.role = connection.role().or(self.info.role);
                // What was unknown of it still is: an answer may be under way.
                self.joined = hint.is_none();
                self.traffic = Use::Resting(hint);
            }
            _ => connection.shrink(),
        }
    }

    /// Finishes everything that waits. `is_over`: the socket was closed; else it goes on unobserved.
    pub(super) fn finish(&mut self, time: u64, is_over: bool, observer: &mut impl Observer) {
        let at = Timestamp::from_nanos(time);
        if let Use::Parsed(connection) = &mut self.traffic {
            if is_over {
                connection.handle_close(at);
            } else {
                connection.handle_leave(at);
            }
            drain(connection, &mut self.info, &mut self.pending, None, observer);
        }
        if let Some(peers) = self.peers.as_deref_mut() {
            peers.finish(&mut self.info, at, observer);
        }
    }
}

/// Hands out what a parser has found. `digest` names the datagram that it was given last.
pub(super) fn drain(
    connection: &mut Connection,
    info: &mut ConnectionInfo,
    pending: &mut u32,
    digest: Option<u32>,
    observer: &mut impl Observer,
) {
    let announced = info.role;
    // Who sends the requests is known once there is one.
    info.role = connection.role().or(announced);
    while let Some(mut opened) = connection.poll_opened() {
        if let Some(digest) = digest {
            opened.offset = u64::from(digest);
        }
        *pending = match opened.stage {
            Stage::Confirmed => *pending,
            Stage::Withdrawn => pending.saturating_sub(1),
            _ => pending.saturating_add(1),
        };
        observer.opened(info, &opened);
    }
    while let Some(exchange) = connection.poll_exchange() {
        *pending = pending.saturating_sub(1);
        observer.exchange(info, &exchange);
    }
}
