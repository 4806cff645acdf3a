package io.obtrace.zero.agent;

import java.util.HashMap;
import java.util.Map;

/** The agent's own properties ({@code otel.*}). */
final class AgentProperties {
  private static final String[][] OURS = {
    {"otel.sdk.disabled", "false"},
    // Ours take the items; the agent's exporters would send them elsewhere.
    {"otel.traces.exporter", "none"},
    {"otel.logs.exporter", "none"},
    {"otel.metrics.exporter", "none"},
    {"otel.metrics.exemplar.filter", "always_off"},
    {"otel.propagators", "tracecontext"},
    // A name that no detector has: the resource is ours.
    {"otel.java.enabled.resource.providers", "none"},
    {"otel.attribute.value.length.limit", String.valueOf(Bounds.LONGEST_STACK_TRACE)},
    {"otel.attribute.count.limit", "128"},
    {"otel.span.attribute.count.limit", "128"},
    {"otel.span.event.count.limit", "32"},
    {"otel.span.link.count.limit", "32"},
    {"otel.semconv-stability.opt-in", "database,code"},
    {"otel.javaagent.add-thread-details", "false"},
  };

  /** What frameworks, clients, drivers and loggers most applications have; the agent's names for them. None that it leaves off itself. */
  private static final String[] LEAN = {
    "tomcat", "jetty", "undertow", "netty", "servlet", "spring-webmvc", "spring-webflux", "spring-web", "jersey", "resteasy", "quarkus", "http-url-connection",
    "java-http-client", "apache-httpclient", "okhttp", "jdbc", "lettuce", "jedis", "mongo", "kafka-clients", "spring-kafka", "rabbitmq",
    "grpc", "reactor", "reactor-netty", "executors", "logback-appender", "log4j-appender", "java-util-logging", "runtime-telemetry",
    "internal-class-loader", "internal-eclipse-osgi", "internal-lambda", "internal-reflection", "internal-url-class-loader",
  };

  private AgentProperties() {}

  /** What holds unless the operator says otherwise. */
  static Map<String, String> defaults(Settings settings) {
    Map<String, String> properties = new HashMap<>();
    if (settings.isLean()) {
      properties.put("otel.instrumentation.common.default-enabled", "false");
      for (String name : LEAN) {
        properties.put("otel.instrumentation." + name + ".enabled", "true");
      }
    }
    return properties;
  }

  /** What holds whatever the operator says of OpenTelemetry's own exporters. */
  static Map<String, String> ours() {
    Map<String, String> properties = new HashMap<>();
    for (String[] property : OURS) {
      properties.put(property[0], property[1]);
    }
    return properties;
  }
}
