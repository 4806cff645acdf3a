//! Plays a conversation into a connection, and checks what every caller may rely on.

use std::collections::HashSet;

use obtrace_protocols::{
    Connection, Direction, Exchange, Opened, Role, Shared, Stage, State, Tag, Timestamp, TraceContext,
};

use crate::conversation::{Observed, Play, Speaker, Transport, Vector};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) exchange: Exchange<'static>,
    pub(crate) trace: Option<TraceContext>,
    /// Who asks.
    pub(crate) sender: Role,
}

/// Plays a conversation as the owner of one of the sockets would see it.
pub(crate) fn play(vector: &Vector, role: Observed, plays: &[Play]) -> Vec<Outcome> {
    play_with(vector, role, plays, false)
}

/// `joined`: the connection was there before.
pub(crate) fn play_with(vector: &Vector, role: Observed, plays: &[Play], joined: bool) -> Vec<Outcome> {
    let mut player = Player::new(vector, role, joined);
    for play in plays {
        player.play(play);
    }
    player.end()
}

/// A connection into which a conversation is played, and what it said so far.
pub(crate) struct Player<'v> {
    vector: &'v Vector,
    role: Observed,
    limit: usize,
    /// Most that was held at a time.
    most: usize,
    connection: Connection,
    is_closed: bool,
    opened: Vec<Opened>,
    seen: HashSet<u64>,
    out: Vec<Outcome>,
}

impl<'v> Player<'v> {
    /// `joined`: the connection was there before.
    pub(crate) fn new(vector: &'v Vector, role: Observed, joined: bool) -> Self {
        let config = vector.config(role);
        let mut player = Self {
            vector,
            role,
            limit: config.max_buffered as usize,
            most: 0,
            connection: Connection::new(config, &Shared::default()),
            is_closed: false,
            opened: Vec::new(),
            seen: HashSet::new(),
            out: Vec::new(),
        };
        if joined {
            player.connection.join();
        } else if vector.transport == Transport::Stream {
            player.connection.expect(player.direction(Speaker::Client), vector.client_offset);
            player.connection.expect(player.direction(Speaker::Server), vector.server_offset);
        }
        player
    }

    fn direction(&self, from: Speaker) -> Direction {
        match (from, self.role) {
            (Speaker::Client, Observed::Server) | (Speaker::Server, Observed::Client | Observed::Unknown) => {
                Direction::Received
            }
            _ => Direction::Sent,
        }
    }

    pub(crate) fn play(&mut self, play: &Play) {
        let now = Timestamp::from_nanos(play.at());
        match play {
            Play::Bytes { from, offset, bytes, at, tag } => return self.bytes(*from, *offset, bytes, *at, *tag),
            Play::Gap { from, offset, length, .. } => {
                self.connection.handle_gap(self.direction(*from), *offset, *length, now);
            }
            Play::Timeout { .. } => self.connection.handle_timeout(now),
            Play::Close { .. } => self.connection.handle_close(now),
        }
        self.is_closed = matches!(play, Play::Close { .. });
        self.look();
    }

    /// As [`Play::Bytes`].
    pub(crate) fn bytes(&mut self, from: Speaker, offset: u64, bytes: &[u8], at: u64, tag: u64) {
        let (direction, at, tag) = (self.direction(from), Timestamp::from_nanos(at), Tag::new(tag));
        if self.vector.transport == Transport::Datagram {
            self.connection.handle_datagram(direction, bytes, at, tag);
        } else {
            self.connection.handle_data(direction, offset, bytes, at, tag);
        }
        self.is_closed = false;
        self.look();
    }

    /// Takes what the connection has to say.
    fn look(&mut self) {
        self.most = self.most.max(self.connection.buffered());
        let Self { limit, vector, ref mut connection, ref mut opened, ref mut seen, ref mut out, .. } = *self;
        assert!(connection.buffered() <= 2 * limit, "{}: {} bytes", vector.name, connection.buffered());
        assert!(connection.memory() < 64 * limit + (1 << 20), "{}: {} bytes", vector.name, connection.memory());
        while let Some(one) = connection.poll_opened() {
            let known = opened.iter().position(|other| other.id == one.id);
            let Some(known) = known else {
                assert!(matches!(one.stage, Stage::Certain | Stage::Tentative), "{}: {one:?} is new", vector.name);
                opened.push(one);
                continue;
            };
            // What was tentative is settled once, and is the same request still.
            let before = &mut opened[known];
            assert!(matches!(one.stage, Stage::Confirmed | Stage::Withdrawn), "{}: {one:?} twice", vector.name);
            let mut settled = *before;
            assert_eq!(settled.stage, Stage::Tentative, "{}: {one:?}", vector.name);
            settled.stage = one.stage;
            assert_eq!(settled, one, "{}", vector.name);
            *before = one;
        }
        while let Some(exchange) = connection.poll_exchange() {
            let announced = opened.iter().find(|opened| opened.id == exchange.id);
            let announced = announced.unwrap_or_else(|| panic!("{}: not announced: {exchange:?}", vector.name));
            assert_eq!(exchange.details.protocol(), exchange.protocol, "{}: {exchange:?}", vector.name);
            assert_eq!(announced.start, exchange.request.start, "{}: {exchange:?}", vector.name);
            assert_eq!(announced.offset, exchange.request.offset, "{}: {exchange:?}", vector.name);
            assert!(seen.insert(exchange.id), "{}: twice: {exchange:?}", vector.name);
            assert_ne!(announced.stage, Stage::Withdrawn, "{}: {exchange:?}", vector.name);
            let Opened { trace_context: trace, sender, .. } = *announced;
            out.push(Outcome { exchange: exchange.into_owned(), trace, sender });
        }
    }

    /// Whether there was always room for so many bytes more.
    pub(crate) fn had_room(&self, bytes: usize) -> bool {
        self.most + bytes <= self.limit
    }

    /// Whether its protocol is known.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self.connection.state(), State::Known(_))
    }

    pub(crate) fn end(self) -> Vec<Outcome> {
        let is_owed = |one: &&Opened| one.stage != Stage::Withdrawn && !self.seen.contains(&one.id);
        let owed = self.opened.iter().find(is_owed).filter(|_| self.is_closed);
        assert_eq!(owed, None, "{}: announced and did not come", self.vector.name);
        self.out
    }
}

/// Cuts every chunk at the places that `cut` names.
pub(crate) fn split(plays: &[Play], mut cut: impl FnMut(usize) -> usize) -> Vec<Play> {
    let mut out = Vec::new();
    for play in plays {
        let Play::Bytes { from, offset, bytes, at, tag } = play else {
            out.push(play.clone());
            continue;
        };
        let (mut rest, mut offset) = (&bytes[..], *offset);
        while !rest.is_empty() {
            let (part, left) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
            out.push(Play::Bytes { from: *from, offset, bytes: part.to_vec(), at: *at, tag: *tag });
            offset += part.len() as u64;
            rest = left;
        }
    }
    out
}

/// What a speaker says in a row is said at one time: as it is, and as one chunk.
pub(crate) fn together(plays: &[Play]) -> [Vec<Play>; 2] {
    let (mut parts, mut wholes): (Vec<Play>, Vec<Play>) = Default::default();
    for play in plays {
        let Play::Bytes { from, bytes, .. } = play else {
            parts.push(play.clone());
            wholes.push(play.clone());
            continue;
        };
        let mut part = play.clone();
        match wholes.last_mut() {
            Some(Play::Bytes { from: before, bytes: whole, at: first, tag: mark, .. }) if before == from => {
                let Play::Bytes { at, tag, .. } = &mut part else { unreachable!() };
                (*at, *tag) = (*first, *mark);
                whole.extend_from_slice(bytes);
            }
            _ => wholes.push(play.clone()),
        }
        parts.push(part);
    }
    [parts, wholes]
}
