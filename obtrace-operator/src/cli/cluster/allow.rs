//! `obtrace-zero allow`.

use std::collections::BTreeSet;

use obtrace_cli::{Color, Failure, say, warn};
use serde_json::{Value, json};

use super::{arguments::Allow, connect, progress::Progress};
use crate::{
    crd::SecretReference,
    index::SYSTEM_NAMESPACE,
    install::{
        Cluster, DEFAULT_RESOURCE, KEY_ANNOTATION, PULL_SECRETS_ANNOTATION, allowed, allowed_pull_secrets, labels,
        mirror, name_of, said,
    },
};

pub(in crate::cli) async fn run(flags: &Allow, color: Color) -> Result<(), Failure> {
    let cluster = connect(&flags.connection).await?;
    if flags.namespaces.is_empty() {
        let count = mirror::once(cluster.client()).await;
        let count =
            count.map_err(|error| Failure::failed(format_args!("cannot copy the API key: {}", said(&error))))?;
        say(format_args!("{count} copies of the API key were brought up to date"));
        return Ok(());
    }
    let mut progress = Progress::new(color);
    if !flags.pull_secret.is_empty() {
        for namespace in &flags.namespaces {
            pull_secrets(&cluster, namespace, &flags.pull_secret, &mut progress).await?;
        }
        return Ok(());
    }
    let mut copied = true;
    for namespace in &flags.namespaces {
        copied &= one(&cluster, namespace, &mut progress).await?;
    }
    drop(progress);
    if !copied {
        let name = reference(&cluster).await?.name;
        warn(
            format_args!(
                "there is no Secret {SYSTEM_NAMESPACE}/{name} to copy yet: `obtrace-zero install --api-key-file FILE` makes it"
            ),
            color,
        );
    }
    Ok(())
}

/// Lets the operator read pull secrets of a namespace, beside those that it may read there already.
async fn pull_secrets(
    cluster: &Cluster,
    namespace: &str,
    secrets: &[String],
    progress: &mut Progress,
) -> Result<(), Failure> {
    let about = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
    if cluster.get(&about).await.map_err(Failure::failed)?.is_none() {
        return Err(Failure::failed(format_args!("there is no namespace {namespace}")));
    }
    // What was granted before, as the Role has it: others may write the namespace's annotation.
    let role = allowed_pull_secrets(namespace, &[]).into_iter().find(|object| object["kind"] == "Role");
    let granted = match &role {
        Some(role) => cluster.get(role).await.map_err(Failure::failed)?.unwrap_or_default(),
        None => Value::Null,
    };
    let granted = granted.pointer("/rules").and_then(Value::as_array).into_iter().flatten();
    let granted = granted.filter_map(|rule| rule["resourceNames"].as_array()).flatten().filter_map(Value::as_str);
    let names: BTreeSet<String> = granted.chain(secrets.iter().map(String::as_str)).map(str::to_owned).collect();
    let names: Vec<String> = names.into_iter().collect();
    for object in allowed_pull_secrets(namespace, &names) {
        let changed = cluster.apply(&object, false).await.map_err(Failure::failed)?;
        progress.done(&name_of(&object), changed.as_str());
    }
    let mark = json!({ "metadata": { "annotations": { PULL_SECRETS_ANNOTATION: names.join(",") } } });
    cluster.merge(&about, &mark).await.map_err(Failure::failed)?;
    progress.done(&name_of(&about), "allowed");
    Ok(())
}

/// Which Secret the key is in, by the resource for the whole cluster.
pub(super) async fn reference(cluster: &Cluster) -> Result<SecretReference, Failure> {
    let resource = json!({
        "apiVersion": "obtrace.io/v1alpha1",
        "kind": "ObtraceInstrumentation",
        "metadata": { "name": DEFAULT_RESOURCE, "namespace": SYSTEM_NAMESPACE },
    });
    let found = cluster.get(&resource).await.map_err(Failure::failed)?.unwrap_or_default();
    Ok(found
        .pointer("/spec/apiKeySecretRef")
        .and_then(|it| serde_json::from_value(it.clone()).ok())
        .unwrap_or_default())
}

/// Lets the operator keep the key in a namespace, and copies it there; whether there was a key to copy.
pub(super) async fn one(cluster: &Cluster, namespace: &str, progress: &mut Progress) -> Result<bool, Failure> {
    let about = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
    // An apply would make a namespace that is not there.
    if cluster.get(&about).await.map_err(Failure::failed)?.is_none() {
        return Err(Failure::failed(format_args!("there is no namespace {namespace}")));
    }
    let reference = reference(cluster).await?;
    for object in allowed(namespace, &reference.name) {
        let changed = cluster.apply(&object, false).await.map_err(Failure::failed)?;
        progress.done(&name_of(&object), changed.as_str());
    }
    let copied = copy(cluster, namespace, &reference, progress).await?;
    let mark = json!({ "metadata": { "annotations": { KEY_ANNOTATION: "true" } } });
    cluster.merge(&about, &mark).await.map_err(Failure::failed)?;
    progress.done(&name_of(&about), "allowed");
    Ok(copied)
}

async fn copy(
    cluster: &Cluster,
    namespace: &str,
    reference: &SecretReference,
    progress: &mut Progress,
) -> Result<bool, Failure> {
    let secret = |namespace: &str| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": reference.name, "namespace": namespace } });
    let Some(original) = cluster.get(&secret(SYSTEM_NAMESPACE)).await.map_err(Failure::failed)? else {
        return Ok(false);
    };
    let Some(key) = original.pointer("/data").and_then(|data| data.get(&reference.key)) else {
        return Err(Failure::failed(format_args!(
            "the Secret {SYSTEM_NAMESPACE}/{} has no key {}",
            reference.name, reference.key
        )));
    };
    let existing = cluster.get(&secret(namespace)).await.map_err(Failure::failed)?;
    let ours =
        |it: &Value| it.pointer("/metadata/labels/app.kubernetes.io~1part-of").is_some_and(|it| it == "obtrace-zero");
    if existing.as_ref().is_some_and(|it| !ours(it)) {
        return Err(Failure::failed(format_args!(
            "the namespace {namespace} has a Secret {} that is not of Obtrace Zero: its Pods use that; delete it first if it is to be replaced",
            reference.name
        )));
    }
    let mut copy = secret(namespace);
    if let Value::Object(copy) = &mut copy {
        copy.insert("type".into(), "Opaque".into());
        copy.insert("data".into(), json!({ reference.key.as_str(): key }));
    }
    if let Some(Value::Object(metadata)) = copy.get_mut("metadata") {
        metadata.insert("labels".into(), labels());
    }
    let changed = cluster.apply(&copy, false).await.map_err(Failure::failed)?;
    progress.done(&name_of(&copy), changed.as_str());
    Ok(true)
}
