//! `run`: watches until it is told to end.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    thread,
    time::Duration,
};

use obtrace_cli::{Color, say};
use obtrace_export::{
    model::{Item, Signal},
    pipeline::Exporter,
    prometheus::{self, Server},
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use tracing_subscriber::EnvFilter;

use super::{CANNOT, FAILED, USAGE, arguments::Run, colored, complain, load};
use crate::{
    application::{Agent, Error, Outlets},
    config::{self, Built, Config, Outlet, Page},
    metrics::Metrics,
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
    let outlets = outlets(built.traces, built.metrics)?;
    #[cfg(feature = "kubernetes")]
    let _watch = match built.application.enrich.cluster.as_ref().filter(|cluster| cluster.node().is_some()) {
        Some(cluster) => Some(
            crate::kubernetes::watch::start(std::sync::Arc::clone(cluster))
                .map_err(|error| Error::Start(format!("no thread for the API server: {error}")))?,
        ),
        None => None,
    };
    let agent = Agent::start(built.application, outlets, io::stdout())?;
    let plural = if agent.observed() == 1 { "" } else { "es" };
    say(format_args!("watching {} process{plural} ({}); Ctrl-C ends it", agent.observed(), agent.backend()));
    end_on_signal(signals, agent.handle())?;
    agent.wait();
    let summary = agent.stop()?;
    say(summary);
    Ok(())
}

/// Starts what sends spans and metrics, and says where they go.
fn outlets(traces: Vec<Outlet>, metrics: Option<config::Metrics>) -> Result<Outlets, Error> {
    let mut outlets = Outlets::new();
    outlets.spans = traces.into_iter().map(exporter).collect::<Result<_, _>>()?;
    let Some(config::Metrics { settings, outlets: receivers, page }) = metrics else { return Ok(outlets) };
    let exporters = receivers.into_iter().map(exporter).collect::<Result<_, _>>()?;
    let metrics = Metrics::new(settings, exporters);
    if let Some(page) = page {
        show(&page, metrics.clone())?;
    }
    outlets.metrics = Some(metrics);
    Ok(outlets)
}

/// Opens the page for Prometheus, which is answered on a thread of its own until the program ends.
fn show(page: &Page, metrics: Metrics) -> Result<(), Error> {
    let Page { host, port, path, .. } = page;
    let unknown = |said: String| Error::Start(format!("cannot listen on {host}:{port} for Prometheus: {said}"));
    let mut addresses: Vec<SocketAddr> =
        (host.as_str(), *port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?.collect();
    // Who is told a name and looks for it asks for IPv4 first or in the end.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let address = *addresses.first().ok_or_else(|| unknown("the name has no address".to_owned()))?;
    let settings = prometheus::Settings::new().with_path(path);
    let server = Server::bind(address, settings).map_err(|error| Error::Start(error.to_string()))?;
    metrics.watch_page(server.counters());
    say(format_args!("metrics are at http://{}/{}", server.local_address(), path.trim_start_matches('/')));
    let no_thread = |error: io::Error| Error::Start(format!("no thread for the page for Prometheus: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_thread)?;
    let serve = move || {
        if let Err(error) = runtime.block_on(server.serve(move || metrics.collect(), std::future::pending())) {
            tracing::error!("the page for Prometheus is not answered any more: {error}");
        }
    };
    thread::Builder::new().name("prometheus".to_owned()).spawn(serve).map(drop).map_err(no_thread)
}

/// An exporter on a thread of its own.
fn exporter<T: Item>(outlet: Outlet) -> Result<Exporter<T>, Error> {
    let what = if T::SIGNAL == Signal::Traces { "spans" } else { T::SIGNAL.name() };
    let target = outlet.target();
    let cannot =
        |error| Error::Start(format!("{what} cannot go to {target}: {error}; choose another place with --otlp-file"));
    let (transport, delivery) = outlet.open().map_err(cannot)?;
    say(format_args!("{what} go to {target}"));
    let (exporter, worker) = Exporter::new(transport, delivery);
    worker.spawn_thread().map_err(|error| Error::Start(format!("the exporter got no thread: {error}")))?;
    Ok(exporter)
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
