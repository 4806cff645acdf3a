import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.logging.Logger;

/** Answers with what the next one answers: java Hop PORT NEXT; HOST is where it listens. */
public final class Hop {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        HttpServer server = HttpServer.create(new InetSocketAddress(System.getenv().getOrDefault("HOST", "127.0.0.1"), Integer.parseInt(arguments[0])), 0);
        server.createContext("/", exchange -> {
            Logger.getLogger("hop").info("java hop");
            String answer;
            try {
                HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[1])).build();
                answer = "java " + client.send(request, HttpResponse.BodyHandlers.ofString()).body();
            } catch (InterruptedException interrupted) {
                answer = "java interrupted";
            }
            byte[] body = answer.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
