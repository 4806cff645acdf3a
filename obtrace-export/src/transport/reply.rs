//! What a receiver answered. Nothing of it is trusted.

#[cfg(feature = "http")]
pub(super) mod http;

use std::time::Duration;

#[cfg(any(feature = "http", feature = "grpc"))]
use super::{MAX_REPLY, fields, secrets::Secrets};
use crate::retry::Class;

/// A receiver's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The status code, of HTTP or of gRPC.
    pub status: u16,
    /// What it means for the request.
    pub class: Class,
    /// How long the receiver asked to be left alone, at most [`MAX_RETRY_AFTER`](crate::retry::MAX_RETRY_AFTER).
    pub retry_after: Option<Duration>,
    /// Items that it refused out of a request that it took.
    pub rejected: u64,
    /// What it said about that or about its failure: one line of at most 200 characters without control characters and
    /// without the secrets of the configuration; empty if it said nothing.
    pub message: String,
    /// The status is one of gRPC.
    pub(super) is_grpc: bool,
}

impl Reply {
    /// Of what this machine does itself.
    pub(super) fn local(class: Class, message: String) -> Self {
        let status = if class == Class::Accepted { 200 } else { 400 };
        Self { status, class, retry_after: None, rejected: 0, message, is_grpc: false }
    }

    /// Status, message and what to do about it, for people.
    pub(crate) fn described(&self) -> String {
        let mut text = self.status_text();
        if !self.message.is_empty() {
            text.push_str(": ");
            text.push_str(&self.message);
        }
        text.push_str(if self.is_grpc { self.grpc_advice() } else { self.http_advice() });
        text
    }

    #[cfg(feature = "grpc")]
    fn status_text(&self) -> String {
        if self.is_grpc {
            return format!("gRPC status {} ({})", super::grpc::status::name(self.status), self.status);
        }
        format!("status {}", self.status)
    }

    #[cfg(not(feature = "grpc"))]
    fn status_text(&self) -> String {
        format!("status {}", self.status)
    }

    fn http_advice(&self) -> &'static str {
        match self.status {
            300..=399 => "; redirects are not followed, set the URL that it names",
            401 | 403 => "; check the API key",
            404 | 405 => "; check the URL, its path must take OTLP of this signal",
            407 => "; the proxy asks for user and password, set them in its URL",
            415 => "; the receiver does not take this form or its compression",
            _ => "",
        }
    }

    fn grpc_advice(&self) -> &'static str {
        match self.status {
            7 | 16 => "; check the headers that say who this is",
            12 => "; the receiver takes no OTLP/gRPC of this signal, or not with this compression",
            _ => "",
        }
    }
}

/// Of an `ExportTraceServiceResponse`, `ExportMetricsServiceResponse` or `ExportLogsServiceResponse`, whose numbers are the
/// same.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(super) fn partial_success(response: &[u8], secrets: &Secrets) -> (u64, String) {
    let partial = fields::bytes(response, 1).unwrap_or_default();
    let rejected = fields::varint(partial, 1).and_then(|count| u64::try_from(count.cast_signed()).ok());
    let message = String::from_utf8_lossy(fields::bytes(partial, 2).unwrap_or_default());
    (rejected.unwrap_or(0), one_line(&message, secrets))
}

/// The text as one line of at most 200 characters.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(super) fn one_line(text: &str, secrets: &Secrets) -> String {
    line_of(text, 200, secrets)
}

/// What went wrong with a connection, as one line: longer than an answer, since advice may be behind what a receiver said.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(super) fn error_line(text: &str, secrets: &Secrets) -> String {
    line_of(text, 1_000, secrets)
}

/// The text as one line of so many characters at most that cannot steer a terminal, without the secrets: they are taken out
/// before it is cut, so that no beginning of one is left.
#[cfg(any(feature = "http", feature = "grpc"))]
fn line_of(text: &str, most: usize, secrets: &Secrets) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    // The last word of what was not read to its end may be the beginning of one.
    if text.len() >= MAX_REPLY {
        line.truncate(line.rfind(' ').unwrap_or(line.len()));
    }
    secrets.redact(line).chars().take(most).collect()
}
