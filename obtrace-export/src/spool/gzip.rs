//! gzip ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952)) of level 1 with a compressor that is kept: to make one takes a third
//! of a megabyte each time. Level 6 would take thirteen times as long for a third less.

use std::io::{self, Read as _};

use flate2::{Compress, Compression, FlushCompress, Status, bufread::GzDecoder};

/// Magic, deflate, no flags, no time, fastest, unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

#[derive(Debug)]
pub(super) struct Gzip(Compress);

impl Gzip {
    pub(super) fn new() -> Self {
        Self(Compress::new(Compression::fast(), false))
    }

    /// Appends the compressed `plain` to `out`.
    pub(super) fn append(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.0.reset();
        out.extend_from_slice(&HEAD);
        loop {
            let read = usize::try_from(self.0.total_in()).map_err(io::Error::other)?;
            let rest = plain.get(read..).unwrap_or_default();
            out.reserve((rest.len() / 4).max(4096));
            match self.0.compress_vec(rest, out, FlushCompress::Finish)? {
                Status::StreamEnd => break,
                Status::Ok | Status::BufError => {}
            }
        }
        out.extend_from_slice(&crc32fast::hash(plain).to_le_bytes());
        // The format keeps the length modulo 2^32.
        let length = u32::try_from(plain.len() & 0xffff_ffff).unwrap_or(0);
        out.extend_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

/// What was compressed, if it is at most `max` bytes.
pub(super) fn inflate(body: &[u8], max: usize) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(body).take(limit).read_to_end(&mut plain)?;
    if plain.len() > max {
        return Err(io::Error::other(format!("the body has more than {max} bytes")));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back_whole_however_they_compress() {
        let mut gzip = Gzip::new();
        let mut noise = 1_u64;
        let mut random = |_| {
            noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (noise >> 56) as u8
        };
        for plain in [vec![], vec![b'a'; 1], vec![b'a'; 3_000_000], (0..300_000).map(&mut random).collect()] {
            let mut out = b"before".to_vec();
            gzip.append(&plain, &mut out).unwrap();
            assert_eq!(&out[..6], b"before");
            assert_eq!(inflate(&out[6..], plain.len()).unwrap(), plain);
            if !plain.is_empty() {
                assert!(inflate(&out[6..], plain.len() - 1).is_err(), "the bound holds");
            }
        }
    }
}
