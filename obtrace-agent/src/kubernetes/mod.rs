//! Processes and peers as Kubernetes knows them.
//!
//! A process belongs to the Pod whose control group it is in ([`Place`]). What that Pod is comes from one of two sources:
//!
//! - **beside one Pod** ([`Cluster::of_pod`]): the agent is a sidecar, sees only the processes of its own Pod (they share a
//!   PID namespace), and is told by its environment what the Pod is. It asks nobody.
//! - **on a node** ([`Cluster::of_node`]): one agent for all Pods of a node. The cargo feature `kubernetes` watches the API server for
//!   the Pods of that node, the Services and the EndpointSlices, and keeps of each what spans need.
//!
//! An agent of a node that the API server refuses knows Pods by their control groups alone. Which of them are excluded is not written
//! there: it observes them all, and says so.
//!
//! # No span twice
//!
//! An agent of a node observes the processes of the Pods that its list has, and no others. A process in a Pod that the list
//! has not is left alone: it is another node's (two nodes of a test share a kernel), or its Pod is not known yet and it
//! is looked at again when it is. Of those in the list, Pods are left alone that have a sidecar, whose loaders report everything
//! (`obtrace.io/strategy: sdk`), that are excluded by annotation, label or namespace. Where a loader and an agent share the work
//! (`hybrid`) the loader's variable `OBTRACE_TRACED` names the kinds of span that are its own.

mod cgroup;
#[cfg(feature = "kubernetes")]
mod object;
mod peers;
mod record;
#[cfg(feature = "kubernetes")]
pub mod watch;

use std::{
    net::IpAddr,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::discovery::Glob;

pub use self::{
    cgroup::{NotAUid, Place, PodUid, pod_of_mounts},
    peers::Peer,
    record::{Coverage, Identity, PodRecord},
};
use peers::{Peers, Source};

/// Namespaces whose Pods the agent of a node leaves alone if nothing else is set: those that the operator never touches, and
/// those of monitoring tools.
pub const EXCLUDED_NAMESPACES: &str = "kube-system,kube-public,kube-node-lease,local-path-storage,cert-manager,linkerd,\
    argocd,monitoring,grafana-alloy,gatekeeper-system,gke-*,obtrace-system,obtrace-infra";

/// Bounds and choices for the agent of a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The node's name.
    pub node: String,
    /// The cluster's name, `k8s.cluster.name`; empty: not known.
    pub cluster: String,
    /// Namespaces whose Pods are left alone.
    pub exclude_namespaces: Vec<Glob>,
    /// Whether processes that are in no Pod are observed too.
    pub host_processes: bool,
    /// Whether peers are called by name, for which Services and EndpointSlices of the whole cluster are watched.
    pub peers: bool,
    /// Most addresses of peers that are remembered; those beyond are counted. 16,384.
    pub max_peers: usize,
    /// Most Pods of the node that are remembered; those beyond are counted and not observed. 1,024.
    pub max_pods: usize,
    /// A file that says how to reach the API server; `None`: as a Pod does, by its service account.
    pub kubeconfig: Option<String>,
}

impl Settings {
    /// The defaults, for a node.
    #[must_use]
    pub fn new(node: impl Into<String>) -> Self {
        Self {
            node: node.into(),
            cluster: String::new(),
            exclude_namespaces: EXCLUDED_NAMESPACES.split(',').filter_map(|name| name.parse().ok()).collect(),
            host_processes: false,
            peers: true,
            max_peers: 16_384,
            max_pods: 1_024,
            kubeconfig: None,
        }
    }
}

/// What did not find room, since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Pods of the node beyond [`Settings::max_pods`].
    pub pods_refused: u64,
    /// Addresses beyond [`Settings::max_peers`].
    pub peers_refused: u64,
}

#[derive(Debug)]
enum Scope {
    Pod(Box<Identity>),
    Node(Settings),
}

/// What is known of the Pods whose processes are observed. Filled by one thread, asked by others.
#[derive(Debug)]
pub struct Cluster {
    scope: Scope,
    tables: RwLock<Tables>,
    /// Grows with every change that concerns processes.
    generation: AtomicU64,
}

#[derive(Debug)]
struct Tables {
    /// By UID; a static Pod by both of its own.
    pods: FxHashMap<PodUid, std::sync::Arc<PodRecord>>,
    peers: Peers,
    refused: u64,
    /// Without access to the API nobody knows whose a Pod is: every one is taken for this node's.
    blind: bool,
}

impl Cluster {
    /// For an agent beside one Pod: every process that it sees is of that Pod.
    #[must_use]
    pub fn of_pod(identity: Identity) -> Self {
        Self::new(Scope::Pod(Box::new(identity)), 0)
    }

    /// For the agent of a node, which knows no Pod yet.
    #[must_use]
    pub fn of_node(settings: Settings) -> Self {
        let most = settings.max_peers;
        Self::new(Scope::Node(settings), most)
    }

    fn new(scope: Scope, most_peers: usize) -> Self {
        let tables = Tables { pods: FxHashMap::default(), peers: Peers::new(most_peers), refused: 0, blind: false };
        Self { scope, tables: RwLock::new(tables), generation: AtomicU64::new(0) }
    }

    /// The settings of the agent of a node; `None` beside a Pod.
    #[must_use]
    pub const fn node(&self) -> Option<&Settings> {
        match &self.scope {
            Scope::Node(settings) => Some(settings),
            Scope::Pod(_) => None,
        }
    }

    /// Whether processes are chosen by the Pods they are in.
    #[must_use]
    pub const fn is_selective(&self) -> bool {
        matches!(self.scope, Scope::Node(_))
    }

    /// Changes whenever more or something else may be said of processes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What found no room.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let tables = self.read();
        Counters { pods_refused: tables.refused, peers_refused: tables.peers.refused() }
    }

    /// How many Pods are known.
    #[must_use]
    pub fn pods(&self) -> usize {
        let tables = self.read();
        tables.pods.iter().filter(|(uid, pod)| pod.uid == **uid).count()
    }

    /// Whether a process is observed by this agent. `cgroup` is the text of its `/proc/PID/cgroup`.
    #[must_use]
    pub fn observes(&self, cgroup: &str) -> bool {
        let Scope::Node(settings) = &self.scope else { return true };
        let Some(place) = Place::of_cgroup(cgroup) else { return settings.host_processes };
        let tables = self.read();
        match tables.pods.get(&place.pod) {
            Some(pod) => pod.coverage == Coverage::Observed,
            None => tables.blind,
        }
    }

    /// What is said of a process. `cgroup` is the text of its `/proc/PID/cgroup`.
    #[must_use]
    pub fn identity(&self, cgroup: &str) -> Identity {
        let settings = match &self.scope {
            Scope::Pod(identity) => return Identity::clone(identity),
            Scope::Node(settings) => settings,
        };
        let node = || vec![("k8s.node.name", settings.node.clone()), ("host.name", settings.node.clone())];
        let Some(place) = Place::of_cgroup(cgroup) else {
            return Identity { attributes: node(), complete: true, ..Identity::default() };
        };
        let pod = self.read().pods.get(&place.pod).cloned();
        let Some(pod) = pod else {
            let mut attributes = node();
            if !place.pod.is_static() {
                attributes.push(("k8s.pod.uid", place.pod.to_string()));
            }
            return Identity { attributes, ..Identity::default() };
        };
        let mut attributes = pod.attributes.clone();
        let container = pod.container(place.container);
        if let Some(container) = container {
            attributes.push(("k8s.container.name", container.to_owned()));
            attributes.push(("service.instance.id", format!("{}.{}.{container}", pod.namespace, pod.name)));
        }
        Identity { attributes, traced: String::new(), complete: container.is_some() || place.container.is_none() }
    }

    /// Who has an address; `None` if that is not known.
    #[must_use]
    pub fn peer(&self, address: IpAddr) -> Option<Peer> {
        if !self.is_selective() || address.is_loopback() {
            return None;
        }
        self.read().peers.get(address.to_canonical()).cloned()
    }

    /// A Pod of the node is new, or is as this says now.
    pub fn set_pod(&self, pod: PodRecord) {
        let mut tables = self.write();
        let known = tables.pods.get(&pod.uid).cloned();
        if known.as_deref() == Some(&pod) {
            return;
        }
        let most = self.node().map_or(0, |settings| settings.max_pods);
        // A static Pod counts twice, which is no harm.
        if known.is_none() && tables.pods.len() >= most {
            tables.refused += 1;
            return;
        }
        let peer = Peer { name: pod.service.clone().into(), namespace: pod.namespace.clone().into() };
        tables.peers.set(Source::Pod, &pod.uid.to_string(), peer, pod.addresses.clone());
        let pod = std::sync::Arc::new(pod);
        for uid in pod.uids() {
            tables.pods.insert(uid, std::sync::Arc::clone(&pod));
        }
        drop(tables);
        self.changed();
    }

    /// A Pod is gone.
    pub fn remove_pod(&self, uid: PodUid) {
        let mut tables = self.write();
        if let Some(pod) = tables.pods.get(&uid).cloned() {
            pod.uids().for_each(|uid| drop(tables.pods.remove(&uid)));
            tables.peers.remove(Source::Pod, &pod.uid.to_string());
        }
        // Its processes have ended or will: there is nothing to look at again.
    }

    /// Every Pod that is not among these is gone.
    pub fn keep_pods(&self, keep: &FxHashSet<PodUid>) {
        let gone: Vec<PodUid> =
            self.read().pods.values().map(|pod| pod.uid).filter(|uid| !keep.contains(uid)).collect();
        gone.into_iter().for_each(|uid| self.remove_pod(uid));
    }

    /// The API cannot be asked: from now on Pods that are not known are observed, and called by their control groups.
    pub fn set_blind(&self, blind: bool) {
        let before = std::mem::replace(&mut self.write().blind, blind);
        if before != blind {
            self.changed();
        }
    }

    #[cfg(feature = "kubernetes")]
    fn with_peers(&self, change: impl FnOnce(&mut Peers)) {
        change(&mut self.write().peers);
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
