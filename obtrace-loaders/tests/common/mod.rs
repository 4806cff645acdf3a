//! Folders that go away, loaders to copy, the program.
#![allow(dead_code, reason = "each test file uses what it needs")]
#![allow(clippy::unwrap_used, reason = "what cannot be prepared fails the test")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

/// A folder that is removed in the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("obtrace-loaders-test-{}-{count}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, and the folders on the way.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A folder with loaders of four languages, as `/agent` in the image.
    pub(crate) fn agent(&self) -> PathBuf {
        self.write("agent/python/obtrace_python/core.py", "core\n");
        self.write("agent/python/obtrace_python/deep/er.py", vec![b'x'; 300_000]);
        self.write("agent/python/obtrace_loader.py", "loader\n");
        self.write("agent/python/sitecustomize.py", "site\n");
        self.write("agent/php/obtrace_php/core.php", "<?php\n");
        self.write("agent/php/obtrace_loader.php", "<?php loader\n");
        self.write("agent/php/php.d/00-obtrace.ini", "auto_prepend_file = \"/obtrace/obtrace_loader.php\"\n");
        self.write("agent/ruby/obtrace_loader.rb", "loader\n");
        self.write("agent/nodejs/obtrace-loader.js", "loader\n");
        for language in ["python", "php", "ruby", "nodejs"] {
            let folder = self.path("agent").join(language);
            expect(&["manifest", "--language", language, folder.to_str().unwrap()], 0);
        }
        self.path("agent")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_obtrace-loaders");

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// Runs it, expects this exit code, and gives what it said on standard error.
pub(crate) fn expect(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The paths of all files and folders below a folder, sorted.
pub(crate) fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(&here).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            if path.symlink_metadata().unwrap().is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}
