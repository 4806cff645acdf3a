//! The tests that need real servers, a kernel or a guest; each is a program of its own below `tests/`.

use std::path::PathBuf;

use super::report::Report;
use crate::{
    command::Run,
    error::Error,
    setup::{self, Need},
    workspace::{Workspace, is_root},
};

pub(super) fn replay(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    rig(workspace, report, Need::Replay, "tests/replay/run.py", &["--seed", "1"])
}

pub(super) fn live(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    rig(workspace, report, Need::Live, "tests/live/run.py", &[])?;
    rig(workspace, report, Need::Live, "tests/live/narrow.py", &[])?;
    rig(workspace, report, Need::Live, "tests/live/export.py", &[])
}

pub(super) fn container(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    rig(workspace, report, Need::Live, "tests/live/run.py", &["--container"])?;
    rig(workspace, report, Need::Live, "tests/live/narrow.py", &["--container"])
}

pub(super) fn failures(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    rig(workspace, report, Need::Live, "tests/live/failures.py", &[])
}

pub(super) fn overload(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    rig(workspace, report, Need::Live, "tests/scale/run.py", &["--only", "overload"])
}

pub(super) fn scale(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    rig(workspace, report, Need::Live, "tests/scale/run.py", &["--only", "sockets"])
}

pub(super) fn churn(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    rig(workspace, report, Need::Live, "tests/scale/run.py", &["--only", "churn"])
}

/// Both back ends on both kernels.
pub(super) fn guest(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    in_guest(workspace, report, &["--only", "spans"])
}

/// What the agent costs, beside an application in C.
pub(super) fn guest_cost(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    in_guest(workspace, report, &["--only", "instructions: httpd"])
}

/// The same beside one in Go, too, and every goal as it is.
pub(super) fn guest_goals(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    in_guest(workspace, report, &["--only", "instructions", "--strict"])
}

fn in_guest(workspace: &Workspace, report: &mut Report, arguments: &[&str]) -> Result<(), Error> {
    setup::packages(&[Need::Guest])?;
    let run = Run::new("python3").arg(workspace.path("tests/guest/run.py")).args(arguments);
    report.run_tests("guest", run.env("OBTRACE_CACHE", &workspace.cache).env("PYTHONUNBUFFERED", "1"))
}

/// Runs a rig as root with the release build of the agent and the Python packages that `need` comes with.
fn rig(workspace: &Workspace, report: &mut Report, need: Need, program: &str, arguments: &[&str]) -> Result<(), Error> {
    if !is_root() {
        return Err(Error::Cannot("needs root".into()));
    }
    setup::packages(&[need])?;
    let python = match need.requirements() {
        Some(requirements) => setup::python(workspace, requirements)?,
        None => PathBuf::from("python3"),
    };
    let agent = workspace.build_agent()?;
    let run = Run::new(python)
        .arg(workspace.path(program))
        .arg("--agent")
        .arg(agent)
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("OBTRACE_CACHE", &workspace.cache);
    report.run_tests(program, run)
}
