//! One exchange while it is being put together.

use alloc::{borrow::Cow, string::String};

use super::{details::MqttDetails, packet::Kind, reason};
use crate::{Completeness, Details, Exchange, Message, Protocol, Role, Tag, Timestamp, alike::Spot, parser::Side};

/// A packet that asks, and what is known of its answer.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) kind: Kind,
    pub(super) sender: Side,
    pub(super) packet_id: u16,
    pub(super) request: Message,
    pub(super) response: Message,
    /// The packet that asks has passed.
    pub(super) sent: bool,
    /// Nothing more is waited for.
    pub(super) answered: bool,
    /// Some answer was seen.
    pub(super) heard: bool,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) duplicate: bool,
    pub(super) clean_start: bool,
    pub(super) session_present: bool,
    pub(super) alias: Option<u16>,
    pub(super) payload: Option<u64>,
    pub(super) keep_alive: u16,
    pub(super) filters: u32,
    pub(super) refused: u32,
    pub(super) reason: Option<u8>,
    /// The topic; filters; the topic of a will.
    pub(super) text: String,
    /// How often bytes of each side had been lost when it began.
    pub(super) losses: [u32; 2],
    pub(super) gap: bool,
    pub(super) truncated: bool,
    /// What was known of the connection when it was over.
    pub(super) version: u8,
    pub(super) has_client: bool,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            id: 0,
            kind: Kind::default(),
            sender: Side::Client,
            packet_id: 0,
            request: Message::default(),
            response: Message::default(),
            sent: false,
            answered: false,
            heard: false,
            qos: 0,
            retain: false,
            duplicate: false,
            clean_start: false,
            session_present: false,
            alias: None,
            payload: None,
            keep_alive: 0,
            filters: 0,
            refused: 0,
            reason: None,
            text: String::new(),
            losses: [0; 2],
            gap: false,
            truncated: false,
            version: 0,
            has_client: false,
        }
    }
}

/// Where a packet lies: its first byte's offset, time and tag, its last byte's time, its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) start: Timestamp,
    pub(super) tag: Tag,
    pub(super) end: Timestamp,
    pub(super) size: u64,
}

impl Slot {
    /// Makes it new, with the memory of its text.
    pub(super) fn reset(&mut self) {
        let mut text = core::mem::take(&mut self.text);
        text.clear();
        *self = Self { text, ..Self::default() };
    }

    /// Notes a packet of the answer. `is_last`: nothing more is waited for.
    pub(super) fn answer(&mut self, place: &Place, is_last: bool) {
        if !self.heard {
            let Place { offset, start, tag, end, .. } = *place;
            self.response = Message { start, end, size: 0, offset, tag };
        }
        self.heard = true;
        self.answered |= is_last;
        self.response.end = place.end;
        self.response.size = self.response.size.saturating_add(place.size);
    }

    /// Notes one code of the answer.
    pub(super) fn note_reason(&mut self, code: u8) {
        let failed = reason::failure(self.kind, code).is_some();
        let first = self.reason.is_none_or(|known| failed && reason::failure(self.kind, known).is_none());
        self.refused = self.refused.saturating_add(u32::from(failed));
        if first {
            self.reason = Some(code);
        }
    }

    /// Whether a packet may be an answer to it: one that passed before is to what was lost.
    pub(super) fn asked_before(&self, answer: &Place) -> bool {
        self.request.start <= answer.start
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.sent && self.answered
    }

    /// Nobody can know its answer any more.
    pub(super) fn abandon(&mut self) {
        self.gap = true;
        self.sent = true;
        self.answered = true;
        self.heard = false;
        self.reason = None;
        self.refused = 0;
    }

    /// Whether it is one that is answered at all.
    pub(super) const fn is_asking(&self) -> bool {
        match self.kind {
            Kind::Publish => self.qos > 0,
            Kind::Disconnect => false,
            _ => true,
        }
    }

    pub(super) const fn memory(&self) -> usize {
        size_of::<Self>().saturating_add(self.text.capacity())
    }

    /// Whether it says the same as another that is over, but for its text, and for its number and where it lies.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        #[rustfmt::skip]
        let Self {
            id: _, kind, sender, packet_id, request: Message { start, end, size, offset: _, tag }, response, sent: _,
            answered: _, heard, qos, retain, duplicate, clean_start, session_present, alias, payload, keep_alive, filters,
            refused, reason, text: _, losses: _, gap, truncated, version, has_client,
        } = self;
        let asked = &other.request;
        *kind == other.kind
            && (*packet_id, *qos, *reason) == (other.packet_id, other.qos, other.reason)
            && (*start, *end, *size, *tag) == (asked.start, asked.end, asked.size, asked.tag)
            && (*heard, *response) == (other.heard, other.response)
            && (*sender, *gap, *truncated) == (other.sender, other.gap, other.truncated)
            && (*retain, *duplicate, *clean_start) == (other.retain, other.duplicate, other.clean_start)
            && (*session_present, *alias, *payload) == (other.session_present, other.alias, other.payload)
            && (*keep_alive, *filters, *refused) == (other.keep_alive, other.filters, other.refused)
            && (*version, *has_client) == (other.version, other.has_client)
    }

    /// `text`: its text, where that is kept now; it lies at `spot`.
    pub(super) fn exchange<'s>(&'s self, spot: Spot, text: &'s str, role: Role, client_id: &'s str) -> Exchange<'s> {
        let error = self.reason.and_then(|code| reason::failure(self.kind, code));
        let completeness = if self.gap {
            Completeness::Gap
        } else if self.truncated {
            Completeness::Truncated
        } else if self.is_asking() && !self.heard {
            Completeness::ResponseMissing
        } else {
            Completeness::Complete
        };
        let is_publish = self.kind == Kind::Publish;
        let is_connect = self.kind == Kind::Connect;
        let lists = matches!(self.kind, Kind::Subscribe | Kind::Unsubscribe);
        let alone = text.strip_suffix('\n').filter(|_| self.filters == 1).unwrap_or_default();
        let target = match self.kind {
            Kind::Publish => text,
            _ if lists => alone,
            _ => "",
        };
        Exchange {
            id: spot.id,
            protocol: Protocol::Mqtt,
            role,
            operation: Cow::Borrowed(operation(self.kind)),
            target: Cow::Borrowed(target),
            error: error.map(Cow::Borrowed),
            request: Message { offset: spot.offset, ..self.request },
            response: self.heard.then_some(self.response),
            completeness,
            details: Details::Mqtt(MqttDetails {
                sender: if self.sender == Side::Client { Role::Client } else { Role::Server },
                version: (self.version > 0).then_some(self.version),
                client_id: self.has_client.then_some(Cow::Borrowed(client_id)),
                packet_id: (self.packet_id > 0).then_some(self.packet_id),
                qos: is_publish.then_some(self.qos),
                retain: self.retain,
                duplicate: self.duplicate,
                topic_alias: self.alias,
                payload_size: self.payload,
                filters: Cow::Borrowed(if lists { text } else { "" }),
                filter_count: self.filters,
                refused: if lists { self.refused } else { 0 },
                reason: self.reason,
                clean_start: self.clean_start,
                session_present: self.session_present,
                keep_alive: is_connect.then_some(self.keep_alive),
                will_topic: (is_connect && !text.is_empty()).then_some(Cow::Borrowed(text)),
            }),
        }
    }
}

const fn operation(kind: Kind) -> &'static str {
    match kind {
        Kind::Connect => "CONNECT",
        Kind::Publish => "PUBLISH",
        Kind::Subscribe => "SUBSCRIBE",
        Kind::Unsubscribe => "UNSUBSCRIBE",
        Kind::Pingreq => "PINGREQ",
        Kind::Auth => "AUTH",
        _ => "DISCONNECT",
    }
}
