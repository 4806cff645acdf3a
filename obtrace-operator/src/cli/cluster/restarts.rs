//! Restarts of workloads when the operator goes: what is under way is taken back, and the records of what was are taken away.

use obtrace_cli::Failure;
use serde_json::Value;

use super::progress::Progress;
use crate::{
    install::{Cluster, ClusterError, name_of},
    restart::{RESTART, RESTARTING, Trace},
};

/// The kinds that are restarted.
const KINDS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// How often a workload that is changed meanwhile is read again.
const TRIES: u32 = 10;

/// The workloads that have a trace of a restart; only those that are under way if the resources stay, which count by the records.
pub(super) async fn traced(cluster: &Cluster, keep_resources: bool) -> Result<Vec<Value>, Failure> {
    let labels = if keep_resources { RESTARTING } else { "" };
    let mut all = Vec::new();
    for kind in KINDS {
        let found = cluster.list("apps/v1", kind, "", labels).await.map_err(Failure::failed)?;
        all.extend(found.into_iter().filter(|it| Trace::of(it, false).is_some()));
    }
    Ok(all)
}

/// What would be done to one.
pub(super) fn describe(workload: &Value, restored: bool) -> String {
    let is_open = Trace::of(workload, restored).is_some_and(|trace| trace.is_open);
    let name = name_of(workload);
    match is_open && !restored {
        true => format!("the restart of {name}, which is under way, would be taken back\n"),
        false => format!("{name} would lose the record of its restart\n"),
    }
}

/// Ends what is under way and forgets what was; what somebody has to know of it.
///
/// # Errors
///
/// If the cluster does not answer.
pub(super) async fn end(
    cluster: &Cluster,
    keep_resources: bool,
    restored: bool,
    progress: &mut Progress,
) -> Result<Vec<String>, Failure> {
    let mut told = Vec::new();
    for workload in traced(cluster, keep_resources).await? {
        let name = name_of(&workload);
        match forget(cluster, workload, restored).await {
            Ok(Some(trace)) if trace.is_excluded => told.push(format!(
                "{name} stays excluded, since its Pods failed when they were instrumented: without obtrace.io/exclude in its template they would be, after another installation"
            )),
            Ok(Some(trace)) if trace.is_open && !restored => {
                progress.done(&name, "taken back");
                told.push(format!("the restart of {name} was under way and is taken back: see that its Pods become ready"));
            }
            Ok(_) => {}
            Err(why) => told.push(format!("what {name} has of its restart ({RESTART}, {RESTARTING}) stays: {why}")),
        }
    }
    Ok(told)
}

/// What a workload had of restarts; nothing if it had nothing any more.
async fn forget(cluster: &Cluster, mut workload: Value, restored: bool) -> Result<Option<Trace>, ClusterError> {
    let mut left = TRIES;
    while let Some(trace) = Trace::of(&workload, restored) {
        match cluster.merge(&workload, &trace.patch).await {
            Ok(_) => return Ok(Some(trace)),
            Err(error) if error.is_not_found() => break,
            // A controller has changed its status meanwhile.
            Err(error) if error.is_conflict() && left > 0 => {
                left -= 1;
                let Some(found) = cluster.get(&workload).await? else { break };
                workload = found;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
