//! Which images somebody wants to know more of, and why they cannot be known: what discovery and the look-ups share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// The most images that are kept.
pub const MOST_IMAGES: usize = 5000;
/// The most pairs of a namespace and a pull secret that are kept of an image.
const MOST_SOURCES: usize = 8;
/// How long an image that nobody asks for any more is kept.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Where an image is used: the namespace, and the pull secret that the Pods name, if any.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Source {
    pub(crate) namespace: Arc<str>,
    pub(crate) secret: Option<Arc<str>>,
}

#[derive(Debug)]
struct Want {
    sources: BTreeSet<Source>,
    seen: Instant,
    fault: Option<Arc<str>>,
}

/// The images that are wanted.
#[derive(Debug, Default)]
pub struct Wanted {
    images: Mutex<BTreeMap<Arc<str>, Want>>,
    left_out: std::sync::atomic::AtomicU64,
    pub(super) news: Notify,
}

impl Wanted {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for an image as a Pod of this namespace names it, with the pull secrets that the Pod names; it is asked for anew whenever
    /// its workload is looked at. Why it cannot be looked up, if that was tried.
    pub fn want<'s>(&self, image: &str, namespace: &str, secrets: impl Iterator<Item = &'s str>) -> Option<Arc<str>> {
        let mut images = self.lock();
        let now = Instant::now();
        if !images.contains_key(image) {
            if images.len() >= MOST_IMAGES {
                images.retain(|_, want| now.duration_since(want.seen) < FORGOTTEN_AFTER);
            }
            if images.len() >= MOST_IMAGES {
                self.left_out.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                return None;
            }
            images.insert(image.into(), Want { sources: BTreeSet::new(), seen: now, fault: None });
            self.news.notify_one();
        }
        let want = images.get_mut(image)?;
        want.seen = now;
        let named = secrets.map(|name| Some(Arc::from(name))).chain([None]);
        for source in named.map(|secret| Source { namespace: namespace.into(), secret }) {
            if want.sources.len() < MOST_SOURCES && want.sources.insert(source) {
                self.news.notify_one();
            }
        }
        want.fault.clone()
    }

    /// How often an image was asked for and not kept, for there were too many.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The images that were asked for of late, with where they are used.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, BTreeSet<Source>)> {
        let mut images = self.lock();
        let now = Instant::now();
        images.retain(|_, want| now.duration_since(want.seen) < FORGOTTEN_AFTER);
        images.iter().map(|(image, want)| (Arc::clone(image), want.sources.clone())).collect()
    }

    /// Notes why an image cannot be looked up, or that it can; whether that is new.
    pub(crate) fn say(&self, image: &str, fault: Option<&str>) -> bool {
        match self.lock().get_mut(image) {
            Some(want) if want.fault.as_deref() != fault => {
                want.fault = fault.map(Arc::from);
                true
            }
            _ => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Want>> {
        // Nothing in here is left half done.
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_their_sources_are_bounded_and_counted() {
        let wanted = Wanted::new();
        for number in 0..MOST_IMAGES + 3 {
            wanted.want(&format!("a:{number}"), "shop", std::iter::empty());
        }
        assert_eq!((wanted.all().len(), wanted.left_out()), (MOST_IMAGES, 3));
        for number in 0..20 {
            wanted.want("a:1", &format!("ns-{number}"), ["regcred"].into_iter());
        }
        let (_, sources) = wanted.all().into_iter().find(|(image, _)| &**image == "a:1").unwrap();
        assert_eq!(sources.len(), MOST_SOURCES);
    }

    #[test]
    fn whoever_asks_is_told_why_it_cannot_be_looked_up() {
        let wanted = Wanted::new();
        let ask = || wanted.want("a", "shop", std::iter::empty());
        assert_eq!(ask(), None);
        assert!(wanted.say("a", Some("no")) && !wanted.say("a", Some("no")) && !wanted.say("b", Some("no")));
        assert_eq!(ask().as_deref(), Some("no"));
        assert!(wanted.say("a", None));
        assert_eq!(ask(), None);
    }
}
