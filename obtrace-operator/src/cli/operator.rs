//! `operator`: what the Deployment runs.

use std::{env, io, net::SocketAddr, time::Duration};

use clap::{Args, ValueEnum};
use kube::Client;
use obtrace_cli::{Color, Failure};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use super::duration;
use crate::{
    certificates::Life,
    index::SYSTEM_NAMESPACE,
    operator::{self, Options},
    registry,
    telemetry::{Replica, Settings, SettingsError, Traces},
};

/// How long the last spans may take.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// How the operator runs.
#[derive(Args)]
pub(super) struct Flags {
    /// The namespace of its Lease, its Service and the Secret with its certificate; resources for the whole cluster and the API key are always in obtrace-system
    #[arg(long, env = "POD_NAMESPACE", default_value = SYSTEM_NAMESPACE)]
    namespace: String,
    /// What this replica calls itself; no two may call themselves the same
    #[arg(long, env = "POD_NAME", default_value = "obtrace-zero-operator", value_name = "NAME")]
    pod_name: String,
    /// Where the webhook listens (TLS)
    #[arg(long, default_value = "[::]:9443", value_name = "ADDRESS:PORT")]
    webhook_address: SocketAddr,
    /// Where /healthz and /readyz are
    #[arg(long, default_value = "[::]:8081", value_name = "ADDRESS:PORT")]
    health_address: SocketAddr,
    /// Where /metrics is
    #[arg(long, default_value = "[::]:8080", value_name = "ADDRESS:PORT")]
    metrics_address: SocketAddr,
    /// How often all workloads are listed anew, beside the watch
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = duration::parse)]
    resync: Duration,
    /// How long the webhook's certificate lasts; it is replaced at two thirds of that
    #[arg(long, default_value = "30d", value_name = "TIME", value_parser = duration::parse)]
    certificate_life: Duration,
    /// How long the CA lasts that signs it
    #[arg(long, default_value = "365d", value_name = "TIME", value_parser = duration::parse)]
    ca_life: Duration,
    /// How long API servers have to learn of a new CA before it is used
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration::parse)]
    ca_propagation: Duration,
    /// How long an old CA is trusted after it was replaced
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = duration::parse)]
    ca_overlap: Duration,
    /// How long the webhook goes on answering new connections when it is told to stop
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = duration::parse)]
    linger: Duration,
    /// How many workloads are restarted at once in the cluster, where a resource asks for it (rolloutRestart: onChange); in a namespace one at a time
    #[arg(long, default_value = "3", value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    restart_at_once: u16,
    /// How long after a restart has begun the next one begins
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration::parse)]
    restart_every: Duration,
    /// How long a restarted workload's Pods have to become ready before the restart is taken back
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = duration::parse)]
    restart_grace: Duration,
    /// How long none begins after a restart that was taken back or changed nothing; after several taken back in a row each time twice as long
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = duration::parse)]
    restart_caution: Duration,
    /// How long they have to stay ready until the restart is over
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = duration::parse)]
    restart_steady: Duration,
    /// Look images up in their registries where nothing else tells what a container runs
    #[arg(long)]
    image_lookups: bool,
    /// The registries whose images are looked up, instead of all; a `*` stands for any characters between two dots. One on loopback or at a link-local address is only asked if it is named here
    #[arg(long, value_name = "HOST[:PORT],…", value_delimiter = ',', requires = "image_lookups")]
    image_registries: Vec<String>,
    /// A registry that is asked without TLS (may be given more than once)
    #[arg(long, value_name = "HOST[:PORT]", requires = "image_lookups")]
    insecure_registry: Vec<String>,
    /// How long what a tag of an image means is believed
    #[arg(long, default_value = "6h", value_name = "TIME", value_parser = duration::parse, requires = "image_lookups")]
    image_refresh: Duration,
    /// How long an image is left alone that could not be looked up; each time twice as long, up to 60 times
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = duration::parse, requires = "image_lookups")]
    image_retry: Duration,
    /// What is logged: error, warn, info, debug, trace, also by module
    #[arg(long, env = "OBTRACE_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
    /// How it is logged, to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Json, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// An object a line
    Json,
    /// For people
    Text,
}

impl Flags {
    fn options(&self) -> Options {
        let mut options = Options::new(&self.namespace, &self.pod_name);
        (options.webhook, options.health, options.metrics) =
            (self.webhook_address, self.health_address, self.metrics_address);
        options.certificates.serving = Life::new(self.certificate_life);
        options.certificates.ca = Life::new(self.ca_life);
        options.certificates.propagation = self.ca_propagation;
        options.certificates.overlap = self.ca_overlap;
        options.limits.linger = self.linger;
        options.discovery.resync = self.resync;
        options.restarts.at_once = self.restart_at_once.into();
        options.restarts.every = self.restart_every;
        options.restarts.grace = self.restart_grace;
        options.restarts.caution = self.restart_caution;
        options.restarts.steady = self.restart_steady;
        options.images = self.image_lookups.then(|| {
            let hosts = |all: &[String]| all.iter().map(|host| host.to_ascii_lowercase()).collect();
            registry::Options {
                registries: hosts(&self.image_registries),
                insecure: hosts(&self.insecure_registry),
                refresh: self.image_refresh,
                retry: self.image_retry,
            }
        });
        options
    }
}

pub(super) fn run(flags: &Flags, color: Color) -> Result<(), Failure> {
    log(flags, color)?;
    // A quota of one CPU would make one thread, and a review wait until a page of workloads is read.
    let threads = std::thread::available_parallelism().map_or(2, |threads| threads.get().max(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("cannot start threads: {error}")))?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        stop_at_signal(stop.clone()).map_err(|error| Failure::failed(format!("cannot wait for signals: {error}")))?;
        let client = Client::try_default().await.map_err(|error| {
            Failure::failed(format!(
                "cannot find out how to reach a cluster: {error}; the operator runs in a Pod, or with KUBECONFIG"
            ))
        })?;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            namespace = flags.namespace,
            pod = flags.pod_name,
            "obtrace-zero operator"
        );
        let mut options = flags.options();
        // A platform may set such variables in every Pod: no Pod goes without the webhook because of them.
        options.traces = traces(flags).unwrap_or_else(|error| {
            error!(%error, "no traces of the operator's own are sent: see the variables OTEL_* of its Deployment");
            None
        });
        let traces = options.traces.clone();
        let ended = operator::run(client, options, stop).await.map_err(Failure::failed);
        if let Some(traces) = traces {
            let stats = traces.shutdown(LAST_SPANS).await;
            info!(exported = stats.exported, dropped = stats.dropped_total(), "no more spans are sent");
        }
        ended
    })
}

/// Traces as the environment asks for them. Their worker ends with [`Traces::shutdown`].
fn traces(flags: &Flags) -> Result<Option<Traces>, SettingsError> {
    let variable = |name: &str| env::var(name).ok();
    let mut replica = Replica::new(&flags.namespace, &flags.pod_name);
    replica.node = variable("NODE_NAME");
    let settings = Settings::read(variable, &replica)?;
    for warning in settings.warnings() {
        warn!("{warning}");
    }
    let receiver = settings.receiver();
    Ok(settings.start()?.map(|(traces, worker)| {
        info!(receiver, "spans of the operator's own are sent");
        tokio::spawn(worker.run());
        traces
    }))
}

fn log(flags: &Flags, color: Color) -> Result<(), Failure> {
    let filter =
        EnvFilter::try_new(&flags.log).map_err(|error| Failure::usage(format!("--log {}: {error}", flags.log)))?;
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(color.stderr);
    let started = match flags.log_format {
        LogFormat::Json => format.json().flatten_event(true).try_init(),
        LogFormat::Text => format.try_init(),
    };
    started.map_err(|error| Failure::failed(format!("cannot log: {error}")))
}

/// Stops at SIGTERM and SIGINT; a second one ends the program at once, as if nobody had listened.
fn stop_at_signal(stop: CancellationToken) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut count = 0;
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            count += 1;
            if count > 1 {
                std::process::exit(1);
            }
            info!(signal = name, "stopping: the webhook goes on until nobody sends to it any more");
            stop.cancel();
        }
    });
    Ok(())
}
