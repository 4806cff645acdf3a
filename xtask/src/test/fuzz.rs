//! Fuzz targets: the same inputs in each run. To look for what nobody found yet is the job of a longer run by hand.
//!
//! libFuzzer mutates by a seed and by what it sees the target compare. To make that the same each time, the number of
//! inputs is fixed instead of the time, the first ones are named in order, and as compared values may be addresses, they
//! are not randomised, and environment and arguments, which lie on the stack, do not depend on where this runs.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{crates::nightly, report::Report};
use crate::{command::Run, error::Error, say, setup::CargoTool, workspace::Workspace};

/// How many inputs each target is given, the first ones included: about 5 s on 2 cores.
const INPUTS: &[(&str, u32)] = &[
    ("assembler", 200_000),
    ("command", 60_000),
    ("connection", 20_000),
    ("detect", 150_000),
    ("dns", 8_000),
    ("fastcgi", 1_000),
    ("hpack", 100_000),
    ("http", 2_500),
    ("http2", 3_000),
    ("image", 200_000),
    ("kafka", 5_000),
    ("mongodb", 2_000),
    ("mqtt", 5_000),
    ("mysql", 5_000),
    ("mysql_compressed", 5_000),
    ("payload", 10_000),
    ("pcap", 600_000),
    ("plan", 50_000),
    ("pod", 200_000),
    ("postgres", 3_000),
    ("receive", 12_000),
    ("redis", 5_000),
    ("spool", 4_000),
    ("sql", 100_000),
    ("websocket", 3_000),
];

/// Seconds after which a target stops before it has had all its inputs: where the machine is that slow.
const AT_MOST: u32 = 180;

/// Seconds that no single input may take.
const ONE_AT_MOST: u32 = 30;

pub(super) fn run(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    let nightly = nightly()?;
    let tool = CargoTool::FUZZ.get(workspace)?;
    // The dependencies are built once for a compiler, whatever checkout asks for them.
    let built = workspace.cache.join("fuzz").join(&nightly);
    let fuzz = || {
        Run::new(&tool)
            .current_dir(&workspace.root)
            .env("RUSTUP_TOOLCHAIN", "nightly")
            .env("CARGO_TARGET_DIR", built.as_os_str())
            .args(["fuzz"])
    };
    let targets = fuzz().args(["list"]).capture()?;
    // Without ASan: the parsers have no unsafe code, and it would need a target of its own.
    report.check("fuzz targets build", fuzz().args(["build", "--sanitizer", "none"]))?;
    let folder = Folder::new(workspace)?;
    let seeds = Run::new("python3").arg(workspace.path("fuzz/seeds.py")).arg(folder.0.join("inputs"));
    report.check("first inputs of the fuzz targets", seeds)?;
    let same_addresses = Run::new("setarch").args(["-R", "true"]).capture().is_ok();
    if !same_addresses {
        say::step("addresses cannot be fixed here (`setarch -R`): not all inputs are the same in each run");
    }
    let mut checks = Vec::new();
    for target in targets.lines().map(str::trim).filter(|name| !name.is_empty()) {
        let Some((_, inputs)) = INPUTS.iter().find(|(name, _)| *name == target) else {
            report.fail(target, "no number of inputs in xtask/src/test/fuzz.rs");
            continue;
        };
        let binary = built.join(format!("{}-unknown-linux-gnu/release/{target}", std::env::consts::ARCH));
        let first = folder.fill(target, &binary, &workspace.path("fuzz/regressions"))?;
        let fixed: &[&str] = if same_addresses { &["setarch", "-R"] } else { &[] };
        let run = Run::new("env")
            .current_dir(&folder.0)
            .args(["-i", "RUST_BACKTRACE=1"])
            .args(fixed)
            .args([format!("programs/{target}"), format!("found/{target}"), format!("-runs={inputs}")])
            .args(first)
            .arg(format!("-artifact_prefix=failed/{target}-"))
            .args([format!("-max_total_time={AT_MOST}"), format!("-timeout={ONE_AT_MOST}")])
            .args(["-seed=1", "-shuffle=0", "-reload=0", "-verbosity=0", "-print_final_stats=1"]);
        checks.push((format!("fuzz {target} with {inputs} inputs"), run));
    }
    // The counts; what libFuzzer would have put into a dictionary is of no use here, and thousands of lines.
    report.check_in_pairs(checks, "stat::")
}

/// Where the targets run, new each time: `programs/`, their first `inputs/` and lists of them, what they `found/` worth
/// keeping, and what `failed/`.
struct Folder(PathBuf);

impl Folder {
    fn new(workspace: &Workspace) -> Result<Self, Error> {
        let folder = workspace.target.join("fuzz");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Error::file("remove", &folder))?;
        }
        for part in ["programs", "inputs", "found", "failed"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
        }
        Ok(Self(folder))
    }

    /// Adds the program, what was kept of earlier findings and the list of all first inputs, those first. The argument
    /// that names the list, if there are any.
    fn fill(&self, target: &str, binary: &Path, regressions: &Path) -> Result<Option<String>, Error> {
        let program = self.0.join("programs").join(target);
        symlink(binary, &program).map_err(Error::file("create", &program))?;
        let found = self.0.join("found").join(target);
        fs::create_dir_all(&found).map_err(Error::file("create", &found))?;
        let inputs = self.0.join("inputs").join(target);
        fs::create_dir_all(&inputs).map_err(Error::file("create", &inputs))?;
        let mut names = Vec::new();
        for name in names_in(&regressions.join(target)) {
            let from = regressions.join(target).join(&name);
            let kept = format!("kept-{name}");
            fs::copy(&from, inputs.join(&kept)).map_err(Error::file("read", &from))?;
            names.push(kept);
        }
        names.extend(names_in(&inputs).into_iter().filter(|name| !name.starts_with("kept-")));
        let list: Vec<_> = names.iter().map(|name| format!("inputs/{target}/{name}")).collect();
        let path = self.0.join(format!("{target}.list"));
        fs::write(&path, list.join(",")).map_err(Error::file("write", &path))?;
        Ok((!list.is_empty()).then(|| format!("-seed_inputs=@{target}.list")))
    }
}

/// The names of the files in a folder, in order; none if there is no folder.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
