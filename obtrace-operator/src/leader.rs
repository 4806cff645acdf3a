//! Which of the replicas leads: the one that holds a Lease (`coordination.k8s.io/v1`) and renews it in time.
//!
//! Clocks of replicas are not compared. Each measures, on its own monotonic clock, how long the Lease has not changed; a leader counts
//! from before it asked for a renewal, and stops leading `renew_deadline` later, while the others wait for the whole `duration`. Two may
//! lead for a moment all the same, if a process stood still: what a leader changes has to be guarded by the objects' versions.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// How long a request for the Lease may take while this replica does not lead.
const REQUEST: Duration = Duration::from_secs(10);

/// What a Lease of a leader that stepped down says: it ends at once.
const RELEASED_SECONDS: i32 = 1;

/// The name of the Lease, who asks for it, and how often. The times are those of Kubernetes' own components.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The Lease's name.
    pub lease: String,
    /// Its namespace.
    pub namespace: String,
    /// Who asks: the name of the Pod. No two may have the same.
    pub identity: String,
    /// How long the others wait for a leader that does not renew. Kept in whole seconds. Default: 15 s.
    pub duration: Duration,
    /// How long a leader tries to renew before it stops leading; less than `duration`. Default: 10 s.
    pub renew_deadline: Duration,
    /// How often the Lease is asked for or renewed. Default: 2 s.
    pub retry_period: Duration,
    /// Until when somebody led before this replica does, by their own word, in seconds since 1970: set whenever this replica begins to lead; 0
    /// if nobody is known to have.
    pub led_until: Arc<AtomicI64>,
    /// Annotations that the Lease gets from this replica while it leads, beside those that it has. Default: none.
    pub annotations: BTreeMap<String, String>,
}

impl Options {
    /// The default times.
    #[must_use]
    pub fn new(lease: impl Into<String>, namespace: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            lease: lease.into(),
            namespace: namespace.into(),
            identity: identity.into(),
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
            led_until: Arc::default(),
            annotations: BTreeMap::new(),
        }
    }

    fn seconds(&self) -> i32 {
        i32::try_from(self.duration.as_secs()).unwrap_or(i32::MAX).max(RELEASED_SECONDS)
    }
}

/// Asks for the Lease until it is told to stop, and gives it back then. The receiver says whether this replica leads.
///
/// Needs the verbs `get`, `create` and `update` on Leases. It has to be called within a runtime of tokio.
pub fn start(client: Client, options: Options, stop: CancellationToken) -> (watch::Receiver<bool>, JoinHandle<()>) {
    let (leads, receiver) = watch::channel(false);
    let leases = Api::namespaced(client, &options.namespace);
    let candidate = Candidate { leases, options, known: Known::default(), renewed: 0, leads };
    (receiver, tokio::spawn(candidate.run(stop)))
}

struct Candidate {
    leases: Api<Lease>,
    options: Options,
    known: Known,
    /// When the Lease was renewed before it was asked for last, in seconds since 1970.
    renewed: i64,
    leads: watch::Sender<bool>,
}

/// The Lease as it was seen last, and since when it has been so.
#[derive(Debug, Default)]
struct Known {
    lease: Option<Lease>,
    since: Option<Instant>,
}

impl Known {
    fn note(&mut self, lease: Option<Lease>, now: Instant) {
        let is_same = self.since.is_some() && spec(self.lease.as_ref()) == spec(lease.as_ref());
        self.lease = lease;
        if !is_same {
            self.since = Some(now);
        }
    }

    /// Whether this replica may ask for it: nobody's, its own, or not renewed for as long as it says.
    fn is_free(&self, identity: &str, duration: Duration, now: Instant) -> bool {
        let Some(spec) = spec(self.lease.as_ref()) else { return true };
        match spec.holder_identity.as_deref() {
            None | Some("") => true,
            Some(holder) if holder == identity => true,
            Some(_) => {
                let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
                let duration = seconds.map_or(duration, Duration::from_secs);
                self.since.is_some_and(|since| now.saturating_duration_since(since) >= duration)
            }
        }
    }
}

fn spec(lease: Option<&Lease>) -> Option<&LeaseSpec> {
    lease.and_then(|lease| lease.spec.as_ref())
}

fn holder(lease: Option<&Lease>) -> Option<&str> {
    spec(lease).and_then(|spec| spec.holder_identity.as_deref())
}

/// The Lease as this replica wants it; it keeps the version, so that it is refused if somebody else was first.
fn claim(known: Option<&Lease>, options: &Options, now: Timestamp) -> Lease {
    let mut lease = known.cloned().unwrap_or_default();
    let mut metadata = ObjectMeta {
        name: Some(options.lease.clone()),
        namespace: Some(options.namespace.clone()),
        ..lease.metadata.clone()
    };
    if !options.annotations.is_empty() {
        metadata.annotations.get_or_insert_default().extend(options.annotations.clone());
    }
    let before = lease.spec.take().unwrap_or_default();
    let renews = before.holder_identity.as_deref() == Some(options.identity.as_str());
    let transitions = before.lease_transitions.unwrap_or_default();
    Lease {
        metadata,
        spec: Some(LeaseSpec {
            holder_identity: Some(options.identity.clone()),
            lease_duration_seconds: Some(options.seconds()),
            acquire_time: before.acquire_time.clone().filter(|_| renews).or(Some(MicroTime(now))),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(if renews || known.is_none() {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..before
        }),
    }
}

impl Candidate {
    async fn run(mut self, stop: CancellationToken) {
        while let Some(deadline) = stop.run_until_cancelled(self.acquire()).await {
            self.say(true);
            let ended = stop.run_until_cancelled(self.renew(deadline)).await;
            self.say(false);
            if ended.is_none() {
                break;
            }
            tracing::warn!(lease = %self.options.lease, "no longer the leader: the Lease was not renewed in time, or somebody else has it");
        }
        self.say(false);
        self.release().await;
    }

    fn say(&self, leads: bool) {
        if self.leads.send_replace(leads) != leads {
            tracing::info!(lease = %self.options.lease, identity = %self.options.identity, leads, "leadership");
        }
    }

    /// Waits until the Lease is ours; until when it is.
    async fn acquire(&mut self) -> Instant {
        let mut said = None;
        loop {
            let asked = Instant::now();
            match timeout(REQUEST, self.attempt()).await {
                Ok(Ok(true)) => {
                    self.options.led_until.store(self.renewed, Relaxed);
                    return asked + self.options.renew_deadline;
                }
                Ok(Ok(false)) => {
                    let other = holder(self.known.lease.as_ref()).map(str::to_owned);
                    if other != said {
                        tracing::info!(lease = %self.options.lease, leader = other.as_deref().unwrap_or_default(), "another replica leads");
                        said = other;
                    }
                }
                Ok(Err(error)) => self.warn(&error),
                Err(_) => self.warn(&format!("no answer within {REQUEST:?}")),
            }
            sleep(self.pause()).await;
        }
    }

    /// Renews until that fails for too long, or somebody else has the Lease.
    async fn renew(&mut self, mut deadline: Instant) {
        loop {
            if timeout_at(deadline, sleep(self.options.retry_period)).await.is_err() {
                return;
            }
            let asked = Instant::now();
            // A request that is lost on its way leaves time for another.
            let end = deadline.min(asked + self.options.renew_deadline / 2);
            match timeout_at(end, self.attempt()).await {
                Ok(Ok(true)) => deadline = asked + self.options.renew_deadline,
                Ok(Err(error)) => self.warn(&error),
                Err(_) if end < deadline => self.warn(&"no answer in time"),
                Ok(Ok(false)) | Err(_) => return,
            }
        }
    }

    /// Asks for the Lease once; whether it is ours now.
    async fn attempt(&mut self) -> kube::Result<bool> {
        let is_ours = holder(self.known.lease.as_ref()) == Some(self.options.identity.as_str());
        // A renewal goes by what is known; only if that is refused it is looked at anew.
        if is_ours && self.ask().await? {
            return Ok(true);
        }
        let lease = self.leases.get_opt(&self.options.lease).await?;
        let now = Instant::now();
        self.known.note(lease, now);
        if !self.known.is_free(&self.options.identity, self.options.duration, now) {
            return Ok(false);
        }
        self.ask().await
    }

    /// Writes the Lease as ours; false if somebody else wrote it first.
    async fn ask(&mut self) -> kube::Result<bool> {
        let renewed = spec(self.known.lease.as_ref()).and_then(|spec| spec.renew_time.as_ref());
        self.renewed = renewed.map_or(0, |time| time.0.as_second());
        let wanted = claim(self.known.lease.as_ref(), &self.options, Timestamp::now());
        let params = PostParams::default();
        let answer = match &self.known.lease {
            Some(_) => self.leases.replace(&self.options.lease, &params, &wanted).await,
            None => self.leases.create(&params, &wanted).await,
        };
        match answer {
            Ok(lease) => {
                self.known.note(Some(lease), Instant::now());
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(kube::Error::Api(status)) if status.code == 404 && self.known.lease.is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives the Lease back, so that the next leader need not wait for its end.
    async fn release(&mut self) {
        if holder(self.known.lease.as_ref()) != Some(self.options.identity.as_str()) {
            return;
        }
        match timeout(self.options.retry_period, self.give_back()).await {
            Ok(Ok(true)) => tracing::info!(lease = %self.options.lease, "the Lease is given back"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot give the Lease back; the others wait for its end"),
            Err(_) => tracing::warn!("cannot give the Lease back in time; the others wait for its end"),
        }
    }

    /// Reads it first: a renewal that the stop has broken off may have been made. False if it is somebody else's by now.
    async fn give_back(&mut self) -> kube::Result<bool> {
        loop {
            let lease = self.leases.get_opt(&self.options.lease).await?;
            if holder(lease.as_ref()) != Some(self.options.identity.as_str()) {
                return Ok(false);
            }
            let Some(mut lease) = lease else { return Ok(false) };
            if let Some(spec) = &mut lease.spec {
                spec.holder_identity = Some(String::new());
                spec.lease_duration_seconds = Some(RELEASED_SECONDS);
                spec.renew_time = Some(MicroTime(Timestamp::now()));
            }
            match self.leases.replace(&self.options.lease, &PostParams::default(), &lease).await {
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                answer => return answer.map(|_| true),
            }
        }
    }

    fn warn(&self, error: &dyn std::fmt::Display) {
        let Options { namespace, lease, .. } = &self.options;
        tracing::warn!(%error, "cannot get or renew Lease {namespace}/{lease}; it is tried again");
    }

    /// The retry period and up to half of it, so that replicas do not ask all at once.
    fn pause(&self) -> Duration {
        let random = u32::try_from(RandomState::new().hash_one(0_u8) % 1024).unwrap_or_default();
        self.options.retry_period + self.options.retry_period * random / 2048
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn options(identity: &str) -> Options {
        Options::new("lease", "system", identity)
    }

    fn known(lease: &Lease, since: Instant) -> Known {
        Known { lease: Some(lease.clone()), since: Some(since) }
    }

    #[test]
    fn a_lease_is_free_if_there_is_none_or_nobody_holds_it() {
        let now = Instant::now();
        assert!(Known::default().is_free("a", DURATION, now));
        let mut released = claim(None, &options("b"), Timestamp::UNIX_EPOCH);
        released.spec.as_mut().unwrap().holder_identity = Some(String::new());
        assert!(known(&released, now).is_free("a", DURATION, now));
    }

    #[test]
    fn a_lease_of_another_is_free_only_when_it_has_not_changed_for_its_whole_time_here() {
        let start = Instant::now();
        // Its own clock may say anything.
        let lease = claim(None, &options("b"), Timestamp::UNIX_EPOCH);
        let mut known = Known::default();
        known.note(Some(lease.clone()), start);
        assert!(!known.is_free("a", DURATION, start + DURATION - Duration::from_millis(1)));
        assert!(known.is_free("a", DURATION, start + DURATION));
        assert!(known.is_free("b", DURATION, start));
        // Renewed: the wait begins anew.
        let renewed = claim(Some(&lease), &options("b"), Timestamp::from_second(1).unwrap());
        known.note(Some(renewed.clone()), start + DURATION);
        assert!(!known.is_free("a", DURATION, start + DURATION));
        // Seen again, the same: it does not.
        known.note(Some(renewed), start + DURATION + DURATION);
        assert!(known.is_free("a", DURATION, start + DURATION + DURATION));
    }

    #[test]
    fn a_lease_says_itself_how_long_it_lasts() {
        let start = Instant::now();
        let mut long = options("b");
        long.duration = Duration::from_secs(60);
        let lease = claim(None, &long, Timestamp::UNIX_EPOCH);
        assert!(!known(&lease, start).is_free("a", DURATION, start + DURATION * 2));
        assert!(known(&lease, start).is_free("a", DURATION, start + DURATION * 4));
    }

    #[test]
    fn the_leader_says_of_itself_what_it_is_to_say() {
        let mut old = options("a");
        old.annotations.insert("version".to_owned(), "1".to_owned());
        let mut first = claim(None, &old, Timestamp::UNIX_EPOCH);
        first.metadata.annotations.as_mut().unwrap().insert("theirs".to_owned(), "kept".to_owned());
        let mut new = options("b");
        new.annotations.insert("version".to_owned(), "2".to_owned());
        let annotations = claim(Some(&first), &new, Timestamp::UNIX_EPOCH).metadata.annotations.unwrap();
        let expected = [("theirs", "kept"), ("version", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(annotations, BTreeMap::from(expected));
    }

    #[test]
    fn transitions_count_changes_of_the_holder() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = claim(None, &options("a"), at(1));
        let renewed = claim(Some(&first), &options("a"), at(2));
        let taken = claim(Some(&renewed), &options("b"), at(3));
        let spec = |lease: &Lease| {
            let spec = lease.spec.clone().unwrap();
            (
                spec.lease_transitions,
                spec.acquire_time.map(|time| time.0.as_second()),
                spec.renew_time.map(|time| time.0.as_second()),
            )
        };
        assert_eq!(spec(&first), (Some(0), Some(1), Some(1)));
        assert_eq!(spec(&renewed), (Some(0), Some(1), Some(2)));
        assert_eq!(spec(&taken), (Some(1), Some(3), Some(3)));
    }
}
