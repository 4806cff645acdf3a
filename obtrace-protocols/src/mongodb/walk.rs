//! Reads the body of a message, from where it stopped when bytes were missing.
//!
//! Only the elements of the command and of the answer are looked at, and the few documents inside an answer that say
//! how it went. Documents of collections are counted and passed over.

use super::{
    bson::{self, Halt, Head},
    call::{self, Call, MAX_TEXT},
    command::{self, Field, First, Scope, Wanted, legacy},
    wire::{Opcode, flags},
};
use crate::{Config, parser::Side, scan};

/// Documents in documents that are read. Deeper ones are passed over.
const DEPTH: usize = 4;

/// How far a walk got with the bytes that it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// So many bytes behind those that were used must be there.
    Need(usize),
    /// All bytes were used, and so many more are of no interest.
    Skip(u32),
    /// Nothing more is of interest.
    Done,
    /// This is no message of the kind.
    Malformed,
}

#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    /// Where the document ends, its last zero included.
    end: u32,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The flags of an `OP_MSG`.
    #[default]
    Flags,
    /// A section of it begins.
    Section,
    /// The documents of a section up to this place.
    Sequence {
        end: u32,
        are_items: bool,
    },
    /// In the innermost document.
    Elements,
    /// An older request begins: a word, and the namespace.
    Older,
    /// Behind the namespace of an `OP_QUERY`.
    Query,
    /// Behind the namespace of an `OP_GET_MORE`.
    GetMore,
    /// Behind the namespace of an `OP_INSERT`: the documents.
    Documents,
    /// An `OP_REPLY` begins.
    Reply,
    Done,
}

/// What comes of a look at the front of the bytes.
enum Next {
    /// So many bytes are used, maybe more than are there.
    Used(u32),
    Stop(Stop),
}

const MALFORMED: Next = Next::Stop(Stop::Malformed);

const fn need(bytes: usize) -> Next {
    Next::Stop(Stop::Need(bytes))
}

/// One message's body. Places are counted from its first byte.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    at: u32,
    /// Where the body ends.
    end: u32,
    opcode: Opcode,
    is_answer: bool,
    state: State,
    frames: [Frame; DEPTH],
    depth: u8,
}

impl Walk {
    pub(super) fn new(opcode: Opcode, side: Side, length: u32) -> Self {
        let state = match opcode {
            Opcode::Msg => State::Flags,
            Opcode::Reply => State::Reply,
            Opcode::Compressed => State::Done,
            _ => State::Older,
        };
        Self { end: length, opcode, is_answer: side == Side::Server, state, ..Self::default() }
    }

    /// Goes on with the bytes behind those used so far. How many of them are used, and why it stopped.
    pub(super) fn go(&mut self, bytes: &[u8], call: &mut Call, config: &Config) -> (usize, Stop) {
        let start = self.at;
        loop {
            let used = self.at.saturating_sub(start) as usize;
            let Some(rest) = bytes.get(used..) else {
                return (bytes.len(), Stop::Skip(u32::try_from(used.saturating_sub(bytes.len())).unwrap_or(u32::MAX)));
            };
            let next = match self.state {
                State::Elements => self.elements(rest, call, config),
                State::Flags => self.flags(rest, call),
                State::Section => self.section(rest),
                State::Sequence { end, are_items } => self.sequence(rest, end, are_items, call),
                State::Older => self.older(rest, call),
                State::Query => self.query(rest, call),
                State::GetMore => self.get_more(rest, call),
                State::Documents => self.documents(rest, call),
                State::Reply => self.reply(rest, call),
                State::Done => Next::Stop(Stop::Done),
            };
            match next {
                Next::Used(used) => self.at = self.at.saturating_add(used),
                Next::Stop(stop) => return (used, stop),
            }
        }
    }

    /// Whether nothing is left.
    pub(super) const fn is_over(&self) -> bool {
        self.at >= self.end
    }

    fn left(&self) -> u32 {
        self.end.saturating_sub(self.at)
    }

    fn flags(&mut self, rest: &[u8], call: &mut Call) -> Next {
        let Some(word) = rest.first_chunk() else { return need(4) };
        let word = u32::from_le_bytes(*word);
        if word & flags::REQUIRED & !(flags::CHECKSUM_PRESENT | flags::MORE_TO_COME) != 0 {
            return MALFORMED;
        }
        if word & flags::CHECKSUM_PRESENT != 0 {
            self.end = self.end.saturating_sub(4);
        }
        let more = word & flags::MORE_TO_COME != 0;
        if self.is_answer {
            call.answered.more = more;
        } else {
            call.asked.is_unacknowledged = more;
            call.asked.is_exhaust = word & flags::EXHAUST_ALLOWED != 0;
        }
        self.state = State::Section;
        Next::Used(4)
    }

    fn section(&mut self, rest: &[u8]) -> Next {
        let left = self.left();
        if left == 0 {
            self.state = State::Done;
            return Next::Used(0);
        }
        let Some(&[kind, l0, l1, l2, l3]) = rest.first_chunk() else { return need(5) };
        let size = u32::from_le_bytes([l0, l1, l2, l3]);
        if size < 5 || size >= left {
            return MALFORMED;
        }
        match kind {
            0 => {
                let scope = if self.is_answer { Scope::Answer } else { Scope::Command };
                self.enter(size.saturating_add(1), scope);
                Next::Used(5)
            }
            1 => {
                let section = rest.get(5..).unwrap_or_default();
                let window = section.get(..section.len().min(bson::MAX_NAME)).unwrap_or_default();
                let end = self.at.saturating_add(1).saturating_add(size);
                match scan::find_zero(window) {
                    Some(length) if length as u32 <= size.saturating_sub(5) => {
                        let name = window.get(..length).unwrap_or_default();
                        let are_items = !self.is_answer && command::is_items(name);
                        self.state = State::Sequence { end, are_items };
                        Next::Used(u32::try_from(length).unwrap_or(u32::MAX).saturating_add(6))
                    }
                    None if window.len() < bson::MAX_NAME && window.len() as u32 <= size.saturating_sub(5) => {
                        need(window.len().saturating_add(6))
                    }
                    _ => MALFORMED,
                }
            }
            _ => MALFORMED,
        }
    }

    fn sequence(&mut self, rest: &[u8], end: u32, are_items: bool, call: &mut Call) -> Next {
        let left = end.saturating_sub(self.at);
        if left == 0 {
            self.state = State::Section;
            return Next::Used(0);
        }
        let Some(size) = rest.first_chunk().map(|size| u32::from_le_bytes(*size)) else { return need(4) };
        if !(5..=left).contains(&size) {
            return MALFORMED;
        }
        if are_items {
            call.count_item();
        }
        Next::Used(size)
    }

    /// Goes into a document that ends so many bytes from here.
    fn enter(&mut self, size: u32, scope: Scope) -> bool {
        let end = self.at.saturating_add(size);
        let Some(frame) = self.frames.get_mut(usize::from(self.depth)) else { return false };
        *frame = Frame { end, scope };
        self.depth = self.depth.saturating_add(1);
        self.state = State::Elements;
        true
    }

    fn elements(&mut self, rest: &[u8], call: &mut Call, config: &Config) -> Next {
        let top = usize::from(self.depth).wrapping_sub(1);
        let Some(Frame { end, scope }) = self.frames.get(top).copied() else {
            self.state = if self.opcode == Opcode::Msg { State::Section } else { State::Done };
            return Next::Used(0);
        };
        // Without the zero that ends the document.
        let left = end.saturating_sub(self.at).saturating_sub(1) as usize;
        if left == 0 {
            return match rest.first() {
                None => need(1),
                Some(0) => {
                    self.depth = self.depth.saturating_sub(1);
                    Next::Used(1)
                }
                Some(_) => MALFORMED,
            };
        }
        if scope == Scope::Nothing {
            return used(left);
        }
        let head = match bson::head(rest.get(..left).unwrap_or(rest)) {
            Ok(head) => head,
            Err(Halt::Short(bytes)) if bytes <= left => return need(bytes),
            Err(Halt::TooLong) => return used(left),
            Err(_) => return MALFORMED,
        };
        let total = head.length.saturating_add(head.size);
        if total > left {
            return MALFORMED;
        }
        let wanted = self.wanted(top, scope, &head, call);
        if let Wanted::Field(field) | Wanted::Name(Some(field)) | Wanted::Explained(field) = wanted {
            let most = match field {
                // Half of what may be held: the chunk that completes it has to fit in, too.
                Field::ErrorText => config.max_text.min(config.max_buffered / 2) as usize,
                _ => MAX_TEXT,
            };
            let kept = head.length.saturating_add(head.size.min(most.saturating_add(5)));
            let Some(value) = rest.get(head.length..kept) else { return need(kept) };
            call.take(field, head.kind, value, config);
        }
        match wanted {
            Wanted::Inside(scope) => {
                if scope == Scope::Batch {
                    call.count_returned(0);
                }
                return self.enter_element(total, &head, scope);
            }
            Wanted::Name(_) => {
                let command = call.name(head.name);
                let explains = command.is_some_and(|it| it.first == First::Command);
                if explains && head.kind == bson::Kind::Document {
                    return self.enter_element(total, &head, Scope::Explained);
                }
            }
            Wanted::Explained(_) => self.change(top, Scope::Nothing),
            Wanted::Nothing | Wanted::Field(_) => {}
        }
        used(total)
    }

    fn enter_element(&mut self, total: usize, head: &Head<'_>, scope: Scope) -> Next {
        let inside = self.enter(u32::try_from(total).unwrap_or(u32::MAX), scope);
        used(if inside { head.length.saturating_add(4) } else { total })
    }

    /// What is wanted of an element. May be asked again of the same one, if its value is not there yet.
    #[inline]
    fn wanted(&mut self, top: usize, scope: Scope, head: &Head<'_>, call: &mut Call) -> Wanted {
        match scope {
            Scope::Batch => {
                call.count_returned(1);
                Wanted::Nothing
            }
            Scope::Items => {
                call.count_item();
                Wanted::Nothing
            }
            Scope::Answer => command::of_answer(head),
            Scope::Query if matches!(head.name, b"$query" | b"query") && head.kind == bson::Kind::Document => {
                // What is beside the command says how it is read.
                self.change(top, Scope::Nothing);
                Wanted::Inside(Scope::Command)
            }
            Scope::Query => {
                self.change(top, Scope::Command);
                Wanted::Name(call::first_field(head))
            }
            Scope::Command if !call.asked.is_named => Wanted::Name(call::first_field(head)),
            Scope::Command => command::of_command(call.asked.command, head),
            Scope::Explained => match call::first_field(head) {
                Some(field) => Wanted::Explained(field),
                None => {
                    self.change(top, Scope::Nothing);
                    Wanted::Nothing
                }
            },
            Scope::WriteErrors => {
                call.answered.write_errors = call.answered.write_errors.saturating_add(1);
                let is_first = call.answered.write_errors == 1 && head.kind == bson::Kind::Document;
                if is_first { Wanted::Inside(Scope::WriteError) } else { Wanted::Nothing }
            }
            Scope::Nothing => Wanted::Nothing,
            _ => command::of_part(scope, head),
        }
    }

    fn change(&mut self, top: usize, scope: Scope) {
        if let Some(frame) = self.frames.get_mut(top) {
            frame.scope = scope;
        }
    }

    /// Requests before `OP_MSG`.
    fn older(&mut self, rest: &[u8], call: &mut Call) -> Next {
        let Some(word) = rest.first_chunk().map(|word| u32::from_le_bytes(*word)) else { return need(4) };
        if self.opcode == Opcode::KillCursors {
            return self.named(call, &legacy::KILL_CURSORS);
        }
        let left = self.left() as usize;
        let window = rest.get(4..).unwrap_or_default();
        let window = window.get(..window.len().min(bson::MAX_NAME)).unwrap_or_default();
        let Some(length) = scan::find_zero(window) else {
            let more = window.len().saturating_add(5);
            return if window.len() < bson::MAX_NAME && more <= left { need(more) } else { MALFORMED };
        };
        let is_command = call.namespace(window.get(..length).unwrap_or_default());
        match self.opcode {
            Opcode::Query if is_command => self.state = State::Query,
            Opcode::Query => {
                call.asked.is_bare = true;
                // Bit 6 asks for all batches at once.
                call.asked.is_stream = word & 1 << 6 != 0;
                return self.named(call, &legacy::FIND);
            }
            Opcode::GetMore => self.state = State::GetMore,
            Opcode::Insert => self.state = State::Documents,
            Opcode::Update => return self.named(call, &legacy::UPDATE),
            _ => return self.named(call, &legacy::DELETE),
        }
        used(length.saturating_add(5))
    }

    /// Nothing but the name is read of it.
    fn named(&mut self, call: &mut Call, command: &'static command::Command) -> Next {
        call.asked.is_named = true;
        call.asked.command = Some(command);
        call.asked.is_unacknowledged = self.opcode != Opcode::Query;
        self.state = State::Done;
        Next::Used(0)
    }

    fn query(&mut self, rest: &[u8], _call: &mut Call) -> Next {
        let Some((_, size)) = rest.split_first_chunk::<8>() else { return need(12) };
        let Some(size) = size.first_chunk().map(|size| u32::from_le_bytes(*size)) else { return need(12) };
        if size < 5 || size.saturating_add(8) > self.left() {
            return MALFORMED;
        }
        self.enter(size.saturating_add(8), Scope::Query);
        Next::Used(12)
    }

    fn get_more(&mut self, rest: &[u8], call: &mut Call) -> Next {
        let Some((_, cursor)) = rest.split_first_chunk::<4>() else { return need(12) };
        let Some(cursor) = cursor.first_chunk() else { return need(12) };
        call.asked.cursor = Some(i64::from_le_bytes(*cursor));
        call.asked.is_bare = true;
        let next = self.named(call, &legacy::GET_MORE);
        call.asked.is_unacknowledged = false;
        next
    }

    fn documents(&mut self, rest: &[u8], call: &mut Call) -> Next {
        if !call.asked.is_named {
            self.named(call, &legacy::INSERT);
            self.state = State::Documents;
        }
        let left = self.left();
        if left == 0 {
            self.state = State::Done;
            return Next::Used(0);
        }
        let Some(size) = rest.first_chunk().map(|size| u32::from_le_bytes(*size)) else { return need(4) };
        if !(5..=left).contains(&size) {
            return MALFORMED;
        }
        call.count_item();
        Next::Used(size)
    }

    fn reply(&mut self, rest: &[u8], call: &mut Call) -> Next {
        let Some(&[f0, _, _, _, c0, c1, c2, c3, c4, c5, c6, c7, _, _, _, _, n0, n1, n2, n3]) = rest.first_chunk()
        else {
            return need(20);
        };
        let count = i32::from_le_bytes([n0, n1, n2, n3]);
        // Bit 0: the cursor is not known. Bit 1: the query failed, and the document says why.
        let (no_cursor, has_failed) = (f0 & 1 != 0, f0 & 2 != 0);
        let is_about = (has_failed || !call.asked.is_bare) && count > 0;
        if call.asked.is_bare && !has_failed {
            call.count_returned(u64::try_from(count).unwrap_or_default());
            call.answered.cursor = Some(i64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]));
        }
        if has_failed || no_cursor {
            call.answered.ok = Some(false);
        }
        if no_cursor {
            call.answered.code = Some(CURSOR_NOT_FOUND);
        }
        if !is_about {
            self.state = State::Done;
            return Next::Used(20);
        }
        let Some(size) = rest.get(20..).and_then(|rest| rest.first_chunk()) else { return need(24) };
        let size = u32::from_le_bytes(*size);
        if size < 5 || size.saturating_add(20) > self.left() {
            return MALFORMED;
        }
        self.enter(size.saturating_add(20), Scope::Answer);
        Next::Used(24)
    }
}

/// The code of an answer that knows no such cursor.
const CURSOR_NOT_FOUND: i32 = 43;

fn used(bytes: usize) -> Next {
    Next::Used(u32::try_from(bytes).unwrap_or(u32::MAX))
}
