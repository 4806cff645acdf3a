//! Credentials in a URL are not kept: each of their bytes becomes a `*`. Which they are their names say: the parameters
//! that the [conventions](https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/) list for `url.query`, and
//! what passwords, keys, tokens and signatures are mostly called. A name is also found in a URL that is the value of
//! another parameter, and where it is escaped, once or again.

use alloc::string::String;
use core::ops::Range;

/// Names that are too short to be looked for inside of others.
const NAMES: [&[u8]; 12] =
    [b"auth", b"code", b"jwt", b"key", b"otp", b"pass", b"passwd", b"pin", b"pw", b"pwd", b"session", b"sig"];
/// What other names have inside; lower case, without what is neither letter nor digit.
const PARTS: [&[u8]; 10] = [
    b"accesskey",
    b"apikey",
    b"authorization",
    b"credential",
    b"passphrase",
    b"password",
    b"privatekey",
    b"secret",
    b"sessionid",
    b"signature",
];
const TOKEN: &[u8] = b"token";
/// Most bytes of a name that are looked at, the last ones.
const MAX_NAME: usize = 64;
const STARS: &str = "********************************";

/// Conceals what is secret in a request target, which is the text from `from` on. `is_cut`: there was more of it.
#[inline]
pub(crate) fn target(text: &mut String, from: usize, is_cut: bool) {
    if text.as_bytes().get(from) != Some(&b'/') {
        user(text, from, is_cut);
    }
    let bytes = text.as_bytes().get(from..).unwrap_or_default();
    if let Some(at) = bytes.iter().position(|&byte| byte == b'?') {
        query(text, from.saturating_add(at).saturating_add(1));
    }
}

/// The same in a query.
pub(crate) fn query(text: &mut String, mut from: usize) {
    while let Some(secret) = next(text.as_bytes().get(from..).unwrap_or_default()) {
        let secret = from.saturating_add(secret.start)..from.saturating_add(secret.end);
        from = secret.end;
        cover(text, secret);
    }
}

/// The authority without what is before an @: a user's name and password.
#[inline]
pub(crate) fn authority(authority: &[u8]) -> &[u8] {
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
fn next(query: &[u8]) -> Option<Range<usize>> {
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
        if delimiter == b'=' && is_credential(named, value) {
            let length = value.iter().position(is_end).unwrap_or(value.len());
            return Some(at..at.saturating_add(length));
        }
    }
    None
}

/// What ends a name, if the text begins with it: the character and how long it is here. It may be escaped, and the `%`
/// of that too.
fn delimiter(text: &[u8]) -> Option<(u8, usize)> {
    let (byte, length) = match text {
        [b'%', rest @ ..] => {
            let mut digits = rest;
            while let [b'2', b'5', more @ ..] = digits {
                digits = more;
            }
            let length = text.len().saturating_sub(digits.len()).saturating_add(2);
            (unescaped(digits)?, length)
        }
        [byte, ..] => (*byte, 1),
        [] => return None,
    };
    matches!(byte, b'=' | b'&' | b';' | b'?' | b'#' | b'/').then_some((byte, length))
}

/// The byte of two hexadecimal digits.
fn unescaped(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

/// Whether a value ends here.
fn is_end(byte: &u8) -> bool {
    matches!(byte, b'&' | b';')
}

/// Whether that is how a credential is named. `value` is what follows.
fn is_credential(name: &[u8], value: &[u8]) -> bool {
    let name = name.get(name.len().saturating_sub(MAX_NAME)..).unwrap_or_default();
    let mut plain = [0; MAX_NAME];
    let mut length: usize = 0;
    let mut rest = name;
    while let [byte, more @ ..] = rest {
        let escaped = if *byte == b'%' { unescaped(more) } else { None };
        rest = if escaped.is_some() { more.get(2..).unwrap_or_default() } else { more };
        let byte = escaped.unwrap_or(*byte);
        if byte == b'%' {
            // Escaped more than once, or not as it should be: somebody hides it.
            return true;
        }
        if byte.is_ascii_alphanumeric()
            && let Some(place) = plain.get_mut(length)
        {
            *place = byte.to_ascii_lowercase();
            length = length.saturating_add(1);
        }
    }
    let name = plain.get(..length).unwrap_or_default();
    let holds = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    if name == b"code" {
        // A grant of OAuth, not a status.
        return value.iter().find(|byte| !byte.is_ascii_digit()).is_some_and(|byte| !is_end(byte));
    }
    NAMES.contains(&name)
        || PARTS.into_iter().any(holds)
        // Those that are counted are no secret: `max_tokens`.
        || (holds(TOKEN) && !name.ends_with(b"tokens"))
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
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    fn concealed(text: &str) -> String {
        let mut out = format!("before ?token=x{text}");
        target(&mut out, "before ?token=x".len(), false);
        out.strip_prefix("before ?token=x").unwrap().to_string()
    }

    #[test]
    fn credentials_in_targets() {
        for (given, kept) in [
            ("/p?alt=sse&key=abc&x=1", "/p?alt=sse&key=***&x=1"),
            ("/p?key=", "/p?key="),
            ("/p?key=s\u{e9}cret&x=1", "/p?key=*******&x=1"),
            ("/p?monkey=abc&max_tokens=5&keys=a&code=404&q=a", "/p?monkey=abc&max_tokens=5&keys=a&code=404&q=a"),
            ("/key=abc", "/key=abc"),
            ("/p?a=1;token=abc;b=2", "/p?a=1;token=***;b=2"),
            ("/p?X-Amz-Signature=abc&csrf_Token=d=e", "/p?X-Amz-Signature=***&csrf_Token=***"),
            ("/p?code=ab&user[password]=c&user%5Bpassword%5D=d", "/p?code=**&user[password]=*&user%5Bpassword%5D=*"),
            ("/p?%74oken=abc&%2574oken=def&%41=b", "/p?%74oken=***&%2574oken=***&%41=b"),
            ("/p?next=https://h/?token=abc&x=1", "/p?next=https://h/?token=***&x=1"),
            ("/p?next=https%3A%2F%2Fh%2F%3Ftoken%3Dabc", "/p?next=https%3A%2F%2Fh%2F%3Ftoken%3D***"),
            ("/p?next=%252Fx%253Fa%253D1%2526sig%253Dabc&x=1", "/p?next=%252Fx%253Fa%253D1%2526sig%253D***&x=1"),
            ("/p?token", "/p?token"),
            ("/p?%=a&%4=b&=c&%3", "/p?%=*&%4=*&=c&%3"),
            ("http://bob:abc@h/p@q?sig=d", "http://*******@h/p@q?sig=*"),
            ("http://b@c@h?a", "http://***@h?a"),
            ("http://h/p?a=b@c", "http://h/p?a=b@c"),
            ("bob:abc@h:443", "*******@h:443"),
            ("h:443", "h:443"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(concealed(given), kept, "{given}");
        }
    }

    #[test]
    fn long_ones_too() {
        for length in 0..100 {
            let kept = concealed(&format!("/p?key={}&x=1", "\u{20ac}".repeat(length)));
            assert_eq!(kept, format!("/p?key={}&x=1", "*".repeat(3 * length)));
        }
        let name = format!("/p?{}token=abc", "x".repeat(200));
        assert_eq!(concealed(&name), name.replace("abc", "***"));
    }

    #[test]
    fn authorities_that_are_cut() {
        for (given, kept) in
            [("http://bob:ab", "http://******"), ("bob", "***"), ("http://b@h/p", "http://*@h/p"), ("/p", "/p")]
        {
            let mut out = given.to_string();
            target(&mut out, 0, true);
            assert_eq!(out, kept);
        }
    }

    #[test]
    fn authorities() {
        assert_eq!([&b"h:1"[..], b"a:b@h", b"a@b@h", b""].map(authority), [&b"h:1"[..], b"h", b"h", b""]);
    }
}
