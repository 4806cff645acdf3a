//! Restarts of workloads whose Pods are older than their instrumentation, or than its configuration, where a resource asks for it
//! (`rolloutRestart: onChange`).
//!
//! ```text
//!  discovery ──► candidates ──► begin ──► template + record ──► watch ──► Restarted
//!                                 │             ▲                 │
//!                                 └ wait, leave └── rolled back ◄─┘ new Pods fail
//! ```
//!
//! The leader restarts Deployments, StatefulSets and DaemonSets as `kubectl rollout restart` does, by an annotation of their template:
//! so many at once in the cluster, one in a namespace, and one begins so long after the other; one at a time until the first has
//! instrumented Pods, and none for a while after one that did not. A workload is restarted only while it is
//! healthy, no rollout of it runs, it is not paused, and every PodDisruptionBudget of its Pods allows what its update takes away; why
//! one waits is told in an Event and in the resource's status. New Pods that crash again and again, or are not ready within the grace
//! time, take the restart back: the template is as it was, and excluded (`obtrace.io/exclude`), because its Pods would be instrumented
//! again otherwise.
//!
//! All that has to be remembered is a [`Record`] on the workload, written in the same request as the template and refused if the workload
//! was changed since it was read: whoever leads next goes on from there, and nothing is restarted twice. There is one restart of a
//! workload for each generation of the resource (and each configuration: an ingest URL may be inherited of another resource), whatever
//! came of it; one that did instrument the Pods is followed by another if Pods are made later while no webhook answers.
//!
//! By which configuration a Pod was instrumented it says itself ([`Configuration`](obtrace_patch::Configuration)): an edit of the resource that
//! changes nothing for a Pod restarts nothing, and neither does another version of the operator or of what it injects by default. Pods of
//! versions that did not say it count as current.
//!
//! Needs `get` and `patch` of the three kinds, `list` of PodDisruptionBudgets and `delete` of Pods: a StatefulSet waits for a Pod that
//! never becomes ready even when its template is another.

mod api;
#[cfg(feature = "cli")]
mod forget;
mod object;
mod open;
mod patch;
mod pods;
mod record;
mod restarter;
#[cfg(test)]
mod simulation;
mod step;
mod tell;
mod watching;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[cfg(feature = "cli")]
pub(crate) use self::forget::Trace;
use self::restarter::Restarter;
pub use self::{
    record::{Before, EXCLUDE_REASON, Phase, RESTART, RESTART_REASON, RESTARTED_AT, RESTARTING, Record},
    tell::Told,
};
use crate::{
    discovery::Candidate,
    index::Index,
    server::health::Readiness,
    telemetry::{Metrics, Traces},
};

/// How workloads are restarted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many restarts are under way at once in the cluster; in a namespace there is one. Default: 3.
    pub at_once: usize,
    /// How long after a restart has begun the next one begins, and after this replica leads the first. Default: 10 s.
    pub every: Duration,
    /// How long a new Pod has to become ready, and a rollout to make the next one. Default: 5 min.
    pub grace: Duration,
    /// How long all Pods have to be ready until a restart is over. Default: 30 s.
    pub steady: Duration,
    /// How long after a workload could not be restarted it is looked at again. Default: 15 s.
    pub retry: Duration,
    /// How long after a restart there may be another because Pods were made while no webhook answered. Default: 1 h.
    pub again: Duration,
    /// How long after a restart that changed nothing, or was taken back, the next one begins, whosever it is: the webhook may be out of the API
    /// server's reach, or what was injected may break others, too. After several taken back in a row each time twice as long. Default: 5 min.
    pub caution: Duration,
    /// How long nothing is asked after the API server said that the operator has no right to. Default: 5 min.
    pub refused: Duration,
    /// How often what is under way is looked at. Default: 2 s.
    pub poll: Duration,
    /// Who gets a span of every restart. Default: nobody.
    pub traces: Option<Traces>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            at_once: 3,
            every: Duration::from_secs(10),
            grace: Duration::from_secs(300),
            steady: Duration::from_secs(30),
            retry: Duration::from_secs(15),
            again: Duration::from_secs(3600),
            caution: Duration::from_secs(300),
            refused: Duration::from_secs(300),
            poll: Duration::from_secs(2),
            traces: None,
        }
    }
}

/// What restarts stand on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sources {
    /// The resources.
    pub index: Arc<ArcSwap<Index>>,
    /// The workloads that discovery finds in need of a restart.
    pub candidates: watch::Receiver<Arc<[Candidate]>>,
    /// Whether the webhook of this replica answers: without one a restart changes nothing.
    pub readiness: Readiness,
}

impl Sources {
    /// These.
    #[must_use]
    pub fn new(
        index: Arc<ArcSwap<Index>>,
        candidates: watch::Receiver<Arc<[Candidate]>>,
        readiness: Readiness,
    ) -> Self {
        Self { index, candidates, readiness }
    }
}

/// Restarts workloads, whenever this replica leads, until it is stopped. What there is to tell of them goes to `told`.
pub async fn run(
    client: Client,
    options: Options,
    sources: Sources,
    told: watch::Sender<Arc<Told>>,
    mut leader: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            led = leader.wait_for(|leads| *leads) => if led.is_err() { return },
        }
        let mut restarter = Restarter::new(&client, &options, &sources, &told, &metrics);
        tokio::select! {
            () = stop.cancelled() => return,
            led = leader.wait_for(|leads| !*leads) => if led.is_err() { return },
            () = restarter.lead() => {}
        }
        told.send_replace(Arc::default());
    }
}
