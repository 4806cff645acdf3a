//! A request, and what its response added.

use alloc::{boxed::Box, string::String, vec::Vec};

use super::{
    records::Batch,
    schema::{self, Means},
    session::Sessions,
    walk::{MAX_TEXT, Visitor},
};
use crate::{Completeness, Message, escape::push_escaped};

/// Most topics that are kept of an exchange and of a fetch session.
pub(super) const MAX_TOPICS: usize = 16;
/// Mechanisms that brokers and clients know; what is none of them may be anything.
const MECHANISMS: [&[u8]; 6] =
    [b"AWS_MSK_IAM", b"GSSAPI", b"OAUTHBEARER", b"PLAIN", b"SCRAM-SHA-256", b"SCRAM-SHA-512"];

/// A text within another one, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(Option<(u32, u32)>);

impl Span {
    pub(super) fn get(self, text: &str) -> Option<&str> {
        let (from, to) = self.0?;
        text.get(from as usize..to as usize)
    }

    pub(super) const fn is_none(self) -> bool {
        self.0.is_none()
    }

    /// Appends bytes as text: control characters and what is not UTF-8 as `\xNN`.
    pub(super) fn push(text: &mut String, bytes: &[u8]) -> Self {
        let from = text.len();
        push_escaped(text, bytes);
        Self(u32::try_from(from).ok().zip(u32::try_from(text.len()).ok()))
    }
}

/// A topic of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Part {
    pub(super) name: Span,
    pub(super) id: [u8; 16],
    pub(super) partition: Option<i32>,
    pub(super) partitions: u32,
    /// Which of the first 64 partitions.
    pub(super) low: u64,
}

impl Part {
    pub(super) fn new(name: Span, id: [u8; 16]) -> Self {
        Self { name, id, ..Self::default() }
    }

    pub(super) fn id(&self) -> Option<[u8; 16]> {
        (self.id != [0; 16]).then_some(self.id)
    }

    pub(super) fn add(&mut self, partition: i32) {
        self.partition = self.partition.or(Some(partition));
        self.partitions = self.partitions.saturating_add(1);
        self.low |= bit(partition);
    }

    /// Whether it is the topic of this name or id.
    pub(super) fn is(&self, text: &str, name: Option<&str>, id: [u8; 16]) -> bool {
        match self.name.get(text) {
            Some(own) if name.is_some() => Some(own) == name,
            _ => self.id != [0; 16] && self.id == id,
        }
    }
}

/// The bit of one of the first 64 partitions.
pub(super) fn bit(partition: i32) -> u64 {
    u32::try_from(partition).ok().and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0)
}

/// What is known of records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Records {
    pub(super) count: u64,
    /// Some do not say how many they are.
    pub(super) is_unknown: bool,
    pub(super) batches: u32,
    pub(super) bytes: u64,
}

impl Records {
    fn add(&mut self, batch: &Batch) {
        match batch.records {
            Some(records) => self.count = self.count.saturating_add(records.into()),
            None => self.is_unknown = true,
        }
        self.batches = self.batches.saturating_add(1);
        self.bytes = self.bytes.saturating_add(batch.size);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) correlation: i32,
    /// Bytes of an authentication without a header: no exchange.
    pub(super) is_token: bool,
    pub(super) message: Message,
    pub(super) response: Option<Message>,
    pub(super) completeness: Completeness,
    /// Bytes of it were lost.
    pub(super) gap: bool,
    /// It or its response contradicts itself.
    pub(super) is_broken: bool,
    pub(super) text: String,
    pub(super) parts: Vec<Part>,
    /// The last part is not over.
    in_part: bool,
    pub(super) topic_count: u32,
    pub(super) partition_count: u32,
    /// The topic and the partition that are told first, and where.
    pub(super) first: Part,
    pub(super) offset: Option<i64>,
    pub(super) records: Records,
    pub(super) client: Span,
    pub(super) group: Span,
    pub(super) member: Span,
    pub(super) transaction: Span,
    pub(super) mechanism: Span,
    sought: Span,
    sought_kind: i64,
    pub(super) generation: Option<i32>,
    pub(super) acks: Option<i16>,
    pub(super) session: Option<i32>,
    pub(super) session_epoch: i32,
    pub(super) replica: Option<i32>,
    pub(super) error: Option<i16>,
    pub(super) errors: u32,
    pub(super) throttle: Option<u32>,
    pub(super) max_text: usize,
}

impl Request {
    /// Back to nothing, with the memory it has.
    pub(super) fn reset(&mut self) {
        let (mut text, mut parts) = (core::mem::take(&mut self.text), core::mem::take(&mut self.parts));
        text.clear();
        parts.clear();
        *self = Self { text, parts, ..Self::default() };
    }

    /// Heap bytes it holds besides itself.
    pub(super) fn memory(&self) -> usize {
        self.text.capacity().saturating_add(self.parts.capacity().saturating_mul(size_of::<Part>()))
    }

    pub(super) fn keep(&mut self, bytes: &[u8]) -> Span {
        Span::push(&mut self.text, bytes.get(..self.max_text.min(MAX_TEXT)).unwrap_or(bytes))
    }

    /// Takes part in a session that lasts from one fetch to the next.
    pub(super) fn is_incremental(&self) -> bool {
        self.session.is_some_and(|session| session != 0) && self.session_epoch > 0
    }

    fn part(&mut self) -> Option<&mut Part> {
        if !self.in_part {
            self.in_part = true;
            self.topic_count = self.topic_count.saturating_add(1);
            if self.parts.len() < MAX_TOPICS {
                self.parts.push(Part::default());
            }
        }
        let is_kept = self.topic_count as usize <= self.parts.len();
        self.parts.last_mut().filter(|_| is_kept)
    }

    fn is_first_partition(&self) -> bool {
        self.partition_count == 1
    }

    fn add_partition(&mut self, partition: i32) {
        self.partition_count = self.partition_count.saturating_add(1);
        if let Some(part) = self.part() {
            part.add(partition);
        }
    }

    /// All of it was read that could be.
    pub(super) fn finish(&mut self, sessions: &mut Sessions) {
        if self.sought_kind == 0 && self.group.is_none() {
            self.group = self.sought;
        } else if self.sought_kind == 1 {
            self.transaction = self.sought;
        }
        if self.is_incremental() {
            let listed = self.parts.first().copied();
            sessions.tell(self);
            let first = self.parts.first().copied();
            if let (Some(listed), Some(first)) = (listed, first) {
                let name = listed.name.get(&self.text);
                let is_same = first.is(&self.text, name, listed.id) && first.partition == listed.partition;
                self.offset = self.offset.filter(|_| is_same);
            }
        } else if let Some(session) = self.session.filter(|_| self.session_epoch < 0) {
            sessions.close(session);
        }
        if let Some(part) = self.parts.first() {
            self.first = *part;
        }
    }

    pub(super) fn add_records(&mut self, batch: &Batch) {
        self.records.add(batch);
    }
}

/// Reads a request.
pub(super) struct RequestVisitor<'v> {
    pub(super) request: &'v mut Request,
    pub(super) sessions: &'v mut Sessions,
    /// The client id of the connection, replaced if it is another one.
    pub(super) client: &'v mut Option<Box<[u8]>>,
}

impl Visitor for RequestVisitor<'_> {
    fn number(&mut self, means: Means, value: i64) {
        let request = &mut *self.request;
        let small = i32::try_from(value).unwrap_or(0);
        match means {
            Means::Partition => {
                request.add_partition(small);
                if request.is_incremental() {
                    self.sessions.add(request, small);
                }
            }
            Means::FetchOffset | Means::CommittedOffset | Means::Offset if request.is_first_partition() => {
                request.offset = (value >= 0).then_some(value);
            }
            Means::Acks => request.acks = i16::try_from(value).ok(),
            Means::Generation => request.generation = (small >= 0).then_some(small),
            Means::Session => request.session = Some(small),
            Means::SessionEpoch => request.session_epoch = small,
            Means::Replica => request.replica = (small >= 0).then_some(small),
            Means::KeyType => request.sought_kind = value,
            Means::ForgottenPartition if request.is_incremental() => {
                self.sessions.forget(request.session.unwrap_or(0), small);
            }
            _ => {}
        }
    }

    fn text(&mut self, means: Means, text: Option<&[u8]>) {
        let request = &mut *self.request;
        if means == Means::Client && self.client.as_deref() != Some(text.unwrap_or_default()) {
            *self.client = Some(text.unwrap_or_default().into());
        }
        let Some(bytes) = text else { return };
        match means {
            Means::Topic => {
                let is_kept = request.part().is_some();
                let name = if is_kept { request.keep(bytes) } else { Span::default() };
                if let Some(part) = request.part() {
                    part.name = name;
                }
            }
            Means::Client => request.client = request.keep(bytes),
            Means::Group if request.group.is_none() => request.group = request.keep(bytes),
            Means::Member if request.member.is_none() && !bytes.is_empty() => request.member = request.keep(bytes),
            Means::Transaction if request.transaction.is_none() => request.transaction = request.keep(bytes),
            Means::Mechanism if MECHANISMS.contains(&bytes) => request.mechanism = request.keep(bytes),
            Means::Key if request.sought.is_none() => request.sought = request.keep(bytes),
            Means::ForgottenTopic if request.is_incremental() => {
                self.sessions.seek(request.session.unwrap_or(0), Some(bytes), [0; 16]);
            }
            _ => {}
        }
    }

    fn id(&mut self, means: Means, id: [u8; 16]) {
        match means {
            Means::TopicId => {
                if let Some(part) = self.request.part() {
                    part.id = id;
                }
            }
            Means::ForgottenId if self.request.is_incremental() => {
                self.sessions.seek(self.request.session.unwrap_or(0), None, id);
            }
            _ => {}
        }
    }

    fn end(&mut self, means: Means) {
        if means == Means::Topics {
            self.request.in_part = false;
        }
    }

    fn batch(&mut self, batch: &Batch) {
        self.request.add_records(batch);
    }
}

/// What has records.
pub(super) const fn has_records(key: i16) -> bool {
    matches!(key, schema::PRODUCE | schema::FETCH | schema::SHARE_FETCH)
}
