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
    /// Reads a process below `proc` (mostly `/proc`); `None` if there is none, or no more than its number: one that ends
    /// loses its memory, and with it its arguments and environment, before it loses its entry there.
    pub(super) fn read(proc: &Path, pid: u32) -> Option<Self> {
        let folder = proc.join(pid.to_string());
        let executable = fs::read_link(folder.join("exe"));
        let environment = read(&folder.join("environ")).unwrap_or_default();
        let cgroup = String::from_utf8_lossy(&read(&folder.join("cgroup")).unwrap_or_default()).into_owned();
        // Last: while there are arguments, the environment that was read before is whole.
        let command_line = read(&folder.join("cmdline"))?;
        let comm = || String::from_utf8_lossy(&read(&folder.join("comm")).unwrap_or_default()).trim_end().to_owned();
        let executable = match executable {
            _ if command_line.is_empty() && has_ended(&folder) => return None,
            Ok(path) => path.to_string_lossy().into_owned(),
            // The kernel's own, or another user's and no right to look.
            Err(_) if command_line.is_empty() => comm(),
            Err(_) => String::new(),
        };
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

/// Whether a process without arguments is one that ends or has ended: `state` and `flags` of proc_pid_stat(5).
fn has_ended(folder: &Path) -> bool {
    const PF_EXITING: u32 = 0x4;
    let Some(stat) = read(&folder.join("stat")) else { return true };
    let stat = String::from_utf8_lossy(&stat);
    // The name before it may hold anything, brackets too.
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    let state = fields.next();
    let flags = fields.nth(5).and_then(|flags| flags.parse::<u32>().ok());
    matches!(state, Some("Z" | "X")) || flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

fn read(path: &PathBuf) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_TEXT).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
