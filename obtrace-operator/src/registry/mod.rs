//! What images say of themselves, looked up in their registries: off unless somebody asks for it.
//!
//! A Pod with the image `shop/cart:1` and no command says nothing of its language; the image's own configuration does. The leader asks
//! registries for it, and never while a review waits: discovery tells which images it would like to know more of ([`Wanted`]), a few
//! look-ups run at a time, and what they find goes into one ConfigMap, [`CONFIG_MAP`]. Every replica watches that and has it in its index,
//! so that admission and discovery judge by it.
//!
//! ```text
//!  discovery ──► Wanted ──► look-ups ──► registries        the leader
//!     ▲                        └──► ConfigMap
//!  Index ◄────────── watch ◄───────────┘                   every replica
//! ```
//!
//! A reference with a tag is asked for again after [`Options::refresh`], one with a digest never. What came to nothing is left alone for
//! [`Options::retry`], each time longer; a registry that is busy for as long as it says. Pull secrets are read only in namespaces that
//! `obtrace-zero allow -n NAMESPACE --pull-secret NAME` has marked, one at a time, and never kept.
//!
//! An image is known by its reference in the whole cluster: a Pod that names a private image learns by its instrumentation which language
//! that has, whether it may pull it or not.

mod agenda;
mod challenge;
mod client;
mod credentials;
mod egress;
mod kept;
mod lookup;
mod manifest;
mod reference;
mod wanted;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use obtrace_export::model::Value;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub(crate) use self::wanted::Told;
pub use self::wanted::{MOST_IMAGES, MOST_SOURCES, Wanted};
use self::{
    agenda::{Agenda, Job, Outcome},
    client::{Client, Fault, Found},
    egress::Egress,
    lookup::Grants,
    reference::{Reference, Version},
};
use crate::{
    certificates::follow::{Seen, follow},
    index::{Images, Index},
    install::{self, said},
    telemetry::{Metrics, Traces},
};

/// The ConfigMap that holds what is known of images, in the operator's namespace.
pub const CONFIG_MAP: &str = "obtrace-zero-images";

/// How often it is looked whether something is to be looked up.
const TICK: Duration = Duration::from_millis(500);
/// How long what was found waits for more before it is written.
const WRITE_AFTER: Duration = Duration::from_secs(2);
/// How long is waited after a write for the next: every replica reads all of it.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether the ConfigMap is what was written.
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// How long the API server has to answer.
const REQUEST: Duration = Duration::from_secs(10);
/// How long is waited after the API server gave none.
const AGAIN: Duration = Duration::from_secs(5);

/// How images are looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The registries whose images are looked up, beside those of [`insecure`](Self::insecure), as hosts with their ports; a `*` stands for any
    /// characters between two dots. None: those of all. No loopback or link-local address is asked, nor that of the API server's Service, or where
    /// clouds answer their machines, unless it is named here or there with its port.
    pub registries: BTreeSet<String>,
    /// The registries that are asked without TLS, as hosts with their ports: none.
    pub insecure: BTreeSet<String>,
    /// How long what a tag means is believed: 6 h.
    pub refresh: Duration,
    /// How long a reference is left alone that came to nothing; each time twice as long, up to 60 times: 60 s.
    pub retry: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            registries: BTreeSet::new(),
            insecure: BTreeSet::new(),
            refresh: Duration::from_secs(6 * 3600),
            retry: Duration::from_secs(60),
        }
    }
}

/// What the ConfigMap of a namespace says, as it changes; `None` until it was read once. It is followed until `stop`.
pub fn follow_images(
    client: kube::Client,
    namespace: &str,
    stop: CancellationToken,
) -> (watch::Receiver<Option<Arc<Images>>>, impl Future<Output = ()> + use<>) {
    let (tell, images) = watch::channel(None);
    let (seen, mut told) = watch::channel(Seen::<ConfigMap>::Unknown);
    let api = Api::namespaced(client, namespace);
    let read = async move {
        while told.changed().await.is_ok() {
            let new = match &*told.borrow_and_update() {
                Seen::Unknown => continue,
                Seen::Absent => Images::new(),
                Seen::Present(map) => kept::images(map),
            };
            tell.send_if_modified(|old: &mut Option<Arc<Images>>| {
                let differs = old.as_deref() != Some(&new);
                if differs {
                    *old = Some(Arc::new(new));
                }
                differs
            });
        }
    };
    let following = async move {
        tokio::join!(follow(api, CONFIG_MAP.to_owned(), seen, stop), read);
    };
    (images, following)
}

/// Whether a registry can be called so: a host, and maybe a port.
pub(crate) fn is_registry(host: &str) -> bool {
    reference::is_host(host)
}

/// Whether registries can be called so: the same, where a `*` stands for any characters between two dots.
pub(crate) fn is_registries(pattern: &str) -> bool {
    reference::is_host(&pattern.replace('*', "x"))
}

/// What a ConfigMap of that name says of images, for who has read it otherwise.
#[cfg(feature = "cli")]
pub(crate) fn images(map: &ConfigMap) -> Images {
    kept::images(map)
}

/// What looks images up.
pub struct Lookups {
    /// For the cluster.
    pub(crate) client: kube::Client,
    /// The operator's namespace.
    pub(crate) namespace: String,
    pub(crate) options: Options,
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) index: Arc<ArcSwap<Index>>,
    pub(crate) metrics: Arc<Metrics>,
    /// Who gets a span of every look-up. Default: nobody.
    pub traces: Option<Traces>,
}

impl Lookups {
    /// Looks up what `wanted` names, by what `index` knows of namespaces, and writes it into the ConfigMap of `namespace`.
    #[must_use]
    pub fn new(
        client: kube::Client,
        namespace: impl Into<String>,
        options: Options,
        wanted: Arc<Wanted>,
        index: Arc<ArcSwap<Index>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { client, namespace: namespace.into(), options, wanted, index, metrics, traces: None }
    }

    /// Looks up whenever this replica leads, until it is stopped.
    pub async fn run(self, mut leader: watch::Receiver<bool>, stop: CancellationToken) {
        let egress = Egress::new(self.options.registries.clone(), self.options.insecure.clone());
        let registries = match Client::new(egress, client::REQUEST) {
            Ok(client) => client,
            Err(error) => {
                error!(error, "cannot set up TLS for registries: images are not looked up");
                return;
            }
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                led = leader.wait_for(|leads| *leads) => if led.is_err() { return },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                led = leader.wait_for(|leads| !*leads) => if led.is_err() { return },
                () = self.lead(&registries) => {}
            }
            self.metrics.images(0);
        }
    }

    async fn lead(&self, registries: &Client) {
        let mut stored = Stored::new(self);
        let mut agenda = loop {
            match stored.read().await {
                Ok(known) => break Agenda::new(self.options.clone(), known),
                Err(error) => {
                    warn!(error, "cannot read the ConfigMap {CONFIG_MAP}; trying again in {AGAIN:?}");
                    sleep(AGAIN).await;
                }
            }
        };
        info!(images = agenda.known().len(), "images are looked up: this replica leads");
        let mut work = Work {
            lookups: self,
            registries,
            tasks: JoinSet::new(),
            jobs: HashMap::new(),
            // What a replica left out when it led before was told.
            told_left_out: (self.wanted.left_out(), self.wanted.sources_left_out()),
        };
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut grants, mut changed) = (Grants::default(), None);
        let mut check = Instant::now() + CHECK_EVERY;
        // Whether the last write was not refused.
        let mut may_write = true;
        let mut next_write = Instant::now();
        loop {
            tokio::select! {
                Some(ended) = work.tasks.join_next_with_id() => work.ended(&mut agenda, ended),
                () = self.wanted.news.notified() => {}
                _ = tick.tick() => work.tell_left_out(),
            }
            let now = Grants::of(&self.index.load());
            if now != grants {
                grants = now;
                agenda.forget_failures();
            }
            work.begin(&mut agenda, &grants);
            if now_is(check) {
                check = Instant::now() + CHECK_EVERY;
                if self.index.load().images().len() != agenda.known().len() {
                    agenda.untold();
                }
            }
            if agenda.take_changed(Instant::now()) {
                changed.get_or_insert_with(Instant::now);
            }
            let is_due = |since: Instant| since.elapsed() >= WRITE_AFTER || agenda.is_idle() && may_write;
            if now_is(next_write) && changed.is_some_and(is_due) {
                changed = None;
                may_write = stored.write(&mut agenda).await;
                next_write = Instant::now() + WRITE_EVERY;
            }
            self.metrics.images(agenda.known().len());
        }
    }
}

fn now_is(time: Instant) -> bool {
    Instant::now() >= time
}

/// What came of a look-up, and what of a fault is told.
type Ended = (Result<Found, Fault>, Option<Told>);

/// The look-ups that are under way. Dropped, they end.
struct Work<'a> {
    lookups: &'a Lookups,
    registries: &'a Client,
    tasks: JoinSet<Ended>,
    /// Each with when it began.
    jobs: HashMap<tokio::task::Id, (Job, Instant)>,
    /// How many images, and of how many some sources, had been left out when that was last told.
    told_left_out: (u64, u64),
}

impl Work<'_> {
    fn begin(&mut self, agenda: &mut Agenda, grants: &Grants) {
        let wanted = self.lookups.wanted.all();
        let jobs = agenda.due(&wanted, Instant::now(), time());
        if jobs.is_empty() {
            return;
        }
        let digests = Arc::new(agenda.digests());
        for job in jobs {
            let look_up = lookup::run(
                self.lookups.client.clone(),
                self.registries.clone(),
                job.clone(),
                grants.clone(),
                Arc::clone(&digests),
            );
            let task = self.tasks.spawn(look_up);
            self.jobs.insert(task.id(), (job, Instant::now()));
        }
    }

    fn ended(&mut self, agenda: &mut Agenda, ended: Result<(tokio::task::Id, Ended), tokio::task::JoinError>) {
        let (id, (result, told)) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                error!(%error, "a look-up ended, which is a fault of obtrace-zero");
                (error.id(), (Err(Fault::Odd("looking it up is a fault of obtrace-zero".to_owned())), None))
            }
        };
        let Some((job, began)) = self.jobs.remove(&id) else { return };
        let said = |text: String| Told { others: text.into(), ..Told::default() };
        let fault = result.as_ref().err().map(ToString::to_string);
        let dropped = agenda.dropped;
        let outcome = agenda.done(&job, result, &self.lookups.wanted.owners(), Instant::now(), time());
        self.lookups.metrics.image_lookup(outcome.as_str(), agenda.dropped - dropped);
        let fault = match outcome {
            Outcome::TooLarge => Some("there is no room to keep what it says".to_owned()),
            _ => fault,
        };
        self.trace(&job, began, outcome, fault.as_deref());
        let told = fault.clone().map(|fault| told.unwrap_or_else(|| said(fault)));
        // What a namespace can do about it is in its status, and here for who runs this.
        let advice = told.iter().flat_map(|told| told.namespaces.values()).next().cloned();
        let is_new = self.lookups.wanted.say(&job.image, told);
        match fault {
            Some(fault) if is_new => {
                let fault = advice.as_deref().unwrap_or(&fault);
                warn!(image = &*job.image, fault, "an image cannot be looked up");
            }
            None if outcome == Outcome::Found => info!(image = &*job.image, "an image was looked up"),
            _ => {}
        }
        self.tell_left_out();
    }

    fn tell_left_out(&mut self) {
        let wanted = &self.lookups.wanted;
        let now = (wanted.left_out(), wanted.sources_left_out());
        let before = std::mem::replace(&mut self.told_left_out, now);
        let (images, sources) = (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
        if images > 0 {
            self.lookups.metrics.objects_left_out("images", images);
            warn!(left_out = now.0, "more than {MOST_IMAGES} images are to be looked up: the others are not");
        }
        if sources > 0 {
            self.lookups.metrics.objects_left_out("image_sources", sources);
            warn!(
                images = now.1,
                "images are used with more than {MOST_SOURCES} pull secrets and namespaces: the others are not tried"
            );
        }
    }

    /// The span of a look-up that is over.
    fn trace(&self, job: &Job, began: Instant, outcome: Outcome, fault: Option<&str>) {
        let span = self.lookups.traces.as_ref().and_then(|traces| traces.work("image lookup"));
        let Some(mut span) = span else { return };
        let Reference { host, repository, version } = &job.reference;
        span.say("container.image.name", format!("{host}/{repository}"));
        match version {
            Version::Tag(tag) => span.say("container.image.tags", vec![Value::from(tag.clone())]),
            Version::Digest(digest) => span.say("oci.manifest.digest", digest.clone()),
        }
        span.say("obtrace.lookup.outcome", outcome.as_str());
        if let Some(fault) = fault {
            span.failed(outcome.as_str(), fault.to_owned());
        }
        span.done(began.elapsed());
    }
}

/// The ConfigMap.
struct Stored {
    api: Api<ConfigMap>,
    namespace: String,
    /// The version that was read or written last; `None` if there was none.
    version: Option<String>,
    /// How many writes failed in a row.
    refusals: u32,
}

impl Stored {
    fn new(lookups: &Lookups) -> Self {
        let api = Api::namespaced(lookups.client.clone(), &lookups.namespace);
        Self { api, namespace: lookups.namespace.clone(), version: None, refusals: 0 }
    }

    async fn read(&mut self) -> Result<kept::All, String> {
        let found = timeout(REQUEST, self.api.get_opt(CONFIG_MAP)).await;
        let found = found.map_err(|_| format!("no answer within {REQUEST:?}"))?.map_err(|error| said(&error))?;
        self.version = found.as_ref().and_then(|map| map.metadata.resource_version.clone());
        Ok(found.as_ref().map(kept::of).unwrap_or_default())
    }

    /// Writes what is known; where somebody else has written, that is learnt first. Whether it could.
    async fn write(&mut self, agenda: &mut Agenda) -> bool {
        let Err(error) = self.try_write(agenda).await else {
            self.refusals = 0;
            return true;
        };
        self.refusals = self.refusals.saturating_add(1);
        let before = self.version.clone();
        let read = self.read().await;
        if self.refusals > 1 && self.version == before || read.is_err() {
            // Nobody else has written.
            warn!(error, "cannot write the ConfigMap {CONFIG_MAP}, which is tried again");
            sleep(AGAIN.saturating_mul(self.refusals.min(12))).await;
        }
        agenda.untold();
        if let Ok(others) = read {
            agenda.learn(others, Instant::now());
        }
        false
    }

    async fn try_write(&mut self, agenda: &Agenda) -> Result<(), String> {
        let labels = serde_json::from_value(install::labels()).ok();
        let metadata = ObjectMeta {
            name: Some(CONFIG_MAP.to_owned()),
            namespace: Some(self.namespace.clone()),
            resource_version: self.version.clone(),
            labels,
            ..ObjectMeta::default()
        };
        let map = ConfigMap { metadata, data: Some(kept::data(agenda.known())), ..ConfigMap::default() };
        let params = PostParams::default();
        let write = async {
            match &self.version {
                Some(_) => self.api.replace(CONFIG_MAP, &params, &map).await,
                None => self.api.create(&params, &map).await,
            }
        };
        let written = timeout(REQUEST, write).await;
        let written = written.map_err(|_| format!("no answer within {REQUEST:?}"))?.map_err(|error| said(&error))?;
        self.version = written.metadata.resource_version;
        Ok(())
    }
}

/// Seconds since 1970.
fn time() -> i64 {
    k8s_openapi::jiff::Timestamp::now().as_second()
}
