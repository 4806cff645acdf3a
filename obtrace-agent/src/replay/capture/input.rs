//! The bytes of a file, read in large parts and shown where they lie.

use std::{
    io::{self, Read},
    ops::Range,
};

use super::CaptureError;

/// Bytes that are asked for at a time.
const PART: usize = 256 * 1024;

/// The file, with the place of the next byte and that of one record.
#[derive(Debug)]
pub(super) struct Input<R> {
    reader: R,
    /// How many bytes were taken.
    pub(super) at: u64,
    /// How often the reader was asked.
    pub(super) reads: u64,
    buffer: Vec<u8>,
    /// What of the buffer was read and not taken.
    rest: Range<usize>,
    /// The newest record, always in front of that.
    record: Range<usize>,
}

impl<R: Read> Input<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, at: 0, reads: 0, buffer: vec![0; PART], rest: 0..0, record: 0..0 }
    }

    /// Fills `bytes`; `false` if the file ends right here.
    pub(super) fn array_or_end(&mut self, what: &'static str, bytes: &mut [u8]) -> Result<bool, CaptureError> {
        if self.fill(bytes.len())? == 0 && !bytes.is_empty() {
            return Ok(false);
        }
        let place = self.take(what, bytes.len())?;
        bytes.copy_from_slice(self.buffer.get(place).unwrap_or_default());
        Ok(true)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CaptureError> {
        let mut bytes = [0; N];
        if self.array_or_end(what, &mut bytes)? {
            return Ok(bytes);
        }
        Err(CaptureError::Truncated { what, at: self.at })
    }

    /// Reads a record's body, which is there until [`Input::release`]. The buffer grows only as bytes come.
    pub(super) fn read_record(&mut self, what: &'static str, length: u32) -> Result<(), CaptureError> {
        self.release();
        self.record = self.take(what, length as usize)?;
        Ok(())
    }

    /// The newest record.
    pub(super) fn record(&self) -> &[u8] {
        self.buffer.get(self.record.clone()).unwrap_or_default()
    }

    /// The record is not looked at any more.
    pub(super) const fn release(&mut self) {
        self.record = self.rest.start..self.rest.start;
    }

    /// Passes over bytes that nobody reads.
    pub(super) fn skip(&mut self, what: &'static str, mut length: u64) -> Result<(), CaptureError> {
        while length > 0 {
            let part = usize::try_from(length).unwrap_or(PART).min(PART);
            self.take(what, part)?;
            self.release();
            length -= part as u64;
        }
        Ok(())
    }

    /// Takes the next bytes: where in the buffer they are.
    fn take(&mut self, what: &'static str, length: usize) -> Result<Range<usize>, CaptureError> {
        let there = self.fill(length)?.min(length);
        let start = self.rest.start;
        self.rest.start += there;
        self.at += there as u64;
        if there < length {
            return Err(CaptureError::Truncated { what, at: self.at });
        }
        Ok(start..self.rest.start)
    }

    /// Reads until so many bytes are there, or the file ends. How many there are.
    #[inline]
    fn fill(&mut self, wanted: usize) -> Result<usize, CaptureError> {
        if self.rest.len() < wanted {
            self.read_more(wanted)?;
        }
        Ok(self.rest.len())
    }

    #[cold]
    fn read_more(&mut self, wanted: usize) -> Result<(), CaptureError> {
        while self.rest.len() < wanted {
            self.make_room(wanted);
            let room = self.buffer.get_mut(self.rest.end..).unwrap_or_default();
            self.reads += 1;
            match self.reader.read(room) {
                Ok(0) => break,
                Ok(length) => self.rest.end += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(CaptureError::Io { at: self.at + self.rest.len() as u64, source }),
            }
        }
        Ok(())
    }

    /// Moves what is still looked at to the front, if what is wanted does not fit behind it; more room only where all of
    /// it is taken.
    fn make_room(&mut self, wanted: usize) {
        let kept = self.record.start;
        if kept > 0 && self.rest.start + wanted > self.buffer.len() {
            self.buffer.copy_within(kept..self.rest.end, 0);
            self.rest = self.rest.start - kept..self.rest.end - kept;
            self.record = 0..self.record.end - kept;
        }
        if self.rest.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives some bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let (piece, rest) = self.0.split_at(self.1.min(self.0.len()).min(to.len()));
            to[..piece.len()].copy_from_slice(piece);
            self.0 = rest;
            Ok(piece.len())
        }
    }

    #[test]
    fn records_stay_while_what_follows_is_read() {
        let bytes: Vec<u8> = (0..3 * PART).map(|at| (at % 251) as u8).collect();
        for size in [1000, PART - 1, PART, 5 * PART] {
            let mut input = Input::new(Pieces(&bytes, size));
            let mut at = 0;
            for length in [10, PART - 16, 7, PART + 100, 4096] {
                input.read_record("a record", u32::try_from(length).unwrap()).unwrap();
                let behind = input.array::<4>("what follows").unwrap();
                assert_eq!(input.record(), &bytes[at..at + length]);
                assert_eq!(behind, bytes[at + length..at + length + 4]);
                at += length + 4;
                assert_eq!(input.at, at as u64);
            }
            input.skip("some", 100_000).unwrap();
            let left = bytes.len() - at - 100_000;
            let error = input.read_record("a record", u32::try_from(left + 1).unwrap()).unwrap_err();
            let end = bytes.len() as u64;
            assert!(matches!(error, CaptureError::Truncated { what: "a record", at } if at == end), "{error}");
            assert!(!input.array_or_end("more", &mut [0; 4]).unwrap());
            // Twice what a record had, not what the last one said.
            assert!(input.buffer.len() <= 4 * PART, "{}", input.buffer.len());
        }
    }
}
