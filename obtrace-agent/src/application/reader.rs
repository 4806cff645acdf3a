//! The front of the pipeline: empties the kernel's ring buffer.

use std::time::{Duration, Instant};

use obtrace_probes::Reader;

use crate::pipeline::{Batch, BoxError, Source};

/// How long an event waits at most while there is traffic.
const BUSY: Duration = Duration::from_millis(10);
/// The same after a time without any: each look costs a little even when there is nothing.
const IDLE: Duration = Duration::from_millis(50);
/// The time without any.
const CALM: Duration = Duration::from_secs(2);

/// The ring buffer as the pipeline reads it.
#[derive(Debug)]
pub(super) struct RingSource {
    reader: Reader,
    last: Instant,
}

impl RingSource {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader, last: Instant::now() }
    }
}

impl Source for RingSource {
    fn read(&mut self, batch: &mut Batch, at_most: Duration) -> Result<(), BoxError> {
        let patience = if self.last.elapsed() < CALM { BUSY } else { IDLE };
        let count = self.reader.poll(at_most.min(patience), |record| batch.push(record))?;
        if count > 0 {
            self.last = Instant::now();
        }
        Ok(())
    }
}
