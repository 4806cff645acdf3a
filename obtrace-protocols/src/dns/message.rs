//! A DNS message as it lies in memory: header, questions and records are views that borrow; names are read only when
//! somebody asks for them. Nothing is allocated.
//!
//! Sources: [RFC 1035](https://www.rfc-editor.org/rfc/rfc1035) §4, [RFC 6891](https://www.rfc-editor.org/rfc/rfc6891)
//! (EDNS), [RFC 2782](https://www.rfc-editor.org/rfc/rfc2782) (SRV), [RFC 3596](https://www.rfc-editor.org/rfc/rfc3596)
//! (AAAA), [RFC 8659](https://www.rfc-editor.org/rfc/rfc8659) (CAA), [RFC 9460](https://www.rfc-editor.org/rfc/rfc9460) (SVCB).

use core::{fmt, net::Ipv4Addr, net::Ipv6Addr};

use super::codes::{Opcode, Rcode, RecordType};
pub use super::name::{Labels, Name};
use crate::reader::Reader;

/// Length of the header ([RFC 1035 §4.1.1](https://www.rfc-editor.org/rfc/rfc1035#section-4.1.1)).
pub const HEADER: usize = 12;

/// These bytes are not a DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// The message ends in the middle of its header, a question or a record.
    Short,
    /// A name is too long, has a label of an unknown type, or a pointer that does not point backwards.
    Name,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "the DNS message ends before what its header counts",
            Self::Name => "a name in the DNS message is too long or points where no name can be",
        })
    }
}

impl core::error::Error for MessageError {}

/// A message. Made by [`Message::new`], which reads the header only.
///
/// ```
/// use obtrace_protocols::dns::{RecordType, message::{Message, RecordData}};
/// let bytes = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01\
///               \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01";
/// let message = Message::new(bytes)?;
/// let question = message.questions().next().unwrap()?;
/// assert_eq!(question.name.to_string(), "www.example.com");
/// let record = message.records().next().unwrap()?;
/// assert_eq!((record.kind, record.ttl), (RecordType::A, 60));
/// assert_eq!(record.data(), RecordData::A([10, 0, 0, 1].into()));
/// # Ok::<(), obtrace_protocols::dns::message::MessageError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    id: u16,
    flags: u16,
    counts: [u16; 4],
}

impl<'a> Message<'a> {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// [`MessageError::Short`] of fewer than 12 bytes.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let &[a, b, c, d, e, f, g, h, i, j, k, l, ..] = bytes else { return Err(MessageError::Short) };
        let pair = |high, low| u16::from_be_bytes([high, low]);
        let counts = [pair(e, f), pair(g, h), pair(i, j), pair(k, l)];
        Ok(Self { bytes, id: pair(a, b), flags: pair(c, d), counts })
    }

    /// The number that a response repeats from its query.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// The second pair of bytes, flags with opcode and response code.
    #[must_use]
    pub const fn flags(&self) -> u16 {
        self.flags
    }

    /// QR: a response, not a query.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// What kind of query it is.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        Opcode::new((self.flags >> 11 & 15) as u8)
    }

    /// AA: the answer of a server that is responsible for the name.
    #[must_use]
    pub const fn is_authoritative(&self) -> bool {
        self.flags & 0x0400 != 0
    }

    /// TC: the answer was cut; ask again over TCP.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    /// RD: the server is asked to ask others.
    #[must_use]
    pub const fn recursion_desired(&self) -> bool {
        self.flags & 0x0100 != 0
    }

    /// RA: the server would ask others.
    #[must_use]
    pub const fn recursion_available(&self) -> bool {
        self.flags & 0x0080 != 0
    }

    /// The lower four bits of the response code, which is all of it without EDNS. See [`Message::rcode`].
    #[must_use]
    pub const fn header_rcode(&self) -> Rcode {
        Rcode::new(self.flags & 15)
    }

    /// The response code, with the upper eight bits of an OPT record if there is one
    /// ([RFC 6891 §6.1.3](https://www.rfc-editor.org/rfc/rfc6891#section-6.1.3)). Walks the records.
    #[must_use]
    pub fn rcode(&self) -> Rcode {
        let low = self.flags & 15;
        let options = self.records().map_while(Result::ok).find(|record| record.kind == RecordType::OPT);
        options.map_or(Rcode::new(low), |record| Rcode::new((record.ttl >> 20 & 0xff0) as u16 | low))
    }

    /// How many questions, answers, authority records and additional records the header counts.
    #[must_use]
    pub const fn counts(&self) -> [u16; 4] {
        self.counts
    }

    /// The questions.
    #[inline]
    #[must_use]
    pub fn questions(&self) -> Questions<'a> {
        Questions { bytes: self.bytes, at: HEADER, left: self.counts[0] }
    }

    /// The records of all three sections, in order. An error in the questions comes out as the first item.
    #[inline]
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        let mut questions = self.questions();
        let error = questions.by_ref().find_map(Result::err);
        let [_, answers, authority, additional] = self.counts;
        Records { bytes: self.bytes, at: questions.at, left: [answers, authority, additional], section: 0, error }
    }

    /// The records of the answer section.
    #[inline]
    pub fn answers(&self) -> impl Iterator<Item = Result<Record<'a>, MessageError>> + use<'a> {
        let mut records = self.records();
        records.left = [self.counts[1], 0, 0];
        records
    }

    /// Walks everything that the header counts. Where it ends.
    ///
    /// # Errors
    ///
    /// What is wrong with the first part that cannot be read.
    pub fn end(&self) -> Result<usize, MessageError> {
        let mut records = self.records();
        records.by_ref().try_for_each(|record| record.map(drop))?;
        Ok(records.at)
    }
}

/// A question: what is asked for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Question<'a> {
    /// The name asked for.
    pub name: Name<'a>,
    /// The type asked for.
    pub kind: RecordType,
    /// The class: 1 is the Internet.
    pub class: u16,
}

/// Iterates over the questions; made by [`Message::questions`]. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Questions<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u16,
}

impl<'a> Iterator for Questions<'a> {
    type Item = Result<Question<'a>, MessageError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let question = question(self.bytes, self.at);
        match question {
            Ok((question, end)) => {
                self.at = end;
                Some(Ok(question))
            }
            Err(error) => {
                self.left = 0;
                Some(Err(error))
            }
        }
    }
}

#[inline]
fn question(bytes: &[u8], at: usize) -> Result<(Question<'_>, usize), MessageError> {
    let (name, end) = Name::at(bytes, at)?;
    let &[a, b, c, d, ..] = bytes.get(end..).unwrap_or_default() else { return Err(MessageError::Short) };
    let kind = RecordType::new(u16::from_be_bytes([a, b]));
    Ok((Question { name, kind, class: u16::from_be_bytes([c, d]) }, end.saturating_add(4)))
}

/// The part of a message that a record is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Section {
    /// It answers the question.
    Answer,
    /// It says who is responsible.
    Authority,
    /// It may be useful.
    Additional,
}

/// A record.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Record<'a> {
    /// Where in the message it stands.
    pub section: Section,
    /// Whom it is about.
    pub name: Name<'a>,
    /// Its type.
    pub kind: RecordType,
    /// The class; of an OPT record the largest datagram that its sender takes.
    pub class: u16,
    /// How long it may be kept, in seconds; of an OPT record flags.
    pub ttl: u32,
    /// Its data as it is on the wire. Names in it may point into the rest of the message: see [`Record::data`].
    pub bytes: &'a [u8],
    message: &'a [u8],
    data_at: usize,
}

impl<'a> Record<'a> {
    /// Its data by its type; [`RecordData::Other`] for types without a view, and for data that is not as it should be.
    #[must_use]
    pub fn data(&self) -> RecordData<'a> {
        self.typed().unwrap_or(RecordData::Other(self.bytes))
    }

    fn typed(&self) -> Option<RecordData<'a>> {
        let name = |skip: usize| Name::at(self.message, self.data_at.checked_add(skip)?).ok().map(|(name, _)| name);
        let mut reader = Reader::new(self.bytes);
        Some(match self.kind {
            RecordType::A => RecordData::A(Ipv4Addr::from(<[u8; 4]>::try_from(self.bytes).ok()?)),
            RecordType::AAAA => RecordData::Aaaa(Ipv6Addr::from(<[u8; 16]>::try_from(self.bytes).ok()?)),
            RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::DNAME => RecordData::Name(name(0)?),
            RecordType::MX => RecordData::Mx { preference: reader.u16_be()?, exchange: name(2)? },
            RecordType::SRV => RecordData::Srv {
                priority: reader.u16_be()?,
                weight: reader.u16_be()?,
                port: reader.u16_be()?,
                target: name(6)?,
            },
            RecordType::SOA => {
                let (primary, end) = Name::at(self.message, self.data_at).ok()?;
                let (mailbox, end) = Name::at(self.message, end).ok()?;
                let serial = self.message.get(end..)?.first_chunk::<4>()?;
                RecordData::Soa { primary, mailbox, serial: u32::from_be_bytes(*serial) }
            }
            RecordType::TXT => RecordData::Txt(self.bytes),
            RecordType::CAA => {
                let flags = reader.u8()?;
                let length = reader.u8()?;
                RecordData::Caa { flags, tag: reader.take(usize::from(length))?, value: reader.rest() }
            }
            RecordType::SVCB | RecordType::HTTPS => RecordData::Svcb { priority: reader.u16_be()?, target: name(2)? },
            _ => return None,
        })
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RecordData<'a> {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// CNAME, NS, PTR, DNAME: another name.
    Name(Name<'a>),
    /// A mail server.
    #[non_exhaustive]
    Mx {
        /// The lowest is tried first.
        preference: u16,
        /// Its name.
        exchange: Name<'a>,
    },
    /// A server of a service.
    #[non_exhaustive]
    Srv {
        /// The lowest is tried first.
        priority: u16,
        /// Share among those of one priority.
        weight: u16,
        /// Its port.
        port: u16,
        /// Its name.
        target: Name<'a>,
    },
    /// The start of a zone.
    #[non_exhaustive]
    Soa {
        /// Its first name server.
        primary: Name<'a>,
        /// Who is responsible for it.
        mailbox: Name<'a>,
        /// Its version.
        serial: u32,
    },
    /// Strings, each after its length in a byte.
    Txt(&'a [u8]),
    /// Who may issue certificates.
    #[non_exhaustive]
    Caa {
        /// 128: a tag that must be understood.
        flags: u8,
        /// Which property.
        tag: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// SVCB and HTTPS, without the parameters.
    #[non_exhaustive]
    Svcb {
        /// 0: an alias.
        priority: u16,
        /// The name of the server.
        target: Name<'a>,
    },
    /// Anything else.
    Other(&'a [u8]),
}

/// Iterates over the records; made by [`Message::records`]. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    left: [u16; 3],
    section: usize,
    error: Option<MessageError>,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, MessageError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.error.take() {
            self.section = self.left.len();
            return Some(Err(error));
        }
        let section = loop {
            let left = self.left.get_mut(self.section)?;
            if let Some(fewer) = left.checked_sub(1) {
                *left = fewer;
                break self.section;
            }
            self.section = self.section.saturating_add(1);
        };
        let section = match section {
            0 => Section::Answer,
            1 => Section::Authority,
            _ => Section::Additional,
        };
        match record(self.bytes, self.at, section) {
            Ok((record, end)) => {
                self.at = end;
                Some(Ok(record))
            }
            Err(error) => {
                self.section = self.left.len();
                Some(Err(error))
            }
        }
    }
}

#[inline]
fn record(message: &[u8], at: usize, section: Section) -> Result<(Record<'_>, usize), MessageError> {
    let (name, end) = Name::at(message, at)?;
    let rest = message.get(end..).unwrap_or_default();
    let &[a, b, c, d, e, f, g, h, i, j, ref data @ ..] = rest else { return Err(MessageError::Short) };
    let length = usize::from(u16::from_be_bytes([i, j]));
    let bytes = data.get(..length).ok_or(MessageError::Short)?;
    let data_at = end.saturating_add(10);
    let record = Record {
        section,
        name,
        kind: RecordType::new(u16::from_be_bytes([a, b])),
        class: u16::from_be_bytes([c, d]),
        ttl: u32::from_be_bytes([e, f, g, h]),
        bytes,
        message,
        data_at,
    };
    Ok((record, data_at.saturating_add(length)))
}
