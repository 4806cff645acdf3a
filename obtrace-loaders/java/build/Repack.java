import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;

/**
 * Puts our classes into the OpenTelemetry agent's jar. What the jar has is copied as it is, compressed as it was; what is
 * ours is stored, in the order of the names and with the date that the agent's own entries have: the same bytes each time,
 * whatever library compresses.
 *
 * <p>Format: PKWARE's APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end).
 */
final class Repack {
  private static final String INSIDE = "inst/";
  private static final String SERVICES = INSIDE + "META-INF/services/";
  private static final String MANIFEST = "META-INF/MANIFEST.MF";
  private static final int LOCAL = 0x04034b50;
  private static final int CENTRAL = 0x02014b50;
  private static final int END = 0x06054b50;
  private static final int END_LENGTH = 22;
  private static final int CENTRAL_LENGTH = 46;
  private static final int LOCAL_LENGTH = 30;
  private static final int DATE = (0 << 9) | (2 << 5) | 1;

  /** Java 6: the first with which the JVM's present verifier can work, and old enough for any JVM in use. */
  private static final int ENTRY_CLASS_VERSION = 50;

  public static void main(String[] arguments) throws IOException {
    if (arguments.length == 3 && arguments[0].equals("unpack")) {
      unpack(Path.of(arguments[1]), Path.of(arguments[2]));
    } else if (arguments.length == 6 && arguments[0].equals("pack")) {
      pack(Path.of(arguments[1]), Path.of(arguments[2]), Path.of(arguments[3]), Path.of(arguments[4]), Path.of(arguments[5]));
    } else {
      throw new IllegalArgumentException("unpack AGENT OUT | pack AGENT ENTRY-CLASSES AGENT-CLASSES SERVICES OUT");
    }
  }

  /** The classes that a jar hides from applications, as a compiler wants them. */
  private static void unpack(Path agent, Path out) throws IOException {
    try (JarFile jar = new JarFile(agent.toFile())) {
      for (ZipEntry entry : (Iterable<ZipEntry>) jar.stream().map(ZipEntry.class::cast)::iterator) {
        String name = entry.getName();
        if (name.startsWith(INSIDE) && name.endsWith(".classdata")) {
          Path file = out.resolve(name.substring(INSIDE.length()).replace(".classdata", ".class")).normalize();
          if (!file.startsWith(out)) {
            throw new IOException("a name that leads elsewhere: " + name);
          }
          Files.createDirectories(file.getParent());
          try (InputStream in = jar.getInputStream(entry)) {
            Files.copy(in, file);
          }
        }
      }
    }
  }

  private static void pack(Path agent, Path entryClasses, Path agentClasses, Path services, Path out) throws IOException {
    Map<String, byte[]> ours = new TreeMap<>();
    for (Map.Entry<String, byte[]> file : files(entryClasses).entrySet()) {
      byte[] bytes = file.getValue();
      ByteBuffer.wrap(bytes).putShort(6, (short) ENTRY_CLASS_VERSION);
      ours.put(file.getKey(), bytes);
    }
    for (Map.Entry<String, byte[]> file : files(agentClasses).entrySet()) {
      ours.put(INSIDE + file.getKey().replace(".class", ".classdata"), file.getValue());
    }
    try (JarFile jar = new JarFile(agent.toFile())) {
      ours.put(MANIFEST, manifest(jar));
      for (Map.Entry<String, byte[]> service : files(services).entrySet()) {
        String name = SERVICES + service.getKey();
        try (InputStream in = jar.getInputStream(jar.getJarEntry(name))) {
          ours.put(name, merged(in.readAllBytes(), service.getValue()));
        }
      }
    }
    write(ByteBuffer.wrap(Files.readAllBytes(agent)).order(ByteOrder.LITTLE_ENDIAN), ours, out);
  }

  /** The agent's lines of a service, without those that ours name behind a {@code -}, then our own. */
  private static byte[] merged(byte[] theirs, byte[] ours) throws IOException {
    List<String> lines = new String(theirs, StandardCharsets.UTF_8).lines().collect(Collectors.toCollection(ArrayList::new));
    for (String line : new String(ours, StandardCharsets.UTF_8).split("\n")) {
      if (!line.startsWith("-")) {
        lines.add(line);
      } else if (!lines.remove(line.substring(1))) {
        throw new IOException("the agent has no service " + line.substring(1));
      }
    }
    return (String.join("\n", lines) + "\n").getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] manifest(JarFile jar) throws IOException {
    Manifest manifest = jar.getManifest();
    Attributes main = manifest.getMainAttributes();
    main.remove(new Attributes.Name("Main-Class"));
    main.remove(new Attributes.Name("Agent-Class"));
    main.putValue("Premain-Class", "io.obtrace.zero.Premain");
    // Manifest's own order follows a hash; sorted, it is the same with every JDK.
    Map<String, String> sorted = new TreeMap<>();
    main.forEach((name, value) -> sorted.put(name.toString(), value.toString()));
    sorted.remove("Manifest-Version");
    StringBuilder text = new StringBuilder("Manifest-Version: 1.0\r\n");
    sorted.forEach((name, value) -> text.append(folded(name + ": " + value)));
    byte[] bytes = text.append("\r\n").toString().getBytes(StandardCharsets.UTF_8);
    new Manifest(new ByteArrayInputStream(bytes));
    return bytes;
  }

  /** A line of at most 72 bytes, what is longer on lines that begin with a blank. */
  private static String folded(String line) {
    StringBuilder folded = new StringBuilder();
    int from = 0;
    for (int room = 72; line.length() - from > room; room = 71) {
      folded.append(line, from, from + room).append("\r\n ");
      from += room;
    }
    return folded.append(line.substring(from)).append("\r\n").toString();
  }

  private static Map<String, byte[]> files(Path folder) throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : (Iterable<Path>) paths.filter(Files::isRegularFile)::iterator) {
        files.put(folder.relativize(path).toString(), Files.readAllBytes(path));
      }
    }
    return files;
  }

  /** One entry of the directory of the agent's jar. */
  private static final class Entry {
    final String name;
    final int central;
    final int centralLength;
    final int local;
    int localEnd;

    Entry(ByteBuffer jar, int at) throws IOException {
      if (jar.getInt(at) != CENTRAL) {
        throw new IOException("no entry of the directory at " + at);
      }
      byte[] bytes = new byte[jar.getShort(at + 28) & 0xFFFF];
      jar.get(at + CENTRAL_LENGTH, bytes);
      name = new String(bytes, StandardCharsets.UTF_8);
      central = at;
      centralLength = CENTRAL_LENGTH + bytes.length + (jar.getShort(at + 30) & 0xFFFF) + (jar.getShort(at + 32) & 0xFFFF);
      local = jar.getInt(at + 42);
    }
  }

  private static void write(ByteBuffer jar, Map<String, byte[]> ours, Path out) throws IOException {
    int end = jar.limit() - END_LENGTH;
    if (jar.getInt(end) != END) {
      throw new IOException("the jar has a comment, or no end");
    }
    int directory = jar.getInt(end + 16);
    List<Entry> entries = entries(jar, directory, jar.getShort(end + 10) & 0xFFFF);
    ByteArrayOutputStream body = new ByteArrayOutputStream(jar.limit());
    ByteArrayOutputStream central = new ByteArrayOutputStream();
    // The manifest first: that is where some readers look for it.
    store(body, central, MANIFEST, ours.get(MANIFEST));
    int count = ours.size();
    for (Entry entry : entries) {
      if (ours.containsKey(entry.name)) {
        continue;
      }
      byte[] record = bytes(jar, entry.central, entry.central + entry.centralLength);
      ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN).putInt(42, body.size());
      central.write(record);
      body.write(bytes(jar, entry.local, entry.localEnd));
      count++;
    }
    for (Map.Entry<String, byte[]> file : ours.entrySet()) {
      if (!file.getKey().equals(MANIFEST)) {
        store(body, central, file.getKey(), file.getValue());
      }
    }
    if (count > 0xFFFE) {
      throw new IOException("too many entries");
    }
    ByteBuffer tail = little(END_LENGTH).putInt(END).putInt(0).putShort((short) count).putShort((short) count);
    tail.putInt(central.size()).putInt(body.size()).putShort((short) 0);
    try (OutputStream file = Files.newOutputStream(out)) {
      body.writeTo(file);
      central.writeTo(file);
      file.write(tail.array());
    }
  }

  private static List<Entry> entries(ByteBuffer jar, int directory, int count) throws IOException {
    List<Entry> entries = new ArrayList<>();
    for (int i = 0, at = directory; i < count; i++) {
      Entry entry = new Entry(jar, at);
      entries.add(entry);
      at += entry.centralLength;
    }
    entries.sort(Comparator.comparingInt(entry -> entry.local));
    for (int i = 0; i < count; i++) {
      entries.get(i).localEnd = i + 1 < count ? entries.get(i + 1).local : directory;
    }
    return entries;
  }

  private static void store(ByteArrayOutputStream body, ByteArrayOutputStream central, String name, byte[] content) throws IOException {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    CRC32 sum = new CRC32();
    sum.update(content);
    // Version needed 1.0, names in UTF-8, stored, date.
    ByteBuffer shared = little(26).putShort((short) 10).putShort((short) 0x800).putShort((short) 0).putShort((short) 0);
    shared.putShort((short) DATE).putInt((int) sum.getValue()).putInt(content.length).putInt(content.length);
    shared.putShort((short) bytes.length).putShort((short) 0);
    ByteBuffer entry = little(CENTRAL_LENGTH).putInt(CENTRAL).putShort((short) 10).put(shared.array());
    entry.putShort((short) 0).putShort((short) 0).putShort((short) 0).putInt(0).putInt(body.size());
    central.write(entry.array());
    central.write(bytes);
    body.write(little(LOCAL_LENGTH).putInt(LOCAL).put(shared.array()).array());
    body.write(bytes);
    body.write(content);
  }

  private static byte[] bytes(ByteBuffer jar, int from, int to) {
    byte[] bytes = new byte[to - from];
    jar.get(from, bytes);
    return bytes;
  }

  private static ByteBuffer little(int length) {
    return ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
  }

  private Repack() {}
}
