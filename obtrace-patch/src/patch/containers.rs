//! The variables and the mount of an instrumented container, and the sidecar.

use std::borrow::Cow;

use obtrace_detect::Language;

use super::{EnvNote, Original, Step, Writer, build};
use crate::{
    hooks::{self, Hook},
    json::{push_escaped, push_string},
    plan::{ContainerPlan, HookEdit, Plan, env},
    pod::{Container, EnvKind},
    resources,
    settings::{Resources, SecretKey},
};

/// An entry of `env`.
struct Entry<'a> {
    name: Name<'a>,
    value: Value<'a>,
}

/// A variable's name.
#[derive(Clone, Copy)]
enum Name<'a> {
    Plain(&'a str),
    /// What the old entry of this variable is called.
    Original(&'a str),
}

/// Where a variable's value comes from.
enum Value<'a> {
    Text(&'a str),
    Number(f64),
    /// The merged value of a hook.
    Merged(Hook, Old<'a>),
    Secret(&'a SecretKey),
    Field(&'static str),
    ConfigMapKey {
        name: &'a str,
        key: &'a str,
    },
}

/// What a hook is merged with.
enum Old<'a> {
    Nothing,
    Text(Cow<'a, str>),
    /// The entry that holds the original.
    Reference,
}

/// Gives a container its variables and its mount, as far as it has not got them.
pub(super) fn instrument<'a>(
    plan: &'a Plan<'a>,
    planned: &'a ContainerPlan<'a>,
    original: &mut Original<'a>,
    writer: &mut Writer,
) {
    let Some(container) = plan.container(planned.place) else { return };
    let at = [Step::Name("spec"), Step::Name(planned.place.list()), Step::At(planned.place.index)];
    let mounted = has_mount(container);
    let mut guard = Guard { at, name: &container.name, written: false };
    edit_in_place(planned, container, original, &mut guard, writer);
    let mut entries = Vec::with_capacity(16);
    let own = own_variables(container);
    new_variables(plan, container, planned.detection.language, own, &mut entries);
    new_hooks(planned, container, original, &mut entries);
    if !entries.is_empty() {
        guard.write(writer);
        append(writer, at, "env", container.has_env, &entries, Entry::push);
    }
    if !mounted {
        guard.write(writer);
        append(writer, at, "volumeMounts", container.mounts.is_some(), &[()], |(), out| {
            out.extend_from_slice(b"{\"name\":");
            push_string(out, hooks::VOLUME);
            out.extend_from_slice(b",\"mountPath\":");
            push_string(out, hooks::MOUNT_PATH);
            out.extend_from_slice(b",\"readOnly\":true}");
        });
        if !plan.pod.spec.init_containers().iter().any(|container| container.name == hooks::INIT_CONTAINER) {
            note_kept(planned, container, own, original);
        }
    }
}

/// The `test` of a container's name before it is changed.
struct Guard<'a> {
    at: [Step<'a>; 3],
    name: &'a str,
    written: bool,
}

impl Guard<'_> {
    fn write(&mut self, writer: &mut Writer) {
        if !self.written {
            let [spec, list, index] = self.at;
            writer.test(&[spec, list, index, Step::Name("name")], self.name);
            self.written = true;
        }
    }
}

/// Whether our volume is mounted where it should be.
pub(crate) fn has_mount(container: &Container<'_>) -> bool {
    container.mounts().iter().any(|mount| {
        mount.name == hooks::VOLUME && mount.path.trim_end_matches('/') == hooks::MOUNT_PATH && !mount.sub_path
    })
}

/// Appends to a list of a container, which is made if it is not there.
fn append<T>(
    writer: &mut Writer,
    at: [Step<'_>; 3],
    list: &str,
    there: bool,
    values: &[T],
    push: impl Fn(&T, &mut Vec<u8>),
) {
    let [spec, containers, index] = at;
    if there {
        for value in values {
            writer.add(&[spec, containers, index, Step::Name(list), Step::End], |out| push(value, out));
        }
        return;
    }
    writer.add(&[spec, containers, index, Step::Name(list)], |out| {
        out.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push(value, out);
        }
        out.push(b']');
    });
}

/// Merges into the entries that are there, the last first: what is inserted moves those behind it.
fn edit_in_place<'a>(
    planned: &ContainerPlan<'a>,
    container: &'a Container<'a>,
    original: &mut Original<'a>,
    guard: &mut Guard<'_>,
    writer: &mut Writer,
) {
    let mut edits: Vec<_> = Vec::new();
    for (hook, edit) in planned.edits.iter().flatten() {
        match edit {
            HookEdit::Merge { index, .. } | HookEdit::Rename { index } => edits.push((*index, *hook, *edit)),
            HookEdit::Add(_) | HookEdit::ConfigMapKey { .. } => {}
        }
    }
    edits.sort_unstable_by_key(|(index, ..)| std::cmp::Reverse(*index));
    for (index, hook, edit) in edits {
        guard.write(writer);
        let [spec, list, container_index] = guard.at;
        let path = |step, last| [spec, list, container_index, Step::Name("env"), step, last];
        let name = path(Step::At(index), Step::Name("name"));
        writer.test(&name, hook.name);
        if let HookEdit::Merge { old, .. } = edit {
            let note = match container.env_kind(index) {
                EnvKind::Bare => Some(EnvNote::Bare),
                _ if old.is_empty() && hook.unmerge(hook.value) == Some(None) => Some(EnvNote::Empty),
                _ => None,
            };
            let noted = note.map(|note| (Cow::Borrowed(&*container.name), Cow::Borrowed(hook.name), note));
            original.env.extend(noted);
            let value = path(Step::At(index), Step::Name("value"));
            writer.add(&value, |out| push_merged(out, &hook, &Old::Text(Cow::Borrowed(old))));
        } else {
            writer.replace(&name, |out| Name::Original(hook.name).push(out));
            let entry = Entry { name: Name::Plain(hook.name), value: Value::Merged(hook, Old::Reference) };
            let next = [spec, list, container_index, Step::Name("env"), Step::At(index + 1)];
            writer.add(&next, |out| entry.push(out));
        }
    }
}

/// The hooks whose variables the container has not got.
fn new_hooks<'a>(
    planned: &ContainerPlan<'a>,
    container: &'a Container<'a>,
    original: &mut Original<'a>,
    entries: &mut Vec<Entry<'a>>,
) {
    for (hook, edit) in planned.edits.iter().flatten() {
        let old = match *edit {
            HookEdit::Add(None) => Old::Nothing,
            HookEdit::Add(Some(value)) => Old::Text(env::literal(value)),
            HookEdit::ConfigMapKey { name, key } => {
                let value = Value::ConfigMapKey { name, key };
                entries.push(Entry { name: Name::Original(hook.name), value });
                Old::Reference
            }
            HookEdit::Merge { .. } | HookEdit::Rename { .. } => continue,
        };
        if !matches!(old, Old::Nothing) {
            original.env.push((Cow::Borrowed(&*container.name), Cow::Borrowed(hook.name), EnvNote::Added));
        }
        entries.push(Entry { name: Name::Plain(hook.name), value: Value::Merged(*hook, old) });
    }
}

/// Notes which variables that look like ours were there before us.
fn note_kept<'a>(
    planned: &ContainerPlan<'a>,
    container: &'a Container<'a>,
    own: [bool; OURS.len()],
    original: &mut Original<'a>,
) {
    let name = Cow::Borrowed(&*container.name);
    for (variable, _) in OURS.into_iter().zip(own).filter(|(_, own)| *own) {
        original.env.push((name.clone(), Cow::Borrowed(variable), EnvNote::Kept));
    }
    for hook in hooks::ALL {
        let edited = planned.edits.iter().flatten().any(|(other, _)| other.name == hook.name);
        let value = container.variable(hook.name).and_then(|(_, var)| var.value.as_deref());
        if !edited && value.is_some_and(|value| hook.is_in(value)) {
            original.env.push((name.clone(), Cow::Borrowed(hook.name), EnvNote::Kept));
        }
    }
}

/// The variables of an instrumented container beside its hooks.
const OURS: [&str; 11] = {
    let mut ours = [hooks::TRACED; 11];
    let mut index = 0;
    while index < hooks::BASE_VARIABLES.len() {
        ours[index] = hooks::BASE_VARIABLES[index];
        index += 1;
    }
    ours
};

/// Which of them the container has already.
fn own_variables(container: &Container<'_>) -> [bool; OURS.len()] {
    let mut own = [false; OURS.len()];
    for var in container.env.iter().filter(|var| var.name.starts_with("OBTRACE_")) {
        for (own, _) in own.iter_mut().zip(OURS).filter(|(_, name)| var.name == *name) {
            *own = true;
        }
    }
    own
}

/// Those that are missing.
fn new_variables<'a>(
    plan: &'a Plan<'a>,
    container: &Container<'_>,
    language: Language,
    own: [bool; OURS.len()],
    entries: &mut Vec<Entry<'a>>,
) {
    let missing = OURS.into_iter().zip(own).filter(|(_, own)| !own).map(|(name, _)| name);
    for name in missing.filter(|name| !env::inherits(container, name, plan.settings)) {
        entries.extend(base_entry(plan, name, language));
    }
}

fn base_entry<'a>(plan: &'a Plan<'a>, name: &'static str, language: Language) -> Option<Entry<'a>> {
    let settings = plan.settings;
    let value = match name {
        hooks::API_KEY => Value::Secret(settings.api_key.as_ref()?),
        hooks::INGEST_URL => Value::Text(&settings.ingest_url),
        hooks::SERVICE_NAME => Value::Text(&plan.service_name),
        hooks::ENVIRONMENT => Value::Text(&plan.environment),
        hooks::LANGUAGE => Value::Text(language.as_str()),
        hooks::AGENT_PATH => Value::Text(hooks::MOUNT_PATH),
        hooks::POD_NAME => Value::Field("metadata.name"),
        hooks::POD_NAMESPACE => Value::Field("metadata.namespace"),
        hooks::NODE_NAME => Value::Field("spec.nodeName"),
        hooks::TRACE_SAMPLE_RATIO => Value::Number(settings.sample_ratio),
        hooks::TRACED if plan.ebpf.runs() => Value::Text(hooks::traced(language)),
        _ => return None,
    };
    Some(Entry { name: Name::Plain(name), value })
}

impl Name<'_> {
    fn push(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        match self {
            Self::Plain(name) => push_escaped(out, name),
            Self::Original(name) => {
                push_escaped(out, hooks::ORIGINAL_PREFIX);
                push_escaped(out, name);
            }
        }
        out.push(b'"');
    }
}

impl Entry<'_> {
    fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"name\":");
        self.name.push(out);
        match &self.value {
            Value::Text(text) => {
                out.extend_from_slice(b",\"value\":");
                push_string(out, text);
            }
            Value::Number(number) => {
                out.extend_from_slice(b",\"value\":");
                push_string(out, &number.to_string());
            }
            Value::Merged(hook, old) => {
                out.extend_from_slice(b",\"value\":");
                push_merged(out, hook, old);
            }
            Value::Secret(SecretKey { name, key }) => push_key(out, "secretKeyRef", name, key, true),
            Value::ConfigMapKey { name, key } => push_key(out, "configMapKeyRef", name, key, false),
            Value::Field(path) => {
                out.extend_from_slice(b",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":");
                push_string(out, path);
                out.extend_from_slice(b"}}");
            }
        }
        out.push(b'}');
    }
}

/// A missing API key must not keep the user's Pod from starting: such a reference is optional.
fn push_key(out: &mut Vec<u8>, kind: &str, name: &str, key: &str, optional: bool) {
    out.extend_from_slice(b",\"valueFrom\":{");
    push_string(out, kind);
    out.extend_from_slice(b":{\"name\":");
    push_string(out, name);
    out.extend_from_slice(b",\"key\":");
    push_string(out, key);
    out.extend_from_slice(if optional { b",\"optional\":true}}" } else { b"}}" });
}

fn push_merged(out: &mut Vec<u8>, hook: &Hook, old: &Old<'_>) {
    let reference;
    let old = match old {
        Old::Nothing => None,
        Old::Text(text) => Some(&**text),
        Old::Reference => {
            reference = format!("$({}{})", hooks::ORIGINAL_PREFIX, hook.name);
            Some(reference.as_str())
        }
    };
    out.push(b'"');
    hook.merge_into(old, |part| push_escaped(out, part));
    out.push(b'"');
}

/// The container that observes the Pod from the kernel.
pub(super) fn sidecar(plan: &Plan<'_>, native: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"name\":");
    push_string(out, hooks::SIDECAR);
    out.extend_from_slice(b",\"image\":");
    push_string(out, &plan.settings.ebpf_image);
    if native {
        out.extend_from_slice(b",\"restartPolicy\":\"Always\"");
    }
    out.extend_from_slice(b",\"env\":[");
    let language = plan.language().unwrap_or(Language::Unknown);
    let sidecars = hooks::BASE_VARIABLES.iter().filter(|name| **name != hooks::AGENT_PATH);
    let traced = traced_by_all(plan);
    let traced = traced.map(|kinds| Entry { name: Name::Plain(hooks::TRACED), value: Value::Text(kinds) });
    let entries = sidecars.filter_map(|name| base_entry(plan, name, language)).chain(traced);
    for (index, entry) in entries.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        entry.push(out);
    }
    out.push(b']');
    let guaranteed = resources::is_guaranteed(plan.pod);
    match &plan.settings.sidecar_resources {
        Some(set) => build::push_resources(out, set, guaranteed),
        None => build::push_resources(out, &Resources::sidecar(), guaranteed),
    }
    out.extend_from_slice(b",\"securityContext\":{\"privileged\":false,");
    // Capabilities are the root user's.
    if plan.pod.spec.run_as_non_root == Some(true) {
        out.extend_from_slice(b"\"runAsNonRoot\":false,");
    }
    if plan.pod.spec.run_as_non_root == Some(true) || plan.pod.spec.run_as_user.is_some_and(|user| user != 0) {
        out.extend_from_slice(b"\"runAsUser\":0,");
    }
    out.extend_from_slice(b"\"capabilities\":{\"add\":[");
    for (index, capability) in hooks::SIDECAR_CAPABILITIES.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, capability);
    }
    out.extend_from_slice(b"]}}}");
}

/// The kinds of span that the loaders of all instrumented containers report, which is what the sidecar need not report
/// for any; where containers differ it looks into each process's own environment.
fn traced_by_all(plan: &Plan<'_>) -> Option<&'static str> {
    let mut instrumented = plan.containers.iter().filter(|container| container.outcome.is_instrumented());
    let kinds = |container: &ContainerPlan<'_>| {
        if container.outcome.is_hooked() { hooks::traced(container.detection.language) } else { "" }
    };
    let first = kinds(instrumented.next()?);
    (!first.is_empty() && instrumented.all(|other| kinds(other) == first)).then_some(first)
}
