package shop;

import jakarta.annotation.PreDestroy;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** A shop: orders in a database, a call to itself, logs of two loggers, and what goes wrong. */
@SpringBootApplication
@RestController
public class App {
  private static final Logger LOG = LoggerFactory.getLogger("shop.orders");
  private final JdbcTemplate database;
  private final HttpClient client = HttpClient.newHttpClient();

  App(JdbcTemplate database) {
    this.database = database;
    database.execute("CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(40))");
    database.update("INSERT INTO orders VALUES (7, 'seven')");
  }

  public static void main(String[] arguments) {
    SpringApplication.run(App.class, arguments);
    System.out.println("ready");
  }

  @GetMapping("/orders/{id}")
  Map<String, Object> order(@PathVariable("id") int id) {
    LOG.warn("order {} asked for", id);
    return database.queryForMap("SELECT item FROM orders WHERE id = " + id + " AND item <> 'secret'");
  }

  @GetMapping("/plain/{id}")
  String plain(@PathVariable("id") int id) {
    return "plain " + id;
  }

  @GetMapping("/headers")
  List<String> headers(@RequestHeader(name = "traceparent", defaultValue = "none") String parent,
      @RequestHeader(name = "tracestate", defaultValue = "none") String state,
      @RequestHeader(name = "baggage", defaultValue = "none") String baggage) {
    return List.of(parent, state, baggage);
  }

  @GetMapping("/call")
  String call(@RequestParam("url") String url, @RequestParam(name = "own", defaultValue = "") String own) throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + "?token=secret"));
    HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
    if (!own.isEmpty()) {
      request.header("Traceparent", own);
      connection.setRequestProperty("traceparent", own);
    }
    String first = client.send(request.build(), HttpResponse.BodyHandlers.ofString()).body();
    try (var in = connection.getInputStream()) {
      return first + " " + new String(in.readAllBytes());
    }
  }

  @GetMapping("/julog")
  String julog() {
    java.util.logging.Logger.getLogger("shop.jul").warning("said by jul");
    return "ok";
  }

  @GetMapping("/fails")
  String fails() {
    throw new IllegalStateException("it went wrong");
  }

  @GetMapping("/burst/{count}")
  String burst(@PathVariable("count") int count) {
    for (int i = 0; i < count; i++) {
      LOG.info("line {}", i);
      database.queryForObject("SELECT " + i, Integer.class);
    }
    return "ok";
  }

  @GetMapping("/slow")
  String slow() throws Exception {
    Thread.sleep(600);
    database.queryForObject("SELECT 600", Integer.class);
    return "slow";
  }

  @GetMapping("/exit/{code}")
  String exit(@PathVariable("code") int code) {
    new Thread(() -> System.exit(code)).start();
    return "ok";
  }

  @PreDestroy
  void over() {
    System.out.println("over");
  }
}
