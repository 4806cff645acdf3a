//! What is asked of the API server.

use std::time::Duration;

use http::Request;
use kube::{
    Client, Resource,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, Preconditions},
    core::{Request as Requests, Selector},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    object::Workload,
    pods::{Budget, Pod},
    record::RESTARTING,
};
use crate::discovery::{Id, Kind};

/// Who manages the fields that are written.
const MANAGER: &str = "obtrace-zero";
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How many objects a page of a list has.
const PAGE: u32 = 250;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// There is no such object.
    #[error("it is gone")]
    Gone,
    /// It was changed since it was read.
    #[error("it was changed meanwhile")]
    Conflict,
    /// The operator has no right to.
    #[error("{0}")]
    Forbidden(String),
    /// The API server, or the way to it.
    #[error("{0}")]
    Failed(String),
}

impl From<kube::Error> for Fault {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 404 => Self::Gone,
            kube::Error::Api(status) if status.code == 409 => Self::Conflict,
            // Policies refuse with this code as well: https://github.com/kubernetes/apiserver, endpoints/handlers/responsewriters
            kube::Error::Api(status) if status.code == 403 && is_of_rights(&status.message) => {
                Self::Forbidden(status.message.clone())
            }
            kube::Error::Api(status) => Self::Failed(format!("{} {}", status.code, status.message)),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Whether it is a right that is missing: `User "u" cannot patch resource "deployments" in API group "apps" …`.
fn is_of_rights(message: &str) -> bool {
    ["User \"", "\" cannot ", " resource \""].iter().all(|part| message.contains(part))
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMetadata,
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PageMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// The cluster.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) client: Client,
}

impl Cluster {
    async fn ask<T: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Result<T, Fault> {
        match timeout(TIMEOUT, self.client.request(request)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Fault::Failed(format!("no answer within {} s", TIMEOUT.as_secs()))),
        }
    }

    /// A workload as it is now.
    pub(super) async fn workload(&self, id: &Id) -> Result<Workload, Fault> {
        let request = requests(&id.kind.resource(), Some(&id.namespace)).get(&id.name, &Default::default());
        self.ask(request.map_err(unasked)?).await
    }

    /// Changes a workload; what it is then.
    pub(super) async fn patch(&self, id: &Id, body: &Value) -> Result<Workload, Fault> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let request = requests(&id.kind.resource(), Some(&id.namespace)).patch(&id.name, &params, &Patch::Merge(body));
        self.ask(request.map_err(unasked)?).await
    }

    /// The Pods of a workload, also those that have ended: of those that its selector means only those that its controller has made.
    pub(super) async fn pods(&self, id: &Id, workload: &Workload) -> Result<Vec<Pod>, Fault> {
        let selector: Selector = workload
            .spec
            .selector
            .clone()
            .try_into()
            .map_err(|error| Fault::Failed(format!("its selector: {error}")))?;
        // That of nothing means everything in a list, and nothing in a workload.
        if selector.selects_all() {
            return Ok(Vec::new());
        }
        let params = ListParams::default().labels_from(&selector);
        let mut pods: Vec<Pod> = self.all(&resource("", "v1", "Pod", "pods"), Some(&id.namespace), params).await?;
        pods.retain(|pod| pod.is_by(id.kind, &id.name));
        Ok(pods)
    }

    /// The PodDisruptionBudgets of a namespace.
    pub(super) async fn budgets(&self, namespace: &str) -> Result<Vec<Budget>, Fault> {
        let resource = resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets");
        self.all(&resource, Some(namespace), ListParams::default()).await
    }

    /// The workloads of a kind whose restart is watched.
    pub(super) async fn open(&self, kind: Kind) -> Result<Vec<Id>, Fault> {
        let found: Vec<Workload> = self.all(&kind.resource(), None, ListParams::default().labels(RESTARTING)).await?;
        Ok(found.into_iter().map(|it| Id { kind, namespace: it.metadata.namespace, name: it.metadata.name }).collect())
    }

    /// Deletes a Pod, if it is still that one.
    pub(super) async fn delete_pod(&self, namespace: &str, name: &str, uid: String) -> Result<(), Fault> {
        let preconditions = Some(Preconditions { uid: Some(uid), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        let request = requests(&resource("", "v1", "Pod", "pods"), Some(namespace)).delete(name, &params);
        match self.ask::<Value>(request.map_err(unasked)?).await {
            Ok(_) | Err(Fault::Gone | Fault::Conflict) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    async fn all<T: DeserializeOwned>(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        params: ListParams,
    ) -> Result<Vec<T>, Fault> {
        let (requests, mut params, mut all) = (requests(resource, namespace), params.limit(PAGE), Vec::new());
        loop {
            let page: Page<T> = self.ask(requests.list(&params).map_err(unasked)?).await?;
            all.extend(page.items);
            match page.metadata.next.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(all),
            }
        }
    }
}

fn unasked(error: kube::core::request::Error) -> Fault {
    Fault::Failed(error.to_string())
}

fn requests(resource: &ApiResource, namespace: Option<&str>) -> Requests {
    Requests::new(DynamicObject::url_path(resource, namespace))
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}
