//! `cargo xtask image`: images as OCI archives, made without a container engine or a registry; the same bytes every time.

mod agent;
#[cfg(test)]
mod dockerfile;
mod licenses;
mod oci;
mod program;
mod tar;

use std::{fs, path::PathBuf};

use sha2::{Digest as _, Sha256};

pub(crate) use self::{
    agent::agent,
    program::{EBPF, OPERATOR},
};
use crate::{error::Error, loaders::Kept, say, workspace::Workspace};

/// What the files of `deploy/` have to name.
#[cfg(test)]
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Any number that is not root's; a Pod may set another.
const USER: &str = "65532:65532";

/// Options of `image`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which image.
    #[arg(value_enum)]
    image: Image,
    /// The archive to write: an OCI image layout in a tar, as `ctr images import` and `skopeo copy oci-archive:` read it.
    #[arg(long, value_name = "FILE.tar")]
    out: Option<PathBuf>,
    /// The folder to write the image's root file system to, for a Dockerfile.
    #[arg(long, value_name = "DIR", required_unless_present = "out")]
    root: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Image {
    /// The loaders and what copies them.
    Agent,
    /// The operator.
    Operator,
    /// The agent that observes from the kernel.
    Ebpf,
}

/// Runs `cargo xtask image`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    let image = match options.image {
        Image::Agent => agent(workspace, Kept::Used)?,
        Image::Operator => OPERATOR.image(workspace)?,
        Image::Ebpf => EBPF.image(workspace)?,
    };
    if let Some(root) = &options.root {
        image.unpack(root)?;
        say::step(format_args!("the root file system is in {}", root.display()));
    }
    if let Some(out) = &options.out {
        let digest = image.write(out)?;
        say::step(format_args!("{}: {} bytes in {}, {digest}", image.name, image.size(), out.display()));
    }
    Ok(())
}

/// The version that a lock file names for what `bytes` are of, `(where, package)`; they have to be those that are meant. A
/// line of a lock file is a key, the version of the package, a SHA-256.
fn pinned(
    workspace: &Workspace,
    lock: &str,
    key: &str,
    (path, package): (&str, &str),
    bytes: &[u8],
) -> Result<String, Error> {
    let text = fs::read_to_string(workspace.path(lock)).map_err(Error::file("read", workspace.path(lock)))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let mut words = line.unwrap_or_default().split_whitespace();
    let (Some(version), Some(checksum)) = (words.next(), words.next()) else {
        return Err(Error::Cannot(format!("{lock} names no {package} for {key}")));
    };
    let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == checksum {
        return Ok(version.to_owned());
    }
    Err(Error::Wrong(format!(
        "{path} is not that of {package} {version} (SHA-256 {found}): install that version, or bring {lock} up to date"
    )))
}
