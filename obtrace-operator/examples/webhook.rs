//! The admission webhook without the rest of the operator: what it answers from is a file of manifests.
//!
//! For trying resources out on a cluster, for clusters where somebody else looks after certificates, and as a model for a program that puts the
//! admission into a server of its own.
//!
//! ```sh
//! cargo run --example webhook -- --tls-cert tls.crt --tls-key tls.key --resources resources.yaml \
//!     --listen 0.0.0.0:9443 --metrics 127.0.0.1:8080 --health 127.0.0.1:8081
//! ```
//!
//! The file holds ObtraceInstrumentations and, where their labels and annotations matter, Namespaces: `kubectl get -A -o yaml
//! obtraceinstrumentations,namespaces`. On SIGHUP certificate, key and file are read again; on SIGTERM the webhook answers what has begun and ends.

use std::{error::Error, fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use clap::Parser;
use obtrace_operator::{
    certificates::{Resolver, server_config},
    crd::ObtraceInstrumentation,
    index::{Index, Namespace, SYSTEM_NAMESPACE, World},
    manifests,
    server::{
        health::{self, Readiness},
        metrics, self_review,
        webhook::{self, Webhook},
    },
    telemetry::Metrics,
};
use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::CertifiedKey,
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// Instruments Pods by the resources of a file.
#[derive(Debug, Parser)]
struct Arguments {
    /// The certificate, and what it was issued by, in PEM.
    #[arg(long, value_name = "FILE")]
    tls_cert: PathBuf,
    /// Its key, in PEM.
    #[arg(long, value_name = "FILE")]
    tls_key: PathBuf,
    /// ObtraceInstrumentations and Namespaces, in YAML or JSON.
    #[arg(long, value_name = "FILE")]
    resources: PathBuf,
    /// Where API servers find it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9443")]
    listen: SocketAddr,
    /// Where Prometheus finds `/metrics`.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Where kubelets find `/healthz` and `/readyz`.
    #[arg(long, value_name = "ADDRESS")]
    health: Option<SocketAddr>,
    /// What the webhook's own certificate is checked against before it is ready, in PEM; its name is --name.
    #[arg(long, value_name = "FILE", requires = "health")]
    ca: Option<PathBuf>,
    /// The name in the certificate.
    #[arg(long, default_value = "localhost")]
    name: String,
}

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let index = Arc::new(ArcSwap::from_pointee(read_index(&arguments)?));
    let resolver = Arc::new(Resolver::new());
    resolver.set(Arc::new(read_certificate(&arguments)?));
    let (counters, stop) = (Arc::new(Metrics::new()), CancellationToken::new());

    let webhook = Webhook::new(Arc::clone(&index), Arc::clone(&counters));
    let listener = TcpListener::bind(arguments.listen).await?;
    let address = listener.local_addr()?;
    let serving = webhook::serve(listener, server_config(Arc::clone(&resolver))?, webhook, stop.clone());
    if let Some(address) = arguments.metrics {
        tokio::spawn(metrics::serve(TcpListener::bind(address).await?, counters, stop.clone()));
    }
    if let Some(health) = arguments.health {
        tokio::spawn(health::serve(
            TcpListener::bind(health).await?,
            readiness(&arguments, address, &stop)?,
            stop.clone(),
        ));
    }
    tokio::spawn(signals(arguments, index, resolver, stop));
    Ok(serving.await?)
}

/// Ready is who has answered a review of its own, if it is said what to check the certificate against.
fn readiness(arguments: &Arguments, address: SocketAddr, stop: &CancellationToken) -> Result<Readiness, Failed> {
    let readiness = Readiness::new();
    if let Some(ca) = arguments.ca.clone() {
        let name = ServerName::try_from(arguments.name.clone())?;
        let roots = move || {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(CertificateDer::pem_file_iter(&ca).ok()?.flatten());
            Some(roots)
        };
        let check = readiness.check("review");
        tokio::spawn(self_review::watch(address, name, roots, check, Duration::from_secs(30), stop.clone()));
    }
    Ok(readiness)
}

/// Reads everything anew on SIGHUP, and stops on SIGTERM or SIGINT.
async fn signals(
    arguments: Arguments,
    index: Arc<ArcSwap<Index>>,
    resolver: Arc<Resolver>,
    stop: CancellationToken,
) -> Result<(), Failed> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = hangup.recv() => match (read_index(&arguments), read_certificate(&arguments)) {
                (Ok(new), Ok(certificate)) => {
                    index.store(Arc::new(new));
                    resolver.set(Arc::new(certificate));
                    tracing::info!("certificate and resources were read again");
                }
                (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "what was read before stays"),
            },
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    stop.cancel();
    Ok(())
}

fn read_index(arguments: &Arguments) -> Result<Index, Failed> {
    let mut world = World::new();
    for document in manifests::read(&arguments.resources)? {
        match document.kind() {
            "ObtraceInstrumentation" => {
                let name = document.name().to_owned();
                let mut resource: ObtraceInstrumentation = serde_json::from_value(document.value)?;
                resource.check().map_err(|error| format!("ObtraceInstrumentation {name}: {error}"))?;
                resource.metadata.namespace.get_or_insert_with(|| SYSTEM_NAMESPACE.to_owned());
                world.resources.push(resource);
            }
            "Namespace" => {
                let strings = |pointer: &str| {
                    let all = document.value.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
                    all.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
                };
                let namespace = Namespace::new(strings("/metadata/labels"), strings("/metadata/annotations"));
                world.namespaces.insert(document.name().to_owned(), namespace);
            }
            _ => {}
        }
    }
    Ok(Index::new(world))
}

fn read_certificate(arguments: &Arguments) -> Result<CertifiedKey, Failed> {
    let chain = CertificateDer::pem_slice_iter(&fs::read(&arguments.tls_cert)?).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(&arguments.tls_key)?)?;
    let pair = CertifiedKey::new(chain, ring::sign::any_supported_type(&key)?);
    pair.keys_match()?;
    Ok(pair)
}
