//! What is looked up when: no network and no clock, only what follows from what was wanted and what came of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Options,
    client::{Fault, Found},
    kept::{self, All, Known},
    reference::Reference,
    wanted::{Ask, Source},
};

/// The shortest time that a registry is left alone that is busy or away, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));
/// The longest time that a reference is left alone that came to nothing, as a multiple of the first.
const LONGEST_RETRY: u32 = 60;
/// The most look-ups at once, and the most of one registry.
const MOST_AT_ONCE: (usize, usize) = (4, 2);
/// The most look-ups at once for the images of one namespace: each may take long, and others are not to wait for all of them.
const MOST_OF_NAMESPACE: usize = 3;
/// How often what is known is written at most where only its age has changed, as a part of how long it is believed.
const AGED: u32 = 8;

/// A look-up that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) image: Arc<str>,
    pub(super) reference: Reference,
    pub(super) sources: BTreeSet<Source>,
    /// The digest that the reference had.
    pub(super) previous: Option<String>,
}

/// A time until which something is left alone, and how often that was in a row.
#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    times: u32,
}

/// What a look-up came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The image is known now.
    Found,
    /// It is what it was.
    Unchanged,
    /// It is known and not kept.
    TooLarge,
    /// It is not known.
    Failed(&'static str),
}

impl Outcome {
    /// Its name, for a metric's label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Unchanged => "unchanged",
            Self::TooLarge => "too_large",
            Self::Failed(reason) => reason,
        }
    }
}

/// What is known, what is not, and what is under way.
#[derive(Debug)]
pub(super) struct Agenda {
    options: Options,
    known: All,
    /// What [`Self::known`] takes, in bytes.
    bytes: usize,
    most_bytes: usize,
    failed: HashMap<Arc<str>, Rest>,
    hosts: HashMap<String, Rest>,
    running: BTreeMap<Arc<str>, Running>,
    /// How many look-ups had begun when the last one of a namespace did: the one that has waited longest is next.
    turns: HashMap<Arc<str>, u64>,
    begun: u64,
    /// How many images were dropped for others, or not kept.
    pub(super) dropped: u64,
    changed: bool,
    /// Since when something is only known anew.
    aged: Option<Instant>,
}

/// A look-up that is under way.
#[derive(Debug)]
struct Running {
    host: String,
    namespace: Arc<str>,
}

/// The namespaces for which images count, by the images.
pub(super) type Owners = BTreeMap<Arc<str>, Arc<str>>;

impl Agenda {
    pub(super) fn new(options: Options, known: All) -> Self {
        let bytes = known.iter().map(|(image, known)| kept::bytes_of(image, known)).sum();
        Self {
            options,
            known,
            bytes,
            most_bytes: kept::MOST_BYTES,
            failed: HashMap::new(),
            hosts: HashMap::new(),
            running: BTreeMap::new(),
            turns: HashMap::new(),
            begun: 0,
            dropped: 0,
            changed: false,
            aged: None,
        }
    }

    pub(super) fn known(&self) -> &All {
        &self.known
    }

    /// The digests that are known.
    pub(super) fn digests(&self) -> BTreeSet<String> {
        self.known.values().map(|known| known.digest.clone()).collect()
    }

    /// Whether what is known differs from what was told last, or was told so long ago that another leader would ask for much of it anew.
    pub(super) fn take_changed(&mut self, now: Instant) -> bool {
        let pace = self.options.refresh / AGED;
        let is_old = self.aged.is_some_and(|since| now.saturating_duration_since(since) >= pace);
        let changed = std::mem::take(&mut self.changed) || is_old;
        if changed {
            self.aged = None;
        }
        changed
    }

    /// What is known was not told after all.
    pub(super) fn untold(&mut self) {
        self.changed = true;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Takes over what another leader has found meanwhile.
    pub(super) fn learn(&mut self, others: All, now: Instant) {
        for (image, known) in others {
            if self.known.get(&image).is_none_or(|own| own.at < known.at) {
                self.keep(&image, known, &Owners::new(), now);
            }
        }
    }

    /// A pull secret may be read now: what was refused is tried anew.
    pub(super) fn forget_failures(&mut self) {
        self.failed.clear();
    }

    /// What of the wanted, which is in order, is to be looked up now: of the namespaces the one is next that has waited longest. `time` is in
    /// seconds since 1970.
    pub(super) fn due(&mut self, wanted: &[Ask], now: Instant, time: i64) -> Vec<Job> {
        self.failed.retain(|image, _| wanted.binary_search_by(|it| it.image.cmp(image)).is_ok());
        self.hosts.retain(|_, rest| now < rest.until + PAUSE.1);
        if self.running.len() >= MOST_AT_ONCE.0 {
            return Vec::new();
        }
        let mut due = BTreeMap::<&Arc<str>, VecDeque<(&Ask, Reference)>>::new();
        for ask in wanted.iter().filter(|ask| self.is_due(&ask.image, now, time)) {
            let Some(reference) = Reference::parse(&ask.image) else { continue };
            let is_fixed = reference.is_fixed() && self.known.contains_key(&*ask.image);
            if !is_fixed && !rests(self.hosts.get(&reference.host), now) {
                due.entry(&ask.namespace).or_default().push_back((ask, reference));
            }
        }
        self.turns.retain(|namespace, _| due.contains_key(namespace));
        let mut jobs = Vec::new();
        while self.running.len() < MOST_AT_ONCE.0
            && let Some((ask, reference)) = self.next(&mut due)
        {
            jobs.push(self.begin(ask, reference));
        }
        jobs
    }

    /// The next look-up, taken out of what is due.
    fn next<'a>(
        &self,
        due: &mut BTreeMap<&'a Arc<str>, VecDeque<(&'a Ask, Reference)>>,
    ) -> Option<(&'a Ask, Reference)> {
        let of_host = |host: &str| self.running.values().filter(|it| it.host == host).count();
        let of_namespace = |it: &Arc<str>| self.running.values().filter(|running| running.namespace == *it).count();
        let mut turns: Vec<_> = due.keys().filter(|it| of_namespace(it) < MOST_OF_NAMESPACE).copied().collect();
        turns.sort_by_key(|it| self.turns.get(*it));
        turns.into_iter().find_map(|namespace| {
            let asks = due.get_mut(namespace)?;
            let at = asks.iter().position(|(_, reference)| of_host(&reference.host) < MOST_AT_ONCE.1)?;
            asks.remove(at)
        })
    }

    fn begin(&mut self, ask: &Ask, reference: Reference) -> Job {
        self.begun = self.begun.wrapping_add(1);
        self.turns.insert(Arc::clone(&ask.namespace), self.begun);
        let running = Running { host: reference.host.clone(), namespace: Arc::clone(&ask.namespace) };
        self.running.insert(Arc::clone(&ask.image), running);
        Job {
            image: Arc::clone(&ask.image),
            reference,
            sources: ask.sources.clone(),
            previous: self.known.get(&*ask.image).map(|known| known.digest.clone()),
        }
    }

    /// Whether an image is to be looked up, whatever its registry does.
    fn is_due(&self, image: &Arc<str>, now: Instant, time: i64) -> bool {
        let is_new = self.known.get(&**image).is_none_or(|known| self.is_old(known, time));
        is_new && !self.running.contains_key(image) && !rests(self.failed.get(image), now)
    }

    fn is_old(&self, known: &Known, time: i64) -> bool {
        let age = u64::try_from(time.saturating_sub(known.at)).unwrap_or(0);
        age >= self.options.refresh.as_secs()
    }

    /// Takes in what came of a job. `wanted` are the images that are wanted.
    pub(super) fn done(
        &mut self,
        job: &Job,
        result: Result<Found, Fault>,
        wanted: &Owners,
        now: Instant,
        time: i64,
    ) -> Outcome {
        self.running.remove(&job.image);
        match result {
            Ok(found) => {
                self.failed.remove(&job.image);
                // What another look-up was told meanwhile stands.
                if self.hosts.get(&job.reference.host).is_some_and(|rest| now >= rest.until) {
                    self.hosts.remove(&job.reference.host);
                }
                self.found(job, found, wanted, now, time)
            }
            Err(fault) => {
                let (reason, of_host) = match &fault {
                    Fault::Refused(_) => ("refused", None),
                    Fault::Absent => ("absent", None),
                    Fault::Odd(_) => ("odd", None),
                    Fault::Barred(_) => ("barred", None),
                    Fault::Busy(_, after) => ("busy", Some(*after)),
                    Fault::Away(_) => ("away", Some(None)),
                };
                match of_host {
                    Some(after) => self.pause(&job.reference.host, after, now),
                    None => self.leave(job, now),
                }
                Outcome::Failed(reason)
            }
        }
    }

    /// Leaves a reference alone: longer each time.
    fn leave(&mut self, job: &Job, now: Instant) {
        let times = self.failed.get(&job.image).map_or(0, |rest| rest.times);
        let factor = 1_u32.checked_shl(times).unwrap_or(LONGEST_RETRY).min(LONGEST_RETRY);
        let until = now + self.options.retry * factor;
        self.failed.insert(Arc::clone(&job.image), Rest { until, times: times.saturating_add(1) });
    }

    /// Leaves a registry alone: for as long as it says, within bounds, else longer each time.
    fn pause(&mut self, host: &str, after: Option<Duration>, now: Instant) {
        let times = self.hosts.get(host).map_or(0, |rest| rest.times);
        let grown = PAUSE.0.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX));
        let until = now + after.unwrap_or(grown).clamp(PAUSE.0.min(self.options.retry), PAUSE.1);
        self.hosts.insert(host.to_owned(), Rest { until, times: times.saturating_add(1) });
    }

    fn found(&mut self, job: &Job, found: Found, wanted: &Owners, now: Instant, time: i64) -> Outcome {
        let same = self.known.get(&*job.image).is_some_and(|known| known.digest == found.digest);
        let config = match found.config {
            Some(config) => kept::reduced(&config),
            None => self.known.values().find(|known| known.digest == found.digest).map(|known| known.config.clone()),
        };
        let known = config.map(|config| Known { digest: found.digest, at: time, config });
        let kept = known.is_some_and(|known| self.keep(&job.image, known, wanted, now));
        match (kept, same) {
            (true, true) => {
                self.aged.get_or_insert(now);
                Outcome::Unchanged
            }
            (true, false) => Outcome::Found,
            (false, _) => {
                self.leave_out(&job.image, now);
                Outcome::TooLarge
            }
        }
    }

    /// Leaves out what is known of an image, and does not ask for it anew for as long as it would have been believed.
    fn leave_out(&mut self, image: &Arc<str>, now: Instant) {
        self.dropped += 1;
        self.failed.insert(Arc::clone(image), Rest { until: now + self.options.refresh, times: 0 });
    }

    /// Keeps what is known of an image; whether there is room for it. What nobody wants any more makes room, the oldest first; then what counts for
    /// the namespace that takes most, unless that would take less than the image's own.
    fn keep(&mut self, image: &str, known: Known, wanted: &Owners, now: Instant) -> bool {
        let size = kept::bytes_of(image, &known);
        let old = self.known.get(image).map_or(0, |old| kept::bytes_of(image, old));
        let most = self.most_bytes.saturating_add(old).saturating_sub(size);
        if self.bytes > most {
            self.make_room(image, size, most, wanted, now);
        }
        if self.bytes > most {
            return false;
        }
        self.bytes = self.bytes.saturating_sub(old).saturating_add(size);
        let is_same = |old: &Known| (&old.digest, &old.config) == (&known.digest, &known.config);
        self.changed |= !self.known.get(image).is_some_and(is_same);
        self.known.insert(image.to_owned(), known);
        true
    }

    /// Drops others until at most `most` bytes are known, if an image of `size` may ask for so much: else none.
    fn make_room(&mut self, image: &str, size: usize, most: usize, wanted: &Owners, now: Instant) {
        let (mut unwanted, mut owned) = (Vec::new(), BTreeMap::<&Arc<str>, (usize, Vec<_>)>::new());
        for (name, known) in self.known.iter().filter(|(name, _)| *name != image) {
            let other = (std::cmp::Reverse(known.at), name.clone(), kept::bytes_of(name, known));
            match wanted.get(name.as_str()) {
                Some(namespace) => {
                    let (bytes, all) = owned.entry(namespace).or_default();
                    *bytes = bytes.saturating_add(other.2);
                    all.push(other);
                }
                None => unwanted.push(other),
            }
        }
        unwanted.sort();
        owned.values_mut().for_each(|(_, all)| all.sort());
        let own = wanted.get(image).and_then(|own| Some(owned.get(own)?.0)).unwrap_or_default().saturating_add(size);
        let (mut left, mut gone) = (self.bytes, Vec::new());
        while left > most {
            let is_wanted = unwanted.is_empty();
            let heaviest = owned.values_mut().max_by_key(|(bytes, _)| *bytes).filter(|(bytes, _)| *bytes > own);
            let oldest = match (unwanted.pop(), heaviest) {
                (None, Some((bytes, all))) => all.pop().inspect(|(_, _, size)| *bytes = bytes.saturating_sub(*size)),
                (unwanted, _) => unwanted,
            };
            let Some((_, name, size)) = oldest else { return };
            left = left.saturating_sub(size);
            gone.push((name, is_wanted));
        }
        self.bytes = left;
        self.changed |= !gone.is_empty();
        for (name, is_wanted) in gone {
            self.known.remove(&name);
            if is_wanted {
                self.leave_out(&name.into(), now);
            } else {
                self.dropped += 1;
            }
        }
    }
}

fn rests(rest: Option<&Rest>, now: Instant) -> bool {
    rest.is_some_and(|rest| now < rest.until)
}

#[cfg(test)]
mod tests;
