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
//! `otel.metric.overflow`, and counted; a series that got no value for a while vanishes, and begins anew if it comes back.
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
use self::{
    aggregate::Example,
    family::{Family, Id},
    hash::Keyed,
    measure::Measure,
    resources::{Entry, Resources},
    table::{Place, Record},
};
use crate::model::{Metric, Span};

/// What stands for the names of spans beyond their number.
const AGGREGATED: &str = "AGGREGATED";

/// What became of the spans, and how much is held. `spans = measured + unmeasured + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Spans that were given.
    pub spans: u64,
    /// Those that at least one metric is of.
    pub measured: u64,
    /// Those that no metric is of: no operation that is known, or of a kind that has none.
    pub unmeasured: u64,
    /// Those whose resource would have been one too many.
    pub dropped: u64,
    /// Times that a span went to a series of overflow, for there were too many series.
    pub overflowed: u64,
    /// Spans that are told as `AGGREGATED`, for their resource has too many names.
    pub aggregated: u64,
    /// Series that vanished after a time without values.
    pub expired: u64,
    /// Series that are held, without those of overflow. One holds all metrics with the same attributes.
    pub series: usize,
    /// Resources that are held.
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
    /// The time of the last collection.
    collected: Option<u64>,
}

impl SpanMetrics {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (families, hasher) = (family::families(&config), Keyed::new());
        let resources = Resources::new(hasher, families.len());
        Self { config, families, resources, hasher, stats: Stats::default(), collected: None }
    }

    /// Counts a span. Allocates only for a series that is new.
    pub fn record(&mut self, span: &Span, now: Instant) {
        self.stats.spans += 1;
        let Some(entry) = self.resources.of(&span.resource, self.config.max_resources, now) else {
            self.stats.dropped += 1;
            return;
        };
        let Self { config, families, hasher, stats, collected, .. } = self;
        let name = if config.spans == SpanNames::Off { "" } else { span_name(entry, span, config, stats) };
        // Nothing of what is new was counted up to the last collection.
        let start = collected.unwrap_or(span.start_unix_nano);
        let example = config.exemplars.then(|| example(span)).flatten();
        let (mut told, mut new) = (false, 0);
        let mut measure = Measure::new(config, span, |id: Id, fields: &_, values| {
            let (Some(family), Some(table)) = (families.get(id as usize), entry.tables.get_mut(id as usize)) else {
                return;
            };
            // One is that of overflow.
            let room = table.len() + 1 < config.max_series && stats.series + new < config.max_total_series;
            let place = table.record(family, fields, *hasher, &Record { values, example, now, start }, room);
            told = true;
            new += usize::from(place == Place::New);
            stats.overflowed += u64::from(place == Place::Overflow);
        });
        if config.operations {
            measure.operation();
        }
        if config.service_graph {
            measure.edge();
        }
        if config.spans != SpanNames::Off {
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
        self.collected = Some(self.collected.unwrap_or_default().max(unix_nanos));
        let mut metrics = Vec::new();
        for entry in self.resources.iter() {
            for (family, table) in self.families.iter().zip(&entry.tables).filter(|(_, table)| !table.is_empty()) {
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
            }
        }
        metrics
    }

    /// Forgets the series that got no value for long, as [`SpanMetrics::collect`] does: for metrics that nobody collects.
    pub fn expire(&mut self, now: Instant) {
        let ttl = self.config.ttl;
        let gone: usize = self.resources.iter_mut().map(|entry| entry.expire(&self.families, ttl, now)).sum();
        self.stats.series -= gone;
        self.stats.expired += gone as u64;
        self.resources.expire(ttl, now);
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
