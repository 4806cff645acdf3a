package io.obtrace.zero.agent;

import io.opentelemetry.javaagent.extension.AgentListener;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.Attributes;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.metrics.Meter;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.metrics.ObservableDoubleMeasurement;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.metrics.ObservableLongMeasurement;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;

/** Adds what the agent does not measure: the process as the kernel sees it, and what was dropped here. */
public final class ProcessMetrics implements AgentListener {
  /** Linux counts a process' time in hundredths of a second, whatever its kernel's own clock. */
  private static final double TICKS_A_SECOND = 100;

  /** Fields of {@code /proc/self/stat} behind the name's bracket: proc(5) has them as 14 and 15. */
  private static final int USER_TICKS = 11;

  private static final int SYSTEM_TICKS = 12;
  private static final AttributeKey<String> MODE = AttributeKey.stringKey("cpu.mode");
  private static final Attributes USER = Attributes.of(MODE, "user");
  private static final Attributes SYSTEM = Attributes.of(MODE, "system");

  @Override
  public void afterAgent(AutoConfiguredOpenTelemetrySdk sdk) {
    Meter meter = sdk.getOpenTelemetrySdk().getMeterProvider().meterBuilder("obtrace.java.process").setInstrumentationVersion(Settings.VERSION).build();
    meter.counterBuilder("process.cpu.time").ofDoubles().setUnit("s").setDescription("Processor time of the process").buildWithCallback(ProcessMetrics::time);
    meter.upDownCounterBuilder("process.memory.usage").setUnit("By").setDescription("Physical memory of the process").buildWithCallback(ProcessMetrics::memory);
    meter.counterBuilder("obtrace.loader.dropped").setUnit("{item}").setDescription("Items that were not sent").buildWithCallback(ProcessMetrics::dropped);
  }

  private static void time(ObservableDoubleMeasurement measured) {
    String stat = read("/proc/self/stat");
    String[] fields = stat.substring(stat.lastIndexOf(')') + 1).trim().split(" ");
    if (fields.length > SYSTEM_TICKS) {
      measured.record(Long.parseLong(fields[USER_TICKS]) / TICKS_A_SECOND, USER);
      measured.record(Long.parseLong(fields[SYSTEM_TICKS]) / TICKS_A_SECOND, SYSTEM);
    }
  }

  private static void memory(ObservableLongMeasurement measured) {
    for (String line : read("/proc/self/status").split("\n")) {
      if (line.startsWith("VmRSS:")) {
        measured.record(1024 * Long.parseLong(line.replaceAll("[^0-9]", "")));
      }
    }
  }

  private static void dropped(ObservableLongMeasurement measured) {
    for (Signal signal : Signal.values()) {
      for (Losses.Reason reason : Losses.Reason.values()) {
        long count = Customizer.LOSSES.of(signal, reason);
        if (count != 0) {
          measured.record(count, Attributes.of(AttributeKey.stringKey("signal"), signal.text, AttributeKey.stringKey("reason"), reason.text));
        }
      }
    }
  }

  private static String read(String path) {
    try {
      return new String(Files.readAllBytes(Paths.get(path)), StandardCharsets.UTF_8);
    } catch (IOException notLinux) {
      return "";
    }
  }
}
