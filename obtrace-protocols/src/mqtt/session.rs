//! What packets come to: exchanges.

mod connect;
mod ping;
mod publish;
mod subscribe;

use alloc::{boxed::Box, collections::VecDeque, string::String, vec::Vec};
use core::ops::Range;

use super::{
    fields::Cursor,
    packet::{Fixed, Kind},
    parser::Aliases,
    slot::{Place, Slot},
    table::{Key, Table},
};
use crate::{
    Exchange, Message, Role, Stage, Timestamp, TraceContext,
    alike::{Alike, Spot},
    parser::{Context, Side},
};

/// Most pings that wait; others wait for their answer before they ask again.
const MAX_PINGS: usize = 16;
/// Most slots kept for use again.
const MAX_SPARE: usize = 32;

/// The exchange whose packet is being sent.
#[derive(Debug, Default)]
enum Sending {
    #[default]
    Nothing,
    /// One that waits for nothing else.
    Own(Box<Slot>),
    Waiting(Key),
    Connect,
    Auth,
}

/// An exchange that is over, and where its text is. Thousands may come of one chunk.
#[derive(Debug)]
struct Finished {
    slot: Slot,
    text: Range<usize>,
}

/// Most finished ones, and bytes of their texts, whose memory is kept when all were handed out.
const MAX_KEPT: usize = 64;
const MAX_TEXTS: usize = 4 * 1024;

/// What became of a packet.
pub(super) enum Taken {
    Yes,
    /// It is for more of the other side.
    Wait,
    /// It is none.
    No,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) role: Option<Role>,
    version: u8,
    client_id: String,
    /// By side.
    sending: [Sending; 2],
    aliases: [Aliases; 2],
    losses: [u32; 2],
    /// How many bytes each side waits for: fewer were looked at and are no whole packet.
    pub(super) needs: [usize; 2],
    waiting: Table,
    connect: Option<Box<Slot>>,
    auth: Option<Box<Slot>>,
    pings: VecDeque<Box<Slot>>,
    /// When the newest PINGRESP passed whose PINGREQ was not seen.
    unasked: Option<Timestamp>,
    finished: Alike<Finished>,
    /// The texts of those that are finished and of the one that was handed out last.
    texts: String,
    #[expect(clippy::vec_box, reason = "slots move between the queues and here without being copied")]
    spare: Vec<Box<Slot>>,
}

pub(super) fn of<T>(sides: &mut [T; 2], side: Side) -> &mut T {
    let [client, server] = sides;
    match side {
        Side::Client => client,
        Side::Server => server,
    }
}

/// Whether what this packet answers may be among bytes of the other side that were not looked at yet.
fn may_come(needs: [usize; 2], side: Side, place: &Place, cx: &Context<'_>) -> bool {
    let [client, server] = needs;
    let need = if side == Side::Client { server } else { client };
    let unread = cx.other.readable().len() >= need.max(1);
    let first = cx.other.mark_at(cx.other.position()).at;
    // Of the same moment one side only: they would wait for each other.
    let is_older = first < place.start || (side == Side::Client && first == place.start);
    cx.other_waits || unread && is_older
}

/// Appends text, no more than `limit` bytes of it, without what cannot be shown.
fn put(text: &mut String, bytes: &[u8], limit: usize) {
    let is_plain = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    if is_plain
        && bytes.len() <= limit.saturating_sub(text.len())
        && let Ok(plain) = core::str::from_utf8(bytes)
    {
        return text.push_str(plain);
    }
    for one in String::from_utf8_lossy(bytes).chars() {
        let one = if one.is_control() { char::REPLACEMENT_CHARACTER } else { one };
        if text.len().saturating_add(one.len_utf8()) > limit {
            return;
        }
        text.push(one);
    }
}

impl Session {
    pub(super) const fn version(&self) -> u8 {
        self.version
    }

    fn slot(&mut self, kind: Kind, sender: Side, place: &Place) -> Box<Slot> {
        let mut slot = self.spare.pop().unwrap_or_default();
        slot.reset();
        let Place { offset, start, tag, end, size } = *place;
        (slot.kind, slot.sender) = (kind, sender);
        slot.request = Message { start, end, size, offset, tag };
        slot.losses = self.losses;
        slot
    }

    fn finish(&mut self, mut slot: Box<Slot>) {
        let [client, server] = [0, 1].map(|side: usize| slot.losses.get(side) != self.losses.get(side));
        let (sender_lost, acker_lost) = if slot.sender == Side::Client { (client, server) } else { (server, client) };
        if slot.heard && sender_lost && acker_lost {
            // The answer may be to what was lost.
            slot.abandon();
        }
        slot.gap |= slot.is_asking() && (!slot.heard || slot.truncated) && acker_lost;
        slot.version = self.version;
        slot.has_client = !self.client_id.is_empty();
        let text = self.keep_text(&slot.text);
        let spot = Spot { id: slot.id, offset: slot.request.offset };
        let is_like = |known: &Finished| known.text == text && known.slot.is_like(&slot);
        let make = || Finished { slot: Slot { text: String::new(), ..*slot }, text: text.clone() };
        self.finished.push(spot, is_like, make);
        if self.spare.len() < MAX_SPARE {
            self.spare.push(slot);
        }
    }

    /// Where the text is kept: once for those of the newest that have the same.
    fn keep_text(&mut self, text: &str) -> Range<usize> {
        if text.is_empty() {
            return 0..0;
        }
        let known = self.finished.newest().find(|known| self.texts.get(known.text.clone()) == Some(text));
        if let Some(known) = known {
            return known.text.clone();
        }
        let start = self.texts.len();
        self.texts.push_str(text);
        start..self.texts.len()
    }

    /// Nobody waits for its answer any more.
    fn give_up(&mut self, mut slot: Box<Slot>) {
        slot.truncated |= slot.heard && !slot.answered;
        slot.sent = true;
        slot.answered = true;
        self.finish(slot);
    }

    /// Announces it.
    fn open(slot: &mut Slot, trace_context: Option<TraceContext>, cx: &mut Context<'_>) {
        slot.id = cx.take_id();
        let sender = if slot.sender == Side::Client { Role::Client } else { Role::Server };
        cx.announce(slot.id, &slot.request, trace_context, Stage::Certain, sender);
    }

    /// Takes a packet: its fields, as far as they are shown.
    pub(super) fn packet(
        &mut self,
        side: Side,
        fixed: &Fixed,
        fields: &[u8],
        cut: bool,
        place: &Place,
        cx: &mut Context<'_>,
    ) -> Taken {
        let limit = cx.config.max_text as usize;
        let cursor = Cursor(fields);
        match fixed.kind {
            Kind::Connect => self.connect(cursor, cut, place, limit, cx),
            Kind::Connack => return self.connack(cursor, place, limit, cx),
            Kind::Publish => return self.publish(side, fixed, cursor, cut, place, cx),
            Kind::Puback | Kind::Pubrec | Kind::Pubcomp => {
                return self.acknowledge(side, fixed.kind, cursor, place, cx);
            }
            Kind::Pubrel => {}
            Kind::Subscribe | Kind::Unsubscribe => return self.subscribe(fixed.kind, cursor, cut, place, cx),
            Kind::Suback | Kind::Unsuback => return self.subscribed(fixed, cursor, cut, place, cx),
            Kind::Pingreq => self.ping(place, cx),
            Kind::Pingresp => return self.pong(place, cx),
            Kind::Disconnect => self.disconnect(side, cursor, place, cx),
            Kind::Auth => self.authenticate(side, cursor, place, cx),
        }
        Taken::Yes
    }

    /// Nothing else is to wait under this key, and one place is to be free.
    fn make_room(&mut self, key: Key, cx: &Context<'_>) {
        if let Some(before) = self.waiting.remove(key) {
            self.give_up(before);
        }
        if self.waiting.len() >= cx.config.max_pending as usize
            && let Some(oldest) = self.waiting.remove_oldest()
        {
            self.give_up(oldest);
        }
    }

    /// Moves it to where it is polled if it is over.
    fn settle(&mut self, key: Key) {
        if self.waiting.get_mut(key).is_some_and(|slot| slot.is_finished())
            && let Some(slot) = self.waiting.remove(key)
        {
            self.finish(slot);
        }
    }

    /// The exchange whose packet this side is sending.
    fn sending(&mut self, side: Side) -> Option<&mut Slot> {
        match of(&mut self.sending, side) {
            Sending::Nothing => None,
            Sending::Own(slot) => Some(slot),
            Sending::Waiting(key) => self.waiting.get_mut(*key),
            Sending::Connect => self.connect.as_deref_mut(),
            Sending::Auth => self.auth.as_deref_mut(),
        }
    }

    /// The packet that this side was sending has passed.
    pub(super) fn sent(&mut self, side: Side, at: Timestamp) {
        let Some(slot) = self.sending(side) else { return };
        slot.sent = true;
        slot.request.end = at;
        let is_over = slot.is_finished();
        match core::mem::take(of(&mut self.sending, side)) {
            Sending::Own(slot) => self.finish(slot),
            Sending::Waiting(key) => self.settle(key),
            Sending::Connect if is_over => self.connect.take().into_iter().for_each(|slot| self.finish(slot)),
            Sending::Auth if is_over => self.auth.take().into_iter().for_each(|slot| self.finish(slot)),
            _ => {}
        }
    }

    /// Packets of this side may have been lost.
    pub(super) fn lost(&mut self, side: Side) {
        let losses = of(&mut self.losses, side);
        *losses = losses.wrapping_add(1);
        of(&mut self.aliases, side).forget();
        if let Some(slot) = self.sending(side) {
            // The end of it was not seen.
            slot.gap = true;
            let last = slot.request.end;
            self.sent(side, last);
        }
        if side == Side::Server {
            // Their answers may be among what was lost: the next one may be to a later ping.
            while let Some(ping) = self.pings.pop_front() {
                self.give_up(ping);
            }
        }
    }

    /// Bytes of this side up to then were passed over: pings may have been answered among them.
    pub(super) fn passed_over(&mut self, side: Side, until: Timestamp) {
        while side == Side::Server
            && self.pings.front().is_some_and(|ping| ping.request.start <= until)
            && let Some(mut ping) = self.pings.pop_front()
        {
            ping.abandon();
            self.finish(ping);
        }
    }

    /// The connection has ended; how far each side got.
    pub(super) fn close(&mut self, positions: [u64; 2], now: Timestamp) {
        for (side, position) in [Side::Client, Side::Server].into_iter().zip(positions) {
            if let Some(slot) = self.sending(side) {
                slot.truncated = true;
                slot.request.size = position.saturating_sub(slot.request.offset);
                self.sent(side, now);
            }
        }
        let (connect, auth) = (self.connect.take(), self.auth.take());
        connect.into_iter().chain(auth).for_each(|slot| self.give_up(slot));
        while let Some(slot) = self.waiting.remove_oldest() {
            self.give_up(slot);
        }
        while let Some(slot) = self.pings.pop_front() {
            self.give_up(slot);
        }
    }

    pub(super) fn has_exchange(&self) -> bool {
        !self.finished.is_empty()
    }

    pub(super) fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        if self.finished.is_empty() {
            self.forget();
        }
        let (spot, Finished { slot, text }) = self.finished.pop(drop)?;
        let text = self.texts.get(text.clone()).unwrap_or_default();
        Some(slot.exchange(spot, text, self.role.unwrap_or(Role::Client), &self.client_id))
    }

    /// All were handed out: of a burst no memory is left.
    fn forget(&mut self) {
        self.texts.clear();
        if self.texts.capacity() > MAX_TEXTS {
            self.texts = String::new();
        }
        self.finished.forget(MAX_KEPT, drop);
    }

    pub(super) fn memory(&self) -> usize {
        let slots = |slots: usize| slots.saturating_mul(size_of::<Slot>());
        let boxes = |places: usize| places.saturating_mul(size_of::<usize>());
        let single = usize::from(self.connect.is_some()).saturating_add(usize::from(self.auth.is_some()));
        let lists = self.pings.len().saturating_add(self.spare.len());
        let texts = self.spare.iter().map(|slot| slot.text.capacity()).sum::<usize>();
        let places = self.pings.capacity().saturating_add(self.spare.capacity());
        let [client, server] = &self.aliases;
        let aliases = client.memory().saturating_add(server.memory());
        let texts = texts.saturating_add(self.texts.capacity()).saturating_add(self.client_id.capacity());
        [slots(single), slots(lists), self.finished.memory(), texts, boxes(places), aliases, self.waiting.memory()]
            .into_iter()
            .fold(0, usize::saturating_add)
    }

    pub(super) fn shrink(&mut self) {
        if self.finished.is_empty() {
            self.texts = String::new();
        }
        self.spare = Vec::new();
        self.finished.shrink();
        self.pings.shrink_to_fit();
        self.waiting.shrink();
    }
}
