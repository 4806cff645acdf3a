package io.obtrace.zero.agent;

import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.Attributes;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.AttributesBuilder;
import io.opentelemetry.sdk.resources.Resource;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;

/** The resource of this process. The agent's own detectors are off: they read the command line, which may hold secrets. */
final class ResourceOfProcess {
  private static final String[][] NAMED = {
    {"deployment.environment.name", "OBTRACE_ENVIRONMENT"},
    {"k8s.pod.name", "OBTRACE_POD_NAME"},
    {"k8s.namespace.name", "OBTRACE_POD_NAMESPACE"},
    {"k8s.node.name", "OBTRACE_NODE_NAME"},
  };

  private ResourceOfProcess() {}

  static Resource of(Settings settings) {
    AttributesBuilder attributes = Attributes.builder();
    named(settings, attributes);
    attributes.put("service.instance.id", randomId());
    put(attributes, "host.name", hostName(settings));
    put(attributes, "process.runtime.name", System.getProperty("java.runtime.name", ""));
    put(attributes, "process.runtime.version", System.getProperty("java.runtime.version", ""));
    try {
      attributes.put("process.pid", Long.parseLong(Files.readSymbolicLink(Paths.get("/proc/self")).toString()));
    } catch (IOException | NumberFormatException notLinux) {
      Debug.say("no process id: " + notLinux);
    }
    // What names the SDK, its language and its version.
    return Resource.getDefault().merge(Resource.create(attributes.build()));
  }

  /** What the variables name; those of our own win over {@code OTEL_RESOURCE_ATTRIBUTES}. */
  static void named(Settings settings, AttributesBuilder attributes) {
    attributes.put("service.name", "unknown_service:java");
    for (String pair : settings.variable("OTEL_RESOURCE_ATTRIBUTES").split(",")) {
      int equals = pair.indexOf('=');
      String value = equals < 1 ? null : percentDecoded(pair.substring(equals + 1).trim());
      if (value != null) {
        put(attributes, pair.substring(0, equals).trim(), value);
      }
    }
    put(attributes, "service.name", settings.variable("OTEL_SERVICE_NAME"));
    put(attributes, "service.name", settings.variable("OBTRACE_SERVICE_NAME"));
    for (String[] name : NAMED) {
      put(attributes, name[0], settings.variable(name[1]));
    }
    attributes.put("telemetry.distro.name", "obtrace-zero");
    attributes.put("telemetry.distro.version", Settings.VERSION);
  }

  private static void put(AttributesBuilder attributes, String name, String value) {
    if (!name.isEmpty() && !value.isEmpty()) {
      attributes.put(name, value);
    }
  }

  /** The text that percent-encoding stands for, by RFC 3986; null if it is none. */
  private static String percentDecoded(String text) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < encoded.length; i++) {
      if (encoded[i] != '%') {
        bytes.write(encoded[i]);
        continue;
      }
      int high = i + 2 <= encoded.length - 1 ? Character.digit(encoded[i + 1], 16) : -1;
      int low = i + 2 <= encoded.length - 1 ? Character.digit(encoded[i + 2], 16) : -1;
      if (high < 0 || low < 0) {
        return null;
      }
      bytes.write(high << 4 | low);
      i += 2;
    }
    return new String(bytes.toByteArray(), StandardCharsets.UTF_8);
  }

  /** Of version 4. Not for secrets, so that the process' secure generator need not be made at its start. */
  private static String randomId() {
    ThreadLocalRandom random = ThreadLocalRandom.current();
    long high = random.nextLong() & ~0xF000L | 0x4000L;
    long low = random.nextLong() & ~(3L << 62) | 2L << 62;
    return new UUID(high, low).toString();
  }

  /** The kernel's name of the host, which a Pod's containers share; asking the resolver could take seconds. */
  private static String hostName(Settings settings) {
    try {
      return new String(Files.readAllBytes(Paths.get("/proc/sys/kernel/hostname")), StandardCharsets.UTF_8).trim();
    } catch (IOException notLinux) {
      return settings.variable("HOSTNAME");
    }
  }
}
