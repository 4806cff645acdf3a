//! What can be chosen about an installation.

use std::fmt;

use obtrace_patch::{DEFAULT_AGENT_IMAGE, DEFAULT_EBPF_IMAGE};

use super::DEFAULT_OPERATOR_IMAGE;
use crate::{crd::SecretReference, registry};

/// What can be chosen about an installation.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The operator's image.
    pub image: String,
    /// The image of the loaders, for the init containers.
    pub agent_image: String,
    /// The image of the eBPF agent, for sidecars.
    pub ebpf_image: String,
    /// Secrets in the operator's namespace that its image is pulled with.
    pub image_pull_secrets: Vec<String>,
    /// How many operators answer.
    pub replicas: u32,
    /// The PriorityClass of the operator's Pods.
    pub priority_class: Option<String>,
    /// Where telemetry goes: the base URL of the ingest service.
    pub ingest_url: Option<String>,
    /// The key that telemetry is sent with.
    pub api_key: ApiKey,
    /// Whether to make a resource for the whole cluster.
    pub default_resource: bool,
    /// What becomes of Pods while no operator answers.
    pub failure_policy: FailurePolicy,
    /// How long the API server waits for an answer, in seconds, from 1 to 30.
    pub timeout_seconds: u32,
    /// Namespaces that are left alone beside [`obtrace_patch::EXCLUDED_NAMESPACES`].
    pub exclude_namespaces: Vec<String>,
    /// Where the webhook's certificate comes from.
    pub certificates: Certificates,
    /// Whether the operator may restart workloads (`rolloutRestart: onChange`).
    pub restarts: bool,
    /// Ports of the API server as Pods reach it, which the NetworkPolicy lets through.
    pub api_server_ports: Vec<u32>,
    /// Whether the operator looks images up in their registries.
    pub image_lookups: bool,
    /// The registries whose images are looked up, as hosts with their ports, where a `*` stands for any characters between two dots; none: those of all.
    pub image_registries: Vec<String>,
    /// Registries that are asked without TLS, as hosts with their ports.
    pub insecure_registries: Vec<String>,
    /// Ports of registries, which the NetworkPolicy lets through if images are looked up.
    pub registry_ports: Vec<u32>,
    /// Where traces of the operator itself go: the base URL of a receiver of OTLP over HTTP.
    pub trace_to: Option<String>,
}

impl Options {
    /// Two replicas, a resource for the whole cluster, no key, the operator's own certificate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            image: DEFAULT_OPERATOR_IMAGE.to_owned(),
            agent_image: DEFAULT_AGENT_IMAGE.to_owned(),
            ebpf_image: DEFAULT_EBPF_IMAGE.to_owned(),
            image_pull_secrets: Vec::new(),
            replicas: 2,
            priority_class: None,
            ingest_url: None,
            api_key: ApiKey::None,
            default_resource: true,
            failure_policy: FailurePolicy::Ignore,
            timeout_seconds: 10,
            exclude_namespaces: Vec::new(),
            certificates: Certificates::Operator,
            restarts: false,
            api_server_ports: vec![443, 6443],
            image_lookups: false,
            image_registries: Vec::new(),
            insecure_registries: Vec::new(),
            registry_ports: vec![443],
            trace_to: None,
        }
    }

    /// Checks what the API server would refuse late, or not at all.
    ///
    /// # Errors
    ///
    /// The first value that cannot be meant.
    pub fn check(&self) -> Result<(), InvalidOptions> {
        let refused = |message: String| Err(InvalidOptions(message));
        if !(1..=30).contains(&self.timeout_seconds) {
            return refused(format!("the webhook's timeout is from 1 to 30 seconds, not {}", self.timeout_seconds));
        }
        if self.replicas == 0 {
            return refused("without a replica nothing is instrumented: use uninstall".to_owned());
        }
        let urls = [("the ingest URL", &self.ingest_url), ("the URL that traces go to", &self.trace_to)];
        for (what, url) in urls.into_iter().filter_map(|(what, url)| Some((what, url.as_ref()?))) {
            let host = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
            if !host.is_some_and(|(_, host)| !host.is_empty() && !host.starts_with('/')) {
                return refused(format!("{what} must begin with http:// or https:// and name a host: {url}"));
            }
        }
        if let Some(url) = self.trace_to.as_ref().filter(|url| super::operator::port_of(url).is_none()) {
            return refused(format!("the URL that traces go to has no port that there is: {url}"));
        }
        if let ApiKey::Value(key) = &self.api_key
            && (key.is_empty() || key.chars().any(|c| c.is_control() || c.is_whitespace()))
        {
            // It goes into a header. It is not repeated here: messages end in logs.
            return refused("the API key is empty, or holds a blank or a control character".to_owned());
        }
        if let Some(name) = self.exclude_namespaces.iter().find(|name| !is_label(name)) {
            return refused(format!("no namespace can be called {name:?}"));
        }
        let insecure = || self.insecure_registries.iter().find(|host| !registry::is_registry(host));
        if let Some(host) = self.image_registries.iter().find(|host| !registry::is_registries(host)).or_else(insecure) {
            return refused(format!(
                "no registry can be called {host:?}: a host is meant, with its port, such as registry.example.com:5000"
            ));
        }
        Ok(())
    }

    /// The Secret that Pods get the key from.
    #[must_use]
    pub fn key_reference(&self) -> SecretReference {
        match &self.api_key {
            ApiKey::Secret(reference) => reference.clone(),
            ApiKey::None | ApiKey::Value(_) => SecretReference::default(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether this is a name of [RFC 1123](https://www.rfc-editor.org/rfc/rfc1123), as those of namespaces are.
pub(crate) fn is_label(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with('-') && !name.ends_with('-')
}

/// Options that cannot be meant.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOptions(String);

/// The key that telemetry is sent with.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ApiKey {
    /// None is given: Pods look for the Secret `obtrace-api-key` of their namespace.
    #[default]
    None,
    /// The key itself: a Secret is made of it.
    Value(String),
    /// A Secret in the operator's namespace that is there already.
    Secret(SecretReference),
}

/// Without the key.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Value(_) => f.write_str("Value(…)"),
            Self::Secret(reference) => f.debug_tuple("Secret").field(reference).finish(),
        }
    }
}

/// What becomes of Pods while no operator answers.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// They are made without instrumentation.
    #[default]
    Ignore,
    /// They are refused.
    Fail,
}

impl FailurePolicy {
    /// The API's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "Ignore",
            Self::Fail => "Fail",
        }
    }
}

/// Where the webhook's certificate comes from.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Certificates {
    /// The operator makes and rotates it.
    #[default]
    Operator,
    /// [cert-manager](https://cert-manager.io) does.
    CertManager,
}
