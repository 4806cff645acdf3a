//! The seam between [`Connection`](crate::Connection) and the protocols: one [`Parser`] a protocol, driven by the
//! connection with contiguous bytes.

use alloc::boxed::Box;

use crate::{
    Config, Exchange, Message, Opened, Protocol, Role, Shared, Stage, Tag, Timestamp, TraceContext,
    announced::Announced,
    payload::Observer,
    stream::{Assembler, Mark},
};

/// Who sent the bytes: the protocol's point of view, where [`Direction`](crate::Direction) is the socket's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Requests.
    Client,
    /// Responses.
    Server,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What a parser has done with the bytes it was shown, and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes from the front that are done with. The others are shown again.
    pub(crate) consumed: usize,
    /// What comes after them.
    pub(crate) then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Call again once at least this many unconsumed bytes are there (1 after everything was consumed). Never more
    /// than [`Config::max_buffered`]: of a longer message keep what matters and skip the rest.
    Need(usize),
    /// Nobody reads the next so many bytes: they need not be captured, and a gap inside them costs nothing.
    /// `u64::MAX`: all until the connection closes.
    Skip(u64),
    /// Not before more of the other side was parsed: call again with the same bytes then.
    Wait,
    /// The connection goes on in another protocol: this side from the byte after the consumed ones, the other side
    /// from its first that is not consumed. [`Parser::successor`] reads them; the old parser is closed.
    Switch,
    /// The bytes after the consumed ones are not what this protocol sends. The parser has dropped what it was
    /// reading; the connection counts it, and gives the protocol up after some of them.
    Misframed,
}

impl Step {
    pub(crate) const fn need(consumed: usize, need: usize) -> Self {
        Self { consumed, then: Then::Need(need) }
    }

    pub(crate) const fn skip(consumed: usize, skip: u64) -> Self {
        Self { consumed, then: Then::Skip(skip) }
    }

    pub(crate) const fn misframed(consumed: usize) -> Self {
        Self { consumed, then: Then::Misframed }
    }
}

/// What a parser may ask of its connection during a call.
pub(crate) struct Context<'c> {
    pub(crate) config: &'c Config,
    pub(crate) role: Role,
    /// Time of the event that led to the call: the newest byte, the gap, the close.
    pub(crate) now: Timestamp,
    /// Stream offset of the first byte shown.
    pub(crate) offset: u64,
    pub(crate) assembler: &'c Assembler,
    pub(crate) direct: Option<Mark>,
    /// The other side has bytes that wait behind a hole: a message that seems missing may be there.
    pub(crate) other_waits: bool,
    /// The stream of the other side.
    pub(crate) other: &'c Assembler,
    /// What connections have in common.
    pub(crate) shared: &'c Shared,
    pub(crate) opened: &'c mut Announced,
    pub(crate) next_id: &'c mut u64,
}

impl Context<'_> {
    /// When the byte at this stream offset passed, and with which tag.
    pub(crate) fn mark_at(&self, offset: u64) -> Mark {
        match self.direct {
            Some(mark) if offset >= mark.offset => mark,
            _ => self.assembler.mark_at(offset),
        }
    }

    /// Gives an exchange its id. One that is never announced is no exchange.
    #[inline]
    pub(crate) fn take_id(&mut self) -> u64 {
        let id = *self.next_id;
        *self.next_id = id.wrapping_add(1);
        id
    }

    /// Announces a request whose first byte is at this stream offset; gives the exchange its id.
    pub(crate) fn open_at(
        &mut self,
        offset: u64,
        start: Timestamp,
        tag: Tag,
        trace_context: Option<TraceContext>,
    ) -> u64 {
        let id = self.take_id();
        let request = Message { start, end: start, size: 0, offset, tag };
        self.announce(id, &request, trace_context, Stage::Certain, Role::Client);
        id
    }

    /// Announces a request under its id, or says what became of a tentative announcement.
    pub(crate) fn tell(&mut self, id: u64, request: &Message, stage: Stage) {
        self.announce(id, request, None, stage, Role::Client);
    }

    /// The same, of a request that may carry a context and may be the server's.
    pub(crate) fn announce(
        &mut self,
        id: u64,
        request: &Message,
        trace_context: Option<TraceContext>,
        stage: Stage,
        sender: Role,
    ) {
        let Message { start, tag, offset, .. } = *request;
        self.opened.push(Opened { id, start, tag, offset, sender, trace_context, stage });
    }
}

/// One protocol on one connection. Holds what it must know of the requests that wait for their response.
///
/// Any split of the same bytes must give the same exchanges, in linear time: what was looked at already is not looked
/// at again from the start because one more byte came. In steady state nothing is allocated per message.
pub(crate) trait Parser: Send {
    /// Contiguous bytes of one side, from the first that is not consumed. Goes on through as many messages as are
    /// whole. May be called with fewer bytes than asked for only at [`Parser::close`] time, that is never.
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step;

    /// The next `length` bytes of this side were lost (0: the number is not known), together with everything that
    /// had been shown and not consumed. What comes next may start anywhere: find the next message boundary, go on
    /// there, and mark only the exchanges that the lost bytes belonged to.
    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>);

    /// The connection was there before its first bytes were seen; called before any are shown. Answers may come to
    /// requests that nobody saw.
    fn join(&mut self) {}

    /// What reads the connection after [`Then::Switch`]: asked for once, before [`Parser::close`]. `None`: nothing of
    /// it is read any more.
    fn successor(&mut self) -> Option<Successor> {
        None
    }

    /// One datagram, whole. Stream protocols need not have it.
    fn datagram(&mut self, _side: Side, _bytes: &[u8], _cx: &mut Context<'_>) {}

    /// The connection goes on and is not observed any more; called before [`Parser::close`]. What only the end of the
    /// connection ends has not ended.
    fn leave(&mut self) {}

    /// The connection has ended: everything that waits is finished as it is.
    fn close(&mut self, cx: &mut Context<'_>);

    /// When [`Parser::timeout`] wants to be called.
    fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// The time asked for has come.
    fn timeout(&mut self, _cx: &mut Context<'_>) {}

    /// The next exchange that is finished. Its parts live in the parser until the next call.
    fn poll_exchange(&mut self) -> Option<Exchange<'_>>;

    /// Whether [`Parser::poll_exchange`] has one to give.
    fn has_exchange(&self) -> bool;

    /// Heap bytes held.
    fn memory(&self) -> usize;

    /// Gives back heap memory that is not in use now.
    fn shrink(&mut self);
}

/// What takes a connection over from the protocol that it began with.
pub(crate) struct Successor {
    pub(crate) protocol: Protocol,
    pub(crate) parser: Box<dyn Parser>,
}

impl core::fmt::Debug for Successor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.protocol.fmt(f)
    }
}

/// The HTTP/1 exchange by which a connection went over to another protocol
/// ([RFC 9110 §7.8](https://www.rfc-editor.org/rfc/rfc9110#section-7.8)).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Upgrade<'a> {
    /// The id of the exchange. A protocol that answers the request itself goes on with it: HTTP/1 does not tell it then.
    pub(crate) id: u64,
    /// The request, body included. What the client sends behind it is the other protocol's.
    pub(crate) request: Message,
    /// The head of the `101` response. What the server sends behind it is the other protocol's.
    pub(crate) response: Message,
    pub(crate) method: &'a str,
    /// As sent.
    pub(crate) target: &'a str,
    /// That without authority and query.
    pub(crate) path: &'a str,
    /// `User-Agent`.
    pub(crate) user_agent: Option<&'a str>,
    /// `Host`.
    pub(crate) host: Option<&'a str>,
    /// `Content-Type` of the request.
    pub(crate) content_type: Option<&'a str>,
    /// `X-Forwarded-For` or what stands for it.
    pub(crate) forwarded_for: Option<&'a str>,
    /// Bytes of the request's body, if it has one.
    pub(crate) body: Option<u64>,
    /// Bytes of the request were lost.
    pub(crate) gap: bool,
    pub(crate) trace_context: Option<TraceContext>,
    /// `HTTP2-Settings` of the request; empty if there is none.
    pub(crate) settings: &'a [u8],
    /// `Sec-WebSocket-Extensions` of the response; empty if there is none.
    pub(crate) extensions: &'a [u8],
    /// `Sec-WebSocket-Protocol` of the response; empty if there is none.
    pub(crate) subprotocol: &'a [u8],
}

/// Makes the parser that takes an upgraded connection over. The context is that of the `101`'s last byte: what the
/// new protocol has to announce it may announce there. Who looks at the bodies of the exchange comes with it if the
/// protocol answers the request itself.
pub(crate) type TakeOver = fn(&Upgrade<'_>, Option<Box<dyn Observer>>, &mut Context<'_>) -> Box<dyn Parser>;

/// Makes a parser for a connection whose protocol has just been found.
pub(crate) type NewParser = fn(&Config) -> Box<dyn Parser>;
