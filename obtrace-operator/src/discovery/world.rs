//! What has been discovered, and what follows from it for every resource.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use obtrace_detect::Language;
use tracing::{info, warn};

use super::{
    Candidate, Drifted, MOST_DRIFTED, Options,
    before::Before,
    candidate::candidates,
    finding::Finding,
    kind::Kind,
    pace::Pace,
    scan::Seen,
    status::{self, Row, State},
    store::{News, Since, Store},
};
use crate::{
    crd::ObtraceInstrumentationStatus,
    index::Index,
    restart::Told,
    telemetry::{Metrics, Traces},
};

/// Lines about workloads: so many at once, …
const LINES: u32 = 1000;
/// … and one more every so often.
const LINE_EVERY: Duration = Duration::from_millis(50);

/// The statuses of all resources, and who has drifted.
pub(super) struct Composed {
    /// By the resource's `namespace/name`.
    pub(super) statuses: Vec<(String, ObtraceInstrumentationStatus)>,
    pub(super) drifted: Vec<Drifted>,
    pub(super) candidates: Vec<Candidate>,
}

/// What has been discovered.
pub(super) struct Discovered {
    store: Store,
    metrics: Arc<Metrics>,
    traces: Option<Traces>,
    /// How often a list of a kind has begun: what carries another number is from an older one.
    lists: HashMap<Kind, u32>,
    lists_of_pods: u32,
    /// The kinds and, as `None`, the Pods that have been listed whole.
    listed: BTreeSet<Option<Kind>>,
    /// The kinds that are being listed.
    listing: BTreeSet<Kind>,
    began: Instant,
    last_scan: Duration,
    /// What the leader before knew, until everything has been listed.
    before: Before,
    /// Each resource's generation, and since when that is in use, in seconds since 1970.
    resources: HashMap<Box<str>, (Option<i64>, i64)>,
    dirty: bool,
    lines: Pace,
    counted: BTreeSet<(Language, &'static str)>,
    told_left_out: u64,
    told_more: usize,
    told_drifted: BTreeSet<(Kind, String, String)>,
}

impl Discovered {
    pub(super) fn new(options: &Options, metrics: Arc<Metrics>, now: Instant) -> Self {
        Self {
            store: Store::new(options.most_workloads, options.most_pods),
            metrics,
            traces: options.traces.clone(),
            lists: HashMap::new(),
            lists_of_pods: 0,
            listed: BTreeSet::new(),
            listing: BTreeSet::new(),
            began: now,
            last_scan: Duration::ZERO,
            before: Before::new(options.led_until.load(Relaxed)),
            resources: HashMap::new(),
            dirty: false,
            lines: Pace::new(LINES, LINE_EVERY, now),
            counted: BTreeSet::new(),
            told_left_out: 0,
            told_more: 0,
            told_drifted: BTreeSet::new(),
        }
    }

    /// Notes the resources of a new index; `previous` gives the status that a resource has, `now` is in seconds since 1970.
    pub(super) fn resources<'p>(
        &mut self,
        index: &Index,
        previous: impl Fn(&str) -> Option<&'p ObtraceInstrumentationStatus>,
        now: i64,
    ) {
        let is_whole = self.is_whole();
        let all = index.resources().iter().map(|resource| {
            let metadata = &resource.metadata;
            let name = name(metadata.namespace.as_deref(), metadata.name.as_deref());
            let since = match self.resources.get(name.as_str()) {
                Some((generation, since)) if *generation == metadata.generation => *since,
                Some(_) => now,
                None => {
                    let status = previous(&name);
                    if let Some(status) = status.filter(|_| !is_whole) {
                        self.before.note(&name, status);
                    }
                    status::in_use_since(metadata, status).unwrap_or(now)
                }
            };
            (name.into(), (metadata.generation, since))
        });
        self.resources = all.collect();
        self.dirty = true;
    }

    /// Whether everything has been listed once.
    pub(super) fn is_whole(&self) -> bool {
        self.listed.len() == Kind::ALL.len() + 1
    }

    /// Whether something has changed since it was composed.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Something that the statuses tell has changed elsewhere.
    pub(super) fn touch(&mut self) {
        self.dirty = true;
    }

    /// How long the last list of all kinds took.
    pub(super) fn last_scan(&self) -> Duration {
        self.last_scan
    }

    /// Takes in what a task has seen; `now` is in seconds since 1970.
    pub(super) fn take(&mut self, seen: Seen, now: i64) {
        match seen {
            Seen::Begin(kind) => self.begin(kind),
            Seen::End(kind) => self.end(kind),
            Seen::Refused(kind, is_absent) => self.refused(kind, is_absent),
            Seen::Workload(kind, namespace, name, made, finding) => {
                self.workload((kind, &namespace, &name), *finding, made, now);
            }
            Seen::Job(namespace, job, cron_job) => {
                let list = self.lists.get(&Kind::Job).copied().unwrap_or_default();
                self.store.job(&namespace, &job, &cron_job, list);
                self.dirty = true;
            }
            Seen::Gone(kind, namespace, name) => {
                self.dirty |= self.store.remove(kind, &namespace, &name);
            }
            Seen::BeginPods => self.lists_of_pods += 1,
            Seen::Pod(metadata) => self.dirty |= self.store.pod(&metadata, self.lists_of_pods),
            Seen::GonePod(metadata) => self.dirty |= self.store.remove_pod(&metadata),
            Seen::EndPods => {
                self.dirty |= self.store.keep_seen_pods(self.lists_of_pods) | self.listed.insert(None);
            }
        }
    }

    fn begin(&mut self, kind: Kind) {
        if self.listing.is_empty() {
            self.began = Instant::now();
        }
        self.listing.insert(kind);
        *self.lists.entry(kind).or_default() += 1;
    }

    fn end(&mut self, kind: Kind) {
        let list = self.lists.get(&kind).copied().unwrap_or_default();
        self.dirty |= self.store.keep_seen(kind, list) | self.listed.insert(Some(kind));
        self.listing.remove(&kind);
        if self.listing.is_empty() {
            self.last_scan = self.began.elapsed();
            self.metrics.scan(self.last_scan);
            if let Some(mut span) = self.traces.as_ref().and_then(|traces| traces.work("discovery scan")) {
                let (workloads, pods) = self.store.size();
                let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
                span.say("obtrace.discovery.workloads", whole(workloads));
                span.say("obtrace.discovery.pods", whole(pods));
                span.done(self.last_scan);
            }
        }
    }

    /// An API server that has just begun refuses everything for a moment: what was known of a kind stands, unless there is no such
    /// kind.
    fn refused(&mut self, kind: Kind, is_absent: bool) {
        if is_absent {
            self.begin(kind);
            return self.end(kind);
        }
        self.listing.remove(&kind);
        self.dirty |= self.listed.insert(Some(kind));
    }

    fn workload(&mut self, id: (Kind, &str, &str), finding: Finding, made: i64, now: i64) {
        let list = self.lists.get(&id.0).copied().unwrap_or_default();
        let since = finding.resource.as_deref().and_then(|name| self.resources.get(name)).map(|(_, since)| *since);
        let is_unsure = |resource: &str| self.before.does_not_know(resource, id, made);
        let since = match since {
            Some(since) if finding.resource.as_deref().is_some_and(is_unsure) => Since::NotBefore(since),
            since => Since::At(since.unwrap_or(now)),
        };
        let line = finding.clone();
        let news = self.store.workload(id, finding, list, since, now);
        if news == News::None {
            return;
        }
        self.dirty = true;
        if news == News::Configured {
            return;
        }
        self.tell(id, &line);
        // A leader after this one does not know of this workload since when, only of the resource.
        let resource = line.resource.as_deref().filter(|_| news == News::Turned);
        if let Some((_, since)) = resource.and_then(|name| self.resources.get_mut(name)) {
            *since = now;
        }
    }

    fn tell(&mut self, (kind, namespace, name): (Kind, &str, &str), finding: &Finding) {
        if !self.lines.take(Instant::now()) {
            return;
        }
        info!(
            kind = kind.as_str(),
            namespace,
            name,
            resource = finding.resource.as_deref(),
            language = finding.language.as_str(),
            framework = finding.framework.map(|framework| framework.as_str()),
            strategy = finding.strategy.map_or("none", |strategy| strategy.as_str()),
            confidence = finding.confidence.as_f64(),
            reason = finding.reason.as_deref(),
            "workload"
        );
    }

    /// The statuses that follow for the resources of an index; `told` is what became of restarts, `previous` gives the status that a resource
    /// has.
    pub(super) fn compose<'p>(
        &mut self,
        index: &Index,
        told: Option<&Told>,
        previous: impl Fn(&str) -> Option<&'p ObtraceInstrumentationStatus>,
    ) -> Composed {
        self.dirty = false;
        self.learn();
        let now = Time(Timestamp::from_second(super::now()).unwrap_or_default());
        let mut rows: HashMap<&str, Vec<Row<'_>>> = HashMap::new();
        let mut rivals: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut pair = |a, b| {
            rivals.entry(a).or_default().insert(b);
            rivals.entry(b).or_default().insert(a);
        };
        index.ties().into_iter().for_each(|(a, b)| pair(a, b));
        let mut counts: BTreeMap<(Language, &'static str), u64> = BTreeMap::new();
        let mut unmatched = 0_u64;
        for (key, finding, pods) in self.store.workloads() {
            let Some(resource) = finding.resource.as_deref() else {
                unmatched += 1;
                *counts.entry((finding.language, "unmatched")).or_default() += 1;
                continue;
            };
            if let Some(rival) = finding.rival.as_deref() {
                pair(resource, rival);
            }
            let state = State::of(finding, pods);
            *counts.entry((finding.language, state.as_str())).or_default() += 1;
            rows.entry(resource).or_default().push(Row { state, key, finding, pods });
        }
        let drifted = drifted(&rows);
        let (candidates, more) = candidates(index, &rows);
        let mut statuses = Vec::with_capacity(index.resources().len());
        for resource in index.resources() {
            let name = name(resource.metadata.namespace.as_deref(), resource.metadata.name.as_deref());
            let rows = rows.remove(name.as_str()).unwrap_or_default();
            let rivals: Vec<&str> = rivals.get(name.as_str()).into_iter().flatten().copied().collect();
            let mut status = status::compose(resource, rows, &rivals, told, previous(&name), &now);
            let since = self.resources.get(name.as_str()).and_then(|(_, since)| Timestamp::from_second(*since).ok());
            status.in_use_since = since.map(Time);
            statuses.push((name, status));
        }
        for about in index.unusable() {
            let name = name(about.metadata.namespace.as_deref(), about.metadata.name.as_deref());
            let status = status::unusable(about, previous(&name), &now);
            statuses.push((name, status));
        }
        drop(rows);
        self.count(counts);
        self.tell_drifted(&drifted);
        self.tell_bounds(unmatched, more);
        Composed { statuses, drifted, candidates }
    }

    /// Decides, once everything has been listed, since when workloads have been instrumented that the leader before did not know. Where that is
    /// a guess, a leader after this one has to make it as well, or it would take Pods for drifted that are not here.
    fn learn(&mut self) {
        self.before = Before::default();
        for (resource, guess) in self.store.learn() {
            if let Some((_, since)) = self.resources.get_mut(&*resource) {
                *since = guess.max(*since);
            }
        }
    }

    fn count(&mut self, counts: BTreeMap<(Language, &'static str), u64>) {
        for (language, state) in self.counted.iter().filter(|gone| !counts.contains_key(gone)) {
            self.metrics.workloads(*language, state, 0);
        }
        for ((language, state), count) in &counts {
            self.metrics.workloads(*language, state, *count);
        }
        self.counted = counts.into_keys().collect();
    }

    fn tell_drifted(&mut self, drifted: &[Drifted]) {
        let id = |it: &Drifted| (it.kind, it.namespace.clone(), it.name.clone());
        for it in drifted {
            if !self.told_drifted.contains(&id(it)) && self.lines.take(Instant::now()) {
                warn!(
                    kind = it.kind.as_str(),
                    namespace = it.namespace,
                    name = it.name,
                    resource = it.resource,
                    pods = it.pods,
                    "Pods were made while no webhook answered, and are not instrumented until they are restarted"
                );
            }
        }
        self.told_drifted = drifted.iter().map(id).collect();
    }

    fn tell_bounds(&mut self, unmatched: u64, more: usize) {
        let (workloads, pods) = self.store.size();
        let lines = self.lines.refused();
        if lines > 0 {
            info!(
                lines,
                workloads, pods, unmatched, "more has changed than there are lines for: the statuses tell all of it"
            );
        }
        if more != self.told_more {
            self.told_more = more;
            warn!(
                more,
                "more workloads need a restart than are looked at in turn: the others follow when these are done"
            );
        }
        if self.store.left_out != self.told_left_out {
            self.told_left_out = self.store.left_out;
            warn!(
                left_out = self.told_left_out,
                workloads, pods, "there is more than discovery keeps: totals and statuses lack it"
            );
        }
    }

    /// Counts nothing any more: another replica does.
    pub(super) fn forget(&mut self) {
        self.count(BTreeMap::new());
    }
}

fn drifted(rows: &HashMap<&str, Vec<Row<'_>>>) -> Vec<Drifted> {
    let all = rows.iter().flat_map(|(resource, rows)| rows.iter().map(move |row| (*resource, row)));
    let mut drifted: Vec<_> = all.filter(|(_, row)| row.state == State::Drifted).collect();
    drifted.sort_by_key(|(_, row)| row.key);
    let entry = |(resource, row): (&str, &Row<'_>)| Drifted {
        kind: row.key.kind,
        namespace: row.key.namespace.to_string(),
        name: row.key.name.to_string(),
        resource: resource.to_owned(),
        pods: row.pods.drifted,
    };
    drifted.into_iter().take(MOST_DRIFTED).map(entry).collect()
}

/// A resource's `namespace/name`, as the index has it.
pub(super) fn name(namespace: Option<&str>, name: Option<&str>) -> String {
    format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default())
}

#[cfg(test)]
mod tests;
