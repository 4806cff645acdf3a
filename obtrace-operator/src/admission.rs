//! Admission: the bytes of an AdmissionReview in, the bytes of its answer out. No IO, no clock, no lock: everything comes from the
//! [`Index`].
//!
//! ```
//! use obtrace_operator::{
//!     admission,
//!     crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
//!     index::{Index, SYSTEM_NAMESPACE, World},
//! };
//!
//! let mut resource = ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::new("https://ingest.example.com"));
//! resource.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
//! let mut world = World::new();
//! world.resources.push(resource);
//! let index = Index::new(world);
//!
//! let review = br#"{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
//!     "uid": "705ab4f5", "operation": "CREATE", "namespace": "shop", "kind": {"group": "", "version": "v1", "kind": "Pod"},
//!     "object": {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "node:22"}]}}}}"#;
//! let answer: serde_json::Value = serde_json::from_slice(&admission::answer(review, &index)).unwrap();
//! assert_eq!(answer["response"]["uid"], "705ab4f5");
//! assert_eq!(answer["response"]["allowed"], true);
//! assert_eq!(answer["response"]["patchType"], "JSONPatch");
//! ```

use obtrace_patch::{
    Outcome, Patch, plan,
    review::{Review, respond},
};

use crate::index::{Index, Resolution};

/// The most warnings in an answer. Kubernetes truncates them itself beyond 4 KiB in all.
const MAX_WARNINGS: usize = 16;

/// The answer to a review. It always allows: whatever is wrong with the request, or with us, becomes a warning.
#[must_use]
pub fn answer(review: &[u8], index: &Index) -> Vec<u8> {
    let untouched = |uid: &str, warnings: &[String]| respond(uid, &Patch::default(), warnings);
    let request = match Review::parse(review) {
        Ok(request) => request,
        Err(error) => return untouched("", &[format!("obtrace-zero: cannot read the AdmissionReview: {error}")]),
    };
    let uid = request.uid();
    let (Some("CREATE"), ("", "v1", "Pod")) = (request.operation(), request.kind()) else {
        return untouched(uid, &[]);
    };
    let pod = match request.pod() {
        Ok(Some(pod)) => pod,
        Ok(None) => return untouched(uid, &[]),
        Err(error) => {
            return untouched(uid, &[format!("obtrace-zero: cannot read the Pod, which is left alone: {error}")]);
        }
    };
    let namespace = request.namespace().or(pod.namespace()).unwrap_or_default();
    let Resolution::Settings(settings, _) = index.resolve(namespace, |name| pod.label(name)) else {
        return untouched(uid, &[]);
    };
    let plan = plan(pod, &settings);
    let warnings: Vec<String> = plan
        .containers
        .iter()
        .filter_map(|container| match &container.outcome {
            Outcome::Left(reason) if reason.is_rule() => {
                Some(format!("obtrace-zero: container {} is not instrumented: {reason}", container.name))
            }
            _ => None,
        })
        .take(MAX_WARNINGS)
        .collect();
    respond(uid, &plan.patch(), &warnings)
}

#[cfg(test)]
mod tests {
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
        let answer = serde_json::from_slice::<Value>(&answer(review.to_string().as_bytes(), &index())).unwrap();
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
        assert!(String::from_utf8(answer).unwrap().contains("cannot read the AdmissionReview"));
    }

    #[test]
    fn a_container_that_a_rule_keeps_from_harm_is_warned_of() {
        let from = json!([{ "secretRef": { "name": "settings" } }]);
        let response = ask(|review| review["request"]["object"]["spec"]["containers"][0]["envFrom"] = from);
        let warning = response["warnings"][0].as_str().unwrap();
        assert!(warning.contains("container web") && warning.contains("settings"), "{warning}");
    }
}
