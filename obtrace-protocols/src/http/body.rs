//! Walks over a body, and shows it to who reads it, if anybody does ([RFC 9112 §6 and §7](https://www.rfc-editor.org/rfc/rfc9112#section-6)).

use super::{
    head::{ContentLength, Fields, Line, Lines, TransferEncoding},
    scan::LineEnds,
};

/// Where in a body a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are left, never 0.
    Length(u64),
    /// Before a chunk's size. No line end among the first bytes, as many as this.
    ChunkSize(usize),
    /// So many bytes of a chunk are left, never 0.
    ChunkData(u64),
    /// Before the line end behind a chunk.
    ChunkEnd,
    /// In the trailer section. No line end among the first bytes, as many as this.
    Trailers(usize),
    /// All until the connection closes.
    UntilClose,
}

/// What the bytes of a body, without their framing, are shown to.
pub(super) trait Sink {
    /// Whether all bytes are wanted. Else those that were not captured are not missed.
    const READS: bool;

    /// The next bytes; they end at this place in what [`Body::walk`] goes over.
    fn data(&mut self, bytes: &[u8], end: usize);
}

/// Nobody reads the body.
pub(super) struct Nobody;

impl Sink for Nobody {
    const READS: bool = false;

    #[inline]
    fn data(&mut self, _bytes: &[u8], _end: usize) {}
}

/// What comes after the bytes that [`Body::walk`] went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// The body goes on; call again with this many unconsumed bytes.
    More(usize),
    /// The body goes on; nobody needs the next so many bytes.
    Skip(u64),
    /// The body is over.
    Done,
    /// The chunks are not chunks.
    Broken,
}

/// Longest line with a chunk's size and extensions, longest trailer field.
const MAX_LINE: usize = 2048;

/// Whose body it is, what else decides whether there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// No body.
    Empty,
    Body(Body),
    /// Contradictory fields: nobody can know where it ends.
    Invalid,
}

/// The body of a request.
pub(super) fn of_request(fields: &Fields) -> Framing {
    match (fields.transfer_encoding, fields.content_length) {
        (TransferEncoding::Chunked, _) => Framing::Body(Body::ChunkSize(0)),
        (TransferEncoding::Other, _) | (_, ContentLength::Invalid) => Framing::Invalid,
        (TransferEncoding::Absent, ContentLength::Absent | ContentLength::Bytes(0)) => Framing::Empty,
        (TransferEncoding::Absent, ContentLength::Bytes(n)) => Framing::Body(Body::Length(n)),
    }
}

/// The body of a final response whose status and request allow one.
pub(super) fn of_response(fields: &Fields) -> Framing {
    match (fields.transfer_encoding, fields.content_length) {
        (TransferEncoding::Chunked, _) => Framing::Body(Body::ChunkSize(0)),
        (TransferEncoding::Other, _) | (_, ContentLength::Absent) => Framing::Body(Body::UntilClose),
        (_, ContentLength::Invalid) => Framing::Invalid,
        (_, ContentLength::Bytes(0)) => Framing::Empty,
        (_, ContentLength::Bytes(n)) => Framing::Body(Body::Length(n)),
    }
}

impl Body {
    /// Goes over `bytes`; how many of them are done with, and what then.
    pub(super) fn walk<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) -> (usize, Walk) {
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return (at, Walk::More(1));
            }
            let (taken, stop) = self.step(rest, at, sink);
            at = at.saturating_add(taken);
            if let Some(stop) = stop {
                return (at, stop);
            }
        }
    }

    fn step<S: Sink>(&mut self, rest: &[u8], at: usize, sink: &mut S) -> (usize, Option<Walk>) {
        match self {
            Self::UntilClose => {
                sink.data(rest, at.saturating_add(rest.len()));
                (rest.len(), None)
            }
            Self::Length(left) => {
                let (taken, walk) = run_over(left, rest, at, sink);
                (taken, Some(walk))
            }
            Self::ChunkData(left) => match run_over(left, rest, at, sink) {
                (taken, Walk::Done) => {
                    *self = Self::ChunkEnd;
                    (taken, None)
                }
                (taken, walk) => (taken, Some(walk)),
            },
            Self::ChunkEnd => {
                let taken = match rest {
                    [b'\n', ..] => 1,
                    [b'\r', b'\n', ..] => 2,
                    [b'\r'] => return (0, Some(Walk::More(2))),
                    _ => return (0, Some(Walk::Broken)),
                };
                *self = Self::ChunkSize(0);
                (taken, None)
            }
            Self::ChunkSize(scanned) => {
                let Some(end) = LineEnds::new(rest, *scanned).next() else {
                    *scanned = rest.len();
                    let walk =
                        if rest.len() > MAX_LINE { Walk::Broken } else { Walk::More(rest.len().saturating_add(1)) };
                    return (0, Some(walk));
                };
                *self = match rest.get(..end).filter(|line| line.len() <= MAX_LINE).and_then(chunk_size) {
                    Some(0) => Self::Trailers(0),
                    Some(size) => Self::ChunkData(size),
                    None => return (0, Some(Walk::Broken)),
                };
                (end.saturating_add(1), None)
            }
            Self::Trailers(scanned) => {
                let mut lines = Lines::resume(rest, 0, *scanned);
                loop {
                    let start = lines.start;
                    match lines.field() {
                        Line::End => return (lines.start, Some(Walk::Done)),
                        Line::Field(line) if line.len() <= MAX_LINE => {}
                        Line::Field(_) => return (start, Some(Walk::Broken)),
                        Line::Partial => {
                            let left = rest.len().saturating_sub(start);
                            *scanned = left.saturating_sub(usize::from(rest.last() == Some(&b'\n')));
                            let broken = left > MAX_LINE.saturating_add(2);
                            let walk = if broken { Walk::Broken } else { Walk::More(left.saturating_add(1)) };
                            return (start, Some(walk));
                        }
                    }
                }
            }
        }
    }

    /// So many of the next bytes were lost. Whether it is still known where the body ends, and how many of the lost
    /// bytes came after that.
    pub(super) fn lose(&mut self, lost: u64) -> Option<Lost> {
        match self {
            Self::UntilClose => Some(Lost::Inside),
            Self::Length(left) | Self::ChunkData(left) if lost > 0 && lost < *left => {
                *left = left.saturating_sub(lost);
                Some(Lost::Inside)
            }
            Self::Length(left) if lost > 0 => Some(Lost::Past(lost.saturating_sub(*left))),
            Self::ChunkData(left) if lost == *left => {
                *self = Self::ChunkEnd;
                Some(Lost::Inside)
            }
            _ => None,
        }
    }
}

/// What lost bytes did to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// It goes on behind them.
    Inside,
    /// It ended among them; so many lost bytes came after it.
    Past(u64),
}

/// Takes what is here of `left` bytes. All but the last of the others can be skipped: the last one tells when the
/// message ended.
fn run_over<S: Sink>(left: &mut u64, rest: &[u8], at: usize, sink: &mut S) -> (usize, Walk) {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
    *left = left.saturating_sub(taken as u64);
    sink.data(rest.get(..taken).unwrap_or_default(), at.saturating_add(taken));
    let walk = match *left {
        0 => Walk::Done,
        1 => Walk::More(1),
        _ if S::READS => Walk::More(1),
        n => {
            *left = 1;
            Walk::Skip(n.saturating_sub(1))
        }
    };
    (taken, walk)
}

/// The size before the extensions; at most 16 digits.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at_checked(digits)?;
    if !matches!(rest.trim_ascii_start(), [] | [b';', ..]) || digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let value = |byte: &u8| match byte {
        b'0'..=b'9' => byte & 15,
        _ => (byte & 15).wrapping_add(9),
    };
    Some(digits.iter().fold(0, |size: u64, byte| size << 4 | u64::from(value(byte))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_sizes() {
        assert_eq!(chunk_size(b"1aF\r"), Some(0x1af));
        assert_eq!(chunk_size(b"5 ;name=\"v\"\r"), Some(5));
        assert_eq!(chunk_size(b"ffffffffffffffff"), Some(u64::MAX));
        for bad in [&b""[..], b"\r", b";x", b"-1", b"0x5", b"5 5", b"1ffffffffffffffff"] {
            assert_eq!(chunk_size(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_last_byte_is_not_skipped() {
        let mut body = Body::Length(10);
        assert_eq!(body.walk(b"abc", &mut Nobody), (3, Walk::Skip(6)));
        assert_eq!(body.walk(b"z", &mut Nobody), (1, Walk::Done));
    }

    #[test]
    fn who_reads_gets_what_is_inside_the_framing() {
        struct Kept(alloc::vec::Vec<u8>, usize);
        impl Sink for Kept {
            const READS: bool = true;

            fn data(&mut self, bytes: &[u8], end: usize) {
                self.0.extend_from_slice(bytes);
                self.1 = end;
            }
        }
        let mut kept = Kept(alloc::vec::Vec::new(), 0);
        let mut body = Body::ChunkSize(0);
        assert_eq!(body.walk(b"3;x\r\nabc\r\n4\r\nd", &mut kept), (14, Walk::More(1)));
        assert_eq!((&*kept.0, kept.1), (&b"abcd"[..], 14));
        assert_eq!(body.walk(b"efg\r\n0\r\n\r\nGET", &mut kept), (10, Walk::Done));
        assert_eq!((&*kept.0, kept.1), (&b"abcdefg"[..], 3));
    }

    #[test]
    fn losses_inside_a_known_length_do_not_lose_the_end() {
        let mut body = Body::Length(10);
        assert_eq!(body.lose(9), Some(Lost::Inside));
        assert_eq!(body.walk(b"zG", &mut Nobody), (1, Walk::Done));
        assert_eq!(Body::Length(10).lose(12), Some(Lost::Past(2)));
        assert_eq!(Body::Length(10).lose(0), None);
        assert_eq!(Body::ChunkSize(0).lose(3), None);
    }
}
