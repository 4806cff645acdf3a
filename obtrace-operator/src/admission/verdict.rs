//! What was decided about a Pod.

use obtrace_detect::Language;
use obtrace_patch::{ContainerPlan, Outcome as Done, Patch, Plan, Pod, PodSkip, Reason};

/// The most containers that a verdict lists on each side.
const MAX_CONTAINERS: usize = 32;

/// The longest text in a verdict, in bytes: whatever a request says, verdicts that wait for their Event stay small.
const MAX_TEXT: usize = 512;

/// What an admission came to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The Pod is instrumented by the patch.
    Injected,
    /// It was instrumented before.
    AlreadyInjected,
    /// The Pod, its namespace or the resource wants it to be left alone, or it is of a kind that is never touched.
    Excluded,
    /// No resource is for it.
    NoResource,
    /// A resource is for it, and none of its containers can or needs to be instrumented.
    NothingToDo,
    /// Something else than the creation of a Pod.
    NotAPod,
    /// The review or the Pod in it is not what Kubernetes writes.
    Unreadable,
}

impl Outcome {
    /// Its name, for a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::AlreadyInjected => "already_injected",
            Self::Excluded => "excluded",
            Self::NoResource => "no_resource",
            Self::NothingToDo => "nothing_to_do",
            Self::NotAPod => "not_a_pod",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What was decided about a Pod: for metrics, and for Events on its owner.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// What it came to.
    pub outcome: Outcome,
    /// Why the Pod or something of it was left alone, in one word of a small fixed set: the rule that kept a container from harm, else what
    /// is said of the whole Pod, else of its first container.
    pub reason: Option<&'static str>,
    /// Nothing may come of the request but its answer.
    pub dry_run: bool,
    /// The Pod's namespace.
    pub namespace: String,
    /// What made the Pod.
    pub owner: Option<Owner>,
    /// The Pod's name, or its `generateName`.
    pub pod: String,
    /// The resource whose settings count, as `namespace/name`.
    pub resource: Option<String>,
    /// The containers that are instrumented, with what they run: the first 32.
    pub languages: Vec<(String, Language)>,
    /// The containers that are left alone, with the reason in words: the first 32.
    pub skipped: Vec<(String, String)>,
}

/// The object that made a Pod.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Owner {
    /// Group and version: `apps/v1`.
    pub api_version: String,
    /// `ReplicaSet`, `Job`, …
    pub kind: String,
    /// Its name, in the Pod's namespace.
    pub name: String,
    /// Its id.
    pub uid: String,
}

impl Owner {
    /// An object by group and version, kind, name and id.
    #[must_use]
    pub fn new(
        api_version: impl Into<String>,
        kind: impl Into<String>,
        name: impl Into<String>,
        uid: impl Into<String>,
    ) -> Self {
        Self { api_version: api_version.into(), kind: kind.into(), name: name.into(), uid: uid.into() }
    }
}

impl Verdict {
    /// A verdict about nothing that is known.
    #[must_use]
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            reason: None,
            dry_run: false,
            namespace: String::new(),
            owner: None,
            pod: String::new(),
            resource: None,
            languages: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Notes which Pod it is about.
    pub(super) fn is_about(&mut self, namespace: &str, pod: &Pod<'_>) {
        self.namespace = clipped(namespace);
        self.pod = clipped(pod.name().or(pod.generate_name()).unwrap_or_default());
        self.owner = pod.owner().map(|owner| Owner {
            api_version: clipped(&owner.api_version),
            kind: clipped(&owner.kind),
            name: clipped(&owner.name),
            uid: clipped(&owner.uid),
        });
    }

    /// Notes what a plan says, and what its patch does.
    pub(super) fn say(&mut self, plan: &Plan<'_>, patch: &Patch) {
        if let Some(skip) = plan.skip {
            self.outcome = if skip == PodSkip::Injected { Outcome::AlreadyInjected } else { Outcome::Excluded };
            self.reason = Some(skip.as_str());
            return;
        }
        let left = || {
            plan.containers.iter().filter_map(|container| match &container.outcome {
                Done::Left(reason) => Some((container.name, reason)),
                _ => None,
            })
        };
        let told = left().find(|(_, reason)| reason.is_rule()).or_else(|| left().next());
        self.reason = told.map(|(_, reason)| reason.as_str());
        let text = |(name, reason): (&str, &Reason<'_>)| (clipped(name), clipped(&reason.to_string()));
        self.skipped = left().take(MAX_CONTAINERS).map(text).collect();
        let instrumented = plan.containers.iter().filter(|container| container.outcome.is_instrumented());
        let language = |it: &ContainerPlan<'_>| (clipped(it.name), it.detection.language);
        self.languages = instrumented.take(MAX_CONTAINERS).map(language).collect();
        self.outcome = match (self.languages.is_empty(), patch.is_empty()) {
            (true, _) => Outcome::NothingToDo,
            (false, true) => Outcome::AlreadyInjected,
            (false, false) => Outcome::Injected,
        };
    }
}

/// A text's beginning, at the end of a character.
fn clipped(text: &str) -> String {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().to_owned()
}
