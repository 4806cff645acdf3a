//! Which names say that what they stand for is a secret: the one list, of parameters of URLs and of words of SQL.

/// Some last letters and digits of a name, in lower case: a byte each, the last one lowest.
type Letters = u128;

/// What names of secrets have inside, by the two letters that it ends in.
const fn parts(end: [u8; 2]) -> &'static [Part] {
    match &end {
        b"al" => const { &[Part::of(b"credential")] },
        b"et" => const { &[Part::of(b"secret")] },
        b"ey" => const { &[Part::of(b"accesskey"), Part::of(b"apikey"), Part::of(b"privatekey")] },
        b"id" => const { &[Part::of(b"sessid"), Part::of(b"sessionid")] },
        b"on" => const { &[Part::of(b"assertion"), Part::of(b"authorization")] },
        b"rd" => const { &[Part::of(b"password")] },
        b"re" => const { &[Part::of(b"signature")] },
        b"se" => const { &[Part::of(b"passphrase")] },
        b"wd" => const { &[Part::of(b"passwd"), Part::of(b"pwd")] },
        _ => &[],
    }
}
/// Names that are too short to be looked for inside of others.
const SHORT: [Letters; 4] = [letters(b"dbpass"), letters(b"pass"), letters(b"pw"), letters(b"userpass")];
/// Bytes of the shortest name of a secret.
pub(crate) const SHORTEST: usize = 2;
const TOKEN: Part = Part::of(b"token");
const TOKENS: Part = Part::of(b"tokens");

const fn letters(mut text: &[u8]) -> Letters {
    let mut letters = 0;
    while let [first, rest @ ..] = text {
        letters = letters << 8 | *first as Letters;
        text = rest;
    }
    letters
}

/// A part of a name, at most as long as [`Letters`].
struct Part {
    letters: Letters,
    mask: Letters,
}

impl Part {
    const fn of(text: &[u8]) -> Self {
        // A letter has seven bits.
        let letters = letters(text);
        Self { letters, mask: Letters::MAX >> (letters.leading_zeros() & !7) }
    }

    const fn ends(&self, name: Letters) -> bool {
        name & self.mask == self.letters
    }
}

/// Whether passwords, keys, tokens and signatures are named so. Only letters and digits count, in any case.
pub(crate) fn is_secret(name: &[u8]) -> bool {
    // Most names of that length are keywords and aliases.
    if let [first, second] = name {
        return matches!((first | 0x20, second | 0x20), (b'p', b'w'));
    }
    let mut last = 0;
    let mut has_token = false;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        let byte = byte.to_ascii_lowercase();
        let end = [last as u8, byte];
        last = last << 8 | Letters::from(byte);
        if matches!(byte, b'd' | b'e' | b'l' | b'n' | b't' | b'y') {
            if parts(end).iter().any(|part| part.ends(last)) {
                return true;
            }
            has_token |= TOKEN.ends(last);
        }
    }
    // Those that are counted are no secret: `max_tokens`.
    has_token && !TOKENS.ends(last) || SHORT.contains(&last)
}

/// The longest name that is taken for a registered one, and the longest part of one between dots and the like.
const MAX_REGISTERED: usize = 40;
const MAX_PART: usize = 12;
/// More digits are no version.
const MAX_DIGITS: usize = 2;

/// Whether a name looks like those that are registered for [subprotocols](https://www.iana.org/assignments/websocket) and
/// codings: short words and versions, none of which speaks of credentials.
pub(crate) fn is_registered(name: &[u8]) -> bool {
    let is_part = |part: &[u8]| {
        let speaks =
            [&b"auth"[..], b"basic", b"bearer", b"jwt", b"key"].iter().any(|word| word.eq_ignore_ascii_case(part));
        (1..=MAX_PART).contains(&part.len())
            && part.iter().all(u8::is_ascii_alphanumeric)
            && part.iter().filter(|byte| byte.is_ascii_digit()).count() <= MAX_DIGITS
            && !speaks
    };
    name.len() <= MAX_REGISTERED
        && !is_secret(name)
        && name.split(|byte| matches!(byte, b'.' | b'-' | b'_' | b'/')).all(is_part)
}

/// The same of a list of them.
pub(crate) fn are_registered(list: &[u8]) -> bool {
    list.split(|&byte| byte == b',').all(|name| is_registered(name.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_names() {
        for name in ["chat", "v2.chat", "graphql-transport-ws", "v5.channel.k8s.io", "ocpp2.0.1", "gzip", "TLS/1.0"] {
            assert!(is_registered(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "bearer.x",
            "base64url.bearer.authorization.k8s.io.x",
            "a..b",
            "a1b2c3",
            "abcdefghijklm",
            "a b",
            "token",
        ] {
            assert!(!is_registered(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn secrets_have_names() {
        for name in ["password", "MASTER_PASSWORD", "pw", "\"Api-Key\"", "x_amz_signature", "jwt_secret", "csrfToken"] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in ["accesskey", "assertion", "authorization", "credential", "passphrase", "pwd", "sessid", "DbPass"] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in ["privatekey", "sessionid", "passwd_", "PASS", "userpass", "tokens_of_token_x", "a.p.i.k.e.y"] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in ["", "passage", "key", "monkey", "max_tokens", "apike", "tokyo", "sec", "user_id"] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
        for name in ["my_pass", "pws", "p_", "ow", "token_tokens", "assword", "wd", "ecret", "p\0wt"] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }

    /// Whatever stands around it, and whatever became of bytes that are no text.
    #[test]
    fn names_of_secrets_may_be_long() {
        let fill = [b'x'; 200];
        assert!(is_secret(&[&fill, &b"pass\xb0word"[..], &[0xb0; 200]].concat()));
        assert!(is_secret(&[&fill, &b"token"[..], &fill].concat()));
        assert!(!is_secret(&[&fill, &b"tokens"[..], &[b'_'; 200]].concat()));
        assert!(!is_secret(&[&fill, &b"pw"[..]].concat()));
    }
}
