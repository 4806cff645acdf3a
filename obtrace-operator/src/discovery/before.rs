//! What the leader before this one knew, from the statuses that it wrote.

use std::collections::{HashMap, HashSet};

use super::{kind::Kind, status::State};
use crate::crd::ObtraceInstrumentationStatus;

/// How long before its end a leader may have seen something and not have written it, in seconds; clocks differ as well.
const UNWRITTEN: i64 = 10;

/// What the leader before this one knew.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Until when it led, in seconds since 1970.
    led_until: i64,
    /// By the resource's name the workloads whose Pods it said should be instrumented.
    instrumented: HashMap<Box<str>, HashSet<String>>,
}

impl Before {
    /// One that led until then, in seconds since 1970.
    pub(super) fn new(led_until: i64) -> Self {
        Self { led_until, instrumented: HashMap::new() }
    }

    /// It wrote this status of a resource.
    pub(super) fn note(&mut self, resource: &str, status: &ObtraceInstrumentationStatus) {
        let listed = status.workloads.iter().filter(|it| it.state != State::Skipped.as_str());
        let listed = listed.map(|it| format!("{} {}/{}", it.kind, it.namespace, it.name));
        self.instrumented.insert(resource.into(), listed.collect());
    }

    /// Whether a workload was there while it led, that was made then, and it does not say that this resource instruments its Pods: they may
    /// have to be only since. It lists so many of them and no more; of the others nobody knows.
    pub(super) fn does_not_know(&self, resource: &str, (kind, namespace, name): (Kind, &str, &str), made: i64) -> bool {
        let Some(known) = self.instrumented.get(resource) else { return false };
        let was_there = made < self.led_until.saturating_sub(UNWRITTEN);
        was_there && !known.contains(&format!("{} {namespace}/{name}", kind.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::WorkloadStatus;

    #[test]
    fn what_was_there_and_not_listed_as_instrumented_is_not_known() {
        let mut status = ObtraceInstrumentationStatus::default();
        for state in ["instrumented", "pending", "skipped"] {
            let (kind, namespace, name) = ("Deployment".to_owned(), "shop".to_owned(), state.to_owned());
            status.workloads.push(WorkloadStatus {
                kind,
                namespace,
                name,
                state: state.to_owned(),
                ..Default::default()
            });
        }
        let mut before = Before::new(1000);
        before.note("a/b", &status);
        let knows = |resource, name, made| !before.does_not_know(resource, (Kind::Deployment, "shop", name), made);
        for (name, known) in [("instrumented", true), ("pending", true), ("skipped", false), ("other", false)] {
            assert_eq!(knows("a/b", name, 100), known, "{name}");
            assert!(knows("a/b", name, 1000 - UNWRITTEN) && knows("a/c", name, 100), "{name}");
        }
    }
}
