//! Shows bodies to those who look at them.

use super::{
    super::body::{Body, Nobody, Sink, Walk},
    HttpParser,
};
use crate::{
    parser::{Context, Side},
    payload::{Observer, Response},
};

/// Shows the bytes of a body to an observer, with the time at which they passed.
struct Shown<'s, 'c> {
    observer: &'s mut dyn Observer,
    side: Side,
    cx: &'s Context<'c>,
    /// Stream offset of the first byte that is walked over.
    offset: u64,
}

impl Sink for Shown<'_, '_> {
    const READS: bool = true;

    fn data(&mut self, bytes: &[u8], end: usize) {
        if !bytes.is_empty() {
            let last = self.offset.saturating_add(end as u64).saturating_sub(1);
            self.observer.body(self.side, bytes, self.cx.mark_at(last).at);
        }
    }
}

impl HttpParser {
    /// Goes on in the body of an exchange that is looked at, the one of this id.
    pub(super) fn show(
        &mut self,
        side: Side,
        id: u64,
        body: &mut Body,
        rest: &[u8],
        at: usize,
        cx: &Context<'_>,
    ) -> (usize, Walk) {
        let observer = self.slot_of(side).filter(|slot| slot.id == id).and_then(|slot| slot.observer.take());
        let Some(mut observer) = observer else {
            self.half(side).observed = None;
            return body.walk(rest, &mut Nobody);
        };
        let offset = cx.offset.saturating_add(at as u64);
        let mut gone = (0, Walk::More(1));
        self.queue.observers.with(&mut *observer, |observer| {
            gone = body.walk(rest, &mut Shown { observer, side, cx, offset });
        });
        if !observer.wants(side) {
            self.half(side).observed = None;
        }
        if let Some(slot) = self.slot_of(side) {
            slot.observer = Some(observer);
        }
        gone
    }

    /// Does something with the observer of the exchange whose message is being read, if it has one.
    fn with_observer(&mut self, side: Side, act: impl FnOnce(&mut dyn Observer)) {
        if !self.queue.observers.observe_any() {
            return;
        }
        let Some(mut observer) = self.slot_of(side).and_then(|slot| slot.observer.take()) else { return };
        self.queue.observers.with(&mut *observer, act);
        if let Some(slot) = self.slot_of(side) {
            slot.observer = Some(observer);
        }
    }

    /// The head of a response is over.
    pub(super) fn observe_response(&mut self, status: u16) {
        self.server.observed = None;
        if !self.queue.observers.observe_any() {
            return;
        }
        let coding = self.server.coding;
        let content_type = core::mem::take(&mut self.draft.content_type);
        let mut wanted = false;
        self.with_observer(Side::Server, |observer| {
            let content_type = core::str::from_utf8(&content_type).unwrap_or_default();
            observer.response(&Response { status, content_type, coding });
            wanted = observer.wants(Side::Server);
        });
        self.draft.content_type = content_type;
        self.server.observed = self.slot_of(Side::Server).filter(|_| wanted).map(|slot| slot.id);
    }

    /// Bytes of a body were lost.
    pub(super) fn lose_observed(&mut self, side: Side) {
        self.with_observer(side, |observer| observer.lose(side));
    }

    /// A message is over.
    #[inline]
    pub(super) fn end_observed(&mut self, side: Side) {
        if self.queue.observers.observe_any() {
            self.with_observer(side, |observer| observer.end(side));
        }
        self.half(side).observed = None;
    }
}
