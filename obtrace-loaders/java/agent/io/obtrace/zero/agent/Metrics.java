package io.obtrace.zero.agent;

import io.opentelemetry.exporter.internal.otlp.metrics.MetricsRequestMarshaler;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.metrics.InstrumentType;
import io.opentelemetry.sdk.metrics.data.AggregationTemporality;
import io.opentelemetry.sdk.metrics.data.MetricData;
import io.opentelemetry.sdk.metrics.export.CollectionRegistration;
import io.opentelemetry.sdk.metrics.export.MetricReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Collection;
import java.util.Collections;
import java.util.List;

/** Reads all metrics at every interval, and once more at the end. */
final class Metrics implements MetricReader {
  /** The most attribute sets of an instrument; further ones go to one of their own. */
  static final int CARDINALITY = 1_000;

  private final long intervalMillis;
  private final Delivery delivery;
  private final Losses losses;
  private final Ending ending;
  private volatile CollectionRegistration registration = CollectionRegistration.noop();
  private boolean done;

  Metrics(long intervalMillis, Delivery delivery, Losses losses, Ending ending) {
    this.intervalMillis = intervalMillis;
    this.delivery = delivery;
    this.losses = losses;
    this.ending = ending;
    Worker.start(Signal.METRICS, this::work);
  }

  @Override
  public void register(CollectionRegistration registration) {
    this.registration = registration;
  }

  @Override
  public AggregationTemporality getAggregationTemporality(InstrumentType type) {
    return AggregationTemporality.CUMULATIVE;
  }

  @Override
  public CompletableResultCode forceFlush() {
    return CompletableResultCode.ofSuccess();
  }

  @Override
  public CompletableResultCode shutdown() {
    ending.begin();
    synchronized (this) {
      try {
        for (long left = ending.remaining(); left > 0 && !done; left = ending.remaining()) {
          wait(left);
        }
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    return CompletableResultCode.ofSuccess();
  }

  private void work() throws InterruptedException {
    boolean last;
    do {
      ending.sleep(intervalMillis);
      // Asked before the report: an end that begins meanwhile has one of its own.
      last = ending.hasBegun();
      report();
    } while (!last);
    synchronized (this) {
      done = true;
      notifyAll();
    }
  }

  private void report() throws InterruptedException {
    for (List<MetricData> batch : Points.batches(collected(), Delivery.LARGEST_BATCH)) {
      int points = Points.count(batch);
      try {
        ByteArrayOutputStream body = new ByteArrayOutputStream(256 * points);
        MetricsRequestMarshaler.create(batch).writeJsonTo(body);
        delivery.send(body.toByteArray(), points);
      } catch (IOException | RuntimeException | Error failed) {
        Debug.say("metrics: " + failed);
        losses.count(Signal.METRICS, Losses.Reason.SEND_FAILED, points);
      }
    }
  }

  private Collection<MetricData> collected() {
    try {
      return registration.collectAllMetrics();
    } catch (RuntimeException | Error failed) {
      Debug.say("metrics: " + failed);
      return Collections.emptyList();
    }
  }
}
