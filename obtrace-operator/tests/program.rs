//! The program `obtrace-zero`, as its users and their scripts see it.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// What a run printed, and its exit code.
struct Ran {
    out: String,
    err: String,
    code: i32,
}

fn run(arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_obtrace-zero"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

fn patch(input: &str, flags: &[&str]) -> Value {
    let ran = run(&[&["preview", "-f", "-", "--output", "patch"], flags].concat(), input);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 1, "one array: {}", ran.out);
    serde_json::from_str(&ran.out).unwrap()
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop-prod}\nspec:\n  containers:\n  - {name: web, image: 'node:22'}\n";

#[test]
fn lines_are_answered_in_their_order() {
    let input = [
        json!({ "id": 1, "image": "python:3.12", "args": null }),
        json!({ "id": "two", "command": ["node", "a.js"], "env": { "PORT": 80, "UNKNOWN": null } }),
        json!({ "id": [3], "image_config": { "Entrypoint": ["java", "-jar", "a.jar"], "Env": ["A=b"] } }),
        json!({ "id": 4, "proc": { "cmdline": ["ruby", "a.rb"], "exe": "/usr/bin/ruby3.1", "maps": ["/usr/lib/libruby-3.1.so.3.1"] } }),
        json!({}),
    ];
    let text: String = input.iter().map(|line| format!("{line}\n")).collect();
    let ran = run(&["detect", "--stdin"], &text);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answers: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = answers.iter().map(|it| (it["id"].clone(), it["language"].as_str().unwrap())).collect();
    let expected = [
        (json!(1), "python"),
        (json!("two"), "nodejs"),
        (json!([3]), "java"),
        (json!(4), "ruby"),
        (json!(null), "unknown"),
    ];
    assert_eq!(found, expected);
    for answer in &answers {
        assert!(!answer["evidence"].as_array().unwrap().is_empty(), "{answer}");
        assert!(answer["confidence"].as_f64().unwrap() >= 0.3, "{answer}");
    }
    assert_eq!(answers[4]["confidence"], 0.3);
    assert_eq!(answers[4]["strategy"], "ebpf");
}

#[test]
fn a_line_that_cannot_be_read_is_answered_too() {
    let ran =
        run(&["detect", "--stdin"], "{\"id\":1,\"image\":\"redis\"}\nnonsense\n\n{\"id\":2,\"command\":5}\n{\"id\":3}");
    assert_eq!(ran.code, 1);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[1]["error"].is_string() && lines[2]["error"].is_string());
    assert_eq!(lines[3]["id"], 3);
    assert!(ran.err.contains("2 lines"), "{}", ran.err);
}

#[test]
fn flags_are_one_container_and_a_manifest_many() {
    let ran = run(
        &["detect", "--image", "acme/x", "--command", "sh", "--arg", "-c", "--arg", "exec gunicorn a:b", "--json"],
        "",
    );
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&answer["language"], &answer["runtime"]), (&json!("python"), &json!("cpython")));
    assert!(answer.get("id").is_none());
    let ran = run(&["detect", "-f", "-", "--json"], POD);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&answer["id"], &answer["language"]), (&json!("Pod/web/web"), &json!("nodejs")));
    let ran = run(&["detect", "--pid", &std::process::id().to_string(), "--json"], "");
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["language"], "rust", "{answer}");
    assert_eq!(run(&["detect"], "").code, 2);
    assert_eq!(run(&["detect", "--image", "a", "--stdin"], "").code, 2);
    assert_eq!(run(&["detect", "--pid", "4194305"], "").code, 1);
}

#[test]
fn the_namespace_of_the_request_counts() {
    let environment = |patch: &Value| {
        let env = patch.as_array().unwrap().iter().filter_map(|operation| operation["value"].as_object());
        let all =
            env.flat_map(|value| if value.contains_key("name") { vec![Value::Object(value.clone())] } else { vec![] });
        all.into_iter().find(|it| it["name"] == "OBTRACE_ENVIRONMENT").map(|it| it["value"].clone())
    };
    let of = |flags: &[&str]| {
        let patch = patch(&POD.replace("'node:22'}", "'node:22', env: [{name: A, value: b}]}"), flags);
        environment(&patch).unwrap()
    };
    assert_eq!(of(&[]), "production");
    assert_eq!(of(&["--namespace", "shop-staging"]), "staging");
    assert_eq!(patch(POD, &["--namespace", "kube-system"]), json!([]));
}

#[test]
fn documents_beside_the_workload_say_what_the_webhook_would_know() {
    let resource = |spec: &str| {
        format!(
            "{POD}---\napiVersion: obtrace.io/v1alpha1\nkind: ObtraceInstrumentation\nmetadata: {{name: a, namespace: shop-prod}}\nspec: {{{spec}}}\n"
        )
    };
    let text = patch(&resource("ingestUrl: 'https://one.example'"), &[]).to_string();
    assert!(text.contains("https://one.example"));
    // One that is for others only.
    let other = resource("ingestUrl: 'https://one.example'")
        .replace("name: a, namespace: shop-prod", "name: a, namespace: other");
    let ran = run(&["preview", "-f", "-", "-o", "patch"], &other);
    assert_eq!((ran.out.trim(), ran.code), ("[]", 0));
    assert!(ran.err.contains("no ObtraceInstrumentation is for it"), "{}", ran.err);
    // What an API server would refuse, and what it would prune.
    let ran = run(&["preview", "-f", "-"], &resource("ingestUrl: nowhere"));
    assert!(ran.code == 1 && ran.err.contains("spec.ingestUrl must begin with"), "{}", ran.err);
    let ran = run(&["preview", "-f", "-"], &resource("ingestUrl: 'https://one.example', stategy: sdk"));
    assert!(ran.err.contains("unknown field spec.stategy"), "{}", ran.err);
    // The namespace asks to be left alone.
    let quiet =
        format!("{POD}---\nkind: Namespace\nmetadata: {{name: shop-prod, labels: {{obtrace.io/exclude: 'true'}}}}\n");
    let ran = run(&["preview", "-f", "-", "-o", "patch"], &quiet);
    assert_eq!(ran.out.trim(), "[]");
    assert!(ran.err.contains("the namespace is excluded"), "{}", ran.err);
}

#[test]
fn config_maps_count_only_where_that_is_asked_for() {
    let pod = POD.replace("'node:22'}", "'node:22', envFrom: [{configMapRef: {name: settings}}]}");
    let text = format!(
        "{pod}---\nkind: ConfigMap\nmetadata: {{name: settings, namespace: shop-prod}}\ndata: {{PORT: '80'}}\n"
    );
    let without = run(&["preview", "-f", "-", "-o", "patch"], &text);
    assert!(without.err.contains("NODE_OPTIONS may come from the ConfigMap settings"), "{}", without.err);
    let operations: Value = serde_json::from_str(&without.out).unwrap();
    assert!(
        operations.to_string().contains("skipped-reason") && !operations.to_string().contains("--require"),
        "{operations}"
    );
    assert!(patch(&text, &["--assume-configmaps"]).to_string().contains("--require /obtrace/obtrace-loader.js"));
}

#[test]
fn every_form_tells_the_same() {
    let manifest = run(&["preview", "-f", "-", "-o", "manifest"], POD);
    assert_eq!(manifest.code, 0);
    assert!(manifest.out.contains("name: obtrace-agent-init"));
    // What is patched is left alone another time.
    assert_eq!(patch(&manifest.out, &[]), json!([]));
    let diff = run(&["preview", "-f", "-", "-o", "diff"], POD);
    assert!(diff.out.starts_with("--- Pod/web\n+++ Pod/web (instrumented)\n@@"), "{}", diff.out);
    assert!(!diff.out.contains('\x1b'), "no colours in a pipe");
    let text = run(&["preview", "-f", "-"], POD);
    for expected in [
        "Pod/web in shop-prod",
        "web  nodejs on node",
        "gets the SDK",
        "NODE_OPTIONS=--require",
        "init container obtrace-agent-init",
    ] {
        assert!(text.out.contains(expected), "{expected}: {}", text.out);
    }
    let again = run(&["preview", "-f", "-"], &manifest.out);
    assert!(again.out.contains("left alone: already instrumented"), "{}", again.out);
}

#[test]
fn bad_files_are_refused_with_what_to_do() {
    let two = format!("{POD}---\n{}", POD.replace("name: web,", "name: other,"));
    let ran = run(&["preview", "-f", "-", "-o", "patch"], &two);
    assert!(ran.code == 2 && ran.err.contains("--only one of Pod/web, Pod/other"), "{}", ran.err);
    assert!(patch(&two, &["--only", "pod/other"]).as_array().is_some_and(|all| !all.is_empty()));
    let nothing = run(&["preview", "-f", "-"], "kind: Service\n");
    assert!(nothing.code == 1 && nothing.err.contains("nothing that makes Pods"), "{}", nothing.err);
    let missing = run(&["preview", "-f", "/nowhere/pod.yaml"], "");
    assert!(
        missing.code == 1 && missing.err.contains("cannot read /nowhere/pod.yaml: No such file"),
        "{}",
        missing.err
    );
    let broken = run(&["preview", "-f", "-"], "kind: Pod\nspec: [\n");
    assert!(broken.code == 1 && broken.err.contains("is not a manifest"), "{}", broken.err);
    let odd = run(&["preview", "-f", "-"], "kind: Pod\nspec: {containers: 5}\n");
    assert!(odd.code == 1 && odd.err.contains("Pod/"), "{}", odd.err);
    assert_eq!(run(&["preview", "-f", "-", "--cluster-version", "new"], POD).code, 2);
}
