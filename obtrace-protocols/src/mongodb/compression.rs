//! What is inside an `OP_COMPRESSED`
//! ([specification](https://github.com/mongodb/specifications/blob/master/source/compression/OP_COMPRESSED.md)).
//!
//! Only the front of a message is unpacked, as much of it as was kept. Output has a bound whatever the message declares.

#[cfg(any(feature = "deflate", feature = "zstd"))]
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Most bytes that are unpacked of a message.
pub(super) const MAX_UNPACKED: usize = 64 << 10;

/// How a message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compressor {
    /// Not at all.
    Noop,
    /// [Snappy](https://github.com/google/snappy/blob/main/format_description.txt).
    Snappy,
    /// zlib ([RFC 1950](https://www.rfc-editor.org/rfc/rfc1950)). Read with the feature `deflate`.
    Zlib,
    /// Zstandard ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878)). Read with the feature `zstd`.
    Zstd,
    /// Another one, by its number.
    Unknown(u8),
}

impl Compressor {
    pub(super) const fn of(number: u8) -> Self {
        match number {
            0 => Self::Noop,
            1 => Self::Snappy,
            2 => Self::Zlib,
            3 => Self::Zstd,
            other => Self::Unknown(other),
        }
    }

    /// Whether messages of this kind can be read.
    pub(super) const fn is_read(self) -> bool {
        match self {
            Self::Noop | Self::Snappy => true,
            Self::Zlib => cfg!(feature = "deflate"),
            Self::Zstd => cfg!(feature = "zstd"),
            Self::Unknown(_) => false,
        }
    }
}

/// Unpacks one message after the other, in the same memory.
#[derive(Default)]
pub(super) struct Unpacker {
    out: Vec<u8>,
    #[cfg(feature = "deflate")]
    inflate: Option<Box<miniz_oxide::inflate::core::DecompressorOxide>>,
    #[cfg(feature = "zstd")]
    zstd: Option<Box<zstd::Decoder>>,
}

impl core::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Unpacker")
    }
}

impl Unpacker {
    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        #[cfg_attr(
            not(any(feature = "deflate", feature = "zstd")),
            expect(unused_mut, reason = "only features add to it")
        )]
        let mut held = self.out.capacity();
        #[cfg(feature = "deflate")]
        if self.inflate.is_some() {
            held = held.saturating_add(size_of::<miniz_oxide::inflate::core::DecompressorOxide>());
        }
        #[cfg(feature = "zstd")]
        if let Some(zstd) = &self.zstd {
            held = held.saturating_add(zstd.memory());
        }
        held
    }

    /// The front of what was compressed, as far as `bytes` go and it is not longer than [`MAX_UNPACKED`]. `size` is how
    /// long all of it is. `None`: it is not read, or is not what it says.
    pub(super) fn unpack(&mut self, compressor: Compressor, bytes: &[u8], size: u32) -> Option<&[u8]> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let wanted = size.min(MAX_UNPACKED);
        self.out.clear();
        match compressor {
            Compressor::Snappy => snappy(bytes, size, wanted, &mut self.out)?,
            #[cfg(feature = "deflate")]
            Compressor::Zlib => zlib(self.inflate.get_or_insert_default(), bytes, wanted, &mut self.out)?,
            #[cfg(feature = "zstd")]
            Compressor::Zstd => self.zstd.get_or_insert_default().unpack(bytes, wanted, &mut self.out)?,
            _ => return None,
        }
        Some(&self.out)
    }
}

/// The format has no memory but its output, and what is copied in it lies before.
fn snappy(bytes: &[u8], size: usize, wanted: usize, out: &mut Vec<u8>) -> Option<()> {
    let (declared, mut rest) = varint(bytes)?;
    if declared != size {
        return None;
    }
    while out.len() < wanted {
        let Some((&tag, behind)) = rest.split_first() else { break };
        // So many bytes behind the tag are a number.
        let extra = match tag & 3 {
            0 => usize::from(tag >> 2).saturating_sub(59),
            1 => 1,
            2 => 2,
            _ => 4,
        };
        let Some((number, behind)) = behind.split_at_checked(extra) else { break };
        let number = number.iter().rev().fold(0_usize, |number, &byte| number << 8 | usize::from(byte));
        let left = wanted.saturating_sub(out.len());
        rest = behind;
        match tag & 3 {
            0 => {
                let length = if extra == 0 { usize::from(tag >> 2) } else { number }.saturating_add(1);
                let literal = behind.get(..length.min(left)).unwrap_or(behind);
                out.extend_from_slice(literal);
                let Some(behind) = behind.get(length..) else { break };
                rest = behind;
            }
            1 => {
                let offset = usize::from(tag >> 5) << 8 | number;
                copy(out, offset, usize::from(tag >> 2 & 7).saturating_add(4).min(left))?;
            }
            _ => copy(out, number, usize::from(tag >> 2).saturating_add(1).min(left))?,
        }
    }
    Some(())
}

/// Repeats what was written `offset` bytes before the end, with what is being written if it is shorter.
fn copy(out: &mut Vec<u8>, offset: usize, length: usize) -> Option<()> {
    let from = out.len().checked_sub(offset).filter(|_| offset > 0)?;
    let mut left = length;
    while left > 0 {
        let part = left.min(out.len().saturating_sub(from));
        out.extend_from_within(from..from.saturating_add(part));
        left = left.saturating_sub(part);
    }
    Some(())
}

/// A number of at most 32 bits, seven of them in a byte, the lowest first.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().take(5).position(|&byte| byte < 0x80)?;
    let (number, rest) = bytes.split_at_checked(end.saturating_add(1))?;
    let number = number.iter().rev().fold(0_u64, |number, &byte| number << 7 | u64::from(byte & 0x7f));
    Some((usize::try_from(u32::try_from(number).ok()?).ok()?, rest))
}

#[cfg(feature = "deflate")]
fn zlib(
    inflate: &mut miniz_oxide::inflate::core::DecompressorOxide,
    bytes: &[u8],
    wanted: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    use miniz_oxide::inflate::{
        TINFLStatus,
        core::{decompress, inflate_flags as flags},
    };
    inflate.init();
    out.resize(wanted, 0);
    let flags = flags::TINFL_FLAG_PARSE_ZLIB_HEADER
        | flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
        | flags::TINFL_FLAG_HAS_MORE_INPUT;
    let (status, _, written) = decompress(inflate, bytes, out, 0, flags);
    out.truncate(written);
    let is_right = matches!(status, TINFLStatus::Done | TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput);
    (is_right && written > 0).then_some(())
}

#[cfg(feature = "zstd")]
mod zstd {
    //! Of a frame the first blocks are decoded, as a frame of their own: with a window that is no larger than what can be
    //! in them, so that no memory is taken because a frame asks for it.

    use alloc::vec::Vec;

    use ruzstd::decoding::FrameDecoder;

    /// Magic number, no size, no checksum, no dictionary; a window of 128 KiB.
    const HEAD: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3];
    /// Most bytes that a block has, packed or not.
    const MAX_BLOCK: usize = 128 << 10;
    /// Most blocks that are decoded.
    const MAX_BLOCKS: usize = 2;
    /// What the decoder holds at most beside its output: its tables and the literals and sequences of a block.
    const TABLES: usize = 512 << 10;

    pub(super) struct Decoder {
        decoder: FrameDecoder,
        /// The frame that is decoded.
        frame: Vec<u8>,
        unpacked: Vec<u8>,
    }

    impl Default for Decoder {
        fn default() -> Self {
            Self { decoder: FrameDecoder::new(), frame: Vec::new(), unpacked: Vec::new() }
        }
    }

    impl Decoder {
        pub(super) fn memory(&self) -> usize {
            let output = MAX_BLOCK.saturating_mul(MAX_BLOCKS.saturating_add(1));
            let held = self.frame.capacity().saturating_add(self.unpacked.capacity());
            size_of::<Self>().saturating_add(held).saturating_add(output).saturating_add(TABLES)
        }

        pub(super) fn unpack(&mut self, bytes: &[u8], wanted: usize, out: &mut Vec<u8>) -> Option<()> {
            let mut rest = blocks(bytes)?;
            self.frame.clear();
            self.frame.extend_from_slice(&HEAD);
            let mut last = None;
            for _ in 0..MAX_BLOCKS {
                let Some(&[b0, b1, b2]) = rest.first_chunk() else { break };
                let head = u32::from_le_bytes([b0, b1, b2, 0]);
                let size = (head >> 3) as usize;
                // A repeated byte stands there once.
                let packed = if head >> 1 & 3 == 1 { 1 } else { size };
                if size > MAX_BLOCK || head >> 1 & 3 == 3 {
                    return None;
                }
                let Some((block, behind)) = rest.split_at_checked(packed.saturating_add(3)) else { break };
                last = Some(self.frame.len());
                self.frame.extend_from_slice(block);
                rest = behind;
                if head & 1 != 0 {
                    break;
                }
            }
            *self.frame.get_mut(last?)? |= 1;
            let mut frame = self.frame.as_slice();
            self.decoder.reset(&mut frame).ok()?;
            self.unpacked.resize(wanted, 0);
            let (_, written) = self.decoder.decode_from_to(frame, &mut self.unpacked).ok()?;
            out.extend_from_slice(self.unpacked.get(..written)?);
            (written > 0).then_some(())
        }
    }

    /// What is behind the header of a frame ([RFC 8878 §3.1.1.1](https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1)).
    fn blocks(bytes: &[u8]) -> Option<&[u8]> {
        let rest = bytes.strip_prefix(HEAD.get(..4)?)?;
        let (&descriptor, rest) = rest.split_first()?;
        let is_single = descriptor & 0x20 != 0;
        let dictionary = descriptor & 3;
        let size = match descriptor >> 6 {
            0 => usize::from(is_single),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        (dictionary == 0).then(|| rest.get(size.saturating_add(usize::from(!is_single))..))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(compressor: Compressor, bytes: &[u8], size: u32) -> Option<Vec<u8>> {
        Unpacker::default().unpack(compressor, bytes, size).map(<[u8]>::to_vec)
    }

    #[test]
    fn snappy_literals_and_copies() {
        // `abcd` as it is, four of it again, then 12 bytes from one byte before.
        let packed = b"\x14\x0cabcd\x01\x04\x2e\x01\0";
        assert_eq!(unpack(Compressor::Snappy, packed, 20).as_deref(), Some(&b"abcdabcddddddddddddd"[..]));
        for end in 1..packed.len() {
            let part = unpack(Compressor::Snappy, &packed[..end], 20).unwrap();
            assert!(b"abcdabcddddddddddddd".starts_with(&part));
        }
        // Another size than was declared; a copy from before the beginning.
        assert_eq!(unpack(Compressor::Snappy, packed, 21), None);
        assert_eq!(unpack(Compressor::Snappy, b"\x08\0a\x01\x02", 8), None);
        assert_eq!(unpack(Compressor::Snappy, b"\x08\0a\x01\0", 8), None);
    }

    #[test]
    fn output_has_a_bound() {
        // A literal of one byte and copies of 64 from it, again and again, as much as 64 MiB are said to be.
        let size = 64_u32 << 20;
        let mut packed = b"\x80\x80\x80\x20\0x".to_vec();
        packed.extend(b"\xfe\x01\0".repeat(10_000));
        let out = unpack(Compressor::Snappy, &packed, size).unwrap();
        assert_eq!(out.len(), MAX_UNPACKED);
        assert!(out.iter().all(|&byte| byte == b'x'));
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn zlib_whole_and_cut() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(&text, 6);
        let size = u32::try_from(text.len()).unwrap();
        assert_eq!(unpack(Compressor::Zlib, &packed, size).as_deref(), Some(&text[..MAX_UNPACKED]));
        let part = unpack(Compressor::Zlib, &packed[..packed.len() / 2], size).unwrap();
        assert!(part.len() > 1000 && text.starts_with(&part));
        assert_eq!(unpack(Compressor::Zlib, b"not compressed", 9), None);
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn zstd_whole_and_cut() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
        let mut unpacker = Unpacker::default();
        let size = u32::try_from(text.len()).unwrap();
        assert_eq!(unpacker.unpack(Compressor::Zstd, &packed, size), Some(&text[..MAX_UNPACKED]));
        let small = ruzstd::encoding::compress_to_vec(&text[..1000], ruzstd::encoding::CompressionLevel::Fastest);
        assert_eq!(unpacker.unpack(Compressor::Zstd, &small, 1000), Some(&text[..1000]));
        // Of a block that is not whole there is nothing.
        assert_eq!(unpacker.unpack(Compressor::Zstd, &small[..small.len() / 2], 1000), None);
        assert!(unpacker.memory() < 2 << 20);
        assert_eq!(unpacker.unpack(Compressor::Zstd, b"\x28\xb5\x2f\xfd", 1000), None);
    }
}
