#![expect(clippy::arithmetic_side_effects, reason = "numbers of tests are small")]

use alloc::{string::String, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    Completeness, Connection, Details, Detection, Direction, Exchange, Protocol, Role, Shared, Stage, Tag, Timestamp,
    detect,
};

/// A message of either side.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = alloc::vec![tag];
    out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0bob\0\0";
    [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat())
}

fn bind(portal: &str, name: &str, value: &[u8]) -> Vec<u8> {
    let length = i32::try_from(value.len()).unwrap().to_be_bytes();
    message(b'B', &[portal.as_bytes(), b"\0", name.as_bytes(), b"\0\0\0\0\x01", &length, value, b"\0\0"].concat())
}

fn execute(portal: &str) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0\0\0\0\0"].concat())
}

fn row(value: &[u8]) -> Vec<u8> {
    let length = i32::try_from(value.len()).unwrap().to_be_bytes();
    message(b'D', &[b"\0\x01", &length[..], value].concat())
}

/// A RowDescription of one column.
fn columns() -> Vec<u8> {
    message(b'T', b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0")
}

fn complete(tag: &str) -> Vec<u8> {
    message(b'C', &[tag.as_bytes(), b"\0"].concat())
}

fn error(sqlstate: &str) -> Vec<u8> {
    message(b'E', &[b"SERROR\0VERROR\0C", sqlstate.as_bytes(), b"\0Mcanary\0\0"].concat())
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// What a backslash is, a setting says: nothing is told behind one before it does.
#[test]
fn what_backslashes_are_is_not_guessed() {
    let setting = |value: &str| message(b'S', &[b"standard_conforming_strings\0", value.as_bytes(), b"\0"].concat());
    for (setting, text) in [
        (Vec::new(), "UPDATE t SET a = ?"),
        (setting("on"), "UPDATE t SET a = ?, b = ?"),
        (setting("off"), "UPDATE t SET a = ?y?"),
    ] {
        let mut connection = Connection::new(Config::new(), &Shared::default());
        let client = [startup(), query("UPDATE t SET a = 'C:\\', b = 'y'")].concat();
        let server = [message(b'R', b"\0\0\0\0"), setting, ready(), complete("UPDATE 1"), ready()].concat();
        let (start, first) = (startup().len(), server.len() - complete("UPDATE 1").len() - ready().len());
        let now = Timestamp::from_nanos(1);
        connection.handle_data(Direction::Sent, 0, &client[..start], now, Tag::new(0));
        connection.handle_data(Direction::Received, 0, &server[..first], now, Tag::new(0));
        connection.handle_data(Direction::Sent, start as u64, &client[start..], now, Tag::new(0));
        connection.handle_data(Direction::Received, first as u64, &server[first..], now, Tag::new(0));
        let exchange = connection.poll_exchange().unwrap();
        let Details::Postgres(details) = &exchange.details else { panic!("{exchange:?}") };
        assert_eq!(details.statement, text);
    }
}

/// One request with its answer, and what it must be told as.
#[derive(Clone, Debug)]
struct Turn {
    client: Vec<u8>,
    server: Vec<u8>,
    expected: Vec<(String, String, Option<String>, u64)>,
}

fn turn() -> impl Strategy<Value = Turn> {
    let table = "[a-z]{1,8}_t";
    let simple = (table, 0_u64..20, 0_usize..300).prop_map(|(table, rows, width)| Turn {
        client: query(&alloc::format!("SELECT * FROM {table} WHERE a = 'canary'")),
        server: [
            columns(),
            (0..rows).flat_map(|_| row(&alloc::vec![b'Z'; width])).collect(),
            complete(&alloc::format!("SELECT {rows}")),
            ready(),
        ]
        .concat(),
        expected: alloc::vec![("SELECT".into(), table, None, rows)],
    });
    let fails = table.prop_map(|table| Turn {
        client: query(&alloc::format!("DELETE FROM {table}")),
        server: [error("42P01"), ready()].concat(),
        expected: alloc::vec![("DELETE".into(), table, Some("42P01".into()), 0)],
    });
    let extended = (prop::collection::vec((table, prop::collection::vec(any::<u8>(), 0..50)), 1..5), any::<bool>())
        .prop_map(|(parts, fails)| {
            let (mut client, mut server, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            for (number, (table, value)) in parts.iter().enumerate() {
                client.extend(parse("", &alloc::format!("UPDATE {table} SET a = $1")));
                client.extend(bind("", "", value));
                client.extend(execute(""));
                let failed = fails && number > 0;
                match (failed, number) {
                    (true, 1) => server.extend(error("23505")),
                    (true, _) => {}
                    _ => server.extend([message(b'1', b""), message(b'2', b""), complete("UPDATE 1")].concat()),
                }
                let reason = failed.then(|| String::from(if number == 1 { "23505" } else { "pipeline_aborted" }));
                expected.push((String::from("UPDATE"), table.clone(), reason, 0));
            }
            client.extend(message(b'S', b""));
            server.extend(ready());
            Turn { client, server, expected }
        });
    prop_oneof![simple, fails, extended]
}

/// What is compared: all but the times.
type Told = (String, String, Option<String>, u64, Completeness);

fn told(exchange: &Exchange<'_>) -> Told {
    let Details::Postgres(details) = &exchange.details else { panic!("{exchange:?}") };
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
    let all = turns.iter().flat_map(|turn| turn.expected.iter().cloned());
    all.map(|(operation, target, error, rows)| (operation, target, error, rows, Completeness::Complete)).collect()
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
        driver.push(Direction::Sent, &startup(), false);
        driver.push(Direction::Received, &[message(b'R', &[0; 4]), ready()].concat(), false);
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
    fn single_messages_take_any_bytes(tag: u8, body in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = frontend::Message::decode(tag, &body);
        if let backend::Message::ErrorResponse(report) = backend::Message::decode(tag, &body) {
            let _ = (report.sqlstate(), report.severity(), report.message());
        }
        if let backend::Message::DataRow(row) = backend::Message::decode(tag, &body) {
            prop_assert!(row.values().count() <= usize::from(row.columns()));
        }
        let _ = frontend::Startup::parse(&body);
        let _ = matches(&body, &body);
    }
}

#[test]
fn other_protocols_are_not_taken_for_postgres() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"PING\r\n",
        b"SET a 1\r\n",
        b"+OK\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\0\x1a\0\x03\0\0\0\0\0\x01\0\x06client\0\0\0\0",
        b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0",
    ] {
        assert_eq!(matches(bytes, b""), Verdict::No, "{:?}", String::from_utf8_lossy(bytes));
        assert_eq!(matches(b"", bytes), Verdict::No, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_joined_connection_is_told_from_either_side() {
    let client = [bind("", "s1", b"7"), execute(""), message(b'S', b"")].concat();
    let server = [message(b'2', b""), complete("UPDATE 1"), ready()].concat();
    for (sent, received, requests) in [(&client, &server, Direction::Sent), (&server, &client, Direction::Received)] {
        let found = detect(sent, received, None, None);
        assert_eq!(found, Detection::Match { protocol: Protocol::Postgres, requests, heuristic: false });
    }
}

#[test]
fn names_are_bounded_and_the_used_ones_stay() {
    let mut driver = Driver::new(Some(Role::Client));
    let answer = [message(b'1', b""), message(b'2', b""), complete("UPDATE 1"), ready()].concat();
    let run = |driver: &mut Driver, name: &str, prepare: Option<&str>| {
        let text = prepare.map_or(Vec::new(), |sql| parse(name, sql));
        driver.push(Direction::Sent, &[text, bind("", name, b"x"), execute(""), message(b'S', b"")].concat(), false);
        let skip = if prepare.is_some() { 0 } else { 5 };
        driver.push(Direction::Received, &answer[skip..], false);
    };
    run(&mut driver, "kept", Some("UPDATE kept SET a = $1"));
    for number in 0..3000 {
        run(&mut driver, &alloc::format!("s{number}"), Some(&alloc::format!("UPDATE t{number} SET a = $1")));
        run(&mut driver, "kept", None);
    }
    assert!(driver.told.iter().filter(|told| told.1 == "kept").count() == 3001);
    run(&mut driver, "s5", None);
    assert_eq!(driver.told.last().unwrap().1, "", "the oldest text is forgotten, not guessed");
    assert_eq!(driver.told.last().unwrap().0, "UPDATE");
    assert!(driver.connection.memory() < 256 * 1024, "{}", driver.connection.memory());
    driver.connection.shrink();
    assert!(driver.connection.memory() < 160 * 1024, "{}", driver.connection.memory());
}

#[test]
fn what_only_prepares_is_announced_before_its_answer_and_settled_by_it() {
    let mut driver = Driver::new(Some(Role::Server));
    let sync = || message(b'S', b"");
    // The server may refuse a statement before the client has sent the end of its batch.
    driver.push(Direction::Received, &parse("a", "SELECT a FROM t"), false);
    assert_eq!(core::mem::take(&mut driver.stages), [(0, Stage::Tentative)]);
    driver.push(Direction::Received, &sync(), false);
    driver.push(Direction::Sent, &[message(b'1', b""), ready()].concat(), false);
    assert_eq!((core::mem::take(&mut driver.stages), driver.told.len()), (alloc::vec![(0, Stage::Withdrawn)], 0));
    driver.push(Direction::Received, &[parse("b", "SELECT b FROM t"), sync()].concat(), false);
    assert_eq!(core::mem::take(&mut driver.stages), [(1, Stage::Tentative)]);
    driver.push(Direction::Sent, &[error("42P01"), ready()].concat(), false);
    assert_eq!((core::mem::take(&mut driver.stages), driver.told.len()), (Vec::new(), 1));
    // Cut in two, an execution begins as what might only prepare.
    driver.push(Direction::Received, &bind("", "a", b"7"), false);
    driver.push(Direction::Received, &[execute(""), sync()].concat(), false);
    assert_eq!(core::mem::take(&mut driver.stages), [(2, Stage::Tentative), (2, Stage::Confirmed)]);
    driver.push(Direction::Sent, &[message(b'2', b""), complete("SELECT 0"), ready()].concat(), false);
    driver.push(Direction::Received, &[bind("", "a", b"7"), execute(""), sync()].concat(), false);
    assert_eq!(core::mem::take(&mut driver.stages), [(3, Stage::Certain)]);
    // What is being sent when the connection ends is withdrawn.
    driver.push(Direction::Received, &parse("c", "SELECT c FROM t"), false);
    driver.connection.handle_close(Timestamp::from_nanos(driver.at + 10));
    driver.drain();
    assert_eq!(driver.stages, [(4, Stage::Tentative), (4, Stage::Withdrawn)]);
    assert_eq!(driver.told.len(), 3);
}

#[test]
fn what_comes_to_nothing_in_one_piece_is_not_announced() {
    let mut driver = Driver::new(Some(Role::Server));
    let sync = message(b'S', b"");
    driver.push(Direction::Received, &query("SELECT 1"), false);
    driver.push(Direction::Received, &sync.repeat(100_000), false);
    assert_eq!(driver.stages, [(0, Stage::Certain)]);
    let before = driver.connection.memory();
    driver.push(Direction::Received, &sync.repeat(100_000), false);
    assert_eq!((driver.stages.len(), driver.connection.memory()), (1, before));
    assert!(before < 64 * 1024, "{before}");
    // Each of these is one that only prepares; those that still wait at the end may be told to have failed.
    let prepares = [parse("a", "SELECT a FROM t"), message(b'H', b"")].concat();
    driver.push(Direction::Received, &prepares.repeat(10_000), false);
    let pending = Config::new().max_pending as usize;
    let tentative = driver.stages.iter().filter(|(_, stage)| *stage == Stage::Tentative).count();
    assert!((1..=pending).contains(&tentative) && driver.stages.len() == tentative + 1, "{tentative}");
    driver.finish();
}

/// Whole or cut anywhere, with more of them than may wait or not.
#[test]
fn each_of_many_syncs_is_answered_and_one_may_fail() {
    for (syncs, failing, max_pending) in [(1, 0, 64), (7, 3, 64), (7, 0, 64), (7, 6, 64), (100, 50, 64), (3, 2, 1)] {
        let client = [query("SELECT 1"), message(b'S', b"").repeat(syncs), query("SELECT 2")].concat();
        let answer = |number| if number == failing { [error("40001"), ready()].concat() } else { ready() };
        let select = [columns(), row(b"1"), complete("SELECT 1"), ready()].concat();
        let server = [select.clone(), (0..syncs).flat_map(answer).collect(), select].concat();
        let play = |piece: usize| {
            let config = Config::new().with_role(Some(Role::Client)).with_max_pending(max_pending);
            let mut connection = Connection::new(config, &Shared::default());
            let mut told = Vec::new();
            let mut drain = |connection: &mut Connection| {
                let mut opened = Vec::new();
                while let Some(one) = connection.poll_opened() {
                    opened.push((one.id, one.offset, one.stage));
                }
                while let Some(exchange) = connection.poll_exchange() {
                    told.push(exchange.into_owned());
                }
                opened
            };
            let mut announced = Vec::new();
            for (direction, bytes, at) in [(Direction::Sent, &client, 10), (Direction::Received, &server, 20)] {
                let mut offset = 0;
                for part in bytes.chunks(piece) {
                    connection.handle_data(direction, offset, part, Timestamp::from_nanos(at), Tag::new(at));
                    offset += part.len() as u64;
                    announced.extend(drain(&mut connection));
                }
            }
            connection.handle_close(Timestamp::from_nanos(30));
            announced.extend(drain(&mut connection));
            for exchange in &told {
                assert!(announced.contains(&(exchange.id, exchange.request.offset, Stage::Certain)), "{exchange:?}");
            }
            told
        };
        let whole = play(usize::MAX);
        for piece in [1, 2, 5, 7, 64] {
            assert_eq!(play(piece), whole, "{syncs} in pieces of {piece}");
        }
        let told: Vec<_> = whole.iter().map(|one| (&*one.operation, one.error.as_deref(), one.completeness)).collect();
        let select = ("SELECT", None, Completeness::Complete);
        if syncs < 64 && max_pending == 64 {
            assert_eq!(told, [select, ("SYNC", Some("40001"), Completeness::Complete), select]);
            let offset = query("SELECT 1").len() + failing * 5;
            assert_eq!((whole[1].request.offset, whole[1].request.size), (offset as u64, 5));
        } else {
            // The first is given up, and so are Syncs; those that are left have their own answers.
            assert_eq!(told.first(), Some(&("SELECT", None, Completeness::ResponseMissing)));
            assert_eq!(told.last(), Some(&select));
            assert_eq!(told.len(), if max_pending == 64 { 3 } else { 2 });
        }
    }
}

/// A Sync is announced when the server refuses it. If that turns out to be nobody's answer, the same Sync is withdrawn,
/// not one of those that follow it with the same mark.
#[test]
fn a_refused_sync_whose_answer_is_lost_is_withdrawn_under_its_own_id() {
    for syncs in [1, 2, 7] {
        let mut driver = Driver::new(Some(Role::Client));
        driver.push(Direction::Sent, &query("SELECT 1"), false);
        driver.push(Direction::Sent, &message(b'S', b"").repeat(syncs), false);
        driver.push(Direction::Received, &[columns(), row(b"1"), complete("SELECT 1"), ready()].concat(), false);
        driver.push(Direction::Received, &error("40001"), false);
        assert_eq!(driver.stages, [(0, Stage::Certain), (1, Stage::Certain)], "{syncs} Syncs");
        // This client does not wait for answers: whose are those behind the loss, nobody knows.
        driver.push(Direction::Received, &ready(), true);
        assert_eq!(driver.stages.last(), Some(&(1, Stage::Withdrawn)), "{syncs} Syncs");
        assert_eq!((driver.stages.len(), driver.finish().len()), (3, 1), "{syncs} Syncs");
    }
}

#[test]
fn idle_connections_hold_little() {
    let mut driver = Driver::new(Some(Role::Client));
    for number in 0..100 {
        driver.push(Direction::Sent, &query("SELECT a FROM t WHERE b = 1"), false);
        driver.push(Direction::Received, &[row(b"1"), complete("SELECT 1"), ready()].concat(), false);
        assert_eq!(driver.told.len(), number + 1);
    }
    driver.connection.shrink();
    assert!(driver.connection.memory() <= 400, "{}", driver.connection.memory());
}

#[test]
fn a_connection_joined_in_a_large_row_is_known_after_it() {
    let play = |turns: usize, chunks: usize| {
        let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
        let (mut ends, mut now) = ([0, 0], 0);
        let mut say = |connection: &mut Connection, index: usize, bytes: &[u8]| {
            now += 10;
            let direction = [Direction::Sent, Direction::Received][index];
            connection.handle_data(direction, ends[index], bytes, Timestamp::from_nanos(now), Tag::new(1));
            ends[index] += bytes.len() as u64;
        };
        for turn in 0..turns {
            (0..chunks).for_each(|_| say(&mut connection, (turn + 1) % 2, &[b'x'; 1448]));
        }
        say(&mut connection, 0, &query("SELECT 1"));
        say(&mut connection, 1, &[columns(), row(b"1"), complete("SELECT 1"), message(b'Z', b"I")].concat());
        connection.poll_exchange().map(|exchange| exchange.completeness)
    };
    assert_eq!(play(1, 725), Some(Completeness::Complete), "a value of a megabyte");
    assert_eq!(play(1, 2000), None, "it is looked for only so long");
    assert_eq!(play(20, 1), Some(Completeness::Complete));
    assert_eq!(play(33, 1), None, "what takes turns is something else");
}
