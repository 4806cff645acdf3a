package io.obtrace.zero.agent;

import io.opentelemetry.exporter.internal.otlp.traces.TraceRequestMarshaler;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.Attributes;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.AttributesBuilder;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.context.Context;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.ReadWriteSpan;
import io.opentelemetry.sdk.trace.ReadableSpan;
import io.opentelemetry.sdk.trace.SpanProcessor;
import io.opentelemetry.sdk.trace.data.DelegatingSpanData;
import io.opentelemetry.sdk.trace.data.SpanData;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** Takes the spans that ended: those of a sampled trace and of a kind to report. */
final class Spans implements SpanProcessor {
  private static final AttributeKey<String> SUMMARY = AttributeKey.stringKey("db.query.summary");
  private static final AttributeKey<String> OPERATION = AttributeKey.stringKey("db.operation.name");
  private static final AttributeKey<String> COLLECTION = AttributeKey.stringKey("db.collection.name");

  private final Set<SpanKind> kinds = EnumSet.noneOf(SpanKind.class);
  private final Pipeline<SpanData> pipeline;

  Spans(Set<String> kinds, Delivery delivery, Losses losses, Ending ending) {
    for (SpanKind kind : SpanKind.values()) {
      if (kinds.contains(kind.name().toLowerCase(Locale.ROOT))) {
        this.kinds.add(kind);
      }
    }
    pipeline = new Pipeline<>(Signal.TRACES, Spans::write, delivery, losses, ending);
  }

  @Override
  public void onStart(Context parent, ReadWriteSpan span) {}

  @Override
  public boolean isStartRequired() {
    return false;
  }

  @Override
  public void onEnd(ReadableSpan span) {
    if (span.getSpanContext().isSampled() && kinds.contains(span.getKind()) && !Worker.isCurrent()) {
      pipeline.offer(span.toSpanData());
    }
  }

  @Override
  public boolean isEndRequired() {
    return true;
  }

  @Override
  public CompletableResultCode shutdown() {
    pipeline.end();
    return CompletableResultCode.ofSuccess();
  }

  private static void write(List<SpanData> batch, ByteArrayOutputStream out) throws IOException {
    List<SpanData> mended = new ArrayList<>(batch.size());
    for (SpanData span : batch) {
      Attributes attributes = span.getAttributes();
      Attributes kept = Bounds.kept(attributes);
      Attributes whole = withOperation(kept);
      mended.add(whole == attributes ? span : new Mended(span, whole));
    }
    TraceRequestMarshaler.create(mended).writeJsonTo(out);
  }

  /** What the agent says of a query in a summary alone (`SELECT orders`), said in attributes of their own as well. */
  private static Attributes withOperation(Attributes attributes) {
    String summary = attributes.get(SUMMARY);
    if (summary == null || summary.isEmpty() || attributes.get(OPERATION) != null) {
      return attributes;
    }
    String[] words = summary.split(" ");
    AttributesBuilder whole = attributes.toBuilder().put(OPERATION, words[0]);
    if (words.length == 2) {
      whole.put(COLLECTION, words[1]);
    }
    return whole.build();
  }

  /** A span with other attributes. */
  private static final class Mended extends DelegatingSpanData {
    private final Attributes attributes;

    Mended(SpanData span, Attributes attributes) {
      super(span);
      this.attributes = attributes;
    }

    @Override
    public Attributes getAttributes() {
      return attributes;
    }
  }
}
