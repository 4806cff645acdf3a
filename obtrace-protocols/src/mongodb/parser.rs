//! A connection: messages of both sides, and which belong together.

use alloc::boxed::Box;

use super::{
    call::Call,
    compression::{Compressor, Unpacker},
    details,
    table::Table,
    walk::{Stop, Walk},
    wire::{self, HEADER, Header, Opcode, Packed, SIGNATURE},
};
use crate::{
    Completeness, Config, Exchange, Message, Role, Stage as Told, Timestamp,
    parser::{Context, Parser, Side, Step, Then},
};

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::<MongoDbParser>::default()
}

#[derive(Debug, Default)]
pub(super) struct MongoDbParser {
    client: Half,
    server: Half,
    role: Option<Role>,
    /// What exists while something is in flight.
    work: Option<Box<Work>>,
}

/// Where a direction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// A message begins.
    #[default]
    Between,
    /// The body of one is read.
    Walking,
    /// So is that of a compressed one.
    Packed,
    /// Nothing more of it is of interest.
    Passing,
    /// Where messages begin is not known.
    Lost,
}

#[derive(Clone, Copy, Debug, Default)]
struct Half {
    stage: Stage,
    /// Where the message that is read ends.
    end: u64,
    /// The call of a request that was found behind a loss, until what follows it is known.
    trial: Trial,
}

/// Bytes that look like a message may be a value's. They were one if another follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trial {
    #[default]
    None,
    /// The next message is on trial.
    Next,
    /// That of this call is.
    Call(u64),
}

#[derive(Debug, Default)]
struct Work {
    asked: Reading,
    answered: Reading,
    unpacker: Unpacker,
    table: Table,
}

/// The message of a side that is read.
#[derive(Debug, Default)]
struct Reading {
    header: Header,
    walk: Walk,
    /// The call that it is part of. Of an answer that nothing is known to have asked for there is none.
    call: Option<Box<Call>>,
    /// Something of it was lost.
    has_gap: bool,
    /// Something of it was too long to be read.
    is_cut: bool,
}

impl Reading {
    /// Something that would have been counted was not.
    fn forget(&mut self, side: Side) {
        match (self.call.as_deref_mut(), side) {
            (Some(call), Side::Client) => call.asked.items = None,
            (Some(call), Side::Server) => call.answered.returned = None,
            (None, _) => {}
        }
    }
}

impl Work {
    fn reading(&mut self, side: Side) -> &mut Reading {
        match side {
            Side::Client => &mut self.asked,
            Side::Server => &mut self.answered,
        }
    }

    /// A message begins at `offset`. `false`: what it answers may be still to come.
    fn begin(&mut self, side: Side, header: Header, offset: u64, trial: &mut Trial, cx: &mut Context<'_>) -> bool {
        let mark = cx.mark_at(offset);
        let size = u64::from(header.length);
        let message = Message { start: mark.at, end: mark.at, size, offset, tag: mark.tag };
        let was_found = *trial == Trial::Next;
        let call = match side {
            Side::Client => {
                let mut call = self.table.fresh();
                if let Trial::Call(id) = core::mem::take(trial) {
                    self.table.confirm(id, cx);
                } else if was_found {
                    call.id = cx.take_id();
                    call.is_tentative = true;
                    *trial = Trial::Call(call.id);
                    cx.tell(call.id, &message, Told::Tentative);
                }
                if !call.is_tentative {
                    call.id = cx.open_at(offset, mark.at, mark.tag, None);
                }
                call.request_id = header.request_id;
                call.opcode = header.opcode;
                call.request = message;
                Some(call)
            }
            Side::Server => {
                let mut call = self.table.claim(header.response_to);
                let is_asked = self.asked.call.as_ref().is_some_and(|call| call.request_id == header.response_to);
                if call.is_none() && (is_asked || cx.other_waits) {
                    return false;
                }
                if let Some(call) = call.as_deref_mut() {
                    call.confirm(cx);
                    match &mut call.response {
                        Some(response) => response.size = response.size.saturating_add(size),
                        none => *none = Some(message),
                    }
                }
                call
            }
        };
        let length = header.length.saturating_sub(HEADER as u32);
        let walk = Walk::new(header.opcode, side, length);
        *self.reading(side) = Reading { header, walk, call, has_gap: false, is_cut: false };
        true
    }

    /// The message ended.
    fn end(&mut self, side: Side, at: Timestamp, cx: &mut Context<'_>) {
        let Reading { header, call, has_gap, is_cut, .. } = core::mem::take(self.reading(side));
        let Some(mut call) = call else { return };
        if has_gap {
            call.completeness = Completeness::Gap;
        } else if is_cut && call.completeness == Completeness::Complete {
            call.completeness = Completeness::Truncated;
        }
        if side == Side::Client {
            call.request.end = at;
            if call.asked.is_unacknowledged && !call.is_tentative {
                self.table.finish(call);
            } else {
                self.table.wait(call, cx);
            }
            return;
        }
        if let Some(response) = &mut call.response {
            response.end = at;
        }
        call.answered.replies = call.answered.replies.saturating_add(1);
        if call.is_over() {
            self.table.finish(call);
        } else {
            call.awaits = header.request_id;
            self.table.wait_on(call);
        }
    }

    /// The rest of the message is lost, or is none. Whether it was one for sure.
    fn lose(&mut self, side: Side, is_message: bool, cx: &mut Context<'_>) {
        if is_message && side == Side::Client {
            // Its answer can still be told from others.
            self.asked.has_gap = true;
            self.asked.forget(side);
            return self.end(side, cx.now, cx);
        }
        let Reading { call, .. } = core::mem::take(self.reading(side));
        if let Some(mut call) = call {
            call.completeness = Completeness::Gap;
            self.table.finish(call);
        }
        if side == Side::Server {
            self.table.answers_lost();
        }
    }
}

impl MongoDbParser {
    fn read(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let work = &mut **self.work.get_or_insert_with(Box::default);
        let half = match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        let start = cx.offset;
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let offset = start.saturating_add(at as u64);
            let left = half.end.saturating_sub(offset);
            let stop = match half.stage {
                Stage::Lost => match wire::find(rest, side) {
                    Ok(skipped) => {
                        at = at.saturating_add(skipped);
                        half.stage = Stage::Between;
                        half.trial = Trial::Next;
                        continue;
                    }
                    Err(skipped) => return Step::need(at.saturating_add(skipped), SIGNATURE),
                },
                Stage::Between => {
                    let Some(header) = rest.first_chunk() else { return Step::need(at, HEADER) };
                    let Some(header) = Header::read(header, side) else {
                        if let Trial::Call(id) = core::mem::take(&mut half.trial) {
                            work.table.withdraw(id, cx);
                            half.stage = Stage::Lost;
                            continue;
                        }
                        break;
                    };
                    if !work.begin(side, header, offset, &mut half.trial, cx) {
                        return Step { consumed: at, then: Then::Wait };
                    }
                    half.end = offset.saturating_add(u64::from(header.length));
                    half.stage = match (work.reading(side).call.is_some(), header.opcode) {
                        (false, _) => Stage::Passing,
                        (true, Opcode::Compressed) => Stage::Packed,
                        (true, _) => Stage::Walking,
                    };
                    at = at.saturating_add(HEADER);
                    continue;
                }
                Stage::Walking => {
                    let body = front(rest, left);
                    let Reading { walk, call: Some(call), .. } = work.reading(side) else { break };
                    let (used, stop) = walk.go(body, call, cx.config);
                    at = at.saturating_add(used);
                    match (stop, left.saturating_sub(used as u64)) {
                        (Stop::Skip(skip), left) if u64::from(skip) < left => return Step::skip(at, skip.into()),
                        (Stop::Need(need), left) if need as u64 <= left => return Step::need(at, need),
                        (Stop::Done | Stop::Skip(_), _) => {}
                        (Stop::Need(_) | Stop::Malformed, _) => break,
                    }
                    half.stage = Stage::Passing;
                    continue;
                }
                Stage::Packed => unpack(work, side, front(rest, left), left, cx.config),
                Stage::Passing => {
                    if left > rest.len() as u64 && left > 1 {
                        // Its last byte is read, so that it has a time.
                        return Step::skip(at, left.saturating_sub(1));
                    }
                    if rest.is_empty() && left > 0 {
                        return Step::need(at, 1);
                    }
                    at = at.saturating_add(usize::try_from(left).unwrap_or(usize::MAX));
                    half.stage = Stage::Between;
                    let last = cx.mark_at(half.end.saturating_sub(1)).at;
                    work.end(side, last, cx);
                    continue;
                }
            };
            match stop {
                Unpacked::Need(need) => return Step::need(at, need),
                Unpacked::Done => half.stage = Stage::Passing,
                Unpacked::Plain => {
                    at = at.saturating_add(Packed::LENGTH);
                    half.stage = Stage::Walking;
                }
                Unpacked::Malformed => break,
            }
        }
        half.stage = Stage::Lost;
        if let Trial::Call(_) = core::mem::take(&mut half.trial)
            && let Some(call) = work.reading(side).call.take()
        {
            cx.tell(call.id, &call.request, Told::Withdrawn);
        }
        work.lose(side, false, cx);
        Step::misframed(at)
    }
}

/// What became of a compressed message.
enum Unpacked {
    /// So many bytes must be there.
    Need(usize),
    /// All of it was read that is.
    Done,
    /// It follows as it is.
    Plain,
    Malformed,
}

/// Reads a compressed message, or as much of the front of it as may be held.
fn unpack(work: &mut Work, side: Side, body: &[u8], left: u64, config: &Config) -> Unpacked {
    let Some((head, packed_bytes)) = body.split_first_chunk() else { return Unpacked::Need(Packed::LENGTH) };
    let Some(packed) = Packed::read(head, side) else { return Unpacked::Malformed };
    let Work { asked, answered, unpacker, .. } = work;
    let reading = if side == Side::Client { asked } else { answered };
    let Some(call) = reading.call.as_deref_mut() else { return Unpacked::Done };
    let compressor = Compressor::of(packed.compressor);
    // Half of what may be held: the chunk that completes it has to fit in, too.
    let most = (config.max_buffered as usize / 2).saturating_sub(Packed::LENGTH);
    let length = usize::try_from(left).unwrap_or(usize::MAX).saturating_sub(Packed::LENGTH);
    if compressor.is_read() && compressor != Compressor::Noop && packed_bytes.len() < length.min(most) {
        return Unpacked::Need(length.min(most).saturating_add(Packed::LENGTH));
    }
    match side {
        Side::Client => call.asked.compressor = Some(compressor),
        Side::Server => call.answered.compressor = Some(compressor),
    }
    if !compressor.is_read() {
        return Unpacked::Done;
    }
    if side == Side::Client {
        call.opcode = packed.opcode;
    }
    if compressor == Compressor::Noop {
        reading.walk = Walk::new(packed.opcode, side, u32::try_from(length).unwrap_or(u32::MAX));
        return Unpacked::Plain;
    }
    reading.walk = Walk::new(packed.opcode, side, packed.size);
    let kept = packed_bytes.get(..most).unwrap_or(packed_bytes);
    let unpacked = unpacker.unpack(compressor, kept, packed.size).unwrap_or_default();
    let (_, stop) = reading.walk.go(unpacked, call, config);
    if stop != Stop::Done && !reading.walk.is_over() {
        reading.is_cut = true;
        reading.forget(side);
    }
    Unpacked::Done
}

/// The first `most` bytes.
fn front(bytes: &[u8], most: u64) -> &[u8] {
    usize::try_from(most).ok().and_then(|most| bytes.get(..most)).unwrap_or(bytes)
}

impl Parser for MongoDbParser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.role = Some(cx.role);
        self.read(side, bytes, cx)
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        let work = &mut **self.work.get_or_insert_with(Box::default);
        let half = match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        let is_message = !matches!(half.stage, Stage::Between | Stage::Lost);
        if is_message && length > 0 && cx.offset <= half.end {
            let reading = work.reading(side);
            reading.has_gap = true;
            reading.forget(side);
            half.stage = Stage::Passing;
            if cx.offset == half.end {
                half.stage = Stage::Between;
                work.end(side, cx.now, cx);
            }
            return;
        }
        half.stage = Stage::Lost;
        half.trial = Trial::None;
        work.lose(side, is_message, cx);
    }

    fn join(&mut self) {
        self.client.stage = Stage::Lost;
        self.server.stage = Stage::Lost;
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        let Some(Work { asked, answered, table, .. }) = self.work.as_deref_mut() else { return };
        if let (Stage::Between, Trial::Call(id), false) =
            (self.client.stage, self.client.trial, cx.assembler.readable().is_empty())
        {
            // What is too short for a message is none.
            table.withdraw(id, cx);
        }
        while table.miss_oldest(cx) {}
        for reading in [answered, asked] {
            let Reading { call, has_gap, .. } = core::mem::take(reading);
            if let Some(mut call) = call {
                if call.is_tentative {
                    cx.tell(call.id, &call.request, Told::Withdrawn);
                    continue;
                }
                call.completeness = if has_gap { Completeness::Gap } else { Completeness::Truncated };
                table.finish(call);
            }
        }
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        let role = self.role.unwrap_or(Role::Client);
        self.work.as_deref_mut()?.table.take_done().map(|call| details::exchange(call, role))
    }

    fn has_exchange(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.table.has_done())
    }

    fn memory(&self) -> usize {
        let work = self.work.as_ref();
        let held = work.map_or(0, |work| {
            let reading = [&work.asked, &work.answered].into_iter().filter_map(|reading| reading.call.as_ref());
            let reading = reading.map(|call| size_of::<Call>().saturating_add(call.capacity())).sum::<usize>();
            let held = work.table.memory().saturating_add(work.unpacker.memory());
            size_of::<Work>().saturating_add(held).saturating_add(reading)
        });
        size_of::<Self>().saturating_add(held)
    }

    fn shrink(&mut self) {
        let is_idle = |half: &Half| matches!(half.stage, Stage::Between | Stage::Lost);
        if self.work.as_ref().is_some_and(|work| work.table.is_idle()) && is_idle(&self.client) && is_idle(&self.server)
        {
            self.work = None;
        }
    }
}
