//! A plan in words.

use std::fmt::Write as _;

use obtrace_cli::{Color, paint};
use obtrace_detect::Speaks;
use obtrace_patch::{ContainerPlan, Ebpf, Op, Outcome, Patch, Plan};
use serde_json::Value;

use super::Workload;

/// The longest value that is shown whole, in characters.
const LONGEST: usize = 120;

/// What is left alone in a plan, and why: each container's name with its reason.
pub(super) fn reasons<'a>(plan: &'a Plan<'_>) -> impl Iterator<Item = (&'a str, String)> {
    plan.containers.iter().filter_map(|container| match &container.outcome {
        Outcome::Left(reason) => Some((container.name, reason.to_string())),
        _ => None,
    })
}

/// A workload that is left alone as a whole.
pub(super) fn left_alone(workload: &Workload<'_>, why: &str, color: Color, out: &mut String) {
    headline(workload, color, out);
    line(out, format_args!("  left alone: {why}"));
}

/// What is done to a workload, container by container, and why.
pub(super) fn explain(
    workload: &Workload<'_>,
    resource: &str,
    plan: &Plan<'_>,
    patch: &Patch,
    color: Color,
    out: &mut String,
) {
    if let Some(why) = plan.skip {
        return left_alone(workload, &why.to_string(), color, out);
    }
    headline(workload, color, out);
    line(out, format_args!("  by {resource}: service {}, environment {}", plan.service_name, plan.environment));
    match plan.ebpf {
        Ebpf::Sidecar { native: true } => line(out, format_args!("  eBPF agent: a native sidecar")),
        Ebpf::Sidecar { .. } => line(out, format_args!("  eBPF agent: a sidecar")),
        Ebpf::Node { no_sidecar: Some(why) } => line(out, format_args!("  eBPF agent: on the node, as {why}")),
        Ebpf::Refused { why } => line(out, format_args!("  eBPF agent: none, as {why}")),
        Ebpf::Node { .. } => line(out, format_args!("  eBPF agent: on the node")),
        _ => {}
    }
    let changes = Changes::of(patch);
    for container in &plan.containers {
        explain_container(container, &changes, color, out);
    }
    let whole: Vec<_> = changes.0.iter().filter(|change| change.container.is_none()).collect();
    if !whole.is_empty() {
        line(out, format_args!("\n  {}", paint("Pod", "1", color.stdout)));
        for change in whole {
            change.write(color, out);
        }
    }
    let tests = patch.operations().filter(|operation| operation.op == Op::Test).count();
    let operations = patch.operations().len() - tests;
    match operations {
        0 => line(out, format_args!("\n  nothing is changed")),
        1 => line(out, format_args!("\n  1 change, {tests} guards")),
        _ => line(out, format_args!("\n  {operations} changes, {tests} guards")),
    }
}

fn headline(workload: &Workload<'_>, color: Color, out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
    line(out, format_args!("{} in {}", paint(&workload.full_name(), "1", color.stdout), workload.namespace));
}

fn explain_container(container: &ContainerPlan<'_>, changes: &Changes, color: Color, out: &mut String) {
    let detection = &container.detection;
    let what = match &container.outcome {
        Outcome::Sdk => "gets the SDK".to_owned(),
        Outcome::Ebpf => "is observed by eBPF".to_owned(),
        Outcome::Hybrid => "gets the SDK and is observed by eBPF".to_owned(),
        Outcome::Left(reason) => format!("left alone: {reason}"),
        _ => String::new(),
    };
    let framework = detection.framework.map(|framework| format!(", {framework}")).unwrap_or_default();
    let name = paint(container.name, "1", color.stdout);
    let runtime = match detection.runtime.as_str() {
        runtime if runtime == detection.language.as_str() => String::new(),
        runtime => format!(" on {runtime}"),
    };
    line(
        out,
        format_args!("\n  {name}  {}{runtime}{framework} ({}): {what}", detection.language, detection.confidence),
    );
    for reason in &detection.evidence {
        let mark = match reason.speaks {
            Speaks::For => "because",
            Speaks::Against => "although",
            _ => "seen",
        };
        line(out, format_args!("    {mark} {}", reason.to_string().replacen("against: ", "", 1)));
    }
    for change in changes.0.iter().filter(|change| change.container.as_deref() == Some(container.name)) {
        change.write(color, out);
    }
}

/// The operations of a patch that change something, each with the container that it changes.
struct Changes(Vec<Change>);

struct Change {
    container: Option<String>,
    mark: char,
    text: String,
}

impl Changes {
    fn of(patch: &Patch) -> Self {
        let mut changes = Vec::new();
        // Guards name what the operations behind them are about: a container, and one of its variables.
        let mut guarded = None;
        let mut variable_guarded = None;
        for operation in patch.operations() {
            let value = operation.value.and_then(|value| serde_json::from_slice(value).ok()).unwrap_or(Value::Null);
            let place = container_place(operation.path);
            if operation.op == Op::Test {
                match (place, value.as_str()) {
                    (Some((place, "name")), Some(name)) => guarded = Some((place.to_owned(), name.to_owned())),
                    (Some(_), Some(name)) => variable_guarded = Some(name.to_owned()),
                    _ => {}
                }
                continue;
            }
            let inside = place.and_then(|(place, rest)| {
                let (guard, name) = guarded.as_ref()?;
                (guard == place).then(|| (name.clone(), rest))
            });
            let mark = match operation.op {
                Op::Remove => '-',
                // To add a member that is there is to replace it.
                Op::Add if !operation.path.ends_with("/value") => '+',
                _ => '~',
            };
            let (container, path) = match inside {
                Some((name, rest)) => (Some(name), rest),
                None => (None, operation.path),
            };
            let mut say = |text| changes.push(Change { container: container.clone(), mark, text });
            match (path.strip_prefix("env/").and_then(|rest| rest.split_once('/')), &variable_guarded) {
                (Some((_, "value")), Some(name)) => say(format!("{name}={}", short(&value))),
                (Some((_, "name")), Some(name)) => say(format!("{name} is renamed {}", short(&value))),
                _ => describe(path, value, &mut say),
            }
        }
        Self(changes)
    }
}

impl Change {
    fn write(&self, color: Color, out: &mut String) {
        let code = match self.mark {
            '+' => "32",
            '-' => "31",
            _ => "33",
        };
        line(out, format_args!("    {} {}", paint(&self.mark.to_string(), code, color.stdout), self.text));
    }
}

/// Splits `…/containers/0/env/-` into the container's pointer and the rest.
fn container_place(path: &str) -> Option<(&str, &str)> {
    let (start, list) = ["/initContainers/", "/containers/"].iter().find_map(|list| Some((path.find(list)?, *list)))?;
    let digits = start + list.len();
    let end = digits + path.get(digits..)?.find('/')?;
    Some((path.get(..end)?, path.get(end + 1..)?))
}

/// Says what an operation does: lists by their elements, variables as `NAME=value`.
fn describe(path: &str, value: Value, say: &mut dyn FnMut(String)) {
    let list = path.trim_end_matches("/-");
    let last = list
        .rsplit('/')
        .find(|step| step.parse::<usize>().is_err())
        .unwrap_or(list)
        .replace("~1", "/")
        .replace("~0", "~");
    match value {
        Value::Array(elements) => elements.into_iter().for_each(|element| describe(path, element, say)),
        Value::Object(object) => match (last.as_str(), object.get("name").and_then(Value::as_str)) {
            ("env", Some(name)) => say(variable(name, &object)),
            ("volumeMounts", Some(name)) => {
                let at = object.get("mountPath").and_then(Value::as_str).unwrap_or_default();
                let how = if object.get("readOnly") == Some(&Value::Bool(true)) { ", read-only" } else { "" };
                say(format!("mount {name} at {at}{how}"));
            }
            ("annotations" | "labels", _) => {
                object.iter().for_each(|(name, value)| say(format!("{} {name}={}", singular(&last), short(value))));
            }
            (_, Some(name)) => {
                let image =
                    object.get("image").and_then(Value::as_str).map(|image| format!(" ({image})")).unwrap_or_default();
                say(format!("{} {name}{image}", singular(&last)));
            }
            _ => say(format!("{last} = {}", short(&Value::Object(object)))),
        },
        Value::Null => say(list.to_owned()),
        value => {
            let kind = ["annotations", "labels", "env"].iter().find(|kind| list.contains(&format!("{kind}/")));
            let kind = kind.map(|kind| format!("{} ", singular(kind))).unwrap_or_default();
            say(format!("{kind}{last} = {}", short(&value)));
        }
    }
}

fn variable(name: &str, object: &serde_json::Map<String, Value>) -> String {
    match (object.get("value"), object.get("valueFrom")) {
        (Some(value), _) => format!("{name}={}", short(value)),
        (None, Some(from)) => format!("{name} from {}", short(from)),
        (None, None) => name.to_owned(),
    }
}

/// `initContainers` → `init container`.
fn singular(list: &str) -> &str {
    match list {
        "initContainers" => "init container",
        "containers" => "container",
        "volumes" => "volume",
        "annotations" => "annotation",
        "labels" => "label",
        "env" => "variable",
        other => other,
    }
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    let mut cut: String = text.chars().take(LONGEST).collect();
    cut.push('…');
    cut
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}
