//! What the agent counts, as the names, units and attributes of its metrics.

use obtrace_export::{prometheus::Counts, span_metrics::Stats as Measured};
use obtrace_probes::Loss;

use crate::application::Summary;

/// A number with what tells it from the others of its metric.
type Labelled = (&'static str, u64);

/// Whether it only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sum,
    Gauge,
}

/// A metric.
pub(super) struct Numbers {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) description: &'static str,
    pub(super) kind: Kind,
    /// The attribute that tells its numbers apart; empty: there is one.
    pub(super) key: &'static str,
    pub(super) read: fn(&Summary) -> Vec<Labelled>,
}

const fn sum(
    name: &'static str,
    unit: &'static str,
    key: &'static str,
    description: &'static str,
    read: fn(&Summary) -> Vec<Labelled>,
) -> Numbers {
    Numbers { name, unit, description, kind: Kind::Sum, key, read }
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    read: fn(&Summary) -> Vec<Labelled>,
) -> Numbers {
    Numbers { name, unit, description, kind: Kind::Gauge, key: "", read }
}

pub(super) const NUMBERS: &[Numbers] = &[
    sum("obtrace.agent.spans", "{span}", "", "Spans that were made", |all| vec![("", all.spans.spans)]),
    sum(
        "obtrace.agent.unreported",
        "{exchange}",
        "reason",
        "Exchanges without a span: not sampled, reported by a loader or by another agent, connects that nobody misses",
        |all| vec![("unsampled", all.spans.unsampled), ("elsewhere", all.elsewhere), ("connect", all.unreported)],
    ),
    sum(
        "obtrace.agent.spans.placed",
        "{span}",
        "outcome",
        "Spans whose place in their trace was found at both ends, or not for certain",
        |all| {
            vec![
                ("linked", all.spans.linked),
                ("parent_ambiguous", all.spans.parent_ambiguous),
                ("stale_context", all.spans.stale_context),
                ("open_overflow", all.spans.open_overflow),
            ]
        },
    ),
    sum("obtrace.agent.connections", "{connection}", "", "Sockets that were observed", |all| {
        vec![("", all.connections.opened)]
    }),
    gauge("obtrace.agent.connections.open", "{connection}", "Sockets that are observed", |all| {
        vec![("", all.connections.open)]
    }),
    sum(
        "obtrace.agent.connections.unparsed",
        "{connection}",
        "reason",
        "Sockets whose bytes were not parsed, or not to their end",
        |all| {
            let sockets = &all.connections;
            vec![
                ("table_full", sockets.refused),
                ("evicted", sockets.evicted),
                ("unknown_protocol", sockets.unknown_protocol),
                ("tls", sockets.tls),
            ]
        },
    ),
    sum(
        "obtrace.agent.bytes",
        "By",
        "outcome",
        "Bytes of all streams by what became of them: parsed, skipped since nobody needs them, missing for a reason",
        |all| {
            let bytes = &all.connections.bytes;
            [&[("parsed", bytes.parsed), ("skipped", bytes.skipped)][..], &bytes.reasons()].concat()
        },
    ),
    sum(
        "obtrace.agent.dropped",
        "{event}",
        "reason",
        "Events of the kernel that were not given, or not whole",
        |all| match &all.kernel {
            Some(_) => [lost(all, |loss| loss.events), vec![("malformed", all.malformed)]].concat(),
            None => Vec::new(),
        },
    ),
    sum("obtrace.agent.dropped.size", "By", "reason", "Bytes of sockets that are in no event of the kernel", |all| {
        lost(all, |loss| loss.bytes)
    }),
    sum("obtrace.agent.metrics.spans", "{span}", "outcome", "Spans by whether there are metrics of them", |all| {
        let spans = |stats: &Measured| vec![("measured", stats.measured), ("unmeasured", stats.unmeasured)];
        all.requests.as_ref().map(spans).unwrap_or_default()
    }),
    sum(
        "obtrace.agent.metrics.overflowed",
        "{span}",
        "",
        "Times that a span went to a series of overflow, for there were too many series",
        |all| measured(all, |stats| stats.overflowed),
    ),
    sum(
        "obtrace.agent.metrics.rerouted",
        "{span}",
        "",
        "Spans told under the resource of overflow, for there were too many processes",
        |all| measured(all, |stats| stats.rerouted),
    ),
    sum(
        "obtrace.agent.metrics.aggregated",
        "{span}",
        "",
        "Spans whose name is told as AGGREGATED, for their process has too many",
        |all| measured(all, |stats| stats.aggregated),
    ),
    sum("obtrace.agent.metrics.expired", "{series}", "", "Series that vanished after a time without requests", |all| {
        measured(all, |stats| stats.expired)
    }),
    sum(
        "obtrace.agent.metrics.evicted",
        "{resource}",
        "",
        "Processes without requests for a time that made room for new ones",
        |all| measured(all, |stats| stats.evicted),
    ),
    sum(
        "obtrace.agent.metrics.unread",
        "{series}",
        "",
        "Series that made room for new ones before anybody had their last values",
        |all| measured(all, |stats| stats.unread),
    ),
    gauge("obtrace.agent.metrics.series", "{series}", "Series of requests that are held", |all| {
        measured(all, |stats| count(stats.series))
    }),
    gauge("obtrace.agent.metrics.resources", "{resource}", "Processes whose series are held", |all| {
        measured(all, |stats| count(stats.resources))
    }),
    sum("obtrace.agent.page.requests", "{request}", "outcome", "Requests for the page for Prometheus", |all| {
        let page = |page: &Counts| vec![("answered", page.scrapes), ("refused", page.refused)];
        all.page.as_ref().map(page).unwrap_or_default()
    }),
    sum(
        "obtrace.agent.page.left_out",
        "{data_point}",
        "",
        "Data points that were not on the page, for they cannot be told there",
        |all| all.page.iter().map(|page| ("", page.left_out)).collect(),
    ),
];

fn lost(all: &Summary, what: fn(Loss) -> u64) -> Vec<Labelled> {
    all.kernel
        .iter()
        .flat_map(|losses| losses.iter().map(|(reason, loss)| (reason.name(), what(loss))).collect::<Vec<_>>())
        .collect()
}

fn measured(all: &Summary, what: fn(&Measured) -> u64) -> Vec<Labelled> {
    all.requests.iter().map(|stats| ("", what(stats))).collect()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
