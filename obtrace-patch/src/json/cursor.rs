//! The cursor: one pass over the bytes, value by value.

use std::borrow::Cow;

use super::{Text, scan};
use crate::error::{ParseError, What};

/// A place in JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next value begins.
    pub(crate) fn offset(&mut self) -> usize {
        self.blanks();
        self.at
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.blanks();
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), ParseError> {
        if self.eat(byte) { Ok(()) } else { Err(self.error(What::Expected(what))) }
    }

    fn error(&self, what: What) -> ParseError {
        ParseError::new(self.at, what)
    }

    /// Steps over `null`; says whether it was there.
    pub(crate) fn null(&mut self) -> bool {
        self.blanks();
        let there = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"null"));
        self.at += if there { 4 } else { 0 };
        there
    }

    /// Reads an object: `member` gets each key with the cursor before its value, and must step over that value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&[u8], &mut Self) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        self.entries(|key, cursor| match key.plain() {
            Some(key) => member(key, cursor),
            None => member(key.decode()?.as_bytes(), cursor),
        })
    }

    /// As [`object`](Self::object), with the keys as they stand.
    pub(crate) fn entries(
        &mut self,
        mut member: impl FnMut(Text<'a>, &mut Self) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        self.expect(b'{', "an object")?;
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            let key = self.text()?;
            self.expect(b':', "a colon")?;
            member(key, self)?;
            if !self.eat(b',') {
                return self.expect(b'}', "a comma or the end of the object");
            }
        }
    }

    /// Reads an array: `element` must step over its value.
    pub(crate) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        self.expect(b'[', "an array")?;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.eat(b',') {
                return self.expect(b']', "a comma or the end of the array");
            }
        }
    }

    /// An array's elements, or `None` for `null`.
    pub(crate) fn list<T>(
        &mut self,
        room: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Option<Vec<T>>, ParseError> {
        if self.null() {
            return Ok(None);
        }
        let mut all = Vec::new();
        self.array(|cursor| {
            let value = element(cursor)?;
            if all.capacity() == 0 {
                all.reserve_exact(room);
            }
            all.push(value);
            Ok(())
        })?;
        Ok(Some(all))
    }

    /// A string as it stands.
    pub(crate) fn text(&mut self) -> Result<Text<'a>, ParseError> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        let (end, escaped) =
            scan::string(self.bytes, start).ok_or_else(|| self.error(What::Expected("the end of this string")))?;
        self.at = end + 1;
        Ok(Text::new(self.bytes.get(start..end).unwrap_or_default(), start, escaped))
    }

    /// Two strings between fixed texts, without blanks. If `None`, the cursor may have moved.
    pub(crate) fn strings_between(&mut self, [before, between, after]: [&[u8]; 3]) -> Option<[Text<'a>; 2]> {
        self.fixed(before)?;
        let first = self.text().ok()?;
        self.fixed(between)?;
        let second = self.text().ok()?;
        self.fixed(after)?;
        Some([first, second])
    }

    fn fixed(&mut self, text: &[u8]) -> Option<()> {
        let there = self.bytes.get(self.at..)?.starts_with(text);
        self.at += if there { text.len() } else { 0 };
        there.then_some(())
    }

    /// A string, decoded.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, ParseError> {
        self.text()?.decode()
    }

    /// A string, or `None` for `null`.
    pub(crate) fn optional_string(&mut self) -> Result<Option<Cow<'a, str>>, ParseError> {
        if self.null() { Ok(None) } else { self.string().map(Some) }
    }

    /// `true` or `false`; `null` is `None`.
    pub(crate) fn boolean(&mut self) -> Result<Option<bool>, ParseError> {
        if self.null() {
            return Ok(None);
        }
        let start = self.at;
        match self.skip()? {
            b"true" => Ok(Some(true)),
            b"false" => Ok(Some(false)),
            _ => Err(ParseError::new(start, What::Expected("true or false"))),
        }
    }

    /// A whole number; `null` is `None`.
    pub(crate) fn integer(&mut self) -> Result<Option<i64>, ParseError> {
        if self.null() {
            return Ok(None);
        }
        let start = self.at;
        let number = std::str::from_utf8(self.skip()?).ok().and_then(|text| text.parse().ok());
        number.map(Some).ok_or(ParseError::new(start, What::Expected("a whole number")))
    }

    /// Steps over the next value and gives its bytes.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], ParseError> {
        let start = self.offset();
        let end = match self.bytes.get(start) {
            Some(b'"') => scan::string(self.bytes, start + 1).map(|(end, _)| end + 1),
            Some(b'{' | b'[') => scan::nested(self.bytes, start).map_err(|too_deep| self.error(too_deep))?,
            Some(_) => scan::scalar(self.bytes, start),
            None => None,
        };
        let end = end.ok_or_else(|| self.error(What::Expected("a whole value")))?;
        self.at = end;
        Ok(self.bytes.get(start..end).unwrap_or_default())
    }

    /// The bytes from the value that begins here to where `later` has come.
    pub(crate) fn until(mut self, later: &Self) -> &'a [u8] {
        let start = self.offset();
        self.bytes.get(start..later.at).unwrap_or_default()
    }

    /// Refuses whatever stands after the value.
    pub(crate) fn end(&mut self) -> Result<(), ParseError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.error(What::Expected("nothing more"))) }
    }
}
