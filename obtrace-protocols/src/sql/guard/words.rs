//! The words that tell secrets from what stands around them, in lower case.

use crate::credential::{SHORTEST, is_secret};

/// Whether a word is one of these, which are in lower case.
#[inline]
pub(super) fn is_one_of(word: &[u8], words: &[&[u8]]) -> bool {
    let Some(first) = word.first().map(u8::to_ascii_lowercase) else { return false };
    words.iter().any(|known| known.first() == Some(&first) && known.eq_ignore_ascii_case(word))
}

/// A word that says what the value behind it is: `MASTER_USER`, `mysql_native_password`.
pub(super) fn is_option(word: &[u8]) -> bool {
    if word.len() < SHORTEST {
        return false;
    }
    let begins = |with: &[u8]| word.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    begins(b"master_") || begins(b"source_") || is_secret(word)
}

fn is_space(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// Whether a word in front of this text stands by itself.
pub(super) fn ends_word(rest: &[u8]) -> bool {
    match rest {
        [] | [b'=' | b'(' | b')' | b',' | b';' | b'\'' | b'"' | b'?', ..] | [b'/', b'*', ..] => true,
        [byte, ..] => is_space(*byte),
    }
}

/// Longer than each word that is kept.
const LONG: usize = 22;

/// Whether a value, or a word that is none of grammar, is the next in this text.
pub(super) fn precedes_value(rest: &[u8]) -> bool {
    let start = rest.iter().position(|&byte| !is_space(byte)).unwrap_or(rest.len());
    let rest = rest.get(start..).unwrap_or_default();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80;
    match rest {
        [b'(' | b'\'' | b'"' | b'?', ..] => true,
        [byte, ..] if is_word(*byte) => {
            let length = rest.iter().take(LONG).position(|&byte| !is_word(byte)).unwrap_or(rest.len().min(LONG));
            !is_kept(rest.get(..length).unwrap_or_default())
        }
        _ => false,
    }
}

pub(super) const IDENTIFIED: &[u8] = b"identified";
/// What makes `IDENTIFIED` more than a column.
pub(super) const METHODS: [&[u8]; 5] = [b"as", b"by", b"using", b"via", b"with"];
/// What begins an expression rather than is a value.
pub(super) const EXPRESSIONS: [&[u8]; 10] =
    [b"all", b"any", b"binary", b"case", b"default", b"exists", b"not", b"null", b"select", b"some"];
pub(super) const CHANGES: [&[u8]; 2] = [b"alter", b"create"];
pub(super) const SETTINGS: [&[u8]; 3] = [b"change", b"set", b"start"];
pub(super) const QUERIES: [&[u8]; 4] = [b"delete", b"insert", b"select", b"update"];
pub(super) const FUNCTIONS: [&[u8]; 2] = [b"old_password", b"password"];
/// What is created with credentials, or settings that may be such.
pub(super) const ACCOUNTS: [&[u8]; 18] = [
    b"application",
    b"asymmetric",
    b"certificate",
    b"connection",
    b"credential",
    b"data",
    b"database",
    b"group",
    b"instance",
    b"key",
    b"login",
    b"master",
    b"role",
    b"secret",
    b"server",
    b"subscription",
    b"system",
    b"user",
];
/// What is created with columns, parameters and queries, in which a password is a name.
pub(super) const OBJECTS: [&[u8]; 14] = [
    b"aggregate",
    b"domain",
    b"event",
    b"function",
    b"index",
    b"policy",
    b"procedure",
    b"rule",
    b"schema",
    b"sequence",
    b"table",
    b"trigger",
    b"type",
    b"view",
];
/// A value follows them.
pub(super) const PRECEDE: [&[u8]; 6] = [b"as", b"by", b"replace", b"to", b"using", b"values"];
/// They say what kind of value follows.
pub(super) const KINDS: [&[u8]; 2] = [b"password", b"values"];
/// They stand for a value.
pub(super) const VALUES: [&[u8]; 3] = [b"default", b"null", b"random"];
/// They stand behind the name of a value; all of them are kept elsewhere, too.
pub(super) const BETWEEN: [&[u8]; 13] = [
    b"as",
    b"by",
    b"expire",
    b"for",
    b"from",
    b"history",
    b"limit",
    b"require",
    b"retain",
    b"reuse",
    b"to",
    b"unbounded",
    b"using",
];
/// Whether a statement that manages accounts is made of this word.
pub(super) fn is_kept(word: &[u8]) -> bool {
    let words: &[&[u8]] = match word.len() {
        2 => &[b"as", b"by", b"if", b"in", b"no", b"on", b"or", b"to"],
        3 => &[b"add", b"and", b"day", b"for", b"not", b"old", b"set", b"ssl", b"via"],
        4 => &[b"drop", b"from", b"lock", b"none", b"null", b"role", b"user", b"with", b"x509"],
        5 => &[
            b"admin", b"grant", b"group", b"limit", b"login", b"never", b"reuse", b"until", b"using", b"valid",
            b"where",
        ],
        6 => &[b"enable", b"expire", b"issuer", b"option", b"random", b"retain", b"unlock", b"values"],
        7 => &[
            b"account", b"comment", b"current", b"default", b"disable", b"discard", b"history", b"inherit", b"initial",
            b"nologin", b"options", b"replace", b"require", b"subject",
        ],
        8 => &[b"createdb", b"interval", b"optional", b"password"],
        9 => &[b"encrypted", b"superuser", b"unbounded"],
        10 => &[b"connection", b"createrole", b"externally", b"identified", b"tablespace"],
        11 => &[b"publication", b"replication"],
        21 => &[b"failed_login_attempts"],
        _ => return false,
    };
    is_one_of(word, words)
}
