//! The words and operators of a shell script, as far as a command line in a Pod needs them.
//!
//! Nothing is expanded and nothing is copied: a word is the text as it stands there, without the quotes around the
//! whole of it. What cannot be read so (here-documents, functions) is said to be unreadable, not guessed at.
//! Grammar: POSIX.1-2024, XCU chapter 2.

/// What the reader finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Token<'a> {
    /// A word; `quoted` if quotes stood around the whole of it, so that it is no keyword and no assignment.
    Word { text: &'a str, quoted: bool },
    /// `&&`
    And,
    /// `||`
    Or,
    /// `|`
    Pipe,
    /// `;` or a line's end
    End,
    /// `;;`, behind a branch of `case`
    Branch,
    /// `&`
    Background,
    /// `(`
    Open,
    /// `)`
    Close,
    /// What this reader does not understand; nothing follows.
    Unreadable,
}

/// Reads a script token by token.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    script: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(script: &'a str) -> Self {
        Self { script, at: 0 }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.script.as_bytes().get(self.at + ahead).copied()
    }

    fn skip_blanks(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b' ' | b'\t' | b'\r'), _) => self.at += 1,
                (Some(b'\\'), Some(b'\n')) => self.at += 2,
                (Some(b'#'), _) => {
                    let rest = self.script.as_bytes().get(self.at..).unwrap_or(&[]);
                    self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    /// Takes a redirection with its target; `None` if there is none here, `Some(false)` if it cannot be read.
    fn redirection(&mut self) -> Option<bool> {
        let mut digits = 0;
        while self.peek(digits).is_some_and(|byte| byte.is_ascii_digit()) {
            digits += 1;
        }
        let both = digits == 0 && self.peek(0) == Some(b'&') && self.peek(1) == Some(b'>');
        let start = if both { 1 } else { digits };
        let direction = self.peek(start).filter(|byte| matches!(byte, b'<' | b'>'))?;
        self.at += start + 1;
        match (direction, self.peek(0)) {
            (b'<', Some(b'<')) => return Some(false),
            (_, Some(b'>' | b'|' | b'&')) => self.at += 1,
            _ => {}
        }
        self.skip_blanks();
        // A parenthesis begins the command of a process substitution.
        let substitution = self.peek(0) == Some(b'(');
        Some(matches!(self.word(), Some(Token::Word { text, quoted }) if quoted || substitution || !text.is_empty()))
    }

    /// Takes a word, which begins here.
    fn word(&mut self) -> Option<Token<'a>> {
        let start = self.at;
        let first = self.peek(0);
        let mut whole = matches!(first, Some(b'\'' | b'"'));
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => break,
                b'\'' | b'"' | b'`' | b'$' => {
                    whole &= self.at == start;
                    self.at = self.quotation(byte)?;
                }
                b'\\' => {
                    whole = false;
                    self.at += 2;
                }
                _ => {
                    whole = false;
                    self.at += 1;
                }
            }
        }
        let text = self.script.get(start..self.at.min(self.script.len()))?;
        let inner = text.get(1..text.len().saturating_sub(1)).filter(|_| whole && text.len() >= 2);
        Some(Token::Word { text: inner.unwrap_or(text), quoted: inner.is_some() })
    }

    /// Where the quotation or substitution that begins here is over; `None` if it never is.
    fn quotation(&self, opening: u8) -> Option<usize> {
        match (opening, self.peek(1)) {
            (b'\'', _) => self.after(self.at + 1, b'\''),
            (b'"', _) => self.after_double(self.at + 1),
            (b'`', _) => self.after(self.at + 1, b'`'),
            (_, Some(b'(')) => self.after_nested(self.at + 2, b'(', b')'),
            (_, Some(b'{')) => self.after_nested(self.at + 2, b'{', b'}'),
            _ => Some(self.at + 1),
        }
    }

    fn after(&self, from: usize, closing: u8) -> Option<usize> {
        let rest = self.script.as_bytes().get(from..)?;
        rest.iter().position(|byte| *byte == closing).map(|at| from + at + 1)
    }

    fn after_double(&self, mut at: usize) -> Option<usize> {
        loop {
            match self.script.as_bytes().get(at)? {
                b'"' => return Some(at + 1),
                b'\\' => at += 2,
                b'$' if self.script.as_bytes().get(at + 1) == Some(&b'(') => {
                    at = self.after_nested(at + 2, b'(', b')')?;
                }
                _ => at += 1,
            }
        }
    }

    /// Behind the bracket that closes this one; quoted brackets inside count only if they come in pairs.
    fn after_nested(&self, mut at: usize, opening: u8, closing: u8) -> Option<usize> {
        let mut depth = 1_usize;
        while depth > 0 {
            let byte = *self.script.as_bytes().get(at)?;
            match byte {
                b'\\' => at += 1,
                _ if byte == opening => depth += 1,
                _ if byte == closing => depth -= 1,
                _ => {}
            }
            at += 1;
        }
        Some(at)
    }

    fn operator(&mut self) -> Option<Token<'a>> {
        let (token, len) = match (self.peek(0)?, self.peek(1)) {
            (b'&', Some(b'&')) => (Token::And, 2),
            (b'&', _) => (Token::Background, 1),
            (b'|', Some(b'|')) => (Token::Or, 2),
            (b'|', Some(b'&')) => (Token::Pipe, 2),
            (b'|', _) => (Token::Pipe, 1),
            (b';', Some(b';')) => (Token::Branch, 2),
            (b';' | b'\n', _) => (Token::End, 1),
            (b'(', _) => (Token::Open, 1),
            (b')', _) => (Token::Close, 1),
            _ => return None,
        };
        self.at += len;
        Some(token)
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.skip_blanks();
            self.peek(0)?;
            match self.redirection() {
                Some(true) => continue,
                Some(false) => break,
                None => {}
            }
            if let Some(token) = self.operator() {
                return Some(token);
            }
            match self.word() {
                Some(word) => return Some(word),
                None => break,
            }
        }
        self.at = self.script.len();
        Some(Token::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use super::*;

    /// Words in brackets if they were quoted, operators as they are written.
    fn read(script: &str) -> String {
        let shown = Lexer::new(script).map(|token| match token {
            Token::Word { text, quoted: true } => alloc::format!("[{text}]"),
            Token::Word { text, .. } => text.into(),
            Token::And => "&&".into(),
            Token::Or => "||".into(),
            Token::Pipe => "|".into(),
            Token::End => ";".into(),
            Token::Branch => ";;".into(),
            Token::Background => "&".into(),
            Token::Open => "(".into(),
            Token::Close => ")".into(),
            Token::Unreadable => "?".into(),
        });
        shown.collect::<Vec<String>>().join(" ")
    }

    #[test]
    fn words_and_operators_are_told_apart() {
        assert_eq!(read("a b&&c||d;e|f&g"), "a b && c || d ; e | f & g");
        assert_eq!(read("(a; b) &"), "( a ; b ) &");
        assert_eq!(read("a \\\n  b # c\nd"), "a b ; d");
        assert_eq!(read("a#b"), "a#b");
    }

    #[test]
    fn quotes_around_a_whole_word_are_taken_off() {
        assert_eq!(read("'a b' \"c d\""), "[a b] [c d]");
        assert_eq!(read("--x='a b' \"$A\"/b a\\ b"), "--x='a b' \"$A\"/b a\\ b");
        assert_eq!(read("'a''b'"), "'a''b'");
        assert_eq!(read("\"a\\\"b $(c \"d\") e\""), "[a\\\"b $(c \"d\") e]");
        assert_eq!(read("''"), "[]");
    }

    #[test]
    fn expansions_are_one_word() {
        assert_eq!(read("$(a b) ${A:-b c} `d e` $F"), "$(a b) ${A:-b c} `d e` $F");
    }

    #[test]
    fn redirections_are_left_out() {
        assert_eq!(read("a > b 2>&1 < c &> d >>'e f' 3"), "a 3");
        assert_eq!(read("a 20 >b"), "a 20");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for script in ["'a", "\"a", "$(a", "`a", "cat <<EOF\na\nEOF", "a > "] {
            assert!(read(script).ends_with('?'), "{script:?}: {}", read(script));
        }
    }
}
