//! The messages that are read and the calls that they are part of.

use alloc::boxed::Box;

use super::{
    super::{
        call::Call,
        compression::{Compressor, Unpacker},
        table::Table,
        walk::{Stop, Walk},
        wire::{HEADER, Header, Packed},
    },
    Trial,
};
use crate::{
    Completeness, Config, Message, Stage as Told, Timestamp,
    parser::{Context, Side},
};

/// What is in flight.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) asked: Reading,
    pub(super) answered: Reading,
    pub(super) unpacker: Unpacker,
    pub(super) table: Table,
}

/// The message of a side that is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    header: Header,
    pub(super) walk: Walk,
    /// The call that it is part of. Of an answer that nothing is known to have asked for there is none.
    pub(super) call: Option<Box<Call>>,
    /// Something of it was lost.
    pub(super) has_gap: bool,
    /// Something of it was too long to be read.
    is_cut: bool,
}

impl Reading {
    /// Something that would have been counted was not.
    pub(super) fn forget(&mut self, side: Side) {
        match (self.call.as_deref_mut(), side) {
            (Some(call), Side::Client) => call.asked.items = None,
            (Some(call), Side::Server) => call.answered.returned = None,
            (None, _) => {}
        }
    }
}

impl Work {
    pub(super) fn reading(&mut self, side: Side) -> &mut Reading {
        match side {
            Side::Client => &mut self.asked,
            Side::Server => &mut self.answered,
        }
    }

    /// A message begins at `offset`. `false`: what it answers may be still to come.
    pub(super) fn begin(
        &mut self,
        side: Side,
        header: Header,
        offset: u64,
        trial: &mut Trial,
        cx: &mut Context<'_>,
    ) -> bool {
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
    pub(super) fn end(&mut self, side: Side, at: Timestamp, cx: &mut Context<'_>) {
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
    pub(super) fn lose(&mut self, side: Side, is_message: bool, cx: &mut Context<'_>) {
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

    /// Reads a compressed message, or as much of the front of it as may be held.
    pub(super) fn unpack(&mut self, side: Side, body: &[u8], left: u64, config: &Config) -> Unpacked {
        let Some((head, packed_bytes)) = body.split_first_chunk() else { return Unpacked::Need(Packed::LENGTH) };
        let Some(packed) = Packed::read(head, side) else { return Unpacked::Malformed };
        let Work { asked, answered, unpacker, .. } = self;
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
}

/// What became of a compressed message.
pub(super) enum Unpacked {
    /// So many bytes must be there.
    Need(usize),
    /// All of it was read that is.
    Done,
    /// It follows as it is.
    Plain,
    Malformed,
}
