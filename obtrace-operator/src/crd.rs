//! The custom resource `ObtraceInstrumentation`.
//!
//! The schema is checked in as `deploy/crd/obtraceinstrumentation.yaml`; `obtrace-zero crd` prints it.
//!
//! ```
//! use obtrace_operator::crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec, StrategySetting};
//!
//! let mut spec = ObtraceInstrumentationSpec::new("https://ingest.example.com");
//! spec.strategy = StrategySetting::Sdk;
//! let resource = ObtraceInstrumentation::new("shop", spec);
//! assert_eq!(serde_json::to_value(&resource).unwrap()["spec"]["strategy"], "sdk");
//! ```

#![expect(
    unreachable_pub,
    clippy::exhaustive_structs,
    reason = "kube's derive repeats the structs inside functions, and makes an exhaustive one"
)]

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::ResourceRequirements,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time},
};
use kube::{CustomResource, CustomResourceExt, KubeSchema};
use obtrace_detect::{Framework, Language};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the Pods of a namespace, or of the whole cluster, are instrumented.
///
/// Of several that match a Pod the nearest wins: one of the Pod's own namespace before one of `obtrace-system`, one with a
/// selector before one without, then the first by name.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "obtrace.io",
    version = "v1alpha1",
    kind = "ObtraceInstrumentation",
    plural = "obtraceinstrumentations",
    singular = "obtraceinstrumentation",
    shortname = "oi",
    category = "obtrace",
    namespaced,
    derive = "PartialEq",
    status = "ObtraceInstrumentationStatus",
    doc = "How the Pods of a namespace, or of the whole cluster, are instrumented.",
    printcolumn = r#"{"name":"Strategy","type":"string","jsonPath":".spec.strategy"}"#,
    printcolumn = r#"{"name":"Workloads","type":"integer","jsonPath":".status.totals.workloads"}"#,
    printcolumn = r#"{"name":"Instrumented","type":"integer","jsonPath":".status.totals.instrumented"}"#,
    printcolumn = r#"{"name":"Pending","type":"integer","jsonPath":".status.totals.pending"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ObtraceInstrumentationSpec {
    /// Where telemetry goes: the base URL of the ingest service. `/otlp/v1/traces` and the like are appended. Without it: that of the
    /// nearest resource for the whole cluster that names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/]+')").message("must begin with http:// or https:// and name a host"))]
    pub ingest_url: Option<String>,

    /// The Secret that holds the API key. It is looked up in the Pod's own namespace.
    #[serde(default)]
    pub api_key_secret_ref: SecretReference,

    /// The namespaces that are meant. Only in `obtrace-system`, where it makes the resource one for the whole cluster; without it
    /// there: all namespaces. Elsewhere a resource is for its own namespace and this is ignored, with a condition that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,

    /// The Pods that are meant, by their labels. Without it: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,

    /// How containers are instrumented.
    #[serde(default)]
    pub strategy: StrategySetting,

    /// Where the eBPF agent runs.
    #[serde(default)]
    pub placement: PlacementSetting,

    /// Other settings for some Pods. All that match a Pod count; of two that set the same, the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub overrides: Vec<Override>,

    /// The names of the containers that are instrumented. Empty: every one whose language is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 63)))]
    pub containers: Vec<String>,

    /// The environment that is reported where the label `obtrace.io/environment` names none. Without both it is inferred from the
    /// name of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub environment: Option<String>,

    /// The share of traces that are kept, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sampling_ratio: Option<f64>,

    /// The images of the loaders and of the agent.
    #[serde(default, skip_serializing_if = "Images::is_default")]
    pub images: Images,

    /// Resources of what is added to Pods. Without them the init container takes those of the container that it serves, and the
    /// sidecar 50m/64Mi to 200m/128Mi.
    #[serde(default, skip_serializing_if = "Resources::is_default")]
    pub resources: Resources,

    /// What is left alone.
    #[serde(default, skip_serializing_if = "Exclusions::is_default")]
    pub exclude: Exclusions,

    /// Whether containers that already have another vendor's agent are instrumented beside it.
    #[serde(default)]
    pub coexist: bool,

    /// Whether workloads that run already are restarted when this resource changes what they get.
    #[serde(default)]
    pub rollout_restart: RolloutRestart,
}

impl ObtraceInstrumentationSpec {
    /// The defaults, with the base URL of the ingest service.
    #[must_use]
    pub fn new(ingest_url: impl Into<String>) -> Self {
        Self { ingest_url: Some(ingest_url.into()), ..Self::default() }
    }
}

/// A value that the schema would refuse.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("spec.{field} {message}")]
pub struct InvalidSpec {
    field: String,
    message: &'static str,
}

impl ObtraceInstrumentation {
    /// Checks what the schema's rules check, for where no API server does it.
    ///
    /// # Errors
    ///
    /// The first value that would be refused.
    pub fn check(&self) -> Result<(), InvalidSpec> {
        let refused = |field: String, message| Err(InvalidSpec { field, message });
        let names_a_host = |url: &String| {
            let host = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
            host.is_some_and(|(_, host)| !host.is_empty() && !host.starts_with('/'))
        };
        if !self.spec.ingest_url.as_ref().is_none_or(names_a_host) {
            return refused("ingestUrl".to_owned(), "must begin with http:// or https:// and name a host");
        }
        if self.spec.sampling_ratio.is_some_and(|ratio| !(0.0..=1.0).contains(&ratio)) {
            return refused("samplingRatio".to_owned(), "must be from 0 to 1");
        }
        if self.spec.environment.as_ref().is_some_and(String::is_empty) {
            return refused("environment".to_owned(), "must not be empty");
        }
        for (index, change) in self.spec.overrides.iter().enumerate() {
            let field = format!("overrides[{index}]");
            let strategy = change.strategy.unwrap_or_default();
            if change.language.is_none()
                && change.strategy.is_none()
                && change.framework.is_none()
                && change.image_env.is_empty()
            {
                return refused(field, "must set language, strategy, framework or imageEnv");
            }
            let needs_sdk = matches!(strategy, StrategySetting::Sdk | StrategySetting::Hybrid);
            if needs_sdk && change.language.is_some_and(|language| !language.has_sdk()) {
                return refused(field, "go, rust and unknown have no SDK: use strategy ebpf or auto");
            }
        }
        Ok(())
    }
}

/// A key of a Secret.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SecretReference {
    /// The name of the Secret.
    #[serde(default = "SecretReference::default_name")]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it.
    #[serde(default = "SecretReference::default_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

impl SecretReference {
    /// A key of a Secret.
    #[must_use]
    pub fn new(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self { name: name.into(), key: key.into() }
    }

    fn default_name() -> String {
        "obtrace-api-key".to_owned()
    }

    fn default_key() -> String {
        "api-key".to_owned()
    }
}

impl Default for SecretReference {
    fn default() -> Self {
        Self::new(Self::default_name(), Self::default_key())
    }
}

/// How containers are instrumented.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StrategySetting {
    /// What suits each: the SDK where the runtime has a hook for it, else eBPF.
    #[default]
    Auto,
    /// The SDK only; what has no hook is left alone.
    Sdk,
    /// The eBPF agent only, also for programs of unknown language.
    Ebpf,
    /// Both.
    Hybrid,
}

/// Where the eBPF agent runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PlacementSetting {
    /// As a sidecar where it is asked for and allowed, else on the node.
    #[default]
    Auto,
    /// As a sidecar, or not at all.
    Sidecar,
    /// As one agent a node; Pods are only marked.
    Node,
}

/// Other settings for some Pods.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.language) || has(self.strategy) || has(self.framework) || has(self.imageEnv)")
        .message("must set language, strategy, framework or imageEnv"),
    validation = Rule::new("!has(self.strategy) || !has(self.language) || self.strategy in ['auto', 'ebpf'] || !(self.language in ['go', 'rust', 'unknown'])")
        .message("go, rust and unknown have no SDK: use strategy ebpf or auto")
)]
#[non_exhaustive]
pub struct Override {
    /// The Pods that are meant, by their labels. Without it: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Their language, where the detection is wrong or knows nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "named")]
    #[schemars(schema_with = "named::languages")]
    pub language: Option<Language>,
    /// How they are instrumented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategySetting>,
    /// The framework that is reported.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "named")]
    #[schemars(schema_with = "named::frameworks")]
    pub framework: Option<Framework>,
    /// What the image itself sets of the variables that carry hooks (`PYTHONPATH`, `JAVA_TOOL_OPTIONS`, …). A Pod's variable replaces the
    /// image's, and the image's cannot be seen from the Pod: named here it is kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub image_env: BTreeMap<String, String>,
}

/// The images of the loaders and of the agent.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Images {
    /// The image with the loaders, for the init container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub agent: Option<String>,
    /// The image of the eBPF agent, for the sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub ebpf: Option<String>,
}

impl Images {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Resources of what is added to Pods.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Resources {
    /// Those of the init container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<ResourceRequirements>,
    /// Those of the sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<ResourceRequirements>,
}

impl Resources {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is left alone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Exclusions {
    /// Namespaces by name, beside those that are always left alone. Of use in `obtrace-system` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 63)))]
    pub namespaces: Vec<String>,
    /// Pods by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Containers by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 63)))]
    pub containers: Vec<String>,
}

impl Exclusions {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether workloads are restarted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum RolloutRestart {
    /// Never: what runs is instrumented when its Pods are next made.
    #[default]
    Never,
    /// When the resource changes what they get. An upgrade is no such change, but where it names another image here.
    OnChange,
}

/// What became of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ObtraceInstrumentationStatus {
    /// The generation of the resource that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Since when Pods get what this generation says, as far as is known: Pods made before it are older than the instrumentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_use_since: Option<Time>,
    /// `Ready`: it is in use. `Conflict`: another is for the same Pods as much. `Drift`: Pods were made while no webhook answered.
    /// `Restarts`: with `rolloutRestart: onChange`, whether workloads are restarted.
    /// `NamespaceSelectorIgnored`: it has a selector of namespaces, and is not in `obtrace-system`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many workloads there are; always of all.
    #[serde(default)]
    pub totals: Totals,
    /// The workloads, up to a limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), extend("x-kubernetes-list-type" = "atomic"))]
    pub workloads: Vec<WorkloadStatus>,
    /// Whether there are more workloads than are listed.
    #[serde(default)]
    pub truncated: bool,
}

/// How many workloads there are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Totals {
    /// All that the resource is for.
    #[serde(default)]
    pub workloads: u32,
    /// Those whose Pods are instrumented.
    #[serde(default)]
    pub instrumented: u32,
    /// Those that should be and whose Pods are older than that.
    #[serde(default)]
    pub pending: u32,
    /// Those that are left alone, with a reason.
    #[serde(default)]
    pub skipped: u32,
}

/// A workload, and what became of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WorkloadStatus {
    /// `Deployment`, `StatefulSet`, …
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `nodejs`, `python`, …
    pub language: String,
    /// `express`, `fastapi`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    /// `sdk`, `ebpf` or `hybrid`; `none` if it is left alone.
    pub strategy: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// `instrumented`, `pending` or `skipped`.
    pub state: String,
    /// Why it, or a container of it, is left alone; why it is pending; which of its Pods an older configuration instrumented; else what its image said, if that told the language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Annotation of the definition, and of the Lease of the operator that leads: the version of this crate that it is of.
pub const VERSION_ANNOTATION: &str = "obtrace.io/version";

/// The definition that makes the resource known to Kubernetes, marked with its version.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    let mut definition = ObtraceInstrumentation::crd();
    let annotations = definition.metadata.annotations.get_or_insert_default();
    annotations.insert(VERSION_ANNOTATION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    definition
}

/// The definition as YAML, as it is checked in.
///
/// # Errors
///
/// If it cannot be written as YAML, which would be a fault of this crate.
pub fn definition_yaml() -> Result<String, serde_saphyr::ser::Error> {
    let yaml = serde_saphyr::to_string(&definition())?;
    Ok(format!("# Made by `obtrace-zero crd`.\n{yaml}"))
}

/// Names of obtrace-detect's vocabularies as values.
mod named {
    use std::{fmt::Display, str::FromStr};

    use obtrace_detect::{Framework, Language};
    use schemars::{Schema, SchemaGenerator, json_schema};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(name: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
        match name {
            Some(name) => serializer.collect_str(name),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }

    pub(super) fn languages(_: &mut SchemaGenerator) -> Schema {
        of(Language::ALL.iter().map(|language| language.as_str()))
    }

    pub(super) fn frameworks(_: &mut SchemaGenerator) -> Schema {
        of(Framework::ALL.iter().map(|framework| framework.as_str()))
    }

    fn of(names: impl Iterator<Item = &'static str>) -> Schema {
        json_schema!({ "type": "string", "enum": names.collect::<Vec<_>>() })
    }
}
