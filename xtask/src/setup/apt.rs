//! Debian packages, without their services being started.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::{command::Run, error::Error, say};

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs `packages`, and says so. Needs root.
pub(super) fn install(packages: &[&str]) -> Result<(), Error> {
    say::step(format_args!("installing with apt: {}", packages.join(" ")));
    let _policy = NoServices::new()?;
    apt_get().arg("update").capture()?;
    let install = || apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages);
    if install().capture().is_ok() {
        return Ok(());
    }
    // An installation that was broken off leaves packages unpacked but not set up.
    say::note("apt failed; setting up what was left unfinished and trying once more");
    Run::new("dpkg").args(["--configure", "-a"]).env("DEBIAN_FRONTEND", "noninteractive").capture()?;
    install().capture().map(drop)
}

fn apt_get() -> Run {
    Run::new("apt-get").args(["-o", "DPkg::Lock::Timeout=600"]).env("DEBIAN_FRONTEND", "noninteractive")
}

/// While it lives, packages do not start the services that they bring: a database started on its usual port would
/// be a surprise. An existing policy is left alone.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn new() -> Result<Self, Error> {
        let path = Path::new(POLICY);
        if path.exists() {
            return Ok(Self { ours: false });
        }
        fs::write(path, "#!/bin/sh\nexit 101\n").map_err(Error::file("write", path))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(Error::file("make executable", path))?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            say::note(format_args!("cannot remove {POLICY}: {error}; remove it by hand, or services will not start"));
        }
    }
}
