//! Query attributes of MySQL 8 (CLIENT_QUERY_ATTRIBUTES): named values in front of a statement or behind its
//! parameters. Of all of them only `traceparent` is read
//! ([COM_QUERY](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html)).

use super::packet::{number, text};
use crate::{TraceContext, reader::Reader};

const TRACEPARENT: &[u8] = b"traceparent";

/// Read of a command for what is in front of its text.
pub(super) const MAX_ATTRIBUTES: usize = 512;

/// The statement behind its attributes, as far as it was read, and the context among them. `None`: where the statement
/// begins was not read.
pub(super) fn split(body: &[u8]) -> (Option<&[u8]>, Option<TraceContext>) {
    // One set of them, or there are none: no text begins with two such bytes.
    match body {
        [0, 1, text @ ..] => return (Some(text), None),
        [1..=0xfa, 1, ..] => {}
        _ => return (Some(body), None),
    }
    let mut reader = Reader::new(body);
    let (Some(count), Some(1)) = (number(&mut reader), number(&mut reader)) else { return (Some(body), None) };
    match values(&mut reader, count) {
        Some(context) => (Some(reader.rest()), context),
        // A text that begins with a control character: types do not follow where they would.
        None if body.first().is_some_and(u8::is_ascii_whitespace) && !may_have_types(body, count) => (Some(body), None),
        // Attributes that were cut.
        None => (None, None),
    }
}

/// Whether a body says, or was cut before it could, that the types of so many attributes follow, one set of them.
fn may_have_types(body: &[u8], count: u64) -> bool {
    let nulls = usize::try_from(count.div_ceil(8)).unwrap_or(usize::MAX);
    body.get(nulls.saturating_add(2)).is_none_or(|&types| types == 1)
}

/// The context among the attributes of a COM_STMT_EXECUTE, from its flags on.
pub(super) fn of_execute(body: &[u8]) -> Option<TraceContext> {
    /// The number of parameters follows.
    const PARAMETER_COUNT_AVAILABLE: u8 = 8;
    let mut reader = Reader::new(body);
    if reader.u8()? & PARAMETER_COUNT_AVAILABLE == 0 {
        return None;
    }
    reader.take(4)?;
    let count = number(&mut reader)?;
    values(&mut reader, count)?
}

/// Passes over so many values with their types and names; the context among them. `None`: they are not what they
/// should be, or were cut.
fn values(reader: &mut Reader<'_>, count: u64) -> Option<Option<TraceContext>> {
    let count = usize::try_from(count).ok()?;
    let nulls = reader.take(count.checked_add(7)? / 8)?;
    // The types follow.
    if reader.u8()? != 1 {
        return None;
    }
    let mut types = *reader;
    for _ in 0..count {
        reader.take(2)?;
        text(reader)?;
    }
    let mut context = None;
    for at in 0..count {
        let kind = types.u8()?;
        types.u8()?;
        let name = text(&mut types)?;
        let is_null = nulls.get(at / 8).is_some_and(|bits| bits & 1 << (at % 8) != 0);
        if is_null {
            continue;
        }
        let value = value(reader, kind)?;
        if name.eq_ignore_ascii_case(TRACEPARENT) {
            context = TraceContext::parse(value).or(context);
        }
    }
    Some(context)
}

/// A value in the binary form of its type; of texts what they say.
fn value<'a>(reader: &mut Reader<'a>, kind: u8) -> Option<&'a [u8]> {
    match kind {
        6 => Some(&[]),
        1 => reader.take(1),
        2 | 13 => reader.take(2),
        3 | 4 | 9 => reader.take(4),
        5 | 8 => reader.take(8),
        7 | 10 | 11 | 12 => {
            let length = reader.u8()?;
            reader.take(usize::from(length))
        }
        _ => text(reader),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn attributes() -> alloc::vec::Vec<u8> {
        // `n`: 7 in one byte, `nil`: NULL, `traceparent`.
        let types: &[&[u8]] = &[b"\x01\0\x01n", b"\x06\0\x03nil", b"\xfe\0\x0btraceparent"];
        [b"\x03\x01\x02\x01", &types.concat()[..], b"\x07\x37", CONTEXT].concat()
    }

    #[test]
    fn the_context_is_found_among_others() {
        let body = [&attributes()[..], b"SELECT 1"].concat();
        let (text, context) = split(&body);
        assert_eq!(text, Some(&b"SELECT 1"[..]));
        assert_eq!(context, TraceContext::parse(CONTEXT));
        assert!(context.is_some());
    }

    #[test]
    fn attributes_that_are_cut_are_no_text() {
        let body = attributes();
        for end in 2..body.len() {
            assert_eq!(split(body.get(..end).unwrap_or_default()), (None, None), "{end}");
        }
        assert_eq!(split(b"\n\x01SELECT 1"), (Some(&b"\n\x01SELECT 1"[..]), None));
        // Ten of them: a number that is a line feed.
        let types = b"\xfe\0\x01a".repeat(10);
        let body = [b"\n\x01\0\0\x01", &types[..], &b"\x07hunter2".repeat(10), b"SELECT 1"].concat();
        assert_eq!(split(&body), (Some(&b"SELECT 1"[..]), None));
        for end in 2..body.len().saturating_sub(b"SELECT 1".len()) {
            assert_eq!(split(body.get(..end).unwrap_or_default()), (None, None), "{end}");
        }
        assert_eq!(split(b"\0\x01SELECT 1"), (Some(&b"SELECT 1"[..]), None));
        assert_eq!(split(b"SELECT 1"), (Some(&b"SELECT 1"[..]), None));
    }
}
