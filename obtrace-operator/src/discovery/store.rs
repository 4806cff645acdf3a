//! What discovery knows, kept small: a verdict a workload, a mark a Pod.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use obtrace_patch::{Configuration, marks};

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

/// Since when the Pods of a workload that was not known should be instrumented, in seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Since {
    /// Since then.
    At(i64),
    /// Since then at the earliest: nobody knows.
    NotBefore(i64),
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
    /// By which configuration it was instrumented, if it says so: an older version's does not.
    configuration: Option<Configuration>,
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
    /// Those that are instrumented by another configuration than is for them now.
    pub(super) outdated: u32,
}

/// What is new of a workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// Its Pods are configured otherwise from now on.
    Configured,
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
    /// The workloads of which it is a guess since when their Pods should be instrumented, and the earliest that it can be.
    unsure: HashMap<Arc<Key>, i64>,
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
            unsure: HashMap::new(),
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
    /// `new` is since when, if it was not known, `now` the present, in seconds since 1970.
    pub(super) fn workload(
        &mut self,
        (kind, namespace, name): (Kind, &str, &str),
        finding: Finding,
        seen: u32,
        new: Since,
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
                    self.unsure.remove(&key);
                }
                let news = match &known.finding {
                    _ if !same && finding.instruments() => News::Turned,
                    before if before.is_but_configured_as(&finding) => News::Configured,
                    _ => News::Some,
                };
                known.finding = finding;
                news
            }
            Entry::Vacant(entry) if full => {
                drop(entry);
                self.left_out += 1;
                self.release(&key);
                News::None
            }
            Entry::Vacant(entry) => {
                let since = match new {
                    Since::At(since) => since,
                    Since::NotBefore(since) => {
                        if finding.instruments() {
                            self.unsure.insert(key, since);
                        }
                        now
                    }
                };
                entry.insert(Known { finding, since, seen });
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
        let configuration = metadata.annotations.as_ref().and_then(|all| all.get(marks::CONFIGURATION)?.parse().ok());
        if let Some(known) = self.pods.get_mut(&*name) {
            known.seen = seen;
            let same = (known.marked, known.configuration) == (marked, configuration);
            if same && known.owner.kind == kind && &*known.owner.name == owner {
                return false;
            }
        } else if self.pods.len() >= self.most_pods {
            self.left_out += 1;
            return false;
        }
        let owner = self.shared(kind, metadata.namespace.as_deref().unwrap_or_default(), owner);
        let created = metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
        self.pods.insert(name.into(), Pod { owner, created, marked, configuration, seen });
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

    /// Decides since when Pods of those workloads should be instrumented of which that is a guess: since the first that is, as far as Pods are
    /// known, else since they were seen first. The resources of those whose Pods would have drifted by the earliest guess, each with the last
    /// guess of these.
    pub(super) fn learn(&mut self) -> HashMap<Arc<str>, i64> {
        let unsure = std::mem::take(&mut self.unsure);
        if unsure.is_empty() {
            return HashMap::new();
        }
        for pod in self.pods.values().filter(|pod| pod.marked) {
            let owner = owner_of(&self.jobs, pod);
            if let Some(earliest) = unsure.get(owner)
                && let Some(known) = self.workloads.get_mut(owner)
            {
                known.since = known.since.min(pod.created.max(*earliest));
            }
        }
        let mut guessed = HashMap::new();
        for pod in self.pods.values().filter(|pod| !pod.marked) {
            let owner = owner_of(&self.jobs, pod);
            if let Some(earliest) = unsure.get(owner)
                && let Some(known) = self.workloads.get(owner)
                && let Some(resource) = &known.finding.resource
                && pod.created > earliest + GRACE
                && pod.created <= known.since + GRACE
            {
                let since: &mut i64 = guessed.entry(Arc::clone(resource)).or_default();
                *since = known.since.max(*since);
            }
        }
        guessed
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
            let owner = owner_of(&self.jobs, pod);
            // There are many Pods to an owner, whose name is looked up once.
            let known = || self.workloads.get(owner).filter(|known| known.finding.instruments());
            let (known, count) = counts.entry(Arc::as_ptr(owner)).or_insert_with(|| (known(), Pods::default()));
            let Some(known) = known else { continue };
            count.all += 1;
            if !pod.marked {
                count.bare += 1;
                count.drifted += u32::from(pod.created > known.since + GRACE);
            } else if let (Some(was), Some(now)) = (pod.configuration, known.finding.configuration) {
                count.outdated += u32::from(was.is_outdated(now));
            }
        }
        counts
    }

    /// How many workloads and Pods are known.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.workloads.len(), self.pods.len())
    }
}

/// The workload that a Pod is of.
fn owner_of<'s>(jobs: &'s HashMap<Arc<Key>, (Arc<Key>, u32)>, pod: &'s Pod) -> &'s Arc<Key> {
    match pod.owner.kind {
        Kind::Job => jobs.get(&pod.owner).map_or(&pod.owner, |(cron_job, _)| cron_job),
        _ => &pod.owner,
    }
}

/// A Pod's namespace and name.
fn pod_name(metadata: &ObjectMeta) -> String {
    format!("{}/{}", metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests;
