use alloc::{vec, vec::Vec};

use proptest::prelude::*;

use crate::{Completeness, Config, Connection, Details, Direction, Exchange, Role, Shared, Stage, Tag, Timestamp};

fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let ([i0, i1], [c0, c1]) = (id.to_be_bytes(), (content.len() as u16).to_be_bytes());
    [&[1, kind, i0, i1, c0, c1, padding, 0], content, &vec![0; usize::from(padding)]].concat()
}

fn params(pairs: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = vec![];
    for (name, value) in pairs {
        out.push(name.len() as u8);
        out.extend_from_slice(&(value.len() as u32 | 1 << 31).to_be_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value);
    }
    out
}

/// A request and its answer in records of at most `most` bytes.
fn pair(choice: u8, id: u16, value: &[u8], most: usize) -> (Vec<u8>, Vec<u8>) {
    let path = alloc::format!("/path/{choice}");
    let asked = params(&[
        ("REQUEST_METHOD", b"POST"),
        ("HTTP_COOKIE", value),
        ("REQUEST_URI", path.as_bytes()),
        ("HTTP_TRACEPARENT", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]);
    let records = |kind: u8, bytes: &[u8]| {
        let parts = bytes.chunks(most).map(|part| record(kind, id, part, choice % 8));
        parts.chain([record(kind, id, b"", 0)]).collect::<Vec<_>>().concat()
    };
    let request = [record(1, id, b"\0\x01\x01\0\0\0\0\0", 0), records(4, &asked), records(5, value)].concat();
    let head: &[u8] = match choice % 3 {
        0 => b"Status: 404 Not Found\r\nContent-type: text/html\r\n\r\n",
        1 => b"Content-type: text/html\r\n\r\n",
        _ => b"Status: 500 No\n\n",
    };
    let mut answer = records(6, &[head, value].concat());
    if choice.is_multiple_of(2) {
        answer = [record(7, id, b"a warning of the application", 3), answer].concat();
    }
    answer.extend_from_slice(&record(3, id, b"\0\0\0\0\0\0\0\0", 0));
    (request, answer)
}

type Turn = (Direction, Vec<u8>);

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..60),
        Just(pair(0, 9, b"a request in a value", 100).0),
        Just(vec![b'x'; 9000]),
    ]
}

/// One request after the other, with the same number, as web servers do it.
fn conversation() -> impl Strategy<Value = Vec<Turn>> {
    proptest::collection::vec((any::<u8>(), value(), 20..5000_usize), 1..8).prop_map(|calls| {
        let mut turns = vec![];
        for (choice, value, most) in calls {
            let (request, answer) = pair(choice, 1, &value, most);
            turns.push((Direction::Sent, request));
            turns.push((Direction::Received, answer));
        }
        // What the protocol is found by: short, as nothing longer than what may be buffered can be looked at.
        let (request, answer) = pair(1, 1, b"v", 100);
        [(Direction::Sent, request), (Direction::Received, answer)].into_iter().chain(turns).collect()
    })
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    direction: Direction,
    from: u64,
    until: u64,
    /// Nobody says that it is lost: it is waited for.
    is_silent: bool,
}

/// Plays a conversation in pieces of the sizes given, without the first ones and without what is lost.
fn play(turns: &[Turn], sizes: &[usize], first: usize, lost: Option<Lost>) -> Vec<Exchange<'static>> {
    let config = Config::new().with_role(Some(Role::Client)).with_max_buffered(4096).with_gap_timeout(5_000);
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
        drain(&mut connection, &mut opened, &mut out);
    }
    connection.handle_close(Timestamp::from_nanos(at + 1000));
    drain(&mut connection, &mut opened, &mut out);
    assert_eq!(out.len(), opened.len());
    assert!(out.iter().all(|exchange| opened.contains(&exchange.id)));
    out
}

fn drain(connection: &mut Connection, opened: &mut Vec<u64>, out: &mut Vec<Exchange<'static>>) {
    while let Some(one) = connection.poll_opened() {
        assert_eq!(one.stage, Stage::Certain);
        opened.push(one.id);
    }
    while let Some(exchange) = connection.poll_exchange() {
        out.push(exchange.into_owned());
    }
}

/// Feeds what of a piece was captured.
fn feed(connection: &mut Connection, direction: Direction, offset: u64, piece: &[u8], at: u64, lost: Option<Lost>) {
    let at = Timestamp::from_nanos(at);
    if connection.poll_timeout().is_some_and(|due| due <= at) {
        connection.handle_timeout(at);
    }
    let end = offset + piece.len() as u64;
    let (from, until) = match lost {
        Some(lost) if lost.direction == direction => (lost.from.clamp(offset, end), lost.until.clamp(offset, end)),
        _ => (end, end),
    };
    let (before, after) = ((from - offset) as usize, (until - offset) as usize);
    if before > 0 {
        connection.handle_data(direction, offset, &piece[..before], at, Tag::new(1));
    }
    if from < until && lost.is_some_and(|lost| !lost.is_silent) {
        connection.handle_gap(direction, from, until - from, at);
    }
    if after < piece.len() && (from < until || before < piece.len()) {
        connection.handle_data(direction, until, &piece[after..], at, Tag::new(1));
    }
}

fn lost(turns: &[Turn], sent: bool, from: prop::sample::Index, length: u64) -> Lost {
    let direction = if sent { Direction::Sent } else { Direction::Received };
    let total: usize = turns.iter().filter(|(of, _)| *of == direction).map(|(_, bytes)| bytes.len()).sum();
    let from = from.index(total) as u64;
    Lost { direction, from, until: (from + length).min(total as u64), is_silent: false }
}

fn touched(exchange: &Exchange<'_>, lost: Lost) -> bool {
    let message = if lost.direction == Direction::Sent { Some(exchange.request) } else { exchange.response };
    message.is_none_or(|it| it.offset < lost.until && lost.from < it.offset + it.size)
}

/// Everything but the number that the connection gives.
fn same(one: &Exchange<'_>, other: &Exchange<'_>) -> bool {
    let mut one = one.clone();
    one.id = other.id;
    one == *other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_gives_the_same(turns in conversation(), sizes in proptest::collection::vec(1..200_usize, 1..20)) {
        let whole = play(&turns, &[usize::MAX], 0, None);
        prop_assert!(whole.iter().all(|it| it.completeness == Completeness::Complete && it.response.is_some()));
        prop_assert_eq!(whole.len(), turns.len() / 2);
        prop_assert_eq!(&whole, &play(&turns, &sizes, 0, None));
        prop_assert_eq!(&whole, &play(&turns, &[1], 0, None));
    }

    #[test]
    fn a_loss_costs_only_what_it_touches(
        turns in conversation(),
        sent in any::<bool>(),
        from in any::<prop::sample::Index>(),
        length in 1..400_u64,
    ) {
        let whole = play(&turns, &[usize::MAX], 0, None);
        let lost = lost(&turns, sent, from, length);
        let seen = play(&turns, &[usize::MAX], 0, Some(lost));
        // The first request is what the protocol is found by.
        for kept in whole.iter().filter(|it| it.id > 0 && !touched(it, lost)) {
            prop_assert!(seen.iter().any(|it| same(it, kept)), "{:?} lost: {:#?} is not in {:#?}", lost, kept, seen);
        }
    }

    /// Whatever is lost, no answer is given to a request that it does not belong to.
    #[test]
    fn a_loss_gives_no_wrong_answer(
        turns in conversation(),
        sent in any::<bool>(),
        from in any::<prop::sample::Index>(),
        length in 1..4000_u64,
        sizes in proptest::collection::vec(1..500_usize, 1..20),
        is_silent in any::<bool>(),
    ) {
        let whole = play(&turns, &[usize::MAX], 0, None);
        let lost = Lost { is_silent, ..lost(&turns, sent, from, length) };
        for exchange in play(&turns, &sizes, 0, Some(lost)) {
            let (Some(response), Completeness::Complete) = (exchange.response, exchange.completeness) else { continue };
            let right = whole.iter().find(|it| it.request.offset == exchange.request.offset);
            prop_assert_eq!(right.and_then(|it| it.response).map(|it| it.offset), Some(response.offset), "{:?}", lost);
        }
    }
}

#[test]
fn every_prefix_and_every_changed_byte_is_borne() {
    let turns: Vec<Turn> = (0..2)
        .flat_map(|choice| {
            let (request, answer) = pair(choice, 1, b"secret", 40);
            [(Direction::Sent, request), (Direction::Received, answer)]
        })
        .collect();
    for turn in 0..turns.len() {
        for at in 0..turns[turn].1.len() {
            let mut cut = turns[..=turn].to_vec();
            cut[turn].1.truncate(at);
            play(&cut, &[usize::MAX], 0, None);
            for bit in [0, 3, 7] {
                let mut changed = turns.clone();
                changed[turn].1[at] ^= 1 << bit;
                assert!(play(&changed, &[usize::MAX], 0, None).len() <= turns.len());
            }
        }
    }
}

#[test]
fn values_stay_inside() {
    let (request, answer) = pair(0, 1, b"secret", 100);
    let out = play(&[(Direction::Sent, request), (Direction::Received, answer)], &[usize::MAX], 0, None);
    assert!(out.len() == 1 && !alloc::format!("{out:?}").contains("secret"), "{out:?}");
    let Details::FastCgi(details) = &out[0].details else { panic!("{out:?}") };
    assert_eq!((details.http.status, details.stderr_size, details.http.response_body_size), (Some(404), 28, Some(6)));
}

/// Many requests at once, their records mixed: each is told once and whole.
#[test]
fn mixed_records_are_told_apart() {
    let pairs: Vec<_> = (1..40_u16).map(|id| pair(id as u8, id, b"value", 30)).collect();
    // Which record of which request comes next: one of each in turn.
    let mix = |streams: Vec<&Vec<u8>>| {
        let mut rests: Vec<&[u8]> = streams.iter().map(|bytes| &bytes[..]).collect();
        let mut out = vec![];
        while rests.iter().any(|rest| !rest.is_empty()) {
            for rest in rests.iter_mut().filter(|rest| !rest.is_empty()) {
                let size = 8 + usize::from(u16::from_be_bytes([rest[4], rest[5]])) + usize::from(rest[6]);
                out.extend_from_slice(&rest[..size]);
                *rest = &rest[size..];
            }
        }
        out
    };
    let requests = mix(pairs.iter().map(|(request, _)| request).collect());
    let answers = mix(pairs.iter().map(|(_, answer)| answer).collect());
    let turns = [(Direction::Sent, requests), (Direction::Received, answers)];
    let out = play(&turns, &[100], 0, None);
    assert_eq!(out.len(), pairs.len());
    for exchange in out {
        let Details::FastCgi(details) = &exchange.details else { panic!("{exchange:?}") };
        let (request, answer) = &pairs[usize::from(details.request_id) - 1];
        assert_eq!(exchange.request.size, request.len() as u64);
        assert_eq!(exchange.response.map(|response| response.size), Some(answer.len() as u64));
        assert_eq!(exchange.target, alloc::format!("/path/{}", details.request_id));
        assert_eq!(exchange.completeness, Completeness::Complete);
    }
}

#[test]
fn of_too_many_calls_the_oldest_is_told_as_far_as_it_came() {
    let config = Config::new().with_role(Some(Role::Client)).with_max_pending(1);
    let mut connection = Connection::new(config, &Shared::default());
    let begin = |id| [record(1, id, b"\0\x01\x01\0\0\0\0\0", 0), record(4, id, b"", 0)].concat();
    let mut feed = |direction, offset, bytes: &[u8], at| {
        connection.handle_data(direction, offset, bytes, Timestamp::from_nanos(at), Tag::default());
        let exchange = connection.poll_exchange();
        exchange.map(|exchange| (exchange.completeness, exchange.response.is_some()))
    };
    assert_eq!(feed(Direction::Sent, 0, &begin(1), 1), None);
    assert_eq!(feed(Direction::Received, 0, &record(6, 1, b"Status: 200 OK\r\n", 0), 2), None);
    assert_eq!(feed(Direction::Sent, 24, &begin(2), 3), Some((Completeness::Truncated, true)));
    assert_eq!(feed(Direction::Sent, 48, &begin(3), 4), Some((Completeness::ResponseMissing, false)));
}

#[test]
fn many_calls_at_a_time_end_in_any_order() {
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    let ids: Vec<u16> = (1..=1000_u16).map(|number| number.wrapping_mul(40_503) | 1).collect();
    let calls: Vec<u8> = ids
        .iter()
        .flat_map(|&id| [record(1, id, b"\0\x01\x01\0\0\0\0\0", 0), record(4, id, b"", 0)].concat())
        .collect();
    let mut order = ids.clone();
    order.sort_unstable_by_key(|id| id.wrapping_mul(7919));
    order.dedup();
    let (mut sent, mut at) = (0, 0);
    // Numbers are used again.
    for round in 0..2 {
        connection.handle_data(Direction::Sent, sent, &calls, Timestamp::from_nanos(2 * round), Tag::default());
        sent += calls.len() as u64;
        for id in &order {
            let answer = [record(6, *id, b"Status: 200 OK\r\n\r\n", 0), record(3, *id, &[0; 8], 0)].concat();
            let now = Timestamp::from_nanos(2 * round + 1);
            connection.handle_data(Direction::Received, at, &answer, now, Tag::default());
            at += answer.len() as u64;
        }
    }
    let mut told = vec![];
    while let Some(exchange) = connection.poll_exchange() {
        let Details::FastCgi(details) = &exchange.details else { panic!("{exchange:?}") };
        if exchange.completeness == Completeness::Complete {
            told.push(details.request_id);
        }
    }
    assert_eq!(told, [&order[..], &order].concat());
}
