//! One direction of a connection: from the kernel's 32-bit sequence numbers to stream offsets, and where the bytes
//! went.

use obtrace_probes::event::{Data, Missing};

use super::Tally;

/// Holes remembered per direction: they may still be filled by an event that comes a little late.
const MAX_HOLES: usize = 8;

/// The position of one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// Offset after the last byte that an event told of; 0 before the first.
    end: u64,
    /// What became of its bytes.
    pub(super) bytes: Tally,
    /// Where the kernel was told to go on.
    pub(super) verdict: u64,
    /// Bytes that no event told of, oldest first. Nearly always empty.
    #[expect(clippy::box_collection, reason = "a socket has two of these: eight bytes are less than a Vec's")]
    holes: Option<Box<Vec<(u64, u64)>>>,
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

    /// Places an event in the stream and counts its bytes, all as skipped if the socket is `ignored`.
    pub(super) fn place(&mut self, data: &Data<'_>, ignored: bool) -> Placed {
        let offset = self.extend(data.sequence, data.skipped);
        let length = u64::from(data.length);
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
            *match data.missing {
                Some(Missing::Fault) => &mut self.bytes.fault,
                Some(Missing::Kernel) => &mut self.bytes.kernel,
                _ => &mut self.bytes.budget,
            } += missing;
        }
        self.end = self.end.max(end);
        Placed { offset, skipped, missing: (missing > 0).then_some((missing_from, missing)) }
    }

    /// The offset that is nearest to where the stream should be and has this sequence number.
    fn extend(&mut self, sequence: u32, skipped: u64) -> u64 {
        if self.end == 0 {
            // One turn up, so that what comes a little late is not before the beginning.
            let first = 1 << 32 | u64::from(sequence);
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
            let holes = self.holes.get_or_insert_with(Box::default);
            if holes.len() == MAX_HOLES {
                holes.remove(0);
            }
            holes.push((offset - lost, offset));
        }
        (skipped > 0).then_some((from, hole))
    }

    /// Bytes that came late were not lost.
    fn fill(&mut self, from: u64, to: u64) {
        let Some(holes) = self.holes.as_deref_mut() else { return };
        let mut left = Vec::new();
        for &(start, end) in holes.iter() {
            let (cut_from, cut_to) = (start.max(from), end.min(to));
            if cut_from >= cut_to {
                left.push((start, end));
                continue;
            }
            self.bytes.lost = self.bytes.lost.saturating_sub(cut_to - cut_from);
            self.bytes.parsed += cut_to - cut_from;
            left.extend([(start, cut_from), (cut_to, end)].into_iter().filter(|(start, end)| start < end));
        }
        left.truncate(MAX_HOLES);
        if left.is_empty() {
            self.holes = None;
        } else {
            *holes = left;
        }
    }

    /// The verdict left out so many bytes that no event told of.
    pub(super) const fn skipped(&mut self, bytes: u64) {
        self.bytes.skipped = self.bytes.skipped.saturating_add(bytes);
        self.end = self.end.saturating_add(bytes);
    }

    /// Gives back what is held for late events.
    pub(super) fn shrink(&mut self) {
        self.holes = None;
    }
}
