//! The series of one family and one resource.

use std::{
    collections::HashMap,
    hash::BuildHasherDefault,
    ops::AddAssign,
    time::{Duration, Instant},
};

use super::{
    aggregate::{Aggregate, Distribution, Example, Kind, Shape},
    family::Family,
    field::{Fields, Key},
    hash::{Hashed, Keyed},
    measure::Values,
};
use crate::model::{
    Attribute, Exemplar, ExponentialPoint, HistogramPoint, MetricData, Number, NumberPoint, Temporality, Value,
};

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// What is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) values: Values,
    /// The trace and span, with a value that each metric replaces by its own.
    pub(super) example: Option<Example>,
    pub(super) now: Instant,
    /// Since when a series that is new counts.
    pub(super) start: u64,
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Known,
    New,
    Overflow,
}

/// What is too old.
#[derive(Clone, Copy, Debug)]
pub(super) struct Age {
    /// It got no value for that long.
    pub(super) ttl: Duration,
    pub(super) now: Instant,
    /// Whether that goes, too, whose last values were not collected.
    pub(super) unread: bool,
}

impl Age {
    fn spares(&self, series: &Series) -> bool {
        let is_kept = series.is_unread && !self.unread;
        is_kept || self.now.saturating_duration_since(series.seen) < self.ttl
    }
}

/// What went, without series of overflow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gone {
    pub(super) series: usize,
    /// Those of them whose last values were not collected.
    pub(super) unread: usize,
}

impl AddAssign for Gone {
    fn add_assign(&mut self, other: Self) {
        self.series += other.series;
        self.unread += other.unread;
    }
}

/// Series by their attributes' values.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The first series of each hash; others follow in a chain.
    by_hash: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    series: Vec<Series>,
    overflow: Option<Box<Series>>,
}

#[derive(Debug)]
struct Series {
    hash: u64,
    next: u32,
    /// In the order of the family's keys; `Empty` for those it has not.
    values: Box<[Value]>,
    aggregates: Box<[Aggregate]>,
    start: u64,
    seen: Instant,
    /// It got a value since the last collection.
    is_unread: bool,
}

impl Series {
    fn new(family: &Family, hash: u64, values: Box<[Value]>, record: &Record) -> Self {
        let aggregates = family.instruments.iter().map(|_| Aggregate::Empty).collect();
        Self { hash, next: NONE, values, aggregates, start: record.start, seen: record.now, is_unread: true }
    }

    fn record(&mut self, family: &Family, record: &Record) {
        self.seen = self.seen.max(record.now);
        self.is_unread = true;
        for ((aggregate, instrument), value) in self.aggregates.iter_mut().zip(&family.instruments).zip(record.values) {
            if let Some(value) = value {
                let example = record.example.map(|example| Example { value, ..example });
                aggregate.record(&instrument.kind, value, example);
            }
        }
    }

    fn attributes(&self, family: &Family) -> Vec<Attribute> {
        let named = family.keys.iter().zip(&self.values).filter(|(_, value)| **value != Value::Empty);
        named.map(|(key, value)| Attribute::new(key.text(), value.clone())).collect()
    }
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty() && self.overflow.is_none()
    }

    /// Adds values to the series with these fields; to that of overflow if there is no room for a new one.
    pub(super) fn record(
        &mut self,
        family: &Family,
        fields: &Fields<'_>,
        hasher: Keyed,
        record: &Record,
        room: bool,
    ) -> Place {
        let hash = hasher.of(family.keys.iter().map(|key| fields.get(*key)));
        let first = self.by_hash.get(&hash).copied().unwrap_or(NONE);
        let mut at = first;
        while let Some(series) = self.series.get_mut(at as usize) {
            if family.keys.iter().zip(&series.values).all(|(key, value)| fields.get(*key).is(value)) {
                series.record(family, record);
                return Place::Known;
            }
            at = series.next;
        }
        if !room {
            let made = || Box::new(Series::new(family, 0, Box::default(), record));
            self.overflow.get_or_insert_with(made).record(family, record);
            return Place::Overflow;
        }
        let values = family.keys.iter().map(|key| fields.get(*key).value()).collect();
        let mut series = Series::new(family, hash, values, record);
        series.record(family, record);
        series.next = first;
        self.by_hash.insert(hash, u32::try_from(self.series.len()).unwrap_or(NONE));
        self.series.push(series);
        Place::New
    }

    /// All series, as if they went.
    pub(super) fn all(&self) -> Gone {
        Gone { series: self.len(), unread: self.series.iter().filter(|series| series.is_unread).count() }
    }

    /// The values are known to somebody now.
    pub(super) fn read(&mut self) {
        let series = self.series.iter_mut().chain(self.overflow.as_deref_mut());
        series.for_each(|series| series.is_unread = false);
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, age: &Age) -> Gone {
        self.overflow = self.overflow.take().filter(|overflow| age.spares(overflow));
        let mut gone = Gone::default();
        self.series.retain(|series| {
            let is_spared = age.spares(series);
            gone.series += usize::from(!is_spared);
            gone.unread += usize::from(!is_spared && series.is_unread);
            is_spared
        });
        if gone.series > 0 {
            self.series.shrink_to(2 * self.series.len());
            self.by_hash = HashMap::with_capacity_and_hasher(self.series.len(), BuildHasherDefault::default());
            for (at, series) in (0..).zip(&mut self.series) {
                series.next = self.by_hash.insert(series.hash, at).unwrap_or(NONE);
            }
        }
        gone
    }

    /// The values of one key over all series.
    pub(super) fn values_of(&self, family: &Family, key: Key) -> impl Iterator<Item = &Value> {
        let at = family.keys.iter().position(|known| *known == key);
        self.series.iter().filter_map(move |series| series.values.get(at?))
    }

    /// The data points of one of the family's metrics.
    pub(super) fn data(&self, family: &Family, instrument: usize, time: u64) -> MetricData {
        let mut data = match family.instruments.get(instrument).map(|instrument| &instrument.kind) {
            Some(Kind::Sum) => {
                MetricData::Sum { points: Vec::new(), temporality: Temporality::Cumulative, monotonic: true }
            }
            Some(Kind::Explicit(_)) => {
                MetricData::Histogram { points: Vec::new(), temporality: Temporality::Cumulative }
            }
            Some(Kind::Exponential) => {
                MetricData::ExponentialHistogram { points: Vec::new(), temporality: Temporality::Cumulative }
            }
            None => return MetricData::None,
        };
        let told = self.series.iter().map(|series| (series, series.attributes(family)));
        let overflow = self.overflow.iter().map(|series| (&**series, vec![Attribute::new(Key::Overflow.text(), true)]));
        for (series, attributes) in told.chain(overflow) {
            let Some(aggregate) = series.aggregates.get(instrument) else { continue };
            push(&mut data, aggregate, attributes, (series.start.min(time), time));
        }
        data
    }
}

fn push(data: &mut MetricData, aggregate: &Aggregate, attributes: Vec<Attribute>, (start, time): (u64, u64)) {
    match (data, aggregate) {
        (MetricData::Sum { points, .. }, Aggregate::Sum(sum)) => points.push(NumberPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            value: Some(Number::Int(i64::try_from(*sum).unwrap_or(i64::MAX))),
            ..NumberPoint::default()
        }),
        (MetricData::Histogram { points, .. }, Aggregate::Distribution(distribution)) => {
            let Shape::Explicit { bounds, counts, .. } = &distribution.shape else { return };
            points.push(HistogramPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                count: distribution.count,
                sum: Some(distribution.sum),
                min: Some(distribution.min),
                max: Some(distribution.max),
                bucket_counts: counts.to_vec(),
                explicit_bounds: bounds.to_vec(),
                exemplars: exemplars(distribution),
                ..HistogramPoint::default()
            });
        }
        (MetricData::ExponentialHistogram { points, .. }, Aggregate::Distribution(distribution)) => {
            let Shape::Exponential { zeros, buckets, .. } = &distribution.shape else { return };
            points.push(ExponentialPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                count: distribution.count,
                sum: Some(distribution.sum),
                min: Some(distribution.min),
                max: Some(distribution.max),
                scale: buckets.scale(),
                zero_count: *zeros,
                positive: buckets.buckets(),
                exemplars: exemplars(distribution),
                ..ExponentialPoint::default()
            });
        }
        _ => {}
    }
}

fn exemplars(distribution: &Distribution) -> Vec<Exemplar> {
    let made = |example: &Example| {
        Exemplar::new(example.value, example.time_unix_nano).with_span(example.trace_id, example.span_id)
    };
    distribution.examples().map(made).collect()
}
