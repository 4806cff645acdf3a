package io.obtrace.zero.agent;

import java.net.URI;
import java.net.URISyntaxException;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** What the {@code OBTRACE_*} variables say, read once. Anything unreadable has its default. */
final class Settings {
  /** The version of this loader. */
  static final String VERSION = "0.1.0";

  private static final List<String> KINDS = Arrays.asList("server", "client", "producer", "consumer", "internal");
  private static final List<String> SIGNALS = Arrays.asList("traces", "logs", "metrics");
  private static final double SHORTEST_INTERVAL = 1;
  private static final double LONGEST_INTERVAL = 86_400;

  private final Map<String, String> variables;

  Settings(Map<String, String> variables) {
    this.variables = variables;
  }

  static Settings ofThisProcess() {
    return new Settings(System.getenv());
  }

  /** A variable's value without blanks around it; empty if it is not set. */
  String variable(String name) {
    String value = variables.get(name);
    return value == null ? "" : value.trim();
  }

  boolean isDebug() {
    String value = variable("OBTRACE_DEBUG");
    return !value.isEmpty() && !value.equals("0") && !value.equalsIgnoreCase("false");
  }

  /** The base of the endpoints, no slash at its end. */
  URI ingestUrl() throws URISyntaxException {
    String url = variable("OBTRACE_INGEST_URL");
    int end = url.length();
    while (end > 0 && url.charAt(end - 1) == '/') {
      end--;
    }
    URI parsed = new URI(url.substring(0, end));
    if (parsed.getHost() == null) {
      throw new URISyntaxException(url, "no host");
    }
    return parsed;
  }

  /** The key that the requests carry; empty: none. */
  String apiKey() {
    return variable("OBTRACE_API_KEY");
  }

  /** The part of the traces that begin here and are kept, 0 to 1. */
  double sampleRatio() {
    try {
      double ratio = Double.parseDouble(variable("OBTRACE_TRACE_SAMPLE_RATIO"));
      return Double.isNaN(ratio) ? 1 : Math.max(0, Math.min(1, ratio));
    } catch (NumberFormatException unreadable) {
      return 1;
    }
  }

  /** The kinds of spans to report, by their names in lower case. */
  Set<String> tracedKinds() {
    return chosen("OBTRACE_TRACED", KINDS);
  }

  /** What is sent: {@code traces}, {@code logs}, {@code metrics}. */
  Set<String> signals() {
    return chosen("OBTRACE_SIGNALS", SIGNALS);
  }

  /** Milliseconds between two reports of metrics. */
  long metricInterval() {
    try {
      double seconds = Double.parseDouble(variable("OBTRACE_METRIC_INTERVAL"));
      if (!Double.isNaN(seconds)) {
        return (long) (1000 * Math.max(SHORTEST_INTERVAL, Math.min(LONGEST_INTERVAL, seconds)));
      }
    } catch (NumberFormatException unreadable) {
      return 60_000;
    }
    return 60_000;
  }

  /** Whether only the instrumentations of the lean profile are on. */
  boolean isLean() {
    return variable("OBTRACE_JAVA_PROFILE").equalsIgnoreCase("lean");
  }

  private Set<String> chosen(String name, List<String> all) {
    Set<String> chosen = new HashSet<>();
    for (String word : variable(name).split(",")) {
      chosen.add(word.trim().toLowerCase(Locale.ROOT));
    }
    chosen.retainAll(all);
    return Collections.unmodifiableSet(chosen.isEmpty() ? new HashSet<>(all) : chosen);
  }
}
