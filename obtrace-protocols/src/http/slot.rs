//! One exchange while it is being put together, and the queue of them.

use alloc::{borrow::Cow, boxed::Box, collections::VecDeque, string::String, vec::Vec};

use super::details::{HttpDetails, operation, split_target};
use crate::{Completeness, Details, Exchange, Message, Protocol, Role, Timestamp};

/// A part of [`Slot::text`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Piece {
    start: u32,
    /// One more than the length; 0: there is none.
    length: u32,
}

/// A request and what is known of its response. Slots and their text are used again.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) request: Message,
    pub(super) response: Message,
    text: Vec<u8>,
    pub(super) method: Piece,
    pub(super) target: Piece,
    pub(super) host: Piece,
    pub(super) user_agent: Piece,
    pub(super) forwarded_for: Piece,
    pub(super) upgrade: Piece,
    pub(super) request_type: Piece,
    pub(super) response_type: Piece,
    pub(super) request_body: Option<u64>,
    pub(super) response_body: Option<u64>,
    /// 0: no response head was seen.
    pub(super) status: u16,
    pub(super) minor_version: u8,
    status_text: [u8; 3],
    pub(super) request_done: bool,
    pub(super) response_done: bool,
    /// The client offers to leave HTTP/1.
    pub(super) may_upgrade: bool,
    /// Whether an upgrade took place.
    pub(super) upgraded: bool,
    /// Bytes inside it were lost.
    pub(super) gap: bool,
    pub(super) truncated: bool,
    /// Whether its response is its own is not known yet.
    pub(super) on_trial: bool,
    /// Heap bytes that the queue counts for it.
    counted: usize,
}

impl Slot {
    fn clear(&mut self) {
        let mut text = core::mem::take(&mut self.text);
        text.clear();
        *self = Self { text, ..Self::default() };
    }

    pub(super) fn put(&mut self, bytes: &[u8], limit: usize) -> Piece {
        let start = self.text.len();
        self.text.extend_from_slice(shorten(bytes, limit));
        // A folded field reads as one line.
        for byte in self.text.iter_mut().skip(start).filter(|byte| matches!(byte, b'\r' | b'\n')) {
            *byte = b' ';
        }
        let length = self.text.len().saturating_sub(start).saturating_add(1);
        Piece { start: u32::try_from(start).unwrap_or(u32::MAX), length: u32::try_from(length).unwrap_or(0) }
    }

    pub(super) fn get(&self, piece: Piece) -> Option<&[u8]> {
        let length = piece.length.checked_sub(1)?;
        self.text.get(piece.start as usize..piece.start.saturating_add(length) as usize)
    }

    pub(super) fn set_status(&mut self, status: u16) {
        self.status = status;
        let digit = |n: u16| b'0'.wrapping_add(u8::try_from(n % 10).unwrap_or(0));
        self.status_text = [digit(status / 100), digit(status / 10), digit(status)];
    }

    fn recount(&mut self) -> usize {
        self.counted = size_of::<Self>().saturating_add(self.text.capacity());
        self.counted
    }

    pub(super) fn finished(&self) -> bool {
        self.request_done && self.response_done && !self.on_trial
    }

    /// Nobody knows its response: what was taken for it is forgotten.
    pub(super) fn abandon(&mut self) {
        self.response = Message::default();
        self.response_body = None;
        self.response_type = Piece::default();
        self.status = 0;
        self.truncated = false;
        self.upgraded = false;
        self.gap = true;
        self.response_done = true;
        self.on_trial = false;
        self.may_upgrade = false;
    }

    fn completeness(&self) -> Completeness {
        if self.gap {
            Completeness::Gap
        } else if self.truncated {
            Completeness::Truncated
        } else if self.status == 0 {
            Completeness::ResponseMissing
        } else {
            Completeness::Complete
        }
    }

    fn exchange(&self, role: Role) -> Exchange<'_> {
        let raw = |piece| self.get(piece).unwrap_or_default();
        let text = |piece| self.get(piece).map(String::from_utf8_lossy);
        let target = split_target(raw(self.method), raw(self.target));
        let method = String::from_utf8_lossy(raw(self.method));
        let operation = match &method {
            Cow::Borrowed(method) => operation(method),
            Cow::Owned(_) => "_OTHER",
        };
        let path = String::from_utf8_lossy(target.path);
        let threshold = if role == Role::Server { 500 } else { 400 };
        let failed = self.status >= threshold;
        let upgrade = match target.authority {
            Some(_) if self.upgraded && raw(self.method) == b"CONNECT" => Some(Cow::Borrowed("tunnel")),
            _ if self.upgraded => text(self.upgrade),
            _ => None,
        };
        Exchange {
            id: self.id,
            protocol: Protocol::Http,
            role,
            operation: Cow::Borrowed(operation),
            target: path.clone(),
            error: failed.then(|| String::from_utf8_lossy(&self.status_text)),
            request: self.request,
            response: (self.status != 0).then_some(self.response),
            completeness: self.completeness(),
            details: Details::Http(HttpDetails {
                target: String::from_utf8_lossy(raw(self.target)),
                path,
                query: target.query.map(String::from_utf8_lossy),
                version: self.minor_version,
                host: target.authority.map(String::from_utf8_lossy).or_else(|| text(self.host)),
                scheme: target.scheme.map(String::from_utf8_lossy),
                status: (self.status != 0).then_some(self.status),
                user_agent: text(self.user_agent),
                request_content_type: text(self.request_type),
                response_content_type: text(self.response_type),
                forwarded_for: text(self.forwarded_for),
                request_body_size: self.request_body,
                response_body_size: self.response_body,
                upgrade,
                method,
            }),
        }
    }
}

/// At most `limit` bytes, not cut inside a character, no white space left at the end.
pub(super) fn shorten(bytes: &[u8], limit: usize) -> &[u8] {
    let Some(short) = bytes.get(..limit).filter(|short| short.len() < bytes.len()) else {
        return bytes.trim_ascii_end();
    };
    let last = short.iter().rev().take(4).position(|byte| byte & 0xc0 != 0x80);
    let whole = last.and_then(|back| {
        let start = short.len().checked_sub(back.checked_add(1)?)?;
        let width = match short.get(start)? {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => 1,
        };
        (back.saturating_add(1) < width).then_some(start)
    });
    short.get(..whole.unwrap_or(short.len())).unwrap_or(short).trim_ascii_end()
}

/// Most slots kept for use again.
const MAX_SPARE: usize = 32;

/// Slots in the order of their requests. Those in front are finished.
#[derive(Debug, Default)]
pub(super) struct Queue {
    slots: VecDeque<Box<Slot>>,
    finished: usize,
    #[expect(clippy::vec_box, reason = "slots move between the queue and here without being copied")]
    spare: Vec<Box<Slot>>,
    /// What [`Queue::poll`] lent out.
    lent: Option<Box<Slot>>,
    /// Heap bytes of all slots.
    held: usize,
}

impl Queue {
    /// A cleared slot.
    pub(super) fn take_spare(&mut self) -> Box<Slot> {
        let mut slot = self.spare.pop().unwrap_or_default();
        self.held = self.held.saturating_sub(slot.counted);
        slot.clear();
        slot
    }

    pub(super) fn give_back(&mut self, mut slot: Box<Slot>) {
        if self.spare.len() < MAX_SPARE && slot.text.capacity() <= 16 * 1024 {
            self.held = self.held.saturating_add(slot.recount());
            self.spare.push(slot);
        }
    }

    pub(super) fn push(&mut self, mut slot: Box<Slot>) {
        self.held = self.held.saturating_add(slot.recount());
        self.slots.push_back(slot);
    }

    /// Lets the request that is being answered take more text.
    pub(super) fn amend(&mut self, change: impl FnOnce(&mut Slot)) {
        let Some(slot) = self.answering() else { return };
        let before = slot.counted;
        change(slot);
        let after = slot.recount();
        self.held = self.held.saturating_sub(before).saturating_add(after);
    }

    /// Requests that are not finished.
    pub(super) fn open(&self) -> usize {
        self.slots.len().saturating_sub(self.finished)
    }

    /// The newest request, if it is not finished.
    pub(super) fn newest(&mut self) -> Option<&mut Slot> {
        if self.open() == 0 { None } else { self.slots.back_mut().map(|slot| &mut **slot) }
    }

    /// The newest request.
    pub(super) fn last(&self) -> Option<&Slot> {
        self.slots.back().map(|slot| &**slot)
    }

    /// The request that the next response answers, or whose response is being read.
    pub(super) fn answering(&mut self) -> Option<&mut Slot> {
        self.unanswered().next()
    }

    /// Requests whose response is not over, the oldest first.
    pub(super) fn unanswered(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut().skip(self.finished).map(|slot| &mut **slot).filter(|slot| !slot.response_done)
    }

    /// Requests that are on trial, the oldest first.
    pub(super) fn on_trial(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut().skip(self.finished).map(|slot| &mut **slot).filter(|slot| slot.on_trial)
    }

    /// Moves those that are finished to where they are polled.
    pub(super) fn settle(&mut self) {
        while self.slots.get(self.finished).is_some_and(|slot| slot.finished()) {
            self.finished = self.finished.saturating_add(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) const fn has_finished(&self) -> bool {
        self.finished > 0
    }

    pub(super) fn poll(&mut self, role: Role) -> Option<Exchange<'_>> {
        if let Some(old) = self.lent.take() {
            self.held = self.held.saturating_sub(old.counted);
            self.give_back(old);
        }
        self.finished = self.finished.checked_sub(1)?;
        self.lent = self.slots.pop_front();
        self.lent.as_deref().map(|slot| slot.exchange(role))
    }

    /// Ends everything that is open at `now`.
    pub(super) fn close(&mut self, now: Timestamp) {
        for slot in self.slots.iter_mut().skip(self.finished) {
            if !slot.request_done {
                slot.request.end = now;
                slot.truncated |= slot.status != 0;
            }
            slot.request_done = true;
            slot.response_done = true;
        }
        self.settle();
    }

    pub(super) fn memory(&self) -> usize {
        let boxes = self.slots.capacity().saturating_add(self.spare.capacity());
        boxes.saturating_mul(size_of::<Box<Slot>>()).saturating_add(self.held)
    }

    pub(super) fn shrink(&mut self) {
        for slot in self.lent.take().into_iter().chain(core::mem::take(&mut self.spare)) {
            self.held = self.held.saturating_sub(slot.counted);
        }
        if self.slots.is_empty() {
            self.slots = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shorten("aé".as_bytes(), 2), b"a");
        assert_eq!(shorten("aéb".as_bytes(), 3), "aé".as_bytes());
        assert_eq!(shorten("a€b".as_bytes(), 3), b"a");
        assert_eq!(shorten(b"abc  ", 10), b"abc");
        assert_eq!(shorten(b"\xff\xff\xff", 2), b"\xff");
    }
}
