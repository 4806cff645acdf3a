//! A page: families with their samples.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

use super::{
    histogram::Range,
    join::{Point, Sample, Samples},
    labels::{self, joined},
    name,
    options::{Form, Options},
};
use crate::{
    model::{Exemplar, Metric, MetricData, Number, Temporality},
    span_metrics::TEMPO_LATENCY,
};

/// The types that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

impl Kind {
    /// What a metric becomes; nothing of what counts since the last time, for nobody here knows the sum.
    fn of(data: &MetricData) -> Option<Self> {
        let cumulative = |temporality: &Temporality| *temporality == Temporality::Cumulative;
        match data {
            MetricData::Gauge(_) => Some(Self::Gauge),
            MetricData::Sum { temporality, monotonic, .. } if cumulative(temporality) => {
                Some(if *monotonic { Self::Counter } else { Self::Gauge })
            }
            MetricData::Histogram { temporality, .. } | MetricData::ExponentialHistogram { temporality, .. }
                if cumulative(temporality) =>
            {
                Some(Self::Histogram)
            }
            MetricData::Summary(_) => Some(Self::Summary),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }

    /// What the names of its samples end in.
    const fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["", "_total", "_created"],
            Self::Gauge => &[""],
            Self::Histogram => &["", "_bucket", "_count", "_sum", "_created"],
            Self::Summary => &["", "_count", "_sum", "_created"],
        }
    }
}

struct Family<'a> {
    name: String,
    unit: String,
    kind: Kind,
    metrics: Vec<&'a Metric>,
}

/// Metrics by the families that they are in, and how many points have no place.
fn families(metrics: &[Metric]) -> (Vec<Family<'_>>, u64) {
    let (mut families, mut left): (Vec<Family<'_>>, u64) = (Vec::new(), 0);
    // The family of each sample's name; what is of the targets is none's.
    let mut names = HashMap::from([("target".to_owned(), usize::MAX), ("target_info".to_owned(), usize::MAX)]);
    for metric in metrics.iter().filter(|metric| !metric.data.is_empty()) {
        let Some(kind) = Kind::of(&metric.data) else {
            left += metric.data.len() as u64;
            continue;
        };
        let unit = name::unit(&metric.unit, matches!(metric.data, MetricData::Gauge(_)));
        let name = name::family(&metric.name, &unit, kind == Kind::Counter);
        if let Some(family) =
            names.get(&name).and_then(|at| families.get_mut(*at)).filter(|of| of.name == name && of.kind == kind)
        {
            family.metrics.push(metric);
            continue;
        }
        let samples: Vec<String> = kind.suffixes().iter().map(|suffix| format!("{name}{suffix}")).collect();
        if samples.iter().any(|sample| names.contains_key(sample)) {
            left += metric.data.len() as u64;
            continue;
        }
        names.extend(samples.into_iter().map(|sample| (sample, families.len())));
        families.push(Family { name, unit, kind, metrics: vec![metric] });
    }
    (families, left)
}

/// The points of a metric.
fn points(metric: &Metric) -> Box<dyn Iterator<Item = Point<'_>> + '_> {
    match &metric.data {
        MetricData::Gauge(points) => Box::new(points.iter().map(Point::Gauge)),
        MetricData::Sum { points, .. } => Box::new(points.iter().map(Point::Sum)),
        MetricData::Histogram { points, .. } => Box::new(points.iter().map(Point::Histogram)),
        MetricData::ExponentialHistogram { points, .. } => {
            let range = Range::of(if *metric.name == *TEMPO_LATENCY { "s" } else { &metric.unit });
            Box::new(points.iter().map(move |point| Point::Exponential(point, range)))
        }
        MetricData::Summary(points) => Box::new(points.iter().map(Point::Summary)),
        MetricData::None => Box::new(std::iter::empty()),
    }
}

/// Writes metrics as a page, and tells how many data points are not on it: those that count since the last time, those of a
/// metric whose name another of a different type has, and those that are the same as another or, with the same labels, cannot be
/// added to it.
///
/// Points of different resources, scopes or attributes that come to the same labels are one sample: sums and distributions are
/// added up (distributions at the bounds that all have), of gauges the last one is told. So the worker processes of a server, which
/// have one `service.instance.id`, count together. The sum falls when one of them is no longer told, which Prometheus takes for a
/// restart: who knows that they are one had better count them as one.
///
/// Names, units and labels are made by the
/// [compatibility specification](https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/);
/// exponential histograms have buckets, for neither form has native ones. Their bounds depend on the unit alone, so that series can
/// be added up: powers of √2 from 61 µs to 64 s, of 2 from 64 B to 1 GiB, from 1 to 64 Mi of what is counted (`{token}`), and from
/// a thousandth to 1 Gi of all else.
///
/// ```
/// use std::sync::Arc;
/// use obtrace_export::model::{Attribute, Metric, MetricData, NumberPoint, Resource, Temporality};
/// use obtrace_export::prometheus::{Form, Options, encode};
///
/// let point = NumberPoint::new(7_i64, 0).with_attributes(vec![Attribute::new("http.route", "/cart")]);
/// let data = MetricData::sum(vec![point], Temporality::Cumulative, true);
/// let resource = Arc::new(Resource::new(vec![Attribute::new("service.name", "shop")]));
/// let metric = Metric::new("requests", "{request}", data, resource, Arc::default());
///
/// let mut page = String::new();
/// assert_eq!(encode(&[metric], Form::Text, &Options::new(), &mut page), 0);
/// assert_eq!(page, "# TYPE requests_total counter\nrequests_total{job=\"shop\",http_route=\"/cart\"} 7\n");
/// ```
pub fn encode(metrics: &[Metric], form: Form, options: &Options, out: &mut String) -> u64 {
    encode_while(metrics, form, options, out, &mut |_, _| true)
}

/// Writes them until `keep` says that there is no room for more: it gets the text and where the last sample begins in it, may take
/// text away, and has to take that sample away if it is one too many.
pub(super) fn encode_while(
    metrics: &[Metric],
    form: Form,
    options: &Options,
    out: &mut String,
    keep: &mut dyn FnMut(&mut String, usize) -> bool,
) -> u64 {
    let (families, left) = families(metrics);
    let mut page = Page { form, options, out, left, keep, is_full: false };
    if options.target_info {
        page.targets(metrics);
    }
    families.iter().for_each(|family| page.family(family));
    if form == Form::OpenMetrics {
        page.out.push_str("# EOF\n");
    }
    page.left
}

/// What is written to.
pub(super) struct Page<'a> {
    pub(super) form: Form,
    options: &'a Options,
    out: &'a mut String,
    left: u64,
    keep: &'a mut dyn FnMut(&mut String, usize) -> bool,
    is_full: bool,
}

impl Page<'_> {
    fn targets(&mut self, metrics: &[Metric]) {
        let (mut described, mut told) = (false, HashSet::new());
        let mut places = HashSet::new();
        for metric in metrics {
            // Metrics of one resource mostly share it.
            if !places.insert(std::sync::Arc::as_ptr(&metric.resource)) {
                continue;
            }
            let Some(labels) = labels::of_target(&metric.resource, self.options) else { continue };
            // At most one for each job and instance; without these, one.
            let target = if self.options.identity { labels::target(&metric.resource) } else { Default::default() };
            if !told.insert(target) {
                continue;
            }
            if !described {
                let (name, kind) = match self.form {
                    Form::Text => ("target_info", "gauge"),
                    Form::OpenMetrics => ("target", "info"),
                };
                let _ = writeln!(self.out, "# TYPE {name} {kind}\n# HELP {name} What the metrics are about.");
                described = true;
            }
            let _ = writeln!(self.out, "target_info{{{labels}}} 1");
        }
    }

    fn family(&mut self, family: &Family<'_>) {
        let Family { name, unit, kind, metrics } = family;
        let mut samples = Samples::default();
        for metric in metrics {
            // The first that is the same one.
            let is_same =
                |one: &&Metric| one.name == metric.name && one.scope == metric.scope && one.resource == metric.resource;
            let number = metrics.iter().position(is_same).unwrap_or_default();
            let common = labels::of_metric(metric, self.options);
            for point in points(metric).filter(|point| point.has_value()) {
                let is_told = samples.add(common.with(point.attributes()), point, number);
                self.left += u64::from(!is_told);
            }
        }
        if self.is_full {
            self.left += samples.all.iter().map(Sample::len).sum::<u64>();
            return;
        }
        let suffix = if (self.form, *kind) == (Form::Text, Kind::Counter) { "_total" } else { "" };
        let _ = writeln!(self.out, "# TYPE {name}{suffix} {}", kind.name());
        let unit_ends_it = name.strip_suffix(unit.as_str()).is_some_and(|rest| rest.ends_with('_'));
        if self.form == Form::OpenMetrics && !unit.is_empty() && unit_ends_it {
            let _ = writeln!(self.out, "# UNIT {name} {unit}");
        }
        if let Some(help) = metrics.iter().map(|metric| &metric.description).find(|help| !help.is_empty()) {
            let _ = write!(self.out, "# HELP {name}{suffix} ");
            labels::escape(self.out, help, self.form == Form::OpenMetrics);
            self.out.push('\n');
        }
        for sample in &samples.all {
            if !self.is_full {
                let begun = self.out.len();
                self.sample(name, *kind, sample);
                self.is_full = !(self.keep)(self.out, begun);
            }
            self.left += if self.is_full { sample.len() } else { 0 };
        }
    }

    fn sample(&mut self, name: &str, kind: Kind, sample: &Sample<'_>) {
        let labels = &*sample.labels;
        match (kind, sample.first()) {
            (Kind::Gauge, _) => {
                self.line(name, "", labels, sample.number());
                self.end();
                return;
            }
            (Kind::Counter, _) => {
                self.line(name, "_total", labels, sample.number());
                self.exemplar(largest(sample.exemplars(), f64::NEG_INFINITY, f64::INFINITY));
                self.end();
            }
            (Kind::Summary, Point::Summary(point)) => {
                for quantile in &point.quantiles {
                    let labels = joined(labels, &format!("quantile=\"{}\"", number(quantile.quantile)));
                    self.line(name, "", &labels, Number::Double(quantile.value));
                    self.end();
                }
                self.count(name, labels, (point.count, Some(point.sum)));
            }
            _ => {
                let (buckets, count, sum) = sample.distribution();
                let mut lower = f64::NEG_INFINITY;
                for bucket in buckets {
                    let labels = joined(labels, &format!("le=\"{}\"", number(bucket.bound)));
                    let _ = write!(self.out, "{name}_bucket{{{labels}}} {}", bucket.count);
                    self.exemplar(largest(sample.exemplars(), lower, bucket.bound));
                    self.end();
                    lower = bucket.bound;
                }
                self.count(name, labels, (count, sum));
            }
        }
        self.created(name, labels, sample.start());
    }

    /// OpenMetrics has a sum with a count or neither.
    fn count(&mut self, name: &str, labels: &str, (count, sum): (u64, Option<f64>)) {
        if let Some(sum) = sum {
            self.line(name, "_sum", labels, Number::Double(sum));
            self.end();
        }
        if sum.is_some() || self.form == Form::Text {
            self.line(name, "_count", labels, count);
            self.end();
        }
    }

    fn line(&mut self, name: &str, suffix: &str, labels: &str, value: impl Into<Number>) {
        let value = match value.into() {
            Number::Int(int) => int.to_string(),
            Number::Double(double) => number(double),
        };
        let (open, close) = if labels.is_empty() { ("", "") } else { ("{", "}") };
        let _ = write!(self.out, "{name}{suffix}{open}{labels}{close} {value}");
    }

    fn exemplar(&mut self, exemplar: Option<(&Exemplar, f64)>) {
        /// Characters that all labels of one may have.
        const MOST: usize = 128;
        let (Form::OpenMetrics, Some((exemplar, value))) = (self.form, exemplar) else { return };
        let mut labels = String::new();
        if let Some(id) = exemplar.trace_id {
            let _ = write!(labels, "trace_id=\"{id}\"");
        }
        if let Some(id) = exemplar.span_id {
            labels = joined(&labels, &format!("span_id=\"{id}\""));
        }
        let more = joined(&labels, &labels::of_exemplar(&exemplar.filtered_attributes));
        // The limit is of names and values; with all else, it is kept all the more.
        if more.chars().count() <= MOST {
            labels = more;
        }
        let _ = write!(self.out, " # {{{labels}}} {}", number(value));
        if exemplar.time_unix_nano > 0 {
            let _ = write!(self.out, " {}", seconds(exemplar.time_unix_nano));
        }
    }

    fn created(&mut self, name: &str, labels: &str, nanos: u64) {
        if self.form == Form::OpenMetrics && self.options.created && nanos > 0 {
            let (open, close) = if labels.is_empty() { ("", "") } else { ("{", "}") };
            let _ = writeln!(self.out, "{name}_created{open}{labels}{close} {}", seconds(nanos));
        }
    }

    fn end(&mut self) {
        self.out.push('\n');
    }
}

/// The exemplar with the largest value above one bound and not above another.
fn largest<'a>(exemplars: impl Iterator<Item = &'a Exemplar>, above: f64, to: f64) -> Option<(&'a Exemplar, f64)> {
    let value = |exemplar: &Exemplar| match exemplar.value {
        #[expect(clippy::cast_precision_loss, reason = "the form has only floating-point numbers")]
        Some(Number::Int(int)) => Some(int as f64),
        Some(Number::Double(double)) => Some(double),
        None => None,
    };
    let valued = exemplars.filter_map(|exemplar| Some((exemplar, value(exemplar)?)));
    let within = valued.filter(|(_, value)| *value > above && *value <= to);
    within.max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// A number as both forms read it. It has a point or an exponent: OpenMetrics wants `le="1.0"`.
fn number(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        format!("{number:?}")
    }
}

fn seconds(nanos: u64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}
