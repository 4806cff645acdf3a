package io.obtrace.zero.agent;

import io.opentelemetry.exporter.internal.otlp.logs.LogsRequestMarshaler;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.context.Context;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.logs.LogRecordProcessor;
import io.opentelemetry.sdk.logs.ReadWriteLogRecord;
import io.opentelemetry.sdk.logs.data.LogRecordData;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Takes what the application's loggers say. */
final class Logs implements LogRecordProcessor {
  private final Pipeline<LogRecordData> pipeline;

  Logs(Delivery delivery, Losses losses, Ending ending) {
    pipeline = new Pipeline<>(Signal.LOGS, Logs::write, delivery, losses, ending);
  }

  @Override
  public void onEmit(Context context, ReadWriteLogRecord record) {
    if (!Worker.isCurrent()) {
      pipeline.offer(record.toLogRecordData());
    }
  }

  @Override
  public CompletableResultCode shutdown() {
    pipeline.end();
    return CompletableResultCode.ofSuccess();
  }

  private static void write(List<LogRecordData> batch, ByteArrayOutputStream out) throws IOException {
    List<LogRecordData> mended = new ArrayList<>(batch.size());
    for (LogRecordData record : batch) {
      mended.add(new MendedLog(record));
    }
    LogsRequestMarshaler.create(mended).writeJsonTo(out);
  }
}
