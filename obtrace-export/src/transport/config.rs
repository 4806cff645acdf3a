//! Where to send and what to send along.

use std::{fmt, time::Duration};

use http::HeaderValue;
use reqwest::Url;

use super::{
    Compression, ConfigError, Tls,
    connection::{Connection, Proxy, connection_settings, is_local},
    secrets::Secrets,
};
use crate::{encode::Format, model::Signal};

const API_KEY: &str = "x-api-key";
const SOURCE: &str = "x-obtrace-source";

/// Where and how an [`Http`](super::Http) sends.
///
/// ```
/// use obtrace_export::{model::Signal, transport::HttpConfig};
///
/// let config = HttpConfig::ingest("https://ingest.example.com", Signal::Traces).unwrap().with_api_key("secret").unwrap();
/// assert_eq!(config.url(), "https://ingest.example.com/otlp/v1/traces");
/// assert!(!format!("{config:?}").contains("secret"));
/// let config = HttpConfig::otlp("http://localhost:4318", Signal::Traces).unwrap().with_header_list("tenant=a,zone=b%20c").unwrap();
/// assert_eq!(config.url(), "http://localhost:4318/v1/traces");
/// ```
#[derive(Clone)]
pub struct HttpConfig {
    pub(super) url: Url,
    pub(super) format: Format,
    pub(super) connection: Connection,
}

impl HttpConfig {
    /// Obtrace's ingest: `{url}/otlp/v1/{signal}`, with `X-Obtrace-Source: zero-agent-ebpf` unless
    /// [`HttpConfig::with_source`] says otherwise.
    ///
    /// # Errors
    ///
    /// The URL is not an absolute HTTP URL.
    pub fn ingest(url: &str, signal: Signal) -> Result<Self, ConfigError> {
        let mut config = Self::exact(url)?;
        append_path(&mut config.url, "otlp/v1", signal);
        config.connection.headers.insert(SOURCE, HeaderValue::from_static("zero-agent-ebpf"));
        Ok(config)
    }

    /// Any OTLP/HTTP receiver by its base URL, as in `OTEL_EXPORTER_OTLP_ENDPOINT`: `{url}/v1/{signal}`.
    ///
    /// # Errors
    ///
    /// The URL is not an absolute HTTP URL.
    pub fn otlp(url: &str, signal: Signal) -> Result<Self, ConfigError> {
        let mut config = Self::exact(url)?;
        append_path(&mut config.url, "v1", signal);
        Ok(config)
    }

    /// A receiver by its full URL, as in `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`: used as it is.
    ///
    /// # Errors
    ///
    /// The URL is not an absolute HTTP URL.
    pub fn exact(url: &str) -> Result<Self, ConfigError> {
        let fail = |reason: String| ConfigError::Url { url: presentable(url), reason };
        let parsed = Url::parse(url.trim()).map_err(|error| fail(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(fail(format!("the scheme {} is neither http nor https", parsed.scheme())));
        }
        Ok(Self { url: parsed, format: Format::Json, connection: Connection::default() })
    }

    /// Sends `X-API-Key`, without the white space around the key: a Secret made from a file ends in a line feed. The key is never
    /// shown again: not in `Debug`, logs or errors.
    ///
    /// # Errors
    ///
    /// The key has a character that a header may not have.
    pub fn with_api_key(self, key: &str) -> Result<Self, ConfigError> {
        self.with_header(API_KEY, key.trim())
    }

    /// Sets `X-Obtrace-Source`.
    ///
    /// # Errors
    ///
    /// The value has a character that a header may not have.
    pub fn with_source(self, source: &str) -> Result<Self, ConfigError> {
        self.with_header(SOURCE, source)
    }

    /// Sets the wire form of the bodies. JSON.
    #[must_use]
    pub fn with_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    connection_settings!();

    /// The URL that requests go to, without user name, password and query.
    #[must_use]
    pub fn url(&self) -> String {
        shown(&self.url)
    }

    pub(super) fn is_local(&self) -> bool {
        is_local(self.url.host_str().unwrap_or_default())
    }

    /// What a receiver may repeat and must not be shown.
    pub(super) fn secrets(&self) -> Secrets {
        let mut secrets = self.connection.secrets();
        secrets.add_url(self.url.as_str());
        self.url.query().into_iter().for_each(|query| secrets.add_query(query));
        secrets
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("url", &self.url())
            .field("format", &self.format)
            .field("connection", &self.connection)
            .finish()
    }
}

fn append_path(url: &mut Url, base: &str, signal: Signal) {
    let path = format!("{}/{base}/{signal}", url.path().trim_end_matches('/'));
    url.set_path(&path);
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both only fail for URLs without a host, which HTTP URLs have.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// An endpoint that is not a URL, as far as it can be shown without giving a password away.
fn presentable(url: &str) -> String {
    match Url::parse(url.trim()) {
        Ok(url) if url.has_host() => shown(&url),
        _ if url.contains(['@', '?']) => "(not shown: it may hold a password)".to_owned(),
        _ => format!("{url:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_appended_once() {
        for (base, otlp, ingest) in [
            ("http://h", "http://h/v1/traces", "http://h/otlp/v1/traces"),
            ("http://h/", "http://h/v1/traces", "http://h/otlp/v1/traces"),
            ("https://h:8443/otlp", "https://h:8443/otlp/v1/traces", "https://h:8443/otlp/otlp/v1/traces"),
            ("http://h/a/?x=1", "http://h/a/v1/traces", "http://h/a/otlp/v1/traces"),
        ] {
            assert_eq!(HttpConfig::otlp(base, Signal::Traces).unwrap().url(), otlp);
            assert_eq!(HttpConfig::ingest(base, Signal::Traces).unwrap().url(), ingest);
        }
        assert_eq!(HttpConfig::otlp("http://h/a/?x=1", Signal::Traces).unwrap().url.query(), Some("x=1"));
        assert_eq!(HttpConfig::exact("http://h/own").unwrap().url(), "http://h/own");
    }

    #[test]
    fn bad_urls_are_refused_without_showing_secrets() {
        for url in ["", "localhost:4318", "ftp://h", "http://", "//h", "grpc://u:hunter22@h", "http://u:hunter22@:1:2"]
        {
            let message = HttpConfig::otlp(url, Signal::Traces).unwrap_err().to_string();
            assert!(!message.contains("hunter22"), "{message}");
        }
    }

    #[test]
    fn secrets_stay_secret() {
        let config = HttpConfig::ingest("https://user:hunter22@h/?token=hunter23", Signal::Traces)
            .and_then(|c| c.with_api_key("hunter24\n"))
            .and_then(|c| c.with_header_list("authorization=Bearer%20hunter25"))
            .unwrap();
        let shown = format!("{config:?} {}", config.url());
        assert!(!shown.contains("hunter"), "{shown}");
        let said = "key hunter24 of hunter22, token hunter25, no such page: /?token=hunter23".to_owned();
        assert_eq!(config.secrets().redact(said), "key *** of ***, token ***, no such page: /?***");
        assert_eq!(config.connection.headers["authorization"], "Bearer hunter25");
        assert_eq!(config.connection.headers["x-api-key"], "hunter24");
        let error =
            HttpConfig::otlp("http://h", Signal::Traces).unwrap().with_api_key("hunter\n26").unwrap_err().to_string();
        assert!(!error.contains("hunter"), "{error}");
    }
}
