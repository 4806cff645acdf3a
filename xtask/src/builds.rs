//! What cargo has built, kept from one checkout to the next in CI: crates of others are compiled once for a compiler and a lock file. Cargo compiles
//! the workspace's own crates again in every new checkout.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};

use crate::{command::Run, error::Error};

/// In the cache.
const FOLDER: &str = "builds";
/// Touched when a run of everything begins.
const USED: &str = "used";
/// So many folders beside the one in use stay.
const OTHERS: usize = 1;

/// What is kept for all compilers and lock files.
pub(crate) fn all(cache: &Path) -> PathBuf {
    cache.join(FOLDER)
}

/// Cargo's target folder for the sources at `root` in CI, unless somebody chose one; `None`: it is cargo's own.
pub(crate) fn folder(root: &Path, cache: &Path) -> Result<Option<PathBuf>, Error> {
    if env::var_os("CI").is_none() || env::var_os("CARGO_TARGET_DIR").is_some() {
        return Ok(None);
    }
    let compiler = Run::new("rustc").args(["--version", "--verbose"]).current_dir(root).capture()?;
    let lock = root.join("Cargo.lock");
    let lock = fs::read(&lock).map_err(Error::file("read", &lock))?;
    let sum = Sha256::new().chain_update(compiler).chain_update(lock).finalize();
    let name: String = sum.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(all(cache).join(name)))
}

/// Leaves of all folders but `target` the one that was used last, and not even `target` if it has more than `most` bytes: cargo
/// never removes what it has built.
pub(crate) fn tidy(target: &Path, cache: &Path, bytes: u64, most: u64) -> Result<(), Error> {
    let folder = all(cache);
    if target.parent() != Some(&*folder) {
        return Ok(());
    }
    let mut others: Vec<_> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path != target)
        .collect();
    others.sort_by_key(|path| {
        fs::metadata(path.join(USED)).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    });
    let old = others.len().saturating_sub(OTHERS);
    let full = (bytes > most).then(|| target.to_owned());
    for path in others.into_iter().take(old).chain(full).filter(|path| path.exists()) {
        fs::remove_dir_all(&path).map_err(Error::file("remove", &path))?;
    }
    let used = target.join(USED);
    fs::create_dir_all(target).and_then(|()| fs::write(&used, "")).map_err(Error::file("write", &used))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn of_other_folders_the_newest_stays() {
        let cache = env::temp_dir().join(format!("obtrace-xtask-builds-{}", std::process::id()));
        let at = |name: &str| all(&cache).join(name);
        for (name, age) in [("first", 300), ("second", 200), ("third", 100)] {
            tidy(&at(name), &cache, 0, 10).unwrap();
            let used = fs::File::options().write(true).open(at(name).join(USED)).unwrap();
            used.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        assert!(!at("first").exists() && at("second").exists() && at("third").exists());
        fs::write(at("second").join("program"), "").unwrap();
        tidy(&at("second"), &cache, 10, 10).unwrap();
        assert!(at("second").join("program").exists() && at("third").exists());
        tidy(&at("second"), &cache, 11, 10).unwrap();
        assert!(!at("second").join("program").exists() && at("second").exists());
        // One that somebody chose is left alone.
        tidy(&cache.join("other"), &cache, 11, 10).unwrap();
        assert!(!cache.join("other").exists());
        fs::remove_dir_all(&cache).unwrap();
    }
}
