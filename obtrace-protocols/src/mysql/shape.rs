//! Do these bytes look like a command, or like the beginning of an answer? Asked when a connection was joined in the
//! middle, and after a gap.

use super::{
    attributes,
    compression::{OUTER, is_outer},
    details::Request,
    handshake::{self, Response},
    packet::{HEAD, Head, MAX_PAYLOAD, number},
};
use crate::{
    detect::Verdict,
    parser::Side,
    reader::Reader,
    sql::{Dialect, Digest, begins_statement, is_statement},
};

/// First bytes of commands ([command phase](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html)).
pub(super) mod command {
    pub(in super::super) const QUIT: u8 = 0x01;
    pub(in super::super) const INIT_DB: u8 = 0x02;
    pub(in super::super) const QUERY: u8 = 0x03;
    pub(in super::super) const FIELD_LIST: u8 = 0x04;
    pub(in super::super) const CREATE_DB: u8 = 0x05;
    pub(in super::super) const DROP_DB: u8 = 0x06;
    pub(in super::super) const REFRESH: u8 = 0x07;
    pub(in super::super) const SHUTDOWN: u8 = 0x08;
    pub(in super::super) const STATISTICS: u8 = 0x09;
    pub(in super::super) const PROCESS_INFO: u8 = 0x0a;
    pub(in super::super) const PROCESS_KILL: u8 = 0x0c;
    pub(in super::super) const DEBUG: u8 = 0x0d;
    pub(in super::super) const PING: u8 = 0x0e;
    pub(in super::super) const CHANGE_USER: u8 = 0x11;
    pub(in super::super) const BINLOG_DUMP: u8 = 0x12;
    pub(in super::super) const TABLE_DUMP: u8 = 0x13;
    pub(in super::super) const REGISTER_SLAVE: u8 = 0x15;
    pub(in super::super) const STMT_PREPARE: u8 = 0x16;
    pub(in super::super) const STMT_EXECUTE: u8 = 0x17;
    pub(in super::super) const STMT_SEND_LONG_DATA: u8 = 0x18;
    pub(in super::super) const STMT_CLOSE: u8 = 0x19;
    pub(in super::super) const STMT_RESET: u8 = 0x1a;
    pub(in super::super) const SET_OPTION: u8 = 0x1b;
    pub(in super::super) const STMT_FETCH: u8 = 0x1c;
    pub(in super::super) const BINLOG_DUMP_GTID: u8 = 0x1e;
    pub(in super::super) const RESET_CONNECTION: u8 = 0x1f;
    pub(in super::super) const CLONE: u8 = 0x20;
    pub(in super::super) const SUBSCRIBE: u8 = 0x21;
    /// MariaDB.
    pub(in super::super) const STMT_BULK_EXECUTE: u8 = 0xfa;
}

/// Bytes of an undecided end that are kept while a command is searched for.
const MAX_UNDECIDED: usize = 4 * 1024;
/// Read of a text to tell whether it is a statement.
const MAX_PROBE: usize = 256;
/// Most commands in a row that are looked at.
const MAX_FOLLOWING: usize = 64;
/// Most columns that a result has.
const MAX_COLUMNS: u64 = 4096;
/// The first number of an error of a server.
const FIRST_ERROR: u16 = 1000;
/// What a definition of a column begins with.
const CATALOG: &[u8] = b"\x03def";

/// The command with this first byte.
pub(super) const fn request(command: u8) -> Request {
    match command {
        command::STMT_EXECUTE => Request::Execute,
        command::STMT_BULK_EXECUTE => Request::BulkExecute,
        command::STMT_FETCH => Request::Fetch,
        command::STMT_PREPARE => Request::Prepare,
        command::STMT_RESET => Request::ResetStatement,
        command::SET_OPTION => Request::SetOption,
        command::INIT_DB => Request::InitDb,
        command::CHANGE_USER => Request::ChangeUser,
        command::RESET_CONNECTION => Request::ResetConnection,
        command::FIELD_LIST => Request::FieldList,
        command::CREATE_DB => Request::CreateDb,
        command::DROP_DB => Request::DropDb,
        command::REFRESH => Request::Refresh,
        command::SHUTDOWN => Request::Shutdown,
        command::STATISTICS => Request::Statistics,
        command::PROCESS_INFO => Request::ProcessInfo,
        command::PROCESS_KILL => Request::ProcessKill,
        command::DEBUG => Request::Debug,
        command::PING => Request::Ping,
        command::REGISTER_SLAVE => Request::RegisterReplica,
        _ => Request::Query,
    }
}

/// Whether a command may have this first byte and so many bytes.
pub(super) const fn is_command(first: u8, length: usize) -> bool {
    match first {
        command::QUIT
        | command::STATISTICS
        | command::PROCESS_INFO
        | command::DEBUG
        | command::PING
        | command::RESET_CONNECTION => length == 1,
        command::INIT_DB | command::QUERY | command::STMT_PREPARE => length >= 1,
        command::FIELD_LIST | command::CREATE_DB | command::DROP_DB => length >= 2,
        command::REFRESH => length == 2,
        command::SHUTDOWN => length <= 2,
        command::PROCESS_KILL | command::STMT_CLOSE | command::STMT_RESET => length == 5,
        command::CHANGE_USER => length >= 3,
        command::BINLOG_DUMP | command::BINLOG_DUMP_GTID | command::REGISTER_SLAVE => length >= 11,
        command::STMT_EXECUTE => length >= 10,
        command::STMT_SEND_LONG_DATA | command::STMT_BULK_EXECUTE => length >= 7,
        command::SET_OPTION => length == 3,
        command::STMT_FETCH => length == 9,
        command::TABLE_DUMP | command::CLONE | command::SUBSCRIBE => length >= 1,
        _ => false,
    }
}

/// Whether a packet is an EOF of five bytes (or of one, before MySQL 4.1).
pub(super) fn is_eof(payload: &[u8], length: usize) -> bool {
    payload.first() == Some(&0xfe) && matches!(length, 1 | 5)
}

/// Number of columns of the result that a packet begins, and whether their definitions follow: a byte in front of it
/// (MySQL's CLIENT_OPTIONAL_RESULTSET_METADATA) or behind (MariaDB's CACHE_METADATA) may say that they do not. `None`:
/// it begins no result.
pub(super) fn columns(payload: &[u8], length: usize) -> Option<(u64, bool)> {
    let count = |reader: &mut Reader<'_>| number(reader).filter(|count| (1..=MAX_COLUMNS).contains(count));
    let mut reader = Reader::new(payload);
    if let Some(columns) = count(&mut reader) {
        match (length.saturating_sub(reader.position()), reader.rest().first()) {
            (0, _) => return Some((columns, true)),
            (1, Some(&follow @ (0 | 1))) => return Some((columns, follow == 1)),
            _ => {}
        }
    }
    let mut reader = Reader::new(payload);
    let follow = reader.u8().filter(|&follow| follow <= 1)?;
    let columns = count(&mut reader)?;
    (reader.position() == length).then_some((columns, follow == 1))
}

/// The database that a statement changes to: `USE name`.
pub(super) fn used_database(text: &[u8]) -> Option<&[u8]> {
    let (verb, rest) = text.trim_ascii().split_at_checked(3)?;
    if !verb.eq_ignore_ascii_case(b"use") || !rest.first()?.is_ascii_whitespace() && rest.first() != Some(&b'`') {
        return None;
    }
    let named = rest.trim_ascii();
    let named = named.strip_suffix(b";").unwrap_or(named).trim_ascii();
    let named = named.strip_prefix(b"`").map_or(Some(named), |named| named.strip_suffix(b"`"))?;
    let is_quoted = rest.trim_ascii().first() == Some(&b'`');
    let is_plain = |&byte: &u8| match byte {
        b';' | b'`' | b'\'' => false,
        byte => is_quoted || byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..),
    };
    (!named.is_empty() && named.iter().all(is_plain)).then_some(named)
}

/// The database that a statement, or the last of several that does, changes to; empty: one that is not known. `None`: it
/// stays.
pub(super) fn switched_to(digest: &Digest) -> Option<&[u8]> {
    let is_use = digest.operation() == "USE";
    if !is_use && digest.statements() < 2 {
        return None;
    }
    let begins = |statement: &&[u8]| {
        let verb = statement.trim_ascii().split_at_checked(3);
        verb.is_some_and(|(verb, rest)| {
            verb.eq_ignore_ascii_case(b"use") && rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric())
        })
    };
    let statements = digest.text().as_bytes().split(|&byte| byte == b';');
    match statements.rev().find(begins) {
        Some(statement) => Some(used_database(statement).unwrap_or_default()),
        None => is_use.then_some(&[]),
    }
}

/// What a command says for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Wrong,
    /// Too few bytes to say.
    Open,
    /// It is one, as other things may be.
    Good,
    /// Nothing else looks like this.
    Strong,
}

/// Looks at the command in front. `known`: commands are known to be there somewhere.
fn shape(bytes: &[u8]) -> Shape {
    let Some(head) = Head::read(bytes) else {
        return if bytes.get(3).is_none_or(|&sequence| sequence == 0) { Shape::Open } else { Shape::Wrong };
    };
    if head.sequence != 0 || head.length == 0 {
        return Shape::Wrong;
    }
    let payload = bytes.get(HEAD..head.size().min(bytes.len())).unwrap_or_default();
    let Some((&first, body)) = payload.split_first() else { return Shape::Open };
    if !is_command(first, head.length) {
        return Shape::Wrong;
    }
    let is_whole = payload.len() == head.length;
    match first {
        command::QUERY | command::STMT_PREPARE => statement(body, is_whole),
        command::STMT_EXECUTE => match body.get(4..9) {
            None => Shape::Open,
            // No unknown flag, and run once.
            Some([0..=15, 1, 0, 0, 0]) => Shape::Good,
            Some(_) => Shape::Wrong,
        },
        command::INIT_DB | command::CREATE_DB | command::DROP_DB | command::FIELD_LIST | command::CHANGE_USER => {
            let may_end = first == command::FIELD_LIST;
            let is_name = head.length <= MAX_PROBE && body.iter().all(|&byte| byte >= b' ' || byte == 0 && may_end);
            match first == command::CHANGE_USER && head.length <= MAX_UNDECIDED || is_name {
                true if is_whole => Shape::Good,
                true => Shape::Open,
                false => Shape::Wrong,
            }
        }
        _ if is_whole => Shape::Good,
        _ if head.length <= MAX_UNDECIDED => Shape::Open,
        _ => Shape::Wrong,
    }
}

fn statement(body: &[u8], is_whole: bool) -> Shape {
    let Some(text) = attributes::split(body).0 else { return Shape::Open };
    let probe = text.get(..MAX_PROBE).unwrap_or(text);
    if probe.contains(&0) {
        return Shape::Wrong;
    }
    if is_whole && probe.len() == text.len() && is_statement(probe, Dialect::MySql) && !probe.is_empty()
        || begins_statement(probe, Dialect::MySql)
    {
        return Shape::Strong;
    }
    let is_text = probe.iter().all(|&byte| byte >= b' ' || byte.is_ascii_whitespace());
    match (is_text, is_whole) {
        (false, _) => Shape::Wrong,
        (true, true) => Shape::Good,
        (true, false) if text.len() < 16 => Shape::Open,
        (true, false) => Shape::Wrong,
    }
}

/// Whether a command begins in front.
pub(super) fn is_command_at(bytes: &[u8]) -> bool {
    matches!(shape(bytes), Shape::Good | Shape::Strong)
}

/// The first place in what a client sent where commands begin; `Err`: nowhere, and how many bytes in front need not be
/// looked at again.
pub(super) fn find_command(bytes: &[u8]) -> Result<usize, usize> {
    let mut undecided = None;
    for at in 0..bytes.len() {
        let candidate = bytes.get(at..).unwrap_or_default();
        match shape(candidate) {
            Shape::Wrong => {}
            Shape::Strong => return Ok(at),
            Shape::Good if ends_or_goes_on(candidate) => return Ok(at),
            Shape::Good | Shape::Open if candidate.len() <= MAX_UNDECIDED => undecided = undecided.or(Some(at)),
            _ => {}
        }
    }
    Err(undecided.unwrap_or(bytes.len()))
}

fn is_whole(bytes: &[u8]) -> bool {
    Head::read(bytes).is_some_and(|head| bytes.len() >= head.size())
}

/// Whether nothing, or another command, follows the one in front.
fn ends_or_goes_on(bytes: &[u8]) -> bool {
    let rest = Head::read(bytes).and_then(|head| bytes.get(head.size()..));
    rest.is_some_and(<[u8]>::is_empty) || goes_on(bytes)
}

/// Whether what follows the command in front is no command. Small numbers in the middle of other messages are often one;
/// to their end they are not.
fn breaks_off(mut bytes: &[u8]) -> bool {
    for _ in 0..MAX_FOLLOWING {
        let Some(rest) = Head::read(bytes).and_then(|head| bytes.get(head.size()..)) else { return false };
        let is_last = bytes.get(HEAD) == Some(&command::QUIT);
        if !rest.is_empty() && (is_last || shape(rest) == Shape::Wrong) {
            return true;
        }
        bytes = rest;
    }
    false
}

/// Whether another command follows the one in front.
fn goes_on(bytes: &[u8]) -> bool {
    let rest = Head::read(bytes).and_then(|head| bytes.get(head.size()..));
    rest.is_some_and(|rest| matches!(shape(rest), Shape::Good | Shape::Strong))
}

/// Whether an answer to a command of this kind begins in front, with this number where it is known. `None`: too few
/// bytes.
pub(super) fn is_answer(bytes: &[u8], kind: Request, sequence: Option<u8>) -> Option<bool> {
    if let (Some(wanted), Some(&found)) = (sequence, bytes.get(3))
        && wanted != found
    {
        return Some(false);
    }
    let head = Head::read(bytes)?;
    if head.length == 0 {
        return Some(false);
    }
    let payload = bytes.get(HEAD..head.size().min(bytes.len())).unwrap_or_default();
    let &first = payload.first()?;
    let length = head.length;
    match (first, kind) {
        (0xff, _) => {
            let &[_, low, high, mark] = payload.first_chunk()?;
            let code = u16::from_le_bytes([low, high]);
            Some(length <= MAX_UNDECIDED && code >= FIRST_ERROR && mark == b'#')
        }
        (0, Request::Prepare) => Some(matches!(length, 12 | 13)),
        (0, Request::Fetch) => Some(true),
        (_, Request::Prepare) => Some(false),
        (0, Request::Statistics | Request::FieldList) => Some(false),
        (_, Request::Statistics) => Some(length < MAX_UNDECIDED && first.is_ascii_alphabetic()),
        (0, _) if length < 7 => Some(columns(payload, length).is_some()),
        (0, _) => {
            let mut numbers = Reader::new(payload.get(1..)?);
            let is_ok = number(&mut numbers).and_then(|_| number(&mut numbers)).is_some();
            if payload.len() < length.min(23) { None } else { Some(is_ok && length <= MAX_PAYLOAD / 256) }
        }
        (0xfe, Request::Connect | Request::ChangeUser) => Some(true),
        (1, Request::Connect | Request::ChangeUser) => Some(true),
        (_, Request::Connect | Request::ChangeUser) => Some(false),
        (0xfe, _) => Some(matches!(length, 1 | 5 | 7..=512)),
        (0xfb, Request::Query | Request::Execute) => Some(length <= MAX_UNDECIDED),
        (_, Request::FieldList) => definition(payload, length),
        _ => {
            if payload.len() < length.min(9) {
                return None;
            }
            match columns(payload, length) {
                Some((_, false)) => Some(true),
                Some((_, true)) => {
                    let next = bytes.get(head.size()..)?;
                    let head = Head::read(next)?;
                    if sequence.is_some_and(|sequence| head.sequence != sequence.wrapping_add(1)) {
                        return Some(false);
                    }
                    definition(next.get(HEAD..)?, head.length)
                }
                None => Some(false),
            }
        }
    }
}

/// Whether a definition of a column begins here.
fn definition(payload: &[u8], length: usize) -> Option<bool> {
    let begins = payload.get(..CATALOG.len().min(payload.len())).is_some_and(|begin| CATALOG.starts_with(begin));
    if payload.len() < CATALOG.len() && begins {
        return None;
    }
    Some(begins && length >= 20)
}

/// Are these the first bytes of a MySQL client and its server, or of ones that were joined in the middle?
pub(super) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    if client.is_empty() {
        return match (handshake::is_refusal(server), handshake::is_greeting(server)) {
            (Some(true), _) | (_, Some(true)) => Verdict::Yes,
            // The answer to a command that was not seen: the next one will tell.
            (Some(false), Some(false)) if is_answer(server, Request::Query, Some(1)) == Some(false) => Verdict::No,
            _ => Verdict::Maybe,
        };
    }
    let greeted = if server.is_empty() { None } else { handshake::is_greeting(server) };
    match client.get(3) {
        // The answer to a greeting; the second one where TLS was taken off.
        Some(1 | 2) => response(client, greeted),
        Some(0) => commands(client, server, greeted),
        Some(_) => Verdict::No,
        None if client.get(2).is_none_or(|&length| length == 0) => Verdict::Maybe,
        None => Verdict::No,
    }
}

fn response(client: &[u8], greeted: Option<bool>) -> Verdict {
    let Some(head) = Head::read(client) else { return Verdict::Maybe };
    if !(9..=MAX_UNDECIDED * 4).contains(&head.length) {
        return Verdict::No;
    }
    let payload = client.get(HEAD..head.size().min(client.len())).unwrap_or_default();
    // The old form says too little for itself.
    let is_old = payload.first_chunk().is_some_and(|low| u16::from_le_bytes(*low) & 0x0200 == 0);
    match (Response::parse(payload, head.length), greeted) {
        (Some(_), Some(true)) => Verdict::Yes,
        (Some(_), _) if !is_old => Verdict::Yes,
        (Some(_), _) => Verdict::No,
        (None, Some(false)) if is_old => Verdict::No,
        (None, _) if payload.len() < head.length.min(MAX_PROBE) => Verdict::Maybe,
        (None, _) => Verdict::No,
    }
}

/// Of a compressed session that was joined. `None`: these are no commands of one.
fn compressed(client: &[u8], server: &[u8]) -> Option<Verdict> {
    match (is_outer(client, Side::Client)?, is_command_at(client)) {
        (true, false) => Some(match (server.is_empty(), is_outer(server, Side::Server)) {
            // A statement as it is, or both sides look so.
            (_, Some(true)) => Verdict::Yes,
            _ if client.get(OUTER..).is_some_and(|inner| shape(inner) == Shape::Strong) => Verdict::Yes,
            (true, _) | (_, None) => Verdict::Maybe,
            (false, Some(false)) => Verdict::No,
        }),
        _ => None,
    }
}

fn commands(client: &[u8], server: &[u8], greeted: Option<bool>) -> Verdict {
    if let Some(verdict) = compressed(client, server) {
        return verdict;
    }
    let kind = client.get(HEAD).map_or(Request::Query, |&first| request(first));
    let answered = if server.is_empty() { None } else { is_answer(server, kind, Some(1)) };
    let found = match shape(client) {
        // PostgreSQL's Query and Parse of 22 bytes begin like a COM_STMT_PREPARE of 81 or 80, and are over before it.
        Shape::Strong if matches!(client, [b'P' | b'Q', 0, 0, 0, command::STMT_PREPARE, ..]) && !is_whole(client) => {
            Shape::Open
        }
        Shape::Good if breaks_off(client) => Shape::Wrong,
        Shape::Good if goes_on(client) => Shape::Strong,
        found => found,
    };
    match (found, answered) {
        (Shape::Wrong, _) => Verdict::No,
        (Shape::Good | Shape::Strong, Some(true)) | (Shape::Strong, None) => Verdict::Yes,
        (_, _) if greeted == Some(true) => Verdict::Yes,
        // What the server sends may be the middle of an answer.
        (Shape::Strong, Some(false)) => Verdict::Likely,
        (Shape::Good | Shape::Open, Some(false)) => Verdict::No,
        (Shape::Good | Shape::Open, None) | (Shape::Open, Some(true)) => Verdict::Maybe,
    }
}
