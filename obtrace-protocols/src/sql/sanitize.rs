//! Writes tokens back without what may be data.

use alloc::string::String;

use super::lexer::{Kind, Token};

/// Copies what stays in runs as long as possible: tokens are neighbours in the text that they were cut from.
pub(super) struct Sanitizer<'a, 'o> {
    sql: &'a [u8],
    out: &'o mut String,
    /// What is seen and not written: `sql[from..to]`.
    from: usize,
    to: usize,
    space: bool,
}

impl<'a, 'o> Sanitizer<'a, 'o> {
    pub(super) fn new(sql: &'a [u8], out: &'o mut String) -> Self {
        Self { sql, out, from: 0, to: 0, space: false }
    }

    #[inline]
    pub(super) fn push(&mut self, token: Token<'a>) {
        let end = self.to.saturating_add(token.text.len());
        match token.kind {
            Kind::Word | Kind::Name | Kind::Symbol => {
                if self.space {
                    self.write_space();
                }
                self.to = end;
                if token.text == b")" {
                    self.flush();
                    self.join_rows();
                }
                return;
            }
            // One blank inside a run stays in the run.
            Kind::Space if token.text == b" " && self.from < self.to => {
                self.to = end;
                return;
            }
            Kind::Space | Kind::Comment => {
                self.flush();
                self.space = true;
            }
            Kind::Literal | Kind::Placeholder => {
                self.flush();
                self.literal();
            }
        }
        self.from = end;
        self.to = end;
    }

    pub(super) fn finish(mut self) {
        self.flush();
        let length = self.out.trim_end_matches(' ').len();
        self.out.truncate(length);
    }

    fn flush(&mut self) {
        let run = self.sql.get(self.from..self.to).unwrap_or_default();
        push_lossy(self.out, run);
        self.from = self.to;
    }

    fn write_space(&mut self) {
        self.space = false;
        if !self.out.is_empty() && !self.out.ends_with(' ') {
            self.out.push(' ');
        }
    }

    /// `?`, unless the text ends in `?,` already.
    fn literal(&mut self) {
        let before = self.out.trim_end_matches(' ').strip_suffix(',').map(|text| text.trim_end_matches(' '));
        if let Some(before) = before.filter(|text| text.ends_with('?')) {
            let length = before.len();
            self.out.truncate(length);
            self.space = false;
            return;
        }
        if self.space {
            self.write_space();
        }
        self.out.push('?');
    }

    /// `(?), (?)` is `(?)`.
    fn join_rows(&mut self) {
        let first = self.out.strip_suffix("(?)").map(|text| text.trim_end_matches(' '));
        let first = first.and_then(|text| text.strip_suffix(',')).map(|text| text.trim_end_matches(' '));
        if let Some(first) = first.filter(|text| text.ends_with("(?)")) {
            let length = first.len();
            self.out.truncate(length);
        }
    }
}

/// Appends bytes, U+FFFD for what is not UTF-8.
pub(super) fn push_lossy(out: &mut String, bytes: &[u8]) {
    if let Ok(text) = core::str::from_utf8(bytes) {
        out.push_str(text);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}
