//! The server of a page.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::Future,
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
    },
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::TcpStream,
    sync::{Mutex, Semaphore},
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, timeout},
};

use super::{Form, Options, page::encode_while};
use crate::model::Metric;

/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// Text that is compressed at once.
const PIECE: usize = 64 << 10;
/// How long to wait when the system has no room for another connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// How a [`Server`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Where the page is. `/metrics`.
    pub path: String,
    /// Most connections; others wait for one to end. 16.
    pub connections: usize,
    /// How long a request's head may take, the time before it included. 30 s.
    pub head_time: Duration,
    /// How long a connection lasts at most, with all its requests: so long a reader that is slow can hold a page. 10 min.
    pub connection_time: Duration,
    /// Most bytes of a page as it is sent: compressed, if the reader takes that. What it has no room for is left out and counted,
    /// see [`Counts::left_out`]. Each connection can hold one page. 16 MiB.
    pub max_page: usize,
    /// How long an answer that has begun may take once the server is to end. 5 s.
    pub end_time: Duration,
    /// What is on the page.
    pub options: Options,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: "/metrics".to_owned(),
            connections: 16,
            head_time: Duration::from_secs(30),
            connection_time: Duration::from_secs(600),
            max_page: 16 << 20,
            end_time: Duration::from_secs(5),
            options: Options::default(),
        }
    }
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Settings::path`]; a missing `/` in front is added.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        if !self.path.starts_with('/') {
            self.path.insert(0, '/');
        }
        self
    }

    /// Sets [`Settings::connections`], at least 1.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets [`Settings::head_time`].
    #[must_use]
    pub const fn with_head_time(mut self, time: Duration) -> Self {
        self.head_time = time;
        self
    }

    /// Sets [`Settings::max_page`].
    #[must_use]
    pub const fn with_max_page(mut self, bytes: usize) -> Self {
        self.max_page = bytes;
        self
    }

    /// Sets [`Settings::connection_time`].
    #[must_use]
    pub const fn with_connection_time(mut self, time: Duration) -> Self {
        self.connection_time = time;
        self
    }

    /// Sets [`Settings::end_time`].
    #[must_use]
    pub const fn with_end_time(mut self, time: Duration) -> Self {
        self.end_time = time;
        self
    }

    /// Sets [`Settings::options`].
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }
}

/// A port that cannot be opened.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    error: io::Error,
}

impl BindError {
    /// What the system says.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.error.kind()
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.error.kind() {
            io::ErrorKind::AddrInUse => ": another program listens there; choose another port",
            io::ErrorKind::AddrNotAvailable => {
                ": no address of this machine; choose 127.0.0.1, 0.0.0.0 or one of its own"
            }
            io::ErrorKind::PermissionDenied => ": ports below 1024 need a privilege; choose another port",
            _ => "",
        };
        write!(f, "cannot serve metrics at {}: {}{advice}", self.address, self.error)
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// What a server did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Pages that were made.
    pub scrapes: u64,
    /// Requests that were answered with an error, or were none.
    pub refused: u64,
    /// Data points that were not on a page; see [`encode`](super::encode).
    pub left_out: u64,
}

/// Reads the [`Counts`] of a server while it serves.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<[AtomicU64; 3]>);

impl Counters {
    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let [scrapes, refused, left_out] = &*self.0;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts { scrapes: of(scrapes), refused: of(refused), left_out: of(left_out) }
    }

    fn scraped(&self, left_out: u64) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        self.0[2].fetch_add(left_out, Ordering::Relaxed);
    }

    fn refused(&self) {
        self.0[1].fetch_add(1, Ordering::Relaxed);
    }
}

/// A server whose port is open; see the [module](super).
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    settings: Settings,
    counters: Counters,
}

impl Server {
    /// Opens a port; with port 0 the system picks one.
    ///
    /// # Errors
    /// The address is not of this machine, or is in use, or needs a privilege.
    pub fn bind(address: SocketAddr, settings: Settings) -> Result<Self, BindError> {
        let open = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = open().map_err(|error| BindError { address, error })?;
        Ok(Self { listener, address, settings, counters: Counters::default() })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Answers until `until` is over, on the tokio runtime of the caller, which needs its clock and its sockets. `source` gives
    /// the metrics for each page; it runs on a thread for what blocks, never twice at a time.
    ///
    /// # Errors
    /// The runtime has no sockets.
    pub async fn serve(
        self,
        source: impl Fn() -> Vec<Metric> + Send + Sync + 'static,
        until: impl Future<Output = ()>,
    ) -> io::Result<Counts> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let room = Arc::new(Semaphore::new(self.settings.connections.clamp(1, Semaphore::MAX_PERMITS)));
        let (counters, end_time) = (self.counters.clone(), self.settings.end_time);
        let shared = Arc::new(Shared {
            settings: self.settings,
            counters: self.counters,
            source: Arc::new(Mutex::new(Box::new(source))),
        });
        let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
        let accept = async {
            loop {
                let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let serve = Arc::clone(&shared).connection(stream, &graceful);
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
        tokio::select! {
            () = accept => {}
            () = until => {}
        }
        drop(listener);
        // Those that go on beyond the time end with the set.
        let _ = timeout(end_time, graceful.shutdown()).await;
        Ok(counters.counts())
    }
}

/// What gives the metrics.
type Source = Box<dyn Fn() -> Vec<Metric> + Send + Sync>;

/// What all connections share.
struct Shared {
    settings: Settings,
    counters: Counters,
    /// Held while a page is made: the memory of that is needed once.
    source: Arc<Mutex<Source>>,
}

impl Shared {
    fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        graceful: &GracefulShutdown,
    ) -> impl Future<Output = ()> + Send + use<> {
        // Answers are whole.
        let _ = stream.set_nodelay(true);
        let (shared, began) = (Arc::clone(&self), Instant::now());
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move {
                let mut answer = shared.answer(&request).await;
                if began.elapsed() >= shared.settings.connection_time / 4 * 3 {
                    // Who is told comes again on another connection; cut off, it would miss an answer.
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.head_time)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let connection = timeout(self.settings.connection_time, graceful.watch(connection));
        async move {
            if connection.await.is_ok_and(|ended| ended.is_err_and(|error| error.is_parse())) {
                self.counters.refused();
            }
        }
    }

    async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.uri().path() != self.settings.path {
            return self.refusal(StatusCode::NOT_FOUND, &format!("the metrics are at {}", self.settings.path));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = self.refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        let form = Form::accepted(&header(request.headers(), ACCEPT.as_str()));
        let gzip = takes_gzip(&header(request.headers(), ACCEPT_ENCODING.as_str()));
        // Who goes while waiting here is asked for no page. The work itself cannot be stopped, and keeps the others waiting even if
        // the reader of its page is gone.
        let source = Arc::clone(&self.source).lock_owned().await;
        let (options, max) = (self.settings.options.clone(), self.settings.max_page);
        let page = spawn_blocking(move || page(&source(), form, &options, gzip, max)).await;
        let Ok((body, left)) = page else {
            return self.refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "a fault while the page was made; its panic is in the log",
            );
        };
        self.counters.scraped(left);
        let mut response = Response::new(Full::new(Bytes::from(body)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    fn refusal(&self, status: StatusCode, message: &str) -> Response<Full<Bytes>> {
        self.counters.refused();
        let mut response = Response::new(Full::new(Bytes::from(format!("{message}\n"))));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

/// A page of at most so many bytes (compressed, a piece more at most), and how many data points are not on it.
fn page(metrics: &[Metric], form: Form, options: &Options, gzip: bool, max: usize) -> (Vec<u8>, u64) {
    let mut text = String::new();
    if !gzip {
        let left = encode_while(metrics, form, options, &mut text, &mut |text, begun| {
            let fits = text.len() <= max;
            if !fits {
                text.truncate(begun);
            }
            fits
        });
        return (text.into_bytes(), left);
    }
    // The whole text is never held.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let left = encode_while(metrics, form, options, &mut text, &mut |text, begun| {
        let fits = encoder.get_ref().len() < max;
        if !fits {
            text.truncate(begun);
        } else if text.len() >= PIECE {
            // Writing to memory does not fail.
            let _ = encoder.write_all(text.as_bytes());
            text.clear();
        }
        fits
    });
    let _ = encoder.write_all(text.as_bytes());
    (encoder.finish().unwrap_or_default(), left)
}

/// All values of a header as one list.
fn header(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        gzip && quality > 0.0
    })
}
