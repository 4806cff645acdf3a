//! What the documents of a file say of the cluster.

use std::collections::BTreeMap;

use obtrace_patch::Version;
use serde_json::{Map, Value};

use super::super::arguments;
use crate::{
    bounds,
    crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
    index::{DEFAULT_INGEST_URL, Namespace, SYSTEM_NAMESPACE, World},
    manifests::Document,
};

/// What the file says of the cluster, and what is worth saying about that.
pub(super) struct Seen {
    pub(super) world: World,
    pub(super) notes: Vec<String>,
}

impl Seen {
    /// `known` is what a cluster says; the file's documents come before it.
    ///
    /// # Errors
    ///
    /// If a resource is none.
    pub(super) fn of(documents: &[Document], flags: &arguments::Preview, known: Option<World>) -> Result<Self, String> {
        let has_cluster = known.is_some();
        let mut seen = Self { world: known.unwrap_or_default(), notes: Vec::new() };
        let version = flags.cluster_version.map(|(major, minor)| Version::new(major.into(), minor.into()));
        seen.world.version = version.or(seen.world.version);
        for document in documents {
            let namespace = document.namespace().or(flags.namespace.as_deref()).unwrap_or("default");
            match document.kind() {
                "Namespace" => seen.add_namespace(document),
                "ResourceQuota" | "LimitRange" => seen.add_bounds(document, namespace),
                "ObtraceInstrumentation" => seen.add_resource(document, namespace)?,
                "ConfigMap" if flags.assume_configmaps => seen.add_config_map(document, namespace),
                _ => {}
            }
        }
        if seen.world.resources.is_empty() && !has_cluster {
            let mut default = ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::default());
            default.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
            seen.world.resources.push(default);
            seen.notes.push(format!(
                "the file has no ObtraceInstrumentation: one for all namespaces with ingestUrl {DEFAULT_INGEST_URL} is assumed"
            ));
        }
        Ok(seen)
    }

    fn add_namespace(&mut self, document: &Document) {
        let strings = |pointer: &str| strings(document.value.pointer(pointer));
        let namespace = Namespace::new(strings("/metadata/labels"), strings("/metadata/annotations"));
        self.world.namespaces.insert(document.name().to_owned(), namespace);
    }

    /// Of what cannot be read nothing is known.
    fn add_bounds(&mut self, document: &Document, namespace: &str) {
        let value = || document.value.clone();
        let bounds = match document.kind() {
            "ResourceQuota" => serde_json::from_value(value()).is_ok_and(|quota| bounds::of_quota(&quota)),
            _ => serde_json::from_value(value()).is_ok_and(|range| bounds::of_range(&range)),
        };
        if bounds {
            self.world.bounded.insert(namespace.to_owned());
        }
    }

    fn add_resource(&mut self, document: &Document, namespace: &str) -> Result<(), String> {
        let name = document.name();
        let refused = |why: &dyn std::fmt::Display| format!("ObtraceInstrumentation {name}: {why}");
        let mut resource: ObtraceInstrumentation =
            serde_json::from_value(document.value.clone()).map_err(|error| refused(&error))?;
        resource.check().map_err(|error| refused(&error))?;
        resource.metadata.namespace = Some(namespace.to_owned());
        let understood = serde_json::to_value(&resource.spec).unwrap_or_default();
        let mut unknown = Vec::new();
        unread(document.value.get("spec"), &understood, "spec", &mut unknown);
        self.notes
            .extend(unknown.into_iter().map(|path| format!("ObtraceInstrumentation {name}: unknown field {path}")));
        // As an apply would replace it.
        let is_same = |other: &ObtraceInstrumentation| {
            (&other.metadata.name, &other.metadata.namespace) == (&resource.metadata.name, &resource.metadata.namespace)
        };
        self.world.resources.retain(|other| !is_same(other));
        self.world.resources.push(resource);
        Ok(())
    }

    fn add_config_map(&mut self, document: &Document, namespace: &str) {
        let keys =
            ["/data", "/binaryData"].into_iter().filter_map(|pointer| document.value.pointer(pointer)?.as_object());
        let keys = keys.flat_map(Map::keys).cloned().collect();
        self.world.config_maps.entry(namespace.to_owned()).or_default().insert(document.name().to_owned(), keys);
    }
}

fn strings(object: Option<&Value>) -> BTreeMap<String, String> {
    let entries = object.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// The paths of what was sent and is not in what was understood. Selectors and resources keep whatever they are given.
fn unread(sent: Option<&Value>, understood: &Value, path: &str, unknown: &mut Vec<String>) {
    match (sent, understood) {
        (Some(Value::Object(sent)), Value::Object(understood)) => {
            for (name, value) in sent.iter().filter(|(_, value)| !is_nothing(value)) {
                let path = format!("{path}.{name}");
                match understood.get(name) {
                    Some(understood) => unread(Some(value), understood, &path, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Some(Value::Array(sent)), Value::Array(understood)) => {
            for (index, (sent, understood)) in sent.iter().zip(understood).enumerate() {
                unread(Some(sent), understood, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

/// What is left out when it is written again.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.values().all(is_nothing),
        Value::Array(array) => array.is_empty(),
        _ => false,
    }
}
