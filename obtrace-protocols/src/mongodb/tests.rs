use alloc::{vec, vec::Vec};

use proptest::prelude::*;

use crate::{Completeness, Config, Connection, Details, Direction, Exchange, Role, Shared, Stage, Tag, Timestamp};

/// An element.
fn element(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], name.as_bytes(), b"\0", value].concat()
}

fn text(name: &str, value: &[u8]) -> Vec<u8> {
    element(2, name, &[&(value.len() as i32 + 1).to_le_bytes()[..], value, b"\0"].concat())
}

fn int(name: &str, value: i32) -> Vec<u8> {
    element(0x10, name, &value.to_le_bytes())
}

fn document(elements: &[Vec<u8>]) -> Vec<u8> {
    let inside = elements.concat();
    [&(inside.len() as i32 + 5).to_le_bytes()[..], &inside, b"\0"].concat()
}

fn header(length: usize, request_id: i32, response_to: i32, opcode: i32) -> Vec<u8> {
    [length as i32 + 16, request_id, response_to, opcode].map(i32::to_le_bytes).concat()
}

/// An `OP_MSG` with a document and a section.
fn message(request_id: i32, response_to: i32, flags: u32, body: &[u8], sequence: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut out = [&flags.to_le_bytes()[..], b"\0", body].concat();
    if let Some((name, documents)) = sequence {
        out.push(1);
        out.extend_from_slice(&(documents.len() as i32 + name.len() as i32 + 5).to_le_bytes());
        out.extend_from_slice(&[name.as_bytes(), b"\0", documents].concat());
    }
    if flags & 1 != 0 {
        out.extend_from_slice(b"\x01\x02\x03\x04");
    }
    [header(out.len(), request_id, response_to, 2013), out].concat()
}

/// A request, its answers and whether it has any.
fn pair(choice: u8, id: i32, value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let collection = alloc::format!("c{choice}");
    let name = |command: &str| text(command, collection.as_bytes());
    let database = text("$db", b"shop");
    let ok = element(1, "ok", &1.0_f64.to_le_bytes());
    let filter = element(3, "filter", &document(&[text("a", value)]));
    let batch = |name: &str| {
        let documents = document(&[element(3, "0", &document(&[text("a", value)])), element(3, "1", &document(&[]))]);
        element(3, "cursor", &document(&[element(4, name, &documents), element(0x12, "id", &7_i64.to_le_bytes())]))
    };
    let answer = |elements: &[Vec<u8>]| message(1000 + id, id, 0, &document(elements), None);
    let documents = document(&[text("a", value)]).repeat(3);
    let write = |more: u32| {
        message(id, 0, more, &document(&[name("insert"), database.clone()]), Some(("documents", &documents)))
    };
    match choice % 7 {
        0 => {
            (message(id, 0, 0, &document(&[name("find"), filter, database]), None), answer(&[batch("firstBatch"), ok]))
        }
        1 => (write(0), answer(&[int("n", 3), ok])),
        2 => (write(2), vec![]),
        3 => {
            let error = document(&[int("index", 0), int("code", 11000), text("errmsg", value)]);
            let errors = element(4, "writeErrors", &document(&[element(3, "0", &error)]));
            (write(1), answer(&[int("n", 2), errors, ok]))
        }
        4 => {
            let failed = element(1, "ok", &0.0_f64.to_le_bytes());
            let request = message(id, 0, 0, &document(&[int("ping", 1), text("x", value), database]), None);
            (request, answer(&[failed, text("errmsg", value), int("code", 59), text("codeName", b"CommandNotFound")]))
        }
        5 => {
            let cursor = element(0x12, "getMore", &7_i64.to_le_bytes());
            let request = message(id, 0, 1 << 16, &document(&[cursor, name("collection"), database]), None);
            let part = document(&[batch("nextBatch"), ok]);
            let answers = [(2, 1000 + id, id), (2, 3000 + id, 1000 + id), (0, 5000 + id, 3000 + id)];
            (request, answers.map(|(flags, id, to)| message(id, to, flags, &part, None)).concat())
        }
        _ => {
            let query = [b"\0\0\0\0shop.c\0\0\0\0\0\x01\0\0\0", &document(&[text("a", value)])[..]].concat();
            let reply = [&[0; 16][..], b"\x01\0\0\0", &document(&[text("a", value)])].concat();
            let request = [header(query.len(), id, 0, 2004), query].concat();
            (request, [header(reply.len(), 1000 + id, id, 1), reply].concat())
        }
    }
}

/// What of a conversation one side sends before the other does.
type Turn = (Direction, Vec<u8>);

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        Just(pair(0, 77, b"a message in a value").0),
        Just(vec![b'x'; 9000]),
    ]
}

/// Requests in batches; the answers of a batch come in its order, or the other way round.
fn conversation() -> impl Strategy<Value = Vec<Turn>> {
    let batch = (proptest::collection::vec((any::<u8>(), value()), 1..6), any::<bool>());
    proptest::collection::vec(batch, 1..6).prop_map(|batches| {
        // What the protocol is found by: short, as nothing longer than what may be buffered can be looked at.
        let (request, answer) = pair(4, 1, b"");
        let mut turns = vec![(Direction::Sent, request), (Direction::Received, answer)];
        let mut id = 2;
        for (calls, is_reversed) in batches {
            let mut pairs = vec![];
            for (choice, value) in calls {
                pairs.push(pair(choice, id, &value));
                id += 1;
            }
            turns.push((Direction::Sent, pairs.iter().flat_map(|(request, _)| request.clone()).collect()));
            if is_reversed {
                pairs.reverse();
            }
            turns.push((Direction::Received, pairs.into_iter().flat_map(|(_, answer)| answer).collect()));
        }
        turns
    })
}

/// A range of one direction's bytes that is not captured.
#[derive(Clone, Copy, Debug)]
struct Lost {
    direction: Direction,
    from: u64,
    until: u64,
}

/// Plays a conversation in pieces of the sizes given, without the first ones and without what is lost.
fn play(turns: &[Turn], sizes: &[usize], first: usize, lost: Option<Lost>) -> Vec<Exchange<'static>> {
    let config = Config::new().with_role(Some(Role::Client)).with_max_buffered(4096);
    let mut connection = Connection::new(config, &Shared::default());
    if first > 0 {
        connection.join();
    }
    let (mut ends, mut at, mut number) = ([0, 0], 0, 0);
    let (mut out, mut opened) = (vec![], vec![]);
    let mut sizes = sizes.iter().cycle();
    for (direction, bytes) in turns {
        at += 1000;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, left) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
            let offset = &mut ends[usize::from(*direction == Direction::Received)];
            if number >= first {
                feed(&mut connection, *direction, *offset, piece, at, lost);
            }
            number += 1;
            *offset += piece.len() as u64;
            rest = left;
            assert!(connection.buffered() <= 2 * 4096);
        }
        note_opened(&mut connection, &mut opened);
        while let Some(exchange) = connection.poll_exchange() {
            out.push(exchange.into_owned());
        }
    }
    connection.handle_close(Timestamp::from_nanos(at + 1000));
    while let Some(exchange) = connection.poll_exchange() {
        out.push(exchange.into_owned());
    }
    note_opened(&mut connection, &mut opened);
    assert_eq!(out.len(), opened.len());
    assert!(out.iter().all(|exchange| opened.contains(&exchange.id)));
    out
}

fn note_opened(connection: &mut Connection, opened: &mut Vec<u64>) {
    while let Some(one) = connection.poll_opened() {
        match one.stage {
            Stage::Certain | Stage::Tentative => opened.push(one.id),
            Stage::Withdrawn => opened.retain(|id| *id != one.id),
            Stage::Confirmed => assert!(opened.contains(&one.id)),
        }
    }
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

fn lost(turns: &[Turn], sent: bool, from: prop::sample::Index, length: u64) -> Option<Lost> {
    let direction = if sent { Direction::Sent } else { Direction::Received };
    let total: usize = turns.iter().filter(|(of, _)| *of == direction).map(|(_, bytes)| bytes.len()).sum();
    let from = from.index(total.max(1)) as u64;
    (total > 0).then_some(Lost { direction, from, until: (from + length).min(total as u64) })
}

fn touched(exchange: &Exchange<'_>, lost: Lost) -> bool {
    let message = if lost.direction == Direction::Sent { Some(exchange.request) } else { exchange.response };
    message.is_some_and(|it| it.offset < lost.until && lost.from < it.offset + it.size)
}

/// Everything but the number that the connection gives.
fn same(one: &Exchange<'_>, other: &Exchange<'_>) -> bool {
    let mut one = one.clone();
    one.id = other.id;
    one == *other
}

/// What an answer says that it is: of a stream the first part may stand for others.
fn has_stream(exchange: &Exchange<'_>) -> bool {
    exchange.operation == "getMore"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same(turns in conversation(), sizes in proptest::collection::vec(1..200_usize, 1..20)) {
        let whole = play(&turns, &[usize::MAX], 0, None);
        prop_assert!(whole.iter().all(|it| it.completeness == Completeness::Complete));
        prop_assert_eq!(&whole, &play(&turns, &sizes, 0, None));
        prop_assert_eq!(&whole, &play(&turns, &[1], 0, None));
    }

    /// Requests that are under way at the same time lose nothing by each other's losses.
    #[test]
    fn a_loss_costs_only_what_it_touches(
        turns in conversation(),
        sent in any::<bool>(),
        from in any::<prop::sample::Index>(),
        length in 1..400_u64,
    ) {
        let whole = play(&turns, &[usize::MAX], 0, None);
        let Some(lost) = lost(&turns, sent, from, length) else { return Ok(()) };
        let seen = play(&turns, &[usize::MAX], 0, Some(lost));
        // The first message is what the protocol is found by.
        for kept in whole.iter().filter(|it| it.id > 0 && !touched(it, lost) && !has_stream(it)) {
            // Where the answer to another one is lost, that of one that is still under way may be, too.
            let found = seen.iter().any(|it| same(it, kept) || it.completeness != Completeness::Complete && it.request == kept.request);
            prop_assert!(found, "{:?} lost: {:#?} is not in {:#?}", lost, kept, seen);
        }
    }

    /// Whatever is lost, no answer is given to a request that it does not belong to, nor one that was counted in part.
    #[test]
    fn a_loss_gives_nothing_wrong(
        turns in conversation(),
        sent in any::<bool>(),
        from in any::<prop::sample::Index>(),
        length in 1..4000_u64,
        first in 0..4_usize,
        sizes in proptest::collection::vec(1..500_usize, 1..20),
    ) {
        let whole = play(&turns, &[usize::MAX], 0, None);
        let lost = lost(&turns, sent, from, length);
        for exchange in play(&turns, &sizes, first, lost) {
            let right = whole.iter().find(|it| it.request.offset == exchange.request.offset);
            prop_assert!(right.is_some(), "{:#?} was never sent", exchange);
            if let (Some(right), Completeness::Complete) = (right, exchange.completeness) {
                prop_assert!(has_stream(right) || same(&exchange, right), "{:#?} is not {:#?}", exchange, right);
            }
        }
    }
}

/// The conversation with one of each.
fn each() -> Vec<Turn> {
    (0..7)
        .flat_map(|choice| {
            let (request, answer) = pair(choice, 10 + i32::from(choice), b"secret");
            [(Direction::Sent, request), (Direction::Received, answer)]
        })
        .collect()
}

#[test]
fn every_prefix_and_every_changed_byte_is_borne() {
    let turns = each();
    for turn in 0..turns.len() {
        for at in 0..turns[turn].1.len() {
            let mut cut = turns[..=turn].to_vec();
            cut[turn].1.truncate(at);
            play(&cut, &[usize::MAX], 0, None);
            for bit in [0, 3, 7] {
                let mut changed = turns.clone();
                changed[turn].1[at] ^= 1 << bit;
                let out = play(&changed, &[usize::MAX], 0, None);
                assert!(out.len() <= turns.len());
            }
        }
    }
}

#[test]
fn values_stay_inside() {
    for exchange in play(&each(), &[usize::MAX], 0, None) {
        assert!(!alloc::format!("{exchange:?}").contains("secret"), "{exchange:?}");
    }
}

#[test]
fn the_text_of_an_error_is_kept_on_demand() {
    let config = Config::new().with_role(Some(Role::Client)).with_error_text(true).with_max_text(6);
    let mut connection = Connection::new(config, &Shared::default());
    let (request, answer) = pair(4, 1, b"no such command");
    connection.handle_data(Direction::Sent, 0, &request, Timestamp::default(), Tag::default());
    for (at, byte) in answer.iter().enumerate() {
        connection.handle_data(Direction::Received, at as u64, &[*byte], Timestamp::default(), Tag::default());
    }
    let exchange = connection.poll_exchange().unwrap();
    let Details::MongoDb(details) = &exchange.details else { panic!("{exchange:?}") };
    assert_eq!((details.error_message.as_deref(), exchange.error.as_deref()), (Some("no suc"), Some("59")));
}

/// What nobody here can unpack is paired all the same.
#[test]
fn unknown_compression_is_paired() {
    let packed = |id: i32, to: i32| {
        let body = [&2013_i32.to_le_bytes()[..], &100_i32.to_le_bytes(), b"\x09what nobody knows"].concat();
        [header(body.len(), id, to, 2012), body].concat()
    };
    let (first, answer) = pair(4, 1, b"");
    let turns = [
        (Direction::Sent, first),
        (Direction::Received, answer),
        (Direction::Sent, [packed(7, 0), packed(8, 0)].concat()),
        (Direction::Received, [packed(9, 8), packed(10, 7)].concat()),
    ];
    let out = play(&turns, &[usize::MAX], 0, None);
    assert_eq!(out, play(&turns, &[1], 0, None));
    let found: Vec<_> = out.iter().map(|it| (&*it.operation, it.response.map(|response| response.offset))).collect();
    let size = packed(0, 0).len() as u64;
    let start = turns[1].1.len() as u64;
    assert_eq!(found, [("ping", Some(0)), ("_OTHER", Some(start)), ("_OTHER", Some(start + size))]);
    let Details::MongoDb(details) = &out[1].details else { panic!("{out:?}") };
    assert_eq!(details.request_compressor, Some(super::Compressor::Unknown(9)));
    assert!(out.iter().all(|it| it.completeness == Completeness::Complete));
}

/// A compressed message that is longer than what is unpacked says its command, and counts nothing.
#[test]
fn a_long_compressed_message_is_read_in_part() {
    let (request, answer) = pair(1, 5, &[b'x'; 90_000]);
    let mut body = request[16..].to_vec();
    let size = body.len();
    // Snappy: one literal of all of it.
    let mut packed = vec![];
    let mut left = size;
    while left >= 0x80 {
        packed.push(left as u8 | 0x80);
        left >>= 7;
    }
    packed.push(left as u8);
    packed.push(62 << 2);
    packed.extend_from_slice(&(size as u32 - 1).to_le_bytes()[..3]);
    packed.append(&mut body);
    let body = [&2013_i32.to_le_bytes()[..], &(size as i32).to_le_bytes(), b"\x01", &packed].concat();
    let request = [header(body.len(), 5, 0, 2012), body].concat();
    let (ping, pong) = pair(4, 1, b"");
    let sent = |bytes| (Direction::Sent, bytes);
    let turns = [sent(ping), (Direction::Received, pong), sent(request), (Direction::Received, answer)];
    let out = play(&turns, &[usize::MAX], 0, None);
    assert_eq!(out, play(&turns, &[1], 0, None));
    let out = &out[1..];
    let Details::MongoDb(details) = &out[0].details else { panic!("{out:?}") };
    assert_eq!((&*out[0].operation, &*out[0].target, &*details.database), ("insert", "c1", "shop"));
    assert_eq!((details.batch_size, out[0].completeness), (None, Completeness::Truncated));
}
