//! Text as telemetry has it: mostly constant or short.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

/// Longest text that is kept in place.
pub(crate) const INLINE: usize = 22;

/// Text that is mostly constant (attribute keys) or short (methods, paths, addresses): neither is allocated. 24 bytes, as
/// a `String`.
///
/// ```
/// use obtrace_export::model::Text;
///
/// let path = Text::copied("/users/7");
/// assert_eq!(path, "/users/7");
/// assert_eq!(Text::concat(&["GET ", &path]).to_string(), "GET /users/7");
/// assert_eq!(size_of::<Text>(), 24);
/// ```
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    /// As it stands in front of a value in JSON: in quotes, with a colon. It is known that JSON escapes nothing of it.
    Key(&'static str),
    Constant {
        text: &'static str,
        /// It is known that JSON escapes nothing of it.
        plain: bool,
    },
    /// Valid UTF-8 in the first `length` bytes; spaces behind it, so that all of them can be looked at at once.
    Inline {
        length: u8,
        bytes: [u8; INLINE],
    },
    Owned(Box<str>),
}

impl Text {
    /// Constant text. It is looked through for what JSON escapes here, and not again when it is written: make it where
    /// constants are evaluated, `const { Text::constant("url.path") }`, and that costs nothing.
    #[must_use]
    pub const fn constant(text: &'static str) -> Self {
        let (bytes, mut at, mut plain) = (text.as_bytes(), 0, true);
        while at < bytes.len() {
            plain &= matches!(bytes[at], b' '..=b'~') && bytes[at] != b'"' && bytes[at] != b'\\';
            at += 1;
        }
        Self(Repr::Constant { text, plain })
    }

    /// The key of an attribute, given as JSON has it: `"url.path":`. It is written in one piece then.
    ///
    /// # Panics
    /// If it has not that form, or JSON would escape something of it. Make it where constants are evaluated.
    ///
    /// ```
    /// use obtrace_export::model::Text;
    /// assert_eq!(const { Text::key("\"url.path\":") }, "url.path");
    /// ```
    #[must_use]
    pub const fn key(json: &'static str) -> Self {
        let bytes = json.as_bytes();
        assert!(bytes.len() > 3, "no key in JSON");
        let colon = bytes.len() - 1;
        assert!(colon > 2 && bytes[0] == b'"' && bytes[colon - 1] == b'"' && bytes[colon] == b':', "no key in JSON");
        let mut at = 1;
        while at < colon - 1 {
            assert!(matches!(bytes[at], b' '..=b'~') && bytes[at] != b'"' && bytes[at] != b'\\', "not plain");
            at += 1;
        }
        Self(Repr::Key(json))
    }

    const fn unseen(text: &'static str) -> Self {
        Self(Repr::Constant { text, plain: false })
    }

    /// A copy of some text; allocates if it is longer than 22 bytes.
    #[must_use]
    pub fn copied(text: &str) -> Self {
        Self::inline(&[text]).unwrap_or_else(|| Self(Repr::Owned(text.into())))
    }

    /// The pieces one after the other; allocates if they are longer than 22 bytes.
    #[must_use]
    pub fn concat(pieces: &[&str]) -> Self {
        Self::inline(pieces).unwrap_or_else(|| Self(Repr::Owned(pieces.concat().into())))
    }

    fn inline(pieces: &[&str]) -> Option<Self> {
        let mut bytes = [b' '; INLINE];
        let mut length = 0;
        for piece in pieces {
            let end = length + piece.len();
            bytes.get_mut(length..end)?.copy_from_slice(piece.as_bytes());
            length = end;
        }
        // At most 22.
        Some(Self(Repr::Inline { length: length as u8, bytes }))
    }

    /// Its bytes, valid UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Key(json) => name(json).as_bytes(),
            Repr::Constant { text, .. } => text.as_bytes(),
            Repr::Inline { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Repr::Owned(text) => text.as_bytes(),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Key(json) => name(json),
            Repr::Constant { text, .. } => text,
            // Whole strings were copied in: it is valid.
            Repr::Inline { .. } => str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Owned(text) => text,
        }
    }

    /// What is known of it that makes writing it cheaper.
    pub(crate) const fn form(&self) -> Form<'_> {
        match &self.0 {
            Repr::Key(json) => Form::Key(json),
            Repr::Constant { text, plain: true } => Form::Plain(text),
            Repr::Inline { length, bytes } => Form::Short(*length, bytes),
            Repr::Constant { plain: false, .. } | Repr::Owned(_) => Form::Any,
        }
    }

    /// Bytes that it holds beside itself.
    pub(crate) const fn heap(&self) -> usize {
        match &self.0 {
            Repr::Key(_) | Repr::Constant { .. } | Repr::Inline { .. } => 0,
            Repr::Owned(text) => text.len(),
        }
    }
}

/// A text by what is known of it.
pub(crate) enum Form<'a> {
    /// In quotes, with a colon.
    Key(&'static str),
    /// JSON escapes nothing of it.
    Plain(&'static str),
    /// The first so many bytes, spaces behind them.
    Short(u8, &'a [u8; INLINE]),
    Any,
}

/// A key without its quotes and its colon.
fn name(json: &'static str) -> &'static str {
    json.get(1..json.len() - 2).unwrap_or_default()
}

impl Default for Text {
    fn default() -> Self {
        Self::unseen("")
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::unseen(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::inline(&[&text]).unwrap_or_else(|| Self(Repr::Owned(text.into())))
    }
}

impl From<Cow<'static, str>> for Text {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::unseen(text),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text.0 {
            Repr::Owned(text) => text.into(),
            _ => text.as_str().to_owned(),
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.as_str().hash(hasher);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_kept_whole_and_only_long_text_is_allocated() {
        let long = "äbcdefghijklmnopqrstuvwxyz".repeat(2);
        for length in (0..long.len()).filter(|at| long.is_char_boundary(*at)) {
            let text = &long[..length];
            let copies = [Text::copied(text), Text::from(text.to_owned()), Text::concat(&[text, ""])];
            for copy in &copies {
                assert_eq!(copy.as_str(), text);
                assert_eq!(copy.heap(), if length > INLINE { length } else { 0 });
                assert_eq!(String::from(copy.clone()), text);
            }
        }
    }

    #[test]
    fn constants_know_whether_they_are_plain() {
        for text in ["url.path ~", ""] {
            assert!(matches!(Text::constant(text).form(), Form::Plain(_)), "{text:?}");
        }
        for text in ["a\"b", "a\\", "\n", "\u{7f}", "é"] {
            assert!(matches!(Text::constant(text).form(), Form::Any), "{text:?}");
        }
    }

    #[test]
    fn keys_read_as_their_names() {
        let key = Text::key("\"url.path\":");
        assert_eq!((key.as_str(), key.heap()), ("url.path", 0));
        assert_eq!(key, Text::copied("url.path"));
        assert_eq!(String::from(key), "url.path");
        for json in ["", "\"\":", "\"a\"", "a\":", "\"a:", "\"a\"b\":", "\"a\\\":", "\"é\":"] {
            assert!(std::panic::catch_unwind(|| Text::key(json)).is_err(), "{json}");
        }
    }

    #[test]
    fn what_reads_alike_is_alike() {
        let (constant, copied) = (Text::constant("abc"), Text::copied("abc"));
        assert_eq!(constant, copied);
        assert_ne!(constant, Text::copied("abd"));
        let mut set = std::collections::HashSet::new();
        set.insert(constant);
        assert!(set.contains("abc") && set.contains(&copied));
    }
}
