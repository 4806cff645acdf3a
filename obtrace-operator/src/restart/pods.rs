//! Pods, and the PodDisruptionBudgets that they are under, as far as a restart cares.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::LabelSelector, jiff::Timestamp};
use obtrace_patch::{Configuration, marks};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    object::{Condition, Metadata, Workload},
    record::RESTARTED_AT,
};
use crate::{
    discovery::{Kind, owner_of},
    selector,
};

/// A Pod of a workload.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    reason: String,
    conditions: Option<Vec<Condition>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
    container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    restart_count: i64,
    state: ContainerState,
    last_state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Reason>,
    running: Option<IgnoredAny>,
    terminated: Option<Reason>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Reason {
    reason: String,
    exit_code: Option<i64>,
}

impl Pod {
    /// Whether it has ended, or is being deleted.
    pub(super) fn is_gone(&self) -> bool {
        self.metadata.deletion_timestamp.is_some() || self.has_ended()
    }

    /// Whether its containers have ended for good.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// When it will have been deleted, if it is being deleted.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        self.metadata.deletion_timestamp.as_ref().map(|time| time.0)
    }

    pub(super) fn is_instrumented(&self) -> bool {
        self.metadata.label(marks::INSTRUMENTED) == Some("true")
    }

    /// Whether the controller of that workload has made it. What has its labels only is none of its Pods.
    pub(super) fn is_by(&self, kind: Kind, name: &str) -> bool {
        let owners = self.metadata.owner_references.as_deref().unwrap_or_default();
        owner_of(self.metadata.labels.as_ref(), owners) == Some((kind, name))
    }

    /// Why it is not ready, if that is a matter of its node, and no template mends it.
    pub(super) fn fault_of_node(&self) -> Option<&'static str> {
        if self.ready_since().is_some() {
            return None;
        }
        let condition = |kind: &str| self.status.conditions.iter().flatten().find(move |it| it.kind == kind);
        let is_true = |kind: &str| condition(kind).is_some_and(|it| it.status == "True");
        if is_true("DisruptionTarget") || matches!(self.status.reason.as_str(), "NodeLost" | "Evicted" | "Preempting") {
            return Some("it is taken off its node");
        }
        // The controller of nodes takes the readiness of Pods away whose node is lost, and nothing else of them; a kubelet says why:
        // https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/util/node/controller_utils.go, MarkPodsNotReady.
        let is_lost = condition("Ready").is_some_and(|it| it.reason.is_empty()) && is_true("ContainersReady");
        if is_lost {
            return Some("its node is not ready");
        }
        (is_true("PodScheduled") && !self.has_begun()).then_some("its node has not begun to run it")
    }

    /// Whether a container of it was ever begun, or cannot be by what its template says. Before that its node makes the sandbox and mounts
    /// volumes.
    fn has_begun(&self) -> bool {
        let status = &self.status;
        let mut all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        all.any(|container| !container.is_untouched())
    }

    /// Whether it was instrumented by another configuration than what is for it now. An older version's Pods do not say by which.
    pub(super) fn is_outdated(&self, now: Option<Configuration>) -> bool {
        let was = || self.metadata.annotation(marks::CONFIGURATION)?.parse::<Configuration>().ok();
        self.is_instrumented() && now.zip(was()).is_some_and(|(now, was)| was.is_outdated(now))
    }

    /// Whether it was made by the restart that began then.
    pub(super) fn is_of(&self, started_at: Timestamp) -> bool {
        self.metadata.annotation(RESTARTED_AT) == Some(started_at.to_string().as_str())
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        self.metadata.creation_timestamp.as_ref().map(|time| time.0)
    }

    /// Since when it is ready, if it is.
    pub(super) fn ready_since(&self) -> Option<Timestamp> {
        let ready = |it: &&Condition| it.kind == "Ready" && it.status == "True";
        let found = self.status.conditions.iter().flatten().find(ready)?;
        Some(found.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0))
    }

    /// Since when it is not ready, if it is not.
    pub(super) fn unready_since(&self) -> Option<Timestamp> {
        if self.ready_since().is_some() {
            return None;
        }
        let ready = |it: &&Condition| it.kind == "Ready";
        let condition = self.status.conditions.iter().flatten().find(ready);
        condition.and_then(|it| it.last_transition_time.as_ref()).map(|time| time.0).or(self.created())
    }

    /// Whether it has a node. One that finds none is not broken: the whole rollout is given up if nothing else happens in it.
    pub(super) fn is_scheduled(&self) -> bool {
        !self.status.conditions.iter().flatten().any(|it| it.kind == "PodScheduled" && it.status == "False")
    }

    /// What keeps a container of it from running, told by the kubelet: `container web is in CrashLoopBackOff, exit code 1`.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let status = &self.status;
        let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        all.filter_map(ContainerStatus::trouble).max_by_key(|trouble| trouble.crashes)
    }
}

/// What keeps a container from running.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Trouble {
    /// Whether it runs and ends again and again, which nothing mends.
    pub(super) crashes: bool,
    pub(super) told: String,
}

/// How often a container may end before it is in a crash loop although the kubelet does not wait at the moment.
const MOST_ENDS: i64 = 3;

impl ContainerStatus {
    /// Whether it waits for what comes before containers.
    fn is_untouched(&self) -> bool {
        let ContainerState { waiting, running, terminated } = &self.state;
        let reason = waiting.as_ref().map_or("", |it| it.reason.as_str());
        let is_early = matches!(reason, "" | "ContainerCreating" | "PodInitializing");
        is_early && running.is_none() && terminated.is_none() && self.last_state.terminated.is_none()
    }

    fn trouble(&self) -> Option<Trouble> {
        let waiting = self.state.waiting.as_ref().map_or("", |it| it.reason.as_str());
        let ended = self.state.terminated.as_ref().or(self.last_state.terminated.as_ref());
        let code = ended.and_then(|it| it.exit_code).filter(|code| *code != 0);
        let crashes = waiting == "CrashLoopBackOff" || (code.is_some() && self.restart_count >= MOST_ENDS);
        let state = match waiting {
            "" | "ContainerCreating" | "PodInitializing" if !crashes => return None,
            "" => "ended again and again",
            reason => reason,
        };
        let code = code.map_or_else(String::new, |code| format!(", exit code {code}"));
        Some(Trouble { crashes, told: format!("container {}: {state}{code}", self.name) })
    }
}

/// A PodDisruptionBudget.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Budget {
    pub(super) metadata: Metadata,
    spec: BudgetSpec,
    status: BudgetStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct BudgetSpec {
    selector: Option<LabelSelector>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BudgetStatus {
    observed_generation: i64,
    disruptions_allowed: i64,
}

impl Budget {
    /// Whether it is for the Pods of a workload. One without a selector is for none.
    pub(super) fn is_for(&self, workload: &Workload) -> bool {
        self.spec.selector.as_ref().is_some_and(|it| selector::matches(it, |label| workload.template_label(label)))
    }

    /// How many Pods may be taken away now; none while its controller has not looked at it.
    pub(super) fn allows(&self) -> i64 {
        let is_current = self.status.observed_generation >= self.metadata.generation;
        if is_current { self.status.disruptions_allowed } else { 0 }
    }
}
