//! Benchmarks, dependencies, public API, packages.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::report::Report;
use crate::{command::Run, error::Error, say, setup::CargoTool, workspace::Workspace};

/// The detection's score, with the catalogue of images and without it.
pub(super) fn score(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    let run = [
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "obtrace-detect",
        "--all-features",
        "--example",
        "score",
    ];
    report.check("score", workspace.cargo(run))
}

/// The benchmarks with their own judgement: answers equal to the contenders', no allocations, ratios far above what is
/// held. Goals and times are only told; what a busy machine spoils is measured up to twice more.
pub(super) fn benches(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    let run =
        ["run", "--quiet", "--release", "--locked", "--package", "obtrace-benches", "--", "--rounds=60", "--runs=3"];
    report.check("benches", workspace.cargo(run))
}

pub(super) fn deny(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    let tool = CargoTool::DENY.get(workspace)?;
    // Crates for other systems too: cargo-deny reads the manifests of all that the lock file names.
    workspace.cargo(["fetch", "--quiet", "--locked"]).status()?;
    let run = Run::new(tool)
        .args(["--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
        .current_dir(&workspace.root);
    report.check("cargo-deny", run)
}

/// Compares each published library's API with `api/<crate>.txt`; `OBTRACE_API_WRITE=1` writes the listings.
pub(super) fn public_api(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    nightly()?;
    let tool = CargoTool::PUBLIC_API.get(workspace)?;
    let write = env::var_os("OBTRACE_API_WRITE").is_some_and(|value| value == "1");
    for package in workspace.packages.iter().filter(|package| package.published && package.library) {
        say::step(format_args!("public API of {}", package.name));
        let listing = Run::new(&tool)
            .args(["--package", &package.name, "--all-features", "--simplified"])
            .current_dir(&workspace.root)
            // Another compiler's: a folder of its own.
            .env("CARGO_TARGET_DIR", workspace.target.join("api"))
            .capture()?;
        let file = workspace.path(&package.name).join("public-api.txt");
        if write {
            fs::write(&file, &listing).map_err(Error::file("write", &file))?;
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        if committed == listing {
            report.pass();
        } else {
            for line in listing.lines().filter(|line| !committed.lines().any(|old| old == *line)) {
                println!("    + {line}");
            }
            for line in committed.lines().filter(|line| !listing.lines().any(|new| new == *line)) {
                println!("    - {line}");
            }
            let advice = "differs from public-api.txt; if that is meant, run this part with OBTRACE_API_WRITE=1";
            report.fail(&package.name, advice);
        }
    }
    Ok(())
}

/// Packs every crate to be published and builds what was packed.
pub(super) fn package(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    let target = workspace.target.join("packed");
    forget_packed(workspace, &target)?;
    // All in one go, so that each is built against the packed form of the others.
    let mut run = workspace.cargo(["package", "--locked", "--allow-dirty", "--target-dir"]).arg(&target);
    for package in workspace.packages.iter().filter(|package| package.published) {
        run = run.args(["--package", &package.name]);
    }
    report.check("cargo package", run)
}

/// Removes what cargo unpacked of these crates when it checked earlier packages of them, and what it knows of having built
/// there in `target`. Both are kept by name and version, so that the crates that depend on one another would be built against
/// what they were then.
fn forget_packed(workspace: &Workspace, target: &Path) -> Result<(), Error> {
    let packed = target.join("package");
    if packed.exists() {
        fs::remove_dir_all(&packed).map_err(Error::file("remove", &packed))?;
    }
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let Some(sources) = home.map(|home| home.join("registry/src")) else { return Ok(()) };
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().collect::<Vec<_>>();
    // The registry of a package that is checked is a folder: its name has no host in front.
    let local = entries(&sources).into_iter().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"-"));
    let known = local.map(|registry| registry.path()).chain([target.join("debug/.fingerprint")]);
    for entry in known.flat_map(|folder| entries(&folder)) {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Behind the name stands a version or, in what was built, a checksum.
        let is_ours = workspace.packages.iter().filter(|package| package.published).any(|package| {
            let rest = name.strip_prefix(&package.name).and_then(|rest| rest.strip_prefix('-'));
            rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_hexdigit()))
        });
        if is_ours {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(Error::file("remove", &path))?;
        }
    }
    Ok(())
}

/// The version of the nightly compiler, as a name for a folder.
pub(super) fn nightly() -> Result<String, Error> {
    let version = Run::new("rustc").arg("--version").env("RUSTUP_TOOLCHAIN", "nightly").capture().map_err(|_| {
        Error::Cannot("needs a nightly toolchain (`rustup toolchain install nightly --profile minimal`)".into())
    })?;
    Ok(version.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect())
}
