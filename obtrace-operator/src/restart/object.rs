//! Workloads as far as a restart cares. They are read when their turn comes, and not kept.

use std::collections::BTreeMap;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference, Time},
    apimachinery::pkg::util::intstr::IntOrString,
};
use obtrace_patch::marks;
use serde::Deserialize;
use serde_json::Value;

use super::record::{EXCLUDE_REASON, RESTART, RESTART_REASON, RESTARTED_AT, RESTARTING, Record};
use crate::discovery::Kind;

type Texts = BTreeMap<String, String>;

/// What a restart or its rollback writes into a template.
const OURS: [&str; 4] = [RESTARTED_AT, RESTART_REASON, marks::EXCLUDE, EXCLUDE_REASON];

/// What is read of an object's metadata.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) generation: i64,
    pub(super) labels: Option<Texts>,
    pub(super) annotations: Option<Texts>,
    pub(super) owner_references: Option<Vec<OwnerReference>>,
    pub(super) creation_timestamp: Option<Time>,
    pub(super) deletion_timestamp: Option<Time>,
}

impl Metadata {
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }
}

/// A Deployment, StatefulSet or DaemonSet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Workload {
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
    pub(super) status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    replicas: Option<i64>,
    paused: bool,
    min_ready_seconds: i64,
    pub(super) selector: LabelSelector,
    template: Value,
    strategy: Option<Strategy>,
    update_strategy: Option<Strategy>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Strategy {
    #[serde(rename = "type")]
    kind: String,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RollingUpdate {
    max_unavailable: Option<IntOrString>,
    partition: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    observed_generation: i64,
    replicas: i64,
    updated_replicas: i64,
    available_replicas: i64,
    desired_number_scheduled: i64,
    updated_number_scheduled: i64,
    number_available: i64,
    conditions: Option<Vec<Condition>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: String,
    #[serde(rename = "lastTransitionTime")]
    pub(super) last_transition_time: Option<Time>,
}

/// How many Pods a workload has, in one vocabulary for all kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Counts {
    pub(super) wanted: i64,
    pub(super) all: i64,
    pub(super) updated: i64,
    pub(super) available: i64,
}

impl Workload {
    /// The record of its last restart; one that cannot be read is as none.
    pub(super) fn record(&self) -> Option<Record> {
        serde_json::from_str(self.metadata.annotation(RESTART)?).ok()
    }

    /// Whether it has one that cannot be read.
    pub(super) fn has_unreadable_record(&self) -> bool {
        self.metadata.annotation(RESTART).is_some() && self.record().is_none()
    }

    /// Whether it is marked as being restarted.
    pub(super) fn is_marked(&self) -> bool {
        self.metadata.label(RESTARTING).is_some()
    }

    pub(super) fn counts(&self, kind: Kind) -> Counts {
        let status = &self.status;
        match kind {
            Kind::DaemonSet => Counts {
                wanted: status.desired_number_scheduled,
                all: status.desired_number_scheduled,
                updated: status.updated_number_scheduled,
                available: status.number_available,
            },
            _ => Counts {
                wanted: self.spec.replicas.unwrap_or(1),
                all: status.replicas,
                updated: status.updated_replicas,
                available: status.available_replicas,
            },
        }
    }

    /// Whether its controller has seen all of it, and every Pod is of the present template and available: no rollout runs.
    pub(super) fn is_settled(&self, kind: Kind) -> bool {
        let Counts { wanted, all, updated, available } = self.counts(kind);
        self.is_observed() && updated == wanted && all == wanted && available >= wanted
    }

    pub(super) fn is_observed(&self) -> bool {
        self.status.observed_generation >= self.metadata.generation
    }

    pub(super) fn is_paused(&self) -> bool {
        self.spec.paused
    }

    /// Why a new template makes no new Pods, if it does not.
    pub(super) fn holds_back(&self) -> Option<&'static str> {
        let strategy = self.spec.update_strategy.as_ref()?;
        let partition = strategy.rolling_update.as_ref().and_then(|it| it.partition).unwrap_or_default();
        match strategy.kind.as_str() {
            "OnDelete" => Some("its update strategy is OnDelete: delete its Pods to have them instrumented"),
            _ if partition > 0 => Some("its update strategy has a partition: restart it to have its Pods instrumented"),
            _ => None,
        }
    }

    /// How many Pods an update of it takes away before there are others.
    pub(super) fn most_unavailable(&self, kind: Kind) -> i64 {
        let wanted = self.counts(kind).wanted;
        let strategy = self.spec.strategy.as_ref().or(self.spec.update_strategy.as_ref());
        if strategy.is_some_and(|it| it.kind == "Recreate") {
            return wanted;
        }
        let set = strategy.and_then(|it| it.rolling_update.as_ref()?.max_unavailable.as_ref());
        match (kind, set) {
            (Kind::Deployment, set) => set.map_or(wanted / 4, |set| share(set, wanted, false)),
            (_, set) => set.map_or(1, |set| share(set, wanted, true)).min(wanted),
        }
    }

    /// Whether the controller has given up on the present template.
    pub(super) fn has_stalled(&self) -> bool {
        let given_up = |it: &Condition| it.kind == "Progressing" && it.reason == "ProgressDeadlineExceeded";
        self.is_observed() && self.status.conditions.iter().flatten().any(given_up)
    }

    /// How long a Pod has to be ready until it is available.
    pub(super) fn min_ready_seconds(&self) -> u64 {
        self.spec.min_ready_seconds.try_into().unwrap_or_default()
    }

    /// How long a Pod has to end.
    pub(super) fn drain_seconds(&self) -> u64 {
        const DEFAULT: u64 = 30;
        let set = self.spec.template.pointer("/spec/terminationGracePeriodSeconds");
        set.and_then(Value::as_u64).unwrap_or(DEFAULT)
    }

    /// The JSON of its template.
    pub(super) fn template(&self) -> String {
        self.spec.template.to_string()
    }

    /// An annotation of its template.
    pub(super) fn of_template(&self, name: &str) -> Option<&str> {
        self.spec.template.get("metadata")?.get("annotations")?.get(name)?.as_str()
    }

    /// A label of its template.
    pub(super) fn template_label(&self, name: &str) -> Option<&str> {
        self.spec.template.get("metadata")?.get("labels")?.get(name)?.as_str()
    }

    /// Whether its template is not to be instrumented.
    pub(super) fn is_excluded(&self) -> bool {
        [self.of_template(marks::EXCLUDE), self.template_label(marks::EXCLUDE)].contains(&Some("true"))
    }

    /// A digest of the template without our annotations; the same for the same template in every release.
    pub(super) fn template_digest(&self) -> String {
        let mut template = self.spec.template.clone();
        if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.retain(|name, _| !OURS.contains(&name.as_str()));
            }
            let is_empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
            if metadata.get("annotations").is_some_and(is_empty) {
                metadata.remove("annotations");
            }
        }
        let mut digest = Digest::default();
        digest.value(&template);
        format!("{:016x}", digest.0)
    }
}

/// FNV-1a of 64 bits: to tell a change, not to withstand anybody.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn text(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Members of an object by name, whatever order they were sent in.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                self.text("{");
                members.iter().collect::<BTreeMap<_, _>>().into_iter().for_each(|(name, value)| {
                    self.text(name);
                    self.value(value);
                });
                self.text("}");
            }
            Value::Array(items) => {
                self.text("[");
                items.iter().for_each(|item| self.value(item));
                self.text("]");
            }
            Value::String(text) => {
                self.text("\"");
                self.text(text);
            }
            other => self.text(&other.to_string()),
        }
    }
}

/// A number or a percentage of `whole`, which is rounded `up` or down.
fn share(set: &IntOrString, whole: i64, up: bool) -> i64 {
    match set {
        IntOrString::Int(number) => i64::from(*number),
        IntOrString::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or_default();
            let hundredths = percent.saturating_mul(whole);
            if up { hundredths.saturating_add(99) / 100 } else { hundredths / 100 }
        }
    }
}
