//! One line an item, for people: a span, a log record, a data point.
//!
//! Times are of day and in UTC. Text from outside is shown without what a terminal would obey: control characters and those
//! that turn the direction of writing stand as `·`.

use std::{
    fmt::{self, Display},
    io::Write as _,
};

use super::{
    terminal::{Clean, Elapsed, Outcome, Paint, Style, TimeOfDay, service},
    text::{push_decimal, push_double, push_hex, push_key, push_text},
};
use crate::model::{
    Attribute, ExponentialPoint, HistogramPoint, LogRecord, Metric, MetricData, Number, NumberPoint, Span, SpanId,
    SpanKind, SummaryPoint, TraceId, Value,
};

/// The severity from which on a record tells of a failure.
const ERROR: u8 = 17;

/// Deeper than this values are left out: they come from outside.
const MAX_DEPTH: usize = 24;

/// Appends a line with time of day, service, kind, name, outcome, duration, and the ids: half of the trace's, the span's.
///
/// The outcome is the protocol's status code, else which error it was, else `error` or `ok`.
///
/// ```
/// use obtrace_export::{encode::line::push_span, model::{Attribute, Resource, Scope, Span, SpanId, SpanKind, TraceId}};
///
/// let resource = Resource::new(vec![Attribute::new("service.name", "shop")]);
/// let mut span = Span::new(
///     TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]), "GET /cart", SpanKind::Server, resource.into(),
///     Scope::default().into(),
/// ).with_times(45_296_789_000_000, 45_296_791_500_000);
/// span.push("http.response.status_code", 200_i64);
/// let mut line = Vec::new();
/// push_span(&mut line, &span, false);
/// let expected = "12:34:56.789 shop         server   GET /cart 200 2.50 ms 0101010101010101/0202020202020202\n";
/// assert_eq!(String::from_utf8(line).unwrap(), expected);
/// ```
pub fn push_span(out: &mut Vec<u8>, span: &Span, color: bool) {
    let paint = Paint::new(color);
    // Writing to memory does not fail.
    let _ = writeln!(
        out,
        "{} {:<12} {:<8} {} {} {} {}",
        paint.of(Style::Dim, TimeOfDay(span.start_unix_nano)),
        paint.of(Style::Cyan, service(&span.resource)),
        kind(span.kind),
        paint.of(Style::Bold, Clean(&span.name)),
        paint.of(Outcome(span).style(), Outcome(span)),
        Elapsed(span.end_unix_nano.saturating_sub(span.start_unix_nano)),
        paint.of(Style::Dim, Ids(Some(span.trace_id), Some(span.span_id))),
    );
}

/// Appends a line with time of day, service, `log`, severity, message, and the ids if the record has them.
pub fn push_log_record(out: &mut Vec<u8>, record: &LogRecord, color: bool) {
    let paint = Paint::new(color);
    let time = if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano };
    let severity = match record.severity() {
        "" => "-",
        known => known,
    };
    let _ = writeln!(
        out,
        "{} {:<12} {:<8} {} {}{}",
        paint.of(Style::Dim, TimeOfDay(time)),
        paint.of(Style::Cyan, service(&record.resource)),
        "log",
        paint.of(if record.severity_number >= ERROR { Style::Red } else { Style::Green }, Clean(severity)),
        paint.of(Style::Bold, Plain(&record.body)),
        Lead(&paint.of(Style::Dim, Ids(record.trace_id, record.span_id)), record.trace_id.is_some()),
    );
}

/// Appends a line for each data point: time of day, service, `metric`, name, attributes, value, unit.
///
/// ```
/// use obtrace_export::{encode::line::push_metric, model::{Metric, MetricData, Number, NumberPoint}};
///
/// let mut point = NumberPoint::default();
/// point.value = Some(Number::Int(7));
/// let metric = Metric::new("queue.length", "{job}", MetricData::Gauge(vec![point]), Default::default(), Default::default());
/// let mut line = Vec::new();
/// push_metric(&mut line, &metric, false);
/// assert_eq!(String::from_utf8(line).unwrap(), "00:00:00.000 unknown      metric   queue.length 7 {job}\n");
/// ```
pub fn push_metric(out: &mut Vec<u8>, metric: &Metric, color: bool) {
    let paint = Paint::new(color);
    let mut line = |time: u64, attributes: &[Attribute], value: &dyn Display| {
        let _ = writeln!(
            out,
            "{} {:<12} {:<8} {}{} {value}{}",
            paint.of(Style::Dim, TimeOfDay(time)),
            paint.of(Style::Cyan, service(&metric.resource)),
            "metric",
            paint.of(Style::Bold, Clean(&metric.name)),
            paint.of(Style::Dim, Attributes(attributes)),
            Lead(&paint.of(Style::Dim, Clean(&metric.unit)), !metric.unit.is_empty()),
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
        MetricData::None => line(0, &[], &"no data"),
    }
}

const fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "internal",
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

/// Text as it is, other values as JSON.
struct Plain<'a>(&'a Value);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Str(text) => Clean(text).fmt(f),
            Value::Empty => f.write_str("-"),
            value => {
                let mut json = Vec::new();
                push_value(&mut json, value, MAX_DEPTH);
                Clean(&String::from_utf8_lossy(&json)).fmt(f)
            }
        }
    }
}

/// Appends a value as plain JSON: numbers as such, bytes in hexadecimal, maps as objects.
fn push_value(out: &mut Vec<u8>, value: &Value, depth: usize) {
    match value {
        Value::Str(text) => push_text(out, text),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Int(number) => push_decimal(out, *number),
        Value::Double(number) => push_double(out, *number),
        Value::Bytes(bytes) => {
            out.push(b'"');
            bytes.iter().for_each(|byte| push_hex(out, &[*byte]));
            out.push(b'"');
        }
        Value::Array(_) | Value::Map(_) if depth == 0 => out.extend_from_slice("…".as_bytes()),
        Value::Array(values) => push_list(out, *b"[]", values, |out, value| push_value(out, value, depth - 1)),
        Value::Map(entries) => push_list(out, *b"{}", entries, |out, entry| {
            push_key(out, &entry.key);
            push_value(out, &entry.value, depth - 1);
        }),
        Value::Empty => out.extend_from_slice(b"null"),
    }
}

fn push_list<T>(out: &mut Vec<u8>, [open, close]: [u8; 2], items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push(out, item);
    }
    out.push(close);
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
            None => f.write_str("-"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_terminal_obeys_is_not_shown() {
        let record = LogRecord::new("a\x1b[2Jb\nc\u{202e}d\u{9b}", Default::default(), Default::default());
        assert!(line(|out| push_log_record(out, &record, false)).ends_with("- a·[2Jb·c·d·\n"));
        let value =
            Value::from(vec![Attribute::new("k\u{202e}", vec![Value::from("\u{9b}"), Value::from(vec![1_u8])])]);
        let record = LogRecord::new(value, Default::default(), Default::default());
        assert!(line(|out| push_log_record(out, &record, false)).ends_with("- {\"k·\":[\"\\u009b\",\"01\"]}\n"));
    }

    #[test]
    fn colours_only_if_asked_for() {
        let mut record = LogRecord::new("full", Default::default(), Default::default());
        (record.severity_number, record.trace_id) = (17, Some(TraceId::from_bytes([0xab; 16])));
        let coloured = line(|out| push_log_record(out, &record, true));
        assert!(coloured.contains("\x1b[31mERROR\x1b[0m") && coloured.contains("\x1b[2mabababababababab\x1b[0m"));
        assert!(!line(|out| push_log_record(out, &record, false)).contains('\x1b'));
    }

    #[test]
    fn a_line_for_each_data_point() {
        let mut point = HistogramPoint::default();
        (point.count, point.sum, point.max) = (3, Some(1.5), Some(1.0));
        point.attributes = vec![Attribute::new("a", "x"), Attribute::new("b", 2_i64)];
        let data = MetricData::Histogram { points: vec![point.clone(), point], temporality: Default::default() };
        let metric = Metric::new("h", "", data, Default::default(), Default::default());
        let text = line(|out| push_metric(out, &metric, false));
        assert_eq!(text.lines().count(), 2);
        assert!(text.ends_with("metric   h{a=x,b=2} count 3 sum 1.5 max 1\n"), "{text}");
    }

    #[test]
    fn values_nested_too_deep_are_cut() {
        let mut value = Value::from(1_i64);
        for _ in 0..50 {
            value = vec![value].into();
        }
        let record = LogRecord::new(value, Default::default(), Default::default());
        assert!(line(|out| push_log_record(out, &record, false)).contains("[[…]]"));
    }
}
