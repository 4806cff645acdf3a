//! Both sides of one connection: packet after packet, and the way back to them behind lost bytes.

use alloc::{boxed::Box, string::String, vec::Vec};

use super::{
    fields::Cursor,
    packet::{Fixed, Kind, Read, variable},
    session::{Session, Taken, of},
    slot::Place,
    strict::{self, Front},
};
use crate::{
    Config, Exchange,
    parser::{Context, Parser, Side, Step, Then},
};

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::<MqttParser>::default()
}

/// Where in its packets one side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before or in a packet whose fields are not whole.
    Start,
    /// In the part of a packet that nobody reads: so many bytes are to come.
    Rest { left: u64 },
    /// Looking for a packet. `first`: no byte was passed over yet, so that one may begin just here.
    Lost { first: bool },
}

#[derive(Debug)]
struct Half {
    state: State,
}

impl Default for Half {
    /// The connection may have been joined in the middle of a packet.
    fn default() -> Self {
        Self { state: State::Lost { first: true } }
    }
}

#[derive(Debug, Default)]
struct MqttParser {
    client: Half,
    server: Half,
    session: Session,
}

/// What reading a packet came to.
enum Progress {
    /// So many bytes are done with.
    On(usize),
    Need(usize),
    Wait,
    Bad,
}

/// A packet whose fields take more bytes is not kept whole.
const fn head_limit(config: &Config) -> usize {
    (config.max_buffered / 2) as usize
}

/// How many bytes behind the fixed header have to be there for its fields to be read.
enum Head {
    Bytes(usize),
    /// More than those are needed to say.
    Need(usize),
    Malformed,
}

fn head(fixed: &Fixed, body: &[u8], version: u8) -> Head {
    let length = fixed.length as usize;
    if fixed.kind != Kind::Publish {
        return Head::Bytes(length);
    }
    let Some(topic) = Cursor(body).number() else { return Head::Need(2) };
    let fields = usize::from(topic).saturating_add(if fixed.qos() > 0 { 4 } else { 2 });
    if fields > length {
        return Head::Malformed;
    }
    if version != 5 || fields == length {
        return Head::Bytes(fields);
    }
    let Some(rest) = body.get(fields..) else { return Head::Need(fields.saturating_add(1)) };
    match variable(rest) {
        None if rest.len() < 4 => Head::Need(body.len().saturating_add(1)),
        None => Head::Malformed,
        Some((properties, width)) => {
            let whole = fields.saturating_add(width).saturating_add(properties as usize);
            if whole > length { Head::Malformed } else { Head::Bytes(whole) }
        }
    }
}

impl MqttParser {
    fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Reads the packet at the front, if its fields are there.
    fn packet(&mut self, side: Side, bytes: &[u8], here: u64, cx: &mut Context<'_>) -> Progress {
        let fixed = match Fixed::read(bytes, side) {
            Read::Whole(fixed) => fixed,
            Read::Partial(needed) => return Progress::Need(needed),
            Read::Invalid => return Progress::Bad,
        };
        let body = bytes.get(fixed.size..).unwrap_or_default();
        let limit = head_limit(cx.config);
        let known = match head(&fixed, body, self.session.version()) {
            Head::Bytes(known) => known,
            Head::Need(needed) if needed > limit => limit,
            Head::Need(needed) => return Progress::Need(fixed.size.saturating_add(needed)),
            Head::Malformed => return Progress::Bad,
        };
        let shown = known.min(limit);
        let size = fixed.size.saturating_add(shown);
        let Some(fields) = body.get(..shown) else { return Progress::Need(size) };
        let (first, last) = (cx.mark_at(here), here.saturating_add(size as u64).saturating_sub(1));
        let end = cx.mark_at(last).at;
        let whole = (fixed.size as u64).saturating_add(u64::from(fixed.length));
        let place = Place { offset: here, start: first.at, tag: first.tag, end, size: whole };
        match self.session.packet(side, &fixed, fields, known > shown, &place, cx) {
            Taken::Yes => {}
            Taken::Wait => return Progress::Wait,
            Taken::No => return Progress::Bad,
        }
        let left = u64::from(fixed.length).saturating_sub(shown as u64);
        if left > 0 {
            self.half(side).state = State::Rest { left };
        } else {
            self.half(side).state = State::Start;
            self.session.sent(side, end);
        }
        Progress::On(size)
    }

    /// Messages may have been lost.
    fn lost(&mut self, side: Side, first: bool) {
        self.half(side).state = State::Lost { first };
        self.session.lost(side);
    }
}

/// Whether what is there behind a packet of this size is none: then it was part of another, and the text that seems to
/// be its topic may be anything.
fn breaks_off(bytes: &[u8], side: Side, size: usize, limit: usize) -> bool {
    let behind = bytes.get(size..).unwrap_or_default();
    !behind.is_empty() && strict::packet(behind, side, limit) == Front::No
}

/// Bytes from the front that begin no packet, and how many are needed to say more; 0 if one begins there.
fn search(bytes: &[u8], side: Side, first: bool, limit: usize) -> (usize, usize) {
    for start in 0..bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        let shows_itself = strict::shows_itself(rest, side);
        let count = if first && start == 0 && shows_itself { 1 } else { 2 };
        match strict::chain(rest, side, count, limit) {
            Front::Packet(_, size) if count == 1 && breaks_off(rest, side, size, limit) => {}
            Front::Packet(..) if shows_itself => return (start, 0),
            // It may be the end of a message: what is behind it is a packet in any case.
            Front::Packet(_, size) => return (start.saturating_add(size), 0),
            Front::More(needed) => return (start, needed),
            Front::No => {}
        }
    }
    (bytes.len(), 1)
}

impl MqttParser {
    fn read(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let limit = head_limit(cx.config);
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let here = cx.offset.saturating_add(at as u64);
            match self.half(side).state {
                State::Rest { left } => {
                    let taken = left.min(rest.len() as u64);
                    at = at.saturating_add(usize::try_from(taken).unwrap_or(usize::MAX));
                    let left = left.saturating_sub(taken);
                    if left == 0 {
                        let last = here.saturating_add(taken).saturating_sub(1);
                        self.half(side).state = State::Start;
                        self.session.sent(side, cx.mark_at(last).at);
                        continue;
                    }
                    // When the last byte passes is when the packet was sent: it is shown.
                    self.half(side).state = State::Rest { left: 1 };
                    return if left > 1 { Step::skip(at, left.saturating_sub(1)) } else { Step::need(at, 1) };
                }
                _ if rest.is_empty() => return Step::need(at, 1),
                State::Start => match self.packet(side, rest, here, cx) {
                    Progress::On(size) => at = at.saturating_add(size),
                    Progress::Need(needed) => return Step::need(at, needed),
                    Progress::Wait => return Step { consumed: at, then: Then::Wait },
                    Progress::Bad => {
                        self.lost(side, false);
                        return Step::misframed(at);
                    }
                },
                State::Lost { first } => {
                    let (passed, needed) = search(rest, side, first, limit);
                    at = at.saturating_add(passed);
                    if passed > 0 {
                        let last = here.saturating_add(passed as u64).saturating_sub(1);
                        self.session.passed_over(side, cx.mark_at(last).at);
                    }
                    let state = if needed > 0 { State::Lost { first: first && passed == 0 } } else { State::Start };
                    self.half(side).state = state;
                    if needed > 0 {
                        return Step::need(at, needed);
                    }
                }
            }
        }
    }
}

impl Parser for MqttParser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.session.role = Some(cx.role);
        let step = self.read(side, bytes, cx);
        *of(&mut self.session.needs, side) = if let Then::Need(needed) = step.then { needed } else { 0 };
        step
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        self.session.role = Some(cx.role);
        *of(&mut self.session.needs, side) = 0;
        if let State::Rest { left } = self.half(side).state
            && length > 0
        {
            if let Some(left) = left.checked_sub(length).filter(|left| *left > 0) {
                self.half(side).state = State::Rest { left };
                return;
            }
            self.half(side).state = State::Start;
            self.session.sent(side, cx.now);
            if left == length {
                return;
            }
        }
        self.lost(side, true);
    }

    fn join(&mut self) {}

    fn close(&mut self, cx: &mut Context<'_>) {
        self.session.role = Some(cx.role);
        // The call is the client's side.
        self.session.close([cx.offset, cx.other.position()], cx.now);
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        self.session.poll_exchange()
    }

    fn has_exchange(&self) -> bool {
        self.session.has_exchange()
    }

    fn memory(&self) -> usize {
        size_of::<Self>().saturating_add(self.session.memory())
    }

    fn shrink(&mut self) {
        self.session.shrink();
    }
}

/// The topics that one side's aliases stand for (§3.3.2.3.4): of the first aliases, as far as they fit.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    topics: Vec<String>,
    held: usize,
}

/// Aliases beyond are not kept, nor topics beyond so many bytes.
const MAX_ALIASES: usize = 256;
const MAX_ALIAS_BYTES: usize = 16 * 1024;

impl Aliases {
    pub(super) fn set(&mut self, alias: u16, topic: &str) {
        let Some(at) = usize::from(alias).checked_sub(1).filter(|at| *at < MAX_ALIASES) else { return };
        if at >= self.topics.len() {
            self.topics.resize_with(at.saturating_add(1), String::new);
        }
        let Some(known) = self.topics.get_mut(at) else { return };
        let held = self.held.saturating_sub(known.len());
        known.clear();
        if held.saturating_add(topic.len()) <= MAX_ALIAS_BYTES {
            known.push_str(topic);
        }
        self.held = held.saturating_add(known.len());
    }

    pub(super) fn get(&self, alias: u16) -> &str {
        let at = usize::from(alias).checked_sub(1);
        at.and_then(|at| self.topics.get(at)).map_or("", String::as_str)
    }

    /// What they stand for now is not known.
    pub(super) fn forget(&mut self) {
        self.topics.iter_mut().for_each(String::clear);
        self.held = 0;
    }

    /// No more than twice the bytes that are kept: a topic's memory grows with it.
    pub(super) const fn memory(&self) -> usize {
        let places = self.topics.capacity().saturating_mul(size_of::<String>());
        places.saturating_add(self.held.saturating_mul(2))
    }
}
