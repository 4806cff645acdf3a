//! What a connection is told.

use crate::{Protocol, Role};

/// What a connection is told and how much it may use. Cheap to copy; the same value serves many connections.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The role of the observed socket, where the kernel (or a SYN) told it. `None`: the protocol's detection finds
    /// out who sends the requests.
    pub role: Option<Role>,
    /// The role that the observed socket seems to have where `role` is not known: the ports suggest it. It decides only
    /// what the bytes cannot, as in the middle of an MQTT connection on which both ends publish.
    pub likely_role: Option<Role>,
    /// From whose side exchanges are told ([`Exchange::role`](crate::Exchange::role), and what counts as an error
    /// there). `None`: from that of the observed socket. A capture has no socket of its own: there the reader chooses.
    pub perspective: Option<Role>,
    /// A protocol to try first: the kernel's look at the first bytes, or the port. Only an order, never an answer.
    pub hint: Option<Protocol>,
    /// Most bytes held for one direction while a message is not whole. 64 KiB.
    pub max_buffered: u32,
    /// Most bytes kept of a text (an SQL statement, a path). What is longer is cut there. 4 KiB.
    pub max_text: u32,
    /// Keep statements as they are, with the data in them. By default literals are replaced before they are kept.
    pub raw_sql: bool,
    /// Look for statements of SQL on connections whose protocol is not known
    /// ([`Protocol::Sql`]): the last resort, which can be wrong. Off.
    pub heuristic_sql: bool,
    /// Keep the text of database errors, which may hold data. By default only their codes are kept.
    pub error_text: bool,
    /// Keep what models are asked and what they answer, arguments of tools included: prompts are private. By default only
    /// what the conventions for generative AI record without being asked.
    pub gen_ai_content: bool,
    /// Most bytes of a body, once decoded, that are looked through where one is read
    /// ([`payload`](crate::payload)); 0: no body is read. 4 MiB.
    pub max_body: u32,
    /// Most requests that may wait for their response. The oldest is reported as missing its response beyond it. 1024.
    pub max_pending: u32,
    /// How long a hole in a stream is waited for before it counts as lost, in nanoseconds. 200 ms.
    pub gap_timeout: u64,
    /// How long a datagram request waits for its response, in nanoseconds. 5 s.
    pub datagram_timeout: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: None,
            likely_role: None,
            perspective: None,
            hint: None,
            max_buffered: 64 * 1024,
            max_text: 4 * 1024,
            raw_sql: false,
            heuristic_sql: false,
            error_text: false,
            gen_ai_content: false,
            max_body: 4 * 1024 * 1024,
            max_pending: 1024,
            gap_timeout: 200_000_000,
            datagram_timeout: 5_000_000_000,
        }
    }
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Config::role`].
    #[must_use]
    pub fn with_role(mut self, role: Option<Role>) -> Self {
        self.role = role;
        self
    }

    /// Sets [`Config::likely_role`].
    #[must_use]
    pub fn with_likely_role(mut self, role: Option<Role>) -> Self {
        self.likely_role = role;
        self
    }

    /// Sets [`Config::perspective`].
    #[must_use]
    pub fn with_perspective(mut self, perspective: Option<Role>) -> Self {
        self.perspective = perspective;
        self
    }

    /// Sets [`Config::hint`].
    #[must_use]
    pub fn with_hint(mut self, hint: Option<Protocol>) -> Self {
        self.hint = hint;
        self
    }

    /// Sets [`Config::max_buffered`], at least 4 KiB.
    #[must_use]
    pub fn with_max_buffered(mut self, bytes: u32) -> Self {
        self.max_buffered = bytes.max(4 * 1024);
        self
    }

    /// Sets [`Config::max_text`].
    #[must_use]
    pub fn with_max_text(mut self, bytes: u32) -> Self {
        self.max_text = bytes;
        self
    }

    /// Sets [`Config::raw_sql`].
    #[must_use]
    pub fn with_raw_sql(mut self, keep: bool) -> Self {
        self.raw_sql = keep;
        self
    }

    /// Sets [`Config::heuristic_sql`].
    #[must_use]
    pub fn with_heuristic_sql(mut self, look: bool) -> Self {
        self.heuristic_sql = look;
        self
    }

    /// Sets [`Config::error_text`].
    #[must_use]
    pub fn with_error_text(mut self, keep: bool) -> Self {
        self.error_text = keep;
        self
    }

    /// Sets [`Config::gen_ai_content`].
    #[must_use]
    pub fn with_gen_ai_content(mut self, keep: bool) -> Self {
        self.gen_ai_content = keep;
        self
    }

    /// Sets [`Config::max_body`].
    #[must_use]
    pub fn with_max_body(mut self, bytes: u32) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets [`Config::max_pending`], at least 1.
    #[must_use]
    pub fn with_max_pending(mut self, requests: u32) -> Self {
        self.max_pending = requests.max(1);
        self
    }

    /// Sets [`Config::gap_timeout`].
    #[must_use]
    pub fn with_gap_timeout(mut self, nanos: u64) -> Self {
        self.gap_timeout = nanos;
        self
    }

    /// Sets [`Config::datagram_timeout`].
    #[must_use]
    pub fn with_datagram_timeout(mut self, nanos: u64) -> Self {
        self.datagram_timeout = nanos;
        self
    }
}
