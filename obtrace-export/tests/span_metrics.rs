//! Metrics from spans: which spans say something of which metric, under which names, with which attributes.

#![expect(deprecated, reason = "the conventions of models have a repository of their own now, with the same names")]

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use obtrace_export::{
    model::{Attribute, Metric, MetricData, Resource, Scope, Span, SpanId, SpanKind, Status, TraceId, Value},
    span_metrics::{Buckets, Config, Names, SpanMetrics, SpanNames},
};
use opentelemetry_semantic_conventions::{attribute as a, metric as m};

/// 250 ms.
const NANOS: u64 = 250_000_000;

fn span(kind: SpanKind, attributes: &[(&'static str, Value)]) -> Span {
    let resource =
        Resource::new(vec![Attribute::new("service.name", "shop"), Attribute::new("service.namespace", "prod")]);
    let ids = (TraceId::from_bytes([7; 16]), SpanId::from_bytes([8; 8]));
    let scope = Arc::new(Scope::new("test", "1"));
    let mut span =
        Span::new(ids.0, ids.1, "GET /cart/{id}", kind, Arc::new(resource), scope).with_times(1000, 1000 + NANOS);
    for (key, value) in attributes {
        span.push(*key, value.clone());
    }
    span
}

/// An attribute as `key=value`.
fn told(attributes: &[Attribute]) -> Vec<String> {
    let mut told: Vec<String> = attributes
        .iter()
        .map(|attribute| match &attribute.value {
            Value::Str(text) => format!("{}={text}", attribute.key),
            Value::Int(number) => format!("{}={number}", attribute.key),
            Value::Bool(truth) => format!("{}={truth}", attribute.key),
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort();
    told
}

/// Every point: the metric's name and unit, and the attributes with the sum.
fn points(metrics: &[Metric]) -> Vec<(String, Vec<String>, f64)> {
    let mut points = Vec::new();
    for metric in metrics {
        let name = format!("{} {}", metric.name, metric.unit);
        assert!(!metric.description.is_empty(), "{name}");
        match &metric.data {
            MetricData::Histogram { points: all, .. } => {
                points
                    .extend(all.iter().map(|point| (name.clone(), told(&point.attributes), point.sum.expect("a sum"))));
            }
            MetricData::Sum { points: all, monotonic: true, .. } => points.extend(all.iter().map(|point| {
                let Some(obtrace_export::model::Number::Int(sum)) = point.value else { panic!("{point:?}") };
                (name.clone(), told(&point.attributes), sum as f64)
            })),
            other => panic!("{other:?}"),
        }
    }
    points
}

fn measured(config: Config, spans: &[Span]) -> Vec<(String, Vec<String>, f64)> {
    let (mut metrics, now) = (SpanMetrics::new(config), Instant::now());
    spans.iter().for_each(|span| metrics.record(span, now));
    points(&metrics.collect(NANOS * 2, now))
}

fn check(config: Config, span: &Span, expected: &[(&str, &[&str], f64)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, attributes, sum)| {
            let mut attributes: Vec<String> = attributes.iter().map(ToString::to_string).collect();
            attributes.sort();
            ((*name).to_owned(), attributes, *sum)
        })
        .collect();
    assert_eq!(measured(config, std::slice::from_ref(span)), expected);
}

fn http(kind: SpanKind) -> Span {
    let mut span = span(
        kind,
        &[
            (a::HTTP_REQUEST_METHOD, "GET".into()),
            (a::URL_PATH, "/cart/7".into()),
            (a::URL_SCHEME, "https".into()),
            (a::SERVER_ADDRESS, "shop.example".into()),
            (a::SERVER_PORT, 443_i64.into()),
            (a::CLIENT_ADDRESS, "10.0.0.7".into()),
            (a::NETWORK_PROTOCOL_NAME, "http".into()),
            (a::NETWORK_PROTOCOL_VERSION, "1.1".into()),
            (a::HTTP_RESPONSE_STATUS_CODE, 503_i64.into()),
            (a::HTTP_REQUEST_BODY_SIZE, 0_i64.into()),
            (a::HTTP_RESPONSE_BODY_SIZE, 2048_i64.into()),
        ],
    );
    span.status = Status::Error { description: "".into() };
    span
}

#[test]
fn http_servers_and_clients() {
    let attributes: &[&str] = &[
        "http.request.method=GET",
        "http.response.status_code=503",
        "error.type=503",
        "network.protocol.version=1.1",
        "url.scheme=https",
    ];
    let server = http(SpanKind::Server);
    let expected = [
        ("http.server.request.duration s", attributes, 0.25),
        ("http.server.request.body.size By", attributes, 0.0),
        ("http.server.response.body.size By", attributes, 2048.0),
    ];
    check(Config::new(), &server, &expected);

    let with = |more: &[&'static str]| [attributes, more].concat();
    let routed = with(&["http.route=/cart/{id}", "server.address=shop.example", "server.port=443"]);
    let expected = expected.map(|(name, _, sum)| (name, routed.as_slice(), sum));
    check(Config::new().with_routes_of_names(true).with_server_address(true), &server, &expected);

    let client = with(&["server.address=shop.example", "server.port=443"]);
    let client: Vec<&str> = client.into_iter().filter(|attribute| !attribute.starts_with("url.scheme")).collect();
    let expected = [
        ("http.client.request.duration s", client.as_slice(), 0.25),
        ("http.client.request.body.size By", client.as_slice(), 0.0),
        ("http.client.response.body.size By", client.as_slice(), 2048.0),
    ];
    check(Config::new(), &http(SpanKind::Client), &expected);
    for kind in [SpanKind::Internal, SpanKind::Producer, SpanKind::Consumer] {
        check(Config::new(), &http(kind), &[]);
    }
}

#[test]
fn methods_that_nobody_knows_are_one() {
    let spans = ["GET", "get", "EVIL1", "EVIL2", "QUERY"];
    let spans = spans.map(|method| span(SpanKind::Server, &[(a::HTTP_REQUEST_METHOD, method.into())]));
    let methods: Vec<_> =
        measured(Config::new(), &spans).into_iter().map(|(_, attributes, _)| attributes.join(",")).collect();
    assert_eq!(methods, ["http.request.method=GET", "http.request.method=_OTHER", "http.request.method=QUERY"]);
}

#[test]
fn an_error_without_a_type_has_one() {
    for (status, expected) in [
        (404_i64, "404"),
        (599, "599"),
        (200, "_OTHER"),
        (399, "_OTHER"),
        (600, "_OTHER"),
        (i64::MIN, "_OTHER"),
        (i64::MAX, "_OTHER"),
    ] {
        let mut span = span(
            SpanKind::Client,
            &[(a::HTTP_REQUEST_METHOD, "GET".into()), (a::HTTP_RESPONSE_STATUS_CODE, status.into())],
        );
        let status = format!("http.response.status_code={status}");
        let method = "http.request.method=GET";
        check(Config::new(), &span, &[("http.client.request.duration s", &[method, &status], 0.25)]);
        span.status = Status::Error { description: "".into() };
        let error = format!("error.type={expected}");
        check(Config::new(), &span, &[("http.client.request.duration s", &[method, &status, &error], 0.25)]);
        span.push(a::ERROR_TYPE, "timeout");
        let attributes = [method, status.as_str(), "error.type=timeout"];
        check(Config::new(), &span, &[("http.client.request.duration s", &attributes, 0.25)]);
    }
}

#[test]
fn remote_procedure_calls() {
    let now = &[
        (a::RPC_SYSTEM_NAME, Value::from("grpc")),
        (a::RPC_METHOD, "shop.Cart/Add".into()),
        (a::RPC_RESPONSE_STATUS_CODE, "UNAVAILABLE".into()),
        (a::ERROR_TYPE, "UNAVAILABLE".into()),
        (a::SERVER_ADDRESS, "cart".into()),
        (a::SERVER_PORT, 50051_i64.into()),
        (a::HTTP_REQUEST_METHOD, "POST".into()),
    ];
    let attributes: &[&str] = &[
        "rpc.system.name=grpc",
        "rpc.method=shop.Cart/Add",
        "rpc.response.status_code=UNAVAILABLE",
        "error.type=UNAVAILABLE",
    ];
    check(Config::new(), &span(SpanKind::Server, now), &[("rpc.server.call.duration s", attributes, 0.25)]);
    let client = [attributes, &["server.address=cart", "server.port=50051"]].concat();
    check(Config::new(), &span(SpanKind::Client, now), &[("rpc.client.call.duration s", &client, 0.25)]);

    let before = &[
        ("rpc.system", Value::from("grpc")),
        ("rpc.service", "shop.Cart".into()),
        ("rpc.method", "Add".into()),
        ("rpc.grpc.status_code", 4_i64.into()),
    ];
    let attributes: &[&str] =
        &["rpc.system.name=grpc", "rpc.method=shop.Cart/Add", "rpc.response.status_code=DEADLINE_EXCEEDED"];
    check(Config::new(), &span(SpanKind::Server, before), &[("rpc.server.call.duration s", attributes, 0.25)]);
    let mut failed = span(SpanKind::Server, before);
    failed.status = Status::Error { description: "".into() };
    let attributes = [attributes, &["error.type=DEADLINE_EXCEEDED"]].concat();
    check(Config::new(), &failed, &[("rpc.server.call.duration s", &attributes, 0.25)]);
}

#[test]
fn databases() {
    let select = &[
        (a::DB_SYSTEM_NAME, Value::from("postgresql")),
        (a::DB_NAMESPACE, "shop".into()),
        (a::DB_OPERATION_NAME, "SELECT".into()),
        (a::DB_COLLECTION_NAME, "orders".into()),
        (a::DB_QUERY_TEXT, "SELECT * FROM orders WHERE id = ?".into()),
        (a::DB_RESPONSE_RETURNED_ROWS, 12_i64.into()),
        (a::SERVER_ADDRESS, "10.0.0.9".into()),
        (a::SERVER_PORT, 5432_i64.into()),
    ];
    let attributes: &[&str] = &[
        "db.system.name=postgresql",
        "db.namespace=shop",
        "db.operation.name=SELECT",
        "db.collection.name=orders",
        "server.address=10.0.0.9",
        "server.port=5432",
    ];
    let expected = [
        ("db.client.operation.duration s", attributes, 0.25),
        ("db.client.response.returned_rows {row}", attributes, 12.0),
    ];
    check(Config::new(), &span(SpanKind::Client, select), &expected);
    check(Config::new(), &span(SpanKind::Server, select), &[("db.server.operation.duration s", attributes, 0.25)]);
}

#[test]
fn messages() {
    let message = |kind, more: &[(&'static str, Value)]| {
        let mut span =
            span(kind, &[(a::MESSAGING_SYSTEM, "kafka".into()), (a::MESSAGING_DESTINATION_NAME, "orders".into())]);
        more.iter().for_each(|(key, value)| span.push(*key, value.clone()));
        span
    };
    let common = ["messaging.system=kafka", "messaging.destination.name=orders"];
    let with = |more: &[&'static str]| [&common, more].concat();

    let sent = [(a::MESSAGING_OPERATION_NAME, "produce".into()), (a::MESSAGING_BATCH_MESSAGE_COUNT, 7_i64.into())];
    let named = with(&["messaging.operation.name=produce"]);
    let typed = with(&["messaging.operation.name=produce", "messaging.operation.type=send"]);
    let expected = [
        ("messaging.client.operation.duration s", typed.as_slice(), 0.25),
        ("messaging.client.sent.messages {message}", named.as_slice(), 7.0),
    ];
    check(Config::new(), &message(SpanKind::Producer, &sent), &expected);

    let process = with(&["messaging.operation.name=process"]);
    check(Config::new(), &message(SpanKind::Consumer, &[]), &[("messaging.process.duration s", &process, 0.25)]);

    let received = [(a::MESSAGING_OPERATION_TYPE, "receive".into()), (a::MESSAGING_OPERATION_NAME, "poll".into())];
    let named = with(&["messaging.operation.name=poll"]);
    let typed = with(&["messaging.operation.name=poll", "messaging.operation.type=receive"]);
    let expected = [
        ("messaging.client.operation.duration s", typed.as_slice(), 0.25),
        ("messaging.client.consumed.messages {message}", named.as_slice(), 1.0),
    ];
    check(Config::new(), &message(SpanKind::Client, &received), &expected);

    let temporary = [("messaging.destination.temporary", true.into())];
    let expected = ["messaging.system=kafka", "messaging.operation.name=process"];
    let span = message(SpanKind::Consumer, &temporary);
    check(Config::new(), &span, &[("messaging.process.duration s", &expected, 0.25)]);
}

#[test]
fn names_looked_up_and_models_asked() {
    let lookup = span(SpanKind::Client, &[(a::DNS_QUESTION_NAME, "shop.example".into())]);
    check(Config::new(), &lookup, &[("dns.lookup.duration s", &["dns.question.name=shop.example"], 0.25)]);

    let chat = span(
        SpanKind::Client,
        &[
            (a::GEN_AI_OPERATION_NAME, "chat".into()),
            (a::GEN_AI_PROVIDER_NAME, "acme".into()),
            (a::GEN_AI_REQUEST_MODEL, "m-1".into()),
            (a::GEN_AI_USAGE_INPUT_TOKENS, 100_i64.into()),
            (a::GEN_AI_USAGE_OUTPUT_TOKENS, 9_i64.into()),
            (a::HTTP_REQUEST_METHOD, "POST".into()),
        ],
    );
    let attributes: &[&str] = &["gen_ai.operation.name=chat", "gen_ai.provider.name=acme", "gen_ai.request.model=m-1"];
    let (input, output) =
        ([attributes, &["gen_ai.token.type=input"]].concat(), [attributes, &["gen_ai.token.type=output"]].concat());
    let expected = [
        ("gen_ai.client.operation.duration s", attributes, 0.25),
        ("gen_ai.client.token.usage {token}", input.as_slice(), 100.0),
        ("gen_ai.client.token.usage {token}", output.as_slice(), 9.0),
    ];
    check(Config::new(), &chat, &expected);
}

/// Names of metrics by the crate that is made from the conventions.
#[test]
fn names_are_those_of_the_conventions() {
    let spans = [
        http(SpanKind::Server),
        http(SpanKind::Client),
        span(SpanKind::Server, &[(a::RPC_SYSTEM_NAME, "grpc".into())]),
        span(SpanKind::Client, &[(a::RPC_SYSTEM_NAME, "grpc".into())]),
        span(SpanKind::Client, &[(a::DB_SYSTEM_NAME, "redis".into()), (a::DB_RESPONSE_RETURNED_ROWS, 1_i64.into())]),
        span(SpanKind::Producer, &[(a::MESSAGING_SYSTEM, "kafka".into())]),
        span(SpanKind::Consumer, &[(a::MESSAGING_SYSTEM, "kafka".into())]),
        span(
            SpanKind::Client,
            &[(a::MESSAGING_SYSTEM, "kafka".into()), (a::MESSAGING_OPERATION_TYPE, "receive".into())],
        ),
        span(SpanKind::Client, &[(a::DNS_QUESTION_NAME, "a".into())]),
        span(
            SpanKind::Client,
            &[(a::GEN_AI_OPERATION_NAME, "chat".into()), (a::GEN_AI_USAGE_INPUT_TOKENS, 1_i64.into())],
        ),
    ];
    let mut names: Vec<String> = measured(Config::new(), &spans)
        .into_iter()
        .filter_map(|(name, _, _)| name.split(' ').next().map(str::to_owned))
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut expected = [
        m::HTTP_SERVER_REQUEST_DURATION,
        m::HTTP_SERVER_REQUEST_BODY_SIZE,
        m::HTTP_SERVER_RESPONSE_BODY_SIZE,
        m::HTTP_CLIENT_REQUEST_DURATION,
        m::HTTP_CLIENT_REQUEST_BODY_SIZE,
        m::HTTP_CLIENT_RESPONSE_BODY_SIZE,
        m::RPC_SERVER_CALL_DURATION,
        m::RPC_CLIENT_CALL_DURATION,
        m::DB_CLIENT_OPERATION_DURATION,
        m::DB_CLIENT_RESPONSE_RETURNED_ROWS,
        m::MESSAGING_CLIENT_OPERATION_DURATION,
        m::MESSAGING_CLIENT_SENT_MESSAGES,
        m::MESSAGING_CLIENT_CONSUMED_MESSAGES,
        m::MESSAGING_PROCESS_DURATION,
        m::DNS_LOOKUP_DURATION,
        m::GEN_AI_CLIENT_OPERATION_DURATION,
        m::GEN_AI_CLIENT_TOKEN_USAGE,
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn names_of_version_0_4() {
    let config = || Config::new().with_names(Names::Obi04);
    let route = |kind| {
        let mut span = http(kind);
        span.push(a::HTTP_ROUTE, "/cart/{id}");
        span
    };
    for (kind, side) in [(SpanKind::Server, "server"), (SpanKind::Client, "client")] {
        let attributes: &[&str] = &[
            "http.request.method=GET",
            "http.response.status_code=503",
            "http.route=/cart/{id}",
            "url.scheme=https",
            "server.address=shop.example",
            "server.port=443",
        ];
        let names = ["request.duration s", "request.body.size By", "response.body.size By"];
        let names = names.map(|name| format!("http.{side}.{name}"));
        let expected = [
            (names[0].as_str(), attributes, 0.25),
            (names[1].as_str(), attributes, 0.0),
            (names[2].as_str(), attributes, 2048.0),
        ];
        check(config(), &route(kind), &expected);
    }
    let call = [(a::RPC_SYSTEM_NAME, Value::from("grpc")), (a::RPC_RESPONSE_STATUS_CODE, "NOT_FOUND".into())];
    let attributes: &[&str] = &["rpc.system=grpc", "rpc.grpc.status_code=5"];
    check(config(), &span(SpanKind::Server, &call), &[("rpc.server.duration s", attributes, 0.25)]);
    check(config(), &span(SpanKind::Client, &call), &[("rpc.client.duration s", attributes, 0.25)]);
    let message = [(a::MESSAGING_SYSTEM, Value::from("kafka")), (a::MESSAGING_OPERATION_NAME, "publish".into())];
    let attributes: &[&str] = &["messaging.system=kafka", "messaging.operation.name=publish"];
    check(config(), &span(SpanKind::Producer, &message), &[("messaging.publish.duration s", attributes, 0.25)]);
    check(config(), &span(SpanKind::Consumer, &message), &[("messaging.process.duration s", attributes, 0.25)]);
    let query = [(a::DB_SYSTEM_NAME, Value::from("redis")), (a::DB_OPERATION_NAME, "GET".into())];
    let attributes: &[&str] = &["db.system.name=redis", "db.operation.name=GET"];
    check(config(), &span(SpanKind::Client, &query), &[("db.client.operation.duration s", attributes, 0.25)]);
}

#[test]
fn the_service_graph() {
    let config = || Config::new().with_operations(false).with_service_graph(true).with_source("agent");
    let edge = |client: &str, server: &str, more: &[&str]| {
        let mut all: Vec<String> = more.iter().map(ToString::to_string).collect();
        all.extend([format!("client={client}"), format!("server={server}"), "source=agent".to_owned()]);
        all
    };
    let check = |span: &Span, attributes: &[String], failed: f64, side: &str| {
        let attributes: Vec<&str> = attributes.iter().map(String::as_str).collect();
        let side = format!("traces_service_graph_request_{side} s");
        let expected = [
            ("traces_service_graph_request_total ", attributes.as_slice(), 1.0),
            ("traces_service_graph_request_failed_total ", attributes.as_slice(), failed),
            (side.as_str(), attributes.as_slice(), 0.25),
        ];
        check(config(), span, &expected);
    };
    check(&http(SpanKind::Server), &edge("10.0.0.7", "shop", &["server_service_namespace=prod"]), 1.0, "server");
    check(&http(SpanKind::Client), &edge("shop", "shop.example", &["client_service_namespace=prod"]), 1.0, "client");
    let query = [(a::DB_SYSTEM_NAME, Value::from("redis")), ("peer.service", "cache".into())];
    let attributes = edge("shop", "cache", &["client_service_namespace=prod", "connection_type=database"]);
    check(&span(SpanKind::Client, &query), &attributes, 0.0, "client");
    // From the broker to who consumes.
    let message = [(a::MESSAGING_SYSTEM, Value::from("mqtt")), (a::SERVER_ADDRESS, "broker.example".into())];
    let attributes =
        edge("broker.example", "shop", &["connection_type=messaging_system", "server_service_namespace=prod"]);
    check(&span(SpanKind::Consumer, &message), &attributes, 0.0, "server");
    let attributes =
        edge("shop", "broker.example", &["client_service_namespace=prod", "connection_type=messaging_system"]);
    check(&span(SpanKind::Producer, &message), &attributes, 0.0, "client");
    // To itself, and within.
    let own = [("service.peer.name", "shop".into()), ("service.peer.namespace", "prod".into())];
    assert_eq!(measured(config(), &[span(SpanKind::Client, &own), http(SpanKind::Internal)]), []);
}

#[test]
fn every_span() {
    let config = || Config::new().with_operations(false).with_spans(SpanNames::Collector);
    let attributes: &[&str] = &[
        "service.name=shop",
        "span.name=GET /cart/{id}",
        "span.kind=SPAN_KIND_SERVER",
        "status.code=STATUS_CODE_ERROR",
    ];
    let expected =
        [("traces.span.metrics.duration s", attributes, 0.25), ("traces.span.metrics.calls {call}", attributes, 1.0)];
    check(config(), &http(SpanKind::Server), &expected);
    let attributes: &[&str] = &[
        "service=shop",
        "service.namespace=prod",
        "span.name=GET /cart/{id}",
        "span.kind=SPAN_KIND_INTERNAL",
        "status.code=STATUS_CODE_ERROR",
        "source=obtrace",
    ];
    let expected = [
        ("traces_spanmetrics_latency ", attributes, 0.25),
        ("traces_spanmetrics_calls_total ", attributes, 1.0),
        ("traces_spanmetrics_size_total ", attributes, 0.0),
        ("traces_spanmetrics_response_size_total ", attributes, 2048.0),
    ];
    check(config().with_spans(SpanNames::Tempo).with_span_sizes(true), &http(SpanKind::Internal), &expected);
    check(config().with_spans(SpanNames::Off).with_span_sizes(true), &http(SpanKind::Internal), &expected[2..]);
    let names = |config: Config| {
        let points = measured(config, &[http(SpanKind::Internal)]);
        points.into_iter().map(|(name, _, _)| name).collect::<Vec<_>>()
    };
    let both = names(config().with_spans(SpanNames::Both).with_span_sizes(true));
    let collector = ["traces.span.metrics.duration s", "traces.span.metrics.calls {call}"];
    assert_eq!(both, [&collector[..], &expected.map(|(name, ..)| name)].concat());
    assert_eq!(names(config().with_spans(SpanNames::Collector)), collector);
    // A span without sizes says nothing of them.
    assert_eq!(measured(config().with_spans(SpanNames::Off).with_span_sizes(true), &[span(SpanKind::Server, &[])]), []);
}

/// A request whose both ends are seen is one.
#[test]
fn both_ends_of_a_request_count_it_once() {
    let ended = |kind, own: &'static str, namespace: &'static str, more: &[(&'static str, Value)]| {
        let mut span = span(kind, more);
        let attributes = [("service.name", own), ("service.namespace", namespace)];
        span.resource =
            Arc::new(Resource::new(attributes.map(|(key, value)| Attribute::new(key, value)).into_iter().collect()));
        span.status = Status::Error { description: "".into() };
        span
    };
    let peer = |name: &'static str, namespace: &'static str| {
        [("service.peer.name", Value::from(name)), ("service.peer.namespace", namespace.into())]
    };
    let spans = [
        ended(SpanKind::Server, "cart", "prod", &peer("web", "prod")),
        ended(SpanKind::Client, "web", "prod", &peer("cart", "prod")),
        // By its name alone.
        ended(SpanKind::Client, "web", "prod", &[(a::SERVER_ADDRESS, "cart".into())]),
        // These two are not instrumented: the second is another one's namesake. Who the third is, nobody knows.
        ended(SpanKind::Client, "web", "prod", &peer("bank", "prod")),
        ended(SpanKind::Client, "web", "prod", &peer("cart", "test")),
        ended(SpanKind::Client, "web", "prod", &[]),
    ];
    let points = measured(Config::new().with_operations(false).with_service_graph(true), &spans);
    let sum = |name: &str, server: &str, namespace: &str| {
        let of = |points: &&(String, Vec<String>, f64)| {
            points.0 == name
                && points.1.contains(&format!("server={server}"))
                && (namespace.is_empty() || points.1.contains(&format!("server_service_namespace={namespace}")))
        };
        points.iter().filter(of).map(|(_, _, sum)| *sum).sum::<f64>()
    };
    let (total, failed) = ("traces_service_graph_request_total ", "traces_service_graph_request_failed_total ");
    assert_eq!(sum(total, "cart", ""), 2.0, "{points:?}");
    assert_eq!((sum(total, "cart", "prod"), sum(total, "cart", "test"), sum(total, "bank", "prod")), (1.0, 1.0, 1.0));
    assert_eq!(
        (sum(failed, "cart", "prod"), sum(failed, "cart", "test"), sum(failed, "bank", "prod")),
        (1.0, 1.0, 1.0)
    );
    let all: f64 = points.iter().filter(|(name, ..)| name == total).map(|(_, _, sum)| *sum).sum();
    assert_eq!(all, 3.0);
    let seen = |side: &str| points.iter().filter(|(name, ..)| name.ends_with(&format!("_{side} s"))).count();
    assert_eq!((seen("server"), seen("client")), (1, 5));
}

#[test]
fn bounds_are_those_of_the_conventions_or_those_that_are_set() {
    let bounds = |config: Config| {
        let (mut metrics, now) = (SpanMetrics::new(config), Instant::now());
        metrics.record(&http(SpanKind::Server), now);
        metrics.record(&span(SpanKind::Client, &[(a::DB_SYSTEM_NAME, "redis".into())]), now);
        let mut bounds = BTreeMap::new();
        for metric in metrics.collect(1, now) {
            let MetricData::Histogram { points, .. } = metric.data else { panic!("a histogram") };
            assert_eq!(points[0].bucket_counts.len(), points[0].explicit_bounds.len() + 1);
            bounds.insert(metric.name.to_string(), points[0].explicit_bounds.clone());
        }
        bounds
    };
    let default = bounds(Config::new());
    let http = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    assert_eq!(default[m::HTTP_SERVER_REQUEST_DURATION], http);
    assert_eq!(default[m::DB_CLIENT_OPERATION_DURATION], [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);
    assert_eq!(default[m::HTTP_SERVER_REQUEST_BODY_SIZE].last(), Some(&67_108_864.0));
    let set = bounds(Config::new().with_duration_bounds(vec![1.0, 0.1]).with_size_bounds(vec![1e6]));
    assert_eq!(set[m::HTTP_SERVER_REQUEST_DURATION], [0.1, 1.0]);
    assert_eq!(set[m::DB_CLIENT_OPERATION_DURATION], [0.1, 1.0]);
    assert_eq!(set[m::HTTP_SERVER_RESPONSE_BODY_SIZE], [1e6]);
}

#[test]
fn exponential_histograms_and_exemplars() {
    let config = Config::new().with_buckets(Buckets::Exponential).with_exemplars(true);
    let (mut metrics, now) = (SpanMetrics::new(config), Instant::now());
    let mut unsampled = http(SpanKind::Server);
    unsampled.flags = 0;
    metrics.record(&http(SpanKind::Server), now);
    metrics.record(&unsampled, now);
    let collected = metrics.collect(NANOS * 2, now);
    let MetricData::ExponentialHistogram { points, .. } = &collected[0].data else { panic!("{collected:?}") };
    let point = &points[0];
    assert_eq!((point.count, point.sum, point.scale, point.zero_count), (2, Some(0.5), 20, 0));
    assert_eq!((point.min, point.max), (Some(0.25), Some(0.25)));
    // The last bucket below 2^-2, which it holds.
    assert_eq!((point.positive.offset, point.positive.counts.as_slice()), ((-2 << 20) - 1, &[2][..]));
    assert_eq!(point.exemplars.len(), 1);
    let exemplar = &point.exemplars[0];
    assert_eq!((exemplar.trace_id, exemplar.time_unix_nano), (Some(TraceId::from_bytes([7; 16])), 1000 + NANOS));
    assert_eq!(exemplar.value, Some(0.25.into()));
    let MetricData::ExponentialHistogram { points, .. } = &collected[1].data else { panic!("{collected:?}") };
    assert_eq!((points[0].zero_count, points[0].positive.counts.len()), (2, 0));
}
