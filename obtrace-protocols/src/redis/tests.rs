use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use crate::{Completeness, Config, Connection, Details, Direction, Exchange, Role, Shared, Tag, Timestamp};

/// What a batch of commands and their answers are on the wire.
#[derive(Clone, Debug, Default)]
struct Batch {
    client: Vec<u8>,
    server: Vec<u8>,
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// One command with its answer; `value` holds anything, text that looks like the protocol too.
fn pair(choice: u8, key: u8, value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let key = format!("key:{key}").into_bytes();
    let bulk = |value: &[u8]| [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
    let stream =
        [&b"%2\r\n$6\r\nlength\r\n:1\r\n$11\r\nfirst-entry\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n"[..], &bulk(value)]
            .concat();
    match choice % 11 {
        0 => (command(&[b"SET", &key, value]), b"+OK\r\n".to_vec()),
        1 => (command(&[b"GET", &key]), bulk(value)),
        2 => (command(&[b"INCR", &key]), b":12\r\n".to_vec()),
        3 => (command(&[b"HMGET", &key, b"a", b"b"]), [&b"*2\r\n"[..], &bulk(value), b"$-1\r\n"].concat()),
        4 => (command(&[b"HGETALL", &key]), [&b"%1\r\n"[..], &bulk(value), b"+on\r\n"].concat()),
        5 => (command(&[b"LPUSH", &key, value]), b"-WRONGTYPE Operation against a key\r\n".to_vec()),
        6 => (command(&[b"XADD", &key, b"*", b"f", value]), bulk(b"1-1")),
        7 => (command(&[b"EXISTS", &key]), b":0\r\n".to_vec()),
        8 => (command(&[b"ZPOPMAX", &key, b"2"]), [&b"*1\r\n*2\r\n"[..], &bulk(value), b",1.5\r\n"].concat()),
        9 => (command(&[b"XINFO", b"STREAM", &key]), stream),
        _ => (command(&[b"GET", &key]), b"_\r\n".to_vec()),
    }
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        Just(b"*1\r\n$4\r\nPING\r\n+PONG\r\n".to_vec()),
        Just(vec![b'x'; 5000]),
    ]
}

fn conversation(in_batch: usize) -> impl Strategy<Value = Vec<Batch>> {
    let one = (any::<u8>(), any::<u8>(), value()).prop_map(|(choice, key, value)| pair(choice, key, &value));
    let batch = proptest::collection::vec(one, 1..=in_batch).prop_map(|pairs| {
        pairs.into_iter().fold(Batch::default(), |mut batch, (client, server)| {
            batch.client.extend(client);
            batch.server.extend(server);
            batch
        })
    });
    proptest::collection::vec(batch, 1..8)
}

/// A range of the client's or the server's bytes that is not captured.
#[derive(Clone, Copy, Debug)]
struct Lost {
    direction: Direction,
    from: u64,
    until: u64,
}

/// Plays a conversation in pieces of the sizes given, one after the other.
fn play(batches: &[Batch], sizes: &[usize], lost: Option<Lost>) -> Vec<Exchange<'static>> {
    play_from(0, batches, sizes, lost)
}

/// The same without the first pieces: the connection was there before it was seen.
fn play_from(first: usize, batches: &[Batch], sizes: &[usize], lost: Option<Lost>) -> Vec<Exchange<'static>> {
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    let (mut sent, mut received, mut at) = (0, 0, 0);
    let mut out = vec![];
    let mut opened = vec![];
    let mut sizes = sizes.iter().cycle();
    let mut number = 0;
    if first > 0 {
        connection.join();
    }
    for batch in batches {
        for (direction, bytes) in [(Direction::Sent, &batch.client), (Direction::Received, &batch.server)] {
            at += 1000;
            let offset = if direction == Direction::Sent { &mut sent } else { &mut received };
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, left) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
                if number >= first {
                    feed(&mut connection, direction, *offset, piece, at, lost);
                }
                number += 1;
                *offset += piece.len() as u64;
                rest = left;
            }
            while let Some(one) = connection.poll_opened() {
                opened.push(one.id);
            }
            while let Some(exchange) = connection.poll_exchange() {
                out.push(exchange.into_owned());
            }
        }
    }
    connection.handle_close(Timestamp::from_nanos(at + 1000));
    while let Some(exchange) = connection.poll_exchange() {
        out.push(exchange.into_owned());
    }
    assert!(out.iter().all(|exchange| opened.contains(&exchange.id)));
    out
}

/// Feeds what of a piece was captured.
fn feed(connection: &mut Connection, direction: Direction, offset: u64, piece: &[u8], at: u64, lost: Option<Lost>) {
    let at = Timestamp::from_nanos(at);
    let end = offset + piece.len() as u64;
    let (from, until) = match lost {
        Some(lost) if lost.direction == direction => (lost.from.clamp(offset, end), lost.until.clamp(offset, end)),
        _ => (end, end),
    };
    let (before, after) = ((from - offset) as usize, (until - offset) as usize);
    if before > 0 {
        connection.handle_data(direction, offset, &piece[..before], at, Tag::new(1));
    }
    if from < until {
        connection.handle_gap(direction, from, until - from, at);
    }
    if after < piece.len() && (from < until || before < piece.len()) {
        connection.handle_data(direction, until, &piece[after..], at, Tag::new(1));
    }
}

fn touched(exchange: &Exchange<'_>, lost: Lost) -> bool {
    let message = if lost.direction == Direction::Sent { Some(exchange.request) } else { exchange.response };
    message.is_none_or(|it| it.offset < lost.until && lost.from < it.offset + it.size)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same(batches in conversation(40), sizes in proptest::collection::vec(1..200_usize, 1..20)) {
        let whole = play(&batches, &[usize::MAX], None);
        prop_assert!(whole.iter().all(|it| it.completeness == Completeness::Complete && it.response.is_some()));
        prop_assert_eq!(&whole, &play(&batches, &sizes, None));
        prop_assert_eq!(&whole, &play(&batches, &[1], None));
    }

    /// A client that waits for its answers loses only what the loss touches.
    #[test]
    fn a_loss_costs_only_what_it_touches(
        batches in conversation(1),
        sent in any::<bool>(),
        from in any::<prop::sample::Index>(),
        length in 1..400_u64,
    ) {
        let whole = play(&batches, &[usize::MAX], None);
        let lost = lost(&batches, sent, from, length);
        let seen = play(&batches, &[usize::MAX], Some(lost));
        // The first chunk is what the protocol is found by.
        for kept in whole.iter().skip(1).filter(|it| !touched(it, lost)) {
            let same = seen.iter().any(|it| (&it.request, &it.response) == (&kept.request, &kept.response));
            prop_assert!(same, "{:?} lost: {:#?} is not in {:#?}", lost, kept, seen);
        }
    }

    /// Whatever is lost of pipelines, no answer is given to a command that it does not belong to, nor a part of one.
    #[test]
    fn a_loss_shifts_no_answer(
        batches in conversation(12),
        sent in any::<bool>(),
        from in any::<prop::sample::Index>(),
        length in 1..400_u64,
    ) {
        let whole = play(&batches, &[usize::MAX], None);
        let lost = lost(&batches, sent, from, length);
        for exchange in play(&batches, &[usize::MAX], Some(lost)) {
            let (Some(response), Completeness::Complete) = (exchange.response, exchange.completeness) else { continue };
            let right = whole.iter().find(|it| it.request.offset == exchange.request.offset);
            prop_assert_eq!(right.and_then(|it| it.response).map(|it| it.offset), Some(response.offset), "{:?}", lost);
        }
    }

    /// Wherever in a pipeline a connection is joined, no answer is given to a command that it does not belong to.
    #[test]
    fn a_joined_connection_shifts_no_answer(
        batches in conversation(12),
        sizes in proptest::collection::vec(1..200_usize, 1..20),
        first in 1..100_usize,
    ) {
        let whole = play(&batches, &[usize::MAX], None);
        for exchange in play_from(first, &batches, &sizes, None) {
            let (Some(response), Completeness::Complete) = (exchange.response, exchange.completeness) else { continue };
            let right = whole.iter().find(|it| it.request.offset == exchange.request.offset);
            prop_assert_eq!(right.and_then(|it| it.response).map(|it| it.offset), Some(response.offset), "{}", first);
        }
    }
}

fn lost(batches: &[Batch], sent: bool, from: prop::sample::Index, length: u64) -> Lost {
    let bytes = |batch: &Batch| if sent { batch.client.len() } else { batch.server.len() };
    let total = batches.iter().map(bytes).sum::<usize>();
    let from = from.index(total) as u64;
    let direction = if sent { Direction::Sent } else { Direction::Received };
    Lost { direction, from, until: (from + length).min(total as u64) }
}

/// Feeds both sides byte by byte and counts what every call was shown: the work that a parser can do.
fn shown(client: &[u8], server: &[u8]) -> u64 {
    use super::{Parser, RedisParser, Side, Step};
    use crate::{
        parser::{Context, Then},
        stream::{Assembler, Mark},
    };

    let (mut parser, config) = (RedisParser::default(), Config::default());
    let (mut opened, mut next_id, shared) = (Default::default(), 0, Shared::default());
    let mut shown = 0;
    for (side, bytes) in [(Side::Client, client), (Side::Server, server)] {
        let mut stream = Assembler::new(1 << 20);
        let other = Assembler::new(1);
        let mut need = 1;
        for (offset, byte) in bytes.iter().enumerate() {
            stream.push(&[*byte], Mark::new(offset as u64, Timestamp::default(), Tag::default()));
            if stream.readable().len() < need {
                continue;
            }
            let mut cx = Context {
                config: &config,
                role: Role::Client,
                now: Timestamp::default(),
                offset: stream.position(),
                assembler: &stream,
                direct: None,
                other: &other,
                other_waits: false,
                shared: &shared,
                opened: &mut opened,
                next_id: &mut next_id,
            };
            shown += stream.readable().len() as u64;
            let Step { consumed, then } = parser.parse(side, stream.readable(), &mut cx);
            stream.consume(consumed);
            need = match then {
                Then::Need(need) => need.max(stream.readable().len() + 1),
                Then::Skip(bytes) => {
                    stream.skip(bytes);
                    1
                }
                other => panic!("{other:?} at {offset}"),
            };
            while parser.poll_exchange().is_some() {}
        }
    }
    shown
}

#[test]
fn byte_by_byte_costs_a_constant_a_byte() {
    let many: Vec<String> = (0..20_000).map(|number| format!("key:{number}")).collect();
    let words: Vec<&[u8]> = core::iter::once(&b"DEL"[..]).chain(many.iter().map(String::as_bytes)).collect();
    let server = [b"*1\r\n".repeat(20_000), b":1\r\n".to_vec(), b"+".to_vec(), vec![b'x'; 100_000], b"\r\n".to_vec()];
    let (client, server) = (command(&words), server.concat());
    let total = (client.len() + server.len()) as u64;
    let work = shown(&client, &server);
    assert!(work < total * 20, "{work} bytes looked at for {total}");
}

#[test]
fn an_idle_parser_keeps_little_and_a_hostile_one_is_bounded() {
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    let at = Timestamp::from_nanos;
    let bytes = command(&[b"MSET", &[b'k'; 900], b"v", &[b'l'; 900], b"v"]).repeat(30);
    for round in 0..500 {
        connection.handle_data(Direction::Sent, round * bytes.len() as u64, &bytes, at(round), Tag::new(0));
        while connection.poll_opened().is_some() {}
        while connection.poll_exchange().is_some() {}
    }
    assert!(connection.memory() < 1024 * 1024, "{}", connection.memory());
    let answers = b"+OK\r\n".repeat(30 * 500);
    connection.handle_data(Direction::Received, 0, &answers, at(1000), Tag::new(0));
    while connection.poll_exchange().is_some() {}
    connection.shrink();
    assert!(connection.memory() < 256, "{}", connection.memory());
}

#[test]
fn damaged_bytes_never_panic() {
    let bytes = command(&[b"SET", b"key", b"value"]);
    let answer = b"*2\r\n$1\r\na\r\n%1\r\n+k\r\n|1\r\n+t\r\n:1\r\n:2\r\n";
    for position in 0..bytes.len().max(answer.len()) {
        for byte in [0, b'\r', b'\n', b'*', b'$', b'-', b'9', b'?', 0xff] {
            let mut client = bytes.clone();
            let mut server = answer.to_vec();
            for side in [&mut client, &mut server] {
                if let Some(place) = side.get_mut(position) {
                    *place = byte;
                }
            }
            let batch = Batch { client: [&bytes[..], &client].concat(), server: [&b"+OK\r\n"[..], &server].concat() };
            play(&[batch.clone(), batch], &[usize::MAX], None);
        }
    }
}

#[test]
fn what_is_handed_out_is_copied_whole() {
    let batch = Batch { client: command(&[b"GET", b"k"]), server: b"-MOVED 1 a:1\r\n".to_vec() };
    let exchange = play(&[batch], &[3], None).remove(0);
    let Details::Redis(details) = &exchange.details else { panic!() };
    assert_eq!(details.error_prefix.as_deref(), Some("MOVED"));
    assert_eq!((details.key.as_deref(), &*details.statement), (Some("k"), "GET k"));
}

/// Plays pieces (from the client or not, bytes, lost or not); commands and whether they are complete.
fn play_pieces(pieces: &[(bool, &[u8], bool)]) -> Vec<(String, Completeness)> {
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    let mut offsets = [0_u64; 2];
    for (number, &(sent, bytes, lost)) in (1_u64..).zip(pieces) {
        let direction = if sent { Direction::Sent } else { Direction::Received };
        let offset = &mut offsets[usize::from(sent)];
        let at = Timestamp::from_nanos(number * 1000);
        if lost {
            connection.handle_gap(direction, *offset, bytes.len() as u64, at);
        } else {
            connection.handle_data(direction, *offset, bytes, at, Tag::new(1));
        }
        *offset += bytes.len() as u64;
    }
    connection.handle_close(Timestamp::from_nanos(1_000_000));
    let mut told = vec![];
    while let Some(exchange) = connection.poll_exchange() {
        told.push((exchange.operation.to_string(), exchange.completeness));
    }
    told
}

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";
const LONG: &[u8] = &[b' '; 300];

#[test]
fn a_request_before_requests_that_were_lost_takes_none_of_their_answers() {
    let set = command(&[b"SET", b"a", b"1"]);
    let told = play_pieces(&[
        (true, PING, false),
        (false, PONG, false),
        (true, &set, false),
        // Its answer, another request and the beginning of a third are lost; what is left of that is no command.
        (true, LONG, true),
        (false, b"+OK\r\n+OK\r\n", true),
        (true, b"the rest of a value\r\n", false),
        (false, b"+OK\r\n", false),
        (true, PING, false),
        (false, PONG, false),
    ]);
    let expected = [("PING", Completeness::Complete), ("SET", Completeness::Gap), ("PING", Completeness::Complete)];
    assert_eq!(told, expected.map(|(name, completeness)| (name.to_string(), completeness)));
}

#[test]
fn after_losses_on_both_sides_an_exchange_that_could_not_be_read_is_enough() {
    let told = play_pieces(&[
        (true, PING, false),
        (false, PONG, false),
        (true, &command(&[b"GET", b"a"]), false),
        (false, b"$600\r\n", true),
        (false, LONG, false),
        (true, LONG, true),
        (false, LONG, false),
        (true, &command(&[b"DEL", b"a"]), false),
        (false, b":1\r\n", false),
        (true, PING, false),
        (false, PONG, false),
    ]);
    let last = told.last().map(|(name, completeness)| (name.as_str(), *completeness));
    assert_eq!(last, Some(("PING", Completeness::Complete)), "{told:?}");
}

/// What only began to be sent has no name that a server could refuse: an error that passes then is not its answer.
#[test]
fn an_error_is_not_the_answer_to_a_command_without_its_name() {
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    let (mut sent, mut received) = (0, 0);
    let pieces: [(bool, &[u8]); 6] = [
        (true, b"*1\r\n$4\r\nPING\r\n"),
        (false, b"+PONG\r\n"),
        (true, b"*1\r\n$4\r\nPI"),
        (false, b"-ERR unknown\r\n"),
        (true, b"NG\r\n"),
        (false, b"+PONG\r\n"),
    ];
    let (mut opened, mut told) = (Vec::new(), Vec::new());
    for (at, (is_sent, bytes)) in (1_u64..).zip(pieces) {
        let (direction, end) =
            if is_sent { (Direction::Sent, &mut sent) } else { (Direction::Received, &mut received) };
        connection.handle_data(direction, *end, bytes, Timestamp::from_nanos(at), Tag::new(at));
        *end += bytes.len() as u64;
        while let Some(one) = connection.poll_opened() {
            opened.push(one.id);
        }
        while let Some(exchange) = connection.poll_exchange() {
            told.push((exchange.id, exchange.error.is_some()));
        }
    }
    assert_eq!((opened, told), (alloc::vec![0, 1], alloc::vec![(0, false), (1, false)]));
}
