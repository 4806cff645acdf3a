//! What Obtrace Zero is made of in a cluster, and how it gets there and away again.
//!
//! [`objects`] is the one source: `obtrace-zero install` applies them, `install --output yaml` prints them, and the Helm chart and the
//! kustomize base in `deploy/` are made of them.
//!
//! ```
//! use obtrace_operator::install::{Options, objects};
//!
//! let kinds: Vec<_> = objects(&Options::new()).iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect();
//! // A namespace before what is in it, the webhook when everything behind it is there.
//! assert_eq!((kinds[0].as_str(), kinds[kinds.len() - 1].as_str()), ("Namespace", "MutatingWebhookConfiguration"));
//! ```

mod access;
mod certificate;
#[cfg(feature = "cli")]
pub mod chart;
mod cluster;
mod live;
pub mod mirror;
mod operator;
mod options;
mod ready;
mod resources;
mod webhook;

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

pub(crate) use self::cluster::said;
#[cfg(feature = "cli")]
pub(crate) use self::cluster::{list, text};
pub use self::{
    access::{allowed, allowed_pull_secrets, restarter},
    cluster::{Changed, Cluster, ClusterError, name_of},
    options::{ApiKey, Certificates, FailurePolicy, InvalidOptions, Options},
    ready::Rollout,
    webhook::configuration,
};
use crate::{crd, index::SYSTEM_NAMESPACE, registry::CONFIG_MAP};

/// The name of the operator's Deployment, of its account and of what gives it its rights.
pub const OPERATOR: &str = "obtrace-zero-operator";
/// The Service in front of the webhook.
pub const SERVICE: &str = "obtrace-zero-webhook";
/// The MutatingWebhookConfiguration.
pub const WEBHOOK: &str = "obtrace-zero";
/// The Secret with the webhook's certificate.
pub const CERTIFICATE_SECRET: &str = "obtrace-zero-webhook-tls";
/// The Lease that the replicas elect their leader by.
pub const LEASE: &str = "obtrace-zero-operator";
/// Who `install` is among an object's field managers.
pub const FIELD_MANAGER: &str = "obtrace-zero";
/// The operator's image.
pub const DEFAULT_OPERATOR_IMAGE: &str = concat!("ghcr.io/obtrace/obtrace-zero:", env!("CARGO_PKG_VERSION"));
/// The ObtraceInstrumentation that is for the whole cluster unless there are others.
pub const DEFAULT_RESOURCE: &str = "default";
/// Annotation of a Namespace, `true`: the operator keeps a copy of the API key there. Written by `obtrace-zero allow`.
pub const KEY_ANNOTATION: &str = "obtrace.io/api-key";
/// Annotation of a Namespace: names of pull secrets, with commas between them, that images are looked up with. Written by
/// `obtrace-zero allow --pull-secret`.
pub const PULL_SECRETS_ANNOTATION: &str = "obtrace.io/pull-secrets";
/// The oldest Kubernetes that all of this works on, as (major, minor): `matchConditions` and the pause before a Pod is stopped are in it.
pub const OLDEST_KUBERNETES: (u32, u32) = (1, 30);

/// Everything that these options ask for, in the order in which it has to be applied.
#[must_use]
pub fn objects(options: &Options) -> Vec<Value> {
    let mut objects = vec![namespace(), definition(), operator::account(options)];
    objects.extend(access::cluster());
    objects.extend(access::system(options));
    if options.restarts {
        objects.extend(access::restarter());
    }
    if options.image_lookups {
        objects.extend(access::images());
    }
    objects.extend(api_key(options));
    if options.certificates == Certificates::CertManager {
        objects.extend(certificate::objects());
    }
    objects.extend([operator::service(), operator::network_policy(options), operator::disruption_budget()]);
    objects.push(operator::deployment(options));
    if options.default_resource {
        objects.push(resources::default(options));
    }
    objects.push(webhook::configuration(options));
    objects
}

/// Everything that may be installed with any options, the names only, in the order in which it is taken away: the webhook first.
#[must_use]
pub fn everything() -> Vec<Value> {
    let mut options = Options::new();
    options.restarts = true;
    options.image_lookups = true;
    options.certificates = Certificates::CertManager;
    options.api_key = ApiKey::Value(String::new());
    let mut all: Vec<_> = objects(&options).iter().rev().map(bare).collect();
    // What the operator and cert-manager make themselves.
    let made = [
        ("coordination.k8s.io/v1", "Lease", LEASE),
        ("v1", "ConfigMap", CONFIG_MAP),
        ("v1", "Secret", CERTIFICATE_SECRET),
        ("v1", "Secret", "obtrace-zero-webhook-ca"),
    ];
    let namespace = all.len().saturating_sub(1);
    for (api_version, kind, name) in made {
        all.insert(
            namespace,
            object(api_version, kind, json!({ "name": name, "namespace": SYSTEM_NAMESPACE }), Value::Null),
        );
    }
    all
}

/// What other options make and these do not: rights to restart workloads or to look images up, what cert-manager is asked for.
#[cfg(feature = "cli")]
pub(crate) fn unwanted(options: &Options) -> Vec<Value> {
    let wanted: Vec<_> = objects(options).iter().map(name_of).collect();
    let kinds = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Issuer", "Certificate"];
    let mut all = everything();
    all.retain(|it| kinds.contains(&text(it, "/kind")) && !wanted.contains(&name_of(it)));
    all
}

/// What says which object it is.
fn bare(whole: &Value) -> Value {
    let mut metadata = Map::new();
    for name in ["name", "namespace"] {
        if let Some(value) = whole.get("metadata").and_then(|it| it.get(name)) {
            metadata.insert(name.into(), value.clone());
        }
    }
    object(cluster::text(whole, "/apiVersion"), cluster::text(whole, "/kind"), metadata.into(), Value::Null)
}

/// The labels of everything that is installed.
pub(crate) fn labels() -> Value {
    json!({
        "app.kubernetes.io/component": "operator",
        "app.kubernetes.io/managed-by": "obtrace-zero",
        "app.kubernetes.io/name": "obtrace-zero",
        "app.kubernetes.io/part-of": "obtrace-zero",
    })
}

/// The labels that the operator's Pods are found by. A Deployment's can never be changed.
fn selector() -> Value {
    json!({ "app.kubernetes.io/component": "operator", "app.kubernetes.io/name": "obtrace-zero" })
}

/// An object in no namespace.
fn of_cluster(api_version: &str, kind: &str, name: &str, rest: Value) -> Value {
    object(api_version, kind, json!({ "name": name, "labels": labels() }), rest)
}

/// An object in the operator's namespace.
fn of_system(api_version: &str, kind: &str, name: &str, rest: Value) -> Value {
    object(api_version, kind, json!({ "name": name, "namespace": SYSTEM_NAMESPACE, "labels": labels() }), rest)
}

fn object(api_version: &str, kind: &str, metadata: Value, rest: Value) -> Value {
    let mut object = Map::new();
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    object.insert("metadata".into(), metadata);
    if let Value::Object(rest) = rest {
        object.extend(rest);
    }
    Value::Object(object)
}

/// The operator needs nothing that the strictest level of Pod Security forbids. The agent that observes whole nodes does: an administrator opens
/// the namespace for it, and an installation leaves it open.
fn namespace() -> Value {
    let mut namespace = of_cluster("v1", "Namespace", SYSTEM_NAMESPACE, Value::Null);
    if let Some(Value::Object(labels)) = namespace.pointer_mut("/metadata/labels") {
        for mode in ["audit", "enforce", "warn"] {
            labels.insert(format!("pod-security.kubernetes.io/{mode}"), "restricted".into());
        }
    }
    namespace
}

fn definition() -> Value {
    let mut definition = serde_json::to_value(crd::definition()).unwrap_or_default();
    if let Some(Value::Object(metadata)) = definition.get_mut("metadata") {
        metadata.insert("labels".into(), labels());
    }
    definition
}

/// The Secret, if the key itself is given.
fn api_key(options: &Options) -> Option<Value> {
    let ApiKey::Value(key) = &options.api_key else { return None };
    let key = serde_json::to_value(ByteString(key.as_bytes().to_vec())).unwrap_or_default();
    let data = json!({ "type": "Opaque", "data": { "api-key": key } });
    Some(of_system("v1", "Secret", "obtrace-api-key", data))
}
