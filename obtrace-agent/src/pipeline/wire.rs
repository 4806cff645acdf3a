//! Wires: who sends to whom.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    Stuck,
    queue::{Popped, Queue, Refused},
    status::QueueStatus,
};

/// A value on its way. Owned where one node takes it, shared where a wire has several consumers.
#[derive(Debug)]
#[non_exhaustive]
pub enum Item<T> {
    /// The only one.
    Owned(T),
    /// Others have it too.
    Shared(Arc<T>),
}

impl<T: Clone> Item<T> {
    /// The value itself; copied only if another node still has it.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            Self::Owned(value) => value,
            Self::Shared(value) => Arc::unwrap_or_clone(value),
        }
    }
}

impl<T> Deref for Item<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Owned(value) => value,
            Self::Shared(value) => value,
        }
    }
}

/// Called when a send waits for longer than its time-out.
pub(super) type Report = Arc<dyn Fn(&Stuck) + Send + Sync>;

/// Carries values from the nodes that hold an [`Output`] of it to those that hold an [`Input`]. Every input has a
/// bounded queue of its own and gets every value; once all outputs are dropped the inputs end.
///
/// Made by [`Graph::wire`](super::Graph::wire). Clones are the same wire, so that a node that is switched off is left
/// out by handing its input wire on as its output: no queue, no copy.
#[derive(Debug)]
pub struct Wire<T>(Arc<Inner<T>>);

impl<T> Clone for Wire<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<T> {
    agent: &'static str,
    name: &'static str,
    patience: Duration,
    report: Report,
    outputs: AtomicUsize,
    /// Inputs made so far; moved to `consumers` when the pipeline starts, after which nobody waits for this lock.
    subscribing: Mutex<Vec<Consumer<T>>>,
    consumers: OnceLock<Vec<Consumer<T>>>,
}

impl<T> fmt::Debug for Inner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("agent", &self.agent).field("name", &self.name).finish_non_exhaustive()
    }
}

struct Consumer<T> {
    node: &'static str,
    queue: Arc<Queue<Item<T>>>,
}

impl<T: Send + Sync + 'static> Wire<T> {
    pub(super) fn new(agent: &'static str, name: &'static str, patience: Duration, report: Report) -> Self {
        Self(Arc::new(Inner {
            agent,
            name,
            patience,
            report,
            outputs: AtomicUsize::new(0),
            subscribing: Mutex::new(Vec::new()),
            consumers: OnceLock::new(),
        }))
    }

    /// An end to send into, for the node with this name.
    #[must_use]
    pub fn output(&self, node: &'static str) -> Output<T> {
        self.0.outputs.fetch_add(1, Ordering::Relaxed);
        Output { node, wire: Arc::clone(&self.0) }
    }

    /// An end to receive from, for the node with this name; at most `capacity` values wait in it. To be called before
    /// the pipeline starts: an input made later ends at once.
    #[must_use]
    pub fn input(&self, node: &'static str, capacity: usize) -> Input<T> {
        let queue = Arc::new(Queue::new(capacity));
        let mut subscribing = self.0.subscribing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.consumers.get().is_some() {
            queue.close();
        } else {
            subscribing.push(Consumer { node, queue: Arc::clone(&queue) });
        }
        Input { queue }
    }

    /// Whether both are the same wire.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What the pipeline does with a wire, whatever it carries.
pub(super) trait AnyWire: Send + Sync {
    /// No more inputs are made.
    fn freeze(&self);
    /// Drops everything that waits and ends both sides. How many values were dropped.
    fn abandon(&self) -> usize;
    fn status(&self, into: &mut Vec<QueueStatus>);
}

impl<T: Send + Sync + 'static> AnyWire for Wire<T> {
    fn freeze(&self) {
        let mut subscribing = self.0.subscribing.lock().unwrap_or_else(PoisonError::into_inner);
        let consumers = self.0.consumers.get_or_init(|| std::mem::take(&mut *subscribing));
        drop(subscribing);
        if self.0.outputs.load(Ordering::Acquire) == 0 {
            consumers.iter().for_each(|consumer| consumer.queue.close());
        }
    }

    fn abandon(&self) -> usize {
        self.0.consumers().iter().map(|consumer| consumer.queue.abandon()).sum()
    }

    fn status(&self, into: &mut Vec<QueueStatus>) {
        for consumer in self.0.consumers() {
            let counts = consumer.queue.counts();
            into.push(QueueStatus {
                agent: self.0.agent,
                wire: self.0.name,
                consumer: consumer.node,
                depth: consumer.queue.depth(),
                capacity: consumer.queue.capacity,
                sent: counts.sent,
                received: counts.received,
                stuck: counts.stuck,
                dropped: counts.refused,
            });
        }
    }
}

impl<T> Inner<T> {
    fn consumers(&self) -> &[Consumer<T>] {
        self.consumers.get().map_or(&[], Vec::as_slice)
    }
}

/// The sending end of a [`Wire`], held by one node. Dropping the last one of a wire closes it.
#[derive(Debug)]
pub struct Output<T> {
    node: &'static str,
    wire: Arc<Inner<T>>,
}

/// Nobody receives any more: the consumers have ended, or the pipeline is being torn down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody receives on this wire any more")]
#[non_exhaustive]
pub struct Closed;

impl<T> Output<T> {
    /// Gives a value to every consumer; waits while their queues are full. A wait longer than the wire's time-out is
    /// reported with the names of both nodes, again each time it has passed, and goes on.
    ///
    /// # Errors
    ///
    /// [`Closed`] if no consumer is left to take it; the value is counted as dropped.
    pub fn send(&self, value: T) -> Result<(), Closed> {
        match self.wire.consumers() {
            [] => Err(Closed),
            [only] => self.give(only, Item::Owned(value)),
            several => {
                let value = Arc::new(value);
                let mut taken = Err(Closed);
                for consumer in several {
                    taken = self.give(consumer, Item::Shared(Arc::clone(&value))).or(taken);
                }
                taken
            }
        }
    }

    fn give(&self, consumer: &Consumer<T>, mut item: Item<T>) -> Result<(), Closed> {
        let mut times = 0_u32;
        loop {
            match consumer.queue.push(item, self.wire.patience) {
                Ok(()) => return Ok(()),
                Err(Refused::Abandoned) => return Err(Closed),
                Err(Refused::Full(back)) => {
                    times = times.saturating_add(1);
                    (self.wire.report)(&Stuck {
                        agent: self.wire.agent,
                        wire: self.wire.name,
                        producer: self.node,
                        consumer: consumer.node,
                        waited: self.wire.patience.saturating_mul(times),
                    });
                    item = back;
                }
            }
        }
    }
}

impl<T> Clone for Output<T> {
    fn clone(&self) -> Self {
        self.wire.outputs.fetch_add(1, Ordering::Relaxed);
        Self { node: self.node, wire: Arc::clone(&self.wire) }
    }
}

impl<T> Drop for Output<T> {
    fn drop(&mut self) {
        if self.wire.outputs.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wire.consumers().iter().for_each(|consumer| consumer.queue.close());
        }
    }
}

/// The receiving end of a [`Wire`], held by one node. An iterator that ends when the wire is closed and everything
/// that was sent has been received.
#[derive(Debug)]
pub struct Input<T> {
    queue: Arc<Queue<Item<T>>>,
}

/// Answer of [`Input::receive_within`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Received<T> {
    /// A value.
    Item(Item<T>),
    /// None came in time.
    Nothing,
    /// None will come any more.
    Closed,
}

impl<T> Input<T> {
    /// The next value; waits at most this long for it. For nodes that also have something to do when nothing comes,
    /// such as flushing.
    #[must_use]
    pub fn receive_within(&self, at_most: Duration) -> Received<T> {
        match self.queue.pop_within(at_most) {
            Popped::Item(item) => Received::Item(item),
            Popped::Nothing => Received::Nothing,
            Popped::Closed => Received::Closed,
        }
    }
}

impl<T> Iterator for Input<T> {
    type Item = Item<T>;

    fn next(&mut self) -> Option<Item<T>> {
        self.queue.pop()
    }
}

impl<T> Drop for Input<T> {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}
