//! Which answer belongs to which request.
//!
//! Redis answers in order, so that a queue pairs them, but for: messages of subscriptions and other pushes (no request
//! belongs to them), subscriptions (an answer a channel), `CLIENT REPLY` (no answers), and bytes that were lost (see
//! `loss`).

use alloc::{boxed::Box, collections::VecDeque};

use super::{
    command::{Answer as Shape, Spec, Special, Word},
    loss::{MULTIPLEXED_TOUCHES, Segment},
    resp::Kind,
    text::{Span, Texts},
};
use crate::{Completeness, Message, Timestamp, parser::Context};

/// Most answers kept that nobody is known to wait for.
const MAX_ORPHANS: usize = 256;

/// What is known of the connection as a whole. Small: it is kept while nothing is in flight.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Session {
    /// The selected database.
    pub(super) database: Option<u32>,
    /// The database selected inside a transaction.
    pub(super) queued_database: Option<u32>,
    /// Channels, patterns and shard channels subscribed to.
    pub(super) subscriptions: [u32; 3],
    pub(super) reply: ReplyMode,
    pub(super) is_resp3: bool,
    pub(super) in_multi: bool,
    pub(super) is_monitor: bool,
    /// A replica's connection: from here on both directions are another protocol.
    pub(super) is_replication: bool,
    /// The client does not wait for all answers before it sends again.
    pub(super) is_multiplexed: bool,
}

/// `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ReplyMode {
    #[default]
    On,
    Off,
    /// The next command is not answered.
    Skip,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not sent to its end.
    #[default]
    Building,
    /// Waits for its answer.
    Waiting,
    Done,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) progress: Progress,
    pub(super) spec: Option<&'static Spec>,
    pub(super) message: Message,
    /// Its name was read, and it was announced.
    pub(super) is_named: bool,
    /// The sanitised statement; its first `name_length` bytes are the name.
    pub(super) statement: Span,
    pub(super) name_length: u32,
    pub(super) key: Option<Span>,
    pub(super) arguments: u32,
    /// The number that `SELECT` and `HELLO` carry.
    pub(super) number: Option<u32>,
    /// Answers that a subscription waits for. 0: as many as there are subscriptions left.
    pub(super) confirmations: u32,
    pub(super) in_transaction: bool,
    /// It is not known which answer belongs to it.
    pub(super) is_uncertain: bool,
    pub(super) completeness: Completeness,
    pub(super) database: Option<u32>,
    pub(super) answer: Option<Answer>,
}

impl Request {
    pub(super) fn special(&self) -> Special {
        self.spec.map_or(Special::Plain, |spec| spec.special)
    }

    /// No part of its answer could be taken for an answer.
    pub(super) fn has_single_answer(&self) -> bool {
        self.spec.is_some_and(|spec| spec.answer.is_single(self.arguments))
    }

    /// Whether this could be what is left of its answer, the beginning of which was lost.
    pub(super) fn may_be_part(&self, answer: &Answer) -> bool {
        let is_whole = match self.spec {
            Some(spec) if spec.special == Special::Hello => answer.word.as_str() == "SERVER",
            Some(spec) if matches!(spec.answer, Shape::List | Shape::Sparse) => {
                spec.answer.allows(answer.kind, answer.is_queued())
            }
            _ => false,
        };
        // That a script is missing no script says.
        let is_missing = answer.error.is_some_and(|error| error.as_str() == "NOSCRIPT");
        let is_error = answer.kind.is_error() && (is_missing || !self.spec.is_some_and(Spec::nests_errors));
        !self.has_single_answer() && !is_whole && !is_error
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) message: Message,
    pub(super) kind: Kind,
    /// Bytes of a string, elements of an aggregate.
    pub(super) length: Option<u64>,
    /// The first word of a line, an error or an array of strings.
    pub(super) word: Word,
    /// The error or the first error inside; empty: it does not follow the convention of a word in capitals.
    pub(super) error: Option<Word>,
    pub(super) nested_errors: u32,
    /// The last integer in it.
    pub(super) integer: i64,
    pub(super) gap: bool,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            message: Message::default(),
            kind: Kind::Null,
            length: None,
            word: Word::default(),
            error: None,
            nested_errors: 0,
            integer: 0,
            gap: false,
        }
    }
}

impl Answer {
    fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::SimpleString && self.word.as_bytes() == word.as_bytes()
    }

    pub(super) fn is_queued(&self) -> bool {
        self.is_word("QUEUED")
    }
}

/// Requests that wait for their answers, or to be taken.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) requests: VecDeque<Request>,
    /// How many of the first ones are done.
    pub(super) done: usize,
    pub(super) texts: Texts,
    /// Answers to come that belong to requests which were given up.
    pub(super) owed: u64,
    /// Answers that came while nothing waited: their requests may have been lost, and the loss not noticed yet.
    pub(super) orphans: VecDeque<Answer>,
    pub(super) segment: Option<Box<Segment>>,
    /// When the last answer ended.
    last_answer: Timestamp,
    /// An answer is being read.
    pub(super) mid_reply: bool,
    /// A moment came when nothing was in flight: the next byte of the server begins an answer.
    pub(super) is_settled: bool,
    /// The one that was handed out last: its texts are still borrowed.
    pub(super) current: Option<Request>,
}

impl Queue {
    pub(super) fn is_idle(&self) -> bool {
        self.requests.is_empty() && self.segment.is_none() && self.owed == 0
    }

    pub(super) fn memory(&self) -> usize {
        let requests = self.requests.capacity().saturating_mul(size_of::<Request>());
        let segment = self.segment.as_ref().map_or(0, |segment| segment.memory());
        let orphans = self.orphans.capacity().saturating_mul(size_of::<Answer>());
        requests.saturating_add(segment).saturating_add(orphans).saturating_add(self.texts.capacity())
    }

    pub(super) fn has_done(&self) -> bool {
        self.done > 0
    }

    pub(super) fn take_done(&mut self) -> Option<&Request> {
        if let Some(last) = self.current.take() {
            self.texts.free(last.statement);
        }
        self.done = self.done.checked_sub(1)?;
        self.current = self.requests.pop_front();
        self.current.as_ref()
    }

    fn advance(&mut self) {
        while self.requests.get(self.done).is_some_and(|request| request.progress == Progress::Done) {
            self.done = self.done.saturating_add(1);
        }
    }

    pub(super) fn finish(&mut self, index: usize, completeness: Completeness) {
        if let Some(request) = self.requests.get_mut(index) {
            request.progress = Progress::Done;
            if request.completeness == Completeness::Complete {
                request.completeness = completeness;
            }
        }
        self.advance();
    }

    fn waiting(&self) -> usize {
        self.requests.len().saturating_sub(self.done)
    }

    /// The request that the next answer belongs to.
    pub(super) fn front(&self) -> Option<&Request> {
        self.requests.get(self.done).filter(|request| !request.is_uncertain)
    }

    fn front_special(&self) -> Option<Special> {
        self.front().map(Request::special)
    }

    /// Whether a `SYNC` or `PSYNC` waits: its answer is the last one.
    pub(super) fn waits_for_sync(&self) -> bool {
        self.requests.get(self.done).is_some_and(|request| request.special() == Special::Sync)
    }

    /// How many of the next `length` bytes of the server passed before the request that waits was sent: they belong
    /// to something else.
    pub(super) fn older_than_front(&self, length: usize, cx: &Context<'_>) -> usize {
        let Some(start) = self.front().filter(|_| self.segment.is_none()).map(|front| front.message.start) else {
            return 0;
        };
        let is_older = |at: usize| cx.mark_at(cx.offset.saturating_add(at as u64)).at < start;
        let (mut from, mut to) = (0, length);
        while from < to {
            let middle = from.midpoint(to);
            if is_older(middle) {
                from = middle.saturating_add(1);
            } else {
                to = middle;
            }
        }
        from
    }

    /// Whether everything that waits was sent after the server's stream was lost.
    pub(super) fn expects_answer(&self) -> bool {
        self.segment.is_none() && self.front().is_some()
    }

    /// Makes room for a request that begins at this offset, and notices whether the moment shows that nothing was in
    /// flight.
    pub(super) fn begin(&mut self, offset: u64, session: &mut Session, cx: &Context<'_>) {
        let mark = cx.mark_at(offset);
        let begins_chunk = mark.offset == offset;
        let front = self.front().map(|front| front.message.start);
        let has_front = front.is_some();
        // It has some of its answers, and does not wait for the others.
        session.is_multiplexed |= begins_chunk && front.is_some_and(|start| self.last_answer > start);
        let touches = if session.is_multiplexed { MULTIPLEXED_TOUCHES } else { 1 };
        let idle = begins_chunk && !has_front && !self.mid_reply;
        let settled = match self.segment.as_deref_mut() {
            Some(segment) => segment.is_settled(idle, mark.at, touches),
            None => {
                self.orphans.clear();
                self.waiting() == 0
            }
        };
        if settled {
            self.resolve(session, true);
        }
        self.is_settled |= settled;
        let limit = cx.config.max_pending as usize;
        while self.waiting() >= limit {
            self.give_up_oldest();
        }
    }

    pub(super) fn push(&mut self, mut request: Request) {
        if let Some(segment) = self.segment.as_deref_mut() {
            segment.add_request(request.message.start);
            request.is_uncertain = true;
        }
        self.requests.push_back(request);
    }

    fn give_up_oldest(&mut self) {
        let index = self.done;
        if let Some(request) = self.requests.get(index)
            && !request.is_uncertain
            && request.progress == Progress::Waiting
        {
            self.owed = self.owed.saturating_add(u64::from(request.confirmations.max(1)));
        }
        self.finish(index, Completeness::ResponseMissing);
    }

    /// The last request is whole: what it changes, and whether it is answered at all.
    pub(super) fn sent(&mut self, session: &mut Session, reply: Option<ReplyMode>) {
        let index = self.requests.len().saturating_sub(1);
        let Some(request) = self.requests.get_mut(index) else { return };
        if request.progress != Progress::Building {
            return;
        }
        request.progress = Progress::Waiting;
        let special = request.special();
        request.in_transaction =
            session.in_multi || matches!(special, Special::Multi | Special::Exec | Special::Discard);
        match special {
            Special::Multi => session.in_multi = true,
            Special::Exec | Special::Discard | Special::Reset => session.in_multi = false,
            Special::Subscribe | Special::Unsubscribe => request.confirmations = request.arguments,
            _ => {}
        }
        let uncertain = request.is_uncertain;
        let silent = session.reply != ReplyMode::On;
        if silent || reply.is_some() {
            session.reply = match (session.reply, reply) {
                (ReplyMode::Off, Some(ReplyMode::Skip) | None) => ReplyMode::Off,
                (_, Some(mode)) => mode,
                (_, None) => ReplyMode::On,
            };
            if reply != Some(ReplyMode::On) {
                return self.done_without_answer(index, uncertain, Completeness::Complete);
            }
        }
        if uncertain && special.is_subscription() {
            match self.segment.as_deref_mut() {
                // Its answers name it, and none were lost.
                Some(segment) if segment.is_whole() => segment.drop_request(),
                _ => self.done_without_answer(index, uncertain, Completeness::Gap),
            }
        }
    }

    fn done_without_answer(&mut self, index: usize, uncertain: bool, completeness: Completeness) {
        if let (true, Some(segment)) = (uncertain, self.segment.as_deref_mut()) {
            segment.drop_request();
        }
        self.finish(index, completeness);
    }
}

/// Answers.
impl Queue {
    /// Takes a whole answer.
    pub(super) fn answered(&mut self, answer: &Answer, session: &mut Session, cx: &Context<'_>) {
        self.last_answer = answer.message.end;
        if answer.kind == Kind::Push {
            session.is_resp3 = true;
        }
        if session.is_monitor && answer.kind == Kind::SimpleString && answer.word.as_bytes().is_empty() {
            return;
        }
        match self.push_kind(answer, session) {
            Pushed::Message => {}
            Pushed::Confirmation(kind, subscribed) => self.confirmed(kind, subscribed, answer, session),
            Pushed::No => self.paired(answer, session, cx),
        }
    }

    /// Whether an answer is none: RESP3 says so, in RESP2 it shows in the first word, in a state where no command
    /// could be answered like this.
    fn push_kind(&self, answer: &Answer, session: &Session) -> Pushed {
        let subscribed = session.subscriptions.iter().any(|&count| count > 0);
        let front = self.front_special();
        let may_be = match answer.kind {
            Kind::Push => true,
            Kind::Array if session.is_resp3 => false,
            Kind::Array => {
                // Nor is it known what a connection subscribed to that was there before it was seen.
                subscribed
                    || self.segment.as_ref().is_some_and(|segment| segment.is_joined())
                    || matches!(front, Some(Special::Subscribe | Special::Unsubscribe | Special::Ping | Special::Quit))
            }
            _ => return Pushed::No,
        };
        if !may_be {
            return Pushed::No;
        }
        match answer.word.as_str() {
            "MESSAGE" | "PMESSAGE" | "SMESSAGE" => Pushed::Message,
            "SUBSCRIBE" => Pushed::Confirmation(0, true),
            "PSUBSCRIBE" => Pushed::Confirmation(1, true),
            "SSUBSCRIBE" => Pushed::Confirmation(2, true),
            "UNSUBSCRIBE" => Pushed::Confirmation(0, false),
            "PUNSUBSCRIBE" => Pushed::Confirmation(1, false),
            "SUNSUBSCRIBE" => Pushed::Confirmation(2, false),
            _ if answer.kind == Kind::Push => Pushed::Message,
            _ => Pushed::No,
        }
    }

    /// An answer to a subscription: one of as many as it names channels.
    fn confirmed(&mut self, kind: usize, subscribed: bool, answer: &Answer, session: &mut Session) {
        let total = u32::try_from(answer.integer).unwrap_or(0);
        let [channels, patterns, _] = session.subscriptions;
        let others = [patterns, channels, 0].get(kind).copied().unwrap_or(0);
        let left = total.saturating_sub(others);
        if let Some(count) = session.subscriptions.get_mut(kind) {
            *count = left;
        }
        if self.owed > 0 {
            self.owed = self.owed.saturating_sub(1);
            return;
        }
        let mut index = self.done;
        let is_asked = |request: &Request| request.spec.is_some_and(|spec| spec.name == answer.word.as_str());
        if let Some(segment) = self.segment.as_deref_mut().filter(|segment| segment.is_whole()) {
            segment.hear(answer.message.end);
            let waits = |request: &Request| request.progress == Progress::Waiting && is_asked(request);
            index = self.requests.iter().position(waits).unwrap_or(index);
        } else if self.front().is_none() {
            return;
        }
        let Some(request) = self.requests.get_mut(index).filter(|request| is_asked(request)) else { return };
        match &mut request.answer {
            Some(first) => {
                first.message.end = answer.message.end;
                first.message.size = first.message.size.saturating_add(answer.message.size);
            }
            None => request.answer = Some(*answer),
        }
        if answer.gap {
            request.completeness = Completeness::Gap;
        }
        let finished = match request.confirmations {
            0 => !subscribed && left == 0,
            1 => true,
            _ => {
                request.confirmations = request.confirmations.saturating_sub(1);
                false
            }
        };
        request.database = session.database;
        if finished {
            self.finish(index, Completeness::Complete);
        }
    }

    fn paired(&mut self, answer: &Answer, session: &mut Session, cx: &Context<'_>) {
        // An `UNSUBSCRIBE` of all whose last confirmation could not be told as such is over.
        let index = self.done;
        if let Some(request) = self.front()
            && request.special() == Special::Unsubscribe
            && request.answer.is_some()
        {
            self.finish(index, Completeness::Complete);
        }
        if self.owed > 0 {
            self.owed = self.owed.saturating_sub(1);
            return;
        }
        let limit = cx.config.max_pending as usize;
        if let Some(front) = self.front() {
            // What began before the request answers another one, which was not seen.
            if front.message.start <= answer.message.start {
                self.apply(self.done, answer, session);
            }
            return;
        }
        let Some(segment) = self.segment.as_deref_mut() else {
            // Nobody asked. Where answers were switched off, they are not any more.
            session.reply = ReplyMode::On;
            if self.orphans.len() < limit.min(MAX_ORPHANS) {
                self.orphans.push_back(*answer);
            }
            return;
        };
        if answer.kind == Kind::SimpleString && answer.word.as_bytes().is_empty() {
            // A line of `MONITOR`: what answers a command begins with a word.
            return;
        }
        // Those from before the first request that was seen since the loss belong to requests that were lost.
        let is_old = |request: &Request| request.is_uncertain && answer.message.end < request.message.start;
        if self.requests.get(self.done).is_some_and(is_old) {
            return;
        }
        if !session.is_resp3 && segment.may_be_text(answer) {
            return segment.add_unread(answer.message.end);
        }
        segment.add_answer(answer, limit);
        if self.waits_for_sync() && (answer.is_word("FULLRESYNC") || answer.is_word("CONTINUE")) {
            session.is_replication = true;
            self.resolve(session, false);
        }
    }

    /// This answer belongs to this request.
    pub(super) fn apply(&mut self, index: usize, answer: &Answer, session: &mut Session) {
        let Some(request) = self.requests.get_mut(index) else { return };
        let failed = answer.kind.is_error();
        if request.progress == Progress::Building {
            // The server does not wait for the rest of what it refuses; what it has no name of it cannot refuse.
            if !failed || !request.is_named {
                return;
            }
            request.completeness = Completeness::Truncated;
        }
        if answer.is_queued() {
            request.in_transaction = true;
        } else if !failed && request.in_transaction {
            let frames = matches!(request.special(), Special::Multi | Special::Exec | Special::Discard);
            request.in_transaction = frames;
        }
        session.settle(request, answer);
        request.database = session.database;
        request.answer = Some(*answer);
        if answer.gap {
            request.completeness = Completeness::Gap;
        }
        self.finish(index, Completeness::Complete);
    }
}

enum Pushed {
    No,
    Message,
    /// Of channels, patterns or shard channels; whether something was subscribed to.
    Confirmation(usize, bool),
}

impl Session {
    /// What a command changes once it succeeds.
    fn settle(&mut self, request: &Request, answer: &Answer) {
        if answer.kind.is_error() {
            return;
        }
        let queued = answer.is_queued();
        match request.special() {
            Special::Select if queued => self.queued_database = request.number,
            Special::Select => self.database = request.number,
            Special::Exec => {
                let selected = self.queued_database.take();
                if answer.kind != Kind::Null {
                    self.database = selected.or(self.database);
                }
            }
            Special::Discard | Special::Multi => self.queued_database = None,
            Special::Hello => {
                if let Some(version) = request.number {
                    self.is_resp3 = version >= 3;
                }
            }
            Special::Reset if answer.is_word("RESET") => *self = Self { database: Some(0), ..Self::default() },
            Special::Monitor if !queued => self.is_monitor = true,
            Special::Sync => self.is_replication = true,
            _ => {}
        }
    }
}
