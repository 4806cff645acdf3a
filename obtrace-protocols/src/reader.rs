//! A cursor over bytes from outside. Nothing is ever indexed by a length that the bytes declare: every read says
//! whether the bytes are there.

/// A cursor over a slice of untrusted bytes.
///
/// ```
/// use obtrace_protocols::reader::Reader;
/// let mut reader = Reader::new(&[0, 3, b'a', b'b', b'c', 9]);
/// let length = reader.u16_be().unwrap();
/// assert_eq!(reader.take(usize::from(length)), Some(&b"abc"[..]));
/// assert_eq!(reader.rest(), [9]);
/// assert_eq!(reader.take(2), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been taken.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next `n` bytes, or `None` (and nothing taken) if there are fewer.
    #[inline]
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(n)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A cursor over the next `n` bytes, which count as taken here.
    #[inline]
    pub fn sub(&mut self, n: usize) -> Option<Reader<'a>> {
        self.take(n).map(Reader::new)
    }

    /// Everything that is left; takes nothing.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte, not taken.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte.
    #[inline]
    pub fn u8(&mut self) -> Option<u8> {
        self.take_array::<1>().map(|[byte]| byte)
    }

    /// A big-endian 16-bit integer.
    #[inline]
    pub fn u16_be(&mut self) -> Option<u16> {
        self.take_array().map(u16::from_be_bytes)
    }

    /// A big-endian 32-bit integer.
    #[inline]
    pub fn u32_be(&mut self) -> Option<u32> {
        self.take_array().map(u32::from_be_bytes)
    }

    /// A big-endian 32-bit signed integer.
    #[inline]
    pub fn i32_be(&mut self) -> Option<i32> {
        self.take_array().map(i32::from_be_bytes)
    }

    /// A string that ends in a zero byte; the zero is taken and not returned. `None` (and nothing taken) if there is
    /// no zero.
    #[inline]
    pub fn c_str(&mut self) -> Option<&'a [u8]> {
        let length = crate::scan::find_zero(self.rest())?;
        let text = self.take(length)?;
        self.at = self.at.saturating_add(1);
        Some(text)
    }
}
