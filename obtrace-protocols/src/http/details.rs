//! What an HTTP exchange has beyond the common fields.

use alloc::{borrow::Cow, boxed::Box};

use super::conceal::is_scheme;
use crate::{exchange::own, payload::Payload};

/// What only HTTP/1 has. Texts are cut at [`Config::max_text`](crate::Config::max_text); bytes that are not UTF-8 are
/// replaced.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HttpDetails<'a> {
    /// The method as sent: any token. [`Exchange::operation`](crate::Exchange::operation) is the same if the method
    /// is registered with IANA, else `_OTHER`.
    pub method: Cow<'a, str>,
    /// The request target as sent ([RFC 9112 §3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)), but for a `*` in
    /// place of each byte of what is secret: user and password, and parameters that are named like credentials.
    pub target: Cow<'a, str>,
    /// The path: no query, no authority. Empty for CONNECT.
    pub path: Cow<'a, str>,
    /// What is after the first `?`, credentials concealed as in `target`.
    pub query: Option<Cow<'a, str>>,
    /// The minor version of the request: 0 or 1.
    pub version: u8,
    /// The authority of an absolute target or of CONNECT, else the `Host` field; without user and password.
    pub host: Option<Cow<'a, str>>,
    /// The scheme of an absolute target, if it is a short word.
    pub scheme: Option<Cow<'a, str>>,
    /// The final status code.
    pub status: Option<u16>,
    /// `User-Agent`.
    pub user_agent: Option<Cow<'a, str>>,
    /// `Content-Type` of the request.
    pub request_content_type: Option<Cow<'a, str>>,
    /// `Content-Type` of the response.
    pub response_content_type: Option<Cow<'a, str>>,
    /// The first `X-Forwarded-For` field.
    pub forwarded_for: Option<Cow<'a, str>>,
    /// Bytes of the request's body on the wire, chunk framing included; `None` if there was none.
    pub request_body_size: Option<u64>,
    /// Bytes of the response's body on the wire, chunk framing included; `None` if there was none.
    pub response_body_size: Option<u64>,
    /// The protocol that the connection was given over to: `Upgrade` of a 101 response, `tunnel` after CONNECT.
    pub upgrade: Option<Cow<'a, str>>,
    /// What the bodies are about, where the request is a call of an API that is known
    /// ([`payload`](crate::payload)).
    pub payload: Option<Cow<'a, Box<Payload>>>,
}

impl HttpDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> HttpDetails<'static> {
        HttpDetails {
            method: own(self.method),
            target: own(self.target),
            path: own(self.path),
            query: self.query.map(own),
            version: self.version,
            host: self.host.map(own),
            scheme: self.scheme.map(own),
            status: self.status,
            user_agent: self.user_agent.map(own),
            request_content_type: self.request_content_type.map(own),
            response_content_type: self.response_content_type.map(own),
            forwarded_for: self.forwarded_for.map(own),
            request_body_size: self.request_body_size,
            response_body_size: self.response_body_size,
            upgrade: self.upgrade.map(own),
            payload: self.payload.map(|payload| Cow::Owned(payload.into_owned())),
        }
    }
}

/// The parts of a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) scheme: Option<&'a str>,
    pub(super) authority: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

/// Takes a target apart: origin-form, absolute-form, authority-form (CONNECT), asterisk-form.
pub(super) fn split_target(is_connect: bool, target: &str) -> Target<'_> {
    if is_connect {
        return Target { scheme: None, authority: target.rsplit('@').next(), path: "", query: None };
    }
    // Targets are short: a search in words costs more.
    let mark = target.bytes().position(|byte| byte == b'?');
    let (target, query) = match mark.and_then(|at| target.split_at_checked(at)) {
        Some((path, query)) => (path, query.get(1..)),
        None => (target, None),
    };
    let absolute = if target.starts_with('/') { None } else { target.split_once("://") };
    let Some((scheme, rest)) = absolute else {
        return Target { scheme: None, authority: None, path: target, query };
    };
    let slash = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(slash).unwrap_or((rest, ""));
    // What is before an @ is a user name and a password.
    let authority = authority.rsplit('@').next();
    let scheme = Some(scheme).filter(|scheme| is_scheme(scheme.as_bytes()));
    Target { scheme, authority, path: if path.is_empty() { "/" } else { path }, query }
}

/// The methods of the [IANA registry](https://www.iana.org/assignments/http-methods), and `QUERY` and `PURGE`, the
/// common ones first. `PRI` is left out: it begins HTTP/2.
const REGISTERED: [&str; 40] = [
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "QUERY",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

pub(super) fn is_registered(method: &[u8]) -> bool {
    REGISTERED.iter().any(|known| known.as_bytes() == method)
}

/// Whether a registered method ends so: what is left of one whose beginning was lost.
pub(super) fn ends_method(bytes: &[u8]) -> bool {
    REGISTERED.iter().any(|known| known.as_bytes().ends_with(bytes))
}

/// The method as a low-cardinality name: itself if it is registered, else `_OTHER`.
pub(crate) fn operation(method: &str) -> &str {
    if is_registered(method.as_bytes()) { method } else { "_OTHER" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let split = |method: &str, target: &'static str| {
            let Target { scheme, authority, path, query } = split_target(method == "CONNECT", target);
            [scheme, authority, Some(path), query]
        };
        assert_eq!(split("GET", "/a?b?c"), [None, None, Some("/a"), Some("b?c")]);
        assert_eq!(split("GET", "/a?u=http://x/"), [None, None, Some("/a"), Some("u=http://x/")]);
        assert_eq!(split("GET", "http://h:80/p?q"), [Some("http"), Some("h:80"), Some("/p"), Some("q")]);
        assert_eq!(split("GET", "http://u:pw@h"), [Some("http"), Some("h"), Some("/"), None]);
        assert_eq!(split("GET", "hunter2secret://h/p"), [None, Some("h"), Some("/p"), None]);
        assert_eq!(split("CONNECT", "h:443"), [None, Some("h:443"), Some(""), None]);
        assert_eq!(split("CONNECT", "u:pw@h:443"), [None, Some("h:443"), Some(""), None]);
        assert_eq!(split("OPTIONS", "*"), [None, None, Some("*"), None]);
    }

    #[test]
    fn unregistered_methods_have_one_name() {
        assert_eq!((operation("PROPFIND"), operation("get"), operation("X1")), ("PROPFIND", "_OTHER", "_OTHER"));
    }
}
