//! Sends a trace of three spans to any OTLP receiver, as the `OTEL_EXPORTER_OTLP_*` variables say:
//!
//! ```sh
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 cargo run --example send_three_spans --features http
//! ```

use std::{
    env,
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use obtrace_export::{
    model::{Attribute, Resource, Scope, Signal, Span, SpanId, SpanKind, TraceId},
    pipeline::{Config, Exporter},
    transport::{Http, HttpConfig, Transport, env::Environment},
};

fn main() -> Result<(), Box<dyn Error>> {
    // The worker sends on a thread of its own; there is `worker.run().await` for a runtime of yours.
    let (exporter, worker) = Exporter::new(transport()?, Config::new());
    worker.spawn_thread()?;

    // Shared by all spans: what they are about, and what made them.
    let resource = Arc::new(Resource::new(vec![Attribute::new("service.name", "checkout")]));
    let scope = Arc::new(Scope::new("send_three_spans", "1.0"));
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
    let trace = TraceId::from_bytes(u128::from(now).to_be_bytes());
    let span = |id: u64, parent: Option<u64>, name: &'static str, kind: SpanKind, start_ms: u64, end_ms: u64| {
        let span_id = |id: u64| SpanId::from_bytes((now + id).to_be_bytes());
        Span::new(trace, span_id(id), name, kind, Arc::clone(&resource), Arc::clone(&scope))
            .with_parent(parent.map(span_id))
            .with_times(now + start_ms * 1_000_000, now + end_ms * 1_000_000)
    };

    let mut request = span(1, None, "POST /orders", SpanKind::Server, 0, 30);
    request.push("http.request.method", "POST");
    request.push("http.response.status_code", 201_i64);
    let mut query = span(2, Some(1), "INSERT orders", SpanKind::Client, 5, 12);
    query.push("db.system.name", "postgresql");
    let message = span(3, Some(1), "send orders", SpanKind::Producer, 15, 16);
    for span in [request, query, message] {
        // Never waits: a full queue drops the span and counts it.
        exporter.try_send(span)?;
    }

    // Sends what waits; what is not delivered in time is counted under the reason.
    let stats = exporter.shutdown_blocking(Duration::from_secs(10));
    println!("{} of {} spans were delivered", stats.exported, stats.accepted);
    if stats.exported == 3 { Ok(()) } else { Err(format!("this became of them: {stats:?}").into()) }
}

/// As the environment says, else to a receiver on this machine.
fn transport() -> Result<Transport, Box<dyn Error>> {
    let environment = Environment::read(|name| env::var(name).ok())?;
    environment.warnings().iter().for_each(|warning| eprintln!("{warning}"));
    Ok(match environment.of(Signal::Traces).otlp.clone() {
        Some(otlp) => otlp.build()?,
        None => Http::new(HttpConfig::otlp("http://localhost:4318", Signal::Traces)?)?.into(),
    })
}
