//! What can be set about spans.

use super::Sampler;

/// Bounds and choices for spans. Times are in nanoseconds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Most exchanges that are open at a time; those beyond have no parent and cannot be one. 65,536.
    pub max_open: usize,
    /// Most client requests that wait to be recognised at a local server. 8,192.
    pub max_links: usize,
    /// How long they wait. 30 s.
    pub max_link_age: u64,
    /// Most `traceparent` headers that are remembered. 8,192.
    pub max_headers: usize,
    /// Most spans that use the same `traceparent`. 1,000.
    pub max_adopted_spans: u32,
    /// How long the same `traceparent` is used. 10 min.
    pub max_adopted_age: u64,
    /// Most threads whose creator is remembered. 16,384.
    pub max_strands: usize,
    /// Which of the traces that begin here are kept. All.
    pub sampler: Sampler,
    /// Whether spans of traces that are not kept are made as well, marked as such: metrics are of all requests.
    pub unsampled: bool,
    /// Most different path templates of a service; spans of other paths are named by their method alone. 100.
    pub max_names: usize,
    /// Whether the query of a URL is recorded (with its sensitive values replaced).
    pub url_query: bool,
    /// Query parameters whose values are replaced, beside those of the semantic conventions; lower case.
    pub sensitive_parameters: Vec<String>,
    /// What of a statement is recorded as `db.query.text`.
    pub query_text: QueryText,
}

/// What of a database statement is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryText {
    /// Nothing.
    Off,
    /// The statement with its literals replaced by `?`.
    #[default]
    Sanitized,
    /// The statement as the parser gave it: with its data if the parser was told to keep it
    /// ([`raw_sql`](obtrace_protocols::Config::raw_sql)). Statements that are not SQL stay sanitised.
    Raw,
}

impl Default for Settings {
    fn default() -> Self {
        const SECOND: u64 = 1_000_000_000;
        Self {
            max_open: 65_536,
            max_links: 8_192,
            max_link_age: 30 * SECOND,
            max_headers: 8_192,
            max_adopted_spans: 1_000,
            max_adopted_age: 600 * SECOND,
            max_strands: 16_384,
            sampler: Sampler::ALL,
            unsampled: false,
            max_names: 100,
            url_query: true,
            sensitive_parameters: Vec::new(),
            query_text: QueryText::Sanitized,
        }
    }
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
