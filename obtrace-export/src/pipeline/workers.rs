//! Several exporters' workers on one thread.

use std::{fmt, future::Future, io, pin::Pin, thread};

use tokio::task::JoinSet;

use super::Worker;
use crate::model::Item;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Workers of any signals that run together, so that a program with traces, metrics and logs needs one thread.
///
/// ```no_run
/// use std::time::Duration;
/// use obtrace_export::{model::{LogRecord, Span}, pipeline::{Config, Exporter, Workers}, transport::Transport};
///
/// # fn run(traces: Transport, logs: Transport) -> std::io::Result<()> {
/// let (spans, spans_worker) = Exporter::<Span>::new(traces, Config::new());
/// let (records, records_worker) = Exporter::<LogRecord>::new(logs, Config::new());
/// let thread = Workers::new().with(spans_worker).with(records_worker).spawn_thread()?;
/// // …
/// spans.shutdown_blocking(Duration::from_secs(5));
/// records.shutdown_blocking(Duration::from_secs(5));
/// thread.join().ok();
/// # Ok(()) }
/// ```
#[derive(Default)]
#[must_use = "nothing is sent unless the workers run"]
pub struct Workers(Vec<Task>);

impl Workers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a worker.
    pub fn with<T: Item>(mut self, worker: Worker<T>) -> Self {
        self.0.push(Box::pin(worker.run()));
        self
    }

    /// Runs all of them until each exporter is shut down; see [`Worker::run`].
    pub async fn run(self) {
        let mut tasks: JoinSet<()> = self.0.into_iter().collect();
        while tasks.join_next().await.is_some() {}
    }

    /// Runs all of them on one thread, named `obtrace-export`.
    ///
    /// # Errors
    ///
    /// The system gave no thread or no IO driver; what was sent so far counts as dropped.
    pub fn spawn_thread(self) -> io::Result<thread::JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("obtrace-export".to_owned()).spawn(move || {
            runtime.block_on(self.run());
            // A name that is being looked up, a disk that does not answer: not waited for.
            runtime.shutdown_background();
        })
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("count", &self.0.len()).finish()
    }
}
