//! Answers, by the [OTLP specification](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response).

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use super::Format;
use crate::encode::text::push_string;

/// Why a request is not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The answer; a sender whose content type is not known is told in JSON.
    pub(super) fn into_response(self, format: Option<Format>) -> Response<Body> {
        let format = format.unwrap_or(Format::Json);
        let code = code(self.status);
        let mut body = Vec::new();
        match format {
            Format::Json => {
                body.extend_from_slice(format!("{{\"code\":{code},\"message\":").as_bytes());
                push_string(&mut body, &self.message);
                body.push(b'}');
            }
            Format::Protobuf => {
                body.extend_from_slice(&[1 << 3, code, 2 << 3 | 2]);
                push_length(&mut body, self.message.len());
                body.extend_from_slice(self.message.as_bytes());
            }
        }
        let mut response = response(self.status, format, body);
        let headers = response.headers_mut();
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if self.status != StatusCode::BAD_REQUEST {
            // What is left of the body is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Everything was taken: an empty `Export…ServiceResponse`.
pub(super) fn taken(format: Format) -> Response<Body> {
    let body = match format {
        Format::Json => b"{}".to_vec(),
        Format::Protobuf => Vec::new(),
    };
    response(StatusCode::OK, format, body)
}

fn response(status: StatusCode, format: Format, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response
}

/// The code of [`google.rpc.Code`](https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto) that
/// goes with a status.
fn code(status: StatusCode) -> u8 {
    match status {
        StatusCode::NOT_FOUND => 5,
        StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::REQUEST_TIMEOUT => 4,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        _ => 3,
    }
}

fn push_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push((length & 0x7f) as u8);
}
