//! Resources as somebody stored them, which is not always as the definition has them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use tracing::warn;

use crate::{crd::ObtraceInstrumentation, index::Unusable};

/// What is kept of a resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kept {
    Usable(Box<ObtraceInstrumentation>),
    Unusable(Box<Unusable>),
}

/// A resource's `namespace/name`, and what is kept of it: the spec and what tells it from others, not its status.
pub(super) fn read(mut object: DynamicObject) -> (String, Kept) {
    let metadata = ObjectMeta {
        name: object.metadata.name.take(),
        namespace: object.metadata.namespace.take(),
        uid: object.metadata.uid.take(),
        generation: object.metadata.generation,
        creation_timestamp: object.metadata.creation_timestamp.take(),
        ..ObjectMeta::default()
    };
    let name = format!(
        "{}/{}",
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default()
    );
    let spec = object.data.get_mut("spec").map(serde_json::Value::take).unwrap_or_default();
    let fault = match serde_json::from_value(spec) {
        Ok(spec) => {
            let resource = ObtraceInstrumentation { metadata, spec, status: None };
            match resource.check() {
                Ok(()) => return (name, Kept::Usable(Box::new(resource))),
                Err(error) => {
                    let ObtraceInstrumentation { metadata, .. } = resource;
                    (metadata, error.to_string())
                }
            }
        }
        Err(error) => (metadata, format!("spec: {error}")),
    };
    let (metadata, error) = fault;
    warn!(resource = name, error, "a resource cannot be used, and is left out");
    (name, Kept::Unusable(Box::new(Unusable::new(metadata, error))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn kept(spec: Value) -> Kept {
        let object = json!({ "apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation",
            "metadata": { "name": "a", "namespace": "b", "generation": 3, "labels": { "x": "y" }, "managedFields": [{}] },
            "spec": spec, "status": { "totals": { "workloads": 4 } } });
        let (name, kept) = read(serde_json::from_value(object).unwrap());
        assert_eq!(name, "b/a");
        kept
    }

    #[test]
    fn a_status_is_no_change() {
        let Kept::Usable(resource) = kept(json!({ "strategy": "sdk" })) else { panic!("unusable") };
        assert_eq!((resource.status.is_some(), resource.metadata.managed_fields), (false, None));
    }

    #[test]
    fn what_the_definition_would_refuse_is_unusable() {
        for (spec, word) in [
            (json!("none"), "spec"),
            (json!(null), "spec"),
            (json!({ "strategy": "magic" }), "magic"),
            (json!({ "samplingRatio": 2 }), "samplingRatio"),
            (json!({ "overrides": [{ "language": "cobol" }] }), "not a language"),
        ] {
            let Kept::Unusable(about) = kept(spec.clone()) else { panic!("{spec} is usable") };
            assert!(about.error.contains(word), "{spec}: {}", about.error);
            assert_eq!(about.metadata.generation, Some(3));
        }
    }
}
