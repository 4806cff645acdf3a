//! Who may do what. Every verb is here because something uses it; nothing is granted by a wildcard, and no Secret of another namespace.

use serde_json::{Value, json};

use super::{
    CERTIFICATE_SECRET, DEFAULT_RESOURCE, LEASE, OPERATOR, Options, WEBHOOK, labels, object, of_cluster, of_system,
};
use crate::{index::SYSTEM_NAMESPACE, registry::CONFIG_MAP};

const RBAC: &str = "rbac.authorization.k8s.io/v1";
/// The name of the rights to restart workloads.
const RESTARTER: &str = "obtrace-zero-operator-restarts";

/// The name of the rights to keep what is known of images.
const IMAGES: &str = "obtrace-zero-operator-images";
/// The name of the rights to read pull secrets, in the namespaces where that is allowed.
const PULL_SECRETS: &str = "obtrace-zero-operator-pull-secrets";

/// What the operator may do in the whole cluster: see workloads, report on them, keep its own webhook's CA.
pub(super) fn cluster() -> [Value; 2] {
    let watch = json!(["list", "watch"]);
    let rules = json!([
        // In which namespaces a Pod with a sidecar might be refused.
        { "apiGroups": [""], "resources": ["limitranges", "resourcequotas"], "verbs": watch },
        // Discovery: which workloads there are, and whether their Pods are instrumented.
        { "apiGroups": [""], "resources": ["namespaces", "pods"], "verbs": watch },
        { "apiGroups": ["apps"], "resources": ["daemonsets", "deployments", "statefulsets"], "verbs": watch },
        { "apiGroups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": watch },
        { "apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": watch },
        // Who made the owner of a Pod.
        { "apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"] },
        { "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"] },
        { "apiGroups": ["obtrace.io"], "resources": ["obtraceinstrumentations"], "verbs": watch },
        { "apiGroups": ["obtrace.io"], "resources": ["obtraceinstrumentations/status"], "verbs": ["patch"] },
        // The CA of its own webhook, and of no other.
        {
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["mutatingwebhookconfigurations"],
            "resourceNames": [WEBHOOK],
            "verbs": ["get", "watch", "patch"],
        },
        // Injected, Skipped and the like, on the workloads.
        { "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"] },
    ]);
    [
        of_cluster(RBAC, "ClusterRole", OPERATOR, json!({ "rules": rules })),
        of_cluster(RBAC, "ClusterRoleBinding", OPERATOR, binding("ClusterRole", OPERATOR)),
    ]
}

/// What the operator may do in its own namespace: elect a leader, keep the certificate, read the API key.
pub(super) fn system(options: &Options) -> [Value; 2] {
    let rules = json!([
        { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"] },
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [LEASE],
            "verbs": ["get", "update"],
        },
        { "apiGroups": [""], "resources": ["secrets"], "verbs": ["create"] },
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": [CERTIFICATE_SECRET],
            "verbs": ["get", "watch", "update"],
        },
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": [options.key_reference().name],
            "verbs": ["get"],
        },
        // Which Secret that is.
        {
            "apiGroups": ["obtrace.io"],
            "resources": ["obtraceinstrumentations"],
            "resourceNames": [DEFAULT_RESOURCE],
            "verbs": ["get"],
        },
    ]);
    [
        of_system(RBAC, "Role", OPERATOR, json!({ "rules": rules })),
        of_system(RBAC, "RoleBinding", OPERATOR, binding("Role", OPERATOR)),
    ]
}

/// What the operator may do only where it restarts workloads.
#[must_use]
pub fn restarter() -> [Value; 2] {
    let rules = json!([
        { "apiGroups": ["apps"], "resources": ["daemonsets", "deployments", "statefulsets"], "verbs": ["get", "patch"] },
        { "apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": ["list"] },
        // A StatefulSet that is rolled back waits for its Pods that never became ready.
        { "apiGroups": [""], "resources": ["pods"], "verbs": ["delete"] },
    ]);
    [
        of_cluster(RBAC, "ClusterRole", RESTARTER, json!({ "rules": rules })),
        of_cluster(RBAC, "ClusterRoleBinding", RESTARTER, binding("ClusterRole", RESTARTER)),
    ]
}

/// What lets the operator keep a copy of the API key's Secret in a namespace, and touch no other Secret there. The copy is made by a
/// server-side apply: its creation names the Secret, so that this right can name it as well.
#[must_use]
pub fn allowed(namespace: &str, secret: &str) -> [Value; 2] {
    let metadata = json!({ "name": OPERATOR, "namespace": namespace, "labels": labels() });
    let rule = json!({
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": [secret],
        "verbs": ["get", "create", "patch"],
    });
    [
        object(RBAC, "Role", metadata.clone(), json!({ "rules": [rule] })),
        object(RBAC, "RoleBinding", metadata, binding("Role", OPERATOR)),
    ]
}

/// What the operator may do in its own namespace where it looks images up: keep what it finds.
pub(super) fn images() -> [Value; 2] {
    let rules = json!([
        { "apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"] },
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [CONFIG_MAP],
            "verbs": ["get", "watch", "update"],
        },
    ]);
    [
        of_system(RBAC, "Role", IMAGES, json!({ "rules": rules })),
        of_system(RBAC, "RoleBinding", IMAGES, binding("Role", IMAGES)),
    ]
}

/// What lets the operator read these pull secrets of a namespace, and no others.
#[must_use]
pub fn allowed_pull_secrets(namespace: &str, secrets: &[String]) -> [Value; 2] {
    let metadata = json!({ "name": PULL_SECRETS, "namespace": namespace, "labels": labels() });
    let rule = json!({ "apiGroups": [""], "resources": ["secrets"], "resourceNames": secrets, "verbs": ["get"] });
    [
        object(RBAC, "Role", metadata.clone(), json!({ "rules": [rule] })),
        object(RBAC, "RoleBinding", metadata, binding("Role", PULL_SECRETS)),
    ]
}

fn binding(kind: &str, role: &str) -> Value {
    json!({
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role },
        "subjects": [{ "kind": "ServiceAccount", "name": OPERATOR, "namespace": SYSTEM_NAMESPACE }],
    })
}
