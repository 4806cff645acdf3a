//! What both directions have in common: strings that are known by their length, of which little is read.

/// How far a direction got with the bytes it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// So many bytes are done with; go on after them.
    Consumed(usize),
    /// Nothing is done with; so many bytes must be there to go on.
    Need(usize),
    /// So many bytes are done with, and after them so many are of no interest.
    Skip(usize, u64),
    /// These bytes are not Redis.
    Misframed,
}

/// One direction: where it stands, and the string that it is inside of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Half {
    /// Offset of the next byte to come, but for what is skipped.
    pub(super) position: u64,
    /// Bytes of a string that are still to come, its line end included.
    pub(super) left: u64,
    /// Bytes that were looked at already for the end of a line.
    pub(super) scanned: u32,
    /// How many bytes of the string are wanted before the others are skipped.
    pub(super) want: u16,
    /// Where messages begin is not known.
    pub(super) lost: bool,
    /// The last byte that was passed over after a loss ended a line.
    pub(super) after_line: bool,
    /// Where the loss ended.
    pub(super) resume: u64,
}

impl Half {
    /// Bytes are shown from this offset on: what lies between was skipped.
    pub(super) fn arrive(&mut self, offset: u64) {
        self.left = self.left.saturating_sub(offset.saturating_sub(self.position));
        self.position = offset;
    }

    /// Begins a string of so many bytes.
    pub(super) fn begin(&mut self, length: u64, want: usize) {
        self.left = length.saturating_add(2);
        self.want = u16::try_from(want).unwrap_or(u16::MAX);
    }

    /// Passes over the string. Its line end is read: so its last byte has a time, and a wrong length is noticed.
    #[inline]
    pub(super) fn pass(&mut self, rest: &[u8]) -> Progress {
        if self.left > 2 {
            let body = self.left.saturating_sub(2);
            let here = usize::try_from(body).unwrap_or(usize::MAX).min(rest.len());
            self.left = self.left.saturating_sub(here as u64);
            if self.left > 2 {
                return Progress::Skip(here, self.left.saturating_sub(2));
            }
            return Progress::Consumed(here);
        }
        let expected: &[u8] = if self.left == 2 { b"\r\n" } else { b"\n" };
        match rest.get(..expected.len()) {
            Some(found) if found == expected => {
                self.left = 0;
                Progress::Consumed(expected.len())
            }
            Some(_) => Progress::Misframed,
            None => Progress::Need(expected.len()),
        }
    }

    /// Bytes up to `offset` were lost. Whether they lay inside the string, so that the next message is known to
    /// begin after it.
    pub(super) fn survives(&mut self, offset: u64, length: u64) -> bool {
        let lost = offset.saturating_sub(self.position);
        let inside = length > 0 && !self.lost && lost < self.left;
        self.position = offset;
        self.left = if inside { self.left.saturating_sub(lost) } else { 0 };
        self.want = 0;
        self.scanned = 0;
        inside
    }

    /// Forgets the string and looks for the next message.
    pub(super) fn lose(&mut self) {
        self.left = 0;
        self.want = 0;
        self.scanned = 0;
        self.lost = true;
        self.after_line = false;
        self.resume = u64::MAX;
    }
}
