//! Strings as they stand in the JSON, decoded when somebody wants to read them.

use std::borrow::Cow;

use crate::error::{ParseError, What};

/// The inside of a JSON string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    raw: &'a [u8],
    offset: usize,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The empty string.
    pub(crate) const EMPTY: Self = Self { raw: b"", offset: 0, escaped: false };

    pub(super) fn new(raw: &'a [u8], offset: usize, escaped: bool) -> Self {
        Self { raw, offset, escaped }
    }

    /// The bytes, if they stand for themselves.
    pub(crate) fn plain(&self) -> Option<&'a [u8]> {
        if self.escaped { None } else { Some(self.raw) }
    }

    /// Whether it reads `text`.
    pub(crate) fn is(&self, text: &str) -> bool {
        match self.plain() {
            Some(raw) => raw == text.as_bytes(),
            None => self.decode().is_ok_and(|decoded| decoded == text),
        }
    }

    /// Whether it begins with `text`.
    pub(crate) fn starts_with(&self, text: &str) -> bool {
        match self.plain() {
            // The first byte is looked at before the rest: nearly always it is another.
            Some(raw) => raw.first() == text.as_bytes().first() && raw.starts_with(text.as_bytes()),
            None => self.decode().is_ok_and(|decoded| decoded.starts_with(text)),
        }
    }

    /// The string: borrowed unless it has escapes. Half of a surrogate pair is U+FFFD, as in Go.
    pub(crate) fn decode(&self) -> Result<Cow<'a, str>, ParseError> {
        let text = std::str::from_utf8(self.raw)
            .map_err(|error| ParseError::new(self.offset + error.valid_up_to(), What::Utf8))?;
        if self.escaped { self.unescape(text).map(Cow::Owned) } else { Ok(Cow::Borrowed(text)) }
    }

    fn unescape(&self, text: &str) -> Result<String, ParseError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            let (before, escape) = rest.split_at(at);
            out.push_str(before);
            let (value, length) = escape_of(escape).ok_or_else(|| {
                let left = escape.len();
                ParseError::new(self.offset + text.len() - left, What::Escape)
            })?;
            out.push(value);
            rest = escape.get(length..).unwrap_or_default();
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// The character that an escape at the start of `text` stands for, and how long the escape is.
fn escape_of(text: &str) -> Option<(char, usize)> {
    let value = match text.as_bytes().get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(text),
        _ => return None,
    };
    Some((value, 2))
}

fn unicode(text: &str) -> Option<(char, usize)> {
    let first = unit(text)?;
    if let Some(value) = char::from_u32(first) {
        return Some((value, 6));
    }
    let second = text.get(6..).and_then(unit).filter(|unit| (0xDC00..0xE000).contains(unit));
    if let (0xD800..0xDC00, Some(second)) = (first, second) {
        let value = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return char::from_u32(value).map(|value| (value, 12));
    }
    Some((char::REPLACEMENT_CHARACTER, 6))
}

/// The number in `\uXXXX` at the start of `text`.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}
