//! Streams ([RFC 9113 §5](https://www.rfc-editor.org/rfc/rfc9113#section-5)): one request with its response each.

use alloc::{borrow::Cow, boxed::Box, string::ToString};

use super::{
    ErrorCode, GrpcDetails, GrpcStatus, Http2Details, Reset,
    fields::{Fields, Piece},
    grpc::{self, Messages},
};
use crate::{
    Completeness, Details, Exchange, Message, Protocol, Role, Timestamp, http,
    parser::Side,
    payload::{Observer, Payload},
};

/// Whether a stream is a gRPC call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Grpc {
    #[default]
    No,
    /// The content type of the request is not known.
    Maybe,
    Yes,
}

/// One direction of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Half {
    pub(super) message: Message,
    /// Its head was seen.
    pub(super) begun: bool,
    /// Nothing of it comes any more.
    pub(super) ended: bool,
    /// Its end may have been among what was lost.
    pub(super) adrift: bool,
    /// Frames of its side were lost since it began.
    pub(super) missed: bool,
    /// Bytes in DATA frames, padding left out, once there was such a frame.
    pub(super) body: Option<u64>,
    /// There may have been more of it than that.
    body_lost: bool,
    pub(super) messages: Messages,
}

impl Half {
    /// How much there is of its body is not known any more, nor where its messages begin.
    pub(super) const fn lose_body(&mut self) {
        self.messages.lost = true;
        self.body_lost = true;
    }

    /// Bytes of its body, if it has one.
    fn body_size(&self) -> Option<u64> {
        self.body.filter(|size| *size > 0 && !self.body_lost)
    }

    /// Whether it says the same as another, but for where it lies.
    fn is_like(&self, other: &Self) -> bool {
        let Self { message, begun, ended, adrift, missed, body, body_lost, messages } = self;
        Message { offset: other.message.offset, ..*message } == other.message
            && (*begun, *ended, *adrift) == (other.begun, other.ended, other.adrift)
            && (*missed, *body, *body_lost) == (other.missed, other.body, other.body_lost)
            && *messages == other.messages
    }

    /// A frame of it.
    pub(super) fn touch(&mut self, size: u64, at: Timestamp) {
        self.message.size = self.message.size.saturating_add(size);
        self.message.end = self.message.end.max(at);
        self.adrift = false;
    }
}

/// A reset by the client that was read before bytes which the server had sent by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct LateReset {
    pub(super) code: ErrorCode,
    /// Bytes of the frame, and when it passed.
    pub(super) size: u64,
    pub(super) at: Timestamp,
    /// Where those bytes of the server end.
    pub(super) behind: u64,
}

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) exchange: u64,
    pub(super) client: Half,
    pub(super) server: Half,
    pub(super) asked: Fields,
    pub(super) answered: Fields,
    pub(super) grpc: Grpc,
    pub(super) pushed: bool,
    /// The response ended with header fields.
    pub(super) trailers: bool,
    /// Bytes of it that are read were lost.
    pub(super) gap: bool,
    /// A limit or the end cut it.
    pub(super) truncated: bool,
    pub(super) reset: Option<Reset>,
    /// It counts when the server was read up to there.
    pub(super) late_reset: Option<LateReset>,
    /// The server said that it does nothing with it.
    pub(super) refused: bool,
    /// Looks at its bodies.
    pub(super) observer: Option<Box<dyn Observer>>,
    /// Bytes that it would have looked at were lost.
    pub(super) unread: bool,
}

/// A caller may round the time it gives to the server, and may be a while from reading its clock to sending that: what a
/// deadline may be missed by besides 1/50: a quarter of it, but so many nanoseconds at least and at most.
const DEADLINE_SLACK: [u64; 2] = [1_000_000, 10_000_000];

/// What even streams that are alike differ in: their numbers, and where they lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    exchange: u64,
    offset: u64,
    stream: u32,
}

impl Stream {
    pub(super) const fn place(&self) -> Place {
        Place { exchange: self.exchange, offset: self.client.message.offset, stream: self.id }
    }

    /// How far its response is from its request in the numbers of their streams: alike where the same side sends both.
    const fn distance(&self) -> u64 {
        self.server.message.offset.wrapping_sub(self.client.message.offset)
    }

    /// Makes it one that is like it.
    pub(super) const fn move_to(&mut self, place: Place) {
        let distance = self.distance();
        (self.exchange, self.id) = (place.exchange, place.stream);
        self.client.message.offset = place.offset;
        self.server.message.offset = place.offset.wrapping_add(distance);
    }

    /// Whether it says the same as another that is over, but for its [`Place`].
    pub(super) fn is_like(&self, other: &Self) -> bool {
        #[rustfmt::skip]
        let Self {
            id: _, exchange: _, client, server, asked, answered, grpc, pushed, trailers, gap, truncated, reset, refused,
            late_reset: _, observer, unread,
        } = self;
        client.is_like(&other.client)
            && server.is_like(&other.server)
            && (!server.begun || self.distance() == other.distance())
            && (*grpc, *pushed, *trailers) == (other.grpc, other.pushed, other.trailers)
            && (*gap, *truncated, *reset) == (other.gap, other.truncated, other.reset)
            && (*refused, *unread) == (other.refused, other.unread)
            && observer.is_none()
            && other.observer.is_none()
            && asked.is_like(&other.asked)
            && answered.is_like(&other.answered)
    }

    pub(super) fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Whether nothing of this side comes any more.
    pub(super) const fn has_ended(&self, side: Side) -> bool {
        match side {
            Side::Client => self.client.ended || self.late_reset.is_some(),
            Side::Server => self.server.ended,
        }
    }

    /// A side resets it; a response that is whole stays so.
    pub(super) fn reset_by(&mut self, side: Side, code: ErrorCode, size: u64, at: Timestamp) {
        self.half(side).touch(size, at);
        if !self.server.ended {
            let by = if side == Side::Client { Role::Client } else { Role::Server };
            self.reset = Some(Reset { by, code });
        }
    }

    /// A reset that waited counts if nothing ended it before.
    pub(super) fn settle_reset(&mut self) {
        if let Some(LateReset { code, size, at, .. }) = self.late_reset.take() {
            let was_over = (self.client.ended && self.server.ended) || self.refused || self.reset.is_some();
            if !was_over {
                self.reset_by(Side::Client, code, size, at);
            }
        }
    }

    /// Whether more of this side's body is looked at.
    #[inline]
    pub(super) fn wants(&self, side: Side) -> bool {
        self.observer.as_ref().is_some_and(|observer| !self.has_ended(side) && observer.wants(side))
    }

    /// What was found in its bodies.
    #[expect(clippy::borrowed_box, reason = "it is told as it is, see `Http2Details::payload`")]
    pub(super) fn payload(&self) -> Option<&Box<Payload>> {
        self.observer.as_ref()?.payload()
    }

    /// Whether a limit kept a body of interest from being read to its end.
    fn left_unread(&self) -> bool {
        self.payload().is_some_and(|payload| payload.is_cut())
    }

    /// Makes it new where it lies, with the memory of its texts.
    pub(super) fn clear(&mut self) {
        #[rustfmt::skip]
        let Self {
            id, exchange, client, server, asked, answered, grpc, pushed, trailers, gap, truncated, reset, refused,
            late_reset, observer, unread,
        } = self;
        asked.clear();
        answered.clear();
        (*id, *exchange, *grpc) = (0, 0, Grpc::No);
        (*client, *server) = (Half::default(), Half::default());
        (*pushed, *trailers, *gap, *truncated) = (false, false, false, false);
        (*reset, *refused, *observer, *unread) = (None, false, None, false);
        *late_reset = None;
    }

    pub(super) fn texts(&self) -> usize {
        self.asked.capacity().saturating_add(self.answered.capacity())
    }

    /// What the content type of the request says.
    pub(super) fn look_at_request(&mut self) {
        self.grpc = match self.asked.get(self.asked.content_type) {
            Some(kind) if grpc::is_grpc(kind) => Grpc::Yes,
            Some(_) => Grpc::No,
            None if self.asked.timeout.is_some() => Grpc::Yes,
            None if self.asked.unresolved => Grpc::Maybe,
            None => Grpc::No,
        };
    }

    /// What the answer says.
    pub(super) fn look_at_response(&mut self) {
        let is_grpc = self.answered.get(self.answered.content_type).is_some_and(grpc::is_grpc);
        if self.grpc == Grpc::Maybe && (is_grpc || self.answered.grpc_status.is_some()) {
            self.grpc = Grpc::Yes;
        }
    }

    /// Whether both bodies are messages of gRPC from end to end, and the response ends in trailers.
    pub(super) fn is_framed(&self) -> bool {
        let (client, server) = (&self.client, &self.server);
        let whole = client.ended && server.ended && self.trailers;
        whole && client.messages.count > 0 && client.messages.is_whole() && server.messages.is_whole()
    }

    fn unresolved(&self) -> bool {
        self.asked.unresolved || self.answered.unresolved
    }

    fn completeness(&self) -> Completeness {
        let lost = self.grpc == Grpc::Yes && (self.client.messages.lost || self.server.messages.lost);
        if self.gap || lost || self.unresolved() || (self.unread && self.payload().is_some()) {
            Completeness::Gap
        } else if !self.server.begun && self.reset.is_none() {
            Completeness::ResponseMissing
        } else if self.truncated || self.left_unread() {
            Completeness::Truncated
        } else {
            Completeness::Complete
        }
    }

    /// The status of the call, and whether it was sent.
    fn status(&self) -> (Option<GrpcStatus>, bool) {
        if let Some(status) = self.answered.grpc_status {
            return (Some(GrpcStatus::new(status)), true);
        }
        let derived = if let Some(Reset { code, .. }) = self.reset {
            match code {
                // Whoever has the whole answer, or has sent it, may say so; it may be among what was lost.
                ErrorCode::NO_ERROR | ErrorCode::CANCEL if self.gap || self.answered.unresolved => None,
                ErrorCode::CANCEL if self.past_deadline() => Some(GrpcStatus::DEADLINE_EXCEEDED),
                // A deadline may be among what is not known.
                ErrorCode::CANCEL if self.asked.unresolved && self.asked.timeout.is_none() => None,
                _ => Some(GrpcStatus::of_reset(code)),
            }
        } else if self.refused {
            Some(GrpcStatus::UNAVAILABLE)
        } else if self.server.ended && self.completeness() == Completeness::Complete {
            self.answered.status.map(GrpcStatus::of_http)
        } else {
            None
        };
        (derived, false)
    }

    /// Whether the time that the caller gave was over when the stream ended.
    fn past_deadline(&self) -> bool {
        let Some(timeout) = self.asked.timeout else { return false };
        let end = self.client.message.end.max(self.server.message.end).as_nanos();
        let took = end.saturating_sub(self.client.message.start.as_nanos());
        let [least, most] = DEADLINE_SLACK;
        took >= timeout.saturating_sub(timeout / 50).saturating_sub((timeout / 4).clamp(least, most))
    }

    pub(super) fn authority(&self) -> Option<&str> {
        self.asked.get(self.asked.authority).or_else(|| self.asked.get(self.asked.host))
    }

    pub(super) fn exchange(&self, role: Role) -> Exchange<'_> {
        let common = Common {
            id: self.exchange,
            role,
            request: self.client.message,
            response: self.server.begun.then_some(self.server.message),
            completeness: self.completeness(),
        };
        if self.grpc == Grpc::Yes { self.grpc_exchange(common) } else { self.http_exchange(common) }
    }

    fn http_exchange(&self, common: Common) -> Exchange<'_> {
        let asked = |piece: Piece| self.asked.get(piece).map(Cow::Borrowed);
        let (method, target) = (self.asked.get(self.asked.method), self.asked.get(self.asked.path));
        let (path, query) = match target.map(|target| target.split_once('?')) {
            Some(Some((path, query))) => (Some(path), Some(query)),
            _ => (target, None),
        };
        let least = if common.role == Role::Client { 400 } else { 500 };
        let payload = self.payload();
        // What the API says of the error says more than the status; a stream may fail behind a good one.
        let failed = self.answered.status.filter(|status| *status >= least);
        let counts = failed.is_some() || self.answered.status.is_some_and(|status| status < 400);
        let said = payload.and_then(|payload| payload.error()).filter(|_| counts);
        let reset = self.reset.filter(|reset| reset.code != ErrorCode::NO_ERROR);
        let error = match (said, reset, failed) {
            (Some(said), ..) => Some(Cow::Borrowed(said)),
            (None, Some(reset), _) => Some(code_name(reset.code)),
            (None, None, Some(status)) => Some(Cow::Owned(status.to_string())),
            (None, None, None) => self.refused.then_some(Cow::Borrowed("GOAWAY")),
        };
        let details = Http2Details {
            method: method.map(Cow::Borrowed),
            path: path.map(Cow::Borrowed),
            query: query.map(Cow::Borrowed),
            scheme: asked(self.asked.scheme),
            authority: self.authority().map(Cow::Borrowed),
            status: self.answered.status,
            user_agent: asked(self.asked.user_agent),
            request_content_type: asked(self.asked.content_type),
            response_content_type: self.answered.get(self.answered.content_type).map(Cow::Borrowed),
            forwarded_for: asked(self.asked.forwarded_for),
            request_body_size: self.client.body_size(),
            response_body_size: self.server.body_size(),
            stream: self.id,
            reset: self.reset,
            pushed: self.pushed,
            unresolved: self.unresolved(),
            payload: payload.map(Cow::Borrowed),
        };
        let operation = method.map_or("_OTHER", http::operation);
        common.exchange(Protocol::Http2, operation, path.unwrap_or_default(), error, Details::Http2(details))
    }

    fn grpc_exchange(&self, common: Common) -> Exchange<'_> {
        let asked = |piece: Piece| self.asked.get(piece).map(Cow::Borrowed);
        let path = self.asked.get(self.asked.path).map(|path| path.split_once('?').map_or(path, |(path, _)| path));
        let (service, method) = path.and_then(grpc::split_path).unwrap_or((path.unwrap_or_default(), "_OTHER"));
        let (status, status_sent) = self.status();
        let is_error = |status: &GrpcStatus| match common.role {
            Role::Client => *status != GrpcStatus::OK,
            Role::Server => status.is_error_of_server(),
        };
        let error = status.filter(is_error).map(|status| match status.name() {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(status.to_string()),
        });
        let messages = |half: &Half| (!half.messages.lost).then_some(half.messages.count);
        let details = GrpcDetails {
            method: path.and_then(|path| path.strip_prefix('/')).map(Cow::Borrowed),
            scheme: asked(self.asked.scheme),
            authority: self.authority().map(Cow::Borrowed),
            status,
            status_sent,
            message: self.answered.get(self.answered.message).map(Cow::Borrowed),
            http_status: self.answered.status,
            timeout: self.asked.timeout,
            content_type: asked(self.asked.content_type),
            request_encoding: asked(self.asked.encoding),
            response_encoding: self.answered.get(self.answered.encoding).map(Cow::Borrowed),
            request_messages: messages(&self.client),
            response_messages: messages(&self.server),
            request_compressed: self.client.messages.compressed,
            response_compressed: self.server.messages.compressed,
            user_agent: asked(self.asked.user_agent),
            forwarded_for: asked(self.asked.forwarded_for),
            stream: self.id,
            reset: self.reset,
            unresolved: self.unresolved(),
        };
        common.exchange(Protocol::Grpc, method, service, error, Details::Grpc(details))
    }
}

fn code_name(code: ErrorCode) -> Cow<'static, str> {
    code.name().map_or_else(|| Cow::Owned(code.to_string()), Cow::Borrowed)
}

/// What HTTP/2 and gRPC say alike.
#[derive(Clone, Copy)]
struct Common {
    id: u64,
    role: Role,
    request: Message,
    response: Option<Message>,
    completeness: Completeness,
}

impl Common {
    fn exchange<'a>(
        self,
        protocol: Protocol,
        operation: &'a str,
        target: &'a str,
        error: Option<Cow<'a, str>>,
        details: Details<'a>,
    ) -> Exchange<'a> {
        Exchange {
            id: self.id,
            protocol,
            role: self.role,
            operation: Cow::Borrowed(operation),
            target: Cow::Borrowed(target),
            error,
            request: self.request,
            response: self.response,
            completeness: self.completeness,
            details,
        }
    }
}
