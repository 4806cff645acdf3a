#![expect(clippy::arithmetic_side_effects, reason = "numbers of tests are small")]

use alloc::{string::String, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    Completeness, Connection, Details, Detection, Direction, Exchange, Protocol, Role, Shared, Stage, Tag, Timestamp,
    detect,
};

/// A packet, or several where it is too long for one; and the number of the next one.
fn packets(mut sequence: u8, body: &[u8]) -> (Vec<u8>, u8) {
    let mut out = Vec::new();
    let mut rest = body;
    loop {
        let (part, left) = rest.split_at(rest.len().min(packet::MAX_PAYLOAD));
        out.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes()[..3]);
        out.push(sequence);
        out.extend_from_slice(part);
        sequence = sequence.wrapping_add(1);
        if part.len() < packet::MAX_PAYLOAD {
            return (out, sequence);
        }
        rest = left;
    }
}

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    packets(sequence, body).0
}

fn query(sql: &str) -> Vec<u8> {
    packet(0, &[b"\x03", sql.as_bytes()].concat())
}

fn ok(sequence: u8, affected: u8, status: u8) -> Vec<u8> {
    packet(sequence, &[0, affected, 0, status, 0, 0, 0])
}

fn error(sequence: u8, code: u16) -> Vec<u8> {
    packet(sequence, &[b"\xff", &code.to_le_bytes()[..], b"#42000canary"].concat())
}

/// A result with rows of one column.
fn result(rows: &[Vec<u8>], with_eof: bool) -> Vec<u8> {
    let column = b"\x03def\x04shop\x01t\x01t\x01a\x01a\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";
    let eof = b"\xfe\0\0\x02\0";
    let mut out = [packet(1, b"\x01"), packet(2, column)].concat();
    let mut next = 3;
    let mut add = |body: &[u8]| {
        let (bytes, after) = packets(next, body);
        out.extend(bytes);
        next = after;
    };
    if with_eof {
        add(eof);
    }
    for row in rows {
        add(row);
    }
    add(if with_eof { eof } else { b"\xfe\0\0\x02\0\0\0" });
    out
}

/// A row of one text.
fn row(value: &[u8]) -> Vec<u8> {
    let length = match value.len() {
        short @ 0..=250 => alloc::vec![u8::try_from(short).unwrap()],
        long @ 251..=0xffff => [&[0xfc], &u16::try_from(long).unwrap().to_le_bytes()[..]].concat(),
        huge => [&[0xfd], &u32::try_from(huge).unwrap().to_le_bytes()[..3]].concat(),
    };
    [&length, value].concat()
}

/// What MySQL 5.1 and MariaDB say instead of a greeting: without an SQLSTATE, nothing is agreed on yet.
fn refusal(code: u16, text: &str) -> Vec<u8> {
    packet(0, &[&b"\xff"[..], &code.to_le_bytes(), text.as_bytes()].concat())
}

#[test]
fn a_server_that_refuses_instead_of_greeting_is_told() {
    for (code, text) in
        [(1040, "Too many connections"), (1130, "Host '192.168.1.3' is not allowed to connect to this MySQL server")]
    {
        let bytes = refusal(code, text);
        for cut in 1..=bytes.len() {
            let mut connection = Connection::new(Config::new().with_error_text(true), &Shared::default());
            for (from, part) in [(0, &bytes[..cut]), (cut as u64, &bytes[cut..])] {
                connection.handle_data(Direction::Received, from, part, Timestamp::from_nanos(7 + from), Tag::new(1));
            }
            connection.handle_close(Timestamp::from_nanos(900));
            assert!(connection.poll_opened().is_some_and(|opened| opened.stage == Stage::Certain), "{cut}");
            let exchange = connection.poll_exchange().expect("an exchange");
            let Details::MySql(details) = &exchange.details else { panic!("{exchange:?}") };
            assert_eq!(
                (details.request, details.error_code, details.error_message.as_deref()),
                (Request::Connect, Some(code), Some(text))
            );
            assert_eq!(
                (exchange.request.size, exchange.response.map(|response| response.size)),
                (0, Some(bytes.len() as u64))
            );
            assert_eq!(exchange.completeness, Completeness::Complete);
        }
    }
}

/// How a session is ended from outside: the same bytes, behind something that was not seen.
#[test]
fn a_session_that_is_ended_from_outside_is_no_refusal() {
    let ended = refusal(4031, "The client was disconnected by the server because of inactivity.");
    let mut connection = Connection::new(Config::new(), &Shared::default());
    connection.join();
    connection.handle_data(Direction::Received, 0, &ended, Timestamp::from_nanos(7), Tag::new(1));
    connection.handle_close(Timestamp::from_nanos(900));
    assert!(connection.poll_exchange().is_none());
    for other in [
        &b"\x10\0\0\0\xff\x10\x04\x01binary\x02 bytes"[..],
        b"\x08\0\0\0\xff\x05\0small",
        b"\x08\0\0\x01\xff\x10\x04other",
    ] {
        let found = detect(b"", other, Some(Role::Client), None);
        assert!(!matches!(found, Detection::Match { .. }), "{} is {found:?}", other.escape_ascii());
    }
}

/// What a backslash is, answers say: nothing is told behind one before they do, nor after they were lost.
#[test]
fn what_backslashes_are_is_not_guessed() {
    let mut connection = Connection::new(Config::new(), &Shared::default());
    let (client, server) = (query("UPDATE t SET a = 'it\\'s', b = 'x'"), ok(1, 1, 2));
    let (mut sent, mut received) = (0, 0);
    for (is_lost, text) in [
        (false, "UPDATE t SET a = ?"),
        (false, "UPDATE t SET a = ?, b = ?"),
        (true, "UPDATE t SET a = ?, b = ?"),
        (false, "UPDATE t SET a = ?"),
        (false, "UPDATE t SET a = ?, b = ?"),
    ] {
        let now = Timestamp::from_nanos(sent);
        connection.handle_data(Direction::Sent, sent, &client, now, Tag::new(0));
        if is_lost {
            connection.handle_gap(Direction::Received, received, server.len() as u64, now);
        } else {
            connection.handle_data(Direction::Received, received, &server, now, Tag::new(0));
        }
        // The first answer behind a loss waits for silence.
        connection.handle_timeout(Timestamp::from_nanos(sent + 10_000_000_000));
        (sent, received) = (sent + client.len() as u64, received + server.len() as u64);
        let statements = |connection: &mut Connection| {
            let exchange = connection.poll_exchange()?;
            let Details::MySql(details) = &exchange.details else { panic!("{exchange:?}") };
            Some(String::from(&*details.statement))
        };
        let told: Vec<_> = core::iter::from_fn(|| statements(&mut connection)).collect();
        assert_eq!(told.last().map_or("UPDATE t SET a = ?, b = ?", |told| told), text, "{sent}");
    }
}

/// One command with its answer, and what it must be told as.
#[derive(Clone, Debug)]
struct Turn {
    client: Vec<u8>,
    server: Vec<u8>,
    expected: Vec<Told>,
}

/// What is compared: all but the times.
type Told = (String, String, Option<String>, u64, Completeness);

fn one(operation: &str, target: String, error: Option<&str>, rows: u64) -> Vec<Told> {
    alloc::vec![(operation.into(), target, error.map(String::from), rows, Completeness::Complete)]
}

fn turn() -> impl Strategy<Value = Turn> {
    let table = "[a-z]{1,8}_t";
    let rows =
        (table, prop::collection::vec(0_usize..300, 0..20), any::<bool>()).prop_map(|(table, widths, with_eof)| {
            let rows: Vec<_> = widths.iter().map(|&width| row(&alloc::vec![b'Z'; width])).collect();
            Turn {
                client: query(&alloc::format!("SELECT * FROM {table} WHERE a = 'canary'")),
                server: result(&rows, with_eof),
                expected: one("SELECT", table, None, rows.len() as u64),
            }
        });
    let fails = table.prop_map(|table| Turn {
        client: query(&alloc::format!("DELETE FROM {table}")),
        server: error(1, 1146),
        expected: one("DELETE", table, Some("1146"), 0),
    });
    let changes = (table, 0_u8..200).prop_map(|(table, affected)| Turn {
        client: [packet(0, b"\x19\x07\0\0\0"), query(&alloc::format!("UPDATE {table} SET a = 1"))].concat(),
        server: ok(1, affected, 2),
        expected: one("UPDATE", table, None, 0),
    });
    let several = (table, 1_u64..4).prop_map(|(table, count)| {
        let sql = alloc::format!("CALL {table}()");
        let mut server = Vec::new();
        for _ in 0..count {
            let next = u8::try_from(server.iter().filter(|&&byte: &&u8| byte == 0xfe).count() * 5 + 1).unwrap();
            let column = b"\x03def\x04shop\x01t\x01t\x01a\x01a\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";
            server.extend([packet(next, b"\x01"), packet(next + 1, column)].concat());
            server.extend([packet(next + 2, b"\x01x"), packet(next + 3, b"\x01y")].concat());
            server.extend(packet(next + 4, b"\xfe\0\0\x0a\0\0\0"));
        }
        let next = u8::try_from(count * 5 + 1).unwrap();
        server.extend(ok(next, 0, 2));
        Turn { client: query(&sql), server, expected: one("CALL", table, None, 2 * count) }
    });
    prop_oneof![rows, fails, changes, several]
}

fn told(exchange: &Exchange<'_>) -> Told {
    let Details::MySql(details) = &exchange.details else { panic!("{exchange:?}") };
    let error = exchange.error.as_deref().map(String::from);
    assert!(!alloc::format!("{details:?}").contains("canary"));
    (
        exchange.operation.clone().into(),
        exchange.target.clone().into(),
        error,
        details.returned_rows,
        exchange.completeness,
    )
}

struct Driver {
    connection: Connection,
    at: u64,
    sent: u64,
    received: u64,
    told: Vec<Told>,
    stages: Vec<(u64, Stage)>,
}

impl Driver {
    fn new(role: Option<Role>) -> Self {
        let connection = Connection::new(Config::new().with_role(role), &Shared::default());
        Self { connection, at: 0, sent: 0, received: 0, told: Vec::new(), stages: Vec::new() }
    }

    fn push(&mut self, direction: Direction, bytes: &[u8], lost: bool) {
        self.at += 10;
        let at = Timestamp::from_nanos(self.at);
        let offset = if direction == Direction::Sent { &mut self.sent } else { &mut self.received };
        let start = *offset;
        *offset += bytes.len() as u64;
        if lost {
            self.connection.handle_gap(direction, start, bytes.len() as u64, at);
        } else {
            self.connection.handle_data(direction, start, bytes, at, Tag::default());
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(opened) = self.connection.poll_opened() {
            self.stages.push((opened.id, opened.stage));
        }
        while let Some(exchange) = self.connection.poll_exchange() {
            self.told.push(told(&exchange));
        }
    }

    fn finish(mut self) -> Vec<Told> {
        self.connection.handle_close(Timestamp::from_nanos(self.at + 10));
        self.drain();
        let count = |wanted: &[Stage]| self.stages.iter().filter(|(_, stage)| wanted.contains(stage)).count();
        let (begun, withdrawn) = (count(&[Stage::Certain, Stage::Tentative]), count(&[Stage::Withdrawn]));
        assert_eq!(begun - withdrawn, self.told.len(), "what was announced comes or is withdrawn");
        self.told
    }
}

fn expected(turns: &[Turn]) -> Vec<Told> {
    turns.iter().flat_map(|turn| turn.expected.iter().cloned()).collect()
}

proptest! {
    #[test]
    fn any_split_equals_whole(turns in prop::collection::vec(turn(), 1..6), cuts in prop::collection::vec(1_usize..70, 1..9)) {
        let mut driver = Driver::new(Some(Role::Client));
        let mut sizes = cuts.iter().cycle();
        for turn in &turns {
            for (direction, mut bytes) in [(Direction::Sent, &turn.client[..]), (Direction::Received, &turn.server[..])] {
                while !bytes.is_empty() {
                    let (part, rest) = bytes.split_at((*sizes.next().unwrap()).min(bytes.len()));
                    driver.push(direction, part, false);
                    bytes = rest;
                }
            }
        }
        prop_assert_eq!(driver.finish(), expected(&turns));
    }

    #[test]
    fn pipelined_turns_are_paired_in_order(turns in prop::collection::vec(turn(), 1..6)) {
        let mut driver = Driver::new(Some(Role::Client));
        for turn in &turns {
            driver.push(Direction::Sent, &turn.client, false);
        }
        for turn in &turns {
            driver.push(Direction::Received, &turn.server, false);
        }
        prop_assert_eq!(driver.finish(), expected(&turns));
    }

    #[test]
    fn a_gap_touches_its_own_turn_only(
        turns in prop::collection::vec(turn(), 2..6), which in 0_usize..6, answer: bool, from in 0_usize..400, length in 1_usize..400,
    ) {
        let which = 1 + which % (turns.len() - 1);
        let mut driver = Driver::new(Some(Role::Client));
        for (number, turn) in turns.iter().enumerate() {
            for (direction, bytes) in [(Direction::Sent, &turn.client[..]), (Direction::Received, &turn.server[..])] {
                if number != which || answer != (direction == Direction::Received) {
                    driver.push(direction, bytes, false);
                    continue;
                }
                let from = from % bytes.len();
                let to = (from + length).min(bytes.len());
                driver.push(direction, &bytes[..from], false);
                driver.push(direction, &bytes[from..to], true);
                driver.push(direction, &bytes[to..], false);
            }
        }
        let told = driver.finish();
        let before = expected(&turns[..which]);
        let after = expected(&turns[which + 1..]);
        prop_assert!(told.starts_with(&before), "{:?}\nbefore {:?}", told, before);
        prop_assert!(told.ends_with(&after), "{:?}\nafter {:?}", told, after);
    }

    #[test]
    fn any_bytes_do(
        chunks in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80), any::<bool>()), 0..20),
        first in turn(),
    ) {
        let mut driver = Driver::new(Some(Role::Client));
        driver.push(Direction::Sent, &first.client, false);
        for (sent, bytes, lost) in &chunks {
            driver.push(if *sent { Direction::Sent } else { Direction::Received }, bytes, *lost);
        }
        driver.finish();
    }

    #[test]
    fn single_packets_take_any_bytes(body in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = packet::Ok::parse(&body);
        let _ = packet::Error::parse(&body);
        let _ = handshake::Greeting::parse(&body);
        let _ = handshake::Response::parse(&body, body.len());
        let _ = matches(&body, &body);
        let _ = matches(&body, b"");
    }
}

#[test]
fn other_protocols_are_not_taken_for_mysql() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"+OK\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // PostgreSQL, Kafka, MongoDB, MQTT, AMQP, TDS.
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"Q\0\0\0\x0dSELECT 1\0",
        b"\0\0\0\x1a\0\x03\0\0\0\0\0\x01\0\x06client\0\0\0\0",
        b"\x3a\0\0\0\x03\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0admin.$cmd\0\0\0\0\0\xff\xff\xff\xff",
        b"\x25\0\0\0\x17\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x10\0\0\0",
        b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0",
        b"AMQP\0\0\x09\x01",
        b"\x12\x01\0\x2f\0\0\x01\0\0\0\x1a\0\x06",
    ] {
        assert_eq!(matches(bytes, b""), Verdict::No, "{:?}", String::from_utf8_lossy(bytes));
        assert_eq!(matches(b"", bytes), Verdict::No, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_joined_connection_is_told_from_either_side() {
    let client = [&b"\x0a\0\0\0\x17\x07\0\0\0\0\x01\0\0\0"[..]].concat();
    let server = ok(1, 3, 2);
    for (sent, received, requests) in [(&client, &server, Direction::Sent), (&server, &client, Direction::Received)] {
        let found = detect(sent, received, None, None);
        assert_eq!(found, Detection::Match { protocol: Protocol::MySql, requests, heuristic: false });
    }
}

/// Small numbers in the middle of other messages are a command, and then none.
#[test]
fn what_breaks_off_is_no_command() {
    for other in [
        &b"\x01\0\0\0\x01\x01\0\0\0\x03abc"[..],
        b"\x15\0\0\0\x15B\0\0\0\x1e\0\0\0\x02\0\x01\0\x01\0\x02\0\0\0\x02\0\x01\0\0\0\x02\0c\0\x01\0\0D",
        b"\x02\0\0\0\x02a\x01\0\0\0\x0e\0c\0\x01",
    ] {
        assert_eq!(matches(other, b""), Verdict::No, "{}", other.escape_ascii());
    }
    assert_eq!(matches(b"\x01\0\0\0\x0e\x01\0\0\0\x0e\x01\0\0\0\x01", b""), Verdict::Yes);
    // A name that is not all there, and an answer that is one of PostgreSQL's rows.
    let row = b"\0\x0c\0\x01\0\0\0\x02n2C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
    assert_eq!(matches(b"Q\0\0\0\x05\0", row), Verdict::No);
}

/// Pushes in pieces as they come from sockets.
fn push_in_pieces(driver: &mut Driver, direction: Direction, bytes: &[u8]) {
    for part in bytes.chunks(60_000) {
        driver.push(direction, part, false);
    }
}

#[test]
fn packets_of_sixteen_mebibytes_and_more() {
    let value = alloc::vec![b'x'; 17_000_000];
    for extra in [0, 1, 5_000_000] {
        // The command and the row, to the byte where one packet is full, and beyond.
        let head = "INSERT INTO t VALUES ('";
        let length = packet::MAX_PAYLOAD - 1 + extra - head.len() - 2;
        let sql = [head.as_bytes(), &alloc::vec![b'y'; length], b"')"].concat();
        let (client, next) = packets(0, &[b"\x03", &sql[..]].concat());
        let mut driver = Driver::new(Some(Role::Client));
        push_in_pieces(&mut driver, Direction::Sent, &client);
        push_in_pieces(&mut driver, Direction::Received, &ok(next, 1, 2));
        push_in_pieces(&mut driver, Direction::Sent, &query("SELECT a FROM t"));
        push_in_pieces(&mut driver, Direction::Received, &result(&[row(&value), row(b"z")], true));
        let memory = driver.connection.memory();
        assert!(memory < 200_000, "{memory} bytes are held");
        let insert = ("INSERT".into(), "t".into(), None, 0, Completeness::Complete);
        let select = ("SELECT".into(), "t".into(), None, 2, Completeness::Complete);
        assert_eq!(driver.finish(), [insert, select]);
    }
}

#[test]
fn long_rows_need_not_be_captured() {
    let mut driver = Driver::new(Some(Role::Client));
    driver.push(Direction::Sent, &query("SELECT a FROM t"), false);
    let answer = result(&[row(&alloc::vec![b'x'; 1_000_000])], true);
    let (front, rest) = answer.split_at(1000);
    let (middle, back) = rest.split_at(900_000);
    driver.push(Direction::Received, front, false);
    assert!(matches!(driver.connection.interest(Direction::Received), crate::Interest::Until(end) if end > 1_000_000));
    driver.push(Direction::Received, middle, true);
    driver.push(Direction::Received, back, false);
    assert_eq!(driver.finish(), one("SELECT", "t".into(), None, 1));
}

#[test]
fn statements_are_bounded_and_the_used_ones_stay() {
    let mut driver = Driver::new(Some(Role::Client));
    let execute = |id: u32| packet(0, &[b"\x17", &id.to_le_bytes()[..], b"\0\x01\0\0\0"].concat());
    for id in 0_u32..5000 {
        let sql = alloc::format!("\x16UPDATE t_{id} SET a = 'a text of some length', b = ? WHERE c = ?");
        driver.push(Direction::Sent, &packet(0, sql.as_bytes()), false);
        let head = [b"\0", &id.to_le_bytes()[..], b"\0\0\0\0\0\0\0"].concat();
        driver.push(Direction::Received, &packet(1, &head), false);
        for known in [0, id] {
            driver.push(Direction::Sent, &execute(known), false);
            driver.push(Direction::Received, &ok(1, 1, 2), false);
            let (operation, target, ..) = driver.told.last().unwrap();
            assert_eq!((&**operation, &**target), ("UPDATE", &*alloc::format!("t_{known}")));
        }
    }
    driver.push(Direction::Sent, &execute(1), false);
    driver.push(Direction::Received, &ok(1, 1, 2), false);
    let (operation, target, ..) = driver.told.last().unwrap();
    assert_eq!((&**operation, &**target), ("EXECUTE", ""), "it was given up");
    let memory = driver.connection.memory();
    assert!(memory < 300_000, "{memory} bytes are held");
}

#[test]
fn databases_are_read_from_statements() {
    for (sql, name) in [
        (&b"USE shop"[..], Some(&b"shop"[..])),
        (b"use `my shop` ; ", Some(b"my shop")),
        (b" Use\n`a`", Some(b"a")),
        (b"USE`a`", Some(b"a")),
        (b"USE a; DROP TABLE b", None),
        (b"USER", None),
        (b"USE", None),
        (b"USE ", None),
        (b"USE `a", None),
        (b"USE a -- b", None),
        (b"USE /* b */ a", None),
        (b"USE a # b", None),
    ] {
        assert_eq!(shape::used_database(sql), name, "{:?}", String::from_utf8_lossy(sql));
    }
}

#[test]
fn a_database_that_is_not_known_is_told_as_none() {
    let log_in = |driver: &mut Driver| {
        let body = b"\x09\x82\x08\0\0\0\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0bob\0\0shop\0";
        driver.push(Direction::Sent, &packet(1, body), false);
        driver.push(Direction::Received, &ok(2, 0, 2), false);
    };
    let done = |statements: u8| (1..=statements).flat_map(move |at| ok(at, 0, if at < statements { 0x0a } else { 2 }));
    for (sql, answer, database) in [
        ("SELECT 1", done(1).collect::<Vec<_>>(), "shop"),
        ("USE b", done(1).collect(), "b"),
        ("USE b", error(1, 1049), "shop"),
        ("-- of the application\nuse b /* why */;", done(1).collect(), "b"),
        ("USE b; SELECT 1", done(2).collect(), "b"),
        ("SELECT 1; USE a; use `b` # c", done(3).collect(), "b"),
        ("USE `a``b`", done(1).collect(), ""),
        ("USE b; SELECT 1", [ok(1, 0, 0x0a), error(2, 1146)].concat(), ""),
        ("SELECT 1; SELECT 'USE b'; SELECT 2", [ok(1, 0, 0x0a), error(2, 1146)].concat(), "shop"),
        ("SELECT * FROM t USE INDEX (i); SELECT 1", done(2).collect(), "shop"),
    ] {
        let mut driver = Driver::new(Some(Role::Client));
        log_in(&mut driver);
        driver.push(Direction::Sent, &query(sql), false);
        driver.push(Direction::Received, &answer, false);
        driver.push(Direction::Sent, &query("DELETE FROM t"), false);
        driver.connection.handle_data(
            Direction::Received,
            driver.received,
            &ok(1, 0, 2),
            Timestamp::from_nanos(driver.at + 10),
            Tag::default(),
        );
        let exchange = driver.connection.poll_exchange().unwrap();
        let Details::MySql(details) = &exchange.details else { panic!("{exchange:?}") };
        assert_eq!((&*exchange.operation, &*details.database), ("DELETE", database), "{sql}");
    }
}

#[test]
fn each_of_several_statements_may_ask_for_a_file() {
    let mut driver = Driver::new(Some(Role::Client));
    let sql = "DELETE FROM t; LOAD DATA LOCAL INFILE 'a' INTO TABLE t; LOAD DATA LOCAL INFILE 'b' INTO TABLE t";
    driver.push(Direction::Sent, &query(sql), false);
    driver.push(Direction::Received, &[ok(1, 1, 0x0a), packet(2, b"\xfba")].concat(), false);
    driver.push(Direction::Sent, &[packet(3, b"1,2\n"), packet(4, b"")].concat(), false);
    driver.push(Direction::Received, &[ok(5, 1, 0x0a), packet(6, b"\xfbb")].concat(), false);
    driver.push(Direction::Sent, &[packet(7, b"1,2\n3,4\n"), packet(8, b"")].concat(), false);
    driver.connection.handle_data(
        Direction::Received,
        driver.received,
        &ok(9, 2, 2),
        Timestamp::from_nanos(driver.at + 10),
        Tag::default(),
    );
    let exchange = driver.connection.poll_exchange().unwrap();
    let Details::MySql(details) = &exchange.details else { panic!("{exchange:?}") };
    assert_eq!((details.results, details.loaded, details.affected_rows), (3, 12, Some(4)));
    assert_eq!(exchange.completeness, Completeness::Complete);
    assert_eq!(driver.connection.framing_errors(), 0);
}

/// A client that sends the next command before the one before is answered, on a connection that was there before:
/// nobody knows what is answered first, however the bytes come. After a second of silence that is known.
#[test]
fn pipelines_of_a_joined_connection_wait_for_silence() {
    let updates =
        |from: u8| (from..from + 3).map(|n| query(&alloc::format!("UPDATE t{n} SET a = 1"))).collect::<Vec<_>>();
    let commands = updates(1);
    let whole = commands.concat();
    let seam = commands[0].len();
    let answers: Vec<u8> = (1..4).flat_map(|n| ok(1, n, 2)).collect();
    for cuts in [&[][..], &[5], &[seam - 1], &[seam + 1], &[2 * seam], &[7, 2 * seam - 3, 2 * seam]] {
        let mut driver = Driver::new(Some(Role::Client));
        driver.connection.join();
        let mut from = 0;
        for &to in cuts.iter().chain([&whole.len()]) {
            driver.push(Direction::Sent, &whole[from..to], false);
            from = to;
        }
        driver.push(Direction::Received, &answers, false);
        let wanted: Vec<_> =
            (1..4).map(|n| ("UPDATE".into(), alloc::format!("t{n}"), None, 0, Completeness::Gap)).collect();
        assert_eq!(core::mem::take(&mut driver.told), wanted, "{cuts:?}");
        driver.at += 2_000_000_000;
        driver.connection.handle_timeout(Timestamp::from_nanos(driver.at));
        for commands in [&updates(4)[..2], &updates(6)[..1]] {
            driver.push(Direction::Sent, &commands.concat(), false);
        }
        driver.push(Direction::Received, &answers, false);
        let wanted: Vec<_> = (4..7).flat_map(|n| one("UPDATE", alloc::format!("t{n}"), None, 0)).collect();
        driver.drain();
        assert_eq!(driver.told, wanted, "{cuts:?}");
    }
}

/// More answers than commands that were seen: those that were not seen were answered first.
#[test]
fn an_answer_too_many_tells_that_the_first_was_anothers() {
    for surplus in [false, true] {
        let mut driver = Driver::new(Some(Role::Client));
        driver.connection.join();
        driver.push(Direction::Sent, &query("UPDATE t1 SET a = 1"), false);
        driver.push(Direction::Received, &ok(1, 1, 2), false);
        assert_eq!(driver.told, [], "held back");
        if surplus {
            driver.push(Direction::Received, &ok(1, 1, 2), false);
        }
        driver.push(Direction::Sent, &query("UPDATE t2 SET a = 1"), false);
        let mut first = one("UPDATE", "t1".into(), None, 0);
        if surplus {
            first[0].4 = Completeness::Gap;
        }
        assert_eq!(driver.told, first);
    }
}
