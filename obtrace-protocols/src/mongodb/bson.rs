//! BSON ([version 1.1](https://bsonspec.org/spec.html)): documents are walked where they lie.
//!
//! Nothing is copied, allocated or read twice. An element that is not wanted is passed over by its length, however
//! deep it is: the walk itself has no depth. Lengths are checked against the document that declares them.

use crate::scan;

/// Longest name of an element, in bytes. Of a document with a longer one nothing is read from there on.
pub(super) const MAX_NAME: usize = 255;
/// Longest regular expression, with its options, that is passed over: it has no length in front.
const MAX_REGEX: usize = 1024;

/// The type of an element's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// 64-bit floating point.
    Double,
    /// UTF-8 text.
    String,
    /// A document in the document.
    Document,
    /// A document whose names are `0`, `1`, …
    Array,
    /// Bytes with a subtype.
    Binary,
    /// Deprecated: nothing.
    Undefined,
    /// 12 bytes.
    ObjectId,
    /// True or false.
    Boolean,
    /// Milliseconds since 1970.
    DateTime,
    /// Nothing.
    Null,
    /// Pattern and options.
    Regex,
    /// Deprecated: a namespace and an id.
    DbPointer,
    /// JavaScript.
    JavaScript,
    /// Deprecated: text.
    Symbol,
    /// Deprecated: JavaScript with a document.
    JavaScriptWithScope,
    /// 32-bit integer.
    Int32,
    /// The server's internal time.
    Timestamp,
    /// 64-bit integer.
    Int64,
    /// 128-bit decimal floating point.
    Decimal128,
    /// Less than every other value.
    MinKey,
    /// More than every other value.
    MaxKey,
}

impl Kind {
    /// Whether a byte is the type of an element.
    pub(super) const fn is_known(byte: u8) -> bool {
        matches!(byte, 0x01..=0x13 | 0x7f | 0xff)
    }
}

/// What an element begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a [u8],
    /// Bytes in front of the value.
    pub(super) length: usize,
    /// Bytes of the value.
    pub(super) size: usize,
}

/// Why there is no element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// So many bytes must be there.
    Short(usize),
    /// A name or a regular expression that is longer than what is read.
    TooLong,
    /// No BSON.
    Malformed,
}

/// Reads what the element at the front of `bytes` begins with; its value need not be there.
#[inline(always)]
pub(super) fn head(bytes: &[u8]) -> Result<Head<'_>, Halt> {
    let Some((&byte, rest)) = bytes.split_first() else { return Err(Halt::Short(2)) };
    let end = match scan::near_zero(rest) {
        Some(end) => end,
        None => far_end(rest)?,
    };
    let name = rest.get(..end).unwrap_or_default();
    let length = end.wrapping_add(2);
    let value = bytes.get(length..).unwrap_or_default();
    // The common ones first: a text and a document have their length in front, one without itself and one with.
    let counted = |least, more| counted(value, least, more).ok_or_else(|| short(value, length));
    let whole = |least| whole(value, least).ok_or_else(|| short(value, length));
    let (kind, size) = match byte {
        0x03 => (Kind::Document, whole(5)?),
        0x02 => (Kind::String, counted(1, 0)?),
        0x10 => (Kind::Int32, 4),
        0x12 => (Kind::Int64, 8),
        0x01 => (Kind::Double, 8),
        0x04 => (Kind::Array, whole(5)?),
        0x05 => (Kind::Binary, counted(0, 1)?),
        0x06 => (Kind::Undefined, 0),
        0x07 => (Kind::ObjectId, 12),
        0x08 => (Kind::Boolean, 1),
        0x09 => (Kind::DateTime, 8),
        0x0a => (Kind::Null, 0),
        0x0b => (Kind::Regex, texts(value, length)?),
        0x0c => (Kind::DbPointer, counted(1, 12)?),
        0x0d => (Kind::JavaScript, counted(1, 0)?),
        0x0e => (Kind::Symbol, counted(1, 0)?),
        0x0f => (Kind::JavaScriptWithScope, whole(14)?),
        0x11 => (Kind::Timestamp, 8),
        0x13 => (Kind::Decimal128, 16),
        0x7f => (Kind::MaxKey, 0),
        0xff => (Kind::MinKey, 0),
        _ => return Err(Halt::Malformed),
    };
    Ok(Head { kind, name, length, size })
}

/// Where a name ends that is longer than most, or not there whole.
fn far_end(rest: &[u8]) -> Result<usize, Halt> {
    let window = rest.get(..MAX_NAME.saturating_add(1)).unwrap_or(rest);
    let short = if window.len() > MAX_NAME { Halt::TooLong } else { Halt::Short(rest.len().saturating_add(2)) };
    scan::find_zero(window).ok_or(short)
}

/// The size of a value with a length in front, which does not count itself, and so many bytes more.
#[inline(always)]
fn counted(value: &[u8], least: i32, more: usize) -> Option<usize> {
    let counted = int32(value).filter(|&counted| counted >= least)?;
    usize::try_from(counted).ok()?.checked_add(more.wrapping_add(4))
}

/// The size of a value with a length in front, which counts itself.
#[inline(always)]
fn whole(value: &[u8], least: i32) -> Option<usize> {
    usize::try_from(int32(value).filter(|&whole| whole >= least)?).ok()
}

/// Why a length in front of a value is none.
#[cold]
fn short(value: &[u8], length: usize) -> Halt {
    if value.len() < 4 { Halt::Short(length.saturating_add(4)) } else { Halt::Malformed }
}

/// The size of two texts that end in a zero.
fn texts(value: &[u8], length: usize) -> Result<usize, Halt> {
    let mut zeros = value.iter().take(MAX_REGEX).enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at);
    match zeros.nth(1) {
        Some(last) => Ok(last.saturating_add(1)),
        None if value.len() < MAX_REGEX => Err(Halt::Short(value.len().saturating_add(1).saturating_add(length))),
        None => Err(Halt::TooLong),
    }
}

#[inline(always)]
pub(super) fn int32(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|bytes| i32::from_le_bytes(*bytes))
}

/// The number in a value, as far as it is one: a floating-point one is cut to an integer.
#[inline]
pub(super) fn number(kind: Kind, value: &[u8]) -> Option<i64> {
    match kind {
        Kind::Int32 => int32(value).map(i64::from),
        Kind::Int64 => value.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)),
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        Kind::Double => value.first_chunk().map(|bytes| f64::from_le_bytes(*bytes) as i64),
        Kind::Boolean => value.first().map(|&byte| i64::from(byte != 0)),
        _ => None,
    }
}

/// The bytes of a text value, as far as they are there, without the zero that ends them.
#[inline]
pub(super) fn text(value: &[u8]) -> &[u8] {
    let declared = int32(value).and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    let text = value.get(4..).unwrap_or_default();
    text.get(..declared.saturating_sub(1).min(text.len())).unwrap_or_default()
}

/// One element of a [`Document`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    kind: Kind,
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Element<'a> {
    /// The type of its value.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name; UTF-8 unless the sender breaks the rules.
    #[must_use]
    pub const fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The bytes of its value, with the lengths that it has.
    #[must_use]
    pub const fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The number, if it is one: a floating-point one is cut to an integer, true is 1.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        number(self.kind, self.value)
    }

    /// The bytes of a string.
    #[must_use]
    pub fn as_text(&self) -> Option<&'a [u8]> {
        (self.kind == Kind::String).then(|| text(self.value))
    }

    /// The document or the array.
    #[must_use]
    pub fn as_document(&self) -> Option<Document<'a>> {
        if matches!(self.kind, Kind::Document | Kind::Array) { Document::parse(self.value) } else { None }
    }
}

/// A whole document. An iterator over its elements, which ends where they end or where they are no BSON any more.
///
/// ```
/// use obtrace_protocols::mongodb::bson::Document;
/// // { find: "users", limit: 7 }
/// let bytes = b"\x20\0\0\0\x02find\0\x06\0\0\0users\0\x10limit\0\x07\0\0\0\0";
/// let mut document = Document::parse(bytes).unwrap();
/// let find = document.next().unwrap();
/// assert_eq!((find.name(), find.as_text()), (&b"find"[..], Some(&b"users"[..])));
/// assert_eq!(document.next().unwrap().as_i64(), Some(7));
/// assert!(document.next().is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// What is left of its elements.
    rest: &'a [u8],
}

impl<'a> Document<'a> {
    /// The document at the front of `bytes`; what is behind it is not looked at. `None` if it is not whole.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let length = usize::try_from(int32(bytes)?).ok()?;
        let (zero, rest) = bytes.get(4..length)?.split_last()?;
        (*zero == 0).then_some(Self { rest })
    }
}

impl<'a> Iterator for Document<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let rest = core::mem::take(&mut self.rest);
        let head = head(rest).ok()?;
        let value = rest.get(head.length..)?;
        let (value, rest) = value.split_at_checked(head.size)?;
        self.rest = rest;
        Some(Element { kind: head.kind, name: head.name, value })
    }

    /// How many elements are left: as far as [`Document::next`] would go, without making anything of them.
    fn count(self) -> usize {
        let mut rest = self.rest;
        let mut pass = || {
            let head = head(rest).ok()?;
            rest = rest.get(head.length..)?.get(head.size..)?;
            Some(())
        };
        core::iter::from_fn(&mut pass).fold(0, |count, ()| count.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Every type, each named by its number.
    fn all() -> Vec<u8> {
        let mut out = b"\0\0\0\0".to_vec();
        let mut add = |kind: u8, value: &[u8]| {
            out.push(kind);
            out.extend_from_slice(alloc::format!("{kind:02x}\0").as_bytes());
            out.extend_from_slice(value);
        };
        add(0x01, &1.5_f64.to_le_bytes());
        add(0x02, b"\x03\0\0\0ab\0");
        add(0x03, b"\x05\0\0\0\0");
        add(0x04, b"\x08\0\0\0\x0a0\0\0");
        add(0x05, b"\x02\0\0\0\x04xy");
        add(0x06, b"");
        add(0x07, b"123456789012");
        add(0x08, b"\x01");
        add(0x09, &[0; 8]);
        add(0x0a, b"");
        add(0x0b, b"^a.*\0i\0");
        add(0x0c, &[&b"\x02\0\0\0c\0"[..], &[7; 12]].concat());
        add(0x0d, b"\x02\0\0\0x\0");
        add(0x0e, b"\x02\0\0\0x\0");
        add(0x0f, b"\x0f\0\0\0\x02\0\0\0x\0\x05\0\0\0\0");
        add(0x10, &(-7_i32).to_le_bytes());
        add(0x11, &[0; 8]);
        add(0x12, &(1_i64 << 40).to_le_bytes());
        add(0x13, &[0; 16]);
        add(0x7f, b"");
        add(0xff, b"");
        out.push(0);
        let length = u32::try_from(out.len()).unwrap();
        out[..4].copy_from_slice(&length.to_le_bytes());
        out
    }

    /// How many elements a walk finds that looks at each.
    fn walked(document: Document<'_>) -> usize {
        let names: Vec<&[u8]> = document.map(|element| element.name()).collect();
        names.len()
    }

    #[test]
    fn every_type_is_walked() {
        let bytes = all();
        let elements: Vec<Element<'_>> = Document::parse(&bytes).unwrap().collect();
        assert_eq!((elements.len(), Document::parse(&bytes).unwrap().count()), (21, 21));
        let find = |name: &[u8]| elements.iter().find(|element| element.name() == name).unwrap();
        assert_eq!(find(b"01").as_i64(), Some(1));
        assert_eq!(find(b"02").as_text(), Some(&b"ab"[..]));
        assert_eq!(find(b"04").as_document().unwrap().count(), 1);
        assert_eq!(find(b"08").as_i64(), Some(1));
        assert_eq!(find(b"10").as_i64(), Some(-7));
        assert_eq!(find(b"12").as_i64(), Some(1 << 40));
        assert_eq!(find(b"0d").as_text(), None);
        assert_eq!(find(b"ff").kind(), Kind::MinKey);
    }

    #[test]
    fn prefixes_and_changed_bytes_end_the_walk() {
        let bytes = all();
        for end in 0..bytes.len() {
            assert!(Document::parse(&bytes[..end]).is_none());
            // What is asked for is more than what is there, and never more than the head of an element has.
            let rest = bytes.get(4..end).unwrap_or_default();
            if let Err(Halt::Short(need)) = head(rest) {
                assert!(need > rest.len() && need <= rest.len() + 5, "{need} of {}", rest.len());
            }
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                if let Some(document) = Document::parse(&changed) {
                    assert_eq!(document.count(), walked(document), "{at} {bit}");
                }
            }
        }
    }

    #[test]
    fn names_and_patterns_have_a_limit() {
        let long = [&[0x0a][..], &[b'n'; MAX_NAME + 1], b"\0"].concat();
        assert_eq!(head(&long).err(), Some(Halt::TooLong));
        assert_eq!(head(&long[..MAX_NAME + 1]).err(), Some(Halt::Short(MAX_NAME + 2)));
        assert_eq!(head(&[&b"\x0ba\0"[..], &[b'x'; MAX_REGEX]].concat()).err(), Some(Halt::TooLong));
        assert_eq!(head(b"\x02a\0\0\0\0\0").err(), Some(Halt::Malformed));
        assert_eq!(head(b"\x03a\0\x04\0\0\0").err(), Some(Halt::Malformed));
        assert_eq!(head(b"\x20a\0").err(), Some(Halt::Malformed));
    }
}
