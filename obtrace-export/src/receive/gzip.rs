//! Bodies that were compressed.

use std::io::{ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

use super::{DecodeError, DecodeErrorKind, Limits};

/// Reads a body that was sent with `Content-Encoding: gzip`, as one member or several; no more than
/// [`Limits::decompressed`] of it is ever held.
///
/// ```
/// use obtrace_export::receive::{DecodeErrorKind, Limits, decompress};
///
/// let sent = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xab\xae\x05\0C\xbf\xa6\xa3\x02\0\0\0";
/// assert_eq!(decompress(sent, &Limits::default()).unwrap(), b"{}");
/// let error = decompress(&sent[..12], &Limits::default()).unwrap_err();
/// assert_eq!(error.to_string(), "the body is no gzip: it is cut off at byte 12");
///
/// let mut limits = Limits::default();
/// limits.decompressed = 1;
/// assert_eq!(decompress(sent, &limits).unwrap_err().kind(), DecodeErrorKind::TooLarge);
/// ```
///
/// # Errors
/// The body is no gzip, is cut off or damaged, or is larger than the limit when it is decompressed. The offset counts
/// bytes as they were sent.
pub fn decompress(body: &[u8], limits: &Limits) -> Result<Vec<u8>, DecodeError> {
    let most = limits.decompressed as u64;
    let mut plain = Vec::new();
    let mut reader = MultiGzDecoder::new(body).take(most.saturating_add(1));
    let result = reader.read_to_end(&mut plain);
    let offset = body.len() - reader.into_inner().into_inner().len();
    let (kind, what) = match result {
        Ok(length) if length as u64 <= most => return Ok(plain),
        Ok(_) => (DecodeErrorKind::TooLarge, "the body is too large when it is decompressed"),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            (DecodeErrorKind::Malformed, "the body is no gzip: it is cut off")
        }
        Err(_) => (DecodeErrorKind::Malformed, "the body is no gzip: it is damaged"),
    };
    Err(DecodeError::new(kind, what, "", offset))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn limits(decompressed: usize) -> Limits {
        Limits { decompressed, ..Limits::default() }
    }

    #[test]
    fn members_follow_one_another() {
        let sent = [gzip(b"spans "), gzip(b""), gzip(b"and logs")].concat();
        assert_eq!(decompress(&sent, &limits(14)).unwrap(), b"spans and logs");
        assert_eq!(decompress(&sent, &limits(13)).unwrap_err().kind(), DecodeErrorKind::TooLarge);
        assert_eq!(decompress(&gzip(b""), &limits(0)).unwrap(), b"");
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let sent = gzip(b"a body");
        for at in 0..sent.len() {
            let error = decompress(&sent[..at], &limits(100)).unwrap_err();
            assert_eq!((error.kind(), error.offset()), (DecodeErrorKind::Malformed, at));
        }
        let checksum = sent.len() - 8;
        let mut damaged = sent.clone();
        damaged[checksum] ^= 1;
        assert!(decompress(&damaged, &limits(100)).unwrap_err().to_string().contains("it is damaged"));
        let followed = [&sent[..], b"and more"].concat();
        assert_eq!(decompress(&followed, &limits(100)).unwrap_err().kind(), DecodeErrorKind::Malformed);
    }
}
