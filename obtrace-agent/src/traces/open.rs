//! Exchanges that have begun and not ended.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{
    Place, SpanContext,
    strands::{Server, Strand, Strands},
};

/// An exchange that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) id: u64,
    pub(super) place: Place,
    pub(super) strand: Strand,
    /// When its request began, in the source's clock.
    pub(super) start: u64,
    pub(super) is_server: bool,
    /// What it is to its strand if it is a server's that is certain to end in a span.
    pub(super) server: Option<Server>,
}

impl Open {
    /// It is certain to end in a span: a server's can be the parent of what its strand does.
    pub(super) fn enter(&mut self, strands: &mut Strands) {
        if self.is_server {
            let SpanContext { trace_id, span_id, sampled } = self.place.context;
            let server = Server { trace_id, span_id, sampled, start: self.start };
            strands.add(self.strand, &server);
            self.server = Some(server);
        }
    }
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

    /// The one that is open with this id. It is among the newest: looked for from the back.
    pub(super) fn get_mut(&mut self, connection: u64, id: u64) -> Option<&mut Open> {
        self.by_connection.get_mut(&connection)?.iter_mut().rev().find(|open| open.id == id)
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
