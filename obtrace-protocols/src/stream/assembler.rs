//! One direction of a byte stream.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};

use crate::{Tag, Timestamp};

/// Where a chunk began, when it passed and what the caller tagged it with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mark {
    /// Stream offset of the chunk's first byte.
    pub offset: u64,
    /// When the chunk passed.
    pub at: Timestamp,
    /// The caller's tag.
    pub tag: Tag,
}

impl Mark {
    /// A mark of a chunk.
    #[must_use]
    pub const fn new(offset: u64, at: Timestamp, tag: Tag) -> Self {
        Self { offset, at, tag }
    }
}

/// What became of a chunk that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pushed {
    /// There are new bytes to read.
    Ready,
    /// Every byte of it had been seen before, or nobody wants it.
    Nothing,
    /// It lies behind a hole and is kept until the hole is filled or [given up](Assembler::force_gap).
    Early,
    /// There is no room to keep it: the hole before it has to be given up now. The chunk was not taken.
    Full,
}

/// Puts the chunks of one direction in order: overlaps are trimmed (what came first stays), chunks behind a hole wait,
/// bytes that nobody wants are dropped on arrival.
///
/// Memory rule: contiguous unread bytes and waiting chunks, each waiting one counted with its bookkeeping, together
/// never exceed the limit given to [`Assembler::new`].
///
/// ```
/// use obtrace_protocols::{Tag, Timestamp, stream::{Assembler, Mark, Pushed}};
/// let mut stream = Assembler::new(1024);
/// let mark = |offset| Mark::new(offset, Timestamp::default(), Tag::default());
/// assert_eq!(stream.push(b"hel", mark(100)), Pushed::Ready); // the first chunk says where the stream begins
/// assert_eq!(stream.push(b"world", mark(106)), Pushed::Early);
/// assert_eq!(stream.readable(), b"hel");
/// assert_eq!(stream.push(b"llo ", mark(102)), Pushed::Ready); // the overlap is trimmed, the waiting chunk follows
/// assert_eq!(stream.readable(), b"hello world");
/// stream.consume(6);
/// assert_eq!(stream.readable(), b"world");
/// ```
#[derive(Clone, Debug)]
pub struct Assembler {
    /// Offset of the first unread byte.
    next: u64,
    /// Unread bytes are `buffer[head..]`.
    buffer: Vec<u8>,
    head: usize,
    /// Bytes before this offset are dropped on arrival. Not below the end of the buffered bytes while set.
    skip_until: u64,
    /// The chunk that the first unread byte came in, and those after it.
    first: Mark,
    more: Vec<Mark>,
    early: Option<Box<Early>>,
    limit: u32,
    begun: bool,
}

/// What lies behind a hole, ordered by offset, not overlapping.
#[derive(Clone, Debug, Default)]
struct Early {
    chunks: VecDeque<Chunk>,
    bytes: usize,
}

/// Bytes that wait, or bytes that are known to be lost: then it holds none.
#[derive(Clone, Debug)]
struct Chunk {
    mark: Mark,
    bytes: Vec<u8>,
    lost: u64,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.mark.offset.saturating_add(self.bytes.len() as u64).saturating_add(self.lost)
    }
}

/// Bookkeeping of a waiting chunk, counted against the limit so that many empty or tiny ones cannot pile up.
const CHUNK_COST: usize = 128;

/// Most marks kept besides the first. When there are more, every second one is dropped: bytes then carry the mark of
/// a chunk a little before theirs.
const MAX_MARKS: usize = 64;

impl Assembler {
    /// An empty stream that holds at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            next: 0,
            buffer: Vec::new(),
            head: 0,
            skip_until: 0,
            first: Mark::default(),
            more: Vec::new(),
            early: None,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            begun: false,
        }
    }

    /// Says at which offset the stream begins; without it the first chunk does. No effect once it has begun.
    pub fn begin(&mut self, offset: u64) {
        if !self.begun {
            self.begun = true;
            self.next = self.next.max(offset);
        }
    }

    /// Offset of the first unread byte.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// Unread bytes that follow each other without a hole.
    #[inline]
    #[must_use]
    pub fn readable(&self) -> &[u8] {
        self.buffer.get(self.head..).unwrap_or_default()
    }

    /// Offset up to which bytes are dropped on arrival because of [`Assembler::skip`].
    #[must_use]
    pub const fn skip_until(&self) -> u64 {
        self.skip_until
    }

    /// The offset at which the next contiguous byte belongs.
    #[inline]
    #[must_use]
    pub fn end(&self) -> u64 {
        self.next.saturating_add(self.readable().len() as u64).max(self.skip_until)
    }

    /// The same, with what waits behind holes.
    pub(crate) fn seen_until(&self) -> u64 {
        let early = self.early.as_deref().and_then(|early| early.chunks.back());
        early.map_or(0, Chunk::end).max(self.end())
    }

    /// Heap bytes held.
    #[must_use]
    pub fn memory(&self) -> usize {
        let early = self.early.as_deref().map_or(0, |early| early.bytes.saturating_add(size_of::<Early>()));
        let marks = self.more.capacity().saturating_mul(size_of::<Mark>());
        self.buffer.capacity().saturating_add(marks).saturating_add(early)
    }

    /// Unread and waiting bytes, what counts against the limit.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let early = self.early.as_deref().map_or(0, |early| early.bytes);
        self.readable().len().saturating_add(early)
    }

    /// When the first of what waits behind a hole passed, if anything waits.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Timestamp> {
        self.early.as_deref()?.chunks.front().map(|chunk| chunk.mark.at)
    }

    /// The part of a chunk that can be read where it is, without a copy: the stream is in order and nothing is
    /// buffered. The caller then [`advance`](Assembler::advance)s over what it read and pushes the rest. `None`: push
    /// it. An empty part: there is nothing new in it.
    #[inline]
    pub fn direct<'b>(&mut self, bytes: &'b [u8], mark: Mark) -> Option<(&'b [u8], Mark)> {
        self.begin(mark.offset);
        if self.head != self.buffer.len() || self.early.is_some() {
            return None;
        }
        let end = self.next.max(self.skip_until);
        if mark.offset > end {
            return None;
        }
        let old = usize::try_from(end.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
        let fresh = bytes.get(old..).unwrap_or_default();
        self.next = end.min(mark.offset.saturating_add(bytes.len() as u64)).max(self.next);
        Some((fresh, Mark { offset: end, ..mark }))
    }

    /// Counts `n` bytes as read that were never buffered.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        self.next = self.next.saturating_add(n as u64);
    }

    /// Takes a chunk.
    pub fn push(&mut self, bytes: &[u8], mark: Mark) -> Pushed {
        self.begin(mark.offset);
        let end = self.end();
        if mark.offset > end {
            let room = (self.limit as usize).saturating_sub(self.buffered());
            if !bytes.is_empty() && bytes.len().saturating_add(CHUNK_COST) > room {
                return Pushed::Full;
            }
            return self.insert_early(Some(bytes), bytes.len() as u64, mark);
        }
        let old = usize::try_from(end.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
        let Some(fresh) = bytes.get(old..).filter(|fresh| !fresh.is_empty()) else {
            self.settle_skip(mark.offset.saturating_add(bytes.len() as u64));
            return Pushed::Nothing;
        };
        if fresh.len() > (self.limit as usize).saturating_sub(self.buffered()) {
            return Pushed::Full;
        }
        self.settle_skip(end);
        let mark = Mark { offset: end, ..mark };
        let Some(first) = self.early.as_deref().and_then(|early| early.chunks.front()) else {
            self.append(fresh, mark);
            return Pushed::Ready;
        };
        // What waits came first: only the bytes in front of it, and later those behind it, are new.
        let until = usize::try_from(first.mark.offset.saturating_sub(end)).unwrap_or(usize::MAX);
        let (front, covered) = fresh.split_at_checked(until).unwrap_or((fresh, &[]));
        let ready = !front.is_empty();
        if ready {
            self.append(front, mark);
        }
        let mark = Mark { offset: end.saturating_add(front.len() as u64), ..mark };
        let kept = self.insert_early(Some(covered), covered.len() as u64, mark);
        self.absorb_early();
        if ready { Pushed::Ready } else { kept }
    }

    /// The stream position follows bytes that were dropped on arrival.
    fn settle_skip(&mut self, seen_until: u64) {
        if self.readable().is_empty() {
            self.next = self.next.max(seen_until.min(self.skip_until));
        }
    }

    fn append(&mut self, bytes: &[u8], mark: Mark) {
        if self.head == self.buffer.len() {
            self.buffer.clear();
            self.head = 0;
            self.next = mark.offset;
            self.more.clear();
            self.first = mark;
        } else {
            if self.head > self.buffer.len() / 2 {
                self.buffer.drain(..self.head);
                self.head = 0;
            }
            self.note(mark);
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Remembers where a chunk begins, unless that says nothing new.
    fn note(&mut self, mark: Mark) {
        let last = self.newest();
        if (last.at, last.tag) == (mark.at, mark.tag) {
            return;
        }
        if self.more.len() >= MAX_MARKS {
            let mut odd = false;
            self.more.retain(|_| {
                odd = !odd;
                !odd
            });
        }
        self.more.push(mark);
    }

    /// Keeps the parts of a chunk (or of a loss) that nothing which waits covers.
    fn insert_early(&mut self, bytes: Option<&[u8]>, length: u64, mark: Mark) -> Pushed {
        if length == 0 {
            return Pushed::Nothing;
        }
        let room = (self.limit as usize).saturating_sub(self.buffered());
        let early = self.early.get_or_insert_default();
        let kept = early.insert(bytes, length, mark, room);
        if early.chunks.is_empty() {
            self.early = None;
        }
        if kept > 0 { Pushed::Early } else { Pushed::Nothing }
    }

    /// Moves waiting chunks that now follow the readable bytes, up to the first that is lost.
    fn absorb_early(&mut self) {
        loop {
            let end = self.end();
            let Some(early) = self.early.as_deref_mut() else { return };
            let Some(chunk) = early.chunks.front() else {
                self.early = None;
                return;
            };
            if chunk.mark.offset > end || (chunk.lost > 0 && chunk.end() > end) {
                return;
            }
            let Some(Chunk { mark, bytes, lost }) = early.pop() else { return };
            let old = usize::try_from(end.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
            if let Some(fresh) = bytes.get(old..).filter(|fresh| !fresh.is_empty()) {
                self.settle_skip(end);
                self.append(fresh, Mark { offset: end, ..mark });
            } else {
                self.settle_skip(mark.offset.saturating_add(bytes.len() as u64).saturating_add(lost));
            }
        }
    }

    /// Counts `n` readable bytes as read.
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.readable().len());
        self.head = self.head.saturating_add(n);
        self.next = self.next.saturating_add(n as u64);
        if self.head == self.buffer.len() {
            self.buffer.clear();
            self.head = 0;
            self.more.clear();
            return;
        }
        let passed = self.more.iter().take_while(|mark| mark.offset <= self.next).count();
        if let Some(last) = passed.checked_sub(1) {
            self.first = self.more.get(last).copied().unwrap_or(self.first);
            self.more.drain(..passed);
        }
    }

    /// Nobody wants the next `n` unread bytes. Those that are here are dropped now, the others when they come; a hole
    /// inside them is no loss.
    pub fn skip(&mut self, n: u64) {
        let here = usize::try_from(n).unwrap_or(usize::MAX).min(self.readable().len());
        self.consume(here);
        let left = n.saturating_sub(here as u64);
        if left > 0 {
            self.skip_until = self.next.saturating_add(left);
            self.absorb_early();
        }
    }

    /// Gives up the hole before the first waiting chunk: unread bytes before it are dropped, what waited becomes
    /// readable. The number of bytes in the hole, or `None` if nothing waits.
    pub fn force_gap(&mut self) -> Option<u64> {
        let first = self.early.as_deref()?.chunks.front()?;
        let until = if first.lost > 0 { first.end() } else { first.mark.offset };
        Some(self.jump_to(until))
    }

    /// As [`Assembler::force_gap`] if the next bytes are known to be lost; else `None`, and nothing has changed.
    pub fn take_loss(&mut self) -> Option<u64> {
        let first = self.early.as_deref()?.chunks.front()?;
        if first.lost == 0 || first.mark.offset > self.end() {
            return None;
        }
        let until = first.end();
        Some(self.jump_to(until))
    }

    /// `length` bytes from `mark.offset` on will never come: they were not captured. If bytes in front of them may
    /// still come the loss waits for its turn, see [`Assembler::take_loss`].
    pub fn lose(&mut self, length: u64, mark: Mark) -> Pushed {
        self.begin(mark.offset);
        let (end, until) = (self.end(), mark.offset.saturating_add(length));
        if until <= end {
            self.settle_skip(until);
            return Pushed::Nothing;
        }
        let from = mark.offset.max(end);
        if CHUNK_COST > (self.limit as usize).saturating_sub(self.buffered()) {
            return Pushed::Full;
        }
        self.insert_early(None, until.saturating_sub(from), Mark { offset: from, ..mark })
    }

    /// The bytes in front of `offset` will never come, and those that are unread are dropped. The number of bytes
    /// that are missing, 0 if nothing that is wanted is.
    pub fn lose_until(&mut self, offset: u64) -> u64 {
        self.begin(offset);
        if offset <= self.end() {
            self.settle_skip(offset);
            return 0;
        }
        self.jump_to(offset)
    }

    /// Drops what is unread; the stream goes on at `offset`, or at its end if that is later. The number of bytes
    /// between, which are missing.
    pub fn drop_until(&mut self, offset: u64) -> u64 {
        self.begin(offset);
        let unread = self.readable().len();
        self.consume(unread);
        self.lose_until(offset)
    }

    fn jump_to(&mut self, offset: u64) -> u64 {
        let lost = offset.saturating_sub(self.end());
        let unread = self.readable().len();
        self.consume(unread);
        self.next = offset;
        self.skip_until = self.skip_until.min(offset);
        if let Some(early) = self.early.as_deref_mut() {
            early.drop_before(offset);
        }
        self.absorb_early();
        lost
    }

    /// Drops everything that is unread and waits; the next chunk begins the stream anew, but for what it has of bytes
    /// that were readable before: these are dropped on arrival. For a stream whose protocol is not known yet.
    pub fn reset(&mut self) {
        let next = self.next.saturating_add(self.readable().len() as u64);
        *self = Self { next, ..Self::new(self.limit as usize) };
    }

    /// After a [`reset`](Self::reset): the stream begins at `offset`, whether what is there was read before or not.
    pub(crate) fn begin_again(&mut self, offset: u64) {
        if !self.begun {
            self.begun = true;
            self.next = offset;
        }
    }

    /// The mark of the chunk that the unread byte at `offset` came in.
    #[must_use]
    pub fn mark_at(&self, offset: u64) -> Mark {
        self.more.iter().rev().find(|mark| mark.offset <= offset).copied().unwrap_or(self.first)
    }

    /// The mark of the newest byte that is readable.
    #[must_use]
    pub fn newest(&self) -> Mark {
        self.more.last().copied().unwrap_or(self.first)
    }

    /// Gives back heap memory that is not in use.
    pub fn shrink(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        if self.more.is_empty() {
            self.more = Vec::new();
        }
    }
}

impl Early {
    /// Keeps the parts that no waiting chunk has, as long as they fit into `room`. How many there were.
    fn insert(&mut self, bytes: Option<&[u8]>, length: u64, mark: Mark, mut room: usize) -> usize {
        let mut kept = 0_usize;
        let mut at = mark.offset;
        let end = mark.offset.saturating_add(length);
        let mut index = self.chunks.partition_point(|chunk| chunk.end() <= at);
        while at < end {
            let (held_from, held_end) =
                self.chunks.get(index).map_or((u64::MAX, u64::MAX), |chunk| (chunk.mark.offset, chunk.end()));
            let until = end.min(held_from);
            if at < until {
                let from = usize::try_from(at.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
                let to = usize::try_from(until.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
                let part = bytes.map_or(&[][..], |bytes| bytes.get(from..to).unwrap_or_default());
                let cost = part.len().saturating_add(CHUNK_COST);
                if cost > room {
                    return kept;
                }
                let lost = if bytes.is_some() { 0 } else { until.saturating_sub(at) };
                self.chunks.insert(index, Chunk { mark: Mark { offset: at, ..mark }, bytes: part.to_vec(), lost });
                room = room.saturating_sub(cost);
                self.bytes = self.bytes.saturating_add(cost);
                kept = kept.saturating_add(1);
                index = index.saturating_add(1);
            }
            at = until.max(held_end);
            index = index.saturating_add(1);
        }
        kept
    }

    fn pop(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.bytes = self.bytes.saturating_sub(chunk.bytes.len().saturating_add(CHUNK_COST));
        Some(chunk)
    }

    fn drop_before(&mut self, offset: u64) {
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= offset) {
            self.pop();
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the numbers are the tests' own")]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    fn mark(offset: u64) -> Mark {
        Mark::new(offset, Timestamp::from_nanos(offset), Tag::default())
    }

    /// What the byte at an offset is, so that a wrong place shows.
    fn byte(offset: u64) -> u8 {
        (offset.wrapping_mul(0x9e37_79b9) >> 13) as u8
    }

    fn bytes(offset: u64, length: u64) -> Vec<u8> {
        (offset..offset + length).map(byte).collect()
    }

    /// The same, one byte at a time and without a bound.
    #[derive(Default)]
    struct Model {
        next: u64,
        end: u64,
        skip_until: u64,
        /// Whether the byte is lost.
        early: BTreeMap<u64, bool>,
    }

    impl Model {
        fn end(&self) -> u64 {
            self.end.max(self.skip_until)
        }

        fn push(&mut self, offset: u64, length: u64, lost: bool) {
            for at in offset.max(self.end())..offset + length {
                self.early.entry(at).or_insert(lost);
            }
            self.absorb();
        }

        fn absorb(&mut self) {
            let end = self.end();
            self.early = self.early.split_off(&end);
            while self.early.get(&self.end()) == Some(&false) {
                let at = self.end();
                self.early.remove(&at);
                if self.next == self.end {
                    self.next = at;
                }
                self.end = at + 1;
            }
        }

        fn readable(&self) -> Vec<u8> {
            (self.next..self.end).map(byte).collect()
        }

        fn consume(&mut self, n: u64) {
            self.next = (self.next + n).min(self.end);
        }

        /// `position` settles where a stream without unread bytes is: what was skipped counts when it comes.
        fn skip(&mut self, n: u64, position: u64) {
            if self.next == self.end {
                self.next = position;
                self.end = position;
            }
            let here = n.min(self.end - self.next);
            let until = self.next + n;
            self.consume(here);
            if here < n {
                self.skip_until = until;
                self.absorb();
            }
        }

        fn jump(&mut self, to: u64) {
            self.next = to;
            self.end = to;
            self.skip_until = self.skip_until.min(to);
            self.absorb();
        }

        /// The end of the run of lost bytes that begins at `at`.
        fn loss_end(&self, at: u64) -> u64 {
            (at..).find(|at| self.early.get(at) != Some(&true)).unwrap()
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push(u64, u64),
        Direct(u64, u64, u64),
        Lose(u64, u64),
        Consume(u64),
        Skip(u64),
        ForceGap,
        TakeLoss,
        DropUntil(u64),
        Shrink,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => (0..80_u64, 0..40_u64).prop_map(|(at, length)| Op::Push(at, length)),
            4 => (0..40_u64, 0..40_u64, 0..50_u64).prop_map(|(at, length, n)| Op::Direct(at, length, n)),
            2 => (0..80_u64, 0..40_u64).prop_map(|(at, length)| Op::Lose(at, length)),
            4 => (0..60_u64).prop_map(Op::Consume),
            1 => (0..60_u64).prop_map(Op::Skip),
            1 => Just(Op::ForceGap),
            2 => Just(Op::TakeLoss),
            1 => (0..30_u64).prop_map(Op::DropUntil),
            1 => Just(Op::Shrink),
        ]
    }

    /// Plays operations near the end of the stream on both, and compares what can be read.
    fn play(ops: &[Op]) {
        let mut stream = Assembler::new(64 * 1024);
        stream.begin(0);
        let mut model = Model::default();
        for op in ops {
            let base = model.end().saturating_sub(20);
            match *op {
                Op::Push(at, length) => {
                    stream.push(&bytes(base + at, length), mark(base + at));
                    model.push(base + at, length, false);
                }
                Op::Direct(at, length, n) => {
                    let chunk = bytes(base + at, length);
                    let rest = match stream.direct(&chunk, mark(base + at)) {
                        Some((fresh, from)) => {
                            assert_eq!(fresh, bytes(from.offset, fresh.len() as u64));
                            let n = (n as usize).min(fresh.len());
                            stream.advance(n);
                            model.push(base + at, length, false);
                            model.consume(n as u64);
                            Some((fresh[n..].to_vec(), mark(from.offset + n as u64)))
                        }
                        None => {
                            model.push(base + at, length, false);
                            Some((chunk, mark(base + at)))
                        }
                    };
                    if let Some((rest, mark)) = rest {
                        stream.push(&rest, mark);
                    }
                }
                Op::Lose(at, length) => {
                    stream.lose(length, mark(base + at));
                    model.push(base + at, length, true);
                }
                Op::Consume(n) => {
                    stream.consume(n as usize);
                    model.consume(n);
                }
                Op::Skip(n) => {
                    // Only from a settled position: a parser skips what follows what it has read.
                    if stream.skip_until() <= stream.position() {
                        let position = stream.position();
                        stream.skip(n);
                        model.skip(n, position);
                    }
                }
                Op::ForceGap => {
                    if let Some((&at, &lost)) = model.early.iter().next() {
                        assert!(stream.force_gap().is_some());
                        model.jump(if lost { model.loss_end(at) } else { at });
                        while stream.take_loss().is_some() {}
                        while model.early.get(&model.end()) == Some(&true) {
                            model.jump(model.loss_end(model.end()));
                        }
                    } else {
                        assert_eq!(stream.force_gap(), None);
                    }
                }
                Op::TakeLoss => {
                    while stream.take_loss().is_some() {}
                    while model.early.get(&model.end()) == Some(&true) {
                        model.jump(model.loss_end(model.end()));
                    }
                }
                Op::DropUntil(at) => {
                    stream.drop_until(base + at);
                    model.next = model.end;
                    if base + at > model.end() {
                        model.jump(base + at);
                    }
                }
                Op::Shrink => stream.shrink(),
            }
            assert_eq!(stream.readable(), model.readable(), "after {op:?} of {ops:?}");
            assert_eq!(stream.end(), model.end(), "after {op:?} of {ops:?}");
            assert_eq!(stream.waiting_since().is_some(), !model.early.is_empty(), "after {op:?} of {ops:?}");
            if !model.readable().is_empty() {
                assert_eq!(stream.position(), model.next, "after {op:?} of {ops:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
        #[test]
        fn agrees_with_the_naive_model(ops in proptest::collection::vec(op(), 0..60)) {
            play(&ops);
        }

        #[test]
        fn never_holds_more_than_its_limit(
            chunks in proptest::collection::vec((0..4000_u64, 0..900_u64), 0..60),
            limit in 0..2000_usize,
        ) {
            let mut stream = Assembler::new(limit);
            for (offset, length) in chunks {
                while stream.push(&bytes(offset, length), mark(offset)) == Pushed::Full {
                    prop_assert!(stream.buffered() <= limit);
                    if stream.force_gap().is_none() {
                        stream.drop_until(offset + length);
                    }
                }
                prop_assert!(stream.buffered() <= limit, "{} of {limit}", stream.buffered());
            }
        }
    }

    #[test]
    fn a_loss_behind_a_hole_waits_for_its_turn() {
        let mut stream = Assembler::new(4096);
        stream.push(b"ab", mark(0));
        assert_eq!(stream.lose(5, mark(4)), Pushed::Early);
        stream.push(b"xyz", mark(9));
        assert_eq!(stream.take_loss(), None);
        stream.push(b"cd", mark(2));
        assert_eq!(stream.readable(), b"abcd");
        stream.consume(3);
        assert_eq!(stream.take_loss(), Some(5));
        assert_eq!((stream.readable(), stream.position()), (&b"xyz"[..], 9));
        assert_eq!(stream.waiting_since(), None);
    }

    #[test]
    fn what_came_first_stays() {
        let mut stream = Assembler::new(4096);
        stream.push(b"a", mark(0));
        stream.push(b"CD", mark(2));
        stream.push(b"bcde", mark(1));
        assert_eq!(stream.readable(), b"abCDe");
    }

    #[test]
    fn marks_are_bounded_and_keep_the_newest() {
        let mut stream = Assembler::new(64 * 1024);
        for offset in 0..10_000 {
            stream.push(b"x", mark(offset));
        }
        assert!(stream.memory() < 64 * 1024, "{}", stream.memory());
        assert_eq!(stream.newest().offset, 9_999);
        assert_eq!(stream.mark_at(0).offset, 0);
        assert!(stream.mark_at(5_000).offset <= 5_000);
    }

    #[test]
    fn ten_thousand_single_bytes_in_reverse_stay_within_the_bound() {
        let mut stream = Assembler::new(64 * 1024);
        stream.begin(0);
        let mut full = 0;
        for offset in (1..10_000_u64).rev() {
            full += u32::from(stream.push(&bytes(offset, 1), mark(offset)) == Pushed::Full);
            assert!(stream.buffered() <= 64 * 1024);
        }
        assert!(full > 9_000, "{full}");
    }
}
