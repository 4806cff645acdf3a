//! Finds the next start line after bytes were lost or made no sense.

use super::{
    details::{ends_method, is_registered},
    head::{MAX_METHOD, may_be_status_line, request_line, status_line, version},
    scan::LineEnds,
};
use crate::parser::Side;

/// How far the search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Search {
    /// Bytes from the front that hold no start line.
    pub(super) start: usize,
    /// Of the bytes after them, how many hold no line end.
    pub(super) scanned: usize,
    /// They begin with a start line.
    pub(super) whole: bool,
}

/// Looks through `bytes`. A start line may follow the last byte of a body, so that it need not begin a line. One
/// longer than `limit` is found only where it does. `torn`: the first line may have begun before the first byte.
pub(super) fn find(side: Side, bytes: &[u8], scanned: usize, limit: usize, torn: bool) -> Search {
    let mut start = 0_usize;
    for end in LineEnds::new(bytes, scanned) {
        let line = bytes.get(start..end).unwrap_or_default();
        if let Some(inside) = start_line(side, line, torn && start == 0) {
            return Search { start: start.saturating_add(inside), scanned: 0, whole: true };
        }
        start = end.saturating_add(1);
    }
    let rest = bytes.get(start..).unwrap_or_default();
    if rest.len() > limit {
        let begins = may_begin(side, rest);
        start = if begins { start } else { bytes.len().saturating_sub(limit / 2) };
        return Search { start, scanned: if begins { 0 } else { limit / 2 }, whole: begins };
    }
    Search { start, scanned: rest.len(), whole: false }
}

/// Where in a line a start line begins that ends with it. Stricter than what is read in its place. In a torn line the
/// method may be the end of one.
fn start_line(side: Side, line: &[u8], torn: bool) -> Option<usize> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match side {
        Side::Server => {
            let at = line.windows(7).position(|window| window == b"HTTP/1.")?;
            status_line(line.get(at..)?).map(|_| at)
        }
        Side::Client => {
            let known = request_line(line).or_else(|| {
                let space = line.iter().position(|&byte| byte == b' ')?;
                let method = line.get(..space)?.iter().rev().take_while(|&&byte| is_capital(byte)).count();
                request_line(line.get(space.checked_sub(method)?..)?)
            });
            let (_, target, _) = known.or_else(|| behind_json(line))?;
            let after = line.len().checked_sub(" HTTP/1.1".len().saturating_add(target.len()))?;
            let before = line.get(..after.checked_sub(1)?)?;
            let capitals = before.iter().rev().take(MAX_METHOD).take_while(|&&byte| is_capital(byte)).count();
            let run = before.get(before.len().checked_sub(capitals)?..)?;
            let form =
                matches!(target, [b'/', ..] | [b'*'] | [b'h' | b'H', b't' | b'T', ..]) || run.ends_with(b"CONNECT");
            if !form || target.contains(&b' ') || capitals == 0 {
                return None;
            }
            // Capitals that end a body may touch the method.
            let known = (0..run.len()).find(|&from| run.get(from..).is_some_and(is_registered));
            match known {
                Some(from) => before.len().checked_sub(run.len().checked_sub(from)?),
                None => (capitals == before.len() && !(torn && ends_method(run))).then_some(0),
            }
        }
    }
}

/// The request line that follows a JSON document in its line, whatever spaces there are in the document.
fn behind_json(line: &[u8]) -> Option<(&str, &[u8], u8)> {
    let (front, _) = version(line)?;
    let space = front.iter().rposition(|&byte| byte == b' ')?;
    let before = front.get(..space)?;
    let method = before.iter().rev().take(MAX_METHOD).take_while(|&&byte| is_capital(byte)).count();
    let start = before.len().checked_sub(method)?;
    let behind = matches!(line.get(start.checked_sub(1)?)?, b'}' | b']') && method > 0;
    behind.then(|| request_line(line.get(start..)?)).flatten()
}

fn may_begin(side: Side, line: &[u8]) -> bool {
    match side {
        Side::Server => may_be_status_line(line),
        Side::Client => {
            let capitals = line.iter().take(MAX_METHOD).take_while(|&&byte| is_capital(byte)).count();
            capitals > 0 && line.get(capitals..).is_some_and(|rest| matches!(rest, [b' ', b'/' | b'h' | b'H', ..]))
        }
    }
}

const fn is_capital(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_start_lines_that_begin_a_line_or_follow_a_body() {
        let client = |line: &str| start_line(Side::Client, line.as_bytes(), false);
        assert_eq!(client("GET / HTTP/1.1\r"), Some(0));
        assert_eq!(client("MYOWN /a HTTP/1.0"), Some(0));
        assert_eq!(client("{\"a\": \"b\"}GET /next HTTP/1.1\r"), Some(10));
        assert_eq!(client("[1, {\"a\": 2}]POST /next?x HTTP/1.1\r"), Some(13));
        assert_eq!(client("{\"a\": \"b\"} GET /next HTTP/1.1\r"), None);
        assert_eq!(client("{\"a\": \"b\"}MYOWN /next HTTP/1.1\r"), None);
        assert_eq!(client("{\"a\":\"b\"}GET /next HTTP/1.1\r"), Some(9));
        assert_eq!(client("ABCPOST /next HTTP/1.1"), Some(3));
        assert_eq!(client("see GET /a HTTP/1.1"), None);
        assert_eq!(client("xMYOWN /a HTTP/1.1"), None);
        assert_eq!(client("get / HTTP/1.1"), None);
        assert_eq!(start_line(Side::Client, b"ET /a HTTP/1.1", true), None);
        assert_eq!(start_line(Side::Client, b"GET /a HTTP/1.1", true), Some(0));
        let server = |line: &str| start_line(Side::Server, line.as_bytes(), false);
        assert_eq!(server("</html>HTTP/1.1 200 OK\r"), Some(7));
        assert_eq!(server("HTTP/1.1 2000 OK"), None);
    }

    #[test]
    fn goes_on_where_it_stopped() {
        let found = find(Side::Server, b"x\nHTTP/1.", 0, 100, false);
        assert_eq!(found, Search { start: 2, scanned: 7, whole: false });
        let found = find(Side::Client, b"rest\r\nGET /yes HTTP/1.1\r\n", 0, 100, false);
        assert_eq!(found, Search { start: 6, scanned: 0, whole: true });
        let found = find(Side::Client, &[b'x'; 101], 0, 100, false);
        assert_eq!(found, Search { start: 51, scanned: 50, whole: false });
    }
}
