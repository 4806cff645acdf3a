//! `cargo xtask image`: images as OCI archives, made without a container engine or a registry; the same bytes every time.

mod agent;
mod licenses;
mod oci;
mod tar;

use std::path::PathBuf;

pub(crate) use self::agent::agent;
use crate::{error::Error, loaders::Kept, say, workspace::Workspace};

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
}

/// Runs `cargo xtask image`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    let image = match options.image {
        Image::Agent => agent(workspace, Kept::Used)?,
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
