//! `obtrace-zero doctor`.

mod rights;

use std::{net::ToSocketAddrs, time::Duration};

use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};
use obtrace_cli::{Color, Failure, paint, write_out};
use obtrace_patch::Version;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    allow,
    arguments::Doctor,
    certificate, connect,
    install::{deployment, others},
    restore,
    skew::{self, Versions},
    wait, world,
};
use crate::{
    index::{DEFAULT_INGEST_URL, SYSTEM_NAMESPACE},
    install::{Cluster, OLDEST_KUBERNETES, OPERATOR, Options, Rollout, list, name_of, objects, said, text},
};

/// How long the ingest service may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How far clocks may be apart, in seconds: less than the tolerance that certificates are made with.
const CLOCK: i64 = 60;

#[derive(Clone, Copy, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

/// What was looked at, what is so, and what to do.
#[derive(Serialize)]
struct Check {
    name: &'static str,
    result: Verdict,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, result: Verdict::Ok, detail: detail.into(), advice: None }
    }

    fn warning(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, result: Verdict::Warning, detail: detail.into(), advice: Some(advice.into()) }
    }

    fn failed(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, result: Verdict::Failed, detail: detail.into(), advice: Some(advice.into()) }
    }
}

pub(in crate::cli) async fn run(flags: &Doctor, color: Color) -> Result<(), Failure> {
    let cluster = connect(&flags.connection).await?;
    let checks = [
        version(&cluster).await,
        clock(&cluster).await,
        parts(&cluster).await,
        operator(&cluster).await,
        versions(&cluster).await,
        rights::check(&cluster).await,
        security(&cluster).await,
        certificate(&cluster).await,
        webhook(&cluster).await,
        vendors(&cluster).await,
        resources(&cluster).await,
        key(&cluster).await,
        ingest(&cluster).await,
    ];
    let failed = checks.iter().filter(|check| check.result == Verdict::Failed).count();
    let out = if flags.json {
        format!("{}\n", json!({ "ok": failed == 0, "checks": checks }))
    } else {
        checks.iter().map(|check| describe(check, color.stdout)).collect()
    };
    write_out(out.as_bytes())?;
    match failed {
        0 => Ok(()),
        1 => Err(Failure::failed("a check failed")),
        _ => Err(Failure::failed(format_args!("{failed} checks failed"))),
    }
}

fn describe(check: &Check, color: bool) -> String {
    let (word, code) = match check.result {
        Verdict::Ok => ("ok", "32"),
        Verdict::Warning => ("warning", "33"),
        Verdict::Failed => ("failed", "1;31"),
    };
    let advice = check.advice.as_ref().map(|advice| format!("{:23}{advice}\n", "")).unwrap_or_default();
    format!(
        "{}{:pad$} {:<13} {}\n{advice}",
        paint(word, code, color),
        "",
        check.name,
        check.detail,
        pad = 8_usize.saturating_sub(word.len())
    )
}

async fn version(cluster: &Cluster) -> Check {
    const NAME: &str = "kubernetes";
    let (major, minor) = OLDEST_KUBERNETES;
    match cluster.client().apiserver_version().await {
        Err(error) => Check::failed(
            NAME,
            said(&error),
            "check the kubeconfig, and whether the API server can be reached from here",
        ),
        Ok(info) if Version::parse(&info.git_version).is_some_and(|it| it < Version::new(major, minor)) => {
            Check::failed(NAME, info.git_version, format!("{major}.{minor} is the oldest that Obtrace Zero works on"))
        }
        Ok(info) => Check::ok(NAME, info.git_version),
    }
}

/// Certificates end by the API server's clock, telemetry is dated by the nodes'.
async fn clock(cluster: &Cluster) -> Check {
    const NAME: &str = "clock";
    let unknown = |why: String| Check::warning(NAME, why, "compare the clocks by hand");
    let Ok(request) = http::Request::get("/version").body(kube::client::Body::empty()) else {
        return unknown("the API server cannot be asked".into());
    };
    let date = match cluster.client().send(request).await {
        Ok(answer) => answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok()).map(str::to_owned),
        Err(error) => return unknown(said(&error)),
    };
    let Some(theirs) = date.as_deref().and_then(|date| rfc2822::parse(date).ok()) else {
        return unknown("the API server does not say its time".into());
    };
    let apart = theirs.timestamp().as_second().abs_diff(Timestamp::now().as_second());
    if apart > CLOCK.unsigned_abs() {
        return Check::failed(
            NAME,
            format!("this machine's and the API server's are {apart} s apart"),
            "set both by NTP: certificates are refused before they begin, and telemetry is dated wrongly",
        );
    }
    Check::ok(NAME, "this machine's and the API server's agree")
}

/// Whether everything is there that an installation makes.
async fn parts(cluster: &Cluster) -> Check {
    const NAME: &str = "installation";
    let mut options = Options::new();
    options.default_resource = false;
    let mut missing = Vec::new();
    for object in objects(&options) {
        match cluster.get(&object).await {
            Ok(Some(_)) => {}
            Ok(None) => missing.push(name_of(&object)),
            Err(error) => return Check::failed(NAME, error.to_string(), "check your rights in the cluster"),
        }
    }
    if missing.is_empty() {
        return Check::ok(NAME, "complete");
    }
    Check::failed(
        NAME,
        format!("missing: {}", missing.join(", ")),
        "run `obtrace-zero install`: it makes what is missing",
    )
}

async fn operator(cluster: &Cluster) -> Check {
    const NAME: &str = "operator";
    match Rollout::of(cluster, &deployment()).await {
        Err(error) => Check::failed(NAME, error.to_string(), "check your rights in the cluster"),
        Ok(None) => Check::failed(NAME, format!("there is no Deployment {OPERATOR}"), "run `obtrace-zero install`"),
        Ok(Some(rollout)) if rollout.done => Check::ok(NAME, format!("{} of {} ready", rollout.ready, rollout.wanted)),
        Ok(Some(rollout)) => {
            let why =
                if rollout.reasons.is_empty() { String::new() } else { format!(": {}", rollout.reasons.join("; ")) };
            let advice = match why.as_str() {
                why if why.contains("ImagePull") => {
                    "see that the nodes reach the registry, or name another image by `obtrace-zero upgrade --image`"
                }
                why if why.contains("CrashLoopBackOff") => {
                    "see `kubectl -n obtrace-system logs deployment/obtrace-zero-operator --previous`"
                }
                why if why.contains("quota") => "raise the ResourceQuota of obtrace-system",
                _ => "see `kubectl -n obtrace-system describe pods`",
            };
            Check::failed(NAME, format!("{} of {} ready{why}", rollout.ready, rollout.wanted), advice)
        }
    }
}

/// Whether this program, the operator and the definition work together.
async fn versions(cluster: &Cluster) -> Check {
    const NAME: &str = "versions";
    let versions = match Versions::of(cluster).await {
        Ok(versions) => versions,
        Err(failure) => return Check::failed(NAME, failure.to_string(), "check your rights in the cluster"),
    };
    match skew::Version::ours().and_then(|ours| versions.skew(ours)) {
        None => Check::ok(NAME, versions.describe()),
        Some(skew) if skew.too_far => {
            let detail = format!("{}: more than one minor apart", versions.describe());
            Check::failed(NAME, detail, skew.advice)
        }
        Some(skew) => Check::warning(NAME, versions.describe(), skew.advice),
    }
}

async fn security(cluster: &Cluster) -> Check {
    const NAME: &str = "pod security";
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": SYSTEM_NAMESPACE } });
    let level = match cluster.get(&namespace).await {
        Ok(Some(found)) => text(&found, "/metadata/labels/pod-security.kubernetes.io~1enforce").to_owned(),
        Ok(None) => {
            return Check::failed(
                NAME,
                format!("there is no namespace {SYSTEM_NAMESPACE}"),
                "run `obtrace-zero install`",
            );
        }
        Err(error) => return Check::failed(NAME, error.to_string(), "check your rights in the cluster"),
    };
    // Namespaces that enforce a level take no sidecar; what is compiled is then left to the agent of the node.
    let strict = match cluster
        .list("v1", "Namespace", "", "pod-security.kubernetes.io/enforce in (baseline,restricted)")
        .await
    {
        Ok(found) => found.iter().filter(|it| text(it, "/metadata/name") != SYSTEM_NAMESPACE).count(),
        Err(_) => 0,
    };
    let note = if strict == 0 { String::new() } else { format!("; {strict} namespaces take no eBPF sidecar") };
    match level.as_str() {
        "restricted" => Check::ok(NAME, format!("{SYSTEM_NAMESPACE} enforces restricted{note}")),
        "" => Check::warning(
            NAME,
            format!("{SYSTEM_NAMESPACE} enforces no level{note}"),
            "run `obtrace-zero install`: it labels the namespace",
        ),
        other => Check::warning(
            NAME,
            format!("{SYSTEM_NAMESPACE} enforces {other}{note}"),
            "the operator works with restricted as well",
        ),
    }
}

async fn certificate(cluster: &Cluster) -> Check {
    const NAME: &str = "certificate";
    match certificate::of(cluster).await {
        Ok(found) => Check::ok(NAME, format!("valid for {} days", found.days_left())),
        Err(why) => {
            let (detail, advice) = why.split_once(": ").unwrap_or((&why, "see the operator's logs"));
            Check::failed(NAME, detail, advice)
        }
    }
}

async fn webhook(cluster: &Cluster) -> Check {
    const NAME: &str = "webhook";
    match wait::is_expected(cluster).await {
        Ok(true) => {}
        Ok(false) => {
            let advice = "make a Pod that a resource is for, and look at it";
            return Check::warning(NAME, "no resource instruments Pods of the namespace default: not tried", advice);
        }
        Err(failure) => return Check::failed(NAME, failure.to_string(), "check your rights in the cluster"),
    }
    match wait::try_webhook(cluster).await {
        Ok(()) => Check::ok(NAME, "a Pod that was created on trial is instrumented"),
        Err(why) => {
            let advice = "see that a Pod of the operator is ready, and that the API server reaches port 9443 of it \
                          (firewall of a private cluster, NetworkPolicy)";
            Check::failed(NAME, why, advice)
        }
    }
}

async fn vendors(cluster: &Cluster) -> Check {
    const NAME: &str = "others";
    let found = others(cluster).await;
    if found.is_empty() {
        return Check::ok(NAME, "no other vendor changes Pods");
    }
    let names: Vec<_> = found.into_iter().map(|(name, vendor)| format!("{vendor} ({name})")).collect();
    let advice = "containers that have its agent are left alone unless a resource sets coexist";
    Check::warning(NAME, format!("also changes Pods: {}", names.join(", ")), advice)
}

async fn resources(cluster: &Cluster) -> Check {
    const NAME: &str = "resources";
    let world = match world::of(cluster).await {
        Ok(world) => world,
        Err(failure) => return Check::failed(NAME, failure.to_string(), "check your rights in the cluster"),
    };
    if world.resources.is_empty() {
        return Check::failed(
            NAME,
            "there is no ObtraceInstrumentation",
            "make one, or run `obtrace-zero install` without --no-default",
        );
    }
    let invalid = world.resources.iter().find_map(|resource| {
        let name = resource.metadata.name.clone().unwrap_or_default();
        resource.check().err().map(|error| format!("{name}: {error}"))
    });
    match invalid {
        Some(why) => Check::failed(NAME, why, "correct the resource"),
        None => Check::ok(NAME, format!("{} ObtraceInstrumentations", world.resources.len())),
    }
}

/// Whether the namespaces with instrumented Pods have the key.
async fn key(cluster: &Cluster) -> Check {
    const NAME: &str = "api key";
    let reference = match allow::reference(cluster).await {
        Ok(reference) => reference,
        Err(failure) => return Check::failed(NAME, failure.to_string(), "check your rights in the cluster"),
    };
    let secret = |namespace: &str| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": reference.name, "namespace": namespace } });
    match cluster.get(&secret(SYSTEM_NAMESPACE)).await {
        Ok(Some(_)) => {}
        Ok(None) => {
            let detail = format!("there is no Secret {SYSTEM_NAMESPACE}/{}", reference.name);
            return Check::warning(NAME, detail, "run `obtrace-zero install --api-key-file FILE`");
        }
        Err(error) => return Check::warning(NAME, error.to_string(), "only who may read Secrets can check them"),
    }
    let pods = restore::instrumented(cluster).await.unwrap_or_default();
    let mut namespaces: Vec<_> = pods.iter().map(|pod| text(pod, "/metadata/namespace")).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut without = Vec::new();
    for namespace in namespaces {
        if matches!(cluster.get(&secret(namespace)).await, Ok(None)) {
            without.push(namespace);
        }
    }
    if without.is_empty() {
        return Check::ok(NAME, "is where it is needed");
    }
    let advice = format!("run `obtrace-zero allow -n {}`", without.join(" -n "));
    Check::failed(NAME, format!("is missing in {}: what their Pods send is refused", without.join(", ")), advice)
}

/// Whether the ingest service accepts connections: by its endpoints where it is a Service, else from here.
async fn ingest(cluster: &Cluster) -> Check {
    const NAME: &str = "ingest";
    let urls = match world::of(cluster).await {
        Ok(world) => world.resources.iter().filter_map(|it| it.spec.ingest_url.clone()).collect::<Vec<_>>(),
        Err(failure) => return Check::failed(NAME, failure.to_string(), "check your rights in the cluster"),
    };
    let url = urls.into_iter().next().unwrap_or_else(|| DEFAULT_INGEST_URL.to_owned());
    let Ok(uri) = url.parse::<http::Uri>() else {
        return Check::failed(NAME, format!("{url} is no URL"), "correct ingestUrl of the ObtraceInstrumentation");
    };
    let host = uri.host().unwrap_or_default().to_owned();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let parts: Vec<_> = host.split('.').collect();
    if let [service, namespace, "svc", ..] = parts.as_slice() {
        return ingest_service(cluster, service, namespace).await;
    }
    let target = (host.trim_matches(['[', ']']).to_owned(), port);
    let tried = tokio::task::spawn_blocking(move || {
        let mut last = std::io::Error::other("the name has no address");
        for address in target.to_socket_addrs()? {
            match std::net::TcpStream::connect_timeout(&address, CONNECT) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    });
    match tried.await {
        Ok(Ok(())) => Check::ok(NAME, format!("{url} accepts connections from here")),
        Ok(Err(error)) => Check::warning(
            NAME,
            format!("{url} cannot be reached from here: {error}"),
            "see whether Pods reach it: a proxy, an egress policy or the name may differ there",
        ),
        Err(error) => Check::warning(NAME, error.to_string(), "try again"),
    }
}

async fn ingest_service(cluster: &Cluster, service: &str, namespace: &str) -> Check {
    const NAME: &str = "ingest";
    let label = format!("kubernetes.io/service-name={service}");
    let advice =
        "telemetry is lost until it is there: correct ingestUrl of the ObtraceInstrumentation, or start the service";
    match cluster.list("discovery.k8s.io/v1", "EndpointSlice", namespace, &label).await {
        Err(error) => Check::warning(NAME, error.to_string(), "check your rights in the cluster"),
        Ok(slices) => {
            let mut endpoints = slices.iter().flat_map(|slice| list(slice, "/endpoints"));
            if endpoints.any(|endpoint| endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false))) {
                return Check::ok(NAME, format!("the Service {namespace}/{service} has endpoints"));
            }
            Check::failed(NAME, format!("the Service {namespace}/{service} has no ready endpoint"), advice)
        }
    }
}
