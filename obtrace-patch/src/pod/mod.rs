//! What a Pod says that matters here, borrowed from its JSON.

mod container;
mod metadata;
mod quantity;
mod spec;
mod template;

use std::borrow::Cow;

pub(crate) use self::{
    container::{Container, EnvFrom, EnvKind, Mount, SourceKind},
    metadata::Metadata,
    quantity::bytes as quantity_bytes,
    spec::Spec,
};
pub use self::{
    metadata::Owner,
    template::{Template, TemplateKind},
};
use crate::{error::ParseError, json::Cursor, plan::identity};

/// A Pod, or the Pod template of a workload, as far as instrumentation cares.
///
/// It borrows from the JSON and decodes only what is used; everything else is stepped over unread, so unknown fields of
/// newer Kubernetes versions neither disturb nor get lost: patches name what they change, and nothing else.
///
/// ```
/// use obtrace_patch::Pod;
///
/// let json = br#"{"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "web", "image": "node:22"}]}}"#;
/// let pod = Pod::parse(json)?;
/// assert_eq!(pod.generate_name(), Some("web-"));
/// assert_eq!(pod.containers().collect::<Vec<_>>(), ["web"]);
/// # Ok::<(), obtrace_patch::ParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pod<'a> {
    pub(crate) metadata: Metadata<'a>,
    pub(crate) spec: Spec<'a>,
    /// Where the Pod is in its document, as a JSON pointer.
    pub(crate) prefix: &'static str,
    /// The workload whose template this is.
    pub(crate) workload: Option<Workload<'a>>,
}

/// A workload whose template stands for its Pods.
#[derive(Clone, Debug)]
pub(crate) struct Workload<'a> {
    pub(crate) kind: TemplateKind,
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) namespace: Option<Cow<'a, str>>,
}

impl<'a> Pod<'a> {
    /// Reads a Pod. `apiVersion` and `kind` need not be there and are not looked at.
    ///
    /// # Errors
    /// If the bytes are not JSON, if a field that is read has another type than Kubernetes gives it, or if a container
    /// has no name. What is not read is not validated.
    pub fn parse(json: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(json);
        let pod = Self::read(&mut cursor)?;
        cursor.end()?;
        Ok(pod)
    }

    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let mut pod = Self::default();
        cursor.object(|key, cursor| {
            match key {
                b"metadata" => pod.metadata = Metadata::read(cursor)?,
                b"spec" => pod.spec = Spec::read(cursor)?,
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        Ok(pod)
    }

    /// `metadata.name`. A Pod that a workload's controller makes has none when it is admitted.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.metadata.name.as_deref()
    }

    /// `metadata.generateName`.
    #[must_use]
    pub fn generate_name(&self) -> Option<&str> {
        self.metadata.generate_name.as_deref()
    }

    /// `metadata.namespace`, or the workload's where this is its template.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let workload = || self.workload.as_ref().and_then(|workload| workload.namespace.as_deref());
        self.metadata.namespace.as_deref().or_else(workload)
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.label(key)
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<Cow<'a, str>> {
        self.metadata.annotation(key)
    }

    /// What made the Pod: the owner that manages it, else the first; `None` for a Pod of its own.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner<'a>> {
        self.metadata.controller()
    }

    /// The name of the Pod's service: the label `app.kubernetes.io/name`, else `app`, else the name of the workload that made
    /// it, else of the Pod. What a plan gives a Pod as `OBTRACE_SERVICE_NAME`, and the agent of a node calls its processes.
    ///
    /// ```
    /// # use obtrace_patch::Pod;
    /// let json = br#"{"metadata": {"generateName": "web-5b9f8c4d7-", "labels": {"pod-template-hash": "5b9f8c4d7"}}}"#;
    /// assert_eq!(Pod::parse(json)?.service_name(), "web");
    /// # Ok::<(), obtrace_patch::ParseError>(())
    /// ```
    #[must_use]
    pub fn service_name(&'a self) -> Cow<'a, str> {
        identity::service_name(self)
    }

    /// The name of the Pod's environment: the label `obtrace.io/environment`, else what a word of its namespace's name says
    /// (`shop-prod` is `production`); `None` where nothing does.
    #[must_use]
    pub fn environment(&self) -> Option<&str> {
        identity::environment_of(self)
    }

    /// The names of the containers, init containers left out.
    pub fn containers(&self) -> impl Iterator<Item = &str> {
        self.spec.containers.iter().map(|container| &*container.name)
    }

    /// The images of all containers, init containers first. An image may come more than once.
    ///
    /// For a caller that looks up image configurations before it plans.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.spec.all().filter_map(|container| container.image.as_deref())
    }
}
