//! A connection: messages of both sides, and which belong together.

mod work;

use alloc::boxed::Box;

use super::{
    call::Call,
    details,
    walk::Stop,
    wire::{self, HEADER, Header, Opcode, Packed, SIGNATURE},
};
use crate::{
    Completeness, Config, Exchange, Role, Stage as Told,
    parser::{Context, Parser, Side, Step, Then},
};
use work::{Reading, Unpacked, Work};

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

/// What a look at the front of the bytes came to. Places are counted from there.
enum Progress {
    /// The stage has changed, and so many bytes are used.
    On(usize),
    Stop(Step),
    /// What is behind so many bytes is no message.
    Malformed(usize),
}

impl Half {
    /// Looks for a message.
    fn search(&mut self, side: Side, rest: &[u8]) -> Progress {
        match wire::find(rest, side) {
            Ok(skipped) => {
                self.stage = Stage::Between;
                self.trial = Trial::Next;
                Progress::On(skipped)
            }
            Err(skipped) => Progress::Stop(Step::need(skipped, SIGNATURE)),
        }
    }

    /// Begins a message.
    fn begin(&mut self, side: Side, rest: &[u8], offset: u64, work: &mut Work, cx: &mut Context<'_>) -> Progress {
        let Some(header) = rest.first_chunk() else { return Progress::Stop(Step::need(0, HEADER)) };
        let Some(header) = Header::read(header, side) else {
            let Trial::Call(id) = core::mem::take(&mut self.trial) else { return Progress::Malformed(0) };
            work.table.withdraw(id, cx);
            self.stage = Stage::Lost;
            return Progress::On(0);
        };
        if !work.begin(side, header, offset, &mut self.trial, cx) {
            return Progress::Stop(Step { consumed: 0, then: Then::Wait });
        }
        self.end = offset.saturating_add(u64::from(header.length));
        self.stage = match (work.reading(side).call.is_some(), header.opcode) {
            (false, _) => Stage::Passing,
            (true, Opcode::Compressed) => Stage::Packed,
            (true, _) => Stage::Walking,
        };
        Progress::On(HEADER)
    }

    /// Walks on; so many bytes of the message are left.
    fn walk(&mut self, side: Side, rest: &[u8], left: u64, work: &mut Work, config: &Config) -> Progress {
        let Reading { walk, call: Some(call), .. } = work.reading(side) else { return Progress::Malformed(0) };
        let (used, stop) = walk.go(front(rest, left), call, config);
        match (stop, left.saturating_sub(used as u64)) {
            (Stop::Skip(skip), left) if u64::from(skip) < left => return Progress::Stop(Step::skip(used, skip.into())),
            (Stop::Need(need), left) if need as u64 <= left => return Progress::Stop(Step::need(used, need)),
            (Stop::Done | Stop::Skip(_), _) => {}
            (Stop::Need(_) | Stop::Malformed, _) => return Progress::Malformed(used),
        }
        self.stage = Stage::Passing;
        Progress::On(used)
    }

    /// The same, of one that is compressed.
    fn unpack(&mut self, side: Side, rest: &[u8], left: u64, work: &mut Work, config: &Config) -> Progress {
        match work.unpack(side, front(rest, left), left, config) {
            Unpacked::Need(need) => Progress::Stop(Step::need(0, need)),
            Unpacked::Malformed => Progress::Malformed(0),
            Unpacked::Done => {
                self.stage = Stage::Passing;
                Progress::On(0)
            }
            Unpacked::Plain => {
                self.stage = Stage::Walking;
                Progress::On(Packed::LENGTH)
            }
        }
    }

    /// Passes over what is left of a message, and ends it.
    fn pass(&mut self, side: Side, rest: &[u8], left: u64, work: &mut Work, cx: &mut Context<'_>) -> Progress {
        if left > rest.len() as u64 && left > 1 {
            // Its last byte is read, so that it has a time.
            return Progress::Stop(Step::skip(0, left.saturating_sub(1)));
        }
        if rest.is_empty() && left > 0 {
            return Progress::Stop(Step::need(0, 1));
        }
        self.stage = Stage::Between;
        let last = cx.mark_at(self.end.saturating_sub(1)).at;
        work.end(side, last, cx);
        Progress::On(usize::try_from(left).unwrap_or(usize::MAX))
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
            let progress = match half.stage {
                Stage::Lost => half.search(side, rest),
                Stage::Between => half.begin(side, rest, offset, work, cx),
                Stage::Walking => half.walk(side, rest, left, work, cx.config),
                Stage::Packed => half.unpack(side, rest, left, work, cx.config),
                Stage::Passing => half.pass(side, rest, left, work, cx),
            };
            match progress {
                Progress::On(used) => at = at.saturating_add(used),
                Progress::Stop(Step { consumed, then }) => {
                    return Step { consumed: at.saturating_add(consumed), then };
                }
                Progress::Malformed(used) => {
                    at = at.saturating_add(used);
                    break;
                }
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
