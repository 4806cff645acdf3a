//! A name in a message, and how names and texts are written.

use core::fmt;

use super::message::{HEADER, MessageError};

/// Longest name on the wire, with the length bytes and the root's zero.
const MAX_NAME: usize = 255;
/// Most pointers followed in one name. Names have at most 127 labels.
const MAX_POINTERS: u32 = 127;

/// A name in a message. Its labels are read when they are asked for, following pointers
/// ([RFC 1035 §4.1.4](https://www.rfc-editor.org/rfc/rfc1035#section-4.1.4)): only backwards, and not for ever.
///
/// Compares without regard to the case of ASCII letters. Writes itself with dots between the labels, without the one
/// at the end, `.` for the root; a dot, a quote and a backslash inside a label with a backslash before it, tab, CR and
/// LF as `\t`, `\r`, `\n`, what else is not printable ASCII as `\DDD`.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Name<'a> {
    /// The name at this place, and where it ends. Pointers are checked to point backwards, not followed.
    #[inline]
    pub(super) fn at(message: &'a [u8], at: usize) -> Result<(Self, usize), MessageError> {
        let name = Self { message, at };
        let mut here = at;
        loop {
            let Some(&length) = message.get(here) else { return Err(MessageError::Short) };
            match length {
                0 => return Ok((name, here.saturating_add(1))),
                1..=63 => here = here.saturating_add(usize::from(length)).saturating_add(1),
                0xc0..=0xff => {
                    let Some(&low) = message.get(here.saturating_add(1)) else { return Err(MessageError::Short) };
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    if target >= here || target < HEADER {
                        return Err(MessageError::Name);
                    }
                    return Ok((name, here.saturating_add(2)));
                }
                _ => return Err(MessageError::Name),
            }
            if here.saturating_sub(at) >= MAX_NAME {
                return Err(MessageError::Name);
            }
        }
    }

    /// Its labels. Ends early where the name is not one: see [`Labels::is_broken`].
    #[inline]
    #[must_use]
    pub fn labels(&self) -> Labels<'a> {
        Labels { message: self.message, at: self.at, room: MAX_NAME, pointers: MAX_POINTERS, broken: false }
    }

    /// Whether it is the root, the empty name.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.labels().next().is_none()
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.labels(), other.labels());
        loop {
            match (ours.next(), theirs.next()) {
                (Some(ours), Some(theirs)) if ours.eq_ignore_ascii_case(theirs) => {}
                (None, None) => return !ours.broken && !theirs.broken,
                _ => return false,
            }
        }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Labels without anything to escape go out together.
        let (mut plain, mut length) = ([0; MAX_NAME], 0_usize);
        let mut is_root = true;
        for label in self.labels() {
            let dot = if is_root { &b""[..] } else { b"." };
            is_root = false;
            let end = length.saturating_add(dot.len()).saturating_add(label.len());
            if label.iter().all(|byte| is_plain(*byte, true))
                && let Some(place) = plain.get_mut(length..end)
                && let Some((front, behind)) = place.split_at_mut_checked(dot.len())
            {
                front.copy_from_slice(dot);
                behind.copy_from_slice(label);
                length = end;
                continue;
            }
            f.write_str(text(&plain, length))?;
            length = 0;
            f.write_str(text(dot, dot.len()))?;
            write_escaped(f, label, true)?;
        }
        f.write_str(if is_root { "." } else { text(&plain, length) })
    }
}

/// The front of what is plain.
fn text(plain: &[u8], length: usize) -> &str {
    core::str::from_utf8(plain.get(..length).unwrap_or_default()).unwrap_or_default()
}

/// Whether a byte stands for itself.
const fn is_plain(byte: u8, dots: bool) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"') && (byte != b'.' || !dots)
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Writes bytes as text in which nothing can be mistaken.
pub(super) fn write_escaped(out: &mut impl fmt::Write, bytes: &[u8], dots: bool) -> fmt::Result {
    if bytes.iter().all(|byte| is_plain(*byte, dots)) {
        return out.write_str(core::str::from_utf8(bytes).unwrap_or_default());
    }
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => write!(out, "\\{}", char::from(byte))?,
            b'.' if dots => out.write_str("\\.")?,
            b'\t' => out.write_str("\\t")?,
            b'\r' => out.write_str("\\r")?,
            b'\n' => out.write_str("\\n")?,
            b' '..=b'~' => out.write_char(char::from(byte))?,
            _ => write!(out, "\\{byte:03}")?,
        }
    }
    Ok(())
}

/// Iterates over the labels of a name; made by [`Name::labels`].
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    message: &'a [u8],
    at: usize,
    /// Bytes that the name may still have.
    room: usize,
    pointers: u32,
    broken: bool,
}

impl Labels<'_> {
    /// Whether it ended because the name is broken: too long, or in a loop.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self.message.get(self.at..).unwrap_or_default();
            match *rest {
                [0, ..] => return None,
                [length @ 1..=63, ref rest @ ..] => {
                    let length = usize::from(length);
                    let taken = length.saturating_add(1);
                    let label = rest.get(..length).filter(|_| self.room > taken);
                    self.broken = label.is_none();
                    self.room = self.room.saturating_sub(taken);
                    // A broken name stays where it is: its next label is as broken.
                    self.at = if self.broken { usize::MAX } else { self.at.saturating_add(taken) };
                    return label;
                }
                [high @ 0xc0..=0xff, low, ..] => {
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    match self.pointers.checked_sub(1) {
                        Some(fewer) if target < self.at && target >= HEADER => self.pointers = fewer,
                        _ => break,
                    }
                    self.at = target;
                }
                _ => break,
            }
        }
        self.broken = true;
        self.at = usize::MAX;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};

    #[test]
    fn written() {
        let name = |labels: &[&[u8]]| {
            let mut message = vec![0; HEADER];
            for label in labels {
                message.push(label.len() as u8);
                message.extend_from_slice(label);
            }
            message.push(0);
            Name::at(&message, HEADER).unwrap().0.to_string()
        };
        let long: &[u8] = &[b'x'; 63];
        let words = |text: &'static [u8]| text.split(|&byte| byte == b' ').collect::<vec::Vec<_>>();
        for (labels, text) in [
            (vec![], "."),
            (words(b"www example com"), "www.example.com"),
            (words(b"www a.b c\x07 d e"), r"www.a\.b.c\007.d.e"),
            (words(b"a\"b c"), r#"a\"b.c"#),
            (words(b"\xff"), r"\255"),
            (vec![long, long, long, &long[..61]], &vec!["x".repeat(63); 4].join(".")[..253]),
        ] {
            assert_eq!(name(&labels), text);
        }
    }
}
