//! Writes tokens back without what may be data.

use alloc::string::String;

use super::lexer::Sink;

/// Copies what stays in runs as long as possible: tokens are neighbours in the text that they were cut from.
pub(super) struct Sanitizer<'a, 'o> {
    sql: &'a [u8],
    /// The same, if it is UTF-8, so that not each run has to be checked.
    text: Option<&'a str>,
    out: &'o mut String,
    /// What is seen and not written: `sql[from..to]`.
    from: usize,
    to: usize,
    owed: Owed,
}

/// What has to be written before `sql[from..to]`, unless what follows spares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Nothing,
    Space,
    /// Behind `(?)` the `,(` or `, (` at this place of the text, and `?`: the row begins like the one before, and is
    /// left out if it ends like it.
    Row {
        from: usize,
        to: usize,
    },
}

impl<'a, 'o> Sanitizer<'a, 'o> {
    pub(super) fn new(sql: &'a [u8], out: &'o mut String) -> Self {
        Self { sql, text: core::str::from_utf8(sql).ok(), out, from: 0, to: 0, owed: Owed::Nothing }
    }

    pub(super) fn finish(mut self) {
        self.pay_row();
        self.flush();
        let length = without_blanks(self.out.as_bytes()).len();
        self.out.truncate(length);
    }

    /// Where the token at [`Sanitizer::to`] ends.
    #[inline(always)]
    fn end(&self, text: &[u8]) -> usize {
        // Tokens follow each other in one text.
        self.to.wrapping_add(text.len())
    }

    /// Leaves out everything before `end`.
    #[inline(always)]
    fn skip(&mut self, end: usize) {
        self.from = end;
        self.to = end;
    }

    fn copy(&mut self, from: usize, to: usize) {
        match self.text.and_then(|text| text.get(from..to)) {
            Some(run) => self.out.push_str(run),
            None => push_lossy(self.out, self.sql.get(from..to).unwrap_or_default()),
        }
    }

    #[inline]
    fn flush(&mut self) {
        if self.from < self.to {
            self.copy(self.from, self.to);
            self.from = self.to;
        }
    }

    /// Writes what is owed. What was seen since stays to be written.
    fn pay(&mut self) {
        if self.owed == Owed::Space && !matches!(self.out.as_bytes().last(), None | Some(b' ')) {
            self.out.push(' ');
        }
        self.pay_row();
        self.owed = Owed::Nothing;
    }

    fn pay_row(&mut self) {
        if let Owed::Row { from, to } = self.owed {
            self.copy(from, to);
            self.out.push('?');
            self.owed = Owed::Nothing;
        }
    }

    /// `?`, unless the text ends in `?,` already.
    fn write_literal(&mut self) {
        self.pay_row();
        self.flush();
        if matches!(self.out.as_bytes().last(), Some(b',' | b' ')) && self.is_in_list() {
            self.owed = Owed::Nothing;
            return;
        }
        self.pay();
        self.out.push('?');
    }

    /// Whether the text ends in `?` but for a comma and blanks, which then go.
    fn is_in_list(&mut self) -> bool {
        let before = without_blanks(self.out.as_bytes()).strip_suffix(b",").map(without_blanks);
        let Some(before) = before.filter(|text| text.last() == Some(&b'?')) else { return false };
        let length = before.len();
        self.out.truncate(length);
        true
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

impl<'a> Sink<'a> for Sanitizer<'a, '_> {
    #[inline(always)]
    fn space(&mut self, text: &'a [u8]) {
        let end = self.end(text);
        // One blank inside a run stays in the run.
        if text == b" " && self.from < self.to {
            self.to = end;
            return;
        }
        self.comment(text);
    }

    #[inline(always)]
    fn comment(&mut self, text: &'a [u8]) {
        let end = self.end(text);
        if matches!(self.owed, Owed::Row { .. }) {
            self.pay_row();
        }
        self.flush();
        self.owed = Owed::Space;
        self.skip(end);
    }

    #[inline(always)]
    fn word(&mut self, text: &'a [u8]) {
        if self.owed != Owed::Nothing {
            self.pay();
        }
        self.to = self.end(text);
    }

    #[inline(always)]
    fn name(&mut self, text: &'a [u8]) {
        self.word(text);
    }

    #[inline(always)]
    fn literal(&mut self, text: &'a [u8]) {
        let end = self.end(text);
        let run = self.sql.get(self.from..self.to).unwrap_or_default();
        match (run, self.owed, self.out.as_bytes()) {
            // Lists are what there are most of: the comma is not even written.
            ([b','] | [b',', b' '], Owed::Row { .. }, _) => {}
            ([b','] | [b',', b' '], _, [.., b'?']) => self.owed = Owed::Nothing,
            ([b',', b'('] | [b',', b' ', b'('], Owed::Nothing, [.., b'(', b'?', b')']) => {
                self.owed = Owed::Row { from: self.from, to: self.to };
            }
            ([], Owed::Space, [.., b'?' | b'=' | b'a'..=b'z' | b'A'..=b'Z']) => {
                self.owed = Owed::Nothing;
                self.out.push_str(" ?");
            }
            _ => self.write_literal(),
        }
        self.skip(end);
    }

    #[inline(always)]
    fn more(&mut self, text: &'a [u8]) {
        self.skip(self.end(text));
    }

    #[inline(always)]
    fn symbol(&mut self, text: &'a [u8]) {
        let end = self.end(text);
        if self.owed != Owed::Nothing {
            match (self.owed, text) {
                (Owed::Row { .. }, b")") if self.from == self.to => {
                    self.owed = Owed::Nothing;
                    return self.skip(end);
                }
                (Owed::Row { .. }, b",") if self.from == self.to => {}
                _ => self.pay(),
            }
        }
        self.to = end;
        // The last of `(?)`.
        if text == b")" && self.out.as_bytes().last() == Some(&b'?') {
            self.flush();
            self.join_rows();
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
