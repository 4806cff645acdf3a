//! The start of a connection
//! ([connection phase](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html),
//! [MariaDB](https://mariadb.com/kb/en/connection/)). What authenticates is passed over, never read.

use super::packet::{self, HEAD, Head};
use crate::reader::Reader;

/// Longest payload of a refusal: an error's text has at most 512 bytes.
const MAX_REFUSAL: usize = 3 + 6 + 512;
/// The numbers of servers' errors ([MySQL](https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html),
/// [MariaDB](https://mariadb.com/kb/en/mariadb-error-code-reference/)).
const ERRORS: core::ops::Range<u16> = 1000..6000;

/// Flags of capabilities that change how packets are read. The upper half is MariaDB's own.
pub(super) mod capability {
    /// Set by MySQL; where it is missing, MariaDB's flags follow.
    pub(in super::super) const MYSQL: u64 = 1;
    pub(in super::super) const CONNECT_WITH_DB: u64 = 1 << 3;
    pub(in super::super) const COMPRESS: u64 = 1 << 5;
    pub(in super::super) const PROTOCOL_41: u64 = 1 << 9;
    pub(in super::super) const SSL: u64 = 1 << 11;
    pub(in super::super) const SECURE_CONNECTION: u64 = 1 << 15;
    pub(in super::super) const PLUGIN_AUTH_LENENC: u64 = 1 << 21;
    pub(in super::super) const DEPRECATE_EOF: u64 = 1 << 24;
    pub(in super::super) const ZSTD: u64 = 1 << 26;
}

/// Longest version of a server that is believed.
const MAX_VERSION: usize = 100;
/// Size of a request for encryption: a response to the greeting that ends before the user.
const SSL_REQUEST: usize = 32;

/// What a server begins with (`HandshakeV10`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Greeting<'a> {
    /// Its version as it says it: `8.0.36`, `5.5.5-10.11.6-MariaDB`.
    pub version: &'a [u8],
    /// What it can; the upper half is MariaDB's own.
    pub capabilities: u64,
}

impl<'a> Greeting<'a> {
    /// Reads the payload of the first packet of a server. `None` if it is none, or too short.
    ///
    /// ```
    /// use obtrace_protocols::mysql::handshake::Greeting;
    /// let greeting = Greeting::parse(b"\x0a5.5.5-10.11.6-MariaDB\0\x07\0\0\0saltsalt\0\xfe\xf7").unwrap();
    /// assert!(greeting.is_mariadb());
    /// assert_eq!(greeting.release(), b"10.11.6-MariaDB");
    /// ```
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != 10 {
            return None;
        }
        let version = reader.c_str()?;
        let printable = version.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if version.is_empty() || version.len() > MAX_VERSION || !printable {
            return None;
        }
        // Number of the thread, the first part of the salt.
        reader.take(12)?;
        if reader.u8()? != 0 {
            return None;
        }
        let low = u16::from_le_bytes(reader.take_array()?);
        let mut capabilities = u64::from(low);
        // Character set, status.
        if reader.take(3).is_some()
            && let Some(high) = reader.take_array()
        {
            capabilities |= u64::from(u16::from_le_bytes(high)) << 16;
            reader.take(7);
            if let Some(own) = reader.take_array().filter(|_| capabilities & capability::MYSQL == 0) {
                capabilities |= u64::from(u32::from_le_bytes(own)) << 32;
            }
        }
        Some(Self { version, capabilities })
    }

    /// Whether it is MariaDB.
    #[must_use]
    pub fn is_mariadb(&self) -> bool {
        self.version.windows(7).any(|part| part.eq_ignore_ascii_case(b"mariadb"))
    }

    /// The version without what MariaDB puts in front of it for old replicas.
    #[must_use]
    pub fn release(&self) -> &'a [u8] {
        let own = self.version.strip_prefix(b"5.5.5-").filter(|_| self.is_mariadb());
        own.unwrap_or(self.version)
    }
}

/// What a client answers to the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response<'a> {
    /// `SSLRequest`: what follows is TLS.
    Ssl,
    /// `HandshakeResponse41`, or the older one, of which only the flags are read.
    Login {
        /// What the client wants to use; the upper half is MariaDB's own.
        capabilities: u64,
        /// The user.
        user: &'a [u8],
        /// The database, empty for none.
        database: &'a [u8],
    },
}

impl<'a> Response<'a> {
    /// Reads the payload, which may be cut. `None` if it is no response to a greeting.
    #[must_use]
    pub fn parse(payload: &'a [u8], length: usize) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let low = u16::from_le_bytes(reader.take_array()?);
        if u64::from(low) & capability::PROTOCOL_41 == 0 {
            // The largest packet in three bytes, then the user.
            reader.take(3)?;
            let user = reader.c_str()?;
            let is_name = !user.is_empty() && user.iter().all(|&byte| byte > b' ');
            let capabilities = u64::from(low);
            return is_name.then_some(Self::Login { capabilities, user, database: b"" });
        }
        let high = u16::from_le_bytes(reader.take_array()?);
        let mut capabilities = u64::from(low) | u64::from(high) << 16;
        // The largest packet, the character set.
        reader.take(5)?;
        let reserved = reader.take_array::<19>()?;
        let own = reader.take_array::<4>()?;
        if reserved != [0; 19] {
            return None;
        }
        if capabilities & capability::MYSQL == 0 {
            capabilities |= u64::from(u32::from_le_bytes(own)) << 32;
        } else if own != [0; 4] {
            return None;
        }
        if length == SSL_REQUEST {
            return (capabilities & capability::SSL != 0).then_some(Self::Ssl);
        }
        let user = reader.c_str()?;
        let database = database(&mut reader, capabilities).unwrap_or_default();
        Some(Self::Login { capabilities, user, database })
    }
}

/// Passes over what authenticates; the database behind it.
fn database<'a>(reader: &mut Reader<'a>, capabilities: u64) -> Option<&'a [u8]> {
    let has = |flag| capabilities & flag != 0;
    if has(capability::PLUGIN_AUTH_LENENC) {
        packet::text(reader)?;
    } else if has(capability::SECURE_CONNECTION) {
        let length = reader.u8()?;
        reader.take(usize::from(length))?;
    } else {
        reader.c_str()?;
    }
    if has(capability::CONNECT_WITH_DB) { reader.c_str() } else { None }
}

/// User and database of a COM_CHANGE_USER, behind its first byte.
pub(super) fn change_user(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader::new(body);
    let user = reader.c_str()?;
    let length = reader.u8()?;
    reader.take(usize::from(length))?;
    Some((user, reader.c_str().unwrap_or_default()))
}

/// Whether these bytes begin with a greeting. `None`: they may, and are too few.
pub(super) fn is_greeting(bytes: &[u8]) -> Option<bool> {
    let Some(head) = Head::read(bytes) else {
        return if bytes.get(1).is_none_or(|&middle| middle <= 3) { None } else { Some(false) };
    };
    // Not shorter than its fixed parts.
    if head.sequence != 0 || !(28..=1024).contains(&head.length) {
        return Some(false);
    }
    let payload = bytes.get(HEAD..head.size().min(bytes.len())).unwrap_or_default();
    match payload {
        [] => None,
        [10, rest @ ..] => match rest.iter().take(MAX_VERSION).position(|&byte| !matches!(byte, b' '..=b'~')) {
            None if rest.len() < MAX_VERSION => None,
            Some(end) if payload.len() >= end.saturating_add(17) => Some(Greeting::parse(payload).is_some()),
            Some(end) if rest.get(end) == Some(&0) && end > 0 => None,
            _ => Some(false),
        },
        _ => Some(false),
    }
}

/// Whether these bytes are a packet with which a server takes no connection, instead of a greeting: there are too many,
/// or the client's host may not. `None`: they may, and are too few. An answer to a command never has the number 0.
pub(super) fn is_refusal(bytes: &[u8]) -> Option<bool> {
    let Some(head) = Head::read(bytes) else { return is_greeting(bytes) };
    if head.sequence != 0 || !(4..=MAX_REFUSAL).contains(&head.length) {
        return Some(false);
    }
    let Some(payload) = bytes.get(HEAD..head.size()) else {
        return if bytes.get(HEAD).is_none_or(|&first| first == 0xff) { None } else { Some(false) };
    };
    let is_error = |error: packet::Error<'_>| {
        let text = core::str::from_utf8(error.message);
        ERRORS.contains(&error.code) && text.is_ok_and(|text| !text.is_empty() && !text.contains(char::is_control))
    };
    // It is the last that the server says.
    Some(bytes.len() == head.size() && packet::Error::parse(payload).is_some_and(is_error))
}
