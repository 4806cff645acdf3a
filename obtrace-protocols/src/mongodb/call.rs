//! A request with what is known of its answer.

use alloc::string::String;
use core::fmt::Write;

use super::{
    bson::{self, Head, Kind},
    command::{self, Class, Command, Field, First},
    compression::Compressor,
    error,
    wire::Opcode,
};
use crate::{Completeness, Config, Message, Stage, escape::push_escaped, parser::Context};

/// Longest name that is kept, in bytes: a namespace has no more.
pub(super) const MAX_TEXT: usize = 255;
/// Longest name of a command, or of an error.
const MAX_WORD: usize = 64;
/// Name of a command that is none, or that was not read.
pub(super) const OTHER: &str = "_OTHER";

/// A place in the call's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    from: u32,
    to: u32,
}

impl Span {
    /// What was appended since the text was so long.
    fn since(text: &str, from: usize) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { from: place(from), to: place(text.len()) }
    }
}

/// What was asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub(super) command: Option<&'static Command>,
    /// The name of the command was read.
    pub(super) is_named: bool,
    pub(super) operation: Span,
    pub(super) collection: Span,
    pub(super) database: Span,
    pub(super) items: Option<u32>,
    pub(super) mechanism: Option<&'static str>,
    pub(super) in_transaction: bool,
    pub(super) cursor: Option<i64>,
    /// No answer comes.
    pub(super) is_unacknowledged: bool,
    /// An `OP_QUERY` or `OP_GET_MORE` that reads a collection: its answer has no document about itself.
    pub(super) is_bare: bool,
    /// An `OP_QUERY` that is answered until its cursor is at its end.
    pub(super) is_stream: bool,
    /// An `OP_MSG` that may be answered more than once.
    pub(super) is_exhaust: bool,
    pub(super) compressor: Option<Compressor>,
}

/// What was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answered {
    pub(super) ok: Option<bool>,
    pub(super) code: Option<i32>,
    pub(super) code_name: Span,
    pub(super) write_errors: u32,
    pub(super) write_error: Option<i32>,
    pub(super) concern_error: Option<i32>,
    pub(super) error_text: Span,
    pub(super) returned: Option<u64>,
    pub(super) affected: Option<u64>,
    pub(super) modified: Option<u64>,
    pub(super) cursor: Option<i64>,
    pub(super) replies: u32,
    /// Another answer follows the one that is read.
    pub(super) more: bool,
    pub(super) compressor: Option<Compressor>,
    /// The reason of the failure, as text.
    pub(super) reason: Span,
}

/// See the module. Used again and again, with the memory of its text.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) request_id: i32,
    /// What the next answer says that it answers.
    pub(super) awaits: i32,
    pub(super) opcode: Opcode,
    pub(super) request: Message,
    pub(super) response: Option<Message>,
    pub(super) completeness: Completeness,
    /// Its answer may be among lost bytes.
    pub(super) may_be_lost: bool,
    /// It was found behind a loss, and may have stood in a value.
    pub(super) is_tentative: bool,
    pub(super) asked: Asked,
    pub(super) answered: Answered,
    text: String,
}

impl Call {
    /// Forgets everything but the memory.
    pub(super) fn clear(&mut self) {
        let mut text = core::mem::take(&mut self.text);
        text.clear();
        *self = Self { text, ..Self::default() };
    }

    pub(super) const fn capacity(&self) -> usize {
        self.text.capacity()
    }

    pub(super) fn get(&self, span: Span) -> &str {
        self.text.get(span.from as usize..span.to as usize).unwrap_or_default()
    }

    pub(super) fn operation(&self) -> &str {
        match (self.asked.command, self.get(self.asked.operation)) {
            (Some(command), _) => command.name,
            (None, "") => OTHER,
            (None, name) => name,
        }
    }

    /// Notes the name of the command.
    pub(super) fn name(&mut self, name: &[u8]) -> Option<&'static Command> {
        self.asked.is_named = true;
        self.asked.command = command::known(name);
        // No command has a digit in its name; what a program sends by mistake may have.
        if self.asked.command.is_none() && is_word(name) && !name.iter().any(u8::is_ascii_digit) {
            self.asked.operation = keep(&mut self.text, name, MAX_WORD);
        }
        self.asked.command
    }

    /// Notes `database.collection`. Whether it is where commands of the older kind are sent to.
    pub(super) fn namespace(&mut self, namespace: &[u8]) -> bool {
        let dot = namespace.iter().position(|&byte| byte == b'.').unwrap_or(namespace.len());
        let (database, collection) = namespace.split_at_checked(dot).unwrap_or_default();
        let collection = collection.strip_prefix(b".").unwrap_or_default();
        let (asked, text) = (&mut self.asked, &mut self.text);
        if asked.database == Span::default() {
            asked.database = keep(text, database, MAX_TEXT);
        }
        if collection == b"$cmd" {
            return true;
        }
        if asked.collection == Span::default() {
            asked.collection = keep(text, collection, MAX_TEXT);
        }
        false
    }

    /// Notes the value of a field, of which at least what is kept is there. What is there twice is kept once: so the
    /// text has a bound.
    pub(super) fn take(&mut self, field: Field, kind: Kind, value: &[u8], config: &Config) {
        if kind == Kind::String {
            self.take_text(field, bson::text(value), config);
        } else if let Some(number) = bson::number(kind, value) {
            self.take_number(field, number);
        }
    }

    fn take_text(&mut self, field: Field, text: &[u8], config: &Config) {
        let (asked, answered) = (&mut self.asked, &mut self.answered);
        let (place, most) = match field {
            Field::Collection => (&mut asked.collection, MAX_TEXT),
            Field::Database => (&mut asked.database, MAX_TEXT),
            Field::CodeName if error::is_known(text) => (&mut answered.code_name, MAX_WORD),
            Field::ErrorText if config.error_text => (&mut answered.error_text, config.max_text as usize),
            Field::Mechanism => {
                asked.mechanism = command::mechanism(text);
                return;
            }
            Field::Namespace => {
                self.namespace(text);
                return;
            }
            _ => return,
        };
        if *place == Span::default() {
            *place = keep(&mut self.text, text, most);
        }
    }

    fn take_number(&mut self, field: Field, number: i64) {
        let (asked, answered) = (&mut self.asked, &mut self.answered);
        let code = Some(i32::try_from(number).unwrap_or(i32::MAX));
        let count = u64::try_from(number).unwrap_or_default();
        match field {
            Field::AutoCommit => asked.in_transaction |= number == 0,
            Field::AskedCursor => asked.cursor = Some(number),
            Field::Ok => answered.ok = Some(number != 0),
            Field::Affected if asked.command.is_some_and(|it| it.kind == Class::Write) => {
                answered.affected = Some(answered.affected.unwrap_or_default().saturating_add(count));
            }
            Field::Modified => answered.modified = Some(count),
            Field::Code => answered.code = code,
            Field::WriteErrors => {
                let errors = u32::try_from(count).unwrap_or(u32::MAX);
                answered.write_errors = answered.write_errors.saturating_add(errors);
            }
            Field::WriteErrorCode => answered.write_error = answered.write_error.or(code),
            Field::ConcernCode => answered.concern_error = code,
            Field::AnsweredCursor => answered.cursor = Some(number),
            _ => {}
        }
    }

    /// Counts one of what a write is made of.
    #[inline]
    pub(super) fn count_item(&mut self) {
        self.asked.items = Some(self.asked.items.unwrap_or_default().saturating_add(1));
    }

    /// Counts a document that came back.
    #[inline]
    pub(super) fn count_returned(&mut self, documents: u64) {
        self.answered.returned = Some(self.answered.returned.unwrap_or_default().saturating_add(documents));
    }

    /// Whether more answers than one may come.
    pub(super) const fn may_have_several(&self) -> bool {
        self.asked.is_exhaust || self.asked.is_stream || self.response.is_some()
    }

    /// An answer of the call was read to its end. Whether it is the last one.
    pub(super) fn is_over(&mut self) -> bool {
        let is_hello = self.asked.command.is_some_and(|it| it.kind == Class::Hello);
        let streams = self.asked.is_stream && self.answered.cursor.is_some_and(|cursor| cursor != 0);
        let more = core::mem::take(&mut self.answered.more);
        is_hello || !(more || streams)
    }

    /// The code by which it failed, if it did: that of the command, else of the first write that failed, else of the
    /// write concern.
    pub(super) fn code(&self) -> Option<i32> {
        let Answered { ok, code, write_error, concern_error, .. } = self.answered;
        match ok {
            Some(false) => code,
            _ => write_error.or(concern_error),
        }
    }

    /// Whether it failed. An answer of which not so much was read has not.
    pub(super) fn has_failed(&self) -> bool {
        let answered = &self.answered;
        answered.ok == Some(false) || answered.write_errors > 0 || answered.concern_error.is_some()
    }

    /// It was a request for sure.
    pub(super) fn confirm(&mut self, cx: &mut Context<'_>) {
        if core::mem::take(&mut self.is_tentative) {
            cx.tell(self.id, &self.request, Stage::Confirmed);
        }
    }

    /// Writes the reason of the failure down. Called once, when the call is over.
    pub(super) fn settle(&mut self) {
        if !self.has_failed() {
            return;
        }
        let from = self.text.len();
        // Writing to a string cannot fail.
        let _ = match self.code() {
            Some(code) => write!(self.text, "{code}"),
            None => self.text.write_str(OTHER),
        };
        self.answered.reason = Span::since(&self.text, from);
    }
}

/// Appends at most so many bytes as text: control characters and what is not UTF-8 as `\xNN`.
fn keep(out: &mut String, bytes: &[u8], most: usize) -> Span {
    let from = out.len();
    push_escaped(out, cut(bytes, most));
    Span::since(out, from)
}

/// The first `most` bytes, fewer if a character would be cut.
fn cut(bytes: &[u8], most: usize) -> &[u8] {
    let Some(kept) = bytes.get(..most).filter(|kept| kept.len() < bytes.len()) else { return bytes };
    let started = kept.iter().rev().take(3).position(|&byte| byte >= 0xc0).map_or(0, |at| at.saturating_add(1));
    let whole = match kept.len().checked_sub(started).and_then(|at| kept.get(at)) {
        Some(0xc0..=0xdf) => started >= 2,
        Some(0xe0..=0xef) => started >= 3,
        Some(0xf0..) => started >= 4,
        _ => true,
    };
    if whole { kept } else { kept.get(..kept.len().saturating_sub(started)).unwrap_or_default() }
}

/// Whether it looks like the name of a command or of an error, and not like anything else.
fn is_word(name: &[u8]) -> bool {
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.len() <= MAX_WORD
        && name.first().is_some_and(|byte| is_inside(byte) && !byte.is_ascii_digit())
        && name.iter().all(is_inside)
}

/// What the first value of a command is, if it is read.
#[inline]
pub(super) fn first_field(head: &Head<'_>) -> Option<Field> {
    match (command::known(head.name)?.first, head.kind) {
        (First::Collection, Kind::String) => Some(Field::Collection),
        (First::Namespace, Kind::String) => Some(Field::Namespace),
        (First::Cursor, Kind::Int64) => Some(Field::AskedCursor),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bytes: &[u8], most: usize) -> String {
        let mut out = String::new();
        keep(&mut out, bytes, most);
        out
    }

    #[test]
    fn texts_are_cut_between_characters() {
        for (bytes, most, expected) in [
            (&b"orders"[..], 10, "orders"),
            (b"orders", 3, "ord"),
            ("caf\u{e9}s".as_bytes(), 4, "caf"),
            ("caf\u{e9}s".as_bytes(), 5, "caf\u{e9}"),
            ("\u{20ac}\u{20ac}".as_bytes(), 5, "\u{20ac}"),
            ("\u{1f600}x".as_bytes(), 3, ""),
            (b"a\nb\xff", 9, "a\\x0ab\\xff"),
        ] {
            assert_eq!(kept(bytes, most), expected);
        }
    }

    #[test]
    fn a_namespace_is_taken_apart_at_its_first_dot() {
        let mut call = Call::default();
        assert!(!call.namespace(b"shop.orders.2026"));
        assert_eq!((call.get(call.asked.database), call.get(call.asked.collection)), ("shop", "orders.2026"));
        call.clear();
        assert!(call.namespace(b"admin.$cmd"));
        assert_eq!((call.get(call.asked.database), call.get(call.asked.collection)), ("admin", ""));
    }

    #[test]
    fn commands_have_names_of_few_kinds() {
        for (name, expected) in [
            (&b"find"[..], "find"),
            (b"usersInfo", "usersInfo"),
            (b"_configsvrAddShard", "_configsvrAddShard"),
            (b"what is this", OTHER),
            (b"7", OTHER),
            (b"hunter2", OTHER),
            (&[b'a'; 65], OTHER),
        ] {
            let mut call = Call::default();
            call.name(name);
            assert_eq!(call.operation(), expected);
        }
    }
}
