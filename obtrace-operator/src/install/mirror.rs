//! Keeping the API key where it is allowed.
//!
//! Pods read the key from a Secret of their own namespace. In the namespaces that `obtrace-zero allow` has marked, and nowhere else, the leader keeps
//! that Secret equal to the one of the operator's namespace. It has the right to do so for that one name there, and never lists Secrets.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{DEFAULT_RESOURCE, FIELD_MANAGER, KEY_ANNOTATION, cluster::said, labels};
use crate::{
    crd::{ObtraceInstrumentation, SecretReference},
    index::SYSTEM_NAMESPACE,
};

/// How often the copies are looked at.
const EVERY: Duration = Duration::from_secs(60);
/// How long one look may take.
const LONGEST: Duration = Duration::from_secs(50);
/// The most namespaces that are asked for at once.
const PAGE: u32 = 500;

/// Keeps the copies while this replica leads, until it is stopped. What fails is logged, and tried again at the next look.
pub async fn run(client: Client, leader: watch::Receiver<bool>, stop: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leader = leader;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
            // A new leader does not wait.
            Ok(()) = leader.changed() => {}
        }
        if !*leader.borrow_and_update() {
            continue;
        }
        match timeout(LONGEST, once(&client)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => info!(namespaces = count, "the API key was brought up to date"),
            Ok(Err(error)) => warn!(error = said(&error), "the API key cannot be copied; trying again in {EVERY:?}"),
            Err(_) => warn!("copying the API key took too long; trying again in {EVERY:?}"),
        }
    }
}

/// Looks at every namespace that is allowed; in how many the key was not what it is.
///
/// # Errors
///
/// What the API server says where it is about all of them; of a single one it is logged.
pub async fn once(client: &Client) -> Result<u64, kube::Error> {
    let reference = reference(client).await?;
    let original = Api::<Secret>::namespaced(client.clone(), SYSTEM_NAMESPACE).get_opt(&reference.name).await?;
    let Some(key) = original.and_then(|secret| secret.data?.remove(&reference.key)) else { return Ok(0) };
    let mut changed = 0;
    for namespace in allowed(client).await? {
        let api = Api::<Secret>::namespaced(client.clone(), &namespace);
        let copy = match api.get_opt(&reference.name).await {
            Ok(copy) => copy,
            Err(error) => {
                warn!(
                    namespace,
                    error = said(&error),
                    "cannot read the copy of the API key; run `obtrace-zero allow -n {namespace}`"
                );
                continue;
            }
        };
        if copy.as_ref().and_then(|copy| copy.data.as_ref()?.get(&reference.key)) == Some(&key) {
            continue;
        }
        if copy.is_some_and(|copy| !is_ours(&copy)) {
            // Somebody has put a key of their own there.
            continue;
        }
        let wanted = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": reference.name, "namespace": namespace, "labels": labels() },
            "type": "Opaque",
            "data": { reference.key.as_str(): key },
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match api.patch(&reference.name, &params, &Patch::Apply(&wanted)).await {
            Ok(_) => changed += 1,
            Err(error) => {
                warn!(
                    namespace,
                    error = said(&error),
                    "cannot copy the API key; run `obtrace-zero allow -n {namespace}`"
                );
            }
        }
    }
    Ok(changed)
}

fn is_ours(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get("app.kubernetes.io/part-of")).is_some_and(|value| value == "obtrace-zero")
}

/// Which Secret the key is in, by the resource for the whole cluster.
async fn reference(client: &Client) -> Result<SecretReference, kube::Error> {
    let api = Api::<ObtraceInstrumentation>::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let resource = api.get_opt(DEFAULT_RESOURCE).await?;
    Ok(resource.map(|resource| resource.spec.api_key_secret_ref).unwrap_or_default())
}

/// The namespaces that are allowed.
async fn allowed(client: &Client) -> Result<Vec<String>, kube::Error> {
    let api = Api::<Namespace>::all(client.clone());
    let mut params = ListParams::default().limit(PAGE);
    let mut names = Vec::new();
    loop {
        let page = api.list_metadata(&params).await?;
        for namespace in page.items {
            let annotations = namespace.metadata.annotations.unwrap_or_default();
            if annotations.get(KEY_ANNOTATION).is_some_and(|value| value == "true") {
                names.extend(namespace.metadata.name);
            }
        }
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params = params.continue_token(&token),
            _ => return Ok(names),
        }
    }
}
