//! Reads start lines and header fields, as far as they are there.

use alloc::vec::Vec;

use super::{
    super::{
        conceal::Kind,
        head::{self, Field, Fields, Line, Lines},
        scan::LineEnds,
        slot::shorten,
    },
    HttpParser, Progress, State, line_limit,
};
use crate::{
    Config,
    parser::{Context, Side, Step, Then},
    payload::coding::Coding,
    stream::Mark,
};

fn text_limit(config: &Config) -> usize {
    config.max_text.min(config.max_buffered / 4) as usize
}

/// Keeps a field, unless it was there before.
#[inline]
fn keep(text: &mut Vec<u8>, value: &[u8], limit: usize) {
    if text.is_empty() {
        text.extend_from_slice(shorten(value, limit));
    }
}

/// Bytes at the end of a long start line that hold the version.
const VERSION_TAIL: usize = 16;

impl HttpParser {
    /// Begins a message: leaves out empty lines, remembers when and where it began.
    fn begin(&mut self, side: Side, bytes: &[u8], at: &mut usize, cx: &Context<'_>) -> Option<Step> {
        let rest = bytes.get(*at..).unwrap_or_default();
        *at = at.saturating_add(head::blank(rest));
        if *at >= bytes.len() {
            return Some(Step::need(*at, 1));
        }
        if side == Side::Server && cx.other_waits && self.queue.answering().is_none() && self.forgotten == 0 {
            // The request that this answers may be among what waits behind a hole.
            return Some(Step { consumed: *at, then: Then::Wait });
        }
        let half = self.half(side);
        half.start = Some(cx.mark_at(cx.offset.saturating_add(*at as u64)));
        half.start = half.start.map(|mark| Mark { offset: cx.offset.saturating_add(*at as u64), ..mark });
        half.fields = Fields::default();
        half.coding = Coding::Identity;
        None
    }

    /// Reads what is there of a head.
    pub(super) fn head(&mut self, side: Side, bytes: &[u8], at: &mut usize, cx: &mut Context<'_>) -> Progress {
        if self.half(side).state == State::Start
            && self.half(side).start.is_none()
            && let Some(step) = self.begin(side, bytes, at, cx)
        {
            return Progress::Stop(step);
        }
        let rest = bytes.get(*at..).unwrap_or_default();
        let mut lines = Lines::resume(rest, 0, self.half(side).scanned);
        if self.half(side).state == State::Start {
            let Some(line) = lines.physical() else { return self.partial_start(side, rest, *at, cx) };
            if !self.start_line(side, line, cx.config) {
                return self.misframed(side, *at);
            }
            self.half(side).state = State::Fields;
        }
        loop {
            match lines.field() {
                Line::Field(line) => self.field(side, line, cx.config),
                Line::End => {
                    *at = at.saturating_add(lines.start);
                    self.half(side).scanned = 0;
                    return self.head_done(side, *at, cx);
                }
                Line::Partial => break,
            }
        }
        *at = at.saturating_add(lines.start);
        let left = rest.get(lines.start..).unwrap_or_default();
        if left.len() > line_limit(cx.config) {
            self.field(side, left, cx.config);
            self.half(side).state = State::LongField;
            self.half(side).scanned = 0;
            // All of it was looked at: only whether a line end at its end is that of the field is not known.
            *at = bytes.len().saturating_sub(usize::from(left.last() == Some(&b'\n')));
            return Progress::On;
        }
        self.half(side).scanned = left.len().saturating_sub(usize::from(left.last() == Some(&b'\n')));
        Progress::Stop(Step::need(*at, left.len().saturating_add(1)))
    }

    /// A start line without an end.
    fn partial_start(&mut self, side: Side, rest: &[u8], at: usize, cx: &Context<'_>) -> Progress {
        let possible = match side {
            Side::Client => head::may_be_request_line(rest),
            Side::Server => head::may_be_status_line(rest),
        };
        if !possible {
            return self.misframed(side, at);
        }
        if rest.len() <= line_limit(cx.config) {
            self.half(side).scanned = rest.len();
            return Progress::Stop(Step::need(at, rest.len().saturating_add(1)));
        }
        match side {
            Side::Client => {
                let Some((method, Some(target))) = head::method(rest) else { return self.misframed(side, at) };
                self.begin_request(method, target, cx.config);
            }
            Side::Server => {
                if !self.start_line(side, rest, cx.config) {
                    return self.misframed(side, at);
                }
            }
        }
        self.half(side).scanned = 0;
        self.half(side).state = State::LongStart;
        Progress::On
    }

    fn start_line(&mut self, side: Side, line: &[u8], config: &Config) -> bool {
        match side {
            Side::Client => {
                let Some((method, target, minor)) = head::request_line(line) else { return false };
                self.begin_request(method, target, config);
                if let Some(request) = self.request.as_mut() {
                    request.minor_version = minor;
                }
            }
            Side::Server => {
                let Some((_, status, _)) = head::status_line(line) else { return false };
                self.draft.status = status;
                self.draft.content_type.clear();
                self.draft.upgrade.clear();
                self.handshake.begin_response();
            }
        }
        true
    }

    fn begin_request(&mut self, method: &str, target: &[u8], config: &Config) {
        let slot = self.request.get_or_insert_with(|| self.queue.begin());
        self.queue.note_start(slot, method, target, text_limit(config));
        self.handshake.begin_request();
    }

    /// Goes on in a start line whose beginning was read already.
    pub(super) fn long_start(&mut self, side: Side, bytes: &[u8], at: &mut usize) -> Progress {
        let rest = bytes.get(*at..).unwrap_or_default();
        let mut lines = Lines::new(rest, 0);
        let Some(line) = lines.physical() else {
            *at = at.saturating_add(rest.len().saturating_sub(VERSION_TAIL));
            let left = bytes.len().saturating_sub(*at);
            return Progress::Stop(Step::need(*at, left.saturating_add(1)));
        };
        if side == Side::Client {
            let Some((_, minor)) = head::version(line) else { return self.misframed(side, *at) };
            if let Some(request) = self.request.as_mut() {
                request.minor_version = minor;
            }
        }
        *at = at.saturating_add(lines.start);
        self.half(side).state = State::Fields;
        Progress::On
    }

    /// Goes on in a field whose beginning was read already.
    pub(super) fn long_field(&mut self, side: Side, bytes: &[u8], at: &mut usize) -> Progress {
        let rest = bytes.get(*at..).unwrap_or_default();
        for end in LineEnds::new(rest, 0) {
            let next = end.saturating_add(1);
            match rest.get(next) {
                Some(b' ' | b'\t') => {}
                Some(_) => {
                    *at = at.saturating_add(next);
                    self.half(side).state = State::Fields;
                    return Progress::On;
                }
                None => {
                    *at = at.saturating_add(end);
                    return Progress::Stop(Step::need(*at, 2));
                }
            }
        }
        *at = bytes.len();
        Progress::Stop(Step::need(*at, 1))
    }

    fn field(&mut self, side: Side, line: &[u8], config: &Config) {
        let Some((field, value)) = head::known_field(line) else { return };
        let limit = text_limit(config);
        match (side, field) {
            (_, Field::ContentLength | Field::TransferEncoding | Field::TraceParent) => {
                self.half(side).fields.note(field, value);
            }
            (Side::Client, Field::Http2Settings) => keep(&mut self.handshake.settings, value, limit),
            (Side::Client, Field::WebSocketExtensions | Field::WebSocketProtocol) => {}
            (_, Field::ContentEncoding) => {
                let half = self.half(side);
                // Several are one that nobody reads.
                half.coding = if half.coding == Coding::Identity { Coding::parse(value) } else { Coding::Other };
            }
            (Side::Client, _) => {
                if let Some(slot) = self.request.as_mut() {
                    self.queue.note_field(slot, field, value, limit);
                }
            }
            (Side::Server, Field::ContentType) => {
                let value = Kind::MediaType.known(value, false).unwrap_or_default();
                keep(&mut self.draft.content_type, value, limit);
            }
            (Side::Server, Field::Upgrade) => {
                let value = Kind::Registered.known(value, false).unwrap_or_default();
                keep(&mut self.draft.upgrade, value, limit);
            }
            (Side::Server, Field::WebSocketExtensions) => keep(&mut self.handshake.extensions, value, limit),
            (Side::Server, Field::WebSocketProtocol) => keep(&mut self.handshake.subprotocol, value, limit),
            (Side::Server, _) => {}
        }
    }
}
