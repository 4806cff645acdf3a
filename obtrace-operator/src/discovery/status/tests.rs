use std::sync::Arc;

use obtrace_detect::{Confidence, Framework, Language, Strategy};

use super::*;
use crate::{crd::ObtraceInstrumentationSpec, discovery::kind::Kind};

fn at(seconds: i64) -> Time {
    Time(k8s_openapi::jiff::Timestamp::from_second(seconds).unwrap())
}

fn resource(namespace: &str) -> ObtraceInstrumentation {
    let mut resource = ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::default());
    resource.metadata.namespace = Some(namespace.to_owned());
    resource.metadata.generation = Some(3);
    resource
}

fn finding(strategy: Option<Strategy>, reason: Option<&str>) -> Finding {
    Finding {
        resource: Some("obtrace-system/default".into()),
        rival: None,
        language: Language::Python,
        framework: Some(Framework::FastApi),
        confidence: Confidence::SOLID,
        strategy,
        configuration: None,
        reason: reason.map(Into::into),
    }
}

fn key(name: &str) -> Key {
    Key { namespace: Arc::from("shop"), kind: Kind::Deployment, name: name.into() }
}

fn rows<'a>(all: &'a [(Key, Finding, Pods)]) -> Vec<Row<'a>> {
    all.iter().map(|(key, finding, pods)| Row { state: State::of(finding, *pods), key, finding, pods: *pods }).collect()
}

fn condition<'a>(status: &'a ObtraceInstrumentationStatus, kind: &str) -> &'a Condition {
    status.conditions.iter().find(|it| it.type_ == kind).unwrap()
}

fn pods(all: u32, bare: u32, drifted: u32) -> Pods {
    Pods { all, bare, drifted, outdated: 0 }
}

/// What is said where nothing is restarted.
fn compose(
    resource: &ObtraceInstrumentation,
    rows: Vec<Row<'_>>,
    rivals: &[&str],
    previous: Option<&ObtraceInstrumentationStatus>,
    now: &Time,
) -> ObtraceInstrumentationStatus {
    super::compose(resource, rows, rivals, None, previous, now)
}

#[test]
fn states_follow_from_verdicts_and_pods() {
    let sdk = || finding(Some(Strategy::Sdk), None);
    let all = [
        (key("fine"), sdk(), pods(2, 0, 0)),
        (key("idle"), sdk(), pods(0, 0, 0)),
        (key("old"), sdk(), pods(3, 2, 0)),
        (key("missed"), sdk(), pods(3, 2, 1)),
        (key("last"), sdk(), Pods { outdated: 2, ..pods(3, 0, 0) }),
        (key("left"), finding(None, Some("nothing says what it runs")), pods(0, 0, 0)),
    ];
    let status = compose(&resource("shop"), rows(&all), &[], None, &at(100));
    let told: Vec<_> =
        status.workloads.iter().map(|it| (it.name.as_str(), it.state.as_str(), it.strategy.as_str())).collect();
    assert_eq!(
        told,
        [
            ("missed", "pending", "sdk"),
            ("old", "pending", "sdk"),
            ("last", "instrumented", "sdk"),
            ("left", "skipped", "none"),
            ("fine", "instrumented", "sdk"),
            ("idle", "instrumented", "sdk"),
        ]
    );
    assert!(status.workloads[0].reason.as_deref().unwrap().contains("1 of 3 Pods were made while no webhook answered"));
    assert!(status.workloads[1].reason.as_deref().unwrap().contains("2 of 3 Pods are older"));
    let outdated = "2 of 3 Pods were instrumented by an older configuration, restart it to have them follow";
    assert_eq!(status.workloads[2].reason.as_deref(), Some(outdated));
    let totals = status.totals;
    assert_eq!((totals.workloads, totals.instrumented, totals.pending, totals.skipped), (6, 3, 2, 1));
    assert_eq!((status.truncated, status.observed_generation), (false, Some(3)));
    assert_eq!(
        (condition(&status, "Ready").status.as_str(), condition(&status, "Drift").status.as_str()),
        ("True", "True")
    );
    assert!(condition(&status, "Drift").message.contains("1 Pods of 1 workloads"));
}

#[test]
fn the_same_world_makes_the_same_status_later() {
    let all =
        [(key("a"), finding(Some(Strategy::Sdk), None), pods(1, 1, 1)), (key("b"), finding(None, None), pods(0, 0, 0))];
    let first = compose(&resource("shop"), rows(&all), &["shop/other"], None, &at(100));
    let mut reversed = rows(&all);
    reversed.reverse();
    let second = compose(&resource("shop"), reversed, &["shop/other"], Some(&first), &at(900));
    assert_eq!(first, second);
    let stored: ObtraceInstrumentationStatus = serde_json::from_value(serde_json::to_value(&first).unwrap()).unwrap();
    assert_eq!(stored, first, "what is read back equals what was written");
    let third = compose(&resource("shop"), rows(&all), &[], Some(&first), &at(900));
    assert_eq!(condition(&third, "Conflict").last_transition_time, at(900));
    assert_eq!(condition(&third, "Ready").last_transition_time, at(100));
}

#[test]
fn conditions_tell_what_somebody_has_to_know() {
    let mut selecting = resource("shop");
    selecting.spec.namespace_selector = Some(Default::default());
    let status = compose(&selecting, Vec::new(), &["shop/other"], None, &at(1));
    assert_eq!(condition(&status, "NamespaceSelectorIgnored").status, "True");
    assert_eq!(condition(&status, "Ready").reason, "NoWorkloads");
    assert!(condition(&status, "Conflict").message.starts_with("shop/other and this"));
    selecting.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
    let status = compose(&selecting, Vec::new(), &[], None, &at(1));
    assert!(status.conditions.iter().all(|it| it.type_ != "NamespaceSelectorIgnored"));
    assert_eq!(
        condition(&compose(&resource("kube-system"), Vec::new(), &[], None, &at(1)), "Ready").reason,
        "NamespaceReserved"
    );
    let about = Unusable::new(resource("shop").metadata, "spec: strategy: magic");
    let status = unusable(&about, None, &at(1));
    assert_eq!((status.conditions.len(), condition(&status, "Ready").status.as_str()), (1, "False"));
    assert!(condition(&status, "Ready").message.contains("magic"));
}

/// As long as Kubernetes lets names be, and reasons as long as they are kept.
#[test]
fn a_hundred_thousand_workloads_fit() {
    let reason = "r".repeat(256);
    let all: Vec<_> = (0..100_000)
        .map(|number| {
            let name = format!("{number:0>253}");
            let key = Key { namespace: Arc::from("n".repeat(63)), kind: Kind::StatefulSet, name: name.into() };
            (key, finding(None, Some(&reason)), pods(u32::MAX, 0, 0))
        })
        .collect();
    let mut resource = resource("shop");
    for words in [0, 100, 3_000] {
        resource.spec.exclude.namespaces = (0..words).map(|word| format!("namespace-{word}")).collect();
        let status = compose(&resource, rows(&all), &["a/b"; 100], None, &at(1));
        assert_eq!((status.totals.workloads, status.totals.skipped, status.truncated), (100_000, 100_000, true));
        assert!(status.workloads.len() <= MOST_ENTRIES);
        assert!(words > 1000 || status.workloads.len() > 100, "{}", status.workloads.len());
        resource.status = Some(status);
        let size = serde_json::to_vec(&resource).unwrap().len();
        assert!(size < MOST_BYTES, "{size} with {words} words");
        resource.status = None;
    }
    let short: Vec<_> =
        (0..600).map(|number| (key(&format!("web-{number}")), finding(None, None), pods(0, 0, 0))).collect();
    let status = compose(&resource, rows(&short), &[], None, &at(1));
    assert_eq!((status.workloads.len(), status.truncated), (MOST_ENTRIES, true));
}

#[test]
fn what_becomes_of_restarts_is_told_where_they_are_asked_for() {
    let all = [(key("web"), finding(Some(Strategy::Sdk), None), pods(2, 2, 0))];
    let mut told = Told::default();
    told.notes.insert(Id::new(Kind::Deployment, "shop", "web"), "its restart waits: it is paused".to_owned());
    let mut resource = resource(SYSTEM_NAMESPACE);
    let status = |resource: &ObtraceInstrumentation, told: &Told| {
        super::compose(resource, rows(&all), &[], Some(told), None, &at(7))
    };
    let quiet = status(&resource, &told);
    assert!(quiet.conditions.iter().all(|it| it.type_ != "Restarts"));
    assert!(quiet.workloads[0].reason.as_deref().unwrap().ends_with("restart it to instrument them"));
    resource.spec.rollout_restart = RolloutRestart::OnChange;
    let asked = status(&resource, &told);
    assert_eq!(condition(&asked, "Restarts").status, "True");
    let reason = "2 of 2 Pods are older than the instrumentation, its restart waits: it is paused";
    assert_eq!(asked.workloads[0].reason.as_deref(), Some(reason));
    told.refused = Some("no right".to_owned());
    let refused = status(&resource, &told);
    let found = condition(&refused, "Restarts");
    assert_eq!((&*found.status, &*found.reason, &*found.message), ("False", "Forbidden", "no right"));
}

#[test]
fn a_leader_takes_over_since_when_a_resource_is_in_use() {
    let mut about = resource("shop");
    about.metadata.creation_timestamp = Some(at(10));
    let mut before = compose(&about, Vec::new(), &[], None, &at(60));
    before.in_use_since = Some(at(50));
    assert_eq!(in_use_since(&about.metadata, Some(&before)), Some(50));
    // Edited since: nobody who leads has seen when.
    about.metadata.generation = Some(4);
    assert_eq!(in_use_since(&about.metadata, Some(&before)), None);
    assert_eq!(in_use_since(&about.metadata, None), None);
    // Never edited: since it was made.
    about.metadata.generation = Some(1);
    assert_eq!(in_use_since(&about.metadata, None), Some(10));
}
