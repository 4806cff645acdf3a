//! One direction of a byte stream.

use alloc::{boxed::Box, vec::Vec};

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
/// Memory rule: contiguous unread bytes and waiting chunks together never exceed the limit given to
/// [`Assembler::new`].
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

/// Chunks behind a hole, ordered by offset, not overlapping, with the holes between them that are known for good.
#[derive(Clone, Debug, Default)]
struct Early {
    chunks: Vec<(Mark, Vec<u8>)>,
    bytes: usize,
    since: Timestamp,
}

/// Bookkeeping of a waiting chunk, counted against the limit so that many empty or tiny ones cannot pile up.
const CHUNK_COST: usize = 64;

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
            self.next = offset;
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

    /// When the oldest hole was noticed, if there is one.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Timestamp> {
        self.early.as_deref().map(|early| early.since)
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
            return self.push_early(bytes, mark);
        }
        let old = usize::try_from(end.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
        let Some(fresh) = bytes.get(old..).filter(|fresh| !fresh.is_empty()) else {
            self.settle_skip(mark.offset.saturating_add(bytes.len() as u64));
            return Pushed::Nothing;
        };
        self.settle_skip(end);
        let room = (self.limit as usize).saturating_sub(self.readable().len());
        if fresh.len() > room {
            return Pushed::Full;
        }
        self.append(fresh, Mark { offset: end, ..mark });
        self.absorb_early();
        Pushed::Ready
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
            self.more.push(mark);
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn push_early(&mut self, bytes: &[u8], mark: Mark) -> Pushed {
        let room = (self.limit as usize).saturating_sub(self.buffered());
        let cost = bytes.len().saturating_add(CHUNK_COST);
        if bytes.is_empty() {
            return Pushed::Nothing;
        }
        if cost > room {
            return Pushed::Full;
        }
        let early = self.early.get_or_insert_with(|| Box::new(Early { since: mark.at, ..Early::default() }));
        if early.insert(bytes, mark) { Pushed::Early } else { Pushed::Nothing }
    }

    /// Moves waiting chunks that now follow the readable bytes.
    fn absorb_early(&mut self) {
        while let Some(early) = self.early.as_deref_mut() {
            let end = self.next.saturating_add(self.buffer.len().saturating_sub(self.head) as u64).max(self.skip_until);
            let Some((mark, _)) = early.chunks.first() else {
                self.early = None;
                return;
            };
            if mark.offset > end {
                return;
            }
            let (mark, bytes) = early.chunks.remove(0);
            early.bytes = early.bytes.saturating_sub(bytes.len().saturating_add(CHUNK_COST));
            let old = usize::try_from(end.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
            if let Some(fresh) = bytes.get(old..).filter(|fresh| !fresh.is_empty()) {
                self.append(fresh, Mark { offset: end, ..mark });
            } else {
                self.settle_skip(mark.offset.saturating_add(bytes.len() as u64));
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
        let first = self.early.as_deref()?.chunks.first()?.0.offset;
        Some(self.jump_to(first))
    }

    /// The bytes in front of `offset` will never come (they were not captured). As [`Assembler::force_gap`] when this
    /// leaves a hole; the number of bytes in it, 0 if nothing that is wanted is missing.
    pub fn lose_until(&mut self, offset: u64) -> u64 {
        self.begin(offset);
        if offset <= self.end() {
            self.settle_skip(offset);
            return 0;
        }
        self.jump_to(offset)
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

    /// Drops everything that is unread and waits; the next chunk begins the stream anew. For a stream whose protocol
    /// is not known yet.
    pub fn reset(&mut self) {
        *self = Self { begun: false, ..Self::new(self.limit as usize) };
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
    /// Keeps the parts of a chunk that no waiting chunk has. Whether there were any.
    fn insert(&mut self, bytes: &[u8], mark: Mark) -> bool {
        let mut kept = false;
        let mut at = mark.offset;
        let end = mark.offset.saturating_add(bytes.len() as u64);
        let mut index = self.chunks.partition_point(|(chunk, held)| chunk_end(chunk, held) <= at);
        while at < end {
            let (hold_from, hold_end) = match self.chunks.get(index) {
                Some((chunk, held)) => (chunk.offset, chunk_end(chunk, held)),
                None => (u64::MAX, u64::MAX),
            };
            let until = end.min(hold_from);
            if at < until {
                let from = usize::try_from(at.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
                let to = usize::try_from(until.saturating_sub(mark.offset)).unwrap_or(usize::MAX);
                let part = bytes.get(from..to).unwrap_or_default();
                self.chunks.insert(index, (Mark { offset: at, ..mark }, part.to_vec()));
                self.bytes = self.bytes.saturating_add(part.len()).saturating_add(CHUNK_COST);
                kept = true;
                index = index.saturating_add(1);
            }
            at = until.max(hold_end.min(end));
            index = index.saturating_add(1);
        }
        kept
    }

    fn drop_before(&mut self, offset: u64) {
        while let Some((mark, bytes)) = self.chunks.first() {
            if chunk_end(mark, bytes) > offset {
                break;
            }
            let (_, bytes) = self.chunks.remove(0);
            self.bytes = self.bytes.saturating_sub(bytes.len().saturating_add(CHUNK_COST));
        }
    }
}

fn chunk_end(mark: &Mark, bytes: &[u8]) -> u64 {
    mark.offset.saturating_add(bytes.len() as u64)
}
