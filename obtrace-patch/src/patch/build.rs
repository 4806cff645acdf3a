//! From plan to patch.

use super::{Original, Patch, Step, Writer, containers, marks};
use crate::{
    hooks,
    json::{Cursor, push_escaped, push_string},
    plan::{self, ContainerPlan, Ebpf, Plan},
    pod::Container,
    resources::{self, NAMES},
    settings::{Resources, Settings},
};

/// The user that the init container runs as in a Pod that says root: the kubelet would refuse it otherwise.
const NOBODY: i64 = 65_532;

/// The operations that bring the Pod to what the plan says: only those that are missing.
pub(crate) fn build<'a>(plan: &'a Plan<'a>) -> Patch {
    let mut writer = Writer::new(plan.pod.prefix);
    let mut original = Original::default();
    if plan.skip.is_some() {
        return writer.finish();
    }
    // First what is named by index, then what moves indexes.
    for container in plan.containers.iter().filter(|container| container.outcome.is_hooked()) {
        containers::instrument(plan, container, &mut original, &mut writer);
    }
    let hooked = plan.containers.iter().find(|container| container.outcome.is_hooked());
    if hooked.is_some() {
        volume(plan, &mut original, &mut writer);
    }
    added_containers(plan, hooked, &mut writer);
    if matches!(plan.ebpf, Ebpf::Sidecar { .. }) && plan.pod.spec.share_process_namespace != Some(true) {
        original.shared_processes = true;
        writer.add(&[Step::Name("spec"), Step::Name("shareProcessNamespace")], |out| out.extend_from_slice(b"true"));
    }
    marks::write(plan, original, &mut writer);
    writer.finish()
}

fn volume(plan: &Plan<'_>, original: &mut Original<'_>, writer: &mut Writer) {
    let volumes = plan.pod.spec.volumes.as_deref();
    if let Some(volume) = volumes.unwrap_or_default().iter().find(|volume| volume.name == hooks::VOLUME) {
        original.volume = !volume.empty_dir.is_some_and(is_our_volume);
        return;
    }
    let volume = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"{\"name\":");
        push_string(out, hooks::VOLUME);
        out.extend_from_slice(b",\"emptyDir\":{\"sizeLimit\":");
        push_string(out, hooks::VOLUME_SIZE_LIMIT);
        out.extend_from_slice(b"}}");
    };
    append(writer, "volumes", volumes.is_some(), volume);
}

/// Whether an `emptyDir` is as we write it.
pub(crate) fn is_our_volume(json: &[u8]) -> bool {
    let (mut size, mut others) = (None, false);
    let read = Cursor::new(json).object(|key, cursor| {
        match key {
            b"sizeLimit" => size = cursor.optional_string()?,
            _ => others |= cursor.skip()? != b"null",
        }
        Ok(())
    });
    read.is_ok() && !others && size.is_some_and(|size| size == hooks::VOLUME_SIZE_LIMIT)
}

/// Appends to a list of the spec, which is made if it is not there.
fn append(writer: &mut Writer, list: &str, there: bool, value: impl FnOnce(&mut Vec<u8>)) {
    let spec = Step::Name("spec");
    if there {
        writer.add(&[spec, Step::Name(list), Step::End], value);
    } else {
        writer.add(&[spec, Step::Name(list)], |out| array(out, value));
    }
}

fn array(out: &mut Vec<u8>, element: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'[');
    element(out);
    out.push(b']');
}

/// The init container and the sidecar.
fn added_containers(plan: &Plan<'_>, hooked: Option<&ContainerPlan<'_>>, writer: &mut Writer) {
    let spec = &plan.pod.spec;
    let mut there = spec.init_containers.is_some();
    let mut after = 0;
    if let Some(hooked) = hooked {
        let found = spec.init_containers().iter().position(|container| container.name == hooks::INIT_CONTAINER);
        if let Some(index) = found {
            after = index + 1;
            correct_languages(plan, index, writer);
        } else {
            insert(writer, 0, there, |out| init_container(plan, hooked, out));
            there = true;
            after = 1;
        }
    }
    let Ebpf::Sidecar { native } = plan.ebpf else { return };
    if spec.all().any(|container| container.name == hooks::SIDECAR) {
        return;
    }
    if native {
        insert(writer, after, there, |out| containers::sidecar(plan, true, out));
    } else {
        append(writer, "containers", true, |out| containers::sidecar(plan, false, out));
    }
}

/// Inserts into the init containers, which are made if they are not there.
fn insert(writer: &mut Writer, index: usize, there: bool, value: impl FnOnce(&mut Vec<u8>)) {
    let list = [Step::Name("spec"), Step::Name("initContainers"), Step::At(index)];
    if there {
        writer.add(&list, value);
    } else {
        writer.add(list.get(..2).unwrap_or_default(), |out| array(out, value));
    }
}

/// An init container that is there but copies other languages gets its command anew.
fn correct_languages(plan: &Plan<'_>, index: usize, writer: &mut Writer) {
    let Some(container) = plan.pod.spec.init_containers().get(index) else { return };
    let mut wanted = Vec::with_capacity(128);
    command(plan, &mut wanted);
    let mut there = Vec::with_capacity(128);
    strings(container.command.iter().map(|word| &**word), &mut there);
    if wanted != there {
        let at = [Step::Name("spec"), Step::Name("initContainers"), Step::At(index)];
        let [spec, list, index] = at;
        writer.test(&[spec, list, index, Step::Name("name")], hooks::INIT_CONTAINER);
        writer.add(&[spec, list, index, Step::Name("command")], |out| out.extend_from_slice(&wanted));
    }
}

fn strings<'t>(all: impl Iterator<Item = &'t str>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, text) in all.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, text);
    }
    out.push(b']');
}

/// What the init container runs: the languages of the hooked containers, each once.
fn command(plan: &Plan<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"[\"/obtrace-loaders\",\"copy\",\"--language\",\"");
    let hooked = || plan.containers.iter().filter(|container| container.outcome.is_hooked());
    let mut first = true;
    for (index, container) in hooked().enumerate() {
        let language = container.detection.language;
        if !hooked().take(index).any(|before| before.detection.language == language) {
            if !first {
                out.push(b',');
            }
            push_escaped(out, language.as_str());
            first = false;
        }
    }
    out.extend_from_slice(b"\",\"--to\",\"/obtrace\"]");
}

fn init_container(plan: &Plan<'_>, hooked: &ContainerPlan<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"name\":");
    push_string(out, hooks::INIT_CONTAINER);
    out.extend_from_slice(b",\"image\":");
    push_string(out, &plan.settings.agent_image);
    out.extend_from_slice(b",\"command\":");
    command(plan, out);
    init_resources(plan, hooked, out);
    out.extend_from_slice(
        b",\"securityContext\":{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]},",
    );
    out.extend_from_slice(b"\"privileged\":false,\"readOnlyRootFilesystem\":true,\"runAsNonRoot\":true,");
    if plan.pod.spec.run_as_user == Some(0) {
        out.extend_from_slice(format!("\"runAsUser\":{NOBODY},").as_bytes());
    }
    out.extend_from_slice(b"\"seccompProfile\":{\"type\":\"RuntimeDefault\"}},\"volumeMounts\":[{\"name\":");
    push_string(out, hooks::VOLUME);
    out.extend_from_slice(b",\"mountPath\":");
    push_string(out, hooks::MOUNT_PATH);
    out.extend_from_slice(b"}]}");
}

/// The resources of the first hooked container: the Pod reserves them anyway, and whatever its namespace asks of a
/// container (quota, limit range) or its QoS class needs, that container fulfils.
fn init_resources(plan: &Plan<'_>, hooked: &ContainerPlan<'_>, out: &mut Vec<u8>) {
    if let Some(resources) = plan.settings.init_resources(plan.pod) {
        push_resources(out, resources, resources::is_guaranteed(plan.pod));
        return;
    }
    let Some(held) = plan.container(hooked.place).and_then(resources::of) else { return };
    out.extend_from_slice(b",\"resources\":{");
    let mut comma = false;
    for (name, quantities) in [("limits", held.limits), ("requests", held.requests)] {
        if quantities.iter().all(Option::is_none) {
            continue;
        }
        if comma {
            out.push(b',');
        }
        comma = true;
        push_string(out, name);
        out.extend_from_slice(b":{");
        let mut inner = false;
        for (name, quantity) in NAMES.iter().zip(quantities) {
            let Some(quantity) = quantity else { continue };
            if inner {
                out.push(b',');
            }
            inner = true;
            push_string(out, name);
            out.push(b':');
            out.extend_from_slice(quantity);
        }
        out.push(b'}');
    }
    out.push(b'}');
}

/// Writes resources that are set; in a Guaranteed Pod the requests are the limits, or it would be one no more.
pub(super) fn push_resources(out: &mut Vec<u8>, resources: &Resources, guaranteed: bool) {
    let Resources { requests, limits } = resources;
    let (requests, limits) = match guaranteed {
        true if limits.is_empty() => (requests, requests),
        true => (limits, limits),
        false => (requests, limits),
    };
    out.extend_from_slice(b",\"resources\":{");
    for (index, (name, quantities)) in [("limits", limits), ("requests", requests)].into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, name);
        out.extend_from_slice(b":{");
        for (index, (name, quantity)) in quantities.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_string(out, name);
            out.push(b':');
            push_string(out, quantity);
        }
        out.push(b'}');
    }
    out.push(b'}');
}

/// Whether a container is one that we add.
pub(crate) fn is_ours(container: &Container<'_>, settings: &Settings) -> bool {
    match &*container.name {
        hooks::INIT_CONTAINER => resources::is_our_init(container, settings),
        hooks::SIDECAR => plan::is_our_sidecar(container, settings),
        _ => false,
    }
}
