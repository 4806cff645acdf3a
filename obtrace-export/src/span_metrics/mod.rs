//! Metrics from finished spans: how many operations there were, how long they took, how large their bodies were.
//! Sans-IO: time is an argument.
//!
//! Names, units, attributes and bounds are those of the [semantic conventions](https://opentelemetry.io/docs/specs/semconv/):
//!
//! | of spans with | kind | metric |
//! | --- | --- | --- |
//! | `http.request.method` | server | `http.server.request.duration`, `.request.body.size`, `.response.body.size` |
//! | | client | `http.client.request.duration`, `.request.body.size`, `.response.body.size` |
//! | `rpc.system.name` | server, client | `rpc.server.call.duration`, `rpc.client.call.duration` |
//! | `db.system.name` | client | `db.client.operation.duration`, `db.client.response.returned_rows` |
//! | | server | `db.server.operation.duration` |
//! | `messaging.system` | producer, consumer, client | `messaging.process.duration` of what processes; of all else `messaging.client.operation.duration`, `.sent.messages`, `.consumed.messages` |
//! | `dns.question.name` | client | `dns.lookup.duration` |
//! | `gen_ai.operation.name` | client | `gen_ai.client.operation.duration`, `gen_ai.client.token.usage` |
//! | any | any | when asked for: `traces.span.metrics.duration`, `.calls`, or their other names; `traces_service_graph_request_…` |
//!
//! A span counts as one operation, the first of `gen_ai`, `db`, `messaging`, `rpc`, `http`, `dns` that it has attributes of.
//! Each resource has its own metrics. Everything is bounded: series over a bound are told together, with
//! `otel.metric.overflow`, and so are resources; both are counted. A series that got no value for a while vanishes once its last
//! values were collected, and begins anew if it comes back. Where nobody collects, what got no value for a while goes only when
//! something new needs its place.
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use obtrace_export::model::{Attribute, MetricData, Resource, Scope, Span, SpanId, SpanKind, TraceId};
//! use obtrace_export::span_metrics::{Config, SpanMetrics};
//!
//! let resource = Arc::new(Resource::new(vec![Attribute::new("service.name", "shop")]));
//! let ids = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]));
//! let mut span = Span::new(ids.0, ids.1, "GET /cart", SpanKind::Server, resource, Arc::default()).with_times(0, 30_000_000);
//! span.push("http.request.method", "GET");
//! span.push("http.route", "/cart");
//!
//! let mut metrics = SpanMetrics::new(Config::new());
//! metrics.record(&span, Instant::now());
//! let collected = metrics.collect(40_000_000, Instant::now());
//! assert_eq!(collected[0].name, "http.server.request.duration");
//! let MetricData::Histogram { points, .. } = &collected[0].data else { panic!() };
//! assert_eq!((points[0].count, points[0].sum), (1, Some(0.03)));
//! ```

mod aggregate;
mod config;
mod exponential;
mod family;
mod field;
mod hash;
mod measure;
mod resources;
mod table;

use std::time::Instant;

pub use self::config::{Buckets, Config, Names, SpanNames, UnknownNames};
#[cfg(feature = "prometheus")]
pub(crate) use self::family::TEMPO_LATENCY;
use self::{
    aggregate::Example,
    family::{Family, Id},
    field::{Fields, Key},
    hash::Keyed,
    measure::Measure,
    resources::{Entry, Resources},
    table::{Age, Gone, Place, Record},
};
use crate::model::{Metric, Span};

/// What stands for the names of spans beyond their number.
const AGGREGATED: &str = "AGGREGATED";

/// What became of the spans, and how much is held. `spans = measured + unmeasured`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Spans that were given.
    pub spans: u64,
    /// Those that at least one metric is of.
    pub measured: u64,
    /// Those that no metric is of: no operation that is known, or of a kind that has none.
    pub unmeasured: u64,
    /// Spans that are told under the resource of overflow, for theirs would have been one too many.
    pub rerouted: u64,
    /// Times that a span went to a series of overflow, for there were too many series.
    pub overflowed: u64,
    /// Spans that are told as `AGGREGATED`, for their resource has too many names.
    pub aggregated: u64,
    /// Series that vanished after a time without values, those of overflow not among them.
    pub expired: u64,
    /// Resources that had no spans for that time and made room for new ones.
    pub evicted: u64,
    /// Series that made room for new ones before their last values were collected: nobody collects, or too rarely.
    pub unread: u64,
    /// Series that are held, without those of overflow. One holds all metrics with the same attributes.
    pub series: usize,
    /// Resources that are held, without that of overflow.
    pub resources: usize,
}

/// Metrics from spans, counted since the start; see the [module](self).
#[derive(Debug)]
pub struct SpanMetrics {
    config: Config,
    families: Vec<Family>,
    resources: Resources,
    hasher: Keyed,
    stats: Stats,
    /// Since when what is new counts: nothing of it was counted up to the last collection.
    since: Option<u64>,
    /// There was no room for a series.
    is_full: bool,
    /// When it is worth while to look again whether there are series that can make room.
    swept: Option<Instant>,
}

impl SpanMetrics {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (families, hasher) = (family::families(&config), Keyed::new());
        let resources = Resources::new(hasher, families.len(), config.processes);
        let stats = Stats::default();
        Self { config, families, resources, hasher, stats, since: None, is_full: false, swept: None }
    }

    /// Counts a span. Allocates only for a series that is new.
    pub fn record(&mut self, span: &Span, now: Instant) {
        self.stats.spans += 1;
        if self.is_full {
            self.make_room(now);
        }
        let at = self.place(span, now);
        let Self { config, families, hasher, stats, since, is_full, resources, .. } = self;
        let Some((entry, services)) = resources.entry(at) else { return };
        let name = if config.has_names() { span_name(entry, span, config, stats) } else { "" };
        let start = since.unwrap_or(span.start_unix_nano);
        let example = config.exemplars.then(|| example(span)).flatten();
        let (mut told, mut new) = (false, 0);
        let mut fields = Fields::of(&span.attributes);
        let method = measure::full_method(config, &fields);
        if let Some(method) = &method {
            fields.set_text(Key::RpcMethod, method);
        }
        let mut measure = Measure::new(config, span, fields, |id: Id, fields: &_, values| {
            let (Some(family), Some(table)) = (families.get(id as usize), entry.tables.get_mut(id as usize)) else {
                return;
            };
            // One is that of overflow.
            let room = table.len() + 1 < config.max_series && stats.series + new < config.max_total_series;
            let place = table.record(family, fields, *hasher, &Record { values, example, now, start }, room);
            told = true;
            new += usize::from(place == Place::New);
            stats.overflowed += u64::from(place == Place::Overflow);
            *is_full |= place == Place::Overflow;
        });
        if config.operations {
            measure.operation();
        }
        if config.service_graph {
            measure.edge(services);
        }
        if config.has_names() {
            measure.span(name);
        }
        stats.series += new;
        *(if told { &mut stats.measured } else { &mut stats.unmeasured }) += 1;
    }

    /// All metrics as they are at a time, in nanoseconds since the Unix epoch, by resource and name; series that got no value
    /// for long are gone.
    #[must_use]
    pub fn collect(&mut self, unix_nanos: u64, now: Instant) -> Vec<Metric> {
        self.expire(now);
        self.since = Some(self.since.unwrap_or_default().max(unix_nanos));
        let mut metrics = Vec::new();
        for entry in self.resources.iter_mut() {
            for (family, table) in self.families.iter().zip(&mut entry.tables).filter(|(_, table)| !table.is_empty()) {
                for (at, instrument) in family.instruments.iter().enumerate() {
                    let data = table.data(family, at, unix_nanos);
                    if data.is_empty() {
                        continue;
                    }
                    let (resource, scope) = (entry.resource.clone(), self.config.scope.clone());
                    let mut metric =
                        Metric::new(instrument.name.clone(), instrument.unit.clone(), data, resource, scope);
                    metric.description = instrument.description.clone();
                    metrics.push(metric);
                }
                table.read();
            }
        }
        metrics
    }

    /// Forgets the series that got no value for [`Config::ttl`] and whose last values were collected, and the resources that have
    /// none left. [`collect`](Self::collect) does so, too; this is for a program that is not asked for its metrics for long and
    /// wants its memory back. What was never collected stays until something new needs its place.
    pub fn expire(&mut self, now: Instant) {
        self.forget(now, false);
    }

    /// The place of a span's resource: its own if there is room or an old one makes room, else that of overflow.
    fn place(&mut self, span: &Span, now: Instant) -> usize {
        let (limit, ttl) = (self.config.max_resources, self.config.ttl);
        if let Some(at) = self.resources.of(&span.resource, limit, now) {
            return at;
        }
        if let Some(evicted) = self.resources.evict(ttl, now) {
            self.stats.evicted += 1;
            self.stats.unread += evicted.unread as u64;
            self.stats.expired += evicted.series as u64;
            self.stats.series -= evicted.series;
            self.restart();
            if let Some(at) = self.resources.of(&span.resource, limit, now) {
                return at;
            }
        }
        self.stats.rerouted += 1;
        self.resources.overflow(now)
    }

    /// Where series are missing, those that got no value for long go: those that were collected, then the others. Not more often
    /// than sixteen times in the time that they have.
    fn make_room(&mut self, now: Instant) {
        self.is_full = false;
        let ttl = self.config.ttl;
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < ttl / 16) {
            return;
        }
        self.swept = Some(now);
        if self.forget(now, false) == 0 {
            self.forget(now, true);
        }
    }

    /// Forgets what got no value for long, and tells how many series that were.
    fn forget(&mut self, now: Instant, unread: bool) -> usize {
        let ttl = self.config.ttl;
        if ttl.is_zero() {
            return 0;
        }
        let mut gone = Gone::default();
        self.resources.iter_mut().for_each(|entry| gone += entry.expire(&self.families, &Age { ttl, now, unread }));
        self.stats.series -= gone.series;
        self.stats.expired += gone.series as u64;
        self.stats.unread += gone.unread as u64;
        if unread {
            self.restart();
        }
        self.resources.expire(ttl, now);
        gone.series
    }

    /// What was forgotten between two collections may begin anew before the second: later than it began the last time.
    fn restart(&mut self) {
        self.since = self.since.map(|since| since.saturating_add(1));
    }

    /// What became of the spans so far, and how much is held.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { resources: self.resources.len(), ..self.stats }
    }
}

/// The name that a span is told by.
fn span_name<'a>(entry: &mut Entry, span: &'a Span, config: &Config, stats: &mut Stats) -> &'a str {
    let name = field::Field::text(&span.name).str().unwrap_or_default();
    if entry.admit(name, config.max_span_names) {
        return name;
    }
    stats.aggregated += 1;
    AGGREGATED
}

/// What an exemplar of a span says, if it is sampled: others cannot be looked up.
fn example(span: &Span) -> Option<Example> {
    (span.flags & 1 == 1 && !span.trace_id.is_zero()).then_some(Example {
        value: 0.0,
        time_unix_nano: span.end_unix_nano,
        trace_id: span.trace_id,
        span_id: span.span_id,
    })
}
