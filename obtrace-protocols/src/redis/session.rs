//! Which answer belongs to which request.
//!
//! Redis answers in order, so that a queue pairs them, but for: messages of subscriptions and other pushes (no request
//! belongs to them), subscriptions (an answer a channel), `CLIENT REPLY` (no answers), and bytes that were lost.
//!
//! After a loss it is not known how many requests or answers are missing. What comes then is kept in a [`Segment`]
//! until a moment when nothing is in flight; at such a moment the last answer belongs to the last request, the one
//! before it to the one before it, and so on. What is left over stays without an answer.

use alloc::{boxed::Box, collections::VecDeque};

use super::{
    command::{Spec, Special, Word},
    resp::Kind,
    text::{Span, Texts},
};
use crate::{Completeness, Message, Timestamp, parser::Context};

/// How long a connection must be silent, in nanoseconds, before nothing is believed to be in flight.
const QUIET: u64 = 1_000_000_000;
/// How many times a connection that sends before it is answered must come to its lowest number of requests in flight
/// before that number is taken for zero.
const TOUCHES: u8 = 8;

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
    /// Requests were sent while others were in flight in an earlier chunk.
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
    /// The sanitised statement; its first `name_length` bytes are the name.
    pub(super) statement: Span,
    pub(super) name_length: u32,
    pub(super) key: Option<Span>,
    pub(super) arguments: u32,
    /// How many requests waited when it was sent.
    pub(super) position: u32,
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
    fn special(&self) -> Special {
        self.spec.map_or(Special::Plain, |spec| spec.special)
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

    fn is_queued(&self) -> bool {
        self.is_word("QUEUED")
    }
}

/// Requests and answers after a loss.
#[derive(Debug, Default)]
pub(super) struct Segment {
    answers: VecDeque<Answer>,
    /// Requests minus answers; what is in flight, but for a constant.
    balance: i64,
    lowest: i64,
    touches: u8,
    /// The server was heard since the last request.
    heard: bool,
    requests_lost: bool,
    answers_lost: bool,
    last: Timestamp,
}

/// Requests that wait for their answers, or to be taken.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) requests: VecDeque<Request>,
    /// How many of the first ones are done.
    done: usize,
    pub(super) texts: Texts,
    /// Answers to come that belong to requests which were given up.
    owed: u64,
    segment: Option<Box<Segment>>,
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
        let answers = self.segment.as_ref().map_or(0, |segment| segment.answers.capacity());
        let segment = self.segment.as_ref().map_or(0, |_| size_of::<Segment>());
        requests
            .saturating_add(answers.saturating_mul(size_of::<Answer>()))
            .saturating_add(segment)
            .saturating_add(self.texts.capacity())
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

    fn finish(&mut self, index: usize, completeness: Completeness) {
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
    fn front(&self) -> Option<&Request> {
        self.requests.get(self.done).filter(|request| !request.is_uncertain)
    }

    fn front_special(&self) -> Option<Special> {
        self.front().map(Request::special)
    }

    /// Whether a `SYNC` or `PSYNC` waits: its answer is the last one.
    pub(super) fn waits_for_sync(&self) -> bool {
        self.requests.get(self.done).is_some_and(|request| request.special() == Special::Sync)
    }

    /// Makes room for a request that begins at this offset, and notices whether the moment shows that nothing was in
    /// flight.
    pub(super) fn begin(&mut self, offset: u64, session: &mut Session, cx: &Context<'_>) {
        let begins_chunk = cx.mark_at(offset).offset == offset;
        let has_front = self.front().is_some();
        if begins_chunk && has_front {
            session.is_multiplexed = true;
        }
        let mut settled = self.waiting() == 0 && self.segment.is_none();
        if let Some(segment) = self.segment.as_deref_mut() {
            let idle = segment.balance <= segment.lowest && segment.heard && !has_front && !self.mid_reply;
            if begins_chunk && idle {
                segment.touches = segment.touches.saturating_add(1);
                let enough = if session.is_multiplexed { TOUCHES } else { 1 };
                settled = segment.touches >= enough;
            }
            if settled {
                self.resolve(session, true);
            } else if let Some(segment) = self.segment.as_deref_mut() {
                segment.heard = false;
                segment.last = cx.now;
            }
        }
        self.is_settled |= settled;
        let limit = cx.config.max_pending as usize;
        while self.waiting() >= limit {
            self.give_up_oldest();
        }
    }

    pub(super) fn push(&mut self, mut request: Request) {
        if let Some(segment) = self.segment.as_deref_mut() {
            segment.balance = segment.balance.saturating_add(1);
            request.is_uncertain = true;
        }
        request.position = u32::try_from(self.waiting()).unwrap_or(u32::MAX);
        self.requests.push_back(request);
    }

    fn give_up_oldest(&mut self) {
        let index = self.done;
        if let Some(request) = self.requests.get(index)
            && !request.is_uncertain && request.progress == Progress::Waiting {
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
        request.in_transaction = session.in_multi || special == Special::Multi;
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
        if uncertain && matches!(special, Special::Subscribe | Special::Unsubscribe) {
            self.done_without_answer(index, uncertain, Completeness::Gap);
        }
    }

    fn done_without_answer(&mut self, index: usize, uncertain: bool, completeness: Completeness) {
        if let (true, Some(segment)) = (uncertain, self.segment.as_deref_mut()) {
            segment.balance = segment.balance.saturating_sub(1);
        }
        self.finish(index, completeness);
    }
}

/// Answers.
impl Queue {
    /// Takes a whole answer.
    pub(super) fn answered(&mut self, answer: &Answer, session: &mut Session, cx: &Context<'_>) {
        if let Some(segment) = self.segment.as_deref_mut() {
            segment.heard = true;
            segment.last = cx.now;
        }
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
                subscribed
                    || matches!(
                        front,
                        None | Some(Special::Subscribe | Special::Unsubscribe | Special::Ping | Special::Quit)
                    ) && self.segment.is_none()
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
        let index = self.done;
        let Some(request) = self.requests.get_mut(index).filter(|request| !request.is_uncertain) else { return };
        if request.spec.is_none_or(|spec| spec.name.as_bytes() != answer.word.as_bytes()) {
            return;
        }
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
            && request.special() == Special::Unsubscribe && request.answer.is_some() {
                self.finish(index, Completeness::Complete);
            }
        if self.owed > 0 {
            self.owed = self.owed.saturating_sub(1);
            return;
        }
        if self.front().is_some() {
            return self.apply(self.done, answer, session);
        }
        let Some(segment) = self.segment.as_deref_mut() else {
            // Nobody asked. Where answers were switched off, they are not any more.
            session.reply = ReplyMode::On;
            return;
        };
        segment.balance = segment.balance.saturating_sub(1);
        if segment.balance < segment.lowest {
            segment.lowest = segment.balance;
            segment.touches = 0;
        }
        if segment.answers.len() >= cx.config.max_pending as usize {
            segment.answers.pop_front();
        }
        segment.answers.push_back(*answer);
        if self.waits_for_sync() && (answer.is_word("FULLRESYNC") || answer.is_word("CONTINUE")) {
            session.is_replication = true;
            self.resolve(session, false);
        }
    }

    /// This answer belongs to this request.
    fn apply(&mut self, index: usize, answer: &Answer, session: &mut Session) {
        let Some(request) = self.requests.get_mut(index) else { return };
        let failed = answer.kind.is_error();
        if request.progress == Progress::Building {
            // The server does not wait for the rest of what it refuses.
            if !failed {
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

/// Losses.
impl Queue {
    fn lose(&mut self, now: Timestamp) -> &mut Segment {
        let segment = self.segment.get_or_insert_with(Box::default);
        segment.lowest = segment.balance;
        segment.touches = 0;
        segment.last = now;
        segment
    }

    /// Requests were lost, an unknown number of them. `is_named`: the last one had begun, and is known by name.
    pub(super) fn requests_lost(&mut self, is_named: bool, session: &mut Session, now: Timestamp) {
        session.reply = ReplyMode::On;
        session.in_multi = false;
        session.queued_database = None;
        session.database = None;
        let last = self.requests.len().saturating_sub(1);
        let is_building = self.requests.back().is_some_and(|request| request.progress == Progress::Building);
        let mut uncertain = false;
        if is_building && is_named {
            self.sent(session, None);
            if let Some(request) = self.requests.get_mut(last) {
                request.completeness = Completeness::Gap;
            }
        } else if is_building {
            uncertain = self.requests.pop_back().is_some_and(|request| request.is_uncertain);
        }
        // Which of the answers that came since an earlier loss are theirs can no longer be told.
        for index in self.done..self.requests.len() {
            if self.requests.get(index).is_some_and(|request| request.is_uncertain) {
                self.finish(index, Completeness::Gap);
            }
        }
        let segment = self.lose(now);
        segment.balance = segment.balance.saturating_sub(i64::from(uncertain));
        segment.lowest = segment.balance;
        segment.requests_lost = true;
        segment.heard = false;
    }

    /// Answers were lost, an unknown number of them; the first may have begun.
    pub(super) fn answers_lost(&mut self, begun: Option<&Answer>, session: &mut Session, now: Timestamp) {
        self.owed = 0;
        let index = self.done;
        if let (Some(answer), true) = (begun, self.segment.is_none())
            && let Some(request) = self.requests.get_mut(index).filter(|r| r.progress == Progress::Waiting)
                && request.special() != Special::Subscribe {
                    request.answer = Some(*answer);
                    request.completeness = Completeness::Gap;
                    request.database = session.database;
                    // What it would have changed is not known.
                    if request.special() == Special::Select {
                        session.database = None;
                    }
                    self.finish(index, Completeness::Gap);
                }
        let mut newly = 0_i64;
        for index in self.done..self.requests.len() {
            let Some(request) = self.requests.get_mut(index) else { continue };
            if request.progress == Progress::Done {
                continue;
            }
            if !request.is_uncertain {
                request.is_uncertain = true;
                newly = newly.saturating_add(1);
            }
            if matches!(request.special(), Special::Subscribe | Special::Unsubscribe)
                && request.progress == Progress::Waiting
            {
                newly = newly.saturating_sub(1);
                self.finish(index, Completeness::Gap);
            }
        }
        if newly == 0 && self.segment.is_none() {
            return;
        }
        let segment = self.lose(now);
        segment.answers.clear();
        segment.balance = segment.balance.saturating_add(newly);
        segment.lowest = segment.balance;
        segment.answers_lost = true;
        segment.heard = true;
    }

    /// Nothing is in flight: pairs what came since the loss from its end. `trusted` is false where this is not sure;
    /// then all of it stays without an answer.
    pub(super) fn resolve(&mut self, session: &mut Session, trusted: bool) {
        let Some(segment) = self.segment.take() else { return };
        let waits = |request: &&Request| request.is_uncertain && request.progress == Progress::Waiting;
        let first = self.requests.iter().position(|request| waits(&request)).unwrap_or(self.requests.len());
        let waiting = self.requests.iter().skip(first).filter(waits).count();
        let answers = &segment.answers;
        let pairs = waiting.min(answers.len());
        let fits = match (segment.requests_lost, segment.answers_lost) {
            (true, false) => answers.len() >= waiting,
            (false, true) => answers.len() <= waiting,
            _ => true,
        };
        let tail = answers.iter().skip(answers.len().saturating_sub(pairs));
        let requests = self.requests.iter().skip(first).filter(waits).skip(waiting.saturating_sub(pairs));
        let allowed = requests.zip(tail).all(|(request, answer)| {
            request.spec.is_none_or(|spec| spec.answer.allows(answer.kind, answer.is_queued()))
        });
        let unpaired = if trusted && fits && allowed { waiting.saturating_sub(pairs) } else { waiting };
        let mut answers = answers.iter().skip(answers.len().saturating_sub(waiting.saturating_sub(unpaired)));
        let mut seen = 0_usize;
        for index in first..self.requests.len() {
            let Some(request) = self.requests.get_mut(index) else { break };
            if !request.is_uncertain || request.progress == Progress::Done {
                continue;
            }
            request.is_uncertain = false;
            if request.progress == Progress::Building {
                continue;
            }
            seen = seen.saturating_add(1);
            let answer = if seen > unpaired { answers.next() } else { None };
            match answer {
                Some(answer) => self.apply(index, answer, session),
                None => self.finish(index, Completeness::Gap),
            }
        }
    }

    /// When the connection will have been silent for long enough.
    pub(super) fn quiet_at(&self) -> Option<Timestamp> {
        self.segment.as_ref().map(|segment| segment.last.saturating_add(QUIET))
    }

    /// A message is under way: it is not silent.
    pub(super) fn wait_longer(&mut self) {
        if let Some(segment) = self.segment.as_deref_mut() {
            segment.last = segment.last.saturating_add(QUIET);
        }
    }

    /// The connection was silent. A command that may block could still be in flight: then nothing is known.
    pub(super) fn quiet(&mut self, session: &mut Session) {
        let blocked = self.requests.iter().any(|r| r.is_uncertain && r.spec.is_some_and(Spec::blocks));
        if self.front().is_none() || blocked {
            self.resolve(session, !blocked);
        } else {
            self.wait_longer();
        }
    }

    /// The connection is over. `begun`: the part of an answer that was seen.
    pub(super) fn close(&mut self, begun: Option<&Answer>, session: &mut Session) {
        let certain = self.front().is_some();
        self.resolve(session, begun.is_none() && !certain);
        if let (Some(answer), Some(request)) = (begun, self.requests.get_mut(self.done))
            && request.progress == Progress::Waiting {
                request.answer = Some(*answer);
                request.database = session.database;
                self.finish(self.done, Completeness::Truncated);
            }
        for index in self.done..self.requests.len() {
            let Some(request) = self.requests.get_mut(index) else { break };
            request.database = request.database.or(session.database);
            let completeness = match request.progress {
                Progress::Building => Completeness::Truncated,
                Progress::Waiting if request.answer.is_some() => Completeness::Truncated,
                _ => Completeness::ResponseMissing,
            };
            if request.progress != Progress::Done {
                self.finish(index, completeness);
            }
        }
    }
}
