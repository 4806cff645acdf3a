//! Kubernetes Events about what admission decided, where people look for them: on the workload that made the Pod.
//!
//! A Pod's owner is a ReplicaSet or a Job most of the time; the Event is on the Deployment or CronJob above it, which is asked of the
//! API server. The same is said of an owner once in ten minutes, and so many Events are sent in a second; what is beyond is
//! counted and told in the log. Owners whose Events the API server refuses, and namespaces that take none, are left alone for a while, each
//! time longer. A dry run makes none, and neither does a Pod that nobody owns: it has no id yet.

use std::{
    collections::HashMap,
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams},
    core::PartialObjectMeta,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{pace::Pace, pauses::Pauses};
use crate::{
    admission::{Outcome, Owner, Verdict},
    telemetry::Metrics,
};

/// For how long the same is not said again of an owner.
pub const QUIET: Duration = Duration::from_secs(600);
/// The most owners of which it is known what was said.
pub const MOST_OWNERS: usize = 10_000;
/// So many Events at once, …
const BURST: u32 = 50;
/// … and one more every so often.
const EVERY: Duration = Duration::from_millis(200);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest note that Kubernetes takes, in bytes.
const LONGEST_NOTE: usize = 1024;
/// The longest part of an Event's name that is the owner's, in bytes: a name has 253 at most.
const LONGEST_NAME: usize = 220;
/// How often what was not sent is told.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Sends an Event for every verdict that somebody wants to know of, until it is stopped or nobody sends verdicts any more.
/// Those that are not sent are counted in `metrics`.
pub async fn run(
    client: Client,
    mut verdicts: mpsc::Receiver<Verdict>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut sender = Sender::new(client, metrics);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            verdict = verdicts.recv() => match verdict {
                Some(verdict) => sender.send(&verdict, Instant::now()).await,
                None => return,
            },
        }
    }
}

/// What is said of an owner.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Said {
    Injected,
    Skipped,
}

impl Said {
    /// What there is to say of a verdict.
    fn of(verdict: &Verdict) -> Option<Self> {
        match verdict.outcome {
            _ if verdict.dry_run => None,
            Outcome::Injected => Some(Self::Injected),
            Outcome::NothingToDo if !verdict.skipped.is_empty() => Some(Self::Skipped),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "Injected",
            Self::Skipped => "Skipped",
        }
    }

    fn note(self, verdict: &Verdict) -> String {
        let languages: Vec<_> =
            verdict.languages.iter().map(|(name, language)| format!("{name} ({language})")).collect();
        let skipped: Vec<_> = verdict.skipped.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
        let by = verdict.resource.as_deref().unwrap_or_default();
        let mut note = match self {
            Self::Injected => format!("Instrumented by {by}: {}", languages.join(", ")),
            Self::Skipped => "Not instrumented".to_owned(),
        };
        if !skipped.is_empty() {
            note.push_str(if self == Self::Injected { "; left alone: " } else { ": " });
            note.push_str(&skipped.join("; "));
        }
        clipped(&note, LONGEST_NOTE).to_owned()
    }
}

/// What was said of whom, and when.
#[derive(Debug)]
struct Memory {
    said: HashMap<(Owner, String, Said), Instant>,
    most: usize,
}

impl Memory {
    /// Whether this was said of an owner of a namespace not long ago.
    fn knows(&self, owner: &Owner, namespace: &str, said: Said, now: Instant) -> bool {
        let key = (owner.clone(), namespace.to_owned(), said);
        self.said.get(&key).is_some_and(|at| now.saturating_duration_since(*at) < QUIET)
    }

    /// It has been said now.
    fn note(&mut self, owner: &Owner, namespace: &str, said: Said, now: Instant) {
        let is_quiet = |at: &Instant| now.saturating_duration_since(*at) < QUIET;
        let key = (owner.clone(), namespace.to_owned(), said);
        if self.said.len() >= self.most {
            self.said.retain(|_, at| is_quiet(at));
        }
        if self.said.len() >= self.most {
            // Forgotten together, which may say some things twice, rather than one by one at every Event.
            self.said.clear();
        }
        self.said.insert(key, now);
    }
}

struct Sender {
    client: Client,
    instance: String,
    metrics: Arc<Metrics>,
    memory: Memory,
    pace: Pace,
    pauses: Pauses,
    failed: u64,
    paused: u64,
    told: Instant,
}

impl Sender {
    fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        let now = Instant::now();
        let instance = env::var("POD_NAME").or_else(|_| env::var("HOSTNAME")).unwrap_or_default();
        let instance = if instance.is_empty() { "obtrace-zero-operator".to_owned() } else { instance };
        Self {
            client,
            instance: clipped(&instance, 128).to_owned(),
            memory: Memory { said: HashMap::new(), most: MOST_OWNERS },
            metrics,
            pace: Pace::new(BURST, EVERY, now),
            pauses: Pauses::new(MOST_OWNERS),
            failed: 0,
            paused: 0,
            told: now,
        }
    }

    async fn send(&mut self, verdict: &Verdict, now: Instant) {
        let (Some(said), Some(owner)) = (Said::of(verdict), &verdict.owner) else { return };
        if self.memory.knows(owner, &verdict.namespace, said, now) {
            return;
        }
        // What there was no time for, or what was refused, is said of the owner's next Pod.
        if self.pauses.rests(&verdict.namespace, owner, now) {
            self.paused += 1;
            self.metrics.event_unsent("paused");
        } else if !self.pace.take(now) {
            self.metrics.event_unsent("too_many");
        } else if self.publish(verdict, owner, said, now).await {
            self.memory.note(owner, &verdict.namespace, said, now);
            self.pauses.taken(&verdict.namespace, owner);
        }
        self.tell(now);
    }

    /// Sends it, unless it has been; whether it has been now.
    async fn publish(&mut self, verdict: &Verdict, owner: &Owner, said: Said, now: Instant) -> bool {
        let about = self.above(&verdict.namespace, owner).await;
        // Of the Deployment it may have been said for an older ReplicaSet.
        if about != *owner && self.memory.knows(&about, &verdict.namespace, said, now) {
            return true;
        }
        let event = event(verdict, &about, said, &self.instance, Timestamp::now());
        let api = Api::<Event>::namespaced(self.client.clone(), &verdict.namespace);
        let fault = match timeout(TIMEOUT, api.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => {
                self.memory.note(&about, &verdict.namespace, said, now);
                return true;
            }
            Ok(Err(error)) => {
                if is_refusal(&error) {
                    self.pauses.refused(&verdict.namespace, owner, now);
                }
                error.to_string()
            }
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        self.failed += 1;
        self.metrics.event_unsent("refused");
        debug!(namespace = verdict.namespace, owner = about.name, error = fault, "an Event could not be made");
        false
    }

    /// What made the owner, if that is a Deployment, a Rollout or a CronJob; else the owner.
    async fn above(&self, namespace: &str, owner: &Owner) -> Owner {
        let resource = match (owner.kind.as_str(), owner.api_version.as_str()) {
            ("ReplicaSet", "apps/v1") => "replicasets",
            ("Job", "batch/v1") => "jobs",
            _ => return owner.clone(),
        };
        let (group, version) = owner.api_version.split_once('/').unwrap_or_default();
        let kind = GroupVersionKind::gvk(group, version, &owner.kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, resource);
        let api = Api::<PartialObjectMeta<DynamicObject>>::namespaced_with(self.client.clone(), namespace, &resource);
        match timeout(TIMEOUT, api.get_metadata(&owner.name)).await {
            Ok(Ok(object)) => controller(object.metadata).unwrap_or_else(|| owner.clone()),
            Ok(Err(error)) => {
                debug!(namespace, owner = owner.name, %error, "asking who made the owner of a Pod failed");
                owner.clone()
            }
            Err(_) => owner.clone(),
        }
    }

    fn tell(&mut self, now: Instant) {
        if now.saturating_duration_since(self.told) < TELL_EVERY {
            return;
        }
        self.told = now;
        let (dropped, failed, paused) =
            (self.pace.refused(), std::mem::take(&mut self.failed), std::mem::take(&mut self.paused));
        if dropped + failed + paused > 0 {
            warn!(
                dropped,
                failed,
                paused,
                "Events that were not made: too many at once, refused by the API server, or of owners whose were refused before"
            );
        }
    }
}

/// Whether the API server will not have this Event, rather than being busy, or having none of us.
fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if !matches!(status.code, 401 | 408 | 429 | 503 | 504))
}

fn controller(metadata: ObjectMeta) -> Option<Owner> {
    let owner = metadata.owner_references?.into_iter().find(|owner| owner.controller == Some(true))?;
    Some(Owner::new(owner.api_version, owner.kind, owner.name, owner.uid))
}

fn event(verdict: &Verdict, about: &Owner, said: Said, instance: &str, now: Timestamp) -> Event {
    let reference = ObjectReference {
        api_version: Some(about.api_version.clone()),
        kind: Some(about.kind.clone()),
        name: Some(about.name.clone()),
        namespace: Some(verdict.namespace.clone()),
        uid: Some(about.uid.clone()),
        ..ObjectReference::default()
    };
    Event {
        action: Some("Instrument".to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", clipped(&about.name, LONGEST_NAME), now.as_nanosecond())),
            namespace: Some(verdict.namespace.clone()),
            ..ObjectMeta::default()
        },
        note: Some(said.note(verdict)),
        reason: Some(said.as_str().to_owned()),
        regarding: Some(reference),
        reporting_controller: Some("obtrace.io/obtrace-zero".to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some("Normal".to_owned()),
        ..Event::default()
    }
}

/// A text's beginning, at the end of a character.
fn clipped(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
