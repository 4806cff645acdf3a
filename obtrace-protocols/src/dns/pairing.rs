//! Which response belongs to which query: the one with the same number and question, in any order.

use alloc::{collections::VecDeque, string::String, vec::Vec};
use core::fmt::Write;

use super::{
    codes::{Opcode, Rcode, RecordType},
    detect,
    message::{Message as View, Record, RecordData, Section},
    name::write_escaped,
};
use crate::{Completeness, Message, Timestamp, parser::Context, parser::Side, stream::Mark};

/// Most answers written out.
const MAX_ANSWERS: usize = 16;
/// The longest name of an issuer of certificates.
const MAX_NAME: usize = 255;
/// The properties of a CAA record whose values begin with a name
/// ([RFC 8659 §4](https://www.rfc-editor.org/rfc/rfc8659#section-4),
/// [RFC 9495](https://www.rfc-editor.org/rfc/rfc9495#section-3)).
const ISSUERS: [&[u8]; 3] = [b"issue", b"issuewild", b"issuemail"];
/// Most responses kept whose queries were not seen yet: they may be behind a hole in the other direction, or told of
/// out of order.
const MAX_EARLY: usize = 16;
/// Finished slots kept for the next queries.
const MAX_FREE: usize = 4;

/// A query, and what answered it.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) id: u64,
    pub(super) number: u16,
    pub(super) kind: RecordType,
    pub(super) opcode: Opcode,
    pub(super) is_datagram: bool,
    /// It came from the side that answers by the connection's role.
    pub(super) is_reversed: bool,
    pub(super) request: Message,
    pub(super) retransmissions: u32,
    last_sent: Timestamp,
    pub(super) response: Option<Message>,
    pub(super) flags: u16,
    pub(super) rcode: Rcode,
    pub(super) answer_count: u32,
    pub(super) completeness: Completeness,
    /// The name asked for, what it is called as an operation if that has no name of its own, and the answers, one a
    /// line: nothing in them is written with a line end.
    pub(super) text: String,
    pub(super) name_end: usize,
    pub(super) operation_end: usize,
    answers_written: usize,
    transfer: Transfer,
}

/// How far the transfer of a zone is ([RFC 5936](https://www.rfc-editor.org/rfc/rfc5936),
/// [RFC 1995](https://www.rfc-editor.org/rfc/rfc1995)): it begins and ends with the same SOA record.
#[derive(Clone, Copy, Debug, Default)]
struct Transfer {
    serial: Option<u32>,
    starts: u32,
    records: u32,
    is_incremental: bool,
}

impl Query {
    fn is_transfer(&self) -> bool {
        !self.is_datagram && matches!(self.kind, RecordType::AXFR | RecordType::IXFR)
    }

    pub(super) fn name(&self) -> &str {
        self.text.get(..self.name_end).unwrap_or_default()
    }

    pub(super) fn answers(&self) -> &str {
        self.text.get(self.operation_end..).unwrap_or_default()
    }

    fn reset(&mut self) {
        let mut text = core::mem::take(&mut self.text);
        text.clear();
        *self = Self { text, ..Self::default() };
    }
}

/// Queries that wait, and those that are finished.
#[derive(Debug, Default)]
pub(super) struct Queries {
    waiting: Vec<Query>,
    /// Responses that came before their queries were seen.
    early: VecDeque<Query>,
    done: VecDeque<Query>,
    free: Vec<Query>,
    pub(super) current: Option<Query>,
    scratch: String,
}

/// A message as it passed.
pub(super) struct Passed {
    pub(super) side: Side,
    pub(super) is_datagram: bool,
    pub(super) start: Mark,
    pub(super) end: Timestamp,
    /// With the length in front.
    pub(super) size: u64,
    /// More of it follows than was kept.
    pub(super) is_cut: bool,
}

impl Passed {
    fn message(&self) -> Message {
        let Mark { offset, at, tag } = self.start;
        Message { start: at, end: self.end, size: self.size, offset, tag }
    }
}

impl Queries {
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.done.is_empty()
    }

    pub(super) fn memory(&self) -> usize {
        let slots = [&self.done, &self.early].map(VecDeque::capacity).into_iter();
        let slots = slots.chain([&self.waiting, &self.free].map(Vec::capacity)).sum::<usize>();
        let queries = self.waiting.iter().chain(&self.early).chain(&self.done).chain(&self.free).chain(&self.current);
        let texts = queries.map(|query| query.text.capacity()).sum::<usize>();
        slots.saturating_mul(size_of::<Query>()).saturating_add(texts).saturating_add(self.scratch.capacity())
    }

    pub(super) fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    pub(super) fn take_done(&mut self) -> Option<&Query> {
        if let Some(last) = self.current.take()
            && self.free.len() < MAX_FREE
        {
            self.free.push(last);
        }
        self.current = self.done.pop_front();
        self.current.as_ref()
    }

    /// When the first datagram query will have waited for so many nanoseconds.
    pub(super) fn due(&self, timeout: u64) -> Option<Timestamp> {
        let sent = self.waiting.iter().filter(|query| query.is_datagram).map(|query| query.last_sent);
        sent.min().map(|sent| sent.saturating_add(timeout))
    }

    /// Gives up those that have waited for so long.
    pub(super) fn expire(&mut self, timeout: u64, now: Timestamp) {
        let mut index = 0_usize;
        while let Some(query) = self.waiting.get(index) {
            if query.is_datagram && query.last_sent.saturating_add(timeout) <= now {
                self.give_up(index, Completeness::ResponseMissing);
            } else {
                index = index.saturating_add(1);
            }
        }
    }

    fn give_up(&mut self, index: usize, completeness: Completeness) {
        let mut query = self.waiting.remove(index);
        if query.completeness == Completeness::Complete {
            query.completeness = if query.response.is_some() { Completeness::Truncated } else { completeness };
        }
        self.done.push_back(query);
    }

    pub(super) fn close(&mut self) {
        while !self.waiting.is_empty() {
            self.give_up(0, Completeness::ResponseMissing);
        }
    }

    /// Responses were lost: which of those that wait were answered is not known.
    pub(super) fn responses_lost(&mut self) {
        for query in &mut self.waiting {
            query.completeness = Completeness::Gap;
        }
    }

    /// Takes a message.
    pub(super) fn take(&mut self, bytes: &[u8], passed: &Passed, cx: &mut Context<'_>) {
        let Ok(view) = View::new(bytes) else { return };
        if view.is_response() {
            self.response(&view, passed, cx);
        } else {
            self.query(&view, passed, cx);
        }
    }

    fn query(&mut self, view: &View<'_>, passed: &Passed, cx: &mut Context<'_>) {
        let Some(Ok(question)) = view.questions().next() else { return };
        if !detect::is_plain(&question) {
            return;
        }
        self.write_name(&question.name);
        let is_reversed = passed.side == Side::Server;
        let scratch = &self.scratch;
        let same = |query: &&mut Query| {
            let key = (query.number, query.kind, query.is_reversed, query.is_datagram);
            key == (view.id(), question.kind, is_reversed, true) && query.name() == scratch
        };
        if let Some(query) = self.waiting.iter_mut().find(same).filter(|_| passed.is_datagram) {
            query.retransmissions = query.retransmissions.saturating_add(1);
            query.last_sent = passed.start.at;
            return;
        }
        self.early.retain(|early| early.response.is_some_and(|response| response.end >= passed.start.at));
        while self.waiting.len() >= cx.config.max_pending as usize {
            self.give_up(0, Completeness::ResponseMissing);
        }
        let early = self.early.iter().position(|early| {
            let key = (early.number, early.kind, early.is_reversed, early.is_datagram);
            key == (view.id(), question.kind, is_reversed, passed.is_datagram)
                && early.name().eq_ignore_ascii_case(&self.scratch)
        });
        let early = early.and_then(|index| self.early.remove(index));
        let is_answered = early.is_some();
        let mut query = early.unwrap_or_else(|| self.slot(view.id(), question.kind));
        query.id = cx.open_at(passed.start.offset, passed.start.at, passed.start.tag, None);
        query.opcode = view.opcode();
        query.is_datagram = passed.is_datagram;
        query.is_reversed = is_reversed;
        query.request = passed.message();
        query.last_sent = passed.start.at;
        if is_answered && query.is_over() {
            self.done.push_back(query);
            return;
        }
        if !is_answered {
            query.flags = view.flags();
        }
        self.waiting.push(query);
    }

    /// A slot with this number and the question that was written last.
    fn slot(&mut self, number: u16, kind: RecordType) -> Query {
        let mut query = self.free.pop().unwrap_or_default();
        query.reset();
        query.number = number;
        query.kind = kind;
        query.text.push_str(&self.scratch);
        query.name_end = query.text.len();
        if kind.name().is_none() {
            // Writing to a string cannot fail.
            let _ = write!(query.text, "{kind}");
        }
        query.operation_end = query.text.len();
        query
    }

    fn write_name(&mut self, name: &super::message::Name<'_>) {
        self.scratch.clear();
        let _ = write!(self.scratch, "{name}");
    }

    fn response(&mut self, view: &View<'_>, passed: &Passed, cx: &Context<'_>) {
        let question = view.questions().next().and_then(Result::ok);
        if let Some(question) = &question {
            self.write_name(&question.name);
        }
        let is_reversed = passed.side == Side::Client;
        let scratch = &self.scratch;
        let asked = |query: &Query| match &question {
            Some(question) => query.kind == question.kind && query.name().eq_ignore_ascii_case(scratch),
            None => view.counts()[0] == 0,
        };
        let belongs = |query: &Query| {
            (query.number, query.is_reversed, query.is_datagram) == (view.id(), is_reversed, passed.is_datagram)
                && asked(query)
                && query.request.start <= passed.end
        };
        let index = self.waiting.iter().position(belongs);
        let max_text = cx.config.max_text as usize;
        let Some((index, query)) = index.and_then(|index| Some((index, self.waiting.get_mut(index)?))) else {
            if let Some(question) = question {
                let mut query = self.slot(view.id(), question.kind);
                query.is_datagram = passed.is_datagram;
                query.is_reversed = is_reversed;
                query.answered(view, passed, max_text);
                if self.early.len() >= MAX_EARLY {
                    self.early.pop_front();
                }
                self.early.push_back(query);
            }
            return;
        };
        query.answered(view, passed, max_text);
        if query.is_over() {
            let query = self.waiting.remove(index);
            self.done.push_back(query);
        }
    }
}

impl Query {
    /// Takes a response, which is the first one or goes on with the transfer of a zone.
    fn answered(&mut self, view: &View<'_>, passed: &Passed, max_text: usize) {
        let message = passed.message();
        self.response = Some(match self.response {
            Some(first) => Message { end: message.end, size: first.size.saturating_add(message.size), ..first },
            None => message,
        });
        self.completeness = Completeness::Complete;
        self.flags = view.flags();
        let is_whole = self.read(view, max_text);
        if !is_whole && !view.is_truncated() && !passed.is_cut {
            self.completeness = Completeness::Truncated;
        }
    }
}

impl Query {
    /// Reads the records: the answers as text, and the upper bits of the response code. Whether all of them could be
    /// read.
    fn read(&mut self, view: &View<'_>, max_text: usize) -> bool {
        let mut rcode = view.header_rcode().number();
        let mut is_whole = true;
        for record in view.records() {
            let Ok(record) = record else {
                is_whole = false;
                break;
            };
            if record.kind == RecordType::OPT && record.section == Section::Additional {
                // RFC 6891 §6.1.3: eight bits of the time to live go in front of the four of the header.
                rcode |= u16::try_from(record.ttl >> 20 & 0xff0).unwrap_or(0);
            }
            if record.section != Section::Answer {
                continue;
            }
            self.answer_count = self.answer_count.saturating_add(1);
            if self.is_transfer() {
                self.transfer.count(&record);
            } else if self.answers_written < MAX_ANSWERS {
                self.write_answer(&record, max_text);
            }
        }
        self.rcode = Rcode::new(rcode);
        is_whole
    }

    fn write_answer(&mut self, record: &Record<'_>, max_text: usize) {
        let before = self.text.len();
        if before > self.operation_end {
            self.text.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = write_data(&mut self.text, record);
        if self.text.len().saturating_sub(self.operation_end) > max_text {
            self.text.truncate(before);
            self.answers_written = MAX_ANSWERS;
        }
        self.answers_written = self.answers_written.saturating_add(1);
    }

    /// Whether nothing more follows this response.
    fn is_over(&self) -> bool {
        let Transfer { starts, records, is_incremental, .. } = self.transfer;
        let ends = if is_incremental { 3 } else { 2 };
        // A single record: the asker's copy of the zone is the newest.
        let unchanged = self.kind == RecordType::IXFR && records == 1;
        !self.is_transfer() || self.rcode != Rcode::NOERROR || starts >= ends || unchanged || records == 0
    }
}

impl Transfer {
    fn count(&mut self, record: &Record<'_>) {
        self.records = self.records.saturating_add(1);
        let RecordData::Soa { serial, .. } = record.data() else { return };
        let first = *self.serial.get_or_insert(serial);
        // The old version of the zone right after the new one: differences follow, and not the zone.
        self.is_incremental |= self.records == 2 && serial != first;
        if serial == first {
            self.starts = self.starts.saturating_add(1);
        }
    }
}

fn write_data(out: &mut String, record: &Record<'_>) -> core::fmt::Result {
    match record.data() {
        RecordData::A(address) => write!(out, "{address}"),
        RecordData::Aaaa(address) => write!(out, "{address}"),
        RecordData::Name(name) => write!(out, "{name}"),
        RecordData::Mx { preference, exchange } => write!(out, "{preference} {exchange}"),
        RecordData::Srv { priority, weight, port, target } => write!(out, "{priority} {weight} {port} {target}"),
        RecordData::Soa { primary, mailbox, serial } => write!(out, "{primary} {mailbox} {serial}"),
        RecordData::Svcb { priority, target } => write!(out, "{priority} {target}"),
        // Who issues, without the parameters: an account may be among them.
        RecordData::Caa { flags, tag, value } if ISSUERS.contains(&tag) => {
            write!(out, "{flags} ")?;
            write_escaped(out, tag, false)?;
            let issuer = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            if !issuer.is_empty() && issuer.len() <= MAX_NAME && issuer.iter().all(is_name) {
                out.push(' ');
                write_escaped(out, issuer, false)?;
            }
            Ok(())
        }
        RecordData::Caa { tag, value, .. } => {
            write!(out, "{} \\# {}", record.kind, value.len().saturating_add(tag.len()).saturating_add(2))
        }
        // Proofs of who owns a name are there, and what programs keep in them.
        RecordData::Txt(bytes) => write!(out, "{} \\# {}", record.kind, bytes.len()),
        // RFC 3597 §5, without the bytes.
        RecordData::Other(bytes) => write!(out, "{} \\# {}", record.kind, bytes.len()),
    }
}
