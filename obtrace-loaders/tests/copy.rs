//! `obtrace-loaders copy`: complete or not at all.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use common::{PROGRAM, Scratch, expect, text, tree};

const PYTHON: [&str; 7] = [
    "obtrace_loader.py",
    "obtrace_python",
    "obtrace_python/core.py",
    "obtrace_python/deep",
    "obtrace_python/deep/er.py",
    "python.manifest",
    "sitecustomize.py",
];

/// What is done to a file or folder.
type Breaks = fn(&Path);

fn copy(agent: &Path, to: &Path, code: i32) -> String {
    expect(&["copy", "--language", "python", "--from", text(agent), "--to", text(to)], code)
}

#[test]
fn everything_is_there_and_nothing_else() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let to = scratch.path("volume");
    assert!(copy(&agent, &to, 0).contains("python 0.1.0: 4 files"));
    assert_eq!(tree(&to), PYTHON);
    assert_eq!(fs::read(to.join("obtrace_python/deep/er.py")).unwrap(), vec![b'x'; 300_000]);
    expect(&["verify", text(&to)], 0);
}

#[test]
fn everybody_may_read_whatever_the_umask() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let to = scratch.path("volume");
    let script =
        format!("umask 077; exec {PROGRAM} copy -q --language python --from {} --to {}", text(&agent), text(&to));
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    for path in tree(&to).into_iter().chain([String::new()]) {
        let mode = to.join(&path).metadata().unwrap().mode() & 0o777;
        let wanted = if to.join(&path).is_dir() { 0o755 } else { 0o644 };
        assert_eq!(mode, wanted, "{path}: {mode:o}");
    }
}

#[test]
fn what_is_complete_is_left_alone() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let to = scratch.path("volume");
    copy(&agent, &to, 0);
    let before = inodes(&to);
    assert!(copy(&agent, &to, 0).contains("complete in"));
    assert_eq!(inodes(&to), before);

    // The copy that made it complete was killed before it had tidied up.
    fs::create_dir(to.join(".obtrace-copy.1.2")).unwrap();
    assert!(copy(&agent, &to, 0).contains("complete in"));
    assert_eq!(inodes(&to), before);
}

fn inodes(folder: &Path) -> Vec<(String, u64)> {
    tree(folder).into_iter().map(|path| (path.clone(), folder.join(&path).symlink_metadata().unwrap().ino())).collect()
}

#[test]
fn what_is_broken_is_repaired() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let to = scratch.path("volume");
    let repairs: [(&str, Breaks); 7] = [
        ("nothing is there", |_| {}),
        ("a file is missing", |to| fs::remove_file(to.join("obtrace_python/core.py")).unwrap()),
        ("a file is cut", |to| fs::write(to.join("obtrace_python/deep/er.py"), "xxx").unwrap()),
        ("a file of the same size is another", |to| fs::write(to.join("obtrace_python/core.py"), "cor3\n").unwrap()),
        ("a file is for us alone", |to| mode(&to.join("obtrace_python/core.py"), 0o600)),
        ("a folder is for us alone", |to| mode(&to.join("obtrace_python"), 0o700)),
        ("a copy was killed", |to| {
            fs::remove_file(to.join("sitecustomize.py")).unwrap();
            fs::create_dir(to.join(".obtrace-copy.1.2")).unwrap();
            fs::write(to.join(".obtrace-copy.1.2/0"), "half").unwrap();
        }),
    ];
    for (what, breaks) in repairs {
        breaks(&to);
        assert!(copy(&agent, &to, 0).contains("4 files"), "{what}");
        assert_eq!(tree(&to), PYTHON, "{what}");
        expect(&["verify", text(&to)], 0);
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_damaged_source_shows_nothing() {
    let damages: [(&str, Breaks); 3] = [
        ("cut", |file| fs::write(file, "x").unwrap()),
        ("longer", |file| fs::write(file, vec![b'x'; 300_001]).unwrap()),
        ("missing", |file| fs::remove_file(file).unwrap()),
    ];
    for (what, damage) in damages {
        let scratch = Scratch::new();
        let agent = scratch.agent();
        damage(&agent.join("python/obtrace_python/deep/er.py"));
        let to = scratch.path("volume");
        let said = copy(&agent, &to, 1);
        assert!(said.contains("er.py") && said.contains("damaged"), "{what}: {said}");
        assert_eq!(tree(&to), [""; 0], "{what}");
    }
}

/// An entry file that is there was there before: what it loads could not be put in place.
#[test]
fn entries_come_last() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let to = scratch.path("volume");
    scratch.write("volume/obtrace_python/core.py/in-the-way", "");
    let said = copy(&agent, &to, 1);
    assert!(said.contains("core.py") && said.contains("remove the folder"), "{said}");
    let there = tree(&to);
    assert!(!there.iter().any(|path| path == "sitecustomize.py" || path == "obtrace_loader.py"), "{there:?}");
    assert!(!there.iter().any(|path| path.starts_with(".obtrace-copy")), "{there:?}");
}

#[test]
fn links_are_not_followed() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let outside = scratch.write("outside/kept", "kept");
    let to = scratch.path("volume");
    fs::create_dir(&to).unwrap();
    // A link in place of a file is replaced, one in place of a folder refused.
    symlink(&outside, to.join("sitecustomize.py")).unwrap();
    copy(&agent, &to, 0);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
    assert!(to.join("sitecustomize.py").symlink_metadata().unwrap().is_file());

    fs::remove_dir_all(to.join("obtrace_python")).unwrap();
    symlink(scratch.path("outside"), to.join("obtrace_python")).unwrap();
    let said = copy(&agent, &to, 1);
    assert!(said.contains("links are not followed"), "{said}");
    assert_eq!(tree(&scratch.path("outside")), ["kept"]);

    // The folder itself may be one: that is the caller's choice.
    symlink(scratch.path("outside"), scratch.path("link")).unwrap();
    copy(&agent, &scratch.path("link"), 0);
    expect(&["verify", text(&scratch.path("outside"))], 0);
}

#[test]
fn two_languages_at_once() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let to = scratch.path("volume");
    expect(&["copy", "--language", "python,php,python", "--from", text(&agent), "--to", text(&to)], 0);
    expect(&["verify", text(&to), "--language", "php,python"], 0);

    scratch.write("agent/php/obtrace_python/core.py", "another\n");
    expect(&["manifest", "--language", "php", text(&agent.join("php"))], 0);
    let other = scratch.path("other");
    let said = expect(&["copy", "--language", "python,php", "--from", text(&agent), "--to", text(&other)], 1);
    assert!(said.contains("obtrace_python/core.py of python and of php differ"), "{said}");
    assert!(!other.exists());
}

#[test]
fn copies_at_the_same_time() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let to = scratch.path("volume");
    let children: Vec<_> = (0..12)
        .map(|index| {
            let language = if index % 3 == 0 { "python,php" } else { "python" };
            let mut command = Command::new(PROGRAM);
            command.args(["copy", "-q", "--language", language, "--from", text(&agent), "--to", text(&to)]);
            command.stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    expect(&["verify", text(&to), "--language", "python,php"], 0);
    assert!(!tree(&to).iter().any(|path| path.starts_with(".obtrace-copy")));
}

/// Killed at any moment: an entry file that is there finds everything, and the next copy repairs what is left.
#[test]
fn a_killed_copy_leaves_no_entry_without_its_files() {
    let scratch = Scratch::new();
    scratch.agent();
    for part in 0..40 {
        scratch.write(&format!("agent/python/obtrace_python/part{part}.py"), vec![b'y'; 20_000]);
    }
    let agent = scratch.path("agent");
    expect(&["manifest", "--language", "python", text(&agent.join("python"))], 0);
    let began = Instant::now();
    copy(&agent, &scratch.path("whole"), 0);
    let usual = began.elapsed();
    let (mut unfinished, mut finished) = (0, 0);
    for step in 0..24_u32 {
        let to = scratch.path("volume");
        let mut command = Command::new(PROGRAM);
        command.args(["copy", "-q", "--language", "python", "--from", text(&agent), "--to", text(&to)]);
        let mut child = command.spawn().unwrap();
        thread::sleep(usual * step / 20);
        child.kill().unwrap();
        child.wait().unwrap();
        if to.join("obtrace_loader.py").exists() {
            finished += 1;
            // Its own entry may be the only one that is missing.
            let said = common::run(&["verify", text(&to)]);
            let said = String::from_utf8(said.stderr).unwrap();
            assert!(!said.contains("obtrace_python"), "{said}");
        } else {
            unfinished += 1;
        }
        copy(&agent, &to, 0);
        expect(&["verify", text(&to)], 0);
        assert!(!tree(&to).iter().any(|path| path.starts_with(".obtrace-copy")));
        fs::remove_dir_all(&to).unwrap();
    }
    assert!(unfinished > 0, "{finished} copies ended before they were killed");
}

#[test]
fn a_newer_version_replaces_an_older_one() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let to = scratch.path("volume");
    copy(&agent, &to, 0);
    scratch.write("agent/python/obtrace_python/core.py", "newer core\n");
    expect(&["manifest", "--language", "python", "--loader-version", "0.2.0", text(&agent.join("python"))], 0);
    assert!(copy(&agent, &to, 0).contains("python 0.2.0: 4 files"));
    assert_eq!(fs::read_to_string(to.join("obtrace_python/core.py")).unwrap(), "newer core\n");
}

#[test]
fn errors_say_what_to_do() {
    let scratch = Scratch::new();
    let agent = scratch.agent();
    let file = scratch.write("file", "");
    let said = copy(&agent, &file, 1);
    assert!(said.contains("Not a directory") && said.contains("name a folder"), "{said}");
    let said = copy(&agent, &file.join("below"), 1);
    assert!(said.contains("Not a directory"), "{said}");
    let to = scratch.path("volume");
    let java = expect(&["copy", "--language", "java", "--from", text(&agent), "--to", text(&to)], 1);
    assert!(java.contains("no loader of java in") && java.contains("cargo xtask loaders"), "{java}");
    fs::remove_file(agent.join("ruby/ruby.manifest")).unwrap();
    let ruby = expect(&["copy", "--language", "ruby", "--from", text(&agent), "--to", text(&to)], 1);
    assert!(ruby.contains("holds no ruby.manifest"), "{ruby}");
    scratch.write("agent/ruby/ruby.manifest", "not a manifest");
    let ruby = expect(&["copy", "--language", "ruby", "--from", text(&agent), "--to", text(&to)], 1);
    assert!(ruby.contains("ruby.manifest is no manifest"), "{ruby}");
    fs::copy(agent.join("php/php.manifest"), agent.join("ruby/ruby.manifest")).unwrap();
    let ruby = expect(&["copy", "--language", "ruby", "--from", text(&agent), "--to", text(&to)], 1);
    assert!(ruby.contains("another language"), "{ruby}");
    assert!(!to.exists());

    let usage = expect(&["copy", "--language", "pyton", "--to", text(&to)], 2);
    assert!(usage.contains("a similar value exists: 'python'"), "{usage}");
    let usage = expect(&["copy", "--language", "go", "--to", text(&to)], 2);
    assert!(usage.contains("possible values: nodejs, python, java, dotnet, php, ruby"), "{usage}");
    expect(&["copy", "--to", text(&to)], 2);
    expect(&["copy", "--language", "python"], 2);
}
