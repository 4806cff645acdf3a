use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::MqttDetails;
use crate::{
    Completeness, Config, Connection, Details, Direction, Exchange, Interest, Message, Role, Shared, Tag, Timestamp,
};

const CLIENT: Direction = Direction::Sent;
const SERVER: Direction = Direction::Received;

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let digit = (length % 128) as u8;
        length /= 128;
        bytes.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn connect(version: u8) -> Vec<(Direction, Vec<u8>)> {
    let properties: &[u8] = if version == 5 { b"\x05\x11\0\0\0\x3c" } else { b"" };
    let will: &[u8] = if version == 5 { b"\0" } else { b"" };
    let body = [
        &string("MQTT")[..],
        &[version, 0xc6, 0, 60],
        properties,
        &string("dev-1"),
        will,
        &string("gone/dev-1"),
        &string("will-secret"),
        &string("user-secret"),
        &string("pass-secret"),
    ]
    .concat();
    let answer: &[u8] = if version == 5 { b"\x20\x06\x01\0\x03\x22\0\x0a" } else { b"\x20\x02\x01\0" };
    vec![(CLIENT, packet(0x10, &body)), (SERVER, answer.to_vec())]
}

#[derive(Clone, Debug)]
enum Op {
    Publish { from_server: bool, qos: u8, topic: u8, payload: Vec<u8>, refused: bool },
    Subscribe { filters: u8, refused: bool },
    Unsubscribe,
    Ping,
}

/// What an exchange says, to compare.
type Told = (String, String, Role, Option<u8>, Option<u16>, Option<u64>, String);

impl Op {
    /// The packets in order, and what they come to.
    fn play(&self, version: u8, id: u16) -> (Vec<(Direction, Vec<u8>)>, Told) {
        let newer = version == 5;
        let told = |operation: &str, target: &str, error: &str| {
            (operation.to_string(), target.to_string(), Role::Client, None, Some(id), None, error.to_string())
        };
        match self {
            Self::Publish { from_server, qos, topic, payload, refused } => {
                let (sender, acker) = if *from_server { (SERVER, CLIENT) } else { (CLIENT, SERVER) };
                let (topic, refused) = (format!("site/{topic}/t"), *refused && newer && *qos > 0);
                let number: &[u8] = if *qos > 0 { &id.to_be_bytes() } else { &[] };
                let properties: &[u8] = if newer { b"\x02\x01\0" } else { b"" };
                let body = [&string(&topic)[..], number, properties, payload].concat();
                let mut steps = vec![(sender, packet(0x30 | qos << 1, &body))];
                let ack = |first: u8| {
                    let reason: &[u8] = if refused { &[0x97] } else { &[] };
                    packet(first, &[&id.to_be_bytes()[..], reason].concat())
                };
                match qos {
                    0 => {}
                    1 => steps.push((acker, ack(0x40))),
                    _ if refused => steps.push((acker, ack(0x50))),
                    _ => steps.extend([(acker, ack(0x50)), (sender, ack(0x62)), (acker, ack(0x70))]),
                }
                let role = if *from_server { Role::Server } else { Role::Client };
                let error = if refused { "quota_exceeded" } else { "" };
                let packet_id = (*qos > 0).then_some(id);
                let size = Some(payload.len() as u64);
                (steps, ("PUBLISH".to_string(), topic, role, Some(*qos), packet_id, size, error.to_string()))
            }
            Self::Subscribe { filters, refused } => {
                let list: Vec<u8> =
                    (0..=*filters).flat_map(|n| [&string(&format!("f/{n}/#"))[..], b"\x01"].concat()).collect();
                let none: &[u8] = if newer { b"\0" } else { b"" };
                let mut codes = vec![1; usize::from(*filters) + 1];
                if *refused {
                    *codes.last_mut().unwrap() = 0x80;
                }
                let request = packet(0x82, &[&id.to_be_bytes()[..], none, &list].concat());
                let answer = packet(0x90, &[&id.to_be_bytes()[..], none, &codes].concat());
                let target = if *filters == 0 { "f/0/#" } else { "" };
                let error = if *refused { "unspecified_error" } else { "" };
                (vec![(CLIENT, request), (SERVER, answer)], told("SUBSCRIBE", target, error))
            }
            Self::Unsubscribe => {
                let none: &[u8] = if newer { b"\0" } else { b"" };
                let request = packet(0xa2, &[&id.to_be_bytes()[..], none, &string("f/0/#")].concat());
                let code: &[u8] = if newer { b"\0\x11" } else { b"" };
                let answer = packet(0xb0, &[&id.to_be_bytes()[..], code].concat());
                (vec![(CLIENT, request), (SERVER, answer)], told("UNSUBSCRIBE", "f/0/#", ""))
            }
            Self::Ping => {
                let mut known = told("PINGREQ", "", "");
                known.4 = None;
                (vec![(CLIENT, vec![0xc0, 0]), (SERVER, vec![0xd0, 0])], known)
            }
        }
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => Just(b"\x30\x08\0\x05a/b/c!".repeat(3)),
        1 => Just(vec![0; 300]),
        1 => Just(vec![b'x'; 100_000]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let publish = (any::<bool>(), 0_u8..3, any::<u8>(), payload(), any::<bool>()).prop_map(
        |(from_server, qos, topic, payload, refused)| Op::Publish { from_server, qos, topic, payload, refused },
    );
    let subscribe = (0_u8..4, any::<bool>()).prop_map(|(filters, refused)| Op::Subscribe { filters, refused });
    prop_oneof![5 => publish, 1 => subscribe, 1 => Just(Op::Unsubscribe), 1 => Just(Op::Ping)]
}

/// Operations that are under way at the same time, and an order in which they go on.
type Group = (Vec<Op>, Vec<u8>);

fn talk() -> impl Strategy<Value = (u8, Vec<Group>)> {
    let group = (proptest::collection::vec(op(), 1..6), proptest::collection::vec(any::<u8>(), 0..30));
    (prop_oneof![Just(4), Just(5)], proptest::collection::vec(group, 0..6))
}

/// The packets of a talk in order, and what they come to.
fn packets(version: u8, groups: &[Group]) -> (Vec<(Direction, Vec<u8>)>, Vec<Told>) {
    let mut all = connect(version);
    let mut known = vec![("CONNECT".to_string(), String::new(), Role::Client, None, None, None, String::new())];
    for (ops, order) in groups {
        let mut open = vec![];
        for (number, op) in ops.iter().enumerate() {
            // Identifiers are used again in every group.
            let (steps, told) = op.play(version, number as u16 + 1);
            // Pings have none: they are answered in order.
            if matches!(op, Op::Ping) {
                all.extend(steps);
            } else {
                open.push(steps.into_iter());
            }
            known.push(told);
        }
        let mut order = order.iter().copied().chain(core::iter::repeat(0));
        while !open.is_empty() {
            let at = usize::from(order.next().unwrap()) % open.len();
            match open[at].next() {
                Some(step) => all.push(step),
                None => drop(open.remove(at)),
            }
        }
    }
    (all, known)
}

fn details<'a>(exchange: &'a Exchange<'_>) -> &'a MqttDetails<'a> {
    let Details::Mqtt(details) = &exchange.details else { panic!("{exchange:?}") };
    details
}

fn told(exchange: &Exchange<'_>) -> Told {
    let MqttDetails { sender, qos, packet_id, payload_size, .. } = *details(exchange);
    let error = exchange.error.as_deref().unwrap_or_default().to_string();
    (exchange.operation.to_string(), exchange.target.to_string(), sender, qos, packet_id, payload_size, error)
}

/// Bytes of a side that are not captured.
type Lost = Option<(Direction, u64, u64)>;

struct Play {
    connection: Connection,
    offsets: [u64; 2],
    at: u64,
    exchanges: Vec<Exchange<'static>>,
}

impl Play {
    fn new() -> Self {
        Self::with(Config::new())
    }

    fn with(config: Config) -> Self {
        let connection = Connection::new(config.with_role(Some(Role::Client)), &Shared::default());
        Self { connection, offsets: [0; 2], at: 0, exchanges: vec![] }
    }

    fn pass(&mut self, direction: Direction, bytes: &[u8], sizes: &mut impl Iterator<Item = usize>, lost: Lost) {
        self.at += 1000;
        let at = Timestamp::from_nanos(self.at);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(sizes.next().unwrap().clamp(1, rest.len()));
            let offset = &mut self.offsets[direction as usize];
            let (start, end) = (*offset, *offset + piece.len() as u64);
            *offset = end;
            let (from, until) = match lost {
                Some((of, from, until)) if of == direction && from < end && start < until => {
                    (from.max(start), until.min(end))
                }
                _ => (end, end),
            };
            let part = |from: u64, until: u64| &piece[(from - start) as usize..(until - start) as usize];
            self.connection.handle_data(direction, start, part(start, from), at, Tag::new(start));
            if from < until {
                self.connection.handle_gap(direction, from, until - from, at);
                self.connection.handle_data(direction, until, part(until, end), at, Tag::new(start));
            }
            rest = left;
        }
        while self.connection.poll_opened().is_some() {}
        while let Some(exchange) = self.connection.poll_exchange() {
            self.exchanges.push(exchange.into_owned());
        }
    }

    fn say(&mut self, direction: Direction, bytes: &[u8]) {
        self.pass(direction, bytes, &mut core::iter::repeat(usize::MAX), None);
    }

    fn close(mut self) -> Vec<Exchange<'static>> {
        self.connection.handle_close(Timestamp::from_nanos(self.at + 1000));
        while let Some(exchange) = self.connection.poll_exchange() {
            self.exchanges.push(exchange.into_owned());
        }
        self.exchanges
    }
}

fn play(packets: &[(Direction, Vec<u8>)], sizes: &[usize], lost: Lost) -> Vec<Exchange<'static>> {
    let mut play = Play::new();
    let mut sizes = sizes.iter().copied().cycle();
    for (direction, bytes) in packets {
        play.pass(*direction, bytes, &mut sizes, lost);
    }
    play.close()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_split_gives_the_same((version, groups) in talk(), sizes in proptest::collection::vec(1_usize..300, 1..9)) {
        let (packets, mut known) = packets(version, &groups);
        let whole = play(&packets, &[usize::MAX], None);
        let mut found: Vec<Told> = whole.iter().map(told).collect();
        let key = |told: &Told| format!("{told:?}");
        known.sort_by_key(key);
        found.sort_by_key(key);
        prop_assert_eq!(found, known);
        prop_assert!(whole.iter().all(|exchange| exchange.completeness == Completeness::Complete));
        let shown = format!("{whole:?}");
        prop_assert!(!shown.contains("secret"));
        prop_assert_eq!(&whole, &play(&packets, &sizes, None));
    }

    /// What is told whole behind a loss is so without it.
    #[test]
    fn a_loss_makes_nothing_up(
        (version, groups) in talk(),
        is_client in any::<bool>(),
        from in 0_u64..400,
        length in 1_u64..300,
        sizes in proptest::collection::vec(20_usize..300, 1..5),
    ) {
        let (packets, _) = packets(version, &groups);
        let direction = if is_client { CLIENT } else { SERVER };
        let lost = (from, from + length);
        let whole = play(&packets, &[usize::MAX], None);
        let damaged = play(&packets, &sizes, Some((direction, lost.0, lost.1)));
        // Of more chunks that wait not each one's time is kept.
        let pieces = |of: Direction| -> usize {
            let sent = packets.iter().filter(|(direction, _)| *direction == of);
            sent.map(|(_, bytes)| 1 + bytes.len() / sizes.iter().min().unwrap()).sum()
        };
        let are_timed = pieces(CLIENT).max(pieces(SERVER)) <= 60;
        let places = |exchange: &Exchange<'_>| {
            let place = |message: &Message| {
                (are_timed.then_some((message.start, message.end)), message.offset, message.size)
            };
            (place(&exchange.request), exchange.response.as_ref().map(place))
        };
        let same = |one: &Exchange<'_>, other: &Exchange<'_>| {
            (places(one), &one.target, &one.error) == (places(other), &other.target, &other.error)
        };
        // The packets that are looked like in a payload are none.
        let embedded = groups.iter().flat_map(|(ops, _)| ops).any(|op| matches!(op, Op::Publish { payload, .. } if payload.starts_with(b"\x30\x08")));
        for exchange in damaged.iter().filter(|exchange| exchange.completeness == Completeness::Complete) {
            let right = whole.iter().any(|known| same(known, exchange));
            let inside = exchange.target == "a/b/c" && embedded;
            prop_assert!(right || inside, "{:#?}\nis not in {:#?}", exchange, whole);
        }
        // What neither asks nor is answered there is as it was, if what is lost are whole packets.
        let ends = |of: Direction| {
            let mut at = 0;
            let sizes = packets.iter().filter(move |(direction, _)| *direction == of).map(|(_, bytes)| bytes.len() as u64);
            sizes.map(move |size| { at += size; at }).collect::<Vec<_>>()
        };
        let ends = ends(direction);
        let begin = ends.iter().copied().filter(|end| *end <= lost.0).max().unwrap_or_default();
        let end = ends.iter().copied().find(|end| *end >= lost.1).unwrap_or(u64::MAX);
        if end == u64::MAX {
            return Ok(());
        }
        let damaged = play(&packets, &sizes, Some((direction, begin, end)));
        for known in &whole {
            let sender = details(known).sender;
            let (asks, answers) = if sender == Role::Client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
            let touches = |direction_of: Direction, offset: u64, size: u64| direction_of == direction && offset < end && begin < offset + size;
            let released = known.operation == "PUBLISH" && details(known).qos == Some(2);
            let touched = touches(asks, known.request.offset, known.request.size)
                // Acknowledgements of QoS 2 lie apart: what is between is another's.
                || known.response.is_some_and(|it| touches(answers, it.offset, if released { u64::MAX / 4 } else { it.size }))
                // Pings have no identifier: those under way are given up.
                || known.operation == "PINGREQ" || details(known).packet_id.is_some() && released;
            let there = damaged.iter().any(|exchange| same(exchange, known) && exchange.completeness == known.completeness);
            prop_assert!(touched || there, "{direction:?} {begin}..{end}: {:#?}\nis not in {:#?}", known, damaged);
        }
    }

    #[test]
    fn anything_may_follow_a_connect(
        chunks in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 1..300)), 0..20),
    ) {
        let mut play = Play::new();
        connect(5).iter().for_each(|(direction, bytes)| play.say(*direction, bytes));
        for (is_client, bytes) in &chunks {
            play.say(if *is_client { CLIENT } else { SERVER }, bytes);
            prop_assert!(play.connection.buffered() <= 64 * 1024);
            prop_assert!(play.connection.memory() < 128 * 1024);
        }
    }
}

/// Of the two bytes that are left of a message nobody knows whether they are a packet: what follows is one.
#[test]
fn two_bytes_behind_a_loss_are_no_packet() {
    let ends = [(CLIENT, SERVER, b"\xe0\0"), (CLIENT, SERVER, b"\xc0\0"), (SERVER, CLIENT, b"\xe0\0")];
    for (side, other, left) in ends {
        let mut play = Play::new();
        connect(5).iter().for_each(|(direction, bytes)| play.say(*direction, bytes));
        let message = packet(0x30, &[&string("a/b")[..], b"\0payload", left].concat());
        let from = play.offsets[side as usize];
        let until = from + message.len() as u64 - 2;
        play.pass(side, &message, &mut core::iter::repeat(usize::MAX), Some((side, from, until)));
        let publish = packet(0x32, &[&string("c/d")[..], b"\0\x07\0"].concat());
        play.say(side, &publish);
        play.say(other, b"\x40\x02\0\x07");
        play.say(CLIENT, b"\xc0\0");
        play.say(SERVER, b"\xd0\0");
        let found = play.close();
        let shown: Vec<_> = found.iter().map(|exchange| (&*exchange.operation, exchange.completeness)).collect();
        let complete = ["CONNECT", "PUBLISH", "PINGREQ"].map(|operation| (operation, Completeness::Complete));
        assert_eq!(shown, complete, "{side:?} {left:?}");
    }
}

/// An answer that may be the end of a message is none; the one behind it answers what was asked before that.
#[test]
fn pings_behind_a_loss_are_told_apart() {
    let mut play = Play::new();
    connect(4).iter().for_each(|(direction, bytes)| play.say(*direction, bytes));
    play.connection.handle_gap(SERVER, play.offsets[1], 10, Timestamp::from_nanos(play.at));
    play.offsets[1] += 10;
    for _ in 0..3 {
        play.say(CLIENT, b"\xc0\0");
        play.say(SERVER, b"\xd0\0");
    }
    let found = play.close();
    let shown = |exchange: &Exchange<'_>| (exchange.completeness, exchange.response.map(|answer| answer.offset));
    let shown: Vec<_> = found[1..].iter().map(shown).collect();
    let complete = |offset| (Completeness::Complete, Some(offset));
    assert_eq!(shown, [(Completeness::Gap, None), complete(16), complete(18)]);
}

#[test]
fn authentication_and_how_a_session_ends() {
    let mut play = Play::new();
    let [(_, request), (_, answer)] = &connect(5)[..] else { panic!() };
    play.say(CLIENT, request);
    play.say(SERVER, b"\xf0\x02\x18\0");
    play.say(CLIENT, b"\xf0\x02\x18\0");
    play.say(SERVER, answer);
    // Once more, later.
    play.say(CLIENT, b"\xf0\x02\x19\0");
    play.say(SERVER, b"\xf0\x02\x18\0");
    play.say(CLIENT, b"\xf0\x02\x18\0");
    play.say(SERVER, b"\xf0\0");
    play.say(SERVER, b"\xe0\x01\x8e");
    let found = play.close();
    let shown =
        |exchange: &Exchange<'_>| (exchange.operation.to_string(), details(exchange).reason, exchange.completeness);
    let complete = Completeness::Complete;
    let expected = [("CONNECT", 0, complete), ("AUTH", 0, complete), ("DISCONNECT", 0x8e, complete)];
    let expected =
        expected.map(|(operation, reason, completeness)| (operation.to_string(), Some(reason), completeness));
    assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(found[1].response.unwrap().size, 6);
    assert_eq!((found[2].error.as_deref(), details(&found[2]).sender), (Some("session_taken_over"), Role::Server));
    let connect = details(&found[0]);
    assert_eq!((connect.client_id.as_deref(), connect.will_topic.as_deref()), (Some("dev-1"), Some("gone/dev-1")));
    assert_eq!((connect.keep_alive, connect.clean_start, connect.session_present), (Some(60), true, true));
}

#[test]
fn aliases_stand_for_topics() {
    let mut play = Play::new();
    connect(5).iter().for_each(|(direction, bytes)| play.say(*direction, bytes));
    let alias = |topic: &str, alias: u8| packet(0x30, &[&string(topic)[..], &[3, 0x23, 0, alias], b"x"].concat());
    play.say(CLIENT, &alias("a/b", 1));
    play.say(CLIENT, &alias("c/d", 2));
    play.say(CLIENT, &alias("", 1));
    // The other end's aliases are its own.
    play.say(SERVER, &alias("", 1));
    play.say(SERVER, &alias("e/f", 1));
    play.say(SERVER, &alias("", 1));
    play.say(CLIENT, &alias("g/h", 1));
    play.say(CLIENT, &alias("", 1));
    play.say(CLIENT, &alias("", 2));
    let at = play.offsets[0];
    play.connection.handle_gap(CLIENT, at, 10, Timestamp::from_nanos(play.at));
    play.offsets[0] += 10;
    play.say(CLIENT, &alias("", 2));
    let targets: Vec<String> = play.close().iter().map(|exchange| exchange.target.to_string()).collect();
    assert_eq!(targets, ["", "a/b", "c/d", "a/b", "", "e/f", "e/f", "g/h", "g/h", "c/d", ""]);
}

#[test]
fn a_trace_context_among_the_user_properties() {
    let mut play = Play::new();
    connect(5).iter().for_each(|(direction, bytes)| play.say(*direction, bytes));
    let value = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let property = [&b"\x26"[..], &string("traceparent"), &string(value)].concat();
    let body = [&string("t")[..], &[property.len() as u8], &property, b"payload"].concat();
    let bytes = packet(0x30, &body);
    play.connection.handle_data(SERVER, play.offsets[1], &bytes, Timestamp::from_nanos(9), Tag::default());
    let opened = play.connection.poll_opened().unwrap();
    assert_eq!(
        (opened.sender, opened.offset, opened.trace_context.unwrap().span_id[0]),
        (Role::Server, play.offsets[1], 0xb7)
    );
}

#[test]
fn versions_are_recognised_in_the_middle() {
    let version = |packets: &[(Direction, &[u8])]| {
        let mut play = Play::new();
        play.connection.join();
        packets.iter().for_each(|(direction, bytes)| play.say(*direction, bytes));
        details(play.close().last().unwrap()).version
    };
    let publish: (Direction, &[u8]) = (CLIENT, b"\x30\x06\0\x03a/bx");
    assert_eq!(version(&[publish]), None);
    assert_eq!(version(&[(CLIENT, b"\x82\x08\0\x01\0\x03a/#\x01"), (SERVER, b"\x90\x03\0\x01\x01")]), Some(4));
    assert_eq!(version(&[(CLIENT, b"\x82\x09\0\x01\0\0\x03a/#\x01"), (SERVER, b"\x90\x04\0\x01\0\x01")]), Some(5));
    assert_eq!(version(&[publish, (SERVER, b"\xb0\x02\0\x01"), publish]), Some(4));
    assert_eq!(version(&[(CLIENT, b"\x32\x08\0\x03a/b\0\x01x"), (SERVER, b"\x40\x03\0\x01\x10")]), Some(5));
}

#[test]
fn what_waits_is_bounded() {
    let mut play = Play::with(Config::new().with_max_pending(8));
    connect(4).iter().for_each(|(direction, bytes)| play.say(*direction, bytes));
    for id in 1..=100_u16 {
        play.say(CLIENT, &packet(0x32, &[&string("a")[..], &id.to_be_bytes()].concat()));
        play.say(CLIENT, b"\xc0\0");
    }
    let missing = |exchange: &&Exchange<'_>| exchange.completeness == Completeness::ResponseMissing;
    let ids = |play: &Play| {
        let missing = play.exchanges.iter().filter(missing);
        missing.filter_map(|exchange| details(exchange).packet_id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&play), (1..=92).collect::<Vec<u16>>());
    assert!(play.connection.memory() < 32 * 1024, "{}", play.connection.memory());
    // The identifier is used again: nobody acknowledged the first.
    play.say(CLIENT, &packet(0x32, &[&string("b")[..], &[0, 100]].concat()));
    assert_eq!(ids(&play).last(), Some(&100));
    // Sent again, it is still the same.
    play.say(CLIENT, &packet(0x3a, &[&string("b")[..], &[0, 100]].concat()));
    play.say(SERVER, b"\x40\x02\0\x64");
    let last = play.exchanges.last().unwrap();
    assert_eq!((&*last.target, last.completeness), ("b", Completeness::Complete));
    assert!(details(last).duplicate);
    assert_eq!(play.close().len(), 202);
}

#[test]
fn large_payloads_and_fields() {
    let mut play = Play::new();
    connect(5).iter().for_each(|(direction, bytes)| play.say(*direction, bytes));
    let large = packet(0x30, &[&string("big")[..], b"\0", &vec![7; 200_000]].concat());
    let start = play.offsets[0];
    play.connection.handle_data(CLIENT, start, &large[..100], Timestamp::from_nanos(5_000), Tag::default());
    let last = start + large.len() as u64 - 1;
    assert_eq!(play.connection.interest(CLIENT), Interest::Until(last));
    play.connection.handle_data(CLIENT, last, &large[large.len() - 1..], Timestamp::from_nanos(9_000), Tag::default());
    play.offsets[0] = last + 1;
    let property = [&b"\x26"[..], &string("k"), &string(&"v".repeat(60_000))].concat();
    let mut body = [&string("wide")[..], &[0, 9]].concat();
    body.extend([0xe6, 0xd4, 0x03]);
    assert_eq!(property.len(), 60_006);
    body.extend(property);
    body.extend(b"payload");
    play.say(CLIENT, &packet(0x32, &body));
    play.say(SERVER, b"\x40\x02\0\x09");
    play.say(CLIENT, &packet(0x30, &[&string(&"t".repeat(50_000))[..], b"\0x"].concat()));
    play.say(CLIENT, b"\xc0\0");
    play.say(SERVER, b"\xd0\0");
    let found: Vec<_> = play.close().into_iter().skip(1).collect();
    let shown =
        |exchange: &Exchange<'_>| (exchange.target.len(), exchange.completeness, details(exchange).payload_size);
    assert_eq!(shown(&found[0]), (3, Completeness::Complete, Some(200_000)));
    assert_eq!(found[0].request.end.as_nanos(), 9_000);
    assert_eq!(shown(&found[1]), (4, Completeness::Truncated, None));
    assert_eq!(shown(&found[2]), (4096, Completeness::Truncated, None));
    assert_eq!((&*found[3].operation, found[3].completeness), ("PINGREQ", Completeness::Complete));
}

#[test]
fn who_is_who_where_both_ends_publish() {
    let play = |likely: Option<Role>, more: &[(Direction, &[u8])]| {
        let mut connection = Connection::new(Config::new().with_likely_role(likely), &Shared::default());
        connection.join();
        let mut offsets = [0; 2];
        let first: [(Direction, &[u8]); 2] = [(SERVER, b"\x32\x08\0\x03a/b\0\x01x"), (CLIENT, b"\x40\x02\0\x01")];
        for (direction, bytes) in first.iter().chain(more) {
            let offset = &mut offsets[*direction as usize];
            connection.handle_data(*direction, *offset, bytes, Timestamp::from_nanos(1), Tag::default());
            *offset += bytes.len() as u64;
        }
        connection.poll_exchange().map(|exchange| details(&exchange).sender)
    };
    assert_eq!(play(None, &[]), None);
    assert_eq!(play(Some(Role::Client), &[]), Some(Role::Server));
    assert_eq!(play(Some(Role::Server), &[]), Some(Role::Client));
    // What only one end sends decides, whatever the ports.
    assert_eq!(play(None, &[(SERVER, b"\xd0\0")]), Some(Role::Server));
    assert_eq!(play(None, &[(SERVER, b"\xc0\0")]), Some(Role::Client));
}

#[test]
fn what_passed_before_is_no_answer() {
    let mut play = Play::new();
    for (direction, bytes) in connect(4) {
        play.say(direction, &bytes);
    }
    // A subscription, a ping and a message are lost; what answers them waits behind a hole until they are sent again.
    let asks: [&[u8]; 3] = [b"\x82\x06\0\x07\0\x01a\0", b"\xc0\0", b"\x32\x06\0\x01a\0\x09x"];
    let answers: [&[u8]; 3] = [b"\x90\x03\0\x07\0", b"\xd0\0", b"\x40\x02\0\x09"];
    let lost = asks.concat().len() as u64;
    let at = Timestamp::from_nanos;
    play.connection.handle_gap(CLIENT, play.offsets[0], lost, at(play.at + 100));
    play.offsets[0] += lost;
    let early = play.at + 200;
    play.say(CLIENT, &asks.concat());
    let late = answers.concat();
    play.connection.handle_data(SERVER, play.offsets[1], &late, at(early), Tag::default());
    play.offsets[1] += late.len() as u64;
    play.say(SERVER, &late);
    let exchanges = play.close();
    assert_eq!(exchanges.len(), 4);
    for exchange in &exchanges {
        let response = exchange.response.unwrap();
        assert!(exchange.request.start < response.start, "{exchange:?}");
        assert_eq!(exchange.completeness, Completeness::Complete);
    }
}

#[test]
fn what_floods_takes_little_memory() {
    let unit: &[u8] = b"\x30\x03\0\x01t\x30\x03\0\x01u\xe0\0";
    let said = [("PUBLISH", "t"), ("PUBLISH", "u"), ("DISCONNECT", "")];
    let floods = [(&b"\xe0\0"[..], &said[2..]), (unit, &said[..])];
    for (unit, said) in floods {
        let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
        let (at, tag) = (Timestamp::from_nanos(7), Tag::new(9));
        let hello = &connect(4)[0].1;
        connection.handle_data(CLIENT, 0, hello, at, tag);
        let flood = unit.repeat(60_000 / unit.len());
        connection.handle_data(CLIENT, hello.len() as u64, &flood, at, tag);
        let count = flood.len() / unit.len() * said.len();
        while connection.poll_opened().is_some() {}
        let held = connection.memory() / count;
        // Announcements are 64 bytes each, and may be held twice.
        assert!(held < 200, "{held} B an exchange");
        let mut offset = hello.len() as u64;
        for (number, (operation, target)) in said.iter().cycle().take(count).enumerate() {
            let exchange = connection.poll_exchange().unwrap();
            assert_eq!(
                (&*exchange.operation, &*exchange.target, exchange.id),
                (*operation, *target, number as u64 + 1)
            );
            assert_eq!((exchange.request.offset, exchange.request.start, exchange.request.tag), (offset, at, tag));
            offset += exchange.request.size;
        }
        assert!(connection.poll_exchange().is_none());
    }
}
