//! Whose Events the API server refuses, and how long each is left alone: so that they take no time from others.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    time::{Duration, Instant},
};

use crate::admission::Owner;

/// The first pause, and the longest; each is twice as long as the one before.
const PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));
/// The refusals in a row that an owner has free: the first may have been for the moment.
const FREE: u32 = 1;
/// The same of a namespace, whoever they are of: it may be terminating, or have a quota or a webhook that takes none, and its owners may
/// have a Pod each.
const FREE_OF_NAMESPACE: u32 = 3;

/// Refusals in a row.
#[derive(Clone, Copy, Debug)]
struct Rest {
    times: u32,
    until: Instant,
}

/// Who rests. What is kept of an owner or namespace is a hash, so that names take no room; two that share one share their pauses.
#[derive(Debug)]
pub(super) struct Pauses {
    rests: HashMap<u64, Rest>,
    key: RandomState,
    most: usize,
}

impl Pauses {
    /// Nobody; at most so many will be kept.
    pub(super) fn new(most: usize) -> Self {
        Self { rests: HashMap::new(), key: RandomState::new(), most }
    }

    fn keys(&self, namespace: &str, owner: &Owner) -> [u64; 2] {
        [None, Some(owner)].map(|owner| self.key.hash_one((namespace, owner)))
    }

    /// Whether an owner or its namespace rests now.
    pub(super) fn rests(&self, namespace: &str, owner: &Owner, now: Instant) -> bool {
        self.keys(namespace, owner).iter().any(|key| self.rests.get(key).is_some_and(|rest| now < rest.until))
    }

    /// The API server has refused an Event of this owner.
    pub(super) fn refused(&mut self, namespace: &str, owner: &Owner, now: Instant) {
        let keys = self.keys(namespace, owner);
        let new = keys.iter().filter(|key| !self.rests.contains_key(key)).count();
        if self.rests.len() + new > self.most {
            self.rests.retain(|_, rest| now < rest.until);
        }
        if self.rests.len() + new > self.most {
            // Forgotten together rather than one by one: each is asked for once more.
            self.rests.clear();
        }
        for (key, free) in keys.into_iter().zip([FREE_OF_NAMESPACE, FREE]) {
            let rest = self.rests.entry(key).or_insert(Rest { times: 0, until: now });
            rest.times = rest.times.saturating_add(1);
            if let Some(before) = rest.times.checked_sub(free + 1) {
                rest.until = now + PAUSE.0.saturating_mul(1 << before.min(16)).min(PAUSE.1);
            }
        }
    }

    /// It has taken one.
    pub(super) fn taken(&mut self, namespace: &str, owner: &Owner) {
        for key in self.keys(namespace, owner) {
            self.rests.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        Owner::new("apps/v1", "ReplicaSet", name, "1")
    }

    #[test]
    fn each_refusal_in_a_row_has_a_longer_pause() {
        let (mut pauses, mut now) = (Pauses::new(100), Instant::now());
        let a = owner("a");
        pauses.refused("shop", &a, now);
        assert!(!pauses.rests("shop", &a, now), "the first may have been for the moment");
        let mut last = Duration::ZERO;
        for _ in 0..12 {
            pauses.refused("shop", &a, now);
            let pause = (1..).map(|seconds| Duration::from_secs(30) * seconds);
            let pause =
                pause.take_while(|pause| pauses.rests("shop", &a, now + *pause - Duration::from_secs(1))).last();
            let pause = pause.unwrap();
            assert!(pause > last || pause == PAUSE.1, "{pause:?} after {last:?}");
            last = pause;
            now += pause;
        }
        assert_eq!(last, PAUSE.1);
        pauses.taken("shop", &a);
        assert!(!pauses.rests("shop", &a, now) && pauses.rests.is_empty());
    }

    #[test]
    fn a_namespace_rests_that_refuses_whoever_asks() {
        let (mut pauses, now) = (Pauses::new(100), Instant::now());
        for number in 0..=FREE_OF_NAMESPACE {
            assert!(!pauses.rests("ending", &owner("new"), now), "after {number}");
            pauses.refused("ending", &owner(&number.to_string()), now);
        }
        assert!(pauses.rests("ending", &owner("new"), now));
        assert!(!pauses.rests("shop", &owner("new"), now));
        // An owner that is refused for what it is keeps none of its namespace waiting as long as others are not.
        for _ in 0..10 {
            pauses.refused("shop", &owner("odd"), now);
            pauses.taken("shop", &owner("fine"));
        }
        assert!(pauses.rests("shop", &owner("odd"), now) && !pauses.rests("shop", &owner("fine"), now));
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let (mut pauses, now) = (Pauses::new(8), Instant::now());
        for number in 0..100 {
            let (namespace, owner) = (format!("n{number}"), owner("a"));
            pauses.refused(&namespace, &owner, now);
            pauses.refused(&namespace, &owner, now);
            assert!(pauses.rests(&namespace, &owner, now) && pauses.rests.len() <= 8);
        }
    }
}
