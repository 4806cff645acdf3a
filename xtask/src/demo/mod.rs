//! `cargo xtask demo`: a small real application, requests, and what the agent sees of them.

mod application;
mod kept;

use std::{fs, path::Path, time::Duration};

use self::application::Application;
use crate::{
    command::{Running, describe},
    error::Error,
    interrupt, say,
    setup::{self, Need},
    workspace::{Workspace, is_root},
};

/// Options of `demo`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Orders to send.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    requests: u32,
    /// Leave the application running afterwards.
    #[arg(long, conflicts_with = "stop")]
    keep: bool,
    /// End an application that an earlier `--keep` left running.
    #[arg(long)]
    stop: bool,
}

/// Runs `cargo xtask demo`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    if options.stop {
        return kept::stop(workspace);
    }
    if !is_root() {
        return Err(Error::Cannot(
            "the demo needs root: the agent loads BPF programs, and the application gets a network namespace of its \
             own; run `sudo --preserve-env=PATH,HOME cargo xtask demo`"
                .into(),
        ));
    }
    kept::refuse_second(workspace)?;
    say::headline("What the demo needs");
    setup::packages(&[Need::Demo])?;
    let python = setup::python(workspace, "examples/demo/requirements.txt")?;
    say::headline("The agent, built for release");
    let agent = workspace.build_agent()?;

    say::headline("The application: front service → pricing service, PostgreSQL, Redis");
    let application = Application::start(workspace, python)?;
    say::headline(format_args!("The agent watches while {} orders are sent", options.requests));
    let mut observer = application.observe(&agent)?;
    let log = application.agent_log();
    await_ready(&mut observer, &log)?;
    application.order(options.requests)?;
    // The last spans wait for their traces to be complete; Ctrl-C would end the agent in the same way.
    interrupt::wait_for(Duration::from_secs(3), || Ok(None::<()>))?;
    let status = observer.stop(Duration::from_secs(10));
    say::headline("The agent's summary");
    print!("{}", said(&log));
    match status {
        Some(status) if status.success() => {}
        Some(status) => return Err(Error::Wrong(format!("the agent ended with {}", describe(status)))),
        None => return Err(Error::Wrong("the agent did not end".into())),
    }
    if options.keep {
        kept::leave(workspace, application, &agent)?;
    } else {
        drop(application);
        say::step("the application has been ended; nothing is left behind");
    }
    Ok(())
}

/// Waits until the agent says that it watches, and notices when it cannot run here.
fn await_ready(agent: &mut Running, log: &Path) -> Result<(), Error> {
    let watching = interrupt::wait_for(Duration::from_secs(20), || match agent.ended() {
        None => Ok(said(log).contains("watching ").then_some(())),
        Some(status) if status.code() == Some(77) => Err(Error::Cannot(said(log).trim().to_owned())),
        Some(status) => {
            Err(Error::Wrong(format!("the agent ended before the first request: {}: {}", describe(status), said(log))))
        }
    })?;
    watching.ok_or_else(|| Error::Wrong(format!("the agent does not say that it watches: {}", said(log))))
}

/// What the agent said so far.
fn said(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}
