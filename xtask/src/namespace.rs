//! A network namespace with loopback up, so that well-known ports never collide with what the machine runs.

use std::{ffi::OsStr, process};

use crate::{command::Run, error::Error};

/// A named network namespace; dropping it removes it.
pub(crate) struct Namespace {
    name: String,
    kept: bool,
}

impl Namespace {
    /// Makes `PREFIX-<process id>` and brings its loopback up. Needs root and iproute2.
    pub(crate) fn new(prefix: &str) -> Result<Self, Error> {
        let name = format!("{prefix}-{}", process::id());
        Run::new("ip").args(["netns", "add", &name]).capture()?;
        let namespace = Self { name, kept: false };
        Run::new("ip").args(["-n", &namespace.name, "link", "set", "lo", "up"]).capture()?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` knows it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `program` inside of it. Only the network changes: `ip netns exec` would also replace /sys.
    pub(crate) fn run(&self, program: impl AsRef<OsStr>) -> Run {
        Run::new("nsenter").arg(format!("--net=/run/netns/{}", self.name)).arg("--").arg(program)
    }

    /// Leaves it there after this process.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing can be done about a failure, and an empty namespace does no harm.
            let _ = Run::new("ip").args(["netns", "delete", &self.name]).capture();
        }
    }
}
