//! What the broker sends.

use alloc::boxed::Box;

use super::{
    detect::{MIN_RESPONSE, is_response_size},
    parser::{KafkaParser, Progress, Work},
    pending::Pending,
    request::Request,
    response::{Reading, ResponseVisitor},
    walk::{Stop, Walk},
};
use crate::{Completeness, Message, Timestamp, parser::Context, reader::Reader};

/// Size and correlation id.
const HEADER: usize = 8;
/// How much later than the newest request that was seen one may be whose response is held back for it.
const MAX_AHEAD: i32 = 1024;

/// Correlation ids from here on are found anywhere.
const MIN_CORRELATION: i32 = 256;
/// Most bytes of what may be a response that are looked at behind a loss.
const MAX_PROBED: usize = 512;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// The request whose response is being read.
    pub(super) answering: Option<Box<Request>>,
    reading: Reading,
    /// How far the message is read, whoever it answers.
    walk: Option<Walk>,
    /// Where it ends.
    end: u64,
    /// Where messages begin is not known, and where the loss ended.
    is_lost: bool,
    resume: u64,
    /// Where what is kept of a chunk begins whose first bytes were passed over.
    kept: u64,
    /// Responses were lost, and none was found since.
    pub(super) were_lost: bool,
}

impl KafkaParser {
    pub(super) fn read_server(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Progress {
        if self.server.is_lost {
            return self.seek_response(rest, cx);
        }
        let server = &mut self.server;
        let Some(walk) = &mut server.walk else { return self.begin_response(rest, cx) };
        let (used, stop) = match server.answering.as_deref_mut() {
            Some(request) => {
                let mut visitor = ResponseVisitor { request, reading: &mut server.reading, shared: cx.shared };
                walk.go(rest, &mut visitor)
            }
            None => walk.go(rest, &mut super::walk::Blind),
        };
        match stop {
            Stop::Need(need) => Progress::Need(used, need),
            Stop::Skip(bytes) => Progress::Skip(used, bytes),
            Stop::Over => {
                let last = cx.offset.saturating_add(used as u64).saturating_sub(1);
                self.end_response(cx.mark_at(last).at, cx);
                Progress::Consumed(used)
            }
        }
    }

    fn begin_response(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Progress {
        const SIZE: usize = 4;
        let Work { pending, .. } = &mut **self.work.get_or_insert_with(Box::default);
        let mut reader = Reader::new(rest);
        let (expects_token, were_lost) = (pending.expects_token(), self.server.were_lost);
        let need = if expects_token && !were_lost { SIZE } else { HEADER };
        if rest.len() < need {
            return Progress::Need(0, need);
        }
        let size = reader.u32_be().unwrap_or(0);
        self.server.end = cx.offset.saturating_add(size.into()).saturating_add(4);
        // The answer to a token may have been lost, and what comes answer a request behind it.
        let mut behind = reader;
        let is_answer =
            were_lost && size >= MIN_RESPONSE && behind.i32_be().is_some_and(|id| pending.find(id).is_some());
        if expects_token && !is_answer && (is_response_size(size, false) || size < MIN_RESPONSE) {
            pending.take_token();
            self.server.walk = Some(Walk::unread(size.into()));
            return Progress::Consumed(SIZE);
        }
        if !is_response_size(size, true) {
            self.lose_responses(u64::MAX);
            return Progress::Misframed;
        }
        let correlation = reader.i32_be().unwrap_or(0);
        let left = size.saturating_sub(MIN_RESPONSE).into();
        match pending.find(correlation) {
            Some(at) => {
                let were_lost = core::mem::take(&mut self.server.were_lost);
                let answering = pending.take(at, were_lost, cx.shared);
                self.server.walk = answering.as_ref().map(|request| Walk::response(request.key, request.version, left));
                self.server.answering = answering;
            }
            None if self.will_come(correlation) => return Progress::Wait,
            None => self.server.walk = Some(Walk::unread(left)),
        }
        if let Some(request) = self.server.answering.as_deref_mut() {
            let mark = cx.mark_at(cx.offset);
            let size = u64::from(size).saturating_add(4);
            request.response = Some(Message { start: mark.at, end: mark.at, size, offset: cx.offset, tag: mark.tag });
            self.server.reading = Reading::new(request);
        }
        Progress::Consumed(HEADER)
    }

    /// Whether the request with this correlation id was not seen yet, or not all of it.
    fn will_come(&self, correlation: i32) -> bool {
        let building = self.client.building.as_deref();
        if building.is_some_and(|request| !request.is_token && request.correlation == correlation) {
            return true;
        }
        match self.client.newest {
            _ if self.client.were_lost => false,
            Some(newest) => (1..=MAX_AHEAD).contains(&correlation.wrapping_sub(newest)),
            None => !self.joined,
        }
    }

    fn end_response(&mut self, end: Timestamp, cx: &Context<'_>) {
        let is_broken = self.server.walk.take().is_some_and(|walk| walk.is_broken());
        let Some(mut request) = self.server.answering.take() else { return };
        let Work { pending, sessions } = &mut **self.work.get_or_insert_with(Box::default);
        self.server.reading.finish(&mut request, sessions);
        if let Some(response) = &mut request.response {
            response.end = end;
        }
        let completeness = match (request.gap, request.is_broken || is_broken) {
            (true, _) => Completeness::Gap,
            (_, true) => Completeness::Truncated,
            _ => Completeness::Complete,
        };
        pending.end(request, completeness, cx.shared);
    }

    pub(super) fn lose_server(&mut self, length: u64, cx: &mut Context<'_>) {
        if let Some(walk) = &mut self.server.walk {
            if let Some(request) = self.server.answering.as_deref_mut() {
                request.gap = true;
            }
            let left = self.server.end.checked_sub(cx.offset).filter(|_| length > 0);
            *walk = Walk::unread(left.unwrap_or(0));
            match left {
                Some(0) => return self.end_response(cx.now, cx),
                Some(_) => return,
                None => self.end_response(cx.now, cx),
            }
        }
        self.lose_responses(cx.offset);
    }

    fn lose_responses(&mut self, resume: u64) {
        self.server.is_lost = true;
        self.server.were_lost = true;
        self.server.resume = resume;
        self.server.kept = u64::MAX;
    }

    /// Looks for the next response behind a loss: first where chunks begin, then anywhere.
    fn seek_response(&mut self, rest: &[u8], cx: &Context<'_>) -> Progress {
        let Server { resume, kept, .. } = self.server;
        let begins = |at: usize| {
            let offset = cx.offset.saturating_add(at as u64);
            offset == resume || (offset != kept && cx.mark_at(offset).offset == offset)
        };
        let Work { pending, .. } = &mut **self.work.get_or_insert_with(Box::default);
        let search = Search { pending, rest };
        let last = rest.len().saturating_sub(HEADER.saturating_sub(1));
        let candidates = || (0..last).filter(|at| search.known(*at).is_some());
        let found = candidates().find(|at| begins(*at) && search.is_response(*at, true));
        match found.or_else(|| candidates().find(|at| search.is_response(*at, false))) {
            Some(at) => {
                self.server.is_lost = false;
                Progress::Consumed(at)
            }
            None => {
                if last > 0 {
                    self.server.kept = cx.offset.saturating_add(last as u64);
                }
                Progress::Need(last, HEADER)
            }
        }
    }
}

/// Bytes in which a response may begin.
struct Search<'s> {
    pending: &'s Pending,
    rest: &'s [u8],
}

impl Search<'_> {
    /// Size and request of what begins here, if a request waits for a response with this correlation id.
    fn known(&self, at: usize) -> Option<(u32, &Request)> {
        let mut reader = Reader::new(self.rest.get(at..)?);
        let size = reader.u32_be().filter(|size| is_response_size(*size, false))?;
        let place = self.pending.find(reader.i32_be()?)?;
        Some((size, self.pending.get(place)?))
    }

    /// Whether it is, as far as it is there, the answer to that request, and ends with what was sent or in front of
    /// another one. Where a chunk begins its end may still be to come; elsewhere a correlation id as small as other
    /// numbers in messages is not believed.
    fn is_response(&self, at: usize, begins: bool) -> bool {
        let Some((size, request)) = self.known(at) else { return false };
        let end = at.saturating_add(size as usize).saturating_add(4);
        let ends = end == self.rest.len() || self.known(end).is_some() || (begins && end > self.rest.len());
        if !ends || (!begins && (0..MIN_CORRELATION).contains(&request.correlation)) {
            return false;
        }
        let body = self.rest.get(at.saturating_add(HEADER)..).unwrap_or_default();
        let body = body.get(..MAX_PROBED).unwrap_or(body);
        Walk::response(request.key, request.version, size.saturating_sub(MIN_RESPONSE).into()).fits(body)
    }
}
