//! PostgreSQL messages beside postgres-protocol: 13 messages of a query's answer, and the 13 messages of two extended
//! queries of which one fails. The peer reads backend messages only; of frontend messages it frames, and the fields are
//! taken out of its bodies as its own `read_cstr` does it.

use bytes::{Buf, BytesMut};
use fallible_iterator::FallibleIterator as _;
use obtrace_protocols::postgres::{backend, frontend};
use postgres_protocol::message::backend::{Header, Message};

use crate::{
    harness::{Goals, Group, Run},
    random::Random,
};

fn message(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(body.len() + 4).expect("a short body").to_be_bytes());
    out.extend_from_slice(body);
}

/// RowDescription, 10 DataRows, CommandComplete, ReadyForQuery.
fn rows() -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, b'T', &description());
    for i in 0..10 {
        message(&mut out, b'D', &data_row(i));
    }
    message(&mut out, b'C', b"SELECT 10\0");
    message(&mut out, b'Z', b"I");
    out
}

fn description() -> Vec<u8> {
    let mut out = vec![0, 3];
    for name in ["id", "email", "created_at"] {
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(&[0, 0, 0x40, 1, 0, 1, 0, 0, 0, 23, 0, 4, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    }
    out
}

fn data_row(i: u32) -> Vec<u8> {
    let mut out = vec![0, 3];
    for value in [i.to_string(), format!("user{i}@example.com"), "2026-11-21 07:00:00+00".to_owned()] {
        out.extend_from_slice(&u32::try_from(value.len()).expect("a short value").to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out
}

const SQL: &str = "SELECT id, email, created_at FROM users WHERE tenant = $1 AND created_at > $2 LIMIT 10";

/// Parse, Bind, Describe, Execute, Sync.
fn asked() -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, b'P', format!("s_17\0{SQL}\0\0\0").as_bytes());
    let mut bind = b"p_4\0s_17\0\0\0\0\x02".to_vec();
    bind.extend_from_slice(b"\0\0\0\x0242\0\0\0\x0a2026-01-01\0\0");
    message(&mut out, b'B', &bind);
    message(&mut out, b'D', b"Pp_4\0");
    message(&mut out, b'E', b"p_4\0\0\0\0\0");
    message(&mut out, b'S', b"");
    out
}

/// ParseComplete, BindComplete, RowDescription, DataRow, CommandComplete, ErrorResponse, NoticeResponse's kin, ReadyForQuery.
fn answered() -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, b'1', b"");
    message(&mut out, b'2', b"");
    message(&mut out, b'T', &description());
    message(&mut out, b'D', &data_row(1));
    message(&mut out, b'D', &data_row(2));
    message(&mut out, b'C', b"SELECT 2\0");
    message(
        &mut out,
        b'E',
        b"SERROR\0VERROR\0C23505\0Mduplicate key value violates unique constraint\0Fnbtinsert.c\0\0",
    );
    message(&mut out, b'Z', b"I");
    out
}

/// What both are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Answer<'a> {
    messages: u32,
    statement: &'a [u8],
    sql: &'a [u8],
    portal: &'a [u8],
    sqlstate: Option<[u8; 5]>,
    rows: Option<u64>,
}

fn ours<'a>(asked: &'a [u8], answered: &'a [u8]) -> Answer<'a> {
    let mut answer = Answer::default();
    for message in frontend::Messages::new(asked) {
        answer.messages += 1;
        match message {
            frontend::Message::Parse { statement, text } => (answer.statement, answer.sql) = (statement, text),
            frontend::Message::Bind { portal, .. } => answer.portal = portal,
            _ => {}
        }
    }
    for message in backend::Messages::new(answered) {
        answer.messages += 1;
        match message {
            backend::Message::CommandComplete(tag) => answer.rows = tag.rows(),
            backend::Message::ErrorResponse(report) => answer.sqlstate = report.sqlstate(),
            _ => {}
        }
    }
    answer
}

/// A text up to its zero byte, and what follows it, as the peer reads one.
fn cstr(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

fn peer<'a>(mut asked: &'a [u8], answered: &mut BytesMut) -> Answer<'a> {
    let mut answer = Answer::default();
    while let Ok(Some(header)) = Header::parse(asked) {
        let size = usize::try_from(header.len()).expect("a length") + 1;
        let body = &asked[5..size];
        answer.messages += 1;
        match header.tag() {
            b'P' => {
                let (statement, rest) = cstr(body);
                (answer.statement, answer.sql) = (statement, cstr(rest).0);
            }
            b'B' => answer.portal = cstr(body).0,
            _ => {}
        }
        asked = &asked[size..];
    }
    while let Ok(Some(message)) = Message::parse(answered) {
        answer.messages += 1;
        match message {
            Message::CommandComplete(body) => {
                answer.rows = body.tag().ok().and_then(|tag| tag.rsplit(' ').next().and_then(|n| n.parse().ok()));
            }
            Message::ErrorResponse(body) => {
                let code = body.fields().find(|field| Ok(field.type_() == b'C')).ok().flatten();
                answer.sqlstate = code.and_then(|field| field.value_bytes().try_into().ok());
            }
            _ => {}
        }
    }
    assert!(!answered.has_remaining());
    answer
}

/// Texts of all lengths, each followed by what the next may begin with, are read as the peer reads them.
fn compare(random: &mut Random) -> usize {
    const ROUNDS: usize = 20_000;
    let mut text = |most: usize| -> Vec<u8> {
        let length = random.below(most);
        (0..length).map(|_| *random.pick(b"\x01\x7f\x80\x81\xffaZ09 _")).collect()
    };
    for _ in 0..ROUNDS {
        let (statement, sql, portal, detail) = (text(40), text(200), text(40), text(40));
        let rows = text(7).len().pow(6);
        let code: [u8; 5] = std::array::from_fn(|at| b"23505"[(at + rows) % 5]);
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        message(&mut asked, b'P', &[&statement, &b"\0"[..], &sql, b"\0\0\0"].concat());
        message(&mut asked, b'B', &[&portal, &b"\0"[..], &statement, b"\0\0\0\0\0\0\0"].concat());
        message(&mut answered, b'C', format!("UPDATE {rows}\0").as_bytes());
        message(&mut answered, b'E', &[b"SERROR\0D", &detail[..], b"\0C", &code, b"\0\0"].concat());
        let answer = ours(&asked, &answered);
        assert_eq!(answer, peer(&asked, &mut BytesMut::from(&answered[..])), "{asked:?} {answered:?}");
        let expected = (&statement[..], &sql[..], &portal[..], Some(code), u64::try_from(rows).ok());
        assert_eq!((answer.statement, answer.sql, answer.portal, answer.sqlstate, answer.rows), expected);
    }
    ROUNDS
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let alike = compare(&mut Random::new(2));
    println!("\nPostgreSQL: {alike} made-up conversations were read alike.");
    let inputs = [
        ("13 messages of an answer", Vec::new(), rows()),
        ("13 messages of a query and its failure", asked(), answered()),
    ];
    for (name, asked, answered) in &inputs {
        let bytes = asked.len() + answered.len();
        let answer = ours(asked, answered);
        assert_eq!(answer, peer(asked, &mut BytesMut::from(&answered[..])), "{name}");
        assert_eq!(answer.messages, 13, "{name}");
        let outcome = Group::new(format!("PostgreSQL: {name}"), "13 messages", 1)
            .add("obtrace-protocols", bytes, || ours(asked, answered))
            .add("postgres-protocol, with its buffer", bytes, || {
                peer(asked, &mut BytesMut::from(&answered[..])).messages
            })
            .add("the buffer alone (taken off)", answered.len(), || BytesMut::from(&answered[..]))
            .run(run);
        let ratio = (outcome.nanos[1] - outcome.nanos[2]) / outcome.nanos[0];
        goals.ratio(format!("PostgreSQL, {name}: times postgres-protocol"), ratio, 5.0, 3.0);
        goals.no_allocations(format!("PostgreSQL, {name}"), outcome.allocations[0]);
    }
}
