//! Zstandard ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878)) with the window that HTTP allows, 8 MiB
//! ([RFC 9659](https://www.rfc-editor.org/rfc/rfc9659)). Several frames may follow one another.
//!
//! The library is shown one block at a time, so that no more than one comes out of it at once; up to 128 KiB of a block
//! wait for its end. It gives a window's content out only when it moves on or the frame ends: what comes out comes late.
//! What it holds is known from the heads of frame and blocks before it holds it.

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
/// Bytes of one sequence.
const SEQUENCE: usize = 12;

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
    /// Largest distance back in this frame, and what of its content is held.
    window: usize,
    content: usize,
    /// What the library has taken for content, and for what a block holds.
    ring: usize,
    scratch: usize,
}

impl Default for Zstd {
    fn default() -> Self {
        Self {
            decoder: new_decoder(),
            part: Part::Head,
            has_sum: false,
            waiting: Vec::new(),
            space: vec![0; STEP],
            window: 0,
            content: 0,
            ring: 0,
            scratch: 0,
        }
    }
}

fn new_decoder() -> FrameDecoder {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(MAX_WINDOW);
    decoder
}

impl Zstd {
    pub(super) fn begin(&mut self) {
        self.part = Part::Head;
        self.waiting.clear();
    }

    pub(super) fn decode(&mut self, mut bytes: &[u8], room: usize, output: &mut Output<'_>) -> Result<(), Failure> {
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
                self.whole(here, room, output)
            } else {
                let mut part = waiting;
                part.extend_from_slice(here);
                let go_on = self.whole(&part, room, output);
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
    fn whole(&mut self, bytes: &[u8], room: usize, output: &mut Output<'_>) -> Result<bool, Failure> {
        match self.part {
            Part::Head => {
                let mut head = bytes;
                self.window = window(bytes).ok_or(Failure::Corrupt)?;
                self.content = 0;
                if self.ring > 0 && self.ring <= self.window {
                    // It would take all of a window at once, however little comes.
                    self.decoder = new_decoder();
                    (self.ring, self.scratch) = (0, 0);
                }
                self.decoder.reset(&mut head).map_err(|_| Failure::Corrupt)?;
                self.has_sum = bytes.get(4).is_some_and(|descriptor| descriptor & 4 != 0);
                self.part = Part::Block;
                return Ok(true);
            }
            Part::Block => {
                let start = bytes.first_chunk::<3>().map_or([0; 5], |&[a, b, c]| [a, b, c, 0, 0]);
                let (_, last) = block(start)?;
                self.make_room(bytes, room)?;
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

    /// Counts what the library will hold for a block. Nothing is larger than twice what it is for.
    fn make_room(&mut self, block: &[u8], room: usize) -> Result<(), Failure> {
        let (makes, scratch) = match block.split_first_chunk::<3>() {
            Some((&[a, b, c], content)) => {
                let (kind, size) = (a >> 1 & 3, (u32::from_le_bytes([a, b, c, 0]) >> 3) as usize);
                match kind {
                    2 => (MAX_BLOCK, scratch(content).ok_or(Failure::Corrupt)?),
                    _ => (size, 0),
                }
            }
            None => (0, 0),
        };
        // What is behind the window was given out with the block before.
        self.content = self.content.min(self.window).saturating_add(makes);
        self.ring = self.ring.max(ring(self.content));
        self.scratch = self.scratch.max(scratch.saturating_mul(2));
        if self.memory() > room { Err(Failure::Memory) } else { Ok(()) }
    }

    pub(super) const fn memory(&self) -> usize {
        let held = self.waiting.capacity().saturating_add(self.space.capacity()).saturating_add(TABLES);
        held.saturating_add(self.ring).saturating_add(self.scratch).saturating_add(size_of::<Self>())
    }
}

/// What the library takes for so much content: a power of two, and two blocks if it is more than these.
const fn ring(content: usize) -> usize {
    const SLACK: usize = 2 * MAX_BLOCK;
    let needed = content.saturating_add(1);
    match needed.checked_sub(SLACK) {
        None | Some(0) => needed.next_power_of_two().saturating_add(1),
        Some(more) => more.next_power_of_two().saturating_add(SLACK).saturating_add(1),
    }
}

/// What the library takes for a compressed block of this content: that, its literals, its sequences
/// (RFC 8878, sections 3.1.1.3.1.1 and 3.1.1.3.2.1).
fn scratch(content: &[u8]) -> Option<usize> {
    let head = |length: usize| {
        let mut bits = [0; 8];
        bits.get_mut(..length)?.copy_from_slice(content.get(..length)?);
        Some(usize::try_from(u64::from_le_bytes(bits)).unwrap_or(usize::MAX))
    };
    let first = *content.first()?;
    let format = first >> 2 & 3;
    let (length, made, stored) = match (first & 3, format) {
        (0 | 1, 0 | 2) => (1, head(1)? >> 3, None),
        (0 | 1, 1) => (2, head(2)? >> 4, None),
        (0 | 1, _) => (3, head(3)? >> 4, None),
        (_, 0 | 1) => (3, head(3)? >> 4 & 0x3ff, Some(head(3)? >> 14)),
        (_, 2) => (4, head(4)? >> 4 & 0x3fff, Some(head(4)? >> 18)),
        _ => (5, head(5)? >> 4 & 0x3_ffff, Some(head(5)? >> 22)),
    };
    let stored = stored.unwrap_or(if first & 3 == 0 { made } else { 1 });
    let sequences = match content.get(length..)?.get(stored..)? {
        [few @ 0..128, ..] => usize::from(*few),
        [high @ 128..=254, low, ..] => (usize::from(*high) & 0x7f) << 8 | usize::from(*low),
        [255, low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])).saturating_add(0x7f00),
        _ => return None,
    };
    Some(content.len().saturating_add(made).saturating_add(sequences.saturating_mul(SEQUENCE)))
}

/// How far back a frame with this head refers (section 3.1.1.1.2); what is too large is the library's to refuse.
fn window(head: &[u8]) -> Option<usize> {
    let [.., descriptor] = head.first_chunk::<5>()?;
    let rest = head.get(5..)?;
    if descriptor & 0x20 == 0 {
        let &byte = rest.first()?;
        let base = 1_usize << (10_u32.saturating_add(u32::from(byte >> 3))).min(31);
        return Some(base.saturating_add((base >> 3).saturating_mul(usize::from(byte & 7))));
    }
    // The whole content, whose size stands behind the dictionary's number.
    let dictionary = [0_usize, 1, 2, 4].get(usize::from(descriptor & 3)).copied()?;
    let mut size = [0; 8];
    let bytes = rest.get(dictionary..)?;
    size.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let size = usize::try_from(u64::from_le_bytes(size)).unwrap_or(usize::MAX);
    Some(if bytes.len() == 2 { size.saturating_add(256) } else { size })
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
