//! Messages on the wire: [length-prefixed](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), one each way.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

const PREFIX: usize = 5;

/// The body of a call: the prefix and the message, which is not copied.
#[derive(Debug)]
pub(super) struct Message {
    prefix: Option<Bytes>,
    body: Option<Bytes>,
}

impl Message {
    /// `None` if the body is longer than a prefix can say, 4 GiB.
    pub(super) fn new(body: Bytes, compressed: bool) -> Option<Self> {
        let length = u32::try_from(body.len()).ok()?.to_be_bytes();
        let prefix: Vec<u8> = std::iter::once(u8::from(compressed)).chain(length).collect();
        Some(Self { prefix: Some(prefix.into()), body: Some(body).filter(|body| !body.is_empty()) })
    }

    fn left(&self) -> usize {
        self.prefix.iter().chain(&self.body).map(Bytes::len).sum()
    }
}

impl Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.prefix.take().or_else(|| self.body.take());
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_none() && self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left().try_into().unwrap_or(u64::MAX))
    }
}

/// The first message of a reply's body, as far as it came; empty if it is compressed, which nobody asked for.
pub(super) fn message(body: &[u8]) -> &[u8] {
    match body.split_at_checked(PREFIX) {
        Some(([0, length @ ..], rest)) => {
            let length = length.iter().fold(0, |length: usize, byte| length << 8 | usize::from(*byte));
            rest.get(..length).unwrap_or_default()
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_as_far_as_they_came() {
        assert_eq!(message(b"\0\0\0\0\x02abc"), b"ab");
        for body in
            [&b""[..], b"\0\0\0\0", b"\0\0\0\0\0", b"\0\0\0\0\x03ab", b"\0\xff\xff\xff\xffab", b"\x01\0\0\0\x02ab"]
        {
            assert_eq!(message(body), b"", "{body:?}");
        }
    }

    #[test]
    fn a_body_is_its_prefix_and_itself() {
        let message = Message::new(Bytes::from_static(b"abc"), true).unwrap();
        assert_eq!((message.left(), message.prefix.as_deref()), (8, Some(&b"\x01\0\0\0\x03"[..])));
        assert!(Message::new(Bytes::new(), false).unwrap().body.is_none());
    }
}
