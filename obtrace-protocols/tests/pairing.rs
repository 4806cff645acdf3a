//! After losses, and on connections that were there before, no request is told with the response of another:
//! conversations with a mark in every request and every response, of clients that take turns with any losses, of ones
//! that pipeline with one.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fmt::Debug, ops::Range, str::FromStr};

use obtrace_protocols::{
    Completeness, Config, Connection, Details, Direction, Exchange, Protocol, Role, Shared, Tag, Timestamp,
};
use proptest::{prelude::*, test_runner::RngSeed};

/// How a protocol says request and response number `n`, and what an exchange says that they were.
struct Speech {
    protocol: Protocol,
    /// What is said before the first request.
    open: fn() -> Vec<(Direction, Vec<u8>)>,
    request: fn(usize) -> Vec<u8>,
    response: fn(usize) -> Vec<u8>,
    marks: fn(&Exchange<'_>) -> (Option<usize>, Option<usize>),
    /// After a loss a client that pipelines is known to be in step with its next group of requests. Of a Redis client
    /// that takes several groups: its pipelines need not come to an end between them.
    bursts: bool,
}

fn number(text: &str) -> Option<usize> {
    text.trim_start_matches(|first: char| !first.is_ascii_digit()).parse().ok()
}

const HTTP: Speech = Speech {
    protocol: Protocol::Http,
    bursts: true,
    open: Vec::new,
    request: |n| {
        let body = "x".repeat(n * 7 % 50);
        match n % 3 {
            0 => format!("POST /r/{n} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
            _ => format!("GET /r/{n} HTTP/1.1\r\nHost: a\r\n\r\n"),
        }
        .into_bytes()
    },
    response: |n| {
        let body = "y".repeat(n * 11 % 90);
        match n % 4 {
            0 => format!("HTTP/1.1 204 No Content\r\nContent-Type: m/{n}\r\n\r\n"),
            1 => format!(
                "HTTP/1.1 200 OK\r\nContent-Type: m/{n}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            ),
            _ => format!("HTTP/1.1 200 OK\r\nContent-Type: m/{n}\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        }
        .into_bytes()
    },
    marks: |exchange| {
        let Details::Http(details) = &exchange.details else { panic!("{exchange:?}") };
        (number(&details.path), details.response_content_type.as_deref().and_then(number))
    },
};

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
}

const POSTGRES: Speech = Speech {
    protocol: Protocol::Postgres,
    bursts: true,
    open: || {
        let startup = b"\0\0\0\x12\0\x03\0\0user\0bob\0\0";
        let ready = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
        vec![(Direction::Sent, startup.to_vec()), (Direction::Received, ready)]
    },
    request: |n| {
        let sql = format!("UPDATE t{n} SET a = 1\0");
        if n.is_multiple_of(2) {
            return message(b'Q', sql.as_bytes());
        }
        let parse = message(b'P', format!("\0{sql}\0\0").as_bytes());
        let bind = message(b'B', &[0; 8]);
        [parse, bind, message(b'E', &[0; 5]), message(b'S', b"")].concat()
    },
    response: |n| {
        let extended = [message(b'1', b""), message(b'2', b"")].concat();
        let complete = message(b'C', format!("UPDATE {n}\0").as_bytes());
        [if n.is_multiple_of(2) { Vec::new() } else { extended }, complete, message(b'Z', b"I")].concat()
    },
    marks: |exchange| {
        let Details::Postgres(details) = &exchange.details else { panic!("{exchange:?}") };
        (number(&exchange.target), details.affected_rows.map(|rows| usize::try_from(rows).unwrap()))
    },
};

const REDIS: Speech = Speech {
    protocol: Protocol::Redis,
    bursts: false,
    open: Vec::new,
    request: |n| {
        let key = format!("k{n}");
        format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len()).into_bytes()
    },
    response: |n| {
        let value = "v".repeat(100 + n);
        format!("${}\r\n{value}\r\n", value.len()).into_bytes()
    },
    marks: |exchange| {
        let Details::Redis(_) = &exchange.details else { panic!("{exchange:?}") };
        // "$nnn\r\n" and "\r\n" around the value. An incomplete one may be of any size.
        let size = exchange.response.filter(|_| exchange.completeness == Completeness::Complete);
        let asked = usize::try_from(exchange.request.offset).unwrap();
        (Some(asked), size.map(|response| usize::try_from(response.size).unwrap() - 108))
    },
};

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_le_bytes()[..3], &[sequence], body].concat()
}

const MYSQL: Speech = Speech {
    protocol: Protocol::MySql,
    bursts: false,
    open: || {
        let greeting =
            [b"\x0a8.0.36\0\x01\0\0\0saltsalt\0\x0f\xa2\xff\x02\0\x09\0\x15", &[0; 10][..], b"123456789012\0"].concat();
        let login = [b"\x05\xa2\0\0\0\0\0\x01\xff", &[0; 23][..], b"bob\0\0"].concat();
        vec![
            (Direction::Received, packet(0, &greeting)),
            (Direction::Sent, packet(1, &login)),
            (Direction::Received, packet(2, b"\0\0\0\x02\0\0\0")),
        ]
    },
    request: |n| match n % 3 {
        0 => packet(0, format!("\x03SELECT a FROM t{n}").as_bytes()),
        _ => packet(0, format!("\x03UPDATE t{n} SET a = 1").as_bytes()),
    },
    response: |n| {
        let mark = u8::try_from(n).unwrap();
        if n % 3 > 0 {
            return packet(1, &[0, mark, 0, 2, 0, 0, 0]);
        }
        let column = packet(2, b"\x03def\x01s\x01t\x01t\x01a\x01a\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0");
        let rows = (0..mark).flat_map(|row| packet(4 + row, b"\x0242"));
        let eof = b"\xfe\0\0\x02\0";
        [packet(1, b"\x01"), column, packet(3, eof), rows.collect(), packet(4 + mark, eof)].concat()
    },
    marks: |exchange| {
        let Details::MySql(details) = &exchange.details else { panic!("{exchange:?}") };
        // Of an incomplete one not all rows were seen.
        let is_whole = exchange.completeness == Completeness::Complete;
        let rows = details.affected_rows.or(Some(details.returned_rows)).filter(|_| is_whole);
        (number(&exchange.target), rows.map(|rows| usize::try_from(rows).unwrap()))
    },
};

/// Bytes that pass together.
#[derive(Clone, Debug)]
struct Chunk {
    from: Direction,
    offset: u64,
    bytes: Vec<u8>,
    at: u64,
}

/// A conversation: requests in groups that are sent at once and answered before the next one is sent.
struct Conversation {
    chunks: Vec<Chunk>,
    /// The chunks of each group.
    groups: Vec<Range<usize>>,
    /// The group of each request, and its offset.
    of: Vec<(usize, u64)>,
}

fn conversation(speech: &Speech, groups: &[(usize, usize, usize)]) -> Conversation {
    let mut said = Conversation { chunks: Vec::new(), groups: Vec::new(), of: Vec::new() };
    let mut offsets = [0_u64; 2];
    let mut n = 1;
    let mut say = |said: &mut Conversation, from: Direction, bytes: &[u8], cut: usize| {
        for part in bytes.chunks(cut) {
            let offset = &mut offsets[usize::from(from == Direction::Received)];
            let at = 1000 * (said.chunks.len() as u64 + 1);
            said.chunks.push(Chunk { from, offset: *offset, bytes: part.to_vec(), at });
            *offset += part.len() as u64;
        }
        offsets[0]
    };
    for (from, bytes) in (speech.open)() {
        say(&mut said, from, &bytes, 1000);
    }
    for (index, &(size, ask, answer)) in groups.iter().enumerate() {
        let start = said.chunks.len();
        let mut bytes = Vec::new();
        let before = say(&mut said, Direction::Sent, &[], 1);
        for number in n..n + size {
            said.of.push((index, before + bytes.len() as u64));
            bytes.extend((speech.request)(number));
        }
        say(&mut said, Direction::Sent, &bytes, ask);
        let bytes: Vec<u8> = (n..n + size).flat_map(speech.response).collect();
        say(&mut said, Direction::Received, &bytes, answer);
        n += size;
        said.groups.push(start..said.chunks.len());
    }
    said
}

/// Of each exchange the request, the response, and whether it is complete.
type Told = Vec<(Option<usize>, Option<usize>, bool)>;

/// Plays what is left from the start.
fn play(speech: &Speech, said: &Conversation, lost: &[bool]) -> Told {
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    connection.expect(Direction::Sent, 0);
    connection.expect(Direction::Received, 0);
    play_on(connection, speech, said, lost, 0)
}

/// Joins the connection at a chunk, and plays what is left from there.
fn play_joined(speech: &Speech, said: &Conversation, lost: &[bool], from: usize) -> Told {
    let config = Config::new().with_role(Some(Role::Client)).with_hint(Some(speech.protocol));
    let mut connection = Connection::new(config, &Shared::default());
    connection.join();
    play_on(connection, speech, said, lost, from)
}

fn play_on(mut connection: Connection, speech: &Speech, said: &Conversation, lost: &[bool], from: usize) -> Told {
    for (chunk, lost) in said.chunks.iter().zip(lost).skip(from) {
        let at = Timestamp::from_nanos(chunk.at);
        if *lost {
            connection.handle_gap(chunk.from, chunk.offset, chunk.bytes.len() as u64, at);
        } else {
            connection.handle_data(chunk.from, chunk.offset, &chunk.bytes, at, Tag::default());
        }
    }
    connection.handle_close(Timestamp::from_nanos(1000 * (said.chunks.len() as u64 + 1)));
    let mut told = Vec::new();
    while connection.poll_opened().is_some() {}
    while let Some(exchange) = connection.poll_exchange() {
        let (mut asked, answered) = (speech.marks)(&exchange);
        if matches!(exchange.details, Details::Redis(_)) {
            let place = |&(_, offset): &(usize, u64)| offset == exchange.request.offset;
            asked = said.of.iter().position(place).map(|index| index + 1);
        }
        told.push((asked, answered, exchange.completeness == Completeness::Complete));
    }
    told
}

/// No request is told with the response to another.
fn are_right(told: &Told, lost: &[bool]) -> Result<(), TestCaseError> {
    for (asked, answered, _) in told {
        let right = answered.is_none() || asked.is_none() || asked == answered;
        prop_assert!(right, "{asked:?} is told with the answer to {answered:?}: {told:?}\nlost {lost:?}");
    }
    Ok(())
}

/// A connection that is joined at some chunk, and loses nothing from there.
fn check_joined(speech: &Speech, groups: &[(usize, usize, usize)], from: usize) -> Result<(), TestCaseError> {
    let said = conversation(speech, groups);
    let from = from % said.chunks.len();
    let told = play_joined(speech, &said, &vec![false; said.chunks.len()], from);
    are_right(&told, &[])?;
    // Others take longer to be sure.
    if !matches!(speech.protocol, Protocol::Http | Protocol::MySql) || groups.iter().any(|&(size, ..)| size > 1) {
        return Ok(());
    }
    // Of a client that takes turns only what was under way is not known.
    for (index, chunks) in said.groups.iter().enumerate().filter(|(_, chunks)| chunks.start >= from).skip(1) {
        let wanted = (Some(index + 1), Some(index + 1), true);
        prop_assert!(told.contains(&wanted), "{wanted:?} of {chunks:?} is missing: {told:?}\njoined at {from}");
    }
    Ok(())
}

fn check(speech: &Speech, groups: &[(usize, usize, usize)], losses: &[(usize, usize)]) -> Result<(), TestCaseError> {
    let said = conversation(speech, groups);
    let whole = play(speech, &said, &vec![false; said.chunks.len()]);
    let expected: Vec<_> = (1..=said.of.len()).map(|n| (Some(n), Some(n), true)).collect();
    prop_assert_eq!(&whole, &expected);
    let mut lost = vec![false; said.chunks.len()];
    for &(first, count) in losses {
        let first = first % lost.len();
        lost.iter_mut().skip(first).take(count).for_each(|lost| *lost = true);
    }
    if losses.len() > 1 && groups.iter().any(|&(size, ..)| size > 1) {
        // A pipeline torn in several places can look like one that is whole: here only that nothing panics.
        play(speech, &said, &lost);
        return Ok(());
    }
    let told = play(speech, &said, &lost);
    are_right(&told, &lost)?;
    if !speech.bursts && groups.iter().any(|&(size, ..)| size > 1) {
        return Ok(());
    }
    // After one loss, what lies between two groups that are whole is touched by nothing.
    let clean = |group: usize| said.groups.get(group).is_none_or(|chunks| !lost[chunks.clone()].contains(&true));
    if losses.len() != 1 || lost[..said.groups[0].end].contains(&true) {
        return Ok(());
    }
    for (index, &(group, _)) in said.of.iter().enumerate() {
        if clean(group) && clean(group + 1) && (group == 0 || clean(group - 1)) {
            let wanted = (Some(index + 1), Some(index + 1), true);
            prop_assert!(told.contains(&wanted), "{wanted:?} is missing: {told:?}\nlost {lost:?}");
        }
    }
    Ok(())
}

fn groups() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    let turns = prop::collection::vec((Just(1), 5_usize..400, 5_usize..400), 1..8);
    let mixed = prop::collection::vec((1_usize..5, 5_usize..400, 5_usize..400), 1..8);
    prop_oneof![turns, mixed]
}

fn losses() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((any::<usize>(), 1_usize..6), 0..5)
}

/// The number in the environment, if there is one.
fn setting<T: FromStr<Err: Debug>>(name: &str, otherwise: T) -> T {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect(name))
}

proptest! {
    // Always the same ones, so that a run can be repeated; to look further set both.
    #![proptest_config(ProptestConfig {
        cases: setting("PROPTEST_CASES", 2_000),
        rng_seed: RngSeed::Fixed(setting("PROPTEST_RNG_SEED", 7)),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn http(groups in groups(), losses in losses()) {
        check(&HTTP, &groups, &losses)?;
    }

    #[test]
    fn postgres(groups in groups(), losses in losses()) {
        check(&POSTGRES, &groups, &losses)?;
    }

    #[test]
    fn redis(groups in groups(), losses in losses()) {
        check(&REDIS, &groups, &losses)?;
    }

    #[test]
    fn mysql(groups in groups(), losses in losses()) {
        check(&MYSQL, &groups, &losses)?;
    }

    #[test]
    fn joined(groups in groups(), from in any::<usize>()) {
        for speech in [&HTTP, &REDIS, &MYSQL] {
            check_joined(speech, &groups, from)?;
        }
        let turns: Vec<_> = groups.into_iter().map(|(_, ask, answer)| (1, ask, answer)).collect();
        check_joined(&POSTGRES, &turns, from)?;
    }
}

/// What was told wrongly once: beginnings lost up to where a request, or the last message of one, begins.
#[test]
fn lost_beginnings() {
    check(&REDIS, &[(2, 21, 110)], &[(0, 1)]).unwrap();
    check(&REDIS, &[(2, 42, 32), (3, 42, 336), (1, 21, 57), (1, 21, 115)], &[(0, 1)]).unwrap();
    check(&REDIS, &[(1, 21, 109), (2, 42, 111), (3, 42, 170)], &[(0, 3)]).unwrap();
    check(&POSTGRES, &[(1, 51, 30), (1, 25, 20), (1, 56, 30)], &[(0, 3), (4, 1)]).unwrap();
    // The end of a lost batch is older than what waits; and an answer is lost before one was read.
    check(&POSTGRES, &[(2, 81, 14), (3, 81, 80)], &[(0, 4)]).unwrap();
    check(&POSTGRES, &[(1, 56, 27), (1, 25, 20), (1, 56, 30), (1, 25, 20)], &[(0, 4), (6, 1)]).unwrap();
}
