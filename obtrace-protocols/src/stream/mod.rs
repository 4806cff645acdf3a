//! Byte streams put together again: chunks with stream offsets in, contiguous bytes and gaps out.

mod assembler;

pub use assembler::{Assembler, Mark, Pushed};
