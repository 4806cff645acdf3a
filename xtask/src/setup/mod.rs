//! What `demo` and `test` need beyond Rust: found, installed where that is possible, named where it is not.

mod apt;
mod cargo_tools;
mod collector;
mod node;
mod python;
mod tools;

use std::path::PathBuf;

#[cfg(test)]
pub(crate) use self::tools::packages_of;
pub(crate) use self::{cargo_tools::Tool as CargoTool, tools::Need};
use crate::{
    error::Error,
    say,
    workspace::{Workspace, find_program, is_root},
};

/// Options of `setup`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only what this needs; everything by default.
    #[arg(long = "for", value_name = "NEED", value_enum)]
    needs: Vec<Need>,
    /// Say what is missing, install nothing.
    #[arg(long)]
    check: bool,
}

/// Runs `cargo xtask setup`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    let needs = if options.needs.is_empty() { Need::ALL } else { &options.needs };
    if options.check {
        let missing = tools::missing_packages(needs);
        if missing.is_empty() {
            say::step("nothing is missing");
            return Ok(());
        }
        return Err(not_installed(&missing));
    }
    packages(needs)?;
    for need in needs {
        if let Some(requirements) = need.requirements() {
            python(workspace, requirements)?;
        }
    }
    say::step("everything is there");
    Ok(())
}

/// Installs the system packages that `needs` miss; without root it fails and names them.
pub(crate) fn packages(needs: &[Need]) -> Result<(), Error> {
    let missing = tools::missing_packages(needs);
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || find_program("apt-get").is_none() {
        return Err(not_installed(&missing));
    }
    apt::install(&missing)?;
    let still = tools::missing_packages(needs);
    if still.is_empty() { Ok(()) } else { Err(not_installed(&still)) }
}

/// The interpreter of a virtual environment with exactly what `requirements` (a path below the root) pins.
pub(crate) fn python(workspace: &Workspace, requirements: &str) -> Result<PathBuf, Error> {
    python::environment(workspace, &workspace.path(requirements))
}

/// A Node.js of the version that tests are for; npm has to be there.
pub(crate) fn node(workspace: &Workspace) -> Result<PathBuf, Error> {
    node::program(workspace)
}

/// The OpenTelemetry Collector; Go has to be there.
pub(crate) fn collector(workspace: &Workspace) -> Result<PathBuf, Error> {
    collector::program(workspace)
}

fn not_installed(packages: &[&str]) -> Error {
    Error::Cannot(format!(
        "missing on this machine: {names}; install them with `sudo apt-get install --no-install-recommends {names}` \
         (or what your distribution calls them) and run this again",
        names = packages.join(" ")
    ))
}
