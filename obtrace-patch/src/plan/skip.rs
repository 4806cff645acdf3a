//! Pods that are left alone whole.

use super::PodSkip;
use crate::{
    marks,
    pod::{Container, Pod},
    settings::{EXCLUDED_NAMESPACES, Settings},
};

/// How many characters Kubernetes adds to generated names.
const GENERATED: usize = 5;

/// Whether a rule applies to a Pod.
type Rule = fn(&Pod<'_>) -> bool;

/// Why the Pod is left alone without a look at its containers.
pub(super) fn whole_pod(pod: &Pod<'_>, settings: &Settings) -> Option<PodSkip> {
    let rules: [(Rule, PodSkip); 7] = [
        (is_injected, PodSkip::Injected),
        (is_excluded, PodSkip::Excluded),
        (is_static, PodSkip::Static),
        (|pod| pod.spec.windows, PodSkip::Windows),
        (is_host_system, PodSkip::HostSystem),
        (is_debug, PodSkip::Debug),
        (is_own, PodSkip::Own),
    ];
    let found = rules.into_iter().find(|(applies, _)| applies(pod)).map(|(_, why)| why);
    found.or_else(|| namespace(pod, settings))
}

fn namespace(pod: &Pod<'_>, settings: &Settings) -> Option<PodSkip> {
    if settings.namespace_excluded {
        return Some(PodSkip::NamespaceExcluded);
    }
    let name = settings.namespace.as_deref().or(pod.namespace())?;
    let reserved =
        EXCLUDED_NAMESPACES.contains(&name) || settings.excluded_namespaces.iter().any(|other| other == name);
    reserved.then_some(PodSkip::NamespaceReserved)
}

fn is_injected(pod: &Pod<'_>) -> bool {
    pod.annotation(marks::INJECTED).is_some_and(|value| value == "true")
}

fn is_excluded(pod: &Pod<'_>) -> bool {
    pod.annotation(marks::EXCLUDE).is_some_and(|value| value == "true") || pod.label(marks::EXCLUDE) == Some("true")
}

fn is_static(pod: &Pod<'_>) -> bool {
    pod.annotation("kubernetes.io/config.mirror").is_some()
        || pod.annotation("kubernetes.io/config.source").is_some_and(|source| source != "api")
        || pod.metadata.owners.iter().any(|owner| owner.kind == "Node")
}

fn is_host_system(pod: &Pod<'_>) -> bool {
    pod.spec.host_network && pod.spec.priority_class.as_deref().is_some_and(|class| class.starts_with("system-"))
}

/// `oc debug` annotates its copies, `kubectl debug` labels the Pods it makes (since 1.28) and names their containers
/// and those it adds to copies `debugger-` and five characters.
fn is_debug(pod: &Pod<'_>) -> bool {
    let annotated = pod.metadata.annotations().any(|(key, _)| key.starts_with("debug.openshift.io/"));
    let named = |container: &Container<'_>| {
        container.name.strip_prefix("debugger-").is_some_and(|rest| rest.len() == GENERATED)
    };
    annotated
        || pod.label("app.kubernetes.io/managed-by") == Some("kubectl-debug")
        || pod.name().is_some_and(|name| name.starts_with("node-debugger-"))
        || pod.generate_name().is_some_and(|name| name.starts_with("node-debugger-"))
        || pod.spec.containers.iter().any(named)
}

/// The operator and the agent of the node. The images in instrumented Pods are no sign: they are looked at by name of
/// the container.
fn is_own(pod: &Pod<'_>) -> bool {
    pod.label("app.kubernetes.io/part-of") == Some("obtrace-zero")
}
