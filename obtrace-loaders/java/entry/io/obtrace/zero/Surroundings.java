package io.obtrace.zero;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What a JVM was started with: variables, properties, arguments. */
final class Surroundings {
  private static final int LARGEST_COMMAND_LINE = 1 << 20;
  private static final int LARGEST_OPTIONS_FILE = 1 << 16;
  private static final String OPTIONS_FILE = "-XX:VMOptionsFile=";

  /** Options of {@code java} whose value is the argument that follows. */
  private static final List<String> WITH_VALUE =
      Arrays.asList(
          "-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules", "--limit-modules",
          "--enable-native-access", "--illegal-native-access", "--add-reads", "--add-exports", "--add-opens", "--patch-module", "--source");

  /** Options after whose value the application's own arguments begin. */
  private static final List<String> ENDING = Arrays.asList("-jar", "-m", "--module");

  private final Map<String, String> variables;
  private final Map<?, ?> properties;
  private final String executable;
  private final List<String> arguments;

  /**
   * @param executable the last component of the program's path; empty if unknown
   * @param arguments the arguments of the program, its own name not among them; empty if unknown
   */
  Surroundings(Map<String, String> variables, Map<?, ?> properties, String executable, List<String> arguments) {
    this.variables = variables;
    this.properties = properties;
    this.executable = executable;
    this.arguments = arguments;
  }

  static Surroundings ofThisProcess() {
    List<String> arguments = commandLine();
    if (!arguments.isEmpty()) {
      arguments.remove(0);
    }
    return new Surroundings(System.getenv(), System.getProperties(), programName(), arguments);
  }

  /** The value of a variable; empty if it is not set. */
  String variable(String name) {
    String value = variables.get(name);
    return value == null ? "" : value;
  }

  /** Whether a switch of ours is on: set to anything but nothing, {@code 0} and {@code false}. */
  boolean isOn(String name) {
    String value = variable(name).trim();
    return !value.isEmpty() && !value.equals("0") && !value.toLowerCase(Locale.ROOT).equals("false");
  }

  /** The value of a system property; empty if it is not set. */
  String property(String name) {
    Object value = properties.get(name);
    return value instanceof String ? (String) value : "";
  }

  String executable() {
    return executable;
  }

  List<String> arguments() {
    return arguments;
  }

  /**
   * Everything that may name an agent: arguments, the variables that JVMs and the dynamic linker take options from, and the
   * files that either names. Words that are no options are among them.
   */
  List<String> options() {
    List<String> options = new ArrayList<String>();
    for (int i = 0; i < arguments.size(); i++) {
      String argument = arguments.get(i);
      boolean isFile = argument.startsWith("@");
      if (!isFile && !argument.startsWith("-")) {
        // The main class: what follows is the application's.
        break;
      }
      add(options, argument);
      if (ENDING.contains(argument)) {
        break;
      }
      if (WITH_VALUE.contains(argument)) {
        i++;
      }
    }
    for (String name : new String[] {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "LD_PRELOAD"}) {
      addWords(options, variable(name));
    }
    return options;
  }

  /** Adds an option or, where it is the name of a file with options, those. */
  private static void add(List<String> options, String option) {
    options.add(option);
    String name = option.startsWith("@") ? option.substring(1) : option.startsWith(OPTIONS_FILE) ? option.substring(OPTIONS_FILE.length()) : null;
    // What is no plain file (a pipe of a shell, say) could make us wait for ever.
    if (name == null || !new File(name).isFile()) {
      return;
    }
    InputStream in = null;
    try {
      in = new FileInputStream(name);
      byte[] text = new byte[LARGEST_OPTIONS_FILE];
      int length = 0;
      for (int count = in.read(text); count > 0; count = in.read(text, length, text.length - length)) {
        length += count;
      }
      for (String word : new String(text, 0, length, "UTF-8").split("\\s+")) {
        options.add(unquoted(word));
      }
    } catch (IOException unreadable) {
      // Then the JVM does not read it either.
      return;
    } finally {
      close(in);
    }
  }

  private static void addWords(List<String> options, String text) {
    for (String word : text.split("\\s+")) {
      add(options, unquoted(word));
    }
  }

  private static String unquoted(String word) {
    return word.replace("\"", "").replace("'", "");
  }

  /** Linux's own record of the command line; asking the JVM for it would load the whole of its management. */
  private static List<String> commandLine() {
    List<String> words = new ArrayList<String>();
    InputStream in = null;
    try {
      in = new FileInputStream("/proc/self/cmdline");
      ByteArrayOutputStream word = new ByteArrayOutputStream();
      byte[] chunk = new byte[4096];
      int total = 0;
      for (int count = in.read(chunk); count > 0 && total < LARGEST_COMMAND_LINE; count = in.read(chunk)) {
        total += count;
        for (int i = 0; i < count; i++) {
          if (chunk[i] == 0) {
            words.add(word.toString("UTF-8"));
            word.reset();
          } else {
            word.write(chunk[i]);
          }
        }
      }
    } catch (IOException notLinux) {
      words.clear();
    } finally {
      close(in);
    }
    return words;
  }

  private static String programName() {
    try {
      File program = new File("/proc/self/exe");
      File target = program.getCanonicalFile();
      return target.equals(program) ? "" : target.getName();
    } catch (IOException notLinux) {
      return "";
    }
  }

  private static void close(InputStream in) {
    if (in != null) {
      try {
        in.close();
      } catch (IOException closed) {
        return;
      }
    }
  }
}
