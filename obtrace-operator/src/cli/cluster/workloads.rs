//! `obtrace-zero workloads`: what there is, and what becomes of it. Asked of the cluster itself, by the same rules as the webhook's, so that it
//! is complete however many there are, and says the truth while the operator is down.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::api::{Api, ListParams};
use obtrace_cli::{Color, Failure, say, write_out};
use obtrace_patch::{Configuration, Outcome, Plan, Template, marks, plan};
use serde::Serialize;
use serde_json::Value;

use super::{arguments::Workloads, connect, table::table, world};
use crate::{
    index::{Index, Resolution},
    install::{Cluster, list, said, text},
};

/// The kinds that make Pods, and are not made by another of them.
const KINDS: [(&str, &str); 5] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
];
/// How many Pods are asked for at once.
const PAGE: u32 = 1000;

pub(in crate::cli) async fn run(flags: &Workloads, _: Color) -> Result<(), Failure> {
    let cluster = connect(&flags.connection).await?;
    let rows = rows(&cluster, flags.namespace.as_deref().unwrap_or_default()).await?;
    if flags.json {
        let mut out = Vec::new();
        for row in &rows {
            out.extend(serde_json::to_vec(row).map_err(Failure::failed)?);
            out.push(b'\n');
        }
        return write_out(&out);
    }
    if rows.is_empty() {
        say("there are no workloads");
        return Ok(());
    }
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let headings = ["NAMESPACE", "KIND", "NAME", "LANGUAGE", "FRAMEWORK", "STRATEGY", "STATE", "REASON"];
    write_out(table(headings, &cells).as_bytes())
}

/// A workload, and what becomes of it.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) namespace: String,
    pub(super) kind: String,
    pub(super) name: String,
    /// Of the container that counts: the first that is instrumented, else the first.
    pub(super) language: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) framework: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strategy: Option<String>,
    pub(super) confidence: f64,
    /// `instrumented`, `pending` or `skipped`.
    pub(super) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// The resource that is for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<String>,
    /// Pods that run, and those among them that are instrumented.
    pub(super) pods: Pods,
}

/// Pods of a workload.
#[derive(Clone, Default, Serialize)]
pub(super) struct Pods {
    pub(super) running: u64,
    pub(super) instrumented: u64,
    /// By which configurations, of each Pod that says so.
    #[serde(skip)]
    configurations: Vec<Configuration>,
}

impl Row {
    fn cells(&self) -> [String; 8] {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        [
            self.namespace.clone(),
            self.kind.clone(),
            self.name.clone(),
            self.language.clone(),
            or(&self.framework),
            or(&self.strategy),
            self.state.to_owned(),
            self.reason.clone().unwrap_or_default(),
        ]
    }
}

/// Every workload of a namespace, or (empty) of the cluster.
///
/// # Errors
///
/// What the API server says.
pub(super) async fn rows(cluster: &Cluster, namespace: &str) -> Result<Vec<Row>, Failure> {
    let index = Index::new(world::of(cluster).await?);
    let mut pods = pods(cluster, namespace).await?;
    add_jobs(cluster, namespace, &mut pods).await?;
    let mut rows = Vec::new();
    for (api_version, kind) in KINDS {
        for object in cluster.list(api_version, kind, namespace, "").await.map_err(Failure::failed)? {
            let owned =
                object.pointer("/metadata/ownerReferences").and_then(Value::as_array).is_some_and(|it| !it.is_empty());
            let ended = list(&object, "/status/conditions")
                .iter()
                .any(|it| matches!(text(it, "/type"), "Complete" | "Failed") && text(it, "/status") == "True");
            if kind != "Job" || !(owned || ended) {
                rows.extend(row(&index, &object, &pods)?);
            }
        }
    }
    rows.sort_by(|a, b| (&a.namespace, &a.kind, &a.name).cmp(&(&b.namespace, &b.kind, &b.name)));
    Ok(rows)
}

pub(super) fn row(index: &Index, object: &Value, pods: &BTreeMap<String, Pods>) -> Result<Option<Row>, Failure> {
    let (namespace, kind, name) =
        (text(object, "/metadata/namespace"), text(object, "/kind"), text(object, "/metadata/name"));
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format_args!("{kind} {namespace}/{name}: {error}"));
    let json = serde_json::to_vec(object).map_err(|error| failed(&error))?;
    let Some(template) = Template::find(&json).map_err(|error| failed(&error))? else { return Ok(None) };
    let pod = template.pod().map_err(|error| failed(&error))?;
    let counted = pods.get(&format!("{kind} {namespace}/{name}")).cloned().unwrap_or_default();
    let mut row = Row {
        namespace: namespace.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        language: "unknown".to_owned(),
        framework: None,
        strategy: None,
        confidence: 0.0,
        state: "skipped",
        reason: None,
        resource: None,
        pods: counted,
    };
    match index.resolve(namespace, |name| pod.label(name)) {
        Resolution::Settings(settings, resource) => {
            row.resource = Some(resource.into_owned());
            row.fill(&plan(&pod, &settings));
        }
        Resolution::Excluded(resource) => row.reason = Some(format!("{resource} excludes Pods with such labels")),
        Resolution::NoResource => row.reason = Some("no ObtraceInstrumentation is for it".to_owned()),
    }
    Ok(Some(row))
}

impl Row {
    fn fill(&mut self, plan: &Plan<'_>) {
        let chosen = plan.containers.iter().find(|it| it.outcome.is_instrumented()).or(plan.containers.first());
        if let Some(container) = chosen {
            self.language = container.detection.language.to_string();
            self.framework = container.detection.framework.map(|framework| framework.to_string());
            self.confidence = container.detection.confidence.to_string().parse().unwrap_or_default();
            if let Outcome::Left(reason) = &container.outcome {
                self.reason = Some(reason.to_string());
            }
        }
        if let Some(skip) = plan.skip {
            self.reason = Some(skip.to_string());
        }
        self.strategy = plan.strategy.map(|strategy| strategy.to_string());
        if self.strategy.is_some() {
            let Pods { running, instrumented, ref configurations } = self.pods;
            let is_outdated = |was: &&Configuration| plan.configuration().is_some_and(|now| was.is_outdated(now));
            let outdated = configurations.iter().filter(is_outdated).count();
            (self.state, self.reason) = match (running, instrumented) {
                // As the status of the resource has it: the next one will be.
                (0, _) => ("instrumented", Some("no Pod runs".to_owned())),
                (running, instrumented) if running == instrumented => (
                    "instrumented",
                    (outdated > 0).then(|| {
                        format!("{outdated} of {running} Pods were instrumented by an older configuration: restart it")
                    }),
                ),
                (running, instrumented) => {
                    let without = running.saturating_sub(instrumented);
                    ("pending", Some(format!("{without} of {running} Pods were made without: restart it")))
                }
            };
        }
    }
}

/// Counts the Pods of Jobs for their CronJobs as well.
async fn add_jobs(cluster: &Cluster, namespace: &str, pods: &mut BTreeMap<String, Pods>) -> Result<(), Failure> {
    for job in cluster.list("batch/v1", "Job", namespace, "").await.map_err(Failure::failed)? {
        let within = text(&job, "/metadata/namespace");
        let of_job = pods.get(&format!("Job {within}/{}", text(&job, "/metadata/name"))).cloned();
        let owner = list(&job, "/metadata/ownerReferences").iter().find(|it| it["kind"] == "CronJob");
        if let (Some(of_job), Some(owner)) = (of_job, owner) {
            let entry = pods.entry(format!("CronJob {within}/{}", text(owner, "/name"))).or_default();
            entry.running += of_job.running;
            entry.instrumented += of_job.instrumented;
            entry.configurations.extend(of_job.configurations);
        }
    }
    Ok(())
}

/// The running Pods of each workload (`Kind namespace/name`), by their metadata alone.
async fn pods(cluster: &Cluster, namespace: &str) -> Result<BTreeMap<String, Pods>, Failure> {
    let client = cluster.client().clone();
    let api: Api<PodObject> = if namespace.is_empty() { Api::all(client) } else { Api::namespaced(client, namespace) };
    let running = "status.phase!=Succeeded,status.phase!=Failed";
    let mut params = ListParams::default().fields(running).limit(PAGE);
    let mut counted: BTreeMap<String, Pods> = BTreeMap::new();
    loop {
        let page = api.list_metadata(&params).await;
        let page = page.map_err(|error| Failure::failed(format_args!("cannot list the Pods: {}", said(&error))))?;
        for pod in page.items {
            let metadata = pod.metadata;
            let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
            let Some(owner) = owner else { continue };
            let labels = metadata.labels.unwrap_or_default();
            let (kind, name) = match labels.get("pod-template-hash") {
                // Of a ReplicaSet, which has the name of its Deployment and the hash.
                Some(hash) if owner.kind == "ReplicaSet" => {
                    ("Deployment", owner.name.strip_suffix(&format!("-{hash}")).unwrap_or(&owner.name))
                }
                _ => (owner.kind.as_str(), owner.name.as_str()),
            };
            let entry = counted.entry(format!("{kind} {}/{name}", metadata.namespace.unwrap_or_default())).or_default();
            entry.running += 1;
            if labels.get(marks::INSTRUMENTED).is_some_and(|value| value == "true") {
                entry.instrumented += 1;
                let annotations = metadata.annotations.unwrap_or_default();
                entry
                    .configurations
                    .extend(annotations.get(marks::CONFIGURATION).and_then(|it| it.parse::<Configuration>().ok()));
            }
        }
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params = params.continue_token(&token),
            _ => return Ok(counted),
        }
    }
}
