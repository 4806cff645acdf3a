//! What is to be done next with a restart that is under way: of what was just read and the time, and of nothing else.

use k8s_openapi::jiff::Timestamp;

use super::{
    Options,
    object::Workload,
    pods::Pod,
    record::{Phase, RESTARTED_AT, Record},
    step::after,
};
use crate::discovery::Kind;

/// What becomes of a restart that is under way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Watch {
    /// It goes on.
    Wait,
    /// It is over.
    End(Phase, Option<String>),
    /// It failed: the template is put back, and excluded.
    RollBack(String),
    /// These Pods (name and id) stand in the way of the rollback.
    Delete(Vec<(String, String)>),
}

/// How a restart goes on.
pub(super) fn watch(
    kind: Kind,
    workload: &Workload,
    record: &Record,
    pods: &[Pod],
    options: &Options,
    now: Timestamp,
) -> Watch {
    if workload.template_digest() != record.template {
        return Watch::End(Phase::Superseded, Some("its template was changed meanwhile".to_owned()));
    }
    if workload.is_paused() {
        return Watch::End(Phase::Superseded, Some("it was paused meanwhile".to_owned()));
    }
    let look = Look { kind, workload, record, pods, options, now };
    match record.phase {
        Phase::RollingBack => rolling_back(look),
        _ => restarting(look),
    }
}

/// What was read of a restart, and when.
#[derive(Clone, Copy)]
struct Look<'a> {
    kind: Kind,
    workload: &'a Workload,
    record: &'a Record,
    pods: &'a [Pod],
    options: &'a Options,
    now: Timestamp,
}

fn restarting(look: Look<'_>) -> Watch {
    let Look { kind, workload, record, pods, options, now } = look;
    let began = record.started_at.to_string();
    let restarted_at = workload.of_template(RESTARTED_AT);
    if restarted_at != Some(began.as_str()) {
        let why = match restarted_at == record.before.restarted_at.as_deref() {
            true => "whoever manages its template took it back meanwhile",
            false => "it was restarted by somebody else meanwhile",
        };
        return Watch::End(Phase::Superseded, Some(why.to_owned()));
    }
    let new: Vec<&Pod> = pods.iter().filter(|pod| !pod.is_gone() && pod.is_of(record.started_at)).collect();
    if let Some(why) = new.iter().find_map(|pod| crash(pod)) {
        return Watch::RollBack(why);
    }
    // Until its controller has looked at it, nothing that is seen is about the new template.
    if !workload.is_observed() {
        return Watch::Wait;
    }
    let is_settled = workload.is_settled(kind);
    if is_settled {
        let steady = |pod: &&Pod| pod.ready_since().is_some_and(|since| after(since, options.steady) <= now);
        let present: Vec<&Pod> = pods.iter().filter(|pod| !pod.is_gone()).collect();
        if present.iter().all(steady) {
            return over(&present, but(&present, record));
        }
    }
    // Where nodes are to blame, nothing is stuck by the new template.
    let rollout = || match of_nodes(pods) {
        Some(_) => None,
        None if workload.has_stalled() => Some("its progressDeadlineSeconds are over".to_owned()),
        None if is_settled => None,
        None => stuck(workload, record, pods, options, now),
    };
    match late(&new, options, now).or_else(rollout) {
        Some(why) => Watch::RollBack(why),
        None => decided(look).unwrap_or(Watch::Wait),
    }
}

/// What came of a restart whose new Pods these are.
fn over(pods: &[&Pod], why: Option<String>) -> Watch {
    match pods.is_empty() || pods.iter().any(|pod| pod.is_instrumented()) {
        true => Watch::End(Phase::Restarted, why),
        false => Watch::End(Phase::Unchanged, Some("its new Pods are not instrumented either".to_owned())),
    }
}

/// Why Pods are not ready, if that is a matter of their nodes, and of nothing else. Old ones count, and those that are being deleted: a lost node
/// holds on to them, and a rollout waits for them.
fn of_nodes(pods: &[Pod]) -> Option<String> {
    let mut unready = pods.iter().filter(|pod| !pod.has_ended() && pod.ready_since().is_none());
    let first = unready.clone().next()?;
    let why = first.fault_of_node()?;
    let is_all = unready.all(|pod| pod.fault_of_node().is_some());
    is_all.then(|| format!("Pod {} is not ready, and not by the restart: {why}", first.metadata.name))
}

/// What becomes of a watch that has lasted too long, whatever happens meanwhile: Pods that are ready and not ready by turns, or that their
/// nodes lose again and again, are watched no longer than [`longest`] says.
fn decided(look: Look<'_>) -> Option<Watch> {
    let Look { record, pods, options, .. } = look;
    let time = longest(look)?;
    let present: Vec<&Pod> = pods.iter().filter(|pod| !pod.is_gone()).collect();
    let new: Vec<&Pod> = present.iter().copied().filter(|pod| pod.is_of(record.started_at)).collect();
    Some(match of_nodes(pods) {
        Some(why) => over(&new, Some(why)),
        None => Watch::RollBack(format!(
            "not all of its Pods were ready for {} s at a time within {time} s",
            options.steady.as_secs()
        )),
    })
}

/// For how many seconds it has been watched, if that is too long: four times as long as a Pod may take since a Pod was last made or was last
/// to end, or since the beginning as if its Pods ended, found nodes and became ready one after another, and three more.
fn longest(look: Look<'_>) -> Option<u64> {
    let Look { kind, workload, record, pods, options, now } = look;
    let patience = patience(workload, options);
    let made = pods.iter().flat_map(|pod| [pod.created(), pod.ends()]).flatten().fold(record.since, Timestamp::max);
    let one_by_one = u32::try_from(workload.counts(kind).wanted.saturating_add(3)).unwrap_or(u32::MAX);
    let each = patience.saturating_mul(2).saturating_add(std::time::Duration::from_secs(workload.drain_seconds()));
    let ends = after(made, patience.saturating_mul(4)).min(after(record.since, each.saturating_mul(one_by_one.max(4))));
    let so_far = now.duration_since(record.since).as_secs();
    (after(ends, options.steady) <= now).then(|| so_far.try_into().unwrap_or_default())
}

/// How long a Pod may take, and after it the next.
fn patience(workload: &Workload, options: &Options) -> std::time::Duration {
    options.grace.saturating_add(std::time::Duration::from_secs(workload.min_ready_seconds()))
}

fn rolling_back(look: Look<'_>) -> Watch {
    let Look { kind, workload, record, pods, options, now } = look;
    let why = record.reason.as_deref().unwrap_or("its Pods failed");
    if !workload.is_excluded() {
        // Nobody is fought with: it would never end.
        let undone = "its rollback was undone by whoever manages its template, which has to be excluded there";
        return Watch::End(Phase::RolledBack, Some(format!("{why}; and {undone} (obtrace.io/exclude: \"true\")")));
    }
    let steady =
        |pod: &Pod| pod.is_gone() || pod.ready_since().is_some_and(|since| after(since, options.steady) <= now);
    if workload.is_settled(kind) && after(record.since, options.steady) <= now && pods.iter().all(steady) {
        return Watch::End(Phase::RolledBack, record.reason.clone());
    }
    // A StatefulSet waits for a Pod that never becomes ready, whatever its template is now:
    // https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    let broken = |pod: &&Pod| !pod.is_gone() && pod.is_of(record.started_at) && pod.ready_since().is_none();
    let broken: Vec<_> =
        pods.iter().filter(broken).map(|pod| (pod.metadata.name.clone(), pod.metadata.uid.clone())).collect();
    if kind == Kind::StatefulSet && workload.is_observed() && !broken.is_empty() {
        return Watch::Delete(broken);
    }
    let newest = newest(pods).unwrap_or(record.since).max(record.since);
    if after(newest, options.grace) > now && longest(look).is_none() {
        return Watch::Wait;
    }
    Watch::End(Phase::RolledBack, Some(format!("{why}; and not all of its Pods are available since")))
}

/// Which of the new Pods are not as they should be.
fn but(pods: &[&Pod], record: &Record) -> Option<String> {
    // They have drifted.
    let bare = pods.iter().filter(|pod| !pod.is_instrumented()).count();
    if bare > 0 {
        return Some(format!("{bare} of its new Pods were made while no webhook answered"));
    }
    let now = record.configuration();
    let outdated = pods.iter().filter(|pod| pod.is_outdated(now)).count();
    (outdated > 0).then(|| format!("{outdated} of its new Pods are of another configuration all the same"))
}

/// A Pod that runs and ends again and again.
fn crash(pod: &Pod) -> Option<String> {
    let trouble = pod.trouble().filter(|trouble| trouble.crashes)?;
    Some(format!("Pod {} does not stay up: {}", pod.metadata.name, trouble.told))
}

/// A new Pod that is not ready in time.
fn late(new: &[&Pod], options: &Options, now: Timestamp) -> Option<String> {
    let late = new
        .iter()
        .filter(|pod| pod.is_scheduled() && pod.fault_of_node().is_none())
        .find(|pod| pod.unready_since().is_some_and(|since| after(since, options.grace) <= now))?;
    let trouble = late.trouble().map_or_else(String::new, |trouble| format!(": {}", trouble.told));
    Some(format!("Pod {} is not ready after {} s{trouble}", late.metadata.name, options.grace.as_secs()))
}

/// A rollout in which nothing happens any more.
fn stuck(workload: &Workload, record: &Record, pods: &[Pod], options: &Options, now: Timestamp) -> Option<String> {
    let newest = newest(pods).unwrap_or(record.since).max(record.since);
    let patience = patience(workload, options);
    (after(newest, patience) <= now).then(|| format!("no Pod was made or became ready for {} s", patience.as_secs()))
}

/// When something last happened to the Pods; one that is being deleted has until its time is over.
fn newest(pods: &[Pod]) -> Option<Timestamp> {
    pods.iter().flat_map(|pod| [pod.created(), pod.ready_since(), pod.ends()]).flatten().max()
}

#[cfg(test)]
mod tests;
