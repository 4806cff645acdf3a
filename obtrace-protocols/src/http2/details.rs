//! What an exchange over HTTP/2 has beyond the common fields.

use alloc::{borrow::Cow, boxed::Box};

use super::{ErrorCode, GrpcStatus};
use crate::{Role, exchange::own, payload::Payload};

/// A stream that was ended by RST_STREAM ([RFC 9113 §6.4](https://www.rfc-editor.org/rfc/rfc9113#section-6.4)) before
/// its response was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reset {
    /// The end that sent it.
    pub by: Role,
    /// Why.
    pub code: ErrorCode,
}

/// What only HTTP/2 has. Texts are cut at [`Config::max_text`](crate::Config::max_text); bytes that are not UTF-8 are
/// replaced. `None`: the field was not sent, or, where [`unresolved`](Http2Details::unresolved) says so, is not known.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Http2Details<'a> {
    /// `:method`. [`Exchange::operation`](crate::Exchange::operation) is the same if it is registered with IANA, else
    /// `_OTHER`, also where it is not known.
    pub method: Option<Cow<'a, str>>,
    /// `:path` without the query.
    pub path: Option<Cow<'a, str>>,
    /// What is after the first `?` of `:path`, with a `*` in place of each byte of a credential.
    pub query: Option<Cow<'a, str>>,
    /// `:scheme`.
    pub scheme: Option<Cow<'a, str>>,
    /// `:authority`, else `host`; without user and password.
    pub authority: Option<Cow<'a, str>>,
    /// The final `:status`.
    pub status: Option<u16>,
    /// `user-agent`.
    pub user_agent: Option<Cow<'a, str>>,
    /// `content-type` of the request.
    pub request_content_type: Option<Cow<'a, str>>,
    /// `content-type` of the response.
    pub response_content_type: Option<Cow<'a, str>>,
    /// The first `x-forwarded-for` field.
    pub forwarded_for: Option<Cow<'a, str>>,
    /// Bytes in DATA frames of the request, padding left out; `None` if it had none.
    pub request_body_size: Option<u64>,
    /// Bytes in DATA frames of the response, padding left out; `None` if it had none.
    pub response_body_size: Option<u64>,
    /// The stream.
    pub stream: u32,
    /// The stream was reset before the response was whole.
    pub reset: Option<Reset>,
    /// The server sent it without being asked: the request is that of a PUSH_PROMISE.
    pub pushed: bool,
    /// Fields refer to a table of which a part was not seen: what is `None` may be one of them.
    pub unresolved: bool,
    /// What its bodies said, if it is a call of an API that is read
    /// ([`payload`](crate::payload)).
    pub payload: Option<Cow<'a, Box<Payload>>>,
}

impl Http2Details<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Http2Details<'static> {
        Http2Details {
            method: self.method.map(own),
            path: self.path.map(own),
            query: self.query.map(own),
            scheme: self.scheme.map(own),
            authority: self.authority.map(own),
            status: self.status,
            user_agent: self.user_agent.map(own),
            request_content_type: self.request_content_type.map(own),
            response_content_type: self.response_content_type.map(own),
            forwarded_for: self.forwarded_for.map(own),
            request_body_size: self.request_body_size,
            response_body_size: self.response_body_size,
            stream: self.stream,
            reset: self.reset,
            pushed: self.pushed,
            unresolved: self.unresolved,
            payload: self.payload.map(|payload| Cow::Owned(payload.into_owned())),
        }
    }
}

/// What only gRPC has: an exchange over HTTP/2 whose content type is `application/grpc`. Texts are cut at
/// [`Config::max_text`](crate::Config::max_text); bytes that are not UTF-8 are replaced. `None`: the field was not
/// sent, or, where [`unresolved`](GrpcDetails::unresolved) says so, is not known.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct GrpcDetails<'a> {
    /// Service and method, `package.Service/Method`. [`Exchange::operation`](crate::Exchange::operation) is the method
    /// alone, [`Exchange::target`](crate::Exchange::target) the service.
    pub method: Option<Cow<'a, str>>,
    /// `:scheme`.
    pub scheme: Option<Cow<'a, str>>,
    /// `:authority`, else `host`; without user and password.
    pub authority: Option<Cow<'a, str>>,
    /// How the call ended: `grpc-status`, or what the reset or the `:status` means that came in its place.
    pub status: Option<GrpcStatus>,
    /// `grpc-status` was sent.
    pub status_sent: bool,
    /// `grpc-message`, decoded; only with [`Config::error_text`](crate::Config::error_text), as
    /// it may hold data.
    pub message: Option<Cow<'a, str>>,
    /// `:status`.
    pub http_status: Option<u16>,
    /// `grpc-timeout` in nanoseconds.
    pub timeout: Option<u64>,
    /// `content-type` of the request.
    pub content_type: Option<Cow<'a, str>>,
    /// `grpc-encoding` of the request.
    pub request_encoding: Option<Cow<'a, str>>,
    /// `grpc-encoding` of the response.
    pub response_encoding: Option<Cow<'a, str>>,
    /// Messages from the client; `None` if some may have been lost.
    pub request_messages: Option<u64>,
    /// Messages from the server; `None` if some may have been lost.
    pub response_messages: Option<u64>,
    /// A message of the client was compressed.
    pub request_compressed: bool,
    /// A message of the server was compressed.
    pub response_compressed: bool,
    /// `user-agent`.
    pub user_agent: Option<Cow<'a, str>>,
    /// The first `x-forwarded-for` field.
    pub forwarded_for: Option<Cow<'a, str>>,
    /// The stream.
    pub stream: u32,
    /// The stream was reset before the response was whole.
    pub reset: Option<Reset>,
    /// Fields refer to a table of which a part was not seen: what is `None` may be one of them.
    pub unresolved: bool,
}

impl GrpcDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> GrpcDetails<'static> {
        GrpcDetails {
            method: self.method.map(own),
            scheme: self.scheme.map(own),
            authority: self.authority.map(own),
            status: self.status,
            status_sent: self.status_sent,
            message: self.message.map(own),
            http_status: self.http_status,
            timeout: self.timeout,
            content_type: self.content_type.map(own),
            request_encoding: self.request_encoding.map(own),
            response_encoding: self.response_encoding.map(own),
            request_messages: self.request_messages,
            response_messages: self.response_messages,
            request_compressed: self.request_compressed,
            response_compressed: self.response_compressed,
            user_agent: self.user_agent.map(own),
            forwarded_for: self.forwarded_for.map(own),
            stream: self.stream,
            reset: self.reset,
            unresolved: self.unresolved,
        }
    }
}
