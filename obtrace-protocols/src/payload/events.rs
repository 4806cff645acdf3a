//! Splits a stream of events: [server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream)
//! into the data of each. Bytes are passed on as they come; nothing is stored.

use super::json::line_end;

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'b> {
    /// Data of the event that is being read.
    Data(&'b [u8]),
    /// The event is over. It had data.
    End,
    /// All bytes are taken.
    More,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At the start of a line.
    #[default]
    Line,
    /// In the name of a field, of which so many bytes agree with `data`.
    Name(u8),
    /// Behind `data:`.
    Colon,
    Data,
    /// In a line that is of no interest.
    Other,
    /// Behind lost bytes, in a line or, if `true`, at the start of one: no event before the next one begins.
    Lost(bool),
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Events {
    state: State,
    /// The event has data.
    data: bool,
    /// The last byte was a carriage return: a line feed belongs to it.
    returned: bool,
}

const NAME: &[u8] = b"data";

impl Events {
    /// Bytes are missing: what is left of the event that they are of is passed over.
    pub(super) fn lose(&mut self) {
        *self = Self { state: State::Lost(false), ..Self::default() };
    }

    /// Takes bytes from the front.
    pub(super) fn next<'b>(&mut self, input: &mut &'b [u8]) -> Piece<'b> {
        while let Some((&byte, rest)) = input.split_first() {
            if core::mem::take(&mut self.returned) && byte == b'\n' {
                *input = rest;
                continue;
            }
            if matches!(byte, b'\n' | b'\r') {
                *input = rest;
                self.returned = byte == b'\r';
                if self.line_over() {
                    return Piece::End;
                }
                continue;
            }
            match self.state {
                State::Data => {
                    let end = line_end(input);
                    let Some((data, rest)) = input.split_at_checked(end) else { return Piece::More };
                    *input = rest;
                    return Piece::Data(data);
                }
                State::Other => {
                    let end = line_end(input);
                    *input = input.get(end..).unwrap_or_default();
                    continue;
                }
                State::Line => {
                    // As nearly all lines with data begin.
                    (self.state, *input) = match input.strip_prefix(b"data: ") {
                        Some(rest) => (State::Data, rest),
                        None => (State::Name(0), *input),
                    };
                    self.data |= self.state == State::Data;
                    continue;
                }
                State::Name(at) => {
                    self.state = match NAME.get(usize::from(at)) {
                        Some(&letter) if letter == byte => State::Name(at.saturating_add(1)),
                        None if byte == b':' => State::Colon,
                        _ => State::Other,
                    }
                }
                State::Colon => {
                    self.state = State::Data;
                    self.data = true;
                    if byte != b' ' {
                        continue;
                    }
                }
                State::Lost(_) => self.state = State::Lost(false),
            }
            *input = rest;
        }
        Piece::More
    }

    /// A line is over. Whether an event is.
    fn line_over(&mut self) -> bool {
        match self.state {
            State::Line => return core::mem::take(&mut self.data),
            State::Lost(false) => self.state = State::Lost(true),
            _ => self.state = State::Line,
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use super::*;

    fn split(pieces: &[&[u8]], lose_before: usize) -> Vec<String> {
        let (mut events, mut found, mut data) = (Events::default(), Vec::new(), Vec::new());
        for (at, mut piece) in pieces.iter().copied().enumerate() {
            if at == lose_before {
                events.lose();
                data.clear();
            }
            loop {
                match events.next(&mut piece) {
                    Piece::Data(bytes) => data.extend_from_slice(bytes),
                    Piece::End => found.push(String::from_utf8(core::mem::take(&mut data)).unwrap()),
                    Piece::More => break,
                }
            }
        }
        found
    }

    const STREAM: &[u8] = b"\n: comment\nevent: a\ndata: {\"x\":\ndata:1}\n\nid: 1\r\n\r\ndata:[DONE]\r\n\r\ndatax: no\rdata: last\r\rdata: open";

    #[test]
    fn any_split_gives_the_same_events() {
        let wanted = ["{\"x\":1}", "[DONE]", "last"];
        for first in 0..STREAM.len() {
            for second in first..STREAM.len() {
                let pieces = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
                assert_eq!(split(&pieces, 9), wanted, "{first} {second}");
            }
        }
    }

    #[test]
    fn behind_a_loss_the_next_event_is_found() {
        assert_eq!(split(&[b"data: a\n\ndata: b", b"c\n\ndata: d\n\n"], 1), ["a", "d"]);
        assert_eq!(split(&[b"data: a\n", b"x\r\n\r\ndata: d\n\n"], 1), ["d"]);
    }
}
