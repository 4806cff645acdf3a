//! What is told of restarts: Events on the workload, and what the statuses of resources say.

use std::{
    collections::BTreeMap,
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};
use tokio::{sync::watch, time::timeout};
use tracing::{debug, info, warn};

use super::object::Workload;
use crate::discovery::Id;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the same wait is not said again of a workload.
const QUIET: Duration = Duration::from_secs(600);
/// The longest note that Kubernetes takes, in bytes.
const LONGEST_NOTE: usize = 1024;
/// The longest part of an Event's name that is the workload's, in bytes: a name has 253 at most.
const LONGEST_NAME: usize = 220;

/// What there is to tell of restarts, for the statuses of resources.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Told {
    /// Why no workload is restarted at all.
    pub refused: Option<String>,
    /// What became of a workload's restart, or what it waits for.
    pub notes: BTreeMap<Id, String>,
}

/// What is said in an Event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Said {
    Restarting,
    Restarted,
    RolledBack,
    Waiting,
}

impl Said {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Restarting => "Restarting",
            Self::Restarted => "Restarted",
            Self::RolledBack => "RolledBack",
            Self::Waiting => "RestartWaiting",
        }
    }
}

/// Tells.
pub(super) struct Teller {
    client: Client,
    instance: String,
    told: Told,
    statuses: watch::Sender<Arc<Told>>,
    /// What a workload was last said to wait for, and when.
    waits: BTreeMap<Id, (String, Instant)>,
}

impl Teller {
    pub(super) fn new(client: Client, statuses: watch::Sender<Arc<Told>>) -> Self {
        let instance = env::var("POD_NAME").ok().filter(|name| !name.is_empty());
        let instance = instance.unwrap_or_else(|| "obtrace-zero-operator".to_owned());
        let instance = clipped(&instance, 128).to_owned();
        Self { client, instance, told: Told::default(), statuses, waits: BTreeMap::new() }
    }

    /// Why nothing is restarted, or that something is.
    pub(super) fn refused(&mut self, why: Option<String>) {
        if self.told.refused == why {
            return;
        }
        match &why {
            Some(why) => warn!(error = why, "workloads cannot be restarted"),
            None => info!("workloads can be restarted"),
        }
        self.told.refused = why;
    }

    /// What the statuses say of a workload from now on.
    pub(super) fn note(&mut self, id: &Id, note: impl Into<String>) {
        self.told.notes.insert(id.clone(), note.into());
    }

    /// A workload waits for that; an Event says so, once in a while.
    pub(super) async fn wait(&mut self, id: &Id, workload: &Workload, why: &str) {
        self.note(id, format!("its restart waits: {why}"));
        let now = Instant::now();
        let said = self.waits.get(id);
        if said.is_some_and(|(last, at)| last == why && now.saturating_duration_since(*at) < QUIET) {
            return;
        }
        self.waits.insert(id.clone(), (why.to_owned(), now));
        self.event(id, workload, Said::Waiting, &format!("The restart that instruments its Pods waits: {why}")).await;
    }

    /// Forgets those that are not `kept`, and hands over what there is to tell.
    pub(super) fn publish(&mut self, kept: impl Fn(&Id) -> bool) {
        self.told.notes.retain(|id, _| kept(id));
        self.waits.retain(|id, _| kept(id));
        let told = &self.told;
        self.statuses.send_if_modified(|last| {
            let differs = **last != *told;
            if differs {
                *last = Arc::new(told.clone());
            }
            differs
        });
    }

    /// Says something of a workload, in the log as well.
    pub(super) async fn event(&self, id: &Id, workload: &Workload, said: Said, note: &str) {
        let (kind, namespace, name) = (id.kind.as_str(), &*id.namespace, &*id.name);
        match said {
            Said::RolledBack => warn!(kind, namespace, name, reason = said.as_str(), "{note}"),
            _ => info!(kind, namespace, name, reason = said.as_str(), "{note}"),
        }
        let event = event(id, workload, said, note, &self.instance, Timestamp::now());
        let api = Api::<Event>::namespaced(self.client.clone(), namespace);
        match timeout(TIMEOUT, api.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => debug!(kind, namespace, name, %error, "an Event could not be made"),
            Err(_) => debug!(kind, namespace, name, "an Event could not be made: no answer"),
        }
    }
}

fn event(id: &Id, workload: &Workload, said: Said, note: &str, instance: &str, now: Timestamp) -> Event {
    let reference = ObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some(id.kind.as_str().to_owned()),
        name: Some(id.name.clone()),
        namespace: Some(id.namespace.clone()),
        uid: Some(workload.metadata.uid.clone()),
        ..ObjectReference::default()
    };
    let kind = if said == Said::RolledBack { "Warning" } else { "Normal" };
    Event {
        action: Some("Restart".to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", clipped(&id.name, LONGEST_NAME), now.as_nanosecond())),
            namespace: Some(id.namespace.clone()),
            ..ObjectMeta::default()
        },
        note: Some(clipped(note, LONGEST_NOTE).to_owned()),
        reason: Some(said.as_str().to_owned()),
        regarding: Some(reference),
        reporting_controller: Some("obtrace.io/obtrace-zero".to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(kind.to_owned()),
        ..Event::default()
    }
}

/// A text's beginning, at the end of a character.
fn clipped(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}
