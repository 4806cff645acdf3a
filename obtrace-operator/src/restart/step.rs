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
    match record.phase {
        Phase::RollingBack => rolling_back(kind, workload, record, pods, options, now),
        _ => restarting(kind, workload, record, pods, options, now),
    }
}

fn restarting(
    kind: Kind,
    workload: &Workload,
    record: &Record,
    pods: &[Pod],
    options: &Options,
    now: Timestamp,
) -> Watch {
    let began = record.started_at.to_string();
    if workload.of_template(RESTARTED_AT) != Some(began.as_str()) {
        return Watch::End(Phase::Superseded, Some("it was restarted by somebody else meanwhile".to_owned()));
    }
    let new: Vec<&Pod> = pods.iter().filter(|pod| !pod.is_gone() && pod.is_of(record.started_at)).collect();
    if let Some(why) = new.iter().find_map(|pod| crash(pod)) {
        return Watch::RollBack(why);
    }
    // Until its controller has looked at it, nothing that is seen is about the new template.
    if !workload.is_observed() {
        return Watch::Wait;
    }
    if workload.is_settled(kind) {
        let steady = |pod: &&Pod| pod.ready_since().is_some_and(|since| after(since, options.steady) <= now);
        let present = || pods.iter().filter(|pod| !pod.is_gone());
        return match present().all(|pod| steady(&pod)) {
            false => late(&new, workload, options, now).map_or(Watch::Wait, Watch::RollBack),
            true if present().any(Pod::is_instrumented) || present().next().is_none() => {
                Watch::End(Phase::Restarted, but(&present().collect::<Vec<_>>(), record))
            }
            true => Watch::End(Phase::Unchanged, Some("its new Pods are not instrumented either".to_owned())),
        };
    }
    let why = late(&new, workload, options, now).or_else(|| stuck(workload, record, pods, options, now));
    why.map_or(Watch::Wait, Watch::RollBack)
}

fn rolling_back(
    kind: Kind,
    workload: &Workload,
    record: &Record,
    pods: &[Pod],
    options: &Options,
    now: Timestamp,
) -> Watch {
    if workload.is_settled(kind) {
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
    if after(newest, options.grace) > now {
        return Watch::Wait;
    }
    let why = record.reason.as_deref().unwrap_or("its Pods failed");
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
fn late(new: &[&Pod], workload: &Workload, options: &Options, now: Timestamp) -> Option<String> {
    if workload.has_stalled() {
        return Some("its progressDeadlineSeconds are over".to_owned());
    }
    let late = new
        .iter()
        .filter(|pod| pod.is_scheduled())
        .find(|pod| pod.unready_since().is_some_and(|since| after(since, options.grace) <= now))?;
    let trouble = late.trouble().map_or_else(String::new, |trouble| format!(": {}", trouble.told));
    Some(format!("Pod {} is not ready after {} s{trouble}", late.metadata.name, options.grace.as_secs()))
}

/// A rollout in which nothing happens any more.
fn stuck(workload: &Workload, record: &Record, pods: &[Pod], options: &Options, now: Timestamp) -> Option<String> {
    let newest = newest(pods).unwrap_or(record.since).max(record.since);
    let patience = options.grace.saturating_add(std::time::Duration::from_secs(workload.min_ready_seconds()));
    (after(newest, patience) <= now).then(|| format!("no Pod was made or became ready for {} s", patience.as_secs()))
}

/// When something last happened to the Pods; one that is being deleted has until its time is over.
fn newest(pods: &[Pod]) -> Option<Timestamp> {
    pods.iter().flat_map(|pod| [pod.created(), pod.ready_since(), pod.ends()]).flatten().max()
}

fn after(time: Timestamp, duration: std::time::Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use obtrace_patch::marks;
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T01:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn asked(drifted: bool) -> Asked {
        Asked { resource: "a/b".to_owned(), uid: "r".to_owned(), generation: 3, drifted, configuration: None }
    }

    /// A Deployment of eight healthy Pods that are not instrumented.
    fn healthy() -> Value {
        json!({
            "metadata": { "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 1 },
            "spec": { "replicas": 8, "selector": { "matchLabels": { "app": "web" } },
                "template": { "metadata": { "labels": { "app": "web" } } },
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": "25%" } } },
            "status": { "observedGeneration": 1, "replicas": 8, "updatedReplicas": 8, "availableReplicas": 8 } })
    }

    fn pod(annotations: Value, status: Value) -> Pod {
        let metadata = json!({ "name": "web-1", "uid": "1", "annotations": annotations, "creationTimestamp": "2026-01-01T00:59:00Z" });
        serde_json::from_value(json!({ "metadata": metadata, "status": status })).unwrap()
    }

    fn budget(allows: i64, generation: i64) -> Budget {
        serde_json::from_value(json!({ "metadata": { "name": "most", "generation": generation },
            "spec": { "selector": { "matchLabels": { "app": "web" } } },
            "status": { "observedGeneration": 1, "disruptionsAllowed": allows } }))
        .unwrap()
    }

    fn ask(workload: &Value, budgets: &[Budget], drifted: bool) -> Begin {
        let workload = serde_json::from_value(workload.clone()).unwrap();
        let pods = [pod(json!({}), json!({ "phase": "Running" }))];
        begin(Kind::Deployment, &workload, &asked(drifted), (budgets, &pods), &Options::default(), now())
    }

    #[test]
    fn what_is_not_fit_waits_and_says_why() {
        let with = |path: &str, value: Value| {
            let mut workload = healthy();
            *workload.pointer_mut(path).unwrap() = value;
            workload
        };
        let mut paused = healthy();
        paused["spec"]["paused"] = json!(true);
        for (workload, budgets, word) in [
            (paused, vec![], "paused"),
            (with("/metadata/generation", json!(2)), vec![], "being rolled out"),
            (with("/status/updatedReplicas", json!(7)), vec![], "8 Pods 7 are of its template"),
            (with("/status/availableReplicas", json!(7)), vec![], "7 available"),
            (healthy(), vec![budget(8, 1), budget(0, 1)], "most allows no disruption now"),
            (healthy(), vec![budget(8, 2)], "most allows no disruption now"),
            (healthy(), vec![budget(1, 1)], "takes away 2 Pods at once, and its PodDisruptionBudget most allows 1"),
            (with("/spec/strategy", json!({ "type": "Recreate" })), vec![budget(7, 1)], "takes away 8 Pods"),
        ] {
            let found = ask(&workload, &budgets, false);
            assert!(matches!(&found, Begin::Wait(why) if why.contains(word)), "{word}: {found:?}");
        }
        assert!(matches!(ask(&healthy(), &[budget(2, 1)], false), Begin::Start(_)));
    }

    #[test]
    fn what_is_not_meant_to_be_restarted_is_left() {
        let mut excluded = healthy();
        excluded["spec"]["template"]["metadata"]["annotations"] = json!({ marks::EXCLUDE: "true" });
        let (mut on_delete, mut part) = (healthy(), healthy());
        on_delete["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
        part["spec"]["updateStrategy"] = json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 2 } });
        for (workload, word) in [(excluded, "excluded"), (on_delete, "OnDelete"), (part, "partition")] {
            let found = ask(&workload, &[], true);
            assert!(matches!(&found, Begin::Leave(why) if why.contains(word)), "{word}: {found:?}");
        }
    }

    #[test]
    fn a_generation_has_one_restart_and_another_only_for_drift_after_one_that_helped() {
        let workload = |phase: &str, generation: i64, since: &str| {
            let mut workload = healthy();
            let record = json!({ "phase": phase, "resource": "a/b", "uid": "r", "generation": generation,
                "startedAt": since, "since": since, "template": "0" });
            workload["metadata"]["annotations"] = json!({ "obtrace.io/restart": record.to_string() });
            workload
        };
        let (long_ago, lately) = ("2025-12-31T00:00:00Z", "2026-01-01T00:30:00Z");
        for (phase, generation, since, drifted, starts) in [
            ("restarted", 3, long_ago, true, true),
            ("restarted", 3, lately, true, false),
            ("restarted", 3, long_ago, false, false),
            ("unchanged", 3, long_ago, true, false),
            ("rolled-back", 3, long_ago, true, false),
            ("superseded", 3, long_ago, true, false),
            ("unchanged", 2, lately, false, true),
            ("unchanged", 2, NOW, false, false),
        ] {
            let found = ask(&workload(phase, generation, since), &[], drifted);
            let right = if starts { matches!(found, Begin::Start(_)) } else { matches!(found, Begin::Leave(_)) };
            assert!(right, "{phase} {generation} {since} {drifted}: {found:?}");
        }
        assert_eq!(ask(&workload("restarting", 1, lately), &[], false), Begin::Adopt);
        let unknown = ask(&workload("of-a-later-version", 1, long_ago), &[], true);
        assert!(matches!(&unknown, Begin::Leave(why) if why.contains("cannot be read")), "{unknown:?}");
    }

    #[test]
    fn each_restart_has_a_longer_pause_before_it() {
        let since = |since: &str, attempts: u32| {
            let mut workload = healthy();
            let record = json!({ "phase": "restarted", "resource": "a/b", "uid": "r", "generation": 3, "attempts": attempts,
                "startedAt": since, "since": since, "template": "0" });
            workload["metadata"]["annotations"] = json!({ "obtrace.io/restart": record.to_string() });
            match ask(&workload, &[], true) {
                Begin::Start(record) => Some(record.attempts),
                _ => None,
            }
        };
        assert_eq!(since("2025-12-31T23:59:00Z", 1), Some(2));
        assert_eq!(since("2025-12-31T23:59:00Z", 2), None);
        assert_eq!(since("2025-12-31T22:59:00Z", 2), Some(3));
        assert_eq!(since("2025-12-31T12:00:00Z", 5), None);
        // After long enough it is as the first time.
        assert_eq!(since("2025-12-20T12:00:00Z", 5), Some(1));
    }

    #[test]
    fn an_image_that_cannot_be_pulled_has_the_grace_time_and_a_crash_loop_none() {
        let waiting = |reason: &str| {
            json!({ "phase": "Pending", "initContainerStatuses": [
            { "name": "obtrace", "restartCount": 0, "state": { "waiting": { "reason": reason } } }] })
        };
        let mut workload = healthy();
        workload["spec"]["template"]["metadata"]["annotations"] = json!({ RESTARTED_AT: "2026-01-01T00:58:00Z" });
        workload["status"]["updatedReplicas"] = json!(1);
        let workload: Workload = serde_json::from_value(workload).unwrap();
        let Begin::Start(record) = ask(&healthy(), &[], false) else { panic!("it is not restarted") };
        let record = Record { started_at: "2026-01-01T00:58:00Z".parse().unwrap(), ..record };
        let ask = |reason: &str, grace: u64| {
            let options = Options { grace: std::time::Duration::from_secs(grace), ..Options::default() };
            let pods = [pod(json!({ RESTARTED_AT: "2026-01-01T00:58:00Z" }), waiting(reason))];
            watch(Kind::Deployment, &workload, &record, &pods, &options, now())
        };
        assert_eq!(ask("ImagePullBackOff", 300), Watch::Wait);
        assert_eq!(
            ask("ImagePullBackOff", 60),
            Watch::RollBack("Pod web-1 is not ready after 60 s: container obtrace: ImagePullBackOff".to_owned())
        );
        assert!(matches!(ask("CrashLoopBackOff", 300), Watch::RollBack(_)));
    }
}
