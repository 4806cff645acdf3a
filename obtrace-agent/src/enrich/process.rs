//! What `/proc` says of a process.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

/// Most bytes read of a file that the process itself controls.
const MAX_TEXT: u64 = 128 * 1024;

/// A process as it is now. Nothing of it is kept but what its resource needs.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) executable: String,
    pub(super) command_line: Vec<u8>,
    environment: Vec<u8>,
    pub(super) cgroup: String,
}

impl Process {
    /// Reads a process below `proc` (mostly `/proc`); `None` if there is none.
    pub(super) fn read(proc: &Path, pid: u32) -> Option<Self> {
        let folder = proc.join(pid.to_string());
        let command_line = read(&folder.join("cmdline"))?;
        let executable = fs::read_link(folder.join("exe")).ok();
        let comm = || String::from_utf8_lossy(&read(&folder.join("comm")).unwrap_or_default()).trim_end().to_owned();
        let executable = match executable {
            Some(path) => path.to_string_lossy().into_owned(),
            // Another user's process, and no right to look.
            None if command_line.is_empty() => comm(),
            None => String::new(),
        };
        let environment = read(&folder.join("environ")).unwrap_or_default();
        let cgroup = String::from_utf8_lossy(&read(&folder.join("cgroup")).unwrap_or_default()).into_owned();
        Some(Self { executable, command_line, environment, cgroup })
    }

    /// The command line, its program's name in front.
    pub(super) fn arguments(&self) -> Vec<&str> {
        let arguments = self.command_line.split(|b| *b == 0);
        arguments.filter_map(|argument| std::str::from_utf8(argument).ok()).filter(|a| !a.is_empty()).collect()
    }

    /// A variable of its environment as it was when the program began; not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.split(|b| *b == 0).find_map(|entry| {
            let (key, value) = (entry.get(..name.len())?, entry.get(name.len()..)?);
            if key == name.as_bytes() { value.strip_prefix(b"=") } else { None }
        })?;
        std::str::from_utf8(found).ok().map(str::trim).filter(|value| !value.is_empty())
    }
}

fn read(path: &PathBuf) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_TEXT).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
