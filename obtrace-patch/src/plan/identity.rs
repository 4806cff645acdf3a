//! What the telemetry of a Pod is called: its service and its environment.

use std::borrow::Cow;

use crate::{marks, pod::Pod, settings::Settings};

/// The characters of which Kubernetes makes names: no vowels, so that no words come out.
const SAFE: &str = "bcdfghjklmnpqrstvwxz2456789";

/// The service's name: a label, else the name of the workload, else the Pod's.
pub(crate) fn service_name<'a>(pod: &'a Pod<'a>) -> Cow<'a, str> {
    let label = |key| pod.label(key).filter(|value| !value.is_empty());
    let name = label("app.kubernetes.io/name")
        .or_else(|| label("app"))
        .or_else(|| pod.workload.as_ref().and_then(|workload| workload.name.as_deref()))
        .or_else(|| owner(pod))
        .or_else(|| pod.generate_name().map(|name| without_hash(pod, name.strip_suffix('-').unwrap_or(name))))
        .or_else(|| pod.name())
        .or_else(|| pod.containers().next());
    Cow::Borrowed(name.filter(|name| !name.is_empty()).unwrap_or("unknown"))
}

/// The name that Kubernetes' own controllers' Pods have in common. The Pods of others are named by `generateName`.
fn owner<'a>(pod: &'a Pod<'a>) -> Option<&'a str> {
    let owner = pod.metadata.controller()?;
    let name = &*owner.name;
    let name = match &*owner.kind {
        "ReplicaSet" => without_hash(pod, name),
        "StatefulSet" | "DaemonSet" | "ReplicationController" => name,
        "Job" => without_number(name),
        _ if pod.generate_name().is_some() => return None,
        _ => name,
    };
    Some(name).filter(|name| !name.is_empty())
}

/// A ReplicaSet's name without the hash that its Deployment has put after it.
fn without_hash<'a>(pod: &Pod<'_>, name: &'a str) -> &'a str {
    let Some((workload, hash)) = name.rsplit_once('-').filter(|(workload, _)| !workload.is_empty()) else {
        return name;
    };
    let is_hash = match pod.label("pod-template-hash") {
        Some(label) => hash == label,
        None => {
            (8..=10).contains(&hash.len())
                && hash.chars().all(|c| SAFE.contains(c))
                && hash.contains(|c: char| c.is_ascii_digit())
        }
    };
    if is_hash { workload } else { name }
}

/// A Job's name without the number that its CronJob has put after it: the scheduled time, in minutes (seconds, before
/// Kubernetes 1.21).
fn without_number(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((cron_job, number))
            if !cron_job.is_empty()
                && (8..=10).contains(&number.len())
                && number.bytes().all(|digit| digit.is_ascii_digit()) =>
        {
            cron_job
        }
        _ => name,
    }
}

/// The environment's name: the Pod's label, else the setting, else what the namespace's name says.
pub(super) fn environment<'a>(pod: &'a Pod<'a>, settings: &'a Settings) -> Cow<'a, str> {
    let label = label(pod);
    let set = || settings.environment.as_deref().filter(|value| !value.is_empty());
    let inferred = || namespace(pod, settings).and_then(infer);
    Cow::Borrowed(label.or_else(set).or_else(inferred).unwrap_or("unknown"))
}

/// The environment's name where only the Pod itself is known: its label, else what its namespace's name says.
pub(crate) fn environment_of<'a>(pod: &'a Pod<'_>) -> Option<&'a str> {
    label(pod).or_else(|| pod.namespace().and_then(infer))
}

fn label<'a>(pod: &'a Pod<'_>) -> Option<&'a str> {
    pod.label(marks::ENVIRONMENT).filter(|value| !value.is_empty())
}

/// The namespace that the Pod will be in.
pub(super) fn namespace<'a>(pod: &'a Pod<'a>, settings: &'a Settings) -> Option<&'a str> {
    settings.namespace.as_deref().or_else(|| pod.namespace()).filter(|name| !name.is_empty())
}

/// What the words of a namespace's name say of its environment: `shop-prod`, `prod2`, `staging-eu`; nothing where a
/// word only begins so (`product-catalog`) or is denied (`non-prod`).
fn infer(namespace: &str) -> Option<&'static str> {
    let mut before = "";
    for word in namespace.split(['-', '_', '.']) {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let found = match word {
            "prod" | "production" | "prd" => match before {
                "non" | "not" | "no" => None,
                "pre" => Some("staging"),
                _ => Some("production"),
            },
            "preprod" | "staging" | "stage" | "stg" => Some("staging"),
            "development" | "develop" | "devel" | "dev" => Some("development"),
            "testing" | "test" | "qa" => Some("test"),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
        before = word;
    }
    None
}

/// Whether the Pod is meant to end: a sidecar that does not must not keep it.
pub(super) fn completes(pod: &Pod<'_>) -> bool {
    let owner = pod.metadata.owners.iter().any(|owner| owner.kind == "Job");
    let workload = pod.workload.as_ref().is_some_and(|workload| workload.kind.completes());
    let policy = pod.spec.restart_policy.as_deref().is_some_and(|policy| policy != "Always");
    owner || workload || policy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::TemplateKind;

    #[test]
    fn environments_are_words_not_beginnings() {
        for (namespace, expected) in [
            ("prod", Some("production")),
            ("production", Some("production")),
            ("prod2", Some("production")),
            ("shop-prod", Some("production")),
            ("prod-eu-1", Some("production")),
            ("staging", Some("staging")),
            ("shop-stage3", Some("staging")),
            ("stg", Some("staging")),
            ("pre-prod", Some("staging")),
            ("preprod", Some("staging")),
            ("dev", Some("development")),
            ("team-development", Some("development")),
            ("test", Some("test")),
            ("e2e-testing", Some("test")),
            ("qa", Some("test")),
            ("product-catalog", None),
            ("prodigy", None),
            ("devices", None),
            ("stagecoach", None),
            ("attestation", None),
            ("non-prod", None),
            ("default", None),
        ] {
            assert_eq!(infer(namespace), expected, "{namespace}");
        }
    }

    fn name_of(pod: &str) -> String {
        service_name(&Pod::parse(pod.as_bytes()).unwrap()).into_owned()
    }

    #[test]
    fn services_are_named_by_label_then_workload_then_pod() {
        for (metadata, expected) in [
            (r#""labels":{"app.kubernetes.io/name":"shop","app":"x"},"generateName":"y-""#, "shop"),
            (r#""labels":{"app":"x"},"generateName":"y-""#, "x"),
            (r#""generateName":"checkout-7d9c6b5f44-","labels":{"pod-template-hash":"7d9c6b5f44"}"#, "checkout"),
            (r#""generateName":"checkout-7d9c6b5f44-""#, "checkout"),
            (r#""generateName":"a-b-","labels":{"pod-template-hash":"7d9c6b5f44"}"#, "a-b"),
            (
                r#""generateName":"web-","ownerReferences":[{"kind":"StatefulSet","name":"web","controller":true}]"#,
                "web",
            ),
            (
                r#""generateName":"c-5b9f8c4d7-","ownerReferences":[{"kind":"ReplicaSet","name":"c-5b9f8c4d7","controller":true}]"#,
                "c",
            ),
            (
                r#""generateName":"nightly-28391820-","ownerReferences":[{"kind":"Job","name":"nightly-28391820"}]"#,
                "nightly",
            ),
            // An indexed Job's Pods have the index in their name.
            (r#""generateName":"train-0-","ownerReferences":[{"kind":"Job","name":"train"}]"#, "train"),
            (r#""generateName":"wf-","ownerReferences":[{"kind":"Workflow","name":"wf-x1"}]"#, "wf"),
            (r#""name":"standalone""#, "standalone"),
            (r#""labels":{"app":""},"name":"p""#, "p"),
            ("", "c0"),
        ] {
            let pod = format!(r#"{{"metadata":{{{metadata}}},"spec":{{"containers":[{{"name":"c0"}}]}}}}"#);
            assert_eq!(name_of(&pod), expected, "{metadata}");
        }
    }

    #[test]
    fn kinds_that_end() {
        assert!(TemplateKind::CronJob.completes() && !TemplateKind::Deployment.completes());
        let ends = |pod: &str| completes(&Pod::parse(pod.as_bytes()).unwrap());
        assert!(ends(r#"{"metadata":{"ownerReferences":[{"kind":"Job","name":"j"}]}}"#));
        assert!(ends(r#"{"spec":{"restartPolicy":"OnFailure"}}"#));
        assert!(!ends(r#"{"spec":{"restartPolicy":"Always"}}"#));
    }
}
