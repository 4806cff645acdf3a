//! Nodes and the wires between them, as an agent lays them out before anything runs.

use std::{error::Error, fmt};

use super::{
    Settings, Stop,
    wire::{AnyWire, Input, Output, Report, Wire},
};

/// What made a node or an instancer fail.
pub type BoxError = Box<dyn Error + Send + Sync>;

pub(super) type Run = Box<dyn FnOnce() -> Result<(), BoxError> + Send>;

pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) run: Run,
}

/// The nodes of one agent and how they are joined: filled by the agent's instancer, run by its runner.
///
/// ```
/// use obtrace_agent::pipeline::{Pipeline, Settings};
/// let (result, results) = std::sync::mpsc::channel();
/// let pipeline = Pipeline::new(Settings::new()).with_application(move |graph| {
///     let numbers = graph.wire("numbers");
///     let output = numbers.output("source");
///     graph.node("source", move || (1..=3_u64).try_for_each(|n| output.send(n)).map_err(Into::into));
///     let input = numbers.input("sum", 8);
///     graph.node("sum", move || Ok(result.send(input.map(|n| *n).sum::<u64>())?));
///     Ok(())
/// });
/// let running = pipeline.start().unwrap();
/// running.wait();
/// running.stop().unwrap();
/// assert_eq!(results.recv(), Ok(6));
/// ```
pub struct Graph {
    pub(super) agent: &'static str,
    pub(super) nodes: Vec<Node>,
    pub(super) wires: Vec<Box<dyn AnyWire>>,
    pub(super) stop: Stop,
    settings: Settings,
    report: Report,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.nodes.iter().map(|node| node.name).collect::<Vec<_>>();
        f.debug_struct("Graph").field("agent", &self.agent).field("nodes", &nodes).finish_non_exhaustive()
    }
}

impl Graph {
    pub(super) fn new(agent: &'static str, settings: Settings, report: Report) -> Self {
        Self { agent, nodes: Vec::new(), wires: Vec::new(), stop: Stop::new(), settings, report }
    }

    /// The settings of the pipeline.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The flag that tells this agent's sources to end. The nodes behind them need not look at it: they end when
    /// their inputs do, after everything that was sent has been received.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// A new wire. Its name is for people: it stands in reports and in [`QueueStatus`](super::QueueStatus).
    pub fn wire<T: Send + Sync + 'static>(&mut self, name: &'static str) -> Wire<T> {
        let wire = Wire::new(self.agent, name, self.settings.send_timeout, self.report.clone());
        self.wires.push(Box::new(wire.clone()));
        wire
    }

    /// Adds a node: a function that runs on a thread of its own, from the moment that everything is laid out until it
    /// returns. An error or a panic in it ends the whole pipeline.
    pub fn node(&mut self, name: &'static str, run: impl FnOnce() -> Result<(), BoxError> + Send + 'static) {
        self.nodes.push(Node { name, run: Box::new(run) });
    }

    /// Adds a node that receives from `wire` and sends on a new wire of the same values, which is returned. `None`:
    /// the node is switched off, and `wire` itself is returned.
    pub fn stage<T, F>(&mut self, name: &'static str, wire: Wire<T>, stage: Option<F>) -> Wire<T>
    where
        T: Send + Sync + 'static,
        F: FnOnce(Input<T>, Output<T>) -> Result<(), BoxError> + Send + 'static,
    {
        let Some(stage) = stage else { return wire };
        let after = self.wire(name);
        let (input, output) = (wire.input(name, self.settings.queue_length), after.output(name));
        self.node(name, move || stage(input, output));
        after
    }
}
