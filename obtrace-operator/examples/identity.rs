//! One replica of what the operator is to the API server: it elects a leader, keeps certificates and answers reviews over TLS.
//! `tests/kubernetes/identity.py` starts several on a real API server and does to them what clusters do.
//!
//! `identity NAME PORT` with `KUBECONFIG` set, and `SETTINGS` as JSON, times in milliseconds. Each event is a line of JSON on standard output;
//! its `time` is the machine's uptime in seconds, the same clock for every replica.

use std::{
    convert::Infallible,
    env,
    error::Error,
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use obtrace_operator::{
    admission,
    certificates::{self, Life, Observer, Resolver, server_config},
    crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
    index::{Index, SYSTEM_NAMESPACE, World},
    leader,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The most bytes of a review.
const MAX_REVIEW: usize = 8 << 20;

struct Printer;

impl Observer for Printer {
    fn certificate(&self, not_after: SystemTime) {
        let end = not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        say(json!({ "event": "certificate", "not_after": end.as_secs() }));
    }

    fn rotation(&self) {
        say(json!({ "event": "rotation" }));
    }
}

fn say(mut event: Value) {
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    event["time"] = json!(uptime.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok()));
    println!("{event}");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let mut arguments = env::args().skip(1);
    let (Some(name), Some(port)) = (arguments.next(), arguments.next()) else {
        return Err("usage: identity NAME PORT".into());
    };
    let settings: Value = serde_json::from_str(&env::var("SETTINGS").unwrap_or_else(|_| "{}".to_owned()))?;
    let client = kube::Client::try_default().await?;
    let stop = CancellationToken::new();

    let (mut leads, leading) = leader::start(client.clone(), candidate(&name, &settings), stop.clone());
    let resolver = Arc::new(Resolver::new());
    let run = certificates::run(
        client,
        options(&settings),
        Arc::clone(&resolver),
        leads.clone(),
        Arc::new(Printer),
        stop.clone(),
    );
    let running = tokio::spawn(run);
    tokio::spawn(async move {
        while leads.changed().await.is_ok() {
            say(json!({ "event": "leader", "leads": *leads.borrow_and_update() }));
        }
    });
    // As Kubernetes would: no traffic before there is something to present.
    while !resolver.is_ready() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    say(json!({ "event": "ready" }));
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = serve(listener, resolver) => result?,
        _ = terminate.recv() => {}
    }
    stop.cancel();
    running.await??;
    leading.await?;
    say(json!({ "event": "stopped" }));
    Ok(())
}

fn milliseconds(settings: &Value, name: &str) -> Option<Duration> {
    settings.get(name).and_then(Value::as_u64).map(Duration::from_millis)
}

fn candidate(name: &str, settings: &Value) -> leader::Options {
    let mut options = leader::Options::new("obtrace-zero-operator", SYSTEM_NAMESPACE, name);
    let set = |value: &mut Duration, name| *value = milliseconds(settings, name).unwrap_or(*value);
    set(&mut options.duration, "lease");
    set(&mut options.renew_deadline, "renew_deadline");
    set(&mut options.retry_period, "retry_period");
    options
}

fn options(settings: &Value) -> certificates::Options {
    let mut options = certificates::Options::default();
    let set = |value: &mut Duration, name| *value = milliseconds(settings, name).unwrap_or(*value);
    let life = |value: &mut Life, name: &str| {
        if let Some(valid) = milliseconds(settings, name) {
            *value = Life::new(valid);
        }
        if let Some(age) = milliseconds(settings, &format!("{name}_renewed_after")) {
            *value = value.renewed_after(age);
        }
    };
    life(&mut options.ca, "ca");
    life(&mut options.serving, "serving");
    set(&mut options.propagation, "propagation");
    set(&mut options.overlap, "overlap");
    set(&mut options.cert_manager_grace, "cert_manager_grace");
    options
}

/// Answers reviews, one a connection: every one of them is a handshake.
async fn serve(listener: TcpListener, resolver: Arc<Resolver>) -> Result<(), Box<dyn Error>> {
    let mut config = (*server_config(resolver)?).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let index = Arc::new(index());
    loop {
        let (stream, _) = listener.accept().await?;
        let (acceptor, index) = (acceptor.clone(), Arc::clone(&index));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| answer(request, Arc::clone(&index)));
            let mut server = hyper::server::conn::http1::Builder::new();
            server.keep_alive(false).timer(TokioTimer::new());
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "connection");
            }
        });
    }
}

fn index() -> Index {
    let mut resource =
        ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::new("https://ingest.example.com"));
    resource.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
    let mut world = World::new();
    world.resources.push(resource);
    Index::new(world)
}

async fn answer(
    request: Request<Incoming>,
    index: Arc<Index>,
) -> Result<Response<Full<hyper::body::Bytes>>, Infallible> {
    let body = http_body_util::Limited::new(request.into_body(), MAX_REVIEW);
    let review = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut response = Response::new(Full::new(admission::answer(&review, &index).into()));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    Ok(response)
}
