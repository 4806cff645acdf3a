//! How a call ended: status, message and details of a gRPC reply. Nothing of it is trusted.

use std::time::Duration;

use http::HeaderMap;
use tonic::metadata::MetadataMap;

use crate::{
    retry::{Class, MAX_RETRY_AFTER},
    transport::{MAX_REPLY, fields, reply::one_line, secrets::Secrets},
};

/// Names of the [status codes](https://grpc.github.io/grpc/core/md_doc_statuscodes.html), by number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

const UNKNOWN: u16 = 2;

/// The status' name, for people.
pub(in crate::transport) fn name(code: u16) -> &'static str {
    NAMES.get(usize::from(code)).copied().unwrap_or("an unknown status")
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) message: String,
    /// The delay of a `google.rpc.RetryInfo`, where there is one.
    pub(super) retry_after: Option<Duration>,
}

impl Status {
    /// Reads trailers, or the head of a reply that has nothing else; `None` without a status. Its message is without the
    /// secrets.
    pub(super) fn read(headers: &HeaderMap, secrets: &Secrets) -> Option<Self> {
        let code = headers.get("grpc-status")?;
        // What is no number is a status nobody knows, as gRPC says.
        let code = code.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN);
        let message = headers.get("grpc-message").map(|value| one_line(&decoded(value.as_bytes()), secrets));
        // The map is copied for tonic's reader of its Base64, on failures only.
        let details = headers.contains_key(DETAILS).then(|| MetadataMap::from_headers(headers.clone()));
        let details = details.as_ref().and_then(|map| map.get_bin(DETAILS)?.to_bytes().ok());
        let message = message.unwrap_or_default();
        Some(Self { code, message, retry_after: details.and_then(|details| retry_info(&details)) })
    }

    /// The status of a reply that is not gRPC's, by
    /// [its status code](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
    pub(super) fn of_http(status: http::StatusCode, content_type: &str, secrets: &Secrets) -> Self {
        let code = match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => UNKNOWN,
        };
        let content_type = if content_type.is_empty() { "no content type" } else { content_type };
        let message =
            format!("HTTP {} with {content_type} instead of gRPC; is it the port of OTLP/gRPC?", status.as_u16());
        Self { code, message: one_line(&message, secrets), retry_after: None }
    }

    /// The status of a reply that is longer than one is read: its own comes at its end. As gRPC's libraries have it, and it is
    /// not sent again: a receiver with so much to say has taken the request.
    pub(super) fn too_long() -> Self {
        Self { code: 8, message: format!("the reply is longer than {MAX_REPLY} bytes"), retry_after: None }
    }

    pub(super) fn class(&self) -> Class {
        let is_limit = matches!(self.code, 8 | 11) && self.retry_after.is_none();
        if is_limit && tells_of_size(&self.message) {
            return Class::TooLarge;
        }
        Class::of_grpc(self.code, self.retry_after.is_some())
    }
}

const DETAILS: &str = "grpc-status-details-bin";

/// There is no status for a message above the receiver's limit; these are the words of grpc-go and gRPC's core, of grpc-java
/// and of tonic.
fn tells_of_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["larger than max", "exceeds maximum size", "length too large"].iter().any(|words| message.contains(words))
}

/// The delay in a `google.rpc.Status`, at most [`MAX_RETRY_AFTER`].
fn retry_info(status: &[u8]) -> Option<Duration> {
    let details = fields::Fields(status).filter_map(|(number, value)| match value {
        fields::Value::Bytes(any) if number == 3 => Some(any),
        _ => None,
    });
    let is_retry_info = |any: &&[u8]| fields::bytes(any, 1).is_some_and(|url| url.ends_with(b"/google.rpc.RetryInfo"));
    let info = fields::bytes(details.filter(is_retry_info).last()?, 2).unwrap_or_default();
    let delay = fields::bytes(info, 1).unwrap_or_default();
    // Below nothing is nothing: no time was named, but the receiver wants to be asked again.
    let seconds = fields::varint(delay, 1).map_or(0, |seconds| u64::try_from(seconds.cast_signed()).unwrap_or(0));
    let nanos =
        fields::varint(delay, 2).and_then(|nanos| u32::try_from(nanos).ok()).filter(|nanos| *nanos < 1_000_000_000);
    Some(
        Duration::from_secs(seconds)
            .saturating_add(Duration::from_nanos(nanos.unwrap_or(0).into()))
            .min(MAX_RETRY_AFTER),
    )
}

/// A `grpc-message` without its percent escapes; those that are broken stay as they are.
fn decoded(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.split_at_checked(2).filter(|_| byte == b'%');
        let escaped = escaped.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = escaped.unwrap_or((byte, after));
        out.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn statuses_as_receivers_write_them() {
        assert_eq!(Status::read(&headers(&[]), &Secrets::default()), None);
        for (code, message, expected) in [
            ("0", "", (0, "")),
            ("14", "try%20later%0a%E2%82%AC", (14, "try later €")),
            ("3", "50% of %zz %", (3, "50% of %zz %")),
            ("x", "", (2, "")),
            ("-1", "", (2, "")),
            ("99999", "%1b[2J", (2, "[2J")),
        ] {
            let status =
                Status::read(&headers(&[("grpc-status", code), ("grpc-message", message)]), &Secrets::default())
                    .unwrap();
            assert_eq!((status.code, status.message.as_str()), expected, "{code}");
        }
        assert_eq!((name(14), name(17)), ("UNAVAILABLE", "an unknown status"));
    }

    /// A `google.rpc.Status` with an `ErrorInfo` and a `RetryInfo` of these bytes.
    fn status_with(delay: &[u8]) -> Vec<u8> {
        let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len().try_into().unwrap()], bytes].concat();
        let any = |name: &str, value: &[u8]| {
            let url = format!("type.googleapis.com/google.rpc.{name}");
            field(3, &[field(1, url.as_bytes()), field(2, value)].concat())
        };
        [b"\x08\x0e".to_vec(), field(2, b"busy"), any("ErrorInfo", b"\x0a\x01x"), any("RetryInfo", &field(1, delay))]
            .concat()
    }

    #[test]
    fn delays_of_retry_info() {
        let half = Duration::from_millis(500);
        for (delay, expected) in [
            (&b"\x08\x03"[..], Duration::from_secs(3)),
            (b"\x10\x80\xca\xb5\xee\x01", half),
            (b"", Duration::ZERO),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f", MAX_RETRY_AFTER),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Duration::ZERO),
            (b"\x08\x80\x94\xeb\xdc\x03", MAX_RETRY_AFTER),
            (b"\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Duration::from_secs(1)),
            (b"\xff\xff", Duration::ZERO),
        ] {
            assert_eq!(retry_info(&status_with(delay)), Some(expected), "{delay:?}");
        }
        for nothing in [&b""[..], b"\x08\x0e", b"\x1a\x00", b"\x1a\xff\xff\xff\xff\x7f"] {
            assert_eq!(retry_info(nothing), None);
        }
    }

    #[test]
    fn messages_above_a_limit_are_known_by_their_words() {
        let class = |code, message: &str| Status { code, message: message.to_owned(), retry_after: None }.class();
        for (code, message) in [
            (8, "grpc: received message larger than max (5242880 vs. 4194304)"),
            (8, "gRPC message exceeds maximum size 4194304: 5242880"),
            (11, "Error, decoded message length too large: found 5242880 bytes, the limit is: 4194304 bytes"),
        ] {
            assert_eq!(class(code, message), Class::TooLarge);
        }
        assert_eq!((class(8, "quota"), class(11, "quota")), (Class::Refused, Class::Retry));
        assert_eq!(class(3, "larger than max"), Class::Refused);
        let busy = Status { code: 8, message: "larger than max".to_owned(), retry_after: Some(Duration::ZERO) };
        assert_eq!(busy.class(), Class::Retry, "the receiver asks for it again");
    }

    #[test]
    fn secrets_are_taken_out_before_the_text_is_cut() {
        let mut secrets = Secrets::default();
        secrets.add_header("Bearer hunter/25+hunter");
        for at in 180..200 {
            let message = format!("{}hunter%2F25%2Bhunter%20{}", "x".repeat(at), "y".repeat(300));
            let status =
                Status::read(&headers(&[("grpc-status", "16"), ("grpc-message", &message)]), &secrets).unwrap();
            assert!(!status.message.contains("hun") && status.message.len() == 200, "{}", status.message);
        }
    }
}
