use obtrace_detect::{Confidence, Strategy};
use serde_json::json;

use super::*;
use crate::{
    crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
    index::{SYSTEM_NAMESPACE, World},
};

const RESOURCE: &str = "obtrace-system/default";

/// An index of one resource, made then and never edited.
fn index(made: i64) -> Index {
    let mut resource =
        ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::new("https://ingest.example.com"));
    resource.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
    resource.metadata.generation = Some(1);
    resource.metadata.creation_timestamp = Some(Time(Timestamp::from_second(made).unwrap()));
    let mut world = World::new();
    world.resources.push(resource);
    Index::new(world)
}

fn finding(strategy: Option<Strategy>) -> Box<Finding> {
    Box::new(Finding {
        resource: Some(RESOURCE.into()),
        rival: None,
        language: Language::Python,
        framework: None,
        confidence: Confidence::SOLID,
        strategy,
        configuration: None,
        reason: None,
    })
}

/// A DaemonSet when it was made, whether its Pods are instrumented, and when each of them was made, with whether it is.
type Workload<'a> = (&'a str, i64, bool, &'a [(i64, bool)]);

/// A leader after one that led until then and wrote this status, once it has listed these.
fn leader(
    index: &Index,
    led_until: i64,
    previous: Option<&ObtraceInstrumentationStatus>,
    all: &[Workload<'_>],
    now: i64,
) -> ObtraceInstrumentationStatus {
    let options = Options { led_until: Arc::new(led_until.into()), ..Options::default() };
    let mut leader = Discovered::new(&options, Arc::default(), Instant::now());
    leader.resources(index, |_| previous, now);
    leader.take(Seen::BeginPods, now);
    for (name, _, _, pods) in all {
        for (number, (created, marked)) in pods.iter().enumerate() {
            let at = Timestamp::from_second(*created).unwrap().to_string();
            let pod = json!({ "name": format!("{name}-{number}"), "namespace": "shop", "creationTimestamp": at,
                "labels": { "obtrace.io/instrumented": marked.to_string() },
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "DaemonSet", "name": name, "uid": "1", "controller": true }] });
            leader.take(Seen::Pod(serde_json::from_value(pod).unwrap()), now);
        }
    }
    leader.take(Seen::EndPods, now);
    for kind in Kind::ALL {
        leader.take(Seen::Begin(kind), now);
        for (name, made, is_instrumented, _) in all.iter().filter(|_| kind == Kind::DaemonSet) {
            let finding = finding(is_instrumented.then_some(Strategy::Sdk));
            leader.take(Seen::Workload(kind, "shop".to_owned(), (*name).to_owned(), *made, finding), now);
        }
        leader.take(Seen::End(kind), now);
    }
    assert!(leader.is_whole());
    let [(_, status)] = <[_; 1]>::try_from(leader.compose(index, None, |_| previous).statuses).unwrap();
    status
}

/// Those of which Pods were made while no webhook answered, as the status says.
fn drifted(status: &ObtraceInstrumentationStatus) -> Vec<&str> {
    let is_drifted = |reason: &Option<String>| reason.as_deref().is_some_and(|it| it.contains("no webhook answered"));
    status.workloads.iter().filter(|it| is_drifted(&it.reason)).map(|it| &*it.name).collect()
}

#[test]
fn what_came_to_be_instrumented_while_nobody_led_has_not_drifted() {
    let now = super::super::now();
    let ago = |seconds: i64| now - seconds;
    let index = index(ago(10_000));
    let (old, turned) = ((ago(9000), true), (ago(8000), false));
    let first = leader(
        &index,
        0,
        None,
        &[("old", ago(9000), true, &[old]), ("turned", ago(9000), false, &[turned])],
        ago(7000),
    );
    assert_eq!(drifted(&first), [""; 0]);
    assert_eq!(first.in_use_since.as_ref().map(|time| time.0.as_second()), Some(ago(10_000)));
    // Nobody leads and no webhook answers: a label of a namespace changes, Pods are made, a workload is.
    let all: [Workload<'_>; 3] = [
        ("old", ago(9000), true, &[old, (ago(400), false)]),
        ("turned", ago(9000), true, &[turned]),
        ("new", ago(300), true, &[(ago(299), false)]),
    ];
    let second = leader(&index, ago(500), Some(&first), &all, now);
    assert_eq!(drifted(&second), ["new", "old"]);
    assert_eq!(second.totals.pending, 3);
    // The leader after that hears of the guess.
    let third = leader(&index, now, Some(&second), &all, now + 100);
    assert_eq!(drifted(&third), [""; 0]);
    assert_eq!(third.totals.pending, 3);
}

#[test]
fn an_instrumented_pod_tells_since_when_although_no_status_does() {
    let now = super::super::now();
    let ago = |seconds: i64| now - seconds;
    let index = index(ago(10_000));
    // More than it could list.
    let before = leader(&index, 0, None, &[], ago(7000));
    let all: [Workload<'_>; 1] =
        [("web", ago(9000), true, &[(ago(9000), false), (ago(8000), true), (ago(400), false)])];
    let status = leader(&index, ago(500), Some(&before), &all, now);
    assert_eq!(drifted(&status), ["web"]);
    assert!(status.workloads[0].reason.as_deref().unwrap().starts_with("1 of 3 Pods"), "{:?}", status.workloads);
    // The leader after that has no instrumented Pod to go by.
    assert_eq!(status.in_use_since.map(|time| time.0.as_second()), Some(ago(8000)));
}
