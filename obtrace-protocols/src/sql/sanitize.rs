//! Writes tokens back without what may be data.

use alloc::string::String;

use super::lexer::{Kind, Token};

/// Copies what stays in runs as long as possible: tokens are neighbours in the text that they were cut from.
pub(super) struct Sanitizer<'a, 'o> {
    sql: &'a [u8],
    /// The same, if it is UTF-8, so that not each run has to be checked.
    text: Option<&'a str>,
    out: &'o mut String,
    /// What is seen and not written: `sql[from..to]`.
    from: usize,
    to: usize,
    space: bool,
}

impl<'a, 'o> Sanitizer<'a, 'o> {
    pub(super) fn new(sql: &'a [u8], out: &'o mut String) -> Self {
        Self { sql, text: core::str::from_utf8(sql).ok(), out, from: 0, to: 0, space: false }
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
                // The last of `(?)`.
                if token.text == b")" && self.out.as_bytes().last() == Some(&b'?') {
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
                self.literal();
            }
        }
        self.from = end;
        self.to = end;
    }

    pub(super) fn finish(mut self) {
        self.flush();
        let length = without_blanks(self.out.as_bytes()).len();
        self.out.truncate(length);
    }

    #[inline]
    fn flush(&mut self) {
        if self.from < self.to {
            match self.text.and_then(|text| text.get(self.from..self.to)) {
                Some(run) => self.out.push_str(run),
                None => push_lossy(self.out, self.sql.get(self.from..self.to).unwrap_or_default()),
            }
            self.from = self.to;
        }
    }

    fn write_space(&mut self) {
        self.space = false;
        if !matches!(self.out.as_bytes().last(), None | Some(b' ')) {
            self.out.push(' ');
        }
    }

    /// `?`, unless the text ends in `?,` already.
    fn literal(&mut self) {
        // Lists are what there are most of: the comma is not even written.
        let run = self.sql.get(self.from..self.to).unwrap_or_default();
        if matches!(run, b"," | b", ") && self.out.as_bytes().last() == Some(&b'?') {
            self.from = self.to;
            self.space = false;
            return;
        }
        self.flush();
        let before = without_blanks(self.out.as_bytes()).strip_suffix(b",").map(without_blanks);
        if let Some(before) = before.filter(|text| text.last() == Some(&b'?')) {
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
        let first = self.out.as_bytes().strip_suffix(b"(?)").map(without_blanks);
        let first = first.and_then(|text| text.strip_suffix(b",")).map(without_blanks);
        if let Some(first) = first.filter(|text| text.ends_with(b"(?)")) {
            let length = first.len();
            self.out.truncate(length);
        }
    }
}

#[inline]
fn without_blanks(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' '] = text {
        text = rest;
    }
    text
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
