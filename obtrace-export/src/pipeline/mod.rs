//! From items to requests: an [`Exporter`] takes them without waiting, its [`Worker`] batches, encodes, sends and retries.

mod delivery;
mod disk;
mod in_flight;
mod log;
mod pace;
mod shared;
mod suspects;
mod worker;
mod workers;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::{worker::Worker, workers::Workers};

use self::shared::{Handle, Shared};
use crate::{
    batch::{Limits, after},
    model::{Item, Span},
    retry::Policy,
    spool,
    stats::{DropReason, Stats},
    transport::Transport,
};

/// How an exporter batches, sends and retries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// When a batch leaves and how much may wait.
    pub limits: Limits,
    /// When a failed request is made again.
    pub retry: Policy,
    /// Most requests under way at once. 4.
    pub concurrency: usize,
    /// Most bytes of a request body; a larger one is split. 4 MiB.
    pub max_body: usize,
    /// Where batches wait on disk. Nowhere.
    pub spool: Option<spool::Config>,
}

impl Default for Config {
    fn default() -> Self {
        Self { limits: Limits::new(), retry: Policy::new(), concurrency: 4, max_body: 4 * 1024 * 1024, spool: None }
    }
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Config::limits`].
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`Config::retry`].
    #[must_use]
    pub fn with_retry(mut self, retry: Policy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets [`Config::concurrency`], at least 1.
    #[must_use]
    pub fn with_concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests.max(1);
        self
    }

    /// Sets [`Config::max_body`].
    #[must_use]
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Writes every batch to disk before it is sent, and keeps it there until the receiver has it: what was batched survives
    /// the end of the process, whatever ends it, and a receiver that is away for hours.
    ///
    /// - A batch is tried until it is delivered, refused, or gives way to make room. One that fails for longer than
    ///   [`Policy::give_up_after`] lets others overtake it, and is given up when it goes on to fail while they are delivered:
    ///   it is the batch then, not the receiver. While the receiver fails, a request finds out when it is back, 15 s after
    ///   the last one failed at the latest; when it asks to wait, after that time.
    /// - Bodies go out as they lie there, compressed with gzip, which every OTLP receiver takes, whatever compression is set.
    /// - What is lost when the process is killed: what waited for its batch, [`Limits::delay`] at most. What may arrive
    ///   twice: the batches under way, which is one while requests take less than 20 ms, and up to
    ///   [`Config::concurrency`] else.
    /// - While the spool cannot be used (in use, no permission, the disk full), delivery goes on from memory; it is said
    ///   once, and tried again.
    #[must_use]
    pub fn with_spool(mut self, spool: spool::Config) -> Self {
        self.spool = Some(spool);
        self
    }
}

/// Takes spans, log records or metrics for delivery. Cheap to clone; every clone feeds the same queue. When the last clone
/// is dropped without a shutdown, the worker has five seconds to send what waits.
///
/// ```
/// use std::time::Duration;
/// use obtrace_export::{model::{Signal, Span}, pipeline::{Config, Exporter}, transport::{Http, HttpConfig}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let http = Http::new(HttpConfig::otlp("http://localhost:4318", Signal::Traces)?)?;
/// let (exporter, worker) = Exporter::<Span>::new(http, Config::new());
/// worker.spawn_thread()?;
/// // exporter.try_send(span) wherever spans are made, then:
/// let stats = exporter.shutdown_blocking(Duration::from_secs(5));
/// assert!(stats.is_balanced() && stats.in_flight() == 0);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Exporter<T: Item = Span> {
    handle: Arc<Handle<T>>,
}

impl<T: Item> Clone for Exporter<T> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<T: Item> Exporter<T> {
    /// An exporter and its worker, which must be run for anything to be sent.
    pub fn new(transport: impl Into<Transport>, config: Config) -> (Self, Worker<T>) {
        let shared = Arc::new(Shared::new(transport.into(), config));
        (Self { handle: Arc::new(Handle(Arc::clone(&shared))) }, Worker::new(shared))
    }

    /// Hands an item over; never waits for the receiver.
    ///
    /// # Errors
    ///
    /// The queue is full or the exporter was shut down: the item is gone, and counted under the reason.
    pub fn try_send(&self, item: T) -> Result<(), DropReason> {
        self.handle.0.push(item)
    }

    /// What became of everything handed over so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.0.stats()
    }

    /// Sends what waits without waiting for its batch to fill; gives what became of everything when as many items have found
    /// their end as waited, or `within` this time.
    pub async fn force_flush(&self, within: Duration) -> Stats {
        let until = self.handle.0.flush();
        let _ = tokio::time::timeout(within, self.handle.0.flushed(until)).await;
        self.stats()
    }

    /// [`Exporter::force_flush`] for threads without a runtime. Must not be called on the thread that runs the worker.
    pub fn force_flush_blocking(&self, within: Duration) -> Stats {
        let until = self.handle.0.flush();
        self.handle.0.wait_flushed(until, after(Instant::now(), within));
        self.stats()
    }

    /// Takes no more items, sends what waits, and ends the worker; gives what became of everything. What is not delivered
    /// `within` this time stays in the spool or, without one, is dropped, and is counted. May be called again, by any clone: the earliest deadline holds.
    pub async fn shutdown(&self, within: Duration) -> Stats {
        let deadline = self.handle.0.close(within);
        // The worker ends at the deadline by itself; this is for one that was never run.
        let _ = tokio::time::timeout_at(deadline.into(), self.handle.0.finished()).await;
        self.stats()
    }

    /// [`Exporter::shutdown`] for threads without a runtime. Must not be called on the thread that runs the worker.
    pub fn shutdown_blocking(&self, within: Duration) -> Stats {
        let deadline = self.handle.0.close(within);
        self.handle.0.wait_finished(deadline);
        self.stats()
    }
}
