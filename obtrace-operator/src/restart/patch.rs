//! The changes that are made to workloads: JSON merge patches (RFC 7396) of just that version of the object that was read, so that of
//! two who decide at once one is refused.

use obtrace_patch::marks;
use serde_json::{Value, json};

use super::{
    object::Workload,
    record::{EXCLUDE_REASON, RESTART, RESTART_REASON, RESTARTED_AT, RESTARTING, Record},
};

/// The longest reason that is written, in bytes.
const LONGEST_REASON: usize = 512;

fn metadata(workload: &Workload, record: &Record) -> Value {
    let mark = record.phase.is_open().then_some("true");
    let mut record = record.clone();
    record.reason = record.reason.map(|reason| clipped(&reason).to_owned());
    let record = serde_json::to_string(&record).unwrap_or_default();
    json!({
        "resourceVersion": workload.metadata.resource_version,
        "uid": workload.metadata.uid,
        "annotations": { RESTART: record },
        "labels": { RESTARTING: mark },
    })
}

fn of_template(workload: &Workload, record: &Record, annotations: Value) -> Value {
    json!({
        "metadata": metadata(workload, record),
        "spec": { "template": { "metadata": { "annotations": annotations } } },
    })
}

/// Restarts: the template gets another annotation, as `kubectl rollout restart` has it.
pub(super) fn start(workload: &Workload, record: &Record, reason: &str) -> Value {
    let annotations = json!({ RESTARTED_AT: record.started_at.to_string(), RESTART_REASON: clipped(reason) });
    of_template(workload, record, annotations)
}

/// Takes a restart back: the template is as it was, and excluded, since Pods that are made of it would be instrumented again otherwise.
pub(super) fn roll_back(workload: &Workload, record: &Record) -> Value {
    let why = format!("its restart by obtrace-zero was rolled back: {}", record.reason.as_deref().unwrap_or_default());
    let annotations = json!({
        RESTARTED_AT: record.before.restarted_at,
        RESTART_REASON: record.before.reason,
        marks::EXCLUDE: "true",
        EXCLUDE_REASON: clipped(&why),
    });
    of_template(workload, record, annotations)
}

/// Remembers how far a restart is; the template stays as it is.
pub(super) fn remember(workload: &Workload, record: &Record) -> Value {
    json!({ "metadata": metadata(workload, record) })
}

/// The same of whatever version the object has by now.
pub(super) fn remember_anyway(workload: &Workload, record: &Record) -> Value {
    let mut metadata = metadata(workload, record);
    if let Some(members) = metadata.as_object_mut() {
        members.remove("resourceVersion");
    }
    json!({ "metadata": metadata })
}

/// Takes the mark of a watch away that is over.
pub(super) fn unmark(workload: &Workload) -> Value {
    json!({ "metadata": {
        "resourceVersion": workload.metadata.resource_version,
        "labels": { RESTARTING: null },
    } })
}

fn clipped(text: &str) -> &str {
    let end = (0..=LONGEST_REASON.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}
