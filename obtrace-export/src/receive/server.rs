//! The server: connections, routes, what is counted.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{self, Response, StatusCode},
    routing::post,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Format, Limits, Request, Signal, Telemetry,
    body::{Held, compression, format, receive},
    reply::{Refusal, taken},
};
use crate::decode::{DecodeErrorKind, decode};

/// Bytes of a request's head, and of what is read of a body at a time.
const BUFFER: usize = 32 << 10;

/// How long to wait when the system has no room for another connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// What was received since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests that were taken.
    pub requests: u64,
    /// Spans in them.
    pub spans: u64,
    /// Log records in them.
    pub logs: u64,
    /// Metrics in them.
    pub metrics: u64,
    /// Requests that were refused.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    spans: AtomicU64,
    logs: AtomicU64,
    metrics: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    fn add(&self, telemetry: &Telemetry) {
        let (counter, count) = match telemetry {
            Telemetry::Traces(spans) => (&self.spans, spans.len()),
            Telemetry::Logs(records) => (&self.logs, records.len()),
            Telemetry::Metrics(metrics) => (&self.metrics, metrics.len()),
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn read(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            requests: of(&self.requests),
            spans: of(&self.spans),
            logs: of(&self.logs),
            metrics: of(&self.metrics),
            refused: of(&self.refused),
        }
    }
}

/// A receiver whose port is open; see the [module](super).
#[derive(Debug)]
pub struct Receiver {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Receiver {
    /// Opens a port; with port 0 the system picks one.
    ///
    /// # Errors
    /// The address cannot be resolved, is not of this machine, or is in use.
    pub fn bind(address: impl ToSocketAddrs, limits: Limits) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, limits })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Receives on a thread of its own until [`Running::stop`]. `handler` is called with one request at a time; while it
    /// takes its time, senders wait for their answers.
    ///
    /// # Errors
    /// The system gives no thread or no event queue.
    pub fn spawn_thread(self, handler: impl FnMut(Request) + Send + 'static) -> io::Result<Running> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<Duration>();
        let counters = Arc::new(Counters::default());
        let (address, counted) = (self.address, Arc::clone(&counters));
        let run = move || runtime.block_on(self.serve_counted(handler, counted, async { stopped.await.ok() }));
        let thread = thread::Builder::new().name("otlp-receiver".to_owned()).spawn(run)?;
        Ok(Running { address, counters, stop: Some(stop), thread: Some(thread) })
    }

    /// Receives on the tokio runtime of the caller, which needs its clock and its sockets, until `until` is over; then
    /// requests that have begun are waited for, at most for so long as `until` says.
    ///
    /// # Errors
    /// The runtime has no sockets.
    pub async fn serve(
        self,
        handler: impl FnMut(Request) + Send + 'static,
        until: impl Future<Output = Duration>,
    ) -> io::Result<Counts> {
        let counters = Arc::new(Counters::default());
        self.serve_counted(handler, Arc::clone(&counters), async { Some(until.await) }).await?;
        Ok(counters.read())
    }

    async fn serve_counted(
        self,
        handler: impl FnMut(Request) + Send + 'static,
        counters: Arc<Counters>,
        until: impl Future<Output = Option<Duration>>,
    ) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let room = Arc::new(Semaphore::new(self.limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        let held = Held::new(&self.limits);
        let shared = Arc::new(Shared { limits: self.limits, held, counters, handler: Mutex::new(Box::new(handler)) });
        let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
        let accept = async {
            loop {
                let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        let serve = shared.connection(stream, peer, &graceful);
                        connections.spawn(async move {
                            serve.await;
                            drop(place);
                        });
                        while connections.try_join_next().is_some() {}
                    }
                    // One connection that was reset, or no file descriptor left: both pass.
                    Err(_) => sleep(EXHAUSTED).await,
                }
            }
        };
        let wait = tokio::select! {
            () = accept => None,
            wait = until => wait,
        };
        drop(listener);
        // Those that go on beyond the time end with the set.
        let _ = timeout(wait.unwrap_or_default(), graceful.shutdown()).await;
        Ok(())
    }
}

/// A receiver at work on its thread. Dropped, it ends at once.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<Duration>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// What was received so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// Closes the port, waits for requests that have begun, at most so long, and tells what was received.
    #[must_use]
    pub fn stop(mut self, wait: Duration) -> Counts {
        self.end(wait);
        self.counts()
    }

    fn end(&mut self, wait: Duration) {
        if let Some(stop) = self.stop.take() {
            // It may have ended already.
            let _ = stop.send(wait);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// What all connections share.
struct Shared {
    limits: Limits,
    held: Held,
    counters: Arc<Counters>,
    /// Held while a body is decompressed and decoded, too: the memory of that is needed once.
    handler: Mutex<Box<dyn FnMut(Request) + Send>>,
}

impl Shared {
    fn connection(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        graceful: &GracefulShutdown,
    ) -> impl Future<Output = ()> + Send + use<> {
        // Answers are short and whole.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(routes(Arc::clone(self), peer));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_time)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let (connection, counters) = (graceful.watch(connection), Arc::clone(&self.counters));
        async move {
            if connection.await.is_err_and(|error| error.is_parse()) {
                counters.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn answer(
        &self,
        signal: Result<Signal, StatusCode>,
        peer: SocketAddr,
        request: http::Request<Body>,
    ) -> Response<Body> {
        let format = format(request.headers());
        match self.take(signal, format, peer, request).await {
            Ok(format) => taken(format),
            Err(refusal) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                refusal.into_response(format)
            }
        }
    }

    async fn take(
        &self,
        signal: Result<Signal, StatusCode>,
        format: Option<Format>,
        peer: SocketAddr,
        request: http::Request<Body>,
    ) -> Result<Format, Refusal> {
        let signal = signal.map_err(|status| {
            let message = match status {
                StatusCode::METHOD_NOT_ALLOWED => "only POST is answered here",
                _ => "only /v1/traces, /v1/logs, /v1/metrics, and these under /otlp, are answered",
            };
            Refusal::new(status, message)
        })?;
        let format = format.ok_or_else(|| {
            let message = "Content-Type must be application/json or application/x-protobuf";
            Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
        })?;
        let compression = compression(request.headers())?;
        let (head, body) = request.into_parts();
        let received = receive(body, &self.limits, &self.held).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
        let (path, headers) = (head.uri.path().to_owned(), headers.collect());
        // A handler that panicked has had its request.
        let mut handler = self.handler.lock().unwrap_or_else(PoisonError::into_inner);
        let body = received.plain(compression, &self.limits)?;
        let telemetry = decode(signal, format, &body, &self.limits.decode).map_err(|error| {
            let status = match error.kind() {
                DecodeErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                DecodeErrorKind::Malformed => StatusCode::BAD_REQUEST,
            };
            Refusal::new(status, error.to_string())
        })?;
        self.counters.add(&telemetry);
        handler(Request { peer, path, headers, signal, format, body, telemetry });
        Ok(format)
    }
}

fn routes(shared: Arc<Shared>, peer: SocketAddr) -> Router {
    let answer = move |signal: Result<Signal, StatusCode>| {
        move |State(shared): State<Arc<Shared>>, request: http::Request<Body>| async move {
            Ok::<_, Infallible>(shared.answer(signal, peer, request).await)
        }
    };
    let mut routes = Router::new();
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        for prefix in ["", "/otlp"] {
            let method = post(answer(Ok(signal))).fallback(answer(Err(StatusCode::METHOD_NOT_ALLOWED)));
            routes = routes.route(&format!("{prefix}/v1/{}", signal.name()), method);
        }
    }
    routes.fallback(answer(Err(StatusCode::NOT_FOUND))).with_state(shared)
}
