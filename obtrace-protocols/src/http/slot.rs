//! One exchange while it is being put together, and the queue of them.

use alloc::{borrow::Cow, boxed::Box, collections::VecDeque, string::String, vec::Vec};

use super::{
    conceal::Kind,
    details::{HttpDetails, operation, split_target},
    head::Field,
    texts::{Piece, Span, Texts},
};
use crate::{
    Completeness, Details, Exchange, Message, Protocol, Role, Timestamp,
    parser::{Context, Side, Upgrade},
    payload::{self, Observed, Observer, Observers, Payload, Unread, coding::Coding},
};

/// A request and what is known of its response.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) request: Message,
    pub(super) response: Message,
    /// Where its texts are, those of the request and those of the response.
    text: Span,
    response_text: Span,
    method: Piece,
    target: Piece,
    host: Piece,
    user_agent: Piece,
    forwarded_for: Piece,
    upgrade: Piece,
    request_type: Piece,
    response_type: Piece,
    response_upgrade: Piece,
    pub(super) request_body: Option<u64>,
    pub(super) response_body: Option<u64>,
    /// 0: no response head was seen.
    pub(super) status: u16,
    pub(super) minor_version: u8,
    status_text: [u8; 3],
    /// Of these methods the response is read differently.
    pub(super) is_head: bool,
    pub(super) is_connect: bool,
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
    /// Who looks at its bodies.
    pub(super) observer: Option<Box<dyn Observer>>,
}

impl Slot {
    /// Whether it names a protocol to go on with.
    pub(super) const fn offers_upgrade(&self) -> bool {
        self.upgrade.is_some()
    }

    pub(super) fn set_status(&mut self, status: u16) {
        self.status = status;
        let digit = |n: u16| b'0'.wrapping_add(u8::try_from(n % 10).unwrap_or(0));
        self.status_text = [digit(status / 100), digit(status / 10), digit(status)];
    }

    pub(super) fn finished(&self) -> bool {
        self.request_done && self.response_done && !self.on_trial
    }

    /// Nobody knows its response: what was taken for it is forgotten.
    pub(super) fn abandon(&mut self) {
        self.response = Message::default();
        self.response_body = None;
        self.response_type = Piece::default();
        self.response_upgrade = Piece::default();
        self.status = 0;
        self.truncated = false;
        self.upgraded = false;
        self.gap = true;
        self.response_done = true;
        self.on_trial = false;
        self.may_upgrade = false;
        if let Some(observer) = self.observer.as_mut() {
            observer.abandon();
        }
    }

    /// Nothing of its bodies that is not over will be seen.
    fn end_observed(&mut self, observers: &mut Observers) {
        let Some(observer) = self.observer.as_mut() else { return };
        observers.with(&mut **observer, |observer| {
            for (side, done) in [(Side::Client, self.request_done), (Side::Server, self.response_done)] {
                if !done {
                    observer.lose(side);
                    observer.end(side);
                }
            }
        });
    }

    /// What was found in its bodies.
    #[expect(clippy::borrowed_box, reason = "it is told as it is, see `HttpDetails::payload`")]
    fn payload(&self) -> Option<&Box<Payload>> {
        self.observer.as_ref()?.payload()
    }

    /// Whether bytes of a body that is of interest were lost.
    #[inline]
    fn has_lost(&self) -> bool {
        let lost = |unread| unread == Some(Unread::Gap);
        self.observer.is_some()
            && self.payload().is_some_and(|payload| lost(payload.request_unread()) || lost(payload.response_unread()))
    }

    /// Whether a limit kept one from being read to its end.
    #[inline]
    fn is_cut(&self) -> bool {
        self.observer.is_some() && self.payload().is_some_and(|payload| payload.is_cut())
    }

    fn completeness(&self) -> Completeness {
        if self.gap || self.has_lost() {
            Completeness::Gap
        } else if self.truncated || self.is_cut() {
            Completeness::Truncated
        } else if self.status == 0 {
            Completeness::ResponseMissing
        } else {
            Completeness::Complete
        }
    }

    fn exchange<'t>(&'t self, requests: &'t Texts, responses: &'t Texts, role: Role) -> Exchange<'t> {
        let asked = |piece| requests.get(self.text, piece);
        let answered = |piece| responses.get(self.response_text, piece);
        let text = |piece| asked(piece).map(Cow::Borrowed);
        let (method, whole) = (asked(self.method).unwrap_or_default(), asked(self.target).unwrap_or_default());
        let target = split_target(self.is_connect, whole);
        let path = Cow::Borrowed(target.path);
        let threshold = if role == Role::Server { 500 } else { 400 };
        let failed = self.status >= threshold;
        let payload = self.payload();
        // What the API says of the error says more than the status; a stream may fail behind a good one.
        let said = payload.and_then(|payload| payload.error()).filter(|_| failed || self.status < 400);
        let upgrade = match (self.upgraded, self.is_connect) {
            (false, _) => None,
            (true, true) => Some("tunnel"),
            (true, false) => {
                answered(self.response_upgrade).or_else(|| asked(self.upgrade)).filter(|list| !list.is_empty())
            }
        };
        Exchange {
            id: self.id,
            protocol: Protocol::Http,
            role,
            operation: Cow::Borrowed(operation(method)),
            target: path.clone(),
            error: said.map(Cow::Borrowed).or_else(|| failed.then(|| String::from_utf8_lossy(&self.status_text))),
            request: self.request,
            response: (self.status != 0).then_some(self.response),
            completeness: self.completeness(),
            details: Details::Http(HttpDetails {
                target: Cow::Borrowed(whole),
                path,
                query: target.query.map(Cow::Borrowed),
                version: self.minor_version,
                host: target.authority.map(Cow::Borrowed).or_else(|| text(self.host)),
                scheme: target.scheme.map(Cow::Borrowed),
                status: (self.status != 0).then_some(self.status),
                user_agent: text(self.user_agent),
                request_content_type: text(self.request_type),
                response_content_type: answered(self.response_type).map(Cow::Borrowed),
                forwarded_for: text(self.forwarded_for),
                request_body_size: self.request_body,
                response_body_size: self.response_body,
                upgrade: upgrade.map(Cow::Borrowed),
                method: Cow::Borrowed(method),
                payload: payload.map(Cow::Borrowed),
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

/// Slots in the order of their requests. The first one may be lent out, those behind it are finished. Each in a place of
/// its own: thousands in one would be moved whenever it grows, to memory that was not used before.
#[derive(Debug, Default)]
pub(super) struct Queue {
    slots: VecDeque<Box<Slot>>,
    #[expect(clippy::vec_box, reason = "slots move between the queue and here without being copied")]
    spare: Vec<Box<Slot>>,
    /// The first one is what [`Queue::poll`] lent out.
    lent: bool,
    finished: usize,
    requests: Texts,
    responses: Texts,
    pub(super) observers: Observers,
}

impl Queue {
    /// A request begins. One at a time: the texts of the next come after its own.
    pub(super) fn begin(&mut self) -> Box<Slot> {
        let mut slot = self.spare.pop().unwrap_or_default();
        *slot = Slot { text: self.requests.begin(), ..Slot::default() };
        slot
    }

    /// The request that was begun is none.
    pub(super) fn give_back(&mut self, slot: Box<Slot>) {
        self.requests.take_back(slot.text);
        self.spare(slot);
    }

    /// Its head is over: whether somebody is to look at its bodies.
    #[inline]
    pub(super) fn observe(&mut self, slot: &mut Slot, coding: Coding, cx: &Context<'_>) {
        let asked = |piece| self.requests.get(slot.text, piece).unwrap_or_default();
        let method = asked(slot.method);
        if method != "POST" {
            return;
        }
        let target = asked(slot.target);
        let request = payload::Request {
            method,
            target,
            host: split_target(false, target).authority.unwrap_or_else(|| asked(slot.host)),
            content_type: asked(slot.request_type),
            coding,
            start: slot.request.start,
        };
        match self.observers.observe(&request, cx.config, cx.shared) {
            Observed::No => {}
            Observed::Yes(observer) => slot.observer = Some(observer),
            Observed::TooMany => slot.truncated = true,
        }
    }

    fn spare(&mut self, mut slot: Box<Slot>) {
        if slot.observer.is_some()
            && let Some(observer) = slot.observer.take()
        {
            self.observers.give_back(observer);
        }
        if self.spare.len() < MAX_SPARE {
            self.spare.push(slot);
        }
    }

    /// Notes what its start line says.
    #[inline]
    pub(super) fn note_start(&mut self, slot: &mut Slot, method: &str, target: &[u8], limit: usize) {
        slot.is_head = method == "HEAD";
        slot.is_connect = method == "CONNECT";
        slot.method = self.requests.put_str(&mut slot.text, method);
        slot.target = self.requests.put_as(Kind::Target, &mut slot.text, target, limit);
    }

    /// Notes a field, unless it was there before.
    pub(super) fn note_field(&mut self, slot: &mut Slot, field: Field, value: &[u8], limit: usize) {
        let text = &mut slot.text;
        match field {
            Field::Host => self.note(Kind::Authority, &mut slot.host, text, value, limit),
            Field::UserAgent => self.note(Kind::Agent, &mut slot.user_agent, text, value, limit),
            Field::ContentType => self.note(Kind::MediaType, &mut slot.request_type, text, value, limit),
            Field::ForwardedFor => self.note(Kind::Addresses, &mut slot.forwarded_for, text, value, limit),
            _ if slot.upgrade.is_some() => {}
            _ => {
                // What is asked for counts, whatever it is called.
                let value = Kind::Registered.known(value, false).unwrap_or_default();
                slot.upgrade = self.requests.put(text, value, limit);
            }
        }
    }

    #[inline(always)]
    fn note(&mut self, kind: Kind, piece: &mut Piece, text: &mut Span, value: &[u8], limit: usize) {
        if !piece.is_some()
            && let Some(value) = kind.known(value, false)
        {
            *piece = self.requests.put_as(kind, text, value, limit);
        }
    }

    pub(super) fn push(&mut self, slot: Box<Slot>) {
        self.slots.push_back(slot);
    }

    /// Notes the texts of the response to the request that is being answered; empty ones are none.
    pub(super) fn note_response(&mut self, content_type: &[u8], upgrade: &[u8]) {
        let first = self.first_open();
        let Some(slot) = self.slots.range_mut(first..).find(|slot| !slot.response_done) else { return };
        slot.response_text = self.responses.begin();
        let mut put = |piece: &mut Piece, text: &[u8]| {
            if !text.is_empty() {
                *piece = self.responses.put(&mut slot.response_text, text, usize::MAX);
            }
        };
        put(&mut slot.response_type, content_type);
        put(&mut slot.response_upgrade, upgrade);
    }

    /// The protocol that the newest request names to go on with.
    pub(super) fn newest_offer(&self) -> Option<&str> {
        let slot = self.slots.back().filter(|_| !self.is_empty())?;
        self.requests.get(slot.text, slot.upgrade)
    }

    /// What the newest request was answered with that took its connection over, and to which protocol.
    pub(super) fn newest_upgrade(&self) -> Option<(&str, Upgrade<'_>)> {
        let slot = self.slots.back().filter(|slot| slot.upgraded)?;
        let name = self.responses.get(slot.response_text, slot.response_upgrade)?;
        let asked = |piece| self.requests.get(slot.text, piece);
        let target = asked(slot.target).unwrap_or_default();
        let parts = split_target(slot.is_connect, target);
        let upgrade = Upgrade {
            id: slot.id,
            request: slot.request,
            response: slot.response,
            method: asked(slot.method).unwrap_or_default(),
            target,
            path: parts.path,
            user_agent: asked(slot.user_agent),
            host: parts.authority.or_else(|| asked(slot.host)),
            content_type: asked(slot.request_type),
            forwarded_for: asked(slot.forwarded_for),
            body: slot.request_body,
            gap: slot.gap,
            ..Upgrade::default()
        };
        Some((name, upgrade))
    }

    /// Who looks at the bodies of the newest request, which another protocol answers.
    pub(super) fn take_newest_observer(&mut self) -> Option<Box<dyn Observer>> {
        let observer = self.slots.back_mut()?.observer.take()?;
        self.observers.hand_over(&*observer);
        Some(observer)
    }

    /// The exchange that was finished last is told by another protocol.
    pub(super) fn hand_over_newest(&mut self) {
        let Some(finished) = self.finished.checked_sub(1) else { return };
        if self.open() > 0 {
            return;
        }
        self.finished = finished;
        if let Some(slot) = self.slots.pop_back() {
            self.responses.take_back(slot.response_text);
            self.give_back(slot);
        }
    }

    /// How many in front are finished or lent.
    #[inline]
    fn first_open(&self) -> usize {
        self.finished.saturating_add(usize::from(self.lent))
    }

    /// Requests that are not finished.
    pub(super) fn open(&self) -> usize {
        self.slots.len().saturating_sub(self.first_open())
    }

    /// The newest request, if it is not finished.
    pub(super) fn newest(&mut self) -> Option<&mut Slot> {
        if self.open() == 0 { None } else { self.slots.back_mut().map(|slot| &mut **slot) }
    }

    /// The request that the next response answers, or whose response is being read.
    pub(super) fn answering(&mut self) -> Option<&mut Slot> {
        self.unanswered().next()
    }

    fn iter_open(&mut self) -> impl Iterator<Item = &mut Slot> {
        let first = self.first_open().min(self.slots.len());
        self.slots.range_mut(first..).map(|slot| &mut **slot)
    }

    /// Requests whose response is not over, the oldest first.
    pub(super) fn unanswered(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.iter_open().filter(|slot| !slot.response_done)
    }

    /// Requests that are on trial, the oldest first.
    pub(super) fn on_trial(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.iter_open().filter(|slot| slot.on_trial)
    }

    /// Moves those that are finished to where they are polled.
    pub(super) fn settle(&mut self) {
        while self.slots.get(self.first_open()).is_some_and(|slot| slot.finished()) {
            self.finished = self.finished.saturating_add(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == usize::from(self.lent)
    }

    pub(super) const fn has_finished(&self) -> bool {
        self.finished > 0
    }

    pub(super) fn poll(&mut self, role: Role) -> Option<Exchange<'_>> {
        self.drop_lent();
        self.finished = self.finished.checked_sub(1)?;
        self.lent = true;
        self.slots.front().map(|slot| slot.exchange(&self.requests, &self.responses, role))
    }

    fn drop_lent(&mut self) {
        if core::mem::take(&mut self.lent)
            && let Some(slot) = self.slots.pop_front()
        {
            self.requests.free(slot.text);
            self.responses.free(slot.response_text);
            self.spare(slot);
        }
    }

    /// Gives up the request that the next response answers. Whether there was one.
    pub(super) fn give_up_oldest(&mut self) -> bool {
        let first = self.first_open().min(self.slots.len());
        let oldest = self.slots.range_mut(first..).find(|slot| !slot.response_done);
        let found = oldest.is_some();
        if let Some(oldest) = oldest {
            oldest.end_observed(&mut self.observers);
            oldest.truncated |= oldest.status != 0;
            oldest.request_done = true;
            oldest.response_done = true;
        }
        self.settle();
        found
    }

    /// Ends everything that is open at `now`.
    pub(super) fn close(&mut self, now: Timestamp) {
        let first = self.first_open().min(self.slots.len());
        for slot in self.slots.range_mut(first..) {
            slot.end_observed(&mut self.observers);
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
        let slots = self.slots.len().saturating_add(self.spare.len()).saturating_mul(size_of::<Slot>());
        let boxes = self.slots.capacity().saturating_add(self.spare.capacity()).saturating_mul(size_of::<Box<Slot>>());
        let texts = self.requests.capacity().saturating_add(self.responses.capacity());
        slots.saturating_add(boxes).saturating_add(texts).saturating_add(self.observers.memory())
    }

    pub(super) fn shrink(&mut self) {
        self.drop_lent();
        self.spare = Vec::new();
        self.observers.shrink();
        self.slots.shrink_to_fit();
        self.requests.shrink();
        self.responses.shrink();
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
