//! Finds line ends.

use crate::scan::{BLOCK, holds, lowest, matches};

/// The positions of `\n` in a slice, in order. Looks at every byte once.
#[derive(Clone, Debug)]
pub(super) struct LineEnds<'a> {
    bytes: &'a [u8],
    /// Start of the block that `mask` belongs to.
    block: usize,
    /// Start of the next block.
    next: usize,
    /// The high bit of each byte of the block that is a line end and was not given out yet.
    mask: u128,
}

impl<'a> LineEnds<'a> {
    /// Starts at `from`.
    #[inline]
    pub(super) const fn new(bytes: &'a [u8], from: usize) -> Self {
        Self { bytes, block: from, next: from, mask: 0 }
    }

    /// Finds the next block with a line end.
    #[inline]
    fn advance(&mut self) -> Option<()> {
        let rest = self.bytes.get(self.next..)?;
        let (blocks, tail) = rest.as_chunks::<BLOCK>();
        for block in blocks {
            #[cfg(test)]
            crate::scan::looked::add(BLOCK);
            self.block = self.next;
            self.next = self.next.wrapping_add(BLOCK);
            if holds(block, b'\n') {
                self.mask = matches(*block, b'\n');
                return Some(());
            }
        }
        if tail.is_empty() {
            return None;
        }
        #[cfg(test)]
        crate::scan::looked::add(tail.len());
        self.last(tail)
    }

    /// What is shorter than a block. Copied only if the whole slice is: else the block that ends with it is looked at,
    /// without the bytes that were looked at before.
    #[inline]
    fn last(&mut self, tail: &[u8]) -> Option<()> {
        let seen = BLOCK.wrapping_sub(tail.len());
        let block = match self.bytes.last_chunk::<BLOCK>() {
            Some(block) => u128::from_le_bytes(*block).unbounded_shr((seen as u32).wrapping_mul(8)).to_le_bytes(),
            None => {
                let mut block = [0; BLOCK];
                block.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
                block
            }
        };
        self.block = self.next;
        self.next = self.bytes.len();
        self.mask = matches(block, b'\n');
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
        let byte = lowest(self.mask);
        self.mask &= self.mask.wrapping_sub(1);
        Some(self.block.wrapping_add(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Connection, Direction, Role, Shared, Tag, Timestamp, scan::looked};
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

    #[test]
    fn one_byte_at_a_time_is_linear() {
        for unit in [&b"x"[..], b"x\r\nA: ", b"x\r\n\tfolded "] {
            let looked = |length: usize| {
                let mut bytes = b"GET / HTTP/1.1\r\nCookie: ".to_vec();
                bytes.extend(unit.iter().cycle().take(length));
                let config = Config::new().with_role(Some(Role::Client));
                let mut connection = Connection::new(config, &Shared::default());
                let at = Timestamp::from_nanos(1);
                looked::take();
                for (offset, byte) in (0..).zip(&bytes) {
                    connection.handle_data(Direction::Sent, offset, &[*byte], at, Tag::default());
                }
                looked::take()
            };
            let (short, long) = (looked(4 * 1024), looked(32 * 1024));
            // A parser that began again with every byte would look at sixty-four times as much.
            assert!(short >= 4 * 1024 && long < short * 10, "{unit:?}: {short} for 4 KiB, {long} for 32 KiB");
        }
    }
}
