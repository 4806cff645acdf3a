//! A connection: records of both sides, and the requests that they belong to.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};

use super::{
    call::{Call, Spare},
    details,
    record::{self, ApplicationRole, FIXED, HEADER, Header, Kind, ProtocolStatus},
};
use crate::{
    Completeness, Config, Exchange, Message, Role, Timestamp,
    detect::Verdict,
    parser::{Context, Parser, Side, Step, Then},
};

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::<FastCgiParser>::default()
}

#[derive(Debug, Default)]
struct FastCgiParser {
    client: Half,
    server: Half,
    role: Option<Role>,
    /// What exists while something is in flight.
    work: Option<Box<Work>>,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    /// The record that is read.
    record: Option<Header>,
    /// Where its content ends, and where it ends itself.
    content_end: u64,
    end: u64,
    /// Where records begin is not known.
    is_lost: bool,
}

#[derive(Debug, Default)]
struct Work {
    /// In the order in which they began.
    open: VecDeque<Box<Call>>,
    /// By the numbers that tell the records of those apart, which of the calls they are.
    places: Vec<(u16, u64)>,
    begun: u64,
    done: VecDeque<Box<Call>>,
    /// The one that was handed out last.
    current: Option<Box<Call>>,
    spare: Spare,
    /// The next request of the client has the number of one that is open: first that has to end.
    client_waits: bool,
    /// That number, and when the request began.
    waiting: Option<(u16, Timestamp)>,
    /// Something of the server was lost, and nothing that is known to be behind it was read.
    is_torn: bool,
    /// A request began with the number of one that had no end: what is missing of the server is that.
    is_explained: bool,
}

impl Work {
    fn find(&mut self, request_id: u16) -> Option<&mut Call> {
        let place = self.place(request_id)?;
        self.open.get_mut(place).map(|call| &mut **call)
    }

    fn place(&self, request_id: u16) -> Option<usize> {
        let &(_, begun) = self.places.get(self.search(request_id).ok()?)?;
        self.open.binary_search_by_key(&begun, |call| call.begun).ok()
    }

    fn search(&self, request_id: u16) -> Result<usize, usize> {
        self.places.binary_search_by_key(&request_id, |&(id, _)| id)
    }

    fn finish_at(&mut self, place: usize, cx: &mut Context<'_>) {
        let Some(mut call) = self.open.remove(place) else { return };
        if let Ok(at) = self.search(call.request_id) {
            self.places.remove(at);
        }
        self.client_waits = false;
        call.open(cx);
        call.settle(cx.role);
        self.done.push_back(call);
    }

    /// The call is over and was not seen to end.
    fn miss_at(&mut self, place: usize, completeness: Completeness, cx: &mut Context<'_>) {
        if let Some(call) = self.open.get_mut(place)
            && call.completeness == Completeness::Complete
        {
            call.completeness = completeness;
        }
        self.finish_at(place, cx);
    }

    /// Nobody waits for the rest of the oldest call.
    fn leave_oldest(&mut self, cx: &mut Context<'_>) {
        let is_begun = self.open.front().is_some_and(|call| call.response.is_some());
        let missing = if is_begun { Completeness::Truncated } else { Completeness::ResponseMissing };
        self.miss_at(0, missing, cx);
    }

    /// Whether a record comes before what it follows: a request whose number is not free yet, or a part of an answer
    /// to a request that was not seen. Then that may be among what was not read yet of the other side.
    fn is_early(&mut self, side: Side, header: Header, offset: u64, other_is_lost: bool, cx: &Context<'_>) -> bool {
        let is_open = self.place(header.request_id).is_some();
        let is_odd = match (side, header.kind) {
            (_, Kind::Management) => false,
            (Side::Client, kind) => is_open && kind == Kind::Begin,
            (Side::Server, _) => !is_open && !self.client_waits,
        };
        let is_early = is_odd && is_behind(other_is_lost, cx);
        if is_early && side == Side::Client {
            self.client_waits = true;
            self.waiting = Some((header.request_id, cx.mark_at(offset).at));
        }
        is_early
    }

    /// An answer that passed after the next request with the same number is of that one: nobody saw the end of the
    /// one before.
    fn overtake(&mut self, header: Header, offset: u64, cx: &mut Context<'_>) {
        if self.client_waits
            && let Some((request_id, began)) = self.waiting
            && request_id == header.request_id
            && cx.mark_at(offset).at > began
            && let Some(place) = self.place(request_id)
        {
            self.miss_at(place, Completeness::Gap, cx);
        }
    }

    /// `FCGI_BEGIN_REQUEST`.
    fn begin(&mut self, header: Header, body: [u8; 8], offset: u64, cx: &mut Context<'_>) {
        if let Some(place) = self.place(header.request_id) {
            // Its number is free: it was answered, and nobody saw it.
            self.miss_at(place, Completeness::Gap, cx);
            self.is_explained = true;
        }
        if self.open.len() >= cx.config.max_pending.max(1) as usize {
            self.leave_oldest(cx);
        }
        let mut call = self.spare.take();
        let mark = cx.mark_at(offset);
        call.request = Message { start: mark.at, end: mark.at, size: 0, offset, tag: mark.tag };
        call.request_id = header.request_id;
        self.begun = self.begun.wrapping_add(1);
        call.begun = self.begun;
        if let Err(at) = self.search(call.request_id) {
            self.places.insert(at, (call.request_id, call.begun));
        }
        let [r0, r1, flags, ..] = body;
        call.role = ApplicationRole::of(u16::from_be_bytes([r0, r1]));
        call.keeps_connection = flags & 1 != 0;
        call.progress.was_answered = self.is_torn;
        self.open.push_back(call);
    }

    /// A record of this side begins: counts it. Whether its content is of interest.
    fn start(&mut self, side: Side, header: Header, offset: u64, cx: &mut Context<'_>) -> bool {
        let size = record_size(header);
        // What the application says of itself may be what is missing of the server.
        self.is_explained |= side == Side::Client && header.kind == Kind::Management;
        let Some(place) = self.place(header.request_id) else { return false };
        let Some(call) = self.open.get_mut(place) else { return false };
        if side == Side::Server {
            let mark = cx.mark_at(offset);
            if call.response.is_none() && mark.at < call.request.start {
                // It answers a request before this one, with the same number.
                return false;
            }
            let first = Message { start: mark.at, end: mark.at, size: 0, offset, tag: mark.tag };
            Call::count(call.response.get_or_insert(first), size, cx, offset);
        } else {
            Call::count(&mut call.request, size, cx, offset.saturating_add(HEADER as u64).saturating_sub(1));
        }
        let content = u64::from(header.content);
        match header.kind {
            Kind::Params => {
                if content == 0 {
                    call.progress.has_params = true;
                    call.open(cx);
                }
                return !call.progress.has_params;
            }
            Kind::Stdin => {
                call.stdin = call.stdin.saturating_add(content);
                call.progress.has_body |= content == 0;
            }
            Kind::Abort => call.progress.is_aborted = true,
            Kind::Stderr => call.stderr = call.stderr.saturating_add(content),
            Kind::Stdout if call.head.is_done => call.stdout = call.stdout.saturating_add(content),
            Kind::Stdout => return content > 0,
            _ => {}
        }
        false
    }

    /// `FCGI_END_REQUEST`.
    fn end(&mut self, request_id: u16, body: [u8; 8], last: u64, cx: &mut Context<'_>) {
        let Some(place) = self.place(request_id) else { return };
        let Some(call) = self.open.get_mut(place).filter(|call| call.response.is_some()) else { return };
        let [a0, a1, a2, a3, status, ..] = body;
        self.is_explained = false;
        call.app_status = Some(u32::from_be_bytes([a0, a1, a2, a3]));
        call.protocol_status = Some(ProtocolStatus::of(status));
        if let Some(response) = &mut call.response {
            Call::count(response, 0, cx, last);
        }
        self.finish_at(place, cx);
    }

    /// Takes content of a record.
    fn feed(&mut self, header: Header, bytes: &[u8], config: &Config) {
        let most = config.max_text as usize;
        let Some(call) = self.find(header.request_id) else { return };
        match header.kind {
            Kind::Params => call.feed_params(bytes, most),
            Kind::Stdout => call.feed_output(bytes, most),
            _ => {}
        }
    }

    /// Content that would have been read is lost.
    fn damage(&mut self, header: Header) {
        let Some(call) = self.find(header.request_id) else { return };
        match header.kind {
            Kind::Params if !call.progress.has_params => {
                call.completeness = Completeness::Gap;
                call.params.clear();
                call.progress.has_params = true;
            }
            Kind::Stdout if !call.head.is_done => {
                call.completeness = Completeness::Gap;
                call.head.damage();
            }
            _ => {}
        }
    }

    /// Records of this side were lost.
    fn lose(&mut self, side: Side, cx: &mut Context<'_>) {
        let is_explained = side == Side::Server && core::mem::take(&mut self.is_explained);
        self.is_torn |= side == Side::Server;
        let is_alone = self.open.len() == 1;
        for call in &mut self.open {
            if side == Side::Server {
                if call.response.is_some() {
                    call.completeness = Completeness::Gap;
                    call.head.damage();
                } else {
                    call.progress.was_answered = true;
                    if is_alone && !is_explained {
                        // Of whose answer, if not of this one?
                        call.completeness = Completeness::Gap;
                    }
                }
                continue;
            }
            if call.progress.has_body {
                call.progress.was_followed = true;
                continue;
            }
            call.completeness = Completeness::Gap;
            call.params.clear();
            call.progress.has_params = true;
            call.open(cx);
        }
    }

    /// Bytes of the server were passed over, the last of them at this time: of what was open then they may be answers.
    fn skip_answers(&mut self, last: Timestamp) {
        for call in self.open.iter_mut().filter(|call| call.response.is_none() && call.request.start <= last) {
            call.completeness = Completeness::Gap;
        }
    }

    /// The first record of an answer after some of the server's were lost. `None`: more of it is needed. `false`: it may
    /// be the answer to another request, which had the same number.
    fn admit(&mut self, header: Header, bytes: &[u8], cx: &mut Context<'_>) -> Option<bool> {
        let Some(place) = self.place(header.request_id) else { return Some(true) };
        let Some(call) = self.open.get_mut(place) else { return Some(true) };
        if !call.progress.was_answered {
            self.is_torn = false;
            return Some(true);
        }
        if call.progress.was_followed && call.response.is_none() {
            self.is_torn = false;
            self.miss_at(place, Completeness::Gap, cx);
            return Some(false);
        }
        // An answer may begin with what is written as errors: then what is written besides shows.
        if header.kind == Kind::Stderr {
            self.is_torn = false;
            return Some(true);
        }
        let is_front = match record::answers(bytes).0 {
            _ if header.kind != Kind::Stdout || header.content == 0 => false,
            Verdict::Maybe => return None,
            verdict => verdict == Verdict::Yes,
        };
        self.is_torn = false;
        call.progress.was_answered = false;
        // Where the front of its own answer was lost, this is the front of another one.
        if !is_front || call.completeness != Completeness::Complete {
            call.completeness = Completeness::Gap;
            call.head.damage();
        }
        Some(true)
    }

    fn memory(&self) -> usize {
        let calls = self.open.iter().chain(&self.done).chain(&self.current);
        let calls = calls.map(|call| size_of::<Call>().saturating_add(call.capacity())).sum::<usize>();
        let places = self.open.capacity().saturating_add(self.done.capacity());
        let places = places.saturating_mul(size_of::<Box<Call>>());
        let index = self.places.capacity().saturating_mul(size_of::<(u16, u64)>());
        let places = places.saturating_add(index);
        size_of::<Self>().saturating_add(calls).saturating_add(places).saturating_add(self.spare.memory())
    }
}

/// Whether some of the other side was not read yet.
fn is_behind(other_is_lost: bool, cx: &Context<'_>) -> bool {
    let least = if other_is_lost { FIXED } else { 1 };
    cx.other_waits || cx.other.readable().len() >= least
}

fn record_size(header: Header) -> u64 {
    (HEADER as u64).saturating_add(header.content.into()).saturating_add(header.padding.into())
}

impl FastCgiParser {
    fn read(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let work = &mut **self.work.get_or_insert_with(Box::default);
        let (half, other_is_lost) = match side {
            Side::Client => (&mut self.client, self.server.is_lost),
            Side::Server => (&mut self.server, self.client.is_lost),
        };
        let start = cx.offset;
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let offset = start.saturating_add(at as u64);
            if half.is_lost {
                if side == Side::Server && !work.client_waits && is_behind(other_is_lost, cx) {
                    return Step { consumed: at, then: Then::Wait };
                }
                let found = resume(work, side, rest);
                let (Ok(skipped) | Err(skipped)) = found;
                if skipped > 0 && side == Side::Server {
                    work.skip_answers(cx.mark_at(offset.saturating_add(skipped as u64).saturating_sub(1)).at);
                }
                at = at.saturating_add(skipped);
                if found.is_err() {
                    return Step::need(at, FIXED);
                }
                half.is_lost = false;
                continue;
            }
            if let Some(header) = half.record {
                let left = usize::try_from(half.content_end.saturating_sub(offset)).unwrap_or(usize::MAX);
                let content = rest.get(..left).unwrap_or(rest);
                if left > 0 && is_read(work, header) {
                    if content.is_empty() {
                        return Step::need(at, 1);
                    }
                    work.feed(header, content, cx.config);
                    if let (Kind::Stdout, Some(call)) = (header.kind, work.find(header.request_id))
                        && call.head.is_done
                    {
                        // The rest of it is body.
                        call.stdout = call.stdout.saturating_add(left.saturating_sub(content.len()) as u64);
                    }
                    at = at.saturating_add(content.len());
                    continue;
                }
                let left = half.end.saturating_sub(offset);
                if left > rest.len() as u64 {
                    return Step::skip(at, left);
                }
                at = at.saturating_add(usize::try_from(left).unwrap_or(usize::MAX));
                half.record = None;
                continue;
            }
            let Some(header) = rest.first_chunk::<HEADER>() else { return Step::need(at, HEADER) };
            let Some(header) = Header::read(*header, side) else {
                half.is_lost = true;
                work.lose(side, cx);
                return Step::misframed(at);
            };
            let is_fixed = matches!(header.kind, Kind::Begin | Kind::End);
            let body = rest.get(HEADER..).and_then(|body| body.first_chunk::<8>());
            if is_fixed && body.is_none() {
                return Step::need(at, FIXED);
            }
            if side == Side::Server {
                work.overtake(header, offset, cx);
            }
            if work.is_early(side, header, offset, other_is_lost, cx) {
                return Step { consumed: at, then: Then::Wait };
            }
            if side == Side::Server && work.admit(header, rest, cx).is_none() {
                return Step::need(at, rest.len().saturating_add(1));
            }
            if let (Kind::Begin, Some(body)) = (header.kind, body) {
                work.begin(header, *body, offset, cx);
            }
            half.content_end = offset.saturating_add(HEADER as u64).saturating_add(header.content.into());
            half.end = offset.saturating_add(record_size(header));
            let is_read = work.start(side, header, offset, cx);
            half.record = Some(header);
            at = at.saturating_add(HEADER);
            if let (Kind::End, Some(body)) = (header.kind, body) {
                work.end(header.request_id, *body, half.content_end.saturating_sub(1), cx);
            }
            if is_fixed {
                at = at.saturating_add(8);
            } else if !is_read {
                // Passed over as a whole.
                half.content_end = offset;
            }
        }
    }
}

/// Whether more of a record's content is of interest.
fn is_read(work: &mut Work, header: Header) -> bool {
    work.find(header.request_id).is_some_and(|call| match header.kind {
        Kind::Params => !call.progress.has_params,
        Kind::Stdout => !call.head.is_done,
        _ => false,
    })
}

/// Where, behind a loss, a record begins that is known for one; else how many bytes from the front none begins in.
fn resume(work: &mut Work, side: Side, bytes: &[u8]) -> Result<usize, usize> {
    let mut at = 0_usize;
    for window in bytes.windows(FIXED) {
        if let Some(window @ [1, kind, ..]) = window.first_chunk::<FIXED>() {
            let is_awaited = |work: &mut Work, id| work.find(id).is_some_and(|call| call.response.is_none());
            let found = match (side, kind) {
                (Side::Client, 1) => record::begins(window),
                (Side::Server, 3) => record::ends(window).is_some_and(|id| work.find(id).is_some()),
                (Side::Server, 6) => match record::answers(bytes.get(at..).unwrap_or_default()) {
                    (Verdict::Maybe, id) if is_awaited(work, id) => return Err(at),
                    (verdict, id) => verdict == Verdict::Yes && is_awaited(work, id),
                },
                (Side::Server, 7) => record::complains(window).is_some_and(|id| is_awaited(work, id)),
                _ => false,
            };
            if found {
                return Ok(at);
            }
        }
        at = at.saturating_add(1);
    }
    Err(at)
}

impl Parser for FastCgiParser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.role = Some(cx.role);
        self.read(side, bytes, cx)
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        let work = &mut **self.work.get_or_insert_with(Box::default);
        let half = match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        if let Some(header) = half.record
            && length > 0
            && cx.offset <= half.end
        {
            work.damage(header);
            half.content_end = half.content_end.min(cx.offset);
            return;
        }
        half.record = None;
        half.is_lost = true;
        work.lose(side, cx);
    }

    fn join(&mut self) {
        self.client.is_lost = true;
        self.server.is_lost = true;
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        let Some(work) = self.work.as_deref_mut() else { return };
        while !work.open.is_empty() {
            work.leave_oldest(cx);
        }
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        let role = self.role.unwrap_or(Role::Client);
        let work = self.work.as_deref_mut()?;
        if let Some(call) = work.current.take() {
            work.spare.give(call);
        }
        work.current = work.done.pop_front();
        work.current.as_deref().map(|call| details::exchange(call, role))
    }

    fn has_exchange(&self) -> bool {
        self.work.as_ref().is_some_and(|work| !work.done.is_empty())
    }

    fn memory(&self) -> usize {
        let work = self.work.as_ref().map_or(0, |work| work.memory());
        size_of::<Self>().saturating_add(work)
    }

    fn shrink(&mut self) {
        if self.work.as_ref().is_some_and(|work| work.open.is_empty() && work.done.is_empty()) {
            self.work = None;
        }
    }
}
