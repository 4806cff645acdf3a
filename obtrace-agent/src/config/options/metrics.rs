//! Options of metrics that are made from spans, and of the agent's own.

use super::{
    COUNT,
    Kind::{Address, Choice, Duration, Integer, List, Numbers, Switch, Text},
    Opt, option,
};

pub(super) const OPTIONS: &[Opt] = &[
    option(
        "metrics.enable",
        Switch,
        "false",
        "metrics",
        "metrics of the requests that this agent reports, sampled or not, to the OTLP receiver; those that a loader in the process or \
         another agent reports are not counted",
    ),
    option(
        "metrics.exporters",
        List,
        "",
        "",
        "where metrics go: otlp (http://localhost:4318 if no receiver is named), prometheus, console, none",
    )
    .or(&["OTEL_METRICS_EXPORTER"]),
    option("metrics.interval", Duration, "60s", "", "how often they are sent")
        .or(&["OTEL_EBPF_METRICS_INTERVAL", "OTEL_METRIC_EXPORT_INTERVAL"]),
    option("metrics.names", Choice(&["semconv", "obi-0.4"]), "semconv", "", "what they are called: as the semantic conventions say, or as OBI 0.4 does"),
    option(
        "metrics.features",
        List,
        "application",
        "",
        "which there are: application (durations and sizes by the semantic conventions), application_span (calls by the spans' names, as \
         Tempo calls them), application_span_otel (as the Collector does), application_span_sizes, application_service_graph, all",
    )
    .or(&["OTEL_EBPF_METRICS_FEATURES", "OTEL_EBPF_PROMETHEUS_FEATURES"]),
    option("metrics.histogram", Choice(&["explicit", "exponential"]), "explicit", "", "kind of the histograms")
        .or(&["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"]),
    option("metrics.duration_buckets", Numbers, "", "", "upper bounds of the buckets of durations in seconds; those of the semantic conventions without any"),
    option("metrics.size_buckets", Numbers, "", "", "upper bounds of the buckets of body sizes in bytes"),
    option("metrics.ttl", Duration, "5m", "", "after how long without a request a series is forgotten, at the soonest after two intervals; 0: never")
        .or(&["OTEL_EBPF_METRICS_TTL", "OTEL_EBPF_PROMETHEUS_TTL"]),
    option("metrics.max_series", COUNT, "2000", "", "series of one metric at most; what is beyond is one series, otel.metric.overflow"),
    option("metrics.max_total_series", COUNT, "20000", "", "series of all metrics together at most"),
    option("metrics.max_resources", COUNT, "500", "", "resources (processes, containers) whose series are told apart at most; what is beyond is one resource, otel.metric.overflow"),
    option("metrics.exemplars", Switch, "false", "", "the trace of a value in each bucket"),
    option("metrics.self", Switch, "true", "", "the agent's own metrics as well, where metrics are on"),
    option(
        "prometheus.address",
        Address,
        "",
        "prometheus",
        "page for Prometheus: a port, which is of this machine alone, or HOST:PORT; turns metrics on",
    )
    .or(&["OTEL_EBPF_PROMETHEUS_PORT"]),
    option("prometheus.host", Text, "localhost", "", "its host where the address is a port").or(&["OTEL_EXPORTER_PROMETHEUS_HOST"]),
    option("prometheus.port", Integer(0, 65_535), "9464", "", "its port where metrics.exporters asks for it without an address")
        .or(&["OTEL_EXPORTER_PROMETHEUS_PORT"]),
    option("prometheus.path", Text, "/metrics", "", "its path").or(&["OTEL_EBPF_PROMETHEUS_PATH"]),
];
