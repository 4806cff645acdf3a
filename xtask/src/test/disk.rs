//! Room on the disk: without it, parts fail one after the other for reasons that look like others.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rustix::fs::{stat, statvfs};

use crate::{builds, error::Error, workspace::Workspace};

const GIB: u64 = 1 << 30;

/// What a run of everything adds to cargo's target folder when that is empty.
const BUILT: u64 = 16 * GIB;
/// What it adds to the cache when that is empty: runtimes of six languages, Kubernetes, kernels.
const CACHED: u64 = 8 * GIB;

/// A run of everything has room, or the error says how much it lacks and where. What is there of an earlier run is not
/// needed again.
pub(super) fn check(workspace: &Workspace) -> Result<(), Error> {
    // What is kept of builds counts as those, wherever it lies.
    let kept = builds::all(&workspace.cache);
    builds::tidy(&workspace.target, &workspace.cache, size(&workspace.target, &kept), 2 * BUILT)?;
    let mut needed: BTreeMap<u64, (PathBuf, u64)> = BTreeMap::new();
    for (folder, whole) in [(&workspace.target, BUILT), (&workspace.cache, CACHED)] {
        let exists = folder.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(folder);
        let device = stat(exists).map_err(|error| Error::file("look at", exists)(error.into()))?.st_dev;
        let entry = needed.entry(device).or_insert_with(|| (exists.to_owned(), 0));
        entry.1 += whole.saturating_sub(size(folder, &kept));
    }
    for (folder, bytes) in needed.values() {
        let system = statvfs(folder.as_path()).map_err(|error| Error::file("look at", folder)(error.into()))?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        if free < *bytes {
            return Err(Error::Wrong(format!(
                "a run of everything needs some {} GiB on the disk of {} and {} are free: make room there, move the builds \
                 (CARGO_TARGET_DIR) or the cache (OBTRACE_CACHE) to another disk, or run parts alone (`--part NAME`)",
                bytes.div_ceil(GIB),
                folder.display(),
                free / GIB,
            )));
        }
    }
    Ok(())
}

/// The bytes that a folder takes without those of another in it; what cannot be read counts as nothing, and links as themselves.
fn size(folder: &Path, without: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => {
                    folders.extend(Some(entry.path()).filter(|path| path != without));
                }
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Path, check, size};
    use crate::workspace::Workspace;

    fn workspace(target: &str, cache: &str) -> Workspace {
        Workspace {
            root: "/".into(),
            version: String::new(),
            target: target.into(),
            statics: (target.into(), "/".into()),
            cache: cache.into(),
            packages: Vec::new(),
        }
    }

    #[test]
    fn too_little_room_is_said() {
        // A file system without blocks.
        let error = check(&workspace("/proc/none/target", "/proc/none/cache")).unwrap_err().to_string();
        assert!(error.contains("needs some 24 GiB on the disk of /proc and 0 are free"), "{error}");
    }

    #[test]
    fn what_is_there_counts() {
        let (folder, nothing) = (Path::new(env!("CARGO_MANIFEST_DIR")), Path::new(""));
        assert!(size(folder, nothing) > 10_000);
        assert!(size(folder, &folder.join("src")) < size(folder, nothing));
        assert_eq!(size("/proc/none".as_ref(), nothing), 0);
    }
}
