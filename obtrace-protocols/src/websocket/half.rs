//! One direction of a session: frame after frame, and the way back to them behind lost bytes.

use super::{
    details::Traffic,
    frame::{Extensions, Header, Opcode, Read},
};
use crate::parser::Side;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Before or in a header.
    #[default]
    Header,
    /// In the payload of a frame, of which so many bytes are to come.
    Payload { frame: Header, left: u64 },
    /// Behind lost bytes: looking for a frame.
    Lost,
    /// Nothing of it is read any more.
    Over,
}

/// The message whose frames are under way (§5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fragments {
    #[default]
    None,
    Of {
        text: bool,
        compressed: bool,
    },
    /// Behind lost bytes: there may be one.
    Unknown,
}

#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) state: State,
    pub(super) traffic: Traffic,
    fragments: Fragments,
    /// Where it goes on was found by looking for it.
    guessed: bool,
}

/// What reading a header came to.
pub(super) enum Begun {
    /// A frame has begun; so many bytes of header are done with.
    Frame(usize),
    /// So many bytes are needed.
    Need(usize),
    /// It was no frame where one was looked for: another is.
    Searches,
    /// It is no frame where one has to be.
    Broken,
}

/// Valid headers that have to follow each other where bytes may be anything.
const CHAIN: usize = 3;

impl Half {
    /// Reads a header.
    pub(super) fn begin(&mut self, bytes: &[u8], side: Side, extensions: Extensions) -> Begun {
        match Header::read(bytes, side, extensions) {
            Read::Whole(frame) if follows(&mut self.fragments, &frame) => {
                self.state = State::Payload { frame, left: frame.length };
                Begun::Frame(frame.size)
            }
            Read::Partial(needed) => Begun::Need(needed),
            Read::Whole(_) | Read::Invalid if self.guessed => {
                self.state = State::Lost;
                Begun::Searches
            }
            Read::Whole(_) | Read::Invalid => Begun::Broken,
        }
    }

    /// The last byte of a frame has passed.
    pub(super) fn finish(&mut self, frame: &Header) {
        self.state = State::Header;
        let one = |count: &mut u64, is: bool| *count = count.saturating_add(u64::from(is));
        let traffic = &mut self.traffic;
        one(&mut traffic.frames, true);
        match frame.opcode {
            Opcode::Ping => return one(&mut traffic.pings, true),
            Opcode::Pong => return one(&mut traffic.pongs, true),
            Opcode::Close => return self.state = State::Over,
            _ => {}
        }
        traffic.payload_bytes = traffic.payload_bytes.saturating_add(frame.length);
        if !frame.fin {
            return;
        }
        let (text, compressed) = match core::mem::take(&mut self.fragments) {
            Fragments::Of { text, compressed } => (text, compressed),
            // Its beginning was lost.
            Fragments::Unknown if frame.opcode == Opcode::Continuation => return,
            _ => (frame.opcode == Opcode::Text, frame.compressed),
        };
        one(&mut traffic.messages, true);
        one(&mut traffic.text_messages, text);
        one(&mut traffic.compressed_messages, compressed);
        one(&mut traffic.fragmented_messages, frame.opcode == Opcode::Continuation);
    }

    /// Bytes were lost, 0 for an unknown number. Whether headers may be among them.
    pub(super) fn lose(&mut self, length: u64) -> bool {
        match self.state {
            State::Over => return false,
            State::Payload { frame, left } if length > 0 => match left.checked_sub(length) {
                Some(0) => {
                    self.finish(&frame);
                    return false;
                }
                Some(left) => {
                    self.state = State::Payload { frame, left };
                    return false;
                }
                None => self.finish(&frame),
            },
            _ => {}
        }
        if self.state == State::Over {
            return false;
        }
        self.state = State::Lost;
        self.fragments = Fragments::Unknown;
        self.guessed = true;
        true
    }

    /// Looks for a frame. Bytes from the front that hold the start of none, and how many are needed to say more; 0 if a
    /// frame begins there.
    pub(super) fn search(&mut self, bytes: &[u8], side: Side, extensions: Extensions, limit: usize) -> (usize, usize) {
        for start in 0..bytes.len() {
            match chain(bytes.get(start..).unwrap_or_default(), side, extensions, limit) {
                Found::Frames => {
                    self.state = State::Header;
                    self.fragments = Fragments::Unknown;
                    return (start, 0);
                }
                Found::More(needed) => return (start, needed),
                Found::Nothing => {}
            }
        }
        (bytes.len(), 1)
    }
}

/// Whether a frame may come next; what message is under way behind its header.
fn follows(fragments: &mut Fragments, frame: &Header) -> bool {
    let begins = matches!(frame.opcode, Opcode::Text | Opcode::Binary);
    let goes_on = frame.opcode == Opcode::Continuation;
    match fragments {
        Fragments::None if goes_on => return false,
        Fragments::Of { .. } if begins => return false,
        _ => {}
    }
    if begins {
        let text = frame.opcode == Opcode::Text;
        let first = Fragments::Of { text, compressed: frame.compressed };
        *fragments = if frame.fin { Fragments::None } else { first };
    }
    true
}

enum Found {
    Frames,
    /// It may be, if there are so many bytes.
    More(usize),
    Nothing,
}

/// Whether frames begin here: so many headers follow each other, the last of which may be a Close. The first is no
/// continuation and none that goes on is empty: runs of zeros and small numbers would be.
fn chain(bytes: &[u8], side: Side, extensions: Extensions, limit: usize) -> Found {
    let (mut at, mut fragments) = (0_usize, Fragments::Unknown);
    for number in 0..CHAIN {
        let frame = match Header::read(bytes.get(at..).unwrap_or_default(), side, extensions) {
            Read::Whole(frame) => frame,
            Read::Invalid => return Found::Nothing,
            Read::Partial(needed) => {
                let needed = at.saturating_add(needed);
                return if needed <= limit { Found::More(needed) } else { Found::Nothing };
            }
        };
        let starts = number > 0 || frame.opcode != Opcode::Continuation;
        if !starts || (!frame.fin && frame.length == 0) || !follows(&mut fragments, &frame) {
            return Found::Nothing;
        }
        if frame.fin && frame.opcode == Opcode::Continuation {
            fragments = Fragments::None;
        }
        if frame.opcode == Opcode::Close {
            return if number > 0 { Found::Frames } else { Found::Nothing };
        }
        let length = usize::try_from(frame.length).unwrap_or(usize::MAX);
        at = at.saturating_add(frame.size).saturating_add(length);
    }
    Found::Frames
}
