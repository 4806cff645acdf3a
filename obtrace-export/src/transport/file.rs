//! Files of JSON lines, as the
//! [OTLP file exporter](https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/) writes them.

use std::{
    fs::{self, File as Handle, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Payload, Reply, SendError, local};

/// Where the lines go and how much of them is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileConfig {
    /// The file; its folder is made if it is not there. Of one signal only: the specification wants a file for each. Where it
    /// is a link, the file that it is a link to when the transport is made.
    pub path: PathBuf,
    /// Most bytes of a file; a line that would make it larger begins the next one. A single line may be larger. 64 MiB. Has no
    /// meaning for what is no file of its own: a terminal, a pipe, `/dev/stdout` and whatever else is below `/dev` (but for
    /// `/dev/shm`) or `/proc`, which is written to and never renamed or emptied.
    pub max_bytes: u64,
    /// How many files are kept beside the one that is written to, `traces.1.jsonl` being the newest of those of
    /// `traces.jsonl`. With 0 a full file is emptied. 4.
    pub kept: u32,
}

impl FileConfig {
    /// Lines go to this file, mostly called `….jsonl`.
    ///
    /// ```
    /// use obtrace_export::transport::FileConfig;
    ///
    /// let config = FileConfig::new("/var/log/app/traces.jsonl").with_max_bytes(16 << 20).with_kept(2);
    /// assert_eq!(config.most_bytes(), 48 << 20);
    /// ```
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_bytes: 64 << 20, kept: 4 }
    }

    /// Sets [`FileConfig::max_bytes`].
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets [`FileConfig::kept`].
    #[must_use]
    pub fn with_kept(mut self, files: u32) -> Self {
        self.kept = files;
        self
    }

    /// Whether the path leads to what is no file of its own: a device, a pipe, `/dev/stdout`. Several transports to one would
    /// tear each other's lines: clone one.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        // Where there is no folder yet, a file of its own is made.
        let is_system = resolved(&self.path).is_ok_and(|(_, is_ours)| !is_ours);
        is_system || fs::metadata(&self.path).is_ok_and(|there| !there.is_file())
    }

    /// How many bytes all files take together at most, if no line is larger than a file.
    #[must_use]
    pub fn most_bytes(&self) -> u64 {
        self.max_bytes.saturating_mul(u64::from(self.kept) + 1)
    }
}

/// Appends requests to a file, one OTLP JSON line each.
///
/// Lines are whole: one that could be written in part only (the disk is full) is taken back, and the end of one that an
/// earlier process left torn is marked before the next. A file that was renamed or removed by others (logrotate) is made
/// anew; one that they truncated is filled from its start.
///
/// The write blocks the thread it is made on: run the worker on a thread of its own where the disk is slow.
#[derive(Clone, Debug)]
pub struct File {
    config: Arc<FileConfig>,
    lines: Arc<Mutex<Lines>>,
}

impl File {
    /// A transport to that file; it is opened here, so that a wrong path is known at once.
    ///
    /// # Errors
    ///
    /// What the system said: there is no such folder and it cannot be made, the file may not be written.
    pub fn new(config: FileConfig) -> io::Result<Self> {
        if let Some(folder) = config.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let (path, is_ours) = resolved(&config.path)?;
        let mut lines = Lines { path, is_ours, handle: None, line: Vec::new() };
        lines.open()?;
        Ok(Self { config: Arc::new(config), lines: Arc::new(Mutex::new(lines)) })
    }

    /// The file that is written to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.config.path
    }

    /// Appends a request.
    pub(super) fn send(&self, payload: &Payload) -> Result<Reply, SendError> {
        local::write(payload, &self.config.path.to_string_lossy(), |json| self.append(json))
    }

    /// Appends a request and the end of the line.
    fn append(&self, json: &[u8]) -> io::Result<()> {
        // What panics under the lock leaves a file that is looked at anew with the next line.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).append(&self.config, json)
    }
}

/// The open file.
#[derive(Debug)]
struct Lines {
    /// Not a link.
    path: PathBuf,
    /// It may be renamed and emptied.
    is_ours: bool,
    handle: Option<Handle>,
    /// A line, with its end: written by one call, so that it is whole or not there.
    line: Vec<u8>,
}

impl Lines {
    fn append(&mut self, config: &FileConfig, json: &[u8]) -> io::Result<()> {
        let mut length = self.open()?;
        let size = json.len() as u64 + 1;
        if self.is_ours && length > 0 && length.saturating_add(size) > config.max_bytes {
            rotate(&self.path, config.kept)?;
            length = self.open()?;
        }
        let Some(handle) = &mut self.handle else { return Err(io::ErrorKind::NotFound.into()) };
        self.line.clear();
        self.line.extend_from_slice(json);
        self.line.push(b'\n');
        let written = handle.write_all(&self.line);
        self.line.shrink_to(KEPT_BUFFER);
        // Part of it may be there. Without it the file ends as it did; if even that fails, it is looked at anew.
        if written.is_err() && handle.set_len(length).is_err() {
            self.handle = None;
        }
        written
    }

    /// Opens the file if it is not the one that is open, and tells how long it is. A torn line at its end is ended.
    fn open(&mut self) -> io::Result<u64> {
        if let Some(handle) = &self.handle {
            let own = handle.metadata()?;
            match fs::metadata(&self.path) {
                Ok(there) if is_same(&own, &there) => return Ok(there.len()),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.handle = None,
            }
        }
        let mut handle = OpenOptions::new().append(true).read(true).create(true).open(&self.path)?;
        let there = handle.metadata()?;
        self.is_ours &= there.is_file();
        let mut length = there.len();
        if length > 0 {
            let mut last = [0];
            handle.seek(SeekFrom::Start(length - 1))?;
            handle.read_exact(&mut last)?;
            if last != *b"\n" {
                handle.write_all(b"\n")?;
                length += 1;
            }
        }
        self.handle = Some(handle);
        Ok(length)
    }
}

/// How much memory of a line is kept for the next.
const KEPT_BUFFER: usize = 1 << 20;

#[cfg(unix)]
fn is_same(own: &fs::Metadata, there: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

/// How many links lead to a file at most, as with Linux.
const MAX_LINKS: usize = 40;

/// The file behind all links, and whether it may be renamed and emptied. Links are followed one by one: `/dev/stdout` is one
/// to what may be an ordinary file, which is not ours all the same.
fn resolved(path: &Path) -> io::Result<(PathBuf, bool)> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize()?;
        let is_system = folder.starts_with("/proc") || (folder.starts_with("/dev") && !folder.starts_with("/dev/shm"));
        path = folder.join(name);
        if is_system {
            return Ok((path, false));
        }
        match fs::read_link(&path) {
            Ok(target) => path = folder.join(target),
            // No link, or nothing there yet.
            Err(_) => return Ok((path, true)),
        }
    }
    Err(io::Error::other("too many links lead to each other"))
}

/// Every file takes the place of the next older one; the oldest is gone.
fn rotate(path: &Path, files: u32) -> io::Result<()> {
    if files == 0 {
        return OpenOptions::new().write(true).truncate(true).open(path).map(drop);
    }
    for number in (1..files).rev() {
        match fs::rename(kept(path, number), kept(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, kept(path, 1))
}

/// `traces.jsonl` → `traces.1.jsonl`.
fn kept(path: &Path, number: u32) -> PathBuf {
    let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
    path.with_extension(match extension {
        Some(extension) => format!("{number}.{extension}"),
        None => number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is gone with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("obtrace-export-file-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn config(&self) -> FileConfig {
            FileConfig::new(self.0.join("t.jsonl"))
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.0.join(name)).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn lines_are_appended_to_what_is_there() {
        let folder = Folder::new("append");
        File::new(folder.config()).unwrap().append(b"{\"a\":1}").unwrap();
        let file = File::new(folder.config()).unwrap();
        file.append(b"{\"a\":2}").unwrap();
        file.clone().append(b"{\"a\":3}").unwrap();
        assert_eq!(folder.read("t.jsonl"), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    }

    #[test]
    fn a_torn_line_of_an_earlier_run_is_ended() {
        let folder = Folder::new("torn");
        fs::write(folder.0.join("t.jsonl"), "{}\n{\"torn").unwrap();
        File::new(folder.config()).unwrap().append(b"{}").unwrap();
        assert_eq!(folder.read("t.jsonl"), "{}\n{\"torn\n{}\n");
    }

    #[test]
    fn full_files_are_kept_up_to_their_number() {
        let folder = Folder::new("rotate");
        let file = File::new(folder.config().with_max_bytes(8).with_kept(2)).unwrap();
        for line in ["1111", "22", "33", "a longer line than a file", "55", "66"] {
            file.append(line.as_bytes()).unwrap();
        }
        assert_eq!(folder.names(), ["t.1.jsonl", "t.2.jsonl", "t.jsonl"]);
        assert_eq!(folder.read("t.jsonl"), "55\n66\n");
        assert_eq!(folder.read("t.1.jsonl"), "a longer line than a file\n");
        assert_eq!(folder.read("t.2.jsonl"), "33\n");
    }

    #[test]
    fn without_kept_files_a_full_one_is_emptied() {
        let folder = Folder::new("emptied");
        let file = File::new(folder.config().with_max_bytes(8).with_kept(0)).unwrap();
        ["1111", "22", "33"].iter().for_each(|line| file.append(line.as_bytes()).unwrap());
        assert_eq!((folder.names(), folder.read("t.jsonl")), (vec!["t.jsonl".to_owned()], "33\n".to_owned()));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_moved_away_or_truncated_is_written_anew() {
        let folder = Folder::new("moved");
        let file = File::new(folder.config()).unwrap();
        file.append(b"1").unwrap();
        fs::rename(folder.0.join("t.jsonl"), folder.0.join("t.jsonl-20260101")).unwrap();
        file.append(b"2").unwrap();
        assert_eq!((folder.read("t.jsonl-20260101"), folder.read("t.jsonl")), ("1\n".to_owned(), "2\n".to_owned()));
        fs::File::create(folder.0.join("t.jsonl")).unwrap();
        file.append(b"3").unwrap();
        assert_eq!(folder.read("t.jsonl"), "3\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told() {
        let file = File::new(FileConfig::new("/dev/full")).unwrap();
        assert_eq!(file.append(b"{}").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_known_at_once() {
        let folder = Folder::new("wrong");
        assert!(File::new(FileConfig::new(&folder.0)).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_file_is_rotated() {
        let folder = Folder::new("link");
        fs::create_dir(folder.0.join("data")).unwrap();
        // To what is not there yet, by way of another.
        std::os::unix::fs::symlink("data/real.jsonl", folder.0.join("second")).unwrap();
        std::os::unix::fs::symlink("second", folder.0.join("t.jsonl")).unwrap();
        let file = File::new(folder.config().with_max_bytes(8).with_kept(1)).unwrap();
        for line in ["1111", "22", "33", "44"] {
            file.append(line.as_bytes()).unwrap();
        }
        assert!(fs::symlink_metadata(folder.0.join("t.jsonl")).unwrap().is_symlink());
        assert_eq!(folder.names(), ["data", "second", "t.jsonl"]);
        assert_eq!(
            (folder.read("data/real.jsonl"), folder.read("data/real.1.jsonl")),
            ("33\n44\n".into(), "1111\n22\n".into())
        );
        std::os::unix::fs::symlink("loop", folder.0.join("loop")).unwrap();
        assert!(File::new(FileConfig::new(folder.0.join("loop"))).is_err());
    }

    /// As `/dev/stdout` is one: the file behind it may be an ordinary one, and another has it open.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_below_proc_is_never_renamed_or_emptied() {
        use std::os::fd::AsRawFd as _;
        let folder = Folder::new("proc");
        let of_others = fs::File::create(folder.0.join("output")).unwrap();
        let number = of_others.as_raw_fd();
        std::os::unix::fs::symlink(format!("/proc/self/fd/{number}"), folder.0.join("stdout")).unwrap();
        for (path, kept) in [(format!("/proc/self/fd/{number}").into(), 1), (folder.0.join("stdout"), 0)] {
            let file = File::new(FileConfig::new(path).with_max_bytes(8).with_kept(kept)).unwrap();
            ["1111", "2222"].iter().for_each(|line| file.append(line.as_bytes()).unwrap());
        }
        assert_eq!(
            (folder.names(), folder.read("output")),
            (vec!["output".into(), "stdout".into()], "1111\n2222\n".repeat(2))
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_of_its_own_is_known() {
        let folder = Folder::new("shared");
        std::os::unix::fs::symlink("/dev/null", folder.0.join("null")).unwrap();
        std::os::unix::fs::symlink("/proc/self/fd/0", folder.0.join("input")).unwrap();
        fs::write(folder.0.join("t.jsonl"), "").unwrap();
        let is_shared = |path: &Path| FileConfig::new(path).is_shared();
        for name in ["null", "input", ""] {
            assert!(is_shared(&folder.0.join(name)), "{name}");
        }
        for name in ["t.jsonl", "new.jsonl", "no/folder.jsonl"] {
            assert!(!is_shared(&folder.0.join(name)), "{name}");
        }
        for (path, expected) in
            [("/dev/stdout", true), ("/dev/new", true), ("/proc/self/fd/1", true), ("/dev/shm/x.jsonl", false)]
        {
            assert_eq!(is_shared(Path::new(path)), expected, "{path}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_are_written_to_and_stay() {
        let folder = Folder::new("device");
        let dev = folder.0.join("null");
        std::os::unix::fs::symlink("/dev/null", &dev).unwrap();
        let file = File::new(FileConfig::new(&dev).with_max_bytes(1)).unwrap();
        file.append(b"{}").unwrap();
        file.append(b"{}").unwrap();
        assert!(!file.lines.lock().unwrap().is_ours && fs::symlink_metadata(&dev).unwrap().is_symlink());
        assert_eq!(folder.names(), ["null"]);
        assert!(resolved(Path::new("/dev/shm/obtrace-export-test")).is_ok_and(|(_, is_ours)| is_ours));
    }
}
