//! What is done to which container.

use std::borrow::Cow;

use obtrace_detect::{Confidence, Detection, Evidence, Language, Runtime, Strategy, detect};

use super::{ContainerPlan, Ebpf, Outcome, Place, Plan, Reason, ebpf, env, php, vendor};
use crate::{
    hooks, marks,
    pod::{Container, Pod, quantity_bytes},
    resources::{self, Held},
    settings::{Placement, Settings, StrategyChoice},
};

/// What a container is to get.
#[derive(Clone, Copy)]
struct Want {
    hook: bool,
    ebpf: bool,
}

/// Decides for every container, and for the Pod.
pub(super) fn containers(plan: &mut Plan<'_>) {
    detect_all(plan);
    for index in 0..plan.containers.len() {
        apply_hint(plan, index);
    }
    let wants = decide(plan);
    let needs_ebpf =
        plan.containers.iter().zip(&wants).any(|(container, want)| want.ebpf && container.outcome.is_instrumented());
    if needs_ebpf {
        match ebpf::place(plan.pod, plan.settings) {
            Ok(place) => plan.ebpf = place,
            Err(why) => {
                // A hook does without; only what it leaves to the agent is missing.
                if plan.containers.iter().zip(&wants).any(|(it, want)| want.ebpf && it.outcome.is_hooked()) {
                    plan.ebpf = Ebpf::Refused { why };
                }
                for (container, want) in plan.containers.iter_mut().zip(&wants) {
                    if want.ebpf && !want.hook && container.outcome.is_instrumented() {
                        container.outcome = Outcome::Left(Reason::NoSidecar(why));
                    }
                }
            }
        }
    }
    conclude(plan);
}

/// The Pod's strategy, and what that makes of the hooked containers: an agent in the Pod sees all of them.
fn conclude(plan: &mut Plan<'_>) {
    let hooked = plan.containers.iter().any(|container| container.outcome.is_hooked());
    plan.strategy = match (hooked, plan.ebpf.runs()) {
        (true, false) => Some(Strategy::Sdk),
        (true, true) => Some(Strategy::Hybrid),
        (false, false) => None,
        (false, true) => Some(Strategy::Ebpf),
    };
    let outcome = if plan.ebpf.runs() { Outcome::Hybrid } else { Outcome::Sdk };
    for container in plan.containers.iter_mut().filter(|container| container.outcome.is_hooked()) {
        container.outcome = outcome.clone();
    }
}

/// Lists the containers with what they run.
fn detect_all(plan: &mut Plan<'_>) {
    let (pod, settings) = (plan.pod, plan.settings);
    let native = pod.spec.init_containers().iter().enumerate().filter(|(_, container)| container.restarts);
    let native = native.map(|(index, container)| (Place { init: true, index }, container));
    let usual = pod.spec.containers.iter().enumerate();
    let usual = usual.map(|(index, container)| (Place { init: false, index }, container));
    plan.containers.reserve_exact(pod.spec.containers.len());
    for (place, container) in native.chain(usual) {
        if container.name == hooks::SIDECAR && ebpf::is_ours(container, settings) {
            continue;
        }
        let detection = detect_one(pod, container, settings, None);
        let is_in = |names: &[String]| names.iter().any(|name| *name == container.name);
        let chosen = settings.containers.is_empty() || is_in(&settings.containers);
        let outcome = if !chosen || is_in(&settings.excluded_containers) {
            Outcome::Left(Reason::NotSelected)
        } else if detection.infrastructure {
            Outcome::Left(Reason::Infrastructure)
        } else {
            Outcome::Sdk
        };
        plan.containers.push(ContainerPlan { name: &container.name, detection, outcome, place, edits: [None; 2] });
    }
}

fn detect_one<'a>(
    pod: &'a Pod<'a>,
    container: &'a Container<'a>,
    settings: &'a Settings,
    hint: Option<&'a str>,
) -> Detection<'a> {
    let mut evidence = Evidence::new();
    evidence.hint = hint;
    evidence.image = container.image.as_deref();
    evidence.command = &container.command;
    evidence.args = &container.args;
    evidence.env = &container.env;
    // Labels are the Pod's: of several containers they speak for none.
    if pod.spec.containers.len() == 1 {
        evidence.labels = &pod.metadata.labels;
    }
    evidence.image_config = container.image.as_deref().and_then(|image| settings.image_configs.get(image));
    detect(&evidence)
}

/// The hint of the Pod or of the settings speaks for the Pod's only container, and among several for those without a
/// solid verdict of their own.
fn apply_hint(plan: &mut Plan<'_>, index: usize) {
    let (pod, settings) = (plan.pod, plan.settings);
    let candidates = plan.containers.iter().filter(|container| container.outcome.is_instrumented()).count();
    let Some(container) = plan.containers.get_mut(index).filter(|container| container.outcome.is_instrumented()) else {
        return;
    };
    // A label that nobody understands is passed on for the verdict's reasons, unless somebody else has a say.
    let label = pod.label(marks::LANGUAGE);
    let understood = label.filter(|hint| Language::from_hint(hint).is_some() || hint.parse::<Runtime>().is_ok());
    let Some(hint) = understood.or(settings.language.map(Language::as_str)).or(label) else { return };
    let spec = &pod.spec;
    let list = if container.place.init { spec.init_containers() } else { &spec.containers };
    if let Some(found) = list.get(container.place.index)
        && (candidates == 1 || container.detection.confidence < Confidence::SOLID)
    {
        container.detection = detect_one(pod, found, settings, Some(hint));
    }
}

/// Decides container by container; in order, since the first that gets a hook lends the init container its resources.
fn decide(plan: &mut Plan<'_>) -> Vec<Want> {
    let (pod, settings) = (plan.pod, plan.settings);
    let conflict = pod_conflict(pod, settings);
    let mut wants = Vec::with_capacity(plan.containers.len());
    let mut lends = true;
    for container in &mut plan.containers {
        let list = if container.place.init { pod.spec.init_containers() } else { &pod.spec.containers };
        let mut want = Want { hook: false, ebpf: false };
        if let (true, Some(found)) = (container.outcome.is_instrumented(), list.get(container.place.index)) {
            match wanted(&container.detection, settings) {
                Ok(wanted) => {
                    want = wanted;
                    container.outcome = if want.hook { Outcome::Sdk } else { Outcome::Ebpf };
                }
                Err(reason) => container.outcome = Outcome::Left(reason),
            }
            if want.hook {
                let checked = match &conflict {
                    Some(reason) => Err(reason.clone()),
                    None => hook(pod, found, container.detection.runtime, lends, settings),
                };
                match checked {
                    Ok(edits) => (container.edits, lends) = (edits, false),
                    Err(reason) => container.outcome = Outcome::Left(reason),
                }
            }
        }
        wants.push(want);
    }
    wants
}

/// What the strategy makes of a verdict.
fn wanted<'a>(detection: &Detection<'_>, settings: &Settings) -> Result<Want, Reason<'a>> {
    let (language, runtime) = (detection.language, detection.runtime);
    let hookable = detection.strategy == Strategy::Sdk && !hooks::of(runtime).is_empty();
    let unknown = language == Language::Unknown;
    match settings.strategy {
        StrategyChoice::Sdk if unknown => Err(Reason::UnknownLanguage),
        StrategyChoice::Sdk if !hookable => Err(Reason::NoSdk { language, runtime }),
        StrategyChoice::Auto if unknown && settings.placement != Placement::Node => Err(Reason::UnknownLanguage),
        StrategyChoice::Sdk => Ok(Want { hook: true, ebpf: false }),
        StrategyChoice::Auto => Ok(Want { hook: hookable, ebpf: !hookable || hooks::leaves_calls(language) }),
        StrategyChoice::Ebpf => Ok(Want { hook: false, ebpf: true }),
        StrategyChoice::Hybrid => Ok(Want { hook: hookable, ebpf: true }),
    }
}

/// What in the Pod stands in the way of every hook.
fn pod_conflict<'a>(pod: &'a Pod<'a>, settings: &'a Settings) -> Option<Reason<'a>> {
    let spec = &pod.spec;
    let volume = spec.volumes.iter().flatten().find(|volume| volume.name == hooks::VOLUME);
    if volume.is_some_and(|volume| volume.empty_dir.is_none()) {
        return Some(Reason::VolumeTaken);
    }
    let mut named = spec.all().filter(|container| container.name == hooks::INIT_CONTAINER);
    if named.any(|container| !resources::is_our_init(container, settings)) {
        return Some(Reason::InitContainerTaken);
    }
    if settings.coexist { None } else { vendor::in_pod(pod) }
}

/// What in the container stands in the way of its hook; if nothing does, how the hook gets in. The first container that
/// gets one lends the init container its resources.
fn hook<'a>(
    pod: &Pod<'a>,
    container: &'a Container<'a>,
    runtime: Runtime,
    lends: bool,
    settings: &'a Settings,
) -> Result<env::HookEdits<'a>, Reason<'a>> {
    for mount in container.mounts() {
        let path = mount.path.trim_end_matches('/');
        let ours = path == hooks::MOUNT_PATH && mount.name == hooks::VOLUME && !mount.sub_path;
        let inside = path.strip_prefix(hooks::MOUNT_PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if inside && !ours {
            return Err(Reason::MountTaken { path: Cow::Borrowed(&mount.path) });
        }
    }
    if !settings.coexist
        && let Some(reason) = vendor::in_container(container)
    {
        return Err(reason);
    }
    if let Some(reason) = php::closed(container, runtime, settings) {
        return Err(reason);
    }
    if lends && init_memory(pod, container, settings).is_some_and(|limit| limit < hooks::INIT_MEMORY as f64) {
        return Err(Reason::InitMemory);
    }
    env::edits(container, runtime, settings)
}

/// The memory that the init container could take: the limit that it would have, and the Pod's as a whole.
fn init_memory(pod: &Pod<'_>, container: &Container<'_>, settings: &Settings) -> Option<f64> {
    let own = match settings.init_resources(pod) {
        Some(resources) => resources.limits.get("memory").and_then(|limit| quantity_bytes(limit.as_bytes())),
        None => limit_of_memory(resources::of(container)),
    };
    let whole = limit_of_memory(pod.spec.resources.and_then(resources::read));
    own.into_iter().chain(whole).reduce(f64::min)
}

fn limit_of_memory(held: Option<Held<'_>>) -> Option<f64> {
    quantity_bytes(held?.limit("memory")?)
}
