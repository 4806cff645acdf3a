//! When a connection goes over from one protocol to another, and what is left of the old one.

use alloc::{boxed::Box, vec::Vec};

use super::{Connection, ParserBox, State};
use crate::{
    Exchange, Timestamp,
    parser::{Side, Successor},
};

/// Protocols that were given up or went over to another, oldest first, while they have exchanges to hand out: like other
/// exchanges these wait until they are polled. Most connections never have one.
#[derive(Debug, Default)]
pub(super) struct Retired(Option<Box<List>>);

#[derive(Debug, Default)]
struct List(Vec<ParserBox>);

impl Retired {
    fn push(&mut self, parser: ParserBox) {
        if !parser.0.has_exchange() {
            return;
        }
        let List(parsers) = self.0.get_or_insert_default().as_mut();
        parsers.push(parser);
    }

    /// Whether there is something to hand out; what has nothing is let go of.
    #[inline]
    pub(super) fn has_exchange(&mut self) -> bool {
        self.0.is_some() && self.tidy()
    }

    #[cold]
    fn tidy(&mut self) -> bool {
        let Some(List(parsers)) = self.0.as_deref_mut() else { return false };
        let empty = parsers.iter().take_while(|parser| !parser.0.has_exchange()).count();
        parsers.drain(..empty);
        if parsers.is_empty() {
            self.0 = None;
        }
        self.0.is_some()
    }

    pub(super) fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        self.0.as_deref_mut()?.0.first_mut()?.0.poll_exchange()
    }

    #[inline]
    pub(super) fn memory(&self) -> usize {
        let Some(list) = self.0.as_deref() else { return 0 };
        let parsers = list.0.iter().map(|parser| parser.0.memory()).sum::<usize>();
        let places = list.0.capacity().saturating_mul(size_of::<ParserBox>());
        parsers.saturating_add(places).saturating_add(size_of::<List>())
    }
}

impl Connection {
    /// The protocol gives its connection to another. What it has waiting is finished as it is.
    pub(super) fn switch(&mut self, side: Side, now: Timestamp) {
        let successor = self.parser.as_mut().and_then(|parser| parser.0.successor());
        self.with_parser(Side::Client, now, None, |parser, cx| parser.close(cx));
        let Some(Successor { protocol, parser }) = successor else {
            for stream in [&mut self.client, &mut self.server] {
                stream.assembler.skip(u64::MAX);
                stream.ignored = true;
            }
            return;
        };
        self.retire();
        self.state = State::Known(protocol);
        self.parser = Some(ParserBox(parser));
        self.misframed = 0;
        self.misframed_at = self.next_id;
        for stream in [&mut self.client, &mut self.server] {
            (stream.need, stream.blocked) = (1, false);
        }
        // What the other side sent meanwhile was not for the old parser.
        let other = side.other();
        self.run(other);
        self.go_on(other, now);
    }

    /// Puts the parser aside until its exchanges were handed out.
    pub(super) fn retire(&mut self) {
        if let Some(parser) = self.parser.take() {
            self.retired.push(parser);
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use alloc::{string::String, sync::Arc, vec};
    use std::sync::Mutex;

    use super::*;
    use crate::{
        Config, Direction, Interest, Protocol, Role, Shared, Tag,
        parser::{Context, Parser, Step, Then},
    };

    /// What the new parser was shown and told: bytes in the order of each side, and lost ones.
    #[derive(Debug, Default, PartialEq)]
    struct Seen {
        client: String,
        server: String,
        starts: [Option<u64>; 2],
    }

    /// Up to `!` of the server; the client's first four bytes.
    struct Old {
        seen: Arc<Mutex<Seen>>,
        has_successor: bool,
        read: usize,
        exchanges: u64,
        newer: Newer,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Newer {
        Reads,
        Misframes,
    }

    struct New(Arc<Mutex<Seen>>, Newer);

    fn exchange(id: u64) -> Exchange<'static> {
        Exchange { id, operation: "OLD".into(), ..Exchange::unknown(Protocol::Http, Role::Client) }
    }

    impl Parser for Old {
        fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
            if side == Side::Client {
                let taken = bytes.len().min(4 - self.read);
                self.read += taken;
                let then = if self.read == 4 { Then::Wait } else { Then::Need(1) };
                return Step { consumed: taken, then };
            }
            match bytes.iter().position(|&byte| byte == b'!') {
                Some(at) => {
                    cx.open_at(0, cx.now, Tag::default(), None);
                    self.exchanges = 1;
                    Step { consumed: at + 1, then: Then::Switch }
                }
                None => Step::need(bytes.len(), 1),
            }
        }

        fn gap(&mut self, _: Side, _: u64, _: &mut Context<'_>) {}

        fn successor(&mut self) -> Option<Successor> {
            let parser = Box::new(New(self.seen.clone(), self.newer));
            self.has_successor.then_some(Successor { protocol: Protocol::Redis, parser })
        }

        fn close(&mut self, _: &mut Context<'_>) {}

        fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
            self.exchanges = self.exchanges.checked_sub(1)?;
            Some(exchange(0))
        }

        fn has_exchange(&self) -> bool {
            self.exchanges > 0
        }

        fn memory(&self) -> usize {
            0
        }

        fn shrink(&mut self) {}
    }

    impl Parser for New {
        fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
            let mut seen = self.0.lock().unwrap();
            seen.starts[side as usize].get_or_insert(cx.offset);
            let text = if side == Side::Client { &mut seen.client } else { &mut seen.server };
            text.push_str(core::str::from_utf8(bytes).unwrap());
            match self.1 {
                Newer::Reads => Step::need(bytes.len(), 1),
                Newer::Misframes => Step::misframed(1),
            }
        }

        fn gap(&mut self, side: Side, length: u64, _: &mut Context<'_>) {
            let mut seen = self.0.lock().unwrap();
            let text = if side == Side::Client { &mut seen.client } else { &mut seen.server };
            text.push_str(&alloc::format!("<{length}>"));
        }

        fn close(&mut self, _: &mut Context<'_>) {}

        fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
            None
        }

        fn has_exchange(&self) -> bool {
            false
        }

        fn memory(&self) -> usize {
            0
        }

        fn shrink(&mut self) {}
    }

    fn connection(has_successor: bool, newer: Newer) -> (Connection, Arc<Mutex<Seen>>) {
        let seen = Arc::<Mutex<Seen>>::default();
        let config = Config::new().with_role(Some(Role::Client));
        let mut connection = Connection::new(config, &Shared::default());
        let old = Old { seen: seen.clone(), has_successor, read: 0, exchanges: 0, newer };
        connection.parser = Some(ParserBox(Box::new(old)));
        connection.state = State::Known(Protocol::Http);
        (connection, seen)
    }

    fn data(connection: &mut Connection, direction: Direction, offset: usize, bytes: &[u8]) {
        connection.handle_data(direction, offset as u64, bytes, Timestamp::from_nanos(1), Tag::default());
    }

    #[test]
    fn each_side_goes_on_where_the_old_protocol_ended() {
        let (client, server) = (b"old.client", b"old!server");
        for size in 1..=10 {
            // All of the client first, all of the server first, or in turns.
            for order in 0..3 {
                let (mut connection, seen) = connection(true, Newer::Reads);
                let mut chunks = vec![];
                for at in (0..10).step_by(size) {
                    chunks.push((Direction::Sent, at, &client[at..(at + size).min(10)]));
                    chunks.push((Direction::Received, at, &server[at..(at + size).min(10)]));
                }
                match order {
                    0 => chunks.sort_by_key(|chunk| chunk.0 == Direction::Received),
                    1 => chunks.sort_by_key(|chunk| chunk.0 == Direction::Sent),
                    _ => {}
                }
                for (direction, at, bytes) in chunks {
                    data(&mut connection, direction, at, bytes);
                }
                let seen = seen.lock().unwrap();
                // What the client sends first is the old protocol's, if that is not over already.
                let (client, start) = if order == 1 { ("old.client", 0) } else { ("client", 4) };
                assert_eq!((&*seen.client, &*seen.server), (client, "server"), "{size} {order}");
                assert_eq!(seen.starts, [Some(start), Some(4)]);
                assert_eq!(connection.state(), State::Known(Protocol::Redis));
                assert_eq!(connection.interest(Direction::Sent), Interest::Full);
                assert_eq!(connection.interest(Direction::Received), Interest::Full);
                drop(seen);
                assert_eq!(connection.poll_exchange().map(|exchange| exchange.id), Some(0));
                assert_eq!(connection.poll_exchange(), None);
            }
        }
    }

    #[test]
    fn losses_behind_the_switch_are_the_new_parsers() {
        let (mut connection, seen) = connection(true, Newer::Reads);
        let now = Timestamp::from_nanos(1);
        data(&mut connection, Direction::Sent, 0, b"old.c");
        connection.handle_gap(Direction::Sent, 5, 5, now);
        data(&mut connection, Direction::Sent, 10, b"more");
        data(&mut connection, Direction::Received, 0, b"old!new");
        connection.handle_gap(Direction::Received, 7, 3, now);
        data(&mut connection, Direction::Received, 10, b"er");
        let seen = seen.lock().unwrap();
        assert_eq!((&*seen.client, &*seen.server), ("c<5>more", "new<3>er"));
    }

    #[test]
    fn without_a_successor_nothing_is_read() {
        let (mut connection, seen) = connection(false, Newer::Reads);
        data(&mut connection, Direction::Sent, 0, b"old.client");
        data(&mut connection, Direction::Received, 0, b"old!server");
        assert_eq!(*seen.lock().unwrap(), Seen::default());
        assert_eq!(connection.interest(Direction::Sent), Interest::Ignore);
        assert_eq!(connection.interest(Direction::Received), Interest::Ignore);
        assert!(connection.poll_exchange().is_some());
    }

    #[test]
    fn exchanges_of_the_old_parser_outlast_the_new_one() {
        let (mut connection, _) = connection(true, Newer::Misframes);
        data(&mut connection, Direction::Sent, 0, b"old.");
        data(&mut connection, Direction::Received, 0, b"old!server");
        assert_eq!(connection.state(), State::Detecting);
        assert_eq!(connection.framing_errors(), 4);
        assert!(connection.poll_exchange().is_some());
        assert!(connection.poll_exchange().is_none());
        assert_eq!(connection.retired.memory(), 0);
    }
}
