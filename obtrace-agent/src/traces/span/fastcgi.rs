//! FastCGI: told as the HTTP request that the application answers.

use obtrace_export::model::Span;
use obtrace_protocols::{Role, fastcgi::FastCgiDetails};

use super::{Input, Templates, http, push_text};

pub(super) fn describe(input: &Input<'_>, details: &FastCgiDetails<'_>, names: &mut Templates, span: &mut Span) {
    let mut told = details.http.clone();
    // Who asks the web server: nearer to the user than the web server is.
    if told.forwarded_for.is_none() && input.exchange.role == Role::Server {
        told.forwarded_for.clone_from(&details.remote_address);
    }
    http::describe(input, &told, names, span);
    // The version that is known is that of the user's request; on this connection another protocol is spoken.
    let (version, name) = (key!("network.protocol.version"), key!("network.protocol.name"));
    span.attributes.retain(|attribute| attribute.key != version);
    push_text(span, name, "fastcgi");
}
