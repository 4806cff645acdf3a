//! Where the Pod is in a manifest.

use std::{borrow::Cow, fmt};

use super::{Metadata, Pod, Workload};
use crate::{error::ParseError, json::Cursor};

/// Kinds that are a Pod or hold the template of one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum TemplateKind {
    /// The Pod itself.
    Pod,
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// `apps/v1` ReplicaSet.
    ReplicaSet,
    /// `v1` ReplicationController.
    ReplicationController,
    /// `batch/v1` Job.
    Job,
    /// `batch/v1` CronJob.
    CronJob,
}

impl TemplateKind {
    const ALL: [Self; 8] = [
        Self::Pod,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::Job,
        Self::CronJob,
    ];

    /// The kind's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }

    /// Where the Pod is, as a JSON pointer (RFC 6901).
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Pod => "",
            Self::CronJob => "/spec/jobTemplate/spec/template",
            _ => "/spec/template",
        }
    }

    /// Whether its Pods are meant to end.
    pub(crate) fn completes(self) -> bool {
        matches!(self, Self::Job | Self::CronJob)
    }
}

impl fmt::Display for TemplateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A manifest that is a Pod or makes Pods.
///
/// ```
/// use obtrace_patch::{Template, TemplateKind};
///
/// let manifest = br#"{"kind": "CronJob", "metadata": {"name": "nightly"},
///     "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "job"}]}}}}}}"#;
/// let template = Template::find(manifest)?.expect("a kind that makes Pods");
/// assert_eq!(template.kind(), TemplateKind::CronJob);
/// assert_eq!(template.name(), Some("nightly"));
/// assert_eq!(template.prefix(), "/spec/jobTemplate/spec/template");
/// assert_eq!(template.pod()?.containers().next(), Some("job"));
///
/// assert!(Template::find(br#"{"kind": "Service"}"#)?.is_none());
/// # Ok::<(), obtrace_patch::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Template<'a> {
    kind: TemplateKind,
    name: Option<Cow<'a, str>>,
    namespace: Option<Cow<'a, str>>,
    start: usize,
    json: &'a [u8],
}

impl<'a> Template<'a> {
    /// Looks for the Pod in a manifest; `None` if it is of a kind that makes no Pods.
    ///
    /// # Errors
    /// If the bytes are not JSON, if the manifest has no kind, or if it is of a kind that makes Pods and the template
    /// is missing.
    pub fn find(manifest: &'a [u8]) -> Result<Option<Self>, ParseError> {
        let mut kind = None;
        let mut metadata = Metadata::default();
        let mut cursor = Cursor::new(manifest);
        cursor.object(|key, cursor| {
            match key {
                b"kind" => kind = cursor.optional_string()?,
                b"metadata" => metadata = Metadata::read(cursor)?,
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        cursor.end()?;
        let Some(kind) = kind else { return Err(ParseError::expected(0, "a manifest with a kind")) };
        let Some(kind) = TemplateKind::ALL.into_iter().find(|known| known.as_str() == kind) else { return Ok(None) };
        let Metadata { name, namespace, .. } = metadata;
        let (start, json) = descend(manifest, kind.prefix())?;
        Ok(Some(Self { kind, name, namespace, start, json }))
    }

    /// What kind of manifest it is.
    #[must_use]
    pub fn kind(&self) -> TemplateKind {
        self.kind
    }

    /// The manifest's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The manifest's namespace.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Where the Pod is in the manifest, as a JSON pointer.
    #[must_use]
    pub fn prefix(&self) -> &'static str {
        self.kind.prefix()
    }

    /// The Pod's JSON.
    #[must_use]
    pub fn json(&self) -> &'a [u8] {
        self.json
    }

    /// Reads the Pod. The paths of its patches begin with [`prefix`](Self::prefix): they are for the whole manifest.
    ///
    /// # Errors
    /// As [`Pod::parse`].
    pub fn pod(&self) -> Result<Pod<'a>, ParseError> {
        let mut pod = Pod::parse(self.json).map_err(|error| error.inside(self.start))?;
        if self.kind != TemplateKind::Pod {
            pod.prefix = self.kind.prefix();
            let (name, namespace) = (self.name.clone(), self.namespace.clone());
            pod.workload = Some(Workload { kind: self.kind, name, namespace });
        }
        Ok(pod)
    }
}

/// Follows a pointer of plain member names; gives the value and where it begins.
fn descend<'a>(json: &'a [u8], pointer: &str) -> Result<(usize, &'a [u8]), ParseError> {
    let (mut start, mut json) = (0, json);
    for name in pointer.split('/').skip(1) {
        let mut found = None;
        Cursor::new(json)
            .object(|key, cursor| {
                let at = cursor.offset();
                let value = cursor.skip()?;
                if key == name.as_bytes() {
                    found = Some((start + at, value));
                }
                Ok(())
            })
            .map_err(|error| error.inside(start))?;
        (start, json) = found.ok_or(ParseError::expected(start, "a Pod template in this object"))?;
    }
    Ok((start, json))
}
