//! Metrics of the agent itself: the numbers of its summary, while it runs.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use obtrace_export::{
    model::{Attribute, Metric, MetricData, NumberPoint, Resource, Scope, Signal, Temporality},
    stats::{Report, Stats},
};

use crate::{application::Summary, traces::SCHEMA_URL};

/// Where the numbers are, and what they are about.
pub(super) struct Own {
    summary: Box<dyn Fn() -> Summary + Send + Sync>,
    resource: Arc<Resource>,
    scope: Arc<Scope>,
    /// When they were zero, in nanoseconds since the Unix epoch.
    start: u64,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("resource", &self.resource).finish_non_exhaustive()
    }
}

impl Own {
    /// All of them are zero now.
    pub(super) fn new(resource: Resource, summary: impl Fn() -> Summary + Send + Sync + 'static) -> Self {
        let scope = Scope::new("obtrace-agent", env!("CARGO_PKG_VERSION")).with_schema_url(SCHEMA_URL);
        Self { summary: Box::new(summary), resource: Arc::new(resource), scope: Arc::new(scope), start: unix_nanos() }
    }

    /// The numbers as they are now; `metrics` is what became of data points, by exporter.
    pub(super) fn collect(&self, metrics: Vec<Stats>) -> Vec<Metric> {
        let summary = Summary { metrics, ..(self.summary)() };
        let mut page = Page { own: self, now: unix_nanos(), all: Vec::with_capacity(16) };
        page.requests(&summary);
        page.sockets(&summary);
        page.kernel(&summary);
        let mut all = page.all;
        for (signal, exporters) in [(Signal::Traces, &summary.export), (Signal::Metrics, &summary.metrics)] {
            for (at, stats) in exporters.iter().enumerate() {
                let report = Report::new(signal, Arc::clone(&self.resource), self.start);
                let name = format!("obtrace_{}_exporter/{at}", signal.name());
                all.extend(report.with_component_name(name).metrics(stats, page.now));
            }
        }
        all
    }
}

/// A number with what tells it from the others of its metric.
type Labelled = (&'static str, u64);

/// The metrics of one moment.
struct Page<'a> {
    own: &'a Own,
    now: u64,
    all: Vec<Metric>,
}

impl Page<'_> {
    fn requests(&mut self, summary: &Summary) {
        let spans = &summary.spans;
        self.sum("obtrace.agent.spans", "{span}", "Spans that were made", &[("", spans.spans)]);
        let reasons =
            [("unsampled", spans.unsampled), ("elsewhere", summary.elsewhere), ("connect", summary.unreported)];
        self.labelled(
            "obtrace.agent.unreported",
            "{exchange}",
            "Exchanges without a span: not sampled, reported by a loader or by another agent, connects that nobody misses",
            "reason",
            &reasons,
        );
        let places = [
            ("linked", spans.linked),
            ("parent_ambiguous", spans.parent_ambiguous),
            ("stale_context", spans.stale_context),
            ("open_overflow", spans.open_overflow),
        ];
        self.labelled(
            "obtrace.agent.spans.placed",
            "{span}",
            "Spans whose place in their trace was found at both ends, or not for certain",
            "outcome",
            &places,
        );
    }

    fn sockets(&mut self, summary: &Summary) {
        let sockets = &summary.connections;
        self.sum("obtrace.agent.connections", "{connection}", "Sockets that were observed", &[("", sockets.opened)]);
        self.gauge("obtrace.agent.connections.open", "{connection}", "Sockets that are observed", sockets.open);
        let reasons = [
            ("table_full", sockets.refused),
            ("evicted", sockets.evicted),
            ("unknown_protocol", sockets.unknown_protocol),
            ("tls", sockets.tls),
        ];
        self.labelled(
            "obtrace.agent.connections.unparsed",
            "{connection}",
            "Sockets whose bytes were not parsed, or not to their end",
            "reason",
            &reasons,
        );
        let bytes = &sockets.bytes;
        let [budget, fault, kernel, lost] = bytes.reasons();
        self.labelled(
            "obtrace.agent.bytes",
            "By",
            "Bytes of all streams by what became of them: parsed, skipped since nobody needs them, missing for a reason",
            "outcome",
            &[("parsed", bytes.parsed), ("skipped", bytes.skipped), budget, fault, kernel, lost],
        );
    }

    /// What the kernel side could not give.
    fn kernel(&mut self, summary: &Summary) {
        let Some(losses) = &summary.kernel else { return };
        let counted = |count: fn(obtrace_probes::Loss) -> u64| -> Vec<Labelled> {
            losses.iter().map(|(reason, loss)| (reason.name(), count(loss))).collect()
        };
        let events = counted(|loss| loss.events);
        let malformed = [("malformed", summary.malformed)];
        self.labelled(
            "obtrace.agent.dropped",
            "{event}",
            "Events of the kernel that were not given, or not whole",
            "reason",
            &[&events[..], &malformed].concat(),
        );
        let description = "Bytes of sockets that are in no event of the kernel";
        self.labelled("obtrace.agent.dropped.size", "By", description, "reason", &counted(|loss| loss.bytes));
    }

    /// A sum without attributes.
    fn sum(&mut self, name: &'static str, unit: &'static str, description: &'static str, points: &[Labelled]) {
        self.labelled(name, unit, description, "", points);
    }

    /// A sum by the values of an attribute.
    fn labelled(
        &mut self,
        name: &'static str,
        unit: &'static str,
        description: &'static str,
        key: &'static str,
        points: &[Labelled],
    ) {
        let points = points.iter().map(|(label, count)| {
            let attributes = if key.is_empty() { Vec::new() } else { vec![Attribute::new(key, *label)] };
            self.point(attributes, *count)
        });
        let data = MetricData::sum(points.collect(), Temporality::Cumulative, true);
        self.push(name, unit, description, data);
    }

    fn gauge(&mut self, name: &'static str, unit: &'static str, description: &'static str, value: u64) {
        let data = MetricData::Gauge(vec![self.point(Vec::new(), value)]);
        self.push(name, unit, description, data);
    }

    fn point(&self, attributes: Vec<Attribute>, count: u64) -> NumberPoint {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        NumberPoint::new(count, self.now).with_start_time(self.own.start).with_attributes(attributes)
    }

    fn push(&mut self, name: &'static str, unit: &'static str, description: &'static str, data: MetricData) {
        let mut metric = Metric::new(name, unit, data, Arc::clone(&self.own.resource), Arc::clone(&self.own.scope));
        metric.description = description.into();
        self.all.push(metric);
    }
}

pub(super) fn unix_nanos() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)
}
