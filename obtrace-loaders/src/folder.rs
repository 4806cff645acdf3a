//! Files below a folder that others can write to: no link in it is ever followed.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{MetadataExt as _, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

/// What everybody must be allowed of a file, and of a folder.
pub(crate) const READABLE: u32 = 0o444;
pub(crate) const ENTERABLE: u32 = 0o555;

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens it. A link to a folder is as good: its path is the caller's choice.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd, path: path.to_path_buf() })
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file below it, for reading. Anything but a regular file is an error.
    pub(crate) fn file(&self, path: &str) -> io::Result<File> {
        let (folders, name) = split(path);
        let parent = self.walk(folders, false)?;
        // Without waiting: it could be a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&parent.fd, name, flags, Mode::empty()).map_err(explained)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(file)
    }

    /// Makes a new file in it, which nobody else has open.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o644))?))
    }

    /// Makes a new folder in it, for us alone.
    pub(crate) fn create_folder(&self, name: &str) -> io::Result<Self> {
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU)?;
        self.enter(name)
    }

    /// The folders on the way to `path`, which are made where they are missing and made readable for everybody.
    pub(crate) fn prepare(&self, path: &str) -> io::Result<()> {
        self.walk(split(path).0, true).map(drop)
    }

    /// Moves a file of ours to `path` below `to`, over what is there. The folders on the way are there.
    pub(crate) fn rename(&self, name: &str, to: &Self, path: &str) -> io::Result<()> {
        let (folders, new) = split(path);
        let parent = to.walk(folders, false)?;
        Ok(rustix::fs::renameat(&self.fd, name, &parent.fd, new)?)
    }

    /// Has what was written to it and to its folders survive a fall of the machine, as far as the file system does that.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.fd) {
            // Not every file system can do it to folders.
            Err(Errno::INVAL | Errno::ROFS | Errno::NOTSUP) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The names in it.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            if let Ok(name) = entry?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Removes a folder in it that has nothing but files.
    pub(crate) fn remove_folder(&self, name: &str) -> io::Result<()> {
        let folder = self.enter(name)?;
        for file in folder.names()? {
            rustix::fs::unlinkat(&folder.fd, file.as_str(), AtFlags::empty())?;
        }
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Whether everybody may enter every folder on the way to `path`.
    pub(crate) fn is_enterable(&self, path: &str) -> io::Result<bool> {
        let mut here = self.again()?;
        for name in split(path).0 {
            here = here.enter(name)?;
            if here.mode()? & ENTERABLE != ENTERABLE {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Has everybody enter it: the umask may have taken that away.
    pub(crate) fn make_enterable(&self) -> io::Result<()> {
        let mode = self.mode()?;
        if mode & ENTERABLE != ENTERABLE {
            rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode | 0o755))?;
        }
        Ok(())
    }

    fn walk<'a>(&self, names: impl Iterator<Item = &'a str>, make: bool) -> io::Result<Self> {
        let mut here = self.again()?;
        for name in names {
            if make {
                match rustix::fs::mkdirat(&here.fd, name, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            here = here.enter(name)?;
            if make {
                here.make_enterable()?;
            }
        }
        Ok(here)
    }

    fn enter(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(|error| match error {
            // A link, though not followed, is no folder.
            Errno::NOTDIR | Errno::LOOP => io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{} is no folder; links are not followed", self.path.join(name).display()),
            ),
            error => error.into(),
        })?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    fn again(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, path: self.path.clone() })
    }

    fn mode(&self) -> io::Result<u32> {
        Ok(rustix::fs::fstat(&self.fd)?.st_mode)
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether everybody may read a file.
pub(crate) fn is_readable(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & READABLE == READABLE)
}

/// Has everybody read a file, whatever the umask.
pub(crate) fn make_readable(file: &File) -> io::Result<()> {
    file.set_permissions(PermissionsExt::from_mode(0o644))
}

/// The folders on the way, and the name.
fn split(path: &str) -> (impl Iterator<Item = &str>, &str) {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    (folders.split('/').filter(|name| !name.is_empty()), name)
}

fn explained(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link"),
        error => error.into(),
    }
}
