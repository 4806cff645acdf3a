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

    /// Drops others until at most `most` bytes are known, as far as an image of `size` may ask for it.
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
        while self.bytes > most {
            let is_wanted = unwanted.is_empty();
            let heaviest = owned.values_mut().max_by_key(|(bytes, _)| *bytes).filter(|(bytes, _)| *bytes > own);
            let oldest = match (unwanted.pop(), heaviest) {
                (None, Some((bytes, all))) => all.pop().inspect(|(_, _, size)| *bytes = bytes.saturating_sub(*size)),
                (unwanted, _) => unwanted,
            };
            let Some((_, name, size)) = oldest else { break };
            self.known.remove(&name);
            self.bytes = self.bytes.saturating_sub(size);
            self.changed = true;
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
mod tests {
    use obtrace_detect::ImageConfig;

    use super::*;

    const HOUR: i64 = 3600;

    fn agenda() -> Agenda {
        Agenda::new(Options::default(), All::new())
    }

    /// Each for a namespace of its own.
    fn wants(images: &[&str]) -> Vec<Ask> {
        let all: Vec<_> = images.iter().map(|image| (*image, *image)).collect();
        wants_of(&all)
    }

    fn wants_of(images: &[(&str, &str)]) -> Vec<Ask> {
        let ask = |(image, namespace): &(&str, &str)| Ask {
            image: Arc::from(*image),
            namespace: Arc::from(*namespace),
            sources: BTreeSet::new(),
        };
        let mut all: Vec<_> = images.iter().map(ask).collect();
        all.sort_by(|one, other| one.image.cmp(&other.image));
        all
    }

    fn owners(all: &[Ask]) -> Owners {
        all.iter().map(|ask| (Arc::clone(&ask.image), Arc::clone(&ask.namespace))).collect()
    }

    fn found(digest: &str) -> Result<Found, Fault> {
        let config = ImageConfig::new().with_cmd(vec!["node".into(), "a.js".into()]);
        Ok(Found { digest: digest.to_owned(), config: Some(config) })
    }

    fn names(jobs: &[Job]) -> Vec<&str> {
        jobs.iter().map(|job| &*job.image).collect()
    }

    fn done(agenda: &mut Agenda, job: &Job, result: Result<Found, Fault>, now: Instant, time: i64) -> Outcome {
        agenda.done(job, result, &[(Arc::clone(&job.image), "shop".into())].into(), now, time)
    }

    #[test]
    fn few_are_looked_up_at_once_and_fewer_of_one_registry() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let all = wants(&["a.io/x:1", "a.io/x:2", "a.io/x:3", "b.io/x", "c.io/x", "d.io/x", "Not An Image"]);
        let jobs = agenda.due(&all, now, 0);
        assert_eq!(names(&jobs), ["a.io/x:1", "a.io/x:2", "b.io/x", "c.io/x"]);
        assert!(agenda.due(&all, now, 0).is_empty());
        assert_eq!(done(&mut agenda, &jobs[0], found("d"), now, 0), Outcome::Found);
        assert_eq!(names(&agenda.due(&all, now, 0)), ["a.io/x:3"]);
        assert!(agenda.take_changed(now) && !agenda.take_changed(now));
    }

    #[test]
    fn a_tag_is_asked_for_again_and_a_digest_never() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let pinned = format!("a.io/x@sha256:{}", "0".repeat(64));
        let all = wants(&["a.io/x:1", &pinned]);
        for job in agenda.due(&all, now, 0) {
            done(&mut agenda, &job, found("d"), now, 0);
        }
        assert!(agenda.due(&all, now, HOUR).is_empty());
        let jobs = agenda.due(&all, now, 7 * HOUR);
        assert_eq!((names(&jobs), jobs[0].previous.as_deref()), (vec!["a.io/x:1"], Some("d")));
        let same = Ok(Found { digest: "d".to_owned(), config: None });
        assert_eq!(done(&mut agenda, &jobs[0], same, now, 7 * HOUR), Outcome::Unchanged);
        assert!(agenda.due(&all, now, 8 * HOUR).is_empty());
    }

    #[test]
    fn what_comes_to_nothing_is_left_alone_longer_each_time() {
        let (mut agenda, mut now) = (agenda(), Instant::now());
        let all = wants(&["a.io/x"]);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            let jobs = agenda.due(&all, now, 0);
            assert_eq!(done(&mut agenda, &jobs[0], Err(Fault::Absent), now, 0), Outcome::Failed("absent"));
            now += Duration::from_secs(minutes * 60) - Duration::from_secs(1);
            assert!(agenda.due(&all, now, 0).is_empty(), "{minutes}");
            now += Duration::from_secs(1);
        }
        assert_eq!(agenda.due(&all, now, 0).len(), 1);
    }

    #[test]
    fn a_busy_registry_rests_as_long_as_it_says_and_others_do_not() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let all = wants(&["a.io/x", "a.io/y", "b.io/x"]);
        let jobs = agenda.due(&all, now, 0);
        done(&mut agenda, &jobs[0], Err(Fault::Busy(429, Some(Duration::from_secs(90)))), now, 0);
        done(&mut agenda, &jobs[1], Err(Fault::Busy(429, Some(Duration::from_secs(90)))), now, 0);
        done(&mut agenda, &jobs[2], found("d"), now, 0);
        assert!(agenda.due(&all, now + Duration::from_secs(89), 0).is_empty());
        let jobs = agenda.due(&all, now + Duration::from_secs(90), 0);
        assert_eq!(names(&jobs), ["a.io/x", "a.io/y"]);
        let later = now + Duration::from_secs(90);
        done(&mut agenda, &jobs[0], Err(Fault::Busy(503, Some(Duration::from_secs(99_999)))), later, 0);
        done(&mut agenda, &jobs[1], found("e"), later, 0);
        let longest = later + PAUSE.1;
        assert!(agenda.due(&all, longest - Duration::from_secs(1), 0).is_empty());
        assert_eq!(names(&agenda.due(&all, longest, 0)), ["a.io/x"], "nobody is told to wait for ever");
    }

    #[test]
    fn what_nobody_wants_makes_room_and_what_is_wanted_stays() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let all = wants(&["a.io/x:1", "b.io/x:2", "c.io/x:3"]);
        let jobs = agenda.due(&all, now, 0);
        done(&mut agenda, &jobs[0], found("1"), now, 0);
        agenda.most_bytes = agenda.bytes * 5 / 2;
        let both = owners(&all);
        agenda.done(&jobs[1], found("2"), &both, now, 1);
        assert_eq!(agenda.done(&jobs[2], found("3"), &both, now, 2), Outcome::TooLarge);
        assert_eq!((agenda.known.len(), agenda.dropped), (2, 1));
        assert!(
            agenda.due(&all, now + Duration::from_secs(HOUR as u64), 0).is_empty(),
            "it is not asked for at once again"
        );
        let jobs = agenda.due(&all, now + agenda.options.refresh, 0);
        assert_eq!(names(&jobs), ["c.io/x:3"]);
        assert_eq!(done(&mut agenda, &jobs[0], found("3"), now, 3), Outcome::Found);
        assert_eq!(agenda.known.keys().collect::<Vec<_>>(), ["b.io/x:2", "c.io/x:3"], "the oldest is gone");
        let bytes: usize = agenda.known.iter().map(|(image, known)| kept::bytes_of(image, known)).sum();
        assert_eq!(bytes, agenda.bytes);
    }

    #[test]
    fn namespaces_take_turns_and_none_takes_every_place() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let many: Vec<_> = (0..1000).map(|number| format!("h{number}.io/x")).collect();
        let mut all: Vec<_> = many.iter().map(|image| (&**image, "many")).collect();
        assert_eq!(agenda.due(&wants_of(&all), now, 0).len(), MOST_OF_NAMESPACE);
        all.extend([("z.io/x", "few"), ("z.io/y", "few"), ("zz.io/x", "other")]);
        let all = wants_of(&all);
        let job = agenda.due(&all, now, 0).remove(0);
        assert_eq!(&*job.image, "z.io/x", "one place is left for it");
        done(&mut agenda, &job, Err(Fault::Absent), now, 0);
        let job = agenda.due(&all, now, 0).remove(0);
        assert_eq!(&*job.image, "zz.io/x", "the one of another namespace is next");
        done(&mut agenda, &job, Err(Fault::Absent), now, 0);
        let job = agenda.due(&all, now, 0).remove(0);
        assert_eq!(&*job.image, "z.io/y", "that of many has three places");
    }

    #[test]
    fn a_namespace_whose_images_fill_what_is_kept_makes_room_for_those_of_others() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let all = wants_of(&[("a.io/x", "many"), ("b.io/x", "many"), ("c.io/x", "many"), ("d.io/x", "few")]);
        let owners = owners(&all);
        for (at, digest) in ["1", "2", "3"].into_iter().enumerate() {
            let job = agenda.due(&all, now, 0).into_iter().find(|it| &*it.image != "d.io/x").unwrap();
            agenda.running.clear();
            agenda.done(&job, found(digest), &owners, now, i64::try_from(at).unwrap());
        }
        agenda.most_bytes = agenda.bytes;
        let job = agenda.due(&all, now, 0).remove(0);
        assert_eq!(agenda.done(&job, found("4"), &owners, now, 9), Outcome::Found);
        assert_eq!(agenda.known.keys().collect::<Vec<_>>(), ["b.io/x", "c.io/x", "d.io/x"], "the oldest is gone");
        assert!(agenda.due(&all, now, 0).is_empty(), "and does not come back at once");
        let bytes: usize = agenda.known.iter().map(|(image, known)| kept::bytes_of(image, known)).sum();
        assert_eq!((bytes, agenda.dropped), (agenda.bytes, 1));
    }

    #[test]
    fn what_is_only_known_anew_is_written_now_and_then() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let all = wants(&["a.io/x", "b.io/x"]);
        for job in agenda.due(&all, now, 0) {
            done(&mut agenda, &job, found("d"), now, 0);
        }
        assert!(agenda.take_changed(now));
        for job in agenda.due(&all, now, 7 * HOUR) {
            assert_eq!(done(&mut agenda, &job, found("d"), now, 7 * HOUR), Outcome::Unchanged);
        }
        assert!(!agenda.take_changed(now));
        let later = now + agenda.options.refresh / AGED;
        assert!(agenda.take_changed(later) && !agenda.take_changed(later));
    }
}
