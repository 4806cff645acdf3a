//! FastCGI: told as the HTTP request that the application answers.

use obtrace_export::model::Span;
use obtrace_protocols::{Role, fastcgi::FastCgiDetails, http::HttpDetails};

use super::{Input, Templates, http, push_text};

pub(super) fn describe(input: &Input<'_>, details: &FastCgiDetails<'_>, names: &mut Templates, span: &mut Span) {
    let mut told = details.http.clone();
    // Who asks the web server: nearer to the user than the web server is.
    if told.forwarded_for.is_none() && input.exchange.role == Role::Server {
        told.forwarded_for.clone_from(&details.remote_address);
    }
    http::describe(input, &told, names, span);
    // The version that is known is that of the user's request; on this connection another protocol is spoken.
    let version = key!("network.protocol.version");
    span.attributes.retain(|attribute| attribute.key != version);
    push_text(span, key!("network.protocol.name"), "fastcgi");
    if told.scheme.is_none() {
        let (scheme, url) = (key!("url.scheme"), key!("url.full"));
        span.attributes.retain(|attribute| attribute.key != scheme && attribute.key != url);
    }
    describe_address(&told, span);
}

/// The host that is named is that of the user's request: the port of this connection is not its. Its scheme is told only
/// by the parameters.
fn describe_address(told: &HttpDetails<'_>, span: &mut Span) {
    let (Some(_), port) = told.host.as_deref().map_or((None, None), http::split_host) else { return };
    let default = match told.scheme.as_deref() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    };
    let key = key!("server.port");
    span.attributes.retain(|attribute| attribute.key != key);
    if let Some(port) = port.or(default) {
        span.push(key, i64::from(port));
    }
}
