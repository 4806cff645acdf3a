//! `obtrace-zero upgrade`.

use std::time::Duration;

use obtrace_cli::{Color, Failure, say, warn, write_out};
use serde_json::{Map, Value, json};

use super::{
    allow,
    arguments::Upgrade,
    connect,
    install::{self, apply, deployment},
    progress::Progress,
    skew::{self, Versions},
    wait::{self, Deadline},
};
use crate::install::{ApiKey, Cluster, DEFAULT_OPERATOR_IMAGE, Options, name_of, objects};

/// How long after its Pods are ready a new version may take to lead.
const LEADS_WITHIN: Duration = Duration::from_secs(30);

pub(in crate::cli) async fn run(flags: &Upgrade, color: Color) -> Result<(), Failure> {
    let cluster = connect(&flags.connection).await?;
    install::preflight(&cluster, color).await?;
    let Some(former) = cluster.get(&deployment()).await.map_err(Failure::failed)? else {
        return Err(Failure::failed("Obtrace Zero is not installed here: use `obtrace-zero install`"));
    };
    let mut options = as_installed(&cluster, &former).await?;
    options.image = flags.image.clone().unwrap_or_else(|| released(&options.image));
    let mut objects = objects(&options);
    // What users may have changed since stays as it is.
    objects.retain(|object| !matches!(object["kind"].as_str(), Some("ObtraceInstrumentation" | "Secret")));
    install::rights(&cluster, &objects).await?;
    if flags.dry_run {
        let mut out = String::new();
        for object in &objects {
            out.push_str(&install::tried(&cluster, object).await?);
        }
        return write_out(out.as_bytes());
    }
    let mut progress = Progress::new(color);
    let deadline = Deadline::after(flags.waiting.timeout);
    for object in &objects {
        apply(&cluster, object, &mut progress, &deadline).await?;
    }
    if flags.waiting.no_wait {
        return Ok(());
    }
    let Err(failure) = wait::rollout(&cluster, &deployment(), &deadline, &mut progress).await else {
        if flags.image.is_none() {
            led(&cluster).await;
        }
        drop(progress);
        say(format_args!("the operator is {}", options.image));
        return Ok(());
    };
    cluster.apply(&bare(&former), false).await.map_err(|error| {
        Failure::failed(format_args!("{failure}\nand the former Deployment could not be put back: {error}"))
    })?;
    drop(progress);
    warn(
        format_args!(
            "the former Deployment is put back; the rights are those of {}, and a definition is never put back",
            skew::OURS
        ),
        color,
    );
    Err(failure)
}

/// Waits until a replica of this version leads, which says so: the one that led goes on until nobody sends to it any more. Whoever asks next for
/// the versions is told what is.
async fn led(cluster: &Cluster) {
    let deadline = Deadline::after(LEADS_WITHIN);
    while Versions::of(cluster).await.is_ok_and(|versions| versions.operator != skew::Version::ours()) {
        if deadline.moment("no replica of the new version leads", &[]).await.is_err() {
            return;
        }
    }
}

/// The options that the installation in the cluster was made with.
async fn as_installed(cluster: &Cluster, deployment: &Value) -> Result<Options, Failure> {
    let mut options = Options::new();
    let mut live = Map::new();
    for object in
        objects(&Options { restarts: true, certificates: crate::install::Certificates::CertManager, ..Options::new() })
    {
        if let Some(found) = cluster.get(&object).await.map_err(Failure::failed)? {
            live.insert(name_of(&object), found);
        }
    }
    options.read(deployment, &live);
    let reference = allow::reference(cluster).await?;
    options.api_key = ApiKey::Secret(reference);
    Ok(options)
}

/// The image of this version, where the installed one comes from: many clusters reach no registry but their own.
fn released(installed: &str) -> String {
    let version = DEFAULT_OPERATOR_IMAGE.rsplit_once(':').map_or("latest", |(_, version)| version);
    let named = installed.split('@').next().unwrap_or_default();
    // A colon before the last slash is that of a port.
    let name = named.rfind('/').map_or(0, |slash| slash.saturating_add(1));
    let tag = named.get(name..).and_then(|last| last.find(':')).map_or(named.len(), |colon| name.saturating_add(colon));
    match named.get(..tag) {
        Some(repository) if !repository.is_empty() => format!("{repository}:{version}"),
        _ => DEFAULT_OPERATOR_IMAGE.to_owned(),
    }
}

/// What can be applied again of an object as it was.
fn bare(former: &Value) -> Value {
    json!({
        "apiVersion": former["apiVersion"],
        "kind": former["kind"],
        "metadata": {
            "name": former["metadata"]["name"],
            "namespace": former["metadata"]["namespace"],
            "labels": former["metadata"]["labels"],
        },
        "spec": former["spec"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_stays_in_the_registry_of_what_is_installed() {
        let version = DEFAULT_OPERATOR_IMAGE.rsplit_once(':').unwrap().1;
        for (installed, repository) in [
            ("ghcr.io/obtrace/obtrace-zero:0.0.1", "ghcr.io/obtrace/obtrace-zero"),
            ("registry.example:5000/mirror/obtrace-zero", "registry.example:5000/mirror/obtrace-zero"),
            ("registry.example:5000/mirror/obtrace-zero:0.0.1", "registry.example:5000/mirror/obtrace-zero"),
            ("registry.example/obtrace-zero:0.0.1@sha256:0123", "registry.example/obtrace-zero"),
            ("registry.example/obtrace-zero@sha256:0123", "registry.example/obtrace-zero"),
            ("obtrace-zero:dev", "obtrace-zero"),
        ] {
            assert_eq!(released(installed), format!("{repository}:{version}"), "{installed}");
        }
        assert_eq!(released(""), DEFAULT_OPERATOR_IMAGE);
    }
}
