//! Brotli ([RFC 7932](https://www.rfc-editor.org/rfc/rfc7932)). Its window may be 16 MiB: what asks for more than the
//! 4 MiB that encoders use is not read.

use alloc::{boxed::Box, vec, vec::Vec};

use brotli_decompressor::{
    Allocator, BrotliDecompressStream, BrotliResult, BrotliState, SliceWrapper, SliceWrapperMut,
};

use super::{Failure, Output};

/// Largest window: its logarithm.
const MAX_WINDOW_BITS: u8 = 22;
/// Bytes that are decoded at a time.
const STEP: usize = 4096;

/// Memory for the library: of the standard allocator.
#[derive(Clone, Copy, Default)]
struct Heap;

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
        Cells(vec![T::default(); length].into_boxed_slice())
    }

    fn free_cell(&mut self, _cells: Cells<T>) {}
}

/// See the module.
pub(super) struct Brotli {
    state: BrotliState<Heap, Heap, Heap>,
    space: Vec<u8>,
    /// What the window takes, once the first byte has told.
    window: usize,
    over: bool,
}

impl Default for Brotli {
    fn default() -> Self {
        Self { state: BrotliState::new(Heap, Heap, Heap), space: vec![0; STEP], window: 0, over: false }
    }
}

impl Brotli {
    pub(super) fn decode(&mut self, bytes: &[u8], output: &mut Output<'_>) -> Result<(), Failure> {
        let Some(&first) = bytes.first() else { return Ok(()) };
        if self.window == 0 {
            let bits = window_bits(first).filter(|bits| *bits <= MAX_WINDOW_BITS).ok_or(Failure::Corrupt)?;
            self.window = 1 << bits;
        }
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
                BrotliResult::ResultFailure => return Err(Failure::Corrupt),
            }
        }
        Ok(())
    }

    pub(super) const fn memory(&self) -> usize {
        self.window.saturating_add(self.space.capacity()).saturating_add(size_of::<Self>())
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
