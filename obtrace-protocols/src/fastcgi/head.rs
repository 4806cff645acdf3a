//! The head of an answer: fields in lines, and an empty line
//! ([RFC 3875 §6](https://www.rfc-editor.org/rfc/rfc3875#section-6)).

use alloc::vec::Vec;

/// Longest line that is read; of a longer one this much.
const MAX_LINE: usize = 512;
/// Longest head.
const MAX_HEAD: u32 = 64 << 10;

/// The state between two pieces of the stream.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The front of a line that is not whole.
    line: Vec<u8>,
    read: u32,
    /// The empty line was read.
    pub(super) is_done: bool,
    status: Option<u16>,
    has_location: bool,
    /// Lines of it were not read.
    is_damaged: bool,
}

impl Head {
    pub(super) fn clear(&mut self) {
        let mut line = core::mem::take(&mut self.line);
        line.clear();
        *self = Self { line, ..Self::default() };
    }

    pub(super) const fn capacity(&self) -> usize {
        self.line.capacity()
    }

    /// The status that the answer has for the client: 302 with a place to go to, else 200, if it names none
    /// (§6.3.3 and §6.2.3).
    pub(super) const fn status(&self) -> Option<u16> {
        match (self.is_done, self.status) {
            (_, Some(status)) => Some(status),
            (true, None) if self.is_damaged => None,
            (true, None) if self.has_location => Some(302),
            (true, None) => Some(200),
            (false, None) => None,
        }
    }

    /// What is left of the head is lost, if something is.
    pub(super) const fn damage(&mut self) {
        self.is_damaged |= !self.is_done;
        self.is_done = true;
    }

    /// Takes the next bytes of the output. How many of them are behind the head. `content_type` is given the value of
    /// that field.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut content_type: impl FnMut(&[u8])) -> usize {
        while !self.is_done && !bytes.is_empty() {
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            self.read = self.read.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX)).saturating_add(1);
            bytes = bytes.get(part.len()..).unwrap_or_default();
            let room = MAX_LINE.saturating_sub(self.line.len());
            let kept = part.get(..room).unwrap_or(part);
            if end.is_none() {
                self.line.extend_from_slice(kept);
            } else {
                bytes = bytes.get(1..).unwrap_or_default();
                if self.line.is_empty() {
                    self.field(kept, &mut content_type);
                } else {
                    self.line.extend_from_slice(kept);
                    let line = core::mem::take(&mut self.line);
                    self.field(&line, &mut content_type);
                    self.line = line;
                    self.line.clear();
                }
            }
            if self.read > MAX_HEAD {
                self.damage();
            }
        }
        bytes.len()
    }

    fn field(&mut self, line: &[u8], content_type: &mut impl FnMut(&[u8])) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.is_done = true;
            return;
        }
        if let Some((b' ', rest)) = line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(1..)?.split_first()) {
            self.status = self.status.or(code(rest));
            return;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return };
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"Status") {
            self.status = self.status.or(code(value));
        } else if name.eq_ignore_ascii_case(b"Content-Type") {
            content_type(value);
        } else if name.eq_ignore_ascii_case(b"Location") {
            self.has_location = true;
        }
    }
}

/// Three digits.
fn code(text: &[u8]) -> Option<u16> {
    let (digits, rest) = text.split_first_chunk::<3>()?;
    let is_end = rest.first().is_none_or(|byte| !byte.is_ascii_digit());
    let number = digits.iter().try_fold(0_u16, |number, byte| {
        byte.is_ascii_digit().then(|| number.wrapping_mul(10).wrapping_add(u16::from(byte & 15)))
    })?;
    (is_end && number >= 100).then_some(number)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use super::*;

    fn read(text: &[u8], piece: usize) -> (Option<u16>, usize, Vec<u8>) {
        let (mut head, mut kind, mut body) = (Head::default(), Vec::new(), 0);
        for part in text.chunks(piece) {
            body += head.feed(part, |value| kind = value.to_vec());
            assert!(head.capacity() <= 2 * MAX_LINE);
        }
        (head.status(), body, kind)
    }

    #[test]
    fn heads_in_pieces_of_any_size() {
        let long = [b"X-Long: ", &[b'x'; 2000][..], b"\r\nStatus: 201\r\n\r\nab"].concat();
        for (text, status, body) in [
            (&b"Status: 404 Not Found\r\nContent-type: text/html\r\n\r\nbody"[..], Some(404), 4),
            (b"Content-Type: text/html\n\n\n\n", Some(200), 2),
            (b"Location: http://a/\r\n\r\n", Some(302), 0),
            (b"Location: http://a/\r\nStatus: 307 Go\r\n\r\n", Some(307), 0),
            (b"HTTP/1.1 500 No\r\n\r\nx", Some(500), 1),
            (b"Status: 2000\r\n\r\n", Some(200), 0),
            (b"Content-type: text/html\r\n", None, 0),
            (&long, Some(201), 2),
        ] {
            for piece in 1..=text.len() {
                let (found, behind, kind) = read(text, piece);
                assert_eq!((found, behind), (status, body), "{} in {piece}", text.escape_ascii());
                assert!(kind.is_empty() || kind == b"text/html");
            }
        }
    }
}
