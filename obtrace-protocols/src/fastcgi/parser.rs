//! A connection: records of both sides, and the requests that they belong to.

mod work;

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};

use super::{
    call::{Call, Spare},
    details,
    record::{self, FIXED, HEADER, Header, Kind},
};
use crate::{
    Config, Exchange, Role, Timestamp,
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
