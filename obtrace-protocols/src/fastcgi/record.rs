//! Records, and how they are told from other bytes.

use crate::{Role, detect::Verdict, parser::Side};

/// Bytes of a record's header.
pub(super) const HEADER: usize = 8;
/// Bytes of a record of fixed size: `FCGI_BEGIN_REQUEST` and `FCGI_END_REQUEST`, header and body.
pub(super) const FIXED: usize = 16;

/// Longest name of a field with which an answer begins, as far as it is one for sure.
const MAX_FIELD: usize = 48;

/// What a record is (§8 of the specification).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A request begins.
    Begin,
    /// The web server waits for no answer any more.
    Abort,
    /// A request is over.
    End,
    /// Parameters of a request.
    Params,
    /// Of a request's body.
    Stdin,
    /// Of an answer.
    Stdout,
    /// What is written as errors.
    Stderr,
    /// Of the file that a filter is given.
    Data,
    /// About the application as a whole: no request.
    Management,
}

/// The role that the application is asked to play (§6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApplicationRole {
    /// Answers an HTTP request.
    #[default]
    Responder,
    /// Says whether a request may be answered.
    Authorizer,
    /// Changes a file on its way.
    Filter,
    /// Another one, by its number.
    Unknown(u16),
}

impl ApplicationRole {
    pub(super) const fn of(number: u16) -> Self {
        match number {
            1 => Self::Responder,
            2 => Self::Authorizer,
            3 => Self::Filter,
            other => Self::Unknown(other),
        }
    }
}

/// How the application says that it dealt with a request (§5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolStatus {
    /// It was answered.
    RequestComplete,
    /// The application serves one request of a connection at a time.
    CantMultiplex,
    /// The application has too much to do.
    Overloaded,
    /// The application does not play that role.
    UnknownRole,
    /// Another one, by its number.
    Unknown(u8),
}

impl ProtocolStatus {
    pub(super) const fn of(number: u8) -> Self {
        match number {
            0 => Self::RequestComplete,
            1 => Self::CantMultiplex,
            2 => Self::Overloaded,
            3 => Self::UnknownRole,
            other => Self::Unknown(other),
        }
    }

    /// The reason of a failure, as the specification names it. `None` if it was answered.
    pub(super) const fn error(self) -> Option<&'static str> {
        Some(match self {
            Self::RequestComplete => return None,
            Self::CantMultiplex => "FCGI_CANT_MPX_CONN",
            Self::Overloaded => "FCGI_OVERLOADED",
            Self::UnknownRole => "FCGI_UNKNOWN_ROLE",
            Self::Unknown(_) => "_OTHER",
        })
    }
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) request_id: u16,
    pub(super) content: u16,
    pub(super) padding: u8,
}

impl Header {
    /// Reads a header. `None` if this side does not send such a one.
    #[inline]
    pub(super) fn read(bytes: [u8; HEADER], side: Side) -> Option<Self> {
        let [1, kind, i0, i1, c0, c1, padding, _] = bytes else { return None };
        let (request_id, content) = (u16::from_be_bytes([i0, i1]), u16::from_be_bytes([c0, c1]));
        let kind = match (side, kind) {
            (Side::Client, 1) if content == 8 => Kind::Begin,
            (Side::Client, 2) => Kind::Abort,
            (Side::Server, 3) if content == 8 => Kind::End,
            (Side::Client, 4) => Kind::Params,
            (Side::Client, 5) => Kind::Stdin,
            (Side::Server, 6) => Kind::Stdout,
            (Side::Server, 7) => Kind::Stderr,
            (Side::Client, 8) => Kind::Data,
            (Side::Client, 9) | (Side::Server, 10 | 11) => Kind::Management,
            _ => return None,
        };
        // Management records have the number 0, all others another one.
        ((request_id == 0) == (kind == Kind::Management)).then_some(Self { kind, request_id, content, padding })
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<'a> {
    /// What it is.
    pub kind: Kind,
    /// The request that it belongs to; 0 if none.
    pub request_id: u16,
    /// What it holds, without padding.
    pub content: &'a [u8],
}

/// The whole records at the front of what one side sent.
///
/// ```
/// use obtrace_protocols::{Role, fastcgi::record::{Kind, Records}};
/// let mut records = Records::new(b"\x01\x05\0\x07\0\x02\x01\0Hi\0\x01\x05", Role::Client);
/// let record = records.next().unwrap();
/// assert_eq!((record.kind, record.request_id, record.content), (Kind::Stdin, 7, &b"Hi"[..]));
/// assert_eq!((records.next(), records.rest()), (None, &b"\x01\x05"[..]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    sender: Side,
}

impl<'a> Records<'a> {
    /// Starts at the first of `bytes`, which has to be the first byte of a record. The web server is the client.
    #[must_use]
    pub const fn new(bytes: &'a [u8], sender: Role) -> Self {
        let sender = match sender {
            Role::Client => Side::Client,
            Role::Server => Side::Server,
        };
        Self { rest: bytes, sender }
    }

    /// What is not read yet: once the iterator has ended, a record that is not whole or none of this side.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let (header, behind) = self.rest.split_first_chunk::<HEADER>()?;
        let header = Header::read(*header, self.sender)?;
        let (content, behind) = behind.split_at_checked(header.content.into())?;
        self.rest = behind.get(header.padding.into()..)?;
        Some(Record { kind: header.kind, request_id: header.request_id, content })
    }
}

/// Whether a request begins here: a record in which all but the numbers is fixed.
pub(super) fn begins(bytes: &[u8; FIXED]) -> bool {
    let [1, 1, i0, i1, 0, 8, _, _, 0, 1..=3, 0 | 1, 0, 0, 0, 0, 0] = *bytes else { return false };
    u16::from_be_bytes([i0, i1]) != 0
}

/// Whether a request ends here, and which. PHP-FPM leaves what was there before in the last, reserved bytes.
pub(super) fn ends(bytes: &[u8; FIXED]) -> Option<u16> {
    let [1, 3, i0, i1, 0, 8, _, _, 0, 0, _, _, 0..=3, ..] = *bytes else { return None };
    Some(u16::from_be_bytes([i0, i1]))
}

/// Whether output begins here that itself begins with a field, as an answer does, and for which request.
pub(super) fn answers(bytes: &[u8]) -> (Verdict, u16) {
    let &[1, 6, i0, i1, c0, c1, _, _, ref content @ ..] = bytes else { return (Verdict::No, 0) };
    let size = usize::from(u16::from_be_bytes([c0, c1])).min(MAX_FIELD);
    let content = content.get(..size).unwrap_or(content);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let verdict = match content.iter().position(|&byte| !is_name(byte)) {
        _ if content.first().is_some_and(|byte| !byte.is_ascii_alphabetic()) => Verdict::No,
        // `HTTP/1.1 200 OK` is allowed, too.
        Some(at) if matches!(content.get(at), Some(b':' | b'/')) => Verdict::Yes,
        None if content.len() < size => Verdict::Maybe,
        _ => Verdict::No,
    };
    (verdict, u16::from_be_bytes([i0, i1]))
}

/// Whether what is written as errors begins here, and for which request.
pub(super) fn complains(bytes: &[u8; FIXED]) -> Option<u16> {
    let [1, 7, i0, i1, c0, c1, _, 0, ..] = *bytes else { return None };
    (u16::from_be_bytes([c0, c1]) > 0).then_some(u16::from_be_bytes([i0, i1]))
}

/// Looks at what the client and the server began with.
pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    let request = match client.first_chunk::<FIXED>() {
        Some(bytes) if begins(bytes) || is_question(bytes) => Verdict::Yes,
        Some(_) => Verdict::No,
        None if client.is_empty() => Verdict::No,
        None => prefix(client),
    };
    if request != Verdict::No {
        return request;
    }
    match answers(server) {
        (Verdict::Yes, 1..) => Verdict::Likely,
        _ => Verdict::No,
    }
}

/// A web server asks what the application can do before its first request (§4.1).
fn is_question(bytes: &[u8; FIXED]) -> bool {
    matches!(bytes, [1, 9, 0, 0, _, _, _, _, _, 0, b'F', b'C', b'G', b'I', b'_', _])
}

/// Whether this is the front of a record with which a connection begins.
fn prefix(bytes: &[u8]) -> Verdict {
    let is_like = |model: &[Option<u8>]| {
        bytes.iter().zip(model).all(|(byte, expected)| expected.is_none_or(|expected| expected == *byte))
    };
    let fixed = Some;
    let begin = [
        fixed(1),
        fixed(1),
        None,
        None,
        fixed(0),
        fixed(8),
        None,
        None,
        fixed(0),
        None,
        None,
        fixed(0),
        fixed(0),
        fixed(0),
        fixed(0),
    ];
    let question = [fixed(1), fixed(9), fixed(0), fixed(0), None, None, None, None, None, fixed(0), fixed(b'F')];
    if is_like(&begin) || is_like(&question) { Verdict::Maybe } else { Verdict::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &[u8; FIXED] = b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0";

    #[test]
    fn a_connection_begins_with_a_request() {
        assert_eq!(matches(BEGIN, b""), Verdict::Yes);
        for end in 1..FIXED {
            assert_eq!(matches(&BEGIN[..end], b""), Verdict::Maybe, "{end}");
        }
        assert_eq!(matches(b"\x01\x09\0\0\0\x2f\x01\0\x0e\0FCGI_MAX_CONNS", b""), Verdict::Yes);
        assert_eq!(matches(b"", b"\x01\x06\0\x01\0\x40\0\0Status: 404 Not Found"), Verdict::Likely);
    }

    #[test]
    fn what_is_no_request_is_none() {
        for client in [
            &b"\x01\x01\0\0\0\x08\0\0\0\x01\0\0\0\0\0\0"[..],
            b"\x01\x01\0\x01\0\x08\0\0\0\x04\0\0\0\0\0\0",
            b"\x01\x06\0\x01\0\x08\0\0Status: ",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x01\x01\0\x01\0\x10",
            b"\0\x13\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01",
        ] {
            assert_eq!(matches(client, b""), Verdict::No, "{}", client.escape_ascii());
        }
    }
}
