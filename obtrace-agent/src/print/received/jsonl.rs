//! One object an item: a span, a log record, a metric with its data points.

use obtrace_export::{
    encode::text::{push_decimal, push_decimal_u64, push_double, push_hex, push_string, push_text},
    model::{
        Attribute, Buckets, LogRecord, Metric, MetricData, Number, NumberPoint, Resource, Scope, Span, Status,
        Temporality, Text, Value,
    },
    receive::Telemetry,
};

use super::super::jsonl::{kind, push_object, push_value};

pub(super) fn write(out: &mut Vec<u8>, telemetry: &Telemetry) {
    match telemetry {
        Telemetry::Traces(spans) => spans.iter().for_each(|one| span(out, one)),
        Telemetry::Logs(records) => records.iter().for_each(|one| log(out, one)),
        Telemetry::Metrics(metrics) => metrics.iter().for_each(|one| metric(out, one)),
        _ => {}
    }
}

/// The fields of an object, one after the other.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Fields<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Where the value of the next field goes.
    fn field(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        push_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    fn text(&mut self, name: &str, text: &str) {
        push_string(self.field(name), text);
    }

    /// A text field, unless it is empty.
    fn known(&mut self, name: &str, text: &Text) {
        if !text.is_empty() {
            push_text(self.field(name), text);
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        push_decimal_u64(self.field(name), number);
    }

    fn double(&mut self, name: &str, number: Option<f64>) {
        if let Some(number) = number {
            push_value(self.field(name), &Value::Double(number));
        }
    }

    fn hex<const N: usize>(&mut self, name: &str, id: &[u8; N]) {
        let out = self.field(name);
        out.push(b'"');
        push_hex(out, id);
        out.push(b'"');
    }

    fn object(&mut self, name: &str, attributes: &[Attribute]) {
        push_object(self.field(name), attributes);
    }

    fn list<T>(&mut self, name: &str, items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
        let out = self.field(name);
        out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push(out, item);
        }
        out.push(b']');
    }

    /// What all items end with.
    fn origin(mut self, scope: &Scope, resource: &Resource) {
        self.known("scope", &scope.name);
        self.object("resource", &resource.attributes);
        self.out.extend_from_slice(b"}\n");
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

/// The names of `run --print jsonl`, as far as they are known.
fn span(out: &mut Vec<u8>, span: &Span) {
    let mut fields = Fields::open(out);
    fields.text("signal", "span");
    fields.text("kind", kind(span.kind));
    fields.known("name", &span.name);
    fields.number("start_unix_nano", span.start_unix_nano);
    fields.number("duration_ns", span.end_unix_nano.saturating_sub(span.start_unix_nano));
    match &span.status {
        Status::Error { description } => {
            fields.text("status", "error");
            fields.known("status_description", description);
        }
        _ => fields.text("status", "ok"),
    }
    fields.hex("trace_id", &span.trace_id.to_bytes());
    fields.hex("span_id", &span.span_id.to_bytes());
    if let Some(parent) = span.parent_span_id {
        fields.hex("parent_span_id", &parent.to_bytes());
    }
    fields.known("trace_state", &span.trace_state);
    fields.object("attributes", &span.attributes);
    if !span.events.is_empty() {
        fields.list("events", &span.events, |out, event| {
            let mut fields = Fields::open(out);
            fields.known("name", &event.name);
            fields.number("time_unix_nano", event.time_unix_nano);
            fields.object("attributes", &event.attributes);
            fields.close();
        });
    }
    if !span.links.is_empty() {
        fields.list("links", &span.links, |out, link| {
            let mut fields = Fields::open(out);
            fields.hex("trace_id", &link.trace_id.to_bytes());
            fields.hex("span_id", &link.span_id.to_bytes());
            fields.object("attributes", &link.attributes);
            fields.close();
        });
    }
    fields.origin(&span.scope, &span.resource);
}

fn log(out: &mut Vec<u8>, record: &LogRecord) {
    let mut fields = Fields::open(out);
    fields.text("signal", "log");
    fields.number("time_unix_nano", record.time_unix_nano);
    if record.observed_time_unix_nano != 0 {
        fields.number("observed_time_unix_nano", record.observed_time_unix_nano);
    }
    fields.text("severity", record.severity());
    fields.number("severity_number", record.severity_number.into());
    push_value(fields.field("body"), &record.body);
    fields.known("event_name", &record.event_name);
    if let Some(id) = record.trace_id {
        fields.hex("trace_id", &id.to_bytes());
    }
    if let Some(id) = record.span_id {
        fields.hex("span_id", &id.to_bytes());
    }
    fields.object("attributes", &record.attributes);
    fields.origin(&record.scope, &record.resource);
}

fn metric(out: &mut Vec<u8>, metric: &Metric) {
    let mut fields = Fields::open(out);
    fields.text("signal", "metric");
    fields.known("name", &metric.name);
    fields.known("unit", &metric.unit);
    fields.known("description", &metric.description);
    match &metric.data {
        MetricData::Gauge(points) => {
            fields.text("type", "gauge");
            fields.list("points", points, number_point);
        }
        MetricData::Sum { points, temporality, monotonic } => {
            fields.text("type", "sum");
            kept(&mut fields, *temporality);
            push_value(fields.field("monotonic"), &Value::Bool(*monotonic));
            fields.list("points", points, number_point);
        }
        MetricData::Histogram { points, temporality } => {
            fields.text("type", "histogram");
            kept(&mut fields, *temporality);
            fields.list("points", points, |out, point| {
                let mut fields = head(out, point.start_time_unix_nano, point.time_unix_nano, &point.attributes);
                distribution(&mut fields, point.count, [point.sum, point.min, point.max]);
                fields.list("bucket_counts", &point.bucket_counts, |out, count| push_decimal_u64(out, *count));
                fields.list("explicit_bounds", &point.explicit_bounds, |out, bound| push_double(out, *bound));
                fields.close();
            });
        }
        MetricData::ExponentialHistogram { points, temporality } => {
            fields.text("type", "exponential_histogram");
            kept(&mut fields, *temporality);
            fields.list("points", points, |out, point| {
                let mut fields = head(out, point.start_time_unix_nano, point.time_unix_nano, &point.attributes);
                distribution(&mut fields, point.count, [point.sum, point.min, point.max]);
                push_decimal(fields.field("scale"), point.scale.into());
                fields.number("zero_count", point.zero_count);
                buckets(fields.field("positive"), &point.positive);
                buckets(fields.field("negative"), &point.negative);
                fields.close();
            });
        }
        MetricData::Summary(points) => {
            fields.text("type", "summary");
            fields.list("points", points, |out, point| {
                let mut fields = head(out, point.start_time_unix_nano, point.time_unix_nano, &point.attributes);
                distribution(&mut fields, point.count, [Some(point.sum), None, None]);
                fields.list("quantiles", &point.quantiles, |out, one| {
                    let mut fields = Fields::open(out);
                    fields.double("quantile", Some(one.quantile));
                    fields.double("value", Some(one.value));
                    fields.close();
                });
                fields.close();
            });
        }
        _ => fields.list("points", &[], |_, &()| {}),
    }
    fields.origin(&metric.scope, &metric.resource);
}

fn kept(fields: &mut Fields<'_>, temporality: Temporality) {
    match temporality {
        Temporality::Delta => fields.text("temporality", "delta"),
        Temporality::Cumulative => fields.text("temporality", "cumulative"),
        _ => {}
    }
}

fn head<'a>(out: &'a mut Vec<u8>, start: u64, time: u64, attributes: &[Attribute]) -> Fields<'a> {
    let mut fields = Fields::open(out);
    fields.object("attributes", attributes);
    if start != 0 {
        fields.number("start_unix_nano", start);
    }
    fields.number("time_unix_nano", time);
    fields
}

fn number_point(out: &mut Vec<u8>, point: &NumberPoint) {
    let mut fields = head(out, point.start_time_unix_nano, point.time_unix_nano, &point.attributes);
    match point.value {
        Some(Number::Int(value)) => push_decimal(fields.field("value"), value),
        Some(Number::Double(value)) => fields.double("value", Some(value)),
        _ => {}
    }
    fields.close();
}

fn distribution(fields: &mut Fields<'_>, count: u64, [sum, min, max]: [Option<f64>; 3]) {
    fields.number("count", count);
    fields.double("sum", sum);
    fields.double("min", min);
    fields.double("max", max);
}

fn buckets(out: &mut Vec<u8>, buckets: &Buckets) {
    let mut fields = Fields::open(out);
    push_decimal(fields.field("offset"), buckets.offset.into());
    fields.list("counts", &buckets.counts, |out, count| push_decimal_u64(out, *count));
    fields.close();
}
