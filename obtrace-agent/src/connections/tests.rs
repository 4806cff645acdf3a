//! Streams are those of Redis: small, and with a parser that keeps state.

use std::net::SocketAddr;

use obtrace_probes::event::{Missing, Task};
use obtrace_protocols::Details;

use super::*;

const SOCKET: SocketId = SocketId::new(7);
const TASK: Task = Task::new(100, 101);
const SENT: event::Direction = event::Direction::Sent;
const RECEIVED: event::Direction = event::Direction::Received;
/// Where both directions begin.
const START: [u32; 2] = [500, 900];
const SECOND: u64 = 1_000_000_000;

#[derive(Debug, Default)]
struct Seen {
    opened: Vec<(u64, u32)>,
    exchanges: Vec<(String, &'static str)>,
    closed: Vec<Account>,
    verdicts: Vec<Verdict>,
    remotes: Vec<Option<SocketAddr>>,
    statements: Vec<String>,
}

impl Observer for Seen {
    fn opened(&mut self, info: &ConnectionInfo, opened: &Opened) {
        assert!(info.role.is_some(), "the role is known when a request is");
        self.opened.push((opened.offset, Strand::from_tag(opened.tag).thread));
    }

    fn exchange(&mut self, info: &ConnectionInfo, exchange: &Exchange<'_>) {
        self.exchanges.push((exchange.operation.to_string(), exchange.completeness.name()));
        self.remotes.push(info.remote);
        if let Details::Postgres(details) = &exchange.details {
            self.statements.push(details.statement.to_string());
        }
    }

    fn closed(&mut self, _: &ConnectionInfo, account: &Account, _: u64) {
        self.closed.push(*account);
    }

    fn verdict(&mut self, _: &ConnectionInfo, verdict: Verdict) {
        self.verdicts.push(verdict);
    }
}

struct Rig {
    table: Connections,
    seen: Seen,
    time: u64,
    /// Where both directions are.
    end: [u32; 2],
}

impl Rig {
    fn new(settings: Settings) -> Self {
        Self { table: Connections::new(settings), seen: Seen::default(), time: 1_000, end: START }
    }

    fn client() -> Self {
        Self::client_at(START)
    }

    fn client_at(start: [u32; 2]) -> Self {
        let mut rig = Self { end: start, ..Self::new(Settings::default()) };
        rig.open(SOCKET, event::Role::Client);
        rig
    }

    fn open(&mut self, socket: SocketId, role: event::Role) {
        let mut open = Open::new(self.time, socket, TASK, event::Transport::Tcp);
        open.role = Some(role);
        open.start = self.end;
        open.local = "127.0.0.1:40000".parse().ok();
        open.remote = "127.0.0.1:6379".parse().ok();
        self.table.open(&open, &mut self.seen);
    }

    fn event<'a>(&mut self, direction: event::Direction, sequence: u32, bytes: &'a [u8]) -> Data<'a> {
        self.time += 1_000;
        Data::new(self.time, SOCKET, TASK, direction, sequence, bytes)
    }

    fn data(&mut self, direction: event::Direction, sequence: u32, bytes: &[u8]) {
        let (end, at) = (sequence.wrapping_add(bytes.len() as u32), &mut self.end[usize::from(direction == RECEIVED)]);
        if end.wrapping_sub(*at) < 1 << 31 {
            *at = end;
        }
        let data = self.event(direction, sequence, bytes);
        self.table.data(&data, &mut self.seen);
    }

    fn close(&mut self) -> Account {
        let end = [self.end[0], self.end[1]];
        self.table.close(&Close::new(self.time + 1, SOCKET, end), &mut self.seen);
        let account = *self.seen.closed.last().unwrap();
        assert_eq!(self.table.counters().open, 0);
        account
    }

    fn operations(&self) -> Vec<(&str, &str)> {
        self.seen.exchanges.iter().map(|(operation, completeness)| (&**operation, *completeness)).collect()
    }
}

const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
const VALUE: &[u8] = b"$1\r\n1\r\n";
const GET_LENGTH: u32 = 20;
const VALUE_LENGTH: u32 = 7;

#[test]
fn the_constants_are_what_they_say() {
    assert_eq!((GET.len(), VALUE.len()), (GET_LENGTH as usize, VALUE_LENGTH as usize));
}

#[test]
fn a_request_and_its_answer_are_an_exchange_and_every_byte_is_parsed() {
    let mut rig = Rig::client();
    rig.data(SENT, 500, GET);
    assert_eq!(rig.seen.opened, [(1 << 32 | 500, 101)]);
    rig.data(RECEIVED, 900, VALUE);
    assert_eq!(rig.operations(), [("GET", "complete")]);
    let account = rig.close();
    assert_eq!((account.sent.parsed, account.sent.seen()), (20, 20));
    assert_eq!((account.received.parsed, account.received.seen()), (7, 7));
    assert_eq!(rig.table.counters().bytes.seen(), 27);
}

#[test]
fn sequence_numbers_wrap() {
    let mut at = u32::MAX - 30;
    let mut rig = Rig::client_at([at; 2]);
    for _ in 0..4 {
        rig.data(SENT, at, GET);
        rig.data(RECEIVED, at, VALUE);
        at = at.wrapping_add(GET_LENGTH);
    }
    assert_eq!(rig.seen.exchanges.len(), 1, "the answers were given 13 bytes apart: holes");
    let account = rig.close();
    assert_eq!((account.sent.parsed, account.sent.missing()), (80, 0));
    assert_eq!((account.received.parsed, account.received.lost), (28, 39));
}

#[test]
fn what_is_offered_again_counts_once() {
    let mut rig = Rig::client();
    let two = [GET, GET].concat();
    rig.data(SENT, 500, &two);
    // The kernel took 25 bytes: the program sends the rest again.
    rig.data(SENT, 525, &two[25..]);
    rig.data(RECEIVED, 900, &[VALUE, VALUE].concat());
    assert_eq!(rig.operations(), [("GET", "complete"); 2]);
    assert_eq!(rig.close().sent.seen(), 40);
}

#[test]
fn two_events_in_the_wrong_order_lose_nothing() {
    let mut rig = Rig::client();
    rig.data(SENT, 500, GET);
    rig.data(SENT, 540, GET);
    rig.data(SENT, 520, GET);
    rig.data(RECEIVED, 900, &VALUE.repeat(3));
    assert_eq!(rig.operations(), [("GET", "complete"); 3]);
    let account = rig.close();
    assert_eq!((account.sent.parsed, account.sent.missing()), (60, 0));
}

#[test]
fn a_lost_event_is_a_gap_that_is_counted() {
    let mut rig = Rig::client();
    rig.data(SENT, 500, GET);
    rig.data(RECEIVED, 900, VALUE);
    rig.data(SENT, 540, GET);
    rig.table.tick(rig.time + SECOND, &mut rig.seen);
    rig.data(RECEIVED, 914, VALUE);
    rig.table.tick(rig.time + 2 * SECOND, &mut rig.seen);
    let account = rig.close();
    assert_eq!((account.sent.parsed, account.sent.lost, account.sent.seen()), (40, 20, 60));
    assert_eq!((account.received.parsed, account.received.lost), (14, 7));
    assert_eq!(rig.seen.exchanges[0].1, "complete");
    assert!(!rig.seen.exchanges.is_empty());
}

#[test]
fn what_is_lost_at_the_ends_of_a_connection_is_counted() {
    let mut rig = Rig::client_at([480, 900]);
    rig.data(SENT, 500, GET);
    rig.data(RECEIVED, 900, VALUE);
    rig.end = [540, 900 + 2 * VALUE_LENGTH];
    let mut close = Close::new(rig.time + 1, SOCKET, rig.end);
    close.records = [2, 1];
    rig.table.close(&close, &mut rig.seen);
    let account = rig.seen.closed[0];
    assert_eq!((account.sent.parsed, account.sent.lost, account.sent.lost_records), (20, 40, 2));
    assert_eq!((account.received.parsed, account.received.lost, account.received.lost_records), (7, 7, 1));
    assert_eq!((account.sent.records, account.received.records), (1, 1));
    assert_eq!(rig.table.counters().bytes.lost, 47);
}

#[test]
fn what_the_kernel_did_not_take_of_the_last_send_was_not_sent() {
    let mut rig = Rig::client();
    let mut data = rig.event(SENT, 500, GET);
    (data.length, data.missing) = (1_000, Some(Missing::Budget));
    rig.table.data(&data, &mut rig.seen);
    // It took 510 bytes; 100 are offered again, of which it takes 10.
    rig.data(SENT, 1_010, &[b'x'; 100]);
    rig.end = [1_020, 900];
    let account = rig.close();
    assert_eq!((account.sent.parsed, account.sent.budget, account.sent.seen()), (30, 490, 520));
}

#[test]
fn what_was_not_captured_is_counted_by_its_reason() {
    for (reason, get) in [
        (Missing::Budget, (|t: &Tally| t.budget) as fn(&Tally) -> u64),
        (Missing::Fault, |t| t.fault),
        (Missing::Kernel, |t| t.kernel),
    ] {
        let mut rig = Rig::client();
        rig.data(SENT, 500, GET);
        let mut data = rig.event(RECEIVED, 900, b"$100000\r\nxxxx");
        (data.length, data.missing) = (100_011, Some(reason));
        rig.table.data(&data, &mut rig.seen);
        rig.end[1] += 100_011;
        assert_eq!(rig.operations()[0].0, "GET");
        let account = rig.close();
        assert_eq!((account.received.parsed, get(&account.received)), (13, 99_998), "{reason:?}");
        assert_eq!(account.received.seen(), 100_011);
    }
}

#[test]
fn skipped_bytes_move_the_stream_and_are_no_loss() {
    let mut rig = Rig::client();
    rig.data(SENT, 500, GET);
    rig.data(RECEIVED, 900, b"$500000000\r\nxxxx");
    let until = rig.seen.verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Until(RECEIVED, until) => Some(*until),
        _ => None,
    });
    let end = (1_u64 << 32) + 900 + 12 + 500_000_000;
    assert!(until.is_some_and(|until| (end..=end + 2).contains(&until)), "{:?}", rig.seen.verdicts);
    let until = until.unwrap();
    let skipped = until - ((1 << 32) + 916);
    let mut data = rig.event(RECEIVED, until as u32, b"\r\n");
    if until == end + 2 {
        data = rig.event(RECEIVED, until as u32, VALUE);
        rig.data(SENT, 520, GET);
    }
    data.skipped = skipped;
    let data_end = data.sequence + data.length;
    rig.table.data(&data, &mut rig.seen);
    assert_eq!(rig.operations()[0], ("GET", "complete"));
    rig.end[1] = data_end;
    let account = rig.close();
    assert_eq!((account.received.skipped, account.received.missing()), (skipped, 0));
}

#[test]
fn what_nobody_knows_is_ignored_and_counted() {
    // It could be a large message of a connection that was joined in it: one side is listened to for a while.
    const CHUNKS: u32 = 1_100;
    let mut rig = Rig::client_at([0, 0]);
    for number in 0..CHUNKS {
        rig.data(SENT, number * 16, &[0xfe; 16]);
    }
    assert_eq!(rig.seen.verdicts, [Verdict::Ignore]);
    assert_eq!(rig.table.counters().unknown_protocol, 1);
    let mut close = Close::new(rig.time, SOCKET, [CHUNKS * 16 + 1_000, 50]);
    close.skipped = [1_000, 50];
    rig.table.close(&close, &mut rig.seen);
    let account = rig.seen.closed[0];
    assert_eq!((account.sent.seen(), account.received.seen()), (u64::from(CHUNKS) * 16 + 1_000, 50));
    assert!(account.sent.skipped > 1_000 && account.sent.missing() == 0);
}

#[test]
fn encrypted_connections_are_ignored_at_once() {
    let mut rig = Rig::client();
    rig.data(SENT, 0, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00");
    assert_eq!((rig.seen.verdicts.as_slice(), rig.table.counters().tls), (&[Verdict::Ignore][..], 1));
}

#[test]
fn sockets_beyond_the_bound_are_not_observed_and_counted() {
    let mut rig = Rig::new(Settings { max_connections: 2, ..Settings::default() });
    for number in 0..5 {
        rig.open(SocketId::new(number), event::Role::Client);
    }
    assert_eq!((rig.table.counters().open, rig.table.counters().refused), (2, 3));
    assert_eq!(rig.seen.verdicts, [Verdict::Ignore; 3]);
}

#[test]
fn a_socket_whose_open_event_was_lost_is_observed_all_the_same() {
    let mut rig = Rig::new(Settings::default());
    rig.data(SENT, 500, GET);
    rig.data(RECEIVED, 900, VALUE);
    // What was asked before is not known: the answer could be another request's, until both sides are silent.
    assert_eq!(rig.operations(), []);
    rig.table.tick(rig.time + 2_000_000_000, &mut rig.seen);
    assert_eq!(rig.operations(), [("GET", "complete")]);
    assert_eq!(rig.table.counters().unannounced, 1);
}

#[test]
fn only_the_ports_that_were_asked_for() {
    let mut rig = Rig::new(Settings { ports: vec![40_000..=40_001], ..Settings::default() });
    rig.open(SocketId::new(1), event::Role::Client);
    assert_eq!(rig.seen.verdicts, [Verdict::Ignore], "its server has port 6379");
    rig.end = [900, 500];
    rig.open(SOCKET, event::Role::Server);
    rig.data(RECEIVED, 500, GET);
    rig.data(SENT, 900, VALUE);
    assert_eq!(rig.operations(), [("GET", "complete")]);
}

#[test]
fn a_silent_socket_is_given_up_only_when_the_table_is_nearly_full() {
    let mut rig = Rig::new(Settings { max_connections: 8, ..Settings::default() });
    for number in 0..6 {
        rig.open(SocketId::new(number), event::Role::Client);
    }
    rig.table.tick(2_000 * SECOND, &mut rig.seen);
    assert_eq!(rig.table.counters().open, 6);
    rig.open(SocketId::new(6), event::Role::Client);
    rig.table.tick(4_000 * SECOND, &mut rig.seen);
    assert_eq!((rig.table.counters().open, rig.table.counters().evicted), (0, 7));
}

#[test]
fn sockets_that_give_back_memory_are_counted_once() {
    let mut rig = Rig::new(Settings::default());
    for number in 10..30 {
        rig.open(SocketId::new(number), event::Role::Client);
    }
    let mut at = |seconds: u64| {
        rig.table.tick(seconds * SECOND, &mut rig.seen);
        rig.table.take_freed()
    };
    assert_eq!((at(6), at(9)), (0, 0), "not idle for ten seconds");
    assert_eq!((at(11), at(17), at(23)), (20, 0, 0));
    for number in 10..15 {
        rig.table.close(&Close::new(24 * SECOND, SocketId::new(number), START), &mut rig.seen);
    }
    rig.time = 24 * SECOND;
    rig.open(SOCKET, event::Role::Client);
    rig.table.tick(29 * SECOND, &mut rig.seen);
    assert_eq!(rig.table.take_freed(), 4, "one came for the five that went");
    rig.table.tick(35 * SECOND, &mut rig.seen);
    assert_eq!(rig.table.take_freed(), 1);
}

#[test]
fn what_is_let_go_for_want_of_memory_is_counted() {
    let mut rig = Rig::new(Settings { memory: 16 << 10, ..Settings::default() });
    rig.open(SOCKET, event::Role::Client);
    rig.data(SENT, 500, GET);
    // Bytes behind a hole wait for it to be filled.
    rig.data(SENT, 600, &GET.repeat(100));
    assert_eq!(rig.table.counters().given_up_bytes, 0);
    rig.data(SENT, 2_600, &GET.repeat(800));
    let counters = rig.table.counters();
    assert!(counters.given_up_bytes > 0 && rig.table.held() <= 16 << 10, "{counters:?}");
}

#[test]
fn raw_sql_is_kept_only_if_asked_for() {
    let sql = b"Q\0\0\0\x20SELECT a FROM t WHERE b = 7\0";
    let answer = b"C\0\0\0\x0dSELECT 0\0Z\0\0\0\x05I";
    for (raw_sql, text) in [(false, "SELECT a FROM t WHERE b = ?"), (true, "SELECT a FROM t WHERE b = 7")] {
        let mut rig = Rig::new(Settings { raw_sql, ..Settings::default() });
        rig.open(SOCKET, event::Role::Client);
        rig.data(SENT, 500, &sql[..]);
        rig.data(RECEIVED, 900, &answer[..]);
        assert_eq!(rig.seen.statements, [text]);
    }
}

#[test]
fn the_end_finishes_what_waits() {
    let mut rig = Rig::client();
    rig.data(SENT, 500, GET);
    rig.table.finish(rig.time, &mut rig.seen);
    assert_eq!(rig.operations(), [("GET", "response_missing")]);
    assert_eq!((rig.seen.closed.len(), rig.table.held()), (1, 0));
}

#[test]
fn an_open_socket_is_small() {
    assert!(size_of::<Socket>() <= 400, "{} bytes", size_of::<Socket>());
}

#[test]
fn ports_decide_who_asks_where_nothing_else_does() {
    // Both ends publish; that of a broker is an answer elsewhere, and nothing says who is the broker.
    let publish = |remote: &str| {
        let mut rig = Rig::new(Settings::default());
        let mut open = Open::new(rig.time, SOCKET, TASK, event::Transport::Tcp);
        open.joined = true;
        open.start = START;
        open.local = "127.0.0.1:40000".parse().ok();
        open.remote = remote.parse().ok();
        rig.table.open(&open, &mut rig.seen);
        rig.data(SENT, 500, b"\x32\x08\0\x03a/b\0\x01x");
        rig.data(RECEIVED, 900, b"\x40\x02\0\x01");
        rig.operations().len()
    };
    assert_eq!((publish("127.0.0.1:1883"), publish("127.0.0.1:40001")), (1, 0));
}
