//! What a FastCGI exchange has beyond the common fields.

use alloc::borrow::Cow;

use super::{
    call::Call,
    record::{ApplicationRole, ProtocolStatus},
};
use crate::{Details, Exchange, Protocol, Role, exchange::own, http, http::HttpDetails};

/// What only FastCGI has.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FastCgiDetails<'a> {
    /// The HTTP request that the application is asked to answer, as the parameters tell of it, and the answer. Bodies
    /// are counted without the records that they come in; without a status of its own an answer has 200, or 302 if it
    /// names a place to go to ([RFC 3875 §6](https://www.rfc-editor.org/rfc/rfc3875#section-6)).
    pub http: HttpDetails<'a>,
    /// The client of the web server: `REMOTE_ADDR`.
    pub remote_address: Option<Cow<'a, str>>,
    /// The number by which the records of the request are told from others of the connection.
    pub request_id: u16,
    /// What the application is asked to be.
    pub role: ApplicationRole,
    /// Whether the connection stays open after the request.
    pub keeps_connection: bool,
    /// Bytes that the application wrote to its error output.
    pub stderr_size: u64,
    /// The exit status of the application.
    pub app_status: Option<u32>,
    /// How the application dealt with the request.
    pub protocol_status: Option<ProtocolStatus>,
    /// The web server asked the application to stop.
    pub aborted: bool,
}

impl FastCgiDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> FastCgiDetails<'static> {
        FastCgiDetails {
            http: self.http.into_owned(),
            remote_address: self.remote_address.map(own),
            request_id: self.request_id,
            role: self.role,
            keeps_connection: self.keeps_connection,
            stderr_size: self.stderr_size,
            app_status: self.app_status,
            protocol_status: self.protocol_status,
            aborted: self.aborted,
        }
    }
}

pub(super) fn exchange(call: &Call, role: Role) -> Exchange<'_> {
    let asked = &call.asked;
    let text = |span: Option<_>| span.map(|span| Cow::Borrowed(call.get(span)));
    let method = asked.method.map_or("", |span| call.get(span));
    let target = asked.uri.map_or("", |span| call.get(span));
    // An absolute target has the authority in front.
    let origin = target
        .split_once("://")
        .map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| rest.get(at..).unwrap_or_default()));
    let (path, query) = origin.split_once('?').map_or((origin, None), |(path, query)| (path, Some(query)));
    let path = if path.is_empty() {
        // What the server made of it is better than nothing.
        asked.script.or(asked.path_info).map_or("", |span| call.get(span))
    } else {
        path
    };
    let has_answered = call.response.is_some();
    Exchange {
        id: call.id,
        protocol: Protocol::FastCgi,
        role,
        operation: Cow::Borrowed(http::operation(method)),
        target: Cow::Borrowed(path),
        error: text(call.reason),
        request: call.request,
        response: call.response,
        completeness: call.completeness,
        details: Details::FastCgi(FastCgiDetails {
            http: HttpDetails {
                method: Cow::Borrowed(method),
                target: Cow::Borrowed(target),
                path: Cow::Borrowed(path),
                query: query.map(Cow::Borrowed).or_else(|| text(asked.query)),
                version: u8::from(!asked.is_http_1_0),
                host: text(asked.host.or(asked.server_name)),
                scheme: text(asked.scheme).or(asked.is_https.then_some(Cow::Borrowed("https"))),
                status: call.head.status(),
                user_agent: text(asked.user_agent),
                request_content_type: text(asked.content_type),
                response_content_type: text(call.response_type),
                forwarded_for: text(asked.forwarded_for),
                request_body_size: (call.stdin > 0).then_some(call.stdin),
                response_body_size: (has_answered && call.head.is_done).then_some(call.stdout),
                ..HttpDetails::default()
            },
            remote_address: text(asked.remote),
            request_id: call.request_id,
            role: call.role,
            keeps_connection: call.keeps_connection,
            stderr_size: call.stderr,
            app_status: call.app_status,
            protocol_status: call.protocol_status,
            aborted: call.progress.is_aborted,
        }),
    }
}
