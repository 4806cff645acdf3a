//! Waiting until what was applied works.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use obtrace_cli::Failure;
use obtrace_patch::marks;
use serde_json::{Value, json};

use super::{progress::Progress, workloads, world};
use crate::{
    index::{Index, SYSTEM_NAMESPACE},
    install::{Cluster, OPERATOR, Rollout, SERVICE, WEBHOOK, name_of},
};

/// How often the cluster is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// When waiting ends.
pub(super) struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Self {
        Self { at: Instant::now() + timeout, timeout }
    }

    /// Sleeps for a moment, or fails with the reasons if the time is over.
    pub(super) async fn moment(&self, what: &str, reasons: &[String]) -> Result<(), Failure> {
        if Instant::now() >= self.at {
            let why: String = reasons.iter().map(|reason| format!("\n  {reason}")).collect();
            return Err(Failure::failed(format_args!("{what} within {} s{why}", self.timeout.as_secs())));
        }
        tokio::time::sleep(EVERY).await;
        Ok(())
    }
}

/// Waits until a kind of the custom resource can be used.
pub(super) async fn established(cluster: &Cluster, definition: &Value, deadline: &Deadline) -> Result<(), Failure> {
    loop {
        let found = cluster.get(definition).await.map_err(Failure::failed)?.unwrap_or_default();
        let conditions = found.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        let is = |kind: &str| conditions.iter().find(|it| it["type"] == kind);
        if is("Established").is_some_and(|it| it["status"] == "True") {
            return Ok(());
        }
        let refused = is("NamesAccepted").filter(|it| it["status"] == "False");
        let reasons: Vec<_> = refused.and_then(|it| it["message"].as_str().map(str::to_owned)).into_iter().collect();
        deadline.moment(&format!("{} was not established", name_of(definition)), &reasons).await?;
    }
}

/// Waits until every replica of a Deployment is new and available.
pub(super) async fn rollout(
    cluster: &Cluster,
    deployment: &Value,
    deadline: &Deadline,
    progress: &mut Progress,
) -> Result<(), Failure> {
    loop {
        let rollout = Rollout::of(cluster, deployment).await.map_err(Failure::failed)?;
        let Some(rollout) = rollout else {
            return Err(Failure::failed(format_args!(
                "{} is gone: somebody deleted it meanwhile",
                name_of(deployment)
            )));
        };
        if rollout.done {
            progress.done(&name_of(deployment), "available");
            return Ok(());
        }
        let why = rollout.reasons.first().map(|reason| format!(": {reason}")).unwrap_or_default();
        progress.waiting(&format!(
            "waiting for {}: {} of {} ready{why}",
            name_of(deployment),
            rollout.ready,
            rollout.wanted
        ));
        deadline.moment(&format!("{} did not become available", name_of(deployment)), &rollout.reasons).await?;
    }
}

/// Waits until the webhook answers for a Pod that is created on trial, with our patch where `patched` is expected.
pub(super) async fn webhook(cluster: &Cluster, deadline: &Deadline, progress: &mut Progress) -> Result<(), Failure> {
    loop {
        let Err(why) = try_webhook(cluster).await else {
            progress.done("the webhook", "answers");
            return Ok(());
        };
        progress.waiting(&format!("waiting for the webhook: {why}"));
        deadline.moment("the webhook did not answer for a Pod", &[why]).await?;
    }
}

/// A Pod that every level of Pod Security accepts, and that has to be instrumented.
fn trial() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "generateName": "obtrace-zero-trial-", "namespace": "default" },
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "trial",
                "image": "python:3.13",
                "command": ["python3", "app.py"],
                "resources": { "requests": { "cpu": "50m", "memory": "64Mi" }, "limits": { "cpu": "100m", "memory": "128Mi" } },
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
            }],
        },
    })
}

/// Whether the Pod on trial is one that the resources instrument.
pub(super) async fn is_expected(cluster: &Cluster) -> Result<bool, Failure> {
    let index = Index::new(world::of(cluster).await?);
    Ok(workloads::row(&index, &trial(), &BTreeMap::new())?.is_some_and(|row| row.strategy.is_some()))
}

/// Creates a Pod on trial (nothing is kept of it), and says what is wrong with what became of it.
pub(super) async fn try_webhook(cluster: &Cluster) -> Result<(), String> {
    let made = cluster.create(&trial(), true).await.map_err(|error| error.to_string())?;
    let mark = made.pointer("/metadata/annotations").and_then(|all| all.get(marks::INJECTED));
    if mark.is_some() {
        return Ok(());
    }
    Err(unanswered(cluster).await)
}

/// Why a Pod was made as if there were no webhook.
async fn unanswered(cluster: &Cluster) -> String {
    let object = |api: &str, kind: &str, namespace: &str, name: &str| json!({ "apiVersion": api, "kind": kind, "metadata": { "name": name, "namespace": namespace } });
    let configuration = object("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "", WEBHOOK);
    let bundle = match cluster.get(&configuration).await {
        Err(error) => return error.to_string(),
        Ok(None) => return format!("there is no MutatingWebhookConfiguration {WEBHOOK}"),
        Ok(Some(found)) => found.pointer("/webhooks/0/clientConfig/caBundle").and_then(Value::as_str).map(str::len),
    };
    if bundle.is_none_or(|length| length == 0) {
        return "it has no CA yet: the operator, or cert-manager, has not written it".to_owned();
    }
    if !has_endpoints(cluster).await {
        return format!("the Service {SERVICE} has no ready endpoint: no Pod of {OPERATOR} is ready");
    }
    format!(
        "a Pod in the namespace default was not changed: either no ObtraceInstrumentation of {SYSTEM_NAMESPACE} is for it, \
         or the API server cannot reach the Service {SERVICE} on port 9443 of its Pods"
    )
}

/// Whether a Pod is ready behind the webhook's Service.
pub(super) async fn has_endpoints(cluster: &Cluster) -> bool {
    let label = format!("kubernetes.io/service-name={SERVICE}");
    let slices =
        cluster.list("discovery.k8s.io/v1", "EndpointSlice", SYSTEM_NAMESPACE, &label).await.unwrap_or_default();
    let mut endpoints = slices.iter().filter_map(|slice| slice["endpoints"].as_array()).flatten();
    endpoints.any(|endpoint| endpoint.pointer("/conditions/ready") == Some(&Value::Bool(true)))
}
