//! Which server exchange an outgoing request belongs to: a question about strands.

use std::collections::{HashMap, VecDeque};

use obtrace_export::model::{SpanId, TraceId};
use obtrace_protocols::Tag;
use rustc_hash::FxHashMap;

use super::{SpanContext, keyed::KeyedState};

/// One unit of sequential execution: a thread, told by the numbers of its process and its own.
///
/// It travels through the parsers as the [`Tag`] of a message's first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Strand {
    /// Process (thread group) id.
    pub process: u32,
    /// Thread id.
    pub thread: u32,
}

impl Strand {
    /// A thread of a process.
    #[must_use]
    pub const fn new(process: u32, thread: u32) -> Self {
        Self { process, thread }
    }

    /// A whole process: for one whose threads hand requests to each other.
    #[must_use]
    pub const fn of_process(process: u32) -> Self {
        Self::new(process, process)
    }

    /// As a tag for the parsers.
    ///
    /// ```
    /// use obtrace_agent::traces::Strand;
    /// let strand = Strand::new(12, 13);
    /// assert_eq!(Strand::from_tag(strand.tag()), strand);
    /// ```
    #[must_use]
    pub const fn tag(self) -> Tag {
        Tag::new((self.process as u64) << 32 | self.thread as u64)
    }

    /// The strand that a tag stands for.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the tag")]
    pub const fn from_tag(tag: Tag) -> Self {
        Self { process: (tag.get() >> 32) as u32, thread: tag.get() as u32 }
    }

    /// Whether it says nothing: the source of the bytes (a capture) does not know who handled them.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        self.process == 0
    }
}

/// A server exchange that is open: what its children need to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) sampled: bool,
    /// When its request began, in the source's clock.
    pub(super) start: u64,
}

impl Server {
    pub(super) const fn context(&self) -> SpanContext {
        SpanContext { trace_id: self.trace_id, span_id: self.span_id, sampled: self.sampled }
    }
}

/// A set of open server exchanges that only has to answer "which one, if it is one?".
///
/// Each field is the exclusive or of the members: with one member left it is that member. Adding and removing cost
/// the same however many are open, and nothing is allocated.
#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    count: u32,
    trace_id: u128,
    span_id: u64,
    sampled: bool,
    start: u64,
    /// Until when there was more than one.
    crowded_until: u64,
}

/// The answer to "which one?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// None is open.
    None,
    /// This one.
    One(Server),
    /// More than one, and nothing tells them apart.
    Ambiguous,
}

impl Crowd {
    fn toggle(&mut self, server: &Server) {
        self.trace_id ^= u128::from_be_bytes(server.trace_id.to_bytes());
        self.span_id ^= u64::from_be_bytes(server.span_id.to_bytes());
        self.sampled ^= server.sampled;
        self.start ^= server.start;
    }

    fn add(&mut self, server: &Server) {
        self.toggle(server);
        self.count += 1;
    }

    /// Whether it is empty now.
    fn remove(&mut self, server: &Server, end: u64) -> bool {
        self.toggle(server);
        self.count = self.count.saturating_sub(1);
        if self.count > 0 {
            self.crowded_until = self.crowded_until.max(end);
        }
        self.count == 0
    }

    /// The one that was open alone at `time`.
    fn only(&self, time: u64) -> Parent {
        match self.count {
            0 => Parent::None,
            1 if self.crowded_until < time => {
                let server = Server {
                    trace_id: TraceId::from_bytes(self.trace_id.to_be_bytes()),
                    span_id: SpanId::from_bytes(self.span_id.to_be_bytes()),
                    sampled: self.sampled,
                    start: self.start,
                };
                // What began later cannot be the cause.
                if server.start <= time { Parent::One(server) } else { Parent::None }
            }
            _ => Parent::Ambiguous,
        }
    }
}

/// Who made a strand, and when.
#[derive(Clone, Copy, Debug)]
struct Creator {
    strand: Strand,
    time: u64,
}

/// How far up the creators of a strand a parent is looked for.
const MAX_GENERATIONS: usize = 6;

/// The open server exchanges of all strands.
#[derive(Debug, Default)]
pub(super) struct Strands {
    by_strand: FxHashMap<Strand, Crowd>,
    by_process: FxHashMap<u32, Crowd>,
    /// Outsiders choose trace ids: this one is not to be hashed without a key.
    by_trace: HashMap<(u32, TraceId), Crowd, KeyedState>,
    creators: FxHashMap<u32, Creator>,
    /// The keys of `creators`, oldest first.
    created: VecDeque<u32>,
}

impl Strands {
    pub(super) fn add(&mut self, strand: Strand, server: &Server) {
        if strand.is_unknown() {
            return;
        }
        self.by_strand.entry(strand).or_default().add(server);
        self.by_process.entry(strand.process).or_default().add(server);
        self.by_trace.entry((strand.process, server.trace_id)).or_default().add(server);
    }

    /// Takes out what was added with the same arguments; it was over at `end`.
    pub(super) fn remove(&mut self, strand: Strand, server: &Server, end: u64) {
        if self.by_strand.get_mut(&strand).is_some_and(|crowd| crowd.remove(server, end)) {
            self.by_strand.remove(&strand);
        }
        if self.by_process.get_mut(&strand.process).is_some_and(|crowd| crowd.remove(server, end)) {
            self.by_process.remove(&strand.process);
        }
        let key = (strand.process, server.trace_id);
        if self.by_trace.get_mut(&key).is_some_and(|crowd| crowd.remove(server, end)) {
            self.by_trace.remove(&key);
        }
    }

    /// A strand made another; at most `limit` are remembered, the oldest are forgotten.
    pub(super) fn forked(&mut self, parent: Strand, child: Strand, time: u64, limit: usize) {
        if self.creators.insert(child.thread, Creator { strand: parent, time }).is_none() {
            self.created.push_back(child.thread);
        }
        while self.created.len() > limit.max(1) {
            if let Some(oldest) = self.created.pop_front() {
                self.creators.remove(&oldest);
            }
        }
    }

    /// The server exchange of a process that belongs to this trace.
    pub(super) fn of_trace(&self, strand: Strand, trace_id: TraceId, time: u64) -> Parent {
        self.by_trace.get(&(strand.process, trace_id)).map_or(Parent::None, |crowd| crowd.only(time))
    }

    /// The server exchange that a request sent by this strand at this time belongs to.
    pub(super) fn parent_of(&self, strand: Strand, time: u64) -> Parent {
        if strand.is_unknown() || self.by_process.is_empty() {
            return Parent::None;
        }
        if let Some(crowd) = self.by_strand.get(&strand) {
            return crowd.only(time);
        }
        let mut child = strand;
        for _ in 0..MAX_GENERATIONS {
            let Some(creator) = self.creator_of(child) else { return Parent::None };
            if let Some(crowd) = self.by_strand.get(&creator.strand) {
                return self.inherited(child, creator, crowd, time);
            }
            child = creator.strand;
        }
        Parent::None
    }

    /// A thread that is older than the probes is taken to be made by the first thread of its process.
    fn creator_of(&self, child: Strand) -> Option<Creator> {
        let first = Strand::new(child.process, child.process);
        self.creators.get(&child.thread).copied().or((child != first).then_some(Creator { strand: first, time: 0 }))
    }

    /// What is open on a creator counts only if nothing else is open in its process.
    fn inherited(&self, child: Strand, creator: Creator, crowd: &Crowd, time: u64) -> Parent {
        let alone = self.by_process.get(&creator.strand.process).map_or(Parent::None, |all| all.only(time));
        match (crowd.only(time), alone) {
            // A child process is part of the request only if it was made during the request.
            (Parent::One(server), Parent::One(_))
                if child.process != creator.strand.process && server.start > creator.time =>
            {
                Parent::None
            }
            (Parent::One(server), Parent::One(other)) if server == other => Parent::One(server),
            (Parent::None, _) => Parent::None,
            _ => Parent::Ambiguous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u8, start: u64) -> Server {
        let (trace_id, span_id) = (TraceId::from_bytes([number; 16]), SpanId::from_bytes([number; 8]));
        Server { trace_id, span_id, sampled: true, start }
    }

    const MAIN: Strand = Strand::new(10, 10);
    const WORKER: Strand = Strand::new(10, 11);

    #[test]
    fn exactly_one_open_exchange_on_the_strand_is_the_parent() {
        let mut strands = Strands::default();
        assert_eq!(strands.parent_of(MAIN, 5), Parent::None);
        strands.add(MAIN, &server(1, 3));
        assert_eq!(strands.parent_of(MAIN, 5), Parent::One(server(1, 3)));
        strands.add(MAIN, &server(2, 6));
        assert_eq!(strands.parent_of(MAIN, 7), Parent::Ambiguous);
        strands.remove(MAIN, &server(1, 3), 9);
        assert_eq!(strands.parent_of(MAIN, 10), Parent::One(server(2, 6)));
        strands.remove(MAIN, &server(2, 6), 12);
        assert_eq!(strands.parent_of(MAIN, 13), Parent::None);
        assert!(strands.by_strand.is_empty() && strands.by_process.is_empty() && strands.by_trace.is_empty());
    }

    #[test]
    fn a_request_that_began_while_two_were_open_stays_ambiguous() {
        let mut strands = Strands::default();
        strands.add(MAIN, &server(1, 3));
        strands.add(MAIN, &server(2, 4));
        strands.remove(MAIN, &server(1, 3), 9);
        assert_eq!(strands.parent_of(MAIN, 8), Parent::Ambiguous);
    }

    #[test]
    fn an_exchange_that_began_after_the_request_is_not_its_cause() {
        let mut strands = Strands::default();
        strands.add(MAIN, &server(1, 30));
        assert_eq!(strands.parent_of(MAIN, 20), Parent::None);
    }

    #[test]
    fn a_worker_inherits_from_its_creator_only_if_the_process_has_no_other() {
        let mut strands = Strands::default();
        strands.forked(MAIN, WORKER, 1, 100);
        strands.add(MAIN, &server(1, 3));
        assert_eq!(strands.parent_of(WORKER, 5), Parent::One(server(1, 3)));
        strands.add(Strand::new(10, 12), &server(2, 4));
        assert_eq!(strands.parent_of(WORKER, 5), Parent::Ambiguous);
        assert_eq!(strands.parent_of(MAIN, 5), Parent::One(server(1, 3)));
    }

    #[test]
    fn a_thread_older_than_the_probes_is_a_child_of_the_first_thread() {
        let mut strands = Strands::default();
        strands.add(MAIN, &server(1, 3));
        assert_eq!(strands.parent_of(Strand::new(10, 99), 5), Parent::One(server(1, 3)));
        assert_eq!(strands.parent_of(Strand::new(20, 99), 5), Parent::None);
    }

    #[test]
    fn creators_are_followed_for_six_generations() {
        let mut strands = Strands::default();
        strands.add(Strand::new(10, 100), &server(1, 3));
        for thread in 100..107 {
            strands.forked(Strand::new(10, thread), Strand::new(10, thread + 1), 1, 100);
        }
        assert_eq!(strands.parent_of(Strand::new(10, 106), 5), Parent::One(server(1, 3)));
        assert_eq!(strands.parent_of(Strand::new(10, 107), 5), Parent::None);
    }

    #[test]
    fn a_child_process_inherits_only_what_was_open_when_it_was_made() {
        let mut strands = Strands::default();
        strands.add(MAIN, &server(1, 3));
        strands.forked(MAIN, Strand::new(20, 20), 4, 100);
        strands.forked(MAIN, Strand::new(30, 30), 2, 100);
        assert_eq!(strands.parent_of(Strand::new(20, 20), 5), Parent::One(server(1, 3)));
        assert_eq!(strands.parent_of(Strand::new(30, 30), 5), Parent::None);
    }

    #[test]
    fn creators_are_bounded() {
        let mut strands = Strands::default();
        for thread in 0..1_000 {
            strands.forked(MAIN, Strand::new(10, 100 + thread), 1, 64);
        }
        assert_eq!((strands.creators.len(), strands.created.len()), (64, 64));
    }

    #[test]
    fn the_trace_tells_apart_what_the_strand_cannot() {
        let mut strands = Strands::default();
        strands.add(MAIN, &server(1, 3));
        strands.add(MAIN, &server(2, 4));
        assert_eq!(strands.of_trace(MAIN, TraceId::from_bytes([2; 16]), 5), Parent::One(server(2, 4)));
        assert_eq!(strands.of_trace(MAIN, TraceId::from_bytes([9; 16]), 5), Parent::None);
    }
}
