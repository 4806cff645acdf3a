//! Threads of an agent's nodes, and the ledger of which of them still run.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{StartError, Stop, Stopped, graph::Node, wire::AnyWire};

/// How long nodes may take to notice that their queues were taken away after the deadline.
const GRACE: Duration = Duration::from_millis(100);

/// A node ended the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It panicked: a bug.
    #[error("node {agent}/{node} panicked: {message}; this is a bug, please report it")]
    Panicked {
        /// The agent.
        agent: &'static str,
        /// The node.
        node: &'static str,
        /// The panic's message.
        message: String,
    },
    /// It returned an error.
    #[error("node {agent}/{node} failed: {message}")]
    Failed {
        /// The agent.
        agent: &'static str,
        /// The node.
        node: &'static str,
        /// The error and its sources.
        message: String,
    },
}

/// What all nodes of a pipeline share.
#[derive(Debug)]
pub(super) struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
    stops: Vec<Stop>,
}

#[derive(Debug, Default)]
struct State {
    running: Vec<(&'static str, &'static str)>,
    gate: Gate,
    stop_requested: bool,
    failure: Option<Failure>,
}

/// Nodes wait behind it until all of them have a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Shut,
    Open,
    /// One got no thread: the others end without having run.
    Cancelled,
}

impl Ledger {
    pub(super) fn new(stops: Vec<Stop>) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), stops }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open_gate(&self) {
        self.lock().gate = Gate::Open;
        self.changed.notify_all();
    }

    fn cancel(&self) {
        self.lock().gate = Gate::Cancelled;
        self.changed.notify_all();
    }

    fn pass_gate(&self) -> bool {
        let state = self.lock();
        let shut = |state: &mut State| state.gate == Gate::Shut;
        self.changed.wait_while(state, shut).unwrap_or_else(PoisonError::into_inner).gate == Gate::Open
    }

    pub(super) fn request_stop(&self) {
        self.lock().stop_requested = true;
        self.changed.notify_all();
    }

    pub(super) fn stop_all(&self) {
        self.stops.iter().for_each(Stop::set);
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    pub(super) fn running(&self, agent: Option<&str>) -> Vec<String> {
        let state = self.lock();
        let wanted = state.running.iter().filter(|(of, _)| agent.is_none_or(|agent| agent == *of));
        wanted.map(|(agent, node)| format!("{agent}/{node}")).collect()
    }

    /// Waits until the pipeline has a reason to end; whether it has.
    pub(super) fn wait_for_end(&self, at_most: Option<Duration>) -> bool {
        let going = |state: &State| !state.running.is_empty() && !state.stop_requested && state.failure.is_none();
        self.wait_while(at_most.map(|time| Instant::now() + time), going)
    }

    /// Waits until no node of an agent runs; whether none does.
    fn wait_for_agent(&self, agent: &'static str, until: Instant) -> bool {
        self.wait_while(Some(until), |state| state.running.iter().any(|(of, _)| *of == agent))
    }

    fn wait_while(&self, until: Option<Instant>, goes_on: impl Fn(&State) -> bool) -> bool {
        let mut state = self.lock();
        while goes_on(&state) {
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return false,
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        true
    }

    fn ended(&self, agent: &'static str, node: &'static str, failure: Option<Failure>) {
        let failed = failure.is_some();
        if let Some(failure) = &failure {
            tracing::error!("{failure}");
        }
        let mut state = self.lock();
        if let Some(index) = state.running.iter().position(|entry| *entry == (agent, node)) {
            state.running.swap_remove(index);
        }
        if state.failure.is_none() {
            state.failure = failure;
        }
        drop(state);
        if failed {
            self.stop_all();
        }
        self.changed.notify_all();
    }
}

/// Runs the nodes of one agent.
#[derive(Debug)]
pub(super) struct Runner {
    agent: &'static str,
    stop: Stop,
    ledger: Arc<Ledger>,
    threads: Vec<JoinHandle<()>>,
}

impl Runner {
    /// Makes the threads; they wait for [`Ledger::open_gate`].
    pub(super) fn prepare(
        agent: &'static str,
        nodes: Vec<Node>,
        stop: Stop,
        ledger: &Arc<Ledger>,
    ) -> Result<Self, StartError> {
        let mut runner = Self { agent, stop, ledger: Arc::clone(ledger), threads: Vec::new() };
        for Node { name, run } in nodes {
            let ledger = Arc::clone(ledger);
            ledger.lock().running.push((agent, name));
            let body = move || {
                let result = if ledger.pass_gate() { catch_unwind(AssertUnwindSafe(run)) } else { Ok(Ok(())) };
                let failure = match result {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(Failure::Failed { agent, node: name, message: describe(&*error) }),
                    Err(panic) => Some(Failure::Panicked { agent, node: name, message: message_of(&*panic) }),
                };
                ledger.ended(agent, name, failure);
            };
            match thread::Builder::new().name(name.to_owned()).spawn(body) {
                Ok(thread) => runner.threads.push(thread),
                Err(source) => {
                    runner.ledger.cancel();
                    return Err(StartError::Thread { agent, node: name, source });
                }
            }
        }
        Ok(runner)
    }

    /// Ends the sources, waits for the rest to follow, and takes their queues away at the deadline.
    pub(super) fn stop(&mut self, deadline: Instant, wires: &[Box<dyn AnyWire>], stopped: &mut Stopped) {
        self.stop.set();
        if !self.ledger.wait_for_agent(self.agent, deadline) {
            stopped.left += wires.iter().map(|wire| wire.abandon() as u64).sum::<u64>();
            self.ledger.wait_for_agent(self.agent, Instant::now() + GRACE);
            stopped.late.extend(self.ledger.running(Some(self.agent)));
        }
        // A node that hangs cannot be ended from outside; the process ends without it.
        for thread in self.threads.drain(..).filter(JoinHandle::is_finished) {
            // The body catches panics, so there is nothing to learn from the result.
            let _ = thread.join();
        }
    }
}

/// An error and what caused it, in one line.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
