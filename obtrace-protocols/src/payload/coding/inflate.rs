//! gzip ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952)), zlib ([RFC 1950](https://www.rfc-editor.org/rfc/rfc1950))
//! and raw deflate ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951)). Several gzip members may follow one another.
//! Check sums are not compared: what arrived is what the application has read.

use miniz_oxide::inflate::{
    TINFLStatus,
    core::{
        DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress,
        inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_IGNORE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER},
    },
};

use super::{Failure, Output};

/// Where in its format a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// In the ten bytes that begin a gzip member.
    Fixed(u8),
    /// In the length of the extra field.
    ExtraLength(u8, u16),
    Extra(u16),
    /// In a text that ends in a zero: the name, then the comment.
    Name,
    Comment,
    HeadSum(u8),
    /// Before the first byte of what calls itself deflate.
    Unsure,
    Data,
    /// In the eight bytes that end a gzip member.
    Trailer(u8),
    /// Behind the end of what is no gzip.
    Over,
}

/// `FLG` of a gzip member.
const HEAD_SUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// See the module.
pub(super) struct Inflate {
    state: DecompressorOxide,
    window: [u8; TINFL_LZ_DICT_SIZE],
    at: usize,
    part: Part,
    gzip: bool,
    zlib: bool,
    flags: u8,
}

impl Default for Inflate {
    fn default() -> Self {
        let state = DecompressorOxide::new();
        let window = [0; TINFL_LZ_DICT_SIZE];
        Self { state, window, at: 0, part: Part::Unsure, gzip: false, zlib: false, flags: 0 }
    }
}

impl Inflate {
    pub(super) fn begin(&mut self, gzip: bool) {
        self.gzip = gzip;
        self.zlib = false;
        self.part = if gzip { Part::Fixed(0) } else { Part::Unsure };
        self.restart();
    }

    fn restart(&mut self) {
        self.state.init();
        self.at = 0;
        self.flags = 0;
    }

    pub(super) fn decode(&mut self, mut bytes: &[u8], output: &mut Output<'_>) -> Result<(), Failure> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.part {
                Part::Data => {
                    if !self.inflate(&mut bytes, output)? {
                        return Ok(());
                    }
                    continue;
                }
                Part::Over => return Ok(()),
                Part::Unsure => {
                    // The method is 8 in the low bits of a zlib header; of raw deflate these are a stored block's, which
                    // no encoder writes with bits set behind its header.
                    self.zlib = byte & 0x0f == 8;
                    self.part = Part::Data;
                    continue;
                }
                _ => self.head(byte)?,
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Takes one byte of what is around the data of a gzip member.
    fn head(&mut self, byte: u8) -> Result<(), Failure> {
        self.part = match self.part {
            Part::Fixed(at) => {
                let wanted = match at {
                    0 => Some(0x1f),
                    1 => Some(0x8b),
                    2 => Some(8),
                    _ => None,
                };
                if wanted.is_some_and(|wanted| wanted != byte) {
                    return Err(Failure::Corrupt);
                }
                if at == 3 {
                    self.flags = byte;
                }
                if at < 9 { Part::Fixed(at.saturating_add(1)) } else { self.after_fixed() }
            }
            Part::ExtraLength(0, _) => Part::ExtraLength(1, u16::from(byte)),
            Part::ExtraLength(_, low) => match low | u16::from(byte) << 8 {
                0 => self.after_extra(),
                length => Part::Extra(length),
            },
            Part::Extra(1) => self.after_extra(),
            Part::Extra(left) => Part::Extra(left.saturating_sub(1)),
            Part::Name if byte == 0 => self.after_name(),
            Part::Comment if byte == 0 => self.after_comment(),
            Part::HeadSum(0) => Part::HeadSum(1),
            Part::HeadSum(_) => Part::Data,
            Part::Trailer(7) => {
                self.restart();
                Part::Fixed(0)
            }
            Part::Trailer(at) => Part::Trailer(at.saturating_add(1)),
            part => part,
        };
        Ok(())
    }

    const fn after_fixed(&self) -> Part {
        if self.flags & EXTRA != 0 { Part::ExtraLength(0, 0) } else { self.after_extra() }
    }

    const fn after_extra(&self) -> Part {
        if self.flags & NAME != 0 { Part::Name } else { self.after_name() }
    }

    const fn after_name(&self) -> Part {
        if self.flags & COMMENT != 0 { Part::Comment } else { self.after_comment() }
    }

    const fn after_comment(&self) -> Part {
        if self.flags & HEAD_SUM != 0 { Part::HeadSum(0) } else { Part::Data }
    }

    /// Decodes what is there of the data. `false`: no more is wanted.
    fn inflate(&mut self, bytes: &mut &[u8], output: &mut Output<'_>) -> Result<bool, Failure> {
        let zlib = if self.zlib { TINFL_FLAG_PARSE_ZLIB_HEADER } else { 0 };
        let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_IGNORE_ADLER32 | zlib;
        loop {
            let (status, taken, made) = decompress(&mut self.state, bytes, &mut self.window, self.at, flags);
            *bytes = bytes.get(taken..).unwrap_or_default();
            let end = self.at.saturating_add(made);
            let made = self.window.get(self.at..end).unwrap_or_default();
            if !made.is_empty() && !output(made) {
                return Ok(false);
            }
            self.at = end % TINFL_LZ_DICT_SIZE;
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::Done => {
                    self.part = if self.gzip { Part::Trailer(0) } else { Part::Over };
                    return Ok(true);
                }
                TINFLStatus::NeedsMoreInput => {
                    *bytes = &[];
                    return Ok(true);
                }
                _ => return Err(Failure::Corrupt),
            }
        }
    }
}
