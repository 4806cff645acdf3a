//! Finds frames among bytes of which nobody knows where one begins.

use super::{
    frame::{HEAD, Head, Kind, fragment},
    hpack::{Outline, outline, outline_of_part},
};
use crate::{parser::Side, scan};

/// What bytes look like from their first one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing that is certain to be a frame.
    No,
    /// It may be: so many bytes will tell.
    Short(usize),
    /// A frame with header fields that only this side sends.
    Headers(Side),
    /// A frame of a stream that is open.
    Frame,
}

/// Whether a frame that is known by itself begins here: it has a header block, or belongs to a stream that is open. What
/// stands behind it does not matter, so that it does not either how the bytes were cut. At most `most` bytes are waited
/// for.
pub(super) fn look(side: Side, bytes: &[u8], most: usize, is_open: impl Fn(u32) -> bool) -> Look {
    let Some(head) = Head::parse(bytes) else {
        return if Head::may_begin(bytes) { Look::Short(HEAD) } else { Look::No };
    };
    match head.kind {
        Kind::Data | Kind::RstStream | Kind::WindowUpdate if head.stream == 0 => Look::No,
        Kind::Data | Kind::RstStream | Kind::WindowUpdate if head.is_likely(side) && is_open(head.stream) => {
            Look::Frame
        }
        Kind::Headers if head.is_likely(side) => match header_block(&head, bytes, most) {
            Ok(Some(Outline::Request)) => Look::Headers(Side::Client),
            Ok(Some(Outline::Response)) => Look::Headers(Side::Server),
            Ok(Some(Outline::Other)) if is_open(head.stream) => Look::Frame,
            Ok(_) => Look::No,
            Err(need) if need <= most => Look::Short(need),
            Err(_) => Look::No,
        },
        _ => Look::No,
    }
}

/// What the payload of a HEADERS frame looks like, or how many bytes it takes to say that.
fn header_block(head: &Head, bytes: &[u8], most: usize) -> Result<Option<Outline>, usize> {
    let size = usize::try_from(head.size()).unwrap_or(usize::MAX);
    let payload = bytes.get(HEAD..size).filter(|_| size <= most).ok_or(size)?;
    let block = fragment(head, payload);
    if head.ends_headers() {
        return Ok(block.and_then(outline));
    }
    let need = size.saturating_add(HEAD);
    let next = bytes.get(size..).and_then(Head::parse).ok_or(need)?;
    let goes_on = next.kind == Kind::Continuation && next.stream == head.stream;
    Ok(block.filter(|_| goes_on).map(|part| outline_of_part(part).unwrap_or(Outline::Other)))
}

/// Whether a frame begins where there is one as often as not: one that could be, with another one behind it.
fn look_at_first(side: Side, bytes: &[u8], most: usize) -> Look {
    let Some(head) = Head::parse(bytes).filter(|head| head.is_likely(side)) else { return Look::No };
    let size = usize::try_from(head.size()).unwrap_or(usize::MAX);
    let need = size.saturating_add(HEAD);
    let Some(next) = bytes.get(size..).and_then(Head::parse) else {
        return if need <= most { Look::Short(need) } else { Look::No };
    };
    let is_block = matches!(head.kind, Kind::Headers | Kind::PushPromise | Kind::Continuation);
    let is_continued = next.kind == Kind::Continuation && next.stream == head.stream;
    let follows = next.is_likely(side) && is_continued == (is_block && !head.ends_headers());
    if follows { Look::Frame } else { Look::No }
}

/// Where a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Bytes in front of it.
    pub(super) start: usize,
    /// It may be one if so many bytes are there from `start` on; 0: it is one.
    pub(super) need: usize,
}

/// Looks for the first frame of this side. `is_first`: these are the first bytes behind a loss, or the first that were
/// seen, and more often than not a frame begins there.
pub(super) fn find(side: Side, bytes: &[u8], most: usize, is_first: bool, is_open: impl Fn(u32) -> bool) -> Found {
    if is_first && look(side, bytes, most, &is_open) == Look::No {
        match look_at_first(side, bytes, most) {
            Look::Short(need) => return Found { start: 0, need },
            Look::Frame => return Found { start: 0, need: 0 },
            Look::No | Look::Headers(_) => {}
        }
    }
    let mut start = 0_usize;
    loop {
        // No usual frame is as long as 64 KiB.
        let rest = bytes.get(start..).unwrap_or_default();
        let Some(zero) = scan::find_zero(rest) else { return Found { start: bytes.len(), need: 1 } };
        start = start.saturating_add(zero);
        match look(side, bytes.get(start..).unwrap_or_default(), most, &is_open) {
            Look::Frame => return Found { start, need: 0 },
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
        assert_eq!(find(Side::Client, &bytes, 4096, false, none), Found { start: at, need: 0 });
        // Half of it: the rest is waited for.
        assert_eq!(find(Side::Client, &bytes[..at + 10], 4096, false, none), Found { start: at, need: 12 });
        // A server asks for nothing.
        assert_eq!(find(Side::Server, &bytes, 4096, false, none), Found { start: bytes.len(), need: 1 });
    }

    #[test]
    fn frames_count_on_open_streams() {
        let data = b"\0\0\x03\0\0\0\0\0\x07abc";
        assert_eq!(find(Side::Server, data, 4096, false, |id| id == 7), Found { start: 0, need: 0 });
        assert!(find(Side::Server, data, 4096, false, |_| false).need > 0);
        let trailers = b"\0\0\x01\x01\x05\0\0\0\x07\xbe";
        assert_eq!(find(Side::Server, trailers, 4096, false, |id| id == 7), Found { start: 0, need: 0 });
        assert!(find(Side::Server, trailers, 4096, false, |_| false).need > 0);
    }

    #[test]
    fn the_first_bytes_may_be_any_frame() {
        let bytes = b"\0\0\x0c\0\0\0\0\0\x07\0\0\x03\x01\x05\0\0\0\x07\x82\x86\x84\0\0\x08\x06\0\0\0\0\0";
        assert_eq!(find(Side::Client, bytes, 4096, true, |_| false), Found { start: 0, need: 0 });
        assert_eq!(find(Side::Client, &bytes[..20], 4096, true, |_| false), Found { start: 0, need: 30 });
        assert_eq!(find(Side::Client, bytes, 4096, false, |_| false), Found { start: 9, need: 0 });
        let other = [&bytes[..21], b"no frame that is"].concat();
        assert_eq!(find(Side::Client, &other, 4096, true, |_| false), Found { start: 9, need: 0 });
    }

    #[test]
    fn a_block_in_pieces() {
        let bytes = b"\0\0\x02\x01\x01\0\0\0\x07\x82\x44\0\0\x03\x09\x04\0\0\0\x07\x02/a";
        assert_eq!(find(Side::Client, bytes, 4096, false, |_| false), Found { start: 0, need: 0 });
        assert_eq!(find(Side::Client, &bytes[..19], 4096, false, |_| false), Found { start: 0, need: 20 });
    }

    #[test]
    fn nothing_is_waited_for_beyond_the_limit() {
        let long = b"\0\x20\0\x01\x04\0\0\0\x07abc";
        assert_eq!(find(Side::Client, long, 4096, false, |_| false), Found { start: long.len(), need: 1 });
        assert_eq!(find(Side::Client, long, 65536, false, |_| false), Found { start: 0, need: 0x2000 + 9 });
    }
}
