//! One direction of a connection: from the kernel's 32-bit sequence numbers to stream offsets, and where the bytes
//! went.

use obtrace_probes::event::{Data, Direction, Missing};

use super::Tally;

/// Holes remembered per direction: they may still be filled by an event that comes a little late.
const MAX_HOLES: usize = 8;

/// The offset of the first byte: one turn up, so that what comes a little late is not before the beginning.
const fn first(sequence: u32) -> u64 {
    1 << 32 | sequence as u64
}

/// The position of one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// Offset after the last byte that an event told of; 0 before the first.
    end: u64,
    /// What became of its bytes.
    pub(super) bytes: Tally,
    /// Where the kernel was told to go on.
    pub(super) verdict: u64,
    /// Bytes that are not there, oldest first. Nearly always empty.
    #[expect(clippy::box_collection, reason = "a socket has two of these: eight bytes are less than a Vec's")]
    holes: Option<Box<Vec<Hole>>>,
}

/// Bytes that are not there and may still come.
#[derive(Clone, Copy, Debug)]
struct Hole {
    from: u64,
    to: u64,
    /// Why; `None`: no event told of them.
    missing: Option<Missing>,
}

/// Where the bytes of an event belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// Stream offset of the first byte.
    pub(super) offset: u64,
    /// Bytes before it that the verdict left out: they will not come.
    pub(super) skipped: Option<(u64, u64)>,
    /// Offset and length of what the event stands for and does not carry.
    pub(super) missing: Option<(u64, u64)>,
}

impl Stream {
    /// Offset after the last byte that an event told of.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// The stream is observed from this sequence number on.
    pub(super) const fn begin(&mut self, sequence: u32) {
        if self.end == 0 {
            self.end = first(sequence);
        }
    }

    /// The stream is over at this sequence number; `skipped` bytes at its end were left out by the verdict. Where bytes
    /// are missing there, and how many.
    pub(super) fn close(&mut self, sequence: u32, skipped: u64) -> Option<(u64, u64)> {
        if self.end == 0 {
            return None;
        }
        let (offset, before) = (self.extend(sequence, skipped), self.end);
        // A send is told of when it is called: the kernel may not have taken the end of the last one.
        self.take_back(offset);
        self.hole_before(offset, skipped);
        (offset > before).then_some((before, offset.saturating_sub(before)))
    }

    /// The stream ends here: nothing of what was counted beyond moved.
    fn take_back(&mut self, end: u64) {
        let mut beyond = self.end.saturating_sub(end);
        for hole in self.holes.iter().flat_map(|holes| holes.iter()) {
            let bytes = hole.to.saturating_sub(hole.from.max(end)).min(beyond);
            let missing = self.bytes.missing_mut(hole.missing);
            *missing = missing.saturating_sub(bytes);
            beyond -= bytes;
        }
        self.bytes.take_back(beyond);
        self.end = self.end.min(end);
    }

    /// Places an event in the stream and counts its bytes, all as skipped if the socket is `ignored`.
    pub(super) fn place(&mut self, data: &Data<'_>, ignored: bool) -> Placed {
        self.bytes.records = self.bytes.records.wrapping_add(1);
        let length = u64::from(data.length);
        if self.is_next(data) {
            let offset = self.end;
            *(if ignored { &mut self.bytes.skipped } else { &mut self.bytes.parsed }) += length;
            self.end = offset.saturating_add(length);
            return Placed { offset, skipped: None, missing: None };
        }
        let offset = self.extend(data.sequence, data.skipped);
        let captured = (data.bytes.len() as u64).min(length);
        let skipped = self.hole_before(offset, data.skipped);
        let end = offset.saturating_add(length);
        let captured_end = offset.saturating_add(captured);
        self.fill(offset, captured_end);
        // What was sent only in part is offered again at the same offset: it counts once.
        let fresh_from = self.end.max(offset);
        let parsed = captured_end.saturating_sub(fresh_from);
        let missing_from = captured_end.max(fresh_from);
        let missing = end.saturating_sub(missing_from);
        if ignored {
            self.bytes.skipped += parsed + missing;
        } else {
            self.bytes.parsed += parsed;
            let reason = data.missing.unwrap_or(Missing::Budget);
            *self.bytes.missing_mut(Some(reason)) += missing;
            if missing > 0 && data.direction == Direction::Sent {
                // If the kernel takes only a part of the call, they are offered again.
                self.remember(Hole { from: missing_from, to: end, missing: Some(reason) });
            }
        }
        self.end = self.end.max(end);
        Placed { offset, skipped, missing: (missing > 0).then_some((missing_from, missing)) }
    }

    /// The usual event: all the bytes that follow, and nothing is waited for.
    #[expect(clippy::cast_possible_truncation, reason = "a sequence number is an offset modulo 2^32")]
    const fn is_next(&self, data: &Data<'_>) -> bool {
        self.end != 0
            && self.end as u32 == data.sequence
            && data.skipped == 0
            && data.bytes.len() == data.length as usize
            && self.holes.is_none()
    }

    /// The offset that is nearest to where the stream should be and has this sequence number.
    fn extend(&mut self, sequence: u32, skipped: u64) -> u64 {
        if self.end == 0 {
            let first = first(sequence);
            self.end = first.saturating_sub(skipped);
            return first;
        }
        let expected = self.end.saturating_add(skipped);
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "arithmetic modulo 2^32")]
        let distance = sequence.wrapping_sub(expected as u32) as i32;
        expected.saturating_add_signed(i64::from(distance))
    }

    /// Counts what lies between the last event and this one.
    fn hole_before(&mut self, offset: u64, skipped: u64) -> Option<(u64, u64)> {
        let hole = offset.saturating_sub(self.end);
        let skipped = skipped.min(hole);
        self.bytes.skipped += skipped;
        let from = self.end;
        self.end = self.end.max(offset);
        let lost = hole - skipped;
        if lost > 0 {
            self.bytes.lost += lost;
            // Where in the hole the lost bytes were is not known; late ones are looked for at its end.
            self.remember(Hole { from: offset - lost, to: offset, missing: None });
        }
        (skipped > 0).then_some((from, hole))
    }

    fn remember(&mut self, hole: Hole) {
        let holes = self.holes.get_or_insert_with(Box::default);
        if holes.len() == MAX_HOLES {
            holes.remove(0);
        }
        holes.push(hole);
    }

    /// Bytes that came late were not lost.
    fn fill(&mut self, from: u64, to: u64) {
        let Some(holes) = self.holes.as_deref_mut() else { return };
        let mut left = Vec::new();
        for &hole in holes.iter() {
            let (cut_from, cut_to) = (hole.from.max(from), hole.to.min(to));
            if cut_from >= cut_to {
                left.push(hole);
                continue;
            }
            let filled = cut_to - cut_from;
            let missing = self.bytes.missing_mut(hole.missing);
            *missing = missing.saturating_sub(filled);
            self.bytes.parsed += filled;
            let rest = [Hole { to: cut_from, ..hole }, Hole { from: cut_to, ..hole }];
            left.extend(rest.into_iter().filter(|hole| hole.from < hole.to));
        }
        left.truncate(MAX_HOLES);
        if left.is_empty() {
            self.holes = None;
        } else {
            *holes = left;
        }
    }

    /// Gives back what is held for late events.
    pub(super) fn shrink(&mut self) {
        self.holes = None;
    }
}
