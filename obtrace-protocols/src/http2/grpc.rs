//! What gRPC puts on top of HTTP/2
//! ([gRPC over HTTP2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)).

/// Whether a content type is gRPC's: `application/grpc`, alone or with a `+` or `;` behind it. gRPC-Web is another
/// protocol.
pub(super) fn is_grpc(content_type: &str) -> bool {
    let (kind, rest) = content_type.split_at_checked(16).unwrap_or((content_type, ""));
    kind.eq_ignore_ascii_case("application/grpc") && matches!(rest.as_bytes().first(), None | Some(b'+' | b';' | b' '))
}

/// Service and method of a path: `/package.Service/Method`.
pub(super) fn split_path(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.rsplit_once('/')?;
    (!service.is_empty() && !method.is_empty()).then_some((service, method))
}

/// A `grpc-timeout` in nanoseconds: at most 8 digits and a unit.
pub(super) fn timeout(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let unit = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    Some(number(digits).saturating_mul(unit))
}

/// A decimal number. What is no digit counts as its low bits: the caller has looked.
fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value: u64, digit| value.saturating_mul(10).saturating_add(u64::from(digit & 15)))
}

/// A decimal number of at most so many digits.
pub(super) fn decimal(value: &[u8], most: usize) -> Option<u64> {
    let is_number = !value.is_empty() && value.len() <= most && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| number(value))
}

/// Bytes in front of each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Counts the messages of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Messages {
    /// Messages that have begun: their prefix was seen whole.
    pub(super) count: u64,
    /// One of them was compressed.
    pub(super) compressed: bool,
    /// Nobody knows where the next one begins.
    pub(super) lost: bool,
    /// Bytes of the message that are still to come.
    left: u32,
    prefix: [u8; PREFIX],
    have: u8,
}

impl Messages {
    /// Bytes that follow which nobody needs to see.
    pub(super) const fn left(&self) -> u32 {
        self.left
    }

    /// Every message so far is there to its last byte.
    pub(super) const fn is_whole(&self) -> bool {
        !self.lost && self.left == 0 && self.have == 0
    }

    /// Goes over bytes of the body.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.lost {
            if self.left > 0 {
                let here = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(self.left);
                self.left = self.left.saturating_sub(here);
                bytes = bytes.get(here as usize..).unwrap_or_default();
                continue;
            }
            let have = usize::from(self.have);
            let more = PREFIX.saturating_sub(have).min(bytes.len());
            let (head, rest) = bytes.split_at_checked(more).unwrap_or((bytes, &[]));
            for (to, from) in self.prefix.iter_mut().skip(have).zip(head) {
                *to = *from;
            }
            self.have = self.have.saturating_add(more as u8);
            bytes = rest;
            if usize::from(self.have) == PREFIX {
                self.begin();
            }
        }
    }

    fn begin(&mut self) {
        let [compressed, a, b, c, d] = self.prefix;
        self.have = 0;
        self.left = u32::from_be_bytes([a, b, c, d]);
        self.count = self.count.saturating_add(1);
        match compressed {
            0 => {}
            1 => self.compressed = true,
            // No prefix.
            _ => self.lost = true,
        }
    }

    /// So many bytes were skipped inside a message.
    pub(super) const fn skip(&mut self, bytes: u32) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// So many bytes were lost: nothing is if they are inside a message.
    pub(super) fn lose(&mut self, bytes: u64) {
        match u32::try_from(bytes) {
            Ok(bytes) if bytes <= self.left => self.skip(bytes),
            _ => self.lost = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for yes in
            ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8", "Application/GRPC+json"]
        {
            assert!(is_grpc(yes), "{yes}");
        }
        for no in
            ["application/grpc-web", "application/grpc-web-text+proto", "application/grpcx", "application/json", ""]
        {
            assert!(!is_grpc(no), "{no}");
        }
    }

    #[test]
    fn paths() {
        assert_eq!(split_path("/helloworld.Greeter/SayHello"), Some(("helloworld.Greeter", "SayHello")));
        assert_eq!(split_path("/prefix/a.B/C"), Some(("prefix/a.B", "C")));
        for no in ["", "/", "/a", "//a", "/a/", "a/b"] {
            assert_eq!(split_path(no), None, "{no}");
        }
    }

    #[test]
    fn timeouts() {
        assert_eq!(timeout(b"1S"), Some(1_000_000_000));
        assert_eq!(timeout(b"99999999H"), Some(u64::MAX));
        assert_eq!(timeout(b"250m"), Some(250_000_000));
        assert_eq!(timeout(b"7u"), Some(7_000));
        assert_eq!(timeout(b"0n"), Some(0));
        for no in [&b""[..], b"S", b"1", b"1s", b"123456789n", b"-1S", b"1.5S"] {
            assert_eq!(timeout(no), None, "{no:?}");
        }
    }

    #[test]
    fn messages_in_any_pieces() {
        let body = [&b"\0\0\0\0\x03abc"[..], b"\x01\0\0\0\0", b"\0\0\0\x01\0", &[7; 256], b"\0\0\0\0\x09a"].concat();
        for size in 1..=body.len() {
            let mut messages = Messages::default();
            body.chunks(size).for_each(|part| messages.read(part));
            assert_eq!((messages.count, messages.compressed, messages.left()), (4, true, 8), "{size}");
            assert!(!messages.lost);
        }
    }

    #[test]
    fn losses_inside_a_message_cost_nothing() {
        let mut messages = Messages::default();
        messages.read(b"\0\0\0\0\x0aabc");
        messages.lose(7);
        messages.read(b"\0\0\0\0\x01");
        messages.lose(1);
        assert_eq!((messages.count, messages.lost), (2, false));
        messages.lose(1);
        messages.read(b"\0\0\0\0\x01");
        assert_eq!((messages.count, messages.lost), (2, true));
    }

    #[test]
    fn what_is_no_prefix_ends_the_count() {
        let mut messages = Messages::default();
        messages.read(b"{\"json\": true}");
        assert!(messages.lost);
    }
}
