//! The metrics.

use std::{
    fmt,
    sync::{OnceLock, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use obtrace_detect::Language;
use obtrace_export::stats::DropReason;
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{
    labels::{self, RefusedConnection, RefusedRequest},
    traces::Traces,
};
use crate::admission::{Outcome, Verdict};

/// The bounds of the histogram of admissions, in seconds: 50 µs to the 10 s that the API server waits at most.
const ADMISSION_BUCKETS: [f64; 16] =
    [5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

/// The bounds of the histogram of scans, in seconds.
const SCAN_BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0];

/// What the operator counts about itself. Every method is cheap and may be called from anywhere.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    admissions: Family<labels::Admission, Counter>,
    admission_duration: Histogram,
    containers: Family<labels::Language, Counter>,
    panics: Counter,
    requests_refused: Family<labels::Reason, Counter>,
    connections: Gauge,
    connections_refused: Family<labels::Reason, Counter>,
    workloads: Family<labels::Workloads, Gauge>,
    scan_duration: Histogram,
    restarts: Family<labels::Restart, Counter>,
    certificate_expiry: Gauge,
    certificate_rotations: Counter,
    leader: Gauge,
    events_dropped: Counter,
    events_unsent: Family<labels::Reason, Counter>,
    image_lookups: Family<labels::Lookup, Counter>,
    images: Gauge,
    images_dropped: Counter,
    objects_left_out: Family<labels::Kind, Counter>,
    spans_exported: Counter,
    spans_dropped: Family<labels::Reason, Counter>,
    traces: OnceLock<Traces>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("obtrace_zero"),
            admissions: Family::default(),
            admission_duration: Histogram::new(ADMISSION_BUCKETS),
            containers: Family::default(),
            panics: Counter::default(),
            requests_refused: Family::default(),
            connections: Gauge::default(),
            connections_refused: Family::default(),
            workloads: Family::default(),
            scan_duration: Histogram::new(SCAN_BUCKETS),
            restarts: Family::default(),
            certificate_expiry: Gauge::default(),
            certificate_rotations: Counter::default(),
            leader: Gauge::default(),
            events_dropped: Counter::default(),
            events_unsent: Family::default(),
            image_lookups: Family::default(),
            images: Gauge::default(),
            images_dropped: Counter::default(),
            objects_left_out: Family::default(),
            spans_exported: Counter::default(),
            spans_dropped: Family::default(),
            traces: OnceLock::new(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("admissions", "Reviews that were answered", self.admissions.clone());
        registry.register_with_unit(
            "admission_duration",
            "Time from a request's head to its answer",
            Unit::Seconds,
            self.admission_duration.clone(),
        );
        registry.register("containers", "Containers that were instrumented", self.containers.clone());
        registry.register(
            "admission_panics",
            "Faults in an answer; the Pod was allowed as it was",
            self.panics.clone(),
        );
        registry.register("requests_refused", "Requests without a verdict", self.requests_refused.clone());
        registry.register("connections", "Connections to the webhook that are open", self.connections.clone());
        registry.register(
            "connections_refused",
            "Connections that were closed or not taken",
            self.connections_refused.clone(),
        );
        registry.register("workloads", "Workloads that discovery knows", self.workloads.clone());
        registry.register_with_unit(
            "discovery_scan_duration",
            "Time that a scan of the workloads took",
            Unit::Seconds,
            self.scan_duration.clone(),
        );
        registry.register("restarts", "Restarts of workloads", self.restarts.clone());
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When the serving certificate ends, since 1970",
            Unit::Seconds,
            self.certificate_expiry.clone(),
        );
        registry.register(
            "certificate_rotations",
            "Serving certificates that were made",
            self.certificate_rotations.clone(),
        );
        registry.register("leader", "1 on the replica that leads", self.leader.clone());
        registry.register("events_dropped", "Events that were not sent", self.events_dropped.clone());
        registry.register("events_unsent", "Events that are left for an owner's next Pod", self.events_unsent.clone());
        registry.register("image_lookups", "Look-ups of images in their registries", self.image_lookups.clone());
        registry.register("images", "Images that are known", self.images.clone());
        registry.register("images_dropped", "Images that were known and not kept", self.images_dropped.clone());
        registry.register(
            "objects_left_out",
            "Objects that the operator was told of and does not know, for there were too many",
            self.objects_left_out.clone(),
        );
        registry.register("spans_exported", "Spans of its own that a receiver took", self.spans_exported.clone());
        registry.register("spans_dropped", "Spans of its own that none got", self.spans_dropped.clone());
        let build = Family::<labels::Build, Gauge>::default();
        build.get_or_create(&labels::Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "The program that tells this", build);
        self
    }

    /// A review was answered, that long after its head had come.
    pub fn admission(&self, verdict: &Verdict, took: Duration) {
        let labels = labels::Admission {
            outcome: verdict.outcome.as_str(),
            reason: verdict.reason.unwrap_or_default(),
            dry_run: verdict.dry_run,
        };
        self.admissions.get_or_create(&labels).inc();
        self.admission_duration.observe(took.as_secs_f64());
        if verdict.outcome == Outcome::Injected && !verdict.dry_run {
            for (_, language) in &verdict.languages {
                self.containers.get_or_create(&labels::Language { language: language.as_str() }).inc();
            }
        }
    }

    /// An answer failed by a fault of ours; the Pod was allowed as it was.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// A request got no verdict.
    pub fn refused_request(&self, reason: RefusedRequest) {
        self.requests_refused.get_or_create(&labels::Reason { reason: reason.as_str() }).inc();
    }

    /// A connection was closed or not taken.
    pub fn refused_connection(&self, reason: RefusedConnection) {
        self.connections_refused.get_or_create(&labels::Reason { reason: reason.as_str() }).inc();
    }

    /// How many connections to the webhook are open.
    pub fn connections(&self, open: usize) {
        self.connections.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// How many workloads of a language are in a state.
    pub fn workloads(&self, language: Language, state: &'static str, count: u64) {
        let labels = labels::Workloads { language: language.as_str(), state };
        self.workloads.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A scan of the workloads took that long.
    pub fn scan(&self, took: Duration) {
        self.scan_duration.observe(took.as_secs_f64());
    }

    /// The restart of a workload came to an end.
    pub fn restart(&self, outcome: &'static str) {
        self.restarts.get_or_create(&labels::Restart { outcome }).inc();
    }

    /// A serving certificate that ends then is in use.
    pub fn certificate(&self, not_after: SystemTime) {
        let seconds = not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.certificate_expiry.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// A serving certificate was made.
    pub fn rotation(&self) {
        self.certificate_rotations.inc();
    }

    /// Whether this replica leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// An Event was not sent, since too many were waiting.
    pub fn events_dropped(&self) {
        self.events_dropped.inc();
    }

    /// An Event is left for its owner's next Pod: `too_many` at once, `refused` by the API server, or `paused` after that.
    pub(crate) fn event_unsent(&self, reason: &'static str) {
        self.events_unsent.get_or_create(&labels::Reason { reason }).inc();
    }

    /// An image was looked up; `dropped` images were not kept for it.
    pub fn image_lookup(&self, outcome: &'static str, dropped: u64) {
        self.image_lookups.get_or_create(&labels::Lookup { outcome }).inc();
        self.images_dropped.inc_by(dropped);
    }

    /// So many more objects of that kind, by its plural, were left out.
    pub fn objects_left_out(&self, kind: &'static str, count: u64) {
        self.objects_left_out.get_or_create(&labels::Kind { kind }).inc_by(count);
    }

    /// How many images are known.
    pub fn images(&self, count: usize) {
        self.images.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whose spans are counted, from now on.
    pub fn spans_of(&self, traces: &Traces) {
        // They are counted where they are sent, and are those of one process.
        let _ = self.traces.set(traces.clone());
    }

    fn count_spans(&self) {
        let Some(stats) = self.traces.get().map(Traces::stats) else { return };
        self.spans_exported.inner().store(stats.exported, Relaxed);
        let dropped = DropReason::ALL.map(|reason| (reason.name(), stats.dropped(reason)));
        for (reason, count) in dropped.into_iter().chain([("rejected", stats.rejected)]) {
            self.spans_dropped.get_or_create(&labels::Reason { reason }).inner().store(count, Relaxed);
        }
    }

    /// All of them, in the text format of OpenMetrics 1.0.
    ///
    /// # Errors
    /// If a metric cannot be written, which would be a fault of this crate.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        self.count_spans();
        let mut text = String::with_capacity(16 << 10);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_the_name_that_is_documented() {
        let metrics = Metrics::new();
        let mut verdict = Verdict::new(Outcome::Injected);
        verdict.languages.push(("web".to_owned(), Language::Python));
        metrics.admission(&verdict, Duration::from_millis(3));
        metrics.panicked();
        metrics.refused_request(RefusedRequest::TooLarge);
        metrics.refused_connection(RefusedConnection::NotTls);
        metrics.connections(7);
        metrics.workloads(Language::Go, "instrumented", 12);
        metrics.scan(Duration::from_secs(2));
        metrics.restart("completed");
        metrics.certificate(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        metrics.rotation();
        metrics.leader(true);
        metrics.events_dropped();
        metrics.event_unsent("paused");
        metrics.image_lookup("found", 2);
        metrics.images(3);
        metrics.objects_left_out("resourcequotas", 4);
        let text = metrics.encode().unwrap();
        for line in [
            r#"obtrace_zero_admissions_total{outcome="injected",reason="",dry_run="false"} 1"#,
            r#"obtrace_zero_admission_duration_seconds_bucket{le="0.005"} 1"#,
            "obtrace_zero_admission_duration_seconds_count 1",
            r#"obtrace_zero_containers_total{language="python"} 1"#,
            "obtrace_zero_admission_panics_total 1",
            r#"obtrace_zero_requests_refused_total{reason="too_large"} 1"#,
            "obtrace_zero_connections 7",
            r#"obtrace_zero_connections_refused_total{reason="not_tls"} 1"#,
            r#"obtrace_zero_workloads{language="go",state="instrumented"} 12"#,
            "obtrace_zero_discovery_scan_duration_seconds_sum 2.0",
            r#"obtrace_zero_restarts_total{outcome="completed"} 1"#,
            "obtrace_zero_certificate_expiry_timestamp_seconds 1800000000",
            "obtrace_zero_certificate_rotations_total 1",
            "obtrace_zero_leader 1",
            "obtrace_zero_events_dropped_total 1",
            r#"obtrace_zero_events_unsent_total{reason="paused"} 1"#,
            "obtrace_zero_spans_exported_total 0",
            r#"obtrace_zero_image_lookups_total{outcome="found"} 1"#,
            "obtrace_zero_images 3",
            "obtrace_zero_images_dropped_total 2",
            r#"obtrace_zero_objects_left_out_total{kind="resourcequotas"} 4"#,
            concat!("obtrace_zero_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "# EOF",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }
}
