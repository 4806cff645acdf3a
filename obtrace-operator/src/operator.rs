//! The operator whole: what the Deployment runs.
//!
//! ```text
//!  watches ──► Index ──► webhook :9443 ──► verdicts ──► Events
//!     │                     ▲
//!     │        certificates ┘ ◄── Secret        every replica
//!  ───┼──────────────────────────────────────────────────────
//!     └──► discovery ──► status                 the leader
//!              └──► restarts ──► workloads
//!          certificates ──► Secret, caBundle
//! ```
//!
//! Every replica answers reviews. Told to stop, a replica is not ready any more, gives the Lease back and goes on answering for
//! [`Limits::linger`](crate::server::Limits::linger), since API servers learn late that it is leaving; everything else ends after that.

use std::{
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use kube::Client;
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch as channel},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    certificates::{self, Observer, Resolver},
    crd, discovery,
    index::{Index, SYSTEM_NAMESPACE},
    install, leader,
    registry::{self, Lookups, Wanted},
    restart,
    server::{
        Limits, ServeError,
        health::{self, Check, Readiness},
        metrics, self_review,
        webhook::{self, Webhook},
    },
    telemetry::{Metrics, Traces},
    watch as watches,
};

/// How often a replica asks itself for a review.
const SELF_REVIEW_EVERY: Duration = Duration::from_secs(30);
/// How often it is looked whether there is a certificate, until there is one.
const CERTIFICATE_EVERY: Duration = Duration::from_millis(100);

/// How many verdicts wait for their Events; the others have none, and are counted.
const VERDICTS: usize = 1024;

/// How long the parts have to end once the webhook has: what they still ask the API server for is given up then.
const PARTS_END: Duration = Duration::from_secs(3);

/// What is set of an operator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Where the webhook listens. Default: port 9443 of every address.
    pub webhook: SocketAddr,
    /// Where `/healthz` and `/readyz` are. Default: port 8081 of every address.
    pub health: SocketAddr,
    /// Where `/metrics` is. Default: port 8080 of every address.
    pub metrics: SocketAddr,
    /// The webhook's certificates.
    pub certificates: certificates::Options,
    /// The webhook's bounds.
    pub limits: Limits,
    /// The times of the Lease.
    pub lease: leader::Options,
    /// How workloads are discovered.
    pub discovery: discovery::Options,
    /// How workloads are restarted.
    pub restarts: restart::Options,
    /// How images are looked up in their registries; `None`: they are not.
    pub images: Option<registry::Options>,
    /// Who gets spans of what the operator does, instead of [`discovery::Options::traces`] and [`restart::Options::traces`] as well. Default:
    /// nobody.
    pub traces: Option<Traces>,
}

impl Options {
    /// The defaults, for a replica of that name.
    #[must_use]
    pub fn new(namespace: impl Into<String>, identity: impl Into<String>) -> Self {
        let (namespace, identity) = (namespace.into(), identity.into());
        let everywhere = |port| SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        let mut lease = leader::Options::new(install::LEASE, namespace.as_str(), identity);
        // Who has another version of the program sees it.
        lease.annotations.insert(crd::VERSION_ANNOTATION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        Self {
            webhook: everywhere(9443),
            health: everywhere(8081),
            metrics: everywhere(8080),
            certificates: certificates::Options::new(&namespace),
            limits: Limits::default(),
            lease,
            discovery: discovery::Options::default(),
            restarts: restart::Options::default(),
            images: None,
            traces: None,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new(SYSTEM_NAMESPACE, install::OPERATOR)
    }
}

/// Why an operator ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A port cannot be had.
    #[error("cannot listen on {address} for {what}: {source}; is another program there?")]
    Listen {
        /// What for.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The certificates cannot work as they are set.
    #[error(transparent)]
    Certificates(#[from] certificates::Error),
    /// The system's cryptography cannot do TLS.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The Service's name is none.
    #[error("{0} is no name that a certificate can have")]
    Name(String),
    /// A server broke.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A part of it ended by a fault of ours.
    #[error("a part of the operator broke: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// Runs an operator until `stop`, and a little longer: see the module.
///
/// # Errors
/// It cannot start, or a part of it ended. An API server that is away is neither: the operator goes on with what it knows.
pub async fn run(client: Client, options: Options, stop: CancellationToken) -> Result<(), Error> {
    options.certificates.validate()?;
    let servers = Servers::bind(&options).await?;
    let metrics = Arc::new(Metrics::new());
    if let Some(traces) = &options.traces {
        metrics.spans_of(traces);
    }
    let readiness = Readiness::new();
    let ready = readiness.clone();
    let [certificate, caches, review] = ["certificate", "caches", "review"].map(|name| readiness.check(name));
    let index = Arc::new(ArcSwap::from_pointee(Index::default()));
    let resolver = Arc::new(Resolver::new());
    // What others stand on ends last.
    let end = CancellationToken::new();
    let mut parts = JoinSet::<Result<(), Error>>::new();

    parts.spawn(served(health::serve(servers.health, readiness, end.clone())));
    parts.spawn(served(metrics::serve(servers.metrics, Arc::clone(&metrics), end.clone())));
    let namespace = options.lease.namespace.clone();
    let led_until = Arc::clone(&options.lease.led_until);
    let (leads, lease) = leader::start(client.clone(), options.lease, stop.clone());
    parts.spawn(async { Ok(lease.await?) });
    parts.spawn(ended(tell_leader(leads.clone(), Arc::clone(&metrics), end.clone())));
    let synced = move || caches.pass();
    let (mut discovery, mut restarts) = (options.discovery, options.restarts);
    discovery.traces.clone_from(&options.traces);
    restarts.traces.clone_from(&options.traces);
    let traces = options.traces;
    let images = options.images.map(|options| {
        let wanted = Arc::new(Wanted::new());
        discovery.images = Some(Arc::clone(&wanted));
        let mut lookups =
            Lookups::new(client.clone(), &namespace, options, wanted, Arc::clone(&index), Arc::clone(&metrics));
        lookups.traces.clone_from(&traces);
        parts.spawn(ended(lookups.run(leads.clone(), stop.clone())));
        let (images, following) = registry::follow_images(client.clone(), &namespace, end.clone());
        parts.spawn(ended(following));
        images
    });
    parts.spawn(ended(watches::run(
        client.clone(),
        Arc::clone(&index),
        images,
        Arc::clone(&metrics),
        synced,
        end.clone(),
    )));
    let (verdicts, told) = mpsc::channel(VERDICTS);
    parts.spawn(ended(discovery::events::run(client.clone(), told, Arc::clone(&metrics), end.clone())));
    let (candidates, needy) = channel::channel(Arc::from([]));
    let (restarted, told) = channel::channel(Arc::default());
    (discovery.candidates, discovery.restarts) = (Some(candidates), Some(told));
    discovery.led_until = led_until;
    parts.spawn({
        let (index, metrics) = (Arc::clone(&index), Arc::clone(&metrics));
        ended(discovery::run(client.clone(), discovery, leads.clone(), index, metrics, stop.clone()))
    });
    parts.spawn({
        let sources = restart::Sources::new(Arc::clone(&index), needy, ready);
        let (leads, metrics) = (leads.clone(), Arc::clone(&metrics));
        ended(restart::run(client.clone(), restarts, sources, restarted, leads, metrics, stop.clone()))
    });
    parts.spawn(ended(install::mirror::run(client.clone(), leads.clone(), stop.clone())));
    let names = options.certificates.names();
    parts.spawn({
        let observer = Arc::new(Told { metrics: Arc::clone(&metrics), traces: traces.clone() });
        let run = certificates::run(client, options.certificates, Arc::clone(&resolver), leads, observer, end.clone());
        async { Ok(run.await?) }
    });
    parts.spawn(ended(tell_certificate(Arc::clone(&resolver), certificate, end.clone())));

    let mut webhook = Webhook::new(index, metrics);
    webhook.limits = options.limits;
    webhook.events = Some(verdicts);
    webhook.traces = traces;
    let tls = certificates::server_config(Arc::clone(&resolver))?;
    let name = names.into_iter().next().unwrap_or_default();
    let name = ServerName::try_from(name.clone()).map_err(|_| Error::Name(name))?;
    let roots = move || resolver.roots();
    let own = SocketAddr::new(loopback(options.webhook), servers.webhook_port);
    parts.spawn(ended(self_review::watch(own, name, roots, review, SELF_REVIEW_EVERY, stop.clone())));
    let serving = webhook::serve(servers.webhook, tls, webhook, stop.clone());

    let mut serving = std::pin::pin!(serving);
    let mut broken = None;
    let served = loop {
        tokio::select! {
            result = &mut serving => break result.map_err(Error::from),
            Some(part) = parts.join_next(), if !stop.is_cancelled() => {
                if let Err(failed) = part.map_err(Error::from).and_then(|result| result) {
                    error!(error = %failed, "a part of the operator ended; the webhook goes on until nobody sends to it any more");
                    broken = Some(failed);
                    stop.cancel();
                }
            }
        }
    };
    let result = broken.map_or(served, Err);
    if let Err(failed) = &result {
        error!(error = %failed, "the operator ends");
    } else {
        info!("the webhook has answered what had come; the operator ends");
    }
    stop.cancel();
    end.cancel();
    let all = async {
        while let Some(part) = parts.join_next().await {
            if let Err(failed) = part.map_err(Error::from).and_then(|result| result) {
                error!(error = %failed, "a part of the operator ended badly");
            }
        }
    };
    if timeout(PARTS_END, all).await.is_err() {
        warn!(parts = parts.len(), "parts of the operator did not end in time, and are broken off");
    }
    result
}

/// The listeners, taken before anything else: what cannot start says so at once.
struct Servers {
    webhook: TcpListener,
    webhook_port: u16,
    health: TcpListener,
    metrics: TcpListener,
}

impl Servers {
    async fn bind(options: &Options) -> Result<Self, Error> {
        let webhook = listen("the webhook", options.webhook).await?;
        let webhook_port = webhook.local_addr().map_or(options.webhook.port(), |address| address.port());
        let health = listen("health", options.health).await?;
        let metrics = listen("metrics", options.metrics).await?;
        Ok(Self { webhook, webhook_port, health, metrics })
    }
}

/// Listens there; where the system has no IPv6, on every address of IPv4.
async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    let listener = match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], address.port()))).await
        }
        other => other,
    };
    listener.map_err(|source| Error::Listen { what, address, source })
}

/// The address that reaches a listener of our own.
fn loopback(listening: SocketAddr) -> std::net::IpAddr {
    match listening.ip() {
        ip if !ip.is_unspecified() => ip,
        // A socket for every address takes those of IPv4 as well.
        _ => std::net::Ipv4Addr::LOCALHOST.into(),
    }
}

async fn served(part: impl Future<Output = Result<(), ServeError>>) -> Result<(), Error> {
    Ok(part.await?)
}

async fn ended(part: impl Future<Output = ()>) -> Result<(), Error> {
    part.await;
    Ok(())
}

async fn tell_leader(mut leads: channel::Receiver<bool>, metrics: Arc<Metrics>, end: CancellationToken) {
    loop {
        let is_leader = *leads.borrow_and_update();
        metrics.leader(is_leader);
        tokio::select! {
            () = end.cancelled() => return,
            changed = leads.changed() => if changed.is_err() {
                metrics.leader(false);
                return;
            },
        }
    }
}

/// Passes the check as soon as there is a certificate; once there is, there is always one.
async fn tell_certificate(resolver: Arc<Resolver>, check: Check, end: CancellationToken) {
    check.fail("waiting for the Secret with the certificate");
    while !resolver.is_ready() {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(CERTIFICATE_EVERY) => {}
        }
    }
    check.pass();
}

/// The metrics and traces, as those who are told about certificates.
struct Told {
    metrics: Arc<Metrics>,
    traces: Option<Traces>,
}

impl Observer for Told {
    fn certificate(&self, not_after: SystemTime) {
        self.metrics.certificate(not_after);
    }

    fn rotation(&self) {
        self.metrics.rotation();
    }

    fn step(&self, name: &'static str, took: Duration, error: Option<&certificates::Error>) {
        let span = self.traces.as_ref().and_then(|traces| traces.work(format!("certificate {name}")));
        let Some(mut span) = span else { return };
        if let Some(error) = error {
            span.failed(error.kind(), error.to_string());
        }
        span.done(took);
    }
}
