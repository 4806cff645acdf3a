//! The workloads that a restart would instrument.

use std::collections::HashMap;

use super::{
    kind::Kind,
    status::{Row, State},
};
use crate::{
    crd::{ObtraceInstrumentation, RolloutRestart},
    index::Index,
};

/// The most candidates for a restart that are listed.
pub const MOST_CANDIDATES: usize = 5000;

/// A workload's kind, namespace and name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Id {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Id {
    /// The workload of that kind, namespace and name.
    #[must_use]
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

/// A workload with Pods that are not instrumented as they should be now, or not at all, for which its resource asks for restarts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// Which.
    pub id: Id,
    /// The resource that is for it, as `namespace/name`.
    pub resource: String,
    /// Whether some of its Pods were made while no webhook answered; else they are all older than what is for them now.
    pub drifted: bool,
}

/// Whether a restart makes new Pods of a workload of that kind, and we have the right to.
pub(super) const fn is_restarted(kind: Kind) -> bool {
    matches!(kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet)
}

/// The candidates by name, and how many more there are than fit.
pub(super) fn candidates(index: &Index, rows: &HashMap<&str, Vec<Row<'_>>>) -> (Vec<Candidate>, usize) {
    let asks = |it: &&ObtraceInstrumentation| it.spec.rollout_restart == RolloutRestart::OnChange;
    let mut found = Vec::new();
    for resource in index.resources().iter().filter(asks) {
        let name = super::world::name(resource.metadata.namespace.as_deref(), resource.metadata.name.as_deref());
        let rows = rows.get(name.as_str()).into_iter().flatten();
        let bare = rows.filter(|row| row.state.is_mended() && is_restarted(row.key.kind));
        found.extend(bare.map(|row| Candidate {
            id: Id::new(row.key.kind, &*row.key.namespace, &*row.key.name),
            resource: name.clone(),
            drifted: row.state == State::Drifted,
        }));
    }
    found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let more = found.len().saturating_sub(MOST_CANDIDATES);
    found.truncate(MOST_CANDIDATES);
    (found, more)
}
