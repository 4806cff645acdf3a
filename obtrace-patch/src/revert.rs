//! Undoing.

use crate::{
    error::ParseError,
    hooks,
    json::push_string,
    marks,
    patch::{EnvNote, ListNote, Original, Patch, Step, Writer, has_mount, is_our_volume, is_ours},
    pod::{Container, EnvKind, Metadata, Pod, Template},
    settings::Settings,
};

/// Gives the patch that takes everything away again that an instrumented Pod or workload has got; an empty one if it
/// has got nothing.
///
/// It needs no settings and no memory: names and values show what was added, and what they do not show is noted in the
/// annotation [`ORIGINAL`](crate::marks::ORIGINAL). What the user had is restored exactly, but that lists and objects
/// that become empty are left out.
///
/// A manifest without `kind` is taken as a Pod; one of a kind that makes no Pods gives an empty patch.
///
/// ```
/// let pod = br#"{"metadata": {"annotations": {"obtrace.io/injected": "true", "team": "shop"}}, "spec": {"containers": []}}"#;
/// let patch = obtrace_patch::revert(pod)?;
/// assert_eq!(patch.as_json(), br#"[{"op":"remove","path":"/metadata/annotations/obtrace.io~1injected"}]"#);
/// # Ok::<(), obtrace_patch::ParseError>(())
/// ```
///
/// # Errors
/// As [`Pod::parse`].
pub fn revert(manifest: &[u8]) -> Result<Patch, ParseError> {
    let template = match Template::find(manifest) {
        Ok(Some(template)) => Some(template),
        Ok(None) => return Ok(Patch::default()),
        // Without a kind, or broken: reading it as a Pod tells.
        Err(_) => None,
    };
    let pod = match &template {
        Some(template) => template.pod()?,
        None => Pod::parse(manifest)?,
    };
    Ok(pod_patch(&pod))
}

fn pod_patch(pod: &Pod<'_>) -> Patch {
    let mut writer = Writer::new(pod.prefix);
    let note = pod.annotation(marks::ORIGINAL);
    let original = note.as_deref().and_then(|note| Original::read(note.as_bytes()).ok()).unwrap_or_default();
    // Of whose images is asked by their last path component: settings may have changed since.
    let settings = Settings::new("");
    let spec = &pod.spec;
    let mut hooked = false;
    for (list, containers) in [("initContainers", spec.init_containers()), ("containers", &spec.containers)] {
        for (index, container) in containers.iter().enumerate() {
            if has_mount(container) && !is_ours(container, &settings) {
                let at = [Step::Name("spec"), Step::Name(list), Step::At(index)];
                restore(container, at, &original, &mut writer);
                hooked = true;
            }
        }
        let ours = |container: &Container<'_>| is_ours(container, &settings);
        let names = containers.iter().map(|container| (&*container.name, ours(container)));
        remove_elements(&["spec", list], names, &mut writer);
    }
    if !original.volume
        && let Some(volumes) = &spec.volumes
    {
        let ours = volumes.iter().map(|volume| {
            let ours = volume.name == hooks::VOLUME && volume.empty_dir.is_some_and(is_our_volume);
            (&*volume.name, ours)
        });
        remove_elements(&["spec", "volumes"], ours, &mut writer);
    }
    if original.shared_processes && spec.share_process_namespace == Some(true) {
        writer.remove(&[Step::Name("spec"), Step::Name("shareProcessNamespace")]);
    }
    restore_marks(&pod.metadata, &original, hooked, &mut writer);
    writer.finish()
}

/// Removes elements of a list, the last first; the list itself if nothing is left.
fn remove_elements<'n>(path: &[&str; 2], elements: impl Iterator<Item = (&'n str, bool)>, writer: &mut Writer) {
    let elements: Vec<_> = elements.collect();
    let [spec, list] = path.map(Step::Name);
    for (index, (name, _)) in elements.iter().enumerate().rev().filter(|(_, (_, remove))| *remove) {
        writer.test(&[spec, list, Step::At(index), Step::Name("name")], name);
        writer.remove(&[spec, list, Step::At(index)]);
    }
    if !elements.is_empty() && elements.iter().all(|(_, remove)| *remove) {
        writer.remove(&[spec, list]);
    }
}

/// What becomes of a variable.
enum Undo<'a> {
    Keep,
    Remove,
    Value(&'a str),
    Bare,
    Rename(&'static str),
}

/// Takes variables and mount out of a container.
fn restore(container: &Container<'_>, at: [Step<'_>; 3], original: &Original<'_>, writer: &mut Writer) {
    let [spec, list, index] = at;
    writer.test(&[spec, list, index, Step::Name("name")], &container.name);
    let mut left = container.env.len();
    for variable in (0..container.env.len()).rev() {
        let Some(name) = container.env.get(variable).map(|var| &*var.name) else { continue };
        let undo = undo(container, variable, original);
        if matches!(undo, Undo::Keep) {
            continue;
        }
        let place = [spec, list, index, Step::Name("env"), Step::At(variable)];
        let member = |name| [spec, list, index, Step::Name("env"), Step::At(variable), Step::Name(name)];
        writer.test(&member("name"), name);
        match undo {
            Undo::Keep => {}
            Undo::Remove => {
                writer.remove(&place);
                left -= 1;
            }
            Undo::Value(value) => writer.replace(&member("value"), |out| push_string(out, value)),
            Undo::Bare => writer.remove(&member("value")),
            Undo::Rename(old) => writer.replace(&member("name"), |out| push_string(out, old)),
        }
    }
    if left == 0 && !container.env.is_empty() {
        writer.remove(&[spec, list, index, Step::Name("env")]);
    }
    let mounts = container.mounts();
    for (mount, _) in mounts.iter().enumerate().rev().filter(|(_, mount)| is_our_mount(mount)) {
        let place = [spec, list, index, Step::Name("volumeMounts"), Step::At(mount)];
        writer
            .test(&[spec, list, index, Step::Name("volumeMounts"), Step::At(mount), Step::Name("name")], hooks::VOLUME);
        writer.remove(&place);
    }
    if mounts.iter().all(is_our_mount) {
        writer.remove(&[spec, list, index, Step::Name("volumeMounts")]);
    }
}

fn is_our_mount(mount: &crate::pod::Mount<'_>) -> bool {
    mount.name == hooks::VOLUME && mount.path.trim_end_matches('/') == hooks::MOUNT_PATH && !mount.sub_path
}

fn undo<'a>(container: &'a Container<'_>, index: usize, original: &Original<'_>) -> Undo<'a> {
    let Some(var) = container.env.get(index) else { return Undo::Keep };
    let note = original.variable(&container.name, &var.name);
    if note == Some(EnvNote::Kept) {
        return Undo::Keep;
    }
    if hooks::BASE_VARIABLES.contains(&&*var.name) || var.name == hooks::TRACED {
        return Undo::Remove;
    }
    if let Some(name) = var.name.strip_prefix(hooks::ORIGINAL_PREFIX) {
        return undo_original(container, index, name, original);
    }
    let Some(hook) = hooks::ALL.iter().find(|hook| hook.name == var.name) else { return Undo::Keep };
    // An earlier one of the same name was never touched.
    let last = container.variable(hook.name).is_some_and(|(at, _)| at == index);
    let Some(value) = var.value.as_deref().filter(|_| last && container.env_kind(index) == EnvKind::Value) else {
        return Undo::Keep;
    };
    match (note, hook.unmerge(value)) {
        (_, None) if value == hook.value => Undo::Remove,
        (_, None) => Undo::Keep,
        (Some(EnvNote::Added), _) => Undo::Remove,
        (Some(EnvNote::Empty), _) => Undo::Value(""),
        (Some(EnvNote::Bare), _) => Undo::Bare,
        (_, Some(None)) => Undo::Remove,
        (_, Some(Some(rest))) if is_reference(rest, hook.name) => Undo::Remove,
        (_, Some(Some(rest))) => Undo::Value(rest),
    }
}

/// The old entry of a variable gets its name back, unless we have made it to refer to a ConfigMap.
fn undo_original<'a>(container: &Container<'_>, index: usize, name: &str, original: &Original<'_>) -> Undo<'a> {
    let Some(hook) = hooks::ALL.iter().find(|hook| hook.name == name) else { return Undo::Keep };
    let referred = container.env.get(index + 1).filter(|next| next.name == name).and_then(|next| next.value.as_deref());
    let rest = referred.and_then(|value| hook.unmerge(value)).flatten();
    if !rest.is_some_and(|rest| is_reference(rest, name)) {
        return Undo::Keep;
    }
    match original.variable(&container.name, name) {
        Some(EnvNote::Added) => Undo::Remove,
        Some(EnvNote::Kept) => Undo::Keep,
        _ => Undo::Rename(hook.name),
    }
}

fn is_reference(value: &str, name: &str) -> bool {
    let inner = value.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')'));
    inner.and_then(|inner| inner.strip_prefix(hooks::ORIGINAL_PREFIX)) == Some(name)
}

fn restore_marks(metadata: &Metadata<'_>, original: &Original<'_>, hooked: bool, writer: &mut Writer) {
    // What was only skipped has nothing but the reason.
    let instrumented = metadata.annotation(marks::INJECTED).is_some() || !writer.is_empty();
    let ours = [
        marks::SKIPPED_REASON,
        marks::INJECTED,
        marks::DETECTED_LANGUAGE,
        marks::STRATEGY,
        marks::DETECTED_FRAMEWORK,
        marks::CONTAINERS,
        marks::CONFIGURATION,
        marks::ORIGINAL,
    ];
    let ours = if instrumented { &ours[..] } else { &ours[..1] };
    for key in ours.iter().filter(|key| metadata.annotation(key).is_some()) {
        let old = original.annotations.iter().find(|(name, _)| name == key);
        member("annotations", key, old.map(|(_, value)| &**value), writer);
    }
    if !instrumented {
        return;
    }
    if let Some(list) = metadata.annotation(marks::SAFE_TO_EVICT)
        && hooked
        && let Some(old) = without_volume(&list, original.safe_to_evict)
    {
        member("annotations", marks::SAFE_TO_EVICT, old, writer);
    }
    if metadata.label(marks::INSTRUMENTED).is_some() {
        let old = original.labels.iter().find(|(name, _)| name == marks::INSTRUMENTED);
        member("labels", marks::INSTRUMENTED, old.map(|(_, value)| &**value), writer);
    }
}

/// The list without our volume, which we have put last; the inner `None` if there was no list.
fn without_volume(list: &str, was: Option<ListNote>) -> Option<Option<&str>> {
    match was {
        Some(ListNote::Kept) => None,
        Some(ListNote::Empty) => Some(Some("")),
        None if list == hooks::VOLUME => Some(None),
        None => Some(Some(list.strip_suffix(hooks::VOLUME)?.strip_suffix(',')?)),
    }
}

fn member(object: &str, key: &str, old: Option<&str>, writer: &mut Writer) {
    let path = [Step::Name("metadata"), Step::Name(object), Step::Key(key)];
    match old {
        Some(old) => writer.replace(&path, |out| push_string(out, old)),
        None => writer.remove(&path),
    }
}
