package io.obtrace.zero.agent;

import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.Attributes;
import io.opentelemetry.javaagent.shaded.io.opentelemetry.api.common.AttributesBuilder;

/** What attributes may hold: no secrets of a URL, no string that is too long. */
final class Bounds {
  /** The SDK cuts every string at this; what may be that long is a stack trace. */
  static final int LONGEST_STACK_TRACE = 16_384;

  /** The longest body of a log record. */
  static final int LONGEST_BODY = 16_384;

  private static final int LONGEST_STRING = 4_096;
  private static final String STACK_TRACE = "exception.stacktrace";
  private static final String FULL_URL = "url.full";
  private static final String QUERY = "url.query";

  private Bounds() {}

  /** The same attributes where nothing is wrong with them, else mended ones. */
  static Attributes kept(Attributes attributes) {
    boolean[] wrong = {false};
    attributes.forEach((key, value) -> wrong[0] |= !value.equals(kept(key.getKey(), value)));
    if (!wrong[0]) {
      return attributes;
    }
    AttributesBuilder mended = Attributes.builder();
    attributes.forEach((key, value) -> put(mended, key, kept(key.getKey(), value)));
    return mended.build();
  }

  /** A string's first characters, no pair of surrogates split. */
  static String cut(String text, int longest) {
    if (text.length() <= longest) {
      return text;
    }
    return text.substring(0, Character.isHighSurrogate(text.charAt(longest - 1)) ? longest - 1 : longest);
  }

  private static Object kept(String name, Object value) {
    if (name.equals(QUERY)) {
      return null;
    }
    if (!(value instanceof String) || name.equals(STACK_TRACE)) {
      return value;
    }
    return cut(name.equals(FULL_URL) ? Url.scrubbed((String) value) : (String) value, LONGEST_STRING);
  }

  @SuppressWarnings("unchecked") // a string stays a string, and anything else is the value that the key came with
  private static void put(AttributesBuilder builder, AttributeKey<?> key, Object value) {
    if (value != null) {
      builder.put((AttributeKey<Object>) key, value);
    }
  }
}
