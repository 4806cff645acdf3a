//! A webhook on loopback, the authority that its certificates are from, and clients.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use obtrace_operator::{
    certificates::{Resolver, server_config},
    crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
    index::{Index, SYSTEM_NAMESPACE, World},
    server::{
        Limits, ServeError,
        webhook::{self, Webhook},
    },
    telemetry::Metrics,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    sign::CertifiedKey,
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

/// Longer than anything takes on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for what has to come.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("what was waited for did not come")
}

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A new key and its certificate for `localhost`.
    pub(crate) fn issue(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    pub(crate) fn roots_der(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }
}

pub(crate) fn certified((certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>)) -> Arc<CertifiedKey> {
    Arc::new(CertifiedKey::new(vec![certificate], ring::sign::any_supported_type(&key).unwrap()))
}

/// One resource, for the whole cluster.
pub(crate) fn index() -> Index {
    let mut resource =
        ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::new("https://ingest.example.com"));
    resource.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
    let mut world = World::new();
    world.resources.push(resource);
    Index::new(world)
}

/// A webhook that is being served.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    pub(crate) async fn start(change: impl FnOnce(&mut Limits)) -> Self {
        Self::start_with(|webhook| change(&mut webhook.limits)).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Webhook)) -> Self {
        let authority = Authority::new();
        let resolver = Arc::new(Resolver::new());
        resolver.set(certified(authority.issue()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let metrics = Arc::new(Metrics::new());
        let mut webhook = Webhook::new(Arc::new(ArcSwap::from_pointee(index())), Arc::clone(&metrics));
        // Nobody here is slow but who is meant to be.
        (webhook.limits.header, webhook.limits.handshake, webhook.limits.request) = (PATIENCE, PATIENCE, PATIENCE);
        webhook.limits.linger = Duration::ZERO;
        change(&mut webhook);
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = webhook::serve(listener, server_config(Arc::clone(&resolver)).unwrap(), webhook, stop.clone());
        Self { address, authority, resolver, metrics, stop, task: tokio::spawn(serving) }
    }

    pub(crate) async fn connect(&self, protocol: Protocol) -> Client {
        Client::connect(self.address, self.authority.roots(), protocol).await
    }

    /// The value of a metric, by its line's beginning; 0 if there is none.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let text = self.metrics.encode().unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    pub(crate) fn refused(&self, reason: &str) -> u64 {
        self.metric(&format!("obtrace_zero_connections_refused_total{{reason=\"{reason}\"}}"))
    }
}

/// What is spoken over TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

pub(crate) const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// TLS as far as both agree, the protocol among it.
pub(crate) async fn tls(address: SocketAddr, roots: RootCertStore, protocol: Protocol) -> TlsStream<TcpStream> {
    tls_over(TcpStream::connect(address).await.unwrap(), roots, protocol).await
}

/// The same over a connection that there is.
pub(crate) async fn tls_over(stream: TcpStream, roots: RootCertStore, protocol: Protocol) -> TlsStream<TcpStream> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    let wanted = if protocol == Protocol::Http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() };
    config.alpn_protocols = vec![wanted.clone()];
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&*wanted));
    stream
}

/// A connection.
pub(crate) struct Client {
    sender: Sender,
    /// The server's certificate.
    pub(crate) certificate: CertificateDer<'static>,
    /// Ends with the connection.
    pub(crate) connection: JoinHandle<()>,
}

#[derive(Clone)]
enum Sender {
    Http1(Arc<tokio::sync::Mutex<http1::SendRequest<Full<Bytes>>>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, roots: RootCertStore, protocol: Protocol) -> Self {
        let stream = tls(address, roots, protocol).await;
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
        let io = TokioIo::new(stream);
        let (sender, connection) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                (Sender::Http1(Arc::new(sender.into())), tokio::spawn(async { drop(connection.await) }))
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
                (Sender::Http2(sender), tokio::spawn(async { drop(connection.await) }))
            }
        };
        Self { sender, certificate, connection }
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self.sender.clone() {
            Sender::Http1(sender) => {
                let mut sender = sender.lock().await;
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(mut sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// The status and the body of an answer.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> hyper::Result<(StatusCode, Bytes)> {
        let response = self.send(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// The answer to a review.
    pub(crate) async fn review(&self, body: impl Into<Bytes>) -> (StatusCode, Value) {
        let (status, body) = soon(self.ask(post(body))).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

pub(crate) fn post(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::builder().method(Method::POST).uri("https://localhost/mutate-pods?timeout=300s");
    request.header(CONTENT_TYPE, "application/json").header("host", "localhost").body(Full::new(body.into())).unwrap()
}

/// A review as the API server writes it, with an environment of so many bytes.
pub(crate) fn review(uid: &str, extra: usize) -> Bytes {
    let env: Vec<Value> =
        (0..extra / 1000).map(|i| json!({ "name": format!("V{i}"), "value": "x".repeat(970) })).collect();
    let containers = json!([{ "name": "web", "image": "python:3.12", "env": env }]);
    let request = json!({ "uid": uid, "kind": { "group": "", "version": "v1", "kind": "Pod" }, "namespace": "shop", "operation": "CREATE",
        "object": { "metadata": { "generateName": "web-7d9c6b5f44-", "labels": { "app": "web" } }, "spec": { "containers": containers } } });
    format!(r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{request}}}"#).into()
}

/// Whether an answer is for that request, allows, and has a patch.
pub(crate) fn is_patched((status, answer): &(StatusCode, Value), uid: &str) -> bool {
    let response = &answer["response"];
    *status == StatusCode::OK && response["uid"] == uid && response["allowed"] == true && response["patch"].is_string()
}
