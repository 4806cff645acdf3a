//! Files of one process below `/proc`, each read to a bound.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::Path,
    string::String,
    vec::Vec,
};

use rustix::{
    fs::{Dir, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::error::{ProcessError, ProcessErrorKind};

/// The folder of one process. It stays the folder of this process: once the process has ended nothing is found in it,
/// even if its number is another's by then.
pub(super) struct Folder {
    pid: u32,
    fd: OwnedFd,
}

impl Folder {
    /// Opens `PROC/PID`.
    pub(super) fn open(proc: &Path, pid: u32) -> Result<Self, ProcessError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(proc.join(itoa(pid).as_str()), flags, Mode::empty()) {
            Ok(fd) => Ok(Self { pid, fd }),
            Err(errno) => {
                let is_there = proc.join("self").symlink_metadata().is_ok();
                let kind = match errno {
                    Errno::NOENT if !is_there => ProcessErrorKind::NoProc,
                    Errno::NOENT => ProcessErrorKind::NotFound,
                    errno => kind_of(errno),
                };
                Err(ProcessError::new(pid, kind, "", Some(errno.into())))
            }
        }
    }

    /// At most `limit` bytes of a file.
    pub(super) fn bytes(&self, name: &'static str, limit: usize) -> Result<Vec<u8>, ProcessError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let read = || -> io::Result<Vec<u8>> {
            let file = File::from(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?);
            // Files of /proc have no length, and the kernel hands out a page at a time.
            let mut bytes = Vec::with_capacity(limit.min(16 << 10));
            file.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|error| self.failed(name, error))
    }

    /// Where a link points.
    pub(super) fn link(&self, name: &'static str) -> Result<String, ProcessError> {
        match rustix::fs::readlinkat(&self.fd, name, Vec::new()) {
            Ok(target) => Ok(target.to_string_lossy().into_owned()),
            // A thread of the kernel has no program, nor has a process that has ended.
            Err(Errno::NOENT) => Err(self.without_program(name)),
            Err(errno) => Err(self.failed(name, errno.into())),
        }
    }

    /// Opens a file that a link of this folder leads to, in whatever mount namespace that is.
    pub(super) fn follow(&self, name: &'static str) -> Result<File, ProcessError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty());
        fd.map(File::from).map_err(|errno| self.failed(name, errno.into()))
    }

    /// What the file is that a link of this folder leads to.
    pub(super) fn stat(&self, name: &'static str) -> Result<rustix::fs::Stat, ProcessError> {
        let stat = rustix::fs::statat(&self.fd, name, rustix::fs::AtFlags::empty());
        stat.map_err(|errno| self.failed(name, errno.into()))
    }

    /// At most `limit` bytes of a regular file as the process would open it. Links in the process's file system lead to
    /// nowhere outside it, and nothing that would block is waited for.
    pub(super) fn file(&self, path: &str, limit: usize) -> Option<Vec<u8>> {
        let base = if path.starts_with('/') { "root" } else { "cwd" };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let base = rustix::fs::openat(&self.fd, base, flags, Mode::empty()).ok()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let file = File::from(rustix::fs::openat2(&base, path, flags, Mode::empty(), resolve).ok()?);
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(u64::try_from(limit).ok()?).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Where the links of a folder point, at most `limit` of them.
    pub(super) fn links(&self, name: &str, limit: usize) -> Vec<String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(folder) = rustix::fs::openat(&self.fd, name, flags, Mode::empty()) else { return Vec::new() };
        let Ok(entries) = Dir::read_from(&folder) else { return Vec::new() };
        let target = |entry: rustix::fs::DirEntry| rustix::fs::readlinkat(&folder, entry.file_name(), Vec::new()).ok();
        let targets = entries.flatten().take(limit).filter_map(target);
        targets.map(|target| target.to_string_lossy().into_owned()).collect()
    }

    pub(super) fn failed(&self, name: &'static str, error: io::Error) -> ProcessError {
        let kind = error.raw_os_error().map_or(ProcessErrorKind::Other, |code| kind_of(Errno::from_raw_os_error(code)));
        ProcessError::new(self.pid, kind, name, Some(error))
    }

    /// Why there is no program.
    fn without_program(&self, name: &'static str) -> ProcessError {
        let kind = match self.bytes("status", 4 << 10) {
            Err(_) => ProcessErrorKind::Vanished,
            Ok(status) => {
                let status = String::from_utf8_lossy(&status);
                let state = status.lines().find_map(|line| line.strip_prefix("State:"));
                match state.and_then(|state| state.trim().chars().next()) {
                    Some('Z') => ProcessErrorKind::Zombie,
                    Some('X') => ProcessErrorKind::Vanished,
                    // What has memory is no thread of the kernel.
                    _ if status.contains("VmSize:") => ProcessErrorKind::Other,
                    _ => ProcessErrorKind::KernelThread,
                }
            }
        };
        let source = matches!(kind, ProcessErrorKind::Other).then(|| Errno::NOENT.into());
        ProcessError::new(self.pid, kind, name, source)
    }
}

fn kind_of(errno: Errno) -> ProcessErrorKind {
    match errno {
        // The folder is open, so the process was there.
        Errno::SRCH | Errno::NOENT => ProcessErrorKind::Vanished,
        Errno::ACCESS | Errno::PERM => ProcessErrorKind::Forbidden,
        _ => ProcessErrorKind::Other,
    }
}

fn itoa(number: u32) -> String {
    std::format!("{number}")
}
