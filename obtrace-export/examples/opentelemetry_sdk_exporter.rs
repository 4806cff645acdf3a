//! A program that is instrumented with the OpenTelemetry SDK and sends through this crate, with what cannot be delivered yet
//! kept on disk:
//!
//! ```sh
//! cargo run --example opentelemetry_sdk_exporter --features http,opentelemetry_sdk_0_33 -- http://localhost:4318
//! ```

use std::{env, error::Error, time::Duration};

use obtrace_export::{
    model::Item,
    opentelemetry_sdk_0_33::{LogExporter, MetricExporter, SpanExporter},
    pipeline::{Config, Exporter},
    spool,
    transport::{Http, HttpConfig},
};
use opentelemetry::{
    KeyValue,
    logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity},
    metrics::MeterProvider as _,
    trace::{TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::{Resource, logs::SdkLoggerProvider, metrics::SdkMeterProvider, trace::SdkTracerProvider};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).unwrap_or_else(|| "http://localhost:4318".to_owned());
    let resource = Resource::builder().with_service_name("shop").build();

    let spans = exporter(&url)?;
    let tracers = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_batch_exporter(SpanExporter::new(spans.clone()))
        .build();
    let loggers = SdkLoggerProvider::builder()
        .with_resource(resource.clone())
        .with_batch_exporter(LogExporter::new(exporter(&url)?))
        .build();
    let meters = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_periodic_exporter(MetricExporter::new(exporter(&url)?))
        .build();

    // What the program does, told by the SDK's API.
    let orders = meters.meter("shop").u64_counter("orders").with_unit("{order}").build();
    tracers.tracer("shop").in_span("checkout", |context| {
        context.span().set_attribute(KeyValue::new("cart.items", 3));
        orders.add(1, &[KeyValue::new("kind", "book")]);
        let logger = loggers.logger("shop");
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Info);
        record.set_body("order taken".into());
        logger.emit(record);
    });

    // Each waits for the receiver's answer; an error says what was lost or is late.
    tracers.shutdown()?;
    loggers.shutdown()?;
    meters.shutdown()?;
    let stats = spans.stats();
    println!("{} of {} spans were delivered", stats.exported, stats.accepted);
    Ok(())
}

/// An exporter of one signal, whose worker has a thread of its own. Its spool is a folder below this one for each signal.
fn exporter<T: Item>(url: &str) -> Result<Exporter<T>, Box<dyn Error>> {
    let http = Http::new(HttpConfig::otlp(url, T::SIGNAL)?.with_timeout(Duration::from_secs(5)))?;
    let folder = env::temp_dir().join("opentelemetry_sdk_exporter");
    let (exporter, worker) = Exporter::new(http, Config::new().with_spool(spool::Config::new(folder)));
    worker.spawn_thread()?;
    Ok(exporter)
}
