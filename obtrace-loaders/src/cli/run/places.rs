//! Folders of this user for loaders that lie nowhere yet.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use obtrace_patch::hooks::MOUNT_PATH;
use sha2::{Digest as _, Sha256};

use super::Unusable;

/// The folders to try: the user's cache, then one below `/tmp` or what stands for it.
pub(super) fn candidates() -> Vec<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let user = rustix::process::geteuid().as_raw();
    let temporary = env::temp_dir().join(format!("obtrace-loaders-{user}"));
    cache.map(|cache| cache.join("obtrace-loaders")).into_iter().chain([temporary]).collect()
}

/// Makes a folder for this user alone. One that is there must be: what another user can change would run as this one.
pub(super) fn private(folder: &Path) -> Result<(), Unusable> {
    let cannot = |source| Unusable::Io { action: "make", path: folder.to_path_buf(), source };
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(cannot)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(cannot(error)),
        _ => {}
    }
    let found = folder.symlink_metadata().map_err(cannot)?;
    let ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0;
    if ours { Ok(()) } else { Err(Unusable::NotOurs(folder.to_path_buf())) }
}

/// A folder with PHP's settings for a loader in this folder, if those that came with it name it where a Pod has it.
pub(super) fn php_settings(folder: &Path) -> Result<Option<String>, Unusable> {
    let cannot = |action, path: &Path| {
        let path = path.to_path_buf();
        move |source| Unusable::Io { action, path, source }
    };
    let text = folder.to_str().ok_or_else(|| Unusable::NoText(folder.to_path_buf()))?;
    let shipped = folder.join("php.d");
    let usual = format!("{MOUNT_PATH}/");
    let mut moved = Vec::new();
    for entry in fs::read_dir(&shipped).map_err(cannot("read", &shipped))? {
        let path = entry.map_err(cannot("read", &shipped))?.path();
        let settings = fs::read_to_string(&path).map_err(cannot("read", &path))?;
        if settings.contains(&usual) {
            let name = path.file_name().unwrap_or_default().to_owned();
            moved.push((name, settings.replace(&usual, &format!("{text}/"))));
        }
    }
    moved.sort();
    if moved.is_empty() || text == MOUNT_PATH {
        return Ok(None);
    }
    if let Some(character) = text.chars().find(|c| matches!(c, '"' | '$' | '\\' | ';') || c.is_control()) {
        let why = io::Error::other(format!("settings of PHP cannot name it: it has {character:?}"));
        return Err(cannot("use", folder)(why));
    }
    // The same settings have the same name, whoever asks.
    let mut hasher = Sha256::new();
    for (name, settings) in &moved {
        hasher.update(name.as_encoded_bytes());
        hasher.update(settings);
    }
    let checksum: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let base = candidates().into_iter().find(|base| private(base).is_ok());
    let base = base.ok_or_else(|| cannot("use", folder)(io::Error::other("there is no folder for PHP's settings")))?;
    let home = base.join(format!("php-settings-{checksum}"));
    let target = home.join("php.d");
    fs::create_dir_all(&target).map_err(cannot("make", &target))?;
    for (name, settings) in moved {
        let path = target.join(&name);
        // By rename: another program may be starting with it.
        let unfinished = home.join(format!("{}.{}", name.display(), std::process::id()));
        fs::write(&unfinished, settings).map_err(cannot("write", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(cannot("write", &path))?;
    }
    let home = home.to_str().ok_or_else(|| Unusable::NoText(home.clone()))?;
    Ok(Some(home.to_owned()))
}
