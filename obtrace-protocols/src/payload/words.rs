//! A short list of short texts in one place, which is used again without allocating.

use alloc::string::String;
use core::fmt;

/// At most `N` texts.
#[derive(Clone)]
pub(super) struct Words<const N: usize> {
    text: String,
    ends: [u32; N],
    length: usize,
}

impl<const N: usize> Default for Words<N> {
    fn default() -> Self {
        Self { text: String::new(), ends: [0; N], length: 0 }
    }
}

impl<const N: usize> Words<N> {
    /// Appends a text. Whether there was room for it.
    pub(super) fn push(&mut self, word: &str) -> bool {
        let Some(end) = self.ends.get_mut(self.length) else { return false };
        self.text.push_str(word);
        *end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.length = self.length.saturating_add(1);
        true
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.length = 0;
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(..self.length)?.get(at)? as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        self.text.get(start..end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.length).filter_map(|at| self.get(at))
    }

    pub(super) const fn capacity(&self) -> usize {
        self.text.capacity()
    }
}

impl<const N: usize> PartialEq for Words<N> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<const N: usize> fmt::Debug for Words<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_bounded_and_used_again() {
        let mut words = Words::<2>::default();
        for _ in 0..2 {
            assert!(words.push("a") && words.push("") && !words.push("c"));
            assert!(words.iter().eq(["a", ""]), "{words:?}");
            assert_eq!((words.get(1), words.get(2)), (Some(""), None));
            words.clear();
            assert_eq!((words.len(), words.get(0)), (0, None));
        }
    }
}
