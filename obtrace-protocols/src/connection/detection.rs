//! Before the protocol of a connection is known, and when it turns out to be another.

use super::{Connection, ParserBox, State, requests_of};
use crate::{
    Direction, Protocol,
    detect::{self, Detection},
    parser::Side,
    sql,
    stream::{Mark, Pushed},
};

/// A connection that matched nothing is looked at again, each time at the start of a chunk: it may have been joined in
/// the middle of a message, of a large one in many chunks that follow each other. So many chunks of the same side at most.
const MAX_ATTEMPTS: u16 = 1024;
/// As how many a chunk counts that the other side answers with: as many times at most do the sides take turns.
const TURN: u16 = MAX_ATTEMPTS / 32;

impl Connection {
    /// Before the protocol is known: keeps the bytes and looks at both directions. Of a chunk larger than what may be
    /// kept the beginning is looked at; what is behind it is read as soon as somebody reads.
    pub(super) fn collect(&mut self, side: Side, bytes: &[u8], mark: Mark) {
        self.goes_on = core::mem::replace(&mut self.newest, side) == side;
        let assembler = &mut self.stream_mut(side).assembler;
        assembler.begin(mark.offset);
        let alone = assembler.buffered() == 0 && mark.offset <= assembler.end();
        let Some(mut left) = self.show(side, bytes, mark) else { return };
        // What waited was no beginning; this chunk may be one.
        let dropped = self.state == State::Detecting && self.stream(side).assembler.readable().is_empty();
        if !alone && dropped {
            let Some(again) = self.show(side, bytes, mark) else { return };
            left = again;
        }
        let taken = bytes.len().saturating_sub(left);
        if let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty() && self.parser.is_some()) {
            let offset = mark.offset.saturating_add(taken as u64);
            self.feed(side, rest, Mark { offset, ..mark });
            self.wake();
        }
    }

    /// Keeps as much of a chunk as there is room for, and looks at that. How many bytes of it are left over; `None`:
    /// there was nothing new to look at.
    fn show(&mut self, side: Side, bytes: &[u8], mark: Mark) -> Option<usize> {
        let limit = self.config.max_buffered as usize;
        let assembler = &mut self.stream_mut(side).assembler;
        let mut left = 0;
        match assembler.push(bytes, mark) {
            Pushed::Ready => {}
            Pushed::Full => {
                let old = usize::try_from(assembler.end().saturating_sub(mark.offset)).unwrap_or(usize::MAX);
                let fits = old.saturating_add(limit.saturating_sub(assembler.buffered()));
                let (part, rest) = bytes.split_at_checked(fits).unwrap_or((bytes, &[]));
                if assembler.push(part, mark) != Pushed::Ready {
                    // No room is left, or it is too large to wait behind a hole.
                    self.settle(Detection::Unknown);
                    return Some(bytes.len());
                }
                left = rest.len();
            }
            _ => return None,
        }
        self.look();
        if left > 0 && self.state == State::Detecting && !self.stream(side).assembler.readable().is_empty() {
            // All that may be kept does not tell what it is.
            self.settle(Detection::Unknown);
        }
        Some(left)
    }

    /// Looks at what both directions began with, or at what followed a hole.
    pub(super) fn look(&mut self) {
        let (sent, received) = match self.requests {
            Some(Direction::Received) => (&self.server, &self.client),
            _ => (&self.client, &self.server),
        };
        let (sent, received) = (sent.assembler.readable(), received.assembler.readable());
        let find =
            |sent, received| detect::find(sent, received, self.role(), self.config.likely_role, self.config.hint);
        let mut detection = find(sent, received);
        if detection == Detection::Unknown && !sent.is_empty() && !received.is_empty() {
            // What waited of the other side was no beginning; what this one sent since may be one.
            let is_sent = (self.newest == Side::Client) == (self.requests != Some(Direction::Received));
            let (sent, received): (&[u8], &[u8]) = if is_sent { (sent, &[]) } else { (&[], received) };
            detection = find(sent, received);
            if detection != Detection::Unknown {
                let other = if self.newest == Side::Client { Side::Server } else { Side::Client };
                let stream = self.stream_mut(other);
                stream.assembler.reset();
                (stream.need, stream.ignored, stream.blocked) = (1, false, false);
            }
        }
        self.settle(detection);
    }

    pub(super) fn settle(&mut self, detection: Detection) {
        match detection {
            Detection::NeedMore => {}
            Detection::Tls => self.state = State::Tls,
            Detection::Unknown if self.config.heuristic_sql && self.guess_sql() => {}
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

    /// Takes a connection for one with statements of SQL, if a side says one for the second time. Whether it did.
    fn guess_sql(&mut self) -> bool {
        for side in [Side::Client, Side::Server] {
            let direction = match (self.requests.unwrap_or(Direction::Sent), side) {
                (requests, Side::Client) => requests,
                (requests, Side::Server) => requests.opposite(),
            };
            let stream = self.stream_mut(side);
            if !sql::wire::has_statement(stream.assembler.readable()) {
                continue;
            }
            if core::mem::replace(&mut stream.stated, true)
                && self.config.role.is_none_or(|role| requests_of(role) == direction)
            {
                self.adopt(Protocol::Sql, direction);
                return true;
            }
        }
        false
    }

    pub(super) fn adopt(&mut self, protocol: Protocol, requests: Direction) {
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

    /// The protocol was a mistake: detect again from the next chunk.
    pub(super) fn give_up(&mut self, side: Side) {
        let now = self.stream(side).assembler.newest().at;
        self.with_parser(side, now, None, |parser, cx| parser.close(cx));
        self.retire();
        self.misframed = 0;
        self.state = State::Detecting;
        self.requests = self.config.role.map(requests_of);
        self.settle(Detection::Unknown);
    }
}
