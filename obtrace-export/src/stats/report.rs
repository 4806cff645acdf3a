//! The counters as metrics, under OpenTelemetry's names for an SDK's own telemetry where it has one.

use std::sync::Arc;

use super::{DropReason, Stats};
use crate::model::{Attribute, Metric, MetricData, NumberPoint, Resource, Scope, Signal, Temporality, Text};

/// Turns an exporter's [`Stats`] into metrics, by the semantic conventions of
/// [an SDK's metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/). For spans (log records and data points
/// have `log` and `metric_data_point` in place of `span`):
///
/// | metric | of | `error.type` |
/// |---|---|---|
/// | `otel.sdk.exporter.span.exported` | what found its end behind the queue | none, `rejected`, or the [`DropReason`] |
/// | `otel.sdk.exporter.span.inflight` | what is being sent or waits in the spool | |
/// | `otel.sdk.processor.span.processed` | what left the queue, or never came into it | none, `queue_full`, `already_shutdown` |
/// | `otel.sdk.processor.span.queue.size` | what waits for its batch | |
/// | `otel.sdk.processor.span.queue.capacity` | how much may, by [`Report::with_queue_capacity`] | |
/// | `obtrace.export.recovered` | what an earlier run left, and what will be sent again ([`Stats::recovered`]) | |
/// | `obtrace.export.spooled` | what waits in the spool | |
/// | `obtrace.export.spool.size` | bytes of its files | |
/// | `obtrace.export.requests`, `obtrace.export.retries` | requests, and those made again | |
///
/// Data points have no processor in OpenTelemetry: theirs are `obtrace.export.processed`, `obtrace.export.queue.size` and
/// `obtrace.export.queue.capacity`.
///
/// ```
/// use obtrace_export::{model::Signal, stats::{Report, Stats}};
///
/// let report = Report::new(Signal::Traces, Default::default(), 1_760_000_000_000_000_000);
/// let metrics = report.metrics(&Stats::default(), 1_760_000_060_000_000_000);
/// assert_eq!(&*metrics[0].name, "otel.sdk.exporter.span.exported");
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    signal: Signal,
    resource: Arc<Resource>,
    scope: Arc<Scope>,
    component: Text,
    started: u64,
    capacity: Option<u64>,
}

/// Names and unit by signal.
struct Names {
    exported: &'static str,
    inflight: &'static str,
    processed: &'static str,
    queue: &'static str,
    capacity: &'static str,
    unit: &'static str,
}

const fn names(signal: Signal) -> Names {
    match signal {
        Signal::Traces => Names {
            exported: "otel.sdk.exporter.span.exported",
            inflight: "otel.sdk.exporter.span.inflight",
            processed: "otel.sdk.processor.span.processed",
            queue: "otel.sdk.processor.span.queue.size",
            capacity: "otel.sdk.processor.span.queue.capacity",
            unit: "{span}",
        },
        Signal::Logs => Names {
            exported: "otel.sdk.exporter.log.exported",
            inflight: "otel.sdk.exporter.log.inflight",
            processed: "otel.sdk.processor.log.processed",
            queue: "otel.sdk.processor.log.queue.size",
            capacity: "otel.sdk.processor.log.queue.capacity",
            unit: "{log_record}",
        },
        Signal::Metrics => Names {
            exported: "otel.sdk.exporter.metric_data_point.exported",
            inflight: "otel.sdk.exporter.metric_data_point.inflight",
            processed: "obtrace.export.processed",
            queue: "obtrace.export.queue.size",
            capacity: "obtrace.export.queue.capacity",
            unit: "{data_point}",
        },
    }
}

impl Report {
    /// A report on the exporter of a signal that was made at this time, in nanoseconds since the epoch.
    #[must_use]
    pub fn new(signal: Signal, resource: Arc<Resource>, started_unix_nano: u64) -> Self {
        let scope = Arc::new(Scope::new("obtrace-export", env!("CARGO_PKG_VERSION")));
        let component = match signal {
            Signal::Traces => "obtrace_span_exporter/0",
            Signal::Logs => "obtrace_log_exporter/0",
            Signal::Metrics => "obtrace_metric_exporter/0",
        };
        Self { signal, resource, scope, component: component.into(), started: started_unix_nano, capacity: None }
    }

    /// Sets `otel.component.name`, which tells exporters of the same signal apart. `obtrace_span_exporter/0` and so on.
    #[must_use]
    pub fn with_component_name(mut self, name: impl Into<Text>) -> Self {
        self.component = name.into();
        self
    }

    /// Tells how many items the queue holds at most, [`Limits::queue_items`](crate::batch::Limits::queue_items). Not told.
    #[must_use]
    pub fn with_queue_capacity(mut self, items: usize) -> Self {
        self.capacity = Some(items.try_into().unwrap_or(u64::MAX));
        self
    }

    /// The metrics of a reading of the counters at this time: sums since the exporter was made.
    #[must_use]
    pub fn metrics(&self, stats: &Stats, now_unix_nano: u64) -> Vec<Metric> {
        let names = names(self.signal);
        let never_in = stats.dropped(DropReason::QueueFull) + stats.dropped(DropReason::Closed);
        let left_queue = stats.accepted.saturating_sub(stats.queued).saturating_sub(never_in);
        let mut exported = vec![(None, stats.exported), (Some("rejected"), stats.rejected)];
        let behind_queue = DropReason::ALL.into_iter().filter(|reason| is_behind_queue(*reason));
        exported.extend(behind_queue.map(|reason| (Some(reason.name()), stats.dropped(reason))));
        // There is no series for a failure that never happened.
        exported.retain(|(error, count)| error.is_none() || *count > 0);
        let mut processed = vec![
            (None, left_queue),
            (Some("queue_full"), stats.dropped(DropReason::QueueFull)),
            (Some("already_shutdown"), stats.dropped(DropReason::Closed)),
        ];
        processed.retain(|(error, count)| error.is_none() || *count > 0);
        let one = |count| vec![(None, count)];
        let metric = |name, unit, is_monotonic, points| self.metric(name, unit, is_monotonic, points, now_unix_nano);
        let mut metrics = vec![
            metric(names.exported, names.unit, true, exported),
            metric(names.inflight, names.unit, false, one(stats.sending + stats.spooled)),
            metric(names.processed, names.unit, true, processed),
            metric(names.queue, names.unit, false, one(stats.queued)),
            metric("obtrace.export.recovered", names.unit, true, one(stats.recovered)),
            metric("obtrace.export.spooled", names.unit, false, one(stats.spooled)),
            metric("obtrace.export.spool.size", "By", false, one(stats.spool_bytes)),
            metric("obtrace.export.requests", "{request}", true, one(stats.requests)),
            metric("obtrace.export.retries", "{request}", true, one(stats.retries)),
        ];
        metrics.extend(self.capacity.map(|items| metric(names.capacity, names.unit, false, one(items))));
        metrics
    }

    fn metric(
        &self,
        name: &'static str,
        unit: &'static str,
        is_monotonic: bool,
        points: Vec<(Option<&'static str>, u64)>,
        now: u64,
    ) -> Metric {
        let point = |(error, count): (Option<&'static str>, u64)| {
            let mut attributes = vec![Attribute::new("otel.component.name", self.component.clone())];
            attributes.extend(error.map(|error| Attribute::new("error.type", error)));
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            NumberPoint::new(count, now).with_start_time(self.started).with_attributes(attributes)
        };
        let points = points.into_iter().map(point).collect();
        let data = MetricData::sum(points, Temporality::Cumulative, is_monotonic);
        Metric::new(name, unit, data, Arc::clone(&self.resource), Arc::clone(&self.scope))
    }
}

const fn is_behind_queue(reason: DropReason) -> bool {
    !matches!(reason, DropReason::QueueFull | DropReason::Closed)
}

#[cfg(test)]
mod tests {
    use opentelemetry_semantic_conventions::{attribute, metric};

    use super::*;
    use crate::model::Number;

    fn value(metrics: &[Metric], name: &str, error: Option<&'static str>) -> Option<i64> {
        let metric = metrics.iter().find(|metric| &*metric.name == name)?;
        let MetricData::Sum { points, .. } = &metric.data else { panic!("{metric:?}") };
        let of = |point: &NumberPoint, key: &str| {
            point.attributes.iter().find(|attribute| &*attribute.key == key).map(|attribute| attribute.value.clone())
        };
        let error = error.map(|error| error.to_owned().into());
        let point = points.iter().find(|point| of(point, attribute::ERROR_TYPE) == error)?;
        assert!(of(point, attribute::OTEL_COMPONENT_NAME).is_some());
        match point.value {
            Some(Number::Int(value)) => Some(value),
            ref other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_are_those_of_the_conventions() {
        let [spans, metrics, logs] = Signal::ALL.map(names);
        for (name, expected) in [
            (spans.exported, metric::OTEL_SDK_EXPORTER_SPAN_EXPORTED),
            (spans.inflight, metric::OTEL_SDK_EXPORTER_SPAN_INFLIGHT),
            (spans.processed, metric::OTEL_SDK_PROCESSOR_SPAN_PROCESSED),
            (spans.queue, metric::OTEL_SDK_PROCESSOR_SPAN_QUEUE_SIZE),
            (spans.capacity, metric::OTEL_SDK_PROCESSOR_SPAN_QUEUE_CAPACITY),
            (logs.capacity, metric::OTEL_SDK_PROCESSOR_LOG_QUEUE_CAPACITY),
            (logs.exported, metric::OTEL_SDK_EXPORTER_LOG_EXPORTED),
            (logs.inflight, metric::OTEL_SDK_EXPORTER_LOG_INFLIGHT),
            (logs.processed, metric::OTEL_SDK_PROCESSOR_LOG_PROCESSED),
            (logs.queue, metric::OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE),
            (metrics.exported, metric::OTEL_SDK_EXPORTER_METRIC_DATA_POINT_EXPORTED),
            (metrics.inflight, metric::OTEL_SDK_EXPORTER_METRIC_DATA_POINT_INFLIGHT),
        ] {
            assert_eq!(name, expected);
        }
    }

    #[test]
    fn the_capacity_of_the_queue_is_told_where_it_is_known() {
        let report = Report::new(Signal::Logs, Arc::default(), 1);
        let capacity = |report: &Report| {
            value(&report.metrics(&Stats::default(), 2), "otel.sdk.processor.log.queue.capacity", None)
        };
        assert_eq!((capacity(&report), capacity(&report.clone().with_queue_capacity(8192))), (None, Some(8192)));
    }

    #[test]
    fn every_item_is_in_one_series_of_each_kind() {
        let mut stats = Stats { accepted: 1000, recovered: 50, exported: 600, rejected: 20, ..Stats::default() };
        (stats.queued, stats.sending, stats.spooled) = (100, 30, 70);
        for (at, reason) in DropReason::ALL.into_iter().enumerate() {
            stats.dropped[reason as usize] = 10 * (at as u64 + 1);
        }
        stats.accepted = stats.exported + stats.rejected + stats.dropped_total() + 200 - stats.recovered;
        assert!(stats.is_balanced());
        let metrics = Report::new(Signal::Traces, Arc::default(), 1).metrics(&stats, 2);
        let exported = |error| value(&metrics, "otel.sdk.exporter.span.exported", error);
        assert_eq!((exported(None), exported(Some("rejected"))), (Some(600), Some(20)));
        assert_eq!((exported(Some("spool_corrupt")), exported(Some("queue_full"))), (Some(80), None));
        let processed = |error| value(&metrics, "otel.sdk.processor.span.processed", error).unwrap();
        let waits = value(&metrics, "otel.sdk.processor.span.queue.size", None).unwrap();
        let all = processed(None) + processed(Some("queue_full")) + processed(Some("already_shutdown")) + waits;
        assert_eq!(all, i64::try_from(stats.accepted).unwrap());
        let ended: i64 = std::iter::once(None)
            .chain([Some("rejected")])
            .chain(DropReason::ALL.map(|reason| Some(reason.name())))
            .filter_map(exported)
            .sum();
        let inflight = value(&metrics, "otel.sdk.exporter.span.inflight", None).unwrap();
        let recovered = value(&metrics, "obtrace.export.recovered", None).unwrap();
        assert_eq!(processed(None) + recovered, ended + inflight, "what left the queue ended or is under way");
    }
}
