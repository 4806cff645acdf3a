//! Metrics: of requests, made from their spans, and of the agent itself.
//!
//! Every span counts, also of traces that are not kept. They are collected for the receivers in fixed intervals, and for the page for
//! Prometheus whenever it is asked for.

mod own;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use obtrace_export::{
    model::{Metric, Resource},
    pipeline::Exporter,
    span_metrics::{self, SpanMetrics},
};

use self::own::Own;
use crate::{application::Summary, traces::SpanRecord};

/// Which metrics there are and how often they are sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What is measured of requests.
    pub requests: span_metrics::Config,
    /// How often everything is sent to the exporters. 60 s.
    pub interval: Duration,
    /// Whether there are metrics of the agent itself.
    pub own: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { requests: span_metrics::Config::new(), interval: Duration::from_secs(60), own: true }
    }
}

impl Settings {
    /// The defaults: those of requests by the semantic conventions, and the agent's own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The metrics of a running agent. Copies are the same.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    requests: Mutex<SpanMetrics>,
    exporters: Vec<Exporter<Metric>>,
    interval: Duration,
    has_own: bool,
    own: OnceLock<Own>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("exporters", &self.exporters)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl Metrics {
    /// Nothing is counted yet. `exporters` are sent everything there is in each interval.
    #[must_use]
    pub fn new(settings: Settings, exporters: Vec<Exporter<Metric>>) -> Self {
        Self(Arc::new(Inner {
            requests: Mutex::new(SpanMetrics::new(settings.requests)),
            exporters,
            interval: settings.interval,
            has_own: settings.own,
            own: OnceLock::new(),
        }))
    }

    /// Everything as it is now, cumulative.
    #[must_use]
    pub fn collect(&self) -> Vec<Metric> {
        let mut all = self.requests().collect(own::unix_nanos(), Instant::now());
        if let Some(own) = self.0.own.get() {
            all.extend(own.collect(self.0.exporters.iter().map(Exporter::stats).collect()));
        }
        all
    }

    pub(crate) fn exporters(&self) -> &[Exporter<Metric>] {
        &self.0.exporters
    }

    pub(crate) fn interval(&self) -> Duration {
        self.0.interval
    }

    /// Counts them.
    pub(crate) fn record(&self, records: &[SpanRecord]) {
        let now = Instant::now();
        let mut requests = self.requests();
        records.iter().for_each(|record| requests.record(&record.span, now));
    }

    /// Hands what there is to the exporters.
    pub(crate) fn send(&self) {
        let [others @ .., last] = self.exporters() else { return };
        for metric in self.collect() {
            for exporter in others {
                // They count what they have no room for.
                let _ = exporter.try_send(metric.clone());
            }
            let _ = last.try_send(metric);
        }
    }

    /// Tells where the agent's own numbers are, and what they are about.
    pub(crate) fn watch(&self, resource: Resource, summary: impl Fn() -> Summary + Send + Sync + 'static) {
        if self.0.has_own {
            // An agent that is started with the metrics of another one counts its requests only.
            let _ = self.0.own.set(Own::new(resource, summary));
        }
    }

    /// No code that can panic runs under the lock.
    fn requests(&self) -> MutexGuard<'_, SpanMetrics> {
        self.0.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
