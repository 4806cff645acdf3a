//! How records lie in a segment, and how they are found again when bytes between them are not what was written.
//!
//! A segment is a head of 32 bytes and records, each a head of 32 bytes and a body; all numbers little-endian. A segment's head:
//! mark (8), nonce (8), number of its first item (8), zero (4), CRC-32 of the 28 bytes before it. A record's: mark (4), length of
//! the body (4), items (4), signal, format, flags and zero (1 each), number of its first item (8), CRC-32 of the body (4), CRC-32
//! of the 28 bytes before it, begun with the segment's nonce: nothing that a body holds passes for a record.

use std::{fs::File, io, num::NonZeroU32};

use super::{Format, MAX_BODY, Signal, sys::read_at};

pub(super) const SEGMENT_HEAD: usize = 32;
pub(super) const RECORD_HEAD: usize = 32;
/// An entry of an ack file: offset of the record, its items, CRC-32 of both and the segment's nonce.
pub(super) const ACK: usize = 12;

const SEGMENT_MARK: [u8; 8] = *b"OBTSPL\x00\x01";
const RECORD_MARK: [u8; 4] = *b"OBR\x01";
const GZIP: u8 = 1;
/// Bytes of the longest body as it is stored: gzip adds less than an eighth to what does not shrink.
pub(super) const MAX_STORED: u32 = (MAX_BODY + MAX_BODY / 8) as u32;
/// Bytes that are looked through at a time.
const MAX_WINDOW: usize = 64 * 1024;

/// What the first bytes of a segment say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHead {
    /// Made for this segment: its records and acknowledgements pass for no other's.
    pub(super) nonce: u64,
    /// Items that the spool was ever given before this segment.
    pub(super) first: u64,
}

impl SegmentHead {
    pub(super) fn to_bytes(self) -> [u8; SEGMENT_HEAD] {
        let mut head = Writer::<SEGMENT_HEAD>::new();
        head.put(&SEGMENT_MARK).put(&self.nonce.to_le_bytes()).put(&self.first.to_le_bytes()).put(&[0; 4]);
        head.seal(0)
    }

    pub(super) fn read(bytes: &[u8; SEGMENT_HEAD]) -> Option<Self> {
        let mut fields = Reader::sealed(bytes, 0)?;
        (fields.array()? == SEGMENT_MARK).then_some(())?;
        Some(Self { nonce: u64::from_le_bytes(fields.array()?), first: u64::from_le_bytes(fields.array()?) })
    }
}

/// What is known of a record without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub(super) length: u32,
    pub(super) items: NonZeroU32,
    pub(super) signal: Signal,
    pub(super) format: Format,
    /// Items that the spool was ever given before this record.
    pub(super) first: u64,
    pub(super) body_crc: u32,
}

impl RecordHead {
    pub(super) fn to_bytes(self, nonce: u64) -> [u8; RECORD_HEAD] {
        let mut head = Writer::<RECORD_HEAD>::new();
        head.put(&RECORD_MARK)
            .put(&self.length.to_le_bytes())
            .put(&self.items.get().to_le_bytes())
            .put(&[signal_code(self.signal), format_code(self.format), GZIP, 0])
            .put(&self.first.to_le_bytes())
            .put(&self.body_crc.to_le_bytes());
        head.seal(nonce)
    }

    pub(super) fn read(bytes: &[u8; RECORD_HEAD], nonce: u64) -> Option<Self> {
        // It is asked of every byte, and the checksum takes longer.
        bytes.starts_with(&RECORD_MARK).then_some(())?;
        let mut fields = Reader::sealed(bytes, nonce)?;
        let _mark: [u8; RECORD_MARK.len()] = fields.array()?;
        let length = u32::from_le_bytes(fields.array()?);
        (length <= MAX_STORED).then_some(())?;
        let items = NonZeroU32::new(u32::from_le_bytes(fields.array()?))?;
        let [signal, format, flags, _] = fields.array()?;
        (flags == GZIP).then_some(())?;
        Some(Self {
            length,
            items,
            signal: signal_of(signal)?,
            format: format_of(format)?,
            first: u64::from_le_bytes(fields.array()?),
            body_crc: u32::from_le_bytes(fields.array()?),
        })
    }

    /// Bytes of the record.
    pub(super) fn size(&self) -> u64 {
        RECORD_HEAD as u64 + u64::from(self.length)
    }

    /// The number of the item after this record.
    pub(super) fn next(&self) -> u64 {
        self.first.saturating_add(self.items.get().into())
    }
}

/// An acknowledgement: the record at this offset of its segment needs to be sent no more. Or, at the last byte before a gap:
/// so many items of it were counted as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ack {
    pub(super) offset: u32,
    pub(super) items: u32,
}

impl Ack {
    pub(super) fn to_bytes(self, nonce: u64) -> [u8; ACK] {
        let mut entry = Writer::<ACK>::new();
        entry.put(&self.offset.to_le_bytes()).put(&self.items.to_le_bytes());
        entry.seal(nonce)
    }

    /// Those of a file's entries that are whole, by offset; and whether there is nothing else in it. An entry that was torn
    /// moves those after it, so they are looked for at every byte.
    pub(super) fn read_all(mut bytes: &[u8], nonce: u64) -> (Vec<Self>, bool) {
        let (mut acks, mut is_clean) = (Vec::new(), true);
        while let Some((_, behind)) = bytes.split_first() {
            if let Some((entry, rest)) = bytes.split_first_chunk()
                && let Some(ack) = Self::read(entry, nonce)
            {
                acks.push(ack);
                bytes = rest;
            } else {
                is_clean = false;
                bytes = behind;
            }
        }
        acks.sort_unstable();
        acks.dedup();
        (acks, is_clean)
    }

    fn read(entry: &[u8; ACK], nonce: u64) -> Option<Self> {
        let mut fields = Reader::sealed(entry, nonce)?;
        let offset = u32::from_le_bytes(fields.array()?);
        Some(Self { offset, items: u32::from_le_bytes(fields.array()?) })
    }
}

/// What lies at an offset of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record, whole by its length; `skipped` bytes before it are not what was written.
    Record { at: u64, head: RecordHead, skipped: u64 },
    /// A record whose body goes beyond the end.
    Torn { at: u64, head: RecordHead },
    /// No record up to the end.
    End,
}

/// The next record of a segment of `end` bytes, at `from` or after it. Whatever lies there, each byte is read once, but for
/// the few at the ends of windows.
pub(super) fn next(file: &File, from: u64, end: u64, nonce: u64) -> io::Result<Step> {
    search(|bytes, at| read_at(file, bytes, at), from, end, nonce)
}

fn search(mut read: impl FnMut(&mut [u8], u64) -> io::Result<()>, from: u64, end: u64, nonce: u64) -> io::Result<Step> {
    let (mut at, mut window, mut torn) = (from, Vec::new(), None);
    // It is there, or not far behind.
    let mut size = RECORD_HEAD;
    while end.saturating_sub(at) >= RECORD_HEAD as u64 {
        window.resize(usize::try_from(end - at).unwrap_or(usize::MAX).min(size), 0);
        read(&mut window, at)?;
        for (at, bytes) in (at..).zip(window.windows(RECORD_HEAD)) {
            let Some(head) = bytes.first_chunk().and_then(|bytes| RecordHead::read(bytes, nonce)) else { continue };
            if head.size() <= end - at {
                return Ok(Step::Record { at, head, skipped: at - from });
            }
            // After garbled bytes there may be a whole one yet; after a torn one there is nothing that we wrote.
            torn.get_or_insert(Step::Torn { at, head });
        }
        at += (window.len() - (RECORD_HEAD - 1)) as u64;
        size = (size * 8).min(MAX_WINDOW);
    }
    Ok(torn.unwrap_or(Step::End))
}

pub(super) fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn seeded(bytes: &[u8], nonce: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&nonce.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

const fn signal_code(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 1,
        Signal::Metrics => 2,
        Signal::Logs => 3,
    }
}

const fn signal_of(code: u8) -> Option<Signal> {
    match code {
        1 => Some(Signal::Traces),
        2 => Some(Signal::Metrics),
        3 => Some(Signal::Logs),
        _ => None,
    }
}

const fn format_code(format: Format) -> u8 {
    match format {
        Format::Json => 1,
        Format::Protobuf => 2,
    }
}

const fn format_of(code: u8) -> Option<Format> {
    match code {
        1 => Some(Format::Json),
        2 => Some(Format::Protobuf),
        _ => None,
    }
}

/// Fields one after the other; the last four bytes are their checksum.
struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    fn put(&mut self, field: &[u8]) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(self.at..self.at + field.len()) {
            place.copy_from_slice(field);
            self.at += field.len();
        }
        self
    }

    fn seal(mut self, nonce: u64) -> [u8; N] {
        let crc = self.bytes.split_last_chunk::<4>().map_or(0, |(fields, _)| seeded(fields, nonce));
        self.put(&crc.to_le_bytes());
        self.bytes
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    /// The fields before a checksum that fits them.
    fn sealed(bytes: &'b [u8], nonce: u64) -> Option<Self> {
        let (fields, crc) = bytes.split_last_chunk::<4>()?;
        (u32::from_le_bytes(*crc) == seeded(fields, nonce)).then_some(Self(fields))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{Compressor, Method};

    fn head() -> RecordHead {
        RecordHead {
            length: 70_000,
            items: NonZeroU32::new(500).unwrap(),
            signal: Signal::Logs,
            format: Format::Protobuf,
            first: 1 << 40,
            body_crc: 0xdead_beef,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let segment = SegmentHead { nonce: 7, first: u64::MAX };
        assert_eq!(SegmentHead::read(&segment.to_bytes()), Some(segment));
        assert_eq!(RecordHead::read(&head().to_bytes(9), 9), Some(head()));
        let acks = [Ack { offset: 32, items: 500 }, Ack { offset: 90_000, items: 1 }];
        let bytes = [acks[1].to_bytes(9), acks[0].to_bytes(9), acks[1].to_bytes(9)].concat();
        assert_eq!(Ack::read_all(&bytes, 9), (acks.to_vec(), true));
        let torn = [&bytes[..17], &bytes[..]].concat();
        assert_eq!(Ack::read_all(&torn, 9), (acks.to_vec(), false));
    }

    /// Searches bytes; gives how many were read for it, too.
    fn search_in(bytes: &[u8], from: u64) -> (Step, usize) {
        let mut count = 0;
        let read = |window: &mut [u8], at: u64| {
            count += window.len();
            let at = usize::try_from(at).unwrap();
            window.copy_from_slice(&bytes[at..at + window.len()]);
            Ok(())
        };
        let step = search(read, from, bytes.len() as u64, 9).unwrap();
        (step, count)
    }

    #[test]
    fn a_record_is_found_wherever_it_lies_and_no_byte_is_read_often() {
        let head = RecordHead { length: 10, ..head() };
        let record = [&head.to_bytes(9)[..], &[7; 10]].concat();
        // Also across the ends of windows.
        for skipped in (0..700).chain(2000..2700).chain(100_000..100_050) {
            let bytes = [&RECORD_MARK.repeat(skipped / 4 + 1)[..skipped], &record].concat();
            let (step, read) = search_in(&bytes, 0);
            assert_eq!(step, Step::Record { at: skipped as u64, head, skipped: skipped as u64 });
            assert!(read <= 2 * (skipped + 8 * RECORD_HEAD), "{read} bytes for {skipped}");
        }
        let marks = RECORD_MARK.repeat(1 << 20);
        let (step, read) = search_in(&marks, 1);
        assert_eq!(step, Step::End);
        assert!(read < marks.len() + marks.len() / 100, "{read}");
        assert_eq!(search_in(&record, 0), (Step::Record { at: 0, head, skipped: 0 }, RECORD_HEAD));
    }

    #[test]
    fn a_torn_record_is_one_only_if_no_whole_one_comes_after_it() {
        let torn = RecordHead { length: 500, ..head() };
        let whole = RecordHead { length: 0, ..head() };
        let garbled = [0; 40];
        let bytes = [&garbled[..], &torn.to_bytes(9), &garbled].concat();
        assert_eq!(search_in(&bytes, 0).0, Step::Torn { at: 40, head: torn });
        let bytes = [&bytes[..], &whole.to_bytes(9)].concat();
        assert_eq!(search_in(&bytes, 0).0, Step::Record { at: 112, head: whole, skipped: 112 });
    }

    #[test]
    fn no_record_is_longer_than_what_is_ever_written() {
        for (length, passes) in [(MAX_STORED, true), (MAX_STORED + 1, false), (u32::MAX, false)] {
            let head = RecordHead { length, ..head() };
            assert_eq!(RecordHead::read(&head.to_bytes(9), 9), passes.then_some(head));
        }
        // Noise grows when it is compressed.
        let noise: Vec<u8> = (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 11 ^ n >> 3) as u8).collect();
        let mut stored = Vec::new();
        Compressor::new(Method::Gzip).unwrap().compress(&noise, &mut stored).unwrap();
        assert!(stored.len() < noise.len() + noise.len() / 8, "{}", stored.len());
    }

    #[test]
    fn no_changed_bit_and_no_other_segments_nonce_passes() {
        let (record, ack) = (head().to_bytes(9), Ack { offset: 32, items: 5 }.to_bytes(9));
        assert_eq!(RecordHead::read(&record, 8), None);
        assert_eq!(Ack::read_all(&ack, 8), (Vec::new(), false));
        for bit in 0..RECORD_HEAD * 8 {
            let mut changed = record;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHead::read(&changed, 9), None, "bit {bit}");
        }
        for bit in 0..ACK * 8 {
            let mut changed = ack;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Ack::read_all(&changed, 9).0, [], "bit {bit}");
        }
    }
}
