//! The server's side: answers, read element by element without a stack. Of an answer its kind, its size and the first
//! word of an error are kept.

use super::{
    command::Word,
    half::{Half, Progress},
    resp::{self, Head, Kind, Left},
    session::{Answer, Queue, Session},
};
use crate::{Message, Timestamp, parser::Context};

/// Most bytes looked at for the first word of a line.
const MAX_WORD: usize = 40;

/// The answer that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) active: bool,
    /// The rest of a line is passed over.
    in_line: bool,
    left: Left,
    /// What is read belongs to an attribute, which comes before the answer.
    in_attribute: bool,
    elements: u64,
    /// Where its last whole element or head ended, and when that passed.
    seen: (u64, Timestamp),
    pub(super) answer: Answer,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            active: false,
            in_line: false,
            left: Left::one(),
            in_attribute: false,
            elements: 0,
            seen: (0, Timestamp::default()),
            answer: Answer::default(),
        }
    }
}

/// Reads what it can of the server's bytes.
pub(super) fn step(
    half: &mut Half,
    reading: &mut Reading,
    queue: &mut Queue,
    session: &mut Session,
    rest: &[u8],
    cx: &Context<'_>,
) -> Progress {
    let was_inside = half.left > 0;
    let progress = reading.pass(half, queue, session, rest, cx);
    if let Progress::Consumed(used) = progress
        && reading.active
        && used > 0
    {
        let end = cx.offset.saturating_add(used as u64);
        if !was_inside || half.left == 0 {
            reading.seen = (end, cx.mark_at(end.saturating_sub(1)).at);
        }
        if half.left == 0 && !reading.in_line && reading.left.is_done() {
            reading.active = false;
            reading.seal();
            queue.answered(&reading.answer, session, cx);
        }
    }
    progress
}

impl Reading {
    fn pass(
        &mut self,
        half: &mut Half,
        queue: &Queue,
        session: &mut Session,
        rest: &[u8],
        cx: &Context<'_>,
    ) -> Progress {
        if self.in_line {
            let end = rest.iter().position(|&byte| byte == b'\n');
            self.in_line = end.is_none();
            let used = end.map_or(rest.len(), |end| end.saturating_add(1));
            return if used == 0 { Progress::Need(1) } else { Progress::Consumed(used) };
        }
        if half.left > 0 {
            if half.want > 0 {
                let want = usize::from(half.want);
                let Some(text) = rest.get(..want) else { return Progress::Need(want) };
                self.word(text);
                half.want = 0;
            }
            return half.pass(rest);
        }
        if rest.is_empty() {
            return Progress::Need(1);
        }
        if !self.active {
            // A master that prepares its data set sends line ends so that the replica does not give up.
            if rest.first() == Some(&b'\n') && queue.waits_for_sync() {
                return Progress::Consumed(1);
            }
            if rest.starts_with(b"$EOF:") && queue.waits_for_sync() {
                self.begin(cx);
                self.answer.kind = Kind::BulkString;
                self.left = Left::default();
                return Progress::Consumed(5);
            }
        }
        match resp::head(rest) {
            Ok(Some((head, used))) => self.element(half, queue, session, head, used, rest, cx),
            Ok(None) if rest.len() <= MAX_WORD => Progress::Need(rest.len().saturating_add(1)),
            _ => Progress::Misframed,
        }
    }

    fn begin(&mut self, cx: &Context<'_>) {
        let mark = cx.mark_at(cx.offset);
        let message = Message { start: mark.at, end: mark.at, size: 0, offset: cx.offset, tag: mark.tag };
        *self = Self { active: true, answer: Answer { message, ..Answer::default() }, ..Self::default() };
    }

    #[expect(clippy::too_many_arguments, reason = "one call; what belongs together is borrowed apart")]
    fn element(
        &mut self,
        half: &mut Half,
        queue: &Queue,
        session: &mut Session,
        head: Head,
        used: usize,
        rest: &[u8],
        cx: &Context<'_>,
    ) -> Progress {
        let mut line = &[][..];
        if let Head::Line(_) = head {
            let text = rest.get(used..).unwrap_or_default();
            line = text.get(..text.len().min(MAX_WORD)).unwrap_or_default();
            if !line.contains(&b'\n') && line.len() < MAX_WORD {
                return Progress::Need(rest.len().saturating_add(1));
            }
        }
        let begins = !self.active;
        if begins {
            self.begin(cx);
        }
        if self.left.count(head).is_err() {
            return Progress::Misframed;
        }
        let is_top = self.elements == 0 && !self.in_attribute;
        if is_top {
            if let Head::Aggregate(Kind::Attribute, count) = head {
                self.in_attribute = count > 0;
                return Progress::Consumed(used);
            }
            self.top(head);
        }
        if self.in_attribute {
            self.in_attribute = !self.left.is_one();
        } else {
            self.elements = self.elements.saturating_add(1);
        }
        match head {
            Head::Line(kind) => {
                if kind.is_error() {
                    self.error(line, is_top);
                } else if is_top || self.wants_word() {
                    self.first_word(line);
                }
                let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
                    self.in_line = true;
                    return Progress::Consumed(used.saturating_add(line.len()));
                };
                return Progress::Consumed(used.saturating_add(end).saturating_add(1));
            }
            Head::Integer(value) => self.answer.integer = value,
            Head::Bulk(_, _) if is_top && queue.waits_for_sync() => {
                // The data set follows, and after it the stream of the master's commands.
                session.is_replication = true;
            }
            Head::Bulk(kind, length) => {
                let wanted = kind == Kind::BulkError || self.wants_word();
                let want = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_WORD);
                half.begin(length, if wanted { want } else { 0 });
                if kind == Kind::BulkError && want == 0 {
                    self.error(b"", is_top);
                }
            }
            Head::Chunk(length) if length > 0 => half.begin(length, 0),
            _ => {}
        }
        Progress::Consumed(used)
    }

    /// The first string of an array says whether it is a message, that of a map whether it answers `HELLO`.
    fn wants_word(&self) -> bool {
        self.elements == 2 && matches!(self.answer.kind, Kind::Array | Kind::Map | Kind::Push)
    }

    fn top(&mut self, head: Head) {
        let (kind, length) = match head {
            Head::Line(kind) => (kind, None),
            Head::Integer(_) => (Kind::Integer, None),
            Head::Bulk(kind, length) => (kind, Some(length)),
            Head::Aggregate(Kind::Map, length) => (Kind::Map, Some(length / 2)),
            Head::Aggregate(kind, length) => (kind, Some(length)),
            Head::StreamedString => (Kind::BulkString, None),
            Head::StreamedAggregate(kind) => (kind, None),
            Head::Null | Head::Chunk(_) | Head::End => (Kind::Null, None),
        };
        self.answer.kind = kind;
        self.answer.length = length;
    }

    /// The text of a string that was wanted.
    fn word(&mut self, text: &[u8]) {
        if self.wants_word() {
            self.first_word(text);
        } else {
            self.error(text, self.elements <= 1);
        }
    }

    fn first_word(&mut self, text: &[u8]) {
        self.answer.word = text.split(|&byte| byte <= b' ').next().and_then(Word::name).unwrap_or_default();
    }

    /// An error begins with a word in capitals, by convention.
    fn error(&mut self, text: &[u8], is_top: bool) {
        let word = text.split(|&byte| byte <= b' ').next().unwrap_or_default();
        let is_prefix = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        let prefix = Some(word).filter(|word| word.iter().all(is_prefix)).and_then(Word::name);
        self.answer.error = self.answer.error.or(Some(prefix.unwrap_or_default()));
        if !is_top && self.elements > 0 {
            self.answer.nested_errors = self.answer.nested_errors.saturating_add(1);
        }
    }

    /// The rest of the answer will not come: what was seen of it, if one had begun.
    pub(super) fn abandon(&mut self) -> Option<Answer> {
        if !core::mem::take(&mut self.active) {
            return None;
        }
        self.in_line = false;
        self.seal();
        self.answer.gap = true;
        Some(self.answer)
    }

    fn seal(&mut self) {
        let (end, at) = self.seen;
        self.answer.message.end = at;
        self.answer.message.size = end.saturating_sub(self.answer.message.offset);
    }
}
