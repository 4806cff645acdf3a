//! What is measured, and how much of it is kept.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use crate::model::{Scope, Text};

/// Most bounds of a histogram.
const MAX_BOUNDS: usize = 200;

/// By what names metrics go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Names {
    /// Those of the [semantic conventions](https://opentelemetry.io/docs/specs/semconv/): `semconv`.
    #[default]
    SemanticConventions,
    /// Those of OpenTelemetry eBPF Instrumentation 0.4, for dashboards that know them: `rpc.server.duration`,
    /// `messaging.publish.duration`, …, with its attributes: `obi-0.4`.
    Obi04,
}

/// The text is no [`Names`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("names of metrics are `semconv` or `obi-0.4`, not `{0}`")]
pub struct UnknownNames(String);

impl FromStr for Names {
    type Err = UnknownNames;

    fn from_str(text: &str) -> Result<Self, UnknownNames> {
        match text {
            "semconv" => Ok(Self::SemanticConventions),
            "obi-0.4" => Ok(Self::Obi04),
            other => Err(UnknownNames(other.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SemanticConventions => "semconv",
            Self::Obi04 => "obi-0.4",
        })
    }
}

/// Metrics of every span, whatever it is of, by name, kind and status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanNames {
    /// None.
    #[default]
    Off,
    /// `traces.span.metrics.duration` and `traces.span.metrics.calls`, as the OpenTelemetry Collector has them.
    Collector,
    /// `traces_spanmetrics_latency` and `traces_spanmetrics_calls_total`, as Grafana Tempo and older versions of OpenTelemetry
    /// eBPF Instrumentation have them.
    Tempo,
    /// Those of [`Collector`](Self::Collector) and those of [`Tempo`](Self::Tempo).
    Both,
}

/// The buckets of histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Buckets {
    /// With explicit bounds: those that the conventions recommend, or those that are set.
    #[default]
    Explicit,
    /// Exponential ones, as fine as 160 of them allow, by the
    /// [data model](https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram).
    Exponential,
}

/// What [`SpanMetrics`](super::SpanMetrics) measures, and how much of it it keeps.
///
/// ```
/// use obtrace_export::span_metrics::{Buckets, Config, Names};
/// let config = Config::new().with_names(Names::Obi04).with_buckets(Buckets::Exponential).with_service_graph(true);
/// assert_eq!(config.max_series, 2000);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Metrics of operations: `http.server.request.duration` and so on. On.
    pub operations: bool,
    /// By what names they go. [`Names::SemanticConventions`].
    pub names: Names,
    /// Metrics of the service graph: `traces_service_graph_request_total`, `_failed_total`, `_server`, `_client`. Off.
    pub service_graph: bool,
    /// Metrics of every span. [`SpanNames::Off`].
    pub spans: SpanNames,
    /// Of every span, sums of the sizes of bodies: `traces_spanmetrics_size_total`, `traces_spanmetrics_response_size_total`, with
    /// the attributes of [`SpanNames::Tempo`] whatever [`spans`](Self::spans) is. Off.
    pub span_sizes: bool,
    /// `server.address` and `server.port` on servers' metrics, too. Clients choose them by the `Host` header, for which
    /// reason the conventions leave them out. Off; always on with [`Names::Obi04`].
    pub server_address: bool,
    /// Without `http.route`, the path in a server span's name (`GET /users/{id}`) stands for it: right if whoever makes the
    /// names bounds them. Off.
    pub routes_of_names: bool,
    /// The buckets of histograms. [`Buckets::Explicit`].
    pub buckets: Buckets,
    /// Bounds for durations, in seconds; those of the conventions if there are none.
    pub duration_bounds: Vec<f64>,
    /// Bounds for sizes of bodies, in bytes; powers of four from 64 to 64 Mi if there are none.
    pub size_bounds: Vec<f64>,
    /// The trace and span of the latest value of each bucket (of exponential ones, of the latest eight values). Off.
    pub exemplars: bool,
    /// Most series of one metric of one resource, that of overflow included. 2000.
    pub max_series: usize,
    /// Most series over all, without those of overflow, of which each metric of each resource can have one. 20,000.
    pub max_total_series: usize,
    /// The processes of a service instance are told apart: resources that differ in `process.pid`, `process.command_line` or
    /// another attribute `process.…` (but `process.runtime.…`, `process.executable.…`) are different ones, and so is the container
    /// of a Pod (`k8s.container.name`) after a restart (`container.id`, `k8s.container.restart_count`). Else they are one without
    /// these attributes, so that the workers of a server, which come and go, count together. Off.
    pub processes: bool,
    /// Most resources; all others are one with `otel.metric.overflow`. 500.
    pub max_resources: usize,
    /// Most names of spans of one resource in the metrics of every span; those beyond are `AGGREGATED`. 100.
    pub max_span_names: usize,
    /// A series that got no value for so long vanishes, once its last values were collected. 0: never. 5 min.
    pub ttl: Duration,
    /// The attribute `source` of the service graph's metrics and of the spans' by Tempo's names. `obtrace`.
    pub source: Text,
    /// What made the metrics.
    pub scope: Arc<Scope>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            operations: true,
            names: Names::default(),
            service_graph: false,
            spans: SpanNames::default(),
            span_sizes: false,
            server_address: false,
            routes_of_names: false,
            buckets: Buckets::default(),
            duration_bounds: Vec::new(),
            size_bounds: Vec::new(),
            exemplars: false,
            max_series: 2000,
            max_total_series: 20_000,
            processes: false,
            max_resources: 500,
            max_span_names: 100,
            ttl: Duration::from_secs(300),
            source: const { Text::constant("obtrace") },
            scope: Arc::new(Scope::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))),
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $set:ident($field:ident: $type:ty) $(= $made:expr)?;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $set(mut self, $field: $type) -> Self {
                $(let $field = $made;)?
                self.$field = $field;
                self
            }
        )*
    };
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets [`Config::operations`].
        with_operations(operations: bool);
        /// Sets [`Config::names`].
        with_names(names: Names);
        /// Sets [`Config::service_graph`].
        with_service_graph(service_graph: bool);
        /// Sets [`Config::spans`].
        with_spans(spans: SpanNames);
        /// Sets [`Config::span_sizes`].
        with_span_sizes(span_sizes: bool);
        /// Sets [`Config::server_address`].
        with_server_address(server_address: bool);
        /// Sets [`Config::routes_of_names`].
        with_routes_of_names(routes_of_names: bool);
        /// Sets [`Config::buckets`].
        with_buckets(buckets: Buckets);
        /// Sets [`Config::duration_bounds`]: sorted, what is no number and what is there twice left out, at most 200.
        with_duration_bounds(duration_bounds: Vec<f64>) = bounds(duration_bounds);
        /// Sets [`Config::size_bounds`]: sorted, what is no number and what is there twice left out, at most 200.
        with_size_bounds(size_bounds: Vec<f64>) = bounds(size_bounds);
        /// Sets [`Config::exemplars`].
        with_exemplars(exemplars: bool);
        /// Sets [`Config::max_series`], at least 1.
        with_max_series(max_series: usize) = max_series.max(1);
        /// Sets [`Config::max_total_series`].
        with_max_total_series(max_total_series: usize);
        /// Sets [`Config::processes`].
        with_processes(processes: bool);
        /// Sets [`Config::max_resources`], at least 1.
        with_max_resources(max_resources: usize) = max_resources.max(1);
        /// Sets [`Config::max_span_names`].
        with_max_span_names(max_span_names: usize);
        /// Sets [`Config::ttl`].
        with_ttl(ttl: Duration);
        /// Sets [`Config::scope`].
        with_scope(scope: Arc<Scope>);
    }

    /// Whether metrics tell spans by their names.
    pub(super) fn has_names(&self) -> bool {
        self.spans != SpanNames::Off || self.span_sizes
    }

    /// Sets [`Config::source`].
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Text>) -> Self {
        self.source = source.into();
        self
    }
}

/// Bounds as histograms need them.
pub(super) fn bounds(mut bounds: Vec<f64>) -> Vec<f64> {
    bounds.retain(|bound| bound.is_finite());
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    bounds.truncate(MAX_BOUNDS);
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_are_written() {
        for names in [Names::SemanticConventions, Names::Obi04] {
            assert_eq!(names.to_string().parse(), Ok(names));
        }
        let error = "obi".parse::<Names>().unwrap_err();
        assert_eq!(error.to_string(), "names of metrics are `semconv` or `obi-0.4`, not `obi`");
    }

    #[test]
    fn bounds_are_sorted_and_finite() {
        let config = Config::new().with_duration_bounds(vec![2.0, f64::NAN, 0.5, f64::INFINITY, 2.0]);
        assert_eq!(config.duration_bounds, [0.5, 2.0]);
    }
}
