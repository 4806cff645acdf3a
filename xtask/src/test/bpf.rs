//! The BPF objects that the repository ships.

use std::{fs, path::PathBuf};

use super::report::Report;
use crate::{bpf, command::Run, error::Error, setup, setup::Need, workspace::Workspace};

/// The C is formatted, and what is shipped is what it compiles to.
pub(super) fn run(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    setup::packages(&[Need::Bpf])?;
    let mut sources = Vec::new();
    collect(workspace.path("obtrace-probes/bpf"), &mut sources)?;
    report.check("clang-format", Run::new("clang-format-19").args(["--dry-run", "-Werror"]).args(&sources))?;
    for difference in bpf::differences(workspace)? {
        report.fail("shipped object", &difference);
    }
    report.pass();
    Ok(())
}

fn collect(folder: PathBuf, sources: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(&folder).map_err(Error::file("read", &folder))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(path, sources)?;
        } else if path.extension().is_some_and(|ending| ending == "c" || ending == "h") {
            sources.push(path);
        }
    }
    Ok(())
}
