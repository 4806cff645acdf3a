//! Reads what the server sends.

mod answer;

use super::{
    details::Request,
    handshake::{self, Greeting},
    packet::{HEAD, Head, MAX_PAYLOAD},
    parser::{MySqlParser, Pace, Source},
    queue::{Entry, begin},
    shape,
};
use crate::{
    Completeness, Timestamp,
    parser::{Step, Then},
    stream::Mark,
};

/// Read of an error when its text is not wanted, of an OK, and of the greeting.
const REPORT: usize = 512;

/// What comes next of the answer that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    /// The first packet of an answer, or of one of its results.
    #[default]
    First,
    /// So many definitions of columns.
    Definitions { left: u64 },
    /// What follows them: an EOF, or the first row.
    Defined,
    /// Rows, and what ends them.
    Rows,
    /// So many definitions of parameters, and then of columns, of what was prepared; an EOF behind each.
    Prepared { parameters: u16, columns: u16 },
    /// Definitions of unknown number, and what ends them.
    Fields,
}

#[derive(Debug, Default)]
pub(super) struct ServerState {
    /// Whose answer the next bytes are is not known: up to the first ones behind a command nothing is read.
    pub(super) lost: bool,
    expect: Expect,
    /// Number of the next packet, once an answer has begun.
    next: u8,
    /// The last packet goes on in the next one.
    continues: bool,
    /// An EOF with the next number may still belong to what was prepared last.
    trails: bool,
    /// Something was read.
    begun: bool,
}

/// Where a packet lies.
#[derive(Clone, Copy)]
struct Spot {
    size: usize,
    mark: Mark,
    end: Timestamp,
    sequence: u8,
}

/// What a packet of an answer leads to.
enum Outcome {
    Goes(Expect),
    /// The answer is over.
    Over,
    /// It is no packet that may come here.
    Wrong,
}

impl MySqlParser {
    pub(super) fn parse_server(&mut self, bytes: &[u8], source: &mut Source<'_, '_>) -> Step {
        let mut at = 0_usize;
        if !self.server.begun {
            match self.first_bytes(bytes, source) {
                Err(need) => return Step::need(0, need),
                Ok(greeting) => {
                    at = greeting;
                    self.server.begun = true;
                }
            }
        }
        let exact = self.compression.is_none();
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Step::need(at, 1);
            }
            if self.queue.pending() == 0 && source.cx.other_waits && source.unpacked.is_none() {
                // What this answers is behind a hole.
                return Step { consumed: at, then: Then::Wait };
            }
            if self.server.lost {
                match self.find_answer(rest, at, source) {
                    Ok(skipped) => at = at.saturating_add(skipped),
                    Err(kept) => {
                        let at = at.saturating_add(kept);
                        return Step::need(at, bytes.len().saturating_sub(at).saturating_add(1));
                    }
                }
                continue;
            }
            if self.queue.pending() == 0 && !self.server.trails {
                // Nobody asked for it: the answer to a lost command, or a session that is ended from outside.
                self.queue.release(Some(Completeness::Gap));
                self.server.lost = true;
                continue;
            }
            if self.server.expect == Expect::First
                && let Some(head) = self.queue.head().filter(|head| !head.has_response)
                && source.mark(at).at < head.asked()
            {
                // It answers a command that was lost.
                self.server.lost = true;
                continue;
            }
            if self.server.expect == Expect::Rows && !self.server.continues {
                let rows = self.rows(rest, at, source);
                at = at.saturating_add(rows);
                if rows > 0 {
                    continue;
                }
            }
            let Some(head) = Head::read(rest) else { return Step::need(at, HEAD) };
            let first = rest.get(HEAD).copied();
            if head.length > 0 && first.is_none() {
                return Step::need(at, HEAD.saturating_add(1));
            }
            let wanted = self.answer_wanted(head, first).min(source.cx.config.max_buffered as usize);
            let Some(payload) = rest.get(HEAD..wanted) else { return Step::need(at, wanted) };
            if !self.is_next(head.sequence, exact) {
                if core::mem::take(&mut self.server.trails) {
                    continue;
                }
                self.lose_server();
                return Step::misframed(at);
            }
            let here = head.size().min(rest.len());
            let (mark, end) = (source.mark(at), source.end(at.saturating_add(here).saturating_sub(1)));
            let spot = Spot { size: head.size(), mark, end, sequence: head.sequence };
            if !self.server_packet(head.length, payload, spot, source) {
                self.lose_server();
                return Step::misframed(at);
            }
            at = at.saturating_add(here);
            if here < head.size() {
                return Step::skip(at, head.size().saturating_sub(here) as u64);
            }
        }
    }

    /// Reads a greeting, if the server begins with one: its size. `Err`: so many bytes are needed to tell.
    fn first_bytes(&mut self, bytes: &[u8], source: &mut Source<'_, '_>) -> Result<usize, usize> {
        match handshake::is_refusal(bytes) {
            None => return Err(bytes.len().saturating_add(1)),
            // Of a connection that was joined it is how the session is ended from outside.
            Some(true) if !self.server.lost && self.queue.pending() == 0 => {
                // That there is a connection asked for it: nothing else was sent. The number 0 follows upon this one.
                let entry = Entry::new(Request::Connect, begin(source.mark(0)), u8::MAX);
                self.push(entry, None, source);
                return Ok(0);
            }
            Some(_) => {}
        }
        match handshake::is_greeting(bytes) {
            None => Err(bytes.len().saturating_add(1)),
            Some(false) => Ok(0),
            Some(true) => {
                let size = Head::read(bytes).map_or(0, Head::size);
                let Some(payload) = bytes.get(HEAD..size) else { return Err(size) };
                if let Some(greeting) = Greeting::parse(payload) {
                    self.greet(&greeting);
                    self.server.lost = false;
                }
                Ok(size)
            }
        }
    }

    /// Whether a packet with this number may be the next one.
    fn is_next(&mut self, sequence: u8, exact: bool) -> bool {
        let next = self.server.next;
        if self.server.trails {
            return sequence == next;
        }
        let begun = self.server.expect != Expect::First || self.server.continues;
        match self.queue.head() {
            // What compressed packets hold is not numbered by all.
            _ if !exact => true,
            _ if begun => sequence == next,
            Some(head) if head.several => true,
            Some(head) if head.has_response => sequence == next,
            Some(head) => sequence == head.sequence.wrapping_add(1),
            None => false,
        }
    }

    /// Walks over rows, the bulk of all bytes; how many bytes of whole packets there were.
    fn rows(&mut self, bytes: &[u8], from: usize, source: &Source<'_, '_>) -> usize {
        let (mut rest, mut rows, mut next) = (bytes, 0_u64, self.server.next);
        let exact = self.compression.is_none();
        while let Some((&[a, b, c, sequence, first], _)) = rest.split_first_chunk::<5>() {
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            let Some(after) = rest.get(length.saturating_add(HEAD)..) else { break };
            let is_row = first < 0xfe && length > 0 && length < MAX_PAYLOAD && (sequence == next || !exact);
            if !is_row {
                break;
            }
            next = sequence.wrapping_add(1);
            rows = rows.saturating_add(1);
            rest = after;
        }
        let length = bytes.len().saturating_sub(rest.len());
        if rows > 0
            && let Some(head) = self.queue.head()
        {
            self.server.next = next;
            head.rows = head.rows.saturating_add(rows);
            let end = source.end(from.saturating_add(length).saturating_sub(1));
            head.hear(source.mark(from), length as u64, end);
        }
        length
    }

    /// How much of a packet is read.
    fn answer_wanted(&self, head: Head, first: Option<u8>) -> usize {
        let read = match (self.server.expect, first) {
            _ if self.server.continues => 0,
            (_, Some(0xff)) => REPORT,
            (Expect::Rows | Expect::Defined, Some(0xfe)) if head.length < MAX_PAYLOAD => REPORT,
            (Expect::First, Some(0 | 0xfe)) => REPORT,
            _ => 13,
        };
        head.length.min(read).saturating_add(HEAD)
    }

    fn server_packet(&mut self, length: usize, payload: &[u8], spot: Spot, source: &mut Source<'_, '_>) -> bool {
        if core::mem::take(&mut self.server.trails) {
            if shape::is_eof(payload, length) {
                self.session.deprecate_eof = Some(false);
                return true;
            }
            // Nothing that was prepared, then: it is read as what it is.
            self.server.lost |= self.queue.pending() == 0;
            if self.server.lost {
                return true;
            }
        }
        self.server.next = spot.sequence.wrapping_add(1);
        let rest = core::mem::replace(&mut self.server.continues, length == MAX_PAYLOAD);
        let Some(head) = self.queue.head() else { return false };
        if rest {
            head.hear(spot.mark, spot.size as u64, spot.end);
            return true;
        }
        let outcome = match payload.first() {
            Some(0xff) => self.error(payload, spot, source),
            _ => self.answer(payload, length, spot),
        };
        match outcome {
            Outcome::Goes(expect) => self.server.expect = expect,
            Outcome::Over => self.end_answer(spot.end),
            Outcome::Wrong => return false,
        }
        true
    }

    /// Whether a file that the server asked for may begin with a packet of this number: the newest command is the one
    /// that is being answered, and nothing was lost of that.
    pub(super) fn asks_for_file(&self, sequence: u8) -> bool {
        let is_answering = self.queue.pending() == 1 && self.queue.iter().all(|entry| entry.several);
        is_answering && !self.server.lost && self.server.expect == Expect::First && sequence == self.server.next
    }

    /// The head was answered.
    fn end_answer(&mut self, end: Timestamp) {
        self.server.expect = Expect::First;
        let Some(head) = self.queue.head() else { return };
        head.answered = true;
        head.database = head.database.take().or_else(|| self.session.database.clone());
        let (kind, succeeded) = (head.kind, head.failure.is_none());
        if !succeeded && head.results > 0 && head.switches.is_some() {
            // Of several statements nobody knows whether that one was reached.
            self.session.switched = true;
            self.session.database = None;
        }
        if succeeded {
            if let Some(user) = head.user.take() {
                self.session.user = Some(user);
            }
            if let Some(database) = head.switches.take() {
                self.session.switched |= kind != Request::Connect;
                self.session.database = Some(database).filter(|database| !database.is_empty());
            }
            match kind {
                Request::ChangeUser | Request::ResetConnection => self.statements.close_all(),
                Request::Connect => self.begin_compression(),
                _ => {}
            }
        }
        let waits = self.queue.get(1).is_none_or(|next| next.request.start >= end);
        if self.pace == Pace::Turns && !waits {
            self.pace = Pace::Pipelined;
            if self.unsure {
                // What was not seen may be answered first.
                return self.lose_server();
            }
        }
        let opened = self.queue.head().is_some_and(|head| head.opened || !succeeded);
        self.finish_head();
        if self.unsure && opened {
            self.queue.hold();
        }
    }

    /// Passes over what no command that was seen asked for. Of a client that waits for its answers, the first byte
    /// behind a command, and before the next one, begins its answer, or that was lost. `Err`: how many bytes in front
    /// need not be looked at again.
    fn find_answer(&mut self, bytes: &[u8], from: usize, source: &Source<'_, '_>) -> Result<usize, usize> {
        let exact = self.compression.is_none();
        let place = |after| first_place(bytes.len(), |at| source.mark(from.saturating_add(at)).at >= after);
        let mut found = None;
        for index in 0..self.queue.pending() {
            // Who does not wait sends the next one before the first is answered.
            let next = self.queue.get(index.saturating_add(1)).filter(|_| self.pace == Pace::Turns);
            let next = next.map(|entry| entry.request.start).map_or(bytes.len(), place);
            let Some(entry) = self.queue.get(index) else { break };
            let at = place(entry.asked());
            if at >= next {
                continue;
            }
            let sequence = (exact && !entry.several).then(|| entry.sequence.wrapping_add(1));
            let candidate = bytes.get(at..).unwrap_or_default();
            let is_over = entry.has_response || entry.damage.is_some();
            match if is_over { Some(false) } else { shape::is_answer(candidate, entry.kind, sequence) } {
                Some(true) => {
                    found = Some(index);
                    break;
                }
                None => return Err(at),
                Some(false) if self.pace != Pace::Turns => {
                    self.lose_pace();
                    return Err(bytes.len());
                }
                Some(false) => {
                    if entry.damage == Some(Completeness::Gap) && !entry.has_response {
                        // It may as well answer what was lost.
                        continue;
                    }
                    let (first, end) = (from.saturating_add(at), from.saturating_add(next).saturating_sub(1));
                    entry.damage = Some(entry.damage.unwrap_or(Completeness::Gap));
                    entry.hear(source.mark(first), next.saturating_sub(at) as u64, source.end(end));
                }
            }
        }
        let Some(index) = found else { return Err(bytes.len()) };
        for _ in 0..index {
            self.damage_head(Completeness::Gap);
            self.finish_head();
        }
        self.server.lost = false;
        let Some(head) = self.queue.head() else { return Ok(0) };
        let at = place(head.asked());
        let is_file = head.several && matches!(head.kind, Request::Query | Request::Execute);
        if exact && is_file && bytes.get(at.saturating_add(3)) != Some(&head.sequence.wrapping_add(1)) {
            // What the server asked for a file with is not there.
            head.damage = Some(head.damage.unwrap_or(Completeness::Gap));
        }
        Ok(at)
    }

    /// Bytes of the server were lost: of the answer that comes next, if one is due.
    pub(super) fn lose_server(&mut self) {
        self.server.lost = true;
        self.server.begun = true;
        self.server.trails = false;
        self.server.continues = false;
        self.server.expect = Expect::First;
        for entry in self.queue.iter_mut().filter(|entry| entry.has_response || entry.passed) {
            entry.damage = Some(entry.damage.unwrap_or(Completeness::Gap));
        }
        self.lose_pace();
    }
}

/// The first of so many places where something holds that holds from there on.
fn first_place(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = usize::midpoint(low, high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    low
}
