//! Heads of record batches, and of the messages that came before them
//! ([message format](https://kafka.apache.org/documentation/#messageformat)). Records themselves are not looked at.

use crate::reader::Reader;

/// Offset and length.
const FRONT: u64 = 12;
/// The shortest part in which the format is told: offset, length, leader epoch or checksum, magic.
const MAGIC: usize = 17;
/// A batch of the format 2 up to its records (KIP-98).
const BATCH: usize = 61;
/// A message of the formats 0 and 1 up to its attributes.
const MESSAGE: usize = 18;
/// The bits of the attributes that name a compression.
const COMPRESSION: i16 = 0x07;
/// The batch ends a transaction: its record is a marker, which consumers are not shown.
const CONTROL: i16 = 0x20;

/// Records that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Offset of the first record; of a compressed message of the formats 0 and 1 that of its last.
    pub(super) offset: i64,
    /// How many records there are. `None` of a compressed message of the formats 0 and 1: it has them inside.
    pub(super) records: Option<u32>,
    /// Bytes with all of the head.
    pub(super) size: u64,
}

pub(super) enum Head {
    /// So many bytes must be there.
    Need(usize),
    Cut,
    Batch(Batch),
}

/// What the next of `left` bytes of records begin.
pub(super) fn head(bytes: &[u8], left: u64) -> Head {
    if left < MAGIC as u64 {
        return Head::Cut;
    }
    let Some(front) = bytes.first_chunk::<MAGIC>() else { return Head::Need(MAGIC) };
    let mut reader = Reader::new(front);
    let offset = reader.take_array().map_or(0, i64::from_be_bytes);
    let Some(length) = reader.i32_be().and_then(|length| u64::try_from(length).ok()) else { return Head::Cut };
    let size = length.saturating_add(FRONT);
    let [.., magic] = *front;
    let shortest = if magic == 2 { BATCH } else { MESSAGE };
    if size > left || size < shortest as u64 {
        return Head::Cut;
    }
    let Some(head) = bytes.get(..shortest) else { return Head::Need(shortest) };
    let mut reader = Reader::new(head);
    match magic {
        2 => {
            reader.take(21);
            let attributes = reader.take_array().map_or(0, i16::from_be_bytes);
            reader.take(34);
            let records = reader.i32_be().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
            let records = Some(if attributes & CONTROL == 0 { records } else { 0 });
            Head::Batch(Batch { offset, records, size })
        }
        0 | 1 => {
            reader.take(MAGIC);
            let attributes = reader.u8().map_or(0, i16::from);
            let records = (attributes & COMPRESSION == 0).then_some(1);
            Head::Batch(Batch { offset, records, size })
        }
        _ => Head::Cut,
    }
}
