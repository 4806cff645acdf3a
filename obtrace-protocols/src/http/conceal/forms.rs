//! What texts look like that have a form. What has another may be anything, and is not told.

use core::net::{IpAddr, SocketAddr};

/// Whether a list of addresses is one: of versions 4 and 6, with a port or without, and what proxies write for one that
/// they do not tell.
pub(super) fn is_addresses(list: &[u8]) -> bool {
    let is_one = |address: &[u8]| {
        let Ok(address) = core::str::from_utf8(address) else { return false };
        let address = address.trim();
        let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
        bare.parse::<IpAddr>().is_ok() || address.parse::<SocketAddr>().is_ok() || address == "unknown"
    };
    list.split(|&byte| byte == b',').all(is_one)
}

/// Whether it is the name of a scheme: a short word.
pub(in crate::http) fn is_scheme(name: &[u8]) -> bool {
    (1..=8).contains(&name.len()) && name.iter().all(u8::is_ascii_alphabetic)
}

/// In a path: parameters, a query, a user or an escape may follow.
pub(super) const PATH: u8 = 1;
/// In a field: a value of a name, or what is behind a scheme of authentication, may follow.
pub(super) const FIELD: u8 = 2;
/// In a type of contents: between its words.
const SLASH: u8 = 4;
/// It is in no type of contents.
const FOREIGN: u8 = 8;

#[expect(clippy::indexing_slicing, reason = "computed when the crate is compiled, where a wrong index is an error")]
static MARKS: [u8; 256] = {
    let mut marks = [0; 256];
    let mut byte = 0_u8;
    loop {
        let mut found = 0;
        if matches!(byte, b'?' | b';' | b'#' | b'@' | b'%') {
            found |= PATH;
        }
        if matches!(byte, b'=' | b':' | b'%' | b' ' | b'\t' | b',' | b';' | b'(' | b')' | b'"') {
            found |= FIELD;
        }
        if byte == b'/' {
            found |= SLASH;
        } else if !is_word_byte(byte) {
            found |= FOREIGN;
        }
        marks[byte as usize] = found;
        if byte == u8::MAX {
            break;
        }
        byte = byte.wrapping_add(1);
    }
    marks
};

const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'_' | b'*')
}

/// What a byte may be of.
#[inline(always)]
pub(super) fn marks(byte: u8) -> u8 {
    MARKS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Most bytes of a word.
const MAX_WORD: usize = 100;

/// Whether it is two words and nothing else.
#[inline]
fn is_plain_type(value: &[u8]) -> bool {
    let (found, slashes) = value.iter().fold((0, 0_u32), |(found, slashes), &byte| {
        let marks = marks(byte);
        (found | marks, slashes.wrapping_add(u32::from(marks & SLASH)))
    });
    value.len() <= MAX_WORD
        && found & FOREIGN == 0
        && slashes == u32::from(SLASH)
        && value.first() != Some(&b'/')
        && value.last() != Some(&b'/')
}

/// A type of contents, with its character set; other parameters are programs' own. Empty if it is none.
pub(super) fn media_type(value: &[u8]) -> &[u8] {
    // Those that nearly all responses have.
    let is_usual = matches!(value, b"application/json" | b"text/html" | b"text/plain");
    if is_usual || is_plain_type(value) { value } else { other_type(value) }
}

/// The same where there is more.
fn other_type(value: &[u8]) -> &[u8] {
    let first = value.iter().position(|&byte| byte == b';');
    let (name, parameters) = first.and_then(|at| value.split_at_checked(at)).unwrap_or((value, &[]));
    let is_word = |word: &[u8]| (1..=MAX_WORD).contains(&word.len()) && word.iter().all(|&byte| is_word_byte(byte));
    if !name.trim_ascii().split(|&byte| byte == b'/').all(is_word) || !name.contains(&b'/') {
        return &[];
    }
    let parameter = parameters.get(1..).unwrap_or_default().trim_ascii();
    let set = parameter.split_at_checked(8).filter(|(name, _)| name.eq_ignore_ascii_case(b"charset="));
    if set.is_some_and(|(_, set)| set.len() <= 16 && is_word(set)) { value } else { name.trim_ascii() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_contents() {
        for (value, told) in [
            ("text/html", "text/html"),
            ("text/html; charset=UTF-8", "text/html; charset=UTF-8"),
            ("application/grpc-web+proto;Charset=x", "application/grpc-web+proto;Charset=x"),
            ("multipart/form-data; boundary=abc", "multipart/form-data"),
            ("text/x ;token=abc", "text/x"),
            ("text/x;charset=abcdefghijklmnopq", "text/x"),
            ("abc", ""),
            ("abc/", ""),
            ("a b/c", ""),
            ("/b", ""),
            ("a//b", ""),
            ("a/b/c", "a/b/c"),
            ("", ""),
        ] {
            assert_eq!(media_type(value.as_bytes()), told.as_bytes(), "{value}");
        }
    }

    #[test]
    fn schemes() {
        assert!([&b"http"[..], b"HTTPS", b"coap"].into_iter().all(is_scheme));
        assert!(![&b""[..], b"h1", b"abcdefghi", b"a+b"].into_iter().any(is_scheme));
    }
}
