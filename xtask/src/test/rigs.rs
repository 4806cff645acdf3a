//! The tests that need real servers, a kernel or a guest; each is a program of its own below `tests/`.

use std::{fs, io, path::PathBuf};

use obtrace_loaders::LANGUAGES;

use super::report::Report;
use crate::{
    command::Run,
    error::Error,
    image,
    loaders::{self, Kept},
    next,
    setup::{self, Need},
    workspace::{Workspace, is_root},
};

pub(super) fn replay(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    rig(workspace, report, Need::Replay, "tests/replay/run.py", &["--seed", "1"])
}

pub(super) fn live(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    rig(workspace, report, Need::Live, "tests/live/run.py", &[])?;
    rig(workspace, report, Need::Replay, "tests/live/protocols.py", &[])?;
    rig(workspace, report, Need::Live, "tests/live/narrow.py", &[])?;
    rig(workspace, report, Need::Live, "tests/live/export.py", &[])?;
    metrics(workspace, report)
}

/// What the running agent sends and shows. A real Collector takes it, too, which is built once and kept in the cache.
fn metrics(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    const PROGRAM: &str = "tests/live/metrics.py";
    let run = rig_run(workspace, Need::Live, PROGRAM)?;
    report.run_tests(PROGRAM, run.env("OBTRACE_COLLECTOR", setup::collector(workspace)?))
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

/// What is said of processes of every language while they run.
pub(super) fn detect(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    const PROGRAM: &str = "tests/detect/run.py";
    setup::packages(&[Need::Detect])?;
    let python = setup::python(workspace, "tests/detect/requirements.txt")?;
    // Not for release: nothing is timed.
    workspace.build_beside_tests(&["process"]).status()?;
    let run = Run::new(python)
        .arg(workspace.path(PROGRAM))
        .arg("--process")
        .arg(workspace.target.join("debug/examples/process"))
        .arg("--detect")
        .arg(workspace.target.join("debug/obtrace-zero"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("OBTRACE_CACHE", &workspace.cache);
    report.run_tests(PROGRAM, run)
}

/// Everything that obtrace-export sends and serves, before OpenTelemetry's types for Python, Prometheus' readers and a real
/// Collector.
pub(super) fn export(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    setup::packages(&[Need::Collector])?;
    strict(workspace, report)?;
    pages(workspace, report)?;
    let collector = setup::collector(workspace)?;
    workspace.build_beside_tests(&["send_three_spans", "opentelemetry_sdk_exporter", "receive_otlp"]).status()?;
    let run = export_test(workspace, "collector").env("OBTRACE_COLLECTOR", collector);
    report.run_tests("collector", run)?;
    report.run_tests("an outage in real time", export_test(workspace, "outage").env("OBTRACE_REAL_TIME", "1"))
}

/// A test of obtrace-export, with all its features, which the workspace asks for together: it is the program that `unit` runs.
fn export_test(workspace: &Workspace, name: &str) -> Run {
    workspace.cargo(["test", "--locked", "--workspace", "--test"]).arg(name)
}

/// A folder for what one program writes and another reads, without what an earlier run left: that would be read too.
fn emptied(workspace: &Workspace, name: &str) -> Result<PathBuf, Error> {
    let folder = workspace.target.join(name);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("empty", &folder)(error)),
        _ => Ok(folder),
    }
}

/// Telemetry of every kind, written in both forms by a test, and read by OpenTelemetry's types for Python.
fn strict(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    const PROGRAM: &str = "tests/export/strict.py";
    let python = setup::python(workspace, "tests/export/requirements.txt")?;
    let bodies = emptied(workspace, "bodies")?;
    let write = export_test(workspace, "wire").arg("bodies_for_other_readers");
    report.run_tests("bodies", write.env("OBTRACE_BODIES", &bodies))?;
    let read = Run::new(python).arg(workspace.path(PROGRAM)).arg("--bodies").arg(bodies);
    report.run_tests(PROGRAM, read.env("PYTHONDONTWRITEBYTECODE", "1"))
}

/// Pages for Prometheus, written in both forms by a test, and read by promtool and by the strict parser of OpenMetrics.
fn pages(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    const PROGRAM: &str = "tests/export/pages.py";
    let python = setup::python(workspace, "tests/export/requirements.txt")?;
    let pages = emptied(workspace, "pages")?;
    let write = export_test(workspace, "prometheus_page").arg("pages_for_other_readers");
    report.run_tests("pages", write.env("OBTRACE_PAGES", &pages))?;
    let read = Run::new(python).arg(workspace.path(PROGRAM)).arg("--pages").arg(pages);
    report.run_tests(PROGRAM, read.env("PYTHONDONTWRITEBYTECODE", "1"))
}

fn in_guest(workspace: &Workspace, report: &mut Report, arguments: &[&str]) -> Result<(), Error> {
    setup::packages(&[Need::Guest])?;
    // The program of the image: the guest has no shared libraries.
    let agent = image::EBPF.build(workspace)?;
    let run = Run::new("python3").arg(workspace.path("tests/guest/run.py")).arg("--agent").arg(agent).args(arguments);
    report.run_tests("guest", run.env("OBTRACE_CACHE", &workspace.cache).env("PYTHONUNBUFFERED", "1"))
}

/// Every loader on its real runtimes.
pub(super) fn loaders_languages(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    loaders(workspace, report, &["--lanes"])
}

/// The program that copies and starts loaders.
pub(super) fn loaders_installer(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    loaders(workspace, report, &["--language", "installer"])
}

/// One trace through all six.
pub(super) fn loaders_together(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    loaders(workspace, report, &["--language", "together"])
}

/// Loaders on their real runtimes, as a Pod would have them.
fn loaders(workspace: &Workspace, report: &mut Report, arguments: &[&str]) -> Result<(), Error> {
    const PROGRAM: &str = "tests/loaders/run.py";
    if !is_root() {
        return Err(Error::Cannot("needs root".into()));
    }
    setup::packages(&[Need::Loaders])?;
    let python = setup::python(workspace, "tests/loaders/requirements.txt")?;
    let files = loaders::build(workspace, &LANGUAGES, Kept::Used)?;
    let run = Run::new(python)
        .arg(workspace.path(PROGRAM))
        .arg("--obtrace-zero")
        .arg(workspace.build_obtrace_zero()?)
        .arg("--obtrace-loaders")
        .arg(loaders::build_static(workspace)?)
        .arg("--obtrace-agent")
        .arg(workspace.build_agent()?)
        .arg("--agent-files")
        .arg(files)
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("OBTRACE_CACHE", &workspace.cache);
    report.run_tests(&format!("{PROGRAM} {}", arguments.join(" ")), run)
}

/// The agent's image, made twice with the loaders built anew.
pub(super) fn agent_image(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    const PROGRAM: &str = "tests/image/run.py";
    if !is_root() {
        return Err(Error::Cannot("needs root".into()));
    }
    setup::packages(&[Need::AgentImage])?;
    let python = setup::python(workspace, "tests/loaders/requirements.txt")?;
    let (first, second) = (workspace.target.join("agent.tar"), workspace.target.join("agent-again.tar"));
    image::agent(workspace, Kept::Used)?.write(&first)?;
    image::agent(workspace, Kept::Replaced)?.write(&second)?;
    let run = Run::new(python)
        .arg(workspace.path(PROGRAM))
        .arg("--image")
        .arg(first)
        .arg("--again")
        .arg(second)
        .arg("--obtrace-zero")
        .arg(workspace.build_obtrace_zero()?)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1");
    report.run_tests(PROGRAM, run)
}

/// The images of one program each: the operator's, and that of the agent that observes from the kernel.
pub(super) fn program_images(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    const PROGRAM: &str = "tests/image/program.py";
    if !is_root() {
        return Err(Error::Cannot("needs root".into()));
    }
    setup::packages(&[Need::ProgramImage])?;
    for (name, program) in [("operator", image::OPERATOR), ("ebpf", image::EBPF)] {
        // Not the files of `cluster`, which may run at the same time.
        let path = |file: &str| workspace.target.join(format!("image-{name}{file}.tar"));
        let (first, second) = (path(""), path("-again"));
        program.image(workspace)?.write(&first)?;
        program.image(workspace)?.write(&second)?;
        let run = Run::new("python3").arg(workspace.path(PROGRAM)).arg("--image").arg(first).arg("--again").arg(second);
        let run = run.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        report.run_tests(&format!("{PROGRAM} {name}"), run)?;
    }
    Ok(())
}

/// Pods that are injected from the agent's image, on a real node.
pub(super) fn node(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    const PROGRAM: &str = "tests/kubernetes/node/run.py";
    if !is_root() {
        return Err(Error::Cannot("needs root".into()));
    }
    setup::packages(&[Need::Kubernetes, Need::AgentImage, Need::Node])?;
    let python = setup::python(workspace, "tests/kubernetes/requirements.txt")?;
    let archive = workspace.target.join("agent.tar");
    image::agent(workspace, Kept::Used)?.write(&archive)?;
    let run = Run::new(python)
        .arg(workspace.path(PROGRAM))
        .arg("--obtrace-zero")
        .arg(workspace.build_obtrace_zero()?)
        .arg("--agent-image")
        .arg(archive)
        .arg("--node")
        .arg(setup::node(workspace)?)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("OBTRACE_CACHE", &workspace.cache);
    report.run_tests(PROGRAM, run)
}

/// A cluster of two nodes.
pub(super) fn cluster(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    const PROGRAM: &str = "tests/cluster/run.py";
    if !is_root() {
        return Err(Error::Cannot("needs root".into()));
    }
    setup::packages(&[Need::Kubernetes, Need::Node, Need::AgentImage, Need::ProgramImage])?;
    let python = setup::python(workspace, "tests/kubernetes/requirements.txt")?;
    let [operator, agent, ebpf] = ["operator.tar", "agent.tar", "ebpf.tar"].map(|name| workspace.target.join(name));
    image::OPERATOR.image(workspace)?.write(&operator)?;
    image::agent(workspace, Kept::Used)?.write(&agent)?;
    image::EBPF.image(workspace)?.write(&ebpf)?;
    let next = next::build(workspace)?;
    let run = Run::new(python)
        .arg(workspace.path(PROGRAM))
        .arg("--obtrace-agent")
        .arg(workspace.build_agent()?)
        .arg("--obtrace-zero")
        .arg(workspace.build_obtrace_zero()?)
        .arg("--operator-image")
        .arg(operator)
        .arg("--agent-image")
        .arg(agent)
        .arg("--ebpf-image")
        .arg(ebpf)
        .arg("--next-obtrace-zero")
        .arg(next.program)
        .arg("--next-agent-image")
        .arg(next.agent)
        .arg("--node")
        .arg(setup::node(workspace)?)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("OBTRACE_CACHE", &workspace.cache);
    report.run_tests(PROGRAM, run)
}

/// What a real API server says: of what is shipped, and to the parts of the operator, each of which runs as an example. The server is
/// built once from Go modules and kept in the cache.
pub(super) fn kubernetes(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    setup::packages(&[Need::Kubernetes])?;
    let python = setup::python(workspace, "tests/kubernetes/requirements.txt")?;
    workspace.build_beside_tests(&["webhook", "identity", "discover"]).status()?;
    let example = |name: &str| workspace.target.join("debug/examples").join(name);
    let programs = [
        ("identity.py", "--program", example("identity")),
        ("run.py", "--obtrace-zero", workspace.build_obtrace_zero()?),
        ("discovery.py", "--discover", example("discover")),
        ("lookups.py", "--obtrace-zero", workspace.build_obtrace_zero()?),
        ("webhook.py", "--webhook", example("webhook")),
        ("cert_manager.py", "--obtrace-zero", workspace.build_obtrace_zero()?),
        ("restart.py", "--obtrace-zero", workspace.build_obtrace_zero()?),
    ];
    let rig = |(name, flag, program): (&str, &str, PathBuf)| {
        let path = format!("tests/kubernetes/{name}");
        let run = Run::new(&python)
            .arg(workspace.path(&path))
            .arg(flag)
            .arg(program)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1")
            .env("OBTRACE_CACHE", &workspace.cache);
        (path, run)
    };
    // Each has an API server of its own.
    report.run_tests_in_pairs(programs.map(rig).into())?;
    // What measures discovery must know what the operator asks for; the figures are for a release build on a quiet machine.
    let bench = Run::new(&python)
        .arg(workspace.path("benches/discovery/measure.py"))
        .args(["--quick", "--operator"])
        .arg(workspace.build_obtrace_zero()?)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    report.check("discovery bench", bench)
}

/// Runs a rig as root with the release build of the agent and the Python packages that `need` comes with.
fn rig(workspace: &Workspace, report: &mut Report, need: Need, program: &str, arguments: &[&str]) -> Result<(), Error> {
    let run = rig_run(workspace, need, program)?;
    report.run_tests(program, run.args(arguments))
}

fn rig_run(workspace: &Workspace, need: Need, program: &str) -> Result<Run, Error> {
    if !is_root() {
        return Err(Error::Cannot("needs root".into()));
    }
    setup::packages(&[need])?;
    let python = match need.requirements() {
        Some(requirements) => setup::python(workspace, requirements)?,
        None => PathBuf::from("python3"),
    };
    let agent = workspace.build_agent()?;
    Ok(Run::new(python)
        .arg(workspace.path(program))
        .arg("--agent")
        .arg(agent)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("OBTRACE_CACHE", &workspace.cache))
}
