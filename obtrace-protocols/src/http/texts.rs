//! The texts of the messages under way, one after the other in one place.

use alloc::string::String;

use super::{conceal::Kind, slot::shorten};

/// A part of the text of one message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Piece {
    /// From the start of the message's text on.
    start: u32,
    /// One more than the length; 0: there is none.
    length: u32,
}

/// Which part of [`Texts`] belongs to a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u64,
    end: u64,
}

/// Texts are appended at the end and given back from the front, as exchanges are handed out in the order of their
/// requests, and responses come in that order. Places are counted from the connection's first text, so that they stay
/// right when the front goes.
#[derive(Debug, Default)]
pub(super) struct Texts {
    buffer: String,
    base: u64,
}

impl Texts {
    fn end(&self) -> u64 {
        self.base.saturating_add(self.buffer.len() as u64)
    }

    /// A text that begins at the end, empty so far.
    pub(super) fn begin(&self) -> Span {
        Span { start: self.end(), end: self.end() }
    }

    /// Appends to the text that was begun last.
    #[inline]
    pub(super) fn put_str(&mut self, to: &mut Span, text: &str) -> Piece {
        let from = to.end;
        self.buffer.push_str(text);
        self.piece(to, from)
    }

    /// The same, at most so many bytes; what is not UTF-8 is replaced.
    pub(super) fn put(&mut self, to: &mut Span, bytes: &[u8], limit: usize) -> Piece {
        let (bytes, from) = (shorten(bytes, limit), to.end);
        match core::str::from_utf8(bytes) {
            Ok(text) if !may_be_folded(bytes) => self.buffer.push_str(text),
            // Of a folded field the first line is kept: another field may be hidden in the next ones.
            _ => {
                let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
                self.buffer.push_str(&String::from_utf8_lossy(line.trim_ascii_end()));
            }
        }
        self.piece(to, from)
    }

    fn piece(&self, to: &mut Span, from: u64) -> Piece {
        to.end = self.end();
        let start = from.saturating_sub(to.start);
        let length = to.end.saturating_sub(from).saturating_add(1);
        Piece { start: u32::try_from(start).unwrap_or(u32::MAX), length: u32::try_from(length).unwrap_or(0) }
    }

    #[inline]
    pub(super) fn get(&self, span: Span, piece: Piece) -> Option<&str> {
        let length = piece.length.checked_sub(1)? as usize;
        let start = usize::try_from(span.start.checked_sub(self.base)?).ok()?.checked_add(piece.start as usize)?;
        self.buffer.get(start..start.checked_add(length)?)
    }

    /// The same of what may hold credentials, which are concealed.
    #[inline(always)]
    pub(super) fn put_as(&mut self, kind: Kind, to: &mut Span, bytes: &[u8], limit: usize) -> Piece {
        let (from, before) = (to.end, self.buffer.len());
        self.put(to, bytes, limit);
        kind.conceal(&mut self.buffer, before, bytes.len() > limit);
        self.piece(to, from)
    }

    /// Takes back the text that was begun last.
    pub(super) fn take_back(&mut self, span: Span) {
        let length = usize::try_from(span.start.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.buffer.truncate(length);
    }

    /// Neither this text nor any before it is read any more.
    #[inline]
    pub(super) fn free(&mut self, span: Span) {
        if span.end >= self.end() {
            self.base = self.end();
            self.buffer.clear();
            return;
        }
        let free = usize::try_from(span.end.saturating_sub(self.base)).unwrap_or(0);
        if free > self.buffer.len() / 2 {
            self.buffer.drain(..free);
            self.base = span.end;
        }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    pub(super) fn shrink(&mut self) {
        self.buffer.shrink_to_fit();
    }
}

impl Piece {
    /// Whether there is one.
    pub(super) const fn is_some(self) -> bool {
        self.length > 0
    }
}

/// Whether there may be a line end: a byte below 14, eight at a time.
#[inline]
fn may_be_folded(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // A borrow may mark bytes behind the first that fits, never where none does.
    let marks = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        word.wrapping_sub(ONES.wrapping_mul(14)) & !word & HIGH
    };
    let Some(last) = bytes.last_chunk() else { return bytes.iter().any(|&byte| byte < 14) };
    bytes.as_chunks().0.iter().fold(marks(last), |all, word| all | marks(word)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_place_while_the_front_goes() {
        let mut texts = Texts::default();
        let mut waiting = alloc::collections::VecDeque::new();
        for round in 0..1000_u32 {
            let mut span = texts.begin();
            let number = texts.put(&mut span, alloc::format!("{round} ").as_bytes(), 10);
            let folded = texts.put(&mut span, b"a\r\n b", 10);
            waiting.push_back((round, span, number, folded));
            if round % 3 == 0 {
                let mut gone = texts.begin();
                texts.put(&mut gone, b"request that was lost", 10);
                texts.take_back(gone);
            }
            if waiting.len() > 7 {
                let (round, span, number, folded) = waiting.pop_front().unwrap();
                assert_eq!(texts.get(span, number), Some(&*alloc::format!("{round}")));
                assert_eq!(texts.get(span, folded), Some("a"));
                assert_eq!(texts.get(span, Piece::default()), None);
                texts.free(span);
            }
        }
        assert!(texts.capacity() < 512, "{}", texts.capacity());
    }

    #[test]
    fn credentials_are_concealed() {
        let mut texts = Texts::default();
        let mut before = texts.begin();
        texts.put_str(&mut before, "before");
        texts.free(before);
        let mut span = texts.begin();
        let target = "/p?key=s\u{e9}cret&x=1".as_bytes();
        let (first, second) = (texts.put_str(&mut span, "/a"), texts.put_as(Kind::Target, &mut span, target, 100));
        assert_eq!((texts.get(span, first), texts.get(span, second)), (Some("/a"), Some("/p?key=*******&x=1")));
    }

    #[test]
    fn what_cannot_be_shown_is_replaced() {
        let mut texts = Texts::default();
        for (bytes, shown) in [
            (&b"plain text of some length"[..], "plain text of some length"),
            (b"\xff", "\u{fffd}"),
            (b"some text and then a \r\n\tfold", "some text and then a"),
            (b"fold\n x\xc3", "fold"),
            ("h\u{e9}llo, w\u{f6}rld".as_bytes(), "h\u{e9}llo, w\u{f6}rld"),
            (b"\r", ""),
            (b"a\rb", "a"),
        ] {
            let mut span = texts.begin();
            let piece = texts.put(&mut span, bytes, 100);
            assert_eq!(texts.get(span, piece), Some(shown));
        }
        for length in 0..40 {
            for at in 0..length {
                for (byte, is_end) in [(b'\n', true), (b'\r', true), (b' ', false), (0xff, false), (14, false)] {
                    let mut bytes = alloc::vec![b'x'; length];
                    bytes[at] = byte;
                    assert_eq!(may_be_folded(&bytes), is_end, "{byte} at {at} of {length}");
                }
            }
        }
    }
}
