//! What the agent tells at its end: how much it saw, and what it did not see and why.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use obtrace_export::{
    model::Signal,
    prometheus, span_metrics,
    stats::{DropReason, Stats},
};
use obtrace_probes::{LossCounters, Losses};

use crate::{connections, traces};

/// Counters of the parser, as far as they were published.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    pub(super) traces: traces::Counters,
    pub(super) connections: connections::Counters,
    pub(super) unreported: u64,
    pub(super) elsewhere: u64,
    pub(super) malformed: u64,
}

/// Where the numbers are while the agent runs.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    pub(super) results: Arc<Mutex<Results>>,
    pub(super) losses: LossCounters,
}

impl Sources {
    /// What happened so far, and what became of the spans.
    pub(super) fn summary(&self, export: Vec<Stats>) -> Summary {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Summary {
            spans: results.traces,
            connections: results.connections,
            unreported: results.unreported,
            elsewhere: results.elsewhere,
            malformed: results.malformed,
            kernel: self.losses.read().ok(),
            export,
            metrics: Vec::new(),
            requests: None,
            page: None,
            left: 0,
        }
    }
}

/// What happened from the start of the agent to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// Spans.
    pub spans: traces::Counters,
    /// Sockets and their bytes.
    pub connections: connections::Counters,
    /// Connects that failed and are no spans: to a Unix socket that does not exist, which the C library tries for
    /// services that need not run, and of UDP sockets, which only asks the kernel for a route.
    pub unreported: u64,
    /// Spans that somebody else reports: a loader in the process, the agent of another Pod or node.
    pub elsewhere: u64,
    /// Records of the ring buffer that could not be read.
    pub malformed: u64,
    /// What the kernel side could not give.
    pub kernel: Option<Losses>,
    /// What became of spans that were to be exported, by exporter.
    pub export: Vec<Stats>,
    /// The same of data points of metrics.
    pub metrics: Vec<Stats>,
    /// What became of spans in the metrics of requests, if there are any.
    pub requests: Option<span_metrics::Stats>,
    /// What the page for Prometheus was asked, if there is one.
    pub page: Option<prometheus::Counts>,
    /// Values that were on their way when the time to stop was over.
    pub left: u64,
}

/// A few lines for people; a line about something that did not happen is left out.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (spans, sockets) = (&self.spans, &self.connections);
        write!(f, "{} spans of {} sockets", spans.spans, sockets.opened)?;
        let notes = [
            (spans.linked, "requests seen at both ends"),
            (spans.parent_ambiguous, "left as roots (parent_ambiguous)"),
            (spans.stale_context, "with a stale traceparent"),
            (spans.unsampled, "exchanges whose traces are not kept (traces.sample_ratio, traceparent)"),
            (spans.open_overflow, "without a place in a trace (too many open)"),
        ];
        notes.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, what)| write!(f, ", {count} {what}"))?;
        write!(f, "\nbytes: {}", sockets.bytes)?;
        let notes = [
            (sockets.refused, "sockets not observed: the table was full (--max-sockets)"),
            (sockets.unannounced, "sockets observed without their addresses: their first event was lost"),
            (sockets.evicted, "silent sockets given up"),
            (sockets.unknown_protocol, "sockets of no known protocol"),
            (sockets.tls, "encrypted sockets"),
            (sockets.datagrams_skipped, "datagrams not parsed"),
            (sockets.peers_evicted, "peers of datagram sockets given up"),
            (sockets.given_up_bytes, "captured bytes let go: all connections held too much together (limits.memory)"),
            (self.unreported, "failed connects that are no spans (absent Unix sockets, routes asked for over UDP)"),
            (self.elsewhere, "spans left to a loader or to another agent"),
            (self.malformed, "records that could not be read"),
            (self.left, "batches cut off at the end"),
        ];
        notes.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, what)| write!(f, "\n{count} {what}"))?;
        for (reason, loss) in self.kernel.iter().flat_map(|losses| losses.iter().collect::<Vec<_>>()) {
            if loss.events > 0 || loss.bytes > 0 {
                write!(f, "\nnot captured, {}: {} events, {} bytes", reason.name(), loss.events, loss.bytes)?;
            }
        }
        self.requests.iter().try_for_each(|stats| measured(f, stats))?;
        if let Some(page) = self.page.filter(|page| page.left_out > 0) {
            write!(f, "\n{} data points not on the page for Prometheus, which cannot tell them", page.left_out)?;
        }
        self.export.iter().try_for_each(|stats| delivered(f, stats, Signal::Traces))?;
        self.metrics.iter().try_for_each(|stats| delivered(f, stats, Signal::Metrics))
    }
}

/// How much is held of the metrics of requests, and what is told less exactly than it was seen.
fn measured(f: &mut fmt::Formatter<'_>, stats: &span_metrics::Stats) -> fmt::Result {
    if stats.spans == 0 {
        return Ok(());
    }
    write!(f, "\nmetrics of {} spans: {} series of {} resources", stats.spans, stats.series, stats.resources)?;
    let notes = [
        (stats.unmeasured, "spans of which there is no metric"),
        (stats.expired, "series forgotten after a time without requests (metrics.ttl)"),
        (
            stats.overflowed,
            "times a span counted as otel.metric.overflow (metrics.max_series, metrics.max_total_series)",
        ),
        (stats.aggregated, "spans counted as AGGREGATED (traces.max_names)"),
        (stats.rerouted, "spans counted under the resource of overflow (metrics.max_resources)"),
        (stats.unread, "series that made room before anybody had their last values"),
    ];
    notes.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, what)| write!(f, ", {count} {what}"))
}

/// What became of the items of a signal.
fn delivered(f: &mut fmt::Formatter<'_>, stats: &Stats, signal: Signal) -> fmt::Result {
    let all = stats.accepted + stats.recovered;
    write!(f, "\nexported {} of {all} {}", stats.exported, signal.items())?;
    if stats.recovered > 0 {
        write!(f, " ({} of them left by an earlier run)", stats.recovered)?;
    }
    for reason in DropReason::ALL {
        let dropped = stats.dropped(reason);
        if dropped > 0 {
            write!(f, ", {dropped} dropped ({reason})")?;
        }
    }
    if stats.rejected > 0 {
        write!(f, ", {} rejected by the receiver", stats.rejected)?;
    }
    if stats.spooled > 0 {
        write!(f, ", {} kept in the spool ({} bytes) for the next run", stats.spooled, stats.spool_bytes)?;
    }
    Ok(())
}
