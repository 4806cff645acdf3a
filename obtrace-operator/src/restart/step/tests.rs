use obtrace_patch::marks;
use serde_json::{Value, json};

use super::{
    super::watching::{Watch, watch},
    *,
};

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
    let metadata =
        json!({ "name": "web-1", "uid": "1", "annotations": annotations, "creationTimestamp": "2026-01-01T00:59:00Z" });
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
