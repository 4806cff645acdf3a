//! What discovery knows, kept small: a verdict a workload, a mark a Pod.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use obtrace_patch::marks;

use super::{
    finding::Finding,
    kind::{Kind, owner},
};

/// How long after a change of what its Pods get a Pod may still be made by the old word, in seconds: the replicas that admit hear of
/// it at different times, and the clocks of two machines differ.
const GRACE: i64 = 5;

/// A workload's name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    pub(super) namespace: Arc<str>,
    pub(super) kind: Kind,
    pub(super) name: Box<str>,
}

/// What is known of a workload.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) finding: Finding,
    /// Since when its Pods should be instrumented, in seconds since 1970.
    since: i64,
    seen: u32,
}

#[derive(Debug)]
struct Pod {
    owner: Arc<Key>,
    created: i64,
    marked: bool,
    seen: u32,
}

/// The Pods of a workload that should be instrumented.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Pods {
    /// All that have not ended.
    pub(super) all: u32,
    /// Those that are not instrumented.
    pub(super) bare: u32,
    /// Those of them that were made when they should have been.
    pub(super) drifted: u32,
}

/// What is new of a workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// It was not known, or something is found of it that was not.
    Some,
    /// Its Pods should be instrumented by a resource from now on, and should not have been before.
    Turned,
}

/// Workloads and Pods.
#[derive(Debug)]
pub(super) struct Store {
    workloads: HashMap<Arc<Key>, Known>,
    pods: HashMap<Box<str>, Pod>,
    /// The CronJob of each Job that has one, and when that was last seen.
    jobs: HashMap<Arc<Key>, (Arc<Key>, u32)>,
    /// Every key that is used, once: Pods are told to their workloads by where its key is.
    keys: HashSet<Arc<Key>>,
    namespaces: HashSet<Arc<str>>,
    most_workloads: usize,
    most_pods: usize,
    /// How many workloads and Pods did not fit, each time they were told of.
    pub(super) left_out: u64,
}

impl Store {
    pub(super) fn new(most_workloads: usize, most_pods: usize) -> Self {
        Self {
            workloads: HashMap::new(),
            pods: HashMap::new(),
            jobs: HashMap::new(),
            keys: HashSet::new(),
            namespaces: HashSet::new(),
            most_workloads,
            most_pods,
            left_out: 0,
        }
    }

    /// A key whose namespace is kept once.
    fn key(&mut self, kind: Kind, namespace: &str, name: &str) -> Key {
        let namespace = match self.namespaces.get(namespace) {
            Some(known) => Arc::clone(known),
            None => {
                let new: Arc<str> = namespace.into();
                self.namespaces.insert(Arc::clone(&new));
                new
            }
        };
        Key { namespace, kind, name: name.into() }
    }

    /// A key that is kept once.
    fn shared(&mut self, kind: Kind, namespace: &str, name: &str) -> Arc<Key> {
        let key = self.key(kind, namespace, name);
        if let Some(known) = self.keys.get(&key) {
            return Arc::clone(known);
        }
        let new = Arc::new(key);
        self.keys.insert(Arc::clone(&new));
        new
    }

    /// Forgets a key that nobody else has.
    fn release(&mut self, key: &Arc<Key>) {
        // That of the caller, and that of the set.
        if Arc::strong_count(key) <= 2 {
            self.keys.remove(key);
        }
    }

    /// Takes a workload in; what is new of it.
    ///
    /// `resource_since` is since when the resource that is for it is in use, `now` the present, both in seconds since 1970.
    pub(super) fn workload(
        &mut self,
        (kind, namespace, name): (Kind, &str, &str),
        finding: Finding,
        seen: u32,
        resource_since: i64,
        now: i64,
    ) -> News {
        let full = self.workloads.len() >= self.most_workloads;
        let key = self.shared(kind, namespace, name);
        match self.workloads.entry(Arc::clone(&key)) {
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.seen = seen;
                if known.finding == finding {
                    return News::None;
                }
                let same = known.finding.instruments() && known.finding.resource == finding.resource;
                if !same {
                    known.since = now;
                }
                let turned = !same && finding.instruments();
                known.finding = finding;
                if turned { News::Turned } else { News::Some }
            }
            Entry::Vacant(entry) if full => {
                drop(entry);
                self.left_out += 1;
                self.release(&key);
                News::None
            }
            Entry::Vacant(entry) => {
                entry.insert(Known { finding, since: resource_since, seen });
                News::Some
            }
        }
    }

    /// Takes a Job of a CronJob in.
    pub(super) fn job(&mut self, namespace: &str, job: &str, cron_job: &str, seen: u32) {
        if self.jobs.len() >= self.most_workloads {
            self.left_out += 1;
            return;
        }
        let job = self.shared(Kind::Job, namespace, job);
        let cron_job = self.shared(Kind::CronJob, namespace, cron_job);
        self.jobs.insert(job, (cron_job, seen));
    }

    /// A workload is gone; whether it was known.
    pub(super) fn remove(&mut self, kind: Kind, namespace: &str, name: &str) -> bool {
        let key = self.shared(kind, namespace, name);
        let cron_job = if kind == Kind::Job { self.jobs.remove(&key) } else { None };
        let was_known = self.workloads.remove(&key).is_some();
        self.release(&key);
        if let Some((cron_job, _)) = cron_job {
            self.release(&cron_job);
        }
        was_known
    }

    /// All of a kind has been told of: what was not is gone. Whether there was something.
    pub(super) fn keep_seen(&mut self, kind: Kind, seen: u32) -> bool {
        let before = self.workloads.len();
        self.workloads.retain(|key, known| key.kind != kind || known.seen == seen);
        if kind == Kind::Job {
            self.jobs.retain(|_, (_, last)| *last == seen);
        }
        self.shrink();
        self.workloads.len() != before
    }

    /// Takes a Pod in; whether that changes anything.
    pub(super) fn pod(&mut self, metadata: &ObjectMeta, seen: u32) -> bool {
        let name = pod_name(metadata);
        let Some((kind, owner)) = owner(metadata) else { return self.remove_pod(metadata) };
        let marked = metadata.labels.as_ref().and_then(|labels| labels.get(marks::INSTRUMENTED));
        let marked = marked.is_some_and(|value| value == "true");
        if let Some(known) = self.pods.get_mut(&*name) {
            known.seen = seen;
            if known.marked == marked && known.owner.kind == kind && &*known.owner.name == owner {
                return false;
            }
        } else if self.pods.len() >= self.most_pods {
            self.left_out += 1;
            return false;
        }
        let owner = self.shared(kind, metadata.namespace.as_deref().unwrap_or_default(), owner);
        let created = metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
        self.pods.insert(name.into(), Pod { owner, created, marked, seen });
        true
    }

    /// A Pod is gone, or has ended; whether it was known.
    pub(super) fn remove_pod(&mut self, metadata: &ObjectMeta) -> bool {
        let Some(pod) = self.pods.remove(&*pod_name(metadata)) else { return false };
        self.release(&pod.owner);
        true
    }

    /// All Pods have been told of: those that were not are gone. Whether there were some.
    pub(super) fn keep_seen_pods(&mut self, seen: u32) -> bool {
        let before = self.pods.len();
        self.pods.retain(|_, pod| pod.seen == seen);
        self.shrink();
        self.pods.len() != before
    }

    /// Gives back what much larger tables took.
    fn shrink(&mut self) {
        self.keys.retain(|key| Arc::strong_count(key) > 1);
        self.namespaces.retain(|name| Arc::strong_count(name) > 1);
        if self.pods.capacity() / 4 > self.pods.len() {
            self.pods.shrink_to_fit();
        }
        if self.workloads.capacity() / 4 > self.workloads.len() {
            self.workloads.shrink_to_fit();
        }
        if self.keys.capacity() / 4 > self.keys.len() {
            self.keys.shrink_to_fit();
        }
    }

    /// The workloads, in no order, each with its Pods counted if they should be instrumented.
    pub(super) fn workloads(&self) -> impl Iterator<Item = (&Key, &Finding, Pods)> {
        let counts = self.counts();
        self.workloads.iter().map(move |(key, known)| {
            let pods = counts.get(&Arc::as_ptr(key)).map(|(_, pods)| *pods);
            (&**key, &known.finding, pods.unwrap_or_default())
        })
    }

    /// The Pods of each workload that is instrumented, by where its key is.
    fn counts(&self) -> HashMap<*const Key, (Option<&Known>, Pods)> {
        let mut counts = HashMap::with_capacity(self.workloads.len());
        for pod in self.pods.values() {
            let owner = match pod.owner.kind {
                Kind::Job => self.jobs.get(&pod.owner).map_or(&pod.owner, |(cron_job, _)| cron_job),
                _ => &pod.owner,
            };
            // There are many Pods to an owner, whose name is looked up once.
            let known = || self.workloads.get(owner).filter(|known| known.finding.instruments());
            let (known, count) = counts.entry(Arc::as_ptr(owner)).or_insert_with(|| (known(), Pods::default()));
            let Some(known) = known else { continue };
            count.all += 1;
            if !pod.marked {
                count.bare += 1;
                count.drifted += u32::from(pod.created > known.since + GRACE);
            }
        }
        counts
    }

    /// How many workloads and Pods are known.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.workloads.len(), self.pods.len())
    }
}

/// A Pod's namespace and name.
fn pod_name(metadata: &ObjectMeta) -> String {
    format!("{}/{}", metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use obtrace_detect::{Confidence, Language, Strategy};
    use serde_json::json;

    use super::*;

    fn finding(strategy: Option<Strategy>) -> Finding {
        Finding {
            resource: Some("a/b".into()),
            rival: None,
            language: Language::Python,
            framework: None,
            confidence: Confidence::SOLID,
            strategy,
            reason: None,
        }
    }

    fn pod(name: &str, created: i64, marked: bool, owner: &str, kind: &str) -> ObjectMeta {
        let at = k8s_openapi::jiff::Timestamp::from_second(created).unwrap().to_string();
        let version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
        serde_json::from_value(json!({ "name": name, "namespace": "shop", "creationTimestamp": at,
            "labels": { "obtrace.io/instrumented": marked.to_string(), "pod-template-hash": "h" },
            "ownerReferences": [{ "apiVersion": version, "kind": kind, "name": owner, "uid": "1", "controller": true }] }))
        .unwrap()
    }

    fn pods(store: &Store, name: &str) -> Pods {
        store.workloads().find(|(key, ..)| &*key.name == name).map(|(.., pods)| pods).unwrap()
    }

    const WEB: (Kind, &str, &str) = (Kind::Deployment, "shop", "web");

    #[test]
    fn pods_are_counted_to_workloads_whichever_comes_first() {
        let mut store = Store::new(10, 10);
        store.pod(&pod("web-h-1", 10, true, "web-h", "ReplicaSet"), 1);
        assert_eq!(store.workload(WEB, finding(Some(Strategy::Sdk)), 1, 100, 100), News::Some);
        assert_eq!(store.workload(WEB, finding(Some(Strategy::Sdk)), 1, 100, 100), News::None);
        store.pod(&pod("web-h-2", 90, false, "web-h", "ReplicaSet"), 1);
        store.pod(&pod("web-h-3", 110, false, "web-h", "ReplicaSet"), 1);
        assert_eq!(pods(&store, "web"), Pods { all: 3, bare: 2, drifted: 1 });
        store.pod(&pod("web-h-2", 90, true, "web-h", "ReplicaSet"), 1);
        store.remove_pod(&pod("web-h-3", 110, false, "web-h", "ReplicaSet"));
        assert_eq!(pods(&store, "web"), Pods { all: 2, bare: 0, drifted: 0 });
        store.workload(WEB, finding(None), 1, 100, 200);
        assert_eq!(pods(&store, "web"), Pods::default(), "nobody asks after the Pods of what is left alone");
    }

    #[test]
    fn pods_older_than_the_change_have_not_drifted() {
        let mut store = Store::new(10, 10);
        store.workload(WEB, finding(None), 1, 0, 50);
        store.pod(&pod("web-h-1", 60, false, "web-h", "ReplicaSet"), 1);
        assert_eq!(store.workload(WEB, finding(Some(Strategy::Sdk)), 1, 0, 100), News::Turned);
        assert_eq!(pods(&store, "web"), Pods { all: 1, bare: 1, drifted: 0 });
        store.pod(&pod("web-h-2", 106, false, "web-h", "ReplicaSet"), 1);
        assert_eq!(pods(&store, "web"), Pods { all: 2, bare: 2, drifted: 1 });
    }

    #[test]
    fn pods_of_a_job_are_those_of_its_cron_job() {
        let mut store = Store::new(10, 10);
        store.workload((Kind::CronJob, "shop", "nightly"), finding(Some(Strategy::Sdk)), 1, 0, 0);
        store.pod(&pod("nightly-1-x", 10, false, "nightly-1", "Job"), 1);
        assert_eq!(pods(&store, "nightly").all, 0);
        store.job("shop", "nightly-1", "nightly", 1);
        assert_eq!(pods(&store, "nightly").all, 1);
    }

    #[test]
    fn what_a_list_does_not_tell_of_is_gone() {
        let mut store = Store::new(10, 10);
        store.workload(WEB, finding(None), 1, 0, 0);
        store.workload((Kind::DaemonSet, "shop", "node"), finding(None), 1, 0, 0);
        store.pod(&pod("a", 1, true, "web-h", "ReplicaSet"), 1);
        store.keep_seen(Kind::Deployment, 2);
        store.keep_seen_pods(2);
        assert_eq!(store.size(), (1, 0));
        assert_eq!(store.namespaces.len(), 1);
        store.remove(Kind::DaemonSet, "shop", "node");
        store.keep_seen(Kind::Job, 2);
        assert_eq!((store.size(), store.keys.len(), store.namespaces.len()), ((0, 0), 0, 0));
    }

    #[test]
    fn a_name_is_kept_once_and_no_longer_than_it_is_used() {
        let mut store = Store::new(10, 10);
        let all = [pod("web-h-1", 10, true, "web-h", "ReplicaSet"), pod("nightly-1-x", 10, false, "nightly-1", "Job")];
        all.iter().for_each(|pod| assert!(store.pod(pod, 1)));
        store.workload(WEB, finding(Some(Strategy::Sdk)), 1, 0, 0);
        store.job("shop", "nightly-1", "nightly", 1);
        assert_eq!(store.keys.len(), 3);
        assert!(store.remove(WEB.0, WEB.1, WEB.2));
        assert_eq!(store.keys.len(), 3, "its Pod is there");
        all.iter().for_each(|pod| assert!(store.remove_pod(pod)));
        assert_eq!(store.keys.len(), 2);
        store.remove(Kind::Job, "shop", "nightly-1");
        assert!(!store.remove(Kind::Job, "shop", "other"));
        assert_eq!(store.keys.len(), 0);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut store = Store::new(1, 1);
        store.workload(WEB, finding(None), 1, 0, 0);
        store.workload((Kind::Deployment, "shop", "other"), finding(None), 1, 0, 0);
        store.pod(&pod("a", 1, true, "web-h", "ReplicaSet"), 1);
        store.pod(&pod("b", 1, true, "web-h", "ReplicaSet"), 1);
        assert_eq!((store.size(), store.left_out), ((1, 1), 2));
    }
}
