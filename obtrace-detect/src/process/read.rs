//! Running processes from `/proc`.

use std::{
    borrow::{Cow, ToOwned as _},
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher as _},
    path::{Path, PathBuf},
    string::String,
    sync::Arc,
    vec::Vec,
};

use super::{
    Executable, Process, Script, agents, entry,
    error::{ProcessError, ProcessErrorKind},
    framework,
    procfs::Folder,
    verdict, versions,
};
use crate::{EnvVar, Runtime};

/// Bytes of the command line; class paths are long.
const CMDLINE: usize = 32 << 10;
/// Arguments that are kept.
const ARGUMENTS: usize = 512;
/// Bytes of the environment.
const ENVIRONMENT: usize = 128 << 10;
/// Bytes of the list of mappings; a large JVM has 300 KiB.
const MAPS: usize = 512 << 10;
/// Mapped files that are kept: the newest, which the kernel lists first, and as many of the oldest, which are the runtime's
/// libraries.
const MAPPED: usize = 128;
/// The longest path that is kept.
const PATH: usize = 256;
/// Variables that are kept.
const VARIABLES: usize = 32;
/// As much is kept of a variable's value.
const VALUE: usize = 2 << 10;
/// Open files of a JVM that are looked at.
const FILES: usize = 256;
/// Archives among them that are kept.
const ARCHIVES: usize = 64;
/// Bytes of a script.
const SCRIPT: usize = 16 << 10;
/// Executables that are remembered.
const EXECUTABLES: usize = 1024;
/// Processes that are remembered.
const PROCESSES: usize = 512;

/// Reads processes, and remembers 512 of them and 1024 executables: a process takes about 10 KiB, and no more than 200.
///
/// A process is read anew when it runs another program, changes its title, or has mapped or unmapped something other than
/// memory for data since. Most of what reading costs is the kernel's list of mappings.
///
/// Nothing is executed, and nothing is written. Of an executable at most [`Executable::LIMIT`] bytes are read, every other
/// file to a bound of its own. Of the environment only variables are kept that say something about the runtime, the
/// framework or agents; passwords are not read out of it.
///
/// ```
/// use obtrace_detect::process::{Reader, inspect};
///
/// let mut reader = Reader::new();
/// let process = reader.read(std::process::id())?;
/// assert_eq!(inspect(&process).language().as_str(), "rust");
/// assert!(reader.executable_bytes() <= 64 << 10);
/// # Ok::<(), obtrace_detect::process::ProcessError>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    proc: PathBuf,
    executables: Remembered<Key, Option<Arc<Executable>>>,
    processes: Remembered<u32, Known>,
    executable_bytes: u64,
}

/// A file, and its state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Key {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

/// A process that was read, and by what it is seen that there is nothing new.
#[derive(Debug)]
struct Known {
    state: State,
    process: Arc<Process<'static>>,
}

/// What changes when a process does.
#[derive(Debug, Eq, PartialEq)]
struct State {
    /// When it was started: another process may have its number.
    start: u64,
    executable: Key,
    /// Pages that are mapped and not for data: files, for the most part.
    mapped: u64,
    /// A hash of the command line.
    cmdline: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// Reads from `/proc`.
    #[must_use]
    pub fn new() -> Self {
        Self::at("/proc")
    }

    /// Reads from another mount of it: `/host/proc` of an agent in a container.
    #[must_use]
    pub fn at(proc: impl AsRef<Path>) -> Self {
        let proc = proc.as_ref().to_owned();
        Self {
            proc,
            executables: Remembered::new(EXECUTABLES),
            processes: Remembered::new(PROCESSES),
            executable_bytes: 0,
        }
    }

    /// How many bytes of executables were read so far. What is remembered was not read again.
    #[must_use]
    pub fn executable_bytes(&self) -> u64 {
        self.executable_bytes
    }

    /// Reads the process `pid`, a number of the PID namespace that the mount of `/proc` belongs to.
    ///
    /// # Errors
    ///
    /// If there is no such process, it ends or starts another program meanwhile, is a thread of the kernel, or may not be
    /// looked into. Whatever else cannot be read is left out.
    pub fn read(&mut self, pid: u32) -> Result<Arc<Process<'static>>, ProcessError> {
        let folder = Folder::open(&self.proc, pid)?;
        let exe = folder.link("exe")?;
        let arguments = folder.bytes("cmdline", CMDLINE)?;
        let state = state(&folder, &arguments)?;
        if let Some(known) = self.processes.get(&pid)
            && known.state == state
        {
            return Ok(Arc::clone(&known.process));
        }
        let mut process = Process::new();
        if let Some(executable) = self.executable(&folder, state.executable)? {
            process = process.with_executable(&executable);
        }
        process.cmdline = cmdline(&arguments);
        process.maps = maps(&folder.bytes("maps", MAPS)?);
        process.env = environment(&folder.bytes("environ", ENVIRONMENT)?);
        let comm = folder.bytes("comm", 64)?;
        process.comm = Some(text(comm.strip_suffix(b"\n").unwrap_or(&comm)).into());
        // What was read is of one program only if it is still the same.
        if key(&folder)? != state.executable {
            return Err(ProcessError::new(pid, ProcessErrorKind::Vanished, "exe", None));
        }
        process.exe = Some(exe.into());
        let runtime = verdict::runtime(&process);
        if runtime == Runtime::Jvm {
            let files = folder.links("fd", FILES).into_iter();
            let archives = files.filter(|file| file.ends_with(".jar") || file.ends_with(".war"));
            let archives = archives.filter(|file| file.len() <= PATH).take(ARCHIVES);
            process.files = archives.map(Cow::Owned).collect();
        }
        process.script = script(&folder, &process, runtime);
        let process = Arc::new(process);
        self.processes.put(pid, Known { state, process: Arc::clone(&process) });
        Ok(process)
    }

    fn executable(&mut self, folder: &Folder, key: Key) -> Result<Option<Arc<Executable>>, ProcessError> {
        if let Some(known) = self.executables.get(&key) {
            return Ok(known.clone());
        }
        let executable = Executable::from_file(&folder.follow("exe")?).map(Arc::new);
        self.executable_bytes += executable.as_ref().map_or(0, |executable| executable.bytes_read);
        self.executables.put(key, executable.clone());
        Ok(executable)
    }
}

/// A table of bounded size: the oldest entry goes.
#[derive(Debug)]
struct Remembered<K, V> {
    limit: usize,
    entries: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V> Remembered<K, V> {
    fn new(limit: usize) -> Self {
        Self { limit, entries: HashMap::new(), order: VecDeque::new() }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    fn put(&mut self, key: K, value: V) {
        if self.entries.insert(key, value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}

fn key(folder: &Folder) -> Result<Key, ProcessError> {
    let stat = folder.stat("exe")?;
    Ok(Key {
        device: stat.st_dev,
        inode: stat.st_ino,
        size: stat.st_size,
        modified: (stat.st_mtime, stat.st_mtime_nsec),
        changed: (stat.st_ctime, stat.st_ctime_nsec),
    })
}

fn state(folder: &Folder, cmdline: &[u8]) -> Result<State, ProcessError> {
    let mut hasher = DefaultHasher::new();
    cmdline.hash(&mut hasher);
    let number = |text: &str, field: usize| text.split_whitespace().nth(field).and_then(|number| number.parse().ok());
    let stat = text(&folder.bytes("stat", 1 << 10)?);
    // The program's name is in brackets and may have blanks and brackets in it.
    let start = stat.rsplit(')').next().and_then(|rest| number(rest, 19)).unwrap_or(0);
    let memory = text(&folder.bytes("statm", 256)?);
    let pages = |field| number(&memory, field).unwrap_or(0);
    let (size, data): (u64, u64) = (pages(0), pages(5));
    Ok(State { start, executable: key(folder)?, mapped: size.saturating_sub(data), cmdline: hasher.finish() })
}

/// Reads the process `pid` from `/proc`. For many of them a [`Reader`] is cheaper.
///
/// # Errors
///
/// As [`Reader::read`].
pub fn read(pid: u32) -> Result<Process<'static>, ProcessError> {
    Reader::new().read(pid).map(Arc::unwrap_or_clone)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn cmdline(bytes: &[u8]) -> Vec<Cow<'static, str>> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    // Titles are written over the arguments, with what was longer left as zeros.
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let bytes = bytes.get(..end).unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|byte| *byte == 0).take(ARGUMENTS).map(|argument| text(argument).into()).collect()
}

/// The paths of mapped files, each once, in the order of their addresses.
fn maps(bytes: &[u8]) -> Vec<Cow<'static, str>> {
    let mut seen = HashSet::new();
    let mut paths: Vec<&[u8]> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        // Nothing before the path has a slash in it.
        let Some(path) = line.iter().position(|byte| *byte == b'/').and_then(|at| line.get(at..)) else { continue };
        // A library's parts are neighbours.
        if path.len() <= PATH && paths.last() != Some(&path) && seen.insert(path) {
            paths.push(path);
        }
    }
    let (newest, rest) = paths.split_at(MAPPED.min(paths.len()));
    let oldest = rest.get(rest.len().saturating_sub(MAPPED)..).unwrap_or_default();
    newest.iter().chain(oldest).map(|path| text(path).into()).collect()
}

/// The variables that say something. Others may be secrets.
fn environment(bytes: &[u8]) -> Vec<EnvVar<'static>> {
    let is_telling = |name: &[u8]| {
        core::str::from_utf8(name).is_ok_and(|name| {
            name == "OBTRACE_LANGUAGE"
                || agents::is_variable(name)
                || framework::is_variable(name)
                || versions::is_variable(name)
        })
    };
    let variable = |entry: &[u8]| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        let name = entry.get(..at).filter(|name| is_telling(name))?;
        let value = entry.get(at + 1..)?;
        Some(EnvVar::new(text(name), text(value.get(..VALUE).unwrap_or(value))))
    };
    bytes.split(|byte| *byte == 0).filter_map(variable).take(VARIABLES).collect()
}

/// The first of the files that the program may be in, and what it loads.
fn script(folder: &Folder, process: &Process<'_>, runtime: Runtime) -> Option<Script<'static>> {
    entry::candidates(process, runtime).into_iter().find_map(|path| {
        let beginning = folder.file(&path, SCRIPT)?;
        Some(Script::new(path, entry::imports(&beginning, runtime)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_files_each_once() {
        let text = b"557d5a1a7000-557d5a1a8000 r--p 00000000 fe:00 1081 /usr/bin/python3.11\n\
            557d5a1a8000-557d5a1a9000 r-xp 00001000 fe:00 1081 /usr/bin/python3.11\n\
            7f1e0c000000-7f1e0c021000 rw-p 00000000 00:00 0 \n\
            7f1e10000000-7f1e10021000 rw-p 00000000 00:00 0                          [heap]\n\
            7f1e14000000-7f1e14021000 r--p 00000000 fe:00 77 /opt/my app/lib.so (deleted)\n\
            7f1e18000000-7f1e18021000 r--p 00002000 fe:00 1081 /usr/bin/python3.11\n";
        assert_eq!(maps(text), ["/usr/bin/python3.11", "/opt/my app/lib.so (deleted)"]);
    }

    #[test]
    fn of_many_mapped_files_the_newest_and_the_oldest_are_kept() {
        let text: Vec<u8> =
            (0..2000).flat_map(|number| std::format!("1-2 r--p 0 0:0 1 /lib/{number}.so\n").into_bytes()).collect();
        let kept = maps(&text);
        assert_eq!(kept.len(), 2 * MAPPED);
        assert_eq!((kept[0].as_ref(), kept[2 * MAPPED - 1].as_ref()), ("/lib/0.so", "/lib/1999.so"));
    }

    #[test]
    fn command_lines() {
        assert_eq!(cmdline(b"java\0-jar\0x.jar\0"), ["java", "-jar", "x.jar"]);
        assert_eq!(cmdline(b"node\0\0x\0"), ["node", "", "x"]);
        assert_eq!(cmdline(b"puma 5.6.5 [shop]\0\0\0\0\0"), ["puma 5.6.5 [shop]"]);
        assert_eq!(cmdline(b"\xff\xfe\0"), ["\u{fffd}\u{fffd}"]);
        assert!(cmdline(b"").is_empty());
    }

    #[test]
    fn secrets_of_the_environment_are_not_kept() {
        let kept = environment(
            b"API_KEY=secret\0NODE_OPTIONS=--require x=y\0OTEL_EXPORTER_OTLP_HEADERS=k=v\0NODE_VERSION\0\0",
        );
        assert_eq!(kept, [EnvVar::new("NODE_OPTIONS", "--require x=y")]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut remembered = Remembered::new(10);
        for number in 0..30 {
            remembered.put(number % 20, number);
            assert!(remembered.entries.len() <= 10 && remembered.entries.len() == remembered.order.len());
        }
        assert_eq!((remembered.get(&9), remembered.get(&10)), (Some(&29), None));
    }
}
