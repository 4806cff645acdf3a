package io.obtrace.zero.agent;

import io.opentelemetry.javaagent.extension.instrumentation.InstrumentationModule;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.Attributes;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.AttributesBuilder;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.trace.Span;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.context.Context;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.context.propagation.TextMapGetter;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Answers questions about the loader's own functions, one a line: a word, then arguments in base 64. An answer is a line,
 * too: `-` for nothing, else text in base 64.
 */
public final class Vectors {
  public static void main(String[] arguments) throws Exception {
    BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = questions.readLine(); line != null; line = questions.readLine()) {
      String[] words = line.split(" ");
      String[] texts = new String[words.length - 1];
      for (int i = 0; i < texts.length; i++) {
        texts[i] = new String(Base64.getDecoder().decode(words[i + 1].substring(1)), StandardCharsets.UTF_8);
      }
      String answer = answer(words[0], texts);
      System.out.println(answer == null ? "-" : Base64.getEncoder().encodeToString(answer.getBytes(StandardCharsets.UTF_8)));
    }
  }

  private static String answer(String question, String[] texts) throws Exception {
    switch (question) {
      case "url":
        return Url.scrubbed(texts[0]);
      case "sampling":
        Settings settings = new Settings(Map.of("OBTRACE_TRACE_SAMPLE_RATIO", texts[0]));
        return String.valueOf(new RatioSampler(settings.sampleRatio()).keeps(texts[1]));
      case "traceparent":
        return context(texts[0]);
      case "resource":
        return resource(texts);
      case "lean":
        return unknownToTheAgent();
      default:
        throw new IllegalArgumentException(question);
    }
  }

  private static String context(String header) {
    TextMapGetter<String> getter =
        new TextMapGetter<String>() {
          @Override
          public Iterable<String> keys(String carrier) {
            return java.util.List.of("traceparent");
          }

          @Override
          public String get(String carrier, String name) {
            return name.equals("traceparent") ? carrier : null;
          }
        };
    Context context = new Propagation(W3CTraceContextPropagator.getInstance()).extract(Context.root(), header, getter);
    SpanContext span = Span.fromContext(context).getSpanContext();
    return span.isValid() ? span.getTraceId() + " " + span.getSpanId() + " " + span.isSampled() : null;
  }

  /** The names of the lean profile that no instrumentation of the agent has, or one that the agent itself leaves off. */
  private static String unknownToTheAgent() throws Exception {
    Set<String> names = new TreeSet<>();
    for (String property : AgentProperties.defaults(new Settings(Map.of("OBTRACE_JAVA_PROFILE", "lean"))).keySet()) {
      names.add(property.replaceFirst("otel\\.instrumentation\\.(.*)\\.enabled", "$1"));
    }
    names.remove("otel.instrumentation.common.default-enabled");
    // What is no rewriting of classes but starts with the agent.
    names.remove("runtime-telemetry");
    Set<String> off = new TreeSet<>();
    Set<String> wrong = new TreeSet<>(names);
    try (InputStream in = Vectors.class.getResourceAsStream("/inst/META-INF/services/" + InstrumentationModule.class.getName())) {
      for (String line : new String(in.readAllBytes(), StandardCharsets.UTF_8).split("\n")) {
        InstrumentationModule module = (InstrumentationModule) Class.forName(line.trim()).getDeclaredConstructor().newInstance();
        wrong.removeAll(module.instrumentationNames());
        if (!module.defaultEnabled() && !Collections.disjoint(names, module.instrumentationNames())) {
          off.add("off: " + module.instrumentationName());
        }
      }
    }
    wrong.addAll(off);
    return String.join(" ", wrong);
  }

  /** `NAME=VALUE` of the environment, then the name of the attribute that is asked for. */
  private static String resource(String[] texts) {
    Map<String, String> environment = new HashMap<>();
    for (int i = 0; i < texts.length - 1; i++) {
      environment.put(texts[i].substring(0, texts[i].indexOf('=')), texts[i].substring(texts[i].indexOf('=') + 1));
    }
    AttributesBuilder builder = Attributes.builder();
    ResourceOfProcess.named(new Settings(environment), builder);
    return builder.build().get(AttributeKey.stringKey(texts[texts.length - 1]));
  }
}
