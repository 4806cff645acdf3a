package io.obtrace.zero.agent;

import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.Attributes;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.Value;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.ValueType;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.logs.Severity;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.sdk.common.InstrumentationScopeInfo;
import io.opentelemetry.sdk.logs.data.LogRecordData;
import io.opentelemetry.sdk.resources.Resource;
import java.util.HashMap;
import java.util.Map;

/** A log record within the bounds, its severity by the contract. */
final class MendedLog implements LogRecordData {
  /** Levels of java.util.logging that the agent numbers otherwise than the contract does. */
  private static final Map<String, Severity> SEVERITIES = new HashMap<>();

  static {
    SEVERITIES.put("FINEST", Severity.TRACE);
    SEVERITIES.put("FINER", Severity.TRACE2);
    SEVERITIES.put("FINE", Severity.DEBUG);
    SEVERITIES.put("CONFIG", Severity.DEBUG2);
  }

  private final LogRecordData record;
  private final Attributes attributes;

  MendedLog(LogRecordData record) {
    this.record = record;
    attributes = Bounds.kept(record.getAttributes());
  }

  @Override
  public Value<?> getBodyValue() {
    Value<?> body = record.getBodyValue();
    if (body == null || body.getType() != ValueType.STRING) {
      return body == null ? Value.of("") : body;
    }
    return Value.of(Bounds.cut(body.asString(), Bounds.LONGEST_BODY));
  }

  @Override
  @Deprecated
  public io.opentelemetry.sdk.logs.data.Body getBody() {
    return record.getBody();
  }

  @Override
  public Severity getSeverity() {
    String text = record.getSeverityText();
    return text == null ? record.getSeverity() : SEVERITIES.getOrDefault(text, record.getSeverity());
  }

  @Override
  public Attributes getAttributes() {
    return attributes;
  }

  @Override
  public Resource getResource() {
    return record.getResource();
  }

  @Override
  public InstrumentationScopeInfo getInstrumentationScopeInfo() {
    return record.getInstrumentationScopeInfo();
  }

  @Override
  public long getTimestampEpochNanos() {
    long time = record.getTimestampEpochNanos();
    return time == 0 ? record.getObservedTimestampEpochNanos() : time;
  }

  @Override
  public long getObservedTimestampEpochNanos() {
    return record.getObservedTimestampEpochNanos();
  }

  @Override
  public SpanContext getSpanContext() {
    return record.getSpanContext();
  }

  @Override
  public String getSeverityText() {
    return record.getSeverityText();
  }

  @Override
  public int getTotalAttributeCount() {
    return record.getTotalAttributeCount();
  }

  @Override
  public String getEventName() {
    return record.getEventName();
  }
}
