//! A receiver over HTTP/2 (and HTTP/1.1 where a client wants that), with TLS or without, that does what a script says stream
//! by stream; and certificates for it.

pub(crate) mod certificates;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{Reason, server::SendResponse};
use http::{HeaderMap, Request as HttpRequest, Response};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// What to do with one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Status 200, this message with this flag, and trailers.
    Grpc { compressed: bool, message: Vec<u8>, trailers: HeaderMap },
    /// A head that is all of the reply.
    HeadOnly(HeaderMap),
    /// A plain reply: status, headers, body.
    Http(u16, HeaderMap, Vec<u8>),
    /// The head and a message, but no trailers.
    NoStatus,
    /// A message without end.
    Huge,
    /// Trailers that are larger than headers may be.
    HugeTrailers,
    /// The stream is reset.
    Reset(Reason),
    /// The connection says it goes away, and closes.
    GoAway,
    /// The connection is closed without a word.
    Close,
    /// No answer, ever.
    Silent,
    /// The connection is there and nobody is behind it any more.
    Freeze,
}

pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
}

impl Act {
    /// A whole gRPC reply with this status.
    pub(crate) fn status(code: u16) -> Self {
        Self::with(code, &[])
    }

    pub(crate) fn with(code: u16, more: &[(&'static str, &str)]) -> Self {
        let mut trailers = headers(more);
        trailers.insert("grpc-status", code.into());
        Self::Grpc { compressed: false, message: Vec::new(), trailers }
    }

    pub(crate) fn message(message: &[u8]) -> Self {
        let trailers = headers(&[("grpc-status", "0")]);
        Self::Grpc { compressed: false, message: message.to_vec(), trailers }
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    /// Which connection it came over, from 1.
    pub(crate) connection: usize,
    pub(crate) http2: bool,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<Act>>,
    requests: Mutex<Vec<Request>>,
    tls: Mutex<Option<Arc<ServerConfig>>>,
    /// Each connection takes one request only.
    once: bool,
    connections: AtomicUsize,
    written: AtomicUsize,
}

impl Server {
    /// A server on a free port; after the script every request gets 200, with gRPC status 0.
    pub(crate) fn start(script: impl IntoIterator<Item = Act>) -> Self {
        Self::run(State { script: Mutex::new(script.into_iter().collect()), ..State::default() })
    }

    /// With TLS; each request needs a handshake of its own.
    pub(crate) fn start_tls(tls: ServerConfig) -> Self {
        Self::run(State { tls: Mutex::new(Some(Arc::new(tls))), once: true, ..State::default() })
    }

    fn run(state: State) -> Self {
        let state = Arc::new(state);
        let (ready, address) = mpsc::channel();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(connection(stream, Arc::clone(&shared)));
                }
            });
        });
        Self { address: address.recv().unwrap(), state }
    }

    /// With TLS and a script.
    pub(crate) fn start_tls_with(tls: ServerConfig, script: impl IntoIterator<Item = Act>) -> Self {
        let script = Mutex::new(script.into_iter().collect());
        Self::run(State { tls: Mutex::new(Some(Arc::new(tls))), script, ..State::default() })
    }

    /// Other certificates from the next handshake on.
    pub(crate) fn set_tls(&self, tls: ServerConfig) {
        *self.state.tls.lock().unwrap() = Some(Arc::new(tls));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// By name: the certificates are for `localhost`.
    pub(crate) fn https(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Bytes of bodies that the peer let us send.
    pub(crate) fn written(&self) -> usize {
        self.state.written.load(Ordering::SeqCst)
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    stream.set_nodelay(true).unwrap();
    let number = state.connections.fetch_add(1, Ordering::SeqCst) + 1;
    let tls = state.tls.lock().unwrap().clone();
    match tls {
        None => http2(stream, state, number).await,
        Some(tls) => {
            let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
            match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => http2(stream, state, number).await,
                _ => http1(stream, &state, number).await,
            }
        }
    }
}

async fn http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<State>, number: usize) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let (close, mut closing) = tokio::sync::mpsc::unbounded_channel();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                if state.once {
                    connection.graceful_shutdown();
                }
                tokio::spawn(serve(request, respond, Arc::clone(&state), number, close.clone()));
            }
            Some(end) = closing.recv() => match end {
                Act::GoAway => connection.abrupt_shutdown(Reason::NO_ERROR),
                Act::Freeze => std::future::pending().await,
                _ => return,
            }
        }
    }
}

async fn serve(
    request: HttpRequest<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    state: Arc<State>,
    connection: usize,
    close: tokio::sync::mpsc::UnboundedSender<Act>,
) {
    let at = Instant::now();
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(data)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(data.len());
        body.extend_from_slice(&data);
    }
    let path = head.uri.path().to_owned();
    let request = Request { at, connection, http2: true, path, headers: head.headers, body };
    state.requests.lock().unwrap().push(request);
    let act = state.script.lock().unwrap().pop_front().unwrap_or_else(|| Act::message(b""));
    let _ = answer(act, &mut respond, &state, &close).await;
}

async fn answer(
    act: Act,
    respond: &mut SendResponse<Bytes>,
    state: &State,
    close: &tokio::sync::mpsc::UnboundedSender<Act>,
) -> Result<(), h2::Error> {
    let head = |headers: HeaderMap| {
        let mut head = Response::new(());
        *head.headers_mut() = headers;
        head
    };
    let grpc = || headers(&[("content-type", "application/grpc")]);
    let framed = |compressed: bool, message: &[u8]| {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        Bytes::from([&[u8::from(compressed)], &length[..], message].concat())
    };
    match act {
        Act::Grpc { compressed, message, trailers } => {
            let mut stream = respond.send_response(head(grpc()), false)?;
            stream.send_data(framed(compressed, &message), false)?;
            stream.send_trailers(trailers)?;
        }
        Act::HeadOnly(mut trailers) => {
            trailers.extend(grpc());
            respond.send_response(head(trailers), true)?;
        }
        Act::Http(status, headers, body) => {
            let mut head = head(headers);
            *head.status_mut() = http::StatusCode::from_u16(status).unwrap();
            let mut stream = respond.send_response(head, false)?;
            stream.send_data(body.into(), true)?;
        }
        Act::NoStatus => {
            let mut stream = respond.send_response(head(grpc()), false)?;
            stream.send_data(framed(false, b""), true)?;
        }
        Act::Huge => {
            let mut stream = respond.send_response(head(grpc()), false)?;
            stream.send_data(Bytes::from_static(b"\0\xff\xff\xff\xff"), false)?;
            loop {
                stream.reserve_capacity(16_384);
                let Some(room) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return Ok(()) };
                let room = room?;
                stream.send_data(vec![0; room].into(), false)?;
                state.written.fetch_add(room, Ordering::SeqCst);
            }
        }
        Act::HugeTrailers => {
            let mut stream = respond.send_response(head(grpc()), false)?;
            let mut trailers = headers(&[("grpc-status", "0")]);
            for i in 0..64 {
                let name = http::HeaderName::from_bytes(format!("x-filler-{i}").as_bytes()).unwrap();
                trailers.insert(name, "a".repeat(1000).parse().unwrap());
            }
            stream.send_trailers(trailers)?;
        }
        Act::Reset(reason) => respond.send_reset(reason),
        Act::GoAway | Act::Close | Act::Freeze => {
            let _ = close.send(act);
            std::future::pending::<()>().await;
        }
        Act::Silent => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    }
    Ok(())
}

/// One request, which is accepted.
async fn http1(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: &State, connection: usize) {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break String::from_utf8(read.drain(..end + 4).collect()).unwrap();
        }
        if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
            return;
        }
    };
    let at = Instant::now();
    let mut lines = head.lines();
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers: HeaderMap = pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    while read.len() < length && matches!(stream.read_buf(&mut read).await, Ok(1..)) {}
    state.requests.lock().unwrap().push(Request { at, connection, http2: false, path, headers, body: read });
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").await;
    let _ = stream.shutdown().await;
}
