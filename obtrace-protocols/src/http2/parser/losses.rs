//! What was not seen: lost bytes, and the end.

use super::{
    super::{frame::LARGEST_FRAME, resync},
    Http2Parser, Progress, State,
    resets::unread_at,
};
use crate::{
    Timestamp,
    parser::{Context, Side, Then},
};

/// How long a stream that may have ended among lost bytes is waited for, in nanoseconds, when nothing is heard of it.
const ADRIFT: u64 = 30_000_000_000;

impl Http2Parser {
    /// So many bytes were lost; 0: nobody knows how many.
    pub(super) fn lose(&mut self, side: Side, length: u64, now: Timestamp) {
        let behind = match self.half(side).state {
            State::Data(data) if length > 0 => self.lose_data(side, data, length, now),
            State::Skip(left) if length > 0 => {
                let lost = u32::try_from(length).unwrap_or(u32::MAX).min(left);
                let left = left.saturating_sub(lost);
                self.half(side).state = if left == 0 { State::Head } else { State::Skip(left) };
                length.saturating_sub(u64::from(lost))
            }
            _ => length.max(1),
        };
        if behind > 0 {
            self.lost(side, now);
        }
    }

    /// Frames of this side were lost: nothing is known of its table any more, nor whether what was open on it still is.
    pub(super) fn lost(&mut self, side: Side, now: Timestamp) {
        if matches!(self.client.state, State::Preface) {
            // Nobody saw how the connection began.
            self.forget();
            if matches!(self.server.state, State::Head) {
                self.server.state = State::Lost;
            }
        }
        let half = self.half(side);
        half.state = State::Lost;
        half.is_first = true;
        half.block.clear();
        half.decoder.forget();
        if side == Side::Server {
            self.doubt.lose(now);
        }
        // There may have been settings among them.
        let other = self.half(side.other());
        other.decoder.set_limit(u32::MAX as usize);
        other.max_frame = LARGEST_FRAME;
        self.missed(side, now);
        // A response that was over waits for nothing but the end of its request.
        self.streams.finish_where(|stream| stream.server.ended && stream.client.adrift);
    }

    /// Looks for a frame.
    pub(super) fn search(&mut self, side: Side, rest: &[u8], cx: &Context<'_>) -> Progress {
        let most = cx.config.max_buffered as usize;
        let is_first = core::mem::take(&mut self.half(side).is_first);
        self.doubt.begin(cx.now);
        let streams = &self.streams;
        let found = resync::find(side, rest, most, is_first, |id| streams.contains(id));
        if found.start == 0 {
            self.half(side).is_first = is_first;
        } else {
            self.missed(side, cx.now);
        }
        if found.need > 0 {
            return Progress::Stop(found.start, Then::Need(found.need));
        }
        let half = self.half(side);
        (half.state, half.is_told) = (State::Head, false);
        Progress::On(found.start)
    }

    /// Frames of this side may have passed unread.
    fn missed(&mut self, side: Side, now: Timestamp) {
        let until = now.saturating_add(ADRIFT);
        if core::mem::replace(&mut self.half(side).is_told, true) {
            self.adrift_until = self.adrift_until.map(|_| until);
            return;
        }
        self.streams.lose_all_observed(side);
        for stream in self.streams.iter() {
            if side == Side::Client && stream.late_reset.is_some() {
                // Nothing comes behind that.
                continue;
            }
            let half = stream.half(side);
            half.missed = true;
            if half.ended {
                continue;
            }
            half.adrift = true;
            if half.begun {
                half.lose_body();
                stream.gap = true;
            }
            self.adrift_until = Some(until);
        }
    }

    /// Nothing was heard for long of streams that may have ended.
    pub(super) fn give_up_adrift(&mut self) {
        self.adrift_until = None;
        self.streams.finish_where(|stream| {
            let adrift =
                (stream.client.adrift && !stream.client.ended) || (stream.server.adrift && !stream.server.ended);
            stream.gap |= adrift;
            adrift
        });
    }

    /// The connection has ended, or is not observed any more.
    pub(super) fn close_streams(&mut self, cx: &Context<'_>) {
        let unread = unread_at(cx.other);
        self.settle_resets(u64::MAX, unread);
        let (doubt, served, now) = (self.doubt, self.served, cx.now);
        for stream in self.streams.iter() {
            stream.gap |= stream.server.adrift || (stream.client.adrift && !stream.client.ended);
            // The call is the client's.
            stream.gap |= !stream.server.ended && doubt.covers_or_waits(stream, unread);
            stream.truncated = true;
            // It began before the client knew.
            stream.refused = !stream.pushed && !stream.server.begun && stream.id > served;
            if !stream.refused && !stream.client.ended && !stream.server.begun {
                stream.client.message.end = stream.client.message.end.max(now);
            }
        }
        self.streams.finish_all();
        self.adrift_until = None;
    }
}
