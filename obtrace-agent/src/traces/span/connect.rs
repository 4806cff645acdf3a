//! Connections that could not be opened.

use std::sync::Arc;

use obtrace_export::model::{Resource, Scope, Span, SpanKind, Status, Text};

use super::{Address, FailedConnect, SpanContext, Transport};

pub(in crate::traces) fn failed_connect(
    failed: &FailedConnect,
    context: SpanContext,
    resource: &Arc<Resource>,
    scope: &Arc<Scope>,
) -> Span {
    let mut span =
        Span::new(context.trace_id, context.span_id, "connect", SpanKind::Client, resource.clone(), scope.clone());
    let remote = failed.remote.map(Address::from).unwrap_or_default();
    remote.push(&mut span, key!("server.address"), key!("server.port"));
    remote.push(&mut span, key!("network.peer.address"), key!("network.peer.port"));
    span.push(key!("network.transport"), failed.transport.name());
    let (name, text) = errno(failed.errno);
    let name = name.map_or_else(|| format!("errno_{}", failed.errno).into(), Text::constant);
    span.push(key!("error.type"), name);
    span.status = Status::Error { description: text.into() };
    span
}

impl Transport {
    /// The value of `network.transport`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
        }
    }
}

/// The name and the text of an error that `connect(2)` can end in on Linux (asm-generic/errno.h).
const fn errno(number: u32) -> (Option<&'static str>, &'static str) {
    let (name, text) = match number {
        1 => ("EPERM", "Operation not permitted"),
        2 => ("ENOENT", "No such file or directory"),
        4 => ("EINTR", "Interrupted system call"),
        11 => ("EAGAIN", "Resource temporarily unavailable"),
        13 => ("EACCES", "Permission denied"),
        22 => ("EINVAL", "Invalid argument"),
        91 => ("EPROTOTYPE", "Protocol wrong type for socket"),
        97 => ("EAFNOSUPPORT", "Address family not supported by protocol"),
        98 => ("EADDRINUSE", "Address already in use"),
        99 => ("EADDRNOTAVAIL", "Cannot assign requested address"),
        100 => ("ENETDOWN", "Network is down"),
        101 => ("ENETUNREACH", "Network is unreachable"),
        102 => ("ENETRESET", "Network dropped connection on reset"),
        103 => ("ECONNABORTED", "Software caused connection abort"),
        104 => ("ECONNRESET", "Connection reset by peer"),
        106 => ("EISCONN", "Transport endpoint is already connected"),
        110 => ("ETIMEDOUT", "Connection timed out"),
        111 => ("ECONNREFUSED", "Connection refused"),
        112 => ("EHOSTDOWN", "Host is down"),
        113 => ("EHOSTUNREACH", "No route to host"),
        _ => return (None, "Connection failed"),
    };
    (Some(name), text)
}
