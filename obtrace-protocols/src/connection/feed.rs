//! How bytes and losses get to the parser.

use super::{Connection, State, told_role};
use crate::{
    Timestamp,
    parser::{Context, Parser, Side, Step, Then},
    stream::{Mark, Pushed},
};

/// Framing errors forgiven before a protocol is given up.
const MAX_MISFRAMED: u8 = 3;
/// After so many requests the framing errors before them are forgotten.
const FORGIVEN_AFTER: u64 = 64;

impl Connection {
    /// Takes a chunk while the protocol is known.
    #[inline(always)]
    pub(super) fn feed(&mut self, side: Side, mut bytes: &[u8], mut mark: Mark) {
        // Each round takes bytes, gives up a hole or empties the buffer.
        while self.parser.is_some() && !self.stream(side).ignored {
            let stream = self.stream_mut(side);
            if !stream.blocked
                && let Some((fresh, mark)) = stream.assembler.direct(bytes, mark)
            {
                if !fresh.is_empty() {
                    self.run_direct(side, fresh, mark);
                }
                return self.go_on(side, mark.at);
            }
            match stream.assembler.push(bytes, mark) {
                Pushed::Ready => {
                    self.run(side);
                    return self.go_on(side, mark.at);
                }
                Pushed::Nothing | Pushed::Early => return self.go_on(side, mark.at),
                Pushed::Full => {}
            }
            if self.give_up_hole(side, mark.at) {
                continue;
            }
            // What does not fit behind the unread bytes follows when the parser has taken some of them.
            let assembler = &self.stream(side).assembler;
            let (end, unread) = (assembler.end(), assembler.readable().len() as u64);
            let room = (self.config.max_buffered as usize).saturating_sub(assembler.buffered());
            let old = usize::try_from(end.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
            let split = bytes.split_at_checked(old.saturating_add(room)).filter(|_| mark.offset <= end && room > 0);
            let Some((part, rest)) = split else {
                if self.stream(side).blocked && self.give_up_hole(side.other(), mark.at) {
                    // It waited for what the other side lacks.
                    self.wake();
                    continue;
                }
                // The parser cannot take more, or the chunk is too large to wait behind a hole.
                let missing = self.stream_mut(side).assembler.drop_until(mark.offset);
                self.gap(side, unread.saturating_add(missing), mark.at);
                continue;
            };
            if self.stream_mut(side).assembler.push(part, mark) == Pushed::Ready {
                self.run(side);
            }
            mark.offset = mark.offset.saturating_add(part.len() as u64);
            bytes = rest;
        }
    }

    /// Tells the parser of losses whose turn has come, and goes on behind them.
    pub(super) fn go_on(&mut self, side: Side, now: Timestamp) {
        // A side that waits for the other one still wants what is in front of the loss.
        while !self.stream(side).blocked {
            let Some(lost) = self.stream_mut(side).assembler.take_loss() else { return };
            self.gap(side, lost, now);
            self.run(side);
        }
    }

    /// Shows a side that waited for the other one its bytes again, as long as that gets anywhere.
    pub(super) fn wake(&mut self) {
        loop {
            let mut moved = false;
            for side in [Side::Client, Side::Server] {
                let stream = self.stream_mut(side);
                if core::mem::take(&mut stream.blocked) {
                    let before = stream.assembler.position();
                    self.run(side);
                    let now = self.stream(side).assembler.newest().at;
                    self.go_on(side, now);
                    moved |= self.stream(side).assembler.position() != before;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Goes on behind the first hole. Whether there was one.
    pub(super) fn give_up_hole(&mut self, side: Side, now: Timestamp) -> bool {
        let Some(lost) = self.stream_mut(side).assembler.force_gap() else { return false };
        self.gap(side, lost, now);
        if side == Side::Server && core::mem::take(&mut self.client.blocked) {
            // What the client waits for may be among what was lost: requests before responses.
            self.run(Side::Client);
        }
        self.run(side);
        self.go_on(side, now);
        true
    }

    pub(super) fn gap(&mut self, side: Side, length: u64, now: Timestamp) {
        let stream = self.stream_mut(side);
        stream.need = 1;
        stream.blocked = false;
        if self.parser.is_some() {
            self.with_parser(side, now, None, |parser, cx| parser.gap(side, length, cx));
        } else if self.state == State::Detecting {
            self.stream_mut(side).torn = true;
            self.drop_beginning(side);
            if !self.stream(side).assembler.readable().is_empty() {
                // What is behind the gap may be the start of a message.
                self.newest = side;
                self.look();
            }
        }
    }

    /// Calls the parser, if there is one.
    pub(super) fn with_parser<T>(
        &mut self,
        side: Side,
        now: Timestamp,
        direct: Option<Mark>,
        call: impl FnOnce(&mut dyn Parser, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let (stream, other) = match side {
            Side::Client => (&self.client, &self.server),
            Side::Server => (&self.server, &self.client),
        };
        let role = told_role(&self.config, self.requests);
        let parser = self.parser.as_mut()?;
        let mut cx = Context {
            config: &self.config,
            role,
            now,
            offset: direct.map_or(stream.assembler.position(), |mark| mark.offset),
            assembler: &stream.assembler,
            direct,
            other_waits: other.assembler.waiting_since().is_some(),
            other: &other.assembler,
            shared: &self.shared,
            opened: &mut self.opened,
            next_id: &mut self.next_id,
        };
        Some(call(&mut *parser.0, &mut cx))
    }

    /// Parses a chunk where it lies; what is left of it goes into the buffer.
    pub(super) fn run_direct(&mut self, side: Side, mut bytes: &[u8], mut mark: Mark) {
        let mut stuck = false;
        while !bytes.is_empty() && bytes.len() >= self.stream(side).need as usize {
            let shown = bytes;
            let step = self.with_parser(side, mark.at, Some(mark), |parser, cx| parser.parse(side, shown, cx));
            let Some(step) = step else { return };
            let consumed = step.consumed.min(bytes.len());
            bytes = bytes.get(consumed..).unwrap_or_default();
            mark.offset = mark.offset.saturating_add(consumed as u64);
            self.stream_mut(side).assembler.advance(consumed);
            if let Then::Skip(n) = step.then {
                let here = usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
                bytes = bytes.get(here..).unwrap_or_default();
                mark.offset = mark.offset.saturating_add(here as u64);
                self.stream_mut(side).assembler.advance(here);
                self.stream_mut(side).assembler.skip(n.saturating_sub(here as u64));
            }
            if !self.after(side, step, bytes.len(), mark.at, &mut stuck) {
                break;
            }
        }
        if bytes.is_empty() || self.parser.is_none() || self.stream(side).ignored {
            return;
        }
        if self.stream_mut(side).assembler.push(bytes, mark) == Pushed::Full {
            // More than a parser may ask for is left over: it cannot go on there.
            let length = bytes.len() as u64;
            self.stream_mut(side).assembler.lose_until(mark.offset.saturating_add(length));
            self.gap(side, length, mark.at);
        }
    }

    /// Parses what is in the buffer.
    pub(super) fn run(&mut self, side: Side) {
        let mut stuck = false;
        loop {
            let Some(parser) = self.parser.as_mut() else { return };
            let (stream, other) = match side {
                Side::Client => (&mut self.client, &self.server),
                Side::Server => (&mut self.server, &self.client),
            };
            let bytes = stream.assembler.readable();
            if bytes.is_empty() || bytes.len() < stream.need as usize || stream.ignored || stream.blocked {
                return;
            }
            let now = stream.assembler.newest().at;
            let mut cx = Context {
                config: &self.config,
                role: told_role(&self.config, self.requests),
                now,
                offset: stream.assembler.position(),
                assembler: &stream.assembler,
                direct: None,
                other_waits: other.assembler.waiting_since().is_some(),
                other: &other.assembler,
                shared: &self.shared,
                opened: &mut self.opened,
                next_id: &mut self.next_id,
            };
            let step = parser.0.parse(side, bytes, &mut cx);
            stream.assembler.consume(step.consumed);
            if let Then::Skip(n) = step.then {
                stream.assembler.skip(n);
            }
            let left = stream.assembler.readable().len();
            if !self.after(side, step, left, now, &mut stuck) {
                return;
            }
        }
    }

    /// Notes what the parser waits for. Whether it may go on with what is left.
    pub(super) fn after(&mut self, side: Side, step: Step, left: usize, now: Timestamp, stuck: &mut bool) -> bool {
        let limit = self.config.max_buffered;
        match step.then {
            Then::Need(n) => {
                // A parser that asks for nothing new would be called for ever.
                let need = n.max(left.saturating_add(1));
                self.stream_mut(side).need = u32::try_from(need).unwrap_or(u32::MAX).min(limit);
                *stuck = false;
                false
            }
            Then::Wait => {
                self.stream_mut(side).need = 1;
                self.stream_mut(side).blocked = true;
                false
            }
            Then::Skip(n) => {
                self.stream_mut(side).need = 1;
                self.stream_mut(side).ignored |= n == u64::MAX;
                *stuck = false;
                left > 0
            }
            Then::Switch => {
                *stuck = false;
                self.switch(side, now);
                left > 0
            }
            Then::Misframed => {
                self.stream_mut(side).need = 1;
                if self.next_id.saturating_sub(self.misframed_at) >= FORGIVEN_AFTER {
                    self.misframed = 0;
                }
                self.misframed_at = self.next_id;
                self.misframed = self.misframed.saturating_add(1);
                self.framing_errors = self.framing_errors.saturating_add(1);
                if self.misframed > MAX_MISFRAMED {
                    self.give_up(side);
                    return false;
                }
                let again = step.consumed > 0 || !*stuck;
                *stuck = step.consumed == 0;
                again && left > 0
            }
        }
    }
}
