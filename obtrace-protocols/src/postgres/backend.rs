//! What the server sends.

use core::fmt;

use super::frame::{messages, text};
use crate::{reader::Reader, sql::is_sqlstate};

/// One message of the server, its parts borrowed. Keys of a session and everything of an authentication are left out
/// on purpose; values of rows are there for those who ask for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// `D`.
    DataRow(DataRow<'a>),
    /// `C`.
    CommandComplete(CommandTag<'a>),
    /// `Z`.
    ReadyForQuery(TransactionStatus),
    /// `T`.
    RowDescription {
        /// Number of columns.
        columns: u16,
    },
    /// `1`.
    ParseComplete,
    /// `2`.
    BindComplete,
    /// `3`.
    CloseComplete,
    /// `n`: what was described returns no rows.
    NoData,
    /// `s`: the row limit of Execute was reached.
    PortalSuspended,
    /// `I`.
    EmptyQueryResponse,
    /// `t`.
    ParameterDescription {
        /// Number of parameters.
        parameters: u16,
    },
    /// `E`.
    ErrorResponse(Report<'a>),
    /// `N`.
    NoticeResponse(Report<'a>),
    /// `A`: a NOTIFY of some session. Its payload is left out.
    NotificationResponse {
        /// The session that sent it.
        process: u32,
        /// The channel.
        channel: &'a [u8],
    },
    /// `S`: a setting of the session, now or changed.
    ParameterStatus {
        /// Its name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// `K`. The key is left out.
    BackendKeyData {
        /// The session's process.
        process: u32,
    },
    /// `R`: a request for, or a step of, an authentication. 0: it succeeded.
    Authentication {
        /// Its kind.
        kind: u32,
    },
    /// `v`: the server speaks a lower minor version, or does not know some `_pq_` options.
    NegotiateProtocolVersion {
        /// The newest minor version it speaks.
        minor: u32,
    },
    /// `G`: the server waits for copied data.
    CopyInResponse,
    /// `H`: the server will send copied data.
    CopyOutResponse,
    /// `W`: both, as in streaming replication.
    CopyBothResponse,
    /// `d`: a part of copied data.
    CopyData {
        /// Its size in bytes.
        size: usize,
    },
    /// `c`.
    CopyDone,
    /// `V`.
    FunctionCallResponse,
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

impl<'a> Message<'a> {
    /// Reads the body that belongs to a tag: the bytes behind the length.
    #[inline]
    #[must_use]
    pub fn decode(tag: u8, body: &'a [u8]) -> Self {
        if tag == b'D' {
            return Self::DataRow(DataRow { body });
        }
        Self::try_decode(tag, body).unwrap_or(Self::Malformed { tag })
    }

    #[inline]
    fn try_decode(tag: u8, body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        Some(match tag {
            b'C' => Self::CommandComplete(CommandTag { text: text(body).0 }),
            b'Z' => Self::ReadyForQuery(TransactionStatus::from_byte(*body.first()?)),
            b'T' => Self::RowDescription { columns: reader.u16_be()? },
            b'1' => Self::ParseComplete,
            b'2' => Self::BindComplete,
            b'3' => Self::CloseComplete,
            b'n' => Self::NoData,
            b's' => Self::PortalSuspended,
            b'I' => Self::EmptyQueryResponse,
            b't' => Self::ParameterDescription { parameters: reader.u16_be()? },
            b'E' => Self::ErrorResponse(Report { body }),
            b'N' => Self::NoticeResponse(Report { body }),
            b'A' => {
                let process = reader.u32_be()?;
                Self::NotificationResponse { process, channel: text(reader.rest()).0 }
            }
            b'S' => {
                let (name, rest) = text(body);
                Self::ParameterStatus { name, value: text(rest).0 }
            }
            b'K' => Self::BackendKeyData { process: reader.u32_be()? },
            b'R' => Self::Authentication { kind: reader.u32_be()? },
            b'v' => Self::NegotiateProtocolVersion { minor: reader.u32_be()? },
            b'G' => Self::CopyInResponse,
            b'H' => Self::CopyOutResponse,
            b'W' => Self::CopyBothResponse,
            b'd' => Self::CopyData { size: body.len() },
            b'c' => Self::CopyDone,
            b'V' => Self::FunctionCallResponse,
            _ => Self::Unknown { tag },
        })
    }
}

messages! {
    /// The whole messages at the front of what a server sent.
    ///
    /// ```
    /// use obtrace_protocols::postgres::backend::{Message, Messages, TransactionStatus};
    /// let mut messages = Messages::new(b"C\0\0\0\x0fINSERT 0 3\0Z\0\0\0\x05I");
    /// let Some(Message::CommandComplete(tag)) = messages.next() else { panic!() };
    /// assert_eq!((tag.verb(), tag.rows()), (&b"INSERT"[..], Some(3)));
    /// assert_eq!(messages.next(), Some(Message::ReadyForQuery(TransactionStatus::Idle)));
    /// ```
    Messages of Message
}

/// A row of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRow<'a> {
    body: &'a [u8],
}

impl<'a> DataRow<'a> {
    /// Number of columns it says it has.
    #[must_use]
    pub fn columns(&self) -> u16 {
        Reader::new(self.body).u16_be().unwrap_or_default()
    }

    /// The values, `None` for NULL, as far as they are there.
    ///
    /// ```
    /// use obtrace_protocols::postgres::backend::{Message, Messages};
    /// let Some(Message::DataRow(row)) = Messages::new(b"D\0\0\0\x0f\0\x02\0\0\0\x01a\xff\xff\xff\xff").next() else { panic!() };
    /// assert_eq!(row.values().collect::<Vec<_>>(), [Some(&b"a"[..]), None]);
    /// ```
    pub fn values(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut reader = Reader::new(self.body);
        let columns = reader.u16_be().unwrap_or_default();
        (0..columns).map_while(move |_| match usize::try_from(reader.i32_be()?) {
            Ok(length) => reader.take(length).map(Some),
            Err(_) => Some(None),
        })
    }
}

/// What a CommandComplete says: `SELECT 5`, `INSERT 0 1`, `CREATE TABLE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandTag<'a> {
    text: &'a [u8],
}

impl<'a> CommandTag<'a> {
    /// The tag as it is.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// The words in front of the numbers.
    #[must_use]
    pub fn verb(&self) -> &'a [u8] {
        let mut verb = self.text;
        while let [head @ .., last] = verb {
            if !(last.is_ascii_digit() || *last == b' ') {
                break;
            }
            verb = head;
        }
        verb
    }

    /// The number of rows: the last number.
    #[inline]
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        let digits = self.text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (_, digits) = self.text.split_at_checked(self.text.len().checked_sub(digits)?)?;
        if digits.is_empty() {
            return None;
        }
        digits.iter().try_fold(0_u64, |value, byte| value.checked_mul(10)?.checked_add(u64::from(byte & 15)))
    }
}

/// Where the session is between statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransactionStatus {
    /// In no transaction.
    Idle,
    /// In one.
    Transaction,
    /// In one that failed.
    Failed,
    /// Something else.
    Unknown(u8),
}

impl TransactionStatus {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            b'I' => Self::Idle,
            b'T' => Self::Transaction,
            b'E' => Self::Failed,
            other => Self::Unknown(other),
        }
    }
}

/// How bad an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// All sessions end.
    Panic,
    /// Another word; notices have several.
    Other,
}

impl Severity {
    /// As PostgreSQL writes it: `ERROR`, `FATAL`, `PANIC`; empty for others.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
            Self::Other => "",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The fields of an ErrorResponse or a NoticeResponse
/// ([error fields](https://www.postgresql.org/docs/current/protocol-error-fields.html)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    body: &'a [u8],
}

impl<'a> Report<'a> {
    /// Each field's type and text.
    #[inline]
    pub fn fields(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.body;
        core::iter::from_fn(move || {
            let (&kind, value) = rest.split_first().filter(|&(&kind, _)| kind != 0)?;
            let (value, after) = text(value);
            rest = after;
            Some((kind, value))
        })
    }

    /// The five characters of the SQLSTATE.
    #[inline]
    #[must_use]
    pub fn sqlstate(&self) -> Option<[u8; 5]> {
        let code = self.fields().find(|&(kind, _)| kind == b'C')?.1;
        code.try_into().ok().filter(is_sqlstate)
    }

    /// The severity: the field that is never translated, or the other one from servers before 9.6.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let field = |wanted| self.fields().find(|&(kind, _)| kind == wanted);
        match field(b'V').or_else(|| field(b'S')).map(|(_, word)| word) {
            Some(b"ERROR") => Severity::Error,
            Some(b"FATAL") => Severity::Fatal,
            Some(b"PANIC") => Severity::Panic,
            _ => Severity::Other,
        }
    }

    /// The message. It may hold data.
    #[must_use]
    pub fn message(&self) -> Option<&'a [u8]> {
        self.fields().find(|&(kind, _)| kind == b'M').map(|(_, text)| text)
    }
}
