//! Annotations and labels.

use std::{borrow::Cow, fmt::Write as _};

use obtrace_detect::Strategy;

use super::{ListNote, Original, Step, Writer, is_ours};
use crate::{
    configuration::{Configuration, Text},
    hooks,
    json::push_string,
    marks,
    plan::{Ebpf, Outcome, Plan},
};

/// Annotations to set.
type Wanted<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// Marks the Pod, if anything was done to it or it is not marked yet.
pub(super) fn write<'a>(plan: &Plan<'a>, mut original: Original<'a>, writer: &mut Writer) {
    let pod = plan.pod;
    let configuration = plan.configuration().map(Configuration::text);
    let configuration = configuration.as_ref().map(Text::as_str);
    let mut annotations: Wanted<'_> = Vec::with_capacity(8);
    let instrumented = plan.strategy.is_some();
    // What is complete has nothing to be marked for again, even if somebody has taken a mark away. A configuration that it was not made
    // by was copied into it.
    let marked = pod.label(marks::INSTRUMENTED) == Some("true")
        && pod.annotation(marks::STRATEGY).as_deref() == plan.strategy.map(Strategy::as_str)
        && pod.annotation(marks::CONFIGURATION).is_none_or(|it| Some(&*it) == configuration);
    if instrumented && writer.is_empty() && marked {
        return;
    }
    if instrumented {
        instrumented_marks(plan, &mut annotations);
        annotations.extend(configuration.map(|text| (marks::CONFIGURATION, Cow::Borrowed(text))));
        if plan.containers.iter().any(|container| container.outcome.is_hooked()) {
            evict(plan, &mut original, &mut annotations);
        }
    }
    let reasons = reasons(plan);
    if !reasons.is_empty() {
        annotations.push((marks::SKIPPED_REASON, Cow::Owned(reasons)));
    }
    let fresh = !pod.spec.all().any(|container| is_ours(container, plan.settings));
    if instrumented && fresh {
        note_marks(plan, &annotations, &mut original);
    }
    annotations.retain(|(key, value)| pod.annotation(key).is_none_or(|there| there != *value));
    let labels: &[(&str, &str)] = if instrumented && pod.label(marks::INSTRUMENTED) != Some("true") {
        &[(marks::INSTRUMENTED, "true")]
    } else {
        &[]
    };
    // Notes of an earlier run are about the Pod as it was at first: they stay.
    if instrumented && !original.is_empty() && pod.annotation(marks::ORIGINAL).is_none() {
        annotations.push((marks::ORIGINAL, Cow::Owned(original.to_json())));
    }
    put(plan, &annotations, labels, writer);
}

/// Notes the marks that a Pod has without having been instrumented: somebody has copied them.
fn note_marks<'a>(plan: &Plan<'a>, wanted: &Wanted<'_>, original: &mut Original<'a>) {
    let pod = plan.pod;
    for (key, _) in wanted.iter().filter(|(key, _)| *key != marks::SAFE_TO_EVICT) {
        original.annotations.extend(pod.annotation(key).map(|old| (Cow::Borrowed(*key), old)));
    }
    let label = pod.label(marks::INSTRUMENTED);
    original.labels.extend(label.map(|old| (Cow::Borrowed(marks::INSTRUMENTED), Cow::Borrowed(old))));
}

fn instrumented_marks(plan: &Plan<'_>, annotations: &mut Wanted<'_>) {
    annotations.push((marks::INJECTED, Cow::Borrowed("true")));
    if let Some(language) = plan.language() {
        annotations.push((marks::DETECTED_LANGUAGE, Cow::Borrowed(language.as_str())));
    }
    if let Some(strategy) = plan.strategy {
        annotations.push((marks::STRATEGY, Cow::Borrowed(strategy.as_str())));
    }
    if let Some(framework) = plan.framework() {
        annotations.push((marks::DETECTED_FRAMEWORK, Cow::Borrowed(framework.as_str())));
    }
    let mut instrumented = plan.containers.iter().filter(|container| container.outcome.is_instrumented());
    if instrumented.clone().count() > 1 {
        let mut json = vec![b'{'];
        for (index, container) in instrumented.by_ref().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            push_string(&mut json, container.name);
            json.push(b':');
            push_string(&mut json, container.detection.language.as_str());
        }
        json.push(b'}');
        annotations.push((marks::CONTAINERS, Cow::Owned(String::from_utf8(json).unwrap_or_default())));
    }
}

/// The volume must not keep the cluster autoscaler from moving the Pod.
fn evict<'w, 'a: 'w>(plan: &Plan<'a>, original: &mut Original<'a>, annotations: &mut Wanted<'w>) {
    let value = match plan.pod.annotation(marks::SAFE_TO_EVICT) {
        None => Cow::Borrowed(hooks::VOLUME),
        Some(list) if list.split(',').any(|name| name.trim() == hooks::VOLUME) => {
            original.safe_to_evict = Some(ListNote::Kept);
            list
        }
        Some(list) if list.is_empty() => {
            original.safe_to_evict = Some(ListNote::Empty);
            Cow::Borrowed(hooks::VOLUME)
        }
        Some(list) => Cow::Owned(format!("{list},{}", hooks::VOLUME)),
    };
    annotations.push((marks::SAFE_TO_EVICT, value));
}

/// Which containers a rule has kept from being instrumented, and why there is no sidecar.
fn reasons(plan: &Plan<'_>) -> String {
    let mut text = String::new();
    for container in &plan.containers {
        if let Outcome::Left(reason) = &container.outcome
            && reason.is_rule()
        {
            let semicolon = if text.is_empty() { "" } else { "; " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{semicolon}{}: {reason}", container.name);
        }
    }
    if let Ebpf::Node { no_sidecar: Some(why) } | Ebpf::Refused { why } = plan.ebpf {
        let semicolon = if text.is_empty() { "" } else { "; " };
        let _ = write!(text, "{semicolon}no sidecar: {why}");
    }
    text
}

fn put(plan: &Plan<'_>, annotations: &Wanted<'_>, labels: &[(&str, &str)], writer: &mut Writer) {
    let metadata = &plan.pod.metadata;
    if annotations.is_empty() && labels.is_empty() {
        return;
    }
    if !metadata.present {
        writer.add(&[Step::Name("metadata")], |out| {
            out.extend_from_slice(b"{\"annotations\":");
            object(out, annotations);
            if !labels.is_empty() {
                out.extend_from_slice(b",\"labels\":");
                object(out, labels);
            }
            out.push(b'}');
        });
        return;
    }
    members(writer, "annotations", metadata.annotations.is_some(), annotations);
    members(writer, "labels", metadata.has_labels, labels);
}

fn members<K: AsRef<str>, V: AsRef<str>>(writer: &mut Writer, name: &str, there: bool, values: &[(K, V)]) {
    let metadata = Step::Name("metadata");
    if values.is_empty() {
        return;
    }
    if !there {
        writer.add(&[metadata, Step::Name(name)], |out| object(out, values));
        return;
    }
    for (key, value) in values {
        let path = [metadata, Step::Name(name), Step::Key(key.as_ref())];
        writer.add(&path, |out| push_string(out, value.as_ref()));
    }
}

fn object<K: AsRef<str>, V: AsRef<str>>(out: &mut Vec<u8>, values: &[(K, V)]) {
    out.push(b'{');
    for (index, (key, value)) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, key.as_ref());
        out.push(b':');
        push_string(out, value.as_ref());
    }
    out.push(b'}');
}
