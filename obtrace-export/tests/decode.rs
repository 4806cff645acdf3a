//! What is decoded: bodies that the SDKs of OpenTelemetry wrote, and anything else.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, sync::Arc};

use obtrace_export::{
    decode::{DecodeErrorKind, Limits, Telemetry, decode},
    encode::Format,
    model::{Attribute, MetricData, Number, Signal, SpanKind, Status, Temporality, Value},
};
use proptest::prelude::*;

fn recorded(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/receive").join(name)).unwrap()
}

/// Both SDKs were asked for the same; see `testdata/receive/record.*`.
fn both(signal: Signal) -> [Telemetry; 2] {
    [("node", "json", Format::Json), ("python", "pb", Format::Protobuf)].map(|(sdk, ending, format)| {
        let body = recorded(&format!("{sdk}-{}.{ending}", signal.name()));
        decode(signal, format, &body, &Limits::default()).unwrap()
    })
}

fn get<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
}

#[test]
fn spans_of_the_sdks() {
    for telemetry in both(Signal::Traces) {
        assert_eq!(telemetry.items(), 2);
        let Telemetry::Traces(spans) = telemetry else { panic!("{telemetry:?}") };
        let [inner, outer] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((&*inner.name, inner.kind, &inner.status), ("SELECT cart", SpanKind::Client, &Status::Unset));
        assert_eq!((&*outer.name, outer.kind), ("GET /cart", SpanKind::Server));
        assert_eq!(outer.status, Status::Error { description: "no cart".into() });
        assert_eq!(get(&outer.attributes, "http.response.status_code"), Some(&Value::Int(500)));
        assert_eq!((inner.parent_span_id, outer.parent_span_id), (Some(outer.span_id), None));
        assert_eq!(inner.trace_id, outer.trace_id);
        assert!(outer.start_unix_nano <= inner.start_unix_nano && inner.end_unix_nano <= outer.end_unix_nano);
        assert_eq!((inner.links.len(), inner.links[0].span_id), (1, outer.span_id));
        let event = &outer.events[0];
        assert_eq!((&*event.name, get(&event.attributes, "key")), ("cache miss", Some(&"7".into())));
        assert!((outer.start_unix_nano..=outer.end_unix_nano).contains(&event.time_unix_nano));
        assert_eq!((&*outer.scope.name, &*outer.scope.version), ("shop", "1.2"));
        assert!(Arc::ptr_eq(&inner.resource, &outer.resource) && Arc::ptr_eq(&inner.scope, &outer.scope));
        let list: Value = vec![Value::from("a"), Value::from("b")].into();
        assert_eq!(outer.resource.get("service.name"), Some(&"shop".into()));
        assert_eq!((outer.resource.get("list"), outer.resource.get("pid")), (Some(&list), Some(&Value::Int(7))));
    }
}

#[test]
fn log_records_of_the_sdks() {
    for telemetry in both(Signal::Logs) {
        let Telemetry::Logs(records) = telemetry else { panic!("{telemetry:?}") };
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!((record.severity_number, &record.body), (17, &"disk full".into()));
        assert!(record.severity().eq_ignore_ascii_case("error"), "{record:?}");
        assert!(record.trace_id.is_some() && record.span_id.is_some() && record.flags & 1 == 1);
        assert!(record.time_unix_nano > 1_700_000_000_000_000_000 && record.observed_time_unix_nano > 0);
        assert_eq!((&*record.scope.name, record.resource.get("pid")), ("shop.cart", Some(&Value::Int(7))));
    }
}

#[test]
fn metrics_of_the_sdks() {
    for telemetry in both(Signal::Metrics) {
        assert_eq!(telemetry.items(), 4);
        let Telemetry::Metrics(metrics) = telemetry else { panic!("{telemetry:?}") };
        let find = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap();
        let MetricData::Sum { points, temporality, monotonic } = &find("requests").data else { panic!("sum") };
        assert_eq!((*temporality, *monotonic), (Temporality::Cumulative, true));
        assert_eq!(get(&points[0].attributes, "method"), Some(&"GET".into()));
        assert!(matches!(points[0].value, Some(Number::Int(3) | Number::Double(3.0))), "{points:?}");
        let MetricData::Gauge(points) = &find("temperature").data else { panic!("gauge") };
        assert_eq!((points[0].value, &*find("temperature").unit), (Some(Number::Double(-1.5)), "Cel"));
        let MetricData::Histogram { points, .. } = &find("duration").data else { panic!("histogram") };
        let point = &points[0];
        assert_eq!((point.count, point.sum, point.min, point.max), (3, Some(70.302), Some(0.002), Some(70.0)));
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), 3);
        let MetricData::ExponentialHistogram { points, .. } = &find("size").data else { panic!("exponential") };
        let point = &points[0];
        assert_eq!((point.count, point.sum, point.zero_count), (3, Some(70.302), 0));
        assert_eq!((point.positive.counts.iter().sum::<u64>(), point.negative.counts.iter().sum::<u64>()), (3, 0));
        // 0.002 lies in the first bucket that counts one.
        let first = point.positive.counts.iter().position(|count| *count == 1).unwrap();
        let base = (-f64::from(point.scale)).exp2().exp2();
        let lower = base.powi(point.positive.offset + i32::try_from(first).unwrap());
        assert!(lower < 0.002 && 0.002 <= lower * base * 1.000_001, "{lower} {base}");
    }
}

fn json(signal: Signal, body: &str) -> Result<Telemetry, String> {
    decode(signal, Format::Json, body.as_bytes(), &Limits::default()).map_err(|error| error.to_string())
}

fn span_json(fields: &str) -> String {
    let ids = r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174""#;
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{ids}{fields}}}]}}]}}]}}"#)
}

#[test]
fn the_rules_of_otlp_json() {
    let one = |fields: &str| match json(Signal::Traces, &span_json(fields)) {
        Ok(Telemetry::Traces(mut spans)) => Ok(spans.remove(0)),
        other => Err(other),
    };
    // 64-bit integers as text or number; unknown fields, old names and null are as if they were not there.
    for fields in [
        r#","startTimeUnixNano":"5","kind":3,"parentSpanId":"","links":null,"unknown":{"a":[1,{"b":null}]}"#,
        r#","startTimeUnixNano":5,"kind":3,"start_time_unix_nano":"9","status":{},"flags":257"#,
    ] {
        let span = one(fields).unwrap();
        assert_eq!((span.start_unix_nano, span.kind, span.parent_span_id), (5, SpanKind::Client, None), "{fields}");
    }
    for (fields, what) in [
        (r#","kind":"SPAN_KIND_CLIENT""#, "the value of an enum is not a number"),
        (r#","startTimeUnixNano":-1"#, "no whole number that fits"),
        (r#","startTimeUnixNano":1.5"#, "no whole number that fits"),
        (r#","spanId":"eee19b7ec3c1b1""#, "an id of the wrong length"),
        (r#","spanId":"W4eee19b7ec3c1b1""#, "an id that is not hexadecimal"),
        (r#","spanId":"""#, "a span without its ids"),
        (r#","attributes":{}"#, "an array expected"),
        (r#","name":5"#, "text expected"),
        (r#","name":"a" "kind":1"#, "a comma or a closing bracket is missing"),
        (r#","attributes":[null]"#, "an object expected"),
    ] {
        let error = one(fields).unwrap_err().unwrap_err();
        assert!(error.starts_with(what), "{fields}: {error}");
    }
    assert!(json(Signal::Traces, "").is_err() && json(Signal::Traces, "[]").is_err());
    assert!(json(Signal::Traces, "{} {}").unwrap_err().starts_with("something follows"));
    assert_eq!(json(Signal::Metrics, " { } ").unwrap(), Telemetry::Metrics(vec![]));
}

#[test]
fn a_resource_may_come_behind_its_items() {
    let body = r#"{"resourceLogs":[
        {"scopeLogs":[{"logRecords":[{},{}],"scope":{"name":"s"}},{"logRecords":[{}]}],
         "resource":{"attributes":[{"key":"n","value":{"intValue":1}}]},"schemaUrl":"u"},
        {"scopeLogs":[{"logRecords":[{}]}]}]}"#;
    let Ok(Telemetry::Logs(records)) = json(Signal::Logs, body) else { panic!("logs") };
    let told: Vec<_> = records.iter().map(|one| (&*one.scope.name, one.resource.get("n").is_some())).collect();
    assert_eq!(told, [("s", true), ("s", true), ("", true), ("", false)]);
    assert_eq!(&*records[0].resource.schema_url, "u");
}

#[test]
fn what_is_beyond_the_limits_is_refused() {
    let kind = |body: &str, limits: &Limits| {
        let result = decode(Signal::Logs, Format::Json, body.as_bytes(), limits);
        result.map(|telemetry| telemetry.items()).map_err(|error| error.kind())
    };
    let records = |count: usize| {
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, vec!["{}"; count].join(","))
    };
    let mut limits = Limits::default();
    limits.items = 10;
    assert_eq!((kind(&records(10), &limits), kind(&records(11), &limits)), (Ok(10), Err(DecodeErrorKind::TooLarge)));
    limits.elements = 10;
    assert_eq!((kind(&records(7), &limits), kind(&records(8), &limits)), (Ok(7), Err(DecodeErrorKind::TooLarge)));
    // Each level of a value takes two messages: one in the list, one that holds it.
    let nested = |levels: usize| {
        let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(levels), "]}}".repeat(levels));
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{open}{{}}{close}}}]}}]}}]}}"#)
    };
    let limits = Limits::default();
    assert_eq!(kind(&nested(47), &limits), Ok(1));
    assert_eq!(kind(&nested(48), &limits), Err(DecodeErrorKind::Malformed));
    for deep in [nested(100_000), format!(r#"{{"unknown":{}"#, "[".repeat(1 << 20)), "{\"a\":".repeat(1 << 20)] {
        assert_eq!(kind(&deep, &limits), Err(DecodeErrorKind::Malformed));
    }
    // The same in protobuf: lists (5) of values (1) in the body (5) of a record.
    let wrap = |tag: u8, body: Vec<u8>| {
        let (mut outer, mut length) = (vec![tag << 3 | 2], body.len());
        while length >= 0x80 {
            outer.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend(body);
        outer
    };
    for (levels, expected) in
        [(47, Ok(1)), (48, Err(DecodeErrorKind::Malformed)), (5_000, Err(DecodeErrorKind::Malformed))]
    {
        let value = (0..levels).fold(Vec::new(), |value, _| wrap(5, wrap(1, value)));
        let body = [1, 2, 2].into_iter().rev().fold(wrap(5, value), |body, tag| wrap(tag, body));
        let result = decode(Signal::Logs, Format::Protobuf, &body, &limits);
        assert_eq!(result.map(|telemetry| telemetry.items()).map_err(|error| error.kind()), expected, "{levels}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_do(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
            for format in [Format::Json, Format::Protobuf] {
                let _ = decode(signal, format, &body, &Limits::default());
            }
        }
    }

    /// A real body, cut off or with a byte changed anywhere.
    #[test]
    fn damaged_bodies_do(which in 0..6_usize, at: usize, byte: u8, cut: bool) {
        let signal = [Signal::Traces, Signal::Logs, Signal::Metrics][which / 2];
        let (sdk, ending, format) = [("node", "json", Format::Json), ("python", "pb", Format::Protobuf)][which % 2];
        let mut body = recorded(&format!("{sdk}-{}.{ending}", signal.name()));
        let at = at % body.len();
        if cut { body.truncate(at) } else { body[at] = byte }
        let result = decode(signal, format, &body, &Limits::default());
        // Every byte of JSON is needed.
        prop_assert!(!cut || format == Format::Protobuf || result.is_err());
    }
}
