//! What is left of restarts when the operator goes for good: nothing.

use obtrace_patch::marks;
use serde_json::{Map, Value, json};

use super::record::{Phase, RESTART, RESTART_REASON, RESTARTED_AT, RESTARTING, Record};

/// What a workload has of restarts, and how it loses it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Trace {
    /// The merge patch (RFC 7396) that takes it away. What is under way is taken back: nobody is left to see it through.
    pub(crate) patch: Value,
    /// Whether a restart is under way.
    pub(crate) is_open: bool,
    /// Whether its template stays excluded, because instrumented Pods of it failed.
    pub(crate) is_excluded: bool,
}

impl Trace {
    /// That of a workload, if it has one. `restored`: its Pods are made anew without us anyway, so that its template stays as it is.
    pub(crate) fn of(workload: &Value, restored: bool) -> Option<Self> {
        let metadata = workload.get("metadata")?;
        let text = |of: &str, name: &str| metadata.get(of)?.get(name)?.as_str();
        let (record, mark) = (text("annotations", RESTART), text("labels", RESTARTING));
        record.or(mark)?;
        let record: Option<Record> = record.and_then(|record| serde_json::from_str(record).ok());
        let annotations = workload.pointer("/spec/template/metadata/annotations").and_then(Value::as_object);
        let of_template = |name: &str| annotations.and_then(|all| all.get(name)?.as_str());
        let mut patch = json!({ "metadata": {
            "annotations": { RESTART: null }, "labels": { RESTARTING: null },
            // Of just that version: whoever else changes it is not overrun.
            "resourceVersion": metadata.get("resourceVersion"), "uid": metadata.get("uid"),
        } });
        let is_ours = |record: &&Record| of_template(RESTARTED_AT) == Some(record.started_at.to_string().as_str());
        let open = record.as_ref().filter(|record| record.phase == Phase::Restarting).filter(is_ours);
        if let Some(Record { before, .. }) = open.filter(|_| !restored) {
            let annotations = json!({ RESTARTED_AT: before.restarted_at, RESTART_REASON: before.reason });
            let template = json!({ "template": { "metadata": { "annotations": annotations } } });
            patch.as_object_mut().unwrap_or(&mut Map::new()).insert("spec".to_owned(), template);
        }
        let is_excluded = record.as_ref().is_some_and(|it| matches!(it.phase, Phase::RollingBack | Phase::RolledBack))
            && of_template(marks::EXCLUDE) == Some("true");
        Some(Self { patch, is_open: open.is_some(), is_excluded })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(phase: &str, annotations: Value) -> Value {
        let record = json!({ "phase": phase, "resource": "a/b", "uid": "r", "generation": 1, "startedAt": "2026-01-01T00:00:00Z",
            "since": "2026-01-01T00:00:00Z", "template": "0", "before": { "restartedAt": "2025-01-01T00:00:00Z" } });
        json!({ "metadata": { "name": "web", "uid": "u", "resourceVersion": "7",
                "annotations": { RESTART: record.to_string() }, "labels": { RESTARTING: "true" } },
            "spec": { "template": { "metadata": { "annotations": annotations } } } })
    }

    #[test]
    fn what_is_under_way_is_taken_back_and_what_is_over_only_forgotten() {
        let ours = || json!({ RESTARTED_AT: "2026-01-01T00:00:00Z", RESTART_REASON: "why" });
        let trace = Trace::of(&workload("restarting", ours()), false).unwrap();
        let metadata = json!({ "annotations": { RESTART: null }, "labels": { RESTARTING: null }, "resourceVersion": "7", "uid": "u" });
        let before = json!({ RESTARTED_AT: "2025-01-01T00:00:00Z", RESTART_REASON: null });
        let template = json!({ "template": { "metadata": { "annotations": before } } });
        assert_eq!(trace.patch, json!({ "metadata": metadata, "spec": template }));
        assert!(trace.is_open && !trace.is_excluded);
        let elses = json!({ RESTARTED_AT: "2026-01-02T00:00:00Z" });
        for (phase, annotations, restored) in [
            ("restarting", ours(), true),
            ("restarting", elses, false),
            ("restarted", ours(), false),
            ("superseded", ours(), false),
        ] {
            let trace = Trace::of(&workload(phase, annotations), restored).unwrap();
            assert_eq!(trace.patch, json!({ "metadata": metadata }), "{phase}");
        }
        let excluded = json!({ marks::EXCLUDE: "true" });
        for phase in ["rolling-back", "rolled-back"] {
            let trace = Trace::of(&workload(phase, excluded.clone()), false).unwrap();
            assert_eq!((trace.patch, trace.is_excluded), (json!({ "metadata": metadata }), true));
        }
        let mut unreadable = workload("of a later version", ours());
        assert_eq!(Trace::of(&unreadable, false).unwrap().patch, json!({ "metadata": metadata }));
        unreadable["metadata"] = json!({ "name": "web" });
        assert_eq!(Trace::of(&unreadable, false), None);
    }
}
