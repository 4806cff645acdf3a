//! The frame the agent's data path runs in: up to three *agents* (application, network, logs), each a graph of nodes
//! joined by bounded queues.
//!
//! An agent is given as an *instancer*, a function that opens what the agent needs and lays out its [`Graph`]. When
//! all of them have succeeded, and not before, the *runners* start: one thread a node. If one instancer fails nothing
//! runs, and what the others had opened is closed again.
//!
//! Nodes end from the front: a source ends when it is told to [`Stop`] or has nothing more to give, its wire closes
//! with its last output, the next node receives what is left and ends, and so on to the sinks, which flush. A
//! consumer that does not take what it is sent is reported with the names of both nodes ([`Stuck`]).
//!
//! [`read_batches`] is the front of the application agent: the thread that empties the kernel's ring buffer.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

mod batch;
mod graph;
mod queue;
mod runner;
mod status;
mod stop;
mod wire;

pub use batch::{Batch, BatchPool, PooledBatch, Source, read_batches};
pub use graph::{BoxError, Graph};
pub use runner::Failure;
pub use status::{QueueStatus, Stopped, Stuck};
pub use stop::Stop;
pub use wire::{Closed, Input, Item, Output, Received, Wire};

use runner::{Ledger, Runner};
use wire::{AnyWire, Report};

/// Sizes and times of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Most values that wait before a node, unless the node says otherwise. 16.
    pub queue_length: usize,
    /// How long a send may wait before it is reported. 10 s.
    pub send_timeout: Duration,
    /// How long stopping may take, from the first node to the last flush. 5 s.
    pub shutdown_timeout: Duration,
    /// Records in a batch from the ring buffer. 1,024.
    pub batch_length: usize,
    /// How long a batch that is not full waits for more while the parser is busy. 1 s.
    pub batch_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_length: 16,
            send_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(5),
            batch_length: 1024,
            batch_timeout: Duration::from_secs(1),
        }
    }
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Settings::queue_length`], at least 1.
    #[must_use]
    pub const fn with_queue_length(mut self, values: usize) -> Self {
        self.queue_length = if values == 0 { 1 } else { values };
        self
    }

    /// Sets [`Settings::send_timeout`].
    #[must_use]
    pub const fn with_send_timeout(mut self, time: Duration) -> Self {
        self.send_timeout = time;
        self
    }

    /// Sets [`Settings::shutdown_timeout`].
    #[must_use]
    pub const fn with_shutdown_timeout(mut self, time: Duration) -> Self {
        self.shutdown_timeout = time;
        self
    }

    /// Sets [`Settings::batch_length`], at least 1.
    #[must_use]
    pub const fn with_batch_length(mut self, records: usize) -> Self {
        self.batch_length = if records == 0 { 1 } else { records };
        self
    }

    /// Sets [`Settings::batch_timeout`].
    #[must_use]
    pub const fn with_batch_timeout(mut self, time: Duration) -> Self {
        self.batch_timeout = time;
        self
    }
}

type Instancer = Box<dyn FnOnce(&mut Graph) -> Result<(), BoxError>>;

/// A pipeline that is not running yet.
pub struct Pipeline {
    settings: Settings,
    report: Report,
    application: Option<Instancer>,
    network: Option<Instancer>,
    logs: Option<Instancer>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Why a pipeline did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An agent's instancer failed.
    #[error("the {agent} agent could not start, so none was started: {source}")]
    Agent {
        /// Which one.
        agent: &'static str,
        /// What it said.
        source: BoxError,
    },
    /// The system gave no thread to a node.
    #[error("no thread for node {agent}/{node}: {source}; check the limit on processes (ulimit -u, pids.max)")]
    Thread {
        /// The agent.
        agent: &'static str,
        /// The node.
        node: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Pipeline {
    /// A pipeline without agents.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let report: Report = Arc::new(|stuck| tracing::error!("{stuck}"));
        Self { settings, report, application: None, network: None, logs: None }
    }

    /// Sets the application agent: requests and queries of the observed processes.
    #[must_use]
    pub fn with_application(mut self, instancer: impl FnOnce(&mut Graph) -> Result<(), BoxError> + 'static) -> Self {
        self.application = Some(Box::new(instancer));
        self
    }

    /// Sets the network agent: flows between addresses.
    #[must_use]
    pub fn with_network(mut self, instancer: impl FnOnce(&mut Graph) -> Result<(), BoxError> + 'static) -> Self {
        self.network = Some(Box::new(instancer));
        self
    }

    /// Sets the logs agent: what the observed processes write.
    #[must_use]
    pub fn with_logs(mut self, instancer: impl FnOnce(&mut Graph) -> Result<(), BoxError> + 'static) -> Self {
        self.logs = Some(Box::new(instancer));
        self
    }

    /// Sets what is done with reports of a stuck node, instead of an error in the log.
    #[must_use]
    pub fn with_report(mut self, report: impl Fn(&Stuck) + Send + Sync + 'static) -> Self {
        self.report = Arc::new(report);
        self
    }

    /// Runs the instancers, then starts all nodes together.
    ///
    /// # Errors
    ///
    /// [`StartError`]; what had been opened until then is closed again.
    pub fn start(self) -> Result<Running, StartError> {
        let agents = [("application", self.application), ("network", self.network), ("logs", self.logs)];
        let mut graphs = Vec::new();
        for (agent, instancer) in agents {
            let Some(instancer) = instancer else { continue };
            let mut graph = Graph::new(agent, self.settings, Arc::clone(&self.report));
            instancer(&mut graph).map_err(|source| StartError::Agent { agent, source })?;
            graphs.push(graph);
        }
        let ledger = Arc::new(Ledger::new(graphs.iter().map(|graph| graph.stop.clone()).collect()));
        let mut wires = Vec::new();
        let mut runners = Vec::new();
        for graph in graphs {
            graph.wires.iter().for_each(|wire| wire.freeze());
            wires.push(graph.wires);
            runners.push(Runner::prepare(graph.agent, graph.nodes, graph.stop, &ledger)?);
        }
        ledger.open_gate();
        Ok(Running { handle: Handle { wires: wires.into(), ledger }, runners, settings: self.settings })
    }
}

/// A pipeline whose nodes run. Dropping it tells them to stop, and does not wait for it.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    runners: Vec<Runner>,
    settings: Settings,
}

impl Running {
    /// A way to look at the pipeline and to ask it to stop, for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Sleeps until there is a reason to [`stop`](Running::stop): [`Handle::request_stop`] was called, a node failed,
    /// or all nodes have ended.
    pub fn wait(&self) {
        self.handle.ledger.wait_for_end(None);
    }

    /// As [`Running::wait`], but sleeps at most this long. Whether there is a reason to stop.
    #[must_use]
    pub fn wait_within(&self, at_most: Duration) -> bool {
        self.handle.ledger.wait_for_end(Some(at_most))
    }

    /// Stops the agents in their order: sources first, then whatever is on its way is worked off, then the sinks
    /// flush. What the deadline ([`Settings::shutdown_timeout`]) cuts off is counted.
    ///
    /// # Errors
    ///
    /// [`Failure`] if a node had failed; the others were stopped all the same.
    pub fn stop(mut self) -> Result<Stopped, Failure> {
        let deadline = Instant::now() + self.settings.shutdown_timeout;
        let mut stopped = Stopped::default();
        for (runner, wires) in self.runners.iter_mut().zip(self.handle.wires.iter()) {
            runner.stop(deadline, wires, &mut stopped);
        }
        self.handle.ledger.failure().map_or(Ok(stopped), Err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.ledger.stop_all();
    }
}

/// Looks at a running pipeline and asks it to stop. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    wires: Arc<[Vec<Box<dyn AnyWire>>]>,
    ledger: Arc<Ledger>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("queues", &self.queues()).finish_non_exhaustive()
    }
}

impl Handle {
    /// Ends [`Running::wait`].
    pub fn request_stop(&self) {
        self.ledger.request_stop();
    }

    /// All queues, in the order they were made.
    #[must_use]
    pub fn queues(&self) -> Vec<QueueStatus> {
        let mut queues = Vec::new();
        self.wires.iter().flatten().for_each(|wire| wire.status(&mut queues));
        queues
    }

    /// Nodes that have not ended, as `agent/node`.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        self.ledger.running(None)
    }
}
