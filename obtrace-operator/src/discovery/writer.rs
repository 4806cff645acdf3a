//! Writes statuses, each when it differs from the one that is there.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt, stream};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::crd::{ObtraceInstrumentation, ObtraceInstrumentationStatus};

/// Who manages the fields of the status.
const MANAGER: &str = "obtrace-zero";
/// How many statuses are under way at once.
const AT_ONCE: usize = 4;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How many objects a page of a list has.
const PAGE: u32 = 100;

/// Knows the statuses that the resources have.
pub(super) struct Writer {
    client: Client,
    resource: ApiResource,
    known: HashMap<String, ObtraceInstrumentationStatus>,
    /// Whether `known` is what the API server has, as far as we know.
    read: bool,
    /// Whether the last statuses were all written.
    settled: bool,
}

impl Writer {
    pub(super) fn new(client: Client) -> Self {
        let resource = ApiResource::erase::<ObtraceInstrumentation>(&());
        Self { client, resource, known: HashMap::new(), read: false, settled: true }
    }

    /// The status that a resource has.
    pub(super) fn known(&self, name: &str) -> Option<&ObtraceInstrumentationStatus> {
        self.known.get(name)
    }

    /// Whether there is nothing left to write or to read.
    pub(super) fn is_settled(&self) -> bool {
        self.settled && self.read
    }

    /// Somebody else may have changed a status: they are read before the next is composed.
    pub(super) fn read_again(&mut self) {
        self.read = false;
    }

    /// Reads the statuses, if that is to be done. One that cannot be read is as none.
    pub(super) async fn read(&mut self) -> Result<(), kube::Error> {
        if self.read {
            return Ok(());
        }
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &self.resource);
        let mut params = ListParams::default().limit(PAGE);
        let mut known = HashMap::new();
        loop {
            let page = api.list(&params).await?;
            for mut object in page.items {
                let metadata = &object.metadata;
                let name = format!(
                    "{}/{}",
                    metadata.namespace.as_deref().unwrap_or_default(),
                    metadata.name.as_deref().unwrap_or_default()
                );
                let status = object.data.get_mut("status").map(serde_json::Value::take);
                if let Some(status) = status.and_then(|status| serde_json::from_value(status).ok()) {
                    known.insert(name, status);
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
        (self.known, self.read) = (known, true);
        Ok(())
    }

    /// Writes the statuses that differ; what fails is written with the next.
    pub(super) async fn write(&mut self, statuses: Vec<(String, ObtraceInstrumentationStatus)>) {
        let differing = statuses.into_iter().filter(|(name, status)| self.known.get(name) != Some(status));
        let (client, resource) = (&self.client, &self.resource);
        let write = |(name, status): (String, _)| async move {
            let written = write_one(client, resource, &name, &status).await;
            (name, status, written)
        };
        let written: Vec<_> = stream::iter(differing).map(write).buffer_unordered(AT_ONCE).collect().await;
        self.settled = true;
        for (name, status, written) in written {
            match written {
                Ok(()) => {
                    debug!(resource = name, "wrote a status");
                    self.known.insert(name, status);
                }
                // It is gone meanwhile.
                Err(error) if error.starts_with("404") => {}
                Err(error) => {
                    self.settled = false;
                    warn!(resource = name, error, "writing the status failed, and is tried again");
                }
            }
        }
    }
}

async fn write_one(
    client: &Client,
    resource: &ApiResource,
    name: &str,
    status: &ObtraceInstrumentationStatus,
) -> Result<(), String> {
    let (namespace, name) = name.split_once('/').unwrap_or_default();
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, resource);
    let body = json!({
        "apiVersion": ObtraceInstrumentation::api_version(&()),
        "kind": ObtraceInstrumentation::kind(&()),
        "metadata": { "name": name },
        "status": status,
    });
    let params = PatchParams::apply(MANAGER).force();
    match timeout(TIMEOUT, api.patch_status(name, &params, &Patch::Apply(&body))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) => Err(format!("{} {}", status.code, status.message)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
    }
}
