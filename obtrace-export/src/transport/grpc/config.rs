//! Where to send over gRPC.

use std::{fmt, time::Duration};

use http::{Uri, uri::PathAndQuery};

use crate::{
    model::Signal,
    transport::{
        Compression, ConfigError, Tls,
        connection::{Connection, Proxy, connection_settings, is_local},
    },
};

/// Where and how a [`Grpc`](super::Grpc) sends.
///
/// ```
/// use obtrace_export::{model::Signal, transport::{Compression, GrpcConfig}};
///
/// let config = GrpcConfig::new("https://collector:4317", Signal::Logs).unwrap().with_compression(Compression::Gzip);
/// assert_eq!(config.url(), "https://collector:4317");
/// assert!(GrpcConfig::new("collector:4317", Signal::Logs).is_err(), "with TLS or without?");
/// ```
#[derive(Clone)]
pub struct GrpcConfig {
    /// Scheme and authority, nothing else.
    pub(super) origin: Uri,
    pub(super) signal: Signal,
    pub(super) connection: Connection,
}

impl GrpcConfig {
    /// A receiver by its URL as in `OTEL_EXPORTER_OTLP_ENDPOINT`: `http://host:4317` without TLS, `https://host:4317` with it.
    /// gRPC has no use for a path, so what the URL has of one is left out.
    ///
    /// # Errors
    ///
    /// It is not a URL of that form.
    pub fn new(url: &str, signal: Signal) -> Result<Self, ConfigError> {
        let fail =
            |reason: &str| ConfigError::Url { url: shown(url), reason: format!("{reason} (gRPC: mostly port 4317)") };
        let uri: Uri = url.trim().parse().map_err(|_| fail("it is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(fail("it begins with neither http:// nor https://"));
        }
        let authority = uri.authority().filter(|_| uri.host().is_some_and(|host| !host.is_empty()));
        let authority = authority.ok_or_else(|| fail("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(fail("user and password are nothing gRPC sends; set a header (authorization=Basic ...)"));
        }
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let origin = Uri::from_parts(parts).map_err(|_| fail("it is no URL"))?;
        Ok(Self { origin, signal, connection: Connection::default() })
    }

    connection_settings!();

    /// The URL that requests go to, without what may be secret of it.
    #[must_use]
    pub fn url(&self) -> String {
        self.origin.to_string().trim_end_matches('/').to_owned()
    }

    pub(super) fn is_tls(&self) -> bool {
        self.origin.scheme_str() == Some("https")
    }

    pub(super) fn host(&self) -> &str {
        self.origin.host().unwrap_or_default()
    }

    pub(super) fn is_local(&self) -> bool {
        is_local(self.host())
    }

    /// The method of [OTLP's service](https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto/collector)
    /// of the signal.
    pub(super) fn path(&self) -> &'static str {
        match self.signal {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

impl fmt::Debug for GrpcConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcConfig")
            .field("url", &self.url())
            .field("signal", &self.signal)
            .field("connection", &self.connection)
            .finish()
    }
}

/// An endpoint as far as it can be shown without giving a password away.
fn shown(url: &str) -> String {
    if url.contains(['@', '?']) { "(not shown: it may hold a password)".to_owned() } else { format!("{url:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_scheme_host_and_port() {
        for (url, shown, tls) in [
            ("http://h:4317", "http://h:4317", false),
            (" https://h:4317/ ", "https://h:4317", true),
            ("https://[::1]:4317/v1/traces?x=1", "https://[::1]:4317", true),
            ("http://h", "http://h", false),
        ] {
            let config = GrpcConfig::new(url, Signal::Traces).unwrap();
            assert_eq!((config.url().as_str(), config.is_tls()), (shown, tls));
        }
        for url in [
            "",
            "h:4317",
            "grpc://h:4317",
            "http://",
            "unix:///run/x",
            "http://user:hunter22@h:4317",
            "http://h:4317?hunter22 ",
        ] {
            if let Err(error) = GrpcConfig::new(url, Signal::Traces) {
                assert!(!error.to_string().contains("hunter22"), "{error}");
            } else {
                assert!(url.contains('?'), "{url}");
            }
        }
    }

    #[test]
    fn secrets_stay_secret() {
        let config = GrpcConfig::new("http://h:4317", Signal::Logs)
            .and_then(|config| config.with_header_list("authorization=Bearer%20hunter25"))
            .and_then(|config| config.with_proxy("http://user:hunter26@proxy:1"))
            .unwrap();
        assert!(!format!("{config:?}").contains("hunter"), "{config:?}");
    }
}
