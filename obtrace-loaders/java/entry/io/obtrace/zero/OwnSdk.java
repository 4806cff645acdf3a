package io.obtrace.zero;

import java.io.File;
import java.io.IOException;
import java.util.Enumeration;
import java.util.jar.JarFile;
import java.util.zip.ZipEntry;

/**
 * Looks for an OpenTelemetry SDK, or an agent that attaches itself, among the application's dependencies: on the class
 * path, inside an executable jar or war, beside a Quarkus one. What an application server loads later cannot be seen.
 */
final class OwnSdk {
  /** A class that is there where the thing is, then the first of the names of the jars that hold it. */
  private static final String[][] SIGNS = {
    {"io/opentelemetry/sdk/OpenTelemetrySdk.class", "opentelemetry-sdk-"},
    {"io/opentelemetry/contrib/attach/RuntimeAttach.class", "opentelemetry-runtime-attach"},
    {"co/elastic/apm/attach/ElasticApmAttacher.class", "apm-agent-attach"},
    {"com/microsoft/applicationinsights/attach/ApplicationInsights.class", "applicationinsights-runtime-attach"},
  };

  private static final int MOST_ENTRIES = 200000;

  private OwnSdk() {}

  /** What was found, as a reason to step aside; null if nothing was. */
  static String find(Surroundings surroundings) {
    for (String[] sign : SIGNS) {
      if (ClassLoader.getSystemResource(sign[0]) != null) {
        return "the application holds " + sign[0];
      }
    }
    String classPath = surroundings.property("java.class.path");
    if (!classPath.contains(File.pathSeparator) && (classPath.endsWith(".jar") || classPath.endsWith(".war"))) {
      String inside = inArchive(new File(classPath));
      return inside != null ? inside : inFolder(new File(new File(classPath).getAbsoluteFile().getParentFile(), "lib/main"));
    }
    for (String place : surroundings.property("jdk.module.path").split(File.pathSeparator)) {
      String found = sign(new File(place).getName());
      found = found != null || place.isEmpty() ? found : inFolder(new File(place));
      if (found != null) {
        return found;
      }
    }
    return null;
  }

  private static String inArchive(File path) {
    JarFile archive = null;
    try {
      archive = new JarFile(path, false);
      Enumeration<? extends ZipEntry> entries = archive.entries();
      for (int i = 0; i < MOST_ENTRIES && entries.hasMoreElements(); i++) {
        String name = entries.nextElement().getName();
        String found = name.endsWith(".jar") ? sign(name.substring(name.lastIndexOf('/') + 1)) : null;
        if (found != null) {
          return found;
        }
      }
      return null;
    } catch (IOException unreadable) {
      return null;
    } finally {
      if (archive != null) {
        try {
          archive.close();
        } catch (IOException closed) {
          archive = null;
        }
      }
    }
  }

  private static String inFolder(File folder) {
    String[] names = folder.list();
    for (String name : names == null ? new String[0] : names) {
      String found = sign(name);
      if (found != null) {
        return found;
      }
    }
    return null;
  }

  /** Whether a jar's name says that it holds one of them: {@code opentelemetry-sdk-1.60.0.jar}, with any group before it. */
  private static String sign(String name) {
    for (String[] sign : SIGNS) {
      int at = name.indexOf(sign[1]);
      if (at < 0 || !name.endsWith(".jar")) {
        continue;
      }
      String rest = name.substring(at + sign[1].length());
      if (!sign[1].endsWith("-") || (!rest.isEmpty() && Character.isDigit(rest.charAt(0)))) {
        return "the application holds " + name;
      }
    }
    return null;
  }
}
