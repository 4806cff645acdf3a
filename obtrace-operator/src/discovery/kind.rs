//! The kinds of workloads, and which of them a Pod is of.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{ApiResource, GroupVersionKind};

/// A kind of workload.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Kind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// `batch/v1` CronJob.
    CronJob,
    /// `batch/v1` Job without an owner.
    Job,
    /// `argoproj.io/v1alpha1` Rollout, where that is installed.
    Rollout,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::CronJob, Self::Job, Self::Rollout];

    /// Its name in Kubernetes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::CronJob => "CronJob",
            Self::Job => "Job",
            Self::Rollout => "Rollout",
        }
    }

    /// Where the API server has it.
    pub(crate) fn resource(self) -> ApiResource {
        let (group, version, plural) = match self {
            Self::Deployment => ("apps", "v1", "deployments"),
            Self::StatefulSet => ("apps", "v1", "statefulsets"),
            Self::DaemonSet => ("apps", "v1", "daemonsets"),
            Self::CronJob => ("batch", "v1", "cronjobs"),
            Self::Job => ("batch", "v1", "jobs"),
            Self::Rollout => ("argoproj.io", "v1alpha1", "rollouts"),
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, self.as_str()), plural)
    }

    /// The kind by which obtrace-patch knows such a manifest. A Rollout makes ReplicaSets as a Deployment does.
    pub(super) const fn template(self) -> &'static str {
        match self {
            Self::Rollout => "Deployment",
            other => other.as_str(),
        }
    }
}

/// The workload that a Pod is of, as its metadata tell: kind and name. `None` for Pods of nobody, or of something else.
///
/// The ReplicaSet between a Deployment (or Rollout) and its Pods is named after it and the hash of the template, which is the
/// Pod's label too.
pub(super) fn owner(pod: &ObjectMeta) -> Option<(Kind, &str)> {
    owner_of(pod.labels.as_ref(), pod.owner_references.as_deref()?)
}

/// The same of a Pod's labels and owners.
pub(crate) fn owner_of<'a>(
    labels: Option<&BTreeMap<String, String>>,
    owners: &'a [OwnerReference],
) -> Option<(Kind, &'a str)> {
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    let kind = match (group, owner.kind.as_str()) {
        ("apps", "ReplicaSet") => return by_hash(labels?, &owner.name),
        ("apps", "StatefulSet") => Kind::StatefulSet,
        ("apps", "DaemonSet") => Kind::DaemonSet,
        ("batch", "Job") => Kind::Job,
        _ => return None,
    };
    Some((kind, &owner.name))
}

fn by_hash<'a>(labels: &BTreeMap<String, String>, replica_set: &'a str) -> Option<(Kind, &'a str)> {
    [(Kind::Rollout, "rollouts-pod-template-hash"), (Kind::Deployment, "pod-template-hash")].into_iter().find_map(
        |(kind, label)| {
            let hash = labels.get(label)?;
            Some((kind, replica_set.strip_suffix(hash.as_str())?.strip_suffix('-')?))
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(labels: Value, api_version: &str, kind: &str, name: &str, controller: bool) -> Option<(Kind, String)> {
        let pod: ObjectMeta = serde_json::from_value(json!({ "labels": labels, "ownerReferences": [
            { "apiVersion": api_version, "kind": kind, "name": name, "uid": "1", "controller": controller }] }))
        .unwrap();
        owner(&pod).map(|(kind, name)| (kind, name.to_owned()))
    }

    #[test]
    fn pods_are_told_to_their_workloads() {
        let hash = json!({ "pod-template-hash": "5d8c" });
        let rollout = json!({ "rollouts-pod-template-hash": "5d8c" });
        let web = |kind| Some((kind, "web".to_owned()));
        assert_eq!(of(hash.clone(), "apps/v1", "ReplicaSet", "web-5d8c", true), web(Kind::Deployment));
        assert_eq!(of(rollout, "apps/v1", "ReplicaSet", "web-5d8c", true), web(Kind::Rollout));
        assert_eq!(of(json!({}), "apps/v1", "StatefulSet", "web", true), web(Kind::StatefulSet));
        assert_eq!(of(json!({}), "apps/v1", "DaemonSet", "web", true), web(Kind::DaemonSet));
        assert_eq!(of(json!({}), "batch/v1", "Job", "web", true), web(Kind::Job));
        for (labels, version, kind, name, controller) in [
            (json!({}), "apps/v1", "ReplicaSet", "bare", true),
            (hash.clone(), "apps/v1", "ReplicaSet", "bare", true),
            (hash, "apps/v1", "ReplicaSet", "web-5d8c", false),
            (json!({}), "example.com/v1", "StatefulSet", "web", true),
        ] {
            assert_eq!(of(labels, version, kind, name, controller), None, "{kind} {name}");
        }
    }
}
