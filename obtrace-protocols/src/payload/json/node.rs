//! What is of interest in documents.

#[cfg(doc)]
use super::Value;
use super::scan::{Name, head};

/// What is of interest about a value, and inside it.
#[derive(Debug)]
pub(crate) struct Node<F: 'static> {
    pub(super) key: &'static str,
    /// The first eight bytes of the name.
    pub(super) head: u64,
    pub(super) field: Option<F>,
    pub(super) members: &'static [Node<F>],
    pub(super) each: Option<&'static Node<F>>,
    /// It is content: looked into only if contents are asked for.
    pub(super) content: bool,
    /// A container is told as its text.
    pub(super) raw: bool,
    /// Told twice with the same value it says no more than told once, whatever is told between.
    pub(super) steady: bool,
}

impl<F: Copy> Node<F> {
    const fn new(key: &'static str, field: Option<F>) -> Self {
        Self { key, head: head(key), field, members: &[], each: None, content: false, raw: false, steady: false }
    }

    /// The member of this name.
    #[inline]
    pub(super) fn member(&self, name: &Name<'_>) -> Option<&'static Self> {
        let is = |node: &&'static Self| {
            node.head == name.head
                && node.key.len() == name.text.len()
                && (name.text.len() <= size_of::<u64>() || node.key.as_bytes() == name.text)
        };
        self.members.iter().find(is)
    }

    /// A document, with these members of interest.
    pub(crate) const fn document(members: &'static [Self]) -> Self {
        Self { members, ..Self::new("", None) }
    }

    /// A member of this name, told as `field`. Of a container [`Value::Begin`] is told.
    pub(crate) const fn leaf(key: &'static str, field: F) -> Self {
        Self::new(key, Some(field))
    }

    /// The same, where saying again what was said before says nothing: documents that begin alike tell it once.
    pub(crate) const fn steady(self) -> Self {
        Self { steady: true, ..self }
    }

    /// A member that is an object with members of interest.
    pub(crate) const fn object(key: &'static str, members: &'static [Self]) -> Self {
        Self { members, ..Self::new(key, None) }
    }

    /// A member that is an array, each element told as `field`.
    pub(crate) const fn list(key: &'static str, each: &'static Self) -> Self {
        Self { each: Some(each), ..Self::new(key, None) }
    }

    /// An element of an array: its [`Value::Begin`] and [`Value::End`] are told, and members of it.
    pub(crate) const fn element(field: F, members: &'static [Self]) -> Self {
        Self { members, ..Self::new("", Some(field)) }
    }

    /// An element that is an array itself.
    pub(crate) const fn nested(each: &'static Self) -> Self {
        Self { each: Some(each), ..Self::new("", None) }
    }

    /// The same, told as `field` itself, too.
    pub(crate) const fn told(self, field: F) -> Self {
        Self { field: Some(field), ..self }
    }

    /// The same; it may be an object with these members, too.
    pub(crate) const fn or_object(self, members: &'static [Self]) -> Self {
        Self { members, ..self }
    }

    /// The same, looked into only if contents are asked for. If not, [`Value::Begin`] says that it is there.
    pub(crate) const fn content(self) -> Self {
        Self { content: true, ..self }
    }

    /// The same, told as its text, only if contents are asked for.
    pub(crate) const fn raw(self) -> Self {
        Self { raw: true, content: true, ..self }
    }
}
