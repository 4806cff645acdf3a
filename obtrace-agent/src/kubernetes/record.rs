//! What is kept of a Pod, and the attributes that its processes get.

use std::net::IpAddr;

use super::PodUid;

/// Whether the agent of the node observes a Pod.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Coverage {
    /// It does.
    Observed,
    /// Its namespace is left out.
    Namespace,
    /// `obtrace.io/exclude` says that it is left alone.
    Excluded,
    /// A sidecar observes it.
    Sidecar,
    /// Loaders in its processes report everything (`obtrace.io/strategy: sdk`).
    Loaders,
}

/// A Pod of the node.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PodRecord {
    /// Its UID.
    pub uid: PodUid,
    /// The UID that its control group has, where that is another one: a static Pod's.
    pub static_uid: Option<PodUid>,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The name of its service.
    pub service: String,
    /// The attributes of all its processes, but those of the container.
    pub attributes: Vec<(&'static str, String)>,
    /// Its containers: name, and id once it runs.
    pub containers: Vec<(String, Option<String>)>,
    /// Its addresses; none where it has those of the node.
    pub addresses: Vec<IpAddr>,
    /// Whether it is observed.
    pub coverage: Coverage,
}

impl PodRecord {
    /// A Pod of which only its names are known, observed.
    #[must_use]
    pub fn new(uid: PodUid, namespace: String, name: String) -> Self {
        Self {
            uid,
            static_uid: None,
            namespace,
            service: name.clone(),
            name,
            attributes: Vec::new(),
            containers: Vec::new(),
            addresses: Vec::new(),
            coverage: Coverage::Observed,
        }
    }

    /// The name of a container: by its id, or because there is no other.
    #[must_use]
    pub fn container(&self, id: Option<&str>) -> Option<&str> {
        let by_id = id.and_then(|id| self.containers.iter().find(|(_, known)| known.as_deref() == Some(id)));
        let only = || self.containers.first().filter(|_| self.containers.len() == 1);
        by_id.or_else(only).map(|(name, _)| name.as_str())
    }

    /// The UIDs that control groups may have for it.
    pub(super) fn uids(&self) -> impl Iterator<Item = PodUid> + use<> {
        [Some(self.uid), self.static_uid].into_iter().flatten()
    }
}

/// What is said of a process in a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// Attributes of its resource, `service.name` among them where it is known.
    pub attributes: Vec<(&'static str, String)>,
    /// The kinds of span that something else reports for it, as `OBTRACE_TRACED` has them.
    pub traced: String,
    /// Whether there is nothing more to come.
    pub complete: bool,
}
