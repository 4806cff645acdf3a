//! Restarting what was instrumented, without us.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::jiff::Timestamp;
use obtrace_cli::Failure;
use obtrace_patch::marks;
use serde_json::{Value, json};

use super::{
    progress::Progress,
    wait::{self, Deadline},
};
use crate::install::{Cluster, name_of};

/// The Pods that are instrumented.
pub(super) async fn instrumented(cluster: &Cluster) -> Result<Vec<Value>, Failure> {
    let label = format!("{}=true", marks::INSTRUMENTED);
    let mut pods = cluster.list("v1", "Pod", "", &label).await.map_err(Failure::failed)?;
    pods.retain(|pod| !matches!(pod.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed")));
    Ok(pods)
}

/// Restarts the workloads of these Pods one after another, each when the one before is available again; why some were not.
///
/// # Errors
///
/// If the cluster does not answer.
pub(super) async fn run(
    cluster: &Cluster,
    pods: &[Value],
    timeout: Duration,
    progress: &mut Progress,
) -> Result<Vec<String>, Failure> {
    let mut left = Vec::new();
    let mut seen = BTreeSet::new();
    for pod in pods {
        let Some(workload) = workload_of(cluster, pod).await? else {
            left.push(format!("{} belongs to nothing that can be restarted: make it anew", name_of(pod)));
            continue;
        };
        if !seen.insert(name_of(&workload)) {
            continue;
        }
        if let Err(why) = restart(cluster, &workload, timeout, progress).await? {
            left.push(format!("{}: {why}", name_of(&workload)));
        }
    }
    Ok(left)
}

async fn restart(
    cluster: &Cluster,
    workload: &Value,
    timeout: Duration,
    progress: &mut Progress,
) -> Result<Result<(), String>, Failure> {
    if workload["spec"]["paused"] == true {
        return Ok(Err("its rollout is paused: resume it".to_owned()));
    }
    if workload.pointer("/spec/updateStrategy/type").is_some_and(|it| it == "OnDelete") {
        return Ok(Err("its Pods are replaced only when they are deleted: delete them".to_owned()));
    }
    let now = Timestamp::now().to_string();
    let annotations = json!({ "kubectl.kubernetes.io/restartedAt": now });
    let patch = json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
    if let Err(error) = cluster.merge(workload, &patch).await {
        return Ok(Err(error.to_string()));
    }
    let deadline = Deadline::after(timeout);
    match wait::rollout(cluster, workload, &deadline, progress).await {
        Ok(()) => Ok(Ok(())),
        Err(failure) => Ok(Err(failure.to_string())),
    }
}

/// The workload whose template makes a Pod; none where nothing makes it anew.
async fn workload_of(cluster: &Cluster, pod: &Value) -> Result<Option<Value>, Failure> {
    let mut object = pod.clone();
    // Pod, ReplicaSet, Deployment: no chain that can be restarted is longer.
    for _ in 0..3 {
        if matches!(object["kind"].as_str(), Some("Deployment" | "StatefulSet" | "DaemonSet")) {
            return Ok(Some(object));
        }
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(owner) = owners.into_iter().find(|owner| owner["controller"] == true) else { return Ok(None) };
        let named = json!({
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "metadata": { "name": owner["name"], "namespace": pod["metadata"]["namespace"] },
        });
        match cluster.get(&named).await.map_err(Failure::failed)? {
            Some(found) => object = found,
            None => return Ok(None),
        }
    }
    Ok(None)
}
