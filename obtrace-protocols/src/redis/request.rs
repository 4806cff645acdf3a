//! The client's side: commands, read argument by argument. Of a command its name and its keys are kept, nothing else:
//! no value, no password can be in what is handed out.

use super::{
    command::{Keys, MAX_NAME, Spec, Special, Word},
    half::{Half, Progress},
    resp::{self, Head, MAX_ARGUMENTS},
    session::{Queue, ReplyMode, Request, Session},
};
use crate::{Completeness, Message, Timestamp, parser::Context, stream::Mark};

/// Most bytes kept of one key.
const MAX_KEY: usize = 1024;
/// Longest inline command that a server takes.
const MAX_INLINE: usize = 64 * 1024;
/// What stands for a name that no command has, as in the conventions.
pub(super) const OTHER: &str = "_OTHER";
/// What stands for arguments that do not fit into the statement.
const CUT: &str = " ...";
/// How the key without a byte is written.
const EMPTY_KEY: &str = "\"\"";

/// The command that is being read. It is the last one in the queue.
#[derive(Debug, Default)]
pub(super) struct Building {
    /// A command has begun.
    pub(super) active: bool,
    /// Its name was read, and it was announced.
    pub(super) is_named: bool,
    total: u64,
    index: u64,
    role: Role,
    length: u64,
    word: Word,
    spec: Option<&'static Spec>,
    /// Arguments `from..until` are keys, once it is known.
    keys: (u64, u64),
    reply: Option<ReplyMode>,
    text: u64,
    room: usize,
    cut: bool,
    keys_written: u32,
    start: Mark,
    /// Where its last whole argument or head of one ended, and when that passed.
    seen: (u64, Timestamp),
}

/// What an argument is to the parser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Role {
    #[default]
    Value,
    Name,
    Second,
    Key,
    /// How many keys follow, or which database or version is asked for.
    Number,
    /// It may be the word that the keys follow.
    Streams,
    /// `ON`, `OFF` or `SKIP`.
    ReplyMode,
}

/// Reads what it can of the client's bytes.
pub(super) fn step(
    half: &mut Half,
    building: &mut Building,
    queue: &mut Queue,
    session: &mut Session,
    rest: &[u8],
    cx: &mut Context<'_>,
) -> Progress {
    if half.left > 0 {
        return argument(half, building, queue, session, rest, cx);
    }
    let Some(&first) = rest.first() else { return Progress::Need(1) };
    if building.active {
        let used = arguments(building, queue, session, rest, 0, cx);
        if used > 0 {
            return Progress::Consumed(used);
        }
        return match resp::head(rest) {
            Ok(Some((Head::Bulk(resp::Kind::BulkString, length), used))) => {
                let want = building.want(length, queue);
                half.begin(length, want);
                building.saw(used, cx);
                if want == 0 {
                    building.record(None, queue, cx);
                }
                Progress::Consumed(used)
            }
            Ok(None) if first == b'$' => Progress::Need(rest.len().saturating_add(1)),
            _ => Progress::Misframed,
        };
    }
    match first {
        b'*' => match resp::number(rest.get(1..).unwrap_or_default()) {
            Ok(Some((count, used))) => {
                let count = usize::try_from(count).unwrap_or(0);
                if count > MAX_ARGUMENTS {
                    return Progress::Misframed;
                }
                let mut used = used.saturating_add(1);
                if count > 0 {
                    building.begin(count as u64, queue, session, cx);
                    building.saw(used, cx);
                    used = arguments(building, queue, session, rest, used, cx);
                }
                Progress::Consumed(used)
            }
            Ok(None) => Progress::Need(rest.len().saturating_add(1)),
            Err(_) => Progress::Misframed,
        },
        // Servers ignore empty lines.
        b'\r' | b'\n' => Progress::Consumed(1),
        first if first.is_ascii_alphabetic() => inline(half, building, queue, session, rest, cx),
        _ => Progress::Misframed,
    }
}

/// Reads the arguments that are there to their last byte, from `at` on; where it stopped.
fn arguments(
    building: &mut Building,
    queue: &mut Queue,
    session: &mut Session,
    rest: &[u8],
    mut at: usize,
    cx: &mut Context<'_>,
) -> usize {
    while building.active
        && let Some((text, used)) = rest.get(at..).and_then(resp::whole_string)
    {
        at = at.saturating_add(used);
        let want = building.want(text.len() as u64, queue);
        building.record(text.get(..want).filter(|_| want > 0), queue, cx);
        building.saw(at, cx);
        building.end_argument(queue, session);
    }
    at
}

/// Inside the string of an argument.
fn argument(
    half: &mut Half,
    building: &mut Building,
    queue: &mut Queue,
    session: &mut Session,
    rest: &[u8],
    cx: &mut Context<'_>,
) -> Progress {
    if half.want > 0 {
        let want = usize::from(half.want);
        let Some(wanted) = rest.get(..want) else { return Progress::Need(want) };
        building.record(Some(wanted), queue, cx);
        half.want = 0;
    }
    let progress = half.pass(rest);
    if let (Progress::Consumed(used), 0) = (progress, half.left) {
        building.saw(used, cx);
        building.end_argument(queue, session);
    }
    progress
}

/// A command as a line of words, as people type it.
fn inline(
    half: &mut Half,
    building: &mut Building,
    queue: &mut Queue,
    session: &mut Session,
    rest: &[u8],
    cx: &mut Context<'_>,
) -> Progress {
    let limit = MAX_INLINE.min(cx.config.max_buffered as usize);
    let unseen = rest.get(half.scanned as usize..).unwrap_or_default();
    let Some(end) = unseen.iter().position(|&byte| byte == b'\n') else {
        if rest.len() >= limit {
            return Progress::Misframed;
        }
        half.scanned = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        return Progress::Need(rest.len().saturating_add(1));
    };
    let end = end.saturating_add(half.scanned as usize).saturating_add(1);
    half.scanned = 0;
    let line = rest.get(..end).unwrap_or_default();
    let words = Words(line);
    if words.clone().next().is_none_or(|name| Word::name(name).is_none()) {
        return Progress::Misframed;
    }
    building.begin(words.clone().count() as u64, queue, session, cx);
    for word in words {
        let want = building.want(word.len() as u64, queue);
        building.record(word.get(..want).filter(|_| want > 0), queue, cx);
        building.index = building.index.saturating_add(1);
    }
    building.saw(end, cx);
    building.finish(queue, session);
    Progress::Consumed(end)
}

impl Building {
    /// Begins a command of so many arguments at the first byte shown.
    fn begin(&mut self, total: u64, queue: &mut Queue, session: &mut Session, cx: &Context<'_>) {
        queue.begin(cx.offset, session, cx);
        let start = Mark { offset: cx.offset, ..cx.mark_at(cx.offset) };
        let limit = cx.config.max_buffered as usize;
        let room = (cx.config.max_text as usize).min(limit.saturating_sub(queue.texts.held()));
        *self = Self { active: true, total, room, start, text: queue.texts.end(), ..Self::default() };
        let message = Message { start: start.at, end: start.at, size: 0, offset: cx.offset, tag: start.tag };
        let arguments = u32::try_from(total.saturating_sub(1)).unwrap_or(u32::MAX);
        queue.push(Request { message, arguments, ..Request::default() });
    }

    /// What the next argument is, and how many bytes of it are wanted.
    fn want(&mut self, length: u64, queue: &Queue) -> usize {
        let index = self.index;
        self.length = length;
        self.role = match index {
            0 => Role::Name,
            1 if self.special() == Special::Container => Role::Second,
            1 if matches!(self.special(), Special::Select | Special::Hello) => Role::Number,
            2 if self.special() == Special::ClientReply => Role::ReplyMode,
            _ => self.key_role(),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let up_to = |limit| if length <= limit { length } else { 0 };
        match self.role {
            Role::Value => 0,
            Role::Name | Role::Second => up_to(MAX_NAME),
            Role::Number => up_to(10),
            Role::Streams => up_to("STREAMS".len()),
            Role::ReplyMode => up_to("SKIP".len()),
            Role::Key => length.min(MAX_KEY).min(self.room_left(queue)),
        }
    }

    fn special(&self) -> Special {
        self.spec.map_or(Special::Plain, |spec| spec.special)
    }

    fn key_role(&self) -> Role {
        let index = self.index;
        let is_key = match self.spec.map_or(Keys::None, |spec| spec.keys) {
            Keys::None => false,
            Keys::Range(first, last, step) => {
                let last = match u64::try_from(last) {
                    Ok(last) => last,
                    Err(_) => self.total.saturating_sub(u64::from(last.unsigned_abs())),
                };
                let from = index.checked_sub(u64::from(first));
                from.is_some_and(|from| index <= last && from.is_multiple_of(u64::from(step.max(1))))
            }
            Keys::Counted(at) if index == u64::from(at) => return Role::Number,
            Keys::StoredCounted if index == 2 => return Role::Number,
            Keys::StoredCounted if index == 1 => true,
            Keys::Streams(from) if self.keys.1 == 0 && index >= u64::from(from) => return Role::Streams,
            Keys::Counted(_) | Keys::StoredCounted | Keys::Streams(_) => (self.keys.0..self.keys.1).contains(&index),
        };
        if is_key { Role::Key } else { Role::Value }
    }

    /// Bytes that the statement may still grow by. Keys longer than that are cut.
    fn room_left(&self, queue: &Queue) -> usize {
        let used = queue.texts.since(self.text).length() as usize;
        self.room.saturating_sub(used).saturating_sub(CUT.len())
    }

    /// Takes what was wanted of an argument; `None` if nothing was.
    fn record(&mut self, bytes: Option<&[u8]>, queue: &mut Queue, cx: &mut Context<'_>) {
        match (self.role, bytes) {
            (Role::Name, bytes) => return self.name(bytes, queue, cx),
            (Role::Second, Some(bytes)) => {
                if let Some((word, spec)) = self.word.with(bytes).and_then(|word| Some((word, word.spec()?))) {
                    self.spec = Some(spec);
                    self.word = word;
                    return self.set_name(queue);
                }
            }
            (Role::Key, bytes) => return self.key(bytes, queue),
            (Role::Number, Some(bytes)) => self.number(bytes, queue),
            (Role::Streams, Some(bytes)) if bytes.eq_ignore_ascii_case(b"STREAMS") => {
                let from = self.index.saturating_add(1);
                let half = self.total.saturating_sub(from) / 2;
                self.keys = (from, from.saturating_add(half));
            }
            (Role::ReplyMode, Some(bytes)) if self.total == 3 => {
                self.reply = match bytes {
                    _ if bytes.eq_ignore_ascii_case(b"ON") => Some(ReplyMode::On),
                    _ if bytes.eq_ignore_ascii_case(b"OFF") => Some(ReplyMode::Off),
                    _ if bytes.eq_ignore_ascii_case(b"SKIP") => Some(ReplyMode::Skip),
                    _ => None,
                };
            }
            _ => {}
        }
        self.write(" ?", queue);
    }

    fn name(&mut self, bytes: Option<&[u8]>, queue: &mut Queue, cx: &mut Context<'_>) {
        self.word = bytes.and_then(Word::name).unwrap_or_default();
        self.spec = self.word.spec();
        self.is_named = true;
        let id = cx.open_at(self.start.offset, self.start.at, self.start.tag, None);
        if let Some(request) = queue.requests.back_mut() {
            request.id = id;
            request.is_named = true;
        }
        self.set_name(queue);
    }

    /// Writes the name, or the second word of it.
    fn set_name(&mut self, queue: &mut Queue) {
        let written = queue.texts.since(self.text).length();
        // A name that is known need not be looked at again.
        let name = match self.spec.map_or_else(|| self.word.as_str(), |spec| spec.name) {
            "" => OTHER,
            name => name.get(written as usize..).unwrap_or_default(),
        };
        if self.room_left(queue) >= name.len() {
            queue.texts.push(name);
        } else {
            self.cut = true;
        }
        let statement = queue.texts.since(self.text);
        if let Some(request) = queue.requests.back_mut() {
            request.spec = self.spec;
            request.name_length = statement.length();
            request.statement = statement;
        }
    }

    fn key(&mut self, bytes: Option<&[u8]>, queue: &mut Queue) {
        if self.cut {
            return;
        }
        let bytes = match bytes {
            Some(bytes) if self.length > bytes.len() as u64 => whole_characters(bytes),
            Some(bytes) => bytes,
            None if self.length == 0 => b"",
            None => return self.write(" ?", queue),
        };
        // An escaped byte takes four.
        let is_plain = bytes.iter().all(|byte| (b' '..0x7f).contains(byte));
        let room = self.room_left(queue).saturating_sub(EMPTY_KEY.len().saturating_add(1));
        let room = if is_plain { room } else { room / 4 };
        if bytes.len() <= room {
            self.put_key(bytes, queue);
        } else if self.keys_written == 0 && room > 0 {
            self.put_key(whole_characters(bytes.get(..room).unwrap_or_default()), queue);
        } else {
            self.write_cut(queue);
        }
    }

    fn put_key(&mut self, bytes: &[u8], queue: &mut Queue) {
        self.keys_written = self.keys_written.saturating_add(1);
        queue.texts.push(" ");
        let start = queue.texts.end();
        queue.texts.push_bytes(bytes);
        let key = queue.texts.since(start);
        if bytes.is_empty() {
            queue.texts.push(EMPTY_KEY);
        }
        if let Some(request) = queue.requests.back_mut() {
            request.key = request.key.or(Some(key));
        }
    }

    fn number(&mut self, bytes: &[u8], queue: &mut Queue) {
        let number = core::str::from_utf8(bytes).ok().and_then(|text| text.parse::<u32>().ok());
        let Some(number) = number else { return };
        if matches!(self.special(), Special::Select | Special::Hello) {
            if let Some(request) = queue.requests.back_mut() {
                request.number = Some(number);
            }
            return;
        }
        let from = self.index.saturating_add(1);
        self.keys = (from, from.saturating_add(u64::from(number)).min(self.total));
    }

    /// Appends to the statement, or says that it is cut.
    fn write(&mut self, text: &str, queue: &mut Queue) {
        if self.cut {
            return;
        }
        if self.room_left(queue) < text.len() {
            return self.write_cut(queue);
        }
        queue.texts.push(text);
    }

    fn write_cut(&mut self, queue: &mut Queue) {
        self.cut = true;
        if self.room > CUT.len() {
            queue.texts.push(CUT);
        }
    }

    /// So many bytes from the first one shown were done with.
    fn saw(&mut self, used: usize, cx: &Context<'_>) {
        let end = cx.offset.saturating_add(used as u64);
        self.seen = (end, cx.mark_at(end.saturating_sub(1)).at);
    }

    fn seal(&self, queue: &mut Queue) {
        let statement = queue.texts.since(self.text);
        let (end, at) = self.seen;
        if let Some(request) = queue.requests.back_mut() {
            request.statement = statement;
            request.message.end = at;
            request.message.size = end.saturating_sub(request.message.offset);
        }
    }

    fn end_argument(&mut self, queue: &mut Queue, session: &mut Session) {
        self.index = self.index.saturating_add(1);
        if self.index == self.total {
            self.finish(queue, session);
        }
    }

    /// The command is whole.
    fn finish(&mut self, queue: &mut Queue, session: &mut Session) {
        self.active = false;
        self.seal(queue);
        let reply = self.reply.filter(|_| !session.in_multi);
        queue.sent(session, reply);
    }

    /// What is left of the command was lost, or will not come. Whether it was known by name.
    pub(super) fn abandon(&mut self, queue: &mut Queue) -> bool {
        let is_named = self.active && self.is_named;
        if core::mem::take(&mut self.active) {
            self.seal(queue);
        }
        is_named
    }

    /// Part of the argument that is being read was lost, not more.
    pub(super) fn damaged(&mut self, was_wanted: bool, queue: &mut Queue, cx: &mut Context<'_>) {
        if was_wanted {
            self.record(None, queue, cx);
        }
        if let (true, Some(request)) = (self.active, queue.requests.back_mut()) {
            request.completeness = Completeness::Gap;
        }
    }
}

/// Without the last character if it was cut.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match core::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or_default(),
        _ => bytes,
    }
}

/// The words of an inline command; a word in quotes may hold spaces. Escapes in quotes stay as they are.
#[derive(Clone)]
pub(super) struct Words<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let from = self.0.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let rest = self.0.get(from..)?;
        if let Some((&quote @ (b'"' | b'\''), inner)) = rest.split_first() {
            let mut escaped = false;
            let is_end = |&byte: &u8| {
                let end = byte == quote && !escaped;
                escaped = byte == b'\\' && !escaped;
                end
            };
            let length = inner.iter().position(is_end).unwrap_or(inner.len());
            self.0 = inner.get(length.saturating_add(1)..).unwrap_or_default();
            return inner.get(..length);
        }
        let length = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        self.0 = rest.get(length..).unwrap_or_default();
        rest.get(..length)
    }
}
