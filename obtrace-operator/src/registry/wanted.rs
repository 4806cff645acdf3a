//! Which images somebody wants to know more of, and why they cannot be known: what discovery and the look-ups share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// The most images that are kept. For one more of another namespace, one goes of the namespace that has most.
pub const MOST_IMAGES: usize = 5000;
/// The most pairs of a namespace and a pull secret that are kept of an image. For one more of another namespace, one goes of the namespace that has most.
pub const MOST_SOURCES: usize = 8;
/// How long an image that nobody asks for any more is kept.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Where an image is used: the namespace, and the pull secret that the Pods name, if any.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Source {
    pub(crate) namespace: Arc<str>,
    pub(crate) secret: Option<Arc<str>>,
}

/// Why an image cannot be looked up, as its namespaces may know it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Told {
    /// What each namespace may know that has a say in it: what its pull secrets have led to, and what it may do.
    pub(crate) namespaces: BTreeMap<Arc<str>, Arc<str>>,
    /// What all others may know.
    pub(crate) others: Arc<str>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) image: Arc<str>,
    /// The namespace that has asked for it first, for whom it counts.
    pub(crate) namespace: Arc<str>,
    pub(crate) sources: BTreeSet<Source>,
}

#[derive(Debug)]
struct Want {
    namespace: Arc<str>,
    sources: BTreeSet<Source>,
    /// Whether there were too many.
    has_more_sources: bool,
    seen: Instant,
    told: Option<Told>,
}

#[derive(Debug, Default)]
struct State {
    images: BTreeMap<Arc<str>, Want>,
    /// How many of them count for each namespace; nobody is in it with none.
    counts: BTreeMap<Arc<str>, usize>,
}

/// The images that are wanted.
#[derive(Debug, Default)]
pub struct Wanted {
    state: Mutex<State>,
    left_out: AtomicU64,
    sources_left_out: AtomicU64,
    pub(super) news: Notify,
}

impl Wanted {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for an image as a Pod of this namespace names it, with the pull secrets that the Pod names; it is asked for anew whenever
    /// its workload is looked at. Why it cannot be looked up, if that was tried, as far as this namespace may know it.
    pub fn want<'s>(&self, image: &str, namespace: &str, secrets: impl Iterator<Item = &'s str>) -> Option<Arc<str>> {
        let mut state = self.lock();
        let now = Instant::now();
        if !state.images.contains_key(image) {
            if state.images.len() >= MOST_IMAGES {
                state.forget(now);
            }
            if state.images.len() >= MOST_IMAGES {
                self.left_out.fetch_add(1, Relaxed);
                if !state.make_room(namespace) {
                    return None;
                }
            }
            state.add(image, namespace, now);
            self.news.notify_one();
        }
        let want = state.images.get_mut(image)?;
        want.seen = now;
        let named = secrets.map(|name| Some(Arc::from(name))).chain([None]);
        for source in named.map(|secret| Source { namespace: namespace.into(), secret }) {
            match want.add(source) {
                Added::Known => {}
                Added::New => self.news.notify_one(),
                Added::LeftOut => {
                    self.sources_left_out.fetch_add(1, Relaxed);
                    self.news.notify_one();
                }
            }
        }
        let told = want.told.as_ref()?;
        Some(Arc::clone(told.namespaces.get(namespace).unwrap_or(&told.others)))
    }

    /// How often an image was asked for and not kept, or another one for it, for there were too many.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Relaxed)
    }

    /// Of how many images not every namespace and pull secret is kept, for there were too many.
    #[must_use]
    pub fn sources_left_out(&self) -> u64 {
        self.sources_left_out.load(Relaxed)
    }

    /// The images that were asked for of late, in order, with where they are used.
    pub(crate) fn all(&self) -> Vec<Ask> {
        let mut state = self.lock();
        state.forget(Instant::now());
        let ask = |(image, want): (&Arc<str>, &Want)| Ask {
            image: Arc::clone(image),
            namespace: Arc::clone(&want.namespace),
            sources: want.sources.clone(),
        };
        state.images.iter().map(ask).collect()
    }

    /// The images that were asked for of late, with the namespaces for which they count.
    pub(crate) fn owners(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        self.lock().images.iter().map(|(image, want)| (Arc::clone(image), Arc::clone(&want.namespace))).collect()
    }

    /// Notes why an image cannot be looked up, or that it can; whether that is new.
    pub(crate) fn say(&self, image: &str, told: Option<Told>) -> bool {
        match self.lock().images.get_mut(image) {
            Some(want) if want.told != told => {
                want.told = told;
                true
            }
            _ => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, image: &str, namespace: &str, now: Instant) {
        let namespace: Arc<str> = namespace.into();
        *self.counts.entry(Arc::clone(&namespace)).or_default() += 1;
        let want = Want { namespace, sources: BTreeSet::new(), has_more_sources: false, seen: now, told: None };
        self.images.insert(image.into(), want);
    }

    /// Drops what nobody asks for any more.
    fn forget(&mut self, now: Instant) {
        let Self { images, counts } = self;
        images.retain(|_, want| {
            let stays = now.duration_since(want.seen) < FORGOTTEN_AFTER;
            if !stays {
                uncount(counts, &want.namespace);
            }
            stays
        });
    }

    /// Makes room for an image of that namespace, unless none has more than it; whether there is room now.
    fn make_room(&mut self, namespace: &str) -> bool {
        let own = self.counts.get(namespace).copied().unwrap_or_default();
        let most = self.counts.iter().max_by_key(|(_, count)| **count);
        let Some((most, _)) = most.filter(|(_, count)| **count > own.saturating_add(1)) else { return false };
        let last =
            self.images.iter().rev().find(|(_, want)| want.namespace == *most).map(|(image, _)| Arc::clone(image));
        let gone = last.and_then(|image| self.images.remove(&image));
        gone.is_some_and(|want| {
            uncount(&mut self.counts, &want.namespace);
            true
        })
    }
}

fn uncount(counts: &mut BTreeMap<Arc<str>, usize>, namespace: &Arc<str>) {
    if let Some(count) = counts.get_mut(namespace) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(namespace);
        }
    }
}

/// What became of a source.
enum Added {
    Known,
    New,
    /// It, or another one for it: the first that was.
    LeftOut,
}

impl Want {
    fn add(&mut self, source: Source) -> Added {
        if self.sources.contains(&source) {
            return Added::Known;
        }
        let is_first = self.sources.len() >= MOST_SOURCES && !std::mem::replace(&mut self.has_more_sources, true);
        if self.sources.len() >= MOST_SOURCES {
            let count = |namespace: &Arc<str>| self.sources.iter().filter(|it| it.namespace == *namespace).count();
            let most = self.sources.iter().max_by_key(|it| count(&it.namespace)).cloned();
            if let Some(most) = most.filter(|most| count(&most.namespace) > count(&source.namespace).saturating_add(1))
            {
                self.sources.remove(&most);
            }
        }
        let has_room = self.sources.len() < MOST_SOURCES;
        if has_room {
            self.sources.insert(source);
        }
        match (is_first, has_room) {
            (true, _) => Added::LeftOut,
            (false, true) => Added::New,
            (false, false) => Added::Known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> std::iter::Empty<&'static str> {
        std::iter::empty()
    }

    #[test]
    fn images_and_their_sources_are_bounded_and_counted() {
        let wanted = Wanted::new();
        for number in 0..MOST_IMAGES + 3 {
            wanted.want(&format!("a:{number}"), "shop", none());
        }
        assert_eq!((wanted.all().len(), wanted.left_out()), (MOST_IMAGES, 3));
        for number in 0..20 {
            wanted.want("a:1", &format!("ns-{number}"), ["regcred"].into_iter());
        }
        let asked = wanted.all().into_iter().find(|it| &*it.image == "a:1").unwrap();
        assert_eq!((asked.sources.len(), wanted.sources_left_out()), (MOST_SOURCES, 1));
    }

    #[test]
    fn a_namespace_with_many_images_makes_room_for_those_of_others() {
        let wanted = Wanted::new();
        for number in 0..2 * MOST_IMAGES {
            wanted.want(&format!("many:{number}"), "many", none());
        }
        for number in 0..10 {
            wanted.want(&format!("few:{number}"), "few", none());
        }
        let has = |start: &str| wanted.all().iter().filter(|it| it.image.starts_with(start)).count();
        assert_eq!((has("few"), has("many")), (10, MOST_IMAGES - 10));
        wanted.want("many:again", "many", none());
        assert_eq!((has("few"), has("many:again")), (10, 0), "nor does it come back in the place of others");
    }

    #[test]
    fn a_namespace_with_many_secrets_makes_room_for_those_of_others() {
        let wanted = Wanted::new();
        let names: Vec<_> = (0..20).map(|number| format!("secret-{number}")).collect();
        wanted.want("a", "many", names.iter().map(String::as_str));
        wanted.want("a", "few", ["regcred"].into_iter());
        let sources = wanted.all().remove(0).sources;
        let of = |namespace| sources.iter().filter(|it| &*it.namespace == namespace).count();
        assert_eq!((of("few"), of("many"), wanted.sources_left_out()), (2, MOST_SOURCES - 2, 1));
    }

    #[test]
    fn whoever_asks_is_told_what_it_may_know() {
        let wanted = Wanted::new();
        let ask = |namespace| wanted.want("a", namespace, none());
        assert_eq!(ask("shop"), None);
        let told =
            |own: &str| Some(Told { namespaces: [("shop".into(), own.into())].into(), others: "refused".into() });
        assert!(wanted.say("a", told("no")) && !wanted.say("a", told("no")) && !wanted.say("b", told("no")));
        assert_eq!(ask("shop").as_deref(), Some("no"));
        assert_eq!(ask("other").as_deref(), Some("refused"));
        assert!(wanted.say("a", None));
        assert_eq!(ask("shop"), None);
    }
}
