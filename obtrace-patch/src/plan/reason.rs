//! Why something was left alone.

use std::{borrow::Cow, fmt};

use obtrace_detect::{Language, Runtime};

use crate::settings::PodSecurity;

/// Why a whole Pod is left alone, without a look at its containers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PodSkip {
    /// It has been instrumented.
    Injected,
    /// It asks for it.
    Excluded,
    /// Its namespace asks for it.
    NamespaceExcluded,
    /// Its namespace is on the list of those that are never touched.
    NamespaceReserved,
    /// A kubelet made it from a file; what the API server holds is a mirror.
    Static,
    /// It runs Windows.
    Windows,
    /// It is part of the node: it has the host's network and a system's priority.
    HostSystem,
    /// It is a copy or a companion that somebody made to debug.
    Debug,
    /// It is part of Obtrace Zero.
    Own,
}

impl PodSkip {
    /// The reason in one word, for a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Excluded => "pod_excluded",
            Self::NamespaceExcluded => "namespace_excluded",
            Self::NamespaceReserved => "namespace_reserved",
            Self::Static => "static",
            Self::Windows => "windows",
            Self::HostSystem => "host_system",
            Self::Debug => "debug",
            Self::Own => "own",
        }
    }
}

impl fmt::Display for PodSkip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Injected => "already instrumented",
            Self::Excluded => "the Pod is excluded",
            Self::NamespaceExcluded => "the namespace is excluded",
            Self::NamespaceReserved => "the namespace is never instrumented",
            Self::Static => "a static Pod",
            Self::Windows => "a Windows Pod",
            Self::HostSystem => "a system Pod with the host's network",
            Self::Debug => "a Pod for debugging",
            Self::Own => "part of Obtrace Zero",
        })
    }
}

/// Why a container is left alone.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason<'a> {
    /// The settings name other containers.
    NotSelected,
    /// It is known to be a proxy, a mesh's sidecar or Kubernetes' own machinery.
    Infrastructure,
    /// Nothing says what it runs, and nobody has asked to observe it all the same.
    UnknownLanguage,
    /// Only SDKs are wanted, and there is none for this.
    NoSdk {
        /// The language.
        language: Language,
        /// Its runtime.
        runtime: Runtime,
    },
    /// Another vendor's agent is there.
    OtherAgent {
        /// Whose.
        vendor: &'static str,
        /// What shows it.
        seen: Cow<'a, str>,
    },
    /// A variable that would have to be merged comes from an optional reference: where it is missing, the merged value
    /// would be broken.
    OptionalReference {
        /// The variable.
        variable: &'static str,
    },
    /// A variable that would have to be merged may come from a source whose content is not known.
    EnvFrom {
        /// The variable.
        variable: &'static str,
        /// What kind of source: `Secret`, `ConfigMap`.
        kind: &'static str,
        /// The source's name.
        name: Cow<'a, str>,
    },
    /// The image is known to set a variable that would have to be merged, but not to what.
    ImageEnv {
        /// The variable.
        variable: &'static str,
    },
    /// The Pod has a volume of our name that is something else.
    VolumeTaken,
    /// Something else is mounted where our files would be.
    MountTaken {
        /// Where.
        path: Cow<'a, str>,
    },
    /// PHP's `open_basedir` is set, and leaves out the folder of the loader: PHP would end every script.
    OpenBasedir {
        /// What shows it.
        seen: Cow<'a, str>,
    },
    /// The Pod has an init container of our name that is something else.
    InitContainerTaken,
    /// The init container would get the container's memory limit, and that is not enough.
    InitMemory,
    /// A sidecar is wanted, and cannot be.
    NoSidecar(NoSidecar),
}

impl Reason<'_> {
    /// Whether the container would be instrumented but for a rule that keeps it from harm: worth an annotation and a
    /// warning.
    #[must_use]
    pub fn is_rule(&self) -> bool {
        !matches!(self, Self::NotSelected | Self::Infrastructure | Self::UnknownLanguage | Self::NoSdk { .. })
    }

    /// The reason in one word, for a metric's label.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotSelected => "not_selected",
            Self::Infrastructure => "infrastructure",
            Self::UnknownLanguage => "unknown_language",
            Self::NoSdk { .. } => "no_sdk",
            Self::OtherAgent { .. } => "other_agent",
            Self::OptionalReference { .. } => "optional_reference",
            Self::EnvFrom { .. } => "env_from",
            Self::ImageEnv { .. } => "image_env",
            Self::VolumeTaken => "volume_taken",
            Self::MountTaken { .. } => "mount_taken",
            Self::OpenBasedir { .. } => "open_basedir",
            Self::InitContainerTaken => "init_container_taken",
            Self::InitMemory => "init_memory",
            Self::NoSidecar(_) => "no_sidecar",
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSelected => f.write_str("not among the containers to instrument"),
            Self::Infrastructure => f.write_str("infrastructure, never instrumented"),
            Self::UnknownLanguage => f.write_str("nothing says what it runs"),
            Self::NoSdk { language, runtime } => {
                write!(f, "only SDKs are wanted, and none reaches {language}")?;
                if runtime.language().has_sdk() { write!(f, " on {runtime}") } else { Ok(()) }
            }
            Self::OtherAgent { vendor, seen } => write!(f, "{vendor} is there already ({seen})"),
            Self::OptionalReference { variable } => {
                write!(f, "{variable} comes from an optional reference and cannot be merged")
            }
            Self::EnvFrom { variable, kind, name } => {
                write!(f, "{variable} may come from the {kind} {name} by envFrom")
            }
            Self::ImageEnv { variable } => write!(f, "the image sets {variable}, to a value that is not known"),
            Self::VolumeTaken => f.write_str("the Pod has another volume named obtrace-agent"),
            Self::MountTaken { path } => write!(f, "something else is mounted at {path}"),
            Self::OpenBasedir { seen } => write!(f, "PHP's open_basedir leaves out /obtrace/ ({seen})"),
            Self::InitContainerTaken => f.write_str("the Pod has another init container named obtrace-agent-init"),
            Self::InitMemory => f.write_str("a memory limit below 16Mi leaves no room for the init container"),
            Self::NoSidecar(why) => write!(f, "no sidecar: {why}"),
        }
    }
}

/// Why a Pod cannot have the sidecar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NoSidecar {
    /// The Pod has the host's process namespace, which excludes one of its own.
    HostPid,
    /// The Pod keeps its containers' processes apart on purpose.
    ProcessesApart,
    /// The namespace does not let Pods have the capabilities.
    PodSecurity(PodSecurity),
    /// The namespace bounds what Pods may ask for, and the sidecar would be more.
    Bounded,
    /// The Pod asks for resources as a whole, and the sidecar would be more.
    PodResources,
    /// The Pod is meant to end, and an ordinary sidecar would keep it from ending.
    Completes,
    /// The Pod has a user namespace of its own, in which capabilities do not reach the kernel.
    UserNamespace,
    /// The Pod has another container of that name.
    NameTaken,
}

impl fmt::Display for NoSidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostPid => "the Pod has hostPID",
            Self::ProcessesApart => "the Pod has shareProcessNamespace: false",
            Self::PodSecurity(PodSecurity::Restricted) => "the namespace enforces Pod Security restricted",
            Self::PodSecurity(_) => "the namespace enforces Pod Security baseline",
            Self::Bounded => "a ResourceQuota or a LimitRange of the namespace bounds what Pods ask for",
            Self::PodResources => "the Pod has resources as a whole",
            Self::Completes => "it would keep the Pod from ending on this version of Kubernetes",
            Self::UserNamespace => "the Pod has hostUsers: false",
            Self::NameTaken => "the Pod has another container named obtrace-ebpf",
        })
    }
}
