//! DATA frames ([RFC 9113 §6.1](https://www.rfc-editor.org/rfc/rfc9113#section-6.1)): walked over; of gRPC's the
//! messages are counted, bodies of interest are shown to those who look at them.

use super::{
    super::{
        frame::{HEAD, Head},
        stream::{Grpc, Stream},
    },
    Http2Parser, Progress, State,
};
use crate::{
    Message, Timestamp,
    parser::{Context, Side, Then},
};

/// A DATA frame behind its head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    stream: u32,
    /// Bytes of its payload that are still to come.
    left: u32,
    /// How many of them are padding, once that is known.
    padding: u32,
    /// The length of the padding comes next.
    is_padded: bool,
    ends_stream: bool,
}

impl Data {
    /// Bytes that are still to come in front of the padding.
    const fn content(&self) -> u32 {
        self.left.saturating_sub(self.padding)
    }
}

/// What of a stream's body is counted.
fn counts(stream: &mut Stream, side: Side) -> bool {
    stream.grpc != Grpc::No && !stream.has_ended(side) && !stream.half(side).messages.lost
}

impl Http2Parser {
    pub(super) fn data_frame(&mut self, side: Side, head: &Head, offset: u64, cx: &Context<'_>) -> Progress {
        let data = Data {
            stream: head.stream,
            left: head.length,
            padding: 0,
            is_padded: head.is_padded(),
            ends_stream: head.ends_stream(),
        };
        if data.is_padded && data.left == 0 {
            return self.misframed(side, cx);
        }
        let end = cx.mark_at(offset.saturating_add(HEAD as u64).saturating_sub(1)).at;
        let stream = self.streams.get(head.stream);
        let is_known = stream.is_some();
        if let Some(stream) = stream.filter(|stream| !stream.has_ended(side)) {
            let half = stream.half(side);
            if !half.begun {
                // The head of this response was lost.
                half.begun = true;
                let start = cx.mark_at(offset);
                half.message = Message { start: start.at, offset, tag: start.tag, ..Message::default() };
                half.lose_body();
                stream.gap = true;
            }
            let half = stream.half(side);
            half.touch(head.size(), end);
            half.body = Some(half.body.unwrap_or(0).saturating_add(u64::from(head.length)));
        }
        if !is_known {
            self.unclaimed(side, head.stream);
        }
        if data.left > 0 {
            self.half(side).state = State::Data(data);
        } else if data.ends_stream {
            self.ended(side, data.stream);
        }
        Progress::On(HEAD)
    }

    /// Goes over what is there of a DATA frame.
    pub(super) fn data(&mut self, side: Side, mut data: Data, rest: &[u8], offset: u64, cx: &Context<'_>) -> Progress {
        let mut taken = 0_usize;
        if data.is_padded {
            let Some(&padding) = rest.first() else { return Progress::Stop(0, Then::Need(1)) };
            data.is_padded = false;
            data.left = data.left.saturating_sub(1);
            data.padding = u32::from(padding);
            if data.padding > data.left {
                return self.misframed(side, cx);
            }
            if let Some(body) = self.streams.get(data.stream).and_then(|stream| stream.half(side).body.as_mut()) {
                *body = body.saturating_sub(u64::from(padding)).saturating_sub(1);
            }
            taken = 1;
        }
        let bytes = rest.get(taken..).unwrap_or_default();
        let here = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(data.left);
        let content = bytes.get(..here.min(data.content()) as usize).unwrap_or_default();
        let newest = offset.saturating_add(taken as u64).saturating_add(content.len() as u64).saturating_sub(1);
        let had_content = data.content() > 0;
        data.left = data.left.saturating_sub(here);
        let mut skip = data.left;
        if let Some(stream) = self.streams.get(data.stream).filter(|_| had_content) {
            if counts(stream, side) {
                let messages = &mut stream.half(side).messages;
                messages.read(content);
                if !messages.lost && messages.left() < data.content() {
                    skip = messages.left();
                }
            }
            if stream.wants(side) && self.show(side, data.stream, content, cx, newest) && data.content() > 0 {
                skip = 0;
            }
        }
        taken = taken.saturating_add(here as usize);
        if data.left == 0 {
            self.half(side).state = State::Head;
            if data.ends_stream {
                let end = cx.mark_at(offset.saturating_add(taken as u64).saturating_sub(1)).at;
                self.data_ended(side, data.stream, end);
            }
            return Progress::On(taken);
        }
        if data.ends_stream && skip == data.left {
            // The last byte tells when the message ended.
            skip = skip.saturating_sub(1);
        }
        if skip == 0 {
            self.half(side).state = State::Data(data);
            return Progress::Stop(taken, Then::Need(1));
        }
        if let Some(stream) = self.streams.get(data.stream)
            && counts(stream, side)
        {
            stream.half(side).messages.skip(skip.min(data.content()));
        }
        data.left = data.left.saturating_sub(skip);
        self.half(side).state = if data.left == 0 { State::Head } else { State::Data(data) };
        Progress::Stop(taken, Then::Skip(u64::from(skip)))
    }

    /// Shows bytes of a body, the newest of which is at `newest` of the stream. Whether more are wanted.
    fn show(&mut self, side: Side, id: u32, bytes: &[u8], cx: &Context<'_>, newest: u64) -> bool {
        if !bytes.is_empty() {
            self.streams.show(side, id, bytes, cx.mark_at(newest).at);
        }
        self.streams.get(id).is_some_and(|stream| stream.wants(side))
    }

    fn data_ended(&mut self, side: Side, id: u32, end: Timestamp) {
        if let Some(stream) = self.streams.get(id).filter(|stream| !stream.has_ended(side)) {
            stream.half(side).touch(0, end);
        }
        self.ended(side, id);
    }

    /// So many bytes of the frame were lost. How many of them came behind it.
    pub(super) fn lose_data(&mut self, side: Side, mut data: Data, length: u64, now: Timestamp) -> u64 {
        let lost = u32::try_from(length).unwrap_or(u32::MAX).min(data.left);
        if let Some(stream) = self.streams.get(data.stream) {
            if data.is_padded {
                // How much of it is padding is not known any more.
                stream.gap = true;
                stream.half(side).lose_body();
            } else if counts(stream, side) && data.content() > 0 {
                stream.half(side).messages.lose(u64::from(lost.min(data.content())));
            }
            if data.content() > 0 {
                self.streams.lose_observed(side, data.stream);
            }
        }
        data.left = data.left.saturating_sub(lost);
        if data.is_padded {
            data.is_padded = false;
            data.padding = data.left;
        }
        self.half(side).state = State::Data(data);
        if data.left == 0 {
            self.half(side).state = State::Head;
            if data.ends_stream {
                if let Some(stream) = self.streams.get(data.stream) {
                    // Nobody knows when it ended.
                    stream.gap = true;
                }
                self.data_ended(side, data.stream, now);
            }
        }
        length.saturating_sub(u64::from(lost))
    }
}
