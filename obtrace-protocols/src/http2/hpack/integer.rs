//! Numbers ([RFC 7541 §5.1](https://www.rfc-editor.org/rfc/rfc7541#section-5.1)).

use super::Error;

/// The number that begins in the lowest `prefix` bits of the byte at `at`, which is behind it afterwards.
#[inline]
pub(super) fn integer(block: &[u8], at: &mut usize, prefix: u32) -> Result<usize, Error> {
    let mask = u8::MAX.wrapping_shr(8_u32.saturating_sub(prefix));
    let low = block.get(*at).ok_or(Error::Truncated)? & mask;
    *at = at.saturating_add(1);
    if low < mask { Ok(usize::from(low)) } else { long(block, at, mask) }
}

fn long(block: &[u8], at: &mut usize, mask: u8) -> Result<usize, Error> {
    let mut value = u64::from(mask);
    for shift in (0..=28).step_by(7) {
        let byte = *block.get(*at).ok_or(Error::Truncated)?;
        *at = at.saturating_add(1);
        value = value.saturating_add(u64::from(byte & 0x7f).wrapping_shl(shift));
        if byte < 0x80 {
            return u32::try_from(value).ok().and_then(|value| usize::try_from(value).ok()).ok_or(Error::Integer);
        }
    }
    Err(Error::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &[u8], prefix: u32) -> Result<(usize, usize), Error> {
        let mut at = 0;
        integer(block, &mut at, prefix).map(|value| (value, at))
    }

    #[test]
    fn numbers_of_the_examples() {
        assert_eq!(read(&[0b1110_1010], 5), Ok((10, 1)));
        assert_eq!(read(&[0b1111_1111, 0b1001_1010, 0b0000_1010], 5), Ok((1337, 3)));
        assert_eq!(read(&[42, 1], 8), Ok((42, 1)));
    }

    #[test]
    fn no_number_is_larger_than_32_bits() {
        assert_eq!(read(&[0x1f, 0xe0, 0xff, 0xff, 0xff, 0x0f], 5), Ok((0xffff_ffff, 6)));
        assert_eq!(read(&[0x1f, 0xe1, 0xff, 0xff, 0xff, 0x0f], 5), Err(Error::Integer));
        assert_eq!(read(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0x80, 0], 5), Err(Error::Integer));
        assert_eq!(read(&[0x1f, 0x80], 5), Err(Error::Truncated));
        assert_eq!(read(&[], 5), Err(Error::Truncated));
    }
}
