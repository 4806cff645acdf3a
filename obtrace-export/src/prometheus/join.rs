//! Points that come to the same labels are one sample: those of several processes of one service instance, which differ in what
//! is no label.

use std::{collections::HashMap, rc::Rc};

use super::histogram::{self, Bucket, Range};
use crate::model::{
    Attribute, Exemplar, ExponentialPoint, FLAG_NO_RECORDED_VALUE, HistogramPoint, Number, NumberPoint, SummaryPoint,
};

/// A point of any kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point<'a> {
    Gauge(&'a NumberPoint),
    Sum(&'a NumberPoint),
    Histogram(&'a HistogramPoint),
    Exponential(&'a ExponentialPoint, Range),
    Summary(&'a SummaryPoint),
}

impl<'a> Point<'a> {
    /// Its attributes, when it began to count, its time, and its flags.
    fn common(self) -> (&'a [Attribute], u64, u64, u32) {
        macro_rules! of {
            ($point:expr) => {
                (&$point.attributes, $point.start_time_unix_nano, $point.time_unix_nano, $point.flags)
            };
        }
        match self {
            Self::Gauge(point) | Self::Sum(point) => of!(point),
            Self::Histogram(point) => of!(point),
            Self::Exponential(point, _) => of!(point),
            Self::Summary(point) => of!(point),
        }
    }

    pub(super) fn attributes(self) -> &'a [Attribute] {
        self.common().0
    }

    fn time(self) -> u64 {
        self.common().2
    }

    pub(super) fn has_value(self) -> bool {
        let is_empty = matches!(self, Self::Gauge(point) | Self::Sum(point) if point.value.is_none());
        !is_empty && self.common().3 & FLAG_NO_RECORDED_VALUE == 0
    }

    fn exemplars(self) -> &'a [Exemplar] {
        match self {
            Self::Gauge(point) | Self::Sum(point) => &point.exemplars,
            Self::Histogram(point) => &point.exemplars,
            Self::Exponential(point, _) => &point.exemplars,
            Self::Summary(_) => &[],
        }
    }

    /// Whether there is something that both are together; not so of quantiles.
    const fn joins(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Gauge(_), Self::Gauge(_))
                | (Self::Sum(_), Self::Sum(_))
                | (Self::Histogram(_) | Self::Exponential(..), Self::Histogram(_) | Self::Exponential(..))
        )
    }
}

/// What is told with one set of labels.
#[derive(Debug)]
pub(super) struct Sample<'a> {
    pub(super) labels: Rc<str>,
    /// A point, and the number of the metric that it is of.
    first: (Point<'a>, usize),
    /// Of other resources, scopes or attributes.
    more: Vec<(Point<'a>, usize)>,
}

impl<'a> Sample<'a> {
    fn points(&self) -> impl Iterator<Item = Point<'a>> {
        std::iter::once(self.first.0).chain(self.more.iter().map(|(point, _)| *point))
    }

    pub(super) const fn first(&self) -> Point<'a> {
        self.first.0
    }

    pub(super) fn exemplars(&self) -> impl Iterator<Item = &'a Exemplar> {
        self.points().flat_map(Point::exemplars)
    }

    /// How many points it is of.
    pub(super) const fn len(&self) -> u64 {
        1 + self.more.len() as u64
    }

    /// When the first of them began to count; 0 if that is not known.
    pub(super) fn start(&self) -> u64 {
        self.points().map(|point| point.common().1).filter(|start| *start > 0).min().unwrap_or_default()
    }

    /// The sum, or of gauges the last one.
    pub(super) fn number(&self) -> Number {
        let mut all = self.points().filter_map(|point| match point {
            Point::Gauge(point) | Point::Sum(point) => Some((point.value?, point.time_unix_nano)),
            _ => None,
        });
        let Some(first) = all.next() else { return Number::Int(0) };
        if matches!(self.first.0, Point::Gauge(_)) {
            return all.fold(first, |last, next| if next.1 > last.1 { next } else { last }).0;
        }
        all.fold(first.0, |sum, (next, _)| added(sum, next))
    }

    /// All values together: the buckets that all have, the count, the sum if all have one.
    pub(super) fn distribution(&self) -> (Vec<Bucket>, u64, Option<f64>) {
        let mut all = self.points().filter_map(|point| match point {
            Point::Histogram(point) => Some((histogram::explicit(point), point.count, point.sum)),
            Point::Exponential(point, range) => Some((histogram::exponential(point, range), point.count, point.sum)),
            _ => None,
        });
        let Some((mut buckets, mut count, mut sum)) = all.next() else { return (Vec::new(), 0, None) };
        for (others, other_count, other_sum) in all {
            buckets = histogram::joined(&buckets, &others);
            count = count.saturating_add(other_count);
            sum = sum.zip(other_sum).map(|(one, other)| one + other);
        }
        (buckets, count, sum)
    }

    /// Adds a point, and tells whether it counts. Of one series, only its last point does.
    fn add(&mut self, point: Point<'a>, metric: usize) -> bool {
        if !self.first.0.joins(point) {
            return false;
        }
        let mut all = std::iter::once(&mut self.first).chain(&mut self.more);
        let Some(known) = all.find(|(known, of)| *of == metric && known.attributes() == point.attributes()) else {
            self.more.push((point, metric));
            return true;
        };
        if point.time() > known.0.time() {
            known.0 = point;
        }
        false
    }
}

fn added(one: Number, other: Number) -> Number {
    #[expect(clippy::cast_precision_loss, reason = "what is no longer a whole number of 64 bits")]
    let double = |number| match number {
        Number::Int(int) => int as f64,
        Number::Double(double) => double,
    };
    if let (Number::Int(one), Number::Int(other)) = (one, other)
        && let Some(sum) = one.checked_add(other)
    {
        return Number::Int(sum);
    }
    Number::Double(double(one) + double(other))
}

/// The samples of a family, in the order in which their labels came first.
#[derive(Debug, Default)]
pub(super) struct Samples<'a> {
    pub(super) all: Vec<Sample<'a>>,
    by_labels: HashMap<Rc<str>, usize>,
}

impl<'a> Samples<'a> {
    /// Adds a point of the metric with a number, and tells whether it is on the page.
    pub(super) fn add(&mut self, labels: String, point: Point<'a>, metric: usize) -> bool {
        let known = self.by_labels.get(labels.as_str()).and_then(|at| self.all.get_mut(*at));
        if let Some(sample) = known {
            return sample.add(point, metric);
        }
        let labels = Rc::<str>::from(labels);
        self.by_labels.insert(Rc::clone(&labels), self.all.len());
        self.all.push(Sample { labels, first: (point, metric), more: Vec::new() });
        true
    }
}
