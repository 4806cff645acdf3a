//! What frontend and backend messages have in common: a tag byte, and a length that counts itself and the body
//! ([message formats](https://www.postgresql.org/docs/current/protocol-message-formats.html)).

use crate::scan::find_zero;

/// Bytes of tag and length.
pub(super) const HEAD: usize = 5;
/// No message is longer: PostgreSQL allocates no more than this for one (`MaxAllocSize`). No text begins with four
/// characters that make a smaller number and a tag before it.
const MAX_LENGTH: u32 = 0x3fff_ffff;

/// Tag and size of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) tag: u8,
    /// Bytes of the whole message, tag included.
    pub(super) size: usize,
}

impl Head {
    /// `None`: not enough bytes. The size is at most `MAX_LENGTH + 1`; 0 stands for a length that cannot be.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[tag, a, b, c, d], _) = bytes.split_first_chunk::<HEAD>()?;
        let length = u32::from_be_bytes([a, b, c, d]);
        let size = if (4..=MAX_LENGTH).contains(&length) { (length as usize).wrapping_add(1) } else { 0 };
        Some(Self { tag, size })
    }
}

/// The whole message at the front: tag and body, and what follows it. `None` where there is none.
// Where the next message is hangs on the length alone, by as few steps as possible.
#[inline]
pub(super) fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, a, b, c, d], rest) = bytes.split_first_chunk::<HEAD>()?;
    let size = u32::from_be_bytes([a, b, c, d]).wrapping_sub(4);
    if size > MAX_LENGTH.wrapping_sub(4) {
        return None;
    }
    let (body, rest) = rest.split_at_checked(size as usize)?;
    Some((tag, body, rest))
}

/// A text up to its zero byte, and what follows; without one the text was cut and is all there is.
#[inline(always)]
pub(super) fn text(bytes: &[u8]) -> (&[u8], &[u8]) {
    find_zero(bytes)
        .and_then(|end| bytes.split_at_checked(end))
        .map_or((bytes, &[]), |(text, rest)| (text, rest.get(1..).unwrap_or(&[])))
}

macro_rules! messages {
    ($(#[$doc:meta])* $name:ident of $message:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            rest: &'a [u8],
        }

        impl<'a> $name<'a> {
            /// Starts at the first of `bytes`, which has to be the first byte of a message.
            #[must_use]
            pub const fn new(bytes: &'a [u8]) -> Self {
                Self { rest: bytes }
            }

            /// What is not read yet: once the iterator has ended, the message that is not whole, or bytes that are
            /// no message.
            #[must_use]
            pub const fn rest(&self) -> &'a [u8] {
                self.rest
            }
        }

        impl<'a> Iterator for $name<'a> {
            type Item = $message<'a>;

            #[inline]
            fn next(&mut self) -> Option<$message<'a>> {
                let (tag, body, rest) = $crate::postgres::frame::split(self.rest)?;
                self.rest = rest;
                Some($message::decode(tag, body))
            }
        }
    };
}
pub(super) use messages;
