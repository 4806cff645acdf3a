//! Is it DNS? A header without a contradiction, and everything it counts is there and nothing else.

use super::{
    codes::{Opcode, Rcode},
    message::{HEADER, Message, MessageError, Question},
};
use crate::detect::Verdict;

/// Longest query believed at the start of a connection.
const MAX_QUERY: usize = 4096;
/// Most records believed.
const MAX_RECORDS: u32 = 8192;
/// Z, the one bit that has no meaning ([RFC 6895 §2](https://www.rfc-editor.org/rfc/rfc6895#section-2)).
const RESERVED: u16 = 0x0040;

/// Whether a datagram is a DNS message, and if so whether it is a query.
pub(crate) fn matches_datagram(bytes: &[u8]) -> Option<bool> {
    let message = Message::new(bytes).ok()?;
    let is_whole = is_sane(&message) && questions(&message) == Ok(true) && message.end() == Ok(bytes.len());
    is_whole.then(|| !message.is_response())
}

/// Looks at the first message of the client, or of the server if nothing was seen of the client.
pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    if client.is_empty() { framed(server, true) } else { framed(client, false) }
}

fn framed(bytes: &[u8], response: bool) -> Verdict {
    let &[high, low, ref rest @ ..] = bytes else {
        // A zero is the length of a short query.
        return if bytes.first().is_some_and(|&high| response || high == 0) { Verdict::Maybe } else { Verdict::No };
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length <= HEADER || (!response && length > MAX_QUERY) {
        return Verdict::No;
    }
    let Some(bytes) = rest.get(..length) else { return partial(rest, response) };
    let whole = matches_datagram(bytes) == Some(!response);
    if whole { Verdict::Yes } else { Verdict::No }
}

/// The beginning of a message: the header as far as it is there, and the question.
fn partial(bytes: &[u8], response: bool) -> Verdict {
    if let &[_, _, flags, ..] = bytes
        && (flags & 0x80 != 0) != response
    {
        return Verdict::No;
    }
    let Ok(message) = Message::new(bytes) else { return Verdict::Maybe };
    let plausible = is_sane(&message) && !matches!(questions(&message), Ok(false) | Err(MessageError::Name));
    if plausible { Verdict::Maybe } else { Verdict::No }
}

/// Whether a message may begin here, after its length. `None`: too few bytes to say.
pub(super) fn begins(bytes: &[u8], response: bool) -> Option<bool> {
    let &[high, low, ref rest @ ..] = bytes else { return None };
    if usize::from(u16::from_be_bytes([high, low])) <= HEADER {
        return Some(false);
    }
    let Ok(message) = Message::new(rest) else { return None };
    if message.is_response() != response || !is_sane(&message) {
        return Some(false);
    }
    match questions(&message) {
        Ok(found) => Some(found),
        Err(MessageError::Short) => None,
        Err(_) => Some(false),
    }
}

/// Whether the header makes sense.
fn is_sane(message: &Message<'_>) -> bool {
    let [questions, answers, authority, additional] = message.counts();
    let records = [answers, authority, additional].into_iter().map(u32::from).sum::<u32>();
    let is_query = !message.is_response();
    let few = is_query && message.opcode() == Opcode::QUERY;
    message.opcode().name().is_some()
        && message.flags() & RESERVED == 0
        && (1..=4).contains(&questions)
        && records <= MAX_RECORDS
        && !(few && (answers > 0 || authority > 1 || additional > 3))
        && !(is_query && (message.header_rcode() != Rcode::NOERROR || message.recursion_available()))
}

/// Whether all questions ask what can be asked.
fn questions(message: &Message<'_>) -> Result<bool, MessageError> {
    for question in message.questions() {
        if !is_plain(&question?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Of a class that there is, and no name of NetBIOS. Multicast DNS sets the upper bit of the class.
pub(super) fn is_plain(question: &Question<'_>) -> bool {
    matches!(question.class, 1 | 3 | 4 | 254 | 255) && question.kind.number() != 0 && !is_netbios(question)
}

/// NetBIOS asks for its names in messages of DNS' form, each half of a byte a letter
/// ([RFC 1001 §14.1](https://www.rfc-editor.org/rfc/rfc1001#section-14.1)), by the types NB and NBSTAT
/// ([RFC 1002 §4.2.1.2](https://www.rfc-editor.org/rfc/rfc1002#section-4.2.1.2)). The second is the number of SRV.
fn is_netbios(question: &Question<'_>) -> bool {
    let is_encoded = |label: &[u8]| label.len() == 32 && label.iter().all(|byte| matches!(byte, b'A'..=b'P'));
    matches!(question.kind.number(), 32 | 33) && question.name.labels().next().is_some_and(is_encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";

    fn tcp(message: &[u8]) -> alloc::vec::Vec<u8> {
        let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
        bytes.extend_from_slice(message);
        bytes
    }

    #[test]
    fn a_query_is_found_in_any_prefix() {
        assert_eq!(matches_datagram(QUERY), Some(true));
        let stream = tcp(QUERY);
        assert_eq!(matches(&stream, b""), Verdict::Yes);
        for end in 1..stream.len() {
            assert_eq!(matches(&stream[..end], b""), Verdict::Maybe, "{end}");
        }
        for end in 0..QUERY.len() {
            assert_eq!(matches_datagram(&QUERY[..end]), None);
        }
    }

    #[test]
    fn what_is_not_dns_is_not() {
        let mut trailing = QUERY.to_vec();
        trailing.push(0);
        let mut multicast = QUERY.to_vec();
        let class = multicast.len() - 2;
        multicast[class] = 0x80;
        let mut reserved = QUERY.to_vec();
        reserved[3] |= 0x40;
        let status = b"\x80\x02\0\0\0\x01\0\0\0\0\0\0 CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\x01";
        let mut netbios = b"\x80\x01\x01\x10\0\x01\0\0\0\0\0\0 FIFDFEFCEFEBENFPEIFJCACACACACAAA\0\0\x20\0\x01".to_vec();
        for bytes in [&[0; 40][..], &[0xff; 40], b"M-SEARCH * HTTP/1.1\r\n\r\n", &trailing, &multicast, &reserved] {
            assert_eq!(matches_datagram(bytes), None, "{}", bytes.escape_ascii());
        }
        for bytes in [&status[..], &netbios] {
            assert_eq!(matches_datagram(bytes), None, "{}", bytes.escape_ascii());
        }
        // A name that looks so may be asked for by the types of DNS.
        let kind = netbios.len() - 3;
        netbios[kind] = 1;
        assert_eq!(matches_datagram(&netbios), Some(true));
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"*1\r\n$4\r\nPING\r\n",
            b"\x16\x03\x01\x02\0\x01",
            b"\0\x0e\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(matches(bytes, b""), Verdict::No, "{}", bytes.escape_ascii());
        }
        assert_eq!(matches(b"", b"HTTP/1.1 200 OK\r\n"), Verdict::No);
    }
}
