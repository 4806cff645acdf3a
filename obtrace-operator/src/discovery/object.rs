//! Objects as far as discovery cares, decoded straight from what the API server sends.
//!
//! A typed Deployment, or a generic one, takes tens of kilobytes while it is looked at; here a Pod's template stays the text that it
//! was, and everything else but a few fields of the metadata is stepped over.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use k8s_openapi::{
    NamespaceResourceScope,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};
use kube::{Resource, api::ApiResource, core::DynamicResourceScope};
use obtrace_patch::marks;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// What is read of an object's metadata.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Head {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Configured,
    owner_references: Option<Vec<OwnerReference>>,
}

/// Annotations, of which only one is kept: by which configuration a Pod was instrumented. The others may be long.
#[derive(Default)]
struct Configured(Option<String>);

impl<'de> Deserialize<'de> for Configured {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Annotations;

        impl<'de> Visitor<'de> for Annotations {
            type Value = Configured;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Configured, E> {
                Ok(Configured(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Configured, A::Error> {
                let mut found = None;
                while let Some(name) = map.next_key::<Name>()? {
                    match name {
                        Name::Configuration => found = map.next_value::<Option<String>>()?,
                        Name::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Configured(found))
            }
        }

        deserializer.deserialize_any(Annotations)
    }
}

/// An annotation's name; none is copied.
enum Name {
    Configuration,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an annotation's name")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Name, E> {
                Ok(if name == marks::CONFIGURATION { Name::Configuration } else { Name::Other })
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl From<Head> for ObjectMeta {
    fn from(head: Head) -> Self {
        Self {
            name: head.name,
            namespace: head.namespace,
            resource_version: head.resource_version,
            creation_timestamp: head.creation_timestamp,
            labels: head.labels,
            annotations: head.annotations.0.map(|text| BTreeMap::from([(marks::CONFIGURATION.to_owned(), text)])),
            owner_references: head.owner_references,
            ..Self::default()
        }
    }
}

/// A workload: its name and owners, and its Pods' template.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "WorkloadObject")]
pub(super) struct Workload {
    pub(super) metadata: ObjectMeta,
    spec: Spec,
    status: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct WorkloadObject {
    #[serde(default)]
    metadata: Head,
    #[serde(default)]
    spec: Option<Spec>,
    #[serde(default)]
    status: Option<Box<RawValue>>,
}

impl From<WorkloadObject> for Workload {
    fn from(object: WorkloadObject) -> Self {
        Self { metadata: object.metadata.into(), spec: object.spec.unwrap_or_default(), status: object.status }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    template: Option<Box<RawValue>>,
    job_template: Option<JobTemplate>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct JobTemplate {
    spec: Option<Inner>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Inner {
    template: Option<Box<RawValue>>,
}

impl Workload {
    /// The JSON of the Pods' template. A Rollout may have none, and refer to that of a Deployment.
    pub(super) fn template(&self) -> Option<&str> {
        let inner = || self.spec.job_template.as_ref()?.spec.as_ref()?.template.as_ref();
        self.spec.template.as_ref().or_else(inner).map(|raw| raw.get()).filter(|text| *text != "null")
    }

    /// Whether this is a Job that makes no more Pods.
    pub(super) fn is_finished(&self) -> bool {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Status {
            conditions: Vec<Condition>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Condition {
            #[serde(rename = "type")]
            kind: String,
            status: String,
        }
        let status = self.status.as_ref().and_then(|raw| serde_json::from_str::<Status>(raw.get()).ok());
        let ended = |it: &Condition| matches!(it.kind.as_str(), "Complete" | "Failed") && it.status.as_str() == "True";
        status.is_some_and(|status| status.conditions.iter().any(ended))
    }

    /// The object that made it.
    pub(super) fn controller(&self) -> Option<&OwnerReference> {
        self.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
    }
}

impl Resource for Workload {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A Pod's metadata; nothing else of it is asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "PodObject")]
pub(super) struct Pod {
    pub(super) metadata: ObjectMeta,
}

#[derive(Deserialize)]
struct PodObject {
    #[serde(default)]
    metadata: Head,
}

impl From<PodObject> for Pod {
    fn from(object: PodObject) -> Self {
        Self { metadata: object.metadata.into() }
    }
}

impl Resource for Pod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn metadata_api() -> bool {
        true
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectList, WatchEvent};

    use super::*;

    const CRON_JOB: &str = r#"{"metadata":{"name":"nightly","managedFields":[{"fieldsV1":{}}],"resourceVersion":"7"},
        "spec":{"schedule":"* * * * *","jobTemplate":{"spec":{"template":{"spec":{"containers":[]}}}}},"status":{}}"#;

    #[test]
    fn templates_are_kept_as_they_were_sent_in_lists_and_in_events() {
        let list = format!(r#"{{"kind":"CronJobList","apiVersion":"batch/v1","metadata":{{}},"items":[{CRON_JOB}]}}"#);
        let list: ObjectList<Workload> = serde_json::from_str(&list).unwrap();
        assert_eq!(list.items[0].template(), Some(r#"{"spec":{"containers":[]}}"#));
        let event = format!(r#"{{"type":"MODIFIED","object":{CRON_JOB}}}"#);
        let WatchEvent::Modified(workload) = serde_json::from_str::<WatchEvent<Workload>>(&event).unwrap() else {
            panic!("another event")
        };
        assert_eq!(workload.template(), Some(r#"{"spec":{"containers":[]}}"#));
        assert_eq!(workload.metadata.name.as_deref(), Some("nightly"));
        assert_eq!(workload.metadata.managed_fields, None);
    }

    #[test]
    fn of_a_pods_annotations_only_the_configuration_is_kept() {
        let read = |annotations: &str| {
            let text = format!(r#"{{"metadata":{{"name":"a","annotations":{annotations},"labels":{{"b":"c"}}}}}}"#);
            let metadata = serde_json::from_str::<Pod>(&text).unwrap().metadata;
            assert_eq!(metadata.labels.unwrap()["b"], "c");
            metadata.annotations.map(|all| all.into_iter().collect::<Vec<_>>())
        };
        let (key, value) = (marks::CONFIGURATION, "v1-00000001-00000002");
        let found = Some(vec![(key.to_owned(), value.to_owned())]);
        assert_eq!(read(&format!(r#"{{"a":"\"{{}}","\u0061b":null,"{key}":"{value}","z":"{value}"}}"#)), found);
        for none in ["null".to_owned(), "{}".to_owned(), r#"{"a":"b"}"#.to_owned(), format!(r#"{{"{key}":null}}"#)] {
            assert_eq!(read(&none), None, "{none}");
        }
    }

    #[test]
    fn a_workload_without_a_template_or_of_strange_shape_is_read() {
        for text in [r#"{"metadata":{"name":"a"}}"#, r#"{"spec":{"template":null},"status":7}"#, r#"{"spec":null}"#] {
            let workload: Workload = serde_json::from_str(text).unwrap();
            assert_eq!((workload.template(), workload.is_finished()), (None, false), "{text}");
        }
        let text = r#"{"status":{"conditions":[{"type":"Complete","status":"True","reason":"x"}]}}"#;
        assert!(serde_json::from_str::<Workload>(text).unwrap().is_finished());
    }
}
