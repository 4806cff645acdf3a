package io.obtrace.zero.agent;

import java.util.Collections;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Lines for who looks for a fault: on standard error where {@code OBTRACE_DEBUG} asks for them, each once. */
final class Debug {
  private static final int MOST_LINES = 1_000;
  private static final boolean ON = Settings.ofThisProcess().isDebug();
  private static final Set<String> SAID = Collections.newSetFromMap(new ConcurrentHashMap<>());

  private Debug() {}

  static boolean isOn() {
    return ON;
  }

  static void say(String line) {
    if (ON && SAID.size() < MOST_LINES && SAID.add(line)) {
      System.err.println("[obtrace] " + line.replace('\n', ' '));
    }
  }
}
