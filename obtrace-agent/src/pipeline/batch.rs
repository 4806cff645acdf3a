//! The front of the application agent: records of the ring buffer, copied out in batches by a thread of its own so
//! that the kernel finds room however long parsing takes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use super::{BoxError, Output, Settings, Stop};

/// Bytes a batch holds before it counts as full.
const BATCH_BYTES: usize = 1024 * 1024;
/// A buffer that a burst of large records has made bigger than this is not kept.
const KEPT_BYTES: usize = 2 * BATCH_BYTES;
/// After so many uses a buffer that is much bigger than they needed gives back the rest.
const USES: u32 = 512;
/// How long the reader sleeps in one go when there is nothing to read: how soon it notices that it should stop.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// How long it waits for more records while the parser is busy, before it looks again whether it still is.
const BUSY_WAIT: Duration = Duration::from_millis(2);

/// Copies of records, one after the other in memory that is used again.
///
/// ```
/// let mut batch = obtrace_agent::pipeline::Batch::new(2);
/// batch.push(b"first");
/// batch.push(b"2nd");
/// assert!(batch.is_full());
/// assert_eq!(batch.iter().collect::<Vec<_>>(), [&b"first"[..], b"2nd"]);
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each record ends in `bytes`.
    ends: Vec<usize>,
    length: usize,
    /// The most bytes that it held in its last uses, and how many these were.
    most: usize,
    uses: u32,
}

impl Batch {
    /// An empty batch for this many records.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { bytes: Vec::new(), ends: Vec::with_capacity(length), length, most: 0, uses: 0 }
    }

    /// Copies a record in.
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    /// The records, in the order they were pushed.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, &end)| self.bytes.get(start..end))
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether no more should be pushed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ends.len() >= self.length || self.bytes.len() >= BATCH_BYTES
    }

    fn clear(&mut self) {
        self.most = self.most.max(self.bytes.len());
        self.uses += 1;
        self.bytes.clear();
        self.ends.clear();
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes.shrink_to(BATCH_BYTES);
        }
        if self.uses == USES {
            if self.bytes.capacity() > 4 * self.most {
                self.bytes.shrink_to(2 * self.most);
            }
            (self.most, self.uses) = (0, 0);
        }
    }
}

/// Two batches' worth of buffers: one is filled while the other is parsed. Nothing is allocated once both have grown
/// to what they need.
#[derive(Debug)]
pub struct BatchPool {
    free: Receiver<Batch>,
    back: SyncSender<Batch>,
    /// Buffers that are out, shared with those that bring them back.
    out: Arc<AtomicUsize>,
}

/// Buffers in a pool.
const POOLED: usize = 2;

impl BatchPool {
    /// A pool of buffers for batches of this many records each.
    #[must_use]
    pub fn new(batch_length: usize) -> Self {
        let (back, free) = sync_channel(POOLED);
        for _ in 0..POOLED {
            // The channel has room for all of them.
            let _ = back.try_send(Batch::new(batch_length));
        }
        Self { free, back, out: Arc::new(AtomicUsize::new(0)) }
    }

    /// An empty buffer; waits at most this long for one.
    #[must_use]
    pub fn take(&self, at_most: Duration) -> Option<PooledBatch> {
        match self.free.recv_timeout(at_most) {
            Ok(batch) => {
                self.out.fetch_add(1, Ordering::AcqRel);
                Some(PooledBatch { batch: Some(batch), back: self.back.clone(), out: Arc::clone(&self.out) })
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// How many buffers are out.
    #[must_use]
    pub fn out(&self) -> usize {
        self.out.load(Ordering::Acquire)
    }
}

/// A batch whose buffer goes back to its pool when it is dropped.
#[derive(Debug)]
pub struct PooledBatch {
    /// Empty only while it is dropped.
    batch: Option<Batch>,
    back: SyncSender<Batch>,
    out: Arc<AtomicUsize>,
}

impl PooledBatch {
    /// The records.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.batch.iter().flat_map(Batch::iter)
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.as_ref().map_or(0, Batch::len)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for PooledBatch {
    fn drop(&mut self) {
        if let Some(mut batch) = self.batch.take() {
            batch.clear();
            self.out.fetch_sub(1, Ordering::AcqRel);
            // The pool is gone when the reader has ended; the buffer is then freed.
            let _ = self.back.try_send(batch);
        }
    }
}

/// Where records come from: the ring buffer, or a test.
pub trait Source {
    /// Copies the records that are there into `batch` until it is full; waits at most this long for the first.
    ///
    /// # Errors
    ///
    /// What ends the pipeline: the ring buffer cannot be read any more.
    fn read(&mut self, batch: &mut Batch, at_most: Duration) -> Result<(), BoxError>;
}

/// The body of the reading node: reads records into batches and sends them to the parsing node.
///
/// A batch ends when it is full, when [`Settings::batch_timeout`] has passed since its first record, or at once when
/// the parser has nothing to do; so records wait milliseconds when there are few and are handed on in large batches
/// when there are many. When told to stop it reads what the source still has, and ends.
///
/// # Errors
///
/// Those of the source.
pub fn read_batches(
    source: &mut impl Source,
    output: &Output<PooledBatch>,
    settings: &Settings,
    stop: &Stop,
) -> Result<(), BoxError> {
    let pool = BatchPool::new(settings.batch_length);
    loop {
        // Parsing both batches takes longer than this only when it is stuck, which the wire reports.
        let Some(mut pooled) = pool.take(IDLE_WAIT) else { continue };
        let Some(batch) = pooled.batch.as_mut() else { continue };
        let stopping = fill(source, batch, &pool, settings, stop)?;
        let full = batch.is_full();
        if !pooled.is_empty() && output.send(pooled).is_err() {
            return Ok(());
        }
        if stopping && !full {
            return Ok(());
        }
    }
}

/// Fills one batch; whether it is time to stop.
fn fill(
    source: &mut impl Source,
    batch: &mut Batch,
    pool: &BatchPool,
    settings: &Settings,
    stop: &Stop,
) -> Result<bool, BoxError> {
    let mut since = None;
    loop {
        let stopping = stop.is_set();
        let wait = match since {
            _ if stopping => Duration::ZERO,
            None => IDLE_WAIT,
            Some(_) => BUSY_WAIT,
        };
        source.read(batch, wait)?;
        if batch.is_full() || stopping {
            return Ok(stopping);
        }
        if !batch.is_empty() {
            let first = *since.get_or_insert_with(Instant::now);
            // Only this batch is out: the parser has given the other one back.
            if pool.out() <= 1 || first.elapsed() >= settings.batch_timeout {
                return Ok(false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_burst_needed_is_given_back_after_a_while() {
        let mut batch = Batch::new(4096);
        let mut fill = |records: usize| {
            (0..records).for_each(|_| batch.push(&[7; 256]));
            batch.clear();
            batch.bytes.capacity()
        };
        let burst = fill(2000);
        assert!(burst >= 2000 * 256);
        for _ in 1..2 * USES - 1 {
            assert_eq!(fill(10), burst, "it may be needed again");
        }
        let kept = fill(10);
        assert!((10 * 256..=4 * 10 * 256).contains(&kept), "{kept}");
    }
}
