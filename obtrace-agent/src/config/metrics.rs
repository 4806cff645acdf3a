//! Which metrics there are and where they go.

use std::{sync::Arc, time::Duration};

use obtrace_export::{
    model::{Scope, Signal},
    span_metrics::{Buckets, Config as Measured, SpanNames},
};

use super::{Config, ConfigError, Origin, suggest::nearest, value};
use crate::{metrics, traces::SCHEMA_URL};

/// The features that OBI's users may have set and that are not in this version.
const OTHERS: [&str; 11] = [
    "application_host",
    "application_runtime",
    "ebpf",
    "network",
    "network_flow_packets",
    "network_inter_zone",
    "stats",
    "stats_tcp_failed_connections",
    "stats_tcp_io",
    "stats_tcp_retransmits",
    "stats_tcp_rtt",
];
const FEATURES: [&str; 5] =
    ["application", "application_span", "application_span_otel", "application_span_sizes", "application_service_graph"];
const EVERYTHING: [&str; 2] = ["all", "*"];
const NOTHING: &str = "none";

/// What may be said in a list of exporters.
const EXPORTERS: [&str; 4] = ["otlp", "prometheus", "console", "none"];

/// Where spans and metrics go, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Destinations {
    pub(super) traces_otlp: bool,
    pub(super) traces_console: bool,
    pub(super) metrics_otlp: bool,
    pub(super) metrics_console: bool,
    /// The page for Prometheus, by its host and port.
    pub(super) prometheus: Option<(String, u16)>,
    /// Metrics were asked for by `metrics.enable`: to wherever there is.
    pub(super) metrics_anywhere: bool,
}

impl Destinations {
    pub(super) const fn has_metrics(&self) -> bool {
        self.metrics_otlp || self.metrics_console || self.prometheus.is_some() || self.metrics_anywhere
    }
}

impl Config {
    /// What the options about exporters come to together. A list that says `none` switches off what was asked for in a place that it beats:
    /// in the environment what the file asks for, but not what a flag does.
    pub(super) fn destinations(&self) -> Destinations {
        let traces = value::list(self.get("traces.exporters"));
        let metrics = value::list(self.get("metrics.exporters"));
        let has = |words: &[String], word: &str| words.iter().any(|it| it == word);
        let asked = |key: &str, list: &str| {
            let names_others = !has(&value::list(self.get(list)), "none");
            !self.get(key).is_empty() && (names_others || self.origin(key).rank() > self.origin(list).rank())
        };
        let is_enabled = self.is_on("metrics.enable");
        let by_endpoint = metrics.is_empty() && !self.get("export.metrics_endpoint").is_empty();
        let page = asked("prometheus.address", "metrics.exporters") || has(&metrics, "prometheus");
        Destinations {
            traces_otlp: match traces.as_slice() {
                [] => self.has_receiver("export.traces_endpoint"),
                words => has(words, "otlp") || self.is_flag("export.otlp_endpoint"),
            },
            traces_console: has(&traces, "console"),
            metrics_otlp: has(&metrics, "otlp") || by_endpoint,
            metrics_console: has(&metrics, "console"),
            prometheus: page.then(|| self.page()),
            metrics_anywhere: is_enabled && asked("metrics.enable", "metrics.exporters"),
        }
    }

    /// Whether somebody is named who takes items of a kind, beside the key of that kind alone.
    pub(super) fn has_receiver(&self, own: &str) -> bool {
        [own, "export.otlp_endpoint", "export.ingest_url"].iter().any(|key| !self.get(key).is_empty())
    }

    /// Host and port of the page, as far as they are said.
    fn page(&self) -> (String, u16) {
        let port = self.get("prometheus.port").parse().unwrap_or(0);
        let (host, port) = value::address(self.get("prometheus.address")).unwrap_or(("", port));
        let host = if host.is_empty() { self.get("prometheus.host") } else { host };
        (host.to_owned(), port)
    }

    /// What is measured of requests.
    pub(super) fn measured(&self) -> Measured {
        let features = value::list(self.get("metrics.features"));
        let is_asked = |name: &str| features.iter().any(|word| word == name || EVERYTHING.contains(&word.as_str()));
        let bounds = |key| value::numbers(self.get(key)).unwrap_or_default();
        let spans = match (is_asked("application_span_otel"), is_asked("application_span")) {
            (true, true) => SpanNames::Both,
            (true, false) => SpanNames::Collector,
            (false, true) => SpanNames::Tempo,
            (false, false) => SpanNames::Off,
        };
        Measured::new()
            .with_operations(is_asked("application"))
            .with_names(self.get("metrics.names").parse().unwrap_or_default())
            .with_spans(spans)
            .with_span_sizes(is_asked("application_span_sizes"))
            .with_service_graph(is_asked("application_service_graph"))
            // The paths in the names of spans are templates, and bounded.
            .with_routes_of_names(true)
            .with_buckets(match self.get("metrics.histogram") {
                "exponential" => Buckets::Exponential,
                _ => Buckets::Explicit,
            })
            .with_duration_bounds(bounds("metrics.duration_buckets"))
            .with_size_bounds(bounds("metrics.size_buckets"))
            .with_exemplars(self.is_on("metrics.exemplars"))
            .with_max_series(self.count("metrics.max_series"))
            .with_max_total_series(self.count("metrics.max_total_series"))
            .with_max_resources(self.count("metrics.max_resources"))
            .with_max_span_names(self.count("traces.max_names"))
            .with_ttl(self.duration("metrics.ttl"))
            .with_scope(Arc::new(Scope::new("obtrace-agent", env!("CARGO_PKG_VERSION")).with_schema_url(SCHEMA_URL)))
    }

    /// What can only be judged when everything is read.
    pub(super) fn review(&mut self) -> Result<(), ConfigError> {
        for key in ["traces.exporters", "metrics.exporters"] {
            self.review_exporters(key)?;
        }
        self.review_features()?;
        self.review_key();
        self.review_connections();
        let ingest = !self.get("export.ingest_url").is_empty();
        for key in ["export.protocol", "export.traces_protocol", "export.metrics_protocol"] {
            let value = self.get(key);
            if ingest && !matches!(value, "" | "http/json") {
                let origin = self.origin(key);
                self.warnings
                    .push(format!("{origin}: {key} is {value}; the Obtrace ingest is sent http/json all the same"));
            }
        }
        Ok(())
    }

    fn review_exporters(&mut self, key: &str) -> Result<(), ConfigError> {
        for word in value::list(self.get(key)) {
            let is_known = EXPORTERS.contains(&word.as_str()) && !(word == "prometheus" && key == "traces.exporters");
            if is_known {
                continue;
            }
            let Origin::Environment(name) = self.origin(key) else {
                return Err(self.wrong(key, "a list of otlp, prometheus (metrics only), console and none"));
            };
            // It may be meant for other programs as well.
            self.warnings.push(format!("{name}: {word} is not in this version: nothing goes there"));
        }
        Ok(())
    }

    /// A key that nobody is given is one that was meant for somebody.
    fn review_key(&mut self) {
        let wanted = self.destinations();
        let is_sent = wanted.traces_otlp || wanted.metrics_otlp || wanted.metrics_anywhere;
        let is_given = [Signal::Traces, Signal::Metrics].into_iter().any(|signal| self.gives_key(signal));
        if is_sent && !is_given && !self.get("export.api_key").is_empty() {
            self.warnings.push(format!(
                "{}: the key goes to nobody: the receiver is not the ingest of export.ingest_url; export.headers gives a header to any",
                self.origin("export.api_key")
            ));
        }
    }

    fn review_features(&mut self) -> Result<(), ConfigError> {
        for word in value::list(self.get("metrics.features")) {
            let word = word.as_str();
            if OTHERS.contains(&word) {
                self.warnings
                    .push(format!("{}: the metrics {word} are not in this version", self.origin("metrics.features")));
            } else if !FEATURES.contains(&word) && !EVERYTHING.contains(&word) && word != NOTHING {
                let hint = nearest(word, FEATURES.into_iter());
                let hint = hint.map_or_else(String::new, |name| format!("; do you mean {name}?"));
                return Err(self.wrong("metrics.features", &format!("a list of {} or all{hint}", FEATURES.join(", "))));
            }
        }
        Ok(())
    }

    /// What metrics are made of and how often they are sent, which is not more often than ten times a second.
    pub(super) fn metric_settings(&self) -> metrics::Settings {
        let mut settings = metrics::Settings::new();
        settings.requests = self.measured();
        settings.interval = self.duration("metrics.interval").max(Duration::from_millis(100));
        settings.own = self.is_on("metrics.self");
        settings.queue = self.queue_limits();
        settings
    }

    fn is_on(&self, key: &str) -> bool {
        value::switch(self.get(key)).unwrap_or(false)
    }
}
