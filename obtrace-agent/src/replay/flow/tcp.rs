//! One TCP connection.

use std::net::SocketAddr;

use obtrace_protocols::{Config, Shared};

use super::{
    Conversation, End,
    order::{Order, Patience, Piece},
};
use crate::{
    replay::{packet::Segment, spans::Spans},
    traces::{SpanRecord, Transport},
};

/// How long after the end of a connection segments that the capture has late are still taken.
const LINGER: u64 = 200_000_000;

/// More data than this comes in no SYN ([RFC 7413](https://www.rfc-editor.org/rfc/rfc7413)).
const MAX_EARLY_DATA: u32 = 64 * 1024;

#[derive(Debug)]
pub(in crate::replay) struct TcpFlow {
    /// Until it is closed.
    conversation: Option<Conversation>,
    /// The address of the end that was made the observed one.
    local: SocketAddr,
    order: Order,
    /// Of both ends, the observed one first.
    ends: [EndState; 2],
    /// When the SYN was seen, and the address it went to.
    asked: Option<(u64, SocketAddr)>,
    /// When it was closed; only late segments come after it.
    closing: Option<u64>,
    last: u64,
    /// The timer that is set for it; the driver's business.
    pub(in crate::replay) armed: u64,
}

/// What is known of one end.
#[derive(Clone, Copy, Debug, Default)]
struct EndState {
    /// Its initial sequence number.
    syn: Option<u32>,
    /// The offset after its last byte.
    fin: Option<u64>,
    /// The highest offset that a segment of it named.
    named: u64,
    /// The offset of the first byte seen of it.
    began: Option<u64>,
    seen: bool,
}

impl TcpFlow {
    /// A connection whose first segment is this.
    pub(in crate::replay) fn new(id: u64, segment: &Segment<'_>, parsers: &Config, shared: &Shared, now: u64) -> Self {
        let client = match (segment.syn, segment.acknowledged) {
            (true, None) => Some(segment.source),
            (true, Some(_)) => Some(segment.destination),
            _ => None,
        };
        let ends = (segment.source, segment.destination);
        let mut conversation = Conversation::new(id, Transport::Tcp, ends, client, parsers, shared);
        if !segment.syn {
            conversation.join();
        }
        Self {
            local: conversation.local,
            conversation: Some(conversation),
            order: Order::default(),
            ends: [EndState::default(); 2],
            asked: (segment.syn && segment.acknowledged.is_none()).then_some((now, segment.destination)),
            closing: None,
            last: now,
            armed: u64::MAX,
        }
    }

    fn end(&self, address: SocketAddr) -> End {
        if address == self.local { End::Local } else { End::Remote }
    }

    /// Whether it is over and only kept to tell late segments from a new connection.
    pub(in crate::replay) const fn is_closed(&self) -> bool {
        self.conversation.is_none()
    }

    fn end_state(&mut self, end: End) -> &mut EndState {
        let [local, remote] = &mut self.ends;
        if end == End::Local { local } else { remote }
    }

    /// Whether a segment with SYN belongs to this connection: the same one again, or one the capture has late. Else
    /// the addresses are used again for another connection.
    pub(in crate::replay) fn is_own_syn(&mut self, segment: &Segment<'_>) -> bool {
        let from = self.end(segment.source);
        let first = segment.sequence.wrapping_add(1);
        let (begins, mine) = (self.order.offset(from, first), *self.end_state(from));
        if let Some(number) = mine.syn {
            return number == segment.sequence;
        }
        let theirs = *self.end_state(from.other());
        match (segment.acknowledged, theirs.syn) {
            // The answer to the SYN that was seen, and to the data it may have carried.
            (Some(acknowledged), Some(syn)) => (1..=MAX_EARLY_DATA).contains(&acknowledged.wrapping_sub(syn)),
            _ => mine.began.or(self.order.next(from)) == Some(begins),
        }
    }

    /// Takes a segment.
    pub(in crate::replay) fn segment(
        &mut self,
        segment: &Segment<'_>,
        at: u64,
        patience: &Patience,
        spans: &mut Spans<impl FnMut(&SpanRecord, u64)>,
    ) {
        self.last = self.last.max(at);
        let from = self.end(segment.source);
        if segment.rst {
            self.refused(from, at, spans);
        }
        let Some(conversation) = &mut self.conversation else {
            spans.summary.repeated += u64::from(segment.length > 0);
            return;
        };
        // A SYN counts as one byte in front of the data.
        let sequence = segment.sequence.wrapping_add(u32::from(segment.syn));
        if segment.syn {
            conversation.expect(from, self.order.begin(from, sequence));
        }
        let length = if segment.rst { 0 } else { segment.length };
        let piece = Piece {
            from,
            sequence,
            acknowledged: segment.acknowledged.filter(|_| !segment.rst),
            bytes: &segment.bytes,
            length,
            at,
        };
        let fresh = self.order.push(piece, patience, &mut |delivery| conversation.take(delivery, spans));
        if length > 0 && !fresh {
            spans.summary.repeated += 1;
        }
        let offset = self.order.offset(from, sequence);
        let state = self.end_state(from);
        state.seen = true;
        if !segment.rst {
            state.named = state.named.max(offset);
        }
        if segment.syn {
            state.syn = Some(segment.sequence);
        }
        if length > 0 {
            state.began.get_or_insert(offset);
        }
        if segment.fin {
            let end = offset.saturating_add(length as u64);
            state.fin.get_or_insert(end);
            self.order.fin(from, end);
        }
        if segment.rst || self.both_said_fin() {
            self.closing.get_or_insert(at);
        }
    }

    /// Whether nothing more is to be expected: both ends are done, or the only one that the capture has.
    fn both_said_fin(&self) -> bool {
        let done = |state: &EndState| state.fin.is_some() || !state.seen;
        self.ends.iter().all(done) && self.ends.iter().any(|state| state.fin.is_some())
    }

    /// A reset in answer to the SYN: the connection failed.
    fn refused(&mut self, from: End, at: u64, spans: &mut Spans<impl FnMut(&SpanRecord, u64)>) {
        let answered = self.ends.iter().all(|state| state.syn.is_some());
        if let Some((since, remote)) = self.asked.filter(|_| !answered && self.closing.is_none())
            && self.end(remote) == from
        {
            spans.connect_refused(since, at, remote);
        }
    }

    /// When [`TcpFlow::handle_timeout`] wants to be called.
    pub(in crate::replay) fn timeout(&self, patience: &Patience) -> Option<u64> {
        let conversation = self.conversation.as_ref()?;
        let closing = self.closing.map(|at| at.saturating_add(LINGER));
        [closing, self.order.timeout(patience), conversation.timeout()].into_iter().flatten().min()
    }

    pub(in crate::replay) fn handle_timeout(
        &mut self,
        now: u64,
        patience: &Patience,
        spans: &mut Spans<impl FnMut(&SpanRecord, u64)>,
    ) {
        let Some(conversation) = &mut self.conversation else { return };
        self.order.handle_timeout(now, patience, &mut |delivery| conversation.take(delivery, spans));
        conversation.handle_timeout(now, spans);
        if self.closing.is_some_and(|at| at.saturating_add(LINGER) <= now) {
            self.close(spans);
        }
    }

    /// Ends it: what waits is handed on, what is unanswered stays so.
    pub(in crate::replay) fn close(&mut self, spans: &mut Spans<impl FnMut(&SpanRecord, u64)>) {
        let Some(mut conversation) = self.conversation.take() else { return };
        let at = self.closing.unwrap_or(self.last);
        self.order.finish(&mut |delivery| conversation.take(delivery, spans));
        for (end, state) in [End::Local, End::Remote].into_iter().zip(self.ends) {
            // Before a number that was named or acknowledged all has passed. If the capture has no FIN, the last of it
            // may be that, which counts as one byte.
            let known = self.order.acknowledged(end).max(state.named).saturating_sub(1);
            let passed = state.fin.unwrap_or(known);
            self.order.ends_at(end, passed, at, &mut |delivery| conversation.take(delivery, spans));
        }
        let is_over = self.closing.is_some() || self.ends.iter().any(|state| state.fin.is_some());
        conversation.close(at, is_over, spans);
    }
}
