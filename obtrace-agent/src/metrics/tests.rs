#![expect(clippy::panic, reason = "helper functions of tests may panic like the tests")]

use std::{net::TcpListener, path::PathBuf};

use obtrace_export::{
    model::{
        Attribute, Item as _, MetricData, Number, NumberPoint, Signal, Span, SpanId, SpanKind, Temporality, TraceId,
        Value,
    },
    pipeline::Config as Delivery,
    span_metrics::Config,
    stats::{DropReason, Stats},
    transport::{File, FileConfig, Http, HttpConfig, Transport},
};

use super::*;
use crate::{connections, traces};

/// A folder that vanishes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("obtrace-metrics-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Much less than the metrics of [`many`].
fn small_queue() -> Limits {
    Limits::new().with_queue_bytes(64 << 10).with_batch_bytes(16 << 10).with_queue_items(100)
}

fn exporter(transport: impl Into<Transport>) -> Exporter<Metric> {
    let (exporter, worker) = Exporter::new(transport, Delivery::new().with_limits(small_queue()));
    worker.spawn_thread().unwrap();
    exporter
}

/// A file that takes whatever comes.
fn file(folder: &Folder) -> Exporter<Metric> {
    exporter(File::new(FileConfig::new(folder.0.join("metrics.jsonl"))).unwrap())
}

/// 300 metrics of 20 points each.
fn many() -> Vec<Metric> {
    let metric = |number: i64| {
        let points = (0..20).map(|point| {
            NumberPoint::new(number, 1)
                .with_attributes(vec![Attribute::new("url.template", format!("/orders/of/{point}"))])
        });
        let data = MetricData::sum(points.collect(), Temporality::Cumulative, true);
        Metric::new(format!("metric.{number}"), "1", data, Arc::default(), Arc::default())
    };
    (0..300).map(metric).collect()
}

const POINTS: u64 = 300 * 20;

#[test]
fn a_collection_larger_than_the_queue_arrives_whole() {
    let folder = Folder::new("whole");
    let exporter = file(&folder);
    assert!(many().iter().map(Metric::memory).sum::<usize>() > 10 * small_queue().queue_bytes);
    send::hand_over(many(), std::slice::from_ref(&exporter), &small_queue(), Duration::from_secs(60), None);
    let stats = exporter.shutdown_blocking(Duration::from_secs(60));
    assert_eq!((stats.accepted, stats.exported, stats.dropped_total()), (POINTS, POINTS, 0));
}

#[test]
fn who_takes_nothing_keeps_nobody_waiting_for_long() {
    let (folder, silent) = (Folder::new("silent"), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("http://{}", silent.local_addr().unwrap());
    let stuck = exporter(Http::new(HttpConfig::otlp(&url, Signal::Metrics).unwrap()).unwrap());
    let exporters = [stuck.clone(), file(&folder)];
    let begin = Instant::now();
    send::hand_over(many(), &exporters, &small_queue(), Duration::from_millis(500), None);
    assert!(begin.elapsed() < Duration::from_secs(10), "it waits for as long as it was told, once");
    let stats = exporters[1].shutdown_blocking(Duration::from_secs(60));
    assert_eq!((stats.exported, stats.dropped_total()), (POINTS, 0), "the other one has everything");
    let stats = stuck.shutdown_blocking(Duration::ZERO);
    assert!(stats.accepted == POINTS && stats.dropped(DropReason::QueueFull) > 0 && stats.is_balanced(), "{stats:?}");
}

#[test]
fn the_end_does_not_wait_for_who_takes_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let stuck = exporter(Http::new(HttpConfig::otlp(&url, Signal::Metrics).unwrap()).unwrap());
    let (running, ended) = mpsc::channel();
    drop(running);
    send::hand_over(many(), std::slice::from_ref(&stuck), &small_queue(), Duration::from_secs(3_600), Some(&ended));
    assert!(stuck.shutdown_blocking(Duration::ZERO).accepted < POINTS, "the last collection has it all");
}

fn request(service: &'static str, path: &str) -> Span {
    let resource = Arc::new(Resource::new(vec![Attribute::new("service.name", service)]));
    let ids = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]));
    let mut span = Span::new(ids.0, ids.1, "GET", SpanKind::Server, resource, Arc::default()).with_times(1, 2_000);
    span.push("http.request.method", "GET");
    span.push("http.route", path.to_owned());
    span
}

#[test]
fn what_is_old_is_forgotten_where_nothing_is_sent() {
    let metrics = Metrics::new(Settings::new(), Vec::new());
    metrics.requests().record(&request("shop", "/"), Instant::now());
    assert_eq!(metrics.collect().len(), 1, "the page was asked for, and is not any more");
    metrics.send(Instant::now() + Duration::from_secs(3_600), Duration::ZERO, None);
    let stats = metrics.requests().stats();
    assert_eq!((stats.series, stats.resources, stats.expired), (0, 0, 1));
}

fn summary(spans: u64, export: Vec<Stats>) -> Summary {
    Summary {
        spans: traces::Counters { spans, ..Default::default() },
        connections: connections::Counters::default(),
        unreported: 0,
        elsewhere: 5,
        malformed: 0,
        kernel: None,
        export,
        metrics: Vec::new(),
        requests: None,
        page: None,
        left: 0,
    }
}

/// The value of a metric's point that has this attribute.
fn value(metrics: &[Metric], name: &str, attribute: Option<(&str, &str)>) -> Option<i64> {
    let metric = metrics.iter().find(|metric| *metric.name == *name)?;
    let (MetricData::Sum { points, .. } | MetricData::Gauge(points)) = &metric.data else { panic!("{metric:?}") };
    let point = points.iter().find(|point| match attribute {
        None => point.attributes.iter().all(|attribute| *attribute.key != *"error.type"),
        Some((key, text)) => {
            point.attributes.iter().any(|it| *it.key == *key && it.value == Value::from(text.to_owned()))
        }
    });
    match point?.value {
        Some(Number::Int(value)) => Some(value),
        ref other => panic!("{other:?}"),
    }
}

/// A page that is asked for more often than the exporters are given something: that is what was collected.
#[test]
fn what_a_page_has_told_waits_for_the_exporters() {
    let folder = Folder::new("ttl");
    let mut settings = Settings::new();
    settings.interval = Duration::from_secs(600);
    let of = |exporters| {
        let metrics = Metrics::new(settings.clone(), exporters);
        let now = Instant::now();
        metrics.requests().record(&request("shop", "/a"), now);
        let _ = metrics.requests().collect(1, now + Duration::from_secs(15));
        metrics.requests().collect(1, now + Duration::from_secs(601)).len()
    };
    assert_eq!((of(vec![file(&folder)]), of(Vec::new())), (1, 0));
}

#[test]
fn the_agents_own_numbers_are_those_of_now_with_every_collection() {
    let folder = Folder::new("own");
    let mut settings = Settings::new();
    settings.requests = Config::new().with_max_series(2).with_max_resources(1);
    let metrics = Metrics::new(settings, vec![file(&folder)]);
    let resource =
        Resource::new(vec![Attribute::new("host.name", "n1"), Attribute::new("service.name", "obtrace-agent")])
            .with_schema_url(traces::SCHEMA_URL);
    let asked = std::sync::atomic::AtomicU64::new(0);
    let mut lost = Stats::default();
    (lost.accepted, lost.exported) = (7, 7);
    metrics.watch(&resource, move || {
        summary(asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, vec![lost, Stats::default()])
    });
    for path in ["/a", "/b", "/c"] {
        metrics.requests().record(&request("shop", path), Instant::now());
    }
    metrics.requests().record(&request("till", "/a"), Instant::now());
    for turn in 1..4 {
        let all = metrics.collect();
        assert_eq!(value(&all, "obtrace.agent.spans", None), Some(turn));
        assert_eq!(value(&all, "obtrace.agent.unreported", Some(("reason", "elsewhere"))), Some(5));
        assert_eq!(value(&all, "obtrace.agent.metrics.overflowed", None), Some(2), "/b and /c");
        assert_eq!(value(&all, "obtrace.agent.metrics.resources", None), Some(1));
        assert_eq!(value(&all, "obtrace.agent.metrics.rerouted", None), Some(1), "the other service");
        assert_eq!(value(&all, "obtrace.agent.page.left_out", None), None, "there is no page");
        let first = Some(("otel.component.name", "obtrace_traces_exporter/0"));
        assert_eq!(value(&all, "otel.sdk.exporter.span.exported", first), Some(7));
        let own = all.iter().find(|metric| metric.name == "obtrace.agent.spans").unwrap();
        assert_eq!((&*own.resource, &*own.scope.name), (&resource, "obtrace-agent"));
        let MetricData::Sum { points, temporality, monotonic } = &own.data else { panic!("{own:?}") };
        assert_eq!((*temporality, *monotonic), (Temporality::Cumulative, true));
        assert!(points[0].start_time_unix_nano > 0 && points[0].start_time_unix_nano <= points[0].time_unix_nano);
    }
    let all = metrics.collect();
    let MetricData::Sum { points, .. } =
        &all.iter().find(|metric| metric.name == "obtrace.export.requests").unwrap().data
    else {
        panic!()
    };
    assert_eq!(points.len(), 3, "two exporters of spans, one of metrics");
    let first = Some(("otel.component.name", "obtrace_traces_exporter/0"));
    let queue = Limits::new().queue_items;
    assert_eq!(value(&all, "otel.sdk.processor.span.queue.capacity", first), i64::try_from(queue).ok());
    let metrics_exporter = Some(("otel.component.name", "obtrace_metrics_exporter/0"));
    assert_eq!(value(&all, "otel.sdk.exporter.metric_data_point.exported", metrics_exporter), Some(0));
}
