//! A session from its upgrade to its end: one exchange.

use alloc::{borrow::Cow, boxed::Box, string::String};

use super::{
    details::WebSocketDetails,
    frame::{Extensions, Header, NO_STATUS, Opcode},
    half::{Begun, Half, State},
};
use crate::{
    Completeness, Details, Exchange, Message, Protocol, Role, Stage, Timestamp,
    credential::is_registered,
    parser::{Context, Parser, Side, Step, Upgrade},
    payload::Observer,
};

/// "The connection was closed abnormally" ([§7.4.1](https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1)).
const ABNORMAL: u16 = 1006;

#[derive(Debug)]
struct Session {
    id: u64,
    role: Role,
    path: String,
    host: Option<String>,
    subprotocol: Option<String>,
    extensions: Extensions,
    client: Half,
    server: Half,
    request: Message,
    response: Message,
    /// Code and sender of the first Close frame.
    closed: Option<(u16, Side)>,
    code_text: CodeText,
    /// Headers may be among lost bytes.
    gap: bool,
    /// It was no WebSocket, or was not seen to its end.
    truncated: bool,
    left: bool,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ahead,
    Reached,
    Told,
}

/// Reads the connection behind the `101` response.
pub(crate) fn take_over(
    upgrade: &Upgrade<'_>,
    _observer: Option<Box<dyn Observer>>,
    cx: &mut Context<'_>,
) -> Box<dyn Parser> {
    let (start, tag) = (upgrade.response.end, upgrade.request.tag);
    let offset = |message: &Message| message.offset.saturating_add(message.size);
    let message = |tag, offset| Message { start, end: start, size: 0, offset, tag };
    let request = message(tag, offset(&upgrade.request));
    let id = cx.take_id();
    // Not a certain one: what the thread that took the request does in the next hours is not done for the session.
    let Upgrade { trace_context, .. } = *upgrade;
    cx.announce(id, &request, trace_context, Stage::Tentative, Role::Client);
    // Clients put tokens there for want of a header, and servers repeat them.
    let named = is_registered(upgrade.subprotocol);
    Box::new(Session {
        id,
        role: cx.role,
        path: upgrade.path.into(),
        host: upgrade.host.map(Into::into),
        subprotocol: named.then(|| String::from_utf8_lossy(upgrade.subprotocol).into_owned()),
        extensions: Extensions::of(upgrade.extensions),
        client: Half::default(),
        server: Half::default(),
        request,
        response: message(upgrade.response.tag, offset(&upgrade.response)),
        closed: None,
        code_text: CodeText::default(),
        gap: false,
        truncated: false,
        left: false,
        end: End::Ahead,
    })
}

impl Session {
    fn half(&mut self, side: Side) -> (&mut Half, &mut Message) {
        match side {
            Side::Client => (&mut self.client, &mut self.request),
            Side::Server => (&mut self.server, &mut self.response),
        }
    }

    /// Bytes of this side passed up to `offset`.
    fn passed(&mut self, side: Side, offset: u64, at: Timestamp) {
        let (_, message) = self.half(side);
        message.size = offset.saturating_sub(message.offset);
        message.end = message.end.max(at);
    }

    /// A header was read; its last byte is in front of `offset`.
    fn frame_begun(&mut self, side: Side, frame: &Header, from: u64, offset: u64, cx: &Context<'_>) {
        if side == Side::Server && self.response.size == 0 {
            let first = cx.mark_at(from);
            (self.response.start, self.response.tag) = (first.at, first.tag);
        }
        self.passed(side, offset, cx.mark_at(offset.saturating_sub(1)).at);
        if frame.opcode == Opcode::Close && self.closed.is_none() {
            self.closed = Some((frame.code, side));
        }
    }

    fn frame_done(&mut self, side: Side, frame: &Header, offset: u64, at: Timestamp) {
        self.passed(side, offset, at);
        self.half(side).0.finish(frame);
        if self.client.state == State::Over && self.server.state == State::Over {
            self.finish();
        }
    }

    /// It is no WebSocket.
    fn break_off(&mut self) {
        self.truncated = true;
        self.client.state = State::Over;
        self.server.state = State::Over;
        self.finish();
    }

    fn finish(&mut self) {
        if self.end != End::Ahead {
            return;
        }
        self.end = End::Reached;
        if let Some(code) = self.close_code() {
            self.code_text = CodeText::of(code);
        }
    }

    fn close_code(&self) -> Option<u16> {
        let missing = (!self.gap && !self.truncated).then_some(ABNORMAL);
        self.closed.map(|(code, _)| code).or(missing)
    }

    fn exchange(&self) -> Exchange<'_> {
        let code = self.close_code();
        let failed = code.is_some_and(is_failure);
        let both = self.client.state == State::Over && self.server.state == State::Over;
        let completeness = match (self.gap, self.truncated || !both) {
            (true, _) => Completeness::Gap,
            (false, true) => Completeness::Truncated,
            (false, false) => Completeness::Complete,
        };
        Exchange {
            id: self.id,
            protocol: Protocol::WebSocket,
            role: self.role,
            operation: Cow::Borrowed("session"),
            target: Cow::Borrowed(&self.path),
            error: failed.then(|| Cow::Borrowed(self.code_text.get())),
            request: self.request,
            response: (self.response.size > 0).then_some(self.response),
            completeness,
            details: Details::WebSocket(WebSocketDetails {
                host: self.host.as_deref().map(Cow::Borrowed),
                subprotocol: self.subprotocol.as_deref().map(Cow::Borrowed),
                permessage_deflate: self.extensions.deflate,
                client: self.client.traffic,
                server: self.server.traffic,
                close_code: code,
                closed_by: self.closed.map(|(_, side)| match side {
                    Side::Client => Role::Client,
                    Side::Server => Role::Server,
                }),
            }),
        }
    }
}

/// Whether a code tells of a failure. What 4000–4999 mean is a matter of the application (§7.4.2).
const fn is_failure(code: u16) -> bool {
    !matches!(code, 1000 | 1001 | NO_STATUS | 4000..=4999)
}

/// The digits of a status code.
#[derive(Debug, Default)]
struct CodeText([u8; 4]);

impl CodeText {
    fn of(code: u16) -> Self {
        let digit = |n: u16| b'0'.wrapping_add(u8::try_from(n % 10).unwrap_or(0));
        Self([digit(code / 1000), digit(code / 100), digit(code / 10), digit(code)])
    }

    fn get(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Parser for Session {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let extensions = self.extensions;
        let limit = (cx.config.max_buffered / 2) as usize;
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let here = cx.offset.saturating_add(at as u64);
            let (half, _) = self.half(side);
            match half.state {
                State::Over => return Step::skip(at, u64::MAX),
                State::Payload { frame, left } => {
                    let taken = left.min(rest.len() as u64);
                    at = at.saturating_add(usize::try_from(taken).unwrap_or(usize::MAX));
                    let left = left.saturating_sub(taken);
                    if left == 0 {
                        let offset = here.saturating_add(taken);
                        self.frame_done(side, &frame, offset, cx.mark_at(offset.saturating_sub(1)).at);
                        continue;
                    }
                    // When the last byte passes is when the frame ends: it is shown.
                    half.state = State::Payload { frame, left: 1 };
                    return if left > 1 { Step::skip(at, left.saturating_sub(1)) } else { Step::need(at, 1) };
                }
                _ if rest.is_empty() => return Step::need(at, 1),
                State::Header => match half.begin(rest, side, extensions) {
                    Begun::Frame(size) => {
                        at = at.saturating_add(size);
                        let State::Payload { frame, .. } = half.state else { continue };
                        self.frame_begun(side, &frame, here, here.saturating_add(size as u64), cx);
                    }
                    Begun::Need(needed) => return Step::need(at, needed),
                    Begun::Searches => at = at.saturating_add(1),
                    Begun::Broken => {
                        self.break_off();
                        return Step::misframed(at);
                    }
                },
                State::Lost => {
                    let (passed, needed) = half.search(rest, side, extensions, limit);
                    at = at.saturating_add(passed);
                    if needed > 0 {
                        return Step::need(at, needed);
                    }
                }
            }
        }
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        let (half, _) = self.half(side);
        self.gap |= half.lose(length);
        self.passed(side, cx.offset, cx.now);
        if self.client.state == State::Over && self.server.state == State::Over {
            self.finish();
        }
    }

    fn leave(&mut self) {
        self.left = true;
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        if self.end == End::Ahead {
            self.truncated |= self.left;
            // Parts of payloads were passed over unseen. The call is the client's side.
            for (side, position) in [(Side::Client, cx.offset), (Side::Server, cx.other.position())] {
                let (half, message) = self.half(side);
                if matches!(half.state, State::Payload { .. }) {
                    message.size = position.saturating_sub(message.offset);
                }
            }
        }
        self.finish();
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        if !self.has_exchange() {
            return None;
        }
        self.end = End::Told;
        Some(self.exchange())
    }

    fn has_exchange(&self) -> bool {
        self.end == End::Reached
    }

    fn memory(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
        let texts = self.path.capacity().saturating_add(text(&self.host)).saturating_add(text(&self.subprotocol));
        size_of::<Self>().saturating_add(texts)
    }

    fn shrink(&mut self) {}
}
