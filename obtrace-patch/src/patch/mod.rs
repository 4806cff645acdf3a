//! RFC 6902 patches: a list of operations, built straight into JSON.

mod build;
mod containers;
mod marks;
mod original;
mod writer;

use std::{fmt, ops::Range};

pub(crate) use self::{
    build::{build, is_our_volume, is_ours},
    containers::has_mount,
    original::{EnvNote, ListNote, Original},
    writer::{Step, Writer},
};

/// What an operation does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// Adds a member or an element, or replaces the member that is there.
    Add,
    /// Replaces what is there.
    Replace,
    /// Removes what is there.
    Remove,
    /// Refuses the whole patch unless this is there.
    Test,
}

impl Op {
    /// The name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One operation of a [`Patch`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Operation<'a> {
    /// What it does.
    pub op: Op,
    /// Where, as a JSON pointer.
    pub path: &'a str,
    /// The value as JSON; nothing for [`Op::Remove`].
    pub value: Option<&'a [u8]>,
}

/// A JSON Patch ([RFC 6902]).
///
/// Operations on elements of lists are guarded by a `test` of the element's name: on another document than the one it
/// was made for, the patch fails as a whole instead of changing the wrong thing.
///
/// [RFC 6902]: https://www.rfc-editor.org/rfc/rfc6902
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Patch {
    /// The array, or nothing if there are no operations.
    json: Vec<u8>,
    spans: Vec<Span>,
}

/// Where an operation's parts are in the JSON.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Span {
    op: Op,
    path: Range<usize>,
    value: Range<usize>,
}

impl Patch {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The operations, in their order.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = Operation<'_>> {
        self.spans.iter().map(|span| Operation {
            op: span.op,
            path: self.json.get(span.path.clone()).and_then(|path| std::str::from_utf8(path).ok()).unwrap_or_default(),
            value: if span.op == Op::Remove { None } else { self.json.get(span.value.clone()) },
        })
    }

    /// The patch as JSON: one array, `[]` if there is nothing to do.
    #[must_use]
    pub fn as_json(&self) -> &[u8] {
        if self.json.is_empty() { b"[]" } else { &self.json }
    }

    /// As [`as_json`](Self::as_json), owned.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.as_json().to_vec()
    }
}
