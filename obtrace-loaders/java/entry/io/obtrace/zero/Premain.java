package io.obtrace.zero;

import java.io.File;
import java.lang.instrument.Instrumentation;
import java.util.jar.JarFile;

/**
 * What the JVM calls before the application's {@code main}: looks for a reason to step aside, else starts the
 * OpenTelemetry agent that the rest of the jar holds.
 *
 * <p>The classes of this package are marked as Java 6 ones and use nothing newer, so that a JVM too old for the agent
 * reads them, and steps aside, instead of refusing to start. They are loaded by the system class loader; once the jar is
 * also on the boot class path (which the agent needs) none of them may be loaded any more: it would come from there, a
 * different class of the same name.
 */
public final class Premain {
  private static final String BOOTSTRAP = "io.opentelemetry.javaagent.bootstrap.";

  /** What the agent reads before our own settings reach it; given back as they were once it runs. */
  private static final String[][] EARLY = {
    {"otel.javaagent.enabled", "true"},
    {"otel.javaagent.debug", "false"},
    {"otel.javaagent.logging", "obtrace"},
    {"otel.javaagent.extensions", ""},
    {"otel.semconv-stability.opt-in", "database,code"},
    {"otel.config.file", ""},
    {"otel.experimental.config.file", ""},
  };

  private static boolean started;

  private Premain() {}

  /** Starts the agent unless there is a reason not to. Never throws, whatever happens. */
  public static synchronized void premain(String arguments, Instrumentation instrumentation) {
    boolean debug = false;
    try {
      Surroundings surroundings = Surroundings.ofThisProcess();
      debug = surroundings.isOn("OBTRACE_DEBUG");
      String reason = started ? "a second loader of ours is there" : StepAside.reason(surroundings);
      if (reason != null) {
        say(debug, "steps aside: " + reason);
        return;
      }
      started = true;
      start(instrumentation);
    } catch (Throwable failure) {
      say(debug, "steps aside: " + failure);
    }
  }

  private static void start(Instrumentation instrumentation) throws Exception {
    File jar = new File(Premain.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    JarFile opened = new JarFile(jar, false);
    try {
      instrumentation.appendToBootstrapClassLoaderSearch(opened);
    } finally {
      opened.close();
    }
    String[] before = new String[EARLY.length];
    for (int i = 0; i < EARLY.length; i++) {
      before[i] = System.setProperty(EARLY[i][0], EARLY[i][1]);
    }
    try {
      boot("InstrumentationHolder").getMethod("setInstrumentation", Instrumentation.class).invoke(null, instrumentation);
      boot("JavaagentFileHolder").getMethod("setJavaagentFile", File.class).invoke(null, jar);
      boot("AgentInitializer")
          .getMethod("initialize", Instrumentation.class, File.class, boolean.class, String.class)
          .invoke(null, instrumentation, jar, true, null);
    } finally {
      for (int i = 0; i < EARLY.length; i++) {
        if (before[i] == null) {
          System.clearProperty(EARLY[i][0]);
        } else {
          System.setProperty(EARLY[i][0], before[i]);
        }
      }
    }
  }

  private static Class<?> boot(String name) throws ClassNotFoundException {
    return Class.forName(BOOTSTRAP + name, true, null);
  }

  private static void say(boolean debug, String line) {
    if (debug) {
      System.err.println("[obtrace] " + line);
    }
  }
}
