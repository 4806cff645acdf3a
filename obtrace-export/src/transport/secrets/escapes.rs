//! Text that others have escaped, as pages, URLs and JSON have it, without its escapes.

use std::ops::Range;

/// The longest escape, a character of JSON in two halves: `\ud83d\ude00`.
const LONGEST: usize = 12;

/// Bytes, and which of the original text each of them was made of.
pub(super) struct Plain {
    bytes: Vec<u8>,
    origins: Vec<Range<usize>>,
}

impl Plain {
    pub(super) fn new(text: &str) -> Self {
        Self { bytes: text.into(), origins: (0..text.len()).map(|at| at..at + 1).collect() }
    }

    /// Without one layer of escapes; `None` if there are none. It gets shorter with each.
    pub(super) fn decoded(&self) -> Option<Self> {
        let mut out = Self { bytes: Vec::with_capacity(self.bytes.len()), origins: Vec::new() };
        let mut at = 0;
        while let (Some(rest), Some(origin)) = (self.bytes.get(at..), self.origins.get(at)) {
            let Some(&byte) = rest.first() else { break };
            let length = match escape(rest) {
                Some((meant, length)) => {
                    let end = self.origins.get(at + length - 1).map_or(origin.end, |last| last.end);
                    out.push(meant.as_bytes(), &(origin.start..end));
                    length
                }
                None => {
                    out.push(&[byte], origin);
                    1
                }
            };
            at += length;
        }
        (out.bytes.len() < self.bytes.len()).then_some(out)
    }

    fn push(&mut self, bytes: &[u8], origin: &Range<usize>) {
        self.bytes.extend_from_slice(bytes);
        self.origins.extend(bytes.iter().map(|_| origin.clone()));
    }

    /// Where in the original text these bytes are.
    pub(super) fn find<'a>(&'a self, wanted: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        let starts = self.bytes.iter().enumerate().filter(|(_, byte)| Some(*byte) == wanted.first());
        starts.filter_map(move |(at, _)| {
            let end = at + wanted.len();
            (self.bytes.get(at..end)? == wanted).then_some(())?;
            Some(self.origins.get(at)?.start..self.origins.get(end - 1)?.end)
        })
    }
}

/// What an escape means: a byte or a character.
enum Meant {
    Byte([u8; 1]),
    Character([u8; 4], usize),
}

impl Meant {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Byte(byte) => byte,
            Self::Character(bytes, length) => bytes.get(..*length).unwrap_or_default(),
        }
    }

    fn character(number: u32) -> Option<Self> {
        let mut bytes = [0; 4];
        let length = char::from_u32(number)?.encode_utf8(&mut bytes).len();
        Some(Self::Character(bytes, length))
    }
}

/// What the escape at the start means, and its length.
fn escape(text: &[u8]) -> Option<(Meant, usize)> {
    match text {
        [b'%', rest @ ..] => Some((Meant::Byte([u8::try_from(hex(rest, 2)?).ok()?]), 3)),
        [b'\\', b'x' | b'X', rest @ ..] => Some((Meant::Byte([u8::try_from(hex(rest, 2)?).ok()?]), 4)),
        [b'\\', b'u' | b'U', rest @ ..] => of_json(rest),
        [b'\\', byte @ (b'/' | b'\\' | b'"' | b'\''), ..] => Some((Meant::Byte([*byte]), 2)),
        [b'&', ..] => entity(text),
        _ => None,
    }
}

/// The number that so many digits are.
fn hex(text: &[u8], digits: usize) -> Option<u32> {
    let digits = text.get(..digits).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// `002B`, or `d83d\ude00`: the halves of a character.
fn of_json(text: &[u8]) -> Option<(Meant, usize)> {
    let first = hex(text, 4)?;
    if let Some(character) = Meant::character(first) {
        return Some((character, 6));
    }
    let second = hex(text.get(4..)?.strip_prefix(b"\\u")?, 4).filter(|half| (0xdc00..0xe000).contains(half))?;
    let number = 0x1_0000 + (first.checked_sub(0xd800)? << 10) + (second - 0xdc00);
    Some((Meant::character(number)?, LONGEST))
}

/// `&#43;`, `&#x2B;` and the five that have names in XML.
fn entity(text: &[u8]) -> Option<(Meant, usize)> {
    let end = text.iter().take(LONGEST).position(|byte| *byte == b';')?;
    let number = match text.get(1..end)? {
        b"amp" => b'&'.into(),
        b"lt" => b'<'.into(),
        b"gt" => b'>'.into(),
        b"quot" => b'"'.into(),
        b"apos" => b'\''.into(),
        [b'#', b'x' | b'X', digits @ ..] => hex(digits, digits.len())?,
        [b'#', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(digits).ok()?.parse().ok()?
        }
        _ => return None,
    };
    Some((Meant::character(number)?, end + 1))
}
