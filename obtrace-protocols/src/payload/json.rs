//! Reads values of interest out of JSON ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)) that comes in pieces, and
//! walks over all others.
//!
//! A tree of [`Node`]s, shaped like the document, says what is of interest. [`Reader::read`] takes bytes and tells of each
//! such value that is whole. Nothing else is stored: what no node names is walked over, 32 bytes at a time. Any split of
//! the same bytes gives the same values, in linear time.
//!
//! Made to watch, not to guard: what a lenient parser would take is taken. Documents may follow one another, with or
//! without line ends between them (NDJSON), and an array at the top is a sequence of documents.
//!
//! Limits: [`MAX_DEPTH`] levels of nesting, [`MAX_FOLLOWED`] of them with values of interest, names of [`MAX_KEY`] bytes,
//! texts as long as the caller says. A deeper document is given up; what is longer is cut, and says so.

mod alike;
mod container;
mod node;
mod scalar;
mod scan;
mod simple;
mod string;

use alloc::vec::Vec;

pub(crate) use node::Node;
pub(super) use scan::line_end;

use alike::Alike;
use string::Escape;

/// Deepest nesting that is walked through.
pub(crate) const MAX_DEPTH: u8 = 128;
/// Deepest nesting in which values can be of interest.
pub(crate) const MAX_FOLLOWED: usize = 12;
/// Longest member name that is compared when it comes in pieces or has escapes.
const MAX_KEY: usize = 48;
/// Longest number that is read. A longer one is no number of interest.
const MAX_NUMBER: usize = 40;

/// A value of interest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'r> {
    /// A string, escapes resolved. Cut where it is longer than the limit or not UTF-8.
    Text(&'r str),
    /// A number as it stands.
    Number(&'r str),
    Bool(bool),
    Null,
    /// An object or array begins.
    Begin,
    /// It ends. Not told of one that is walked over.
    End,
    /// An object or array as it stands, not longer than the limit.
    Raw(&'r str),
    /// The same, but it is longer.
    TooLong,
}

/// What is told of some bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Told<'r, F> {
    /// A value of interest.
    Found(F, Value<'r>),
    /// A document is over.
    Document,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between documents.
    Between,
    /// Before a value.
    Value,
    /// Behind `[`: a value, or the end.
    First,
    /// Behind `{`: a name, or the end.
    Member,
    /// Behind `,` in an object.
    Key,
    /// In a name.
    InKey,
    Colon,
    /// In a string of interest.
    InText,
    /// In a string that is walked over.
    InString,
    InNumber,
    /// In `true`, `false` or `null`; the letters after these many are left.
    InLiteral(Literal, u8),
    /// Behind a value.
    After,
    /// In a container that is walked over; it ends at this depth.
    Skip(u8),
    /// The same, in a string of it.
    SkipString(u8),
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Literal {
    True,
    False,
    Null,
}

impl Literal {
    const fn word(self) -> &'static [u8] {
        match self {
            Self::True => b"true",
            Self::False => b"false",
            Self::Null => b"null",
        }
    }
}

/// What a step found; the text is in the reader, or among the bytes that it was shown.
enum Event<'i, F> {
    Found(F, What),
    Shown(F, What, &'i [u8]),
    Document,
}

#[derive(Clone, Copy)]
enum What {
    Text,
    Number,
    Bool(bool),
    Null,
    Begin,
    End,
    Raw,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Reader<F: 'static> {
    root: &'static Node<F>,
    state: State,
    /// Open containers, and whether each is an array: the innermost is the lowest bit.
    depth: u8,
    arrays: u128,
    /// The nodes of open containers that are followed.
    levels: [Option<&'static Node<F>>; MAX_FOLLOWED],
    /// The outermost container is an array of documents.
    documents: bool,
    /// The node of the value that comes next or is being read.
    next: Option<&'static Node<F>>,
    /// What a container that is walked over is told as when it ends.
    raw: Option<F>,
    escape: Escape,
    /// The first half of a character in two escapes.
    high: u16,
    text: Vec<u8>,
    /// Most bytes of a name and of a content, and of what is being read.
    limits: [usize; 2],
    limit: usize,
    cut: bool,
    contents: bool,
    alike: Alike,
}

impl<F: Copy> Reader<F> {
    pub(crate) const fn new(root: &'static Node<F>) -> Self {
        Self {
            root,
            state: State::Between,
            depth: 0,
            arrays: 0,
            levels: [None; MAX_FOLLOWED],
            documents: false,
            next: None,
            raw: None,
            escape: Escape::None,
            high: 0,
            text: Vec::new(),
            limits: [0; 2],
            limit: 0,
            cut: false,
            contents: false,
            alike: Alike::new(),
        }
    }

    /// Begins anew with another tree. `names`: most bytes of a text; `contents`: of one that is content, 0 if contents
    /// are not of interest.
    pub(crate) fn begin(&mut self, root: &'static Node<F>, names: usize, contents: usize) {
        self.root = root;
        self.limits = [names, contents];
        self.contents = contents > 0;
        self.alike.forget();
        self.restart();
    }

    /// Forgets the document that is being read: what comes next begins one.
    pub(crate) fn restart(&mut self) {
        self.state = State::Between;
        self.depth = 0;
        self.arrays = 0;
        self.raw = None;
        self.documents = false;
        self.escape = Escape::None;
    }

    /// Whether a document was begun and is not over.
    pub(crate) fn is_inside(&self) -> bool {
        self.state != State::Between
    }

    pub(crate) const fn memory(&self) -> usize {
        self.text.capacity().saturating_add(self.alike.memory())
    }

    /// Takes all bytes and tells what is of interest in them. Whether they are JSON, and not too deep.
    #[inline]
    pub(crate) fn read(&mut self, mut input: &[u8], sink: &mut impl FnMut(Told<'_, F>)) -> bool {
        while !input.is_empty() && self.state != State::Broken {
            if self.state == State::Between {
                self.begin_alike(&mut input, sink);
            }
            if matches!(self.state, State::Member | State::Key) {
                self.simple_members(&mut input, sink);
                if input.is_empty() {
                    break;
                }
            }
            if let Some(event) = self.step(&mut input) {
                sink(self.tell(event));
            }
        }
        self.state != State::Broken
    }

    fn tell<'r, 'i: 'r>(&'r self, event: Event<'i, F>) -> Told<'r, F> {
        let (field, what, bytes) = match event {
            Event::Document => return Told::Document,
            Event::Found(field, what) => (field, what, &*self.text),
            Event::Shown(field, what, bytes) => (field, what, bytes),
        };
        let text = match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                core::str::from_utf8(valid).unwrap_or_default()
            }
        };
        Told::Found(
            field,
            match what {
                What::Text => Value::Text(text),
                What::Number => Value::Number(text),
                What::Bool(is) => Value::Bool(is),
                What::Null => Value::Null,
                What::Begin => Value::Begin,
                What::End => Value::End,
                What::Raw if self.cut || text.len() < bytes.len() => Value::TooLong,
                What::Raw => Value::Raw(text),
            },
        )
    }

    fn step<'i>(&mut self, input: &mut &'i [u8]) -> Option<Event<'i, F>> {
        match self.state {
            State::InKey => self.in_key(input),
            State::InText => return self.in_text(input),
            State::InString => return self.in_string(input),
            State::InNumber => return self.in_number(input),
            State::InLiteral(word, at) => return self.in_literal(word, at, input),
            State::Skip(until) => return self.skip(until, input),
            State::SkipString(until) => return self.skip_string(until, input),
            State::Broken => {}
            _ => return self.punctuation(input),
        }
        None
    }

    /// Between tokens.
    fn punctuation(&mut self, input: &mut &[u8]) -> Option<Event<'static, F>> {
        let (&byte, rest) = input.split_first()?;
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            *input = rest;
            return None;
        }
        match (self.state, byte) {
            // A record separator (RFC 7464), or a byte order mark.
            (State::Between, 0x1e | 0xef | 0xbb | 0xbf) => *input = rest,
            (State::Between, _) => {
                self.next = Some(self.root);
                self.state = State::Value;
            }
            (State::First, b']') | (State::Member, b'}') => {
                *input = rest;
                return self.close(byte == b']');
            }
            (State::After, b']' | b'}') => {
                *input = rest;
                return self.close(byte == b']');
            }
            (State::After, b',') if self.depth > 0 => {
                *input = rest;
                if self.in_array() {
                    self.state = State::Value;
                    self.next_element();
                } else {
                    self.state = State::Key;
                }
            }
            (State::Member | State::Key, b'"') => {
                *input = rest;
                self.text.clear();
                self.high = 0;
                self.state = State::InKey;
            }
            (State::Colon, b':') => {
                *input = rest;
                self.state = State::Value;
            }
            (State::Value | State::First, _) => {
                *input = rest;
                return self.value(byte);
            }
            _ => self.state = State::Broken,
        }
        None
    }

    const fn in_array(&self) -> bool {
        self.arrays & 1 == 1
    }

    /// The node of the innermost container.
    fn level(&self) -> Option<&'static Node<F>> {
        *self.levels.get(usize::from(self.depth.checked_sub(1)?))?
    }

    fn next_element(&mut self) {
        let is_document = self.documents && self.depth == 1;
        self.next = if is_document { Some(self.root) } else { self.level().and_then(|node| node.each) };
    }

    /// A value begins with this byte.
    fn value(&mut self, byte: u8) -> Option<Event<'static, F>> {
        self.text.clear();
        self.cut = false;
        self.high = 0;
        if self.next.is_some_and(|node| node.steady) {
            self.alike.doubt();
        }
        let [names, contents] = self.limits;
        self.limit = if self.next.is_some_and(|node| node.content) { contents } else { names };
        match byte {
            b'"' => self.state = if self.told().is_some() { State::InText } else { State::InString },
            b'{' | b'[' => return self.open(byte),
            b'-' | b'0'..=b'9' => {
                self.text.push(byte);
                self.state = State::InNumber;
            }
            b't' => self.state = State::InLiteral(Literal::True, 1),
            b'f' => self.state = State::InLiteral(Literal::False, 1),
            b'n' => self.state = State::InLiteral(Literal::Null, 1),
            _ => self.state = State::Broken,
        }
        // Of content that nobody asked for only that it is there.
        let field = self.next.filter(|node| node.content && !self.contents && byte != b'n')?.field?;
        Some(Event::Found(field, What::Begin))
    }

    /// Behind a value: a document may be over.
    fn value_over(&mut self) -> Option<Event<'static, F>> {
        self.state = if self.depth == 0 { State::Between } else { State::After };
        match (self.depth, self.documents) {
            // An array of documents ends without one.
            (0, true) => {
                self.documents = false;
                None
            }
            (0, false) | (1, true) => Some(Event::Document),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
