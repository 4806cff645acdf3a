//! Requests in the order in which the server answers them.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};

use super::{
    backend::{Severity, TransactionStatus},
    details::Request,
    statements::Handle,
};
use crate::{Completeness, Message, Stage, pairing::Place, parser::Context, stream::Mark};

/// A command tag is shorter than this (`COMPLETION_TAG_BUFSIZE` is 64; the longest that is sent has 33 characters).
const TAG_BYTES: usize = 39;

/// How an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server said so.
    Error { sqlstate: [u8; 5], severity: Severity },
    /// It was skipped because of an error before it in its batch.
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Pending,
    Finished(Completeness),
    /// Over, if the answer turns out to be its own.
    Held(Completeness),
    /// Over, and not an exchange of its own.
    Silent,
    /// Handed out; its parts are borrowed until the next call.
    Lent(Completeness),
}

/// A request that the server answers.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) kind: Request,
    /// Tag of the first message it is made of.
    pub(super) begins: u8,
    /// A ReadyForQuery follows its answer.
    pub(super) sync: bool,
    /// It was announced and has an id.
    pub(super) announced: bool,
    /// It is an exchange: what only prepares or connects is one only if it failed.
    pub(super) opened: bool,
    /// Replies due to what only prepares, before it is over.
    pub(super) due: u32,
    /// Bytes of it were lost.
    pub(super) gap: bool,
    /// What is known of which answer is its own.
    pub(super) place: Place,
    /// Its answer has come, but for the ReadyForQuery.
    pub(super) answered: bool,
    pub(super) suspended: bool,
    /// The server waits for copied data.
    pub(super) copying: bool,
    pub(super) progress: Progress,
    pub(super) request: Message,
    pub(super) response: Message,
    pub(super) has_response: bool,
    pub(super) statement: Handle,
    pub(super) portal: Handle,
    pub(super) rows: u64,
    pub(super) affected: Option<u64>,
    pub(super) commands: u32,
    pub(super) copied_in: u64,
    pub(super) copied_out: u64,
    pub(super) failure: Option<Failure>,
    pub(super) message: Option<Box<str>>,
    pub(super) transaction: Option<TransactionStatus>,
    pub(super) tag: CommandText,
    /// So many more Syncs follow this one with the same mark, each a batch of its own; of one that is finished, so many
    /// that go on like it.
    repeats: u32,
}

impl Entry {
    pub(super) fn new(kind: Request, begins: u8, request: Message) -> Self {
        Self {
            id: 0,
            kind,
            begins,
            sync: false,
            announced: false,
            opened: false,
            due: 0,
            gap: false,
            place: Place::Certain,
            answered: false,
            suspended: false,
            copying: false,
            progress: Progress::Pending,
            request,
            response: Message::default(),
            has_response: false,
            statement: Handle::UNKNOWN,
            portal: Handle::UNKNOWN,
            rows: 0,
            affected: None,
            commands: 0,
            copied_in: 0,
            copied_out: 0,
            failure: None,
            message: None,
            transaction: None,
            tag: CommandText::default(),
            repeats: 0,
        }
    }

    /// A Sync that ends nothing: it is not announced, as it hardly ever fails.
    const fn is_lone_sync(&self) -> bool {
        matches!(self.kind, Request::Prepare) && self.begins == b'S'
    }

    /// Nothing of its answer was seen or lost.
    const fn is_untouched(&self) -> bool {
        !(self.has_response || self.answered || self.opened || self.gap)
    }

    /// Becomes the one of its repetitions that so many stand in front of.
    fn advance(&mut self, repeats: u32) {
        self.repeats = self.repeats.saturating_sub(repeats);
        self.id = self.id.wrapping_add(u64::from(repeats));
        let passed = self.request.size.saturating_mul(u64::from(repeats));
        self.request.offset = self.request.offset.saturating_add(passed);
        if !self.is_untouched() {
            self.forget_response();
            self.gap = false;
        }
    }

    /// What is left of it when its first Sync is taken away.
    fn split(&self) -> Option<Self> {
        if self.repeats == 0 {
            return None;
        }
        let mut rest = Self::new(self.kind, self.begins, self.request);
        (rest.id, rest.sync, rest.place, rest.repeats) = (self.id, self.sync, self.place, self.repeats);
        rest.advance(1);
        Some(rest)
    }

    /// The first byte of its answer.
    pub(super) fn begin_response(&mut self, mark: Mark, offset: u64) {
        if !self.has_response {
            self.has_response = true;
            self.response = begin(mark, offset);
        }
    }

    /// Forgets an answer that turned out to be that of another request.
    pub(super) fn forget_response(&mut self) {
        self.has_response = false;
        self.answered = false;
        self.suspended = false;
        self.rows = 0;
        self.affected = None;
        self.commands = 0;
        self.copied_out = 0;
        self.failure = None;
        self.message = None;
        self.transaction = None;
        self.tag = CommandText::default();
        self.opened &= !matches!(self.kind, Request::Prepare | Request::Startup);
    }

    /// Its answer on trial is what it was taken for, or nobody knows it.
    fn judge(&mut self, confirmed: bool) {
        if self.place == Place::OnTrial {
            self.place = if confirmed { Place::Certain } else { Place::Unknown };
            if !confirmed {
                self.forget_response();
            }
        }
    }

    /// Whether `next` is told as this one is, but for its number and its place: those of the one so many behind it, each
    /// directly behind the other. `same`: whether two texts are.
    fn goes_on(&self, times: u64, next: &Self, same: impl Fn(Handle, Handle) -> bool) -> bool {
        next.id == self.id.wrapping_add(times)
            && next.request == self.request.again(times)
            && (next.has_response, next.response) == (self.has_response, self.response.again(times))
            && (next.kind, next.suspended, next.rows) == (self.kind, self.suspended, self.rows)
            && (next.affected, next.commands) == (self.affected, self.commands)
            && (next.copied_in, next.copied_out) == (self.copied_in, self.copied_out)
            && (next.failure, next.transaction) == (self.failure, self.transaction)
            && next.message == self.message
            && next.tag.as_str() == self.tag.as_str()
            && (next.statement == self.statement || same(next.statement, self.statement))
            && (next.portal == self.portal || same(next.portal, self.portal))
    }

    /// Becomes the next one that goes on like it.
    fn step(&mut self) {
        self.repeats = self.repeats.saturating_sub(1);
        self.id = self.id.wrapping_add(1);
        (self.request, self.response) = (self.request.again(1), self.response.again(1));
    }

    /// How many batches it stands for, if it begins one.
    pub(super) fn batches(&self) -> usize {
        (self.repeats as usize).saturating_add(1)
    }

    /// What it is when nothing more of it comes.
    pub(super) fn completeness(&self) -> Completeness {
        match (self.gap, self.answered, self.has_response) {
            (true, ..) => Completeness::Gap,
            (_, true, _) => Completeness::Complete,
            (_, _, true) => Completeness::Truncated,
            _ => Completeness::ResponseMissing,
        }
    }
}

/// A message that begins here.
pub(super) fn begin(mark: Mark, offset: u64) -> Message {
    Message { start: mark.at, end: mark.at, size: 0, offset, tag: mark.tag }
}

/// A short text without memory of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommandText {
    bytes: [u8; TAG_BYTES],
    length: u8,
}

impl Default for CommandText {
    fn default() -> Self {
        Self { bytes: [0; TAG_BYTES], length: 0 }
    }
}

impl CommandText {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut new = Self::default();
        let length = text.len().min(TAG_BYTES);
        if let (Some(to), Some(from)) = (new.bytes.get_mut(..length), text.get(..length)) {
            to.copy_from_slice(from);
            new.length = u8::try_from(length).unwrap_or(u8::MAX);
        }
        new
    }

    /// Tags are ASCII; what is not is not shown.
    pub(super) fn as_str(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }
}

/// Those that wait, and what is to be told of the others.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pending: VecDeque<Entry>,
    /// Repetitions of all that wait.
    repeats: usize,
    /// How many of the newest were pushed since [`Queue::announce`] was called.
    fresh: usize,
    /// There is none while nothing happens on the connection.
    outbox: Option<Box<Outbox>>,
}

/// Those that are finished and not handed out yet. Apart from those that wait, so that what comes to nothing behind a
/// finished one leaves at once: a client may send thousands of such messages in one piece.
#[derive(Debug, Default)]
struct Outbox {
    finished: VecDeque<Entry>,
    /// How many of the finished ones are to be handed out.
    ready: usize,
    /// What was announced and is no exchange, until the caller is told.
    withdrawn: Vec<(u64, Message)>,
}

impl Queue {
    /// How many wait, repetitions included.
    #[inline]
    pub(super) fn pending(&self) -> usize {
        self.pending.len().saturating_add(self.repeats)
    }

    pub(super) fn ready(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.ready)
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

    pub(super) fn iter_pending(&mut self) -> impl DoubleEndedIterator<Item = &mut Entry> {
        self.pending.iter_mut()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.pending.push_back(entry);
        self.fresh = self.fresh.saturating_add(1);
    }

    /// Counts a Sync that ends nothing if it is like the newest, directly behind it. Whether it is.
    #[inline]
    pub(super) fn repeat(&mut self, request: &Message, place: Place, cx: &mut Context<'_>) -> bool {
        let Some(newest) = self.pending.back_mut().filter(|newest| newest.is_lone_sync()) else { return false };
        let before = &newest.request;
        let repeated = u64::from(newest.repeats).saturating_add(1).saturating_mul(before.size);
        let is_next = before.offset.saturating_add(repeated) == request.offset
            && newest.id.wrapping_add(u64::from(newest.repeats)).wrapping_add(1) == *cx.next_id
            && (before.start, before.end, before.tag) == (request.start, request.end, request.tag);
        if !is_next || newest.place != place || !newest.is_untouched() || newest.repeats == u32::MAX {
            return false;
        }
        cx.take_id();
        newest.repeats = newest.repeats.saturating_add(1);
        self.repeats = self.repeats.saturating_add(1);
        true
    }

    /// Takes away so many of the head's repetitions, or as many as it has; `None` if it has none. One that was
    /// announced is not passed over: it has to leave under its own id.
    #[inline]
    pub(super) fn skip_repeats(&mut self, most: usize) -> Option<u32> {
        let head = self.pending.front_mut().filter(|head| head.repeats > 0 && !head.announced)?;
        let skipped = head.repeats.min(u32::try_from(most).unwrap_or(u32::MAX));
        head.advance(skipped);
        self.repeats = self.repeats.saturating_sub(skipped as usize);
        Some(skipped)
    }

    /// Announces those that were pushed since the last call, still wait and may become exchanges.
    pub(super) fn announce(&mut self, cx: &mut Context<'_>) {
        let from = self.pending.len().saturating_sub(core::mem::take(&mut self.fresh));
        for entry in self.pending.range_mut(from..) {
            if !entry.announced && !entry.is_lone_sync() {
                cx.tell(entry.id, &entry.request, Stage::Tentative);
                entry.announced = true;
            }
        }
    }

    fn outbox(&mut self) -> &mut Outbox {
        self.outbox.get_or_insert_with(Box::default)
    }

    /// What was announced under this id is no exchange.
    pub(super) fn withdraw(&mut self, id: u64, request: Message) {
        self.outbox().withdrawn.push((id, request));
    }

    /// What was withdrawn since the last call.
    pub(super) fn withdrawn(&mut self) -> impl Iterator<Item = (u64, Message)> {
        self.outbox.iter_mut().flat_map(|outbox| outbox.withdrawn.drain(..))
    }

    /// The head is over. Given back if it is no exchange, or is counted only, as it goes on like the one before. `same`:
    /// whether two texts are.
    pub(super) fn finish_head(
        &mut self,
        completeness: Completeness,
        same: impl Fn(Handle, Handle) -> bool,
    ) -> Option<Entry> {
        if self.skip_repeats(1).is_some() {
            return None;
        }
        let mut entry = self.pending.pop_front()?;
        if let Some(rest) = entry.split() {
            entry.repeats = 0;
            self.repeats = self.repeats.saturating_sub(1);
            self.pending.push_front(rest);
        }
        if !entry.opened {
            if entry.announced {
                self.withdraw(entry.id, entry.request);
            }
            return Some(entry);
        }
        let on_trial = entry.place == Place::OnTrial;
        entry.progress = if on_trial { Progress::Held(completeness) } else { Progress::Finished(completeness) };
        let outbox = self.outbox();
        outbox.ready = outbox.ready.saturating_add(usize::from(!on_trial));
        if let Some(last) = outbox.finished.back_mut()
            && last.progress == entry.progress
            && !on_trial
            && last.repeats < u32::MAX
            && last.goes_on(u64::from(last.repeats).saturating_add(1), &entry, same)
        {
            last.repeats = last.repeats.saturating_add(1);
            return Some(entry);
        }
        outbox.finished.push_back(entry);
        None
    }

    /// The answers on trial are what they were taken for, or nobody knows them.
    pub(super) fn judge(&mut self, confirmed: bool) {
        self.pending.iter_mut().for_each(|entry| entry.judge(confirmed));
        let Some(outbox) = self.outbox.as_deref_mut() else { return };
        for entry in &mut outbox.finished {
            entry.judge(confirmed);
            let Progress::Held(completeness) = entry.progress else { continue };
            if entry.opened {
                entry.progress = Progress::Finished(if confirmed { completeness } else { Completeness::Gap });
                outbox.ready = outbox.ready.saturating_add(1);
            } else {
                // The failure that made it an exchange was another's.
                entry.progress = Progress::Silent;
                outbox.withdrawn.push((entry.id, entry.request));
            }
        }
    }

    /// Takes the finished ones in front that nobody will see any more, one a call.
    pub(super) fn take_spent(&mut self) -> Option<Entry> {
        let finished = &mut self.outbox.as_deref_mut()?.finished;
        let first = finished.front_mut()?;
        match first.progress {
            Progress::Lent(completeness) if first.repeats > 0 => {
                first.step();
                first.progress = Progress::Finished(completeness);
                None
            }
            Progress::Silent | Progress::Lent(_) => finished.pop_front(),
            _ => None,
        }
    }

    /// Lends the first finished one.
    pub(super) fn lend(&mut self) -> Option<(&Entry, Completeness)> {
        let outbox = self.outbox.as_deref_mut()?;
        let entry = outbox.finished.front_mut()?;
        let Progress::Finished(completeness) = entry.progress else { return None };
        entry.progress = Progress::Lent(completeness);
        outbox.ready = outbox.ready.saturating_sub(1);
        Some((entry, completeness))
    }

    pub(super) fn memory(&self) -> usize {
        let texts = |entries: &VecDeque<Entry>| {
            entries.iter().filter_map(|entry| entry.message.as_ref()).map(|text| text.len()).sum::<usize>()
        };
        let of = |entries: &VecDeque<Entry>| {
            entries.capacity().saturating_mul(size_of::<Entry>()).saturating_add(texts(entries))
        };
        let outbox = self.outbox.as_deref().map_or(0, |outbox| {
            let withdrawn = outbox.withdrawn.capacity().saturating_mul(size_of::<(u64, Message)>());
            size_of::<Outbox>().saturating_add(withdrawn).saturating_add(of(&outbox.finished))
        });
        outbox.saturating_add(of(&self.pending))
    }

    pub(super) fn shrink(&mut self) {
        self.pending.shrink_to_fit();
        self.outbox = self.outbox.take().filter(|outbox| !outbox.finished.is_empty() || !outbox.withdrawn.is_empty());
        if let Some(outbox) = self.outbox.as_deref_mut() {
            outbox.finished.shrink_to_fit();
            outbox.withdrawn.shrink_to_fit();
        }
    }
}
