use std::{io::Read as _, sync::Arc, thread};

use obtrace_export::{
    encode::Format as Encoding,
    model::{Metric, MetricData, NumberPoint, Resource, Scope, Signal, Span, SpanId, SpanKind, TraceId},
    pipeline::Exporter,
    span_metrics::{Buckets, Names, SpanNames},
};

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
    config.review()?;
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
    assert!(built.traces.is_empty() && built.metrics.is_none() && !built.application.traces.unsampled);
    assert!(built.application.selection.is_everything());
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
    let error = load("", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml")], &[]).unwrap_err();
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
    assert!(!format!("{config:?}").contains("hunter"), "{config:?}");
    let url = "https://user:hunter4@collector:4318/?token=hunter5";
    let urls = ["INGEST_URL", "EXPORT_OTLP_ENDPOINT", "EXPORT_TRACES_ENDPOINT", "EXPORT_METRICS_ENDPOINT"];
    let urls = urls.map(|name| (format!("OBTRACE_{name}"), url));
    let urls: Vec<_> = urls.iter().map(|(name, url)| (name.as_str(), *url)).collect();
    let config = load("", &urls, &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter"), "{config:?}");
    assert_eq!(config.entries().filter(|(_, value, _)| value == "https://collector:4318/").count(), 4);
    let error = load("export:\n  ingest_url: ftp://x:hunter2@y\n", &[], &[]).unwrap().build().unwrap_err();
    assert!(!error.to_string().contains("hunter"), "{error}");
    for (file, line) in [
        ("export:\n  api_key: hunter2\n  headers: \"a=hunter3\n", "line"),
        ("export:\n  compression: gzip\n  headers: a=hunter3\n  compression: none\n", "line 4"),
        ("export:\n  api_key: *hunter2\n", "line 2"),
        ("export:\n  api_key: @hunter2\n", "line 2"),
        ("export:\n  api_key: %hunter2\n", "line 2"),
        ("export:\n  api_key: |hunter2\n", "line 2"),
        ("export:\n  api_key: {hunter2: 1, hunter2: 2}\n", "line 2"),
        ("export:\n  headers: hunter2: hunter3\n", "line 2"),
        ("export:\n  headers: {a=hunter2: 1}\n", "export.headers"),
        ("export:\n  headers:\n    a=hunter2: {b: hunter3}\n", "export.headers"),
    ] {
        let error = load(file, &[], &[]).unwrap_err().to_string();
        assert!(!error.contains("hunter") && error.contains(line), "{file}: {error}");
    }
}

#[test]
fn where_spans_go() {
    let url = |environment: &[(&str, &str)], flags: &[(&'static str, &str)]| {
        let built = load("", environment, flags).unwrap().build().unwrap();
        (built.traces.first().map(|outlet| outlet.target()), built.application.format)
    };
    assert_eq!(url(&[], &[]), (None, Format::Text));
    let (to, format) = url(&[("OBTRACE_INGEST_URL", "https://ingest.example.com")], &[]);
    assert_eq!((to.as_deref(), format), (Some("https://ingest.example.com/otlp/v1/traces"), Format::None));
    let (to, format) = url(&[], &[("otlp", "http://localhost:4318"), ("print", "tree")]);
    assert_eq!((to.as_deref(), format), (Some("http://localhost:4318/v1/traces"), Format::Tree));
    let both = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2/x")];
    assert_eq!(url(&both, &[]).0.as_deref(), Some("http://b:2/x"));
    assert_eq!(url(&both, &[("otlp", "http://c:3")]).0.as_deref(), Some("http://c:3/v1/traces"));
    let exporter = |words| [("OTEL_TRACES_EXPORTER", words), both[0]];
    assert_eq!(url(&exporter("none"), &[]), (None, Format::Text));
    assert_eq!(url(&exporter("none"), &[("otlp", "http://c:3")]).0.as_deref(), Some("http://c:3/v1/traces"));
    assert_eq!(url(&exporter("otlp,console"), &[]), (Some("http://a:1/v1/traces".to_owned()), Format::Text));
    assert_eq!(url(&exporter("otlp")[..1], &[]).0.as_deref(), Some("http://localhost:4318/v1/traces"));
}

#[test]
fn what_goes_to_files_goes_to_one_for_each_signal() {
    let file = [("otlp-file", "/var/log/agent.jsonl"), ("metrics", "true")];
    let built = load("", &[], &file).unwrap().build().unwrap();
    let targets = |outlets: &[Outlet]| outlets.iter().map(Outlet::target).collect::<Vec<_>>();
    assert_eq!(targets(&built.traces), ["/var/log/agent.jsonl"]);
    assert_eq!(targets(&built.metrics.unwrap().outlets), ["/var/log/agent.metrics.jsonl"]);
    let device = [("otlp-file", "/dev/stdout"), ("metrics", "true")];
    let device = load("", &[], &device).unwrap().build().unwrap();
    assert_eq!(targets(&device.metrics.unwrap().outlets), ["/dev/stdout"], "nothing is made in /dev");
    let memory = [("otlp-file", "/dev/shm/agent.jsonl"), ("metrics", "true")];
    let memory = load("", &[], &memory).unwrap().build().unwrap();
    assert_eq!(targets(&memory.metrics.unwrap().outlets), ["/dev/shm/agent.metrics.jsonl"]);
    let both = [("otlp-file", "out"), ("otlp", "http://c:3")];
    assert_eq!(targets(&load("", &[], &both).unwrap().build().unwrap().traces), ["http://c:3/v1/traces", "out"]);
}

/// Lines that are longer than what a pipe takes in one piece.
#[test]
fn signals_that_share_a_pipe_do_not_tear_each_others_lines() {
    let (mut from, to) = std::io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&to));
    let file = [("otlp-file", path.as_str()), ("metrics", "true")];
    let built = load("", &[("OBTRACE_EXPORT_BATCH_ITEMS", "1")], &file).unwrap().build().unwrap();
    let open = |outlets: Vec<Outlet>| outlets.into_iter().next().unwrap().open().unwrap();
    let (spans, metrics) = (open(built.traces), open(built.metrics.unwrap().outlets));
    let reader = thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).map(|_| text)
    });
    let (resource, scope) = (Arc::new(Resource::default()), Arc::new(Scope::new("test", "1")));
    let name = "x".repeat(256 << 10);
    let ids = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
    let (spans, worker) = Exporter::new(spans.0, spans.1);
    worker.spawn_thread().unwrap();
    let (metrics, worker) = Exporter::new(metrics.0, metrics.1);
    worker.spawn_thread().unwrap();
    for _ in 0..8 {
        let about = || (Arc::clone(&resource), Arc::clone(&scope));
        let (resource, scope) = about();
        spans.try_send(Span::new(ids.0, ids.1, name.clone(), SpanKind::Server, resource, scope)).unwrap();
        let (resource, scope) = about();
        let data = MetricData::Gauge(vec![NumberPoint::new(1_i64, 2)]);
        metrics.try_send(Metric::new(name.clone(), "1", data, resource, scope)).unwrap();
    }
    let wait = std::time::Duration::from_secs(10);
    assert_eq!((spans.shutdown_blocking(wait).exported, metrics.shutdown_blocking(wait).exported), (8, 8));
    drop((spans, metrics, to));
    let text = reader.join().unwrap().unwrap();
    assert_eq!(text.lines().filter(|line| serde_json::from_str::<Json>(line).is_ok()).count(), 16);
}

#[test]
fn every_form_and_what_is_said_of_one_signal_alone() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1");
    let built = |environment: &[(&str, &str)]| {
        let environment = [environment, &[endpoint, ("OTEL_METRICS_EXPORTER", "otlp")]].concat();
        let built = load("", &environment, &[]).unwrap().build()?;
        let open = |outlets: Vec<Outlet>| outlets.into_iter().map(|it| it.open().unwrap().0).next().unwrap();
        Ok::<_, ConfigError>((open(built.traces), open(built.metrics.unwrap().outlets)))
    };
    let forms = |environment: &[(&str, &str)]| {
        let (traces, metrics) = built(environment).unwrap();
        ((traces.format(), traces.target()), (metrics.format(), metrics.target()))
    };
    let http = |format, signal: &str| (format, format!("http://a:1/v1/{signal}"));
    assert_eq!(forms(&[]), (http(Encoding::Json, "traces"), http(Encoding::Json, "metrics")));
    let protobuf = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    assert_eq!(forms(&[protobuf]), (http(Encoding::Protobuf, "traces"), http(Encoding::Protobuf, "metrics")));
    let mixed = [
        protobuf,
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
    ];
    assert_eq!(forms(&mixed), ((Encoding::Protobuf, "http://a:1".to_owned()), http(Encoding::Json, "metrics")));
    let half = built(&[("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/k.pem")]).unwrap_err().to_string();
    assert!(half.contains("client certificate"), "{half}");
    let bare = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c:4317"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")];
    assert_eq!(forms(&bare).0.1, "https://c:4317");
    let insecure = [bare[0], bare[1], ("OTEL_EXPORTER_OTLP_INSECURE", "True")];
    assert_eq!(forms(&insecure).0.1, "http://c:4317");
    // The ingest takes JSON, and says so where something else was asked for.
    let ingest = [("OBTRACE_INGEST_URL", "https://i.example.com"), protobuf];
    let config = load("", &ingest, &[]).unwrap();
    assert!(matches!(config.warnings(), [warning] if warning.contains("http/json")), "{:?}", config.warnings());
    assert_eq!(config.build().unwrap().traces[0].target(), "https://i.example.com/otlp/v1/traces");
}

#[test]
fn what_a_receivers_url_leaves_without_effect_is_told_once() {
    let (url, https) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://u:hunter2@a:1");
    let (ca, key) = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY");
    let (grpc, insecure) = (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_INSECURE", "true"));
    let metrics = ("OTEL_METRICS_EXPORTER", "otlp");
    for (environment, expected) in [
        (&[(url, "http://u:hunter2@a:1"), (ca, "/no.pem"), metrics][..], &["http://a:1 is without TLS"][..]),
        (&[(url, "HTTP://a:1"), (key, "/no.pem"), metrics], &["export.metrics_client_key"]),
        (&[(url, "http://a:1"), (key, "/no.pem")], &[]),
        (&[(url, https), (ca, "/no.pem")], &[]),
        (&[(url, https), insecure], &["environment OTEL_EXPORTER_OTLP_INSECURE: export.insecure is not heard"]),
        (&[(url, "a:1"), grpc, insecure], &[]),
        (&[(url, "a:1"), grpc, (ca, "/no.pem")], &[]),
        (&[(url, "a:1"), grpc, insecure, (ca, "/no.pem")], &["a:1 is without TLS"]),
        (&[(url, "http://a:1/v1/traces"), grpc], &["no use for a path"]),
        (&[(url, "http://a:1/"), grpc], &[]),
        (&[("OTEL_TRACES_EXPORTER", "otlp"), (ca, "/no.pem")], &["without TLS"]),
    ] {
        let config = load("", environment, &[]).unwrap();
        let warnings = config.warnings();
        assert_eq!(warnings.len(), expected.len(), "{environment:?}: {warnings:?}");
        assert!(warnings.iter().zip(expected).all(|(warning, expected)| warning.contains(expected)), "{warnings:?}");
        assert!(!warnings.iter().any(|warning| warning.contains("hunter")), "{warnings:?}");
    }
}

/// The receivers' URLs, the page's host and port.
type Places = (Vec<String>, Option<(String, u16)>);

/// Where metrics go.
fn metrics(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Option<Places>, ConfigError> {
    let built = load(file, environment, flags)?.build()?;
    assert_eq!(built.application.traces.unsampled, built.metrics.is_some(), "metrics are of all requests");
    Ok(built.metrics.map(|it| {
        let receivers = it.outlets.iter().map(|outlet| outlet.target()).collect();
        (receivers, it.page.map(|page| (page.host, page.port)))
    }))
}

#[test]
fn where_metrics_go() {
    let sent = |url: &str| Some((vec![url.to_owned()], None));
    let shown = |host: &str, port| Some((Vec::new(), Some((host.to_owned(), port))));
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1");
    let of_environment = |environment: &[(&str, &str)]| metrics("", environment, &[]).unwrap();
    assert_eq!(of_environment(&[endpoint]), None, "a receiver alone is one of spans");
    assert_eq!(of_environment(&[endpoint, ("OTEL_METRICS_EXPORTER", "otlp")]), sent("http://a:1/v1/metrics"));
    assert_eq!(of_environment(&[("OTEL_METRICS_EXPORTER", "otlp")]), sent("http://localhost:4318/v1/metrics"));
    assert_eq!(of_environment(&[("OTEL_METRICS_EXPORTER", "none"), endpoint]), None);
    assert_eq!(of_environment(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://b/x")]), sent("http://b/x"));
    assert_eq!(of_environment(&[("OTEL_METRICS_EXPORTER", "prometheus")]), shown("localhost", 9464));
    let elsewhere = [
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "9999"),
    ];
    assert_eq!(of_environment(&elsewhere), shown("0.0.0.0", 9999));
    assert_eq!(of_environment(&elsewhere[1..]), None, "they say where, not whether");
    assert_eq!(of_environment(&[("OTEL_EBPF_PROMETHEUS_PORT", "9400")]), shown("localhost", 9400));
    assert_eq!(of_environment(&[("OTEL_EBPF_PROMETHEUS_PORT", "0")]), None);
    for (given, host, port) in
        [("9464", "localhost", 9464), (":1", "localhost", 1), ("127.0.0.1:2", "127.0.0.1", 2), ("[::]:3", "::", 3)]
    {
        assert_eq!(metrics("", &[], &[("prometheus", given)]).unwrap(), shown(host, port));
    }
    let both = metrics("", &[], &[("otlp", "http://c:3"), ("metrics", "true"), ("prometheus", "0")]).unwrap();
    assert_eq!(both, Some((vec!["http://c:3/v1/metrics".to_owned()], Some(("localhost".to_owned(), 0)))));
    let ingest = [("OBTRACE_INGEST_URL", "https://ingest.example.com"), ("OBTRACE_METRICS_ENABLE", "true")];
    assert_eq!(of_environment(&ingest), sent("https://ingest.example.com/otlp/v1/metrics"));
}

#[test]
fn the_key_of_the_ingest_is_given_to_nobody_else() {
    let given = |environment: &[(&str, &str)]| {
        let config = load("export: {api_key: k}\n", environment, &[("metrics", "true")]).unwrap();
        config.build().unwrap();
        let warned = config.warnings().iter().filter(|warning| warning.contains("the key goes to nobody")).count();
        ([Signal::Traces, Signal::Metrics].map(|signal| config.gives_key(signal)), warned)
    };
    let ingest = ("OBTRACE_INGEST_URL", "https://ingest.example.com/base");
    let (all, traces, metrics) =
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    assert_eq!(given(&[ingest]), ([true, true], 0));
    assert_eq!(given(&[ingest, (metrics, "https://metrics.example.org/v1/metrics")]), ([true, false], 0));
    assert_eq!(given(&[ingest, (traces, "https://INGEST.example.com:4318/v1/traces")]), ([true, true], 0));
    // What is asked without TLS would show the key to everybody on the way.
    assert_eq!(given(&[ingest, (traces, "http://ingest.example.com/v1/traces")]), ([false, true], 0));
    for other in [
        "https://collector.example.com",
        "https://ingest.example.com.evil.test",
        "https://evil.test/ingest.example.com",
        "https://ingest.example.com@evil.test",
        "https://evil.test:443?@ingest.example.com",
    ] {
        assert_eq!(given(&[ingest, (all, other)]), ([false, false], 1), "{other}");
    }
    assert_eq!(given(&[(all, "https://ingest.example.com")]), ([false, false], 1), "no ingest is named");
    assert_eq!(given(&[ingest, grpc, (all, "ingest.example.com:4317")]), ([true, true], 0));
    assert_eq!(given(&[ingest, grpc, (all, "collector.example.com:4317")]), ([false, false], 1));
    let plain = ("OBTRACE_INGEST_URL", "http://[fd00::1]:8080");
    assert_eq!(given(&[plain, grpc, (all, "http://[fd00::1]:4317")]), ([true, true], 0));
    assert_eq!(given(&[plain, grpc, (all, "http://[fd00::2]:4317")]), ([false, false], 1));
}

#[test]
fn none_switches_off_what_it_beats() {
    let none = [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1")];
    let file = "metrics: {enable: true}\nprometheus: {address: 9464}\n";
    assert_eq!(metrics(file, &none, &[]).unwrap(), None);
    assert!(metrics(file, &none[1..], &[]).unwrap().is_some());
    let (sent, shown) = metrics(file, &none, &[("metrics", "true")]).unwrap().unwrap();
    assert_eq!((sent, shown), (vec!["http://a:1/v1/metrics".to_owned()], None));
}

#[test]
fn metrics_without_a_place_to_go_are_an_error() {
    let error = metrics("", &[], &[("metrics", "true")]).unwrap_err().to_string();
    assert!(error.contains("--otlp") && error.contains("--prometheus"), "{error}");
    let error = load("metrics: {exporters: [otpl]}\n", &[], &[]).unwrap_err().to_string();
    assert!(error.contains("'otpl'"), "{error}");
    // In the environment it may be meant for others.
    let config = load("", &[("OTEL_METRICS_EXPORTER", "otlp,zipkin")], &[]).unwrap();
    assert!(matches!(config.warnings(), [warning] if warning.contains("zipkin")), "{:?}", config.warnings());
}

#[test]
fn what_is_measured() {
    let measured = |environment: &[(&str, &str)]| {
        let environment = [environment, &[("OTEL_METRICS_EXPORTER", "prometheus")]].concat();
        load("", &environment, &[]).unwrap().build().unwrap().metrics.unwrap().settings
    };
    let usual = measured(&[]);
    assert_eq!((usual.interval.as_secs(), usual.own, usual.requests.ttl.as_secs()), (60, true, 300));
    assert!(usual.requests.operations && usual.requests.routes_of_names && !usual.requests.service_graph);
    assert_eq!((usual.requests.spans, usual.requests.buckets), (SpanNames::Off, Buckets::Explicit));
    let set = measured(&[
        ("OTEL_EBPF_METRICS_FEATURES", "application_span,application_service_graph"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1500"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
        ("OTEL_EBPF_METRICS_TTL", "30s"),
        ("OBTRACE_METRICS_NAMES", "obi-0.4"),
        ("OBTRACE_METRICS_DURATION_BUCKETS", "0.1, 1"),
        ("OBTRACE_METRICS_MAX_SERIES", "7"),
        ("OBTRACE_METRICS_SELF", "false"),
    ]);
    assert_eq!((set.interval.as_millis(), set.own, set.requests.ttl.as_secs()), (1_500, false, 30));
    assert!(!set.requests.operations && set.requests.service_graph && set.requests.max_series == 7);
    assert_eq!((set.requests.spans, set.requests.buckets), (SpanNames::Tempo, Buckets::Exponential));
    assert_eq!((set.requests.names, set.requests.duration_bounds), (Names::Obi04, vec![0.1, 1.0]));
    let all = measured(&[("OTEL_EBPF_METRICS_FEATURES", "*")]).requests;
    assert!(all.operations && all.service_graph && all.span_sizes && all.spans == SpanNames::Both);
    let error = load("metrics: {features: [aplication]}\n", &[], &[]).unwrap_err().to_string();
    assert!(error.contains("do you mean application?"), "{error}");
    let others = load("", &[("OTEL_EBPF_METRICS_FEATURES", "application,network")], &[]).unwrap();
    assert!(matches!(others.warnings(), [warning] if warning.contains("network")), "{:?}", others.warnings());
    let none = load("", &[("OTEL_EBPF_METRICS_FEATURES", "none")], &[]).unwrap();
    assert!(none.warnings().is_empty() && !none.measured().operations, "{:?}", none.warnings());
    let delta = load("", &[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")], &[]).unwrap();
    assert!(matches!(delta.warnings(), [warning] if warning.contains("cumulative")), "{:?}", delta.warnings());
}

#[test]
fn the_schema_has_every_option() {
    let schema = Config::schema();
    for option in OPTIONS {
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
