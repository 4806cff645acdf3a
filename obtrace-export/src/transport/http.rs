//! OTLP over HTTP/1.1.

use std::{
    error::Error as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::{
    Response,
    header::{CONTENT_ENCODING, RETRY_AFTER},
    redirect,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::{ConfigError, HttpConfig, MAX_REPLY, Payload, Reply, reply};
use crate::{
    encode::Format,
    retry::{Class, retry_after},
};

/// No answer: the request may have arrived or not, and should be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No connection to the receiver.
    #[error("no connection: {0}")]
    Connect(String),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection broke before the answer, or the answer was not HTTP.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// A connection (or a few) to an OTLP/HTTP receiver. Works on any tokio runtime with time and IO.
///
/// Redirects are not followed: they would take the API key elsewhere, and a `POST` that was turned into a `GET` would lose
/// its data while looking delivered. Proxies are used as `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say, but
/// never to reach this machine itself. Replies are never decompressed.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    config: Arc<HttpConfig>,
}

impl Http {
    /// A transport. Connects when first used.
    ///
    /// # Errors
    ///
    /// TLS is asked for and cannot be set up.
    pub fn new(config: HttpConfig) -> Result<Self, ConfigError> {
        let fail = |reason: String| ConfigError::Tls { reason };
        let tls = tls_config(config.url.scheme() == "https").map_err(|error| fail(error.to_string()))?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(config.user_agent.clone())
            .default_headers(config.headers.clone())
            .timeout(config.timeout)
            .connect_timeout(config.timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(4);
        if config.is_local() {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| fail(deepest(&error)))?;
        Ok(Self { client, config: Arc::new(config) })
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
        let sent = self.client.post(self.config.url.clone()).body(payload.body).send().await;
        let response = sent.map_err(|error| self.send_error(&error))?;
        let status = response.status().as_u16();
        let class = Class::of(status);
        let asked = response.headers().get(RETRY_AFTER).filter(|_| class == Class::Retry);
        let retry_after = asked.and_then(|value| retry_after(value.as_bytes(), SystemTime::now()));
        let encoded = response.headers().contains_key(CONTENT_ENCODING);
        // The status decides. A body that breaks off changes nothing: to send again what was taken would double it.
        let body = read_body(response).await;
        let (rejected, message) = reply::read(class, if encoded { &[] } else { &body });
        Ok(Reply { status, class, retry_after, rejected, message: self.config.redact(message) })
    }

    fn send_error(&self, error: &reqwest::Error) -> SendError {
        let said = self.config.redact(deepest(error));
        if error.is_timeout() {
            SendError::Timeout(self.config.timeout)
        } else if error.is_connect() {
            SendError::Connect(said)
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

/// The system's trust anchors where TLS is used; without it an empty configuration, which costs no memory.
fn tls_config(used: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(if used {
        builder.with_platform_verifier()?.with_no_client_auth()
    } else {
        builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
    })
}

/// What the system said, without the layers above it, which name the URL.
fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.source().is_none() { "the request failed".to_owned() } else { cause.to_string() }
}
