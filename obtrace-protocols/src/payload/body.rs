//! One body on its way: decoded, split into documents, looked through.

use super::{
    Unread,
    coding::{Coding, Decoder, Failure},
    events::{Events, Piece},
    json::{Node, Reader, Told, Value},
};

/// How documents follow one another in a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON documents: one, or one after the other.
    #[default]
    Json,
    /// The same, one a line: behind lost bytes the next line is found.
    Lines,
    /// Server-sent events, a document each.
    Events,
}

impl Form {
    /// The form that a `Content-Type` names; `None`: nothing that is read.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        match content_type {
            "application/json" => return Some(Self::Json),
            "text/event-stream" => return Some(Self::Events),
            _ => {}
        }
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let (kind, name) = essence.split_once('/')?;
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        if kind.eq_ignore_ascii_case("text") {
            return is("event-stream").then_some(Self::Events);
        }
        let suffix = name.rsplit('+').next().unwrap_or_default();
        match () {
            () if !kind.eq_ignore_ascii_case("application") => None,
            () if ["x-ndjson", "ndjson", "jsonl", "x-jsonlines", "stream+json"].into_iter().any(is) => {
                Some(Self::Lines)
            }
            () if suffix.eq_ignore_ascii_case("json") => Some(Self::Json),
            () => None,
        }
    }
}

/// Most decoded bytes that are looked through in a body, most of a name, most of a content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) body: u64,
    pub(super) name: usize,
    /// 0: contents are not asked for.
    pub(super) content: usize,
}

/// What happens in a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found<'r, F> {
    Value(F, Value<'r>),
    /// A document, and with it what was found in it, is over.
    Document,
    /// A document was not read to its end: what was found in it may not be all.
    Dropped,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nobody reads it.
    #[default]
    Idle,
    Reading,
    /// Behind lost bytes, up to the end of a line.
    Lost,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Body<F: 'static> {
    phase: Phase,
    form: Form,
    decoder: Decoder,
    events: Events,
    reader: Reader<F>,
    left: u64,
    /// What kept the body from being read to its end.
    unread: Option<Unread>,
}

impl<F: Copy> Body<F> {
    pub(super) fn new(root: &'static Node<F>) -> Self {
        Self {
            phase: Phase::Idle,
            form: Form::Json,
            decoder: Decoder::default(),
            events: Events::default(),
            reader: Reader::new(root),
            left: 0,
            unread: None,
        }
    }

    /// Nothing of it will be read.
    pub(super) fn rest(&mut self, unread: Option<Unread>) {
        self.phase = Phase::Idle;
        self.decoder.end();
        self.unread = unread;
    }

    pub(super) fn begin(&mut self, form: Form, coding: Coding, root: &'static Node<F>, limits: Limits) {
        self.phase = Phase::Reading;
        self.form = form;
        self.events = Events::default();
        self.unread = None;
        self.left = limits.body;
        self.decoder.begin(coding);
        self.reader.begin(root, limits.name, limits.content);
    }

    /// Whether more of it is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.phase != Phase::Idle
    }

    pub(super) const fn unread(&self) -> Option<Unread> {
        self.unread
    }

    fn stop(&mut self, unread: Unread) {
        self.phase = Phase::Idle;
        self.decoder.end();
        self.unread = Some(unread);
    }

    /// Bytes of it are missing.
    pub(super) fn lose(&mut self, found: &mut impl FnMut(Found<'_, F>)) {
        if !self.is_wanted() {
            return;
        }
        if self.reader.is_inside() {
            found(Found::Dropped);
        }
        self.reader.restart();
        match self.form {
            Form::Json => return self.stop(Unread::Gap),
            _ if !self.decoder.is_identity() => return self.stop(Unread::Gap),
            Form::Events => self.events.lose(),
            Form::Lines => self.phase = Phase::Lost,
        }
        self.unread = Some(Unread::Gap);
    }

    /// It is over.
    pub(super) fn end(&mut self, found: &mut impl FnMut(Found<'_, F>)) {
        if self.is_wanted() && self.reader.is_inside() {
            found(Found::Dropped);
            if self.form != Form::Events {
                self.unread = self.unread.or(Some(Unread::Malformed));
            }
        }
        self.phase = Phase::Idle;
        self.decoder.end();
    }

    /// Looks through the next bytes, with so much room for what it takes to decode them.
    pub(super) fn feed(&mut self, bytes: &[u8], room: usize, found: &mut impl FnMut(Found<'_, F>)) {
        if !self.is_wanted() {
            return;
        }
        let mut decoder = core::mem::take(&mut self.decoder);
        let outcome = decoder.decode(bytes, room, &mut |plain| self.plain(plain, found));
        self.decoder = decoder;
        match outcome {
            Err(Failure::Unknown) => self.stop(Unread::Coding),
            Err(Failure::Corrupt) => self.stop(Unread::Malformed),
            Err(Failure::Memory) => {
                if self.reader.is_inside() {
                    found(Found::Dropped);
                }
                self.stop(Unread::Memory);
            }
            Ok(()) => {}
        }
        if !self.is_wanted() {
            self.decoder.end();
        }
    }

    /// Looks through decoded bytes. Whether more are wanted.
    fn plain(&mut self, bytes: &[u8], found: &mut impl FnMut(Found<'_, F>)) -> bool {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        let within = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.left = self.left.saturating_sub(within.len() as u64);
        match self.form {
            Form::Json => self.documents(within, found),
            Form::Lines => self.lines(within, found),
            Form::Events => self.events(within, found),
        }
        if within.len() < bytes.len() && self.is_wanted() {
            if self.reader.is_inside() {
                found(Found::Dropped);
            }
            self.stop(Unread::Limit);
        }
        self.is_wanted()
    }

    fn documents(&mut self, bytes: &[u8], found: &mut impl FnMut(Found<'_, F>)) {
        if self.run(bytes, found) {
            self.stop(Unread::Malformed);
        }
    }

    /// Gives all bytes to the reader. Whether they are no JSON.
    fn run(&mut self, bytes: &[u8], found: &mut impl FnMut(Found<'_, F>)) -> bool {
        let is_json = self.reader.read(bytes, &mut |told| match told {
            Told::Found(field, value) => found(Found::Value(field, value)),
            Told::Document => found(Found::Document),
        });
        if !is_json {
            found(Found::Dropped);
        }
        !is_json
    }

    fn lines(&mut self, mut bytes: &[u8], found: &mut impl FnMut(Found<'_, F>)) {
        while !bytes.is_empty() {
            let end = crate::scan::find_from(bytes, 0, b'\n');
            let (line, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or((bytes, &[]));
            bytes = rest.get(1..).unwrap_or_default();
            if self.phase == Phase::Reading && self.run(line, found) {
                self.phase = Phase::Lost;
                self.reader.restart();
                self.unread = self.unread.or(Some(Unread::Malformed));
            }
            if end.is_some() {
                self.phase = Phase::Reading;
                if self.reader.is_inside() {
                    found(Found::Dropped);
                    self.reader.restart();
                }
            }
        }
    }

    fn events(&mut self, mut bytes: &[u8], found: &mut impl FnMut(Found<'_, F>)) {
        loop {
            match self.events.next(&mut bytes) {
                // What is no JSON is an event like `[DONE]`.
                Piece::Data(data) => {
                    self.run(data, found);
                }
                Piece::End => self.reader.restart(),
                Piece::More => return,
            }
        }
    }

    /// What it takes to decode it.
    pub(super) fn decoding(&self) -> usize {
        self.decoder.memory()
    }

    pub(super) fn memory(&self) -> usize {
        self.decoding().saturating_add(self.reader.memory())
    }
}
