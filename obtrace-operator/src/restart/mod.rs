//! Restarts of workloads whose Pods are older than their instrumentation, where a resource asks for it (`rolloutRestart: onChange`).
//!
//! ```text
//!  discovery ──► candidates ──► begin ──► template + record ──► watch ──► Restarted
//!                                 │             ▲                 │
//!                                 └ wait, leave └── rolled back ◄─┘ new Pods fail
//! ```
//!
//! The leader restarts Deployments, StatefulSets and DaemonSets as `kubectl rollout restart` does, by an annotation of their template:
//! so many at once in the cluster, one in a namespace, and one begins so long after the other; one at a time until the first has
//! instrumented Pods, and none for a while after one that did not. A workload is restarted only while it is
//! healthy, no rollout of it runs, it is not paused, and every PodDisruptionBudget of its Pods allows what its update takes away; why
//! one waits is told in an Event and in the resource's status. New Pods that crash again and again, or are not ready within the grace
//! time, take the restart back: the template is as it was, and excluded (`obtrace.io/exclude`), because its Pods would be instrumented
//! again otherwise.
//!
//! All that has to be remembered is a [`Record`] on the workload, written in the same request as the template and refused if the workload
//! was changed since it was read: whoever leads next goes on from there, and nothing is restarted twice. There is one restart of a
//! workload for each generation of the resource, whatever came of it; one that did instrument the Pods is followed by another if
//! Pods are made later while no webhook answers.
//!
//! Needs `get` and `patch` of the three kinds, `list` of PodDisruptionBudgets and `delete` of Pods: a StatefulSet waits for a Pod that
//! never becomes ready even when its template is another.

mod api;
mod object;
mod patch;
mod record;
#[cfg(test)]
mod simulation;
mod step;
mod tell;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::{
    api::{Cluster, Fault},
    object::Workload,
    step::{Asked, Begin, Watch},
    tell::{Said, Teller},
};
pub use self::{
    record::{Before, EXCLUDE_REASON, Phase, RESTART, RESTART_REASON, RESTARTED_AT, RESTARTING, Record},
    tell::Told,
};
use crate::{
    crd::RolloutRestart,
    discovery::{Candidate, Id, Kind},
    index::Index,
    server::health::Readiness,
    telemetry::Metrics,
};

/// The kinds that can be restarted.
const KINDS: [Kind; 3] = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];
/// The most workloads that are looked at in one turn: each look is three requests.
const LOOKS: usize = 10;
/// How long a workload is not looked at again that is not restarted as it is.
const LEFT: Duration = Duration::from_secs(600);

/// How workloads are restarted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many restarts are under way at once in the cluster; in a namespace there is one. Default: 3.
    pub at_once: usize,
    /// How long after a restart has begun the next one begins, and after this replica leads the first. Default: 10 s.
    pub every: Duration,
    /// How long a new Pod has to become ready, and a rollout to make the next one. Default: 5 min.
    pub grace: Duration,
    /// How long all Pods have to be ready until a restart is over. Default: 30 s.
    pub steady: Duration,
    /// How long after a workload could not be restarted it is looked at again. Default: 15 s.
    pub retry: Duration,
    /// How long after a restart there may be another because Pods were made while no webhook answered. Default: 1 h.
    pub again: Duration,
    /// How long after a restart that changed nothing the next one begins, whosever it is: the webhook may be out of the API server's reach.
    /// Default: 5 min.
    pub caution: Duration,
    /// How long nothing is asked after the API server said that the operator has no right to. Default: 5 min.
    pub refused: Duration,
    /// How often what is under way is looked at. Default: 2 s.
    pub poll: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            at_once: 3,
            every: Duration::from_secs(10),
            grace: Duration::from_secs(300),
            steady: Duration::from_secs(30),
            retry: Duration::from_secs(15),
            again: Duration::from_secs(3600),
            caution: Duration::from_secs(300),
            refused: Duration::from_secs(300),
            poll: Duration::from_secs(2),
        }
    }
}

/// What restarts stand on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sources {
    /// The resources.
    pub index: Arc<ArcSwap<Index>>,
    /// The workloads that discovery finds in need of a restart.
    pub candidates: watch::Receiver<Arc<[Candidate]>>,
    /// Whether the webhook of this replica answers: without one a restart changes nothing.
    pub readiness: Readiness,
}

impl Sources {
    /// These.
    #[must_use]
    pub fn new(
        index: Arc<ArcSwap<Index>>,
        candidates: watch::Receiver<Arc<[Candidate]>>,
        readiness: Readiness,
    ) -> Self {
        Self { index, candidates, readiness }
    }
}

/// Restarts workloads, whenever this replica leads, until it is stopped. What there is to tell of them goes to `told`.
pub async fn run(
    client: Client,
    options: Options,
    sources: Sources,
    told: watch::Sender<Arc<Told>>,
    mut leader: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            led = leader.wait_for(|leads| *leads) => if led.is_err() { return },
        }
        let mut restarter = Restarter::new(&client, &options, &sources, &told, &metrics);
        tokio::select! {
            () = stop.cancelled() => return,
            led = leader.wait_for(|leads| !*leads) => if led.is_err() { return },
            () = restarter.lead() => {}
        }
        told.send_replace(Arc::default());
    }
}

/// A leader's work.
struct Restarter {
    cluster: Cluster,
    options: Options,
    sources: Sources,
    teller: Teller,
    metrics: Arc<Metrics>,
    /// What is under way.
    open: BTreeSet<Id>,
    /// When a candidate may be looked at again.
    looked: BTreeMap<Id, Instant>,
    /// Whether a restart has instrumented Pods since this replica leads. Until one has there is one at a time.
    proven: bool,
    /// When the next restart may begin.
    next: Instant,
    /// Until when nothing is asked that needs rights which the operator has not.
    refused: Option<Instant>,
}

impl Restarter {
    fn new(
        client: &Client,
        options: &Options,
        sources: &Sources,
        told: &watch::Sender<Arc<Told>>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            cluster: Cluster { client: client.clone() },
            options: options.clone(),
            sources: sources.clone(),
            teller: Teller::new(client.clone(), told.clone()),
            metrics: Arc::clone(metrics),
            open: BTreeSet::new(),
            looked: BTreeMap::new(),
            proven: false,
            next: Instant::now() + options.every,
            refused: None,
        }
    }

    /// Works until it is dropped.
    async fn lead(&mut self) {
        self.adopt().await;
        let mut tick = interval(self.options.poll);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.turn().await;
        }
    }

    /// Finds what another leader, or this one before, has begun.
    async fn adopt(&mut self) {
        for kind in KINDS {
            loop {
                match self.cluster.open(kind).await {
                    Ok(found) => {
                        for id in &found {
                            info!(
                                kind = kind.as_str(),
                                namespace = id.namespace,
                                name = id.name,
                                "its restart goes on"
                            );
                        }
                        self.open.extend(found);
                        break;
                    }
                    Err(error) => {
                        debug!(kind = kind.as_str(), %error, "looking for restarts that are under way failed, and is tried again");
                        sleep(self.options.poll).await;
                    }
                }
            }
        }
    }

    async fn turn(&mut self) {
        for id in self.open.clone() {
            if self.is_refused() {
                break;
            }
            let followed = self.follow(&id).await;
            self.after(&id, followed);
        }
        let candidates = self.sources.candidates.borrow().clone();
        let known: BTreeSet<&Id> = candidates.iter().map(|it| &it.id).collect();
        self.looked.retain(|id, _| known.contains(id));
        self.begin(&candidates).await;
        let open = &self.open;
        self.teller.publish(|id| known.contains(id) || open.contains(id));
    }

    /// What follows from a request's result: without the right, nothing is asked for a while.
    fn after(&mut self, id: &Id, result: Result<(), Fault>) {
        match result {
            Ok(()) => {}
            Err(Fault::Gone) => {
                self.open.remove(id);
                self.looked.insert(id.clone(), Instant::now() + self.options.retry);
            }
            Err(Fault::Forbidden(why)) => {
                let why = format!("the operator may not: {why}; run `obtrace-zero install --allow-restarts`");
                self.teller.refused(Some(why));
                self.refused = Some(Instant::now() + self.options.refused);
            }
            // Statuses change objects all the time. What is under way is looked at again in the next turn.
            Err(Fault::Conflict) => {
                self.looked.insert(id.clone(), Instant::now() + self.options.poll);
            }
            Err(fault) => {
                let (kind, namespace, name) = (id.kind.as_str(), &id.namespace, &id.name);
                warn!(kind, namespace, name, error = %fault, "a restart does not go on, and is tried again");
                self.looked.insert(id.clone(), Instant::now() + self.options.retry);
            }
        }
    }

    fn is_refused(&self) -> bool {
        self.refused.is_some_and(|until| Instant::now() < until)
    }

    fn may_begin(&self) -> bool {
        let at_once = if self.proven { self.options.at_once.max(1) } else { 1 };
        let has_room = self.open.len() < at_once && Instant::now() >= self.next;
        has_room && !self.is_refused() && self.sources.readiness.is_ready()
    }

    /// Begins a restart, if there is room for one and somebody needs it.
    async fn begin(&mut self, candidates: &[Candidate]) {
        if !self.may_begin() {
            return;
        }
        let now = Instant::now();
        let is_due = |it: &&Candidate| {
            let is_busy = self.open.iter().any(|open| open.namespace == it.id.namespace);
            !is_busy && self.looked.get(&it.id).is_none_or(|again| *again <= now)
        };
        let mut due: Vec<Candidate> = candidates.iter().filter(is_due).cloned().collect();
        // Those that have waited longest first: many that cannot be restarted do not keep others from it.
        due.sort_by_key(|it| self.looked.get(&it.id).copied());
        for candidate in due.into_iter().take(LOOKS) {
            let looked = self.look(&candidate).await;
            let forbidden = matches!(looked, Err(Fault::Forbidden(_)));
            let begun = matches!(looked, Ok(true));
            self.after(&candidate.id, looked.map(|_| ()));
            if begun || forbidden {
                return;
            }
        }
    }

    /// Looks at a candidate, and begins its restart if that can be; whether it did.
    async fn look(&mut self, candidate: &Candidate) -> Result<bool, Fault> {
        let id = &candidate.id;
        let Some(asked) = self.asked(candidate) else { return Ok(false) };
        let workload = self.cluster.workload(id).await?;
        let pods = self.cluster.pods(&id.namespace, &workload.spec.selector).await?;
        let budgets = self.cluster.budgets(&id.namespace).await?;
        self.teller.refused(None);
        self.refused = None;
        let begin = step::begin(id.kind, &workload, &asked, (&budgets, &pods), &self.options, now());
        let again = match begin {
            Begin::Start(record) => return self.start(candidate, &workload, &record).await.map(|()| true),
            Begin::Adopt => {
                self.open.insert(id.clone());
                self.options.retry
            }
            Begin::Wait(why) => {
                self.teller.wait(id, &workload, &why).await;
                self.options.retry
            }
            Begin::Leave(why) => {
                self.teller.note(id, why);
                LEFT.min(self.options.again)
            }
            Begin::Nothing => self.options.retry,
        };
        self.looked.insert(id.clone(), Instant::now() + again);
        Ok(false)
    }

    /// Who asks for a candidate's restart, if the resource still does.
    fn asked(&self, candidate: &Candidate) -> Option<Asked> {
        let index = self.sources.index.load();
        let (namespace, name) = candidate.resource.split_once('/')?;
        let found = index.resources().iter().find(|it| {
            (it.metadata.namespace.as_deref(), it.metadata.name.as_deref()) == (Some(namespace), Some(name))
        })?;
        (found.spec.rollout_restart == RolloutRestart::OnChange).then(|| Asked {
            resource: candidate.resource.clone(),
            uid: found.metadata.uid.clone().unwrap_or_default(),
            generation: found.metadata.generation.unwrap_or_default(),
            drifted: candidate.drifted,
        })
    }

    async fn start(&mut self, candidate: &Candidate, workload: &Workload, record: &Record) -> Result<(), Fault> {
        let id = &candidate.id;
        let reason = format!("instrumented by {}", candidate.resource);
        let made = self.cluster.patch(id, &patch::start(workload, record, &reason)).await?;
        self.next = Instant::now() + self.options.every;
        self.open.insert(id.clone());
        // Another's webhook may have changed more of the template than we did: that is nobody's change of it later.
        if made.template_digest() != record.template {
            let record = Record { template: made.template_digest(), ..record.clone() };
            self.cluster.patch(id, &patch::remember_anyway(&made, &record)).await?;
        }
        self.teller.note(id, format!("it is being restarted since {}", record.started_at));
        let note = format!("Restarted to have its Pods {reason}");
        self.teller.event(id, workload, Said::Restarting, &note).await;
        Ok(())
    }

    /// Looks at a restart that is under way.
    async fn follow(&mut self, id: &Id) -> Result<(), Fault> {
        let workload = self.cluster.workload(id).await?;
        let Some(record) = workload.record().filter(|record| record.phase.is_open()) else {
            if workload.is_marked() {
                self.cluster.patch(id, &patch::unmark(&workload)).await?;
            }
            self.open.remove(id);
            return Ok(());
        };
        let pods = self.cluster.pods(&id.namespace, &workload.spec.selector).await?;
        match step::watch(id.kind, &workload, &record, &pods, &self.options, now()) {
            Watch::Wait => {
                let what = if record.phase == Phase::RollingBack { "rolled back" } else { "restarted" };
                self.teller.note(id, format!("it is being {what} since {}", record.since));
                Ok(())
            }
            Watch::RollBack(why) => {
                self.proven |= pods.iter().any(|pod| pod.is_of(record.started_at) && pod.is_instrumented());
                self.roll_back(id, &workload, record, why).await
            }
            Watch::Delete(pods) => {
                for (name, uid) in pods {
                    warn!(
                        kind = id.kind.as_str(),
                        namespace = id.namespace,
                        pod = name,
                        "deleting a Pod that never became ready: the rollback waits for it"
                    );
                    self.cluster.delete_pod(&id.namespace, &name, uid).await?;
                }
                Ok(())
            }
            Watch::End(phase, why) => self.end(id, &workload, record, phase, why).await,
        }
    }

    async fn roll_back(&mut self, id: &Id, workload: &Workload, record: Record, why: String) -> Result<(), Fault> {
        let record = Record { phase: Phase::RollingBack, since: now(), reason: Some(why), ..record };
        self.cluster.patch(id, &patch::roll_back(workload, &record)).await?;
        let why = record.reason.as_deref().unwrap_or_default();
        self.metrics.restart(Phase::RolledBack.as_str());
        self.teller.note(id, format!("its restart is rolled back: {why}"));
        let note = format!("{why}. Its template is as it was before the restart, and excluded from instrumentation");
        self.teller.event(id, workload, Said::RolledBack, &note).await;
        Ok(())
    }

    async fn end(
        &mut self,
        id: &Id,
        workload: &Workload,
        record: Record,
        phase: Phase,
        why: Option<String>,
    ) -> Result<(), Fault> {
        let record = Record { phase, since: now(), reason: why, ..record };
        self.cluster.patch(id, &patch::remember(workload, &record)).await?;
        self.open.remove(id);
        // Discovery hears of the new Pods a little later.
        self.looked.insert(id.clone(), Instant::now() + self.options.retry);
        let why = record.reason.as_deref().unwrap_or_default();
        match phase {
            Phase::Restarted => self.proven = true,
            Phase::Unchanged => {
                self.proven = false;
                self.next = Instant::now() + self.options.caution;
            }
            _ => {}
        }
        // That of a rollback was counted and told when it began.
        let note = match phase {
            Phase::Restarted if why.is_empty() => "Its Pods are instrumented".to_owned(),
            Phase::Restarted => format!("Its Pods are instrumented, but for some: {why}"),
            Phase::Unchanged => {
                "It was restarted, and its Pods are not instrumented all the same: it is not restarted again for this"
                    .to_owned()
            }
            Phase::RolledBack => {
                info!(
                    kind = id.kind.as_str(),
                    namespace = id.namespace,
                    name = id.name,
                    reason = why,
                    "its rollback is over"
                );
                return Ok(());
            }
            _ => format!("Its restart is left to whoever changed it: {why}"),
        };
        self.metrics.restart(phase.as_str());
        self.teller.note(id, step::told(&record));
        self.teller.event(id, workload, Said::Restarted, &note).await;
        Ok(())
    }
}

/// The present, in whole seconds.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}
