//! What somebody has decided before a Pod comes along.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use obtrace_detect::{Framework, ImageConfig, Language};

use crate::pod::Pod;

/// Everything that is resolved for a Pod: its resource, its namespace, its cluster.
///
/// It is built once for a namespace and used for all its Pods.
///
/// ```
/// use obtrace_patch::{SecretKey, Settings};
///
/// let mut settings = Settings::new("https://ingest.example.com");
/// settings.api_key = Some(SecretKey::new("obtrace", "api-key"));
/// settings.namespace = Some("shop-prod".to_owned());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where telemetry goes. References such as `$(NODE_IP)` to variables of the container are left to Kubernetes.
    pub ingest_url: String,
    /// The Secret that holds the API key, in the Pod's namespace.
    pub api_key: Option<SecretKey>,
    /// How Pods are instrumented.
    pub strategy: StrategyChoice,
    /// Where the agent runs that observes from the kernel.
    pub placement: Placement,
    /// The language of Pods that do not say it themselves: counts as the label [`LANGUAGE`](crate::marks::LANGUAGE).
    pub language: Option<Language>,
    /// The framework of the main container.
    pub framework: Option<Framework>,
    /// The containers to instrument; empty: all.
    pub containers: Vec<String>,
    /// Containers to leave alone.
    pub excluded_containers: Vec<String>,
    /// The environment of Pods without the label [`ENVIRONMENT`](crate::marks::ENVIRONMENT).
    pub environment: Option<String>,
    /// The namespace of the request: it counts before the Pod's own, which may be empty when the Pod is admitted.
    pub namespace: Option<String>,
    /// Whether the namespace asks to be left alone.
    pub namespace_excluded: bool,
    /// Namespaces that are left alone beside [`EXCLUDED_NAMESPACES`].
    pub excluded_namespaces: Vec<String>,
    /// What the namespace lets Pods ask for.
    pub pod_security: PodSecurity,
    /// Whether a ResourceQuota or a LimitRange bounds what Pods of the namespace may ask for. Such a Pod gets nothing that it has not asked for itself:
    /// no sidecar, and an init container with the resources of one of its own.
    pub bounded: bool,
    /// The cluster's version, if known. Without it nothing that is new is used.
    pub cluster_version: Option<Version>,
    /// The part of the traces that is kept, from 0 to 1.
    pub sample_ratio: f64,
    /// The image of the init container.
    pub agent_image: String,
    /// The image of the sidecar.
    pub ebpf_image: String,
    /// Whether somebody has named the image of the loaders. That of this version is another in the next: it is no part of a Pod's
    /// [`Configuration`](crate::Configuration).
    pub agent_image_named: bool,
    /// Whether somebody has named the image of the agent.
    pub ebpf_image_named: bool,
    /// Resources of the init container instead of those derived from the Pod, unless something [bounds](Self::bounded) them or the Pod has resources
    /// as a whole.
    pub init_resources: Option<Resources>,
    /// Resources of the sidecar instead of [`Resources::sidecar`].
    pub sidecar_resources: Option<Resources>,
    /// Whether to instrument beside another vendor's agent.
    pub coexist: bool,
    /// ConfigMaps of the namespace that are known, with their keys.
    pub config_maps: BTreeMap<String, BTreeSet<String>>,
    /// Image configurations that are known, by the image reference as Pods have it. One map may serve many settings.
    pub image_configs: Arc<BTreeMap<String, ImageConfig<'static>>>,
    /// Variables that the image itself sets, said again by the user since a Pod does not show them.
    pub image_env: BTreeMap<String, String>,
}

impl Settings {
    /// Telemetry to this URL, and everything else as by default: strategy and placement automatic, all containers, all
    /// traces, no API key.
    #[must_use]
    pub fn new(ingest_url: impl Into<String>) -> Self {
        Self {
            ingest_url: ingest_url.into(),
            api_key: None,
            strategy: StrategyChoice::Auto,
            placement: Placement::Auto,
            language: None,
            framework: None,
            containers: Vec::new(),
            excluded_containers: Vec::new(),
            environment: None,
            namespace: None,
            namespace_excluded: false,
            excluded_namespaces: Vec::new(),
            pod_security: PodSecurity::Privileged,
            bounded: false,
            cluster_version: None,
            sample_ratio: 1.0,
            agent_image: DEFAULT_AGENT_IMAGE.to_owned(),
            ebpf_image: DEFAULT_EBPF_IMAGE.to_owned(),
            agent_image_named: false,
            ebpf_image_named: false,
            init_resources: None,
            sidecar_resources: None,
            coexist: false,
            config_maps: BTreeMap::new(),
            image_configs: Arc::default(),
            image_env: BTreeMap::new(),
        }
    }

    /// What the init container is to have whatever the Pod's containers have, where namespace and Pod let it have that: the API server refuses a Pod
    /// whose containers add up to more than its resources as a whole.
    pub(crate) fn init_resources(&self, pod: &Pod<'_>) -> Option<&Resources> {
        self.init_resources.as_ref().filter(|_| !self.bounded && pod.spec.resources.is_none())
    }
}

/// The image that holds the loaders.
pub const DEFAULT_AGENT_IMAGE: &str = concat!("ghcr.io/obtrace/obtrace-zero-agent:", env!("CARGO_PKG_VERSION"));
/// The image of the agent that observes from the kernel.
pub const DEFAULT_EBPF_IMAGE: &str = concat!("ghcr.io/obtrace/obtrace-zero-ebpf:", env!("CARGO_PKG_VERSION"));
/// Namespaces that are always left alone.
pub const EXCLUDED_NAMESPACES: [&str; 8] = [
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "cert-manager",
    "linkerd",
    "argocd",
    "obtrace-system",
    "obtrace-infra",
];

/// A key of a Secret.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct SecretKey {
    /// The Secret's name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

impl SecretKey {
    /// A key of a Secret.
    #[must_use]
    pub fn new(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self { name: name.into(), key: key.into() }
    }
}

/// How Pods are to be instrumented.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum StrategyChoice {
    /// What can work for what was detected.
    #[default]
    Auto,
    /// SDKs only: what has none is left alone.
    Sdk,
    /// From the kernel only: no hook.
    Ebpf,
    /// Both, each reporting what the other does not.
    Hybrid,
}

/// Where the agent runs that observes from the kernel.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Placement {
    /// In the Pod where that is allowed, else on the node.
    #[default]
    Auto,
    /// In the Pod or not at all.
    Sidecar,
    /// One for the node; Pods are only marked.
    Node,
}

/// The level of Kubernetes' [Pod Security Standards] that a namespace enforces.
///
/// [Pod Security Standards]: https://kubernetes.io/docs/concepts/security/pod-security-standards/
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum PodSecurity {
    /// Anything goes, also without a level.
    #[default]
    Privileged,
    /// No known escalation of privileges.
    Baseline,
    /// Hardened.
    Restricted,
}

impl PodSecurity {
    /// The label of a namespace that names its level.
    pub const LABEL: &'static str = "pod-security.kubernetes.io/enforce";

    /// Reads the label's value. An unknown level is the strictest, as Kubernetes takes it.
    #[must_use]
    pub fn from_label(value: Option<&str>) -> Self {
        match value {
            None | Some("privileged") => Self::Privileged,
            Some("baseline") => Self::Baseline,
            Some(_) => Self::Restricted,
        }
    }
}

/// A version of Kubernetes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Version {
    /// From here on an init container with `restartPolicy: Always` is a sidecar, without further settings of the
    /// cluster.
    pub const NATIVE_SIDECARS: Self = Self::new(1, 29);

    /// A version.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Reads `1.29`, `v1.29.3`, `1.29+`, `v1.29.3-gke.100`.
    ///
    /// ```
    /// use obtrace_patch::Version;
    ///
    /// assert_eq!(Version::parse("v1.31.2-eks-1a2b3c4"), Some(Version::new(1, 31)));
    /// assert_eq!(Version::parse("latest"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (major, rest) = text.strip_prefix('v').unwrap_or(text).split_once('.')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let minor = rest.get(..digits)?;
        Some(Self::new(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// Requests and limits of a container, in Kubernetes' words: `cpu` → `50m`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Resources {
    /// What it reserves.
    pub requests: BTreeMap<String, String>,
    /// What it may take at most.
    pub limits: BTreeMap<String, String>,
}

impl Resources {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a request.
    #[must_use]
    pub fn with_request(mut self, name: impl Into<String>, quantity: impl Into<String>) -> Self {
        self.requests.insert(name.into(), quantity.into());
        self
    }

    /// With a limit.
    #[must_use]
    pub fn with_limit(mut self, name: impl Into<String>, quantity: impl Into<String>) -> Self {
        self.limits.insert(name.into(), quantity.into());
        self
    }

    /// What the sidecar has when nobody says otherwise: it asks for 50m and 64Mi, and may take 200m and 128Mi.
    #[must_use]
    pub fn sidecar() -> Self {
        Self::new()
            .with_request("cpu", "50m")
            .with_request("memory", "64Mi")
            .with_limit("cpu", "200m")
            .with_limit("memory", "128Mi")
    }
}
