//! The OpenTelemetry SDK, exported twice: to the Collector and to our own file exporter. Both wrote the same.

use std::{error::Error, fs, path::Path};

use obtrace_export::{
    decode::{Limits, Telemetry, decode},
    encode::Format,
    model::{Item, MetricData, Signal},
    opentelemetry_sdk_0_33::{LogExporter, MetricExporter, SpanExporter},
    pipeline::{Config, Exporter},
    transport::{File, FileConfig, Transport},
};
use opentelemetry::{
    KeyValue,
    logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity},
    metrics::MeterProvider as _,
    trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::{Resource, logs::SdkLoggerProvider, metrics::SdkMeterProvider, trace::SdkTracerProvider};

use super::{
    Outcome,
    certificates::Certificates,
    forms::Form,
    running::{Collector, Written},
    telemetry::CASE,
};

pub(crate) const NAME: &str = "opentelemetry_sdk";

/// Where our own files are.
pub(crate) struct Sdk<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) form: Form,
}

impl Sdk<'_> {
    /// Makes telemetry with the SDK; every provider has both exporters.
    pub(crate) fn send(&self, collector: &Collector, certificates: &Certificates) -> Outcome {
        let collector = |signal| self.form.transport(signal, collector, certificates);
        let attributes = [KeyValue::new("service.name", "sdk"), KeyValue::new(CASE, NAME)];
        let resource = Resource::builder_empty().with_attributes(attributes).build();

        let spans = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_batch_exporter(SpanExporter::new(exporter(collector(Signal::Traces)?)?))
            .with_batch_exporter(SpanExporter::new(exporter(self.file(Signal::Traces)?)?))
            .build();
        make_spans(&spans);
        spans.force_flush()?;
        spans.shutdown()?;

        let logs = SdkLoggerProvider::builder()
            .with_resource(resource.clone())
            .with_batch_exporter(LogExporter::new(exporter(collector(Signal::Logs)?)?))
            .with_batch_exporter(LogExporter::new(exporter(self.file(Signal::Logs)?)?))
            .build();
        let logger = logs.logger("library");
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Warn);
        record.set_event_name("stock.low");
        record.set_body("few left".into());
        record.add_attribute("left", 3);
        logger.emit(record);
        logs.shutdown()?;

        let metrics = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_periodic_exporter(MetricExporter::new(exporter(collector(Signal::Metrics)?)?))
            .with_periodic_exporter(MetricExporter::new(exporter(self.file(Signal::Metrics)?)?))
            .build();
        let meter = metrics.meter("library");
        meter.u64_counter("orders").build().add(2, &[KeyValue::new("kind", "book")]);
        meter.f64_histogram("duration").with_unit("s").build().record(0.25, &[]);
        meter.i64_gauge("stock").build().record(-1, &[]);
        metrics.shutdown()?;
        Ok(())
    }

    fn file(&self, signal: Signal) -> Result<Transport, Box<dyn Error>> {
        Ok(File::new(FileConfig::new(self.folder.join(format!("{signal}.jsonl"))))?.into())
    }

    /// Both wrote the same, the times of metrics apart: each reader collects at its own.
    pub(crate) fn compare(&self, written: &Written) -> Outcome {
        for (signal, items) in [(Signal::Traces, 3), (Signal::Logs, 1), (Signal::Metrics, 3)] {
            let own = fs::read_to_string(self.folder.join(format!("{signal}.jsonl")))?;
            let (own, theirs) = (texts(signal, own.lines())?, texts(signal, written.lines(signal))?);
            if own.len() != items || own != theirs {
                return Err(format!("of {signal}: the file has\n    {own:?}\n    the Collector {theirs:?}").into());
            }
        }
        Ok(())
    }
}

fn exporter<T: Item>(transport: Transport) -> Result<Exporter<T>, Box<dyn Error>> {
    let (exporter, worker) = Exporter::new(transport, Config::new());
    worker.spawn_thread()?;
    Ok(exporter)
}

fn make_spans(provider: &SdkTracerProvider) {
    let tracer = provider.tracer("library");
    tracer.in_span("parent", |context| {
        context.span().set_attribute(KeyValue::new("text", "\u{201e}a\u{201c}"));
        context.span().add_event("event", vec![KeyValue::new("number", 1)]);
        let mut child = tracer.span_builder("child").with_kind(SpanKind::Client).start(&tracer);
        child.add_link(context.span().span_context().clone(), vec![KeyValue::new("why", "test")]);
        child.set_status(Status::error("refused"));
        child.end();
        tracer.span_builder("other").with_kind(SpanKind::Producer).start(&tracer).end();
    });
}

/// Every item of ours in these lines, with resource and scope, in the order of the texts.
fn texts<'a>(signal: Signal, lines: impl Iterator<Item = &'a str>) -> Result<Vec<String>, Box<dyn Error>> {
    let mut texts = Vec::new();
    for line in lines {
        match decode(signal, Format::Json, line.as_bytes(), &Limits::new())? {
            Telemetry::Traces(spans) => texts.extend(spans.iter().map(|span| format!("{span:?}"))),
            Telemetry::Logs(records) => texts.extend(records.iter().map(|record| format!("{record:?}"))),
            Telemetry::Metrics(metrics) => texts.extend(metrics.into_iter().map(|mut metric| {
                forget_times(&mut metric.data);
                format!("{metric:?}")
            })),
            other => return Err(format!("unknown telemetry {other:?}").into()),
        }
    }
    texts.retain(|text| text.contains(&format!("{NAME:?}")));
    texts.sort();
    Ok(texts)
}

fn forget_times(data: &mut MetricData) {
    match data {
        MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
            points.iter_mut().for_each(|point| (point.start_time_unix_nano, point.time_unix_nano) = (0, 0));
        }
        MetricData::Histogram { points, .. } => {
            points.iter_mut().for_each(|point| (point.start_time_unix_nano, point.time_unix_nano) = (0, 0));
        }
        _ => {}
    }
}
