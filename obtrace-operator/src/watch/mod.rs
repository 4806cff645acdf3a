//! What admission answers from: the namespaces, what bounds their Pods, and the resources of a cluster, watched, as an [`Index`] that is replaced whole.
//!
//! Nothing here is on the path of a request: requests read the index without a lock. Namespaces are watched by their metadata
//! alone. A resource that cannot be read, or whose values the definition would refuse, is left out, and told of in the
//! [`World`]; it stops no other.

mod backoff;
mod follow;
mod listing;
mod resource;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures::{Stream, StreamExt, stream};
use k8s_openapi::{
    api::core::v1::{LimitRange, Namespace as NamespaceObject, ResourceQuota},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, CustomResourceExt, Resource,
    api::{ApiResource, DynamicObject},
    core::PartialObjectMeta,
    runtime::watcher::{Config, Error, Event},
};
use obtrace_patch::Version;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub(crate) use self::follow::follow;
use self::{listing::Listing, resource::Kept};
use crate::{
    bounds,
    crd::ObtraceInstrumentation,
    index::{Images, Index, Namespace, World},
    telemetry::Metrics,
};

/// How often the index is made anew at most. What changes in between goes into the next.
pub const REBUILD_EVERY: Duration = Duration::from_millis(100);
/// The most namespaces that are kept. Of others nothing is known, as of one that is younger than the watch; then every one counts as
/// [bounded](World::bounded).
pub const MOST_NAMESPACES: usize = 50_000;
/// The most resources that are kept.
pub const MOST_RESOURCES: usize = 10_000;
/// The most ResourceQuotas, and the most LimitRanges, that are kept. Where there are more, every namespace counts as [bounded](World::bounded).
pub const MOST_BOUNDS: usize = 50_000;

/// How long the API server keeps a watch open: a connection that died without a word is noticed soon after.
pub(crate) const WATCH_SECONDS: u32 = 60;
/// What the API server says of a kind whose definition is not installed; without any of its group that is no Status but a page.
pub(crate) const NOT_FOUND: u16 = 404;
/// How often the cluster's version is asked for, beside each time the API server has been away.
const VERSION_EVERY: Duration = Duration::from_secs(600);
/// How soon it is asked for again when there was no answer.
const VERSION_AGAIN: Duration = Duration::from_secs(2);
/// How long an answer about the version may take.
const VERSION_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an index waits for what is known of images when nothing else is missing.
const IMAGES_WITHIN: Duration = Duration::from_secs(5);

/// What is known of images, as it changes; `None` until it was read once.
pub type ImagesReceiver = watch::Receiver<Option<Arc<Images>>>;

/// Keeps the index up to date until it is stopped. `images` is what is known of images, where they are looked up.
///
/// `synced` is called once, after the first index that knows all namespaces, all resources and the cluster's version. While the
/// definition of the resource is not installed it waits, and says so once. An API server that is away changes nothing: what was
/// known stands.
pub async fn run(
    client: Client,
    index: Arc<ArcSwap<Index>>,
    images: Option<ImagesReceiver>,
    metrics: Arc<Metrics>,
    synced: impl FnOnce() + Send,
    stop: CancellationToken,
) {
    let config = || Config::default().timeout(WATCH_SECONDS);
    let namespaces = follow(Api::<PartialObjectMeta<NamespaceObject>>::all(client.clone()), config());
    let resource = ApiResource::erase::<ObtraceInstrumentation>(&());
    let resources = follow(Api::<DynamicObject>::all_with(client.clone(), &resource), config());
    let quotas = follow(Api::<ResourceQuota>::all(client.clone()), config()).map(Seen::Quota);
    let ranges = follow(Api::<LimitRange>::all(client.clone()), config()).map(Seen::Range);
    let bounds = stream::select(quotas, ranges);
    let mut watch = Watch::new(client, index, images, metrics);
    tokio::select! {
        () = stop.cancelled() => {}
        () = watch.follow(namespaces, resources, bounds, synced) => {}
    }
}

/// What bounds the Pods of a namespace.
enum Seen {
    Quota(Result<Event<ResourceQuota>, Error>),
    Range(Result<Event<LimitRange>, Error>),
}

/// What is known so far.
struct Watch {
    client: Client,
    index: Arc<ArcSwap<Index>>,
    namespaces: Listing<Namespace>,
    resources: Listing<Kept>,
    /// Whether each of them bounds what Pods may ask for.
    quotas: Listing<bool>,
    ranges: Listing<bool>,
    version: Option<Version>,
    /// When the version is asked for next.
    version_due: Instant,
    /// Whether the index is older than what is known.
    stale: bool,
    /// Whether the definition was absent when it was last asked for.
    absent: bool,
    metrics: Arc<Metrics>,
    /// How many objects of each kind had been left out when that was last told.
    told_left_out: [u64; 4],
    images: Option<ImagesReceiver>,
    /// When images are waited for no more.
    images_due: Instant,
}

impl Watch {
    fn new(client: Client, index: Arc<ArcSwap<Index>>, images: Option<ImagesReceiver>, metrics: Arc<Metrics>) -> Self {
        Self {
            client,
            index,
            namespaces: Listing::new(MOST_NAMESPACES),
            resources: Listing::new(MOST_RESOURCES),
            quotas: Listing::new(MOST_BOUNDS),
            ranges: Listing::new(MOST_BOUNDS),
            version: None,
            version_due: Instant::now(),
            stale: false,
            absent: false,
            metrics,
            told_left_out: [0; 4],
            images,
            images_due: Instant::now() + IMAGES_WITHIN,
        }
    }

    /// Follows these streams. They do not end.
    async fn follow(
        &mut self,
        namespaces: impl Stream<Item = Result<Event<PartialObjectMeta<NamespaceObject>>, Error>> + Send,
        resources: impl Stream<Item = Result<Event<DynamicObject>, Error>> + Send,
        bounds: impl Stream<Item = Seen> + Send,
        synced: impl FnOnce() + Send,
    ) {
        let (mut namespaces, mut resources) = (std::pin::pin!(namespaces), std::pin::pin!(resources));
        let mut bounds = std::pin::pin!(bounds);
        let mut synced = Some(synced);
        let mut rebuild = interval(REBUILD_EVERY);
        rebuild.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let waits = self.stale || self.version_is_due();
            tokio::select! {
                Some(event) = namespaces.next() => self.on_namespace(event),
                Some(event) = resources.next() => self.on_resource(event),
                Some(seen) = bounds.next() => self.on_bounds(seen),
                () = changed(&mut self.images) => self.stale = true,
                _ = rebuild.tick(), if waits => {
                    self.ask_version().await;
                    if self.rebuild() && let Some(synced) = synced.take() {
                        synced();
                    }
                }
                () = sleep_until(self.version_due.into()), if !waits => {}
                else => return,
            }
        }
    }

    fn on_namespace(&mut self, event: Result<Event<PartialObjectMeta<NamespaceObject>>, Error>) {
        match event {
            Ok(event) => self.stale |= self.namespaces.apply(event, namespace),
            Err(error) => self.away("namespaces", &error),
        }
    }

    fn on_resource(&mut self, event: Result<Event<DynamicObject>, Error>) {
        match event {
            Ok(event) => {
                if matches!(event, Event::InitDone | Event::Apply(_)) && self.absent {
                    self.absent = false;
                    info!("the definition of {} is there now", ObtraceInstrumentation::crd_name());
                }
                self.stale |= self.resources.apply(event, resource::read);
            }
            Err(Error::InitialListFailed(kube::Error::Api(status))) if status.code == NOT_FOUND => {
                self.stale |= self.resources.clear();
                if !self.absent {
                    self.absent = true;
                    let name = ObtraceInstrumentation::crd_name();
                    warn!(
                        "{name} is not installed in this cluster: waiting for it (`obtrace-zero install` installs it)"
                    );
                }
            }
            Err(error) => self.away(&ObtraceInstrumentation::plural(&()), &error),
        }
    }

    fn on_bounds(&mut self, seen: Seen) {
        match seen {
            Seen::Quota(Ok(event)) => {
                self.stale |= self.quotas.apply(event, |quota| (full_name(&quota.metadata), bounds::of_quota(&quota)));
            }
            Seen::Range(Ok(event)) => {
                self.stale |= self.ranges.apply(event, |range| (full_name(&range.metadata), bounds::of_range(&range)));
            }
            Seen::Quota(Err(error)) => self.away("resourcequotas", &error),
            Seen::Range(Err(error)) => self.away("limitranges", &error),
        }
    }

    /// A watch broke. What was known stands; whoever answers next may be of another version.
    fn away(&mut self, what: &str, error: &Error) {
        warn!(%error, "watching {what} failed, and is tried again; what is known stays in use");
        self.version_due = Instant::now();
    }

    fn version_is_due(&self) -> bool {
        Instant::now() >= self.version_due
    }

    async fn ask_version(&mut self) {
        if !self.version_is_due() {
            return;
        }
        self.version_due = Instant::now() + VERSION_AGAIN;
        match timeout(VERSION_TIMEOUT, self.client.apiserver_version()).await {
            Ok(Ok(info)) => {
                self.version_due = Instant::now() + VERSION_EVERY;
                let Some(version) = Version::parse(&info.git_version) else {
                    warn!(version = info.git_version, "the cluster's version cannot be read: 1.0 is assumed");
                    self.version.get_or_insert(Version::new(1, 0));
                    return;
                };
                if self.version.replace(version) != Some(version) {
                    info!(version = info.git_version, "the cluster's version");
                    self.stale = true;
                }
            }
            Ok(Err(error)) => debug!(%error, "asking for the cluster's version failed, and is tried again"),
            Err(_) => debug!("no answer about the cluster's version, it is asked for again"),
        }
    }

    /// Makes the index anew if there is something to make it from; whether it was made.
    fn rebuild(&mut self) -> bool {
        let listed = self.namespaces.is_complete() && self.resources.is_complete();
        let known = listed && self.quotas.is_complete() && self.ranges.is_complete() && self.version.is_some();
        if !self.stale || !(known && self.images_are_known() || self.index.load().is_synced()) {
            return false;
        }
        self.tell_left_out();
        let mut world = World::new();
        world.version = self.version;
        world.namespaces = self.namespaces.iter().map(|(name, about)| (name.clone(), about.clone())).collect();
        for (_, kept) in self.resources.iter() {
            match kept {
                Kept::Usable(resource) => world.resources.push((**resource).clone()),
                Kept::Unusable(about) => world.unusable.push((**about).clone()),
            }
        }
        let bounding = self.quotas.iter().chain(self.ranges.iter()).filter(|(_, bounds)| **bounds);
        world.bounded = bounding.filter_map(|(name, _)| Some(name.split_once('/')?.0.to_owned())).collect();
        let images = self.images.as_mut().and_then(|images| images.borrow_and_update().clone());
        world.incomplete = self.namespaces.has_more() || self.quotas.has_more() || self.ranges.has_more();
        world.images = images.unwrap_or_default();
        world.synced = true;
        debug!(namespaces = world.namespaces.len(), resources = world.resources.len(), "made the index anew");
        self.index.store(Arc::new(Index::new(world)));
        self.stale = false;
        true
    }

    /// Whether images are known or not worth waiting for any longer.
    fn images_are_known(&self) -> bool {
        let unknown = self.images.as_ref().is_some_and(|images| images.borrow().is_none());
        !unknown || Instant::now() >= self.images_due
    }

    fn tell_left_out(&mut self) {
        let now = [
            ("namespaces", self.namespaces.left_out()),
            ("obtraceinstrumentations", self.resources.left_out()),
            ("resourcequotas", self.quotas.left_out()),
            ("limitranges", self.ranges.left_out()),
        ];
        for ((kind, left_out), told) in now.into_iter().zip(&mut self.told_left_out) {
            let more = left_out.saturating_sub(std::mem::replace(told, left_out));
            if more > 0 {
                self.metrics.objects_left_out(kind, more);
                warn!(
                    left_out,
                    "there are too many {kind}: of {MOST_NAMESPACES} namespaces, {MOST_RESOURCES} obtraceinstrumentations, {MOST_BOUNDS} resourcequotas and \
                     limitranges each, the others are not known; where namespaces or what bounds them are not known, no Pod gets a sidecar, nor resources \
                     that it does not have"
                );
            }
        }
    }
}

/// `namespace/name`.
fn full_name(metadata: &ObjectMeta) -> String {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", of(&metadata.namespace), of(&metadata.name))
}

/// Waits until something else is known of images; for ever where nobody looks.
async fn changed(images: &mut Option<ImagesReceiver>) {
    if let Some(receiver) = images
        && receiver.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// A namespace's name, and what is kept of it: annotations of others may be long, and none of them is read.
fn namespace(object: PartialObjectMeta<NamespaceObject>) -> (String, Namespace) {
    let metadata = object.metadata;
    let mut annotations = metadata.annotations.unwrap_or_default();
    annotations.retain(|name, _| name.starts_with("obtrace.io/"));
    (metadata.name.unwrap_or_default(), Namespace::new(metadata.labels.unwrap_or_default(), annotations))
}

#[cfg(test)]
mod tests;
