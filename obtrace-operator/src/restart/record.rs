//! What is remembered of a restart, on the workload itself: an operator that starts anew, or another replica that leads now, goes on
//! from there.

use k8s_openapi::jiff::Timestamp;
use obtrace_patch::Configuration;
use serde::{Deserialize, Serialize};

/// Annotation of a workload: its last restart, a [`Record`] as JSON.
pub const RESTART: &str = "obtrace.io/restart";
/// Label of a workload, `true` while its restart is watched: what is under way is found by it.
pub const RESTARTING: &str = "obtrace.io/restarting";
/// Annotation of the template, and so of the Pods that a restart makes: when it began.
pub const RESTARTED_AT: &str = "obtrace.io/restartedAt";
/// Annotation of the template: why its Pods were restarted.
pub const RESTART_REASON: &str = "obtrace.io/restart-reason";
/// Annotation of a template that a rollback has excluded: why.
pub const EXCLUDE_REASON: &str = "obtrace.io/exclude-reason";

/// How far a restart is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Phase {
    /// New Pods are being made.
    Restarting,
    /// They failed, and Pods are made as they were before.
    RollingBack,
    /// Done: its Pods are instrumented.
    Restarted,
    /// Done, and its Pods are not instrumented all the same.
    Unchanged,
    /// It was taken back.
    RolledBack,
    /// Somebody else changed the workload meanwhile, and was left to it.
    Superseded,
}

impl Phase {
    /// Whether there is something left to watch.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Restarting | Self::RollingBack)
    }

    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restarting => "restarting",
            Self::RollingBack => "rolling_back",
            Self::Restarted => "completed",
            Self::Unchanged => "unchanged",
            Self::RolledBack => "rolled_back",
            Self::Superseded => "superseded",
        }
    }
}

/// The last restart of a workload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Record {
    /// How far it is.
    pub phase: Phase,
    /// The resource that asked for it, as `namespace/name`.
    pub resource: String,
    /// That resource's id and generation: for one generation there is one restart.
    pub uid: String,
    /// See `uid`.
    pub generation: i64,
    /// How many restarts there were, this one counted, none of them a day before the next.
    #[serde(default)]
    pub attempts: u32,
    /// When it began; the value of [`RESTARTED_AT`].
    pub started_at: Timestamp,
    /// When its phase began.
    pub since: Timestamp,
    /// By which configuration Pods were instrumented that were made then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// The template without our annotations, so that somebody else's change of it is seen.
    pub template: String,
    /// What [`RESTARTED_AT`] and [`RESTART_REASON`] were before.
    #[serde(default, skip_serializing_if = "Before::is_none")]
    pub before: Before,
    /// Why it was rolled back, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Record {
    /// By which configuration Pods were instrumented that were made then, if that is known.
    pub(super) fn configuration(&self) -> Option<Configuration> {
        self.configuration.as_deref()?.parse().ok()
    }
}

/// Annotations of a template before a restart.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Before {
    /// That of [`RESTARTED_AT`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<String>,
    /// That of [`RESTART_REASON`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Before {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
