//! For which Pods the API server calls.

use obtrace_patch::{EXCLUDED_NAMESPACES, marks};
use serde_json::{Value, json};

use super::{Certificates, Options, SERVICE, WEBHOOK, certificate, of_cluster};
use crate::index::SYSTEM_NAMESPACE;

/// Conditions in [CEL](https://kubernetes.io/docs/reference/using-api/cel/). Each is false only for Pods that [`obtrace_patch::plan`] leaves
/// alone as a whole, so that the answer to a call that is not made is known. None can fail: whatever may be missing is asked for first.
const CONDITIONS: [(&str, &str); 6] = [
    (
        "not-injected",
        "!has(object.metadata.annotations) || !('obtrace.io/injected' in object.metadata.annotations) || object.metadata.annotations['obtrace.io/injected'] != 'true'",
    ),
    (
        "not-excluded",
        "!has(object.metadata.annotations) || !('obtrace.io/exclude' in object.metadata.annotations) || object.metadata.annotations['obtrace.io/exclude'] != 'true'",
    ),
    (
        "not-static",
        "!has(object.metadata.annotations) || (!('kubernetes.io/config.mirror' in object.metadata.annotations) && (!('kubernetes.io/config.source' in object.metadata.annotations) || object.metadata.annotations['kubernetes.io/config.source'] == 'api'))",
    ),
    (
        "not-of-a-node",
        "!has(object.metadata.ownerReferences) || object.metadata.ownerReferences.all(owner, owner.kind != 'Node')",
    ),
    (
        "not-windows",
        "(!has(object.spec.os) || object.spec.os.name != 'windows') && (!has(object.spec.nodeSelector) || !('kubernetes.io/os' in object.spec.nodeSelector) || object.spec.nodeSelector['kubernetes.io/os'] != 'windows')",
    ),
    (
        "not-of-the-host",
        "!has(object.spec.hostNetwork) || !object.spec.hostNetwork || !has(object.spec.priorityClassName) || !object.spec.priorityClassName.startsWith('system-')",
    ),
];

/// The MutatingWebhookConfiguration. Its CA is put in by the operator, or by cert-manager.
#[must_use]
pub fn configuration(options: &Options) -> Value {
    let mut excluded: Vec<&str> = EXCLUDED_NAMESPACES.to_vec();
    for name in &options.exclude_namespaces {
        if !excluded.contains(&name.as_str()) {
            excluded.push(name);
        }
    }
    let not = |key: &str, values: Value| json!({ "key": key, "operator": "NotIn", "values": values });
    let conditions: Vec<_> =
        CONDITIONS.iter().map(|(name, expression)| json!({ "name": name, "expression": expression })).collect();
    let webhook = json!({
        "name": "pods.obtrace.io",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {
            "service": { "name": SERVICE, "namespace": SYSTEM_NAMESPACE, "path": "/mutate-pods", "port": 443 },
        },
        "failurePolicy": options.failure_policy.as_str(),
        "matchPolicy": "Equivalent",
        // What another webhook adds after us is looked at, too.
        "reinvocationPolicy": "IfNeeded",
        // Events, and none for a dry run.
        "sideEffects": "NoneOnDryRun",
        "timeoutSeconds": options.timeout_seconds,
        "rules": [{
            "operations": ["CREATE"],
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["pods"],
            "scope": "Namespaced",
        }],
        "namespaceSelector": { "matchExpressions": [
            not("kubernetes.io/metadata.name", json!(excluded)),
            not(marks::EXCLUDE, json!(["true"])),
        ] },
        "objectSelector": { "matchExpressions": [
            not(marks::EXCLUDE, json!(["true"])),
            not("app.kubernetes.io/part-of", json!(["obtrace-zero"])),
        ] },
        "matchConditions": conditions,
    });
    let mut configuration = of_cluster(
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        WEBHOOK,
        json!({ "webhooks": [webhook] }),
    );
    if let (Certificates::CertManager, Some(Value::Object(metadata))) =
        (options.certificates, configuration.get_mut("metadata"))
    {
        metadata.insert("annotations".into(), certificate::annotations());
    }
    configuration
}
