//! What a watch has told, kept whole while it is told anew.

use std::collections::BTreeMap;

use kube::runtime::watcher::Event;

/// The objects of one kind by their names. While a list runs the old content stands; the new replaces it when it is whole.
#[derive(Debug)]
pub(super) struct Listing<T> {
    current: BTreeMap<String, T>,
    fresh: Option<BTreeMap<String, T>>,
    complete: bool,
    most: usize,
    left_out: u64,
    /// Whether there is more than what is known, and more than the new content.
    more: bool,
    fresh_more: bool,
}

impl<T: PartialEq> Listing<T> {
    /// An empty one that holds so many at most.
    pub(super) fn new(most: usize) -> Self {
        Self {
            current: BTreeMap::new(),
            fresh: None,
            complete: false,
            most,
            left_out: 0,
            more: false,
            fresh_more: false,
        }
    }

    /// Takes an event in; whether what is [known](Self::iter), or [that it is not all](Self::has_more), differs now. `read` gives an object's name and what is kept of it.
    pub(super) fn apply<K>(&mut self, event: Event<K>, read: impl Fn(K) -> (String, T)) -> bool {
        match event {
            Event::Init => {
                self.fresh = Some(BTreeMap::new());
                self.fresh_more = false;
                false
            }
            Event::InitApply(object) => {
                let (name, kept) = read(object);
                let fresh = self.fresh.get_or_insert_default();
                if fresh.len() < self.most {
                    fresh.insert(name, kept);
                } else {
                    self.left_out += 1;
                    self.fresh_more = true;
                }
                false
            }
            Event::InitDone => self.replace_by_fresh(),
            Event::Apply(object) => {
                let (name, kept) = read(object);
                if self.current.get(&name) == Some(&kept) {
                    return false;
                }
                if self.current.len() >= self.most && !self.current.contains_key(&name) {
                    self.left_out += 1;
                    return !std::mem::replace(&mut self.more, true);
                }
                self.current.insert(name, kept);
                true
            }
            Event::Delete(object) => self.current.remove(&read(object).0).is_some(),
        }
    }

    /// There is nothing of this kind; whether that is new.
    pub(super) fn clear(&mut self) -> bool {
        self.fresh = None;
        self.more = false;
        let had = !self.current.is_empty();
        self.current.clear();
        had
    }

    fn replace_by_fresh(&mut self) -> bool {
        let Some(fresh) = self.fresh.take() else { return false };
        let first = !self.complete;
        self.complete = true;
        let differs = self.current != fresh || self.more != self.fresh_more;
        self.current = fresh;
        self.more = self.fresh_more;
        differs || first
    }

    /// Whether a list has been whole once.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether there may be objects that did not fit. Which they were is not known, so that they are missed until the next whole list.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// How many objects did not fit, each time they were told of.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What is known, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &T)> {
        self.current.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(listing: &Listing<u8>) -> Vec<(&str, u8)> {
        listing.iter().map(|(name, value)| (name.as_str(), *value)).collect()
    }

    fn read((name, value): (&str, u8)) -> (String, u8) {
        (name.to_owned(), value)
    }

    #[test]
    fn the_old_content_stands_until_the_new_is_whole() {
        let mut listing = Listing::new(10);
        for (event, differs) in [
            (Event::Init, false),
            (Event::InitApply(("a", 1)), false),
            (Event::InitApply(("b", 2)), false),
            (Event::InitDone, true),
            (Event::Apply(("b", 2)), false),
            (Event::Apply(("b", 3)), true),
        ] {
            assert_eq!(listing.apply(event, read), differs);
        }
        assert!(listing.is_complete());
        listing.apply(Event::Init, read);
        listing.apply(Event::InitApply(("b", 3)), read);
        assert_eq!(all(&listing), [("a", 1), ("b", 3)], "a list that broke off takes nothing away");
        listing.apply(Event::Init, read);
        listing.apply(Event::InitApply(("b", 3)), read);
        assert!(listing.apply(Event::InitDone, read));
        assert_eq!(all(&listing), [("b", 3)]);
        assert!(listing.apply(Event::Delete(("b", 0)), read));
        assert!(!listing.apply(Event::Delete(("b", 0)), read));
    }

    #[test]
    fn the_first_list_is_news_even_if_it_is_empty() {
        let mut listing = Listing::<u8>::new(10);
        listing.apply(Event::<(&str, u8)>::Init, read);
        assert!(listing.apply(Event::<(&str, u8)>::InitDone, read));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut listing = Listing::new(1);
        listing.apply(Event::Init, read);
        listing.apply(Event::InitApply(("a", 1)), read);
        listing.apply(Event::InitApply(("b", 2)), read);
        listing.apply(Event::InitDone, read);
        assert!(listing.has_more());
        assert!(!listing.apply(Event::Apply(("c", 3)), read));
        assert!(listing.apply(Event::Apply(("a", 4)), read));
        assert_eq!((all(&listing), listing.left_out()), (vec![("a", 4)], 2));
        listing.apply(Event::Init, read);
        listing.apply(Event::InitApply(("a", 4)), read);
        assert!(listing.apply(Event::InitDone, read) && !listing.has_more(), "now it is all there is");
        assert!(listing.apply(Event::Apply(("b", 2)), read) && listing.has_more());
        assert!(!listing.apply(Event::Apply(("c", 3)), read), "that is known");
    }
}
