//! Exporters for tests, what they send, and waiting until they have.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use obtrace_export::{
    batch::Limits,
    model::{Item, Resource, Scope, Span, SpanId, SpanKind, TraceId},
    pipeline::{Config, Exporter},
    retry::Policy,
    stats::Stats,
    transport::Transport,
};

pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn span(name: impl Into<String>) -> Span {
    Span::new(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([2; 8]),
        name.into(),
        SpanKind::Server,
        Arc::new(Resource::default()),
        Arc::new(Scope::new("test", "1")),
    )
    .with_times(1, 2)
}

/// Batches leave after 20 ms, and failed ones again after about 20 ms.
pub(crate) fn quick() -> Config {
    Config::new()
        .with_limits(Limits::new().with_delay(20 * MILLI))
        .with_retry(Policy::new().with_waits(20 * MILLI, 80 * MILLI))
}

/// What is handed over leaves in one batch when it is asked to or is enough for one, however slow this machine is.
pub(crate) fn whole() -> Config {
    quick().with_limits(Limits::new().with_delay(600 * SECOND))
}

/// One for spans.
#[cfg(feature = "http")]
pub(crate) fn start(http: obtrace_export::transport::HttpConfig, config: Config) -> Exporter {
    start_with(obtrace_export::transport::Http::new(http).unwrap(), config)
}

pub(crate) fn start_with<T: Item>(transport: impl Into<Transport>, config: Config) -> Exporter<T> {
    let (exporter, worker) = Exporter::new(transport, config);
    worker.spawn_thread().unwrap();
    exporter
}

/// Whether the fate of everything is known.
pub(crate) fn is_settled(stats: &Stats) -> bool {
    stats.in_flight() + stats.spooled == 0
}

pub(crate) fn settled<T: Item>(exporter: &Exporter<T>) -> Stats {
    wait(exporter, is_settled)
}

pub(crate) fn wait<T: Item>(exporter: &Exporter<T>, mut what: impl FnMut(&Stats) -> bool) -> Stats {
    let end = Instant::now() + 30 * SECOND;
    loop {
        let stats = exporter.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        if what(&stats) {
            return stats;
        }
        assert!(Instant::now() < end, "still under way: {stats:?}");
        thread::sleep(MILLI);
    }
}
