//! What both sides send: packets with a length and a sequence number, and the numbers and texts inside
//! ([protocol basics](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basics.html)).

use crate::{reader::Reader, sql::is_sqlstate};

/// Bytes in front of a payload: its length in three, its sequence number in one.
pub(super) const HEAD: usize = 4;
/// A payload of this length goes on in the next packet.
pub const MAX_PAYLOAD: usize = 0xff_ffff;

/// What is in front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the payload, at most [`MAX_PAYLOAD`].
    pub(super) length: usize,
    pub(super) sequence: u8,
}

impl Head {
    /// `None`: not enough bytes.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[a, b, c, sequence], _) = bytes.split_first_chunk::<HEAD>()?;
        Some(Self { length: u32::from_le_bytes([a, b, c, 0]) as usize, sequence })
    }

    /// Bytes of the whole packet.
    #[inline]
    pub(super) const fn size(self) -> usize {
        self.length.saturating_add(HEAD)
    }
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet<'a> {
    /// Its number: 0 begins a command, an answer counts on from there.
    pub sequence: u8,
    /// What it holds. One of [`MAX_PAYLOAD`] bytes goes on in the next packet.
    pub payload: &'a [u8],
}

/// The whole packets at the front of what one side sent.
///
/// ```
/// use obtrace_protocols::mysql::packet::{Ok, Packets};
/// let mut packets = Packets::new(b"\x07\0\0\x01\0\x02\0\x02\0\0\0\x05\0");
/// let packet = packets.next().unwrap();
/// assert_eq!((packet.sequence, Ok::parse(packet.payload).unwrap().affected_rows), (1, 2));
/// assert_eq!((packets.next(), packets.rest()), (None, &b"\x05\0"[..]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Packets<'a> {
    /// Starts at the first of `bytes`, which has to be the first byte of a packet.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is not read yet: once the iterator has ended, the packet that is not whole.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    #[inline]
    fn next(&mut self) -> Option<Packet<'a>> {
        let (&[a, b, c, sequence], rest) = self.rest.split_first_chunk::<HEAD>()?;
        let (payload, rest) = rest.split_at_checked(u32::from_le_bytes([a, b, c, 0]) as usize)?;
        self.rest = rest;
        Some(Packet { sequence, payload })
    }
}

/// A length-encoded integer. `None` if it is not there, and for the bytes that stand for NULL and for an error.
#[inline]
pub(super) fn number(reader: &mut Reader<'_>) -> Option<u64> {
    Some(match reader.u8()? {
        small @ 0..=0xfa => u64::from(small),
        0xfc => u64::from(u16::from_le_bytes(reader.take_array()?)),
        0xfd => {
            let [a, b, c] = reader.take_array()?;
            u64::from(u32::from_le_bytes([a, b, c, 0]))
        }
        0xfe => u64::from_le_bytes(reader.take_array()?),
        _ => return None,
    })
}

/// A text behind its length.
#[inline]
pub(super) fn text<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(number(reader)?).ok()?;
    reader.take(length)
}

/// A result follows the one that this ends.
pub const MORE_RESULTS: u16 = 0x0008;
/// A transaction is open.
pub(super) const IN_TRANSACTION: u16 = 0x0001;
/// The rows wait for COM_STMT_FETCH.
pub(super) const CURSOR_EXISTS: u16 = 0x0040;
/// A backslash is no escape in strings of SQL.
pub(super) const NO_BACKSLASH_ESCAPES: u16 = 0x0200;
/// What the session has changed follows the info.
const SESSION_STATE_CHANGED: u16 = 0x4000;
/// Kind of a change of the session: the default database.
const TRACK_SCHEMA: u8 = 1;

/// An OK packet, or what ends rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ok<'a> {
    /// Rows inserted, changed or deleted.
    pub affected_rows: u64,
    /// Status flags of the server.
    pub status: u16,
    /// Number of warnings.
    pub warnings: u16,
    /// The default database, if the packet says that it changed.
    pub database: Option<&'a [u8]>,
}

impl<'a> Ok<'a> {
    /// Reads a payload that begins with `0x00`, or with `0xfe` behind rows: OK or EOF. `None` if it is neither. One
    /// that was cut behind its numbers is read as far as it goes.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        match (reader.u8()?, payload.len()) {
            (0xfe, 1) => return Some(Self::default()),
            (0xfe, 5) => {
                let warnings = u16::from_le_bytes(reader.take_array()?);
                let status = u16::from_le_bytes(reader.take_array()?);
                return Some(Self { status, warnings, ..Self::default() });
            }
            (0 | 0xfe, 7..) => {}
            _ => return None,
        }
        let affected_rows = number(&mut reader)?;
        // The last insert id.
        number(&mut reader)?;
        let status = u16::from_le_bytes(reader.take_array()?);
        let warnings = u16::from_le_bytes(reader.take_array()?);
        let database = if status & SESSION_STATE_CHANGED == 0 { None } else { changed_database(reader) };
        Some(Self { affected_rows, status, warnings, database })
    }
}

/// Looks for the default database among what the session has changed.
fn changed_database<'a>(mut reader: Reader<'a>) -> Option<&'a [u8]> {
    // The info.
    text(&mut reader)?;
    let length = usize::try_from(number(&mut reader)?).ok()?;
    let mut changes = reader.sub(length.min(reader.remaining()))?;
    while let Some(kind) = changes.u8() {
        let change = text(&mut changes)?;
        if kind == TRACK_SCHEMA {
            return text(&mut Reader::new(change));
        }
    }
    None
}

/// An error packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error<'a> {
    /// Number of the error.
    pub code: u16,
    /// Its SQLSTATE; before a session begins some have none.
    pub sqlstate: Option<[u8; 5]>,
    /// What it says, which may hold data.
    pub message: &'a [u8],
}

/// Stands for a report of progress, in MariaDB.
pub(super) const PROGRESS: u16 = 0xffff;

impl<'a> Error<'a> {
    /// Reads a payload that begins with `0xff`. `None` if it is no error packet.
    ///
    /// ```
    /// use obtrace_protocols::mysql::packet::Error;
    /// let error = Error::parse(b"\xff\x7a\x04#42S02Table 'a.b' doesn't exist").unwrap();
    /// assert_eq!((error.code, error.sqlstate), (1146, Some(*b"42S02")));
    /// ```
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != 0xff {
            return None;
        }
        let code = u16::from_le_bytes(reader.take_array()?);
        if reader.peek() != Some(b'#') {
            return Some(Self { code, sqlstate: None, message: reader.rest() });
        }
        reader.u8()?;
        let sqlstate = reader.take_array::<5>().filter(is_sqlstate);
        Some(Self { code, sqlstate, message: reader.rest() })
    }
}
