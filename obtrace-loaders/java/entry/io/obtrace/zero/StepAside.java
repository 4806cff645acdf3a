package io.obtrace.zero;

import java.util.List;
import java.util.Locale;

/** The reasons not to start, cheapest first. */
final class StepAside {
  /** First of the main class, or of its module, of what comes with a JDK or builds software. */
  private static final String[] TOOLS = {
    "java.", "jdk.", "sun.", "com.sun.tools.", "com.sun.corba.se.", "com.sun.javafx.tools.", "com.sun.java.util.jar.pack.",
    "org.codehaus.plexus.classworlds.", "org.codehaus.classworlds.", "org.apache.maven.", "org.mvndaemon.",
    "org.gradle.", "worker.org.gradle.", "org.apache.tools.ant.", "org.apache.ivy.",
    "org.jetbrains.kotlin.cli.", "org.jetbrains.kotlin.daemon.", "scala.tools.nsc.", "dotty.tools.dotc.", "xsbt.boot.", "sbt.",
    "org.codehaus.groovy.tools.", "clojure.tools.", "leiningen.", "com.google.devtools.build.", "coursier.",
  };

  /** First of the file name of a jar that is such a tool. */
  private static final String[] TOOL_JARS = {"maven-wrapper", "gradle-wrapper", "gradle-launcher", "surefirebooter", "sbt-launch", "ivy-", "google-java-format"};

  /** What {@code java} is asked when no application is meant to run. */
  private static final String[] QUESTIONS = {"-version", "--version", "-fullversion", "--full-version", "-showversion", "--show-version", "-help", "--help", "-h", "-?", "-X", "--help-extra", "--list-modules", "--describe-module", "-d", "--validate-modules", "--dry-run"};

  private StepAside() {}

  /** Why the agent must not start in this JVM; null if it may. */
  static String reason(Surroundings surroundings) {
    if (surroundings.isOn("OBTRACE_DISABLED")) {
      return "OBTRACE_DISABLED is set";
    }
    String url = surroundings.variable("OBTRACE_INGEST_URL").trim().toLowerCase(Locale.ROOT);
    if (!url.startsWith("http://") && !url.startsWith("https://")) {
      return url.isEmpty() ? "OBTRACE_INGEST_URL is not set" : "OBTRACE_INGEST_URL is no http or https URL";
    }
    if (isTooOld(surroundings.property("java.specification.version"))) {
      return "Java " + surroundings.property("java.specification.version") + " is not supported";
    }
    String tool = tool(surroundings);
    if (tool != null) {
      return tool;
    }
    String agent = OtherAgents.find(surroundings);
    return agent != null ? agent : OwnSdk.find(surroundings);
  }

  static boolean isTooOld(String version) {
    return version.startsWith("1.") && version.length() == 3 && version.charAt(2) < '8';
  }

  private static String tool(Surroundings surroundings) {
    String command = surroundings.property("sun.java.command").trim();
    if (command.isEmpty()) {
      // A JVM inside another program has no command either; that program is an application.
      return surroundings.executable().equals("java") && asks(surroundings.arguments()) ? "java is only asked a question" : null;
    }
    int end = command.indexOf(' ');
    String first = end < 0 ? command : command.substring(0, end);
    if (first.endsWith(".jar")) {
      return startsWithOne(first.substring(first.lastIndexOf('/') + 1), TOOL_JARS) ? first + " is a tool" : null;
    }
    return startsWithOne(first, TOOLS) ? first + " is a tool" : null;
  }

  private static boolean asks(List<String> arguments) {
    for (String argument : arguments) {
      for (String question : QUESTIONS) {
        if (argument.equals(question)) {
          return true;
        }
      }
    }
    return arguments.isEmpty();
  }

  private static boolean startsWithOne(String text, String[] starts) {
    for (String start : starts) {
      if (text.startsWith(start)) {
        return true;
      }
    }
    return false;
  }
}
