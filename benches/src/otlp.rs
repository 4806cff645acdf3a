//! Spans to OTLP, JSON and protobuf, compressed or not: 500 server spans of 12 attributes, one resource of 12.

use std::{hint::black_box, io::Write, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use obtrace_export::{
    compress::{Compressor, Method, decompress},
    encode::{Encoder, Format},
    model::{Attribute, Resource, Scope, Span, SpanId, SpanKind, Status, TraceId, Value},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource as ProtoResource,
    trace::v1 as proto,
};
use prost::Message;

use crate::harness::{Goals, Group, Run};

const SPANS: u64 = 500;

/// Spans as an agent makes them: names and keys constant, some texts made for the span.
pub(crate) fn spans() -> Vec<Span> {
    let resource = [
        ("service.name", "checkout"),
        ("service.namespace", "shop"),
        ("service.version", "1.42.7"),
        ("service.instance.id", "shop.checkout-6d9f7c5b8-x2x9z.app"),
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", "checkout-6d9f7c5b8-x2x9z"),
        ("k8s.pod.uid", "5d2f9a1e-0d4f-4c2c-9a57-3d1f2b7c9e10"),
        ("k8s.deployment.name", "checkout"),
        ("k8s.node.name", "worker-17"),
        ("k8s.container.name", "app"),
        ("telemetry.sdk.language", "go"),
        ("telemetry.sdk.name", "obtrace"),
    ];
    let resource = Arc::new(Resource::new(resource.map(|(key, value)| Attribute::new(key, value)).to_vec()));
    let scope = Arc::new(Scope::new("obtrace-agent", "0.1.0"));
    (0..SPANS)
        .map(|i| {
            let hash = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut trace = [0; 16];
            trace[..8].copy_from_slice(&hash.to_be_bytes());
            trace[8..].copy_from_slice(&(!hash).to_be_bytes());
            let start = 1_760_000_000_000_000_000 + i * 1_000_003;
            let mut span = Span::new(
                TraceId::from_bytes(trace),
                SpanId::from_bytes((hash | 1).to_be_bytes()),
                "GET /api/v1/orders/{id}",
                SpanKind::Server,
                Arc::clone(&resource),
                Arc::clone(&scope),
            )
            .with_times(start, start + 2_345_678 + (hash >> 44))
            .with_parent(Some(SpanId::from_bytes((hash.rotate_left(17) | 1).to_be_bytes())));
            let failed = i % 20 == 0;
            span.push("http.request.method", "GET");
            span.push("http.route", "/api/v1/orders/{id}");
            span.push("url.path", format!("/api/v1/orders/{}", 100_000 + (hash >> 48)));
            span.push("url.scheme", "http");
            span.push("http.response.status_code", if failed { 503_i64 } else { 200 });
            span.push("server.address", "checkout.shop.svc.cluster.local");
            span.push("server.port", 8080_i64);
            span.push("client.address", format!("10.42.{}.{}", i % 7, hash % 250));
            span.push("network.peer.port", 30_000 + (hash % 20_000) as i64);
            span.push("network.protocol.version", "1.1");
            span.push("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) kube-probe/1.34");
            span.push("http.request.body.size", 0_i64);
            if failed {
                span.status = Status::Error { description: "503".into() };
            }
            span
        })
        .collect()
}

fn key_values(attributes: &[Attribute]) -> Vec<KeyValue> {
    let value = |value: &Value| match value {
        Value::Str(text) => any_value::Value::StringValue(text.to_string()),
        Value::Int(number) => any_value::Value::IntValue(*number),
        other => unreachable!("{other:?} is not among the inputs"),
    };
    attributes
        .iter()
        .map(|attribute| KeyValue {
            key: attribute.key.to_string(),
            value: Some(AnyValue { value: Some(value(&attribute.value)) }),
            ..KeyValue::default()
        })
        .collect()
}

/// The peer's structs, as its own exporter would fill them.
fn request(spans: &[Span]) -> ExportTraceServiceRequest {
    let first = &spans[0];
    let resource = ProtoResource { attributes: key_values(&first.resource.attributes), ..ProtoResource::default() };
    let scope = InstrumentationScope {
        name: first.scope.name.to_string(),
        version: first.scope.version.to_string(),
        ..InstrumentationScope::default()
    };
    let spans = spans
        .iter()
        .map(|span| proto::Span {
            trace_id: span.trace_id.to_bytes().to_vec(),
            span_id: span.span_id.to_bytes().to_vec(),
            parent_span_id: span.parent_span_id.map(|id| id.to_bytes().to_vec()).unwrap_or_default(),
            flags: span.flags,
            name: span.name.to_string(),
            kind: proto::span::SpanKind::Server.into(),
            start_time_unix_nano: span.start_unix_nano,
            end_time_unix_nano: span.end_unix_nano,
            attributes: key_values(&span.attributes),
            status: match &span.status {
                Status::Error { description } => Some(proto::Status {
                    message: description.to_string(),
                    code: proto::status::StatusCode::Error.into(),
                }),
                _ => None,
            },
            ..proto::Span::default()
        })
        .collect();
    let scopes = vec![proto::ScopeSpans { scope: Some(scope), spans, ..proto::ScopeSpans::default() }];
    let group =
        proto::ResourceSpans { resource: Some(resource), scope_spans: scopes, ..proto::ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }
}

/// What opentelemetry-otlp does to a body where gzip is asked for: level 6.
fn peers_gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// One of ours: encodes, and compresses if that is asked for, into memory that is kept.
struct Ours {
    encoder: Encoder,
    format: Format,
    compressor: Option<Compressor>,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Ours {
    fn new(format: Format, method: Option<Method>) -> Self {
        let compressor = method.map(|method| Compressor::new(method).expect("there is memory"));
        Self { encoder: Encoder::new(), format, compressor, plain: Vec::new(), packed: Vec::new() }
    }

    /// The body as it is sent.
    fn body(&mut self, spans: &[Span]) -> &[u8] {
        self.plain.clear();
        self.encoder.encode(self.format, spans, &mut self.plain);
        let Some(compressor) = &mut self.compressor else { return &self.plain };
        self.packed.clear();
        compressor.compress(&self.plain, &mut self.packed).expect("memory takes it");
        &self.packed
    }

    /// Asserts that the peer's types read of it what they hold themselves; gives its length.
    fn check(&mut self, spans: &[Span], structs: &ExportTraceServiceRequest) -> usize {
        let method = self.compressor.as_ref().map(Compressor::method);
        let body = self.body(spans);
        let length = body.len();
        let plain = match method {
            Some(method) => decompress(method, body, 1 << 20).expect("what was compressed comes back"),
            None => body.to_vec(),
        };
        let read: ExportTraceServiceRequest = match self.format {
            Format::Json => serde_json::from_slice(&plain).expect("the peer reads our JSON"),
            _ => ExportTraceServiceRequest::decode(&*plain).expect("the peer reads our protobuf"),
        };
        assert_eq!(&read, structs, "our {:?} means what the peer's structs say", self.format);
        length
    }
}

/// How each of ours is called, what it must reach in millions of spans a second, and whether that must be without allocating.
const OURS: [(&str, Format, Option<Method>, f64); 6] = [
    ("obtrace-export: JSON", Format::Json, None, 2.5),
    ("obtrace-export: protobuf", Format::Protobuf, None, 2.5),
    ("obtrace-export: JSON + gzip 1", Format::Json, Some(Method::Gzip), 0.5),
    ("obtrace-export: protobuf + gzip 1", Format::Protobuf, Some(Method::Gzip), 0.5),
    ("obtrace-export: JSON + zstd 1", Format::Json, Some(Method::Zstd), 0.5),
    ("obtrace-export: protobuf + zstd 1", Format::Protobuf, Some(Method::Zstd), 0.5),
];

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let spans = &spans();
    let structs = &request(spans);
    let peers_json = || serde_json::to_vec(&request(spans)).expect("the peer writes JSON");
    let peers_protobuf = || request(spans).encode_to_vec();

    let mut group = Group::new("OTLP, 500 spans of 12 attributes", "span", SPANS as usize);
    for (name, format, method, _) in OURS {
        let mut ours = Ours::new(format, method);
        let length = ours.check(spans, structs);
        if (format, method) == (Format::Json, None) {
            goals.size("OTLP JSON: bytes a span", length as f64 / SPANS as f64, 1060.0);
        }
        group = group.add(name, length, move || ours.body(spans).len());
    }
    let (json, protobuf) = (peers_json(), peers_protobuf());
    let mut copy = Vec::new();
    let outcome = group
        .add("opentelemetry-proto: build structs + serde_json", json.len(), peers_json)
        .add("opentelemetry-proto: build structs + prost", protobuf.len(), peers_protobuf)
        .add("opentelemetry-proto: … + serde_json + gzip 6", peers_gzip(&json).len(), || peers_gzip(&peers_json()))
        .add("opentelemetry-proto: … + prost + gzip 6", peers_gzip(&protobuf).len(), || peers_gzip(&peers_protobuf()))
        .add("opentelemetry-proto: serde_json of structs that are there", json.len(), || serde_json::to_vec(structs))
        .add("opentelemetry-proto: prost of structs that are there", protobuf.len(), || structs.encode_to_vec())
        .add("floor: copy of the JSON", json.len(), || {
            copy.clear();
            copy.extend_from_slice(black_box(&json));
        })
        .run(run);
    let times = |peer: usize, ours: usize| outcome.nanos[peer] / outcome.nanos[ours];
    goals.ratio("OTLP JSON: times opentelemetry-proto + serde_json", times(6, 0), 8.0, 5.0);
    goals.ratio("OTLP protobuf: times opentelemetry-proto + prost", times(7, 1), 8.0, 5.0);
    for (at, (name, _, method, millions)) in OURS.into_iter().enumerate() {
        let what = name.replace("obtrace-export:", "OTLP");
        goals.rate(format!("{what}: million spans/s"), SPANS as f64 * 1e3 / outcome.nanos[at], millions);
        if method.is_none_or(|method| method == Method::Gzip) {
            goals.no_allocations(what, outcome.allocations[at]);
        }
    }
}
