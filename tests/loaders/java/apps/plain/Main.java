import java.io.File;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * A program without a framework: `Main WAY [URL COUNT [TRUST URL]]` calls, logs, starts a program, and ends in the way that it
 * is told. With the last two it names its trust itself, a little late, and calls once more.
 */
public class Main {
  public static void main(String[] arguments) throws Exception {
    String way = arguments[0];
    System.out.println("begins");
    for (int i = 0; arguments.length > 1 && i < Integer.parseInt(arguments[2]); i++) {
      System.out.println("status " + status(arguments[1]));
    }
    Logger logger = Logger.getLogger("plain");
    logger.setUseParentHandlers(false);
    logger.setLevel(Level.FINE);
    logger.fine("a fine line");
    logger.log(Level.SEVERE, "a severe line", new IllegalStateException("attached"));
    System.out.println("flavour " + System.getProperty("shop.flavour"));
    System.out.println("child " + new ProcessBuilder("sh", "-c", "echo said by a child; exit 7").inheritIO().start().waitFor());
    System.err.println("on standard error");
    if (arguments.length > 3) {
      Thread.sleep(4_000);
      System.setProperty("javax.net.ssl.trustStore", arguments[3]);
      System.out.println("trusted " + status(arguments[4]));
    }
    if (way.equals("exit")) {
      System.exit(3);
    } else if (way.equals("throw")) {
      throw new IllegalStateException("uncaught");
    } else if (way.equals("wait")) {
      System.out.println("waits");
      Thread.sleep(600_000);
    } else if (way.equals("write")) {
      for (String folder : new String[] {"/", "/tmp", "/var/tmp", "/dev/shm", System.getProperty("user.home"), "."}) {
        System.out.println(folder + " can be written: " + new File(folder).canWrite());
      }
    }
    System.out.println("ends");
  }

  private static int status(String url) throws IOException {
    HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
    int status = connection.getResponseCode();
    connection.disconnect();
    return status;
  }
}
