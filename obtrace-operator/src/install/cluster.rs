//! Objects as a cluster has them.

use std::fmt;

use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{GroupVersionKind, TypeMeta},
};
use serde_json::Value;

use super::FIELD_MANAGER;

/// The most objects that a list asks for at once.
const PAGE: u32 = 500;

/// A cluster that objects are put into.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// What became of an object that was applied.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Changed {
    /// It was not there.
    Created,
    /// It was another.
    Configured,
    /// It was so already.
    Unchanged,
}

impl Changed {
    /// The word for it, as kubectl has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What a cluster did not do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}: {}", said(source))]
pub struct ClusterError {
    /// What was tried.
    what: String,
    /// What the system said.
    source: kube::Error,
}

impl ClusterError {
    /// That this was tried, and failed so.
    pub fn new(what: impl Into<String>, source: kube::Error) -> Self {
        Self { what: what.into(), source }
    }

    /// Whether there is no such object, or no such kind.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        code(&self.source) == 404
    }

    /// Whether the object was changed meanwhile, or is there already.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        code(&self.source) == 409
    }

    /// Whether it is not allowed.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        code(&self.source) == 403
    }
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}

/// What the API server says, or what kept us from asking it, down to the last cause.
pub(crate) fn said(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return match status.message.as_str() {
            "" => format!("the API server answers {}", status.code),
            message => format!("the API server says: {message}"),
        };
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// `Kind namespace/name`, for people.
#[must_use]
pub fn name_of(object: &Value) -> String {
    let (kind, namespace, name) =
        (text(object, "/kind"), text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

/// The text at a pointer; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a pointer; 0 where there is none.
pub(crate) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// The list at a pointer; empty where there is none.
pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

impl Cluster {
    /// The cluster of this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Its client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn api(&self, api_version: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let types = TypeMeta { api_version: api_version.to_owned(), kind: kind.to_owned() };
        let kind = GroupVersionKind::try_from(types).unwrap_or_else(|_| GroupVersionKind::gvk("", api_version, kind));
        let resource = ApiResource::from_gvk(&kind);
        match namespace {
            "" => Api::all_with(self.client.clone(), &resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }
    }

    fn api_of(&self, object: &Value) -> Api<DynamicObject> {
        self.api(text(object, "/apiVersion"), text(object, "/kind"), text(object, "/metadata/namespace"))
    }

    /// The object as it is there; `None` if there is no such object, or no such kind.
    ///
    /// # Errors
    ///
    /// What the API server says.
    pub async fn get(&self, object: &Value) -> Result<Option<Value>, ClusterError> {
        let failed = |source| ClusterError::new(format!("read {}", name_of(object)), source);
        match self.api_of(object).get_opt(text(object, "/metadata/name")).await {
            Ok(found) => Ok(found.map(|found| to_value(&found))),
            Err(error) if code(&error) == 404 => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// All objects of a kind, in one namespace or (empty) in all, with these labels; none where there is no such kind.
    ///
    /// # Errors
    ///
    /// What the API server says.
    pub async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Value>, ClusterError> {
        let failed = |source| ClusterError::new(format!("list {kind} objects"), source);
        let api = self.api(api_version, kind, namespace);
        let mut params = ListParams::default().labels(labels).limit(PAGE);
        let mut all = Vec::new();
        loop {
            let page = match api.list(&params).await {
                Ok(page) => page,
                Err(error) if code(&error) == 404 => return Ok(all),
                Err(error) => return Err(failed(error)),
            };
            all.extend(page.items.iter().map(|item| {
                let mut value = to_value(item);
                // The objects of a list do not repeat what they are.
                if let Value::Object(object) = &mut value {
                    object.insert("apiVersion".into(), api_version.into());
                    object.insert("kind".into(), kind.into());
                }
                value
            }));
            match page.metadata.continue_ {
                Some(token) if !token.is_empty() => params = params.continue_token(&token),
                _ => return Ok(all),
            }
        }
    }

    /// Applies an object on the server's side; what others set in it and it does not name stays.
    ///
    /// # Errors
    ///
    /// What the API server says.
    pub async fn apply(&self, object: &Value, dry_run: bool) -> Result<Changed, ClusterError> {
        let failed = |source| ClusterError::new(format!("apply {}", name_of(object)), source);
        let before = self.get(object).await?;
        let mut params = PatchParams::apply(FIELD_MANAGER).force();
        params.dry_run = dry_run;
        let api = self.api_of(object);
        let after = api.patch(text(object, "/metadata/name"), &params, &Patch::Apply(object)).await.map_err(failed)?;
        Ok(match before.map(|before| same(before, to_value(&after))) {
            None => Changed::Created,
            Some(true) => Changed::Unchanged,
            Some(false) => Changed::Configured,
        })
    }

    /// Merges a patch into an object.
    ///
    /// # Errors
    ///
    /// What the API server says, also if there is no such object.
    pub async fn merge(&self, object: &Value, patch: &Value) -> Result<Value, ClusterError> {
        let failed = |source| ClusterError::new(format!("change {}", name_of(object)), source);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.api_of(object);
        let after = api.patch(text(object, "/metadata/name"), &params, &Patch::Merge(patch)).await.map_err(failed)?;
        Ok(to_value(&after))
    }

    /// Creates an object, or with `dry_run` asks what would become of it: the object as the server would keep it.
    ///
    /// # Errors
    ///
    /// What the API server says.
    pub async fn create(&self, object: &Value, dry_run: bool) -> Result<Value, ClusterError> {
        let failed = |source| ClusterError::new(format!("create {}", name_of(object)), source);
        let params = PostParams { dry_run, ..PostParams::default() };
        let wanted: DynamicObject =
            serde_json::from_value(object.clone()).map_err(|error| failed(kube::Error::SerdeError(error)))?;
        let made = self.api_of(object).create(&params, &wanted).await.map_err(failed)?;
        Ok(to_value(&made))
    }

    /// Deletes an object; whether there was one.
    ///
    /// # Errors
    ///
    /// What the API server says.
    pub async fn delete(&self, object: &Value) -> Result<bool, ClusterError> {
        let failed = |source| ClusterError::new(format!("delete {}", name_of(object)), source);
        match self.api_of(object).delete(text(object, "/metadata/name"), &DeleteParams::background()).await {
            Ok(_) => Ok(true),
            Err(error) if code(&error) == 404 => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

fn to_value(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// Whether two versions of an object are the same but for what the server counts.
fn same(mut before: Value, mut after: Value) -> bool {
    for object in [&mut before, &mut after] {
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            for counted in ["managedFields", "resourceVersion", "generation"] {
                metadata.remove(counted);
            }
        }
    }
    before == after
}
