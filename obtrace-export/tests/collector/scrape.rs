//! A page for Prometheus that the Collector scrapes: the numbers, labels, exemplars and names that it makes of it are those
//! that were put on it.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use obtrace_export::{
    decode::{Limits, Telemetry, decode},
    encode::Format,
    model::{
        Attribute, Buckets, Exemplar, ExponentialPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint,
        Resource, Scope, Signal, SpanId, Temporality, TraceId, Value,
    },
    prometheus::{Counts, Server, Settings},
};
use tokio::sync::oneshot;

use super::{
    Outcome,
    running::{PATIENCE, Written},
};

pub(crate) const NAME: &str = "prometheus, scraped";

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_760_000_000 * SECOND;

/// A page that is served on a thread.
pub(crate) struct Page {
    address: SocketAddr,
    scraped: mpsc::Receiver<()>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<Counts, String>>,
}

impl Page {
    pub(crate) fn serve() -> Result<Self, Box<dyn std::error::Error>> {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), Settings::new())?;
        let address = server.local_address();
        let (scrape, scraped) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let source = move || {
            // Nobody may wait for it any more.
            let _ = scrape.send(());
            metrics()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let until = async { drop(stopped.await) };
        let thread =
            thread::spawn(move || runtime.block_on(server.serve(source, until)).map_err(|error| error.to_string()));
        Ok(Self { address, scraped, stop, thread })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a scrape is over for sure: another has begun.
    pub(crate) fn wait(self) -> Outcome {
        for _ in 0..2 {
            self.scraped.recv_timeout(PATIENCE).map_err(|error| format!("the page is not scraped: {error}"))?;
        }
        let _ = self.stop.send(());
        let counts = self.thread.join().map_err(|_| "the page's thread panicked")??;
        if (counts.refused, counts.left_out) == (0, 0) { Ok(()) } else { Err(format!("{counts:?}").into()) }
    }
}

fn labels() -> Vec<Attribute> {
    vec![Attribute::new("http.route", "/cart \"1\"\n")]
}

fn exemplar(value: f64, id: u8) -> Exemplar {
    Exemplar::new(value, START).with_span(TraceId::from_bytes([id; 16]), SpanId::from_bytes([id; 8]))
}

fn metrics() -> Vec<Metric> {
    let resource = Arc::new(Resource::new(vec![
        Attribute::new("service.name", "shop"),
        Attribute::new("service.namespace", "prod"),
        Attribute::new("service.instance.id", "i-1"),
        Attribute::new("k8s.pod.name", "shop-0"),
    ]));
    let scope = Arc::new(Scope::new("agent", "1.2"));
    let metric = |name: &'static str, unit: &'static str, data: MetricData| {
        Metric::new(name, unit, data, Arc::clone(&resource), Arc::clone(&scope)).with_description("What it is.")
    };
    let number =
        |value: Number, labels| NumberPoint::new(value, START).with_start_time(START - SECOND).with_attributes(labels);
    let sum =
        |value: Number, monotonic| MetricData::sum(vec![number(value, labels())], Temporality::Cumulative, monotonic);
    let histogram = HistogramPoint::new(9, START)
        .with_start_time(START - SECOND)
        .with_sum(12.25)
        .with_buckets(vec![0.005, 0.5, 1.0], vec![3, 4, 0, 2])
        .with_attributes(labels())
        .with_exemplars(vec![exemplar(0.25, 2), exemplar(2.0, 3)]);
    let exponential = ExponentialPoint::new(6, 3, START)
        .with_start_time(START - SECOND)
        .with_sum(9.0)
        .with_zero(1, 0.0)
        .with_positive(Buckets::new(0, vec![1, 1, 0, 0, 3]));
    vec![
        metric("calls", "{call}", sum(Number::Int(9_007_199_254_740_991), true)),
        metric("sent", "By", sum(Number::Double(0.1), true)),
        metric("queue.size", "{item}", sum(Number::Int(-7), false)),
        metric("load", "1", MetricData::Gauge(vec![number(Number::Double(-1.5e-7), Vec::new())])),
        metric("http.server.request.duration", "s", MetricData::histogram(vec![histogram], Temporality::Cumulative)),
        metric("size", "", MetricData::exponential_histogram(vec![exponential], Temporality::Cumulative)),
    ]
}

/// What the Collector makes of it: names and units by OpenTelemetry's mapping, every number a double, exponential buckets as
/// others, no sum that is not monotonic.
fn expected() -> Vec<(&'static str, &'static str, MetricData)> {
    let label = || vec![Attribute::new("http_route", "/cart \"1\"\n")];
    let number = |value: f64, labels| vec![NumberPoint::new(value, 0).with_attributes(labels)];
    let sum = |value| MetricData::sum(number(value, label()), Temporality::Cumulative, true);
    let histogram = |point| MetricData::histogram(vec![point], Temporality::Cumulative);
    let duration = HistogramPoint::new(9, 0)
        .with_sum(12.25)
        .with_buckets(vec![0.005, 0.5, 1.0], vec![3, 4, 0, 2])
        .with_attributes(label())
        .with_exemplars(vec![exemplar(0.25, 2), exemplar(2.0, 3)]);
    // Without a unit all have the powers of 2 from 2^-10 to 2^30: five values lie between 1 and 2.
    let bounds: Vec<_> = [0.0].into_iter().chain((-10..=30).map(|power| 2_f64.powi(power))).collect();
    let mut counts = vec![0; bounds.len() + 1];
    (counts[0], counts[12]) = (1, 5);
    let size = HistogramPoint::new(6, 0).with_sum(9.0).with_buckets(bounds, counts);
    vec![
        ("calls_total", "", sum(9_007_199_254_740_991.0)),
        ("sent_bytes_total", "By", sum(0.1)),
        ("queue_size", "", MetricData::Gauge(number(-7.0, label()))),
        ("load_ratio", "1", MetricData::Gauge(number(-1.5e-7, Vec::new()))),
        ("http_server_request_duration_seconds", "s", histogram(duration)),
        ("size", "", histogram(size)),
    ]
}

/// Without the time of the scrape, and without that of the first one, from which the Collector counts.
fn timeless(mut data: MetricData) -> MetricData {
    match &mut data {
        MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
            points.iter_mut().for_each(|point| (point.start_time_unix_nano, point.time_unix_nano) = (0, 0));
        }
        MetricData::Histogram { points, .. } => {
            points.iter_mut().for_each(|point| (point.start_time_unix_nano, point.time_unix_nano) = (0, 0));
        }
        _ => {}
    }
    data
}

/// What the Collector wrote of the page, of every scrape.
pub(crate) fn compare(written: &Written) -> Outcome {
    let mut got = Vec::new();
    for line in written.lines(Signal::Metrics) {
        match decode(Signal::Metrics, Format::Json, line.as_bytes(), &Limits::default())? {
            Telemetry::Metrics(read) => got.extend(read),
            other => return Err(format!("not metrics: {other:?}").into()),
        }
    }
    let is_of_page =
        |metric: &&Metric| matches!(metric.resource.get("service.name"), Some(Value::Str(name)) if name == "prod/shop");
    let got: Vec<_> = got.iter().filter(is_of_page).filter(|metric| &*metric.scope.name == "agent").collect();
    let expected = expected();
    for (name, unit, data) in &expected {
        let of_name: Vec<_> = got.iter().filter(|metric| &*metric.name == *name).collect();
        if of_name.is_empty() {
            return Err(format!("{name} was not scraped").into());
        }
        for metric in of_name {
            let of_resource = |key| metric.resource.get(key).map(|value| format!("{value:?}")).unwrap_or_default();
            let about = [&*metric.unit, &*metric.description, &*metric.scope.version].map(str::to_owned);
            let about = (about, of_resource("service.instance.id"), of_resource("k8s_pod_name"));
            let right = [*unit, "What it is.", "1.2"].map(str::to_owned);
            let [instance, pod] = ["i-1", "shop-0"].map(|text| format!("{:?}", Value::from(text)));
            let (about, right) = ((about, timeless(metric.data.clone())), ((right, instance, pod), data.clone()));
            if about != right {
                return Err(format!("{name}\n    served: {right:?}\n    got: {about:?}").into());
            }
        }
    }
    let foreign = got.iter().find(|metric| expected.iter().all(|(name, ..)| &*metric.name != *name));
    foreign.map_or(Ok(()), |metric| Err(format!("nobody served {}", metric.name).into()))
}
