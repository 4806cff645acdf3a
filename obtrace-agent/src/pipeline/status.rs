//! What a pipeline tells about itself.

use std::time::Duration;

/// One queue: how full it is and what has gone through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStatus {
    /// The agent it belongs to.
    pub agent: &'static str,
    /// The wire it is a queue of.
    pub wire: &'static str,
    /// The node that takes from it.
    pub consumer: &'static str,
    /// Values that wait now.
    pub depth: usize,
    /// Most values that may wait.
    pub capacity: usize,
    /// Values put in so far.
    pub sent: u64,
    /// Values taken out so far.
    pub received: u64,
    /// How often a send waited for longer than the time-out.
    pub stuck: u64,
    /// Values dropped because their consumer had ended or the pipeline was torn down.
    pub dropped: u64,
}

/// A send waits for longer than its time-out: the consumer is too slow or hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "pipeline stuck: node {producer:?} of agent {agent:?} has waited {waited:?} to send on {wire:?} because node \
     {consumer:?} does not take what is there"
)]
#[non_exhaustive]
pub struct Stuck {
    /// The agent both nodes belong to.
    pub agent: &'static str,
    /// The wire between them.
    pub wire: &'static str,
    /// The node that sends.
    pub producer: &'static str,
    /// The node that does not receive.
    pub consumer: &'static str,
    /// How long the send has waited so far.
    pub waited: Duration,
}

/// How a pipeline ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Values that were on their way when the deadline passed, and are lost.
    pub left: u64,
    /// Nodes that had not ended by the deadline, as `agent/node`.
    pub late: Vec<String>,
}
