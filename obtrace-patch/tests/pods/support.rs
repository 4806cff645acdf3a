//! What the tests share: settings from JSON, patches applied by an independent implementation.

use std::collections::{BTreeMap, BTreeSet};

use obtrace_detect::{EnvVar, ImageConfig, Language};
use obtrace_patch::{
    Patch, Placement, Plan, Pod, PodSecurity, Resources, SecretKey, Settings, StrategyChoice, Template, Version, plan,
    revert,
};
use serde_json::Value;

/// The patch of a manifest or Pod, and what the plan says.
pub(crate) fn patch_of(manifest: &Value, settings: &Settings) -> (Patch, String) {
    let json = serde_json::to_vec(manifest).unwrap();
    let template = manifest.get("kind").and_then(|_| Template::find(&json).unwrap());
    let pod = template.map_or_else(|| Pod::parse(&json).unwrap(), |template| template.pod().unwrap());
    let plan = plan(&pod, settings);
    (plan.patch(), describe(&plan))
}

/// The plan in lines.
fn describe(plan: &Plan<'_>) -> String {
    use obtrace_patch::{Ebpf, Outcome};

    let mut lines = String::new();
    if let Some(skip) = plan.skip {
        return format!("pod: {skip}\n");
    }
    let strategy = plan.strategy.map_or("nothing", |strategy| strategy.as_str());
    lines += &format!("pod: {strategy}, service {}, environment {}\n", plan.service_name, plan.environment);
    match plan.ebpf {
        Ebpf::Sidecar { native } => lines += if native { "agent: native sidecar\n" } else { "agent: sidecar\n" },
        Ebpf::Node { no_sidecar: Some(why) } => lines += &format!("agent: node, since {why}\n"),
        Ebpf::Refused { why } => lines += &format!("agent: none, since {why}\n"),
        Ebpf::Node { no_sidecar: None } => lines += "agent: node\n",
        _ => {}
    }
    for container in &plan.containers {
        let language = container.detection.language;
        lines += &match &container.outcome {
            Outcome::Left(reason) => format!("{}: {language}, left alone: {reason}\n", container.name),
            outcome => format!("{}: {language}, {}\n", container.name, format!("{outcome:?}").to_lowercase()),
        };
    }
    lines
}

/// Applies a patch by the `json-patch` crate.
pub(crate) fn apply(document: &Value, patch: &Patch) -> Value {
    let operations: json_patch::Patch = serde_json::from_slice(patch.as_json()).unwrap();
    let mut document = document.clone();
    json_patch::patch(&mut document, &operations)
        .unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(patch.as_json())));
    document
}

/// Undoes what was done to a document.
pub(crate) fn reverted(document: &Value) -> Value {
    apply(document, &revert(&serde_json::to_vec(document).unwrap()).unwrap())
}

/// The document without empty lists, empty objects and nulls below the top.
pub(crate) fn without_empty(value: &Value) -> Value {
    let keep = |value: &Value| {
        !matches!(value, Value::Null)
            && value.as_object().is_none_or(|object| !object.is_empty())
            && value.as_array().is_none_or(|array| !array.is_empty())
    };
    match value {
        Value::Object(object) => {
            let members = object.iter().map(|(key, value)| (key.clone(), without_empty(value)));
            Value::Object(members.filter(|(_, value)| keep(value)).collect())
        }
        Value::Array(array) => Value::Array(array.iter().map(without_empty).collect()),
        other => other.clone(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("expected a string, not {value}")).to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(text).collect()
}

fn pairs(value: &Value) -> BTreeMap<String, String> {
    value.as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// Settings from a JSON object whose members are named as the fields; an unknown one is an error.
pub(crate) fn settings(json: &Value) -> Settings {
    let mut settings = Settings::new("https://ingest.obtrace.example");
    settings.api_key = Some(SecretKey::new("obtrace-api-key", "api-key"));
    settings.namespace = Some("shop".to_owned());
    for (name, value) in json.as_object().unwrap() {
        set(&mut settings, name, value);
    }
    settings
}

fn set(settings: &mut Settings, name: &str, value: &Value) {
    match name {
        "why" => {}
        "ingest_url" => settings.ingest_url = text(value),
        "api_key" => settings.api_key = None,
        "strategy" => settings.strategy = strategy(&text(value)),
        "placement" => {
            settings.placement = match &*text(value) {
                "auto" => Placement::Auto,
                "sidecar" => Placement::Sidecar,
                "node" => Placement::Node,
                other => panic!("placement {other}"),
            }
        }
        "language" => settings.language = Some(text(value).parse::<Language>().unwrap()),
        "framework" => settings.framework = Some(text(value).parse().unwrap()),
        "containers" => settings.containers = texts(value),
        "environment" => settings.environment = Some(text(value)),
        "namespace" => settings.namespace = value.as_str().map(str::to_owned),
        "namespace_excluded" => settings.namespace_excluded = value.as_bool().unwrap(),
        "excluded_namespaces" => settings.excluded_namespaces = texts(value),
        "pod_security" => settings.pod_security = PodSecurity::from_label(value.as_str()),
        "cluster_version" => settings.cluster_version = Some(Version::parse(&text(value)).unwrap()),
        "bounded" => settings.bounded = value.as_bool().unwrap(),
        "sample_ratio" => settings.sample_ratio = value.as_f64().unwrap(),
        "agent_image" => (settings.agent_image, settings.agent_image_named) = (text(value), true),
        "ebpf_image" => (settings.ebpf_image, settings.ebpf_image_named) = (text(value), true),
        "init_resources" => settings.init_resources = Some(resources(value)),
        "sidecar_resources" => settings.sidecar_resources = Some(resources(value)),
        "coexist" => settings.coexist = value.as_bool().unwrap(),
        "config_maps" => {
            let maps = value.as_object().unwrap().iter();
            settings.config_maps =
                maps.map(|(name, keys)| (name.clone(), texts(keys).into_iter().collect::<BTreeSet<_>>())).collect();
        }
        "excluded_containers" => settings.excluded_containers = texts(value),
        "image_env" => settings.image_env = pairs(value),
        "image_configs" => {
            let images = value.as_object().unwrap().iter();
            settings.image_configs =
                std::sync::Arc::new(images.map(|(image, config)| (image.clone(), image_config(config))).collect());
        }
        other => panic!("unknown setting {other}"),
    }
}

fn strategy(name: &str) -> StrategyChoice {
    match name {
        "auto" => StrategyChoice::Auto,
        "sdk" => StrategyChoice::Sdk,
        "ebpf" => StrategyChoice::Ebpf,
        "hybrid" => StrategyChoice::Hybrid,
        other => panic!("strategy {other}"),
    }
}

fn resources(value: &Value) -> Resources {
    let mut resources = Resources::new();
    resources.requests = value.get("requests").map(pairs).unwrap_or_default();
    resources.limits = value.get("limits").map(pairs).unwrap_or_default();
    resources
}

fn image_config(value: &Value) -> ImageConfig<'static> {
    let mut config = ImageConfig::default();
    let list = |key: &str| value.get(key).map(texts).unwrap_or_default().into_iter();
    config.entrypoint = list("Entrypoint").map(Into::into).collect();
    config.cmd = list("Cmd").map(Into::into).collect();
    config.env = list("Env")
        .map(|var| {
            let (name, value) = var.split_once('=').unwrap();
            EnvVar::new(name.to_owned(), value.to_owned())
        })
        .collect();
    config
}
