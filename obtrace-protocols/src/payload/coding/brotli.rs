//! Brotli ([RFC 7932](https://www.rfc-editor.org/rfc/rfc7932)). Its window may be 16 MiB: what asks for more than the
//! 4 MiB that encoders use is not read. Beside the window there are tables of prefix codes, which may be as large: what
//! room there is, is divided between them.

use alloc::{boxed::Box, vec, vec::Vec};

use brotli_decompressor::{
    Allocator, BrotliDecompressStream, BrotliResult, BrotliState, SliceWrapper, SliceWrapperMut,
};

use super::{Failure, Output};

/// Largest window: its logarithm.
const MAX_WINDOW_BITS: u8 = 22;
/// Bytes that are decoded at a time.
const STEP: usize = 4096;

/// Most bytes of prefix codes: of literals, of insert-and-copy lengths and of distances up to 256 tables, together 2.6 MiB
/// (RFC 7932, section 9.2), and what else the library reads with them.
const CODES: usize = 3 << 20;
/// Most bytes of the numbers that tell where each of these tables begins.
const NUMBERS: usize = 3 * 256 * size_of::<u32>();

/// Memory for the library: of the standard allocator, counted.
struct Heap {
    held: usize,
    /// More is not given. The library bears a refusal of bytes and of codes.
    most: usize,
    refused: bool,
}

impl Heap {
    const fn new(most: usize) -> Self {
        Self { held: 0, most, refused: false }
    }
}

struct Cells<T>(Box<[T]>);

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<T> SliceWrapper<T> for Cells<T> {
    fn slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> SliceWrapperMut<T> for Cells<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Clone + Default> Allocator<T> for Heap {
    type AllocatedMemory = Cells<T>;

    fn alloc_cell(&mut self, length: usize) -> Cells<T> {
        let size = length.saturating_mul(size_of::<T>());
        if self.held.saturating_add(size) > self.most {
            self.refused = true;
            return Cells::default();
        }
        self.held = self.held.saturating_add(size);
        Cells(vec![T::default(); length].into_boxed_slice())
    }

    fn free_cell(&mut self, cells: Cells<T>) {
        self.held = self.held.saturating_sub(size_of_val(&*cells.0));
    }
}

/// See the module.
pub(super) struct Brotli {
    state: BrotliState<Heap, Heap, Heap>,
    space: Vec<u8>,
    /// The first byte has told how large the window is.
    begun: bool,
    over: bool,
}

impl Default for Brotli {
    fn default() -> Self {
        let (bytes, numbers, codes) = (Heap::new(0), Heap::new(usize::MAX), Heap::new(0));
        Self { state: BrotliState::new(bytes, numbers, codes), space: vec![0; STEP], begun: false, over: false }
    }
}

impl Brotli {
    pub(super) fn decode(&mut self, bytes: &[u8], room: usize, output: &mut Output<'_>) -> Result<(), Failure> {
        let Some(&first) = bytes.first() else { return Ok(()) };
        if !core::mem::replace(&mut self.begun, true) {
            window_bits(first).filter(|bits| *bits <= MAX_WINDOW_BITS).ok_or(Failure::Corrupt)?;
        }
        self.divide(room.checked_sub(self.own().saturating_add(NUMBERS)).ok_or(Failure::Memory)?)?;
        let (mut left, mut at) = (bytes.len(), 0);
        while !self.over {
            let (mut room, mut made, mut total) = (self.space.len(), 0, 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut at,
                bytes,
                &mut room,
                &mut made,
                &mut self.space,
                &mut total,
                &mut self.state,
            );
            let made = self.space.get(..made).unwrap_or_default();
            if !made.is_empty() && !output(made) {
                return Ok(());
            }
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput => return Ok(()),
                BrotliResult::ResultSuccess => self.over = true,
                BrotliResult::ResultFailure if self.was_refused() => return Err(Failure::Memory),
                BrotliResult::ResultFailure => return Err(Failure::Corrupt),
            }
        }
        Ok(())
    }

    /// Says how much may be held of the window and of codes: each what it holds, and a half of what is left.
    fn divide(&mut self, room: usize) -> Result<(), Failure> {
        let (bytes, codes) = (&mut self.state.alloc_u8, &mut self.state.alloc_hc);
        let left = room.checked_sub(bytes.held.saturating_add(codes.held)).ok_or(Failure::Memory)?;
        codes.most = codes.held.saturating_add(left / 2).min(CODES);
        bytes.most = room.saturating_sub(codes.most);
        Ok(())
    }

    pub(super) const fn memory(&self) -> usize {
        let BrotliState { alloc_u8, alloc_u32, alloc_hc, .. } = &self.state;
        let held = alloc_u8.held.saturating_add(alloc_u32.held).saturating_add(alloc_hc.held);
        held.saturating_add(self.own())
    }

    /// What is held whatever is decoded.
    const fn own(&self) -> usize {
        self.space.capacity().saturating_add(size_of::<Self>())
    }

    const fn was_refused(&self) -> bool {
        self.state.alloc_u8.refused || self.state.alloc_hc.refused
    }
}

/// `WBITS` of a stream, from its first byte; `None` for the large windows that are no part of the RFC.
const fn window_bits(first: u8) -> Option<u8> {
    match first & 0x7f {
        bits if bits & 1 == 0 => Some(16),
        0x01 => Some(17),
        0x11 => None,
        bits if bits & 0x0f != 1 => Some((bits >> 1 & 7).saturating_add(17)),
        bits => Some((bits >> 4).saturating_add(8)),
    }
}
