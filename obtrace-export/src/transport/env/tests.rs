use std::time::Duration;

use super::*;
use crate::{encode::Format, transport::Compression};

const GENERAL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:1");

fn read(variables: &[(&str, &str)]) -> Result<Environment, EnvError> {
    Environment::read(|name| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned()))
}

fn url(variables: &[(&str, &str)], signal: Signal) -> Option<String> {
    read(variables).unwrap().of(signal).otlp.as_ref().map(TransportConfig::url)
}

fn http(variables: &[(&str, &str)], signal: Signal) -> HttpConfig {
    match read(variables).unwrap().of(signal).otlp.clone() {
        Some(TransportConfig::Http(config)) => config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_sent_unless_it_is_asked_for() {
    let environment = read(&[]).unwrap();
    for signal in Signal::ALL {
        assert!(environment.of(signal).otlp.is_none() && !environment.of(signal).console);
        assert_eq!(url(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "  ")], signal), None);
        assert_eq!(url(&[GENERAL, ("OTEL_SDK_DISABLED", "TRUE")], signal), None);
        assert_eq!(url(&[GENERAL], signal), Some(format!("http://h:1/v1/{signal}")));
    }
    assert_eq!(url(&[("OTEL_LOGS_EXPORTER", "otlp")], Signal::Logs).as_deref(), Some("http://localhost:4318/v1/logs"));
    assert_eq!(url(&[GENERAL, ("OTEL_LOGS_EXPORTER", "none")], Signal::Logs), None);
    assert_eq!(
        url(&[GENERAL, ("OTEL_LOGS_EXPORTER", "none")], Signal::Traces).as_deref(),
        Some("http://h:1/v1/traces")
    );
}

#[test]
fn exporters_by_name() {
    let environment = read(&[
        ("OTEL_TRACES_EXPORTER", "console, otlp"),
        ("OTEL_METRICS_EXPORTER", "prometheus,none"),
        ("OTEL_LOGS_EXPORTER", "prometheus,zipkin"),
    ])
    .unwrap();
    let of = |signal| {
        let exporters = environment.of(signal);
        (exporters.otlp.is_some(), exporters.console, exporters.prometheus)
    };
    assert_eq!(of(Signal::Traces), (true, true, false));
    assert_eq!(of(Signal::Metrics), (false, false, true));
    assert_eq!(of(Signal::Logs), (false, false, false));
    let [prometheus, zipkin] = environment.warnings() else { panic!("{:?}", environment.warnings()) };
    assert!(prometheus.contains("OTEL_LOGS_EXPORTER") && prometheus.contains("prometheus"), "{prometheus}");
    assert!(zipkin.contains("zipkin"), "{zipkin}");
}

/// Paths are appended to the general endpoint only.
#[test]
fn endpoints_of_a_signal_are_used_as_they_are() {
    for (general, own, expected) in [
        ("http://h:1", None, "http://h:1/v1/metrics"),
        ("http://h:1/", None, "http://h:1/v1/metrics"),
        ("http://h:1/mycollector/", None, "http://h:1/mycollector/v1/metrics"),
        ("http://h:1/otlp", None, "http://h:1/otlp/v1/metrics"),
        ("http://h:1", Some("https://own:2/metrics"), "https://own:2/metrics"),
        ("http://h:1", Some("https://own:2"), "https://own:2/"),
    ] {
        let mut variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", general)];
        variables.extend(own.map(|own| ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", own)));
        assert_eq!(url(&variables, Signal::Metrics).as_deref(), Some(expected));
        assert_ne!(url(&variables, Signal::Logs).as_deref(), Some(expected));
    }
}

#[test]
fn each_variable_of_a_signal_goes_before_the_general_one() {
    let variables = [
        GENERAL,
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "b=2%20"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"),
    ];
    let (traces, logs) = (http(&variables, Signal::Traces), http(&variables, Signal::Logs));
    assert_eq!((traces.format, logs.format), (Format::Json, Format::Protobuf));
    let [a, b] = [&traces, &logs].map(|config| {
        let headers = &config.connection.headers;
        (headers.get("a").is_some(), headers.get("b").is_some())
    });
    assert_eq!((a, b), ((true, false), (false, true)));
    let [a, b] = [&traces, &logs].map(|config| config.connection.timeout);
    assert_eq!((a, b), (Duration::from_millis(1500), Duration::from_millis(2500)));
    let [a, b] = [&traces, &logs].map(|config| config.connection.compression);
    assert_eq!((a, b), (Compression::None, Compression::Gzip));
    assert!(read(&variables).unwrap().warnings().is_empty());
    let unlimited = [GENERAL, ("OTEL_EXPORTER_OTLP_TIMEOUT", "0")];
    assert!(http(&unlimited, Signal::Traces).connection.timeout >= Duration::from_secs(600));
    assert!(read(&unlimited).unwrap().warnings().is_empty());
    let usual = http(&[GENERAL], Signal::Traces);
    assert_eq!((usual.format, usual.connection.timeout), (Format::Protobuf, Duration::from_secs(10)));
}

#[test]
fn certificates_of_a_signal_and_general_ones_are_put_together() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h:1"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/tls.key"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/tls.crt"),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/own.pem"),
    ];
    use crate::transport::Tls;
    let expected = |ca| Tls::new().with_ca(ca).with_client("/tls.crt", "/tls.key");
    assert_eq!(http(&variables, Signal::Traces).connection.tls, expected("/own.pem"));
    assert_eq!(http(&variables, Signal::Logs).connection.tls, expected("/ca.pem"));
    let error = http(&variables, Signal::Logs);
    let error = TransportConfig::Http(error).build().unwrap_err().to_string();
    assert!(error.contains("/ca.pem"), "{error}");
}

#[test]
fn what_cannot_be_sent_to_is_an_error_that_names_the_variable() {
    for (name, value, said) in [
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "collector:4318", "https://host:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense", "https://host:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter22", "name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter22%0A", "character"),
    ] {
        let error = read(&[(name, value), ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://h")]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}: ")) && error.contains(said), "{error}");
        assert!(!error.contains("hunter22"), "{error}");
    }
    let https = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h");
    for (set, missing) in [
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"),
    ] {
        let error = read(&[https, (set, "/file")]).unwrap_err();
        assert_eq!(error, EnvError::Half { variable: set.to_owned(), missing: missing.to_owned() });
    }
}

#[test]
fn what_is_not_done_is_told_once_with_what_is_done() {
    for (name, value, said) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/thrift", "it is http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "it is 10000"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1", "it is 10000"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "br", "nothing is compressed"),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/ca.pem", "https:// meant"),
        ("OTEL_TRACES_EXPORTER", "otlp,zipkin", "zipkin"),
    ] {
        let environment = read(&[GENERAL, (name, value)]).unwrap();
        let [warning] = environment.warnings() else { panic!("{name}: {:?}", environment.warnings()) };
        assert!(warning.contains(name) && warning.contains(said), "{warning}");
        assert!(environment.of(Signal::Traces).otlp.is_some());
    }
}

#[test]
fn how_metrics_are_aggregated_is_passed_on_or_told() {
    use TemporalityPreference::{Cumulative, Delta, LowMemory};
    const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    const HISTOGRAMS: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    for (name, value, expected, warnings) in [
        (TEMPORALITY, "", Cumulative, 0),
        (TEMPORALITY, "Cumulative", Cumulative, 0),
        (TEMPORALITY, "delta", Delta, 0),
        (TEMPORALITY, "LowMemory", LowMemory, 0),
        (TEMPORALITY, "gamma", Cumulative, 1),
        (HISTOGRAMS, "explicit_bucket_histogram", Cumulative, 0),
        (HISTOGRAMS, "base2_exponential_bucket_histogram", Cumulative, 1),
    ] {
        let environment = read(&[GENERAL, (name, value)]).unwrap();
        let temporality = Signal::ALL.map(|signal| environment.of(signal).temporality);
        assert_eq!(temporality, [Cumulative, expected, Cumulative], "{name}={value}");
        assert_eq!(environment.warnings().len(), warnings, "{name}={value}");
        assert!(environment.warnings().iter().all(|warning| warning.contains(name)));
        // Nobody sends metrics: it is meant for others.
        let none = [GENERAL, (name, value), ("OTEL_METRICS_EXPORTER", "none")];
        assert!(read(&none).unwrap().warnings().is_empty());
    }
}

#[cfg(feature = "opentelemetry_sdk_0_33")]
#[test]
fn the_preference_is_one_that_the_sdk_knows() {
    use opentelemetry_sdk::metrics::Temporality;
    for (value, expected) in
        [("cumulative", Temporality::Cumulative), ("delta", Temporality::Delta), ("lowmemory", Temporality::LowMemory)]
    {
        let variables = [GENERAL, ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", value)];
        assert_eq!(Temporality::from(read(&variables).unwrap().of(Signal::Metrics).temporality), expected);
    }
}

#[cfg(not(feature = "grpc"))]
#[test]
fn grpc_that_is_not_there_is_an_error() {
    let error = read(&[GENERAL, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err().to_string();
    assert!(error.contains("OTEL_EXPORTER_OTLP_PROTOCOL=grpc") && error.contains("4318"), "{error}");
}

#[cfg(feature = "grpc")]
#[test]
fn endpoints_of_grpc_say_by_their_scheme_whether_there_is_tls() {
    const GRPC: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    const INSECURE: &str = "OTEL_EXPORTER_OTLP_INSECURE";
    for (endpoint, insecure, expected, warnings) in [
        (None, None, "http://localhost:4317", 0),
        (Some("http://h:4317"), None, "http://h:4317", 0),
        (Some("https://h:4317"), None, "https://h:4317", 0),
        (Some("h:4317"), None, "https://h:4317", 0),
        (Some("h:4317"), Some("false"), "https://h:4317", 0),
        (Some("h:4317"), Some("True"), "http://h:4317", 0),
        (Some("h:4317"), Some("yes"), "https://h:4317", 1),
        (Some("http://h:4317"), Some("false"), "http://h:4317", 0),
        (Some("https://h:4317"), Some("true"), "https://h:4317", 1),
        (Some("http://h:4317/v1/traces"), None, "http://h:4317", 1),
    ] {
        let mut variables = vec![GRPC, ("OTEL_TRACES_EXPORTER", "otlp")];
        variables.extend(endpoint.map(|endpoint| ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)));
        variables.extend(insecure.map(|insecure| (INSECURE, insecure)));
        let environment = read(&variables).unwrap();
        let Some(config @ TransportConfig::Grpc(_)) = &environment.of(Signal::Traces).otlp else {
            panic!("{endpoint:?}")
        };
        assert_eq!((config.url().as_str(), environment.warnings().len()), (expected, warnings), "{variables:?}");
    }
}
