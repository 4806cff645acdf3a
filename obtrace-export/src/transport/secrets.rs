//! What must not be shown of what a receiver says, which may repeat what it was sent.

mod escapes;

use std::{fmt, ops::Range};

use self::escapes::Plain;
use super::connection::percent_decoded;

/// Shorter texts would tear holes into ordinary words and are no secrets.
const SHORTEST: usize = 4;

/// How many times what is said may have been escaped: JSON within a page, a URL within both.
const MAX_LAYERS: usize = 3;

/// First words of credentials that are no secrets, of
/// [HTTP's](https://www.iana.org/assignments/http-authschemes/http-authschemes.xhtml) and of widely used receivers.
const SCHEMES: [&str; 10] =
    ["api-token", "apikey", "basic", "bearer", "digest", "dpop", "negotiate", "oauth", "splunk", "token"];

/// Texts to take out of others.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of them", self.0.len())
    }
}

impl Secrets {
    /// The value of a header: whole, every word of it and what is behind a `=` in one, and the password of a basic
    /// authentication.
    pub(super) fn add_header(&mut self, value: &str) {
        self.add(value.trim());
        let mut words = value.split_whitespace().peekable();
        let scheme = words.next_if(|word| SCHEMES.contains(&word.to_ascii_lowercase().as_str()));
        for word in words {
            let word = word.trim_matches(['"', ',', ';']);
            self.add(word);
            if let Some((_, value)) = word.split_once('=') {
                self.add(value.trim_matches('"'));
            }
            let decoded = scheme.filter(|scheme| scheme.eq_ignore_ascii_case("basic")).and_then(|_| decode(word));
            if let Some(decoded) = decoded {
                let (_, password) = decoded.split_once(':').unwrap_or(("", &decoded));
                self.add(password);
                self.add(&decoded);
            }
        }
    }

    /// User and password as in a URL, `user:password`, and the basic authentication that is made of them. A user without a
    /// password is one himself.
    pub(super) fn add_user(&mut self, info: &str) {
        let (user, password) = info.split_once(':').unwrap_or((info, ""));
        self.add(info);
        self.add(if password.is_empty() { user } else { password });
        let plain = |text: &str| percent_decoded(text).unwrap_or_else(|| text.to_owned());
        self.add(&encode(format!("{}:{}", plain(user), plain(password)).as_bytes()));
    }

    /// User and password of a URL, if it has them, whatever else is wrong with it.
    pub(super) fn add_url(&mut self, url: &str) {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@') {
            self.add_user(user);
        }
    }

    /// The query of a URL, and each of its values.
    #[cfg(feature = "http")]
    pub(super) fn add_query(&mut self, query: &str) {
        self.add(query);
        for pair in query.split('&') {
            let (_, value) = pair.split_once('=').unwrap_or(("", pair));
            self.add(value);
            self.add(&value.replace('+', " "));
        }
    }

    /// As it is, and without its percent escapes.
    fn add(&mut self, text: &str) {
        for form in std::iter::once(text.to_owned()).chain(percent_decoded(text)) {
            if form.len() >= SHORTEST && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
    }

    /// The text with `***` for each of them, also where pages, JSON and URLs have escaped it, or one what another had.
    pub(super) fn redact(&self, text: String) -> String {
        if self.0.is_empty() {
            return text;
        }
        let mut found = Vec::new();
        let mut layer = Some(Plain::new(&text));
        for _ in 0..=MAX_LAYERS {
            let Some(plain) = layer else { break };
            self.0.iter().for_each(|secret| found.extend(plain.find(secret.as_bytes())));
            layer = plain.decoded();
        }
        if found.is_empty() { text } else { without(&text, found) }
    }
}

/// The text with `***` for each of these parts, those that overlap being one.
fn without(text: &str, mut parts: Vec<Range<usize>>) -> String {
    parts.sort_by_key(|part| part.start);
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for part in parts {
        if part.start >= end {
            // Escapes are ASCII and secrets are text: a part begins and ends with a character.
            out.push_str(text.get(end..part.start).unwrap_or_default());
            out.push_str("***");
        }
        end = end.max(part.end);
    }
    out.push_str(text.get(end..).unwrap_or_default());
    out
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with its padding.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let bits = part.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - part.len()));
        for digit in 0..4 {
            let shown = if digit <= part.len() { DIGITS.get(bits >> (18 - 6 * digit) & 63) } else { None };
            text.push(char::from(*shown.unwrap_or(&b'=')));
        }
    }
    text
}

/// The text in a Base64, with or without padding; `None` if it is none.
fn decode(text: &str) -> Option<String> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0_u32);
    for digit in text.trim_end_matches('=').bytes() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 255).try_into().ok()?);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(add: impl Fn(&mut Secrets), text: &str) -> String {
        let mut secrets = Secrets::default();
        add(&mut secrets);
        secrets.redact(text.to_owned())
    }

    #[test]
    fn headers_whole_and_in_part() {
        for (value, said, expected) in [
            ("Bearer hunter25", "no such token: hunter25", "no such token: ***"),
            ("Bearer hunter25", "authorization: Bearer hunter25", "authorization: ***"),
            ("Bearer hunter25", "Bearer tokens only, Basic is not taken", "Bearer tokens only, Basic is not taken"),
            ("hunter25 hunter26", "hunter26, hunter25", "***, ***"),
            ("session=\"hunter25\"; theme=dark", "hunter25 is over", "*** is over"),
            ("Basic dXNlcjpodW50ZXIyNQ==", "wrong: hunter25", "wrong: ***"),
            ("basic dXNlcjpodW50ZXIyNQ", "wrong: user:hunter25", "wrong: ***"),
            ("Basic dXNlcjpodW50ZXIyNQ==", "wrong: dXNlcjpodW50ZXIyNQ==", "wrong: ***"),
            ("hunter%2f25", "hunter/25 and hunter%2f25", "*** and ***"),
            ("Bearer hunt+er/25=", "hunt&#43;er/25=, hunt+er\\/25=, hunt%2Ber%2F25%3D", "***, ***, ***"),
            ("hunt+er/25=hunter", "hunt&#x2B;er&#x2F;25&#x3D;hunter", "***"),
            ("hunt+er/25=hunter", "hunt%2ber%2f25%3dhunter is over", "*** is over"),
            (
                "hunt+er/25=hunter",
                "no hunt&#43;er&#47;25=hunter, no \"hunt\\u002Ber\\/25=hunter\"",
                "no ***, no \"***\"",
            ),
            ("hunt+er/25=hunter", "hunt%252Ber%252F25%253Dhunter, hunt\\u0026#43;er/25=hunter", "***, ***"),
            ("hunt\"er&25", "hunt\\x22er\\u002625, hunt\\\"er&25, hunt&quot;er&amp;25, é%C3", "***, ***, ***, é%C3"),
            ("hunter-😀", "hunter-\\ud83d\\ude00, hunter-%F0%9f%98%80, hunter-&#128512;", "***, ***, ***"),
            (
                "hunter25",
                "100 %, &hunter;, \\ud83d, \\u12, &#xffffffff;, %h%hunter25",
                "100 %, &hunter;, \\ud83d, \\u12, &#xffffffff;, %h%***",
            ),
            ("abc", "abc is too short to be a secret", "abc is too short to be a secret"),
        ] {
            assert_eq!(redacted(|secrets| secrets.add_header(value), said), expected, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_said_breaks_it(said in "[%&#;xu\\\\0-9a-fA-F+é ]{0,60}", secret in "[%&#;xu\\\\0-9a-f+é]{4,6}") {
            let shown = redacted(|secrets| secrets.add_header(&secret), &format!("{said}{secret}{said}"));
            proptest::prop_assert!(shown.contains("***") && !shown.contains(&secret), "{shown}");
        }
    }

    #[cfg(feature = "http")]
    #[test]
    fn queries_whole_and_in_part() {
        let query = |secrets: &mut Secrets| secrets.add_query("token=hunter%2B25&v=1&hunter26&name=a+hunter");
        assert_eq!(redacted(query, "no page at /?token=hunter%2B25&v=1&hunter26&name=a+hunter"), "no page at /?***");
        assert_eq!(redacted(query, "hunter+25, hunter%2B25, hunter26, v=1, a hunter"), "***, ***, ***, v=1, ***");
    }

    #[test]
    fn users_of_urls() {
        let user = |secrets: &mut Secrets| secrets.add_url("http://user:hunter%4025@proxy:1/?x=@");
        assert_eq!(redacted(user, "hunter@25 of user, dXNlcjpodW50ZXJAMjU="), "*** of user, ***");
        let token = |secrets: &mut Secrets| secrets.add_url("https://hunter25@h");
        assert_eq!(redacted(token, "hunter25, aHVudGVyMjU6"), "***, ***");
        assert_eq!(redacted(|secrets| secrets.add_url("https://host/@path"), "host /@path"), "host /@path");
    }

    #[test]
    fn base64_as_its_specification_has_it() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!((encode(plain.as_bytes()).as_str(), decode(text).as_deref()), (text, Some(plain)));
        }
        assert_eq!((encode(&[251, 255]), decode("a-b"), decode("gA==")), ("+/8=".to_owned(), None, None));
    }
}
