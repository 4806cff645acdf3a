//! One connection: TLS, then HTTP, each within its time.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::body::Body;
use http::{HeaderValue, Request, Response, Version, header::CONNECTION};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::{sleep_until, timeout, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::Service;
use tracing::debug;

use super::{front::Front, registry::Link};
use crate::telemetry::RefusedConnection;

/// The time that a connection has to close once it was told to.
const CLOSING: Duration = Duration::from_secs(1);

/// The first byte of TLS: a record of the handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;

/// What a client hears that speaks plain HTTP.
const NOT_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 33\r\nConnection: close\r\n\r\n\
    This port speaks HTTPS, not HTTP\n";

/// Serves a connection to its end. What comes back is why it was closed, if that was our decision or the client's fault.
pub(super) async fn serve(stream: TcpStream, link: &Arc<Link>, front: &Arc<Front>) -> Option<RefusedConnection> {
    // Answers are written whole: nothing is won by waiting for more.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot set TCP_NODELAY");
    }
    let Some(tls) = &front.tls else {
        return drive(stream, false, link, front).await;
    };
    let handshake = timeout_at(front.handshake_deadline(), handshake(stream, tls));
    let agreed = tokio::select! {
        agreed = handshake => agreed.unwrap_or(Err(RefusedConnection::HandshakeTimeout)),
        () = link.evicted.cancelled() => Err(RefusedConnection::TooMany),
        () = front.end.cancelled() => Err(RefusedConnection::Stopped),
    };
    match agreed {
        Ok(stream) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            drive(stream, is_http2, link, front).await
        }
        Err(reason) => Some(reason),
    }
}

/// Agrees on TLS; tells a client that speaks HTTP instead what is wrong.
async fn handshake(mut stream: TcpStream, tls: &TlsAcceptor) -> Result<Box<TlsStream<TcpStream>>, RefusedConnection> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) => return Err(RefusedConnection::Handshake),
        Ok(_) if first == [HANDSHAKE] => {}
        Ok(_) => {
            if first.first().is_some_and(u8::is_ascii_uppercase) {
                // Whoever does not take the answer does not need it.
                drop(timeout(CLOSING, tell_not_tls(&mut stream)).await);
            }
            return Err(RefusedConnection::NotTls);
        }
        Err(error) => {
            debug!(%error, "connection lost before TLS");
            return Err(RefusedConnection::Handshake);
        }
    }
    tls.accept(stream).await.map(Box::new).map_err(|error| {
        debug!(%error, "TLS was not agreed on");
        RefusedConnection::Handshake
    })
}

async fn tell_not_tls(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(NOT_TLS).await?;
    stream.shutdown().await?;
    // What was sent and not read would reset the connection, and the answer with it.
    let mut rest = [0; 4096];
    for _ in 0..16 {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Serves HTTP.
async fn drive<I>(io: I, is_http2: bool, link: &Arc<Link>, front: &Arc<Front>) -> Option<RefusedConnection>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = {
        let (link, front) = (Arc::clone(link), Arc::clone(front));
        service_fn(move |request| answer(request, Arc::clone(&link), Arc::clone(&front)))
    };
    if is_http2 {
        // What both sides say of themselves comes first, and at once.
        link.received();
    }
    let io = TokioIo::new(Watched { io, link: (!is_http2).then(|| Arc::clone(link)) });
    let mut connection = pin!(front.http(is_http2).serve_connection(io, service));
    let mut reason = None;
    let mut last: Option<Instant> = None;
    // Requests come and go without a word here: a deadline is looked at anew that often.
    let tick = front.limits.header.min(front.limits.idle);
    loop {
        let deadline = last.unwrap_or_else(|| link.deadline(&front.limits).0);
        tokio::select! {
            result = connection.as_mut() => return reason.or_else(|| broken(result)),
            () = sleep_until(deadline.min(Instant::now() + tick).into()) => {
                let (deadline, head) = last.map_or_else(|| link.deadline(&front.limits), |last| (last, false));
                if deadline > Instant::now() {
                    continue;
                }
                if last.is_some() {
                    return reason;
                }
                reason = head.then_some(RefusedConnection::HeaderTimeout);
                last = Some(Instant::now() + CLOSING);
            }
            () = link.evicted.cancelled(), if last.is_none() => {
                reason = Some(RefusedConnection::TooMany);
                last = Some(Instant::now() + CLOSING);
            }
            () = front.closing.cancelled(), if last.is_none() => {
                last = Some(Instant::now() + front.limits.grace + CLOSING);
                if !is_http2 && !link.was_used() {
                    // Its first request is on its way: the answer will say that there is no second.
                    last = Some(Instant::now() + front.limits.header);
                    continue;
                }
            }
            () = link.untaken.cancelled() => return Some(RefusedConnection::Untaken),
            () = front.end.cancelled() => return Some(RefusedConnection::Stopped),
        }
        connection.as_mut().graceful_shutdown();
    }
}

fn broken(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) -> Option<RefusedConnection> {
    let error = result.err()?;
    debug!(%error, "a connection broke");
    Some(RefusedConnection::Broken)
}

async fn answer(
    mut request: Request<Incoming>,
    link: Arc<Link>,
    front: Arc<Front>,
) -> Result<Response<Body>, Infallible> {
    let _busy = link.begin();
    let version = request.version();
    request.extensions_mut().insert(link);
    let mut response = front.router.clone().call(request).await?;
    if front.stopping.is_cancelled() && version != Version::HTTP_2 {
        // Closed after an answer, and not when the next request may be on its way.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// A stream that notes when bytes come.
struct Watched<I> {
    io: I,
    link: Option<Arc<Link>>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Some(link) = self.link.as_ref().filter(|_| buf.filled().len() > before) {
            link.received();
        }
        result
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
