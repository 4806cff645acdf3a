//! Properties of generated Pods.

use proptest::{prelude::*, sample};
use serde_json::{Map, Value, json};

use crate::support::{apply, patch_of, reverted, settings, without_empty};

/// A member that may be absent or null.
fn maybe(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop_oneof![2 => Just(None), 1 => Just(Some(Value::Null)), 6 => value.prop_map(Some)].boxed()
}

/// An object of those members that are there.
fn object(members: Vec<(&'static str, BoxedStrategy<Option<Value>>)>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    let build = move |values: Vec<Option<Value>>| {
        let there = names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
        Value::Object(there.collect::<Map<_, _>>())
    };
    values.prop_map(build).boxed()
}

fn always(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    value.prop_map(Some).boxed()
}

fn one_of(texts: &'static [&'static str]) -> BoxedStrategy<Value> {
    sample::select(texts).prop_map(Value::from).boxed()
}

/// Names that matter, and names that do not.
const VARIABLES: &[&str] = &[
    "NODE_OPTIONS",
    "BUN_OPTIONS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "JAVA_TOOL_OPTIONS",
    "DOTNET_STARTUP_HOOKS",
    "PHP_INI_SCAN_DIR",
    "RUBYOPT",
    "OBTRACE_SERVICE_NAME",
    "OBTRACE_LANGUAGE",
    "OBTRACE_TRACED",
    "OBTRACE_ORIGINAL_NODE_OPTIONS",
    "OBTRACE_ORIGINAL_X",
    "DD_AGENT_HOST",
    "PATH",
    "A~/b",
];

const VALUES: &[&str] = &[
    "",
    " ",
    ":",
    "x",
    "-Xmx1g $(HEAP) \"q\" \\",
    "/app:/lib:",
    "python",
    "/obtrace",
    "/obtrace/php.d/",
    "/obtrace/php.d/:",
    "--require /obtrace/obtrace-loader.js",
    "$(OBTRACE_ORIGINAL_NODE_OPTIONS) --require /obtrace/obtrace-loader.js",
    "-javaagent:/obtrace/obtrace-agent.jar",
    "a -r /obtrace/obtrace_loader",
    "new\nline",
    "é😀",
];

fn variable() -> BoxedStrategy<Value> {
    let from = prop_oneof![
        Just(json!({"configMapKeyRef": {"name": "m", "key": "k"}})),
        Just(json!({"secretKeyRef": {"name": "s", "key": "k", "optional": true}})),
        Just(json!({"fieldRef": {"fieldPath": "metadata.name"}})),
        Just(json!({"aSourceOfTomorrow": {"x": 1}})),
    ];
    let name = || sample::select(VARIABLES);
    prop_oneof![
        6 => (name(), sample::select(VALUES)).prop_map(|(name, value)| json!({"name": name, "value": value})),
        1 => name().prop_map(|name| json!({"name": name})),
        1 => (name(), from.clone()).prop_map(|(name, from)| json!({"name": name, "valueFrom": from})),
        1 => name().prop_map(|name| json!({"name": name, "value": "v", "valueFrom": null, "later": [1]})),
    ]
    .boxed()
}

fn list(element: impl Strategy<Value = Value> + 'static, most: usize) -> BoxedStrategy<Value> {
    prop::collection::vec(element, 0..=most).prop_map(Value::from).boxed()
}

fn mount() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => Just(json!({"name": "data", "mountPath": "/data", "later": {}})),
        1 => Just(json!({"name": "data", "mountPath": "/obtrace/x"})),
        1 => Just(json!({"name": "data", "mountPath": "/obtracer"})),
    ]
    .boxed()
}

fn container(name: &'static str, images: &'static [&'static str]) -> BoxedStrategy<Value> {
    let source = prop_oneof![
        Just(json!({"configMapRef": {"name": "known"}})),
        Just(json!({"configMapRef": {"name": "full"}})),
        Just(json!({"prefix": "DB_", "secretRef": {"name": "s"}})),
        Just(json!({"secretRef": {"name": "s", "optional": true}})),
    ];
    let amounts = prop_oneof![
        Just(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}})),
        Just(json!({"limits": {"memory": "8Mi"}})),
        Just(json!({"requests": {"cpu": "10m", "ephemeral-storage": 5}, "claims": [{"name": "c"}]})),
        Just(json!({"limits": null})),
    ];
    let members = vec![
        ("name", always(Just(Value::from(name)))),
        ("image", maybe(one_of(images))),
        ("command", maybe(list(one_of(&["python", "app.py", "sh", "-c", "exec node server.js", "ddtrace-run"]), 3))),
        ("env", maybe(list(variable(), 6))),
        ("envFrom", maybe(prop_oneof![3 => Just(json!([])), 1 => list(source, 2)])),
        ("volumeMounts", maybe(list(mount(), 2))),
        ("resources", maybe(amounts)),
        ("restartPolicy", maybe(one_of(&["Always", "OnFailure"]))),
        ("livenessProbe", maybe(Just(json!({"httpGet": {"port": 80, "path": "/~x"}})))),
        ("aFieldOfTomorrow", maybe(Just(json!({"a": [1.5, null, "\"}]"]})))),
    ];
    object(members)
}

const IMAGES: &[&str] = &[
    "node:22",
    "python:3.12",
    "shop/web:1",
    "golang:1.26",
    "postgres:17",
    "eclipse-temurin:21",
    "php:8.4-fpm",
    "ruby:3.4",
    "oven/bun:1",
    "denoland/deno:2",
    "mcr.microsoft.com/dotnet/aspnet:9.0",
    "rust:1.90",
    "docker.io/istio/proxyv2:1.27.0",
];

fn containers(names: &'static [&'static str]) -> BoxedStrategy<Value> {
    let all: Vec<_> = names.iter().map(|name| container(name, IMAGES)).collect();
    (all, 0..=names.len())
        .prop_map(|(mut all, most)| {
            all.truncate(most);
            Value::from(all)
        })
        .boxed()
}

fn texts(keys: &'static [&'static str], values: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::collection::btree_map(sample::select(keys), sample::select(values), 0..5)
        .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect())
        .boxed()
}

const LABELS: &[&str] =
    &["app", "obtrace.io/language", "obtrace.io/environment", "obtrace.io/instrumented", "a~b/c", "pod-template-hash"];
const LABEL_VALUES: &[&str] = &["nodejs", "python", "java", "php", "ruby", "dotnet", "go", "true", "false", "x", ""];
const ANNOTATIONS: &[&str] = &[
    "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes",
    "kubectl.kubernetes.io/default-container",
    "obtrace.io/strategy",
    "instrumentation.opentelemetry.io/inject-java",
    "note",
];
const ANNOTATION_VALUES: &[&str] = &["a,b", "", "two", "false", "{\"a\": \"\\\"\"}", "obtrace-agent", "true"];

fn volume() -> BoxedStrategy<Value> {
    prop_oneof![
        5 => Just(json!({"name": "data", "emptyDir": {}})),
        1 => Just(json!({"name": "obtrace-agent", "emptyDir": {"medium": "Memory"}})),
        1 => Just(json!({"name": "obtrace-agent", "configMap": {"name": "x"}})),
    ]
    .boxed()
}

fn pod() -> BoxedStrategy<Value> {
    let metadata = vec![
        ("name", maybe(one_of(&["web", "web-0"]))),
        ("generateName", maybe(one_of(&["web-5b9f8c4d7-", "x-"]))),
        ("labels", maybe(texts(LABELS, LABEL_VALUES))),
        ("annotations", maybe(texts(ANNOTATIONS, ANNOTATION_VALUES))),
        ("managedFields", maybe(Just(json!([{"fieldsV1": {"f:spec": {"k:{\"name\":\"x\"}": {".": {}}}}}])))),
    ];
    let spec = vec![
        ("containers", always(containers(&["web", "worker", "proxy"]))),
        ("initContainers", maybe(containers(&["migrate", "helper"]))),
        ("volumes", maybe(list(volume(), 1))),
        ("hostPID", maybe(any::<bool>().prop_map(Value::from))),
        ("shareProcessNamespace", maybe(any::<bool>().prop_map(Value::from))),
        ("securityContext", maybe(Just(json!({"runAsUser": 0, "runAsNonRoot": null})))),
        ("restartPolicy", maybe(one_of(&["Always", "Never"]))),
        ("aSpecOfTomorrow", maybe(Just(json!([{"deep": {"er": []}}])))),
    ];
    object(vec![
        ("apiVersion", always(Just(Value::from("v1")))),
        ("metadata", maybe(object(metadata))),
        ("spec", always(object(spec))),
        ("status", maybe(Just(json!({})))),
    ])
}

fn any_settings() -> BoxedStrategy<Value> {
    let members = vec![
        ("strategy", always(one_of(&["auto", "auto", "sdk", "ebpf", "hybrid"]))),
        ("placement", always(one_of(&["auto", "auto", "sidecar", "node"]))),
        ("cluster_version", always(one_of(&["1.28", "1.29", "1.34"]))),
        ("pod_security", always(one_of(&["privileged", "privileged", "baseline", "restricted"]))),
        ("bounded", always(any::<bool>().prop_map(Value::from))),
        ("coexist", always(any::<bool>().prop_map(Value::from))),
        (
            "config_maps",
            always(Just(json!({"known": ["A"], "full": ["NODE_OPTIONS", "RUBYOPT", "OBTRACE_SERVICE_NAME"]}))),
        ),
        (
            "image_env",
            always(prop_oneof![3 => Just(json!({})), 1 => Just(json!({"PYTHONPATH": "/srv/$x", "RUBYOPT": ""}))]),
        ),
    ];
    object(members)
}

/// Whether everything in `before` is in `after` as well, but for the values that a patch may change.
fn survives(before: &Value, after: &Value, path: &str) -> Result<(), String> {
    match (before, after) {
        (Value::Null, _) => Ok(()),
        (Value::Object(before), Value::Object(after)) => before.iter().try_for_each(|(name, value)| {
            let path = format!("{path}/{name}");
            let Some(other) = after.get(name) else { return Err(format!("{path} is gone")) };
            survives(value, other, &path)
        }),
        (Value::Array(before), Value::Array(after)) => before.iter().try_for_each(|value| {
            let same = |other: &&Value| other.get("name").is_some() && other.get("name") == value.get("name");
            let like = after.iter().any(|other| survives(value, other, path).is_ok());
            // A variable by reference goes on under another name.
            let renamed =
                value.get("valueFrom").is_some_and(|from| after.iter().any(|other| other["valueFrom"] == *from));
            if like || renamed {
                return Ok(());
            }
            Err(format!("{path}: {value} is not in {:?}", after.iter().find(same)))
        }),
        (Value::String(before), Value::String(after)) => {
            let marks = path.contains("/metadata/annotations/") || path.contains("/metadata/labels/");
            if marks || after.contains(before.as_str()) { Ok(()) } else { Err(format!("{path}: {before} -> {after}")) }
        }
        _ if before == after => Ok(()),
        _ => Err(format!("{path}: {before} -> {after}")),
    }
}

/// Names of variables, containers and volumes in one list must be one each where they were before.
fn unique(list: &Value) -> bool {
    let names: Vec<_> = list.as_array().into_iter().flatten().map(|element| &element["name"]).collect();
    names.iter().enumerate().all(|(index, name)| !names[..index].contains(name))
}

proptest! {
    #[test]
    fn once_is_enough_and_all_of_it_can_be_undone(before in pod(), given in any_settings()) {
        let settings = settings(&given);
        let (patch, says) = patch_of(&before, &settings);
        let after = apply(&before, &patch);

        let again = patch_of(&after, &settings).0;
        prop_assert!(again.is_empty(), "{says}{}", String::from_utf8_lossy(again.as_json()));

        let mut unmarked = after.clone();
        if let Some(Value::Object(annotations)) = unmarked.pointer_mut("/metadata/annotations") {
            annotations.remove("obtrace.io/injected");
        }
        let again = patch_of(&unmarked, &settings).0;
        prop_assert!(again.is_empty(), "{says}{}", String::from_utf8_lossy(again.as_json()));

        prop_assert_eq!(without_empty(&reverted(&after)), without_empty(&before), "{}", says);

        let gone = survives(&before, &after, "");
        prop_assert!(gone.is_ok(), "{says}{gone:?}");
        prop_assert!(unique(&after["spec"]["volumes"]) && unique(&after["spec"]["initContainers"]));
    }

    #[test]
    fn a_template_gets_what_its_pod_gets(pod in pod(), given in any_settings(), cron: bool) {
        let settings = settings(&given);
        // Names come from the workload, and a CronJob's Pods end: what is left is the same.
        let mut pod = pod;
        if let Some(Value::Object(metadata)) = pod.get_mut("metadata") {
            metadata.remove("name");
            metadata.remove("generateName");
        }
        let template = json!({"metadata": pod.get("metadata"), "spec": pod["spec"]});
        let (manifest, prefix) = if cron {
            (json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}}), "/spec/jobTemplate/spec/template")
        } else {
            (json!({"kind": "Deployment", "spec": {"template": template}}), "/spec/template")
        };
        let (patch, _) = patch_of(&manifest, &settings);
        for operation in patch.operations() {
            prop_assert!(operation.path.starts_with(prefix), "{}", operation.path);
        }
        let after = apply(&manifest, &patch);
        prop_assert!(patch_of(&after, &settings).0.is_empty());
        prop_assert_eq!(without_empty(&reverted(&after)), without_empty(&manifest));
        if !cron {
            let alone = apply(&json!({"metadata": pod.get("metadata"), "spec": pod["spec"]}), &patch_of(&template, &settings).0);
            prop_assert_eq!(&after["spec"]["template"], &alone);
        }
    }
}
