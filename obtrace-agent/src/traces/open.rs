//! Exchanges that have begun and not ended.

use std::collections::VecDeque;

use obtrace_export::model::SpanId;
use rustc_hash::FxHashMap;

use super::{SpanContext, strands::Server, strands::Strand};

/// An exchange that has begun: its place in a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) id: u64,
    pub(super) context: SpanContext,
    pub(super) parent: Option<SpanId>,
    pub(super) strand: Strand,
    /// What it is to its strand, if it is a server's.
    pub(super) server: Option<Server>,
}

/// How many emptied queues are kept for the next connection.
const SPARE: usize = 64;

/// The open exchanges of all connections. Those of one connection mostly end in the order they began.
#[derive(Debug, Default)]
pub(super) struct OpenTable {
    by_connection: FxHashMap<u64, VecDeque<Open>>,
    /// Emptied queues, so that an idle connection holds nothing and a busy one allocates nothing.
    spare: Vec<VecDeque<Open>>,
    len: usize,
}

impl OpenTable {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, connection: u64, open: Open) {
        let queue = self.by_connection.entry(connection).or_insert_with(|| self.spare.pop().unwrap_or_default());
        queue.push_back(open);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, connection: u64, id: u64) -> Option<Open> {
        let queue = self.by_connection.get_mut(&connection)?;
        let at = queue.iter().position(|open| open.id == id)?;
        let open = queue.remove(at)?;
        self.len -= 1;
        if queue.is_empty() {
            let queue = self.by_connection.remove(&connection).unwrap_or_default();
            self.keep(queue);
        }
        Some(open)
    }

    /// Takes out what a connection has left.
    pub(super) fn remove_all(&mut self, connection: u64) -> VecDeque<Open> {
        let left = self.by_connection.remove(&connection).unwrap_or_default();
        self.len -= left.len();
        left
    }

    fn keep(&mut self, queue: VecDeque<Open>) {
        // One that a long pipeline has made big is not worth keeping.
        if self.spare.len() < SPARE && queue.capacity() <= SPARE {
            self.spare.push(queue);
        }
    }
}
