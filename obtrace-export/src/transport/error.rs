//! What can be wrong with a configuration, and with a request.

use std::time::Duration;

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
    /// The proxy is not an `http://` URL.
    #[error("the proxy {url} cannot be used: {reason}; it should look like http://host:3128")]
    Proxy {
        /// The proxy as far as it can be shown.
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
    /// The file of certificates to trust cannot be used.
    #[error("the CA file {file} cannot be used: {reason}; it must be readable and hold PEM certificates")]
    CaCertificate {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The client's certificate or its key cannot be used.
    #[error(
        "the client certificate cannot be used, {file}: {reason}; both files must be readable PEM and belong together"
    )]
    ClientCertificate {
        /// The file that is at fault.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

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
    /// A file or the console cannot be written to.
    #[error("cannot write to {target}: {reason}")]
    Write {
        /// The file, or what the console is.
        target: String,
        /// What the system said.
        reason: String,
    },
}
