//! The texts of the requests that wait, one after the other in one place.

use alloc::string::String;

use crate::escape::push_escaped;

/// A text in [`Texts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u64,
    length: u32,
}

impl Span {
    /// The first `length` bytes of it.
    pub(super) fn first(self, length: u32) -> Self {
        Self { length: length.min(self.length), ..self }
    }

    pub(super) const fn length(self) -> u32 {
        self.length
    }
}

/// Texts are appended at the end and given back from the front, as requests are answered in the order in which they
/// were sent. Places are counted from the connection's first text, so that they stay right when the front goes.
#[derive(Debug, Default)]
pub(super) struct Texts {
    buffer: String,
    base: u64,
    free_until: u64,
}

impl Texts {
    /// Where the next text begins.
    pub(super) fn end(&self) -> u64 {
        self.base.saturating_add(self.buffer.len() as u64)
    }

    /// What was appended since [`Texts::end`] was `start`.
    pub(super) fn since(&self, start: u64) -> Span {
        Span { start, length: u32::try_from(self.end().saturating_sub(start)).unwrap_or(u32::MAX) }
    }

    pub(super) fn get(&self, span: Span) -> &str {
        let from = usize::try_from(span.start.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let to = from.saturating_add(span.length as usize);
        self.buffer.get(from..to).unwrap_or_default()
    }

    pub(super) fn held(&self) -> usize {
        usize::try_from(self.end().saturating_sub(self.free_until)).unwrap_or(usize::MAX)
    }

    pub(super) const fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    #[inline]
    pub(super) fn push(&mut self, text: &str) {
        self.buffer.push_str(text);
    }

    /// Appends bytes as text: control characters and what is not UTF-8 as `\xNN`.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        push_escaped(&mut self.buffer, bytes);
    }

    /// Everything before the start of `span` and the span itself are not read any more.
    pub(super) fn free(&mut self, span: Span) {
        self.free_until = self.free_until.max(span.start.saturating_add(u64::from(span.length)));
        if self.free_until >= self.end() {
            self.base = self.end();
            self.free_until = self.base;
            self.buffer.clear();
            return;
        }
        let free = usize::try_from(self.free_until.saturating_sub(self.base)).unwrap_or(usize::MAX);
        if free > self.buffer.len() / 2 && self.buffer.is_char_boundary(free) {
            self.buffer.drain(..free);
            self.base = self.free_until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_place_while_the_front_goes() {
        let mut texts = Texts::default();
        let mut spans = alloc::collections::VecDeque::new();
        for round in 0..1000_u32 {
            let start = texts.end();
            texts.push_bytes(alloc::format!("key {round} \u{e9}\n").as_bytes());
            texts.push_bytes(b"\xff");
            spans.push_back((round, texts.since(start)));
            if spans.len() > 7 {
                let (round, span) = spans.pop_front().unwrap();
                assert_eq!(texts.get(span), alloc::format!("key {round} \u{e9}\\x0a\\xff"));
                texts.free(span);
            }
        }
        assert!(texts.capacity() < 1024 && texts.held() < 200);
    }
}
