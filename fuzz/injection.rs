//! What the fuzz targets of obtrace-detect and obtrace-patch assert. The plain test of the kept regressions includes this file too.

use std::{borrow::Cow, collections::BTreeSet};

use obtrace_detect::{Detection, EnvVar, Evidence, ImageReference, detect};
use obtrace_patch::{Placement, Pod, PodSecurity, Settings, StrategyChoice, Version, plan, revert};
use serde_json::Value;

/// The most reasons that a verdict may have.
const MOST_REASONS: usize = 64;

/// Runs the target of that name.
pub(crate) fn run(target: &str, data: &[u8]) {
    match target {
        "command" => command(&String::from_utf8_lossy(data)),
        "image" => image(&String::from_utf8_lossy(data)),
        "pod" => pod(data),
        "plan" => whole(data),
        other => panic!("no fuzz target is named {other:?}"),
    }
}

/// A reference's parts are parts of it, and the normal form means the same.
fn image(text: &str) {
    let detection = detect(&Evidence::new().with_image(text));
    sound(&detection);
    let Some(reference) = ImageReference::parse(text) else { return };
    assert!(!reference.name().is_empty());
    let parts = [Some(reference.repository()), reference.tag(), reference.digest()];
    assert!(parts.into_iter().flatten().all(|part| text.contains(part)), "{reference:?}");
    let mut normal = format!("{}/{}", reference.registry(), reference.repository());
    for (mark, part) in [(':', reference.tag()), ('@', reference.digest())] {
        if let Some(part) = part {
            normal.push(mark);
            normal.push_str(part);
        }
    }
    // With empty components it can be read as something else, and the longest is longer with its registry.
    if !text.contains("//") && text.len() < 4000 {
        assert!(ImageReference::parse(&normal).is_some(), "{normal}");
    }
}

/// Words of a command, a line each; an empty line parts them from the args, `NAME=value` lines in front are variables.
fn command(text: &str) {
    let mut lines = text.split('\n').peekable();
    let mut env = Vec::new();
    while let Some((name, value)) = lines.peek().and_then(|line| line.split_once('=')) {
        env.push(EnvVar::new(name, value));
        lines.next();
    }
    let (mut words, mut args) = (Vec::new(), Vec::new());
    let mut in_args = false;
    for line in lines {
        match (line.is_empty() && !in_args, in_args) {
            (true, _) => in_args = true,
            (false, false) => words.push(Cow::Borrowed(line)),
            (false, true) => args.push(Cow::Borrowed(line)),
        }
    }
    let evidence = Evidence::new().with_command(&words).with_args(&args).with_env(&env);
    let detection = detect(&evidence);
    sound(&detection);
    assert_eq!(detection, detect(&evidence), "the same evidence gives the same verdict");
    // An image that nobody knows says nothing: only its name's words could.
    let with_image = detect(&evidence.with_image("registry.example/a/b"));
    assert_eq!((detection.language, detection.runtime), (with_image.language, with_image.runtime));
}

fn sound(detection: &Detection<'_>) {
    assert_eq!(detection.language, detection.runtime.language());
    assert!((1..=MOST_REASONS).contains(&detection.evidence.len()), "{} reasons", detection.evidence.len());
    assert!((0.0..=1.0).contains(&detection.confidence.as_f64()));
}

/// What is read of a Pod is what a JSON library reads.
fn pod(data: &[u8]) {
    let (Ok(pod), Ok(value)) = (Pod::parse(data), serde_json::from_slice::<Value>(data)) else { return };
    let containers = value["spec"]["containers"].as_array();
    let names: Vec<_> = containers.into_iter().flatten().map(|it| it["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(pod.containers().collect::<Vec<_>>(), names);
    assert_eq!(pod.name(), value["metadata"]["name"].as_str());
    assert_eq!(pod.label("app"), value["metadata"]["labels"]["app"].as_str());
}

/// A patch applies, is all that is needed, and can be undone. The first byte chooses the settings.
fn whole(data: &[u8]) {
    let Some((choice, json)) = data.split_first() else { return };
    let Ok(mut before) = serde_json::from_slice::<Value>(json) else { return };
    let Some(object) = before.as_object_mut() else { return };
    object.insert("kind".to_owned(), "Pod".into());
    // As a JSON library has it: each key once.
    let json = before.to_string();
    let settings = settings(*choice);
    let Ok(pod) = Pod::parse(json.as_bytes()) else { return };
    if !names_are_distinct(&before) {
        return;
    }
    let patch = plan(&pod, &settings).patch();
    let after = applied(&before, patch.as_json());
    let again = after.to_string();
    let pod = Pod::parse(again.as_bytes()).expect("a patched Pod is one");
    let rest = plan(&pod, &settings).patch();
    assert!(rest.is_empty(), "another time: {}", String::from_utf8_lossy(rest.as_json()));
    // What was ours before goes as well.
    if patch.is_empty() || ["/obtrace", "obtrace-", "obtrace.io/"].iter().any(|ours| json.contains(ours)) {
        return;
    }
    let undo = revert(again.as_bytes()).expect("a patched Pod can be read");
    assert_eq!(without_empty(&applied(&after, undo.as_json())), without_empty(&before), "undone");
}

/// Whether no two containers have one name. Kubernetes refuses such a Pod, and notes for undoing go by names.
fn names_are_distinct(pod: &Value) -> bool {
    let lists = ["containers", "initContainers"].into_iter().filter_map(|list| pod["spec"][list].as_array());
    let mut names = BTreeSet::new();
    lists.flatten().all(|container| names.insert(container["name"].as_str()))
}

fn settings(choice: u8) -> Settings {
    let mut settings = Settings::new("https://ingest.example.com");
    settings.strategy = match choice & 3 {
        0 => StrategyChoice::Auto,
        1 => StrategyChoice::Sdk,
        2 => StrategyChoice::Ebpf,
        _ => StrategyChoice::Hybrid,
    };
    settings.placement = match (choice >> 2) & 3 {
        1 => Placement::Sidecar,
        2 => Placement::Node,
        _ => Placement::Auto,
    };
    settings.pod_security = if choice & 16 == 0 { PodSecurity::Privileged } else { PodSecurity::Restricted };
    settings.cluster_version = (choice & 32 != 0).then_some(Version::NATIVE_SIDECARS);
    settings.coexist = choice & 64 != 0;
    settings
}

fn applied(document: &Value, patch: &[u8]) -> Value {
    let operations: json_patch::Patch = serde_json::from_slice(patch).expect("a patch is one");
    let mut document = document.clone();
    json_patch::patch(&mut document, &operations)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(patch)));
    document
}

/// The document without empty lists and objects and without nulls: parents that were made stay.
fn without_empty(value: &Value) -> Value {
    let is_something = |value: &Value| match value {
        Value::Null => false,
        Value::Object(object) => !object.is_empty(),
        Value::Array(array) => !array.is_empty(),
        _ => true,
    };
    match value {
        Value::Object(object) => {
            let members = object.iter().map(|(key, value)| (key.clone(), without_empty(value)));
            members.filter(|(_, value)| is_something(value)).collect()
        }
        Value::Array(array) => array.iter().map(without_empty).collect(),
        other => other.clone(),
    }
}
