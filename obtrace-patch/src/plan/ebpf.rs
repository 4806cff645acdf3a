//! Where the agent runs that observes from the kernel.

use super::{NoSidecar, identity};
use crate::{
    hooks,
    pod::{Container, Pod},
    settings::{Placement, PodSecurity, Settings, Version},
};

/// Where the agent runs that observes the Pod from the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ebpf {
    /// Nowhere: nothing needs it.
    Unused,
    /// Nowhere: it cannot be, and the hooked containers do without.
    Refused {
        /// Why.
        why: NoSidecar,
    },
    /// In the Pod.
    Sidecar {
        /// As an init container that goes on running, so that it starts first and ends with the Pod.
        native: bool,
    },
    /// On the node.
    Node {
        /// Why not in the Pod, where that was the first choice.
        no_sidecar: Option<NoSidecar>,
    },
}

impl Ebpf {
    /// Whether an agent observes the Pod.
    #[must_use]
    pub fn runs(self) -> bool {
        matches!(self, Self::Sidecar { .. } | Self::Node { .. })
    }
}

/// Decides for a Pod that needs one.
pub(super) fn place(pod: &Pod<'_>, settings: &Settings) -> Result<Ebpf, NoSidecar> {
    match settings.placement {
        Placement::Node => Ok(Ebpf::Node { no_sidecar: None }),
        Placement::Sidecar => sidecar(pod, settings),
        Placement::Auto => Ok(sidecar(pod, settings).unwrap_or_else(|why| Ebpf::Node { no_sidecar: Some(why) })),
    }
}

fn sidecar(pod: &Pod<'_>, settings: &Settings) -> Result<Ebpf, NoSidecar> {
    let spec = &pod.spec;
    if spec.host_pid {
        return Err(NoSidecar::HostPid);
    }
    if spec.share_process_namespace == Some(false) {
        return Err(NoSidecar::ProcessesApart);
    }
    if settings.pod_security != PodSecurity::Privileged {
        return Err(NoSidecar::PodSecurity(settings.pod_security));
    }
    if settings.bounded {
        return Err(NoSidecar::Bounded);
    }
    if spec.resources.is_some() {
        return Err(NoSidecar::PodResources);
    }
    if spec.host_users == Some(false) {
        return Err(NoSidecar::UserNamespace);
    }
    if spec.all().any(|container| container.name == hooks::SIDECAR && !is_ours(container, settings)) {
        return Err(NoSidecar::NameTaken);
    }
    let native = settings.cluster_version.is_some_and(|version| version >= Version::NATIVE_SIDECARS);
    if !native && identity::completes(pod) {
        return Err(NoSidecar::Completes);
    }
    Ok(Ebpf::Sidecar { native })
}

/// Whether a container of the sidecar's name is the sidecar: by its image, also of another version or registry.
pub(crate) fn is_ours(container: &Container<'_>, settings: &Settings) -> bool {
    container.image.as_deref().is_some_and(|image| is_image(image, &settings.ebpf_image, "obtrace-zero-ebpf"))
}

/// Whether an image is the one that is set, or has the last path component that ours always has.
pub(crate) fn is_image(image: &str, set: &str, name: &str) -> bool {
    let repository = image.split('@').next().unwrap_or(image);
    let last = repository.rsplit('/').next().unwrap_or(repository);
    image == set || last.split(':').next() == Some(name)
}
