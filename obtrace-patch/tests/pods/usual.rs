//! The usual Pod, whole.

use serde_json::json;

use crate::support::{apply, patch_of, reverted, settings, without_empty};

#[test]
fn a_node_pod_is_instrumented_once_and_undone() {
    let pod = json!({"metadata": {"generateName": "web-"}, "spec": {"containers": [
        {"name": "web", "image": "shop/web:1", "env": [{"name": "OBTRACE_LANGUAGE", "value": "nodejs"}]}]}});
    let settings = settings(&json!({}));
    let after = apply(&pod, &patch_of(&pod, &settings).0);
    assert_eq!(after["spec"]["initContainers"][0]["name"], "obtrace-agent-init");
    assert!(patch_of(&after, &settings).0.is_empty());
    assert_eq!(without_empty(&reverted(&after)), pod);
}
