//! What packets come to: exchanges.

use alloc::{boxed::Box, collections::VecDeque, string::String, vec::Vec};
use core::ops::Range;

use super::{
    fields::{Cursor, Property},
    packet::{Fixed, Kind},
    parser::Aliases,
    slot::{Place, Slot},
    strict,
    table::{Key, Table},
};
use crate::{Exchange, Message, Role, Stage, Timestamp, TraceContext, parser::Context, parser::Side};

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
    finished: VecDeque<Finished>,
    lent: Option<Finished>,
    /// The texts of those that are finished and of the one that is lent.
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
        let start = self.texts.len();
        self.texts.push_str(&slot.text);
        let over = Slot { text: String::new(), ..*slot };
        self.finished.push_back(Finished { slot: over, text: start..self.texts.len() });
        if self.spare.len() < MAX_SPARE {
            self.spare.push(slot);
        }
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

    fn connect(&mut self, mut cursor: Cursor<'_>, cut: bool, place: &Place, limit: usize, cx: &mut Context<'_>) {
        if let Some(before) = self.connect.take() {
            self.give_up(before);
        }
        let mut slot = self.slot(Kind::Connect, Side::Client, place);
        slot.truncated = cut;
        self.client_id.clear();
        self.aliases.iter_mut().for_each(Aliases::forget);
        // Each field is there or the packet is cut: what could be read is kept.
        let _ = self.read_connect(&mut slot, &mut cursor, limit);
        Self::open(&mut slot, None, cx);
        self.connect = Some(slot);
        *of(&mut self.sending, Side::Client) = Sending::Connect;
    }

    /// Never past the topic of the will: the message, the user name and the password come behind it (§3.1.3).
    fn read_connect(&mut self, slot: &mut Slot, cursor: &mut Cursor<'_>, limit: usize) -> Option<()> {
        cursor.string()?;
        self.version = cursor.byte()? & 0x7f;
        let flags = cursor.byte()?;
        slot.clean_start = flags & 2 != 0;
        slot.keep_alive = cursor.number()?;
        if self.version == 5 {
            cursor.properties()?;
        }
        put(&mut self.client_id, cursor.string()?, limit);
        if flags & 4 != 0 {
            if self.version == 5 {
                cursor.properties()?;
            }
            put(&mut slot.text, cursor.string()?, limit);
        }
        Some(())
    }

    fn connack(&mut self, mut cursor: Cursor<'_>, place: &Place, limit: usize, cx: &Context<'_>) -> Taken {
        let flags = cursor.byte().unwrap_or_default();
        let code = cursor.byte().unwrap_or_default();
        if self.connect.is_none() && may_come(self.needs, Side::Server, place, cx) {
            return Taken::Wait;
        }
        if self.version == 0 && !cursor.0.is_empty() {
            self.version = 5;
        }
        for property in cursor.some_properties().into_iter().flatten() {
            if let Property::AssignedClientId(assigned) = property {
                self.client_id.clear();
                put(&mut self.client_id, assigned, limit);
            }
        }
        if let Some(mut slot) = self.connect.take_if(|connect| connect.asked_before(place)) {
            slot.session_present = flags & 1 != 0;
            slot.note_reason(code);
            slot.answer(place, true);
            if slot.is_finished() {
                self.finish(slot);
            } else {
                self.connect = Some(slot);
            }
        }
        Taken::Yes
    }

    fn publish(
        &mut self,
        side: Side,
        fixed: &Fixed,
        mut cursor: Cursor<'_>,
        cut: bool,
        place: &Place,
        cx: &mut Context<'_>,
    ) -> Taken {
        let (qos, fields) = (fixed.qos(), cursor.0.len());
        let begun = cursor.0.get(2..);
        let topic = cursor.string().or(begun);
        let id = if qos > 0 { cursor.number() } else { None };
        if id == Some(0) {
            return Taken::No;
        }
        let key = id.map(|id| Key { sender: side, id });
        if let Some(key) = key {
            let duplicate = fixed.flags & 8 != 0;
            if let Some(slot) = self.waiting.get_mut(key).filter(|slot| duplicate && slot.kind == Kind::Publish) {
                // The same once more: it is one exchange from the first on.
                slot.duplicate = true;
                return Taken::Yes;
            }
            self.make_room(key, cx);
        }
        let mut slot = self.slot(Kind::Publish, side, place);
        (slot.qos, slot.packet_id) = (qos, id.unwrap_or_default());
        (slot.retain, slot.duplicate, slot.truncated) = (fixed.flags & 1 != 0, fixed.flags & 8 != 0, cut);
        put(&mut slot.text, topic.unwrap_or_default(), cx.config.max_text as usize);
        let trace_context = self.read_properties(&mut slot, &mut cursor, side);
        // Without a version nobody knows whether properties come first.
        slot.payload = (!cut && self.version > 0).then_some(u64::from(fixed.length).saturating_sub(fields as u64));
        // Nothing is waited for, or the identifier is behind a topic that does not fit.
        slot.answered = key.is_none();
        Self::open(&mut slot, trace_context, cx);
        let sending = of(&mut self.sending, side);
        match key {
            Some(key) => {
                *sending = Sending::Waiting(key);
                self.waiting.insert(key, slot);
            }
            None => *sending = Sending::Own(slot),
        }
        Taken::Yes
    }

    /// The properties of PUBLISH (§3.3.2.3): the alias and the trace context.
    fn read_properties(&mut self, slot: &mut Slot, cursor: &mut Cursor<'_>, side: Side) -> Option<TraceContext> {
        if self.version != 5 {
            return None;
        }
        let (mut traces, mut context) = (0_u32, None);
        for property in cursor.some_properties().into_iter().flatten() {
            match property {
                Property::TopicAlias(alias) => slot.alias = Some(alias),
                Property::User(name, value) if name.eq_ignore_ascii_case(b"traceparent") => {
                    traces = traces.saturating_add(1);
                    context = TraceContext::parse(value).filter(|_| traces == 1);
                }
                _ => {}
            }
        }
        if let Some(alias) = slot.alias {
            let aliases = of(&mut self.aliases, side);
            if slot.text.is_empty() {
                slot.text.push_str(aliases.get(alias));
            } else {
                aliases.set(alias, &slot.text);
            }
        }
        context
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

    fn acknowledge(
        &mut self,
        side: Side,
        kind: Kind,
        mut cursor: Cursor<'_>,
        place: &Place,
        cx: &Context<'_>,
    ) -> Taken {
        let Some(id) = cursor.number() else { return Taken::No };
        let code = cursor.byte();
        if self.version == 0 && code.is_some() {
            self.version = 5;
        }
        let key = Key { sender: side.other(), id };
        let Some(slot) = self.waiting.get_mut(key) else {
            return if may_come(self.needs, side, place, cx) { Taken::Wait } else { Taken::Yes };
        };
        let expected = if kind == Kind::Puback { 1 } else { 2 };
        if slot.kind != Kind::Publish || slot.qos != expected || !slot.asked_before(place) {
            return Taken::Yes;
        }
        let code = code.unwrap_or_default();
        slot.note_reason(code);
        // Its PUBREC was lost.
        slot.gap |= kind == Kind::Pubcomp && !slot.heard;
        // A refused one is not released (§4.3.3).
        slot.answer(place, kind != Kind::Pubrec || code >= 0x80);
        self.settle(key);
        Taken::Yes
    }

    /// Moves it to where it is polled if it is over.
    fn settle(&mut self, key: Key) {
        if self.waiting.get_mut(key).is_some_and(|slot| slot.is_finished())
            && let Some(slot) = self.waiting.remove(key)
        {
            self.finish(slot);
        }
    }

    fn subscribe(
        &mut self,
        kind: Kind,
        mut cursor: Cursor<'_>,
        cut: bool,
        place: &Place,
        cx: &mut Context<'_>,
    ) -> Taken {
        let Some(id) = cursor.number().filter(|id| *id != 0) else { return Taken::No };
        if self.version == 0 && !cut {
            self.version = strict::version_of(kind, cursor).unwrap_or_default();
        }
        if self.version == 5 {
            let _ = cursor.some_properties();
        }
        let key = Key { sender: Side::Client, id };
        self.make_room(key, cx);
        let mut slot = self.slot(kind, Side::Client, place);
        (slot.packet_id, slot.truncated) = (id, cut);
        let limit = cx.config.max_text as usize;
        while let Some(filter) = cursor.string() {
            slot.filters = slot.filters.saturating_add(1);
            if slot.text.len().saturating_add(filter.len()) < limit {
                put(&mut slot.text, filter, limit.saturating_sub(1));
                slot.text.push('\n');
            }
            if kind == Kind::Subscribe && cursor.byte().is_none() {
                break;
            }
        }
        Self::open(&mut slot, None, cx);
        *of(&mut self.sending, Side::Client) = Sending::Waiting(key);
        self.waiting.insert(key, slot);
        Taken::Yes
    }

    fn subscribed(
        &mut self,
        fixed: &Fixed,
        mut cursor: Cursor<'_>,
        cut: bool,
        place: &Place,
        cx: &Context<'_>,
    ) -> Taken {
        let Some(id) = cursor.number() else { return Taken::No };
        if self.version == 0 && fixed.kind == Kind::Unsuback {
            self.version = if fixed.length > 2 { 5 } else { 4 };
        }
        if self.version == 5 {
            let _ = cursor.some_properties();
        }
        let key = Key { sender: Side::Client, id };
        let asked = if fixed.kind == Kind::Suback { Kind::Subscribe } else { Kind::Unsubscribe };
        let Some(slot) = self.waiting.get_mut(key) else {
            return if may_come(self.needs, Side::Server, place, cx) { Taken::Wait } else { Taken::Yes };
        };
        if slot.kind != asked || !slot.asked_before(place) {
            return Taken::Yes;
        }
        cursor.0.iter().for_each(|&code| slot.note_reason(code));
        slot.truncated |= cut;
        slot.answer(place, true);
        self.settle(key);
        Taken::Yes
    }

    fn ping(&mut self, place: &Place, cx: &mut Context<'_>) {
        if self.pings.len() >= MAX_PINGS
            && let Some(oldest) = self.pings.pop_front()
        {
            self.give_up(oldest);
        }
        let mut slot = self.slot(Kind::Pingreq, Side::Client, place);
        slot.sent = true;
        Self::open(&mut slot, None, cx);
        if self.unasked.is_some_and(|unasked| place.start <= unasked) {
            // Found late behind lost bytes: its answer was passed over.
            slot.abandon();
            return self.finish(slot);
        }
        self.pings.push_back(slot);
    }

    fn pong(&mut self, place: &Place, cx: &Context<'_>) -> Taken {
        if self.pings.front().is_some_and(|oldest| !oldest.asked_before(place)) {
            // It answers one that was lost.
            return Taken::Yes;
        }
        let Some(mut slot) = self.pings.pop_front() else {
            if may_come(self.needs, Side::Server, place, cx) {
                return Taken::Wait;
            }
            self.unasked = Some(place.start);
            return Taken::Yes;
        };
        slot.answer(place, true);
        self.finish(slot);
        Taken::Yes
    }

    fn disconnect(&mut self, side: Side, mut cursor: Cursor<'_>, place: &Place, cx: &mut Context<'_>) {
        let mut slot = self.slot(Kind::Disconnect, side, place);
        let code = cursor.byte();
        if self.version == 0 && (code.is_some() || side == Side::Server) {
            self.version = 5;
        }
        slot.reason = code.or((self.version == 5).then_some(0));
        slot.answered = true;
        Self::open(&mut slot, None, cx);
        *of(&mut self.sending, side) = Sending::Own(slot);
    }

    /// Part of CONNECT until that is answered; later the client authenticates once more (§4.12).
    fn authenticate(&mut self, side: Side, mut cursor: Cursor<'_>, place: &Place, cx: &mut Context<'_>) {
        if self.connect.is_some() {
            return;
        }
        self.version = 5;
        let code = cursor.byte().unwrap_or_default();
        match (side, self.auth.take()) {
            (Side::Client, None) => {
                let mut slot = self.slot(Kind::Auth, side, place);
                Self::open(&mut slot, None, cx);
                self.auth = Some(slot);
                *of(&mut self.sending, side) = Sending::Auth;
            }
            (Side::Server, Some(mut slot)) => {
                slot.reason = Some(code);
                slot.answer(place, code == 0);
                if slot.is_finished() {
                    self.finish(slot);
                } else {
                    self.auth = Some(slot);
                }
            }
            (_, slot) => self.auth = slot,
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
        self.lent = self.finished.pop_front();
        if self.lent.is_none() {
            self.forget();
        }
        let Finished { slot, text } = self.lent.as_ref()?;
        let text = self.texts.get(text.clone()).unwrap_or_default();
        Some(slot.exchange(text, self.role.unwrap_or(Role::Client), &self.client_id))
    }

    /// All were handed out: of a burst no memory is left.
    fn forget(&mut self) {
        self.texts.clear();
        if self.texts.capacity() > MAX_TEXTS {
            self.texts = String::new();
        }
        if self.finished.capacity() > MAX_KEPT {
            self.finished = VecDeque::new();
        }
    }

    pub(super) fn memory(&self) -> usize {
        let slots = |slots: usize| slots.saturating_mul(size_of::<Slot>());
        let boxes = |places: usize| places.saturating_mul(size_of::<usize>());
        let single = usize::from(self.connect.is_some()).saturating_add(usize::from(self.auth.is_some()));
        let lists = self.pings.len().saturating_add(self.spare.len());
        let finished = self.finished.capacity().saturating_mul(size_of::<Finished>());
        let texts = self.spare.iter().map(|slot| slot.text.capacity()).sum::<usize>();
        let places = self.pings.capacity().saturating_add(self.spare.capacity());
        let [client, server] = &self.aliases;
        let aliases = client.memory().saturating_add(server.memory());
        let texts = texts.saturating_add(self.texts.capacity()).saturating_add(self.client_id.capacity());
        [slots(single), slots(lists), finished, texts, boxes(places), aliases, self.waiting.memory()]
            .into_iter()
            .fold(0, usize::saturating_add)
    }

    pub(super) fn shrink(&mut self) {
        self.lent = None;
        if self.finished.is_empty() {
            self.texts = String::new();
        }
        self.spare = Vec::new();
        self.finished.shrink_to_fit();
        self.pings.shrink_to_fit();
        self.waiting.shrink();
    }
}
