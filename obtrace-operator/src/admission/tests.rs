//! Reviews and what becomes of them.

use serde_json::{Value, json};

use super::*;
use crate::{
    crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
    index::{SYSTEM_NAMESPACE, World},
};

fn index() -> Index {
    let spec = ObtraceInstrumentationSpec::new("https://ingest.example.com");
    let mut resource = ObtraceInstrumentation::new("default", spec);
    resource.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
    let mut world = World::new();
    world.resources.push(resource);
    Index::new(world)
}

fn ask(change: impl FnOnce(&mut Value)) -> Value {
    let mut review = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-1", "operation": "CREATE", "namespace": "shop", "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "object": { "metadata": { "generateName": "web-" }, "spec": { "containers": [{ "name": "web", "image": "python:3.12" }] } } } });
    change(&mut review);
    let (review, index) = (review.to_string(), index());
    let answer = answer(review.as_bytes(), &index);
    assert_eq!(answer, judge(review.as_bytes(), &index).body);
    let answer = serde_json::from_slice::<Value>(&answer).unwrap();
    assert_eq!(answer["kind"], "AdmissionReview");
    assert_eq!(answer["response"]["allowed"], true);
    answer["response"].clone()
}

#[test]
fn a_pod_is_patched() {
    let response = ask(|_| {});
    assert_eq!((&response["uid"], &response["patchType"]), (&json!("u-1"), &json!("JSONPatch")));
    assert_eq!(response.get("warnings"), None);
}

#[test]
fn what_is_not_the_creation_of_a_pod_is_left_alone() {
    for (pointer, value) in [
        ("/request/operation", json!("UPDATE")),
        ("/request/kind/kind", json!("Binding")),
        ("/request/kind/group", json!("apps")),
        ("/request/object", json!(null)),
        ("/request/namespace", json!("kube-system")),
    ] {
        let response = ask(|review| *review.pointer_mut(pointer).unwrap() = value.clone());
        assert_eq!(response.get("patch"), None, "{pointer} = {value}");
    }
}

#[test]
fn what_cannot_be_read_is_allowed_with_a_warning() {
    let response = ask(|review| review["request"]["object"]["spec"]["containers"] = json!("none"));
    assert!(response["warnings"][0].as_str().unwrap().contains("cannot read the Pod"), "{response}");
    let answer = answer(b"{", &index());
    assert_eq!(answer, judge(b"{", &index()).body);
    assert!(String::from_utf8(answer).unwrap().contains("cannot read the AdmissionReview"));
}

#[test]
fn a_container_that_a_rule_keeps_from_harm_is_warned_of() {
    let from = json!([{ "secretRef": { "name": "settings" } }]);
    let response = ask(|review| review["request"]["object"]["spec"]["containers"][0]["envFrom"] = from);
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(warning.contains("container web") && warning.contains("settings"), "{warning}");
}

fn verdict(change: impl FnOnce(&mut Value)) -> Verdict {
    let mut review = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-1", "operation": "CREATE", "namespace": "shop", "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "object": { "metadata": { "generateName": "web-7d9c6b5f44-", "ownerReferences": [
            { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9c6b5f44", "uid": "o-1", "controller": true }] },
            "spec": { "containers": [{ "name": "web", "image": "python:3.12" }, { "name": "proxy", "image": "envoyproxy/envoy:v1.31.0" }] } } } });
    change(&mut review);
    judge(review.to_string().as_bytes(), &index()).verdict
}

#[test]
fn the_verdict_names_owner_resource_and_containers() {
    let verdict = verdict(|review| review["request"]["dryRun"] = json!(true));
    assert_eq!(verdict.outcome, Outcome::Injected);
    assert!(verdict.dry_run);
    assert_eq!((verdict.namespace.as_str(), verdict.pod.as_str()), ("shop", "web-7d9c6b5f44-"));
    assert_eq!(verdict.owner, Some(Owner::new("apps/v1", "ReplicaSet", "web-7d9c6b5f44", "o-1")));
    assert_eq!(verdict.resource.as_deref(), Some("obtrace-system/default"));
    assert_eq!(verdict.languages, [("web".to_owned(), obtrace_detect::Language::Python)]);
    assert_eq!(verdict.skipped, [("proxy".to_owned(), "infrastructure, never instrumented".to_owned())]);
    assert_eq!(verdict.reason, Some("infrastructure"));
}

#[test]
fn every_way_out_has_its_outcome() {
    let of = |change: &dyn Fn(&mut Value)| {
        let verdict = verdict(|review| change(review));
        (verdict.outcome.as_str(), verdict.reason.unwrap_or_default())
    };
    let pod = |review: &mut Value, pointer: &str, value: Value| {
        *review["request"]["object"].pointer_mut(pointer).unwrap() = value
    };
    assert_eq!(of(&|it| it["request"]["operation"] = json!("DELETE")), ("not_a_pod", ""));
    assert_eq!(of(&|it| pod(it, "/spec/containers", json!(7))), ("unreadable", ""));
    assert_eq!(
        of(&|it| pod(it, "/metadata", json!({ "annotations": { "obtrace.io/exclude": "true" } }))),
        ("excluded", "pod_excluded")
    );
    assert_eq!(of(&|it| it["request"]["namespace"] = json!("kube-system")), ("excluded", "namespace_reserved"));
    assert_eq!(
        of(&|it| pod(it, "/metadata", json!({ "annotations": { "obtrace.io/injected": "true" } }))),
        ("already_injected", "injected")
    );
    let only = |image: &str| json!([{ "name": "a", "image": image }]);
    assert_eq!(of(&|it| pod(it, "/spec/containers", only("envoyproxy/envoy:v1"))), ("nothing_to_do", "infrastructure"));
    let empty = judge(
        br#"{"request":{"uid":"u","operation":"CREATE","kind":{"version":"v1","kind":"Pod"},"object":{}}}"#,
        &Index::default(),
    );
    assert_eq!(empty.verdict.outcome, Outcome::NoResource);
    assert_eq!(judge(b"{", &index()).verdict.outcome, Outcome::Unreadable);
}

#[test]
fn a_review_that_goes_wrong_later_is_still_answered_by_its_id() {
    let answer = answer(br#"{"kind":"AdmissionReview","request":{"uid":"u-7","dryRun":"maybe""#, &index());
    let answer = serde_json::from_slice::<Value>(&answer).unwrap();
    assert_eq!(answer["response"]["uid"], "u-7");
}

#[test]
fn a_verdict_is_small_whatever_the_request_says() {
    let many: Vec<Value> =
        (0..200).map(|i| json!({ "name": format!("{i}-{}", "é".repeat(1000)), "image": "python:3.12" })).collect();
    let verdict = verdict(|review| review["request"]["object"]["spec"]["containers"] = json!(many));
    assert_eq!(verdict.languages.len(), 32);
    assert!(verdict.languages.iter().all(|(name, _)| name.len() <= 512 && name.ends_with('é')));
}
