//! Cargo subcommands at pinned versions, in the cache: what the user has installed is neither needed nor touched.

use std::path::PathBuf;

use crate::{command::Run, error::Error, say, workspace::Workspace};

/// A cargo subcommand with the version that CI uses.
#[derive(Clone, Copy)]
pub(crate) struct Tool {
    /// The package.
    package: &'static str,
    /// Its version.
    version: &'static str,
}

impl Tool {
    /// Bans, licences and sources of dependencies.
    pub(crate) const DENY: Self = Self { package: "cargo-deny", version: "0.20.2" };
    /// The public API as text.
    pub(crate) const PUBLIC_API: Self = Self { package: "cargo-public-api", version: "0.52.0" };
    /// Fuzz targets.
    pub(crate) const FUZZ: Self = Self { package: "cargo-fuzz", version: "0.13.2" };

    /// The program; it is built and put into the cache if it is not there.
    pub(crate) fn get(self, workspace: &Workspace) -> Result<PathBuf, Error> {
        let Self { package, version } = self;
        let folder = workspace.cache.join("cargo").join(format!("{package}-{version}"));
        let program = folder.join("bin").join(package);
        if !program.exists() {
            say::step(format_args!("building {package} {version} into {}", folder.display()));
            let built: Result<(), Error> = Run::new("cargo")
                .args(["install", "--quiet", "--locked", "--version", version, "--root"])
                .arg(&folder)
                .arg(package)
                // Not among the project's own build products.
                .env("CARGO_TARGET_DIR", folder.join("build"))
                .status();
            let _ = std::fs::remove_dir_all(folder.join("build"));
            built?;
        }
        Ok(program)
    }
}
