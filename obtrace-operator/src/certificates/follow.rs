//! One object, followed by its name with the verbs `get` and `watch` alone: RBAC can grant both for a name, so nothing else of its kind
//! can be read.

use std::{fmt::Debug, pin::pin, time::Duration};

use futures::TryStreamExt;
use kube::{
    Api, Resource, ResourceExt,
    api::{WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long one watch lasts. Then the object is read again, so that what a watch lost is missed no longer than that.
const WATCH_SECONDS: u32 = 60;

/// How long the server may be silent beyond that before the connection counts as lost.
const SILENCE: Duration = Duration::from_secs(70);

const REQUEST: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What is known of the object.
#[derive(Clone, Debug, Default)]
pub(crate) enum Seen<K> {
    /// Nothing yet.
    #[default]
    Unknown,
    /// There is none.
    Absent,
    /// It is this.
    Present(Box<K>),
}

/// Follows an object until it is told to stop; what was seen last is in the channel.
pub(crate) async fn follow<K>(api: Api<K>, name: String, seen: watch::Sender<Seen<K>>, stop: CancellationToken)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let round = async {
            match once(&api, &name, &seen).await {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    // A watch may end as soon as it has begun.
                    sleep(FIRST_PAUSE).await;
                }
                Err(error) => {
                    let kind = K::kind(&());
                    tracing::warn!(%kind, %name, %error, "cannot watch; what was seen last is used. Trying again in {pause:?}");
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        };
        if stop.run_until_cancelled(round).await.is_none() {
            return;
        }
    }
}

/// Reads the object, and follows it for as long as a watch lasts.
async fn once<K>(api: &Api<K>, name: &str, seen: &watch::Sender<Seen<K>>) -> Result<(), String>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let late = |_| format!("no answer within {REQUEST:?}");
    let object = timeout(REQUEST, api.get_opt(name)).await.map_err(late)?.map_err(|error| text(&error))?;
    // Without a version a watch begins with what there is: nothing made since the look is missed.
    let version = object.as_ref().and_then(ResourceExt::resource_version).unwrap_or_default();
    seen.send_replace(object.map_or(Seen::Absent, |object| Seen::Present(Box::new(object))));

    let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS);
    let events = timeout(REQUEST, api.watch(&params, &version)).await.map_err(late)?.map_err(|error| text(&error))?;
    let mut events = pin!(events);
    loop {
        let silent = |_| format!("nothing from the API server for {SILENCE:?}");
        let Some(event) = timeout(SILENCE, events.try_next()).await.map_err(silent)?.map_err(|error| text(&error))?
        else {
            return Ok(());
        };
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                seen.send_replace(Seen::Present(Box::new(object)));
            }
            WatchEvent::Deleted(_) => {
                seen.send_replace(Seen::Absent);
            }
            WatchEvent::Bookmark(_) => {}
            // The version is too old to go on from.
            WatchEvent::Error(status) if status.code == 410 => return Ok(()),
            WatchEvent::Error(status) => return Err(status.message.clone()),
        }
    }
}
