//! A watch that goes on whatever happens.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use kube::{
    Api, Resource,
    runtime::{
        watcher,
        watcher::{Config, Error, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::backoff::Steps;

/// What the API server has and how it changes, without an end; after an error it is waited before the next try.
///
/// An API server that has just begun refuses watches for a moment, and writes such an answer on many lines where metadata alone are asked
/// for. kube takes each line for an event that cannot be read: the whole watch begins anew rather than wait for every line.
pub(crate) fn follow<K>(api: Api<K>, config: Config) -> impl Stream<Item = Result<Event<K>, Error>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let begin = move || watcher(api.clone(), config.clone()).boxed();
    let following = Following { events: begin(), begin, steps: Steps::new(), wait: None };
    stream::unfold(following, |mut following| async move { Some((following.next().await, following)) })
}

struct Following<K, F> {
    begin: F,
    events: BoxStream<'static, Result<Event<K>, Error>>,
    steps: Steps,
    wait: Option<Duration>,
}

impl<K, F: Fn() -> BoxStream<'static, Result<Event<K>, Error>>> Following<K, F> {
    async fn next(&mut self) -> Result<Event<K>, Error> {
        loop {
            if let Some(wait) = self.wait {
                sleep(wait).await;
                self.wait = None;
            }
            match self.events.next().await {
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    if matches!(error, Error::WatchFailed(kube::Error::SerdeError(_))) {
                        self.events = (self.begin)();
                    }
                    self.wait = Some(self.steps.step(Instant::now()));
                    return Err(error);
                }
                None => {
                    self.events = (self.begin)();
                    self.wait = Some(self.steps.step(Instant::now()));
                }
            }
        }
    }
}
