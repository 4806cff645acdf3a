//! `cargo xtask demo`: a small real application, requests, and what the agent sees of them.

mod application;
mod kept;

use std::time::Duration;

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
    await_ready(&mut observer)?;
    application.order(options.requests)?;
    // The last spans wait for their traces to be complete; Ctrl-C would end the agent in the same way.
    interrupt::wait_for(Duration::from_secs(3), || Ok(None::<()>))?;
    let status = observer.stop(Duration::from_secs(10));
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

/// Gives the agent a moment to attach, and notices when it cannot run here.
fn await_ready(agent: &mut Running) -> Result<(), Error> {
    let ended = interrupt::wait_for(Duration::from_millis(1500), || Ok(agent.ended()))?;
    match ended {
        None => Ok(()),
        Some(status) if status.code() == Some(77) => {
            Err(Error::Cannot("the agent cannot run on this machine; its message above says why".into()))
        }
        Some(status) => Err(Error::Wrong(format!("the agent ended before the first request: {}", describe(status)))),
    }
}
