//! OTLP over gRPC, on tonic's channel: connections, HTTP/2 and reconnecting are its work; messages, their compression and
//! what a reply means are ours, since bodies come as bytes and tonic compresses at one level only.

mod config;
mod connect;
mod frame;
pub(super) mod status;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONTENT_TYPE, TE, USER_AGENT},
};
use http_body_util::BodyExt as _;
use tonic::{
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::{Service as _, ServiceExt as _};

pub use self::config::GrpcConfig;
use self::{
    connect::{Connector, Refused},
    frame::Message,
    status::Status,
};
use super::{ConfigError, MAX_REPLY, Payload, Reply, SendError, body::Packer, reply, secrets::Secrets};
use crate::retry::Class;

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The largest block of headers or trailers that is read.
const MAX_HEADERS: u32 = 16 * 1024;

/// A connection to an OTLP/gRPC receiver. Works on any tokio runtime with time and IO.
///
/// Proxies are used as `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say, by `CONNECT`, but never to reach this
/// machine itself. Only proxies at `http://` are. Replies are never decompressed.
#[derive(Clone)]
pub struct Grpc(Arc<Inner>);

struct Inner {
    config: GrpcConfig,
    connector: Connector,
    endpoint: Endpoint,
    /// Made in the runtime that first sends, and again in another one if that has ended.
    channel: Mutex<Option<Channel>>,
    /// It has answered a request, so it is what it should be.
    answered: AtomicBool,
    packer: Packer,
    secrets: Secrets,
}

impl fmt::Debug for Grpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Grpc").field(&self.0.config).finish()
    }
}

impl Grpc {
    /// A transport. Connects when first used.
    ///
    /// # Errors
    ///
    /// TLS is asked for and cannot be set up.
    pub fn new(config: GrpcConfig) -> Result<Self, ConfigError> {
        let connector = Connector::new(config.clone())?;
        let fail = |error: tonic::transport::Error| ConfigError::Url { url: config.url(), reason: error.to_string() };
        let (every, patience) = config.connection.ping();
        // The connector does TLS. Were the URL https, a tonic built with TLS by someone else would want to do it as well.
        let plain = format!("http://{}", config.origin.authority().map_or("", |authority| authority.as_str()));
        let endpoint = Endpoint::from_shared(plain)
            .and_then(|endpoint| endpoint.user_agent(config.connection.user_agent.clone()))
            .map_err(fail)?
            .origin(config.origin.clone())
            .http2_keep_alive_interval(every)
            .keep_alive_timeout(patience)
            .keep_alive_while_idle(config.connection.keep_alive.is_some())
            // What a receiver may send ahead of our reading: one reply.
            .initial_stream_window_size(u32::try_from(MAX_REPLY).unwrap_or(65_535))
            .http2_max_header_list_size(MAX_HEADERS);
        let packer = Packer::new(config.connection.compression);
        let secrets = config.connection.secrets();
        Ok(Self(Arc::new(Inner {
            config,
            connector,
            endpoint,
            channel: Mutex::default(),
            answered: AtomicBool::new(false),
            packer,
            secrets,
        })))
    }

    /// Where it sends to, fit to be shown.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.config.url()
    }

    /// Sends one request, a protobuf message of its signal, and waits for the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// There was no answer.
    pub async fn send(&self, body: Vec<u8>) -> Result<Reply, SendError> {
        self.post(Payload::plain(body.into())).await
    }

    /// As [`Grpc::send`]; the caller may keep a clone of the body, to have its memory back.
    pub(crate) async fn post(&self, payload: Payload) -> Result<Reply, SendError> {
        let connection = &self.0.config.connection;
        let request = self.request(payload)?;
        let called = tokio::time::timeout(connection.timeout, self.call(request)).await;
        called.unwrap_or(Err(SendError::Timeout(connection.timeout)))
    }

    fn request(&self, payload: Payload) -> Result<Request<Body>, SendError> {
        let config = &self.0.config;
        let (body, encoding) = self.0.packer.pack(payload);
        let message = Message::new(body, encoding.is_some());
        let message = message.ok_or_else(|| SendError::Broken("a message of 4 GiB cannot be sent".to_owned()))?;
        let mut request = Request::new(Body::new(message));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = http::Uri::from_static(config.path());
        let headers = request.headers_mut();
        headers.clone_from(&config.connection.headers);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TIMEOUT, grpc_timeout(config.connection.timeout));
        headers.insert(USER_AGENT, config.connection.user_agent.clone());
        if let Some(encoding) = encoding {
            headers.insert(ENCODING, HeaderValue::from_static(encoding));
        }
        Ok(request)
    }

    async fn call(&self, request: Request<Body>) -> Result<Reply, SendError> {
        let mut channel = self.channel();
        let ready = match channel.ready().await {
            Ok(ready) => ready,
            Err(error) => {
                // Its task has ended, with the runtime that it was in.
                *self.slot() = None;
                return Err(self.error(&error));
            }
        };
        let response = ready.call(request).await.map_err(|error| self.error(&error))?;
        self.0.connector.handshakes().succeeded();
        self.0.answered.store(true, Ordering::Relaxed);
        self.reply(response).await
    }

    fn channel(&self) -> Channel {
        let connect = || self.0.endpoint.connect_with_connector_lazy(self.0.connector.clone());
        self.slot().get_or_insert_with(connect).clone()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Channel>> {
        self.0.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reply(&self, response: Response<Body>) -> Result<Reply, SendError> {
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        // Without a body, the status is in the head.
        if let Some(status) = Status::read(&head.headers, &self.0.secrets) {
            return Ok(self.answer(status, &[]));
        }
        if head.status != StatusCode::OK || !content_type.starts_with(b"application/grpc") {
            return Ok(
                self.answer(Status::of_http(head.status, &String::from_utf8_lossy(content_type), &self.0.secrets), &[])
            );
        }
        let (body, trailers) = match read(body).await {
            Ok(read) => read,
            Err(Unread::TooLarge) => return Ok(self.answer(Status::too_long(), &[])),
            Err(Unread::Broken(status)) => return Err(self.error(&status)),
        };
        match trailers.as_ref().and_then(|trailers| Status::read(trailers, &self.0.secrets)) {
            Some(status) => Ok(self.answer(status, frame::message(&body))),
            None => Err(SendError::Broken("the reply ended without a status".to_owned())),
        }
    }

    fn answer(&self, status: Status, message: &[u8]) -> Reply {
        let class = status.class();
        let (rejected, said) = match class {
            Class::Accepted => reply::partial_success(message, &self.0.secrets),
            _ => (0, status.message),
        };
        let (status, retry_after) = (status.code, status.retry_after);
        Reply { status, class, retry_after, rejected, message: said, is_grpc: true }
    }

    fn error(&self, error: &(dyn std::error::Error + 'static)) -> SendError {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(refused) = error.downcast_ref::<Refused>() {
                return SendError::Connect(self.line(&refused.to_string()));
            }
            // The channel keeps the time that the request names, as we do.
            if error.is::<tonic::TimeoutExpired>() {
                return SendError::Timeout(self.0.config.connection.timeout);
            }
            next = error.source();
        }
        let mut said = self.line(&self.0.connector.handshakes().described(error));
        if !self.0.answered.load(Ordering::Relaxed) {
            let tls = if self.0.config.is_tls() { "with" } else { "without" };
            said.push_str(&format!("; it has never answered, is it an OTLP/gRPC receiver {tls} TLS?"));
        }
        SendError::Broken(said)
    }

    fn line(&self, said: &str) -> String {
        reply::error_line(said, &self.0.secrets)
    }
}

enum Unread {
    TooLarge,
    Broken(tonic::Status),
}

/// The body, which must not be longer than [`MAX_REPLY`], and its trailers.
async fn read(mut body: Body) -> Result<(Vec<u8>, Option<HeaderMap>), Unread> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.map_err(Unread::Broken)?.into_data() {
            Ok(data) if read.len() + data.len() > MAX_REPLY => return Err(Unread::TooLarge),
            Ok(data) => read.extend_from_slice(&data),
            Err(frame) => return Ok((read, frame.into_trailers().ok())),
        }
    }
    Ok((read, None))
}

/// At most eight digits and a unit.
fn grpc_timeout(timeout: Duration) -> HeaderValue {
    let millis = timeout.as_millis();
    let text =
        if millis < 100_000_000 { format!("{millis}m") } else { format!("{}S", timeout.as_secs().min(99_999_999)) };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("10S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_eight_digits_at_most() {
        for (timeout, expected) in [
            (Duration::from_secs(10), "10000m"),
            (Duration::from_millis(1), "1m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::MAX, "99999999S"),
        ] {
            assert_eq!(grpc_timeout(timeout), expected);
        }
    }
}
