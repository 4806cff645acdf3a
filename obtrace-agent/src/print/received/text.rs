//! One line an item, for people: a span, a log record, a data point.

use std::{
    fmt::{self, Display},
    io::Write,
};

use obtrace_export::model::{
    Attribute, ExponentialPoint, HistogramPoint, LogRecord, Metric, MetricData, Number, NumberPoint, SpanId,
    SummaryPoint, TraceId, Value,
};

use super::super::{
    jsonl::{kind, push_value},
    line::{BOLD, CYAN, Clean, DIM, Duration, GREEN, Outcome, Paint, RED, TimeOfDay, outcome_color, service},
};
use crate::traces::SpanRecord;

/// The severity from which on a record tells of a failure.
const ERROR: u8 = 17;

/// Time of day (UTC), service, kind, name, status, duration, ids.
pub(super) fn span(out: &mut Vec<u8>, record: &SpanRecord, color: bool) {
    let (span, paint) = (&record.span, Paint(color));
    // Writing to memory does not fail.
    let _ = writeln!(
        out,
        "{} {:<12} {:<8} {} {} {} {}",
        paint.of(DIM, &TimeOfDay(span.start_unix_nano)),
        paint.of(CYAN, &Clean(service(&span.resource))),
        kind(span.kind),
        paint.of(BOLD, &Clean(&span.name)),
        paint.of(outcome_color(span), &Outcome(record)),
        Duration(span.end_unix_nano.saturating_sub(span.start_unix_nano)),
        paint.of(DIM, &Ids(Some(span.trace_id), Some(span.span_id))),
    );
}

/// Time of day (UTC), service, `log`, severity, message, ids.
pub(super) fn log(out: &mut Vec<u8>, record: &LogRecord, color: bool) {
    let paint = Paint(color);
    let time = if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano };
    let severity = match record.severity() {
        "" => "-",
        known => known,
    };
    let body = Plain(&record.body);
    let _ = writeln!(
        out,
        "{} {:<12} {:<8} {} {}{}",
        paint.of(DIM, &TimeOfDay(time)),
        paint.of(CYAN, &Clean(service(&record.resource))),
        "log",
        paint.of(if record.severity_number >= ERROR { RED } else { GREEN }, &Clean(severity)),
        paint.of(BOLD, &body),
        Lead(&paint.of(DIM, &Ids(record.trace_id, record.span_id)), record.trace_id.is_some()),
    );
}

/// A line a data point: time of day (UTC), service, `metric`, name, attributes, value, unit.
pub(super) fn metric(out: &mut Vec<u8>, metric: &Metric, color: bool) {
    let paint = Paint(color);
    let mut line = |time: u64, attributes: &[Attribute], value: &dyn Display| {
        let _ = writeln!(
            out,
            "{} {:<12} {:<8} {}{} {value}{}",
            paint.of(DIM, &TimeOfDay(time)),
            paint.of(CYAN, &Clean(service(&metric.resource))),
            "metric",
            paint.of(BOLD, &Clean(&metric.name)),
            paint.of(DIM, &Attributes(attributes)),
            Lead(&paint.of(DIM, &Clean(&metric.unit)), !metric.unit.is_empty()),
        );
    };
    match &metric.data {
        MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
            points.iter().for_each(|point| line(point.time_unix_nano, &point.attributes, &NumberOf(point)));
        }
        MetricData::Histogram { points, .. } => {
            points.iter().for_each(|point| line(point.time_unix_nano, &point.attributes, &Distribution::from(point)));
        }
        MetricData::ExponentialHistogram { points, .. } => {
            points.iter().for_each(|point| line(point.time_unix_nano, &point.attributes, &Distribution::from(point)));
        }
        MetricData::Summary(points) => {
            points.iter().for_each(|point| line(point.time_unix_nano, &point.attributes, &Quantiles(point)));
        }
        _ => line(0, &[], &"no data"),
    }
}

/// A space and something, or nothing.
struct Lead<'a, T>(&'a T, bool);

impl<T: Display> Display for Lead<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1 { write!(f, " {}", self.0) } else { Ok(()) }
    }
}

/// The first half of a trace's id and the id of a span: enough to tell them apart by eye.
struct Ids(Option<TraceId>, Option<SpanId>);

impl Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(trace) = self.0 {
            trace.to_bytes().iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        if let Some(span) = self.1 {
            write!(f, "/{span}")?;
        }
        Ok(())
    }
}

/// Text as it is, other values as JSON; without control characters.
struct Plain<'a>(&'a Value);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Str(text) => Clean(text).fmt(f),
            Value::Empty => f.write_str("-"),
            value => {
                let mut json = Vec::new();
                push_value(&mut json, value);
                Clean(&String::from_utf8_lossy(&json)).fmt(f)
            }
        }
    }
}

/// `{a=1,b=x}`, or nothing.
struct Attributes<'a>(&'a [Attribute]);

impl Display for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attribute) in self.0.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(f, "{before}{}={}", Clean(&attribute.key), Plain(&attribute.value))?;
        }
        if self.0.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

struct NumberOf<'a>(&'a NumberPoint);

impl Display for NumberOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.value {
            Some(Number::Int(value)) => write!(f, "{value}"),
            Some(Number::Double(value)) => write!(f, "{value}"),
            _ => f.write_str("-"),
        }
    }
}

/// What both kinds of histograms say in short.
struct Distribution {
    count: u64,
    sum: Option<f64>,
    range: (Option<f64>, Option<f64>),
}

impl From<&HistogramPoint> for Distribution {
    fn from(point: &HistogramPoint) -> Self {
        Self { count: point.count, sum: point.sum, range: (point.min, point.max) }
    }
}

impl From<&ExponentialPoint> for Distribution {
    fn from(point: &ExponentialPoint) -> Self {
        Self { count: point.count, sum: point.sum, range: (point.min, point.max) }
    }
}

impl Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count {}", self.count)?;
        for (name, value) in [("sum", self.sum), ("min", self.range.0), ("max", self.range.1)] {
            if let Some(value) = value {
                write!(f, " {name} {value}")?;
            }
        }
        Ok(())
    }
}

struct Quantiles<'a>(&'a SummaryPoint);

impl Display for Quantiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count {} sum {}", self.0.count, self.0.sum)?;
        self.0.quantiles.iter().try_for_each(|one| write!(f, " q{} {}", one.quantile, one.value))
    }
}
