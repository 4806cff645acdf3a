//! Plays a conversation into a connection, and checks what every caller may rely on.

use std::collections::HashSet;

use obtrace_protocols::{Connection, Direction, Exchange, Opened, Role, Shared, Stage, Tag, Timestamp, TraceContext};

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
    let mut connection = Connection::new(vector.config(role), &Shared::default());
    let direction = |from| match (from, role) {
        (Speaker::Client, Observed::Server) | (Speaker::Server, Observed::Client | Observed::Unknown) => {
            Direction::Received
        }
        _ => Direction::Sent,
    };
    if joined {
        connection.join();
    } else if vector.transport == Transport::Stream {
        connection.expect(direction(Speaker::Client), vector.client_offset);
        connection.expect(direction(Speaker::Server), vector.server_offset);
    }
    let mut opened: Vec<Opened> = Vec::new();
    let mut out = Vec::new();
    let mut seen = HashSet::new();
    for play in plays {
        match play {
            Play::Bytes { from, bytes, at, tag, .. } if vector.transport == Transport::Datagram => {
                connection.handle_datagram(direction(*from), bytes, Timestamp::from_nanos(*at), Tag::new(*tag));
            }
            Play::Bytes { from, offset, bytes, at, tag } => {
                let at = Timestamp::from_nanos(*at);
                connection.handle_data(direction(*from), *offset, bytes, at, Tag::new(*tag));
            }
            Play::Gap { from, offset, length, at } => {
                connection.handle_gap(direction(*from), *offset, *length, Timestamp::from_nanos(*at));
            }
            Play::Timeout { at } => connection.handle_timeout(Timestamp::from_nanos(*at)),
            Play::Close { at } => connection.handle_close(Timestamp::from_nanos(*at)),
        }
        let limit = vector.config(role).max_buffered as usize;
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
    if matches!(plays.last(), Some(Play::Close { .. })) {
        let owed = opened.iter().find(|one| one.stage != Stage::Withdrawn && !seen.contains(&one.id));
        assert_eq!(owed, None, "{}: announced and did not come", vector.name);
    }
    out
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
