package io.obtrace.zero.agent;

import io.opentelemetry.javaagent.extension.AgentListener;
import io.opentelemetry.javaagent.extension.instrumentation.internal.AgentDistributionConfig;
import io.opentelemetry.javaagent.shaded.instrumentation.runtimetelemetry.internal.Internal;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;

/**
 * Starts the agent's measuring of the JVM, by the agent's own settings, in place of its {@code RuntimeTelemetryInstaller}:
 * that one also ends it in a shutdown hook, beside the one that makes the last report, which was then mostly without it.
 */
public final class JvmMetrics implements AgentListener {
  @Override
  public void afterAgent(AutoConfiguredOpenTelemetrySdk sdk) {
    Internal.configure(GlobalOpenTelemetry.get(), AgentDistributionConfig.get().isInstrumentationDefaultEnabled());
  }
}
