package io.obtrace.zero.agent;

import io.opentelemetry.javaagent.shaded.io.opentelemetry.context.Context;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.context.propagation.TextMapGetter;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.context.propagation.TextMapPropagator;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.context.propagation.TextMapSetter;
import java.net.HttpURLConnection;
import java.util.Collection;
import java.util.Map;

/** W3C Trace Context, read a little more freely, and written only where the application has not done so itself. */
final class Propagation implements TextMapPropagator {
  private static final String TRACE_PARENT = "traceparent";
  private static final String TRACE_STATE = "tracestate";
  private static final int LONGEST_TRACE_STATE = 512;

  private final TextMapPropagator w3c;

  Propagation(TextMapPropagator w3c) {
    this.w3c = w3c;
  }

  @Override
  public Collection<String> fields() {
    return w3c.fields();
  }

  @Override
  public <C> void inject(Context context, C carrier, TextMapSetter<C> setter) {
    if (!holdsContext(carrier)) {
      w3c.inject(context, carrier, setter);
    }
  }

  /** Whether the application has set a context itself. Carriers that are no classes of the JDK cannot be asked. */
  private static boolean holdsContext(Object carrier) {
    if (carrier instanceof HttpURLConnection) {
      return ((HttpURLConnection) carrier).getRequestProperty(TRACE_PARENT) != null;
    }
    if (carrier instanceof Map) {
      for (Object name : ((Map<?, ?>) carrier).keySet()) {
        if (name instanceof String && ((String) name).equalsIgnoreCase(TRACE_PARENT)) {
          return true;
        }
      }
    }
    return false;
  }

  @Override
  public <C> Context extract(Context context, C carrier, TextMapGetter<C> getter) {
    return w3c.extract(context, carrier, new Getter<>(getter));
  }

  /** Gives headers without blanks around them, and no state that is too long. */
  private static final class Getter<C> implements TextMapGetter<C> {
    private final TextMapGetter<C> getter;

    Getter(TextMapGetter<C> getter) {
      this.getter = getter;
    }

    @Override
    public String get(C carrier, String name) {
      String value = getter.get(carrier, name);
      if (value == null || (name.equals(TRACE_STATE) && value.length() > LONGEST_TRACE_STATE)) {
        return null;
      }
      return name.equals(TRACE_PARENT) ? withoutBlanks(value) : value;
    }

    private static String withoutBlanks(String value) {
      int from = 0;
      int to = value.length();
      while (from < to && isBlank(value.charAt(from))) {
        from++;
      }
      while (from < to && isBlank(value.charAt(to - 1))) {
        to--;
      }
      return value.substring(from, to);
    }

    private static boolean isBlank(char letter) {
      return letter == ' ' || letter == '\t';
    }
  }
}
