//! Which answer belongs to which request after some of them were lost.
//!
//! It is not known how many are missing. What comes after a loss is kept in a [`Segment`] until a moment when nothing
//! is in flight; at such a moment the last answer belongs to the last request, the one before it to the one before
//! it, and so on. What is left over stays without an answer.

use alloc::{boxed::Box, collections::VecDeque};

use super::{
    command::{Spec, Special},
    resp::Kind,
    session::{Answer, Progress, Queue, ReplyMode, Request, Session},
};
use crate::{Completeness, Timestamp};

/// How long a connection must be silent, in nanoseconds, before nothing is believed to be in flight.
const QUIET: u64 = 1_000_000_000;
/// How many times a connection that sends before it is answered must come to its lowest number of requests in flight
/// before that number is taken for zero.
pub(super) const MULTIPLEXED_TOUCHES: u8 = 8;
/// The same for a connection that was there before it was seen: of its client nothing is known yet.
const JOINED_TOUCHES: u8 = 2;

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
    /// It is not known yet whether the client waits for its answers.
    joined: bool,
    /// Requests were lost after that.
    holed: bool,
    answers_lost: bool,
    /// An answer with parts may have been cut: what is left of it could be taken for answers.
    has_parts: bool,
    /// Where and when the newest loss of answers was over: no answer to a request that was sent later is cut.
    resumed: (u64, Timestamp),
    last: Timestamp,
}

impl Segment {
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>().saturating_add(self.answers.capacity().saturating_mul(size_of::<Answer>()))
    }

    pub(super) fn add_request(&mut self, at: Timestamp) {
        self.balance = self.balance.saturating_add(1);
        self.heard = false;
        self.last = self.last.max(at);
    }

    /// A request is not answered after all.
    pub(super) fn drop_request(&mut self) {
        self.balance = self.balance.saturating_sub(1);
    }

    pub(super) fn add_answer(&mut self, answer: &Answer, limit: usize) {
        self.balance = self.balance.saturating_sub(1);
        self.heard = true;
        self.last = self.last.max(answer.message.end);
        if self.balance < self.lowest {
            self.lowest = self.balance;
            self.touches = 0;
        }
        if self.answers.len() >= limit {
            self.answers.pop_front();
        }
        self.answers.push_back(*answer);
    }

    /// Whether this could be the end of a text that was cut: a line where the loss ended, which neither begins like the
    /// errors of the server nor is a type of RESP2.
    pub(super) fn may_be_text(&self, answer: &Answer) -> bool {
        let is_unusual = match answer.kind {
            Kind::Error => answer.error.is_none_or(|prefix| prefix.as_bytes().is_empty()),
            Kind::Null => answer.message.size == 3,
            _ => false,
        };
        is_unusual && self.answers_lost && answer.message.offset == self.resumed.0
    }

    pub(super) const fn is_joined(&self) -> bool {
        self.joined
    }

    /// The connection was joined, and nothing was lost since.
    pub(super) const fn is_whole(&self) -> bool {
        self.joined && !self.answers_lost && !self.holed
    }

    /// An answer that names its request ended.
    pub(super) fn hear(&mut self, at: Timestamp) {
        self.heard = true;
        self.last = self.last.max(at);
    }

    /// A request begins: whether that shows that nothing was in flight before it. A client that waits for its answers
    /// sends when it has them all; of one that does not, the number in flight must have come down to the same lowest
    /// number several times.
    pub(super) fn is_settled(&mut self, idle: bool, at: Timestamp, touches: u8) -> bool {
        if idle && self.heard && self.balance <= self.lowest && self.last <= at {
            self.touches = self.touches.saturating_add(1);
        }
        self.touches >= if self.joined { touches.max(JOINED_TOUCHES) } else { touches }
    }

    /// Bytes of the server passed that cannot be read: if no more than one request was in flight, they answered it.
    pub(super) fn add_unread(&mut self, at: Timestamp) {
        self.last = self.last.max(at);
        if self.balance <= self.lowest.saturating_add(1) && !core::mem::replace(&mut self.heard, true) {
            self.answers.clear();
            self.answers_lost = true;
            self.restart();
        }
    }

    /// Another loss: what the lowest number in flight is has to be found anew.
    fn restart(&mut self) {
        self.lowest = self.balance;
        self.touches = 0;
    }
}

/// Losses.
impl Queue {
    /// Requests from before anything was seen may be in flight.
    pub(super) fn joined(&mut self) {
        let segment = self.segment.get_or_insert_with(Box::default);
        segment.requests_lost = true;
        segment.joined = true;
    }

    /// Requests were lost, an unknown number of them. `is_named`: the last one had begun, and is known by name.
    pub(super) fn requests_lost(&mut self, is_named: bool, session: &mut Session) {
        session.reply = ReplyMode::On;
        session.in_multi = false;
        session.queued_database = None;
        session.database = None;
        let last = self.requests.len().saturating_sub(1);
        let last_sent = self.requests.back().map_or(Timestamp::default(), |request| request.message.end);
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
        // Their answers may have come already.
        let orphans = core::mem::take(&mut self.orphans);
        let segment = self.segment.get_or_insert_with(Box::default);
        segment.balance = segment.balance.saturating_sub(i64::from(uncertain));
        segment.heard = false;
        for answer in &orphans {
            segment.add_answer(answer, orphans.len());
        }
        segment.restart();
        segment.requests_lost = true;
        segment.holed = true;
        segment.last = segment.last.max(last_sent);
    }

    /// Answers were lost, an unknown number of them; the first may have begun. The next byte is the one at this offset; it
    /// passed at this time, or later.
    pub(super) fn answers_lost(&mut self, begun: Option<&Answer>, resumed: (u64, Timestamp), session: &mut Session) {
        self.owed = 0;
        let (index, before) = (self.done, self.done);
        if let (Some(answer), true) = (begun, self.segment.is_none())
            && let Some(request) = self.requests.get_mut(index).filter(|r| r.progress == Progress::Waiting)
            && request.special() != Special::Subscribe
        {
            request.answer = Some(*answer);
            request.completeness = Completeness::Gap;
            request.database = session.database;
            // What it would have changed is not known.
            if request.special() == Special::Select {
                session.database = None;
            }
            self.finish(index, Completeness::Gap);
        }
        let has_parts = self.requests.iter().skip(before).any(|request| !request.has_single_answer());
        let mut newly = 0_i64;
        let requests_lost = self.segment.is_some();
        for index in self.done..self.requests.len() {
            let Some(request) = self.requests.get_mut(index) else { continue };
            if request.progress == Progress::Done {
                continue;
            }
            if !request.is_uncertain && requests_lost && request.progress == Progress::Waiting {
                // It was sent before requests that were lost: the answers to come may be theirs.
                self.finish(index, Completeness::Gap);
                continue;
            }
            let is_lost = request.special().is_subscription() && request.progress == Progress::Waiting;
            if !core::mem::replace(&mut request.is_uncertain, true) && !is_lost {
                newly = newly.saturating_add(1);
            }
            if is_lost {
                self.finish(index, Completeness::Gap);
            }
        }
        if newly == 0 && self.segment.is_none() {
            return;
        }
        let last_sent = self.requests.back().map_or(Timestamp::default(), |request| request.message.end);
        let segment = self.segment.get_or_insert_with(Box::default);
        segment.answers.clear();
        segment.balance = segment.balance.saturating_add(newly);
        segment.restart();
        segment.last = segment.last.max(last_sent);
        segment.answers_lost = true;
        segment.has_parts |= has_parts;
        segment.resumed = (resumed.0, segment.resumed.1.max(resumed.1));
        segment.heard = true;
    }

    /// Nothing is in flight: pairs what came since the loss from its end. `trusted` is false where this is not sure;
    /// then all of it stays without an answer.
    pub(super) fn resolve(&mut self, session: &mut Session, trusted: bool) {
        let Some(segment) = self.segment.take() else { return };
        let waits = |request: &&Request| {
            request.is_uncertain && request.progress == Progress::Waiting && !request.special().is_subscription()
        };
        let is_uncertain = |request: &Request| request.is_uncertain && request.progress != Progress::Done;
        let first = self.requests.iter().position(is_uncertain).unwrap_or(self.requests.len());
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
        // Each answer between its request and the next one: then there is nothing to mistake.
        let next = requests.clone().skip(1).map(|next| next.message.start).chain([Timestamp::from_nanos(u64::MAX)]);
        let in_turn = requests.clone().zip(tail.clone()).zip(next).all(|((request, answer), next)| {
            request.message.start < answer.message.start && answer.message.end <= next
        });
        let allowed = requests.clone().zip(tail.clone()).all(|(request, answer)| {
            request.message.start <= answer.message.end
                && request.spec.is_none_or(|spec| spec.answer.allows(answer.kind, answer.is_queued()))
        });
        // None of them what is left of a longer one.
        let whole = requests
            .clone()
            .zip(tail.clone())
            .all(|(request, answer)| request.message.start > segment.resumed.1 || !request.may_be_part(answer));
        let trusted = trusted && whole && (!segment.has_parts || in_turn);
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
            if request.special().is_subscription() {
                // What has some of its answers waits for the others.
                if request.answer.is_none() {
                    self.finish(index, Completeness::Gap);
                }
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

    /// The connection was silent. A command that may block could still be in flight, or requests were sent that could
    /// not be read (`unread`): then nothing is known.
    pub(super) fn quiet(&mut self, unread: bool, session: &mut Session) {
        let blocked = self.requests.iter().any(|r| r.is_uncertain && r.spec.is_some_and(Spec::blocks));
        if self.front().is_none() || blocked {
            self.resolve(session, !blocked && !unread);
        } else {
            self.wait_longer();
        }
    }

    /// The connection is over. `begun`: the part of an answer that was seen; `unread`: see [`Queue::quiet`].
    pub(super) fn close(&mut self, begun: Option<&Answer>, unread: bool, session: &mut Session) {
        let certain = self.front().is_some();
        self.resolve(session, begun.is_none() && !certain && !unread);
        if let (Some(answer), Some(request)) = (begun, self.requests.get_mut(self.done))
            && request.progress == Progress::Waiting
        {
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
