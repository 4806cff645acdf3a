//! What the program says of loaders.

mod common;

use std::{fs, process::Command};

use common::{PROGRAM, Scratch, expect, run, text};
use serde_json::Value;

#[test]
fn verify_names_what_is_wrong() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let to = scratch.path("volume");
    expect(&["copy", "-q", "--language", "python,php", "--from", text(&agent), "--to", text(&to)], 0);
    fs::remove_file(to.join("sitecustomize.py")).unwrap();
    fs::write(to.join("obtrace_python/core.py"), "other").unwrap();
    let said = expect(&["verify", text(&to)], 1);
    assert!(said.contains("python: sitecustomize.py is missing"), "{said}");
    assert!(said.contains("python: obtrace_python/core.py is not what the manifest says"), "{said}");
    assert!(said.contains("php 0.1.0: 3 files, complete"), "{said}");
    // One that must be there and is not is as bad.
    let said = expect(&["verify", text(&to), "--language", "php,ruby"], 1);
    assert!(said.contains("ruby: no ruby.manifest in"), "{said}");
    // A folder as the image has it, too.
    expect(&["verify", text(&agent)], 0);
    let said = expect(&["verify", text(&scratch.path("nowhere"))], 1);
    assert!(said.contains("cannot open") && said.contains("No such file"), "{said}");
    fs::create_dir(scratch.path("empty")).unwrap();
    let said = expect(&["verify", text(&scratch.path("empty"))], 1);
    assert!(said.contains("holds no loader"), "{said}");
}

#[test]
fn list_in_json() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let output = run(&["list", "--json", "--from", text(&agent)]);
    assert!(output.status.success());
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|loader| loader["language"].as_str().unwrap()).collect();
    assert_eq!(names, ["nodejs", "python", "java", "dotnet", "php", "ruby"]);
    assert_eq!((&list[2]["available"], &list[2]["hooks"][0]["variable"]), (&false.into(), &"JAVA_TOOL_OPTIONS".into()));
    assert_eq!(list[0]["hooks"][1]["variable"], "BUN_OPTIONS");
    let python = &list[1];
    assert_eq!((&python["version"], &python["bytes"]), (&"0.1.0".into(), &300_017.into()));
    assert_eq!(python["files"][3], serde_json::json!({ "path": "sitecustomize.py", "bytes": 5, "entry": true }));
    assert_eq!(python["hooks"][0], serde_json::json!({ "variable": "PYTHONPATH", "value": "/obtrace" }));
}

#[test]
fn list_for_people() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let output = run(&["list", "--from", text(&agent)]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("java     not here"), "{text}");
    assert!(text.contains("PHP_INI_SCAN_DIR=/obtrace/php.d/"), "{text}");
}

#[test]
fn what_was_asked_for_and_cannot_be_written_is_a_failure() {
    for asked in [&["--help"][..], &["--version"], &["list"], &["completions", "bash"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(PROGRAM).args(asked).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{asked:?}: {said}");
        assert!(said.starts_with("error: cannot write to standard output: "), "{asked:?}: {said}");
    }
}

#[test]
fn completions_and_version() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert!(String::from_utf8(output.stdout).unwrap().contains("verify"), "{shell}");
    }
    let output = run(&["--version"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("obtrace-loaders {}\n", env!("CARGO_PKG_VERSION")));
}
