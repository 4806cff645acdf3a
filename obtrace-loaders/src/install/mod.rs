//! Copies loaders into a folder, complete or not at all.

mod error;

use std::{
    io::{self, Write as _},
    path::Path,
    process, thread,
    time::{Duration, Instant, SystemTime},
};

use obtrace_detect::Language;
use rustix::{fs::FlockOperation, io::Errno};

pub use self::error::InstallError;
use crate::{
    folder::{Folder, make_readable},
    loader::Loader,
    manifest::{Manifest, ManifestFile, UNFINISHED, pump},
    verify,
};

/// How long another copy into the same folder is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a loader.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Installed {
    /// Whose loader it is.
    pub language: Language,
    /// Its version.
    pub version: String,
    /// How many files were written; 0 if it was there, complete.
    pub files: usize,
    /// The bytes of these files.
    pub bytes: u64,
}

/// Copies loaders into a folder, which is made where it is missing. Afterwards each is there, complete, readable for
/// everybody, with its manifest; what was complete is not written again.
///
/// - Everything is first written under names that no runtime reads, checked against the manifests, and then renamed into
///   place, entry files last: whatever goes wrong, and whenever the process is killed, no entry file is there without what
///   it loads. What a killed copy left is removed by the next.
/// - Copies into the same folder wait for one another, for a minute at most.
/// - Links in the folder are not followed. Files of others stay, unless they have the name of one of ours.
///
/// # Errors
///
/// What was tried and what the system said, with advice where there is some; two loaders that have different files of
/// one name.
pub fn install(loaders: &[Loader], to: &Path) -> Result<Vec<Installed>, InstallError> {
    refuse_conflicts(loaders)?;
    let target = open_target(to)?;
    let locked = lock(&target)?;
    if locked {
        // Where all is complete, too: a copy may have been killed when nothing but this was left to be done.
        remove_leftovers(&target);
    }
    let missing: Vec<&Loader> = loaders.iter().filter(|loader| !is_complete(&target, loader)).collect();
    if !missing.is_empty() {
        let total = missing.iter().fold(0, |sum: u64, loader| sum.saturating_add(loader.manifest().size()));
        Staging::new(&target, total)?.install(&missing)?;
    }
    let installed = loaders.iter().map(|loader| {
        let manifest = loader.manifest();
        let written = missing.iter().any(|missing| missing.manifest().language() == manifest.language());
        let (files, bytes) = if written { (manifest.files().len(), manifest.size()) } else { (0, 0) };
        Installed { language: manifest.language(), version: manifest.version().to_owned(), files, bytes }
    });
    Ok(installed.collect())
}

fn refuse_conflicts(loaders: &[Loader]) -> Result<(), InstallError> {
    for (index, loader) in loaders.iter().enumerate() {
        for other in loaders.iter().skip(index + 1) {
            for file in loader.manifest().files() {
                let twin = other.manifest().files().iter().find(|twin| twin.path() == file.path());
                if twin.is_some_and(|twin| twin.sha256() != file.sha256()) {
                    let languages = [loader.manifest().language(), other.manifest().language()];
                    return Err(InstallError::Conflict { path: file.path().to_owned(), languages });
                }
            }
        }
    }
    Ok(())
}

/// Opens the folder; makes it, readable for everybody, where it is missing.
fn open_target(to: &Path) -> Result<Folder, InstallError> {
    let cannot = |action| move |source| InstallError::folder(action, to, source);
    let made = !to.exists();
    if made {
        std::fs::create_dir_all(to).map_err(cannot("make"))?;
    }
    let target = Folder::open(to).map_err(cannot("open"))?;
    if made {
        target.make_enterable().map_err(cannot("make readable"))?;
    }
    Ok(target)
}

/// Waits until no other copy works in the folder. `false`: its file system knows no locks.
fn lock(target: &Folder) -> Result<bool, InstallError> {
    let began = Instant::now();
    loop {
        match rustix::fs::flock(target, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if began.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(50)),
            Err(Errno::WOULDBLOCK) => return Err(InstallError::Busy { folder: target.path().to_path_buf() }),
            Err(_) => return Ok(false),
        }
    }
}

fn is_complete(target: &Folder, loader: &Loader) -> bool {
    let manifest = loader.manifest();
    let name = Manifest::file_name(manifest.language());
    let text = manifest.to_string();
    let same = || -> io::Result<bool> {
        let mut file = target.file(&name)?;
        let mut wanted = text.as_bytes();
        let expected = crate::manifest::measure(&mut wanted)?;
        Ok(crate::folder::is_readable(&file)? && pump(&mut file, text.len() as u64, |_| Ok(()))? == expected)
    };
    same().unwrap_or(false) && verify::faults(target, manifest).is_empty()
}

/// Removes what copies that were killed have left. It is in nobody's way if that fails.
fn remove_leftovers(target: &Folder) {
    for name in target.names().unwrap_or_default().iter().filter(|name| name.starts_with(UNFINISHED)) {
        let _ = target.remove_folder(name);
    }
}

/// A folder in the target where the files are written first; removed in the end.
struct Staging<'a> {
    target: &'a Folder,
    folder: Folder,
    name: String,
    /// How much room everything takes, for messages.
    total: u64,
}

/// A file that is written and waits for its name.
struct Waiting<'a> {
    staged: String,
    path: &'a str,
}

impl<'a> Staging<'a> {
    fn new(target: &'a Folder, total: u64) -> Result<Self, InstallError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!("{UNFINISHED}{}.{now}", process::id());
        let folder =
            target.create_folder(&name).map_err(|source| InstallError::folder("write to", target.path(), source))?;
        Ok(Self { target, folder, name, total })
    }

    /// Writes everything, then shows it: entry files last.
    fn install(&self, loaders: &[&Loader]) -> Result<(), InstallError> {
        let manifests: Vec<_> = loaders
            .iter()
            .map(|loader| (Manifest::file_name(loader.manifest().language()), loader.manifest().to_string()))
            .collect();
        let mut parts = Vec::new();
        let mut entries = Vec::new();
        for loader in loaders {
            for file in loader.manifest().files() {
                let staged = (parts.len() + entries.len()).to_string();
                self.copy(loader, file, &staged)?;
                let list = if file.is_entry() { &mut entries } else { &mut parts };
                list.push(Waiting { staged, path: file.path() });
            }
        }
        for (name, text) in &manifests {
            let staged = (parts.len() + entries.len()).to_string();
            self.write(&staged, name, |file| file.write_all(text.as_bytes()))?;
            parts.push(Waiting { staged, path: name });
        }
        for waiting in parts.iter().chain(&entries) {
            self.target
                .prepare(waiting.path)
                .map_err(|source| self.cannot("make the folder of", waiting.path, source))?;
        }
        self.show(&parts)?;
        self.show(&entries)
    }

    fn copy(&self, loader: &Loader, file: &ManifestFile, staged: &str) -> Result<(), InstallError> {
        let from = |source| InstallError::Source {
            path: loader.folder().map(|folder| folder.join(file.path())).unwrap_or_else(|| file.path().into()),
            source,
        };
        let mut reader = loader.open(file).map_err(from)?;
        let mut fault = None;
        self.write(staged, file.path(), |out| {
            // What a reader says and what a writer says are told apart, or the advice would be for the wrong file.
            let mut failed = None;
            let pumped = pump(&mut reader, file.size(), |piece| {
                out.write_all(piece).map_err(|error| {
                    failed = Some(error);
                    io::ErrorKind::Other.into()
                })
            });
            match (pumped, failed) {
                (_, Some(error)) => return Err(error),
                (Err(error), None) => fault = Some(from(error)),
                (Ok(found), None) if found != (file.size(), *file.sha256()) => {
                    fault = Some(from(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "its size or checksum is not what the manifest says",
                    )));
                }
                (Ok(_), None) => {}
            }
            Ok(())
        })?;
        fault.map_or(Ok(()), Err)
    }

    /// Writes a file under a name that nobody looks for, to the disk, readable for everybody.
    fn write(
        &self,
        staged: &str,
        path: &str,
        fill: impl FnOnce(&mut std::fs::File) -> io::Result<()>,
    ) -> Result<(), InstallError> {
        let write = || {
            let mut file = self.folder.create(staged)?;
            fill(&mut file)?;
            make_readable(&file)?;
            // Some file systems say only now that there is no room.
            file.sync_all()
        };
        write().map_err(|source| self.cannot("write", path, source))
    }

    fn show(&self, files: &[Waiting<'_>]) -> Result<(), InstallError> {
        for Waiting { staged, path } in files {
            let renamed = self.folder.rename(staged, self.target, path);
            renamed.map_err(|source| self.cannot("put in place", path, source))?;
        }
        self.target.sync().map_err(|source| InstallError::folder("write to", self.target.path(), source))
    }

    fn cannot(&self, action: &'static str, path: &str, source: io::Error) -> InstallError {
        InstallError::File { action, path: self.target.path().join(path), source, needed: self.total }
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // The next copy tries again.
        let _ = self.target.remove_folder(&self.name);
    }
}
