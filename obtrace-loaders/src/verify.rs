//! Whether a folder has every file of a manifest.

use std::{fmt, io, path::Path};

use crate::{
    folder::{Folder, is_readable},
    manifest::{Manifest, pump},
};

/// A file that is not as the manifest says.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fault {
    /// Its path below the folder.
    pub path: String,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What is wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FaultKind {
    /// It is not there.
    Missing,
    /// Its content is another.
    Changed,
    /// Not everybody may read it, or enter a folder on the way to it: an application that runs as another user cannot.
    Unreadable,
    /// It could not be looked at.
    Error(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::Missing => write!(f, "{} is missing", self.path),
            FaultKind::Changed => write!(f, "{} is not what the manifest says", self.path),
            FaultKind::Unreadable => write!(f, "{} cannot be read by every user", self.path),
            FaultKind::Error(error) => write!(f, "{}: {error}", self.path),
        }
    }
}

/// The files of a folder that are not as a manifest says, in its order; none if all are. Files beyond those of the manifest
/// do not matter.
///
/// # Errors
///
/// The folder cannot be opened.
pub fn verify(folder: &Path, manifest: &Manifest) -> io::Result<Vec<Fault>> {
    Ok(faults(&Folder::open(folder)?, manifest))
}

pub(crate) fn faults(folder: &Folder, manifest: &Manifest) -> Vec<Fault> {
    let look = |file| look(folder, file).map(|kind| Fault { path: String::from(file.path()), kind });
    manifest.files().iter().filter_map(look).collect()
}

fn look(folder: &Folder, file: &crate::ManifestFile) -> Option<FaultKind> {
    let judge = || -> io::Result<Option<FaultKind>> {
        let mut open = folder.file(file.path())?;
        // A copy is as good as its sizes long before all is read.
        if open.metadata()?.len() != file.size()
            || pump(&mut open, file.size(), |_| Ok(()))? != (file.size(), *file.sha256())
        {
            return Ok(Some(FaultKind::Changed));
        }
        let readable = is_readable(&open)? && folder.is_enterable(file.path())?;
        Ok((!readable).then_some(FaultKind::Unreadable))
    };
    match judge() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(FaultKind::Missing),
        Err(error) => Some(FaultKind::Error(error)),
    }
}
