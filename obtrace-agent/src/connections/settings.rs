//! What can be set about connections.

use std::ops::RangeInclusive;

use obtrace_protocols::{Config, payload::GenAiEndpoint};

/// Bounds of the connection table. Times are in nanoseconds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Most sockets that are observed at a time. 65,536.
    pub max_connections: usize,
    /// Most bytes that all connections hold together for messages that are not whole. 64 MiB.
    pub memory: usize,
    /// Most bytes that one direction of a connection holds. 64 KiB.
    pub max_buffered: u32,
    /// Most peers of datagram sockets that are told apart at a time. 4,096.
    pub max_peers: usize,
    /// How long a peer of a datagram socket is remembered. 30 s.
    pub peer_timeout: u64,
    /// After how long without traffic a connection gives back its memory. 10 s.
    pub idle_after: u64,
    /// After how long without traffic a socket may be given up when the table is three quarters full: its close was
    /// lost. 15 min.
    pub evict_after: u64,
    /// How long a hole is waited for before it counts as lost. 200 ms.
    pub gap_timeout: u64,
    /// How long a request in a datagram waits for its answer. 5 s.
    pub datagram_timeout: u64,
    /// Whether SQL is kept as it is, with the data in it. No.
    pub raw_sql: bool,
    /// Whether statements of SQL are looked for where the protocol is not known. No.
    pub heuristic_sql: bool,
    /// Whether what models of generative AI are asked and answer is kept. No.
    pub gen_ai_content: bool,
    /// Endpoints of generative AI beside those that are known.
    pub gen_ai_endpoints: Vec<GenAiEndpoint>,
    /// Only connections whose server has one of these ports; empty: all.
    pub ports: Vec<RangeInclusive<u16>>,
}

impl Default for Settings {
    fn default() -> Self {
        const SECOND: u64 = 1_000_000_000;
        Self {
            max_connections: 65_536,
            memory: 64 << 20,
            max_buffered: 64 << 10,
            max_peers: 4_096,
            peer_timeout: 30 * SECOND,
            idle_after: 10 * SECOND,
            evict_after: 900 * SECOND,
            gap_timeout: SECOND / 5,
            datagram_timeout: 5 * SECOND,
            raw_sql: false,
            heuristic_sql: false,
            gen_ai_content: false,
            gen_ai_endpoints: Vec::new(),
            ports: Vec::new(),
        }
    }
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is told to every parser of a stream.
    pub(crate) fn parsers(&self) -> Config {
        Config::new()
            .with_max_buffered(self.max_buffered)
            .with_raw_sql(self.raw_sql)
            .with_heuristic_sql(self.heuristic_sql)
            .with_gen_ai_content(self.gen_ai_content)
    }
}
