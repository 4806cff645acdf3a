//! What connections have in common, and what each of them counts there.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};

use super::{Connection, topics::Topics};
use crate::{parser::Side, payload::GenAiEndpoint};

/// What connections have in common: the bytes that all of them together may hold, and the names of Kafka's topics, which
/// one connection is told and others refer to by id.
#[derive(Clone, Debug)]
pub struct Shared(Arc<SharedInner>);

#[derive(Debug)]
struct SharedInner {
    held: AtomicUsize,
    given_up: AtomicUsize,
    max_held: usize,
    topics: Topics,
    gen_ai_endpoints: Vec<GenAiEndpoint>,
}

impl Default for Shared {
    fn default() -> Self {
        Self::new(256 * 1024 * 1024)
    }
}

impl Shared {
    /// Connections made with this value hold at most `max_held` heap bytes together; beyond it a connection drops
    /// what it holds, which counts as a gap.
    #[must_use]
    pub fn new(max_held: usize) -> Self {
        let (held, given_up) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(SharedInner {
            held,
            given_up,
            max_held,
            topics: Topics::default(),
            gen_ai_endpoints: Vec::new(),
        }))
    }

    /// Endpoints that speak the API of OpenAI beside those that are known. To be called before connections are made with
    /// this value; it has no effect on clones of it.
    #[must_use]
    pub fn with_gen_ai_endpoints(mut self, endpoints: Vec<GenAiEndpoint>) -> Self {
        match Arc::get_mut(&mut self.0) {
            Some(inner) => inner.gen_ai_endpoints = endpoints,
            None => {
                let mut other = Self::new(self.0.max_held);
                if let Some(inner) = Arc::get_mut(&mut other.0) {
                    inner.gen_ai_endpoints = endpoints;
                }
                return other;
            }
        }
        self
    }

    pub(crate) fn gen_ai_endpoints(&self) -> &[GenAiEndpoint] {
        &self.0.gen_ai_endpoints
    }

    /// Heap bytes held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Bytes of messages that were let go so far because all connections together held too much.
    #[must_use]
    pub fn given_up(&self) -> usize {
        self.0.given_up.load(Ordering::Relaxed)
    }

    /// How many of Kafka's topics were forgotten so far to make room for others: 1024 are remembered.
    #[must_use]
    pub fn forgotten_topics(&self) -> usize {
        self.0.topics.forgotten()
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.0.topics
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.0.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

impl Connection {
    /// Keeps the count of what all connections hold; drops what this one holds if it is too much.
    pub(super) fn account(&mut self) {
        let held = self.memory();
        if held == self.held {
            return;
        }
        let total = &self.shared.0.held;
        if held > self.held {
            let grown = held.saturating_sub(self.held);
            let before = total.fetch_add(grown, Ordering::Relaxed);
            if before.saturating_add(grown) > self.shared.0.max_held {
                self.held = held;
                return self.drop_buffers();
            }
        } else {
            total.fetch_sub(self.held.saturating_sub(held), Ordering::Relaxed);
        }
        self.held = held;
    }

    pub(super) fn drop_buffers(&mut self) {
        for side in [Side::Client, Side::Server] {
            let stream = self.stream_mut(side);
            let (until, now) = (stream.assembler.end(), stream.assembler.newest().at);
            let unread = stream.assembler.buffered();
            if unread == 0 {
                continue;
            }
            stream.assembler.reset();
            stream.assembler.begin(until);
            self.shared.0.given_up.fetch_add(unread, Ordering::Relaxed);
            self.gap(side, unread as u64, now);
        }
        self.client.assembler.shrink();
        self.server.assembler.shrink();
        let held = self.memory();
        self.shared.0.held.fetch_sub(self.held.saturating_sub(held), Ordering::Relaxed);
        self.held = held;
    }
}
