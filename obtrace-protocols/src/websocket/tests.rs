use alloc::{vec, vec::Vec};

use proptest::prelude::*;

use super::{Traffic, WebSocketDetails};
use crate::{
    Completeness, Config, Connection, Details, Direction, Exchange, Interest, Protocol, Role, Shared, State, Tag,
    Timestamp,
};

const REQUEST: &[u8] =
    b"GET /chat/7?token=secret HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n";

/// One frame; masked where the client sends it.
fn frame(direction: Direction, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if direction == Direction::Sent { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        0..=125 => bytes.push(mask_bit | payload.len() as u8),
        126..=0xffff => {
            bytes.push(mask_bit | 126);
            bytes.extend((payload.len() as u16).to_be_bytes());
        }
        length => {
            bytes.push(mask_bit | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let mask = if mask_bit == 0 { [0; 4] } else { [0x81, 0x05, 0xa7, 0x3c] };
    if mask_bit != 0 {
        bytes.extend(mask);
    }
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

#[derive(Clone, Debug)]
enum Sent {
    Message { text: bool, compressed: bool, fragments: Vec<Vec<u8>>, ping_between: bool },
    Ping(Vec<u8>),
    Pong,
}

impl Sent {
    fn bytes(&self, direction: Direction) -> Vec<u8> {
        match self {
            Self::Ping(payload) => frame(direction, 0x89, payload),
            Self::Pong => frame(direction, 0x8a, b""),
            Self::Message { text, compressed, fragments, ping_between } => {
                let mut bytes = vec![];
                for (number, payload) in fragments.iter().enumerate() {
                    let fin = if number + 1 == fragments.len() { 0x80 } else { 0 };
                    let kind = if *text { 1 } else { 2 } | if *compressed { 0x40 } else { 0 };
                    bytes.extend(frame(direction, fin | if number == 0 { kind } else { 0 }, payload));
                    if *ping_between {
                        bytes.extend(frame(direction, 0x89, b"between"));
                    }
                }
                bytes
            }
        }
    }

    fn count(&self, traffic: &mut Traffic) {
        match self {
            Self::Ping(_) => (traffic.frames, traffic.pings) = (traffic.frames + 1, traffic.pings + 1),
            Self::Pong => (traffic.frames, traffic.pongs) = (traffic.frames + 1, traffic.pongs + 1),
            Self::Message { text, compressed, fragments, ping_between } => {
                let pings = if *ping_between { fragments.len() as u64 } else { 0 };
                traffic.frames += fragments.len() as u64 + pings;
                traffic.pings += pings;
                traffic.messages += 1;
                traffic.text_messages += u64::from(*text);
                traffic.compressed_messages += u64::from(*compressed);
                traffic.fragmented_messages += u64::from(fragments.len() > 1);
                traffic.payload_bytes += fragments.iter().map(|payload| payload.len() as u64).sum::<u64>();
            }
        }
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..150),
        Just(frame(Direction::Received, 0x81, b"a frame inside").repeat(9)),
        Just(vec![0; 300]),
        Just(vec![b'x'; 70_000]),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let fragments = proptest::collection::vec(payload(), 1..4);
    let message = (any::<bool>(), any::<bool>(), fragments, any::<bool>()).prop_map(
        |(text, compressed, fragments, ping_between)| Sent::Message { text, compressed, fragments, ping_between },
    );
    let ping = proptest::collection::vec(any::<u8>(), 0..20).prop_map(Sent::Ping);
    prop_oneof![4 => message, 1 => ping, 1 => Just(Sent::Pong)]
}

fn session() -> impl Strategy<Value = Vec<(Direction, Sent)>> {
    let direction = any::<bool>().prop_map(|sent| if sent { Direction::Sent } else { Direction::Received });
    proptest::collection::vec((direction, sent()), 0..12)
}

/// A connection on which chunks follow each other a microsecond apart.
struct Play {
    connection: Connection,
    sent: u64,
    received: u64,
    at: u64,
    exchanges: Vec<Exchange<'static>>,
}

impl Play {
    fn new(role: Role) -> Self {
        let connection = Connection::new(Config::new().with_role(Some(role)), &Shared::default());
        Self { connection, sent: 0, received: 0, at: 0, exchanges: vec![] }
    }

    /// One that is upgraded.
    fn upgraded() -> Self {
        let mut play = Self::new(Role::Client);
        play.pass(Direction::Sent, REQUEST, 0..0);
        play.pass(Direction::Received, RESPONSE, 0..0);
        play
    }

    /// Bytes of which those at these offsets are not captured.
    fn pass(&mut self, direction: Direction, bytes: &[u8], lost: core::ops::Range<u64>) {
        self.at += 1000;
        let at = Timestamp::from_nanos(self.at);
        let offset = if direction == Direction::Sent { &mut self.sent } else { &mut self.received };
        let (start, end) = (*offset, *offset + bytes.len() as u64);
        *offset = end;
        let (from, until) = (lost.start.clamp(start, end), lost.end.clamp(start, end));
        let part = |from: u64, until: u64| &bytes[(from - start) as usize..(until - start) as usize];
        if from >= until {
            self.connection.handle_data(direction, start, bytes, at, Tag::new(start));
        } else {
            self.connection.handle_data(direction, start, part(start, from), at, Tag::new(start));
            self.connection.handle_gap(direction, from, until - from, at);
            if until < end {
                self.connection.handle_data(direction, until, part(until, end), at, Tag::new(start));
            }
        }
        self.poll();
    }

    fn poll(&mut self) {
        while self.connection.poll_opened().is_some() {}
        while let Some(exchange) = self.connection.poll_exchange() {
            self.exchanges.push(exchange.into_owned());
        }
    }

    fn close(mut self) -> Vec<Exchange<'static>> {
        self.connection.handle_close(Timestamp::from_nanos(self.at + 1000));
        self.poll();
        self.exchanges
    }
}

fn details<'a>(exchange: &'a Exchange<'_>) -> &'a WebSocketDetails<'a> {
    let Details::WebSocket(details) = &exchange.details else { panic!("{exchange:?}") };
    details
}

/// The session's exchange behind that of the upgrade.
fn session_of(exchanges: &[Exchange<'static>]) -> Exchange<'static> {
    let [upgrade, session] = exchanges else { panic!("{exchanges:?}") };
    assert_eq!((upgrade.protocol, session.protocol), (Protocol::Http, Protocol::WebSocket));
    session.clone()
}

/// Plays a session that both ends close with 1000, in pieces of these sizes.
fn play(session: &[(Direction, Sent)], sizes: &[usize], lost: &[(Direction, u64, u64)]) -> Exchange<'static> {
    let mut play = Play::upgraded();
    let mut sizes = sizes.iter().cycle();
    let close = |direction| (direction, frame(direction, 0x88, &[0x03, 0xe8, b'b', b'y', b'e']));
    let sent = session.iter().map(|(direction, sent)| (*direction, sent.bytes(*direction)));
    for (direction, bytes) in sent.chain([close(Direction::Sent), close(Direction::Received)]) {
        let mut rest = &bytes[..];
        let at = play.at;
        while !rest.is_empty() {
            play.at = at;
            let (piece, left) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
            let mut gaps = lost.iter().filter(|(of, ..)| *of == direction).map(|(_, from, until)| *from..*until);
            play.pass(direction, piece, gaps.next().unwrap_or_default());
            rest = left;
        }
    }
    session_of(&play.close())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_split_counts_the_same(session in session(), sizes in proptest::collection::vec(1_usize..200, 1..9)) {
        let whole = play(&session, &[usize::MAX], &[]);
        let (mut client, mut server) = (Traffic::default(), Traffic::default());
        for (direction, sent) in &session {
            sent.count(if *direction == Direction::Sent { &mut client } else { &mut server });
        }
        // The Close frames.
        (client.frames, server.frames) = (client.frames + 1, server.frames + 1);
        let details = details(&whole);
        prop_assert_eq!((&details.client, &details.server), (&client, &server));
        prop_assert_eq!((details.close_code, details.closed_by), (Some(1000), Some(Role::Client)));
        prop_assert_eq!(&whole.error, &None);
        prop_assert_eq!(whole.completeness, Completeness::Complete);
        prop_assert_eq!(&whole, &play(&session, &sizes, &[]));
    }

    #[test]
    fn a_loss_inside_a_payload_costs_nothing(
        before in session(),
        after in session(),
        is_client in any::<bool>(),
        from in 20_u64..40_000,
        length in 1_u64..30_000,
        sizes in proptest::collection::vec(1000_usize..9000, 1..5),
    ) {
        let direction = if is_client { Direction::Sent } else { Direction::Received };
        let large = Sent::Message { text: false, compressed: false, fragments: vec![vec![7; 80_000]], ping_between: false };
        let start = if is_client { REQUEST.len() } else { RESPONSE.len() } as u64;
        let start = before.iter().filter(|(of, _)| *of == direction).fold(start, |at, (of, sent)| at + sent.bytes(*of).len() as u64);
        let mut session = before;
        session.push((direction, large));
        session.extend(after);
        let whole = play(&session, &sizes, &[]);
        let damaged = play(&session, &sizes, &[(direction, start + from, start + from + length)]);
        prop_assert_eq!(whole, damaged);
    }

    #[test]
    fn what_was_lost_is_never_counted(
        session in session(),
        is_client in any::<bool>(),
        from in 0_u64..1500,
        length in 1_u64..3000,
        sizes in proptest::collection::vec(1_usize..2000, 1..5),
    ) {
        let direction = if is_client { Direction::Sent } else { Direction::Received };
        let start = if is_client { REQUEST.len() } else { RESPONSE.len() } as u64 + from;
        let whole = play(&session, &sizes, &[]);
        let damaged = play(&session, &sizes, &[(direction, start, start + length)]);
        if damaged.completeness == Completeness::Complete {
            // Only payloads were lost, or nothing.
            prop_assert_eq!(details(&whole), details(&damaged));
        } else {
            prop_assert_eq!(damaged.completeness, Completeness::Gap);
            prop_assert_eq!(&damaged.error, &None);
            // What the other side sent is not touched.
            let other = |exchange: &Exchange<'_>| if is_client { details(exchange).server } else { details(exchange).client };
            prop_assert_eq!(other(&whole), other(&damaged));
        }
    }

    #[test]
    fn anything_may_follow_an_upgrade(
        chunks in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 1..300)), 0..20),
    ) {
        let mut play = Play::upgraded();
        for (is_client, bytes) in &chunks {
            play.pass(if *is_client { Direction::Sent } else { Direction::Received }, bytes, 0..0);
            prop_assert!(play.connection.buffered() <= 64 * 1024);
            prop_assert!(play.connection.memory() < 128 * 1024);
        }
        session_of(&play.close());
    }
}

#[test]
fn a_session_is_an_exchange_beside_its_upgrade() {
    for role in [Role::Client, Role::Server] {
        let mut play = Play::new(role);
        let (client, server) = match role {
            Role::Client => (Direction::Sent, Direction::Received),
            Role::Server => (Direction::Received, Direction::Sent),
        };
        play.pass(client, REQUEST, 0..0);
        play.at += 50;
        play.connection.handle_data(server, 0, RESPONSE, Timestamp::from_nanos(play.at), Tag::new(9));
        let opened: Vec<_> = core::iter::from_fn(|| play.connection.poll_opened()).collect();
        let [session] = opened[..] else { panic!("{opened:?}") };
        assert_eq!((session.id, session.start.as_nanos(), session.offset), (1, 1050, REQUEST.len() as u64));
        assert!(session.trace_context.is_some());
        assert_eq!(play.connection.state(), State::Known(Protocol::WebSocket));
        if role == Role::Client {
            play.received = RESPONSE.len() as u64;
        } else {
            play.sent = RESPONSE.len() as u64;
        }
        play.pass(server, &frame(Direction::Received, 0x81, b"hello"), 0..0);
        play.pass(client, &frame(Direction::Sent, 0x88, &[0x03, 0xe9]), 0..0);
        play.pass(server, &frame(Direction::Received, 0x88, &[0x03, 0xe9]), 0..0);
        assert_eq!(play.connection.interest(client), Interest::Ignore);
        let last = play.at;
        // Told when it ended, before the connection does.
        let session = session_of(&play.exchanges);
        assert_eq!((&*session.operation, &*session.target, &session.error), ("session", "/chat/7", &None));
        assert_eq!((session.request.start.as_nanos(), session.end().as_nanos()), (1050, last));
        assert_eq!((session.request.size, session.response.unwrap().size), (8, 11));
        assert_eq!(
            (session.role, session.request.tag.get(), session.response.unwrap().tag.get()),
            (role, 0, RESPONSE.len() as u64)
        );
        let details = details(&session);
        assert_eq!((details.host.as_deref(), details.subprotocol.as_deref()), (Some("a.test"), Some("chat")));
        assert!(details.permessage_deflate);
        assert_eq!(play.close().len(), 2);
    }
}

#[test]
fn how_a_session_ends() {
    let ends = |frames: &[(Direction, &[u8])], left: bool| {
        let mut play = Play::upgraded();
        for (direction, bytes) in frames {
            play.pass(*direction, bytes, 0..0);
        }
        if left {
            play.connection.handle_leave(Timestamp::from_nanos(play.at));
            play.poll();
        }
        let session = session_of(&play.close());
        let details = details(&session);
        (details.close_code, details.closed_by, session.error.clone(), session.completeness)
    };
    let (client, server) = (Direction::Sent, Direction::Received);
    let of = |code: u16, direction| frame(direction, 0x88, &code.to_be_bytes());
    let error = |text: &'static str| Some(text.into());
    let by_server = Some(Role::Server);
    let cut = Completeness::Truncated;
    // Without the second Close nobody knows what else was sent.
    assert_eq!(ends(&[(server, &of(1011, server))], false), (Some(1011), by_server, error("1011"), cut));
    assert_eq!(ends(&[(server, &of(4001, server))], false), (Some(4001), by_server, None, cut));
    assert_eq!(ends(&[(server, &frame(server, 0x88, b""))], false), (Some(1005), by_server, None, cut));
    let both: [(Direction, &[u8]); 2] = [(client, &of(1001, client)), (server, &of(1000, server))];
    assert_eq!(ends(&both, false), (Some(1001), Some(Role::Client), None, Completeness::Complete));
    assert_eq!(ends(&[], false), (Some(1006), None, error("1006"), cut));
    assert_eq!(ends(&[], true), (None, None, None, cut));
    // A frame that was begun is not counted.
    assert_eq!(ends(&[(client, &[0x81, 0x85, 1, 2])], false).0, Some(1006));
    // Not masked: no WebSocket.
    assert_eq!(ends(&[(client, b"\x81\x05hello")], false), (None, None, None, Completeness::Truncated));
}

#[test]
fn frames_are_found_again_behind_a_loss() {
    let mut play = Play::upgraded();
    let one = frame(Direction::Received, 0x81, b"message of some length");
    let lost = RESPONSE.len() as u64 + 3..RESPONSE.len() as u64 + 30;
    for _ in 0..100 {
        play.pass(Direction::Received, &one, lost.clone());
    }
    play.pass(Direction::Received, &frame(Direction::Received, 0x88, &[0x03, 0xf3]), 0..0);
    let session = session_of(&play.close());
    let details = details(&session);
    // Of the second the header was lost.
    assert_eq!((details.server.messages, details.close_code), (99, Some(1011)));
    assert_eq!((session.completeness, session.error.as_deref()), (Completeness::Gap, Some("1011")));
}

#[test]
fn payloads_need_not_be_captured() {
    let mut play = Play::upgraded();
    let large = frame(Direction::Received, 0x82, &[1; 1_000_000]);
    play.connection.handle_data(
        Direction::Received,
        play.received,
        &large[..1000],
        Timestamp::from_nanos(play.at),
        Tag::default(),
    );
    let last = play.received + large.len() as u64 - 1;
    assert_eq!(play.connection.interest(Direction::Received), Interest::Until(last));
    assert_eq!(play.connection.interest(Direction::Sent), Interest::Full);
    play.at += 5000;
    play.connection.handle_data(Direction::Received, last, &[1], Timestamp::from_nanos(play.at), Tag::default());
    play.received = last + 1;
    play.pass(Direction::Received, &frame(Direction::Received, 0x88, b""), 0..0);
    play.pass(Direction::Sent, &frame(Direction::Sent, 0x88, b""), 0..0);
    let session = session_of(&play.close());
    assert_eq!(details(&session).server.payload_bytes, 1_000_000);
    assert_eq!(session.completeness, Completeness::Complete);
}

#[test]
fn a_long_session_holds_nothing() {
    let mut play = Play::upgraded();
    play.pass(Direction::Received, &frame(Direction::Received, 0x81, b"first"), 0..0);
    let before = play.connection.memory();
    for _ in 0..20_000 {
        play.pass(Direction::Sent, &frame(Direction::Sent, 0x81, b"question"), 0..0);
        play.pass(Direction::Received, &frame(Direction::Received, 0x81, b"answer"), 0..0);
    }
    assert_eq!(play.connection.memory(), before);
    assert_eq!(details(&session_of(&play.close())).client.messages, 20_000);
}
