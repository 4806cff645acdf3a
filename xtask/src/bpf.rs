//! `cargo xtask bpf`: the objects that `obtrace-probes` ships, compiled from C and written or compared.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    command::Run,
    error::Error,
    say,
    setup::{self, Need},
    workspace::Workspace,
};

/// The shipped objects, one folder per architecture.
const SHIPPED: &str = "obtrace-probes/bpf/object";
/// Compiles every program for one architecture; `build.rs` uses it too, so that the flags are written down once.
const COMPILE: &str = "obtrace-probes/bpf/compile.sh";
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// Options of `bpf`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Compare with what is shipped, change nothing.
    #[arg(long)]
    check: bool,
}

/// Runs `cargo xtask bpf`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    setup::packages(&[Need::Bpf])?;
    if options.check {
        let differences = differences(workspace)?;
        if differences.is_empty() {
            say::step("the shipped objects equal a fresh build");
            return Ok(());
        }
        return Err(Error::Wrong(format!("{}; run `cargo xtask bpf` and commit the objects", differences.join("; "))));
    }
    for architecture in ARCHITECTURES {
        let folder = workspace.path(SHIPPED).join(architecture);
        compile(workspace, architecture, &folder)?;
        for (name, bytes) in objects(&folder)? {
            say::step(format_args!("{SHIPPED}/{architecture}/{name}: {} bytes", bytes.len()));
        }
    }
    Ok(())
}

/// How the shipped objects differ from a fresh build, one line each.
pub(crate) fn differences(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for architecture in ARCHITECTURES {
        let fresh_folder = workspace.target.join("bpf").join(architecture);
        compile(workspace, architecture, &fresh_folder)?;
        let fresh = objects(&fresh_folder)?;
        let shipped = objects(&workspace.path(SHIPPED).join(architecture))?;
        for name in fresh.keys().chain(shipped.keys().filter(|name| !fresh.contains_key(*name))) {
            let path = format!("{SHIPPED}/{architecture}/{name}");
            match (fresh.get(name), shipped.get(name)) {
                (Some(fresh), Some(shipped)) if fresh == shipped => {}
                (Some(_), Some(_)) => found.push(format!("{path} differs from a fresh build")),
                (Some(_), None) => found.push(format!("{path} is not shipped")),
                (None, _) => found.push(format!("{path} has no source")),
            }
        }
    }
    Ok(found)
}

/// Compiles into `folder`, emptied first.
fn compile(workspace: &Workspace, architecture: &str, folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::file("remove", folder))?;
    }
    fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
    Run::new("sh").arg(workspace.path(COMPILE)).arg(architecture).arg(folder).env("CLANG", "clang-19").status()
}

/// The objects in `folder` by name; none if it does not exist.
fn objects(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "o") {
            let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
            found.insert(entry.file_name().to_string_lossy().into_owned(), bytes);
        }
    }
    Ok(found)
}
