//! What runs in the cluster, and what becomes of it: workloads, their verdicts, their Pods; the status of every resource.
//!
//! The leader watches Deployments, StatefulSets, DaemonSets, CronJobs, Jobs and Argo Rollouts, lists them anew every minute, and asks
//! admission's own code what it would say of their Pods. Templates are judged as they come and dropped; what is kept is a verdict a
//! workload and a mark a Pod. Of Pods only metadata are asked for. Namespaces that are never instrumented are left out by the API
//! server.
//!
//! A workload is *pending* while it should be instrumented and a Pod of it is not. A Pod that was made after its workload should have
//! been instrumented has *drifted*: no webhook answered when it was made. Drifted workloads are a condition of the resource, a state
//! in the metrics, a line in the log and [`Options::drifted`]. Of what should be restarted, [`Options::candidates`] are told.
//!
//! Since when its Pods should be instrumented a leader knows of each workload. A leader after it knows it of each resource, from the
//! status: since the last edit, or since the last workload that came to be instrumented by it. Of a workload that was there before and is
//! not listed as one of these it takes the first instrumented Pod for a sign, else the present. So it may take a Pod that has drifted for
//! a pending one, but none that is older for one that has drifted.

mod before;
mod candidate;
pub mod events;
mod finding;
mod images;
mod kind;
mod object;
mod pace;
mod pauses;
mod scan;
mod status;
mod store;
mod world;
mod writer;

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use kube::Client;
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use self::{
    candidate::{Candidate, Id, MOST_CANDIDATES},
    kind::Kind,
    status::{MOST_BYTES, MOST_ENTRIES},
};
pub(crate) use self::{finding::configuration, kind::owner_of};
use self::{
    scan::{Again, Scanner, Seen},
    world::Discovered,
    writer::Writer,
};
use crate::{
    index::{Changed, Index},
    registry::Wanted,
    restart::Told,
    telemetry::{Metrics, Traces},
};

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_millis(200);
/// How long to wait before the statuses are read again that could not be.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// How many objects wait to be taken in.
const QUEUE: usize = 256;
/// Changes of more namespaces than these at once are a reason to list everything.
const MOST_NAMESPACES: usize = 20;
/// How many resyncs of the workloads there are for one of the Pods, of which there are more and whose watch tells as much.
const RESYNCS_OF_PODS: u32 = 10;

/// How discovery goes about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How often the workloads are listed anew, beside the watch: 60 s.
    pub resync: Duration,
    /// How often statuses are written at most: 5 s.
    pub write_every: Duration,
    /// The most workloads that are kept: 200,000.
    pub most_workloads: usize,
    /// The most Pods that are kept: 1,000,000.
    pub most_pods: usize,
    /// Until when another led, in seconds since 1970: [`leader::Options::led_until`](crate::leader::Options::led_until).
    pub led_until: Arc<AtomicI64>,
    /// Who gets a span of every scan.
    pub traces: Option<Traces>,
    /// Where the workloads with drifted Pods are told, for whoever restarts them; at most [`MOST_DRIFTED`].
    pub drifted: Option<watch::Sender<Arc<[Drifted]>>>,
    /// Where the workloads are told that a restart would instrument and whose resource asks for it; at most [`MOST_CANDIDATES`].
    pub candidates: Option<watch::Sender<Arc<[Candidate]>>>,
    /// What became of their restarts, for the statuses.
    pub restarts: Option<watch::Receiver<Arc<Told>>>,
    /// Who is told which images more should be known of.
    pub images: Option<Arc<Wanted>>,
}

/// The most workloads with drifted Pods that are listed.
pub const MOST_DRIFTED: usize = 1000;

impl Default for Options {
    fn default() -> Self {
        Self {
            resync: Duration::from_secs(60),
            write_every: Duration::from_secs(5),
            most_workloads: 200_000,
            most_pods: 1_000_000,
            led_until: Arc::default(),
            traces: None,
            drifted: None,
            candidates: None,
            restarts: None,
            images: None,
        }
    }
}

/// A workload with Pods that were made while no webhook answered.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Drifted {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The resource that is for it, as `namespace/name`.
    pub resource: String,
    /// How many of its Pods those are.
    pub pods: u32,
}

/// Discovers, whenever this replica leads, until it is stopped.
pub async fn run(
    client: Client,
    options: Options,
    mut leader: watch::Receiver<bool>,
    index: Arc<ArcSwap<Index>>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            led = leader.wait_for(|leads| *leads) => if led.is_err() { return },
        }
        let mut discovery = Discovery::new(&client, &options, &index, &metrics);
        info!("discovery begins: this replica leads");
        let failed = tokio::select! {
            () = stop.cancelled() => return,
            led = leader.wait_for(|leads| !*leads) => match led {
                Ok(_) => false,
                Err(_) => return,
            },
            () = discovery.lead() => true,
        };
        discovery.world.forget();
        drop(discovery);
        if failed {
            error!("a task of discovery ended, which is a fault of obtrace-zero: discovery begins anew");
            sleep(Duration::from_secs(1)).await;
        } else {
            info!("discovery ends: another replica leads");
        }
    }
}

/// A leader's work. Dropped, its tasks end.
struct Discovery {
    index: Arc<ArcSwap<Index>>,
    /// The index that the last full list was judged by, or a later one whose changes were looked at.
    judged_by: Arc<Index>,
    options: Options,
    world: Discovered,
    writer: Writer,
    seen: mpsc::Receiver<Seen>,
    again: broadcast::Sender<Again>,
    tasks: JoinSet<()>,
    scanner: Scanner,
    /// When the workloads are listed next.
    resync: Instant,
    resyncs: u32,
    /// When everything may be listed for a change of the index.
    free: Instant,
    wrote: Option<Instant>,
}

impl Discovery {
    fn new(client: &Client, options: &Options, index: &Arc<ArcSwap<Index>>, metrics: &Arc<Metrics>) -> Self {
        let (tell, seen) = mpsc::channel(QUEUE);
        let (again, _) = broadcast::channel(16);
        let now = Instant::now();
        Self {
            index: Arc::clone(index),
            judged_by: index.load_full(),
            options: options.clone(),
            world: Discovered::new(options, Arc::clone(metrics), now),
            writer: Writer::new(client.clone()),
            seen,
            again,
            tasks: JoinSet::new(),
            scanner: Scanner { client: client.clone(), index: Arc::clone(index), images: options.images.clone(), tell },
            resync: now + options.resync,
            resyncs: 0,
            free: now,
            wrote: None,
        }
    }

    /// Works until it is dropped, or a task has ended, which none does while it is listened to.
    async fn lead(&mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(seen) = self.seen.recv() => self.world.take(seen, now()),
                Some(_) = self.tasks.join_next() => return,
                _ = tick.tick() => self.tick().await,
            }
        }
    }

    async fn tick(&mut self) {
        if self.tasks.is_empty() {
            if !self.index.load().is_synced() {
                return;
            }
            // What the leader before knew of the resources is in their statuses.
            if let Err(error) = self.writer.read().await {
                warn!(%error, "reading the statuses of the resources failed, and is tried again");
                return sleep(READ_AGAIN).await;
            }
            self.begin();
        }
        let now = Instant::now();
        self.judge_again(now);
        if now >= self.resync {
            self.list_again(Again::Resync, now);
        }
        if self.options.restarts.as_mut().is_some_and(|told| told.has_changed().unwrap_or(false)) {
            self.world.touch();
        }
        let due = self.wrote.is_none_or(|wrote| now >= wrote + self.options.write_every);
        if due && self.world.is_whole() && (self.world.is_dirty() || !self.writer.is_settled()) {
            self.write().await;
            self.wrote = Some(Instant::now());
        }
    }

    /// Starts the tasks. What is known of the cluster is whole, and what they judge by is this index or a later one.
    fn begin(&mut self) {
        self.judged_by = self.index.load_full();
        self.world.resources(&self.judged_by, |name| self.writer.known(name), now());
        self.resync = Instant::now() + self.options.resync;
        for kind in Kind::ALL {
            self.tasks.spawn(self.scanner.clone().workloads(kind, self.again.subscribe()));
        }
        self.tasks.spawn(self.scanner.clone().pods(self.again.subscribe()));
    }

    /// If the index is another one: what has changed is judged again.
    fn judge_again(&mut self, now: Instant) {
        let index = self.index.load_full();
        if Arc::ptr_eq(&index, &self.judged_by) {
            return;
        }
        match index.changed_since(&self.judged_by) {
            Changed::Nothing => {}
            Changed::Namespaces(names) if names.len() <= MOST_NAMESPACES => {
                self.ask(Again::Namespaces(Arc::new(names)))
            }
            // Listing everything takes its time: not for each of many changes.
            _ if now < self.free => return,
            _ => self.list_again(Again::Workloads, now),
        }
        self.world.resources(&index, |name| self.writer.known(name), self::now());
        self.judged_by = index;
    }

    fn list_again(&mut self, workloads: Again, now: Instant) {
        self.ask(workloads);
        self.resyncs += 1;
        if self.resyncs.is_multiple_of(RESYNCS_OF_PODS) {
            self.ask(Again::Pods);
        }
        self.resync = now + self.options.resync;
        self.free = now + (self.world.last_scan() * 10).max(Duration::from_secs(1));
        self.writer.read_again();
    }

    fn ask(&self, again: Again) {
        // Without a task that listens there is nothing to do.
        let _ = self.again.send(again);
    }

    async fn write(&mut self) {
        if let Err(error) = self.writer.read().await {
            warn!(%error, "reading the statuses of the resources failed, and is tried again");
            return;
        }
        let index = Arc::clone(&self.judged_by);
        let told = self.options.restarts.as_mut().map(|told| Arc::clone(&told.borrow_and_update()));
        let composed = self.world.compose(&index, told.as_deref(), |name| self.writer.known(name));
        if let Some(sender) = &self.options.candidates {
            sender.send_if_modified(|candidates| {
                let differs = **candidates != *composed.candidates;
                *candidates = composed.candidates.into();
                differs
            });
        }
        if let Some(sender) = &self.options.drifted {
            sender.send_if_modified(|drifted| {
                let differs = **drifted != *composed.drifted;
                *drifted = composed.drifted.into();
                differs
            });
        }
        self.writer.write(composed.statuses).await;
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    k8s_openapi::jiff::Timestamp::now().as_second()
}
