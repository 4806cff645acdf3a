//! What the API server tells: the Pods of the node, and whose addresses are.
//!
//! | resource | verbs | what for |
//! | --- | --- | --- |
//! | `pods`, with the field selector `spec.nodeName` | list, watch | which processes are observed, and what they are called |
//! | `services` | list, watch | whose a cluster address is; only with [`Settings::peers`] |
//! | `endpointslices` (`discovery.k8s.io`) | list, watch | whose a Pod's address is on another node; only with [`Settings::peers`] |
//!
//! Of an object only what is needed is read from its JSON, and less is kept.

use std::{fmt::Debug, io, pin::pin, sync::Arc, thread};

use futures::{StreamExt as _, future};
use kube::{
    Api, Client,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt as _, watcher},
};
use rustc_hash::FxHashSet;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::{
    Cluster, Settings,
    object::{EndpointSlice, Named, Pod, Service},
    peers::Source,
};

/// Objects of one answer while the first list is read: what is held at a time.
const PAGE: u32 = 50;

/// A running watch; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    _stop: oneshot::Sender<()>,
}

/// Starts to watch for the agent of a node, on a thread of its own. Where the API server cannot be asked, or refuses, a warning
/// says so and [`Cluster::set_blind`] is set; where it cannot be reached for a while, what is known stays.
///
/// # Errors
/// The system gave no thread or no event queue.
pub fn start(cluster: Arc<Cluster>) -> io::Result<Watch> {
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("kubernetes".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let watching = pin!(watch(&cluster));
            future::select(watching, stopped).await;
        });
    })?;
    Ok(Watch { _stop: stop })
}

async fn watch(cluster: &Cluster) {
    let Some(settings) = cluster.node() else { return };
    let client = match connect(settings).await {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(
                "no way to the API server: {error}; {BLIND}. In a Pod, mount its service \
                 account's token (automountServiceAccountToken); elsewhere name a file by kubernetes.kubeconfig"
            );
            cluster.set_blind(true);
            return;
        }
    };
    let pods = watch_pods(cluster, settings, client.clone());
    if settings.peers {
        let services = watch_peers::<Service>(cluster, client.clone(), Source::Service);
        let slices = watch_peers::<EndpointSlice>(cluster, client, Source::Slice);
        future::join3(pods, services, slices).await;
    } else {
        pods.await;
    }
}

async fn connect(settings: &Settings) -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    let config = match &settings.kubeconfig {
        Some(path) => {
            kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await?
        }
        None => kube::Config::incluster()?,
    };
    Ok(Client::try_from(config)?)
}

async fn watch_pods(cluster: &Cluster, settings: &Settings, client: Client) {
    // Those that have ended have no processes, and may be many.
    let fields = format!("spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed", settings.node);
    let config = watcher::Config::default().fields(&fields).page_size(PAGE);
    let mut events = pin!(watcher(Api::<Pod>::all(client), config).default_backoff());
    let mut listed = FxHashSet::default();
    let mut failing = false;
    while let Some(event) = events.next().await {
        // What begins anew after an error has not got anywhere yet.
        if !matches!(event, Err(_) | Ok(watcher::Event::Init)) {
            failing = false;
        }
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(pod)) => {
                listed.extend(pod.uid());
                set(cluster, settings, &pod);
            }
            Ok(watcher::Event::InitDone) => {
                cluster.keep_pods(&std::mem::take(&mut listed));
                cluster.set_blind(false);
                tracing::info!("{} Pods of node {} are known", cluster.pods(), settings.node);
            }
            Ok(watcher::Event::Apply(pod)) => set(cluster, settings, &pod),
            Ok(watcher::Event::Delete(pod)) => pod.uid().into_iter().for_each(|uid| cluster.remove_pod(uid)),
            Err(error) => {
                if is_refusal(&error) && cluster.pods() == 0 {
                    cluster.set_blind(true);
                }
                if !std::mem::replace(&mut failing, true) {
                    let meanwhile = if cluster.pods() == 0 { BLIND } else { "those that are known stay" };
                    complain("the Pods of this node", meanwhile, &error);
                }
            }
        }
    }
}

fn set(cluster: &Cluster, settings: &Settings, pod: &Pod) {
    let before = cluster.counters().pods_refused;
    pod.record(settings).into_iter().for_each(|record| cluster.set_pod(record));
    if before == 0 && cluster.counters().pods_refused > 0 {
        tracing::warn!(
            "this node has more than {} Pods: the others are not observed (kubernetes.max_pods)",
            settings.max_pods
        );
    }
}

async fn watch_peers<K>(cluster: &Cluster, client: Client, source: Source)
where
    K: Named + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().page_size(PAGE);
    let mut events = pin!(watcher(Api::<K>::all(client), config).default_backoff());
    let mut listed = FxHashSet::default();
    let mut failing = false;
    let set = |object: &K| {
        let key = object.key();
        match object.peer() {
            Some(peer) => cluster.with_peers(|peers| peers.set(source, &key, peer, object.addresses())),
            None => cluster.with_peers(|peers| peers.remove(source, &key)),
        }
    };
    while let Some(event) = events.next().await {
        // What begins anew after an error has not got anywhere yet.
        if !matches!(event, Err(_) | Ok(watcher::Event::Init)) {
            failing = false;
        }
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                listed.insert(object.key());
                set(&object);
            }
            Ok(watcher::Event::InitDone) => {
                let listed = std::mem::take(&mut listed);
                cluster.with_peers(|peers| peers.retain(source, |key| listed.contains(key)));
            }
            Ok(watcher::Event::Apply(object)) => set(&object),
            Ok(watcher::Event::Delete(object)) => cluster.with_peers(|peers| peers.remove(source, &object.key())),
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    complain(&K::plural(&()), "peers are called by their addresses", &error);
                }
            }
        }
    }
}

/// What an agent does that is told of no Pod. Of a process there is only its control group, which says nothing of exclusion.
const BLIND: &str = "Pods are called by their control groups alone, and those that are excluded (by annotation, label or namespace) are \
    observed as well: leave programs out by --exclude, or do not run the agent on this node";

/// What the API server answered, if it did.
fn answer(error: &watcher::Error) -> Option<&kube::core::Status> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => match error {
            kube::Error::Api(status) => Some(status),
            _ => None,
        },
        watcher::Error::WatchError(status) => Some(status),
        watcher::Error::NoResourceVersion => None,
    }
}

/// Whether it is not for now: the API server knows us and says no, or does not know us.
fn is_refusal(error: &watcher::Error) -> bool {
    answer(error).is_some_and(|status| matches!(status.code, 401 | 403))
}

fn complain(what: &str, meanwhile: &str, error: &watcher::Error) {
    let said = match answer(error).filter(|status| !status.message.is_empty()) {
        Some(status) => format!("{} ({})", status.message, status.code),
        None => chain(error),
    };
    let advice = if is_refusal(error) {
        "its ServiceAccount needs list and watch on pods, services and endpointslices.discovery.k8s.io \
         (deploy/agent/daemonset.yaml)"
    } else {
        "it is tried again"
    };
    tracing::warn!("the API server does not tell {what}: {said}; {meanwhile}; {advice}");
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        source = inner.source();
    }
    said
}
