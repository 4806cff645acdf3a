//! The tasks that ask the API server: one a kind of workload, one for the Pods. What they tell is small: templates are judged here and
//! dropped.

use std::{collections::BTreeSet, sync::Arc};

use arc_swap::ArcSwap;
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client,
    api::ListParams,
    runtime::watcher::{Config, Error, Event},
};
use obtrace_patch::EXCLUDED_NAMESPACES;
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc,
};
use tracing::{debug, warn};

use super::{
    finding::{Finding, find},
    kind::Kind,
    object::{Pod, Workload},
};
use crate::{
    index::Index,
    registry::Wanted,
    watch::{NOT_FOUND, WATCH_SECONDS, follow},
};

/// How many objects a page of a list has.
const PAGE: u32 = 200;

/// What a task has seen.
#[derive(Debug)]
pub(super) enum Seen {
    /// A list of a kind begins.
    Begin(Kind),
    /// A workload, with its namespace and name, and when it was made, in seconds since 1970.
    Workload(Kind, String, String, i64, Box<Finding>),
    /// A Job (namespace and name) of a CronJob (name).
    Job(String, String, String),
    /// A workload is gone, or of no interest any more.
    Gone(Kind, String, String),
    /// A list of a kind is whole.
    End(Kind),
    /// A kind cannot be listed, because there is no such kind or (`false`) because we may not.
    Refused(Kind, bool),
    /// A list of Pods begins.
    BeginPods,
    /// A Pod that has not ended.
    Pod(Box<ObjectMeta>),
    /// A Pod is gone, or has ended.
    GonePod(Box<ObjectMeta>),
    /// A list of Pods is whole.
    EndPods,
}

/// What the tasks are asked to look at again.
#[derive(Clone, Debug)]
pub(super) enum Again {
    /// The workloads. A list that is running is as good: one that takes longer than the time between two of these would never end.
    Resync,
    /// The workloads, by another index: what a running list has told of is old.
    Workloads,
    /// Those of some namespaces.
    Namespaces(Arc<BTreeSet<String>>),
    /// The Pods.
    Pods,
}

/// Where the tasks ask, and whom they tell.
#[derive(Clone)]
pub(super) struct Scanner {
    pub(super) client: Client,
    pub(super) index: Arc<ArcSwap<Index>>,
    pub(super) images: Option<Arc<Wanted>>,
    pub(super) tell: mpsc::Sender<Seen>,
}

/// The receiver is gone: this replica leads no more.
struct Unheard;

fn field_selector(more: &[&str]) -> String {
    let namespaces = EXCLUDED_NAMESPACES.iter().map(|name| format!("metadata.namespace!={name}"));
    namespaces.chain(more.iter().map(|&more| more.to_owned())).collect::<Vec<_>>().join(",")
}

fn config(more: &[&str]) -> Config {
    Config::default().timeout(WATCH_SECONDS).page_size(PAGE).fields(&field_selector(more))
}

/// What the API server said to a list that there is no use in repeating at once.
fn refusal(error: &Error) -> Option<&kube::core::Status> {
    match error {
        Error::InitialListFailed(kube::Error::Api(status)) => matches!(status.code, NOT_FOUND | 403).then_some(status),
        _ => None,
    }
}

impl Scanner {
    async fn say(&self, seen: Seen) -> Result<(), Unheard> {
        self.tell.send(seen).await.map_err(|_| Unheard)
    }

    /// Follows a kind of workload until nobody listens.
    pub(super) async fn workloads(self, kind: Kind, mut again: broadcast::Receiver<Again>) {
        let mut told_refusal = false;
        while let Ok(()) = self.workloads_once(kind, &mut again, &mut told_refusal).await {}
    }

    /// Lists and watches a kind until it is to be listed again.
    async fn workloads_once(
        &self,
        kind: Kind,
        again: &mut broadcast::Receiver<Again>,
        told_refusal: &mut bool,
    ) -> Result<(), Unheard> {
        let api = Api::<Workload>::all_with(self.client.clone(), &kind.resource());
        let mut events = std::pin::pin!(follow(api, config(&[])));
        let (mut is_listing, mut is_old) = (true, false);
        loop {
            tokio::select! {
                biased;
                what = again.recv() => match what {
                    Ok(Again::Resync) if is_listing => {}
                    Ok(Again::Workloads) | Err(RecvError::Lagged(_)) if is_listing => is_old = true,
                    Ok(Again::Resync | Again::Workloads) | Err(RecvError::Lagged(_)) => return Ok(()),
                    Ok(Again::Namespaces(names)) => self.namespaces(kind, &names).await?,
                    Ok(Again::Pods) => {}
                    Err(RecvError::Closed) => return Err(Unheard),
                },
                Some(event) = events.next() => match event {
                    Ok(event) => {
                        is_listing = match event {
                            Event::Init => true,
                            Event::InitDone => false,
                            _ => is_listing,
                        };
                        self.on_workload(kind, event).await?;
                        *told_refusal = false;
                        if is_old && !is_listing {
                            return Ok(());
                        }
                    }
                    Err(error) => match refusal(&error) {
                        Some(status) => {
                            let is_normal = kind == Kind::Rollout && status.code == NOT_FOUND;
                            if !(*told_refusal || is_normal) {
                                warn!(kind = kind.as_str(), %error, "workloads of this kind cannot be listed, and are not discovered");
                            }
                            *told_refusal = true;
                            let is_absent = status.code == NOT_FOUND;
                            self.say(Seen::Refused(kind, is_absent)).await?;
                            if is_absent {
                                return until_again(again).await;
                            }
                        }
                        None => warn!(kind = kind.as_str(), %error, "watching workloads failed, and is tried again"),
                    },
                },
            }
        }
    }

    async fn on_workload(&self, kind: Kind, event: Event<Workload>) -> Result<(), Unheard> {
        match event {
            Event::Init => self.say(Seen::Begin(kind)).await,
            Event::InitDone => self.say(Seen::End(kind)).await,
            Event::InitApply(workload) | Event::Apply(workload) => self.look(kind, workload).await,
            Event::Delete(workload) => {
                let (namespace, name) = names(workload.metadata);
                self.say(Seen::Gone(kind, namespace, name)).await
            }
        }
    }

    /// Judges a workload, and tells of it.
    async fn look(&self, kind: Kind, workload: Workload) -> Result<(), Unheard> {
        let controller = workload.controller().map(|owner| (owner.kind == "CronJob", owner.name.clone()));
        let is_finished = kind == Kind::Job && workload.is_finished();
        let template = workload.template().filter(|_| !is_finished).map(str::to_owned);
        let made = workload.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
        let (namespace, name) = names(workload.metadata);
        if EXCLUDED_NAMESPACES.contains(&&*namespace) {
            return Ok(());
        }
        let seen = match (kind, controller, template) {
            (Kind::Job, Some((true, cron_job)), Some(_)) => Seen::Job(namespace, name, cron_job),
            (Kind::Job, Some(_), _) | (_, _, None) => Seen::Gone(kind, namespace, name),
            (_, _, Some(template)) => {
                let finding = find(kind, &namespace, &name, &template, &self.index.load(), self.images.as_deref());
                Seen::Workload(kind, namespace, name, made, Box::new(finding))
            }
        };
        self.say(seen).await
    }

    /// Lists a kind in some namespaces, since what is for their Pods has changed.
    async fn namespaces(&self, kind: Kind, names: &BTreeSet<String>) -> Result<(), Unheard> {
        for namespace in names.iter().filter(|name| !EXCLUDED_NAMESPACES.contains(&name.as_str())) {
            let api = Api::<Workload>::namespaced_with(self.client.clone(), namespace, &kind.resource());
            let mut params = ListParams::default().limit(PAGE);
            loop {
                let page = match api.list(&params).await {
                    Ok(page) => page,
                    // The next full list makes up for it.
                    Err(error) => {
                        debug!(kind = kind.as_str(), namespace, %error, "listing the workloads of a namespace failed");
                        break;
                    }
                };
                for workload in page.items {
                    self.look(kind, workload).await?;
                }
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params = params.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Follows the Pods until nobody listens.
    pub(super) async fn pods(self, mut again: broadcast::Receiver<Again>) {
        while let Ok(()) = self.pods_once(&mut again).await {}
    }

    async fn pods_once(&self, again: &mut broadcast::Receiver<Again>) -> Result<(), Unheard> {
        let config = config(&["status.phase!=Succeeded", "status.phase!=Failed"]);
        let mut events = std::pin::pin!(follow(Api::<Pod>::all(self.client.clone()), config));
        let mut is_listing = true;
        loop {
            tokio::select! {
                what = again.recv() => match what {
                    Ok(Again::Pods) if !is_listing => return Ok(()),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Err(Unheard),
                },
                Some(event) = events.next() => match event {
                    Ok(Event::Init) => {
                        is_listing = true;
                        self.say(Seen::BeginPods).await?;
                    }
                    Ok(Event::InitDone) => {
                        is_listing = false;
                        self.say(Seen::EndPods).await?;
                    }
                    Ok(Event::InitApply(pod) | Event::Apply(pod)) => self.say(Seen::Pod(Box::new(pod.metadata))).await?,
                    Ok(Event::Delete(pod)) => self.say(Seen::GonePod(Box::new(pod.metadata))).await?,
                    Err(error) => warn!(%error, "watching Pods failed, and is tried again"),
                },
            }
        }
    }
}

/// Waits until the workloads are to be listed again.
async fn until_again(again: &mut broadcast::Receiver<Again>) -> Result<(), Unheard> {
    loop {
        match again.recv().await {
            Ok(Again::Resync | Again::Workloads) | Err(RecvError::Lagged(_)) => return Ok(()),
            Ok(_) => {}
            Err(RecvError::Closed) => return Err(Unheard),
        }
    }
}

fn names(metadata: ObjectMeta) -> (String, String) {
    (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// What is told of a kind that is listed in three pages, while before every page but the first it is asked for again; so many words of it.
    async fn told(again: Again, words: usize) -> Vec<&'static str> {
        let (ask, asked) = broadcast::channel(16);
        let (tell, mut seen) = mpsc::channel(16);
        let mut left = 2;
        let server = move |request: Request<Body>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let page = ["continue=1", "continue=2"].iter().position(|it| query.contains(it)).map_or(0, |at| at + 1);
            if page > 0 && left > 0 {
                left -= 1;
                ask.send(again.clone()).unwrap();
            }
            async move {
                if query.contains("watch=") {
                    std::future::pending::<()>().await;
                }
                let rest = (page < 2).then(|| (page + 1).to_string());
                let name = json!({ "name": page.to_string(), "namespace": "shop" });
                let list = json!({ "kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": { "resourceVersion": "1", "continue": rest },
                    "items": [{ "metadata": name, "spec": { "template": {} } }] });
                Ok::<_, std::io::Error>(Response::new(Body::from(list.to_string().into_bytes())))
            }
        };
        let client = Client::new(service_fn(server), "default");
        let scanner = Scanner { client, index: Arc::default(), images: None, tell };
        let task = tokio::spawn(scanner.workloads(Kind::Deployment, asked));
        let mut all = Vec::new();
        while all.len() < words {
            all.push(match seen.recv().await.unwrap() {
                Seen::Begin(_) => "begin",
                Seen::Workload(..) => "workload",
                Seen::End(_) => "end",
                other => panic!("{other:?}"),
            });
        }
        task.abort();
        all
    }

    const LIST: [&str; 5] = ["begin", "workload", "workload", "workload", "end"];

    #[tokio::test]
    async fn a_list_that_takes_longer_than_the_resync_comes_to_its_end() {
        assert_eq!(told(Again::Resync, 5).await, LIST);
    }

    #[tokio::test]
    async fn what_an_older_index_judged_is_listed_again_after_a_whole_list() {
        assert_eq!(told(Again::Workloads, 10).await, [LIST, LIST].concat());
    }
}
