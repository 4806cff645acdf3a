//! The header fields of one block that somebody reads.

use alloc::{string::String, vec::Vec};

use super::{
    grpc,
    hpack::{Decoder, Name},
};
use crate::{Config, TraceContext, http::conceal::Kind, parser::Upgrade, payload::coding::Coding};

/// A part of [`Fields::text`]. Empty: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    start: u32,
    end: u32,
}

impl Piece {
    const fn is_none(self) -> bool {
        self.start == self.end
    }
}

/// What a header block said. The same value is filled again and again.
#[derive(Debug, Default)]
pub(super) struct Fields {
    text: String,
    pub(super) method: Piece,
    pub(super) path: Piece,
    pub(super) scheme: Piece,
    pub(super) authority: Piece,
    pub(super) host: Piece,
    pub(super) user_agent: Piece,
    pub(super) content_type: Piece,
    pub(super) forwarded_for: Piece,
    /// `grpc-encoding`.
    pub(super) encoding: Piece,
    /// `grpc-message`.
    pub(super) message: Piece,
    pub(super) status: Option<u16>,
    pub(super) grpc_status: Option<u32>,
    /// `grpc-timeout`.
    pub(super) timeout: Option<u64>,
    pub(super) trace_context: Option<TraceContext>,
    /// `content-encoding`.
    pub(super) coding: Coding,
    /// A field of a request was among them.
    pub(super) asks: bool,
    /// A name or a value that may be read is not known.
    pub(super) unresolved: bool,
}

impl Fields {
    /// Makes it new where it lies, with the memory of its text.
    pub(super) fn clear(&mut self) {
        #[rustfmt::skip]
        let Self {
            text, method, path, scheme, authority, host, user_agent, content_type, forwarded_for, encoding, message,
            status, grpc_status, timeout, trace_context, coding, asks, unresolved,
        } = self;
        text.clear();
        let pieces =
            [method, path, scheme, authority, host, user_agent, content_type, forwarded_for, encoding, message];
        pieces.into_iter().for_each(|piece| *piece = Piece::default());
        (*status, *grpc_status, *timeout, *trace_context) = (None, None, None, None);
        (*coding, *asks, *unresolved) = (Coding::Identity, false, false);
    }

    /// Whether it says the same as another.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        #[rustfmt::skip]
        let Self {
            text, method, path, scheme, authority, host, user_agent, content_type, forwarded_for, encoding, message,
            status, grpc_status, timeout, trace_context, coding, asks, unresolved,
        } = self;
        // A comparison of no bytes with no memory behind them costs some processors more than all else here.
        text.len() == other.text.len()
            && (text.is_empty() || *text == other.text)
            && (*method, *path, *scheme, *authority) == (other.method, other.path, other.scheme, other.authority)
            && (*host, *user_agent, *content_type) == (other.host, other.user_agent, other.content_type)
            && (*forwarded_for, *encoding, *message) == (other.forwarded_for, other.encoding, other.message)
            && (*status, *grpc_status, *timeout) == (other.status, other.grpc_status, other.timeout)
            && (*coding, *asks, *unresolved) == (other.coding, other.asks, other.unresolved)
            && *trace_context == other.trace_context
    }

    /// Reads a block, in place of what was read before.
    pub(super) fn read(&mut self, decoder: &mut Decoder, block: &[u8], config: &Config) {
        self.clear();
        let limit = config.max_text.min(config.max_buffered / 4) as usize;
        let mut fields = decoder.decode(block);
        loop {
            match fields.next_known() {
                Ok(Some((name, Some(value)))) => self.note(name, value, limit, config.error_text),
                Ok(Some((name, None))) => {
                    self.asks |= matches!(name, Name::Method | Name::Path | Name::Scheme | Name::Authority);
                    self.unresolved = true;
                    if name == Name::ContentEncoding {
                        self.coding = Coding::Other;
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    self.unresolved = true;
                    return;
                }
            }
        }
    }

    /// What a request of HTTP/1 said.
    pub(super) fn note_upgrade(&mut self, upgrade: &Upgrade<'_>) {
        let mut put = |text: &str| put(&mut self.text, text.as_bytes(), usize::MAX);
        self.method = put(upgrade.method);
        self.path = put(if upgrade.target.starts_with('/') { upgrade.target } else { upgrade.path });
        self.scheme = put("http");
        self.host = upgrade.host.map(&mut put).unwrap_or_default();
        self.user_agent = upgrade.user_agent.map(&mut put).unwrap_or_default();
        self.content_type = upgrade.content_type.map(&mut put).unwrap_or_default();
        self.forwarded_for = upgrade.forwarded_for.map(put).unwrap_or_default();
        self.asks = true;
    }

    /// Nothing is known of a block.
    pub(super) fn read_none(&mut self) {
        self.clear();
        self.unresolved = true;
        self.asks = true;
    }

    fn note(&mut self, name: Name, value: &[u8], limit: usize, error_text: bool) {
        let (piece, kind) = match name {
            Name::Method => (&mut self.method, Kind::Harmless),
            Name::Path => (&mut self.path, Kind::Target),
            Name::Scheme => (&mut self.scheme, Kind::Scheme),
            Name::Authority => (&mut self.authority, Kind::Authority),
            Name::Host => (&mut self.host, Kind::Authority),
            Name::UserAgent => (&mut self.user_agent, Kind::Agent),
            Name::ContentType => (&mut self.content_type, Kind::MediaType),
            Name::ForwardedFor => (&mut self.forwarded_for, Kind::Addresses),
            Name::GrpcEncoding => (&mut self.encoding, Kind::Registered),
            Name::GrpcMessage if error_text => return self.note_message(value, limit),
            _ => return self.note_other(name, value),
        };
        if piece.is_none()
            && let Some(value) = kind.known(value, false)
        {
            let from = self.text.len();
            *piece = put(&mut self.text, value, limit);
            kind.conceal(&mut self.text, from, value.len() > limit);
        }
        self.asks |= matches!(name, Name::Method | Name::Path | Name::Scheme | Name::Authority);
    }

    /// `grpc-message` is
    /// [percent-encoded](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses); what is no code
    /// stays as it is.
    fn note_message(&mut self, value: &[u8], limit: usize) {
        if !self.message.is_none() {
            return;
        }
        let mut bytes = core::mem::take(&mut self.text).into_bytes();
        let start = bytes.len();
        let mut rest = value.get(..limit.saturating_mul(3)).unwrap_or(value);
        while let Some((first, behind)) = rest.split_first()
            && bytes.len().saturating_sub(start) < limit
        {
            let code = behind.first_chunk::<2>().filter(|_| *first == b'%').and_then(hexadecimal);
            bytes.push(code.unwrap_or(*first));
            rest = if code.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
        }
        self.text = text_of(bytes);
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.message = Piece { start: place(start), end: place(self.text.len()) };
    }

    fn note_other(&mut self, name: Name, value: &[u8]) {
        match name {
            // Several are one that nobody reads.
            Name::ContentEncoding if self.coding == Coding::Identity => self.coding = Coding::parse(value),
            Name::ContentEncoding => self.coding = Coding::Other,
            Name::Status => {
                let status = grpc::decimal(value, 3).and_then(|status| u16::try_from(status).ok());
                self.status = self.status.or(status.filter(|status| *status >= 100));
            }
            Name::GrpcStatus => {
                let status = grpc::decimal(value, 10).and_then(|status| u32::try_from(status).ok());
                self.grpc_status = self.grpc_status.or(status);
            }
            Name::GrpcTimeout => self.timeout = self.timeout.or_else(|| grpc::timeout(value)),
            Name::TraceParent => self.trace_context = self.trace_context.or_else(|| TraceContext::parse(value)),
            _ => {}
        }
    }

    #[inline]
    pub(super) fn get(&self, piece: Piece) -> Option<&str> {
        if piece.is_none() { None } else { self.text.get(piece.start as usize..piece.end as usize) }
    }

    /// What trailers add.
    pub(super) fn add(&mut self, trailers: &Self) {
        self.grpc_status = self.grpc_status.or(trailers.grpc_status);
        self.unresolved |= trailers.unresolved;
        if let Some(text) = trailers.get(trailers.message).filter(|_| self.message.is_none()) {
            self.message = put(&mut self.text, text.as_bytes(), usize::MAX);
        }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.text.capacity()
    }
}

/// What is not UTF-8 is replaced; a character that was cut at the end is left out.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let (valid, cut) = (error.utf8_error().valid_up_to(), error.utf8_error().error_len().is_none());
        let whole = error.as_bytes().get(..valid).filter(|_| cut).unwrap_or(error.as_bytes());
        String::from_utf8_lossy(whole).into_owned()
    })
}

/// The byte that two hexadecimal digits stand for.
fn hexadecimal(digits: &[u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    Some(high? << 4 | low?)
}

/// Appends a text, cut between characters; what is not UTF-8 is replaced.
fn put(text: &mut String, value: &[u8], limit: usize) -> Piece {
    let start = text.len();
    let value = value.get(..limit).unwrap_or(value);
    match core::str::from_utf8(value) {
        Ok(value) => text.push_str(value),
        // The character that was cut.
        Err(error) if error.error_len().is_none() => {
            let whole = value.get(..error.valid_up_to()).unwrap_or_default();
            text.push_str(core::str::from_utf8(whole).unwrap_or_default());
        }
        Err(_) => text.push_str(&String::from_utf8_lossy(value)),
    }
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Piece { start: place(start), end: place(text.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &[u8], config: &Config) -> Fields {
        let mut fields = Fields::default();
        fields.read(&mut Decoder::listening(), block, config);
        fields
    }

    #[test]
    fn the_fields_of_a_request() {
        let block = b"\x83\x86\x44\x04/a/b\x41\x01h\x00\x0cgrpc-timeout\x0210\
            \x00\x0cgrpc-timeout\x023S\x00\x0ccontent-type\x10application/grpc\x00\x06cookie\x06s3cret";
        let fields = read(block, &Config::new());
        assert_eq!(fields.get(fields.method), Some("POST"));
        assert_eq!(fields.get(fields.path), Some("/a/b"));
        assert_eq!(fields.get(fields.content_type), Some("application/grpc"));
        assert_eq!(fields.get(fields.user_agent), None);
        assert_eq!(fields.timeout, Some(3_000_000_000));
        assert!(fields.asks && !fields.unresolved);
        assert!(!fields.text.contains("s3cret"));
    }

    #[test]
    fn texts_of_errors_only_where_they_are_asked_for() {
        let block = b"\x00\x0bgrpc-status\x0213\x00\x0cgrpc-message\x04boom";
        let fields = read(block, &Config::new());
        assert_eq!((fields.grpc_status, fields.get(fields.message)), (Some(13), None));
        let fields = read(block, &Config::new().with_error_text(true));
        assert_eq!(fields.get(fields.message), Some("boom"));
        let block = b"\x00\x0cgrpc-message\x14a%20b%C3%a9%%4%zz%0D";
        let fields = read(block, &Config::new().with_error_text(true));
        assert_eq!(fields.get(fields.message), Some("a b\u{e9}%%4%zz\r"));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let mut text = String::new();
        let put = |text: &mut String, value: &[u8], limit| {
            let piece = put(text, value, limit);
            String::from(text.get(piece.start as usize..piece.end as usize).unwrap())
        };
        assert_eq!(put(&mut text, "aé".as_bytes(), 2), "a");
        assert_eq!(put(&mut text, "aé".as_bytes(), 3), "aé");
        assert_eq!(put(&mut text, b"\xffa", 9), "\u{fffd}a");
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut decoder = Decoder::listening();
        decoder.forget();
        let mut fields = Fields::default();
        fields.read(&mut decoder, &[0x83, 0xc5], &Config::new());
        assert!(fields.unresolved && fields.asks);
        fields.read(&mut decoder, &[0x83, 0x24], &Config::new());
        assert!(!fields.unresolved);
        fields.read(&mut decoder, &[0x83, 0xff], &Config::new());
        assert!(fields.unresolved, "no HPACK");
    }
}
