//! OTLP JSON ([the JSON encoding of OTLP](https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding)): names in
//! lowerCamelCase only, ids in hexadecimal, enum values as numbers, 64-bit integers as text or numbers, unknown fields
//! passed over, `null` as if the field were not there.

use std::borrow::Cow;

use super::{
    Limits,
    base64::base64,
    escape::unescaped,
    source::{Budget, DecodeError, DecodeErrorKind, Fields, Source},
};
use crate::model::Text;

/// Reads a body without making a tree of it.
#[derive(Debug)]
pub(super) struct Json<'a> {
    bytes: &'a [u8],
    at: usize,
    budget: Budget,
    /// The known field that was read last.
    field: &'static str,
}

impl<'a> Json<'a> {
    pub(super) fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        Self { bytes, at: 0, budget: Budget::new(limits), field: "" }
    }

    /// Nothing but space may follow.
    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.wrong("something follows the message")) }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.bytes.get(self.at..)?;
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += space;
        rest.get(space).copied()
    }

    fn take(&mut self, byte: u8, missing: &'static str) -> Result<(), DecodeError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.wrong(missing))
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), DecodeError> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.wrong("no JSON value"))
    }

    /// Calls `item` at the beginning of each item up to the closing bracket, which is taken.
    fn items(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.wrong("a comma or a closing bracket is missing")),
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        self.take(b'"', "text expected")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(0..0x20) => return Err(self.wrong("a control character in text")),
                Some(_) => self.at += 1,
                None => return Err(self.wrong("text without an end")),
            }
        }
        let inside = self.bytes.get(start..self.at).unwrap_or_default();
        self.at += 1;
        let Ok(text) = str::from_utf8(inside) else { return Err(self.wrong("no valid UTF-8 in text")) };
        if escaped {
            return unescaped(text).map(Cow::Owned).ok_or_else(|| self.wrong("no valid escape in text"));
        }
        Ok(Cow::Borrowed(text))
    }

    /// A number as it is written, by the grammar of RFC 8259.
    fn number(&mut self) -> Result<&'a str, DecodeError> {
        self.peek();
        let start = self.at;
        let digits = |source: &mut Self| {
            let rest = source.bytes.get(source.at..).unwrap_or_default();
            let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            source.at += count;
            count
        };
        let next = |source: &Self| source.bytes.get(source.at).copied();
        if next(self) == Some(b'-') {
            self.at += 1;
        }
        let zero = next(self) == Some(b'0');
        let whole = digits(self);
        let mut right = whole > 0 && !(zero && whole > 1);
        if next(self) == Some(b'.') {
            self.at += 1;
            right &= digits(self) > 0;
        }
        if matches!(next(self), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(next(self), Some(b'+' | b'-')) {
                self.at += 1;
            }
            right &= digits(self) > 0;
        }
        let text = self.bytes.get(start..self.at).and_then(|token| str::from_utf8(token).ok());
        text.filter(|_| right).ok_or_else(|| self.wrong("a number expected"))
    }

    /// A number, bare or in quotes.
    fn digits(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        if self.peek() == Some(b'"') { self.string() } else { self.number().map(Cow::Borrowed) }
    }

    /// A whole number that fits.
    fn whole<T: TryFrom<i128>>(&mut self) -> Result<T, DecodeError> {
        let digits = self.digits()?;
        let number =
            if digits.starts_with('+') { None } else { digits.parse::<i128>().ok().or_else(|| exact(&digits)) };
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| self.wrong("no whole number that fits"))
    }

    /// Passes over a value of any kind.
    fn skip(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            Some(b'{') => {
                self.enter()?;
                self.at += 1;
                self.items(b'}', |source| {
                    source.string()?;
                    source.take(b':', "a colon is missing")?;
                    source.skip()
                })?;
                self.leave();
                Ok(())
            }
            Some(b'[') => {
                self.enter()?;
                self.at += 1;
                self.items(b']', Self::skip)?;
                self.leave();
                Ok(())
            }
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => self.number().map(drop),
        }
    }
}

impl Source for Json<'_> {
    fn message(
        &mut self,
        fields: Fields,
        mut each: impl FnMut(&mut Self, u32) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.enter()?;
        self.take(b'{', "an object expected")?;
        self.items(b'}', |source| {
            let name = source.string()?;
            let known = fields.iter().find(|(known, _)| *known == name);
            source.take(b':', "a colon is missing")?;
            match known {
                Some(&(name, number)) if source.peek() != Some(b'n') => {
                    source.field = name;
                    each(source, number)
                }
                _ => source.skip(),
            }
        })?;
        self.leave();
        Ok(())
    }

    fn repeated(&mut self, each: impl FnMut(&mut Self) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
        self.take(b'[', "an array expected")?;
        self.items(b']', each)
    }

    fn text(&mut self) -> Result<Text, DecodeError> {
        Ok(match self.string()? {
            Cow::Borrowed(text) => Text::copied(text),
            Cow::Owned(text) => Text::from(text),
        })
    }

    fn boolean(&mut self) -> Result<bool, DecodeError> {
        let truth = self.peek() == Some(b't');
        self.literal(if truth { b"true" } else { b"false" })?;
        Ok(truth)
    }

    fn unsigned(&mut self) -> Result<u64, DecodeError> {
        self.whole()
    }

    fn small(&mut self) -> Result<u32, DecodeError> {
        self.whole()
    }

    fn signed(&mut self) -> Result<i64, DecodeError> {
        self.whole()
    }

    fn zigzag(&mut self) -> Result<i32, DecodeError> {
        self.whole()
    }

    fn enumeration(&mut self) -> Result<i32, DecodeError> {
        if self.peek() == Some(b'"') {
            return Err(self.wrong("the value of an enum is not a number"));
        }
        self.whole()
    }

    fn double(&mut self) -> Result<f64, DecodeError> {
        let text = self.digits()?;
        let number = match &*text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            // Of the words that Rust reads as numbers only those above are the format's.
            other if other.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) => {
                other.parse().ok().filter(|number: &f64| number.is_finite())
            }
            _ => None,
        };
        number.ok_or_else(|| self.wrong("no number that fits"))
    }

    fn bytes(&mut self) -> Result<Vec<u8>, DecodeError> {
        let text = self.string()?;
        base64(text.as_bytes()).ok_or_else(|| self.wrong("no base64"))
    }

    fn id<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let text = self.string()?;
        let mut id = [0; N];
        if text.is_empty() {
            return Ok(id);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != N || !rest.is_empty() {
            return Err(self.wrong("an id of the wrong length"));
        }
        for (to, [high, low]) in id.iter_mut().zip(pairs) {
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                return Err(self.wrong("an id that is not hexadecimal"));
            };
            *to = high << 4 | low;
        }
        Ok(id)
    }

    fn doubles(&mut self, out: &mut Vec<f64>) -> Result<(), DecodeError> {
        self.repeated(|source| {
            source.count_element()?;
            out.push(source.double()?);
            Ok(())
        })
    }

    fn unsigneds(&mut self, _fixed: bool, out: &mut Vec<u64>) -> Result<(), DecodeError> {
        self.repeated(|source| {
            source.count_element()?;
            out.push(source.unsigned()?);
            Ok(())
        })
    }

    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn wrong(&self, what: &'static str) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Malformed, what, self.field, self.at.min(self.bytes.len()))
    }
}

/// The whole number that `1.0` or `1e3` mean, if doubles tell it from its neighbours.
fn exact(digits: &str) -> Option<i128> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let number = digits.bytes().any(|byte| byte.is_ascii_digit()).then(|| digits.parse::<f64>().ok())??;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and has at most 53 bits")]
    (number.fract() == 0.0 && number.abs() <= LARGEST).then_some(number as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(text: &'a str) -> Json<'a> {
        Json::new(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn numbers_are_those_of_the_specification() {
        for (text, expected) in [
            ("0", Some(0)),
            (" -7", Some(-7)),
            ("\"-7\"", Some(-7)),
            ("\"9223372036854775807\"", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1e3", Some(1000)),
            ("\"1.0\"", Some(1)),
            ("1.5", None),
            ("01", None),
            ("1.", None),
            ("-", None),
            ("\"\"", None),
            ("\"inf\"", None),
            ("\"+1\"", None),
            ("true", None),
            ("1e999", None),
        ] {
            assert_eq!(read(text).signed().ok(), expected, "{text}");
        }
        assert_eq!(read("\"18446744073709551615\"").unsigned(), Ok(u64::MAX));
        assert!(read("-1").unsigned().is_err());
        assert!(read("\"2\"").enumeration().is_err());
        for (text, expected) in [
            ("0.1", Some(0.1)),
            ("\"Infinity\"", Some(f64::INFINITY)),
            ("\"-Infinity\"", Some(f64::NEG_INFINITY)),
            ("\"inf\"", None),
            ("\"infinity\"", None),
            ("1e999", None),
            ("NaN", None),
            ("\"\"", None),
        ] {
            assert_eq!(read(text).double().ok(), expected, "{text}");
        }
        assert!(read("\"NaN\"").double().unwrap().is_nan());
    }

    #[test]
    fn text_is_unescaped_and_must_be_valid() {
        for (text, expected) in [
            (r#""a\"b\\\u00e9\ud83d\ude00""#, Some("a\"b\\é😀")),
            (r#""plain""#, Some("plain")),
            (r#""\ud83d""#, None),
            (r#""\x""#, None),
            ("\"a\nb\"", None),
            (r#""open"#, None),
            (r#""open\"#, None),
            ("plain", None),
        ] {
            assert_eq!(read(text).string().ok().as_deref(), expected, "{text}");
        }
        assert!(Json::new(b"\"\xff\"", &Limits::default()).string().is_err());
        assert!(Json::new(b"\"\\n\xff\"", &Limits::default()).string().is_err());
    }

    #[test]
    fn ids_are_hexadecimal_of_their_length() {
        assert_eq!(read("\"0aF1\"").id::<2>(), Ok([0x0a, 0xf1]));
        assert_eq!(read("\"\"").id::<2>(), Ok([0, 0]));
        for wrong in ["\"0a\"", "\"0aff0\"", "\"0g00\"", "1", "\"é0\""] {
            assert!(read(wrong).id::<2>().is_err(), "{wrong}");
        }
    }
}
