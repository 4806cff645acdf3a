//! Whether a Deployment is there whole, and if not, why.

use serde_json::Value;

use super::cluster::{Cluster, ClusterError, list, number, text};

/// The most reasons that are told.
const MAX_REASONS: usize = 5;
/// Longer messages are cut, in characters.
const MAX_MESSAGE: usize = 300;

/// How far the rollout of a Deployment is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rollout {
    /// Whether every replica is of the newest template, and available.
    pub done: bool,
    /// Replicas of the newest template that are available.
    pub ready: i64,
    /// Replicas that are wanted.
    pub wanted: i64,
    /// What keeps it, each in one sentence, the nearest to the cause first.
    pub reasons: Vec<String>,
}

/// What a workload says of its Pods.
struct Counted {
    wanted: i64,
    updated: i64,
    available: i64,
    /// Those of an older template that have not ended.
    old: i64,
    /// Those that are to keep an older template.
    held: i64,
}

impl Rollout {
    /// Reads it from the Deployment (or StatefulSet, or DaemonSet), its Pods, and the events of its namespace.
    #[must_use]
    pub fn read(deployment: &Value, pods: &[Value], events: &[Value]) -> Self {
        let seen = number(deployment, "/status/observedGeneration") >= number(deployment, "/metadata/generation");
        let status = |name: &str| number(deployment, &format!("/status/{name}"));
        let counted = match text(deployment, "/kind") {
            "DaemonSet" => {
                let wanted = status("desiredNumberScheduled");
                Counted {
                    wanted,
                    updated: status("updatedNumberScheduled"),
                    available: status("numberAvailable"),
                    old: 0,
                    held: 0,
                }
            }
            kind => {
                let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
                let (updated, total) = (status("updatedReplicas"), status("replicas"));
                // Those below it keep their template.
                let held = number(deployment, "/spec/updateStrategy/rollingUpdate/partition").min(wanted);
                let old = if kind == "StatefulSet" { 0 } else { total.saturating_sub(updated) };
                Counted { wanted, updated, available: status("availableReplicas"), old, held }
            }
        };
        let Counted { wanted, updated, available, old, held } = counted;
        let done = seen && updated >= wanted.saturating_sub(held) && available >= wanted && old <= 0;
        let mut rollout =
            Self { done, ready: available.min(updated.saturating_add(held)), wanted, reasons: Vec::new() };
        if !done {
            if !seen {
                rollout.add(
                    "nothing has acted on the Deployment yet: is the cluster's controller manager running?".into(),
                );
            }
            pods.iter().for_each(|pod| rollout.add_pod(pod));
            for condition in list(deployment, "/status/conditions") {
                let (kind, status) = (text(condition, "/type"), text(condition, "/status"));
                // Quotas and Pod Security: no Pod is made at all.
                if (kind, status) == ("ReplicaFailure", "True") || (kind, status) == ("Progressing", "False") {
                    rollout.add(format!("{}: {}", text(condition, "/reason"), text(condition, "/message")));
                }
            }
            if rollout.reasons.is_empty() {
                let name = text(deployment, "/metadata/name");
                let warnings = events.iter().filter(|event| text(event, "/type") == "Warning");
                for event in warnings.filter(|event| text(event, "/regarding/name").starts_with(name)) {
                    rollout.add(format!("{}: {}", text(event, "/reason"), text(event, "/note")));
                }
            }
        }
        rollout
    }

    /// Reads it from a cluster; `None` if there is no such Deployment.
    ///
    /// # Errors
    ///
    /// What the API server says.
    pub async fn of(cluster: &Cluster, deployment: &Value) -> Result<Option<Self>, ClusterError> {
        let Some(found) = cluster.get(deployment).await? else { return Ok(None) };
        let namespace = text(&found, "/metadata/namespace");
        let labels: Vec<_> = found
            .pointer("/spec/selector/matchLabels")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
            .collect();
        let pods = cluster.list("v1", "Pod", namespace, &labels.join(",")).await?;
        let events = cluster.list("events.k8s.io/v1", "Event", namespace, "").await?;
        Ok(Some(Self::read(&found, &pods, &events)))
    }

    fn add(&mut self, reason: String) {
        let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE).collect();
        if self.reasons.len() < MAX_REASONS && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// What keeps a Pod from being ready.
    fn add_pod(&mut self, pod: &Value) {
        let name = text(pod, "/metadata/name");
        if pod.pointer("/metadata/deletionTimestamp").is_some() {
            return;
        }
        for condition in list(pod, "/status/conditions") {
            if text(condition, "/type") == "PodScheduled" && text(condition, "/status") == "False" {
                self.add(format!("Pod {name} is not scheduled: {}", text(condition, "/message")));
            }
        }
        let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
        for status in statuses.iter().flat_map(|pointer| list(pod, pointer)) {
            let (waiting, last) = (text(status, "/state/waiting/reason"), status.pointer("/lastState/terminated"));
            match (waiting, last) {
                ("" | "ContainerCreating" | "PodInitializing", None) => {}
                ("", Some(last)) => {
                    self.add(format!(
                        "Pod {name} was restarted: {} with exit code {}",
                        text(last, "/reason"),
                        number(last, "/exitCode")
                    ));
                }
                (waiting, last) => {
                    let ended =
                        last.map(|last| format!(" (exit code {})", number(last, "/exitCode"))).unwrap_or_default();
                    self.add(format!("Pod {name}: {waiting}{ended}: {}", text(status, "/state/waiting/message")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: Value) -> Value {
        json!({ "metadata": { "generation": 2 }, "spec": { "replicas": 2 }, "status": status })
    }

    #[test]
    fn it_is_done_when_every_replica_is_new_and_available() {
        let status = |updated, available, total| {
            deployment(
                json!({ "observedGeneration": 2, "updatedReplicas": updated, "availableReplicas": available, "replicas": total }),
            )
        };
        assert!(Rollout::read(&status(2, 2, 2), &[], &[]).done);
        assert!(!Rollout::read(&status(1, 2, 3), &[], &[]).done, "an old one answers");
        assert!(!Rollout::read(&status(2, 2, 3), &[], &[]).done, "an old one has not ended");
        assert!(!Rollout::read(&deployment(json!({})), &[], &[]).done);
    }

    #[test]
    fn each_kind_counts_in_its_own_words() {
        let daemons = |updated, available| {
            json!({ "kind": "DaemonSet", "metadata": { "generation": 1 }, "status": { "observedGeneration": 1,
                "desiredNumberScheduled": 3, "updatedNumberScheduled": updated, "numberAvailable": available } })
        };
        assert!(Rollout::read(&daemons(3, 3), &[], &[]).done);
        assert!(!Rollout::read(&daemons(2, 3), &[], &[]).done);
        assert!(!Rollout::read(&daemons(3, 2), &[], &[]).done);
        let set = |partition, updated| {
            json!({ "kind": "StatefulSet", "metadata": { "generation": 1 },
                "spec": { "replicas": 3, "updateStrategy": { "rollingUpdate": { "partition": partition } } },
                "status": { "observedGeneration": 1, "replicas": 3, "updatedReplicas": updated, "availableReplicas": 3 } })
        };
        assert!(Rollout::read(&set(0, 3), &[], &[]).done);
        assert!(!Rollout::read(&set(0, 2), &[], &[]).done);
        assert!(Rollout::read(&set(2, 1), &[], &[]).done, "two keep their template");
    }

    #[test]
    fn the_reason_is_the_nearest_to_the_cause() {
        let waiting = deployment(json!({ "observedGeneration": 2 }));
        let pods = [
            json!({ "metadata": { "name": "a" }, "status": { "containerStatuses": [
                { "state": { "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image \"x:1\"" } } }] } }),
            json!({ "metadata": { "name": "b" }, "status": { "conditions": [
                { "type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient memory." }] } }),
            json!({ "metadata": { "name": "c" }, "status": { "containerStatuses": [
                { "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } }, "lastState": { "terminated": { "exitCode": 3 } } }] } }),
            json!({ "metadata": { "name": "d" }, "status": { "containerStatuses": [
                { "state": { "waiting": { "reason": "ContainerCreating" } } }] } }),
        ];
        assert_eq!(
            Rollout::read(&waiting, &pods, &[]).reasons,
            [
                "Pod a: ImagePullBackOff: Back-off pulling image \"x:1\"",
                "Pod b is not scheduled: 0/3 nodes are available: 3 Insufficient memory.",
                "Pod c: CrashLoopBackOff (exit code 3): back-off 10s",
            ]
        );
        let quota = deployment(json!({ "observedGeneration": 2, "conditions": [
            { "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: small" }] }));
        assert_eq!(Rollout::read(&quota, &[], &[]).reasons, ["FailedCreate: exceeded quota: small"]);
    }
}
