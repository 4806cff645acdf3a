//! Cuts SQL text into tokens. Any bytes are accepted; what is not terminated ends with the text.

use super::Dialect;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// White space and control characters.
    Space,
    /// `-- …`, `/* … */`, in MySQL also `# …`.
    Comment,
    /// A keyword or an unquoted identifier.
    Word,
    /// A quoted identifier, with its quotes.
    Name,
    /// A string, a number or a bit string: with its prefix, quotes and sign.
    Literal,
    /// A lone `?`.
    Placeholder,
    /// Everything else: `$1`, operators, punctuation.
    Symbol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a [u8],
}

/// No operator is longer: names have 63 bytes. Keeps the cost linear where a run of signs is cut to its first.
const MAX_OPERATOR: usize = 63;

pub(super) struct Lexer<'a> {
    rest: &'a [u8],
    dialect: Dialect,
    /// The last token can be the left side of a binary operator: a sign after it is not part of a number.
    operand: bool,
    /// The last token was a string with backslash escapes: PostgreSQL reads a string that continues it the same way.
    escapes: bool,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(sql: &'a [u8], dialect: Dialect) -> Self {
        Self { rest: sql, dialect, operand: false, escapes: false }
    }

    fn mysql(&self) -> bool {
        self.dialect == Dialect::MySql
    }

    /// Kind and length of the token at the front.
    fn scan(&mut self, first: u8) -> (Kind, usize) {
        let rest = self.rest;
        let second = rest.get(1).copied();
        match first {
            0..=b' ' | 0x7f => (Kind::Space, run(rest, |byte| byte <= b' ' || byte == 0x7f)),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => self.word(first, second),
            b'0'..=b'9' => (Kind::Literal, number(rest)),
            b'.' if !self.operand && is_digit(second) => (Kind::Literal, number(rest)),
            b'-' if second == Some(b'-') && self.is_dash_comment() => (Kind::Comment, self.line_comment()),
            b'#' if self.mysql() => (Kind::Comment, self.line_comment()),
            b'/' if second == Some(b'*') => (Kind::Comment, block_comment(rest, !self.mysql())),
            b'-' | b'+' if !self.operand && self.number_follows_sign() => {
                (Kind::Literal, number(rest.get(1..).unwrap_or_default()).saturating_add(1))
            }
            b'\'' => (Kind::Literal, quoted(rest, self.escapes || self.dialect.backslash_escapes())),
            b'"' if self.mysql() => (Kind::Literal, quoted(rest, true)),
            b'"' => (Kind::Name, quoted(rest, false)),
            b'`' if self.mysql() => (Kind::Name, quoted(rest, false)),
            b'$' => self.dollar(second),
            b'?' if !second.is_some_and(|byte| self.is_operator(byte)) => (Kind::Placeholder, 1),
            _ if self.is_operator(first) => (Kind::Symbol, self.operator()),
            _ => (Kind::Symbol, 1),
        }
    }

    fn word(&mut self, first: u8, second: Option<u8>) -> (Kind, usize) {
        let rest = self.rest;
        let third = rest.get(2).copied();
        match (first, second, third) {
            (b'e' | b'E', Some(b'\''), _) if !self.mysql() => {
                self.escapes = true;
                return (Kind::Literal, quoted_after(rest, 1, true));
            }
            (b'b' | b'B' | b'x' | b'X' | b'n' | b'N', Some(b'\''), _) => {
                return (Kind::Literal, quoted_after(rest, 1, self.dialect.backslash_escapes()));
            }
            (b'u' | b'U', Some(b'&'), Some(b'\'')) if !self.mysql() => {
                return (Kind::Literal, quoted_after(rest, 2, false));
            }
            (b'u' | b'U', Some(b'&'), Some(b'"')) if !self.mysql() => {
                return (Kind::Name, quoted_after(rest, 2, false));
            }
            _ => {}
        }
        (Kind::Word, run(rest, is_word))
    }

    /// `$1`, `$tag$ … $tag$`, or a dollar sign.
    fn dollar(&self, second: Option<u8>) -> (Kind, usize) {
        let after = self.rest.get(1..).unwrap_or_default();
        if is_digit(second) {
            return (Kind::Symbol, run(after, |byte| byte.is_ascii_digit()).saturating_add(1));
        }
        if self.mysql() {
            return (Kind::Word, run(self.rest, is_word));
        }
        let tag = run(after, |byte| byte != b'$' && is_word(byte));
        if after.get(tag) != Some(&b'$') {
            return (Kind::Symbol, 1);
        }
        let tag = tag.saturating_add(2);
        let (open, body) = self.rest.split_at_checked(tag).unwrap_or((self.rest, &[]));
        let mut at = 0_usize;
        // A tag holds no inner `$`, so that a comparison never runs past the next candidate: linear.
        while let Some(next) = body.get(at..).and_then(|left| left.iter().position(|&byte| byte == b'$')) {
            at = at.saturating_add(next);
            if body.get(at..).is_some_and(|left| left.starts_with(open)) {
                return (Kind::Literal, tag.saturating_add(at).saturating_add(tag));
            }
            at = at.saturating_add(1);
        }
        (Kind::Literal, self.rest.len())
    }

    fn number_follows_sign(&self) -> bool {
        match self.rest.get(1) {
            Some(b'.') => is_digit(self.rest.get(2).copied()),
            second => is_digit(second.copied()),
        }
    }

    /// MySQL wants white space after the dashes.
    fn is_dash_comment(&self) -> bool {
        !self.mysql() || self.rest.get(2).is_none_or(|&byte| byte <= b' ')
    }

    fn line_comment(&self) -> usize {
        let mysql = self.mysql();
        run(self.rest, |byte| byte != b'\n' && (mysql || byte != b'\r'))
    }

    fn is_operator(&self, byte: u8) -> bool {
        match byte {
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'%' | b'^' | b'&' | b'|' => true,
            b'@' | b'#' | b'`' | b'?' => !self.mysql(),
            _ => false,
        }
    }

    /// An operator ends before a comment, and by PostgreSQL's rule does not end in a sign unless it holds one of
    /// ``~!@#%^&|`?``: `=-1` is `=` and `-1`
    /// ([lexical structure](https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-OPERATORS)).
    fn operator(&self) -> usize {
        let mut length = 0_usize;
        let mut special = false;
        for pair in self.rest.windows(2).map(|pair| (pair.first(), pair.last())).chain([(self.rest.last(), None)]) {
            let (Some(&byte), next) = pair else { break };
            let comment = matches!((byte, next), (b'-', Some(b'-')) | (b'/', Some(b'*')));
            if !self.is_operator(byte) || (comment && length > 0) || length >= MAX_OPERATOR {
                break;
            }
            special |= !matches!(byte, b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=');
            length = length.saturating_add(1);
        }
        if !special {
            while length > 1 && matches!(self.rest.get(length.saturating_sub(1)), Some(b'+' | b'-')) {
                length = length.saturating_sub(1);
            }
        }
        length.max(1)
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    #[inline]
    fn next(&mut self) -> Option<Token<'a>> {
        let first = *self.rest.first()?;
        let escapes = self.escapes;
        let (kind, length) = self.scan(first);
        let (text, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        match kind {
            Kind::Space | Kind::Comment => return Some(Token { kind, text }),
            // Set by `word` for this token, or inherited by a string that continues one.
            Kind::Literal => self.escapes = self.escapes && (!escapes || first == b'\'' || first | 0x20 == b'e'),
            _ => self.escapes = false,
        }
        self.operand = match kind {
            Kind::Word => !precedes_operand(text),
            Kind::Symbol => matches!(first, b')' | b']' | b'$'),
            _ => true,
        };
        Some(Token { kind, text })
    }
}

/// Keywords after which a sign belongs to the number that follows it.
fn precedes_operand(word: &[u8]) -> bool {
    const WORDS: [&[u8]; 24] = [
        b"and",
        b"between",
        b"by",
        b"case",
        b"default",
        b"else",
        b"from",
        b"in",
        b"is",
        b"like",
        b"limit",
        b"not",
        b"offset",
        b"on",
        b"or",
        b"return",
        b"returning",
        b"select",
        b"set",
        b"then",
        b"to",
        b"values",
        b"when",
        b"where",
    ];
    word.len() <= 9 && WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn is_digit(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_digit())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// How many bytes at the front belong.
fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !belongs(byte)).unwrap_or(bytes.len())
}

/// Integers in any base, decimals, exponents, digit separators, and whatever else clings to them.
fn number(bytes: &[u8]) -> usize {
    let hex = matches!(bytes, [b'0', b'x' | b'X' | b'b' | b'B' | b'o' | b'O', ..]);
    let mut previous = 0_u8;
    let mut length = 0_usize;
    for &byte in bytes {
        let sign = matches!(byte, b'+' | b'-')
            && !hex
            && matches!(previous, b'e' | b'E')
            && is_digit(bytes.get(length.saturating_add(1)).copied());
        if !(is_word(byte) || byte == b'.' || sign) {
            break;
        }
        previous = byte;
        length = length.saturating_add(1);
    }
    length
}

/// From an opening quote to the closing one; a doubled quote stands for itself.
fn quoted(bytes: &[u8], backslash: bool) -> usize {
    let Some(&quote) = bytes.first() else { return 0 };
    let mut at = 1_usize;
    while let Some(&byte) = bytes.get(at) {
        let pair = (byte == quote && bytes.get(at.saturating_add(1)) == Some(&quote)) || (backslash && byte == b'\\');
        if byte == quote && !pair {
            return at.saturating_add(1);
        }
        at = at.saturating_add(if pair { 2 } else { 1 });
    }
    bytes.len()
}

fn quoted_after(bytes: &[u8], prefix: usize, backslash: bool) -> usize {
    prefix.saturating_add(quoted(bytes.get(prefix..).unwrap_or_default(), backslash))
}

fn block_comment(bytes: &[u8], nests: bool) -> usize {
    let mut depth = 0_usize;
    let mut at = 0_usize;
    while let Some(pair) = bytes.get(at..at.saturating_add(2)) {
        match pair {
            b"/*" if nests || depth == 0 => depth = depth.saturating_add(1),
            b"*/" => depth = depth.saturating_sub(1),
            _ => {
                at = at.saturating_add(1);
                continue;
            }
        }
        at = at.saturating_add(2);
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}
