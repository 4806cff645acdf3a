//! Statements on connections whose protocol is not known: the last resort of the detection, only with
//! [`Config::heuristic_sql`](crate::Config::heuristic_sql).
//!
//! Nothing is known of messages: what a client sends until it is answered is a request, what comes until it sends
//! more is the response. A request with text that is beyond doubt a statement is an exchange; the others are none. It
//! is told when the client goes on, after a second of silence, or at the end. Whether it failed nobody can tell.

mod find;

use alloc::{borrow::Cow, boxed::Box, collections::VecDeque, vec::Vec};

use super::{Digest, Grammar};
use crate::{
    Completeness, Config, Details, Exchange, Message, Protocol, Role, Stage, Timestamp,
    exchange::own,
    parser::{Context, Parser, Side, Step},
};

/// Kept of a request beside the text that is asked for: what stands before the statement.
const BEFORE: usize = 1024;
/// After so much silence, in nanoseconds, a response is over.
const QUIET: u64 = 1_000_000_000;

/// What a statement on an unknown protocol has.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SqlDetails<'a> {
    /// The text of the statement with its literals replaced ([`sanitize`](crate::sql::sanitize)), or as it is with
    /// [`Config::raw_sql`](crate::Config::raw_sql). Without its literals it ends in a `?` where dialects disagree on where
    /// one ends.
    pub statement: Cow<'a, str>,
    /// The statement is longer than what was read of it.
    pub statement_cut: bool,
    /// The `db.query.summary` ([`summary`](crate::sql::summary)).
    pub summary: Cow<'a, str>,
    /// Statements in it.
    pub batch_size: u32,
}

impl SqlDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> SqlDetails<'static> {
        SqlDetails {
            statement: own(self.statement),
            statement_cut: self.statement_cut,
            summary: own(self.summary),
            batch_size: self.batch_size,
        }
    }
}

/// Whether these bytes hold a statement that is beyond doubt.
pub(crate) fn has_statement(bytes: &[u8]) -> bool {
    find::find(bytes).is_some()
}

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::new(SqlParser::default())
}

#[derive(Debug)]
struct Entry {
    id: u64,
    digest: Digest,
    cut: bool,
    request: Message,
    response: Option<Message>,
    gap: bool,
}

#[derive(Debug, Default)]
struct SqlParser {
    /// What the client has sent since it was answered last, as far as it is kept.
    said: Vec<u8>,
    request: Option<Message>,
    /// What is answered now, if it was a statement.
    open: Option<Entry>,
    done: VecDeque<Entry>,
    lent: bool,
    /// Digests that are used again.
    spare: Vec<Digest>,
    last: Timestamp,
    role: Option<Role>,
}

impl SqlParser {
    fn hear(&mut self, size: usize, cx: &Context<'_>) {
        let message = message(size, cx);
        if let Some(open) = &mut self.open {
            match &mut open.response {
                Some(response) => extend(response, &message),
                None => open.response = Some(message),
            }
        }
    }

    fn say(&mut self, bytes: &[u8], cx: &Context<'_>) {
        if self.request.is_none() {
            self.finish();
        }
        let message = message(bytes.len(), cx);
        match &mut self.request {
            Some(request) => extend(request, &message),
            None => self.request = Some(message),
        }
        let most = (cx.config.max_text as usize).saturating_add(BEFORE);
        let room = most.saturating_sub(self.said.len()).min(bytes.len());
        self.said.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    /// What the client has said is answered now, or is all there is.
    fn begin(&mut self, cx: &mut Context<'_>) {
        let Some(request) = self.request.take() else { return };
        if let Some(text) = find::find(&self.said) {
            let max = cx.config.max_text as usize;
            let cut = text.len() > max || request.size > self.said.len() as u64 && self.said.ends_with(text);
            let text = text.get(..max).unwrap_or(text);
            let mut digest = self.spare.pop().unwrap_or_default();
            digest.read_as(text, Grammar::UNKNOWN, cx.config.raw_sql);
            if !digest.operation().is_empty() {
                let id = cx.take_id();
                cx.tell(id, &request, Stage::Certain);
                self.open = Some(Entry { id, digest, cut, request, response: None, gap: false });
            }
        }
        self.said.clear();
    }

    /// What is answered is over.
    fn finish(&mut self) {
        if let Some(open) = self.open.take() {
            self.done.push_back(open);
        }
    }

    fn release_lent(&mut self) {
        if core::mem::take(&mut self.lent)
            && let Some(entry) = self.done.pop_front()
            && self.spare.is_empty()
        {
            self.spare.push(entry.digest);
        }
    }
}

fn message(size: usize, cx: &Context<'_>) -> Message {
    let (first, last) = (cx.mark_at(cx.offset), cx.mark_at(cx.offset.saturating_add(size.saturating_sub(1) as u64)));
    Message { start: first.at, end: last.at, size: size as u64, offset: cx.offset, tag: first.tag }
}

fn extend(message: &mut Message, by: &Message) {
    message.size = message.size.saturating_add(by.size);
    message.end = message.end.max(by.end);
}

impl Parser for SqlParser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.role = Some(cx.role);
        self.last = self.last.max(cx.now);
        match side {
            Side::Client => self.say(bytes, cx),
            Side::Server => {
                self.begin(cx);
                self.hear(bytes.len(), cx);
            }
        }
        Step::need(bytes.len(), 1)
    }

    fn gap(&mut self, side: Side, _length: u64, cx: &mut Context<'_>) {
        self.last = self.last.max(cx.now);
        match (side, &mut self.open) {
            (Side::Client, _) => {
                // What is left need not be one statement.
                self.request = None;
                self.said.clear();
                // What is heard next may answer what was lost.
                self.finish();
            }
            (Side::Server, Some(open)) => open.gap = true,
            (Side::Server, None) => {}
        }
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        self.role = Some(cx.role);
        if self.request.is_some() {
            self.finish();
        }
        self.begin(cx);
        self.finish();
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.open.as_ref().filter(|open| open.response.is_some()).map(|_| self.last.saturating_add(QUIET))
    }

    fn timeout(&mut self, _cx: &mut Context<'_>) {
        self.finish();
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        self.release_lent();
        let entry = self.done.front()?;
        self.lent = true;
        let details = SqlDetails {
            statement: Cow::Borrowed(entry.digest.text()),
            statement_cut: entry.cut,
            summary: Cow::Borrowed(entry.digest.summary()),
            batch_size: entry.digest.statements(),
        };
        Some(Exchange {
            id: entry.id,
            protocol: Protocol::Sql,
            role: self.role.unwrap_or(Role::Client),
            operation: Cow::Borrowed(entry.digest.operation()),
            target: Cow::Borrowed(entry.digest.target()),
            error: None,
            request: entry.request,
            response: entry.response,
            completeness: match (entry.gap, entry.response) {
                (true, _) => Completeness::Gap,
                (false, Some(_)) => Completeness::Complete,
                (false, None) => Completeness::ResponseMissing,
            },
            details: Details::Sql(details),
        })
    }

    fn has_exchange(&self) -> bool {
        self.done.len() > usize::from(self.lent)
    }

    fn memory(&self) -> usize {
        let digests = self.spare.iter().chain(self.done.iter().map(|entry| &entry.digest));
        let digests = digests.chain(self.open.iter().map(|entry| &entry.digest)).map(Digest::memory).sum::<usize>();
        let entries = self.done.capacity().saturating_mul(size_of::<Entry>());
        let spare = self.spare.capacity().saturating_mul(size_of::<Digest>());
        size_of::<Self>()
            .saturating_add(self.said.capacity())
            .saturating_add(digests)
            .saturating_add(entries)
            .saturating_add(spare)
    }

    fn shrink(&mut self) {
        self.release_lent();
        self.said.shrink_to_fit();
        self.done.shrink_to_fit();
        self.spare = Vec::new();
    }
}

#[cfg(test)]
mod tests;
