//! What the client sends.

use alloc::boxed::Box;

use super::{
    detect::{self, Found, HEADER, Header, MIN_REQUEST, request as find_request},
    parser::{KafkaParser, Progress, Work},
    request::{Request, RequestVisitor},
    schema,
    walk::{Stop, Walk},
};
use crate::{Completeness, Message, Timestamp, detect::Verdict, parser::Context};

/// How much the correlation id may have grown where requests were lost.
const MAX_LOST: i32 = 1 << 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// The request that is being read, and how far.
    pub(super) building: Option<Box<Request>>,
    walk: Walk,
    /// Where it ends.
    end: u64,
    /// Where messages begin is not known, and where the loss ended.
    pub(super) is_lost: bool,
    resume: u64,
    /// Requests were lost: responses may come to them.
    pub(super) were_lost: bool,
    /// Of the newest request of those that count up.
    pub(super) newest: Option<i32>,
    /// Its client id, as far as it is looked at. `None`: no request was read that may have one.
    name: Option<Box<[u8]>>,
    /// What comes may be bytes of an authentication without a header (KIP-43).
    has_tokens: bool,
}

impl Client {
    pub(super) fn memory(&self) -> usize {
        self.name.as_deref().map_or(0, <[u8]>::len)
    }
}

impl KafkaParser {
    pub(super) fn read_client(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Progress {
        if self.client.is_lost {
            return self.seek_request(rest, cx);
        }
        if self.client.building.is_none() {
            return self.begin_request(rest, cx);
        }
        let Some(request) = self.client.building.as_deref_mut() else { return Progress::Misframed };
        let Work { sessions, .. } = &mut **self.work.get_or_insert_with(Box::default);
        let mut visitor = RequestVisitor { request, sessions, client: &mut self.client.name };
        match self.client.walk.go(rest, &mut visitor) {
            (used, Stop::Need(need)) => Progress::Need(used, need),
            (used, Stop::Skip(bytes)) => Progress::Skip(used, bytes),
            (used, Stop::Over) => {
                let last = cx.offset.saturating_add(used as u64).saturating_sub(1);
                self.end_request(cx.mark_at(last).at, cx);
                Progress::Consumed(used)
            }
        }
    }

    fn begin_request(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Progress {
        if self.client.has_tokens
            && let Some(progress) = self.begin_token(rest, cx)
        {
            return progress;
        }
        let Some(header) = Header::read(rest) else { return Progress::Need(0, HEADER) };
        if !header.is_possible() {
            self.lose_requests(u64::MAX);
            return Progress::Misframed;
        }
        let Header { size, key, version, correlation } = header;
        let mut request = self.fresh(size, cx);
        (request.key, request.version, request.correlation) = (key, version, correlation);
        let Message { start, tag, offset, .. } = request.message;
        request.id = cx.open_at(offset, start, tag, None);
        self.client.walk = Walk::request(key, version, size.saturating_sub(MIN_REQUEST).into());
        self.client.end = cx.offset.saturating_add(size.into()).saturating_add(4);
        if !is_reserved(correlation) {
            self.client.newest = Some(correlation);
        }
        self.client.building = Some(request);
        Progress::Consumed(HEADER)
    }

    fn fresh(&mut self, size: u32, cx: &Context<'_>) -> Box<Request> {
        let mut request = self.work.get_or_insert_with(Box::default).pending.fresh();
        let mark = cx.mark_at(cx.offset);
        let size = u64::from(size).saturating_add(4);
        request.message = Message { start: mark.at, end: mark.at, size, offset: cx.offset, tag: mark.tag };
        request.max_text = cx.config.max_text as usize;
        request
    }

    /// After a SaslHandshake of version 0 the bytes of the authentication have only their size in front. `None`: a
    /// request with a header begins.
    fn begin_token(&mut self, rest: &[u8], cx: &Context<'_>) -> Option<Progress> {
        const SIZE: usize = 4;
        let Some(&size) = rest.first_chunk::<SIZE>() else { return Some(Progress::Need(0, SIZE)) };
        let size = u32::from_be_bytes(size);
        if size >= MIN_REQUEST {
            let Some(header) = Header::read(rest) else { return Some(Progress::Need(0, HEADER)) };
            if header.is_known() {
                self.client.has_tokens = false;
                return None;
            }
            if !detect::is_response_size(size, false) {
                return None;
            }
        }
        let mut request = self.fresh(size, cx);
        request.is_token = true;
        self.client.walk = Walk::unread(size.into());
        self.client.end = cx.offset.saturating_add(size.into()).saturating_add(4);
        self.client.building = Some(request);
        Some(Progress::Consumed(SIZE))
    }

    /// The request is over; of one that was lost in part the response may still come.
    fn end_request(&mut self, end: Timestamp, cx: &Context<'_>) {
        let Some(mut request) = self.client.building.take() else { return };
        let Work { pending, sessions } = &mut **self.work.get_or_insert_with(Box::default);
        request.message.end = end;
        request.is_broken |= self.client.walk.is_broken();
        request.finish(sessions);
        if !request.is_token {
            self.client.has_tokens |= request.key == schema::SASL_HANDSHAKE && request.version == 0;
        }
        if request.key == schema::PRODUCE && request.acks == Some(0) && !request.gap {
            let completeness = if request.is_broken { Completeness::Truncated } else { Completeness::Complete };
            return pending.end(request, completeness, cx.shared);
        }
        pending.wait(request, cx.config.max_pending as usize, cx.shared);
    }

    pub(super) fn lose_client(&mut self, length: u64, cx: &mut Context<'_>) {
        let left = self.client.end.checked_sub(cx.offset).filter(|_| length > 0);
        if let (Some(request), Some(left)) = (self.client.building.as_deref_mut(), left) {
            request.gap = true;
            self.client.walk = Walk::unread(left);
            if request.key == schema::FETCH {
                self.work.get_or_insert_with(Box::default).sessions.clear();
            }
            if left == 0 {
                self.end_request(cx.now, cx);
            }
            return;
        }
        if let Some(request) = self.client.building.as_deref_mut() {
            request.gap = true;
            self.end_request(cx.now, cx);
        }
        self.lose_requests(cx.offset);
    }

    fn lose_requests(&mut self, resume: u64) {
        self.client.is_lost = true;
        self.client.were_lost = true;
        self.client.resume = resume;
        self.work.get_or_insert_with(Box::default).sessions.clear();
    }

    /// Looks for the next request behind a loss: one that goes on from those before, with their client id. If none was
    /// seen, any where a chunk begins.
    fn seek_request(&mut self, rest: &[u8], cx: &Context<'_>) -> Progress {
        for at in 0..rest.len() {
            let candidate = rest.get(at..).unwrap_or_default();
            let offset = cx.offset.saturating_add(at as u64);
            let found = match self.client.newest {
                Some(newest) => next_request(candidate, newest, self.client.name.as_deref()),
                None if offset == self.client.resume || cx.mark_at(offset).offset == offset => find_request(candidate),
                None => Found::Nothing,
            };
            match found {
                Found::Nothing => {}
                Found::Partial => return Progress::Need(at, candidate.len().saturating_add(1)),
                Found::Request(..) => {
                    self.client.is_lost = false;
                    // `read_client` is called again with what is behind it.
                    return Progress::Consumed(at);
                }
            }
        }
        Progress::Need(rest.len(), 1)
    }
}

/// Whether the Java client takes this correlation id for its authentication alone, beside those that count up.
const fn is_reserved(correlation: i32) -> bool {
    correlation >= i32::MAX - 7
}

/// Whether a request begins that goes on from the one with this correlation id and has this client id, if one is known.
fn next_request<'a>(bytes: &'a [u8], newest: i32, name: Option<&[u8]>) -> Found<'a> {
    let Some(header) = Header::read(bytes) else { return find_request(bytes) };
    let goes_on = is_reserved(header.correlation) || (1..=MAX_LOST).contains(&header.correlation.wrapping_sub(newest));
    if !goes_on || !header.is_known() {
        return Found::Nothing;
    }
    let Some(name) = name else { return unnamed_request(bytes) };
    let behind = bytes.get(HEADER..).unwrap_or_default();
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut expected = length.iter().chain(name);
    // Without a name it may be null as well.
    let is_named = behind.iter().zip(&mut expected).all(|(byte, expected)| byte == expected);
    if !(is_named || (name.is_empty() && behind.starts_with(&[0xff, 0xff]))) {
        return Found::Nothing;
    }
    if behind.len() < name.len().saturating_add(2) { Found::Partial } else { find_request(bytes) }
}

/// The same, where no client id is known: what is behind the header has to be what such a request has, to its end or
/// as far as it is looked at.
fn unnamed_request(bytes: &[u8]) -> Found<'_> {
    match find_request(bytes) {
        Found::Request(header, name) => match detect::holds(bytes, header) {
            Verdict::Yes => Found::Request(header, name),
            Verdict::Maybe => Found::Partial,
            _ => Found::Nothing,
        },
        found => found,
    }
}
