//! Do these bytes look like a chain of messages? Asked when a connection was joined in the middle, and after a gap.
//!
//! Strict: a message counts only if its body has the structure that its tag says. That is dear, and done only there.

use super::{
    frame::{HEAD, Head},
    frontend::Startup,
};
use crate::{
    detect::Verdict,
    reader::Reader,
    sql::{Dialect, begins_statement, is_statement},
};

/// How far the bytes agree with a chain of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    /// They do not.
    Broken,
    /// They do, and there are too few of them.
    Open,
    /// They do, are few, and end with a message. Enough where messages are known to be.
    Ended,
    /// They do, with enough evidence.
    Sure,
}

/// What one message says for the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Wrong,
    /// It has the right structure, as many others would.
    Weak,
    /// Its structure is rare.
    Good,
    /// Nothing else looks like this.
    Strong,
}

/// Messages looked at from one place.
const MAX_CHAIN: usize = 8;
/// Bytes of an undecided end that are kept while a boundary is searched for.
const MAX_UNDECIDED: usize = 4 * 1024;
/// A message on its own is not longer than this where it is the only evidence.
const MAX_ALONE: usize = 1 << 24;

pub(super) const fn is_frontend(head: Head) -> bool {
    match head.tag {
        b'S' | b'H' | b'c' | b'X' => head.size == HEAD,
        b'Q' | b'P' | b'B' | b'E' | b'D' | b'C' | b'F' | b'd' | b'f' | b'p' => {
            head.size > HEAD || head.tag == b'd' && head.size == HEAD
        }
        _ => false,
    }
}

pub(super) const fn is_backend(head: Head) -> bool {
    match head.tag {
        b'1' | b'2' | b'3' | b'n' | b's' | b'I' | b'c' => head.size == HEAD,
        b'Z' => head.size == 6,
        b'R' | b'v' | b'V' => head.size >= 9,
        b'K' => head.size >= 13 && head.size <= 265,
        b'D' | b'T' | b't' => head.size >= 7,
        b'C' | b'E' | b'N' | b'S' => head.size > HEAD,
        b'A' => head.size >= 11,
        b'G' | b'H' | b'W' => head.size >= 8,
        b'd' => head.size >= HEAD,
        _ => false,
    }
}

pub(super) fn frontend(bytes: &[u8]) -> Chain {
    chain(bytes, is_frontend, frontend_shape)
}

pub(super) fn backend(bytes: &[u8]) -> Chain {
    chain(bytes, is_backend, backend_shape)
}

fn chain(mut bytes: &[u8], is_head: fn(Head) -> bool, shape: fn(u8, &[u8], bool) -> Shape) -> Chain {
    let mut evidence = 0_u32;
    for _ in 0..MAX_CHAIN {
        if bytes.is_empty() && evidence == 1 {
            return Chain::Ended;
        }
        let Some(head) = Head::read(bytes) else {
            let plausible = bytes
                .first()
                .is_none_or(|&tag| is_head(Head { tag, size: HEAD }) || is_head(Head { tag, size: 32 }) || tag == b'Z');
            return if !plausible {
                Chain::Broken
            } else if evidence >= 2 {
                Chain::Sure
            } else {
                Chain::Open
            };
        };
        if head.size < HEAD || !is_head(head) {
            return Chain::Broken;
        }
        let whole = bytes.len() >= head.size;
        let body = bytes.get(HEAD..head.size.min(bytes.len())).unwrap_or_default();
        match shape(head.tag, body, whole) {
            Shape::Wrong => return Chain::Broken,
            Shape::Weak if whole || head.size <= MAX_ALONE => {}
            Shape::Weak => return Chain::Broken,
            Shape::Good => evidence = evidence.saturating_add(1),
            Shape::Strong => evidence = evidence.saturating_add(2),
        }
        if !whole {
            break;
        }
        bytes = bytes.get(head.size..).unwrap_or_default();
        if evidence >= 4 {
            break;
        }
    }
    if evidence >= 2 { Chain::Sure } else { Chain::Open }
}

/// No control characters but white space.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r'))
}

/// A zero-terminated text in front; `None` if it is not terminated.
fn c_str<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    reader.c_str()
}

fn frontend_shape(tag: u8, body: &[u8], whole: bool) -> Shape {
    let mut reader = Reader::new(body);
    if !whole {
        // Only texts can be judged by their beginning.
        let text = match tag {
            b'Q' => body,
            b'P' => {
                if c_str(&mut reader).is_none() {
                    return Shape::Weak;
                }
                reader.rest()
            }
            b'B' | b'd' | b'F' | b'p' | b'f' => return Shape::Weak,
            b'D' | b'C' if matches!(body.first(), None | Some(b'S' | b'P')) => return Shape::Weak,
            b'E' => return Shape::Weak,
            _ => return Shape::Wrong,
        };
        return match text.len() {
            0..=15 => Shape::Weak,
            _ if text.contains(&0) => Shape::Weak,
            _ if begins_statement(text, Dialect::Postgres) => Shape::Strong,
            // Its end may still make it a message, as it does where all of it comes at once.
            _ if tag == b'P' || is_text(text) => Shape::Weak,
            _ => Shape::Wrong,
        };
    }
    let judged = match tag {
        b'Q' => c_str(&mut reader)
            .filter(|text| reader.is_empty() && is_text(text))
            .map(|text| if is_statement(text, Dialect::Postgres) { Shape::Strong } else { Shape::Good }),
        b'P' => parse_shape(reader),
        b'B' => bind_shape(reader).map(|()| Shape::Good),
        b'D' | b'C' => match reader.u8() {
            Some(b'S' | b'P') => c_str(&mut reader).filter(|_| reader.is_empty()).map(|_| Shape::Good),
            _ => None,
        },
        b'E' => c_str(&mut reader).and_then(|_| reader.take(4)).filter(|_| reader.is_empty()).map(|_| Shape::Good),
        b'S' | b'H' | b'c' | b'X' => Some(Shape::Good),
        b'f' => c_str(&mut reader).filter(|_| reader.is_empty()).map(|_| Shape::Good),
        b'F' | b'p' | b'd' => Some(Shape::Weak),
        _ => None,
    };
    judged.unwrap_or(Shape::Wrong)
}

fn parse_shape(mut reader: Reader<'_>) -> Option<Shape> {
    c_str(&mut reader)?;
    let text = c_str(&mut reader)?;
    let types = usize::from(reader.u16_be()?);
    (reader.remaining() == types.saturating_mul(4))
        .then(|| if is_statement(text, Dialect::Postgres) { Shape::Strong } else { Shape::Good })
}

fn bind_shape(mut reader: Reader<'_>) -> Option<()> {
    c_str(&mut reader)?;
    c_str(&mut reader)?;
    let formats = usize::from(reader.u16_be()?);
    reader.take(formats.saturating_mul(2))?;
    values(&mut reader)?;
    let formats = usize::from(reader.u16_be()?);
    (reader.remaining() == formats.saturating_mul(2)).then_some(())
}

/// A count, and as many values with their lengths.
fn values(reader: &mut Reader<'_>) -> Option<()> {
    for _ in 0..reader.u16_be()? {
        if let Ok(length) = usize::try_from(reader.i32_be()?) {
            reader.take(length)?;
        }
    }
    Some(())
}

fn backend_shape(tag: u8, body: &[u8], whole: bool) -> Shape {
    let mut reader = Reader::new(body);
    if !whole {
        return if matches!(tag, b'Z' | b'K' | b'R') && body.len() > 4 { Shape::Wrong } else { Shape::Weak };
    }
    let judged = match tag {
        b'Z' => matches!(body, [b'I' | b'T' | b'E']).then_some(Shape::Strong),
        b'C' => c_str(&mut reader).filter(|tag| reader.is_empty() && is_command_tag(tag)).map(|_| Shape::Good),
        b'D' => values(&mut reader).filter(|()| reader.is_empty()).map(|()| Shape::Good),
        b'T' => row_description(reader).map(|()| Shape::Strong),
        b'1' | b'2' | b'3' | b'n' | b's' | b'I' | b'c' => Some(Shape::Good),
        b'E' | b'N' => report(reader).map(|()| Shape::Strong),
        b't' => {
            reader.u16_be().filter(|&n| reader.remaining() == usize::from(n).saturating_mul(4)).map(|_| Shape::Good)
        }
        b'S' => c_str(&mut reader).and_then(|_| c_str(&mut reader)).filter(|_| reader.is_empty()).map(|_| Shape::Good),
        b'A' => reader
            .take(4)
            .and_then(|_| c_str(&mut reader))
            .and_then(|_| c_str(&mut reader))
            .filter(|_| reader.is_empty())
            .map(|_| Shape::Good),
        b'G' | b'H' | b'W' => copy_response(reader).map(|()| Shape::Good),
        b'R' => reader.u32_be().filter(|&kind| kind <= 12).map(|_| Shape::Good),
        b'K' | b'V' | b'v' | b'd' => Some(Shape::Weak),
        _ => None,
    };
    judged.unwrap_or(Shape::Wrong)
}

pub(super) fn is_command_tag(tag: &[u8]) -> bool {
    tag.len() <= 64
        && tag.first().is_some_and(u8::is_ascii_uppercase)
        && tag.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b' '))
}

fn row_description(mut reader: Reader<'_>) -> Option<()> {
    for _ in 0..reader.u16_be()? {
        c_str(&mut reader)?;
        reader.take(18)?;
    }
    reader.is_empty().then_some(())
}

fn report(mut reader: Reader<'_>) -> Option<()> {
    let mut fields = 0_u32;
    loop {
        match reader.u8()? {
            0 => return (reader.is_empty() && fields >= 3).then_some(()),
            b'A'..=b'Z' | b'a'..=b'z' => c_str(&mut reader)?,
            _ => return None,
        };
        fields = fields.saturating_add(1);
    }
}

fn copy_response(mut reader: Reader<'_>) -> Option<()> {
    let format = reader.u8()?;
    let columns = usize::from(reader.u16_be()?);
    (format <= 1 && reader.remaining() == columns.saturating_mul(2)).then_some(())
}

/// The first place in what a client sent where messages begin; `Err`: nowhere, and how many bytes in front need not
/// be looked at again.
pub(super) fn find_frontend(bytes: &[u8]) -> Result<usize, usize> {
    find(
        bytes,
        |byte| matches!(byte, b'Q' | b'P' | b'B' | b'E' | b'S' | b'H' | b'D' | b'C' | b'F' | b'c' | b'f'),
        frontend,
    )
}

/// The same of a server.
pub(super) fn find_backend(bytes: &[u8]) -> Result<usize, usize> {
    let begins = |byte| {
        matches!(
            byte,
            b'Z' | b'T'
                | b'C'
                | b'D'
                | b'E'
                | b'1'
                | b'2'
                | b't'
                | b'n'
                | b'N'
                | b'S'
                | b'A'
                | b'I'
                | b's'
                | b'G'
                | b'H'
                | b'W'
                | b'3'
                | b'c'
        )
    };
    find(bytes, begins, backend)
}

fn find(bytes: &[u8], begins: impl Fn(u8) -> bool, chain: fn(&[u8]) -> Chain) -> Result<usize, usize> {
    let mut undecided = None;
    for (at, &byte) in bytes.iter().enumerate() {
        if !begins(byte) {
            continue;
        }
        match chain(bytes.get(at..).unwrap_or_default()) {
            Chain::Sure | Chain::Ended => return Ok(at),
            Chain::Open if bytes.len().saturating_sub(at) <= MAX_UNDECIDED => undecided = undecided.or(Some(at)),
            _ => {}
        }
    }
    Err(undecided.unwrap_or(bytes.len()))
}

/// Are these the first bytes of a PostgreSQL client and its server, or of ones that were joined in the middle?
pub(super) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    if client.first() == Some(&0) {
        return match Startup::parse(client) {
            Ok(Some(_)) if server.first().is_none_or(|tag| b"SNGREv".contains(tag)) => Verdict::Yes,
            Ok(None) => Verdict::Maybe,
            _ => Verdict::No,
        };
    }
    let of = |bytes: &[u8], chain: fn(&[u8]) -> Chain| if bytes.is_empty() { None } else { Some(chain(bytes)) };
    match (of(client, frontend), of(server, backend)) {
        (None, None) => Verdict::Maybe,
        (Some(Chain::Broken), _) | (None, Some(Chain::Broken)) => Verdict::No,
        (Some(Chain::Sure), Some(Chain::Sure) | None) | (None, Some(Chain::Sure)) => Verdict::Yes,
        // Sure of the client: what the server sends may be the middle of a message.
        (Some(Chain::Sure), Some(Chain::Open | Chain::Ended)) => Verdict::Yes,
        (Some(Chain::Sure), Some(Chain::Broken)) => Verdict::Likely,
        (_, Some(Chain::Broken)) => Verdict::No,
        (_, Some(Chain::Sure)) => Verdict::Yes,
        (_, Some(Chain::Open | Chain::Ended) | None) => Verdict::Maybe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len().saturating_add(4)).unwrap_or(0);
        [b"Q", &length.to_be_bytes()[..], text].concat()
    }

    #[test]
    fn what_a_whole_message_is_no_beginning_of_it_denies() {
        let long_word = query(b"START_REPLICATION SLOT s LOGICAL 0/0\0");
        let no_statement = query(b"please give me all that you have\0");
        let comment = query(b"/* a comment that is longer than most */ select 1\0");
        for message in [long_word, no_statement, comment] {
            assert_ne!(frontend(&message), Chain::Broken);
            for end in 0..message.len() {
                assert_ne!(
                    frontend(message.get(..end).unwrap_or_default()),
                    Chain::Broken,
                    "{end} bytes of {message:?}"
                );
            }
        }
        assert_eq!(frontend(&query(b"please give \x01 all that you have")), Chain::Broken);
    }
}
