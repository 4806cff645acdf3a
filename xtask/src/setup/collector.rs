//! The OpenTelemetry Collector, built from the Go modules that `tests/export/collector` pins.

use std::{fs, path::PathBuf};

use super::python::key;
use crate::{command::Run, error::Error, say, workspace::Workspace};

const SOURCES: &str = "tests/export/collector";
const VERSION: &str = "0.138.0";

/// The program; it is built if it is not in the cache. Needs Go.
pub(super) fn program(workspace: &Workspace) -> Result<PathBuf, Error> {
    let mut texts = vec![VERSION.to_owned()];
    for name in ["go.mod", "go.sum", "main.go"] {
        let path = workspace.path(SOURCES).join(name);
        texts.push(fs::read_to_string(&path).map_err(Error::file("read", &path))?);
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let folder = workspace.cache.join("export");
    let program = folder.join(format!("collector-{VERSION}-{}", key(&texts)));
    if program.exists() {
        return Ok(program);
    }
    fs::create_dir_all(&folder).map_err(Error::file("make", &folder))?;
    say::step("building the OpenTelemetry Collector from its Go modules: two or three minutes, once");
    let unfinished = program.with_extension(format!("{}.unfinished", std::process::id()));
    let built = Run::new("go")
        .args(["build", "-ldflags", "-s -w", "-o"])
        .arg(&unfinished)
        .arg(".")
        .current_dir(&workspace.path(SOURCES))
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-trimpath -mod=readonly -buildvcs=false")
        .status()
        .and_then(|()| fs::rename(&unfinished, &program).map_err(Error::file("make", &program)));
    if built.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    built.map(|()| program)
}
