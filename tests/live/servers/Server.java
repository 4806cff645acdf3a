import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URL;
import java.util.Arrays;
import java.util.concurrent.Executors;

/** The Java server of the live tests: {@code java Server PORT UPSTREAM_PORT}. */
public final class Server {
  private static int upstream;

  public static void main(String[] arguments) throws IOException {
    upstream = Integer.parseInt(arguments[1]);
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
    server.setExecutor(Executors.newFixedThreadPool(8));
    server.createContext("/", Server::handle);
    server.start();
  }

  private static void handle(HttpExchange exchange) throws IOException {
    String[] parts = exchange.getRequestURI().getPath().split("/");
    byte[] sent = exchange.getRequestBody().readAllBytes();
    byte[] body = ("{\"item\":\"" + parts[2] + "\"}").getBytes();
    int status = 200;
    switch (parts[1]) {
      case "missing":
        status = 404;
        break;
      case "echo":
        body = sent;
        break;
      case "big":
        body = new byte[1_000_000];
        Arrays.fill(body, (byte) 'x');
        break;
      case "chain":
        chain(parts[2]);
        break;
      default:
    }
    exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
    try (OutputStream out = exchange.getResponseBody()) {
      out.write(body);
    }
  }

  private static void chain(String name) throws IOException {
    URL url = new URL("http://127.0.0.1:" + upstream + "/items/" + name);
    HttpURLConnection connection = (HttpURLConnection) url.openConnection();
    connection.getInputStream().readAllBytes();
  }
}
