//! Every option there is: one table for the file, the environment, the flags, the schema and the documentation.

mod export;
mod metrics;

use super::value::Kind;

/// An option.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Opt {
    /// Its place in the file: `limits.max_sockets`.
    pub key: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// What it is if nobody says anything; empty: not set.
    pub default: &'static str,
    /// The flag of `run`, without the dashes; empty: none.
    pub flag: &'static str,
    /// Names of other programs' users, beside `OBTRACE_` and the key in capitals. The earlier ones win.
    pub aliases: &'static [&'static str],
    /// What it is for.
    pub help: &'static str,
}

const fn option(key: &'static str, kind: Kind, default: &'static str, flag: &'static str, help: &'static str) -> Opt {
    Opt { key, kind, default, flag, aliases: &[], help }
}

impl Opt {
    const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The environment variable of its own: `OBTRACE_` and the key in capitals, `OBTRACE_LIMITS_MAX_SOCKETS`.
    #[must_use]
    pub fn variable(&self) -> String {
        let name = match self.key {
            "export.ingest_url" => "INGEST_URL",
            "export.api_key" => "API_KEY",
            "traces.sample_ratio" => "TRACE_SAMPLE_RATIO",
            key => key,
        };
        format!("OBTRACE_{}", name.replace('.', "_").to_uppercase())
    }
}

use Kind::{Bytes, Choice, Duration, Integer, List, Ports, Switch, Text};

const COUNT: Kind = Integer(1, 100_000_000);

/// All options, in the order in which they are shown.
pub static OPTIONS: &[Opt] = &joined::<ALL>([AGENT, export::OPTIONS, metrics::OPTIONS]);

const ALL: usize = AGENT.len() + export::OPTIONS.len() + metrics::OPTIONS.len();

/// The lists one after the other.
const fn joined<const N: usize>(lists: [&[Opt]; 3]) -> [Opt; N] {
    let mut all = [AGENT[0]; N];
    let (mut list, mut at, mut into) = (0, 0, 0);
    while into < N {
        if at == lists[list].len() {
            (list, at) = (list + 1, 0);
        } else {
            all[into] = lists[list][at];
            (at, into) = (at + 1, into + 1);
        }
    }
    all
}

/// What is not about export and metrics.
const AGENT: &[Opt] = &[
    option(
        "print",
        Choice(&["text", "tree", "jsonl", "otlp-json", "none"]),
        "",
        "print",
        "form of the spans on standard output; text without an exporter and without metrics, none with them",
    ),
    option(
        "backend",
        Choice(&["auto", "fentry", "kprobe", "tracepoint"]),
        "auto",
        "backend",
        "how the kernel is hooked",
    ),
    option("accounts", Text, "", "accounts", "file for one JSON line about the bytes of each connection that ends"),
    option(
        "log",
        Choice(&["error", "warn", "info", "debug", "trace"]),
        "warn",
        "log",
        "what is logged on standard error",
    )
    .or(&["OTEL_EBPF_LOG_LEVEL"]),
    option("select.pids", List, "", "pid", "only these processes and those they start").or(&["OTEL_EBPF_TARGET_PID"]),
    option(
        "select.ports",
        Ports,
        "",
        "port",
        "only connections whose server has one of these ports, and processes that listen on or call one",
    )
    .or(&["OTEL_EBPF_OPEN_PORT"]),
    option(
        "select.programs",
        List,
        "",
        "exe",
        "only processes whose program matches one of these patterns, and those they start",
    )
    .or(&["OTEL_EBPF_AUTO_TARGET_EXE", "OTEL_EBPF_EXECUTABLE_PATH"]),
    option("select.exclude", List, "", "exclude", "never processes whose program matches one of these patterns"),
    option("select.scan_interval", Duration, "10s", "", "how often /proc is looked through")
        .or(&["OTEL_EBPF_DISCOVERY_POLL_INTERVAL"]),
    option("limits.max_sockets", COUNT, "32768", "max-sockets", "sockets observed at a time; those beyond are counted"),
    option(
        "limits.memory",
        Bytes,
        "64MiB",
        "",
        "bytes that all connections hold together for messages that are not whole",
    ),
    option("limits.connection_memory", Bytes, "64KiB", "", "bytes that one direction of a connection holds"),
    option("limits.max_peers", COUNT, "4096", "", "peers of UDP sockets told apart at a time"),
    option("limits.peer_timeout", Duration, "30s", "", "how long a peer of a UDP socket is remembered"),
    option(
        "limits.idle_after",
        Duration,
        "10s",
        "",
        "after how long without traffic a connection gives back its memory",
    ),
    option(
        "limits.evict_after",
        Duration,
        "15m",
        "",
        "after how long without traffic a socket may be given up when the table is nearly full",
    ),
    option("limits.gap_timeout", Duration, "200ms", "", "how long missing bytes are waited for"),
    option("limits.dns_timeout", Duration, "5s", "", "how long a DNS query over UDP waits for its answer")
        .or(&["OTEL_EBPF_BPF_DNS_REQUEST_TIMEOUT", "OTEL_EBPF_DNS_REQUEST_TIMEOUT"]),
    option("limits.max_processes", COUNT, "16384", "", "processes remembered"),
    option("limits.max_open", COUNT, "65536", "", "requests without their answer at a time"),
    option("limits.ring_bytes", Bytes, "4MiB", "", "size of the kernel's ring buffer"),
    option("limits.capture_bytes", Bytes, "256KiB", "", "bytes captured of one system call"),
    option(
        "traces.max_names",
        COUNT,
        "100",
        "",
        "path templates of a service; spans of other paths are named by their method alone",
    )
    .or(&["OTEL_EBPF_METRIC_SPAN_NAMES_LIMIT"]),
    option("traces.url_query", Switch, "true", "", "record url.query, its sensitive values replaced"),
    option("traces.sensitive_parameters", List, "", "", "more query parameters whose values are replaced")
        .or(&["OTEL_EBPF_SENSITIVE_QUERY_PARAMS_ADD"]),
    option(
        "traces.query_text",
        Choice(&["off", "sanitized", "raw"]),
        "sanitized",
        "",
        "what of a statement is recorded as db.query.text; raw: SQL as it is, with all the data in it",
    ),
    option(
        "traces.heuristic_sql",
        Switch,
        "false",
        "",
        "tell statements of SQL on connections whose protocol is not known (db.system.name other_sql); they are guessed",
    )
    .or(&["OTEL_EBPF_HEURISTIC_SQL_DETECT"]),
    option(
        "traces.gen_ai_content",
        Switch,
        "false",
        "",
        "record what models are asked and answer, arguments of tools included: prompts are private",
    ),
    option(
        "traces.gen_ai_endpoints",
        List,
        "",
        "",
        "hosts that speak OpenAI's API beside those that are known, as HOST=PROVIDER or HOST:PORT=PROVIDER",
    ),
    option(
        "traces.sample_ratio",
        Text,
        "1",
        "",
        "the part of the traces that begin here and are kept, 0 to 1; a traceparent decides by its sampled flag",
    ),
    option(
        "traces.exporters",
        List,
        "",
        "",
        "where spans go: otlp (http://localhost:4318 if no receiver is named), console, none; empty: to the receiver that is named",
    )
    .or(&["OTEL_TRACES_EXPORTER"]),
    option("traces.max_adopted_spans", COUNT, "1000", "", "spans that use the same incoming traceparent"),
    option("traces.max_adopted_age", Duration, "10m", "", "how long the same incoming traceparent is used"),
    option("resource.attributes", List, "", "", "attributes of every resource: key=value,key=value")
        .or(&["OTEL_RESOURCE_ATTRIBUTES"]),
    option("resource.command_args", Switch, "false", "", "record process.command_args; arguments often hold secrets"),
    option(
        "kubernetes.enable",
        Choice(&["auto", "true", "false"]),
        "auto",
        "",
        "whether the Pods of a node are asked for; auto: in a Pod that knows its node's name",
    )
    .or(&["OTEL_EBPF_KUBE_METADATA_ENABLE"]),
    option("kubernetes.node", Text, "", "", "name of the node whose Pods are observed")
        .or(&["OBTRACE_NODE_NAME", "NODE_NAME"]),
    option("kubernetes.cluster", Text, "", "", "name of the cluster, k8s.cluster.name")
        .or(&["OTEL_EBPF_KUBE_CLUSTER_NAME"]),
    option(
        "kubernetes.kubeconfig",
        Text,
        "",
        "",
        "file that tells how to reach the API server; a Pod's service account without one",
    )
    .or(&["OTEL_EBPF_KUBECONFIG_PATH", "KUBECONFIG"]),
    option(
        "kubernetes.exclude_namespaces",
        List,
        crate::kubernetes::EXCLUDED_NAMESPACES,
        "",
        "namespaces whose Pods the agent of a node leaves alone, as patterns",
    ),
    option("kubernetes.host_processes", Switch, "false", "", "observe processes of the node that are in no Pod, too"),
    option("kubernetes.peers", Switch, "true", "", "call peers by the names of their Services and Pods"),
    option("kubernetes.max_pods", COUNT, "1024", "", "Pods of the node remembered"),
    option("kubernetes.max_peers", COUNT, "16384", "", "addresses of peers remembered"),
    option("pod.name", Text, "", "", "beside one Pod: its name").or(&["OBTRACE_POD_NAME"]),
    option("pod.namespace", Text, "", "", "its namespace").or(&["OBTRACE_POD_NAMESPACE"]),
    option("pod.service", Text, "", "", "the name of its service").or(&["OBTRACE_SERVICE_NAME"]),
    option("pod.environment", Text, "", "", "the name of its environment").or(&["OBTRACE_ENVIRONMENT"]),
    option("pod.traced", List, "", "", "kinds of span that loaders in its processes report").or(&["OBTRACE_TRACED"]),
    option("pipeline.queue_length", COUNT, "16", "", "batches that wait before a part of the pipeline")
        .or(&["OTEL_EBPF_CHANNEL_BUFFER_LEN"]),
    option(
        "pipeline.send_timeout",
        Duration,
        "10s",
        "",
        "after how long a part of the pipeline that does not take its input is reported",
    )
    .or(&["OTEL_EBPF_CHANNEL_SEND_TIMEOUT"]),
    option("pipeline.shutdown_timeout", Duration, "5s", "", "how long the end may take")
        .or(&["OTEL_EBPF_SHUTDOWN_TIMEOUT"]),
    option("pipeline.batch_length", COUNT, "1024", "", "records of a batch from the ring buffer")
        .or(&["OTEL_EBPF_BPF_BATCH_LENGTH"]),
    option(
        "pipeline.batch_timeout",
        Duration,
        "1s",
        "",
        "how long such a batch waits to be full while the parser is busy",
    )
    .or(&["OTEL_EBPF_BPF_BATCH_TIMEOUT"]),
    option("color", Choice(&["auto", "always", "never"]), "auto", "color", "colours on the terminal"),
];
