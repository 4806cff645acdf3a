//! RST_STREAM ([RFC 9113 §6.4](https://www.rfc-editor.org/rfc/rfc9113#section-6.4)).
//!
//! A reset by the client may be read before what the server had sent by then: that waits behind a hole, or for a request
//! that does. The client goes on all the same; the reset counts when the server's bytes were read up to there.

use super::{
    super::{ErrorCode, frame::Head, stream::LateReset},
    Http2Parser,
};
use crate::{
    Timestamp,
    parser::{Context, Side, Step, Then},
    stream::Assembler,
};

/// When the newest of those bytes passed that can be read and are unread, if there are any.
pub(super) fn unread_at(stream: &Assembler) -> Option<Timestamp> {
    (!stream.readable().is_empty()).then(|| stream.newest().at)
}

impl Http2Parser {
    /// The stream is over, whatever there is of it.
    pub(super) fn reset(&mut self, side: Side, head: &Head, code: ErrorCode, at: Timestamp, cx: &Context<'_>) {
        let (doubt, size) = (self.doubt, head.size());
        let behind = if side == Side::Client { self.unread_of_server(cx) } else { None };
        let Some(stream) = self.streams.get(head.stream) else {
            return self.unclaimed(side, head.stream);
        };
        if let Some(behind) = behind
            && !stream.server.ended
        {
            stream.late_reset.get_or_insert(LateReset { code, size, at, behind });
            self.resets_at = self.resets_at.min(behind);
            return;
        }
        if !stream.server.ended {
            // It may have been reset, or answered, among what was lost.
            stream.gap |= match side {
                Side::Client => doubt.covers_or_waits(stream, unread_at(cx.other)),
                Side::Server => doubt.covers(stream),
            };
        }
        stream.reset_by(side, code, size, at);
        self.streams.finish(head.stream);
    }

    /// Where the server's bytes end that came before those of the client that are read now, if some will be read later.
    fn unread_of_server(&self, cx: &Context<'_>) -> Option<u64> {
        let readable = cx.other.readable().len();
        let is_ready = readable > 0 && readable >= self.server.need;
        (is_ready || cx.other_waits).then(|| cx.other.seen_until())
    }

    /// Bytes of the server were read: resets that waited for them count.
    pub(super) fn settle_resets_behind(&mut self, step: &Step, bytes: &[u8], cx: &Context<'_>) {
        let is_read = matches!(step.then, Then::Need(_)) || step.consumed >= bytes.len();
        let skipped = if let Then::Skip(length) = step.then { length } else { 0 };
        let until = if is_read && cx.assembler.waiting_since().is_none() {
            // Whatever came of it.
            u64::MAX
        } else {
            cx.offset.saturating_add(step.consumed as u64).saturating_add(skipped)
        };
        self.settle_resets(until, (step.consumed < bytes.len()).then_some(cx.now));
    }

    /// The server was read up to there, the newest of what is left passed at `unread`.
    pub(super) fn settle_resets(&mut self, until: u64, unread: Option<Timestamp>) {
        if until < self.resets_at {
            return;
        }
        let (doubt, mut next) = (self.doubt, u64::MAX);
        self.streams.finish_where(|stream| {
            let Some(late) = stream.late_reset else { return false };
            if late.behind > until {
                next = next.min(late.behind);
                return false;
            }
            stream.gap |= !stream.server.ended && doubt.covers_or_waits(stream, unread);
            true
        });
        self.resets_at = next;
    }
}

#[cfg(test)]
mod tests;
