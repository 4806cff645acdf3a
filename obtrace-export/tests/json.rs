//! Whatever a span holds, its JSON is valid and means the same, by the rules of OTLP's JSON mapping.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use obtrace_export::{
    encode::json::{MAX_DEPTH, TraceEncoder},
    model::{Attribute, Resource, Scope, Span, SpanEvent, SpanId, SpanKind, SpanLink, Status, TraceId, Value},
};
use proptest::prelude::*;
use serde_json::Value as Json;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z._]{0,20}",
        1 => any::<String>(),
        1 => prop::collection::vec(prop_oneof![Just('"'), Just('\\'), Just('\u{0}'), Just('\n'), Just('\u{7f}'), Just('é'), Just('\u{2028}'), Just('😀'), any::<char>()], 0..30)
            .prop_map(|chars| chars.into_iter().collect()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0)].prop_map(Value::from),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..4).prop_map(|entries| Value::from(
                entries.into_iter().map(|(k, v)| Attribute::new(k, v)).collect::<Vec<_>>()
            )),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    prop::collection::vec((text(), value()), 0..6)
        .prop_map(|entries| entries.into_iter().map(|(key, value)| Attribute::new(key, value)).collect())
}

fn kind() -> impl Strategy<Value = SpanKind> {
    use SpanKind::{Client, Consumer, Internal, Producer, Server};
    prop::sample::select(vec![Internal, Server, Client, Producer, Consumer])
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Unset),
        Just(Status::Ok),
        text().prop_map(|text| Status::Error { description: text.into() })
    ]
}

prop_compose! {
    /// A span without resource and scope; its id is given by the caller.
    fn span()(
        trace in any::<[u8; 16]>(), parent in any::<Option<[u8; 8]>>(), flags in any::<u32>(), kind in kind(),
        times in (any::<u64>(), any::<u64>()), texts in (text(), text()), attributes in attributes(), status in status(),
        events in prop::collection::vec((any::<u64>(), text(), attributes()), 0..3),
        links in prop::collection::vec((any::<[u8; 16]>(), any::<[u8; 8]>(), attributes()), 0..3),
    ) -> Span {
        let (name, state) = texts;
        let shared = (Arc::new(Resource::default()), Arc::new(Scope::default()));
        let mut span = Span::new(TraceId::from_bytes(trace), SpanId::default(), name, kind, shared.0, shared.1)
            .with_times(times.0, times.1)
            .with_parent(parent.map(SpanId::from_bytes).filter(|parent| !parent.is_zero()));
        span.flags = flags;
        span.trace_state = state.into();
        span.attributes = attributes;
        span.status = status;
        span.events = events.into_iter().map(|(at, name, attributes)| SpanEvent::new(at, name, attributes)).collect();
        span.links = links
            .into_iter()
            .map(|(t, s, attributes)| SpanLink::new(TraceId::from_bytes(t), SpanId::from_bytes(s), attributes))
            .collect();
        span
    }
}

fn resource() -> impl Strategy<Value = Resource> {
    (attributes(), text()).prop_map(|(attributes, url)| Resource::new(attributes).with_schema_url(url))
}

fn scope() -> impl Strategy<Value = Scope> {
    (text(), text(), text()).prop_map(|(name, version, url)| Scope::new(name, version).with_schema_url(url))
}

/// The reading side: JSON back to the model.
mod read {
    use super::*;

    pub(super) fn request(json: &Json) -> Vec<Span> {
        let mut spans = Vec::new();
        for group in list(json, "resourceSpans") {
            let found = Resource::new(attributes(&group["resource"])).with_schema_url(text(group, "schemaUrl"));
            let resource = Arc::new(found);
            for group in list(group, "scopeSpans") {
                let scope = &group["scope"];
                let scope = Arc::new(
                    Scope::new(text(scope, "name"), text(scope, "version")).with_schema_url(text(group, "schemaUrl")),
                );
                spans.extend(list(group, "spans").iter().map(|json| span(json, &resource, &scope)));
            }
        }
        spans
    }

    fn span(json: &Json, resource: &Arc<Resource>, scope: &Arc<Scope>) -> Span {
        let kind = match json["kind"].as_u64() {
            Some(1) => SpanKind::Internal,
            Some(2) => SpanKind::Server,
            Some(3) => SpanKind::Client,
            Some(4) => SpanKind::Producer,
            Some(5) => SpanKind::Consumer,
            other => panic!("kind {other:?}"),
        };
        let ids = (trace_id(json), span_id(&json["spanId"]));
        let mut span = Span::new(ids.0, ids.1, text(json, "name"), kind, Arc::clone(resource), Arc::clone(scope));
        span.parent_span_id = json.get("parentSpanId").map(span_id);
        span.flags = u32::try_from(json.get("flags").map_or(0, |flags| flags.as_u64().unwrap())).unwrap();
        span.trace_state = text(json, "traceState").into();
        (span.start_unix_nano, span.end_unix_nano) = (time(json, "startTimeUnixNano"), time(json, "endTimeUnixNano"));
        span.attributes = attributes(json);
        span.events = list(json, "events")
            .iter()
            .map(|json| SpanEvent::new(time(json, "timeUnixNano"), text(json, "name"), attributes(json)))
            .collect();
        span.links = list(json, "links")
            .iter()
            .map(|json| SpanLink::new(trace_id(json), span_id(&json["spanId"]), attributes(json)))
            .collect();
        span.status = match json.get("status").map(|status| status["code"].as_u64()) {
            None => Status::Unset,
            Some(Some(1)) => Status::Ok,
            Some(Some(2)) => Status::Error { description: text(&json["status"], "message").into() },
            other => panic!("status {other:?}"),
        };
        span
    }

    /// A field that is there is not empty.
    fn list<'j>(json: &'j Json, field: &str) -> &'j [Json] {
        json.get(field).map_or(&[], |list| list.as_array().filter(|list| !list.is_empty()).expect(field))
    }

    /// Written even when there are none.
    fn values(json: &Json) -> &[Json] {
        json["values"].as_array().unwrap()
    }

    fn text(json: &Json, field: &str) -> String {
        json.get(field)
            .map_or(String::new(), |text| text.as_str().filter(|text| !text.is_empty()).expect(field).to_owned())
    }

    fn time(json: &Json, field: &str) -> u64 {
        json.get(field).map_or(0, |time| time.as_str().expect(field).parse().unwrap())
    }

    fn hex<const N: usize>(json: &Json) -> [u8; N] {
        let digits = json.as_str().unwrap();
        assert!(digits.len() == 2 * N && !digits.contains(char::is_uppercase), "{digits}");
        std::array::from_fn(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
    }

    fn trace_id(json: &Json) -> TraceId {
        TraceId::from_bytes(hex(&json["traceId"]))
    }

    fn span_id(json: &Json) -> SpanId {
        SpanId::from_bytes(hex(json))
    }

    fn attributes(json: &Json) -> Vec<Attribute> {
        list(json, "attributes").iter().map(attribute).collect()
    }

    fn attribute(json: &Json) -> Attribute {
        Attribute::new(json["key"].as_str().unwrap().to_owned(), value(&json["value"]))
    }

    fn value(json: &Json) -> Value {
        let fields = json.as_object().unwrap();
        assert_eq!(fields.len(), 1, "{json}");
        let (name, json) = fields.iter().next().unwrap();
        match name.as_str() {
            "stringValue" => Value::from(json.as_str().unwrap().to_owned()),
            "boolValue" => Value::from(json.as_bool().unwrap()),
            "intValue" => Value::from(json.as_str().unwrap().parse::<i64>().unwrap()),
            "doubleValue" => Value::from(match json {
                Json::String(name) => name.parse().unwrap(),
                number => number.as_f64().unwrap(),
            }),
            "bytesValue" => Value::from(base64(json.as_str().unwrap())),
            "arrayValue" => Value::from(values(json).iter().map(value).collect::<Vec<_>>()),
            "kvlistValue" => Value::from(values(json).iter().map(attribute).collect::<Vec<_>>()),
            other => panic!("{other}"),
        }
    }

    fn base64(text: &str) -> Vec<u8> {
        assert_eq!(text.len() % 4, 0);
        let digit = |b: u8| match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => panic!("{other}"),
        };
        let mut bits = 0_u32;
        let mut held = 0;
        let mut out = Vec::new();
        for b in text.trim_end_matches('=').bytes() {
            bits = bits << 6 | u32::from(digit(b));
            held += 6;
            if held >= 8 {
                held -= 8;
                out.push((bits >> held & 0xff) as u8);
            }
        }
        out
    }
}

/// Debug text, so that NaN equals NaN and -0.0 differs from 0.0.
fn content(span: &Span) -> String {
    format!("{span:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_means_what_the_spans_say(
        mut spans in prop::collection::vec((span(), 0_usize..6, 0_usize..3), 1..12),
        resources in prop::collection::vec(resource(), 3), scopes in prop::collection::vec(scope(), 3),
    ) {
        // Behind six pointers are three contents.
        let resources: Vec<Arc<Resource>> = (0..6).map(|i| Arc::new(resources[i % 3].clone())).collect();
        let scopes: Vec<Arc<Scope>> = scopes.into_iter().map(Arc::new).collect();
        for (index, (span, resource, scope)) in (1_u64..).zip(&mut spans) {
            span.span_id = SpanId::from_bytes(index.to_be_bytes());
            span.resource = Arc::clone(&resources[*resource]);
            span.scope = Arc::clone(&scopes[*scope]);
        }
        let spans: Vec<Span> = spans.into_iter().map(|(span, ..)| span).collect();

        let mut out = b"kept".to_vec();
        let mut encoder = TraceEncoder::new();
        encoder.encode(&spans, &mut out);
        let json: Json = serde_json::from_slice(out.strip_prefix(b"kept").unwrap()).unwrap();
        let mut read = read::request(&json);
        read.sort_by_key(|span| span.span_id);
        prop_assert_eq!(read.iter().map(content).collect::<Vec<_>>(), spans.iter().map(content).collect::<Vec<_>>());

        // No resource and no scope of a resource is named twice (unless NaN makes it unlike itself).
        let groups = json["resourceSpans"].as_array().unwrap();
        let mut named: Vec<String> = groups.iter().map(|g| format!("{} {}", g["resource"], g["schemaUrl"])).collect();
        let count = named.len();
        named.sort();
        named.dedup();
        prop_assert!(named.len() == count || named.iter().any(|name| name.contains("NaN")));

        // A second use of the encoder gives the same.
        let mut again = Vec::new();
        encoder.encode(&spans, &mut again);
        prop_assert_eq!(&out[4..], &again[..]);
    }
}

#[test]
fn values_that_are_nested_too_deep_are_cut() {
    let mut value = Value::from("leaf");
    for _ in 0..MAX_DEPTH + 10 {
        value = Value::from(vec![Attribute::new("k", value)]);
    }
    let mut span = Span::new(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([1; 8]),
        "deep",
        SpanKind::Internal,
        Arc::default(),
        Arc::default(),
    );
    span.attributes.push(Attribute::new("deep", value));
    let mut out = Vec::new();
    TraceEncoder::new().encode(&[span], &mut out);
    let json: Json = serde_json::from_slice(&out).unwrap();
    let text = json.to_string();
    assert_eq!(text.matches("kvlistValue").count(), MAX_DEPTH);
    assert!(text.contains(r#""value":{}"#) && !text.contains("leaf"));
}

#[test]
fn no_spans_are_an_empty_request() {
    let mut out = Vec::new();
    TraceEncoder::new().encode(&[], &mut out);
    assert_eq!(out, b"{}");
}
