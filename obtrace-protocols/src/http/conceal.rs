//! Credentials in a URL are not kept: each of their bytes becomes a `*`. Which they are their [names](self::names) say. A
//! name is also found in a URL that is the value of another parameter or a part of the path, and where it is escaped, once
//! or again.

mod forms;
mod kind;
mod names;

use alloc::string::String;
use core::ops::Range;

pub(super) use forms::is_scheme;
pub(crate) use kind::Kind;
pub use names::is_credential;

use self::names::is_concealed;

/// The words before a credential in a field.
const SCHEMES: [&[u8]; 5] = [b"basic", b"bearer", b"digest", b"negotiate", b"token"];
const STARS: &str = "********************************";

/// Conceals what is secret in a request target, which is the text from `from` on. `is_cut`, here and below: there was
/// more of it.
#[inline]
fn target(text: &mut String, from: usize, is_cut: bool) {
    if text.as_bytes().get(from) != Some(&b'/') {
        user(text, from, is_cut);
    }
    path(text, from, is_cut);
}

/// The same in a path, and the query behind it if there is one.
#[inline]
fn path(text: &mut String, from: usize, is_cut: bool) {
    let bytes = text.as_bytes().get(from..).unwrap_or_default();
    match bytes.iter().position(|&byte| forms::marks(byte) & forms::PATH != 0) {
        Some(at) => parts(text, from, from.saturating_add(at), is_cut),
        // The @ may be what was cut.
        None if is_cut => users(text, from, is_cut),
        None => {}
    }
}

/// Parameters of a path, the query, and users in URLs inside. In front of `special` there is none of them.
fn parts(text: &mut String, from: usize, special: usize, is_cut: bool) {
    let bytes = text.as_bytes().get(special..).unwrap_or_default();
    let length = bytes.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(bytes.len());
    let end = special.saturating_add(length);
    parts_of_path(text, special..end, b";", |byte| matches!(byte, b';' | b'/'));
    // Of a URL inside.
    parts_of_path(text, special..end, b"?#", |byte| matches!(byte, b'&' | b';'));
    parameters(text, end.saturating_add(1));
    users(text, from, is_cut);
}

/// Parameters of a path behind the first of these marks, escaped or not.
fn parts_of_path(text: &mut String, path: Range<usize>, marks: &[u8], is_end: fn(&u8) -> bool) {
    let bytes = text.as_bytes().get(path.clone()).unwrap_or_default();
    let mut at = 0_usize;
    while let Some((byte, length)) = bytes.get(at..).and_then(one) {
        at = at.saturating_add(length);
        if marks.contains(&byte) {
            return values(text, path.start.saturating_add(at)..path.end, is_end);
        }
    }
}

/// The same in a query.
fn query(text: &mut String, from: usize, is_cut: bool) {
    parameters(text, from);
    users(text, from, is_cut);
}

fn parameters(text: &mut String, from: usize) {
    let end = text.len();
    values(text, from..end, |byte| matches!(byte, b'&' | b';'));
}

/// Conceals the values of credentials in a part of a text, up to where `is_end` says.
fn values(text: &mut String, mut part: Range<usize>, is_end: fn(&u8) -> bool) {
    while let Some(secret) = next(text.as_bytes().get(part.clone()).unwrap_or_default(), is_end) {
        let secret = part.start.saturating_add(secret.start)..part.start.saturating_add(secret.end);
        part.start = secret.end;
        cover(text, secret);
    }
}

/// Conceals users and passwords of URLs inside of a text, escaped or not. One that ends where its text was cut may
/// begin with them.
fn users(text: &mut String, from: usize, is_cut: bool) {
    let mut at = from;
    while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
        let Some(length) = slashes(rest) else {
            at = at.saturating_add(1);
            continue;
        };
        let start = at.saturating_add(length);
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        let user = match user_of(rest) {
            (_, end) if is_cut && end >= rest.len() => rest.len(),
            (user, _) => user,
        };
        cover(text, start..start.saturating_add(user));
        at = start;
    }
}

/// How long `://` is, if the text begins with it.
fn slashes(text: &[u8]) -> Option<usize> {
    if !matches!(text.first(), Some(b':' | b'%')) {
        return None;
    }
    let mut length = 0_usize;
    for wanted in b"://" {
        let (byte, more) = one(text.get(length..)?)?;
        length = length.saturating_add(more);
        if byte != *wanted {
            return None;
        }
    }
    Some(length)
}

/// Of what follows `://` how long the user is, without the `@`, and how long the authority.
fn user_of(text: &[u8]) -> (usize, usize) {
    let (mut user, mut at) = (0, 0);
    while let Some((byte, length)) = text.get(at..).and_then(one) {
        match byte {
            b'/' | b'?' | b'#' | b'&' | b' ' | b'"' | b'<' | b'>' => break,
            b'@' => user = at,
            _ => {}
        }
        at = at.saturating_add(length);
    }
    (user, at)
}

/// Up to this length bytes are looked at one by one.
const MAX_PRODUCT: usize = 32;

/// Conceals what is secret in the text of a field: values behind names of credentials with `=` or `:`, words behind
/// `Bearer` and the like, users in URLs.
fn field(text: &mut String, from: usize, is_cut: bool) {
    let bytes = text.as_bytes().get(from..).unwrap_or_default();
    // Many are one product.
    if bytes.len() <= MAX_PRODUCT && bytes.iter().fold(0, |found, &byte| found | forms::marks(byte)) & forms::FIELD == 0
    {
        return;
    }
    // Nearly all others are products and comments without any of it. No early ends: so these are comparisons of vectors.
    let (has_names, has_schemes) = (may_name(bytes), may_have_scheme(bytes));
    if has_schemes {
        schemes(text, from);
    }
    if has_names {
        users(text, from, is_cut);
        words(text, from);
    }
}

#[inline]
fn may_name(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, &byte| found | (byte == b'=') | (byte == b':') | (byte == b'%'))
}

/// Whether there are the last two letters of a scheme, and white space or a quote behind them.
#[inline]
fn may_have_scheme(bytes: &[u8]) -> bool {
    let (second, third) = (bytes.get(1..).unwrap_or_default(), bytes.get(2..).unwrap_or_default());
    bytes.iter().zip(second).zip(third).fold(false, |found, ((first, second), &third)| {
        let is = |letters: [u8; 2]| (first | 0x20 == letters[0]) & (second | 0x20 == letters[1]);
        let ends = is(*b"ic") | is(*b"er") | is(*b"st") | is(*b"te") | is(*b"en");
        found | (ends & !third.is_ascii_alphanumeric())
    })
}

/// Conceals values behind names with `=` or `:`.
fn words(text: &mut String, from: usize) {
    let (mut start, mut at) = (from, from);
    while let Some(&byte) = text.as_bytes().get(at) {
        let here = at;
        at = at.saturating_add(1);
        if !matches!(byte, b'=' | b':') {
            continue;
        }
        let named = word_before(text.as_bytes().get(start..here).unwrap_or_default());
        start = at;
        if is_concealed(named) {
            let value = value_behind(text.as_bytes().get(at..).unwrap_or_default(), byte);
            let secret = at.saturating_add(value.start)..at.saturating_add(value.end);
            (start, at) = (secret.end, secret.end);
            cover(text, secret);
        }
    }
}

/// The last word, without what may stand between a name and its mark.
fn word_before(text: &[u8]) -> &[u8] {
    let is_between = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'\\');
    let is_name = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'%' | b'[' | b']' | b'"' | b'\'')
    };
    let behind = |is: &dyn Fn(&u8) -> bool, text: &[u8]| {
        text.iter().rposition(|byte| !is(byte)).map_or(0, |at| at.saturating_add(1))
    };
    let text = text.get(..behind(&is_between, text)).unwrap_or_default();
    text.get(behind(&is_name, text)..).unwrap_or_default()
}

/// Where the value is that follows a mark: up to the quote that ends it if one begins it.
fn value_behind(text: &[u8], mark: u8) -> Range<usize> {
    let count = |from: usize, is: fn(&u8) -> bool| {
        let rest = text.get(from..).unwrap_or_default();
        from.saturating_add(rest.iter().take_while(|byte| is(byte)).count())
    };
    let escape = count(0, |byte| matches!(byte, b' ' | b'\t' | b'>'));
    let start = count(escape, |byte| *byte == b'\\');
    let rest = text.get(start..).unwrap_or_default();
    let Some((quote @ (b'"' | b'\''), value)) = rest.split_first() else {
        // A scheme may stand before what is behind a colon.
        let is_end = |&byte: &u8| {
            matches!(byte, b'"' | b',' | b';' | b')' | b'&') || mark == b'=' && matches!(byte, b' ' | b'\t')
        };
        let length = rest.iter().position(is_end).unwrap_or(rest.len());
        return start..start.saturating_add(length);
    };
    // One behind a backslash is of the value, unless the first one is too.
    let mut before = 0;
    let length = value.iter().position(|byte| {
        let before = core::mem::replace(&mut before, *byte);
        byte == quote && (before != b'\\' || escape < start)
    });
    let start = start.saturating_add(1);
    start..start.saturating_add(length.unwrap_or(value.len()))
}

/// Conceals words behind the name of a scheme of authentication.
fn schemes(text: &mut String, from: usize) {
    let is_break = |byte: &u8| matches!(byte, b' ' | b'\t' | b',' | b';' | b'(' | b')' | b'"');
    let (mut at, mut follows) = (from, false);
    while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
        let length = rest.iter().position(is_break).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let end = at.saturating_add(length);
        if length > 0 {
            let is_scheme = word.len() <= 9 && SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(word));
            if follows && !is_scheme {
                cover(text, at..end);
            }
            follows = is_scheme;
        }
        at = end.saturating_add(1);
    }
}

/// The authority without what is before an @: a user's name and password.
#[inline]
fn authority(authority: &[u8]) -> &[u8] {
    if !authority.contains(&b'@') {
        return authority;
    }
    authority.rsplit(|&byte| byte == b'@').next().unwrap_or_default()
}

/// Conceals the user and the password of an absolute target, or of one that is an authority. What an authority is that
/// ends where its target was cut nobody knows.
fn user(text: &mut String, from: usize, is_cut: bool) {
    let bytes = text.as_bytes().get(from..).unwrap_or_default();
    let start = bytes.windows(3).position(|three| three == b"://").map_or(0, |at| at.saturating_add(3));
    let rest = bytes.get(start..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let whole = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    let secret = match whole.iter().rposition(|&byte| byte == b'@') {
        _ if is_cut && end.is_none() => whole.len(),
        at => at.unwrap_or(0),
    };
    let start = from.saturating_add(start);
    cover(text, start..start.saturating_add(secret));
}

/// Where the value of the next credential is.
fn next(query: &[u8], is_end: fn(&u8) -> bool) -> Option<Range<usize>> {
    let (mut name, mut at) = (0, 0);
    while let Some(rest) = query.get(at..).filter(|rest| !rest.is_empty()) {
        let Some((delimiter, length)) = delimiter(rest) else {
            at = at.saturating_add(1);
            continue;
        };
        let named = query.get(name..at).unwrap_or_default();
        at = at.saturating_add(length);
        name = at;
        let value = query.get(at..).unwrap_or_default();
        if delimiter == b'=' && is_concealed(named) {
            let length = value.iter().position(is_end).unwrap_or(value.len());
            return Some(at..at.saturating_add(length));
        }
    }
    None
}

/// What ends a name, if the text begins with it: the character and how long it is here.
fn delimiter(text: &[u8]) -> Option<(u8, usize)> {
    one(text).filter(|(byte, _)| matches!(byte, b'=' | b'&' | b';' | b'?' | b'#' | b'/'))
}

/// A character and how long it is here. It may be escaped, and the `%` of that too.
fn one(text: &[u8]) -> Option<(u8, usize)> {
    let [first, rest @ ..] = text else { return None };
    if *first != b'%' {
        return Some((*first, 1));
    }
    let mut digits = rest;
    while let [b'2', b'5', more @ ..] = digits {
        digits = more;
    }
    match unescaped(digits) {
        Some(byte) => Some((byte, text.len().saturating_sub(digits.len()).saturating_add(2))),
        None => Some((*first, 1)),
    }
}

/// The byte of two hexadecimal digits.
fn unescaped(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

fn cover(text: &mut String, mut secret: Range<usize>) {
    while !secret.is_empty() {
        // A longer one is cut where a character ends: stars are one byte each.
        let mut end = secret.end.min(secret.start.saturating_add(STARS.len()));
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let Some(stars) = STARS.get(..end.saturating_sub(secret.start)).filter(|stars| !stars.is_empty()) else {
            return;
        };
        text.replace_range(secret.start..end, stars);
        secret.start = end;
    }
}

#[cfg(test)]
mod tests;
