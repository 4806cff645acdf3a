//! HPACK, the compression of HTTP/2's header fields ([RFC 7541](https://www.rfc-editor.org/rfc/rfc7541)), for readers
//! who only listen.
//!
//! A [`Decoder`] reads the header blocks of one direction, in order. One that joins in the middle of a connection, or
//! that has lost a block, does not know what is in the encoder's table: it is told so by [`Decoder::forget`]. From
//! then on a field that refers to an entry it never saw comes out as what it is, a name, a value or both unknown; never
//! as something else. As the encoder replaces its entries, all are known again.
//!
//! ```
//! use obtrace_protocols::http2::hpack::Decoder;
//! // RFC 7541 C.4.1: a request in 17 bytes.
//! let block = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
//! let mut decoder = Decoder::new();
//! let mut fields = decoder.decode(block);
//! let mut names = Vec::new();
//! while let Some(field) = fields.next()? {
//!     names.push(String::from_utf8_lossy(field.name.unwrap()).into_owned());
//!     if field.name == Some(b":authority") {
//!         assert_eq!(field.value, Some(&b"www.example.com"[..]));
//!     }
//! }
//! assert_eq!(names, [":method", ":scheme", ":path", ":authority"]);
//! # Ok::<(), obtrace_protocols::http2::hpack::Error>(())
//! ```
//!
//! Limits: the table holds at most 64 KiB whatever the two sides agree on, and 16 KiB after [`Decoder::forget`] until
//! the encoder says how large its table is; entries beyond that are unknown ones. A field takes at most 8/5 of its
//! bytes in the block while it is read. Numbers are at most 2³² − 1.

mod huffman;
mod integer;
mod outline;
mod statics;
mod table;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;

use alloc::vec::Vec;
use core::{fmt, ops::Range};

pub use huffman::decode_huffman;
use integer::integer;
pub(super) use outline::{Outline, outline, outline_of_part};
pub(super) use statics::Name;
use table::{Entry, Found, Table};

/// What the table holds at most until the decoder's side allows more
/// ([RFC 9113 §6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)).
pub const DEFAULT_TABLE_SIZE: usize = 4096;

/// Why a block cannot be read. The table is unknown from there on: the decoder has called [`Decoder::forget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// It ends inside a field.
    Truncated,
    /// A number is larger than 2³² − 1.
    Integer,
    /// A string is no Huffman code.
    Huffman,
    /// An index has no entry, in a table of which everything is known.
    Index,
    /// The encoder makes its table larger than it may.
    TableSize,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the header block ends inside a field",
            Self::Integer => "a number in the header block is too large",
            Self::Huffman => "a string in the header block is no Huffman code",
            Self::Index => "the header block refers to an entry that is not in the table",
            Self::TableSize => "the header block makes the table larger than is allowed",
        })
    }
}

impl core::error::Error for Error {}

/// A header field. What is unknown stands in a part of the table that was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field<'f> {
    /// Its name, as it was sent: HTTP/2 has them in lower case.
    pub name: Option<&'f [u8]>,
    /// Its value.
    pub value: Option<&'f [u8]>,
    /// It must not be put in a table by those who send it on: a secret
    /// ([RFC 7541 §7.1.3](https://www.rfc-editor.org/rfc/rfc7541#section-7.1.3)).
    pub never_indexed: bool,
}

/// Reads the header blocks of one direction of a connection. See the [module](self).
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// What was decoded of a field that is not in the table.
    scratch: Vec<u8>,
    /// Keep only the values that the parser reads.
    listens: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a text is.
#[derive(Clone, Debug)]
enum Text {
    Unknown,
    Static(&'static str),
    Block(Range<usize>),
    Scratch(Range<usize>),
    EntryName(Entry),
    EntryValue(Entry),
}

/// A field as it was read.
#[derive(Debug)]
struct Item {
    name: Name,
    text: Text,
    value: Text,
    never_indexed: bool,
}

/// A string in a block.
struct Literal {
    bytes: Range<usize>,
    is_huffman: bool,
}

impl Decoder {
    /// A decoder for a connection that is seen from its beginning, with a table of [`DEFAULT_TABLE_SIZE`].
    #[must_use]
    pub fn new() -> Self {
        Self { table: Table::new(DEFAULT_TABLE_SIZE), scratch: Vec::new(), listens: false }
    }

    /// One that keeps no values but those that the parser reads.
    pub(super) fn listening() -> Self {
        Self { listens: true, ..Self::new() }
    }

    /// Allows the encoder a table of so many bytes: the `SETTINGS_HEADER_TABLE_SIZE` of who receives the blocks. The
    /// encoder says in a block when it makes use of that.
    pub const fn set_limit(&mut self, bytes: usize) {
        self.table.set_limit(bytes);
    }

    /// What [`Decoder::set_limit`] said last.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.table.limit()
    }

    /// Says that blocks were not seen, before those that will be: what they put in the table is unknown.
    pub fn forget(&mut self) {
        self.table.forget();
    }

    /// Whether a field may refer to what was not seen.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        self.table.has_unknown()
    }

    /// Reads a block: the fragments of a HEADERS or PUSH_PROMISE frame and its CONTINUATION frames, one behind the
    /// other. Fields that nobody asks for are read when the value is dropped: the table stays in step.
    pub fn decode<'d>(&'d mut self, block: &'d [u8]) -> Fields<'d> {
        Fields { decoder: self, block, at: 0, done: false }
    }

    /// Heap bytes held.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.table.memory().saturating_add(self.scratch.capacity())
    }

    /// Gives back heap memory that is not in use now.
    pub fn shrink(&mut self) {
        self.table.shrink();
        self.scratch = Vec::new();
    }

    /// The next field, or `None` at the end.
    #[inline]
    fn step(&mut self, block: &[u8], at: &mut usize) -> Result<Option<Item>, Error> {
        loop {
            let Some(&first) = block.get(*at) else { return Ok(None) };
            return match first {
                0x80.. => {
                    let index = integer(block, at, 7)?;
                    self.indexed(index).map(Some)
                }
                0x40.. => {
                    let index = integer(block, at, 6)?;
                    self.inserted(block, at, index).map(Some)
                }
                0x20.. => {
                    let max = integer(block, at, 5)?;
                    if max > self.table.limit() {
                        return Err(Error::TableSize);
                    }
                    self.table.resize(max);
                    continue;
                }
                _ => {
                    let index = integer(block, at, 4)?;
                    self.passing(block, at, index, first >= 0x10).map(Some)
                }
            };
        }
    }

    /// A field that is in a table ([RFC 7541 §6.1](https://www.rfc-editor.org/rfc/rfc7541#section-6.1)).
    #[inline]
    fn indexed(&self, index: usize) -> Result<Item, Error> {
        if let Some(line) = statics::line(index) {
            let (text, value) = (Text::Static(line.text), Text::Static(line.value));
            return Ok(Item { name: line.name, text, value, never_indexed: false });
        }
        Ok(match self.entry(index)? {
            Some(entry) => entry_item(entry),
            None => Item { name: Name::Unknown, text: Text::Unknown, value: Text::Unknown, never_indexed: false },
        })
    }

    /// The entry behind the static table, `None` if it was not seen.
    #[inline]
    fn entry(&self, index: usize) -> Result<Option<Entry>, Error> {
        let place = index.checked_sub(statics::COUNT.saturating_add(1)).ok_or(Error::Index)?;
        match self.table.get(place) {
            Found::Entry(entry) => Ok(Some(*entry)),
            Found::Unseen => Ok(None),
            Found::Nothing => Err(Error::Index),
        }
    }

    /// A field that is put in the table ([RFC 7541 §6.2.1](https://www.rfc-editor.org/rfc/rfc7541#section-6.2.1)).
    #[inline]
    fn inserted(&mut self, block: &[u8], at: &mut usize, index: usize) -> Result<Item, Error> {
        let named = self.named(index)?;
        let literal = if named.is_none() { Some(string(block, at)?) } else { None };
        let value = string(block, at)?;
        let texts = self.table.next_texts();
        let before = texts.len();
        let (name, line) = match (&named, &literal) {
            (Some(named), _) => *named,
            (None, Some(literal)) => {
                append(block, literal, texts).ok_or(Error::Huffman)?;
                (Name::of(texts.get(before..).unwrap_or_default()), 0)
            }
            (None, None) => (Name::Unknown, 0),
        };
        let mut name_length = texts.len().saturating_sub(before);
        let start = self.table.end().saturating_sub(name_length as u64);
        if line == 0
            && named.is_some()
            && let Some(entry) = self.entry(index)?
        {
            let (place, length) = Table::name_place(&entry);
            self.table.copy_name(place, length);
            name_length = length as usize;
        }
        let texts = self.table.texts_mut();
        if append(block, &value, texts).is_none() {
            self.table.take_back(start);
            return Err(Error::Huffman);
        }
        let keep = !self.listens || !matches!(name, Name::Other | Name::Unknown);
        let entry = self.table.put(name, line, start, name_length, keep);
        Ok(entry_item(entry))
    }

    /// The name that an index stands for, with the line of the static table that has it; `None` for index 0, a name
    /// that is written out.
    #[inline]
    fn named(&self, index: usize) -> Result<Option<(Name, u8)>, Error> {
        if index == 0 {
            return Ok(None);
        }
        if let Some(line) = statics::line(index) {
            return Ok(Some((line.name, index as u8)));
        }
        Ok(Some(self.entry(index)?.map_or((Name::Unknown, 0), |entry| (entry.name, entry.line))))
    }

    /// A field that is not put in the table
    /// ([RFC 7541 §6.2.2 and §6.2.3](https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2)).
    fn passing(&mut self, block: &[u8], at: &mut usize, index: usize, never_indexed: bool) -> Result<Item, Error> {
        self.scratch.clear();
        let (name, text) = match self.named(index)? {
            None => {
                let literal = string(block, at)?;
                self.name(block, literal)?
            }
            Some((name, line)) => match statics::line(usize::from(line)) {
                Some(line) => (name, Text::Static(line.text)),
                None => (name, self.entry(index)?.map_or(Text::Unknown, Text::EntryName)),
            },
        };
        let value = string(block, at)?;
        let value = if self.listens && matches!(name, Name::Other | Name::Unknown) {
            Text::Unknown
        } else if value.is_huffman {
            let start = self.scratch.len();
            append(block, &value, &mut self.scratch).ok_or(Error::Huffman)?;
            Text::Scratch(start..self.scratch.len())
        } else {
            Text::Block(value.bytes)
        };
        Ok(Item { name, text, value, never_indexed })
    }

    /// A name that is written out.
    fn name(&mut self, block: &[u8], literal: Literal) -> Result<(Name, Text), Error> {
        let encoded = block.get(literal.bytes.clone()).unwrap_or_default();
        if !literal.is_huffman {
            return Ok((Name::of(encoded), Text::Block(literal.bytes)));
        }
        // No symbol takes more than 30 bits, no name that is read more bytes than that.
        if self.listens && encoded.len() > Name::LONGEST.saturating_mul(4) {
            return Ok((Name::Other, Text::Unknown));
        }
        append(block, &literal, &mut self.scratch).ok_or(Error::Huffman)?;
        Ok((Name::of(&self.scratch), Text::Scratch(0..self.scratch.len())))
    }

    fn text<'f>(&'f self, block: &'f [u8], text: &Text) -> Option<&'f [u8]> {
        match text {
            Text::Unknown => None,
            Text::Static(text) => Some(text.as_bytes()),
            Text::Block(range) => block.get(range.clone()),
            Text::Scratch(range) => self.scratch.get(range.clone()),
            Text::EntryName(entry) if entry.name == Name::Unknown => None,
            Text::EntryName(entry) => Some(self.table.name_of(entry)),
            Text::EntryValue(entry) if !entry.has_value => None,
            Text::EntryValue(entry) => Some(self.table.value_of(entry)),
        }
    }
}

fn entry_item(entry: Entry) -> Item {
    Item { name: entry.name, text: Text::EntryName(entry), value: Text::EntryValue(entry), never_indexed: false }
}

/// A string ([RFC 7541 §5.2](https://www.rfc-editor.org/rfc/rfc7541#section-5.2)).
#[inline]
fn string(block: &[u8], at: &mut usize) -> Result<Literal, Error> {
    let is_huffman = block.get(*at).ok_or(Error::Truncated)? & 0x80 != 0;
    let length = integer(block, at, 7)?;
    let end = at.checked_add(length).filter(|end| *end <= block.len()).ok_or(Error::Truncated)?;
    let bytes = *at..end;
    *at = end;
    Ok(Literal { bytes, is_huffman })
}

/// `None`: it is no Huffman code, and `out` is as it was.
#[inline]
fn append(block: &[u8], literal: &Literal, out: &mut Vec<u8>) -> Option<()> {
    let bytes = block.get(literal.bytes.clone()).unwrap_or_default();
    if literal.is_huffman {
        return decode_huffman(bytes, out).then_some(());
    }
    out.extend_from_slice(bytes);
    Some(())
}

/// A field that the parser reads, with its value if that is known.
pub(super) type Known<'f> = (Name, Option<&'f [u8]>);

/// The fields of a block, see [`Decoder::decode`].
#[derive(Debug)]
pub struct Fields<'d> {
    decoder: &'d mut Decoder,
    block: &'d [u8],
    at: usize,
    done: bool,
}

impl Fields<'_> {
    /// The next field; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// If the block is no HPACK. Nothing comes after an error.
    #[expect(
        clippy::should_implement_trait,
        reason = "a field borrows from the decoder until the next one is asked for"
    )]
    pub fn next(&mut self) -> Result<Option<Field<'_>>, Error> {
        let Some(item) = self.item()? else { return Ok(None) };
        let name = self.decoder.text(self.block, &item.text);
        let value = self.decoder.text(self.block, &item.value);
        Ok(Some(Field { name, value, never_indexed: item.never_indexed }))
    }

    /// The next field that the parser reads, or whose name is unknown: `None` as its value if that is.
    pub(super) fn next_known(&mut self) -> Result<Option<Known<'_>>, Error> {
        let item = loop {
            match self.item()? {
                Some(item) if item.name == Name::Other => {}
                Some(item) => break item,
                None => return Ok(None),
            }
        };
        Ok(Some((item.name, self.decoder.text(self.block, &item.value))))
    }

    #[inline]
    fn item(&mut self) -> Result<Option<Item>, Error> {
        if self.done {
            return Ok(None);
        }
        let item = self.decoder.step(self.block, &mut self.at);
        if item.is_err() {
            self.decoder.forget();
        }
        self.done = !matches!(item, Ok(Some(_)));
        item
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        while let Ok(Some(_)) = self.item() {}
    }
}
