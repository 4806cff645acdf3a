//! What an earlier run left: which segments, what in them still waits, what of it is lost.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, ErrorKind},
    path::Path,
};

use super::{
    Recovered,
    record::{self, ACK, Ack, RecordHead, SEGMENT_HEAD, SegmentHead, Step},
    segment::{self, Segment},
    sys,
};

/// A gap between two records is taken for that many items at most: more than any spool holds.
const MAX_GAP: u64 = 1 << 40;

/// A segment is read that far at most: offsets have 32 bits.
const MAX_LENGTH: u64 = 1 << 32;

#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) segments: VecDeque<Segment>,
    pub(super) recovered: Recovered,
    /// The number that the next item will have.
    pub(super) next_item: u64,
    pub(super) next_number: u64,
    /// Records may be added to the last segment.
    pub(super) open_ended: bool,
    /// Items behind the last whole record of the last segment; `None` if it was not read to its end.
    tail: Option<u64>,
}

/// Reads the folder; what cannot be read is counted and never an error, but for the folder itself, and where the system was
/// short of something: a segment that is there then must not count as lost.
pub(super) fn read(folder: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let (segments, acks) = list(folder)?;
    let mut expected = None;
    let _ = sys::remove(&segment::new_acks_path(folder));
    for &number in &segments {
        found.next_number = number + 1;
        found.open_ended = false;
        found.add(folder, number, &mut expected)?;
    }
    found.next_item = expected.unwrap_or(0);
    found.cut_tail(folder);
    for &number in acks.iter().filter(|number| segments.binary_search(number).is_err()) {
        found.next_number = found.next_number.max(number + 1);
        let _ = sys::remove(&segment::ack_path(folder, number));
    }
    Ok(found)
}

/// The numbers of segments and of ack files, in order.
fn list(folder: &Path) -> io::Result<(Vec<u64>, Vec<u64>)> {
    let (mut segments, mut acks) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((number, is_segment)) = name.to_str().and_then(segment::number_of) else { continue };
        if is_segment { segments.push(number) } else { acks.push(number) }
    }
    segments.sort_unstable();
    acks.sort_unstable();
    Ok((segments, acks))
}

impl Found {
    /// Adds a segment; `expected` is the number of its first item, once it is known.
    fn add(&mut self, folder: &Path, number: u64, expected: &mut Option<u64>) -> io::Result<()> {
        self.tail = None;
        let path = segment::path(folder, number);
        let (head, file, length) = match open(&path) {
            Ok(Ok(opened)) => opened,
            Ok(Err(length)) => {
                // Whoever reads it again finds the same: away with it. What it held shows when a segment comes after it.
                self.recovered.unreadable_bytes = self.recovered.unreadable_bytes.saturating_add(length);
                let _ = sys::remove(&path).and_then(|()| sys::remove(&segment::ack_path(folder, number)));
                return Ok(());
            }
            Err(error) if sys::is_passing(&error) => return Err(error),
            // It may be readable the next time.
            Err(_) => return Ok(()),
        };
        // No record of ours begins behind it, however long the file is.
        let end = length.min(MAX_LENGTH);
        let mut segment = Segment::new(number, head, end);
        let (acks, is_clean) = segment::acks(folder, &segment)?;
        if !is_clean {
            // Where that fails, what is acknowledged from now on is found behind what is none, and what has no place in a file
            // that is too long may be sent again by the next run.
            let _ = segment::rewrite_acks(folder, &segment, &acks);
        }
        let gap = missing(*expected, head.first);
        let mut walk = Walk { segment: &mut segment, folder, acks, next: head.first, at: 0, lost: 0 };
        walk.lose(0, gap, 0, 1);
        walk.at = SEGMENT_HEAD as u64;
        let mut unreadable = 0;
        self.open_ended = loop {
            match record::next(&file, walk.at, end, head.nonce) {
                Ok(Step::Record { at, head, skipped }) if u32::try_from(at).is_ok() => {
                    unreadable += skipped;
                    walk.record(at, head);
                }
                Ok(Step::Torn { head, .. }) => {
                    let tail = missing(Some(walk.next), head.first).saturating_add(head.items.get().into());
                    self.tail = Some(tail.saturating_sub(acked(&walk.acks, walk.at - 1, length)));
                    break true;
                }
                Ok(Step::End) => {
                    self.tail = Some(0);
                    break true;
                }
                Err(error) if sys::is_passing(&error) => return Err(error),
                Ok(Step::Record { .. }) | Err(_) => break false,
            }
        };
        let (next, at, lost) = (walk.next, walk.at, walk.lost);
        // A record in the place of one that arrived would pass for that one.
        self.open_ended &= acked(&walk.acks, at, u64::MAX) == 0;
        segment.acks = walk.acks;
        segment.length = at;
        let recovered = &mut self.recovered;
        recovered.items = recovered.items.saturating_add(segment.waiting.items);
        recovered.lost = recovered.lost.saturating_add(lost);
        recovered.unreadable_bytes = recovered.unreadable_bytes.saturating_add(unreadable).saturating_add(length - at);
        *expected = Some(next);
        self.segments.push_back(segment);
        Ok(())
    }

    /// Cuts what is not a whole record off the last segment, so that more can be added behind what is. Only there is nothing
    /// after the tail that says what it was. One that was not read to its end stays as it is: it may be readable the next time.
    fn cut_tail(&mut self, folder: &Path) {
        let Some(last) = self.segments.back().filter(|last| last.number + 1 == self.next_number) else { return };
        let Some(tail) = self.tail else { return };
        let cut = sys::write(&segment::path(folder, last.number))
            .and_then(|file| if file.metadata()?.len() > last.length { file.set_len(last.length) } else { Ok(()) });
        self.open_ended &= cut.is_ok();
        self.recovered.lost = self.recovered.lost.saturating_add(tail);
    }
}

/// Going through a segment.
struct Walk<'s> {
    segment: &'s mut Segment,
    folder: &'s Path,
    acks: Vec<Ack>,
    /// The number that the next record's first item should have.
    next: u64,
    /// Where the last record ended.
    at: u64,
    lost: u64,
}

impl Walk<'_> {
    fn record(&mut self, at: u64, record: RecordHead) {
        // Noted where no record begins: at the last byte before the gap, as another may lie where the gap began.
        let before = self.at - 1;
        self.lose(before, missing(Some(self.next), record.first), before, at);
        self.next = record.next();
        self.segment.ack_bytes += ACK as u64;
        if acked(&self.acks, at, at + 1) == 0 {
            self.segment.waiting.add(record.items.get());
        }
        self.at = at + record.size();
    }

    /// Counts a gap, but for what was acknowledged of it before it was one, and notes that it was counted.
    fn lose(&mut self, offset: u64, gap: u64, from: u64, to: u64) {
        let lost = gap.saturating_sub(acked(&self.acks, from, to));
        self.lost = self.lost.saturating_add(lost);
        if let (Ok(offset), Ok(items)) = (u32::try_from(offset), u32::try_from(lost))
            && lost > 0
        {
            // Without the note the next run counts them again.
            let _ = self.segment.acknowledge(self.folder, Ack { offset, items });
        }
    }
}

/// The head of a segment, its file and its length; only the length if it is not one.
fn open(path: &Path) -> io::Result<Result<(SegmentHead, File, u64), u64>> {
    let file = sys::read(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let length = metadata.len();
    let mut bytes = [0; SEGMENT_HEAD];
    match sys::read_at(&file, &mut bytes, 0) {
        Ok(()) => Ok(SegmentHead::read(&bytes).map_or(Err(length), |head| Ok((head, file, length)))),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Err(length)),
        Err(error) => Err(error),
    }
}

/// Items between the one that was expected next and the one that was found.
fn missing(expected: Option<u64>, found: u64) -> u64 {
    let gap = expected.map_or(0, |expected| found.saturating_sub(expected));
    if gap > MAX_GAP { 0 } else { gap }
}

/// Items that were acknowledged between two offsets.
fn acked(acks: &[Ack], from: u64, to: u64) -> u64 {
    let start = acks.partition_point(|ack| u64::from(ack.offset) < from);
    let within = acks.iter().skip(start).take_while(|ack| u64::from(ack.offset) < to);
    within.map(|ack| u64::from(ack.items.max(1))).sum()
}
