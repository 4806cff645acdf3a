//! What is sent: of each signal everything that the model has, for two resources and three scopes.

use std::sync::Arc;

use obtrace_export::model::{
    Attribute, Buckets, Exemplar, ExponentialPoint, FLAG_HAS_IS_REMOTE, FLAG_IS_REMOTE, FLAG_NO_RECORDED_VALUE,
    HistogramPoint, LogRecord, Metric, MetricData, Number, NumberPoint, Quantile, Resource, Scope, Span, SpanEvent,
    SpanId, SpanKind, SpanLink, Status, SummaryPoint, Temporality, TraceId, Value,
};

/// The attribute of the resource that tells what was sent in one form from what was sent in the others.
pub(crate) const CASE: &str = "test.case";

const START: u64 = 1_760_000_000_000_000_001;

/// Two resources of the same case, one with a schema.
fn resources(case: &str) -> [Arc<Resource>; 2] {
    let resource = |service: &'static str| {
        Resource::new(vec![
            Attribute::new("service.name", service),
            Attribute::new(CASE, case.to_owned()),
            Attribute::new("host.arch", "amd64"),
        ])
    };
    let mut first = resource("checkout").with_schema_url("https://opentelemetry.io/schemas/1.38.0");
    first.dropped_attributes_count = 1;
    [Arc::new(first), Arc::new(resource("läger \u{1f4e6}"))]
}

fn scopes() -> [Arc<Scope>; 2] {
    let mut scope = Scope::new("library", "1.2.3").with_schema_url("https://opentelemetry.io/schemas/1.37.0");
    scope.attributes = vec![Attribute::new("scope.kind", "test"), Attribute::new("scope.number", 7_i64)];
    scope.dropped_attributes_count = 3;
    [Arc::new(scope), Arc::new(Scope::new("other", ""))]
}

/// A value of every kind, and of every kind within others.
fn attributes() -> Vec<Attribute> {
    let map = vec![Attribute::new("inner", 1_i64), Attribute::new("deep", vec![Attribute::new("er", true)])];
    vec![
        Attribute::new("text", "a \"quoted\" line\nand \u{e9}\u{1f600}"),
        Attribute::new("empty text", ""),
        Attribute::new("truth", true),
        Attribute::new("lie", false),
        Attribute::new("zero", 0_i64),
        Attribute::new("least", i64::MIN),
        Attribute::new("greatest", i64::MAX),
        Attribute::new("double", -1.5e-7),
        Attribute::new("infinity", f64::INFINITY),
        Attribute::new("bytes", vec![0_u8, 255, 10]),
        Attribute::new("list", vec![Value::from("a"), Value::from(2_i64), Value::from(0.5), Value::from(true)]),
        Attribute::new("map", map),
        Attribute::new("long", "x".repeat(5_000)),
    ]
}

/// Spans: every kind, every status, parents, events, links, a trace state.
pub(crate) fn spans(case: &str) -> Vec<Span> {
    let ([first, second], [library, other]) = (resources(case), scopes());
    let trace = TraceId::from_bytes(*b"\x01trace of tests\xff");
    let id = |n: u8| SpanId::from_bytes([n, 0, 0, 0, 0, 0, 0, 9]);
    let span = |n: u8, name: &'static str, kind, resource: &Arc<Resource>, scope: &Arc<Scope>| {
        Span::new(trace, id(n), name, kind, Arc::clone(resource), Arc::clone(scope))
            .with_times(START, START + u64::from(n) * 1_000_003)
    };
    let mut root = span(1, "GET /cart", SpanKind::Server, &first, &library);
    root.attributes = attributes();
    (root.dropped_attributes_count, root.dropped_events_count, root.dropped_links_count) = (4, 5, u32::MAX);
    root.trace_state = "vendor=a:b,other=1".into();
    root.status = Status::Error { description: "no \u{2713} in it".into() };
    root.events =
        vec![SpanEvent::new(START + 5, "exception", attributes()), SpanEvent::new(START + 6, "bare", Vec::new())];
    let mut client = span(2, "SELECT", SpanKind::Client, &first, &library).with_parent(Some(id(1)));
    client.status = Status::Ok;
    client.links = vec![
        SpanLink::new(TraceId::from_bytes([7; 16]), id(77), vec![Attribute::new("link", "yes")])
            .with_flags(1 | FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE)
            .with_trace_state("vendor=c"),
        SpanLink::new(trace, id(1), Vec::new()),
    ];
    client.links[1].dropped_attributes_count = 7;
    let internal = span(3, "", SpanKind::Internal, &first, &other).with_parent(Some(id(1)));
    let producer = span(4, "send", SpanKind::Producer, &second, &library).with_parent(Some(id(2)));
    let mut consumer = span(5, "receive", SpanKind::Consumer, &second, &library).with_parent(Some(id(4)));
    consumer.flags = 3 | FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE;
    // More than one batch, and bodies worth compressing.
    let many = (0..1_200_u16).map(|n| {
        let mut span = span(6, "many", SpanKind::Server, &second, &other);
        span.span_id = SpanId::from_bytes((u64::from(n) + 1_000).to_be_bytes());
        span.push("number", i64::from(n));
        span
    });
    [root, client, internal, producer, consumer].into_iter().chain(many).collect()
}

/// Log records: with everything, with nothing, with a body of each form.
pub(crate) fn log_records(case: &str) -> Vec<LogRecord> {
    let ([first, second], [library, other]) = (resources(case), scopes());
    let mut full = LogRecord::new("disk \u{201e}sda\u{201c} full", Arc::clone(&first), Arc::clone(&library));
    (full.time_unix_nano, full.observed_time_unix_nano) = (START, START + 9);
    (full.severity_number, full.severity_text) = (17, "ERR".into());
    full.attributes = attributes();
    (full.flags, full.dropped_attributes_count) = (1, 2);
    full.trace_id = Some(TraceId::from_bytes([3; 16]));
    full.span_id = Some(SpanId::from_bytes([4; 8]));
    full.event_name = "device.full".into();
    let mut bare = LogRecord::new(Value::Empty, Arc::clone(&first), Arc::clone(&library));
    bare.observed_time_unix_nano = START;
    let bodies = [
        Value::from(vec![Attribute::new("k", 1_i64)]),
        Value::from(vec![Value::from("a"), Value::Empty]),
        Value::from(vec![1_u8, 2]),
        Value::from(-5_i64),
        Value::from(2.5),
        Value::from(true),
    ];
    let others = bodies.into_iter().map(|body| LogRecord::new(body, Arc::clone(&second), Arc::clone(&other)));
    [full, bare].into_iter().chain(others).collect()
}

/// Metrics: every kind, both temporalities, both kinds of numbers, with exemplars and without.
pub(crate) fn metrics(case: &str) -> Vec<Metric> {
    let ([first, second], [library, other]) = (resources(case), scopes());
    let kinds = [
        ("gauge", MetricData::Gauge(vec![number(-3_i64), number(0.5), gone()])),
        ("counter", MetricData::sum(vec![number(i64::MAX)], Temporality::Cumulative, true)),
        ("up.down", MetricData::sum(vec![number(-0.25)], Temporality::Delta, false)),
        ("histogram", MetricData::histogram(histograms(), Temporality::Cumulative)),
        ("exponential", MetricData::exponential_histogram(vec![exponential()], Temporality::Delta)),
        ("summary", MetricData::Summary(vec![summary()])),
    ];
    let of = |resource: &Arc<Resource>, scope: &Arc<Scope>| {
        let metric = |(name, data): (&'static str, MetricData)| {
            let metric = Metric::new(name, "{thing}", data, Arc::clone(resource), Arc::clone(scope));
            let mut metric = metric.with_description("what it \u{201a}means\u{2018}");
            metric.metadata = vec![Attribute::new("prometheus.type", "unknown")];
            metric
        };
        kinds.clone().map(metric)
    };
    [of(&first, &library), of(&first, &other), of(&second, &library)].concat()
}

fn labels() -> Vec<Attribute> {
    vec![Attribute::new("http.route", "/cart"), Attribute::new("http.response.status_code", 200_i64)]
}

fn exemplars() -> Vec<Exemplar> {
    let traced = Exemplar::new(0.75, START + 3).with_span(TraceId::from_bytes([5; 16]), SpanId::from_bytes([6; 8]));
    vec![traced.with_attributes(vec![Attribute::new("user", "a")]), Exemplar::new(-4_i64, START + 4)]
}

fn number(value: impl Into<Number>) -> NumberPoint {
    let point = NumberPoint::new(value, START + 10).with_start_time(START);
    point.with_attributes(labels()).with_exemplars(exemplars())
}

/// A series that ended.
fn gone() -> NumberPoint {
    let mut point = NumberPoint::default().with_flags(FLAG_NO_RECORDED_VALUE);
    point.time_unix_nano = START + 11;
    point
}

fn histograms() -> Vec<HistogramPoint> {
    let full = HistogramPoint::new(6, START + 10).with_start_time(START).with_attributes(labels());
    let full = full.with_buckets(vec![0.5, 5.0], vec![1, 2, 3]).with_sum(12.5).with_range(0.25, 9.0);
    vec![full.with_exemplars(exemplars()), HistogramPoint::new(3, START)]
}

fn exponential() -> ExponentialPoint {
    let point = ExponentialPoint::new(9, -2, START + 10).with_start_time(START).with_attributes(labels());
    point
        .with_positive(Buckets::new(-3, vec![1, 0, 3]))
        .with_negative(Buckets::new(2, vec![3]))
        .with_zero(2, 1e-9)
        .with_sum(-1.0)
        .with_range(-8.0, 4.0)
        .with_exemplars(exemplars())
}

fn summary() -> SummaryPoint {
    let quantiles = [(0.0, 1.0), (0.5, 2.0), (1.0, 4.0)].map(|(share, value)| Quantile::new(share, value));
    SummaryPoint::new(4, 8.5, START + 10)
        .with_start_time(START)
        .with_attributes(labels())
        .with_quantiles(quantiles.into())
}
