use super::*;
use crate::{
    print::Format,
    traces::{QueryText, Sampler},
};

fn load(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Config, ConfigError> {
    let values = OPTIONS.iter().map(|option| (option.default.to_owned(), Origin::Default)).collect();
    let mut config = Config { values, warnings: Vec::new(), in_cluster: false };
    config.read_yaml(file, "a.yaml")?;
    config.read_environment(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))?;
    for (name, value) in flags {
        let at = OPTIONS.iter().position(|option| option.flag == *name).unwrap();
        config.set(at, (*value).to_owned(), Origin::Flag((*name).to_owned()))?;
    }
    Ok(config)
}

#[test]
fn flags_beat_the_environment_beats_the_file_beats_the_defaults() {
    let file = "select:\n  ports: [80, 443]\nlimits:\n  max_sockets: 7\n  memory: 1MiB\n";
    let config =
        load(file, &[("OBTRACE_LIMITS_MAX_SOCKETS", "8"), ("OBTRACE_LIMITS_MEMORY", "2MiB")], &[("max-sockets", "9")])
            .unwrap();
    assert_eq!(
        (config.get("select.ports"), config.origin("select.ports").to_string().as_str()),
        ("80,443", "file a.yaml")
    );
    assert_eq!((config.get("limits.memory"), config.get("limits.max_sockets")), ("2MiB", "9"));
    assert_eq!(config.origin("limits.max_sockets").to_string(), "flag --max-sockets");
    assert_eq!(config.origin("print"), &Origin::Default);
}

#[test]
fn every_default_is_a_value_of_its_kind_and_every_key_is_unique() {
    for (at, option) in OPTIONS.iter().enumerate() {
        assert!(option.default.is_empty() || option.kind.accepts(option.default), "{}", option.key);
        assert!(OPTIONS.iter().skip(at + 1).all(|other| other.key != option.key), "{}", option.key);
        assert!(!option.help.is_empty());
    }
    let built = load("", &[], &[]).unwrap().build().unwrap();
    assert!(built.export.is_none() && built.application.selection.is_everything());
    assert_eq!(built.application.connections.max_connections, 32_768);
}

#[test]
fn an_unknown_key_is_an_error_with_a_suggestion() {
    let error = load("limits:\n  max_socket: 7\n", &[], &[]).unwrap_err();
    assert!(error.to_string().contains("'limits.max_socket' (do you mean 'limits.max_sockets'?)"), "{error}");
}

#[test]
fn a_wrong_value_says_where_and_what_is_right() {
    let error = load("", &[("OBTRACE_LIMITS_MEMORY", "lots")], &[]).unwrap_err();
    let expected =
        "environment OBTRACE_LIMITS_MEMORY: limits.memory is 'lots', which is not a size such as 65536, 64KiB or 4MiB";
    assert_eq!(error.to_string(), expected);
    assert!(load("- a\n", &[], &[]).unwrap_err().to_string().contains("keys and values"));
    assert!(load("a: [", &[], &[]).is_err());
}

#[test]
fn names_of_others_are_understood_or_named() {
    let config = load(
        "",
        &[
            ("OTEL_EBPF_OPEN_PORT", "8000-8010"),
            ("OTEL_EBPF_TRACE_PRINTER", "json"),
            ("OTEL_BSP_SCHEDULE_DELAY", "500"),
            ("OTEL_EBPF_LOG_LEVEL", "INFO"),
            ("OTEL_EBPF_BPF_WAKEUP_LEN", "10"),
            ("OBTRACE_LIMIT_MEMORY", "1"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("PATH", "/bin"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(config.get("select.ports"), "8000-8010");
    assert_eq!((config.get("print"), config.get("export.delay"), config.get("log")), ("jsonl", "500ms", "info"));
    let warnings = config.warnings().join("\n");
    assert!(warnings.contains("OTEL_EBPF_BPF_WAKEUP_LEN is not in this version"));
    assert!(warnings.contains("do you mean OBTRACE_LIMITS_MEMORY?"));
    assert!(warnings.contains("OTEL_TRACES_SAMPLER=traceidratio"));
    assert_eq!(config.warnings().len(), 3);
    let error = load("", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], &[]).unwrap_err();
    assert!(error.to_string().contains("http/json"));
}

#[test]
fn what_is_kept_of_statements_and_how_long_queries_wait_reaches_the_parsers() {
    let built = load("", &[], &[]).unwrap().build().unwrap().application;
    assert!(!built.connections.raw_sql && built.traces.query_text == QueryText::Sanitized);
    assert_eq!(built.connections.datagram_timeout, 5_000_000_000);
    for name in ["OTEL_EBPF_BPF_DNS_REQUEST_TIMEOUT", "OTEL_EBPF_DNS_REQUEST_TIMEOUT", "OBTRACE_LIMITS_DNS_TIMEOUT"] {
        let config = load("traces:\n  query_text: raw\n", &[(name, "1500ms")], &[]).unwrap();
        assert!(config.warnings().is_empty());
        let built = config.build().unwrap().application;
        assert!(built.connections.raw_sql && built.traces.query_text == QueryText::Raw);
        assert_eq!(built.connections.datagram_timeout, 1_500_000_000);
    }
    let off = load("", &[("OBTRACE_TRACES_QUERY_TEXT", "off")], &[]).unwrap().build().unwrap().application;
    assert!(!off.connections.raw_sql && off.traces.query_text == QueryText::Off);
}

#[test]
fn variables_of_the_projects_tools_are_no_mistakes() {
    let tools = [("OBTRACE_CACHE", "/var/cache"), ("OBTRACE_BPF_BUILD", "1")];
    assert!(load("", &tools, &[]).unwrap().warnings().is_empty());
    assert_eq!(load("", &[("OBTRACE_CACHES", "x")], &[]).unwrap().warnings().len(), 1);
}

#[test]
fn ports_choose_the_processes_but_for_that_of_datagrams() {
    let built = |ports: &str| load("", &[], &[("port", ports)]).unwrap().build().unwrap().application;
    let http = built("80,8000-8099");
    assert_eq!((http.selection.ports.as_slice(), http.connections.ports.len()), (&[80..=80, 8000..=8099][..], 2));
    let dns = built("50-60");
    assert!(dns.selection.is_everything() && dns.connections.ports == [50..=60]);
}

#[test]
fn secrets_are_never_shown() {
    let config = load("export:\n  api_key: hunter2\n", &[("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter3")], &[]).unwrap();
    assert!(config.entries().all(|(_, value, _)| !value.contains("hunter")));
    assert_eq!(config.get("export.api_key"), "hunter2");
    let error = load("export:\n  ingest_url: ftp://x:hunter2@y\n", &[], &[]).unwrap().build().unwrap_err();
    assert!(!error.to_string().contains("hunter"), "{error}");
}

#[test]
fn where_spans_go() {
    let url = |environment: &[(&str, &str)], flags: &[(&'static str, &str)]| {
        let built = load("", environment, flags).unwrap().build().unwrap();
        (built.export.map(|(http, _)| http.url()), built.application.format)
    };
    assert_eq!(url(&[], &[]), (None, Format::Text));
    let (to, format) = url(&[("OBTRACE_INGEST_URL", "https://ingest.example.com")], &[]);
    assert_eq!((to.as_deref(), format), (Some("https://ingest.example.com/otlp/v1/traces"), Format::None));
    let (to, format) = url(&[], &[("otlp", "http://localhost:4318"), ("print", "tree")]);
    assert_eq!((to.as_deref(), format), (Some("http://localhost:4318/v1/traces"), Format::Tree));
    let both = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2/x")];
    assert_eq!(url(&both, &[]).0.as_deref(), Some("http://b:2/x"));
    assert_eq!(url(&both, &[("otlp", "http://c:3")]).0.as_deref(), Some("http://c:3/v1/traces"));
}

#[test]
fn the_schema_has_every_option() {
    let schema = Config::schema();
    for option in &OPTIONS {
        let path = option.key.replace('.', "/properties/");
        let leaf = schema.pointer(&format!("/properties/{path}"));
        assert!(leaf.is_some_and(|leaf| leaf["description"] == option.help), "{}", option.key);
    }
}

/// What the operator's webhook gives a sidecar.
const SIDECAR: [(&str, &str); 9] = [
    ("OBTRACE_INGEST_URL", "https://ingest.example.com"),
    ("OBTRACE_SERVICE_NAME", "checkout"),
    ("OBTRACE_ENVIRONMENT", "production"),
    ("OBTRACE_LANGUAGE", "go"),
    ("OBTRACE_POD_NAME", "checkout-7d9c6b5f44-x1"),
    ("OBTRACE_POD_NAMESPACE", "shop"),
    ("OBTRACE_NODE_NAME", "node1"),
    ("OBTRACE_TRACE_SAMPLE_RATIO", "1"),
    ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
];

#[test]
fn a_sidecar_knows_its_pod_from_its_environment_and_asks_nobody() {
    let config = load("", &SIDECAR, &[]).unwrap();
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    let cluster = config.build().unwrap().application.enrich.cluster.unwrap();
    assert!(cluster.node().is_none() && !cluster.is_selective());
    let identity = cluster.identity("");
    for (key, value) in [
        ("service.name", "checkout"),
        ("service.namespace", "shop"),
        ("deployment.environment.name", "production"),
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", "checkout-7d9c6b5f44-x1"),
        ("k8s.node.name", "node1"),
    ] {
        assert!(identity.attributes.contains(&(key, value.to_owned())), "{key}: {identity:?}");
    }
    let sampled = load("", &[("OBTRACE_TRACE_SAMPLE_RATIO", "0.1")], &[]).unwrap();
    assert!(sampled.warnings().is_empty(), "{:?}", sampled.warnings());
    assert_eq!(sampled.build().unwrap().application.traces.sampler, Sampler::new(0.1));
    let wrong = load("", &[("OBTRACE_TRACE_SAMPLE_RATIO", "0,1")], &[]).unwrap();
    assert!(wrong.warnings()[0].contains("all traces are kept"));
    assert_eq!(wrong.build().unwrap().application.traces.sampler, Sampler::ALL);
}

#[test]
fn a_machine_without_kubernetes_has_no_cluster() {
    for environment in [&[][..], &[("NODE_NAME", "node1")], &[("KUBERNETES_SERVICE_HOST", "10.96.0.1")]] {
        assert!(
            load("", environment, &[]).unwrap().build().unwrap().application.enrich.cluster.is_none(),
            "{environment:?}"
        );
    }
}

#[cfg(feature = "kubernetes")]
#[test]
fn the_agent_of_a_node_leaves_system_namespaces_alone() {
    let environment = [
        ("NODE_NAME", "node1"),
        ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
        ("OTEL_EBPF_KUBE_METADATA_ENABLE", "autodetect"),
    ];
    let cluster = load("", &environment, &[]).unwrap().build().unwrap().application.enrich.cluster.unwrap();
    let node = cluster.node().unwrap();
    let is_excluded = |name: &str| node.exclude_namespaces.iter().any(|glob| glob.matches(name));
    // Those of OBI and those of the operator.
    for name in [
        "kube-system",
        "kube-node-lease",
        "local-path-storage",
        "grafana-alloy",
        "cert-manager",
        "monitoring",
        "gke-managed-system",
        "gatekeeper-system",
        "kube-public",
        "linkerd",
        "argocd",
        "obtrace-system",
        "obtrace-infra",
    ] {
        assert!(is_excluded(name), "{name}");
    }
    assert!(!is_excluded("shop") && !is_excluded("monitoring-demo"));
    let nobody = load("", &[("OBTRACE_KUBERNETES_ENABLE", "true")], &[]).unwrap().build().unwrap_err();
    assert!(nobody.to_string().contains("NODE_NAME"), "{nobody}");
}

#[cfg(not(feature = "kubernetes"))]
#[test]
fn what_was_built_without_kubernetes_says_so() {
    let asked = [("OBTRACE_KUBERNETES_ENABLE", "true"), ("NODE_NAME", "node1")];
    let error = load("", &asked, &[]).unwrap().build().unwrap_err();
    assert!(error.to_string().contains("--features kubernetes"), "{error}");
}
