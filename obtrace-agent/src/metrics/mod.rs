//! Metrics: of requests, made from their spans, and of the agent itself.
//!
//! Every span counts, also of traces that are not kept. They are collected for the receivers in fixed intervals, and for the page for
//! Prometheus whenever it is asked for.

mod own;
mod send;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use obtrace_export::{
    batch::Limits,
    model::{Metric, Resource},
    pipeline::Exporter,
    prometheus::Counters,
    span_metrics::{self, SpanMetrics},
};

use self::own::Own;
use crate::{application::Summary, traces::SpanRecord};

/// How long the last collection may wait for room at exporters.
const AT_THE_END: Duration = Duration::from_secs(1);

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
    /// Those of the exporters' queues: what there is is handed over in parts that fit.
    pub queue: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        let requests = span_metrics::Config::new();
        Self { requests, interval: Duration::from_secs(60), own: true, queue: Limits::new() }
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
    queue: Limits,
    has_own: bool,
    own: OnceLock<Own>,
    page: OnceLock<Counters>,
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
    pub fn new(mut settings: Settings, exporters: Vec<Exporter<Metric>>) -> Self {
        let ttl = &mut settings.requests.ttl;
        if !exporters.is_empty() && !ttl.is_zero() {
            // What the page was asked for counts as collected: it must not be gone before the exporters have it.
            *ttl = (*ttl).max(settings.interval.saturating_mul(2));
        }
        Self(Arc::new(Inner {
            requests: Mutex::new(SpanMetrics::new(settings.requests)),
            exporters,
            interval: settings.interval,
            queue: settings.queue,
            has_own: settings.own,
            own: OnceLock::new(),
            page: OnceLock::new(),
        }))
    }

    /// Everything as it is now, cumulative.
    #[must_use]
    pub fn collect(&self) -> Vec<Metric> {
        let mut all = self.requests().collect(unix_nanos(), Instant::now());
        if let Some(own) = self.0.own.get() {
            all.extend(own.collect(|summary| self.complete(summary)));
        }
        all
    }

    /// Says what the page's server counts.
    pub fn watch_page(&self, counters: Counters) {
        // A second page would be of the same metrics; the first one is told of.
        let _ = self.0.page.set(counters);
    }

    pub(crate) fn exporters(&self) -> &[Exporter<Metric>] {
        &self.0.exporters
    }

    /// Adds what is counted here.
    pub(crate) fn complete(&self, summary: &mut Summary) {
        summary.requests = Some(self.requests().stats());
        summary.page = self.0.page.get().map(Counters::counts);
        summary.metrics = self.exporters().iter().map(Exporter::stats).collect();
    }

    /// Counts them.
    pub(crate) fn record(&self, records: &[SpanRecord]) {
        let now = Instant::now();
        let mut requests = self.requests();
        records.iter().for_each(|record| requests.record(&record.span, now));
    }

    /// Hands what there is to the exporters in each interval, and what was counted last once nobody holds the other end of `running`.
    pub(crate) fn send_until(&self, running: &mpsc::Receiver<()>) {
        // A receiver that is slow must not put off the next time.
        let patience = self.0.interval * 3 / 4;
        let mut due = Instant::now() + self.0.interval;
        while running.recv_timeout(due.saturating_duration_since(Instant::now()))
            == Err(mpsc::RecvTimeoutError::Timeout)
        {
            // Whoever is late does not make up for it.
            due = (due + self.0.interval).max(Instant::now());
            self.send(Instant::now(), patience, Some(running));
        }
        self.send(Instant::now(), patience.min(AT_THE_END), None);
    }

    /// Hands what there is to the exporters. Without any, what is old is forgotten all the same: a page that nobody looks at
    /// must not keep it.
    fn send(&self, now: Instant, patience: Duration, running: Option<&mpsc::Receiver<()>>) {
        if self.exporters().is_empty() {
            self.requests().expire(now);
        } else {
            send::hand_over(self.collect(), self.exporters(), &self.0.queue, patience, running);
        }
    }

    /// Tells where the agent's own numbers are, and what they are about.
    pub(crate) fn watch(&self, resource: &Resource, summary: impl Fn() -> Summary + Send + Sync + 'static) {
        if self.0.has_own {
            // An agent that is started with the metrics of another one counts its requests only.
            let _ = self.0.own.set(Own::new(resource, self.0.queue.queue_items, summary));
        }
    }

    /// No code that can panic runs under the lock.
    fn requests(&self) -> MutexGuard<'_, SpanMetrics> {
        self.0.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unix_nanos() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
