//! Both sides of one HTTP/2 connection: frames in, streams out.

mod blocks;
mod data;
mod doubt;
mod losses;
mod resets;
mod upgrade;

use alloc::boxed::Box;

use super::{
    ErrorCode,
    fields::Fields,
    frame::{DEFAULT_MAX_FRAME, HEAD, Head, Kind, LARGEST_FRAME, PREFACE},
    hpack::Decoder,
    streams::Streams,
};
use crate::{
    Config, Exchange, Role, Timestamp,
    parser::{Context, Parser, Side, Step, Then},
};
use blocks::Block;
use data::Data;
use doubt::Doubt;
pub(crate) use upgrade::take_over;

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::<Http2Parser>::default()
}

/// Where in its frames one side is.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the client's preface.
    Preface,
    /// Before the head of a frame.
    Head,
    /// In a DATA frame.
    Data(Data),
    /// So many bytes of a frame are left that nobody reads.
    Skip(u32),
    /// After lost or wrong bytes: looking for a frame.
    Lost,
}

/// One side of the connection.
#[derive(Debug)]
struct Half {
    state: State,
    /// Nothing was passed over since it is [`State::Lost`].
    is_first: bool,
    /// All open streams know that frames of it may have passed unread, and none was read since.
    is_told: bool,
    /// It is to be shown no less than this.
    need: usize,
    /// Of the header blocks that this side sends.
    decoder: Decoder,
    /// The header block that goes on in CONTINUATION frames.
    block: Block,
    /// Largest payload that the other side allows.
    max_frame: u32,
}

impl Half {
    fn new(state: State) -> Self {
        Self {
            state,
            is_first: true,
            is_told: false,
            need: 1,
            decoder: Decoder::listening(),
            block: Block::default(),
            max_frame: DEFAULT_MAX_FRAME,
        }
    }
}

#[derive(Debug)]
pub(super) struct Http2Parser {
    client: Half,
    server: Half,
    streams: Streams,
    /// What is being read of a header block.
    fields: Fields,
    /// Highest number of a stream of the client.
    last_client: u32,
    /// Frames of the server that may have passed unread.
    doubt: Doubt,
    /// Highest number of a stream of the client that the server does anything with.
    served: u32,
    /// Those up to this one were not looked at for whether the server refuses them, since one was opened.
    unrefused: u32,
    /// Where the first of those bytes of the server end that a reset waits for; `u64::MAX`: none does.
    resets_at: u64,
    /// When streams that nothing was heard of since a loss are given up.
    adrift_until: Option<Timestamp>,
    role: Option<Role>,
}

impl Default for Http2Parser {
    fn default() -> Self {
        Self {
            client: Half::new(State::Preface),
            server: Half::new(State::Head),
            streams: Streams::default(),
            fields: Fields::default(),
            last_client: 0,
            doubt: Doubt::default(),
            served: u32::MAX,
            unrefused: u32::MAX,
            resets_at: u64::MAX,
            adrift_until: None,
            role: None,
        }
    }
}

/// What reading came to: so many bytes are done with, and then.
enum Progress {
    On(usize),
    Stop(usize, Then),
}

/// Largest SETTINGS frame that is read: there are not that many settings.
const MAX_SETTINGS: u32 = 1024;

impl Http2Parser {
    fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// The connection was there before: nothing is known of its tables and settings.
    fn forget(&mut self) {
        for half in [&mut self.client, &mut self.server] {
            half.decoder.set_limit(u32::MAX as usize);
            half.decoder.forget();
            half.max_frame = LARGEST_FRAME;
        }
        self.doubt.join();
    }

    fn preface(&mut self, rest: &[u8]) -> Progress {
        if rest.starts_with(PREFACE) {
            self.client.state = State::Head;
            return Progress::On(PREFACE.len());
        }
        if PREFACE.starts_with(rest) {
            return Progress::Stop(0, Then::Need(PREFACE.len()));
        }
        // The connection was there before, also if nobody said so.
        self.forget();
        self.client.state = State::Lost;
        if matches!(self.server.state, State::Head) {
            self.server.state = State::Lost;
        }
        Progress::On(0)
    }

    /// Reads one frame, or its head where that is enough. `rest` begins at `offset` of the stream.
    fn frame(&mut self, side: Side, rest: &[u8], offset: u64, cx: &mut Context<'_>) -> Progress {
        let Some(head) = Head::parse(rest) else { return Progress::Stop(0, Then::Need(HEAD)) };
        if side == Side::Server && offset >= self.resets_at {
            self.doubt.reach(offset > cx.offset, cx.now);
            self.settle_resets(offset, None);
        }
        let half = self.half(side);
        let goes_on = half.block.is_begun();
        let is_continued = head.kind == Kind::Continuation && half.block.continues(head.stream);
        let is_allowed = head.is_allowed(side, half.max_frame);
        if goes_on && is_allowed && head.kind != Kind::Continuation {
            // The rest of a header block is missing. This may be a frame all the same.
            self.lost(side, cx.now);
            return Progress::Stop(0, Then::Misframed);
        }
        if !is_allowed || goes_on != is_continued || (head.kind == Kind::Continuation && !goes_on) {
            return self.misframed(side, cx);
        }
        match head.kind {
            Kind::Headers | Kind::PushPromise | Kind::Continuation => self.header_frame(side, &head, rest, offset, cx),
            Kind::Data => self.data_frame(side, &head, offset, cx),
            Kind::RstStream | Kind::GoAway => self.closing_frame(side, &head, rest, offset, cx),
            Kind::Settings if !head.is_ack() && head.length <= MAX_SETTINGS => {
                let size = usize::try_from(head.size()).unwrap_or(usize::MAX);
                let Some(payload) = rest.get(HEAD..size) else { return Progress::Stop(0, Then::Need(size)) };
                self.settings(side, payload);
                Progress::On(size)
            }
            _ => {
                self.half(side).state = State::Skip(head.length);
                Progress::On(HEAD)
            }
        }
    }

    /// SETTINGS of this side are limits of the other one
    /// ([RFC 9113 §6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)). One that is lowered may be in use until
    /// it is acknowledged: only the highest counts.
    fn settings(&mut self, side: Side, payload: &[u8]) {
        const HEADER_TABLE_SIZE: u16 = 1;
        const MAX_FRAME_SIZE: u16 = 5;
        let other = self.half(side.other());
        for [id, jd, a, b, c, d] in payload.as_chunks::<6>().0 {
            let value = u32::from_be_bytes([*a, *b, *c, *d]);
            match u16::from_be_bytes([*id, *jd]) {
                HEADER_TABLE_SIZE => {
                    let limit = other.decoder.limit().max(value as usize);
                    other.decoder.set_limit(limit);
                }
                MAX_FRAME_SIZE => other.max_frame = other.max_frame.max(value.min(LARGEST_FRAME)),
                _ => {}
            }
        }
    }

    /// RST_STREAM and GOAWAY.
    fn closing_frame(&mut self, side: Side, head: &Head, rest: &[u8], offset: u64, cx: &Context<'_>) -> Progress {
        let need = if head.kind == Kind::GoAway { HEAD.saturating_add(8) } else { HEAD.saturating_add(4) };
        let Some(payload) = rest.get(HEAD..need) else { return Progress::Stop(0, Then::Need(need)) };
        let mut words = payload.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
        let word = words.next().unwrap_or_default();
        if head.kind == Kind::GoAway {
            if side == Side::Server {
                self.refuse(word & 0x7fff_ffff);
            }
            self.half(side).state = State::Skip(head.length.saturating_sub(8));
        } else {
            let at = cx.mark_at(offset.saturating_add(need as u64).saturating_sub(1)).at;
            if side == Side::Server {
                self.doubt.reach(offset > cx.offset, cx.now);
            }
            self.reset(side, head, ErrorCode::new(word), at, cx);
        }
        Progress::On(need)
    }

    /// The server does nothing with streams of the client behind this one
    /// ([RFC 9113 §6.8](https://www.rfc-editor.org/rfc/rfc9113#section-6.8)).
    fn refuse(&mut self, last: u32) {
        if self.doubt.is_sure() {
            self.served = self.served.min(last);
        }
        let behind = last.saturating_add(1)..=self.unrefused;
        self.unrefused = self.unrefused.min(last);
        self.streams.finish_among(behind, |stream| {
            let refused = !stream.pushed && !stream.server.begun;
            stream.refused = refused;
            refused
        });
    }

    /// One side of a stream has ended.
    fn ended(&mut self, side: Side, id: u32) {
        let Some(stream) = self.streams.get(id).filter(|stream| !stream.has_ended(side)) else { return };
        stream.half(side).ended = true;
        let is_observed = stream.observer.is_some();
        // The end of a request that may have been lost will not come.
        let asked = stream.client.ended || stream.client.adrift;
        let is_over = asked && stream.server.ended;
        if is_observed {
            self.streams.with_observer(id, |observer| observer.end(side));
        }
        if is_over {
            self.streams.finish(id);
        }
    }

    /// No frame begins here.
    fn misframed(&mut self, side: Side, cx: &Context<'_>) -> Progress {
        self.lost(side, cx.now);
        self.half(side).is_first = false;
        Progress::Stop(1, Then::Misframed)
    }

    fn skip(&mut self, side: Side, left: u32, rest: &[u8]) -> Progress {
        let here = u32::try_from(rest.len()).unwrap_or(u32::MAX).min(left);
        self.half(side).state = State::Head;
        if here == left {
            return Progress::On(here as usize);
        }
        Progress::Stop(here as usize, Then::Skip(u64::from(left.saturating_sub(here))))
    }

    /// Goes through what is there.
    fn read(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let begin = cx.offset;
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Step::need(at, 1);
            }
            let offset = begin.saturating_add(at as u64);
            let progress = match self.half(side).state {
                State::Preface => self.preface(rest),
                State::Head => self.frame(side, rest, offset, cx),
                State::Data(data) => self.data(side, data, rest, offset, cx),
                State::Skip(left) => self.skip(side, left, rest),
                State::Lost => self.search(side, rest, cx),
            };
            match progress {
                Progress::On(taken) => at = at.saturating_add(taken),
                Progress::Stop(taken, then) => return Step { consumed: at.saturating_add(taken), then },
            }
        }
    }

    fn memory_of_blocks(&self) -> usize {
        let halves = [&self.client, &self.server].into_iter();
        halves.map(|half| half.decoder.memory().saturating_add(half.block.capacity())).sum()
    }
}

impl Parser for Http2Parser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.role = Some(cx.role);
        let step = self.read(side, bytes, cx);
        self.half(side).need = if let Then::Need(need) = step.then { need } else { 1 };
        if side == Side::Server {
            self.doubt.passed(&step, cx.now);
            if self.resets_at < u64::MAX {
                self.settle_resets_behind(&step, bytes, cx);
            }
        }
        step
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        self.role = Some(cx.role);
        self.half(side).need = 1;
        // Nothing may have been read behind it yet.
        self.lose(side, length, cx.now.max(cx.other.newest().at));
        if side == Side::Server {
            self.settle_resets(cx.offset, None);
        }
    }

    fn join(&mut self) {
        self.forget();
        self.client.state = State::Lost;
        self.server.state = State::Lost;
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        self.role = Some(cx.role);
        self.close_streams(cx);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.adrift_until
    }

    fn timeout(&mut self, _cx: &mut Context<'_>) {
        self.give_up_adrift();
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        self.streams.poll(self.role.unwrap_or(Role::Client))
    }

    fn has_exchange(&self) -> bool {
        self.streams.has_finished()
    }

    fn memory(&self) -> usize {
        let parts = self.streams.memory().saturating_add(self.memory_of_blocks());
        size_of::<Self>().saturating_add(parts)
    }

    fn shrink(&mut self) {
        self.streams.shrink();
        for half in [&mut self.client, &mut self.server] {
            half.decoder.shrink();
            half.block.shrink();
        }
    }
}
