//! Content codings ([RFC 9110 §8.4](https://www.rfc-editor.org/rfc/rfc9110#section-8.4)): decodes a body while it passes.
//!
//! Each coding is a feature of the crate, with a library that needs no standard library: `deflate` (gzip and deflate, by
//! `miniz_oxide`), `brotli` (by `brotli-decompressor`), `zstd` (by `ruzstd`). Windows are bounded as HTTP bounds them:
//! 32 KiB, [4 MiB](self::brotli), [8 MiB](https://www.rfc-editor.org/rfc/rfc9659). How much comes out is the caller's
//! bound: [`Decoder::decode`] stops as soon as nobody wants more; and before it would hold more than the caller has room for.

#[cfg(feature = "brotli")]
mod brotli;
#[cfg(feature = "deflate")]
mod inflate;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(any(feature = "brotli", feature = "deflate", feature = "zstd"))]
use alloc::boxed::Box;

/// A content coding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Coding {
    /// None.
    #[default]
    Identity,
    Gzip,
    /// The zlib format, or raw deflate, which some send instead.
    Deflate,
    Brotli,
    Zstd,
    /// Another one, or several.
    Other,
}

impl Coding {
    /// Reads one `Content-Encoding` field.
    pub(crate) fn parse(value: &[u8]) -> Self {
        let names: [(&[u8], Self); 7] = [
            (b"identity", Self::Identity),
            (b"gzip", Self::Gzip),
            (b"x-gzip", Self::Gzip),
            (b"deflate", Self::Deflate),
            (b"br", Self::Brotli),
            (b"zstd", Self::Zstd),
            (b"", Self::Identity),
        ];
        let known = names.iter().find(|(name, _)| value.eq_ignore_ascii_case(name));
        known.map_or(Self::Other, |(_, coding)| *coding)
    }
}

/// Why decoding stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The coding is none that this build reads.
    Unknown,
    /// The bytes are not of the coding, or ask for too large a window.
    #[cfg_attr(
        not(any(feature = "brotli", feature = "deflate", feature = "zstd")),
        expect(dead_code, reason = "without a coding nothing can be wrong with one")
    )]
    Corrupt,
    /// It would have held more than there is room for.
    #[cfg_attr(
        not(any(feature = "brotli", feature = "deflate", feature = "zstd")),
        expect(dead_code, reason = "without a coding nothing is held")
    )]
    Memory,
}

/// What takes the decoded bytes. `false`: no more are wanted.
pub(crate) type Output<'o> = dyn FnMut(&[u8]) -> bool + 'o;

/// The decoder of one body after the other. Keeps its memory for the next body.
#[derive(Default)]
pub(crate) struct Decoder {
    coding: Coding,
    #[cfg(feature = "deflate")]
    inflate: Option<Box<inflate::Inflate>>,
    #[cfg(feature = "brotli")]
    brotli: Option<Box<brotli::Brotli>>,
    #[cfg(feature = "zstd")]
    zstd: Option<Box<zstd::Zstd>>,
}

impl core::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decoder").field("coding", &self.coding).finish_non_exhaustive()
    }
}

impl Decoder {
    /// A body of this coding begins.
    pub(crate) fn begin(&mut self, coding: Coding) {
        self.coding = coding;
        match coding {
            #[cfg(feature = "deflate")]
            Coding::Gzip | Coding::Deflate => {
                self.inflate.get_or_insert_with(Box::default).begin(coding == Coding::Gzip);
            }
            #[cfg(feature = "brotli")]
            Coding::Brotli => self.brotli = Some(Box::default()),
            #[cfg(feature = "zstd")]
            Coding::Zstd => self.zstd.get_or_insert_with(Box::default).begin(),
            _ => {}
        }
    }

    /// Whether the bytes of a body are its content as they are.
    pub(crate) fn is_identity(&self) -> bool {
        self.coding == Coding::Identity
    }

    /// Decodes the next bytes of the body, with at most `room` bytes for all that is held.
    #[cfg_attr(
        not(any(feature = "brotli", feature = "deflate", feature = "zstd")),
        expect(unused_variables, reason = "without a coding nothing is held")
    )]
    pub(crate) fn decode(&mut self, bytes: &[u8], room: usize, output: &mut Output<'_>) -> Result<(), Failure> {
        match self.coding {
            Coding::Identity => {
                output(bytes);
                Ok(())
            }
            #[cfg(feature = "deflate")]
            Coding::Gzip | Coding::Deflate => {
                let inflate = self.inflate.as_mut().ok_or(Failure::Unknown)?;
                if size_of::<inflate::Inflate>() > room {
                    return Err(Failure::Memory);
                }
                inflate.decode(bytes, output)
            }
            #[cfg(feature = "brotli")]
            Coding::Brotli => self.brotli.as_mut().ok_or(Failure::Unknown)?.decode(bytes, room, output),
            #[cfg(feature = "zstd")]
            Coding::Zstd => self.zstd.as_mut().ok_or(Failure::Unknown)?.decode(bytes, room, output),
            _ => Err(Failure::Unknown),
        }
    }

    /// The body is over: gives back what is large and cannot serve the next one.
    pub(crate) fn end(&mut self) {
        #[cfg(feature = "brotli")]
        {
            self.brotli = None;
        }
        #[cfg(feature = "zstd")]
        if let Some(zstd) = self.zstd.take_if(|zstd| zstd.memory() > MAX_KEPT) {
            drop(zstd);
        }
    }

    pub(crate) fn memory(&self) -> usize {
        #[allow(unused_mut, reason = "no coding may be built in")]
        let mut held = 0_usize;
        #[cfg(feature = "deflate")]
        {
            held = held.saturating_add(self.inflate.as_ref().map_or(0, |_| size_of::<inflate::Inflate>()));
        }
        #[cfg(feature = "brotli")]
        {
            held = held.saturating_add(self.brotli.as_ref().map_or(0, |brotli| brotli.memory()));
        }
        #[cfg(feature = "zstd")]
        {
            held = held.saturating_add(self.zstd.as_ref().map_or(0, |zstd| zstd.memory()));
        }
        held
    }
}

/// Most bytes of a decoder that are kept from one body to the next.
#[cfg(feature = "zstd")]
const MAX_KEPT: usize = 256 * 1024;

#[cfg(test)]
mod tests;
