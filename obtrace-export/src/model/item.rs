//! What the kinds of telemetry have in common.

use std::{fmt, sync::Arc};

use super::{
    ExponentialPoint, HistogramPoint, LogRecord, Metric, MetricData, NumberPoint, Resource, Scope, Span, SummaryPoint,
    memory_of, value_memory,
};
use crate::encode;

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// The last part of its path in OTLP/HTTP: `traces`, `metrics`, `logs`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// What is counted of it, in the plural: `spans`, `data points`, `log records`.
    #[must_use]
    pub const fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "data points",
            Self::Logs => "log records",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is delivered: a [`Span`], a [`LogRecord`] or a [`Metric`]. Nothing else can be one.
pub trait Item: encode::Encodable + fmt::Debug + Send + Sync + Sized + 'static {
    /// Which kind of telemetry it is.
    const SIGNAL: Signal;

    /// What it is about.
    fn resource(&self) -> &Arc<Resource>;

    /// What made it.
    fn scope(&self) -> &Arc<Scope>;

    /// About how many bytes of memory it holds, itself included; not what it shares. Queues are bounded by it.
    fn memory(&self) -> usize;

    /// How many items OTLP counts it for: data points of a metric, else 1.
    fn count(&self) -> u64 {
        1
    }
}

macro_rules! shared {
    () => {
        fn resource(&self) -> &Arc<Resource> {
            &self.resource
        }

        fn scope(&self) -> &Arc<Scope> {
            &self.scope
        }
    };
}

impl Item for Span {
    const SIGNAL: Signal = Signal::Traces;

    shared!();

    fn memory(&self) -> usize {
        self.memory()
    }
}

impl Item for LogRecord {
    const SIGNAL: Signal = Signal::Logs;

    shared!();

    fn memory(&self) -> usize {
        size_of::<Self>()
            + self.severity_text.heap()
            + value_memory(&self.body)
            + memory_of(&self.attributes)
            + self.event_name.heap()
    }
}

impl Item for Metric {
    const SIGNAL: Signal = Signal::Metrics;

    shared!();

    fn memory(&self) -> usize {
        fn all<T>(points: &[T], memory: impl Fn(&T) -> usize) -> usize {
            points.iter().map(memory).sum()
        }
        size_of::<Self>()
            + self.name.heap()
            + self.description.heap()
            + self.unit.heap()
            + memory_of(&self.metadata)
            + match &self.data {
                MetricData::None => 0,
                MetricData::Gauge(points) | MetricData::Sum { points, .. } => all(points, NumberPoint::memory),
                MetricData::Histogram { points, .. } => all(points, HistogramPoint::memory),
                MetricData::ExponentialHistogram { points, .. } => all(points, ExponentialPoint::memory),
                MetricData::Summary(points) => all(points, SummaryPoint::memory),
            }
    }

    /// Data points.
    fn count(&self) -> u64 {
        u64::try_from(self.data.len()).unwrap_or(u64::MAX)
    }
}
