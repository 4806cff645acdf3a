//! Statement texts of one connection: those that are prepared, those of exchanges under way.
//!
//! A text lives in a slot as long as a number or an exchange refers to it. Slots and their memory are used again.

use alloc::vec::Vec;

use crate::sql::{Digest, Grammar};

/// Prepared statements kept at most.
const MAX_PREPARED: usize = 512;
/// Texts kept at most for them, in bytes of all together. The one that was not used for longest goes first.
const MAX_BYTES: usize = 64 * 1024;
/// Memory that an unused slot may keep, as long as all together hold no more than [`MAX_BYTES`].
const KEPT: usize = 8 * 1024;
/// Stands for the statement that was prepared last (MariaDB).
pub(super) const LAST_PREPARED: u32 = u32::MAX;

/// Refers to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(u32);

impl Handle {
    /// No statement: its text was never seen.
    pub(super) const UNKNOWN: Self = Self(u32::MAX);

    fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug)]
pub(super) struct Slot {
    references: u32,
    pub(super) digest: Digest,
    /// The text is longer than what was read.
    pub(super) cut: bool,
}

#[derive(Clone, Copy, Debug)]
struct Prepared {
    id: u32,
    handle: Handle,
    /// When it was used last.
    used: u32,
}

/// How a text is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) grammar: Grammar,
    pub(super) raw: bool,
    pub(super) max: usize,
}

#[derive(Debug)]
pub(super) struct Statements {
    slots: Vec<Slot>,
    free: Vec<Handle>,
    /// Those that are used more before the others: a hit moves half-way to the front.
    prepared: Vec<Prepared>,
    /// What the newest COM_STMT_PREPARE asked for.
    last: Handle,
    /// Counts uses.
    clock: u32,
    /// Heap bytes of all slots.
    bytes: usize,
}

impl Statements {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), prepared: Vec::new(), last: Handle::UNKNOWN, clock: 0, bytes: 0 }
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Slot> {
        self.slots.get(handle.index())
    }

    /// Whether two texts are told as one is.
    pub(super) fn are_same(&self, one: Handle, other: Handle) -> bool {
        let (Some(one), Some(other)) = (self.get(one), self.get(other)) else { return false };
        one.cut == other.cut && one.digest == other.digest
    }

    /// A text with one reference, the caller's.
    pub(super) fn add(&mut self, text: &[u8], cut: bool, reading: Reading) -> Handle {
        let handle = self.take_slot();
        let Some(slot) = self.slots.get_mut(handle.index()) else { return Handle::UNKNOWN };
        let before = slot.digest.memory();
        slot.cut = cut || text.len() > reading.max;
        let text = text.get(..reading.max).unwrap_or(text);
        let text = if slot.cut { whole_characters(text) } else { text };
        slot.digest.read_as(text, reading.grammar, reading.raw);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(slot.digest.memory());
        handle
    }

    /// The newest COM_STMT_PREPARE asked for this one.
    pub(super) fn set_last(&mut self, handle: Handle) {
        self.retain(handle);
        let old = core::mem::replace(&mut self.last, handle);
        self.release(old);
    }

    /// The server gave a statement its number.
    pub(super) fn name(&mut self, id: u32, handle: Handle) {
        self.retain(handle);
        self.clock = self.clock.wrapping_add(1);
        let named = Prepared { id, handle, used: self.clock };
        if let Some(known) = self.prepared.iter_mut().find(|known| known.id == id) {
            let old = core::mem::replace(known, named);
            return self.release(old.handle);
        }
        self.prepared.push(named);
        while self.prepared.len() > MAX_PREPARED || self.named_bytes() > MAX_BYTES {
            let age = |&(_, known): &(usize, &Prepared)| self.clock.wrapping_sub(known.used);
            let oldest = self.prepared.iter().enumerate().max_by_key(age).map(|(at, _)| at);
            // The newest stays, however long it is.
            let Some(oldest) = oldest.filter(|_| self.prepared.len() > 1) else { return };
            let oldest = self.prepared.swap_remove(oldest);
            self.release(oldest.handle);
        }
    }

    /// The statement with this number, with a reference for the caller.
    pub(super) fn find(&mut self, id: u32) -> Handle {
        let handle = if id == LAST_PREPARED { self.last } else { self.look_up(id) };
        self.retain(handle);
        handle
    }

    fn look_up(&mut self, id: u32) -> Handle {
        let Some(at) = self.prepared.iter().position(|known| known.id == id) else { return Handle::UNKNOWN };
        self.clock = self.clock.wrapping_add(1);
        let clock = self.clock;
        let Some(known) = self.prepared.get_mut(at) else { return Handle::UNKNOWN };
        known.used = clock;
        let handle = known.handle;
        self.prepared.swap(at, at / 2);
        handle
    }

    /// COM_STMT_CLOSE.
    pub(super) fn close(&mut self, id: u32) {
        if let Some(at) = self.prepared.iter().position(|known| known.id == id) {
            let closed = self.prepared.swap_remove(at);
            self.release(closed.handle);
        }
    }

    /// The session begins anew.
    pub(super) fn close_all(&mut self) {
        while let Some(known) = self.prepared.pop() {
            self.release(known.handle);
        }
        self.set_last(Handle::UNKNOWN);
    }

    pub(super) fn retain(&mut self, handle: Handle) {
        if let Some(slot) = self.slots.get_mut(handle.index()) {
            slot.references = slot.references.saturating_add(1);
        }
    }

    pub(super) fn release(&mut self, handle: Handle) {
        let Some(slot) = self.slots.get_mut(handle.index()) else { return };
        slot.references = slot.references.saturating_sub(1);
        if slot.references > 0 {
            return;
        }
        let held = slot.digest.memory();
        if held > KEPT || self.bytes > MAX_BYTES {
            slot.digest.release();
            self.bytes = self.bytes.saturating_sub(held);
        }
        self.free.push(handle);
    }

    pub(super) fn memory(&self) -> usize {
        let slots = self.slots.capacity().saturating_mul(size_of::<Slot>());
        let free = self.free.capacity().saturating_mul(size_of::<Handle>());
        let prepared = self.prepared.capacity().saturating_mul(size_of::<Prepared>());
        self.bytes.saturating_add(slots).saturating_add(free).saturating_add(prepared)
    }

    pub(super) fn shrink(&mut self) {
        while self.slots.last().is_some_and(|slot| slot.references == 0) {
            self.slots.pop();
        }
        let left = self.slots.len();
        self.free.retain(|handle| handle.index() < left);
        self.bytes = 0;
        for slot in &mut self.slots {
            if slot.references == 0 {
                slot.digest.release();
            } else {
                slot.digest.shrink();
            }
            self.bytes = self.bytes.saturating_add(slot.digest.memory());
        }
        self.slots.shrink_to_fit();
        self.free.shrink_to_fit();
        self.prepared.shrink_to_fit();
    }

    fn named_bytes(&self) -> usize {
        self.prepared.iter().filter_map(|known| self.get(known.handle)).map(|slot| slot.digest.memory()).sum()
    }

    fn take_slot(&mut self) -> Handle {
        let handle = self.free.pop().unwrap_or_else(|| {
            let handle = Handle(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
            self.slots.push(Slot { references: 0, digest: Digest::new(), cut: false });
            handle
        });
        if let Some(slot) = self.slots.get_mut(handle.index()) {
            slot.references = 1;
        }
        handle
    }
}

/// Without the first bytes of a character that was cut.
fn whole_characters(text: &[u8]) -> &[u8] {
    match core::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() => text.get(..error.valid_up_to()).unwrap_or(text),
        _ => text,
    }
}
