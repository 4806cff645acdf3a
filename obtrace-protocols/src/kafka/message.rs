//! Single messages, read without a copy: what a [`Connection`](crate::Connection) pairs.
//!
//! ```
//! use obtrace_protocols::kafka::message::{Value, read_request};
//! let bytes = b"\0\0\0\x1a\0\x0c\0\0\0\0\0\x07\0\x04shop\0\x02g1\0\0\0\x03\0\x02m1";
//! let mut group = None;
//! let header = read_request(bytes, |value| {
//!     if let Value::Group(name) = value {
//!         group = Some(name.to_vec());
//!     }
//! })?;
//! assert_eq!((header.name(), header.correlation_id), (Some("Heartbeat"), 7));
//! assert_eq!(group.as_deref(), Some(&b"g1"[..]));
//! # Ok::<(), obtrace_protocols::kafka::message::MessageError>(())
//! ```

use core::fmt;

use super::{
    detect::{Header, MIN_REQUEST, MIN_RESPONSE},
    error::ErrorCode,
    records::Batch,
    schema::{self, Means},
    walk::{Stop, Visitor, Walk},
};
use crate::reader::Reader;

/// Something that a message says, in the order of the wire. Strings are cut after 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// `client.id`, in the header of a request.
    ClientId(&'a [u8]),
    /// A topic's name; the partitions that follow are of it.
    Topic(&'a [u8]),
    /// A topic's id.
    TopicId([u8; 16]),
    /// A partition; offset, records and error that follow are of it.
    Partition(i32),
    /// Where records are put, found or read from, or what is committed.
    Offset(i64),
    /// Records of the format 2 that lie together, or a message of the formats 0 and 1.
    Batch {
        /// Offset of the first record; of a compressed message of the formats 0 and 1 that of the last.
        offset: i64,
        /// How many records, without the markers of transactions. `None` of a compressed message of the formats 0 and
        /// 1.
        records: Option<u32>,
        /// Bytes, with the head.
        size: u64,
    },
    /// The consumer group.
    Group(&'a [u8]),
    /// The member of a group.
    Member(&'a [u8]),
    /// `transactional.id`.
    TransactionalId(&'a [u8]),
    /// How many brokers have to have the records; -1 for all in sync.
    Acks(i16),
    /// What was refused. Also where nothing was: 0.
    Error(ErrorCode),
}

/// The fixed part of a request's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestHeader {
    /// Bytes of the message with its size.
    pub size: usize,
    /// What is asked for.
    pub api_key: i16,
    /// In which version.
    pub api_version: i16,
    /// What the response will be known by.
    pub correlation_id: i32,
}

impl RequestHeader {
    /// What is asked for, as the protocol guide names it; `None` of what came after Kafka 4.1.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        schema::find(self.api_key).map(|api| api.name)
    }
}

/// Why a message could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// There are fewer bytes than its size says.
    Short,
    /// It does not begin as a message does.
    Header,
    /// Its lengths contradict each other. What stands before that was told.
    Broken,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "the message is not whole",
            Self::Header => "not the header of a Kafka message",
            Self::Broken => "the message contradicts itself",
        })
    }
}

impl core::error::Error for MessageError {}

/// Reads the request that `bytes` begin with, from its size on.
///
/// # Errors
///
/// If it is not whole, no request, or damaged.
#[inline]
pub fn read_request(bytes: &[u8], take: impl FnMut(Value<'_>)) -> Result<RequestHeader, MessageError> {
    let header = Header::read(bytes).ok_or(MessageError::Short)?;
    if !header.is_possible() {
        return Err(MessageError::Header);
    }
    let Header { size, key, version, correlation } = header;
    walk(bytes, size, MIN_REQUEST, Walk::request(key, version, size.saturating_sub(MIN_REQUEST).into()), take)?;
    let size = (size as usize).saturating_add(4);
    Ok(RequestHeader { size, api_key: key, api_version: version, correlation_id: correlation })
}

/// Reads the response that `bytes` begin with, from its size on, to a request of this kind and version. Gives its
/// correlation id.
///
/// # Errors
///
/// As [`read_request`].
#[inline]
pub fn read_response(
    bytes: &[u8],
    api_key: i16,
    api_version: i16,
    take: impl FnMut(Value<'_>),
) -> Result<i32, MessageError> {
    let mut reader = Reader::new(bytes);
    let (size, correlation) = reader.u32_be().zip(reader.i32_be()).ok_or(MessageError::Short)?;
    let left = size.checked_sub(MIN_RESPONSE).ok_or(MessageError::Header)?;
    walk(bytes, size, MIN_RESPONSE, Walk::response(api_key, api_version, left.into()), take)?;
    Ok(correlation)
}

/// Reads what is behind the first `fixed` bytes of a message of `size` bytes.
fn walk(bytes: &[u8], size: u32, fixed: u32, mut walk: Walk, take: impl FnMut(Value<'_>)) -> Result<(), MessageError> {
    let from = (fixed as usize).saturating_add(4);
    let to = (size as usize).saturating_add(4);
    let body = bytes.get(from..to).ok_or(MessageError::Short)?;
    match walk.go(body, &mut Taker(take)) {
        (_, Stop::Over) if !walk.is_broken() => Ok(()),
        _ => Err(MessageError::Broken),
    }
}

struct Taker<F>(F);

impl<F: FnMut(Value<'_>)> Visitor for Taker<F> {
    #[inline]
    fn number(&mut self, means: Means, value: i64) {
        let small = i32::try_from(value).unwrap_or(0);
        let tiny = i16::try_from(value).unwrap_or(0);
        (self.0)(match means {
            Means::Partition => Value::Partition(small),
            Means::Offset | Means::FetchOffset | Means::CommittedOffset => Value::Offset(value),
            Means::Acks => Value::Acks(tiny),
            Means::Error => Value::Error(ErrorCode::new(tiny)),
            _ => return,
        });
    }

    #[inline]
    fn text(&mut self, means: Means, text: Option<&[u8]>) {
        let Some(text) = text else { return };
        (self.0)(match means {
            Means::Client => Value::ClientId(text),
            Means::Topic => Value::Topic(text),
            Means::Group => Value::Group(text),
            Means::Member => Value::Member(text),
            Means::Transaction => Value::TransactionalId(text),
            _ => return,
        });
    }

    #[inline]
    fn id(&mut self, means: Means, id: [u8; 16]) {
        if means == Means::TopicId {
            (self.0)(Value::TopicId(id));
        }
    }

    #[inline]
    fn end(&mut self, _means: Means) {}

    #[inline]
    fn batch(&mut self, batch: &Batch) {
        let &Batch { offset, records, size } = batch;
        (self.0)(Value::Batch { offset, records, size });
    }
}
