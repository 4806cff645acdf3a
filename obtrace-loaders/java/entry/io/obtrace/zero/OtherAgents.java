package io.obtrace.zero;

import java.io.File;
import java.io.IOException;
import java.util.Locale;
import java.util.jar.JarFile;
import java.util.jar.Manifest;

/** Looks for agents of others that trace: two of them in one JVM rewrite the same classes. */
final class OtherAgents {
  /** A vendor, then words of which one is in an option, a path or an agent's class. */
  private static final String[][] VENDORS = {
    {"Datadog", "dd-java-agent", "dd-trace", "datadog"},
    {"New Relic", "newrelic", "new-relic"},
    {"Elastic APM", "elastic-apm", "elasticapm", "co.elastic.apm", "co.elastic.otel"},
    {"Dynatrace", "oneagent", "dynatrace"},
    {"AppDynamics", "appdynamics", "appserveragent", "appagent", "com.singularity."},
    {"Instana", "instana"},
    {"SkyWalking", "skywalking"},
    {"Splunk", "splunk-otel", "signalfx"},
    {"Application Insights", "applicationinsights"},
    {"Pinpoint", "pinpoint-bootstrap", "com.navercorp.pinpoint"},
    {"Glowroot", "glowroot"},
    {"Scouter", "scouter"},
    {"OpenTelemetry", "opentelemetry", "otel-auto-instrumentation"},
  };

  private static final String JAVA_AGENT = "-javaagent:";

  private OtherAgents() {}

  /** The agent found, as a reason to step aside; null if there is none. */
  static String find(Surroundings surroundings) {
    for (String option : surroundings.options()) {
      boolean isAgent = option.startsWith(JAVA_AGENT);
      if (!isAgent && !option.startsWith("-agentpath:") && !option.startsWith("-agentlib:") && !option.contains(".so")) {
        continue;
      }
      String vendor = vendor(option);
      if (vendor == null && isAgent) {
        String path = option.substring(JAVA_AGENT.length());
        vendor = vendor(agentClass(new File(path.indexOf('=') < 0 ? path : path.substring(0, path.indexOf('=')))));
      }
      if (vendor != null) {
        return vendor + "'s agent is there";
      }
    }
    return null;
  }

  private static String vendor(String text) {
    String lower = text.toLowerCase(Locale.ROOT);
    for (String[] vendor : VENDORS) {
      for (int i = 1; i < vendor.length; i++) {
        if (lower.contains(vendor[i])) {
          return vendor[0];
        }
      }
    }
    return null;
  }

  /** The class that a jar's manifest names for an agent, as a jar may have any name; empty if it cannot be had. */
  private static String agentClass(File path) {
    JarFile jar = null;
    try {
      jar = new JarFile(path, false);
      Manifest manifest = jar.getManifest();
      String name = manifest == null ? null : manifest.getMainAttributes().getValue("Premain-Class");
      return name == null ? "" : name;
    } catch (IOException unreadable) {
      return "";
    } finally {
      if (jar != null) {
        try {
          jar.close();
        } catch (IOException closed) {
          jar = null;
        }
      }
    }
  }
}
