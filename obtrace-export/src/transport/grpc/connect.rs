//! Connections for the channel: through a proxy where there is one, with TLS where it is asked for.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::Service;

use super::GrpcConfig;
use crate::transport::{ConfigError, connection::Proxy, tls::Handshakes};

/// Why there is no connection, for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

/// Makes connections to one receiver.
#[derive(Clone)]
pub(super) struct Connector(Arc<Receiver>);

struct Receiver {
    config: GrpcConfig,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    handshakes: Handshakes,
    proxy: Option<Matcher>,
    tcp: HttpConnector,
}

impl Connector {
    pub(super) fn new(config: GrpcConfig) -> Result<Self, ConfigError> {
        let (client, handshakes) = config.connection.tls.client_config(config.is_tls(), &[b"h2"])?;
        let tls = config.is_tls().then(|| Ok((TlsConnector::from(Arc::new(client)), name(&config)?))).transpose()?;
        let proxy = match &config.connection.proxy {
            Proxy::Environment => (!config.is_local()).then(Matcher::from_env),
            Proxy::Never => None,
            Proxy::At(url) => Some(Matcher::builder().all(url.clone()).build()),
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_connect_timeout(Some(config.connection.timeout));
        Ok(Self(Arc::new(Receiver { config, tls, handshakes, proxy, tcp })))
    }
}

impl Connector {
    pub(super) fn handshakes(&self) -> &Handshakes {
        &self.0.handshakes
    }
}

/// The name that the receiver's certificate has to be for.
fn name(config: &GrpcConfig) -> Result<ServerName<'static>, ConfigError> {
    let host = config.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(host).map_err(|_| ConfigError::Url {
        url: config.url(),
        reason: "its host is neither a name nor an address that a certificate can be for".to_owned(),
    })
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    /// The receiver is the one of the configuration: the channel does not know of TLS, so its URL may say less.
    fn call(&mut self, _: Uri) -> Self::Future {
        let receiver = Arc::clone(&self.0);
        Box::pin(async move {
            let timeout = receiver.config.connection.timeout;
            let connected = tokio::time::timeout(timeout, receiver.connect()).await;
            connected.unwrap_or_else(|_| Err(Refused(format!("no connection within {timeout:?}"))))
        })
    }
}

impl Receiver {
    async fn connect(&self) -> Result<Stream, Refused> {
        let tcp = self.reach().await?;
        let Some((connector, name)) = &self.tls else { return Ok(Stream::Plain(tcp)) };
        let stream = connector.connect(name.clone(), tcp.into_inner()).await.map_err(|error| self.refused(&error))?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(Refused(
                "the receiver does not offer HTTP/2 (ALPN h2); is it the port of OTLP/gRPC?".to_owned(),
            ));
        }
        Ok(Stream::Tls(Box::new(TokioIo::new(stream))))
    }

    async fn reach(&self) -> Result<TokioIo<TcpStream>, Refused> {
        let destination = with_port(&self.config.origin);
        let mut tcp = self.tcp.clone();
        let Some(proxy) = self.proxy.as_ref().and_then(|proxy| proxy.intercept(&destination)) else {
            return tcp.call(destination).await.map_err(|error| self.refused(&error));
        };
        let at = proxy.uri();
        let shown = format!("{}:{}", at.host().unwrap_or_default(), at.port_u16().unwrap_or(80));
        if at.scheme_str() != Some("http") {
            return Err(Refused(format!(
                "the proxy {shown} is not at http://, which is all that gRPC goes through here; set another, or NO_PROXY"
            )));
        }
        let mut tunnel = Tunnel::new(at.clone(), tcp);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let through = tunnel.call(destination).await;
        through.map_err(|error| Refused(format!("through the proxy {shown}: {}", self.refused(&error).0)))
    }

    fn refused(&self, error: &(dyn std::error::Error + 'static)) -> Refused {
        Refused(self.handshakes.described(error))
    }
}

/// A proxy has to be told a port.
fn with_port(origin: &Uri) -> Uri {
    let Some(authority) = origin.authority().filter(|authority| authority.port().is_none()) else {
        return origin.clone();
    };
    let port = if origin.scheme_str() == Some("https") { 443 } else { 80 };
    let mut parts = origin.clone().into_parts();
    parts.authority = format!("{authority}:{port}").parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| origin.clone())
}

/// A connection.
pub(super) enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
