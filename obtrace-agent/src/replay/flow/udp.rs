//! One pair of addresses that exchange UDP datagrams.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
};

use obtrace_protocols::{Config, Shared};

use super::{Conversation, End};
use crate::{
    replay::{packet::Datagram, spans::Spans},
    traces::{SpanRecord, Transport},
};

/// How far apart two sightings of the same datagram are at most, in nanoseconds.
const SAME: u64 = 50_000_000;
/// How many datagrams are remembered for it.
const REMEMBERED: usize = 16;

#[derive(Debug)]
pub(in crate::replay) struct UdpFlow {
    conversation: Conversation,
    recent: VecDeque<Sighting>,
    last: u64,
    /// The timer that is set for it; the driver's business.
    pub(in crate::replay) armed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    digest: u64,
    id: u32,
    place: u64,
    at: u64,
}

impl UdpFlow {
    pub(in crate::replay) fn new(
        id: u64,
        datagram: &Datagram<'_>,
        parsers: &Config,
        shared: &Shared,
        now: u64,
    ) -> Self {
        let ends = (datagram.source, datagram.destination);
        Self {
            conversation: Conversation::new(id, Transport::Udp, ends, None, parsers, shared),
            recent: VecDeque::new(),
            last: now,
            armed: u64::MAX,
        }
    }

    /// Takes a datagram.
    pub(in crate::replay) fn datagram(
        &mut self,
        datagram: &Datagram<'_>,
        at: u64,
        spans: &mut Spans<impl FnMut(&SpanRecord, u64)>,
    ) {
        self.last = self.last.max(at);
        let from = self.conversation.end(datagram.source);
        if self.is_repeated(from, datagram, at) {
            spans.summary.repeated += 1;
            return;
        }
        self.conversation.datagram(from, &datagram.bytes, at, spans);
    }

    /// Whether this is the same datagram seen at another place of its way: on another interface, or again with the
    /// same identification. Two equal ones that were really sent differ in that.
    fn is_repeated(&mut self, from: End, datagram: &Datagram<'_>, at: u64) -> bool {
        let mut hasher = DefaultHasher::new();
        (from == End::Local, &datagram.bytes).hash(&mut hasher);
        let now = Sighting { digest: hasher.finish(), id: datagram.id, place: datagram.sighting, at };
        let same = |old: &Sighting| {
            let elsewhere = old.place != now.place;
            let same_packet = old.id == now.id && (elsewhere || now.id != 0);
            old.digest == now.digest && same_packet && old.at.abs_diff(at) <= SAME
        };
        if self.recent.iter().any(same) {
            return true;
        }
        if self.recent.len() >= REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        false
    }

    /// When [`UdpFlow::handle_timeout`] wants to be called.
    pub(in crate::replay) fn timeout(&self) -> Option<u64> {
        self.conversation.timeout()
    }

    pub(in crate::replay) fn handle_timeout(&mut self, now: u64, spans: &mut Spans<impl FnMut(&SpanRecord, u64)>) {
        self.conversation.handle_timeout(now, spans);
    }

    pub(in crate::replay) fn close(self, spans: &mut Spans<impl FnMut(&SpanRecord, u64)>) {
        self.conversation.close(self.last, true, spans);
    }
}
