//! The static table ([RFC 7541 Appendix A](https://www.rfc-editor.org/rfc/rfc7541#appendix-A)), and the names that the
//! parser asks for.

/// Fields that somebody reads, and all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(in super::super) enum Name {
    /// Known, and nobody reads it.
    #[default]
    Other,
    /// It stands in a part of the table that was not seen.
    Unknown,
    Authority,
    ContentEncoding,
    ContentLength,
    ContentType,
    ForwardedFor,
    GrpcEncoding,
    GrpcMessage,
    GrpcStatus,
    GrpcTimeout,
    Host,
    Method,
    Path,
    Scheme,
    Status,
    TraceParent,
    UserAgent,
}

impl Name {
    /// The name of a field that was written out.
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b":authority" => Self::Authority,
            b"content-encoding" => Self::ContentEncoding,
            b"content-length" => Self::ContentLength,
            b"content-type" => Self::ContentType,
            b"x-forwarded-for" => Self::ForwardedFor,
            b"grpc-encoding" => Self::GrpcEncoding,
            b"grpc-message" => Self::GrpcMessage,
            b"grpc-status" => Self::GrpcStatus,
            b"grpc-timeout" => Self::GrpcTimeout,
            b"host" => Self::Host,
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":scheme" => Self::Scheme,
            b":status" => Self::Status,
            b"traceparent" => Self::TraceParent,
            b"user-agent" => Self::UserAgent,
            _ => Self::Other,
        }
    }

    /// Longest name of those that are read.
    pub(super) const LONGEST: usize = 16;
}

/// A line of the table.
pub(super) struct Line {
    pub(super) text: &'static str,
    pub(super) value: &'static str,
    pub(super) name: Name,
}

/// The line of an index from 1 on.
#[inline]
pub(super) fn line(index: usize) -> Option<&'static Line> {
    LINES.get(index.checked_sub(1)?)
}

const fn known(name: Name, text: &'static str, value: &'static str) -> Line {
    Line { text, value, name }
}

const fn other(text: &'static str, value: &'static str) -> Line {
    Line { text, value, name: Name::Other }
}

pub(super) const COUNT: usize = 61;

static LINES: [Line; COUNT] = [
    known(Name::Authority, ":authority", ""),
    known(Name::Method, ":method", "GET"),
    known(Name::Method, ":method", "POST"),
    known(Name::Path, ":path", "/"),
    known(Name::Path, ":path", "/index.html"),
    known(Name::Scheme, ":scheme", "http"),
    known(Name::Scheme, ":scheme", "https"),
    known(Name::Status, ":status", "200"),
    known(Name::Status, ":status", "204"),
    known(Name::Status, ":status", "206"),
    known(Name::Status, ":status", "304"),
    known(Name::Status, ":status", "400"),
    known(Name::Status, ":status", "404"),
    known(Name::Status, ":status", "500"),
    other("accept-charset", ""),
    other("accept-encoding", "gzip, deflate"),
    other("accept-language", ""),
    other("accept-ranges", ""),
    other("accept", ""),
    other("access-control-allow-origin", ""),
    other("age", ""),
    other("allow", ""),
    other("authorization", ""),
    other("cache-control", ""),
    other("content-disposition", ""),
    known(Name::ContentEncoding, "content-encoding", ""),
    other("content-language", ""),
    known(Name::ContentLength, "content-length", ""),
    other("content-location", ""),
    other("content-range", ""),
    known(Name::ContentType, "content-type", ""),
    other("cookie", ""),
    other("date", ""),
    other("etag", ""),
    other("expect", ""),
    other("expires", ""),
    other("from", ""),
    known(Name::Host, "host", ""),
    other("if-match", ""),
    other("if-modified-since", ""),
    other("if-none-match", ""),
    other("if-range", ""),
    other("if-unmodified-since", ""),
    other("last-modified", ""),
    other("link", ""),
    other("location", ""),
    other("max-forwards", ""),
    other("proxy-authenticate", ""),
    other("proxy-authorization", ""),
    other("range", ""),
    other("referer", ""),
    other("refresh", ""),
    other("retry-after", ""),
    other("server", ""),
    other("set-cookie", ""),
    other("strict-transport-security", ""),
    other("transfer-encoding", ""),
    known(Name::UserAgent, "user-agent", ""),
    other("vary", ""),
    other("via", ""),
    other("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_the_name_that_its_text_has() {
        for line in &LINES {
            assert_eq!(Name::of(line.text.as_bytes()), line.name, "{}", line.text);
        }
        assert_eq!(line(0).map(|line| line.text), None);
        assert_eq!(line(1).map(|line| line.text), Some(":authority"));
        assert_eq!(line(61).map(|line| line.text), Some("www-authenticate"));
        assert!(line(62).is_none());
        assert_eq!(b"content-encoding".len(), Name::LONGEST);
    }
}
