//! The application that `--keep` leaves running: written down, shown, ended by `--stop`.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use super::application::Application;
use crate::{command::Run, error::Error, say, workspace::Workspace};

/// Writes down what runs, leaves it running, and says how to look at it and how to end it.
pub(super) fn leave(workspace: &Workspace, application: Application, agent: &Path) -> Result<(), Error> {
    let servers: Vec<Value> = application
        .servers()
        .iter()
        .map(|server| json!({"name": server.name, "pid": server.id(), "started": start_time(server.id())}))
        .collect();
    let namespace = application.namespace.name().to_owned();
    let record = json!({"namespace": namespace, "folder": application.files.path, "servers": servers});
    let file = record_file(workspace);
    fs::write(&file, record.to_string()).map_err(Error::file("write", &file))?;
    let watch = Run::new(agent).args(application.agent_arguments()).line();
    application.keep();
    say::headline("The application goes on running");
    println!("    watch it:    {watch}");
    println!("    an order:    ip netns exec {namespace} curl -X POST http://127.0.0.1:8080/orders/7");
    println!("    end it:      cargo xtask demo --stop");
    Ok(())
}

/// An error if an application is still running from an earlier `--keep`.
pub(super) fn refuse_second(workspace: &Workspace) -> Result<(), Error> {
    let file = record_file(workspace);
    if file.exists() {
        return Err(Error::Wrong(
            "an earlier `--keep` left an application; end it with `cargo xtask demo --stop`".into(),
        ));
    }
    Ok(())
}

/// Ends what `leave` wrote down.
pub(super) fn stop(workspace: &Workspace) -> Result<(), Error> {
    let file = record_file(workspace);
    if !file.exists() {
        say::step("nothing was left running");
        return Ok(());
    }
    let text = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
    let record: Value = serde_json::from_str(&text)
        .map_err(|error| Error::Wrong(format!("cannot understand {}: {error}; remove it", file.display())))?;
    for server in record["servers"].as_array().into_iter().flatten() {
        let Some(id) = server["pid"].as_u64().and_then(|id| u32::try_from(id).ok()) else { continue };
        // The id may belong to another process by now.
        if start_time(id).is_some() && start_time(id) == server["started"].as_u64() {
            end_group(id);
            say::step(format_args!("ended {}", server["name"].as_str().unwrap_or("a server")));
        }
    }
    if let Some(namespace) = record["namespace"].as_str() {
        let _ = Run::new("ip").args(["netns", "delete", namespace]).capture();
    }
    if let Some(folder) = record["folder"].as_str().filter(|folder| folder.contains("obtrace-demo-")) {
        let _ = fs::remove_dir_all(folder);
    }
    fs::remove_file(&file).map_err(Error::file("remove", &file))
}

fn record_file(workspace: &Workspace) -> PathBuf {
    workspace.target.join("demo.json")
}

fn end_group(id: u32) {
    let Some(group) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return };
    let _ = kill_process_group(group, Signal::TERM);
    for _ in 0..250 {
        if start_time(id).is_none() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = kill_process_group(group, Signal::KILL);
}

/// When the process started, in clock ticks after boot; with the id it names a process for good.
fn start_time(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name may hold spaces and brackets; what follows the last bracket does not.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    (fields.next()? != "Z").then(|| fields.nth(18)?.parse().ok())?
}
