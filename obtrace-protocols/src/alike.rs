//! A queue for what one chunk may bring by the ten thousand.

use alloc::collections::VecDeque;

/// What even those that are alike differ in: the number and the place of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) id: u64,
    pub(crate) offset: u64,
}

/// How many of the newest kinds one is compared with.
const COMPARED: usize = 4;

/// First in, first out. Of those that are alike one is kept, of the others where they lie: what floods with the smallest
/// of messages takes little memory.
#[derive(Debug)]
pub(crate) struct Alike<T, S = Spot> {
    /// What each differs in, and the number of its kind.
    spots: VecDeque<(S, u64)>,
    /// One of each kind, the first of them with the number `first`.
    kinds: VecDeque<T>,
    first: u64,
    /// The kind of the one that was taken last.
    taken: u64,
}

impl<T, S> Default for Alike<T, S> {
    fn default() -> Self {
        Self { spots: VecDeque::new(), kinds: VecDeque::new(), first: 0, taken: u64::MAX }
    }
}

impl<T, S> Alike<T, S> {
    pub(crate) fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    /// Appends one, made if it is like none of the newest.
    pub(crate) fn push(&mut self, spot: S, is_like: impl FnMut(&T) -> bool, make: impl FnOnce() -> T) {
        match self.kind_like(is_like) {
            Some(kind) => self.spots.push_back((spot, kind)),
            None => self.push_other(spot, make()),
        }
    }

    /// Appends one. Gives it back if it is like one of the newest: nobody needs it.
    pub(crate) fn put(&mut self, spot: S, one: T, is_like: impl Fn(&T, &T) -> bool) -> Option<T> {
        match self.kind_like(|kind| is_like(kind, &one)) {
            Some(kind) => {
                self.spots.push_back((spot, kind));
                Some(one)
            }
            None => {
                self.push_other(spot, one);
                None
            }
        }
    }

    fn end(&self) -> u64 {
        self.first.saturating_add(self.kinds.len() as u64)
    }

    #[inline]
    fn kind_like(&self, mut is_like: impl FnMut(&T) -> bool) -> Option<u64> {
        let known = (1..).zip(self.newest()).find(|(_, kind)| is_like(kind));
        known.map(|(back, _)| self.end().saturating_sub(back))
    }

    fn push_other(&mut self, spot: S, one: T) {
        self.spots.push_back((spot, self.end()));
        self.kinds.push_back(one);
    }

    /// The kinds that the next one is compared with.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &T> {
        let compared = if self.spots.is_empty() { 0 } else { COMPARED };
        self.kinds.iter().rev().take(compared)
    }

    /// Takes the first. `retire` is given those that are not needed any more.
    #[inline]
    pub(crate) fn pop(&mut self, mut retire: impl FnMut(T)) -> Option<(S, &mut T)> {
        let (spot, kind) = self.spots.pop_front()?;
        // Those behind it were compared with no older ones than these.
        while kind.saturating_sub(self.first) >= COMPARED as u64 {
            self.kinds.pop_front().map(&mut retire);
            self.first = self.first.saturating_add(1);
        }
        self.taken = kind;
        Some((spot, self.taken()?))
    }

    /// The kind of the one that was taken last, as long as it is kept.
    #[inline]
    pub(crate) fn taken(&mut self) -> Option<&mut T> {
        self.kinds.get_mut(usize::try_from(self.taken.checked_sub(self.first)?).ok()?)
    }

    /// How many are kept whole.
    pub(crate) fn kinds(&self) -> usize {
        self.kinds.len()
    }

    /// Heap bytes held.
    pub(crate) fn memory(&self) -> usize {
        let spots = self.spots.capacity().saturating_mul(size_of::<(S, u64)>());
        spots.saturating_add(self.kinds.capacity().saturating_mul(size_of::<T>()))
    }

    /// Gives back memory that is not in use. What was taken last is no longer there.
    pub(crate) fn shrink(&mut self) {
        if self.spots.is_empty() {
            *self = Self::default();
        }
        self.spots.shrink_to_fit();
        self.kinds.shrink_to_fit();
    }

    /// Once all were taken: keeps no more memory than `most` of them need. `retire` is given those that were kept.
    #[inline]
    pub(crate) fn forget(&mut self, most: usize, mut retire: impl FnMut(T)) {
        if self.spots.is_empty() {
            self.first = self.end();
            while let Some(one) = self.kinds.pop_front() {
                retire(one);
            }
            if self.spots.capacity().max(self.kinds.capacity()) > most {
                *self = Self::default();
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn push(alike: &mut Alike<u64>, id: u64, kind: u64) {
        alike.push(Spot { id, offset: id * 3 }, |known| *known == kind, || kind);
    }

    fn pop(alike: &mut Alike<u64>) -> Option<(u64, u64)> {
        let (spot, kind) = alike.pop(drop)?;
        assert_eq!(spot.offset, spot.id * 3);
        Some((spot.id, *kind))
    }

    proptest! {
        #[test]
        fn gives_what_it_was_given(ops in proptest::collection::vec(proptest::option::weighted(0.6, 0..9_u64), 0..400)) {
            let (mut alike, mut plain) = (Alike::default(), VecDeque::new());
            for (id, op) in (0..).zip(ops) {
                match op {
                    Some(kind) => {
                        push(&mut alike, id, kind);
                        plain.push_back((id, kind));
                    }
                    None => prop_assert_eq!(pop(&mut alike), plain.pop_front()),
                }
                prop_assert!(plain.back().is_none_or(|(_, kind)| alike.newest().any(|newest| newest == kind)));
            }
        }
    }

    #[test]
    fn those_alike_are_kept_once() {
        let mut alike = Alike::default();
        (0..10_000).for_each(|id| push(&mut alike, id, id % 3));
        assert_eq!(alike.kinds.len(), 3);
        (0..10_000).for_each(|id| assert_eq!(pop(&mut alike), Some((id, id % 3))));
    }

    #[test]
    fn what_is_never_empty_does_not_grow() {
        let mut alike = Alike::default();
        for id in 0..10_000 {
            push(&mut alike, id, id);
            if id > 5 {
                assert_eq!(pop(&mut alike), Some((id - 6, id - 6)));
            }
        }
        assert!(alike.memory() < 1024, "{}", alike.memory());
    }
}
