//! `obtrace-zero uninstall`.

use std::io::{self, IsTerminal, Write};

use obtrace_cli::{Color, Failure, say, warn, write_out};
use serde_json::{Value, json};

use super::{arguments::Uninstall, connect, progress::Progress, restarts, restore, wait::Deadline};
use crate::install::{Cluster, KEY_ANNOTATION, PULL_SECRETS_ANNOTATION, everything, name_of};

/// What is ours wherever it lies.
const OURS: &str = "app.kubernetes.io/part-of=obtrace-zero,app.kubernetes.io/managed-by=obtrace-zero";
/// The kinds of what `allow` puts into namespaces of others, and of the rights of the agents of nodes.
const SPREAD: [(&str, &str); 5] = [
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("v1", "Secret"),
];

pub(in crate::cli) async fn run(flags: &Uninstall, color: Color) -> Result<(), Failure> {
    let cluster = connect(&flags.connection).await?;
    let plan = Plan::of(&cluster, flags).await?;
    if plan.is_empty() && !flags.restore {
        say("Obtrace Zero is not installed here: there is nothing to take away");
        return Ok(());
    }
    if flags.dry_run {
        return write_out(plan.describe(flags).as_bytes());
    }
    if !flags.yes && !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "there is no terminal to ask on whether all of it is to be taken away: repeat with --yes",
        ));
    }
    if !flags.yes && !confirmed(&plan, flags)? {
        return Err(Failure::failed("nothing was done"));
    }
    let mut progress = Progress::new(color);
    let deadline = Deadline::after(flags.waiting.timeout);
    let (webhook, rest) = plan.objects.split_at(plan.webhooks);
    // From here on Pods are made as if we had never been.
    remove(&cluster, webhook, &mut progress).await?;
    gone(&cluster, webhook, flags, &deadline, &mut progress).await?;
    let mut left = Vec::new();
    if flags.restore {
        left = restore::run(&cluster, &plan.instrumented, flags.waiting.timeout, &mut progress).await?;
    }
    for namespace in &plan.marked {
        let mark = json!({ "metadata": { "annotations": { KEY_ANNOTATION: null, PULL_SECRETS_ANNOTATION: null } } });
        match cluster.merge(namespace, &mark).await {
            // It went meanwhile.
            Err(error) if !error.is_not_found() => return Err(Failure::failed(error)),
            _ => {}
        }
    }
    remove(&cluster, rest, &mut progress).await?;
    // Restarts have taken their own time.
    let deadline = Deadline::after(flags.waiting.timeout);
    gone(&cluster, rest, flags, &deadline, &mut progress).await?;
    // Only now does nobody begin another one, or see one through.
    let told = restarts::end(&cluster, flags.keep_resources, flags.restore, &mut progress).await?;
    drop(progress);
    told.iter().for_each(say);
    if !flags.restore && !plan.instrumented.is_empty() {
        say(format_args!("{} Pods run on instrumented until they are made anew", plan.instrumented.len()));
    }
    if left.is_empty() {
        return Ok(());
    }
    for why in &left {
        warn(why, color);
    }
    Err(Failure::failed(format_args!("{} workloads were not restarted", left.len())))
}

/// What is to be taken away.
struct Plan {
    /// The webhook first, then the rest.
    objects: Vec<Value>,
    /// How many of them are webhooks.
    webhooks: usize,
    /// Namespaces that `allow` has marked.
    marked: Vec<Value>,
    /// Instrumented Pods.
    instrumented: Vec<Value>,
    /// Workloads that were restarted, or are being.
    restarted: Vec<Value>,
}

impl Plan {
    async fn of(cluster: &Cluster, flags: &Uninstall) -> Result<Self, Failure> {
        let mut objects = Vec::new();
        for object in everything() {
            let stays = match object["kind"].as_str() {
                Some("CustomResourceDefinition" | "ObtraceInstrumentation") => flags.keep_resources,
                // The resources for the whole cluster lie in it.
                Some("Namespace") => flags.keep_resources,
                _ => false,
            };
            if stays {
                continue;
            }
            if let Some(found) = cluster.get(&object).await.map_err(Failure::failed)? {
                let ours =
                    found.pointer("/metadata/labels/app.kubernetes.io~1part-of").is_some_and(|it| it == "obtrace-zero");
                // A namespace or an API key that somebody else made stays theirs.
                let may_be_theirs = object["kind"] == "Namespace"
                    || object["metadata"]["name"] == crate::crd::SecretReference::default().name.as_str();
                if !may_be_theirs || ours {
                    objects.push(object);
                }
            }
        }
        let webhooks = objects.iter().take_while(|it| it["kind"] == "MutatingWebhookConfiguration").count();
        for (api_version, kind) in SPREAD {
            for found in cluster.list(api_version, kind, "", OURS).await.map_err(Failure::failed)? {
                let mut object = json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": found["metadata"]["name"] } });
                if let Some(namespace) = found.pointer("/metadata/namespace") {
                    object["metadata"]["namespace"] = namespace.clone();
                }
                if !objects.contains(&object) {
                    objects.insert(webhooks, object);
                }
            }
        }
        let namespaces = cluster.list("v1", "Namespace", "", "").await.map_err(Failure::failed)?;
        let has = |it: &Value, mark: &str| it.pointer("/metadata/annotations").and_then(|all| all.get(mark)).is_some();
        let is_marked = |it: &Value| has(it, KEY_ANNOTATION) || has(it, PULL_SECRETS_ANNOTATION);
        let marked = namespaces.into_iter().filter(is_marked).collect();
        let instrumented = restore::instrumented(cluster).await?;
        let restarted = restarts::traced(cluster, flags.keep_resources).await?;
        Ok(Self { objects, webhooks, marked, instrumented, restarted })
    }

    fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.marked.is_empty() && self.restarted.is_empty()
    }

    /// What would be done, a line each.
    fn describe(&self, flags: &Uninstall) -> String {
        let mut text: String =
            self.objects.iter().map(|object| format!("{} would be deleted\n", name_of(object))).collect();
        for namespace in &self.marked {
            text.push_str(&format!("{} would lose its mark\n", name_of(namespace)));
        }
        if flags.restore {
            let pods =
                self.instrumented.iter().map(|pod| format!("the workload of {} would be restarted\n", name_of(pod)));
            text.extend(pods);
        }
        text.extend(self.restarted.iter().map(|workload| restarts::describe(workload, flags.restore)));
        text
    }
}

fn confirmed(plan: &Plan, flags: &Uninstall) -> Result<bool, Failure> {
    say(plan.describe(flags).trim_end());
    let failed = |error| Failure::failed(format_args!("cannot ask: {error}"));
    write!(io::stderr(), "Take all of this away? [y/N] ").map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn remove(cluster: &Cluster, objects: &[Value], progress: &mut Progress) -> Result<(), Failure> {
    for object in objects {
        if cluster.delete(object).await.map_err(Failure::failed)? {
            progress.done(&name_of(object), "deleted");
        }
    }
    Ok(())
}

/// Waits until they are not there any more.
async fn gone(
    cluster: &Cluster,
    objects: &[Value],
    flags: &Uninstall,
    deadline: &Deadline,
    progress: &mut Progress,
) -> Result<(), Failure> {
    if flags.waiting.no_wait {
        return Ok(());
    }
    for object in objects {
        while let Some(found) = cluster.get(object).await.map_err(Failure::failed)? {
            let name = name_of(object);
            progress.waiting(&format!("waiting for the end of {name}"));
            deadline.moment(&format!("{name} did not end"), &kept_by(&found)).await?;
        }
    }
    Ok(())
}

/// What keeps an object that is to be deleted.
fn kept_by(object: &Value) -> Vec<String> {
    let mut reasons = Vec::new();
    let list = |pointer: &str| object.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    for condition in list("/status/conditions") {
        if condition["status"] == "True" && condition["message"].as_str().is_some_and(|text| !text.is_empty()) {
            reasons.push(format!(
                "{}: {}",
                condition["reason"].as_str().unwrap_or_default(),
                condition["message"].as_str().unwrap_or_default()
            ));
        }
    }
    for finalizer in list("/metadata/finalizers").iter().chain(&list("/spec/finalizers")) {
        reasons.push(format!("the finalizer {} keeps it", finalizer.as_str().unwrap_or_default()));
    }
    reasons
}
