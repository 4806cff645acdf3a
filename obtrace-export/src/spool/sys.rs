//! The file system as the spool uses it: files that only their owner reads, a lock, reading at an offset.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    path::Path,
};

/// Makes the folder and those above it, readable by its owner only. One that is there must be our own: in a folder where
/// others may write, it could be theirs.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::Error::new(ErrorKind::NotADirectory, "it is no folder"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(ErrorKind::PermissionDenied, "another user owns it"));
        }
        if metadata.mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

/// Files are their owner's only, and links are not followed.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    }
    options
}

pub(super) fn read(path: &Path) -> io::Result<File> {
    private().read(true).open(path)
}

/// To cut what lies behind.
pub(super) fn write(path: &Path) -> io::Result<File> {
    private().write(true).open(path)
}

/// A new file; one that is there, or a link, is never written through.
pub(super) fn create(path: &Path) -> io::Result<File> {
    private().append(true).create_new(true).open(path)
}

/// The end of a file, made if `create` says so.
pub(super) fn append(path: &Path, create: bool) -> io::Result<File> {
    private().append(true).create(create).open(path)
}

/// Removes a file; one that is gone already is no error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether the system was short of something that it may have the next time: it says nothing about the file.
#[cfg(unix)]
pub(super) fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR, Errno::AGAIN];
    error.kind() == ErrorKind::OutOfMemory || Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

#[cfg(not(unix))]
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::Interrupted)
}

/// Puts a file with these bytes in the place of another, whole or not at all, though the machine stops meanwhile.
pub(super) fn replace(path: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
    // Left by a process that was stopped at it.
    remove(new)?;
    let mut file = create(new)?;
    let replaced = file.write_all(bytes).and_then(|()| file.sync_data()).and_then(|()| fs::rename(new, path));
    replaced.inspect_err(|_| drop(remove(new)))
}

/// Fills `bytes` from the offset on.
#[cfg(unix)]
pub(super) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
pub(super) fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

/// Why a lock was not had.
#[derive(Debug)]
pub(super) enum LockError {
    /// By the process of this number, if it wrote one.
    Held(Option<u32>),
    Io(io::Error),
}

/// Takes the lock file for as long as the file is open, in any way it ends, and writes who has it.
pub(super) fn lock(path: &Path) -> Result<File, LockError> {
    let mut file = private().read(true).write(true).create(true).truncate(false).open(path).map_err(LockError::Io)?;
    if !try_lock(&file).map_err(LockError::Io)? {
        let mut holder = [0; 16];
        let read = file.read(&mut holder).unwrap_or(0);
        let holder = holder.get(..read).and_then(|text| std::str::from_utf8(text).ok());
        return Err(LockError::Held(holder.and_then(|text| text.trim().parse().ok())));
    }
    // Who holds it is a help for people; the lock holds without.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

#[cfg(unix)]
fn try_lock(file: &File) -> io::Result<bool> {
    use rustix::{
        fs::{FlockOperation, flock},
        io::Errno,
    };
    // std has this from Rust 1.89 on.
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn try_lock(_: &File) -> io::Result<bool> {
    Err(io::Error::new(ErrorKind::Unsupported, "spools need a Unix system"))
}
