//! What a resource's status says.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use obtrace_patch::EXCLUDED_NAMESPACES;
use serde::Serialize;

use super::{
    candidate::{Id, is_restarted},
    finding::Finding,
    store::{Key, Pods},
};
use crate::{
    crd::{ObtraceInstrumentation, ObtraceInstrumentationStatus, RolloutRestart, Totals, WorkloadStatus},
    index::{SYSTEM_NAMESPACE, Unusable},
    restart::Told,
};

/// The most workloads that a status lists.
pub const MOST_ENTRIES: usize = 500;
/// The most that a resource with its status takes as JSON, in bytes.
pub const MOST_BYTES: usize = 256 << 10;
/// What is left of that for metadata and conditions.
const RESERVE: usize = 32 << 10;
/// The longest message of a condition, in bytes.
const LONGEST_MESSAGE: usize = 1024;

/// What became of a workload.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum State {
    /// Pods should be instrumented, are not, and were made when they should have been.
    Drifted,
    /// Pods should be instrumented and are not.
    Pending,
    /// Pods are instrumented by an older configuration.
    Outdated,
    /// It is left alone.
    Skipped,
    /// Its Pods are instrumented.
    Instrumented,
}

impl State {
    pub(super) fn of(finding: &Finding, pods: Pods) -> Self {
        match (finding.instruments(), pods) {
            (false, _) => Self::Skipped,
            (true, Pods { drifted: 1.., .. }) => Self::Drifted,
            (true, Pods { bare: 1.., .. }) => Self::Pending,
            (true, Pods { outdated: 1.., .. }) => Self::Outdated,
            (true, _) => Self::Instrumented,
        }
    }

    /// Whether a restart makes it another.
    pub(super) const fn is_mended(self) -> bool {
        matches!(self, Self::Drifted | Self::Pending | Self::Outdated)
    }

    /// Its name in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Drifted => "drifted",
            Self::Pending => "pending",
            Self::Outdated => "outdated",
            Self::Skipped => "skipped",
            Self::Instrumented => "instrumented",
        }
    }
}

/// A workload that a resource is for.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub(super) state: State,
    pub(super) key: &'a Key,
    pub(super) finding: &'a Finding,
    pub(super) pods: Pods,
}

/// The status of a resource that is in use. `previous` is the one that it has, `rivals` the other resources that are for the same Pods as
/// much, `told` what became of restarts, `now` the time that a condition gets whose status is new.
pub(super) fn compose(
    resource: &ObtraceInstrumentation,
    mut rows: Vec<Row<'_>>,
    rivals: &[&str],
    told: Option<&Told>,
    previous: Option<&ObtraceInstrumentationStatus>,
    now: &Time,
) -> ObtraceInstrumentationStatus {
    // What needs somebody's attention first; the order is otherwise by name, that the same rows make the same status.
    rows.sort_by(|a, b| (a.state, a.key).cmp(&(b.state, b.key)));
    let mut totals = Totals { workloads: count(rows.len()), ..Totals::default() };
    for row in &rows {
        match row.state {
            State::Drifted | State::Pending => totals.pending += 1,
            State::Skipped => totals.skipped += 1,
            State::Outdated | State::Instrumented => totals.instrumented += 1,
        }
    }
    let told = told.filter(|_| resource.spec.rollout_restart == RolloutRestart::OnChange);
    let workloads = entries(&rows, told, length(&resource.spec));
    let conditions = Conditions { metadata: &resource.metadata, previous, now };
    ObtraceInstrumentationStatus {
        observed_generation: resource.metadata.generation,
        in_use_since: None,
        conditions: conditions.of(resource, &rows, rivals, told),
        totals,
        truncated: workloads.len() < rows.len(),
        workloads,
    }
}

/// The status of a resource that cannot be used.
pub(super) fn unusable(
    about: &Unusable,
    previous: Option<&ObtraceInstrumentationStatus>,
    now: &Time,
) -> ObtraceInstrumentationStatus {
    let conditions = Conditions { metadata: &about.metadata, previous, now };
    let message = format!("it is left out until it is corrected: {}", about.error);
    ObtraceInstrumentationStatus {
        observed_generation: about.metadata.generation,
        conditions: vec![conditions.make("Ready", false, "InvalidSpec", message)],
        ..ObtraceInstrumentationStatus::default()
    }
}

/// Since when a resource that was not known before has been in use, in seconds since 1970: since it was made, if it has not been edited; else
/// since the leader before has seen it so, if it saw this edit. Nobody can tell otherwise.
pub(super) fn in_use_since(metadata: &ObjectMeta, previous: Option<&ObtraceInstrumentationStatus>) -> Option<i64> {
    let seconds = |time: &Time| time.0.as_second();
    let seen = previous.filter(|status| status.observed_generation == metadata.generation);
    let seen = seen.and_then(|status| status.in_use_since.as_ref()).map(seconds);
    let made = metadata.creation_timestamp.as_ref().map(seconds);
    seen.or(made.filter(|_| metadata.generation.is_none_or(|generation| generation <= 1)))
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn length(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(MOST_BYTES, |bytes| bytes.len())
}

/// As many rows as fit. The spec counts three times: what `kubectl apply` keeps of it and the list of its fields' managers may each be
/// as large as it is.
fn entries(rows: &[Row<'_>], told: Option<&Told>, spec: usize) -> Vec<WorkloadStatus> {
    let mut left = MOST_BYTES.saturating_sub(RESERVE).saturating_sub(spec.saturating_mul(3));
    let fits = |entry: &WorkloadStatus| {
        let size = length(entry) + 1;
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    };
    rows.iter().take(MOST_ENTRIES).map(|row| entry(row, told)).take_while(fits).collect()
}

fn entry(row: &Row<'_>, told: Option<&Told>) -> WorkloadStatus {
    let Row { state, key, finding, pods } = row;
    let note = told.and_then(|told| {
        let note = told.notes.get(&Id::new(key.kind, &*key.namespace, &*key.name)).map(String::as_str);
        let waits = told.refused.is_none() && is_restarted(key.kind);
        note.or(waits.then_some("its restart waits for its turn"))
    });
    WorkloadStatus {
        kind: key.kind.as_str().to_owned(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        language: finding.language.as_str().to_owned(),
        framework: finding.framework.map(|framework| framework.as_str().to_owned()),
        strategy: finding.strategy.map_or("none", |strategy| strategy.as_str()).to_owned(),
        confidence: f64::from(finding.confidence.hundredths()) / 100.0,
        state: match state {
            State::Drifted => State::Pending,
            State::Outdated => State::Instrumented,
            other => *other,
        }
        .as_str()
        .to_owned(),
        reason: reason(*state, *pods, note).or_else(|| finding.reason.as_deref().map(str::to_owned)),
    }
}

/// Why it is as it is, with what becomes of it.
fn reason(state: State, pods: Pods, note: Option<&str>) -> Option<String> {
    let Pods { all, bare, drifted, outdated } = pods;
    let what =
        if state == State::Outdated { "restart it to have them follow" } else { "restart it to instrument them" };
    let note = note.unwrap_or(what);
    match state {
        State::Drifted => Some(format!("{drifted} of {all} Pods were made while no webhook answered, {note}")),
        State::Pending => Some(format!("{bare} of {all} Pods are older than the instrumentation, {note}")),
        State::Outdated => {
            Some(format!("{outdated} of {all} Pods were instrumented by an older configuration, {note}"))
        }
        State::Skipped | State::Instrumented => None,
    }
}

/// Makes conditions.
struct Conditions<'a> {
    metadata: &'a ObjectMeta,
    previous: Option<&'a ObtraceInstrumentationStatus>,
    now: &'a Time,
}

impl Conditions<'_> {
    fn of(
        &self,
        resource: &ObtraceInstrumentation,
        rows: &[Row<'_>],
        rivals: &[&str],
        told: Option<&Told>,
    ) -> Vec<Condition> {
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        let mut conditions = vec![self.ready(namespace, rows), self.conflict(rivals), self.drift(rows)];
        conditions.extend(told.map(|told| self.restarts(told)));
        if namespace != SYSTEM_NAMESPACE && resource.spec.namespace_selector.is_some() {
            let message = format!(
                "spec.namespaceSelector counts in {SYSTEM_NAMESPACE} only; here the resource is for its own namespace"
            );
            conditions.push(self.make("NamespaceSelectorIgnored", true, "NotInSystemNamespace", message));
        }
        conditions
    }

    fn ready(&self, namespace: &str, rows: &[Row<'_>]) -> Condition {
        if namespace != SYSTEM_NAMESPACE && EXCLUDED_NAMESPACES.contains(&namespace) {
            let message = format!("Pods of {namespace} are never instrumented");
            return self.make("Ready", false, "NamespaceReserved", message);
        }
        match rows.is_empty() {
            true => self.make(
                "Ready",
                true,
                "NoWorkloads",
                "it is in use, and no workload is there that it is for".to_owned(),
            ),
            false => self.make("Ready", true, "InUse", "it is in use".to_owned()),
        }
    }

    fn conflict(&self, rivals: &[&str]) -> Condition {
        if rivals.is_empty() {
            return self.make(
                "Conflict",
                false,
                "NoConflict",
                "no other resource is for the same Pods as much".to_owned(),
            );
        }
        let message = format!(
            "{} and this are for some Pods as much as each other, and the first by name counts: give one a selector",
            rivals.join(", ")
        );
        self.make("Conflict", true, "SameRank", message)
    }

    fn drift(&self, rows: &[Row<'_>]) -> Condition {
        let drifted = || rows.iter().filter(|row| row.state == State::Drifted);
        let Some(first) = drifted().next() else {
            return self.make("Drift", false, "NoDrift", "every Pod was made with a webhook that answered".to_owned());
        };
        let pods: u64 = drifted().map(|row| u64::from(row.pods.drifted)).sum();
        let message = format!(
            "{pods} Pods of {} workloads were made while no webhook answered, {} {}/{} first: restart them to instrument their Pods",
            drifted().count(),
            first.key.kind.as_str(),
            first.key.namespace,
            first.key.name
        );
        self.make("Drift", true, "PodsNotInstrumented", message)
    }

    fn restarts(&self, told: &Told) -> Condition {
        match &told.refused {
            Some(why) => self.make("Restarts", false, "Forbidden", why.clone()),
            None => {
                self.make("Restarts", true, "OnChange", "workloads are restarted to instrument their Pods".to_owned())
            }
        }
    }

    /// A condition; if its status is that of the previous one it has its time.
    fn make(&self, kind: &str, holds: bool, reason: &str, mut message: String) -> Condition {
        let status = if holds { "True" } else { "False" };
        let same = |it: &&Condition| it.type_ == kind && it.status == status;
        let before = self.previous.and_then(|previous| previous.conditions.iter().find(same));
        while message.len() > LONGEST_MESSAGE {
            message.pop();
        }
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: self.metadata.generation,
            last_transition_time: before.map_or_else(|| self.now.clone(), |before| before.last_transition_time.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
