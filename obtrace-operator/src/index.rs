//! Which resource is for which Pods: the answer to every question of an admission from memory.
//!
//! [`World`] is what is known of the cluster; [`Index`] is made from it and answers. Neither knows where the knowledge comes
//! from: a cluster's watches, or the documents of a file.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{
    api::core::v1::ResourceRequirements,
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
    },
};
use obtrace_detect::ImageConfig;
use obtrace_patch::{Placement, PodSecurity, Resources, SecretKey, Settings, StrategyChoice, Version};

use crate::{
    crd::{ObtraceInstrumentation, Override, PlacementSetting, StrategySetting},
    selector,
};

/// The namespace of the operator; resources in it are for the whole cluster.
pub const SYSTEM_NAMESPACE: &str = "obtrace-system";

/// Where telemetry goes if no resource says it: the ingest service in the cluster.
pub const DEFAULT_INGEST_URL: &str = "http://ingest-edge.obtrace-infra.svc";

/// The annotation or label by which a namespace or a Pod asks to be left alone.
const EXCLUDE: &str = "obtrace.io/exclude";

/// The label that every namespace has with its own name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// What is known of a cluster.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct World {
    /// Every resource there is, in its namespace.
    pub resources: Vec<ObtraceInstrumentation>,
    /// The namespaces by their names.
    pub namespaces: BTreeMap<String, Namespace>,
    /// The keys of ConfigMaps, by namespace and name. The webhook knows none.
    pub config_maps: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// The namespaces in which a ResourceQuota or a LimitRange bounds what Pods may ask for.
    pub bounded: BTreeSet<String>,
    /// Whether there are more namespaces, ResourceQuotas or LimitRanges than are kept: then every namespace counts as [bounded](Self::bounded).
    pub incomplete: bool,
    /// What images say of themselves, by their references as Pods have them, as far as somebody has looked.
    pub images: Arc<Images>,
    /// The cluster's version.
    pub version: Option<Version>,
    /// Resources that are there and cannot be used.
    pub unusable: Vec<Unusable>,
    /// Whether this is all that there is, or only what is known so far.
    pub synced: bool,
}

/// Image configurations by image references.
pub type Images = BTreeMap<String, ImageConfig<'static>>;

impl World {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// A resource that is there and cannot be used: it is of another version, or was made by hand before there were rules.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Unusable {
    /// Its name, namespace, generation.
    pub metadata: ObjectMeta,
    /// What is wrong with it.
    pub error: String,
}

impl Unusable {
    /// A resource with what is wrong with it.
    #[must_use]
    pub fn new(metadata: ObjectMeta, error: impl Into<String>) -> Self {
        Self { metadata, error: error.into() }
    }
}

/// What is known of a namespace.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Namespace {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Namespace {
    /// A namespace with its labels and annotations.
    #[must_use]
    pub fn new(labels: BTreeMap<String, String>, annotations: BTreeMap<String, String>) -> Self {
        Self { labels, annotations }
    }

    fn is_excluded(&self) -> bool {
        [&self.labels, &self.annotations].iter().any(|all| all.get(EXCLUDE).is_some_and(|value| value == "true"))
    }
}

/// Which settings are for a Pod.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made for a request, and gone with it")]
#[non_exhaustive]
pub enum Resolution<'a> {
    /// These, of this resource (`namespace/name`).
    Settings(Cow<'a, Settings>, Cow<'a, str>),
    /// None: this resource (`namespace/name`) leaves such Pods alone.
    Excluded(Cow<'a, str>),
    /// None: no resource is for such Pods.
    NoResource,
}

impl Resolution<'_> {
    fn into_owned(self) -> Resolution<'static> {
        match self {
            Self::Settings(settings, resource) => {
                Resolution::Settings(Cow::Owned(settings.into_owned()), Cow::Owned(resource.into_owned()))
            }
            Self::Excluded(resource) => Resolution::Excluded(Cow::Owned(resource.into_owned())),
            Self::NoResource => Resolution::NoResource,
        }
    }
}

/// Answers which settings are for a Pod.
#[derive(Debug, Default)]
pub struct Index {
    /// The candidates of each namespace that is known, the nearest first.
    namespaces: BTreeMap<String, Vec<Candidate>>,
    /// For namespaces that are younger than what is known of them.
    world: World,
}

impl Index {
    /// An index of this world.
    #[must_use]
    pub fn new(world: World) -> Self {
        let named = world.resources.iter().filter_map(|resource| resource.metadata.namespace.as_ref());
        let names: BTreeSet<&String> = world.namespaces.keys().chain(named).collect();
        let namespaces = names.into_iter().map(|name| (name.clone(), candidates(&world, name))).collect();
        Self { namespaces, world }
    }

    /// Every resource, each usable one.
    #[must_use]
    pub fn resources(&self) -> &[ObtraceInstrumentation] {
        &self.world.resources
    }

    /// The namespaces that are known, by their names.
    #[must_use]
    pub fn namespaces(&self) -> &BTreeMap<String, Namespace> {
        &self.world.namespaces
    }

    /// What is known of images.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.world.images
    }

    /// The resources that cannot be used.
    #[must_use]
    pub fn unusable(&self) -> &[Unusable] {
        &self.world.unusable
    }

    /// Whether it was made of all that there is, or only of what was known so far.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.world.synced
    }

    /// Another resource that is for a Pod as much as the one that counts: it is as near, has a selector as that one, and comes after it
    /// by its name only.
    pub fn rival<'l>(&self, namespace: &str, label: impl Fn(&str) -> Option<&'l str>) -> Option<Cow<'_, str>> {
        let of = |known: &[Candidate]| {
            let mut matching =
                known.iter().filter(|it| it.selector.as_ref().is_none_or(|it| selector::matches(it, &label)));
            let first = matching.next()?;
            matching.next().filter(|second| second.rank == first.rank).map(|second| second.resource.clone())
        };
        match self.namespaces.get(namespace) {
            Some(known) => of(known).map(Cow::Owned),
            None => of(&candidates(&self.world, namespace)).map(Cow::Owned),
        }
    }

    /// The pairs of resources that are for the same Pods whatever Pods there are, the one that counts first: as near as each other in some
    /// namespace, without a selector of Pods.
    pub fn ties(&self) -> BTreeSet<(&str, &str)> {
        let pairs = self.namespaces.values().flat_map(|known| {
            let open = known.iter().filter(|it| it.selector.is_none());
            open.clone().zip(open.skip(1)).filter(|(first, second)| first.rank == second.rank)
        });
        pairs.map(|(first, second)| (first.resource.as_str(), second.resource.as_str())).collect()
    }

    /// For the Pods of which namespaces the answers may differ from those of an older index.
    #[must_use]
    pub fn changed_since(&self, older: &Self) -> Changed {
        let (new, old) = (&self.world, &older.world);
        if new.version != old.version || new.images != old.images || new.incomplete != old.incomplete {
            return Changed::All;
        }
        let (new_resources, old_resources) = (by_name(new), by_name(old));
        let differs = |name: &&ByName<'_>| new_resources.get(*name) != old_resources.get(*name);
        let either = new_resources.keys().chain(old_resources.keys());
        let mut names: BTreeSet<_> =
            either.filter(differs).map(|(namespace, _)| namespace.unwrap_or_default().to_owned()).collect();
        if names.contains(SYSTEM_NAMESPACE) {
            return Changed::All;
        }
        let differs = |name: &&String| new.namespaces.get(*name) != old.namespaces.get(*name);
        names.extend(new.namespaces.keys().chain(old.namespaces.keys()).filter(differs).cloned());
        names.extend(new.bounded.symmetric_difference(&old.bounded).cloned());
        if names.is_empty() { Changed::Nothing } else { Changed::Namespaces(names) }
    }

    /// The settings for a Pod of a namespace, by its labels.
    pub fn resolve<'l>(&self, namespace: &str, label: impl Fn(&str) -> Option<&'l str>) -> Resolution<'_> {
        match self.namespaces.get(namespace) {
            Some(known) => nearest(known, label),
            None => nearest(&candidates(&self.world, namespace), label).into_owned(),
        }
    }
}

/// The namespace and the name of a resource.
type ByName<'a> = (Option<&'a str>, Option<&'a str>);

fn by_name(world: &World) -> BTreeMap<ByName<'_>, &ObtraceInstrumentation> {
    world.resources.iter().map(|it| ((it.metadata.namespace.as_deref(), it.metadata.name.as_deref()), it)).collect()
}

/// What differs between two indexes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Changed {
    /// No answer.
    Nothing,
    /// Answers about Pods of these namespaces.
    Namespaces(BTreeSet<String>),
    /// Any answer.
    All,
}

/// How near a resource is to the Pods of a namespace; the least is the nearest.
type Rank = (Reverse<bool>, Reverse<bool>);

/// A resource as it is for a namespace.
#[derive(Debug)]
struct Candidate {
    rank: Rank,
    /// `namespace/name`.
    resource: String,
    selector: Option<LabelSelector>,
    exclude: Option<LabelSelector>,
    overrides: Vec<Override>,
    settings: Settings,
}

fn nearest<'l>(candidates: &[Candidate], label: impl Fn(&str) -> Option<&'l str>) -> Resolution<'_> {
    let is_for = |candidate: &&Candidate| candidate.selector.as_ref().is_none_or(|it| selector::matches(it, &label));
    let Some(candidate) = candidates.iter().find(is_for) else { return Resolution::NoResource };
    let resource = Cow::Borrowed(candidate.resource.as_str());
    if candidate.exclude.as_ref().is_some_and(|it| selector::matches(it, &label)) {
        return Resolution::Excluded(resource);
    }
    let mut settings = Cow::Borrowed(&candidate.settings);
    let matching = |it: &&Override| it.selector.as_ref().is_none_or(|it| selector::matches(it, &label));
    // The first that sets something counts: the others come before it and are overwritten.
    for change in candidate.overrides.iter().filter(matching).rev() {
        change.apply(settings.to_mut());
    }
    Resolution::Settings(settings, resource)
}

impl Override {
    fn apply(&self, settings: &mut Settings) {
        settings.language = self.language.or(settings.language);
        settings.framework = self.framework.or(settings.framework);
        settings.strategy = self.strategy.map_or(settings.strategy, StrategyChoice::from);
        settings.image_env.extend(self.image_env.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

/// The resources that are for a namespace, the nearest first: its own before those of the whole cluster, those with a selector
/// before those without, then by name.
fn candidates(world: &World, namespace: &str) -> Vec<Candidate> {
    let about = world.namespaces.get(namespace);
    let is_for = |resource: &&ObtraceInstrumentation| match resource.metadata.namespace.as_deref() {
        Some(own) if own == namespace => true,
        Some(SYSTEM_NAMESPACE) => resource.spec.namespace_selector.as_ref().is_none_or(|it| {
            selector::matches(it, |label| match about.and_then(|about| about.labels.get(label)) {
                Some(value) => Some(value.as_str()),
                None => (label == NAMESPACE_NAME).then_some(namespace),
            })
        }),
        _ => false,
    };
    let rank = |resource: &ObtraceInstrumentation| {
        let is_own = resource.metadata.namespace.as_deref() == Some(namespace) && namespace != SYSTEM_NAMESPACE;
        let selects = resource.spec.selector.is_some() || (!is_own && resource.spec.namespace_selector.is_some());
        (Reverse(is_own), Reverse(selects))
    };
    let mut all: Vec<_> = world.resources.iter().filter(is_for).collect();
    all.sort_by_cached_key(|resource| (rank(resource), resource.metadata.name.clone()));
    let of_cluster =
        |resource: &&&ObtraceInstrumentation| resource.metadata.namespace.as_deref() == Some(SYSTEM_NAMESPACE);
    let inherited = all.iter().filter(of_cluster).find_map(|resource| resource.spec.ingest_url.clone());
    let inherited = inherited.unwrap_or_else(|| DEFAULT_INGEST_URL.to_owned());
    all.into_iter().map(|resource| Candidate::new(world, resource, namespace, &inherited, rank(resource))).collect()
}

impl Candidate {
    fn new(world: &World, resource: &ObtraceInstrumentation, namespace: &str, ingest_url: &str, rank: Rank) -> Self {
        let name = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            rank,
            resource: format!("{}/{}", name(&resource.metadata.namespace), name(&resource.metadata.name)),
            selector: resource.spec.selector.clone(),
            exclude: resource.spec.exclude.selector.clone(),
            overrides: resource.spec.overrides.clone(),
            settings: settings(world, resource, namespace, ingest_url),
        }
    }
}

/// The settings that a resource makes; telemetry goes to `ingest_url` where it names nothing else.
fn settings(world: &World, resource: &ObtraceInstrumentation, namespace: &str, ingest_url: &str) -> Settings {
    let spec = &resource.spec;
    let about = world.namespaces.get(namespace);
    let mut settings = Settings::new(spec.ingest_url.as_deref().unwrap_or(ingest_url));
    settings.api_key = Some(SecretKey::new(spec.api_key_secret_ref.name.clone(), spec.api_key_secret_ref.key.clone()));
    settings.strategy = spec.strategy.into();
    settings.placement = spec.placement.into();
    settings.containers.clone_from(&spec.containers);
    settings.excluded_containers.clone_from(&spec.exclude.containers);
    settings.environment.clone_from(&spec.environment);
    settings.namespace = Some(namespace.to_owned());
    settings.namespace_excluded = about.is_some_and(Namespace::is_excluded);
    settings.excluded_namespaces.clone_from(&spec.exclude.namespaces);
    let level = about.and_then(|about| about.labels.get(PodSecurity::LABEL));
    settings.pod_security = PodSecurity::from_label(level.map(String::as_str));
    settings.bounded = world.incomplete || world.bounded.contains(namespace);
    settings.cluster_version = world.version;
    settings.sample_ratio = spec.sampling_ratio.unwrap_or(1.0);
    settings.coexist = spec.coexist;
    if let Some(image) = &spec.images.agent {
        settings.agent_image.clone_from(image);
        settings.agent_image_named = true;
    }
    if let Some(image) = &spec.images.ebpf {
        settings.ebpf_image.clone_from(image);
        settings.ebpf_image_named = true;
    }
    settings.init_resources = spec.resources.init.as_ref().map(resources);
    settings.sidecar_resources = spec.resources.sidecar.as_ref().map(resources);
    settings.image_configs = Arc::clone(&world.images);
    settings.config_maps = world.config_maps.get(namespace).cloned().unwrap_or_default();
    settings
}

fn resources(requirements: &ResourceRequirements) -> Resources {
    let list = |list: &Option<BTreeMap<String, Quantity>>| {
        list.iter().flatten().map(|(name, quantity)| (name.clone(), quantity.0.clone())).collect()
    };
    let mut resources = Resources::new();
    resources.requests = list(&requirements.requests);
    resources.limits = list(&requirements.limits);
    resources
}

impl From<StrategySetting> for StrategyChoice {
    fn from(setting: StrategySetting) -> Self {
        match setting {
            StrategySetting::Auto => Self::Auto,
            StrategySetting::Sdk => Self::Sdk,
            StrategySetting::Ebpf => Self::Ebpf,
            StrategySetting::Hybrid => Self::Hybrid,
        }
    }
}

impl From<PlacementSetting> for Placement {
    fn from(setting: PlacementSetting) -> Self {
        match setting {
            PlacementSetting::Auto => Self::Auto,
            PlacementSetting::Sidecar => Self::Sidecar,
            PlacementSetting::Node => Self::Node,
        }
    }
}
