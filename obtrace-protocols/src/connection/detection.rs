//! Before the protocol of a connection is known, and when it turns out to be another.

use super::{Connection, ParserBox, State, requests_of};
use crate::{
    Direction, Protocol,
    detect::{self, Detection},
    http2,
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
            self.stream_mut(side).assembler.begin_again(mark.offset);
            let Some(again) = self.show(side, bytes, mark) else { return };
            left = again;
        }
        let taken = bytes.len().saturating_sub(left);
        if let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty() && self.parser.is_some()) {
            let offset = mark.offset.saturating_add(taken as u64);
            self.feed_rest(side, rest, Mark { offset, ..mark });
        }
    }

    /// Apart, so that what every chunk goes through stays in one place.
    #[cold]
    #[inline(never)]
    fn feed_rest(&mut self, side: Side, rest: &[u8], mark: Mark) {
        self.feed(side, rest, mark);
        self.wake();
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
        for (stream, beginning) in [&self.client, &self.server].into_iter().zip(&mut self.beginnings) {
            if !self.joined && !beginning.dropped {
                beginning.is_http2 = http2::begins(stream.assembler.readable());
            }
        }
        let is_http2 = self.beginnings.iter().any(|beginning| beginning.is_http2);
        let (sent, received) = match self.requests {
            Some(Direction::Received) => (&self.server, &self.client),
            _ => (&self.client, &self.server),
        };
        let (sent, received) = (sent.assembler.readable(), received.assembler.readable());
        let find =
            |sent, received| match detect::find(sent, received, self.role(), self.config.likely_role, self.config.hint)
            {
                // What is behind a hole may look like anything.
                Detection::Match { protocol, .. } if is_http2 && protocol != Protocol::Http2 => Detection::Unknown,
                found => found,
            };
        let mut detection = find(sent, received);
        if detection == Detection::Unknown && !sent.is_empty() && !received.is_empty() {
            // What waited of the other side was no beginning; what this one sent since may be one.
            let is_sent = (self.newest == Side::Client) == (self.requests != Some(Direction::Received));
            let (sent, received): (&[u8], &[u8]) = if is_sent { (sent, &[]) } else { (&[], received) };
            detection = find(sent, received);
            if detection == Detection::NeedMore {
                self.count_attempt();
            }
            if detection != Detection::Unknown && self.state == State::Detecting {
                let other = if self.newest == Side::Client { Side::Server } else { Side::Client };
                self.forget_side(other);
            }
        }
        if self.state == State::Detecting {
            self.settle(detection);
        }
    }

    /// What was looked at was no beginning: after enough of that nothing is looked at any more.
    fn count_attempt(&mut self) {
        let weight = if core::mem::take(&mut self.goes_on) { 1 } else { TURN };
        self.attempts = self.attempts.saturating_add(weight);
        if self.attempts >= MAX_ATTEMPTS {
            self.state = State::Unknown;
            self.forget();
        }
    }

    /// Drops what both sides sent.
    fn forget(&mut self) {
        self.forget_side(Side::Client);
        self.forget_side(Side::Server);
    }

    fn forget_side(&mut self, side: Side) {
        self.stream_mut(side).forget();
        self.drop_beginning(side);
    }

    /// What one side began with is not all kept any more.
    pub(super) fn drop_beginning(&mut self, side: Side) {
        let [client, server] = &mut self.beginnings;
        let beginning = if side == Side::Client { client } else { server };
        beginning.dropped = true;
    }

    pub(super) fn settle(&mut self, detection: Detection) {
        match detection {
            Detection::NeedMore => {}
            Detection::Tls => self.state = State::Tls,
            Detection::Unknown if self.config.heuristic_sql && self.guess_sql() => {}
            Detection::Unknown => {
                self.forget();
                self.count_attempt();
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
        self.turn(Some(requests));
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

    /// Requests go this way from now on: each side keeps the bytes of its direction.
    fn turn(&mut self, requests: Option<Direction>) {
        let old = core::mem::replace(&mut self.requests, requests);
        if requests.unwrap_or(Direction::Sent) != old.unwrap_or(Direction::Sent) {
            core::mem::swap(&mut self.client, &mut self.server);
            self.beginnings.reverse();
            self.newest = if self.newest == Side::Client { Side::Server } else { Side::Client };
        }
    }

    /// The protocol was a mistake: detect again from the next chunk.
    pub(super) fn give_up(&mut self, side: Side) {
        let now = self.stream(side).assembler.newest().at;
        self.with_parser(side, now, None, |parser, cx| parser.close(cx));
        self.retire();
        self.misframed = 0;
        self.state = State::Detecting;
        self.turn(self.config.role.map(requests_of));
        self.settle(Detection::Unknown);
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use super::*;
    use crate::{Config, Role, Shared, Tag, Timestamp};

    fn data(connection: &mut Connection, direction: Direction, offset: usize, bytes: &[u8]) {
        connection.handle_data(direction, offset as u64, bytes, Timestamp::from_nanos(1), Tag::default());
    }

    #[test]
    fn sides_that_never_fit_each_other_are_given_up() {
        let mut connection = Connection::new(Config::new(), &Shared::default());
        // Each alone may be the front of a message, and nothing is both.
        for turn in 0..usize::from(MAX_ATTEMPTS / TURN) + 2 {
            data(&mut connection, Direction::Sent, turn * 7, b"\x32\x0c\0\x05a/b");
            data(&mut connection, Direction::Received, turn * 10, b"HTTP/1.1 2");
        }
        assert_eq!(connection.state(), State::Unknown);
        assert_eq!(connection.buffered(), 0);
    }

    #[test]
    fn what_is_behind_a_hole_is_looked_at_first() {
        let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
        data(&mut connection, Direction::Sent, 0, b"\xff\xff");
        data(&mut connection, Direction::Sent, 9, b"\x32\x0c\0\x05a/b/c\0\x07xyz");
        data(&mut connection, Direction::Received, 0, b"HTT");
        assert_eq!(connection.state(), State::Detecting);
        connection.handle_timeout(Timestamp::from_nanos(1_000_000_000));
        assert_eq!(connection.state(), State::Known(Protocol::Mqtt));
    }

    /// Sixteen exchanges of HTTP, and what is none behind each of them: every second time the protocol is given up.
    fn give_up_and_begin_again(role: Option<Role>, requests: Direction) -> Connection {
        let mut connection = Connection::new(Config::new().with_role(role), &Shared::default());
        let mut ends = [0, 0];
        for _ in 0..16 {
            for (direction, bytes) in [
                (requests, &b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"[..]),
                (requests.opposite(), b"HTTP/1.1 204 No Content\r\n\r\n"),
                (requests, b"\x01\r\n"),
                (requests.opposite(), b"\x01\r\n"),
            ] {
                let end = &mut ends[usize::from(direction == requests)];
                data(&mut connection, direction, *end, bytes);
                *end += bytes.len();
            }
        }
        connection
    }

    #[test]
    fn exchanges_wait_for_who_polls_late() {
        let mut connection = give_up_and_begin_again(Some(Role::Client), Direction::Sent);
        assert!(connection.state() == State::Detecting && connection.framing_errors() > 6 * 4);
        let (mut announced, mut told) = (0, 0);
        while connection.poll_opened().is_some() {
            announced += 1;
        }
        while connection.poll_exchange().is_some() {
            told += 1;
        }
        assert_eq!((announced, told), (16, 16));
    }

    #[test]
    fn a_protocol_that_was_given_up_is_found_again_whoever_asks() {
        for requests in [Direction::Sent, Direction::Received] {
            let mut connection = give_up_and_begin_again(None, requests);
            let mut told = 0;
            while let Some(exchange) = connection.poll_exchange() {
                assert_eq!(exchange.completeness, crate::Completeness::Complete);
                told += 1;
            }
            assert_eq!(told, 16, "{requests:?}");
        }
    }
}
