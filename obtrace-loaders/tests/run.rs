//! `obtrace-loaders run`: what is set, where the loader lies, what becomes of the program.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt as _},
    path::Path,
    process::{Command, Output},
};

use common::{PROGRAM, Scratch, text};
use serde_json::{Value, json};

/// The program with nothing in its environment but `PATH`, folders of its own, and this.
fn run(scratch: &Scratch, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let temporary = scratch.path("tmp");
    let _ = fs::create_dir(&temporary);
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", scratch.path("home")).env("TMPDIR", temporary);
    command.envs(environment.iter().copied()).arg("run").args(arguments).output().unwrap()
}

fn json_of(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn failure(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn variables_are_merged_with_those_that_are_set() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let from = ["--from", text(&agent)];
    let python = agent.join("python").canonicalize().unwrap();
    let answer = json_of(&run(
        &scratch,
        &[("PYTHONPATH", "/app/lib"), ("OBTRACE_SERVICE_NAME", "kept")],
        &[&from[..], &["--json", "--environment", "dev", "--", "python3", "app.py"]].concat(),
    ));
    assert_eq!(
        answer,
        json!({
            "language": "python", "runtime": "cpython", "folder": python,
            "variables": {
                "OBTRACE_INGEST_URL": "http://127.0.0.1:4318",
                "OBTRACE_ENVIRONMENT": "dev",
                "OBTRACE_LANGUAGE": "python",
                "OBTRACE_AGENT_PATH": python,
                "PYTHONPATH": format!("{}:/app/lib", python.display()),
                "PYTHONSTARTUP": python.join("obtrace_loader.py"),
            }
        })
    );
    let ingest = [("OBTRACE_INGEST_URL", "https://there")];
    let kept = json_of(&run(&scratch, &ingest, &[&from[..], &["--json", "--", "python3", "app.py"]].concat()));
    assert_eq!(kept["variables"].get("OBTRACE_INGEST_URL"), None);
    let flag = ["--json", "--ingest", "http://here:1", "--", "python3", "app.py"];
    let flag = json_of(&run(&scratch, &ingest, &[&from[..], &flag].concat()));
    assert_eq!(flag["variables"]["OBTRACE_INGEST_URL"], "http://here:1");
}

#[test]
fn the_command_shows_the_language() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let from = ["--json", "--from", text(&agent)];
    let script = scratch.write("manage", "#!/usr/bin/env python3\nprint()\n");
    let commands = [
        (vec!["--", "node", "app.js"], "nodejs", "node"),
        (vec!["--", "bun", "run", "app.ts"], "nodejs", "bun"),
        (vec!["--", "gunicorn", "shop.wsgi"], "python", "cpython"),
        (vec!["--", "bundle", "exec", "puma"], "ruby", "cruby"),
        (vec!["--", "php", "-S", "127.0.0.1:1"], "php", "php"),
        (vec!["--", text(&script)], "python", "cpython"),
        (vec!["--language", "ruby", "--", "./start.sh"], "ruby", "cruby"),
        (vec!["--language", "node", "--", "bun", "x"], "nodejs", "bun"),
    ];
    for (command, language, runtime) in commands {
        let answer = json_of(&run(&scratch, &[], &[&from[..], &command].concat()));
        assert_eq!((&answer["language"], &answer["runtime"]), (&language.into(), &runtime.into()), "{command:?}");
    }
    let start = scratch.path("start.sh");
    let said = failure(&run(&scratch, &[], &["--", text(&start)]), 127);
    assert!(said.contains("start.sh: there is no such program"), "{said}");
    fs::write(&start, "#!/bin/sh\n").unwrap();
    let said = failure(&run(&scratch, &[], &["--", text(&start)]), 1);
    assert!(said.contains("start.sh` runs: name it by --language"), "{said}");
    let said = failure(&run(&scratch, &[], &["--", "deno", "run", "x.ts"]), 1);
    assert!(said.contains("`deno` runs on deno, which no loader reaches"), "{said}");
    failure(&run(&scratch, &[], &[]), 2);
    failure(&run(&scratch, &[], &["--language", "ruby"]), 2);
    failure(&run(&scratch, &[], &["--ingest", "there", "--", "node"]), 2);
}

#[test]
fn what_lies_for_one_user_alone_is_copied() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let arguments = ["--json", "--from", text(&agent), "--", "node", "app.js"];
    fs::set_permissions(agent.join("nodejs/obtrace-loader.js"), PermissionsExt::from_mode(0o600)).unwrap();
    let answer = json_of(&run(&scratch, &[], &arguments));
    let folder = answer["folder"].as_str().unwrap().to_owned();
    let cache = scratch.path("home/.cache/obtrace-loaders");
    assert!(Path::new(&folder).starts_with(&cache), "{folder}");
    assert_eq!(cache.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    common::expect(&["verify", &folder], 0);
    assert_eq!(json_of(&run(&scratch, &[], &arguments))["folder"], folder.as_str());

    // A cache that others can write to is none of ours.
    fs::set_permissions(&cache, PermissionsExt::from_mode(0o777)).unwrap();
    let answer = json_of(&run(&scratch, &[], &arguments));
    assert!(Path::new(answer["folder"].as_str().unwrap()).starts_with(scratch.path("tmp")), "{answer}");

    fs::write(agent.join("nodejs/obtrace-loader.js"), "damaged").unwrap();
    // The copy that is there is as good as ever; where there is none, there is nothing to take.
    json_of(&run(&scratch, &[], &arguments));
    let (cache, temporary) = (scratch.path("other"), scratch.path("another"));
    let elsewhere = [("XDG_CACHE_HOME", text(&cache)), ("TMPDIR", text(&temporary))];
    let said = failure(&run(&scratch, &elsewhere, &arguments), 1);
    assert!(said.contains("the files of the loader are damaged"), "{said}");
}

#[test]
fn a_path_that_a_variable_cannot_hold_is_avoided() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let blank = scratch.path("my agent");
    fs::rename(&agent, &blank).unwrap();
    let cache = scratch.path("my cache");
    let environment = [("XDG_CACHE_HOME", text(&cache))];
    let from = ["--json", "--from", text(&blank)];
    let node = json_of(&run(&scratch, &environment, &[&from[..], &["--", "node", "app.js"]].concat()));
    let value = node["variables"]["NODE_OPTIONS"].as_str().unwrap();
    assert_eq!(value, format!("--require \"{}/nodejs/obtrace-loader.js\"", blank.canonicalize().unwrap().display()));
    let ruby = json_of(&run(&scratch, &environment, &[&from[..], &["--", "ruby", "app.rb"]].concat()));
    assert!(Path::new(ruby["folder"].as_str().unwrap()).starts_with(scratch.path("tmp")), "{ruby}");
    fs::create_dir(scratch.path("tmp too")).unwrap();
    let temporary = scratch.path("tmp too");
    let nowhere = [("XDG_CACHE_HOME", text(&cache)), ("TMPDIR", text(&temporary))];
    let said = failure(&run(&scratch, &nowhere, &[&from[..], &["--", "ruby", "app.rb"]].concat()), 1);
    assert!(said.contains("RUBYOPT cannot hold the path") && said.contains("set XDG_CACHE_HOME"), "{said}");
}

#[test]
fn settings_of_php_name_the_real_folder() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let answer = json_of(&run(&scratch, &[], &["--json", "--from", text(&agent), "--", "php", "x.php"]));
    let value = answer["variables"]["PHP_INI_SCAN_DIR"].as_str().unwrap();
    let settings = value.strip_suffix(':').unwrap();
    let settings = fs::read_to_string(Path::new(settings).join("00-obtrace.ini")).unwrap();
    let php = agent.join("php").canonicalize().unwrap();
    assert_eq!(settings, format!("auto_prepend_file = \"{}/obtrace_loader.php\"\n", php.display()));
    assert_eq!(answer["folder"], text(&php));
}

#[test]
fn the_java_agent_lies_where_the_user_says() {
    let scratch = Scratch::new();
    let jar = scratch.write("some where/obtrace-agent-0.1.0.jar", "PK").canonicalize().unwrap();
    let arguments = ["--json", "--java-agent", text(&jar), "--", "java", "-jar", "shop.jar"];
    let answer = json_of(&run(&scratch, &[("JAVA_TOOL_OPTIONS", "-Xmx64m")], &arguments));
    let value = format!("-Xmx64m -javaagent:\"{}\"", jar.display());
    assert_eq!(answer["variables"]["JAVA_TOOL_OPTIONS"], value);
    assert_eq!(answer["folder"], text(jar.parent().unwrap()));
    let said = failure(&run(&scratch, &[], &["--java-agent", "nowhere.jar", "--", "java", "-jar", "x.jar"]), 1);
    assert!(said.contains("--java-agent nowhere.jar: No such file"), "{said}");
    let said = failure(&run(&scratch, &[], &["--java-agent", text(&jar), "--", "node", "x.js"]), 1);
    assert!(said.contains("--java-agent is for Java; this runs nodejs"), "{said}");
    let nowhere = scratch.path("nowhere");
    let said = failure(&run(&scratch, &[], &["--from", text(&nowhere), "--", "java", "-jar", "x.jar"]), 1);
    assert!(said.contains("no loader of java in"), "{said}");
}

#[test]
fn the_program_takes_our_place() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let run =
        |script: &str| run(&scratch, &[], &["--language", "python", "--from", text(&agent), "--", "sh", "-c", script]);
    let output = run("echo \"$OBTRACE_LANGUAGE $PYTHONPATH\"; echo said >&2; exit 7");
    assert_eq!(output.status.code(), Some(7));
    let folder = agent.join("python").canonicalize().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("python {}\n", folder.display()));
    assert_eq!(output.stderr, b"said\n");
    assert_eq!(run("kill -TERM $$").status.signal(), Some(15));
    // What is piped into a program that ends early dies of it, as it does without us.
    assert_eq!(run("kill -PIPE $$").status.signal(), Some(13));
}

#[test]
fn the_process_stays_the_same() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let seen = scratch.path("pid");
    let script = format!("echo $$ > {}", text(&seen));
    let mut child = Command::new(PROGRAM)
        .args(["run", "--language", "python", "--from", text(&agent), "--", "sh", "-c", &script])
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(seen).unwrap().trim(), child.id().to_string());
}

#[test]
fn what_cannot_be_started_is_said_as_a_shell_does() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let from = ["--language", "python", "--from", text(&agent), "--"];
    let missing = run(&scratch, &[], &[&from[..], &["no-such-program"]].concat());
    assert!(failure(&missing, 127).contains("cannot run no-such-program"));
    let folder = run(&scratch, &[], &[&from[..], &[text(&agent)]].concat());
    assert!(failure(&folder, 126).contains("Permission denied"));
}

#[test]
fn printed_for_a_shell() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let output = run(
        &scratch,
        &[("RUBYOPT", "-W0")],
        &["--print-env", "--language", "ruby", "--service", "it's", "--from", text(&agent)],
    );
    let script = String::from_utf8(output.stdout).unwrap();
    let shell = Command::new("sh").args(["-c", &format!("{script}echo \"$OBTRACE_SERVICE_NAME $RUBYOPT\"")]).output();
    let ruby = agent.join("ruby").canonicalize().unwrap();
    let seen = String::from_utf8(shell.unwrap().stdout).unwrap();
    assert_eq!(seen, format!("it's -W0 -r {}/obtrace_loader\n", ruby.display()));
}
