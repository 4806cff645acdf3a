//! `run`: watches until it is told to end.

use std::{io, thread, time::Duration};

use obtrace_cli::{Color, say};
use obtrace_export::pipeline::Exporter;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use tracing_subscriber::EnvFilter;

use super::{CANNOT, FAILED, USAGE, arguments::Run, colored, complain, load};
use crate::{
    application::{Agent, Error},
    config::{Built, Config},
    pipeline,
};

pub(super) fn run(flags: &Run) -> u8 {
    let config = match load(flags.config.as_ref(), flags.flags()) {
        Ok(config) => config,
        Err(error) => {
            complain(error);
            return USAGE;
        }
    };
    log_to_stderr(&config);
    keep_pages_small();
    let mut built = match config.build() {
        Ok(built) => built,
        Err(error) => {
            complain(error);
            return USAGE;
        }
    };
    built.application.color = colored(config.get("color"));
    match watch(built) {
        Ok(()) => 0,
        Err(error) => {
            let code = if error.is_unsupported() { CANNOT } else { FAILED };
            complain(&error);
            if code == CANNOT {
                say("`obtrace-agent check` tells what this machine allows");
            }
            code
        }
    }
}

/// Where huge pages are on for everybody, the kernel looks every few seconds for memory to put together, and what was given
/// back to it inside the heap counts as ours again: 5 MB that nothing uses.
fn keep_pages_small() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("huge pages stay as they are: {error}");
    }
}

fn log_to_stderr(config: &Config) {
    // The client of the API server logs whole answers; what went wrong is told by who asked.
    let quiet = if matches!(config.get("log"), "error" | "warn") { ",kube_client=off,kube_runtime=off" } else { "" };
    let filter = EnvFilter::try_new(format!("{}{quiet}", config.get("log"))).unwrap_or_default();
    // A second subscriber is only refused in tests that run commands in one process.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(Color::auto().stderr)
        .try_init();
}

fn watch(built: Built) -> Result<(), Error> {
    // From here on a signal is kept until somebody can act on it.
    let signals = Signals::new([SIGTERM, SIGINT]).map_err(|error| Error::Start(error.to_string()))?;
    let exporter = match built.export {
        None => None,
        Some((http, config)) => {
            say(format_args!("spans go to {}", http.url()));
            let (exporter, worker) = Exporter::new(http, config);
            worker.spawn_thread().map_err(|error| Error::Start(format!("the exporter got no thread: {error}")))?;
            Some(exporter)
        }
    };
    #[cfg(feature = "kubernetes")]
    let _watch = match built.application.enrich.cluster.as_ref().filter(|cluster| cluster.node().is_some()) {
        Some(cluster) => Some(
            crate::kubernetes::watch::start(std::sync::Arc::clone(cluster))
                .map_err(|error| Error::Start(format!("no thread for the API server: {error}")))?,
        ),
        None => None,
    };
    let agent = Agent::start(built.application, exporter, io::stdout())?;
    let plural = if agent.observed() == 1 { "" } else { "es" };
    say(format_args!("watching {} process{plural} ({}); Ctrl-C ends it", agent.observed(), agent.backend()));
    end_on_signal(signals, agent.handle())?;
    agent.wait();
    let summary = agent.stop()?;
    say(summary);
    Ok(())
}

/// The first signal ends the agent in good order, the second at once.
fn end_on_signal(mut signals: Signals, handle: pipeline::Handle) -> Result<(), Error> {
    /// In case a second signal is the same one twice: a terminal sends it to the whole group, a supervisor again.
    const SETTLE: Duration = Duration::from_millis(200);
    let wait = move || {
        let mut received = signals.forever();
        if received.next().is_some() {
            handle.request_stop();
            thread::sleep(SETTLE);
        }
        if received.next().is_some() {
            say("ended at once by a second signal; the last spans are lost");
            std::process::exit(FAILED.into());
        }
    };
    let started = thread::Builder::new().name("signals".to_owned()).spawn(wait);
    started.map(drop).map_err(|error| Error::Start(format!("no thread for signals: {error}")))
}
