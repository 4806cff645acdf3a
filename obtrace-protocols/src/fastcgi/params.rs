//! Names and values (§3.4), whatever the records that they come in.

use alloc::vec::Vec;

/// Longest name that is read.
const MAX_NAME: usize = 64;
/// The lengths in front of a pair: four bytes each at most.
const MAX_LENGTHS: usize = 8;

/// Reads the names and values of a request piece by piece.
///
/// ```
/// let (mut params, mut found) = (obtrace_protocols::fastcgi::params::Params::default(), String::new());
/// for piece in [&b"\x0e\x03REQUEST_METHOD"[..], b"GET\x01\x01a"] {
///     params.feed(piece, 100, |name, value| found += &format!("{} {}", name.escape_ascii(), value.escape_ascii()));
/// }
/// assert_eq!(found, "REQUEST_METHOD GET");
/// ```
#[derive(Debug, Default)]
pub struct Params {
    /// The front of a pair that is not whole.
    carry: Vec<u8>,
    /// Bytes of a value that are still to come and of no interest.
    skip: u32,
}

/// The lengths in front of a pair.
#[derive(Clone, Copy)]
struct Lengths {
    /// Bytes that they take.
    used: usize,
    name: usize,
    value: usize,
}

fn lengths(bytes: &[u8]) -> Option<Lengths> {
    let (name, first) = length(bytes)?;
    let (value, second) = length(bytes.get(first..)?)?;
    Some(Lengths { used: first.saturating_add(second), name, value })
}

/// A length, and how many bytes it takes: one below 128, else four.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [low @ 0..=0x7f, ..] => Some((usize::from(low), 1)),
        [b0, b1, b2, b3, ..] => Some((u32::from_be_bytes([b0 & 0x7f, b1, b2, b3]) as usize, 4)),
        _ => None,
    }
}

impl Params {
    pub(super) fn clear(&mut self) {
        self.carry.clear();
        self.skip = 0;
    }

    pub(super) const fn capacity(&self) -> usize {
        self.carry.capacity()
    }

    /// Takes the next bytes of the stream. `found` is given each pair, of a value at most `most` bytes; pairs whose name is
    /// longer than 64 bytes are passed over.
    pub fn feed(&mut self, mut bytes: &[u8], most: usize, mut found: impl FnMut(&[u8], &[u8])) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = (self.skip as usize).min(bytes.len());
                self.skip = self.skip.saturating_sub(u32::try_from(skipped).unwrap_or(u32::MAX));
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            bytes = if self.carry.is_empty() {
                match self.pair(bytes, most, &mut found) {
                    Some(rest) => rest,
                    None => {
                        self.carry.extend_from_slice(bytes);
                        return;
                    }
                }
            } else {
                self.fill(bytes, most, &mut found)
            };
        }
    }

    /// Reads the pair at the front of `bytes`. What is behind it; `None` if more of it is needed.
    fn pair<'b>(&mut self, bytes: &'b [u8], most: usize, found: &mut impl FnMut(&[u8], &[u8])) -> Option<&'b [u8]> {
        let Lengths { used, name, value } = lengths(bytes)?;
        let rest = bytes.get(used..)?;
        let total = name.saturating_add(value);
        if name > MAX_NAME {
            return Some(self.pass(rest, total));
        }
        let kept = value.min(most);
        let (name_bytes, behind) = rest.split_at_checked(name)?;
        found(name_bytes, behind.get(..kept)?);
        Some(self.pass(rest, total))
    }

    /// Passes over so many bytes, of which some may be still to come.
    fn pass<'b>(&mut self, bytes: &'b [u8], total: usize) -> &'b [u8] {
        let here = total.min(bytes.len());
        self.skip = u32::try_from(total.saturating_sub(here)).unwrap_or(u32::MAX);
        bytes.get(here..).unwrap_or_default()
    }

    /// Adds what the pair that was begun still needs. What is left.
    fn fill<'b>(&mut self, bytes: &'b [u8], most: usize, found: &mut impl FnMut(&[u8], &[u8])) -> &'b [u8] {
        let wanted = match lengths(&self.carry) {
            Some(Lengths { used, name, .. }) if name > MAX_NAME => used,
            Some(Lengths { used, name, value }) => used.saturating_add(name).saturating_add(value.min(most)),
            None => self.carry.len().saturating_add(1).min(MAX_LENGTHS),
        };
        let taken = wanted.saturating_sub(self.carry.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
        self.carry.extend_from_slice(taken);
        let carry = core::mem::take(&mut self.carry);
        let is_read = self.pair(&carry, most, found).is_some();
        self.carry = carry;
        if is_read {
            self.carry.clear();
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec};

    use super::*;

    fn encode(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = vec![];
        for (name, value) in pairs {
            for text in [name, value] {
                if text.len() < 128 {
                    out.push(text.len() as u8);
                } else {
                    out.extend_from_slice(&(text.len() as u32 | 1 << 31).to_be_bytes());
                }
            }
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value.as_bytes());
        }
        out
    }

    #[test]
    fn pairs_are_read_in_pieces_of_any_size() {
        let long = "v".repeat(300);
        let name = "N".repeat(200);
        let pairs = [("A", "b"), ("EMPTY", ""), ("LONG", &long), (&name, "skipped"), ("", "x"), ("Z", "last")];
        let bytes = encode(&pairs);
        let expected: Vec<(String, String)> = pairs
            .iter()
            .filter(|(name, _)| name.len() <= MAX_NAME)
            .map(|(name, value)| ((*name).into(), value.chars().take(100).collect()))
            .collect();
        for piece in 1..bytes.len() {
            let (mut params, mut found) = (Params::default(), vec![]);
            for part in bytes.chunks(piece) {
                params.feed(part, 100, |name, value| {
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    found.push((text(name), text(value)));
                });
                assert!(params.capacity() < 512);
            }
            assert_eq!(found, expected, "{piece}");
        }
    }

    #[test]
    fn a_declared_length_takes_no_memory() {
        let mut params = Params::default();
        params.feed(b"\x01\xff\xff\xff\xffX", 100, |_, _| {});
        for _ in 0..100 {
            params.feed(&[b'y'; 1000], 100, |name, value| assert_eq!((name, value.len()), (&b"X"[..], 100)));
        }
        assert!(params.capacity() < 2048, "{}", params.capacity());
    }
}
