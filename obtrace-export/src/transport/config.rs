//! Where to send and what to send along.

use std::{fmt, net::IpAddr, time::Duration};

use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use crate::{encode::Format, model::Signal};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const SOURCE: HeaderName = HeaderName::from_static("x-obtrace-source");

/// Why a configuration cannot be used. Messages hold no header value, password or query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The endpoint is not an absolute `http://` or `https://` URL.
    #[error("the OTLP endpoint {url} cannot be used: {reason}; it should look like https://host:4318")]
    Url {
        /// The endpoint as far as it can be shown.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header has a name or a value that HTTP does not allow.
    #[error("the header {name:?} cannot be sent: its {part} has a character that HTTP does not allow there")]
    Header {
        /// The name of the header.
        name: String,
        /// `name` or `value`.
        part: &'static str,
    },
    /// A list of headers has an entry without `=`, or a broken percent escape.
    #[error("entry {entry} of the header list is not of the form name=value (values may be percent-encoded)")]
    HeaderList {
        /// Which, from 1.
        entry: usize,
    },
    /// TLS cannot be set up.
    #[error(
        "TLS cannot be set up: {reason}; are root certificates installed (Debian: the package ca-certificates), or is SSL_CERT_FILE set?"
    )]
    Tls {
        /// What the library said.
        reason: String,
    },
}

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
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) user_agent: HeaderValue,
    pub(super) format: Format,
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
        config.headers.insert(SOURCE, HeaderValue::from_static("zero-agent-ebpf"));
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
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self {
            url: parsed,
            headers,
            timeout: Duration::from_secs(10),
            user_agent: HeaderValue::from_static(concat!("obtrace-export/", env!("CARGO_PKG_VERSION"))),
            format: Format::Json,
        })
    }

    /// Sends `X-API-Key`, without the white space around the key: a Secret made from a file ends in a line feed. The key is never
    /// shown again: not in `Debug`, logs or errors.
    ///
    /// # Errors
    ///
    /// The key has a character that a header may not have.
    pub fn with_api_key(self, key: &str) -> Result<Self, ConfigError> {
        self.with_header(API_KEY.as_str(), key.trim())
    }

    /// Sets `X-Obtrace-Source`.
    ///
    /// # Errors
    ///
    /// The value has a character that a header may not have.
    pub fn with_source(self, source: &str) -> Result<Self, ConfigError> {
        self.with_header(SOURCE.as_str(), source)
    }

    /// Adds a header or replaces it. Its value counts as a secret.
    ///
    /// # Errors
    ///
    /// The name or the value has a character that HTTP does not allow there.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        let fail = |part| ConfigError::Header { name: name.to_owned(), part };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| fail("name"))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| fail("value"))?;
        value.set_sensitive(true);
        self.headers.insert(key, value);
        Ok(self)
    }

    /// Adds headers from a list as in `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`, values percent-encoded where
    /// needed. Empty entries are skipped.
    ///
    /// # Errors
    ///
    /// An entry has no `=`, a broken escape, or makes no valid header.
    pub fn with_header_list(mut self, list: &str) -> Result<Self, ConfigError> {
        for (index, entry) in list.split(',').enumerate().filter(|(_, entry)| !entry.trim().is_empty()) {
            let fail = || ConfigError::HeaderList { entry: index + 1 };
            let (name, value) = entry.split_once('=').ok_or_else(fail)?;
            let value = percent_decoded(value.trim()).ok_or_else(fail)?;
            self = self.with_header(name.trim(), &value)?;
        }
        Ok(self)
    }

    /// Sets how long one request may take from connecting to the end of its reply. 10 s.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Puts a product in front of `User-Agent: obtrace-export/<version>`, such as `obtrace-agent/0.1.0`.
    ///
    /// # Errors
    ///
    /// The product has a character that a header may not have.
    pub fn with_product(mut self, product: &str) -> Result<Self, ConfigError> {
        let value = format!("{product} obtrace-export/{}", env!("CARGO_PKG_VERSION"));
        self.user_agent = HeaderValue::from_str(&value)
            .map_err(|_| ConfigError::Header { name: "user-agent".to_owned(), part: "value" })?;
        Ok(self)
    }

    /// The URL that requests go to, without user name, password and query.
    #[must_use]
    pub fn url(&self) -> String {
        shown(&self.url)
    }

    /// A receiver on this machine is never asked for through a proxy.
    pub(super) fn is_local(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
    }

    /// Takes every secret out of a text that came from outside, in case the receiver echoed one.
    pub(super) fn redact(&self, mut text: String) -> String {
        let password = self.url.password().unwrap_or_default();
        let values = self.headers.values().filter(|value| value.is_sensitive()).filter_map(|value| value.to_str().ok());
        // Shorter values would tear holes into ordinary words and are no secrets.
        for secret in values.chain([password]).filter(|secret| secret.len() >= 4) {
            if text.contains(secret) {
                text = text.replace(secret, "***");
            }
        }
        text
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("url", &self.url())
            .field("headers", &self.headers)
            .field("timeout", &self.timeout)
            .field("user_agent", &self.user_agent)
            .field("format", &self.format)
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

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
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
        assert_eq!(config.redact("key hunter24 of hunter22".to_owned()), "key *** of ***");
        assert_eq!(config.headers["authorization"], "Bearer hunter25");
        assert_eq!(config.headers["x-api-key"], "hunter24");
        let error =
            HttpConfig::otlp("http://h", Signal::Traces).unwrap().with_api_key("hunter\n26").unwrap_err().to_string();
        assert!(!error.contains("hunter"), "{error}");
    }

    #[test]
    fn header_lists() {
        let config = HttpConfig::otlp("http://h", Signal::Traces).unwrap();
        let headers = config.clone().with_header_list(" a = 1 ,, b=x%3Dy=z,").unwrap().headers;
        assert_eq!(
            (&headers["a"], &headers["b"]),
            (&HeaderValue::from_static("1"), &HeaderValue::from_static("x=y=z"))
        );
        for (list, entry) in [("a", 1), ("a=1,b", 2), ("a=%4", 1), ("a=%+1", 1), ("a=%ff", 1)] {
            assert_eq!(config.clone().with_header_list(list).unwrap_err(), ConfigError::HeaderList { entry });
        }
        assert!(matches!(config.with_header_list("a b=1"), Err(ConfigError::Header { part: "name", .. })));
    }

    #[test]
    fn receivers_on_this_machine() {
        for (url, local) in [
            ("http://localhost:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:4318", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(HttpConfig::otlp(url, Signal::Traces).unwrap().is_local(), local, "{url}");
        }
    }
}
