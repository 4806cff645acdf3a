//! What comes out: an [`Exchange`] is a request with its response, whatever the protocol.

use alloc::borrow::Cow;

use crate::{Details, Protocol};

/// A point in time: nanoseconds in the caller's clock. The crate never reads a clock itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time `nanos` nanoseconds after the zero of the caller's clock.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the zero of the caller's clock.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This time plus `nanos`, at most the end of the clock.
    #[must_use]
    pub const fn saturating_add(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

/// A value of the caller's that travels with the bytes: the request and the response of an [`Exchange`] each carry
/// the tag of their first byte. The agent puts the strand (thread, goroutine, …) there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u64);

impl Tag {
    /// Wraps the caller's value.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The caller's value.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Which way bytes went, seen from the observed socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a stream has two directions")]
pub enum Direction {
    /// Written by the owner of the observed socket.
    Sent,
    /// Read by the owner of the observed socket.
    Received,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Sent => Self::Received,
            Self::Received => Self::Sent,
        }
    }
}

/// The part that the owner of the observed socket plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Role {
    /// It sends requests.
    Client,
    /// It answers them.
    Server,
}

impl Role {
    /// The role of the peer.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// How much of an exchange was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Completeness {
    /// Request and response were seen whole, or the message needs no answer. Bytes that are not of interest (a body)
    /// do not count against it.
    #[default]
    Complete,
    /// The connection or the capture ended inside the response, or a limit cut something that would have been read.
    Truncated,
    /// Bytes inside the exchange were lost.
    Gap,
    /// The request was seen, its answer never came.
    ResponseMissing,
}

impl Completeness {
    /// The name used in output: `complete`, `truncated`, `gap`, `response_missing`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Truncated => "truncated",
            Self::Gap => "gap",
            Self::ResponseMissing => "response_missing",
        }
    }
}

/// One half of an exchange on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// When its first byte passed.
    pub start: Timestamp,
    /// When its last byte passed.
    pub end: Timestamp,
    /// Its size on the wire in bytes, head and body.
    pub size: u64,
    /// Stream offset of its first byte.
    pub offset: u64,
    /// The tag of its first byte.
    pub tag: Tag,
}

impl Message {
    /// As it is when it comes again, so many times directly behind itself.
    #[inline]
    pub(crate) const fn again(mut self, times: u64) -> Self {
        self.offset = self.offset.wrapping_add(self.size.wrapping_mul(times));
        self
    }
}

/// A W3C trace context as it was read off the wire
/// ([Trace Context level 1](https://www.w3.org/TR/trace-context-1/#traceparent-header)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TraceContext {
    /// 16 bytes, never all zero.
    pub trace_id: [u8; 16],
    /// `parent-id`: 8 bytes, never all zero.
    pub span_id: [u8; 8],
    /// `trace-flags`; bit 0 is *sampled*.
    pub flags: u8,
}

impl TraceContext {
    /// Parses a `traceparent` value: version `00`, and higher versions by the rules for them. `None` if it is not
    /// valid; the rule is that it is then ignored.
    ///
    /// ```
    /// use obtrace_protocols::TraceContext;
    /// let context = TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
    /// assert_eq!(context.span_id[0], 0xb7);
    /// assert!(TraceContext::parse(b"00-00000000000000000000000000000000-b7ad6b7169203331-01").is_none());
    /// ```
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (head, rest) = value.split_first_chunk::<55>()?;
        let [v, w, b'-', ids @ .., b'-', f, g] = head else { return None };
        let (trace, [b'-', span @ ..]) = ids.split_first_chunk::<32>()? else { return None };
        let (trace, _) = trace.as_chunks::<8>();
        let (span, _) = span.as_chunks::<8>();
        let ([a, b, c, d], [e, i]) = (trace, span) else { return None };
        let mut bad = 0;
        let trace_id = [a, b, c, d].map(|digits| hex(*digits, &mut bad));
        let span_id = [e, i].map(|digits| hex(*digits, &mut bad));
        let [version, _, _, flags] = hex([*v, *w, b'0', b'0', b'0', b'0', *f, *g], &mut bad).to_be_bytes();
        if bad != 0 || trace_id == [0; 4] || span_id == [0; 2] {
            return None;
        }
        if version == 0xff || (version == 0 && !rest.is_empty()) || rest.first().is_some_and(|&b| b != b'-') {
            return None;
        }
        let trace_id = trace_id.iter().fold(0, |id, word| id << 32 | u128::from(*word)).to_be_bytes();
        let span_id = span_id.iter().fold(0, |id, word| id << 32 | u64::from(*word)).to_be_bytes();
        Some(Self { trace_id, span_id, flags })
    }
}

/// Eight lower-case hexadecimal digits to a number, all at once; the specification allows no upper case. What is no
/// such digit leaves a bit in `bad`.
#[inline]
fn hex(digits: [u8; 8], bad: &mut u64) -> u32 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_be_bytes(digits);
    // Each sum has its byte's high bit if the byte is more than 9, more than 6, more than 0; no carry leaves a byte.
    let digit = (word ^ ONES.wrapping_mul(0x30)) & LOW;
    let over_nine = digit.wrapping_add(ONES.wrapping_mul(0x76));
    let letter = (word ^ ONES.wrapping_mul(0x60)) & LOW;
    let over_six = letter.wrapping_add(ONES.wrapping_mul(0x79));
    let over_zero = letter.wrapping_add(LOW);
    *bad |= (word | (over_nine & (over_six | !over_zero))) & HIGH;
    // A letter has the bit 0x40, a digit has not.
    let nibbles = (word & ONES.wrapping_mul(0x0f)).wrapping_add(((word >> 6) & ONES).wrapping_mul(9));
    let bytes = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    // The low half holds all.
    (pairs | pairs >> 16) as u32
}

/// What an [`Opened`] says of its exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The exchange will come.
    Certain,
    /// Nobody can tell yet whether this will be an exchange: what only prepares a statement is one if it fails.
    /// [`Confirmed`](Stage::Confirmed), [`Withdrawn`](Stage::Withdrawn) or the exchange itself follows.
    Tentative,
    /// What was tentative is certain now.
    Confirmed,
    /// What was tentative was no exchange.
    Withdrawn,
}

/// A request has begun: enough of it was seen to know what it is, its answer is still to come.
///
/// Every [`Exchange`] was announced by one of these with the same `id`, so that a caller can give the exchange its
/// place in a trace before the requests that it causes are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// Counts from 0 on each connection. What turns out to be no exchange may have taken a number unannounced.
    pub id: u64,
    /// When the first byte of the request passed.
    pub start: Timestamp,
    /// The tag of that byte.
    pub tag: Tag,
    /// The stream offset of that byte.
    pub offset: u64,
    /// Who sends the request: the client, but for what a server sends unasked, as MQTT delivers messages. The offset is
    /// that of the sender's stream.
    pub sender: Role,
    /// The context that the request carries.
    pub trace_context: Option<TraceContext>,
    /// Whether the exchange is certain to come.
    pub stage: Stage,
}

/// A request with its response. Borrows from the connection; [`Exchange::into_owned`] where it is kept.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// The same as in [`Opened`].
    pub id: u64,
    /// The protocol it was spoken in.
    pub protocol: Protocol,
    /// The role of the observed socket.
    pub role: Role,
    /// What was asked for: an HTTP method, an SQL operation, a Redis command, a DNS query type, a Kafka request. Never empty; of low
    /// cardinality.
    pub operation: Cow<'a, str>,
    /// What it was done to: the path without the query, the table, the name asked for. Empty where there is none.
    pub target: Cow<'a, str>,
    /// Low-cardinality reason when the exchange failed, by OpenTelemetry's conventions for the protocol and the
    /// role (an HTTP 404 is an error of the client only): an HTTP status code, an SQLSTATE, a Redis error prefix, a
    /// DNS response code.
    pub error: Option<Cow<'a, str>>,
    /// The request.
    pub request: Message,
    /// The response; `None` if none was seen.
    pub response: Option<Message>,
    /// How much of it was seen.
    pub completeness: Completeness,
    /// What only this protocol has.
    pub details: Details<'a>,
}

impl Exchange<'_> {
    /// An exchange of which nothing is known but this; its operation is `_OTHER`. For those who try out what they make
    /// of exchanges: all else can be set.
    ///
    /// ```
    /// use obtrace_protocols::{Exchange, Protocol, Role};
    /// for &protocol in Protocol::ALL {
    ///     let exchange = Exchange::unknown(protocol, Role::Client);
    ///     assert_eq!(exchange.details.protocol(), protocol);
    /// }
    /// ```
    #[must_use]
    pub fn unknown(protocol: Protocol, role: Role) -> Exchange<'static> {
        Exchange {
            id: 0,
            protocol,
            role,
            operation: Cow::Borrowed("_OTHER"),
            target: Cow::Borrowed(""),
            error: None,
            request: Message::default(),
            response: None,
            completeness: Completeness::default(),
            details: Details::unknown(protocol),
        }
    }

    /// When the exchange ended: the last byte of the response, or of the request where there was none.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.response.map_or(self.request.end, |response| response.end.max(self.request.end))
    }

    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Exchange<'static> {
        Exchange {
            id: self.id,
            protocol: self.protocol,
            role: self.role,
            operation: own(self.operation),
            target: own(self.target),
            error: self.error.map(own),
            request: self.request,
            response: self.response,
            completeness: self.completeness,
            details: self.details.into_owned(),
        }
    }
}

pub(crate) fn own(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}
