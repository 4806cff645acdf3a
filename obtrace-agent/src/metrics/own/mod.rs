//! Metrics of the agent itself: the numbers of its summary, while it runs, as instruments of the OpenTelemetry SDK.
//!
//! The SDK collects when the page or a collection for the receivers asks for it, and hands what it has back: both are told the
//! same, and it leaves together with the metrics of requests.

mod numbers;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use obtrace_export::{
    model::{Attribute, Metric, MetricData, Number, Resource, Signal, Value},
    opentelemetry_sdk_0_33::MetricExporter,
    stats::{Report, Stats},
};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    metrics::{AsyncInstrument, Meter, MeterProvider as _},
};
use opentelemetry_sdk::{
    Resource as SdkResource,
    metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream},
};

use self::numbers::{Kind, NUMBERS};
use crate::{application::Summary, traces::SCHEMA_URL};

/// The SDK's reader has to collect by itself, too; nobody looks at that.
const HARDLY_EVER: Duration = Duration::from_secs(86_400);

/// Most series of one metric: exporters are few, and the reasons why items end are ten.
const MOST_SERIES: usize = 64;

/// Where the numbers are, and what they are about.
pub(super) struct Own {
    summary: Box<dyn Fn() -> Summary + Send + Sync>,
    queue: usize,
    provider: SdkMeterProvider,
    now: Arc<Mutex<Now>>,
    collected: Arc<Mutex<Vec<Metric>>>,
    /// Held by who collects: what it finds is what it has read.
    turn: Mutex<()>,
}

/// What the instruments observe.
#[derive(Default)]
struct Now {
    summary: Option<Summary>,
    /// What became of everything, by exporter.
    exporters: Vec<Metric>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Own {
    /// All of them are zero now. Each exporter's queue holds so many items.
    pub(super) fn new(
        resource: &Resource,
        queue: usize,
        summary: impl Fn() -> Summary + Send + Sync + 'static,
    ) -> Self {
        let (collected, now) = (Arc::<Mutex<Vec<Metric>>>::default(), Arc::<Mutex<Now>>::default());
        let keep = Arc::clone(&collected);
        let exporter = MetricExporter::with_function(move |metrics| *lock(&keep) = metrics);
        let reader = PeriodicReader::builder(exporter).with_interval(HARDLY_EVER).build();
        let attributes = resource.attributes.iter().filter_map(pair);
        let resource =
            SdkResource::builder_empty().with_schema_url(attributes, resource.schema_url.to_string()).build();
        // The SDK makes room for as many series of each metric as it may have, 2000 else.
        let bound = |_: &Instrument| Stream::builder().with_cardinality_limit(MOST_SERIES).build().ok();
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).with_view(bound).build();
        let scope = InstrumentationScope::builder("obtrace-agent").with_version(env!("CARGO_PKG_VERSION"));
        observe_agent(&provider.meter_with_scope(scope.with_schema_url(SCHEMA_URL).build()), &now);
        observe_exporters(&provider, &now);
        Self { summary: Box::new(summary), queue, provider, now, collected, turn: Mutex::default() }
    }

    /// The numbers as they are now; `complete` adds what the agent's summary does not have by itself.
    pub(super) fn collect(&self, complete: impl FnOnce(&mut Summary)) -> Vec<Metric> {
        let _turn = lock(&self.turn);
        let mut summary = (self.summary)();
        complete(&mut summary);
        let exporters = reports(&summary.export, &summary.metrics, self.queue);
        *lock(&self.now) = Now { exporters, summary: Some(summary) };
        if let Err(error) = self.provider.force_flush() {
            tracing::warn!("the agent's own metrics cannot be collected: {error}");
        }
        std::mem::take(&mut *lock(&self.collected))
    }
}

/// The instruments of what the agent counts.
fn observe_agent(meter: &Meter, now: &Arc<Mutex<Now>>) {
    for number in NUMBERS {
        let now = Arc::clone(now);
        let observe = move |instrument: &dyn AsyncInstrument<u64>| {
            for (label, count) in lock(&now).summary.as_ref().map(number.read).unwrap_or_default() {
                let attribute = KeyValue::new(number.key, label);
                instrument.observe(count, if number.key.is_empty() { &[] } else { std::slice::from_ref(&attribute) });
            }
        };
        let (name, unit, description) = (number.name, number.unit, number.description);
        match number.kind {
            Kind::Sum => {
                let counter = meter.u64_observable_counter(name).with_unit(unit).with_description(description);
                counter.with_callback(observe).build();
            }
            Kind::Gauge => {
                let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(description);
                gauge.with_callback(observe).build();
            }
        }
    }
}

/// The instruments of what became of spans and data points, one for each metric that exporters report.
fn observe_exporters(provider: &SdkMeterProvider, now: &Arc<Mutex<Now>>) {
    let mut made: Vec<(String, String)> = Vec::new();
    for metric in reports(&[Stats::default()], &[Stats::default()], 0) {
        let id = (metric.name.to_string(), metric.unit.to_string());
        let MetricData::Sum { monotonic, .. } = metric.data else { continue };
        if made.contains(&id) {
            continue;
        }
        let scope = InstrumentationScope::builder(metric.scope.name.to_string());
        let meter = provider.meter_with_scope(scope.with_version(metric.scope.version.to_string()).build());
        let now = Arc::clone(now);
        let (name, unit) = id.clone();
        let observe = move |instrument: &dyn AsyncInstrument<i64>| {
            for metric in lock(&now).exporters.iter().filter(|metric| *metric.name == *id.0 && *metric.unit == *id.1) {
                observe_points(metric, instrument);
            }
        };
        if monotonic {
            // The SDK's counters of what only grows are of numbers without a sign.
            let observe = move |instrument: &dyn AsyncInstrument<u64>| observe(&Unsigned(instrument));
            meter.u64_observable_counter(name.clone()).with_unit(unit.clone()).with_callback(observe).build();
        } else {
            meter.i64_observable_up_down_counter(name.clone()).with_unit(unit.clone()).with_callback(observe).build();
        }
        made.push((name, unit));
    }
}

fn observe_points(metric: &Metric, instrument: &dyn AsyncInstrument<i64>) {
    let MetricData::Sum { points, .. } = &metric.data else { return };
    for point in points {
        if let Some(Number::Int(count)) = point.value {
            instrument.observe(count, &point.attributes.iter().filter_map(pair).collect::<Vec<_>>());
        }
    }
}

/// An instrument of counts as one of numbers.
struct Unsigned<'a>(&'a dyn AsyncInstrument<u64>);

impl AsyncInstrument<i64> for Unsigned<'_> {
    fn observe(&self, number: i64, attributes: &[KeyValue]) {
        self.0.observe(u64::try_from(number).unwrap_or_default(), attributes);
    }
}

/// What became of spans and of data points, by exporter.
fn reports(spans: &[Stats], metrics: &[Stats], queue: usize) -> Vec<Metric> {
    let of = |signal: Signal, exporters: &[Stats]| {
        let report = Report::new(signal, Arc::default(), 0).with_queue_capacity(queue);
        let report = |(at, stats): (usize, &Stats)| {
            report.clone().with_component_name(format!("obtrace_{}_exporter/{at}", signal.name())).metrics(stats, 0)
        };
        exporters.iter().enumerate().flat_map(report).collect::<Vec<_>>()
    };
    [of(Signal::Traces, spans), of(Signal::Metrics, metrics)].concat()
}

/// As the SDK has it; there are texts only.
fn pair(attribute: &Attribute) -> Option<KeyValue> {
    let Value::Str(text) = &attribute.value else { return None };
    Some(KeyValue::new(attribute.key.to_string(), text.to_string()))
}

/// Nothing that is held can be half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
