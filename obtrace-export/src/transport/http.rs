//! OTLP over HTTP: HTTP/2 where a receiver with TLS offers it, HTTP/1.1 else.

use std::{
    error::Error as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    redirect,
};

use super::{
    ConfigError, HttpConfig, MAX_REPLY, Payload, Reply, SendError,
    body::Packer,
    connection::Proxy,
    reply::{
        error_line,
        http::{self as bodies, Form},
    },
    secrets::Secrets,
    tls::Handshakes,
};
use crate::{
    encode::Format,
    retry::{Class, retry_after},
};

/// The largest block of headers that is read over HTTP/2.
const MAX_HEADERS: u32 = 16 * 1024;

/// A connection (or a few) to an OTLP/HTTP receiver. Works on any tokio runtime with time and IO.
///
/// Redirects are not followed: they would take the API key elsewhere, and a `POST` that was turned into a `GET` would lose
/// its data while looking delivered. Proxies are used as `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say, but
/// never to reach this machine itself. Replies are never decompressed.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    config: Arc<HttpConfig>,
    handshakes: Handshakes,
    packer: Arc<Packer>,
    secrets: Arc<Secrets>,
}

impl Http {
    /// A transport. Connects when first used.
    ///
    /// # Errors
    ///
    /// TLS is asked for and cannot be set up.
    pub fn new(config: HttpConfig) -> Result<Self, ConfigError> {
        let fail = |reason: String| ConfigError::Tls { reason };
        let connection = &config.connection;
        let (tls, handshakes) = connection.tls.client_config(config.url.scheme() == "https", &[b"h2", b"http/1.1"])?;
        let (every, patience) = connection.ping();
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(connection.user_agent.clone())
            .default_headers(connection.headers.clone())
            .timeout(connection.timeout)
            .connect_timeout(connection.timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(4)
            .http2_keep_alive_interval(every)
            .http2_keep_alive_timeout(patience)
            .http2_keep_alive_while_idle(connection.keep_alive.is_some())
            // What a receiver may send ahead of our reading: one reply.
            .http2_initial_stream_window_size(u32::try_from(MAX_REPLY).ok())
            .http2_max_header_list_size(MAX_HEADERS);
        builder = match &connection.proxy {
            Proxy::Environment if config.is_local() => builder.no_proxy(),
            Proxy::Environment => builder,
            Proxy::Never => builder.no_proxy(),
            Proxy::At(url) => {
                let proxy = reqwest::Proxy::all(url.as_str()).map_err(|error| fail(deepest(&error)))?;
                builder.no_proxy().proxy(proxy)
            }
        };
        let client = builder.build().map_err(|error| fail(deepest(&error)))?;
        let packer = Arc::new(Packer::new(config.connection.compression));
        let secrets = Arc::new(config.secrets());
        Ok(Self { client, config: Arc::new(config), handshakes, packer, secrets })
    }

    /// Where it sends to, fit to be shown.
    #[must_use]
    pub fn url(&self) -> String {
        self.config.url()
    }

    /// The wire form of its bodies.
    #[must_use]
    pub fn format(&self) -> Format {
        self.config.format
    }

    /// Sends one request body and waits for the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// There was no answer.
    pub async fn send(&self, body: Vec<u8>) -> Result<Reply, SendError> {
        self.post(Payload::plain(body.into())).await
    }

    /// As [`Http::send`]; the caller may keep a clone of the body, to have its memory back.
    pub(crate) async fn post(&self, payload: Payload) -> Result<Reply, SendError> {
        let (body, encoding) = self.packer.pack(payload);
        let content_type = HeaderValue::from_static(self.config.format.content_type());
        let mut request = self.client.post(self.config.url.clone()).header(CONTENT_TYPE, content_type).body(body);
        if let Some(encoding) = encoding {
            request = request.header(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let response = request.send().await.map_err(|error| self.send_error(&error))?;
        self.handshakes.succeeded();
        Ok(self.reply(response).await)
    }

    async fn reply(&self, response: Response) -> Reply {
        let (status, headers) = (response.status().as_u16(), response.headers());
        let class = Class::of(status);
        let asked = headers.get(RETRY_AFTER).filter(|_| class == Class::Retry);
        let retry_after = asked.and_then(|value| retry_after(value.as_bytes(), SystemTime::now()));
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let form = Form::of(content_type.unwrap_or(self.config.format.content_type().as_bytes()));
        let is_encoded = headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity");
        // The status decides. A body that breaks off changes nothing: to send again what was taken would double it.
        let body = read_body(response).await;
        let body = if is_encoded { &[] } else { body.as_slice() };
        let (rejected, message) = bodies::read(class, form, body, &self.secrets);
        Reply { status, class, retry_after, rejected, message, is_grpc: false }
    }

    fn send_error(&self, error: &reqwest::Error) -> SendError {
        let said = error_line(&self.handshakes.described(error), &self.secrets);
        if error.is_timeout() {
            SendError::Timeout(self.config.connection.timeout)
        } else if error.is_connect() {
            SendError::Connect(said)
        } else if said.starts_with("invalid HTTP version") {
            // What hyper says of the first bytes of TLS and of HTTP/2.
            SendError::Broken(format!("{said}; the receiver does not speak HTTP/1.1 there, is https:// meant?"))
        } else {
            SendError::Broken(said)
        }
    }
}

/// At most [`MAX_REPLY`] bytes of the body, as far as it came.
async fn read_body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_REPLY - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() == MAX_REPLY {
            break;
        }
    }
    body
}

/// What the system said, without the layers above it, which name the URL.
fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.source().is_none() { "the request failed".to_owned() } else { cause.to_string() }
}
