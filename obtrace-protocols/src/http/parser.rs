//! Both sides of one HTTP/1 connection: heads, bodies, and which response answers which request.

mod heads;
mod observing;
mod resting;

use alloc::{boxed::Box, vec::Vec};

use resting::Resting;

use super::{
    body::{self, Body, Framing, Lost, Nobody, Walk},
    head::Fields,
    matching::Cut,
    resync,
    slot::{Queue, Slot},
    upgrade::Handshake,
};
use crate::{
    Config, Exchange, Timestamp,
    pairing::Pairing,
    parser::{Context, Parser, Side, Step, Successor, Then},
    payload::coding::Coding,
    stream::Mark,
};

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::<Resting>::default()
}

/// Where in its messages one side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Before or in the start line.
    Start,
    /// In a start line longer than what may be held: its beginning was read, its end is looked for.
    LongStart,
    /// In the header fields.
    Fields,
    /// In a header field longer than what may be held: its beginning was read.
    LongField,
    Body(Body),
    /// The request offers to leave HTTP/1: what the next bytes are is the response's decision.
    Undecided,
    /// No HTTP/1 any more.
    Left,
    /// After lost or wrong bytes: looking for a start line.
    Lost,
}

impl Default for State {
    /// The connection may have been joined in the middle of a message.
    fn default() -> Self {
        Self::Lost
    }
}

#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) state: State,
    /// Its first unconsumed byte follows lost bytes, or its last one precedes some.
    pub(super) torn: bool,
    /// How many unconsumed bytes are known to hold no line end.
    scanned: usize,
    /// Of the message that is being read, once its first byte was seen.
    pub(super) start: Option<Mark>,
    pub(super) fields: Fields,
    coding: Coding,
    /// The request whose body, or whose response's body, is looked at, by its id.
    observed: Option<u64>,
    /// Where its body begins.
    body_offset: u64,
    /// When the newest byte of the body passed, and the offset behind it.
    newest: Timestamp,
    end: u64,
}

/// The response head that is being read.
#[derive(Debug, Default)]
struct Draft {
    status: u16,
    content_type: Vec<u8>,
    upgrade: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct HttpParser {
    pub(super) client: Half,
    pub(super) server: Half,
    pub(super) queue: Queue,
    /// The request whose head is being read.
    pub(super) request: Option<Box<Slot>>,
    draft: Draft,
    pub(super) handshake: Handshake,
    /// Whether the response that is being read belongs to the request that waits longest.
    pub(super) paired: bool,
    pub(super) pairing: Pairing,
    /// Bytes of responses were lost, and the newest request that waits may be the one that is answered next.
    pub(super) holed: bool,
    /// Responses to requests that were given up because too many waited.
    pub(super) forgotten: u64,
    /// The client goes on in HTTP/1 after all: what it sent meanwhile comes before the next response.
    released: bool,
    /// The connection was joined, and no start line of the client was seen yet.
    joined: bool,
    /// It is not observed any more and may go on.
    left: bool,
    role: Option<crate::Role>,
    /// What the connection was given over to.
    successor: Option<Successor>,
}

/// What reading a head came to.
enum Progress {
    /// The state has changed; go on at the new position.
    On,
    Stop(Step),
}

/// A line that is longer is not kept whole. More than a method, the text limit and a version together.
fn line_limit(config: &Config) -> usize {
    (config.max_buffered / 2) as usize
}

impl HttpParser {
    fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn head_done(&mut self, side: Side, at: usize, cx: &mut Context<'_>) -> Progress {
        let offset = cx.offset.saturating_add(at as u64);
        let end = cx.mark_at(offset.saturating_sub(1)).at;
        self.half(side).body_offset = offset;
        match side {
            Side::Client => self.request_head_done(offset, end, cx),
            Side::Server => self.response_head_done(offset, end, cx),
        }
    }

    fn request_head_done(&mut self, offset: u64, end: Timestamp, cx: &mut Context<'_>) -> Progress {
        let (Some(mut slot), Some(start)) = (self.request.take(), self.client.start.take()) else {
            self.wander(Side::Client);
            return Progress::On;
        };
        slot.id = cx.open_at(start.offset, start.at, start.tag, self.client.fields.trace_context);
        slot.request.start = start.at;
        slot.request.tag = start.tag;
        slot.request.offset = start.offset;
        slot.request.end = end;
        slot.request.size = offset.saturating_sub(start.offset);
        slot.may_upgrade = slot.offers_upgrade() || slot.is_connect;
        let framing = body::of_request(&self.client.fields);
        if matches!(framing, Framing::Body(_)) {
            self.queue.observe(&mut slot, self.client.coding, cx);
        }
        self.client.observed = slot.observer.as_ref().filter(|observer| observer.wants(Side::Client)).map(|_| slot.id);
        self.place(&mut slot);
        if self.queue.open() >= cx.config.max_pending as usize {
            self.give_up_oldest();
        }
        self.queue.push(slot);
        match framing {
            Framing::Empty => self.request_done(offset, end),
            Framing::Body(body) => {
                self.client.state = State::Body(body);
                (self.client.newest, self.client.end) = (end, offset);
                if let Some(slot) = self.queue.newest() {
                    slot.request_body = Some(0);
                }
            }
            Framing::Invalid => {
                self.request_done(offset, end);
                let consumed = usize::try_from(offset.saturating_sub(cx.offset)).unwrap_or(usize::MAX);
                return self.misframed(Side::Client, consumed);
            }
        }
        Progress::On
    }

    /// The request that was begun last is over.
    fn request_done(&mut self, offset: u64, end: Timestamp) {
        self.end_observed(Side::Client);
        let body_offset = self.client.body_offset;
        self.client.state = State::Start;
        self.client.start = None;
        self.client.scanned = 0;
        if let Some(slot) = self.queue.newest() {
            slot.request_done = true;
            slot.request.end = end;
            slot.request.size = offset.saturating_sub(slot.request.offset);
            if slot.request_body.is_some() {
                slot.request_body = Some(offset.saturating_sub(body_offset));
            }
            if slot.may_upgrade && !slot.response_done {
                self.client.state = State::Undecided;
            }
        }
        self.queue.settle();
    }

    fn response_head_done(&mut self, offset: u64, end: Timestamp, cx: &mut Context<'_>) -> Progress {
        let status = self.draft.status;
        self.server.state = State::Start;
        let Some(start) = self.server.start.take() else { return Progress::On };
        if (100..200).contains(&status) && status != 101 {
            return Progress::On;
        }
        self.paired = self.pair(start.at);
        let mut bodiless = (100..200).contains(&status) || status == 204 || status == 304;
        let mut leaves = status == 101;
        if self.paired
            && let Some(slot) = self.queue.answering()
        {
            slot.set_status(status);
            slot.response.start = start.at;
            slot.response.tag = start.tag;
            slot.response.offset = start.offset;
            slot.response.end = end;
            slot.response.size = offset.saturating_sub(start.offset);
            bodiless |= slot.is_head;
            leaves |= slot.is_connect && (200..300).contains(&status);
            slot.upgraded = leaves;
            slot.request_done |= leaves;
            self.queue.note_response(&self.draft.content_type, &self.draft.upgrade);
        }
        self.observe_response(status);
        if leaves {
            return self.leaves(status, offset, end, cx);
        }
        if bodiless {
            self.response_done(offset, end);
            return Progress::On;
        }
        match body::of_response(&self.server.fields) {
            Framing::Empty => self.response_done(offset, end),
            Framing::Body(body) => {
                self.server.state = State::Body(body);
                (self.server.newest, self.server.end) = (end, offset);
                if let Some(slot) = self.queue.answering().filter(|_| self.paired) {
                    slot.response_body = Some(0);
                }
            }
            Framing::Invalid => {
                if let Some(slot) = self.queue.answering().filter(|_| self.paired) {
                    slot.truncated = true;
                }
                self.response_done(offset, end);
                let consumed = usize::try_from(offset.saturating_sub(cx.offset)).unwrap_or(usize::MAX);
                return self.misframed(Side::Server, consumed);
            }
        }
        Progress::On
    }

    /// The response ends HTTP/1 on this connection. Another protocol takes it over if it is known where each side of
    /// that begins.
    fn leaves(&mut self, status: u16, offset: u64, end: Timestamp, cx: &mut Context<'_>) -> Progress {
        let undecided = self.client.state == State::Undecided;
        let paired = self.paired && self.queue.answering().is_some_and(|slot| slot.may_upgrade);
        self.response_done(offset, end);
        self.leave();
        let verdict = self.pairing.settle();
        self.judge(verdict);
        self.successor = if status == 101 && undecided && paired { self.take_over(cx) } else { None };
        if self.successor.is_none() {
            return Progress::On;
        }
        let consumed = usize::try_from(offset.saturating_sub(cx.offset)).unwrap_or(usize::MAX);
        Progress::Stop(Step { consumed, then: Then::Switch })
    }

    fn response_done(&mut self, offset: u64, end: Timestamp) {
        self.end_observed(Side::Server);
        self.server.state = State::Start;
        self.server.start = None;
        self.server.scanned = 0;
        self.pairing.hear(end);
        if !core::mem::take(&mut self.paired) {
            return;
        }
        let body_offset = self.server.body_offset;
        let mut waiting = self.queue.unanswered();
        let Some(slot) = waiting.next() else { return };
        slot.response_done = true;
        slot.response.end = end;
        slot.response.size = offset.saturating_sub(slot.response.offset);
        if slot.response_body.is_some() {
            slot.response_body = Some(offset.saturating_sub(body_offset));
        }
        let released = slot.may_upgrade && slot.request_done;
        let began = slot.response.start;
        if waiting.next().is_some_and(|next| next.request.start < began) {
            self.pairing.note_overlap();
        }
        drop(waiting);
        if released && self.client.state == State::Undecided {
            self.client.state = State::Start;
            self.released = true;
        }
        self.queue.settle();
    }

    /// Drops the message that was being read; what follows is searched for a start line.
    fn misframed(&mut self, side: Side, consumed: usize) -> Progress {
        if self.pairing.is_in_step() && (side == Side::Client || self.queue.answering().is_none()) {
            // No request and no response is missing: what made no sense was seen.
            if let Some(slot) = self.request.take_if(|_| side == Side::Client) {
                self.queue.give_back(slot);
            }
            self.wander(side);
        } else {
            self.lost(side, Cut::Between);
        }
        Progress::Stop(Step::misframed(consumed))
    }

    pub(super) fn wander(&mut self, side: Side) {
        let half = self.half(side);
        half.state = State::Lost;
        half.start = None;
        half.scanned = 0;
    }

    /// Whether the response whose head is being read gives the connection to another protocol.
    pub(super) fn switches(&self) -> bool {
        matches!(self.server.state, State::Fields | State::LongField) && self.draft.status == 101
    }

    fn body(&mut self, side: Side, mut body: Body, bytes: &[u8], at: &mut usize, cx: &Context<'_>) -> Progress {
        let rest = bytes.get(*at..).unwrap_or_default();
        let (taken, walk) = match self.half(side).observed {
            None => body.walk(rest, &mut Nobody),
            Some(id) => self.show(side, id, &mut body, rest, *at, cx),
        };
        *at = at.saturating_add(taken);
        let offset = cx.offset.saturating_add(*at as u64);
        let half = self.half(side);
        let newest = match *at {
            // No byte of it is here: the newest one was in a chunk before, whose mark is gone.
            0 if half.end == offset => half.newest,
            0 => cx.mark_at(offset).at,
            _ => cx.mark_at(offset.saturating_sub(1)).at,
        };
        half.state = State::Body(body);
        (half.newest, half.end) = (newest, offset);
        half.torn = false;
        match walk {
            Walk::More(need) => Progress::Stop(Step::need(*at, need)),
            // Whether this is the length of what nothing asked for depends on what was asked.
            Walk::Skip(_) if side == Side::Server && !self.paired => Progress::Stop(Step::need(*at, 1)),
            Walk::Skip(n) => Progress::Stop(Step::skip(*at, n)),
            Walk::Done => {
                self.message_done(side, offset, newest);
                Progress::On
            }
            Walk::Broken => {
                self.spoil(side, offset, newest, false);
                self.misframed(side, *at)
            }
        }
    }

    fn message_done(&mut self, side: Side, offset: u64, end: Timestamp) {
        match side {
            Side::Client => self.request_done(offset, end),
            Side::Server => self.response_done(offset, end),
        }
    }

    /// The exchange whose message is being read.
    fn slot_of(&mut self, side: Side) -> Option<&mut Slot> {
        match side {
            Side::Client => self.queue.newest(),
            Side::Server if self.paired => self.queue.answering(),
            Side::Server => None,
        }
    }

    /// Ends a message in whose body nothing can be found any more.
    fn spoil(&mut self, side: Side, offset: u64, now: Timestamp, gap: bool) {
        self.lose_observed(side);
        if let Some(slot) = self.slot_of(side) {
            slot.gap |= gap;
            slot.truncated |= !gap;
        }
        self.message_done(side, offset, now);
    }

    /// Looks for a start line.
    fn search(&mut self, side: Side, bytes: &[u8], at: &mut usize, config: &Config) -> Progress {
        let rest = bytes.get(*at..).unwrap_or_default();
        let half = self.half(side);
        let found = resync::find(side, rest, half.scanned, line_limit(config), half.torn);
        *at = at.saturating_add(found.start);
        if found.whole {
            half.state = State::Start;
            half.scanned = 0;
        } else {
            half.scanned = found.scanned;
        }
        half.torn &= found.start == 0 && !found.whole;
        if side == Side::Client {
            self.joined &= !found.whole;
            if found.start > 0 && core::mem::take(&mut self.joined) {
                // Inside a request: others may wait for their responses.
                let verdict = self.pairing.lose(true);
                self.judge(verdict);
            }
        }
        if found.whole {
            return Progress::On;
        }
        Progress::Stop(Step::need(*at, bytes.len().saturating_sub(*at).saturating_add(1)))
    }
}

impl HttpParser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.role = Some(cx.role);
        let mut at = 0;
        loop {
            if at >= bytes.len() {
                return Step::need(at, 1);
            }
            if core::mem::take(&mut self.released) && side == Side::Server {
                return Step { consumed: at, then: Then::Wait };
            }
            let progress = match self.half(side).state {
                State::Start | State::Fields => self.head(side, bytes, &mut at, cx),
                State::LongStart => self.long_start(side, bytes, &mut at),
                State::LongField => self.long_field(side, bytes, &mut at),
                State::Body(body) => self.body(side, body, bytes, &mut at, cx),
                State::Undecided => Progress::Stop(Step { consumed: at, then: Then::Wait }),
                State::Left => Progress::Stop(Step::skip(at, u64::MAX)),
                State::Lost => self.search(side, bytes, &mut at, cx.config),
            };
            if let Progress::Stop(step) = progress {
                return step;
            }
        }
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        self.role = Some(cx.role);
        self.pairing.touch(cx.now);
        let half = self.half(side);
        let head_begun = matches!(half.state, State::Fields | State::LongStart | State::LongField)
            || (half.state == State::Start && half.start.is_some());
        half.scanned = 0;
        match half.state {
            State::Left => {}
            State::Body(mut body) => {
                let lost = body.lose(length);
                half.state = State::Body(body);
                // A capture that cuts its packets short loses bytes and knows when they passed.
                let timed = half.newest >= cx.now;
                half.newest = cx.now;
                half.end = cx.offset;
                self.lose_observed(side);
                let half = self.half(side);
                match lost {
                    // Should nothing follow, nobody knows when it ended.
                    Some(Lost::Inside) if body == Body::UntilClose => half.torn = !timed,
                    Some(Lost::Inside) => {}
                    Some(Lost::Past(more)) => {
                        let end = cx.offset.saturating_sub(more);
                        if !timed
                            && side == Side::Server
                            && let Some(slot) = self.slot_of(side)
                        {
                            // Nobody knows when the exchange ended.
                            slot.gap = true;
                        }
                        self.message_done(side, end, cx.now);
                        if more > 0 {
                            self.gap(side, more, cx);
                        }
                    }
                    None => {
                        self.spoil(side, cx.offset, cx.now, true);
                        self.lost(side, Cut::Body);
                    }
                }
            }
            State::Undecided => {
                if let Some(slot) = self.queue.newest() {
                    slot.may_upgrade = false;
                }
                self.lost(side, Cut::Between);
            }
            _ => self.lost(side, if head_begun { Cut::Head } else { Cut::Between }),
        }
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        self.role = Some(cx.role);
        let (newest, torn) = (self.server.newest, self.server.torn);
        let head_begun = self.server.start.is_some();
        match self.server.state {
            State::Body(body) => {
                if let Some(slot) = self.queue.answering().filter(|_| self.paired) {
                    slot.truncated = body != Body::UntilClose || self.left;
                    slot.gap |= torn;
                }
                // What was skipped passed without being shown. The call is the client's side.
                self.response_done(self.server.end.max(cx.other.position()), newest);
            }
            _ if head_begun => {
                if let Some(slot) = self.queue.answering() {
                    slot.truncated = true;
                }
            }
            _ => {}
        }
        if core::mem::take(&mut self.holed) {
            self.queue.unanswered().for_each(|slot| slot.gap = true);
        }
        let verdict = self.pairing.settle();
        self.judge(verdict);
        self.queue.close(cx.now);
        self.leave();
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        self.queue.poll(self.role.unwrap_or(crate::Role::Client))
    }

    /// Between messages on both sides, with nothing that has to be remembered.
    fn is_idle(&self) -> bool {
        let between = |half: &Half| half.state == State::Start && half.start.is_none();
        let certain = self.pairing.is_in_step() && self.forgotten == 0;
        between(&self.client) && between(&self.server) && certain && self.queue.is_empty()
    }

    fn memory(&self) -> usize {
        let request = self.request.as_ref().map_or(0, |_| size_of::<Slot>());
        let drafts = self.draft.content_type.capacity().saturating_add(self.draft.upgrade.capacity());
        let drafts = drafts.saturating_add(request).saturating_add(self.handshake.memory());
        size_of::<Self>().saturating_add(drafts).saturating_add(self.queue.memory())
    }

    fn shrink(&mut self) {
        self.queue.shrink();
        if self.server.start.is_none() {
            self.draft = Draft::default();
        }
        if self.client.state != State::Undecided {
            self.handshake = Handshake::default();
        }
    }
}
