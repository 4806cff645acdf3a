//! Finds frames among bytes of which nobody knows where one begins.

use super::{
    frame::{HEAD, Head, Kind, fragment},
    hpack::{Outline, outline, outline_of_part},
};
use crate::{parser::Side, scan};

/// What bytes look like from their first one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// No frame.
    No,
    /// It may be one: so many bytes will tell.
    Short(usize),
    /// A frame with header fields that only this side sends.
    Headers(Side),
    /// A frame.
    Frame(Head),
}

/// Whether a frame of this side begins here. It is one if it has a header block, belongs to a stream that is known to
/// be open, or another one follows: never because the bytes end there, so that it does not matter how they were cut.
/// At most `most` bytes are waited for.
pub(super) fn look(side: Side, bytes: &[u8], most: usize, is_open: impl Fn(u32) -> bool) -> Look {
    // No usual frame is as long as 64 KiB.
    if bytes.first().is_some_and(|&byte| byte != 0) {
        return Look::No;
    }
    let Some(head) = Head::parse(bytes) else { return Look::Short(HEAD) };
    if !head.is_likely(side) {
        return Look::No;
    }
    let size = usize::try_from(head.size()).unwrap_or(usize::MAX);
    match head.kind {
        Kind::Data | Kind::RstStream | Kind::WindowUpdate if is_open(head.stream) => return Look::Frame(head),
        // Of what is pushed the promise is known.
        Kind::Data if head.stream & 1 == 0 => return Look::No,
        Kind::Headers if head.ends_headers() => {
            let Some(payload) = bytes.get(HEAD..size) else { return short(size, most) };
            return match fragment(&head, payload).and_then(outline) {
                Some(Outline::Request) => Look::Headers(Side::Client),
                Some(Outline::Response) => Look::Headers(Side::Server),
                Some(Outline::Other) if is_open(head.stream) => Look::Frame(head),
                Some(Outline::Other) => follow(side, &head, bytes, size, most),
                None => Look::No,
            };
        }
        _ => {}
    }
    follow(side, &head, bytes, size, most)
}

fn short(need: usize, most: usize) -> Look {
    if need <= most { Look::Short(need) } else { Look::No }
}

/// Whether another frame follows.
fn follow(side: Side, head: &Head, bytes: &[u8], size: usize, most: usize) -> Look {
    let Some(next) = bytes.get(size..).and_then(Head::parse) else {
        return short(size.saturating_add(HEAD), most);
    };
    let goes_on = matches!(head.kind, Kind::Headers | Kind::PushPromise | Kind::Continuation) && !head.ends_headers();
    let is_continued = next.kind == Kind::Continuation && next.stream == head.stream;
    if !next.is_likely(side) || goes_on != is_continued {
        return Look::No;
    }
    let part = bytes.get(HEAD..size).filter(|_| goes_on && head.kind == Kind::Headers);
    match part.and_then(|payload| fragment(head, payload)).and_then(outline_of_part) {
        Some(Outline::Request) => Look::Headers(Side::Client),
        Some(Outline::Response) => Look::Headers(Side::Server),
        _ => Look::Frame(*head),
    }
}

/// Where a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Bytes in front of it.
    pub(super) start: usize,
    /// It may be one if so many bytes are there from `start` on; 0: it is one.
    pub(super) need: usize,
}

/// Looks for the first frame of this side.
pub(super) fn find(side: Side, bytes: &[u8], most: usize, is_open: impl Fn(u32) -> bool) -> Found {
    let mut start = 0_usize;
    loop {
        let rest = bytes.get(start..).unwrap_or_default();
        let Some(zero) = scan::find_zero(rest) else { return Found { start: bytes.len(), need: 1 } };
        start = start.saturating_add(zero);
        match look(side, bytes.get(start..).unwrap_or_default(), most, &is_open) {
            Look::Frame(_) => return Found { start, need: 0 },
            Look::Headers(of) if of == side => return Found { start, need: 0 },
            Look::Short(need) => return Found { start, need },
            Look::No | Look::Headers(_) => start = start.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"\0\0\x03\x01\x05\0\0\0\x07\x82\x86\x84";

    #[test]
    fn a_request_is_found_among_anything() {
        let bytes = [&b"body\0\0 of \0\0\0\0\x02\0\0\0\0 some kind\0\0"[..], REQUEST].concat();
        let none = |_| false;
        let at = bytes.len() - REQUEST.len();
        assert_eq!(find(Side::Client, &bytes, 4096, none), Found { start: at, need: 0 });
        // Half of it: the rest is waited for.
        assert_eq!(find(Side::Client, &bytes[..at + 10], 4096, none), Found { start: at, need: 12 });
        // A server asks for nothing.
        assert_eq!(find(Side::Server, &bytes, 4096, none).need, 9);
    }

    #[test]
    fn data_counts_on_open_streams_or_in_front_of_a_frame() {
        let data = b"\0\0\x03\0\0\0\0\0\x07abc";
        assert_eq!(find(Side::Server, data, 4096, |id| id == 7), Found { start: 0, need: 0 });
        assert_eq!(find(Side::Server, data, 4096, |_| false), Found { start: 0, need: 21 });
        let two = [&data[..], b"\0\0\x08\x06\0\0\0\0\0"].concat();
        assert_eq!(find(Side::Server, &two, 4096, |_| false), Found { start: 0, need: 0 });
        let text = [&data[..], b"some text"].concat();
        assert_eq!(find(Side::Server, &text, 4096, |_| false), Found { start: 21, need: 1 });
    }

    #[test]
    fn nothing_is_waited_for_beyond_the_limit() {
        let long = b"\0\x20\0\0\0\0\0\0\x07abc";
        assert_eq!(find(Side::Server, long, 4096, |_| false).need, 9);
        assert_eq!(find(Side::Server, long, 65536, |_| false), Found { start: 0, need: 0x2000 + 18 });
    }
}
