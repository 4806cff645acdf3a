package io.obtrace.zero.agent;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Locale;
import java.util.Timer;
import java.util.TimerTask;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/**
 * Posts a body and reads the answer: HTTP/1.1 on a socket of its own.
 *
 * <p>The JDK's clients are not used as an application changes them for the whole process (proxies, cookies, caches,
 * authentication, trust of its own making), as they send a request again by themselves, and as they are what the agent
 * traces. A request here ends in time whatever the other side does: a timer closes its socket.
 */
final class Http {
  /** An answer's status, and how long to wait if it says so; −1 if it does not. */
  static final class Answer {
    final int status;
    final long retryAfterSeconds;

    Answer(int status, long retryAfterSeconds) {
      this.status = status;
      this.retryAfterSeconds = retryAfterSeconds;
    }
  }

  private static final int LARGEST_HEAD = 64 * 1024;
  private static final int LARGEST_BODY = 64 * 1024;
  private static final Timer TIMER = new Timer("obtrace-timer", true);
  private static SSLSocketFactory factory;

  private final String host;
  private final int port;
  private final boolean encrypted;
  private final String head;

  /**
   * @param base the ingest URL
   * @param path what is put behind it
   * @param apiKey sent as {@code X-API-Key} unless empty
   */
  Http(URI base, String path, String apiKey) {
    encrypted = base.getScheme().equalsIgnoreCase("https");
    String name = base.getHost();
    host = name.startsWith("[") ? name.substring(1, name.length() - 1) : name;
    port = base.getPort() >= 0 ? base.getPort() : encrypted ? 443 : 80;
    String prefix = base.getRawPath() == null ? "" : base.getRawPath();
    String key = apiKey.isEmpty() || hasControl(apiKey) ? "" : "X-API-Key: " + apiKey + "\r\n";
    head =
        "POST " + prefix + path + " HTTP/1.1\r\nHost: " + name + (base.getPort() >= 0 ? ":" + port : "")
            + "\r\nUser-Agent: obtrace-zero/" + Settings.VERSION + "\r\nContent-Type: application/json\r\n"
            + key + "X-Obtrace-Source: zero-agent-java\r\nConnection: close\r\nContent-Length: ";
  }

  /** Posts a body. Throws if there is no whole head of an answer within so many milliseconds. */
  Answer post(byte[] body, long timeoutMillis) throws IOException {
    Socket plain = new Socket(Proxy.NO_PROXY);
    TimerTask alarm = closing(plain);
    TIMER.schedule(alarm, timeoutMillis);
    try {
      plain.connect(new InetSocketAddress(host, port), (int) timeoutMillis);
      Socket socket = encrypted ? encrypted(plain) : plain;
      OutputStream out = socket.getOutputStream();
      byte[] start = (head + body.length + "\r\n\r\n").getBytes(StandardCharsets.UTF_8);
      byte[] request = new byte[start.length + body.length];
      System.arraycopy(start, 0, request, 0, start.length);
      System.arraycopy(body, 0, request, start.length, body.length);
      out.write(request);
      out.flush();
      return answer(new BufferedInputStream(socket.getInputStream()));
    } finally {
      alarm.cancel();
      // Not the encrypted one over it: its close may wait for the other side.
      plain.close();
    }
  }

  private static TimerTask closing(Socket socket) {
    return new TimerTask() {
      @Override
      public void run() {
        try {
          socket.close();
        } catch (IOException closed) {
          Debug.say("close: " + closed.getMessage());
        }
      }
    };
  }

  private SSLSocket encrypted(Socket plain) throws IOException {
    SSLSocket socket = (SSLSocket) trusting().createSocket(plain, host, port, true);
    SSLParameters parameters = socket.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    socket.setSSLParameters(parameters);
    try {
      socket.startHandshake();
    } catch (SSLException distrusted) {
      // The application may yet name whom it trusts.
      forgetTrust();
      throw distrusted;
    }
    return socket;
  }

  /**
   * What encrypts, by the trust that the JVM's properties name, else the runtime's own. Not the default of the process: that is
   * made once at its first use, which must not be ours (an application may set those properties in {@code main}), and
   * an application may replace it by one that trusts anybody.
   */
  private static synchronized SSLSocketFactory trusting() throws IOException {
    if (factory == null) {
      try {
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init((KeyStore) null);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        factory = context.getSocketFactory();
      } catch (GeneralSecurityException unusable) {
        throw new IOException(unusable);
      }
    }
    return factory;
  }

  private static synchronized void forgetTrust() {
    factory = null;
  }

  private static Answer answer(InputStream in) throws IOException {
    int[] left = {LARGEST_HEAD};
    String status = line(in, left);
    while (status.startsWith("HTTP/1.1 1")) {
      while (!line(in, left).isEmpty()) {
        continue;
      }
      status = line(in, left);
    }
    if (!status.matches("HTTP/1\\.[01] [2-5][0-9][0-9]( .*)?")) {
      throw new IOException("no HTTP answer");
    }
    long length = LARGEST_BODY;
    long retryAfter = -1;
    for (String field = line(in, left); !field.isEmpty(); field = line(in, left)) {
      String lower = field.toLowerCase(Locale.ROOT);
      if (lower.startsWith("content-length:")) {
        length = Math.min(length, number(field));
      } else if (lower.startsWith("retry-after:")) {
        retryAfter = number(field);
      }
    }
    drain(in, length);
    return new Answer(Integer.parseInt(status.substring(9, 12)), retryAfter);
  }

  /** Reads a body to its end, so that the other side sees no reset; whether that works no longer matters. */
  private static void drain(InputStream in, long length) {
    byte[] chunk = new byte[4096];
    try {
      for (long read = 0; read < length; ) {
        int count = in.read(chunk, 0, (int) Math.min(chunk.length, length - read));
        if (count < 0) {
          return;
        }
        read += count;
      }
    } catch (IOException cut) {
      Debug.say("an answer was cut short");
    }
  }

  private static String line(InputStream in, int[] left) throws IOException {
    StringBuilder line = new StringBuilder();
    for (int next = in.read(); next != '\n'; next = in.read()) {
      if (next < 0 || --left[0] < 0) {
        throw new IOException(next < 0 ? "the connection was closed without an answer" : "the head of the answer is too long");
      }
      line.append((char) next);
    }
    int length = line.length();
    return length > 0 && line.charAt(length - 1) == '\r' ? line.substring(0, length - 1) : line.toString();
  }

  /** The number in a field, −1 if there is none (a date, for instance). */
  private static long number(String field) {
    String value = field.substring(field.indexOf(':') + 1).trim();
    return value.matches("[0-9]{1,9}") ? Long.parseLong(value) : -1;
  }

  private static boolean hasControl(String text) {
    return text.chars().anyMatch(letter -> letter < ' ' || letter == 0x7F);
  }
}
