//! What the client sends.

use super::frame::{messages, text};
use crate::reader::Reader;

/// One message of the client, its parts borrowed. A text without its zero byte (the message was cut) is what there
/// is of it. Parameter values, copied rows and everything of an authentication are left out on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// `Q`: a simple query, one or more statements.
    Query {
        /// SQL text.
        text: &'a [u8],
    },
    /// `P`: prepares a statement.
    Parse {
        /// Its name, empty for the unnamed one.
        statement: &'a [u8],
        /// SQL text.
        text: &'a [u8],
    },
    /// `B`: makes a portal of a statement and parameter values.
    Bind {
        /// The portal's name, empty for the unnamed one.
        portal: &'a [u8],
        /// The statement's name.
        statement: &'a [u8],
    },
    /// `D`.
    Describe(Object<'a>),
    /// `C`.
    Close(Object<'a>),
    /// `E`: runs a portal.
    Execute {
        /// Its name.
        portal: &'a [u8],
        /// Most rows wanted, 0 for all.
        max_rows: u32,
    },
    /// `H`: the server shall send what it has.
    Flush,
    /// `S`: ends a batch; the server answers it with ReadyForQuery.
    Sync,
    /// `F`: calls a function by its object id.
    FunctionCall {
        /// `pg_proc.oid`.
        function: u32,
    },
    /// `d`: a part of copied data.
    CopyData {
        /// Its size in bytes.
        size: usize,
    },
    /// `c`.
    CopyDone,
    /// `f`: the client gives up a copy.
    CopyFail,
    /// `p`: a password, or a GSS, SSPI or SASL response. Not looked into.
    Authentication,
    /// `X`.
    Terminate,
    /// A tag that the protocol does not have.
    Unknown {
        /// The tag.
        tag: u8,
    },
    /// A known tag whose body is too short for it.
    Malformed {
        /// The tag.
        tag: u8,
    },
}

/// A prepared statement or a portal, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object<'a> {
    /// `S`.
    Statement(&'a [u8]),
    /// `P`.
    Portal(&'a [u8]),
}

impl<'a> Object<'a> {
    #[inline]
    fn decode(body: &'a [u8]) -> Option<Self> {
        match body.split_first()? {
            (b'S', name) => Some(Self::Statement(text(name).0)),
            (b'P', name) => Some(Self::Portal(text(name).0)),
            _ => None,
        }
    }
}

impl<'a> Message<'a> {
    /// Reads the body that belongs to a tag: the bytes behind the length.
    #[inline]
    #[must_use]
    pub fn decode(tag: u8, body: &'a [u8]) -> Self {
        Self::try_decode(tag, body).unwrap_or(Self::Malformed { tag })
    }

    #[inline]
    fn try_decode(tag: u8, body: &'a [u8]) -> Option<Self> {
        Some(match tag {
            b'Q' => Self::Query { text: text(body).0 },
            b'P' => {
                let (statement, rest) = text(body);
                Self::Parse { statement, text: text(rest).0 }
            }
            b'B' => {
                let (portal, rest) = text(body);
                Self::Bind { portal, statement: text(rest).0 }
            }
            b'E' => {
                let (portal, rest) = text(body);
                Self::Execute { portal, max_rows: Reader::new(rest).u32_be()? }
            }
            b'S' => Self::Sync,
            b'H' => Self::Flush,
            b'D' => Self::Describe(Object::decode(body)?),
            b'C' => Self::Close(Object::decode(body)?),
            b'F' => Self::FunctionCall { function: Reader::new(body).u32_be()? },
            b'd' => Self::CopyData { size: body.len() },
            b'c' => Self::CopyDone,
            b'f' => Self::CopyFail,
            b'p' => Self::Authentication,
            b'X' => Self::Terminate,
            _ => Self::Unknown { tag },
        })
    }
}

messages! {
    /// The whole messages at the front of what a client sent after its startup packet.
    ///
    /// ```
    /// use obtrace_protocols::postgres::frontend::{Message, Messages};
    /// let mut messages = Messages::new(b"Q\0\0\0\x0dSELECT 1\0S\0\0\0\x04X\0\0");
    /// assert_eq!(messages.next(), Some(Message::Query { text: b"SELECT 1" }));
    /// assert_eq!(messages.next(), Some(Message::Sync));
    /// assert_eq!((messages.next(), messages.rest()), (None, &b"X\0\0"[..]));
    /// ```
    Messages of Message
}

/// What a connection begins with: packets without a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Startup<'a> {
    /// StartupMessage, protocol 3.0, 3.2 or a later 3.x.
    Startup {
        /// The minor version asked for.
        minor: u16,
        /// Pairs of name and value, each ending in a zero byte: `user`, `database`, `_pq_.…`, settings.
        parameters: Parameters<'a>,
    },
    /// SSLRequest: answered by one byte, `S` or `N`.
    Ssl,
    /// GSSENCRequest: answered by one byte, `G` or `N`.
    Gss,
    /// CancelRequest: not answered.
    Cancel {
        /// The process that is to stop what it does.
        process: u32,
    },
}

/// Longest startup packet that a server takes (`MAX_STARTUP_PACKET_LENGTH`).
pub const MAX_STARTUP: usize = 10_000;

impl<'a> Startup<'a> {
    /// Reads the packet at the front of `bytes`. `Ok(None)`: it is not whole yet.
    ///
    /// # Errors
    /// [`NotStartup`] if these bytes do not begin one.
    ///
    /// ```
    /// use obtrace_protocols::postgres::frontend::Startup;
    /// assert_eq!(Startup::parse(&[0, 0, 0, 8, 4, 210, 22, 47]), Ok(Some((Startup::Ssl, 8))));
    /// assert_eq!(Startup::parse(&[0, 0, 0, 8]), Ok(None));
    /// assert!(Startup::parse(b"GET / HTTP/1.1").is_err());
    /// ```
    pub fn parse(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, NotStartup> {
        let mut reader = Reader::new(bytes);
        let Some(length) = reader.u32_be() else {
            return if bytes.iter().take(2).all(|&byte| byte == 0) { Ok(None) } else { Err(NotStartup) };
        };
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if !(8..=MAX_STARTUP).contains(&size) {
            return Err(NotStartup);
        }
        let Some([major, minor]) =
            reader.take_array::<4>().map(|[a, b, c, d]| [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])])
        else {
            return Ok(None);
        };
        let packet = match (major, minor, size) {
            (1234, 5679, 8) => Self::Ssl,
            (1234, 5680, 8) => Self::Gss,
            // The key is 4 bytes long in protocol 3.0, up to 256 in 3.2.
            (1234, 5678, 16..=268) => {
                let Some(process) = reader.u32_be() else { return Ok(None) };
                Self::Cancel { process }
            }
            (3, minor, 9..) if reader.peek().is_none_or(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
                let Some(parameters) = bytes.get(8..size) else { return Ok(None) };
                let Some(parameters) = parameters.strip_suffix(&[0, 0]) else { return Err(NotStartup) };
                Self::Startup { minor, parameters: Parameters { rest: parameters } }
            }
            _ => return Err(NotStartup),
        };
        Ok(bytes.get(..size).is_some().then_some((packet, size)))
    }
}

/// These bytes do not begin a PostgreSQL startup packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotStartup;

impl core::fmt::Display for NotStartup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("reading a PostgreSQL startup packet: no such length and version")
    }
}

impl core::error::Error for NotStartup {}

/// Name and value of each parameter of a startup packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (name, rest) = text(self.rest);
        let (value, rest) = text(rest);
        self.rest = rest;
        Some((name, value))
    }
}
