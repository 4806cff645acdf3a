//! Zstandard ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878)) with the window that HTTP allows, 8 MiB
//! ([RFC 9659](https://www.rfc-editor.org/rfc/rfc9659)). Several frames may follow one another.
//!
//! The library is shown one block at a time, so that no more than one comes out of it at once; up to 128 KiB of a block
//! wait for its end. It gives a window's content out only when it moves on or the frame ends: what comes out comes late.

use alloc::{vec, vec::Vec};

use ruzstd::{decoding::FrameDecoder, io::Read};

use super::{Failure, Output};

const MAX_WINDOW: u64 = 8 * 1024 * 1024;
/// Largest content of a block.
const MAX_BLOCK: usize = 128 * 1024;
/// Bytes that are given out at a time.
const STEP: usize = 16 * 1024;
/// Tables of the library, about.
const TABLES: usize = 64 * 1024;

/// What a body goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The head of a frame.
    Head,
    Block,
    /// The check sum of a frame.
    Sum,
}

/// See the module.
pub(super) struct Zstd {
    decoder: FrameDecoder,
    part: Part,
    has_sum: bool,
    /// The beginning of a part that is not whole.
    waiting: Vec<u8>,
    space: Vec<u8>,
}

impl Default for Zstd {
    fn default() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { decoder, part: Part::Head, has_sum: false, waiting: Vec::new(), space: vec![0; STEP] }
    }
}

impl Zstd {
    pub(super) fn begin(&mut self) {
        self.part = Part::Head;
        self.waiting.clear();
    }

    pub(super) fn decode(&mut self, mut bytes: &[u8], output: &mut Output<'_>) -> Result<(), Failure> {
        loop {
            // No part is longer than what is asked for, so that what waits is bounded.
            let wanted = self.length(&self.waiting, bytes)?;
            let missing = wanted.saturating_sub(self.waiting.len());
            let Some((here, rest)) = bytes.split_at_checked(missing) else {
                self.waiting.extend_from_slice(bytes);
                return Ok(());
            };
            bytes = rest;
            let waiting = core::mem::take(&mut self.waiting);
            let go_on = if waiting.is_empty() {
                self.whole(here, output)
            } else {
                let mut part = waiting;
                part.extend_from_slice(here);
                let go_on = self.whole(&part, output);
                part.clear();
                self.waiting = part;
                go_on
            };
            if !go_on? || bytes.is_empty() {
                return Ok(());
            }
        }
    }

    /// How long the next part is, or at least more than what is here of it.
    fn length(&self, waiting: &[u8], bytes: &[u8]) -> Result<usize, Failure> {
        let mut start = [0; 5];
        let here = waiting.iter().chain(bytes).take(start.len());
        let known = start.iter_mut().zip(here).map(|(to, from)| *to = *from).count();
        match self.part {
            Part::Head if known < 5 => Ok(5),
            Part::Head => head_length(start),
            Part::Block if known < 3 => Ok(3),
            Part::Block => Ok(block(start)?.0),
            Part::Sum => Ok(4),
        }
    }

    /// Takes a part that is whole. `false`: no more is wanted.
    fn whole(&mut self, bytes: &[u8], output: &mut Output<'_>) -> Result<bool, Failure> {
        match self.part {
            Part::Head => {
                let mut head = bytes;
                self.decoder.reset(&mut head).map_err(|_| Failure::Corrupt)?;
                self.has_sum = bytes.get(4).is_some_and(|descriptor| descriptor & 4 != 0);
                self.part = Part::Block;
                return Ok(true);
            }
            Part::Block => {
                let start = bytes.first_chunk::<3>().map_or([0; 5], |&[a, b, c]| [a, b, c, 0, 0]);
                let (_, last) = block(start)?;
                self.decoder.decode_from_to(bytes, &mut []).map_err(|_| Failure::Corrupt)?;
                self.part = match last {
                    false => Part::Block,
                    true if self.has_sum => Part::Sum,
                    true => Part::Head,
                };
            }
            Part::Sum => {
                self.decoder.decode_from_to(bytes, &mut []).map_err(|_| Failure::Corrupt)?;
                self.part = Part::Head;
            }
        }
        loop {
            let made = self.decoder.read(&mut self.space).map_err(|_| Failure::Corrupt)?;
            match self.space.get(..made).filter(|made| !made.is_empty()) {
                None => return Ok(true),
                Some(made) if !output(made) => return Ok(false),
                Some(_) => {}
            }
        }
    }

    pub(super) fn memory(&self) -> usize {
        let window = self.decoder.blocks_decoded().saturating_mul(MAX_BLOCK).min(MAX_WINDOW as usize);
        let held = self.waiting.capacity().saturating_add(self.space.capacity()).saturating_add(TABLES);
        held.saturating_add(window).saturating_add(size_of::<Self>())
    }
}

/// The length of the head that begins a frame (RFC 8878, section 3.1.1.1), from its magic number and descriptor.
fn head_length([a, b, c, d, descriptor]: [u8; 5]) -> Result<usize, Failure> {
    if [a, b, c, d] != [0x28, 0xb5, 0x2f, 0xfd] {
        return Err(Failure::Corrupt);
    }
    let single = descriptor & 0x20 != 0;
    let dictionary = [0_usize, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or(0);
    let size = match descriptor >> 6 {
        0 => usize::from(single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    Ok(5_usize.saturating_add(usize::from(!single)).saturating_add(dictionary).saturating_add(size))
}

/// The length of a block with its header (section 3.1.1.2), and whether it is the frame's last.
fn block([a, b, c, ..]: [u8; 5]) -> Result<(usize, bool), Failure> {
    let header = u32::from_le_bytes([a, b, c, 0]);
    let size = (header >> 3) as usize;
    let content = match header >> 1 & 3 {
        0 | 2 => size,
        1 => 1,
        _ => return Err(Failure::Corrupt),
    };
    if size > MAX_BLOCK {
        return Err(Failure::Corrupt);
    }
    Ok((content.saturating_add(3), header & 1 == 1))
}
