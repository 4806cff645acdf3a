//! Is it HTTP/1? A request line that ends in its version, or a status line: nothing else begins so.

use super::{
    head::{blank, may_be_status_line, method, request_line, status_line},
    scan::LineEnds,
};
use crate::detect::Verdict;

/// A request line may be this long before its version decides; after that the method and the target do.
const MAX_UNDECIDED: usize = 2048;

pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    match (request(client), response(server)) {
        (Verdict::Yes, _) | (_, Verdict::Yes) => Verdict::Yes,
        (Verdict::Maybe, Verdict::Maybe) => Verdict::Maybe,
        (Verdict::Maybe, _) if server.is_empty() => Verdict::Maybe,
        (_, Verdict::Maybe) if client.is_empty() => Verdict::Maybe,
        _ => Verdict::No,
    }
}

fn request(bytes: &[u8]) -> Verdict {
    let bytes = bytes.get(blank(bytes)..).unwrap_or_default();
    // The method first: of most other bytes that is all that is looked at.
    let Some((_, rest)) = method(bytes).filter(|(name, _)| capitals(name)) else { return Verdict::No };
    if let Some(end) = line_end(bytes) {
        let line = bytes.get(..end).unwrap_or_default();
        return if request_line(line).is_some() { Verdict::Yes } else { Verdict::No };
    }
    match rest {
        Some([b'/', ..]) if bytes.len() >= MAX_UNDECIDED => Verdict::Yes,
        Some(_) if bytes.len() >= MAX_UNDECIDED => Verdict::No,
        _ => Verdict::Maybe,
    }
}

/// Where the first line ends, if that is decided by then.
fn line_end(bytes: &[u8]) -> Option<usize> {
    LineEnds::new(bytes.get(..MAX_UNDECIDED).unwrap_or(bytes), 0).next()
}

fn capitals(method: &str) -> bool {
    method.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'))
}

fn response(bytes: &[u8]) -> Verdict {
    let bytes = bytes.get(blank(bytes)..).unwrap_or_default();
    if !may_be_status_line(bytes) {
        return Verdict::No;
    }
    match line_end(bytes) {
        Some(end) => {
            let line = bytes.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if status_line(line).is_some() { Verdict::Yes } else { Verdict::No }
        }
        None if bytes.len() > 13 => Verdict::Yes,
        None => Verdict::Maybe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        assert_eq!(matches(b"GET / HTTP/1.1\r\n", b""), Verdict::Yes);
        assert_eq!(matches(b"\r\nM-SEARCH * HTTP/1.1\r\n", b""), Verdict::Yes);
        assert_eq!(matches(b"", b"HTTP/1.0 200 OK"), Verdict::Yes);
        assert_eq!(matches(b"middle of a body", b"HTTP/1.1 200\r\n"), Verdict::Yes);
        for maybe in [&b"G"[..], b"GET", b"GET /", b"GET / HTTP/1.1", b"\r\n"] {
            assert_eq!(matches(maybe, b""), Verdict::Maybe, "{maybe:?}");
        }
        for no in
            [&b"PING\r\n"[..], b"SET a b\r\n", b"*1\r\n", b"\0\0\0\x08", b"GET / HTTP/2.0\r\n", b"get / HTTP/1.1\r\n"]
        {
            assert_eq!(matches(no, b""), Verdict::No, "{no:?}");
        }
        assert_eq!(matches(b"", b"HTTP/2 200\r\n"), Verdict::No);
    }

    #[test]
    fn what_begins_no_method_is_not_searched() {
        let looked = |bytes: &[u8]| {
            crate::scan::looked::take();
            matches(bytes, b"");
            crate::scan::looked::take()
        };
        assert_eq!(looked(&[b'x'; 2048]), 0);
        assert_eq!(looked(&[0x32; 2048]), 0);
        assert!((2048..=2048 + 64).contains(&looked(&[b"GET /", &[b'x'; 4096][..]].concat())));
    }
}
