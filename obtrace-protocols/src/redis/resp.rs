//! The Redis serialization protocol itself, without a connection: a walker over the elements of a frame and a parser
//! of commands. Both borrow, allocate nothing and never recurse.
//!
//! Source: [the RESP specification](https://redis.io/docs/latest/develop/reference/protocol-spec/), versions 2 and 3,
//! with the streamed strings and aggregates of RESP3 that servers may send.

use core::fmt;

use crate::reader::Reader;

/// Longest string that is believed: the server's own limit (`proto-max-bulk-len`) is 512 MiB unless it is raised.
const MAX_LENGTH: i64 = 1 << 32;
/// Most elements that are believed of one aggregate.
const MAX_COUNT: i64 = 1 << 32;
/// Digits of the longest number that is read; `i64` has no more than 19.
const MAX_DIGITS: usize = 18;
/// How deep streamed aggregates may be nested. Those with a count may be nested without a limit: only the number of
/// elements that are left has to be known.
pub(super) const MAX_STREAMED: usize = 8;

/// What kind of value a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `+OK`
    SimpleString,
    /// `-ERR message`
    Error,
    /// `:1`
    Integer,
    /// `$3`
    BulkString,
    /// `*2`
    Array,
    /// `_`, and RESP2's `$-1` and `*-1`
    Null,
    /// `#t`
    Boolean,
    /// `,1.5`
    Double,
    /// `(123`
    BigNumber,
    /// `!21`
    BulkError,
    /// `=15`
    VerbatimString,
    /// `%2`
    Map,
    /// `~2`
    Set,
    /// `|1`: comes before the value that it belongs to and is not a value itself.
    Attribute,
    /// `>3`
    Push,
}

impl Kind {
    /// The name used in output: `simple_string`, `error`, `integer`, …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SimpleString => "simple_string",
            Self::Error => "error",
            Self::Integer => "integer",
            Self::BulkString => "bulk_string",
            Self::Array => "array",
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Double => "double",
            Self::BigNumber => "big_number",
            Self::BulkError => "bulk_error",
            Self::VerbatimString => "verbatim_string",
            Self::Map => "map",
            Self::Set => "set",
            Self::Attribute => "attribute",
            Self::Push => "push",
        }
    }

    /// Whether it is an error.
    #[must_use]
    pub const fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::BulkError)
    }

    /// Whether it has elements.
    #[must_use]
    pub(crate) const fn is_aggregate(self) -> bool {
        matches!(self, Self::Array | Self::Map | Self::Set | Self::Push)
    }
}

/// These bytes are not RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// No type starts with this byte.
    Type(u8),
    /// A length or a count is not a number, or nobody would send it.
    Length,
    /// A line or a string does not end in CR LF.
    LineEnd,
    /// A command is not an array of bulk strings.
    NotACommand,
    /// Streamed aggregates are nested too deep.
    Depth,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(byte) => write!(f, "no RESP type starts with byte 0x{byte:02x}"),
            Self::Length => f.write_str("a RESP length or count is not a number in range"),
            Self::LineEnd => f.write_str("a RESP line or string does not end in CR LF"),
            Self::NotACommand => f.write_str("a Redis command must be an array of bulk strings"),
            Self::Depth => f.write_str("streamed RESP aggregates are nested too deep"),
        }
    }
}

impl core::error::Error for FrameError {}

/// What stands at the head of an element: its type byte, and the number after it if the type has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// A text up to the end of the line follows the type byte.
    Line(Kind),
    /// An integer, read.
    Integer(i64),
    /// So many bytes and a line end follow.
    Bulk(Kind, u64),
    /// So many elements follow; of a map and an attribute keys and values both count.
    Aggregate(Kind, u64),
    Null,
    /// Chunks follow until an empty one.
    StreamedString,
    /// `;4`: a chunk of a streamed string; 0 ends it.
    Chunk(u64),
    /// Elements follow until `.`.
    StreamedAggregate(Kind),
    /// `.`
    End,
}

/// Reads the head of an element; how many bytes it takes. `None`: not all of it is here.
#[inline]
pub(super) fn head(bytes: &[u8]) -> Result<Option<(Head, usize)>, FrameError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let kind = match first {
        b'$' => Kind::BulkString,
        b'*' => Kind::Array,
        b':' => Kind::Integer,
        b'+' => return Ok(Some((Head::Line(Kind::SimpleString), 1))),
        b'-' => return Ok(Some((Head::Line(Kind::Error), 1))),
        b',' => return Ok(Some((Head::Line(Kind::Double), 1))),
        b'(' => return Ok(Some((Head::Line(Kind::BigNumber), 1))),
        b'#' => {
            return fixed(rest, |text| text == b't' || text == b'f').map(|n| n.map(|n| (Head::Line(Kind::Boolean), n)));
        }
        b'_' => return line_end(rest, 0).map(|n| n.map(|n| (Head::Null, n.saturating_add(1)))),
        b'.' => return line_end(rest, 0).map(|n| n.map(|n| (Head::End, n.saturating_add(1)))),
        b'!' => Kind::BulkError,
        b'=' => Kind::VerbatimString,
        b'%' => Kind::Map,
        b'~' => Kind::Set,
        b'|' => Kind::Attribute,
        b'>' => Kind::Push,
        b';' => return Ok(number(rest)?.map(|(n, used)| (Head::Chunk(n.unsigned_abs()), used.saturating_add(1)))),
        other => return Err(FrameError::Type(other)),
    };
    if rest.first() == Some(&b'?') {
        let Some(used) = line_end(rest, 1)? else { return Ok(None) };
        let head = if kind == Kind::BulkString { Head::StreamedString } else { Head::StreamedAggregate(kind) };
        return Ok(Some((head, used.saturating_add(1))));
    }
    let Some((value, used)) = number(rest)? else { return Ok(None) };
    Ok(Some((numbered(kind, value)?, used.saturating_add(1))))
}

/// `#` has one character and the line end.
fn fixed(rest: &[u8], allowed: fn(u8) -> bool) -> Result<Option<usize>, FrameError> {
    match rest.first() {
        // The type byte only: what follows is read as a line.
        Some(&byte) if allowed(byte) => Ok(line_end(rest, 1)?.map(|_| 1)),
        Some(_) => Err(FrameError::LineEnd),
        None => Ok(None),
    }
}

#[inline]
fn numbered(kind: Kind, value: i64) -> Result<Head, FrameError> {
    match (kind, value) {
        (Kind::Integer, value) => Ok(Head::Integer(value)),
        (Kind::BulkString | Kind::Array, -1) => Ok(Head::Null),
        (Kind::BulkString | Kind::BulkError | Kind::VerbatimString, 0..=MAX_LENGTH) => {
            Ok(Head::Bulk(kind, value.unsigned_abs()))
        }
        (Kind::Map | Kind::Attribute, 0..=MAX_COUNT) => {
            Ok(Head::Aggregate(kind, value.unsigned_abs().saturating_mul(2)))
        }
        (Kind::Array | Kind::Set | Kind::Push, 0..=MAX_COUNT) => Ok(Head::Aggregate(kind, value.unsigned_abs())),
        _ => Err(FrameError::Length),
    }
}

/// A decimal number and the line end; how many bytes both take.
#[inline]
pub(super) fn number(bytes: &[u8]) -> Result<Option<(i64, usize)>, FrameError> {
    let (negative, digits) = match bytes.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some(_) => (false, bytes),
        None => return Ok(None),
    };
    let mut value = 0_i64;
    for (index, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            if index == 0 || byte != b'\r' {
                return Err(FrameError::Length);
            }
            let used = index.saturating_add(usize::from(negative));
            let value = if negative { value.wrapping_neg() } else { value };
            return Ok(line_end(bytes, used)?.map(|used| (value, used)));
        }
        if index >= MAX_DIGITS {
            return big_number(digits, negative)
                .map(|n| n.map(|(n, used)| (n, used.saturating_add(usize::from(negative)))));
        }
        // 18 digits fit.
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    Ok(None)
}

/// The few numbers that have 19 digits: they saturate.
#[cold]
fn big_number(digits: &[u8], negative: bool) -> Result<Option<(i64, usize)>, FrameError> {
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length > MAX_DIGITS.saturating_add(1) {
        return Err(FrameError::Length);
    }
    if digits.get(length).is_some_and(|&byte| byte != b'\r') {
        return Err(FrameError::Length);
    }
    let fold = |value: i64, &byte: &u8| {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        let value = value.saturating_mul(10);
        if negative { value.saturating_sub(digit) } else { value.saturating_add(digit) }
    };
    let value = digits.iter().take(length).fold(0, fold);
    Ok(line_end(digits, length)?.map(|used| (value, used)))
}

/// `\r\n` at `at`; where it ends.
#[inline]
fn line_end(bytes: &[u8], at: usize) -> Result<Option<usize>, FrameError> {
    match bytes.get(at..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Ok(at.checked_add(2)),
        [] | [b'\r'] => Ok(None),
        _ => Err(FrameError::LineEnd),
    }
}

/// One element of a frame: a scalar, or the head of an aggregate whose elements follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Element<'a> {
    /// What it is.
    pub kind: Kind,
    /// The text of a scalar, without type byte, length and line end; empty for an aggregate and for null. Of a
    /// verbatim string the three letters of its format and the colon belong to it. A streamed string comes as one
    /// element a chunk.
    pub text: &'a [u8],
    /// How many elements follow if it is an aggregate (keys and values of a map both count); 0 for a streamed one.
    pub count: u64,
}

/// Walks the elements of one frame in the order in which they stand on the wire. Ends after the frame's last one.
///
/// ```
/// use obtrace_protocols::redis::resp::{Kind, Walker};
/// let mut walker = Walker::new(b"*2\r\n$3\r\nfoo\r\n:7\r\n+next\r\n");
/// assert_eq!(walker.next_element()?.unwrap().kind, Kind::Array);
/// assert_eq!(walker.next_element()?.unwrap().text, b"foo");
/// assert_eq!(walker.next_element()?.unwrap().text, b"7");
/// assert!(walker.next_element()?.is_none() && walker.is_complete());
/// assert_eq!(walker.position(), 17);
/// # Ok::<(), obtrace_protocols::redis::resp::FrameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Walker<'a> {
    reader: Reader<'a>,
    left: Left,
}

/// How many elements of a frame are still to come. Nesting with counts needs one number; only streamed aggregates,
/// which do not say how many they hold, need a place each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    elements: u64,
    outer: [u64; MAX_STREAMED],
    depth: u8,
    string: bool,
}

impl Left {
    /// One frame.
    pub(super) const fn one() -> Self {
        Self { elements: 1, outer: [0; MAX_STREAMED], depth: 0, string: false }
    }

    #[inline]
    pub(super) const fn is_done(&self) -> bool {
        self.elements == 0 && self.depth == 0 && !self.string
    }

    /// Whether one element is left, as at the start of a frame.
    #[inline]
    pub(super) const fn is_one(&self) -> bool {
        self.elements == 1 && self.depth == 0 && !self.string
    }

    /// Counts an element by its head.
    #[inline]
    pub(super) fn count(&mut self, head: Head) -> Result<(), FrameError> {
        if self.string {
            let Head::Chunk(length) = head else { return Err(FrameError::Length) };
            self.string = length > 0;
            return Ok(());
        }
        match head {
            Head::Aggregate(Kind::Attribute, count) => self.elements = self.elements.saturating_add(count),
            Head::Aggregate(_, count) => {
                self.take_one()?;
                self.elements = self.elements.saturating_add(count);
            }
            Head::StreamedAggregate(_) => {
                self.take_one()?;
                let place = self.outer.get_mut(usize::from(self.depth)).ok_or(FrameError::Depth)?;
                *place = self.elements;
                self.elements = 0;
                self.depth = self.depth.saturating_add(1);
            }
            Head::End => {
                // An End is right only between the elements of the innermost streamed aggregate.
                if self.depth == 0 || self.elements != 0 {
                    return Err(FrameError::Type(b'.'));
                }
                self.depth = self.depth.saturating_sub(1);
                self.elements = self.outer.get(usize::from(self.depth)).copied().unwrap_or(0);
            }
            Head::StreamedString => {
                self.take_one()?;
                self.string = true;
            }
            Head::Chunk(_) => return Err(FrameError::Type(b';')),
            Head::Line(_) | Head::Integer(_) | Head::Bulk(..) | Head::Null => self.take_one()?,
        }
        Ok(())
    }

    #[inline]
    fn take_one(&mut self) -> Result<(), FrameError> {
        // Inside a streamed aggregate elements are not counted.
        match self.elements.checked_sub(1) {
            Some(left) => self.elements = left,
            None if self.depth == 0 => return Err(FrameError::Length),
            None => {}
        }
        Ok(())
    }
}

impl<'a> Walker<'a> {
    /// Starts at a frame's first byte. What follows the frame is not looked at.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), left: Left::one() }
    }

    /// The next element; `None` after the last one, and when the rest of the frame is not here yet
    /// ([`is_complete`](Walker::is_complete) tells which).
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes at [`position`](Walker::position).
    #[inline]
    pub fn next_element(&mut self) -> Result<Option<Element<'a>>, FrameError> {
        match self.short_string() {
            Some(text) => Ok(Some(Element { kind: Kind::BulkString, text, count: 0 })),
            None => self.any_element(),
        }
    }

    /// A whole bulk string of less than 100 bytes, which is what most elements are; nothing is taken if something else
    /// comes next.
    #[inline]
    fn short_string(&mut self) -> Option<&'a [u8]> {
        if self.left.string {
            return None;
        }
        let left = self.left.elements.checked_sub(1)?;
        let [b'$', rest @ ..] = self.reader.rest() else { return None };
        let (length, used, rest) = match rest {
            [a @ b'0'..=b'9', b'\r', b'\n', rest @ ..] => (a & 15, 4_usize, rest),
            [a @ b'0'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', rest @ ..] => {
                ((a & 15).wrapping_mul(10).wrapping_add(b & 15), 5, rest)
            }
            _ => return None,
        };
        let (text, rest) = rest.split_at_checked(usize::from(length))?;
        if !rest.starts_with(b"\r\n") {
            return None;
        }
        self.reader.take(used.saturating_add(text.len()).saturating_add(2))?;
        self.left.elements = left;
        Some(text)
    }

    fn any_element(&mut self) -> Result<Option<Element<'a>>, FrameError> {
        while !self.left.is_done() {
            let Some((head, used)) = head(self.reader.rest())? else { return Ok(None) };
            let mut reader = self.reader;
            let line_head = reader.take(used);
            let Some(element) = body(head, line_head.unwrap_or_default(), &mut reader)? else { return Ok(None) };
            self.left.count(head)?;
            self.reader = reader;
            match head {
                Head::End | Head::StreamedString | Head::Chunk(0) => {}
                _ => return Ok(Some(element)),
            }
        }
        Ok(None)
    }

    /// Whether the whole frame was walked.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.left.is_done()
    }

    /// How many bytes the elements that were walked take; the length of the frame once it is complete.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.reader.position()
    }
}

/// What belongs to a head: the text of a line or of a string.
#[inline]
fn body<'a>(head: Head, head_bytes: &'a [u8], reader: &mut Reader<'a>) -> Result<Option<Element<'a>>, FrameError> {
    let element = |kind, text, count| Ok(Some(Element { kind, text, count }));
    match head {
        Head::Bulk(kind, length) => match string(reader, length)? {
            Some(text) => element(kind, text, 0),
            None => Ok(None),
        },
        Head::Chunk(length) if length > 0 => match string(reader, length)? {
            Some(text) => element(Kind::BulkString, text, 0),
            None => Ok(None),
        },
        Head::Line(kind) => {
            let Some(end) = reader.rest().iter().position(|&byte| byte == b'\n') else { return Ok(None) };
            let line = reader.take(end.saturating_add(1)).unwrap_or_default();
            element(kind, line.strip_suffix(b"\r\n").ok_or(FrameError::LineEnd)?, 0)
        }
        Head::Integer(_) => {
            let digits = head_bytes.get(1..head_bytes.len().saturating_sub(2));
            element(Kind::Integer, digits.unwrap_or_default(), 0)
        }
        Head::Aggregate(kind, count) => element(kind, &[], count),
        Head::StreamedAggregate(kind) => element(kind, &[], 0),
        Head::Null | Head::StreamedString | Head::Chunk(_) | Head::End => element(Kind::Null, &[], 0),
    }
}

/// `length` bytes and the line end after them.
#[inline]
fn string<'a>(reader: &mut Reader<'a>, length: u64) -> Result<Option<&'a [u8]>, FrameError> {
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    let Some(text) = reader.take(length) else { return Ok(None) };
    match reader.take_array::<2>() {
        Some([b'\r', b'\n']) => Ok(Some(text)),
        Some(_) => Err(FrameError::LineEnd),
        None if reader.peek().is_some_and(|byte| byte != b'\r') => Err(FrameError::LineEnd),
        None => Ok(None),
    }
}

/// A command as clients send it: an array of bulk strings, the first one is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Command<'s, 'a> {
    /// The name and the arguments, as many as the caller's array holds.
    pub arguments: &'s [&'a [u8]],
    /// How many there are, the name included.
    pub count: usize,
    /// How many bytes of the input they take.
    pub size: usize,
}

impl<'s, 'a> Command<'s, 'a> {
    /// Parses one command. `arguments` is filled as far as it goes; of a longer command the others are checked and
    /// counted. `None`: the command is not whole yet, or it is the empty array that servers ignore and nothing
    /// follows it.
    ///
    /// ```
    /// use obtrace_protocols::redis::resp::Command;
    /// let mut arguments = [&b""[..]; 4];
    /// let bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n";
    /// let command = Command::parse(bytes, &mut arguments)?.unwrap();
    /// assert_eq!(command.arguments, [&b"SET"[..], b"k", b"hello"]);
    /// assert_eq!(command.size, bytes.len());
    /// assert!(Command::parse(&bytes[..20], &mut [])?.is_none());
    /// # Ok::<(), obtrace_protocols::redis::resp::FrameError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`FrameError`] when no server would take these bytes for a command.
    #[inline]
    pub fn parse(bytes: &'a [u8], arguments: &'s mut [&'a [u8]]) -> Result<Option<Self>, FrameError> {
        let mut rest = match bytes.split_first() {
            Some((b'*', rest)) => rest,
            Some(_) => return Err(FrameError::NotACommand),
            None => return Ok(None),
        };
        let Some((count, used)) = number(rest)? else { return Ok(None) };
        rest = rest.get(used..).unwrap_or_default();
        let count = usize::try_from(count).map_err(|_| FrameError::Length)?;
        if count > MAX_ARGUMENTS {
            return Err(FrameError::Length);
        }
        if count == 0 {
            return Ok(None);
        }
        let mut places = arguments.iter_mut();
        for _ in 0..count {
            let Some((text, after)) = argument(rest)? else { return Ok(None) };
            rest = after;
            if let Some(place) = places.next() {
                *place = text;
            }
        }
        let size = bytes.len().saturating_sub(rest.len());
        let filled = count.min(arguments.len());
        Ok(Some(Self { arguments: arguments.get(..filled).unwrap_or_default(), count, size }))
    }
}

/// A string and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// One bulk string of a command, and what follows it.
#[inline]
fn argument(bytes: &[u8]) -> Result<Option<Split<'_>>, FrameError> {
    let rest = match bytes.split_first() {
        Some((b'$', rest)) => rest,
        Some(_) => return Err(FrameError::NotACommand),
        None => return Ok(None),
    };
    // Lengths of one or two digits are nearly all there are.
    let (length, rest) = match *rest {
        [a @ b'0'..=b'9', b'\r', b'\n', ref rest @ ..] => (usize::from(a & 15), rest),
        [a @ b'0'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ref rest @ ..] => {
            (usize::from(a & 15).wrapping_mul(10).wrapping_add(usize::from(b & 15)), rest)
        }
        _ => {
            let Some((length, used)) = number(rest)? else { return Ok(None) };
            if !(0..=MAX_LENGTH).contains(&length) {
                return Err(FrameError::Length);
            }
            let Ok(length) = usize::try_from(length) else { return Ok(None) };
            (length, rest.get(used..).unwrap_or_default())
        }
    };
    let Some((text, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    match rest {
        [b'\r', b'\n', rest @ ..] => Ok(Some((text, rest))),
        [] | [b'\r'] => Ok(None),
        _ => Err(FrameError::LineEnd),
    }
}

/// A bulk string of less than 100 bytes that is here to its end, and how many bytes it takes; `None` also for every
/// other beginning.
#[inline]
pub(super) fn whole_string(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, head) = match *bytes {
        [b'$', a @ b'0'..=b'9', b'\r', b'\n', ..] => (usize::from(a & 15), 4_usize),
        [b'$', a @ b'0'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..] => {
            (usize::from(a & 15).wrapping_mul(10).wrapping_add(usize::from(b & 15)), 5)
        }
        _ => return None,
    };
    let end = head.wrapping_add(length);
    let after = end.wrapping_add(2);
    let text = bytes.get(head..end)?;
    (bytes.get(end..after)? == b"\r\n").then_some((text, after))
}

/// Most arguments that a server takes.
pub(super) const MAX_ARGUMENTS: usize = i32::MAX as usize;

#[cfg(test)]
mod tests {
    use alloc::{format, vec, vec::Vec};

    use proptest::{prelude::*, sample::Index};

    use super::*;

    /// All elements that `next` gives, where it stopped and why.
    fn elements<'a>(
        bytes: &'a [u8],
        next: fn(&mut Walker<'a>) -> Result<Option<Element<'a>>, FrameError>,
    ) -> (Vec<Element<'a>>, usize, Result<bool, FrameError>) {
        let (mut walker, mut found) = (Walker::new(bytes), vec![]);
        loop {
            match next(&mut walker) {
                Ok(Some(element)) => found.push(element),
                Ok(None) => return (found, walker.position(), Ok(walker.is_complete())),
                Err(error) => return (found, walker.position(), Err(error)),
            }
        }
    }

    proptest! {
        #[test]
        fn a_short_string_is_what_any_element_says_it_is(
            lengths in prop::collection::vec(0_usize..120, 0..6),
            streamed in any::<bool>(),
            changes in prop::collection::vec((any::<Index>(), prop::sample::select(&b"0159$*?:\r\n.;a"[..])), 0..4),
            end in any::<Index>(),
        ) {
            let mut frame = if streamed { b"*?\r\n".to_vec() } else { format!("*{}\r\n", lengths.len()).into_bytes() };
            for length in &lengths {
                frame.extend_from_slice(format!("${length}\r\n{}\r\n", "x".repeat(*length)).as_bytes());
            }
            frame.extend_from_slice(if streamed { b".\r\n" } else { b"" });
            for (at, byte) in changes {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            for end in [frame.len(), end.index(frame.len())] {
                let bytes = &frame[..end];
                prop_assert_eq!(elements(bytes, Walker::next_element), elements(bytes, Walker::any_element));
            }
        }
    }

    fn walk(bytes: &[u8]) -> Result<Option<(Vec<Kind>, usize)>, FrameError> {
        let mut walker = Walker::new(bytes);
        let mut kinds = vec![];
        while let Some(element) = walker.next_element()? {
            kinds.push(element.kind);
        }
        Ok(walker.is_complete().then(|| (kinds, walker.position())))
    }

    #[test]
    fn every_type_is_walked_and_every_prefix_is_partial() {
        let frames: &[(&[u8], usize)] = &[
            (b"+OK\r\n", 1),
            (b"-ERR no\r\n", 1),
            (b":-42\r\n", 1),
            (b":9223372036854775807\r\n", 1),
            (b"$0\r\n\r\n", 1),
            (b"$-1\r\n", 1),
            (b"*-1\r\n", 1),
            (b"*0\r\n", 1),
            (b"*3\r\n:1\r\n*1\r\n$1\r\na\r\n_\r\n", 5),
            (b"#t\r\n", 1),
            (b",inf\r\n", 1),
            (b"(3492890328409238509324850943850943825024385\r\n", 1),
            (b"!9\r\nERR wrong\r\n", 1),
            (b"=7\r\ntxt:abc\r\n", 1),
            (b"%1\r\n+a\r\n:1\r\n", 3),
            (b"~2\r\n:1\r\n:2\r\n", 3),
            (b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n", 4),
            (b"|1\r\n+ttl\r\n:3\r\n*1\r\n:1\r\n", 5),
            (b"$?\r\n;2\r\nab\r\n;1\r\nc\r\n;0\r\n", 2),
            (b"*?\r\n:1\r\n*?\r\n.\r\n%?\r\n+a\r\n+b\r\n.\r\n.\r\n", 6),
        ];
        for (frame, elements) in frames {
            let (kinds, size) = walk(frame).unwrap().unwrap_or_else(|| panic!("{}", frame.escape_ascii()));
            assert_eq!((kinds.len(), size), (*elements, frame.len()), "{}", frame.escape_ascii());
            for end in 0..frame.len() {
                assert_eq!(walk(&frame[..end]), Ok(None), "{}", frame[..end].escape_ascii());
            }
        }
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let mut frame = b"*1\r\n".repeat(200_000);
        frame.extend_from_slice(b":1\r\n");
        assert_eq!(walk(&frame).unwrap().unwrap().0.len(), 200_001);
        assert_eq!(walk(&b"*?\r\n".repeat(MAX_STREAMED + 1)), Err(FrameError::Depth));
    }

    #[test]
    fn what_is_not_resp_is_an_error() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n"[..],
            b"$x\r\n",
            b"$-2\r\n",
            b"*\r\n",
            b"$3\r\nabcd\r\n",
            b"+OK\n",
            b"#x\r\n",
            b".\r\n",
            b";1\r\na\r\n",
            b"$99999999999999999999\r\n",
            b"*?\r\n*1\r\n.\r\n",
            b":1\n",
        ] {
            assert!(walk(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_command_is_whole_or_partial_never_wrong() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$12\r\nkey:00000001\r\n$100\r\n";
        let mut whole = bytes.to_vec();
        whole.extend_from_slice(&[b'v'; 100]);
        whole.extend_from_slice(b"\r\n");
        for end in 0..whole.len() {
            assert_eq!(Command::parse(&whole[..end], &mut []), Ok(None));
        }
        let mut arguments = [&b""[..]; 2];
        let command = Command::parse(&whole, &mut arguments).unwrap().unwrap();
        assert_eq!((command.count, command.size), (3, whole.len()));
        assert_eq!(command.arguments, [&b"SET"[..], b"key:00000001"]);
        for bad in [&b"+OK\r\n"[..], b"*1\r\n:1\r\n", b"*-1\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$1\r\nab\r\n"] {
            assert!(Command::parse(bad, &mut []).is_err(), "{}", bad.escape_ascii());
        }
    }
}
