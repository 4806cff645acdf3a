//! The bounds of a server.

use std::time::Duration;

/// The bounds of a server. What goes past one is counted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at once. For one more the connection that has been idle longest is closed; while none is idle it waits in the
    /// system's backlog.
    pub connections: usize,
    /// Requests at once on a connection of HTTP/2.
    pub streams: u32,
    /// Bytes of a request's body. An API server takes objects of 3 MiB at most.
    pub body: usize,
    /// Bytes of all bodies that are in memory at once; others wait. At least four times [`body`](Self::body) are taken.
    pub bodies: usize,
    /// Bytes of all answers that clients have not taken yet. A connection that does not take its own is closed while others wait for that.
    pub answers: usize,
    /// Time in which TLS has to be agreed on.
    pub handshake: Duration,
    /// Time in which any request's head has to end once it has begun, and in which HTTP/2 has to begin.
    pub header: Duration,
    /// Time after which a connection without a request is closed, also one that never had any. API servers close theirs after 90 s.
    pub idle: Duration,
    /// Time from a request's head to its answer. A shorter one that the API server asks for (`?timeout=5s`) counts.
    pub request: Duration,
    /// Time to go on as before when told to stop: as long as others may still send new connections here.
    pub linger: Duration,
    /// Time after that for what is being answered.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            streams: 128,
            body: 8 << 20,
            bodies: 32 << 20,
            answers: 16 << 20,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(5),
            idle: Duration::from_secs(120),
            request: Duration::from_secs(10),
            linger: Duration::from_secs(5),
            grace: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Those of a server of small pages for probes and scrapers.
    pub(super) fn small() -> Self {
        Self {
            connections: 64,
            streams: 16,
            body: 0,
            bodies: 0,
            answers: 0,
            idle: Duration::from_secs(90),
            linger: Duration::ZERO,
            grace: Duration::from_secs(2),
            ..Self::default()
        }
    }
}
