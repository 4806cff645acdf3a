package io.obtrace.zero.agent;

import io.opentelemetry.sdk.metrics.data.DoublePointData;
import io.opentelemetry.sdk.metrics.data.ExponentialHistogramData;
import io.opentelemetry.sdk.metrics.data.HistogramData;
import io.opentelemetry.sdk.metrics.data.LongPointData;
import io.opentelemetry.sdk.metrics.data.MetricData;
import io.opentelemetry.sdk.metrics.data.PointData;
import io.opentelemetry.sdk.metrics.data.SumData;
import io.opentelemetry.sdk.metrics.data.SummaryData;
import io.opentelemetry.sdk.metrics.internal.data.ImmutableExponentialHistogramData;
import io.opentelemetry.sdk.metrics.internal.data.ImmutableGaugeData;
import io.opentelemetry.sdk.metrics.internal.data.ImmutableHistogramData;
import io.opentelemetry.sdk.metrics.internal.data.ImmutableMetricData;
import io.opentelemetry.sdk.metrics.internal.data.ImmutableSumData;
import io.opentelemetry.sdk.metrics.internal.data.ImmutableSummaryData;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;

/** Splits metrics by their data points. */
final class Points {
  private Points() {}

  /** Batches of at most so many data points, in order; a metric with more than fit is spread over several. */
  static List<List<MetricData>> batches(Collection<MetricData> metrics, int largest) {
    List<List<MetricData>> batches = new ArrayList<>();
    List<MetricData> batch = new ArrayList<>();
    int room = largest;
    for (MetricData metric : metrics) {
      List<PointData> points = new ArrayList<>(metric.getData().getPoints());
      for (int from = 0; from < points.size(); ) {
        int to = Math.min(points.size(), from + room);
        batch.add(from == 0 && to == points.size() ? metric : with(metric, points.subList(from, to)));
        room -= to - from;
        from = to;
        if (room == 0) {
          batches.add(batch);
          batch = new ArrayList<>();
          room = largest;
        }
      }
    }
    if (!batch.isEmpty()) {
      batches.add(batch);
    }
    return batches;
  }

  static int count(List<MetricData> metrics) {
    return metrics.stream().mapToInt(metric -> metric.getData().getPoints().size()).sum();
  }

  private static MetricData with(MetricData metric, List<PointData> points) {
    switch (metric.getType()) {
      case LONG_GAUGE:
        return ImmutableMetricData.createLongGauge(
            metric.getResource(), metric.getInstrumentationScopeInfo(), metric.getName(), metric.getDescription(),
            metric.getUnit(), ImmutableGaugeData.create(as(points)));
      case DOUBLE_GAUGE:
        return ImmutableMetricData.createDoubleGauge(
            metric.getResource(), metric.getInstrumentationScopeInfo(), metric.getName(), metric.getDescription(),
            metric.getUnit(), ImmutableGaugeData.create(as(points)));
      case LONG_SUM:
        SumData<LongPointData> longs = metric.getLongSumData();
        return ImmutableMetricData.createLongSum(
            metric.getResource(), metric.getInstrumentationScopeInfo(), metric.getName(), metric.getDescription(),
            metric.getUnit(), ImmutableSumData.create(longs.isMonotonic(), longs.getAggregationTemporality(), as(points)));
      case DOUBLE_SUM:
        SumData<DoublePointData> doubles = metric.getDoubleSumData();
        return ImmutableMetricData.createDoubleSum(
            metric.getResource(), metric.getInstrumentationScopeInfo(), metric.getName(), metric.getDescription(),
            metric.getUnit(), ImmutableSumData.create(doubles.isMonotonic(), doubles.getAggregationTemporality(), as(points)));
      case SUMMARY:
        SummaryData summary = ImmutableSummaryData.create(as(points));
        return ImmutableMetricData.createDoubleSummary(
            metric.getResource(), metric.getInstrumentationScopeInfo(), metric.getName(), metric.getDescription(),
            metric.getUnit(), summary);
      case HISTOGRAM:
        HistogramData histogram = metric.getHistogramData();
        return ImmutableMetricData.createDoubleHistogram(
            metric.getResource(), metric.getInstrumentationScopeInfo(), metric.getName(), metric.getDescription(),
            metric.getUnit(), ImmutableHistogramData.create(histogram.getAggregationTemporality(), as(points)));
      default:
        ExponentialHistogramData exponential = metric.getExponentialHistogramData();
        return ImmutableMetricData.createExponentialHistogram(
            metric.getResource(), metric.getInstrumentationScopeInfo(), metric.getName(), metric.getDescription(),
            metric.getUnit(), ImmutableExponentialHistogramData.create(exponential.getAggregationTemporality(), as(points)));
    }
  }

  @SuppressWarnings("unchecked") // the points of a metric are of the class that its type says
  private static <T> Collection<T> as(List<PointData> points) {
    return (Collection<T>) Collections.unmodifiableList(points);
  }
}
