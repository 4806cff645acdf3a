//! What connections of every protocol have in common: headers, deadline, compression, certificates, proxy.

use std::{fmt, net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Compression, ConfigError, Tls, secrets::Secrets};

/// Where the environment names proxies.
const PROXY_VARIABLES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// How long a request may take that no limit was set for.
const UNLIMITED: Duration = Duration::from_secs(3_600);

/// Where connections go through.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) enum Proxy {
    /// What `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say, but never to reach this machine itself.
    #[default]
    Environment,
    Never,
    /// Always, by this URL.
    At(String),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "of the environment",
            Self::Never => "none",
            // It may hold a password.
            Self::At(url) => url.rsplit(['@', '/']).next().unwrap_or_default(),
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) user_agent: HeaderValue,
    pub(super) compression: Compression,
    pub(super) tls: Tls,
    pub(super) proxy: Proxy,
    pub(super) keep_alive: Option<Duration>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(10),
            user_agent: HeaderValue::from_static(concat!("obtrace-export/", env!("CARGO_PKG_VERSION"))),
            compression: Compression::None,
            tls: Tls::new(),
            proxy: Proxy::default(),
            keep_alive: None,
        }
    }
}

impl Connection {
    pub(super) fn set_header(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let fail = |part| ConfigError::Header { name: name.to_owned(), part };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| fail("name"))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| fail("value"))?;
        value.set_sensitive(true);
        self.headers.insert(key, value);
        Ok(())
    }

    pub(super) fn set_header_list(&mut self, list: &str) -> Result<(), ConfigError> {
        for (index, entry) in list.split(',').enumerate().filter(|(_, entry)| !entry.trim().is_empty()) {
            let fail = || ConfigError::HeaderList { entry: index + 1 };
            let (name, value) = entry.split_once('=').ok_or_else(fail)?;
            let value = percent_decoded(value.trim()).ok_or_else(fail)?;
            self.set_header(name.trim(), &value)?;
        }
        Ok(())
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = if timeout.is_zero() { UNLIMITED } else { timeout };
    }

    pub(super) fn set_product(&mut self, product: &str) -> Result<(), ConfigError> {
        let value = format!("{product} obtrace-export/{}", env!("CARGO_PKG_VERSION"));
        self.user_agent = HeaderValue::from_str(&value)
            .map_err(|_| ConfigError::Header { name: "user-agent".to_owned(), part: "value" })?;
        Ok(())
    }

    pub(super) fn set_proxy(&mut self, url: &str) -> Result<(), ConfigError> {
        let fail = |reason: &str| ConfigError::Proxy {
            url: url.split_once("://").map_or(url, |(_, rest)| rest).rsplit('@').next().unwrap_or_default().to_owned(),
            reason: reason.to_owned(),
        };
        let uri: http::Uri = url.trim().parse().map_err(|_| fail("it is no URL"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
            return Err(fail("only proxies at http:// with a host are used"));
        }
        self.proxy = Proxy::At(url.trim().to_owned());
        Ok(())
    }

    /// What a receiver or a proxy may repeat and must not be shown.
    pub(super) fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        for value in self.headers.values().filter(|value| value.is_sensitive()) {
            secrets.add_header(&String::from_utf8_lossy(value.as_bytes()));
        }
        match &self.proxy {
            Proxy::At(url) => secrets.add_url(url),
            Proxy::Environment => {
                PROXY_VARIABLES
                    .iter()
                    .filter_map(|name| std::env::var(name).ok())
                    .for_each(|url| secrets.add_url(&url));
            }
            Proxy::Never => {}
        }
        secrets
    }

    /// When an HTTP/2 connection with a request under way is asked for a sign of life, and for how long one is waited for: a
    /// connection that died without a word must not get the next attempt too.
    pub(super) fn ping(&self) -> (Duration, Duration) {
        (self.keep_alive.unwrap_or(self.timeout / 2), self.timeout / 4)
    }
}

/// A receiver on this machine is never asked for through a proxy of the environment.
pub(super) fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

pub(super) fn percent_decoded(text: &str) -> Option<String> {
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

/// The settings that a configuration takes for its connection; it has a field `connection`.
macro_rules! connection_settings {
    () => {
        /// Adds a header or replaces it. Its value counts as a secret.
        ///
        /// # Errors
        ///
        /// The name or the value has a character that HTTP does not allow there.
        pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
            self.connection.set_header(name, value)?;
            Ok(self)
        }

        /// Adds headers from a list as in `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`, values percent-encoded where
        /// needed. Empty entries are skipped.
        ///
        /// # Errors
        ///
        /// An entry has no `=`, a broken escape, or makes no valid header.
        pub fn with_header_list(mut self, list: &str) -> Result<Self, ConfigError> {
            self.connection.set_header_list(list)?;
            Ok(self)
        }

        /// Sets how long one request may take from connecting to the end of its reply. 10 s. Zero stands for no limit, as in
        /// OpenTelemetry's variables; that is an hour, so that a receiver that never answers holds no request forever.
        #[must_use]
        pub fn with_timeout(mut self, timeout: Duration) -> Self {
            self.connection.set_timeout(timeout);
            self
        }

        /// Puts a product in front of `User-Agent: obtrace-export/<version>`, such as `obtrace-agent/0.1.0`.
        ///
        /// # Errors
        ///
        /// The product has a character that a header may not have.
        pub fn with_product(mut self, product: &str) -> Result<Self, ConfigError> {
            self.connection.set_product(product)?;
            Ok(self)
        }

        /// Sets how bodies are compressed. Not at all.
        #[must_use]
        pub fn with_compression(mut self, compression: Compression) -> Self {
            self.connection.compression = compression;
            self
        }

        /// Sets the certificates of an `https` connection. Those of the system.
        #[must_use]
        pub fn with_tls(mut self, tls: Tls) -> Self {
            self.connection.tls = tls;
            self
        }

        /// Goes through this proxy, whatever the environment says and wherever the receiver is: `http://host:3128`, with
        /// `user:password@` before the host if it asks for them.
        ///
        /// # Errors
        ///
        /// It is not an `http://` URL.
        pub fn with_proxy(mut self, url: &str) -> Result<Self, ConfigError> {
            self.connection.set_proxy(url)?;
            Ok(self)
        }

        /// Goes through no proxy, whatever the environment says.
        #[must_use]
        pub fn without_proxy(mut self) -> Self {
            self.connection.proxy = Proxy::Never;
            self
        }

        /// Pings an HTTP/2 connection this often, even while nothing is sent: for networks that forget connections that are
        /// silent. Without it only connections with a request under way are pinged, because many gRPC servers close those
        /// that ping them idle.
        #[must_use]
        pub fn with_keep_alive(mut self, interval: Duration) -> Self {
            self.connection.keep_alive = Some(interval.max(Duration::from_secs(1)));
            self
        }
    };
}
pub(super) use connection_settings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lists() {
        let mut connection = Connection::default();
        connection.set_header_list(" a = 1 ,, b=x%3Dy=z,").unwrap();
        assert_eq!(
            (&connection.headers["a"], &connection.headers["b"]),
            (&"1".parse().unwrap(), &"x=y=z".parse().unwrap())
        );
        for (list, entry) in [("a", 1), ("a=1,b", 2), ("a=%4", 1), ("a=%+1", 1), ("a=%ff", 1)] {
            assert_eq!(connection.set_header_list(list).unwrap_err(), ConfigError::HeaderList { entry });
        }
        assert!(matches!(connection.set_header_list("a b=1"), Err(ConfigError::Header { part: "name", .. })));
    }

    #[test]
    fn receivers_on_this_machine() {
        for (host, local) in [
            ("localhost", true),
            ("a.localhost", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("localhost.example.com", false),
        ] {
            assert_eq!(is_local(host), local, "{host}");
        }
    }

    #[test]
    fn proxies_are_http_urls_and_their_passwords_stay_secret() {
        let mut connection = Connection::default();
        for url in ["", "proxy", "proxy:3128", "socks5://user:hunter22@proxy", "https://user:hunter22@proxy", "http://"]
        {
            let said = connection.set_proxy(url).unwrap_err().to_string();
            assert!(!said.contains("hunter22") && said.contains("http://host:3128"), "{said}");
        }
        connection.set_proxy("http://user:hunter22@proxy:3128").unwrap();
        assert_eq!(connection.secrets().redact("407 for hunter22".to_owned()), "407 for ***");
    }
}
