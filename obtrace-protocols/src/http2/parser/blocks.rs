//! Header blocks: HEADERS, PUSH_PROMISE and the CONTINUATION frames behind them
//! ([RFC 9113 §6.2, §6.6 and §6.10](https://www.rfc-editor.org/rfc/rfc9113#section-6.2)).

use alloc::vec::Vec;

use super::{
    super::frame::{HEAD, Head, Kind, fragment},
    Http2Parser, Progress, State,
};
use crate::{
    Message, Timestamp,
    parser::{Context, Side, Then},
    stream::Mark,
};

/// A header block of which not all frames were there.
#[derive(Debug, Default)]
pub(super) struct Block {
    about: Option<About>,
    bytes: Vec<u8>,
    /// It is longer than what is held.
    is_over: bool,
}

/// What a header block belongs to.
#[derive(Clone, Copy, Debug)]
struct About {
    stream: u32,
    /// The stream that a PUSH_PROMISE opens, 0 if that was not read; `None` for HEADERS.
    promised: Option<u32>,
    ends_stream: bool,
    /// Its first byte.
    start: Mark,
    /// Bytes of its frames.
    size: u64,
}

impl Block {
    pub(super) const fn is_begun(&self) -> bool {
        self.about.is_some()
    }

    /// Whether its frames are those of this stream.
    pub(super) fn continues(&self, stream: u32) -> bool {
        self.about.is_some_and(|about| about.stream == stream)
    }

    pub(super) fn clear(&mut self) {
        self.about = None;
        self.bytes.clear();
        self.is_over = false;
    }

    pub(super) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn shrink(&mut self) {
        if !self.is_begun() {
            self.bytes = Vec::new();
        }
    }

    /// Appends a fragment; `None`: one that is too long to be there.
    fn push(&mut self, fragment: Option<&[u8]>, most: usize) {
        match fragment {
            Some(bytes) if self.bytes.len().saturating_add(bytes.len()) <= most => self.bytes.extend_from_slice(bytes),
            _ => {
                self.bytes = Vec::new();
                self.is_over = true;
            }
        }
    }
}

impl Http2Parser {
    pub(super) fn header_frame(
        &mut self,
        side: Side,
        head: &Head,
        rest: &[u8],
        offset: u64,
        cx: &mut Context<'_>,
    ) -> Progress {
        let most = cx.config.max_buffered as usize;
        let size = usize::try_from(head.size()).unwrap_or(usize::MAX);
        let is_long = size > most;
        if !is_long && rest.len() < size {
            return Progress::Stop(0, Then::Need(size));
        }
        if side == Side::Server && cx.other_waits && head.stream > self.last_client && head.stream & 1 == 1 {
            // The request that this answers may be among what waits behind a hole.
            return Progress::Stop(0, Then::Wait);
        }
        let payload = rest.get(HEAD..size).filter(|_| !is_long);
        let mut bytes = None;
        if let Some(payload) = payload {
            bytes = fragment(head, payload);
            if bytes.is_none() {
                return self.misframed(side, cx);
            }
        }
        let mut promised = None;
        if head.kind == Kind::PushPromise {
            (promised, bytes) = match bytes.and_then(|bytes| bytes.split_first_chunk::<4>()) {
                Some((id, bytes)) => (Some(u32::from_be_bytes(*id) & 0x7fff_ffff), Some(bytes)),
                None if is_long => (Some(0), None),
                None => return self.misframed(side, cx),
            };
        }
        let taken = if is_long {
            self.half(side).state = State::Skip(head.length);
            HEAD
        } else {
            size
        };
        let end = cx.mark_at(offset.saturating_add(taken as u64).saturating_sub(1)).at;
        let start = || Mark { offset, ..cx.mark_at(offset) };
        let about = match self.half(side).block.about {
            Some(about) => About { size: about.size.saturating_add(head.size()), ..about },
            None => {
                let (stream, ends_stream, size) = (head.stream, head.ends_stream(), head.size());
                About { stream, promised, ends_stream, start: start(), size }
            }
        };
        let block = &mut self.half(side).block;
        if head.ends_headers() && !block.is_begun() {
            self.read_block(side, bytes, about, end, cx);
            return Progress::On(taken);
        }
        block.about = Some(about);
        block.push(bytes, most);
        if head.ends_headers() {
            let mut block = core::mem::take(block);
            let bytes = (!block.is_over).then_some(&*block.bytes);
            self.read_block(side, bytes, about, end, cx);
            block.clear();
            self.half(side).block = block;
        }
        Progress::On(taken)
    }

    /// A block is whole; `None`: it was too long.
    fn read_block(&mut self, side: Side, block: Option<&[u8]>, about: About, end: Timestamp, cx: &mut Context<'_>) {
        let before = self.fields.capacity();
        let half = match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        match block {
            Some(block) => self.fields.read(&mut half.decoder, block, cx.config),
            None => {
                half.decoder.forget();
                self.fields.read_none();
            }
        }
        self.streams.grew(before, self.fields.capacity());
        match (side, about.promised) {
            (Side::Client, _) => self.request(about.stream, about, end, cx),
            (Side::Server, Some(promised)) => self.promise(promised, about, end, cx),
            (Side::Server, None) => self.response(about, end, cx),
        }
    }

    fn request(&mut self, id: u32, about: About, end: Timestamp, cx: &mut Context<'_>) {
        if let Some(stream) = self.streams.get(id) {
            if stream.has_ended(Side::Client) {
                // Nothing comes behind the end.
                return;
            }
            // Trailers.
            stream.client.touch(about.size, end);
        } else {
            if id <= self.last_client || !self.fields.asks {
                return;
            }
            self.last_client = id;
            self.begin(id, about, end, cx);
        }
        if about.ends_stream {
            self.ended(Side::Client, id);
        }
    }

    /// A request that the server makes itself.
    fn promise(&mut self, id: u32, about: About, end: Timestamp, cx: &mut Context<'_>) {
        if id == 0 || id & 1 == 1 || self.streams.contains(id) {
            return;
        }
        self.begin(id, about, end, cx);
        if let Some(stream) = self.streams.get(id) {
            stream.pushed = true;
            stream.client.ended = true;
        }
    }

    /// Opens the stream of the request that was read.
    fn begin(&mut self, id: u32, about: About, end: Timestamp, cx: &mut Context<'_>) {
        while self.streams.open() >= cx.config.max_pending as usize && self.streams.give_up_oldest() {}
        let Mark { offset, at, tag } = about.start;
        let exchange = cx.open_at(offset, at, tag, self.fields.trace_context);
        self.unrefused = u32::MAX;
        (self.client.is_told, self.server.is_told) = (false, false);
        let Some(stream) = self.streams.begin(id) else { return };
        stream.exchange = exchange;
        stream.client.begun = true;
        stream.client.message = Message { start: at, end, size: about.size, offset, tag };
        core::mem::swap(&mut stream.asked, &mut self.fields);
        stream.look_at_request();
        stream.server.missed = self.doubt.is_late(id);
        if id & 1 == 1 {
            self.streams.observe(id, cx);
        }
    }

    fn response(&mut self, about: About, end: Timestamp, cx: &Context<'_>) {
        let Some(stream) = self.streams.get(about.stream) else {
            return self.unclaimed(Side::Server, about.stream);
        };
        if stream.server.ended {
            return;
        }
        if self.fields.status.is_some() {
            self.doubt.reach(about.start.offset > cx.offset, cx.now);
            self.doubt.settle();
        }
        if self.fields.status.is_some_and(|status| status < 200) && !about.ends_stream {
            // An interim response belongs to the final one.
            return;
        }
        let mut grown = (0, 0);
        let is_head = !stream.server.begun;
        if is_head {
            stream.server.begun = true;
            let Mark { offset, at, tag } = about.start;
            let server = &mut stream.server.message;
            (server.start, server.offset, server.tag) = (at, offset, tag);
            // Trailers whose head was lost.
            stream.gap |= self.fields.status.is_none() && !self.fields.unresolved;
            stream.server.touch(about.size, end);
            core::mem::swap(&mut stream.answered, &mut self.fields);
        } else {
            stream.server.touch(about.size, end);
            let before = stream.answered.capacity();
            stream.answered.add(&self.fields);
            let after = stream.answered.capacity();
            grown = (before, after);
        }
        stream.trailers = about.ends_stream;
        stream.look_at_response();
        self.streams.grew(grown.0, grown.1);
        if is_head {
            self.streams.observe_response(about.stream);
        }
        if about.ends_stream {
            self.ended(Side::Server, about.stream);
        }
    }
}
