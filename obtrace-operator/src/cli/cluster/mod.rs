//! The commands that talk to a cluster.

mod allow;
pub(super) mod arguments;
mod certificate;
mod connect;
mod doctor;
mod install;
mod progress;
mod restarts;
mod restore;
mod skew;
mod status;
mod table;
mod uninstall;
mod upgrade;
mod wait;
mod workloads;
mod world;

use std::{fs, path::Path};

use obtrace_cli::{Failure, say};

pub(super) use self::{
    allow::run as allow, connect::connect, doctor::run as doctor, install::run as install, status::run as status,
    uninstall::run as uninstall, upgrade::run as upgrade, workloads::run as workloads, world::of as world,
};
use crate::install::chart;

/// Runs a command to its end.
///
/// # Errors
///
/// That of the command.
pub(super) fn run<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format_args!("cannot start: {error}")))?;
    runtime.block_on(command)
}

/// Writes what `deploy/` holds.
pub(super) fn deploy(folder: &Path) -> Result<(), Failure> {
    for (path, text) in chart::files().map_err(Failure::failed)? {
        let path = folder.join(path);
        let failed = |error| Failure::failed(format_args!("cannot write {}: {error}", path.display()));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
        say(path.display());
    }
    Ok(())
}
