use serde_json::{Value, json};

use super::*;
use crate::restart::record::Before;

const BEGAN: &str = "2026-01-01T00:00:00Z";

fn at(seconds: i64) -> Timestamp {
    let began: Timestamp = BEGAN.parse().unwrap();
    Timestamp::from_second(began.as_second() + seconds).unwrap()
}

/// A Deployment of three Pods that is being restarted; so many are available.
fn workload(available: i64) -> Value {
    json!({
        "metadata": { "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 2 },
        "spec": { "replicas": 3, "template": { "metadata": { "annotations": { RESTARTED_AT: BEGAN } } } },
        "status": { "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": available } })
}

fn record(workload: &Value, phase: Phase) -> Record {
    let workload: Workload = serde_json::from_value(workload.clone()).unwrap();
    Record {
        phase,
        resource: "a/b".to_owned(),
        uid: "r".to_owned(),
        generation: 1,
        attempts: 1,
        started_at: at(0),
        since: at(0),
        configuration: None,
        template: workload.template_digest(),
        before: Before::default(),
        reason: Some("Pod web-1 does not stay up".to_owned()),
    }
}

fn pod(name: &str, status: Value) -> Value {
    json!({ "metadata": { "name": name, "uid": name, "annotations": { RESTARTED_AT: BEGAN }, "creationTimestamp": BEGAN,
        "labels": { "obtrace.io/instrumented": "true" } }, "status": status })
}

fn ready(name: &str, since: i64) -> Value {
    pod(
        name,
        json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": at(since).to_string() }] }),
    )
}

/// One that is not ready, with what else is said of it.
fn unready(reason: &str, more: &[(&str, &str)], containers: Value) -> Value {
    let mut conditions =
        vec![json!({ "type": "Ready", "status": "False", "reason": reason, "lastTransitionTime": BEGAN })];
    conditions.extend(more.iter().map(|(kind, status)| json!({ "type": kind, "status": status })));
    pod("web-3", json!({ "phase": "Running", "conditions": conditions, "containerStatuses": containers }))
}

fn ask(workload: &Value, phase: Phase, pods: &[Value], now: i64) -> Watch {
    let record = record(workload, phase);
    let workload = serde_json::from_value(workload.clone()).unwrap();
    let pods: Vec<Pod> = pods.iter().map(|pod| serde_json::from_value(pod.clone()).unwrap()).collect();
    watch(Kind::Deployment, &workload, &record, &pods, &Options::default(), at(now))
}

fn waiting(reason: &str) -> Value {
    json!([{ "name": "web", "state": { "waiting": { "reason": reason } } }])
}

#[test]
fn a_pod_whose_node_keeps_it_from_being_ready_takes_nothing_back() {
    let running = || json!([{ "name": "web", "ready": true, "state": { "running": {} } }]);
    let scheduled = ("PodScheduled", "True");
    let broken =
        |pod: Value, now: i64| ask(&workload(2), Phase::Restarting, &[ready("web-1", 5), ready("web-2", 10), pod], now);
    for (what, pod) in [
        ("lost", unready("", &[scheduled, ("ContainersReady", "True")], running())),
        ("drained", unready("ContainersNotReady", &[scheduled, ("DisruptionTarget", "True")], running())),
        ("no sandbox", unready("ContainersNotReady", &[scheduled], waiting("ContainerCreating"))),
        ("no kubelet", unready("ContainersNotReady", &[scheduled], json!([]))),
    ] {
        assert_eq!(broken(pod.clone(), 400), Watch::Wait, "{what}");
        // It is not waited for for ever, and what came of the others is told.
        let found = broken(pod, 1300);
        assert!(
            matches!(&found, Watch::End(Phase::Restarted, Some(why)) if why.contains("Pod web-3 is not ready, and not by the restart")),
            "{what}: {found:?}"
        );
    }
    for (what, pod) in [
        (
            "not ready by itself",
            unready(
                "ContainersNotReady",
                &[scheduled, ("ContainersReady", "False")],
                json!([{ "name": "web", "state": { "running": {} } }]),
            ),
        ),
        ("a gate", unready("ReadinessGatesNotReady", &[scheduled, ("ContainersReady", "True")], running())),
        ("no image", unready("ContainersNotReady", &[scheduled], waiting("ImagePullBackOff"))),
        ("no Secret", unready("ContainersNotReady", &[scheduled], waiting("CreateContainerConfigError"))),
    ] {
        assert_eq!(broken(pod.clone(), 299), Watch::Wait, "{what}");
        let found = broken(pod, 400);
        assert!(
            matches!(&found, Watch::RollBack(why) if why.contains("Pod web-3 is not ready after 300 s")),
            "{what}: {found:?}"
        );
    }
}

#[test]
fn an_old_pod_that_its_lost_node_holds_on_to_takes_nothing_back() {
    let mut old =
        unready("", &[("PodScheduled", "True"), ("ContainersReady", "True")], json!([{ "state": { "running": {} } }]));
    old["metadata"]["annotations"] = json!({});
    old["metadata"]["deletionTimestamp"] = json!(at(30).to_string());
    let mut waits = workload(2);
    waits["status"]["updatedReplicas"] = json!(2);
    let pods = [ready("web-1", 5), ready("web-2", 10), old.clone()];
    assert_eq!(ask(&waits, Phase::Restarting, &pods, 400), Watch::Wait);
    // One that does not end by itself is another matter.
    old["status"]["conditions"][0]["reason"] = json!("ContainersNotReady");
    let pods = [ready("web-1", 5), ready("web-2", 10), old];
    let found = ask(&waits, Phase::Restarting, &pods, 400);
    assert!(matches!(&found, Watch::RollBack(why) if why.contains("no Pod was made")), "{found:?}");
}

#[test]
fn pods_have_the_time_to_end_that_they_ask_for() {
    let mut slow = workload(0);
    slow["spec"]["replicas"] = json!(1);
    slow["spec"]["template"]["spec"] = json!({ "terminationGracePeriodSeconds": 3600 });
    slow["status"] = json!({ "observedGeneration": 2, "replicas": 0, "updatedReplicas": 0, "availableReplicas": 0 });
    let mut old = unready("ContainersNotReady", &[("PodScheduled", "True")], waiting("CrashLoopBackOff"));
    old["metadata"]["annotations"] = json!({});
    old["metadata"]["deletionTimestamp"] = json!(at(3600).to_string());
    assert_eq!(ask(&slow, Phase::Restarting, &[old.clone()], 3599), Watch::Wait);
    assert!(matches!(ask(&slow, Phase::Restarting, &[old], 3900), Watch::RollBack(_)));
}

#[test]
fn a_deadline_that_a_node_overruns_takes_nothing_back() {
    let mut stalled = workload(2);
    stalled["status"]["conditions"] =
        json!([{ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded" }]);
    let scheduled = [("PodScheduled", "True")];
    let with = |pod: Value| ask(&stalled, Phase::Restarting, &[ready("web-1", 5), ready("web-2", 10), pod], 200);
    assert_eq!(with(unready("ContainersNotReady", &scheduled, waiting("ContainerCreating"))), Watch::Wait);
    let found = with(unready("ContainersNotReady", &scheduled, waiting("ImagePullBackOff")));
    assert!(matches!(&found, Watch::RollBack(why) if why.contains("progressDeadlineSeconds")), "{found:?}");
}

#[test]
fn an_init_container_of_ours_that_does_not_end_is_no_matter_of_the_node() {
    let mut pod = unready("ContainersNotReady", &[("PodScheduled", "True")], waiting("PodInitializing"));
    pod["status"]["initContainerStatuses"] = json!([{ "name": "obtrace-agent-init", "state": { "running": {} } }]);
    let found = ask(&workload(2), Phase::Restarting, &[pod], 400);
    assert!(matches!(found, Watch::RollBack(_)), "{found:?}");
}

#[test]
fn pods_that_are_ready_by_turns_are_not_watched_for_ever() {
    // One of them was always ready a moment ago only.
    let flapping = |now: i64| {
        ask(&workload(3), Phase::Restarting, &[ready("web-1", now - 3), ready("web-2", 10), ready("web-3", 20)], now)
    };
    assert_eq!(flapping(1000), Watch::Wait);
    let Watch::RollBack(why) = flapping(1300) else { panic!("it goes on") };
    assert_eq!(why, "not all of its Pods were ready for 30 s at a time within 1300 s");
    // A rollout that goes on has its time: a Pod was made a moment ago.
    let mut late = ready("web-3", 1290);
    late["metadata"]["creationTimestamp"] = json!(at(1280).to_string());
    let pods = [ready("web-1", 5), ready("web-2", 10), late];
    assert_eq!(ask(&workload(3), Phase::Restarting, &pods, 1300), Watch::Wait);
    assert_eq!(ask(&workload(3), Phase::Restarting, &pods, 1320), Watch::End(Phase::Restarted, None));
    // But not for ever either.
    let again = |now: i64| {
        let mut new = ready("web-3", now - 3);
        new["metadata"]["creationTimestamp"] = json!(at(now - 5).to_string());
        ask(&workload(3), Phase::Restarting, &[ready("web-1", 5), ready("web-2", 10), new], now)
    };
    assert_eq!(again(3800), Watch::Wait);
    assert!(matches!(again(3811), Watch::RollBack(_)));
}

#[test]
fn a_rollback_is_over_when_its_pods_have_been_ready_for_a_while() {
    let mut excluded = workload(3);
    excluded["spec"]["template"]["metadata"]["annotations"] = json!({ "obtrace.io/exclude": "true" });
    let ask = |since: i64, now: i64| {
        let pods = [ready("web-1", 5), ready("web-2", 10), ready("web-3", since)];
        ask(&excluded, Phase::RollingBack, &pods, now)
    };
    assert_eq!(ask(20, 40), Watch::Wait);
    assert!(matches!(ask(20, 60), Watch::End(Phase::RolledBack, Some(why)) if why == "Pod web-1 does not stay up"));
    // Never so long.
    assert_eq!(
        ask(1297, 1300),
        Watch::End(
            Phase::RolledBack,
            Some("Pod web-1 does not stay up; and not all of its Pods are available since".to_owned())
        )
    );
}

#[test]
fn what_whoever_manages_the_template_takes_back_is_left_and_told() {
    let mut plain = workload(3);
    plain["spec"]["template"]["metadata"]["annotations"] = json!({});
    let found = ask(&plain, Phase::RollingBack, &[], 1);
    assert!(
        matches!(&found, Watch::End(Phase::RolledBack, Some(why)) if why.contains("undone by whoever manages")),
        "{found:?}"
    );
    let found = ask(&plain, Phase::Restarting, &[], 1);
    assert!(matches!(&found, Watch::End(Phase::Superseded, Some(why)) if why.contains("took it back")), "{found:?}");
    plain["spec"]["template"]["metadata"]["annotations"] = json!({ RESTARTED_AT: "2026-01-02T00:00:00Z" });
    let found = ask(&plain, Phase::Restarting, &[], 1);
    assert!(matches!(&found, Watch::End(Phase::Superseded, Some(why)) if why.contains("somebody else")), "{found:?}");
}
