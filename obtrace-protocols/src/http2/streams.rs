//! The streams of a connection: open ones by number, finished ones in the order in which they ended.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use core::ops::RangeInclusive;

use super::{
    observing::cut,
    stream::{Grpc, Place, Stream},
};
use crate::{Exchange, Role, alike::Alike, payload::Observers};

/// Most streams kept for use again.
const MAX_SPARE: usize = 32;
/// Larger texts are not kept for that.
const MAX_SPARE_TEXTS: usize = 2048;
/// Most finished ones whose places are kept when all were handed out.
const MAX_KEPT: usize = 256;

/// Open streams, the lowest number first.
#[derive(Debug, Default)]
pub(super) struct Open(VecDeque<(u32, Box<Stream>)>);

impl Open {
    /// Where a stream is, or belongs.
    #[inline]
    fn place(&self, id: u32) -> Result<usize, usize> {
        let Some((newest, _)) = self.0.back() else { return Err(0) };
        let last = self.0.len().saturating_sub(1);
        // As most do: it comes next, or is the newest.
        if *newest < id {
            return Err(self.0.len());
        }
        if *newest == id { Ok(last) } else { self.0.binary_search_by_key(&id, |(id, _)| *id) }
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Stream> {
        let place = self.place(id).ok()?;
        self.0.get_mut(place).map(|(_, stream)| &mut **stream)
    }

    pub(super) fn iter(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.0.iter_mut().map(|(_, stream)| &mut **stream)
    }
}

/// What streams need and leave behind.
#[derive(Debug, Default)]
struct Pool {
    #[expect(clippy::vec_box, reason = "streams move between the lists without being copied")]
    spare: Vec<Box<Stream>>,
    /// Heap bytes of all texts.
    texts: usize,
    observers: Observers,
}

impl Pool {
    /// Nobody needs it any more.
    fn take_back(&mut self, mut stream: Box<Stream>) {
        if let Some(observer) = stream.observer.take() {
            self.observers.give_back(observer);
        }
        if self.spare.len() < MAX_SPARE && stream.texts() <= MAX_SPARE_TEXTS {
            stream.clear();
            self.spare.push(stream);
        } else {
            self.texts = self.texts.saturating_sub(stream.texts());
        }
    }
}

/// The streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: Open,
    /// Those that were given up or reset come by the thousand in one chunk.
    finished: Alike<Box<Stream>, Place>,
    pool: Pool,
    kinds: Kinds,
}

/// What was spoken on the connection as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    grpc: bool,
    other: bool,
}

impl Kinds {
    /// Of a stream whose content type stands in a part of the table that was not seen, the bodies tell whether it is a
    /// call of gRPC, else what all others of the connection are.
    fn settle(&mut self, stream: &mut Stream) {
        let is_payload = stream.payload().is_some();
        if stream.grpc == Grpc::Maybe && !is_payload && (stream.is_framed() || (self.grpc && !self.other)) {
            stream.grpc = Grpc::Yes;
        }
        self.grpc |= stream.grpc == Grpc::Yes;
        self.other |= stream.grpc == Grpc::No;
    }
}

impl Streams {
    pub(super) fn open(&self) -> usize {
        self.open.0.len()
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Stream> {
        self.open.get(id)
    }

    /// The open ones, and those who look at their bodies.
    pub(super) const fn parts(&mut self) -> (&mut Open, &mut Observers) {
        (&mut self.open, &mut self.pool.observers)
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.open.place(id).is_ok()
    }

    /// A stream begins. `None` if there is one of that number.
    pub(super) fn begin(&mut self, id: u32) -> Option<&mut Stream> {
        let Err(place) = self.open.place(id) else { return None };
        let mut stream = self.pool.spare.pop().unwrap_or_default();
        stream.id = id;
        self.open.0.insert(place, (id, stream));
        self.open.0.get_mut(place).map(|(_, stream)| &mut **stream)
    }

    /// The texts of some stream or of what is being read have grown.
    pub(super) const fn grew(&mut self, before: usize, after: usize) {
        self.pool.texts = self.pool.texts.saturating_add(after.saturating_sub(before));
    }

    /// It is over: it will be polled as it is.
    pub(super) fn finish(&mut self, id: u32) {
        let Ok(place) = self.open.place(id) else { return };
        if let Some((_, stream)) = self.open.0.remove(place) {
            self.put(stream);
        }
    }

    fn put(&mut self, mut stream: Box<Stream>) {
        stream.settle_reset();
        cut(&mut self.pool.observers, &mut stream);
        self.kinds.settle(&mut stream);
        if let Some(stream) = self.finished.put(stream.place(), stream, |known, stream| known.is_like(stream)) {
            self.pool.take_back(stream);
        }
    }

    /// Ends the open one with the lowest number as it is. Whether there was one.
    pub(super) fn give_up_oldest(&mut self) -> bool {
        let Some((_, mut stream)) = self.open.0.pop_front() else { return false };
        stream.truncated = true;
        self.put(stream);
        true
    }

    /// The open ones, the oldest first.
    pub(super) fn iter(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.open.iter()
    }

    /// Ends those that `over` says are.
    pub(super) fn finish_where(&mut self, mut over: impl FnMut(&mut Stream) -> bool) {
        for _ in 0..self.open.0.len() {
            let Some((id, mut stream)) = self.open.0.pop_front() else { return };
            if over(&mut stream) {
                self.put(stream);
            } else {
                self.open.0.push_back((id, stream));
            }
        }
    }

    /// The same of those with numbers in a range: only they are looked at.
    pub(super) fn finish_among(&mut self, numbers: RangeInclusive<u32>, mut over: impl FnMut(&mut Stream) -> bool) {
        let mut place = self.open.0.partition_point(|(id, _)| id < numbers.start());
        while let Some((id, stream)) = self.open.0.get_mut(place)
            && numbers.contains(id)
        {
            if !over(stream) {
                place = place.saturating_add(1);
            } else if let Some((_, stream)) = self.open.0.remove(place) {
                self.put(stream);
            }
        }
    }

    /// Ends all, whatever there is of them.
    pub(super) fn finish_all(&mut self) {
        self.finish_where(|_| true);
    }

    pub(super) fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    pub(super) fn poll(&mut self, role: Role) -> Option<Exchange<'_>> {
        let Self { finished, pool, .. } = self;
        if let Some(observer) = finished.taken().and_then(|stream| stream.observer.take()) {
            pool.observers.give_back(observer);
        }
        finished.forget(MAX_KEPT, |stream| pool.take_back(stream));
        let (place, stream) = finished.pop(|stream| pool.take_back(stream))?;
        stream.move_to(place);
        Some(stream.exchange(role))
    }

    pub(super) fn memory(&self) -> usize {
        let count = self.open().saturating_add(self.finished.kinds()).saturating_add(self.pool.spare.len());
        let open = self.open.0.capacity().saturating_mul(size_of::<(u32, Box<Stream>)>());
        let spare = self.pool.spare.capacity().saturating_mul(size_of::<Box<Stream>>());
        count
            .saturating_mul(size_of::<Stream>())
            .saturating_add(open)
            .saturating_add(spare)
            .saturating_add(self.finished.memory())
            .saturating_add(self.pool.texts)
            .saturating_add(self.pool.observers.memory())
    }

    pub(super) fn shrink(&mut self) {
        let Self { finished, pool, .. } = self;
        finished.forget(0, |stream| pool.take_back(stream));
        finished.shrink();
        for stream in core::mem::take(&mut pool.spare) {
            pool.texts = pool.texts.saturating_sub(stream.texts());
        }
        pool.observers.shrink();
        self.open.0.shrink_to_fit();
    }
}
