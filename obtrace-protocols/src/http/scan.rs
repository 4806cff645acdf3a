//! Finds line ends, eight bytes at a time.

/// The positions of `\n` in a slice, in order. Looks at every byte once.
#[derive(Clone, Debug)]
pub(super) struct LineEnds<'a> {
    bytes: &'a [u8],
    /// Start of the word that `mask` belongs to.
    word: usize,
    /// Start of the next word.
    next: usize,
    /// The high bit of each byte of the word that is a line end and was not given out yet.
    mask: u64,
}

const WORD: usize = 8;

impl<'a> LineEnds<'a> {
    /// Starts at `from`.
    #[inline]
    pub(super) const fn new(bytes: &'a [u8], from: usize) -> Self {
        Self { bytes, word: from, next: from, mask: 0 }
    }

    /// Finds the next word with a line end.
    #[inline]
    fn advance(&mut self) -> Option<()> {
        let rest = self.bytes.get(self.next..)?;
        let (words, tail) = rest.as_chunks::<WORD>();
        for word in words {
            self.word = self.next;
            self.next = self.next.wrapping_add(WORD);
            self.mask = line_ends(u64::from_le_bytes(*word));
            if self.mask != 0 {
                return Some(());
            }
        }
        if tail.is_empty() {
            return None;
        }
        let mut word = [0; WORD];
        word.get_mut(..tail.len())?.copy_from_slice(tail);
        self.word = self.next;
        self.next = self.bytes.len();
        self.mask = line_ends(u64::from_le_bytes(word));
        (self.mask != 0).then_some(())
    }
}

impl Iterator for LineEnds<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.mask == 0 {
            self.advance()?;
        }
        let byte = (self.mask.trailing_zeros() >> 3) as usize;
        self.mask &= self.mask.wrapping_sub(1);
        Some(self.word.wrapping_add(byte))
    }
}

/// The high bit of each byte that is `\n`. Exact: no carry leaves a byte.
#[inline]
const fn line_ends(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differs = word ^ 0x0a0a_0a0a_0a0a_0a0a;
    !((differs & LOW).wrapping_add(LOW) | differs | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gives_every_line_end(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(0x8a), Just(0x0b), any::<u8>()], 0..100),
            from in 0usize..110,
        ) {
            let found: Vec<usize> = LineEnds::new(&bytes, from).collect();
            let expected: Vec<usize> = (from..bytes.len()).filter(|&at| bytes[at] == b'\n').collect();
            prop_assert_eq!(found, expected);
        }
    }
}
