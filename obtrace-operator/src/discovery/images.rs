//! Which images of a template more should be known of.

use std::{borrow::Cow, sync::Arc};

use obtrace_detect::{Confidence, Source};
use obtrace_patch::{ContainerPlan, Outcome, Plan, Reason};
use serde::Deserialize;

use crate::registry::Wanted;

/// What is read of a template once more: it is rare that something is asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Template<'a> {
    #[serde(borrow)]
    spec: Spec<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec<'a> {
    #[serde(borrow)]
    containers: Option<Vec<Named<'a>>>,
    #[serde(borrow)]
    init_containers: Option<Vec<Named<'a>>>,
    #[serde(borrow)]
    image_pull_secrets: Option<Vec<Named<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    image: Option<Cow<'a, str>>,
}

/// Asks for the images of those containers whose language nothing tells for sure, of those whose image may set a variable that would have
/// to be merged, and of those that an image has told already, so that it stays known. Why the first of them cannot be looked up, if that was tried.
pub(super) fn want(wanted: &Wanted, plan: &Plan<'_>, namespace: &str, template: &str) -> Option<Arc<str>> {
    if !plan.containers.iter().any(is_wanted) {
        return None;
    }
    let spec = serde_json::from_str::<Template<'_>>(template).ok()?.spec;
    let names: Vec<_> = spec.image_pull_secrets.iter().flatten().map(|secret| &*secret.name).collect();
    let containers = || spec.containers.iter().chain(&spec.init_containers).flatten();
    let image = |name: &str| containers().find(|it| it.name == name).and_then(|it| it.image.as_deref());
    let images = plan.containers.iter().filter(|it| is_wanted(it)).filter_map(|container| image(container.name));
    let faults: Vec<_> = images.map(|image| wanted.want(image, namespace, names.iter().copied())).collect();
    faults.into_iter().flatten().next()
}

fn is_wanted(container: &ContainerPlan<'_>) -> bool {
    let detection = &container.detection;
    let chosen = !matches!(container.outcome, Outcome::Left(Reason::NotSelected | Reason::Infrastructure));
    let by_image = || detection.evidence.iter().any(|reason| reason.source == Source::ImageConfig);
    let hides = || matches!(container.outcome, Outcome::Left(Reason::ImageEnv { .. }));
    chosen && (detection.confidence < Confidence::SOLID || by_image() || hides())
}
