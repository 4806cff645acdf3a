//! Compressed bodies (feature `gzip`; `zstd` adds Zstandard): written at level 1, read within a bound.
//!
//! Level 1 because more buys little: level 6 of gzip takes ten times the time of level 1 for a third less.

use std::io::{self, ErrorKind, Read};

use flate2::{Compress, Compression, Crc, FlushCompress, Status, bufread::MultiGzDecoder};

use crate::decode::{DecodeError, DecodeErrorKind};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// gzip ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952))
    Gzip,
    /// Zstandard ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878)); feature `zstd`
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Method {
    /// Its name in `Content-Encoding` and `grpc-encoding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }
}

/// Compresses one body after the other at level 1. Keeps its memory (about 300 KB for gzip): in steady state nothing is
/// allocated.
///
/// ```
/// use obtrace_export::compress::{Compressor, Method, decompress};
///
/// let mut compressor = Compressor::new(Method::Gzip)?;
/// let (plain, mut sent) = ([b'a'; 10_000], Vec::new());
/// compressor.compress(&plain, &mut sent)?;
/// assert!(sent.len() < 100);
/// assert_eq!(decompress(Method::Gzip, &sent, 10_000).unwrap(), plain);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Compressor(Inner);

enum Inner {
    Gzip(Compress),
    #[cfg(feature = "zstd")]
    Zstd(zstd::bulk::Compressor<'static>),
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Compressor").field(&self.method()).finish()
    }
}

impl Compressor {
    /// A compressor.
    ///
    /// # Errors
    /// There is no memory for Zstandard; gzip has none.
    pub fn new(method: Method) -> io::Result<Self> {
        Ok(Self(match method {
            Method::Gzip => Inner::Gzip(Compress::new(Compression::new(LEVEL), false)),
            #[cfg(feature = "zstd")]
            Method::Zstd => Inner::Zstd(zstd::bulk::Compressor::new(LEVEL.cast_signed())?),
        }))
    }

    /// How it compresses.
    #[must_use]
    pub const fn method(&self) -> Method {
        match &self.0 {
            Inner::Gzip(_) => Method::Gzip,
            #[cfg(feature = "zstd")]
            Inner::Zstd(_) => Method::Zstd,
        }
    }

    /// Appends the body, compressed, to `out`: a whole gzip member, or a whole Zstandard frame. Several after one another
    /// read as one.
    ///
    /// # Errors
    /// The library fails, which it does not for want of room; `out` is as it was then.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let before = out.len();
        let done = match &mut self.0 {
            Inner::Gzip(stream) => gzip(stream, plain, out),
            #[cfg(feature = "zstd")]
            Inner::Zstd(compressor) => zstandard(compressor, plain, out),
        };
        if done.is_err() {
            out.truncate(before);
        }
        done
    }
}

const LEVEL: u32 = 1;

/// What begins a gzip member: deflate, no name, no time, the fastest level, of no system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];

fn gzip(stream: &mut Compress, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    stream.reset();
    out.extend_from_slice(&GZIP_HEAD);
    // Telemetry shrinks to a tenth; what does not is given more room.
    out.reserve(plain.len() / 8 + 64);
    loop {
        let rest = usize::try_from(stream.total_in()).ok().and_then(|taken| plain.get(taken..)).unwrap_or_default();
        let written = stream.total_out();
        match stream.compress_vec(rest, out, FlushCompress::Finish)? {
            Status::StreamEnd => break,
            Status::Ok | Status::BufError if out.len() == out.capacity() || stream.total_out() != written => {
                out.reserve(out.len().max(64));
            }
            _ => return Err(io::Error::other("deflate makes no progress")),
        }
    }
    let mut checksum = Crc::new();
    checksum.update(plain);
    out.extend_from_slice(&checksum.sum().to_le_bytes());
    // By the RFC modulo 2^32.
    out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    Ok(())
}

#[cfg(feature = "zstd")]
fn zstandard(compressor: &mut zstd::bulk::Compressor<'_>, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
    let end = out.len() as u64;
    let mut rest = io::Cursor::new(out);
    rest.set_position(end);
    compressor.compress_to_buffer(plain, &mut rest).map(drop)
}

/// Reads a body that was compressed, as one gzip member (Zstandard frame) or several; no more than `most` bytes of it are
/// ever held.
///
/// ```
/// use obtrace_export::{compress::{Method, decompress}, decode::DecodeErrorKind};
///
/// let sent = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xab\xae\x05\0C\xbf\xa6\xa3\x02\0\0\0";
/// assert_eq!(decompress(Method::Gzip, sent, 100).unwrap(), b"{}");
/// let error = decompress(Method::Gzip, &sent[..12], 100).unwrap_err();
/// assert_eq!(error.to_string(), "the body is no gzip: it is cut off at byte 12");
/// assert_eq!(decompress(Method::Gzip, sent, 1).unwrap_err().kind(), DecodeErrorKind::TooLarge);
/// ```
///
/// # Errors
/// The body is not so compressed, is cut off or damaged, or is larger than the bound when it is decompressed. The offset
/// counts bytes as they were sent.
pub fn decompress(method: Method, body: &[u8], most: usize) -> Result<Vec<u8>, DecodeError> {
    let mut plain = Vec::new();
    let bound = (most as u64).saturating_add(1);
    let (result, left, [cut_off, damaged]) = match method {
        Method::Gzip => {
            let mut reader = MultiGzDecoder::new(body).take(bound);
            let result = reader.read_to_end(&mut plain);
            let left = reader.into_inner().into_inner().len();
            (result, left, ["the body is no gzip: it is cut off", "the body is no gzip: it is damaged"])
        }
        #[cfg(feature = "zstd")]
        Method::Zstd => {
            let mut rest = body;
            let result = read_zstandard(&mut rest, bound, &mut plain);
            (result, rest.len(), ["the body is no Zstandard: it is cut off", "the body is no Zstandard: it is damaged"])
        }
    };
    let (kind, what) = match result {
        Ok(_) if plain.len() <= most => return Ok(plain),
        Ok(_) => (DecodeErrorKind::TooLarge, "the body is too large when it is decompressed"),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => (DecodeErrorKind::Malformed, cut_off),
        Err(_) => (DecodeErrorKind::Malformed, damaged),
    };
    Err(DecodeError::new(kind, what, "", body.len() - left))
}

/// The window that RFC 8878 asks every reader to have: 8 MiB. A larger one is refused, whatever the body holds.
#[cfg(feature = "zstd")]
const WINDOW_LOG: u32 = 23;

#[cfg(feature = "zstd")]
fn read_zstandard(body: &mut &[u8], bound: u64, plain: &mut Vec<u8>) -> io::Result<usize> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(WINDOW_LOG)?;
    decoder.take(bound).read_to_end(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[cfg(not(feature = "zstd"))]
    const METHODS: &[Method] = &[Method::Gzip];
    #[cfg(feature = "zstd")]
    const METHODS: &[Method] = &[Method::Gzip, Method::Zstd];

    fn compressed(method: Method, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Compressor::new(method).unwrap().compress(plain, &mut out).unwrap();
        out
    }

    #[test]
    fn members_follow_one_another() {
        for &method in METHODS {
            let mut compressor = Compressor::new(method).unwrap();
            let mut sent = Vec::new();
            for part in ["spans ", "", "and logs"] {
                compressor.compress(part.as_bytes(), &mut sent).unwrap();
            }
            assert_eq!(decompress(method, &sent, 14).unwrap(), b"spans and logs");
            assert_eq!(decompress(method, &sent, 13).unwrap_err().kind(), DecodeErrorKind::TooLarge);
            assert_eq!(decompress(method, &compressed(method, b""), 0).unwrap(), b"");
        }
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for &method in METHODS {
            let sent = compressed(method, b"a body");
            for at in 1..sent.len() {
                let error = decompress(method, &sent[..at], 100).unwrap_err();
                assert_eq!((error.kind(), error.offset()), (DecodeErrorKind::Malformed, at), "{method:?}");
            }
            let followed = [&sent[..], b"and more"].concat();
            assert_eq!(decompress(method, &followed, 100).unwrap_err().kind(), DecodeErrorKind::Malformed);
        }
        let mut damaged = compressed(Method::Gzip, b"a body");
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        assert!(decompress(Method::Gzip, &damaged, 100).unwrap_err().to_string().contains("it is damaged"));
    }

    /// 64 MB of zeros in a few kilobytes: refused at the bound, with little more than that in memory.
    #[test]
    fn a_bomb_is_refused_at_the_bound() {
        let zeros = vec![0; 64 << 20];
        for &method in METHODS {
            let sent = compressed(method, &zeros);
            assert!(sent.len() < 1 << 20, "{}", sent.len());
            let error = decompress(method, &sent, 100_000).unwrap_err();
            assert_eq!(error.kind(), DecodeErrorKind::TooLarge);
            assert!(error.offset() < sent.len() / 2, "{method:?} read on: {} of {}", error.offset(), sent.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// What shrinks and what does not, into room that is there and room that is not.
        #[test]
        fn any_bytes_come_back(
            bodies in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..3_000), 1_usize..60, 0_usize..4_000), 1..4,
            ),
        ) {
            for &method in METHODS {
                let mut compressor = Compressor::new(method).unwrap();
                for (piece, times, room) in &bodies {
                    let plain = piece.repeat(*times);
                    let mut out = Vec::with_capacity(*room);
                    out.extend_from_slice(b"kept");
                    compressor.compress(&plain, &mut out).unwrap();
                    let sent = out.strip_prefix(b"kept").unwrap();
                    prop_assert!(decompress(method, sent, plain.len()).unwrap() == plain);
                }
            }
        }
    }
}
