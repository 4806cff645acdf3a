//! The plan: what is done to a Pod, and why.

mod choose;
mod ebpf;
pub(crate) mod env;
pub(crate) mod identity;
mod php;
mod reason;
mod skip;
mod vendor;

use std::borrow::Cow;

use obtrace_detect::{Detection, Framework, Language, Strategy};

pub use self::{
    ebpf::Ebpf,
    reason::{NoSidecar, PodSkip, Reason},
};
pub(crate) use self::{
    ebpf::{is_image, is_ours as is_our_sidecar},
    env::{HookEdit, HookEdits},
};
use crate::{
    configuration::Configuration,
    marks,
    patch::Patch,
    pod::{Container, Pod},
    settings::Settings,
};

/// What is done to a Pod and to each of its containers, and why, or why not.
///
/// Made by [`plan`]; [`patch`](Self::patch) gives the operations.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan<'a> {
    /// Why the whole Pod is left alone; then there are no containers below.
    pub skip: Option<PodSkip>,
    /// Native sidecars and containers, in their order. Other init containers are never instrumented and not listed.
    pub containers: Vec<ContainerPlan<'a>>,
    /// What is done to the Pod as a whole; `None` if nothing is.
    pub strategy: Option<Strategy>,
    /// Where the agent runs that observes from the kernel.
    pub ebpf: Ebpf,
    /// The name of the service.
    pub service_name: Cow<'a, str>,
    /// The name of the environment.
    pub environment: Cow<'a, str>,
    pub(crate) pod: &'a Pod<'a>,
    pub(crate) settings: &'a Settings,
}

/// What is done to a container.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ContainerPlan<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it runs, with the reasons.
    pub detection: Detection<'a>,
    /// What is done.
    pub outcome: Outcome<'a>,
    pub(crate) place: Place,
    pub(crate) edits: HookEdits<'a>,
}

/// What is done to a container.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// Its runtime loads an SDK.
    Sdk,
    /// It is observed from the kernel.
    Ebpf,
    /// Both, each reporting what the other does not.
    Hybrid,
    /// Nothing.
    Left(Reason<'a>),
}

impl Outcome<'_> {
    /// Whether the container gets a hook.
    #[must_use]
    pub fn is_hooked(&self) -> bool {
        matches!(self, Self::Sdk | Self::Hybrid)
    }

    /// Whether anything is done.
    #[must_use]
    pub fn is_instrumented(&self) -> bool {
        !matches!(self, Self::Left(_))
    }
}

/// Which list a container is in, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) init: bool,
    pub(crate) index: usize,
}

impl Place {
    /// The list's name in the Pod's spec.
    pub(crate) fn list(self) -> &'static str {
        if self.init { "initContainers" } else { "containers" }
    }
}

/// Plans the instrumentation of a Pod: detects what each container runs, and decides what is done to it.
///
/// Nothing here fails: what must not be touched is left alone, with the reason.
///
/// ```
/// use obtrace_patch::{Pod, Settings, plan};
///
/// let json = br#"{"spec": {"containers": [{"name": "web", "env": [{"name": "OBTRACE_LANGUAGE", "value": "ruby"}]}]}}"#;
/// let pod = Pod::parse(json)?;
/// let settings = Settings::new("https://ingest.example.com");
/// let plan = plan(&pod, &settings);
/// assert!(plan.containers[0].outcome.is_hooked());
/// # Ok::<(), obtrace_patch::ParseError>(())
/// ```
#[must_use]
pub fn plan<'a>(pod: &'a Pod<'a>, settings: &'a Settings) -> Plan<'a> {
    let mut plan = Plan {
        skip: skip::whole_pod(pod, settings),
        containers: Vec::new(),
        strategy: None,
        ebpf: Ebpf::Unused,
        service_name: identity::service_name(pod),
        environment: identity::environment(pod, settings),
        pod,
        settings,
    };
    // Kubernetes refuses a Pod without containers, whatever init containers it has.
    if plan.skip.is_none() && !pod.spec.containers.is_empty() {
        choose::containers(&mut plan);
    }
    plan
}

impl<'a> Plan<'a> {
    /// The patch that does it: empty if nothing is to be done, or all of it is there.
    #[must_use]
    pub fn patch(&self) -> Patch {
        crate::patch::build(self)
    }

    /// By which configuration the Pod is instrumented; `None` if it is not.
    #[must_use]
    pub fn configuration(&self) -> Option<Configuration> {
        self.strategy.map(|_| Configuration::of(self))
    }

    /// The container that speaks for the Pod: the one that people mean when they name none, else the first that is
    /// instrumented.
    #[must_use]
    pub fn main(&self) -> Option<&ContainerPlan<'a>> {
        let instrumented = || self.containers.iter().filter(|container| container.outcome.is_instrumented());
        let default = self.pod.annotation(marks::DEFAULT_CONTAINER);
        let named = default.and_then(|name| instrumented().find(|container| container.name == name));
        named.or_else(|| instrumented().next())
    }

    /// The language of the main container.
    #[must_use]
    pub fn language(&self) -> Option<Language> {
        self.main().map(|main| main.detection.language)
    }

    /// The framework of the main container: the one that the settings name, else the one that was seen.
    #[must_use]
    pub fn framework(&self) -> Option<Framework> {
        self.main().and_then(|main| self.settings.framework.or(main.detection.framework))
    }

    pub(crate) fn container(&self, place: Place) -> Option<&'a Container<'a>> {
        let spec = &self.pod.spec;
        if place.init { spec.init_containers().get(place.index) } else { spec.containers.get(place.index) }
    }
}
