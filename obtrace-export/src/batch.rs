//! When telemetry leaves: a bounded queue that hands out batches. Sans-IO: time is an argument.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// That long after; for a time that the clock cannot have, in thirty years.
pub(crate) fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 86_400))
}

/// When a batch is full, and how much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most items of one batch. 500.
    pub batch_items: usize,
    /// A batch holds at most so many bytes, unless one item alone is larger. 1 MiB.
    pub batch_bytes: usize,
    /// How long the first item of a batch waits for more. 2 s.
    pub delay: Duration,
    /// Most items that wait, over all batches. 8192.
    pub queue_items: usize,
    /// Most bytes that wait, over all batches. 16 MiB.
    pub queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_items: 500,
            batch_bytes: 1024 * 1024,
            delay: Duration::from_secs(2),
            queue_items: 8192,
            queue_bytes: 16 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Limits::batch_items`], at least 1.
    #[must_use]
    pub fn with_batch_items(mut self, items: usize) -> Self {
        self.batch_items = items.max(1);
        self
    }

    /// Sets [`Limits::batch_bytes`].
    #[must_use]
    pub fn with_batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// Sets [`Limits::delay`].
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets [`Limits::queue_items`], at least 1.
    #[must_use]
    pub fn with_queue_items(mut self, items: usize) -> Self {
        self.queue_items = items.max(1);
        self
    }

    /// Sets [`Limits::queue_bytes`].
    #[must_use]
    pub fn with_queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }
}

/// What [`Batcher::push`] did, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pushed {
    /// The item waits behind others; nothing changes.
    Queued,
    /// The item is the first of a batch: [`Batcher::poll_timeout`] may have changed.
    First,
    /// A batch is full: [`Batcher::poll_batch`] has one to give.
    Full,
}

/// Collects items into batches.
///
/// ```
/// use std::time::{Duration, Instant};
/// use obtrace_export::batch::{Batcher, Limits};
///
/// let start = Instant::now();
/// let mut batcher = Batcher::new(Limits::new());
/// batcher.push("span", 4, start).unwrap();
/// assert_eq!(batcher.poll_timeout(), Some(start + Duration::from_secs(2)));
/// assert_eq!(batcher.poll_batch(start), None);
/// assert_eq!(batcher.poll_batch(start + Duration::from_secs(2)), Some(vec!["span"]));
/// ```
#[derive(Debug)]
pub struct Batcher<T> {
    limits: Limits,
    items: VecDeque<T>,
    /// The batches that `items` will make, oldest first. Only the last one still grows.
    batches: VecDeque<Batch>,
    bytes: usize,
    /// The last batch may leave although it is neither full nor due.
    flushing: bool,
}

#[derive(Clone, Copy, Debug)]
struct Batch {
    first_at: Instant,
    items: usize,
    bytes: usize,
}

impl<T> Batcher<T> {
    /// An empty batcher.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, items: VecDeque::new(), batches: VecDeque::new(), bytes: 0, flushing: false }
    }

    /// Adds an item that takes about `bytes` bytes.
    ///
    /// # Errors
    ///
    /// The queue is full; the item comes back.
    pub fn push(&mut self, item: T, bytes: usize, now: Instant) -> Result<Pushed, T> {
        if self.items.len() >= self.limits.queue_items || self.bytes.saturating_add(bytes) > self.limits.queue_bytes {
            return Err(item);
        }
        self.items.push_back(item);
        self.bytes += bytes;
        let limits = self.limits;
        let open = self
            .batches
            .back_mut()
            .filter(|last| last.items < limits.batch_items && last.bytes.saturating_add(bytes) <= limits.batch_bytes);
        let mut pushed = Pushed::Queued;
        if let Some(open) = open {
            open.items += 1;
            open.bytes += bytes;
        } else {
            // The batch before, if there is one, is full now if it was not before.
            pushed = if self.batches.is_empty() { Pushed::First } else { Pushed::Full };
            self.batches.push_back(Batch { first_at: now, items: 1, bytes });
        }
        let full = self.batches.back().is_some_and(|last| last.items >= limits.batch_items);
        Ok(if full { Pushed::Full } else { pushed })
    }

    /// The oldest batch, if it is full, its time has come, or a flush was asked for.
    #[must_use]
    pub fn poll_batch(&mut self, now: Instant) -> Option<Vec<T>> {
        let batch = *self.batches.front()?;
        let full = self.batches.len() > 1 || batch.items >= self.limits.batch_items;
        if !full && !self.flushing && now < after(batch.first_at, self.limits.delay) {
            return None;
        }
        self.batches.pop_front();
        self.bytes -= batch.bytes;
        let taken = self.items.drain(..batch.items).collect();
        if self.items.is_empty() {
            self.flushing = false;
            // After a burst the memory goes back; a batch's worth is kept.
            self.items.shrink_to(self.limits.batch_items);
        }
        Some(taken)
    }

    /// When [`Batcher::poll_batch`] will have a batch without further items; a time in the past means now.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let batch = self.batches.front()?;
        let now = self.flushing || self.batches.len() > 1 || batch.items >= self.limits.batch_items;
        Some(if now { batch.first_at } else { after(batch.first_at, self.limits.delay) })
    }

    /// Lets everything that waits now leave at once.
    pub fn flush(&mut self) {
        self.flushing = !self.items.is_empty();
    }

    /// Items that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes that wait, as they were given to [`Batcher::push`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_batch_leaves_when_it_is_full() {
        let now = Instant::now();
        let mut batcher = Batcher::new(Limits::new());
        assert_eq!(batcher.push(0, 1, now), Ok(Pushed::First));
        for i in 1..499 {
            assert_eq!(batcher.push(i, 1, now), Ok(Pushed::Queued));
            assert_eq!(batcher.poll_batch(now), None);
        }
        assert_eq!(batcher.push(499, 1, now), Ok(Pushed::Full));
        assert_eq!(batcher.push(500, 1, now), Ok(Pushed::Full));
        assert_eq!(batcher.poll_batch(now), Some((0..500).collect()));
        assert_eq!(batcher.poll_batch(now), None);
        assert_eq!((batcher.len(), batcher.bytes()), (1, 1));
    }

    #[test]
    fn the_delay_counts_from_the_first_item_of_each_batch() {
        let start = Instant::now();
        let mut batcher = Batcher::new(Limits::new().with_batch_items(2));
        batcher.push('a', 1, start).unwrap();
        batcher.push('b', 1, start + SECOND).unwrap();
        batcher.push('c', 1, start + SECOND).unwrap();
        assert!(batcher.poll_timeout().unwrap() <= start);
        assert_eq!(batcher.poll_batch(start + SECOND), Some(vec!['a', 'b']));
        assert_eq!(batcher.poll_timeout(), Some(start + 3 * SECOND));
        assert_eq!(batcher.poll_batch(start + 2 * SECOND), None);
        assert_eq!(batcher.poll_batch(start + 3 * SECOND), Some(vec!['c']));
        assert_eq!(batcher.poll_timeout(), None);
    }

    #[test]
    fn bytes_bound_the_batch_and_the_queue() {
        let now = Instant::now();
        let mut batcher = Batcher::new(Limits::new().with_batch_bytes(10).with_queue_bytes(40));
        assert_eq!(batcher.push('a', 6, now), Ok(Pushed::First));
        assert_eq!(batcher.push('b', 4, now), Ok(Pushed::Queued));
        assert_eq!(batcher.push('c', 25, now), Ok(Pushed::Full), "larger than a batch: alone in one");
        assert_eq!(batcher.push('d', 6, now), Err('d'));
        assert_eq!(batcher.push('e', 5, now), Ok(Pushed::Full));
        assert_eq!(batcher.poll_batch(now), Some(vec!['a', 'b']));
        assert_eq!(batcher.poll_batch(now), Some(vec!['c']));
        assert_eq!(batcher.poll_batch(now), None);
    }

    #[test]
    fn a_delay_may_be_for_ever() {
        let now = Instant::now();
        let mut batcher = Batcher::new(Limits::new().with_delay(Duration::MAX));
        batcher.push(1, 1, now).unwrap();
        assert_eq!(batcher.poll_batch(now + 1_000_000 * SECOND), None);
        assert!(batcher.poll_timeout().unwrap() > now + 1_000_000 * SECOND);
        batcher.flush();
        assert_eq!(batcher.poll_batch(now), Some(vec![1]));
    }

    #[test]
    fn a_flush_takes_what_waits_and_nothing_later() {
        let now = Instant::now();
        let mut batcher = Batcher::new(Limits::new());
        batcher.flush();
        batcher.push(1, 1, now).unwrap();
        assert_eq!(batcher.poll_batch(now), None);
        batcher.flush();
        assert!(batcher.poll_timeout().unwrap() <= now);
        assert_eq!(batcher.poll_batch(now), Some(vec![1]));
        batcher.push(2, 1, now).unwrap();
        assert_eq!(batcher.poll_batch(now), None);
    }

    proptest! {
        /// Nothing is lost, doubled or reordered; no bound is crossed; nothing waits longer than the delay.
        #[test]
        fn in_equals_out(operations in prop::collection::vec((0_usize..30, 0_u64..900), 1..300)) {
            let limits = Limits::new()
                .with_batch_items(7).with_batch_bytes(60).with_queue_items(20).with_queue_bytes(200);
            let mut batcher = Batcher::new(limits);
            let mut now = Instant::now();
            let (mut pushed, mut taken, mut refused) = (0_usize, Vec::new(), 0);
            for (bytes, millis) in operations {
                now += Duration::from_millis(millis);
                if millis > 300 {
                    while let Some(batch) = batcher.poll_batch(now) {
                        prop_assert!(batch.len() <= 7);
                        let sum: usize = batch.iter().map(|&(_, bytes, _)| bytes).sum();
                        prop_assert!(sum <= 60 || batch.len() == 1);
                        taken.extend(batch.into_iter().map(|(n, _, _): (usize, usize, Instant)| n));
                    }
                    prop_assert!(batcher.items.iter().all(|&(_, _, at)| now < at + limits.delay));
                    prop_assert!(batcher.poll_timeout().is_none_or(|at| at > now));
                }
                match batcher.push((pushed, bytes, now), bytes, now) {
                    Ok(_) => pushed += 1,
                    Err(_) => refused += 1,
                }
                prop_assert!(batcher.len() <= 20 && batcher.bytes() <= 200);
                prop_assert_eq!(batcher.batches.iter().map(|b| b.items).sum::<usize>(), batcher.len());
            }
            batcher.flush();
            while let Some(batch) = batcher.poll_batch(now) {
                taken.extend(batch.into_iter().map(|(n, _, _)| n));
            }
            prop_assert_eq!(taken, (0..pushed).collect::<Vec<_>>());
            prop_assert!(refused == 0 || pushed > 0);
            prop_assert_eq!(batcher.bytes(), 0);
        }
    }
}
