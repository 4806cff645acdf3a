//! Statement texts of one connection: those that were prepared, those of the portals, those of exchanges under way.
//!
//! A text lives in a slot as long as a name or an exchange refers to it, so that a name may be given to another
//! statement while the first one still runs. Slots and their memory are used again.

use alloc::{string::String, vec::Vec};

use crate::sql::{Digest, Grammar};

/// Names kept at most, of statements and of portals each.
const MAX_NAMES: usize = 512;
/// Texts kept at most for names, in bytes of all together. The name that was not used for longest goes first.
const MAX_BYTES: usize = 64 * 1024;
/// Memory that an unused slot may keep, as long as all together hold no more than [`MAX_BYTES`].
const KEPT: usize = 8 * 1024;

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

/// A statement, or a portal of one.
#[derive(Debug)]
pub(super) struct Slot {
    references: u32,
    pub(super) name: String,
    pub(super) digest: Digest,
    /// The text is longer than what was read.
    pub(super) cut: bool,
    /// What a portal runs.
    pub(super) of: Handle,
}

impl Slot {
    fn memory(&self) -> usize {
        self.name.capacity().saturating_add(self.digest.memory())
    }
}

#[derive(Clone, Copy, Debug)]
struct Named {
    hash: u32,
    handle: Handle,
    /// When it was used last.
    used: u32,
}

/// Names, those that are used more before the others: a hit moves half-way to the front.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<Named>);

#[derive(Debug)]
pub(super) struct Statements {
    slots: Vec<Slot>,
    free: Vec<Handle>,
    statements: Names,
    portals: Names,
    unnamed: Handle,
    unnamed_portal: Handle,
    /// Counts uses of names.
    clock: u32,
    /// Heap bytes of all slots.
    bytes: usize,
}

/// Which of the two name spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Statement,
    Portal,
}

/// How a text is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) grammar: Grammar,
    pub(super) raw: bool,
    pub(super) max: usize,
}

impl Statements {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            statements: Names(Vec::new()),
            portals: Names(Vec::new()),
            unnamed: Handle::UNKNOWN,
            unnamed_portal: Handle::UNKNOWN,
            clock: 0,
            bytes: 0,
        }
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Slot> {
        self.slots.get(handle.index())
    }

    /// Whether two texts are told as one is.
    pub(super) fn are_same(&self, one: Handle, other: Handle) -> bool {
        let (Some(one), Some(other)) = (self.get(one), self.get(other)) else { return false };
        (one.cut, &one.name) == (other.cut, &other.name) && one.digest == other.digest
    }

    /// A text with one reference, the caller's.
    pub(super) fn add(&mut self, name: &[u8], text: &[u8], cut: bool, reading: Reading) -> Handle {
        let handle = self.take_slot();
        self.change(handle, |slot| {
            set_name(&mut slot.name, name);
            slot.cut = cut || text.len() > reading.max;
            let text = text.get(..reading.max).unwrap_or(text);
            let text = if slot.cut { whole_characters(text) } else { text };
            slot.digest.read_as(text, reading.grammar, reading.raw);
        });
        handle
    }

    /// Gives a statement its name: the caller's reference goes to the name.
    pub(super) fn name(&mut self, name: &[u8], handle: Handle) {
        if name.is_empty() {
            let old = core::mem::replace(&mut self.unnamed, handle);
            return self.release(old);
        }
        self.bind_name(Space::Statement, name, handle);
    }

    /// Makes a portal of a statement.
    pub(super) fn bind(&mut self, portal: &[u8], statement: &[u8]) {
        let of = self.find(Space::Statement, statement);
        self.retain(of);
        if portal.is_empty() {
            let old = core::mem::replace(&mut self.unnamed_portal, of);
            return self.release(old);
        }
        let handle = self.take_slot();
        self.change(handle, |slot| {
            set_name(&mut slot.name, portal);
            slot.of = of;
        });
        self.bind_name(Space::Portal, portal, handle);
    }

    /// The statement and the portal that an Execute of this name runs, each with a reference for the caller. The
    /// unnamed portal has no slot.
    pub(super) fn execute(&mut self, portal: &[u8]) -> (Handle, Handle) {
        let (statement, portal) = if portal.is_empty() {
            (self.unnamed_portal, Handle::UNKNOWN)
        } else {
            let handle = self.find(Space::Portal, portal);
            (self.get(handle).map_or(Handle::UNKNOWN, |slot| slot.of), handle)
        };
        self.retain(statement);
        self.retain(portal);
        (statement, portal)
    }

    /// What a name stands for.
    pub(super) fn find(&mut self, space: Space, name: &[u8]) -> Handle {
        if name.is_empty() {
            return if space == Space::Statement { self.unnamed } else { self.unnamed_portal };
        }
        let Some(at) = self.position(space, name) else { return Handle::UNKNOWN };
        self.clock = self.clock.wrapping_add(1);
        let clock = self.clock;
        let names = self.names(space);
        let Some(named) = names.0.get_mut(at) else { return Handle::UNKNOWN };
        named.used = clock;
        let handle = named.handle;
        names.0.swap(at, at / 2);
        handle
    }

    /// Forgets a name.
    pub(super) fn close(&mut self, space: Space, name: &[u8]) {
        if name.is_empty() {
            let unnamed = if space == Space::Statement { &mut self.unnamed } else { &mut self.unnamed_portal };
            let old = core::mem::replace(unnamed, Handle::UNKNOWN);
            return self.release(old);
        }
        if let Some(at) = self.position(space, name) {
            let named = self.names(space).0.remove(at);
            self.release(named.handle);
        }
    }

    /// Forgets all names of statements: DEALLOCATE ALL, DISCARD ALL.
    pub(super) fn close_all(&mut self) {
        while let Some(named) = self.statements.0.pop() {
            self.release(named.handle);
        }
        let unnamed = core::mem::replace(&mut self.unnamed, Handle::UNKNOWN);
        self.release(unnamed);
    }

    pub(super) fn retain(&mut self, handle: Handle) {
        if let Some(slot) = self.slots.get_mut(handle.index()) {
            slot.references = slot.references.saturating_add(1);
        }
    }

    pub(super) fn release(&mut self, handle: Handle) {
        let mut next = handle;
        // A portal holds a reference to its statement, a statement to nothing: two rounds at most.
        for _ in 0..2 {
            let Some(slot) = self.slots.get_mut(next.index()) else { return };
            slot.references = slot.references.saturating_sub(1);
            if slot.references > 0 {
                return;
            }
            let of = core::mem::replace(&mut slot.of, Handle::UNKNOWN);
            if slot.memory() > KEPT || self.bytes > MAX_BYTES {
                self.change(next, |slot| slot.digest.release());
            }
            self.free.push(next);
            next = of;
        }
    }

    pub(super) fn memory(&self) -> usize {
        let slots = self.slots.capacity().saturating_mul(size_of::<Slot>());
        let free = self.free.capacity().saturating_mul(size_of::<Handle>());
        let names = self.statements.0.capacity().saturating_add(self.portals.0.capacity());
        self.bytes.saturating_add(slots).saturating_add(free).saturating_add(names.saturating_mul(size_of::<Named>()))
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
                slot.name = String::new();
                slot.digest.release();
            } else {
                slot.name.shrink_to_fit();
                slot.digest.shrink();
            }
            self.bytes = self.bytes.saturating_add(slot.memory());
        }
        self.slots.shrink_to_fit();
        self.free.shrink_to_fit();
        self.statements.0.shrink_to_fit();
        self.portals.0.shrink_to_fit();
    }

    fn names(&mut self, space: Space) -> &mut Names {
        if space == Space::Statement { &mut self.statements } else { &mut self.portals }
    }

    fn position(&mut self, space: Space, name: &[u8]) -> Option<usize> {
        let hash = hash(name);
        let slots = core::mem::take(&mut self.slots);
        let is_it = |named: &Named| {
            named.hash == hash && slots.get(named.handle.index()).is_some_and(|slot| slot.name.as_bytes() == name)
        };
        let at = self.names(space).0.iter().position(is_it);
        self.slots = slots;
        at
    }

    fn bind_name(&mut self, space: Space, name: &[u8], handle: Handle) {
        if let Some(at) = self.position(space, name) {
            let old = self.names(space).0.get_mut(at).map(|named| core::mem::replace(&mut named.handle, handle));
            return self.release(old.unwrap_or(Handle::UNKNOWN));
        }
        self.clock = self.clock.wrapping_add(1);
        let (hash, used) = (hash(name), self.clock);
        self.names(space).0.push(Named { hash, handle, used });
        while self.names(space).0.len() > MAX_NAMES || self.named_bytes() > MAX_BYTES {
            let names = &mut self.names(space).0;
            let age = |&(_, named): &(usize, &Named)| used.wrapping_sub(named.used);
            let oldest = names.iter().enumerate().max_by_key(age).map(|(at, _)| at);
            // The newest stays, however long it is.
            let Some(oldest) = oldest.filter(|_| names.len() > 1) else { return };
            let oldest = names.swap_remove(oldest);
            self.release(oldest.handle);
        }
    }

    fn named_bytes(&self) -> usize {
        let named = self.statements.0.iter().chain(&self.portals.0);
        named.filter_map(|named| self.get(named.handle)).map(Slot::memory).sum()
    }

    fn take_slot(&mut self) -> Handle {
        let handle = self.free.pop().unwrap_or_else(|| {
            let handle = Handle(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
            let (name, digest) = (String::new(), Digest::new());
            self.slots.push(Slot { references: 0, name, digest, cut: false, of: Handle::UNKNOWN });
            handle
        });
        if let Some(slot) = self.slots.get_mut(handle.index()) {
            slot.references = 1;
            slot.cut = false;
        }
        handle
    }

    /// Changes a slot and keeps the count of bytes.
    fn change(&mut self, handle: Handle, change: impl FnOnce(&mut Slot)) {
        let Some(slot) = self.slots.get_mut(handle.index()) else { return };
        let before = slot.memory();
        change(slot);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(slot.memory());
    }
}

/// Names that are not UTF-8 are kept as the replacement that is shown; they are never found again.
fn set_name(to: &mut String, name: &[u8]) {
    to.clear();
    match core::str::from_utf8(name) {
        Ok(name) => to.push_str(name),
        Err(_) => to.push(char::REPLACEMENT_CHARACTER),
    }
}

/// Without the first bytes of a character that was cut.
fn whole_characters(text: &[u8]) -> &[u8] {
    match core::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() => text.get(..error.valid_up_to()).unwrap_or(text),
        _ => text,
    }
}

/// FNV-1a.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash: u32, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
