//! HTTP.

use obtrace_export::model::{Span, Text, Value};
use obtrace_protocols::{Role, http::HttpDetails};

use super::{Input, Templates, payload, push_count, push_text, query};

pub(super) fn describe(input: &Input<'_>, details: &HttpDetails<'_>, names: &mut Templates, span: &mut Span) {
    let version = if details.version == 0 { const { Text::constant("1.0") } } else { const { Text::constant("1.1") } };
    describe_version(input, details, version, names, span);
}

/// What all versions have alike. A path that is empty although there is an authority, of what is no tunnel, is not
/// known: then there is no URL.
pub(super) fn describe_version(
    input: &Input<'_>,
    details: &HttpDetails<'_>,
    version: Text,
    names: &mut Templates,
    span: &mut Span,
) {
    let settings = input.settings;
    let method = &*input.exchange.operation;
    span.name = name(input, details, names, span);
    span.push(key!("http.request.method"), Text::copied(method));
    if method == "_OTHER" {
        push_text(span, key!("http.request.method_original"), &details.method);
    }
    let scheme = details.scheme.as_deref().unwrap_or("http");
    push_text(span, key!("url.path"), &details.path);
    let query = details.query.as_deref().filter(|query| settings.url_query && !query.is_empty());
    let query = query.map(|text| query::scrub(text, &settings.sensitive_parameters));
    if let Some(query) = &query {
        push_text(span, key!("url.query"), query);
    }
    match scheme {
        "http" => span.push(key!("url.scheme"), const { Text::constant("http") }),
        "https" => span.push(key!("url.scheme"), const { Text::constant("https") }),
        _ => push_text(span, key!("url.scheme"), scheme),
    }
    let (host, port) = details.host.as_deref().map_or((None, None), split_host);
    let is_known = !details.path.is_empty() || method == "CONNECT";
    if let (Role::Client, Some(authority), true) = (input.exchange.role, details.host.as_deref(), is_known) {
        let (mark, query) = query.as_deref().map_or(("", ""), |query| ("?", query));
        span.push(key!("url.full"), Text::concat(&[scheme, "://", authority, &details.path, mark, query]));
    }
    match host {
        Some(host) => {
            push_text(span, key!("server.address"), host);
            let default = if scheme == "https" { 443 } else { 80 };
            let port = port.or(input.server().port).unwrap_or(default);
            span.push(key!("server.port"), i64::from(port));
        }
        None => input.push_server(span),
    }
    client(input, details, span);
    span.push(key!("network.protocol.version"), version);
    if let Some(status) = details.status {
        span.push(key!("http.response.status_code"), i64::from(status));
    }
    if let Some(agent) = &details.user_agent {
        push_text(span, key!("user_agent.original"), agent);
    }
    if let Some(size) = details.request_body_size {
        push_count(span, key!("http.request.body.size"), size);
    }
    if let Some(size) = details.response_body_size {
        push_count(span, key!("http.response.body.size"), size);
    }
    if let Some(payload) = &details.payload {
        payload::describe(input, payload, span);
    }
}

/// `GET /users/{id}`; the method alone where there is no path of low cardinality.
fn name(input: &Input<'_>, details: &HttpDetails<'_>, names: &mut Templates, span: &Span) -> Text {
    let method = if input.exchange.operation == "_OTHER" { "HTTP" } else { &*input.exchange.operation };
    let service = match span.resource.get("service.name") {
        Some(Value::Str(name)) => name,
        _ => "",
    };
    let path = details.path.as_ref();
    match names.of(service, path, input.settings.max_names).filter(|_| !path.is_empty()) {
        Some(template) => Text::concat(&[method, " ", &template]),
        None => Text::copied(method),
    }
}

/// The client behind the proxies, else the peer.
fn client(input: &Input<'_>, details: &HttpDetails<'_>, span: &mut Span) {
    if input.exchange.role != Role::Server {
        return;
    }
    let forwarded = details.forwarded_for.as_deref().and_then(|list| list.split(',').next()).map(str::trim);
    match forwarded.filter(|address| !address.is_empty()) {
        Some(address) => push_text(span, key!("client.address"), address),
        None => input.remote.push(span, key!("client.address"), key!("client.port")),
    }
}

/// `host:port`, `[v6]:port`, or without a port.
pub(super) fn split_host(authority: &str) -> (Option<&str>, Option<u16>) {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or((rest, ""), |(host, port)| (host, port)),
        None => authority.split_at(authority.bytes().position(|byte| byte == b':').unwrap_or(authority.len())),
    };
    let port = port.strip_prefix(':').and_then(|port| port.parse().ok());
    ((!host.is_empty()).then_some(host), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_a_port() {
        assert_eq!(split_host("a.example:8080"), (Some("a.example"), Some(8080)));
        assert_eq!(split_host("a.example"), (Some("a.example"), None));
        assert_eq!(split_host("[::1]:80"), (Some("::1"), Some(80)));
        assert_eq!(split_host("[::1]"), (Some("::1"), None));
        assert_eq!(split_host(":80"), (None, Some(80)));
        assert_eq!(split_host("a:x"), (Some("a"), None));
    }
}
