use obtrace_detect::{Confidence, Language, Strategy};
use serde_json::json;

use super::*;

fn finding(strategy: Option<Strategy>) -> Finding {
    Finding {
        resource: Some("a/b".into()),
        rival: None,
        language: Language::Python,
        framework: None,
        confidence: Confidence::SOLID,
        strategy,
        configuration: None,
        reason: None,
    }
}

fn pod(name: &str, created: i64, marked: bool, owner: &str, kind: &str) -> ObjectMeta {
    let at = k8s_openapi::jiff::Timestamp::from_second(created).unwrap().to_string();
    let version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    serde_json::from_value(json!({ "name": name, "namespace": "shop", "creationTimestamp": at,
        "labels": { "obtrace.io/instrumented": marked.to_string(), "pod-template-hash": "h" },
        "ownerReferences": [{ "apiVersion": version, "kind": kind, "name": owner, "uid": "1", "controller": true }] }))
    .unwrap()
}

fn pods(store: &Store, name: &str) -> Pods {
    store.workloads().find(|(key, ..)| &*key.name == name).map(|(.., pods)| pods).unwrap()
}

const WEB: (Kind, &str, &str) = (Kind::Deployment, "shop", "web");

#[test]
fn pods_are_counted_to_workloads_whichever_comes_first() {
    let mut store = Store::new(10, 10);
    store.pod(&pod("web-h-1", 10, true, "web-h", "ReplicaSet"), 1);
    assert_eq!(store.workload(WEB, finding(Some(Strategy::Sdk)), 1, Since::At(100), 100), News::Some);
    assert_eq!(store.workload(WEB, finding(Some(Strategy::Sdk)), 1, Since::At(100), 100), News::None);
    store.pod(&pod("web-h-2", 90, false, "web-h", "ReplicaSet"), 1);
    store.pod(&pod("web-h-3", 110, false, "web-h", "ReplicaSet"), 1);
    assert_eq!(pods(&store, "web"), Pods { all: 3, bare: 2, drifted: 1, outdated: 0 });
    store.pod(&pod("web-h-2", 90, true, "web-h", "ReplicaSet"), 1);
    store.remove_pod(&pod("web-h-3", 110, false, "web-h", "ReplicaSet"));
    assert_eq!(pods(&store, "web"), Pods { all: 2, bare: 0, drifted: 0, outdated: 0 });
    store.workload(WEB, finding(None), 1, Since::At(100), 200);
    assert_eq!(pods(&store, "web"), Pods::default(), "nobody asks after the Pods of what is left alone");
}

#[test]
fn pods_older_than_the_change_have_not_drifted() {
    let mut store = Store::new(10, 10);
    store.workload(WEB, finding(None), 1, Since::At(0), 50);
    store.pod(&pod("web-h-1", 60, false, "web-h", "ReplicaSet"), 1);
    assert_eq!(store.workload(WEB, finding(Some(Strategy::Sdk)), 1, Since::At(0), 100), News::Turned);
    assert_eq!(pods(&store, "web"), Pods { all: 1, bare: 1, drifted: 0, outdated: 0 });
    store.pod(&pod("web-h-2", 106, false, "web-h", "ReplicaSet"), 1);
    assert_eq!(pods(&store, "web"), Pods { all: 2, bare: 2, drifted: 1, outdated: 0 });
}

#[test]
fn where_nobody_knows_the_first_instrumented_pod_tells_since_when() {
    let mut store = Store::new(10, 10);
    let sdk = || finding(Some(Strategy::Sdk));
    let unsure = Since::NotBefore(10);
    for name in ["a", "b", "c"] {
        assert_eq!(store.workload((Kind::DaemonSet, "shop", name), sdk(), 1, unsure, 100), News::Some);
    }
    // Instrumented since 50 at the latest: what is younger and is not has drifted.
    store.pod(&pod("a-1", 40, false, "a", "DaemonSet"), 1);
    store.pod(&pod("a-2", 50, true, "a", "DaemonSet"), 1);
    store.pod(&pod("a-3", 60, false, "a", "DaemonSet"), 1);
    // None is: they may be older than the instrumentation.
    store.pod(&pod("b-1", 60, false, "b", "DaemonSet"), 1);
    store.pod(&pod("c-1", 12, false, "c", "DaemonSet"), 1);
    assert_eq!(store.learn(), HashMap::from([("a/b".into(), 100)]));
    assert_eq!(pods(&store, "a"), Pods { all: 3, bare: 2, drifted: 1, outdated: 0 });
    assert_eq!((pods(&store, "b").drifted, pods(&store, "c").drifted), (0, 0));
    assert_eq!(store.learn(), HashMap::new());
    store.pod(&pod("b-2", 110, false, "b", "DaemonSet"), 1);
    assert_eq!(pods(&store, "b"), Pods { all: 2, bare: 2, drifted: 1, outdated: 0 });
    // Whose Pods have not drifted by any guess leaves none to be made.
    let mut store = Store::new(10, 10);
    store.workload((Kind::DaemonSet, "shop", "c"), sdk(), 1, unsure, 100);
    store.pod(&pod("c-1", 12, false, "c", "DaemonSet"), 1);
    assert_eq!(store.learn(), HashMap::new());
}

#[test]
fn pods_of_a_job_are_those_of_its_cron_job() {
    let mut store = Store::new(10, 10);
    store.workload((Kind::CronJob, "shop", "nightly"), finding(Some(Strategy::Sdk)), 1, Since::At(0), 0);
    store.pod(&pod("nightly-1-x", 10, false, "nightly-1", "Job"), 1);
    assert_eq!(pods(&store, "nightly").all, 0);
    store.job("shop", "nightly-1", "nightly", 1);
    assert_eq!(pods(&store, "nightly").all, 1);
}

#[test]
fn what_a_list_does_not_tell_of_is_gone() {
    let mut store = Store::new(10, 10);
    store.workload(WEB, finding(None), 1, Since::At(0), 0);
    store.workload((Kind::DaemonSet, "shop", "node"), finding(None), 1, Since::At(0), 0);
    store.pod(&pod("a", 1, true, "web-h", "ReplicaSet"), 1);
    store.keep_seen(Kind::Deployment, 2);
    store.keep_seen_pods(2);
    assert_eq!(store.size(), (1, 0));
    assert_eq!(store.namespaces.len(), 1);
    store.remove(Kind::DaemonSet, "shop", "node");
    store.keep_seen(Kind::Job, 2);
    assert_eq!((store.size(), store.keys.len(), store.namespaces.len()), ((0, 0), 0, 0));
}

#[test]
fn a_name_is_kept_once_and_no_longer_than_it_is_used() {
    let mut store = Store::new(10, 10);
    let all = [pod("web-h-1", 10, true, "web-h", "ReplicaSet"), pod("nightly-1-x", 10, false, "nightly-1", "Job")];
    all.iter().for_each(|pod| assert!(store.pod(pod, 1)));
    store.workload(WEB, finding(Some(Strategy::Sdk)), 1, Since::At(0), 0);
    store.job("shop", "nightly-1", "nightly", 1);
    assert_eq!(store.keys.len(), 3);
    assert!(store.remove(WEB.0, WEB.1, WEB.2));
    assert_eq!(store.keys.len(), 3, "its Pod is there");
    all.iter().for_each(|pod| assert!(store.remove_pod(pod)));
    assert_eq!(store.keys.len(), 2);
    store.remove(Kind::Job, "shop", "nightly-1");
    assert!(!store.remove(Kind::Job, "shop", "other"));
    assert_eq!(store.keys.len(), 0);
}

#[test]
fn what_does_not_fit_is_counted() {
    let mut store = Store::new(1, 1);
    store.workload(WEB, finding(None), 1, Since::At(0), 0);
    store.workload((Kind::Deployment, "shop", "other"), finding(None), 1, Since::At(0), 0);
    store.pod(&pod("a", 1, true, "web-h", "ReplicaSet"), 1);
    store.pod(&pod("b", 1, true, "web-h", "ReplicaSet"), 1);
    assert_eq!((store.size(), store.left_out), ((1, 1), 2));
}

#[test]
fn pods_of_another_configuration_are_outdated_and_those_that_do_not_say_it_are_not() {
    let by = |configuration: Option<&str>| Finding {
        configuration: configuration.map(|text| text.parse().unwrap()),
        ..finding(Some(Strategy::Sdk))
    };
    let of = |name: &str, marked: bool, configuration: &str| {
        let annotations = [(marks::CONFIGURATION.to_owned(), configuration.to_owned())];
        ObjectMeta { annotations: Some(annotations.into()), ..pod(name, 90, marked, "web-h", "ReplicaSet") }
    };
    let mut store = Store::new(10, 10);
    store.workload(WEB, by(Some("v1-00000001-00000001")), 1, Since::At(0), 0);
    store.pod(&pod("of-an-older-version", 90, true, "web-h", "ReplicaSet"), 1);
    store.pod(&of("strange", true, "of a version to come"), 1);
    store.pod(&of("bare", false, "v1-00000001-00000001"), 1);
    store.pod(&of("new", true, "v1-00000001-00000001"), 1);
    assert_eq!(pods(&store, "web"), Pods { all: 4, bare: 1, drifted: 1, outdated: 0 });
    // The same words after an upgrade, then other words.
    assert_eq!(store.workload(WEB, by(Some("v1-00000001-00000002")), 1, Since::At(0), 0), News::Configured);
    assert_eq!(pods(&store, "web").outdated, 0);
    assert_eq!(store.workload(WEB, by(Some("v1-00000002-00000003")), 1, Since::At(0), 0), News::Configured);
    assert_eq!(pods(&store, "web").outdated, 1);
    assert!(store.pod(&of("new", true, "v1-00000002-00000003"), 1), "its annotation is another");
    assert_eq!(pods(&store, "web").outdated, 0);
    assert_eq!(store.workload(WEB, by(None), 1, Since::At(0), 0), News::Configured);
    assert_eq!(pods(&store, "web").outdated, 0);
    // A mark a Pod.
    assert!(size_of::<Pod>() <= 40, "{}", size_of::<Pod>());
}
