//! `obtrace-zero install`.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::PostParams;
use obtrace_cli::{Color, Failure, say, warn, write_out};
use obtrace_patch::Version;
use serde_json::{Value, json};

use super::{
    allow,
    arguments::{self, Form, Install, Policy},
    connect,
    progress::Progress,
    skew,
    wait::{self, Deadline},
};
use crate::{
    crd::SecretReference,
    index::SYSTEM_NAMESPACE,
    install::{
        ApiKey, Certificates, Changed, Cluster, DEFAULT_RESOURCE, FailurePolicy, OLDEST_KUBERNETES, OPERATOR, Options,
        name_of, objects, text, unwanted,
    },
    manifests,
};

/// The longest file with an API key, in bytes.
const MAX_KEY: u64 = 64 << 10;

/// Others that change Pods when they are created, as their webhooks are called.
const OTHERS: [(&str, &str); 9] = [
    ("opentelemetry", "OpenTelemetry's operator"),
    ("odigos", "Odigos"),
    ("datadog", "Datadog"),
    ("dynatrace", "Dynatrace"),
    ("beyla", "Beyla"),
    ("newrelic", "New Relic"),
    ("instana", "Instana"),
    ("dash0", "Dash0"),
    ("elastic-apm", "Elastic APM"),
];

pub(in crate::cli) async fn run(flags: &Install, color: Color) -> Result<(), Failure> {
    let mut options = options(flags)?;
    if flags.output == Some(Form::Yaml) {
        options.certificates = certificates(flags, false);
        return print(&options, flags);
    }
    let cluster = connect(&flags.connection).await?;
    preflight(&cluster, color).await?;
    options.certificates = certificates(flags, has_cert_manager(&cluster).await?);
    if flags.api_server_port.is_empty() {
        options.api_server_ports.extend(api_server_ports(&cluster).await);
    }
    keep(&cluster, &mut options).await?;
    let objects = objects(&options);
    rights(&cluster, &objects).await?;
    if flags.dry_run {
        return preview(&cluster, &objects, flags).await;
    }
    let mut progress = Progress::new(color);
    let deadline = Deadline::after(flags.waiting.timeout);
    // The webhook comes last, when what answers it is there: with the policy Fail no Pod could be made until then.
    let (webhook, rest): (Vec<_>, Vec<_>) =
        objects.iter().partition(|object| object["kind"] == "MutatingWebhookConfiguration");
    for object in rest {
        apply(&cluster, object, &mut progress, &deadline).await?;
    }
    for namespace in &flags.allow {
        allow::one(&cluster, namespace, &mut progress).await?;
    }
    if !flags.waiting.no_wait {
        wait::rollout(&cluster, &deployment(), &deadline, &mut progress).await?;
    }
    for object in webhook {
        apply(&cluster, object, &mut progress, &deadline).await?;
    }
    for object in unwanted(&options) {
        if cluster.delete(&object).await.map_err(Failure::failed)? {
            progress.done(&name_of(&object), "deleted");
        }
    }
    if !flags.waiting.no_wait {
        if wait::is_expected(&cluster).await? {
            wait::webhook(&cluster, &deadline, &mut progress).await?;
        } else {
            say("no resource instruments Pods of the namespace default: whether the webhook answers is not tried");
        }
    }
    drop(progress);
    next_steps(&options, flags, color);
    Ok(())
}

/// The operator's Deployment, by its name.
pub(super) fn deployment() -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": OPERATOR, "namespace": SYSTEM_NAMESPACE } })
}

/// Applies one object; a definition is waited for, and left as it is if it is newer.
pub(super) async fn apply(
    cluster: &Cluster,
    object: &Value,
    progress: &mut Progress,
    deadline: &Deadline,
) -> Result<Changed, Failure> {
    if let Some(newer) = skew::newer_definition(cluster, object).await? {
        progress.done(&name_of(object), &left(newer));
        return Ok(Changed::Unchanged);
    }
    let changed = cluster.apply(&as_it_may_be(cluster, object).await?, false).await.map_err(Failure::failed)?;
    if object["kind"] == "CustomResourceDefinition" {
        wait::established(cluster, object, deadline).await?;
    }
    progress.done(&name_of(object), changed.as_str());
    Ok(changed)
}

/// What would become of an object, for a trial.
pub(super) async fn tried(cluster: &Cluster, object: &Value) -> Result<String, Failure> {
    if let Some(newer) = skew::newer_definition(cluster, object).await? {
        return Ok(format!("{} {} (dry run)\n", name_of(object), left(newer)));
    }
    let name = name_of(object);
    match cluster.apply(object, true).await {
        Ok(changed) => Ok(format!("{name} {} (dry run)\n", changed.as_str())),
        // What it needs would only be there if this were no trial: its namespace, or its kind.
        Err(error) if error.is_not_found() => Ok(format!("{name} created (dry run, unchecked)\n")),
        Err(error) => Err(Failure::failed(error)),
    }
}

/// What is said of a definition that stays.
fn left(newer: skew::Version) -> String {
    format!("unchanged: it is that of {newer}, and holds what {} knows as well", skew::OURS)
}

/// What is applied of an object. A namespace that somebody else made stays theirs, and one that was opened, as for the agents of nodes, stays
/// open.
pub(super) async fn as_it_may_be(cluster: &Cluster, object: &Value) -> Result<Value, Failure> {
    let mut wanted = object.clone();
    if object["kind"] == "Namespace"
        && let Some(found) = cluster.get(object).await.map_err(Failure::failed)?
        && let Some(Value::Object(labels)) = wanted.pointer_mut("/metadata/labels")
    {
        let theirs = text(&found, "/metadata/labels/app.kubernetes.io~1part-of") != "obtrace-zero";
        let level = text(&found, "/metadata/labels/pod-security.kubernetes.io~1enforce");
        let open = !matches!(level, "" | "restricted");
        labels.retain(|name, _| if name.starts_with("pod-security.kubernetes.io/") { !open } else { !theirs });
    }
    Ok(wanted)
}

fn options(flags: &Install) -> Result<Options, Failure> {
    let mut options = Options::new();
    let set = |place: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            place.clone_from(value);
        }
    };
    set(&mut options.image, &flags.image);
    set(&mut options.agent_image, &flags.agent_image);
    set(&mut options.ebpf_image, &flags.ebpf_image);
    options.image_pull_secrets.clone_from(&flags.image_pull_secret);
    options.replicas = flags.replicas;
    options.priority_class.clone_from(&flags.priority_class);
    options.ingest_url.clone_from(&flags.ingest_url);
    options.api_key = key(flags)?;
    options.default_resource = !flags.no_default;
    options.failure_policy = match flags.failure_policy {
        Policy::Ignore => FailurePolicy::Ignore,
        Policy::Fail => FailurePolicy::Fail,
    };
    options.timeout_seconds = flags.webhook_timeout;
    options.exclude_namespaces.clone_from(&flags.exclude_namespace);
    options.restarts = flags.allow_restarts;
    if !flags.api_server_port.is_empty() {
        options.api_server_ports = flags.api_server_port.iter().map(|port| u32::from(*port)).collect();
    }
    options.image_lookups = flags.image_lookups;
    options.image_registries.clone_from(&flags.image_registries);
    options.insecure_registries.clone_from(&flags.insecure_registry);
    let insecure =
        flags.insecure_registry.iter().map(|host| host.rsplit_once(':').map_or(Some(80), |it| it.1.parse().ok()));
    let named = flags.image_registries.iter().map(|host| host.rsplit_once(':')?.1.parse().ok());
    for port in flags.registry_port.iter().map(|port| Some(u32::from(*port))).chain(named).chain(insecure).flatten() {
        if !options.registry_ports.contains(&port) {
            options.registry_ports.push(port);
        }
    }
    options.trace_to.clone_from(&flags.trace_to);
    options.check().map_err(Failure::usage)?;
    if flags.no_default && matches!(&options.api_key, ApiKey::Secret(secret) if *secret != SecretReference::default()) {
        return Err(Failure::usage(
            "with --no-default there is no resource to name another Secret than obtrace-api-key/api-key in: leave out one of \
             --no-default and --api-key-secret",
        ));
    }
    Ok(options)
}

fn key(flags: &Install) -> Result<ApiKey, Failure> {
    if let Some(name) = &flags.api_key_secret {
        let (name, key) = name.split_once('/').unwrap_or((name, "api-key"));
        return Ok(ApiKey::Secret(SecretReference::new(name, key)));
    }
    if let Some(path) = &flags.api_key_file {
        let failed = |error| Failure::failed(format_args!("cannot read the API key from {}: {error}", path.display()));
        return Ok(ApiKey::Value(read_key(path).map_err(failed)?.trim().to_owned()));
    }
    Ok(flags.api_key.clone().map_or(ApiKey::None, ApiKey::Value))
}

fn read_key(path: &Path) -> io::Result<String> {
    let input: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(fs::File::open(path)?) };
    let mut text = String::new();
    input.take(MAX_KEY).read_to_string(&mut text)?;
    Ok(text)
}

fn certificates(flags: &Install, has_cert_manager: bool) -> Certificates {
    match flags.certificates {
        arguments::Certificates::CertManager => Certificates::CertManager,
        arguments::Certificates::Auto if has_cert_manager => Certificates::CertManager,
        arguments::Certificates::Auto | arguments::Certificates::Operator => Certificates::Operator,
    }
}

/// The objects as documents of YAML.
fn print(options: &Options, flags: &Install) -> Result<(), Failure> {
    let mut all = objects(options);
    let webhook = all.pop();
    for namespace in &flags.allow {
        all.extend(crate::install::allowed(namespace, &options.key_reference().name));
        say(format_args!(
            "to have the key copied there: kubectl annotate namespace {namespace} {}=true",
            crate::install::KEY_ANNOTATION
        ));
    }
    all.extend(webhook);
    let mut out = String::new();
    for object in &all {
        out.push_str("---\n");
        out.push_str(&manifests::to_yaml(object).map_err(Failure::failed)?);
    }
    write_out(out.as_bytes())
}

/// Whether it can work here at all, and what stands beside it.
pub(super) async fn preflight(cluster: &Cluster, color: Color) -> Result<(), Failure> {
    let version = cluster.client().apiserver_version().await;
    let version = version.map_err(|error| {
        Failure::failed(format_args!("cannot ask the cluster for its version: {}", crate::install::said(&error)))
    })?;
    let (major, minor) = OLDEST_KUBERNETES;
    if Version::parse(&version.git_version).is_some_and(|it| it < Version::new(major, minor)) {
        return Err(Failure::failed(format_args!(
            "the cluster is Kubernetes {}; {major}.{minor} is the oldest that Obtrace Zero works on",
            version.git_version
        )));
    }
    if let Some(found) = cluster.get(&deployment()).await.map_err(Failure::failed)? {
        let release = found.pointer("/metadata/annotations").and_then(|all| all.get("meta.helm.sh/release-name"));
        if let Some(release) = release.and_then(Value::as_str) {
            return Err(Failure::failed(format_args!(
                "Obtrace Zero is installed by the Helm release {release}: use `helm upgrade {release}`, or uninstall that first"
            )));
        }
    }
    for (name, vendor) in others(cluster).await {
        warn(
            format_args!(
                "{vendor} changes Pods here, too (MutatingWebhookConfiguration {name}): containers that have its agent are left \
                 alone unless a resource sets coexist"
            ),
            color,
        );
    }
    Ok(())
}

/// The webhooks of other vendors: the configuration's name and the vendor's.
pub(super) async fn others(cluster: &Cluster) -> Vec<(String, &'static str)> {
    let all = cluster.list("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "", "").await;
    let names =
        all.unwrap_or_default().into_iter().filter_map(|it| Some(it.pointer("/metadata/name")?.as_str()?.to_owned()));
    names
        .filter_map(|name| {
            let vendor = OTHERS.iter().find(|(word, _)| name.to_ascii_lowercase().contains(word))?.1;
            Some((name, vendor))
        })
        .collect()
}

/// Whether cert-manager's kinds are there.
async fn has_cert_manager(cluster: &Cluster) -> Result<bool, Failure> {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "certificates.cert-manager.io" },
    });
    Ok(cluster.get(&definition).await.map_err(Failure::failed)?.is_some())
}

/// The ports that the API server is reached on from inside, beside the usual ones.
async fn api_server_ports(cluster: &Cluster) -> Vec<u32> {
    let slices = cluster
        .list("discovery.k8s.io/v1", "EndpointSlice", "default", "kubernetes.io/service-name=kubernetes")
        .await
        .unwrap_or_default();
    let ports = slices.iter().filter_map(|slice| slice["ports"].as_array()).flatten();
    ports.filter_map(|port| port["port"].as_u64()?.try_into().ok()).collect()
}

/// What was said at an earlier installation and is not said now is kept: where telemetry goes, which Secret holds the key, which namespaces
/// are left alone, which images Pods get.
async fn keep(cluster: &Cluster, options: &mut Options) -> Result<(), Failure> {
    let resource = json!({
        "apiVersion": "obtrace.io/v1alpha1",
        "kind": "ObtraceInstrumentation",
        "metadata": { "name": DEFAULT_RESOURCE, "namespace": SYSTEM_NAMESPACE },
    });
    let Some(found) = cluster.get(&resource).await.map_err(Failure::failed)? else { return Ok(()) };
    let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    if options.ingest_url.is_none() {
        options.ingest_url = text("/spec/ingestUrl");
    }
    if options.api_key == ApiKey::None
        && let (Some(name), Some(key)) = (text("/spec/apiKeySecretRef/name"), text("/spec/apiKeySecretRef/key"))
    {
        options.api_key = ApiKey::Secret(SecretReference::new(name, key));
    }
    if options.exclude_namespaces.is_empty() {
        let names = found.pointer("/spec/exclude/namespaces").and_then(Value::as_array).into_iter().flatten();
        options.exclude_namespaces = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    }
    let standard = Options::new();
    if options.agent_image == standard.agent_image {
        options.agent_image = text("/spec/images/agent").unwrap_or(standard.agent_image);
    }
    if options.ebpf_image == standard.ebpf_image {
        options.ebpf_image = text("/spec/images/ebpf").unwrap_or(standard.ebpf_image);
    }
    Ok(())
}

/// Whether we may do all this; asked before anything is done.
pub(super) async fn rights(cluster: &Cluster, objects: &[Value]) -> Result<(), Failure> {
    let mut missing = Vec::new();
    let mut asked: Vec<(String, String, String)> = Vec::new();
    for object in objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group).to_owned();
        let resource = plural(text("/kind"));
        let key = (group, resource, text("/metadata/namespace").to_owned());
        if asked.contains(&key) {
            continue;
        }
        for verb in ["create", "patch"] {
            if !may(cluster, verb, &key).await? {
                missing.push(format!(
                    "{verb} {}{}",
                    key.1,
                    if key.0.is_empty() { String::new() } else { format!(".{}", key.0) }
                ));
            }
        }
        asked.push(key);
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format_args!("you may not {}: an administrator of the cluster can", missing.join(", nor "))))
}

async fn may(
    cluster: &Cluster,
    verb: &str,
    (group, resource, namespace): &(String, String, String),
) -> Result<bool, Failure> {
    let attributes = ResourceAttributes {
        group: Some(group.clone()),
        resource: Some(resource.clone()),
        namespace: Some(namespace.clone()).filter(|name| !name.is_empty()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), non_resource_attributes: None },
        ..SelfSubjectAccessReview::default()
    };
    let api = kube::Api::<SelfSubjectAccessReview>::all(cluster.client().clone());
    let answer = api.create(&PostParams::default(), &review).await;
    let answer = answer.map_err(|error| {
        Failure::failed(format_args!("cannot ask what you may do: {}", crate::install::said(&error)))
    })?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// The resource of a kind, as rights name it.
pub(super) fn plural(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    match lower.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if lower.ends_with('s') => format!("{lower}es"),
        None => format!("{lower}s"),
    }
}

/// What would change.
async fn preview(cluster: &Cluster, objects: &[Value], flags: &Install) -> Result<(), Failure> {
    let mut out = String::new();
    for object in objects {
        out.push_str(&tried(cluster, object).await?);
    }
    for namespace in &flags.allow {
        out.push_str(&format!("Role and RoleBinding {namespace}/{OPERATOR} applied (dry run, unchecked)\n"));
    }
    write_out(out.as_bytes())
}

fn next_steps(options: &Options, flags: &Install, color: Color) {
    if options.api_key == ApiKey::None {
        warn(
            "there is no API key: Pods look for the Secret obtrace-api-key of their namespace. Give it by --api-key-file",
            color,
        );
    } else if flags.allow.is_empty() {
        say("next: `obtrace-zero allow -n NAMESPACE` brings the API key into a namespace");
    }
    say("Pods that are made from now on are instrumented; `obtrace-zero workloads` lists what runs already");
}
