//! The resource for the whole cluster.

use obtrace_patch::{DEFAULT_AGENT_IMAGE, DEFAULT_EBPF_IMAGE};
use serde_json::{Map, Value, json};

use super::{DEFAULT_RESOURCE, Options, of_system};

/// The resource for the whole cluster: only what was asked for, so that everything else keeps following the defaults.
pub(super) fn default(options: &Options) -> Value {
    let reference = options.key_reference();
    let mut spec = Map::new();
    if let Some(url) = &options.ingest_url {
        spec.insert("ingestUrl".into(), url.clone().into());
    }
    spec.insert("apiKeySecretRef".into(), json!({ "name": reference.name, "key": reference.key }));
    if !options.exclude_namespaces.is_empty() {
        spec.insert("exclude".into(), json!({ "namespaces": options.exclude_namespaces }));
    }
    let images =
        [("agent", &options.agent_image, DEFAULT_AGENT_IMAGE), ("ebpf", &options.ebpf_image, DEFAULT_EBPF_IMAGE)];
    let changed: Map<String, Value> = images
        .into_iter()
        .filter(|(_, image, default)| image != default)
        .map(|(name, image, _)| (name.to_owned(), Value::String(image.clone())))
        .collect();
    if !changed.is_empty() {
        spec.insert("images".into(), changed.into());
    }
    of_system("obtrace.io/v1alpha1", "ObtraceInstrumentation", DEFAULT_RESOURCE, json!({ "spec": spec }))
}
