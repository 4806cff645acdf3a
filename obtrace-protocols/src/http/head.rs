//! The head of a message: start line and header fields ([RFC 9112 §2 to §5](https://www.rfc-editor.org/rfc/rfc9112)).
//!
//! Made to watch, not to guard: whatever a server may have accepted is read (line ends without CR, folded fields,
//! bytes that no field should hold), and what it means is told as an ordinary server would understand it.

use crate::{TraceContext, scan::find_from};

/// What [`parse_request_head`] and [`parse_response_head`] make of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a head is whole, not yet whole, or not a head")]
pub enum Head<T> {
    /// A whole head.
    Complete(T),
    /// So far it may be one; more bytes are needed.
    Partial,
    /// It does not begin as a message of HTTP/1 does.
    Invalid,
}

/// The head of a request, borrowed from the bytes that it was read from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method: a token, case as sent.
    pub method: &'a str,
    /// The request target as sent.
    pub target: &'a [u8],
    /// The minor version: 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// Length of the head with the empty line that ends it, and with empty lines in front.
    pub length: usize,
    /// What the fields say of the body and of the trace.
    pub fields: Fields,
    headers: &'a [u8],
}

/// The head of a response, borrowed from the bytes that it was read from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The status code: three digits.
    pub status: u16,
    /// The reason phrase, often empty.
    pub reason: &'a [u8],
    /// The minor version: 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// Length of the head with the empty line that ends it, and with empty lines in front.
    pub length: usize,
    /// What the fields say of the body and of the trace.
    pub fields: Fields,
    headers: &'a [u8],
}

impl<'a> RequestHead<'a> {
    /// The header fields in order.
    #[must_use]
    pub const fn headers(&self) -> Headers<'a> {
        Headers { lines: Lines::new(self.headers, 0) }
    }
}

impl<'a> ResponseHead<'a> {
    /// The header fields in order.
    #[must_use]
    pub const fn headers(&self) -> Headers<'a> {
        Headers { lines: Lines::new(self.headers, 0) }
    }
}

/// What the fields of one head mean for the framing of the body ([RFC 9112 §6.3](https://www.rfc-editor.org/rfc/rfc9112#section-6.3))
/// and for the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fields {
    /// `Content-Length`.
    pub content_length: ContentLength,
    /// `Transfer-Encoding`.
    pub transfer_encoding: TransferEncoding,
    /// `traceparent`, if it is there once and valid.
    pub trace_context: Option<TraceContext>,
    /// A second `traceparent` makes both void.
    traces: u8,
}

/// All `Content-Length` fields of a head together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no other outcome")]
pub enum ContentLength {
    /// There is none.
    #[default]
    Absent,
    /// This many bytes, said once or several times.
    Bytes(u64),
    /// Not a number, or two that differ: nobody can know where the body ends.
    Invalid,
}

/// All `Transfer-Encoding` fields of a head together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no other outcome")]
pub enum TransferEncoding {
    /// There is none.
    #[default]
    Absent,
    /// The last coding is `chunked`.
    Chunked,
    /// The last coding is another one.
    Other,
}

impl Fields {
    #[inline]
    pub(super) fn note(&mut self, field: Field, value: &[u8]) {
        match field {
            Field::ContentLength => self.content_length = self.content_length.and(value),
            Field::TransferEncoding => {
                let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
                let chunked = last.eq_ignore_ascii_case(b"chunked");
                self.transfer_encoding = if chunked { TransferEncoding::Chunked } else { TransferEncoding::Other };
            }
            Field::TraceParent => {
                self.traces = self.traces.saturating_add(1);
                self.trace_context = if self.traces == 1 { TraceContext::parse(value) } else { None };
            }
            _ => {}
        }
    }
}

impl ContentLength {
    /// Takes one more field, which may itself be a list of equal numbers.
    fn and(self, value: &[u8]) -> Self {
        let mut all = self;
        for part in value.split(|&byte| byte == b',') {
            all = match (all, decimal(part.trim_ascii())) {
                (Self::Absent, Some(n)) => Self::Bytes(n),
                (Self::Bytes(old), Some(n)) if old == n => all,
                _ => return Self::Invalid,
            };
        }
        all
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then_some(byte & 15)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The fields that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    ContentLength,
    TransferEncoding,
    TraceParent,
    Host,
    UserAgent,
    ContentType,
    ContentEncoding,
    ForwardedFor,
    Upgrade,
    Http2Settings,
    WebSocketExtensions,
    WebSocketProtocol,
}

/// A field name to compare with, whatever the case, in words that cover it.
struct Name<const N: usize> {
    words: [u64; 3],
    /// The bit that upper and lower case of a letter differ in, where the name has a letter.
    cases: [u64; 3],
}

impl<const N: usize> Name<N> {
    #[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "`at` is less than N")]
    const fn new(name: &[u8; N]) -> Self {
        let mut cases = [0; N];
        let mut at = 0;
        while at < N {
            if name[at].is_ascii_lowercase() {
                cases[at] = 0x20;
            }
            at += 1;
        }
        Self { words: words(name), cases: words(&cases) }
    }

    /// What stands behind the name that begins the line.
    #[inline]
    fn strip<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let (name, rest) = line.split_first_chunk::<N>()?;
        let found = words(name);
        let differs = found.iter().zip(&self.cases).zip(&self.words).any(|((found, case), word)| found | case != *word);
        (!differs).then_some(rest)
    }
}

/// Words at the front, in the middle and at the end, of eight bytes, or four for short names. They may overlap.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "N is constant: 4..=24, so is every place"
)]
#[inline]
const fn words<const N: usize>(bytes: &[u8; N]) -> [u64; 3] {
    const { assert!(N >= 4 && N <= 24, "the words do not cover this name") };
    let width = if N < 8 { 4 } else { 8 };
    let starts = [0, if N < 16 { N - width } else { 8 }, N - width];
    let mut words = [0; 3];
    let mut word = 0;
    while word < words.len() {
        let mut at = width;
        while at > 0 {
            at -= 1;
            words[word] = words[word] << 8 | bytes[starts[word] + at] as u64;
        }
        word += 1;
    }
    words
}

const CONTENT_LENGTH: Name<14> = Name::new(b"content-length");
const CONTENT_ENCODING: Name<16> = Name::new(b"content-encoding");
const CONTENT_TYPE: Name<12> = Name::new(b"content-type");
const TRACEPARENT: Name<11> = Name::new(b"traceparent");
const TRANSFER_ENCODING: Name<17> = Name::new(b"transfer-encoding");
const HOST: Name<4> = Name::new(b"host");
const USER_AGENT: Name<10> = Name::new(b"user-agent");
const UPGRADE: Name<7> = Name::new(b"upgrade");
const HTTP2_SETTINGS: Name<14> = Name::new(b"http2-settings");
const WEBSOCKET_EXTENSIONS: Name<24> = Name::new(b"sec-websocket-extensions");
const WEBSOCKET_PROTOCOL: Name<22> = Name::new(b"sec-websocket-protocol");
const FORWARDED_FOR: Name<15> = Name::new(b"x-forwarded-for");

/// Splits a field line whose name is one of those that are read. Most others are told by their first byte; none is
/// searched for its colon.
#[inline]
pub(super) fn known_field(line: &[u8]) -> Option<(Field, &[u8])> {
    let (field, rest) = match line.first()? | 0x20 {
        b'c' | b't' => match CONTENT_TYPE.strip(line) {
            Some(rest) => (Field::ContentType, rest),
            None => return noted_field(line).or_else(|| content_encoding(line)),
        },
        b'h' => match HOST.strip(line) {
            Some(rest) => (Field::Host, rest),
            None => (Field::Http2Settings, HTTP2_SETTINGS.strip(line)?),
        },
        b's' => match WEBSOCKET_EXTENSIONS.strip(line) {
            Some(rest) => (Field::WebSocketExtensions, rest),
            None => (Field::WebSocketProtocol, WEBSOCKET_PROTOCOL.strip(line)?),
        },
        b'u' => match USER_AGENT.strip(line) {
            Some(rest) => (Field::UserAgent, rest),
            None => (Field::Upgrade, UPGRADE.strip(line)?),
        },
        b'x' => (Field::ForwardedFor, FORWARDED_FOR.strip(line)?),
        _ => return None,
    };
    Some((field, field_value(rest)?))
}

#[inline]
fn content_encoding(line: &[u8]) -> Option<(Field, &[u8])> {
    Some((Field::ContentEncoding, field_value(CONTENT_ENCODING.strip(line)?)?))
}

/// As [`known_field`], for those only that [`Fields::note`] takes.
#[inline]
fn noted_field(line: &[u8]) -> Option<(Field, &[u8])> {
    let (field, rest) = match line.first()? | 0x20 {
        b'c' => (Field::ContentLength, CONTENT_LENGTH.strip(line)?),
        b't' => match TRACEPARENT.strip(line) {
            Some(rest) => (Field::TraceParent, rest),
            None => (Field::TransferEncoding, TRANSFER_ENCODING.strip(line)?),
        },
        _ => return None,
    };
    Some((field, field_value(rest)?))
}

/// The value, from what stands behind the name.
#[inline]
fn field_value(rest: &[u8]) -> Option<&[u8]> {
    match rest.split_first()? {
        (b':', value) => Some(trim(value)),
        // White space before the colon is forbidden; who accepts it reads the field nevertheless.
        (b' ' | b'\t', _) => trim(rest).strip_prefix(b":").map(trim),
        _ => None,
    }
}

/// Without the white space around it, line ends of folds included.
#[inline]
fn trim(value: &[u8]) -> &[u8] {
    // One blank in front and none behind is how nearly all are written.
    match value {
        [b' ', inner @ ..] if matches!(inner, [b'!'..=b'~', .., b'!'..=b'~'] | [b'!'..=b'~']) => inner,
        _ => value.trim_ascii(),
    }
}

/// The lines of a head from after the start line, folds joined to the line that they continue. Ends at the empty line.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    /// No line ends from `start` to here.
    scanned: usize,
    /// Start of the line that comes next.
    pub(super) start: usize,
}

/// What [`Lines`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A line, without its end.
    Field(&'a [u8]),
    /// The empty line; the head ends after it.
    End,
    /// No more whole lines.
    Partial,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(bytes: &'a [u8], start: usize) -> Self {
        Self::resume(bytes, start, start)
    }

    /// Starts at `start`, with no line end before `scanned`.
    pub(super) const fn resume(bytes: &'a [u8], start: usize, scanned: usize) -> Self {
        Self { bytes, scanned, start }
    }

    /// One line as it stands, whatever follows.
    // The state of the loop that calls this, and `field`, has to stay in registers.
    #[inline(always)]
    pub(super) fn physical(&mut self) -> Option<&'a [u8]> {
        let end = find_from(self.bytes, self.scanned, b'\n')?;
        let line = self.bytes.get(self.start..end)?;
        self.start = end.wrapping_add(1);
        self.scanned = self.start;
        Some(without_cr(line))
    }

    #[inline(always)]
    pub(super) fn field(&mut self) -> Line<'a> {
        loop {
            let Some(end) = find_from(self.bytes, self.scanned, b'\n') else { return Line::Partial };
            let Some(line) = self.bytes.get(self.start..end) else { return Line::Partial };
            self.scanned = end.wrapping_add(1);
            if matches!(line, [] | [b'\r']) {
                self.start = self.scanned;
                return Line::End;
            }
            match self.bytes.get(self.scanned) {
                Some(b' ' | b'\t') => {}
                Some(_) => {
                    self.start = self.scanned;
                    return Line::Field(without_cr(line));
                }
                // Whether the line goes on after its end is not known yet.
                None => return Line::Partial,
            }
        }
    }
}

#[inline]
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The header fields of a head: name and value, white space around the value trimmed. A line without a colon is left
/// out. Of a folded field the value still has the line ends inside.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    lines: Lines<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Line::Field(line) = self.lines.field() else { return None };
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let (name, value) = line.split_at_checked(colon)?;
            return Some((name, trim(value.get(1..)?)));
        }
    }
}

/// Bytes of empty lines in front of a message, which are allowed ([RFC 9112 §2.2](https://www.rfc-editor.org/rfc/rfc9112#section-2.2)).
#[inline]
pub(super) fn blank(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count()
}

/// Longest method that is taken for one.
pub(super) const MAX_METHOD: usize = 32;

#[inline]
const fn is_token(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'.' | b'^' | b'`' | b'|' | b'~')
}

/// The method that begins a request, and what is after the space behind it. `None`: not a request; an incomplete
/// method is one with nothing behind it.
#[inline]
pub(super) fn method(line: &[u8]) -> Option<(&str, Option<&[u8]>)> {
    match line {
        [b'G', b'E', b'T', b' ', rest @ ..] => Some(("GET", Some(rest))),
        [b'P', b'O', b'S', b'T', b' ', rest @ ..] => Some(("POST", Some(rest))),
        _ => any_method(line),
    }
}

/// Not only the two that nearly all requests have.
fn any_method(line: &[u8]) -> Option<(&str, Option<&[u8]>)> {
    let length = line.iter().take(MAX_METHOD.wrapping_add(1)).take_while(|&&byte| is_token(byte)).count();
    let (method, rest) = line.split_at_checked(length)?;
    let method = core::str::from_utf8(method).ok()?;
    match rest.split_first() {
        None if length <= MAX_METHOD => Some((method, None)),
        Some((b' ', rest)) if length > 0 => Some((method, Some(rest))),
        _ => None,
    }
}

/// The minor version at the end of a request line, and what is in front of the space before it.
#[inline]
pub(super) fn version(rest: &[u8]) -> Option<(&[u8], u8)> {
    // The end of the line was cut off already, so that there is hardly ever white space.
    let rest = if rest.last()?.is_ascii_digit() { rest } else { rest.trim_ascii_end() };
    let (target, [version @ .., minor]) = rest.split_last_chunk::<9>()?;
    (version == b" HTTP/1." && minor.is_ascii_digit()).then_some((target, minor & 15))
}

/// Method, target and minor version.
#[inline]
pub(super) fn request_line(line: &[u8]) -> Option<(&str, &[u8], u8)> {
    let (method, rest) = method(line)?;
    let (target, minor) = version(rest?)?;
    (!target.is_empty()).then_some((method, target, minor))
}

/// Minor version, status and reason.
#[inline]
pub(super) fn status_line(line: &[u8]) -> Option<(u8, u16, &[u8])> {
    let (version, rest) = line.split_first_chunk::<9>()?;
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9', b' '] = version else { return None };
    let (code, reason) = rest.split_first_chunk::<3>()?;
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = code else { return None };
    let reason = match reason.split_first() {
        None => reason,
        Some((b' ', reason)) => reason,
        Some(_) => return None,
    };
    let digit = |byte: &u8| u16::from(byte & 15);
    let status = digit(a).wrapping_mul(100).wrapping_add(digit(b).wrapping_mul(10)).wrapping_add(digit(c));
    Some((minor & 15, status, reason))
}

/// Whether more bytes can make a status line of this beginning.
pub(super) fn may_be_status_line(line: &[u8]) -> bool {
    let pattern = b"HTTP/1.0 200";
    line.iter().zip(pattern).all(|(byte, wanted)| byte == wanted || (wanted.is_ascii_digit() && byte.is_ascii_digit()))
        && line.get(5).is_none_or(|&byte| byte == b'1')
}

/// Whether more bytes can make a request line of this beginning, which has no line end yet.
pub(super) fn may_be_request_line(line: &[u8]) -> bool {
    method(line).is_some()
}

/// Reads the head of a request.
///
/// Every byte is looked at once; nothing is allocated. Equal to what
/// [RFC 9112](https://www.rfc-editor.org/rfc/rfc9112#section-3) says for valid heads; tolerant of others.
///
/// ```
/// use obtrace_protocols::http::{ContentLength, Head, parse_request_head};
/// let bytes = b"POST /orders?x=1 HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nhi";
/// let Head::Complete(head) = parse_request_head(bytes) else { panic!() };
/// assert_eq!((head.method, head.target, head.minor_version), ("POST", &b"/orders?x=1"[..], 1));
/// assert_eq!(head.fields.content_length, ContentLength::Bytes(2));
/// assert_eq!(head.headers().next(), Some((&b"Host"[..], &b"shop"[..])));
/// assert_eq!(&bytes[head.length..], b"hi");
/// assert_eq!(parse_request_head(b"GET / HT"), Head::Partial);
/// ```
#[must_use]
pub fn parse_request_head(bytes: &[u8]) -> Head<RequestHead<'_>> {
    let mut lines = Lines::new(bytes, blank(bytes));
    let Some(line) = lines.physical() else {
        let begun = bytes.get(lines.start..).unwrap_or_default();
        return if may_be_request_line(begun) { Head::Partial } else { Head::Invalid };
    };
    let Some((method, target, minor_version)) = request_line(line) else { return Head::Invalid };
    let headers = bytes.get(lines.start..).unwrap_or_default();
    let Some((fields, length)) = read_fields(lines) else { return Head::Partial };
    Head::Complete(RequestHead { method, target, minor_version, length, fields, headers })
}

/// Reads the head of a response. The same guarantees as [`parse_request_head`].
///
/// ```
/// use obtrace_protocols::http::{Head, TransferEncoding, parse_response_head};
/// let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
/// let Head::Complete(head) = parse_response_head(bytes) else { panic!() };
/// assert_eq!((head.status, head.reason), (200, &b"OK"[..]));
/// assert_eq!(head.fields.transfer_encoding, TransferEncoding::Chunked);
/// ```
#[must_use]
pub fn parse_response_head(bytes: &[u8]) -> Head<ResponseHead<'_>> {
    let mut lines = Lines::new(bytes, blank(bytes));
    let Some(line) = lines.physical() else {
        let begun = bytes.get(lines.start..).unwrap_or_default();
        return if may_be_status_line(begun) { Head::Partial } else { Head::Invalid };
    };
    let Some((minor_version, status, reason)) = status_line(line) else { return Head::Invalid };
    let headers = bytes.get(lines.start..).unwrap_or_default();
    let Some((fields, length)) = read_fields(lines) else { return Head::Partial };
    Head::Complete(ResponseHead { status, reason, minor_version, length, fields, headers })
}

/// What the fields say, and where the head ends.
#[inline]
fn read_fields(mut lines: Lines<'_>) -> Option<(Fields, usize)> {
    let mut fields = Fields::default();
    loop {
        match lines.field() {
            Line::Field(line) => {
                // Told here, so that the others cost no call.
                let may_be_noted = line.first().is_some_and(|first| matches!(first | 0x20, b'c' | b't'));
                if let Some((field, value)) = may_be_noted.then(|| noted_field(line)).flatten() {
                    fields.note(field, value);
                }
            }
            Line::End => return Some((fields, lines.start)),
            Line::Partial => return None,
        }
    }
}
