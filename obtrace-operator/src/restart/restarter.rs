//! A leader's work: what is read, decided by [`step`] and written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{debug, info, warn};

use super::{
    Options, Phase, Record, Sources, Told,
    api::{Cluster, Fault},
    object::Workload,
    open::{Open, Written},
    patch,
    step::{self, Asked, Begin},
    tell::{Said, Teller},
    watching::{self, Watch},
};
use crate::{
    crd::RolloutRestart,
    discovery::{Candidate, Id, Kind, configuration},
    telemetry::Metrics,
};

/// The kinds that can be restarted.
const KINDS: [Kind; 3] = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];
/// The most workloads that are looked at in one turn: each look is three requests.
const LOOKS: usize = 10;
/// After so many restarts that were taken back in a row there is one at a time.
const MOST_TAKEN_BACK: u32 = 3;
/// How long a workload is not looked at again that is not restarted as it is.
const LEFT: Duration = Duration::from_secs(600);

/// A leader's work.
pub(super) struct Restarter {
    cluster: Cluster,
    options: Options,
    sources: Sources,
    teller: Teller,
    metrics: Arc<Metrics>,
    /// What is under way.
    open: BTreeMap<Id, Open>,
    /// When a candidate may be looked at again.
    looked: BTreeMap<Id, Instant>,
    /// Whether a restart has instrumented Pods since this replica leads. Until one has there is one at a time.
    proven: bool,
    /// How many restarts were taken back in a row.
    taken_back: u32,
    /// When the next restart may begin.
    next: Instant,
    /// Until when nothing is asked that needs rights which the operator has not.
    refused: Option<Instant>,
}

impl Restarter {
    pub(super) fn new(
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
            open: BTreeMap::new(),
            looked: BTreeMap::new(),
            proven: false,
            taken_back: 0,
            next: Instant::now() + options.every,
            refused: None,
        }
    }

    /// Works until it is dropped.
    pub(super) async fn lead(&mut self) {
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
                        self.open.extend(found.into_iter().map(|id| (id, Open::new(Written::Recorded))));
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
        let now = Instant::now();
        let due: Vec<Id> = self.open.iter().filter(|(_, open)| open.next <= now).map(|(id, _)| id.clone()).collect();
        for id in due {
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
        self.teller.publish(|id| known.contains(id) || open.contains_key(id));
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
        let many = self.proven && self.taken_back < MOST_TAKEN_BACK;
        let at_once = if many { self.options.at_once.max(1) } else { 1 };
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
            let is_busy = self.open.keys().any(|open| open.namespace == it.id.namespace);
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
            // One whose answer was lost counts as begun, too.
            if begun || forbidden || self.open.contains_key(&candidate.id) {
                return;
            }
        }
    }

    /// Looks at a candidate, and begins its restart if that can be; whether it did.
    async fn look(&mut self, candidate: &Candidate) -> Result<bool, Fault> {
        let id = &candidate.id;
        let workload = self.cluster.workload(id).await?;
        let Some(asked) = self.asked(candidate, &workload) else { return Ok(false) };
        let pods = self.cluster.pods(id, &workload).await?;
        let budgets = self.cluster.budgets(&id.namespace).await?;
        self.teller.refused(None);
        self.refused = None;
        let begin = step::begin(id.kind, &workload, &asked, (&budgets, &pods), &self.options, now());
        let again = match begin {
            Begin::Start(record) => {
                let is_first = pods.iter().any(|pod| !pod.is_gone() && !pod.is_instrumented());
                let resource = &candidate.resource;
                let reason = match is_first {
                    true => format!("instrumented by {resource}"),
                    false => format!("instrumented as {resource} says now"),
                };
                return self.start(id, &workload, &record, &reason).await.map(|()| true);
            }
            Begin::Adopt => {
                self.open.insert(id.clone(), Open::new(Written::Recorded));
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

    /// Who asks for a candidate's restart, if the resource still does. What its Pods would get is asked anew: discovery may have judged it by what
    /// the resource said before.
    fn asked(&self, candidate: &Candidate, workload: &Workload) -> Option<Asked> {
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
            configuration: configuration(&candidate.id, &workload.template(), &index),
        })
    }

    async fn start(&mut self, id: &Id, workload: &Workload, record: &Record, reason: &str) -> Result<(), Fault> {
        self.next = Instant::now() + self.options.every;
        // It counts as begun before it is known: an answer may be lost, and the restart is watched all the same.
        self.open.insert(id.clone(), Open::new(Written::Unanswered(record.started_at)));
        let made = match self.cluster.patch(id, &patch::start(workload, record, reason)).await {
            Err(fault @ (Fault::Gone | Fault::Conflict | Fault::Forbidden(_))) => {
                self.open.remove(id);
                return Err(fault);
            }
            made => made?,
        };
        // Another's webhook may have changed more of the template than we did: that is nobody's change of it later. If saying so fails, it
        // is said when the restart is looked at.
        let digest = made.template_digest();
        let differs = digest != record.template;
        let written = if differs { Written::Made(digest.clone()) } else { Written::Recorded };
        self.open.insert(id.clone(), Open::new(written));
        if differs {
            let record = Record { template: digest, ..record.clone() };
            self.confirm(id, &patch::remember_anyway(&made, &record)).await?;
        }
        self.teller.note(id, format!("it is being restarted since {}", record.started_at));
        let note = format!("Restarted to have its Pods {reason}");
        self.teller.event(id, workload, Said::Restarting, &note).await;
        Ok(())
    }

    /// Remembers that a template is as we made it.
    async fn confirm(&mut self, id: &Id, patch: &Value) -> Result<(), Fault> {
        self.cluster.patch(id, patch).await?;
        self.open.insert(id.clone(), Open::new(Written::Recorded));
        Ok(())
    }

    /// Looks at a restart that is under way.
    async fn follow(&mut self, id: &Id) -> Result<(), Fault> {
        let workload = self.cluster.workload(id).await?;
        let Some(record) = workload.record().filter(|record| record.phase.is_open()) else {
            // What cannot be read may be of another version, which goes on with it.
            if workload.is_marked() && !workload.has_unreadable_record() {
                self.cluster.patch(id, &patch::unmark(&workload)).await?;
            }
            self.open.remove(id);
            return Ok(());
        };
        let digest = workload.template_digest();
        if digest != record.template && self.open.get(id).is_some_and(|open| open.wrote(&record, &digest)) {
            let record = Record { template: digest, ..record };
            return self.confirm(id, &patch::remember(&workload, &record)).await;
        }
        let pods = self.cluster.pods(id, &workload).await?;
        self.open.insert(id.clone(), Open::looked(pods.len(), self.options.poll));
        match watching::watch(id.kind, &workload, &record, &pods, &self.options, now()) {
            Watch::Wait => {
                let what = if record.phase == Phase::RollingBack { "rolled back" } else { "restarted" };
                self.teller.note(id, format!("it is being {what} since {}", record.since));
                Ok(())
            }
            Watch::RollBack(why) => {
                self.proven |= pods.iter().any(|pod| pod.is_of(record.started_at) && pod.is_instrumented());
                // What broke these Pods may break all others: from here on ever more slowly.
                self.taken_back = self.taken_back.saturating_add(1);
                self.next = Instant::now() + longer(self.options.caution, self.taken_back);
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
        let is_undone = phase == Phase::RolledBack && why != record.reason;
        let record = Record { phase, since: now(), reason: why, ..record };
        self.cluster.patch(id, &patch::remember(workload, &record)).await?;
        self.open.remove(id);
        // Discovery hears of the new Pods a little later.
        self.looked.insert(id.clone(), Instant::now() + self.options.retry);
        self.trace(id, &record);
        let why = record.reason.as_deref().unwrap_or_default();
        match phase {
            Phase::Restarted => (self.proven, self.taken_back) = (true, 0),
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
                self.teller.note(id, step::told(&record));
                if is_undone {
                    self.teller.event(id, workload, Said::RolledBack, why).await;
                }
                return Ok(());
            }
            _ => format!("Its restart is left to whoever changed it: {why}"),
        };
        self.metrics.restart(phase.as_str());
        self.teller.note(id, step::told(&record));
        self.teller.event(id, workload, Said::Restarted, &note).await;
        Ok(())
    }

    /// The span of a restart that is over, whoever began it.
    fn trace(&self, id: &Id, record: &Record) {
        let span = self.options.traces.as_ref().and_then(|traces| traces.work("workload restart"));
        let Some(mut span) = span else { return };
        span.of_workload(id.kind.as_str(), &id.namespace, &id.name);
        span.say("obtrace.restart.outcome", record.phase.as_str());
        span.say("obtrace.restart.attempts", record.attempts);
        span.say("obtrace.restart.resource", record.resource.clone());
        if record.phase == Phase::RolledBack {
            span.failed(record.phase.as_str(), record.reason.clone().unwrap_or_default());
        }
        span.done(Duration::try_from(record.since.duration_since(record.started_at)).unwrap_or_default());
    }
}

/// That time the first time, and each time twice as long, up to 512 times.
pub(super) fn longer(time: Duration, times: u32) -> Duration {
    time.saturating_mul(1 << times.saturating_sub(1).min(9))
}

/// The present, in whole seconds.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
