//! Low-cardinality names for paths.

use std::{borrow::Cow, hash::BuildHasher};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::traces::keyed::KeyedState;

/// Most services whose names are told apart; those beyond share one budget.
const MAX_SERVICES: usize = 1_024;
/// A longer segment is a value, not a name.
const MAX_SEGMENT: usize = 48;
/// A path with more segments is cut there.
const MAX_SEGMENTS: usize = 12;

/// The templates in use, so that a service that is asked for endless paths does not get endless names.
#[derive(Debug, Default)]
pub(in crate::traces) struct Templates {
    hasher: KeyedState,
    /// By the digest of the service's name, the digests of its templates. The digests are keyed, so that nobody outside
    /// can choose them: they need no second hash of that kind.
    services: FxHashMap<u64, FxHashSet<u64>>,
    last: Last,
}

/// What was asked for last: mostly it is what is asked for next, too.
#[derive(Debug, Default)]
struct Last {
    service: String,
    digest: Option<u64>,
    /// A template of the service that is in use.
    template: Option<String>,
}

impl Templates {
    /// The template of a path, or `None` if the service has `limit` others already.
    pub(super) fn of<'p>(&mut self, service: &str, path: &'p str, limit: usize) -> Option<Cow<'p, str>> {
        let template = template(path);
        if self.last.service == service && self.last.template.as_deref() == Some(&*template) {
            return Some(template);
        }
        let mut digest = self.digest_of(service);
        if self.services.len() >= MAX_SERVICES && !self.services.contains_key(&digest) {
            digest = 0;
        }
        let names = self.services.entry(digest).or_default();
        let name = self.hasher.hash_one(&*template);
        if !names.contains(&name) {
            if names.len() >= limit {
                return None;
            }
            names.insert(name);
        }
        let last = self.last.template.get_or_insert_default();
        last.clear();
        last.push_str(&template);
        Some(template)
    }

    /// Notes the service, too.
    fn digest_of(&mut self, service: &str) -> u64 {
        let last = &mut self.last;
        if let Some(digest) = last.digest.filter(|_| last.service == service) {
            return digest;
        }
        let digest = self.hasher.hash_one(service);
        *last = Last { service: service.to_owned(), digest: Some(digest), template: None };
        digest
    }
}

/// Replaces the segments of a path that look like identifiers by `{id}`.
fn template(path: &str) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    // Where the segment begins.
    let mut from = 0;
    for (index, bytes) in path.as_bytes().split(|byte| *byte == b'/').enumerate() {
        if index > MAX_SEGMENTS {
            let mut out = out.unwrap_or_else(|| path.get(..from - 1).unwrap_or_default().to_owned());
            out.push_str("/…");
            return Cow::Owned(out);
        }
        let identifier = is_identifier(bytes);
        let next = from + bytes.len();
        if let Some(out) = &mut out {
            out.push('/');
            out.push_str(if identifier { "{id}" } else { path.get(from..next).unwrap_or_default() });
        } else if identifier {
            let mut text = String::with_capacity(path.len() + 4);
            text.push_str(path.get(..from).unwrap_or_default());
            text.push_str("{id}");
            out = Some(text);
        }
        from = next + 1;
    }
    out.map_or(Cow::Borrowed(path), Cow::Owned)
}

/// What a byte of a segment may be, one bit each.
mod class {
    pub(super) const DIGIT: u8 = 1;
    /// A letter that is a hexadecimal digit.
    pub(super) const HEX: u8 = 2;
    /// Another letter.
    pub(super) const LETTER: u8 = 4;
    pub(super) const DASH: u8 = 8;
    pub(super) const UNDERSCORE: u8 = 16;
    /// What names have not.
    pub(super) const STRANGE: u8 = 32;
    pub(super) const OTHER: u8 = 64;
    pub(super) const NO_ASCII: u8 = 128;

    pub(super) static OF: [u8; 256] = {
        let mut classes = [NO_ASCII; 256];
        let mut byte: u8 = 0;
        while byte < 128 {
            classes[byte as usize] = match byte {
                b'0'..=b'9' => DIGIT,
                b'a'..=b'f' | b'A'..=b'F' => HEX,
                b'a'..=b'z' | b'A'..=b'Z' => LETTER,
                b'-' => DASH,
                b'_' => UNDERSCORE,
                b'@' | b'%' | b',' | b'=' | b'+' | b' ' => STRANGE,
                _ => OTHER,
            };
            byte += 1;
        }
        classes
    };
}

/// A number, a UUID, a long run of hexadecimal digits, a word with a number behind a separator, a token, an address,
/// escaped text, or something long.
fn is_identifier(bytes: &[u8]) -> bool {
    use class::{DASH, DIGIT, HEX, LETTER, NO_ASCII, STRANGE, UNDERSCORE};

    if bytes.len() > MAX_SEGMENT {
        return true;
    }
    let (mut digits, mut seen) = (0, 0);
    for byte in bytes {
        let class = class::OF[usize::from(*byte)];
        seen |= class;
        digits += usize::from(class & DIGIT);
    }
    let only = |classes: u8| seen & !classes == 0;
    if seen & STRANGE != 0 {
        return true;
    }
    if digits == 0 {
        return seen & NO_ASCII != 0;
    }
    if only(DIGIT) || (only(DIGIT | HEX | DASH) && bytes.len() >= 8) {
        return true;
    }
    if let Some(at) = bytes.iter().rposition(|b| b"-_.:".contains(b))
        && let Some(number @ [_, ..]) = bytes.get(at + 1..)
        && number.iter().all(u8::is_ascii_digit)
    {
        return true;
    }
    bytes.len() >= 16 && digits >= 3 && only(DIGIT | HEX | LETTER | DASH | UNDERSCORE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_become_placeholders() {
        for (path, expected) in [
            ("/", "/"),
            ("", ""),
            ("*", "*"),
            ("/users/7", "/users/{id}"),
            ("/users/7/items/0x1f", "/users/{id}/items/0x1f"),
            ("/api/v1/oauth2/token", "/api/v1/oauth2/token"),
            ("/o/6f1ed002-ab59-11ed-9b5c-0242ac120002", "/o/{id}"),
            ("/c/deadbeef01", "/c/{id}"),
            ("/beefdeadbeef", "/beefdeadbeef"),
            ("/item-123/x", "/{id}/x"),
            ("/t/eyJhbGciOiJIUzI1NiJ9x42", "/t/{id}"),
            ("/static/index.html", "/static/index.html"),
            ("/users/a@example.org", "/users/{id}"),
            ("/söppö", "/{id}"),
            ("7", "{id}"),
            ("/7//8/", "/{id}//{id}/"),
        ] {
            assert_eq!(template(path), expected, "{path}");
        }
    }

    #[test]
    fn a_deep_path_is_cut() {
        let path = "/a".repeat(40);
        assert_eq!(template(&path), format!("{}/…", "/a".repeat(MAX_SEGMENTS)));
        let path = "/7".repeat(40);
        assert_eq!(template(&path), format!("{}/…", "/{id}".repeat(MAX_SEGMENTS)));
        let path = "/7".repeat(MAX_SEGMENTS);
        assert_eq!(template(&path), "/{id}".repeat(MAX_SEGMENTS));
    }

    #[test]
    fn a_service_has_a_bounded_number_of_names() {
        let mut templates = Templates::default();
        for word in ["/a", "/b", "/c"] {
            assert!(templates.of("shop", word, 3).is_some());
        }
        assert_eq!(templates.of("shop", "/d", 3), None);
        assert_eq!(templates.of("shop", "/b", 3).as_deref(), Some("/b"));
        assert_eq!(templates.of("cart", "/d", 3).as_deref(), Some("/d"));
    }

    #[test]
    fn endless_services_share_a_budget() {
        let mut templates = Templates::default();
        for number in 0..10 * MAX_SERVICES {
            templates.of(&number.to_string(), "/a", 3);
        }
        assert!(templates.services.len() <= MAX_SERVICES + 1);
    }
}
