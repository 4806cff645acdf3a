//! Options of what leaves: to whom, in which form, and what becomes of it while nobody takes it.

use super::{
    COUNT,
    Kind::{self, Bytes, Choice, Duration, Integer, Secret, Switch, Text, Url},
    Opt, option,
};

const PROTOCOL: Kind = Choice(&["http/json", "http/protobuf", "grpc"]);
const COMPRESSION: Kind = Choice(&["none", "gzip", "zstd"]);

pub(super) const OPTIONS: &[Opt] = &[
    option(
        "export.otlp_endpoint",
        Url,
        "",
        "otlp",
        "OTLP receiver; over HTTP spans are posted to URL/v1/traces, metrics to URL/v1/metrics",
    )
    .or(&["OTEL_EXPORTER_OTLP_ENDPOINT"]),
    option("export.traces_endpoint", Url, "", "", "OTLP receiver of spans by its full URL")
        .or(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]),
    option("export.metrics_endpoint", Url, "", "", "OTLP receiver of metrics by its full URL; turns metrics on")
        .or(&["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"]),
    option("export.protocol", PROTOCOL, "http/json", "", "form and transport of OTLP")
        .or(&["OTEL_EXPORTER_OTLP_PROTOCOL"]),
    option("export.traces_protocol", PROTOCOL, "", "", "export.protocol for spans alone")
        .or(&["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"]),
    option("export.metrics_protocol", PROTOCOL, "", "", "export.protocol for metrics alone")
        .or(&["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"]),
    option("export.headers", Secret, "", "", "headers of each request: name=value,name=value")
        .or(&["OTEL_EXPORTER_OTLP_HEADERS"]),
    option("export.traces_headers", Secret, "", "", "export.headers for spans alone")
        .or(&["OTEL_EXPORTER_OTLP_TRACES_HEADERS"]),
    option("export.metrics_headers", Secret, "", "", "export.headers for metrics alone")
        .or(&["OTEL_EXPORTER_OTLP_METRICS_HEADERS"]),
    option("export.timeout", Duration, "10s", "", "how long one request may take; 0: no limit")
        .or(&["OTEL_EXPORTER_OTLP_TIMEOUT"]),
    option("export.traces_timeout", Duration, "", "", "export.timeout for spans alone")
        .or(&["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"]),
    option("export.metrics_timeout", Duration, "", "", "export.timeout for metrics alone")
        .or(&["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT"]),
    option("export.compression", COMPRESSION, "none", "", "how requests are compressed")
        .or(&["OTEL_EXPORTER_OTLP_COMPRESSION"]),
    option("export.traces_compression", COMPRESSION, "", "", "export.compression for spans alone")
        .or(&["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"]),
    option("export.metrics_compression", COMPRESSION, "", "", "export.compression for metrics alone")
        .or(&["OTEL_EXPORTER_OTLP_METRICS_COMPRESSION"]),
    option(
        "export.certificate",
        Text,
        "",
        "",
        "PEM file of the authorities that the receiver's certificate has to be of; the system's without one",
    )
    .or(&["OTEL_EXPORTER_OTLP_CERTIFICATE"]),
    option("export.traces_certificate", Text, "", "", "export.certificate for spans alone")
        .or(&["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"]),
    option("export.metrics_certificate", Text, "", "", "export.certificate for metrics alone")
        .or(&["OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE"]),
    option(
        "export.client_certificate",
        Text,
        "",
        "",
        "PEM file of our own certificate and its chain, for a receiver that asks for one",
    )
    .or(&["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"]),
    option("export.traces_client_certificate", Text, "", "", "export.client_certificate for spans alone")
        .or(&["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE"]),
    option("export.metrics_client_certificate", Text, "", "", "export.client_certificate for metrics alone")
        .or(&["OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE"]),
    option("export.client_key", Text, "", "", "PEM file of the key of that certificate")
        .or(&["OTEL_EXPORTER_OTLP_CLIENT_KEY"]),
    option("export.traces_client_key", Text, "", "", "export.client_key for spans alone")
        .or(&["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"]),
    option("export.metrics_client_key", Text, "", "", "export.client_key for metrics alone")
        .or(&["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY"]),
    option(
        "export.insecure",
        Switch,
        "false",
        "",
        "gRPC without TLS where the endpoint has no scheme; certificates are always checked",
    )
    .or(&["OTEL_EXPORTER_OTLP_INSECURE"]),
    option("export.traces_insecure", Switch, "", "", "export.insecure for spans alone")
        .or(&["OTEL_EXPORTER_OTLP_TRACES_INSECURE"]),
    option("export.metrics_insecure", Switch, "", "", "export.insecure for metrics alone")
        .or(&["OTEL_EXPORTER_OTLP_METRICS_INSECURE"]),
    option(
        "export.ingest_url",
        Url,
        "",
        "",
        "Obtrace ingest; spans are posted to URL/otlp/v1/traces, metrics to URL/otlp/v1/metrics, as http/json",
    ),
    option(
        "export.api_key",
        Secret,
        "",
        "",
        "key for the Obtrace ingest: goes as x-api-key to export.ingest_url and to receivers on its host, to no other; export.headers \
         gives any header to any receiver",
    ),
    option(
        "export.file",
        Text,
        "",
        "otlp-file",
        "file that spans are written to as OTLP JSON, a request a line; metrics go to FILE with .metrics before its extension",
    ),
    option("export.file_bytes", Bytes, "64MiB", "", "from which size on another file is begun"),
    option(
        "export.file_count",
        Integer(1, 1_000),
        "4",
        "",
        "files of a signal at most, that which is written included; traces.1.jsonl is the one before traces.jsonl",
    ),
    option("export.batch_items", COUNT, "500", "", "spans of one request at most")
        .or(&["OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE"]),
    option("export.delay", Duration, "2s", "", "how long a span waits for others")
        .or(&["OTEL_BSP_SCHEDULE_DELAY", "OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT"]),
    option("export.queue_items", COUNT, "8192", "", "spans that wait in memory at most")
        .or(&["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_EBPF_OTLP_TRACES_QUEUE_SIZE"]),
    option("export.queue_bytes", Bytes, "16MiB", "", "bytes that wait in memory at most"),
    option(
        "export.retry_for",
        Duration,
        "5m",
        "",
        "how long a failed request is tried again; with a spool its bound ends it",
    ),
    option(
        "export.spool",
        Text,
        "",
        "spool",
        "folder that keeps what nobody has taken yet, over the end of the agent and kill -9",
    ),
    option("export.spool_bytes", Bytes, "64MiB", "", "bytes that it keeps of spans at most, and as many of metrics"),
    option(
        "export.spool_drop",
        Choice(&["oldest", "newest"]),
        "oldest",
        "",
        "what is dropped, and counted, when it is full",
    ),
];
