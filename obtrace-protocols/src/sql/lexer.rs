//! Cuts SQL text into tokens. Any bytes are accepted; what is not terminated ends with the text.
//!
//! Where not all of the dialect is known, a token that may end at more than one place is a literal that ends with the
//! text: what stands behind it may be data. So is a string with a backslash that may be the second byte of a character.

mod doubt;

use super::{Grammar, Known};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `-- …`, `/* … */`, in MySQL also `# …`.
    Comment,
    /// A keyword or an unquoted identifier.
    Word,
    /// A quoted identifier, with its quotes.
    Name,
    /// A string, a number or a bit string, with its prefix, quotes and sign; a lone `?`.
    Literal,
    /// Everything else: `$1`, operators, punctuation.
    Symbol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    kind: Kind,
    text: &'a [u8],
}

/// Takes tokens. A function a kind, so that what is done with a token is decided where it is cut off.
pub(super) trait Sink<'a> {
    fn space(&mut self, text: &'a [u8]);
    fn comment(&mut self, text: &'a [u8]);
    fn word(&mut self, text: &'a [u8]);
    fn name(&mut self, text: &'a [u8]);
    /// A literal or a placeholder.
    fn literal(&mut self, text: &'a [u8]);
    fn symbol(&mut self, text: &'a [u8]);

    /// What belongs to the literal before.
    #[inline(always)]
    fn more(&mut self, _text: &'a [u8]) {}

    /// Whether it wants more.
    #[inline(always)]
    fn goes_on(&self) -> bool {
        true
    }
}

/// Two that take the same tokens.
impl<'a, A: Sink<'a>, B: Sink<'a>> Sink<'a> for (A, B) {
    #[inline(always)]
    fn space(&mut self, text: &'a [u8]) {
        self.0.space(text);
        self.1.space(text);
    }

    #[inline(always)]
    fn comment(&mut self, text: &'a [u8]) {
        self.0.comment(text);
        self.1.comment(text);
    }

    #[inline(always)]
    fn word(&mut self, text: &'a [u8]) {
        self.0.word(text);
        self.1.word(text);
    }

    #[inline(always)]
    fn name(&mut self, text: &'a [u8]) {
        self.0.name(text);
        self.1.name(text);
    }

    #[inline(always)]
    fn literal(&mut self, text: &'a [u8]) {
        self.0.literal(text);
        self.1.literal(text);
    }

    #[inline(always)]
    fn more(&mut self, text: &'a [u8]) {
        self.0.more(text);
        self.1.more(text);
    }

    #[inline(always)]
    fn symbol(&mut self, text: &'a [u8]) {
        self.0.symbol(text);
        self.1.symbol(text);
    }
}

/// No operator is longer: names have 63 bytes.
const MAX_OPERATOR: usize = 63;

/// What a backslash is in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backslash {
    Plain,
    Escapes,
    /// One of both.
    Unknown,
}

pub(super) struct Lexer<'a> {
    rest: &'a [u8],
    grammar: Grammar,
    /// The last token that is neither white space nor a comment. It decides what a sign after it is.
    last: Option<Token<'a>>,
    /// The last token was a string with backslash escapes: PostgreSQL reads a string that continues it the same way.
    escapes: bool,
    /// Inside of a comment whose text MySQL runs.
    conditional: bool,
    /// So many signs follow that are tokens of their own, known from the operator that they were cut off.
    signs: usize,
}

/// What a token may be by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Space,
    Word,
    /// A word that may be the prefix of a string.
    Prefix,
    Digit,
    /// `?`
    Question,
    /// Where the dialect and the next bytes decide, and all operators.
    Mixed,
    /// A symbol of one byte, always.
    Single,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Single; 256];
    let mut byte = 0;
    #[expect(clippy::indexing_slicing, reason = "at most 255")]
    while byte < 256 {
        classes[byte] = match byte as u8 {
            0..=b' ' | 0x7f => Class::Space,
            b'b' | b'B' | b'e' | b'E' | b'n' | b'N' | b'u' | b'U' | b'x' | b'X' => Class::Prefix,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => Class::Word,
            b'0'..=b'9' => Class::Digit,
            b'?' => Class::Question,
            b'(' | b')' | b',' | b';' | b':' | b']' | b'{' | b'}' | b'\\' => Class::Single,
            _ => Class::Mixed,
        };
        byte += 1;
    }
    classes
};

#[inline]
fn class(byte: u8) -> Class {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::Single)
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(sql: &'a [u8], grammar: Grammar) -> Self {
        Self { rest: sql, grammar, last: None, escapes: false, conditional: false, signs: 0 }
    }

    fn mysql(&self) -> bool {
        self.grammar.dialect.is_mysql()
    }

    /// What a backslash is in a plain string.
    fn backslash(&self) -> Backslash {
        match self.grammar.known {
            Known::Dialect if self.grammar.dialect.backslash_escapes() => Backslash::Escapes,
            Known::Dialect => Backslash::Plain,
            Known::Family | Known::Nothing => Backslash::Unknown,
        }
    }

    /// Whether the last token can be the left side of a binary operator: a sign after it is not part of a number.
    fn operand(&self) -> bool {
        self.last.is_some_and(|last| match last.kind {
            Kind::Word => !precedes_operand(last.text),
            Kind::Symbol => matches!(last.text.first(), Some(b')' | b']' | b'$')),
            _ => true,
        })
    }

    fn mixed(&mut self, first: u8) -> (Kind, usize) {
        // Another sign follows each but the last, so that they begin neither a number nor a comment.
        if self.signs > 1 {
            return (Kind::Symbol, core::mem::replace(&mut self.signs, 1).saturating_sub(1));
        }
        let rest = self.rest;
        let second = rest.get(1).copied();
        if self.grammar.known == Known::Nothing && self.is_doubtful(first, second) {
            return (Kind::Literal, rest.len());
        }
        match first {
            b'.' if is_digit(second) && !self.operand() => (Kind::Literal, number(rest)),
            b'-' if second == Some(b'-') => self.dashes(),
            b'#' if self.mysql() => (Kind::Comment, self.line_comment()),
            b'/' if second == Some(b'*') && self.is_conditional() => {
                self.conditional = true;
                (Kind::Comment, conditional_head(rest))
            }
            b'*' if second == Some(b'/') && self.conditional => {
                self.conditional = false;
                (Kind::Comment, 2)
            }
            b'/' if second == Some(b'*') => (Kind::Comment, block_comment(rest, !self.mysql())),
            b'-' | b'+' if self.number_follows_sign() && !self.operand() => {
                (Kind::Literal, number(rest.get(1..).unwrap_or_default()).saturating_add(1))
            }
            b'\'' if self.escapes => (Kind::Literal, quoted(rest, Backslash::Escapes)),
            b'\'' => (Kind::Literal, quoted(rest, self.backslash())),
            b'"' if self.mysql() => (Kind::Literal, quoted(rest, self.backslash())),
            b'"' => (Kind::Name, quoted(rest, Backslash::Plain)),
            b'`' if self.mysql() => (Kind::Name, quoted(rest, Backslash::Plain)),
            b'$' => self.dollar(second),
            _ if self.is_operator(first) => (Kind::Symbol, self.operator()),
            _ => (Kind::Symbol, 1),
        }
    }

    fn prefixed(&mut self, first: u8) -> (Kind, usize) {
        let rest = self.rest;
        match (first, rest.get(1), rest.get(2)) {
            (b'e' | b'E', Some(b'\''), _) if !self.mysql() => {
                self.escapes = true;
                (Kind::Literal, quoted_after(rest, 1, Backslash::Escapes))
            }
            (b'b' | b'B' | b'x' | b'X' | b'n' | b'N', Some(b'\''), _) => {
                (Kind::Literal, quoted_after(rest, 1, self.backslash()))
            }
            (b'u' | b'U', Some(b'&'), Some(b'\'')) if !self.mysql() => {
                (Kind::Literal, quoted_after(rest, 2, Backslash::Plain))
            }
            (b'u' | b'U', Some(b'&'), Some(b'"')) if !self.mysql() => {
                (Kind::Name, quoted_after(rest, 2, Backslash::Plain))
            }
            _ => (Kind::Word, 1),
        }
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

    /// MySQL wants white space after the dashes. So counts what becomes white space, or text that was read once would
    /// not be read the same again.
    fn dashes(&self) -> (Kind, usize) {
        let count = run(self.rest, |byte| byte == b'-');
        let is_comment = match self.rest.get(count..).unwrap_or_default() {
            [] => false,
            [b'#', ..] | [b'/', b'*', ..] => true,
            [b'*', b'/', ..] => self.conditional,
            [next, ..] => class(*next) == Class::Space,
        };
        if !self.mysql() || is_comment {
            return (Kind::Comment, self.line_comment());
        }
        // The last one may be the sign of a number; the others are not looked at again.
        (Kind::Symbol, count.saturating_sub(1))
    }

    /// Whether a `?` in front stands for a value: in PostgreSQL it begins operators, too.
    fn is_placeholder(&self) -> bool {
        let next = self.rest.get(1..).unwrap_or_default();
        self.mysql()
            || !next.first().is_some_and(|&byte| self.is_operator(byte))
            || next.starts_with(b"/*")
            || next.starts_with(b"--")
    }

    /// Whether the text of a comment is run: `/*! … */`, in MariaDB also `/*M! … */`
    /// ([comments](https://dev.mysql.com/doc/refman/8.4/en/comments.html)).
    fn is_conditional(&self) -> bool {
        self.mysql() && matches!(self.rest, [_, _, b'!', ..] | [_, _, b'M', b'!', ..])
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
    fn operator(&mut self) -> usize {
        let mut length = 0_usize;
        let mut special = false;
        while let Some(&byte) = self.rest.get(length) {
            let next = self.rest.get(length.saturating_add(1));
            let comment = matches!((byte, next), (b'-', Some(b'-')) | (b'/', Some(b'*')))
                || self.conditional && byte == b'*' && next == Some(&b'/');
            if !self.is_operator(byte) || (comment && length > 0) || length >= MAX_OPERATOR {
                break;
            }
            special |= !matches!(byte, b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=');
            length = length.saturating_add(1);
        }
        let whole = length;
        if !special {
            while length > 1 && matches!(self.rest.get(length.saturating_sub(1)), Some(b'+' | b'-')) {
                length = length.saturating_sub(1);
            }
        }
        // Not looked at again, or a run of signs would cost its length for each.
        self.signs = whole.saturating_sub(length);
        length.max(1)
    }
}

impl<'a> Lexer<'a> {
    /// Gives all tokens, or as many as are wanted.
    #[inline]
    pub(super) fn give(mut self, to: &mut impl Sink<'a>) {
        while to.goes_on()
            && let Some(&first) = self.rest.first()
        {
            match class(first) {
                Class::Single => {
                    let text = self.cut(1);
                    self.note(Kind::Symbol, text);
                    to.symbol(text);
                }
                Class::Space => {
                    let is_space = |byte: u8| class(byte) == Class::Space;
                    let one = !self.rest.get(1).is_some_and(|&byte| is_space(byte));
                    let length = if one { 1 } else { run(self.rest, is_space) };
                    to.space(self.cut(length));
                }
                Class::Prefix if matches!(self.rest.get(1), Some(b'\'' | b'&')) => {
                    let (kind, length) = self.prefixed(first);
                    self.give_one(first, kind, length, to);
                }
                Class::Word | Class::Prefix => {
                    let text = self.cut(run(self.rest, is_word));
                    self.note(Kind::Word, text);
                    to.word(text);
                }
                Class::Digit => {
                    let text = self.cut(number(self.rest));
                    self.note(Kind::Literal, text);
                    to.literal(text);
                }
                Class::Question if self.is_placeholder() => {
                    let text = self.cut(1);
                    self.note(Kind::Literal, text);
                    to.literal(text);
                }
                Class::Question | Class::Mixed => {
                    let (kind, length) = self.mixed(first);
                    self.give_one(first, kind, length, to);
                }
            }
        }
    }

    #[inline]
    fn give_one(&mut self, first: u8, kind: Kind, length: usize, to: &mut impl Sink<'a>) {
        let escapes = self.escapes;
        let text = self.cut(length);
        if kind == Kind::Comment {
            return to.comment(text);
        }
        self.note(kind, text);
        match kind {
            Kind::Word => to.word(text),
            Kind::Name => to.name(text),
            Kind::Symbol => to.symbol(text),
            Kind::Literal | Kind::Comment => {
                // Set by `prefixed` for this token, or inherited by a string that continues one.
                self.escapes = escapes && (first == b'\'' || first | 0x20 == b'e');
                to.literal(text);
            }
        }
    }

    /// Takes a token off the front.
    #[inline]
    fn cut(&mut self, length: usize) -> &'a [u8] {
        let (text, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        text
    }

    /// Remembers a token that is neither white space nor a comment.
    #[inline]
    fn note(&mut self, kind: Kind, text: &'a [u8]) {
        self.escapes = false;
        self.last = Some(Token { kind, text });
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

#[inline]
fn is_word(byte: u8) -> bool {
    matches!(class(byte), Class::Word | Class::Prefix | Class::Digit) || byte == b'$'
}

/// How many bytes at the front belong.
#[inline]
fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !belongs(byte)).unwrap_or(bytes.len())
}

/// Integers in any base, decimals, exponents, digit separators, and whatever else clings to them.
#[inline]
fn number(bytes: &[u8]) -> usize {
    let digits = run(bytes, |byte| byte.is_ascii_digit());
    match bytes.get(digits) {
        Some(&next) if is_word(next) || next == b'.' => any_number(bytes),
        _ => digits,
    }
}

/// Not only one of digits.
fn any_number(bytes: &[u8]) -> usize {
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

/// From an opening quote to the closing one; a doubled quote stands for itself. All bytes where that is in doubt.
fn quoted(bytes: &[u8], backslash: Backslash) -> usize {
    let Some(&quote) = bytes.first() else { return 0 };
    let mut at = 1_usize;
    // Up to here it is whole characters of UTF-8.
    let mut checked = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at.saturating_add(1));
        let escapes = byte == b'\\' && backslash != Backslash::Plain;
        if escapes {
            if backslash == Backslash::Unknown && next == Some(&quote) {
                return bytes.len();
            }
            if bytes.get(at.saturating_sub(1)).is_some_and(|&before| before >= MIN_LEAD) {
                // The second byte of a character of GBK, Big5, Shift JIS.
                if bytes.get(checked..at).is_none_or(|text| core::str::from_utf8(text).is_err()) {
                    return bytes.len();
                }
                checked = at;
            }
        }
        let pair = escapes || byte == quote && next == Some(&quote);
        if byte == quote && !pair {
            return at.saturating_add(1);
        }
        at = at.saturating_add(if pair { 2 } else { 1 });
    }
    bytes.len()
}

/// The least first byte of a character of two.
const MIN_LEAD: u8 = 0x81;

fn quoted_after(bytes: &[u8], prefix: usize, backslash: Backslash) -> usize {
    prefix.saturating_add(quoted(bytes.get(prefix..).unwrap_or_default(), backslash))
}

/// What is in front of a text that is run: with the version from which it is, in five digits or six.
fn conditional_head(bytes: &[u8]) -> usize {
    let mark = if bytes.get(2) == Some(&b'!') { 3 } else { 4 };
    let digits = run(bytes.get(mark..).unwrap_or_default(), |byte| byte.is_ascii_digit());
    if matches!(digits, 5 | 6) { mark.saturating_add(digits) } else { mark }
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
