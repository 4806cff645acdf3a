//! What is to be done next: of what was just read and the time, and of nothing else.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use obtrace_patch::Configuration;

use super::{
    Options,
    object::{Counts, Workload},
    pods::{Budget, Pod},
    record::{Before, Phase, RESTART, RESTART_REASON, RESTARTED_AT, Record},
    restarter::longer,
};
use crate::discovery::Kind;

/// Who asks for a restart.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The resource, as `namespace/name`.
    pub(super) resource: String,
    pub(super) uid: String,
    pub(super) generation: i64,
    /// Whether Pods were made while no webhook answered.
    pub(super) drifted: bool,
    /// By which configuration Pods are instrumented that are made now.
    pub(super) configuration: Option<Configuration>,
}

impl Asked {
    /// Whether a Pod made now were another.
    fn mends(&self, pod: &Pod) -> bool {
        !pod.is_instrumented() || pod.is_outdated(self.configuration)
    }
}

/// What becomes of a workload that is asked to be restarted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Begin {
    /// It is restarted: this is remembered.
    Start(Record),
    /// A restart of it is under way.
    Adopt,
    /// Not now.
    Wait(String),
    /// Not at all, as it is.
    Leave(String),
    /// There is no need.
    Nothing,
}

/// Whether a workload is restarted now. One that is not healthy to begin with is not: what fails afterwards has failed by the restart.
pub(super) fn begin(
    kind: Kind,
    workload: &Workload,
    asked: &Asked,
    (budgets, pods): (&[Budget], &[Pod]),
    options: &Options,
    now: Timestamp,
) -> Begin {
    let record = workload.record();
    if record.as_ref().is_some_and(|it| it.phase.is_open()) {
        return Begin::Adopt;
    }
    if workload.has_unreadable_record() {
        return Begin::Leave(format!(
            "its annotation {RESTART}, which tells of its last restart, cannot be read: remove it"
        ));
    }
    let mended = pods.iter().any(|pod| !pod.is_gone() && asked.mends(pod));
    if workload.metadata.deletion_timestamp.is_some() || !mended {
        return Begin::Nothing;
    }
    if workload.is_excluded() {
        return Begin::Leave("its template is excluded".to_owned());
    }
    if let Some(why) = record.as_ref().and_then(|record| spent(record, asked, options, now)) {
        return Begin::Leave(why);
    }
    if let Some(why) = workload.holds_back() {
        return Begin::Leave(why.to_owned());
    }
    if let Some(why) = unfit(kind, workload).or_else(|| forbidding(kind, workload, budgets)) {
        return Begin::Wait(why);
    }
    let before = Before {
        restarted_at: workload.of_template(RESTARTED_AT).map(str::to_owned),
        reason: workload.of_template(RESTART_REASON).map(str::to_owned),
    };
    Begin::Start(Record {
        phase: Phase::Restarting,
        resource: asked.resource.clone(),
        uid: asked.uid.clone(),
        generation: asked.generation,
        attempts: record.as_ref().map_or(1, |last| attempts(last, now).saturating_add(1)),
        started_at: now,
        since: now,
        configuration: asked.configuration.map(|it| it.to_string()),
        template: workload.template_digest(),
        before,
        reason: None,
    })
}

/// Why there is no other restart after that one: there is one for each generation of a resource, and for each configuration, of which a part
/// may be inherited of another resource. Only where it did instrument the Pods,
/// and others were made while no webhook answered, there is another after a while. Each time it is a longer while: neither a
/// webhook that some API servers do not reach nor two who edit a resource in turns have a workload restarted for ever.
fn spent(record: &Record, asked: &Asked, options: &Options, now: Timestamp) -> Option<String> {
    let is_anew = record.configuration().zip(asked.configuration).is_some_and(|(was, now)| was.is_outdated(now));
    let is_other = is_anew || (&record.uid, record.generation) != (&asked.uid, asked.generation);
    let helped = record.phase == Phase::Restarted && asked.drifted;
    let pause = longer(if is_other { options.caution } else { options.again }, attempts(record, now));
    let again = (is_other || helped) && after(record.since, pause) <= now;
    (!again).then(|| told(record))
}

/// The restarts that still count: after a day without one, none does.
fn attempts(last: &Record, now: Timestamp) -> u32 {
    const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
    let pause = DAY.max(longer(std::time::Duration::from_secs(3600), last.attempts).saturating_mul(2));
    if after(last.since, pause) <= now { 0 } else { last.attempts }
}

/// What came of a restart.
pub(super) fn told(record: &Record) -> String {
    let (ended, why) = (record.since, record.reason.as_deref());
    match record.phase {
        Phase::Restarted => format!("it was restarted at {ended}"),
        Phase::RolledBack => format!("its restart was rolled back at {ended}: {}", why.unwrap_or("its Pods failed")),
        Phase::Superseded => format!("its restart was given up at {ended}: {}", why.unwrap_or("somebody changed it")),
        _ => format!("it was restarted, and its Pods were not instrumented at {ended} either"),
    }
}

/// Why a workload cannot be restarted as it is now.
fn unfit(kind: Kind, workload: &Workload) -> Option<String> {
    if workload.is_paused() {
        return Some("it is paused".to_owned());
    }
    let Counts { wanted, updated, available, .. } = workload.counts(kind);
    (!workload.is_settled(kind)).then(|| {
        format!("it is being rolled out or not healthy: of {wanted} Pods {updated} are of its template, {available} available")
    })
}

/// The PodDisruptionBudget that does not allow what an update of the workload does.
fn forbidding(kind: Kind, workload: &Workload, budgets: &[Budget]) -> Option<String> {
    let needs = workload.most_unavailable(kind).max(1);
    let budget = budgets.iter().find(|budget| budget.is_for(workload) && budget.allows() < needs)?;
    let (name, allows) = (&budget.metadata.name, budget.allows());
    Some(match allows {
        ..=0 => format!("its PodDisruptionBudget {name} allows no disruption now"),
        _ => format!(
            "its update takes away {needs} Pods at once, and its PodDisruptionBudget {name} allows {allows}: lower its maxUnavailable"
        ),
    })
}

/// That long after it.
pub(super) fn after(time: Timestamp, duration: std::time::Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
