//! What is looked up when: no network and no clock, only what follows from what was wanted and what came of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Options,
    client::{Fault, Found},
    kept::{self, All, Known},
    reference::Reference,
    wanted::Source,
};

/// The shortest time that a registry is left alone that is busy or away, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));
/// The longest time that a reference is left alone that came to nothing, as a multiple of the first.
const LONGEST_RETRY: u32 = 60;
/// The most look-ups at once, and the most of one registry.
const MOST_AT_ONCE: (usize, usize) = (4, 2);

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
    running: BTreeMap<Arc<str>, String>,
    /// How many images were dropped for others, or not kept.
    pub(super) dropped: u64,
    changed: bool,
}

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
            dropped: 0,
            changed: false,
        }
    }

    pub(super) fn known(&self) -> &All {
        &self.known
    }

    /// The digests that are known.
    pub(super) fn digests(&self) -> BTreeSet<String> {
        self.known.values().map(|known| known.digest.clone()).collect()
    }

    /// Whether what is known differs from what was told last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What is known was not told after all.
    pub(super) fn untold(&mut self) {
        self.changed = true;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Takes over what another leader has found meanwhile.
    pub(super) fn learn(&mut self, others: All) {
        for (image, known) in others {
            if self.known.get(&image).is_none_or(|own| own.at < known.at) {
                self.keep(&image, known, &BTreeSet::new());
            }
        }
    }

    /// A pull secret may be read now: what was refused is tried anew.
    pub(super) fn forget_failures(&mut self) {
        self.failed.clear();
    }

    /// What of the wanted is to be looked up now; `time` is in seconds since 1970.
    pub(super) fn due(&mut self, wanted: &[(Arc<str>, BTreeSet<Source>)], now: Instant, time: i64) -> Vec<Job> {
        self.failed.retain(|image, _| wanted.binary_search_by(|(it, _)| it.cmp(image)).is_ok());
        self.hosts.retain(|_, rest| now < rest.until + PAUSE.1);
        let mut jobs = Vec::new();
        for (image, sources) in wanted {
            if self.running.len() >= MOST_AT_ONCE.0 {
                break;
            }
            let known = self.known.get(&**image);
            let rests = |rest: Option<&Rest>| rest.is_some_and(|rest| now < rest.until);
            if self.running.contains_key(image) || rests(self.failed.get(image)) {
                continue;
            }
            if known.is_some_and(|known| !self.is_old(known, time)) {
                continue;
            }
            let Some(reference) = Reference::parse(image) else { continue };
            let busy = self.running.values().filter(|host| **host == reference.host).count() >= MOST_AT_ONCE.1;
            if busy || rests(self.hosts.get(&reference.host)) || (known.is_some() && reference.is_fixed()) {
                continue;
            }
            self.running.insert(Arc::clone(image), reference.host.clone());
            let previous = known.map(|known| known.digest.clone());
            jobs.push(Job { image: Arc::clone(image), reference, sources: sources.clone(), previous });
        }
        jobs
    }

    fn is_old(&self, known: &Known, time: i64) -> bool {
        let age = u64::try_from(time.saturating_sub(known.at)).unwrap_or(0);
        age >= self.options.refresh.as_secs()
    }

    /// Takes in what came of a job. `wanted` are the images that are wanted, in order.
    pub(super) fn done(
        &mut self,
        job: &Job,
        result: Result<Found, Fault>,
        wanted: &BTreeSet<Arc<str>>,
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

    fn found(&mut self, job: &Job, found: Found, wanted: &BTreeSet<Arc<str>>, now: Instant, time: i64) -> Outcome {
        let same = self.known.get(&*job.image).is_some_and(|known| known.digest == found.digest);
        let config = match found.config {
            Some(config) => kept::reduced(&config),
            None => self.known.values().find(|known| known.digest == found.digest).map(|known| known.config.clone()),
        };
        let kept = config
            .is_some_and(|config| self.keep(&job.image, Known { digest: found.digest, at: time, config }, wanted));
        match (kept, same) {
            (true, true) => Outcome::Unchanged,
            (true, false) => Outcome::Found,
            (false, _) => {
                self.dropped += 1;
                let until = now + self.options.refresh;
                self.failed.insert(Arc::clone(&job.image), Rest { until, times: 0 });
                Outcome::TooLarge
            }
        }
    }

    /// Keeps what is known of an image; whether there is room for it. Only what nobody wants any more makes room, the oldest first.
    fn keep(&mut self, image: &str, known: Known, wanted: &BTreeSet<Arc<str>>) -> bool {
        let size = kept::bytes_of(image, &known);
        let old = self.known.get(image).map_or(0, |old| kept::bytes_of(image, old));
        let mut bytes = self.bytes.saturating_sub(old).saturating_add(size);
        if bytes > self.most_bytes {
            let unwanted = self.known.iter().filter(|(it, _)| !wanted.contains(it.as_str()) && it.as_str() != image);
            let mut unwanted: Vec<_> = unwanted.map(|(it, known)| (known.at, it.clone())).collect();
            unwanted.sort();
            for (_, name) in unwanted {
                if bytes <= self.most_bytes {
                    break;
                }
                if let Some(gone) = self.known.remove(&name) {
                    bytes = bytes.saturating_sub(kept::bytes_of(&name, &gone));
                    self.dropped += 1;
                    self.changed = true;
                }
            }
        }
        if bytes > self.most_bytes {
            self.bytes = bytes.saturating_sub(size).saturating_add(old);
            return false;
        }
        self.bytes = bytes;
        self.changed |= self.known.get(image) != Some(&known);
        self.known.insert(image.to_owned(), known);
        true
    }
}

#[cfg(test)]
mod tests {
    use obtrace_detect::ImageConfig;

    use super::*;

    const HOUR: i64 = 3600;

    fn agenda() -> Agenda {
        Agenda::new(Options::default(), All::new())
    }

    fn wants(images: &[&str]) -> Vec<(Arc<str>, BTreeSet<Source>)> {
        let mut all: Vec<_> = images.iter().map(|image| (Arc::from(*image), BTreeSet::new())).collect();
        all.sort();
        all
    }

    fn found(digest: &str) -> Result<Found, Fault> {
        let config = ImageConfig::new().with_cmd(vec!["node".into(), "a.js".into()]);
        Ok(Found { digest: digest.to_owned(), config: Some(config) })
    }

    fn names(jobs: &[Job]) -> Vec<&str> {
        jobs.iter().map(|job| &*job.image).collect()
    }

    fn done(agenda: &mut Agenda, job: &Job, result: Result<Found, Fault>, now: Instant, time: i64) -> Outcome {
        agenda.done(job, result, &[Arc::clone(&job.image)].into(), now, time)
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
        assert!(agenda.take_changed() && !agenda.take_changed());
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
        let both: BTreeSet<Arc<str>> = all.iter().map(|(image, _)| Arc::clone(image)).collect();
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
}
