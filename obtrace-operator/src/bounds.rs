//! Whether what a namespace has bounds what its Pods may ask for: then nothing is added to them that asks for more.

use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};

/// Whether a quota is about the resources of containers, or about some Pods only: with a sidecar a Pod may be of another scope. What counts objects
/// alone bounds nothing here, as no object is added; several providers make such quotas in every namespace.
pub(crate) fn of_quota(quota: &ResourceQuota) -> bool {
    let Some(spec) = &quota.spec else { return false };
    let is_scoped = spec.scopes.as_ref().is_some_and(|scopes| !scopes.is_empty()) || spec.scope_selector.is_some();
    let is_container = |name: &str| match name.split_once('.') {
        Some(("requests", rest)) => rest != "storage",
        Some(("limits", _)) => true,
        _ => matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-"),
    };
    is_scoped || spec.hard.iter().flatten().any(|(name, _)| is_container(name))
}

/// Whether a range is about containers or Pods.
pub(crate) fn of_range(range: &LimitRange) -> bool {
    let limits = range.spec.as_ref().map(|spec| spec.limits.as_slice()).unwrap_or_default();
    limits.iter().any(|limit| matches!(limit.type_.as_str(), "Container" | "Pod"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn quota(spec: Value) -> bool {
        of_quota(&serde_json::from_value(json!({ "metadata": { "name": "q" }, "spec": spec })).unwrap())
    }

    #[test]
    fn quotas_of_objects_bound_nothing() {
        assert!(!quota(
            json!({ "hard": { "pods": "10", "services": "5", "count/secrets": "9", "requests.storage": "1Gi" } })
        ));
        assert!(!quota(json!({ "hard": { "gold.storageclass.storage.k8s.io/requests.storage": "1Gi" } })));
        for name in ["cpu", "memory", "requests.cpu", "limits.memory", "requests.ephemeral-storage", "hugepages-2Mi"] {
            assert!(quota(json!({ "hard": { "pods": "10", name: "1" } })), "{name}");
        }
        assert!(quota(json!({ "hard": { "pods": "0" }, "scopes": ["NotBestEffort"] })));
        let selector = json!({ "matchExpressions": [{ "scopeName": "PriorityClass", "operator": "Exists" }] });
        assert!(quota(json!({ "hard": { "pods": "0" }, "scopeSelector": selector })));
    }

    #[test]
    fn ranges_of_claims_bound_nothing() {
        for (kind, bounds) in [("Container", true), ("Pod", true), ("PersistentVolumeClaim", false)] {
            let spec = json!({ "limits": [{ "type": kind, "max": { "cpu": "1" } }] });
            let range = serde_json::from_value(json!({ "metadata": { "name": "r" }, "spec": spec })).unwrap();
            assert_eq!(of_range(&range), bounds, "{kind}");
        }
    }
}
