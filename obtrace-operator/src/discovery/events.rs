//! Kubernetes Events about what admission decided, where people look for them: on the workload that made the Pod.
//!
//! A Pod's owner is a ReplicaSet or a Job most of the time; the Event is on the Deployment or CronJob above it, which is asked of the
//! API server. The same is said of an owner once in ten minutes, and so many Events are sent in a second; what is beyond is
//! counted and told in the log. A dry run makes none, and neither does a Pod that nobody owns: it has no id yet.

use std::{
    collections::HashMap,
    env,
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

use super::pace::Pace;
use crate::admission::{Outcome, Owner, Verdict};

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
pub async fn run(client: Client, mut verdicts: mpsc::Receiver<Verdict>, stop: CancellationToken) {
    let mut sender = Sender::new(client);
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
    memory: Memory,
    pace: Pace,
    failed: u64,
    told: Instant,
}

impl Sender {
    fn new(client: Client) -> Self {
        let now = Instant::now();
        let instance = env::var("POD_NAME").or_else(|_| env::var("HOSTNAME")).unwrap_or_default();
        let instance = if instance.is_empty() { "obtrace-zero-operator".to_owned() } else { instance };
        Self {
            client,
            instance: clipped(&instance, 128).to_owned(),
            memory: Memory { said: HashMap::new(), most: MOST_OWNERS },
            pace: Pace::new(BURST, EVERY, now),
            failed: 0,
            told: now,
        }
    }

    async fn send(&mut self, verdict: &Verdict, now: Instant) {
        let (Some(said), Some(owner)) = (Said::of(verdict), &verdict.owner) else { return };
        if self.memory.knows(owner, &verdict.namespace, said, now) {
            return;
        }
        // What there was no time for, or what was refused, is said of the owner's next Pod.
        if self.pace.take(now) && self.publish(verdict, owner, said, now).await {
            self.memory.note(owner, &verdict.namespace, said, now);
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
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        self.failed += 1;
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
        let (dropped, failed) = (self.pace.refused(), std::mem::take(&mut self.failed));
        if dropped + failed > 0 {
            warn!(dropped, failed, "Events that were not made: too many at once, or refused by the API server");
        }
    }
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
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use obtrace_detect::Language;

    use super::*;

    fn verdict(outcome: Outcome) -> Verdict {
        let mut verdict = Verdict::new(outcome);
        verdict.namespace = "shop".to_owned();
        verdict.resource = Some("obtrace-system/default".to_owned());
        verdict.owner = Some(owner("web"));
        verdict
    }

    fn owner(name: &str) -> Owner {
        Owner::new("apps/v1", "ReplicaSet", name, "1")
    }

    #[test]
    fn what_was_done_and_what_was_not_is_said() {
        let mut injected = verdict(Outcome::Injected);
        injected.languages = vec![("web".to_owned(), Language::Python)];
        injected.skipped = vec![("proxy".to_owned(), "infrastructure, never instrumented".to_owned())];
        assert_eq!(Said::of(&injected), Some(Said::Injected));
        assert_eq!(
            Said::Injected.note(&injected),
            "Instrumented by obtrace-system/default: web (python); left alone: proxy: infrastructure, never instrumented"
        );
        let mut skipped = verdict(Outcome::NothingToDo);
        assert_eq!(Said::of(&skipped), None);
        skipped.skipped = vec![("db".to_owned(), "é".repeat(2000))];
        assert_eq!(Said::of(&skipped), Some(Said::Skipped));
        let note = Said::Skipped.note(&skipped);
        assert!(note.starts_with("Not instrumented: db: é") && note.len() <= LONGEST_NOTE);
    }

    #[test]
    fn nothing_is_said_of_a_dry_run_or_of_what_is_none_of_ours() {
        let mut dry = verdict(Outcome::Injected);
        dry.dry_run = true;
        assert_eq!(Said::of(&dry), None);
        for outcome in [Outcome::NoResource, Outcome::Excluded, Outcome::AlreadyInjected, Outcome::Unreadable] {
            assert_eq!(Said::of(&verdict(outcome)), None, "{outcome:?}");
        }
    }

    #[test]
    fn the_same_is_said_once_in_a_while() {
        let mut memory = Memory { said: HashMap::new(), most: 2 };
        let now = Instant::now();
        assert!(!memory.knows(&owner("a"), "shop", Said::Injected, now));
        memory.note(&owner("a"), "shop", Said::Injected, now);
        assert!(memory.knows(&owner("a"), "shop", Said::Injected, now + QUIET / 2));
        assert!(!memory.knows(&owner("a"), "other", Said::Injected, now));
        assert!(!memory.knows(&owner("a"), "shop", Said::Injected, now + QUIET));
        for name in ["b", "c", "d", "e"] {
            memory.note(&owner(name), "shop", Said::Skipped, now);
            assert!(memory.knows(&owner(name), "shop", Said::Skipped, now) && memory.said.len() <= 2);
        }
    }

    /// A client of an API server that knows no owner, and takes Events or, the first time, not; how many came.
    fn client() -> (Client, Arc<AtomicUsize>) {
        let came = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&came);
        let answer = move |request: http::Request<kube::client::Body>| {
            let number = if request.method() == http::Method::POST { count.fetch_add(1, Relaxed) } else { 0 };
            async move {
                let (status, body) = match (request.method().as_str(), number) {
                    ("POST", 1..) => (201, request.into_body().collect_bytes().await?),
                    _ => (500, Default::default()),
                };
                let response = http::Response::builder().status(status).body(kube::client::Body::from(body));
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(response?)
            }
        };
        (Client::new(tower::service_fn(answer), "default"), came)
    }

    #[tokio::test]
    async fn what_was_refused_is_said_later() {
        let (client, came) = client();
        let (mut sender, now) = (Sender::new(client), Instant::now());
        let of = |name: &str| Verdict {
            owner: Some(Owner::new("apps/v1", "DaemonSet", name, "1")),
            ..verdict(Outcome::Injected)
        };
        // The API server refuses the first, and takes it when it comes again.
        for _ in 0..3 {
            sender.send(&of("a"), now).await;
        }
        assert_eq!(came.load(Relaxed), 2);
        for other in 0..BURST {
            sender.send(&of(&format!("b{other}")), now).await;
        }
        let burst = came.load(Relaxed);
        assert_eq!(burst, BURST as usize);
        sender.send(&of("late"), now).await;
        assert_eq!(came.load(Relaxed), burst);
        sender.send(&of("late"), now + EVERY).await;
        sender.send(&of("late"), now + EVERY * 2).await;
        assert_eq!(came.load(Relaxed), burst + 1);
    }

    #[test]
    fn an_event_has_what_the_api_server_demands() {
        let about = Owner::new("apps/v1", "Deployment", "w".repeat(253), "2");
        let made = event(&verdict(Outcome::Injected), &about, Said::Injected, "me", Timestamp::now());
        let name = made.metadata.name.unwrap();
        assert!(name.len() <= 253, "{}", name.len());
        assert!(made.event_time.is_some() && made.action.is_some() && made.reporting_instance.is_some());
        assert_eq!(made.regarding.unwrap().uid.as_deref(), Some("2"));
    }
}
