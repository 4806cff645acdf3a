//! What must not be shown of what a receiver says, which may repeat what it was sent.

use std::fmt;

use super::connection::percent_decoded;

/// Shorter texts would tear holes into ordinary words and are no secrets.
const SHORTEST: usize = 4;

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

    /// As it is, without its percent escapes, and as pages, JSON and URLs would write it.
    fn add(&mut self, text: &str) {
        if text.len() < SHORTEST {
            return;
        }
        let forms = [text.to_owned(), in_html(text), text.replace('/', "\\/"), percent_encoded(text)];
        for form in forms.into_iter().chain(percent_decoded(text)) {
            if form.len() >= SHORTEST && !self.0.contains(&form) {
                let at = self.0.partition_point(|other| other.len() >= form.len());
                self.0.insert(at, form);
            }
        }
    }

    /// The text with `***` for each of them, longer ones first.
    pub(super) fn redact(&self, mut text: String) -> String {
        for secret in &self.0 {
            if text.contains(secret) {
                text = text.replace(secret, "***");
            }
        }
        text
    }
}

fn in_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;").replace('+', "&#43;")
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
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
            ("abc", "abc is too short to be a secret", "abc is too short to be a secret"),
        ] {
            assert_eq!(redacted(|secrets| secrets.add_header(value), said), expected, "{value}");
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
