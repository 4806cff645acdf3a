//! Metrics and their data points.

use super::{
    fields::{
        BUCKETS, EXEMPLAR, EXPONENTIAL_POINT, HISTOGRAM_POINT, METRIC, NUMBER_POINT, POINTS, QUANTILE, SUMMARY_POINT,
    },
    items::attributes,
    source::{DecodeError, Source},
};
use crate::model::{
    Buckets, Exemplar, ExponentialPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint, Quantile, SpanId,
    SummaryPoint, Temporality, TraceId,
};

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn metric<S: Source>(source: &mut S) -> Result<Metric> {
    let mut metric = Metric::default();
    source.message(METRIC, |source, number| {
        match number {
            1 => metric.name = source.text()?,
            2 => metric.description = source.text()?,
            3 => metric.unit = source.text()?,
            5 => metric.data = MetricData::Gauge(points(source, number_point)?.points),
            7 => {
                let Points { points, temporality, monotonic } = points(source, number_point)?;
                metric.data = MetricData::Sum { points, temporality, monotonic };
            }
            9 => {
                let Points { points, temporality, .. } = points(source, histogram_point)?;
                metric.data = MetricData::Histogram { points, temporality };
            }
            10 => {
                let Points { points, temporality, .. } = points(source, exponential_point)?;
                metric.data = MetricData::ExponentialHistogram { points, temporality };
            }
            11 => metric.data = MetricData::Summary(points(source, summary_point)?.points),
            _ => attributes(source, &mut metric.metadata)?,
        }
        Ok(())
    })?;
    Ok(metric)
}

/// What the kinds of metrics have in common.
struct Points<T> {
    points: Vec<T>,
    temporality: Temporality,
    monotonic: bool,
}

fn points<S: Source, T>(source: &mut S, read: fn(&mut S) -> Result<T>) -> Result<Points<T>> {
    let mut all = Points { points: Vec::new(), temporality: Temporality::Unspecified, monotonic: false };
    source.message(POINTS, |source, number| {
        match number {
            1 => {
                return source.repeated(|source| {
                    source.count_item()?;
                    all.points.push(read(source)?);
                    Ok(())
                });
            }
            2 => {
                all.temporality = match source.enumeration()? {
                    1 => Temporality::Delta,
                    2 => Temporality::Cumulative,
                    _ => Temporality::Unspecified,
                }
            }
            _ => all.monotonic = source.boolean()?,
        }
        Ok(())
    })?;
    Ok(all)
}

fn number_point<S: Source>(source: &mut S) -> Result<NumberPoint> {
    let mut point = NumberPoint::default();
    source.message(NUMBER_POINT, |source, number| {
        match number {
            2 => point.start_time_unix_nano = source.unsigned()?,
            3 => point.time_unix_nano = source.unsigned()?,
            4 => point.value = Some(Number::Double(source.double()?)),
            5 => exemplars(source, &mut point.exemplars)?,
            6 => point.value = Some(Number::Int(source.signed()?)),
            7 => attributes(source, &mut point.attributes)?,
            _ => point.flags = source.small()?,
        }
        Ok(())
    })?;
    Ok(point)
}

/// Adds exemplars to `out`.
fn exemplars<S: Source>(source: &mut S, out: &mut Vec<Exemplar>) -> Result<()> {
    source.repeated(|source| {
        out.push(exemplar(source)?);
        Ok(())
    })
}

fn exemplar<S: Source>(source: &mut S) -> Result<Exemplar> {
    let mut exemplar = Exemplar::default();
    source.message(EXEMPLAR, |source, number| {
        match number {
            2 => exemplar.time_unix_nano = source.unsigned()?,
            3 => exemplar.value = Some(Number::Double(source.double()?)),
            4 => exemplar.span_id = Some(SpanId::from_bytes(source.id()?)).filter(|id| !id.is_zero()),
            5 => exemplar.trace_id = Some(TraceId::from_bytes(source.id()?)).filter(|id| !id.is_zero()),
            6 => exemplar.value = Some(Number::Int(source.signed()?)),
            _ => attributes(source, &mut exemplar.filtered_attributes)?,
        }
        Ok(())
    })?;
    Ok(exemplar)
}

fn histogram_point<S: Source>(source: &mut S) -> Result<HistogramPoint> {
    let mut point = HistogramPoint::default();
    source.message(HISTOGRAM_POINT, |source, number| {
        match number {
            2 => point.start_time_unix_nano = source.unsigned()?,
            3 => point.time_unix_nano = source.unsigned()?,
            4 => point.count = source.unsigned()?,
            5 => point.sum = Some(source.double()?),
            6 => source.unsigneds(true, &mut point.bucket_counts)?,
            7 => source.doubles(&mut point.explicit_bounds)?,
            8 => exemplars(source, &mut point.exemplars)?,
            9 => attributes(source, &mut point.attributes)?,
            10 => point.flags = source.small()?,
            11 => point.min = Some(source.double()?),
            _ => point.max = Some(source.double()?),
        }
        Ok(())
    })?;
    Ok(point)
}

fn exponential_point<S: Source>(source: &mut S) -> Result<ExponentialPoint> {
    let mut point = ExponentialPoint::default();
    source.message(EXPONENTIAL_POINT, |source, number| {
        match number {
            1 => attributes(source, &mut point.attributes)?,
            2 => point.start_time_unix_nano = source.unsigned()?,
            3 => point.time_unix_nano = source.unsigned()?,
            4 => point.count = source.unsigned()?,
            5 => point.sum = Some(source.double()?),
            6 => point.scale = source.zigzag()?,
            7 => point.zero_count = source.unsigned()?,
            8 => point.positive = buckets(source)?,
            9 => point.negative = buckets(source)?,
            10 => point.flags = source.small()?,
            11 => exemplars(source, &mut point.exemplars)?,
            12 => point.min = Some(source.double()?),
            13 => point.max = Some(source.double()?),
            _ => point.zero_threshold = source.double()?,
        }
        Ok(())
    })?;
    Ok(point)
}

fn buckets<S: Source>(source: &mut S) -> Result<Buckets> {
    let mut buckets = Buckets::default();
    source.message(BUCKETS, |source, number| {
        match number {
            1 => buckets.offset = source.zigzag()?,
            _ => source.unsigneds(false, &mut buckets.counts)?,
        }
        Ok(())
    })?;
    Ok(buckets)
}

fn summary_point<S: Source>(source: &mut S) -> Result<SummaryPoint> {
    let mut point = SummaryPoint::default();
    source.message(SUMMARY_POINT, |source, number| {
        match number {
            2 => point.start_time_unix_nano = source.unsigned()?,
            3 => point.time_unix_nano = source.unsigned()?,
            4 => point.count = source.unsigned()?,
            5 => point.sum = source.double()?,
            6 => {
                return source.repeated(|source| {
                    point.quantiles.push(quantile(source)?);
                    Ok(())
                });
            }
            7 => attributes(source, &mut point.attributes)?,
            _ => point.flags = source.small()?,
        }
        Ok(())
    })?;
    Ok(point)
}

fn quantile<S: Source>(source: &mut S) -> Result<Quantile> {
    let mut quantile = Quantile::default();
    source.message(QUANTILE, |source, number| {
        match number {
            1 => quantile.quantile = source.double()?,
            _ => quantile.value = source.double()?,
        }
        Ok(())
    })?;
    Ok(quantile)
}
