//! Reads a response into its request.

use super::{
    records::Batch,
    request::{Part, Request, Span},
    schema::{self, Means},
    session::Sessions,
    walk::Visitor,
};
use crate::Shared;

/// Where in the response the reading is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// The topic: its name lies at the end of the request's text.
    topic: Part,
    /// Where the text of the request ends without it.
    text: usize,
    in_topic: bool,
    partition: Option<i32>,
    /// Records came.
    has_records: bool,
    session: i32,
    is_asked_found: bool,
}

impl Reading {
    pub(super) fn new(request: &Request) -> Self {
        Self { text: request.text.len(), ..Self::default() }
    }

    /// The response is over.
    pub(super) fn finish(&self, request: &mut Request, sessions: &mut Sessions) {
        request.text.truncate(self.text);
        if request.key == schema::FETCH && request.session_epoch == 0 && self.session != 0 && !request.gap {
            sessions.create(self.session, request);
        }
    }
}

/// Finds the names of topics of which only the ids passed.
pub(super) fn name_topics(request: &mut Request, shared: &Shared) {
    let Request { parts, text, first, .. } = request;
    for part in parts.iter_mut().chain([first]) {
        if part.name.is_none()
            && let Some(name) = part.id().and_then(|id| shared.topics().name(id))
        {
            part.name = Span::push(text, name.as_bytes());
        }
    }
}

pub(super) struct ResponseVisitor<'v> {
    pub(super) request: &'v mut Request,
    pub(super) reading: &'v mut Reading,
    pub(super) shared: &'v Shared,
}

impl ResponseVisitor<'_> {
    fn begin_topic(&mut self) {
        let reading = &mut *self.reading;
        if !reading.in_topic {
            reading.in_topic = true;
            reading.topic = Part::default();
            reading.partition = None;
            self.request.text.truncate(reading.text);
        }
    }

    /// Whether the partition that is read is the one that the request names first.
    fn is_first(&self) -> bool {
        let (first, topic) = (&self.request.first, &self.reading.topic);
        let text = &self.request.text;
        let is_topic = first.is(text, topic.name.get(text), topic.id().unwrap_or_default());
        is_topic && first.partition == self.reading.partition
    }

    fn set_offset(&mut self, value: i64) {
        if !self.reading.is_asked_found && self.is_first() {
            self.reading.is_asked_found = true;
            self.request.offset = (value >= 0).then_some(value);
        }
    }
}

impl Visitor for ResponseVisitor<'_> {
    fn number(&mut self, means: Means, value: i64) {
        let small = i32::try_from(value).unwrap_or(0);
        match means {
            Means::Throttle => self.request.throttle = u32::try_from(value).ok(),
            Means::Error if value != 0 => {
                self.request.error = self.request.error.or(i16::try_from(value).ok());
                self.request.errors = self.request.errors.saturating_add(1);
            }
            Means::Session => self.reading.session = small,
            Means::Partition => self.reading.partition = Some(small),
            Means::Offset | Means::CommittedOffset => self.set_offset(value),
            Means::Generation if small >= 0 => self.request.generation = Some(small),
            _ => {}
        }
    }

    fn text(&mut self, means: Means, text: Option<&[u8]>) {
        let Some(bytes) = text else { return };
        match means {
            Means::Topic => {
                self.begin_topic();
                self.reading.topic.name = self.request.keep(bytes);
            }
            Means::Member if !bytes.is_empty() => {
                self.request.member = self.request.keep(bytes);
                self.reading.text = self.request.text.len();
            }
            _ => {}
        }
    }

    fn id(&mut self, means: Means, id: [u8; 16]) {
        if means == Means::TopicId {
            self.begin_topic();
            self.reading.topic = Part { name: self.reading.topic.name, ..Part::new(Span::default(), id) };
        }
    }

    fn end(&mut self, means: Means) {
        if means != Means::Topics {
            return;
        }
        self.reading.in_topic = false;
        let Reading { topic, .. } = *self.reading;
        if let (Some(name), Some(id)) = (topic.name.get(&self.request.text), topic.id()) {
            self.shared.topics().learn(id, name.as_bytes());
        }
    }

    fn batch(&mut self, batch: &Batch) {
        self.request.add_records(batch);
        if self.reading.has_records || batch.records == Some(0) {
            return;
        }
        self.reading.has_records = true;
        // The fetch may begin in the middle of the batch.
        let asked = self.request.offset.filter(|_| self.is_first());
        let begins = batch.records.map(|_| batch.offset);
        self.request.offset = asked.max(begins);
        let mut topic = self.reading.topic;
        topic.partition = self.reading.partition;
        self.request.first = topic;
        self.reading.text = self.request.text.len();
    }
}
