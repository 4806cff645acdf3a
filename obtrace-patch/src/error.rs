//! Why bytes could not be read.

use std::fmt;

/// JSON that is broken, or that is not of the shape Kubernetes gives it.
///
/// ```
/// use obtrace_patch::Pod;
///
/// let error = Pod::parse(br#"{"spec": {"containers": "web"}}"#).unwrap_err();
/// assert_eq!(error.to_string(), "expected an array at byte 24");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseError {
    offset: usize,
    what: What,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum What {
    Expected(&'static str),
    Escape,
    Utf8,
    Depth,
}

impl ParseError {
    pub(crate) fn new(offset: usize, what: What) -> Self {
        Self { offset, what }
    }

    pub(crate) fn expected(offset: usize, what: &'static str) -> Self {
        Self::new(offset, What::Expected(what))
    }

    /// Where in the bytes that were given.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The same error in bytes of which the read ones were a part that begins at `start`.
    pub(crate) fn inside(self, start: usize) -> Self {
        Self { offset: self.offset + start, ..self }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Expected(what) => write!(f, "expected {what}")?,
            What::Escape => f.write_str("unknown escape in a string")?,
            What::Utf8 => f.write_str("a string is not UTF-8")?,
            What::Depth => f.write_str("nested too deep")?,
        }
        write!(f, " at byte {}", self.offset)
    }
}

impl std::error::Error for ParseError {}
