//! Why a copy did not work.

use std::{
    io,
    path::{Path, PathBuf},
};

use obtrace_detect::Language;
use rustix::io::Errno;

/// Why a copy did not work. None of the entry files that were missing before is there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// Two loaders have different files of one name.
    #[error("{} of {} and of {} differ: they cannot share a folder", path, languages[0], languages[1])]
    Conflict {
        /// The path of both.
        path: String,
        /// Whose.
        languages: [Language; 2],
    },
    /// The folder cannot be used.
    #[error("cannot {action} {}: {source}{}", folder.display(), advice(source, None))]
    Folder {
        /// What was tried.
        action: &'static str,
        /// On which folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another copy works in the folder for too long.
    #[error("another copy into {} has not ended within a minute; is it stuck?", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of the loader cannot be read, or is not what its manifest says.
    #[error("cannot copy {}: {source}; the files of the loader are damaged, take the image or the build anew", path.display())]
    Source {
        /// The file; relative if it is embedded.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source, Some(*needed)))]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// The bytes of all files that were to be written.
        needed: u64,
    },
}

impl InstallError {
    pub(super) fn folder(action: &'static str, folder: &Path, source: io::Error) -> Self {
        Self::Folder { action, folder: folder.to_path_buf(), source }
    }
}

/// What can be done about it, after a semicolon.
fn advice(error: &io::Error, needed: Option<u64>) -> String {
    let errno = Errno::from_io_error(error);
    match errno {
        Some(Errno::NOSPC | Errno::DQUOT) => {
            let room = needed.map(|bytes| format!(" {} are needed:", in_words(bytes))).unwrap_or_default();
            format!(";{room} make room, or give the volume a larger size limit")
        }
        Some(Errno::ROFS) => {
            "; mount the volume writable where the loaders are copied, read-only in the application".to_owned()
        }
        Some(Errno::ACCESS | Errno::PERM) => {
            let user = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            format!("; user {} of group {} must be allowed to write there", user.0, user.1)
        }
        Some(Errno::NOTDIR | Errno::EXIST) => "; name a folder".to_owned(),
        Some(Errno::ISDIR) => "; remove the folder that has the name of the file".to_owned(),
        _ => String::new(),
    }
}

/// A number of bytes as people read it.
fn in_words(bytes: u64) -> String {
    let kib = bytes.div_ceil(1024);
    if kib < 1024 { format!("{kib} KiB") } else { format!("{} MiB", kib.div_ceil(1024)) }
}
