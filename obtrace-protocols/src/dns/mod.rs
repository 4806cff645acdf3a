//! DNS ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035)) over UDP and TCP (§4.2), with compressed names (§4.1.4), EDNS
//! ([RFC 6891](https://www.rfc-editor.org/rfc/rfc6891)) and types without a name ([RFC 3597](https://www.rfc-editor.org/rfc/rfc3597)).
//!
//! A query and its response are an exchange. A query that is sent again (same number, same question) is the same one;
//! asking again over TCP because the response was cut is another one. The transfer of a zone is one exchange however
//! many messages it takes. Multicast DNS is left out.
//!
//! Limits: names of 255 bytes, 127 pointers in one; 16 answers are written out, all of them up to [`Config::max_text`], and
//! all are counted. Of a TXT record, and of one whose type has no view, only the length is told: what is in it may be a
//! secret. Of a message over TCP half of
//! [`Config::max_buffered`](crate::Config::max_buffered) is read. As many queries wait as
//! [`Config::max_pending`](crate::Config::max_pending) says, over UDP as long as
//! [`Config::datagram_timeout`](crate::Config::datagram_timeout); 16 responses whose queries were not seen yet.

mod codes;
mod detect;
pub mod message;
mod name;
mod pairing;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;

use alloc::{borrow::Cow, boxed::Box};

pub use codes::{Opcode, Rcode, RecordType};
pub(crate) use detect::{matches, matches_datagram};
use pairing::{Passed, Queries, Query};

use crate::{
    Config, Details, Exchange, Protocol, Role, Timestamp,
    exchange::own,
    parser::{Context, Parser, Side, Step, Then},
    stream::Mark,
};

/// What DNS went over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// Datagrams.
    #[default]
    Udp,
    /// A stream, each message after its length ([RFC 7766](https://www.rfc-editor.org/rfc/rfc7766)).
    Tcp,
}

/// What only DNS has.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DnsDetails<'a> {
    /// The number of the query.
    pub id: u16,
    /// The name asked for, in the case in which it was asked, without the dot at its end; `.` for the root. What is not
    /// printable is escaped: see [`message::Name`].
    pub question: Cow<'a, str>,
    /// The type asked for.
    pub question_type: RecordType,
    /// What was asked to be done; nearly always [`Opcode::QUERY`].
    pub opcode: Opcode,
    /// The response code. `None` without a response.
    pub rcode: Option<Rcode>,
    /// The answers. The zone's records of a transfer are not among them.
    pub answers: Answers<'a>,
    /// How many records the answer section has.
    pub answer_count: u32,
    /// AA: the server is responsible for the name.
    pub authoritative: bool,
    /// TC: the response was cut.
    pub truncated: bool,
    /// RD: recursion was asked for.
    pub recursion_desired: bool,
    /// RA: the server offers recursion.
    pub recursion_available: bool,
    /// How many times the query was sent again.
    pub retransmissions: u32,
    /// What it went over.
    pub transport: Transport,
}

/// The answers as text: addresses, names, numbers before them (`10 mail.example.com` of an MX record); of free text the
/// length (`TXT \# 12`). At most 16, at most [`Config::max_text`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers<'a>(Cow<'a, str>);

impl Answers<'_> {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }
}

impl DnsDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> DnsDetails<'static> {
        DnsDetails {
            id: self.id,
            question: own(self.question),
            question_type: self.question_type,
            opcode: self.opcode,
            rcode: self.rcode,
            answers: Answers(own(self.answers.0)),
            answer_count: self.answer_count,
            authoritative: self.authoritative,
            truncated: self.truncated,
            recursion_desired: self.recursion_desired,
            recursion_available: self.recursion_available,
            retransmissions: self.retransmissions,
            transport: self.transport,
        }
    }
}

pub(crate) fn new_parser(config: &Config) -> Box<dyn Parser> {
    Box::new(DnsParser { timeout: config.datagram_timeout, ..DnsParser::default() })
}

#[derive(Debug, Default)]
struct DnsParser {
    timeout: u64,
    client: Half,
    server: Half,
    role: Option<Role>,
    /// What exists while something is in flight.
    queries: Option<Box<Queries>>,
}

/// One direction of a stream.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    /// Offset of the next byte to come, but for what is skipped.
    position: u64,
    /// Where the message that is being collected ends; bytes of a longer one than can be held are skipped up to there.
    until: u64,
    /// Where messages begin is not known.
    is_lost: bool,
}

impl DnsParser {
    fn stream(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let queries = &mut **self.queries.get_or_insert_with(Box::default);
        let half = match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        let start = cx.offset;
        // Half of what may be held: the chunk that completes a message has to fit in, too.
        let most = (cx.config.max_buffered as usize / 2).saturating_sub(2);
        let mut at = 0_usize;
        let then = loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let offset = start.saturating_add(at as u64);
            half.position = offset;
            if half.is_lost {
                match detect::begins(rest, side == Side::Server) {
                    Some(true) => half.is_lost = false,
                    Some(false) => {
                        at = at.saturating_add(1);
                        continue;
                    }
                    None => break Then::Need(rest.len().saturating_add(1)),
                }
            }
            let &[high, low, ref body @ ..] = rest else { break Then::Need(2) };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length < message::HEADER {
                half.is_lost = true;
                at = at.saturating_add(1);
                break Then::Misframed;
            }
            let kept = length.min(most);
            half.until = offset.saturating_add(2).saturating_add(length as u64);
            let Some(message) = body.get(..kept) else { break Then::Need(kept.saturating_add(2)) };
            let used = kept.saturating_add(2);
            let last = offset.saturating_add(used as u64).saturating_sub(1);
            let passed = Passed {
                side,
                is_datagram: false,
                start: Mark { offset, ..cx.mark_at(offset) },
                end: cx.mark_at(last).at,
                size: length.saturating_add(2) as u64,
                is_cut: kept < length,
            };
            queries.take(message, &passed, cx);
            at = at.saturating_add(used);
            if kept < length {
                break Then::Skip(length.saturating_sub(kept) as u64);
            }
        };
        half.position = start.saturating_add(at as u64);
        Step { consumed: at, then }
    }
}

impl Parser for DnsParser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.role = Some(cx.role);
        self.stream(side, bytes, cx)
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        let half = match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        half.is_lost |= length == 0 || half.until != cx.offset;
        half.position = cx.offset;
        if let (Side::Server, Some(queries)) = (side, self.queries.as_deref_mut()) {
            queries.responses_lost();
        }
    }

    fn datagram(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) {
        self.role = Some(cx.role);
        let mark = cx.mark_at(cx.offset);
        let size = bytes.len() as u64;
        let passed = Passed { side, is_datagram: true, start: mark, end: mark.at, size, is_cut: false };
        self.queries.get_or_insert_with(Box::default).take(bytes, &passed, cx);
    }

    fn close(&mut self, _cx: &mut Context<'_>) {
        if let Some(queries) = self.queries.as_deref_mut() {
            queries.close();
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.queries.as_ref()?.due(self.timeout)
    }

    fn timeout(&mut self, cx: &mut Context<'_>) {
        if let Some(queries) = self.queries.as_deref_mut() {
            queries.expire(self.timeout, cx.now);
        }
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        let role = self.role.unwrap_or(Role::Client);
        self.queries.as_deref_mut()?.take_done().map(|query| exchange(query, role))
    }

    fn has_exchange(&self) -> bool {
        self.queries.as_ref().is_some_and(|queries| queries.has_done())
    }

    fn memory(&self) -> usize {
        let queries = self.queries.as_ref();
        let held = queries.map_or(0, |queries| size_of::<Queries>().saturating_add(queries.memory()));
        size_of::<Self>().saturating_add(held)
    }

    fn shrink(&mut self) {
        if self.queries.as_ref().is_some_and(|queries| queries.is_idle()) {
            self.queries = None;
        }
    }
}

/// The operation is the type asked for; of what is no standard query its opcode.
fn operation(query: &Query) -> &str {
    match (query.opcode, query.opcode.name()) {
        (Opcode::QUERY, _) | (_, None) => {
            let written = query.text.get(query.name_end..query.operation_end).unwrap_or_default();
            query.kind.name().unwrap_or(written)
        }
        (_, Some(name)) => name,
    }
}

fn exchange(query: &Query, role: Role) -> Exchange<'_> {
    let has_response = query.response.is_some();
    let rcode = has_response.then_some(query.rcode);
    let error = rcode.filter(|&rcode| rcode != Rcode::NOERROR).map(|rcode| rcode.name().unwrap_or("_OTHER"));
    let flag = |bit: u16| query.flags & bit != 0;
    Exchange {
        id: query.id,
        protocol: Protocol::Dns,
        role: if query.is_reversed { role.peer() } else { role },
        operation: Cow::Borrowed(operation(query)),
        target: Cow::Borrowed(query.name()),
        error: error.map(Cow::Borrowed),
        request: query.request,
        response: query.response,
        completeness: query.completeness,
        details: Details::Dns(DnsDetails {
            id: query.number,
            question: Cow::Borrowed(query.name()),
            question_type: query.kind,
            opcode: query.opcode,
            rcode,
            answers: Answers(Cow::Borrowed(query.answers())),
            answer_count: query.answer_count,
            authoritative: has_response && flag(0x0400),
            truncated: has_response && flag(0x0200),
            recursion_desired: flag(0x0100),
            recursion_available: has_response && flag(0x0080),
            retransmissions: query.retransmissions,
            transport: if query.is_datagram { Transport::Udp } else { Transport::Tcp },
        }),
    }
}
