//! The real SDK with this crate as its exporter, before a receiver that decodes what arrives.
#![cfg(all(feature = "opentelemetry_sdk_0_33", feature = "http", feature = "receive"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::TcpListener,
    sync::mpsc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use obtrace_export::{
    decode::Telemetry,
    model::{
        Attribute, FLAG_HAS_IS_REMOTE, FLAG_IS_REMOTE, Item, LogRecord, Metric, MetricData, Number, Resource, Scope,
        Span, SpanId, SpanKind, Status, Temporality, TraceId, Value,
    },
    opentelemetry_sdk_0_33::{LogExporter, MetricExporter, SpanExporter},
    pipeline::{Config, Exporter},
    receive::{Limits, Receiver, Running},
    stats::DropReason,
    transport::{Http, HttpConfig},
};
use opentelemetry::{
    Array, InstrumentationScope, KeyValue, SpanId as SdkSpanId, TraceId as SdkTraceId, Value as SdkValue,
    logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity},
    metrics::MeterProvider as _,
    trace::{
        Link, Span as _, SpanContext, SpanKind as SdkKind, Status as SdkStatus, TraceContextExt as _, TraceFlags,
        TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::{
    Resource as SdkResource,
    logs::SdkLoggerProvider,
    metrics::{Aggregation, Instrument, SdkMeterProvider, Stream, Temporality as SdkTemporality},
    trace::{SdkTracerProvider, SpanLimits},
};

const SCHEMA: &str = "https://opentelemetry.io/schemas/1.38.0";
const START: u64 = 1_760_000_000_123_456_789;

/// A receiver, and what it got.
struct World {
    running: Running,
    got: mpsc::Receiver<Telemetry>,
}

impl World {
    fn new() -> Self {
        let (sender, got) = mpsc::channel();
        let receiver = Receiver::bind(("127.0.0.1", 0), Limits::default()).unwrap();
        let running = receiver.spawn_thread(move |request| sender.send(request.telemetry).unwrap()).unwrap();
        Self { running, got }
    }

    /// An exporter that sends there, its worker on a thread of its own.
    fn exporter<T: Item>(&self) -> Exporter<T> {
        exporter(&format!("http://{}", self.running.local_address()))
    }

    /// What arrived so far: exports wait for the receiver, so nothing is waited for here.
    fn got(&self) -> Vec<Telemetry> {
        self.got.try_iter().collect()
    }

    fn spans(&self) -> Vec<Span> {
        let spans = |telemetry| if let Telemetry::Traces(spans) = telemetry { spans } else { Vec::new() };
        self.got().into_iter().flat_map(spans).collect()
    }

    fn log_records(&self) -> Vec<LogRecord> {
        let records = |telemetry| if let Telemetry::Logs(records) = telemetry { records } else { Vec::new() };
        self.got().into_iter().flat_map(records).collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let metrics = |telemetry| if let Telemetry::Metrics(metrics) = telemetry { metrics } else { Vec::new() };
        self.got().into_iter().flat_map(metrics).collect()
    }
}

fn exporter<T: Item>(url: &str) -> Exporter<T> {
    let http = Http::new(HttpConfig::otlp(url, T::SIGNAL).unwrap()).unwrap();
    let (exporter, worker) = Exporter::new(http, Config::new());
    worker.spawn_thread().unwrap();
    exporter
}

fn sdk_resource() -> SdkResource {
    let attributes = [KeyValue::new("service.name", "shop"), KeyValue::new("process.pid", 7)];
    SdkResource::builder_empty().with_schema_url(attributes, SCHEMA).build()
}

fn resource() -> Resource {
    let attributes = vec![Attribute::new("process.pid", 7_i64), Attribute::new("service.name", "shop")];
    Resource::new(attributes).with_schema_url(SCHEMA)
}

fn sdk_scope() -> InstrumentationScope {
    let builder = InstrumentationScope::builder("library").with_version("1.2").with_schema_url(SCHEMA);
    builder.with_attributes([KeyValue::new("a", true)]).build()
}

fn scope() -> Scope {
    scope_named("library".to_owned())
}

fn scope_named(name: String) -> Scope {
    Scope::new(name, "1.2").with_attributes(vec![Attribute::new("a", true)]).with_schema_url(SCHEMA)
}

fn time(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

fn remote(flags: TraceFlags) -> SpanContext {
    let state = TraceState::from_key_value([("vendor", "a:b"), ("other", "1")]).unwrap();
    SpanContext::new(SdkTraceId::from_bytes([3; 16]), SdkSpanId::from_bytes([4; 8]), flags, true, state)
}

/// A span with everything that the API takes.
fn make_span(provider: &SdkTracerProvider) {
    let tracer = provider.tracer_with_scope(sdk_scope());
    let parent = opentelemetry::Context::new().with_remote_span_context(remote(TraceFlags::SAMPLED));
    let array = |array: Array| SdkValue::Array(array);
    let mut span = tracer
        .span_builder("GET /cart")
        .with_kind(SdkKind::Server)
        .with_start_time(time(START))
        .with_attributes([
            KeyValue::new("text", "a\nb"),
            KeyValue::new("truth", true),
            KeyValue::new("whole", i64::MIN),
            KeyValue::new("double", 0.1),
            KeyValue::new("texts", array(Array::String(vec!["a".into(), "b".into()]))),
            KeyValue::new("numbers", array(Array::I64(vec![1, 2]))),
            KeyValue::new("one too many", 1),
        ])
        .with_links(vec![
            Link::new(remote(TraceFlags::default()), vec![KeyValue::new("b", "c"), KeyValue::new("d", 1)], 0),
            Link::new(remote(TraceFlags::default()), Vec::new(), 0),
        ])
        .start_with_context(&tracer, &parent);
    for number in 0..3_u64 {
        span.add_event_with_timestamp("event", time(START + number), vec![KeyValue::new("number", number as i64)]);
    }
    span.set_status(SdkStatus::error("no cart"));
    span.end_with_timestamp(time(START + 1_000_000));
}

fn limits() -> SpanLimits {
    let mut limits = SpanLimits::default();
    (limits.max_attributes_per_span, limits.max_events_per_span, limits.max_links_per_span) = (6, 2, 1);
    limits.max_attributes_per_link = 1;
    limits
}

fn check_span(span: &Span) {
    assert_eq!((span.trace_id, span.parent_span_id), (TraceId::from_bytes([3; 16]), Some(SpanId::from_bytes([4; 8]))));
    assert!(!span.span_id.is_zero());
    assert_eq!(
        (&*span.name, span.kind, span.flags),
        ("GET /cart", SpanKind::Server, 1 | FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE)
    );
    assert_eq!(span.trace_state, "vendor=a:b,other=1");
    assert_eq!((span.start_unix_nano, span.end_unix_nano), (START, START + 1_000_000));
    let texts = vec![Value::from("a"), Value::from("b")];
    let expected = vec![
        Attribute::new("text", "a\nb"),
        Attribute::new("truth", true),
        Attribute::new("whole", i64::MIN),
        Attribute::new("double", 0.1),
        Attribute::new("texts", texts),
        Attribute::new("numbers", vec![Value::from(1_i64), Value::from(2_i64)]),
    ];
    assert_eq!((&span.attributes, span.dropped_attributes_count), (&expected, 1));
    let events: Vec<_> = span.events.iter().map(|event| (event.time_unix_nano, event.attributes.len())).collect();
    assert_eq!((events, span.dropped_events_count), (vec![(START, 1), (START + 1, 1)], 1));
    let [link] = &*span.links else { panic!("{:?}", span.links) };
    assert_eq!((link.trace_id, link.flags), (TraceId::from_bytes([3; 16]), FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE));
    assert_eq!((&link.trace_state, link.dropped_attributes_count, span.dropped_links_count), (&span.trace_state, 1, 1));
    assert_eq!(span.status, Status::Error { description: "no cart".into() });
    assert_eq!((&*span.resource, &*span.scope), (&resource(), &scope()));
}

#[test]
fn a_batch_of_spans_arrives_before_the_flush_returns() {
    let world = World::new();
    let exporter = world.exporter();
    let builder = SdkTracerProvider::builder().with_resource(sdk_resource()).with_span_limits(limits());
    let provider = builder.with_batch_exporter(SpanExporter::new(exporter.clone())).build();
    make_span(&provider);
    provider.force_flush().unwrap();
    let spans = world.spans();
    assert_eq!(spans.len(), 1);
    check_span(&spans[0]);
    // More than the processor's batch, and the rest with the shutdown.
    let tracer = provider.tracer("many");
    (0..1_000).for_each(|number| tracer.span_builder(format!("span {number}")).start(&tracer).end());
    provider.shutdown().unwrap();
    let spans = world.spans();
    assert_eq!((spans.len(), &*spans[999].name, &*spans[0].scope.name), (1_000, "span 999", "many"));
    let stats = exporter.stats();
    assert_eq!((stats.accepted, stats.exported, stats.is_balanced()), (1_001, 1_001, true));
}

#[test]
fn a_simple_processor_exports_each_span_as_it_ends() {
    let world = World::new();
    let builder = SdkTracerProvider::builder().with_resource(sdk_resource()).with_span_limits(limits());
    let provider = builder.with_simple_exporter(SpanExporter::new(world.exporter())).build();
    make_span(&provider);
    check_span(&world.spans()[0]);
    let tracer = provider.tracer("t");
    tracer.in_span("outer", |_| tracer.in_span("inner", |_| {}));
    let spans = world.spans();
    assert_eq!((&*spans[0].name, &*spans[1].name), ("inner", "outer"));
    assert_eq!((spans[0].parent_span_id, spans[1].parent_span_id), (Some(spans[1].span_id), None));
    assert_eq!(spans[0].flags, 1 | FLAG_HAS_IS_REMOTE);
    provider.shutdown().unwrap();
}

#[test]
fn without_a_wait_a_span_is_handed_over_only() {
    let world = World::new();
    let exporter = world.exporter();
    let adapter = SpanExporter::new(exporter.clone()).with_wait(Duration::ZERO);
    let provider = SdkTracerProvider::builder().with_simple_exporter(adapter).build();
    provider.tracer("t").in_span("s", |_| {});
    assert_eq!(exporter.force_flush_blocking(Duration::from_secs(60)).exported, 1);
    assert_eq!(world.spans().len(), 1);
    drop(provider);
}

/// The processor blocks the runtime's only thread; the worker and the wait have others.
#[tokio::test(flavor = "current_thread")]
async fn spans_arrive_from_within_a_runtime() {
    let world = World::new();
    let provider = SdkTracerProvider::builder().with_simple_exporter(SpanExporter::new(world.exporter())).build();
    provider.tracer("t").in_span("s", |_| {});
    assert_eq!(world.spans().len(), 1);
    provider.shutdown().unwrap();
}

#[test]
fn what_is_not_delivered_is_told_and_kept() {
    // The system completes connections to it, and nobody answers.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let exporter = exporter(&format!("http://{}", silent.local_addr().unwrap()));
    let adapter = SpanExporter::new(exporter.clone()).with_wait(Duration::from_millis(50));
    let provider = SdkTracerProvider::builder().with_batch_exporter(adapter).build();
    let tracer = provider.tracer("t");
    tracer.in_span("first", |_| {});
    let told = || provider.force_flush().unwrap_err().to_string();
    assert!(told().contains("Timeout"));
    // Behind: handed over without another wait.
    tracer.in_span("second", |_| {});
    assert!(told().contains("2 spans wait for the receiver"));
    assert_eq!((exporter.stats().in_flight(), exporter.stats().dropped_total()), (2, 0));
    exporter.shutdown_blocking(Duration::ZERO);
    let before = exporter.stats();
    (0..20).for_each(|_| tracer.in_span("late", |_| {}));
    assert!(told().contains("AlreadyShutdown"));
    // Each of them, not only the first.
    let stats = exporter.stats();
    assert_eq!((stats.accepted - before.accepted, stats.dropped(DropReason::Closed)), (20, 20));
    assert!(stats.is_balanced(), "{stats:?}");
}

#[test]
fn what_the_receiver_refuses_is_told() {
    let world = World::new();
    let url = format!("http://{}/nothing/here", world.running.local_address());
    let provider = SdkTracerProvider::builder().with_batch_exporter(SpanExporter::new(exporter(&url))).build();
    provider.tracer("t").in_span("s", |_| {});
    let told = provider.force_flush().unwrap_err().to_string();
    assert!(told.contains("1 spans were dropped (refused)"), "{told}");
}

#[test]
fn log_records_arrive_whole() {
    let world = World::new();
    let builder = SdkLoggerProvider::builder().with_resource(sdk_resource());
    let provider = builder.with_batch_exporter(LogExporter::new(world.exporter())).build();
    let logger = provider.logger_with_scope(sdk_scope());
    let mut record = logger.create_log_record();
    record.set_timestamp(time(START));
    record.set_observed_timestamp(time(START + 1));
    record.set_severity_number(Severity::Error2);
    record.set_severity_text("ERR");
    record.set_event_name("device.full");
    record.set_trace_context(SdkTraceId::from_bytes([5; 16]), SdkSpanId::from_bytes([6; 8]), Some(TraceFlags::SAMPLED));
    let inner = [("y".into(), AnyValue::Bytes(Box::new(vec![1, 255]))), ("x".into(), AnyValue::Int(-1))];
    record.set_body(AnyValue::Map(Box::new(inner.into_iter().collect())));
    record.add_attribute("list", AnyValue::ListAny(Box::new(vec![AnyValue::Boolean(true), AnyValue::Double(0.5)])));
    logger.emit(record);
    logger.emit(logger.create_log_record());
    provider.force_flush().unwrap();
    let records = world.log_records();
    let (first, second) = (&records[0], &records[1]);
    assert_eq!((first.time_unix_nano, first.observed_time_unix_nano), (START, START + 1));
    assert_eq!((first.severity_number, &*first.severity_text, &*first.event_name), (18, "ERR", "device.full"));
    assert_eq!((first.trace_id, first.flags), (Some(TraceId::from_bytes([5; 16])), 1));
    assert_eq!(first.span_id, Some(SpanId::from_bytes([6; 8])));
    assert_eq!(first.body, Value::from(vec![Attribute::new("x", -1_i64), Attribute::new("y", vec![1_u8, 255])]));
    assert_eq!(first.attributes, [Attribute::new("list", vec![Value::from(true), Value::from(0.5)])]);
    assert_eq!((&*first.resource, &*first.scope), (&resource(), &scope()));
    assert_eq!((&second.body, second.trace_id, second.severity_number), (&Value::Empty, None, 0));
    provider.shutdown().unwrap();
}

#[test]
fn the_target_of_a_log_record_is_the_name_of_its_scope() {
    let world = World::new();
    let exporter = world.exporter();
    let provider = SdkLoggerProvider::builder().with_batch_exporter(LogExporter::new(exporter)).build();
    let logger = provider.logger_with_scope(sdk_scope());
    // As bridges set it; more of them than are remembered.
    let targets: Vec<_> = (0..300).map(|number| format!("shop::module{number}")).collect();
    let emit = |target: Option<&String>| {
        let mut record = logger.create_log_record();
        target.into_iter().for_each(|target| record.set_target(target.clone()));
        record.set_body(target.map_or("", String::as_str).to_owned().into());
        logger.emit(record);
    };
    emit(None);
    targets.iter().for_each(|target| emit(Some(target)));
    targets.iter().for_each(|target| emit(Some(target)));
    provider.force_flush().unwrap();
    let records = world.log_records();
    let named = |name: &str| scope_named(name.to_owned());
    for record in &records {
        let Value::Str(target) = &record.body else { panic!("{:?}", record.body) };
        assert_eq!(*record.scope, named(if target.is_empty() { "library" } else { target }));
    }
    assert_eq!(records.len(), 601);
    provider.shutdown().unwrap();
}

fn named<'m>(metrics: &'m [Metric], name: &str) -> &'m Metric {
    metrics.iter().find(|metric| metric.name == name).unwrap()
}

/// Every instrument; the histogram `exponential` aggregated as its name says.
fn measure(world: &World, temporality: SdkTemporality) -> Vec<Metric> {
    let view = |instrument: &Instrument| {
        let aggregation = Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };
        (instrument.name() == "exponential").then(|| Stream::builder().with_aggregation(aggregation).build().unwrap())
    };
    let adapter = MetricExporter::new(world.exporter()).with_temporality(temporality);
    let builder = SdkMeterProvider::builder().with_resource(sdk_resource()).with_view(view);
    let provider = builder.with_periodic_exporter(adapter).build();
    let meter = provider.meter_with_scope(sdk_scope());
    let labels = [KeyValue::new("route", "/cart")];
    let counter = meter.u64_counter("counter").with_unit("{request}").with_description("Requests").build();
    counter.add(3, &labels);
    meter.f64_counter("double").build().add(0.25, &labels);
    meter.i64_up_down_counter("up.down").build().add(-2, &labels);
    meter.f64_gauge("gauge").build().record(-1.5, &labels);
    let _observed = meter.u64_observable_gauge("observed").with_callback(|gauge| gauge.observe(u64::MAX, &[])).build();
    let histogram = meter.u64_histogram("histogram").with_boundaries(vec![1.0, 10.0]).build();
    let exponential = meter.f64_histogram("exponential").build();
    [1, 5, 100].iter().for_each(|value| histogram.record(*value, &labels));
    [0.0, 0.5, 4.0].iter().for_each(|value| exponential.record(*value, &labels));
    provider.force_flush().unwrap();
    let metrics = world.metrics();
    provider.shutdown().unwrap();
    metrics
}

#[test]
fn metrics_of_every_instrument_arrive() {
    let metrics = measure(&World::new(), SdkTemporality::Cumulative);
    assert_eq!(metrics.len(), 7);
    let labels = vec![Attribute::new("route", "/cart")];
    let counter = named(&metrics, "counter");
    assert_eq!((&*counter.unit, &*counter.description), ("{request}", "Requests"));
    assert_eq!((&*counter.resource, &*counter.scope), (&resource(), &scope()));
    let MetricData::Sum { points, temporality: Temporality::Cumulative, monotonic: true } = &counter.data else {
        panic!("{counter:?}")
    };
    assert_eq!((points[0].value, &points[0].attributes), (Some(Number::Int(3)), &labels));
    assert!(points[0].start_time_unix_nano > 0 && points[0].start_time_unix_nano <= points[0].time_unix_nano);
    let values = ["double", "up.down", "gauge", "observed"].map(|name| match &named(&metrics, name).data {
        MetricData::Sum { points, monotonic, .. } => (points[0].value.unwrap(), *monotonic),
        MetricData::Gauge(points) => (points[0].value.unwrap(), false),
        other => panic!("{other:?}"),
    });
    // OTLP has no larger integer.
    let (most, int, double) = (i64::MAX, Number::Int, Number::Double);
    assert_eq!(values, [(double(0.25), true), (int(-2), false), (double(-1.5), false), (int(most), false)]);
    let MetricData::Histogram { points, .. } = &named(&metrics, "histogram").data else { panic!() };
    assert_eq!(
        (points[0].count, points[0].sum, points[0].min, points[0].max),
        (3, Some(106.0), Some(1.0), Some(100.0))
    );
    assert_eq!((&*points[0].bucket_counts, &*points[0].explicit_bounds), (&[1, 1, 1][..], &[1.0, 10.0][..]));
    let MetricData::ExponentialHistogram { points, .. } = &named(&metrics, "exponential").data else { panic!() };
    let point = &points[0];
    assert_eq!(
        (point.count, point.zero_count, point.sum, point.min, point.max),
        (3, 1, Some(4.5), Some(0.0), Some(4.0))
    );
    assert_eq!(point.positive.counts.iter().sum::<u64>(), 2);
    // The buckets are where the values are: (base^(offset+i), base^(offset+i+1)].
    let base = 2_f64.powf(2_f64.powi(-point.scale));
    assert!(base.powi(point.positive.offset) < 0.5 && base.powi(point.positive.offset + 1) >= 0.5 * (1.0 - 1e-9));
}

#[test]
fn the_temporality_preference_reaches_the_sdk() {
    let metrics = measure(&World::new(), SdkTemporality::Delta);
    let temporalities = ["counter", "up.down", "exponential"].map(|name| match &named(&metrics, name).data {
        MetricData::Sum { temporality, .. } | MetricData::ExponentialHistogram { temporality, .. } => *temporality,
        other => panic!("{other:?}"),
    });
    // What goes up and down stays cumulative, as the specification wants.
    assert_eq!(temporalities, [Temporality::Delta, Temporality::Cumulative, Temporality::Delta]);
}
