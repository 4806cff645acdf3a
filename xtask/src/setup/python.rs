//! Virtual environments in the cache, one per content of a requirements file.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

use crate::{command::Run, error::Error, say, workspace::Workspace};

/// The interpreter of the environment for `requirements`; it is made if it is not in the cache.
pub(super) fn environment(workspace: &Workspace, requirements: &Path) -> Result<PathBuf, Error> {
    let text = fs::read_to_string(requirements).map_err(Error::file("read", requirements))?;
    let version = Run::new("python3").arg("--version").capture()?;
    let folder = workspace.cache.join("python").join(key(&[&version, &text]));
    let interpreter = folder.join("bin/python");
    if folder.join(".complete").exists() && interpreter.exists() {
        return Ok(interpreter);
    }
    say::step(format_args!("Python packages of {} go to {}", requirements.display(), folder.display()));
    // A half-made one of an earlier, interrupted run is of no use.
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::file("remove", &folder))?;
    }
    Run::new("python3").args(["-m", "venv"]).arg(&folder).capture()?;
    Run::new(&interpreter).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements).capture()?;
    let mark = folder.join(".complete");
    fs::write(&mark, "").map_err(Error::file("write", &mark))?;
    Ok(interpreter)
}

/// A name for what was made from `parts`. Another compiler may hash differently, which only makes it anew.
pub(super) fn key(parts: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
