//! The commands that wait for their answer, and those that are over and not handed out yet.

use alloc::{boxed::Box, collections::VecDeque, sync::Arc};

use super::{details::Request, statements::Handle};
use crate::{Completeness, Message, Stage, Timestamp, parser::Context, stream::Mark};

/// What the server said of a command that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) code: u16,
    /// The number in digits.
    pub(super) digits: Digits,
    pub(super) sqlstate: Option<[u8; 5]>,
    pub(super) message: Option<Box<str>>,
}

/// A number in digits, without memory of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Digits {
    bytes: [u8; 5],
    length: u8,
}

impl Digits {
    pub(super) fn new(number: u16) -> Self {
        let mut digits = Self::default();
        for power in [10_000, 1_000, 100, 10, 1] {
            let digit = number.checked_div(power).unwrap_or_default() % 10;
            if digit == 0 && digits.length == 0 && power > 1 {
                continue;
            }
            if let Some(to) = digits.bytes.get_mut(usize::from(digits.length)) {
                *to = b'0'.saturating_add(u8::try_from(digit).unwrap_or_default());
                digits.length = digits.length.saturating_add(1);
            }
        }
        digits
    }

    pub(super) fn as_str(&self) -> &str {
        let digits = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        core::str::from_utf8(digits).unwrap_or_default()
    }
}

/// A command that the server answers.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) kind: Request,
    /// The caller was told that it may be an exchange.
    pub(super) announced: bool,
    /// It is one.
    pub(super) opened: bool,
    /// Number of the command's last packet: the server counts on from there.
    pub(super) sequence: u8,
    /// The client has more to say in the course of the answer, which moves the numbers of its packets.
    pub(super) several: bool,
    /// What it is called if it was not seen whole.
    pub(super) damage: Option<Completeness>,
    /// The client may have sent more behind its answer, that was lost.
    pub(super) passed: bool,
    /// Its answer has ended.
    pub(super) answered: bool,
    pub(super) request: Message,
    pub(super) response: Message,
    pub(super) has_response: bool,
    pub(super) statement: Handle,
    pub(super) statement_id: Option<u32>,
    pub(super) database: Option<Arc<str>>,
    /// The default database once it succeeded; an empty name stands for none.
    pub(super) switches: Option<Arc<str>>,
    /// The user once it succeeded.
    pub(super) user: Option<Arc<str>>,
    pub(super) failure: Option<Failure>,
    pub(super) rows: u64,
    pub(super) affected: Option<u64>,
    pub(super) results: u32,
    pub(super) warnings: u16,
    pub(super) loaded: u64,
    pub(super) cursor: bool,
    pub(super) transaction: Option<bool>,
}

impl Entry {
    pub(super) const fn new(kind: Request, request: Message, sequence: u8) -> Self {
        Self {
            id: 0,
            kind,
            announced: false,
            opened: false,
            sequence,
            several: false,
            damage: None,
            passed: false,
            answered: false,
            request,
            response: Message {
                start: Timestamp::from_nanos(0),
                end: Timestamp::from_nanos(0),
                size: 0,
                offset: 0,
                tag: crate::Tag::new(0),
            },
            has_response: false,
            statement: Handle::UNKNOWN,
            statement_id: None,
            database: None,
            switches: None,
            user: None,
            failure: None,
            rows: 0,
            affected: None,
            results: 0,
            warnings: 0,
            loaded: 0,
            cursor: false,
            transaction: None,
        }
    }

    /// Nothing that passed before answers it: its last byte, or the first where more of it may follow the answer's.
    pub(super) const fn asked(&self) -> Timestamp {
        if self.several { self.request.start } else { self.request.end }
    }

    /// Bytes of its answer.
    #[inline]
    pub(super) fn hear(&mut self, first: Mark, size: u64, end: Timestamp) {
        if !self.has_response {
            self.has_response = true;
            self.response = begin(first);
        }
        extend(&mut self.response, size, end);
    }

    /// Whether `next` is told as this one is, but for its number and its place: those of the one so many behind it, each
    /// directly behind the other. `same`: whether two texts are.
    fn goes_on(&self, times: u64, next: &Self, same: impl FnOnce(Handle, Handle) -> bool) -> bool {
        next.id == self.id.wrapping_add(times)
            && next.request == self.request.again(times)
            && (next.has_response, next.response) == (self.has_response, self.response.again(times))
            && (next.kind, next.statement_id, next.rows) == (self.kind, self.statement_id, self.rows)
            && (next.affected, next.results, next.warnings) == (self.affected, self.results, self.warnings)
            && (next.loaded, next.cursor, next.transaction) == (self.loaded, self.cursor, self.transaction)
            && next.failure.is_none()
            && self.failure.is_none()
            && next.database == self.database
            && (next.statement == self.statement || same(next.statement, self.statement))
    }

    /// Becomes the next one that goes on like it.
    fn advance(&mut self) {
        self.id = self.id.wrapping_add(1);
        (self.request, self.response) = (self.request.again(1), self.response.again(1));
    }

    /// What it is when nothing more of it comes.
    fn completeness(&self) -> Completeness {
        match (self.damage, self.answered, self.has_response) {
            (Some(damage), ..) => damage,
            (_, true, _) => Completeness::Complete,
            (_, _, true) => Completeness::Truncated,
            _ => Completeness::ResponseMissing,
        }
    }
}

/// A message that begins here.
pub(super) const fn begin(mark: Mark) -> Message {
    Message { start: mark.at, end: mark.at, size: 0, offset: mark.offset, tag: mark.tag }
}

/// Adds bytes to a message whose last one passed then.
#[inline]
pub(super) fn extend(message: &mut Message, size: u64, end: Timestamp) {
    message.size = message.size.saturating_add(size);
    message.end = message.end.max(end);
}

/// One that is over.
#[derive(Debug)]
struct Finished {
    entry: Entry,
    completeness: Completeness,
    /// So many more follow that go on like it.
    more: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pending: VecDeque<Entry>,
    finished: VecDeque<Finished>,
    /// How many finished ones go on like others.
    more: usize,
    /// The first finished one was handed out; its parts are borrowed until the next call.
    lent: bool,
    /// The last finished one waits for what comes behind its answer.
    held: bool,
}

impl Queue {
    #[inline]
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn ready(&self) -> usize {
        let finished = self.finished.len().saturating_add(self.more);
        finished.saturating_sub(usize::from(self.lent)).saturating_sub(usize::from(self.held))
    }

    /// The one whose answer comes next.
    #[inline]
    pub(super) fn head(&mut self) -> Option<&mut Entry> {
        self.pending.front_mut()
    }

    /// The newest that waits.
    pub(super) fn newest(&mut self) -> Option<&mut Entry> {
        self.pending.back_mut()
    }

    pub(super) fn get(&mut self, index: usize) -> Option<&mut Entry> {
        self.pending.get_mut(index)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.pending.iter_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.pending.iter()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.pending.push_back(entry);
    }

    /// Tells of those that wait and may become exchanges.
    pub(super) fn announce(&mut self, cx: &mut Context<'_>) {
        for entry in self.pending.iter_mut().filter(|entry| !entry.announced) {
            cx.tell(entry.id, &entry.request, Stage::Tentative);
            entry.announced = true;
        }
    }

    /// Takes the head off.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.pending.pop_front()
    }

    /// It waits to be handed out. Given back if it is counted only, as it goes on like the one before; one that may be
    /// held back is not. `same`: whether two texts are.
    #[inline]
    pub(super) fn finish(
        &mut self,
        entry: Entry,
        may_be_held: bool,
        same: impl FnOnce(Handle, Handle) -> bool,
    ) -> Option<Entry> {
        let completeness = entry.completeness();
        let was_held = core::mem::take(&mut self.held);
        if !may_be_held
            && !was_held
            && let Some(last) = self.finished.back_mut()
            && last.completeness == completeness
            && last.more < u32::MAX
            && last.entry.goes_on(u64::from(last.more).saturating_add(1), &entry, same)
        {
            last.more = last.more.saturating_add(1);
            self.more = self.more.saturating_add(1);
            return Some(entry);
        }
        self.finished.push_back(Finished { entry, completeness, more: 0 });
        None
    }

    /// Holds the last finished one back, if it is complete.
    pub(super) fn hold(&mut self) {
        let is_whole = |last: &Finished| last.completeness == Completeness::Complete && last.more == 0;
        self.held = self.ready() > 0 && self.finished.back().is_some_and(is_whole);
    }

    pub(super) const fn holds(&self) -> bool {
        self.held
    }

    /// The one that was held back is handed out; as what, if not as complete. Whether there was one.
    pub(super) fn release(&mut self, otherwise: Option<Completeness>) -> bool {
        let held = core::mem::take(&mut self.held);
        if let (true, Some(otherwise), Some(last)) = (held, otherwise, self.finished.back_mut()) {
            last.completeness = otherwise;
        }
        held
    }

    /// The one that was handed out and is not looked at any more.
    pub(super) fn take_lent(&mut self) -> Option<Entry> {
        if !core::mem::take(&mut self.lent) {
            return None;
        }
        let first = self.finished.front_mut()?;
        if first.more > 0 {
            first.entry.advance();
            first.more = first.more.saturating_sub(1);
            self.more = self.more.saturating_sub(1);
            return None;
        }
        self.finished.pop_front().map(|first| first.entry)
    }

    /// Lends the first finished one.
    pub(super) fn lend(&mut self) -> Option<(&Entry, Completeness)> {
        let first = self.finished.front().filter(|_| self.ready() > 0)?;
        self.lent = true;
        Some((&first.entry, first.completeness))
    }

    pub(super) fn memory(&self) -> usize {
        let text = |entry: &Entry| {
            let message = entry.failure.as_ref().and_then(|failure| failure.message.as_ref());
            message.map_or(0, |message| message.len())
        };
        let texts = self.pending.iter().map(text).sum::<usize>();
        let told = self.finished.iter().map(|first| text(&first.entry)).sum::<usize>();
        let pending = self.pending.capacity().saturating_mul(size_of::<Entry>());
        let finished = self.finished.capacity().saturating_mul(size_of::<Finished>());
        texts.saturating_add(told).saturating_add(pending).saturating_add(finished)
    }

    pub(super) fn shrink(&mut self) {
        self.pending.shrink_to_fit();
        self.finished.shrink_to_fit();
    }
}
