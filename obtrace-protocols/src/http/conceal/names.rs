//! What credentials in URLs and fields are called: the parameters that the
//! [conventions](https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/) list for `url.query`, and what
//! passwords, keys, tokens and signatures are mostly called.

use super::unescaped;
use crate::credential::is_secret;

/// Names beside [those of all secrets](crate::credential) that are told from what has them inside.
const NAMES: [&[u8]; 15] = [
    b"appkey", b"auth", b"authkey", b"bearer", b"code", b"cookie", b"hmac", b"jwt", b"key", b"otp", b"pin", b"session",
    b"sid", b"sig", b"ticket",
];
/// Words before `key` of those that open nothing: they find, order and tell apart.
const HARMLESS: [&[u8]; 16] = [
    b"cache",
    b"end",
    b"foreign",
    b"group",
    b"idempotency",
    b"message",
    b"object",
    b"partition",
    b"primary",
    b"project",
    b"public",
    b"routing",
    b"row",
    b"shard",
    b"sort",
    b"start",
];
/// Most bytes of a name that are looked at, the last ones.
const MAX_NAME: usize = 64;

/// Whether a parameter of a URL is named like a credential: those that the
/// [conventions](https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/) list for `url.query`, and what
/// passwords, keys, tokens and signatures are mostly called. The names of parameters whose values are concealed in
/// [`HttpDetails::query`](crate::http::HttpDetails::query).
///
/// ```
/// use obtrace_protocols::http::is_credential;
/// assert!(is_credential("X-Amz-Signature") && is_credential("%74oken") && is_credential("user[password]"));
/// assert!(is_credential("subscription-key") && !is_credential("sort_key"));
/// assert!(!is_credential("page") && !is_credential("max_tokens"));
/// ```
#[must_use]
pub fn is_credential(name: &str) -> bool {
    is_concealed(name.as_bytes())
}

/// The same of bytes.
pub(super) fn is_concealed(name: &[u8]) -> bool {
    let is_named = |name: Plain| NAMES.contains(&name.name()) || is_secret(name.name()) || name.is_key();
    Plain::of(name).is_none_or(is_named)
}

/// A name in lower case, of letters and digits only.
struct Plain {
    bytes: [u8; MAX_NAME],
    length: usize,
    /// Where its last two words begin.
    words: [usize; 2],
    /// What came last, as it came.
    last: u8,
}

impl Plain {
    /// `None`: it is escaped more than once, or not as it should be: somebody hides it.
    fn of(name: &[u8]) -> Option<Self> {
        let mut plain = Self { bytes: [0; MAX_NAME], length: 0, words: [0; 2], last: 0 };
        let mut rest = name.get(name.len().saturating_sub(MAX_NAME)..).unwrap_or_default();
        while let [byte, more @ ..] = rest {
            let escaped = if *byte == b'%' { unescaped(more) } else { None };
            rest = if escaped.is_some() { more.get(2..).unwrap_or_default() } else { more };
            let byte = escaped.unwrap_or(*byte);
            if byte == b'%' {
                return None;
            }
            plain.push(byte);
        }
        Some(plain)
    }

    fn push(&mut self, byte: u8) {
        let last = core::mem::replace(&mut self.last, byte);
        if byte.is_ascii_alphanumeric()
            && let Some(place) = self.bytes.get_mut(self.length)
        {
            *place = byte.to_ascii_lowercase();
            if !last.is_ascii_alphanumeric() || byte.is_ascii_uppercase() && !last.is_ascii_uppercase() {
                self.begin_word(self.length);
            } else if byte.is_ascii_lowercase() && last.is_ascii_uppercase() {
                self.begin_word(self.length.saturating_sub(1));
            }
            self.length = self.length.saturating_add(1);
        }
    }

    const fn begin_word(&mut self, at: usize) {
        let [_, last] = self.words;
        if at > last {
            self.words = [last, at];
        }
    }

    fn name(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Whether it is some key, and none that is harmless.
    fn is_key(&self) -> bool {
        let [before, last] = self.words;
        let (word, last) = (self.name().get(before..last), self.name().get(last..));
        last == Some(b"key") && word.is_some_and(|word| !word.is_empty() && !HARMLESS.contains(&word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for name in [
            "subscription-key",
            "Ocp-Apim-Subscription-Key",
            "auth_key",
            "app_key",
            "authkey",
            "AccountKey",
            "account.KEY",
            "SASKey",
            "s3Key",
            "sub%2Dkey",
            "user[shared_key]",
            "sort_key_key",
            "backend_key",
            "key",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in [
            "sort_key",
            "SortKey",
            "exclusive-start-key",
            "partition.key",
            "filter[primary_key]",
            "cacheKey",
            "public-key",
            "Idempotency-Key",
            "monkey",
            "Turkey",
            "keys",
            "key_id",
            "account_keys",
            "keyName",
        ] {
            assert!(!is_credential(name), "{name}");
        }
    }

    /// Those of a grant and of a second factor; of a status too.
    #[test]
    fn codes() {
        assert!(is_credential("code") && is_credential("Code"));
        assert!(!is_credential("country_code") && !is_credential("codes"));
    }
}
