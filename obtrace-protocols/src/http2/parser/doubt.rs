//! Which streams may have frames of the server that nobody read: those whose request passed before a loss of the server's,
//! or before what was taken for frames behind one was seen to be some.

use super::{super::stream::Stream, Http2Parser, Side};
use crate::{
    Timestamp,
    parser::{Step, Then},
};

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubt {
    /// What is taken for frames may be the inside of one.
    unsure: bool,
    /// Bytes of such a frame pass without being shown.
    dark: bool,
    /// Frames may have passed unread up to then; [`NOT_YET`]: up to the first bytes that will be shown.
    until: Option<Timestamp>,
    /// Highest number of a stream that the server sent frames of before its request was read.
    ahead: u32,
}

const NOT_YET: Option<Timestamp> = Some(Timestamp::from_nanos(u64::MAX));

impl Doubt {
    /// Nobody saw how the connection began.
    pub(super) const fn join(&mut self) {
        self.unsure = true;
        self.until = NOT_YET;
    }

    /// Bytes are shown, which nobody knows where a frame begins among.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if self.until == NOT_YET {
            self.until = Some(now);
        }
    }

    /// Frames of the server were lost.
    pub(super) fn lose(&mut self, now: Timestamp) {
        self.unsure = true;
        self.until = self.until.max(Some(now));
    }

    /// Bytes of the server were read.
    #[inline]
    pub(super) fn passed(&mut self, step: &Step, now: Timestamp) {
        if !self.unsure {
            return;
        }
        if self.dark || step.consumed > 0 {
            self.until = self.until.max(Some(now));
        }
        self.dark = matches!(step.then, Then::Skip(_));
    }

    /// A frame of a stream that is open begins here. `behind`: behind other bytes that are shown with it.
    pub(super) fn reach(&mut self, behind: bool, now: Timestamp) {
        if self.unsure && (behind || self.dark) {
            self.until = self.until.max(Some(now));
        }
    }

    /// It is a response to a stream that waits for one: nothing but a frame is like that.
    pub(super) const fn settle(&mut self) {
        self.unsure = false;
        self.dark = false;
    }

    /// Whether what is read of the server are frames for certain.
    pub(super) const fn is_sure(&self) -> bool {
        !self.unsure
    }

    /// Whether frames of the stream that now begins passed before it.
    pub(super) const fn is_late(&self, id: u32) -> bool {
        id & 1 == 1 && id <= self.ahead
    }

    /// Whether frames of an open stream may have passed unread.
    pub(super) fn covers(&self, stream: &Stream) -> bool {
        let passed = self.until.is_some_and(|until| until >= stream.client.message.start);
        stream.client.missed || stream.server.missed || passed || (self.unsure && self.dark)
    }

    /// The same, or whether they may be among what is unread, the newest of which passed then.
    pub(super) fn covers_or_waits(&self, stream: &Stream, unread: Option<Timestamp>) -> bool {
        let waits = unread.is_some_and(|at| at >= stream.client.message.start);
        self.covers(stream) || (self.unsure && waits)
    }
}

impl Http2Parser {
    /// The server sends frames of a stream that is not open.
    pub(super) fn unclaimed(&mut self, side: Side, id: u32) {
        // What may be no frame at all is in doubt anyway.
        if side == Side::Server && !self.doubt.unsure && id & 1 == 1 && id > self.last_client {
            self.doubt.ahead = self.doubt.ahead.max(id);
        }
    }
}

#[cfg(test)]
mod tests;
