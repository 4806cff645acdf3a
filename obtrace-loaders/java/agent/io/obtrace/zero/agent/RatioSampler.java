package io.obtrace.zero.agent;

import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.Attributes;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.context.Context;
import io.opentelemetry.sdk.trace.data.LinkData;
import io.opentelemetry.sdk.trace.samplers.Sampler;
import io.opentelemetry.sdk.trace.samplers.SamplingResult;
import java.util.List;

/**
 * Keeps a trace that begins here if the last 56 bits of its id are below {@code ratio × 2^56}: the W3C's random part, so
 * that every loader decides alike. (The SDK's own sampler takes 63 bits.)
 */
final class RatioSampler implements Sampler {
  private static final int BITS = 56;
  private static final int DIGITS = BITS / 4;

  private final long bound;
  private final double ratio;

  RatioSampler(double ratio) {
    this.ratio = ratio;
    bound = (long) Math.ceil(ratio * (1L << BITS));
  }

  boolean keeps(String traceId) {
    return Long.parseLong(traceId.substring(traceId.length() - DIGITS), 16) < bound;
  }

  @Override
  public SamplingResult shouldSample(
      Context parent, String traceId, String name, SpanKind kind, Attributes attributes, List<LinkData> links) {
    return keeps(traceId) ? SamplingResult.recordAndSample() : SamplingResult.drop();
  }

  @Override
  public String getDescription() {
    return "ObtraceRatio{" + ratio + "}";
  }
}
