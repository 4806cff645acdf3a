//! The requests of a connection that are under way.

use alloc::boxed::Box;

use super::{Work, is_behind, record_size};
use crate::{
    Completeness, Config, Message, Timestamp,
    detect::Verdict,
    fastcgi::{
        call::Call,
        record::{self, ApplicationRole, HEADER, Header, Kind, ProtocolStatus},
    },
    parser::{Context, Side},
};

impl Work {
    pub(super) fn find(&mut self, request_id: u16) -> Option<&mut Call> {
        let place = self.place(request_id)?;
        self.open.get_mut(place).map(|call| &mut **call)
    }

    pub(super) fn place(&self, request_id: u16) -> Option<usize> {
        let &(_, begun) = self.places.get(self.search(request_id).ok()?)?;
        self.open.binary_search_by_key(&begun, |call| call.begun).ok()
    }

    pub(super) fn search(&self, request_id: u16) -> Result<usize, usize> {
        self.places.binary_search_by_key(&request_id, |&(id, _)| id)
    }

    pub(super) fn finish_at(&mut self, place: usize, cx: &mut Context<'_>) {
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
    pub(super) fn miss_at(&mut self, place: usize, completeness: Completeness, cx: &mut Context<'_>) {
        if let Some(call) = self.open.get_mut(place)
            && call.completeness == Completeness::Complete
        {
            call.completeness = completeness;
        }
        self.finish_at(place, cx);
    }

    /// Nobody waits for the rest of the oldest call.
    pub(super) fn leave_oldest(&mut self, cx: &mut Context<'_>) {
        let is_begun = self.open.front().is_some_and(|call| call.response.is_some());
        let missing = if is_begun { Completeness::Truncated } else { Completeness::ResponseMissing };
        self.miss_at(0, missing, cx);
    }

    /// Whether a record comes before what it follows: a request whose number is not free yet, or a part of an answer
    /// to a request that was not seen. Then that may be among what was not read yet of the other side.
    pub(super) fn is_early(
        &mut self,
        side: Side,
        header: Header,
        offset: u64,
        other_is_lost: bool,
        cx: &Context<'_>,
    ) -> bool {
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
    pub(super) fn overtake(&mut self, header: Header, offset: u64, cx: &mut Context<'_>) {
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
    pub(super) fn begin(&mut self, header: Header, body: [u8; 8], offset: u64, cx: &mut Context<'_>) {
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
    pub(super) fn start(&mut self, side: Side, header: Header, offset: u64, cx: &mut Context<'_>) -> bool {
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
    pub(super) fn end(&mut self, request_id: u16, body: [u8; 8], last: u64, cx: &mut Context<'_>) {
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
    pub(super) fn feed(&mut self, header: Header, bytes: &[u8], config: &Config) {
        let most = config.max_text as usize;
        let Some(call) = self.find(header.request_id) else { return };
        match header.kind {
            Kind::Params => call.feed_params(bytes, most),
            Kind::Stdout => call.feed_output(bytes, most),
            _ => {}
        }
    }

    /// Content that would have been read is lost.
    pub(super) fn damage(&mut self, header: Header) {
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
    pub(super) fn lose(&mut self, side: Side, cx: &mut Context<'_>) {
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
    pub(super) fn skip_answers(&mut self, last: Timestamp) {
        for call in self.open.iter_mut().filter(|call| call.response.is_none() && call.request.start <= last) {
            call.completeness = Completeness::Gap;
        }
    }

    /// The first record of an answer after some of the server's were lost. `None`: more of it is needed. `false`: it may
    /// be the answer to another request, which had the same number.
    pub(super) fn admit(&mut self, header: Header, bytes: &[u8], cx: &mut Context<'_>) -> Option<bool> {
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

    pub(super) fn memory(&self) -> usize {
        let calls = self.open.iter().chain(&self.done).chain(&self.current);
        let calls = calls.map(|call| size_of::<Call>().saturating_add(call.capacity())).sum::<usize>();
        let places = self.open.capacity().saturating_add(self.done.capacity());
        let places = places.saturating_mul(size_of::<Box<Call>>());
        let index = self.places.capacity().saturating_mul(size_of::<(u16, u64)>());
        let places = places.saturating_add(index);
        size_of::<Self>().saturating_add(calls).saturating_add(places).saturating_add(self.spare.memory())
    }
}
